"""What a head listens through: networks that others trained on much more speech, with a frame every 10 ms.

Frame t stands for sample 160 t.  An ear hears no more than `WINDOW_FRAMES` at once, for what attends to all
that it is given would take memory without end, and grow dull.

N samples, T = N // 160 + 1 frames, E channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Protocol

import torch
from torch import Tensor

from aligner.models.encoder import Encoder
from aligner.models.hama import PAD, HamaNetwork
from aligner.models.known import HAMA
from aligner.models.products import in_half
from aligner.types import Clock

CLOCK = Clock(hop=160, window=0)
WINDOW_FRAMES = 1000  # 10 s: attention takes time with the square of what it is given
LEAST_SAMPLES = PAD + 1  # what can be mirrored at its ends
HAMA_BLOCKS = (2, 3, 4)
WHISPER_LAYERS = (2, 3)  # those past the middle lose time
JOINT = "+"  # between the names of ears that hear together


class Ear(Protocol):
    """A pretrained network that a head listens through."""

    @property
    def name(self) -> str:
        """What it goes by: see `ear`."""
        ...

    @property
    def size(self) -> int:
        """Channels of a frame."""
        ...

    def __call__(self, wave: Tensor) -> Tensor:
        """What is heard in a wave (N,) of 16 kHz and full scale 1: frames (T, E), float32."""
        ...


@dataclass(frozen=True, eq=False)
class HamaEar:
    """The upper blocks of the phoneme recogniser inside the ``hama`` package, which has a frame each 20 ms.

    Running it twice, 10 ms apart, places phones no better than the means of neighbours.
    """

    network: HamaNetwork
    """The network."""

    name = HAMA
    size = 144 * len(HAMA_BLOCKS)

    def __call__(self, wave: Tensor) -> Tensor:
        """Frames (T, 432) of a wave (N,)."""
        count = frame_count(len(wave))
        wave = torch.nn.functional.pad(wave, (0, max(LEAST_SAMPLES - len(wave), 0)))
        return _with_means(self.network.hidden(wave, HAMA_BLOCKS))[:count]


@dataclass(frozen=True, eq=False)
class WhisperEar:
    """Some lower layers of Whisper's encoder, which has a frame each 20 ms."""

    name: str
    """The name of its weights, or their file."""
    encoder: Encoder
    """The encoder, cut behind the last layer that is needed."""

    @property
    def size(self) -> int:
        """Channels of a frame."""
        return len(WHISPER_LAYERS) * self.encoder.shape.width

    def __call__(self, wave: Tensor) -> Tensor:
        """Frames (T, E) of a wave (N,)."""
        frames = self.encoder.frames([wave], WHISPER_LAYERS, step=2)[0]
        return _with_means(frames)[: frame_count(len(wave))]


@dataclass(frozen=True, eq=False)
class JointEar:
    """Several ears, whose channels lie side by side."""

    ears: tuple[Ear, ...]
    """The ears."""

    @property
    def name(self) -> str:
        """Their names."""
        return JOINT.join(one.name for one in self.ears)

    @property
    def size(self) -> int:
        """Channels of a frame."""
        return sum(one.size for one in self.ears)

    def __call__(self, wave: Tensor) -> Tensor:
        """Frames (T, E) of a wave (N,)."""
        return torch.cat([one(wave) for one in self.ears], -1)


def _with_means(frames: Tensor) -> Tensor:
    """Frames (T, E) with the mean of each and the next behind it, (2 T, E)."""
    later = torch.cat([frames[1:], frames[-1:]])
    return torch.stack([frames, (frames + later) / 2], 1).flatten(0, 1)


@cache
def ear(name: str, device: str = "cpu") -> Ear:
    """The ear of a name: ``hama``, or whatever `aligner.models.encoder.Encoder.load` takes; several names
    with a + between them are ears that hear together.  It takes waves that are on its ``device``.

    Raises
    ------
    ModelError
        If there is none, or it is damaged.

    Examples
    --------
    >>> ear("hama")(torch.zeros(16000)).shape
    torch.Size([101, 432])
    """
    if JOINT in name:
        return JointEar(tuple(ear(one, device) for one in name.split(JOINT)))
    network = HamaNetwork.load() if name == HAMA else Encoder.load(name, layers=max(WHISPER_LAYERS))
    network = in_half(network) if device == "cpu" else network.to(device)
    return HamaEar(network) if isinstance(network, HamaNetwork) else WhisperEar(name, network)


def frame_count(samples: int) -> int:
    """Number of frames that an ear has for a number of samples.

    Examples
    --------
    >>> frame_count(0), frame_count(160)
    (1, 2)
    """
    return samples // CLOCK.hop + 1
