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
    """What each frame says about the path."""

    margin: np.ndarray
    """(T,) log-likelihood of the path's state less that of the best state of any phone without context; often
    above 0 where the transcript is right, far below where it is wrong."""
    posterior: np.ndarray
    """(T,) probability of the path's phone among all phones, each equally likely beforehand."""
    earlier: np.ndarray
    """(T,) log-likelihood of the phone before the path's less that of the path's own, both without context; 0
    where there is none, or nothing is known of it."""
    later: np.ndarray
    """(T,) the same of the phone after the path's."""

    @classmethod
    def concatenated(cls, parts: Sequence[Evidence]) -> Evidence:
        """The evidence of consecutive stretches of frames as that of all."""
        return cls(*(np.concatenate(of) for of in zip(*parts, strict=True)))


class PathPhones(NamedTuple):
    """The phones of a path, frame by frame."""

    own: np.ndarray
    """(T,) number of each frame's phone."""
    before: np.ndarray
    """(T,) number of the phone before it; -1 is none."""
    after: np.ndarray
    """(T,) number of the phone after it; -1 is none."""

    @classmethod
    def of(cls, nodes: np.ndarray, numbers: np.ndarray) -> PathPhones:
        """The phones of a path through ``nodes`` (T,), whose phones have ``numbers`` (nodes,).

        Examples
        --------
        >>> PathPhones.of(np.array([3, 3, 5, 6]), np.array([0, 0, 0, 7, 0, 8, 8])).before.tolist()
        [-1, -1, 7, 8]
        """
        begins = np.diff(nodes, prepend=-1) != 0
        sequence = np.concatenate([[-1], numbers[nodes[begins]], [-1]])
        at = np.cumsum(begins)
        return cls(sequence[at], sequence[at - 1], sequence[at + 1])

    @classmethod
    def without_neighbours(cls, own: np.ndarray) -> PathPhones:
        """Phones (T,) without any before or after them."""
        none = np.full(len(own), -1)
        return cls(own, none, none)

    def within(self, piece: slice) -> PathPhones:
        """The phones of a stretch of the frames."""
        return PathPhones(*(of[piece] for of in self))


def evidence(own: np.ndarray, rivals: np.ndarray, phones: PathPhones) -> Evidence:
    """Compare a path with all phones, frame by frame.

    Parameters
    ----------
    own : ndarray
        (T,) log-likelihoods of the path's states.
    rivals : ndarray
        (T, phones) log-likelihoods of each phone without context: of its best state.
    phones : PathPhones
        The path's, among them.

    Examples
    --------
    >>> found = evidence(np.array([-2.0]), np.array([[-3.0, -2.0]]), PathPhones(*np.array([[0], [-1], [1]])))
    >>> found.margin, found.posterior, found.later
    (array([0.]), array([0.5]), array([1.]))
    """
    rows = np.arange(len(own))
    best, alone = rivals.max(1), rivals[rows, phones.own]
    earlier, later = (np.where(of < 0, 0.0, rivals[rows, of] - alone) for of in (phones.before, phones.after))
    among = rivals.copy()
    among[rows, phones.own] = own  # the path's phone runs as the path has it, in its context
    most = among.max(1)
    posterior = np.exp(own - most) / np.exp(among - most[:, None]).sum(1)
    return Evidence(own - best, posterior, earlier, later)


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
