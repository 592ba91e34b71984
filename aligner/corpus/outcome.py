"""A run's output folder, read back: which recording each row of ``alignment.csv`` is about, and where its
files are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aligner.corpus.audio import SUFFIXES
from aligner.corpus.results import ALIGNMENT_TABLE, REASONS, output_path, read_run_record, read_table
from aligner.types import DataError

PLACE = re.compile(r"\b(?:at|from) (\d+\.\d\d)(?: s\b| to )")  # where in the recording a reason says to look
QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")  # words of the transcript, which may hold numbers
FIGURES = (
    "log_likelihood",
    "likelihood_deviation",
    "margin",
    "worst_margin",
    "confidence",
    "duration_deviation",
    "crammed_run",
    "longest_word",
    "silence",
    "snr",
    "clipped",
    "words",
    "oovs",
)


@dataclass(frozen=True)
class Row:
    """An utterance of a run.

    Attributes
    ----------
    file, speaker : str
    recording, grid : Path or None
        Its recording and its TextGrid; None where they are not there.
    channel : int or None
        From 0.
    start, end : float, float or None
        In seconds; ``end`` None where it is not known.
    status : str
        ``ok``, ``suspect`` or ``failed``.
    reasons : tuple of str
    figures : mapping of str to float
        Those of `FIGURES` that the table has.
    """

    file: str
    speaker: str
    recording: Path | None
    grid: Path | None
    channel: int | None
    start: float
    end: float | None
    status: str
    reasons: tuple[str, ...]
    figures: Mapping[str, float]

    @property
    def at(self) -> float | None:
        """Where to look first, in seconds; None where the reasons do not say."""
        found = (PLACE.search(QUOTED.sub("", reason)) for reason in self.reasons)
        return next((float(m.group(1)) for m in found if m), None)


@dataclass(frozen=True)
class Outcome:
    """What a run left.

    Attributes
    ----------
    out : Path
    corpus : Path or None
        Where the recordings were found.
    record : mapping of str to object
        ``run.json``.
    rows : tuple of Row
    """

    out: Path
    corpus: Path | None
    record: Mapping[str, object]
    rows: tuple[Row, ...]


def read_outcome(out: Path, corpus: Path | None = None) -> Outcome:
    """Read a run's output folder.

    Parameters
    ----------
    out : Path
    corpus : Path, optional
        Where the recordings are, if not where they were.

    Raises
    ------
    DataError
        If it is not the output folder of a run, or none of the recordings that were aligned is there.
    """
    table = out / ALIGNMENT_TABLE
    if not table.is_file():
        raise DataError(out, f"there is no {ALIGNMENT_TABLE} in it", "name the output folder of 'align'")
    record = read_run_record(out)
    home = corpus or (Path(str(record["corpus"])) if record.get("corpus") else None)
    cells = read_table(table)
    if not cells or any(c.get("file") is None or c.get("status") is None for c in cells):
        raise DataError(table, "it is empty or cut off", "align again (--existing overwrite)")
    rows = tuple(_row(c, out, home) for c in cells)
    aligned = [r for r in rows if r.status != "failed"]
    if aligned and not any(r.recording for r in aligned):
        raise DataError(
            out, f"its recordings are not in {home or 'any known folder'}", "name their folder (--corpus)"
        )
    return Outcome(out, home, record, rows)


def _row(cells: Mapping[str, str], out: Path, home: Path | None) -> Row:
    file, status = cells["file"], cells.get("status") or "ok"
    grid = output_path(out, file, "textgrid")
    reason = cells.get("reason") or ""
    return Row(
        file,
        cells.get("speaker") or "",
        _recording(home, file, cells.get("recording") or ""),
        grid if grid.is_file() else None,
        int(cells["channel"]) - 1 if cells.get("channel") else None,
        float(cells.get("start") or 0),
        float(cells["end"]) if cells.get("end") else None,
        status,
        (reason,) if status == "failed" else tuple(filter(None, reason.split(REASONS))),
        {name: float(cells[name]) for name in FIGURES if cells.get(name)},
    )


def _recording(home: Path | None, file: str, name: str) -> Path | None:
    """The recording of that name beside ``file`` below ``home``; or, where the table names none, of its
    stem."""
    if home is None:
        return None
    stem = home / file
    candidates = (
        [stem.with_name(name)] if name else [stem.with_name(stem.name + suffix) for suffix in SUFFIXES]
    )
    return next((c for c in candidates if c.is_file()), None)
