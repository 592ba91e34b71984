"""Long recordings and loose transcripts: what is not written or not said costs its own stretch and no
more."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from support.bars import at_most
from support.places import SAMPLE

from aligner import align, find
from aligner.backends.choose import chosen
from aligner.backends.options import Compute, Options
from aligner.cli import align as command
from aligner.corpus import audio, dead, listening
from aligner.formats.textgrid import read_textgrid
from aligner.parallel.pool import worker_pool
from aligner.refine.thresholds import Test
from aligner.run import first_pass as first_passes
from aligner.run import long
from aligner.run.first_pass import (
    DOOR_STATES,
    FILLER_COST,
    FILLER_EDGE,
    FILLER_LOSS,
    PAUSE_COST,
    SKIP_COST,
    STAY_COST,
    Layout,
    Stretch,
    chain_arcs,
    first_pass,
    gaps,
    layout,
    sentence_chain,
)
from aligner.run.folder import said
from aligner.run.joining import joined
from aligner.run.long import (
    aligned_in_parts,
    is_cut,
    is_long,
    pieces_of,
    score_piece,
)
from aligner.search.viterbi import reference
from aligner.types import STAR_LABEL, Alignment, Failure, Fault, Interval, Quality, Utterance

SILENCE, PHONES = 0, 8  # of the toy: phones 1 to 7 are of words
STEP = 0.03


def toy(spoken, words, seed=0):
    """Scores of a recording in which the items are heard: phones, or None for anything but speech as it is
    written.
    """
    rng = np.random.default_rng(seed)
    frames = []
    for item, length in spoken:
        for _ in range(length):
            row = np.full(PHONES, -9.0)
            row[rng.integers(1, PHONES) if item is None else item] = 0.0
            frames.append(row)
    return np.array(frames, np.float32), sentence_chain(words, SILENCE, PHONES)


def sentence(rng, words=4):
    """Words of phones, no two alike in a row."""
    phones = [int(rng.integers(1, PHONES))]
    while len(phones) < 3 * words:
        phones.append(int(rng.choice([p for p in range(1, PHONES) if p != phones[-1]])))
    return [phones[k : k + 3] for k in range(0, len(phones), 3)]


def heard(words):
    return [(SILENCE, 10), *((p, 4) for word in words for p in word), (SILENCE, 10)]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_the_price_of_a_path_is_what_it_says(seed):
    """The arcs against a sum over the path that the search found, price by price."""
    rng = np.random.default_rng(seed)
    words = [sentence(rng, 2) for _ in range(3)]
    scores, states = toy(
        [(None if rng.random() < 0.3 else int(rng.integers(0, PHONES)), 3) for _ in range(30)], words, seed
    )
    arcs = chain_arcs(states, SILENCE)
    whole = torch.from_numpy(np.concatenate([scores, scores.max(1, keepdims=True) - FILLER_LOSS], 1))[None]
    best = reference(arcs, whole, torch.tensor([len(scores)]))
    path = first_pass(scores, states, SILENCE)
    star = states.phone[path] == PHONES
    price = sum(whole[0, t, states.phone[s]].item() for t, s in enumerate(path))
    inner = (states.phone == SILENCE) & ~np.isin(
        np.arange(len(states.phone)), states.doors[:, None] + np.arange(DOOR_STATES)
    )
    for a, b in pairwise(path):
        price -= PAUSE_COST * (inner[b] and not inner[a])
        price -= STAY_COST * (a == b and states.word[a])
        price -= SKIP_COST * _doors_passed(states, a, b)
        price -= FILLER_COST * (states.phone[b] == PHONES and states.phone[a] != PHONES)
    price -= FILLER_COST * star[0]
    assert price == pytest.approx(float(best.score[0]), abs=1e-2)


def _doors_passed(states, a, b):
    """How many sentences a step leaves out: it goes from one door to the next."""
    in_door = [np.flatnonzero((states.doors <= s) & (s < states.doors + DOOR_STATES)) for s in (a, b)]
    if not all(len(d) for d in in_door):
        return 0
    return int(in_door[1][0] - in_door[0][0])


def test_sentences_that_are_not_said_and_sound_that_is_not_written():
    rng = np.random.default_rng(3)
    words = [sentence(rng) for _ in range(5)]
    spoken = [*heard(words[0]), (None, 60), *heard(words[1]), *heard(words[3]), (None, 40), *heard(words[4])]
    scores, states = toy(spoken, words)
    found = layout(first_pass(scores, states, SILENCE), states, PHONES, STEP, len(scores) * STEP)
    assert [s.sentences for s in found.stretches] == [(0,), (1, 3), (4,)]
    assert [k for k, _ in found.missing] == [2]
    first, second, third = found.stretches
    one = 20 + 12 * 4  # frames of a sentence with its silences
    middle = 5  # frames from the middle of a pause to its end
    assert first.end == pytest.approx((one - middle) * STEP, abs=0.1)
    assert second.start == pytest.approx((one + 60 + middle) * STEP, abs=0.1)
    assert second.end == pytest.approx((3 * one + 60 - middle) * STEP, abs=0.1)
    assert third.start == pytest.approx((3 * one + 100 + middle) * STEP, abs=0.1)
    assert (first.start, third.end) == (0.0, pytest.approx(len(scores) * STEP))


def test_a_right_transcript_has_no_gaps():
    rng = np.random.default_rng(4)
    words = [sentence(rng, 30) for _ in range(4)]
    scores, states = toy([item for w in words for item in heard(w)], words)
    found = layout(first_pass(scores, states, SILENCE), states, PHONES, STEP, len(scores) * STEP)
    assert not found.missing
    first, second = found.stretches  # each ends with the pause in which it has lasted long enough
    assert (first.sentences, second.sentences) == ((0, 1), (2, 3))
    middle = 2 * (20 + 90 * 4) * STEP
    assert (first.start, first.end, second.start) == (0.0, pytest.approx(middle, abs=0.04), first.end)
    assert second.end == pytest.approx(len(scores) * STEP)


@pytest.mark.parametrize("where", [0, 1, 2])
def test_sound_before_between_and_behind(where):
    rng = np.random.default_rng(5)
    words = [sentence(rng), sentence(rng)]
    parts = [heard(words[0]), heard(words[1])]
    parts.insert(where, [(None, 50)])
    scores, states = toy([item for part in parts for item in part], words)
    found = layout(first_pass(scores, states, SILENCE), states, PHONES, STEP, len(scores) * STEP)
    total = len(scores) * STEP
    left = gaps([(s.start, s.end) for s in found.stretches], 0.0, total)
    assert len(left) == 1
    assert left[0][1] - left[0][0] == pytest.approx((50 + (10 if where == 1 else 5)) * STEP, abs=0.1)


def test_without_a_pause_the_sentence_gets_a_bit_of_what_is_beside_it():
    assert first_passes._stretch_end(3.0, 3.1, 9.0) == pytest.approx(3.1 + FILLER_EDGE)
    assert first_passes._stretch_end(3.0, 3.1, 3.2) == 3.2
    assert -first_passes._stretch_end(-9.0, -8.9, -4.0) == pytest.approx(8.9 - FILLER_EDGE)


# Real speech.


@pytest.fixture(scope="module")
def sentences_of_sample():
    return [(u.transcript, audio.read(u).wave) for u in find(SAMPLE).utterances]


def strung(sentences, said_, rng):
    """The sentences one after the other with pauses of their own noise; where each lies, in seconds."""
    parts, places, now = [], [], 0
    for (_, wave), is_said in zip(sentences, said_, strict=True):
        if is_said:
            pause = np.resize(wave[:800], 6400)
            parts += [wave, pause]
            places.append((now / 16000, (now + len(wave)) / 16000))
            now += len(wave) + len(pause)
    return np.concatenate(parts), places


@pytest.mark.parametrize("piece", [3.0, 30.0])
def test_a_loose_transcript_of_real_speech(sentences_of_sample, model, monkeypatch, piece):
    monkeypatch.setattr(long, "FIRST_PASS_PIECE", piece)
    rng = np.random.default_rng(0)
    said_, written = [k != 3 for k in range(10)], [k != 6 for k in range(10)]
    wave, places = strung(sentences_of_sample, said_, rng)
    text = "\n".join(t for (t, _), w in zip(sentences_of_sample, written, strict=True) if w)
    backend = chosen(model, Options(star=True))
    utterance = Utterance("long", wave, text, speaker="anna", file="long")
    assert is_cut(utterance, backend)
    [result] = align([utterance], backend)
    assert isinstance(result, Alignment)
    for tier in (result.words, result.phones):
        assert (tier[0].start, tier[-1].end) == (0.0, pytest.approx(len(wave) / 16000))
        assert all(a.end == b.start for a, b in pairwise(tier))
        assert all(i.end > i.start for i in tier)
    own = [w for w in result.words if w.label]
    stars = [w for w in own if w.label == STAR_LABEL]
    unwritten = places[5]  # the seventh sentence, of those that are said the sixth
    assert len(stars) == 1
    assert stars[0].start == pytest.approx(unwritten[0], abs=0.6)
    assert stars[0].end == pytest.approx(unwritten[1], abs=0.8)
    assert [s.test for s in result.suspicions].count(Test.UNHEARD) == 1
    [untranscribed] = [s for s in result.suspicions if s.test == Test.UNTRANSCRIBED]
    assert untranscribed.text.startswith(f"from {untranscribed.at:.2f} to ")
    found = said(result, backend.traits)
    expected = [
        (t, p)
        for (t, _), p in zip(
            [s for s, i in zip(sentences_of_sample, said_, strict=True) if i], places, strict=True
        )
    ]
    expected = [(t, p) for k, (t, p) in enumerate(expected) if k != 5]
    assert [i.label for i in found] == [t for t, _ in expected]
    for interval, (_, (start, end)) in zip(found, expected, strict=True):
        assert start - 0.1 <= interval.start < interval.end <= end + 0.1


def test_in_parts_as_in_one_piece(sentences_of_sample, model):
    """Where all is right, cutting moves nothing: each part begins and ends in a pause."""
    wave, _ = strung(sentences_of_sample[:6], [True] * 6, np.random.default_rng(0))
    text = " ".join(t for t, _ in sentences_of_sample[:6])
    whole, parts = (
        next(iter(align([Utterance("a", wave, text)], model, Options(star=star), Compute(jobs=1))))
        for star in (False, True)
    )
    assert [w.label for w in parts.words if w.label] == [w.label for w in whole.words if w.label]
    moves = [
        abs(a.start - b.start)
        for a, b in zip([w for w in whole.words if w.label], [w for w in parts.words if w.label], strict=True)
    ]
    assert np.median(moves) <= at_most(0.00062)
    assert max(moves) <= at_most(0.0177)  # each part is heard at its own level
    assert parts.quality.margin == pytest.approx(whole.quality.margin, abs=0.5)
    assert parts.quality.speech == pytest.approx(whole.quality.speech, abs=0.03)


def test_only_long_ones_are_cut_unless_told(model):
    second = np.ones(16000, np.float32)
    short, lengthy = (Utterance("a", np.tile(second, n), "a b.\nc d.") for n in (100, 130))
    assert [is_cut(u, chosen(model, Options())) for u in (short, lengthy)] == [False, True]
    assert [is_cut(u, chosen(model, Options(star=False))) for u in (short, lengthy)] == [False, False]
    assert [is_cut(u, chosen(model, Options(star=True))) for u in (short, lengthy)] == [True, True]
    one = replace(short, transcript="a")  # a sentence alone is not left out
    assert not is_cut(one, chosen(model, Options(star=True)))
    assert not is_cut(lengthy, chosen(None, Options(backend="ctc")))
    assert [is_long(u) for u in (short, lengthy)] == [False, True]


def test_wav_files_are_opened_only_where_they_may_be_long(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    for name, seconds in (("short", 2), ("long", 130)):
        soundfile.write(tmp_path / f"{name}.wav", 0.1 * rng.standard_normal(16000 * seconds), 16000)
    opened = []
    monkeypatch.setattr(audio, "frames_in", lambda path: opened.append(path.stem) or (0, 16000 * 130))
    assert [is_long(Utterance("a", tmp_path / f"{name}.wav", "a")) for name in ("short", "long")] == [
        False,
        True,
    ]
    assert opened == ["long"]


def test_short_ones_with_a_loose_transcript_are_spread(model):
    """Each within its worker; the same as in this process."""
    utterances = find(SAMPLE).utterances[:4]
    one, two = (list(align(utterances, model, Options(star=True), Compute(jobs=jobs))) for jobs in (1, 2))
    assert one == two
    plain = list(align(utterances, model, compute=Compute(jobs=1)))
    for a, b in zip(one, plain, strict=True):
        assert [w.label for w in a.words if w.label] == [w.label for w in b.words if w.label]


def test_pieces_fit_together(model):
    """What is heard piece by piece is what is heard at once, but for the mean, the level and background
    of each.
    """
    backend = chosen(model, Options())
    backend = replace(backend, model=replace(model, frontend=replace(model.frontend, cmn="none")))
    wave = audio.read(find(SAMPLE).utterances[0]).wave
    utterance = Utterance("a", np.tile(wave, 3), "a")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(long, "FIRST_PASS_PIECE", 1.5)
        patch.setattr(dead, "hush", lambda wave, rate: np.zeros((0, 2), int))
        patch.setattr(listening, "level_of", lambda wave, rate: listening.SPEECH_LEVEL)
        parts = np.concatenate([score_piece(backend, p) for p in pieces_of(utterance)])
        whole = score_piece(
            backend, utterance if utterance.end else replace(utterance, end=len(utterance.audio) / 16000)
        )
    assert parts.shape == whole.shape
    inner = np.arange(len(whole)) % 50  # 1.5 s; differences look beyond the edge of a piece
    middle = (inner > 2) & (inner < 47)
    np.testing.assert_allclose(parts[middle], whole[middle], atol=0.05)


def test_silence_is_heard_as_silence(model):
    backend = chosen(model, Options())
    scores = score_piece(backend, Utterance("a", np.zeros(32000, np.float32), "a", end=2.0))
    assert (scores.argmax(1) == model.topology.number(model.topology.silence)).all()


def test_what_cannot_be_aligned_is_told_and_the_rest_stands():
    quality = Quality(
        log_likelihood=-9.0,
        margin=1.0,
        worst_margin=0.5,
        confidence=0.9,
        crammed_run=0,
        speech=0.8,
        longest_word=0.4,
        snr=None,
        clipped=0.0,
    )
    part = Alignment(
        utterance=Utterance("a", np.zeros(0), "one two", start=0.0, end=2.0),
        words=(Interval(0.0, 2.0, "one"),),
        phones=(Interval(0.0, 2.0, "AH"),),
        duration=9.0,
        quality=quality,
    )
    failed = Failure(
        Utterance("a", np.zeros(0), "three four", start=2.0, end=4.0),
        "it is too short",
        fault=Fault.TOO_SHORT,
    )
    planned = Layout((Stretch(0.0, 2.0, (0,)), Stretch(2.0, 4.0, (1,))), ())
    whole = Utterance("a", np.zeros(0), "one two three four", end=4.0)
    result = joined(whole, planned, [part, failed], ["one two", "three four"])
    assert result.quality == replace(quality, speech=0.4)  # half of it is no speech that is known
    assert [w.label for w in result.words] == ["one", STAR_LABEL]
    [suspicion] = result.suspicions
    assert (suspicion.test, suspicion.at) == (Test.UNALIGNED, 2.0)
    assert "'three four' could not be aligned: it is too short" in suspicion.text
    assert joined(whole, planned, [failed, failed], ["one two", "three four"]) is failed


def test_nothing_of_the_transcript_is_heard(model):
    """Whatever is played for a transcript, something is said of it."""
    noise = np.random.default_rng(0).standard_normal(16000 * 8).astype(np.float32) * 0.1
    backend = chosen(model, Options(star=True))
    with worker_pool(1, backend) as submit:
        result = aligned_in_parts(
            Utterance("a", noise, "nothing of this is said here at all"),
            backend,
            submit,
            lambda known, utterances: [Failure(u, "asked", fault=Fault.INPUT) for u in utterances],
        )
    assert isinstance(result, Failure)


def test_sentences_are_written_as_transcripts(tmp_path):
    out = tmp_path / "out"
    result = CliRunner().invoke(command, [str(SAMPLE), str(out), "--segments"])
    assert result.exit_code == 0, result.output
    for utterance in find(SAMPLE).utterances:
        [(name, intervals)] = read_textgrid(out / "segments" / f"{utterance.file}.TextGrid")
        assert name == utterance.speaker
        assert [i.label for i in intervals if i.label] == [utterance.transcript]
        words = dict(read_textgrid(out / f"{utterance.file}.TextGrid"))["words"]
        spoken = [w for w in words if w.label]
        [sentence_] = [i for i in intervals if i.label]
        assert (sentence_.start, sentence_.end) == (spoken[0].start, spoken[-1].end)
