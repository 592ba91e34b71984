"""The first pass over a long recording: where each sentence of its transcript is, and what lies between.

It knows phones without context and hears every third frame, and goes through a chain of the transcript's
phones.  Before every sentence, and at the end, the chain has a *door*: silence, filler, and silence behind
that.  Filler is anything at all, heard at a loss; and a path may go from one door to the next and so skip a
sentence, at a cost.  So music, other talk, and text that is not read cost their own stretch and nothing
beyond (as the garbage models of keyword spotting do: Rose and Paul 1990, *A hidden Markov model based keyword
recognition system*).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch

from aligner.graph import NONE
from aligner.search.arcs import Arcs
from aligner.search.long import long_path

BAND_STATES = 4096  # phones that the search considers at once: some minutes of speech
DOOR_STATES = 3  # states of a door: silence, filler, and silence behind that
# Losses and costs in nats.  Against the best of all phones a frame of a right sentence loses 1.4 on the
# average (of 80, the worst 2.4), of a wrong one 5.0 (the best 3.1).  In an hour with 48 sentences too many
# in the text, 48 too few and 12 interludes of music or speech backwards 46 are skipped and 2 of 867 others;
# in an hour without any, none of 983
FILLER_LOSS = 4.0  # of a frame that is heard as filler, against the best of all phones
STAY_COST = 0.5  # of another frame in a phone: none lasts for seconds
PAUSE_COST = 15.0  # of a pause within a sentence: a word that sounds like the end before it must not go there
FILLER_COST = 20.0  # of the first frame of filler
SKIP_COST = 20.0  # of a sentence that is skipped
LEAST_STRETCH = 15.0  # s of speech from which the next good pause ends a stretch
LEAST_PAUSE = 0.2  # s that a good pause lasts
FILLER_EDGE = 0.2  # s of filler that go to the sentence beside it: the first pass is not so exact
LEAST_FILLER = 0.5  # s; filler that is shorter counts as a pause
TOUCHING = 1e-6  # s by which times that are one may differ

Span = tuple[float, float]
WeightedArcs = tuple[np.ndarray, np.ndarray, float]  # from states, to states, and the weight of each arc


class Chain(NamedTuple):
    """The states of the first pass, one a phone, with a door before every sentence and at the end."""

    phone: np.ndarray
    """(S,) int32: the column of the scores of each state; the last column is filler."""

    sentence: np.ndarray
    """(S,) int32: the sentence that each state belongs to, or stands before."""

    word: np.ndarray
    """(S,) bool: whether it is a phone of a word."""

    doors: np.ndarray
    """(sentences + 1,): the first state of each door."""


class Stretch(NamedTuple):
    """Sentences that are aligned together, and where they are, in seconds from the utterance's start."""

    start: float
    end: float
    sentences: tuple[int, ...]


class Layout(NamedTuple):
    """Where the first pass found the sentences of a transcript."""

    stretches: tuple[Stretch, ...]
    """Stretches of speech, each with its sentences."""

    missing: tuple[tuple[int, float], ...]
    """Sentences that are not heard, each with the time before it, in seconds from the utterance's start."""


def sentence_chain(phones: Sequence[Sequence[Sequence[int]]], silence: int, filler: int) -> Chain:
    """The states of sentences of words of phones; between words stands a silence that may be left out."""
    phone: list[int] = []
    sentence: list[int] = []
    word: list[bool] = []
    doors = []

    def add(column: int, number: int, spoken: bool = False) -> None:
        phone.append(column)
        sentence.append(number)
        word.append(spoken)

    for k, words in enumerate([*phones, []]):
        doors.append(len(phone))
        for column in (silence, filler, silence):
            add(column, k)
        for w, sounds in enumerate(words):
            if w:
                add(silence, k)
            for sound in sounds:
                add(sound, k, True)
    return Chain(np.array(phone, np.int32), np.array(sentence, np.int32), np.array(word), np.array(doors))


def chain_arcs(states: Chain, silence: int) -> Arcs:
    """The arcs of a chain as a search takes them."""
    arcs = _weighted_arcs(states, silence)
    source, target = (np.concatenate([arc[k] for arc in arcs]) for k in (0, 1))
    weight = np.concatenate([np.full(len(arc[0]), arc[2], np.float32) for arc in arcs])
    rank = np.argsort(target, kind="stable")
    source, target, weight = source[rank], target[rank], weight[rank]
    column = np.arange(len(target)) - np.searchsorted(target, target)
    count = len(states.phone)
    predecessors = np.full((count, column.max() + 1), NONE, np.int32)
    weights = np.full(predecessors.shape, -np.inf, np.float32)
    predecessors[target, column], weights[target, column] = source, weight
    start, final = (np.full(count, -np.inf, np.float32) for _ in range(2))
    start[[0, 1, DOOR_STATES]] = 0.0, -FILLER_COST, 0.0
    final[states.doors[-1] - 1 :] = 0.0
    pdf, before, weighed, beginning, ending = (
        torch.from_numpy(a)[None] for a in (states.phone, predecessors, weights, start, final)
    )
    return Arcs(pdf, before, weighed[None], beginning, ending)


def _weighted_arcs(states: Chain, silence: int) -> list[WeightedArcs]:
    """Arcs to stay, to go on, to leave out a silence, and through each door: with or without a pause or
    filler, or to the next door, which skips the sentence.
    """
    order, doors = np.arange(len(states.phone)), states.doors
    fillers, rests, opens = doors + 1, doors + 2, doors[:-1] + DOOR_STATES
    last = doors[1:] - 1  # phone before a door
    said, other = order[states.word], order[~states.word]
    pauses = np.setdiff1d(np.flatnonzero((states.phone == silence) & ~states.word), [doors, rests])
    steps = np.setdiff1d(order[1:], [*fillers, *pauses])
    arcs: list[WeightedArcs] = [
        (said, said, -STAY_COST),
        (other, other, 0.0),
        (steps - 1, steps, 0.0),
        (pauses - 1, pauses + 1, 0.0),
        (pauses - 1, pauses, -PAUSE_COST),
        (doors, fillers, -FILLER_COST),
        (last, fillers[1:], -FILLER_COST),
        (doors[:-1], opens, 0.0),
        (fillers[:-1], opens, 0.0),
        (last[:-1], opens[1:], 0.0),
    ]
    for before, begins in ((doors, True), (fillers, False), (rests, True)):
        arcs += [
            (before[:-1], doors[1:], -SKIP_COST),
            (before[:-1], fillers[1:], -SKIP_COST - (FILLER_COST if begins else 0.0)),
        ]
    return arcs


def first_pass(scores: np.ndarray, states: Chain, silence: int) -> np.ndarray:
    """The best path (T,) through the chain for ``scores`` (T, phones) of every phone.

    Raises
    ------
    NoPath
        If the recording is too short for it.
    """
    whole = torch.from_numpy(np.concatenate([scores, scores.max(1, keepdims=True) - FILLER_LOSS], 1))
    arcs = chain_arcs(states, silence)
    found = long_path(
        arcs, lambda a, b, columns: whole[a:b, torch.from_numpy(columns)], len(whole), BAND_STATES
    )
    return found.states[0].numpy()


def layout(path: np.ndarray, states: Chain, filler: int, step: float, end: float) -> Layout:
    """Cut an utterance at good pauses and at filler.

    Parameters
    ----------
    path : ndarray
        (T,) of the first pass.
    states : Chain
    filler : int
        The column of filler.
    step : float
        Seconds from one frame of the path to the next.
    end : float
        The end of the utterance, in seconds from its start.
    """
    begins = np.flatnonzero(np.diff(path, prepend=-1))
    edges = [*(begins * step).tolist(), end]
    runs = [(int(path[t]), a, b) for t, (a, b) in zip(begins, pairwise(edges), strict=True)]
    fillers = [(a, b) for s, a, b in runs if states.phone[s] == filler and b - a >= LEAST_FILLER]
    spoken: dict[int, list[float]] = {}
    for s, a, b in runs:
        if states.word[s]:
            spoken.setdefault(int(states.sentence[s]), [a, b])[1] = b
    times = [(k, a, b) for k, (a, b) in sorted(spoken.items())]
    missing = [k for k in range(len(states.doors) - 1) if k not in spoken]
    return Layout(
        _stretches(times, fillers, end),
        tuple((k, max((b for j, _, b in times if j < k), default=0.0)) for k in missing),
    )


def _stretches(
    times: Sequence[tuple[int, float, float]], fillers: Sequence[Span], end: float
) -> tuple[Stretch, ...]:
    """Sentences (number, first, last) in stretches that a good pause or filler divides."""
    found: list[Stretch] = []
    edges = [(0.0, 0.0), *((a, b) for _, a, b in times), (end, end)]
    start, members = 0.0, list[int]()
    for k, ((_, last), (first, _)) in enumerate(pairwise(edges)):
        between = [f for f in fillers if f[0] >= last - TOUCHING and f[1] <= first + TOUCHING]
        if between:
            left = _stretch_end(last, *between[0])
            right = -_stretch_end(-first, -between[-1][1], -between[-1][0])
        elif k == len(times):
            left = right = end
        elif members and last - start >= LEAST_STRETCH and first - last >= LEAST_PAUSE:
            left = right = (last + first) / 2
        else:
            left = right = start
        if right > start:
            if members:
                found.append(Stretch(start, left, tuple(members)))
            start, members = right, []
        if k < len(times):
            members.append(times[k][0])
    return tuple(found)


def _stretch_end(speech: float, filler: float, end: float) -> float:
    """Where a stretch ends whose ``speech`` ends before ``filler`` begins, which lasts to ``end``.

    It is in the middle of a good pause between them, or else a bit behind where the filler begins.
    """
    return (speech + filler) / 2 if filler - speech >= LEAST_PAUSE else min(filler + FILLER_EDGE, end)


def gaps(spans: Iterable[Span], start: float, end: float) -> list[Span]:
    """What spans, one after the other, leave over from ``start`` to ``end``."""
    edges = [start, *(t for span in spans for t in span), end]
    return [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a > LEAST_FILLER / 2]
