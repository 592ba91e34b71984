"""What every acoustic model offers: the seam between what scores frames and what searches them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
from torch import Tensor

from aligner.graph import Topology
from aligner.types import Clock


class Frontend(Protocol):
    """Waveform (N,) -> frames (T, D)."""

    @property
    def clock(self) -> Clock:
        """Hop and window of the frames."""
        ...

    def __call__(self, wave: Tensor) -> Tensor:
        """Take the features."""
        ...


class Model(Protocol):
    """What scores frames.

    Attributes
    ----------
    name : str
    frontend : Frontend
    clock : Clock
        Turns its frames into seconds.
    topology : Topology
        Its phones, and the states of each phone in its context.
    offsets : mapping of (str, str) to float
        How late the model places boundaries between two classes of phones, in seconds (see
        `aligner.refine.offsets`).
    dictionary : Path or None
        Its own dictionary.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def frontend(self) -> Frontend: ...  # noqa: D102
    @property
    def clock(self) -> Clock: ...  # noqa: D102
    @property
    def topology(self) -> Topology: ...  # noqa: D102
    @property
    def offsets(self) -> Mapping[tuple[str, str], float]: ...  # noqa: D102
    @property
    def dictionary(self) -> Path | None: ...  # noqa: D102

    def score(self, frames: Tensor, pdfs: np.ndarray) -> Tensor:
        """Log-likelihoods, shape (T, P), of ``frames`` (T, D) under only the ``pdfs`` asked for."""
        ...
