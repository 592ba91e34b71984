"""Praat TextGrids: read strictly, written with the ``textgrid`` package."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import textgrid

from aligner.formats.base import Format, Tiers
from aligner.formats.files import read_text, written_whole
from aligner.formats.tiers import tiers
from aligner.types import Alignment, DataError, Interval

SUFFIX = ".TextGrid"
INTERVALS, POINTS = "IntervalTier", "TextTier"  # kinds of tiers, as Praat calls them
Points = Mapping[str, Mapping[float, str]]  # marks by their time in seconds, by the name of their tier

# Praat reads a text file as free-standing strings, numbers and flags; all else is comment
_FREE_STANDING = re.compile(r'"(?:[^"]|"")*"|<\w+>|(?<!\S)[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?(?!\S)')
TOUCHING = 1e-6  # s; intervals that overlap by less were rounded


def read_textgrid(path: Path) -> Tiers:
    """Read the names and intervals of the interval tiers; point tiers are left out.

    Parameters
    ----------
    path : Path
        A TextGrid in Praat's long or short text format.

    Raises
    ------
    DataError
        If it is no TextGrid, ends early, or has an interval that is reversed, empty, or overlaps the
        one before it; the ``textgrid`` package drops the reversed ones without a word.
    """
    found = _tiers_of_kind(path, INTERVALS)
    for name, intervals in found:
        _check(path, name, intervals)
    return found


def read_points(path: Path) -> Tiers:
    """Read the names and points of the point tiers, each point as an interval that takes no time.

    Parameters
    ----------
    path : Path
        A TextGrid in Praat's long or short text format.

    Raises
    ------
    DataError
        If it is no TextGrid, or ends early.
    """
    return _tiers_of_kind(path, POINTS)


def _tiers_of_kind(path: Path, kind: str) -> Tiers:
    """Read the tiers of a kind, whatever is in them."""
    if path.is_file() and path.read_bytes()[:12] == b"ooBinaryFile":
        raise DataError(path, "it is a binary TextGrid", "save it as text from Praat")
    text = read_text(path)
    if "ooTextFile" not in text[:200] or "TextGrid" not in text[:400]:
        raise DataError(path, "it is not a TextGrid", 'it should begin with File type = "ooTextFile"')
    try:
        return [(name, own) for other, name, own in _tiers(_FREE_STANDING.findall(text)) if other == kind]
    except (StopIteration, ValueError) as error:
        raise DataError(path, "it ends early or is damaged", "open and save it in Praat") from error


def grid_end(path: Path) -> float:
    """Read where a TextGrid ends, in seconds, from its header; its tiers may end before.

    Raises
    ------
    DataError
        If it has no such head.
    """
    tokens = _FREE_STANDING.findall(read_text(path))
    try:
        return float(tokens[tokens.index("<exists>") - 1])
    except ValueError as error:
        raise DataError(path, "it is damaged", "open and save it in Praat") from error


def _tiers(tokens: list[str]) -> list[tuple[str, str, list[Interval]]]:
    """The kind, the name and the marks of each tier."""
    values = iter(tokens[tokens.index("<exists>") + 1 :] if "<exists>" in tokens else ())
    found = []
    for _ in range(int(next(values))):
        kind, name = _string(next(values)), _string(next(values))
        next(values), next(values)
        marks = [_mark(values, kind) for _ in range(int(next(values)))]
        found.append((kind, name, marks))
    return found


def _mark(values: Iterator[str], kind: str) -> Interval:
    start = float(next(values))
    end = float(next(values)) if kind == INTERVALS else start
    return Interval(start, end, _string(next(values)))


def _string(token: str) -> str:
    if not token.startswith('"'):
        raise ValueError(token)
    return token[1:-1].replace('""', '"')


def _check(path: Path, tier: str, intervals: Sequence[Interval]) -> None:
    for k, i in enumerate(intervals, 1):
        if i.end <= i.start:
            raise DataError(
                path,
                f"interval {k} of tier {tier!r} is reversed or empty ({i.start:g} to {i.end:g} s)",
                "correct it in Praat",
            )
    for k, (a, b) in enumerate(pairwise(intervals), 2):
        if b.start < a.end - TOUCHING:
            raise DataError(
                path,
                f"interval {k} of tier {tier!r} begins at {b.start:g} s, before the one before it "
                f"ends at {a.end:g} s",
                "correct it in Praat",
            )


def write_textgrid(
    path: Path, intervals: Mapping[str, Sequence[Interval]], duration: float, points: Points | None = None
) -> None:
    """Write interval tiers that each fill 0 to ``duration`` (s), then point tiers; in place when complete."""
    grid = textgrid.TextGrid(minTime=0.0, maxTime=duration)
    for name, own in intervals.items():
        tier = textgrid.IntervalTier(name.replace('"', '""'), 0.0, duration)
        tier.intervals = [textgrid.Interval(i.start, i.end, i.label) for i in own]
        grid.append(tier)
    for name, marks in (points or {}).items():
        tier = textgrid.PointTier(name.replace('"', '""'), 0.0, duration)
        tier.points = [textgrid.Point(time, mark) for time, mark in sorted(marks.items())]
        grid.append(tier)
    with written_whole(path) as beside, beside.open("w", encoding="utf-8", newline="\n") as file:
        grid.write(file)  # by name it would open it for slow writes


def read(path: Path, recording: str = "") -> Tiers:
    """Read the interval tiers of a TextGrid (see `read_textgrid`)."""
    return read_textgrid(path)


def write(path: Path, alignments: Sequence[Alignment], several: bool = False) -> None:
    """Write the tiers of one recording's words and phones."""
    write_textgrid(path, tiers(alignments, several), alignments[0].duration)


FORMAT = Format(name="textgrid", suffix=SUFFIX, write=write, read=read)
