"""The models that there are, known by name or by the files in a folder before one is loaded."""

from __future__ import annotations

import os
from pathlib import Path

from aligner.types import ModelError

ENGLISH = "english"  # US English: the next, with a head that listens through the network of `HAMA`
ENGLISH_WHISPER = "english-whisper"  # the next, with a head that listens through Whisper's encoder, too
ENGLISH_GMM = "english-gmm"  # Gaussian mixtures alone, inside the pocketsphinx package
ENGLISHES = (ENGLISH, ENGLISH_WHISPER, ENGLISH_GMM)  # hidden Markov models of English
HAMA = "hama"  # English and Korean phonemes, inside the hama package
OWN = (*ENGLISHES, HAMA)  # models that come with the package
HUB = "hf:"  # before a name on Hugging Face's hub: without it nothing is ever fetched by mistake
# files of models that are made here
HMM_TABLE, NETWORK_TABLE, BOUNDARY_TABLE = "hmm.json", "ctc.json", "boundaries.json"
SPHINX_TABLE, HUGGING_FACE_TABLE = "mdef", "config.json"  # files of models that others make
HMMS, NETWORKS = (HMM_TABLE, SPHINX_TABLE), (NETWORK_TABLE, HUGGING_FACE_TABLE)
TABLES = (*HMMS, *NETWORKS, BOUNDARY_TABLE)  # a folder that has one is a model's


def in_a_folder(name_or_path: str | Path) -> bool:
    """Whether a model is in a folder of its own, and not one that goes by its name."""
    return name_or_path not in OWN and os.path.isdir(name_or_path)


def check_known(name_or_path: str | Path) -> None:
    """Raise unless a model goes by this name.

    Raises
    ------
    ModelError
        If it is neither a name that is known nor a folder with a model in it.

    Examples
    --------
    >>> check_known("english"), check_known("hf:facebook/wav2vec2-base-960h")
    (None, None)
    """
    name = str(name_or_path)
    if in_a_folder(name_or_path):
        if not any((Path(name_or_path) / table).is_file() for table in TABLES):
            raise no_model_in(name_or_path)
    elif name not in OWN and not name.startswith(HUB) and not name.isupper():
        file = (
            "it is a file, and no"
            if os.path.isfile(name_or_path)
            else "there is no model of this name and no such"
        )
        raise ModelError(
            name,
            f"{file} folder",
            f"use {', '.join(map(repr, OWN))}, a model's folder, "
            f"{HUB}ORGANISATION/NAME, or the name of one of torchaudio's pipelines (MMS_FA)",
        )


def no_model_in(folder: str | Path) -> ModelError:
    """Error that says that a folder has no model's files."""
    return ModelError(
        folder,
        "there is no model in this folder",
        f"a model that was trained here has a file "
        f"{HMM_TABLE} or {NETWORK_TABLE}, one of CMU Sphinx {SPHINX_TABLE}, one of Hugging Face "
        f"{HUGGING_FACE_TABLE}",
    )


def kind_of(name_or_path: str | Path | None) -> str | None:
    """Kind of a model, ``hmm`` or ``ctc``, by its name or its files; None if it would have to be loaded."""
    if name_or_path is None or name_or_path in ENGLISHES:
        return None if name_or_path is None else "hmm"
    folder = Path(name_or_path)
    if not in_a_folder(name_or_path):
        return "ctc"  # those that are fetched are networks, too
    for kind, tables in (("ctc", NETWORKS), ("hmm", HMMS)):  # in the order in which they are looked for
        if any((folder / table).is_file() for table in tables):
            return kind
    return None
