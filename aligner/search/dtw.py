"""Dynamic time warping: the cheapest monotonic path through a matrix of costs.

`reference` is the recursion as the textbooks have it (Sakoe & Chiba 1978, "Dynamic programming algorithm
optimization for spoken word recognition"; Müller 2015, "Fundamentals of music processing", ch. 3), never
optimised; the kernels must give the same paths and sums, bit by bit.  Sums are float64 everywhere.

===  ============================================================================================
B    pairs in the batch, padded; ``lengths`` (B, 2) says how many rows and columns each has
T    rows: frames of the reference
U    columns: frames of the estimate
D    dimensions of a frame
L    cells of the longest path
===  ============================================================================================

What a path may do is in `aligner.search.steps`.  What is not exact here is `fast_dtw`, for recordings whose T
x U does not fit into memory.  `aligner.search.soft_dtw` sums over all paths.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from aligner.search.arcs import NoPath, checked_lengths, chosen_kernel, precise
from aligner.search.fitting import kernel_module
from aligner.search.steps import (
    DEFAULT,
    SYMMETRIC1,
    UNIT,
    Band,
    FeatureTask,
    Rules,
    Steps,
    WarpingTask,
)

DISTANCES = ("euclidean", "sqeuclidean", "cosine")
FAST_DTW_RADIUS = 100  # frames; `fast_dtw` then finds speech's own warps, and visits 400 cells a frame


class Warping(NamedTuple):
    """The cheapest path of each pair."""

    path: Tensor
    """(B, L, 2) int64: row and column of its cells, from the first; -1 beyond the path's end."""
    cells: Tensor
    """(B,) int64: how many cells each path has."""
    cost: Tensor
    """(B,) float64: what each path costs."""


class NoWarping(NoPath):
    """No path goes from the beginning to the end of some pairs of a batch."""

    def __init__(self, utterances: Sequence[int]) -> None:
        super().__init__(utterances)
        self.args = (
            f"no path through pair {', '.join(map(str, self.utterances[:5]))} of the batch: the steps or the "
            "band do not reach the end, or every path meets an infinite cost",
        )


def distances(reference: Tensor, estimate: Tensor, distance: str = "euclidean") -> Tensor:
    """What matching each frame of one with each of the other costs; differentiable.

    Parameters
    ----------
    reference, estimate : Tensor
        (B, T, D) and (B, U, D).
    distance : {'euclidean', 'sqeuclidean', 'cosine'}
        Cosine distance is 1 - cos; a frame of zeros, which has no direction, is 1 from all.

    Returns
    -------
    Tensor
        (B, T, U)

    Raises
    ------
    ValueError
        If shapes do not fit or there is no such distance.

    Examples
    --------
    >>> distances(torch.tensor([[[0.0, 0.0], [3.0, 4.0]]]), torch.tensor([[[0.0, 0.0]]])).tolist()
    [[[0.0], [5.0]]]
    """
    reference, estimate = _features(reference, estimate, distance)
    if distance == "cosine":
        return (1 - _directions(reference) @ _directions(estimate).mT).clamp(min=0)
    straight = torch.cdist(reference, estimate, compute_mode="donot_use_mm_for_euclid_dist")
    return straight if distance == "euclidean" else straight**2


def dtw(cost: Tensor, lengths: Tensor | None = None, rules: Rules = DEFAULT, kernel: str = "auto") -> Warping:
    """The cheapest path through each matrix of costs: exact.

    Equal to ``librosa.sequence.dtw`` in sums and paths (which librosa lists from their end), but that a
    subsequence here begins where its path does, librosa's where that path first meets row 0: they differ
    where moving along the first row is cheaper than beginning anew (costs below 0, or weights below 1).

    Parameters
    ----------
    cost : Tensor
        (B, T, U) costs; inf for cells that no path may visit.
    lengths : Tensor, optional
        (B, 2) rows and columns of each pair, 1 to T and 1 to U; all of them unless given.
    rules : Rules
        librosa's defaults unless given.
    kernel : {'auto', 'numba', 'triton', 'reference'}
        'auto' takes numba on the CPU and triton on CUDA.

    Returns
    -------
    Warping

    Raises
    ------
    NoPath
        If a pair has none under the rules; it says which.
    ValueError
        If shapes do not fit, a NaN or -inf is among the costs, or the kernel does not run on their device.

    Examples
    --------
    >>> x, y = torch.tensor([[[0.0], [5], [9]]]), torch.tensor([[[0.0], [5], [5], [9]]])
    >>> found = dtw(distances(x, y))
    >>> found.path.tolist(), found.cost.item()
    ([[[0, 0], [1, 1], [1, 2], [2, 3]]], 0.0)
    """
    task = _task(cost, lengths, rules)
    return _listed(_search(task, chosen_kernel(kernel, cost.device)), rules.steps)


def accumulate(
    cost: Tensor, lengths: Tensor | None = None, rules: Rules = DEFAULT, kernel: str = "auto"
) -> Tensor:
    """What the cheapest path to each cell costs: librosa's ``D``, (B, T, U) float64; inf where none leads.

    Parameters and errors as `dtw`'s, but that it is no error if no path leads to the end.  The last row of a
    subsequence search is Müller's matching function: low where the reference ends in the estimate.

    Examples
    --------
    >>> accumulate(torch.tensor([[[1.0, 2.0], [4.0, 1.0]]])).tolist()
    [[[1.0, 3.0], [5.0, 2.0]]]
    """
    totals = _search(_task(cost, lengths, rules), chosen_kernel(kernel, cost.device), keep=True).totals
    assert totals is not None
    return totals


def dtw_features(
    reference: Tensor,
    estimate: Tensor,
    lengths: Tensor | None = None,
    rules: Rules = DEFAULT,
    distance: str = "euclidean",
    kernel: str = "auto",
) -> Warping:
    """The cheapest path between sequences of frames: `dtw` of their `distances`.

    The numba kernel holds only a byte for each cell that the rules let a path visit, not the distances.

    Parameters
    ----------
    reference, estimate : Tensor
        (B, T, D) and (B, U, D) finite numbers.
    lengths : Tensor, optional
        (B, 2) frames of each reference and of each estimate.
    rules : Rules
    distance : {'euclidean', 'sqeuclidean', 'cosine'}
    kernel : {'auto', 'numba', 'triton', 'reference'}

    Returns
    -------
    Warping

    Raises
    ------
    NoPath, ValueError
        As `dtw`.

    Examples
    --------
    >>> x, y = torch.tensor([[[0.0], [5], [9]]]), torch.tensor([[[0.0], [5], [5], [9]]])
    >>> dtw_features(x, y).path.tolist()
    [[[0, 0], [1, 1], [1, 2], [2, 3]]]
    """
    reference, estimate = (v.detach() for v in _features(reference, estimate, distance))
    shape = (len(reference), reference.shape[1], estimate.shape[1])
    counts = pair_lengths(lengths, *shape)
    _check_frames(reference, estimate, counts)
    limits = _limits(rules.band, counts, shape[1])
    task = FeatureTask(reference, estimate, counts, limits, rules)
    return _listed(_search_features(task, distance, chosen_kernel(kernel, reference.device)), rules.steps)


def fast_dtw(
    reference: Tensor,
    estimate: Tensor,
    lengths: Tensor | None = None,
    steps: Steps = SYMMETRIC1,
    radius: int = FAST_DTW_RADIUS,
    distance: str = "euclidean",
    kernel: str = "auto",
) -> Warping:
    """A cheap path between long sequences of frames, in memory that grows with T + U, not with T * U; NOT
    exact.

    Frames are averaged two by two, again and again, until few are left; there the path is exact.  Then, from
    coarse to fine, it is sought only within ``radius`` frames of the coarser path (Salvador & Chan 2007,
    "FastDTW: toward accurate dynamic time warping in linear time and space").  What the average of frames
    does not show cannot be found again: where the coarse path strays further than ``radius``, the fine one is
    wrong. Where the shorter of the two has no more than ``radius`` + 2 frames, it is `dtw_features`.

    Parameters
    ----------
    reference, estimate : Tensor
        (B, T, D) and (B, U, D) finite numbers, on the CPU.
    lengths : Tensor, optional
        (B, 2) frames of each reference and of each estimate.
    steps : Steps
        Of one frame in either or both, all three; larger ones might not fit between the coarse path's
        neighbours.
    radius : int
        Frames, from 0; time and memory grow with it.
    distance : {'euclidean', 'sqeuclidean', 'cosine'}
    kernel : {'auto', 'numba', 'reference'}
        The reference holds T * U cells and is for tests.

    Returns
    -------
    Warping

    Raises
    ------
    ValueError
        If shapes, steps or radius break a rule, or the features are not on the CPU.

    Examples
    --------
    >>> x = torch.arange(500.0)[None, :, None]
    >>> fast_dtw(x, x.repeat_interleave(2, 1), radius=10).cost.item()
    0.0
    """
    reference, estimate = (v.detach() for v in _features(reference, estimate, distance))
    counts = pair_lengths(lengths, len(reference), reference.shape[1], estimate.shape[1])
    _check_frames(reference, estimate, counts)
    if radius < 0:
        raise ValueError(f"a radius of {radius} frames; a number from 0 is needed")
    if set(steps.sizes) != set(UNIT):
        raise ValueError(f"steps of sizes {steps.sizes}; {UNIT} are needed to refine a path")
    name = chosen_kernel(kernel, reference.device)
    if reference.device.type != "cpu" or name == "triton":
        raise ValueError(
            f"features on {reference.device} and the kernel {name}; fast_dtw runs on the CPU, by numba "
            "or the reference"
        )
    found = [
        _refined(x[:t].double(), y[:u].double(), steps=steps, radius=radius, distance=distance, kernel=name)
        for x, y, (t, u) in zip(reference, estimate, counts.tolist(), strict=True)
    ]
    return _listed(_Found.joined(found), steps)


def _refined(x: Tensor, y: Tensor, *, steps: Steps, radius: int, distance: str, kernel: str) -> _Found:
    """`fast_dtw` of one pair (T, D) and (U, D)."""
    levels = [(x, y)]
    while min(map(len, levels[-1])) > radius + 2:
        levels.append((_halved(levels[-1][0]), _halved(levels[-1][1])))
    found = None
    for x, y in reversed(levels):
        limits = (
            _whole(len(x), len(y)) if found is None else _around(found.anchors[0], len(x), len(y), radius)
        )
        lengths = torch.tensor([[len(x), len(y)]])
        task = FeatureTask(x[None], y[None], lengths, torch.from_numpy(limits)[None], Rules(steps))
        found = _search_features(task, distance, kernel)
    assert found is not None
    return found


def _halved(x: Tensor) -> Tensor:
    """Means of two frames each; an odd last one stays."""
    return torch.cat([(x[:-1:2] + x[1::2]) / 2, x[len(x) - len(x) % 2 :]])


def _around(coarse: Tensor, rows: int, columns: int, radius: int) -> np.ndarray:
    """Limits (T, 2) of cells within ``radius`` of a path (N, 3) through half as many rows and columns."""
    path, i = coarse.numpy(), np.arange(rows)
    first = np.searchsorted(path[:, 0], np.maximum(i - radius, 0) // 2)
    last = np.searchsorted(path[:, 0], np.minimum(i + radius, rows - 1) // 2, "right") - 1
    limits = np.stack([2 * path[first, 1] - radius, 2 * path[last, 1] + 2 + radius], 1)
    return limits.clip(0, columns)


def _whole(rows: int, columns: int) -> np.ndarray:
    """Limits (T, 2) of all cells."""
    return np.tile(np.array([0, columns]), (rows, 1))


class _Found(NamedTuple):
    """What a kernel found: cells where steps end (B, N, 3) as row, column, step or -1; their counts; costs;
    sums.
    """

    anchors: Tensor
    """(B, N, 3): cells where steps end, as row, column, and step or -1."""
    counts: Tensor
    """(B,): how many each path has."""
    cost: Tensor
    """(B,): what each path costs."""
    totals: Tensor | None = None
    """(B, T, U): sums of all cells, if they are kept."""

    @classmethod
    def joined(cls, found: Sequence[_Found]) -> _Found:
        """A batch of batches of one."""
        return cls(
            torch.nn.utils.rnn.pad_sequence([f.anchors[0] for f in found], True, -1),
            torch.cat([f.counts for f in found]),
            torch.cat([f.cost for f in found]),
        )


def pair_lengths(lengths: Tensor | None, batch: int, rows: int, columns: int) -> Tensor:
    """Rows and columns of each pair, (B, 2) int64 on the CPU; all unless given.

    Raises
    ------
    ValueError
        If they are not so many whole numbers from 1 to T and U.
    """
    if lengths is None:
        return torch.tensor([[rows, columns]]).expand(batch, 2)
    given = torch.as_tensor(lengths)
    if given.shape != (batch, 2):
        raise ValueError(
            f"lengths of shape {tuple(given.shape)}; ({batch}, 2) is needed, each pair's rows and columns"
        )
    return torch.stack(
        [checked_lengths(given[:, 0], batch, rows), checked_lengths(given[:, 1], batch, columns)], 1
    )


def checked_costs(cost: Tensor, lengths: Tensor | None) -> Tensor:
    """Whether costs and lengths fit together; the lengths (B, 2).

    Raises
    ------
    ValueError
        Naming what does not fit.
    """
    if cost.ndim != 3 or not all(cost.shape):
        raise ValueError(f"costs of shape {tuple(cost.shape)}; (B, T, U) is needed, none of them 0")
    if not cost.is_floating_point():
        raise ValueError(f"costs of type {cost.dtype}; a floating type is needed")
    counts = pair_lengths(lengths, *cost.shape)
    total = cost.detach().sum()
    if torch.isnan(total) or total == -torch.inf:
        _refuse_wrong(cost.detach(), counts)
    return counts


def _refuse_wrong(cost: Tensor, lengths: Tensor) -> None:
    for b, (rows, columns) in enumerate(lengths.tolist()):
        own = cost[b, :rows, :columns]
        wrong = torch.nonzero(torch.isnan(own) | (own == -torch.inf))
        if len(wrong):
            raise ValueError(
                f"NaN or -inf among the costs of pair {b}, first in cell {tuple(wrong[0].tolist())}"
            )


def _features(reference: Tensor, estimate: Tensor, distance: str) -> tuple[Tensor, Tensor]:
    if distance not in DISTANCES:
        raise ValueError(f"distance {distance!r}; one of {', '.join(DISTANCES)} is needed")
    shapes = tuple(reference.shape), tuple(estimate.shape)
    if (
        reference.ndim != 3
        or estimate.ndim != 3
        or not reference.numel()
        or not estimate.numel()
        or shapes[0][::2] != shapes[1][::2]
    ):
        raise ValueError(
            f"features of shapes {shapes[0]} and {shapes[1]}; (B, T, D) and (B, U, D) are needed"
        )
    if (
        not reference.is_floating_point()
        or not estimate.is_floating_point()
        or reference.device != estimate.device
    ):
        raise ValueError(
            f"features of {reference.dtype} on {reference.device} and of {estimate.dtype} on "
            f"{estimate.device}; floating types on one device are needed"
        )
    kind = torch.promote_types(precise(reference).dtype, precise(estimate).dtype)
    return reference.to(kind), estimate.to(kind)


def _check_frames(reference: Tensor, estimate: Tensor, lengths: Tensor) -> None:
    for k, (name, x) in enumerate((("reference", reference), ("estimate", estimate))):
        for b, length in enumerate(lengths[:, k].tolist()):
            wrong = torch.nonzero(~torch.isfinite(x[b, :length]).all(1))
            if len(wrong):
                raise ValueError(f"NaN or inf in the {name} of pair {b}, first in frame {int(wrong[0])}")


def _directions(x: Tensor) -> Tensor:
    return torch.nn.functional.normalize(x, dim=-1, eps=torch.finfo(x.dtype).tiny)


def _limits(band: Band | None, lengths: Tensor, rows: int) -> Tensor:
    """(B, T, 2): the first column that a path may visit in each row, and the one after the last; 0 in
    padding.
    """
    limits = np.zeros((len(lengths), rows, 2), np.int64)
    for own, (t, u) in zip(limits, lengths.tolist(), strict=True):
        own[:t] = _whole(t, u) if band is None else band.limits(t, u).clip(0, u)
        own[:, 1] = own.max(1)
    return torch.from_numpy(limits)


def _task(cost: Tensor, lengths: Tensor | None, rules: Rules) -> WarpingTask:
    counts = checked_costs(cost, lengths)
    return WarpingTask(precise(cost.detach()), counts, _limits(rules.band, counts, cost.shape[1]), rules)


def _listed(found: _Found, steps: Steps) -> Warping:
    """Paths with the cells that steps pass; raise `NoPath` where one is missing."""
    lost = torch.nonzero(found.counts == 0).flatten().tolist()
    if lost:
        raise NoWarping(lost)
    if not any(steps.via):
        longest = int(found.counts.max())
        return Warping(found.anchors[:, :longest, :2].contiguous(), found.counts, found.cost)
    paths = [_with_passed(a[:n], steps) for a, n in zip(found.anchors, found.counts.tolist(), strict=True)]
    cells = torch.tensor([len(p) for p in paths], device=found.cost.device)
    return Warping(torch.nn.utils.rnn.pad_sequence(paths, True, -1), cells, found.cost)


def _with_passed(anchors: Tensor, steps: Steps) -> Tensor:
    """(L, 2): every step's end, the cells on its way before it."""
    ways = [[*sorted(((i, j) for i, j, _ in cells), reverse=True), (0, 0)] for cells in (*steps.via, ())]
    cells = [(i - a, j - b) for i, j, step in anchors.tolist() for a, b in ways[step]]
    return torch.tensor(cells, device=anchors.device)


def reference(task: WarpingTask, keep: bool) -> _Found:
    """`dtw` in plain torch, on any device: all cells of an anti-diagonal at once, step after step."""
    cost = _within(task)
    weighed, steps = skewed(cost), task.rules.steps
    batch, diagonals, rows = weighed.shape
    begins = torch.arange(rows, device=cost.device) == 0
    totals, choices = list[Tensor](), list[Tensor]()
    for k in range(diagonals):
        at_start = begins & (task.rules.subsequence or k == 0)
        best = torch.where(at_start, weighed[:, k], torch.inf)
        choice = torch.full((batch, rows), -1, device=cost.device)
        for s, (di, dj) in enumerate(steps.sizes):
            if k >= di + dj:
                entered = steps.mul[s] * weighed[:, k] + steps.add[s]
                for i, j, weight in steps.via[s]:
                    entered = entered + weight * _lower(weighed[:, k - i - j], i)
                arriving = _lower(totals[k - di - dj], di) + entered
                better = arriving < best  # not of NaN, which is 0 times inf
                best, choice = torch.where(better, arriving, best), torch.where(better, s, choice)
        totals.append(best)
        choices.append(choice)
    return _traced(task, torch.stack(totals, 1), torch.stack(choices, 1), keep)


def _traced(task: WarpingTask, totals: Tensor, choices: Tensor, keep: bool) -> _Found:
    """Paths from sums and choices, both (B, T + U - 1, T), by anti-diagonals."""
    found = []
    columns = task.cost.shape[2]
    plain, choice = (straightened(v, columns) for v in (totals, choices))
    for b, (t, u) in enumerate(task.lengths.tolist()):
        i, j = t - 1, int(plain[b, t - 1, :u].argmin()) if task.rules.subsequence else u - 1
        cost, anchors = plain[b, i, j], list[tuple[int, int, int]]()
        while cost < torch.inf:
            step = int(choice[b, i, j])
            anchors.append((i, j, step))
            if step < 0:
                break
            i, j = i - task.rules.steps.sizes[step][0], j - task.rules.steps.sizes[step][1]
        listed = torch.tensor(anchors[::-1], dtype=torch.int64, device=cost.device).reshape(-1, 3)
        found.append(_Found(listed[None], torch.tensor([len(anchors)], device=cost.device), cost[None]))
    return _Found.joined(found)._replace(totals=plain if keep else None)


def _within(task: WarpingTask) -> Tensor:
    """Costs in float64, inf where no path may go: outside the limits, and in padding."""
    column, limits = (
        torch.arange(task.cost.shape[2], device=task.cost.device),
        task.limits.to(task.cost.device),
    )
    inside = (column >= limits[..., :1]) & (column < limits[..., 1:])
    return torch.where(inside, task.cost.double(), torch.inf)


def skewed(cost: Tensor) -> Tensor:
    """Matrices (B, T, U) by anti-diagonals: cell (i, j) at (i + j, i) of (B, T + U - 1, T), inf in
    between."""
    _, rows, columns = cost.shape
    i = torch.arange(rows, device=cost.device)
    j = torch.arange(rows + columns - 1, device=cost.device)[:, None] - i
    return torch.where((j >= 0) & (j < columns), cost[:, i, j.clamp(0, columns - 1)], torch.inf)


def straightened(diagonals: Tensor, columns: int) -> Tensor:
    """Matrices (B, T, U) of anti-diagonals that `skewed` made."""
    i = torch.arange(diagonals.shape[2], device=diagonals.device)[:, None]
    return diagonals[:, i + torch.arange(columns, device=diagonals.device), i]


def _lower(values: Tensor, rows: int) -> Tensor:
    """Values (B, T) moved down by so many rows; inf comes in."""
    moved = torch.full_like(values, torch.inf)
    moved[:, rows:] = values[:, : max(values.shape[1] - rows, 0)]
    return moved


def _search(task: WarpingTask, kernel: str, keep: bool = False) -> _Found:
    """The cheapest paths by any kernel, and to ``keep`` the sums of all cells."""
    return (
        _Found(*kernel_module("dtw", kernel).best_paths(task, keep))
        if kernel != "reference"
        else reference(task, keep)
    )


def _search_features(task: FeatureTask, distance: str, kernel: str) -> _Found:
    """The cheapest paths by any kernel; only numba's takes the distances as it needs them."""
    x, y = task.reference.double(), task.estimate.double()
    if kernel != "numba":
        return _search(WarpingTask(distances(x, y, distance), task.lengths, task.limits, task.rules), kernel)
    if distance == "cosine":
        x, y = _directions(x), _directions(y)
    task = task._replace(reference=x, estimate=y.mT)
    return _Found(*kernel_module("dtw", kernel).best_feature_paths(task, DISTANCES.index(distance) + 1))
