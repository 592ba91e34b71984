"""Labels with times, one a line: start, end, label."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from aligner.formats.files import read_text
from aligner.types import DataError, Interval


def read_lines(
    path: Path, rule: str, remedy: str, made: Callable[[str, str, str], Interval]
) -> list[Interval]:
    """Intervals of lines ``start end label``; they may not run backwards.

    Parameters
    ----------
    path : Path
    rule, remedy : str
        What is wrong, and what to do, where a line is no such line.
    made : callable
        Makes an interval of the three; raises ValueError where it cannot.

    Raises
    ------
    DataError
        Naming the line that is not so.
    """
    intervals: list[Interval] = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if not line.strip():
            continue
        try:
            start, end, *label = line.split(maxsplit=2)
            intervals.append(made(start, end, label[0].strip() if label else ""))
        except ValueError as error:
            raise DataError(f"{path}:{number}", rule, remedy) from error
        check_ascending(f"{path}:{number}", intervals[-1], intervals[-2] if len(intervals) > 1 else None)
    return intervals


def check_ascending(where: str, interval: Interval, before: Interval | None) -> None:
    """Raise DataError for times that are no times, and labels that run backwards; words may overlap, as some
    of TIMIT's do.
    """
    if not (math.isfinite(interval.start) and math.isfinite(interval.end)):
        raise DataError(where, "a time is not a number", "correct it")
    if interval.end < interval.start:
        raise DataError(where, "the label ends before it begins", "correct its times")
    if before is not None and interval.start < before.start:
        raise DataError(where, "the label begins before the one before it", "put them in order")
