"""TIMIT's labels of words without phones: NAME.wrd, in samples at 16 kHz."""

from __future__ import annotations

from pathlib import Path

from aligner.formats.base import Format, Tiers
from aligner.formats.timit import WORDS, read_timit


def read(path: Path, recording: str = "") -> Tiers:
    """Read the words of a recording."""
    return [("words", read_timit(path))]


FORMAT = Format(name="timit_words", suffix=WORDS[0], read=read, offered=False)
