"""Several backends at once: medians, and who has a say in them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.bars import at_most
from support.places import SAMPLE

from aligner import find
from aligner.backends.base import prepare
from aligner.backends.choose import chosen
from aligner.backends.median import MedianBackend
from aligner.backends.options import Compute, Options
from aligner.learn.teach import teach
from aligner.refine.agreement import median_boundaries
from aligner.refine.boundaries import Refined
from aligner.run.align import align_utterance
from aligner.types import DataError, Edge, Interval, ModelError


def placed_at(labels: str, *starts: float, end: float = 1.0, wide: float = 0.0) -> Refined:
    """Phones of one letter each (a point is silence) that begin at 0 and at ``starts``."""
    edges = [0.0, *starts, end]
    phones = tuple(
        Interval(a, b, "" if x == "." else x) for a, b, x in zip(edges, edges[1:], labels, strict=False)
    )
    return Refined(phones, tuple(Edge(t, t - wide, t + 2 * wide) for t in starts) if wide else ())


def starts(found: Refined) -> list[float]:
    return [p.start for p in found.phones[1:]]


def test_each_boundary_is_the_median_of_those_that_have_it():
    own = placed_at("abc", 0.3, 0.6)
    assert starts(
        median_boundaries(own, [placed_at("abc", 0.32, 0.5), placed_at("abc", 0.4, 0.55)])
    ) == pytest.approx([0.32, 0.55])
    assert starts(median_boundaries(own, [placed_at("abc", 0.36, 0.5)])) == pytest.approx([0.33, 0.55])
    assert median_boundaries(own, []) == own


def test_what_others_do_not_have_counts_for_nothing():
    own = placed_at("abcd", 0.2, 0.4, 0.6)
    # no c: the end of b and the start of d are all it knows beside the start of b
    other = placed_at("abd", 0.3, 0.5)
    found = starts(median_boundaries(own, [other]))
    assert found == pytest.approx([0.25, 0.45, 0.55])
    # as good as nothing in common, and not as many
    assert median_boundaries(own, [placed_at("xyz", 0.1, 0.9)]) == own
    relabelled = placed_at("aXcd", 0.3, 0.5, 0.7)  # one in the place of one is the same phone
    assert starts(median_boundaries(own, [relabelled])) == pytest.approx([0.25, 0.45, 0.65])


def test_a_pause_that_only_one_hears():
    """Its end is what the phone behind it begins with, its start what the one before it ends with."""
    own, other = placed_at("a.b", 0.3, 0.5), placed_at("ab", 0.4)
    assert starts(median_boundaries(own, [other])) == pytest.approx([0.35, 0.45])
    assert starts(median_boundaries(other, [own])) == pytest.approx([0.4])  # between 0.3 and 0.5


def test_intervals_are_medians_too_and_hold_their_boundary():
    own = placed_at("abc", 0.3, 0.6, wide=0.01)
    found = median_boundaries(
        own, [placed_at("abc", 0.32, 0.6, wide=0.02), placed_at("abc", 0.34, 0.6, wide=0.03)]
    )
    assert found.edges[0] == Edge(0.32, 0.3, 0.36)
    assert found.edges[1] == Edge(0.6, 0.58, 0.64)
    assert median_boundaries(own._replace(edges=()), [own]).edges == ()


@given(st.lists(st.lists(st.floats(0.01, 0.99), min_size=4, max_size=4).map(sorted), min_size=1, max_size=4))
def test_order_and_tiles_are_kept(choices):
    opinions = [placed_at("abcde", *c) for c in choices]
    found = median_boundaries(opinions[0], opinions[1:]).phones
    assert [p.label for p in found] == list("abcde")
    assert (found[0].start, found[-1].end) == (0.0, 1.0)
    assert all(a.end == b.start and a.duration >= 0 for a, b in itertools.pairwise(found))


@pytest.fixture(scope="module")
def backend():
    return chosen(None, Options(backend="median"), Compute(jobs=1))


@pytest.fixture(scope="module")
def kitchen():
    return next(u for u in find(SAMPLE).utterances if u.id.endswith("kitchen"))


def test_the_first_says_which_phones_and_all_where(backend, kitchen):
    assert isinstance(backend, MedianBackend)
    parts = (backend.first, *backend.others)
    assert [b.traits.name for b in parts] == ["hmm", "hmm", "dtw"]
    assert [b.model.head is None for b in parts[:2]] == [False, True]
    together, alone = (
        align_utterance(kitchen, backend),
        [align_utterance(kitchen, b) for b in parts],
    )
    assert [p.label for p in together.phones] == [p.label for p in alone[0].phones]
    assert [w.label for w in together.words] == [w.label for w in alone[0].words]
    assert together.quality == alone[0].quality
    ends = [[(p.end, p.label) for p in a.phones if p.label == "SH" or p.label == "K"] for a in alone]
    assert all(len(e) == len(ends[0]) for e in ends)
    expected = [float(np.median([e[k][0] for e in ends])) for k in range(len(ends[0]))]
    got = [p.end for p in together.phones if p.label == "SH" or p.label == "K"]
    assert got == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("model", ["english-gmm", "hama"])
def test_a_network_has_a_say_where_there_is_no_head(model):
    parts = chosen(model, Options(backend="median"), Compute(jobs=1))
    assert [b.traits.name for b in (parts.first, *parts.others)] == ["hmm", "ctc", "dtw"]


def test_one_that_cannot_align_has_no_say(backend, kitchen, monkeypatch):
    def fails(self, prepared):
        raise DataError("x", "no", "no")

    _, dtw = backend.others
    found = backend.find(prepare(kitchen, backend))
    assert len(found.opinions) == 2
    monkeypatch.setattr(type(dtw), "find", fails)
    less = backend.find(prepare(kitchen, backend))
    assert [o.phones for o in less.opinions] == [found.opinions[0].phones]
    alone = MedianBackend(backend.first, (dtw, dtw))
    none = alone.find(prepare(kitchen, alone))
    assert none.opinions == ()
    traits = backend.first.traits
    heard = prepare(kitchen, backend).heard
    own = traits.refinement(none.searched(traits.clock), heard.wave)
    placed = heard.cuts.restored(own.phones).tier(own.phones)
    starts = [p.start for p in align_utterance(kitchen, alone).phones]
    assert starts == pytest.approx([p.start for p in placed], abs=2e-5)
    monkeypatch.setattr(type(backend.first), "find", fails)
    with pytest.raises(DataError):
        backend.find(prepare(kitchen, backend))


def test_what_it_is_not_for(backend, tmp_path):
    with pytest.raises(ModelError, match="corrections"):
        teach(tmp_path, backend)


def test_real_speech_is_nearer(timit, backend):
    """The median is off less than its first part, and less often by more than 50 ms."""
    from aligner.corpus.labels import read_reference
    from aligner.evaluate.boundaries import phone_boundaries
    from aligner.evaluate.matching import match_phones, scored_phones

    late: dict[str, list[float]] = {"median": [], "hmm": []}
    for u in find(timit).utterances[::2]:
        known = scored_phones(read_reference(timit / f"{u.file}.phn")[0])
        for b in (backend, backend.first):
            found = scored_phones(align_utterance(u, b).phones)
            late[b.traits.name] += [
                abs(e.late) for e in phone_boundaries(known, found, match_phones(known, found))
            ]
    assert np.mean(late["median"]) <= at_most(0.01164)
    assert np.mean(late["median"]) < np.mean(late["hmm"])
    assert np.mean(np.array(late["median"]) > 0.05) <= np.mean(np.array(late["hmm"]) > 0.05)
