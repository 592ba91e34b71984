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
(`spans`): what fits into 6 s, a little silence with it, is heard at once; what is longer, in windows that
overlap by a second, each frame taken from the window in which it lies further from the edge.  Batches,
workers and the order of recordings change nothing but rounding.  Windows are short since positions are heard
in the outputs: a probe fitted to sentences alone (third block) told phones of others apart in 71.0 % of the
frames, of the same in one row in 70.8 % in windows of 6 s, but in 63.5 % in windows of 12 s and in 56.5 % of
30 s (``recipes/benchmark/encoder.py``).

**Precision.**  ``to(torch.bfloat16)`` takes 0.4 of the time on processors that have such products (AVX-512
BF16, AMX), and many times as long on others; 8-bit integers (`aligner.models.products`) take 0.4.  Neither
changed what the probe tells apart by more than 0.3 %.

B recordings or windows, N samples, M mel frames, T = (M + 1) // 2 frames of one run, D channels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aligner.models import encoder_files, published
from aligner.models.encoder_files import Shape
from aligner.models.log_mel import HOP, followed_by_silence, frame_count, log_mel
from aligner.models.published import PUBLISHED
from aligner.types import Clock

WINDOW_FRAMES = 600  # mel frames that are heard at once
OVERLAP_FRAMES = 100  # mel frames that are heard twice, half of them context for either side; divisible by 4
TAIL_FRAMES = 20  # mel frames of silence that are heard behind a recording, at least
REST = 24  # frames that stand for all further silence, up to the 30 s that Whisper always hears
REACH = 2  # mel frames on either side that both convolutions see together
BATCH_FRAMES = 24_000  # mel frames that go through the network at once on a GPU: forty windows


@dataclass(frozen=True)
class Span:
    """What is heard at once, and which of its frames are taken; all in mel frames of the recording."""

    first: int
    """The first frame that is heard."""
    last: int
    """The frame behind the last that is heard, silence behind the recording among them."""
    take: tuple[int, int]
    """The first frame that is taken from here, and the one behind the last."""


def spans(
    frames: int, longest: int = WINDOW_FRAMES, overlap: int = OVERLAP_FRAMES, tail: int = TAIL_FRAMES
) -> list[Span]:
    """The windows in which a recording of so many frames is heard.

    Parameters
    ----------
    frames : int
        Frames of the recording, at least 1.
    longest : int
        Frames that are heard at once at most; even.
    overlap : int
        Frames that two neighbouring windows share; even.
    tail : int
        Frames of silence behind the recording; one more where that makes an even number.

    Examples
    --------
    >>> spans(301)
    [Span(first=0, last=322, take=(0, 301))]
    >>> [(s.first, s.last, s.take) for s in spans(1200)]
    [(0, 600, (0, 550)), (500, 1100, (550, 1050)), (1000, 1220, (1050, 1200))]
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
        attended = _attended(query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2), bias)
        x = x + self.out(attended.transpose(1, 2).flatten(2))
        return x + self.fc2(F.gelu(self.fc1(self.ffn_norm(x))))  # type: ignore[no-any-return]


def _attended(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None) -> Tensor:
    """Attention of each head, (B, heads, T, D / heads) each."""
    if query.dtype == torch.bfloat16 and query.device.type == "cpu":  # torch's own takes twice as long there
        scores = (query / query.shape[-1] ** 0.5) @ key.transpose(-1, -2)
        found: Tensor = (scores if bias is None else scores + bias).softmax(-1) @ value
        return found
    return F.scaled_dot_product_attention(query, key, value, bias)


class Encoder(nn.Module):
    """Whisper's encoder, whole or cut after a block.

    Attributes
    ----------
    shape : Shape
        Its size.
    clock : Clock
        Frame t of `frames` stands for sample 160 t.
    window : int
        Mel frames that are heard at once, an even number; a network that is trained on what is heard must
        keep it.

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
        self.shape, self.window = shape, min(WINDOW_FRAMES, 2 * shape.positions)
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
    def overlap(self) -> int:
        """Mel frames that it hears twice, where windows meet."""
        return min(OVERLAP_FRAMES, self.window // 8 * 4)

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
            If there is no such block, or more frames than it has positions for: 30 s.
        """
        wanted = self._checked(layers)
        if not 0 < mel.shape[1] <= 2 * self.shape.positions:
            raise ValueError(f"{mel.shape[1]} mel frames at once, not from 1 to {2 * self.shape.positions}")
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

    def hear(
        self, mels: Sequence[Tensor], layers: Sequence[int] | None = None, *, step: int = 1
    ) -> list[Tensor]:
        """Outputs of blocks, side by side, each 10 ms.

        Windows that are shorter than `window` are followed by silence, for the recording ends in them.

        Parameters
        ----------
        mels : sequence of Tensor
            (M, mels) each, M even.
        layers : sequence of int, optional
            As in `forward`.
        step : int
            1, or 2 for every other frame (20 ms), which takes half the time.

        Returns
        -------
        list of Tensor
            (M / step, len(layers) * D), float32, for each window.

        Raises
        ------
        ValueError
            If M is odd or more than there are positions for, or there is no such block or step.
        """
        wanted, most, lengths = self._checked(layers), 2 * self.shape.positions, [len(mel) for mel in mels]
        if wrong := [n for n in lengths if n % 2 or not 0 < n <= most]:
            raise ValueError(f"a window of {wrong[0]} mel frames, not of an even number up to {most}")
        if step not in (1, 2):
            raise ValueError(f"a step of {step}, not of 1 or 2")
        x = self._stem(torch.stack([followed_by_silence(mel, max(lengths) + 2 * REACH) for mel in mels]))
        silence, x = x[:, -1 - REACH, None], x[:, : max(lengths)]
        batch, frames, width = x.shape
        # (B, T, D) of even frames, and of odd ones
        runs = x.reshape(batch, -1, 2, width)[:, :, : 2 // step].transpose(1, 2).flatten(0, 1)
        own = [n // 2 for n in lengths for _ in range(2 // step)]
        found = self._beside_silence(runs, silence.repeat_interleave(2 // step, 0), own, wanted)
        both = found.view(batch, 2 // step, frames // 2, -1).transpose(1, 2).flatten(1, 2).float()
        return [one[: n // step] for one, n in zip(both, lengths, strict=True)]

    def _beside_silence(
        self, runs: Tensor, silence: Tensor, own: list[int], layers: tuple[int, ...]
    ) -> Tensor:
        """Go through the blocks with runs (B, T, D), each of so many frames of its own, and with frames of
        ``silence`` (B, 1, D) that stand for all that would follow up to 30 s where a recording ends.
        """
        whole, full = self.shape.positions, self.window // 2
        if min(own) >= full:  # the recording goes on
            return torch.cat(self._through_blocks(runs + self.positions[: runs.shape[1]], None, layers), -1)
        lengths = torch.tensor(own, device=runs.device)[:, None]
        each = (whole - lengths).masked_fill(lengths >= full, 0) / REST  # frames that one stands for
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
        self,
        waves: Sequence[Tensor],
        layers: Sequence[int] | None = None,
        *,
        step: int = 1,
        batch: int | None = None,
    ) -> list[Tensor]:
        """What the encoder hears in recordings, each 10 ms.

        Parameters
        ----------
        waves : sequence of Tensor
            (N,) each: 16 kHz, full scale 1.
        layers : sequence of int, optional
            As in `forward`.
        step : int
            1, or 2 for every other of these frames (20 ms), which takes half the time.
        batch : int, optional
            Mel frames that go through the network at once, but for single windows that have more; by default
            those of one window on the CPU, where more are no quicker, and of forty elsewhere.

        Returns
        -------
        list of Tensor
            (N // (160 * step) + 1, len(layers) * D), float32, for each recording, on the encoder's device.
            Frame t stands for sample 160 * step * t.

        Notes
        -----
        An hour takes 1.7 GB where three layers of 384 channels are asked for; `pieces` gives it bit by bit.
        """
        parts: list[list[Tensor]] = [[] for _ in waves]
        for k, piece in self._pieces(waves, layers, step, batch):
            parts[k].append(piece)
        return [torch.cat(part) for part in parts]

    @torch.no_grad()
    def pieces(self, wave: Tensor, layers: Sequence[int] | None = None, *, step: int = 1) -> Iterator[Tensor]:
        """The same frames of one recording, window after window: memory does not grow with its length."""
        for _, piece in self._pieces([wave], layers, step, None):
            yield piece

    def _pieces(
        self, waves: Sequence[Tensor], layers: Sequence[int] | None, step: int, batch: int | None
    ) -> Iterator[tuple[int, Tensor]]:
        """Number of a recording and the next of its frames, window after window."""
        todo = [
            (k, span)
            for k, wave in enumerate(waves)
            for span in spans(frame_count(len(wave)), self.window, self.overlap)
        ]
        for part in _batches(todo, self._most if batch is None else batch):
            mels = [
                log_mel(waves[k], self.shape.mels, span.first, span.last, self.positions.device)
                for k, span in part
            ]
            for (k, span), piece in zip(part, self.hear(mels, layers, step=step), strict=True):
                begin, end = (t - span.first for t in span.take)  # even, but for the end of a recording
                yield k, piece[begin // step : -(-end // step)]

    @property
    def _most(self) -> int:
        return 1 if self.positions.device.type == "cpu" else BATCH_FRAMES


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
