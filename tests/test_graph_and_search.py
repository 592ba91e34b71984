"""The graph against enumeration of all that may be said; the search against enumeration of all paths."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aligner.graph import NONE, Graph, Position, Unit, build
from aligner.search.kernels import compiled, viterbi_numba
from aligner.search.viterbi import viterbi
from aligner.types import Pronunciation

HALF = math.log(0.5)


@dataclass
class Toy:
    """Two states a phone, every phone in every context a unit of its own; skips of the second state optional."""

    skip: bool = False
    silence: str = "SIL"
    noises: tuple = ()
    shortest: int = 2

    def __post_init__(self):
        self.units: dict[tuple, Unit] = {}
        stay = [[0.6, 0.4, 0.0], [0.0, 0.7, 0.3]] if not self.skip else [[0.5, 0.3, 0.2], [0.0, 0.7, 0.3]]
        with np.errstate(divide="ignore"):
            self.transitions = np.log(np.array([stay]))

    def knows(self, label):
        return True

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
                topology.unit(name, names[j], names[j + 2], position if position is not None else Position.SINGLE)
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
TRANSCRIPTS = {
    "one word": [[P(("a", "b"))]],
    "single phones": [[P(("a",))], [P(("b",))], [P(("c",))]],
    "variants": [[P(("a", "b")), P(("a", "c"), 0.25)], [P(("b",), 0.5), P(("c", "a", "b"))]],
    "silences": [[P(("a", "b"), 1, 0.3)], [P(("b", "c"), 0.9, 0.6, 1.7, 0.4), P(("d",), 0.5, 0.2, 0.6, 1.2)]],
    "repeats": [[P(("a",))], [P(("a",)), P(("a", "a"))]],
}


@pytest.mark.parametrize("words", TRANSCRIPTS.values(), ids=TRANSCRIPTS)
@pytest.mark.parametrize("topology", [Toy, Blurred, lambda: Toy(skip=True)], ids=["toy", "shared copies", "skips"])
@pytest.mark.parametrize("kernel", ["reference", "numba"])
def test_search_over_the_graph_equals_the_best_of_all_sequences(words, topology, kernel):
    made = topology()
    graph = build(words, made)
    every = list(sequences(words, made))
    table = np.random.default_rng(0).normal(size=(9, 2 * len(made.units) + 2)) * 3
    expected = max(weight + best_of_sequence(units, made.transitions, table) for units, weight in every)
    path = viterbi(graph, torch.tensor(table[:, graph.pdfs], dtype=torch.float32), kernel)
    assert path.score == pytest.approx(expected, abs=1e-4)


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
    scores = lambda frames: torch.zeros(frames, len(graph.pdfs))  # noqa: E731
    assert graph.shortest == 6
    assert math.isfinite(viterbi(graph, scores(6)).score)
    assert viterbi(graph, scores(5)).score == -math.inf
    assert len(viterbi(graph, scores(5)).states) == 0


@pytest.mark.parametrize("words", [[], [[]], [[P(())]]])
def test_words_without_phones_are_refused(words):
    with pytest.raises(ValueError, match="pronunciation"):
        build(words, Toy())


# Search over graphs that no transcript made.


@st.composite
def random_graphs(draw):
    states = draw(st.integers(1, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows = [[s, *(a for a in range(s) if rng.random() < 0.6)] for s in range(states)]
    if draw(st.booleans()):  # without a self-loop a state cannot be held
        rows = [row[1:] or row for row in rows]
    width = max(map(len, rows))
    predecessors = np.array([row + [NONE] * (width - len(row)) for row in rows], np.int32)
    weights = np.where(predecessors >= 0, rng.normal(size=predecessors.shape), -np.inf).astype(np.float32)
    weights[rng.random(weights.shape) < 0.1] = -np.inf  # impossible arcs
    start = np.where(rng.random(states) < 0.6, rng.normal(size=states), -np.inf).astype(np.float32)
    final = np.where(rng.random(states) < 0.6, rng.normal(size=states), -np.inf).astype(np.float32)
    pdf = rng.integers(0, 3, states).astype(np.int32)
    graph = Graph(
        pdf,
        predecessors,
        weights,
        start,
        final,
        np.arange(states, dtype=np.int32),
        ("a",) * states,
        np.zeros(states, np.int32),
        np.arange(3),
    )
    return graph, torch.tensor(rng.normal(size=(draw(st.integers(1, 5)), 3)) * 2, dtype=torch.float32)


def weigh(graph, scores, states) -> float:
    """The weight of one path, from its definition."""
    total = float(graph.start[states[0]]) + float(graph.final[states[-1]])
    for before, state in itertools.pairwise(states):
        arcs = [float(w) for p, w in zip(graph.predecessors[state], graph.weights[state], strict=True) if p == before]
        total += max(arcs, default=-math.inf)
    return total + sum(float(scores[t, graph.pdf[s]]) for t, s in enumerate(states))


@settings(max_examples=150, deadline=None)
@given(random_graphs())
def test_best_path_equals_enumeration(case):
    graph, scores = case
    every = [weigh(graph, scores, states) for states in itertools.product(range(len(graph.pdf)), repeat=len(scores))]
    for kernel in ("reference", "numba"):
        path = viterbi(graph, scores, kernel)
        assert path.score == pytest.approx(max(every), abs=1e-4)
        if math.isfinite(path.score):
            assert weigh(graph, scores, path.states) == pytest.approx(max(every), abs=1e-4)
        else:
            assert len(path.states) == 0


@settings(max_examples=40, deadline=None)
@given(random_graphs(), st.integers(1, 4))
def test_blocks_of_time_give_the_same_path(case, block):
    graph, scores = case
    arrays = (scores.numpy(), graph.pdf, graph.predecessors, graph.weights, graph.start, graph.final)
    whole, total = viterbi_numba.best_path(*arrays, len(scores))
    cut, again = viterbi_numba.best_path(*arrays, block)
    assert total == again
    if math.isfinite(total):
        assert cut.tolist() == whole.tolist()


def test_long_audio_is_cut_into_blocks():
    assert viterbi_numba.block_length(1000, 300) == 1000
    assert viterbi_numba.block_length(120_000, 40_000) < 1000


@pytest.mark.parametrize("kernel", ["reference", "numba"])
def test_a_planted_path_is_found(kernel):
    words = TRANSCRIPTS["silences"]
    graph = build(words, Toy())
    rng = np.random.default_rng(5)
    state, planted = int(np.flatnonzero(np.isfinite(graph.start))[0]), []
    followers = [
        [s for s in range(len(graph.pdf)) if p in graph.predecessors[s] and s != p] for p in range(len(graph.pdf))
    ]
    while True:
        planted += [state] * int(rng.integers(1, 6))
        if not followers[state] or (np.isfinite(graph.final[state]) and rng.random() < 0.5):
            break
        state = int(rng.choice(followers[state]))
    scores = np.full((len(planted), len(graph.pdfs)), -50.0)
    scores[np.arange(len(planted)), graph.pdf[planted]] = 0.0
    assert viterbi(graph, torch.tensor(scores, dtype=torch.float32), kernel).states.tolist() == planted


def test_kernels_compile_where_nothing_can_be_kept(monkeypatch):
    """A read-only installation without a home: numba refuses to cache, and we go on without."""
    from numba.core.caching import FunctionCache

    monkeypatch.setattr(FunctionCache._impl_class, "_locator_classes", [])
    assert compiled(lambda x: x + 1)(1) == 2


def test_bad_scores_are_refused():
    graph = build([[P(("a",))]], Toy())
    good = torch.zeros(4, len(graph.pdfs))
    for bad in (good[:, 1:], good[:0], good[0], torch.where(torch.arange(4)[:, None] == 2, torch.nan, good)):
        with pytest.raises(ValueError, match=r"shape|NaN"):
            viterbi(graph, bad)


def test_more_arcs_than_a_byte_can_tell_are_refused_not_mistaken():
    variants = [P((f"p{k}",)) for k in range(300)]
    graph = build([variants, [P(("a",))]], Toy())
    scores = torch.zeros(graph.shortest, len(graph.pdfs))
    assert math.isfinite(viterbi(graph, scores, "reference").score)
    with pytest.raises(ValueError, match="predecessors"):
        viterbi(graph, scores)


def test_scores_are_left_as_they_were():
    graph = build([[P(("a", "b"))]], Toy())
    scores = torch.randn(12, len(graph.pdfs))
    before = scores.clone()
    viterbi(graph, scores)
    assert torch.equal(scores, before)


def test_both_kernels_agree_on_speech(model):
    from conftest import SAMPLE

    from aligner import Utterance
    from aligner.run.align import Options, prepare, pronouncer

    folder = SAMPLE / "slt"
    utterance = Utterance("u", folder / "vowels.flac", (folder / "vowels.lab").read_text())
    ready = prepare(utterance, model, pronouncer(model, Options()))
    scores = model.score(ready.frames, ready.graph.pdfs)
    fast, plain = (viterbi(ready.graph, scores, k) for k in ("numba", "reference"))
    assert fast.states.tolist() == plain.states.tolist()
    assert fast.score == pytest.approx(plain.score, rel=1e-5)
