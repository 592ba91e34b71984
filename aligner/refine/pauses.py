"""Where nothing is said, by the level of the recording: for methods that have no model of silence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from aligner.features import levels
from aligner.text.phones import kind
from aligner.types import Clock

QUIET_SHARE = 0.25  # of the way from the quietest to the loud parts (in dB), below which nothing is said
QUIET_PERCENTILE, LOUD_PERCENTILE = 5, 90  # percentiles of the levels
LEAST_POWER = 1e-10  # of full scale squared
LEVEL_CLOCK = Clock(hop=80, window=80)  # of the levels
SHORTEST_PAUSE = 0.1  # s of quiet between words that are a pause
CLOSURE_QUIET = 0.06  # s of quiet that belong to a stop: before it, and half as much behind it
FINAL_QUIET = 0.03  # s of quiet that end the last word
HALF_PHONE = 0.04  # s of a phone on either side of where it is heard, where no quiet says more
EDGE_REACH = 0.25  # s from there within which it may begin or end


@dataclass(frozen=True)
class Pauses:
    """The quiet parts of an utterance; all times are in seconds from its start."""

    quiet: np.ndarray
    """(T,) bool: whether each 5 ms are quiet."""

    @classmethod
    def of(cls, wave: Tensor) -> Pauses:
        """The quiet parts of a waveform (N,) at 16 kHz."""
        return cls(quiet_frames(levels(wave, LEVEL_CLOCK, len(wave) // LEVEL_CLOCK.hop).numpy()))

    def mostly_quiet(self, first: float, last: float) -> bool:
        """Whether half of the time from ``first`` to ``last`` or more is."""
        within = self.quiet[_frame(first) : max(_frame(last), _frame(first) + 1)]
        return bool(len(within) == 0 or within.mean() >= 0.5)

    def between(self, first: float, last: float, before: str, after: str) -> tuple[float, float] | None:
        """The pause between a phone that is heard at ``first`` and one at ``last``; None where they follow at
        once.

        Of the quiet, what belongs to the closures of the phones ``before`` and ``after`` is none.
        """
        at = _frame(first)
        begin, end = (at + k for k in longest_run(self.quiet[at : _frame(last)]))
        into = CLOSURE_QUIET * (kind(after) == "stop")
        if (
            LEVEL_CLOCK.seconds(end - begin) - into - CLOSURE_QUIET / 2 * (kind(before) == "stop")
            < SHORTEST_PAUSE
        ):
            return None
        return LEVEL_CLOCK.boundary(begin), LEVEL_CLOCK.boundary(end) - into

    def onset(self, first: float, phone: str) -> float:
        """Where speech begins, the first ``phone`` of which is heard at ``first``."""
        at = _frame(first)
        reach = _frame(EDGE_REACH)
        hushed = np.flatnonzero(self.quiet[max(at - reach, 0) : at])
        if not len(hushed):
            return first - HALF_PHONE
        return LEVEL_CLOCK.boundary(max(at - reach, 0) + int(hushed[-1]) + 1) - CLOSURE_QUIET * (
            kind(phone) == "stop"
        )

    def end(self, last: float) -> float:
        """Where speech ends, the last phone of which is heard at ``last``."""
        at = _frame(last)
        run, need = 0, _frame(FINAL_QUIET)
        for k, hushed in enumerate(self.quiet[at : at + _frame(EDGE_REACH)].tolist()):
            run = run + 1 if hushed else 0
            if run == need:
                return LEVEL_CLOCK.boundary(at + k + 1 - need)
        return last + HALF_PHONE


def _frame(time: float) -> int:
    return max(0, int(np.rint(LEVEL_CLOCK.frame(time))))


def quiet_frames(levels: np.ndarray) -> np.ndarray:
    """Whether each frame is quiet, (T,), by its mean square (T,).

    Examples
    --------
    >>> quiet_frames(np.array([1e-6, 1e-2, 2e-2, 1e-6])).tolist()
    [True, False, False, True]
    """
    if not len(levels):
        return np.zeros(0, bool)
    decibels = 10 * np.log10(levels + LEAST_POWER)
    low, high = np.percentile(decibels, [QUIET_PERCENTILE, LOUD_PERCENTILE])
    quiet: np.ndarray = decibels < low + QUIET_SHARE * (high - low)
    return quiet


def longest_run(within: np.ndarray) -> tuple[int, int]:
    """First and last + 1 of the longest run of True in ``within`` (T,); (0, 0) where there is none.

    Examples
    --------
    >>> longest_run(np.array([False, True, False, True, True]))
    (3, 5)
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[0], within.astype(np.int8), [0]])))
    begins, ends = edges[::2], edges[1::2]
    if not len(begins):
        return 0, 0
    best = int((ends - begins).argmax())
    return int(begins[best]), int(ends[best])
