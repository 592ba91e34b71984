"""Which backend, and which model, for a model's name, a language and what else the user asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

from aligner.backends.base import Backend
from aligner.backends.calls import check_english, check_kind, check_star, check_warping, usual
from aligner.backends.ctc import CtcBackend, CtcHmmBackend
from aligner.backends.dtw import DtwBackend, by_espeak, by_model
from aligner.backends.hmm import HmmBackend
from aligner.backends.median import MedianBackend
from aligner.backends.options import Compute, Options
from aligner.models.base import Model
from aligner.models.ctc import CtcModel
from aligner.models.known import ENGLISH, HAMA
from aligner.models.markov import MarkovModel
from aligner.models.store import load_model
from aligner.text.normalise import spoken_english
from aligner.types import ModelError


def chosen(
    model: Backend | Model | str | Path | None = None,
    options: Options | None = None,
    compute: Compute | None = None,
) -> Backend:
    """The backend that the options name, with its model loaded.

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
    name = options.backend or usual(_kind(loaded), options.language)
    if options.star:
        check_star(name)
    return MADE[name](loaded, options, compute)


def _kind(model: Model | None) -> str | None:
    """As `aligner.models.known.kind_of`, of one that was loaded."""
    return None if model is None else "ctc" if isinstance(model, CtcModel) else "hmm"


def _hmm(model: Model | None, options: Options, compute: Compute) -> HmmBackend:
    compute.check()
    markov = _markov(model or _own(ENGLISH, options))
    return HmmBackend(
        markov, options=options, compute=compute, english=spoken_english(options.language or markov.language)
    )


def _ctc(model: Model | None, options: Options, compute: Compute) -> CtcBackend:
    network = model or _own(HAMA, options)
    check_kind("ctc", _kind(network), network.name)
    compute.check()
    there = cast(CtcModel, network).on(compute.device)
    return CtcBackend(there, options=options, compute=compute, english=spoken_english(options.language))


def _both(model: Model | None, options: Options, compute: Compute) -> CtcHmmBackend:
    """The model that is named is one of the two; the other is the one inside, which is of English."""
    if model is None or isinstance(model, CtcModel):
        hmm = _hmm(None, options, compute)
        if model is not None:  # what was taught of both is with the one that was named
            hmm = replace(hmm, model=replace(hmm.model, taught=model.taught))
        return CtcHmmBackend(_ctc(model, options, compute), hmm)
    return CtcHmmBackend(_ctc(None, options, compute), _hmm(model, options, compute))


def _dtw(model: Model | None, options: Options, compute: Compute) -> DtwBackend:
    check_warping(compute.device, options.dictionary if model is None else None)
    if model is not None:
        return by_model(_markov(model if model.name != ENGLISH else _own(ENGLISH, options)), options, compute)
    backend = by_espeak(options.language or "en", options, compute)
    if options.backend is None:
        return replace(backend, about=f"{backend.about}, for there is no model of this language here")
    return backend


def _median(model: Model | None, options: Options, compute: Compute) -> MedianBackend:
    """The models inside, which are of English, or the one that is named in place of its kind; and warped
    speech.
    """
    if isinstance(model, CtcModel):
        first, network = _hmm(None, options, compute), _ctc(model, options, compute)
    else:
        first, network = _hmm(model, options, compute), _ctc(None, options, compute)
    try:
        warped = _dtw(None, replace(options, dictionary=None), compute)
    except ModelError:  # eSpeak is not installed
        warped = _dtw(first.model, options, compute)
    return MedianBackend(first, (network, warped))


def _markov(model: Model) -> MarkovModel:
    check_kind("hmm", _kind(model), model.name)
    return cast(MarkovModel, model)


def _own(name: str, options: Options) -> Model:
    """The model inside, which is of English."""
    check_english(name, options.language)
    return load_model(name)


MADE: dict[str, Callable[[Model | None, Options, Compute], Backend]] = {
    "hmm": _hmm,
    "ctc": _ctc,
    "ctc+hmm": _both,
    "dtw": _dtw,
    "median": _median,
}
