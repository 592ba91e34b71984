#!/usr/bin/env python3
"""Makes corpora of any size out of a small one, by concatenation and change of speed.

    corpus.py SOURCE [SOURCE ...] OUT (--hours N | --files N | --book HOURS)

--hours makes recordings of one to four sentences of a speaker each; --files so many recordings of about a
second, cut out of sentences whose words are labelled (.wrd); --book one recording with its transcript, a
sentence a line. No two pieces are alike: each is brought to a speed of its own, between 0.87 and 1.15.
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
UNSAID, UNWRITTEN = 13, 7  # of twenty sentences of a loose transcript
INTERLUDES, LASTS = 300, 20.0  # s from one interlude to the next, and that it lasts


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
    return [
        Piece(u.speaker, read(u).wave, " ".join(u.transcript.split()))
        for source in sources
        for u in find(source).utterances
    ]


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
            yield Piece(speaker, wave[begin : int(last)], " ".join(said))
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
        yield Piece(
            group[0].speaker, np.concatenate([p.wave for p in group]), " ".join(p.text for p in group)
        )
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


def pause(piece: Piece, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Room noise: the piece's quietest tenth of a second, forwards and backwards again and again."""
    size = SAMPLE_RATE // 10
    starts = np.arange(0, len(piece.wave) - size, size // 4)
    at = min(starts, key=lambda k: float(np.square(piece.wave[k : k + size]).sum()))
    quiet = piece.wave[at : at + size]
    both = np.concatenate([quiet, quiet[::-1]])
    return np.resize(np.roll(both, rng.integers(len(both))), round(seconds * SAMPLE_RATE))


def music(seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Chords of a few partials, and a beat."""
    t = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    wave = np.zeros_like(t)
    for k in range(int(seconds) + 1):
        inside = (t >= k) & (t < k + 1)
        root = 110 * 2 ** (rng.integers(12) / 12)
        for note in (1, 1.25, 1.5):
            wave[inside] += sum(np.sin(2 * np.pi * root * note * h * t[inside]) / h for h in range(1, 6))
    beat = rng.standard_normal(len(t)) * np.exp(-20 * (t * 2 % 1))
    return (0.03 * wave + 0.05 * beat).astype(np.float32)


class Line(NamedTuple):
    """A sentence of a book's transcript, and where it lies in the recording, in seconds; None if it is not
    said.
    """

    text: str
    place: tuple[float, float] | None


def book(sources: list[Path], out: Path, hours: float, loose: bool = False) -> tuple[float, list[Line]]:
    """One recording and its transcript; its seconds, and its lines.

    Where it is ``loose`` every twentieth sentence is said and not written, every other twentieth written and
    not said; and every five minutes there are 20 s of music, or of speech backwards.
    """
    out.mkdir(parents=True, exist_ok=True)
    rng, lines, now, interludes = np.random.default_rng(0), list[Line](), 0, 0
    with soundfile.SoundFile(out / "book.flac", "w", SAMPLE_RATE, 1, "PCM_16") as file:

        def add(wave: np.ndarray) -> tuple[float, float]:
            nonlocal now
            file.write(np.clip(wave, -1, 1))
            now += len(wave)
            return (now - len(wave)) / SAMPLE_RATE, now / SAMPLE_RATE

        for k, piece in enumerate(spoken(sentences(sources))):
            place = None if loose and k % 20 == UNSAID else add(piece.wave)
            if not loose or k % 20 != UNWRITTEN:
                lines.append(Line(piece.text, place))
            add(pause(piece, PAUSE, rng))
            if loose and now > (interludes + 1) * INTERLUDES * SAMPLE_RATE:
                add(
                    music(LASTS, rng)
                    if interludes % 2
                    else np.resize(piece.wave[::-1], round(LASTS * SAMPLE_RATE))
                )
                add(pause(piece, PAUSE, rng))
                interludes += 1
            if now >= 3600 * hours * SAMPLE_RATE:
                break
    (out / "book.txt").write_text("".join(f"{line.text}\n" for line in lines), encoding="utf-8")
    return now / SAMPLE_RATE, lines


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", nargs="+", type=Path)
    parser.add_argument(
        "--loose", action="store_true", help="a book whose text and sound differ here and there"
    )
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
        seconds, places = book(given.source, given.out, given.book, given.loose)
        number = len(places)
    print(f"{seconds / 3600:.3f} hours, {number} {'sentences' if given.book else 'recordings'}: {given.out}")


if __name__ == "__main__":
    main()
