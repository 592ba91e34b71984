"""Recordings that are still coming in, as pieces of mono samples: from a file, a stream of bytes or a
microphone.
"""

from __future__ import annotations

import queue
import signal
import threading
import time
import wave
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

import numpy as np

from aligner.corpus.audio import mixed
from aligner.corpus.recordings import opened
from aligner.types import DataError, Fault

Pieces = Iterator[np.ndarray]  # (N,) float32, mono, full scale 1


def resampled(pieces: Iterable[np.ndarray], own_rate: int, rate: int) -> Pieces:
    """Yield pieces at another rate; what the filter still holds comes last."""
    if own_rate == rate:
        yield from pieces
        return
    import soxr

    change = soxr.ResampleStream(own_rate, rate, 1, dtype="float32", quality="HQ")
    for piece in pieces:
        yield change.resample_chunk(piece)
    yield change.resample_chunk(np.empty(0, np.float32), last=True)


def of_file(path: Path, rate: int, seconds: float) -> Pieces:
    """Return a recording in pieces of ``seconds``, its channels mixed, at ``rate`` Hz.

    Raises
    ------
    DataError
        If it is missing, empty, truncated or not audio.
    """
    with opened(path) as recording:  # what is wrong with it is said here, and not when it is half read
        own_rate = recording.rate
    return resampled(_blocks(path, max(1, round(seconds * own_rate))), own_rate, rate)


def _blocks(path: Path, size: int) -> Pieces:
    with opened(path) as recording:
        for first in range(0, recording.frames, size):
            yield mixed(recording.read(first, min(first + size, recording.frames)))


def of_bytes(
    stream: BinaryIO, own_rate: int, rate: int, seconds: float, where: str = "standard input"
) -> Pieces:
    """Yield pieces of raw 16-bit little-endian mono samples at ``own_rate`` Hz, or of a WAV file, whose
    header gives its rate.

    Raises
    ------
    DataError
        If the header is not of a WAV file with whole numbers.
    """
    head = _exactly(stream, 4)
    if head != b"RIFF":
        yield from resampled(
            _pcm(_Ahead(head, stream), max(1, round(seconds * own_rate)), 1, 2), own_rate, rate
        )
        return
    try:
        file = wave.Wave_read(cast(IO[bytes], _Ahead(head, stream)))
    except (wave.Error, EOFError) as error:
        raise DataError(
            where,
            f"a WAV header that is not understood ({error or 'it ends early'})",
            "send whole numbers (PCM), or raw 16-bit samples",
            fault=Fault.UNREADABLE,
        ) from error
    channels, width, own_rate = file.getnchannels(), file.getsampwidth(), file.getframerate()
    size = max(1, round(seconds * own_rate))
    yield from resampled(_pcm(_Data(file), size, channels, width), own_rate, rate)


def _exactly(stream: Any, count: int) -> bytes:
    """Read ``count`` bytes, or those until the end: a pipe may give fewer at a time."""
    parts: list[bytes] = []
    while count > 0 and (part := stream.read(count)):
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


class _Ahead:
    """A stream whose first bytes were read already."""

    def __init__(self, head: bytes, stream: BinaryIO) -> None:
        self.head, self.stream = head, stream

    def read(self, count: int) -> bytes:
        head, self.head = self.head[:count], self.head[count:]
        return head + _exactly(self.stream, count - len(head))


class _Data:
    """The samples of a WAV file, as a stream of bytes."""

    def __init__(self, file: wave.Wave_read) -> None:
        self.file, self.frame = file, file.getnchannels() * file.getsampwidth()

    def read(self, count: int) -> bytes:
        return self.file.readframes(count // self.frame)


def _pcm(stream: _Ahead | _Data, size: int, channels: int, width: int) -> Pieces:
    """Yield pieces of ``size`` sample frames, of ``width`` bytes a sample; a sample that ends early is left
    out.
    """
    frame = channels * width
    while raw := stream.read(size * frame):
        yield _samples(raw[: len(raw) // frame * frame], width).reshape(-1, channels).mean(1)


def _samples(raw: bytes, width: int) -> np.ndarray:
    """Convert whole numbers of 1 (unsigned), 2, 3 or 4 bytes to float32, full scale 1."""
    if width == 1:
        return np.frombuffer(raw, np.uint8).astype(np.float32) / 128 - 1
    if width == 3:
        wide = np.zeros((len(raw) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(raw, np.uint8).reshape(-1, 3)
        raw, width = wide.tobytes(), 4
    return (np.frombuffer(raw, f"<i{width}") / 2.0 ** (8 * width - 1)).astype(np.float32)


def of_microphone(rate: int, seconds: float) -> Pieces:
    """Yield pieces from the microphone, from the moment that the first is asked for, without an end.

    Raises
    ------
    DataError
        If the package for it is missing, or there is no microphone.
    """
    try:
        import sounddevice
    except ImportError as error:
        raise DataError(
            "--mic", "the package sounddevice is missing", "pip install 'aligner[mic]'", fault=Fault.CALL
        ) from error
    except OSError as error:
        raise DataError(
            "--mic",
            f"sounddevice does not work here ({error})",
            "install PortAudio (on Debian: apt install libportaudio2)",
            fault=Fault.CALL,
        ) from error
    heard: queue.SimpleQueue[np.ndarray] = queue.SimpleQueue()

    def take(samples: np.ndarray, *_: object) -> None:
        heard.put(samples[:, 0].copy())

    try:
        line = sounddevice.InputStream(
            samplerate=rate,
            channels=1,
            dtype="float32",
            blocksize=max(1, round(seconds * rate)),
            callback=take,
        )
    except (sounddevice.PortAudioError, ValueError) as error:
        raise DataError(
            "--mic",
            f"the microphone cannot be opened ({error})",
            "check the system's sound input",
            fault=Fault.CALL,
        ) from error
    return pieces_of_line(line, heard)


def pieces_of_line(line: Any, heard: queue.SimpleQueue[np.ndarray]) -> Pieces:
    """Yield the pieces of an open line of sound."""
    with line:
        while True:
            yield heard.get()


def paced(
    pieces: Iterable[np.ndarray],
    rate: int,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Pieces:
    """Yield pieces in real time: each when its last sample would have been recorded."""
    began, samples = clock(), 0
    for piece in pieces:
        samples += len(piece)
        sleep(max(0.0, began + samples / rate - clock()))
        yield piece


def until_interrupted(pieces: Pieces) -> Pieces:
    """Yield pieces until there are no more, or Ctrl-C was pressed: that ends the input, and never the work on
    a piece.
    """
    if threading.current_thread() is not threading.main_thread():
        yield from pieces  # signals reach the main thread only
        return
    pressed, waiting = False, False

    def press(*_: object) -> None:
        nonlocal pressed
        pressed = True
        if waiting:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, press)
    try:
        while not pressed:
            try:
                waiting = True
                piece = next(pieces)
            except (StopIteration, KeyboardInterrupt):
                return
            finally:
                waiting = False
            yield piece
    finally:
        signal.signal(signal.SIGINT, before)
