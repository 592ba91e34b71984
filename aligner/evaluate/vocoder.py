"""WORLD's analysis of a recording, and its resynthesis.

WORLD (Morise et al. 2016) analyses a recording every 5 ms: F0 by DIO and StoneMask, the spectral envelope by
CheapTrick; a frame is voiced where DIO finds an F0 and D4C's "Love Train" does not call it unvoiced (that
comes nearer to Praat than Harvest, which voices most consonants and pauses).  pysptk's ``sp2mc`` turns the
envelope into mel-cepstra (Fukada et al. 1992; Tokuda et al. 1994) of order 24.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from aligner.corpus.audio import read
from aligner.evaluate.warping import HOP
from aligner.names import WARPS
from aligner.types import DataError, ModelError, Utterance

LOWEST_RATE = 16_000  # Hz; D4C reads the spectrum up to 7.9 kHz, and beyond its end if there is none
SHORTEST_RECORDING = 0.1  # s; some twenty frames, of which WORLD's windows reach over eight at its lowest F0
UNVOICED = 0.5  # aperiodicity in the lowest bin: Love Train sets it to 1 where there is no voice


@dataclass(frozen=True, kw_only=True)
class SpeechSettings:
    """Which speech metrics are computed, and how."""

    order: int = 24
    """Order of the mel-cepstra; c0, the loudness, is computed too but never scored."""
    hop: float = HOP
    """Seconds between frames."""
    f0_floor: float = 71.0
    """Lowest F0 in Hz; WORLD's own."""
    f0_ceil: float = 800.0
    """Highest F0 in Hz; WORLD's own."""
    warp: str = "dtw"
    """``dtw``, or ``none``: frame t with frame t.  Without effect where alignments say what is matched."""
    silence_db: float | None = None
    """Pairs whose frames are both so many dB below the loudest frame of their recording are not counted; None
    counts all pairs."""
    floor: bool = True
    """Whether to compute the copy-synthesis floor."""

    def __post_init__(self) -> None:
        if self.warp not in WARPS:
            raise ValueError(f"warp is 'dtw' or 'none', not {self.warp!r}")
        for name in ("order", "hop", "silence_db"):
            if (value := getattr(self, name)) is not None and value <= 0:
                raise ValueError(f"{name} is above 0, not {value:g}")


DEFAULT = SpeechSettings()


@dataclass(frozen=True, kw_only=True)
class World:
    """A recording as WORLD sees it, in T frames; frame t stands for the time t * hop."""

    f0: np.ndarray
    """(T,) F0 in Hz; 0 where unvoiced."""
    envelope: np.ndarray
    """(T, K) power in K bins from 0 Hz to half of ``rate``."""
    aperiodicity: np.ndarray
    """(T, K) share of that power that is noise."""
    cepstra: np.ndarray
    """(T, order + 1) mel-cepstra."""
    rate: int
    """Samples per second."""

    @property
    def level(self) -> np.ndarray:
        """(T,) Power of each frame in dB below the loudest frame's; 0 at most."""
        power = self.envelope.mean(1)
        return np.asarray(10 * np.log10(power / power.max()))


def require_libraries() -> tuple[Any, Any]:
    """Import pyworld and pysptk, in this order; a ModelError says how to install them."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # both import pkg_resources, which warns that it will go
            import pysptk
            import pyworld
    except ImportError as error:
        raise ModelError(
            "speech metrics",
            f"pyworld and pysptk cannot be imported ({error})",
            "pip install 'aligner[metrics]'",
        ) from error
    return pyworld, pysptk


def mel_alpha(rate: int) -> float:
    """The all-pass constant that is nearest to the mel scale at ``rate`` Hz, by pysptk's ``mcepalpha``.

    0.410 at 16 kHz, 0.455 at 22.05 kHz, 0.466 at 24 kHz, 0.544 at 44.1 kHz, 0.554 at 48 kHz.
    """
    return round(float(require_libraries()[1].util.mcepalpha(rate)), 3)


def mel_cepstra(envelope: np.ndarray, rate: int, order: int = DEFAULT.order) -> np.ndarray:
    """Mel-cepstra (T, order + 1) of power spectra (T, K) of ``rate`` Hz; c0 is the mean log amplitude."""
    return np.asarray(require_libraries()[1].sp2mc(envelope, order, mel_alpha(rate)))


def analyse(
    wave: np.ndarray, rate: int, settings: SpeechSettings = DEFAULT, name: str = "the recording"
) -> World:
    """F0, envelope, aperiodicity and mel-cepstra of a recording.

    Parameters
    ----------
    wave : ndarray
        (N,) or (N, channels), full scale 1.
    rate : int
        Samples per second, 16000 at least.
    settings : SpeechSettings
    name : str
        What an error calls it.

    Raises
    ------
    DataError
        If the recording is empty, silent throughout, shorter than 0.1 s, below 16 kHz or holds NaN.
    ModelError
        If pyworld or pysptk is not installed.
    """
    world, _ = require_libraries()
    x = read(Utterance(name, wave, "", rate=rate), rate).wave.astype(np.float64)
    if rate < LOWEST_RATE:
        raise DataError(
            name, f"{rate} Hz are too few for WORLD", f"give recordings of {LOWEST_RATE} Hz or more"
        )
    if len(x) < SHORTEST_RECORDING * rate:
        raise DataError(
            name,
            f"the recording of {len(x) / rate:.3f} s is too short to measure",
            f"give {SHORTEST_RECORDING:g} s or more",
        )
    f0, times = world.dio(x, rate, settings.f0_floor, settings.f0_ceil, frame_period=1000 * settings.hop)
    f0 = world.stonemask(x, f0, times, rate)
    aperiodicity = world.d4c(x, f0, times, rate)
    f0 = np.where(aperiodicity[:, 0] < UNVOICED, f0, 0.0)
    envelope = world.cheaptrick(x, f0, times, rate)
    cepstra = mel_cepstra(envelope, rate, settings.order)
    return World(f0=f0, envelope=envelope, aperiodicity=aperiodicity, cepstra=cepstra, rate=rate)


def resynthesise(world: World, hop: float = DEFAULT.hop) -> np.ndarray:
    """(N,) What WORLD makes of its own analysis: the samples of a copy."""
    return np.asarray(
        require_libraries()[0].synthesize(
            world.f0, world.envelope, world.aperiodicity, world.rate, 1000 * hop
        )
    )
