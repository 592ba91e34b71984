"""The frames of MP3 files that do not say how long they are, as streams and many recorders leave them.

libsndfile guesses their length from their size, and reads no further.  They are read with a frame in front of
them that says how many follow, as encoders write it ("Xing").
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

XING_REACH = 4096  # bytes of the first frame that may hold the mark of its length
TAG = b"ID3\3\0\0\0\0\0\x0a" + bytes(10)  # an empty one: libsndfile looks for it
SYNC, LAYER_3 = 0x7FF, 1
MPEG_1 = 3  # the number of that version in a header; of its halves 2, of its quarters 0
KILOBITS = {
    True: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
BITRATE = 8  # the number of a bitrate whose frames hold what the first one has to say


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A frame of an MP3 file, by its header."""

    begin: int
    """Its first byte."""
    header: int
    """Its header, 32 bits."""
    length: int
    """Its bytes."""

    @property
    def end(self) -> int:
        """The byte behind it."""
        return self.begin + self.length


def says_its_length(path: Path) -> bool:
    """Return whether an MP3 file says how long it is, instead of leaving that to be guessed from its size."""
    with path.open("rb") as file:
        file.seek(_tag(file.read(10)))
        begin = file.read(XING_REACH)
    return any(mark in begin for mark in (b"Xing", b"Info", b"VBRI"))


def counted(path: Path) -> tuple[bytes, int] | None:
    """Return what to put in front of an MP3 file so that it says how long it is, and the byte where its sound
    begins; None where it has no frames.
    """
    content = path.read_bytes()
    found = list(_frames(content, _tag(content[:10])))
    if not found:
        return None
    return TAG + _first_frame(found[0].header, len(found)), found[0].begin


def _tag(head: bytes) -> int:
    """Return how many bytes a tag takes in front of the sound."""
    if head[:3] != b"ID3" or len(head) < 10:
        return 0
    return 10 + sum((b & 0x7F) << 7 * (3 - k) for k, b in enumerate(head[6:10]))


def _frames(content: bytes, begin: int) -> Iterator[Frame]:
    """Yield the frames of a file; what lies between them is passed over."""
    while (begin := content.find(b"\xff", begin)) >= 0 and begin + 4 <= len(content):
        header = int.from_bytes(content[begin : begin + 4])
        length = _length(header)
        if length:
            yield Frame(begin=begin, header=header, length=length)
        begin += length or 1


def _length(header: int) -> int:
    """Return the length in bytes of the frame with a header; 0 where it is none of layer III."""
    version, layer = header >> 19 & 3, header >> 17 & 3
    bitrate, rate, padding = header >> 12 & 15, header >> 10 & 3, header >> 9 & 1
    if header >> 21 != SYNC or version not in RATES or layer != LAYER_3 or bitrate in (0, 15) or rate == 3:
        return 0
    factor = 144 if version == MPEG_1 else 72
    return factor * 1000 * KILOBITS[version == MPEG_1][bitrate] // RATES[version][rate] + padding


def _first_frame(header: int, count: int) -> bytes:
    """Return a silent frame of the same kind that says how many follow."""
    header = header & ~0xF200 | BITRATE << 12 | 0x10000  # without padding and checksum
    mono, full = header >> 6 & 3 == 3, header >> 19 & 3 == MPEG_1
    side = (17 if mono else 32) if full else (9 if mono else 17)
    said = struct.pack(">I", header) + bytes(side) + struct.pack(">4sII", b"Xing", 1, count)
    return said.ljust(_length(header), b"\0")
