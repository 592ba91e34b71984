"""Speech that came through a narrow band, a telephone's or a codec's, gets a likely upper half of its
spectrum.

Models were trained on speech of up to 8 kHz.  Where a recording has nothing above some frequency, they hear
silence there, and take a fricative for a pause.  So each frame's upper half is filled with noise, as strong
as its lower half lets expect: a small network that was fitted to wide speech (``wideband.json``) says how
strong.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

RATE = 16_000  # Hz; only waves at this rate are widened
WINDOW, HOP = 512, 128  # samples of a frame, and from one to the next
LOW = (300, 500, 800, 1100, 1500, 1900, 2400, 2900, 3300)  # Hz, edges of the bands that tell
HIGH = (3300, 3700, 4200, 4700, 5200, 5900, 6700, 8000)  # Hz, edges of the bands that are told
NOTHING = 1e-8  # of the strongest frequency's power: above the band, there is less
SURELY_SOMETHING = 1e-6  # of that, above the band in a few frames: the band has no end
FIRST_LOOK = 12  # frames that are looked at first
LEAST_EDGE, MOST_EDGE = 2800.0, 7000.0  # Hz between which a band may end; models hear little above
SAFE = 0.95  # share of the band's width up to which its own sound is taken
FAINTEST = 1e-9  # of the strongest frame's power, added to every band before the logarithm
SKIPPED = 8  # frames from one that is looked at to the next, where the end of the band is looked for
BLOCK = 2048  # frames that are transformed at once
OVERLAPPED = 0.375 * WINDOW / HOP  # sum of the squared windows over a sample
HERTZ = np.arange(WINDOW // 2 + 1) * (RATE / WINDOW)


@dataclass(frozen=True, kw_only=True)
class Network:
    """Tells the levels of the upper bands from those of the lower ones: one hidden layer.

    All are natural logarithms of power, those of a frame relative to the mean of its lower bands.
    """

    mean: np.ndarray
    """(L,) of the lower bands."""
    deviation: np.ndarray
    """(L,) of the lower bands."""
    hidden: np.ndarray
    """(K, L + 1) weights of the hidden layer; the last column is added."""
    out: np.ndarray
    """(U, K + 1) weights of the upper bands; the last column is added."""

    def __call__(self, low: np.ndarray) -> np.ndarray:
        """Levels (T, U) of the upper bands from those (T, L) of the lower ones."""
        middle = low.mean(1, keepdims=True)
        given = (low - middle - self.mean) / self.deviation
        layer = np.tanh(given @ self.hidden[:, :-1].T + self.hidden[:, -1])
        return np.asarray(middle + layer @ self.out[:, :-1].T + self.out[:, -1])


@lru_cache(maxsize=1)
def network() -> Network:
    """The network that comes with the package."""
    fields: dict[str, Any] = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
    del fields["source"]
    return Network(**{name: np.array(values) for name, values in fields.items()})


def band_edge(wave: np.ndarray) -> float | None:
    """Return above which frequency in Hz a wave (N,) has nothing; None where it reaches far enough.

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(size=16000)
    >>> band_edge(noise)
    >>> spectrum = np.fft.rfft(noise)
    >>> spectrum[4000:] = 0
    >>> bool(4000 <= band_edge(np.fft.irfft(spectrum)) < 4500)  # windows blur the edge
    True
    """
    if _reaches_far(wave):
        return None
    power = np.zeros(len(HERTZ))
    for _, spectra in _spectra(wave, SKIPPED, inside=True):  # a wave that begins at once is a click elsewhere
        power += (np.abs(spectra) ** 2).sum(0)
    heard = np.flatnonzero(power > NOTHING * power.max())
    if not len(heard) or heard[-1] + 1 >= len(HERTZ):
        return None
    edge = float(HERTZ[heard[-1]])
    return edge if LEAST_EDGE <= edge < MOST_EDGE else None


def _reaches_far(wave: np.ndarray) -> bool:
    """Whether a few frames of a wave (N,) tell already that it has something of every frequency."""
    if len(wave) < WINDOW:
        return False
    count = len(wave) - WINDOW + 1
    begins = range(count // (2 * FIRST_LOOK), count, max(count // FIRST_LOOK, 1))
    spectra = np.fft.rfft(np.array([wave[at : at + WINDOW] for at in begins]) * _window(), axis=1)
    power = (np.square(spectra.real) + np.square(spectra.imag)).sum(0)
    return bool(power[HERTZ.searchsorted(MOST_EDGE) :].max() > SURELY_SOMETHING * power.max())


def widened(wave: np.ndarray) -> np.ndarray:
    """Return a wave (N,) at `RATE` with its upper half filled where it has none, else as it is."""
    edge = band_edge(wave)
    if edge is None:
        return wave
    first = int(SAFE * edge / RATE * WINDOW)
    loudest = max(float((np.abs(s) ** 2).mean(1).max()) for _, s in _spectra(wave, SKIPPED))
    random = np.random.default_rng(0)
    added = np.zeros(len(wave) + 2 * WINDOW)
    for begin, spectra in _spectra(wave, 1):
        power = np.abs(spectra) ** 2
        told = network()(np.log(bands(power, LOW) + FAINTEST * loudest))
        levels = _between(told, HERTZ[first:])
        change = np.zeros_like(spectra)
        phases = np.exp(2j * np.pi * random.random(levels.shape))
        change[:, first:] = np.exp(levels / 2) * phases - spectra[:, first:]
        for k, frame in enumerate(np.fft.irfft(change, WINDOW, axis=1) * _window()):
            place = begin + k * HOP
            added[place : place + WINDOW] += frame
    half = WINDOW // 2
    return np.asarray(wave + added[half : half + len(wave)] / OVERLAPPED, wave.dtype)


def bands(power: np.ndarray, edges: tuple[int, ...]) -> np.ndarray:
    """Mean power (T, len(edges) - 1) between ``edges`` in Hz, of spectra (T, K)."""
    places = np.searchsorted(HERTZ, edges)
    return np.stack([power[:, a:b].mean(1) for a, b in pairwise(places)], 1)


def _between(told: np.ndarray, hertz: np.ndarray) -> np.ndarray:
    """Levels (T, K) at the frequencies ``hertz`` (K,), from those of the upper bands (T, U)."""
    centres = (np.array(HIGH[:-1]) + np.array(HIGH[1:])) / 2
    right = np.clip(np.searchsorted(centres, hertz), 1, len(centres) - 1)
    share = np.clip((hertz - centres[right - 1]) / (centres[right] - centres[right - 1]), 0, 1)
    return np.asarray(told[:, right - 1] * (1 - share) + told[:, right] * share)


@lru_cache(maxsize=1)
def _window() -> np.ndarray:
    return np.asarray(np.hanning(WINDOW + 1)[:-1])


def _spectra(wave: np.ndarray, step: int, inside: bool = False) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the spectra (T, K) of every ``step``-th frame, block by block, with the place of the first.

    Frames reach beyond both ends, unless all are to be ``inside``.
    """
    samples = wave.astype(np.float64) if inside else np.pad(wave.astype(np.float64), (WINDOW // 2, WINDOW))
    if len(samples) < WINDOW:
        return
    frames = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[:: HOP * step]
    for first in range(0, len(frames), BLOCK):
        yield first * HOP * step, np.fft.rfft(frames[first : first + BLOCK] * _window(), axis=1)
