"""A small network that learns from corrections where people put the boundary between two phones.

It hears log mel energies every 5 ms, some 70 ms to either side (dilated convolutions over time, shared by all
boundaries of an utterance), and weighs what it hears by the two phones that meet and by their classes.  It
does not place boundaries by itself: it changes how likely the places are that `aligner.refine.segments`
gives, and how far a boundary of these classes may be from there.  A head that the same corrections tuned may
go with it.

N boundaries with W places each, T frames, B utterances.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, isfinite
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import linear, pad, relu

from aligner.models import packed
from aligner.models.head import Head
from aligner.models.known import BOUNDARY_TABLE
from aligner.text.phones import phone_class, unstressed

TABLE = BOUNDARY_TABLE
BETWEEN = "-"  # between the names of two classes
HEAD = "head."  # before the names of a head's tensors
BANDS = 26  # number of mel filters
CANDIDATE_REACH = 30  # places on either side of the likeliest that a boundary may have: 150 ms
WIDTH, KERNEL, DILATIONS = 32, 5, (1, 2, 4)
DROPOUT = 0.3
DISTANCE_UNIT = 0.02  # seconds; unit of the distance of a place from the likeliest one
LOG_ENERGY_FLOOR = 2.3  # log energy that the quietest sounds are raised to: about the rounding to 16 bits
EMBEDDING_SPREAD = 0.05  # standard deviation of the initial weights of phones
# factor by which what is particular to two classes is learnt faster than the network
CLASS_LEARNING_FACTOR = 3.0
BOUNDARIES_AT_ONCE = 32  # boundaries whose places are scored in one product
CLASSES = ("silence", "vowel", "stop", "fricative", "nasal", "liquid")
UNKNOWN_PHONE = 0  # number of phones that were not seen in training


class BoundaryNetwork(nn.Module):
    """Scores the candidate places of boundaries by the sound around them (see the head of this file).

    Parameters
    ----------
    phones : int
        Number of phones that it can tell apart, the unknown one included.
    """

    def __init__(self, phones: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Conv1d(WIDTH if k else BANDS, WIDTH, KERNEL, dilation=d) for k, d in enumerate(DILATIONS)
        )
        self.dropout = nn.Dropout(DROPOUT)
        self.before, self.after = nn.Embedding(phones, WIDTH), nn.Embedding(phones, WIDTH)
        self.classes = nn.Embedding(len(CLASSES) ** 2, WIDTH)
        # in what was likely before, and in distances
        self.trust = nn.Parameter(torch.tensor([1.0, 0.0, 0.0, 0.0]))
        self.trust_of_classes = nn.Embedding(len(CLASSES) ** 2, len(self.trust))
        for table in (self.before, self.after, self.classes):
            nn.init.normal_(table.weight, 0, EMBEDDING_SPREAD)
        nn.init.zeros_(self.trust_of_classes.weight)

    def encode(self, energies: Tensor) -> Tensor:
        """Encode normalised energies (B, T, 26) to features before each frame (B, T, WIDTH)."""
        encoded = energies
        for layer, dilation in zip(self.layers, DILATIONS, strict=True):
            weight, bias = layer.parameters()
            encoded = self.dropout(relu(convolved(encoded, weight, bias, dilation)))
        return encoded

    def forward(
        self, encoded: Tensor, at: Tensor, pairs: Tensor, classes: Tensor, likely: Tensor, away: Tensor
    ) -> Tensor:
        """Log-odds of candidate places.

        Parameters
        ----------
        encoded : Tensor
            (T, WIDTH) of all frames.
        at : Tensor
            (N, W) int64, the frame of each place; ascending.
        pairs : Tensor
            (N, 2) int64 numbers of the phones before and after.
        classes : Tensor
            (N,) int64 number of the pair of their classes.
        likely : Tensor
            (N, W) log-probabilities of the places by the sound alone.
        away : Tensor
            (N, W) how far each place is from the likeliest, in seconds.

        Returns
        -------
        Tensor
            (N, W)
        """
        weights = self.before(pairs[:, 0]) + self.after(pairs[:, 1]) + self.classes(classes)
        trust = self.trust + CLASS_LEARNING_FACTOR * self.trust_of_classes(classes)
        far = away / DISTANCE_UNIT
        distances = torch.stack([likely, far.abs(), far.square(), far], -1)
        odds: Tensor = self._dot_products(encoded, at, weights) + torch.einsum("nwk,nk->nw", distances, trust)
        return odds

    @staticmethod
    def _dot_products(encoded: Tensor, at: Tensor, weights: Tensor) -> Tensor:
        """Dot products (N, W) of features (T, D) ``at`` places (N, W) with weights (N, D).

        So nothing is copied to (N, W, D), which would take longer than all else here.
        """
        parts = []
        for k in range(0, len(at), BOUNDARIES_AT_ONCE):
            own = at[k : k + BOUNDARIES_AT_ONCE]
            first, last = int(own.min()), int(own.max()) + 1
            parts.append((weights[k : k + BOUNDARIES_AT_ONCE] @ encoded[first:last].T).gather(1, own - first))
        return torch.cat(parts) if parts else encoded.new_zeros(at.shape)


def convolved(frames: Tensor, weight: Tensor, bias: Tensor, dilation: int) -> Tensor:
    """Convolve over time, with dilation, as one matrix product: faster than torch's on so few numbers.

    Parameters
    ----------
    frames : Tensor
        (B, T, C)
    weight, bias : Tensor
        (D, C, taps) and (D,), as those of `torch.nn.Conv1d`; an odd number of taps.
    dilation : int

    Returns
    -------
    Tensor
        (B, T, D); beyond the ends all is 0.

    Examples
    --------
    >>> convolved(torch.ones(1, 4, 1), torch.ones(1, 1, 3), torch.zeros(1), 1).flatten().tolist()
    [2.0, 3.0, 3.0, 2.0]
    """
    taps, length = weight.shape[2], frames.shape[1]
    reach = (taps - 1) * dilation // 2
    padded = pad(frames, (0, 0, reach, reach))
    side_by_side = torch.cat([padded[:, k * dilation : k * dilation + length] for k in range(taps)], -1)
    return linear(side_by_side, weight.permute(0, 2, 1).flatten(1), bias)


@dataclass(frozen=True, kw_only=True, eq=False)
class BoundaryModel:
    """An ensemble of boundary networks, and how far its predictions are trusted."""

    backend: str
    """Backend whose boundaries it was learnt from ('hmm', 'ctc', 'dtw'): others make other errors."""
    phones: tuple[str, ...]
    """Phones without stress; a phone's number is its index here plus one."""
    networks: tuple[BoundaryNetwork, ...]
    """Networks whose predictions are averaged; none where there are offsets alone."""
    share: float = 1.0
    """Weight, from 0 to 1, of the networks' evidence against the prior probabilities; less where there were
    few corrections."""
    width: float = 1.0
    """Factor by which the intervals of boundaries are wider than the predicted distributions."""
    head: Head | None = None
    """The acoustic model's head as the corrections tuned it; None leaves the model's own."""
    offsets: Mapping[tuple[str, str], float] = field(default_factory=dict)
    """How late boundaries are between two classes of phones, in seconds, where too few were corrected for
    networks."""
    words_only: bool = False
    """Whether it was learnt from edges of words alone, and holds for these alone."""
    about: Mapping[str, Any] = field(default_factory=dict)
    """Record of what it was learnt from and how much it gains."""

    @property
    def of_guide(self) -> bool:
        """Whether it was learnt from what a training started from, and from nobody's corrections."""
        return bool(self.about.get("of_guide"))

    def __call__(
        self,
        energies: Tensor,
        middle: np.ndarray,
        labels: Sequence[str],
        likely: np.ndarray,
        away: np.ndarray,
    ) -> np.ndarray:
        """Probabilities (N, W) of candidate places.

        Parameters
        ----------
        energies : Tensor
            (T, 26) log energies.
        middle : ndarray
            (N,) int64, the frame before which the middle place of each boundary is.
        labels : sequence of str
            (N + 1,) of the phones.
        likely : ndarray
            (N, W) log-probabilities by the sound alone, up to a constant.
        away : ndarray
            (N, W) how far each place is from the likeliest, in seconds.
        """
        pairs, classes = (torch.from_numpy(x) for x in phone_and_class_numbers(labels, self.phones))
        before, far = torch.from_numpy(likely).float(), torch.from_numpy(away).float()
        at = torch.from_numpy(frames_around(middle, len(energies), likely.shape[1] // 2))
        with torch.inference_mode():
            energies_ = normalised(energies)[None]
            odds = [
                network(
                    network.encode(energies_)[0], at, pairs=pairs, classes=classes, likely=before, away=far
                ).softmax(-1)
                for network in self.networks
            ]
            mean = torch.stack(odds).mean(0)
        found: np.ndarray = mixed_with_prior(mean.double().numpy(), likely, self.share)
        return found

    def save(self, folder: Path, **more: Any) -> None:
        """Write the model into a folder; ``more`` goes into its table."""
        table = {
            "backend": self.backend,
            "phones": list(self.phones),
            "networks": len(self.networks),
            "share": self.share,
            "width": self.width,
            "offsets": {f"{a}{BETWEEN}{b}": late for (a, b), late in self.offsets.items()},
            "words_only": self.words_only,
            "about": dict(self.about),
        }
        tensors = {
            f"{k}.{name}": value
            for k, network in enumerate(self.networks)
            for name, value in network.state_dict().items()
        }
        if self.head is not None:
            table["head"], of_head = self.head.parts()
            tensors |= {HEAD + name: value for name, value in of_head.items()}
        packed.write(folder, TABLE, {**table, **more}, tensors)

    @classmethod
    def load(cls, folder: Path) -> tuple[BoundaryModel, Mapping[str, Any]]:
        """Read what `save` wrote: the model, and its table.

        Raises
        ------
        ModelError
            If it is damaged.
        """
        table, tensors = packed.read(folder, TABLE)
        return packed.put_together(folder / TABLE, lambda: _read(table, tensors), "teach it again"), table


def _read(table: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> BoundaryModel:
    """Rebuild a model from its table and tensors; raises ValueError, and whatever damaged fields raise."""
    phones = tuple(str(p) for p in table["phones"])
    count, share, width = table["networks"], float(table["share"]), float(table["width"])
    if not isinstance(table["backend"], str):
        raise ValueError("field 'backend' is no name")
    offsets = {_classes(pair): float(late) for pair, late in table.get("offsets", {}).items()}
    if not isinstance(count, int) or count < (0 if offsets else 1):
        raise ValueError("field 'networks' is no number of networks")
    if not 0 <= share <= 1:  # nor is NaN
        raise ValueError("field 'share' is not from 0 to 1")
    if not 0 <= width < inf:
        raise ValueError("field 'width' is no width")
    if not all(isfinite(late) for late in offsets.values()):
        raise ValueError("field 'offsets' has some that are no times")
    networks = []
    for k in range(count):
        network = BoundaryNetwork(len(phones) + 1)
        own = f"{k}."
        network.load_state_dict({n.removeprefix(own): t for n, t in tensors.items() if n.startswith(own)})
        networks.append(network.eval())
    return BoundaryModel(
        backend=table["backend"],
        phones=phones,
        networks=tuple(networks),
        share=share,
        width=width,
        head=_head(table["head"], tensors) if "head" in table else None,
        offsets=offsets,
        words_only=bool(table.get("words_only", False)),  # models of earlier versions do not say it
        about=dict(table["about"]),
    )


def _classes(pair: str) -> tuple[str, str]:
    before, after = pair.split(BETWEEN)
    return before, after


def _head(table: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Head:
    return Head.whole(table, {n.removeprefix(HEAD): t for n, t in tensors.items() if n.startswith(HEAD)})


def mixed_with_prior(mean: np.ndarray, likely: np.ndarray, share: float) -> np.ndarray:
    """Mix the networks' probabilities with the prior ones (N, W), a ``share`` of the evidence from the
    networks.

    Examples
    --------
    >>> mixed_with_prior(np.array([[0.9, 0.1]]), np.log([[0.5, 0.5]]), 0.0)
    array([[0.5, 0.5]])
    """
    logs = share * np.log(np.maximum(mean, 1e-6)) + (1 - share) * likely
    odds = np.exp(logs - logs.max(1, keepdims=True))
    found: np.ndarray = odds / odds.sum(1, keepdims=True)
    return found


def normalised(energies: Tensor) -> Tensor:
    """Normalise log energies (T, 26): mean 0 in each band, unit variance over all bands."""
    audible = energies.clamp(min=LOG_ENERGY_FLOOR)
    return (audible - audible.mean(0)) / audible.std().clamp(min=1e-3)


def frames_around(middle: np.ndarray, frames: int, reach: int) -> np.ndarray:
    """Indices (N, 2 reach + 1) of the frames around each of ``middle`` (N,), clipped to the recording."""
    at: np.ndarray = np.clip(middle[:, None] + np.arange(-reach, reach + 1), 0, frames - 1)
    return at


def phone_and_class_numbers(labels: Sequence[str], phones: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the phones on both sides of each boundary (N, 2), and of their pair of classes (N,), int64.

    Examples
    --------
    >>> phone_and_class_numbers(["", "AA1", "T"], ["T", ""])
    (array([[2, 0],
           [0, 1]]), array([1, 8]))
    """
    known = {phone: k for k, phone in enumerate(phones, UNKNOWN_PHONE + 1)}
    own = np.array([known.get(unstressed(label), UNKNOWN_PHONE) for label in labels], np.int64)
    kinds = np.array([CLASSES.index(phone_class(label)) for label in labels], np.int64)
    return np.stack([own[:-1], own[1:]], 1), kinds[:-1] * len(CLASSES) + kinds[1:]
