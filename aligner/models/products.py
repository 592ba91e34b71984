"""Linear layers that take less time on a CPU.

In half precision only the weights are, and the products are FBGEMM's: where the weights were stored in half
precision, the results are those of float32 in half of MKL's time.  Torch is going to take these products away
some day; layers stay as they are then.

In 8-bit integers all is: with VNNI that takes a sixth of the time, without it a half.  Each row of the
weights has a scale of its own; what comes in has one, all of it together, so that the result depends a little
on what else is in a batch, and of two copies of a recording that differ in the last digit a boundary in a
hundred moves by frames.  What comes in has 7 bits, for processors without VNNI add two products in 16 bits:
so the integers are the same on all.  A product is compiled for each new number of rows, in 1 ms.
"""

from __future__ import annotations

import warnings
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from aligner.types import ModelError

Module = TypeVar("Module", bound=nn.Module)
MOST_WEIGHT, MOST_INPUT = 127, 127  # the largest integers: weights may be below 0, what comes in is not
LEAST_RANGE = 1e-30  # of numbers that are all 0


class HalfLinear(nn.Module):
    """A linear layer with weights (out, in) in half precision."""

    weight: Tensor
    bias: Tensor

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.register_buffer("weight", linear.weight.detach())
        self.register_buffer("bias", linear.bias.detach())
        self._packed: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_packed": None}  # another process packs them anew

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., in) to (..., out), float32."""
        if self._packed is None:
            self._packed = self._pack()
        found: Tensor = torch.fbgemm_linear_fp16_weight_fp32_activation(x, self._packed, self.bias)
        return found

    def _pack(self) -> Any:
        """The weights in the order that this processor likes."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # torch tells once that it will take them away
            packed = torch.fbgemm_pack_gemm_matrix_fp16(self.weight)
            torch.fbgemm_linear_fp16_weight_fp32_activation(self.weight[:1], packed, self.bias)
        return packed


class Int8Linear(nn.Module):
    """A linear layer with weights (out, in) in 8-bit integers."""

    weight: Tensor
    scales: Tensor
    zeros: Tensor
    bias: Tensor

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight = linear.weight.detach().float()
        scales = weight.abs().amax(1).clamp_min(LEAST_RANGE) / MOST_WEIGHT
        self.register_buffer("weight", (weight / scales[:, None]).round().to(torch.int8))
        self.register_buffer("scales", scales)
        self.register_buffer("zeros", torch.zeros(len(weight), dtype=torch.int32))
        self.register_buffer("bias", linear.bias.detach().float())
        self._packed: Tensor | None = None  # the weights in the order that this processor likes

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_packed": None}  # another process packs them anew

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., in) to (..., out), float32."""
        if self._packed is None:
            self._packed = torch.ops.onednn.qlinear_prepack(self.weight, None)
        low, high = (float(value) for value in torch.aminmax(x))
        low, high = min(low, 0.0), max(high, 0.0)  # 0 is an integer, too
        scale = max(high - low, LEAST_RANGE) / MOST_INPUT
        zero = round(-low / scale)
        nearest = x.new_full((), zero + 0.5)  # what is behind the point is cut off
        integers = torch.add(nearest, x, alpha=1 / scale).to(torch.uint8)
        weights = (self._packed, self.scales, self.zeros, self.bias)
        found: Tensor = torch.ops.onednn.qlinear_pointwise(
            integers, scale, zero, *weights, 1.0, 0, torch.float32, "none", [], ""
        )
        return found


def in_half(module: Module) -> Module:
    """Replace the linear layers of a module by such in half precision; the module itself is changed.

    Those stay whose weights would be rounded, or that have no bias, and all where this torch has no such
    products.
    """
    if not has_half():
        return module
    for name, child in list(module.named_children()):
        if not isinstance(child, nn.Linear):
            in_half(child)
        elif child.bias is not None and torch.equal(child.weight.half().float(), child.weight):
            setattr(module, name, HalfLinear(child))
    return module


def in_int8(module: Module) -> Module:
    """Replace the linear layers of a module by such of 8-bit integers; the module itself is changed.

    Raises
    ------
    ModelError
        If this torch has none.
    """
    if not is_possible():
        raise ModelError("int8", "this torch has no products of 8-bit integers", "take float32")
    for name, child in list(module.named_children()):
        if isinstance(child, nn.Linear):
            setattr(module, name, Int8Linear(child))
        else:
            in_int8(child)
    return module


def is_possible() -> bool:
    """Whether this torch has products of 8-bit integers."""
    there: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return there and hasattr(torch.ops.onednn, "qlinear_pointwise")


def has_half() -> bool:
    """Whether this torch has products in half precision."""
    return "fbgemm" in torch.backends.quantized.supported_engines and hasattr(
        torch, "fbgemm_linear_fp16_weight_fp32_activation"
    )
