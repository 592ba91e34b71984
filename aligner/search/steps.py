"""What a path of dynamic time warping may do: its steps, and the band that it stays in.

Steps and their names are those of Sakoe & Chiba 1978, "Dynamic programming algorithm optimization for spoken
word recognition", Giorgino 2009, "Computing and visualizing dynamic time warping alignments in R: the dtw
package", and Müller 2015, "Fundamentals of music processing"; as librosa does, all count the first cell once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from torch import Tensor

UNIT = ((1, 1), (0, 1), (1, 0))  # librosa's order: of steps that cost the same, the first is taken


@dataclass(frozen=True)
class Steps:
    """How a path may go on, and what that costs.

    Examples
    --------
    >>> Steps(((1, 1), (1, 2), (2, 1)), mul=(2, 3, 3)).add
    (0.0, 0.0, 0.0)
    """

    sizes: tuple[tuple[int, int], ...] = UNIT
    """Rows and columns that each step advances; of steps that cost the same, the first is taken."""
    mul: tuple[float, ...] = ()
    """Step k into a cell of cost c costs ``mul[k] * c + add[k]``; 1 unless given."""
    add: tuple[float, ...] = ()
    """What each step costs beside its cells; 0 unless given (see ``mul``)."""
    via: tuple[tuple[tuple[int, int, float], ...], ...] = ()
    """Cells that each step passes on its way: how many rows and columns they are before the step's end, and
    the weight of their costs, which are added.  They are part of the path.  None unless given."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "sizes", tuple((int(i), int(j)) for i, j in self.sizes))
        count = len(self.sizes)
        for name, usual in (("mul", 1.0), ("add", 0.0)):
            given = tuple(float(w) for w in getattr(self, name))
            object.__setattr__(self, name, given if len(given) else (usual,) * count)
        object.__setattr__(self, "via", tuple(self.via) or ((),) * count)
        self._check()

    def _check(self) -> None:
        if not 0 < len(self.sizes) < 256 or any(min(s) < 0 or max(s) == 0 for s in self.sizes):
            raise ValueError(
                f"steps of sizes {self.sizes}; 1 to 255 are needed, none backwards and none (0, 0)"
            )
        for name in ("mul", "add", "via"):
            if len(getattr(self, name)) != len(self.sizes):
                raise ValueError(
                    f"{len(getattr(self, name))} values of {name} for {len(self.sizes)} steps; one each "
                    "is needed"
                )
        weights = (*self.mul, *(w for cells in self.via for *_, w in cells))
        if not all(0 <= w < math.inf for w in weights) or not all(map(math.isfinite, self.add)):
            raise ValueError(
                f"weights {weights} of cells and {self.add} of steps; finite numbers are needed, those of "
                "cells not below 0"
            )
        for (rows, columns), cells in zip(self.sizes, self.via, strict=True):
            for i, j, _ in cells:
                if not (0 <= i <= rows and 0 <= j <= columns and 0 < i + j < rows + columns):
                    raise ValueError(
                        f"cell {(i, j)} on the way of step {(rows, columns)}; it is not between its ends"
                    )


SYMMETRIC1 = Steps()
"""librosa's default: unit steps, all of weight 1."""
SYMMETRIC2 = Steps(mul=(2, 1, 1))
"""Sakoe & Chiba 1978, table I, P = 0: a diagonal step counts as two, so that all paths weigh T + U cells."""
ASYMMETRIC = Steps(((1, 1), (1, 0), (1, 2)))
"""Each row once, so that all paths weigh T cells: for finding a recording in a longer one (Giorgino 2009)."""
MULLER = Steps(((1, 1), (2, 1), (1, 2)))
"""Between half and twice as fast, cells between not weighed (Müller 2015, sec. 3.2.2.1)."""
SAKOE_CHIBA_P05 = Steps(
    ((1, 1), (1, 2), (2, 1), (1, 3), (3, 1)),
    mul=(2, 1, 1, 1, 1),
    via=((), ((0, 1, 2),), ((1, 0, 2),), ((0, 1, 1), (0, 2, 2)), ((1, 0, 1), (2, 0, 2))),
)
"""Sakoe & Chiba 1978, table I, symmetric, P = 1/2: at most two steps aside after a diagonal one."""
SAKOE_CHIBA_P1 = Steps(((1, 1), (1, 2), (2, 1)), mul=(2, 1, 1), via=((), ((0, 1, 2),), ((1, 0, 2),)))
"""The same, P = 1: at most one; their best for words."""
SAKOE_CHIBA_P2 = Steps(
    ((1, 1), (2, 3), (3, 2)), mul=(2, 1, 1), via=((), ((0, 1, 2), (1, 2, 2)), ((1, 0, 2), (2, 1, 2)))
)
"""The same, P = 2: one after two diagonal steps."""


class Band(Protocol):
    """Cells that a path may visit."""

    def limits(self, rows: int, columns: int) -> np.ndarray:
        """(T, 2): the first column of each row, and the one after its last; those beyond the matrix do not
        count.
        """


@dataclass(frozen=True)
class SakoeChiba:
    """A band along the diagonal, wider by the difference where two lengths differ (Sakoe & Chiba 1978).

    Examples
    --------
    >>> SakoeChiba(radius=1).limits(3, 4).tolist()
    [[-1, 3], [0, 4], [1, 5]]
    """

    radius: int | None = None
    """Frames that a path may stray from the diagonal."""
    share: float | None = None
    """The same as librosa's ``band_rad``: fewer frames than this share of the shorter of the two."""

    def __post_init__(self) -> None:
        given = [v for v in (self.radius, self.share) if v is not None]
        if len(given) != 1 or not 0 <= given[0] < np.inf:
            raise ValueError(
                f"a band of radius {self.radius} and share {self.share}; one of them is needed, from 0"
            )

    def limits(self, rows: int, columns: int) -> np.ndarray:
        """(T, 2): the first column of each row, and the one after its last."""
        if self.radius is not None:
            radius = self.radius
        else:
            radius = int(np.round((self.share or 0.0) * min(rows, columns))) - 1
        i = np.arange(rows)
        return np.stack([i - radius - max(rows - columns, 0), i + radius + max(columns - rows, 0) + 1], 1)


@dataclass(frozen=True)
class Itakura:
    """A parallelogram from the first cell to the last (Itakura 1975, "Minimum prediction residual
    principle").

    Examples
    --------
    >>> Itakura().limits(4, 4).tolist()
    [[0, 1], [1, 3], [1, 3], [3, 4]]
    """

    slope: float = 2.0
    """How many times faster or slower than the reference the estimate may be, on the whole from the first
    cell and on the whole to the last."""

    def __post_init__(self) -> None:
        if not 1 <= self.slope < np.inf:
            raise ValueError(f"a parallelogram of slope {self.slope}; a number from 1 is needed")

    def limits(self, rows: int, columns: int) -> np.ndarray:
        """(T, 2): the first column of each row, and the one after its last."""
        since, until, slack = np.arange(rows), np.arange(rows)[::-1], 1e-9  # columns on a line are inside
        least = np.maximum(since / self.slope, columns - 1 - until * self.slope)
        most = np.minimum(since * self.slope, columns - 1 - until / self.slope)
        return np.stack([np.ceil(least - slack), np.floor(most + slack) + 1], 1).astype(np.int64)


@dataclass(frozen=True)
class Rules:
    """What a path may do: its steps, where it begins and ends, its band."""

    steps: Steps = SYMMETRIC1
    """Steps that a path is made of."""
    subsequence: bool = False
    """Whether it may begin in any column of the first row and end in any of the last: the reference is then
    found in a longer estimate."""
    band: Band | None = None
    """`SakoeChiba` or `Itakura`: the cells that it may visit; all unless given."""


DEFAULT = Rules()


class WarpingTask(NamedTuple):
    """What a kernel is to do with a batch: find the cheapest path through each matrix of costs."""

    cost: Tensor
    """(B, T, U) costs."""
    lengths: Tensor
    """(B, 2): rows and columns of each pair."""
    limits: Tensor
    """(B, T, 2): the first column that a path may visit in each row, and the one after the last."""
    rules: Rules
    """What a path may do."""


class FeatureTask(NamedTuple):
    """What `WarpingTask` is, with frames whose distances are the costs."""

    reference: Tensor
    """(B, T, D) frames."""
    estimate: Tensor
    """(B, U, D) frames."""
    lengths: Tensor
    """(B, 2): frames of each reference and of each estimate."""
    limits: Tensor
    """(B, T, 2): the first column that a path may visit in each row, and the one after the last."""
    rules: Rules
    """What a path may do."""


class Table(NamedTuple):
    """Steps as the kernels read them."""

    sizes: np.ndarray
    """(S, 2): rows and columns that each step advances."""
    mul: np.ndarray
    """(S,): factor of the cost of the cell that a step enters."""
    add: np.ndarray
    """(S,): cost of the step itself."""
    first: np.ndarray
    """(S + 1,): step s passes ``cells[first[s]:first[s + 1]]``."""
    cells: np.ndarray
    """(V, 2): cells passed, as rows and columns before the step's end."""
    weights: np.ndarray
    """(V,): weights of their costs."""
    level: np.ndarray
    """Steps that stay in their row."""
    reach_rows: int
    """Most rows that a step reaches back."""
    reach_columns: int
    """Most columns that a step reaches back."""

    @classmethod
    def of(cls, steps: Steps) -> Table:
        """The table of ``steps``, as arrays."""
        sizes = np.array(steps.sizes, np.int64)
        passed = [cell for cells in steps.via for cell in cells]
        return cls(
            sizes=sizes,
            mul=np.array(steps.mul),
            add=np.array(steps.add),
            first=np.cumsum([0, *map(len, steps.via)], dtype=np.int64),
            cells=np.array([c[:2] for c in passed], np.int64).reshape(-1, 2),
            weights=np.array([c[2] for c in passed], np.float64),
            level=np.flatnonzero(sizes[:, 0] == 0),
            reach_rows=int(sizes[:, 0].max()),
            reach_columns=int(sizes[:, 1].max()),
        )
