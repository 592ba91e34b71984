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


class Model(Protocol):
    """An acoustic model, as every backend sees it.

    Attributes
    ----------
    name : str
    frontend : callable
        Waveform (N,) -> frames (T, D).
    clock : Clock
        Turns its frames into seconds.
    offsets : mapping of (str, str) to float
        How late the model places boundaries between two classes of phones, in seconds (see
        `aligner.refine.offsets`).
    dictionary : Path or None
        Its own dictionary.
    taught : BoundaryModel or None
        What was learnt from corrections of its boundaries.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def frontend(self) -> Callable[[Tensor], Tensor]: ...  # noqa: D102
    @property
    def clock(self) -> Clock: ...  # noqa: D102
    @property
    def offsets(self) -> Mapping[tuple[str, str], float]: ...  # noqa: D102
    @property
    def dictionary(self) -> Path | None: ...  # noqa: D102
    @property
    def taught(self) -> BoundaryModel | None: ...  # noqa: D102

    def score(self, frames: Tensor, pdfs: np.ndarray) -> Tensor:
        """Score ``frames`` (T, D) under only the given ``pdfs``: log-likelihoods (T, P)."""
        ...


class HmmModel(Model, Protocol):
    """An acoustic model that scores the states of phones in context.

    Attributes
    ----------
    topology : Topology
        Its phones, and the states of each phone in its context.
    """

    @property
    def topology(self) -> Topology: ...  # noqa: D102
