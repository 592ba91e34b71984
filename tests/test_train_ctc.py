"""CTC networks: the loss is what it says, a language of tones is learnt, and what is saved comes back."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from itertools import groupby, pairwise, product

import numpy as np
import pytest
import torch
from support.bars import at_most

from aligner.models import neural
from aligner.models.neural import Shape, TcnNetwork, log_mel
from aligner.train.ctc import Example, Options, fit, least_frames, masks, prior_ctc_loss, train
from aligner.types import DataError, ModelError

RATE = 16_000
SENTENCES = 90
TONES = {"A": 300, "B": 520, "C": 900, "D": 1560, "E": 2700}  # Hz
LABELS = ["<blank>", *TONES]
SMALL = Shape(width=32, layers=3, kernel=5, dropout=0.0)
QUICK = Options(epochs=15, batch_seconds=3, learning_rate=4e-3, alpha=0.3, masking=False, shape=SMALL)


def sentence(rng):
    """A wave of tones, their columns, and the times of the boundaries in seconds."""
    length, spoken = rng.integers(2, 5), [int(rng.integers(1, 6))]
    while len(spoken) < length:
        spoken += [c for c in [int(rng.integers(1, 6))] if c != spoken[-1]]
    durations = rng.uniform(0.06, 0.16, len(spoken))
    parts = []
    for column, duration in zip(spoken, durations, strict=True):
        times = np.arange(round(duration * RATE)) / RATE
        parts.append(0.1 * np.sin(2 * np.pi * TONES[LABELS[column]] * times + rng.uniform(0, 6)))
    wave = np.concatenate(parts)
    wave += 1e-3 * rng.standard_normal(len(wave))
    edges = np.cumsum([len(part) for part in parts[:-1]]) / RATE
    return torch.from_numpy(wave.astype(np.float32)), spoken, edges


def language(count, seed):
    rng = np.random.default_rng(seed)
    return [sentence(rng) for _ in range(count)]


def examples(count, seed):
    return [Example(f"{k}", wave, labels) for k, (wave, labels, _) in enumerate(language(count, seed))]


@pytest.fixture(scope="module")
def learnt():
    return train(examples(SENTENCES, seed=1), LABELS, QUICK)


def test_a_language_of_tones_is_learnt(learnt):
    for wave, labels, _ in language(10, seed=2):
        said = [k for k, _ in groupby(learnt.network(wave).argmax(1).tolist()) if k != learnt.network.blank]
        assert said == labels


@pytest.fixture
def boundary_errors(torchaudio):
    """Aligned by a peer, so that what is judged is the network alone."""
    return partial(errors_by, torchaudio.functional)


def errors_by(peer, network):
    """Of sentences that it has not heard, in seconds."""
    errors = []
    for wave, labels, edges in language(10, seed=2):
        path, scores = peer.forced_align(network(wave)[None], torch.tensor([labels]), blank=0)
        spans = peer.merge_tokens(path[0], scores[0], blank=0)
        middles = [(a.end + b.start) / 2 for a, b in pairwise(spans)]
        errors += [abs(network.clock.boundary(t) - edge) for t, edge in zip(middles, edges, strict=True)]
    return np.array(errors)


def test_its_boundaries_are_where_the_tones_change(learnt, boundary_errors):
    errors = boundary_errors(learnt.network)
    assert errors.mean() <= at_most(0.00177)
    assert errors.max() <= at_most(0.00457)


@pytest.mark.slow
def test_without_priors_it_is_peaky_and_less_accurate(learnt, boundary_errors):
    plain = train(examples(SENTENCES, seed=1), LABELS, replace(QUICK, alpha=0.0))
    losses = [epoch.loss for epoch in plain.history]
    assert losses[-1] < 0.2 < 1 < losses[0]
    assert learnt.history[-1].blank < 0.5 * plain.history[-1].blank
    assert boundary_errors(learnt.network).mean() < 0.5 * boundary_errors(plain.network).mean()
    assert plain.network.alpha == 0


def test_priors_are_the_mean_posteriors(learnt):
    network = learnt.network
    posteriors = torch.cat([network(e.wave) for e in examples(SENTENCES, seed=1)]).exp()
    assert torch.allclose(network.log_priors.exp(), posteriors.mean(0), atol=0.02)
    assert network.alpha == QUICK.alpha


def every_path(labels, frames):
    """All rows of columns (0 is the blank) that say these labels."""
    for path in product(range(3), repeat=frames):
        if [k for k, _ in groupby(path) if k] == labels:
            yield path


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("labels", [[1, 2], [1, 1], [2]])
def test_the_loss_and_its_gradient_are_those_of_all_paths(alpha, labels):
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(2, 4, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    priors = torch.tensor([0.7, 0.2, 0.1], dtype=torch.float64).log()
    counts = torch.tensor([4, 3])
    found = prior_ctc_loss(
        logits.log_softmax(2),
        counts,
        torch.tensor(labels * 2),
        torch.tensor([len(labels)] * 2),
        log_priors=priors,
        alpha=alpha,
        blank=0,
    )
    ratios = logits.log_softmax(2) - alpha * priors
    expected = torch.stack(
        [
            -torch.stack([sum(row[t, k] for t, k in enumerate(p)) for p in every_path(labels, n)]).logsumexp(
                0
            )
            for row, n in zip(ratios, counts.tolist(), strict=True)
        ]
    )
    torch.testing.assert_close(found, expected)
    slopes = [torch.autograd.grad(loss.sum(), logits, retain_graph=True)[0] for loss in (found, expected)]
    torch.testing.assert_close(*slopes)


def test_without_alpha_it_is_plain_ctc():
    generator = torch.Generator().manual_seed(4)
    posteriors = torch.randn(3, 20, 6, generator=generator).log_softmax(2)
    counts, sizes, targets = torch.tensor([20, 15, 8]), torch.tensor([5, 4, 3]), torch.randint(1, 6, (12,))
    expected = torch.nn.functional.ctc_loss(
        posteriors.transpose(0, 1), targets, counts, sizes, reduction="none"
    )
    found = prior_ctc_loss(posteriors, counts, targets, sizes, log_priors=torch.randn(6), alpha=0.0, blank=0)
    torch.testing.assert_close(found, expected)


def some_waves():
    return [wave for wave, _, _ in language(3, seed=5)]


def test_a_batch_hears_what_each_hears_alone():
    network = TcnNetwork(LABELS, SMALL).eval()
    waves = some_waves()
    lengths = torch.tensor([len(w) for w in waves])
    padded = torch.nn.utils.rnn.pad_sequence(waves, batch_first=True, padding_value=0.5)
    posteriors, counts = network.batch(padded, lengths)
    for wave, row, count in zip(waves, posteriors, counts, strict=True):
        torch.testing.assert_close(network(wave), row[:count].detach(), rtol=1e-4, atol=1e-5)


def test_pieces_are_as_the_whole(monkeypatch):
    network = TcnNetwork(LABELS, SMALL).eval()
    wave = torch.cat(some_waves())
    whole = network(wave)
    monkeypatch.setattr(neural, "PIECE_FRAMES", 10)
    torch.testing.assert_close(network(wave), whole, rtol=1e-4, atol=1e-4)
    assert len(whole) > 5 * 10


def test_frames_lie_where_the_clock_says():
    wave = torch.zeros(RATE)
    wave[8000] = 0.5
    level = log_mel(wave).mean(1)
    touched = (level > (level.max() + level.min()) / 2).nonzero()[:, 0]
    middle = (neural.CLOCK.boundary(int(touched[0])) + neural.CLOCK.boundary(int(touched[-1]) + 1)) / 2
    assert abs(middle - 8000 / RATE) <= 0.005


def test_the_reach_is_what_moves_a_posterior():
    network = TcnNetwork(LABELS, SMALL).eval()
    frames = torch.randn(1, 121, neural.MELS, requires_grad=True)
    [slope] = torch.autograd.grad(network.encode(frames, torch.tensor([121]))[0, 60].square().sum(), frames)
    touched = slope[0].abs().sum(1).nonzero()[:, 0]
    assert (touched.min(), touched.max()) == (60 - SMALL.reach, 60 + SMALL.reach)


@pytest.mark.parametrize("samples", [1, 399, 401, 560])
def test_the_shortest_waves(samples):
    assert TcnNetwork(LABELS, SMALL).eval()(torch.ones(samples)).isfinite().all()


def test_what_is_saved_comes_back(learnt, tmp_path):
    learnt.network.save(tmp_path / "model")
    again = TcnNetwork.load(tmp_path / "model")
    [wave, *_] = some_waves()
    assert torch.equal(again(wave), learnt.network(wave))
    assert torch.equal(again.log_priors, learnt.network.log_priors)
    kept = ("labels", "blank", "boundary", "case", "star", "clock", "shape", "alpha", "seed", "training")
    assert [getattr(again, name) for name in kept] == [getattr(learnt.network, name) for name in kept]
    assert sorted(p.name for p in (tmp_path / "model").iterdir()) == ["ctc.json", "model.safetensors"]


def spoil(folder, name, change):
    path = folder / name
    if change is None:
        path.unlink()
    elif isinstance(change, bytes):
        path.write_bytes(change)
    else:
        path.write_text(json.dumps(json.loads(path.read_text()) | change))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("ctc.json", None),
        ("model.safetensors", None),
        ("ctc.json", b"{"),
        ("ctc.json", b"\xff\xfe\xfa"),
        ("ctc.json", b"[]"),
        ("ctc.json", b"{}"),
        ("model.safetensors", b"not weights"),
        ("ctc.json", {"labels": ["a", "b"]}),
        ("ctc.json", {"labels": 3}),
        ("ctc.json", {"shape": {"width": 16, "layers": 4, "kernel": 5, "dropout": 0.0}}),
        ("ctc.json", {"shape": {"depth": 3}}),
        ("ctc.json", {"kind": "transformer"}),
        ("ctc.json", {"clock": {"hop": 320, "window": 400, "rate": 16000}}),
        ("ctc.json", {"blank": 17}),
        ("ctc.json", {"log_priors": [0.0]}),
    ],
)
def test_damaged_files_are_told(tmp_path, name, change):
    TcnNetwork(LABELS, SMALL).save(tmp_path)
    spoil(tmp_path, name, change)
    with pytest.raises(ModelError, match=r"train the model again"):
        TcnNetwork.load(tmp_path)


def test_weights_that_are_not_numbers_are_told(tmp_path):
    network = TcnNetwork(LABELS, SMALL)
    network.last.bias.data[0] = torch.nan
    network.save(tmp_path)
    with pytest.raises(ModelError, match="not finite"):
        TcnNetwork.load(tmp_path)


def test_a_seed_gives_one_network_and_leaves_the_callers_numbers_alone():
    options = replace(QUICK, epochs=2, masking=True, shape=replace(SMALL, dropout=0.2))
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    first, second = (train(examples(6, seed=8), LABELS, options).network.state_dict() for _ in range(2))
    assert torch.equal(torch.rand(1), expected)
    assert all(torch.equal(first[name], second[name]) for name in first)
    other = train(examples(6, seed=8), LABELS, replace(options, seed=1)).network.state_dict()
    assert not torch.equal(first["last.weight"], other["last.weight"])


def test_examples_that_cannot_be_learnt_from_are_told():
    wave = 0.1 * torch.randn(400 + 4 * 160, generator=torch.Generator().manual_seed(9))  # five frames
    broken = torch.full((RATE,), torch.nan)
    given = [
        Example("fits", wave, [1, 1, 2]),
        Example("long", wave, [1, 2, 3, 4, 5, 1]),
        Example("twins", wave, [1] * 4),
        Example("mute", wave, []),
        Example("broken", broken, [1]),
    ]
    result = train(given, LABELS, replace(QUICK, epochs=1))
    assert [name for name, _ in result.left_out] == ["long", "twins", "mute", "broken"]
    assert result.left_out[0][1] == "its labels take at least 0.06 s, the recording has 0.05 s"
    with pytest.raises(DataError, match=r"none can be learnt from \(long: "):
        train(given[1:], LABELS, QUICK)


@pytest.mark.parametrize("labels", [[1, 2], [1, 1], [1, 2, 2, 2, 1]])
def test_the_shortest_is_exactly_what_ctc_needs(labels):
    def possible(frames):
        posteriors = torch.zeros(1, frames, 3).log_softmax(2)
        sizes = torch.tensor([len(labels)])
        loss = prior_ctc_loss(
            posteriors,
            torch.tensor([frames]),
            torch.tensor(labels),
            sizes,
            log_priors=torch.zeros(3),
            alpha=0.0,
            blank=0,
        )
        return bool(loss.isfinite())

    assert possible(least_frames(labels))
    assert not possible(least_frames(labels) - 1)


@pytest.mark.parametrize("labels", [[0], [6], [-1]])
def test_columns_that_are_no_labels_are_refused(labels):
    with pytest.raises(ValueError, match="the blank or none of the 6 columns"):
        train([Example("x", torch.rand(RATE), labels)], LABELS, QUICK)


def test_a_training_that_diverges_is_told():
    network = TcnNetwork(LABELS, SMALL)
    network.last.weight.data[0, 0] = torch.inf
    with pytest.raises(ModelError, match=r"the loss is nan at a learning rate of 0.004: take a lower one"):
        fit(network, examples(2, seed=10), QUICK)


@pytest.mark.parametrize(
    ("name", "value"), [("epochs", 0), ("batch_seconds", 0.0), ("learning_rate", -1.0), ("alpha", -0.1)]
)
def test_options_are_checked(name, value):
    with pytest.raises(ValueError, match=f"{name} is {value}"):
        replace(QUICK, **{name: value})


def test_masks_hide_little_and_only_what_is_there():
    made = masks([300, 50], 300, torch.Generator().manual_seed(11))
    assert set(made.unique().tolist()) == {0.0, 1.0}
    assert made[1, 50:].flatten(1).any(1).all()
    assert 0.5 < made.mean() < 1


@pytest.mark.gpu
@pytest.mark.parametrize("mixed", [False, True])
def test_a_gpu_learns_the_same(mixed):
    result = train(examples(SENTENCES, seed=1), LABELS, replace(QUICK, device="cuda", mixed=mixed))
    for wave, labels, _ in language(10, seed=2):
        said = [k for k, _ in groupby(result.network(wave).argmax(1).tolist()) if k]
        assert said == labels
