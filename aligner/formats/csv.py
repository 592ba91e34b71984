"""CSV with a row for each word and phone, as the Montreal Forced Aligner has it, and how sure each is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from aligner.formats.base import Format
from aligner.formats.table import TABLE_DECIMALS, confidence_cell, write_table
from aligner.types import SILENCE_LABEL, Alignment

COLUMNS = (  # the first five are the Montreal Forced Aligner's
    "Begin",
    "End",
    "Label",
    "Type",
    "Speaker",
    "Confidence",
    "BeginLow",
    "BeginHigh",
    "EndLow",
    "EndHigh",
)
UNKNOWN = ("", "")  # the cells of a boundary without an interval


def write(path: Path, alignments: Sequence[Alignment], several: bool = False) -> None:
    """Write one recording's words, then its characters, if it has any, and its phones, without silences."""
    between = [
        {e.time: (round(e.low, TABLE_DECIMALS), round(e.high, TABLE_DECIMALS)) for e in a.edges}
        for a in alignments
    ]
    rows = [
        (
            round(i.start, TABLE_DECIMALS),
            round(i.end, TABLE_DECIMALS),
            i.label,
            kind,
            a.utterance.speaker,
            confidence_cell(i),
            *known.get(i.start, UNKNOWN),
            *known.get(i.end, UNKNOWN),
        )
        for kind in ("words", "characters", "phones")
        for a, known in zip(alignments, between, strict=True)
        for i in getattr(a, kind)
        if i.label != SILENCE_LABEL
    ]
    write_table(path, COLUMNS, rows)


FORMAT = Format(name="csv", suffix=".csv", write=write)
