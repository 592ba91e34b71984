"""Which kernel runs on which device, without loading it; and its module, which is loaded on demand.

numba is slow to import, and triton is absent on some machines.
"""

from __future__ import annotations

import os
from importlib import import_module
from types import ModuleType

from aligner.names import KERNELS


def misfit(kernel: str, device: str) -> str:
    """Why a kernel does not run on a device, such as ``cuda:1``; empty where it does.

    Examples
    --------
    >>> misfit("numba", "cpu"), misfit("numba", "cuda:1")
    ('', 'the numba kernel runs on the CPU, the scores are on cuda:1')
    """
    kind = device.partition(":")[0]
    if kernel not in KERNELS:
        return f"kernel {kernel!r}; one of {', '.join(KERNELS)} is needed"
    if kernel == "numba" and kind != "cpu":
        return f"the numba kernel runs on the CPU, the scores are on {device}"
    if kernel == "triton" and kind != "cuda" and os.environ.get("TRITON_INTERPRET") != "1":
        return "the triton kernel runs on CUDA; on the CPU only with TRITON_INTERPRET=1 in the environment"
    return ""


def kernel_module(search: str, kernel: str) -> ModuleType:
    """Load the module of a search's kernel, such as the 'numba' one of 'logsum'."""
    return import_module(f"aligner.search.kernels.{search}_{kernel}")
