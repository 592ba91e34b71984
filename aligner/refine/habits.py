"""How late boundaries are between two classes of phones, told from few of them.

A ridge regression on the class before, the class after and their pair, so that what is known of one pair
holds in part for others, and what is known of few counts for little.  Errors are weighed as Huber (1964,
"Robust estimation of a location parameter") has it, since some boundaries are those of other phones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np

from aligner.models.boundary import CLASSES

Classes = tuple[str, str]  # the classes of the phones before and after a boundary

# boundaries by which what is common to all, to one class or to a pair of classes is drawn to nothing
PULL_OF_ALL, PULL_OF_CLASS, PULL_OF_PAIR = 3.0, 10.0, 20.0
HUBER = 0.015  # s from which an error counts less than its square
ROUNDS = 15  # of weighing errors anew


def class_offsets(kinds: Sequence[Classes], late: np.ndarray) -> Mapping[Classes, float]:
    """How late boundaries are between the classes of phones, drawn to 0 where few are known.

    Parameters
    ----------
    kinds : sequence of (str, str)
        The classes before and after each of N boundaries.
    late : ndarray
        (N,) seconds by which each comes after a person's.

    Returns
    -------
    mapping of (str, str) to float
        For every pair of classes, seconds.

    Examples
    --------
    >>> found = class_offsets([("vowel", "stop")] * 50 + [("stop", "vowel")] * 50, np.repeat([0.02, 0.0], 50))
    >>> round(found["vowel", "stop"], 3), round(found["stop", "vowel"], 3)
    (0.019, 0.001)
    """
    pairs = list(product(CLASSES, CLASSES))
    design, pull = _design()
    rows = design[[pairs.index(kind) for kind in kinds]]
    weights, found = np.ones(len(late)), np.zeros(len(pull))
    for _ in range(ROUNDS):
        weighted = rows.T * weights
        found = np.linalg.solve(weighted @ rows + np.diag(pull), weighted @ late)
        weights = np.minimum(1.0, HUBER / np.maximum(np.abs(late - rows @ found), 1e-9))
    return dict(zip(pairs, (design @ found).tolist(), strict=True))


def _design() -> tuple[np.ndarray, np.ndarray]:
    """A row of features for each pair of classes, and how strongly each feature is drawn to 0."""
    count = len(CLASSES)
    before, after = np.repeat(np.eye(count), count, 0), np.tile(np.eye(count), (count, 1))
    design = np.hstack([np.ones((count**2, 1)), before, after, np.eye(count**2)])
    return design, np.repeat([PULL_OF_ALL, PULL_OF_CLASS, PULL_OF_PAIR], [1, 2 * count, count**2])
