#!/usr/bin/env python3
"""Make a corpus sound as over a telephone in a noisy room, boundaries where they were.

    telephone.py CORPUS OUT [--snr DB] [--noise pink|white] [--seed N]

Noise is added, then the band cut to 300-3400 Hz, companded by mu-law at 8 kHz, and written at 16 kHz, as
long as the recording was.  The filters do not delay, so the labels still fit: they are copied with the
transcripts.  The ratio is that of speech (20 ms frames within 30 dB of the loudest) to noise, in dB, within
the band; ``--snr inf`` adds no noise.  A recording's noise depends on its name and the seed alone.
"""

from __future__ import annotations

import argparse
import math
import shutil
import zlib
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import butter, resample_poly, sosfiltfilt

from aligner.corpus.audio import SUFFIXES

RATE, LINE = 16_000, 8_000  # Hz, of what is written and of the telephone
BAND = 300, 3400  # Hz
FRAME, QUIET = 0.02, 30.0  # s, dB below the loudest frame: what is not speech
MU = 255
TEXTS = (".txt", ".lab", ".textgrid", ".phn", ".wrd", ".csv", ".tsv", ".ctm", ".json")


def resampled(samples: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """At another rate, along the first axis."""
    common = math.gcd(rate, wanted)
    return resample_poly(samples, wanted // common, rate // common, axis=0)


def through_band(samples: np.ndarray) -> np.ndarray:
    """Filtered forwards and backwards, so that nothing moves."""
    return sosfiltfilt(butter(4, BAND, "bandpass", fs=LINE, output="sos"), samples, axis=0, padlen=0)


def noise(kind: str, count: int, draw: np.random.Generator) -> np.ndarray:
    """White noise, or pink: 3 dB less an octave."""
    white = draw.standard_normal(count)
    if kind == "white":
        return white
    spectrum = np.fft.rfft(white)
    return np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 1)), count)


def speech_power(samples: np.ndarray) -> float:
    """Mean power of the frames that are within 30 dB of the loudest."""
    size = round(FRAME * LINE)
    power = np.mean(np.square(samples[: len(samples) // size * size].reshape(-1, size)), axis=1)
    return float(power[power >= power.max() * 10 ** (-QUIET / 10)].mean()) if len(power) else 0.0


def companded(samples: np.ndarray) -> np.ndarray:
    """Coded in 8 bits by mu-law and decoded."""
    code = np.round(127 * np.sign(samples) * np.log1p(MU * np.abs(samples)) / np.log1p(MU)) / 127
    return np.sign(code) * np.expm1(np.abs(code) * np.log1p(MU)) / MU


def over_telephone(
    samples: np.ndarray, rate: int, snr: float, kind: str, draw: np.random.Generator
) -> np.ndarray:
    """One channel, at 16 kHz."""
    speech = through_band(resampled(samples, rate, LINE))
    added = through_band(noise(kind, len(speech), draw))
    line = speech + added * np.sqrt(speech_power(speech) / np.mean(added**2) / 10 ** (snr / 10))
    heard = resampled(companded(line / max(1.0, np.abs(line).max())), LINE, RATE)
    length = round(len(samples) * RATE / rate)
    return np.pad(heard, (0, max(0, length - len(heard))))[:length]


def convert(source: Path, target: Path, snr: float, kind: str, seed: list[int]) -> None:
    samples, rate = soundfile.read(source, always_2d=True)
    draw = np.random.default_rng(seed)
    channels = [over_telephone(c, rate, snr, kind, draw) if len(c) else c for c in samples.T]
    soundfile.write(target, np.clip(np.stack(channels, 1), -1, 1), RATE, subtype="PCM_16")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--snr", type=float, default=10.0)
    parser.add_argument("--noise", choices=("pink", "white"), default="pink")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if given.out.resolve().is_relative_to(given.corpus.resolve()):
        parser.error("OUT lies in CORPUS")
    recordings = 0
    for path in sorted(p for p in given.corpus.rglob("*") if p.is_file()):
        name = path.relative_to(given.corpus)
        (given.out / name).parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() in SUFFIXES:
            seed = [given.seed, zlib.crc32(name.with_suffix("").as_posix().encode())]
            convert(path, given.out / name.with_suffix(".wav"), given.snr, given.noise, seed)
            recordings += 1
        elif path.suffix.lower() in TEXTS:
            shutil.copyfile(path, given.out / name)
    print(f"{recordings} recordings in {given.out}")


if __name__ == "__main__":
    main()
