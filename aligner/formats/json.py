"""JSON as the Montreal Forced Aligner lays it out, with the utterances and their figures beside the tiers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from aligner.formats.base import Format, Tiers
from aligner.formats.files import read_text, write_text
from aligner.formats.lines import check_ascending
from aligner.formats.tiers import tiers
from aligner.types import SILENCE_LABEL, Alignment, DataError, Interval, Suspicion, foremost


def write(path: Path, alignments: Sequence[Alignment], several: bool = False) -> None:
    """Write one recording's tiers, and what is known of each of its utterances."""
    content: dict[str, Any] = {
        "start": 0.0,
        "end": alignments[0].duration,
        "tiers": {
            name: {"type": "interval", "entries": [[i.start, i.end, i.label] for i in intervals]}
            for name, intervals in tiers(alignments, several).items()
        },
        "utterances": [_utterance(a) for a in alignments],
    }
    _write(path, content)


def _utterance(a: Alignment) -> dict[str, Any]:
    return {
        "speaker": a.utterance.speaker,
        "start": a.utterance.start,
        "end": a.utterance.end,
        "transcript": a.utterance.transcript,
        "quality": asdict(a.quality),
        **_judged(a.suspicions),
        "boundaries": [[e.time, e.low, e.high] for e in a.edges],
        "confidence": {
            "words": [i.confidence for i in a.words if i.label != SILENCE_LABEL],
            "phones": [i.confidence for i in a.phones if i.label != SILENCE_LABEL],
        },
    }


def _judged(suspicions: Sequence[Suspicion]) -> dict[str, Any]:
    return {
        "suspicions": [asdict(s) for s in suspicions],
        "reasons": [s.text for s in foremost(suspicions)],  # for scripts that read no suspicions
    }


def judge_again(path: Path, suspicions: Mapping[int, Sequence[Suspicion]]) -> None:
    """Replace the suspicions of some utterances of a file that `write` wrote, by their places among these:
    the rest of their corpus tells more than one recording does.
    """
    content = json.loads(read_text(path))
    for place, own in suspicions.items():
        content["utterances"][place].update(_judged(own))
    _write(path, content)


def _write(path: Path, content: dict[str, Any]) -> None:
    write_text(path, json.dumps(content, ensure_ascii=False, indent=1) + "\n")


def read(path: Path, recording: str = "") -> Tiers:
    """Read tiers of entries ``[start, end, label]``, as the Montreal Forced Aligner and `write` have them.

    Raises
    ------
    DataError
        If it is no such JSON, or labels run backwards.
    """
    try:
        found = [
            (str(name), [Interval(float(a), float(b), str(label)) for a, b, label in tier["entries"]])
            for name, tier in json.loads(read_text(path))["tiers"].items()
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            path,
            "it is not JSON with tiers of entries [start, end, label]",
            "write it with --format json, or give TextGrids",
        ) from error
    for name, intervals in found:
        for k, interval in enumerate(intervals):
            where = f"{path}, tier {name!r}, entry {k + 1}"
            check_ascending(where, interval, intervals[k - 1] if k else None)
    return found


def holds_labels(path: Path) -> bool:
    """Whether a file has tiers, and is no other JSON; one that cannot be read may have some."""
    try:
        content = json.loads(read_text(path))
    except (DataError, ValueError):
        return True
    return isinstance(content, dict) and "tiers" in content


FORMAT = Format(name="json", suffix=".json", write=write, read=read)
