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
from aligner.corpus.outcome import Outcome, Row
from aligner.evaluate.accuracy import Report
from aligner.evaluate.folders import Evaluation
from aligner.formats.files import write_text, written_whole
from aligner.text.phones import unstressed
from aligner.types import SILENCE_LABEL, DataError, Fault, Interval, Utterance

FOLDER = "report"
ASSETS = ("index.html", "report.css", "report.js")
TOP = 8000.0  # Hz; of the spectrogram
WINDOW = 0.008  # s; a Hann window of this length shows the pulses of the voice, as Praat's 5 ms Gaussian does
STEP, MOST_COLUMNS = 0.004, 16_000  # s from column to column, and columns of a picture at most
RANGE_DB = 60.0  # from black to white
TALL = 512  # points of the transform
QUALITY = 80  # of the JPEG
LONGEST, BIN = 0.4, 0.010  # s; of the histograms of durations
TOUCHING = 1e-5  # s; the table rounds the times of utterances
FIRST = {"failed": 0, "suspect": 1, "ok": 2}


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
        map(_whole, outcome.rows), key=lambda r: (FIRST.get(r.status, 2), r.figures.get("confidence", 0.0))
    )
    errors = {} if evaluation is None else {name: s.mae for name, s in evaluation.report.by_file.items()}
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
        "charts": _charts(durations, evaluation),
    }
    write_text(folder / "data.js", f"window.REPORT = {_json(data)};\n")
    write_text(folder / "plotly.js", _plotly())
    for name in reversed(ASSETS):  # the page itself last: it is there when everything is
        write_text(folder / name, (files("aligner.evaluate") / "assets" / name).read_text(encoding="utf-8"))
    return folder / ASSETS[0]


def _whole(row: Row) -> Row:
    """A row; a failed one, with the reason, where its TextGrid has gone."""
    if row.status == "failed" or row.grid is not None:
        return row
    return replace(row, status="failed", failure="its TextGrid is not there: align it again")


def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


def _json(data: object) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def _write_utterance(folder: Path, name: str, row: Row, reference: Source | None) -> dict[str, Any]:
    """Picture and script of an utterance; its entry in the list, and the lengths of its phones."""
    entry: dict[str, Any] = {
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
        "durations": [],
    }
    tiers, problem = _tiers(row, reference)
    if problem:
        entry["reasons"].append(problem)
    phones = tiers.get("phones", [])
    entry["durations"] = [
        (unstressed(label), end - start) for start, end, label in phones if label != SILENCE_LABEL
    ]
    entry["text"] = " ".join(label for *_, label in tiers.get("words", []) if label != SILENCE_LABEL)
    try:
        sound, rate = _sound(row)
    except DataError as error:
        if row.status != "failed":
            entry["reasons"].append(error.message)
        return entry
    begin = row.start
    picture = folder / "utterances" / f"{name}.jpg"
    with written_whole(picture) as beside:
        _draw(beside, sound, rate)
    content = {
        "id": name,
        "start": begin,
        "length": len(sound) / rate,
        "top": min(TOP, rate / 2),
        "tiers": tiers,
        "audio": base64.b64encode(_flac(sound, rate)).decode(),
    }
    write_text(folder / "utterances" / f"{name}.js", f"window.utterance({_json(content)});\n")
    return {**entry, "shown": True, "end": begin + len(sound) / rate}


def _sound(row: Row) -> tuple[np.ndarray, int]:
    """The utterance's samples at the recording's own rate."""
    if row.recording is None:
        raise DataError(
            row.file, "the recording is not there", "name its folder (--corpus)", fault=Fault.UNREADABLE
        )
    try:
        rate = int(soundfile.info(str(row.recording)).samplerate)
    except (soundfile.LibsndfileError, OSError) as error:
        raise DataError(
            row.recording,
            "the recording cannot be read",
            "it is damaged, or not audio",
            fault=Fault.UNREADABLE,
        ) from error
    utterance = Utterance(
        row.file, row.recording, "", file=row.file, channel=row.channel, start=row.start, end=row.end
    )
    return audio.read(utterance, rate).wave, rate


def _flac(sound: np.ndarray, rate: int) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.clip(sound, -1, 1), rate, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def _tiers(row: Row, reference: Source | None) -> tuple[dict[str, list[tuple[float, float, str]]], str]:
    """Words and phones of an utterance and of its reference; and what kept them from being read, if
    anything."""
    found: dict[str, list[tuple[float, float, str]]] = {}
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
        if i.end > start + TOUCHING and i.start < last - TOUCHING
    ]


def _draw(path: Path, sound: np.ndarray, rate: int) -> None:
    """A spectrogram in grey, dark where it is loud, 0 Hz at the bottom, as JPEG."""
    from PIL import Image

    Image.fromarray(spectrogram(sound, rate)).save(path, format="JPEG", quality=QUALITY)


def spectrogram(sound: np.ndarray, rate: int) -> np.ndarray:
    """Power of a sound (N,) in grey, (rows, columns) uint8; 0 is loud, the top row is the highest frequency.

    Emphasised by 6 dB an octave, from the loudest point down to `RANGE_DB` below it.

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000)
    >>> picture = spectrogram(tone, 16000)
    >>> rows = len(picture)
    >>> bool(abs(8000 * (1 - picture[:, 100].argmin() / rows) - 1000) < 50)
    True
    """
    hop = max(1, round(max(STEP, len(sound) / rate / MOST_COLUMNS) * rate))
    size = max(16, round(WINDOW * rate))
    points = max(TALL, 1 << (size - 1).bit_length())
    emphasised = np.diff(sound, prepend=sound[:1])
    padded = np.pad(emphasised, (size // 2, size))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[: len(sound) : hop]
    rows = 1 + int(points * min(TOP, rate / 2) / rate)
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
    """The figures of the page's table."""
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


def _charts(durations: Mapping[str, Sequence[float]], evaluation: Evaluation | None) -> dict[str, Any]:
    """Figures for plotly: durations by phone; errors by tolerance and by class."""
    import plotly.graph_objects as go

    labels = sorted(durations)
    table = [np.asarray(durations[label]) for label in labels]
    quartiles = [np.percentile(d, [5, 25, 50, 75, 95]) * 1000 for d in table]
    columns = list(zip(*quartiles, strict=True)) or [()] * 5
    box = go.Figure(
        go.Box(
            x=labels,
            lowerfence=columns[0],
            q1=columns[1],
            median=columns[2],
            q3=columns[3],
            upperfence=columns[4],
            name="ms",
            showlegend=False,
        )
    )
    box.update_layout(
        title="Durations by phone (ms): median, quartiles, 5 to 95 %. Click a phone for its histogram",
        yaxis_title="ms",
        xaxis_title="phone",
    )
    edges = np.append(np.arange(0, LONGEST + BIN / 2, BIN), np.inf)  # the last bin holds what is longer
    found: dict[str, Any] = {
        "durations": _plain(box),
        "bin": 1000 * BIN,
        "histograms": {
            label: np.histogram(d, edges)[0].tolist() for label, d in zip(labels, table, strict=True)
        },
    }
    if evaluation is not None and evaluation.report.phones is not None:
        late = 1000 * np.array([b.late for f in evaluation.results for b in f.phones])
        counts, edges = np.histogram(np.clip(late, -99.9, 99.9), np.arange(-100, 101, 5))
        errors = go.Figure(go.Bar(x=edges[:-1] + 2.5, y=counts))
        errors.update_layout(
            title="How late phone boundaries are (ms; what is beyond 100 is in the last bars)",
            xaxis_title="ms",
            yaxis_title="boundaries",
        )
        classes = sorted(evaluation.report.by_class.items(), key=lambda item: -item[1].count)[:20]
        by_class = go.Figure(
            go.Bar(
                x=[name for name, _ in classes],
                y=[s.mae for _, s in classes],
                customdata=[s.count for _, s in classes],
                hovertemplate="%{x}: %{y:.1f} ms, %{customdata} boundaries<extra></extra>",
            )
        )
        by_class.update_layout(
            title="Mean absolute error by class of boundary (ms), the most frequent first", yaxis_title="ms"
        )
        found |= {"errors": _plain(errors), "classes": _plain(by_class)}
    return found


def _plain(figure: Any) -> Any:
    """A plotly figure as JSON, without its long template: the page has its own colours."""
    figure.update_layout(template=None)
    return json.loads(figure.to_json())
