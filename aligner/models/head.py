"""A head: a small network that tells phones apart by what a pretrained network hears.

What it listens through (`aligner.models.ears`) has heard thousands of hours in all kinds of noise, but knows
the time of a sound by 20 ms at best; so log energies every 5 ms stand beside, for sharp edges.  Both meet in
a few convolutions over time (the blocks of `aligner.models.neural`), and come out as a posterior of each
phone every 10 ms.  Divided by the phones' priors these are likelihoods up to a factor (Bourlard & Morgan
1994, *Connectionist speech recognition*), which the search adds to those of a model's own states, each side
by its weight (a log-linear combination: Beyerlein 1998, "Discriminative model combination").

B stretches of speech, N samples, T frames of 10 ms, E channels of the ear, P phones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from aligner.features import FINE_FRONTEND, fine_energies, sounding
from aligner.models import neural, packed
from aligner.models.convolution import Convolution
from aligner.models.ears import CLOCK, WINDOW_FRAMES, Ear, ear, frame_count
from aligner.models.encoder import spans
from aligner.models.products import in_half
from aligner.types import Clock, ModelError

TABLE = "head.json"
SILENCE = "SIL"  # label of the column of silence
OVERLAP_FRAMES = 200  # frames that two windows share
BANDS, FINE_STEP, FINE_KERNEL = FINE_FRONTEND.nfilt, 2, 9  # fine frames a frame, and those seen around it
FINE_BEFORE = 6  # the first of the fine frames seen lies so many before the middle


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The size of a head.

    Raises
    ------
    ValueError
        If a size is not above 0.
    """

    width: int = 192
    """Channels between the blocks."""
    fine: int = 64
    """Channels of what is taken from fine energies."""
    dilations: tuple[int, ...] = (1, 2)
    """Frames from one tap of each block's convolution to the next."""
    kernel: int = 7
    """Taps of these convolutions; an odd number."""

    def __post_init__(self) -> None:
        if min(self.width, self.fine, self.kernel, *self.dilations) < 1 or self.kernel % 2 == 0:
            raise ValueError(f"no head has this shape: {self}")


@dataclass(frozen=True, kw_only=True)
class Weights:
    """How much of each side counts where a head and a model's own states are combined."""

    own: float = 0.5
    """Factor of the log-likelihoods of a model's states."""
    head: float = 1.5
    """Factor of the head's log posteriors less log priors."""
    prior: float = 0.6
    """Factor of the log priors."""


@runtime_checkable
class PhoneStates(Protocol):
    """Phones of a model of whose pdfs each belongs to one phone."""

    @property
    def labels(self) -> Sequence[str]:
        """Labels of the phones."""
        ...

    @property
    def bases(self) -> np.ndarray:
        """(pdfs,) the number of each pdf's phone."""
        ...

    def knows(self, label: str) -> bool:
        """Whether a dictionary may use this phone: silence and noises it may not."""
        ...


class Head(nn.Module):
    """Log posteriors of phones.

    Parameters
    ----------
    phones : sequence of str
        Labels of the P columns; one of them is silence.
    ear_name : str
        The name of what it listens through.
    size : int
        Channels E of the ear.
    shape : Shape
    weights : Weights
        How it is combined with a model.

    Attributes
    ----------
    log_priors : Tensor
        (P,) logarithms of how frequent each phone was in training.
    about : dict
        What it was trained on, and how.

    Examples
    --------
    >>> head = Head(["SIL", "AA"], "hama", 432)
    >>> head.eval().scores(torch.zeros(16000)).shape
    torch.Size([101, 2])
    """

    log_priors: Tensor

    def __init__(
        self,
        phones: Sequence[str],
        ear_name: str,
        size: int,
        shape: Shape | None = None,
        weights: Weights | None = None,
    ) -> None:
        super().__init__()
        self.phones, self.ear_name, self.size = tuple(phones), ear_name, size
        self.shape, self.weights = shape or Shape(), weights or Weights()
        self.about: Mapping[str, Any] = {}
        width = self.shape.width
        self.norm, self.coarse = nn.LayerNorm(size), nn.Linear(size, width)
        self.fine = Convolution(BANDS, self.shape.fine, FINE_KERNEL, stride=FINE_STEP)
        self.join = nn.Linear(width + self.shape.fine, width)
        blocks = neural.Shape(
            width=width, layers=len(self.shape.dilations), kernel=self.shape.kernel, dropout=0.0
        )
        self.blocks = nn.ModuleList(neural.Block(blocks, dilation) for dilation in self.shape.dilations)
        self.out = nn.Linear(width, len(self.phones))
        self.register_buffer("log_priors", torch.zeros(len(self.phones)))

    @cached_property
    def ear(self) -> Ear:
        """What it listens through."""
        return ear(self.ear_name, str(self.log_priors.device))

    @cached_property
    def _quick(self) -> Head:
        """The same head with quicker products, if it is on the CPU and no longer trained."""
        if self.log_priors.device.type != "cpu" or any(p.requires_grad for p in self.parameters()):
            return self
        return in_half(self.copy())

    def copy(self) -> Head:
        """A head of its own with the same weights, no longer trained."""
        head = Head(self.phones, self.ear_name, self.size, self.shape, self.weights)
        head.load_state_dict(self.state_dict())
        head.about = self.about
        return head.eval().requires_grad_(False)

    def on(self, device: torch.device | str) -> Head:
        """The head on a device, where what it listens through is put when it is first needed."""
        return self if torch.device(device) == self.log_priors.device else self.copy().to(device)

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key not in ("ear", "_quick")}

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        """Log posteriors of stretches of speech.

        Parameters
        ----------
        coarse : Tensor
            (B, T, E) frames of the ear.
        fine : Tensor
            (B, 2 T + 7, 26) energies around them, as `around` has them.

        Returns
        -------
        Tensor
            (B, T, P)
        """
        edges = gelu(self.fine(fine))
        x = self.join(torch.cat([self.coarse(self.norm(coarse)), edges], -1))
        for block in self.blocks:
            x = block(x)
        return self.out(x).log_softmax(-1)  # type: ignore[no-any-return]

    @torch.no_grad()
    def scores(self, wave: Tensor) -> Tensor:
        """Log posteriors less log priors (T, P) of a wave (N,); frame t stands for sample 160 t.

        What is longer than a window is heard in several, which overlap, each frame being taken where it lies
        further from the edge.
        """
        with torch.autocast(wave.device.type, enabled=False):  # quicker products are of whole precision
            return self._scores(wave.float())

    def _scores(self, wave: Tensor) -> Tensor:
        count = frame_count(len(wave))
        energies = normalised(fine_energies(wave))
        parts = []
        for span in spans(count, WINDOW_FRAMES, OVERLAP_FRAMES, 0):
            last = min(span.last, count)
            coarse = self.ear(wave[span.first * CLOCK.hop : (last - 1) * CLOCK.hop + 1])
            found = self._quick(coarse[None], around(energies, span.first, last)[None])[0]
            parts.append(found[span.take[0] - span.first : span.take[1] - span.first])
        return torch.cat(parts) - self.weights.prior * self.log_priors

    def posteriors(self, wave: Tensor) -> Tensor:
        """Posteriors of the phones (T, P) of a wave (N,); frame t stands for sample 160 t."""
        return (self.scores(wave) + self.weights.prior * self.log_priors).exp()

    def at(self, wave: Tensor, clock: Clock, count: int) -> Tensor:
        """The same (count, P) at the middles of the frames of another clock, on the head's device."""
        device = self.log_priors.device
        scores = self.scores(wave.to(device))
        place = (torch.arange(count, device=device) * clock.hop + clock.window / 2) / CLOCK.hop
        before = place.long().clamp(max=len(scores) - 1)
        share = (place - place.floor())[:, None]
        after = (before + 1).clamp(max=len(scores) - 1)
        return torch.lerp(scores[before], scores[after], share)

    def columns_of(self, states: object) -> np.ndarray:
        """The column (pdfs,) of the phone of each pdf of some `PhoneStates`; noises have that of silence.

        Raises
        ------
        ModelError
            If the head does not know a phone, or a state has none.
        """
        if not isinstance(states, PhoneStates):
            raise ModelError(self.ear_name, "its head is beside states that no phone has", "train it again")
        column = {phone: k for k, phone in enumerate(self.phones)}
        found = [column.get(label if states.knows(label) else SILENCE) for label in states.labels]
        if None in found:
            unknown = states.labels[found.index(None)]
            raise ModelError(
                self.ear_name, f"its head does not know the phone {unknown!r}", "take another model"
            )
        columns: np.ndarray = np.array(found)[states.bases]
        return columns

    def parts(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Split the head into a table and tensors, its numbers in half precision."""
        table = {
            "ear": self.ear_name,
            "size": self.size,
            "phones": list(self.phones),
            "shape": asdict(self.shape),
            "weighed": asdict(self.weights),
            "about": dict(self.about),
        }
        return table, {name: tensor.half() for name, tensor in self.state_dict().items()}

    @classmethod
    def whole(cls, table: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Self:
        """Put together what `parts` gave; raises whatever damaged fields raise."""
        shape = {**table["shape"], "dilations": tuple(table["shape"]["dilations"])}
        head = cls(
            [str(phone) for phone in table["phones"]],
            str(table["ear"]),
            int(table["size"]),
            Shape(**shape),
            Weights(**table["weighed"]),
        )
        head.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
        head.about = dict(table["about"])
        return head.eval().requires_grad_(False)

    def save(self, folder: Path) -> None:
        """Write the head into a folder."""
        packed.write(folder, TABLE, *self.parts())

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote; what it listens through is loaded when it is first needed.

        Raises
        ------
        ModelError
            If it is damaged.
        """
        table, tensors = packed.read(folder, TABLE)
        return packed.put_together(folder / TABLE, lambda: cls.whole(table, tensors))


def normalised(energies: Tensor) -> Tensor:
    """Fine log energies (F, 26) less their means over what is sound."""
    heard = sounding(energies.mean(1), FINE_FRONTEND.frate)
    return energies - (energies[heard] if bool(heard.any()) else energies).mean(0)


def around(energies: Tensor, first: int, last: int) -> Tensor:
    """Fine energies (2 T + 7, 26) for the frames from ``first`` to ``last``, T of them.

    Where the recording has no more, the first and last of its own are repeated.

    Examples
    --------
    >>> around(torch.arange(100.0)[:, None], 10, 12)[:, 0].tolist()
    [14.0, 15.0, 16.0, 17.0, 18.0, 19.0, 20.0, 21.0, 22.0, 23.0, 24.0]
    """
    begin = FINE_STEP * first - FINE_BEFORE
    places = torch.arange(begin, begin + FINE_STEP * (last - first) + FINE_KERNEL - FINE_STEP)
    return energies[places.clamp(0, len(energies) - 1)]
