"""Finding and loading models by name or folder."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from aligner.models import sphinx
from aligner.models.base import Model
from aligner.models.ctc import CtcModel
from aligner.types import ModelError

ENGLISH = "english"  # US English, inside the pocketsphinx package
HAMA = "hama"  # English and Korean phonemes, inside the hama package
MEASURED = Path(__file__).parent  # where what was measured of the models inside stands


def load_model(name_or_path: str | Path = ENGLISH) -> Model:
    """Load an acoustic model.

    Parameters
    ----------
    name_or_path : str or Path
        ``english``, the US English model and CMU dictionary inside the ``pocketsphinx`` package;
        ``hama``, the phoneme network inside the package of this name;
        the folder of a CMU Sphinx model; a dictionary in that folder (``*.dict``, ``*.dic``) is its own.

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
    if name_or_path == HAMA:
        return _hama()
    folder = Path(name_or_path)
    if not folder.is_dir():
        raise ModelError(folder, "there is no model of this name and no such folder",
                         f"use {ENGLISH!r} or the folder of a CMU Sphinx model")
    own = sorted([*folder.glob("*.dict"), *folder.glob("*.dic")])
    return replace(sphinx.load(folder), dictionary=own[0] if own else None)


@cache  # a program that aligns one file after the other loads it once
def _english() -> Model:
    import pocketsphinx

    model = sphinx.load(pocketsphinx.get_model_path("en-us/en-us"))
    return replace(model, name=ENGLISH, offsets=read_offsets(MEASURED / "english.json"), dictionary=cmu_dictionary())


@cache
def _hama() -> CtcModel:
    from aligner.models.hama import HamaNetwork

    network, known = HamaNetwork.load(), _read(MEASURED / "hama.json")
    classes = {phone: tuple(map(network.labels.index, labels.split())) for phone, labels in known["classes"].items()}
    return CtcModel(HAMA, network, classes, priors=known["priors"], offsets=read_offsets(MEASURED / "hama.json"),
                    delay=known["delay_ms"] / 1000, dictionary=cmu_dictionary())


def cmu_dictionary() -> Path:
    """Where the CMU dictionary lies."""
    import pocketsphinx

    return Path(pocketsphinx.get_model_path("en-us/cmudict-en-us.dict"))


def read_offsets(path: Path) -> dict[tuple[str, str], float]:
    """A model's table of boundary offsets (see `aligner.refine.offsets`), in seconds.

    The file holds ``{"offsets_ms": {"class before, class after": milliseconds, ...}}``.
    """
    table = _read(path)["offsets_ms"]
    return {tuple(pair.split(", ")): ms / 1000 for pair, ms in table.items()}


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
