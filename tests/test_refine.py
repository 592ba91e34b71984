"""Offsets keep order and tiles; what is suspicious, and what is not."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from aligner.corpus.audio import clipped
from aligner.refine import segments as segments_module
from aligner.refine.boundaries import Refinement, Searched
from aligner.refine.confidence import Evidence, PathPhones, evidence
from aligner.refine.offsets import SHORTEST_INTERVAL, correct
from aligner.refine.outliers import Lengths, likelihood_deviations, unusual
from aligner.refine.pauses import Pauses
from aligner.refine.segments import BoundaryDistributions, LikelihoodRatios, marginals
from aligner.refine.suspect import Solved, _long, measure, suspicions
from aligner.refine.thresholds import THRESHOLDS, Test, markdown, threshold
from aligner.text.phones import phone_class
from aligner.types import Clock, Interval


def test_classes():
    assert [phone_class(x) for x in ("AE1", "K", "s", "NG", "W", "", "spn")] == [
        "vowel",
        "stop",
        "fricative",
        "nasal",
        "liquid",
        "silence",
        "silence",
    ]


def test_late_boundaries_move_back():
    phones = [Interval(0, 0.1, ""), Interval(0.1, 0.2, "N"), Interval(0.2, 0.3, "AE")]
    moved = correct(phones, {("nasal", "vowel"): 0.015, ("silence", "nasal"): -0.02})
    assert [(round(p.start, 4), round(p.end, 4)) for p in moved] == [(0, 0.12), (0.12, 0.185), (0.185, 0.3)]


@given(
    st.lists(
        st.tuples(st.sampled_from(["", "AA", "T", "N", "L", "S"]), st.floats(0.001, 0.2)),
        min_size=1,
        max_size=12,
    ),
    st.dictionaries(
        st.tuples(*[st.sampled_from(["vowel", "stop", "nasal", "liquid", "fricative", "silence"])] * 2),
        st.floats(-0.1, 0.1),
    ),
)
def test_order_and_tiles_are_kept(parts, offsets):
    edges = [0.0]
    for _, length in parts:
        edges.append(edges[-1] + length)
    phones = [Interval(a, b, label) for a, b, (label, _) in zip(edges, edges[1:], parts, strict=False)]
    moved = correct(phones, offsets)
    assert [p.label for p in moved] == [p.label for p in phones]
    assert (moved[0].start, moved[-1].end) == (phones[0].start, phones[-1].end)
    assert all(a.end == b.start for a, b in itertools.pairwise(moved))
    for before, after in zip(phones, moved, strict=True):
        assert after.duration >= min(SHORTEST_INTERVAL, before.duration) - 1e-4


def phones_of(*lengths: float) -> list[Interval]:
    edges = [0.0]
    for length in lengths:
        edges.append(edges[-1] + abs(length))
    return [
        Interval(a, b, "" if length < 0 else "AA")
        for a, b, length in zip(edges, edges[1:], lengths, strict=False)
    ]


def solved(*lengths: float, margin: float = 0.0) -> Solved:
    """Phones of these lengths (below 0: silence), every frame of which has this margin."""
    phones = [replace(p, confidence=0.5) for p in phones_of(*lengths)]
    clock = Clock(hop=160, window=160)
    firsts = [round(100 * p.start) for p in phones]
    frames = round(100 * phones[-1].end)
    levels = np.full(frames, 1e-2)
    for p, first in zip(phones, firsts, strict=True):
        if not p.label:
            levels[first : first + round(100 * p.duration)] = 1e-5
    words = [Interval(p.start, p.end, p.label and f"word{k}", 0.5) for k, p in enumerate(phones)]
    return Solved(
        words=words,
        phones=phones,
        firsts=firsts,
        evidence=Evidence(*np.full((4, frames), [[margin], [0.5], [0.0], [0.0]])),
        levels=levels,
        clock=clock,
        shortest=0.03,
    )


def texts(s: Solved, clipped: float = 0.0) -> list[str]:
    return [found.text for found in suspicions(s, measure(s, -150.0, clipped))]


def reasons(*lengths: float, margin: float = 0.0) -> list[str]:
    return texts(solved(*lengths, margin=margin))


def found(*lengths: float) -> list[tuple[str, float | None]]:
    s = solved(*lengths)
    return [(f.test, f.at) for f in suspicions(s, measure(s, -150.0, clipped=0.0))]


SPEECH = (-0.2, 0.03, 0.08, 0.12, 0.03, 0.03, 0.1, 0.2, 0.07, 0.05, 0.09, -0.3)


def test_ordinary_speech_is_not_suspicious():
    assert reasons(*SPEECH) == []


def test_what_is_suspicious_says_why():
    assert "lasts 1.50 s" in reasons(0.1, 1.5, 0.1)[0]
    assert "the word 'word1' lasts 2.50 s" in _long(solved(0.1, 2.5, 0.1), None)[1].text
    assert "7 phones in a row" in reasons(0.1, *[0.03] * 7, 0.1)[0]
    assert "crammed at the end" in reasons(-0.1, 0.1, 0.2, *[0.03] * 5, -0.3)[0]
    assert reasons(-0.1, 0.1, 0.2, *[0.03] * 5, 0.2, 0.1, -0.3) == []  # five are well within a word
    assert "% of the phones" in reasons(*[0.03, 0.03, 0.1] * 6)[0]
    assert "uneven" in " ".join(reasons(*[0.04, 0.7, 0.05] * 5))
    assert "are speech" in reasons(-5, 0.1, 0.1, -5)[0]


def test_every_suspicion_has_its_test_and_its_place():
    assert found(0.1, 1.5, 0.1) == [(Test.LONG_PHONE, 0.1)]
    assert (Test.CRAMMED, 0.1) in found(0.1, *[0.03] * 7, 0.1)
    assert (Test.CRAMMED_EDGE, 0.4) in found(-0.1, 0.1, 0.2, *[0.03] * 5, -0.3)
    assert (Test.CRAMMED_SHARE, None) in found(*[0.03, 0.03, 0.1] * 6)
    assert (Test.LITTLE_SPEECH, None) in found(-5, 0.1, 0.1, -5)
    s = solved(*SPEECH)
    s.evidence.margin[40:80] = -8  # 0.4 to 0.8 s
    [misfit] = suspicions(s, measure(s, -150.0, 0.0))
    assert (misfit.test, misfit.at) == (Test.MISFIT, 0.4)


@pytest.mark.parametrize("t", THRESHOLDS, ids=lambda t: f"{t.test} {t.scores or ''} {t.over}")
def test_every_limit_lies_beyond_the_worst_of_intact_speech(t):
    assert not t.exceeded(t.worst)
    assert t.exceeded(t.limit + (-1 if t.below else 1) * 1e-6)
    assert not t.exceeded(t.limit)
    assert f"| `{t.test}`" in markdown()


def test_what_is_heard_against_what_is_written():
    s = solved(*SPEECH)
    s.evidence.margin[40:80] = -8  # 0.4 to 0.8 s
    [reason] = texts(s)
    assert "from 0.40 to 0.70 s does not fit 'word3 word4 word5 word6 word7'" in reason
    s = solved(-2.0, 0.1, 0.1, -2.0)
    s.evidence.margin[60:120] = -8
    assert "something is heard at 0.60 s where the transcript has nothing" in texts(s)
    s = solved(*SPEECH)
    s.evidence.margin[43:59] = -10  # three phones, too short for the window of 0.3 s
    assert "from 0.43 to 0.59 s does not fit 'word4 word5 word6'" in texts(s)[0]


def test_figures_of_the_recording():
    q = measure(solved(*SPEECH), -150.0, 0.0)
    assert q.snr == pytest.approx(10 * np.log10((1e-2 - 1e-5) / 1e-5), abs=1e-6)
    assert q.speech == pytest.approx(0.8 / 1.3)
    assert (q.crammed_run, q.confidence, q.longest_word) == (2, 0.5, pytest.approx(0.2))
    s = solved(*SPEECH)
    s.levels[:] = 1e-2
    assert "may be speech" in texts(s)[0]
    s.levels[20:100] = 2.2e-2
    assert "only 1 dB stronger than the pauses" in texts(s)[0]
    s = solved(*SPEECH)
    assert "2.0 % of the samples are clipped" in texts(s, clipped=0.02)[0]


def test_posteriors_and_margins_by_hand():
    rivals = np.log([[0.2, 0.3, 0.5], [0.1, 0.8, 0.1]])
    found = evidence(
        np.log([0.5, 0.1]), rivals, PathPhones(np.array([0, 2]), np.array([-1, 0]), np.array([2, -1]))
    )
    assert found.margin == pytest.approx(np.log([1.0, 0.125]))
    assert found.posterior == pytest.approx([0.5 / 1.3, 0.1])
    assert found.earlier == pytest.approx([0.0, 0.0])  # 0.1 and 0.1
    assert found.later == pytest.approx([np.log(0.5 / 0.2), 0.0])
    assert rivals == pytest.approx(np.log([[0.2, 0.3, 0.5], [0.1, 0.8, 0.1]]))  # the caller's are left alone


def test_clipping_is_heard_at_any_level():
    time = np.arange(16_000) / 16_000
    tone = 0.5 * np.sin(2 * np.pi * 37 * time)
    assert not threshold(Test.CLIPPED).exceeded(clipped(tone))
    cut = np.clip(tone, -0.4, 0.4)
    assert clipped(cut) == pytest.approx(1 - 2 / np.pi * np.arcsin(0.8), abs=0.01)
    assert clipped(np.zeros(100)) == 0.0


def test_outliers_of_a_corpus():
    random = np.random.default_rng(0)
    values = [*random.normal(-150, 2, 40), -175.0]
    found = likelihood_deviations(values)
    assert found[-1] < -8
    assert max(abs(z) for z in found[:-1]) < 4
    lengths = Lengths()
    for k in range(40):
        scale = 4.0 if k == 7 else 1.0
        lengths.add(phones_of(*(scale * np.exp(random.normal(-2.5, 0.3, 15)))))
    deviations = lengths.deviations()
    assert int(np.argmax(deviations)) == 7
    assert deviations[7] > 1.6 > sorted(deviations)[-2]
    assert len(unusual(found[-1], deviations[7])) == 2
    assert unusual(found[0], deviations[0]) == ()
    assert [s.test for s in unusual(found[-1], deviations[7])] == [Test.UNLIKELY, Test.ODD_LENGTHS]


@pytest.mark.parametrize("seed", range(5))
def test_places_are_as_likely_as_all_ways_to_cut_together(seed):
    """Brute force over every place of three boundaries."""
    rng = np.random.default_rng(seed)
    frames = 2 * rng.normal(size=(14, 2))
    middle, shortest, reach = np.array([3, 6, 11]), 2, 3
    prior = rng.normal(size=(3, 2 * reach + 1))
    expected = np.zeros_like(prior)
    for choice in itertools.product(range(2 * reach + 1), repeat=3):
        edges = middle + np.array(choice) - reach
        if min(edges) < 0 or max(edges) > 14 or np.diff(edges).min() < shortest:
            continue
        pieces = np.split(frames, edges)
        inside = sum(float(np.square(p - p.mean(0)).sum()) for p in pieces if len(p))
        likely = np.exp(prior[range(3), choice].sum() - segments_module.DISTANCE_WEIGHT * inside)
        for k, j in enumerate(choice):
            expected[k, j] += likely
    expected /= expected.sum(1, keepdims=True)
    np.testing.assert_allclose(
        segments_module.reference(frames, middle, prior, shortest), expected, atol=1e-12
    )
    np.testing.assert_allclose(marginals(frames, middle, prior, shortest), expected, atol=1e-12)


def test_crammed_boundaries_have_distributions_too():
    """More boundaries than there is room for: nothing is impossible, and the order is kept at the end."""
    frames = np.random.default_rng(0).normal(size=(8, 2))
    middle, prior = np.array([2, 2, 3, 3, 4]), np.zeros((5, 25))
    found = marginals(frames, middle, prior, 4)
    np.testing.assert_allclose(found.sum(1), 1.0)
    np.testing.assert_allclose(found, segments_module.reference(frames, middle, prior, 4), atol=1e-9)


def test_quantiles_lie_between_the_places():
    found = BoundaryDistributions(np.array([1.0, 2.0]), 0.1, np.array([[0.25, 0.5, 0.25], [1.0, 0.0, 0.0]]))
    assert found.quantile(0.5) == pytest.approx([1.1, 2.0])
    assert found.quantile(0.25) == pytest.approx([1.05, 1.975])
    assert found.quantile(1.0)[0] == pytest.approx(1.25)


def test_a_model_leans_to_where_its_phones_score_better():
    """Frames 4 and 5, on the later side of the boundary that the search put at 4, sound like the phone before
    it.
    """
    clock = Clock(hop=160, window=160)
    before, after = np.full(10, -5.0), np.full(10, -5.0)
    before[4:6] = 3.0
    seen = Evidence(np.zeros(10), np.zeros(10), before, after)
    ratios = LikelihoodRatios.of(seen, [0, 4], np.array([0.0]), clock)
    grid = np.arange(0.0, 0.11, 0.01)[None]
    assert ratios(grid)[0].argmax() == 6
    assert ratios(grid)[0, [4, 5, 6, 7]] == pytest.approx([-6.0, -3.0, 0.0, -5.0])
    late = LikelihoodRatios.of(seen, [0, 4], np.array([0.02]), clock)  # what the model calls 0.06 s is 0.04 s
    assert late(grid)[0].argmax() == 4
    assert LikelihoodRatios.of(Evidence(*np.zeros((4, 10))), [0, 4], np.zeros(1), clock) is None


def refined(phones, wave, how="full", offsets=None):
    firsts = [round(100 * (p.start - phones[0].start)) for p in phones]
    silent = np.zeros(round(100 * (phones[-1].end - phones[0].start)))
    found = Searched(
        tuple(phones), firsts, Evidence(silent, silent, silent, silent), Clock(hop=160, window=160)
    )
    return Refinement(how=how, offsets=offsets or {}, deviation=0.025)(found, wave)


def test_boundaries_are_found_in_the_sound():
    """Tones of other heights, a few hundredths of a second from where they are expected."""
    rate, edges = 16000, [0.0, 0.213, 0.388, 0.61, 0.8]
    t = np.arange(round(0.8 * rate)) / rate
    pitch = np.select([t < e for e in edges[1:]], [300.0, 2500.0, 700.0, 3900.0])
    rng = np.random.default_rng(0)
    wave = torch.from_numpy(
        (0.3 * np.sin(2 * np.pi * pitch * t) + rng.normal(0, 0.003, len(t))).astype(np.float32)
    )
    late = [0.0, 0.03, -0.03, 0.02]
    starts = [e + d for e, d in zip(edges, late, strict=False)]
    phones = [Interval(a + 5, b + 5, "x") for a, b in zip(starts, [*starts[1:], 0.8], strict=True)]
    found = refined(phones, wave)
    assert [p.start for p in found.phones] == pytest.approx([e + 5 for e in edges[:-1]], abs=0.008)
    assert found.phones[-1].end == 5.8
    assert [e.time for e in found.edges] == [p.start for p in found.phones[1:]]
    assert all(e.low < e.time < e.high for e in found.edges)
    assert all(e.low - 0.003 < 5 + x < e.high + 0.003 for e, x in zip(found.edges, edges[1:], strict=False))
    assert refined(phones[:1], wave) == (tuple(phones[:1]), ())
    assert refined(phones, wave[:10]) == (tuple(phones), ())
    assert refined(phones, wave, "none") == (tuple(phones), ())
    noise = torch.from_numpy(rng.normal(0, 0.1, len(t)).astype(np.float32))  # no edge anywhere: less sure
    widths = [sum(e.high - e.low for e in refined(phones, w).edges) for w in (wave, noise)]
    assert widths[0] < 0.6 * widths[1]


def test_pauses_and_the_ends_of_speech():
    rng = np.random.default_rng(0)
    loud = np.concatenate(
        [np.full(n, level) for n, level in [(3200, 0), (6400, 1), (4800, 0), (8000, 1), (3200, 0)]]
    )
    wave = torch.from_numpy(
        (rng.normal(0, 0.1, len(loud)) * loud + rng.normal(0, 1e-4, len(loud))).astype(np.float32)
    )
    pauses = Pauses.of(wave)  # speech from 0.2 to 0.6 s and from 0.9 to 1.4 s
    assert pauses.onset(0.3, "AA") == pytest.approx(0.2, abs=0.006)
    assert pauses.onset(0.3, "T") == pytest.approx(0.14, abs=0.006)  # a stop is closed before it is heard
    assert pauses.end(1.3) == pytest.approx(1.4, abs=0.006)
    assert pauses.between(0.5, 1.0, "AA", "S") == pytest.approx((0.6, 0.9), abs=0.006)
    assert pauses.between(0.5, 1.0, "AA", "T") == pytest.approx((0.6, 0.84), abs=0.006)
    assert pauses.between(0.3, 0.5, "AA", "S") is None
    assert pauses.onset(1.2, "AA") == pytest.approx(1.2 - 0.04)  # no quiet within reach
