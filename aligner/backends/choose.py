"""Which backend is taken for a model, a language, and what else the user asked for."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from aligner.backends.base import AnyBackend, Backend
from aligner.backends.calls import check_alphabet, usual
from aligner.backends.loading import kind_of_model
from aligner.backends.options import Compute, Options
from aligner.models.base import Model
from aligner.models.store import load_model
from aligner.names import BACKENDS
from aligner.types import DataError, Fault


def chosen(
    model: AnyBackend | Model | str | Path | None = None,
    options: Options | None = None,
    compute: Compute | None = None,
) -> AnyBackend:
    """The backend that the options name, or the best for the model and the language, with its model loaded.

    Parameters
    ----------
    model : Backend, Model, str or Path, optional
        Unless given, the backend's own model; a whole backend is taken as it is.
    options : Options, optional
    compute : Compute, optional

    Raises
    ------
    TypeError
        If options are given beside a whole backend, which has its own.
    DataError
        If the dictionary is at fault, or the device cannot be used.
    ModelError
        If the model is at fault.
    """
    if isinstance(model, Backend):
        if options is not None or compute is not None:
            raise TypeError("a backend has its own options: give them where it is made")
        return model
    options, compute = options or Options(), compute or Compute()
    loaded = load_model(model) if isinstance(model, (str, Path)) else model
    name = options.backend or usual(kind_of_model(loaded), options.language)
    backend: AnyBackend = import_module(BACKENDS[name]).make(loaded, options, compute)
    check_alphabet(options.phones, bool(backend.traits.english))
    if options.loose and not backend.traits.wildcard:
        raise DataError(
            "star",
            f"the wildcard is not for the backend {name!r}",
            "take one of the package's",
            fault=Fault.CALL,
        )
    return backend
