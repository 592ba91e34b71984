"""Linear layers in 8-bit integers, for the CPU: with VNNI they take a quarter of the time.

Each row of the weights has a scale of its own; what comes in has one, all of it together, so that the result
depends a little on what else is in a batch.  What comes in has 7 bits, for processors without VNNI add two
products in 16 bits: so the integers are the same on all.

The products are FBGEMM's, not oneDNN's, which compiles one for each new number of frames in 1 ms.
"""

from __future__ import annotations

import warnings
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from aligner.types import ModelError

Module = TypeVar("Module", bound=nn.Module)
MOST_WEIGHT = 127  # the largest integer of weights
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
        self.register_buffer("zeros", torch.zeros(len(weight), dtype=torch.int64))
        self.register_buffer("bias", linear.bias.detach().float())
        self._packed: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_packed": None}  # another process packs them anew

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., in) to (..., out), float32."""
        if self._packed is None:
            self._packed = self._pack()
        found: Tensor = torch.ops.quantized.linear_dynamic(x, self._packed, True)
        return found

    def _pack(self) -> Any:
        """The weights in the order that this processor likes."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # torch is going to take such tensors away some day
            weight = torch._make_per_channel_quantized_tensor(self.weight, self.scales, self.zeros, 0)
            return torch.ops.quantized.linear_prepack(weight, self.bias)


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
    return "fbgemm" in torch.backends.quantized.supported_engines
