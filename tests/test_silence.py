"""Boundaries do not move, and nothing is flagged, where sound that says nothing is put around speech."""

from __future__ import annotations

import sys
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.places import ROOT

from aligner import Alignment, Failure, Options, StreamAligner, align
from aligner.backends.choose import chosen
from aligner.corpus.cuts import Cut, Cuts
from aligner.corpus.dead import Lively, hush, hushed, lively
from aligner.corpus.margins import MARGIN, with_margins
from aligner.features import SphinxFrontend, sounding
from aligner.types import SAMPLE_RATE, Edge, Fault, Interval, Utterance

sys.path.insert(0, str(ROOT / "recipes" / "benchmark"))
import silence as recipe

BACKENDS = ("hmm", "ctc", "ctc+hmm", "dtw")
# share of boundaries (%) that may move by more than 5 ms: a sentence that ends right where its file does has
# no pause there until one is put in
EXACT = (
    "zeros 0.5", "zeros 2", "zeros 3.3", "zeros 30", "zeros before 5", "zeros behind 5", "dither 2",
    "constant 2", "great constant 2", "float", "on a great constant", "drift 2",
    "tone 2",
)  # fmt: skip
NEARLY = {"room 0.5": 1.0, "room 10": 0.5, "cut 2": 1.0, "gate -50": 0.0, "gate -40": 0.7, "hum 2": 1.0}


def voice(seconds: float, seed: int = 0) -> np.ndarray:
    """Bursts of noise over a floor that is 40 dB softer."""
    noise = np.random.default_rng(seed).standard_normal(round(seconds * SAMPLE_RATE))
    return noise * np.where(np.sin(np.arange(len(noise)) / 2000) > 0, 0.1, 0.001)


@given(
    before=st.floats(0.3, 3), behind=st.floats(0.3, 3), level=st.sampled_from([0.0, 0.01, -0.4]),
    by=st.sampled_from([0.1, 1.0, 5.0]),
)  # fmt: skip
def test_what_is_put_around_is_cut_out_to_the_sample(before, behind, level, by):
    wave = np.concatenate([np.full(3200, 0.0), voice(1.0)])[3200:] * by
    wave[:1600] *= 0.01  # speech does not begin at once
    wave[-1600:] *= 0.01
    left, right = (round(s * SAMPLE_RATE) for s in (before, behind))
    found = lively(np.concatenate([np.full(left, level), wave, np.full(right, level)]), SAMPLE_RATE)
    assert np.array_equal(found.samples, wave)
    assert [round(part.seconds * SAMPLE_RATE) for part in found.cuts.parts] == [left, right]


def test_sound_without_dead_parts_stays_as_it_is():
    wave = voice(2.0)
    assert lively(wave, SAMPLE_RATE).samples is wave


def test_what_is_much_softer_than_the_speech_around_it_is_hushed():
    near, far = voice(3.0), voice(3.0, seed=1) * 10 ** (-20 / 20)  # two people, and where they are silent
    rests = hush(np.concatenate([near, np.zeros(8000), far]), SAMPLE_RATE)
    quiet = np.zeros(len(near) + 8000 + len(far), bool)
    for first, last in rests:
        quiet[first:last] = True
    silent = np.sin(np.arange(len(near)) / 2000) <= 0
    for speech in (quiet[: len(near)], quiet[-len(far) :]):
        assert speech[~silent].mean() < 0.02
        assert speech[silent].mean() > 0.95


def test_a_click_or_what_is_short_is_not_hushed():
    wave = voice(2.0)
    wave[:20] = 0.9  # a click is not the loud that the rest is compared with
    assert (
        hush(wave, SAMPLE_RATE).tolist()
        == hush(np.where(np.arange(len(wave)) < 20, 0, wave), SAMPLE_RATE).tolist()
    )
    steady = 0.1 * np.random.default_rng(0).standard_normal(SAMPLE_RATE)
    steady[4000:4640] = 0  # 40 ms, as of a stop
    assert not len(hush(steady, SAMPLE_RATE))
    assert hushed(steady, SAMPLE_RATE) is steady


@pytest.mark.parametrize("offset", [-0.3, 0.05, 0.2])
def test_a_constant_under_all_sound_is_taken_out(offset):
    wave = voice(2.0)
    wave -= wave.mean()
    heard = lively(np.concatenate([np.zeros(8000), wave + offset]), SAMPLE_RATE).samples
    np.testing.assert_allclose(heard[-len(wave) :], wave, atol=1e-9)


def test_a_small_offset_stays():
    wave = voice(2.0) + 0.002
    assert lively(wave, SAMPLE_RATE).samples is wave


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
@pytest.mark.parametrize("hertz", [0.05, 0.3, 1.0])
def test_a_drift_that_nobody_hears_is_dead(hertz, rate):
    wave = np.resize(voice(1.0), rate)
    drift = 0.3 * np.sin(2 * np.pi * hertz * np.arange(3 * rate) / rate + 0.2)
    found = lively(np.concatenate([drift, wave, drift[: 2 * rate + 7]]), rate)
    removed = [part.seconds for part in found.cuts.parts]
    assert removed == pytest.approx([3.0, 2.0], abs=0.12)


@pytest.mark.parametrize("hertz", [50, 440, 3000])
@pytest.mark.parametrize("step", [0.0, 2.0**-15])
def test_a_soft_tone_is_dead(hertz, step):
    tone = 3e-4 * np.sin(2 * np.pi * hertz * np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE)
    wave = np.concatenate([tone, voice(1.0), tone])
    found = lively(np.round(wave / step) * step if step else wave, SAMPLE_RATE)
    assert [part.seconds for part in found.cuts.parts] == pytest.approx([1.95, 1.95], abs=0.07)


def room(seconds: float, seed: int = 3) -> np.ndarray:
    """Noise as loud as the floor of a `voice`."""
    return 0.001 * np.random.default_rng(seed).standard_normal(round(seconds * SAMPLE_RATE))


@pytest.mark.parametrize("seconds", [0, 0.1, 0.5, 2, 60])
@pytest.mark.parametrize("zeros", [0.0, 3.0])
def test_as_much_of_an_empty_room_is_heard_at_both_ends(seconds, zeros):
    around = np.concatenate([np.zeros(round(zeros * SAMPLE_RATE)), room(seconds)])
    speech = voice(1.0)  # begins and ends in a burst
    wave = np.concatenate([around, speech, around[::-1]])
    found = with_margins(lively(wave, SAMPLE_RATE), SAMPLE_RATE)
    first = round(found.cuts.parts[0].seconds * SAMPLE_RATE) if zeros else 0
    first += round(found.cuts.head * SAMPLE_RATE)
    at = len(around) - first  # where the speech begins in what is heard
    assert at / SAMPLE_RATE == pytest.approx(MARGIN, abs=0.045)
    assert np.array_equal(found.samples[at : at + len(speech)], speech)
    assert (len(found.samples) - at - len(speech)) / SAMPLE_RATE == pytest.approx(MARGIN, abs=0.045)
    assert found.cuts.seconds == pytest.approx((len(wave) - len(found.samples)) / SAMPLE_RATE)
    assert 20 * np.log10(found.samples[:at].std()) == pytest.approx(-60, abs=3)
    if not zeros:
        assert first % round(0.02 * SAMPLE_RATE) == 0


def test_margins_of_a_recording_do_not_depend_on_its_room():
    speech = np.concatenate([room(0.3, 1), voice(2.0), room(0.3, 2)])
    whole = np.concatenate([room(5.0, 4), speech, room(5.0, 5)])
    short, long = (with_margins(Lively.whole(w), SAMPLE_RATE) for w in (speech, whole))
    assert np.array_equal(short.samples, long.samples)
    assert long.cuts.head - short.cuts.head == pytest.approx(5.0)


def test_a_loud_room_stays():
    noisy = 50 * room(5.0) + np.pad(voice(1.0), (4 * SAMPLE_RATE, 0))
    heard = Lively.whole(noisy)
    assert with_margins(heard, SAMPLE_RATE) is heard


def test_what_is_heard_in_a_room_stays():
    soft, wave = room(4.0), voice(1.0)
    soft[16000:17600] *= 10
    assert with_margins(Lively.whole(np.concatenate([soft, wave])), SAMPLE_RATE).cuts.head < 1.0


def test_no_phone_is_said_where_background_was_put_on():
    phones = [
        Interval(0.0, 0.05, ""),
        Interval(0.05, 0.1, "AA"),
        Interval(0.1, 0.5, "T"),
        Interval(0.5, 1.0, "AH"),
    ]
    cuts = Cuts(head=-0.2, tail=-0.3)
    inside = cuts.confined(phones, 0.03)
    assert [(p.start, p.end) for p in inside] == [(0.0, 0.2), (0.2, 0.23), (0.23, 0.5), (0.5, 1.0)]
    tier = cuts.restored(inside).tier(inside)
    assert [(p.start, p.end, p.label) for p in tier] == [
        (0.0, 0.03, "AA"), (0.03, 0.3, "T"), (0.3, 0.5, "AH")
    ]  # fmt: skip
    assert cuts.heard(np.array([0.0, 0.3])) == pytest.approx([0.2, 0.5])


def test_a_transcript_that_does_not_fit_is_said_though_margins_were_put_on(speech):
    wave, text = speech[0]
    [failure] = align([Utterance("a", wave[6400:9600].astype(np.float32), text)], None, Options())
    assert isinstance(failure, Failure)
    assert failure.fault is Fault.TOO_SHORT


def test_noise_as_soft_as_a_tone_and_a_louder_tone_are_sound():
    soft = 1e-3 * np.random.default_rng(2).standard_normal(2 * SAMPLE_RATE)
    wave = np.concatenate([soft, voice(1.0), soft])
    assert lively(wave, SAMPLE_RATE, cut=False).samples is wave
    tone = 0.02 * np.sin(np.arange(2 * SAMPLE_RATE))
    wave = np.concatenate([tone, voice(1.0), tone])
    assert lively(wave, SAMPLE_RATE, cut=False).samples is wave


def test_hum_is_no_drift():
    hum = 0.01 * np.sin(2 * np.pi * 50 * np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE)
    wave = np.concatenate([hum, voice(1.0), hum]) + 1e-4 * voice(5.0)
    assert lively(wave, SAMPLE_RATE, cut=False).samples is wave


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 96000])
def test_a_rest_is_filled_with_the_background(rate):
    wave = np.resize(voice(2.0), 2 * rate)
    wave[rate // 2 : rate // 2 + rate // 5] = 0.0
    found = lively(wave, rate)
    assert len(found.samples) == len(wave)
    filled = found.samples[rate // 2 + rate // 50 : rate // 2 + rate // 5 - rate // 50]
    assert 20 * np.log10(filled.std()) == pytest.approx(-60, abs=6)
    assert len(lively(np.zeros(rate), rate).stretches) == 0


@given(st.lists(st.tuples(st.floats(0.1, 50), st.floats(0.05, 0.4), st.floats(0.05, 0.5)), max_size=5))
def test_tiers_tile_the_recording_again(parts):
    """Rests and phones take turns; each rest was longer."""
    phones, cuts, now = [Interval(0.0, 0.2, "AA")], [], 0.2
    for removed, rest, spoken in parts:
        cuts.append(Cut(removed, now, now + rest))
        phones += [Interval(now, now + rest, ""), Interval(now + rest, now + rest + spoken, "T")]
        now = phones[-1].end
    restored = Cuts(tuple(cuts)).restored(phones)
    tier = restored.tier(phones)
    assert [p.label for p in tier] == [p.label for p in phones]
    assert tier[0].start == 0.0
    assert tier[-1].end == pytest.approx(now + sum(p[0] for p in parts), abs=1e-3)
    assert all(a.end == b.start for a, b in pairwise(tier))
    for was, found in zip(phones, tier, strict=True):
        if was.label:
            assert found.duration == pytest.approx(was.duration, abs=1e-4)
    heard = Cuts(tuple(cuts)).heard(np.array([p.start for p in tier]))
    assert heard == pytest.approx([p.start for p in phones], abs=1e-3)


def test_where_nobody_is_silent_a_silence_is_put_in():
    phones = [Interval(0.0, 0.5, "AA"), Interval(0.5, 1.0, "T")]
    cuts = Cuts((Cut(2.0, 0.0, 0.0), Cut(3.0, 0.4, 0.6), Cut(1.0, 1.0, 1.0)))
    restored = cuts.restored(phones)
    tier = restored.tier(phones)
    assert [(p.start, p.end, p.label) for p in tier] == [
        (0.0, 2.0, ""), (2.0, 2.5, "AA"), (2.5, 5.5, ""), (5.5, 6.0, "T"), (6.0, 7.0, "")
    ]  # fmt: skip
    edges = restored.edges([Edge(0.5, 0.49, 0.52)], phones)
    assert [e.time for e in edges] == [p.start for p in tier[1:]]
    assert (edges[2].low, edges[2].high) == (5.49, 5.52)


def test_normalisation_does_not_count_how_long_nobody_speaks():
    level = np.concatenate([np.zeros(20), np.full(50, 9.0), np.zeros(20)])
    short, long = torch.from_numpy(level), torch.from_numpy(np.pad(level, 5000))
    assert int(sounding(short, 100).sum()) == int(sounding(long, 100).sum()) == 80


def test_dead_sound_does_not_enter_a_running_mean():
    frontend = SphinxFrontend(cmn="running")
    speech = torch.from_numpy(voice(1.0)).float()
    after = frontend(torch.cat([torch.zeros(32000), speech]))
    torch.testing.assert_close(after[206:, :13], frontend(speech)[6:, :13], atol=0.3, rtol=0)


@pytest.fixture(scope="module")
def speech(timit):
    return recipe.sentences(timit, 8)


@pytest.fixture(scope="module", params=BACKENDS)
def plain(request, speech):
    if request.param == "dtw":
        pytest.importorskip(
            "espeakng_loader", reason="eSpeak NG is not installed: pip install 'aligner[dtw]'"
        )
    backend = chosen(None, Options(backend=request.param))
    utterances = [Utterance(str(k), w.astype(np.float32), text) for k, (w, text) in enumerate(speech)]
    return backend, list(align(utterances, backend))


def moved(speech, plain, kind) -> np.ndarray:
    """How far all boundaries have moved, in ms; nothing may fail or be flagged newly."""
    backend, base = plain
    draw = np.random.default_rng(0)
    changed = [recipe.KINDS[kind](wave, was, draw) for (wave, _), was in zip(speech, base, strict=True)]
    utterances = [
        Utterance(str(k), c.wave.astype(np.float32), speech[k][1], rate=c.rate) for k, c in enumerate(changed)
    ]
    moves = []
    for was, now, change in zip(base, align(utterances, backend), changed, strict=True):
        assert isinstance(now, Alignment), now
        assert (was.status, now.status) != ("ok", "suspect"), now.suspicions
        assert now.phones[-1].end == pytest.approx(len(change.wave) / change.rate, abs=1e-4)
        found = recipe.moves(was, now, change)
        assert found is not None
        moves.append(found)
    return 1000 * np.concatenate(moves)


@pytest.mark.parametrize("kind", EXACT)
def test_dead_sound_moves_nothing(speech, plain, kind):
    moves = moved(speech, plain, kind)
    assert np.median(moves) <= 0.02
    assert moves.max() <= 5.0


@pytest.mark.parametrize("kind", NEARLY)
def test_other_silence_moves_hardly_anything(speech, plain, kind):
    moves = moved(speech, plain, kind)
    assert np.median(moves) <= 0.2
    # a network hears all of a recording at once, at the level it has; dtw warps a synthesiser's pauses
    most = NEARLY[kind] * {"ctc": 2, "dtw": 2}.get(plain[0].traits.name, 1)
    assert 100 * (moves > 5).mean() <= most


@pytest.mark.slow
def test_minutes_of_zeros_move_nothing(speech, plain):
    assert moved(speech[:2], (plain[0], plain[1][:2]), "zeros 130").max() <= 5.0


@pytest.mark.parametrize(
    ("kind", "told_far", "far"),
    [
        ("zeros 2", 2.5, 0.0), ("dither 2", 8.0, 0.0), ("room 2", 4.0, 2.0), ("drift 2", 2.5, 0.0),
        ("tone 2", 8.5, 0.0), ("great constant 2", 2.5, 0.0), ("on a constant", 2.5, 0.0),
        ("louder", 0.5, 0.0), ("softer", 0.5, 0.0),
    ],
)  # fmt: skip
def test_a_stream_does_not_change_with_what_is_around_speech(speech, streamed, kind, told_far, far):
    """At most these shares (%) of the edges of words that are told, and in the end, move by over 5 ms."""
    changes = {
        **recipe.KINDS,
        "louder": lambda wave, *_: recipe.Changed(wave=wave * 2),
        "softer": lambda wave, *_: recipe.Changed(wave=wave * 0.01),
    }
    draw, told, ended = np.random.default_rng(0), [], []
    for (wave, text), (words, was) in zip(speech, streamed, strict=True):
        changed = changes[kind](wave, was, draw)
        later, now = _streamed(changed.wave, text)
        assert now.status == was.status
        for found, (old, new) in ((told, (words, later)), (ended, (was.words, now.words))):
            pairs = zip([w for w in old if w.label], [w for w in new if w.label], strict=True)
            found += [
                (b.start - changed.moved(a.start), b.end - changed.moved(a.end - 1e-6)) for a, b in pairs
            ]
    told, ended = (1000 * np.abs(np.array(found)).ravel() for found in (told, ended))
    assert np.median(told) <= 0.01
    assert 100 * (told > 5.01).mean() <= told_far
    assert np.median(ended) <= 0.2
    assert 100 * (ended > 5.01).mean() <= far


@pytest.fixture(scope="module")
def streamed(speech):
    return [_streamed(*one) for one in speech]


def _streamed(wave: np.ndarray, text: str) -> tuple[list[Interval], Alignment]:
    """The words that are told while a stream comes in, and its alignment in the end."""
    aligner = StreamAligner(text, complete=True, chunk=8)
    pieces = np.array_split(wave.astype(np.float32), len(wave) // 1600)
    events = [e for piece in pieces for e in aligner.hear(piece)] + aligner.finish()
    assert aligner.alignment is not None
    told = [Interval(e.start, e.end, e.label) for e in events if e.kind == "word"]
    return told, aligner.alignment
