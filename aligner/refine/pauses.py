"""Where nothing is said, by the level of the recording: for methods that have no model of silence."""

from __future__ import annotations

import numpy as np

LOUDNESS = 0.25  # of the way from the quietest to the loud parts (in dB), below which nothing is said
QUIETEST, LOUD = 5, 90  # percentiles of the levels
PAUSE = 0.1  # s of quiet between words that are a pause
FLOOR = 1e-10  # of full scale squared


def quiet(levels: np.ndarray) -> np.ndarray:
    """Whether each frame is quiet, (T,), by its mean square (T,).

    Examples
    --------
    >>> quiet(np.array([1e-6, 1e-2, 2e-2, 1e-6])).tolist()
    [True, False, False, True]
    """
    decibels = 10 * np.log10(levels + FLOOR)
    low, high = np.percentile(decibels, [QUIETEST, LOUD])
    below: np.ndarray = decibels < low + LOUDNESS * (high - low)
    return below


def longest(within: np.ndarray) -> tuple[int, int]:
    """First and last + 1 of the longest run of True in ``within`` (T,); (0, 0) where there is none.

    Examples
    --------
    >>> longest(np.array([False, True, False, True, True]))
    (3, 5)
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[0], within.astype(np.int8), [0]])))
    begins, ends = edges[::2], edges[1::2]
    if not len(begins):
        return 0, 0
    best = int((ends - begins).argmax())
    return int(begins[best]), int(ends[best])
