"""Fast kernels; each must equal the reference beside it.

Numba's kernels fill arrays in loops, not by slices or ``np.full``: those take seconds to compile.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from numba import njit


def compiled(function: Callable[..., Any] | None = None, **options: Any) -> Callable[..., Any]:
    """Compile with numba, once: the result is kept on disk, unless there is no place that can be written."""
    if function is None:
        return lambda f: compiled(f, **options)
    try:
        return njit(nogil=True, cache=True, error_model="numpy", **options)(function)
    except RuntimeError:  # numba's word for a read-only installation without a home
        return njit(nogil=True, error_model="numpy", **options)(function)


def spread(work: Callable[[int, int], None], batch: int) -> None:
    """Call ``work(first, step)`` in as many threads as torch may use here: each takes every step-th
    utterance.
    """
    import torch  # those who only compile do not wait for it

    threads = min(torch.get_num_threads(), batch)
    if threads == 1:
        work(0, 1)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda first: work(first, threads), range(threads)))
