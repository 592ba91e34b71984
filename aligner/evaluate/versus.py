"""Two aligners against one reference, boundary by boundary and file by file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aligner.evaluate.accuracy import RESAMPLES, FileResult
from aligner.evaluate.boundaries import Boundary
from aligner.evaluate.folders import Evaluation, Options, evaluate

SIGNIFICANT = 0.05
FEWEST = 6  # files from which the test can tell anything at that level

Chosen = Callable[[FileResult], tuple[Boundary, ...]]


@dataclass(frozen=True)
class Difference:
    """How much two aligners differ on the boundaries that both have.

    Attributes
    ----------
    boundaries, files : int
        Those that both have.
    first, second : float
        Mean absolute errors on them, in ms.
    difference : float
        First less second; below 0 the first is closer to the reference.
    interval : (float, float) or None
        95 % bootstrap interval of the difference, over files.
    p_value : float or None
        That files differ as much if the two were equally good: Wilcoxon's signed-rank test (1945) of the files'
        mean errors, two-sided; None for fewer than `FEWEST` files, or where nothing differs.
    """

    boundaries: int
    files: int
    first: float
    second: float
    difference: float
    interval: tuple[float, float] | None
    p_value: float | None


@dataclass(frozen=True)
class Versus:
    """Both evaluations and the differences; None where there is nothing that both have."""

    first: Evaluation
    second: Evaluation
    phones: Difference | None
    words: Difference | None


def versus(reference: Path, first: Path, second: Path, options: Options | None = None) -> Versus:
    """Compare two folders of alignments by their distance from a reference.

    Raises
    ------
    DataError
        As `aligner.evaluate.folders.evaluate`.
    """
    a, b = evaluate(reference, first, options), evaluate(reference, second, options)
    return Versus(a, b, difference(a.results, b.results, lambda f: f.phones),
                  difference(a.results, b.results, lambda f: f.words))


def difference(first: Sequence[FileResult], second: Sequence[FileResult], chosen: Chosen,
               seed: int = 0) -> Difference | None:
    """Compare the boundaries that both have, paired by file."""
    others = {f.file: f for f in second}
    both = (_sums(chosen(f), chosen(others[f.file])) for f in first if f.file in others)
    rows = np.array([row for row in both if row[0]])
    if not len(rows):
        return None
    count, a, b = rows.T
    per_file = (a - b) / count
    drawn = np.random.default_rng(seed).multinomial(len(rows), np.full(len(rows), 1 / len(rows)), RESAMPLES)
    total = drawn @ rows
    low, high = np.percentile((total[:, 1] - total[:, 2]) / total[:, 0], [2.5, 97.5])
    mean_a, mean_b = a.sum() / count.sum(), b.sum() / count.sum()
    return Difference(int(count.sum()), len(rows), float(mean_a), float(mean_b), float(mean_a - mean_b),
                      (float(low), float(high)) if len(rows) > 1 else None, _p_value(per_file))


def _sums(a: Sequence[Boundary], b: Sequence[Boundary]) -> np.ndarray:
    """Count, and both sums of absolute errors (ms), of the boundaries of one file that both have."""
    theirs = _errors(b)
    both = [(error, theirs[key]) for key, error in _errors(a).items() if key in theirs]
    return np.array([len(both), sum(x for x, _ in both), sum(y for _, y in both)], dtype=float)


def _errors(boundaries: Sequence[Boundary]) -> Mapping[tuple[str, str, float], float]:
    return {(b.left, b.right, round(b.reference, 6)): 1000 * abs(b.late) for b in boundaries}


def _p_value(per_file: np.ndarray) -> float | None:
    from scipy.stats import wilcoxon  # slow to import

    if len(per_file) < FEWEST or not np.abs(per_file).max() > 1e-9:
        return None
    return float(wilcoxon(per_file).pvalue)
