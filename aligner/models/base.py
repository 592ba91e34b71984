"""The interface of acoustic models, through which search gets scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
from torch import Tensor

from aligner.graph import Topology
from aligner.models.boundary import BoundaryModel
from aligner.types import Clock


class Scorer(Protocol):
    """Scores frames under pdfs, as Gaussian mixtures do."""

    def score(self, frames: Tensor, pdfs: np.ndarray) -> Tensor:
        """Log-likelihoods (T, P) of frames (T, D) under only the given ``pdfs``."""
        ...


class Model(Protocol):
    """An acoustic model, as every backend sees it."""

    @property
    def name(self) -> str:
        """Name that the model goes by."""
        ...

    @property
    def frontend(self) -> Callable[[Tensor], Tensor]:
        """Function that turns a waveform (N,) into frames (T, D)."""
        ...

    @property
    def clock(self) -> Clock:
        """Clock that turns frames into seconds."""
        ...

    @property
    def offsets(self) -> Mapping[tuple[str, str], float]:
        """Seconds by which boundaries between two classes of phones are late (`aligner.refine.offsets`)."""
        ...

    @property
    def dictionary(self) -> Path | None:
        """The model's own dictionary, if it has one."""
        ...

    @property
    def taught(self) -> BoundaryModel | None:
        """Boundary model learnt from corrections, if there is one."""
        ...

    def score(self, frames: Tensor, pdfs: np.ndarray) -> Tensor:
        """Score ``frames`` (T, D) under only the given ``pdfs``: log-likelihoods (T, P)."""
        ...


class HmmModel(Model, Protocol):
    """An acoustic model that scores the states of phones in context."""

    @property
    def topology(self) -> Topology:
        """Phones, and the states of each phone in its context."""
        ...
