"""Sound files of all kinds are opened as samples that can be had from any place of them.

libsndfile reads what it can seek in.  What it can only read from the beginning, and what only ffmpeg reads,
is decoded once into a temporary file, and kept for the next utterances of the same recording.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Protocol

import numpy as np
import soundfile

from aligner.corpus import ffmpeg, mpeg
from aligner.corpus.headers import Header, Rebuilt, header_of, wave_head
from aligner.types import DataError, Fault

MISSING_SLACK = 0.1  # s that may be missing at a recording's end
MISSING_SHARE = 0.01  # of a file that libsndfile cannot open, so that seconds are not known
BLOCK = 4096  # sample frames that are decoded at once
MOST_FRAMES = 1 << 40  # a header that gives more does not know
KEPT = 2  # decoded recordings
# kinds whose samples can be counted and sought; libsndfile errs in others, or cannot
SOUGHT = (
    *("PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"),
    *("VORBIS", "OPUS"),
)
# samples by which the sound of kinds whose files do not say so is late: MPEG's filters, and LAME's encoder
LATE = {"MPEG_LAYER_II": 481, "MPEG_LAYER_III": 1105}
ENCODER_LATE = 576  # of these by LAME alone: libsndfile leaves out the filters' where the length is said
FINE = ("PCM_24", "PCM_32", "FLOAT", "DOUBLE")  # kinds that hold sound far below a step of 16 bits
CONTAINERS = (b"OggS", b"RIFF", b"FORM", b"caff", b"\x1aE\xdf\xa3", b"0&\xb2u", b"#!AMR", b"ADIF")


class Recording(Protocol):
    """A recording whose samples can be read."""

    @property
    def rate(self) -> int:
        """Samples a second."""
        ...

    @property
    def channels(self) -> int:
        """Number of channels."""
        ...

    @property
    def frames(self) -> int:
        """Number of samples in each channel."""
        ...

    @property
    def fine(self) -> bool:
        """Whether it holds sound far below a step of 16 bits."""
        ...

    def read(self, first: int, last: int) -> np.ndarray:
        """Samples (last - first, channels) float32, full scale 1, from ``first`` to before ``last``."""
        ...


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """A recording that was decoded into a file."""

    samples: np.ndarray
    """(N, channels) floats, full scale 1."""
    rate: int
    """Samples a second."""
    fine: bool = False
    """Whether it holds sound far below a step of 16 bits."""

    @property
    def channels(self) -> int:
        """Number of channels."""
        return int(self.samples.shape[1])

    @property
    def frames(self) -> int:
        """Number of samples in each channel."""
        return len(self.samples)

    def read(self, first: int, last: int) -> np.ndarray:
        """Samples (last - first, channels) float32, from ``first`` to before ``last``."""
        return self.samples[first:last].astype(np.float32)


class _Sequential(soundfile.SoundFile):  # type: ignore[misc]
    """A sound file that is read from its beginning to its end, for libsndfile errs where it seeks."""

    def seekable(self) -> bool:
        return False


class _Sought:
    """A recording that libsndfile reads, from any place."""

    def __init__(self, path: Path, file: soundfile.SoundFile) -> None:
        self.path, self.file = path, file
        self.rate, self.channels, self.frames = file.samplerate, file.channels, file.frames
        self.fine = file.subtype in FINE

    def read(self, first: int, last: int) -> np.ndarray:
        try:
            self.file.seek(first)
            samples: np.ndarray = self.file.read(last - first, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError:
            return decoded(self.path).read(first, last)  # from its beginning, or it says what is wrong
        return samples if len(samples) == last - first else decoded(self.path).read(first, last)


@contextmanager
def opened(path: Path) -> Iterator[Recording]:
    """Open a recording, whatever its kind.

    Raises
    ------
    DataError
        If it is missing, empty, truncated or not audio, or only ffmpeg could read it, and is not installed.
    """
    check_there(path)
    try:
        file = _by_libsndfile(path, soundfile.SoundFile)
        if file is None:
            yield decoded(path)
            return
        with file:
            if file.subtype not in SOUGHT or file.frames >= MOST_FRAMES:
                yield decoded(path)
                return
            if not file.frames:
                raise _empty(path, "no sound in it")
            yield _Sought(path, file)
    except (soundfile.LibsndfileError, OSError) as error:
        raise unreadable(path, error) from error


def sound_file(path: Path) -> soundfile.SoundFile | None:
    """Open a recording by libsndfile, to look at its header; None where that cannot, but ffmpeg may.

    Raises
    ------
    DataError
        If it cannot be opened.
    """
    check_there(path)
    try:
        return _by_libsndfile(path, soundfile.SoundFile)
    except (soundfile.LibsndfileError, OSError, UnicodeError) as error:
        raise unreadable(path, error) from error


def _by_libsndfile(path: Path, kind: type[soundfile.SoundFile]) -> soundfile.SoundFile | None:
    """Open a file by libsndfile, with its header put right; None where that cannot read it, but ffmpeg may.

    Raises
    ------
    DataError
        If it is truncated.
    """
    header = header_of(path)
    try:
        file = kind(_as_it_should_be(path, header))
    except TypeError as error:  # a name that ends in .raw
        raise DataError(
            path,
            "raw samples have no header that says what they are",
            f"make a WAV file of them, such as: ffmpeg -f s16le -ar 16000 -ac 1 -i {path.name} "
            f"{path.stem}.wav",
            fault=Fault.UNREADABLE,
        ) from error
    except soundfile.LibsndfileError:
        if header is not None and header.missing > MISSING_SHARE:
            raise _truncated(path, f"{100 * (1 - header.missing):.0f} % of it is there") from None
        if ffmpeg.is_there():
            return None
        if path.suffix.lower() in ffmpeg.SUFFIXES or _is_container(path):
            raise ffmpeg.needed(path) from None
        raise
    if header is not None and header.broken_off:
        file.close()
        raise _truncated(path, f"it breaks off after {file.frames / file.samplerate:.2f} s")
    if header is not None and header.missing:
        _check_missing(path, file, header.missing)
    return file


def _as_it_should_be(path: Path, header: Header | None) -> str | Rebuilt:
    """Return a file's name, or the file with a header that says where its sound lies."""
    if header is not None and header.to_rebuild:
        return Rebuilt(path, wave_head(header), header.begin)
    return str(path)


def _is_container(path: Path) -> bool:
    """Return whether a file begins as one of a kind that may hold sound which libsndfile does not read."""
    with path.open("rb") as file:
        head = file.read(12)
    return head.startswith(CONTAINERS) or head[4:8] == b"ftyp"


def _check_missing(path: Path, file: soundfile.SoundFile, missing: float) -> None:
    there = file.frames / file.samplerate
    whole = there / max(1 - missing, 1e-9)
    if whole - there > MISSING_SLACK:
        file.close()
        raise _truncated(path, _of_whole(there, whole))


def decoded(path: Path) -> Decoded:
    """Return a recording decoded from its beginning to its end; the last `KEPT` are kept.

    Raises
    ------
    DataError
        See `opened`.
    """
    state = path.stat()
    return _decoded(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=KEPT)
def _decoded(path: Path, *_: int) -> Decoded:
    file = _by_libsndfile(path, _Sequential)
    with tempfile.TemporaryFile(prefix="aligner-") as store:
        if file is not None and file.subtype == "MPEG_LAYER_III" and not _counts(path, file):
            file = _counted(path, file)
        if file is None:
            ffmpeg.decode(path, store)
            found = _of_au(store)
        else:
            with file:
                found = _of_libsndfile(path, file, store)
    if not found.frames:
        raise _empty(path, "no sound in it")
    return found


def _counted(path: Path, file: soundfile.SoundFile) -> soundfile.SoundFile:
    """Return an MP3 file of unknown length as one that says how long it is."""
    known = mpeg.counted(path)
    if known is None:
        return file
    file.close()
    return _Sequential(Rebuilt(path, *known))


def _of_au(store: IO[bytes]) -> Decoded:
    """Return what ffmpeg wrote: the header of a Sun audio file, and big-endian floats."""
    store.seek(0)
    begin, _, _, rate, channels = np.frombuffer(store.read(24), ">u4")[1:].tolist()
    return Decoded(samples=_mapped(store, ">f4", begin, channels), rate=rate)


def _of_libsndfile(path: Path, file: soundfile.SoundFile, store: IO[bytes]) -> Decoded:
    """Decode a file block by block, and say where it ends before its time."""
    frames = 0
    try:
        while len(block := file.read(BLOCK, dtype="float32", always_2d=True)):
            store.write(block.tobytes())
            frames += len(block)
    except soundfile.LibsndfileError:
        if not frames:
            raise
    missing = file.frames - frames
    if _counts(path, file) and missing > MISSING_SLACK * file.samplerate:
        raise _truncated(path, _of_whole(frames / file.samplerate, file.frames / file.samplerate))
    store.flush()
    samples = _mapped(store, "=f4", 0, file.channels)
    if file.subtype in LATE and not _counts(path, file):
        late = ENCODER_LATE if isinstance(file.name, Rebuilt) else LATE[file.subtype]
        samples = samples[late:]
    return Decoded(samples=samples, rate=file.samplerate, fine=file.subtype in FINE)


def _counts(path: Path, file: soundfile.SoundFile) -> bool:
    """Return whether the length of a file is written in it, and not guessed from its size."""
    if file.subtype.startswith("MPEG"):
        return bool(file.format == "MP3") and mpeg.says_its_length(path)
    return bool(file.frames < MOST_FRAMES)


def _mapped(store: IO[bytes], kind: str, begin: int, channels: int) -> np.ndarray:
    """Return the floats (N, channels) of a file from the byte ``begin`` on; they stay in the file."""
    size = os.fstat(store.fileno()).st_size - begin
    frames = size // (4 * channels)
    if not frames:
        return np.zeros((0, channels), np.float32)
    return np.memmap(store, kind, "r", begin, (frames, channels))


HEAD = 256  # bytes of a file that show what it is
NO_SOUND: Mapping[bytes, tuple[str, str]] = {  # in small letters
    b"version https://git-lfs": ("it is a pointer of Git LFS", "fetch what it points to: git lfs pull"),
    b"<!doctype html": ("it is a web page", "fetch the file itself (raw), not the page that shows it"),
    b"<html": ("it is a web page", "fetch the file itself (raw), not the page that shows it"),
    b"pk\x03\x04": ("it is an archive (zip)", "unpack it"),
    b"\x1f\x8b": ("it is compressed (gzip)", "unpack it"),
    b"%pdf": ("it is a PDF document", "name a recording"),
    b'file type = "ootextfile': ("it is a text of Praat's", "save the sound itself: Save as WAV file"),
}


def check_there(path: Path) -> None:
    """Raise DataError where there is no recording, or nothing in it."""
    if not path.is_file():
        raise DataError(
            path, "the recording is not there", "check its name and place", fault=Fault.UNREADABLE
        )
    if path.stat().st_size == 0:
        raise _empty(path, "0 bytes")
    wrong = None
    with suppress(OSError), path.open("rb") as file:  # what may not be read, libsndfile tells
        wrong = _something_else(file.read(HEAD))
    if wrong is not None:
        raise DataError(path, f"the recording cannot be read ({wrong[0]})", wrong[1], fault=Fault.UNREADABLE)


def _something_else(head: bytes) -> tuple[str, str] | None:
    """Return what begins with some bytes and is no sound, and what to do; None where it may be sound.

    Examples
    --------
    >>> _something_else(b"version https://git-lfs.github.com/spec/v1")
    ('it is a pointer of Git LFS', 'fetch what it points to: git lfs pull')
    >>> _something_else(b"RIFF....WAVE")
    """
    plain = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return next((found for begin, found in NO_SOUND.items() if plain.startswith(begin)), None)


def _empty(path: Path, why: str) -> DataError:
    return DataError(
        path, f"the recording is empty ({why})", "record or copy it again", fault=Fault.UNREADABLE
    )


def _of_whole(there: float, whole: float) -> str:
    return f"{there:.2f} of {whole:.2f} s can be read"


def _truncated(path: Path, how: str) -> DataError:
    return DataError(
        path,
        f"the recording is truncated or damaged: {how}",
        "copy it again",
        fault=Fault.TRUNCATED,
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
