"""Acoustic features: windows, mel cepstra, mean normalisation, differences.

Small pure functions, and `SphinxFrontend`, which strings them together as CMU Sphinx does.
All work on torch tensors of any floating type and device.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from aligner.types import SAMPLE_RATE, Clock, ModelError

INT16_SCALE = 32768.0  # Sphinx works on 16-bit amplitudes; its log floor is relative to them
BLOCK_FRAMES = 4096  # frames that are transformed at once
MEANS_SCALE = 5.0  # of these means: the first cepstrum for each nat of log energy
# mean cepstra of speech in general, all further ones 0; Sphinx begins with the same (-cmninit)
SPEECH_MEAN = (40.0, 3.0, -1.0)
# frames that SPEECH_MEAN counts for; with 100, speech that is 26 dB fainter is aligned 0.8 ms worse
SPEECH_MEAN_FRAMES = 20
# effective number of frames in a running mean; with all of them, half a minute of silence spoils it
RUNNING_MEAN_FRAMES = 100
EDGE_REACH = 0.15  # s before the first sound and behind the last that count: about what people leave there
EDGE_SHARE = 0.05  # the same as a share of the time between them, where that is more
INNER_REACH = 0.5  # s on either side of a sound that count between them
LOUD_SECONDS = 0.3  # s of the loudest frames, and of the quietest, that the span of levels is taken from
DEAD_LEVEL = -15.0  # nats of log energy that no sound has: the floor of a stream is -23
FAINT = 11.0  # nats below the loudest level, from which on all is a pause, whatever it sounds like
FRAMES_AHEAD = 30  # that the first frames wait for
SOUND_REACH = 30  # frames behind what is loud that are sound, too
FRAMES_LEVELLED = 7  # whose median is a level: a click changes at most three
CLICK = 1.5  # nats above the loudest level, from which on a frame is that of a click
LEVEL_FORGOTTEN = 0.002  # nats a frame by which the loudest and the softest level come nearer to others
LEAST_SOUNDS = 10  # frames that tell how speech sounds
NOISY_RANGE = (
    7.0  # nats between the levels of speech in noise, at most; then its level is that of the loudest
)
LEAST_RANGE = 2.0  # nats between levels from which on they are not those of one room (0.4 are usual)
LOUD_ROOM = 7.0  # nats of log energy from which on it is no noise of a room but speech in noise
LOUDEST_ABOVE_MEAN = 4.7  # nats between the loudest level of speech and its mean
SOFTER_FRAMES = 200  # without sound, after which what was loud may not be so any more
SOFTER_RANGE = 3.0  # nats between levels then that are those of softer speech
# mean cepstra of pauses, less those of speech, in TIMIT; all further ones 0
PAUSE_MEAN = (-25.3, -10.9, 0.6, -8.3, 5.6, 2.9, 7.1, 4.1, 4.2, 1.1, -1.3)
LIVE_FLOOR = 1e-10  # the same of a stream
LOG_FLOOR = 1e-4  # added to every filter's energy before the logarithm, as Sphinx does


def preemphasise(wave: Tensor, alpha: float) -> Tensor:
    """Pre-emphasis x[n] - alpha * x[n-1], with x[-1] = 0; shape (N,) -> (N,)."""
    return wave - alpha * torch.nn.functional.pad(wave[:-1], (1, 0))


def frame_count(samples: int, window: int, hop: int) -> int:
    """Number of frames that `windows` cuts from ``samples`` samples: all whole ones and one padded at the
    end.
    """
    if samples <= 0:
        return 0
    return 1 + max(0, -(-(samples - window) // hop))


def windows(wave: Tensor, window: int, hop: int) -> Tensor:
    """Cut a wave (N,) into overlapping windows (T, window); the last is padded with zeros."""
    count = frame_count(len(wave), window, hop)
    padded = torch.nn.functional.pad(wave, (0, (count - 1) * hop + window - len(wave)))
    return padded.unfold(0, window, hop)


def levels(wave: Tensor, clock: Clock, frames: int) -> Tensor:
    """Mean square (T,) of the middle hop of each of ``frames`` windows of a wave (N,), without its offset."""
    begin = (clock.window - clock.hop) // 2  # below 0 where the first window begins before the recording
    middle = (wave - wave.mean())[max(begin, 0) : begin + frames * clock.hop]
    before = max(-begin, 0)
    padded = torch.nn.functional.pad(middle, (before, frames * clock.hop - len(middle) - before))
    return padded.view(frames, clock.hop).square().mean(1)


def sounding(level: Tensor, rate: float, edge: float = EDGE_REACH) -> Tensor:
    """Whether each frame is among or beside those that are sound, (T,) bool, by its level in any logarithm.

    Whatever a recording is normalised by is taken over these: so it does not matter how long nobody speaks.
    What is sound lies in the upper half between the levels of the quietest and the loudest frames; pauses
    between such count, too, but for the middle of long ones.

    Parameters
    ----------
    level : Tensor
        (T,)
    rate : float
        Frames a second.
    edge : float
        Seconds before the first sound and behind the last that count with it.

    Examples
    --------
    >>> sounding(torch.tensor([0.0] * 9 + [9.0, 8.0] + [0.0] * 9), 10).nonzero().ravel().tolist()
    [7, 8, 9, 10, 11, 12]
    """
    exact = torch.promote_types(level.dtype, torch.float32)  # numpy has no bfloat16
    return torch.from_numpy(sounding_levels(level.detach().to(exact).cpu().numpy(), rate, edge)).to(
        level.device
    )


def sounding_levels(values: np.ndarray, rate: float, edge: float = EDGE_REACH) -> np.ndarray:
    """Whether each frame is among or beside those that are sound, (T,), by levels (T,): see `sounding`.

    On numbers this few torch would take four times as long.
    """
    if not len(values):
        return np.zeros(0, bool)
    count = max(1, min(round(LOUD_SECONDS * rate), len(values) // 10))
    ordered = np.partition(values, (count - 1, len(values) - count))
    loud = values >= (ordered[count - 1] + ordered[len(values) - count]) / 2
    inner, outer = round(INNER_REACH * rate), np.flatnonzero(loud)[[0, -1]]
    reach = round(max(edge * rate, EDGE_SHARE * int(outer[1] - outer[0])))
    until = np.zeros(len(loud) + 2 * inner + 1, np.int64)
    np.cumsum(loud, out=until[inner + 1 : inner + 1 + len(loud)])
    until[inner + 1 + len(loud) :] = until[inner + len(loud)]
    near: np.ndarray = until[2 * inner + 1 :] > until[: len(loud)]  # one is loud among those within reach
    near[: max(int(outer[0]) - reach, 0)] = False
    near[int(outer[1]) + reach + 1 :] = False
    return near


def without_trends(frames: Tensor) -> Tensor:
    """Frames (T, window) without their means and slopes: what drifts slowly is no sound."""
    slope = torch.linspace(-1, 1, frames.shape[1], dtype=frames.dtype, device=frames.device)
    slope = slope / slope.square().sum().sqrt()
    frames = frames - frames.mean(1, keepdim=True)
    return frames - (frames @ slope)[:, None] * slope


def power_spectrum(frames: Tensor, nfft: int) -> Tensor:
    """Power spectrum of frames under a Hamming window, (T, window) -> (T, nfft // 2 + 1)."""
    window = _hamming(frames.shape[1], frames.dtype, frames.device)
    padded = torch.nn.functional.pad(frames * window, (0, nfft - frames.shape[1]))
    spectrum = torch.fft.rfft(padded)  # which pads in a slower way itself
    power: Tensor = spectrum.real.square() + spectrum.imag.square()
    return power


@lru_cache(maxsize=8)
def _hamming(size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.hamming_window(size, periodic=False, dtype=dtype, device=device)


def mel(hertz: float) -> float:
    """Convert a frequency in Hz to O'Shaughnessy's mel scale."""
    return 2595.0 * math.log10(1.0 + hertz / 700.0)


def mel_filters(count: int, low: float, high: float, nfft: int, rate: int, rounded: bool = True) -> Tensor:
    """Triangular filters of unit area, evenly spaced in mel, shape (nfft // 2 + 1, count), float64.

    ``low`` and ``high`` in Hz; ``rounded`` moves every edge to the nearest bin of the transform.
    """
    edges = mel_edges(count, low, high)
    if rounded:
        edges = torch.floor(edges / (rate / nfft) + 0.5) * (rate / nfft)
    return triangles(edges, nfft, rate)


def mel_edges(count: int, low: float, high: float) -> Tensor:
    """Edges in Hz (count + 2,), float64, of ``count`` filters that overlap by half, evenly spaced in mel."""
    step = (mel(high) - mel(low)) / (count + 1)
    return torch.tensor(
        [700.0 * (10 ** ((mel(low) + i * step) / 2595.0) - 1.0) for i in range(count + 2)],
        dtype=torch.float64,
    )


def triangles(edges: Tensor, nfft: int, rate: int) -> Tensor:
    """Triangular filters of unit area (nfft // 2 + 1, count), float64, between ``edges`` (count + 2,) in
    Hz.
    """
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    hertz = (torch.arange(nfft // 2 + 1, dtype=torch.float64) * (rate / nfft))[:, None]
    rise, fall = (hertz - left) / (centre - left), (right - hertz) / (right - centre)
    filters = torch.minimum(rise, fall).clamp(min=0) * 2.0 / (right - left)
    filters[-1] = 0.0  # Sphinx leaves out the bin at half the sample rate
    return filters


def cosine_transform(size_in: int, size_out: int, kind: str) -> Tensor:
    """Matrix (size_in, size_out), float64, that turns log filter energies into cepstra.

    ``kind``: 'dct' orthonormal DCT-II; 'htk' the same with an unscaled first row;
    'legacy' Sphinx-2's, divided by the number of filters and with half the first filter.
    """
    i = torch.arange(size_out, dtype=torch.float64)
    j = torch.arange(size_in, dtype=torch.float64)[:, None]
    basis = torch.cos(math.pi / size_in * i * (j + 0.5))
    if kind == "legacy":
        weight = torch.where(j == 0, 0.5, 1.0)
        return basis * weight / size_in
    basis *= math.sqrt(2.0 / size_in)
    if kind == "dct":
        basis[:, 0] *= math.sqrt(0.5)
    return basis


def lifter(size: int, order: int) -> Tensor:
    """Liftering weights 1 + order/2 * sin(pi * i / order) that even out the cepstra, shape (size,),
    float64.
    """
    i = torch.arange(size, dtype=torch.float64)
    return 1.0 + order / 2.0 * torch.sin(math.pi * i / order) if order else torch.ones_like(i)


def shifted(cepstra: Tensor, by: int, lengths: Tensor | None = None) -> Tensor:
    """Shift rows: row t of the result is row t + by, the first and last rows repeated beyond the ends.

    With ``lengths`` (B,) the rows are those of several recordings, one behind the other, each with its own
    ends.
    """
    index = torch.arange(len(cepstra), device=cepstra.device) + by
    if lengths is None:
        return cepstra[index.clamp(0, len(cepstra) - 1)]
    last = torch.cumsum(lengths, 0).to(cepstra.device) - 1
    first = torch.repeat_interleave(last + 1 - lengths.to(cepstra.device), lengths.to(cepstra.device))
    return cepstra[
        torch.minimum(torch.maximum(index, first), torch.repeat_interleave(last, lengths.to(cepstra.device)))
    ]


def difference(cepstra: Tensor, reach: int = 2) -> Tensor:
    """Difference c[t + reach] - c[t - reach] of each row."""
    return shifted(cepstra, reach) - shifted(cepstra, -reach)


def second_difference(cepstra: Tensor) -> Tensor:
    """Second difference (c[t+3] - c[t-1]) - (c[t+1] - c[t-3]) of each row."""
    return shifted(cepstra, 3) - shifted(cepstra, -1) - shifted(cepstra, 1) + shifted(cepstra, -3)


class RunningMean:
    """What cepstra are normalised by while a recording comes in: the mean of what was sound so far.

    Levels tell what is sound: the loud half between the softest and the loudest frames, and what follows
    within `SOUND_REACH`.  Before anything stands out, all is the noise of a room, which is lifted or lowered
    to where pauses lie, unless it is as loud as speech is.  The mean begins with that of speech in general,
    below the loudest that was heard (and in noise, where levels differ little, its level stays so); it counts
    as `SPEECH_MEAN_FRAMES` frames, and slowly is forgotten (`RUNNING_MEAN_FRAMES`).  The first frames wait
    for at most `FRAMES_AHEAD` others, until so many were sound.  Dead sound, such as digital silence, is
    passed over, and lies where pauses do.

    Parameters
    ----------
    size : int
        The number of cepstra.
    scale : float
        What the first cepstrum grows by where all log energies grow by 1.

    Examples
    --------
    >>> mean = RunningMean(2)
    >>> speech = torch.tensor([[14.0, 5.0], [4.0, 1.0]]).repeat(100, 1)
    >>> rows = torch.cat([mean.advance(speech[:3]), mean.advance(speech[3:]), mean.finish()])
    >>> len(rows), rows[-2:].round().tolist()
    (200, [[5.0, 2.0], [-5.0, -2.0]])
    """

    def __init__(self, size: int, scale: float = 1.0) -> None:
        self.scale, self.pause, self.speech = scale, np.zeros(size), np.zeros(size)
        self.pause[: len(PAUSE_MEAN)] = scale / MEANS_SCALE * np.array(PAUSE_MEAN[:size])
        self.speech[: len(SPEECH_MEAN)] = scale / MEANS_SCALE * np.array(SPEECH_MEAN[:size])
        self._waiting: list[np.ndarray] = []  # cepstra of frames that are not yet normalised
        self._recent: deque[float] = deque(maxlen=FRAMES_LEVELLED)  # levels of frames
        self._levels: deque[float] = deque(maxlen=SOFTER_FRAMES)  # their medians
        self._loudest, self._softest = -math.inf, math.inf
        self._room, self._in_room = self.speech.copy(), 0  # the mean of all frames until one stands out
        self._begin()

    def _begin(self) -> None:
        """Forget the mean: what was taken for sound was none."""
        self._sum, self._prior = np.zeros(len(self.speech)), 1.0
        self._sounds, self._since = 0, SOUND_REACH

    def advance(self, cepstra: Tensor) -> Tensor:
        """Take in cepstra (n, size), and return those (m, size), normalised, of which enough is known."""
        found = []
        for row in cepstra.detach().double().cpu().numpy():
            self._hear(row)
            self._waiting.append(row)
            ahead = 0 if self._sounds >= FRAMES_AHEAD else FRAMES_AHEAD
            ready = len(self._waiting) - ahead
            found += [self._normalised(r) for r in self._waiting[: max(ready, 0)]]
            del self._waiting[: max(ready, 0)]
        return self._rows(found, cepstra)

    def finish(self, like: Tensor | None = None) -> Tensor:
        """The rest of the cepstra, normalised, of the kind and on the device of others that are ``like``
        them.
        """
        found = [self._normalised(r) for r in self._waiting]
        self._waiting = []
        return self._rows(found, torch.empty(0) if like is None else like)

    def _rows(self, rows: list[np.ndarray], like: Tensor) -> Tensor:
        return torch.from_numpy(np.array(rows).reshape(-1, len(self.speech))).to(like)

    @property
    def _stands_out(self) -> bool:
        """Whether something was heard that is no room, which is as loud all the time."""
        return self._loudest - self._softest > LEAST_RANGE or self._loudest > LOUD_ROOM

    @property
    def _mean(self) -> np.ndarray:
        """What is taken from a frame: the mean of sound, or that of a room, as far above its pauses."""
        if not self._known:
            return self._room - self.pause
        speech = self.speech.copy()
        speech[0] = (self._loudest - LOUDEST_ABOVE_MEAN) * self.scale
        mean: np.ndarray = self._sum + self._prior * speech
        if self._sounds >= FRAMES_AHEAD and self._loudest - self._softest < NOISY_RANGE:
            mean[0] = min(mean[0], speech[0])
        return mean

    @property
    def _known(self) -> bool:
        """Whether enough was sound to tell how speech sounds."""
        return self._stands_out and self._sounds >= LEAST_SOUNDS

    @property
    def _faint(self) -> float:
        """The level below which nothing is said."""
        return self._loudest - FAINT if self._known else DEAD_LEVEL

    def _hear(self, row: np.ndarray) -> None:
        """Take a frame's level and cepstra into account."""
        level = row[0] / self.scale
        if level < DEAD_LEVEL:
            return
        self._recent.append(level)
        if len(self._recent) < FRAMES_LEVELLED:
            return
        self._levels.append(sorted(self._recent)[FRAMES_LEVELLED // 2])
        self._follow(self._levels[-1])
        self._in_room += 1
        self._room = self._room + (row - self._room) / min(self._in_room, RUNNING_MEAN_FRAMES)
        if self._stands_out:
            self._count(row, level)

    def _follow(self, level: float) -> None:
        """Follow the loudest and the softest level."""
        self._softest = min(self._softest + LEVEL_FORGOTTEN, level)
        forgotten = LEVEL_FORGOTTEN if self._since < SOUND_REACH else 0.0
        self._loudest = max(self._loudest - forgotten, level)
        if self._since >= SOFTER_FRAMES:
            before = list(self._levels)[: SOFTER_FRAMES // 2]
            if max(before) - min(before) > SOFTER_RANGE:
                self._loudest = max(self._levels)
                self._begin()

    def _count(self, row: np.ndarray, level: float) -> None:
        """Take a frame into the mean, if it is sound."""
        middle = (self._loudest + max(self._softest, self._loudest - FAINT)) / 2
        if self._sounds and self._sum[0] < (1 - self._prior) * (middle - LEAST_RANGE) * self.scale:
            self._begin()
        self._since = 0 if self._levels[-1] >= middle else self._since + 1
        if self._since < SOUND_REACH and level < self._loudest + CLICK:
            self._sounds += 1
            share = 1 / min(SPEECH_MEAN_FRAMES + self._sounds, RUNNING_MEAN_FRAMES)
            self._sum, self._prior = self._sum + share * (row - self._sum), (1 - share) * self._prior

    def _normalised(self, row: np.ndarray) -> np.ndarray:
        found: np.ndarray = self.pause if row[0] / self.scale < self._faint else row - self._mean
        return found


@dataclass(frozen=True, kw_only=True)
class SphinxFrontend:
    """The features of CMU Sphinx models; the field names are those of its ``feat.params``.

    Call it with a waveform (N,), full scale 1, at ``samprate``: frames (T, D), the model's streams
    side by side.  Sphinx's noise removal is left out.  ``cmn`` is 'batch' (the mean is that of the whole
    recording), 'none', or 'running': that of what was heard up to each frame (see `RunningMean`), as
    `IncrementalFrontend` has it, too.

    Examples
    --------
    >>> SphinxFrontend()(torch.zeros(16000)).shape
    torch.Size([99, 39])
    """

    samprate: int = SAMPLE_RATE
    """Samples a second."""
    frate: int = 100
    """Frames a second."""
    wlen: float = 0.025625
    """Length of the window, in seconds."""
    nfft: int = 512
    """Points of the Fourier transform."""
    nfilt: int = 40
    """Number of mel filters."""
    ncep: int = 13
    """Number of cepstra."""
    lowerf: float = 133.33334
    """Lower edge of the filters, in Hz."""
    upperf: float = 6855.4976
    """Upper edge of the filters, in Hz."""
    alpha: float = 0.97
    """Coefficient of the pre-emphasis."""
    lifter: int = 0
    """Order of the liftering; 0 is none."""
    transform: str = "legacy"
    """Cosine transform: 'legacy', 'dct' or 'htk' (see `cosine_transform`)."""
    feat: str = "1s_c_d_dd"
    """Order of the features: '1s_c_d_dd' or 's2_4x' (see `streams`)."""
    cmn: str = "batch"
    """Cepstral mean normalisation: 'batch', 'running' or 'none'."""
    varnorm: bool = False
    """Whether variances are normalised, too."""
    round_filters: bool = True
    """Whether the filters' edges are moved to bins of the transform."""
    remove_dc: bool = False
    """Whether each window's mean is taken out."""

    @property
    def clock(self) -> Clock:
        """Clock of the frames, with hop and window in samples."""
        return Clock(self.samprate // self.frate, int(self.wlen * self.samprate + 0.5), self.samprate)

    @property
    def size(self) -> int:
        """Number D of features in a frame."""
        return 3 * self.ncep if self.feat == "1s_c_d_dd" else 4 * self.ncep - 1

    @property
    def reach(self) -> int:
        """Frames on either side that the differences of a frame depend on."""
        return 3 if self.feat == "1s_c_d_dd" else 4

    @property
    def floor(self) -> float:
        """What is added to every filter's energy; of a stream less, for it may turn out to be very soft."""
        return LIVE_FLOOR if self.cmn == "running" else LOG_FLOOR

    def cepstra(self, wave: Tensor) -> Tensor:
        """Mel cepstra (T, ncep) of a wave (N,) before normalisation, block by block to save memory."""
        if self.cmn == "running":
            wave = wave - wave[:1]
        return self._blocks(wave, self.cepstral, self.ncep)

    def energies(self, wave: Tensor) -> Tensor:
        """Log energies (T, nfilt) of the mel filters of a wave (N,), block by block."""
        return self._blocks(wave, self._energies, self.nfilt)

    def _blocks(self, wave: Tensor, of: Callable[[Tensor, bool], Tensor], size: int) -> Tensor:
        window, hop = self.clock.window, self.clock.hop
        count = frame_count(len(wave), window, hop)
        parts = [
            of(
                wave[max(first * hop - 1, 0) : (min(first + BLOCK_FRAMES, count) - 1) * hop + window],
                first > 0,
            )
            for first in range(0, count, BLOCK_FRAMES)
        ]
        return torch.cat(parts) if parts else wave.new_zeros(0, size)

    def cepstral(self, wave: Tensor, led: bool) -> Tensor:
        """Cepstra of a stretch of a wave; where ``led``, its first sample only feeds the pre-emphasis."""
        return self.transformed(self._energies(wave, led))

    def transformed(self, energies: Tensor) -> Tensor:
        """Cepstra (T, ncep) of log energies (T, nfilt)."""
        return energies @ _matrices(self, energies.dtype, energies.device)[1]

    def _energies(self, wave: Tensor, led: bool) -> Tensor:
        filters, _ = _matrices(self, wave.dtype, wave.device)
        frames = windows(
            preemphasise(wave * INT16_SCALE, self.alpha)[int(led) :], self.clock.window, self.clock.hop
        )
        if self.remove_dc:
            frames = frames - frames.mean(1, keepdim=True)
        if self.cmn == "running":
            frames = without_trends(frames)
        return torch.log(power_spectrum(frames, self.nfft) @ filters + self.floor)

    def normalise(self, cepstra: Tensor) -> Tensor:
        """Subtract the utterance's mean (and divide by its deviation, where the model was trained so)."""
        if self.cmn == "none":
            return cepstra
        if self.cmn == "running":
            running = RunningMean(self.ncep, self.scale)
            return torch.cat([running.advance(cepstra), running.finish(cepstra)])
        heard = cepstra[self.sounding(cepstra)]
        mean = heard.mean(0)
        if not self.varnorm:
            return cepstra - mean
        return (cepstra - mean) / (heard - mean).square().mean(0).sqrt().clamp(min=1e-6)

    @property
    def scale(self) -> float:
        """What the first cepstrum grows by where all log energies grow by 1."""
        return float(_matrices(self, torch.float64, torch.device("cpu"))[1][:, 0].sum())

    def sounding(self, cepstra: Tensor) -> Tensor:
        """Whether each frame of cepstra (T, ncep) before normalisation is sound (see `sounding`)."""
        return sounding(
            cepstra[:, 0], self.frate
        )  # the first is the mean of the log energies, times a factor

    def streams(self, cepstra: Tensor) -> Tensor:
        """Cepstra and their differences in the order of the model's streams, (T, ncep) -> (T, D)."""
        if self.feat == "1s_c_d_dd":
            return torch.cat([cepstra, difference(cepstra), second_difference(cepstra)], 1)
        c, d, long, dd = cepstra, difference(cepstra), difference(cepstra, 4), second_difference(cepstra)
        power = torch.stack([c[:, 0], d[:, 0], dd[:, 0]], 1)
        return torch.cat([c[:, 1:], d[:, 1:], long[:, 1:], power, dd[:, 1:]], 1)  # s2_4x

    def energies_of(self, frames: Tensor) -> Tensor:
        """Log energies (T, nfilt) that frames (T, D) tell of: without fine structure, and each filter's but
        for what the normalisation took from all frames; nothing of use where variances are normalised, too.
        """
        rest = self.ncep - 1
        cepstra = frames[:, : self.ncep]
        if self.feat != "1s_c_d_dd":
            cepstra = torch.cat([frames[:, 3 * rest : 3 * rest + 1], frames[:, :rest]], 1)
        return cepstra @ _inverse(self, frames.dtype, frames.device)

    def __call__(self, wave: Tensor) -> Tensor:
        """Compute the frames (T, D) of a waveform (N,)."""
        return self.streams(self.normalise(self.cepstra(wave)))


class IncrementalFrontend:
    """A front end for streams: it takes a recording piece by piece, and gives the frames of the whole.

    Parameters
    ----------
    frontend : SphinxFrontend
        A front end whose ``cmn`` is 'running' or 'none'.

    Raises
    ------
    ModelError
        If its normalisation is that of whole recordings.

    Examples
    --------
    >>> frontend, wave = SphinxFrontend(cmn="running"), torch.rand(16000)
    >>> ear = IncrementalFrontend(frontend)
    >>> frames = torch.cat([*(ear.advance(piece) for piece in wave.split(1000)), ear.finish()])
    >>> torch.allclose(frames, frontend(wave), atol=1e-3)
    True
    """

    def __init__(self, frontend: SphinxFrontend) -> None:
        if (
            not isinstance(frontend, SphinxFrontend)
            or frontend.cmn not in ("running", "none")
            or frontend.varnorm
        ):
            raise ModelError(
                "features",
                "they are normalised by the whole recording, which a stream does not know",
                "take a model without variance normalisation, and cmn='running'",
            )
        self.frontend = frontend
        # from the sample before the next window on (from the first one in the beginning)
        self._wave = torch.empty(0)
        self._offset: Tensor | None = None  # the first sample, taken from all
        self._samples = 0  # samples
        self._windows = 0  # windows
        self._running = RunningMean(frontend.ncep, frontend.scale)
        self._rows = torch.empty(0, frontend.ncep)  # normalised cepstra that differences still need
        self._given = 0  # frames

    def advance(self, wave: Tensor) -> Tensor:
        """Take in samples (N,), N from 0, and return the frames (n, D) that are complete."""
        if self.frontend.cmn == "running" and len(wave):
            self._offset = wave[:1] if self._offset is None else self._offset
            wave = wave - self._offset
        self._wave = torch.cat([self._wave, wave])
        self._samples += len(wave)
        window, hop, led = self.frontend.clock.window, self.frontend.clock.hop, int(self._windows > 0)
        count = max(0, (len(self._wave) - led - window) // hop + 1)
        return self._complete(self._normalised(count), self.frontend.reach)

    def finish(self) -> Tensor:
        """End the recording, and return the remaining frames (n, D)."""
        count = (
            frame_count(self._samples, self.frontend.clock.window, self.frontend.clock.hop) - self._windows
        )
        last = self._normalised(count)
        return self._complete(torch.cat([last, self._running.finish(last)]), 0)

    def _normalised(self, count: int) -> Tensor:
        """Normalised cepstra of the next ``count`` windows."""
        if not count:
            return self._rows[:0]
        window, hop, led = self.frontend.clock.window, self.frontend.clock.hop, int(self._windows > 0)
        cepstra = self.frontend.cepstral(self._wave[: led + (count - 1) * hop + window], bool(led))
        self._wave = self._wave[count * hop - 1 + led :]
        self._windows += count
        if self.frontend.cmn == "none":
            return cepstra
        return self._running.advance(cepstra)

    def _complete(self, cepstra: Tensor, ahead: int) -> Tensor:
        """Take in normalised cepstra, and return all complete frames but the last ``ahead``."""
        self._rows = torch.cat([self._rows, cepstra])
        reach = self.frontend.reach
        kept = min(reach, self._given)  # rows before the next frame to give
        ready = len(self._rows) - kept - ahead
        if ready <= 0:
            return torch.empty(0, self.frontend.size)
        frames = self.frontend.streams(self._rows)[kept : kept + ready]
        self._given += ready
        self._rows = self._rows[max(kept + ready - reach, 0) :]
        return frames


@lru_cache(maxsize=8)
def _matrices(frontend: SphinxFrontend, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Filter bank and cosine transform (with its lifter) of a front end, computed once."""
    filters = mel_filters(
        frontend.nfilt,
        frontend.lowerf,
        frontend.upperf,
        nfft=frontend.nfft,
        rate=frontend.samprate,
        rounded=frontend.round_filters,
    )
    transform = cosine_transform(frontend.nfilt, frontend.ncep, frontend.transform)
    transform = transform * lifter(frontend.ncep, frontend.lifter)
    return filters.to(device, dtype), transform.to(device, dtype)


@lru_cache(maxsize=8)
def _inverse(frontend: SphinxFrontend, dtype: torch.dtype, device: torch.device) -> Tensor:
    """What turns cepstra back to log energies, (ncep, nfilt): the pseudo-inverse of the transform."""
    transform = _matrices(frontend, torch.float64, torch.device("cpu"))[1]
    inverse: Tensor = torch.linalg.pinv(transform)
    return inverse.to(device, dtype)


def regression(cepstra: Tensor, reach: int = 2, lengths: Tensor | None = None) -> Tensor:
    """Slope of each column over 2 * ``reach`` + 1 frames, by least squares (HTK's deltas); (T, D) -> (T,
    D).
    """
    rises = torch.zeros_like(cepstra)
    for k in range(1, reach + 1):
        rises += k * (shifted(cepstra, k, lengths) - shifted(cepstra, -k, lengths))
    return rises / (2 * sum(k * k for k in range(1, reach + 1)))


def splice(cepstra: Tensor, reach: int, lengths: Tensor | None = None) -> Tensor:
    """Concatenate each frame with ``reach`` frames on either side: (T, D) -> (T, (2 * reach + 1) * D),
    earliest first.
    """
    return torch.cat([shifted(cepstra, k, lengths) for k in range(-reach, reach + 1)], 1)


def affine(frames: Tensor, matrix: Tensor) -> Tensor:
    """Multiply frames by a matrix; its last column is added, where it has one more than the frame has
    numbers.

    Parameters
    ----------
    frames : Tensor
        (T, D)
    matrix : Tensor
        (E, D) or (E, D + 1)

    Returns
    -------
    Tensor
        (T, E)

    Examples
    --------
    >>> affine(torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 1.0, 0.5]]))
    tensor([[3.5000]])
    """
    columns = frames.shape[1]
    product = frames @ matrix[:, :columns].T
    return product if matrix.shape[1] == columns else product + matrix[:, columns]


@dataclass(frozen=True)
class Moments:
    """First and second moments of frames; they add up over recordings.

    Examples
    --------
    >>> both = Moments.of(torch.tensor([[1.0], [3.0]])) + Moments.of(torch.tensor([[5.0]]))
    >>> both.count, both.mean.tolist()
    (3, [3.0])
    """

    count: float
    """Number of frames."""
    first: Tensor
    """(D,) float64: sum of the frames."""
    second: Tensor
    """(D,) float64: sum of the squared frames."""

    @classmethod
    def of(cls, frames: Tensor) -> Moments:
        """Compute the moments of frames (T, D)."""
        x = frames.double()
        return cls(len(x), x.sum(0), x.square().sum(0))

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.count + other.count, self.first + other.first, self.second + other.second)

    @property
    def mean(self) -> Tensor:
        """Mean (D,) of the frames."""
        return self.first / self.count

    @property
    def deviation(self) -> Tensor:
        """Standard deviation (D,) of the frames."""
        return (self.second / self.count - self.mean.square()).clamp(min=1e-8).sqrt()

    def weighted(self, count: float) -> Moments:
        """Moments of the same mean and deviation, as if of ``count`` frames."""
        return Moments(count, self.first * (count / self.count), self.second * (count / self.count))


@dataclass(frozen=True, eq=False)
class CepstralFrontend:
    """The features of models that are trained here: normalised cepstra in context, linearly transformed.

    Mean and variance of each cepstrum are the utterance's own, drawn towards its speaker's where these are
    known: a word alone says more about itself than about its speaker.

    Examples
    --------
    >>> CepstralFrontend()(torch.rand(16000)).shape
    torch.Size([99, 39])
    """

    cepstral: SphinxFrontend = SphinxFrontend(
        wlen=0.02, lowerf=80.0, upperf=7600.0, transform="dct", lifter=22
    )
    """Windows, filters and cepstra."""
    reach: int = 0
    """Frames on either side that are put beside each frame; with 0, first and second slopes are (deltas)."""
    transform: Tensor | None = None
    """(E, D): linear transform that is applied last."""
    prior: float = 200.0
    """Frames that the speaker's mean and variance count for."""

    @property
    def clock(self) -> Clock:
        """Clock of the frames, with hop and window in samples."""
        return self.cepstral.clock

    @property
    def size(self) -> int:
        """Number D of features in a frame."""
        if self.transform is not None:
            return len(self.transform)
        return self.cepstral.ncep * (2 * self.reach + 1 if self.reach else 3)

    def cepstra(self, wave: Tensor) -> Tensor:
        """Cepstra (T, ncep) of a wave (N,) before normalisation."""
        return self.cepstral.cepstra(wave)

    def moments(self, cepstra: Tensor) -> Moments:
        """The moments of cepstra (T, ncep) over the frames that are sound."""
        return Moments.of(cepstra[self.cepstral.sounding(cepstra)])

    def normalise(self, cepstra: Tensor, speaker: Moments | None = None) -> Tensor:
        """Normalise cepstra (T, ncep) by the mean and deviation of the utterance and its ``speaker``."""
        if not len(cepstra):
            return cepstra
        own = self.moments(cepstra)
        both = own if speaker is None else own + speaker.weighted(self.prior)
        return ((cepstra - both.mean) / both.deviation).to(cepstra.dtype)

    def expand(self, cepstra: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Frames (T, D) of normalised cepstra (T, ncep); with ``lengths`` (B,), of recordings one behind the
        other.
        """
        if self.reach:
            frames = splice(cepstra, self.reach, lengths)
        else:
            slopes = regression(cepstra, 2, lengths)
            frames = torch.cat([cepstra, slopes, regression(slopes, 2, lengths)], 1)
        return frames if self.transform is None else affine(frames, self.transform.to(frames))

    def __call__(self, wave: Tensor, speaker: Moments | None = None) -> Tensor:
        """Compute the frames (T, D) of a waveform (N,)."""
        return self.expand(self.normalise(self.cepstra(wave), speaker))


FINE_FRONTEND = SphinxFrontend(
    frate=200, wlen=0.015, nfft=256, nfilt=26, lowerf=0.0, upperf=8000.0, transform="dct", varnorm=True
)
"""Hears edges: frames of 15 ms every 5 ms."""


def fine_energies(wave: Tensor) -> Tensor:
    """Log energies (T, 26) of mel filters every 5 ms of a wave (N,) at 16 kHz.

    Examples
    --------
    >>> fine_energies(torch.zeros(16000)).shape
    torch.Size([198, 26])
    """
    return FINE_FRONTEND.energies(wave)
