"""CTC networks: log posteriors of phones or characters, and of a blank, for every frame.

A network hears a label for a frame or two and blanks in between, so that its boundaries are known
only roughly; `aligner.refine.segments` finds them in the sound itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from aligner.graph.ctc import Alphabet
from aligner.models.boundary import BoundaryModel
from aligner.text.phones import unstressed
from aligner.types import SAMPLE_RATE, Clock, ModelError

CHUNK_SECONDS = 30.0  # seconds of a recording that a network hears at once
OVERLAP_SECONDS = 4.0  # seconds that it hears twice: half of it is context for either side
LEAST_SAMPLES = 400  # samples to which shorter recordings are padded
POSTERIOR_FLOOR = 1e-12  # least posterior, so that its logarithm is finite
PRIOR_WEIGHT = 0.3  # share of the log prior that is taken out of the log posteriors (Huang et al. 2024)
SPECIAL_PREFIXES = ("<", "[")  # beginnings of labels that are no characters
CHARACTER_SHARE = 0.8  # share of one-character labels from which a network writes characters, not phones


class Network(Protocol):
    """A network that gives log posteriors for a waveform."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of the V columns."""
        ...

    @property
    def blank(self) -> int:
        """Column of the blank."""
        ...

    @property
    def boundary(self) -> str | None:
        """Label between words, if the network has one."""
        ...

    @property
    def clock(self) -> Clock:
        """Clock that turns frames into seconds."""
        ...

    def __call__(self, wave: Tensor, /) -> Tensor:
        """Log posteriors (T, V) of a waveform (N,)."""
        ...


class NetworkOnDevice:
    """A network on another device than the waveforms it takes and the posteriors it returns."""

    def __init__(self, network: Network, device: str) -> None:
        self.labels, self.blank, self.boundary, self.clock = (
            network.labels,
            network.blank,
            network.boundary,
            network.clock,
        )
        self._network = network.to(device) if isinstance(network, torch.nn.Module) else network
        self._device = device

    def __call__(self, wave: Tensor) -> Tensor:
        """Log posteriors (T, V) of a waveform (N,)."""
        return self._network(wave.to(self._device)).float().cpu()


def posteriors(
    network: Network, wave: Tensor, chunk: float | None = CHUNK_SECONDS, overlap: float = OVERLAP_SECONDS
) -> Tensor:
    """Log posteriors (T, V) of a recording (N,) of any length.

    Long recordings are heard in chunks that overlap, so that memory does not grow with the square of
    their length.  Frames come from the chunk that has more context around them.

    Parameters
    ----------
    network : Network
    wave : Tensor
    chunk, overlap : float
        Lengths of a chunk and of its overlap with the next, in seconds; no chunk takes all at once.
    """
    hop, rate = network.clock.hop, network.clock.rate
    wave = pad(wave, (0, max(LEAST_SAMPLES - len(wave), 0)))
    if chunk is None:
        return network(wave)
    size, half = round(chunk * rate / hop), round(overlap * rate / hop / 2)
    if len(wave) <= size * hop:
        return network(wave)
    parts, first = [], 0
    while first * hop < len(wave):
        found = network(wave[first * hop : (first + size) * hop])
        last = (first + size) * hop >= len(wave)
        parts.append(found[half if first else 0 : len(found) if last else size - half])
        if last:
            break
        first += size - 2 * half
    return torch.cat(parts)


@dataclass(frozen=True, kw_only=True, eq=False)
class CtcModel:
    """A CTC network with the meaning of its labels (see `aligner.models.base.Model`)."""

    name: str
    """Name that the model goes by."""
    network: Network
    """Network that gives the posteriors."""
    classes: Mapping[str, tuple[int, ...]]
    """The units of a transcript, phones or characters, and the network's columns of each; a class of several
    columns has their summed posterior."""
    characters: bool = False
    """Whether the classes are characters, so that no dictionary is needed."""
    case: str | None = None
    """Case that the alphabet is written in; None where it has both."""
    priors: Mapping[str, float] = field(default_factory=dict)
    """Mean posterior of each class; those of the blank and the boundary stand under the network's names."""
    alpha: float = PRIOR_WEIGHT
    """Share of the log priors that is taken out of the log posteriors."""
    offsets: Mapping[tuple[str, str], float] = field(default_factory=dict)
    """Seconds by which boundaries between two classes of phones are late (see `aligner.refine.offsets`)."""
    chunk: float | None = CHUNK_SECONDS
    """Seconds of a recording that the network hears at once; None is any length."""
    delay: float = 0.0
    """Mean delay of the network's boundaries, in seconds."""
    dictionary: Path | None = None
    """The model's own dictionary, if it has one."""
    taught: BoundaryModel | None = None
    """Boundary model learnt from corrections, if there is one."""

    def on_device(self, device: str) -> CtcModel:
        """Move the network to a device; its posteriors come back to the CPU."""
        return self if device == "cpu" else replace(self, network=NetworkOnDevice(self.network, device))

    @cached_property
    def clock(self) -> Clock:
        """Clock of the frames, with the network's mean delay taken out."""
        return replace(self.network.clock, delay=self.delay)

    @cached_property
    def alphabet(self) -> Alphabet:
        """Columns of the frames: the classes in their order, the blank, the boundary, the wildcard."""
        column = {name: k for k, name in enumerate(self.classes)}
        n, has = len(column), self.network.boundary is not None
        find = (
            column.get if self.characters else lambda label: column.get(label, column.get(unstressed(label)))
        )
        return Alphabet(find, n, n + 1 if has else None, n + 1 + has)

    def knows(self, label: str) -> bool:
        """Whether a dictionary may use this phone, or a word this character."""
        return self.alphabet.column(label) is not None

    @cached_property
    def _members(self) -> list[list[int]]:
        net = self.network
        between = [] if net.boundary is None else [[net.labels.index(net.boundary)]]
        return [*map(list, self.classes.values()), [net.blank], *between]

    @cached_property
    def _log_priors(self) -> Tensor:
        """Log priors (C,) of all columns but the wildcard's; 0 where they are unknown."""
        net = self.network
        names = [*self.classes, net.labels[net.blank], *([net.boundary] if net.boundary else [])]
        return torch.tensor([self.priors.get(name, 1.0) for name in names]).log()

    def frontend(self, wave: Tensor) -> Tensor:
        """Log posteriors (T, C + 1) of the classes, the blank, the boundary and last the wildcard, of a wave
        (N,).

        The wildcard is as likely in each frame as the likeliest of all.
        """
        found = posteriors(self.network, wave, self.chunk).exp()
        of_class = (
            torch.stack([found[:, members].sum(1) for members in self._members], 1)
            .clamp(min=POSTERIOR_FLOOR)
            .log()
        )
        return torch.cat([of_class, of_class.max(1, keepdim=True).values], 1)

    def score(self, frames: Tensor, pdfs: np.ndarray) -> Tensor:
        """Log posteriors (T, P) of the columns ``pdfs`` of ``frames``, less a part of their log priors."""
        scaled = frames[:, :-1] - self.alpha * self._log_priors
        return torch.cat([scaled, scaled.max(1, keepdim=True).values], 1)[
            :, torch.from_numpy(np.asarray(pdfs))
        ]


def spelled(name: str, network: Network, case: str | None, star: str | None = None) -> CtcModel:
    """Make a model of a network whose every label stands for itself.

    Labels in angle or square brackets, the blank, the boundary and the network's own wildcard are none of a
    transcript's.  Where nearly all others are single letters, transcripts are spelled; otherwise the labels
    are phones, and a dictionary has to say which.
    """
    if network.clock.rate != SAMPLE_RATE:
        raise ModelError(
            name,
            f"it hears {network.clock.rate} samples a second, not {SAMPLE_RATE}",
            "take a network for that rate",
        )
    special = {network.labels[network.blank], network.boundary, star}
    classes = {
        label: (k,)
        for k, label in enumerate(network.labels)
        if label not in special and not (label.startswith(SPECIAL_PREFIXES) and len(label) > 1)
    }
    characters = sum(len(label) == 1 for label in classes) > CHARACTER_SHARE * len(classes)
    return CtcModel(name=name, network=network, classes=classes, characters=characters, case=case)
