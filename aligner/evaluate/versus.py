"""Two aligners against one reference, boundary by boundary and file by file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aligner.evaluate.accuracy import FileResult, percentiles_95, resampled
from aligner.evaluate.boundaries import Boundary
from aligner.evaluate.folders import Evaluation, Options, evaluate

SIGNIFICANCE_LEVEL = 0.05  # p-value below which a difference is none of chance
FEWEST_FILES = 6  # files from which the test can tell anything at that level

Chosen = Callable[[FileResult], tuple[Boundary, ...]]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How much two aligners differ on the boundaries that both have."""

    boundaries: int
    """Number of boundaries that both aligners have."""
    files: int
    """Number of files with such boundaries."""
    first: float
    """Mean absolute error of the first aligner on them, in ms."""
    second: float
    """Mean absolute error of the second aligner on them, in ms."""
    difference: float
    """``first`` less ``second``, in ms; below 0 the first is closer to the reference."""
    interval: tuple[float, float] | None
    """95 % bootstrap interval of the difference, over files."""
    typical: float
    """The median of the files' differences: what the test is about."""
    p_value: float | None
    """Probability that files differ as much if the two were equally good: Wilcoxon's signed-rank test (1945)
    of the files' mean errors, two-sided; None for fewer than `FEWEST_FILES`, or where nothing differs."""


@dataclass(frozen=True)
class Versus:
    """Both evaluations and the differences; None where there is nothing that both have."""

    first: Evaluation
    """Evaluation of the first aligner."""
    second: Evaluation
    """Evaluation of the second aligner."""
    phones: Difference | None
    """Difference on phone boundaries; None where there are none that both have."""
    words: Difference | None
    """Difference on word boundaries; None where there are none that both have."""


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
        boundaries=int(count.sum()),
        files=len(rows),
        first=float(mean_a),
        second=float(mean_b),
        difference=float(mean_a - mean_b),
        interval=percentiles_95((total[:, 1] - total[:, 2]) / total[:, 0]) if len(rows) > 1 else None,
        typical=float(np.median(per_file)),
        p_value=_p_value(per_file),
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

    if len(per_file) < FEWEST_FILES or not np.abs(per_file).max() > 1e-9:
        return None
    return float(wilcoxon(per_file).pvalue)
