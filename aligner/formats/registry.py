"""The formats that there are: a new one is a module of this room, and a line here.

A module has a `Format` named ``FORMAT``, with a function that writes the alignments of a recording, or one
that reads labels, or both.  Its files are then written beside the TextGrids, and found and read wherever
labels are.  ``--format`` offers the words in `aligner.names.FORMATS`, which loads nothing; a test tells where
it lacks one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from aligner.formats import csv, ctm, htk, json, segments, textgrid, timit, timit_words, uncertainty
from aligner.formats.base import ALIGNMENT_TABLE, OOV_TABLE, RUN_RECORD, Format, Tiers
from aligner.types import Alignment

FORMATS: dict[str, Format] = {
    module.FORMAT.name: module.FORMAT
    for module in (
        timit,
        textgrid,
        json,
        csv,
        ctm,
        htk,
        timit_words,
        uncertainty,
        segments,
    )
}
"""Formats by their names; of several files of labels with one stem that of the first format here counts."""

OWN_FILES = frozenset({ALIGNMENT_TABLE, OOV_TABLE, RUN_RECORD})
"""Names of a run's own tables, which no recording's file may have."""
GRID = textgrid.FORMAT.name
UNCERTAINTY = uncertainty.FORMAT.name
SEGMENTS = segments.FORMAT.name


def readers() -> Mapping[str, Format]:
    """Formats that can be read, by their suffix in small letters, in the order in which they count."""
    return {f.suffix.lower(): f for f in FORMATS.values() if f.read is not None}


def read(path: Path, recording: str = "") -> Tiers:
    """Read the tiers of labels of a file, of ``recording`` where it has several.

    Raises
    ------
    DataError
        If it cannot be read.
    """
    reader = readers()[path.suffix.lower()].read
    assert reader is not None
    return reader(path, recording)


def all_kinds(kinds: Iterable[str]) -> tuple[str, ...]:
    """What to write where ``kinds`` are asked for: a TextGrid always, and each once.

    Examples
    --------
    >>> all_kinds(["json"]), all_kinds(["textgrid", "json", "uncertainty"])
    (('textgrid', 'json'), ('uncertainty', 'json'))
    """
    wanted = tuple(kinds)
    grid = UNCERTAINTY if UNCERTAINTY in wanted else GRID
    return tuple(dict.fromkeys((grid, *(k for k in wanted if k != GRID))))


def output_path(out: Path, file: str, kind: str) -> Path:
    """Return where the output of a recording goes: its own path below ``out`` and the format's folder there.

    A name that is one of the run's own tables has ``_`` behind it, and so has that with ``_`` behind it.

    Examples
    --------
    >>> [output_path(Path("out"), file, "csv").name for file in ("one", "Alignment", "alignment_")]
    ['one.csv', 'Alignment_.csv', 'alignment__.csv']
    """
    chosen = FORMATS[kind]
    return out.joinpath(chosen.folder, f"{own_name(file, kind)}{chosen.suffix}")


def own_name(file: str, kind: str) -> str:
    """Return the path of a recording's output below its folder, without the suffix: ``file``, or near it.

    Examples
    --------
    >>> own_name("run", "json"), own_name("run", "csv"), own_name("anna/run", "json")
    ('run_', 'run', 'anna/run')
    """
    chosen = FORMATS[kind]
    if "/" in file or chosen.folder:
        return file
    return f"{file}_" if f"{file.rstrip('_')}{chosen.suffix}".casefold() in OWN_FILES else file


def output_paths(out: Path, file: str, kind: str) -> list[Path]:
    """Return all files that an output of a recording consists of, the first of which is `output_path`."""
    first, chosen = output_path(out, file, kind), FORMATS[kind]
    stem = first.name.removesuffix(chosen.suffix)
    return [first, *(first.with_name(f"{stem}{suffix}") for suffix in chosen.more)]


def write(out: Path, alignments: Sequence[Alignment], kinds: Iterable[str], several: bool = False) -> None:
    """Write one recording's alignments in each of ``kinds``.

    ``several`` says whether it has several speakers, who are then told apart by their names.
    """
    for kind in kinds:
        writer = FORMATS[kind].write
        assert writer is not None
        writer(output_path(out, alignments[0].utterance.file, kind), alignments, several)
