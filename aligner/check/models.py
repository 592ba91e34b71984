"""The models that there are: a list of them, what each is, and whether it is whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from aligner.models import saved
from aligner.models.base import Model
from aligner.models.ctc import CtcModel
from aligner.models.gmm import GaussianMixtures
from aligner.models.known import OWN, TABLES
from aligner.models.markov import MarkovModel
from aligner.models.store import load_model
from aligner.text.lexicon import Lexicon
from aligner.types import AlignerError, ModelError


class Listed(NamedTuple):
    """An entry of the list of models: name or folder, and what it is or what is wrong with it."""

    name: str
    about: str
    fine: bool


def listed(folder: Path | None) -> Iterator[Listed]:
    """Yield the models inside, and those in a folder and the folders below it."""
    names = [*OWN]
    if folder is not None:
        names += sorted(
            {
                str(p.parent)
                for name in TABLES
                for p in folder.rglob(name)
                if not p.parent.name.startswith(".")
            }
        )
    for name in names:
        try:
            yield Listed(name, " ".join(summary(load_model(name))), True)
        except AlignerError as error:
            yield Listed(name, str(error), False)


def summary(model: Model) -> list[str]:
    """Return what a model is, in a few words."""
    learnt = ["boundaries learnt from corrections"] if model.taught is not None else []
    if isinstance(model, CtcModel):
        return [f"CTC network, {len(model.network.labels)} labels" + (";" if learnt else ""), *learnt]
    assert isinstance(model, MarkovModel)
    kind = "hidden Markov model"
    if not isinstance(model.mixtures, GaussianMixtures):
        kind += " whose states a network scores"
    if model.listening is not None:
        kind += f" with a head that listens through {model.listening.ear_name!r}"
    corpus = model.about.get("corpus")
    trained = [f"trained on {corpus['hours']:.2f} h, {corpus['speakers']} speakers"] if corpus else []
    return [f"{kind}, {model.language or 'en'}, {len(model.topology.alone)} phones;", *trained, *learnt]


def described(model: Model) -> dict[str, object]:
    """Return all figures and facts about a model, by name."""
    found: dict[str, object] = {
        "name": model.name,
        "what": " ".join(summary(model)),
        "dictionary": str(model.dictionary) if model.dictionary else None,
        "frames": f"every {1000 * model.clock.seconds(1):g} ms at {model.clock.rate} Hz",
        "offsets": len(model.offsets) or None,
    }
    if model.taught is not None:
        found["taught"] = {"backend": model.taught.backend, **model.taught.about}
    if isinstance(model, MarkovModel):
        found |= {
            "g2p": model.g2p,
            "speakers' transforms": model.adapted is not None,
            **_of_mixtures(model),
            **model.about,
        }
    return found


def _of_mixtures(model: MarkovModel) -> dict[str, object]:
    if not isinstance(model.mixtures, GaussianMixtures):
        return {}
    return {
        "pdfs": len(model.mixtures.codebook),
        "gaussians": sum(
            int(s.means.shape[0] * s.means.shape[1])
            if len(s.means) != len(s.weights)
            else int((s.weights > 0).sum())
            for s in model.mixtures.streams
        ),
    }


def checked(name: str) -> Model:
    """Load a model and its dictionary, and check that both are whole.

    Raises
    ------
    ModelError
        Naming the file and the field that is wrong.
    DataError
        Naming the line of its dictionary that is.
    """
    from aligner.formats.files import read_text

    model = load_model(name)
    if isinstance(model, MarkovModel):
        if model.dictionary is None and model.g2p != "letters":
            raise ModelError(name, "it has no dictionary", f"put one into its folder ({saved.DICTIONARY})")
        if model.dictionary is not None:
            Lexicon.parse(read_text(model.dictionary), model.topology.knows, model.dictionary, strict=True)
    return model
