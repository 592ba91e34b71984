"""Finding and loading models by name or folder."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, cast

from aligner.models import boundary, neural, saved, sphinx
from aligner.models.base import Model
from aligner.models.boundary import BoundaryModel
from aligner.models.ctc import CtcModel, spelled
from aligner.models.ears import ear
from aligner.models.hama import HamaNetwork
from aligner.models.head import Head
from aligner.models.hub import huggingface_network, torchaudio_network
from aligner.models.known import (
    ENGLISH,
    ENGLISH_GMM,
    ENGLISH_WHISPER,
    HAMA,
    HUB,
    SPHINX_TABLE,
    check_known,
    in_a_folder,
    no_model_in,
)
from aligner.models.markov import MarkovModel
from aligner.text import own
from aligner.types import ModelError

MEASURED_FOLDER = Path(__file__).parent  # folder of the measured offsets of built-in models


def load_model(name_or_path: str | Path = ENGLISH) -> Model:
    """Load an acoustic model.

    Parameters
    ----------
    name_or_path : str or Path
        ``english``, the US English model and CMU dictionary inside the ``pocketsphinx`` package, with a head
        that hears through noise (see `aligner.models.head`); ``english-whisper``, the same with a head that
        listens through Whisper's encoder, too, whose weights an extra brings; ``english-gmm``, without any;
        ``hama``, the phoneme network inside the package of this name; the folder of a CMU Sphinx model, of
        one that ``aligner train`` made, or of a Hugging Face CTC network; ``hf:ORGANISATION/NAME``, such a
        network from their hub; or one of torchaudio's pipelines (``MMS_FA``, ...).  The last two are fetched
        over the network, once.  A folder that ``aligner teach`` made holds what was learnt from corrections,
        too.  A dictionary in a folder (``*.dict``, ``*.dic``) is its model's own; its ``offsets.json`` holds
        what ``recipes/offsets.py`` measured.

    Raises
    ------
    ModelError
        If there is none of this name, or it is damaged.

    Examples
    --------
    >>> load_model().name
    'english'
    """
    if name_or_path == ENGLISH:
        return _english()
    if name_or_path == ENGLISH_WHISPER:
        return _english_whisper()
    if name_or_path == ENGLISH_GMM:
        return _english_gmm()
    if name_or_path == HAMA:
        return _hama()
    check_known(name_or_path)
    return _of_folder(Path(name_or_path)) if in_a_folder(name_or_path) else _of_a_hub(str(name_or_path))


def _of_folder(folder: Path) -> Model:
    """Load the model in a folder, with its dictionary, offsets and what was learnt from corrections."""
    own = sorted([*folder.glob("*.dict"), *folder.glob("*.dic")])
    more: dict[str, Any] = {"dictionary": own[0]} if own else {}
    if (folder / "offsets.json").is_file():
        more |= read_measured(folder / "offsets.json")
    if not (folder / boundary.TABLE).is_file():
        return replace(_acoustic(folder), **more)
    taught, table = BoundaryModel.load(folder)
    acoustic = table.get("acoustic")
    if acoustic is not None and (not isinstance(acoustic, str) or in_a_folder(acoustic)):
        raise ModelError(folder / boundary.TABLE, "field 'acoustic' is no name of a model", "teach it again")
    model = cast(MarkovModel | CtcModel, load_model(acoustic)) if acoustic else _acoustic(folder)
    return replace(model, name=folder.name, taught=taught, **more)


def _acoustic(folder: Path) -> MarkovModel | CtcModel:
    """Load the acoustic model of a folder, of whichever kind it is."""
    if (folder / neural.TABLE).is_file():
        network = neural.TcnNetwork.load(folder)
        priors = dict(zip(network.labels, network.log_priors.exp().tolist(), strict=True))
        return replace(
            spelled(folder.name, network, network.case),
            characters=network.case is not None,
            priors=priors,
            alpha=network.alpha,
            chunk=None,
        )
    if (folder / "config.json").is_file():
        pretrained = huggingface_network(folder)
        return spelled(folder.name, pretrained, pretrained.case, pretrained.star)
    if (folder / saved.TABLE).is_file():
        return saved.load(folder)
    if not (folder / SPHINX_TABLE).is_file():
        raise no_model_in(folder)
    return sphinx.load(folder)


def _of_a_hub(name: str) -> CtcModel:
    """Load a network that torchaudio or Hugging Face have."""
    network = (
        huggingface_network(name.removeprefix(HUB)) if name.startswith(HUB) else torchaudio_network(name)
    )
    return spelled(name, network, network.case, network.star)


@cache
def _english() -> MarkovModel:
    return replace(_english_gmm(), name=ENGLISH, head=Head.load(MEASURED_FOLDER / ENGLISH))


@cache
def _english_whisper() -> MarkovModel:
    head = Head.load(MEASURED_FOLDER / ENGLISH_WHISPER)
    ear(head.ear_name)  # now, and not at the first recording, it is known whether its weights are there
    return replace(_english_gmm(), name=ENGLISH_WHISPER, head=head)


@cache  # a program that aligns one file after the other loads it once
def _english_gmm() -> MarkovModel:
    import pocketsphinx

    model = sphinx.load(pocketsphinx.get_model_path("en-us/en-us"))
    return replace(
        model,
        name=ENGLISH_GMM,
        dictionary=cmu_dictionary(),
        **read_measured(MEASURED_FOLDER / "english.json"),
    )


@cache
def _hama() -> CtcModel:
    network, known = HamaNetwork.load(), _read(MEASURED_FOLDER / "hama.json")
    classes = {
        phone: tuple(map(network.labels.index, labels.split())) for phone, labels in known["classes"].items()
    }
    return CtcModel(
        name=HAMA,
        network=network,
        classes=classes,
        priors=known["priors"],
        dictionary=cmu_dictionary(),
        **read_measured(MEASURED_FOLDER / "hama.json"),
    )


def cmu_dictionary() -> Path:
    """Path of the CMU dictionary, with stress, inside this package."""
    return own.PATH


def read_measured(path: Path) -> dict[str, Any]:
    """Read a model's measured ``offsets`` and, if the file has one, its ``delay``, in seconds.

    The file holds ``{"offsets_ms": {"class before, class after": milliseconds, ...}}`` (see
    `aligner.refine.offsets`), and ``"delay_ms"`` for a network, which is how late it is on the average.

    Raises
    ------
    ModelError
        If the file holds something else.
    """
    try:
        table = _read(path)
        offsets = {tuple(pair.split(", ")): float(ms) / 1000 for pair, ms in table["offsets_ms"].items()}
        return {"offsets": offsets} | (
            {"delay": float(table["delay_ms"]) / 1000} if "delay_ms" in table else {}
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelError(
            path,
            f"it holds no table of offsets ({error})",
            "measure it anew with recipes/offsets.py, or take it out",
        ) from error


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
