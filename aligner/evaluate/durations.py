"""How well the lengths of matched phones or words agree: for those who need durations, not boundaries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RELATIVE, ABSOLUTE = 0.20, 0.020  # "duration accuracy": within 20 %, and within 20 ms; both are in use


@dataclass(frozen=True)
class DurationSummary:
    """Figures of pairs of lengths.

    Attributes
    ----------
    count : int
    rmse : float
        Root mean square difference, in ms.
    log_rmse : float
        The same of natural logarithms: 0.1 is some 10 %.
    correlation : float or None
        Pearson's, from -1 to 1; None where one side does not vary.
    within_20_percent, within_20_ms : float
        "Duration accuracy" by its two definitions: share, in percent, of lengths that are within a fifth of
        the reference's, and within 20 ms of it.
    bias : float
        Mean difference in ms; too long is positive.
    """

    count: int
    rmse: float
    log_rmse: float
    correlation: float | None
    within_20_percent: float
    within_20_ms: float
    bias: float


def duration_summary(pairs: Sequence[tuple[float, float]] | np.ndarray) -> DurationSummary | None:
    """Figures of (reference, estimate) lengths in seconds, (N, 2); None where there are none.

    Examples
    --------
    >>> found = duration_summary([(0.1, 0.11), (0.2, 0.26)])
    >>> round(found.rmse, 2), found.within_20_percent, found.within_20_ms
    (43.01, 50.0, 50.0)
    """
    table = np.asarray(pairs, dtype=float).reshape(-1, 2)
    table = table[(table > 0).all(1)]  # a length of nothing has no logarithm
    if not len(table):
        return None
    reference, estimate = table.T
    difference = estimate - reference
    slack = 1e-9
    varies = len(table) > 1 and min(reference.std(), estimate.std()) > slack
    return DurationSummary(
        len(table),
        1000 * float(np.sqrt((difference**2).mean())),
        float(np.sqrt((np.log(estimate / reference) ** 2).mean())),
        float(np.corrcoef(reference, estimate)[0, 1]) if varies else None,
        100 * float((np.abs(difference) <= RELATIVE * reference + slack).mean()),
        100 * float((np.abs(difference) <= ABSOLUTE + slack).mean()),
        1000 * float(difference.mean()),
    )
