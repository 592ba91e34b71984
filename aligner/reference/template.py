"""Dynamic time warping as a graph: a state for each frame of a reference that says the same words.

Where an acoustic model is missing, any recording of the same words will do, if it is known when its phones
are said: another speaker's, or a synthesiser's.  Its frames are the states of a graph (see
`aligner.graph.template`), and a frame of the target costs its distance to the one that it is taken for.
Pauses are not matched: those of the reference are left out, and the target's are known by its own quietest
frames.

R frames of the reference, N phones, T frames of the target, D numbers a frame.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from aligner.features import INNER_REACH, sounding
from aligner.graph import Graph
from aligner.graph import template as graphs
from aligner.reference.frontend import LOUDEST_QUANTILE, QUIETEST_QUANTILE
from aligner.types import SILENCE_LABEL, Clock, Interval

LEAST_PHONE_FRAMES = 4  # frames of the reference in a phone: leaving out every other one still leaves 10 ms
PAUSE_BONUS = 0.1  # score of a pause in quiet frames: they fit better than speech fits another speaker's
# most that a pause costs in a silent frame: less than speech is away from another speaker's
SILENT_PAUSE_COST = 0.5
SILENT_PHONE_COST = 0.4  # what a phone costs there: who breathes in says nothing
LOUD_PAUSE_COST = 3.0  # cost of calling a loud frame a pause: more than any speech is away from any other
# shares of the way from the quietest to the loudest frames, in dB
QUIET_SHARE = 0.2  # below it lie the frames from which the pauses are learnt
LOUD_SHARE = 0.75  # above it a frame is never in a pause


@dataclass(frozen=True, kw_only=True)
class Template:
    """A reference as frames, with its phones and the places where the target may pause."""

    frames: Tensor
    """(R, D): frames of the reference without its pauses."""
    node: np.ndarray
    """(R,): the phone that each frame belongs to; from 0 to N - 1, each at least once."""
    phone: tuple[str, ...]
    """(N,): labels of the phones."""
    word: np.ndarray
    """(N,): the word that each phone belongs to."""
    pause: np.ndarray
    """(N + 1,) bool: whether a pause may stand before each phone, and at the end."""

    @classmethod
    def of(cls, frames: Tensor, clock: Clock, phones: Sequence[Interval], words: Sequence[int]) -> Template:
        """Make a template of a recording's frames and its phones.

        Parameters
        ----------
        frames : Tensor
            (T, D)
        clock : Clock
            Clock of the frames.
        phones : sequence of Interval
            Phones in order; pauses have an empty label, and wherever there is a gap is one.
        words : sequence of int
            Index of the word of each phone; that of a pause is not read.

        Raises
        ------
        ValueError
            If no phone is spoken, or there is not a word for each phone.
        """
        spoken = [(p, w) for p, w in zip(phones, words, strict=True) if p.label != SILENCE_LABEL]
        if not spoken:
            raise ValueError("no phone with a label; a reference needs at least one")
        rows = [_rows(p, clock, len(frames)) for p, _ in spoken]
        word = np.array([w for _, w in spoken])
        apart = [b.start - a.end > clock.seconds(1) for (a, _), (b, _) in pairwise(spoken)]
        node = np.repeat(np.arange(len(rows)), [len(r) for r in rows])
        kept = frames[torch.from_numpy(np.concatenate(rows))]
        return cls(
            frames=kept,
            node=node,
            phone=tuple(p.label for p, _ in spoken),
            word=word,
            pause=pauses_between(word, apart),
        )

    def thin(self, step: int) -> Template:
        """Keep the first and then every ``step``-th frame of each phone."""
        within = np.arange(len(self.node)) - np.searchsorted(self.node, self.node)
        kept = np.flatnonzero(within % step == 0)
        return replace(self, frames=self.frames[torch.from_numpy(kept)], node=self.node[kept])

    def graph(self, steps: graphs.StepCosts = graphs.STEPS, loose: bool = False) -> Graph:
        """Graph of all ways to say it; column r of the scores is frame r, the next the pause (`Matcher`).

        Where it is ``loose``, there may be what the template lacks between words and at both ends, whose
        scores are the last column.
        """
        wild = pauses_between(self.word, [False] * (len(self.word) - 1)) if loose else None
        return graphs.build(self.node, self.phone, self.word, self.pause, steps, wild)


def _rows(phone: Interval, clock: Clock, count: int) -> np.ndarray:
    """Indices of a phone's frames; some come twice where there are fewer than `LEAST_PHONE_FRAMES`."""
    begin = clock.boundary(0)
    first, last = (round((t - begin) / clock.seconds(1)) for t in (phone.start, phone.end))
    first = min(max(first, 0), count - 1)
    last = min(max(last, first + 1), count)
    if last - first >= LEAST_PHONE_FRAMES:
        return np.arange(first, last)
    return np.linspace(first, last - 1, LEAST_PHONE_FRAMES).round().astype(np.int64)


def pauses_between(word: np.ndarray, apart: Sequence[bool]) -> np.ndarray:
    """Mask (N + 1,) of the places where a pause may be: at word edges and where the reference has one."""
    return np.concatenate([[True], (np.diff(word) != 0) | np.asarray(apart, bool), [True]])


def split(
    phones: Sequence[Interval], words: Sequence[int], rename: Callable[[str], Sequence[str]]
) -> tuple[tuple[Interval, ...], tuple[int, ...]]:
    """Rename phones to another set of labels; one that becomes several there is cut into equal parts.

    A label that the other set has nothing for stays as it is.

    Examples
    --------
    >>> phones, words = split([Interval(0.0, 0.2, "ts")], [0], list)
    >>> [(p.start, p.label) for p in phones], words
    ([(0.0, 't'), (0.1, 's')], (0, 0))
    """
    found, owners = [], []
    for p, w in zip(phones, words, strict=True):
        labels = (rename(p.label) if p.label != SILENCE_LABEL else ()) or (p.label,)
        edges = np.linspace(p.start, p.end, len(labels) + 1).tolist()
        found += [Interval(a, b, label) for a, b, label in zip(edges, edges[1:], labels, strict=False)]
        owners += [w] * len(labels)
    return tuple(found), tuple(owners)


class Pause(NamedTuple):
    """The pauses of a recording, by their mean frame and the level that excludes one."""

    mean: Tensor
    """(D,): mean frame of a pause."""
    loud: float
    """Level (first number of a frame) from which a frame is never in a pause."""


def pause_of(frames: Tensor, mean: Tensor | None = None, rate: float = 200.0) -> Pause:
    """Describe the pauses of a recording by its quietest frames (T, D), ``rate`` of them a second, or by a
    mean that is known.
    """
    frames = frames[sounding(frames[:, 0], rate, INNER_REACH)]
    level = frames[:, 0]
    floor, top = torch.quantile(level, torch.tensor([QUIETEST_QUANTILE, LOUDEST_QUANTILE])).tolist()
    quietest = frames[level <= floor + QUIET_SHARE * (top - floor)]
    return Pause(quietest.mean(0) if mean is None else mean, floor + LOUD_SHARE * (top - floor))


@dataclass(frozen=True)
class Matcher:
    """Scores a target's frames against a template and the target's own pauses."""

    template: Template
    """Reference that is matched."""
    pause: Pause
    """Pauses of the target."""

    def score(
        self, frames: Tensor, columns: np.ndarray | None = None, silent: np.ndarray | None = None
    ) -> Tensor:
        """Minus the root mean square distances of ``frames`` (T, D) to the template's and to a pause.

        Parameters
        ----------
        frames : Tensor
            (T, D)
        columns : ndarray, optional
            Which of the R + 1 columns (the last is the pause); all unless given.
        silent : ndarray, optional
            (T,) bool: which frames are too soft for any phone, whatever they sound like.

        Returns
        -------
        Tensor
            (T, columns)
        """
        count = len(self.template.frames)
        known = torch.cat([self.template.frames, self.pause.mean[None]])
        wanted = np.arange(count + 1) if columns is None else np.asarray(columns)
        known = known[torch.from_numpy(wanted)]
        with torch.autocast(frames.device.type, enabled=False):  # small differences of large numbers
            squares = torch.addmm(known.square().sum(1), frames.float(), known.float().T, alpha=-2.0)
        squares += frames.square().sum(1, keepdim=True)
        scores = squares.div_(frames.shape[1]).clamp_(min=1e-6).sqrt_().neg_()
        loud = frames[:, :1] > self.pause.loud
        scores[:, torch.from_numpy(wanted == count)] += torch.where(
            loud, PAUSE_BONUS - LOUD_PAUSE_COST, PAUSE_BONUS
        )
        if silent is not None:
            pause = scores[:, torch.from_numpy(wanted == count)]
            least = torch.from_numpy(np.where(silent, -SILENT_PAUSE_COST, -np.inf)).to(scores)
            scores -= torch.from_numpy(np.where(silent, SILENT_PHONE_COST, 0.0)).to(scores)[:, None]
            scores[:, torch.from_numpy(wanted == count)] = torch.maximum(pause, least[:, None])
        return scores
