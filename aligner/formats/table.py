"""Tables with a header, as CSV files."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from aligner.formats.files import read_text, write_text
from aligner.types import Interval

TABLE_DECIMALS = 6  # of seconds, in tables and CTM; TextGrids and JSON keep all


def read_table(path: Path) -> list[dict[str, str]]:
    """The rows of a table by the names of their columns; none where there is no such file."""
    return list(csv.DictReader(io.StringIO(read_text(path)))) if path.is_file() else []


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table with a header, whole or not at all."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    write_text(path, text.getvalue())


def confidence_cell(interval: Interval) -> str:
    """A confidence in three decimals; empty where it is not known."""
    return "" if interval.confidence is None else f"{interval.confidence:.3f}"
