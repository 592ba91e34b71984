"""The graph against enumeration of all that may be said."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from aligner.graph import Position, Unit, build
from aligner.search.arcs import Arcs, NoPath
from aligner.search.viterbi import viterbi
from aligner.types import Pronunciation

HALF = math.log(0.5)


@dataclass
class Toy:
    """Two states a phone, every phone in every context a unit of its own; skips of the second state
    optional."""

    skip: bool = False
    silence: str = "SIL"
    noises: tuple = ()
    shortest: int = 2

    def __post_init__(self):
        self.units: dict[tuple, Unit] = {}
        self.numbers: dict[str, int] = {}
        stay = [[0.6, 0.4, 0.0], [0.0, 0.7, 0.3]] if not self.skip else [[0.5, 0.3, 0.2], [0.0, 0.7, 0.3]]
        with np.errstate(divide="ignore"):
            self.transitions = np.log(np.array([stay]))

    def knows(self, label):
        return True

    def number(self, label):
        return self.numbers.setdefault(label, len(self.numbers))

    def unit(self, phone, left, right, position):
        if phone == self.silence:
            left = right = phone
            position = Position.SINGLE
        number = len(self.units)
        return self.units.setdefault((phone, left, right, position), Unit((2 * number, 2 * number + 1), 0))


class Blurred(Toy):
    """As Toy, but contexts are known only by whether they are silence: copies can be shared."""

    def unit(self, phone, left, right, position):
        blur = lambda p: p if p == self.silence else "x"  # noqa: E731
        return super().unit(phone, blur(left), blur(right), position)


def sequences(words, topology):
    """Every (phones in context with their pdfs, log weight) that the words allow, one by one."""
    for choice in itertools.product(*words):
        for quiet in itertools.product([False, True], repeat=len(words) + 1):
            phones, weight = [], 0.0
            for k, p in enumerate(choice):
                if quiet[k]:
                    phones.append(("SIL", None))
                weight += math.log(p.probability) + math.log(
                    p.silence_before if quiet[k] else p.no_silence_before if k else 1.0
                )
                if p.silence_after is not None:
                    weight += math.log(p.silence_after if quiet[k + 1] else 1 - p.silence_after)
                last = len(p.phones) - 1
                phones += [
                    (
                        phone,
                        Position.SINGLE
                        if last == 0
                        else Position.BEGIN
                        if j == 0
                        else Position.END
                        if j == last
                        else Position.INTERNAL,
                    )
                    for j, phone in enumerate(p.phones)
                ]
            if quiet[-1]:
                phones.append(("SIL", None))
            names = ["SIL", *(name for name, _ in phones), "SIL"]
            units = [
                topology.unit(
                    name, names[j], names[j + 2], position if position is not None else Position.SINGLE
                )
                for j, (name, position) in enumerate(phones)
            ]
            yield units, weight


def best_of_sequence(units, transitions, scores):
    """Viterbi of one known sequence, over model pdfs: the states one after the other."""
    pdfs = [p for u in units for p in u.pdfs]
    weights = np.full((len(pdfs) + 1, len(pdfs) + 1), -np.inf)
    for j in range(0, len(pdfs), 2):
        for a in range(2):
            for b in range(2):
                weights[j + a, j + b] = transitions[0, a, b]
            weights[j + a, min(j + 2, len(pdfs))] = transitions[0, a, 2]
    best = np.full(len(pdfs), -np.inf)
    best[0] = scores[0][pdfs[0]]
    for frame in scores[1:]:
        best = (best[:, None] + weights[:-1, :-1]).max(0) + [frame[p] for p in pdfs]
    return (best + weights[:-1, -1]).max()


P = Pronunciation


def with_silence(
    phones: str, probability: float, after: float, before: float = 1.0, none_before: float = 1.0
):
    return Pronunciation(
        tuple(phones),
        probability,
        silence_after=after,
        silence_before=before,
        no_silence_before=none_before,
    )


TRANSCRIPTS = {
    "one word": [[P(("a", "b"))]],
    "single phones": [[P(("a",))], [P(("b",))], [P(("c",))]],
    "variants": [[P(("a", "b")), P(("a", "c"), 0.25)], [P(("b",), 0.5), P(("c", "a", "b"))]],
    "silences": [
        [with_silence("ab", 1, 0.3)],
        [with_silence("bc", 0.9, 0.6, 1.7, 0.4), with_silence("d", 0.5, 0.2, 0.6, 1.2)],
    ],
    "repeats": [[P(("a",))], [P(("a",)), P(("a", "a"))]],
}


@pytest.mark.parametrize("words", TRANSCRIPTS.values(), ids=TRANSCRIPTS)
@pytest.mark.parametrize(
    "topology", [Toy, Blurred, lambda: Toy(skip=True)], ids=["toy", "shared copies", "skips"]
)
@pytest.mark.parametrize("kernel", ["reference", "numba"])
def test_search_over_the_graph_equals_the_best_of_all_sequences(words, topology, kernel):
    made = topology()
    graph = build(words, made)
    every = list(sequences(words, made))
    table = np.random.default_rng(0).normal(size=(9, 2 * len(made.units) + 2)) * 3
    expected = max(weight + best_of_sequence(units, made.transitions, table) for units, weight in every)
    path = viterbi(
        Arcs.of(graph), torch.tensor(table[None, :, graph.pdfs], dtype=torch.float32), kernel=kernel
    )
    assert path.score.item() == pytest.approx(expected, abs=1e-4)


def test_sequences_tell_contexts_across_words():
    """Of 'a b' the last phone of 'a' hears b, unless there is a silence."""
    toy = Toy()
    build([[P(("a",))], [P(("b",))]], toy)
    assert ("a", "SIL", "b", Position.SINGLE) in toy.units
    assert ("b", "SIL", "SIL", Position.SINGLE) in toy.units
    assert ("b", "a", "SIL", Position.SINGLE) in toy.units


def test_copies_that_cannot_be_told_apart_are_one():
    words = TRANSCRIPTS["variants"]
    assert len(build(words, Blurred()).pdf) < len(build(words, Toy()).pdf)


def test_shortest_is_the_fewest_frames_with_a_path():
    graph = build(TRANSCRIPTS["variants"], Toy())
    scores = lambda frames: torch.zeros(1, frames, len(graph.pdfs))  # noqa: E731
    assert graph.shortest == 6
    assert torch.isfinite(viterbi(Arcs.of(graph), scores(6)).score)
    with pytest.raises(NoPath, match="fewer"):
        viterbi(Arcs.of(graph), scores(5))


@pytest.mark.parametrize("words", [[], [[]], [[P(())]]])
def test_words_without_phones_are_refused(words):
    with pytest.raises(ValueError, match="pronunciation"):
        build(words, Toy())


@pytest.mark.parametrize("kernel", ["reference", "numba"])
def test_a_planted_path_is_found(kernel):
    words = TRANSCRIPTS["silences"]
    graph = build(words, Toy())
    rng = np.random.default_rng(5)
    state, planted = int(np.flatnonzero(np.isfinite(graph.start))[0]), []
    followers = [
        [s for s in range(len(graph.pdf)) if p in graph.predecessors[s] and s != p]
        for p in range(len(graph.pdf))
    ]
    while True:
        planted += [state] * int(rng.integers(1, 6))
        if not followers[state] or (np.isfinite(graph.final[state]) and rng.random() < 0.5):
            break
        state = int(rng.choice(followers[state]))
    scores = np.full((len(planted), len(graph.pdfs)), -50.0)
    scores[np.arange(len(planted)), graph.pdf[planted]] = 0.0
    assert (
        viterbi(Arcs.of(graph), torch.tensor(scores[None], dtype=torch.float32), kernel=kernel)
        .states[0]
        .tolist()
        == planted
    )
