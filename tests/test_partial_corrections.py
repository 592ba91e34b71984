"""Corrections of some boundaries: of words alone, of what a tier marks, of what was moved."""

from __future__ import annotations

import importlib.util
import shutil
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.places import OTHERS, SAMPLE
from support.random_models import random_model

from aligner import align, find
from aligner.backends.base import hear
from aligner.backends.choose import chosen
from aligner.backends.options import Compute, Options
from aligner.corpus.tier_names import TierNames
from aligner.features import FINE_FRONTEND
from aligner.formats.base import RUN_RECORD
from aligner.formats.textgrid import read_textgrid, write_textgrid
from aligner.learn.corrections import POINT_REACH, CorrectedUtterance, read_corrections
from aligner.learn.counting import FAR, MOVED, counted
from aligner.learn.lessons import lesson_of
from aligner.learn.teach import teach
from aligner.learn.truth import true_word_edges
from aligner.models.boundary import BoundaryModel
from aligner.refine import learning
from aligner.refine.boundaries import Refinement, Searched
from aligner.refine.confidence import Evidence
from aligner.refine.habits import class_offsets
from aligner.refine.learning import FEWEST_LESSONS, FEWEST_PARTS, Lesson, parted
from aligner.text.phones import phone_class
from aligner.types import DataError, Interval, ModelError, Utterance

ONE = Utterance(id="a", audio=np.zeros(16000), transcript="a")


@pytest.fixture(scope="module")
def english():
    return chosen("english", compute=Compute(jobs=1))


@pytest.fixture(scope="module")
def aligned(english):
    """A sentence as it is aligned."""
    utterance = next(u for u in find(SAMPLE).utterances if u.file == "rms/kitchen")
    return next(iter(align([utterance], english)))


def later(intervals, seconds: float) -> tuple[Interval, ...]:
    return tuple(replace(i, start=i.start + seconds, end=i.end + seconds) for i in intervals)


def chain(*edges: float, label: str = "x") -> tuple[Interval, ...]:
    return tuple(Interval(a, b, label) for a, b in pairwise(edges))


# Words alone


def test_edges_of_words_are_known_and_nothing_within(aligned, english):
    words = tuple(w for w in aligned.words if w.label)
    moved = later(words, 0.012)
    one = lesson_of(english, CorrectedUtterance(utterance=aligned.utterance, words=moved))
    assert isinstance(one, Lesson)
    at = np.array([p.start for p in aligned.phones[1:]])
    edges = {t for w in words for t in (w.start, w.end)}
    begin = one.phones[0].start + hear(aligned.utterance, english.traits).cuts.head  # as it is heard
    expected = np.array([t + 0.012 if t in edges else np.nan for t in at.tolist()]) - begin
    assert np.allclose(one.truth, expected, atol=1e-4, equal_nan=True)
    assert 5 < one.known < len(at)


def test_a_pause_that_only_the_labels_have_gives_no_place():
    phones = chain(0.0, 0.1, 0.2, 0.3)
    words = [Interval(0.0, 0.1, "a"), Interval(0.1, 0.3, "b")]
    near = [Interval(0.0, 0.11, "A"), Interval(0.12, 0.3, "b")]
    apart = [near[0], replace(near[1], start=0.2)]
    assert true_word_edges(near, words, phones)[0] == pytest.approx(0.115)
    assert np.isnan(true_word_edges(apart, words, phones)).all()
    other = [near[0], replace(near[1], label="c")]
    assert true_word_edges(other, words, phones)[0] == pytest.approx(
        0.11
    )  # where the word ends that is there


@pytest.mark.parametrize("networks", [0, 2])
def test_what_words_taught_moves_no_boundary_within_a_word(networks):
    labels, owners = ["", "AA", "S", "AA", ""], [-1, 0, 0, 1, -1]
    before = tuple(Interval(0.2 * k, 0.2 * (k + 1), label) for k, label in enumerate(labels))
    nothing = np.zeros(100)
    searched = Searched(
        before,
        [20 * k for k in range(5)],
        Evidence(nothing, nothing, nothing, nothing),
        FINE_FRONTEND.clock,
        owners,
    )
    wave = torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, 16000)).float()
    offsets = {(phone_class(a), phone_class(b)): 0.04 for a, b in pairwise(labels)}
    taught = replace(random_model(1, networks=max(networks, 1), size=0.3), offsets=offsets)
    taught = taught if networks else replace(taught, networks=())
    untaught = Refinement()(searched, wave)
    everywhere = Refinement(taught=taught)(searched, wave)
    at_words = Refinement(taught=replace(taught, words_only=True))(searched, wave)
    assert searched.word_edges.tolist() == [True, False, True, True]
    for k, word in enumerate(searched.word_edges.tolist()):
        own = everywhere if word else untaught
        assert at_words.edges[k] == own.edges[k]
        assert everywhere.edges[k] != untaught.edges[k]


@pytest.mark.skipif(not OTHERS.is_dir(), reason="the recordings of other languages are not there")
@pytest.mark.skipif(importlib.util.find_spec("espeakng_loader") is None, reason="eSpeak NG is not installed")
def test_seven_words_of_finnish_recordings_teach_the_others(tmp_path, monkeypatch):
    """Words that somebody labels 30 ms later than the hand labels of the corpus are."""
    monkeypatch.setattr(learning, "STEPS_FEW", 20)  # of so few edges a table of offsets is learnt
    late = 0.03
    shutil.copytree(OTHERS / "finnish" / "corpus", tmp_path, dirs_exist_ok=True)
    for path in (OTHERS / "finnish" / "ref").rglob("*.TextGrid"):
        words = dict(read_textgrid(path))["words"]
        end, edges = words[-1].end, [w.start + late for w in words[1:]]
        shifted = [
            Interval(a, b, w.label) for w, (a, b) in zip(words, pairwise([0.0, *edges, end]), strict=True)
        ]
        known = edges[len(edges) // 2 + 1]
        marks = [Interval(0, known, "corrected"), Interval(known, end, "")]
        write_textgrid(
            tmp_path / path.relative_to(OTHERS / "finnish" / "ref"),
            {"words": shifted, "corrected": marks},
            end,
        )
    backend = chosen(None, Options(language="fi"), Compute(jobs=1))
    learnt = teach(tmp_path, backend).learnt
    assert learnt.words_only
    assert learnt.model is not None

    def off(own) -> float:
        errors = []
        for item in read_corrections(tmp_path, None, TierNames())[0]:
            found = next(iter(align([item.utterance], own)))
            places = true_word_edges(item.words, found.words, found.phones)
            places[places <= item.marks[0].end + 0.01] = np.nan
            errors += (places - [p.start for p in found.phones[1:]]).tolist()
            assert np.isfinite(errors).sum() >= 4
        return float(np.nanmean(np.abs(errors)))

    assert off(backend.with_taught(learnt.model)) < 0.75 * off(backend)


# Marks


def grid(tmp_path, **marks):
    """A folder with a recording and its labels, with more tiers."""
    (tmp_path / "anna").mkdir(exist_ok=True)
    soundfile.write(tmp_path / "anna" / "a.wav", np.zeros(16000), 16000)
    intervals = {"words": chain(0.0, 0.3, 0.6, 1.0), "phones": chain(0.0, 0.1, 0.3, 0.5, 0.6, 1.0)}
    points = {name: own for name, own in marks.items() if isinstance(own, dict)}
    more = {name: own for name, own in marks.items() if name not in points}
    write_textgrid(tmp_path / "anna" / "a.TextGrid", {**intervals, **more}, 1.0, points)
    [item], failures = read_corrections(tmp_path, None, TierNames())
    assert not failures
    return item


def test_marks_are_labelled_intervals_and_points(tmp_path):
    assert grid(tmp_path).marks is None
    intervals = [Interval(0, 0.2, " "), Interval(0.2, 0.55, "ok"), Interval(0.55, 1, "")]
    for name in ("corrected", "Corrected", "CORRECTED"):
        assert grid(tmp_path, **{name: intervals}).marks == (intervals[1],)
    near, far = 0.3 + 0.9 * POINT_REACH, 0.8
    snapped = grid(tmp_path, Corrected={near: "", far: "x"}).marks
    assert [(m.start, m.end) for m in snapped] == [(0.3, 0.3)]
    assert grid(tmp_path, corrected=[Interval(0, 1, "")]).marks == ()


def test_marks_of_another_speaker_are_not_ours(tmp_path):
    (tmp_path / "d").mkdir()
    soundfile.write(tmp_path / "d" / "a.wav", np.zeros(16000), 16000)
    tiers = {
        f"{who} - {kind}": chain(0.0, 0.5, 1.0) for who in ("eve", "bob") for kind in ("words", "phones")
    }
    write_textgrid(tmp_path / "d" / "a.TextGrid", {**tiers, "eve - Corrected": chain(0.4, 0.6)}, 1.0)
    found = {c.utterance.speaker: c.marks for c in read_corrections(tmp_path, None, TierNames())[0]}
    assert [(m.start, m.end) for m in found["eve"] if m.label] == [(0.4, 0.6)]
    assert found["bob"] is None


def test_only_marked_boundaries_are_known(aligned, english):
    phones = aligned.phones
    stretch = Interval(phones[3].start, phones[8].start, "corrected")
    point = Interval(phones[12].start, phones[12].start, "")
    item = CorrectedUtterance(
        utterance=aligned.utterance, phones=phones, words=aligned.words, marks=(stretch, point)
    )
    one = lesson_of(english, item)
    known = np.flatnonzero(~np.isnan(one.truth)) + 1
    assert set(known.tolist()) >= {3, 4, 5, 6, 7, 8, 12}
    others = [k for k in known.tolist() if k not in (3, 4, 5, 6, 7, 8, 12)]
    assert all(
        min(abs(phones[k].start - t) for t in (stretch.start, stretch.end, point.start)) <= 0.01
        for k in others
    )


# What was moved


def corrected(before, after, **more) -> CorrectedUtterance:
    return CorrectedUtterance(utterance=ONE, phones=chain(*after), before=chain(*before), **more)


def test_what_was_moved_is_told_and_counts_alone_if_that_is_asked_for(english, tmp_path):
    before = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
    after = [0.0, 0.105, 0.2 + 0.9 * MOVED, 0.296, 0.45, 0.5]
    item = corrected(before, after)
    usual = counted([item], english, tmp_path)
    assert (usual.edges, usual.moved, usual.marked, usual.items[0].marks) == (6, 3, None, None)
    alone = counted([item], english, tmp_path, only_moved=True)
    assert [m.start for m in alone.items[0].marks] == [0.105, 0.296, 0.45]
    assert (alone.moved, alone.marked) == (3, 3)
    marked = replace(item, marks=(Interval(0.0, 0.35, "x"),))
    assert [m.start for m in counted([marked], english, tmp_path, only_moved=True).items[0].marks] == [
        0.105,
        0.296,
    ]


def test_boundaries_that_were_chosen_for_being_far_off_are_not_learnt_from_alone(english, tmp_path):
    before = [0.1 * k for k in range(20)]
    after = [t + (FAR * 2 if k % 5 == 2 else 0.0) for k, t in enumerate(before)]
    item = corrected(before, after)
    with pytest.raises(DataError, match="would spoil the others") as error:
        counted([item], english, tmp_path, only_moved=True)
    assert "--only-moved" in error.value.remedy
    points = tuple(Interval(t, t, "") for k, t in enumerate(after) if k % 5 == 2)
    found = counted([replace(item, marks=points)], english, tmp_path)
    assert found.chosen_far
    assert found.items[0].marks is None
    stretch = (Interval(0.0, 1.0, "all of this"),)  # within it nothing was chosen
    kept = counted([replace(item, marks=stretch)], english, tmp_path)
    assert not kept.chosen_far
    assert kept.items[0].marks == stretch


def test_where_nothing_was_moved_there_is_nothing_to_learn_of_moves(english, tmp_path):
    edges = [0.0, 0.1, 0.2]
    with pytest.raises(DataError, match="no boundary is elsewhere"):
        counted([corrected(edges, edges)], english, tmp_path, only_moved=True)


def test_words_that_were_moved_alone_count_and_not_the_phones_they_left(english, tmp_path):
    edges, words = [0.0, 0.1, 0.2, 0.3], chain(0.0, 0.22, 0.3)
    only_words = corrected(edges, edges, words=words)
    both = corrected(edges, [0.0, 0.1, 0.22, 0.3], words=words)
    found = counted([only_words, both], english, tmp_path).items
    assert [one.phones == () for one in found] == [True, False]


def test_what_a_run_wrote_is_known_where_corrections_lie_in_its_output(tmp_path):
    (tmp_path / "out" / "corrected" / "d").mkdir(parents=True)
    (tmp_path / "out" / "d").mkdir()
    (tmp_path / "out" / RUN_RECORD).write_text("{}")
    soundfile.write(tmp_path / "out" / "corrected" / "d" / "a.wav", np.zeros(16000), 16000)
    for folder, edge in (("", 0.5), ("corrected", 0.6)):
        tiers = {"words": chain(0.0, edge, 1.0), "phones": chain(0.0, edge, 1.0)}
        write_textgrid(tmp_path / "out" / folder / "d" / "a.TextGrid", tiers, 1.0)
    [item], _ = read_corrections(tmp_path / "out" / "corrected", None, TierNames())
    assert {i.end for i in item.before} == {0.5, 1.0}
    shutil.copytree(tmp_path / "out" / "corrected", tmp_path / "elsewhere")
    [item], _ = read_corrections(tmp_path / "elsewhere", None, TierNames())
    assert item.before == ()


def test_what_no_output_tells_is_aligned_again(aligned, english, tmp_path):
    moved = [p.start + (0.004 if k % 2 else 0.0) for k, p in enumerate(aligned.phones)]
    edges = [*moved, aligned.phones[-1].end]
    phones = tuple(Interval(a, b, p.label) for p, (a, b) in zip(aligned.phones, pairwise(edges), strict=True))
    item = CorrectedUtterance(utterance=aligned.utterance, phones=phones)
    found = counted([item], english, tmp_path, only_moved=True)
    assert found.moved == found.marked == len(moved) // 2


# Few corrections


@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=7),
)
def test_of_few_lessons_each_is_parted_and_no_place_is_lost(counts):
    def one(count: int) -> Lesson:
        places = np.where(np.arange(12) < count, np.arange(12.0), np.nan)
        words = np.zeros(12, bool)
        return Lesson(
            group="a", phones=(), energies=None, distributions=None, width=1.0, truth=places, words=words
        )

    own = [one(count) for count in counts]
    parts = parted(own)
    assert sum(part.known for part in parts) == sum(counts)
    assert all(part.known for part in parts)
    few = len(counts) < FEWEST_LESSONS
    assert len(parts) == (min(FEWEST_PARTS, sum(counts)) if few else len(counts))


def test_offsets_hold_for_pairs_that_were_not_seen_and_wild_errors_count_for_little():
    kinds = [("vowel", "stop"), ("stop", "vowel"), ("vowel", "nasal")] * 30
    late = np.full(len(kinds), 0.02)
    late[::10] = 0.4
    found = class_offsets(kinds, late)
    assert found["vowel", "stop"] == pytest.approx(0.022, abs=0.004)
    assert 0.01 < found["vowel", "liquid"] < 0.03
    few = class_offsets(kinds[:2], np.array([0.02, 0.02]))
    assert 0 < few["vowel", "stop"] < 0.01
    assert class_offsets(kinds, np.zeros(len(kinds)))["vowel", "stop"] == 0


def test_offsets_alone_are_kept_and_read_back(tmp_path):
    offsets = {("vowel", "stop"): 0.012, ("silence", "vowel"): -0.003}
    model = BoundaryModel(backend="dtw", phones=(), networks=(), offsets=offsets, words_only=True)
    model.save(tmp_path)
    found = BoundaryModel.load(tmp_path)[0]
    assert (found.offsets, found.networks, found.words_only) == (offsets, (), True)
    replace(model, offsets={("vowel", "stop"): float("nan")}).save(tmp_path)
    with pytest.raises(ModelError, match="offsets"):
        BoundaryModel.load(tmp_path)
