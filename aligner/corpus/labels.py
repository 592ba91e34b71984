"""Labels with times, of people or of aligners: found in folders, and read by speaker.

What their files look like is the matter of `aligner.formats`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from aligner.corpus.results import CORRECTED
from aligner.formats import ctm, json
from aligner.formats.base import Tiers
from aligner.formats.files import check_reachable
from aligner.formats.registry import read, readers
from aligner.formats.textgrid import read_textgrid
from aligner.types import DataError, Fault, Interval


@dataclass(frozen=True)
class Labels:
    """What is labelled of one speaker of a recording."""

    phones: tuple[Interval, ...] | None
    """The phones; None where there is no such tier."""
    words: tuple[Interval, ...] | None
    """The words; None where there is no such tier."""
    end: float
    """Where the labels end, in seconds: the recording's end in a TextGrid."""


@dataclass(frozen=True)
class Source:
    """A file of labels, and the recording in it that is meant."""

    path: Path
    """The file."""
    recording: str = ""
    """The recording that is meant, where the file has several (CTM)."""


@dataclass(frozen=True)
class TierNames:
    """What the tiers of labels are called; ``SPEAKER - NAME`` is understood, too."""

    phones: str = "phones"
    """The name of the tier of phones."""
    words: str = "words"
    """The name of the tier of words."""


def find_labels(root: Path) -> dict[str, Source]:
    """Find files of labels in a folder, by their path below it without suffix.

    Raises
    ------
    DataError
        If there is no such folder, or no labels in it.
    """
    check_reachable(root)
    if not root.is_dir():
        raise DataError(
            root,
            "there is no such folder",
            "name the folder of .phn files, TextGrids or other labels",
            fault=Fault.LABELS,
        )
    found: dict[str, Source] = {}
    suffixes = list(readers())
    files = [p for p in sorted(root.rglob("*")) if p.suffix.lower() in suffixes and p.is_file()]
    for path in sorted(files, key=lambda p: -suffixes.index(p.suffix.lower())):
        relative = path.relative_to(root)
        if any(part.startswith(".") for part in relative.parts) or _correction(root, relative):
            continue
        found.update(_sources(path, relative))
    if not found:
        raise DataError(
            root,
            "there is no .phn, TextGrid or other file of labels in this folder",
            "name the folder of the labels (.phn, .TextGrid, .json, .ctm, .lab)",
            fault=Fault.LABELS,
        )
    return dict(sorted(found.items()))


def check_aligned(folder: Path) -> None:
    """Raise DataError where there is no folder of alignments; one without any counts as a result."""
    if not folder.is_dir():
        raise DataError(
            folder, "there is no such folder", "name the folder of the alignments", fault=Fault.LABELS
        )


def _correction(root: Path, relative: Path) -> bool:
    """Return whether a file corrects another one of the folder: what a run's output holds is counted once."""
    return relative.parts[0] == CORRECTED and root.joinpath(*relative.parts[1:]).is_file()


def _sources(path: Path, relative: Path) -> Iterable[tuple[str, Source]]:
    """Return the recordings that a file has labels of, by name."""
    name = relative.with_suffix("").as_posix()
    suffix = path.suffix.lower()
    if suffix == ctm.SUFFIX:
        name = name.removesuffix(ctm.PHONES)
        recordings = ctm.recordings(path)
        if set(recordings) - {ctm.cell(Path(name).name)}:
            return [((relative.parent / r).as_posix(), Source(path, r)) for r in recordings]
    if suffix == json.FORMAT.suffix and not json.holds_labels(path):
        return []
    return [(name, Source(path))]


def find_references(root: Path) -> dict[str, Path]:
    """Find files of labels as `find_labels` does, and return their paths alone."""
    return {name: source.path for name, source in find_labels(root).items()}


def read_labels(source: Source | Path, names: TierNames | None = None) -> dict[str, Labels]:
    """Read the labels of a file by speaker; a file that names none has the speaker ``""``.

    Raises
    ------
    DataError
        If it cannot be read; or has neither of the tiers, listing those that are there.
    """
    source = source if isinstance(source, Source) else Source(source)
    names = names or TierNames()
    tiers = read(source.path, source.recording)
    speakers: dict[str, dict[str, list[Interval]]] = {}
    for kind, wanted in (("phones", names.phones), ("words", names.words)):
        for name, intervals in tiers:
            if name == wanted or name.endswith(f" - {wanted}"):
                speaker = name.removesuffix(wanted).removesuffix(" - ")
                speakers.setdefault(speaker, {}).setdefault(kind, intervals)
    if not speakers:
        raise _no_tier(source.path, f"{names.phones!r} or {names.words!r}", tiers)
    for kind, wanted, usual in (("phones", names.phones, "phones"), ("words", names.words, "words")):
        if wanted != usual and not any(kind in found for found in speakers.values()):
            raise _no_tier(source.path, repr(wanted), tiers)  # who names a tier means it
    end = max((i.end for _, intervals in tiers for i in intervals), default=0.0)
    return {
        speaker: Labels(_tuple(found.get("phones")), _tuple(found.get("words")), end)
        for speaker, found in speakers.items()
    }


def _tuple(intervals: Sequence[Interval] | None) -> tuple[Interval, ...] | None:
    return None if intervals is None else tuple(intervals)


def _no_tier(path: Path, wanted: str, tiers: Tiers) -> DataError:
    there = ", ".join(repr(name) for name, _ in tiers)
    return DataError(path, f"it has no tier {wanted}", f"its tiers are {there or 'none'}", fault=Fault.LABELS)


def tier(path: Path, name: str) -> list[Interval]:
    """Read the intervals of a TextGrid's tier ``name`` or of the first that ends in ``- name``.

    Raises
    ------
    DataError
        Listing the tiers that are there.
    """
    tiers = read_textgrid(path)
    for found, intervals in tiers:
        if found == name or found.endswith(f"- {name}"):
            return intervals
    raise _no_tier(path, repr(name), tiers)


def read_reference(path: Path) -> tuple[list[Interval], list[Interval]]:
    """Read the phones and words of the first speaker of a file; empty where there are none."""
    labels = next(iter(read_labels(path).values()))
    return list(labels.phones or ()), list(labels.words or ())
