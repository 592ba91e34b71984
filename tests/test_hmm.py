"""The HMM family: every model against enumeration from its definition, against hmmlearn, and in all its
uses."""

from __future__ import annotations

import itertools
import math
import shutil
import warnings
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import nn
from torch.distributions import Categorical, Independent, MixtureSameFamily, MultivariateNormal, Normal
from torch.utils.data import DataLoader

from aligner.hmm import (
    HSMM,
    AdaptiveChunkProcessor,
    MixtureGaussianHMM,
    NeuralHMM,
    SemiMarkovHMM,
    StreamingHMM,
    StreamingHMMProcessor,
    Transitions,
    collate,
    ergodic,
    left_to_right,
    skip,
)
from aligner.hmm.semi_markov import segment_scores
from aligner.models.durations import Durations
from aligner.search.arcs import NoPath


class Learnt(nn.Module):
    """A scorer of segments for the tests: what is in a segment's first and last frame."""

    def __init__(self, dims: int, states: int, longest: int) -> None:
        super().__init__()
        self.first, self.last, self.longest = nn.Linear(dims, states), nn.Linear(dims, states), longest

    def forward(self, observations):
        first, last, frames = self.first(observations), self.last(observations), observations.shape[1]
        found = [
            torch.nn.functional.pad(
                last[:, d - 1 :] * d + first[:, : frames - d + 1], (0, 0, d - 1, 0), value=-torch.inf
            )
            for d in range(1, min(self.longest, frames) + 1)
        ]
        scores = torch.stack(found, 3)
        return torch.nn.functional.pad(scores, (0, self.longest - scores.shape[3]), value=-torch.inf)


def make(name: str, seed: int = 0, **more):
    """A small model with nothing left at its default."""
    torch.manual_seed(seed)
    some = {"num_states": 3, "obs_dim": 2}
    builders = {
        "mixture": lambda: MixtureGaussianHMM(**some, num_components=2, **more),
        "full": lambda: MixtureGaussianHMM(**some, num_components=2, covariance="full", **more),
        "left to right": lambda: MixtureGaussianHMM(**some, transitions=left_to_right(3), **more),
        "skip": lambda: MixtureGaussianHMM(**some, transitions=skip(3), **more),
        "streaming": lambda: StreamingHMM(**some, **more),
        "hsmm gamma": lambda: HSMM(**some, max_duration=4, duration="gamma", **more),
        "hsmm poisson": lambda: HSMM(
            **some, max_duration=4, min_duration=2, duration="poisson", self_loops=True, **more
        ),
        "hsmm lognormal": lambda: HSMM(**some, max_duration=4, duration="lognormal", **more),
        "hsmm free": lambda: HSMM(**some, max_duration=3, duration="free", **more),
        "segments": lambda: SemiMarkovHMM(**some, max_duration=4, num_regions=3, **more),
        "learnt": lambda: SemiMarkovHMM(**some, max_duration=4, scorer=Learnt(2, 3, 4), **more),
        "neural": lambda: NeuralHMM(**some, hidden=4, context=2, **more),
    }
    model = builders[name]()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return model


MODELS = [
    "mixture",
    "full",
    "left to right",
    "skip",
    "streaming",
    "hsmm gamma",
    "hsmm poisson",
    "hsmm lognormal",
    "hsmm free",
    "segments",
    "learnt",
    "neural",
]
FITTED = [m for m in MODELS if m not in ("learnt", "neural")]


def emission(model, mixture: int):
    """One mixture, by torch.distributions."""
    e = model.emissions
    if e.full:
        parts = MultivariateNormal(e.means[mixture], scale_tril=e.cholesky[mixture])
    else:
        parts = Independent(Normal(e.means[mixture], (0.5 * e.log_variances[mixture]).exp()), 1)
    return MixtureSameFamily(Categorical(logits=e.weight_logits[mixture]), parts)


def probabilities(model):
    """Start (S,), transitions (S, S) and where paths end (S,), by the softmax of the parameters."""
    t, states = model.transitions, model.num_states
    start = torch.where(t.begins, t.start_logits.exp(), torch.zeros(()))
    matrix = torch.zeros(states, states)
    matrix[t.source, t.target] = t.logits.exp()
    return start / start.sum(), matrix / matrix.sum(1, keepdim=True).clamp(min=1e-30), t.final.exp()


def log(x) -> float:
    return math.log(x) if x > 0 else -math.inf


def duration_table(model):
    """Probabilities (S, D) of durations, by scipy."""
    d = model.durations
    frames = np.arange(1, d.longest + 1)
    rows = []
    for p in d.parameters_.detach().double().exp().numpy():
        weight = {
            "gamma": lambda p=p: stats.gamma(p[0], scale=p[1]).pdf(frames),
            "poisson": lambda p=p: stats.poisson(p[0]).pmf(frames),
            "lognormal": lambda p=p: stats.lognorm(p[1], scale=p[0]).pdf(frames),
            "free": lambda p=p: p,
        }[d.kind]()
        weight = np.where(frames >= d.shortest, weight, 0.0)
        rows.append(weight / weight.sum())
    return np.array(rows)


def every_path(model, x):
    """All (states, log weight) that a model allows for observations (T, D), from its definition."""
    start, follow, final = (v.detach() for v in probabilities(model))
    frames = len(x)
    if isinstance(model, HSMM):
        yield from every_segmentation(model, x, start, follow, final)
        return
    if isinstance(model, NeuralHMM):
        before = torch.cat([torch.zeros(1, model.obs_dim), x[:-1]])
        heard = [model.network(before[None, : t + 1])[0, -1] for t in range(frames)]
        means = [model.means(h).view(model.num_states, -1) for h in heard]
        scores = [
            [
                float(Normal(m[s], (0.5 * model.log_variances[s]).exp()).log_prob(x[t]).sum())
                for s in range(model.num_states)
            ]
            for t, m in enumerate(means)
        ]
        follows = []
        for h in heard:
            logits = model.transitions.logits + model.changes(h)
            matrix = torch.zeros(model.num_states, model.num_states)
            matrix[model.transitions.source, model.transitions.target] = logits.exp()
            follows.append(matrix / matrix.sum(1, keepdim=True))
    else:
        scores = [
            [float(emission(model, s).log_prob(x[t])) for s in range(model.num_states)] for t in range(frames)
        ]
        follows = [follow] * frames
    for states in itertools.product(range(model.num_states), repeat=frames):
        weight = (
            log(start[states[0]]) + log(final[states[-1]]) + sum(scores[t][s] for t, s in enumerate(states))
        )
        weight += sum(log(float(follows[t][states[t - 1], states[t]])) for t in range(1, frames))
        if weight > -math.inf:
            yield states, weight


def every_segmentation(model, x, start, follow, final):
    lasting = duration_table(model)
    learnt = model.scorer(x[None])[0] if getattr(model, "scorer", None) is not None else None

    def score(s, first, end):
        if learnt is not None:
            return float(learnt[end - 1, s, end - first - 1])
        regions, d = model._regions, end - first
        return sum(
            float(emission(model, s * regions + i * regions // d).log_prob(x[first + i])) for i in range(d)
        )

    def from_(first, before):
        if first == len(x):
            yield (), log(float(final[before]))
            return
        for s in range(model.num_states):
            arc = log(float(start[s] if first == 0 else follow[before, s]))
            for d in range(1, min(lasting.shape[1], len(x) - first) + 1):
                weight = arc + log(lasting[s, d - 1])
                if weight > -math.inf:
                    weight += score(s, first, first + d)
                    for rest, more in from_(first + d, s):
                        if more > -math.inf:
                            yield (s,) * d + rest, weight + more

    yield from from_(0, -1)


@pytest.mark.parametrize("name", MODELS)
def test_every_model_equals_enumeration_from_its_definition(name):
    model = make(name)
    x = torch.randn(2, 5, 2, generator=torch.Generator().manual_seed(1))
    lengths = torch.tensor([5, 4])
    found, posteriors, best = model(x, lengths), model.posteriors(x, lengths), model.viterbi(x, lengths)
    for b, length in enumerate(lengths.tolist()):
        with torch.no_grad():
            every = list(every_path(model, x[b, :length]))
        weights = np.array([w for _, w in every])
        total = np.logaddexp.reduce(weights)
        assert found[b].item() == pytest.approx(total, abs=1e-4)
        occupied = np.zeros((length, 3))
        for states, weight in every:
            occupied[range(length), states] += math.exp(weight - total)
        np.testing.assert_allclose(posteriors.states[b, :length], occupied, atol=1e-4)
        assert best.score[b].item() == pytest.approx(weights.max(), abs=1e-4)
        assert max(w for s, w in every if s == tuple(best.states[b, :length].tolist())) == pytest.approx(
            weights.max(), abs=1e-4
        )


@pytest.mark.parametrize("name", MODELS)
def test_kernels_agree_and_likelihoods_are_differentiable(name):
    x = torch.randn(2, 9, 2, generator=torch.Generator().manual_seed(2))
    gradients = []
    for kernel in ("numba", "reference"):
        model = make(name, kernel=kernel)
        model(x, torch.tensor([9, 7])).sum().backward()
        gradients.append([p.grad for p in model.parameters()])
    for mine, theirs in zip(*gradients, strict=True):
        assert (mine is None) == (theirs is None)
        if mine is not None:
            torch.testing.assert_close(mine, theirs, atol=1e-3, rtol=1e-3)


def test_geometric_durations_make_an_hmm():
    """A state that stays with probability p lasts d frames with p ** (d - 1) * (1 - p)."""
    torch.manual_seed(3)
    hmm = MixtureGaussianHMM(3, 2, transitions=ergodic(3, stay=0.7))
    hsmm = HSMM(3, 2, max_duration=40, duration="free", transitions=ergodic(3, stay=0.7))
    hsmm.emissions.load_state_dict(hmm.emissions.state_dict())
    with torch.no_grad():
        hsmm.durations.parameters_.copy_(torch.arange(40) * math.log(0.7) + math.log(0.3))
    x = torch.randn(2, 12, 2)
    # an HMM's last segment need not end, the HSMM's does, with probability 0.3
    torch.testing.assert_close(hsmm(x) - math.log(0.3), hmm(x), atol=2e-3, rtol=1e-5)
    torch.testing.assert_close(hsmm.posteriors(x).states, hmm.posteriors(x).states, atol=2e-3, rtol=1e-3)
    assert hsmm.viterbi(x).states.tolist() == hmm.viterbi(x).states.tolist()


def test_one_region_makes_a_segment_model_an_hsmm():
    torch.manual_seed(4)
    plain = HSMM(3, 2, 2, max_duration=6)
    segments = SemiMarkovHMM(3, 2, 2, num_regions=1, max_duration=6)
    segments.load_state_dict(plain.state_dict())
    x = torch.randn(2, 20, 2)
    torch.testing.assert_close(segments(x), plain(x), atol=1e-3, rtol=1e-5)
    assert segments.viterbi(x).states.tolist() == plain.viterbi(x).states.tolist()


def test_segment_scores_are_sums_over_their_regions():
    regions = torch.randn(1, 9, 2, 3, dtype=torch.float64)
    scores = segment_scores(regions, 12)
    for t, s, d in itertools.product(range(9), range(2), range(1, 13)):
        if d > t + 1:
            assert scores[0, t, s, d - 1] == -torch.inf
        else:
            expected = sum(regions[0, t - d + 1 + i, s, i * 3 // d] for i in range(d))
            torch.testing.assert_close(scores[0, t, s, d - 1], expected)


# hmmlearn.


def hmmlearn_pair(kind: str, components: int = 1):
    """A model of theirs and one of ours with the same parameters."""
    hmmlearn = pytest.importorskip("hmmlearn.hmm")
    rng = np.random.default_rng(5)
    start, follow = rng.dirichlet(np.ones(3)), rng.dirichlet(np.ones(3), size=3)
    means = rng.normal(size=(3, components, 2)) * 2
    ours = MixtureGaussianHMM(
        3,
        2,
        components,
        covariance=kind,
        min_variance=1e-12,
        transitions=Transitions.of(torch.tensor(follow), torch.tensor(start)),
    ).double()
    weights = rng.dirichlet(np.ones(components), size=3)
    roots = rng.normal(size=(3, components, 2, 2)) + 2 * np.eye(2)
    covariances = roots @ roots.swapaxes(2, 3)
    if kind == "diag":
        covariances = np.abs(covariances.diagonal(axis1=2, axis2=3))
    # without their priors
    common = {"n_components": 3, "covariance_type": kind, "init_params": "", "min_covar": 0, "tol": -np.inf}
    if components == 1:
        theirs = hmmlearn.GaussianHMM(**common, covars_prior=0, covars_weight=1 if kind == "diag" else -3)
        theirs.means_, theirs.covars_ = means[:, 0], covariances[:, 0]
    else:
        theirs = hmmlearn.GMMHMM(
            **common, n_mix=components, covars_prior=0.0 if kind == "full" else -1.5, covars_weight=0.0
        )
        theirs.means_, theirs.covars_, theirs.weights_ = means, covariances, weights
    theirs.startprob_, theirs.transmat_ = start, follow
    with torch.no_grad():
        ours.emissions.means.copy_(torch.tensor(means))
        ours.emissions.weight_logits.copy_(torch.tensor(weights).log())
        if kind == "diag":
            ours.emissions.log_variances.copy_(torch.tensor(covariances).log())
        else:
            factors = torch.linalg.cholesky(torch.tensor(covariances))
            ours.emissions.factors.copy_(
                factors.tril(-1) + torch.diag_embed(factors.diagonal(dim1=2, dim2=3).log())
            )
    return theirs, ours


@pytest.mark.parametrize("kind", ["diag", "full"])
@pytest.mark.parametrize("components", [1, 3])
def test_likelihood_posteriors_and_paths_equal_hmmlearn(kind, components):
    theirs, ours = hmmlearn_pair(kind, components)
    x = np.random.default_rng(6).normal(size=(2, 40, 2)) * 2
    flat, lengths = x.reshape(-1, 2), [40, 40]
    score, posteriors = theirs.score_samples(flat, lengths)
    assert ours(torch.tensor(x)).sum().item() == pytest.approx(score, rel=1e-9)
    np.testing.assert_allclose(ours.posteriors(torch.tensor(x)).states.reshape(-1, 3), posteriors, atol=1e-8)
    best, states = theirs.decode(flat, lengths)
    path = ours.viterbi(torch.tensor(x))
    assert path.score.sum().item() == pytest.approx(best, rel=1e-9)
    assert path.states.flatten().tolist() == states.tolist()


@pytest.mark.parametrize("kind", ["diag", "full"])
def test_em_equals_hmmlearn_from_the_same_start(kind):
    theirs, ours = hmmlearn_pair(kind)
    x = np.random.default_rng(7).normal(size=(2, 150, 2)) * 2  # enough for no covariance to become singular
    theirs.n_iter = 5
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs.fit(x.reshape(-1, 2), [150, 150])
    ours.fit(torch.tensor(x), iterations=5, initialise=False)
    np.testing.assert_allclose(ours.emissions.means[:, 0].detach(), theirs.means_, rtol=1e-5, atol=1e-6)
    covariances = theirs.covars_ if kind == "full" else np.stack([np.diag(c) for c in theirs.covars_])
    np.testing.assert_allclose(ours.emissions.covariances[:, 0].detach(), covariances, rtol=1e-4, atol=1e-6)
    start, follow, _ = probabilities(ours.float())
    np.testing.assert_allclose(follow.detach(), theirs.transmat_, atol=1e-5)
    np.testing.assert_allclose(start.detach(), theirs.startprob_, atol=1e-5)


def test_em_of_mixtures_equals_hmmlearn_from_the_same_start():
    """Theirs takes variances about the old means; about the new ones they are less by the square of the
    step."""
    theirs, ours = hmmlearn_pair("diag", 3)
    x = np.random.default_rng(8).normal(size=(2, 80, 2)) * 2
    old = theirs.means_.copy()
    theirs.n_iter = 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs.fit(x.reshape(-1, 2), [80, 80])
    ours.fit(torch.tensor(x), iterations=1, initialise=False)
    np.testing.assert_allclose(ours.emissions.means.detach(), theirs.means_, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        ours.emissions.weight_logits.softmax(1).detach(), theirs.weights_, rtol=1e-5, atol=1e-6
    )
    expected = theirs.covars_ - (theirs.means_ - old) ** 2
    np.testing.assert_allclose(ours.emissions.covariances.detach(), expected, rtol=1e-4, atol=1e-6)


# Learning.


@pytest.mark.parametrize("name", FITTED)
@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 1000))
def test_em_never_lowers_the_likelihood(name, seed):
    model = make(name, seed, min_variance=1e-6).double()
    x = torch.randn(4, 24, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    history = model.fit(x, torch.tensor([24, 20, 17, 13]), iterations=6, initialise=False)
    assert all(b >= a - 1e-7 for a, b in itertools.pairwise(history))


@pytest.mark.parametrize("name", [m for m in MODELS if m != "learnt"])
def test_fitting_raises_the_likelihood_from_the_start(name):
    model, x = make(name), torch.randn(4, 30, 2, generator=torch.Generator().manual_seed(0)) + 3
    before = model(x).sum().item()
    history = model.fit(x, iterations=5)
    assert len(history) == 6
    assert history[-1] > before / 120
    assert model(x).sum().item() / 120 == pytest.approx(history[-1], rel=1e-3)


def test_fitting_by_gradient_works_where_em_does_too():
    model, x = make("mixture"), torch.randn(4, 30, 2)
    history = model.fit(x, iterations=20, method="gradient", learning_rate=0.05)
    assert history[-1] > history[0]


def test_fit_finds_the_model_that_drew_the_data():
    torch.manual_seed(0)
    teacher = HSMM(3, 4, max_duration=12, duration="poisson", mean_duration=6.0)
    with torch.no_grad():
        teacher.emissions.means.mul_(4)
    x, states = teacher.sample(300, batch=4, generator=torch.Generator().manual_seed(1))
    student = HSMM(3, 4, max_duration=12, duration="poisson", mean_duration=3.0)
    student.fit(x, iterations=15)
    found = student.viterbi(x).states
    agreement = max(
        (torch.tensor(p)[found] == states).float().mean().item() for p in itertools.permutations(range(3))
    )
    assert agreement > 0.95
    assert student.durations.means.tolist() == pytest.approx(teacher.durations.means.tolist(), abs=0.6)


def test_statistics_add_up():
    model, x = make("segments").double(), torch.randn(4, 15, 2, dtype=torch.float64)
    lengths = torch.tensor([15, 9, 12, 4])
    whole = model.statistics(x, lengths)
    parts = model.statistics(x[:1], lengths[:1]) + model.statistics(x[1:], lengths[1:])
    for name in whole.__dataclass_fields__:
        torch.testing.assert_close(
            torch.as_tensor(getattr(whole, name)), torch.as_tensor(getattr(parts, name))
        )
    assert whole.occupancy.sum().item() == pytest.approx(40)
    assert whole.start.sum().item() == pytest.approx(4)


def test_fit_takes_a_data_loader_with_workers():
    sequences = [
        torch.randn(int(n), 2) for n in torch.randint(5, 20, (8,), generator=torch.Generator().manual_seed(0))
    ]
    loader = DataLoader(sequences, batch_size=3, collate_fn=collate, num_workers=2)
    model = MixtureGaussianHMM(2, 2)
    history = model.fit(loader, iterations=3)
    assert history[-1] > history[0]
    together = MixtureGaussianHMM(2, 2)
    together.load_state_dict(model.state_dict())
    batch, lengths = collate(sequences)
    assert together(batch, lengths).sum().item() / lengths.sum().item() == pytest.approx(
        history[-1], rel=1e-5
    )


def test_a_gaussian_that_accounts_for_nothing_stays_finite():
    model = MixtureGaussianHMM(3, 2, 4)
    with torch.no_grad():
        model.emissions.means[0, 0] = 1e4
    history = model.fit(torch.randn(2, 10, 2), iterations=8, initialise=False)
    assert all(map(math.isfinite, history))


def test_durations_are_fitted_to_counts():
    rng = np.random.default_rng(0)
    drawn = np.clip(np.round(rng.gamma(9.0, 1.2, size=20_000)), 1, 40).astype(int)
    counts = torch.tensor(np.bincount(drawn, minlength=41)[1:][None], dtype=torch.float64)
    for kind in ("gamma", "lognormal", "poisson", "free"):
        durations = Durations(kind, 1, 40)
        durations.fit(counts)
        assert durations.means.item() == pytest.approx(drawn.mean(), rel=0.02)
        assert durations().exp().sum().item() == pytest.approx(1, abs=1e-5)
    gamma = Durations("gamma", 1, 40)
    gamma.fit(counts)
    assert gamma.parameters_.exp()[0].tolist() == pytest.approx([9.0, 1.2], rel=0.1)


def test_states_that_were_never_seen_keep_their_durations():
    durations = Durations("gamma", 2, 10)
    before = durations.parameters_[1].clone()
    durations.fit(torch.tensor([[0.0, 1, 2, 3, 1, 0, 0, 0, 0, 0], [0.0] * 10]))
    assert torch.equal(durations.parameters_[1], before)


@pytest.mark.parametrize("kind", ["gamma", "poisson", "lognormal", "free"])
def test_nothing_is_shorter_or_longer_than_allowed(kind):
    model = HSMM(2, 1, min_duration=3, max_duration=5, duration=kind)
    path = model.viterbi(torch.randn(1, 31, 1))
    edges = [*torch.nonzero(path.begins[0]).flatten().tolist(), 31]
    assert all(3 <= b - a <= 5 for a, b in itertools.pairwise(edges))
    with pytest.raises(NoPath):
        model(torch.randn(1, 2, 1))


# Drawing.


@pytest.mark.parametrize("name", [m for m in MODELS if m != "learnt"])
def test_samples_are_likelier_than_noise_and_repeatable(name):
    model = make(name)
    x, states = model.sample(60, batch=3, generator=torch.Generator().manual_seed(2))
    again, _ = model.sample(60, batch=3, generator=torch.Generator().manual_seed(2))
    assert x.shape == (3, 60, 2)
    assert states.shape == (3, 60)
    assert torch.equal(x, again)
    if bool((model.transitions.final > -1).all()):  # a draw may stop anywhere, a path of the others may not
        assert (model(x) > model(x + 5 * torch.randn(x.shape))).all()


def test_draws_follow_the_distributions():
    torch.manual_seed(1)
    model = MixtureGaussianHMM(2, 1, transitions=ergodic(2, stay=0.8))
    x, states = model.sample(4000, generator=torch.Generator().manual_seed(0))
    assert (states[0, 1:] == states[0, :-1]).float().mean().item() == pytest.approx(0.8, abs=0.03)
    for s in range(2):
        assert x[0][states[0] == s].mean().item() == pytest.approx(model.emissions.means[s].item(), abs=0.08)


def test_a_conditional_model_draws_and_maximises_nothing():
    model = make("learnt")
    for call in (lambda: model.sample(5), lambda: model.fit(torch.zeros(1, 5, 2))):
        with pytest.raises(ValueError, match=r"scorer|conditional"):
            call()


def test_a_conditional_model_learns_segmentations():
    torch.manual_seed(0)
    x = torch.randn(6, 20, 2)
    states = (x.cumsum(1)[..., 0] > 0).long()
    model = SemiMarkovHMM(2, 2, max_duration=20, scorer=Learnt(2, 2, 20), self_loops=True)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.05)
    losses = []
    for _ in range(15):
        optimiser.zero_grad()
        loss = -model.log_probability(x, states).mean()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert all(value >= 0 for value in losses)  # they are probabilities


# As torch modules.


@pytest.mark.parametrize("name", MODELS)
def test_models_are_saved_and_loaded(name, tmp_path):
    model, x = make(name), torch.randn(2, 12, 2)
    torch.save(model.state_dict(), tmp_path / "model.pt")
    other = make(name, seed=9)
    assert not torch.allclose(other(x), model(x))
    other.load_state_dict(torch.load(tmp_path / "model.pt"))
    assert torch.equal(other(x), model(x))


@pytest.mark.parametrize("name", MODELS)
def test_a_batch_is_its_sequences_whatever_the_padding(name):
    model = make(name)
    sequences = [torch.randn(n, 2) for n in (12, 5, 9)]
    batch, lengths = collate(sequences)
    batch[1, 5:] = torch.nan
    for b, own in enumerate(sequences):
        assert model(batch, lengths)[b].item() == pytest.approx(model(own[None]).item(), abs=1e-3)
        assert (
            model.viterbi(batch, lengths).states[b, : len(own)].tolist()
            == model.viterbi(own[None]).states[0].tolist()
        )
    model(batch, lengths).sum().backward()
    assert not any(p.grad.isnan().any() for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize("name", MODELS)
def test_float64_is_kept(name):
    model, x = make(name), torch.randn(2, 12, 2)
    double = make(name).double()
    assert double(x.double()).dtype == torch.float64
    torch.testing.assert_close(double(x.double()).float(), model(x), atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("name", MODELS)
def test_autocast_leaves_the_recursions_alone(name):
    """Only a network of one's own computes in the lower precision."""
    model, x = make(name), torch.randn(2, 30, 2)
    expected = model(x)
    with torch.autocast("cpu", torch.bfloat16):
        found = model(x)
    assert found.dtype == torch.float32
    tolerance = {"neural": 0.02, "learnt": 0.05}.get(name, 1e-6)
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=1e-4)
    found.sum().backward()


@pytest.mark.parametrize(
    ("name", "backend"),
    [
        ("mixture", "aot_eager"),
        ("hsmm gamma", "aot_eager"),
        ("segments", "aot_eager"),
        ("neural", "aot_eager"),
        ("mixture", "inductor"),
    ],
)
def test_models_compile(name, backend):
    if backend == "inductor" and shutil.which("g++") is None:
        pytest.skip("there is no g++, which inductor needs")
    model, x = make(name), torch.randn(2, 12, 2)
    expected = model(x)
    expected.sum().backward()
    gradients = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    model.zero_grad()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = torch.compile(model, backend=backend, fullgraph=True)(x)
        found.sum().backward()
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-5)
    for mine, theirs in zip(
        [p.grad for p in model.parameters() if p.grad is not None], gradients, strict=True
    ):
        torch.testing.assert_close(mine, theirs, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["mixture", "full", "hsmm gamma", "segments", "neural"])
def test_checkpointing_changes_nothing_but_memory(name):
    plain, thrifty = make(name), make(name, checkpoint_segments=4)
    x = torch.randn(2, 30, 2)
    kept = []
    for model in (plain, thrifty):
        numbers = 0

        def count(t):
            nonlocal numbers
            numbers += t.numel()
            return t

        with torch.autograd.graph.saved_tensors_hooks(count, lambda t: t):
            total = model(x).sum()
        kept.append(numbers)
        total.backward()
    assert kept[1] < kept[0]
    for a, b in zip(plain.parameters(), thrifty.parameters(), strict=True):
        assert (a.grad is None) == (b.grad is None)
        if a.grad is not None:
            torch.testing.assert_close(a.grad, b.grad, atol=1e-4, rtol=1e-4)


def test_batches_larger_than_memory_are_halved_with_a_note(monkeypatch):
    model, x = make("mixture"), torch.randn(7, 12, 2)
    lengths = torch.tensor([12, 3, 5, 9, 12, 1, 7])
    expected, path, posteriors = model(x, lengths), model.viterbi(x, lengths), model.posteriors(x, lengths)
    torch.testing.assert_close(model(x, lengths, chunk_size=2), expected)
    original, sizes = model.potentials, []

    def hungry(observations):
        sizes.append(len(observations))
        if len(observations) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return original(observations)

    monkeypatch.setattr(model, "potentials", hungry)
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always")
        torch.testing.assert_close(model(x, lengths), expected)
    assert [str(n.message).split(" sequences")[0] for n in notes] == [
        "out of memory: going on with 4",
        "out of memory: going on with 2",
    ]
    assert sizes == [7, 4, 2, 2, 2, 1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert model.viterbi(x, lengths).states.tolist() == path.states.tolist()
        torch.testing.assert_close(model.posteriors(x, lengths).states, posteriors.states)


def test_an_error_that_is_not_about_memory_is_not_hidden(monkeypatch):
    model = make("mixture")

    def broken(observations):
        raise RuntimeError("something else")

    monkeypatch.setattr(model, "potentials", broken)
    with pytest.raises(RuntimeError, match="something else"):
        model(torch.zeros(4, 3, 2))


@pytest.mark.parametrize(
    ("x", "lengths", "words"),
    [
        (torch.zeros(2, 5, 3), None, "observations of shape"),
        (torch.zeros(5, 2), None, "observations of shape"),
        (torch.zeros(2, 5, 2), [5], "lengths"),
        (torch.zeros(2, 5, 2), [5, 6], "lengths"),
        (torch.full((2, 5, 2), torch.nan), None, "NaN"),
    ],
)
def test_bad_observations_are_refused(x, lengths, words):
    with pytest.raises(ValueError, match=words):
        make("mixture")(x, lengths)


@pytest.mark.parametrize(
    "build",
    [
        lambda: MixtureGaussianHMM(0, 2),
        lambda: MixtureGaussianHMM(2, 2, covariance="tied"),
        lambda: MixtureGaussianHMM(2, 2, num_components=0),
        lambda: MixtureGaussianHMM(2, 2, transitions=left_to_right(3)),
        lambda: HSMM(2, 2, max_duration=3, min_duration=4),
        lambda: HSMM(2, 2, duration="normal"),
        lambda: SemiMarkovHMM(2, 2, num_regions=0),
        lambda: left_to_right(0),
        lambda: skip(3, stay=0.8, skipping=0.3),
        lambda: ergodic(2, stay=2.0),
        lambda: NeuralHMM(2, 2, transitions=left_to_right(3)),
        lambda: StreamingHMMProcessor(StreamingHMM(2, 2), chunk_size=0),
        lambda: StreamingHMMProcessor(StreamingHMM(2, 2), chunk_size=8, overlap=8, buffer_size=10),
        lambda: AdaptiveChunkProcessor(StreamingHMM(2, 2), target_latency=0),
        lambda: collate([]),
        lambda: collate([torch.zeros(3, 2), torch.zeros(3, 4)]),
        lambda: collate([torch.zeros(0, 2)]),
        lambda: make("mixture").fit(torch.zeros(1, 5, 2), method="magic"),
        lambda: make("mixture").fit([(torch.zeros(1, 5, 2), torch.tensor([5]))], torch.tensor([5])),
        lambda: SemiMarkovHMM(3, 2, max_duration=4, scorer=Learnt(2, 3, 3))(torch.zeros(1, 5, 2)),
        lambda: make("mixture").fit(torch.zeros(1, 5)),
    ],
)
def test_bad_arguments_are_refused(build):
    with pytest.raises(ValueError, match=r".{20,}"):
        build()


def test_transitions_that_lead_nowhere_or_twice_are_refused():
    with pytest.raises(ValueError, match="begin a path"):
        MixtureGaussianHMM(2, 2, transitions=Transitions.of(torch.eye(2), torch.zeros(2)))
    one = left_to_right(2)
    source, target, probability = (torch.cat([v, v[:1]]) for v in (one.source, one.target, one.probability))
    double = replace(one, source=source, target=target, probability=probability)
    with pytest.raises(ValueError, match="twice"):
        MixtureGaussianHMM(2, 2, transitions=double)


def test_nothing_costs_states_squared_unless_the_graph_is_dense():
    """30,000 states from left to right."""
    model = MixtureGaussianHMM(30_000, 1, transitions=left_to_right(30_000))
    assert sum(p.numel() for p in model.parameters()) < 200_000
    assert model.transitions().predecessors.shape == (1, 30_000, 2)


@pytest.mark.parametrize("name", MODELS)
def test_inference_mode_and_lengths_as_a_list(name):
    model, x, lengths = make(name), torch.randn(3, 9, 2), [9, 5, 7]
    usual, path = model(x, torch.tensor(lengths)), model.viterbi(x, torch.tensor(lengths))
    with torch.inference_mode():
        torch.testing.assert_close(model(x, lengths), usual)
        assert torch.equal(model.viterbi(x, lengths).states, path.states)
        assert len(model.posteriors(x, lengths)[0]) == 3


def test_frozen_parameters_stay_as_they_are():
    x = torch.randn(3, 30, 2)
    for name in ("mixture", "full", "hsmm gamma", "segments"):
        model = make(name).requires_grad_(False)
        before = {k: v.clone() for k, v in model.state_dict().items() if isinstance(v, torch.Tensor)}
        model.fit(x, iterations=2)
        assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items() if k in before)
        model.emissions.requires_grad_(True)
        assert (
            model.fit(x, iterations=3, initialise=False)[-1]
            > model.fit(x, iterations=0, initialise=False)[0] - 1
        )
        assert torch.equal(model.state_dict()["transitions.logits"], before["transitions.logits"])


def test_other_durations_are_not_loaded_in_silence():
    with pytest.raises(ValueError, match="durations saved were"):
        HSMM(2, 2, max_duration=5, duration="gamma").load_state_dict(
            HSMM(2, 2, max_duration=5, duration="lognormal").state_dict()
        )


def test_states_without_arcs():
    """One state from left to right has no arc but its loop."""
    model = HSMM(1, 2, max_duration=30, transitions=left_to_right(1))
    assert model(torch.randn(2, 9, 2)).isfinite().all()
    assert model.fit(torch.randn(2, 9, 2), iterations=2)
    nowhere = Transitions.of(torch.tensor([[0.5, 0.5], [0.0, 0.0]]), torch.tensor([1.0, 0.0]))
    assert NeuralHMM(2, 2, transitions=nowhere).sample(20)[1].shape == (1, 20)
    assert MixtureGaussianHMM(2, 2, transitions=Transitions.of(torch.zeros(2, 2), torch.ones(2)))(
        torch.zeros(1, 1, 2)
    )


def test_a_sequence_without_a_path_is_named_whatever_the_chunks():
    model = MixtureGaussianHMM(4, 2, transitions=left_to_right(4))
    for chunk_size in (None, 2):
        with pytest.raises(NoPath) as error:
            model(torch.randn(6, 9, 2), [9, 9, 9, 9, 9, 3], chunk_size=chunk_size)
        assert error.value.utterances == (5,)


def test_a_frame_that_is_impossible_bars_only_the_segments_over_it():
    regions = torch.zeros(1, 4, 1, 2)
    regions[0, 1] = -torch.inf
    scores = segment_scores(regions, 4)[0, :, 0]
    assert scores[2].tolist() == [0, -math.inf, -math.inf, -math.inf]
    assert scores[3].tolist() == [0, 0, -math.inf, -math.inf]


def test_segment_models_are_found_from_the_data():
    """Regions that differ as much as states do have to be told apart, in any order of states."""
    torch.manual_seed(1)
    teacher = SemiMarkovHMM(3, 4, num_regions=3, max_duration=15, mean_duration=9.0)
    with torch.no_grad():
        teacher.emissions.means.mul_(1.5)
    x, _ = teacher.sample(300, batch=4, generator=torch.Generator().manual_seed(1))
    student = SemiMarkovHMM(3, 4, num_regions=3, max_duration=15)
    best = max(student.fit(x, iterations=20, seed=seed)[-1] for seed in range(2))
    assert best > teacher(x).sum().item() / 1200 - 0.05


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda: make("mixture")(np.zeros((1, 5, 2))), TypeError),
        (lambda: MixtureGaussianHMM(2, 2, transitions=torch.eye(2)), TypeError),
        (lambda: MixtureGaussianHMM(2, 2, kernel="cuda"), ValueError),
        (lambda: Transitions.of(torch.eye(2), torch.ones(3)), ValueError),
        (
            lambda: MixtureGaussianHMM(2, 2, transitions=Transitions.of(-torch.eye(2), torch.ones(2))),
            ValueError,
        ),
        (
            lambda: MixtureGaussianHMM(
                2, 2, transitions=Transitions.of(torch.eye(2), torch.ones(2) * math.nan)
            ),
            ValueError,
        ),
        (lambda: HSMM(2, 2, mean_duration=-3.0), ValueError),
        (lambda: NeuralHMM(2, 2, context=0), ValueError),
        (lambda: NeuralHMM(2, 2, network=nn.Linear(2, 3))(torch.zeros(1, 5, 2)), ValueError),
        (lambda: make("mixture").sample(0), ValueError),
        (lambda: make("neural").sample(5, batch=0), ValueError),
        (lambda: make("mixture").fit([]), ValueError),
        (lambda: make("neural").fit([]), ValueError),
        (lambda: make("mixture").fit([torch.zeros(5, 2)]), ValueError),
        (lambda: make("mixture").fit(torch.full((1, 9, 2), math.inf)), ValueError),
        (lambda: make("mixture").fit(torch.zeros(1, 9, 2), iterations=-1), ValueError),
        (lambda: make("segments").log_probability(torch.zeros(1, 5, 2), torch.full((1, 5), 3)), ValueError),
        (
            lambda: make("segments").log_probability(torch.zeros(2, 5, 2), torch.zeros(1, 5).long()),
            ValueError,
        ),
        (lambda: collate([[1.0, 2.0]]), TypeError),
        (lambda: StreamingHMMProcessor(make("hsmm gamma")), TypeError),
        (lambda: StreamingHMMProcessor(make("neural")), TypeError),
    ],
)
def test_what_does_not_fit_is_told_in_our_words(call, kind):
    with pytest.raises(kind, match=r".{20,}"):
        call()


def test_a_gru_may_be_the_network():
    model = NeuralHMM(3, 2, hidden=5, network=nn.GRU(2, 5, batch_first=True))
    assert model.fit(torch.randn(3, 20, 2).double(), iterations=2)[-1] > -100


def test_known_segmentations_may_be_padded():
    model, x = make("learnt"), torch.randn(2, 8, 2)
    states = torch.tensor([[0] * 3 + [1] * 3 + [2] * 2, [1] * 2 + [0] * 2 + [-1] * 4], dtype=torch.int32)
    expected = model.log_probability(x[1:, :4], states[1:, :4])
    x[1, 4:] = math.nan
    assert model.log_probability(x, states, [8, 4])[1].item() == pytest.approx(expected.item(), abs=1e-4)


# Streams.


def test_processors_take_pieces_of_any_length():
    model = StreamingHMM(4, 3)
    x, _ = model.sample(200, generator=torch.Generator().manual_seed(0))
    expected = model.viterbi(x).states[0]
    rng = np.random.default_rng(0)
    for processor in (
        StreamingHMMProcessor(model, chunk_size=16, buffer_size=100),
        AdaptiveChunkProcessor(model, target_latency=0.2),
    ):
        for _ in range(2):  # finish() begins anew
            told, first = [], 0
            cuts = sorted(rng.integers(0, 201, 40))
            for a, b in itertools.pairwise([0, *cuts, 200]):
                result = processor.process_chunk(x[0, a:b])
                assert result.first == first
                first += len(result.states)
                told.append(result.states)
            told.append(processor.finish().states)
            assert torch.equal(torch.cat(told), expected)


def test_an_overlap_bounds_the_delay():
    model = StreamingHMM(30, 2, transitions=left_to_right(30, stay=0.9))
    processor = StreamingHMMProcessor(model, chunk_size=5, overlap=10, buffer_size=20)
    x, told = torch.randn(200, 2), 0
    for t, piece in enumerate(x.split(5)):
        told += len(processor.process_chunk(piece).states)
        assert told >= 5 * (t + 1) - 10


class SlowDecoder:
    """A decoder of one state, with a clock of its own: a chunk takes ``cost`` seconds and 1 ms a frame."""

    def __init__(self):
        self.decided, self.cost, self.now = 0, 0.04, 0.0

    def advance(self, chunk):
        self.decided += len(chunk)
        self.now += self.cost + 0.001 * len(chunk)
        return torch.zeros(len(chunk), dtype=torch.int64)

    def finish(self):
        return torch.zeros(0, dtype=torch.int64)


def test_the_chunk_size_follows_the_latency():
    """Frames come every 10 ms."""
    decoder = SlowDecoder()
    model = SimpleNamespace(obs_dim=2, decoder=lambda lag: decoder)
    processor = AdaptiveChunkProcessor(
        model, target_latency=0.2, hop=0.01, chunk_size=1, max_chunk_size=64, clock=lambda: decoder.now
    )
    for _ in range(100):
        processor.process_chunk(torch.zeros(4, 2))
    assert 4 <= processor.chunk_size <= 16
    assert processor.latency <= 0.2
    decoder.cost = 0.15  # the machine is busy now
    sizes = []
    for _ in range(60):
        processor.process_chunk(torch.zeros(4, 2))
        sizes.append(processor.chunk_size)
    assert min(sizes[-20:]) < 8


def test_processors_refuse_other_shapes_and_hear_nothing_of_bad_pieces():
    model = StreamingHMM(2, 3)
    processor, x = StreamingHMMProcessor(model, chunk_size=4), torch.randn(40, 3)
    told = []
    for piece in x.split(10):
        for bad in (torch.zeros(4, 2), torch.full((12, 3), math.nan)):
            with pytest.raises(ValueError, match="observations"):
                processor.process_chunk(bad)
        told.append(processor.process_chunk(piece).states)
    told.append(processor.finish().states)
    assert torch.equal(torch.cat(told), model.viterbi(x[None]).states[0])


def test_a_processor_begins_anew_even_where_there_was_no_path():
    model = StreamingHMM(5, 2, transitions=left_to_right(5))
    processor = StreamingHMMProcessor(model, chunk_size=16)
    processor.process_chunk(torch.zeros(3, 2))
    with pytest.raises(NoPath):
        processor.finish()
    first = processor.process_chunk(torch.zeros(32, 2)).states
    assert len(first) + len(processor.finish().states) == 32


def test_the_buffer_bounds_what_is_open():
    model = StreamingHMM(40, 2, transitions=left_to_right(40, stay=0.9))
    processor = AdaptiveChunkProcessor(
        model, target_latency=10.0, chunk_size=4, max_chunk_size=64, buffer_size=70
    )
    for t in range(1, 60):
        processor.process_chunk(torch.randn(8, 2))
        search = processor._decoder.search
        assert search.heard - search.reported <= 70, t
