"""Samples come as arrays, tensors, lists and pairs with their rate, and are read alike."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch

from aligner.backends.base import hear
from aligner.corpus.audio import read
from aligner.corpus.samples import as_samples, piece_of, plain
from aligner.run.align import align, align_file
from aligner.types import DataError, Failure, Fault, Utterance

RATE = 16000
WAVE = (0.5 * np.sin(np.arange(1600) / 5)).astype(np.float32)
STEREO = np.stack([WAVE, WAVE], 1)
INT16 = np.round(WAVE * 2**15).astype(np.int16)


def heard(given, rate=RATE) -> np.ndarray:
    return read(Utterance("a", given, "", rate=rate), RATE).wave


FORMS = {
    "mono": WAVE,
    "a list": WAVE.tolist(),
    "a tuple of numbers": tuple(WAVE.tolist()),
    "samples by channels": STEREO,
    "channels by samples": STEREO.T,
    "one channel, as torchaudio gives it": torch.from_numpy(WAVE)[None],
    "one channel behind": WAVE[:, None],
    "a batch of one": WAVE[None, None],
    "a batch of one, stereo": STEREO.T[None],
    "five channels": np.stack([WAVE] * 5),
    "a tensor": torch.from_numpy(WAVE),
    "a tensor with a gradient": torch.from_numpy(WAVE.copy()).requires_grad_(),
    "a tensor of halves": torch.from_numpy(WAVE).half(),
    "a tensor of brain floats": torch.from_numpy(WAVE).bfloat16(),
    "a tensor of doubles": torch.from_numpy(WAVE).double(),
    "a tensor of shorts": torch.from_numpy(INT16),
    "a tensor that is not contiguous": torch.from_numpy(STEREO.T.copy())[:, ::1].T,
    "a tensor under an inference guard": torch.from_numpy(WAVE).detach(),
    "half floats": WAVE.astype(np.float16),
    "doubles": WAVE.astype(np.float64),
    "big-endian floats": WAVE.astype(">f4"),
    "big-endian integers": INT16.astype(">i2"),
    "backwards twice": WAVE[::-1].copy()[::-1],
    "every second sample": np.repeat(WAVE, 2)[::2],
    "8 bits": np.round(WAVE * 2**7).astype(np.int8),
    "8 bits from 128 on": (np.round(WAVE * 2**7) + 128).astype(np.uint8),
    "16 bits": INT16,
    "16 bits from 32768 on": (INT16.astype(np.int32) + 2**15).astype(np.uint16),
    "32 bits": np.round(WAVE * 2.0**31).astype(np.int32),
    "16 bits in 32": INT16.astype(np.int32),
    "16 bits in 64": INT16.astype(np.int64),
    "24 bits in 64": np.round(WAVE * 2.0**23).astype(np.int64),
    "32 bits in 64": np.round(WAVE * 2.0**31).astype(np.int64),
    "16 bits as a list": INT16.tolist(),
    "16 bits as floats": INT16.astype(np.float32),
    "16 bits as floats, filtered": INT16 * 1.01,
    "24 bits as floats": WAVE.astype(np.float64) * 2**23,
    "soundfile's pair": (WAVE, RATE),
    "soundfile's pair, stereo": (STEREO, RATE),
    "librosa's pair": (WAVE, np.float64(RATE)),
    "librosa's pair, stereo": (STEREO.T, RATE),
    "torchaudio's pair": (torch.from_numpy(STEREO.T.copy()), RATE),
    "torchaudio's pair, mono": (torch.from_numpy(WAVE[None].copy()), RATE),
    "a pair of whole numbers, mono": (torch.from_numpy(INT16[None].copy()), RATE),
    "a batch of one, and its rate": (RATE, WAVE[None, None]),
    "scipy's pair": (RATE, INT16),
    "scipy's pair, stereo": [RATE, np.stack([INT16, INT16], 1)],
    "a row of datasets": {"path": "a.wav", "array": WAVE.astype(np.float64), "sampling_rate": RATE},
}


@pytest.mark.parametrize("given", FORMS.values(), ids=FORMS)
def test_every_form_is_read_as_the_same_sound(given):
    wave = heard(given)
    assert (wave.dtype, wave.shape) == (np.float32, WAVE.shape)
    np.testing.assert_allclose(wave, WAVE, atol=0.01)


def test_samples_that_may_not_be_written_are_read_and_left_alone():
    given = WAVE.copy()
    given.flags.writeable = False
    np.testing.assert_array_equal(heard(given), WAVE)
    before = STEREO.copy()
    heard(before)
    np.testing.assert_array_equal(before, STEREO)


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_the_rate_of_a_pair_counts(rate):
    tone = np.sin(2 * np.pi * 440 * np.arange(rate) / rate)
    for given in ((tone, rate), (rate, tone)):
        spectrum = np.abs(np.fft.rfft(heard(given) * np.hanning(RATE)))
        assert spectrum.argmax() == 440


@pytest.mark.parametrize("gain", [1e-4, 0.01, 1, 2])
def test_floats_near_full_scale_are_left_as_they_are(gain):
    np.testing.assert_allclose(heard(WAVE * gain), WAVE * gain, rtol=1e-6)


def test_floats_of_unit_variance_are_brought_below_full_scale():
    given = WAVE / WAVE.std() * 10
    np.testing.assert_allclose(heard(given), given / np.abs(given).max(), atol=1e-6)


WRONG = {
    "complex numbers": (WAVE.astype(complex), "type complex64|type complex128"),
    "truth values": (WAVE > 0, "type bool"),
    "objects": (np.array([None, 1.0] * 50), "type object"),
    "strings": (np.array(["a", "b"]), "type <U1"),
    "unsigned 32 bits": (np.zeros(100, np.uint32), "type uint32"),
    "a ragged list": ([[0.0, 1.0], [0.0]], "no array of numbers"),
    "a number": (0.5, "a float instead of samples"),
    "nothing": (None, "a NoneType instead of samples"),
    "bytes": (b"RIFF", "a bytes, which holds a file and no samples: give its name"),
    "an open file": (io.BytesIO(b"RIFF"), "a BytesIO, which holds a file and no samples"),
    "a batch": (
        np.zeros((3, 1, 1000), np.float32),
        r"shape \(3, 1, 1000\), a batch of 3: align",
    ),
    "a batch of stereo": (np.zeros((4, 2, 100)), "a batch of 4"),
    "a spectrogram": (np.zeros((80, 300)), r"shape \(80, 300\), which has no dimension of channels"),
    "huge floats": (WAVE * 1e12, "samples of up to 5e\\+11: scale them"),
    "no samples": (np.zeros(0), "the recording is empty"),
    "no samples of two channels": (np.zeros((2, 0)), "the recording is empty"),
    "not a number": (np.append(WAVE, np.nan), "not numbers"),
    "infinite": (np.append(WAVE, np.inf), "not numbers"),
    "silence": (np.zeros(1000), "silent throughout"),
    "a constant": (np.full(1000, 0.3), "silent throughout"),
    "the noise of a converter": (np.tile([0, 1, -1], 300).astype(np.int16), "silent throughout"),
}


@pytest.mark.parametrize(("given", "rule"), WRONG.values(), ids=WRONG)
def test_what_is_no_sound_is_said(given, rule):
    with pytest.raises(DataError, match=rule) as caught:
        heard(given)
    assert caught.value.fault in (Fault.UNREADABLE, Fault.SILENT)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("rate", [0, -16000, 16, 44.1, float("nan"), float("inf"), "16k", None])
def test_a_rate_that_is_none_is_said(rate):
    with pytest.raises(DataError, match=r"a sample rate of .* give samples per second"):
        heard(WAVE, rate)


def test_faint_floats_are_sound():
    np.testing.assert_allclose(heard(WAVE * 2e-5), WAVE * 2e-5, rtol=1e-5)


def test_a_channel_of_either_layout():
    both = np.stack([np.zeros_like(WAVE), WAVE], 1)
    for given in (both, both.T):
        sound = read(Utterance("a", given, "", channel=1, start=0.01, end=0.05))
        np.testing.assert_array_equal(sound.wave, WAVE[160:800])
    with pytest.raises(DataError, match="channel 3 is asked for; there are 2"):
        read(Utterance("a", both.T, "", channel=2))


def test_channels_of_opposite_polarity_are_not_cancelled():
    noise = np.random.default_rng(0).normal(0, 0.01, WAVE.shape).astype(np.float32)
    for factor in (-1, -0.9):
        mixed = heard(np.stack([WAVE, factor * WAVE + noise], 1))
        assert abs(np.corrcoef(mixed, WAVE)[0, 1]) > 0.99
        assert np.std(mixed) > 0.9 * np.std(WAVE)


@pytest.mark.parametrize("other", [0.0, 1.0, 0.5])
def test_other_channels_are_averaged(other):
    np.testing.assert_allclose(heard(np.stack([WAVE, other * WAVE], 1)), (1 + other) / 2 * WAVE, atol=1e-6)
    two = np.random.default_rng(0).normal(0, 0.1, (16000, 2)).astype(np.float32)
    np.testing.assert_allclose(heard(two), two.mean(1), atol=1e-6)


def test_pieces_of_a_stream():
    expected = {
        "floats": WAVE,
        "stereo": STEREO,
        "channels first": STEREO.T,
        "a tensor": torch.from_numpy(WAVE)[None].requires_grad_(),
        "16 bits": INT16,
        "16 bits in 64": INT16.astype(np.int64),
        "a list": WAVE.tolist(),
    }
    for name, given in expected.items():
        np.testing.assert_allclose(piece_of(given, "a"), WAVE, atol=1e-4, err_msg=name)
    assert piece_of(np.zeros(0), "a").shape == (0,)
    with pytest.raises(DataError, match="samples of up to 16384: divide them"):
        piece_of(INT16.astype(float), "a")


def test_an_utterance_goes_to_other_processes_as_a_path_or_an_array():
    tensor = torch.from_numpy(WAVE.copy()).requires_grad_()
    for given in (tensor, (tensor, 8000), {"array": WAVE, "sampling_rate": 8000}):
        utterance = plain(Utterance("a", given, "hi"))
        assert type(utterance.audio) is np.ndarray
        assert utterance.rate == (16000 if given is tensor else 8000)
    assert str(plain(Utterance("a", "x/a.wav", "hi")).audio) == "x/a.wav"
    assert plain(Utterance("a", None, "hi")).audio is None


def test_a_bad_array_is_the_failure_of_its_utterance_alone():
    [bad, worse] = align([Utterance("a", None, "hi"), Utterance("b", np.zeros((3, 2, 9)), "hi")])
    assert isinstance(bad, Failure)
    assert isinstance(worse, Failure)
    assert bad.message.startswith("a NoneType instead of samples")
    assert worse.message.startswith("samples of shape (3, 2, 9), a batch of 3")


def test_one_sound_has_one_alignment_in_any_form(kitchen, hmm):
    samples, text = kitchen
    stereo = np.stack([samples, samples])
    expected = align_file(samples, text, model=hmm).words
    for given in (stereo, torch.from_numpy(stereo.T.copy()), (16000, (samples * 2**15).astype(np.int64))):
        words = align_file(given, text, model=hmm).words
        assert [w.label for w in words] == [w.label for w in expected]
        for one, other in zip(words, expected, strict=True):
            assert one.start == pytest.approx(other.start, abs=1e-3)


@pytest.fixture(scope="module")
def kitchen():
    import soundfile
    from support.places import SAMPLE

    samples, _ = soundfile.read(SAMPLE / "rms" / "kitchen.flac", dtype="float32")
    return samples, (SAMPLE / "rms" / "kitchen.lab").read_text().strip()


@pytest.fixture(scope="module")
def hmm():
    from aligner.backends.choose import chosen

    return chosen(None, None, None)


def test_what_is_heard_is_what_was_given(hmm):
    wave = hear(Utterance("a", (STEREO.T, RATE), "hi"), hmm.traits).wave.numpy()
    np.testing.assert_allclose(wave / np.abs(wave).max(), WAVE / np.abs(WAVE).max(), atol=1e-5)
    assert as_samples(WAVE, RATE, "a").fine
    assert not as_samples(INT16, RATE, "a").fine
