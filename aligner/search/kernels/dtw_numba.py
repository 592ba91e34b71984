"""Dynamic time warping on the CPU; must equal `aligner.search.dtw.reference`.

Row by row: first the steps from rows above, one after the other over the whole row, in vector instructions;
then those from the same row, from left to right.  Only the last rows are kept, and a byte for each cell that
a path may visit: 0 where it begins, else 1 + the step that led there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from aligner.search.arcs import arrays
from aligner.search.kernels import compiled, spread
from aligner.search.steps import FeatureTask, Rules, Table, WarpingTask

GIVEN, EUCLIDEAN, SQEUCLIDEAN, COSINE = range(4)  # what a cell costs
_NOTHING = np.empty((1, 0))


class Cells(NamedTuple):
    """What the cells of one pair cost: given, or distances of features."""

    kind: int
    """`GIVEN`, or the kind of distance."""
    cost: np.ndarray
    """(T, U) costs."""
    x: np.ndarray
    """(T, D) features of the reference."""
    y: np.ndarray
    """(D, U) features of the estimate."""


@compiled
def fill_cost(row: Any, cost: Any, x: Any, y: Any, kind: int) -> None:
    """What a row's cells cost: ``cost`` (N,) as given, or the distances of ``x`` (D,) to ``y`` (D, N)."""
    if kind == GIVEN:
        for j in range(len(row)):
            row[j] = cost[j]
        return
    for j in range(len(row)):
        row[j] = 0.0
    # four at once: a sum is fetched and stored a quarter as often
    fours = 0 if kind == COSINE else len(x) - len(x) % 4
    for d in range(0, fours, 4):
        a, b, c, e, ys = x[d], x[d + 1], x[d + 2], x[d + 3], y[d : d + 4]
        for j in range(len(row)):
            two = (row[j] + (a - ys[0, j]) ** 2) + (b - ys[1, j]) ** 2
            row[j] = (two + (c - ys[2, j]) ** 2) + (e - ys[3, j]) ** 2
    for d in range(fours, len(x)):
        one, others = x[d], y[d]
        if kind == COSINE:
            for j in range(len(row)):
                row[j] += one * others[j]
        else:
            for j in range(len(row)):
                row[j] += (one - others[j]) ** 2
    if kind == EUCLIDEAN:
        for j in range(len(row)):
            row[j] = np.sqrt(row[j])
    elif kind == COSINE:
        for j in range(len(row)):
            row[j] = max(1.0 - row[j], 0.0)


@compiled
def _from_above(best: Any, code: Any, before: Any, cost: Any, mul: float, add: float, step: int) -> None:
    """Where ``step`` is better, take it."""
    for j in range(len(best)):
        arriving = before[j] + (mul * cost[j] + add)
        better = arriving < best[j]  # never of a NaN: 0 times the infinite cost of a cell outside
        best[j] = arriving if better else best[j]
        code[j] = step if better else code[j]


@compiled
def _from_left(best: Any, code: Any, cost: Any, mul: float, add: float, step: int, reached: Any) -> None:
    """The step to the next cell of the row; of equal sums the first step of the list is taken."""
    for j in range(len(best)):
        entered = mul * cost[j] + add
        # nor NaN: 0 times the infinite cost of a cell outside
        reached[j] = entered if entered < np.inf else np.inf
    _sum_up(best, reached)
    for j in range(len(best)):
        arriving, now, taken = reached[j], best[j], code[j]
        better = (arriving < now) | ((arriving == now) & (step < taken))
        code[j] = step if better else taken
        best[j] = arriving if better else now


# with this arithmetic a minimum is one instruction: each cell must wait for the one before
@compiled(fastmath={"nnan", "nsz"})
def _sum_up(best: Any, reached: Any) -> None:
    """What it costs to enter each cell from the left, ``reached`` (N,), to the sum of the path from there."""
    left = np.inf
    for j in range(len(best)):
        reached[j] += left
        left = min(reached[j], best[j])


@compiled
def _along(row: Any, code: Any, costs: Any, slot: int, start: int, stop: int, steps: Any) -> None:
    """All steps within a row, where they are several, longer than 1 or weigh cells between."""
    for j in range(start, stop):
        for step in steps.level:
            arriving = row[j - steps.sizes[step, 1]] + _entered(costs, slot, j, steps, step)
            now = row[j]
            if arriving < now or (arriving == now and step + 1 < code[j - start]):
                row[j], code[j - start] = arriving, step + 1


@compiled
def _entered(costs: Any, slot: int, j: int, steps: Any, step: int) -> float:
    """What ``step`` into cell ``j`` of the row in ``slot`` costs."""
    total = steps.mul[step] * costs[slot, j] + steps.add[step]
    for v in range(steps.first[step], steps.first[step + 1]):
        total += steps.weights[v] * costs[(slot - steps.cells[v, 0]) % len(costs), j - steps.cells[v, 1]]
    return total


@compiled
def _weigh(entry: Any, costs: Any, slot: int, start: int, steps: Any, step: int) -> None:
    """`_entered` of a whole row, from cell ``start``."""
    own = costs[slot, start : start + len(entry)]
    for j in range(len(entry)):
        entry[j] = steps.mul[step] * own[j] + steps.add[step]
    for v in range(steps.first[step], steps.first[step + 1]):
        at, weight = start - steps.cells[v, 1], steps.weights[v]
        visited = costs[(slot - steps.cells[v, 0]) % len(costs), at : at + len(entry)]
        for j in range(len(entry)):
            entry[j] += weight * visited[j]


@compiled
def _clear(row: Any, start: int, stop: int) -> None:
    for j in range(start, stop):
        row[j] = np.inf


@compiled
def _begin(best: Any, code: Any, own: Any, lo: int, first_row: bool, anywhere: bool) -> None:
    """Paths that begin in a row whose cells are ``lo`` and on."""
    for j in range(len(best)):
        code[j] = 0
        best[j] = own[j] if first_row and (anywhere or lo + j == 0) else np.inf


@compiled
def _all_from_above(
    i: int, totals: Any, costs: Any, slot: int, start: int, code: Any, steps: Any, entry: Any
) -> None:
    """All steps into row ``i`` from rows above."""
    n, plain = len(code), len(steps.weights) == 0
    best, own = totals[slot, start : start + n], costs[slot, start : start + n]
    for s in range(len(steps.sizes)):
        back = steps.sizes[s, 0]
        if back == 0 or back > i:
            continue
        at = start - steps.sizes[s, 1]
        before = totals[(i - back) % len(totals), at : at + n]
        if plain:
            _from_above(
                best=best, code=code, before=before, cost=own, mul=steps.mul[s], add=steps.add[s], step=s + 1
            )
        else:
            _weigh(entry=entry, costs=costs, slot=slot, start=start, steps=steps, step=s)
            _from_above(best=best, code=code, before=before, cost=entry, mul=1.0, add=0.0, step=s + 1)


@compiled
def sweep(
    cost: Any,
    x: Any,
    y: Any,
    kind: int,
    limits: Any,
    offsets: Any,
    steps: Any,
    subsequence: bool,
    codes: Any,
    kept: Any,
    last: Any,
) -> None:
    """Accumulate; ``last`` (U,) receives the last row's sums, ``codes`` all steps, ``kept`` all sums unless
    (0, 0).

    Row i's cells are ``limits[i, 0]`` to ``limits[i, 1]`` - 1; their codes begin at ``offsets[i]``.
    """
    rows, columns = len(limits), len(last)
    pad, slots = steps.reach_columns, steps.reach_rows + 1
    totals, costs = np.empty((slots, pad + columns)), np.empty((slots, pad + columns))
    for slot in range(slots):
        _clear(totals[slot], 0, pad + columns)
        _clear(costs[slot], 0, pad + columns)
    room = np.empty(columns)
    simple = len(steps.level) == 1 and len(steps.weights) == 0 and steps.sizes[steps.level[0], 1] == 1
    for i in range(rows):
        slot = i % slots
        if i >= slots:
            _clear(totals[slot], pad + limits[i - slots, 0], pad + limits[i - slots, 1])
            _clear(costs[slot], pad + limits[i - slots, 0], pad + limits[i - slots, 1])
        lo, hi = limits[i, 0], limits[i, 1]
        start, stop = pad + lo, pad + hi
        own, best = costs[slot, start:stop], totals[slot, start:stop]
        code = codes[offsets[i] : offsets[i] + hi - lo]
        if kind == GIVEN:
            fill_cost(own, cost[i, lo:hi], x[0], y, kind)
        else:
            fill_cost(own, cost[0], x[i], y[:, lo:hi], kind)
        _begin(best, code, own, lo, i == 0, subsequence)
        _all_from_above(i, totals, costs, slot, start, code, steps, room[: hi - lo])
        if simple:
            s = steps.level[0]
            _from_left(best, code, own, steps.mul[s], steps.add[s], s + 1, room[: hi - lo])
        elif len(steps.level):
            _along(totals[slot], code, costs, slot, start, stop, steps)
        if len(kept):
            for j in range(hi - lo):
                kept[i, lo + j] = best[j]
    for j in range(columns):
        last[j] = totals[(rows - 1) % slots, pad + j]


@compiled
def trace(j: int, limits: Any, offsets: Any, codes: Any, sizes: Any, anchors: Any) -> int:
    """Fill ``anchors`` (N, 3) from its end: row, column, and the step into it, -1 for none; where they begin.

    ``j`` is the column of the last cell.
    """
    i, n = len(limits) - 1, len(anchors)
    while True:
        n -= 1
        step = np.int64(codes[offsets[i] + j - limits[i, 0]]) - 1
        anchors[n, 0], anchors[n, 1], anchors[n, 2] = i, j, step
        if step < 0:
            return n
        i, j = i - sizes[step, 0], j - sizes[step, 1]


def best_paths(task: WarpingTask, keep: bool) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Anchors (B, N, 3), their counts (B,), costs (B,) and, to ``keep``, all sums (B, T, U)."""
    [cost] = arrays(task.cost)
    cells = [Cells(GIVEN, own, _NOTHING, _NOTHING) for own in cost]
    return _best_paths(cells, task.lengths, task.limits, task.rules, cost.shape[1:] if keep else None)


def best_feature_paths(task: FeatureTask, kind: int) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Find what `best_paths` finds, by distances: of a ``kind`` but `GIVEN`; the estimate is (B, D, U)."""
    pairs = zip(*arrays(task.reference, task.estimate), strict=True)
    cells = [Cells(kind, _NOTHING, x, y) for x, y in pairs]
    return _best_paths(cells, task.lengths, task.limits, task.rules, None)


def _best_paths(
    cells: Sequence[Cells], lengths: Tensor, limits: Tensor, rules: Rules, kept: tuple[int, ...] | None
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Find the paths of a batch in several threads; all sums are of shape ``kept``, if they are kept."""
    batch, table = len(cells), Table.of(rules.steps)
    totals = np.full((batch, *(kept or (0, 0))), np.inf)
    anchors: list[np.ndarray] = [np.empty(0)] * batch
    costs = torch.full((batch,), torch.inf, dtype=torch.float64)

    def some(first: int, step: int) -> None:
        for b in range(first, batch, step):
            rows, columns = lengths[b].tolist()
            anchors[b], costs[b] = _best_path(
                cells=cells[b],
                columns=columns,
                limits=limits[b, :rows].numpy(),
                steps=table,
                subsequence=rules.subsequence,
                kept=totals[b, :rows],
            )

    spread(some, batch)
    counts = torch.tensor(list(map(len, anchors)))
    padded = torch.nn.utils.rnn.pad_sequence([torch.from_numpy(a) for a in anchors], True, -1)
    return padded, counts, costs, torch.from_numpy(totals) if kept else None


def _best_path(*, cells: Cells, columns: int, limits: Any, steps: Table, subsequence: bool, kept: Any) -> Any:
    """Anchors (N, 3) of the best path, and its cost: none, and inf, where there is no path.

    ``cells`` come with their padding: of a part that is not one piece of memory numba would compile a second
    kernel.
    """
    offsets = np.concatenate([[0], np.maximum(limits[:, 1] - limits[:, 0], 0).cumsum()])
    codes, last = np.empty(offsets[-1], np.uint8), np.empty(columns)
    sweep(
        cost=cells.cost,
        x=cells.x,
        y=cells.y,
        kind=cells.kind,
        limits=limits,
        offsets=offsets,
        steps=steps,
        subsequence=subsequence,
        codes=codes,
        kept=kept,
        last=last,
    )
    end = int(last.argmin()) if subsequence else len(last) - 1
    if not last[end] < np.inf:
        return np.empty((0, 3), np.int64), np.inf
    anchors = np.empty((len(limits) + len(last) - 1, 3), np.int64)
    begin = trace(j=end, limits=limits, offsets=offsets, codes=codes, sizes=steps.sizes, anchors=anchors)
    return anchors[begin:], float(last[end])
