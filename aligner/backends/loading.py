"""Models for backends: those that are named, checked for their kind, and those that come with the package."""

from __future__ import annotations

from typing import cast

from aligner.backends.calls import check_english, check_kind
from aligner.backends.options import Options
from aligner.models.base import Model
from aligner.models.ctc import CtcModel
from aligner.models.markov import MarkovModel
from aligner.models.store import load_model


def kind_of_model(model: Model | None) -> str | None:
    """The kind of a loaded model, 'hmm' or 'ctc' (see `aligner.models.known.kind_of`); None without one."""
    return None if model is None else "ctc" if isinstance(model, CtcModel) else "hmm"


def markov_model(model: Model) -> MarkovModel:
    """The model, if it is a hidden Markov model; raise ModelError if not."""
    check_kind("hmm", kind_of_model(model), model.name)
    return cast(MarkovModel, model)


def ctc_model(model: Model) -> CtcModel:
    """The model, if it is a CTC network; raise ModelError if not."""
    check_kind("ctc", kind_of_model(model), model.name)
    return cast(CtcModel, model)


def own_model(name: str, options: Options) -> Model:
    """A model that comes with the package, which is of English; raise ModelError for another language."""
    check_english(name, options.language)
    return load_model(name)
