"""The output folder of a run is read back: the recording, the files and the suspicions of each row of
``alignment.csv``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from aligner.corpus.audio import SUFFIXES
from aligner.corpus.results import read_run_record, suspicions_of
from aligner.formats.base import ALIGNMENT_TABLE
from aligner.formats.registry import GRID, output_path
from aligner.formats.table import read_table
from aligner.types import DataError, Suspicion, first_place

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


@dataclass(frozen=True, kw_only=True)
class Row:
    """An utterance of a run, as its row of ``alignment.csv`` has it."""

    file: str
    """Its recording's path below the corpus, without suffix."""
    speaker: str = ""
    """Who speaks."""
    recording: Path | None = None
    """The recording; None where it is not there."""
    grid: Path | None = None
    """Its TextGrid; None where it is not there."""
    channel: int | None = None
    """Its channel of the recording, from 0; None where all were mixed."""
    start: float = 0.0
    """Where it begins in the recording, in seconds."""
    end: float | None = None
    """Where it ends, in seconds; None where that is not known."""
    status: str = "ok"
    """``ok``, ``suspect`` or ``failed``."""
    failure: str = ""
    """What went wrong and what to do, where it failed."""
    suspicions: tuple[Suspicion, ...] = ()
    """Why it is suspect, and where."""
    figures: Mapping[str, float] = field(default_factory=dict)
    """The values of those `FIGURES` that the table has."""

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it failed or is suspect, in words."""
        return (self.failure,) if self.failure else tuple(s.text for s in self.suspicions)

    @property
    def at(self) -> float | None:
        """Where to look first, in seconds; None where no suspicion has a place."""
        return first_place(self.suspicions)


@dataclass(frozen=True)
class Outcome:
    """What a run left in its output folder."""

    out: Path
    """The output folder."""
    corpus: Path | None
    """Where the recordings were found."""
    record: Mapping[str, object]
    """What the run was: the content of ``run.json``."""
    rows: tuple[Row, ...]
    """The utterances of the run."""


def read_outcome(out: Path, corpus: Path | None = None) -> Outcome:
    """Read the output folder of a run.

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
    grid = output_path(out, file, GRID)
    return Row(
        file=file,
        speaker=cells.get("speaker") or "",
        recording=_recording(home, file, cells.get("recording") or ""),
        grid=grid if grid.is_file() else None,
        channel=int(cells["channel"]) - 1 if cells.get("channel") else None,
        start=float(cells.get("start") or 0),
        end=float(cells["end"]) if cells.get("end") else None,
        status=status,
        failure=(cells.get("reason") or "") if status == "failed" else "",
        suspicions=suspicions_of(cells),
        figures={name: float(cells[name]) for name in FIGURES if cells.get(name)},
    )


def _recording(home: Path | None, file: str, name: str) -> Path | None:
    """Return the recording of that name beside ``file`` below ``home``; or, where the table names none, of
    its stem.
    """
    if home is None:
        return None
    stem = home / file
    candidates = (
        [stem.with_name(name)] if name else [stem.with_name(stem.name + suffix) for suffix in SUFFIXES]
    )
    return next((c for c in candidates if c.is_file()), None)
