"""Mixture scores: the products against the formula, for every kind of sharing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal
from support.random_models import random_mixtures

from aligner.models import gmm
from aligner.models.gmm import GaussianMixtures


@pytest.mark.parametrize(
    ("books", "pdfs"), [(1, 9), (4, 9), (9, 9)], ids=["semi-continuous", "tied", "continuous"]
)
def test_scores_equal_the_formula(books, pdfs):
    mixtures = random_mixtures(books, 6, pdfs)
    frames = torch.randn(300, 5, generator=torch.Generator().manual_seed(1))  # three blocks
    asked = np.array([7, 0, 3, 8])
    torch.testing.assert_close(
        mixtures.score(frames, asked).double(), mixtures.score_naively(frames, asked), atol=2e-4, rtol=1e-5
    )


def test_the_formula_equals_scipy():
    rng = np.random.default_rng(3)
    mean, variance, weight = (
        rng.normal(size=(1, 2, 3)),
        rng.uniform(0.5, 2, (1, 2, 3)),
        np.array([[0.3, 0.7]]),
    )
    mixtures = GaussianMixtures.of([mean], [variance], [weight], np.zeros(1, np.int64))
    x = rng.normal(size=3)
    expected = np.log(
        sum(
            w * multivariate_normal(m, np.diag(v)).pdf(x)
            for w, m, v in zip(weight[0], mean[0], variance[0], strict=True)
        )
    )
    ours = mixtures.score_naively(torch.tensor(x[None], dtype=torch.float32), np.array([0]))
    assert float(ours) == pytest.approx(expected, abs=1e-5)


def test_far_away_frames_do_not_underflow():
    mixtures = random_mixtures(2, 4, 4)
    frames = torch.full((1, 5), 100.0)
    scores = mixtures.score(frames, np.arange(4))
    assert torch.isfinite(scores).all()
    torch.testing.assert_close(
        scores.double(), mixtures.score_naively(frames, np.arange(4)), rtol=1e-4, atol=1e-2
    )


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 8), min_size=1, max_size=9, unique=True), st.integers(1, 5))
def test_any_selection_in_any_order(asked, frame_count):
    mixtures = random_mixtures(4, 3, 9)
    frames = torch.randn(frame_count, 5)
    pdfs = np.array(asked)
    torch.testing.assert_close(mixtures.score(frames, pdfs), mixtures.score(frames, np.arange(9))[:, asked])


@pytest.mark.parametrize("dims", [(5,), (3, 2)])
def test_mixtures_of_different_sizes_equal_the_formula(dims):
    """Each pdf with Gaussians of its own, some without weight: at the end, and in between."""
    plain = random_mixtures(12, 11, 12, dims)
    used = np.array([1, 2, 3, 4, 5, 8, 8, 9, 11, 1, 7, 4])
    weights = [
        (s.weights * (torch.arange(11) < torch.from_numpy(used)[:, None])).numpy() for s in plain.streams
    ]
    weights[0][7, 2] = 0.0
    mixtures = GaussianMixtures.of(
        [s.means.numpy() for s in plain.streams],
        [s.covariances.numpy() for s in plain.streams],
        weights,
        plain.codebook,
    )
    assert mixtures.sizes.tolist() == used.tolist()
    frames = torch.randn(300, 5, generator=torch.Generator().manual_seed(3))
    for asked in (np.arange(12), np.array([8, 0, 5])):
        found = mixtures.score(frames, asked)
        assert found.dtype == torch.float32
        torch.testing.assert_close(
            found.double(), mixtures.score_naively(frames, asked), atol=1e-4, rtol=1e-4
        )
    assert mixtures.score(frames, np.array([], int)).shape == (300, 0)


def test_blocks_do_not_change_scores(monkeypatch):
    mixtures, frames = random_mixtures(4, 3, 9), torch.randn(50, 5)
    whole = mixtures.score(frames, np.arange(9))
    monkeypatch.setattr(gmm, "BLOCK_FRAMES", 7)
    monkeypatch.setattr(gmm, "BLOCK_NUMBERS", 0)
    torch.testing.assert_close(mixtures.score(frames, np.arange(9)), whole)


def test_embedded_model_scores_equal_the_formula(model):
    frames = torch.randn(40, 39, generator=torch.Generator().manual_seed(2)) * 3
    pdfs = np.array([0, 125, 126, 500, 2222, 5125])
    torch.testing.assert_close(
        model.score(frames, pdfs).double(), model.mixtures.score_naively(frames, pdfs), atol=0.02, rtol=1e-4
    )


# Full covariances.


def random_full(books: int, densities: int, pdfs: int, dims=(3, 2), seed: int = 0) -> GaussianMixtures:
    rng = np.random.default_rng(seed)
    means = [rng.normal(size=(books, densities, d)) for d in dims]
    roots = [rng.normal(size=(books, densities, d, d)) * 0.4 + np.eye(d) for d in dims]
    weights = [rng.dirichlet(np.ones(densities), size=pdfs) for _ in dims]
    return GaussianMixtures.of(
        means, [r @ r.swapaxes(2, 3) for r in roots], weights, np.arange(pdfs) * books // pdfs
    )


@pytest.mark.parametrize("books", [1, 4, 9], ids=["semi-continuous", "tied", "continuous"])
def test_full_covariances_equal_the_formula_and_scipy(books):
    mixtures = random_full(books, 6, 9)
    frames = torch.randn(300, 5, generator=torch.Generator().manual_seed(1))
    asked = np.array([7, 0, 3, 8])
    scores = mixtures.score(frames, asked).double()
    torch.testing.assert_close(scores, mixtures.score_naively(frames, asked), atol=2e-4, rtol=1e-4)
    expected = 0.0
    for s in mixtures.streams:
        book = mixtures.codebook[7]
        densities = [
            w * multivariate_normal(m.numpy(), c.numpy()).pdf(frames[0, s.columns].numpy())
            for w, m, c in zip(s.weights[7], s.means[book], s.covariances[book], strict=True)
        ]
        expected += np.log(sum(float(d) for d in densities))
    assert float(scores[0, 0]) == pytest.approx(expected, abs=1e-3)


def test_diagonal_and_full_are_one_where_covariances_are_diagonal():
    diagonal = random_mixtures(4, 3, 9)
    full = GaussianMixtures.of(
        [s.means.numpy() for s in diagonal.streams],
        [torch.diag_embed(s.covariances).numpy() for s in diagonal.streams],
        [s.weights.numpy() for s in diagonal.streams],
        diagonal.codebook,
    )
    frames = torch.randn(30, 5)
    torch.testing.assert_close(full.score(frames, np.arange(9)), diagonal.score(frames, np.arange(9)))


def test_full_covariances_that_are_nearly_singular_keep_their_digits():
    """Sixty dimensions, eigenvalues over four decades: a sum of products of coefficients would not."""
    rng = np.random.default_rng(0)
    basis, _ = np.linalg.qr(rng.normal(size=(60, 60)))
    covariance = (basis * np.geomspace(1e-3, 10, 60)) @ basis.T
    mixtures = GaussianMixtures.of(
        [rng.normal(size=(1, 1, 60))], [covariance[None, None]], [np.ones((1, 1))], np.zeros(1, np.int64)
    )
    frames = torch.from_numpy(rng.multivariate_normal(np.zeros(60), covariance, 50).astype(np.float32))
    exact = mixtures.score_naively(frames, np.array([0]))
    assert (mixtures.score(frames, np.array([0])) - exact).abs().max() / exact.abs().max() < 1e-4


def test_means_far_from_zero_keep_their_digits():
    rng = np.random.default_rng(0)
    means, variances = rng.normal(size=(2, 3, 8)) + 500, rng.uniform(0.5, 2, (2, 3, 8))
    mixtures = GaussianMixtures.of([means], [variances], [np.full((2, 3), 1 / 3)], np.arange(2))
    frames = torch.from_numpy((rng.normal(size=(20, 8)) + 500).astype(np.float32))
    exact = mixtures.score_naively(frames, np.arange(2))
    torch.testing.assert_close(mixtures.score(frames, np.arange(2)).double(), exact, atol=1e-2, rtol=1e-4)


def test_blocks_of_large_models_stay_small():
    assert gmm.BLOCK_FRAMES / 2 < gmm.block_length(42 * 128) <= gmm.BLOCK_FRAMES
    assert gmm.block_length(5000 * 40) < 10


def test_mixed_precision_moves_no_boundary_by_more_than_a_frame(model, timit):
    """The mixtures in bfloat16, the Gaussians not: every boundary of the labelled speech."""
    from aligner import find
    from aligner.backends.base import prepare
    from aligner.backends.hmm import HmmBackend
    from aligner.search.arcs import Arcs
    from aligner.search.viterbi import viterbi

    backend, moved, total = HmmBackend(model=model), [], 0
    for utterance in find(timit).utterances[::4]:
        ready = prepare(utterance, backend)
        arcs, boundaries = Arcs.of(ready.graph), []
        for enabled in (False, True):
            with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
                scores = model.score(ready.frames, ready.graph.pdfs)
            nodes = ready.graph.node[viterbi(arcs, scores[None]).states[0].numpy()]
            boundaries.append(np.flatnonzero(np.diff(nodes)))
        moved.append(np.abs(boundaries[0] - boundaries[1]).max())
        total += len(boundaries[0])
    assert total > 500
    assert max(moved) <= 1


def test_diagonal_mixtures_equal_kaldis():
    khg = pytest.importorskip("kaldi_hmm_gmm")
    rng = np.random.default_rng(4)
    means, variances, weights = (
        rng.normal(size=(6, 5)),
        rng.uniform(0.3, 2, (6, 5)),
        rng.dirichlet(np.ones(6)),
    )
    theirs = khg.DiagGmm(6, 5)
    theirs.set_weights(torch.tensor(weights, dtype=torch.float32).numpy())
    theirs.set_invvars_and_means((1 / variances).astype(np.float32), means.astype(np.float32))
    theirs.compute_gconsts()
    ours = GaussianMixtures.of([means[None]], [variances[None]], [weights[None]], np.zeros(1, np.int64))
    frames = rng.normal(size=(20, 5)).astype(np.float32)
    expected = [theirs.log_likelihood(frame) for frame in frames]
    assert ours.score(torch.from_numpy(frames), np.array([0]))[:, 0].tolist() == pytest.approx(
        expected, abs=1e-4
    )
