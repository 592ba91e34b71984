"""Features for matching speech with speech: frames that make speakers and channels comparable.

T frames of D numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from aligner.features import (
    INNER_REACH,
    cosine_transform,
    mel_edges,
    power_spectrum,
    preemphasise,
    shifted,
    sounding,
    triangles,
    windows,
)
from aligner.models.base import HmmModel
from aligner.types import SAMPLE_RATE, Clock

# factors on the reference's frequencies: vocal tracts differ so much in length
FREQUENCY_WARPS = (0.88, 0.94, 1.0, 1.06, 1.12)
WARP_BEND = 0.6  # share of half the sample rate above which a warped axis is led back to its end
SPEECH_RANGE = 40.0  # dB below the loudest frames, within which a frame may be speech
SPEECH_SHARE = 0.25  # share of the way from the quietest to the loudest frames, in dB, above which is speech
# quantiles of the levels that stand for the loudest and the quietest frames
LOUDEST_QUANTILE, QUIETEST_QUANTILE = 0.95, 0.03
# share of a recording's mean filter energy that is added to all: digital silence is then not infinitely quiet
ENERGY_FLOOR_SHARE = 1e-5
NOISE_SHARE = 0.1  # share of a recording's frames, the quietest, that are taken for its noise
SAME_PHONE_DISTANCE = 0.5  # mean squared distance of the posteriors' roots where two speakers say the same


@dataclass(frozen=True, kw_only=True)
class TemplateFrontend:
    """Mel cepstra and their slopes, normalised so that speakers and channels are comparable.

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
        """Clock of the front end's frames."""
        return Clock(self.hop, self.window, self.rate)

    def spectrum(self, wave: Tensor) -> Tensor:
        """Power spectrum (T, bins) of a wave (N,)."""
        return power_spectrum(windows(preemphasise(wave, 0.97), self.window, self.hop), self.nfft)

    def __call__(self, wave: Tensor, warp: float = 1.0) -> Tensor:
        """Frames (T, D) of a waveform (N,), as if its frequencies were divided by ``warp``."""
        return self.frames(self.spectrum(wave), warp)

    def frames(self, spectrum: Tensor, warp: float = 1.0) -> Tensor:
        """Frames (T, D) of a power spectrum (T, bins)."""
        filters, transform, weights = _matrices(self, warp)
        energies = spectrum @ filters
        heard = sounding(torch.log(energies + 1e-12).mean(1), self.rate / self.hop, INNER_REACH)
        cepstra = (
            torch.log(energies + ENERGY_FLOOR_SHARE * energies[heard].mean().clamp(min=1e-12)) @ transform
        )
        level = cepstra[heard, 0] * (10 / math.log(10) / math.sqrt(self.filters))
        speech = cepstra[heard][_loud(level)]
        scaled = (cepstra - speech.mean(0)) / speech.std(0, correction=0).clamp(min=1e-6)
        slopes = slope(scaled, self.reach)
        spread = slopes[heard].std(0, correction=0).clamp(min=1e-6)
        return torch.cat([scaled * weights, self.slope * slopes / spread * weights], 1)


@dataclass(frozen=True, kw_only=True)
class Posteriorgram:
    """Phone posteriors of an acoustic model beside the frames: they depend less on the speaker.

    They are square roots of posteriors, whose Euclidean distance is Hellinger's (Hazen, Shen & White 2009,
    "Query-by-example spoken term detection using phonetic posteriorgram templates", use their products).
    """

    hear: Callable[[Tensor], Tensor]
    """Posteriors (T, phones) of a wave (N,)."""
    clock: Clock
    """Clock of these."""
    weight: float = 1.2
    """Weight of the posteriors' distance beside that of the frames."""

    def roots(self, wave: Tensor, clock: Clock, count: int) -> Tensor:
        """Square roots of the posteriors (count, phones) of a wave (N,) at the frames of another clock."""
        roots = self.hear(wave).sqrt()
        at = [self.clock.frame(clock.boundary(t + 0.5)) - 0.5 for t in range(count)]
        place = torch.tensor(at).clamp(0, len(roots) - 1)
        lower = place.floor().long().clamp(max=max(len(roots) - 2, 0))
        share = (place - lower)[:, None]
        return roots[lower] * (1 - share) + roots[(lower + 1).clamp(max=len(roots) - 1)] * share

    def beside(self, frames: Tensor, roots: Tensor) -> Tensor:
        """Frames (T, D) with `roots` (T, phones) beside them: (T, D + phones)."""
        size = frames.shape[1]
        both = torch.cat([frames, roots * self.weight * math.sqrt(size)], 1)
        # the distance is a mean over all numbers, and as great as without posteriors where both say the same
        return both * math.sqrt(both.shape[1] / size / (1 + self.weight**2 * SAME_PHONE_DISTANCE))


@dataclass(frozen=True)
class StatePosteriors:
    """Posteriors of the phones of a hidden Markov model of any language, as its states have them."""

    model: HmmModel
    """The model."""
    sharpness: float = 0.2
    """Factor on the log-likelihoods: a model is surer than it should be."""

    def __call__(self, wave: Tensor) -> Tensor:
        """Posteriors (T, phones) of a wave (N,), under equal priors."""
        frames, alone = self.model.frontend(wave), self.model.topology.alone
        pdfs = np.unique(alone)
        scores = self.model.score(frames, pdfs)[:, torch.from_numpy(np.searchsorted(pdfs, alone))].amax(2)
        return torch.softmax(self.sharpness * scores, 1)


def _loud(level: Tensor) -> Tensor:
    """Mask (T,) of the frames that are speech, by their level in dB."""
    top, floor = torch.quantile(level, LOUDEST_QUANTILE), torch.quantile(level, QUIETEST_QUANTILE)
    return level >= torch.maximum(top - SPEECH_RANGE, floor + SPEECH_SHARE * (top - floor))


def noise_spectrum(spectrum: Tensor, rate: float) -> Tensor:
    """Power spectrum (bins,) of the quietest frames of ``spectrum`` (T, bins), ``rate`` of them a second, in
    units of the mean power of its sound.
    """
    heard = spectrum[sounding(torch.log(spectrum.sum(1) + 1e-12), rate, INNER_REACH)]
    power = heard.sum(1)
    quietest = power.argsort()[: math.ceil(NOISE_SHARE * len(power))]
    return heard[quietest].mean(0) / power.mean().clamp(min=1e-12)


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
    bend = WARP_BEND * nyquist / max(warp, 1.0)
    led_back = nyquist - (nyquist - hertz) * (nyquist - warp * bend) / (nyquist - bend)
    return torch.where(hertz <= bend, warp * hertz, led_back)
