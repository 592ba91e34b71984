"""Features against the formula's other implementations: Sphinx's own front end and torchaudio's."""

from __future__ import annotations

import shutil

import numpy as np
import pocketsphinx
import pytest
import soundfile
import torch
from support.places import SAMPLE

from aligner import features
from aligner.features import SphinxFrontend
from aligner.models.sphinx import load
from aligner.types import Clock

WAVE = SAMPLE / "slt" / "numbers.flac"


def test_cepstra_equal_sphinx_own(tmp_path):
    """pocketsphinx can log the cepstra it computes, before normalisation, once its noise removal is off."""
    folder = tmp_path / "model"
    shutil.copytree(pocketsphinx.get_model_path("en-us/en-us"), folder)
    options = folder / "feat.params"
    options.write_text(options.read_text().replace("-remove_noise yes", "-remove_noise no"))
    samples, _ = soundfile.read(WAVE, dtype="int16")
    decoder = pocketsphinx.Decoder(
        hmm=str(folder), lm=None, mfclogdir=str(tmp_path), cmn="none", logfn="/dev/null", loglevel="FATAL"
    )
    decoder.set_align_text("on may")
    decoder.start_utt()
    decoder.process_raw(samples.tobytes(), full_utt=True)
    decoder.end_utt()
    logged = np.frombuffer(next(tmp_path.glob("*.mfc")).read_bytes()[4:], ">f4").reshape(-1, 13)
    ours = load(folder).frontend.cepstra(torch.from_numpy(samples / np.float32(32768)))
    assert ours.shape == logged.shape
    np.testing.assert_allclose(ours, logged, atol=2e-3)


def test_cosine_transform_equals_torchaudio(torchaudio):
    ours = features.cosine_transform(25, 13, "dct")
    theirs = torchaudio.functional.create_dct(13, 25, norm="ortho").double()
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)


def test_filters_equal_torchaudio(torchaudio):
    ours = features.mel_filters(25, 130, 6800, 512, 16000, rounded=False)
    theirs = torchaudio.functional.melscale_fbanks(257, 130, 6800, 25, 16000, norm="slaney", mel_scale="htk")
    torch.testing.assert_close(ours, theirs.double(), atol=1e-6, rtol=1e-3)


def test_rounded_filters_have_unit_area():
    filters = features.mel_filters(25, 130, 6800, 512, 16000)
    torch.testing.assert_close(
        filters.sum(0) * 16000 / 512, torch.ones(25, dtype=torch.float64), atol=1e-6, rtol=0
    )


@pytest.mark.parametrize(("samples", "frames"), [(0, 0), (1, 1), (410, 1), (411, 2), (570, 2), (16000, 99)])
def test_frame_count(samples, frames):
    assert features.frame_count(samples, 410, 160) == frames
    if samples:
        assert features.windows(torch.zeros(samples), 410, 160).shape == (frames, 410)


def test_differences_as_written():
    c = torch.arange(20.0).square()[:, None]
    at = lambda t: c[min(max(t, 0), 19)]  # noqa: E731
    for t in range(20):
        assert features.difference(c)[t] == at(t + 2) - at(t - 2)
        assert features.second_difference(c)[t] == (at(t + 3) - at(t - 1)) - (at(t + 1) - at(t - 3))


def test_s2_4x_streams_are_the_same_numbers_rearranged():
    cepstra = torch.randn(9, 13)
    frames = SphinxFrontend(feat="s2_4x").streams(cepstra)
    plain = SphinxFrontend().streams(cepstra)
    assert frames.shape == (9, 12 + 24 + 3 + 12)
    assert (SphinxFrontend(feat="s2_4x").size, SphinxFrontend().size) == (frames.shape[1], plain.shape[1])
    torch.testing.assert_close(frames[:, :12], plain[:, 1:13])
    torch.testing.assert_close(frames[:, 36:39], plain[:, [0, 13, 26]])
    torch.testing.assert_close(frames[:, 24:36], features.difference(cepstra, 4)[:, 1:])


def test_the_clock_counts_from_window_centres():
    clock = Clock(hop=160, window=410)
    assert clock.boundary(0) == pytest.approx(125 / 16000)
    # the boundary before frame t lies midway between the centres of frames t - 1 and t
    assert clock.boundary(7) == pytest.approx(((6 * 160 + 205) + (7 * 160 + 205)) / 2 / 16000)


def test_the_clock_finds_a_step_in_a_real_wave():
    """Silence, then noise from 0.5 s on: the energy of the frames changes where the clock says."""
    wave = torch.zeros(16000)
    wave[8000:] = torch.randn(8000, generator=torch.Generator().manual_seed(0))
    clock = SphinxFrontend().clock
    power = features.power_spectrum(features.windows(wave, clock.window, clock.hop), 512).sum(1)
    first = int((power > power.mean()).nonzero()[0])  # half of the frames are loud
    assert abs(clock.boundary(first) - 0.5) <= 0.005


def test_tiles_leave_no_gap():
    tiles = Clock(160, 410).tile([0, 10, 20], ["", "AA", ""], 1.0, 1.5)
    assert tiles[0].start == 1.0
    assert tiles[-1].end == 1.5
    assert [a.end for a in tiles[:-1]] == [b.start for b in tiles[1:]]


@pytest.mark.parametrize("samples", [1, 100, 411, 50 * 160 + 410, 50 * 160 + 411, 101 * 160 + 7])
def test_blocks_do_not_change_cepstra(samples, monkeypatch):
    wave = torch.randn(samples, generator=torch.Generator().manual_seed(0)) * 0.1
    frontend = SphinxFrontend(remove_dc=True)
    whole = frontend.cepstra(wave)
    monkeypatch.setattr(features, "BLOCK_FRAMES", 25)
    torch.testing.assert_close(frontend.cepstra(wave), whole, atol=1e-3, rtol=1e-4)
