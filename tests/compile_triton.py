"""Compile every Triton kernel to machine code for a Hopper GPU; needs no GPU.  Run by test_search."""

from __future__ import annotations

from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, compile

from aligner.search.kernels import (
    dtw_soft_triton,
    dtw_triton,
    logsum_triton,
    segmental_triton,
    viterbi_triton,
)

TYPES = {
    "lengths": "*i64",
    "pdf": "*i32",
    "predecessors": "*i32",
    "successors": "*i32",
    "totals": "*fp64",
    "paths": "*i64",
    "begins": "*u8",
    "BLOCK": "constexpr",
    "WIDTH": "constexpr",
}
WARPING = {
    **dict.fromkeys(["cost"], None),
    **dict.fromkeys(["limits", "sizes", "first", "cells", "anchors", "counts"], "*i64"),
    **dict.fromkeys(["mul", "add", "weights", "sums", "kept", "gammas", "expected"], "*fp64"),
    "codes": "*u8",
}
DOUBLES = dict.fromkeys(["opened", "ended", "cumulated", "begun", "finished", "xis", "spread"], "*fp64")
KERNELS = [
    (viterbi_triton._best_paths, {"choices": "*u8"}),
    (logsum_triton._forward, {"alphas": None}),
    (logsum_triton._backward, {"alphas": None, "gammas": None, "xis": None}),
    (segmental_triton._best_segments, {"chosen": "*u16", "choices": "*u16", "opened": "*fp64"}),
    (segmental_triton._forward, DOUBLES),
    (segmental_triton._backward, DOUBLES),
    (dtw_triton._best_paths, WARPING),
    (dtw_soft_triton._forward, WARPING),
    (dtw_soft_triton._backward, WARPING),
]
FLOATS = ("scores", "weights", "start", "final", "durations")


def main() -> None:
    for kernel, own in KERNELS:
        for floating in ("*fp32", "*fp64"):
            types = {**TYPES, **dict.fromkeys(FLOATS, floating), **{k: v or floating for k, v in own.items()}}
            signature = {name: types.get(name, "i32") for name in kernel.arg_names}
            constants = {"BLOCK": 512} | ({"WIDTH": 2} if "WIDTH" in kernel.arg_names else {})
            source = ASTSource(fn=kernel, signature=signature, constexprs=constants)
            made = compile(source, target=GPUTarget("cuda", 90, 32), options={"num_warps": 4})
            assert made.asm["cubin"], kernel
            print(kernel.__name__, floating, len(made.asm["cubin"]), "bytes")


if __name__ == "__main__":
    main()
