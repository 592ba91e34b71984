"""A run's output as a page to look at: what is wrong, how good the rest is, and every utterance to see and
hear.

Everything is beside the page, which opens from disk: browsers let such a page load scripts and pictures, but
not read files.  So an utterance is a script that hands over its labels and its sound, and a picture.
"""

from __future__ import annotations

import base64
import io
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from aligner import __version__
from aligner.corpus import audio
from aligner.corpus.labels import Labels, Source, find_labels, read_labels
from aligner.corpus.naming import ByName
from aligner.corpus.outcome import Outcome, Row
from aligner.evaluate.accuracy import Report
from aligner.evaluate.charts import charts
from aligner.evaluate.folders import Evaluation
from aligner.formats.files import write_text, written_whole
from aligner.text.phones import unstressed
from aligner.types import SILENCE_LABEL, DataError, Fault, Interval, Utterance

FOLDER = "report"
ASSETS = ("index.html", "report.css", "report.js")
HIGHEST_FREQUENCY = 8000.0  # Hz; the highest frequency of the spectrogram
# s; a Hann window of this length shows the pulses of the voice, as Praat's 5 ms Gaussian does
WINDOW_LENGTH = 0.008
COLUMN_HOP, MOST_COLUMNS = 0.004, 16_000  # s from column to column, and columns of a picture at most
RANGE_DB = 60.0  # dB from black to white
LEAST_POINTS = 512  # of the Fourier transform
JPEG_QUALITY = 80
TIME_ROUNDING = 1e-5  # s; the table rounds the times of utterances
STATUS_ORDER = {"failed": 0, "suspect": 1, "ok": 2}

Tiers = dict[str, list[tuple[float, float, str]]]  # start, end and label, by the name of the tier


def write_page(
    outcome: Outcome,
    reference: Path | None = None,
    evaluation: Evaluation | None = None,
    done: Callable[[], None] = lambda: None,
) -> Path:
    """Write ``report/index.html`` and all that it needs into the run's folder.

    Parameters
    ----------
    outcome : Outcome
    reference : Path, optional
        Folder of hand labels, whose tiers are shown beside the run's.
    evaluation : Evaluation, optional
        Against that reference.
    done : callable
        Called after each utterance.

    Returns
    -------
    Path
        Of the page.
    """
    folder = outcome.out / FOLDER
    references = {} if reference is None else find_labels(reference)
    rows = sorted(
        map(_whole, outcome.rows),
        key=lambda r: (STATUS_ORDER.get(r.status, 2), r.figures.get("confidence", 0.0)),
    )
    by_file = {} if evaluation is None else evaluation.report.by_file
    errors = ByName({name: s.mae for name, s in by_file.items()})
    durations: dict[str, list[float]] = defaultdict(list)
    entries = []

    def one(item: tuple[int, Row]) -> dict[str, Any]:
        return _write_utterance(folder, f"{item[0]:06d}", item[1], references.get(item[1].file))

    with ThreadPoolExecutor() as pool:
        for entry in pool.map(one, enumerate(rows, 1)):
            for label, length in entry.pop("durations"):
                durations[label].append(length)
            entry["mae"] = errors.get(f"{entry['file']} ({entry['speaker']})", errors.get(entry["file"]))
            entries.append(entry)
            done()
    data = {
        "title": outcome.out.resolve().name,
        "totals": _totals(outcome, rows),
        "utterances": entries,
        "accuracy": None if evaluation is None else _accuracy(evaluation.report),
        "charts": charts(durations, evaluation),
    }
    write_text(folder / "data.js", f"window.REPORT = {_json(data)};\n")
    write_text(folder / "plotly.js", _plotly())
    for name in reversed(ASSETS):  # the page itself last: it is there when everything is
        write_text(folder / name, (files("aligner.evaluate") / "assets" / name).read_text(encoding="utf-8"))
    return folder / ASSETS[0]


def _whole(row: Row) -> Row:
    """Return a row; a failed one, with the reason, where its TextGrid has gone."""
    if row.status == "failed" or row.grid is not None:
        return row
    return replace(row, status="failed", failure="its TextGrid is not there: align it again")


def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


def _json(data: object) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def _write_utterance(folder: Path, name: str, row: Row, reference: Source | None) -> dict[str, Any]:
    """Write the picture and the script of an utterance; return its entry in the list, and the lengths of its
    phones.
    """
    tiers, problem = _tiers(row, reference)
    entry = _entry(name, row, tiers)
    if problem:
        entry["reasons"].append(problem)
    try:
        sound, rate = _sound(row)
    except DataError as error:
        if row.status != "failed":
            entry["reasons"].append(error.message)
        return entry
    with written_whole(folder / "utterances" / f"{name}.jpg") as beside:
        _draw(beside, sound, rate)
    content = {
        "id": name,
        "start": row.start,
        "length": len(sound) / rate,
        "top": min(HIGHEST_FREQUENCY, rate / 2),
        "tiers": tiers,
        "audio": base64.b64encode(_flac(sound, rate)).decode(),
    }
    write_text(folder / "utterances" / f"{name}.js", f"window.utterance({_json(content)});\n")
    return {**entry, "shown": True, "end": row.start + len(sound) / rate}


def _entry(name: str, row: Row, tiers: Tiers) -> dict[str, Any]:
    """Return what the page's list has of an utterance before its recording is read."""
    return {
        "id": name,
        "file": row.file,
        "speaker": row.speaker,
        "start": row.start,
        "end": row.end,
        "status": row.status,
        "reasons": list(row.reasons),
        "at": row.at,
        "figures": dict(row.figures),
        "shown": False,
        "durations": [
            (unstressed(label), end - start)
            for start, end, label in tiers.get("phones", [])
            if label != SILENCE_LABEL
        ],
        "text": " ".join(label for *_, label in tiers.get("words", []) if label != SILENCE_LABEL),
    }


def _sound(row: Row) -> tuple[np.ndarray, int]:
    """Read the utterance's samples at the recording's own rate."""
    if row.recording is None:
        raise DataError(
            row.file, "the recording is not there", "name its folder (--corpus)", fault=Fault.UNREADABLE
        )
    rate = audio.shape_of(row.recording).rate
    utterance = Utterance(
        row.file, row.recording, "", file=row.file, channel=row.channel, start=row.start, end=row.end
    )
    return audio.read(utterance, rate).wave, rate


def _flac(sound: np.ndarray, rate: int) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.clip(sound, -1, 1), rate, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def _tiers(row: Row, reference: Source | None) -> tuple[Tiers, str]:
    """Read the words and phones of an utterance and of its reference; and what kept them from being read, if
    anything.
    """
    found: Tiers = {}
    problem = ""
    for prefix, source in (("", None if row.grid is None else Source(row.grid)), ("reference ", reference)):
        if source is None:
            continue
        try:
            labels = _of_speaker(read_labels(source), row.speaker)
        except DataError as error:
            problem = str(error)
            continue
        for kind in ("words", "phones"):
            intervals = getattr(labels, kind) if labels else None
            if intervals:
                found[prefix + kind] = _within(intervals, row.start, row.end)
    return found, problem


def _of_speaker(labels: Mapping[str, Labels], speaker: str) -> Labels | None:
    return next(iter(labels.values())) if len(labels) == 1 else labels.get(speaker)


def _within(intervals: Iterable[Interval], start: float, end: float | None) -> list[tuple[float, float, str]]:
    last = float("inf") if end is None else end
    return [
        (round(max(i.start, start), 5), round(min(i.end, last), 5), i.label)
        for i in intervals
        if i.end > start + TIME_ROUNDING and i.start < last - TIME_ROUNDING
    ]


def _draw(path: Path, sound: np.ndarray, rate: int) -> None:
    """Draw a spectrogram in grey, dark where it is loud, 0 Hz at the bottom, as JPEG."""
    from PIL import Image

    Image.fromarray(spectrogram(sound, rate)).save(path, format="JPEG", quality=JPEG_QUALITY)


def spectrogram(sound: np.ndarray, rate: int) -> np.ndarray:
    """Return the power of a sound (N,) in grey, (rows, columns) uint8; 0 is loud, the top row is the highest
    frequency.

    Emphasised by 6 dB an octave, from the loudest point down to `RANGE_DB` below it.

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000)
    >>> picture = spectrogram(tone, 16000)
    >>> rows = len(picture)
    >>> bool(abs(8000 * (1 - picture[:, 100].argmin() / rows) - 1000) < 50)
    True
    """
    hop = max(1, round(max(COLUMN_HOP, len(sound) / rate / MOST_COLUMNS) * rate))
    size = max(16, round(WINDOW_LENGTH * rate))
    points = max(LEAST_POINTS, 1 << (size - 1).bit_length())
    emphasised = np.diff(sound, prepend=sound[:1])
    padded = np.pad(emphasised, (size // 2, size))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[: len(sound) : hop]
    rows = 1 + int(points * min(HIGHEST_FREQUENCY, rate / 2) / rate)
    window = np.hanning(size).astype(np.float32)
    power = np.concatenate(
        [
            np.abs(np.fft.rfft(frames[k : k + 1024] * window, points)[:, :rows]) ** 2
            for k in range(0, len(frames), 1024)
        ]
    )
    level = 10 * np.log10(power / max(float(power.max()), 1e-20) + 1e-20)
    grey: np.ndarray = (np.clip(-level / RANGE_DB, 0, 1) * 255).astype(np.uint8).T[::-1]
    return np.ascontiguousarray(grey)


def _totals(outcome: Outcome, rows: Sequence[Row]) -> dict[str, Any]:
    status = Counter(r.status for r in rows)
    seconds = sum((r.end or r.start) - r.start for r in rows if r.status != "failed")
    return {
        "files": len({r.file for r in rows}),
        "utterances": len(rows),
        "seconds": seconds,
        "speakers": len({r.speaker for r in rows}),
        "ok": status["ok"],
        "suspect": status["suspect"],
        "failed": status["failed"],
        "words": int(sum(r.figures.get("words", 0) for r in rows)),
        "oovs": int(sum(r.figures.get("oovs", 0) for r in rows)),
        "model": outcome.record.get("model", ""),
        "version": __version__,
    }


def _accuracy(r: Report) -> dict[str, Any]:
    """Return the figures of the page's table of accuracy."""
    table = {
        name: {
            "count": s.count,
            "mae": s.mae,
            "median": s.median,
            "bias": s.bias,
            "within": s.within,
            "interval": s.interval,
        }
        for name, s in (("phones", r.phones), ("words", r.words))
        if s is not None
    }
    return {
        "tiers": table,
        "per": r.phone_error_rate,
        "files": r.files,
        "missing": r.missing,
        "f1": r.detection.f1,
        "r_value": r.detection.r_value,
        "overlap": r.overlap,
        "frames": r.frame_accuracy,
    }
