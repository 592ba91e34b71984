"""Aligning while the recording comes in: pieces equal the whole, and what is told can be believed."""

from __future__ import annotations

import io
import itertools
import json
import os
import signal
import sys
import types
import wave as wave_module
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from support.bars import at_most
from support.graphs import cases, chain, pieces, speech_like
from support.places import SAMPLE

from aligner import find
from aligner.backends.hmm import HmmBackend
from aligner.backends.options import Compute, Options
from aligner.cli import main
from aligner.corpus import audio, incoming
from aligner.features import (
    FRAMES_AHEAD,
    FRAMES_LEVELLED,
    LEVEL_FORGOTTEN,
    LOUDEST_ABOVE_MEAN,
    MEANS_SCALE,
    PAUSE_MEAN,
    RUNNING_MEAN_FRAMES,
    SPEECH_MEAN,
    SPEECH_MEAN_FRAMES,
    CepstralFrontend,
    IncrementalFrontend,
    RunningMean,
    SphinxFrontend,
)
from aligner.formats.textgrid import read_textgrid
from aligner.hmm import AdaptiveChunkProcessor, StreamingHMMProcessor
from aligner.models.store import load_model
from aligner.refine.offsets import correct, corrected_end
from aligner.run import stream as streaming_module
from aligner.run import stream_decoder
from aligner.run.align import align
from aligner.run.stream import StreamAligner, follow, streaming
from aligner.run.stream_decoder import GrowingPhones, TranscriptModel
from aligner.run.stream_events import as_aligned
from aligner.search import band, traceback
from aligner.search.arcs import Arcs, NoPath
from aligner.search.live import LiveSearch
from aligner.search.viterbi import viterbi
from aligner.types import DataError, Interval, ModelError

KITCHEN = SAMPLE / "rms" / "kitchen.flac"
TELLING = Options(refine="offsets")  # boundaries where a stream can tell them at once
TEXT = KITCHEN.with_suffix(".lab").read_text()


@pytest.fixture(scope="module")
def running(model):
    """The model, aligned with offline but normalised as it goes."""
    return streaming(HmmBackend(model=model, options=TELLING, compute=Compute(jobs=1)))


@pytest.fixture(scope="module")
def whole(model):
    """The model, as recordings are aligned that are there from the beginning."""
    return HmmBackend(model=model, options=TELLING, compute=Compute(jobs=1))


def test_the_whole_is_refined_at_the_end(model):
    """What is told stands; the alignment at the end has the boundaries that the sound itself gives."""
    backend = HmmBackend(model=model, compute=Compute(jobs=1))
    utterance = next(u for u in find(SAMPLE).utterances if u.id.endswith("kitchen"))
    [offline] = align([utterance], backend)
    aligner = StreamAligner(utterance.transcript, backend)
    for piece in cut(audio.read(utterance).wave, 1600):
        aligner.hear(piece)
    told = [e for e in aligner.finish() if e.kind == "word"]
    assert not aligner.revised
    assert places(aligner.alignment.phones) == places(offline.phones)
    assert len(aligner.alignment.edges) == len(offline.phones) - 1
    starts = {w.label: w.start for w in offline.words}
    assert 0 < max(abs(e.start - starts[e.label]) for e in told) <= at_most(0.0084)


def places(intervals):
    return [(i.start, i.end, i.label) for i in intervals]


def cut(samples, size):
    return [samples[k : k + size] for k in range(0, len(samples), size)]


def streamed(utterance, size=800, chunk=4, **more):
    """An aligner that has heard all of it, and all events."""
    aligner = StreamAligner(utterance.transcript, options=TELLING, chunk=chunk, **more)
    return aligner, list(follow(cut(audio.read(utterance).wave, size), aligner))


def told_in_the_end(events):
    """The words and phones that were reported, as they were reported last, in their order."""
    held = {"words": [], "phones": []}
    for e in events:
        place = (e.start, e.end, e.label)
        if e.kind == "revised":
            old = next(p for p in held[e.tier] if p[:2] == e.was)
            held[e.tier].remove(old)
            held[e.tier] += [place] if e.start is not None else []
        elif e.kind != "end":
            held[e.tier].append(place)
    return {tier: sorted(found) for tier, found in held.items()}


def to_be_told(running, whole, tier):
    """What is to be told in the end of an utterance that was aligned both ways."""
    found = dict(enumerate(i for i in getattr(running, tier) if i.label))
    return places(as_aligned(found, getattr(whole, tier)).values())


# Features.


@pytest.mark.parametrize("samples", [1, 409, 410, 411, 570, 571, 890, 2001, 6000])
@pytest.mark.parametrize("size", [1, 160, 161, 400, 10000])
@pytest.mark.parametrize(("feat", "cmn"), [("1s_c_d_dd", "running"), ("s2_4x", "running"), ("s2_4x", "none")])
def test_features_of_pieces_are_those_of_the_whole(samples, size, feat, cmn):
    wave = torch.randn(samples, generator=torch.Generator().manual_seed(samples)) * 0.1
    frontend = SphinxFrontend(feat=feat, cmn=cmn, remove_dc=cmn == "none")
    ear = IncrementalFrontend(frontend)
    frames = torch.cat([*(ear.advance(piece) for piece in wave.split(size)), ear.finish()])
    torch.testing.assert_close(frames, frontend(wave), atol=2e-3, rtol=1e-4)


def test_nothing_gives_no_frames():
    ear = IncrementalFrontend(SphinxFrontend(cmn="running"))
    assert ear.advance(torch.empty(0)).shape == ear.finish().shape == (0, 39)


def test_features_come_as_soon_as_they_can():
    """A frame needs its window and the three after it, for the differences; the first ones wait until
    enough was sound.
    """
    frontend = SphinxFrontend(cmn="running")
    ear, told = IncrementalFrontend(frontend), 0
    for k, piece in enumerate(torch.randn(16000).split(10), 1):
        told += len(ear.advance(piece))
        windows = (10 * k - frontend.clock.window) // frontend.clock.hop + 1
        enough = windows >= FRAMES_AHEAD + FRAMES_LEVELLED - 1
        assert told == max(0, windows - 3 if enough else windows - FRAMES_AHEAD - 3)


def test_the_running_mean_is_a_weighted_mean_of_speech_in_general_and_the_frames_so_far():
    numbers = torch.Generator().manual_seed(0)  # of which all frames are sound, one near another that is loud
    cepstra = torch.randn(250, 5, dtype=torch.float64, generator=numbers) / 10
    cepstra[:, 0] += 35
    levels = cepstra[:, 0].unfold(0, FRAMES_LEVELLED, 1).median(1).values
    loudest = [float(levels[0])]
    for level in levels[1:].tolist():
        loudest.append(max(loudest[-1] - LEVEL_FORGOTTEN, level))
    sound = cepstra[FRAMES_LEVELLED - 1 :].numpy()  # none before a level is known
    steps = [1 / min(SPEECH_MEAN_FRAMES + t + 1, RUNNING_MEAN_FRAMES) for t in range(len(sound))]
    mean = RunningMean(5)
    rows = torch.cat([mean.advance(cepstra), mean.finish(cepstra)])
    for t in (40, 79, 80, 249):
        now = t + 2 - FRAMES_LEVELLED
        weights = np.array([steps[i] * np.prod([1 - s for s in steps[i + 1 : now]]) for i in range(now)])
        speech = np.array([0, *np.array(SPEECH_MEAN[1:]) / MEANS_SCALE, 0, 0])
        speech[0] = loudest[now - 1] - LOUDEST_ABOVE_MEAN
        expected = weights @ sound[:now] + (1 - weights.sum()) * speech
        expected[0] = min(expected[0], speech[0])  # where all is as loud, it is in noise
        np.testing.assert_allclose(cepstra[t] - rows[t], expected, atol=1e-9)


@given(st.lists(st.integers(0, 40), max_size=12), st.integers(0, 99))
def test_cepstra_in_pieces_are_normalised_as_the_whole(sizes, seed):
    rng = np.random.default_rng(seed)
    levels = rng.choice([-23.0, 0.0, 3.0, 8.0, 12.0], 12)
    cepstra = torch.from_numpy(np.repeat(levels, 20)[:, None] + rng.standard_normal((240, 4)))
    whole, pieces = RunningMean(4), RunningMean(4)
    expected = torch.cat([whole.advance(cepstra), whole.finish(cepstra)])
    cuts = [*np.minimum(np.cumsum(sizes), 240), 240]
    found = [pieces.advance(cepstra[a:b]) for a, b in itertools.pairwise([0, *cuts])]
    assert torch.equal(torch.cat([*found, pieces.finish(cepstra)]), expected)


def normalised(*levels):
    """The first cepstra of frames of these levels in nats, as a stream hears them."""
    mean, frames = RunningMean(1), torch.tensor([[float(level)] for level in levels])
    return torch.cat([mean.advance(frames), mean.finish(frames)])[:, 0]


VOICE = [*[5] * 8, *[10, 12, 12, 11, 12, 11, 10, 9] * 2] * 5  # nats


@pytest.mark.parametrize("before", [-23.0, -17.0, 0.0, 2.5], ids=["zeros", "drift", "dither", "room"])
@pytest.mark.parametrize("frames", [1, 40, 12000])
def test_what_stands_before_speech_does_not_change_how_it_is_heard(before, frames):
    heard = normalised(*[before] * frames, *[2] * 20, *VOICE)
    plain = normalised(*[2] * 20, *VOICE)
    torch.testing.assert_close(heard[-len(VOICE) :], plain[-len(VOICE) :], atol=0.35, rtol=0)
    assert heard[:frames].max() <= PAUSE_MEAN[0] / MEANS_SCALE + 1  # and all before lies where pauses do


@pytest.mark.parametrize("by", [-12.0, -6.0, 3.0])
def test_speech_that_is_louder_is_heard_alike(by):
    plain = normalised(*[2] * 20, *VOICE)
    torch.testing.assert_close(normalised(*[2 + by] * 20, *[v + by for v in VOICE]), plain, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("pause", "other"),
    [([2] * 50, [2] * 6000), ([2] * 50, [*[2] * 20, 19, 19, 19, *[2] * 27]), ([-23] * 50, [-23] * 6000)],
    ids=["room", "click", "zeros"],
)
def test_a_long_pause_or_a_click_does_not_change_how_speech_is_heard(pause, other):
    plain, found = (normalised(*VOICE, *p, *VOICE)[-len(VOICE) :] for p in (pause, other))
    torch.testing.assert_close(found, plain, atol=0.35, rtol=0)


def test_who_speaks_softer_is_heard_after_a_while():
    found = normalised(*VOICE, *[v - 9 for v in VOICE * 3])[-80:]
    torch.testing.assert_close(found, normalised(*VOICE * 3)[-80:], atol=0.7, rtol=0)


def test_a_mean_once_used_never_changes():
    wave = torch.randn(8000)
    louder = torch.cat([wave, 20 * torch.randn(8000)])
    frontend = SphinxFrontend(cmn="running")
    same = frontend(wave)[:-5]  # the last ones have other differences
    torch.testing.assert_close(frontend(louder)[: len(same)], same, atol=1e-4, rtol=1e-4)


def test_features_of_whole_recordings_are_refused(model):
    for frontend in (SphinxFrontend(), SphinxFrontend(cmn="running", varnorm=True), CepstralFrontend()):
        with pytest.raises(ModelError, match="whole recording"):
            IncrementalFrontend(frontend)
    with pytest.raises(ModelError, match="whole recording"):
        StreamAligner("hello", replace(model, frontend=CepstralFrontend()))
    with pytest.raises(ModelError, match="CTC"):
        StreamAligner("hello", load_model("hama"))


# The search.


def lived(search, parts):
    """All told states at each step, as columns are asked for."""
    told = []
    for part in parts:
        before = search.states.copy()
        columns = search.columns(len(part))
        first, new = search.advance(part[:, columns], columns)
        assert first <= len(before)
        np.testing.assert_array_equal(search.states[:first], before[:first])
        np.testing.assert_array_equal(search.states[first:], new)
        told.append(search.states.copy())
    search.finish()
    return told


@settings(max_examples=80, deadline=None)
@given(
    cases(longest=30, varying=False),
    st.sampled_from([None, 0.5, 5.0]),
    st.sampled_from([None, 3]),
    st.integers(0, 99),
)
def test_live_ends_with_the_path_of_the_offline_search(case, sure, lag, seed):
    arcs, scores, _ = case
    arcs, scores = arcs.of_utterance(0), scores[:1].float()
    arcs = arcs.to(scores)
    # a graph's states are in topological order
    backward = arcs.predecessors > torch.arange(arcs.states)[:, None]
    arcs = arcs._replace(predecessors=torch.where(backward, -1, arcs.predecessors))
    parts = [p for p in pieces(scores[0], np.random.default_rng(seed)) if len(p)]
    try:
        expected = viterbi(arcs, scores, kernel="reference")
    except NoPath:
        with pytest.raises(NoPath):
            lived(LiveSearch(arcs, agreement_beam=sure, lag=lag, revisable=True), parts)
        return
    search = LiveSearch(arcs, agreement_beam=sure, lag=lag, revisable=True)
    told = lived(search, parts)
    assert search.score == pytest.approx(expected.score.item(), abs=1e-4)
    # ties aside
    assert weight(arcs, scores[0], search.states) == pytest.approx(expected.score.item(), abs=1e-3)
    if sure is None and lag is None:  # certain is certain
        for states in told:
            np.testing.assert_array_equal(search.states[: len(states)], states)
    emitted = scores[0].numpy()[np.arange(len(search.states)), arcs.pdf[0].numpy()[search.states]]
    assert search.stray(emitted) >= -1e-3


def weight(arcs, scores, states):
    """Of a path, by hand."""
    total = float(arcs.start[0, states[0]] + arcs.final[0, states[-1]])
    total += sum(float(scores[t, arcs.pdf[0, s]]) for t, s in enumerate(states))
    for a, b in itertools.pairwise(states):
        row = arcs.predecessors[0, b]
        total += max(float(w) for p, w in zip(row, arcs.weights[0, 0, b], strict=True) if p == a)
    return total


@pytest.mark.parametrize("size", [1, 3, 50])
@pytest.mark.parametrize("beam", [None, 200.0])
def test_live_tells_early_and_right(size, beam, monkeypatch):
    monkeypatch.setattr(traceback, "BLOCK_FRAMES", 16)  # many blocks of backpointers
    arcs, (scores, _) = chain(40), speech_like(40, 400)
    search = LiveSearch(arcs, agreement_beam=40.0, beam=beam, revisable=True)
    told = lived(search, scores.split(size))
    expected = viterbi(arcs, scores[None]).states[0].numpy()
    np.testing.assert_array_equal(search.states, expected)
    late = [min(size * k, 400) - len(states) for k, states in enumerate(told, 1)]
    assert np.median(late) <= 6
    for states in told:
        np.testing.assert_array_equal(states, expected[: len(states)])


def test_what_was_told_too_early_is_taken_back():
    """Everything looks like state 1 until the last frames, which only fit who has stayed in state 0."""
    arcs = Arcs.dense(
        torch.tensor([[0.0, 0.0, -torch.inf], [-torch.inf, 0.0, -torch.inf], [-torch.inf] * 3]),
        torch.tensor([0.0, 0.0, -torch.inf]),
    )
    scores = torch.tensor([[0.0, 3.0, 0.0]] * 5 + [[0.0, -99.0, 0.0]])
    search = LiveSearch(arcs, agreement_beam=2.0, revisable=True)
    for frame in scores[:5]:
        search.advance(frame[None])
    assert search.states.tolist() == [1] * 5
    assert search.advance(scores[5:]).first == 0
    assert search.states.tolist() == [0] * 6
    assert search.stray(scores[:, 0].numpy()) == pytest.approx(15.0)


def test_a_lag_is_kept_and_does_not_bind():
    arcs, (scores, _) = chain(20), speech_like(20, 100)
    search = LiveSearch(arcs, lag=5, revisable=True)
    for t, frame in enumerate(scores, 1):
        search.advance(frame[None])
        assert search.reported >= t - 5
    search.finish()
    np.testing.assert_array_equal(search.states, viterbi(arcs, scores[None]).states[0].numpy())


@pytest.mark.parametrize("revisable", [False, True])
def test_only_states_that_may_be_alive_are_scored(revisable):
    search = LiveSearch(chain(1000), beam=10.0, revisable=revisable)
    scores, _ = speech_like(1000, 1500)
    asked = 0
    for frame in scores:
        columns = search.columns(1)
        asked = max(asked, len(columns))
        search.advance(frame[None][:, columns], columns)
    assert asked <= 3 * band.COLUMN_STEP


# Boundaries.

LABELS = st.sampled_from(["AA", "S", "T", "N", "L", ""])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(LABELS, st.integers(1, 12)), min_size=2, max_size=9),
    st.dictionaries(
        st.tuples(*2 * [st.sampled_from(["vowel", "fricative", "stop", "nasal", "silence"])]),
        st.floats(-0.05, 0.05),
    ),
)
def test_boundaries_one_by_one_are_those_of_all(spoken, offsets):
    edges = np.cumsum([0, *(n for _, n in spoken)]) / 100
    phones = [
        Interval(float(a), float(b), label)
        for a, b, (label, _) in zip(edges, edges[1:], spoken, strict=False)
    ]
    phones[-1] = replace(phones[-1], end=phones[-1].end + 9.0)  # so that its end pushes nothing together
    found = [0.0]
    for phone, after in itertools.pairwise(phones):
        found.append(corrected_end(found[-1], phone, after.label, offsets))
    assert found == [p.start for p in correct(phones, offsets)]


# The whole path.


@pytest.mark.parametrize(  # without a size, the size follows what the machine can do
    ("chunk", "delay"), [(1, at_most(0.266)), (7, at_most(0.309)), (None, 0.4)], ids=["1", "7", "adaptive"]
)
def test_the_stream_ends_as_the_whole_is_aligned(running, whole, chunk, delay):
    utterances = find(SAMPLE).utterances
    both, revised = zip(align(utterances, running), align(utterances, whole), strict=True), 0
    for utterance, (offline, aligned) in zip(utterances, both, strict=True):
        aligner, events = streamed(utterance, 160 * (chunk or 1) + 1, chunk)
        assert aligner.finished
        assert (aligner.words, aligner.phones) == (aligned.words, aligned.phones)
        assert aligner.alignment.quality == aligned.quality
        told = [e for e in events if e.kind == "word"]
        assert [(e.start, e.end, e.label) for e in told] == [w for w in places(offline.words) if w[2]]
        for tier, last in told_in_the_end(events).items():
            assert last == to_be_told(offline, aligned, tier)
        revised += aligner.revised
        assert all(e.end <= e.heard for e in told)
        assert np.median([e.heard - e.end for e in told]) <= delay  # seconds of sound; no timing
        assert events[-1].about["delay"]["median"] == pytest.approx(
            np.median([e.delay for e in told]), abs=1e-3
        )
    assert revised <= 1


@pytest.mark.slow
def test_real_speech_is_told_right(running, whole, timit):
    """All 80 sentences: the stream ends as the whole is aligned, and hardly anything is taken back."""
    utterances = find(timit).utterances
    revised = 0
    both = zip(align(utterances, running), align(utterances, whole), strict=True)
    for utterance, (offline, aligned) in zip(utterances, both, strict=True):
        aligner, events = streamed(utterance, 1600, 8)
        assert (aligner.words, aligner.phones) == (aligned.words, aligned.phones), utterance.id
        for tier, told in told_in_the_end(events).items():
            assert told == to_be_told(offline, aligned, tier), utterance.id
        revised += aligner.revised
    assert revised <= 14


@pytest.mark.parametrize("trusted", [streaming_module.TRUSTED_SHORTFALL, -1.0])
def test_long_texts_end_the_same(running, whole, monkeypatch, trusted):
    """With a beam, and searched once more where the path came too near to it."""
    monkeypatch.setattr(stream_decoder, "MOST_UNPRUNED_STATES", 100)
    monkeypatch.setattr(streaming_module, "TRUSTED_SHORTFALL", trusted)
    utterances = find(SAMPLE / "rms").utterances
    wave = np.concatenate([audio.read(u).wave for u in utterances])
    long = replace(utterances[0], audio=wave, transcript=" ".join(u.transcript for u in utterances))
    aligner, events = streamed(long, 1600, 8)
    assert aligner.decoder.pruned
    assert aligner.decoder.live.width < len(aligner.graph.pdf) / 2
    [offline], [aligned] = align([long], running), align([long], whole)
    assert (aligner.words, aligner.phones) == (aligned.words, aligned.phones)
    for tier, told in told_in_the_end(events).items():
        assert told == to_be_told(offline, aligned, tier)


def test_events_add_up_to_the_result_even_where_much_is_taken_back(running, whole, monkeypatch):
    monkeypatch.setattr(stream_decoder, "AGREEMENT_BEAM", 2.0)  # told far too early
    revised = 0
    for utterance in find(SAMPLE / "slt").utterances:
        aligner, events = streamed(utterance, 160, 1)
        [offline], [aligned] = align([utterance], running), align([utterance], whole)
        assert places(aligner.phones) == places(aligned.phones)
        for tier, told in told_in_the_end(events).items():
            assert told == to_be_told(offline, aligned, tier)
        assert aligner.revised == sum(e.kind == "revised" for e in events) == events[-1].about["revised"]
        revised += aligner.revised
    assert revised


def test_what_the_whole_has_far_elsewhere_is_reported_there():
    """What refinement moves is not: it moves nearly everything a little."""
    found = {0: Interval(0.1, 0.3, "so"), 2: Interval(0.3, 0.5, "it"), 3: Interval(0.5, 0.9, "was")}
    aligned = [
        Interval(0.19, 0.3, "so"),
        Interval(0.3, 0.45, "it"),
        Interval(0.45, 0.6, ""),
        Interval(0.61, 1, "was"),
    ]
    assert as_aligned(found, aligned) == {**found, 3: aligned[3]}
    others = [*aligned[:-1], replace(aligned[-1], label="is")]
    assert as_aligned(found, others) == found


def test_words_of_several_spoken_words_are_told_whole(whole):
    utterance = replace(
        find(SAMPLE / "slt").utterances[0],
        transcript=(SAMPLE / "slt" / "numbers.lab").read_text(),
        audio=SAMPLE / "slt" / "numbers.flac",
    )
    aligner, events = streamed(utterance)
    assert max(len(t.spoken) for t in aligner.tokens) > 1
    assert [e.label for e in events if e.kind == "word"] == [t.spelling for t in aligner.tokens]
    [offline] = align([utterance], whole)
    assert places(aligner.words) == places(offline.words)


def test_a_text_that_is_not_finished_is_said_so(running):
    [utterance] = [u for u in find(SAMPLE).utterances if u.id.endswith("kitchen")]
    long = replace(
        utterance, transcript=f"{TEXT} and many other things that nobody ever says in this recording"
    )
    aligner, events = streamed(long)
    assert not aligner.finished
    assert aligner.alignment is None
    [offline] = align([utterance], running)
    known = [w for w in places(aligner.words) if w[2]]
    assert known == [w for w in places(offline.words) if w[2]][: len(known)]
    assert len(known) >= len(TEXT.split()) - 1
    end = events[-1]
    assert (end.kind, end.about["finished"]) == ("end", False)
    assert end.about["words"] == len(known) < end.about["of"]
    for tier in (aligner.words, aligner.phones):
        assert tier[0].start == 0.0
        assert tier[-1].end == aligner.heard
        assert all(a.end == b.start for a, b in itertools.pairwise(tier))


@pytest.mark.parametrize("pause", [0.0, 2.0])
def test_who_stops_in_the_middle_has_not_finished(whole, pause):
    """Cut off within a word, or with a pause behind it; unless told that all is spoken, for sure."""
    [utterance] = [u for u in find(SAMPLE).utterances if u.id.endswith("kitchen")]
    sound, rng = audio.read(utterance).wave[: int(1.9 * 16000)], np.random.default_rng(0)
    faded = sound * np.linspace(1, 0, len(sound)).clip(max=0.01) * 100
    wave = np.concatenate([faded, rng.normal(0, 1e-3, round(16000 * pause))]).astype(np.float32)
    aligner, _ = streamed(replace(utterance, audio=wave))
    assert not aligner.finished
    # of the ninth word half was said
    assert 5 <= len([w for w in aligner.words if w.label]) < len(aligner.tokens)
    complete, _ = streamed(replace(utterance, audio=wave), complete=True)
    assert complete.finished
    [offline] = align([replace(utterance, audio=wave)], whole)
    assert places(complete.words) == places(offline.words)


def test_speech_in_noise_is_not_taken_for_a_pause(whole, timit):
    """Loud parts of a recording are speech even where silence fits them best (or the text is complete for
    sure).
    """
    rng = np.random.default_rng(0)
    finished = 0
    for utterance in find(timit).utterances[:8]:
        wave = audio.read(utterance).wave
        noisy = wave + rng.normal(0, np.sqrt(np.square(wave).mean() / 3), len(wave)).astype(np.float32)
        finished += streamed(replace(utterance, audio=noisy))[0].finished
        sure, _ = streamed(replace(utterance, audio=noisy), complete=True)
        [offline] = align([replace(utterance, audio=noisy)], whole)
        assert places(sure.words) == places(offline.words)
    assert finished >= 7


def test_a_recording_too_short_for_its_text_is_not_finished():
    aligner = StreamAligner(TEXT)
    aligner.hear(np.random.default_rng(0).normal(0, 0.1, 3000).astype(np.float32))
    *_, end = aligner.finish()
    assert not end.about["finished"]


@pytest.mark.parametrize(
    ("samples", "message"),
    [(np.zeros(0), "empty"), (np.zeros(16000), "silent"), (np.full(16000, np.nan), "not numbers")],
)
def test_what_cannot_be_heard_is_said(samples, message):
    aligner = StreamAligner("hello")
    with pytest.raises(DataError, match=message):
        list(follow([samples], aligner))


@pytest.mark.parametrize(("text", "message"), [("", "empty"), ("...", "punctuation")])
def test_a_text_without_words_is_said(text, message):
    with pytest.raises(DataError, match=message):
        StreamAligner(text)


def test_processors_drive_the_acoustic_model(running):
    """The same classes as for the torch modules; their states are those of the offline search."""
    from aligner.backends.base import prepare

    [utterance] = [u for u in find(SAMPLE).utterances if u.id.endswith("kitchen")]
    ready = prepare(utterance, running)
    scores = running.model.score(ready.frames, ready.graph.pdfs)
    expected = viterbi(Arcs.of(ready.graph), scores[None]).states[0]
    spoken = TranscriptModel(running.model, ready.graph)
    for processor in (StreamingHMMProcessor(spoken, chunk_size=5), AdaptiveChunkProcessor(spoken, 0.1)):
        for _ in range(2):
            told = [processor.process_chunk(piece) for piece in ready.frames.split(9)]
            told.append(processor.finish())
            assert torch.equal(torch.cat([t.states for t in told]), expected)
            assert [t.first for t in told] == np.cumsum([0, *(len(t.states) for t in told[:-1])]).tolist()


def test_a_line_of_phones_may_change_at_its_end(running):
    """Grown by any steps, and changed on the way, it has the phones of the path that it ends with."""
    from aligner.backends.base import prepare

    [utterance] = [u for u in find(SAMPLE).utterances if u.id.endswith("kitchen")]
    ready = prepare(utterance, running)
    scores = running.model.score(ready.frames, ready.graph.pdfs)
    good = viterbi(Arcs.of(ready.graph), scores[None]).states[0].numpy()
    other = viterbi(Arcs.of(ready.graph), scores.roll(9, 0)[None]).states[0].numpy()
    line, expected = (GrowingPhones(running, ready.graph, ready.spoken) for _ in range(2))
    expected.grow(good, 0)
    line.grow(good[:100], 0)
    line.grow(np.concatenate([good[:60], other[60:150]]), 60)
    assert line.firsts != expected.firsts[: len(line.firsts)]
    line.grow(good[:170], 60)
    line.grow(good, 170)
    assert (line.firsts, line.edges, line.nodes) == (expected.firsts, expected.edges, expected.nodes)


# Where sound comes from.


@pytest.mark.parametrize(
    ("subtype", "channels"), [("PCM_U8", 1), ("PCM_16", 2), ("PCM_24", 1), ("PCM_32", 2)]
)
def test_wav_from_a_pipe_is_what_soundfile_reads(subtype, channels):
    samples = np.random.default_rng(0).uniform(-0.9, 0.9, (1001, channels))
    file = io.BytesIO()
    soundfile.write(file, samples, 16000, subtype, format="WAV")
    raw = file.getvalue()
    expected, _ = soundfile.read(io.BytesIO(raw), dtype="float32", always_2d=True)
    heard = np.concatenate(list(incoming.of_bytes(Trickle(raw), 8000, 16000, 0.01)))
    np.testing.assert_allclose(heard, expected.mean(1), atol=1e-6)


class Trickle(io.BytesIO):
    """A pipe that gives a few bytes at a time, and cannot seek."""

    def read(self, count=-1):
        return super().read(min(count, 7) if count >= 0 else count)

    def seek(self, *_):
        raise OSError

    tell = seek


def test_raw_samples_from_a_pipe():
    samples = np.random.default_rng(0).integers(-(2**15), 2**15, 1000).astype("<i2")
    raw = samples.tobytes() + b"\1"  # half a sample at the end
    heard = list(incoming.of_bytes(Trickle(raw), 16000, 16000, 0.01))
    assert {len(piece) for piece in heard[:-1]} == {160}
    np.testing.assert_array_equal(np.concatenate(heard), samples / np.float32(2**15))
    assert list(incoming.of_bytes(Trickle(b""), 16000, 16000, 0.01)) == []


def test_a_broken_wav_header_is_said():
    with pytest.raises(DataError, match="WAV header"):
        list(incoming.of_bytes(io.BytesIO(b"RIFF1234AVI nonsense"), 16000, 16000, 0.01))


def test_another_rate_is_resampled_as_a_whole(tmp_path):
    samples = np.random.default_rng(0).normal(0, 0.1, (44100, 2)).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", samples, 44100, "FLOAT")
    heard = np.concatenate(list(incoming.of_file(tmp_path / "a.wav", 16000, 0.01)))
    import librosa

    whole = librosa.resample(samples.mean(1), orig_sr=44100, target_sr=16000, res_type="soxr_hq")
    assert len(heard) == len(whole)
    np.testing.assert_allclose(heard, whole, atol=1e-4)


def test_files_that_cannot_be_heard_are_said(tmp_path):
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.wav").write_text("not sound")
    for name, message in (
        ("none.wav", "not there"),
        ("empty.wav", "0 bytes"),
        ("text.wav", "cannot be read"),
    ):
        with pytest.raises(DataError, match=message):
            incoming.of_file(tmp_path / name, 16000, 0.01)


def test_the_pace_is_that_of_the_clock():
    now = [100.0]

    def sleep(seconds):
        now[0] += seconds

    came = []
    pieces = iter(np.zeros((5, 1600), np.float32))
    for piece in incoming.paced(pieces, 16000, clock=lambda: now[0], sleep=sleep):
        assert len(piece) == 1600
        came.append(now[0] - 100.0)
        now[0] += 0.25 if len(came) == 2 else 0.0  # what comes meanwhile waits, and is caught up with
    assert came == pytest.approx([0.1, 0.2, 0.45, 0.45, 0.5])


def test_an_interruption_ends_the_input_and_no_work():
    done = []
    before = signal.getsignal(signal.SIGINT)
    for k in incoming.until_interrupted(iter(range(10))):
        if k == 3:
            os.kill(os.getpid(), signal.SIGINT)
        done.append(k)
    assert done == [0, 1, 2, 3]

    def waiting():
        yield 0
        os.kill(os.getpid(), signal.SIGINT)
        signal.pause()
        yield 1

    assert list(incoming.until_interrupted(waiting())) == [0]
    assert signal.getsignal(signal.SIGINT) is before


# The command.


def call(*arguments, **more):
    return CliRunner().invoke(main, ["stream", *map(str, arguments)], **more)


def test_the_command_tells_and_writes(tmp_path, running, model):
    grid = tmp_path / "k.TextGrid"
    done = call(KITCHEN.with_suffix(".lab"), KITCHEN, "--json", "--chunk", 10, "--textgrid", grid)
    assert done.exit_code == 0, done.output
    events = [json.loads(line) for line in done.stdout.splitlines()]
    [offline] = align([u for u in find(SAMPLE).utterances if u.id.endswith("kitchen")], running)
    told = [(e["start"], e["end"], e["label"]) for e in events if e["event"] == "word"]
    assert told == [w for w in places(offline.words) if w[2]]
    assert [e["heard"] for e in events] == sorted(e["heard"] for e in events)
    assert events[-1]["event"] == "end"
    assert events[-1]["finished"]
    tiers = dict(read_textgrid(grid))
    [refined] = align(
        [u for u in find(SAMPLE).utterances if u.id.endswith("kitchen")],
        HmmBackend(model=model, compute=Compute(jobs=1)),
    )
    assert [p for p in places(tiers["phones"]) if p[2]] == [p for p in places(refined.phones) if p[2]]
    again = call(TEXT, KITCHEN, "--textgrid", grid)
    assert (again.exit_code, "exists" in again.output) == (2, True)
    seen = call(TEXT, KITCHEN, "--textgrid", grid, "--overwrite")
    assert seen.exit_code == 0
    assert all(word in seen.output for word in TEXT.replace(".", "").split())


@pytest.mark.parametrize("header", [True, False])
def test_the_command_hears_the_standard_input(header):
    samples, rate = soundfile.read(KITCHEN, dtype="int16")
    file = io.BytesIO()
    with wave_module.open(file, "wb") as out:
        out.setparams((1, 2, rate, 0, "NONE", ""))
        out.writeframes(samples.tobytes())
    from_pipe = call(
        TEXT, "-", "--json", "--chunk", 50, input=file.getvalue() if header else samples.tobytes()
    )
    from_file = call(TEXT, KITCHEN, "--json", "--chunk", 50)

    def told(done):
        return [
            (e["event"], e["start"], e["end"], e["label"]) for e in map(json.loads, done.stdout.splitlines())
        ]

    assert told(from_pipe) == told(from_file)


def test_other_rates_and_channels_are_heard(tmp_path):
    samples, rate = soundfile.read(KITCHEN)
    import librosa

    wide = librosa.resample(samples, orig_sr=rate, target_sr=44100)
    soundfile.write(tmp_path / "k.wav", np.stack([wide, wide], 1), 44100)
    ends = [
        [
            e["end"]
            for e in map(json.loads, call(TEXT, path, "--json").stdout.splitlines())
            if e["event"] == "word"
        ]
        for path in (KITCHEN, tmp_path / "k.wav")
    ]
    np.testing.assert_allclose(*ends, atol=0.021)


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("hello",), 2, "name a FILE"),
        (("hello", KITCHEN, "--mic"), 2, "name a FILE"),
        (("hello", KITCHEN, "--chunk", 10, "--latency", 20), 2, "exclude"),
        (("hello", "-", "--realtime"), 2, "own pace"),
        (("hello", "none.wav"), 2, "not there"),
        (("none.txt", KITCHEN), 2, "the text is not there"),
        (("...", KITCHEN), 2, "punctuation"),
        (("hello", KITCHEN, "-d", "none.dict"), 2, "none.dict"),
        (("hello", KITCHEN, "-m", "hama"), 2, "CTC"),
        (("xyzzyq", KITCHEN, "--no-g2p"), 2, "xyzzyq"),
        (("hello", KITCHEN, "-l", "sw"), 2, "English"),
        ((f"{TEXT} and much more that is never said at all", KITCHEN), 1, "not spoken to its end"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(arguments, status, message):
    done = call(*arguments)
    assert done.exit_code == status, done.output
    assert message in done.stderr.splitlines()[-1]


def test_silence_fails(tmp_path):
    soundfile.write(tmp_path / "s.wav", np.zeros(16000), 16000)
    done = call("hello", tmp_path / "s.wav")
    assert (done.exit_code, "silent" in done.stderr) == (1, True)


def test_no_microphone_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    done = call("hello", "--mic")
    assert done.exit_code == 2
    assert "aligner[mic]" in done.stderr


def test_the_microphone_is_heard_until_ctrl_c(monkeypatch):
    """A stand-in for sounddevice plays the sentence into the callback, then presses Ctrl-C."""
    samples, _ = soundfile.read(KITCHEN, dtype="float32")

    class Line:
        def __init__(self, samplerate, channels, dtype, blocksize, callback):
            assert (samplerate, channels, dtype) == (16000, 1, "float32")
            self.size, self.callback = blocksize, callback

        def __enter__(self):
            for piece in cut(samples, self.size):
                self.callback(piece[:, None], len(piece), None, None)
            self.callback = None
            return self

        def __exit__(self, *_):
            pass

    fake = types.SimpleNamespace(InputStream=Line, PortAudioError=OSError)
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    drawn = incoming.pieces_of_line

    def pressed(line, heard):
        for piece in drawn(line, heard):
            yield piece
            if heard.empty():
                os.kill(os.getpid(), signal.SIGINT)
                signal.pause()

    monkeypatch.setattr(incoming, "pieces_of_line", pressed)
    done = call(TEXT, "--mic", "--json")
    assert done.exit_code == 0, done.output
    assert sum(json.loads(line)["event"] == "word" for line in done.stdout.splitlines()) == len(TEXT.split())
