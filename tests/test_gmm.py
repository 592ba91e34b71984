"""Mixture scores: the products against the formula, for every kind of sharing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from aligner.models import gmm
from aligner.models.gmm import GaussianMixtures


def random_mixtures(books: int, densities: int, pdfs: int, dims=(3, 2), seed: int = 0) -> GaussianMixtures:
    rng = np.random.default_rng(seed)
    means = [rng.normal(size=(books, densities, d)) for d in dims]
    variances = [rng.uniform(0.3, 2, size=(books, densities, d)) for d in dims]
    weights = [rng.dirichlet(np.ones(densities), size=pdfs) for _ in dims]
    return GaussianMixtures.of(means, variances, weights, np.arange(pdfs) * books // pdfs)


@pytest.mark.parametrize(("books", "pdfs"), [(1, 9), (4, 9), (9, 9)], ids=["semi-continuous", "tied", "continuous"])
def test_scores_equal_the_formula(books, pdfs):
    mixtures = random_mixtures(books, 6, pdfs)
    frames = torch.randn(300, 5, generator=torch.Generator().manual_seed(1))  # three blocks
    asked = np.array([7, 0, 3, 8])
    torch.testing.assert_close(
        mixtures.score(frames, asked).double(), mixtures.score_naively(frames, asked), atol=2e-4, rtol=1e-5
    )


def test_the_formula_equals_scipy():
    rng = np.random.default_rng(3)
    mean, variance, weight = rng.normal(size=(1, 2, 3)), rng.uniform(0.5, 2, (1, 2, 3)), np.array([[0.3, 0.7]])
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
    torch.testing.assert_close(scores.double(), mixtures.score_naively(frames, np.arange(4)), rtol=1e-4, atol=1e-2)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 8), min_size=1, max_size=9, unique=True), st.integers(1, 5))
def test_any_selection_in_any_order(asked, frame_count):
    mixtures = random_mixtures(4, 3, 9)
    frames = torch.randn(frame_count, 5)
    pdfs = np.array(asked)
    torch.testing.assert_close(mixtures.score(frames, pdfs), mixtures.score(frames, np.arange(9))[:, asked])


def test_blocks_do_not_change_scores(monkeypatch):
    mixtures, frames = random_mixtures(4, 3, 9), torch.randn(50, 5)
    whole = mixtures.score(frames, np.arange(9))
    monkeypatch.setattr(gmm, "BLOCK", 7)
    torch.testing.assert_close(mixtures.score(frames, np.arange(9)), whole)


def test_embedded_model_scores_equal_the_formula(model):
    frames = torch.randn(40, 39, generator=torch.Generator().manual_seed(2)) * 3
    pdfs = np.array([0, 125, 126, 500, 2222, 5125])
    torch.testing.assert_close(
        model.score(frames, pdfs).double(), model.mixtures.score_naively(frames, pdfs), atol=0.02, rtol=1e-4
    )
