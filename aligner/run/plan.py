"""What a run would do, known before anything heavy is imported: neither torch nor numba is needed to plan."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryFile

from aligner.corpus import results
from aligner.corpus.find import Corpus, check_recording, find, find_one
from aligner.formats import registry
from aligner.formats.files import check_reachable
from aligner.models.known import BOUNDARY_TABLE, HMM_TABLE, HUGGING_FACE_TABLE, SPHINX_TABLE, in_a_folder
from aligner.run.places import Places
from aligner.text.normalise import normalise
from aligner.types import Caution, DataError, Failure, Fault, Utterance


@dataclass(frozen=True, kw_only=True)
class Job:
    """A run over a folder, or one recording, that has been checked and can begin."""

    corpus: Path
    """The folder of the recordings."""

    out: Path
    """The folder of the outputs."""

    kinds: tuple[str, ...]
    """The kinds of output, of which one is a TextGrid."""

    existing: str
    """What to do where an output exists: 'skip', 'overwrite' or 'error'."""

    utterances: tuple[Utterance, ...]
    """What is to be aligned."""

    failures: tuple[Failure, ...]
    """What cannot even be tried."""

    refused: tuple[Failure, ...]
    """What is done already and must not be done again, with ``--existing error``."""

    skipped: tuple[str, ...]
    """Files whose outputs are all there already."""

    stale: tuple[str, ...]
    """The skipped files that have changed since."""

    completed: tuple[str, ...]
    """Files that have some of the outputs asked for, which are kept beside the new ones."""

    beside: frozenset[str] = frozenset()
    """Files of earlier runs of a single recording, which this run does not look at: their rows stand."""

    only: frozenset[str] | None = None
    """The file, where one recording was named and not a folder."""

    cautions: tuple[Caution, ...] = ()
    """What the user should know of the corpus, though nothing failed for it."""

    @property
    def kept(self) -> frozenset[str]:
        """Files whose rows in the tables of an earlier run stay as they are."""
        return frozenset(self.skipped) | {f.utterance.file for f in self.refused}

    @property
    def files(self) -> frozenset[str]:
        """All files of the corpus that the run knows of, whatever becomes of them."""
        return self.kept | {u.file for u in self.utterances} | {f.utterance.file for f in self.failures}


def plan(
    corpus: Path,
    out: Path,
    kinds: Sequence[str] = (),
    existing: str = "skip",
    text: str | None = None,
    *,
    known_words: bool = True,
) -> Job:
    """Look at the folders, before anything is loaded or written.

    Parameters
    ----------
    corpus : Path
        A folder, or one recording.
    out : Path
    kinds : sequence of str
        Of output beside TextGrids: json, csv, ctm, segments; uncertainty adds a point tier to the TextGrids.
    existing : {'skip', 'overwrite', 'error'}
        What to do where an output exists.
    text : str, optional
        What is said in the one recording.
    known_words : bool
        Whether the times of words are kept, where transcripts have them; otherwise they are text alone.

    Raises
    ------
    DataError
        If there is no corpus, ``out`` lies in it, or nothing can be written to ``out``.
    """
    if text is not None and not normalise(text):
        rule = "it holds only punctuation" if text.strip() else "it is empty"
        raise DataError(
            "--text",
            rule,
            "write what is said, or leave it out and put a transcript beside it",
            fault=Fault.CALL,
        )
    job = _planned(corpus, out, kinds, existing, text)
    if known_words:
        return job
    return replace(job, utterances=tuple(replace(u, known=()) for u in job.utterances))


def _planned(corpus: Path, out: Path, kinds: Sequence[str], existing: str, text: str | None) -> Job:
    check_reachable(corpus)
    if not corpus.is_dir():
        return _plan_one(corpus, out, kinds, existing, text)
    if text is not None:
        raise DataError(
            "--text",
            f"it tells what is said in one recording, and {corpus} is a folder",
            "name the recording, or put NAME.lab beside each",
            fault=Fault.CALL,
        )
    found = find(corpus)
    check_place(corpus, out, found.linked)
    return planned(found, corpus, out, kinds, existing)


def _plan_one(path: Path, out: Path, kinds: Sequence[str], existing: str, text: str | None) -> Job:
    """A run of one recording, whose folder is the corpus, though nothing else in it is looked at."""
    check_recording(path)
    check_writable(out)
    root = _corpus_of(path, out)
    # so that it lies below the root
    placed = path.parent.resolve() / path.name if path.parent != root else path
    found = find_one(placed, text, root)
    file = found.utterances[0].file
    grid = registry.output_path(out, file, registry.GRID)
    if grid.parent.resolve() == path.parent.resolve():
        raise DataError(
            out,
            f"{grid.name} would lie beside its recording, where the next run takes it for the transcript",
            "name another folder",
            fault=Fault.OUTPUT,
        )
    job = planned(found, root, out, kinds, existing)
    return replace(job, beside=results.tabled_files(out) - {file}, only=frozenset({file}))


def _corpus_of(path: Path, out: Path) -> Path:
    """The folder below which a recording's outputs go by its path: that of the run that ``out`` is of, or its
    own.
    """
    earlier = results.read_run_record(out).get("corpus")
    if not isinstance(earlier, str) or not results.tabled_files(out):
        return path.parent
    folder = path.parent.resolve()
    if folder == Path(earlier):
        return path.parent
    if not folder.is_relative_to(earlier):
        raise DataError(
            out,
            f"it holds the alignments of {earlier}, where another recording may have the same name",
            f"name another folder for {path.name}",
            fault=Fault.OUTPUT,
        )
    return Path(earlier)


def planned(found: Corpus, corpus: Path, out: Path, kinds: Sequence[str] = (), existing: str = "skip") -> Job:
    """Plan as `plan` does, for a corpus that was found and may have its output there."""
    check_writable(out)
    all_kinds = registry.all_kinds(kinds)
    refused: list[Failure] = []
    skipped: list[str] = []
    utterances: list[Utterance] = []
    stale: list[str] = []
    completed: list[str] = []
    homeless: list[Failure] = []
    places = Places(corpus, out)
    # a run that was killed left outputs without rows: these are done again
    tabled = results.tabled_files(out)
    for file, group in groupby(found.utterances, key=lambda u: u.file):
        members = list(group)
        trouble = places.taken_by(file, all_kinds)
        outputs = [registry.output_path(out, file, kind) for kind in all_kinds]
        there = [] if trouble else [p for p in outputs if p.exists()]
        if trouble:
            homeless += [Failure(u, trouble.rule, trouble.remedy, fault=trouble.fault) for u in members]
        elif existing == "skip" and len(there) == len(outputs) and file in tabled:
            skipped.append(file)
            if _newest_source(members) > min(p.stat().st_mtime for p in there):
                stale.append(file)
        elif existing == "error" and there:
            rule, remedy = f"its output {there[0]} exists", "use --existing skip or overwrite"
            refused += [Failure(u, rule, remedy, fault=Fault.EXISTS) for u in members]
        else:
            utterances += members
            if existing == "skip" and there:
                completed.append(file)
    return Job(
        corpus=corpus,
        out=out,
        kinds=all_kinds,
        existing=existing,
        utterances=tuple(utterances),
        failures=(*found.failures, *homeless),
        refused=tuple(refused),
        skipped=tuple(skipped),
        stale=tuple(stale),
        completed=tuple(completed),
        cautions=(*found.cautions, *places.renamed),
    )


def check_place(corpus: Path, out: Path, linked: Iterable[Path] = ()) -> None:
    """Raise DataError where an output folder lies in the corpus, or where a link in that leads to."""
    place = out.resolve()
    for folder in (corpus.resolve(), *linked):
        if place.is_relative_to(folder):
            through = "" if folder == corpus.resolve() else f" (by a link to {folder})"
            raise DataError(
                out,
                f"the output folder lies in the corpus {corpus}{through}, where its TextGrids would be taken "
                "for transcripts",
                "name a folder outside it",
                fault=Fault.OUTPUT,
            )


def check_writable(out: Path) -> None:
    """Raise DataError where nothing could be written to an output folder, which need not be there yet."""
    if os.path.islink(out) and not os.path.exists(out):  # where pathlib would raise for too long a name
        rule = f"it is a link to something that is not there ({out} -> {out.readlink()})"
        raise DataError(out, rule, "name another folder, or make that one", fault=Fault.OUTPUT)
    with _writing(out):
        place = next(p for p in (out, *out.absolute().parents) if p.exists())
        with TemporaryFile(dir=place):
            pass


def check_rights(out: Path) -> None:
    """Make an output folder; raise DataError where nothing can be written to it."""
    with _writing(out):
        out.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=out):
            pass


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(
            out,
            f"nothing can be written to the output folder ({error.strerror})",
            "name another, or change its rights",
            fault=Fault.OUTPUT,
        ) from error


def check_new(table: Path, remedy: str = "name another folder") -> None:
    """Raise DataError where the folder of a model to be made has such a table already."""
    if table.exists():
        raise DataError(table.parent, "a model is there already", remedy, fault=Fault.EXISTS)


def check_taught(model: str | Path, out: Path) -> None:
    """Raise where a taught model cannot be saved: before the work, not after.

    Raises
    ------
    DataError
        If the folder holds a model already, or nothing can be written there.
    """
    for table in (BOUNDARY_TABLE, HMM_TABLE, SPHINX_TABLE, HUGGING_FACE_TABLE):
        check_new(out / table)
    if in_a_folder(model) and out.resolve().is_relative_to(Path(model).resolve()):
        raise DataError(
            out, "it lies in the folder of the model", "name a folder elsewhere", fault=Fault.OUTPUT
        )
    check_writable(out)


def check_empty(out: Path) -> None:
    """Raise DataError where something is in a folder that is to be new."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(out, "something is there already", "name a new folder, or none", fault=Fault.EXISTS)


@contextmanager
def room_in(out: Path) -> Iterator[None]:
    """Raise DataError where the block cannot write to an output folder."""
    try:
        yield
    except OSError as error:
        raise DataError(
            out,
            f"it cannot be written to any more ({error.strerror})",
            "make room or name another folder",
            fault=Fault.OUTPUT,
        ) from error


def _newest_source(utterances: Iterable[Utterance]) -> float:
    paths = {p for u in utterances for p in (u.audio, u.source) if isinstance(p, Path) and p.exists()}
    return max((p.stat().st_mtime for p in paths), default=0.0)
