"""Training hidden Markov models: sums against formulas, planted languages found, likelihood that never
falls."""

from __future__ import annotations

import math
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise, product
from multiprocessing import get_context
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from support.bars import at_most, share_at_least
from support.random_models import random_mixtures

from aligner import names
from aligner.cli import main
from aligner.evaluate.folders import evaluate
from aligner.features import CepstralFrontend, Moments, SphinxFrontend, affine, regression
from aligner.graph import NONE, Position, build
from aligner.models.gmm import GaussianMixtures
from aligner.models.markov import SpeakerTransform
from aligner.models.tree import LEAF, LEFT, PLACE, RIGHT, SILENCE, Forest, TreeTopology
from aligner.text.lexicon import Lexicon
from aligner.train import em, estimate, statistics, transforms
from aligner.train.adapt import PriorCounts, map_rounds, map_update
from aligner.train.em import (
    Aligned,
    Example,
    Paths,
    ShardTask,
    Unaligned,
    aligned,
    e_step,
    gaussians_of,
    trees_of,
    word_pairs,
)
from aligner.train.estimate import (
    VarianceFloor,
    allocate_gaussians,
    m_step,
    phone_states_of_pdfs,
    pools_of_pdfs,
    reestimated,
    split_gaussians,
    with_pooled_frames,
)
from aligner.train.finish import finished_model, merged_mixture
from aligner.train.monophone import flat_start
from aligner.train.pronunciations import with_probabilities
from aligner.train.stages import Stage, TrainingSet, train
from aligner.train.statistics import START, Occupancies, PronunciationCounts, accumulate, total
from aligner.train.transforms import (
    Scatter,
    TransformSums,
    added_by_speaker,
    fmllr,
    fmllr_gain,
    lda,
    mllt,
    transform_sums,
    transformed_mixtures,
)
from aligner.train.tree import (
    ContextSums,
    best_split,
    event_codes,
    events_along_path,
    grow,
    pdfs_of_events,
    variance_floor,
)
from aligner.types import Pronunciation

# A language of six phones, each a blob in four cepstra; its words, speakers and boundaries are planted.

LABELS = ("AA", "IY", "L", "M", "S", "T")
WORDS = {
    "mat": ("M AA T",),
    "seal": ("S IY L",),
    "tea": ("T IY",),
    "lamb": ("L AA M",),
    "us": ("AA S", "IY S"),
    "elms": ("IY L M S",),
}
FRONTEND = CepstralFrontend(SphinxFrontend(ncep=4))
BLOBS = dict(
    zip(
        (SILENCE, *LABELS),
        2.0
        * np.array(
            [
                [-2, -2, 0, 0],
                [2, 0, 1, 0],
                [0, 2, -1, 1],
                [1, -1, 2, -2],
                [-1, 1, 0, 2],
                [0, -1, -2, -1],
                [-1, 0, 1, -2],
            ]
        ),
        strict=True,
    )
)


def utterance(rng, speaker, context=0.0):
    """Cepstra, the words said and their pronunciations, and (phone, first frame) of everything that is
    said."""
    said, phones = [], [SILENCE]
    for _ in range(rng.integers(3, 7)):
        word = str(rng.choice(list(WORDS)))
        said.append((word, tuple(str(rng.choice(WORDS[word])).split())))
        phones += said[-1][1] + (SILENCE,) * int(rng.random() < 0.3)
    phones += [SILENCE] * (phones[-1] != SILENCE)
    lengths = [int(rng.integers(10, 20)) if p == SILENCE else int(rng.integers(5, 12)) for p in phones]
    means = np.stack([BLOBS[p] for p in phones])
    means[:-1, 3] += context * np.array([after == "M" for after in phones[1:]])  # before an M all phones rise
    x = np.repeat(means, lengths, 0) + 0.6 * rng.standard_normal((sum(lengths), 4))
    x = x @ speaker[:, :4].T + speaker[:, 4]
    starts = np.cumsum([0, *lengths[:-1]]).tolist()
    return torch.from_numpy(x.astype(np.float32)), said, list(zip(phones, starts, strict=True))


def language(count=36, speakers=3, seed=0, context=0.0, warp=0.0):
    """Examples, and what was planted in them by their ids."""
    rng = np.random.default_rng(seed)
    matrices = [np.eye(4, 5) + warp * rng.standard_normal((4, 5)) for _ in range(speakers)]
    heard = [utterance(rng, matrices[k * speakers // count], context) for k in range(count)]
    examples, planted = [], {}
    for k, (cepstra, said, spans) in enumerate(heard):
        words = tuple(tuple(Pronunciation(tuple(p.split())) for p in WORDS[w]) for w, _ in said)
        examples.append(
            Example(
                id=f"u{k}",
                speaker=f"s{k * speakers // count}",
                cepstra=FRONTEND.normalise(cepstra),
                words=words,
                spelled=tuple(w for w, _ in said),
            )
        )
        planted[f"u{k}"] = SimpleNamespace(said=said, spans=spans)
    return examples, planted


@pytest.fixture(scope="module")
def corpus():
    return language()


@pytest.fixture(scope="module")
def flat(corpus):
    model, floors, _ = flat_start(FRONTEND, LABELS, corpus[0], {})
    return model, floors


SCHEDULE = (
    Stage(kind="monophone", iterations=8, gaussians=60),
    Stage(kind="triphone", iterations=6, gaussians=120, leaves=60, every=3),
    Stage(kind="lda", iterations=4, every=2),
    Stage(kind="sat", iterations=3, every=2),
    Stage(kind="pronunciations", iterations=1),
)


@pytest.fixture(scope="module")
def warped():
    """What the trainings below hear: speakers that differ, phones that differ by their context."""
    return language(36, context=2.0, warp=0.15, seed=2)


@pytest.fixture(scope="module", params=names.EM)
def trained(request, warped):
    """The states of a whole training: speech, and the last state of every stage by its kind."""
    speech = TrainingSet(examples=warped[0], labels=LABELS, em=request.param)
    ends = {SCHEDULE[state.stage].kind: state for state in train(speech, SCHEDULE, FRONTEND)}
    return speech, ends


def along(model, examples, voices=None):
    return {
        w.example.id: w
        for w in aligned(ShardTask(model=model, examples=examples, voices=voices or {}))
        if isinstance(w, Aligned)
    }


# Sums.


def pairs(frames, pdfs, seed=0):
    """Every frame with two pdfs, by weights of which most are not 1."""
    rng = np.random.default_rng(seed)
    own = torch.from_numpy(np.concatenate([rng.permutation(pdfs)[:2] for _ in range(frames)]))
    return Occupancies(
        torch.arange(frames).repeat_interleave(2), own, torch.from_numpy(rng.uniform(0.01, 1, 2 * frames))
    )


@pytest.mark.parametrize(
    ("books", "dims"),
    [(9, (5,)), (9, (3, 2)), (4, (3, 2)), (1, (5,))],
    ids=["continuous", "streams", "shared-streams", "semi-continuous"],
)
def test_sums_equal_their_reference_and_the_formula(books, dims):
    mixtures = random_mixtures(books, 4, 9, dims)
    frames = torch.randn(80, 5, generator=torch.Generator().manual_seed(1)) * 1.5
    occupied = pairs(80, 9)
    found, emitted = accumulate(mixtures, frames, occupied)
    expected, by_reference = statistics.reference(mixtures, frames, occupied)
    for ours, theirs in zip(found, expected, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(emitted, by_reference, rtol=1e-6, atol=1e-4)
    naive = mixtures.score_naively(frames, np.arange(9))[occupied.frames, occupied.pdfs]
    torch.testing.assert_close(emitted, naive, rtol=1e-9, atol=1e-6)


def test_sums_are_what_they_say():
    """Against loops over pairs and Gaussians: two streams, codebooks that pdfs share, weights of 0."""
    mixtures = random_mixtures(2, 3, 4, (3, 2))
    mixtures.streams[0].weights[1, 2] = 0.0
    frames, occupied = torch.randn(20, 5, generator=torch.Generator().manual_seed(2)), pairs(20, 4)
    found, _ = accumulate(mixtures, frames, occupied)
    for stream, own in zip(mixtures.streams, found, strict=True):
        counts, first, second = (np.zeros(v.shape) for v in own)
        for t, p, weight in zip(*(side.tolist() for side in occupied), strict=True):
            book, x = mixtures.codebook[p], frames[t, stream.columns].double().numpy()
            mean, variance = stream.means[book].double().numpy(), stream.covariances[book].double().numpy()
            joint = stream.weights[p].double().numpy() * np.exp(
                -0.5 * ((x - mean) ** 2 / variance + np.log(2 * np.pi * variance)).sum(1)
            )
            share = weight * joint / joint.sum()
            counts[p] += share
            first[book] += share[:, None] * x
            second[book] += share[:, None] * x**2
        for ours, theirs in zip(own, (counts, first, second), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("books", [6, 2])
def test_sums_of_seen_frames_equal_the_reference(books):
    """The shares are those of the frames, what is added up is what is seen."""
    mixtures = random_mixtures(books, 3, 6, (5,))
    generator = torch.Generator().manual_seed(3)
    frames, seen = torch.randn(60, 5, generator=generator), torch.randn(60, 7, generator=generator)
    occupied = pairs(60, 6)
    [found], _ = accumulate(mixtures, frames, occupied, seen)
    [expected], _ = statistics.reference(mixtures, frames, occupied, seen)
    [plain], _ = accumulate(mixtures, frames, occupied)
    assert found.first.shape == (books, 3, 7)
    torch.testing.assert_close(found.counts, plain.counts)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-4)
    whole = torch.zeros(7, dtype=torch.float64).index_add_(
        0, torch.arange(7), (seen.double()[occupied.frames] * occupied.weights[:, None]).sum(0)
    )
    torch.testing.assert_close(found.first.sum((0, 1)), whole, rtol=1e-6, atol=1e-6)  # nothing is lost


# Shards, processes, threads.


def parameters(model):
    [stream] = gaussians_of(model).streams
    return stream.means, stream.covariances, stream.weights, torch.from_numpy(model.topology.transitions)


def split(examples, number):
    return [examples[k * len(examples) // number : (k + 1) * len(examples) // number] for k in range(number)]


def like(one, other, rtol=1e-5, atol=1e-5):
    for a, b in zip(parameters(one), parameters(other), strict=True):
        torch.testing.assert_close(a, b, rtol=rtol, atol=atol)


@pytest.mark.parametrize("how", names.EM)
def test_any_number_of_shards_gives_the_same_model(corpus, flat, how):
    model, floors = flat
    whole, _ = e_step(model, [corpus[0]], {}, em=how)
    for number in (2, 7):
        parts, paths = e_step(model, split(corpus[0], number), {}, em=how)
        assert (parts.frames, parts.utterances, parts.pronunciations) == (
            whole.frames,
            whole.utterances,
            whole.pronunciations,
        )
        assert parts.log_likelihood == pytest.approx(whole.log_likelihood, rel=1e-9)
        assert len(paths) == number
        like(m_step(model, parts, floors), m_step(model, whole, floors))


def test_shards_hold_everything_once_and_are_of_like_length(corpus):
    examples = corpus[0]
    for frames in (200, 1000, 10**6):
        shards = em.sharded(examples, frames)
        assert [e.id for shard in shards for e in shard] == [e.id for e in examples]
        assert all(sum(len(e.cepstra) for e in shard) < frames + 400 for shard in shards)
    assert len(em.sharded(examples, 10**6)) == 2


def test_processes_and_threads_give_the_same_numbers(corpus, flat):
    """Tasks and what is found of them can be sent elsewhere, with voices and known paths."""
    model, floors = flat
    voices = {
        "s0": SpeakerTransform(transform=torch.eye(12, 13) * 1.01),
        "s1": SpeakerTransform(Moments.of(torch.randn(9, 4))),
    }
    shards = split(corpus[0], 4)
    here, paths = e_step(model, shards, voices)
    again, _ = e_step(model, shards, voices, known=paths)
    with (
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as processes,
        ThreadPoolExecutor(3) as threads,
    ):
        for spread in (processes.map, threads.map):
            there, found = e_step(model, shards, voices, spread=spread)
            remembered, _ = e_step(model, shards, voices, spread=spread, known=found)
            assert there.log_likelihood == pytest.approx(here.log_likelihood, rel=1e-9)
            assert remembered.log_likelihood == pytest.approx(again.log_likelihood, rel=1e-9)
            assert there.pronunciations == here.pronunciations
            like(m_step(model, there, floors), m_step(model, here, floors))
            for a, b in zip(paths, found, strict=True):
                assert all(map(np.array_equal, a.pdfs, b.pdfs))


def test_statistics_along_known_paths_are_those_of_the_search(corpus, flat):
    voices = {"s0": SpeakerTransform(transform=torch.eye(12, 13) * 1.01)}
    searched, paths = e_step(flat[0], split(corpus[0], 3), voices)
    known, _ = e_step(flat[0], split(corpus[0], 3), voices, known=paths)
    assert known.log_likelihood == pytest.approx(searched.log_likelihood, rel=1e-7)
    assert (known.frames, known.utterances) == (searched.frames, searched.utterances)
    for a, b in zip(known.streams[0], searched.streams[0], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-4)
    assert not known.stays.any()


# EM never lowers the likelihood.


def belief_in_loops(topology):
    """Log density of the transitions under the prior of `estimate`: they are its most likely, not the frames'
    alone.
    """
    heard = np.isfinite(
        topology.transitions[:, range(topology.transitions.shape[1]), range(topology.transitions.shape[1])]
    )
    stay = topology.transitions.diagonal(axis1=1, axis2=2)[heard].astype(float)
    prior = estimate.STAY_PRIOR * stay + (1 - estimate.STAY_PRIOR) * np.log1p(-np.exp(stay))
    return float(estimate.STAY_COUNT * prior.sum())


def climb(model, floors, examples, voices, how, number=5, known=None):
    """Log-likelihood per iteration, with the prior of the transitions."""
    values = []
    for _ in range(number):
        s, _ = e_step(model, em.sharded(examples), voices, em=how, known=known)
        values.append(s.log_likelihood + belief_in_loops(model.topology))
        model = m_step(model, s, floors)
    return values


def never_falls(values):
    for before, after in pairwise(values):
        assert after >= before - 1e-6 * abs(before)
    assert values[-1] > values[0]


@pytest.mark.parametrize("how", names.EM)
def test_em_never_lowers_the_likelihood_of_monophones(corpus, flat, how, monkeypatch):
    monkeypatch.setattr(em, "LEAST_POSTERIOR", 0.0)
    never_falls(climb(*flat, corpus[0], {}, how, 8))


@pytest.mark.parametrize("kind", ["triphone", "lda", "sat"])
def test_em_never_lowers_the_likelihood(trained, kind, monkeypatch):
    """Mixtures and phones in context; of frames through LDA and MLLT, and of those that speakers' transforms
    moved.
    """
    monkeypatch.setattr(em, "LEAST_POSTERIOR", 0.0)
    speech, ends = trained
    state = ends[kind]
    monkeypatch.setattr(estimate, "POOLING_FRAMES", 0.0)
    assert kind != "sat" or any(voice.transform is not None for voice in state.voices.values())
    never_falls(climb(state.model, state.floors, speech.examples, state.voices, speech.em))


def test_em_never_lowers_the_likelihood_along_known_paths(trained):
    speech, ends = trained
    state = ends["sat"]
    _, paths = e_step(state.model, em.sharded(speech.examples), state.voices)
    never_falls(climb(state.model, state.floors, speech.examples, state.voices, "viterbi", known=paths))


def test_the_likelihood_is_the_speakers_frames_own():
    """A voice that shrinks all frames by half makes no better a fit of a model that shrinks with it."""
    examples, _ = language(6, 1)
    model, _, _ = flat_start(FRONTEND, LABELS, examples, {})
    [stream] = gaussians_of(model).streams
    half = GaussianMixtures.of_tensors(
        [stream.means / 2], [stream.covariances / 4], [stream.weights], gaussians_of(model).codebook
    )
    plain, _ = e_step(model, [examples], {})
    shrunk, _ = e_step(
        replace(model, mixtures=half), [examples], {"s0": SpeakerTransform(transform=torch.eye(12, 13) / 2)}
    )
    assert shrunk.log_likelihood == pytest.approx(plain.log_likelihood, rel=1e-6)


# Expected counts.


def all_paths(graph, frames):
    """Every path through a graph, with the log weights of its arcs."""
    waiting = [((s,), float(graph.start[s])) for s in np.flatnonzero(np.isfinite(graph.start))]
    after = {
        s: [
            (t, float(w))
            for t in range(len(graph.pdf))
            for p, w in zip(graph.predecessors[t], graph.weights[t], strict=True)
            if p == s and p != NONE
        ]
        for s in range(len(graph.pdf))
    }
    for _ in range(frames - 1):
        waiting = [((*path, t), weight + w) for path, weight in waiting for t, w in after[path[-1]]]
    return [(p, w + float(graph.final[p[-1]])) for p, w in waiting if np.isfinite(graph.final[p[-1]])]


def test_full_em_counts_every_path_by_its_probability(flat, monkeypatch):
    monkeypatch.setattr(em, "LEAST_POSTERIOR", 0.0)
    model, _ = flat
    words = (
        (
            Pronunciation(("AA",)),
            Pronunciation(("S", "IY"), 0.5, silence_after=0.3, silence_before=1.2, no_silence_before=0.8),
        ),
    )
    example = Example(
        id="few",
        speaker="s",
        cepstra=torch.randn(9, 4, generator=torch.Generator().manual_seed(5)),
        words=words,
        spelled=("w",),
    )
    graph = build(words, model.topology)
    frames = em.frames_of(model, example, {})
    scores = gaussians_of(model).score_naively(frames, graph.pdfs).numpy()
    paths = all_paths(graph, 9)
    totals = np.array([w + sum(scores[t, graph.pdf[s]] for t, s in enumerate(path)) for path, w in paths])
    log_z = np.logaddexp.reduce(totals)
    assert len(paths) > 50
    counts = np.zeros((9, model.topology.forest.pdfs))
    stays, leaves = np.zeros(model.topology.alone.shape), np.zeros(model.topology.alone.shape)
    numbers, inner = em.phone_and_state(graph, model.topology)
    for (path, _), p in zip(paths, np.exp(totals - log_z), strict=True):
        for t, s in enumerate(path):
            counts[t, graph.pdfs[graph.pdf[s]]] += p
            last = t == 8 or path[t + 1] != s
            (leaves if last else stays)[numbers[s], inner[s]] += p
    s, _ = e_step(model, [[example]], {}, em="full")
    assert s.log_likelihood == pytest.approx(log_z, rel=1e-5)
    np.testing.assert_allclose(s.occupancy, counts.sum(0), atol=1e-4)
    np.testing.assert_allclose(s.streams[0].first[:, 0], counts.T @ frames.double().numpy(), atol=1e-3)
    np.testing.assert_allclose(s.stays, stays, atol=1e-4)
    np.testing.assert_allclose(s.leaves, leaves, atol=1e-4)
    best, _ = e_step(model, [[example]], {})
    assert best.log_likelihood == pytest.approx(totals.max(), rel=1e-5)


@pytest.mark.parametrize("how", names.EM)
def test_occupancy_sums_to_the_frames(corpus, flat, how):
    s, _ = e_step(flat[0], em.sharded(corpus[0]), {}, em=how)
    assert s.frames == sum(len(e.cepstra) for e in corpus[0])
    assert float(s.occupancy.sum()) == pytest.approx(s.frames, abs=1e-6)
    assert s.stays.sum() + s.leaves.sum() == pytest.approx(s.frames, rel=1e-5)


# The flat start.


def test_a_flat_start_cuts_utterances_into_equal_pieces():
    said = ((Pronunciation(("S", "IY")), Pronunciation(("T",))),)
    cepstra = torch.arange(32.0)[:, None].repeat(1, 4)  # 16 states, two frames each: sil, S IY, sil
    model, floors, left = flat_start(
        replace(FRONTEND, transform=torch.eye(4, 12)),
        LABELS,
        [
            Example(id="long", speaker="s", cepstra=cepstra, words=said),
            Example(id="short", speaker="s", cepstra=cepstra[:15], words=said),
        ],
        {},
    )
    topology = model.topology
    pdfs = [topology.forest.roots[topology.number("S"), k] for k in range(3)]
    assert left == (Unaligned("short"),)
    assert floors.variances.tolist() == pytest.approx([0.01 * (32**2 - 1) / 12] * 4)
    # frames 10..15; 15 frames less than 2 are taken from fricatives: S itself
    pool = np.mean([10.5, 12.5, 14.5])
    assert [float(gaussians_of(model).streams[0].means[p, 0, 0]) for p in pdfs] == pytest.approx(
        [10.5, 12.5, 14.5], abs=1e-5
    )
    assert pool == 12.5


@pytest.mark.parametrize("how", names.EM)
def test_a_flat_start_finds_the_planted_boundaries(corpus, how):
    examples, planted = corpus
    speech = TrainingSet(examples=examples, labels=LABELS, em=how)
    *_, state = train(speech, (Stage(kind="monophone", iterations=12),), FRONTEND)
    errors, same = [], 0
    for name, way in along(state.model, examples).items():
        nodes = way.graph.node[way.states]
        starts = np.flatnonzero(np.diff(nodes, prepend=-1))
        phones = [way.graph.phone[n] for n in nodes[starts]]
        if phones == [p for p, _ in planted[name].spans]:
            same += 1
            errors += np.abs(starts - [s for _, s in planted[name].spans]).tolist()
    assert same >= len(examples) - 1
    assert 100 * np.mean(np.array(errors) <= 2) >= share_at_least(98.54)
    assert np.mean(errors) <= at_most(0.0762)


def test_the_words_that_were_planted_are_counted(corpus):
    """Which pronunciation of `us` was said, and where there was silence."""
    examples, planted = corpus
    *_, state = train(
        TrainingSet(examples=examples, labels=LABELS), (Stage(kind="monophone", iterations=12),), FRONTEND
    )
    exact = 0
    for name, way in along(state.model, examples).items():
        expected, before, silent, index = [], START, False, 0
        spans = [p for p, _ in planted[name].spans]
        for word in planted[name].said:
            silent = spans[index] == SILENCE
            index += silent
            expected.append((before, word, silent))
            before, index = word, index + len(word[1])
        expected.append((before, START, index < len(spans)))
        exact += expected == list(word_pairs(way))
    assert exact >= len(examples) - 1


# Trees.


def test_leaves_equal_a_walk_through_nested_trees():
    rng = np.random.default_rng(0)
    questions = rng.random((5, 6)) < 0.5
    about, asked, yes, no, pdfs = [], [], [], [], iter(range(99))

    def plant(depth):
        """A nested tree, and its node's number in the flat arrays."""
        node = len(about)
        for column, value in zip((about, asked, yes, no), (LEFT, LEAF, -1, -1), strict=True):
            column.append(value)
        if depth == 0 or rng.random() < 0.2:
            yes[node] = next(pdfs)
            return yes[node], node
        about[node], asked[node] = int(rng.integers(3)), int(rng.integers(5))
        (one, yes[node]), (other, no[node]) = plant(depth - 1), plant(depth - 1)
        return (about[node], asked[node], one, other), node

    trees = [[plant(3) for _ in range(2)] for _ in range(3)]
    roots = np.array([[n for _, n in row] for row in trees])
    about, asked, yes, no = map(np.array, (about, asked, yes, no))
    forest = Forest(questions=questions, roots=roots, about=about, asked=asked, yes=yes, no=no)

    def walk(tree, context):
        return (
            tree
            if isinstance(tree, int)
            else walk(tree[2 if questions[tree[1], context[tree[0]]] else 3], context)
        )

    for phone, state, left, right, place in product(range(3), range(2), range(6), range(6), range(4)):
        assert forest.leaf(phone, state, (left, right, place)) == walk(
            trees[phone][state][0], (left, right, place)
        )
    assert forest.pdfs == next(pdfs)


TOPOLOGY = TreeTopology.of_phones(LABELS)
AA, M, T = (TOPOLOGY.number(p) for p in ("AA", "M", "T"))


def random_events(seed=0, count=300, effect=0.0):
    """Events of all phones in random contexts; the middle of AA is another before M."""
    rng = np.random.default_rng(seed)
    keys = np.stack(
        [
            rng.integers(2, 8, count),
            rng.integers(0, 3, count),
            rng.integers(0, 8, count),
            rng.integers(0, 8, count),
            rng.integers(0, 4, count),
        ],
        1,
    )
    x = rng.standard_normal((count, 30, 3)) + 0.3 * keys[:, None, :3]
    planted = (keys[:, 0] == AA) & (keys[:, 3] == M) & (keys[:, 1] == 1)
    x[planted] += effect
    return ContextSums.of(event_codes(keys), np.full(count, 30.0), x.sum(1), np.square(x).sum(1))


def fit(events, rows):
    """Log-likelihood of frames under the Gaussian that fits them best, up to what all ways of dividing
    share."""
    n = events.counts[rows].sum()
    mean, square = events.first[rows].sum(0) / n, events.second[rows].sum(0) / n
    floor = variance_floor(events)
    return -0.5 * n * sum(math.log(max(s - m * m, f)) for m, s, f in zip(mean, square, floor, strict=True))


def test_events_add_up_and_keep_their_keys():
    one, other = random_events(0), random_events(1)
    both = one + other
    assert (np.diff(both.codes) > 0).all()
    assert both.counts.sum() == one.counts.sum() + other.counts.sum()
    np.testing.assert_allclose(both.first.sum(0), one.first.sum(0) + other.first.sum(0))
    np.testing.assert_array_equal(event_codes(both.keys), both.codes)


def test_the_best_split_is_the_best_of_all_that_leave_frames_enough():
    events, rng = random_events(2, 60), np.random.default_rng(1)
    answers = [rng.random((q, len(events))) < 0.4 for q in (4, 7, 3)]
    rows = np.flatnonzero(rng.random(len(events)) < 0.7)
    gains, sides = {}, {}
    for about, table in enumerate(answers):
        for question, row in enumerate(table):
            yes, no = rows[row[rows]], rows[~row[rows]]
            gains[about, question] = fit(events, yes) + fit(events, no) - fit(events, rows)
            sides[about, question] = min(events.counts[yes].sum(), events.counts[no].sum())
    found_at = set()
    for least in sorted(sides.values()):  # each time the best of before may leave too few
        best = max((q for q in gains if sides[q] >= least), key=gains.get)
        found_at.add(best)
        found = best_split(events, rows, answers, variance_floor(events), least)
        assert (found.about, found.question) == best
        assert found.gain == pytest.approx(gains[best])
        np.testing.assert_array_equal(found.yes, answers[best[0]][best[1], rows])
    assert len(found_at) > 2
    assert best_split(events, rows, answers, variance_floor(events), 1e9) is None


@pytest.mark.parametrize("leaves", [26, 27, 40, 90])
def test_trees_grow_to_so_many_leaves_and_gain(leaves):
    events = random_events(count=900)
    topology = grow(events, TOPOLOGY, leaves, least=60)
    forest = topology.forest
    assert TOPOLOGY.forest.pdfs == 26
    assert forest.pdfs == leaves
    assert sorted(forest.yes[forest.asked == LEAF]) == list(range(leaves))
    pdf, own = pdfs_of_events(events, topology), phone_states_of_pdfs(forest)
    assert (own[pdf] == events.keys[:, :2]).all()
    roots = np.unique(events.keys[:, :2], axis=0)
    before = sum(fit(events, np.flatnonzero((events.keys[:, :2] == root).all(1))) for root in roots)
    assert sum(fit(events, np.flatnonzero(pdf == p)) for p in set(pdf)) >= before
    assert leaves == 26 or np.bincount(pdf, events.counts)[np.bincount(pdf) > 0].min() >= 60
    for phone, left, right, place in product(range(8), range(8), range(8), range(4)):  # most of them unseen
        for state in range(int(forest.sizes[phone])):
            assert own[forest.leaf(phone, state, (left, right, place))].tolist() == [phone, state]


def test_a_planted_context_is_the_first_question():
    topology = grow(random_events(count=900, effect=3.0), TOPOLOGY, 27)
    forest = topology.forest
    root = forest.roots[AA, 1]
    assert forest.asked[root] != LEAF
    assert forest.about[root] == RIGHT
    leaf = [forest.leaf(AA, 1, (T, right, Position.INTERNAL)) for right in range(8)]
    assert [right for right in range(8) if leaf[right] == leaf[M]] == [M]


def test_places_in_the_word_are_asked_for():
    rng = np.random.default_rng(3)
    keys = np.array(
        [(AA, 1, left, T, place) for left in range(2, 8) for place in range(4)] + [(M, 1, 0, 0, 0)]
    )
    x = rng.standard_normal((len(keys), 40, 2)) + 4.0 * (keys[:, 4] == Position.END)[:, None, None]
    events = ContextSums.of(event_codes(keys), np.full(len(keys), 40.0), x.sum(1), np.square(x).sum(1))
    forest = grow(events, TOPOLOGY, 27).forest
    assert forest.about[forest.roots[AA, 1]] == PLACE
    leaf = [forest.leaf(AA, 1, (M, T, place)) for place in Position]
    assert [p for p in Position if leaf[p] == leaf[Position.END]] == [Position.END]


def test_events_have_the_context_that_the_graph_gave_them(trained):
    """The leaf of every frame's event is the pdf that its state has, across words and silences, too."""
    speech, ends = trained
    model = ends["triphone"].model
    topology, seen = trees_of(model), set()
    for way in along(model, speech.examples).values():
        keys = events_along_path(way, topology)
        pdfs = way.graph.pdfs[way.graph.pdf[way.states]]
        assert [
            topology.forest.leaf(p, k, (left, right, place)) for p, k, left, right, place in keys.tolist()
        ] == (pdfs.tolist())
        seen |= set(pdfs.tolist())
    assert len(seen) > topology.forest.sizes.sum()


def test_phones_without_context_stand_behind_the_leaves(trained):
    """`alone` names the mixtures that finishing adds, which have the moments of all leaves of a phone's
    state.
    """
    speech, ends = trained
    state = ends["pronunciations"]
    model = finished_model(speech, state)
    topology, occupancy = trees_of(model), state.occupancy.numpy()
    [stream] = gaussians_of(model).streams
    forest = topology.forest
    assert len(stream.means) == forest.pdfs + forest.sizes.sum() == topology.alone.max() + 1
    assert model.adapted is not None
    assert len(gaussians_of(model.for_adapted).codebook) == len(stream.means)
    own, used = phone_states_of_pdfs(forest), []
    for phone, size in enumerate(forest.sizes.tolist()):
        assert (topology.alone[phone, size:] == topology.alone[phone, size - 1]).all()
        for k in range(size):
            alone = int(topology.alone[phone, k])
            used.append(alone)
            leaves = np.flatnonzero((own == (phone, k)).all(1))
            n = np.maximum(occupancy[leaves], 1.0)
            mean, square = moments_of(stream, leaves, n)
            ours, ours_square = moments_of(stream, [alone], [1.0])
            np.testing.assert_allclose(ours, mean, atol=1e-3)
            np.testing.assert_allclose(ours_square, square, rtol=1e-3, atol=1e-3)
    assert used == list(range(forest.pdfs, len(stream.means)))


def moments_of(stream, pdfs, counts):
    """Mean of x and of x squared under some mixtures together."""
    share = stream.weights[pdfs].double() * torch.as_tensor(np.asarray(counts, float))[:, None]
    share = (share / share.sum())[..., None]
    means, variances = stream.means[pdfs].double(), stream.covariances[pdfs].double()
    return (share * means).sum((0, 1)).numpy(), (share * (variances + means.square())).sum((0, 1)).numpy()


def test_mixtures_that_are_joined_keep_their_moments():
    mixtures = random_mixtures(5, 6, 5, (4,))
    [stream] = mixtures.streams
    occupancy = np.array([10.0, 200, 3, 50, 70])
    means, variances, weights = merged_mixture(
        stream.means, stream.covariances, stream.weights, [0, 1, 3, 4], occupancy
    )
    one = GaussianMixtures.of_tensors([means[None]], [variances[None]], [weights[None]], np.zeros(1, int))
    assert len(weights) <= 8
    for ours, theirs in zip(
        moments_of(one.streams[0], [0], [1.0]),
        moments_of(stream, [0, 1, 3, 4], occupancy[[0, 1, 3, 4]]),
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


# Transforms.


def classes(covariances, means, counts):
    """Exact sums of classes, by class."""
    n = torch.as_tensor(counts, dtype=torch.float64)
    means, covariances = torch.as_tensor(means), torch.as_tensor(covariances)
    return Scatter(
        n, n[:, None] * means, n[:, None, None] * (covariances + means[:, :, None] * means[:, None, :])
    )


def test_lda_equals_scikit_learns():
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(5), [40, 100, 60, 80, 30])
    x = rng.normal(size=(5, 8))[y] * 2 + rng.normal(size=(len(y), 8)) @ rng.normal(size=(8, 8))
    theirs = LinearDiscriminantAnalysis(solver="eigen").fit(x, y).scalings_[:, :4].T
    first = np.stack([x[y == k].sum(0) for k in range(5)])
    parts = [
        Scatter(
            torch.from_numpy(np.bincount(y, minlength=6).astype(float)),
            torch.from_numpy(np.vstack([first, np.zeros(8)])),
            torch.from_numpy(x.T @ x),
        )
    ]  # the last class is never heard
    ours = lda(parts[0], 4).double().numpy()
    signs = np.sign((ours * theirs).sum(1))
    np.testing.assert_allclose(ours * signs[:, None], theirs, rtol=1e-3, atol=1e-4)


def test_mllt_undoes_a_planted_mixing_and_never_loses():
    rng = np.random.default_rng(1)
    variances, mixing = rng.uniform(0.2, 5, (12, 4)), rng.normal(size=(4, 4)) + 2 * np.eye(4)
    mixed = mixing @ (np.eye(4) * variances[:, None]) @ mixing.T
    means, counts = rng.normal(size=(12, 4)), rng.uniform(50, 500, 12)
    matrix, gained = mllt(classes(mixed, means, counts), rounds=200)
    product_ = (matrix.double().numpy() @ mixing) ** 2
    dominant = product_.max(1) / product_.sum(1)
    assert dominant.min() > 0.999
    assert sorted(product_.argmax(1)) == [0, 1, 2, 3]

    assert float(matrix.double().det().abs()) == pytest.approx(1, rel=1e-4)

    def value(a):
        diagonal = np.einsum("di,cij,dj->cd", a, mixed, a)
        return np.linalg.slogdet(a)[1] - 0.5 * (counts[:, None] * np.log(diagonal)).sum() / counts.sum()

    assert gained == pytest.approx(value(matrix.double().numpy()) - value(np.eye(4)), rel=1e-4)
    gains = [mllt(classes(mixed, means, counts), rounds=r)[1] for r in (1, 2, 5, 20)]
    assert all(b >= a - 1e-9 for a, b in pairwise([0.0, *gains]))
    same, nothing_gained = mllt(classes(np.eye(4) * variances[:, None], means, counts))
    assert nothing_gained == pytest.approx(0, abs=1e-6)
    torch.testing.assert_close(same, torch.eye(4), atol=1e-5, rtol=0)


def test_means_move_with_the_frames():
    mixtures, matrix = random_mixtures(3, 1, 3, (4,)), torch.diag(torch.tensor([2.0, -1.0, 0.5, 3.0])).flip(0)
    x = torch.randn(7, 4)
    there = transformed_mixtures(mixtures, matrix).score_naively(x @ matrix.T, np.arange(3))
    torch.testing.assert_close(
        there + float(torch.linalg.slogdet(matrix.double())[1]),
        mixtures.score_naively(x, np.arange(3)),
        rtol=1e-5,
        atol=1e-5,
    )


def speaker(count, size=4, seed=0, blocks=None, densities=1):
    """A model, the planted transform, a speaker's frames that it brings to the model, and whose frames they
    are.
    """
    rng = np.random.default_rng(seed)
    mixtures = random_mixtures(9, densities, 9, (size,), seed)
    mixtures = GaussianMixtures.of_tensors(
        [4 * mixtures.streams[0].means],
        [mixtures.streams[0].covariances],
        [mixtures.streams[0].weights],
        mixtures.codebook,
    )
    planted = np.eye(size) + 0.25 * rng.normal(size=(size, size))
    if blocks:
        planted *= np.kron(np.eye(2), np.ones((size // 2, size // 2)))
    offset = rng.normal(size=size)
    pdfs = rng.integers(0, 9, count)
    [stream] = mixtures.streams
    m = np.array([rng.choice(densities, p=w / w.sum()) for w in stream.weights.double().numpy()[pdfs]])
    y = stream.means.numpy()[pdfs, m] + np.sqrt(stream.covariances.numpy()[pdfs, m]) * rng.normal(
        size=(count, size)
    )
    x = torch.from_numpy(((y - offset) @ np.linalg.inv(planted).T).astype(np.float32))
    occupied = Occupancies(
        torch.arange(count), torch.from_numpy(pdfs), torch.ones(count, dtype=torch.float64)
    )
    return mixtures, np.hstack([planted, offset[:, None]]), x, occupied


def per_frame(mixtures, x, occupied, matrix):
    """Mean log-likelihood of a speaker's frames through a transform."""
    scores = mixtures.score_naively(affine(x.double(), matrix.double()), np.arange(9))
    determinant = float(torch.linalg.slogdet(matrix[:, :-1].double())[1])
    return float(scores[occupied.frames, occupied.pdfs].mean()) + determinant


@pytest.mark.parametrize("blocks", [None, (slice(0, 2), slice(2, 4))])
def test_fmllr_finds_the_planted_transform(blocks):
    mixtures, planted, x, occupied = speaker(20_000, blocks=blocks)
    s = transform_sums(mixtures, x, occupied)
    found = fmllr(s, blocks)
    np.testing.assert_allclose(found, planted, atol=0.05)
    if blocks:
        assert not found[:2, 2:4].any()
        assert not found[2:, :2].any()
    none = torch.eye(4, 5)
    assert s.count == 20_000
    assert fmllr_gain(s, none) == pytest.approx(0, abs=1e-9)
    assert fmllr_gain(s, found) > fmllr_gain(s, torch.from_numpy(planted)) - 1e-6 > 0
    real = per_frame(mixtures, x, occupied, found) - per_frame(mixtures, x, occupied, none)
    assert fmllr_gain(s, found) == pytest.approx(real, rel=1e-5)


@pytest.mark.parametrize("seed", range(4))
def test_fmllr_gains_whatever_the_frames(seed):
    """Of frames that are nobody's, and of mixtures, where the sums are a lower bound."""
    mixtures, _, x, occupied = speaker(1500, seed=seed, densities=3)
    noise = torch.randn(1500, 4, generator=torch.Generator().manual_seed(seed)) * (1 + seed)
    for frames in (x, noise):
        s = transform_sums(mixtures, frames, occupied)
        gains = [fmllr_gain(s, fmllr(s, rounds=r)) for r in (1, 2, 10)]
        assert all(b >= a - 1e-5 for a, b in pairwise([0.0, *gains]))
        real = per_frame(mixtures, frames, occupied, fmllr(s)) - per_frame(
            mixtures, frames, occupied, torch.eye(4, 5)
        )
        assert real >= gains[-1] - 1e-5
        assert torch.linalg.det(fmllr(s)[:, :4]) > 0


@pytest.mark.parametrize(
    ("count", "kind"), [(299, "none"), (300, "offset"), (999, "offset"), (1000, "whole")]
)
def test_little_speech_gets_an_offset_or_nothing(count, kind):
    mixtures, _, x, occupied = speaker(count)
    s = transform_sums(mixtures, x, occupied)
    found = fmllr(s)
    assert (found is None) == (kind == "none")
    if kind == "offset":
        torch.testing.assert_close(found[:, :4], torch.eye(4))
        best = fmllr_gain(s, found)
        assert best > 0
        for change in 0.01 * torch.cat([torch.eye(4), -torch.eye(4)]):
            assert fmllr_gain(s, found + torch.nn.functional.pad(change[:, None], (4, 0))) < best
    if kind == "whole":
        assert (found[:, :4] - torch.eye(4)).abs().max() > 0.05


def test_sums_for_transforms_add_up():
    mixtures, _, x, occupied = speaker(600, densities=2)
    whole = transform_sums(mixtures, x, occupied)
    parts = [
        transform_sums(
            mixtures, x[at], Occupancies(torch.arange(300), occupied.pdfs[at], occupied.weights[at])
        )
        for at in (slice(0, 300), slice(300, 600))
    ]
    total = added_by_speaker([{"a": parts[0]}, {"b": whole}, {}, {"a": parts[1]}])
    assert sorted(total) == ["a", "b"]
    assert isinstance(total["a"], TransformSums)
    assert total["a"].count == whole.count
    torch.testing.assert_close(total["a"].linear, whole.linear)
    torch.testing.assert_close(total["a"].quadratic, whole.quadratic)


def test_speakers_transforms_bring_them_together(trained):
    """The frames of warped speakers fit better through the transforms that training found."""
    speech, ends = trained
    state = ends["sat"]
    assert all(v.transform is not None for v in state.voices.values())
    parts = added_by_speaker([transforms.speaker_sums(t) for t in speech.tasks(state)])
    assert {name: s.count for name, s in parts.items()} == pytest.approx(
        {n: sum(len(e.cepstra) for e in speech.examples if e.speaker == n) for n in state.voices}
    )
    assert all(fmllr_gain(parts[name], voice.transform) > 0 for name, voice in state.voices.items())


# Adaptation.


@pytest.mark.parametrize("books", [6, 2], ids=["continuous", "shared"])
def test_map_lies_between_what_was_and_what_is_heard(books):
    mixtures = random_mixtures(books, 3, 6, (3, 2))
    frames = torch.randn(400, 5, generator=torch.Generator().manual_seed(1)) + 1.0
    streams, _ = accumulate(mixtures, frames, pairs(400, 6))
    firmly = map_update(mixtures, streams, PriorCounts(1e12, 1e12, 1e12))
    blank = map_update(mixtures, streams, PriorCounts(0.0, 0.0, 0.0))
    between = map_update(mixtures, streams, PriorCounts(20.0, 20.0))
    for old, own, firm, new, mid in zip(
        mixtures.streams, streams, firmly.streams, blank.streams, between.streams, strict=True
    ):
        n = torch.zeros(books, 3, dtype=torch.float64).index_add_(
            0, torch.from_numpy(mixtures.codebook), own.counts
        )
        likeliest = (own.first / n[..., None]).float()
        for kept, was in zip(
            (firm.means, firm.covariances, firm.weights),
            (old.means, old.covariances, old.weights),
            strict=True,
        ):
            torch.testing.assert_close(kept, was, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(new.means, likeliest, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(
            new.covariances,
            (own.second / n[..., None] - likeliest.double() ** 2).clamp(min=1e-4).float(),
            rtol=1e-4,
            atol=1e-4,
        )
        torch.testing.assert_close(new.weights, (own.counts / own.counts.sum(1, keepdim=True)).float())
        share = (n / (n + 20.0)).float()[..., None]
        torch.testing.assert_close(
            mid.means, share * likeliest + (1 - share) * old.means, rtol=1e-4, atol=1e-5
        )
        assert torch.equal(mid.covariances, old.covariances)
        for changed in (firm, new, mid):
            torch.testing.assert_close(changed.weights.sum(1), torch.ones(6))


def test_map_leaves_what_was_not_heard():
    mixtures = random_mixtures(4, 3, 4, (5,))
    frames = torch.randn(50, 5)
    only = Occupancies(torch.arange(50), torch.full((50,), 2), torch.ones(50, dtype=torch.float64))
    for belief in (PriorCounts(), PriorCounts(0.0, 0.0, 0.0)):
        [new] = map_update(mixtures, accumulate(mixtures, frames, only)[0], belief).streams
        [old] = mixtures.streams
        for p in (0, 1, 3):
            assert torch.equal(new.means[p], old.means[p])
            assert torch.equal(new.covariances[p], old.covariances[p])
            torch.testing.assert_close(new.weights[p], old.weights[p])
        assert not torch.equal(new.means[2], old.means[2])


def test_rounds_of_map_fit_better_and_better(corpus, flat):
    found = [
        s.log_likelihood for _, s in map_rounds(flat[0], em.sharded(corpus[0]), {}, PriorCounts(5.0, 5.0), 4)
    ]
    assert found[-1] > found[0]


def test_beliefs_below_nothing_are_refused():
    with pytest.raises(ValueError, match="below 0"):
        PriorCounts(means=-1.0)


# Pronunciations.

THE, THEE, END = ("the", ("DH", "AH")), ("the", ("DH", "IY")), ("end", ("EH", "N", "D"))
HEARD = PronunciationCounts(
    Counter(
        {
            (START, THE, True): 3,
            (THE, END, False): 4,
            (END, START, True): 4,
            (END, THE, True): 1,
            (START, THEE, False): 1,
            (THEE, END, False): 1,
            (END, START, False): 1,
        }
    )
)
TOLD = {"the": [Pronunciation(THE[1]), Pronunciation(THEE[1])], "end": [Pronunciation(END[1])]}


def test_probabilities_are_those_of_chen_and_others():
    """Their equations, by hand: 8 of 15 pauses between words are silent."""
    words = with_probabilities(TOLD, HEARD)
    the, thee, [end] = *words["the"], words["end"]
    mean = 8 / 15
    after_the, after_end, after_start = 2 * mean / (4 + 2), (5 + 2 * mean) / (6 + 2), (3 + 2 * mean) / (4 + 2)
    after_thee = 2 * mean / (1 + 2)
    assert [the.probability, thee.probability, end.probability] == pytest.approx([1.0, 2 / 5, 1.0], abs=1e-4)
    assert [the.silence_after, thee.silence_after, end.silence_after] == pytest.approx(
        [after_the, after_thee, after_end], abs=1e-4
    )
    expected = 3 * after_start + after_end  # silences before `the`, if only the word before decided
    assert the.silence_before == pytest.approx((4 + 2) / (expected + 2), abs=1e-4)
    assert the.no_silence_before == pytest.approx((0 + 2) / (4 - expected + 2), abs=1e-4)
    expected = 4 * after_the + after_thee
    assert end.silence_before == pytest.approx((0 + 2) / (expected + 2), abs=1e-4)
    assert end.no_silence_before == pytest.approx((5 + 2) / (5 - expected + 2), abs=1e-4)


def test_counts_of_words_add_up():
    assert (HEARD + HEARD).pairs == Counter({k: 2 * n for k, n in HEARD.pairs.items()})


def test_a_dictionary_as_written_reads_the_same():
    from aligner.learn.dictionary import lines as dictionary_lines
    from aligner.learn.dictionary import pronunciations_of

    words = with_probabilities(TOLD, HEARD)
    text = SimpleNamespace(books=None)
    lines = "".join(dictionary_lines(text, words))
    lexicon = Lexicon.parse(lines, known=str.isupper)
    assert {word: lexicon.lookup(word) for word in words} == words
    bare = Example(
        id="u",
        speaker="s",
        cepstra=torch.zeros(1, 4),
        words=tuple(map(tuple, TOLD.values())),
        spelled=tuple(TOLD),
    )
    lines = "".join(dictionary_lines(text, pronunciations_of([bare])))
    assert Lexicon.parse(lines, known=str.isupper).lookup("the") == tuple(TOLD["the"])


def test_training_weighs_pronunciations(trained, warped):
    _, ends = trained
    weights = ends["pronunciations"].weights
    assert set(weights) == set(WORDS)
    said = Counter(phones for planted in warped[1].values() for word, phones in planted.said if word == "us")
    least, most = sorted(said.values())
    assert most > 1.5 * least
    by_phones = {p.phones: p.probability for p in weights["us"]}
    assert by_phones[max(said, key=said.get)] == 1
    assert by_phones[min(said, key=said.get)] == pytest.approx((least + 1) / (most + 1), rel=0.2)
    assert 0.2 < np.mean([p.silence_after for said in weights.values() for p in said]) < 0.7


# Parameters.


def test_the_likeliest_parameters_are_the_frames_own(flat):
    """A phone's Gaussian has the mean and variance of its frames, a transition its share with the prior."""
    model, floors = flat
    examples, _ = language(12, 1, seed=4)
    s, paths = e_step(model, [examples], {})
    new = m_step(model, s, floors)
    pdfs = np.concatenate(paths[0].pdfs)
    x = torch.cat([em.frames_of(model, e, {}) for e in examples]).double().numpy()
    [stream] = gaussians_of(new).streams
    for p in np.flatnonzero(np.bincount(pdfs, minlength=26) >= 15):
        np.testing.assert_allclose(stream.means[p, 0], x[pdfs == p].mean(0), atol=1e-4)
        np.testing.assert_allclose(
            stream.covariances[p, 0], np.maximum(x[pdfs == p].var(0), floors.variances), rtol=1e-3
        )
    stay = np.exp(new.topology.transitions[AA, 1, 1])
    assert stay == pytest.approx(
        np.clip((s.stays[AA, 1] + 3.75) / (s.stays[AA, 1] + s.leaves[AA, 1] + 5), 0.05, 0.98)
    )
    np.testing.assert_allclose(np.exp(new.topology.transitions[AA, :3]).sum(1), 1, rtol=1e-6)


def test_pools_are_phones_of_a_kind():
    pools, own = pools_of_pdfs(TOPOLOGY), phone_states_of_pdfs(TOPOLOGY.forest)
    of = {
        (TOPOLOGY.phones[phone], state): pool
        for (phone, state), pool in zip(own.tolist(), pools, strict=True)
    }
    assert of["AA", 0] == of["IY", 0] != of["AA", 1]
    assert len({of[p, 0] for p in (SILENCE, "spn", "AA", "S", "T", "M", "L")}) == 7


def test_rare_pdfs_learn_from_their_kind():
    counts = torch.tensor([[40.0], [5.0], [0.0], [100.0]], dtype=torch.float64)
    first = counts[:, :, None] * torch.tensor([1.0, 4.0, 0.0, 7.0], dtype=torch.float64)[:, None, None]
    s = statistics.StreamSums(counts, first, first.clone())
    helped = with_pooled_frames(s, np.array([0, 0, 0, 1]))
    assert helped.counts[:, 0].tolist() == pytest.approx([40, 15, 15, 100])
    mean = (40 + 20) / 45  # of the pool
    assert helped.first[:, 0, 0].tolist() == pytest.approx([40, 20 + 10 * mean, 15 * mean, 700])
    assert with_pooled_frames(
        statistics.StreamSums(counts[:1], first[:1], first[:1]), np.array([0])
    ).counts.tolist() == [[40.0]]


@pytest.mark.parametrize("total", [1, 4, 9, 30, 1000])
def test_mixtures_grow_up_to_the_goal(total):
    mixtures = random_mixtures(4, 1, 4, (5,))
    occupancy = torch.tensor([5000.0, 300.0, 39.0, 0.0])
    new = split_gaussians(mixtures, occupancy, total, seed=3)
    have = (new.streams[0].weights > 0).sum(1)
    assert int(have.sum()) <= max(total, 4)
    assert have.tolist() == allocate_gaussians(occupancy.numpy(), np.ones(4, int), total).tolist()
    assert have[2:].tolist() == [1, 1]
    assert all(n * 20 <= o for n, o in zip(have[:2], occupancy, strict=False) if n > 1)
    torch.testing.assert_close(new.streams[0].weights.sum(1), torch.ones(4))
    assert (have[0] >= have[1]).item()
    for p in range(4):
        np.testing.assert_allclose(
            moments_of(new.streams[0], [p], [1.0])[0],
            moments_of(mixtures.streams[0], [p], [1.0])[0],
            atol=1e-5,
        )
    again = split_gaussians(new, occupancy, 2 * total, seed=4)
    assert int((again.streams[0].weights > 0).sum()) <= max(2 * total, 4)
    assert torch.equal(
        split_gaussians(mixtures, occupancy, total, seed=3).streams[0].means, new.streams[0].means
    )


def test_a_split_moves_both_halves_and_scores_stay_near():
    mixtures = random_mixtures(1, 1, 1, (5,))
    new = split_gaussians(mixtures, torch.tensor([1000.0]), 2)
    [stream] = new.streams
    assert stream.weights.tolist() == [[0.5, 0.5]]
    away = (stream.means[0, 0] - stream.means[0, 1]) / stream.covariances[0, 0].sqrt()
    assert 0.01 < float(away.square().mean().sqrt()) < 1.0
    frames = mixtures.streams[0].means[0] + 0.5 * torch.randn(20, 5)
    torch.testing.assert_close(
        new.score_naively(frames, np.array([0])),
        mixtures.score_naively(frames, np.array([0])),
        atol=0.5,
        rtol=0,
    )


def test_single_pass_retraining_keeps_the_shares():
    """Frames turned and scaled: the mixtures of the new frames are those of the old, turned and scaled."""
    mixtures = random_mixtures(3, 2, 3, (4,))
    generator = torch.Generator().manual_seed(0)
    [stream] = mixtures.streams
    pdfs = torch.arange(3).repeat_interleave(3000)
    drawn = torch.multinomial(stream.weights[pdfs], 1, generator=generator)[:, 0]
    x = stream.means[pdfs, drawn] + stream.covariances[pdfs, drawn].sqrt() * torch.randn(
        9000, 4, generator=generator
    )
    occupied = Occupancies(torch.arange(9000), pdfs, torch.ones(9000, dtype=torch.float64))
    floors = VarianceFloor.of(torch.ones(4), 1e-6)
    [old], _ = accumulate(mixtures, x, occupied)
    [seen], _ = accumulate(mixtures, x, occupied, 3 * x.flip(1) + 1)
    one, other = reestimated(mixtures, old, floors).streams[0], reestimated(mixtures, seen, floors).streams[0]
    torch.testing.assert_close(other.means, 3 * one.means.flip(2) + 1, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(other.covariances, 9 * one.covariances.flip(2), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(other.weights, one.weights)


# The front end.


@pytest.mark.parametrize(
    "frontend",
    [
        FRONTEND,
        replace(FRONTEND, reach=3),
        replace(FRONTEND, reach=2, transform=torch.randn(6, 20, generator=torch.Generator().manual_seed(0))),
    ],
)
def test_recordings_behind_one_another_are_each_alone(frontend):
    parts = [torch.randn(n, 4, generator=torch.Generator().manual_seed(n)) for n in (1, 9, 2, 30)]
    together = frontend.expand(torch.cat(parts), torch.tensor([len(p) for p in parts]))
    assert together.shape == (42, frontend.size)
    torch.testing.assert_close(together, torch.cat([frontend.expand(p) for p in parts]))


def test_slopes_equal_torchaudios(torchaudio):
    cepstra = torch.randn(40, 13, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        regression(cepstra), torchaudio.functional.compute_deltas(cepstra.T, 5, "replicate").T
    )
    torch.testing.assert_close(regression(cepstra, 4), torchaudio.functional.compute_deltas(cepstra.T, 9).T)


def test_spliced_frames_stand_beside_each_other_earliest_first():
    frames = replace(FRONTEND, reach=2).expand(torch.arange(10.0)[:, None].repeat(1, 4))
    assert frames[0, ::4].tolist() == [0, 0, 0, 1, 2]
    assert frames[5, ::4].tolist() == [3, 4, 5, 6, 7]


def test_moments_add_up_and_are_the_frames_own():
    x = torch.randn(50, 3, generator=torch.Generator().manual_seed(0)) * 2 + 5
    both = Moments.of(x[:20]) + Moments.of(x[20:])
    torch.testing.assert_close(both.mean, x.double().mean(0))
    torch.testing.assert_close(both.deviation, x.double().std(0, correction=0))
    light = both.weighted(7.0)
    assert light.count == 7
    torch.testing.assert_close(light.mean, both.mean)
    torch.testing.assert_close(light.deviation, both.deviation)


def test_normalised_cepstra_have_mean_0_and_variance_1():
    x = torch.randn(300, 4, generator=torch.Generator().manual_seed(0)) * 3 - 2
    alone = FRONTEND.normalise(x)
    torch.testing.assert_close(alone.mean(0), torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(alone.std(0, correction=0), torch.ones(4), atol=1e-5, rtol=0)
    speaker = Moments.of(torch.randn(1000, 4, generator=torch.Generator().manual_seed(1)) + 4)
    drawn = FRONTEND.normalise(x, speaker)
    both = 300 * x.double().mean(0) + 200 * speaker.mean
    deviation = (
        (300 * x.double().square().mean(0) + 200 * speaker.second / 1000) / 500 - (both / 500) ** 2
    ).sqrt()
    torch.testing.assert_close(drawn.double(), (x - both / 500) / deviation, rtol=1e-4, atol=1e-5)
    assert len(FRONTEND.normalise(x[:0], speaker)) == 0


# Schedules.

SHORT = (
    Stage(kind="monophone", iterations=6, gaussians=60),
    Stage(kind="triphone", iterations=2, gaussians=80, leaves=60),
)  # Gaussians are added after the second iteration


def test_the_same_seed_gives_the_same_model():
    examples, _ = language(16, 1)

    def last(seed, spread=map):
        *_, state = train(
            TrainingSet(examples=examples, labels=LABELS, seed=seed, spread=spread), SHORT, FRONTEND
        )
        return state.model

    once, again, other = last(0), last(0), last(1)
    with ThreadPoolExecutor(2) as pool:
        threaded = last(0, pool.map)
    for a, b, c in zip(*map(parameters, (once, again, threaded)), strict=True):
        assert torch.equal(a, b)
        assert torch.equal(a, c)
    assert not torch.equal(parameters(once)[0], parameters(other)[0])


def test_a_training_goes_on_where_it_stopped():
    speech = TrainingSet(examples=language(12, 1)[0], labels=LABELS)
    states = list(train(speech, SHORT, FRONTEND))
    for stopped in (states[1], states[5], states[6]):
        *_, state = train(speech, SHORT, FRONTEND, stopped)
        assert all(map(torch.equal, parameters(state.model), parameters(states[-1].model)))


def test_what_is_too_short_is_told_and_tried_again():
    examples, _ = language(8, 1)
    short = replace(examples[0], id="short", cepstra=examples[0].cepstra[:10])
    for how in names.EM:
        told = [
            s.statistics.unaligned
            for s in train(TrainingSet(examples=[*examples, short], labels=LABELS, em=how), SHORT, FRONTEND)
        ]
        assert told == [("short",)] * 8
    model, _, left = flat_start(FRONTEND, LABELS, [*examples, short], {})
    assert left == (Unaligned("short"),)
    s, [paths] = e_step(model, [[*examples, short]], {})
    assert (s.unaligned, s.utterances, len(paths.pdfs[-1])) == (("short",), 8, 0)
    lost = Paths((paths.pdfs[-1], *paths.pdfs[1:]), (0.0, *paths.arcs[1:]))
    known, same = e_step(model, [[*examples, short]], {}, known=[lost])
    assert (known.unaligned, known.utterances, same) == ((examples[0].id, "short"), 7, (lost,))
    again, _ = e_step(model, [[*examples, short]], {})
    assert again.unaligned == ("short",)
    nobody, _ = e_step(model, [[short]], {})
    assert (nobody.utterances, nobody.frames, float(nobody.occupancy.sum())) == (0, 0, 0.0)
    assert total([nobody, s]).frames == s.frames


def test_paths_are_searched_for_as_often_as_the_schedule_says():
    speech = TrainingSet(examples=language(12, 1)[0], labels=LABELS)
    schedule = (
        Stage(kind="monophone", iterations=3),
        Stage(kind="triphone", iterations=5, gaussians=60, leaves=60, every=3),
        Stage(kind="pronunciations", iterations=1, every=9),
    )
    searched = [bool(state.statistics.stays.any()) for state in train(speech, schedule, FRONTEND)]
    assert searched == [True] * 3 + [False, False, True, False, False] + [True]


def test_stages_take_so_many_minutes_spread_over_the_corpus():
    speech = TrainingSet(examples=language(20, 2)[0], labels=LABELS)
    assert speech.subset(1000, 100) is speech
    some = speech.subset(speech.frames / 6000 / 4, 100)
    assert len(some.examples) == 5
    assert {e.speaker for e in some.examples} == {"s0", "s1"}


@pytest.mark.parametrize("how", names.EM)
def test_stages_that_learn_from_other_speech_than_the_one_before(how):
    """The paths of the stage before are of other utterances, and are not taken."""
    speech = TrainingSet(examples=language(12, 1)[0], labels=LABELS, em=how)
    half = speech.frames / 6000 / 2
    schedule = (
        Stage(kind="monophone", iterations=3, most=half),
        Stage(kind="triphone", iterations=2, gaussians=60, leaves=60, most=half),
        Stage(kind="lda", iterations=2, every=9),
    )
    assert [s.statistics.utterances for s in train(speech, schedule, FRONTEND)] == [6] * 5 + [12] * 2


def test_a_model_of_its_own_speech_places_boundaries(timit, tmp_path):
    """From a flat start, no label used, as accurate as the documents say."""
    call = ["train", str(timit), str(tmp_path / "model"), "--recipe", "quick", "--start", "flat"]
    call += ["-o", str(tmp_path / "out")]
    result = CliRunner().invoke(main, call)
    assert result.exit_code == 0, result.output
    report = evaluate(timit, tmp_path / "out").report
    assert report.phones.mae <= at_most(14.48)
    assert report.words.mae <= at_most(16.80)
