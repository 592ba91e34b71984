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
from aligner.refine.confidence import Evidence, evidence
from aligner.refine.offsets import SHORTEST, correct
from aligner.refine.outliers import Lengths, likelihood_deviations, unusual
from aligner.refine.pauses import Pauses
from aligner.refine.segments import cut, segments
from aligner.refine.suspect import MOST_CLIPPED, Solved, _long, measure, suspicions
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
        st.tuples(st.sampled_from(["", "AA", "T", "N", "L", "S"]), st.floats(0.001, 0.2)), min_size=1, max_size=12
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
        assert after.duration >= min(SHORTEST, before.duration) - 1e-4


def phones_of(*lengths: float) -> list[Interval]:
    edges = [0.0]
    for length in lengths:
        edges.append(edges[-1] + abs(length))
    return [Interval(a, b, "" if length < 0 else "AA") for a, b, length in zip(edges, edges[1:], lengths, strict=False)]


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
        words, phones, firsts, Evidence(np.full(frames, margin), np.full(frames, 0.5)), levels, clock, shortest=0.03
    )


def reasons(*lengths: float, margin: float = 0.0) -> tuple[str, ...]:
    s = solved(*lengths, margin=margin)
    return suspicions(s, measure(s, -150.0, clipped=0.0))


SPEECH = (-0.2, 0.03, 0.08, 0.12, 0.03, 0.03, 0.1, 0.2, 0.07, 0.05, 0.09, -0.3)


def test_ordinary_speech_is_not_suspicious():
    assert reasons(*SPEECH) == ()


def test_what_is_suspicious_says_why():
    assert "lasts 1.50 s" in reasons(0.1, 1.5, 0.1)[0]
    assert "the word 'word1' lasts 2.50 s" in " ".join(_long(solved(0.1, 2.5, 0.1), None))
    assert "7 phones in a row" in reasons(0.1, *[0.03] * 7, 0.1)[0]
    assert "crammed at the end" in reasons(-0.1, 0.1, 0.2, *[0.03] * 5, -0.3)[0]
    assert reasons(-0.1, 0.1, 0.2, *[0.03] * 5, 0.2, 0.1, -0.3) == ()  # five are well within a word
    assert "% of the phones" in reasons(*[0.03, 0.03, 0.1] * 6)[0]
    assert "uneven" in " ".join(reasons(*[0.04, 0.7, 0.05] * 5))
    assert "are speech" in reasons(-5, 0.1, 0.1, -5)[0]


def test_what_is_heard_against_what_is_written():
    s = solved(*SPEECH)
    s.evidence.margin[40:80] = -8  # 0.4 to 0.8 s
    [reason] = suspicions(s, measure(s, -150.0, 0.0))
    assert "from 0.40 to 0.70 s does not fit 'word3 word4 word5 word6 word7'" in reason
    s = solved(-2.0, 0.1, 0.1, -2.0)
    s.evidence.margin[60:120] = -8
    assert "something is heard at 0.60 s where the transcript has nothing" in suspicions(s, measure(s, -150.0, 0.0))
    s = solved(*SPEECH)
    s.evidence.margin[43:59] = -10  # three phones, too short for the window of 0.3 s
    assert "from 0.43 to 0.59 s does not fit 'word4 word5 word6'" in suspicions(s, measure(s, -150.0, 0.0))[0]


def test_figures_of_the_recording():
    q = measure(solved(*SPEECH), -150.0, 0.0)
    assert q.snr == pytest.approx(10 * np.log10((1e-2 - 1e-5) / 1e-5), abs=1e-6)
    assert q.speech == pytest.approx(0.8 / 1.3)
    assert (q.crammed_run, q.confidence, q.longest_word) == (2, 0.5, pytest.approx(0.2))
    s = solved(*SPEECH)
    s.levels[:] = 1e-2
    assert "may be speech" in suspicions(s, measure(s, -150.0, 0.0))[0]
    s.levels[20:100] = 2.5e-2
    assert "only 2 dB stronger than the pauses" in suspicions(s, measure(s, -150.0, 0.0))[0]
    s = solved(*SPEECH)
    assert "2.0 % of the samples are clipped" in suspicions(s, measure(s, -150.0, 0.02))[0]


def test_posteriors_and_margins_by_hand():
    rivals = np.log([[0.2, 0.3, 0.5], [0.1, 0.8, 0.1]])
    found = evidence(np.log([0.5, 0.1]), rivals, np.array([0, 2]))
    assert found.margin == pytest.approx(np.log([1.0, 0.125]))
    assert found.posterior == pytest.approx([0.5 / 1.3, 0.1])
    assert rivals == pytest.approx(np.log([[0.2, 0.3, 0.5], [0.1, 0.8, 0.1]]))  # the caller's are left alone


def test_clipping_is_heard_at_any_level():
    time = np.arange(16_000) / 16_000
    tone = 0.5 * np.sin(2 * np.pi * 37 * time)
    assert clipped(tone) < 0.001 < MOST_CLIPPED + 1e-9
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


@pytest.mark.parametrize("seed", range(5))
def test_segments_are_the_cheapest_of_all(seed):
    """Brute force over every place of three boundaries."""
    rng = np.random.default_rng(seed)
    frames = rng.normal(size=(14, 2))
    expected, spread, reach, shortest = np.array([3.2, 6.0, 10.5]), 2.0, 3, 2

    def cost(edges: tuple[int, ...]) -> float:
        if any(b - a < shortest for a, b in itertools.pairwise(edges)):
            return np.inf
        pieces = np.split(frames, edges)
        inside = sum(float(np.square(p - p.mean(0)).sum()) for p in pieces if len(p))
        return inside + segments_module.HOLD * float(np.square((np.array(edges) - expected) / spread).sum())

    near = [range(max(round(e) - reach, 0), round(e) + reach + 1) for e in expected]
    best = min(itertools.product(*near), key=cost)
    assert tuple(segments(frames, expected, spread, reach, shortest).tolist()) == best
    assert tuple(segments_module.reference(frames, expected, spread, reach, shortest).tolist()) == best


def test_boundaries_are_found_in_the_sound():
    """Tones of other heights, a few hundredths of a second from where they are expected."""
    rate, edges = 16000, [0.0, 0.213, 0.388, 0.61, 0.8]
    t = np.arange(round(0.8 * rate)) / rate
    pitch = np.select([t < e for e in edges[1:]], [300.0, 2500.0, 700.0, 3900.0])
    rng = np.random.default_rng(0)
    wave = torch.from_numpy((0.3 * np.sin(2 * np.pi * pitch * t) + rng.normal(0, 0.003, len(t))).astype(np.float32))
    late = [0.0, 0.03, -0.03, 0.02]
    starts = [e + d for e, d in zip(edges, late, strict=False)]
    phones = [Interval(a + 5, b + 5, "x") for a, b in zip(starts, [*starts[1:], 0.8], strict=True)]
    found = cut(phones, wave)
    assert [p.start for p in found] == pytest.approx([e + 5 for e in edges[:-1]], abs=0.006)
    assert found[-1].end == 5.8
    assert cut(phones[:1], wave) == tuple(phones[:1])
    assert cut(phones, wave[:10]) == tuple(phones)


def test_pauses_and_the_ends_of_speech():
    rng = np.random.default_rng(0)
    loud = np.concatenate([np.full(n, level) for n, level in [(3200, 0), (6400, 1), (4800, 0), (8000, 1), (3200, 0)]])
    wave = torch.from_numpy((rng.normal(0, 0.1, len(loud)) * loud + rng.normal(0, 1e-4, len(loud))).astype(np.float32))
    pauses = Pauses.of(wave)  # speech from 0.2 to 0.6 s and from 0.9 to 1.4 s
    assert pauses.onset(0.3, "AA") == pytest.approx(0.2, abs=0.006)
    assert pauses.onset(0.3, "T") == pytest.approx(0.14, abs=0.006)  # a stop is closed before it is heard
    assert pauses.end(1.3) == pytest.approx(1.4, abs=0.006)
    assert pauses.between(0.5, 1.0, "AA", "S") == pytest.approx((0.6, 0.9), abs=0.006)
    assert pauses.between(0.5, 1.0, "AA", "T") == pytest.approx((0.6, 0.84), abs=0.006)
    assert pauses.between(0.3, 0.5, "AA", "S") is None
    assert pauses.onset(1.2, "AA") == pytest.approx(1.2 - 0.04)  # no quiet within reach
