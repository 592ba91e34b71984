"""The tables of a run: ``alignment.csv``, ``oovs.csv`` and ``run.json``, written and read back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from aligner.formats.base import ALIGNMENT_TABLE, OOV_TABLE, RUN_RECORD
from aligner.formats.files import read_text, write_text
from aligner.formats.table import TABLE_DECIMALS, read_table, write_table
from aligner.types import SILENCE_LABEL, Alignment, DataError, Failure, Suspicion, first_place, foremost

ALIGNMENT_COLUMNS = (
    "file",
    "recording",
    "channel",
    "speaker",
    "start",
    "end",
    "words",
    "oovs",
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
    "status",
    "reason",
    "at",
    "fault",
    "suspicions",
)
CORRECTED = "corrected"  # a folder for what people corrected, file for file
OOV_COLUMNS = ("word", "pronunciation", "count", "file")
PROBLEM_COLUMNS = ("severity", "kind", "file", "start", "end", "utterances", "detail", "remedy")
READING_COLUMNS = ("written", "word", "source", "pronunciation", "problem")
REASONS = "; "  # between the reasons of one row


def alignment_row(result: Alignment | Failure) -> dict[str, object]:
    """Return a row of ``alignment.csv``; the deviations from the corpus are filled in when all utterances are
    done.
    """
    u = result.utterance
    row: dict[str, object] = {
        "file": u.file,
        "recording": u.audio.name if isinstance(u.audio, Path) else "",
        "channel": "" if u.channel is None else u.channel + 1,
        "speaker": u.speaker,
        "start": round(u.start, TABLE_DECIMALS),
        "end": "" if u.end is None else round(u.end, TABLE_DECIMALS),
    }
    if isinstance(result, Failure):
        return {**row, "status": "failed", "reason": result.message, "fault": result.fault}
    q = result.quality
    figures = {
        "log_likelihood": q.log_likelihood,
        "margin": q.margin,
        "worst_margin": q.worst_margin,
        "confidence": q.confidence,
        "crammed_run": q.crammed_run,
        "longest_word": q.longest_word,
        "silence": 1 - q.speech,
        "snr": q.snr,
        "clipped": q.clipped,
    }
    return {
        **row,
        **{name: "" if value is None else round(value, 4) for name, value in figures.items()},
        "words": sum(w.label != SILENCE_LABEL for w in result.words),
        "oovs": len(result.oovs),
        **suspicion_cells(result.suspicions),
    }


def suspicion_cells(suspicions: Sequence[Suspicion]) -> dict[str, object]:
    """Return the cells of an utterance's suspicions: ``reason`` for people, the others for programs."""
    listed, at = foremost(suspicions), first_place(suspicions)
    return {
        "status": "suspect" if suspicions else "ok",
        "reason": REASONS.join(s.text for s in listed),
        "at": "" if at is None else round(at, TABLE_DECIMALS),
        "suspicions": json.dumps([asdict(s) for s in listed], ensure_ascii=False) if listed else "",
    }


def suspicions_of(row: Mapping[str, str]) -> tuple[Suspicion, ...]:
    """Return the suspicions in a row of ``alignment.csv``: those that `suspicion_cells` wrote.

    A table of an earlier version has one text for all of them, and no places.

    Raises
    ------
    DataError
        If the cell is damaged.
    """
    if not row.get("suspicions"):
        text = row.get("reason") if row.get("status") == "suspect" else ""
        return (Suspicion(test="", text=text),) if text else ()
    try:
        return tuple(Suspicion(**found) for found in json.loads(row["suspicions"]))
    except (ValueError, TypeError) as error:
        rule = f"the suspicions of {row.get('file')!r} are not JSON"
        raise DataError(ALIGNMENT_TABLE, rule, "align again (--existing overwrite)") from error


def read_run_record(out: Path) -> Mapping[str, object]:
    """Read what ``run.json`` holds; nothing where there is none.

    Raises
    ------
    DataError
        If it is not JSON.
    """
    path = out / RUN_RECORD
    if not path.is_file():
        return {}
    try:
        content = json.loads(read_text(path))
    except ValueError as error:
        raise DataError(
            path, "it is not JSON", "delete it, and name the recordings' folder (--corpus)"
        ) from error
    return content if isinstance(content, dict) else {}


def write_run_record(out: Path, record: Mapping[str, object]) -> None:
    """Write ``run.json``, whole or not at all."""
    write_text(out / RUN_RECORD, json.dumps(record, ensure_ascii=False, indent=1) + "\n")


def tabled_likelihoods(out: Path, files: frozenset[str]) -> list[float]:
    """Return the log-likelihoods per frame of ``files`` in an earlier run's ``alignment.csv``."""
    return [
        float(r["log_likelihood"])
        for r in read_table(out / ALIGNMENT_TABLE)
        if r.get("file") in files and r.get("log_likelihood")
    ]


def tabled_suspects(out: Path, files: frozenset[str]) -> int:
    """Count the utterances of ``files`` that are suspect in ``alignment.csv``."""
    return sum(
        r.get("file") in files and r.get("status") == "suspect" for r in read_table(out / ALIGNMENT_TABLE)
    )


def tabled_files(out: Path) -> frozenset[str]:
    """Return the files that an earlier run's ``alignment.csv`` has rows of."""
    return frozenset(r["file"] for r in read_table(out / ALIGNMENT_TABLE) if r.get("file"))


def write_alignment_table(
    out: Path, rows: Iterable[Mapping[str, object]], kept: frozenset[str] = frozenset()
) -> None:
    """Write ``alignment.csv``; for the files in ``kept`` the rows of an earlier run stand, where it has
    any."""
    earlier = [r for r in read_table(out / ALIGNMENT_TABLE) if r.get("file") in kept]
    standing = {r["file"] for r in earlier}
    new = (r for r in rows if r["file"] not in standing)
    merged = sorted([*earlier, *new], key=lambda r: (str(r["file"]), float(str(r["start"] or 0))))
    write_table(
        out / ALIGNMENT_TABLE, ALIGNMENT_COLUMNS, [[r.get(c, "") for c in ALIGNMENT_COLUMNS] for r in merged]
    )


def write_oov_table(
    out: Path, alignments: Iterable[tuple[str, Sequence[tuple[str, str]]]], kept: frozenset[str] = frozenset()
) -> None:
    """Write ``oovs.csv`` from (file, oovs) pairs: each word, what was used, how often, and where first.

    Words of an earlier run that are not in this one stay where their file is in ``kept``.
    """
    found: dict[str, list[object]] = {}
    for file, oovs in alignments:
        for word, pronunciation in oovs:
            row = found.setdefault(word, [word, pronunciation, 0, file])
            row[2] = int(str(row[2])) + 1
    standing = [
        r for r in read_table(out / OOV_TABLE) if r.get("word") not in found and r.get("file") in kept
    ]
    earlier = [[r.get(c, "") for c in OOV_COLUMNS] for r in standing]
    write_table(out / OOV_TABLE, OOV_COLUMNS, sorted([*found.values(), *earlier], key=lambda r: str(r[0])))
