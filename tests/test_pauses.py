"""Where nothing is said: by the noise of the recording itself, and by how soft it is beside the speech."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.bars import at_most
from support.places import OTHERS, SAMPLE

from aligner import Options
from aligner.backends import path
from aligner.backends.base import prepare
from aligner.backends.choose import chosen
from aligner.backends.path import best_path, pauses_apart
from aligner.corpus.find import find
from aligner.evaluate.folders import evaluate
from aligner.graph import build
from aligner.refine.pauses import (
    AUDIBLE,
    AUDIBLE_COST,
    FLOOR_STEP,
    LEVEL_CLOCK,
    SURELY_AUDIBLE,
    Pauses,
    closures_joined,
    pause_cost,
    silent_frames,
)
from aligner.run.folder import plan, run
from aligner.types import Clock, Interval


class TestPauseCost:
    """A frame costs as a pause what its bands are above the recording's own noise, up to a limit."""

    def test_noise_alone_costs_nothing_at_any_level(self):
        noise = 0.1 * torch.randn(500, 25, generator=torch.Generator().manual_seed(1))
        for level in (-20.0, 0.0, 7.0):
            assert float(pause_cost(noise + level).max()) < 1.0

    @pytest.mark.parametrize("constant", [0.0, 3.0])
    def test_a_constant_of_each_filter_changes_nothing(self, constant):
        energies = torch.zeros(300, 25)
        energies[100:120] = 5.0
        moved = energies + constant * torch.randn(25, generator=torch.Generator().manual_seed(2))
        torch.testing.assert_close(pause_cost(moved), pause_cost(energies), atol=1e-4, rtol=0.0)

    def test_a_knock_costs_no_more_than_a_soft_nasal(self):
        energies = torch.zeros(300, 25)
        energies[50:60] = AUDIBLE + SURELY_AUDIBLE
        energies[200:210] = 20.0
        cost = pause_cost(energies)
        assert float(cost[55]) == pytest.approx(AUDIBLE_COST * SURELY_AUDIBLE, rel=1e-3)
        assert float(cost[205]) == pytest.approx(float(cost[55]), rel=1e-3)

    def test_half_of_the_bands_cost_half(self):
        energies = torch.zeros(300, 20)
        energies[50:60, :10] = 20.0
        assert float(pause_cost(energies)[55]) == pytest.approx(AUDIBLE_COST * SURELY_AUDIBLE / 2, rel=1e-3)

    def test_noise_that_rises_within_minutes_is_noise(self):
        energies = torch.zeros(20 * FLOOR_STEP, 25)
        energies[10 * FLOOR_STEP :] = 3.0
        assert float(pause_cost(energies)[16 * FLOOR_STEP :].max()) == 0.0

    def test_lower_precision_costs_as_much(self):
        energies = torch.zeros(300, 25)
        energies[100:120] = 1.0
        torch.testing.assert_close(pause_cost(energies.bfloat16()), pause_cost(energies), atol=0.1, rtol=0.0)

    def test_no_frames_cost_nothing(self):
        assert pause_cost(torch.zeros(0, 25)).shape == (0,)


class TestSilentFrames:
    """Frames are silent that are much softer than the speech for as long as a pause lasts."""

    @staticmethod
    def levels(*decibels_and_frames):
        return np.concatenate([np.full(n, 10.0 ** (db / 10)) for db, n in decibels_and_frames])

    def test_breath_above_the_quietest_part_is_silent(self):
        levels = self.levels((-70, 30), (-53, 40), (-20, 300))
        assert silent_frames(levels)[:70].all()

    def test_a_closure_is_none(self):
        levels = self.levels((-20, 200), (-65, 15), (-20, 200), (-65, 60))
        silent = silent_frames(levels)
        assert not silent[200:215].any()
        assert silent[-60:].all()

    def test_nothing_is_in_a_noisy_recording(self):
        assert not silent_frames(self.levels((-40, 100), (-20, 100))).any()

    def test_no_frames_are_none(self):
        assert not len(silent_frames(np.zeros(0)))

    def test_another_clock_sees_the_same_stretch(self):
        wave = torch.cat([torch.zeros(16_000), torch.rand(16_000) - 0.5])
        coarse = Clock(hop=160, window=400, rate=16_000)
        silent = Pauses.of(wave).silent_at(coarse, 198)
        assert silent[:98].all()
        assert not silent[101:].any()
        assert LEVEL_CLOCK.hop == 80


class TestClosures:
    """A short silence before a stop is its closure; any other stays what it is."""

    @pytest.mark.parametrize(
        ("before", "seconds", "after", "joined"),
        [
            ("UW1", 0.12, "K", True),
            ("S", 0.15, "CH", True),
            ("UW1", 0.16, "K", False),
            ("UW1", 0.05, "M", False),
            ("", 0.05, "K", False),
            ("a", 0.1, "t͡ɕ", True),
        ],
    )
    def test_by_length_and_neighbours(self, before, seconds, after, joined):
        edges = [0.0, 0.3, 0.3 + seconds, 0.6]
        labels = [before, "", after]
        path = [Interval(a, b, x) for a, b, x in zip(edges, edges[1:], labels, strict=False)]
        firsts, phones, owners = closures_joined([0, 30, 30 + round(100 * seconds)], path, [0, -1, 1])
        assert [p.label for p in phones] == ([before, after] if joined else labels)
        assert owners == ([0, 1] if joined else [0, -1, 1])
        assert (phones[-1].start, firsts[-1]) == ((0.3, 30) if joined else (edges[2], firsts[-1]))
        assert phones[-1].end == 0.6

    def test_silences_at_both_ends_stay(self):
        path = [Interval(0.0, 0.1, ""), Interval(0.1, 0.2, "T"), Interval(0.2, 0.3, "")]
        assert closures_joined([0, 10, 20], path, [-1, 0, -1])[1] == tuple(path)


@pytest.fixture(scope="module")
def backend():
    return chosen("english")


@pytest.fixture(scope="module")
def prepared(backend):
    return prepare(find(SAMPLE).utterances[0], backend)


class TestSearch:
    """The search counts what pauses cost, between words and nowhere else."""

    def test_only_silences_between_words_have_columns_of_their_own(self, prepared, backend):
        silence = backend.model.topology.silence
        graph, pauses = pauses_apart(prepared.graph, silence)
        apart = graph.pdf >= len(prepared.graph.pdfs)
        nodes = np.unique(graph.node[apart])
        silences = [n for n, label in enumerate(graph.phone) if label == silence]
        assert nodes.tolist() == silences[1:-1]
        assert set(graph.pdf[apart]) == set(pauses)
        np.testing.assert_array_equal(graph.pdfs[graph.pdf], prepared.graph.pdfs[prepared.graph.pdf])

    def test_a_single_word_has_no_pause(self, backend):
        words = [backend.pronounce.lexicon.lookup("speech")]
        graph = build(words, backend.model.topology)
        same, pauses = pauses_apart(graph, backend.model.topology.silence)
        assert same is graph
        assert not len(pauses)

    def test_the_path_scores_less_by_what_its_pauses_cost(self, prepared, backend):
        cost = torch.rand(len(prepared.frames), generator=torch.Generator().manual_seed(3))
        model, graph = backend.model, prepared.graph
        free, _ = best_path(prepared.frames, graph, model, kernel="numba")
        priced, _ = best_path(prepared.frames, graph, model, kernel="numba", pause_cost=cost)
        apart, pauses = pauses_apart(graph, model.topology.silence)
        spent = [float(cost[np.isin(apart.pdf[p.states[0].numpy()], pauses)].sum()) for p in (free, priced)]
        assert float(priced.score) <= float(free.score) + 1e-2
        assert float(priced.score) >= float(free.score) - spent[0] - 1e-2
        dear, _ = best_path(prepared.frames, graph, model, kernel="numba", pause_cost=cost * 0 + 1e6)
        assert not np.isin(apart.pdf[dear.states[0].numpy()], pauses).any()

    def test_memory_spared_finds_the_same_path(self, prepared, backend, monkeypatch):
        cost = 20 * torch.rand(len(prepared.frames), generator=torch.Generator().manual_seed(4))
        args = (prepared.frames, prepared.graph, backend.model)
        whole, _ = best_path(*args, kernel="numba", pause_cost=cost)
        monkeypatch.setattr(path, "MOST_SCORES", 1)
        spared, _ = best_path(*args, kernel="numba", pause_cost=cost)
        assert torch.equal(whole.states, spared.states)

    def test_spans_change_nothing_where_they_allow_everything(self, prepared, backend):
        cost = 20 * torch.rand(len(prepared.frames), generator=torch.Generator().manual_seed(5))
        args = (prepared.frames, prepared.graph, backend.model)
        everywhere = np.tile([0, len(prepared.frames)], (len(prepared.graph.pdf), 1))
        free, _ = best_path(*args, kernel="numba", pause_cost=cost)
        spanned, _ = best_path(*args, kernel="numba", pause_cost=cost, spans=everywhere)
        assert torch.equal(free.states, spanned.states)

    def test_a_pause_weight_is_on_the_arcs_into_pauses_between_words(self, backend):
        words = [backend.pronounce.lexicon.lookup(w) for w in ("speech", "sound")]
        plain, weighted = (build(words, backend.model.topology, w) for w in (0.0, -8.0))
        there = np.isfinite(plain.weights)
        difference = np.subtract(weighted.weights, plain.weights, where=there, out=np.zeros(there.shape))
        changed = {weighted.node[s] for s in np.flatnonzero((difference != 0).any(1))}
        silences = [n for n, label in enumerate(plain.phone) if label == backend.model.topology.silence]
        assert changed == {silences[1]}
        np.testing.assert_allclose(difference[difference != 0], -8.0, atol=1e-5)


@pytest.mark.parametrize(
    ("corpus", "options", "words"),
    [
        ("spontaneous-english", Options(), 19.77),
        ("finnish", Options(language="fi"), 15.35),
        ("arabic", Options(language="ar"), 13.08),
    ],
)
def test_pauses_are_found_in_speech_that_is_not_read_in_a_studio(corpus, options, words, tmp_path):
    if not OTHERS.is_dir():
        pytest.skip(f"no recordings in {OTHERS}")
    run(plan(OTHERS / corpus / "corpus", tmp_path), chosen(None, options))
    report = evaluate(OTHERS / corpus / "ref", tmp_path).report
    assert report.words.mae <= at_most(words)
