"""Which releases of torchaudio go with which of torch.

torchaudio has a compiled part that loads beside some builds of torch, and its metadata does not say beside
which.  What stands here was tried, with the wheels for Linux that pip takes when no other index is named;
what was not is not guessed.  Only torchaudio's own pipelines need it (see `aligner.models.hub`).
"""

from __future__ import annotations

import importlib
import re
import warnings
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import torch


@dataclass(frozen=True)
class Pair:
    """A pair of torch and torchaudio that was tried."""

    torch: str
    """Release of torch, such as ``2.14``."""
    cuda: bool
    """Whether torch was built with CUDA."""
    torchaudio: str
    """Version of torchaudio."""
    fits: bool
    """Whether torchaudio's compiled part loaded and gave an alignment."""


TRIED = (
    Pair("2.11", True, "2.11.0", True),
    Pair("2.11", True, "2.11.1", False),
    Pair("2.12", True, "2.11.0", True),
    Pair("2.12", True, "2.11.1", False),
    Pair("2.13", True, "2.11.0", True),
    Pair("2.13", True, "2.11.1", True),
    Pair("2.13", False, "2.11.0", False),  # its compiled part asks for libc10_cuda
    Pair("2.13", False, "2.11.1", False),
    Pair("2.14", True, "2.11.0", True),
    Pair("2.14", True, "2.11.1", True),
)


def release(version: str) -> str:
    """The release that a version of torch belongs to.

    Examples
    --------
    >>> release("2.14.1"), release("2.13.0+cpu")
    ('2.14', '2.13')
    """
    found = re.match(r"\d+\.\d+", version)
    return found[0] if found else version


def fitting(version: str, cuda: bool) -> str | None:
    """The newest torchaudio that was seen to go with a torch; None if none is known.

    Examples
    --------
    >>> fitting("2.12.1", cuda=True), fitting("2.13.0+cpu", cuda=False)
    ('2.11.0', None)
    """
    return max(
        (p.torchaudio for p in TRIED if p.fits and (p.torch, p.cuda) == (release(version), cuda)),
        default=None,
    )


def advice(version: str, cuda: bool) -> str:
    """What to install for torchaudio beside a torch.

    Examples
    --------
    >>> advice("2.12.1", cuda=True)
    "pip install 'torchaudio==2.11.0' goes with torch 2.12"
    """
    found = fitting(version, cuda)
    if found is not None:
        return f"pip install 'torchaudio=={found}' goes with torch {release(version)}"
    newest = max(p.torch for p in TRIED if p.fits)
    mine = f"torch {version}" + ("" if cuda or "+" in version else " without CUDA")
    return (
        f"none is known to go with {mine}; torch {newest}.* built for CUDA and torchaudio "
        f"{fitting(newest, cuda=True)} go together"
    )


def installed() -> str | None:
    """The version of torchaudio; None if there is none."""
    with suppress(metadata.PackageNotFoundError):
        return metadata.version("torchaudio")
    return None


def here() -> str:
    """What to install for torchaudio beside the installed torch."""
    return advice(torch.__version__, torch.version.cuda is not None)


def torchaudio() -> Any:
    """Import torchaudio, and check that its compiled part works.

    Raises
    ------
    ImportError, OSError, RuntimeError
        Each pair that does not fit fails in its own way.
    """
    functional = importlib.import_module("torchaudio.functional")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it will go, in a later version
        functional.forced_align(torch.zeros(1, 3, 2).log_softmax(2), torch.ones(1, 1, dtype=torch.int32))
    return importlib.import_module("torchaudio")


def trouble() -> str:
    """Why torchaudio cannot be used here, in one line; empty if it can."""
    version = installed()
    try:
        torchaudio()
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        if version is None and isinstance(error, ModuleNotFoundError):
            return "torchaudio is not installed"
        return (
            f"torchaudio {version or 'of unknown version'} does not load beside torch {torch.__version__} "
            f"({' '.join(str(error).split())[:160]})"
        )
    return ""
