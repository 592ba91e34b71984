"""How well what is heard fits the phones that a path puts there.

A path through a transcript's graph is the best there is, and says nothing of how good that is.  So
every frame is also asked how well it fits the phones without any transcript: the *margin* is the
path's log-likelihood less that of the best state of any phone, the *posterior* the path's share of
the likelihood of all phones.  Both are what pronunciation scoring calls goodness of pronunciation
(Witt & Young 2000, eqs. 1-3), without a second search.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Evidence(NamedTuple):
    """What each frame says about the path.

    Attributes
    ----------
    margin : ndarray
        (T,) log-likelihood of the path's state less that of the best state of any phone without
        context; often above 0 where the transcript is right, far below where it is wrong.
    posterior : ndarray
        (T,) probability of the path's phone among all phones, each equally likely beforehand.
    """

    margin: np.ndarray
    posterior: np.ndarray

    @classmethod
    def joined(cls, parts: Sequence[Evidence]) -> Evidence:
        """Of consecutive stretches of frames."""
        return cls(*(np.concatenate(of) for of in zip(*parts, strict=True)))


def evidence(own: np.ndarray, rivals: np.ndarray, phone: np.ndarray) -> Evidence:
    """Compare a path with all phones, frame by frame.

    Parameters
    ----------
    own : ndarray
        (T,) log-likelihoods of the path's states.
    rivals : ndarray
        (T, phones) log-likelihoods of each phone without context: of its best state.
    phone : ndarray
        (T,) the path's phone among them.

    Examples
    --------
    >>> found = evidence(np.array([-2.0]), np.array([[-3.0, -2.0]]), np.array([0]))
    >>> found.margin, found.posterior
    (array([0.]), array([0.5]))
    """
    best = rivals.max(1)
    among = rivals.copy()
    among[np.arange(len(own)), phone] = own  # the path's phone runs as the path has it, in its context
    most = among.max(1)
    posterior = np.exp(own - most) / np.exp(among - most[:, None]).sum(1)
    return Evidence(own - best, posterior)


def means(values: np.ndarray, firsts: Sequence[int]) -> np.ndarray:
    """Mean of ``values`` (T,) over each stretch that begins at ``firsts`` (ascending, from 0).

    Examples
    --------
    >>> means(np.array([1.0, 2.0, 3.0, 8.0]), [0, 3])
    array([2., 8.])
    """
    sums = np.add.reduceat(values.astype(np.float64), firsts)
    average: np.ndarray = sums / np.diff([*firsts, len(values)])
    return average
