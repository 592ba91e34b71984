"""The phoneme recogniser inside the ``hama`` package, as a torch module: batches, threads and CUDA.

It is a Conformer (Gulati et al., "Conformer: Convolution-augmented Transformer for Speech Recognition",
Interspeech 2020) trained with CTC (Graves et al., ICML 2006) on English and Korean.  The package's own engine
hears one utterance at a time and no more than its first 30 s; this one reads the same weights and gives the
same log-probabilities.

The waveform, mirrored by 200 samples at both ends, goes through an STFT of 400 samples every 160 and 80 mel
bands to logarithms; a convolution halves the frame rate; four blocks follow, each a feed-forward of weight
1/2, self-attention of 4 heads, a convolution over 31 frames, another feed-forward of weight 1/2 and a layer
norm.  There is no positional encoding and no normalisation of the level: quiet speech is another input than
loud speech.

B utterances, N samples, F STFT frames (N // 160 + 1), T frames (N // 320 + 1), 191 labels.
"""

from __future__ import annotations

import importlib.util
import json
import math
import re
import struct
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aligner.models.convolution import Convolution, DepthwiseConvolution
from aligner.types import Clock, ModelError

WIDTH, HEADS, BLOCKS, INNER, KERNEL = 144, 4, 4, 576, 31
MELS, BINS, LABELS = 80, 201, 191
WINDOW, HOP, STRIDE = 400, 160, 2  # samples, samples, STFT frames
PAD = WINDOW // 2
POWER_FLOOR = 1e-10  # least power in a mel band
SQRT2 = 1.4140625  # as half precision has it: the network was exported from there
EXTRA_LABELS = ("<wb>", "<blank>")  # labels after those of the package's vocabulary

MAGIC = b"HAMAPK\x01\x02"
ALIGNMENT = 16  # bytes; where the numbers begin after the table of names
STORED: dict[int, np.dtype[Any]] = {0: np.dtype("<f4"), 1: np.dtype("<f2")}
# ONNX numbers what it folded or transposed: convolutions of the stem and the first block, its products, and
# the steps from block to block.
STEM, DEPTHWISE, DEPTHWISE_STEP, PRODUCT, PRODUCT_STEP = 801, 804, 3, 829, 9
KERNELS = ("stft_real_kernel", "stft_imag_kernel")
PRODUCTS = {"ffn1.fc1": 0, "ffn1.fc2": 1, "attn.in_proj": 2, "attn.out_proj": 6, "ffn2.fc1": 7, "ffn2.fc2": 8}
REMEDY = "pip install --force-reinstall 'hama>=1.7,<2'"


class FeedForward(nn.Module):
    """The feed-forward layers at the beginning and the end of a block."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.fc1, self.fc2 = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, INNER), nn.Linear(INNER, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        """Map frames (B, T, 144) to frames (B, T, 144)."""
        return self.fc2(F.silu(self.fc1(self.norm(x))))  # type: ignore[no-any-return]


class Attention(nn.Module):
    """Self-attention of 4 heads, without positional encoding."""

    def __init__(self) -> None:
        super().__init__()
        self.in_proj, self.out_proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor, inside: Tensor | None) -> Tensor:
        """Map frames (B, T, 144) to the same shape, attending only to frames ``inside`` (B, T)."""
        query, key, value = self.in_proj(x).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        mask = None if inside is None else inside[:, None, None, :]
        attended = F.scaled_dot_product_attention(query, key, value, mask)
        return self.out_proj(attended.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


class OverTime(nn.Module):
    """The convolution of a block; batch norm is folded into its depthwise part."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH)
        self.pointwise1, self.pointwise2 = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.depthwise = DepthwiseConvolution(WIDTH, KERNEL)

    def forward(self, x: Tensor, inside: Tensor | None) -> Tensor:
        """Map frames (B, T, 144) to the same shape, with zeros around the frames ``inside`` (B, T)."""
        gated = _blank(F.glu(self.pointwise1(self.norm(x))), inside)
        return self.pointwise2(F.silu(self.depthwise(gated)))  # type: ignore[no-any-return]


class Block(nn.Module):
    """A Conformer block: feed-forward, attention, convolution, feed-forward and a layer norm."""

    def __init__(self) -> None:
        super().__init__()
        self.ffn1, self.ffn2 = FeedForward(), FeedForward()
        self.attn_norm, self.attn = nn.LayerNorm(WIDTH), Attention()
        self.conv, self.norm = OverTime(), nn.LayerNorm(WIDTH)

    def forward(self, x: Tensor, inside: Tensor | None) -> Tensor:
        """Map frames (B, T, 144) to frames (B, T, 144)."""
        x = x + self.ffn1(x) / 2
        x = x + self.attn(self.attn_norm(x), inside)
        x = x + self.conv(x, inside)
        return self.norm(x + self.ffn2(x) / 2)  # type: ignore[no-any-return]


class HamaNetwork(nn.Module):
    """Log-probabilities of phonemes from a waveform.

    Attributes
    ----------
    labels : tuple of str
        191 of them: special tokens, IPA, ``<wb>`` between words, ``<blank>``.
    blank : int
        The index of ``<blank>``.
    boundary : str
        The label between words.
    clock : Clock
        Frame t stands for sample 320 t: the mirrored ends put the middle of the first window on the first
        sample. Hence no ``window``; the boundary before frame t lies at sample 320 t - 160.

    Examples
    --------
    >>> network = HamaNetwork.load()
    >>> network(torch.zeros(16000)).shape
    torch.Size([51, 191])
    >>> network.clock.boundary(50)
    0.99
    """

    clock = Clock(hop=HOP * STRIDE, window=0)
    boundary = "<wb>"
    stft: Tensor
    mel: Tensor

    def __init__(self, labels: tuple[str, ...]) -> None:
        super().__init__()
        self.labels, self.blank = labels, labels.index("<blank>")
        self.register_buffer("stft", torch.empty(2 * BINS, WINDOW))
        self.register_buffer("mel", torch.empty(BINS, MELS))
        self.stem = Convolution(MELS, WIDTH, 3, stride=STRIDE, padding=1)
        self.blocks = nn.ModuleList(Block() for _ in range(BLOCKS))
        self.proj = nn.Linear(WIDTH, LABELS)

    @classmethod
    def load(cls, path: Path | None = None) -> Self:
        """Read the weights; the file is read once in a process, and every call gives a module of its own.

        Parameters
        ----------
        path : Path, optional
            A file of the same layout; by default the one inside the ``hama`` package.

        Returns
        -------
        HamaNetwork
            A module on the CPU, in evaluation mode, its parameters frozen.

        Raises
        ------
        ModelError
            If the package or its file is missing, damaged or of another layout.
        """
        assets = assets_folder()
        path = path or assets / "asr_waveform.hama"
        with torch.device("meta"):  # neither memory nor random numbers are spent on what is replaced at once
            network = cls(_labels(assets / "g2p_vocab.json"))
        network.load_state_dict(_arrange(path, network.state_dict()), assign=True)
        return network.eval().requires_grad_(False)

    @staticmethod
    def frames(samples: int) -> int:
        """Number of frames that a number of samples gives."""
        return samples // (HOP * STRIDE) + 1

    @torch.no_grad()  # not inference_mode: its tensors cannot enter a search that takes gradients
    def forward(self, wave: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Log-probabilities of the labels.

        Parameters
        ----------
        wave : Tensor
            (N,) or (B, N): 16 kHz, full scale 1, as loud as it was recorded.
        lengths : Tensor, optional
            (B,): samples of each utterance; what lies beyond is ignored.

        Returns
        -------
        Tensor
            (T, 191) or (B, T, 191), float32; 0 in the frames beyond `frames` of an utterance's length.

        Raises
        ------
        ValueError
            If an utterance has 200 samples or fewer, which cannot be mirrored, or ``lengths`` does not fit.
        """
        if wave.ndim == 1 and lengths is None:
            return self(wave[None])[0]  # type: ignore[no-any-return]
        outputs, inside = self._outputs(wave, lengths)
        return _blank(self.proj(outputs[-1]).log_softmax(-1), inside)

    @torch.no_grad()
    def hidden(self, wave: Tensor, blocks: Sequence[int]) -> Tensor:
        """What some blocks make of a wave, side by side.

        Parameters
        ----------
        wave : Tensor
            (N,): 16 kHz, full scale 1; more than 200 samples.
        blocks : sequence of int
            Numbers of blocks, from 1.

        Returns
        -------
        Tensor
            (T, 144 * len(blocks)), float32; each frame stands for the sample that those of `forward` do.

        Examples
        --------
        >>> HamaNetwork.load().hidden(torch.zeros(16000), (2, 3)).shape
        torch.Size([51, 288])
        """
        outputs = self._blocks(self._stem(self._smooth_log_mel(wave)[None]), None)
        return torch.cat([outputs[k - 1][0] for k in blocks], -1)

    def _outputs(self, wave: Tensor, lengths: Tensor | None) -> tuple[list[Tensor], Tensor | None]:
        """Outputs (B, T, 144) of all blocks for waves (B, N), and which frames are inside (B, T)."""
        spans = [wave.shape[-1]] * len(wave) if lengths is None else lengths.flatten().tolist()
        _check(wave, spans)
        ends = torch.tensor(spans, device=wave.device)
        logmel = self.log_mel(_mirror(wave, ends))
        # without padding there is nothing to mask, and attention is quicker
        padded = min(spans) < wave.shape[1]
        inside_stft = _inside(ends, HOP, logmel.shape[1]) if padded else None
        x = self._stem(_blank(logmel, inside_stft))
        inside = _inside(ends, HOP * STRIDE, x.shape[1]) if padded else None
        return self._blocks(x, inside), inside

    def _stem(self, logmel: Tensor) -> Tensor:
        """Frames (B, T, 144) of log mel energies (B, F, 80)."""
        x: Tensor = self.stem(logmel)
        return x * (1 + torch.erf(x / SQRT2)) / 2  # GELU

    def _blocks(self, x: Tensor, inside: Tensor | None) -> list[Tensor]:
        """Outputs (B, T, 144) of all blocks for frames (B, T, 144)."""
        outputs = []
        for block in self.blocks:
            x = block(x, inside)
            outputs.append(x)
        return outputs

    def log_mel(self, wave: Tensor) -> Tensor:
        """Log mel energies (B, F, 80) of mirrored waves (B, N + 400).

        In double precision, since the network expects logarithms rounded to half precision: a last digit that
        depends on the order of a sum would sometimes tip that rounding, and a batch would differ from its
        single utterances.
        """
        spectrum = wave.to(self.stft.dtype).unfold(-1, WINDOW, HOP) @ self.stft.T
        power = spectrum[..., :BINS].square() + spectrum[..., BINS:].square()
        return (power @ self.mel).clamp_min(POWER_FLOOR).log().half().float()

    def _smooth_log_mel(self, wave: Tensor) -> Tensor:
        """Log mel energies (F, 80) of a wave (N,) in a tenth of the time, and not rounded.

        The kernels are those of a Fourier transform of a Hann window, but for the rounding to half precision.
        """
        mirrored = _mirror(wave[None], torch.tensor([len(wave)], device=wave.device))[0]
        window = torch.hann_window(WINDOW, device=wave.device)
        spectrum = torch.fft.rfft(mirrored.unfold(-1, WINDOW, HOP) * window)
        power = spectrum.real.square() + spectrum.imag.square()
        energies: Tensor = (power @ self.mel.to(power)).clamp_min(POWER_FLOOR)
        return energies.log()


def _check(wave: Tensor, spans: list[int]) -> None:
    if not wave.is_floating_point():
        raise ValueError(f"samples of type {wave.dtype}, not of a floating type with full scale 1")
    if wave.ndim != 2 or not len(spans) == len(wave) > 0:
        raise ValueError(
            f"{len(spans)} lengths for waves of shape {tuple(wave.shape)}, not one for each wave of (B, N)"
        )
    if wrong := [n for n in spans if not PAD < n <= wave.shape[1]]:
        raise ValueError(
            f"an utterance of {wrong[0]} samples; from {PAD + 1} to {wave.shape[1]} can be heard here"
        )


def _mirror(wave: Tensor, lengths: Tensor) -> Tensor:
    """Pad waves (B, N) to (B, N + 400) by mirroring each utterance at its own ends."""
    last = lengths[:, None] - 1
    index = torch.arange(-PAD, wave.shape[1] + PAD, device=wave.device).abs()
    return wave.gather(1, (last - (last - index).abs()).clamp_min(0))


def _inside(lengths: Tensor, hop: int, count: int) -> Tensor:
    """Mask (B, count) of the frames that are an utterance's own."""
    return torch.arange(count, device=lengths.device) <= lengths[:, None] // hop


def _blank(x: Tensor, inside: Tensor | None) -> Tensor:
    return x if inside is None else x.masked_fill(~inside[..., None], 0)


def assets_folder() -> Path:
    """Find the package's files without importing it, which would load its engine."""
    spec = importlib.util.find_spec("hama")
    if spec is None or not spec.submodule_search_locations:
        raise ModelError("hama", "the package that holds the phoneme recogniser is not installed", REMEDY)
    return Path(spec.submodule_search_locations[0]) / "assets"


def _labels(path: Path) -> tuple[str, ...]:
    try:
        labels = (*json.loads(path.read_text(encoding="utf-8"))["decoder"], *EXTRA_LABELS)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(path, f"not a vocabulary with a list named decoder ({error})", REMEDY) from error
    if len(labels) != LABELS:
        raise ModelError(path, f"{len(labels)} labels where the network has {LABELS}", REMEDY)
    return labels


def _arrange(path: Path, expected: dict[str, Tensor]) -> dict[str, Tensor]:
    """Bring the file's tensors under the names and into the shapes of ``expected``."""
    stored, single = _read(path), [key for key in expected if key != "stft"]
    if odd := sorted(stored.keys() ^ {*KERNELS, *map(_stored_name, single)}):
        fault = "is unknown" if odd[0] in stored else "is missing"
        raise ModelError(path, f"another layout: {odd[0]} {fault}", REMEDY)
    arranged = {key: _oriented(key, stored[_stored_name(key)]) for key in single}
    arranged["stft"] = torch.cat([stored[name].flatten(1) for name in KERNELS])
    for key, tensor in arranged.items():
        if tensor.shape != expected[key].shape:
            raise ModelError(
                path, f"{key} of shape {tuple(tensor.shape)} for {tuple(expected[key].shape)}", REMEDY
            )
    return arranged | {key: arranged[key].double() for key in ("stft", "mel")}


def _stored_name(key: str) -> str:
    """Name of a parameter in the file; ONNX numbers what it folded or transposed."""
    if key == "mel":
        return "mel_fb"
    part, kind = key.rsplit(".", 1)
    if part == "stem":
        return f"onnx::Conv_{STEM + (kind == 'bias')}"
    if found := re.fullmatch(r"blocks\.(\d)\.conv\.depthwise", part):
        return f"onnx::Conv_{DEPTHWISE + DEPTHWISE_STEP * int(found[1]) + (kind == 'bias')}"
    found = re.fullmatch(r"blocks\.(\d)\.(.+)", part)
    if found and found[2] in PRODUCTS and kind == "weight":
        return f"onnx::MatMul_{PRODUCT + PRODUCT_STEP * int(found[1]) + PRODUCTS[found[2]]}"
    return f"acoustic_model.model.{key.replace('in_proj.', 'in_proj_')}"


def _oriented(key: str, tensor: Tensor) -> Tensor:
    """Turn a tensor as torch's layers hold it: products are stored (in, out), convolutions (out, in, 1)."""
    if _stored_name(key).startswith("onnx::MatMul"):
        return tensor.T.contiguous()
    return tensor[..., 0] if re.search(r"(pointwise\d|proj)\.weight$", key) and tensor.ndim == 3 else tensor


@cache
def _read(path: Path) -> dict[str, Tensor]:
    """Read a ``.hama`` file: magic, a table of names, types, shapes, offsets and sizes, then the numbers."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ModelError(path, f"the weights cannot be read ({error.strerror})", REMEDY) from error
    if not raw.startswith(MAGIC):
        raise ModelError(path, f"it begins with {raw[:8]!r}, not with {MAGIC!r}", REMEDY)
    try:
        tensors = _tensors(raw)
    except (struct.error, ValueError, KeyError, IndexError) as error:
        raise ModelError(
            path, f"its table of tensors is broken or it ends too early ({error})", REMEDY
        ) from error
    if bad := [name for name, tensor in tensors.items() if not tensor.isfinite().all()]:
        raise ModelError(path, f"{bad[0]} holds numbers that are not finite", REMEDY)
    return tensors


def _tensors(raw: bytes) -> dict[str, Tensor]:
    (count,), at = struct.unpack_from("<I", raw, len(MAGIC)), len(MAGIC) + 4
    table = []
    for _ in range(count):
        (size,) = struct.unpack_from("<H", raw, at)
        name, at = raw[at + 2 : at + 2 + size].decode(), at + 2 + size
        kind, rank = struct.unpack_from("<BB", raw, at)
        *shape, offset, _ = struct.unpack_from(f"<{rank}IQQ", raw, at + 2)
        table.append((name, kind, shape, offset))
        at += 2 + 4 * rank + 16
    start = math.ceil(at / ALIGNMENT) * ALIGNMENT
    return {name: _tensor(raw, STORED[kind], shape, start + offset) for name, kind, shape, offset in table}


def _tensor(raw: bytes, kind: np.dtype[Any], shape: list[int], offset: int) -> Tensor:
    numbers = np.frombuffer(raw, kind, math.prod(shape), offset)
    return torch.from_numpy(numbers.reshape(shape).astype(np.float32))
