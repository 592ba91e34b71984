"""Fast kernels; each must equal the reference beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile with numba, once: the result is kept on disk, unless there is no place that can be written."""
    try:
        return njit(nogil=True, cache=True)(function)
    except RuntimeError:  # numba's word for a read-only installation without a home
        return njit(nogil=True)(function)
