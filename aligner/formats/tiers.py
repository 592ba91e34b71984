"""The alignments of one recording, laid out on tiers that each fill it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from aligner.types import SILENCE_LABEL, Alignment, Interval


def tiers(alignments: Sequence[Alignment], several: bool = False) -> dict[str, list[Interval]]:
    """The word and phone tiers of one recording, each from 0 to its end without gaps; where words are written
    without spaces, a tier of ``characters`` stands between the two.

    Named ``words`` and ``phones``, or ``SPEAKER - words`` and ``SPEAKER - phones`` where the recording has
    several speakers, of whom some may have failed.
    """
    duration = alignments[0].duration
    result: dict[str, list[Interval]] = {}
    for prefix, own in by_speaker(alignments, several):
        result[f"{prefix}words"] = filled((i for a in own for i in a.words), duration)
        if any(a.characters for a in own):
            result[f"{prefix}characters"] = filled(
                (i for a in own for i in a.characters or a.words), duration
            )
        result[f"{prefix}phones"] = filled((i for a in own for i in a.phones), duration)
    return result


def by_speaker(alignments: Sequence[Alignment], several: bool) -> Iterator[tuple[str, list[Alignment]]]:
    """The beginning of the names of each speaker's tiers, and the speaker's alignments in order of time."""
    speakers = list(dict.fromkeys(a.utterance.speaker for a in alignments))
    for speaker in speakers:
        own = sorted(
            (a for a in alignments if a.utterance.speaker == speaker), key=lambda a: a.utterance.start
        )
        yield f"{speaker} - " if several or len(speakers) > 1 else "", own


def filled(intervals: Iterable[Interval], duration: float) -> list[Interval]:
    """Intervals from 0 to ``duration`` (s) with silence in the gaps; silences that touch become one."""
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
