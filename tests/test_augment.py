"""Spoilt speech keeps its times; what is added is as loud as asked, and nothing of it precedes its cause."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
from support.places import SAMPLE

from aligner.train import augment
from aligner.train.augment import KINDS, Conditions, Surroundings, mixed, mu_law, rms, room_response, spoilt
from aligner.types import SAMPLE_RATE

SPEECH, RATE = soundfile.read(SAMPLE / "rms" / "kitchen.flac", dtype="float32")
OTHER = soundfile.read(SAMPLE / "slt" / "harbour.flac", dtype="float32")[0]
AROUND = Surroundings(voices=[OTHER])


def only(kind: str, **values) -> Conditions:
    return Conditions(shares=((kind, 1.0),), **values)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_every_kind_keeps_the_length_and_is_finite_and_within_full_scale(kind, seed):
    made = spoilt(SPEECH, np.random.default_rng(seed), AROUND, only(kind))
    assert made.shape == SPEECH.shape
    assert made.dtype == np.float32
    assert np.isfinite(made).all()
    assert 0.009 < np.abs(made).max() <= 1.0
    assert np.abs(made / rms(made) - SPEECH / rms(SPEECH)).max() > 0.1, "nothing was spoilt"


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "room" not in kind])
def test_nothing_moves_in_time(kind):
    """Where speech is nearly all that is heard, it is where it was (for rooms see below)."""
    quiet = only(kind, noise=(30, 30), music=(30, 30), voices=(30, 30), line=(30, 30))
    for seed in range(4):
        made = spoilt(SPEECH, np.random.default_rng(seed), AROUND, quiet)
        count = 2 * len(made)
        alike = np.fft.irfft(np.fft.rfft(made, count) * np.conj(np.fft.rfft(SPEECH, count)))
        assert min(alike.argmax(), count - alike.argmax()) <= 0.0005 * SAMPLE_RATE


def test_the_same_random_numbers_give_the_same():
    first, second, other = (spoilt(SPEECH, np.random.default_rng(k), AROUND) for k in (5, 5, 6))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("ratio", [-3.0, 0.0, 12.0])
def test_what_is_added_is_as_loud_as_asked(ratio):
    added = mixed(SPEECH, OTHER[: len(SPEECH)], ratio) - SPEECH
    assert 20 * np.log10(rms(SPEECH) / rms(added)) == pytest.approx(ratio, abs=0.01)


def test_a_room_answers_after_the_click_and_fades_in_its_time():
    for seed in range(20):
        response = room_response(np.random.default_rng(seed), (0.5, 0.5))
        assert response[0] == 1.0
        assert not response[1:12].any(), "an echo within a millisecond of the sound itself"
        late, early = response[int(0.5 * SAMPLE_RATE) :], response[int(0.03 * SAMPLE_RATE) :][:1600]
        assert 20 * np.log10(rms(early) / rms(late)) > 30


def test_conditions_are_as_frequent_as_asked(monkeypatch):
    heard: list[str] = []
    fakes = {kind: (lambda wave, *_, kind=kind: heard.append(kind) or wave) for kind in KINDS}
    monkeypatch.setattr(augment, "KINDS", fakes)
    rng = np.random.default_rng(0)
    for _ in range(2000):
        spoilt(SPEECH[:10], rng, AROUND)
    for kind, share in Conditions().shares:
        assert heard.count(kind) / 2000 == pytest.approx(share, abs=0.04)


def test_without_other_voices_there_is_noise_and_without_recordings_music_is_made():
    alone = Surroundings()
    for kind in ("voices", "music"):
        assert rms(spoilt(SPEECH, np.random.default_rng(1), alone, only(kind))) > 0


def test_an_unknown_condition_is_refused():
    with pytest.raises(ValueError, match="condition 'rain', not one of noise, room"):
        Conditions(shares=(("rain", 1.0),))


def test_the_mu_law_is_the_one_that_telephones_have():
    assert np.abs(mu_law(SPEECH) - SPEECH).max() < 0.03 * np.abs(SPEECH).max()
    assert len(np.unique(mu_law(SPEECH))) <= 255


def test_silence_stays_finite():
    for kind in KINDS:
        made = spoilt(np.zeros(4000, np.float32), np.random.default_rng(0), AROUND, only(kind))
        assert np.isfinite(made).all()
