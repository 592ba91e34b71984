"""Dynamic time warping as a graph: a state for each frame of a reference that is known to say the words.

Where an acoustic model is missing, any recording of the same words will do, if it is known when its phones
are said: another speaker's, or a synthesiser's.  Its frames are the states of a graph (see
`aligner.graph.template`), and a frame of the target costs its distance to the one that it is taken for.
Pauses are not matched: those of the reference are left out, and the target's are told by its own quietest
frames.

R frames of the reference, N phones, T frames of the target, D numbers a frame.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from aligner.features import (
    cosine_transform,
    mel_edges,
    power_spectrum,
    preemphasise,
    shifted,
    triangles,
    windows,
)
from aligner.graph import NONE, Graph, Position, Topology
from aligner.graph import template as graphs
from aligner.models.base import HmmModel
from aligner.models.gmm import GaussianMixtures
from aligner.text.phones import kind
from aligner.types import SAMPLE_RATE, SILENCE_LABEL, Clock, Interval

WARPS = (0.88, 0.94, 1.0, 1.06, 1.12)  # of the reference's frequencies: vocal tracts differ so much in length
LEAST_FRAMES = 4  # of the reference in a phone, so that leaving out every other one still leaves 10 ms
QUIET_GAIN = 0.1  # a pause fits its quiet frames better than speech fits another speaker's by more than this
SPEECH_RANGE = 40.0  # dB below the loudest frames, within which a frame may be speech
QUIET_SHARE, SPEECH_SHARE, LOUD_SHARE = (
    0.2,
    0.25,
    0.75,
)  # of the way from the quietest to the loudest frames, in dB
LOUD_COST = 3.0  # of calling a loud frame a pause: more than any speech is away from any other
LOWEST = (
    1e-5  # of a recording's mean filter energy, added to all: digital silence is then not infinitely quiet
)
HISS_SHARE = 0.1  # of a recording's frames, the quietest, that are taken for its noise
TOP, FLOOR = 0.95, 0.03  # quantiles that stand for the loudest and the quietest frames
USUAL_HELLINGER = 0.5  # mean squared distance of the posteriors' roots where two speakers say the same
BEND = 0.6  # of half the sample rate: above, a warped axis is led back to its end


@dataclass(frozen=True, kw_only=True)
class TemplateFrontend:
    """Mel cepstra and their slopes that make speakers and channels comparable.

    Each number has mean 0 and deviation 1 over the frames that are speech, and a weight that falls with the
    order of the cepstrum: the fine structure of the spectrum is the speaker's (Paliwal 1982).

    Examples
    --------
    >>> TemplateFrontend()(torch.randn(16000)).shape
    torch.Size([197, 26])
    """

    hop: int = 80
    """Samples from one frame to the next."""
    window: int = 320
    """Samples in a frame."""
    filters: int = 26
    """Number of mel filters."""
    cepstra: int = 13
    """Number of cepstra."""
    reach: int = 4
    """Frames on either side over which a slope is taken."""
    low: float = 100.0
    """Lower edge of the filters, in Hz."""
    high: float = 6800.0
    """Upper edge of the filters, in Hz."""
    level: float = 0.6
    """Weight of the energy among the cepstra."""
    slope: float = 1.3
    """Weight of the slopes beside the cepstra."""
    rate: int = SAMPLE_RATE
    """Samples a second."""
    nfft: int = 512
    """Points of the Fourier transform."""

    @property
    def clock(self) -> Clock:
        """Hop and window in samples."""
        return Clock(self.hop, self.window, self.rate)

    def spectrum(self, wave: Tensor) -> Tensor:
        """Power spectrum (T, bins) of a wave (N,)."""
        return power_spectrum(windows(preemphasise(wave, 0.97), self.window, self.hop), self.nfft)

    def __call__(self, wave: Tensor, warp: float = 1.0) -> Tensor:
        """Waveform (N,) -> frames (T, D), as if its frequencies were divided by ``warp``."""
        return self.frames(self.spectrum(wave), warp)

    def frames(self, spectrum: Tensor, warp: float = 1.0) -> Tensor:
        """Power spectrum (T, bins) -> frames (T, D)."""
        filters, transform, weights = _matrices(self, warp)
        energies = spectrum @ filters
        cepstra = torch.log(energies + LOWEST * energies.mean().clamp(min=1e-12)) @ transform
        speech = cepstra[_loud(cepstra[:, 0] * (10 / math.log(10) / math.sqrt(self.filters)))]
        scaled = (cepstra - speech.mean(0)) / speech.std(0, correction=0).clamp(min=1e-6)
        slopes = slope(scaled, self.reach)
        spread = slopes.std(0, correction=0).clamp(min=1e-6)
        return torch.cat([scaled * weights, self.slope * slopes / spread * weights], 1)


@dataclass(frozen=True)
class Posteriorgram:
    """Which phones a model hears in each frame, beside the frames themselves: a phone is less the speaker's.

    Square roots of posteriors, the Euclidean distance of which is Hellinger's (Hazen, Shen & White 2009,
    "Query-by- example spoken term detection using phonetic posteriorgram templates", use their products).
    """

    model: HmmModel
    """Acoustic model of any language."""
    weight: float = 1.2
    """Weight of the posteriors' distance beside that of the frames."""
    sharpness: float = 0.2
    """Factor on the log-likelihoods: a model is surer than it should be."""

    def beside(self, frames: Tensor, wave: Tensor, clock: Clock) -> Tensor:
        """Frames (T, D) of a wave (N,) with what the model hears in it: (T, D + phones)."""
        heard = self.posteriors(wave)
        at = [self.model.clock.frame(clock.boundary(t + 0.5)) - 0.5 for t in range(len(frames))]
        place = torch.tensor(at).clamp(0, len(heard) - 1)
        lower = place.floor().long().clamp(max=max(len(heard) - 2, 0))
        share = (place - lower)[:, None]
        between = heard[lower] * (1 - share) + heard[(lower + 1).clamp(max=len(heard) - 1)] * share
        size = frames.shape[1]
        both = torch.cat([frames, between * self.weight * math.sqrt(size)], 1)
        # the distance is a mean over all numbers, and as great as without posteriors where both say the same
        return both * math.sqrt(both.shape[1] / size / (1 + self.weight**2 * USUAL_HELLINGER))

    def posteriors(self, wave: Tensor) -> Tensor:
        """Square roots of the posteriors (T, phones) of a wave (N,), each phone as likely beforehand."""
        frames, alone = self.model.frontend(wave), self.model.topology.alone
        pdfs = np.unique(alone)
        scores = self.model.score(frames, pdfs)[:, torch.from_numpy(np.searchsorted(pdfs, alone))].amax(2)
        return torch.softmax(self.sharpness * scores, 1).sqrt()


def _loud(level: Tensor) -> Tensor:
    """Which frames (T,) are speech, by their level in dB."""
    top, floor = torch.quantile(level, TOP), torch.quantile(level, FLOOR)
    return level >= torch.maximum(top - SPEECH_RANGE, floor + SPEECH_SHARE * (top - floor))


class Pause(NamedTuple):
    """What the pauses of a recording are like."""

    mean: Tensor
    """(D,): mean frame of a pause."""
    loud: float
    """Level (first number of a frame) from which a frame is never in a pause."""


def pause_of(frames: Tensor, mean: Tensor | None = None) -> Pause:
    """The pauses of a recording, by its quietest frames (T, D), or a mean that is known."""
    level = frames[:, 0]
    floor, top = torch.quantile(level, torch.tensor([FLOOR, TOP])).tolist()
    quietest = frames[level <= floor + QUIET_SHARE * (top - floor)]
    return Pause(quietest.mean(0) if mean is None else mean, floor + LOUD_SHARE * (top - floor))


def hiss(spectrum: Tensor) -> Tensor:
    """Power spectrum (bins,) of the quietest frames of ``spectrum`` (T, bins), as a share of the mean
    power."""
    power = spectrum.sum(1)
    quietest = power.argsort()[: math.ceil(HISS_SHARE * len(power))]
    return spectrum[quietest].mean(0) / power.mean().clamp(min=1e-12)


def slope(values: Tensor, reach: int) -> Tensor:
    """Slope of the regression line through ``reach`` rows on both sides of each, (T, D) -> (T, D)."""
    steps = range(1, reach + 1)
    return sum((n * (shifted(values, n) - shifted(values, -n)) for n in steps), torch.zeros_like(values)) / (
        2 * sum(n * n for n in steps)
    )


@lru_cache(maxsize=32)
def _matrices(frontend: TemplateFrontend, warp: float) -> tuple[Tensor, Tensor, Tensor]:
    """Filter bank (bins, filters), cosine transform and weights of the cepstra."""
    bank = triangles(warped_edges(frontend, warp), frontend.nfft, frontend.rate)
    weights = 1.0 / (1.0 + torch.arange(frontend.cepstra, dtype=torch.float64))
    weights[0] *= frontend.level
    weights /= weights.square().mean().sqrt()
    transform = cosine_transform(frontend.filters, frontend.cepstra, "dct")
    return bank.float(), transform.float(), weights.float()


def warped_edges(frontend: TemplateFrontend, warp: float) -> Tensor:
    """Edges (filters + 2,) of the mel filters in Hz, moved by ``warp``; piecewise linear (Lee & Rose
    1998)."""
    hertz = mel_edges(frontend.filters, frontend.low, frontend.high)
    nyquist = frontend.rate / 2
    bend = BEND * nyquist / max(warp, 1.0)
    led_back = nyquist - (nyquist - hertz) * (nyquist - warp * bend) / (nyquist - bend)
    return torch.where(hertz <= bend, warp * hertz, led_back)


@dataclass(frozen=True, kw_only=True)
class Template:
    """A reference as frames: what it says, and where the target may pause."""

    frames: Tensor
    """(R, D): frames of the reference without its pauses."""
    node: np.ndarray
    """(R,): the phone that each frame belongs to; from 0 to N - 1, each at least once."""
    phone: tuple[str, ...]
    """(N,): labels of the phones."""
    word: np.ndarray
    """(N,): the word that each phone belongs to."""
    pause: np.ndarray
    """(N + 1,) bool: whether a pause may stand before each phone, and at the end."""

    @classmethod
    def of(cls, frames: Tensor, clock: Clock, phones: Sequence[Interval], words: Sequence[int]) -> Template:
        """From a recording's frames and the phones in it.

        Parameters
        ----------
        frames : Tensor
            (T, D)
        clock : Clock
            Of the frames.
        phones : sequence of Interval
            In order; pauses have an empty label, and count as such wherever there is a gap.
        words : sequence of int
            For each of ``phones`` the index of its word; that of a pause is not read.

        Raises
        ------
        ValueError
            If no phone is spoken, or there is not a word for each phone.
        """
        spoken = [(p, w) for p, w in zip(phones, words, strict=True) if p.label != SILENCE_LABEL]
        if not spoken:
            raise ValueError("no phone with a label; a reference needs at least one")
        rows = [_rows(p, clock, len(frames)) for p, _ in spoken]
        word = np.array([w for _, w in spoken])
        apart = [b.start - a.end > clock.seconds(1) for (a, _), (b, _) in pairwise(spoken)]
        node = np.repeat(np.arange(len(rows)), [len(r) for r in rows])
        kept = frames[torch.from_numpy(np.concatenate(rows))]
        return cls(
            frames=kept,
            node=node,
            phone=tuple(p.label for p, _ in spoken),
            word=word,
            pause=_pauses(word, apart),
        )

    def thin(self, step: int) -> Template:
        """Every so manyth frame of each phone, its first one among them."""
        within = np.arange(len(self.node)) - np.searchsorted(self.node, self.node)
        kept = np.flatnonzero(within % step == 0)
        return replace(self, frames=self.frames[torch.from_numpy(kept)], node=self.node[kept])

    def graph(self, steps: graphs.Steps = graphs.STEPS) -> Graph:
        """All ways to say it: column r of the scores is its frame r, the last one the pause's (see
        `Matcher`).
        """
        return graphs.build(self.node, self.phone, self.word, self.pause, steps)


def _rows(phone: Interval, clock: Clock, count: int) -> np.ndarray:
    """The frames of a phone; some of them twice where there are too few."""
    begin = clock.boundary(0)
    first, last = (round((t - begin) / clock.seconds(1)) for t in (phone.start, phone.end))
    first = min(max(first, 0), count - 1)
    last = min(max(last, first + 1), count)
    if last - first >= LEAST_FRAMES:
        return np.arange(first, last)
    return np.linspace(first, last - 1, LEAST_FRAMES).round().astype(np.int64)


def _pauses(word: np.ndarray, apart: Sequence[bool]) -> np.ndarray:
    """Where pauses may be: at the edges of words, and where the reference has one."""
    return np.concatenate([[True], (np.diff(word) != 0) | np.asarray(apart, bool), [True]])


def split(
    phones: Sequence[Interval], words: Sequence[int], rename: Callable[[str], Sequence[str]]
) -> tuple[tuple[Interval, ...], tuple[int, ...]]:
    """Phones in another set of labels; one that has several there is cut into equal parts.

    A label that the other set has nothing for stays as it is.

    Examples
    --------
    >>> phones, words = split([Interval(0.0, 0.2, "ts")], [0], list)
    >>> [(p.start, p.label) for p in phones], words
    ([(0.0, 't'), (0.1, 's')], (0, 0))
    """
    found, owners = [], []
    for p, w in zip(phones, words, strict=True):
        labels = (rename(p.label) if p.label != SILENCE_LABEL else ()) or (p.label,)
        edges = np.linspace(p.start, p.end, len(labels) + 1).tolist()
        found += [Interval(a, b, label) for a, b, label in zip(edges, edges[1:], labels, strict=False)]
        owners += [w] * len(labels)
    return tuple(found), tuple(owners)


@dataclass(frozen=True)
class Matcher:
    """Scores a target's frames against a template and the target's own pauses."""

    template: Template
    """Reference that is matched."""
    pause: Pause
    """Pauses of the target."""

    def score(self, frames: Tensor, columns: np.ndarray | None = None) -> Tensor:
        """Minus the distances, root mean square over D, of ``frames`` (T, D) to the template's and to a
        pause.

        Parameters
        ----------
        frames : Tensor
            (T, D)
        columns : ndarray, optional
            Which of the R + 1 columns (the last is the pause); all unless given.

        Returns
        -------
        Tensor
            (T, columns)
        """
        count = len(self.template.frames)
        known = torch.cat([self.template.frames, self.pause.mean[None]])
        asked = np.arange(count + 1) if columns is None else np.asarray(columns)
        known = known[torch.from_numpy(asked)]
        squares = torch.addmm(known.square().sum(1), frames, known.T, alpha=-2.0)
        squares += frames.square().sum(1, keepdim=True)
        scores = squares.div_(frames.shape[1]).clamp_(min=1e-6).sqrt_().neg_()
        loud = frames[:, :1] > self.pause.loud
        scores[:, torch.from_numpy(asked == count)] += torch.where(loud, QUIET_GAIN - LOUD_COST, QUIET_GAIN)
        return scores


class Trajectory(NamedTuple):
    """An acoustic model's own reference for a transcript."""

    template: Template
    """The model's means as a reference."""
    quiet: Tensor
    """(D,): the model's mean frame of silence."""
    scale: Tensor
    """(D,): factors on the frames of the model's front end."""


STATE_FRAMES = {"vowel": 3, "fricative": 3}  # of 10 ms in each of a phone's states; 2 in those of other kinds


def trajectory(topology: Topology, mixtures: GaussianMixtures, words: Sequence[Sequence[str]]) -> Trajectory:
    """The means that a model goes through when it says ``words``, each given as its phones.

    A state's mean is that of its mixture; typical durations take the place of known ones.
    """
    spoken = [(p, w) for w, phones in enumerate(words) for p in phones]
    word = np.array([w for _, w in spoken])
    units = [topology.unit(p, *_context(spoken, k, topology.silence)) for k, (p, _) in enumerate(spoken)]
    spread = _moments(mixtures, np.unique(topology.alone))[1].mean(0).sqrt()
    repeats = [STATE_FRAMES.get(kind(p), 2) for (p, _), u in zip(spoken, units, strict=True) for _ in u.pdfs]
    means, _ = _moments(mixtures, np.array([pdf for u in units for pdf in u.pdfs]))
    owners = np.repeat(np.arange(len(spoken)), [len(u.pdfs) for u in units])
    silence, _ = _moments(mixtures, topology.alone[topology.number(topology.silence)])
    frames = means.repeat_interleave(torch.tensor(repeats), 0) / spread
    template = Template(
        frames=frames,
        node=np.repeat(owners, repeats),
        phone=tuple(p for p, _ in spoken),
        word=word,
        pause=_pauses(word, [False] * (len(word) - 1)),
    )
    return Trajectory(template, silence.mean(0) / spread, 1.0 / spread)


def _context(spoken: Sequence[tuple[str, int]], k: int, silence: str) -> tuple[str, str, Position]:
    """Neighbours of a phone, and where in its word it stands."""
    left, right = (spoken[j] if 0 <= j < len(spoken) else (silence, NONE) for j in (k - 1, k + 1))
    begins, ends = left[1] != spoken[k][1], right[1] != spoken[k][1]
    position = {
        (True, True): Position.SINGLE,
        (True, False): Position.BEGIN,
        (False, True): Position.END,
        (False, False): Position.INTERNAL,
    }[begins, ends]
    return left[0], right[0], position


def _moments(mixtures: GaussianMixtures, pdfs: np.ndarray) -> tuple[Tensor, Tensor]:
    """Means and variances (pdfs, D) of whole mixtures."""
    books = torch.from_numpy(np.asarray(mixtures.codebook[pdfs], np.int64))
    means, squares = [], []
    for s in mixtures.streams:
        weights = s.weights[torch.from_numpy(np.asarray(pdfs, np.int64))]
        weights = (weights / weights.sum(1, keepdim=True))[..., None]
        variances = s.covariances if s.covariances.ndim == 3 else s.covariances.diagonal(dim1=2, dim2=3)
        means.append((weights * s.means[books]).sum(1))
        squares.append((weights * (variances[books] + s.means[books].square())).sum(1))
    mean = torch.cat(means, 1)
    return mean, torch.cat(squares, 1) - mean.square()
