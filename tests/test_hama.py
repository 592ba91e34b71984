"""The phoneme recogniser against the engine of the package that it comes from, and damaged files."""

from __future__ import annotations

import importlib.util
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch.nn.functional import pad

from aligner.models.hama import HOP, WINDOW, HamaNetwork, assets_folder
from aligner.types import ModelError

WEIGHTS = assets_folder() / "asr_waveform.hama"


@pytest.fixture(scope="module")
def network() -> HamaNetwork:
    return HamaNetwork.load()


@pytest.fixture(scope="module")
def engine():
    from hama.asr import ASRModel

    return ASRModel()


def engine_log_probs(engine, wave: torch.Tensor) -> torch.Tensor:
    given = {"waveform": wave[None].numpy(), "waveform_lengths": np.array([len(wave)])}
    log_probs, lengths = engine.session.run(["log_probs", "out_lengths"], given)
    return torch.from_numpy(log_probs[0, : int(lengths[0])])


def log_mel_in_engines_order(network: HamaNetwork, wave: torch.Tensor) -> torch.Tensor:
    """Sums in single precision, from the first term to the last, as the engine's loops have them."""
    kernel, mel = network.stft.float(), network.mel.float()
    frames = pad(wave[None], (WINDOW // 2, WINDOW // 2), mode="reflect").unfold(1, WINDOW, HOP)[0]
    spectrum = torch.zeros(len(frames), len(kernel))
    for tap in range(WINDOW):
        spectrum = spectrum + frames[:, tap, None] * kernel[:, tap]
    real, imaginary = spectrum.chunk(2, -1)
    power, bands = real * real + imaginary * imaginary, torch.zeros(len(frames), mel.shape[1])
    for bin_ in range(len(mel)):
        bands = bands + power[:, bin_, None] * mel[bin_]
    return bands.clamp_min(1e-10).log().half().float()


def synthetic(samples: int) -> torch.Tensor:
    """A voice of sorts: a gliding pulse train, noise, and a pause."""
    generator = torch.Generator().manual_seed(samples)
    time = torch.arange(samples) / 16000
    voice = sum(torch.sin(2 * torch.pi * k * (120 + 40 * time) * time) / k for k in range(1, 20))
    loud = torch.sin(2 * torch.pi * 3 * time).clamp_min(0)
    return loud * voice / 8 + torch.randn(samples, generator=generator) * 0.003


def equals_engine(network: HamaNetwork, engine, wave: torch.Tensor, monkeypatch) -> None:
    expected, ours = engine_log_probs(engine, wave), network(wave)
    assert ours.shape == expected.shape == (network.frames(len(wave)), 191)
    # the engine rounds log-mels to half precision; where its sums and ours fall on two sides of a tie, a
    # whole step separates them, which moves a few frames a little
    difference = (ours - expected).abs()
    assert difference.max() < 0.1
    assert difference.mean() < 5e-4
    assert (ours.argmax(-1) == expected.argmax(-1)).float().mean() > 0.99
    as_engine = log_mel_in_engines_order(network, wave)
    own = network.log_mel(pad(wave[None], (WINDOW // 2, WINDOW // 2), mode="reflect"))[0]
    assert (own != as_engine).float().mean() < 2e-3
    torch.testing.assert_close(own, as_engine, atol=0, rtol=2**-10)  # one step
    monkeypatch.setattr(network, "log_mel", lambda _wave: as_engine[None])
    torch.testing.assert_close(network(wave), expected, atol=1e-3, rtol=0)


@pytest.mark.parametrize("samples", [201, 319, 320, 479, 480, 8017, 50001])
def test_it_equals_the_engine(network, engine, samples, monkeypatch):
    equals_engine(network, engine, synthetic(samples), monkeypatch)


@pytest.mark.parametrize("nth", [0, 27, 54])
def test_it_equals_the_engine_on_speech(network, engine, timit, nth, monkeypatch):
    wave, rate = soundfile.read(sorted(timit.glob("*/*.wav"))[nth], dtype="float32")
    assert rate == network.clock.rate
    equals_engine(network, engine, torch.from_numpy(wave), monkeypatch)


def test_a_batch_equals_its_utterances(network):
    lengths = torch.tensor([16000, 201, 9599, 9600, 12345])
    batch = torch.full((5, 16000), 0.5)  # what lies beyond an utterance must not be heard
    for row, samples in zip(batch, lengths.tolist(), strict=True):
        row[:samples] = synthetic(samples)
    log_probs = network(batch, lengths)
    for row, wave, samples in zip(log_probs, batch, lengths.tolist(), strict=True):
        alone = network(wave[:samples])
        torch.testing.assert_close(row[: len(alone)], alone, atol=1e-4, rtol=0)
        assert (row[len(alone) :] == 0).all()
    torch.testing.assert_close(
        network(batch[:1].expand(3, -1)), log_probs[:1].expand(3, -1, -1), atol=1e-4, rtol=0
    )


def test_labels_are_the_packages(network, engine):
    assert list(network.labels) == engine.decoder_tokens
    assert network.blank == engine.blank_id
    assert network.labels[network.blank] == "<blank>"


def test_every_frame_is_a_distribution(network):
    torch.testing.assert_close(network(synthetic(16000)).exp().sum(-1), torch.ones(51), atol=1e-5, rtol=0)


@pytest.mark.parametrize("frame", [0, 7, 20])
def test_a_frame_stands_where_the_clock_says(network, frame):
    """A click right between two boundaries weighs most in that frame's features."""
    wave = torch.zeros(16000)
    middle = (network.clock.boundary(frame) + network.clock.boundary(frame + 1)) / 2 * network.clock.rate
    wave[round(middle)] = 1.0
    energy = network.log_mel(pad(wave[None], (WINDOW // 2, WINDOW // 2), mode="reflect"))[0].sum(-1)
    assert energy[::2].argmax() == frame  # the stem takes STFT frames 2t - 1, 2t, 2t + 1
    if frame:
        assert energy[2 * frame - 1] == energy[2 * frame + 1]


def test_it_is_frozen_and_its_output_can_enter_a_search_with_gradients(network):
    assert not any(p.requires_grad for p in network.parameters())
    assert not network.training
    scores = network(synthetic(4000)).requires_grad_()
    scores.square().sum().backward()
    assert scores.grad is not None


def test_loading_twice_gives_two_modules_and_leaves_random_numbers_alone(network):
    state = torch.get_rng_state()
    other = HamaNetwork.load()
    assert other is not network
    assert torch.equal(torch.get_rng_state(), state)
    other.proj.bias += 1
    other.double()
    assert network.proj.weight.dtype == torch.float32


@pytest.mark.parametrize(
    ("wave", "lengths", "rule"),
    [
        (torch.zeros(200), None, "200 samples; from 201"),
        (torch.zeros(2, 400), torch.tensor([400, 401]), "401 samples"),
        (torch.zeros(2, 400), torch.tensor([400]), "1 lengths"),
        (torch.zeros(400), torch.tensor([400]), "lengths for waves of shape"),
        (torch.zeros(400, dtype=torch.int16), None, "full scale 1"),
    ],
)
def test_what_cannot_be_heard_is_refused(network, wave, lengths, rule):
    with pytest.raises(ValueError, match=rule):
        network(wave, lengths)


def renamed(raw: bytes) -> bytes:
    return raw.replace(b"onnx::Conv_805", b"onnx::Conv_905")


def reshaped(raw: bytes) -> bytes:
    """The stem's convolution as (80, 144, 3)."""
    return raw.replace(struct.pack("<III", 144, 80, 3), struct.pack("<III", 80, 144, 3))


def not_a_number(raw: bytes) -> bytes:
    return raw[:-2] + np.float16("nan").tobytes()


@pytest.mark.parametrize(
    ("damage", "rule"),
    [
        (lambda raw: b"", "it begins with b''"),
        (lambda raw: b"HAMAPK\x02\x02" + raw[8:], "it begins with"),
        (lambda raw: raw[:500], "ends too early"),
        (lambda raw: raw[:-1000], "ends too early"),
        (lambda raw: raw[:8] + b"\x76" + raw[9:], "another layout: onnx::MatMul_864 is missing"),
        (renamed, "another layout: onnx::Conv_805 is missing"),
        (reshaped, r"stem.weight of shape \(80, 144, 3\) for \(144, 80, 3\)"),
        (not_a_number, "MatMul_864 holds numbers that are not finite"),
    ],
    ids=["empty", "version", "in the table", "in the numbers", "one fewer", "renamed", "reshaped", "nan"],
)
def test_damaged_files_are_refused(tmp_path, damage, rule):
    path = tmp_path / "damaged.hama"
    path.write_bytes(damage(WEIGHTS.read_bytes()))
    with pytest.raises(ModelError, match=rule) as caught:
        HamaNetwork.load(path)
    assert caught.value.remedy
    assert caught.value.where == str(path)


def test_a_missing_file_or_package_is_named(tmp_path, monkeypatch):
    with pytest.raises(ModelError, match="cannot be read"):
        HamaNetwork.load(tmp_path / "none.hama")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(ModelError, match="not installed: pip install"):
        HamaNetwork.load()


@pytest.mark.parametrize("text", ["{", "[]", '{"decoder": ["a", "b"]}'])
def test_another_vocabulary_is_refused(tmp_path, monkeypatch, text):
    (tmp_path / "g2p_vocab.json").write_text(text)
    monkeypatch.setattr("aligner.models.hama.assets_folder", lambda: Path(tmp_path))
    with pytest.raises(ModelError, match="g2p_vocab"):
        HamaNetwork.load(WEIGHTS)


@pytest.mark.gpu
def test_cuda_equals_cpu(network):
    wave = torch.stack([synthetic(16000), synthetic(16001)[1:]])
    lengths = torch.tensor([16000, 9000])
    there = HamaNetwork.load().to("cuda")(wave.cuda(), lengths.cuda())
    torch.testing.assert_close(there.cpu(), network(wave, lengths), atol=1e-2, rtol=0)
