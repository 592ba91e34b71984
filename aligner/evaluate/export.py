"""An evaluation as files: every boundary as a row of CSV, every figure as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from aligner.evaluate.boundaries import DETECTION_TOLERANCE
from aligner.evaluate.folders import Evaluation
from aligner.evaluate.speech_folders import SpeechReport
from aligner.formats.files import write_text
from aligner.formats.table import write_table

SPEECH_COLUMNS = (
    "file",
    "frames",
    "mcd_db",
    "floor_db",
    "f0_rmse_hz",
    "f0_rmse_cents",
    "vuv_percent",
    "gpe_percent",
    "ffe_percent",
)
COLUMNS = ("file", "speaker", "tier", "left", "right", "class", "reference", "aligned", "error_ms")


def write_boundaries(path: Path, evaluation: Evaluation) -> None:
    """A row for each boundary that both sides have; times in seconds, late errors above 0."""
    rows = (
        (
            f.file,
            f.speaker,
            tier,
            b.left,
            b.right,
            b.classes if tier == "phones" else "",
            f"{b.reference:.6f}",
            f"{b.aligned:.6f}",
            f"{1000 * b.late:.3f}",
        )
        for f in evaluation.results
        for tier, boundaries in (("phones", f.phones), ("words", f.words))
        for b in boundaries
    )
    write_table(path, COLUMNS, rows)


def write_speech(path: Path, report: SpeechReport) -> None:
    """A row for each pair of recordings; empty where a figure cannot be computed."""
    figures = {
        name: (s.mcd, s.floor, s.f0.rmse_hz, s.f0.rmse_cents, s.f0.vuv, s.f0.gpe, s.f0.ffe)
        for name, s in report.files.items()
    }
    rows = (
        (name, report.files[name].frames, *("" if f is None else f"{f:.4f}" for f in own))
        for name, own in figures.items()
    )
    write_table(path, SPEECH_COLUMNS, rows)


def write_figures(path: Path, evaluation: Evaluation) -> None:
    """All of the report, what is missing and why, and what could not be read."""
    write_text(path, json.dumps(figures(evaluation), ensure_ascii=False, indent=1) + "\n")


def figures(evaluation: Evaluation) -> dict[str, Any]:
    """All figures of an evaluation, as `write_figures` writes them."""
    report = asdict(evaluation.report)
    if not evaluation.report.reference_phones:  # nothing was measured
        report |= dict.fromkeys(("phone_error_rate", "detection", "overlap", "frame_accuracy", "coverage"))
    return {
        **report,
        "detection_tolerance_ms": 1000 * DETECTION_TOLERANCE,
        "missing_files": dict(evaluation.missing),
        "problems": [str(p) for p in evaluation.problems],
        "suggested_map": dict(evaluation.suggested),
    }
