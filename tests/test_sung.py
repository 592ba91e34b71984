"""Songs: held notes are left out before they are heard and put back behind, and no phone lasts for ever."""

from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from support.places import SAMPLE

from aligner import Alignment, Options, Utterance, align
from aligner.backends.held import _holds
from aligner.corpus.audio import read
from aligner.corpus.sustained import NOTHING_HELD, Piece, Sustained, shortened
from aligner.refine.confidence import Evidence
from aligner.refine.suspect import Solved, measure, suspicions
from aligner.refine.thresholds import SPOKEN, SUNG, Test
from aligner.types import SILENCE_LABEL, STAR_LABEL, Clock, Edge, Interval

RATE = 16_000
HELD = 4.0  # s
MUSIC = 3.0  # s at either end
LINE = SAMPLE / "rms" / "kitchen"  # There is a pot of soup on the kitchen table.
DRAWN_OUT = {"uw": 233.0, "ey": 175.0}  # the vowels of `soup` and `table`, and the notes in Hz


def labels():
    rows = [line.split() for line in LINE.with_suffix(".phn").read_text().splitlines()]
    return [(int(a) / RATE, int(b) / RATE, phone) for a, b, phone in rows]


@cache
def spoken():
    wave = read(Utterance("line", LINE.with_suffix(".flac"), "")).wave
    [alignment] = align([Utterance("line", wave, LINE.with_suffix(".lab").read_text())])
    return wave, alignment


@cache
def song():
    """A line with two vowels of `HELD` seconds on notes, with chords before and behind; and from its times
    when it was spoken to those of the song.
    """
    world = pytest.importorskip("pyworld")
    wave = spoken()[0].astype(np.float64)
    old, new = [0.0], [0.0]
    notes = np.full(len(wave) // 80 + 1, np.nan)
    for begin, end, phone in labels():
        if phone in DRAWN_OUT:
            edge = (end - begin) / 3
            old += [begin + edge, end - edge]
            new += [new[-1] + old[-2] - old[-3], new[-1] + old[-2] - old[-3] + HELD]
            notes[round(begin * 200) : round(end * 200)] = DRAWN_OUT[phone]
    old.append(len(wave) / RATE)
    new.append(new[-1] + old[-1] - old[-2])
    f0, times = world.harvest(wave, RATE)
    envelope, noise = world.cheaptrick(wave, f0, times, RATE), world.d4c(wave, f0, times, RATE)
    wide = np.arange(0, new[-1], 0.005)
    frames = np.minimum((np.interp(wide, new, old) * 200).round().astype(int), len(f0) - 1)
    pitch = np.where(np.isnan(notes[frames]), f0[frames], notes[frames]) * (f0[frames] > 0)
    sung = world.synthesize(pitch, envelope[frames], noise[frames], RATE)
    rng, music = np.random.default_rng(3), np.zeros(round(MUSIC * RATE))
    at = np.arange(len(music) // 6) / RATE
    for k in range(6):  # chords that are struck twice a second
        tones = 2 ** (rng.choice([0, 2, 4, 5, 7, 9, 11], 3, replace=False) / 12) * 220
        chord = sum(np.sin(2 * np.pi * t * n * at) / n for t in tones for n in (1, 2, 3))
        music[k * len(at) : (k + 1) * len(at)] = 0.03 * chord * np.exp(-3 * at)
    whole = np.concatenate([music, sung, music]).astype(np.float32)
    return whole, lambda t: MUSIC + float(np.interp(t, old, new))


def edges(alignment):
    words = [w for w in alignment.words if w.label not in (SILENCE_LABEL, STAR_LABEL)]
    return [w.label for w in words], np.array([(w.start, w.end) for w in words])


@pytest.mark.parametrize("backend", ["hmm", "ctc", "dtw"])
def test_vowels_of_four_seconds_move_no_word(backend):
    wave, time = song()
    text = LINE.with_suffix(".lab").read_text()
    options = Options(backend=backend, sung=True)
    [found] = align([Utterance("song", wave, text)], options=options)
    assert isinstance(found, Alignment)
    names, at = edges(spoken()[1])
    heard, placed = edges(found)
    assert heard == names
    expected = np.vectorize(time)(at)
    assert np.abs(placed - expected).max() < 0.1
    longest = max(found.phones, key=lambda p: p.duration * (p.label not in (SILENCE_LABEL, "spn")))
    assert longest.duration == pytest.approx(HELD, abs=0.25)
    for tier in (found.words, found.phones):
        assert all(a.end == b.start for a, b in pairwise(tier))
        assert (tier[0].start, tier[-1].end) == (0.0, found.duration)
    starts = {p.start for p in found.phones[1:]}
    assert {e.time for e in found.edges} <= starts
    assert all(e.low <= e.time <= e.high for e in found.edges)
    assert not {Test.LONG_PHONE, Test.LONG_WORD, Test.UNTRANSCRIBED} & {s.test for s in found.suspicions}


def test_without_being_told_it_is_suspect():
    wave, _ = song()
    [found] = align([Utterance("song", wave, LINE.with_suffix(".lab").read_text())])
    assert found.status == "suspect"
    assert any("--sung" in s.text and "--star" in s.text for s in found.suspicions)


@pytest.mark.parametrize("path", sorted(SAMPLE.rglob("*.flac")), ids=lambda path: path.stem)
def test_speech_has_no_held_notes(path):
    wave = read(Utterance("line", path, "")).wave
    assert shortened(wave, RATE) == (wave, NOTHING_HELD)


def test_what_is_left_out_is_what_is_missing():
    wave, _ = song()
    short, held = shortened(wave, RATE, 2.0)
    assert len(short) / RATE + held.seconds == pytest.approx(len(wave) / RATE)
    assert held.seconds > 2 * HELD - 1.5
    tier = held.tier([Interval(2.0, 2.5, "a"), Interval(2.5, 2.0 + len(short) / RATE, "b")])
    assert tier[0].end == tier[1].start
    assert tier[1].end == pytest.approx(2.0 + len(wave) / RATE, abs=1e-4)
    # what stays is the sound of the time that it has
    k = int(np.argmax(np.abs(short)))
    there = round((held.time(2.0 + k / RATE) - 2.0) * RATE)
    assert short[k] == pytest.approx(wave[there], abs=1e-6)


HELD_IN = Sustained((Piece(0.5, 2.0), Piece(0.56, 2.0)))


@pytest.mark.parametrize(
    ("labels", "middle", "ends"),
    [
        (("IY", "T"), 0.50, (0.6, 0.9)),  # no stop holds a note
        (("IY", "T"), 0.42, (0.6, 0.9)),  # nor where the vowel ends just before
        (("M", "IY"), 0.58, (0.46, 0.9)),
        (("IY", "AE"), 0.51, (0.46, 0.9)),  # of two vowels the one that has more of it
        (("IY", "AE"), 0.57, (0.6, 0.9)),
        (("IY", "AE"), 0.2, (0.2, 0.9)),
    ],
)
def test_a_note_goes_with_the_phone_that_can_hold_it(labels, middle, ends):
    path = [Interval(0.0, middle, labels[0]), Interval(middle, 0.9, labels[1])]
    found = HELD_IN.confined(path, 0.03, _holds)
    assert tuple(p.end for p in found) == pytest.approx(ends)


def test_phones_that_are_pushed_aside_keep_their_least():
    path = [Interval(k / 10, (k + 1) / 10, "IY" if k == 2 else "T") for k in range(9)]
    found = HELD_IN.confined(path, 0.03, _holds)
    assert [p.start for p in found[1:]] == [p.end for p in found[:-1]]
    assert min(p.duration for p in found) > 0.0299


def test_edges_keep_around_their_boundary():
    [edge] = Sustained((Piece(1.0, 3.0),)).edges([Edge(1.1, 0.9, 1.2)])
    assert edge == Edge(4.1, 0.9, 4.2)


def solved(label, seconds, limits):
    """A path of two phones, the first of which lasts so long, though little of it was heard."""
    phones = [Interval(0.0, 0.3, label), Interval(0.3, 0.5, "S")]
    return Solved(
        words=[Interval(0.0, 0.5, "so")],
        phones=phones,
        firsts=[0, 30],
        evidence=Evidence(*np.full((4, 50), [[0.0], [0.5], [0.0], [0.0]])),
        levels=np.full(50, 0.01),
        clock=Clock(160, 160),
        shortest=0.03,
        sustained=Sustained((Piece(0.1, seconds - 0.3),)),
        longest=limits,
    )


@pytest.mark.parametrize("limits", [SPOKEN, SUNG], ids=["spoken", "sung"])
@pytest.mark.parametrize("label", ["AA", "N", "S", "T", "ɑː", "ɲ", "q1"])
def test_a_phone_of_42_seconds_is_never_right(label, limits):
    s = solved(label, 42.0, limits)
    [found] = [x for x in suspicions(s, measure(s, -1.0, 0.0)) if x.test == Test.LONG_PHONE]
    assert "42.00 s" in found.text
    assert (("--star" in found.text) and ("--sung" in found.text)) or limits is SUNG
    assert measure(s, -1.0, 0.0).longest_word == pytest.approx(42.2)


@pytest.mark.parametrize(
    ("label", "seconds", "right"), [("AA", 8.0, True), ("N", 3.0, True), ("S", 1.5, True), ("T", 1.5, False)]
)
def test_who_sings_holds_vowels(label, seconds, right):
    s = solved(label, seconds, SUNG)
    found = {x.test for x in suspicions(s, measure(s, -1.0, 0.0))}
    assert (Test.LONG_PHONE not in found) == right


def test_songs_may_have_music_unless_that_is_forbidden():
    assert Options(sung=True).loose
    assert not Options(sung=True, star=False).loose
    assert not Options().loose
