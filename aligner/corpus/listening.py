"""A waveform as a model hears it: at a usual level, with its upper half where it lacks one."""

from __future__ import annotations

import numpy as np

from aligner.corpus import wideband

SPEECH_LEVEL = 0.02  # of full scale; mean square root of speech at which models were trained
FRAME = 0.01  # s of which the level is measured at once


def as_heard(wave: np.ndarray, rate: int, levelled: bool = True) -> np.ndarray:
    """Return a wave (N,) float32 at ``rate`` Hz as a model is to hear it.

    Where it is ``levelled``, floors of features lie equally far below its speech however loud it is.

    Examples
    --------
    >>> wave = np.sin(np.arange(16000)).astype(np.float32)
    >>> loud, faint = as_heard(wave, 16000), as_heard(wave / 1000, 16000)
    >>> bool(np.allclose(loud, faint, atol=1e-6))
    True
    """
    if not len(wave):
        return wave
    if rate == wideband.RATE:
        wave = wideband.widened(wave)
    level = level_of(wave, rate) if levelled else 0.0
    return np.asarray(wave * (SPEECH_LEVEL / level) if level > 0 else wave, np.float32)


def level_of(wave: np.ndarray, rate: int) -> float:
    """Return the level of what is loud in a wave (N,), of full scale, whatever silence is around it.

    Half of all loudness lies in frames above it, as a median with their levels as weights; so neither pauses
    nor clicks count for much.
    """
    size = max(1, round(FRAME * rate))
    frames = np.asarray(wave[: max(size, len(wave) // size * size)], np.float64)
    frames = frames.reshape(-1, size) if len(frames) >= size else frames[None]
    share = np.full(frames.shape[1], 1 / frames.shape[1])
    squares = np.einsum("ij,ij->i", frames, frames) * share[0]
    levels = np.sqrt(np.maximum(squares - np.square(frames @ share), 0))  # deviations, in one pass
    return weighted_median(levels, levels)


def weighted_median(levels: np.ndarray, weights: np.ndarray) -> float:
    """Return the median of levels (T,), each of which counts as much as its weight (T,).

    Examples
    --------
    >>> weighted_median(np.array([1.0, 0.0, 0.0, 2.0]), np.array([1.0, 0.0, 0.0, 2.0]))
    2.0
    """
    order = np.argsort(levels)
    sums = np.cumsum(weights[order])
    return float(levels[order[np.searchsorted(sums, sums[-1] / 2)]])
