"""Alignments -> files: TextGrid, JSON, CSV and CTM at the mirrored path, and the tables of a run."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from aligner.formats.files import read_text, write_text
from aligner.formats.textgrid import Points, write_textgrid
from aligner.types import (
    SILENCE_LABEL,
    Alignment,
    DataError,
    Edge,
    Failure,
    Interval,
    Suspicion,
    first_place,
    foremost,
)

ALIGNMENT_TABLE, OOV_TABLE = "alignment.csv", "oovs.csv"
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
INTERVAL_COLUMNS = (
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
RUN_RECORD = "run.json"  # what the run was: where the corpus lies, which model, which options
CORRECTED = "corrected"  # a folder for what people corrected, file for file
SEGMENTS = "segments"  # a folder for TextGrids of sentences
OOV_COLUMNS = ("word", "pronunciation", "count", "file")
PROBLEM_COLUMNS = ("severity", "kind", "file", "start", "end", "utterances", "detail", "remedy")
REASONS = "; "  # between the reasons of one row
GRID, UNCERTAINTY = (
    "textgrid",
    "uncertainty",
)  # kinds of TextGrids, of which one is written: without, with a point tier
DECIMALS = 6  # of seconds, in tables and CTM; TextGrids and JSON keep all

Tiers = dict[str, list[Interval]]


def tiers(alignments: Sequence[Alignment], several: bool = False) -> Tiers:
    """The word and phone tiers of one recording, each from 0 to its end without gaps.

    Named ``words`` and ``phones``, or ``SPEAKER - words`` and ``SPEAKER - phones`` where the recording has
    several speakers, of whom some may have failed.
    """
    duration = alignments[0].duration
    result: Tiers = {}
    for prefix, own in _speakers(alignments, several):
        result[f"{prefix}words"] = _filled((i for a in own for i in a.words), duration)
        result[f"{prefix}phones"] = _filled((i for a in own for i in a.phones), duration)
    return result


def points(alignments: Sequence[Alignment], several: bool = False) -> Points:
    """A point tier for each speaker, named ``boundaries`` as `tiers` are, that tells how far off boundaries
    may be.

    A speaker of whom no boundary has an interval has no tier.
    """
    found = {
        f"{prefix}boundaries": {e.time: either_side(e) for a in own for e in a.edges}
        for prefix, own in _speakers(alignments, several)
    }
    return {name: marks for name, marks in found.items() if marks}


def either_side(edge: Edge) -> str:
    """How much earlier and how much later a boundary may be, in ms.

    Examples
    --------
    >>> either_side(Edge(1.5, low=1.492, high=1.512))
    '-8 +12'
    """
    return f"-{1000 * (edge.time - edge.low):.0f} +{1000 * (edge.high - edge.time):.0f}"


def _speakers(alignments: Sequence[Alignment], several: bool) -> Iterator[tuple[str, list[Alignment]]]:
    """What the names of each speaker's tiers begin with, and what is theirs, in the order of time."""
    speakers = list(dict.fromkeys(a.utterance.speaker for a in alignments))
    for speaker in speakers:
        own = sorted(
            (a for a in alignments if a.utterance.speaker == speaker), key=lambda a: a.utterance.start
        )
        yield f"{speaker} - " if several or len(speakers) > 1 else "", own


def _filled(intervals: Iterable[Interval], duration: float) -> list[Interval]:
    """Intervals with silence in the gaps; silences that touch become one."""
    result: list[Interval] = []

    def add(interval: Interval) -> None:
        if result and result[-1].label == interval.label == SILENCE_LABEL:
            interval = Interval(result.pop().start, interval.end, SILENCE_LABEL)
        result.append(interval)

    now = 0.0
    for i in intervals:
        if i.start > now:
            add(Interval(now, i.start, SILENCE_LABEL))
        add(i)
        now = i.end
    if now < duration:
        add(Interval(now, duration, SILENCE_LABEL))
    return result


def _write_textgrid(path: Path, alignments: Sequence[Alignment], several: bool) -> None:
    write_textgrid(path, tiers(alignments, several), alignments[0].duration)


def _write_uncertainty(path: Path, alignments: Sequence[Alignment], several: bool) -> None:
    write_textgrid(path, tiers(alignments, several), alignments[0].duration, points(alignments, several))


def _write_json(path: Path, alignments: Sequence[Alignment], several: bool) -> None:
    """As Montreal Forced Aligner lays it out, and the utterances with their figures."""
    content: dict[str, Any] = {
        "start": 0.0,
        "end": alignments[0].duration,
        "tiers": {
            name: {"type": "interval", "entries": [[i.start, i.end, i.label] for i in intervals]}
            for name, intervals in tiers(alignments, several).items()
        },
        "utterances": [
            {
                "speaker": a.utterance.speaker,
                "start": a.utterance.start,
                "end": a.utterance.end,
                "transcript": a.utterance.transcript,
                "quality": asdict(a.quality),
                "suspicions": [asdict(s) for s in a.suspicions],
                "reasons": [s.text for s in foremost(a.suspicions)],  # as ``alignment.csv`` tells them
                "boundaries": [[e.time, e.low, e.high] for e in a.edges],
                "confidence": {
                    "words": [i.confidence for i in a.words if i.label != SILENCE_LABEL],
                    "phones": [i.confidence for i in a.phones if i.label != SILENCE_LABEL],
                },
            }
            for a in alignments
        ],
    }
    write_text(path, json.dumps(content, ensure_ascii=False, indent=1) + "\n")


def _write_csv(path: Path, alignments: Sequence[Alignment], several: bool) -> None:
    """Columns as Montreal Forced Aligner's (Begin, End, Label, Type, Speaker), and how sure each and its ends
    are.
    """
    between = [
        {e.time: (round(e.low, DECIMALS), round(e.high, DECIMALS)) for e in a.edges} for a in alignments
    ]
    rows = [
        (
            round(i.start, DECIMALS),
            round(i.end, DECIMALS),
            i.label,
            kind,
            a.utterance.speaker,
            _sure(i),
            *known.get(i.start, UNKNOWN),
            *known.get(i.end, UNKNOWN),
        )
        for kind in ("words", "phones")
        for a, known in zip(alignments, between, strict=True)
        for i in getattr(a, kind)
        if i.label != SILENCE_LABEL
    ]
    write_table(path, INTERVAL_COLUMNS, rows)


def _sure(interval: Interval) -> str:
    return "" if interval.confidence is None else f"{interval.confidence:.3f}"


def cell(text: str) -> str:
    """A name or a label as CTM takes it: cells end at spaces."""
    return "_".join(text.split())


def _write_ctm(path: Path, alignments: Sequence[Alignment], several: bool) -> None:
    """NIST's time-marked words: recording, channel, start, length, label, confidence; phones in
    NAME.phones.ctm.
    """
    for kind, target in (
        ("phones", path.with_name(path.name.removesuffix(".ctm") + ".phones.ctm")),
        ("words", path),
    ):
        recording = cell(path.name.removesuffix(".ctm"))
        lines = [
            f"{recording} {(a.utterance.channel or 0) + 1} {i.start:.{DECIMALS}f} "
            f"{i.duration:.{DECIMALS}f} {cell(i.label)} {_sure(i)}".rstrip()
            + "\n"
            for a in sorted(alignments, key=lambda a: a.utterance.start)
            for i in getattr(a, kind)
            if i.label != SILENCE_LABEL
        ]
        write_text(target, "".join(lines))


def _write_segments(path: Path, alignments: Sequence[Alignment], several: bool) -> None:
    """A tier of sentences for each speaker: what `align` takes for a transcript."""
    duration = alignments[0].duration
    speakers = dict.fromkeys(a.utterance.speaker for a in alignments)
    own = {
        s: sorted(
            (i for a in alignments if a.utterance.speaker == s for i in a.sentences), key=lambda i: i.start
        )
        for s in speakers
    }
    write_textgrid(path, {speaker: _filled(said, duration) for speaker, said in own.items()}, duration)


Writer = Callable[[Path, Sequence[Alignment], bool], None]
WRITERS: Mapping[str, tuple[str, Writer]] = {
    GRID: (".TextGrid", _write_textgrid),
    UNCERTAINTY: (".TextGrid", _write_uncertainty),
    "json": (".json", _write_json),
    "csv": (".csv", _write_csv),
    "ctm": (".ctm", _write_ctm),
    "segments": (".TextGrid", _write_segments),
}


def all_kinds(kinds: Iterable[str]) -> tuple[str, ...]:
    """What to write where ``kinds`` are asked for: a TextGrid always, and each once.

    Examples
    --------
    >>> all_kinds(["json"]), all_kinds(["textgrid", "json", "uncertainty"])
    (('textgrid', 'json'), ('uncertainty', 'json'))
    """
    asked = tuple(kinds)
    grid = UNCERTAINTY if UNCERTAINTY in asked else GRID
    return tuple(dict.fromkeys((grid, *(k for k in asked if k != GRID))))


def output_path(out: Path, file: str, kind: str) -> Path:
    """Where the output of a recording goes: its own path below ``out``, or below a folder of sentences
    there."""
    return (out / SEGMENTS if kind == "segments" else out) / f"{file}{WRITERS[kind][0]}"


def write(out: Path, alignments: Sequence[Alignment], kinds: Iterable[str], several: bool = False) -> None:
    """Write one recording's alignments in each of ``kinds``; ``several`` speakers are told apart by their
    names.
    """
    for kind in kinds:
        WRITERS[kind][1](output_path(out, alignments[0].utterance.file, kind), alignments, several)


def alignment_row(result: Alignment | Failure) -> dict[str, object]:
    """A row of ``alignment.csv``; the deviations from the corpus are known only when all are done."""
    u = result.utterance
    row: dict[str, object] = {
        "file": u.file,
        "recording": u.audio.name if isinstance(u.audio, Path) else "",
        "channel": "" if u.channel is None else u.channel + 1,
        "speaker": u.speaker,
        "start": round(u.start, DECIMALS),
        "end": "" if u.end is None else round(u.end, DECIMALS),
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
    """The cells that tell why an utterance is suspect: ``reason`` for people, the others for programs."""
    told, at = foremost(suspicions), first_place(suspicions)
    return {
        "status": "suspect" if suspicions else "ok",
        "reason": REASONS.join(s.text for s in told),
        "at": "" if at is None else round(at, DECIMALS),
        "suspicions": json.dumps([asdict(s) for s in told], ensure_ascii=False) if told else "",
    }


def suspicions_of(row: Mapping[str, str]) -> tuple[Suspicion, ...]:
    """The suspicions in a row of ``alignment.csv``: all that `suspicion_cells` wrote.

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
    """What ``run.json`` holds; nothing where there is none.

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
    """Write ``run.json``."""
    write_text(out / RUN_RECORD, json.dumps(record, ensure_ascii=False, indent=1) + "\n")


def tabled_likelihoods(out: Path, files: frozenset[str]) -> list[float]:
    """Log-likelihoods per frame of ``files`` in an earlier run's ``alignment.csv``."""
    return [
        float(r["log_likelihood"])
        for r in read_table(out / ALIGNMENT_TABLE)
        if r.get("file") in files and r.get("log_likelihood")
    ]


def tabled_suspects(out: Path, files: frozenset[str]) -> int:
    """How many utterances of ``files`` are suspect in ``alignment.csv``."""
    return sum(
        r.get("file") in files and r.get("status") == "suspect" for r in read_table(out / ALIGNMENT_TABLE)
    )


def tabled_files(out: Path) -> frozenset[str]:
    """The files that an earlier run's ``alignment.csv`` tells about."""
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


def read_table(path: Path) -> list[dict[str, str]]:
    """The rows of a table of a run; none where it is not there."""
    return list(csv.DictReader(io.StringIO(read_text(path)))) if path.is_file() else []


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV file with a header, whole."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    write_text(path, text.getvalue())
