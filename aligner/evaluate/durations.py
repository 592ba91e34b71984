"""How well the durations of matched phones or words agree: for those who need durations, not boundaries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RELATIVE, ABSOLUTE = 0.20, 0.020  # "duration accuracy": within 20 %, and within 20 ms; both are in use


@dataclass(frozen=True, kw_only=True)
class DurationSummary:
    """Differences between pairs of durations, estimate less reference."""

    count: int
    """Number of pairs."""
    rmse: float
    """Root mean square difference, in ms."""
    log_rmse: float
    """Root mean square difference of natural logarithms: 0.1 is some 10 %."""
    correlation: float | None
    """Pearson's correlation, -1 to 1; None where one side does not vary."""
    within_20_percent: float
    """Share of durations within a fifth of the reference's, in percent ("duration accuracy")."""
    within_20_ms: float
    """Share of durations within 20 ms of the reference's, in percent ("duration accuracy", too)."""
    bias: float
    """Mean difference in ms; too long is positive."""


def duration_summary(pairs: Sequence[tuple[float, float]] | np.ndarray) -> DurationSummary | None:
    """Summarise (reference, estimate) durations in seconds, (N, 2); None where there are none.

    Examples
    --------
    >>> found = duration_summary([(0.1, 0.11), (0.2, 0.26)])
    >>> round(found.rmse, 2), found.within_20_percent, found.within_20_ms
    (43.01, 50.0, 50.0)
    """
    table = np.asarray(pairs, dtype=float).reshape(-1, 2)
    table = table[(table > 0).all(1)]  # a duration of nothing has no logarithm
    if not len(table):
        return None
    reference, estimate = table.T
    difference = estimate - reference
    slack = 1e-9
    varies = len(table) > 1 and min(reference.std(), estimate.std()) > slack
    return DurationSummary(
        count=len(table),
        rmse=1000 * float(np.sqrt((difference**2).mean())),
        log_rmse=float(np.sqrt((np.log(estimate / reference) ** 2).mean())),
        correlation=float(np.corrcoef(reference, estimate)[0, 1]) if varies else None,
        within_20_percent=100 * float((np.abs(difference) <= RELATIVE * reference + slack).mean()),
        within_20_ms=100 * float((np.abs(difference) <= ABSOLUTE + slack).mean()),
        bias=1000 * float(difference.mean()),
    )
