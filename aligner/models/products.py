"""Linear layers that take less time on a CPU.

In half precision only the weights are, and the products are FBGEMM's: where the weights were stored in half
precision, they are the same to the last digit in half the time of MKL's.

In 8-bit integers all is: that takes a quarter of the time, but what comes in is rounded.  Each row of the
weights has a scale of its own; what comes in has one, all of it together, so that the result depends a little
on what else is in a batch, and of two copies of a recording that differ in the last digit some boundaries
differ by frames.  What comes in has 7 bits, for processors without VNNI add two products in 16 bits: so the
integers are the same on all.  oneDNN has such products, too, and compiles one for each new number of frames,
in 1 ms.

Torch is going to take FBGEMM's away some day: then layers stay as they are.
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


def in_half(module: Module) -> Module:
    """Replace the linear layers of a module by such in half precision; the module itself is changed.

    Those stay whose weights would be rounded, and all where this torch has no such products.
    """
    if not is_possible():
        return module
    for name, child in list(module.named_children()):
        if not isinstance(child, nn.Linear):
            in_half(child)
        elif torch.equal(child.weight.half().float(), child.weight):
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
    """Whether this torch has FBGEMM's products."""
    return "fbgemm" in torch.backends.quantized.supported_engines and hasattr(
        torch, "fbgemm_linear_fp16_weight_fp32_activation"
    )
