"""Dynamic time warping against librosa and enumeration of all paths, and the kernels against the
references."""

from __future__ import annotations

import resource

import librosa
import numpy as np
import pytest
import torch
from scipy.signal import lfilter
from scipy.spatial.distance import cdist

from aligner.search.arcs import NoPath
from aligner.search.dtw import DISTANCES, accumulate, distances, dtw, dtw_features, fast_dtw
from aligner.search.soft_dtw import soft_dtw
from aligner.search.steps import (
    ASYMMETRIC,
    MULLER,
    SAKOE_CHIBA_P05,
    SAKOE_CHIBA_P1,
    SAKOE_CHIBA_P2,
    SYMMETRIC1,
    SYMMETRIC2,
    Itakura,
    Rules,
    SakoeChiba,
    Steps,
)

KERNELS = ["reference", "numba", "triton"]
FAST = ["reference", "numba"]  # the interpreter takes a second for ten frames
DEVICE = {"triton": "cuda" if torch.cuda.is_available() else "cpu"}
FREE = Steps(((1, 0), (2, 1), (0, 2), (1, 1), (0, 1)), mul=(0.5, 2, 0, 1, 0.7), add=(0.1, 0, 0.3, -0.2, 0.05))
PATTERNS = {
    "symmetric1": SYMMETRIC1,
    "symmetric2": SYMMETRIC2,
    "asymmetric": ASYMMETRIC,
    "muller": MULLER,
    "turned": Steps(((1, 1), (1, 0), (0, 1))),
    "free": FREE,
}
PASSING = {"P05": SAKOE_CHIBA_P05, "P1": SAKOE_CHIBA_P1, "P2": SAKOE_CHIBA_P2}
PASSING["level"] = Steps(
    ((0, 2), (1, 1), (1, 0)), (1, 2, 1), (0.1, 0, 0), (((0, 1, 0.5),), ((0, 1, 0.2),), ())
)


def random_cost(rows: int, columns: int, seed: int = 0, whole: bool = False) -> np.ndarray:
    """Costs; whole numbers, for many paths to cost the same."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 3, (rows, columns)).astype(float) if whole else rng.random((rows, columns))


def single(cost: np.ndarray, rules: Rules = Rules(), kernel: str = "auto"):  # noqa: B008
    """Path and cost of one pair."""
    found = dtw(torch.tensor(cost)[None].to(DEVICE.get(kernel, "cpu")), rules=rules, kernel=kernel)
    assert found.cells.item() == found.path.shape[1]
    return found.path[0].cpu().numpy(), found.cost.item()


def librosas(cost: np.ndarray, steps: Steps, **more):
    """Sums and path, from its beginning; no path where it has none."""
    sizes = np.array(steps.sizes)
    weights = {"weights_mul": np.array(steps.mul), "weights_add": np.array(steps.add)}
    totals = librosa.sequence.dtw(C=cost, step_sizes_sigma=sizes, backtrack=False, **weights, **more)
    try:
        return totals, librosa.sequence.dtw(C=cost, step_sizes_sigma=sizes, **weights, **more)[1][::-1]
    except librosa.ParameterError:
        return totals, None


@pytest.mark.parametrize("share", [None, 0.25, 0.6])
@pytest.mark.parametrize("subsequence", [False, True])
@pytest.mark.parametrize("steps", PATTERNS.values(), ids=PATTERNS)
@pytest.mark.parametrize("kernel", FAST)
def test_sums_and_paths_are_librosas(kernel, steps, subsequence, share):
    rules = Rules(steps, subsequence, share and SakoeChiba(share=share))
    more = {"subseq": subsequence} | ({"global_constraints": True, "band_rad": share} if share else {})
    for seed, (rows, columns) in enumerate([(1, 1), (1, 5), (6, 9), (15, 15), (17, 23), *[(9, 4), (7, 1)]]):
        if subsequence and rows > columns:
            continue  # librosa then turns the path around
        for whole in (False, True):
            cost = random_cost(rows, columns, seed, whole)
            totals, path = librosas(cost, steps, **more)
            mine = accumulate(torch.tensor(cost)[None], rules=rules, kernel=kernel)[0]
            assert np.array_equal(mine, totals)
            if path is None:
                with pytest.raises(NoPath):
                    single(cost, rules, kernel)
                continue
            found, total = single(cost, rules, kernel)
            assert total == (totals[-1].min() if subsequence else totals[-1, -1])
            # librosa stops at the first cell of row 0, beginning there or not
            if subsequence and steps is FREE:
                found = found[(found[:, 0] > 0).argmax() - 1 :] if found[-1, 0] else found[-1:]
            assert np.array_equal(found, path)


def every_path(rows: int, columns: int, rules: Rules, allowed, way=()):
    """(cells, their weights, what is added) of all paths: enumerated from the end."""
    ends = [(rows - 1, j) for j in (range(columns) if rules.subsequence else [columns - 1])]
    todo = [(end, [], 0.0) for end in ends]
    while todo:
        (i, j), cells, added = todo.pop()
        if (i, j) == (0, 0) or (rules.subsequence and i == 0):
            whole = [((i, j), 1.0), *cells]
            if all(allowed(*cell) for cell, _ in whole):
                yield whole, added
        for size, mul, add, via in zip(
            *(getattr(rules.steps, n) for n in ("sizes", "mul", "add", "via")), strict=True
        ):
            before = i - size[0], j - size[1]
            if min(before) >= 0:
                passed = sorted(((i - a, j - b), w) for a, b, w in via)
                todo.append((before, [*passed, ((i, j), mul), *cells], added + add))


def allowed_by(band, rows, columns):
    """The rule of each band, from its definition."""

    def allowed(i, j):
        if band is None:
            return True
        if isinstance(band, SakoeChiba):
            low, high = sorted((0, columns - rows))
            return low - band.radius <= j - i <= high + band.radius
        s, a, b = band.slope, rows - 1 - i, columns - 1 - j
        return i <= s * j + 1e-9 and j <= s * i + 1e-9 and a <= s * b + 1e-9 and b <= s * a + 1e-9

    return allowed


BANDS = [None, SakoeChiba(radius=0), SakoeChiba(radius=1), Itakura(), Itakura(1.5)]


@pytest.mark.parametrize("band", BANDS, ids=str)
@pytest.mark.parametrize("subsequence", [False, True])
@pytest.mark.parametrize("steps", [*PATTERNS.values(), *PASSING.values()], ids=[*PATTERNS, *PASSING])
@pytest.mark.parametrize("kernel", FAST)
def test_the_cheapest_of_all_paths_is_found(kernel, steps, subsequence, band):
    rules = Rules(steps, subsequence, band)
    for seed, (rows, columns) in enumerate([(1, 1), (2, 3), (4, 4), (4, 5), (5, 3)]):
        cost = random_cost(rows, columns, seed)
        cost[rows // 2, columns // 2] = np.inf if seed == 3 else 0.5
        paths = {
            tuple(cell for cell, _ in cells): added
            + sum(w * cost[c] if w else 0.0 * np.isinf(cost[c]) for c, w in cells)
            for cells, added in every_path(rows, columns, rules, allowed_by(band, rows, columns))
            if np.isfinite([cost[c] for c, _ in cells]).all()
        }
        if not paths:
            with pytest.raises(NoPath, match="pair 0 of the batch"):
                single(cost, rules, kernel)
            continue
        found, total = single(cost, rules, kernel)
        assert total == pytest.approx(min(paths.values()))
        assert paths[tuple(map(tuple, found.tolist()))] == pytest.approx(total)


CASES = {
    "plain": Rules(),
    "subsequence": Rules(ASYMMETRIC, True),
    "passing": Rules(SAKOE_CHIBA_P1, band=SakoeChiba(radius=3)),
    "free": Rules(FREE, band=Itakura(3.0)),
    "level": Rules(PASSING["level"]),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rules", CASES.values(), ids=CASES)
@pytest.mark.parametrize("kernel", ["numba", "triton"])
def test_kernels_give_the_references_sums_and_paths(kernel, rules, dtype):
    generator = torch.Generator().manual_seed(1)
    cost = torch.rand(2, 5, 6, generator=generator, dtype=dtype)
    cost[0, 2, 4], cost[1, 4:], cost[1, :, 4:] = torch.inf, torch.nan, -torch.inf  # padding is not read
    lengths = torch.tensor([[5, 6], [4, 4]])
    expected, sums = dtw(cost, lengths, rules, "reference"), accumulate(cost, lengths, rules, "reference")
    there = cost.to(DEVICE.get(kernel, "cpu"))
    found = dtw(there, lengths, rules, kernel)
    for mine, theirs in zip(found, expected, strict=True):
        assert torch.equal(mine.cpu(), theirs)
    if dtype == torch.float64 and rules in (CASES["plain"], CASES["passing"]):  # the interpreter is slow
        assert torch.equal(accumulate(there, lengths, rules, kernel).cpu(), sums)


@pytest.mark.parametrize("rules", [*CASES.values(), Rules(SAKOE_CHIBA_P05), Rules(MULLER, True)])
def test_numba_equals_the_reference_at_length(rules):
    cost = torch.rand(3, 60, 80, generator=torch.Generator().manual_seed(2))
    lengths = torch.tensor([[60, 80], [50, 60], [1, 1]])
    if rules.steps is FREE:
        lengths[2] = torch.tensor([40, 40])
    for mine, theirs in zip(dtw(cost, lengths, rules), dtw(cost, lengths, rules, "reference"), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize("kernel", FAST)
def test_a_batch_gives_what_each_gives_alone(kernel):
    cost = torch.rand(4, 20, 25, generator=torch.Generator().manual_seed(3))
    lengths = torch.tensor([[20, 25], [1, 1], [13, 25], [20, 7]])
    together = dtw(cost, lengths, Rules(SYMMETRIC2), kernel)
    soft = soft_dtw(cost, lengths, 0.5, kernel)
    for b, (t, u) in enumerate(lengths.tolist()):
        alone = dtw(cost[b : b + 1, :t, :u], None, Rules(SYMMETRIC2), kernel)
        assert together.cost[b] == alone.cost[0]
        assert torch.equal(together.path[b, : together.cells[b]], alone.path[0])
        assert (together.path[b, together.cells[b] :] == -1).all()
        assert soft[b].item() == pytest.approx(
            soft_dtw(cost[b : b + 1, :t, :u], None, 0.5, kernel).item(), rel=1e-5
        )


def warped(frames: int, dimensions: int = 13, seed: int = 0, noise: float = 0.3):
    """Smooth features, the same at a speed that wanders, and the frame of the first that each of the second
    is.
    """
    rng = np.random.default_rng(seed)
    x = lfilter([1], [1, -0.9], rng.normal(size=(frames, dimensions)), axis=0)
    speed = np.exp(lfilter([0.02], [1, -0.998], rng.normal(size=frames)))
    times = np.cumsum(speed)
    times *= (frames - 1) / times[-1]
    y = x[np.rint(times).astype(int)] + noise * rng.normal(size=(frames, dimensions))
    return torch.tensor(x)[None], torch.tensor(y)[None], times


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("kernel", FAST)
def test_a_planted_warp_is_found(kernel, distance):
    x, _, _ = warped(60)
    index = torch.tensor(np.sort(np.r_[np.arange(60), np.random.default_rng(1).integers(0, 60, 30)]))
    found = dtw_features(x, x[:, index], distance=distance, kernel=kernel)
    assert found.path[0].tolist() == [[i, j] for j, i in enumerate(index.tolist())]
    assert found.cost.item() == pytest.approx(0, abs=1e-10)


@pytest.mark.parametrize("distance", DISTANCES)
def test_features_cost_what_scipy_says(distance):
    x, y, _ = warped(50, 7)
    lengths = torch.tensor([[50, 41]])
    expected = cdist(x[0], y[0], distance)
    assert np.allclose(distances(x, y, distance)[0], expected, atol=1e-12)
    totals, path = librosas(expected[:, :41], SYMMETRIC1)
    found = dtw_features(x, y, lengths, distance=distance)
    assert found.cost.item() == pytest.approx(totals[-1, -1])
    assert np.array_equal(found.path[0], path)
    passing = Rules(SAKOE_CHIBA_P1, band=SakoeChiba(radius=8))
    found, expected = (dtw_features(x, y, lengths, passing, distance, kernel) for kernel in FAST)
    assert torch.equal(found.path, expected.path)
    torch.testing.assert_close(found.cost, expected.cost)


def test_frames_without_direction_are_one_from_all():
    x, zeros = torch.rand(1, 3, 2) + 1, torch.zeros(1, 2, 2)
    assert (distances(x, zeros, "cosine") == 1).all()
    assert dtw_features(x, zeros, distance="cosine").cost.item() == 3


def test_distances_can_be_differentiated():
    x, y = (torch.rand(2, n, 3, dtype=torch.float64, requires_grad=True) for n in (3, 4))
    for distance in DISTANCES:
        assert torch.autograd.gradcheck(lambda a, b, d=distance: soft_dtw(distances(a, b, d)), (x, y))


@pytest.mark.parametrize("steps", [SYMMETRIC1, SYMMETRIC2, PATTERNS["turned"]])
def test_the_fast_path_is_the_exact_one_where_the_radius_is_large(steps):
    x, y, _ = warped(400, noise=1.0)
    lengths = torch.tensor([[400, 333]])
    exact = dtw_features(x, y, lengths, Rules(steps))
    for radius in (60, 398, 1000):
        for mine, theirs in zip(fast_dtw(x, y, lengths, steps, radius), exact, strict=True):
            assert torch.equal(mine, theirs)
    rough = fast_dtw(x, y, lengths, steps, 0)
    assert exact.cost.item() < rough.cost.item() < 2 * exact.cost.item()
    assert rough.path[0, 0].tolist() == [0, 0]
    assert rough.path[0, -1].tolist() == [399, 332]


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 40), (41, 2), (33, 64), (31, 33), (64, 5)])
@pytest.mark.parametrize("radius", [0, 1, 3])
def test_the_fast_path_has_a_cell_in_every_row_and_column(rows, columns, radius):
    x, y = torch.rand(1, rows, 2), torch.rand(1, columns, 2)
    found, plain = (fast_dtw(x, y, None, radius=radius, kernel=k) for k in FAST)
    path = found.path[0]
    assert torch.equal(path, plain.path[0])
    steps = set(map(tuple, path.diff(dim=0).tolist()))
    assert steps <= {(1, 1), (1, 0), (0, 1)}
    assert path[0].tolist() == [0, 0]
    assert path[-1].tolist() == [rows - 1, columns - 1]
    assert found.cost.item() == pytest.approx(
        distances(x, y)[0, path[:, 0], path[:, 1]].sum().item(), rel=1e-5
    )


def test_an_hour_is_warped_onto_an_hour():
    """36,000 frames each: 1.3 billion cells, 10 GB in float64."""
    x, y, times = warped(36_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    path = fast_dtw(x, y, radius=50).path[0].numpy()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # kB
    assert np.abs(times - np.arange(36_000)).max() > 200  # it does wander
    assert np.abs(path[:, 0] - times[path[:, 1]]).max() < 4


def all_costs(cost: torch.Tensor) -> torch.Tensor:
    """What each path of one pair costs."""
    paths = every_path(*cost.shape, Rules(), lambda i, j: True)
    return torch.stack([torch.stack([cost[c] for c, _ in cells]).sum() for cells, _ in paths])


@pytest.mark.parametrize("gamma", [0.1, 1.0, 5.0])
@pytest.mark.parametrize("kernel", KERNELS)
def test_the_soft_minimum_is_that_of_all_paths(kernel, gamma):
    cost = torch.tensor(random_cost(4, 3) * 3 - 1)
    cost[1, 1] = torch.inf
    leaf, own = cost.clone().requires_grad_(), cost.to(DEVICE.get(kernel, "cpu"))[None].requires_grad_()
    expected = -gamma * torch.logsumexp(-all_costs(leaf) / gamma, 0)
    found = soft_dtw(own, gamma=gamma, kernel=kernel)
    assert found.item() == pytest.approx(expected.item())
    (wanted,), (gradient,) = (torch.autograd.grad(v.sum(), w) for v, w in ((expected, leaf), (found, own)))
    torch.testing.assert_close(gradient[0].cpu(), wanted)


@pytest.mark.parametrize("kernel", FAST)
def test_the_soft_gradient_passes_gradcheck(kernel):
    cost = torch.rand(
        3, 5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(4)
    ).requires_grad_()
    lengths = torch.tensor([[5, 6], [1, 1], [4, 2]])
    assert torch.autograd.gradcheck(lambda c: soft_dtw(c, lengths, 0.7, kernel), (cost,))
    with torch.no_grad():
        assert (soft_dtw(cost, lengths, 0.7, kernel) <= dtw(cost, lengths).cost).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_soft_kernels_equal_the_reference(dtype):
    cost = (torch.rand(2, 40, 30, generator=torch.Generator().manual_seed(5)) * 50).to(dtype)
    cost[1, 22:] = torch.nan  # padding is not read
    cost.requires_grad_()
    lengths = torch.tensor([[40, 30], [22, 30]])
    weight = torch.tensor([1.0, -2.0], dtype=dtype)
    results = []
    for kernel in FAST:
        found = soft_dtw(cost, lengths, 0.2, kernel)
        results.append((found, *torch.autograd.grad((found * weight).sum(), cost)))
    assert results[0][0].dtype == dtype
    for mine, theirs in zip(*results, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4 if dtype == torch.float32 else 1e-9, atol=1e-4)


@pytest.mark.parametrize("kernel", FAST)
def test_the_soft_minimum_tends_to_the_hard_one(kernel):
    cost = torch.tensor(random_cost(30, 20))[None].requires_grad_()
    hard = dtw(cost)
    soft = soft_dtw(cost, gamma=1e-4, kernel=kernel)
    assert soft.item() == pytest.approx(hard.cost.item(), abs=1e-3)
    (gradient,) = torch.autograd.grad(soft, cost)
    on_path = torch.zeros_like(gradient[0])
    on_path[hard.path[0, :, 0], hard.path[0, :, 1]] = 1
    torch.testing.assert_close(gradient[0], on_path, atol=0.01, rtol=0)


def test_an_impossible_pair_is_named():
    cost = torch.rand(3, 4, 4)
    cost[1, 2] = torch.inf
    for kernel in FAST:
        for search in (dtw, soft_dtw):
            with pytest.raises(NoPath, match="no path through pair 1 of the batch") as caught:
                search(cost, kernel=kernel)
            assert caught.value.utterances == (1,)
        assert torch.isinf(accumulate(cost, kernel=kernel)[1, 2:]).all()


GOOD = torch.rand(2, 3, 4)
BAD = {
    "(B, T, U) is needed": lambda: dtw(GOOD[0]),
    "a floating type": lambda: dtw(GOOD.int()),
    "none of them 0": lambda: soft_dtw(GOOD[:, :0]),
    "(2, 2) is needed": lambda: dtw(GOOD, torch.tensor([3, 4])),
    "2 whole numbers from 1 to 4": lambda: dtw(GOOD, torch.tensor([[3, 4], [3, 5]])),
    "whole numbers from 1 to 3": lambda: accumulate(GOOD, torch.tensor([[0, 4], [3, 4]])),
    "NaN or -inf among the costs of pair 1, first in cell (2, 3)": lambda: dtw(spoilt(GOOD, torch.nan)),
    "costs of pair 1": lambda: soft_dtw(spoilt(GOOD, -torch.inf)),
    "gamma 0.0": lambda: soft_dtw(GOOD, gamma=0.0),
    "gamma nan": lambda: soft_dtw(GOOD, gamma=float("nan")),
    "kernel 'fast'": lambda: dtw(GOOD, kernel="fast"),
    "none (0, 0)": lambda: Steps(((1, 1), (0, 0))),
    "none backwards": lambda: Steps(((1, -1),)),
    "2 values of mul for 3 steps": lambda: Steps(mul=(1, 2)),
    "1 values of add": lambda: Steps(add=(1,)),
    "those of cells not below 0": lambda: Steps(mul=(1, 1, -1)),
    "finite numbers are needed": lambda: Steps(add=(0, 0, np.inf)),
    "not between its ends": lambda: Steps(((1, 2),), via=(((1, 2, 1.0),),)),
    "one of them is needed": lambda: SakoeChiba(),
    "radius 3 and share 0.5": lambda: SakoeChiba(3, 0.5),
    "radius -1": lambda: SakoeChiba(-1),
    "slope 0.5": lambda: Itakura(0.5),
    "distance 'manhattan'; one of euclidean": lambda: distances(GOOD, GOOD, "manhattan"),
    "(B, T, D) and (B, U, D) are needed": lambda: dtw_features(GOOD, GOOD[..., :2]),
    "floating types on one device": lambda: dtw_features(GOOD, GOOD.int()),
    "NaN or inf in the estimate of pair 1, first in frame 2": lambda: dtw_features(
        GOOD, spoilt(GOOD, torch.inf)
    ),
    "in the reference of pair 1": lambda: fast_dtw(spoilt(GOOD, torch.nan), GOOD),
    "radius of -1": lambda: fast_dtw(GOOD, GOOD, radius=-1),
    "are needed to refine": lambda: fast_dtw(GOOD, GOOD, steps=MULLER),
}


def spoilt(values: torch.Tensor, by: float) -> torch.Tensor:
    values = values.clone()
    values[1, 2, 3] = by
    return values


@pytest.mark.parametrize("rule", BAD)
def test_bad_input_is_refused_with_the_rule(rule):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the rule is looked for below
        BAD[rule]()
    assert rule in str(caught.value)


def test_the_fast_path_is_refused_to_triton():
    with pytest.raises(ValueError, match="fast_dtw runs on the CPU"):
        fast_dtw(GOOD.to(DEVICE["triton"]), GOOD.to(DEVICE["triton"]), kernel="triton")


def test_costs_are_left_as_they_were():
    cost = torch.rand(2, 9, 8)
    before = cost.clone()
    for search in (dtw, accumulate, soft_dtw):
        for kernel in FAST:
            search(cost, kernel=kernel)
    assert torch.equal(cost, before)
