"""What is heard before the first sound of a recording and behind its last: always as much.

One person leaves a minute of an empty room there, another stops the recorder in the last word.  What a
recording is normalised by, and what a network attends to, should not tell the two apart: so of a room only
what is beside the sound stays, and the rest of the margin is the recording's own background.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from aligner.corpus.dead import CUT_STEP, HUSH_LEVEL, HUSH_STEP, Lively, filled, hushed, levels_of

MARGIN = 0.24  # s that are heard before the first sound and behind the last
KEPT_ROOM = 0.08  # s of these that stay as they are
ROOM_SHARE = 0.1  # of a recording, the quietest, that the rest of them sounds like
SPAN = 5  # steps that a level is taken over at once
QUIET_SPANS = 5  # the quietest spans of the recording, that tell the level of its room
ROOM_RANGE = 10 ** (12 / 20)  # times that level, below which nothing is heard but a room that is not hushed
ROOM_LEVEL = 10 ** (-26 / 20)  # of the loud, that a room has at most


class Margin(NamedTuple):
    """What becomes of one end of a recording, in samples."""

    cut: int
    """How many are left out."""
    put: int
    """How many of background take their place."""

    @classmethod
    def of(cls, room: int, rate: int, step: int) -> Margin:
        """What becomes of an end that is an empty room for so many samples: whole steps of some samples."""
        cut = max(room - round(KEPT_ROOM * rate), 0) // step * step
        return cls(cut, max(round(MARGIN * rate) - room + cut, 0) // step * step)


def with_margins(heard: Lively, rate: int) -> Lively:
    """A recording with `MARGIN` seconds at both ends in which nothing is heard but its room.

    It stays as it is where its room is so loud that no end of the sound can be seen.

    Parameters
    ----------
    heard : Lively
        The recording without its dead sound.
    rate : int
        Samples a second.

    Examples
    --------
    >>> wave = np.random.default_rng(0).standard_normal(16000)
    >>> wave[:8000] /= 1000
    >>> found = with_margins(Lively.whole(wave), 16000)
    >>> len(found.samples) / 16000, found.cuts.head, found.cuts.tail
    (1.0, 0.24, -0.24)
    """
    rooms = _rooms(hushed(heard.samples, rate), rate)  # those that a gate would have left
    if rooms is None:
        return heard
    step = round(CUT_STEP * rate)  # at the start, so that windows fall where they would have fallen
    head, tail = Margin.of(rooms[0], rate, step), Margin.of(rooms[1], rate, 1)
    kept = heard.samples[head.cut : len(heard.samples) - tail.cut]
    before, behind = (np.zeros(end.put, kept.dtype) for end in (head, tail))
    whole = np.concatenate([before, kept, behind])
    rests = np.array([[0, head.put], [len(whole) - tail.put, len(whole)]])
    return Lively(
        filled(whole, rests, kept, np.array([[0, len(kept)]]), rate, ROOM_SHARE),
        replace(heard.cuts, head=(head.cut - head.put) / rate, tail=(tail.cut - tail.put) / rate),
        heard.stretches,
    )


def _rooms(samples: np.ndarray, rate: int) -> tuple[int, int] | None:
    """For how many samples nothing is heard but the room at either end; None where nobody can tell.

    Parameters
    ----------
    samples : ndarray
        (N,) with what is hushed.
    rate : int
        Samples a second.
    """
    levels, usual = levels_of(samples, rate)
    if len(levels) < 2 * SPAN:
        return None
    beyond = np.zeros(SPAN)  # a recording that ends in sound ends as if a room were behind it
    sums = np.cumsum(np.concatenate([[0.0], beyond, np.square(levels), beyond]))
    powers = ((sums[SPAN:] - sums[:-SPAN]) / SPAN).clip(min=0.0)
    inside, least = powers[SPAN:-SPAN], HUSH_LEVEL * usual
    room = float(np.sqrt(np.partition(inside, QUIET_SPANS)[:QUIET_SPANS].mean()))
    sound = np.flatnonzero(powers > (least if room < least else ROOM_RANGE * room) ** 2)
    if room > ROOM_LEVEL * usual or not len(sound):
        return None
    middles = (sound[[0, -1]] - SPAN + SPAN // 2) * round(HUSH_STEP * rate)
    first, last = middles.clip(0, len(samples)).tolist()
    return first, len(samples) - last
