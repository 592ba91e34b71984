"""The searches against enumeration of all paths, and the kernels against the references."""

from __future__ import annotations

import itertools
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.graphs import cases, chain, pieces, speech_like

from aligner.graph import NONE, Position, Unit, build
from aligner.search import traceback
from aligner.search import viterbi as viterbi_room
from aligner.search.arcs import Arcs, NoPath, chosen_kernel
from aligner.search.forward_backward import forward_backward, log_partition
from aligner.search.kernels import compiled, spread
from aligner.search.kernels.layout import backpointer_bits, layout
from aligner.search.live import LiveSearch
from aligner.search.long import long_path
from aligner.search.segmental import segmental_forward_backward, segmental_log_partition, segmental_viterbi
from aligner.search.viterbi import viterbi
from aligner.types import Pronunciation

pytestmark = pytest.mark.usefixtures("two_threads")  # kernels share a batch among them
KERNELS = ["reference", "numba", "triton"]
DEVICE = {"triton": "cuda" if torch.cuda.is_available() else "cpu"}


def at(kernel: str, *tensors):
    """Tensors where a kernel wants them."""
    return [t.to(DEVICE.get(kernel, "cpu")) for t in tensors]


def arc_weights(arcs: Arcs, b: int, t: int) -> dict[tuple[int, int], list[tuple[int, float]]]:
    """(column, weight) of the arcs into frame t, by (source, target)."""
    g, u = min(b, len(arcs.pdf) - 1), min(t, arcs.weights.shape[1] - 1)
    found: dict = {}
    for s, row in enumerate(arcs.predecessors[g].tolist()):
        for k, p in enumerate(row):
            if p != NONE:
                found.setdefault((p, s), []).append((k, float(arcs.weights[g, u, s, k])))
    return found


def every_path(arcs: Arcs, scores, lengths, b: int):
    """All (states, columns of arcs, weight) of an utterance, by definition."""
    g, length = min(b, len(arcs.pdf) - 1), int(lengths[b])
    tables = [arc_weights(arcs, b, t) for t in range(length)]
    for states in itertools.product(range(arcs.states), repeat=length):
        weight = float(arcs.start[g, states[0]]) + float(arcs.final[g, states[-1]])
        weight += sum(float(scores[b, t, arcs.pdf[g, s]]) for t, s in enumerate(states))
        ways = [tables[t].get((states[t - 1], states[t]), []) for t in range(1, length)]
        for way in itertools.product(*ways):
            yield states, [k for k, _ in way], weight + sum(w for _, w in way)


def log_sum(values) -> float:
    values = [v for v in values if v > -math.inf]
    return math.log(sum(math.exp(v - max(values)) for v in values)) + max(values) if values else -math.inf


@settings(max_examples=60, deadline=None)
@given(cases())
def test_best_path_equals_enumeration(case):
    arcs, scores, lengths = case
    best = [
        max((w for _, _, w in every_path(arcs, scores, lengths, b)), default=-math.inf)
        for b in range(len(scores))
    ]
    impossible = tuple(b for b, w in enumerate(best) if w == -math.inf)
    for kernel in KERNELS:
        given_, like, _ = arcs.to(*at(kernel, scores)), *at(kernel, scores), None
        if impossible:
            with pytest.raises(NoPath) as error:
                viterbi(given_, like, lengths, kernel)
            assert error.value.utterances == impossible
            continue
        path = viterbi(given_, like, lengths, kernel)
        for b, length in enumerate(lengths.tolist()):
            assert path.score[b].item() == pytest.approx(best[b], abs=1e-4)
            mine = tuple(path.states[b, :length].tolist())
            assert max(w for s, _, w in every_path(arcs, scores, lengths, b) if s == mine) == pytest.approx(
                best[b], abs=1e-4
            )
            assert (path.states[b, length:] == -1).all()


@settings(max_examples=60, deadline=None)
@given(cases())
def test_sums_and_posteriors_equal_enumeration(case):
    arcs, scores, lengths = case
    batch, frames, _ = scores.shape
    total = [log_sum(w for _, _, w in every_path(arcs, scores, lengths, b)) for b in range(batch)]
    if -math.inf in total:
        for kernel in KERNELS:
            for search in (forward_backward, log_partition):
                with pytest.raises(NoPath):
                    search(arcs.to(*at(kernel, scores)), *at(kernel, scores), lengths, kernel)
        return
    states = torch.zeros(batch, frames, arcs.states)
    crossed = torch.zeros(batch, *arcs.weights.shape[1:])
    for b in range(batch):
        for path, columns, weight in every_path(arcs, scores, lengths, b):
            share = math.exp(weight - total[b])
            for t, s in enumerate(path):
                states[b, t, s] += share
            for t, k in enumerate(columns, 1):
                crossed[b, min(t, crossed.shape[1] - 1), path[t], k] += share
    for kernel in KERNELS:
        found = forward_backward(arcs.to(*at(kernel, scores)), *at(kernel, scores), lengths, kernel)
        assert found.log_z.tolist() == pytest.approx(total, abs=1e-4)
        torch.testing.assert_close(found.states.cpu().float(), states, atol=2e-5, rtol=1e-4)
        torch.testing.assert_close(found.arcs.cpu().float(), crossed, atol=2e-5, rtol=1e-4)


def gradients(search, arcs, tensors, lengths, kernel, rest=()):
    """Of the sum of twice log Z, with respect to everything."""
    leaves = [t.clone().requires_grad_() for t in (*tensors, arcs.weights, arcs.start, arcs.final, *rest)]
    moved = [t.to(DEVICE.get(kernel, "cpu")) for t in leaves]
    graph = Arcs(*at(kernel, arcs.pdf, arcs.predecessors), *moved[1:4])
    (2 * search(graph, moved[0], *moved[4:], lengths, kernel)).sum().backward()
    return [t.grad if t.grad is not None else torch.zeros_like(t) for t in leaves]


@settings(max_examples=40, deadline=None)
@given(cases(longest=7))
def test_the_gradient_of_log_z_is_the_posteriors(case):
    arcs, scores, lengths = case
    try:
        found = forward_backward(arcs, scores, lengths, "reference")
    except NoPath:
        return
    expected = gradients(log_partition, arcs, [scores], lengths, "reference")
    for kernel in KERNELS[1:]:
        for mine, theirs in zip(
            gradients(log_partition, arcs, [scores], lengths, kernel), expected, strict=True
        ):
            assert not mine.isnan().any()
            torch.testing.assert_close(mine, theirs, atol=5e-5, rtol=1e-4)
    posteriors = torch.zeros_like(scores).scatter_add_(
        2, arcs.pdf.long()[:, None].expand(*scores.shape[:2], -1), found.states
    )
    torch.testing.assert_close(expected[0], 2 * posteriors, atol=5e-5, rtol=1e-4)


@st.composite
def segmental_cases(draw):
    arcs, scores, lengths = draw(cases(longest=5, most_states=3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    batch, frames = scores.shape[:2]
    shape = (
        draw(st.sampled_from([1, batch])),
        draw(st.sampled_from([1, frames])),
        arcs.states,
        draw(st.integers(1, 6)),
    )
    durations = rng.normal(size=shape)
    durations[rng.random(shape) < 0.1] = -np.inf
    return arcs, scores, torch.tensor(durations, dtype=scores.dtype), lengths


def every_segmentation(arcs, scores, durations, lengths, b):
    """All (segments (state, first, end), columns of arcs, weight) of an utterance, by definition."""
    g, length, longest = min(b, len(arcs.pdf) - 1), int(lengths[b]), durations.shape[3]
    d = min(b, len(durations) - 1)

    def from_(first, before):
        if first == length:
            yield [], [], float(arcs.final[g, before])
            return
        for s in range(arcs.states):
            ways = (
                [(-1, float(arcs.start[g, s]))]
                if first == 0
                else arc_weights(arcs, b, first).get((before, s), [])
            )
            for (k, w), end in itertools.product(ways, range(first + 1, min(first + longest, length) + 1)):
                w = w + float(durations[d, min(end - 1, durations.shape[1] - 1), s, end - first - 1])
                w += sum(float(scores[b, t, arcs.pdf[g, s]]) for t in range(first, end))
                for segments, columns, rest in from_(end, s):
                    yield [(s, first, end), *segments], [k, *columns], w + rest

    yield from from_(0, -1)


@settings(max_examples=50, deadline=None)
@given(segmental_cases())
def test_segments_equal_enumeration(case):
    arcs, scores, durations, lengths = case
    batch, frames, _ = scores.shape
    every = [list(every_segmentation(arcs, scores, durations, lengths, b)) for b in range(batch)]
    total = [log_sum(w for _, _, w in e) for e in every]
    searches = (segmental_viterbi, segmental_forward_backward, segmental_log_partition)
    if -math.inf in total:
        for kernel, search in itertools.product(KERNELS, searches):
            with pytest.raises(NoPath):
                search(arcs.to(*at(kernel, scores)), *at(kernel, scores, durations), lengths, kernel)
        return
    states, spans = torch.zeros(batch, frames, arcs.states), torch.zeros(batch, *durations.shape[1:])
    crossed = torch.zeros(batch, *arcs.weights.shape[1:])
    for b in range(batch):
        for segments, columns, weight in every[b]:
            share = math.exp(weight - total[b])
            for (s, first, end), k in zip(segments, columns, strict=True):
                states[b, first:end, s] += share
                spans[b, min(end - 1, spans.shape[1] - 1), s, end - first - 1] += share
                if first > 0:
                    crossed[b, min(first, crossed.shape[1] - 1), s, k] += share
    for kernel in KERNELS:
        given_ = (arcs.to(*at(kernel, scores)), *at(kernel, scores, durations), lengths, kernel)
        found = segmental_forward_backward(*given_)
        assert found.log_z.tolist() == pytest.approx(total, abs=1e-4)
        for mine, theirs in zip(found[1:], (states, crossed, spans), strict=True):
            torch.testing.assert_close(mine.cpu().float(), theirs, atol=2e-5, rtol=1e-4)
        best = segmental_viterbi(*given_)
        for b, length in enumerate(lengths.tolist()):
            most = max(w for _, _, w in every[b])
            assert best.score[b].item() == pytest.approx(most, abs=1e-4)
            firsts = [*torch.nonzero(best.begins[b]).flatten().tolist(), length]
            mine = [(int(best.states[b, a]), a, e) for a, e in itertools.pairwise(firsts)]
            assert max(w for s, _, w in every[b] if s == mine) == pytest.approx(most, abs=1e-4)
            assert (best.states[b, length:] == -1).all()


@settings(max_examples=25, deadline=None)
@given(segmental_cases())
def test_gradients_through_segments(case):
    arcs, scores, durations, lengths = case

    def search(arcs, scores, durations, lengths, kernel):
        return segmental_log_partition(arcs, scores, durations, lengths, kernel)

    try:
        expected = gradients(search, arcs, [scores], lengths, "reference", [durations])
    except NoPath:
        return
    for kernel in KERNELS[1:]:
        for mine, theirs in zip(
            gradients(search, arcs, [scores], lengths, kernel, [durations]), expected, strict=True
        ):
            assert not mine.isnan().any()
            torch.testing.assert_close(mine, theirs, atol=5e-5, rtol=1e-4)


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_planted_path_comes_back(kernel):
    arcs, (scores, planted) = chain(20), speech_like(20, 70)
    scores[range(70), planted] += 50.0
    assert (
        viterbi(arcs.to(*at(kernel, scores)), *at(kernel, scores[None]), kernel=kernel).states[0].tolist()
        == planted.tolist()
    )


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_batch_is_its_utterances(kernel):
    """Differing graphs and lengths, padded, give what each gives alone."""
    graphs, frames = [words_graph(n) for n in (1, 3, 2)], [9, 30, 14]
    rng = torch.Generator().manual_seed(4)
    single = [torch.randn(1, t, len(g.pdfs), generator=rng) for g, t in zip(graphs, frames, strict=True)]
    columns = max(s.shape[2] for s in single)
    batch = torch.full((3, 30, columns), torch.nan)
    for b, s in enumerate(single):
        batch[b, : s.shape[1], : s.shape[2]] = s[0]
        batch[b, : s.shape[1], s.shape[2] :] = 0.0
    lengths = torch.tensor(frames)
    together = Arcs.of(graphs, DEVICE.get(kernel, "cpu"))
    path = viterbi(together, *at(kernel, batch), lengths, kernel)
    sums = forward_backward(together, *at(kernel, batch), lengths, kernel)
    for b, (graph, own) in enumerate(zip(graphs, single, strict=True)):
        alone = viterbi(Arcs.of(graph), own, kernel="reference")
        assert path.states[b, : frames[b]].tolist() == alone.states[0].tolist()
        assert path.score[b].item() == pytest.approx(alone.score.item(), abs=1e-3)
        assert sums.log_z[b].item() == pytest.approx(
            log_partition(Arcs.of(graph), own, kernel="reference").item(), abs=1e-3
        )


class Plain:
    """Three states a phone, whatever its context."""

    silence, noises, shortest = "SIL", (), 3
    transitions = np.log(np.array([[[0.5, 0.5, 0, 0], [0, 0.5, 0.5, 0], [0, 0, 0.5, 0.5]]]) + 1e-30).astype(
        np.float64
    )
    transitions[transitions < -50] = -np.inf

    def knows(self, label):
        return True

    def number(self, phone):
        return ["SIL", "a", "b", "c"].index(phone)

    def unit(self, phone, left, right, position: Position):
        first = 3 * self.number(phone)
        return Unit((first, first + 1, first + 2), 0)


def words_graph(words: int):
    return build([[Pronunciation(("a", "b")), Pronunciation(("c",))]] * words, Plain())


def test_spread_reaches_every_utterance_once():
    seen = []
    spread(lambda first, step: seen.extend(range(first, 7, step)), 7)
    assert sorted(seen) == list(range(7))


def test_a_graph_with_many_arcs_takes_wider_backpointers():
    """1 to 8 bits."""
    for states in (1, 2, 4, 9, 16, 40):
        generator = torch.Generator().manual_seed(states)
        arcs = Arcs.dense(torch.randn(states, states, generator=generator), torch.zeros(states))
        scores = torch.randn(1, 12, states, generator=generator)
        expected = viterbi(arcs, scores, kernel="reference")
        for kernel in KERNELS[1:]:
            found = viterbi(arcs.to(*at(kernel, scores)), *at(kernel, scores), kernel=kernel)
            assert found.states.tolist() == expected.states.tolist()


def test_backpointers_take_the_fewest_bits():
    def bits(arcs):
        return backpointer_bits(layout(arcs.predecessors[0].numpy()))

    assert bits(chain(9)) == 1
    skips = Arcs.dense(torch.ones(9, 9).triu().tril(2).log(), torch.zeros(9))
    assert bits(skips) == 2
    assert bits(Arcs.of(words_graph(3))) == 2
    assert bits(Arcs.dense(torch.zeros(9, 9), torch.zeros(9))) == 4
    assert bits(Arcs.dense(torch.zeros(40, 40), torch.zeros(40))) == 8


@pytest.mark.parametrize("kernel", ["numba", "triton"])
def test_more_arcs_than_a_byte_can_tell_take_two(kernel):
    states = 300
    generator = torch.Generator().manual_seed(0)
    arcs = Arcs.dense(torch.randn(states, states, generator=generator), torch.zeros(states))
    scores = torch.randn(1, 4, states, generator=generator)
    found = viterbi(arcs.to(*at(kernel, scores)), *at(kernel, scores), kernel=kernel)
    assert found.states.tolist() == viterbi(arcs, scores, kernel="reference").states.tolist()


def test_sums_survive_underflow_in_dense_graphs():
    """Where all but the arc by arc sum would be 0."""
    arcs = Arcs.dense(
        torch.tensor([[0.0, -3000.0], [-2000.0, 0.0]]).double(), torch.tensor([0.0, -900.0]).double()
    )
    scores = torch.tensor([[[0.0, 0.0], [0.0, 2500.0], [-5000.0, 0.0]]], dtype=torch.float64)
    found, expected = (forward_backward(arcs, scores, kernel=k) for k in ("numba", "reference"))
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, theirs)


def test_hours_of_frames_lose_no_precision():
    """float32 and 100,000 frames: the score is that of float64."""
    arcs, (scores, _) = chain(5), speech_like(5, 100_000)
    scores = scores - 80.0
    short, long = (viterbi(arcs, scores[None].to(t)).score.item() for t in (torch.float32, torch.float64))
    assert short == pytest.approx(long, rel=1e-6)
    short, long = (log_partition(arcs, scores[None].to(t)).item() for t in (torch.float32, torch.float64))
    assert short == pytest.approx(long, rel=1e-6)


def test_a_state_that_loses_the_lead_takes_no_precision_along():
    """The best state's score falls by 10,000 a frame; another takes over: differences of a tenth must
    survive.
    """
    rng = np.random.default_rng(0)
    scores = torch.from_numpy(rng.normal(size=(1, 60, 3)).astype(np.float32))
    scores[:, :10, 0] += 50.0
    scores[:, 10:, 0] -= 1e6
    arcs = Arcs.dense(torch.zeros(3, 3), torch.zeros(3))
    exact = viterbi(arcs, scores.double(), kernel="reference")
    for kernel in KERNELS[1:]:
        found = viterbi(arcs.to(*at(kernel, scores)), *at(kernel, scores), kernel=kernel)
        assert found.states.tolist() == exact.states.tolist()
        assert found.score.item() == pytest.approx(exact.score.item(), rel=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_summed_in_float32(dtype):
    arcs, scores = chain(3), torch.full((1, 400, 3), -400.0, dtype=dtype)
    for search in (viterbi, forward_backward):
        found = search(arcs, scores)
        total = found.score if search is viterbi else found.log_z
        assert total.dtype == torch.float32
        assert total.item() == pytest.approx(-160_000, rel=0.01)
    leaf = scores.clone().requires_grad_()
    log_partition(arcs, leaf).sum().backward()
    assert leaf.grad.dtype == dtype


def test_what_stands_where_there_is_no_arc_is_not_read():
    arcs, (scores, _) = chain(4), speech_like(4, 9)
    dirty = arcs._replace(weights=arcs.weights.masked_fill(arcs.predecessors[:, None] == NONE, torch.nan))
    for kernel in ("reference", "numba"):
        assert (
            viterbi(dirty, scores[None], kernel=kernel).score
            == viterbi(arcs, scores[None], kernel=kernel).score
        )
        torch.testing.assert_close(
            log_partition(dirty, scores[None], kernel=kernel),
            log_partition(arcs, scores[None], kernel=kernel),
        )


def test_second_derivatives_and_changed_inputs_are_refused():
    arcs, scores = chain(3), torch.randn(1, 5, 3, requires_grad=True)
    with pytest.raises(RuntimeError, match="differentiated twice"):
        torch.autograd.grad(log_partition(arcs, scores).sum(), scores, create_graph=True)
    total = log_partition(arcs, scores, kernel="reference").sum()
    (first,) = torch.autograd.grad(total, scores, create_graph=True)
    (first**2).sum().backward()
    leaf = torch.randn(1, 5, 3, requires_grad=True)
    changed = leaf * 1.0
    total = log_partition(arcs, changed)
    with torch.no_grad():
        changed.mul_(5)
    with pytest.raises(RuntimeError, match="modified"):
        total.sum().backward()


def test_segments_of_very_many_states():
    """More than 16 bits count."""
    states = 70_000
    s = torch.arange(states, dtype=torch.int32)
    arcs = Arcs(
        s[None],
        (s - 1)[None, :, None],
        torch.zeros(1, 1, states, 1),
        torch.zeros(1, states),
        torch.zeros(1, states),
    )
    scores = torch.zeros(1, 3, states)
    scores[0, :, states - 2 :] = 5.0
    path = segmental_viterbi(arcs, scores, torch.zeros(1, 1, states, 2))
    assert path.score.item() == 15.0
    assert path.states[0].diff().ge(0).all()
    assert path.states.min() >= states - 2


# Long audio.


@pytest.mark.parametrize("band", [None, 16, 64])
def test_blocks_and_bands_give_the_exact_path(band):
    arcs, (scores, _) = chain(300), speech_like(300, 3000)
    asked = []

    def score(first, last, columns):
        asked.append((last - first) * len(columns))
        return scores[first:last, columns]

    path = long_path(arcs, score, 3000, band)
    whole = viterbi(arcs, scores[None])
    assert path.states.tolist() == whole.states.tolist()
    assert path.score.item() == pytest.approx(whole.score.item(), rel=1e-6)
    assert max(asked) < scores.numel() / (1 if band is None else 2)


def test_a_band_that_is_too_narrow_is_widened():
    """Half of the states pass in a tenth of the time: a band that moves evenly would lose them."""
    arcs, states = chain(400), np.concatenate([np.repeat(np.arange(200), 20), np.arange(200, 400)])
    scores = torch.full((len(states), 400), -8.0)
    scores[range(len(states)), states] = 0.0
    path = long_path(arcs, lambda a, b, c: scores[a:b, c], len(states), band=16)
    assert path.states[0].tolist() == states.tolist()


def test_a_proof_finds_what_a_band_missed():
    """The scores lead the band astray, and away from its edge: only the forward pass over all states can
    tell.
    """
    generator = torch.Generator().manual_seed(0)
    arcs, scores = chain(50), torch.randn(200, 50, generator=generator) * 3
    exact = viterbi(arcs, scores[None]).score.item()
    score = lambda a, b, c: scores[a:b, c]  # noqa: E731
    assert long_path(arcs, score, 200, 16, proven=True).score.item() == pytest.approx(exact, abs=1e-3)


def test_long_searches_say_so_where_there_is_no_path_or_a_nan():
    arcs, scores = chain(40), torch.zeros(30, 40)
    for band in (None, 8):
        with pytest.raises(NoPath):
            long_path(arcs, lambda a, b, c: scores[a:b, c], 30, band)
    with pytest.raises(ValueError, match="NaN"):
        long_path(arcs, lambda a, b, c: scores[a:b, c] * torch.nan, 30)


def test_a_batch_whose_backpointers_fill_the_memory_goes_through_blocks(monkeypatch):
    arcs, (scores, _) = chain(30), speech_like(30, 200)
    batch, lengths = scores.expand(3, -1, -1), torch.tensor([200, 20, 100])
    expected = viterbi(arcs, batch[[0, 2]], lengths[[0, 2]])
    monkeypatch.setattr(viterbi_room, "WHOLE_BYTES", 10)
    with pytest.raises(NoPath) as error:
        viterbi(arcs, batch, lengths)
    assert error.value.utterances == (1,)
    assert viterbi(arcs, batch[[0, 2]], lengths[[0, 2]]).states.tolist() == expected.states.tolist()


def test_long_searches_refuse_what_does_not_fit():
    arcs, scores = chain(4), torch.zeros(9, 4)
    with pytest.raises(ValueError, match="band of 0"):
        long_path(arcs, lambda a, b, c: scores[a:b, c], 9, 0)
    with pytest.raises(ValueError, match="same in every frame"):
        long_path(arcs._replace(weights=arcs.weights.expand(1, 9, 4, 2)), lambda a, b, c: scores[a:b, c], 9)
    with pytest.raises(ValueError, match="gave scores of shape"):
        long_path(arcs, lambda a, b, c: scores[a : b - 1, c], 9)


# Live.


def reported(search, parts):
    """All states, as the search reports them, and none of them twice."""
    states = []
    for part in parts:
        new = search.advance(part)
        assert new.first == len(states)
        states += new.states.tolist()
    return states + search.finish().states.tolist()


@settings(max_examples=60, deadline=None)
@given(cases(longest=30, varying=False), st.sampled_from([None, 1000]), st.integers(0, 99))
def test_a_live_search_reports_what_the_offline_search_finds(case, lag, seed):
    arcs, scores, _ = case
    arcs, scores = arcs.of_utterance(0), scores[:1].float()
    arcs = arcs.to(scores)
    parts = pieces(scores[0], np.random.default_rng(seed))
    try:
        expected = viterbi(arcs, scores, kernel="reference")
    except NoPath:
        with pytest.raises(NoPath):
            reported(LiveSearch(arcs, lag=lag), parts)
        return
    states = reported(LiveSearch(arcs, lag=lag), parts)
    as_path = Arcs(arcs.pdf, arcs.predecessors, arcs.weights, arcs.start, arcs.final)
    weights = (
        {s: w for s, _, w in every_path(as_path, scores, torch.tensor([5]), 0)}
        if scores.shape[1] == 5
        else {}
    )
    if states != expected.states[0].tolist():  # a tie
        assert weights.get(tuple(states), expected.score.item()) == pytest.approx(
            expected.score.item(), abs=1e-4
        )


@pytest.mark.parametrize("size", [1, 7])
def test_states_are_reported_as_soon_as_they_are_certain(size):
    arcs, (scores, _) = chain(20), speech_like(20, 400)
    search, states = LiveSearch(arcs, beam=40.0), []
    for part in scores.split(size):
        states += search.advance(part).states.tolist()
    assert len(states) > 300
    states += search.finish().states.tolist()
    offline = viterbi(arcs, scores[None])
    assert states == offline.states[0].tolist()
    assert search.score == pytest.approx(offline.score.item(), rel=1e-5)


def test_a_fixed_lag_is_kept_and_its_path_is_possible():
    arcs, (scores, planted) = chain(20), speech_like(20, 400)
    search, states = LiveSearch(arcs, lag=5), []
    for t, frame in enumerate(scores):
        states += search.advance(frame[None]).states.tolist()
        assert len(states) >= t + 1 - 5
    states += search.finish().states.tolist()
    assert set(np.diff(states)) <= {0, 1}
    assert np.mean(np.array(states) == planted) > 0.9


def test_states_reported_by_a_few_paths_bind_the_search():
    """Everything looks like state 1 until the last frame; who has reported it can no longer stay in 0."""
    arcs = Arcs.dense(torch.tensor([[0.0, 0.0], [-torch.inf, 0.0]]), torch.tensor([0.0, 0.0]))
    scores = torch.tensor([[0.0, 3.0]] * 5 + [[0.0, -99.0]])
    assert reported(LiveSearch(arcs, agreement_beam=2.0), scores.split(1)) == [1] * 6
    assert reported(LiveSearch(arcs, agreement_beam=2.0), [scores]) == [0] * 6


def test_a_live_search_of_thousands_of_frames_keeps_little(monkeypatch):
    """Paths merge within some frames in a graph that leads back: what is settled is forgotten."""
    monkeypatch.setattr(traceback, "BLOCK_FRAMES", 64)
    scores, _ = speech_like(8, 64)
    back = Arcs.dense(torch.randn(8, 8, generator=torch.Generator().manual_seed(1)), torch.zeros(8))
    search, states = LiveSearch(back), []
    for part in scores.repeat(100, 1).split(63):
        states += search.advance(part).states.tolist()
    assert search.reported > 6000
    assert search.kept < 200
    states += search.finish().states.tolist()
    assert states == viterbi(back, scores.repeat(100, 1)[None]).states[0].tolist()


def test_a_graph_that_leads_back_may_revive_earlier_states():
    """The band of states that are alive grows at both ends."""
    arcs = Arcs.dense(
        torch.tensor([[-torch.inf, 0.0, 0.0], [0.0, -torch.inf, -torch.inf], [-torch.inf, 0.0, 0.0]]),
        torch.tensor([-torch.inf, -torch.inf, 0.0]),
    )
    scores = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    expected = viterbi(arcs, scores[None]).states[0].tolist()
    assert {0, 1, 2} == set(expected)
    for size in (1, 40):
        assert reported(LiveSearch(arcs), scores.split(size)) == expected


def test_live_searches_refuse_what_they_cannot_do():
    arcs = chain(3)
    for wrong in ({"lag": -1}, {"agreement_beam": 0.0}, {"beam": -1.0}):
        with pytest.raises(ValueError, match=r"lag|agreement beam|beam"):
            LiveSearch(arcs, **wrong)
    with pytest.raises(ValueError, match="same in every frame"):
        LiveSearch(Arcs(arcs.pdf, arcs.predecessors, arcs.weights.expand(1, 4, 3, 2), arcs.start, arcs.final))
    with pytest.raises(NoPath):
        LiveSearch(arcs).finish()
    search = LiveSearch(arcs)
    search.advance(torch.zeros(2, 3))
    with pytest.raises(NoPath):
        search.finish()
    for call in (search.finish, lambda: search.advance(torch.zeros(1, 3))):
        with pytest.raises(ValueError, match="has ended"):
            call()
    for call in (search.leading, lambda: search.states, lambda: search.stray(np.zeros(2))):
        with pytest.raises(ValueError, match="forgets"):
            call()
    with pytest.raises(NoPath):
        LiveSearch(arcs).advance(torch.full((1, 3), -torch.inf))
    for bad in (
        torch.zeros(1, 2),
        torch.zeros(3),
        torch.zeros(1, 3, dtype=torch.long),
        torch.full((1, 3), torch.nan),
        torch.full((1, 3), torch.inf),
    ):
        with pytest.raises(ValueError, match="scores"):
            LiveSearch(arcs).advance(bad)
    for columns in (np.arange(7), LiveSearch(arcs).columns(1)):  # of nothing, and of another search
        with pytest.raises(ValueError, match="under the columns"):
            LiveSearch(arcs).advance(torch.zeros(1, len(columns)), columns)


# What does not fit is said.

GOOD = (chain(3), torch.zeros(2, 5, 3), torch.tensor([5, 4]))


@pytest.mark.parametrize("search", [viterbi, forward_backward, log_partition])
@pytest.mark.parametrize(
    ("scores", "lengths", "words"),
    [
        (GOOD[1][..., :2], GOOD[2], "columns 0 to 2"),
        (GOOD[1][0], GOOD[2], "shape"),
        (GOOD[1][:, :0], GOOD[2], "shape"),
        (GOOD[1], torch.tensor([5]), "lengths"),
        (GOOD[1], torch.tensor([6, 1]), "lengths"),
        (GOOD[1], torch.tensor([0, 1]), "lengths"),
        (GOOD[1], torch.tensor([5.0, 4.5]), "lengths"),
        (GOOD[1] * torch.nan, GOOD[2], "NaN or .inf among the scores of utterance 0, first in frame 0"),
        (GOOD[1] + torch.inf, GOOD[2], "NaN or .inf"),
        (GOOD[1].long(), GOOD[2], "int64"),
    ],
)
def test_bad_scores_are_refused(search, scores, lengths, words):
    for kernel in ("reference", "numba"):
        with pytest.raises(ValueError, match=words):
            search(GOOD[0], scores, lengths, kernel)


def test_bad_graphs_are_refused():
    arcs, scores, _ = GOOD
    with pytest.raises(ValueError, match="2 graphs for a batch of 3"):
        viterbi(Arcs.of([words_graph(1), words_graph(1)]), torch.zeros(3, 9, 20))
    with pytest.raises(ValueError, match="4 frames"):
        viterbi(
            Arcs(arcs.pdf, arcs.predecessors, arcs.weights.expand(1, 4, 3, 2), arcs.start, arcs.final), scores
        )
    with pytest.raises(ValueError, match=r"NaN or .inf among the arc weights"):
        viterbi(Arcs(arcs.pdf, arcs.predecessors, arcs.weights * torch.nan, arcs.start, arcs.final), scores)
    for name, value in (
        ("pdf", arcs.pdf.expand(2, 3)),
        ("start", torch.zeros(1, 4)),
        ("weights", torch.zeros(2, 1, 3, 2)),
        ("weights", torch.zeros(1, 3, 2)),
        ("predecessors", arcs.predecessors + 2),
        ("predecessors", arcs.predecessors - 1),
    ):
        for kernel in ("reference", "numba"):
            with pytest.raises(ValueError, match=name):
                viterbi(arcs._replace(**{name: value}), scores, kernel=kernel)
    with pytest.raises(ValueError, match="below -1e"):
        segmental_viterbi(arcs, scores - 1e20, torch.zeros(1, 1, 3, 2))
    with pytest.raises(ValueError, match="durations of shape"):
        segmental_viterbi(arcs, scores, torch.zeros(1, 1, 4, 2))
    with pytest.raises(ValueError, match=r"NaN or .inf among the durations"):
        segmental_viterbi(arcs, scores, torch.full((1, 1, 3, 2), torch.nan))


def test_finals_that_cannot_be_reached_are_a_clear_error():
    arcs = chain(3)
    cut = Arcs(arcs.pdf, arcs.predecessors, arcs.weights, arcs.start, torch.full((1, 3), -torch.inf))
    for kernel in KERNELS:
        with pytest.raises(NoPath, match="final state for utterance 0, 1 of the batch"):
            viterbi(cut.to(*at(kernel, GOOD[1])), *at(kernel, GOOD[1]), kernel=kernel)


def test_kernels_are_chosen_openly(monkeypatch):
    assert chosen_kernel("auto", torch.device("cpu")) == "numba"
    assert chosen_kernel("auto", torch.device("cuda")) == "triton"
    with pytest.raises(ValueError, match="one of auto, numba"):
        chosen_kernel("fast", torch.device("cpu"))
    with pytest.raises(ValueError, match="runs on the CPU"):
        chosen_kernel("numba", torch.device("cuda"))
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    with pytest.raises(ValueError, match="runs on CUDA"):
        chosen_kernel("triton", torch.device("cpu"))


def test_scores_are_left_as_they_were():
    scores = torch.randn(2, 12, 3)
    before = scores.clone()
    for search in (viterbi, forward_backward, log_partition):
        search(GOOD[0], scores)
    assert torch.equal(scores, before)


def test_kernels_compile_where_nothing_can_be_kept(monkeypatch):
    """A read-only installation without a home: numba refuses to cache, and we go on without."""
    from numba.core.caching import FunctionCache

    monkeypatch.setattr(FunctionCache._impl_class, "_locator_classes", [])
    assert compiled(lambda x: x + 1)(1) == 2


def test_triton_kernels_compile_for_cuda():
    """What the interpreter takes, the compiler may not: to machine code, which needs no GPU."""
    pytest.importorskip("triton")
    script = Path(__file__).with_name("compile_triton.py")
    environment = {**os.environ, "TRITON_INTERPRET": "0"}
    done = subprocess.run(
        [sys.executable, script], env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def test_both_kernels_agree_on_speech(model):
    from support.places import SAMPLE

    from aligner import Utterance
    from aligner.backends.base import prepare
    from aligner.backends.hmm import HmmBackend

    folder = SAMPLE / "slt"
    utterance = Utterance("u", folder / "vowels.flac", (folder / "vowels.lab").read_text())
    ready = prepare(utterance, HmmBackend(model=model))
    arcs, scores = Arcs.of(ready.graph), model.score(ready.frames, ready.graph.pdfs)
    plain = viterbi(arcs, scores[None].double(), kernel="reference")
    fast = viterbi(arcs, scores[None])
    assert fast.states.tolist() == plain.states.tolist()  # float32 against float64
    assert fast.score.item() == pytest.approx(plain.score.item(), rel=1e-5)
    banded = long_path(
        arcs, lambda a, b, c: model.score(ready.frames[a:b], ready.graph.pdfs[c]), len(ready.frames), 64
    )
    assert banded.states.tolist() == plain.states.tolist()
    assert reported(LiveSearch(arcs), scores.split(7)) == plain.states[0].tolist()
