"""Praat TextGrids of sentences, a tier for each speaker: what `align` takes for a transcript."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from aligner.formats.base import Format
from aligner.formats.textgrid import SUFFIX, write_textgrid
from aligner.formats.tiers import filled
from aligner.types import Alignment, Interval


def write(path: Path, alignments: Sequence[Alignment], several: bool = False) -> None:
    """Write the sentences of one recording's alignments; speakers have their tiers' names in any case."""
    duration = alignments[0].duration
    said: dict[str, list[Interval]] = {a.utterance.speaker: [] for a in alignments}
    for a in alignments:
        said[a.utterance.speaker] += a.sentences
    ordered = {speaker: sorted(own, key=lambda i: i.start) for speaker, own in said.items()}
    write_textgrid(path, {speaker: filled(own, duration) for speaker, own in ordered.items()}, duration)


FORMAT = Format(name="segments", suffix=SUFFIX, write=write, offered=False, folder="segments")
