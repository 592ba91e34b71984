"""HTK's labels: phones in NAME.lab, in whole numbers of 100 ns, or in seconds."""

from __future__ import annotations

from pathlib import Path

from aligner.formats.base import Format, Tiers
from aligner.formats.lines import read_lines
from aligner.types import Interval

UNIT = 1e-7  # s; whole numbers count 100 ns


def read(path: Path, recording: str = "") -> Tiers:
    """Read phones; times are in seconds where there is a decimal point, and scores are left out.

    Raises
    ------
    DataError
        Naming the line that is not so: a transcript has the same suffix.
    """
    intervals = read_lines(
        path,
        "not a line of start, end, label: it is a transcript, or no file of labels",
        "HTK's labels count 100 ns; or give seconds with a point",
        _interval,
    )
    return [("phones", intervals)]


def _interval(start: str, end: str, label: str) -> Interval:
    scale = 1.0 if "." in start + end else UNIT
    return Interval(scale * float(start), scale * float(end), label.split()[0] if label else "")


FORMAT = Format(name="htk", suffix=".lab", read=read, offered=False)
