#!/usr/bin/env python3
"""How far boundaries move when a recording gets sound that says nothing: digital silence, dither, room noise.

    silence.py CORPUS [--backend NAME ...] [--kinds WORD ...] [--sentences N] [--worst]

CORPUS is a corpus of sentences, as `align` takes it.  N of them (24 unless given), spread over its speakers,
are aligned as they are and again in each way in which `KINDS` changes them; a way is chosen by a part of its
name.  Printed is, for each backend and way, how far the boundaries of all spoken phones have moved, in ms:
the median, the worst and the share of those that moved by more than 5; and how many alignments failed, or
are suspect that were not.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import soundfile

from aligner import Alignment, Options, align, find
from aligner.backends.choose import chosen
from aligner.corpus.audio import read
from aligner.types import SAMPLE_RATE, SILENCE_LABEL, Interval, Utterance

STEP = 2.0**-15  # of 16 bits
FAR = 0.005  # s
EDGE = 0.1  # s at either end of a sentence of TIMIT in which nothing is said
BLOCK = SAMPLE_RATE // 100  # samples in a piece whose level a gate looks at
LEAST_PAUSE = 0.06  # s of a pause that something is put into
LOUD_PERCENTILE = 95.0  # of the levels, that a gate counts from


@dataclass(frozen=True, kw_only=True)
class Changed:
    """A recording that was changed, and where its times are now."""

    wave: np.ndarray
    """(N,) samples."""
    rate: int = SAMPLE_RATE
    """Samples a second."""
    added: Sequence[tuple[float, float]] = ()
    """Times in seconds of the recording as it was, each with how many seconds were put in there."""

    def moved(self, time: float) -> float:
        """Where something is now that was at ``time``, in seconds."""
        return time + sum(seconds for at, seconds in self.added if at <= time)


Change = Callable[[np.ndarray, Alignment, np.random.Generator], Changed]
Filler = Callable[[int, np.ndarray, np.random.Generator], np.ndarray]


def zeros(count: int, wave: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Digital silence."""
    return np.zeros(count)


def dither(count: int, wave: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Digital silence with dither of one step."""
    return STEP * draw.integers(-1, 2, count)


def offset(count: int, wave: np.ndarray, draw: np.random.Generator, level: float) -> np.ndarray:
    """A constant."""
    return np.full(count, level)


def room(count: int, wave: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """The recording's own quiet edge, in pieces that fade into one another."""
    size = int(EDGE * SAMPLE_RATE)
    own = min(wave[:size], wave[-size:], key=lambda piece: float(np.square(piece).sum()))
    hop = size // 2
    fade = np.sin(np.pi * (np.arange(size) + 0.5) / size)
    made = np.zeros(count + 2 * size)
    for k, at in enumerate(range(0, count + size, hop)):
        made[at : at + size] += fade * (own if k % 2 else own[::-1]) * draw.choice([-1, 1])
    return made[hop : hop + count]


def drift(count: int, wave: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """A constant that grows slowly."""
    return np.linspace(0, 0.3, count)


def tone(count: int, wave: np.ndarray, draw: np.random.Generator, hertz: float) -> np.ndarray:
    """A tone 80 dB below full scale."""
    return 1e-4 * np.sin(2 * np.pi * hertz * np.arange(count) / SAMPLE_RATE)


def padded(
    wave: np.ndarray,
    alignment: Alignment,
    draw: np.random.Generator,
    filler: Filler,
    before: float,
    after: float,
) -> Changed:
    """Something before and after, so many seconds each."""
    left, right = (filler(int(s * SAMPLE_RATE), wave, draw) for s in (before, after))
    return Changed(wave=np.concatenate([left, wave, right]), added=[(0.0, len(left) / SAMPLE_RATE)])


def gated(wave: np.ndarray, alignment: Alignment, draw: np.random.Generator, below: float) -> Changed:
    """A gate: zeros where the level is ``below`` that of loud speech, in dB, for 50 ms and longer."""
    blocks = wave[: len(wave) // BLOCK * BLOCK].reshape(-1, BLOCK)
    level = 10 * np.log10(np.square(blocks).mean(1) + 1e-12)
    hushed = level < np.percentile(level, LOUD_PERCENTILE) + below
    made = wave.copy()
    for first, last in runs(hushed):
        if last - first >= 5:
            made[first * BLOCK : last * BLOCK] = 0.0
    return Changed(wave=made)


def muted_pauses(wave: np.ndarray, alignment: Alignment, draw: np.random.Generator) -> Changed:
    """Zeros in the pauses that were found, but for 20 ms beside the words."""
    made = wave.copy()
    for p in alignment.phones:
        if p.label == SILENCE_LABEL:
            first = 0 if p.start == 0 else int((p.start + 0.02) * SAMPLE_RATE)
            last = len(wave) if p.end >= len(wave) / SAMPLE_RATE else int((p.end - 0.02) * SAMPLE_RATE)
            made[first : max(last, first)] = 0.0
    return Changed(wave=made)


def put_in(
    wave: np.ndarray,
    alignment: Alignment,
    draw: np.random.Generator,
    filler: Filler,
    seconds: float,
) -> Changed:
    """Something in the middle of the longest pause between two words; nothing where there is none."""
    words = [w for w in alignment.words if w.label != SILENCE_LABEL]
    gaps = [(b.start - a.end, (a.end + b.start) / 2) for a, b in pairwise(words)]
    length, at = max(gaps)
    if length < LEAST_PAUSE:
        return Changed(wave=wave)
    place = int(at * SAMPLE_RATE)
    more = filler(int(seconds * SAMPLE_RATE), wave, draw)
    return Changed(
        wave=np.concatenate([wave[:place], more, wave[place:]]),
        added=[(place / SAMPLE_RATE, len(more) / SAMPLE_RATE)],
    )


def dropped(wave: np.ndarray, alignment: Alignment, draw: np.random.Generator, seconds: float) -> Changed:
    """Three drop-outs, anywhere."""
    made, size = wave.copy(), int(seconds * SAMPLE_RATE)
    for _ in range(3):
        at = int(draw.integers(0, len(wave) - size))
        made[at : at + size] = 0.0
    return Changed(wave=made)


def stored(
    wave: np.ndarray,
    alignment: Alignment,
    draw: np.random.Generator,
    how: dict[str, str],
    rate: int,
    seconds: float,
) -> Changed:
    """Digital silence on both sides, in a file of another format or rate."""
    import librosa

    whole = padded(wave, alignment, draw, zeros, seconds, seconds)
    samples = np.clip(librosa.resample(whole.wave, orig_sr=SAMPLE_RATE, target_sr=rate), -1, 1)
    file = io.BytesIO()
    soundfile.write(file, samples, rate, **how)
    file.seek(0)
    again, rate = soundfile.read(file, dtype="float32")
    return Changed(wave=again, rate=rate, added=whole.added)


def louder(wave: np.ndarray, alignment: Alignment, draw: np.random.Generator, by: float) -> Changed:
    """Another level, by so many dB, in 16 bits."""
    return Changed(wave=np.clip(np.rint(wave * 10 ** (by / 20) / STEP) * STEP, -1, 1))


def plus(wave: np.ndarray, alignment: Alignment, draw: np.random.Generator, level: float) -> Changed:
    """A constant on all of it, and zeros around it: a step on either side."""
    whole = padded(wave + level, alignment, draw, zeros, 1.0, 1.0)
    return whole


def both(first: Change, then: Change) -> Change:
    """Two changes, the second of which adds the times."""

    def change(wave: np.ndarray, alignment: Alignment, draw: np.random.Generator) -> Changed:
        return then(first(wave, alignment, draw).wave, alignment, draw)

    return change


def _pads(name: str, filler: Filler, seconds: Sequence[float]) -> dict[str, Change]:
    return {f"{name} {s:g}": partial(padded, filler=filler, before=s, after=s) for s in seconds}


KINDS: dict[str, Change] = {
    **_pads("zeros", zeros, (0.5, 1, 2, 3.3, 10, 30, 130)),
    "zeros before 5": partial(padded, filler=zeros, before=5, after=0),
    "zeros behind 5": partial(padded, filler=zeros, before=0, after=5),
    **_pads("dither", dither, (0.5, 2, 10, 30)),
    **_pads("constant", partial(offset, level=0.01), (0.5, 2, 10)),
    **_pads("great constant", partial(offset, level=-0.4), (2,)),
    **_pads("room", room, (0.5, 1, 2, 10, 30, 130)),
    **_pads("drift", drift, (2,)),
    **_pads("tone", partial(tone, hertz=700.0), (2,)),
    **_pads("hum", partial(tone, hertz=50.0), (2,)),
    "on a constant": partial(plus, level=0.02),
    "on a great constant": partial(plus, level=-0.2),
    "gate -50": partial(gated, below=-50.0),
    "gate -40": partial(gated, below=-40.0),
    "muted pauses": muted_pauses,
    "muted pauses, zeros 2": both(muted_pauses, partial(padded, filler=zeros, before=2, after=2)),
    "cut 2": partial(put_in, filler=zeros, seconds=2.0),
    "cut 0.3": partial(put_in, filler=zeros, seconds=0.3),
    "cut 20": partial(put_in, filler=dither, seconds=20.0),
    "drop-outs 0.02": partial(dropped, seconds=0.02),
    "drop-outs 0.06": partial(dropped, seconds=0.06),
    "drop-outs 0.3": partial(dropped, seconds=0.3),
    "mp3": partial(stored, how={"format": "MP3"}, rate=44100, seconds=3.0),
    "ogg": partial(stored, how={"format": "OGG", "subtype": "VORBIS"}, rate=44100, seconds=3.0),
    "opus": partial(stored, how={"format": "OGG", "subtype": "OPUS"}, rate=48000, seconds=3.0),
    "24 bits": partial(stored, how={"format": "WAV", "subtype": "PCM_24"}, rate=48000, seconds=3.0),
    "float": partial(stored, how={"format": "WAV", "subtype": "FLOAT"}, rate=16000, seconds=3.0),
    "96 kHz": partial(stored, how={"format": "WAV", "subtype": "PCM_16"}, rate=96000, seconds=3.0),
    "-40 dB": partial(louder, by=-40.0),
    "-40 dB, zeros 3": both(partial(louder, by=-40.0), partial(padded, filler=zeros, before=3.0, after=3.0)),
}


def runs(within: np.ndarray) -> Iterator[tuple[int, int]]:
    """First and last + 1 of each run of True in ``within`` (T,)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], within.astype(np.int8), [0]])))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def spoken(alignment: Alignment) -> list[Interval]:
    """The phones that are not silence."""
    return [p for p in alignment.phones if p.label != SILENCE_LABEL]


def moves(was: Alignment, now: Alignment, changed: Changed) -> np.ndarray | None:
    """How far each boundary of a spoken phone has moved, in seconds; None where the phones are others."""
    before, after = spoken(was), spoken(now)
    if len(before) != len(after):
        return None
    pairs = zip(before, after, strict=True)
    found = [(b.start - changed.moved(a.start), b.end - changed.moved(a.end - 1e-6)) for a, b in pairs]
    return np.abs(np.array(found)).ravel()


def sentences(corpus: Path, count: int) -> list[tuple[np.ndarray, str]]:
    """The samples and texts of ``count`` utterances, spread over a corpus."""
    utterances = find(corpus).utterances
    step = max(len(utterances) // count, 1)
    return [(read(u).wave.astype(np.float64), u.transcript) for u in utterances[::step][:count]]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--backend", nargs="+", default=["hmm"])
    parser.add_argument("--kinds", nargs="+", default=[""])
    parser.add_argument("--sentences", type=int, default=24)
    parser.add_argument("--worst", action="store_true", help="name the sentence that moved most, too")
    asked = parser.parse_args()
    speech = sentences(asked.corpus, asked.sentences)
    for name in asked.backend:
        backend = chosen(None, Options(backend=name))
        plain = [Utterance(str(k), w.astype(np.float32), text) for k, (w, text) in enumerate(speech)]
        base = [a for a in align(plain, backend) if isinstance(a, Alignment)]
        for kind, change in KINDS.items():
            if any(word in kind for word in asked.kinds):
                report(name, kind, change, speech, base, backend, asked.worst)


def report(
    name: str,
    kind: str,
    change: Change,
    speech: Sequence[tuple[np.ndarray, str]],
    base: Sequence[Alignment],
    backend: object,
    worst: bool,
) -> None:
    """Print how far boundaries move by one change under one backend."""
    draw, began = np.random.default_rng(0), time.perf_counter()
    changed = [change(wave, was, draw) for (wave, _), was in zip(speech, base, strict=True)]
    utterances = [
        Utterance(str(k), c.wave.astype(np.float32), speech[k][1], rate=c.rate) for k, c in enumerate(changed)
    ]
    found, failed, flagged, other = [], 0, 0, 0
    for k, now in enumerate(align(utterances, backend)):
        if not isinstance(now, Alignment):
            failed += 1
            continue
        flagged += now.status != "ok" and base[k].status == "ok"
        by = moves(base[k], now, changed[k])
        other += by is None
        if by is not None:
            found.append((float(by.max()), k, by))
    by = 1000 * np.concatenate([b for _, _, b in found]) if found else np.full(1, np.nan)
    line = (
        f"{name:8} {kind:22} median {np.median(by):7.2f}  mean {by.mean():7.2f}  worst {by.max():8.1f}  "
        f"> 5 ms {100 * (by > 1000 * FAR + 0.01).mean():5.1f} %  failed {failed}  flagged {flagged}  "
        f"others {other}  {time.perf_counter() - began:5.1f} s"
    )
    print(line, f" {sorted(found, reverse=True)[0][1:2]}" if worst and found else "", flush=True)


if __name__ == "__main__":
    main()
