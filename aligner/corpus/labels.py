"""Labels with times, of people or of aligners: found in folders, and read by speaker.

What their files look like is the matter of `aligner.formats`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aligner.corpus.naming import ByName
from aligner.corpus.results import CORRECTED
from aligner.corpus.tier_names import MARKS, PHONES, WORDS, Ambiguous, TierNames, choose, named
from aligner.corpus.walk import walk
from aligner.formats import ctm, json
from aligner.formats.base import Tiers
from aligner.formats.files import check_reachable
from aligner.formats.registry import FORMATS, SEGMENTS, read, readers
from aligner.formats.textgrid import SUFFIX, read_points, read_textgrid
from aligner.types import DataError, Fault, Interval

MOST_NAMED = 3  # files that a message names


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


def find_labels(root: Path) -> ByName[Source]:
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
            "it is a file, not a folder" if root.exists() else "there is no such folder",
            "name the folder of .phn files, TextGrids or other labels",
            fault=Fault.LABELS,
        )
    found: dict[str, Source] = {}
    suffixes = list(readers())
    tree = walk(root)
    files = [p for p in tree.files if p.suffix.lower() in suffixes]
    for path in sorted(files, key=lambda p: -suffixes.index(p.suffix.lower())):
        relative = path.relative_to(root)
        if not _correction(root, relative):
            found.update(_sources(path, relative))
    if not found:
        raise DataError(
            root,
            "there is no .phn, TextGrid or other file of labels in this folder",
            "name the folder of the labels (.phn, .TextGrid, .json, .ctm, .lab)",
            fault=Fault.LABELS,
        )
    return ByName(dict(sorted(found.items())))


def check_aligned(folder: Path) -> None:
    """Raise DataError where there is no folder of alignments; one without any counts as a result."""
    if not folder.is_dir():
        raise DataError(
            folder, "there is no such folder", "name the folder of the alignments", fault=Fault.LABELS
        )


def _correction(root: Path, relative: Path) -> bool:
    """Return whether a file is a correction of another one of the folder, or its sentences: what a run's
    output holds is counted once.
    """
    own = (CORRECTED, FORMATS[SEGMENTS].folder)
    return relative.parts[0] in own and root.joinpath(*relative.parts[1:]).is_file()


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


def find_references(root: Path) -> ByName[Path]:
    """Find files of labels as `find_labels` does, and return their paths alone."""
    return ByName({name: source.path for name, source in find_labels(root).items()})


def read_labels(source: Source | Path, names: TierNames | None = None) -> dict[str, Labels]:
    """Read the labels of a file by speaker; a file that names none has the speaker ``""``.

    Raises
    ------
    DataError
        If it cannot be read; has neither of the tiers, listing those that are there; or has several that may
        be the one that is meant.
    """
    source = source if isinstance(source, Source) else Source(source)
    names = names or TierNames()
    tiers = read(source.path, source.recording)
    chosen, ambiguous = choose(tiers, names)
    if ambiguous:
        raise _several(source.path, ambiguous[0], names)
    if not chosen:
        raise _no_tier(source.path, f"{names.phones!r} or {names.words!r}", tiers, names.options)
    for kind, wanted, option in zip((PHONES, WORDS), (names.phones, names.words), names.options, strict=True):
        if wanted != kind and not any(kind in found for found in chosen.values()):
            raise _no_tier(source.path, repr(wanted), tiers, (option,))  # who names a tier means it
    end = max((i.end for _, intervals in tiers for i in intervals), default=0.0)
    first = dict(reversed(tiers))  # of two tiers with one name the first counts
    return {
        speaker: Labels(
            tuple(first[found[PHONES]]) if PHONES in found else None,
            tuple(first[found[WORDS]]) if WORDS in found else None,
            end,
        )
        for speaker, found in chosen.items()
    }


def read_marks(source: Source) -> dict[str, tuple[Interval, ...]]:
    """Read what the tiers ``corrected`` of a file mark, by speaker; ``""`` is all whom no tier names.

    Such a tier has intervals, of which those count that something is written in, or points, which become
    intervals that take no time.  Where there is no such tier, nothing is said of any boundary.

    Raises
    ------
    DataError
        If the file cannot be read.
    """
    tiers = read(source.path, source.recording)
    if source.path.suffix.lower() == SUFFIX.lower():
        tiers += read_points(source.path)
    marks: dict[str, tuple[Interval, ...]] = {}
    for speaker, names in named(tiers, MARKS).items():
        own = [i for name, intervals in tiers if name in names for i in intervals]
        marks[speaker] = tuple(i for i in own if i.label.strip() or i.start == i.end)
    return marks


def check_usable(root: Path, labels: Mapping[str, Source], names: TierNames | None = None) -> None:
    """Raise DataError where none of some labels can be used; the first that can be suffices.

    Parameters
    ----------
    root : Path
        The folder of the labels.
    labels : mapping
        The labels by name, as `find_labels` returns them.
    names : TierNames, optional
    """
    problems: list[DataError] = []
    for source in labels.values():
        try:
            read_labels(source, names)
            return
        except DataError as error:
            problems.append(error)
    if problems:
        raise none_usable(root, problems)


def none_usable(root: Path, problems: Sequence[DataError]) -> DataError:
    """Return the error of labels none of which can be used, with what is wrong with the first."""
    first = problems[0]
    more = f", nor {'has' if len(problems) == 2 else 'have'} {len(problems) - 1} more" if problems[1:] else ""
    return DataError(
        root,
        f"there are no references in it: {Path(first.where).name}: {first.rule}{more}",
        first.remedy,
        fault=first.fault_or(Fault.LABELS),
    )


def some(names: Sequence[str]) -> str:
    """Return the first of some names, and how many more there are.

    Examples
    --------
    >>> some(["a", "b", "c", "d"])
    "'a', 'b', 'c' and 1 more"
    """
    more = len(names) - MOST_NAMED
    return ", ".join(map(repr, names[:MOST_NAMED])) + (f" and {more} more" if more > 0 else "")


def _several(path: Path, found: Ambiguous, names: TierNames) -> DataError:
    option = names.options[0] if found.kind == PHONES else names.options[1]
    return DataError(
        path,
        f"{len(found.names)} tiers may be its {found.kind}: {', '.join(map(repr, found.names))}",
        f"name the one that is meant ({option} TIER)",
        fault=Fault.LABELS,
    )


def _no_tier(path: Path, wanted: str, tiers: Tiers, options: Sequence[str] = ()) -> DataError:
    there = ", ".join(repr(name) for name, _ in tiers)
    remedy = f"its tiers are {there or 'none'}"
    if there and options:
        remedy += f": name the one that is meant ({' or '.join(f'{o} TIER' for o in options)})"
    return DataError(path, f"it has no tier {wanted}", remedy, fault=Fault.LABELS)


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
