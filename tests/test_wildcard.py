"""Sound that the transcript lacks: the wildcard in the graphs, and in every backend on real speech."""

from functools import cache

import numpy as np
import pytest
import torch
from support.bars import at_most
from support.places import SAMPLE

from aligner import Alignment, Options, Utterance, align, find
from aligner.backends.wild import PDFS, STAR_PDF, WILD_PDF, WildScorer, WildTopology, wildcard_of, with_wild
from aligner.corpus.audio import read
from aligner.graph import build, template
from aligner.graph.pronunciations import Wildcard
from aligner.models.store import load_model
from aligner.refine.thresholds import Test
from aligner.search.arcs import Arcs
from aligner.search.viterbi import viterbi
from aligner.text.lexicon import SpokenWord
from aligner.types import SILENCE_LABEL, STAR_LABEL, Pronunciation

RATE = 16_000
BACKENDS = ["hmm", "ctc", "ctc+hmm", "dtw", "median"]
MUSIC = 16.0  # s


def said(*words):
    return [SpokenWord(k, "", (Pronunciation(tuple(w.split())),)) for k, w in enumerate(words)]


@cache
def english():
    return load_model("english")


def graph_of(words, places=None):
    topology = WildTopology(english().topology)
    wildcard = Wildcard(STAR_LABEL, -2.0, [True] * (len(words) + 1) if places is None else places)
    return build([w.pronunciations for w in words], topology, -1.0, wildcard)


def test_the_wildcard_stands_between_silences_where_it_may():
    words = said("HH AY", "DH EH R")
    plain = build([w.pronunciations for w in words], english().topology, -1.0)
    assert list(graph_of(words, [False] * 3).phone) == list(plain.phone)
    for place in range(3):
        graph = graph_of(words, [k == place for k in range(3)])
        names = list(graph.phone)
        star = names.index(STAR_LABEL)
        assert names.count(STAR_LABEL) == 1
        assert names[star - 1] == names[star + 1] == english().topology.silence
        assert graph.word[star] == -1
        assert graph.shortest == plain.shortest  # it may be left out


@pytest.mark.parametrize("around", ["", "before", "behind", "both"])
@pytest.mark.parametrize("place", range(3))
def test_a_planted_wildcard_is_found(place, around):
    """Frames that fit one way alone, with a silence beside the wildcard or without."""
    graph = graph_of(said("HH AY", "DH EH R"))
    silence = english().topology.silence
    rest = [STAR_LABEL]
    rest = [silence, *rest] if around in ("before", "both") else rest
    rest = [*rest, silence] if around in ("behind", "both") else rest
    names = ["HH", "AY", "DH", "EH", "R"]
    names[(0, 2, 5)[place] : (0, 2, 5)[place]] = rest
    frames = [name for name in names for _ in range(12)]
    scores = torch.full((len(frames), len(graph.pdfs)), -50.0)
    for t, name in enumerate(frames):
        of_name = np.array([label == name for label in graph.phone])[graph.node]
        scores[t, torch.from_numpy(np.unique(graph.pdf[of_name]))] = 0.0
    path = viterbi(Arcs.of(graph), scores[None], kernel="reference")
    nodes = graph.node[path.states[0].numpy()]
    heard = [graph.phone[n] for n in nodes[np.flatnonzero(np.diff(nodes, prepend=-1))]]
    assert heard == names


def test_no_wildcard_within_a_token():
    words = [
        SpokenWord(0, "twenty", (Pronunciation(("T",)),)),
        SpokenWord(0, "two", (Pronunciation(("T",)),)),
    ]
    assert wildcard_of(words).places == (True, False, True)


class Table:
    """Scores frames that are their own scores of all pdfs."""

    def score(self, frames, pdfs):
        return frames[:, torch.from_numpy(np.asarray(pdfs))]


def test_the_wildcard_is_as_likely_as_the_best_phones_together():
    frames = torch.tensor([[0.0, -1.0, -2.0, -9.0, -30.0], [-8.0, -8.0, -8.0, -8.0, 0.0]])
    scorer = WildScorer(Table(), np.arange(5)[:, None], np.array([4]))
    found = scorer.score(frames, np.array([1, WILD_PDF, STAR_PDF]))
    assert found[:, 0].tolist() == [-1.0, -8.0]
    assert found[0, 2] == pytest.approx(-1.0)  # the mean of the three best
    assert found[1, 2] == pytest.approx(-0.1)  # a pause, less a little
    assert set(PDFS.values()) == {WILD_PDF, STAR_PDF}
    assert with_wild(english()).topology.number(STAR_LABEL) == len(english().topology.alone) + 1


def test_the_graph_of_a_template_with_what_it_lacks():
    """Frames that fit nothing, before, between and behind two words: all ways were tried by hand."""
    node, word = np.array([0, 0, 1, 1]), np.array([0, 1])
    pause = np.ones(3, bool)
    plain = template.build(node, ["A", "B"], word, pause)
    loose = template.build(node, ["A", "B"], word, pause, wild=np.ones(3, bool))
    assert template.build(node, ["A", "B"], word, pause, wild=np.zeros(3, bool)).phone == plain.phone
    assert loose.phone == ("", STAR_LABEL, "", "A", "", STAR_LABEL, "", "B", "", STAR_LABEL, "")
    assert loose.shortest == plain.shortest
    for before, between, after in ((3, 0, 0), (0, 3, 0), (0, 0, 3), (2, 2, 2), (0, 0, 0)):
        order = [5] * before + [0, 1] + [5] * between + [2, 3] + [5] * after
        scores = torch.full((len(order), 6), -50.0)
        scores[torch.arange(len(order)), torch.tensor(order)] = 0.0
        path = viterbi(Arcs.of(loose), scores[None], kernel="reference")
        heard = [loose.phone[loose.node[s]] for s in path.states[0].tolist()]
        wanted = [STAR_LABEL if column == 5 else "AABB"[column] for column in order]
        assert heard == wanted
        stars = (before > 0) + (between > 0) + (after > 0)
        paused = (between > 0) + (after > 0)
        expected = -(stars * template.STEPS.star + paused * template.STEPS.pause)
        assert float(path.score) == pytest.approx(expected)


@cache
def spoken():
    return find(SAMPLE).utterances


def wave_of(utterance) -> np.ndarray:
    return read(utterance).wave


@cache
def plain(backend):
    [found] = align([spoken()[0]], None, Options(backend=backend))
    return found


def music(seconds: float) -> np.ndarray:
    """Chords of three tones with overtones, a new one every half second."""
    rng, parts = np.random.default_rng(0), []
    for _ in range(round(2 * seconds)):
        t = np.arange(RATE // 2) / RATE
        tones = rng.choice(np.arange(40, 70), 3)
        frequency = 440 * 2 ** ((tones - 69) / 12)
        chord = sum(np.sin(2 * np.pi * f * h * t) / h for f in frequency for h in (1, 2, 3))
        parts.append(0.05 * chord * np.exp(-2 * t))
    return np.concatenate(parts).astype(np.float32)


def loose_words(backend, wave, shift, **options):
    """The words of the first sentence in another recording, and how far each is from where it should be."""
    utterance = Utterance("loose", wave, spoken()[0].transcript)
    [found] = align([utterance], None, Options(backend=backend, **options))
    assert isinstance(found, Alignment), found
    before = [w for w in plain(backend).words if w.label != SILENCE_LABEL]
    after = [w for w in found.words if w.label not in (SILENCE_LABEL, STAR_LABEL)]
    assert [w.label for w in before] == [w.label for w in after]
    return found, np.array([b.start - a.start - shift(a.start) for a, b in zip(before, after, strict=True)])


def is_told(found) -> bool:
    return Test.UNTRANSCRIBED in {s.test for s in found.suspicions}


@pytest.mark.parametrize("backend", BACKENDS)
def test_music_before_the_first_word(backend):
    wave = np.concatenate([music(MUSIC), wave_of(spoken()[0])])
    found, moved = loose_words(backend, wave, lambda _: MUSIC)
    assert np.abs(moved).max() <= 0.1
    assert found.words[0].end == pytest.approx(MUSIC, abs=1.0)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("star", [None, True])
def test_another_sentence_inside_moves_nothing_else(backend, star):
    first, other = (wave_of(u) for u in spoken()[:2])
    at = max(w.start for w in plain(backend).words[2:-2])
    cut, seconds = round(at * RATE), len(other) / RATE
    wave = np.concatenate([first[:cut], other, first[cut:]])
    found, moved = loose_words(backend, wave, lambda t: seconds if t >= at - 1e-6 else 0.0, star=star)
    assert np.abs(moved).max() <= 0.1
    stars = [w for w in found.words if w.label == STAR_LABEL]
    assert sum(s.duration for s in stars) > 0.5 * seconds
    assert is_told(found)
    inside = [p for p in found.phones if stars[0].start <= p.start < stars[0].end]
    assert {p.label for p in inside} == {"spn"}


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_repeated_phrase(backend):
    first = wave_of(spoken()[0])
    words = [w for w in plain(backend).words if w.label != SILENCE_LABEL]
    begin, end = words[1].start, words[5].end
    piece = first[round(begin * RATE) : round(end * RATE)]
    wave = np.concatenate([first[: round(end * RATE)], piece, first[round(end * RATE) :]])
    found, moved = loose_words(backend, wave, lambda t: len(piece) / RATE if t >= end - 1e-6 else 0.0)
    said_once = np.ones(len(moved), bool)
    said_once[1:6] = False  # these are in either place
    assert np.abs(moved[said_once]).max() <= 0.1
    assert found.status == "suspect"


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_late_only_sentence(backend):
    others = np.concatenate([wave_of(u) for u in spoken()[1:]])
    others = np.tile(others, int(np.ceil(45 * RATE / len(others))))[: 45 * RATE]
    wave = np.concatenate([others, wave_of(spoken()[0])])
    found, moved = loose_words(backend, wave, lambda _: 45.0)
    assert np.abs(moved).max() <= 0.1
    assert is_told(found)


@pytest.mark.parametrize("backend", BACKENDS)
def test_clean_speech_has_none(backend):
    """Allowed, it is not taken; and forbidden, it is not tried."""
    utterances = spoken()[:3]
    loose, strict, usual = (
        list(align(utterances, None, Options(backend=backend, star=star))) for star in (True, False, None)
    )
    for a, b, c in zip(loose, strict, usual, strict=True):
        assert STAR_LABEL not in {w.label for w in a.words}
        assert b.words == c.words
        starts = np.array([[w.start for w in x.words] for x in (a, b)])
        assert np.abs(starts[0] - starts[1]).max() <= at_most(0.01)


def test_forbidden_it_is_not_tried():
    wave = np.concatenate([wave_of(spoken()[0]), *(wave_of(u) for u in spoken()[1:3])])
    [found] = align([Utterance("x", wave, spoken()[0].transcript)], None, Options(star=False))
    assert found.status == "suspect"
    assert not is_told(found)
    assert STAR_LABEL not in {w.label for w in found.words}
