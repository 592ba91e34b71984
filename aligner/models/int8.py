"""Linear layers in 8-bit integers, for the CPU: with VNNI they take a sixth of the time, without it a half.

Each row of the weights has a scale of its own; what comes in has one, all of it together, so that the result
depends a little on what else is in a batch.  What comes in has 7 bits, for processors without VNNI add two
products in 16 bits: so the integers are the same on all.
"""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from aligner.types import ModelError

Module = TypeVar("Module", bound=nn.Module)
MOST_WEIGHT, MOST_INPUT = 127, 127  # the largest integers: weights may be below 0, what comes in is not
LEAST_RANGE = 1e-30  # of numbers that are all 0


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


def quick(module: Module) -> Module:
    """The module in 8-bit integers where this torch has them; it is changed."""
    return in_int8(module) if is_possible() else module


def is_possible() -> bool:
    """Whether this torch has products of 8-bit integers."""
    there: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return there and hasattr(torch.ops.onednn, "qlinear_pointwise")
