"""A small CTC network that is trained here, on log mel energies with dilated convolutions.

It sees less than a second around each frame (Bai, Kolter, Koltun 2018, "An empirical evaluation of generic
convolutional and recurrent networks for sequence modeling"), so it cannot learn to place a label far from its
sound, and long recordings are heard in pieces with the same result.  The blocks are ConvNeXt's (Liu et al.
2022) in one dimension: a depthwise convolution over time, then a small perceptron within each frame.

B utterances of N samples; T frames, V labels.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import gelu
from torch.nn.utils.rnn import pad_sequence

from aligner import __version__
from aligner.features import INT16_SCALE, frame_count, mel_filters, power_spectrum, windows
from aligner.formats.files import write_text, written_whole
from aligner.models.convolution import DepthwiseConvolution
from aligner.models.known import NETWORK_TABLE
from aligner.types import Clock, ModelError

T = TypeVar("T")

CLOCK = Clock(hop=160, window=400)  # 10 and 25 ms
MELS = 80
LOWEST, HIGHEST = 40.0, 7800.0  # Hz; below is hum, above the resampler's filter
NFFT = 1024  # the lowest filters are narrower than a bin of 512
ENERGY_FLOOR = 1.0  # about what the rounding to 16 bits leaves in a filter: digital silence is no quieter
PIECE_FRAMES = 4096  # frames that go through the network at once
WEIGHTS, TABLE = "model.safetensors", NETWORK_TABLE
KIND = "tcn"


@dataclass(frozen=True)
class Shape:
    """The size of a network.

    Examples
    --------
    >>> Shape().reach              # frames to either side: 0.44 s
    44
    """

    width: int = 192
    """Channels between the blocks."""
    layers: int = 7
    """Number of blocks; their dilations are 1, 2, 4, 8, 1, 2, ... frames."""
    kernel: int = 5
    """Taps of a block's convolution; an odd number."""
    dropout: float = 0.1
    """Dropout probability in training."""

    def __post_init__(self) -> None:
        for name, least in (("width", 1), ("layers", 1), ("kernel", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}, not at least {least}")
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel is {self.kernel}, not odd")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is {self.dropout}, not from 0 to below 1")

    @property
    def dilations(self) -> tuple[int, ...]:
        """Dilation of each block, in frames."""
        return tuple(2 ** (k % 4) for k in range(self.layers))

    @property
    def reach(self) -> int:
        """Number of frames on either side that a posterior depends on."""
        return sum(self.dilations) * (self.kernel // 2)


def log_mel(wave: Tensor) -> Tensor:
    """Log mel energies (T, 80) of a wave (N,), each with mean 0 and variance 1 over the utterance.

    Examples
    --------
    >>> log_mel(torch.rand(16000)).shape
    torch.Size([99, 80])
    """
    filters = _filters(wave.dtype, wave.device)
    count = frame_count(len(wave), CLOCK.window, CLOCK.hop)
    parts = []
    for first in range(0, count, PIECE_FRAMES):  # so that hours need little memory
        last = min(first + PIECE_FRAMES, count)
        piece = wave[first * CLOCK.hop : (last - 1) * CLOCK.hop + CLOCK.window] * INT16_SCALE
        frames = windows(piece, CLOCK.window, CLOCK.hop)
        frames = frames - frames.mean(1, keepdim=True)
        parts.append(torch.log(power_spectrum(frames, NFFT) @ filters + ENERGY_FLOOR))
    energies = torch.cat(parts) if parts else wave.new_zeros(0, MELS)
    centred = energies - energies.mean(0)
    return centred / centred.square().mean(0).sqrt().clamp(min=1e-3)


@lru_cache(maxsize=8)
def _filters(dtype: torch.dtype, device: torch.device) -> Tensor:
    return mel_filters(MELS, LOWEST, HIGHEST, NFFT, CLOCK.rate, rounded=False).to(device, dtype)


class Block(nn.Module):
    """A residual block: x + perceptron(norm(depthwise convolution(x)))."""

    def __init__(self, shape: Shape, dilation: int) -> None:
        super().__init__()
        self.time = DepthwiseConvolution(shape.width, shape.kernel, dilation)
        self.norm = nn.LayerNorm(shape.width)
        self.wider = nn.Linear(shape.width, 2 * shape.width)
        self.narrower = nn.Linear(2 * shape.width, shape.width)
        self.dropout = nn.Dropout(shape.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map frames (B, T, width) to frames of the same shape."""
        added: Tensor = self.dropout(self.narrower(gelu(self.wider(self.norm(self.time(x))))))
        return x + added


class TcnNetwork(nn.Module):
    """A temporal convolutional network: log posteriors of labels from a wave.

    Parameters
    ----------
    labels : sequence of str
        (V,): what each column stands for, the blank among them.
    shape : Shape, optional
    blank : int
        The blank's column.
    boundary : str or None
        The label between words, if there is one.
    case : {'upper', 'lower', None}
        How the labels write letters, if they are letters.
    seed : int
        Seed of the initial weights.

    Attributes
    ----------
    clock : Clock
    star : None
        There is no label that stands for anything.
    log_priors : Tensor
        (V,): logarithm of each label's mean posterior over the training speech; even before training.
    alpha : float
        The weight of the priors in training (see `aligner.train.ctc`); 0 where they had none.

    Examples
    --------
    >>> network = TcnNetwork(["<blank>", "AA", "B"])
    >>> network(torch.rand(16000)).shape
    torch.Size([99, 3])
    """

    log_priors: Tensor

    def __init__(
        self,
        labels: Sequence[str],
        shape: Shape | None = None,
        *,
        blank: int = 0,
        boundary: str | None = None,
        case: str | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if len(set(labels)) != len(labels) or not 0 <= blank < len(labels):
            raise ValueError(
                f"{len(labels)} labels with blank {blank}: labels differ, and the blank is one of them"
            )
        self.labels, self.blank, self.boundary, self.case, self.seed = (
            tuple(labels),
            blank,
            boundary,
            case,
            seed,
        )
        self.shape = shape or Shape()
        self.clock, self.star, self.alpha = CLOCK, None, 0.0
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.first = nn.Linear(MELS, self.shape.width)
            self.blocks = nn.ModuleList(Block(self.shape, d) for d in self.shape.dilations)
            self.norm = nn.LayerNorm(self.shape.width)
            self.last = nn.Linear(self.shape.width, len(labels))
        even = torch.full((len(labels),), 1 / len(labels)).log()
        # they are in the table, where people can read them
        self.register_buffer("log_priors", even, persistent=False)

    def features(self, waves: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """`log_mel` (B, T, 80) of ``waves`` (B, N) with ``lengths`` (B,) samples, and their frames (B,)."""
        made = [log_mel(wave[:n]) for wave, n in zip(waves, lengths.tolist(), strict=True)]
        counts = torch.tensor([len(m) for m in made], device=waves.device)
        return pad_sequence(made, batch_first=True), counts

    def encode(self, frames: Tensor, counts: Tensor) -> Tensor:
        """Log posteriors (B, T, V), float32, of ``frames`` (B, T, 80), of which ``counts`` (B,) are real."""
        real = (torch.arange(frames.shape[1], device=frames.device) < counts[:, None])[..., None]
        x = self.first(frames)
        for block in self.blocks:
            x = block(x * real)  # zeros behind an utterance, as the convolution pads them
        scores: Tensor = self.last(self.norm(x)).float()
        return scores.log_softmax(2)

    def batch(self, waves: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Differentiable log posteriors of a batch.

        Parameters
        ----------
        waves : Tensor
            (B, N), padded behind.
        lengths : Tensor
            (B,) samples of each.

        Returns
        -------
        posteriors : Tensor
            (B, T, V) log posteriors.
        counts : Tensor
            (B,) frames of each.
        """
        frames, counts = self.features(waves, lengths)
        return self.encode(frames, counts), counts

    @torch.no_grad()
    def forward(self, wave: Tensor) -> Tensor:
        """Log posteriors (T, V) of a wave (N,), full scale 1, at the clock's rate, without gradients.

        An hour is heard in pieces, each with all that its frames depend on around it.
        """
        frames = log_mel(wave.to(self.first.weight.device, torch.float32))
        parts = []
        for start in range(0, len(frames), PIECE_FRAMES):
            begin, stop = max(start - self.shape.reach, 0), min(start + PIECE_FRAMES, len(frames))
            piece = frames[None, begin : stop + self.shape.reach]
            made = self.encode(piece, torch.tensor([piece.shape[1]], device=frames.device))
            parts.append(made[0, start - begin : stop - begin])
        return torch.cat(parts) if parts else frames.new_zeros(0, len(self.labels))

    def save(self, folder: Path) -> None:
        """Write weights (safetensors) and the table of all else (JSON) into a folder."""
        table = {
            "kind": KIND,
            "labels": self.labels,
            "blank": self.blank,
            "boundary": self.boundary,
            "case": self.case,
            "clock": asdict(self.clock),
            "shape": asdict(self.shape),
            "seed": self.seed,
            "alpha": self.alpha,
            "log_priors": self.log_priors.tolist(),
            "versions": {"aligner": __version__, "torch": str(torch.__version__)},
        }
        with written_whole(folder / WEIGHTS) as beside:
            save_file({name: value.contiguous().cpu() for name, value in self.state_dict().items()}, beside)
        write_text(folder / TABLE, json.dumps(table, ensure_ascii=False, indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> TcnNetwork:
        """Read what `save` wrote, ready to align.

        Raises
        ------
        ModelError
            If a file is missing or damaged, or the two do not belong together.
        """
        table = _table(folder / TABLE)
        network = _checked(folder / TABLE, lambda: cls._of(table))
        return _checked(folder / WEIGHTS, lambda: network._with_weights(folder / WEIGHTS))

    @classmethod
    def _of(cls, table: dict[str, Any]) -> TcnNetwork:
        """Make a network as a table says, its weights still random."""
        if table["kind"] != KIND or Clock(**table["clock"]) != CLOCK:
            raise ValueError(f"a {table['kind']!r} network with frames of another kind")
        network = cls(
            table["labels"],
            Shape(**table["shape"]),
            blank=table["blank"],
            boundary=table["boundary"],
            case=table["case"],
            seed=table["seed"],
        )
        priors = torch.tensor(table["log_priors"], dtype=torch.float32)
        if priors.shape != network.log_priors.shape:
            raise ValueError(f"{len(priors)} priors of {len(network.labels)} labels")
        network.log_priors, network.alpha = priors, float(table["alpha"])
        return network.eval()

    def _with_weights(self, path: Path) -> TcnNetwork:
        """Load the weights of a file, and return the network."""
        weights = load_file(path)
        if not all(bool(w.isfinite().all()) for w in weights.values()):
            raise ValueError("weights are not finite")
        self.load_state_dict(weights)
        return self


def _table(path: Path) -> dict[str, Any]:
    """Read the JSON table beside the weights."""

    def read() -> dict[str, Any]:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise TypeError("it holds no table")
        return content

    return _checked(path, read)


def _checked(path: Path, work: Callable[[], T]) -> T:
    """Call ``work`` on a file, and turn whatever is wrong with the file into the model's error."""
    try:
        return work()
    except OSError as error:
        raise ModelError(
            path, f"it cannot be read ({error.strerror or error})", "train the model again"
        ) from error
    except (ValueError, TypeError, KeyError, AttributeError, RuntimeError, SafetensorError) as error:
        what = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(
            path, f"it is damaged ({what})", "train the model again, or copy it again"
        ) from error
