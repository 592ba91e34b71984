"""Which frame of one recording is which of another: by warping, by alignments, or one to one.

A path is (P, 2) pairs of frames, reference first.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aligner.evaluate.matching import match_phones, scored_phones
from aligner.search.kernels import compiled
from aligner.types import DataError, Interval

HOP = 0.005  # s between frames
LEAST_MATCHED = 0.7  # of the phones, in the one that has more; below, the two say different things
MOST_PAIRS = 2**31  # of frames that warping may weigh, at one byte each: two recordings of 3 min 50 s


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
        raise DataError("time warping", f"{len(reference)} by {len(estimate)} frames are too many",
                        "cut the recordings into utterances, or match them by alignments")
    return np.asarray(_warp(np.ascontiguousarray(reference, np.float64), np.ascontiguousarray(estimate, np.float64)))


def check_sequences(reference: np.ndarray, estimate: np.ndarray) -> None:
    """Raise a ValueError unless both are (frames, dimensions) of finite numbers that go together."""
    for name, x in (("reference", reference), ("estimate", estimate)):
        if x.ndim != 2 or not x.size or not np.isfinite(x).all():
            raise ValueError(f"the {name} of shape {x.shape} is not (frames, dimensions) of finite numbers")
    if reference.shape[1] != estimate.shape[1]:
        raise ValueError(f"the reference has {reference.shape[1]} dimensions, the estimate {estimate.shape[1]}")


def check_path(path: np.ndarray) -> None:
    """Raise a ValueError unless it is (pairs, 2) with a pair."""
    if path.ndim != 2 or path.shape[1] != 2 or not len(path):
        raise ValueError(f"a path of shape {path.shape} is not (pairs, 2) with at least one pair")


@compiled
def _warp(x, y):  # type: ignore[no-untyped-def]
    came = np.empty((len(x), len(y)), np.uint8)  # 0 from both before, 1 from i - 1, 2 from j - 1
    total = np.empty(len(y))
    for j in range(len(y)):  # a loop: np.full takes seconds to compile
        total[j] = np.inf
    for i in range(len(x)):
        corner, left = (0.0 if i == 0 else np.inf), np.inf  # the totals of (i - 1, j - 1) and (i, j - 1)
        for j in range(len(y)):
            above, squares = total[j], 0.0
            for k in range(x.shape[1]):
                squares += (x[i, k] - y[j, k]) ** 2
            best = min(corner, above, left)
            came[i, j] = 0 if corner == best else 1 if above == best else 2
            total[j] = left = best + np.sqrt(squares)
            corner = above
    i, j = len(x) - 1, len(y) - 1
    backwards = [(i, j)]
    while i or j:
        step = 2 if i == 0 else 1 if j == 0 else came[i, j]  # the edges have one way back, whatever overflowed
        i, j = i - (step != 2), j - (step != 1)
        backwards.append((i, j))
    return np.array(backwards[::-1])


def aligned_path(reference: Sequence[Interval], estimate: Sequence[Interval], frames: tuple[int, int],
                 hop: float = HOP, name: str = "the estimate") -> np.ndarray:
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
    sides = scored_phones(reference), scored_phones(estimate)
    pairs = match_phones(*sides)
    if len(pairs) < LEAST_MATCHED * max(1, *map(len, sides)):
        raise DataError(name, f"its phones are not the reference's: {len(pairs)} match of {len(sides[0])} and "
                        f"{len(sides[1])}", "align both with the same transcript, or warp them")
    anchors = [[side[k[s]] for k in pairs] for s, side in enumerate(sides)]
    x, y = ([0.0, *(t for i in side for t in (i.start, i.end)), count * hop]
            for side, count in zip(anchors, frames, strict=True))
    t = np.arange(frames[0])
    mapped = np.rint(np.interp(t * hop, np.maximum.accumulate(x), np.maximum.accumulate(y)) / hop).astype(int)
    return np.stack([t, np.clip(mapped, 0, frames[1] - 1)], 1)
