"""Requests and results as bytes, which is how they get from process to process."""

from __future__ import annotations

import io
import pickle
import sys
from typing import Any

import cloudpickle


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """A pickler that also takes lambdas, and what is defined in a script or a notebook.

    Tensors in main memory are sent as arrays, which takes a tenth of the time; torch need not be installed.
    """

    def reducer_override(self, value: Any) -> Any:
        torch = sys.modules.get("torch")
        if torch is not None and type(value) is torch.Tensor:
            array = as_array(value)
            if array is not None:
                return torch.from_numpy, (array,)
        return super().reducer_override(value)


def as_array(tensor: Any) -> Any:
    """Return a tensor's numbers as an array, or None where the tensor is more than its numbers.

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


def serialize(value: Any) -> bytes:
    """Turn anything that can be pickled into bytes.

    Raises
    ------
    Exception
        Of whatever kind the pickler raises for what cannot be sent.

    Examples
    --------
    >>> deserialize(serialize({"a": (1, 2.5)}))
    {'a': (1, 2.5)}
    """
    file = io.BytesIO()
    _Pickler(file, pickle.HIGHEST_PROTOCOL).dump(value)
    return file.getvalue()


def deserialize(data: bytes | memoryview) -> Any:
    """Turn the bytes that `serialize` made back into the value."""
    return pickle.loads(data)
