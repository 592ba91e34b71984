"""Errors of the fundamental frequency and of voicing (Chu & Alwan 2009)."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np

from aligner.evaluate.warping import check_path

# of the reference's F0; what is further off is a gross pitch error (Chu & Alwan 2009)
GROSS_ERROR_SHARE = 0.2


@dataclass(frozen=True, kw_only=True)
class F0Errors:
    """Counts and sums over matched frames; ``+`` pools them.

    Examples
    --------
    >>> from aligner.evaluate.warping import linear_path
    >>> errors = f0_errors(np.array([100.0, 100, 0, 100]), np.array([103.0, 200, 0, 0]), linear_path(4, 4))
    >>> errors.vuv, errors.gpe, errors.ffe
    (25.0, 50.0, 50.0)
    """

    frames: int
    """Number of pairs."""
    voiced: int
    """Number of pairs voiced in both."""
    voicing: int
    """Number of pairs voiced in one only."""
    gross: int
    """Number of pairs voiced in both that differ by more than 20 % of the reference."""
    squared_hz: float
    """Sum of squared differences in Hz over the pairs voiced in both, gross ones included."""
    squared_cents: float
    """The same sum in cents."""

    def __add__(self, other: F0Errors) -> F0Errors:
        return F0Errors(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)})

    @property
    def rmse_hz(self) -> float | None:
        """Root mean squared error in Hz; None where no pair is voiced in both."""
        return math.sqrt(self.squared_hz / self.voiced) if self.voiced else None

    @property
    def rmse_cents(self) -> float | None:
        """Root mean squared error in cents; None where no pair is voiced in both."""
        return math.sqrt(self.squared_cents / self.voiced) if self.voiced else None

    @property
    def vuv(self) -> float:
        """Voicing decision error: percent of all pairs that are voiced in one only."""
        return 100 * self.voicing / self.frames

    @property
    def gpe(self) -> float | None:
        """Gross pitch error: percent of the pairs voiced in both; None where there are none."""
        return 100 * self.gross / self.voiced if self.voiced else None

    @property
    def ffe(self) -> float:
        """F0 frame error: percent of all pairs with a voicing or a gross pitch error (Chu & Alwan 2009)."""
        return 100 * (self.voicing + self.gross) / self.frames


def f0_errors(reference: np.ndarray, estimate: np.ndarray, path: np.ndarray) -> F0Errors:
    """Errors of F0 (T,) and (U,) in Hz, 0 where unvoiced, over matched frames (P, 2); see `F0Errors`."""
    for name, f0 in (("reference", reference), ("estimate", estimate)):
        if f0.ndim != 1 or not np.isfinite(f0).all() or (f0 < 0).any():
            raise ValueError(f"the {name}'s F0 of shape {f0.shape} is not (frames,) of Hz, 0 where unvoiced")
    check_path(path)
    a, b = reference[path[:, 0]], estimate[path[:, 1]]
    both = (a > 0) & (b > 0)
    voicing = int(((a > 0) != (b > 0)).sum())
    a, b = a[both], b[both]
    gross = int((np.abs(b - a) > GROSS_ERROR_SHARE * a).sum())
    return F0Errors(
        frames=len(path),
        voiced=len(a),
        voicing=voicing,
        gross=gross,
        squared_hz=float(((b - a) ** 2).sum()),
        squared_cents=float(((1200 * np.log2(b / a)) ** 2).sum()),
    )
