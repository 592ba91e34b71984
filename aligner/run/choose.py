"""Which backend, and which model, for a model's name, a language and what else the user asked for."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from aligner.models.base import HmmModel, Model
from aligner.models.ctc import CtcModel
from aligner.models.store import ENGLISH, HAMA, load_model
from aligner.run.backend import Backend, Options, spoken_english
from aligner.run.ctc import CtcBackend, CtcHmmBackend
from aligner.run.dtw import by_espeak, by_model
from aligner.run.hmm import HmmBackend
from aligner.types import ModelError


def chosen(model: Backend | Model | str | Path | None, options: Options) -> Backend:
    """The backend that the options name, with its model loaded.

    Parameters
    ----------
    model : Model, str, Path or None
        Unless given, the backend's own; a whole backend is taken as it is.
    options : Options

    Raises
    ------
    DataError
        If the dictionary is at fault.
    ModelError
        If the model is.
    """
    if isinstance(model, Backend):
        return model
    name = options.backend or _usual(model, options.language)
    if name == "dtw":
        return _dtw(model, options)
    if name == "hmm":
        return HmmBackend(_hmm(_loaded(model, ENGLISH)), options)
    if name == "ctc":
        return CtcBackend(_ctc(_loaded(model, HAMA)), options)
    if name == "ctc+hmm":
        network = CtcBackend(_ctc(_loaded(model, HAMA)), options)
        return CtcHmmBackend(network, HmmBackend(_hmm(load_model(ENGLISH)), options))
    raise NotImplementedError(name)


def _hmm(model: Model) -> HmmModel:
    if isinstance(model, CtcModel):
        raise ModelError(model.name, "it is a CTC network, not a hidden Markov model", "take --backend ctc")
    return cast(HmmModel, model)


def _ctc(model: Model) -> CtcModel:
    if not isinstance(model, CtcModel):
        raise ModelError(model.name, "it is a hidden Markov model, not a CTC network", "take --backend hmm")
    return model


def _loaded(model: Model | str | Path | None, default: str) -> Model:
    return model if model is not None and not isinstance(model, (str, Path)) else load_model(model or default)


def _usual(model: Model | str | Path | None, language: str | None) -> str:
    """The backend that is best where none was named."""
    if isinstance(model, CtcModel):
        return "ctc"
    return "hmm" if model is not None or spoken_english(language) else "dtw"


def _dtw(model: Model | str | Path | None, options: Options) -> Backend:
    if model is None:
        return by_espeak(options.language or "en", options)
    return by_model(_hmm(_loaded(model, ENGLISH)), options)
