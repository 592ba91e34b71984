"""Which frame of one recording is which of another: by warping, by alignments, or one to one.

A path is (P, 2) pairs of frames, reference first.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from aligner.evaluate.matching import comparable, match_phones
from aligner.search.dtw import dtw_features
from aligner.search.steps import Rules, Steps
from aligner.types import DataError, Interval

HOP = 0.005  # s between frames
LEAST_MATCHED = 0.7  # of the phones, in the one that has more; below, the two say different things
MOST_PAIRS = 2**31  # of frames that warping may weigh, at one byte each: two recordings of 3 min 50 s
# of what costs the same the first: a diagonal one, then one in the reference
_STEPS = Steps(((1, 1), (1, 0), (0, 1)))


def linear_path(reference: int, estimate: int) -> np.ndarray:
    """Frame t with frame t, up to the end of the shorter of two recordings of so many frames.

    Examples
    --------
    >>> linear_path(2, 3).tolist()
    [[0, 0], [1, 1]]
    """
    return np.repeat(np.arange(min(reference, estimate))[:, None], 2, 1)


def dtw_path(reference: np.ndarray, estimate: np.ndarray) -> np.ndarray:
    """The cheapest monotonic path between two sequences: exact, without a band.

    Steps are one frame in either or in both, all of weight 1; a diagonal step wins ties.

    Parameters
    ----------
    reference, estimate : ndarray
        (T, D) and (U, D); their distance is Euclidean.

    Returns
    -------
    ndarray
        (P, 2) matched frames, from (0, 0) to (T - 1, U - 1).

    Raises
    ------
    ValueError
        If the shapes do not go together or something is not a number.
    DataError
        If T * U is more than memory should hold.

    Examples
    --------
    >>> dtw_path(np.array([[0.0], [5], [9]]), np.array([[0.0], [5], [5], [9]])).tolist()
    [[0, 0], [1, 1], [1, 2], [2, 3]]
    """
    check_sequences(reference, estimate)
    if len(reference) * len(estimate) > MOST_PAIRS:
        raise DataError(
            "time warping",
            f"{len(reference)} by {len(estimate)} frames are too many",
            "cut the recordings into utterances, or match them by alignments",
        )
    highest = np.frexp(max(np.abs(reference).max(), np.abs(estimate).max()))[1]  # else a square may be inf
    x, y = (torch.from_numpy(np.ldexp(v.astype(np.float64), -highest))[None] for v in (reference, estimate))
    return dtw_features(x, y, rules=Rules(_STEPS)).path[0].numpy()


def check_sequences(reference: np.ndarray, estimate: np.ndarray) -> None:
    """Raise a ValueError unless both are (frames, dimensions) of finite numbers that go together."""
    for name, x in (("reference", reference), ("estimate", estimate)):
        if x.ndim != 2 or not x.size or not np.isfinite(x).all():
            raise ValueError(f"the {name} of shape {x.shape} is not (frames, dimensions) of finite numbers")
    if reference.shape[1] != estimate.shape[1]:
        raise ValueError(
            f"the reference has {reference.shape[1]} dimensions, the estimate {estimate.shape[1]}"
        )


def check_path(path: np.ndarray) -> None:
    """Raise a ValueError unless it is (pairs, 2) with a pair."""
    if path.ndim != 2 or path.shape[1] != 2 or not len(path):
        raise ValueError(f"a path of shape {path.shape} is not (pairs, 2) with at least one pair")


def aligned_path(
    reference: Sequence[Interval],
    estimate: Sequence[Interval],
    frames: tuple[int, int],
    hop: float = HOP,
    name: str = "the estimate",
) -> np.ndarray:
    """Each frame of the reference with the frame of the estimate that is as far into the same phone.

    Time is mapped piecewise linearly between the boundaries of matched phones (`aligner.evaluate.matching`):
    pauses may be in one only, and a word may be pronounced in two ways.

    Parameters
    ----------
    reference, estimate : sequence of Interval
        Phones of the two.
    frames : (int, int)
        Frames of the two recordings, T and U.
    hop : float
        Seconds between frames.
    name : str
        What an error calls the estimate.

    Returns
    -------
    ndarray
        (T, 2)

    Raises
    ------
    DataError
        If hardly any of the phones are the same.

    Examples
    --------
    >>> slow = [Interval(0, 0.02, "aa"), Interval(0.02, 0.04, "t")]
    >>> fast = [Interval(0, 0.01, "aa"), Interval(0.01, 0.03, "t")]
    >>> aligned_path(slow, fast, (5, 4), hop=0.01).tolist()
    [[0, 0], [1, 0], [2, 1], [3, 2], [4, 3]]
    """
    sides = comparable(reference, estimate)
    pairs = match_phones(*sides)
    if len(pairs) < LEAST_MATCHED * max(1, *map(len, sides)):
        raise DataError(
            name,
            f"its phones are not the reference's: {len(pairs)} match of {len(sides[0])} and {len(sides[1])}",
            "align both with the same transcript, or warp them",
        )
    anchors = [[side[k[s]] for k in pairs] for s, side in enumerate(sides)]
    x, y = (
        [0.0, *(t for i in side for t in (i.start, i.end)), count * hop]
        for side, count in zip(anchors, frames, strict=True)
    )
    t = np.arange(frames[0])
    mapped = np.rint(np.interp(t * hop, np.maximum.accumulate(x), np.maximum.accumulate(y)) / hop).astype(int)
    return np.stack([t, np.clip(mapped, 0, frames[1] - 1)], 1)
