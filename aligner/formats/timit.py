"""TIMIT's labels: phones in NAME.phn, words in NAME.wrd beside it, in samples at 16 kHz."""

from __future__ import annotations

from pathlib import Path

from aligner.formats.base import Format, Tiers
from aligner.formats.lines import read_lines
from aligner.types import Interval

RATE = 16_000  # Hz; .phn and .wrd count samples
WORDS = (".wrd", ".WRD")


def read_timit(path: Path) -> list[Interval]:
    """Lines of ``first-sample last-sample label`` at 16 kHz, as intervals in seconds.

    Raises
    ------
    DataError
        Naming the line that is not so.
    """
    return read_lines(
        path,
        "not a line of first sample, last sample, label",
        "labels count samples at 16 kHz",
        lambda start, end, label: Interval(int(start) / RATE, int(end) / RATE, label),
    )


def read(path: Path, recording: str = "") -> Tiers:
    """Read the phones of a recording, and the words where they are beside them."""
    words = next((w for w in map(path.with_suffix, WORDS) if w.is_file()), None)
    return [("phones", read_timit(path)), *([("words", read_timit(words))] if words else [])]


FORMAT = Format(name="timit", suffix=".phn", read=read, offered=False)
