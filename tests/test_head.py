"""A head tells phones apart by what a pretrained network hears; the search adds what it says to a model's own
scores.
"""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass, replace

import numpy as np
import pytest
import soundfile
import torch
from support.places import SAMPLE

from aligner import Compute, Options, align, find, load_model
from aligner.features import fine_energies
from aligner.models import saved
from aligner.models.convolution import Convolution, DepthwiseConvolution
from aligner.models.ears import CLOCK, WINDOW_FRAMES, HamaEar, ear, frame_count
from aligner.models.hama import HamaNetwork
from aligner.models.head import OVERLAP_FRAMES, TABLE, Head, Shape, Weights, around, normalised
from aligner.models.known import ENGLISH, ENGLISH_GMM
from aligner.models.markov import HeadedScorer
from aligner.models.products import in_half
from aligner.models.tree import LEAF, Forest, TreeTopology
from aligner.train.augment import mixed
from aligner.train.head import IGNORED, Labelled, accuracy, fit, frame_labels
from aligner.train.head import Options as Training
from aligner.types import Clock, Interval, ModelError, Utterance

RATE = 16000
SPEECH = torch.from_numpy(soundfile.read(SAMPLE / "rms" / "kitchen.flac", dtype="float32")[0])
SMALL = Shape(width=16, fine=8)


def a_head(phones=("SIL", "AA", "B"), name="hama", size=432, shape=SMALL, seed=0) -> Head:
    torch.manual_seed(seed)
    return Head(phones, name, size, shape).eval()


@pytest.fixture(scope="module")
def english():
    return load_model(ENGLISH)


# ------------------------------------------------------------------------------------------------ the ear


def test_the_network_of_hama_is_heard_every_10_ms():
    network = HamaNetwork.load()
    frames = HamaEar(network)(SPEECH)
    hidden = network.hidden(SPEECH, (2, 3, 4))
    assert frames.shape == (frame_count(len(SPEECH)), 432)
    torch.testing.assert_close(frames[::2], hidden[: len(frames[::2])])
    torch.testing.assert_close(frames[1:-1:2], (hidden[:-1] + hidden[1:])[: len(frames[1:-1:2])] / 2)
    torch.testing.assert_close(
        network.proj(hidden[:, -144:]).log_softmax(-1), network(SPEECH), rtol=0, atol=0.01
    )


def test_quicker_products_hear_the_same():
    torch.testing.assert_close(ear("hama")(SPEECH), HamaEar(HamaNetwork.load())(SPEECH), rtol=1e-3, atol=1e-3)


def test_a_copy_that_differs_in_the_last_digit_is_heard_alike():
    torch.testing.assert_close(ear("hama")(-SPEECH), ear("hama")(SPEECH), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("samples", [0, 1, 159, 160, 200, 201, 320, 1000])
def test_an_ear_hears_the_shortest_recordings(samples):
    assert ear("hama")(torch.zeros(samples)).shape == (frame_count(samples), 432)


def test_whisper_is_heard_as_well():
    listening = ear("tiny.en")
    assert listening.size == 768
    assert listening(SPEECH).shape == (frame_count(len(SPEECH)), 768)
    head = a_head(name="tiny.en", size=768)
    assert head.scores(SPEECH).shape == (frame_count(len(SPEECH)), 3)


def test_ears_hear_together():
    both = ear("hama+tiny.en")
    assert (both.name, both.size) == ("hama+tiny.en", 432 + 768)
    torch.testing.assert_close(both(SPEECH), torch.cat([ear("hama")(SPEECH), ear("tiny.en")(SPEECH)], 1))


def test_an_ear_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ModelError, match="nowhere"):
        ear(str(tmp_path / "nowhere"))


# ----------------------------------------------------------------------------------------------- the head


def test_fine_energies_stand_around_their_frame():
    """Those that a frame sees lie within 23 ms of it, as many before as behind but for half a frame."""
    energies = fine_energies(SPEECH)
    rows = torch.arange(len(energies), dtype=torch.float32)[:, None]
    first, last = 40, 50
    window = around(rows, first, last).unfold(0, 9, 2)[:, 0]
    assert len(window) == last - first
    middles = 0.0075 + 0.005 * window  # s: frames of 15 ms each 5 ms
    times = torch.arange(first, last)[:, None] / 100
    assert (middles - times).abs().max() < 0.0230
    assert (middles - times).mean().abs() < 0.0030


def test_scores_are_posteriors_over_priors():
    head = a_head()
    head.log_priors = torch.tensor([0.5, 0.3, 0.2]).log()
    scores = head.scores(SPEECH)
    assert scores.shape == (frame_count(len(SPEECH)), 3)
    posteriors = scores + head.weights.prior * head.log_priors
    torch.testing.assert_close(posteriors.exp().sum(1), torch.ones(len(scores)), rtol=1e-4, atol=1e-4)


def test_a_long_recording_is_heard_in_windows_without_a_seam():
    """Each window hears what it hears alone, and the frames at a seam are far from the edges of both."""
    head, wave = a_head(), SPEECH.repeat(14)[: 40 * RATE]
    scores = head.scores(wave)
    assert len(scores) == frame_count(len(wave)) > WINDOW_FRAMES
    energies = normalised(fine_energies(wave))
    with torch.no_grad():
        alone = head(
            ear("hama")(wave[: (WINDOW_FRAMES - 1) * 160 + 1])[None],
            around(energies, 0, WINDOW_FRAMES)[None],
        )[0]
    sure = WINDOW_FRAMES - OVERLAP_FRAMES
    torch.testing.assert_close(scores[:sure], alone[:sure] - head.weights.prior * head.log_priors)


@pytest.mark.parametrize("clock", [CLOCK, Clock(hop=160, window=410), Clock(hop=80, window=240)])
def test_scores_are_given_at_the_middles_of_another_clocks_frames(clock):
    head = a_head()
    scores, count = head.scores(SPEECH).numpy(), 100
    found = head.at(SPEECH, clock, count).numpy()
    middles = (np.arange(count) * clock.hop + clock.window / 2) / CLOCK.hop
    for column in range(3):
        wanted = np.interp(middles, np.arange(len(scores)), scores[:, column])
        np.testing.assert_allclose(found[:, column], wanted, atol=1e-4)


def test_a_head_is_stored_in_half_precision_and_comes_back(tmp_path):
    head = a_head()
    head.about = {"hours": 1.5}
    head.save(tmp_path)
    again = Head.load(tmp_path)
    assert (again.phones, again.ear_name, again.shape, again.weights, dict(again.about)) == (
        head.phones,
        "hama",
        SMALL,
        Weights(),
        {"hours": 1.5},
    )
    for one, other in zip(head.state_dict().values(), again.state_dict().values(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "spoil",
    [{"phones": ["SIL"]}, {"size": 7}, {"shape": {}}, {"weighed": {"own": 1, "more": 2}}, {"about": 3}],
)
def test_a_damaged_head_is_refused(tmp_path, spoil):
    a_head().save(tmp_path)
    table = json.loads((tmp_path / TABLE).read_text())
    (tmp_path / TABLE).write_text(json.dumps(table | spoil))
    with pytest.raises(ModelError, match=r"head\.json: it is damaged"):
        Head.load(tmp_path)


# ----------------------------------------------------------------------------------------- beside a model


class Own:
    """A scorer of which each pdf gives its number times the frame's first number."""

    def score(self, frames, pdfs):
        assert frames.shape[1] == 2
        return frames[:, :1] * torch.tensor(pdfs, dtype=torch.float32)


def test_scores_of_both_are_added_by_their_weights():
    scorer = HeadedScorer(Own(), np.array([0, 2, 1, 1]), Weights(own=0.5, head=2.0), 3)
    frames = torch.randn(7, 5)
    found = scorer.score(frames, np.array([1, 3]))
    for t in range(7):
        for column, (pdf, phone) in enumerate([(1, 2), (3, 1)]):
            wanted = 0.5 * pdf * frames[t, 0] + 2.0 * frames[t, 2 + phone]
            assert found[t, column] == pytest.approx(float(wanted), abs=1e-5)


@dataclass
class States:
    labels: tuple[str, ...] = ("sil", "B", "+breath+")

    def knows(self, label):
        return label not in ("sil", "+breath+")

    @property
    def bases(self):
        return np.array([0, 0, 1, 2])


def test_every_pdf_has_the_column_of_its_phone_and_noises_that_of_silence():
    assert a_head().columns_of(States()).tolist() == [0, 0, 2, 0]
    with pytest.raises(ModelError, match="does not know the phone 'X'"):
        a_head().columns_of(States(labels=("sil", "X", "+breath+")))
    with pytest.raises(ModelError, match="that no phone has"):
        a_head().columns_of(object())


def test_every_leaf_of_a_tree_is_of_its_phone():
    forest = Forest(  # two phones: the first has a tree of two leaves, each has a state more
        questions=np.ones((1, 4), bool),
        roots=np.array([[0, 3], [4, -1]]),
        about=np.zeros(5, int),
        asked=np.array([0, LEAF, LEAF, LEAF, LEAF]),
        yes=np.array([1, 0, 1, 2, 3]),
        no=np.array([2, LEAF, LEAF, LEAF, LEAF]),
    )
    alone = np.array([[4, 5], [6, 6]])  # pdfs of both without context, behind those of the leaves
    topology = TreeTopology(phones=("sil", "A"), forest=forest, transitions=np.zeros((2, 2, 3)), alone=alone)
    assert topology.bases.tolist() == [0, 0, 0, 1, 0, 0, 1]
    assert a_head(phones=("SIL", "A")).columns_of(topology).tolist() == [0, 0, 0, 1, 0, 0, 1]


def test_english_head_has_a_head_and_english_has_none(english):
    plain = load_model(ENGLISH_GMM)
    assert plain.head is None
    assert plain.headed is plain
    assert english.head is not None
    assert english.mixtures is plain.mixtures
    frames = english.frames_of_wave(SPEECH)
    headed = english.headed_frames(SPEECH, frames)
    assert headed.shape == (len(frames), frames.shape[1] + len(english.head.phones))
    topology = english.topology
    spoken = [topology.knows(topology.labels[b]) for b in topology.bases]
    pdfs = np.flatnonzero(spoken)[::97]
    weights = english.head.weights
    columns = [english.head.phones.index(topology.labels[b]) for b in topology.bases[pdfs]]
    wanted = weights.own * plain.score(frames, pdfs) + weights.head * headed[:, 39:][:, columns]
    torch.testing.assert_close(english.headed.score(headed, pdfs), wanted)


def test_a_model_is_saved_with_its_head(tmp_path, english):
    saved.save(english, tmp_path)
    again = saved.load(tmp_path)
    torch.testing.assert_close(again.head.scores(SPEECH), english.head.scores(SPEECH))
    saved.save(replace(english, head=None), tmp_path)
    assert saved.load(tmp_path).head is None


def test_it_hears_through_noise():
    """In noise 3 dB below the speech, words stay nearer to where they are without it than with Gaussians."""
    rng = np.random.default_rng(0)
    clean = find(SAMPLE).utterances
    waves = {u.id: soundfile.read(u.audio, dtype="float32")[0] for u in clean}
    noisy = [
        Utterance(u.id, mixed(w, rng.standard_normal(len(w)), 3.0).astype(np.float32), u.transcript)
        for u, w in zip(clean, waves.values(), strict=True)
    ]
    truth = {r.utterance.id: r for r in align(clean, ENGLISH_GMM, compute=Compute(jobs=1))}

    def starts(result):
        return np.array([word.start for word in result.words if word.label not in ("", "<star>")])

    def away(name):
        results = align(noisy, name, Options(), Compute(jobs=1))
        return np.concatenate([np.abs(starts(r) - starts(truth[r.utterance.id])) for r in results]).mean()

    assert away(ENGLISH) < 0.03
    assert away(ENGLISH) < 0.7 * away(ENGLISH_GMM)


# ----------------------------------------------------------------------------------------------- training


class Tones:
    """An ear that hears nothing but a tone's pitch, in one channel, and noise in two."""

    name, size = "tones", 3

    def __call__(self, wave):
        count = frame_count(len(wave))
        padded = torch.nn.functional.pad(wave, (0, 160))
        crossings = (padded[:-1] * padded[1:] < 0).float()
        rate = torch.stack([crossings[160 * t : 160 * t + 160].sum() for t in range(count)])
        return torch.cat([rate[:, None] / 10, torch.randn(count, 2)], 1)


def a_tune(seed: int) -> Labelled:
    rng = np.random.default_rng(seed)
    phones, waves, at = [], [], 0.0
    for k in range(30):
        label = "AAB"[rng.integers(3)] if k % 3 else ""
        seconds = rng.integers(5, 15) / 100
        samples = np.arange(round(seconds * RATE))
        hertz = {"A": 300, "B": 1500, "": 0}[label]
        waves.append(np.sin(2 * np.pi * hertz * samples / RATE) + 0.001 * rng.standard_normal(len(samples)))
        phones.append(Interval(at, at + seconds, label + "1" if label else ""))
        at += seconds
    wave = torch.from_numpy(np.concatenate(waves).astype(np.float32))
    return Labelled.of(wave, phones, Tones(), {"SIL": 0, "A": 1, "B": 2})


def test_a_head_learns_what_is_planted():
    torch.manual_seed(1)
    tunes = [a_tune(k) for k in range(12)]
    head = Head(("SIL", "A", "B"), "tones", 3, SMALL)
    before = accuracy(head.eval(), tunes[8:])
    told = []
    fit(head, tunes[:8], Training(epochs=20, stretch=100), told.append)
    assert accuracy(head, tunes[8:]) > 0.9 > before
    assert told[-1].step == told[-1].steps
    assert told[-1].loss < 0.6
    shares = np.bincount(np.concatenate([t.labels[t.labels >= 0] for t in tunes[:8]]), minlength=3) + 50
    np.testing.assert_allclose(head.log_priors.exp(), shares / shares.sum(), rtol=1e-4)


def test_a_phone_of_digits_keeps_them_where_it_is_one():
    phones = [Interval(0.0, 0.01, "a1"), Interval(0.01, 0.02, "a2"), Interval(0.02, 0.03, "9")]
    assert frame_labels(phones, {"SIL": 0, "a": 1, "a2": 2, "9": 3}, 3).tolist() == [1, 2, 3]


def test_labels_begin_where_their_phone_does():
    phones = [Interval(1.0, 1.015, "A"), Interval(1.015, 1.05, "B2")]
    labels = frame_labels(phones, {"SIL": 0, "A": 1, "B": 2}, 7, start=1.0)
    assert labels.tolist() == [1, 1, 2, 2, 2, IGNORED, IGNORED]


def test_there_must_be_something_to_learn():
    tune = a_tune(0)
    nothing = replace(tune, labels=torch.full_like(tune.labels, IGNORED))
    with pytest.raises(ModelError, match="no frame has a label"):
        fit(Head(("SIL",), "tones", 3, SMALL), [nothing])
    with pytest.raises(ValueError, match="epochs is 0"):
        Training(epochs=0)


# ----------------------------------------------------------------------------------------- quicker products


def test_products_in_half_precision_are_those_of_the_same_weights():
    torch.manual_seed(0)
    linear = torch.nn.Linear(48, 32).requires_grad_(False)
    linear.load_state_dict({name: tensor.half().float() for name, tensor in linear.state_dict().items()})
    quicker = in_half(torch.nn.Sequential(linear))
    for shape in ((7, 48), (2, 5, 48), (1, 48)):
        x = torch.randn(shape)
        torch.testing.assert_close(quicker(x), linear(x), rtol=1e-5, atol=1e-5)
    again = pickle.loads(pickle.dumps(quicker))
    torch.testing.assert_close(again(x), quicker(x), rtol=0, atol=0)


def test_weights_that_would_be_rounded_stay(monkeypatch):
    torch.manual_seed(0)
    assert isinstance(in_half(torch.nn.Sequential(torch.nn.Linear(4, 4)))[0], torch.nn.Linear)
    monkeypatch.setattr("aligner.models.products.has_half", lambda: False)
    assert isinstance(in_half(torch.nn.Sequential(torch.nn.Linear(4, 4, bias=False)))[0], torch.nn.Linear)


@pytest.mark.parametrize(("kernel", "dilation"), [(7, 1), (31, 1), (5, 3)])
def test_a_depthwise_convolution_is_that_of_torch(kernel, dilation):
    torch.manual_seed(0)
    ours = DepthwiseConvolution(24, kernel, dilation)
    x = torch.randn(2, 50, 24, requires_grad=True)
    weight = ours.weight.detach()
    padding = dilation * (kernel // 2)
    expected = torch.nn.functional.conv1d(
        x.transpose(1, 2), weight, ours.bias, padding=padding, dilation=dilation, groups=24
    ).transpose(1, 2)
    torch.testing.assert_close(ours(x), expected)
    given = torch.randn_like(expected)
    [by_ours], [by_torch] = (torch.autograd.grad(y, x, given, retain_graph=True) for y in (ours(x), expected))
    torch.testing.assert_close(by_ours, by_torch)


@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 0), (2, 1)])
def test_a_convolution_as_a_product_is_that_of_torch(stride, padding):
    torch.manual_seed(0)
    ours, x = Convolution(6, 5, 3, stride, padding), torch.randn(2, 21, 6)
    expected = torch.nn.functional.conv1d(x.transpose(1, 2), ours.weight, ours.bias, stride, padding)
    torch.testing.assert_close(ours(x), expected.transpose(1, 2))


def test_a_head_that_is_still_trained_is_not_frozen_by_what_it_said():
    head = a_head()
    before = head.scores(SPEECH)
    with torch.no_grad():
        head.out.bias += torch.tensor([1.0, 0.0, -1.0])
    assert not torch.allclose(head.scores(SPEECH), before)
