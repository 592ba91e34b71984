"""Two aligners against one reference, boundary by boundary and file by file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aligner.evaluate.accuracy import FileResult, middle, resampled
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
    typical : float
        The median of the files' differences: what the test is about.
    p_value : float or None
        That files differ as much if the two were equally good: Wilcoxon's signed-rank test (1945) of the
        files' mean errors, two-sided; None for fewer than `FEWEST` files, or where nothing differs.
    """

    boundaries: int
    files: int
    first: float
    second: float
    difference: float
    interval: tuple[float, float] | None
    typical: float
    p_value: float | None


@dataclass(frozen=True)
class Versus:
    """Both evaluations and the differences; None where there is nothing that both have."""

    first: Evaluation
    second: Evaluation
    phones: Difference | None
    words: Difference | None


def versus(
    reference: Path, first: Path, second: Path, options: Options | None = None, jobs: int = 1
) -> Versus:
    """Compare two folders of alignments by their distance from a reference.

    Raises
    ------
    DataError
        As `aligner.evaluate.folders.evaluate`.
    """
    a, b = evaluate(reference, first, options, jobs), evaluate(reference, second, options, jobs)
    return Versus(
        a,
        b,
        difference(a.results, b.results, lambda f: f.phones),
        difference(a.results, b.results, lambda f: f.words),
    )


def difference(
    first: Sequence[FileResult], second: Sequence[FileResult], chosen: Chosen, seed: int = 0
) -> Difference | None:
    """Compare the boundaries that both have, paired by file."""
    others = {f.title: f for f in second}
    both = (_sums(chosen(f), chosen(others[f.title])) for f in first if f.title in others)
    rows = np.array([row for row in both if row[0]])
    if not len(rows):
        return None
    count, a, b = rows.T
    per_file = (a - b) / count
    total = resampled(rows, seed)
    mean_a, mean_b = a.sum() / count.sum(), b.sum() / count.sum()
    return Difference(
        int(count.sum()),
        len(rows),
        float(mean_a),
        float(mean_b),
        float(mean_a - mean_b),
        middle((total[:, 1] - total[:, 2]) / total[:, 0]) if len(rows) > 1 else None,
        float(np.median(per_file)),
        _p_value(per_file),
    )


def _sums(a: Sequence[Boundary], b: Sequence[Boundary]) -> np.ndarray:
    """Count, and both sums of absolute errors (ms), of the boundaries of one file that both have."""
    theirs = _errors(b)
    both = [(error, theirs[key]) for key, error in _errors(a).items() if key in theirs]
    return np.array([len(both), sum(x for x, _ in both), sum(y for _, y in both)], dtype=float)


def _errors(boundaries: Sequence[Boundary]) -> Mapping[tuple[str, str, float], float]:
    """Absolute errors (ms); where an aligner has a pause at a boundary, the mean of both ends of it."""
    found: dict[tuple[str, str, float], list[float]] = defaultdict(list)
    for b in boundaries:
        found[b.left, b.right, round(b.reference, 6)].append(1000 * abs(b.late))
    return {key: sum(errors) / len(errors) for key, errors in found.items()}


def _p_value(per_file: np.ndarray) -> float | None:
    from scipy.stats import wilcoxon  # slow to import

    if len(per_file) < FEWEST or not np.abs(per_file).max() > 1e-9:
        return None
    return float(wilcoxon(per_file).pvalue)
