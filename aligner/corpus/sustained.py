"""Held notes: sounds of a voice that stay as they are for longer than anybody speaks them.

No model of speech has met a vowel of four seconds.  It takes what goes on for another vowel, a pause, or
something that nobody wrote down, and gives the stretch to a neighbour.  So the middle of what is held is left
out of what is heard, in pieces that are joined where the waves are alike (as by WSOLA: Verhelst and Roelands
1993), and put back when the phones are known: whatever phone a place belongs to gets all that was left out
there.  What changes slowly, such as a diphthong over seconds, keeps slices of its whole way.

N samples, T frames of 10 ms.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from aligner.types import DECIMALS, Edge, Interval

HOP, WINDOW = 0.01, 0.025  # s from frame to frame, and in one
CEPSTRA, FILTERS, HIGHEST = 12, 26, 6000.0  # of the envelope: which vowel it is, not how high or how loud
SMOOTHED = 0.15  # s over which cepstra are averaged: a vibrato takes as long to come round
APART = 0.2  # s between the frames that are compared
# distance of such cepstra, in dB, below which they are one sound: of speech 95 % lie above 16.7, and never
# 0.25 s in a row below 25; of held vowels 95 % lie below 10, and below 15 with music behind them
MOST_CHANGE = 25.0
PERIODIC = 0.5  # autocorrelation at some pitch from which there is a voice: pauses and hisses are left alone
PITCHES = 60.0, 1000.0  # Hz
SOFT = 20.0  # dB below the loud parts, from which on it is no note but the end of one
LOUD_PERCENTILE = 95
LEAST_HELD = 0.3  # s that a sound is held at least; it lasts longer by `APART` and more, for its edges change
KEPT_SLICE = 0.06  # s of it that are kept between two pieces left out
MARGIN = 0.04  # s on either side of what was left out that are the same sound
LONGEST_PIECE = 1.0  # s that are left out in one piece
SEAM, REACH = 0.01, 0.012  # s over which two sides are faded, and within which they are alike: a period


class Piece(NamedTuple):
    """A part that was left out; times are in seconds from the start of the utterance."""

    at: float
    """Where it goes in again, in what was heard."""
    seconds: float
    """How long it is."""


@dataclass(frozen=True)
class Sustained:
    """What was left out of held notes, and the way back.

    Examples
    --------
    >>> held = Sustained((Piece(0.5, 3.0),))
    >>> held.time(0.4), held.time(0.6)
    (0.4, 3.6)
    """

    pieces: tuple[Piece, ...] = ()
    """The pieces in their order."""
    start: float = 0.0
    """Where the utterance begins in its recording, in seconds: other times count from there."""

    @property
    def seconds(self) -> float:
        """How many seconds were left out."""
        return sum(piece.seconds for piece in self.pieces)

    def time(self, heard: float) -> float:
        """When something is that was heard at a time, in seconds from the start of the recording."""
        more = sum(piece.seconds for piece in self.pieces if self.start + piece.at < heard)
        return round(heard + more, DECIMALS) if more else heard

    def confined(
        self, heard: Sequence[Interval], shortest: float, holds: Callable[[str], int]
    ) -> tuple[Interval, ...]:
        """The intervals that tile what was heard, with none that ends in the midst of a held note: that is
        one sound, and goes with the interval that can hold it best, or else has more of it.

        Parameters
        ----------
        heard : sequence of Interval
        shortest : float
            Seconds that an interval beside a note lasts at least.
        holds : callable
            How well an interval with a label can hold a note: the greater, the better.

        Examples
        --------
        >>> held = Sustained((Piece(0.3, 2.0), Piece(0.36, 2.0)))
        >>> path = [Interval(0.0, 0.33, "IY"), Interval(0.33, 0.5, "T")]
        >>> [(p.end, p.label) for p in held.confined(path, 0.03, lambda label: label == "IY")]
        [(0.4, 'IY'), (0.5, 'T')]
        """
        found = np.array([*(i.start for i in heard), heard[-1].end])
        edges, least = found.copy(), np.minimum(np.diff(found), shortest)
        for first, last in self._notes():
            low, high = int(np.sum(found[1:-1] <= first)), int(np.sum(found[1:-1] < last))
            if not any(holds(i.label) for i in heard[low : high + 1]):  # a neighbour may reach too little far
                low, high = max(low - 1, 0), min(high + 1, len(heard) - 1)
            keeper = max(range(low, high + 1), key=lambda k: (holds(heard[k].label), self._within(heard[k])))
            edges[low + 1 : keeper + 1] = np.minimum(edges[low + 1 : keeper + 1], first)
            edges[keeper + 1 : high + 1] = np.maximum(edges[keeper + 1 : high + 1], last)
        for k in range(1, len(edges)):
            edges[k] = max(edges[k], edges[k - 1] + least[k - 1])
        edges[-1] = found[-1]
        for k in range(len(edges) - 2, 0, -1):
            edges[k] = min(edges[k], edges[k + 1] - least[k])
        times = [round(t, DECIMALS) for t in edges.tolist()]
        return tuple(replace(i, start=a, end=b) for i, (a, b) in zip(heard, pairwise(times), strict=True))

    def _within(self, heard: Interval) -> float:
        """Seconds that were left out of an interval."""
        return self.time(heard.end) - self.time(heard.start) - heard.duration

    def _notes(self) -> list[tuple[float, float]]:
        """First and last times of each held note, as it was heard."""
        notes: list[tuple[float, float]] = []
        for piece in self.pieces:
            first, last = self.start + piece.at - MARGIN, self.start + piece.at + MARGIN
            if notes and first < notes[-1][1]:
                notes[-1] = notes[-1][0], last
            else:
                notes.append((first, last))
        return notes

    def tier(self, heard: Sequence[Interval]) -> tuple[Interval, ...]:
        """The intervals of a tier with what was left out of them."""
        if not self.pieces:
            return tuple(heard)
        edges = [*(self.time(i.start) for i in heard), self.time(heard[-1].end)]
        return tuple(replace(i, start=a, end=b) for i, (a, b) in zip(heard, pairwise(edges), strict=True))

    def edges(self, heard: Sequence[Edge]) -> tuple[Edge, ...]:
        """The edges between phones with what was left out before them."""
        if not self.pieces:
            return tuple(heard)
        return tuple(Edge(*map(self.time, (e.time, e.low, e.high))) for e in heard)


NOTHING_HELD = Sustained()


def shortened(wave: np.ndarray, rate: int, start: float = 0.0) -> tuple[np.ndarray, Sustained]:
    """A recording without the middle of its held notes, and the way back.

    Parameters
    ----------
    wave : ndarray
        (N,) samples.
    rate : int
        Samples a second.
    start : float
        Where they begin in their recording, in seconds.

    Returns
    -------
    ndarray
        (M,) the samples that stay, of the same type.
    Sustained

    Examples
    --------
    >>> hum = np.sign(np.sin(2 * np.pi * 200 * np.arange(48000) / 16000)).astype(np.float32)
    >>> short, held = shortened(hum, 16000)
    >>> round(len(short) / 16000 + held.seconds, 3), len(short) < 16000
    (3.0, True)
    """
    parts: list[np.ndarray] = []
    pieces: list[Piece] = []
    at, length = 0, 0
    for first, last in _pieces(wave, rate):
        last = _alike(wave, first, last, rate)
        stays = wave[at:first].copy()
        seam = min(round(SEAM * rate), len(stays))
        fade = np.linspace(0.0, 1.0, seam, dtype=wave.dtype)
        stays[len(stays) - seam :] *= 1 - fade
        stays[len(stays) - seam :] += fade * wave[last - seam : last]
        parts.append(stays)
        length += len(stays)
        pieces.append(Piece(length / rate, (last - first) / rate))
        at = last
    if not pieces:
        return wave, NOTHING_HELD
    return np.concatenate([*parts, wave[at:]]), Sustained(tuple(pieces), start)


def _pieces(wave: np.ndarray, rate: int) -> list[tuple[int, int]]:
    """First and last samples of what is left out."""
    held = is_held(wave, rate)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], held.astype(np.int8), [0]]))) * HOP
    found: list[tuple[int, int]] = []
    for begin, end in edges.reshape(-1, 2).tolist():
        if end - begin < LEAST_HELD:
            continue
        count = int(np.ceil((end - begin + KEPT_SLICE) / (LONGEST_PIECE + KEPT_SLICE)))
        size = (end - begin + KEPT_SLICE) / count - KEPT_SLICE
        for k in range(count):
            first = begin + k * (size + KEPT_SLICE)
            found.append((round(first * rate), round((first + size) * rate)))
    return found


def is_held(wave: np.ndarray, rate: int) -> np.ndarray:
    """Whether each frame is in the midst of a sound of a voice that stays as it is, (T,), by samples (N,)."""
    import librosa  # takes a while to import, and speech needs none of it

    hop, window = round(HOP * rate), round(WINDOW * rate)
    if len(wave) < window:
        return np.zeros(1, bool)
    spectrum = librosa.stft(wave, n_fft=window, hop_length=hop, pad_mode="reflect")
    power = np.abs(spectrum) ** 2
    mels = librosa.feature.melspectrogram(
        S=power, sr=rate, n_fft=window, n_mels=FILTERS, fmax=min(HIGHEST, rate / 2)
    )
    decibels = librosa.power_to_db(mels, top_db=None, amin=1e-12)
    cepstra = librosa.feature.mfcc(S=decibels, n_mfcc=CEPSTRA + 1)[1:]
    level = librosa.power_to_db(power.sum(0), top_db=None, amin=1e-12)
    loud = level > np.percentile(level, LOUD_PERCENTILE) - SOFT
    frames = len(level)
    steady: np.ndarray = loud & (_change(cepstra) < MOST_CHANGE) & _is_periodic(wave, rate, frames)
    return steady


def _change(cepstra: np.ndarray) -> np.ndarray:
    """By how much cepstra (C, T) change around each frame, (T,)."""
    width, half = round(SMOOTHED / HOP), round(APART / HOP / 2)
    around = np.pad(cepstra, ((0, 0), (half + width // 2, half + width // 2)), mode="edge")
    sums = np.cumsum(np.pad(around, ((0, 0), (1, 0))), axis=1)
    smooth = (sums[:, width:] - sums[:, :-width]) / width
    distance: np.ndarray = np.linalg.norm(smooth[:, 2 * half :] - smooth[:, : -2 * half], axis=0)
    return distance


def _is_periodic(wave: np.ndarray, rate: int, frames: int) -> np.ndarray:
    """Whether each of so many frames is as periodic as a voice, (T,)."""
    hop, size = round(HOP * rate), round(2.5 / PITCHES[0] * rate)
    padded = np.pad(wave, (size // 2, size))
    window = np.hanning(size)
    taper = np.fft.irfft(np.abs(np.fft.rfft(window, 2 * size)) ** 2)[:size]
    shortest, longest = (round(rate / pitch) for pitch in reversed(PITCHES))
    found = np.zeros(frames, bool)
    for k in range(0, frames, 2048):  # all of a song at once would fill the memory
        at = np.arange(k, min(k + 2048, frames)) * hop
        rows = padded[at[:, None] + np.arange(size)] * window
        own = np.fft.irfft(np.abs(np.fft.rfft(rows, 2 * size)) ** 2)[:, :size]
        alike = own[:, shortest:longest] / (own[:, :1] + 1e-12) * (taper[0] / taper[shortest:longest])
        found[at // hop] = alike.max(1) > PERIODIC
    return found


def _alike(wave: np.ndarray, first: int, last: int, rate: int) -> int:
    """The sample near ``last`` before which the wave is most like what is before ``first``."""
    seam, reach = 2 * round(SEAM * rate), round(REACH * rate)
    before = wave[first - seam : first]
    begin = max(last - reach, first)
    around = wave[begin - seam : last + reach]
    if len(before) < seam or len(around) < seam:
        return last
    rows = np.lib.stride_tricks.sliding_window_view(around, seam)
    likeness = rows @ before / (np.linalg.norm(rows, axis=1) + 1e-9)
    return begin + int(likeness.argmax())
