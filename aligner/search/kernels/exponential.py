"""exp in float64 that a compiler can turn into vector instructions (numba's own calls the C library, one by
one).

Cody and Waite's reduction to |r| <= log(2) / 2, then the Taylor polynomial to r ** 11: the relative error
stays under 1e-14.  2 ** n is made by writing n into the exponent's bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from aligner.search.kernels import compiled

FAST = {"reassoc", "contract", "nsz"}  # for sums of exponentials: leave to reorder, not to doubt infinities
ROUND = 1.5 * 2.0**52  # added to a small number, it leaves the nearest integer in the low bits
PER_LOG2 = 1.0 / np.log(2.0)
LOG2_HIGH, LOG2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
SMALLEST = -708.0  # exp of less is 0 here


@intrinsic  # type: ignore[untyped-decorator]
def _as_float(typing: Any, x: Any) -> Any:
    return types.float64(types.int64), lambda c, builder, s, args: builder.bitcast(args[0], ir.DoubleType())


@intrinsic  # type: ignore[untyped-decorator]
def _as_bits(typing: Any, x: Any) -> Any:
    return types.int64(types.float64), lambda c, builder, s, args: builder.bitcast(args[0], ir.IntType(64))


@compiled(fastmath={"contract"})  # not FAST: reordered, n - ROUND would not round
def exp(x: Any) -> Any:
    """e to the ``x``, for ``x`` up to 700; 0 for less than -708, -inf among it."""
    low = max(x, SMALLEST)
    n = low * PER_LOG2 + ROUND
    k = n - ROUND
    r = low - k * LOG2_HIGH - k * LOG2_LOW
    p = 1.0 / 39916800.0
    p = p * r + 1.0 / 3628800.0
    p = p * r + 1.0 / 362880.0
    p = p * r + 1.0 / 40320.0
    p = p * r + 1.0 / 5040.0
    p = p * r + 1.0 / 720.0
    p = p * r + 1.0 / 120.0
    p = p * r + 1.0 / 24.0
    p = p * r + 1.0 / 6.0
    p = p * r + 0.5
    p = p * r + 1.0
    p = p * r + 1.0
    power = _as_float((_as_bits(n) + np.int64(1023)) << np.int64(52))
    return p * power if x >= SMALLEST else 0.0
