"""Whisper's log mel energies of a recording, or of a part of it.

Frame t is of the 25 ms around sample 160 t, 10 t ms after the first.  N samples, M frames.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from aligner.features import triangles
from aligner.types import SAMPLE_RATE

WINDOW, HOP = 400, 160  # samples of a frame's window, and from one to the next
PAD = WINDOW // 2
POWER_FLOOR, DYNAMIC_RANGE = 1e-10, 8.0  # least power in a band; decades below the loudest that are kept
SHIFT, SCALE = 4.0, 4.0  # what brings log energies into the range that the network was trained with
LINEAR_HERTZ, HERTZ_A_MEL, LOG_STEP = 1000.0, 200.0 / 3.0, math.log(6.4) / 27.0  # Slaney's scale


def frame_count(samples: int) -> int:
    """Number of frames that `Encoder.frames` gives for a number of samples.

    Examples
    --------
    >>> frame_count(0), frame_count(159), frame_count(16000)
    (1, 1, 101)
    """
    return samples // HOP + 1


def log_mel(
    wave: Tensor, mels: int, first: int = 0, last: int | None = None, device: torch.device | None = None
) -> Tensor:
    """Log mel energies (last - first, mels), float32, of frames of a recording.

    They are Whisper's: mirrored at the beginning, silent behind the end, at most `DYNAMIC_RANGE` decades
    below the loudest of these frames.

    Parameters
    ----------
    wave : Tensor
        (N,): 16 kHz, full scale 1.
    mels : int
        Number of bands: 80, or 128 from large-v3 on.
    first, last : int
        The first frame and the one behind the last, which may lie behind the recording; by default all.
    device : torch.device, optional
        Where they are computed; that of the wave unless given.

    Raises
    ------
    ValueError
        If the wave is not (N,) of a floating type.
    """
    if not wave.is_floating_point() or wave.ndim != 1:
        raise ValueError(
            f"samples of type {wave.dtype} and shape {tuple(wave.shape)}, not (N,) of a floating type"
        )
    last, device = frame_count(len(wave)) if last is None else last, device or wave.device
    samples = _samples(wave, first * HOP - PAD, (last - 1) * HOP + PAD).to(device, torch.float32)
    spectrum = torch.fft.rfft(samples.unfold(0, WINDOW, HOP) * _hann(device))
    bands = spectrum.abs().square() @ _filters(mels, device)
    logs = bands.clamp_min(POWER_FLOOR).log10()
    scaled: Tensor = (logs.maximum(logs.max() - DYNAMIC_RANGE) + SHIFT) / SCALE
    return scaled


def followed_by_silence(mel: Tensor, count: int) -> Tensor:
    """Go on with silence behind frames (M, mels), up to (count, mels); it is as far down as they may be."""
    least = (math.log10(POWER_FLOOR) + SHIFT) / SCALE
    silence = (mel.max() - DYNAMIC_RANGE / SCALE).clamp_min(least)
    return torch.cat([mel, silence.expand(count - len(mel), mel.shape[1])])


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
    return torch.hann_window(WINDOW, dtype=torch.float32, device=device)


@lru_cache(maxsize=8)
def _filters(mels: int, device: torch.device) -> Tensor:
    """Slaney's mel filters (bins, mels), as librosa has them."""
    top = _mel(SAMPLE_RATE / 2)
    edges = [_hertz(k * top / (mels + 1)) for k in range(mels + 2)]
    filters = triangles(torch.tensor(edges, dtype=torch.float64), WINDOW, SAMPLE_RATE)
    return filters.to(device, torch.float32)


def _mel(hertz: float) -> float:
    """Slaney's scale: linear up to 1 kHz, logarithmic above."""
    least = LINEAR_HERTZ / HERTZ_A_MEL
    return hertz / HERTZ_A_MEL if hertz < LINEAR_HERTZ else least + math.log(hertz / LINEAR_HERTZ) / LOG_STEP


def _hertz(mel: float) -> float:
    least = LINEAR_HERTZ / HERTZ_A_MEL
    return mel * HERTZ_A_MEL if mel < least else LINEAR_HERTZ * math.exp(LOG_STEP * (mel - least))
