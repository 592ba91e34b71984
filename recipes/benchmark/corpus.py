#!/usr/bin/env python3
"""Makes corpora of any size out of a small one, by concatenation and change of speed.

    corpus.py SOURCE [SOURCE ...] OUT (--hours N | --files N | --book HOURS)

--hours makes recordings of one to four sentences of a speaker each; --files so many recordings of about a second,
cut out of sentences whose words are labelled (.wrd); --book one recording with its transcript, a sentence a line.
No two pieces are alike: each is brought to a speed of its own, between 0.87 and 1.15.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from scipy.signal import resample_poly

from aligner import find
from aligner.corpus.audio import read
from aligner.types import SAMPLE_RATE

GOLDEN = 0.6180339887  # its multiples, less their whole parts, never repeat
SLOWEST, RANGE = 0.87, 0.28
GRAIN = 500  # speeds are whole numbers of this part
ENOUGH = 0.8  # s that a short recording lasts at least
PAUSE = 0.6  # s between the sentences of a book


class Piece(NamedTuple):
    """A stretch of speech and what is said in it."""

    speaker: str
    wave: np.ndarray
    text: str

    @property
    def seconds(self) -> float:
        return len(self.wave) / SAMPLE_RATE


def sentences(sources: list[Path]) -> list[Piece]:
    """All utterances of some folders, speaker by speaker."""
    return [Piece(u.speaker, read(u).wave, " ".join(u.transcript.split()))
            for source in sources for u in find(source).utterances]


def phrases(sources: list[Path]) -> list[Piece]:
    """Stretches of a few words, where words are labelled."""
    found = []
    for source in sources:
        for u in find(source).utterances:
            labels = Path(u.audio).with_suffix(".wrd")
            if labels.is_file():
                wave = read(u).wave
                found += _cut(u.speaker, wave, [line.split() for line in labels.read_text().splitlines()])
    return found


def _cut(speaker: str, wave: np.ndarray, words: list[list[str]]) -> Iterator[Piece]:
    begin, said = None, []
    for first, last, word in words:
        begin = int(first) if begin is None else begin
        said.append(word)
        if int(last) - begin >= ENOUGH * SAMPLE_RATE:
            yield Piece(speaker, wave[begin:int(last)], " ".join(said))
            begin, said = None, []


def speeds() -> Iterator[int]:
    """Steps of a fifth of a per cent, far from their neighbours in the row."""
    return (round(GRAIN * (SLOWEST + RANGE * (k * GOLDEN % 1))) for k in count())


def spoken(pieces: list[Piece]) -> Iterator[Piece]:
    """The pieces again and again, each time at another speed."""
    if not pieces:
        sys.exit("there is nothing to cut from: short recordings need labelled words (.wrd)")
    for k, speed in enumerate(speeds()):
        piece = pieces[k % len(pieces)]
        yield piece._replace(wave=resample_poly(piece.wave, GRAIN, speed).astype(np.float32))


def joined(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """One to four pieces of a speaker in a row."""
    group: list[Piece] = []
    for wanted in (1 + round(7 * k * GOLDEN % 1 * 3) for k in count()):
        while len(group) < wanted:
            group.append(next(pieces))
            if group[-1].speaker != group[0].speaker:
                break
        if group[-1].speaker != group[0].speaker:
            group, rest = group[:-1], group[-1:]
        else:
            rest = []
        yield Piece(group[0].speaker, np.concatenate([p.wave for p in group]), " ".join(p.text for p in group))
        group = rest


def write(out: Path, number: int, piece: Piece) -> None:
    stem = out / piece.speaker / f"{number:06d}"
    stem.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(f"{stem}.wav", np.clip(piece.wave, -1, 1), SAMPLE_RATE, subtype="PCM_16")
    Path(f"{stem}.lab").write_text(piece.text + "\n", encoding="utf-8")


def of_hours(sources: list[Path], out: Path, hours: float) -> tuple[float, int]:
    """Recordings of sentences; their seconds and their number."""
    seconds = 0.0
    for number, piece in enumerate(joined(spoken(sentences(sources)))):
        write(out, number, piece)
        seconds += piece.seconds
        if seconds >= 3600 * hours:
            return seconds, number + 1
    raise AssertionError


def of_files(sources: list[Path], out: Path, files: int) -> tuple[float, int]:
    """Short recordings; their seconds and their number."""
    seconds = 0.0
    for number, piece in zip(range(files), spoken(phrases(sources)), strict=False):
        write(out, number, piece)
        seconds += piece.seconds
    return seconds, files


def book(sources: list[Path], out: Path, hours: float) -> tuple[float, list[tuple[float, float]]]:
    """One recording; its seconds, and where each sentence lies in it."""
    out.mkdir(parents=True, exist_ok=True)
    places, lines, now = [], [], 0
    with soundfile.SoundFile(out / "book.flac", "w", SAMPLE_RATE, 1, "PCM_16") as file:
        for piece in spoken(sentences(sources)):
            quiet = np.zeros(round(PAUSE * SAMPLE_RATE), np.float32)
            quiet += 1e-4 * np.random.default_rng(len(places)).standard_normal(len(quiet)).astype(np.float32)
            file.write(np.clip(piece.wave, -1, 1))
            file.write(quiet)
            places.append((now / SAMPLE_RATE, now / SAMPLE_RATE + piece.seconds))
            lines.append(piece.text)
            now += len(piece.wave) + len(quiet)
            if now >= 3600 * hours * SAMPLE_RATE:
                break
    (out / "book.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return now / SAMPLE_RATE, places


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", nargs="+", type=Path)
    parser.add_argument("out", type=Path, help="a new folder")
    size = parser.add_mutually_exclusive_group(required=True)
    size.add_argument("--hours", type=float)
    size.add_argument("--files", type=int)
    size.add_argument("--book", type=float, metavar="HOURS")
    given = parser.parse_args()
    if given.out.exists():
        parser.error(f"{given.out} exists: name a new folder")
    if given.hours:
        seconds, number = of_hours(given.source, given.out, given.hours)
    elif given.files:
        seconds, number = of_files(given.source, given.out, given.files)
    else:
        seconds, places = book(given.source, given.out, given.book)
        number = len(places)
    print(f"{seconds / 3600:.3f} hours, {number} {'sentences' if given.book else 'recordings'}: {given.out}")


if __name__ == "__main__":
    main()
