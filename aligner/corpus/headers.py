"""What the headers of sound files say about how much sound there is, and where that is wrong.

Recorders and programs that write into a pipe leave sizes at 0, or at the greatest number; a crash leaves a
size that grew stale; a copy that broke off leaves one that is too large.  libsndfile believes what is too
small, and cuts what is too large without a word.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from aligner.types import DataError, Fault

UNKNOWN = 0xFFFFFFFF  # the greatest size of 32 bits; RF64 has the true one elsewhere
UNKNOWN_SIZE = 0x7EFFF000  # a size of 32 bits from here up means that the writer did not know it
UNKNOWN_LONG = 0x7FFF_FFFF_FFFF_F000  # the same of 64 bits
TEXT_BEGINS = 64  # bytes that are all printable: a text behind the sound, not sound
HEAD = 1024  # bytes of a NIST SPHERE header, as all writers have it
OGG_TAIL = 1 << 17  # bytes at the end of an Ogg file that hold its last page: one has at most 65307
W64_RIFF, W64_DATA = b"riff\x2e\x91\xcf\x11", b"data\xf3\xac\xd3\x11"  # how Sony's identifiers begin


@dataclass(frozen=True, kw_only=True)
class Header:
    """Where the sound of a file lies, by its header and by the file's size."""

    begin: int
    """Byte at which the sound begins."""
    declared: int | None
    """Bytes of sound that the header says there are; None where its writer did not know."""
    there: int
    """Bytes from there to the end of the file."""
    closed: bool = False
    """Whether another size in the header agrees with the file's: then nothing was cut off."""
    format: bytes | None = None
    """What the sound is, of a WAV file, whose header can be put right."""
    astray: bool = False
    """Whether the sound does not lie where the header's sizes say."""
    broken_off: bool = False
    """Whether the file ends in the midst of a piece, and nothing says how much should lie behind."""
    followed: bool = True
    """Whether what stands behind the declared sound, if anything does, is no sound."""

    @property
    def too_small(self) -> bool:
        """Whether sound stands behind the end that the header gives."""
        return self.declared is not None and self.declared < self.there and not self.followed

    @property
    def to_rebuild(self) -> bool:
        """Whether libsndfile does not find the sound that is there."""
        return self.format is not None and (self.too_small or self.astray)

    @property
    def missing(self) -> float:
        """Share of the declared sound that is not there, from 0 to 1."""
        if self.declared is None or self.closed or self.declared <= self.there:
            return 0.0
        return 1 - self.there / self.declared


def header_of(path: Path) -> Header | None:
    """Return what a file's header says of its size; None where it has none that is understood."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(HEAD)
        for mark, reader in READERS.items():
            if head.startswith(mark):
                try:
                    return reader(file, head, size)
                except (struct.error, ValueError):
                    return None
    return None


def wave_head(header: Header) -> bytes:
    """Return the header that the sound of a WAV file should have."""
    assert header.format is not None
    size = min(header.there, UNKNOWN)
    fields = struct.pack("<4sI", b"fmt ", len(header.format)) + header.format
    whole = min(size + len(fields) + 12, UNKNOWN)
    riff, data = struct.pack("<4sI4s", b"RIFF", whole, b"WAVE"), struct.pack("<4sI", b"data", size)
    return riff + fields + data


class Rebuilt(io.RawIOBase):
    """A sound file as it would be if it began with ``head``; its sound begins at the byte ``begin``."""

    def __init__(self, path: Path, head: bytes, begin: int) -> None:
        self._head, self._begin = head, begin
        self._file = path.open("rb")
        self._end = len(head) + max(0, path.stat().st_size - begin)
        self._place = 0

    def readable(self) -> bool:
        """Return True: it can be read."""
        return True

    def seekable(self) -> bool:
        """Return True: it can be read from any place."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a byte of the file that would be right."""
        self._place = max(0, offset + (0, self._place, self._end)[whence])
        return self._place

    def tell(self) -> int:
        """Return the byte that is read next."""
        return self._place

    def read(self, count: int = -1) -> bytes:
        """Read up to ``count`` bytes, or all."""
        count = self._end - self._place if count < 0 else count
        first = self._head[self._place : self._place + count]
        self._file.seek(self._begin + max(0, self._place - len(self._head)))
        rest: bytes = self._file.read(count - len(first)) if count > len(first) else b""
        self._place += len(first) + len(rest)
        return first + rest

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer as much as it holds."""
        view = memoryview(buffer).cast("B")
        got = self.read(len(view))
        view[: len(got)] = got
        return len(got)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


def _riff(file: BinaryIO, head: bytes, size: int) -> Header | None:
    if head[8:12] != b"WAVE":
        return None
    whole, long, kind, last = struct.unpack("<I", head[4:8])[0], 0, b"", 12
    for name, length, begin in _chunks(file, 12, size, "<"):
        file.seek(begin)
        if name == b"ds64":
            whole, long = struct.unpack("<QQ", file.read(16))
        if name == b"fmt ":
            kind = file.read(min(length, HEAD))
        if name == b"data":
            declared = long if length == UNKNOWN and long else length
            return _wave(file, begin, declared, whole, kind, size, begin - 8 != last)
        last = begin + length + length % 2
    return None


def _wave(
    file: BinaryIO, begin: int, declared: int, whole: int, kind: bytes, size: int, astray: bool
) -> Header:
    there = size - begin
    known = declared < (UNKNOWN_LONG if declared > UNKNOWN else UNKNOWN_SIZE)
    unfinished = declared > there and whole == 0
    return Header(
        begin=begin,
        declared=declared if known and not unfinished else None,
        there=there,
        closed=abs(whole + 8 - size) <= 1,
        followed=_no_sound(file, begin, declared, size),
        format=kind or None,
        astray=astray,
    )


def _chunks(file: BinaryIO, begin: int, size: int, order: str) -> Iterator[tuple[bytes, int, int]]:
    """Yield the name, the length and the first byte of each chunk of a file.

    A byte makes up a length that is odd to an even number; some writers forget it.
    """
    while begin + 8 <= size:
        file.seek(begin)
        name, length = struct.unpack(f"{order}4sI", file.read(8))
        yield name, length, begin + 8
        begin += 8 + length
        file.seek(begin)
        if length % 2 and file.read(4) not in (b"data", b"fmt ", b"SSND", b"COMM"):
            begin += 1


def _no_sound(file: BinaryIO, begin: int, declared: int, size: int) -> bool:
    """Return whether what stands behind the declared sound is a chunk, a tag, a text or padding."""
    if begin + declared == size:
        return True
    for end in {begin + declared, begin + declared + declared % 2}:
        file.seek(end)
        behind = file.read(TEXT_BEGINS)
        if len(behind) < 8 or (declared and _only_zeros(file, behind)):
            return True
        name, length = struct.unpack("<4sI", behind[:8])
        if name[:3] in (b"ID3", b"TAG", b"APE") or _printable(behind):
            return True
        if _printable(name) and end + 8 + length <= size + 1:
            return True
    return False


def _only_zeros(file: BinaryIO, behind: bytes) -> bool:
    while behind and not any(behind):
        behind = file.read(io.DEFAULT_BUFFER_SIZE)
    return not behind


def _printable(raw: bytes) -> bool:
    return all(32 <= b < 127 or b in b"\t\r\n" for b in raw)


def _aiff(file: BinaryIO, head: bytes, size: int) -> Header | None:
    whole = struct.unpack(">I", head[4:8])[0]
    for name, length, begin in _chunks(file, 12, size, ">"):
        if name == b"SSND":
            return Header(
                begin=begin + 8,
                declared=_known(length - 8),
                there=size - begin - 8,
                closed=abs(whole + 8 - size) <= 1,
            )
    return None


def _au(_: BinaryIO, head: bytes, size: int) -> Header:
    begin, length = struct.unpack(">II", head[4:12])
    return Header(begin=begin, declared=_known(length), there=size - begin)


def _w64(file: BinaryIO, head: bytes, size: int) -> Header | None:
    whole, begin = struct.unpack("<Q", head[16:24])[0], 40
    while begin + 24 <= size:
        file.seek(begin)
        name, length = struct.unpack("<8s8xQ", file.read(24))
        if name == W64_DATA:
            known = 24 < length < UNKNOWN_LONG
            return Header(
                begin=begin + 24,
                declared=length - 24 if known else None,
                there=size - begin - 24,
                closed=abs(whole - size) <= 8,
            )
        begin += max(24, -(-length // 8) * 8)
    return None


def _sphere(file: BinaryIO, head: bytes, size: int) -> Header | None:
    begin = int(head.split(b"\n")[1])
    fields = {f[0]: f[2] for line in head.split(b"\n") if len(f := line.split(maxsplit=2)) == 3}
    if b"shorten" in fields.get(b"sample_coding", b""):
        raise DataError(
            file.name,
            "the recording is compressed by shorten, which is not read",
            "convert it: sph2pipe -f wav IN.sph OUT.wav (sph2pipe is free of charge from the LDC)",
            fault=Fault.UNREADABLE,
        )
    counts = [fields.get(name) for name in (b"sample_count", b"channel_count", b"sample_n_bytes")]
    declared = 1
    for count in counts:
        declared *= int(count) if count is not None else 0
    return Header(begin=begin, declared=declared or None, there=size - begin)


def _caf(file: BinaryIO, head: bytes, size: int) -> Header | None:
    begin = 8
    while begin + 12 <= size:
        file.seek(begin)
        name, length = struct.unpack(">4sq", file.read(12))
        begin += 12
        if name == b"data":
            return Header(begin=begin, declared=length if length > 0 else None, there=size - begin)
        if length < 0:
            return None
        begin += length
    return None


def _ogg(file: BinaryIO, head: bytes, size: int) -> Header | None:
    """Say whether an Ogg file ends within a page: how much should lie behind, no page tells."""
    file.seek(max(size - OGG_TAIL, 0))
    tail = file.read(OGG_TAIL)
    place = tail.rfind(b"OggS\0")
    if place < 0:
        return None
    page = tail[place:]
    segments = page[26] if len(page) > 26 else 1
    whole = 27 + segments + sum(page[27 : 27 + segments])
    return Header(begin=0, declared=None, there=size, broken_off=len(page) < whole)


def _known(length: int) -> int | None:
    return length if 0 < length < UNKNOWN_SIZE else None


Reader = Callable[[BinaryIO, bytes, int], Header | None]
READERS: dict[bytes, Reader] = {
    b"RIFF": _riff,
    b"RF64": _riff,
    b"FORM": _aiff,
    b".snd": _au,
    W64_RIFF: _w64,
    b"NIST_1A": _sphere,
    b"caff": _caf,
    b"OggS": _ogg,
}
