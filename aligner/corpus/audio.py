"""Recordings are read as waveforms at the rate that a model needs, 16 kHz as a rule."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from aligner.types import SAMPLE_RATE, DataError, Fault, Utterance

SUFFIXES = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".au")
SILENT_PEAK = 1e-4  # of full scale; below it everywhere there is nothing to align (-80 dB)
FAINT_PEAK = 0.05  # of full scale; below it everywhere nothing can be said of clipping
CLIPPED_RUN = 3  # samples in a row at the greatest magnitude
END_SLACK = 0.1  # s that an utterance may end behind its recording: rounding in the transcript
UNKNOWN_SIZE = 0x7FFFF000  # a RIFF size from here up means that the writer did not know it


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


def read(utterance: Utterance, rate: int = SAMPLE_RATE, silence: bool = False) -> Sound:
    """Read the samples of an utterance: mono, at ``rate`` Hz; ``silence`` says whether they may be silent
    throughout.

    Raises
    ------
    DataError
        If the recording is missing, empty, truncated, not audio, silent throughout or holds NaN, or
        has not the channel or the stretch that the utterance names.
    """
    if isinstance(utterance.audio, np.ndarray):
        samples, own_rate, total, start = _from_array(utterance)
    else:
        samples, own_rate, total, start = _from_file(utterance.audio, utterance)
    where = utterance.file or utterance.id
    if not len(samples):
        raise DataError(where, "the recording is empty", "record or copy it again", fault=Fault.UNREADABLE)
    if not np.isfinite(samples).all():
        raise DataError(
            where,
            "the recording holds samples that are not numbers (NaN or infinite)",
            "export it again as 16-bit audio",
            fault=Fault.UNREADABLE,
        )
    if not silence and np.abs(samples).max() < SILENT_PEAK:
        raise DataError(
            where, "the recording is silent throughout", "check the channel and the level", fault=Fault.SILENT
        )
    end = start + len(samples)
    return Sound(
        wave=_resample(samples, own_rate, rate),
        start=start / own_rate,
        end=end / own_rate,
        duration=total / own_rate,
        clipped=clipped(samples),
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


def frames_in(path: Path) -> tuple[int, int]:
    """Return how many sample frames a recording's header gives, at its own rate and at 16 kHz; 0 where it
    cannot be opened.
    """
    try:
        info = soundfile.info(str(path))
    except (soundfile.LibsndfileError, OSError, UnicodeError):
        return 0, 0
    return int(info.frames), round(info.frames * SAMPLE_RATE / info.samplerate)


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
        return samples.mean(1) if samples.shape[1] > 1 else samples[:, 0]
    if utterance.channel >= samples.shape[1]:
        raise DataError(
            utterance.file or utterance.id,
            f"channel {utterance.channel + 1} is asked for; there are {samples.shape[1]}",
            "correct the transcript",
            fault=Fault.BAD_TRANSCRIPT,
        )
    return samples[:, utterance.channel]


def _from_array(utterance: Utterance) -> tuple[np.ndarray, int, int, int]:
    samples = np.asarray(utterance.audio)
    if samples.ndim not in (1, 2) or samples.dtype.kind not in "iuf":
        raise DataError(
            utterance.id,
            f"samples of shape {samples.shape} and type {samples.dtype}",
            "give numbers, (N,) or (N, channels)",
            fault=Fault.UNREADABLE,
        )
    if utterance.rate <= 0:
        raise DataError(
            utterance.id,
            f"a sample rate of {utterance.rate} Hz",
            "give samples per second",
            fault=Fault.UNREADABLE,
        )
    if samples.dtype.kind in "iu":
        full_scale = 2.0 ** (8 * samples.dtype.itemsize - 1)
        samples = samples / full_scale - (samples.dtype.kind == "u")
    samples = samples.astype(np.float32).reshape(len(samples), -1 if samples.size else 1)
    first, last = _stretch(utterance, utterance.rate, len(samples)) if len(samples) else (0, 0)
    return _channel(samples[first:last], utterance), utterance.rate, len(samples), first


def _from_file(path: Path, utterance: Utterance) -> tuple[np.ndarray, int, int, int]:
    where = str(path)
    check_there(path)
    try:
        check_riff(path)
        with soundfile.SoundFile(where) as file:
            if not file.frames:
                raise DataError(
                    where, "the recording is empty", "record or copy it again", fault=Fault.UNREADABLE
                )
            first, last = _stretch(utterance, file.samplerate, file.frames)
            file.seek(first)
            samples = file.read(last - first, dtype="float32", always_2d=True)
            rate, total = file.samplerate, file.frames
    except (soundfile.LibsndfileError, OSError) as error:
        raise unreadable(path, error) from error
    if len(samples) < last - first:
        raise DataError(
            where,
            f"the recording is truncated: {first + len(samples)} of {total} samples are there",
            "copy it again",
            fault=Fault.TRUNCATED,
        )
    return _channel(samples, utterance), rate, total, first


def check_there(path: Path) -> None:
    """Raise DataError where there is no recording, or nothing in it."""
    if not path.is_file():
        raise DataError(
            path, "the recording is not there", "check its name and place", fault=Fault.UNREADABLE
        )
    if path.stat().st_size == 0:
        raise DataError(
            path, "the recording is empty (0 bytes)", "record or copy it again", fault=Fault.UNREADABLE
        )


def unreadable(path: Path, error: Exception) -> DataError:
    """Return the error for a recording that libsndfile cannot read, with libsndfile's own words."""
    reason = str(getattr(error, "error_string", error)).rstrip(".")
    return DataError(
        path,
        f"the recording cannot be read ({reason})",
        "it is damaged, or not audio",
        fault=Fault.UNREADABLE,
    )


def check_riff(path: Path) -> None:
    """Raise DataError for a WAV file that is shorter than its data chunk says, which libsndfile does not
    report.
    """
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return
        size = path.stat().st_size
        while len(chunk := file.read(8)) == 8:
            name, length = chunk[:4], struct.unpack("<I", chunk[4:])[0]
            if name == b"data":
                if UNKNOWN_SIZE > length > size - file.tell():
                    raise DataError(
                        path,
                        f"the recording is truncated: {size - file.tell()} of {length} bytes of "
                        "sound are there",
                        "copy it again",
                        fault=Fault.TRUNCATED,
                    )
                return
            file.seek(length + length % 2, 1)


def _resample(samples: np.ndarray, own_rate: int, rate: int) -> np.ndarray:
    if own_rate == rate:
        return np.ascontiguousarray(samples, dtype=np.float32)
    import librosa  # takes a while to import, and most corpora are at 16 kHz

    return np.asarray(
        librosa.resample(samples, orig_sr=own_rate, target_sr=rate, res_type="soxr_hq"), np.float32
    )
