"""References made by an acoustic model: the means that it goes through for a transcript."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from aligner.graph import NONE, Position, Topology
from aligner.models.gmm import GaussianMixtures
from aligner.reference.template import Template, pauses_between
from aligner.text.phones import kind

STATE_FRAMES = {"vowel": 3, "fricative": 3}  # frames of 10 ms in each state of a phone; 2 in other kinds


class Trajectory(NamedTuple):
    """A reference made of an acoustic model's means."""

    template: Template
    """The model's means as a reference."""
    quiet: Tensor
    """(D,): the model's mean frame of silence."""
    scale: Tensor
    """(D,): factors on the frames of the model's front end."""


def trajectory(topology: Topology, mixtures: GaussianMixtures, words: Sequence[Sequence[str]]) -> Trajectory:
    """Make a reference of the means that a model goes through for ``words``, each given as its phones.

    A state's mean is that of its mixture; typical durations take the place of known ones.
    """
    spoken = [(p, w) for w, phones in enumerate(words) for p in phones]
    word = np.array([w for _, w in spoken])
    units = [topology.unit(p, *_context(spoken, k, topology.silence)) for k, (p, _) in enumerate(spoken)]
    spread = _moments(mixtures, np.unique(topology.alone))[1].mean(0).sqrt()
    repeats = [STATE_FRAMES.get(kind(p), 2) for (p, _), u in zip(spoken, units, strict=True) for _ in u.pdfs]
    means, _ = _moments(mixtures, np.array([pdf for u in units for pdf in u.pdfs]))
    owners = np.repeat(np.arange(len(spoken)), [len(u.pdfs) for u in units])
    silence, _ = _moments(mixtures, topology.alone[topology.number(topology.silence)])
    frames = means.repeat_interleave(torch.tensor(repeats), 0) / spread
    template = Template(
        frames=frames,
        node=np.repeat(owners, repeats),
        phone=tuple(p for p, _ in spoken),
        word=word,
        pause=pauses_between(word, [False] * (len(word) - 1)),
    )
    return Trajectory(template, silence.mean(0) / spread, 1.0 / spread)


def _context(spoken: Sequence[tuple[str, int]], k: int, silence: str) -> tuple[str, str, Position]:
    """Left and right neighbour of a phone, and its position in the word."""
    left, right = (spoken[j] if 0 <= j < len(spoken) else (silence, NONE) for j in (k - 1, k + 1))
    begins, ends = left[1] != spoken[k][1], right[1] != spoken[k][1]
    position = {
        (True, True): Position.SINGLE,
        (True, False): Position.BEGIN,
        (False, True): Position.END,
        (False, False): Position.INTERNAL,
    }[begins, ends]
    return left[0], right[0], position


def _moments(mixtures: GaussianMixtures, pdfs: np.ndarray) -> tuple[Tensor, Tensor]:
    """Means and variances (pdfs, D) of whole mixtures."""
    books = torch.from_numpy(np.asarray(mixtures.codebook[pdfs], np.int64))
    means, squares = [], []
    for s in mixtures.streams:
        weights = s.weights[torch.from_numpy(np.asarray(pdfs, np.int64))]
        weights = (weights / weights.sum(1, keepdim=True))[..., None]
        variances = s.covariances if s.covariances.ndim == 3 else s.covariances.diagonal(dim1=2, dim2=3)
        means.append((weights * s.means[books]).sum(1))
        squares.append((weights * (variances[books] + s.means[books].square())).sum(1))
    mean = torch.cat(means, 1)
    return mean, torch.cat(squares, 1) - mean.square()
