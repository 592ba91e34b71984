"""What goes from process to process, as bytes."""

from __future__ import annotations

import io
import pickle
import sys
from typing import Any

import cloudpickle


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """Sends what stands in a script or a notebook, too, and lambdas.

    Tensors of the CPU go as arrays, which takes a tenth of the time; torch need not be there.
    """

    def reducer_override(self, thing: Any) -> Any:
        torch = sys.modules.get("torch")
        if torch is not None and type(thing) is torch.Tensor:
            array = as_array(thing)
            if array is not None:
                return torch.from_numpy, (array,)
        return super().reducer_override(thing)


def as_array(tensor: Any) -> Any:
    """A tensor's numbers as an array that shares nothing; None where the tensor is more than these.

    That is, where it is on a device, has a gradient, is sparse, or of a type that numpy lacks.
    """
    import torch

    plain = tensor.layout is torch.strided and tensor.device.type == "cpu" and not tensor.requires_grad
    if (
        not plain
        or tensor.dtype is torch.bfloat16
        or tensor.is_quantized
        or tensor.is_conj()
        or tensor.is_neg()
    ):
        return None
    return tensor.numpy()


def packed(thing: Any) -> bytes:
    """Anything that can be sent, as bytes.

    Raises
    ------
    Exception
        Of whatever kind the pickler has for what cannot be sent.

    Examples
    --------
    >>> unpacked(packed({"a": (1, 2.5)}))
    {'a': (1, 2.5)}
    """
    file = io.BytesIO()
    _Pickler(file, pickle.HIGHEST_PROTOCOL).dump(thing)
    return file.getvalue()


def unpacked(data: bytes | memoryview) -> Any:
    """What was `packed`."""
    return pickle.loads(data)
