"""Bars of accuracy, from what was measured: a regression of a tenth does not pass."""

from __future__ import annotations

SLACK = 0.08  # of the measured error: less than the tenth that must fail, more than rounding elsewhere brings


def at_most(measured: float) -> float:
    """The bar for an error (in any unit) that was measured."""
    return measured * (1 + SLACK)


def share_at_least(measured: float) -> float:
    """The bar for a measured percentage of what is right: what is wrong may grow as an error may."""
    return 100 - at_most(100 - measured)
