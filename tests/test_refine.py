"""Offsets keep order and tiles; what is suspicious, and what is not."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from aligner.refine.offsets import SHORTEST, correct, phone_class
from aligner.refine.suspect import suspicions
from aligner.types import Interval


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


def reasons(*lengths: float) -> tuple[str, ...]:
    phones = phones_of(*lengths)
    return suspicions([Interval(0, phones[-1].end, "word")], phones, 0.03)


def test_ordinary_speech_is_not_suspicious():
    assert reasons(-0.2, 0.03, 0.08, 0.12, 0.03, 0.03, 0.1, 0.2, 0.07, 0.05, 0.09, -0.3) == ()


def test_what_is_suspicious_says_why():
    assert "lasts 1.50 s" in reasons(0.1, 1.5, 0.1)[0]
    assert "7 phones in a row" in reasons(0.1, *[0.03] * 7, 0.1)[0]
    assert "% of the phones" in reasons(*[0.03, 0.03, 0.1] * 6)[0]
    assert "uneven" in " ".join(reasons(*[0.05, 0.6, 0.07] * 5))
    assert "are speech" in reasons(-5, 0.1, 0.1, -5)[0]
