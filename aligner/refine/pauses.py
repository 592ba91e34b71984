"""Where nothing is said, by the level of the recording: for methods that have no model of silence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
import torch
from torch import Tensor

from aligner.features import levels, sounding_levels
from aligner.text.phones import kind
from aligner.types import SILENCE_LABEL, Clock, Interval

QUIET_SHARE = 0.25  # of the way from the quietest to the loud parts (in dB), below which nothing is said
QUIET_PERCENTILE, LOUD_PERCENTILE = 5, 90  # percentiles of the levels
NO_PHONE = 32  # dB below the loud parts, from which on no phone is so soft but for closures, which are short
NO_PHONE_SHARE = 0.6  # of the way from the quietest to the loud parts, above which it may be one all the same
LEAST_POWER = 1e-10  # of full scale squared
LEVEL_CLOCK = Clock(hop=80, window=80)  # of the levels
SHORTEST_PAUSE = 0.1  # s of quiet between words that are a pause
CLOSURE_QUIET = 0.06  # s of quiet that belong to a stop: before it, and half as much behind it
LONGEST_CLOSURE = 0.15  # s of silence between words that are the closure of the stop behind them
FINAL_QUIET = 0.03  # s of quiet that end the last word
HALF_PHONE = 0.04  # s of a phone on either side of where it is heard, where no quiet says more
EDGE_REACH = 0.25  # s from there within which it may begin or end

FRAMES_SMOOTHED = 5  # frames over which energies are smoothed: voices and noises flicker
FILTERS_IN_BAND = 5  # neighbouring filters that make a band
FRAME_RATE = 100.0  # frames a second of these energies
FLOOR_QUANTILE = 0.1  # of a band's log energies: the noise of the recording, where no more is heard
FLOOR_FRAMES, FLOOR_STEP = 2000, 500  # frames in which the noise is the same, and after which it may not be
AUDIBLE = 0.46  # nats (2 dB) that a band may lie above the floor before it tells of a sound
SURELY_AUDIBLE = 0.46  # nats above that from which it tells no more: breath and knocks are no speech
AUDIBLE_COST = 16.0  # nats that a pause costs in a frame for each nat that its bands are audible in the mean


@dataclass(frozen=True)
class Pauses:
    """The quiet parts of an utterance; all times are in seconds from its start."""

    quiet: np.ndarray
    """(T,) bool: whether each 5 ms are quiet."""

    silent: np.ndarray
    """(T,) bool: whether each 5 ms are too soft for any phone, for as long as a pause lasts."""

    @classmethod
    def of(cls, wave: Tensor) -> Pauses:
        """The quiet parts of a waveform (N,) at 16 kHz."""
        power = levels(wave, LEVEL_CLOCK, len(wave) // LEVEL_CLOCK.hop).numpy()
        return cls(quiet_frames(power), silent_frames(power))

    def silent_at(self, clock: Clock, count: int) -> np.ndarray:
        """Whether each of ``count`` frames of a clock is too soft for any phone, (count,)."""
        if not len(self.silent):
            return np.zeros(count, bool)
        at = [round(LEVEL_CLOCK.frame(clock.boundary(k + 0.5)) - 0.5) for k in range(count)]
        within: np.ndarray = self.silent[np.clip(at, 0, len(self.silent) - 1)]
        return within

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


def pause_cost(energies: Tensor) -> Tensor:
    """What each frame costs as a part of a pause between words: more than nothing where it is audible.

    A model of silence has learnt from all kinds of rooms: in a noisy one a soft nasal or liquid may look
    more like it than like speech.  The recording itself tells better what its own noise is.

    Parameters
    ----------
    energies : Tensor
        (T, filters) log energies of mel filters, 10 ms from one to the next; each may be off by a constant.

    Returns
    -------
    Tensor
        (T,) in nats, from 0 to `AUDIBLE_COST` times `SURELY_AUDIBLE`.

    Examples
    --------
    >>> hum = torch.zeros(40, 25)
    >>> hum[20:30, :15] = 1.0
    >>> pause_cost(hum)[[0, 25]].round().tolist()
    [0.0, 4.0]
    """
    if not len(energies):
        return energies.new_zeros(0)
    values = energies.detach().float().cpu().numpy()  # torch takes twice as long on numbers this few
    smooth = _smooth(values)
    sound = sounding_levels(_row_means(values), FRAME_RATE)
    above = [
        smooth[k : k + FLOOR_STEP] - _floor(smooth, sound, k + FLOOR_STEP // 2)
        for k in range(0, len(smooth), FLOOR_STEP)
    ]
    most = np.float32(SURELY_AUDIBLE)
    audible = _row_means(np.minimum(np.maximum(np.concatenate(above) - np.float32(AUDIBLE), 0), most))
    # what is softer than any phone is a pause, however many rooms were put together in the recording
    level = _row_means(smooth)
    loud = _quantile(level[sound] if sound.any() else level, LOUD_PERCENTILE / 100)
    audible[level < loud - NO_PHONE * math.log(10) / 10] = 0.0
    return torch.from_numpy(AUDIBLE_COST * audible).to(energies.device)


def _smooth(energies: np.ndarray) -> np.ndarray:
    """Energies (T, filters) of whole bands, smoothed over frames, (T, bands)."""
    whole, reach = energies.shape[1] // FILTERS_IN_BAND * FILTERS_IN_BAND, FRAMES_SMOOTHED // 2
    bands = reduce(np.add, (energies[:, k:whole:FILTERS_IN_BAND] for k in range(FILTERS_IN_BAND)))
    padded = np.concatenate([bands[:1]] * reach + [bands] + [bands[-1:]] * reach)
    summed = reduce(np.add, (padded[k : k + len(bands)] for k in range(FRAMES_SMOOTHED)))
    return summed / np.float32(FILTERS_IN_BAND * FRAMES_SMOOTHED)


def _row_means(values: np.ndarray) -> np.ndarray:
    """Mean of each row of values (T, N), in a third of the time that `numpy.mean` takes where N is small."""
    means: np.ndarray = values @ np.full(values.shape[1], 1 / values.shape[1], values.dtype)
    return means


def closures_joined(
    firsts: Sequence[int], phones: Sequence[Interval], owners: Sequence[int]
) -> tuple[list[int], tuple[Interval, ...], list[int]]:
    """The phones of a path without short silences between words that are closures of the stops behind them.

    Nothing is heard in the closure of a voiceless stop, or in a pause; but who pauses does so for longer.

    Parameters
    ----------
    firsts : sequence of int
        The frame that each phone begins with.
    phones : sequence of Interval
        Phones and silences without gaps.
    owners : sequence of int
        The word of each.

    Returns
    -------
    tuple
        The same of those that remain: a stop begins where the silence before it began.

    Examples
    --------
    >>> path = [Interval(0.0, 0.2, "uw"), Interval(0.2, 0.3, ""), Interval(0.3, 0.4, "k")]
    >>> firsts, phones, owners = closures_joined([0, 20, 30], path, [0, -1, 1])
    >>> firsts, [(p.start, p.label) for p in phones], owners
    ([0, 20], [(0.0, 'uw'), (0.2, 'k')], [0, 1])
    """
    dropped = {
        k
        for k in range(1, len(phones) - 1)
        if phones[k].label == SILENCE_LABEL
        and phones[k].duration <= LONGEST_CLOSURE
        and phones[k - 1].label != SILENCE_LABEL
        and kind(phones[k + 1].label) == "stop"
    }
    if not dropped:
        return list(firsts), tuple(phones), list(owners)
    kept = [k for k in range(len(phones)) if k not in dropped]
    begun = [k - 1 if k - 1 in dropped else k for k in kept]
    return (
        [firsts[b] for b in begun],
        tuple(
            phones[k] if k == b else replace(phones[k], start=phones[b].start)
            for k, b in zip(kept, begun, strict=True)
        ),
        [owners[k] for k in kept],
    )


def _floor(energies: np.ndarray, sound: np.ndarray, centre: int) -> np.ndarray:
    """The energies (bands,) of the noise around a frame, among and beside what is ``sound`` (T,)."""
    first = max(min(centre - FLOOR_FRAMES // 2, len(energies) - FLOOR_FRAMES), 0)
    around = energies[first : first + FLOOR_FRAMES]
    within = around[sound[first : first + FLOOR_FRAMES]]
    return _quantile(within if len(within) else around, FLOOR_QUANTILE)


def _quantile(values: np.ndarray, share: float) -> np.ndarray:
    """What a ``share`` of values (N, ...) are below, as `numpy.quantile` has it in ten times the time."""
    place = share * (len(values) - 1)
    before, behind = int(place), min(int(place) + 1, len(values) - 1)
    ordered = np.partition(values, (before, behind), axis=0)
    found: np.ndarray = ordered[before] + (ordered[behind] - ordered[before]) * np.float32(place - before)
    return found


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
    low, high = _span(decibels)
    quiet: np.ndarray = decibels < low + QUIET_SHARE * (high - low)
    return quiet


def silent_frames(levels: np.ndarray) -> np.ndarray:
    """Whether each frame is too soft for any phone, (T,), by its mean square (T,).

    So it is where the frames for `SHORTEST_PAUSE` are `NO_PHONE` softer than the loud parts; in a noisy
    recording none is.  A breath, and the noise of a room that is not the quietest in the recording, is.

    Examples
    --------
    >>> silent_frames(np.array([1e-6] * 19 + [1e-2] * 50 + [1e-6] * 20))[[0, 20, -1]].tolist()
    [False, False, True]
    """
    if not len(levels):
        return np.zeros(0, bool)
    decibels = 10 * np.log10(levels + LEAST_POWER)
    low, high = _span(decibels)
    soft = decibels < min(high - NO_PHONE, low + NO_PHONE_SHARE * (high - low))
    edges = np.flatnonzero(np.diff(np.concatenate([[0], soft.astype(np.int8), [0]])))
    for begin, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        if LEVEL_CLOCK.seconds(end - begin) < SHORTEST_PAUSE:
            soft[begin:end] = False
    silent: np.ndarray = soft
    return silent


def _span(decibels: np.ndarray) -> tuple[float, float]:
    """The levels of the quiet and of the loud parts among what is sound."""
    sound = decibels[sounding_levels(decibels, LEVEL_CLOCK.rate / LEVEL_CLOCK.hop)]
    low, high = np.percentile(sound, [QUIET_PERCENTILE, LOUD_PERCENTILE]).tolist()
    return low, high


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
