"""The encoder of Whisper (Radford et al. 2022): what a network that was trained to transcribe hears.

It was trained on 680,000 hours of speech in all kinds of noise; the outputs of its lower layers tell phones
apart where cepstra no longer do.  A small network, a head, turns them into scores of phones.

**What it is.**  Log mel energies, 100 frames a second; two convolutions, the second of which strides two
frames; positions, that are added; blocks of self-attention and a perceptron (pre-norm).  Nothing here decodes
text.  Any size of Whisper is taken, from whichever of its formats (see `aligner.models.encoder_files`), and
may be cut after any block.

**When a frame is.**  The network has a frame each 20 ms.  It is run on the even mel frames and on the odd
ones, and the two are interleaved: frame t stands for sample 160 t, 10 t ms after the first sample, the middle
of its own mel window.  Hence `Encoder.clock` has no window; the boundary before frame t lies 5 ms before.

**Silence.**  Whisper has always heard 30 s, most often with much silence behind the speech, and hears worse
without.  Here a few frames of silence stand for all of it: each weighs in attention as many as it stands for,
and they are spread over the positions up to 30 s.  On 80 sentences of TIMIT a linear probe told 62 phones
apart in 68.0 % of the frames without any silence, 68.2 with 0.5 to 2 s, 68.6 with all of it at ten times the
cost, and 68.8 with 0.2 s and these 24 frames.

**What it hears at once.**  Attention looks at everything within its window, so that each frame depends on all
others there, and positions count from the window's beginning: no two windows give quite the same frames for
the same sound.  So the rule of windows is part of the result, and it depends on the recording's length alone
(`spans`): what fits into one window is heard at once; what is longer, in windows that overlap, each frame
taken from the window in which it lies further from the edge.  Batches, workers and the order of recordings
change nothing but rounding.

B recordings or windows, N samples, M mel frames, T = (M + 1) // 2 frames of one run, D channels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aligner.features import triangles
from aligner.models import encoder_files, published
from aligner.models.encoder_files import Shape
from aligner.models.published import PUBLISHED
from aligner.types import SAMPLE_RATE, Clock

WINDOW, HOP = 400, 160  # samples of a mel frame's window, and from one to the next
PAD = WINDOW // 2
POWER_FLOOR, DYNAMIC_RANGE = 1e-10, 8.0  # least power in a band; decades below the loudest that are kept
TAIL_FRAMES = 20  # mel frames of silence that are heard behind a recording, at least
REST = 24  # frames that stand for all further silence, up to the 30 s that Whisper always hears
REACH = 2  # mel frames on either side that both convolutions see together
OVERLAP_FRAMES = 400  # mel frames that are heard twice, half of them context for either side
BATCH_FRAMES = 24_000  # mel frames that go through the network at once on a GPU: eight windows


@dataclass(frozen=True)
class Span:
    """What is heard at once, and which of its frames are taken; all in mel frames of the recording."""

    first: int
    """The first frame that is heard."""
    last: int
    """The frame behind the last that is heard, silence behind the recording among them."""
    take: tuple[int, int]
    """The first frame that is taken from here, and the one behind the last."""


def frame_count(samples: int) -> int:
    """Number of frames that `Encoder.frames` gives for a number of samples.

    Examples
    --------
    >>> frame_count(0), frame_count(159), frame_count(16000)
    (1, 1, 101)
    """
    return samples // HOP + 1


def spans(frames: int, longest: int, overlap: int = OVERLAP_FRAMES, tail: int = TAIL_FRAMES) -> list[Span]:
    """The windows in which a recording of so many frames is heard.

    Parameters
    ----------
    frames : int
        Frames of the recording, at least 1.
    longest : int
        Frames that the network hears at most; even.
    overlap : int
        Frames that two neighbouring windows share; even.
    tail : int
        Frames of silence behind the recording; one more where that makes an even number.

    Examples
    --------
    >>> spans(701, 3000, tail=50)
    [Span(first=0, last=752, take=(0, 701))]
    >>> [(s.first, s.last, s.take) for s in spans(6000, 3000, 400, 50)]
    [(0, 3000, (0, 2800)), (2600, 5600, (2800, 5400)), (5200, 6050, (5400, 6000))]
    """
    heard = frames + tail + (frames + tail) % 2
    step = longest - overlap
    starts = range(0, max(heard - longest, 0) + step, step) if heard > longest else range(1)
    edges = [0, *(min(start + overlap // 2, frames) for start in starts[1:]), frames]
    return [
        Span(start, min(start + longest, heard), (a, b))
        for start, (a, b) in zip(starts, pairwise(edges), strict=True)
        if a < b
    ]


class Block(nn.Module):
    """A block of self-attention and a perceptron, each behind a layer norm and added to what it was given."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width = shape.width
        self.heads = shape.heads
        self.attention_norm, self.ffn_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.fc1, self.fc2 = nn.Linear(width, shape.inner), nn.Linear(shape.inner, width)

    def forward(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """Map frames (B, T, D) to the same shape; ``bias`` (B, 1, 1, T) is added to what attention weighs."""
        query, key, value = self.qkv(self.attention_norm(x)).unflatten(-1, (3, self.heads, -1)).unbind(2)
        attended = F.scaled_dot_product_attention(
            query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2), bias
        )
        x = x + self.out(attended.transpose(1, 2).flatten(2))
        return x + self.fc2(F.gelu(self.fc1(self.ffn_norm(x))))  # type: ignore[no-any-return]


class Encoder(nn.Module):
    """Whisper's encoder, whole or cut after a block.

    Attributes
    ----------
    shape : Shape
        Its size.
    clock : Clock
        Frame t of `frames` stands for sample 160 t.

    Examples
    --------
    >>> encoder = Encoder(Shape(mels=80, width=24, heads=4, inner=48, layers=2, positions=1500))
    >>> frames, = encoder.frames([torch.zeros(16000)], layers=(1, 2))
    >>> frames.shape, encoder.clock.boundary(50)
    (torch.Size([101, 48]), 0.495)
    """

    clock = Clock(hop=HOP, window=0)
    positions: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.conv1 = nn.Conv1d(shape.mels, shape.width, 3, padding=1)
        self.conv2 = nn.Conv1d(shape.width, shape.width, 3, padding=1)  # strides 2: see `_stem`
        self.register_buffer("positions", torch.zeros(shape.positions, shape.width))
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = None if shape.cut else nn.LayerNorm(shape.width)

    @classmethod
    def load(cls, name_or_path: str | Path, *, layers: int | None = None) -> Self:
        """Read the weights of an encoder.

        Parameters
        ----------
        name_or_path : str or Path
            A name in `aligner.models.published`, ``tiny.en``, which only that very file goes by; or any
            file or folder that `aligner.models.encoder_files` reads.
        layers : int, optional
            Number of blocks that are read and kept; all by default.

        Returns
        -------
        Encoder
            A module on the CPU in float32, in evaluation mode, its parameters frozen.

        Raises
        ------
        ModelError
            If there is none, or it is damaged, of another layout, or has fewer blocks.
        """
        path = published.find(str(name_or_path)) if str(name_or_path) in PUBLISHED else name_or_path
        shape, tensors = encoder_files.read(path, layers)
        with torch.device("meta"):  # neither memory nor random numbers are spent on what is replaced at once
            encoder = cls(shape)
        encoder.load_state_dict(tensors, assign=True)
        return encoder.eval().requires_grad_(False)

    @property
    def longest(self) -> int:
        """Mel frames that it hears at once at most: 30 s of them."""
        return 2 * self.shape.positions

    @property
    def overlap(self) -> int:
        """Mel frames that it hears twice, where windows meet."""
        return min(OVERLAP_FRAMES, self.longest // 8 * 4)

    def forward(self, mel: Tensor, layers: Sequence[int] | None = None) -> tuple[Tensor, ...]:
        """Outputs of blocks as Whisper itself has them, each 20 ms.

        Parameters
        ----------
        mel : Tensor
            (B, M, mels), as `log_mel` gives them.
        layers : sequence of int, optional
            The blocks whose outputs are wanted, counted from 1; 0 is what enters the first.  By default the
            last.  The last of an encoder that is not cut has gone through Whisper's final layer norm.

        Returns
        -------
        tuple of Tensor
            One (B, T, D) for each of ``layers``.

        Raises
        ------
        ValueError
            If there is no such block, or more frames than `longest`.
        """
        wanted = self._checked(layers)
        if not 0 < mel.shape[1] <= self.longest:
            raise ValueError(f"{mel.shape[1]} mel frames at once, not from 1 to {self.longest}")
        x = self._stem(mel)[:, ::2]
        return self._through_blocks(x + self.positions[: x.shape[1]], None, wanted)

    def _checked(self, layers: Sequence[int] | None) -> tuple[int, ...]:
        wanted = (self.shape.layers,) if layers is None else tuple(layers)
        if not wanted or not all(0 <= k <= self.shape.layers for k in wanted):
            raise ValueError(f"layers {wanted}, not among 0 to {self.shape.layers}")
        return wanted

    def _stem(self, mel: Tensor) -> Tensor:
        """Both convolutions, (B, M, mels) -> (B, M, D); Whisper takes every other frame of the second."""
        x = F.gelu(self.conv1(mel.to(self.conv1.weight.dtype).transpose(1, 2)))
        found: Tensor = F.gelu(self.conv2(x)).transpose(1, 2)
        return found

    def _through_blocks(self, x: Tensor, bias: Tensor | None, layers: tuple[int, ...]) -> tuple[Tensor, ...]:
        """Go through the blocks that are needed with frames (B, T, D) that have their positions."""
        found = {0: x}
        for k, block in enumerate(self.blocks[: max(layers)], 1):
            x = block(x, bias)
            found[k] = self.norm(x) if self.norm is not None and k == self.shape.layers else x
        return tuple(found[k] for k in layers)

    def hear(self, mels: Sequence[Tensor], layers: Sequence[int] | None = None) -> list[Tensor]:
        """Outputs of blocks, side by side, each 10 ms.

        Parameters
        ----------
        mels : sequence of Tensor
            (M, mels) each, windows as `spans` has them: M is even, and the last frame is silence unless it
            is the last of `longest`.
        layers : sequence of int, optional
            As in `forward`.

        Returns
        -------
        list of Tensor
            (M, len(layers) * D), float32, for each window.

        Raises
        ------
        ValueError
            If M is odd or too much, or there is no such block.
        """
        wanted = self._checked(layers)
        lengths = [len(mel) for mel in mels]
        if wrong := [n for n in lengths if n % 2 or not 0 < n <= self.longest]:
            raise ValueError(f"a window of {wrong[0]} mel frames, not of an even number up to {self.longest}")
        x = self._stem(torch.stack([_silent_to(mel, max(lengths) + 2 * REACH) for mel in mels]))
        silence, x = x[:, -1 - REACH, None], x[:, : max(lengths)]
        batch, frames, width = x.shape
        runs = x.reshape(batch, -1, 2, width).transpose(1, 2).flatten(0, 1)  # (2 B, T, D): even, odd frames
        own = [n // 2 for n in lengths for _ in range(2)]
        found = self._beside_silence(runs, silence.repeat_interleave(2, 0), own, wanted)
        both = found.view(batch, 2, frames // 2, -1).transpose(1, 2).flatten(1, 2).float()
        return [one[:n] for one, n in zip(both, lengths, strict=True)]

    def _beside_silence(
        self, runs: Tensor, silence: Tensor, own: list[int], layers: tuple[int, ...]
    ) -> Tensor:
        """Go through the blocks with runs (B, T, D), each of so many frames of its own, and with frames of
        ``silence`` (B, 1, D) that stand for all that would follow up to 30 s.
        """
        whole = self.shape.positions
        if min(own) == whole:  # nothing would
            return torch.cat(self._through_blocks(runs + self.positions, None, layers), -1)
        lengths = torch.tensor(own, device=runs.device)[:, None]
        each = (whole - lengths) / REST  # frames that one stands for
        at = lengths + each * (torch.arange(REST, device=runs.device) + 0.5)
        rest = silence + self.positions[at.long().clamp_max(whole - 1)]
        beyond = torch.arange(runs.shape[1], device=runs.device) >= lengths
        hidden = torch.zeros(beyond.shape, device=runs.device).masked_fill(beyond, -torch.inf)
        bias = torch.cat([each.log().expand(-1, REST), hidden], 1)
        x = torch.cat([rest, runs + self.positions[: runs.shape[1]]], 1)
        found = self._through_blocks(x, bias[:, None, None, :].to(x.dtype), layers)
        return torch.cat([one[:, REST:] for one in found], -1)

    @torch.no_grad()
    def frames(
        self, waves: Sequence[Tensor], layers: Sequence[int] | None = None, *, batch: int | None = None
    ) -> list[Tensor]:
        """What the encoder hears in recordings, each 10 ms.

        Parameters
        ----------
        waves : sequence of Tensor
            (N,) each: 16 kHz, full scale 1.
        layers : sequence of int, optional
            As in `forward`.
        batch : int, optional
            Mel frames that go through the network at once, but for single windows that have more; by default
            those of one window on the CPU, where more are no quicker, and of eight elsewhere.

        Returns
        -------
        list of Tensor
            (N // 160 + 1, len(layers) * D), float32, for each recording, on the encoder's device.  Frame t
            stands for sample 160 t.

        Notes
        -----
        An hour takes 1.7 GB where three layers of 384 channels are asked for; `pieces` gives it bit by bit.
        """
        parts: list[list[Tensor]] = [[] for _ in waves]
        for k, piece in self._pieces(waves, layers, batch):
            parts[k].append(piece)
        return [torch.cat(part) for part in parts]

    @torch.no_grad()
    def pieces(self, wave: Tensor, layers: Sequence[int] | None = None) -> Iterator[Tensor]:
        """The same frames of one recording, window after window: memory does not grow with its length."""
        for _, piece in self._pieces([wave], layers, None):
            yield piece

    def _pieces(
        self, waves: Sequence[Tensor], layers: Sequence[int] | None, batch: int | None
    ) -> Iterator[tuple[int, Tensor]]:
        """Number of a recording and the next of its frames, window after window."""
        for wave in waves:
            _check(wave)
        todo = [
            (k, span)
            for k, wave in enumerate(waves)
            for span in spans(frame_count(len(wave)), self.longest, self.overlap)
        ]
        for part in _batches(todo, self._most if batch is None else batch):
            found = self.hear([self.log_mel(waves[k], span.first, span.last) for k, span in part], layers)
            for (k, span), piece in zip(part, found, strict=True):
                yield k, piece[span.take[0] - span.first : span.take[1] - span.first]

    @property
    def _most(self) -> int:
        return 1 if self.positions.device.type == "cpu" else BATCH_FRAMES

    def log_mel(self, wave: Tensor, first: int = 0, last: int | None = None) -> Tensor:
        """Log mel energies (last - first, mels) of frames of a recording (N,), on the encoder's device.

        They are Whisper's: mirrored at the beginning, silent behind the end, at most `DYNAMIC_RANGE` decades
        below the loudest of these frames.
        """
        last = frame_count(len(wave)) if last is None else last
        device = self.positions.device
        samples = _samples(wave, first * HOP - PAD, (last - 1) * HOP + PAD).to(device, torch.float32)
        spectrum = torch.fft.rfft(samples.unfold(0, WINDOW, HOP) * _hann(device))
        bands = spectrum.abs().square() @ _filters(self.shape.mels, device)
        logs = bands.clamp_min(POWER_FLOOR).log10()
        scaled: Tensor = (logs.maximum(logs.max() - DYNAMIC_RANGE) + 4.0) / 4.0
        return scaled


def _batches(todo: Sequence[tuple[int, Span]], most: int) -> Iterator[list[tuple[int, Span]]]:
    """Windows that are heard together: neighbours that have at most so many mel frames, once padded."""
    batch: list[tuple[int, Span]] = []
    longest = 0
    for one in todo:
        size = one[1].last - one[1].first
        if batch and max(longest, size) * (len(batch) + 1) > most:
            yield batch
            batch, longest = [], 0
        batch, longest = [*batch, one], max(longest, size)
    if batch:
        yield batch


def _check(wave: Tensor) -> None:
    if not wave.is_floating_point() or wave.ndim != 1:
        raise ValueError(
            f"samples of type {wave.dtype} and shape {tuple(wave.shape)}, not (N,) of a floating type"
        )


def _samples(wave: Tensor, begin: int, end: int) -> Tensor:
    """Samples from ``begin`` to ``end`` of a recording that is mirrored before its beginning and silent
    behind its end.
    """
    inner = wave[max(begin, 0) : max(end, 0)]
    inner = F.pad(inner, (0, end - max(begin, 0) - len(inner)))
    mirrored = F.pad(wave[1 : 1 - min(begin, 0)], (0, max(1 - begin - len(wave), 0)))[: max(-begin, 0)]
    return torch.cat([mirrored.flip(0), inner])


@lru_cache(maxsize=8)
def _hann(device: torch.device) -> Tensor:
    return torch.hann_window(WINDOW, device=device)


@lru_cache(maxsize=8)
def _filters(mels: int, device: torch.device) -> Tensor:
    """Slaney's mel filters (bins, mels), as librosa has them."""
    top = _mel(SAMPLE_RATE / 2)
    edges = [_hertz(k * top / (mels + 1)) for k in range(mels + 2)]
    filters = triangles(torch.tensor(edges, dtype=torch.float64), WINDOW, SAMPLE_RATE)
    return filters.to(device, torch.float32)


LINEAR_HERTZ, HERTZ_A_MEL, LOG_STEP = 1000.0, 200.0 / 3.0, math.log(6.4) / 27.0  # Slaney's scale


def _mel(hertz: float) -> float:
    """Slaney's scale: linear up to 1 kHz, logarithmic above."""
    least = LINEAR_HERTZ / HERTZ_A_MEL
    return hertz / HERTZ_A_MEL if hertz < LINEAR_HERTZ else least + math.log(hertz / LINEAR_HERTZ) / LOG_STEP


def _hertz(mel: float) -> float:
    least = LINEAR_HERTZ / HERTZ_A_MEL
    return mel * HERTZ_A_MEL if mel < least else LINEAR_HERTZ * math.exp(LOG_STEP * (mel - least))


def _silent_to(mel: Tensor, count: int) -> Tensor:
    """Go on with the last of the mel frames (M, mels), which is silence, up to (count, mels)."""
    return torch.cat([mel, mel[-1:].expand(count - len(mel), -1)])
