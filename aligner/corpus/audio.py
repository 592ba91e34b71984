"""Recordings are read as waveforms at the rate that a model needs, 16 kHz as a rule."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import cast

import numpy as np

from aligner.corpus import dead, ffmpeg
from aligner.corpus.cuts import NOTHING_CUT, Cuts
from aligner.corpus.listening import as_heard
from aligner.corpus.margins import with_margins
from aligner.corpus.recordings import MOST_FRAMES, decoded, opened, sound_file
from aligner.corpus.samples import as_samples, is_samples
from aligner.types import SAMPLE_RATE, DataError, Fault, Utterance

OWN_SUFFIXES = (
    *(".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".au", ".wave", ".bwf", ".w64"),
    *(".rf64", ".caf", ".aifc", ".aiffc", ".snd", ".sph", ".nist", ".mp2", ".mpga", ".voc"),
)
SUFFIXES = (*OWN_SUFFIXES, *ffmpeg.SUFFIXES)  # of two files of one stem the first kind counts
SUFFIXES_SAID = "recordings end in .wav, .flac, .mp3, .ogg, .m4a, .mp4 or the like (see docs/corpora.md)"
# what no program reads without being told more, or not at all; each with what to do
UNREAD = {
    ".raw": "say what its samples are: ffmpeg -f s16le -ar 16000 -ac 1 -i {name} {wav}",
    ".pcm": "say what its samples are: ffmpeg -f s16le -ar 16000 -ac 1 -i {name} {wav}",
    ".m4p": "it is locked: record or export it without protection",
    ".aax": "it is locked: record or export it without protection",
    ".ds2": "export it as a .wav by the dictation program",
}
SILENT_PEAK = 1e-4  # of full scale; below it everywhere there is nothing to align (-80 dB)
SILENT_FINE_PEAK = 1e-6  # the same of what holds sound far below a step of 16 bits (-120 dB)
FAINT_PEAK = 0.05  # of full scale; below it everywhere nothing can be said of clipping
CLIPPED_RUN = 3  # samples in a row at the greatest magnitude
END_SLACK = 0.1  # s that an utterance may end behind its recording: rounding in the transcript
# of the power that channels would have in their mean if nothing of them were alike; below it they cancel
CANCELLED = 0.2


class Rests(Enum):
    """What becomes of dead sound when a recording is read (see `aligner.corpus.dead`)."""

    KEPT = "kept"
    """It stays as it is."""
    FILLED = "filled"
    """It is filled with the recording's own background."""
    CUT = "cut"
    """Long stretches are left out, and what stays of them is filled."""


@dataclass(frozen=True, kw_only=True)
class Sound:
    """The samples of a stretch of a recording, and where it lies."""

    wave: np.ndarray
    """The samples (N,) float32, mono, at the rate that was asked for."""
    start: float
    """Where the stretch begins in its recording, in seconds."""
    end: float
    """Where it ends, in seconds."""
    duration: float
    """Length of the whole recording, in seconds."""
    clipped: float = 0.0
    """Share of the samples that are cut off, from 0 to 1, before any change of rate."""
    cuts: Cuts = NOTHING_CUT
    """What was left out of the samples, for it is dead sound."""


def recordings_of(files: Iterable[Path]) -> list[Path]:
    """Return those of some files that are recordings, but no video beside its sound under the same name.

    Examples
    --------
    >>> [p.name for p in recordings_of(map(Path, ["a.wav", "a.mp4", "b.MP4", "b.lab"]))]
    ['a.wav', 'b.MP4']
    """
    found = [p for p in files if p.suffix.lower() in SUFFIXES]
    sounds = {p.with_suffix("") for p in found if p.suffix.lower() in OWN_SUFFIXES}
    return [p for p in found if p.suffix.lower() in OWN_SUFFIXES or p.with_suffix("") not in sounds]


def unread(path: Path) -> tuple[str, str]:
    """Return what is wrong with a recording of a kind in `UNREAD`, and what to do."""
    name, wav = shlex.quote(path.name), shlex.quote(f"{path.stem}.wav")
    rule = f"recordings of the kind {path.suffix} cannot be read"
    return rule, UNREAD[path.suffix.lower()].format(name=name, wav=wav)


def read(
    utterance: Utterance,
    rate: int = SAMPLE_RATE,
    silence: bool = False,
    rests: Rests = Rests.KEPT,
    levelled: bool = True,
) -> Sound:
    """Read the samples of an utterance: mono, at ``rate`` Hz; ``silence`` says whether they may be silent
    throughout, ``rests`` what becomes of dead sound.

    Unless that is kept, a model is going to hear them: with the upper half of their spectrum and, where
    ``levelled``, at a usual level (see `aligner.corpus.listening`) and, where rests are cut, with as much of
    an empty room at both ends as everywhere (see `aligner.corpus.margins`): for both the whole recording has
    to be known.  What is much softer than the speech around it is background then (see
    `aligner.corpus.dead.hushed`).

    Raises
    ------
    DataError
        If the recording is missing, empty, truncated, not audio, silent throughout or holds NaN, or
        has not the channel or the stretch that the utterance names.
    """
    where = utterance.file or utterance.id
    if is_samples(utterance.audio):
        samples, own_rate, total, start, fine = _from_samples(utterance, where)
    else:
        samples, own_rate, total, start, fine = _from_file(Path(cast(Path, utterance.audio)), utterance)
    if not len(samples):
        raise DataError(where, "the recording is empty", "record or copy it again", fault=Fault.UNREADABLE)
    if not np.isfinite(samples).all():
        raise DataError(
            where,
            "the recording holds samples that are not numbers (NaN or infinite)",
            "export it again as 16-bit audio",
            fault=Fault.UNREADABLE,
        )
    heard = dead.Lively.whole(samples)
    if rests is not Rests.KEPT:
        heard = dead.lively(samples, own_rate, cut=rests is Rests.CUT)
    if not silence and (is_silent(samples, fine) or not len(heard.stretches)):
        raise DataError(
            where, "the recording is silent throughout", "check the channel and the level", fault=Fault.SILENT
        )
    wave = _resample(heard.samples, own_rate, rate)
    if rests is Rests.CUT and levelled and len(heard.stretches):
        # at the rate that is heard: of a copy at another one, margins are made of the same noise
        heard = with_margins(heard._replace(samples=wave), rate)
        wave = heard.samples
    if rests is not Rests.KEPT and len(heard.stretches):
        wave = dead.hushed(wave, rate)
    return Sound(
        wave=wave if rests is Rests.KEPT or not len(heard.stretches) else as_heard(wave, rate, levelled),
        start=start / own_rate,
        end=(start + len(samples)) / own_rate,
        duration=total / own_rate,
        clipped=clipped(heard.live(samples)) if len(heard.stretches) else 0.0,
        cuts=heard.cuts,
    )


def clipped(samples: np.ndarray) -> float:
    """Return the share of ``samples`` (N,) that are cut off: in rows of at least `CLIPPED_RUN` at the
    greatest magnitude.

    Wherever the level was cut, full scale or below (a recording may have been made softer since); faint
    recordings are spared, in which a few steps of the converter make rows by themselves.

    Examples
    --------
    >>> clipped(np.array([0.0, 0.9, 0.9, 0.9, 0.0, -0.9, 0.0, 0.9, 0.0, 0.1]))
    0.3
    """
    magnitudes = np.abs(samples)
    most = magnitudes.max()
    if most < FAINT_PEAK:
        return 0.0
    at_most = np.concatenate([[False], magnitudes >= most - 0.5 / 2**15, [False]])
    edges = np.flatnonzero(np.diff(at_most))
    lengths = edges[1::2] - edges[::2]
    return float(lengths[lengths >= CLIPPED_RUN].sum() / len(samples))


def is_silent(samples: np.ndarray, fine: bool = True) -> bool:
    """Return whether nothing is heard in ``samples`` (N,): they hardly leave one level, wherever that lies.

    ``fine`` says that they hold sound far below a step of 16 bits, such as floats do.
    """
    swing = (float(samples.max()) - float(samples.min())) / 2 if len(samples) else 0.0
    return swing < (SILENT_FINE_PEAK if fine else SILENT_PEAK)


def mixed(samples: np.ndarray) -> np.ndarray:
    """Return the mean (N,) of channels (N, channels); those of opposite polarity are turned over first.

    Where one channel was wired the wrong way, the plain mean cancels speech.

    Examples
    --------
    >>> mixed(np.array([[0.5, -0.5], [0.25, -0.25]]))
    array([0.5 , 0.25])
    """
    if samples.shape[1] == 1:
        return samples[:, 0]
    mean = np.asarray(samples.mean(1))
    if not len(samples):
        return mean
    centred = samples - samples.mean(0)
    alike = centred.T @ centred
    powers = alike.diagonal()
    if centred.mean(1) @ centred.mean(1) >= CANCELLED * powers.sum() / len(powers) ** 2:
        return mean
    turned = np.where(alike[powers.argmax()] < 0, -1, 1).astype(samples.dtype)
    return np.asarray((samples * turned).mean(1))


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What a recording's header says of it."""

    rate: int
    """Samples a second."""
    channels: int
    """Number of channels."""
    frames: int
    """Samples in each channel; a guess where the header has none."""


def shape_of(path: Path) -> Shape:
    """Return a recording's rate, channels and length without reading its sound.

    Raises
    ------
    DataError
        If it cannot be opened.
    """
    file = sound_file(path)
    if file is None:
        probed = ffmpeg.probe(path)
        if probed is not None and probed.seconds:
            frames = round(probed.seconds * probed.rate)
            return Shape(rate=probed.rate, channels=probed.channels, frames=frames)
        whole = decoded(path)
        return Shape(rate=whole.rate, channels=whole.channels, frames=whole.frames)
    with file:
        shape = Shape(rate=file.samplerate, channels=file.channels, frames=file.frames)
    return shape if shape.frames < MOST_FRAMES else replace(shape, frames=decoded(path).frames)


def seconds_of(path: Path) -> float:
    """Return how long a recording is to the last sample, in s; 0 where it cannot be read."""
    try:
        with opened(path) as recording:
            return recording.frames / recording.rate
    except DataError:
        return 0.0


def frames_in(path: Path) -> tuple[int, int]:
    """Return how many sample frames a recording's header gives, at its own rate and at 16 kHz; 0 where it
    cannot be opened.
    """
    try:
        shape = shape_of(path)
    except DataError:
        return 0, 0
    return shape.frames, round(shape.frames * SAMPLE_RATE / shape.rate)


def _stretch(utterance: Utterance, rate: int, total: int) -> tuple[int, int]:
    """Return the first and last sample of an utterance in a recording of ``total`` samples."""
    where = utterance.file or utterance.id
    duration = total / rate
    ends = duration if utterance.end is None else utterance.end
    if not 0 <= utterance.start < min(ends, duration) or ends > duration + END_SLACK:
        raise DataError(
            where,
            f"the utterance ({utterance.start:g} to {ends:g} s) does not lie in the recording of "
            f"{duration:g} s",
            "correct its times",
            fault=Fault.BAD_TIMES,
        )
    end = total if utterance.end is None else min(round(utterance.end * rate), total)
    return round(utterance.start * rate), end


def _channel(samples: np.ndarray, utterance: Utterance) -> np.ndarray:
    if utterance.channel is None:
        return mixed(samples)
    if utterance.channel >= samples.shape[1]:
        raise DataError(
            utterance.file or utterance.id,
            f"channel {utterance.channel + 1} is asked for; there are {samples.shape[1]}",
            "correct the transcript",
            fault=Fault.BAD_TRANSCRIPT,
        )
    return samples[:, utterance.channel]


def _from_samples(utterance: Utterance, where: str) -> tuple[np.ndarray, int, int, int, bool]:
    given = as_samples(utterance.audio, utterance.rate, where)
    total = len(given.values)
    first, last = _stretch(utterance, given.rate, total) if total else (0, 0)
    return _channel(given.values[first:last], utterance), given.rate, total, first, given.fine


def _from_file(path: Path, utterance: Utterance) -> tuple[np.ndarray, int, int, int, bool]:
    with opened(path) as recording:
        first, last = _stretch(utterance, recording.rate, recording.frames)
        samples = recording.read(first, last)
        return (
            _channel(samples, utterance),
            recording.rate,
            recording.frames,
            first,
            recording.fine,
        )


def _resample(samples: np.ndarray, own_rate: int, rate: int) -> np.ndarray:
    if own_rate == rate:
        return np.ascontiguousarray(samples, dtype=np.float32)
    import librosa  # takes a while to import, and most corpora are at 16 kHz

    return np.asarray(
        librosa.resample(samples, orig_sr=own_rate, target_sr=rate, res_type="soxr_hq"), np.float32
    )
