"""Where the outputs of recordings go: each has a place of its own, known before the work begins."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from aligner.corpus.naming import caseless
from aligner.formats import registry
from aligner.formats.files import too_long
from aligner.types import Caution, DataError, Fault, Notice


class Places:
    """The places of a run's outputs, each of which one recording takes.

    Attributes
    ----------
    renamed : list of Caution
        Outputs whose names are not those of their recordings.

    Parameters
    ----------
    corpus : Path
        The folder of the recordings.
    out : Path
        The folder of the outputs, which need not be there yet.
    """

    def __init__(self, corpus: Path, out: Path) -> None:
        self._out = out
        self._taken: dict[str, str] = {}
        self._alike = caseless if folds_case(out) else str
        corpus_place, out_place = corpus.resolve(), out.resolve()
        # where the corpus lies in the output folder, an output may lie in the corpus
        inside = corpus_place != out_place and corpus_place.is_relative_to(out_place)
        self._corpus = out / corpus_place.relative_to(out_place) if inside else None
        self.renamed: list[Caution] = []

    def taken_by(self, file: str, kinds: Sequence[str]) -> DataError | None:
        """Give a recording the places of its outputs; return what is wrong with them, where something is.

        Parameters
        ----------
        file : str
            The recording's path below the corpus, without suffix.
        kinds : sequence of str
            The kinds of output.
        """
        paths = [path for kind in kinds for path in registry.output_paths(self._out, file, kind)]
        trouble = next((t for t in (self._trouble(file, path) for path in paths) if t), None)
        if trouble is None:
            self._taken |= {self._alike(str(path)): file for path in paths}
            self.renamed += [c for kind in kinds if (c := self._other_name(file, kind))]
        return trouble

    def _trouble(self, file: str, path: Path) -> DataError | None:
        """Return why an output cannot go to its place."""
        other = self._taken.get(self._alike(str(path)))
        if other is not None:
            rule = f"its output {path.name} would be that of {other}"
            return DataError(file, rule, "rename one of the two", fault=Fault.DUPLICATE_NAME)
        if self._corpus is not None and path.is_relative_to(self._corpus):
            rule = f"its output would lie in the corpus: {path}"
            return DataError(file, rule, "name another output folder", fault=Fault.OUTPUT)
        if reason := too_long(path):
            rule = f"its output {path.suffix} cannot be written ({reason})"
            return DataError(file, rule, "give the recording a shorter name", fault=Fault.OUTPUT)
        if path.is_dir():
            return DataError(
                file, f"its output {path} is a folder", "rename one of the two", fault=Fault.OUTPUT
            )
        return None

    def _other_name(self, file: str, kind: str) -> Caution | None:
        """Return a caution where an output has another name than its recording."""
        name, suffix = registry.own_name(file, kind), registry.FORMATS[kind].suffix
        if name == file:
            return None
        rule = f"its output is {name}{suffix}, for {file}{suffix} is a table of the run"
        return Caution(where=file, rule=rule, remedy="rename the recording", fault=Notice.NAME)


def folds_case(folder: Path) -> bool:
    """Return whether a file system takes names that differ in capitals for one, as Windows and macOS do.

    Parameters
    ----------
    folder : Path
        A folder, which need not be there yet.
    """
    there = next((p for p in (folder, *folder.absolute().parents) if p.exists() and p.name), None)
    if there is None:
        return False
    other = there.with_name(there.name.swapcase())
    try:
        return other.name != there.name and os.path.samefile(there, other)
    except OSError:
        return False
