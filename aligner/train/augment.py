"""Speech spoilt as the world spoils it: noise, rooms, music, other voices, telephones, levels.

A network that learns from clean speech alone believes its features where there is noise; one that hears the
same sentences spoilt in many ways learns what stays (multi-condition training; Lippmann, Martin & Paul 1987;
Ko et al. 2017 for rooms).  Nothing here moves a sound in time, so labels of the clean recording hold: the
direct sound of a room comes first and at once, and filters are of no phase.

All is made from random numbers, but for voices, and for music where recordings of it are given.  Waves are
(N,) float32 of full scale 1 at 16 kHz.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from aligner.types import SAMPLE_RATE

Wave = np.ndarray
LEAST_POWER = 1e-12
ROOM_FADE = 3.0  # decades of amplitude that a room loses in its reverberation time: 60 dB
QUIETEST_PEAK = -40.0  # dB below full scale that the loudest sample of a spoilt recording may have


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """How often, and how much, speech is spoilt; ratios are of speech to what is added, in dB."""

    shares: tuple[tuple[str, float], ...] = (
        ("noise", 0.28),
        ("room", 0.25),
        ("music", 0.15),
        ("voices", 0.12),
        ("room and noise", 0.14),
        ("telephone", 0.06),
    )
    """How often each kind is chosen."""
    noise: tuple[float, float] = (-2.0, 20.0)
    """Least and greatest ratio of speech to noise."""
    music: tuple[float, float] = (2.0, 18.0)
    """The same to music."""
    voices: tuple[float, float] = (6.0, 20.0)
    """The same to other voices."""
    line: tuple[float, float] = (10.0, 30.0)
    """The same to the noise of a telephone line."""
    reverberation: tuple[float, float] = (0.15, 0.8)
    """Shortest and longest reverberation time of a room, in seconds."""

    def __post_init__(self) -> None:
        if unknown := [name for name, _ in self.shares if name not in KINDS]:
            raise ValueError(f"condition {unknown[0]!r}, not one of {', '.join(KINDS)}")


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What is heard beside speech."""

    voices: Sequence[Wave] = field(default_factory=tuple)
    """Recordings of other speakers; without any there are no voices, but noise."""
    music: Sequence[Wave] = field(default_factory=tuple)
    """Recordings of music; without any it is made of chords."""


def spoilt(
    wave: Wave,
    rng: np.random.Generator,
    surroundings: Surroundings | None = None,
    conditions: Conditions | None = None,
) -> Wave:
    """A recording as it sounds somewhere else, at some other level.

    Parameters
    ----------
    wave : ndarray
        (N,) float32.
    rng : Generator
        All choices come from here.
    surroundings : Surroundings, optional
    conditions : Conditions, optional

    Returns
    -------
    ndarray
        (N,) float32; its times are those of the recording.

    Examples
    --------
    >>> speech = np.sin(np.arange(16000) / 20).astype(np.float32)
    >>> spoilt(speech, np.random.default_rng(0)).shape
    (16000,)
    """
    around, how = surroundings or Surroundings(), conditions or Conditions()
    names, shares = zip(*how.shares, strict=True)
    kind = names[int(rng.choice(len(names), p=np.array(shares) / sum(shares)))]
    return levelled(KINDS[kind](wave, rng, around, how), rng)


def levelled(wave: Wave, rng: np.random.Generator) -> Wave:
    """A wave (N,) with its loudest sample at a random level below full scale.

    Examples
    --------
    >>> bool(0.01 <= abs(levelled(np.array([0.5, -2.0]), np.random.default_rng(0))).max() <= 1.0)
    True
    """
    peak = 10 ** (rng.uniform(QUIETEST_PEAK, 0.0) / 20)
    scaled: Wave = (wave * (peak / max(float(np.abs(wave).max(initial=0.0)), 1e-9))).astype(np.float32)
    return scaled


def mixed(wave: Wave, other: Wave, ratio: float) -> Wave:
    """A wave (N,) with another one added, whose power is ``ratio`` dB below its own.

    Examples
    --------
    >>> mixed(np.array([1.0, -1.0]), np.array([5.0, 5.0]), 20.0).round(3).tolist()
    [1.1, -0.9]
    """
    gain = rms(wave) / rms(other) * 10 ** (-ratio / 20)
    return wave + other * gain


def rms(wave: Wave) -> float:
    """Root of the mean square of a wave (N,)."""
    return float(np.sqrt(np.mean(np.square(wave, dtype=np.float64)) + LEAST_POWER))


def noise(count: int, rng: np.random.Generator) -> Wave:
    """Noise (count,) of some colour: fading with frequency, louder in some bands, swelling, humming or with
    knocks.
    """
    hertz = np.linspace(1.0, SAMPLE_RATE / 2, count // 2 + 1)
    colour = hertz ** rng.uniform(-0.9, 0.2)
    for _ in range(int(rng.integers(4))):
        middle, width = rng.uniform(50, 7000), rng.uniform(50, 1500)
        colour *= 1 + rng.uniform(0, 6) * np.exp(-np.square((hertz - middle) / width))
    made = np.fft.irfft(np.fft.rfft(rng.standard_normal(count)) * colour, count)
    if rng.random() < 0.4:
        made *= _swelling(count, rng)
    made /= rms(made)
    if rng.random() < 0.25:
        made += rng.uniform(0.3, 2.0) * hum(count, rng)
    if rng.random() < 0.2:
        made += knocks(count, rng)
    return made


def _swelling(count: int, rng: np.random.Generator) -> np.ndarray:
    """Loudness (count,) that changes ten times a second."""
    corners = np.arange(0, count + SAMPLE_RATE // 10, SAMPLE_RATE // 10)
    return np.interp(np.arange(count), corners, rng.uniform(0.2, 1.5, len(corners)))


def hum(count: int, rng: np.random.Generator) -> Wave:
    """A tone (count,) of mains or machines, with some overtones."""
    angle = 2 * np.pi * rng.uniform(45, 400) * np.arange(count) / SAMPLE_RATE
    overtones = range(1, int(rng.integers(2, 8)))
    made: Wave = np.sum([np.sin(k * angle + rng.uniform(0, 2 * np.pi)) / k for k in overtones], 0)
    return made


def knocks(count: int, rng: np.random.Generator) -> Wave:
    """Knocks and clicks (count,), some two a second."""
    made = np.zeros(count)
    for _ in range(int(rng.integers(1, 2 + count // (SAMPLE_RATE // 2)))):
        first = int(rng.integers(count))
        length = min(count - first, int(rng.integers(200, 3000)))
        fading = np.exp(-np.arange(length) / rng.uniform(50, 800))
        made[first : first + length] += rng.uniform(2, 8) * rng.standard_normal(length) * fading
    return made


def room_response(rng: np.random.Generator, reverberation: tuple[float, float]) -> np.ndarray:
    """What a room makes of a click: the click itself at once, some echoes, and a tail that fades.

    High frequencies fade sooner than low ones; the tail is from 10 dB weaker to 6 dB stronger than the
    direct sound (a statistical room: Moorer 1979).
    """
    time = rng.uniform(*reverberation)
    seconds = np.arange(int(SAMPLE_RATE * min(1.2 * time, 0.9))) / SAMPLE_RATE
    low = lowpass(rng.standard_normal(len(seconds)), rng.uniform(800, 3000))
    high = rng.standard_normal(len(seconds))
    slow, quick = time * rng.uniform(0.9, 1.3), time * rng.uniform(0.4, 0.9)
    tail = low * 10 ** (-ROOM_FADE * seconds / slow)
    tail += (high - low) * 10 ** (-ROOM_FADE * seconds / quick)
    tail[seconds < rng.uniform(0.001, 0.012)] = 0
    response: np.ndarray = tail / (rms(tail) * np.sqrt(len(tail))) * 10 ** (rng.uniform(-10, 6) / 20)
    for at in rng.uniform(0.0008, 0.03, int(rng.integers(3, 9))):
        response[int(SAMPLE_RATE * at)] += rng.uniform(-0.6, 0.6)
    response[0] = 1.0
    return response


def lowpass(wave: Wave, corner: float) -> Wave:
    """A wave (N,) without what is above a corner (Hz), which falls as one pole does, without any delay."""
    hertz = np.fft.rfftfreq(len(wave), 1 / SAMPLE_RATE)
    return np.fft.irfft(np.fft.rfft(wave) / np.sqrt(1 + np.square(hertz / corner)), len(wave))


def chords(count: int, rng: np.random.Generator) -> Wave:
    """Music (count,) of a sort: chords of plucked or held tones, a few a second, over a beat."""
    made = np.zeros(count)
    first = 0
    beat = rng.uniform(0.15, 0.6)
    while first < count:
        length = min(int(SAMPLE_RATE * beat * int(rng.integers(1, 4))), count - first)
        seconds = np.arange(length) / SAMPLE_RATE
        fading = np.exp(-seconds * rng.uniform(0.5, 8.0)) * np.minimum(seconds / 0.01, 1.0)
        root = 55.0 * 2 ** (rng.integers(0, 36) / 12)
        for step in rng.choice([0, 3, 4, 7, 12, 16, 19], int(rng.integers(1, 5)), replace=False):
            angle = 2 * np.pi * root * 2 ** (step / 12) * seconds
            weights = rng.uniform(0, 1, 8) / np.arange(1, 9) ** rng.uniform(0.3, 2.0)
            made[first : first + length] += fading * (weights @ np.sin(np.outer(np.arange(1, 9), angle)))
        if rng.random() < 0.4:  # a drum
            strike = rng.standard_normal(length) * np.exp(-seconds * rng.uniform(15, 80))
            made[first : first + length] += rng.uniform(0.2, 2.0) * strike
        first += length
    return made


def stretch_of(waves: Sequence[Wave], count: int, rng: np.random.Generator) -> Wave:
    """A stretch (count,) of one of some recordings, which is repeated where it is shorter."""
    wave = waves[int(rng.integers(len(waves)))]
    tiled = np.tile(wave, count // len(wave) + 2)
    first = int(rng.integers(len(tiled) - count))
    return tiled[first : first + count]


def _noisy(wave: Wave, rng: np.random.Generator, around: Surroundings, how: Conditions) -> Wave:
    return mixed(wave, noise(len(wave), rng), rng.uniform(*how.noise))


def _in_room(wave: Wave, rng: np.random.Generator, around: Surroundings, how: Conditions) -> Wave:
    from scipy.signal import fftconvolve  # slow to import

    heard = fftconvolve(wave, room_response(rng, how.reverberation))[: len(wave)]
    scaled: Wave = heard * (rms(wave) / rms(heard))
    return scaled


def _with_music(wave: Wave, rng: np.random.Generator, around: Surroundings, how: Conditions) -> Wave:
    music = stretch_of(around.music, len(wave), rng) if around.music else chords(len(wave), rng)
    return mixed(wave, music, rng.uniform(*how.music))


def _among_voices(wave: Wave, rng: np.random.Generator, around: Surroundings, how: Conditions) -> Wave:
    if not around.voices:
        return _noisy(wave, rng, around, how)
    others = [stretch_of(around.voices, len(wave), rng) for _ in range(int(rng.integers(2, 8)))]
    return mixed(wave, np.sum([other / rms(other) for other in others], 0), rng.uniform(*how.voices))


def _noisy_room(wave: Wave, rng: np.random.Generator, around: Surroundings, how: Conditions) -> Wave:
    return _noisy(_in_room(wave, rng, around, how), rng, around, how)


def _by_telephone(wave: Wave, rng: np.random.Generator, around: Surroundings, how: Conditions) -> Wave:
    """Without what is below some 250 and above some 3,400 Hz, now and then in the 8 bits of the mu-law."""
    hertz = np.fft.rfftfreq(len(wave), 1 / SAMPLE_RATE)
    low, high = rng.uniform(150, 350), rng.uniform(3000, 3800)
    band = 1 / np.sqrt(1 + (low / np.maximum(hertz, 1.0)) ** 8) / np.sqrt(1 + (hertz / high) ** 16)
    line = np.fft.irfft(np.fft.rfft(wave) * band, len(wave))
    if rng.random() < 0.5:
        line = mu_law(line)
    return mixed(line, noise(len(line), rng), rng.uniform(*how.line))


def mu_law(wave: Wave) -> Wave:
    """A wave (N,) as it comes out of the 8 bits of the mu-law (ITU-T G.711), full scale being its peak.

    Examples
    --------
    >>> mu_law(np.array([1.0, 0.001, 0.0])).round(4).tolist()
    [1.0, 0.001, 0.0]
    """
    peak = max(float(np.abs(wave).max(initial=0.0)), 1e-9)
    steps = np.round(np.sign(wave) * np.log1p(255 * np.abs(wave) / peak) / np.log(256) * 127) / 127
    expanded: Wave = np.sign(steps) * (256 ** np.abs(steps) - 1) / 255 * peak
    return expanded


Spoil = Callable[[Wave, np.random.Generator, Surroundings, Conditions], Wave]
KINDS: dict[str, Spoil] = {
    "noise": _noisy,
    "room": _in_room,
    "music": _with_music,
    "voices": _among_voices,
    "room and noise": _noisy_room,
    "telephone": _by_telephone,
}
"""The ways in which speech is spoilt, by name."""
