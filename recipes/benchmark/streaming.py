#!/usr/bin/env python3
"""What streaming costs and how soon it tells words: on one core, in pieces of 10 ms.

    streaming.py [CORPUS] [--chunk MS] [--minutes M] [--out FOLDER]

Every recording of CORPUS (default: data/sample) is heard piece by piece, as if it came in; then as many of
them as make M minutes (default 5, 0 for none) in one piece, with the transcripts strung together.  Printed
are

- the time that each piece took (median, 99 %, most), and how many took longer than the 10 ms that it lasts;
- the time from the end of each word until it was told, computing included (median, 95 %);
- how many words and phones were taken back, and how many are elsewhere in the end than `align` has them
  (none, or this is a fault).

With --out the alignments are written there as TextGrids, to be scored; and what was told while the recordings
came in to OUT/told.
"""

from __future__ import annotations

import argparse
import gc
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from aligner import Compute, StreamAligner, align, find, load_model
from aligner.backends.choose import chosen
from aligner.corpus import audio
from aligner.formats.registry import write
from aligner.run.stream_events import Event
from aligner.types import Alignment, Interval, Utterance

PIECE = 0.01  # s


@dataclass
class Taken:
    """What was measured."""

    pieces: list[float] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    revised: int = 0
    told: int = 0
    elsewhere: int = 0
    unfinished: int = 0

    def print(self, title: str) -> None:
        """Print it."""
        pieces, delays = 1000 * np.array(self.pieces), 1000 * np.array(self.delays)
        late = (pieces > 1000 * PIECE).sum()
        print(f"{title}: {len(pieces):,} pieces, {len(delays):,} words")
        print(
            f"  a piece     median {np.median(pieces):.2f} ms, 99 % {np.percentile(pieces, 99):.2f} ms, "
            f"most {pieces.max():.1f} ms; {late} longer than {1000 * PIECE:.0f} ms"
        )
        print(
            f"  a word      told {np.median(delays):.0f} ms after its end (median), 95 % "
            f"{np.percentile(delays, 95):.0f} ms, most {delays.max():.0f} ms"
        )
        print(f"  the end     {1000 * np.median(self.ends):.0f} ms after the last sample (median)")
        print(f"  taken back  {self.revised} of {self.told:,} words and phones")
        print(f"  unlike the alignment of the whole: {self.elsewhere} words and phones")
        print(f"  recordings whose text was not finished: {self.unfinished}")


def hear(utterance: Utterance, chunk: int, taken: Taken) -> tuple[StreamAligner, list[Event]]:
    """Stream one recording; what was told of it, too, before the end."""
    wave = audio.read(utterance).wave
    aligner = StreamAligner(utterance.transcript, chunk=chunk)
    size = round(PIECE * aligner.rate)
    events = []
    gc.freeze()  # as the command does
    for k in range(0, len(wave), size):
        began = time.perf_counter()
        events += aligner.hear(wave[k : k + size])
        taken.pieces.append(time.perf_counter() - began)
    began = time.perf_counter()
    events += aligner.rest()
    told = list(events)
    events += aligner.finish()
    taken.ends.append(time.perf_counter() - began)
    taken.delays += aligner.delays
    taken.revised += aligner.revised
    taken.told += sum(e.kind in ("word", "phone") for e in events)
    taken.unfinished += not aligner.finished
    return aligner, told


def as_told(aligned: Alignment, events: list[Event]) -> Alignment:
    """An alignment with the words and phones that were told first."""
    tiers = {}
    for kind, tier in (("word", aligned.words), ("phone", aligned.phones)):
        told, now = [], 0.0
        for e in (e for e in events if e.kind == kind):
            told += [Interval(now, e.start, "")] if e.start > now else []
            told.append(Interval(e.start, e.end, e.label))
            now = e.end
        tiers[f"{kind}s"] = (*told, Interval(now, max(tier[-1].end, now + 0.001), ""))
    return replace(aligned, **tiers)


def compare(aligner: StreamAligner, whole: object, taken: Taken) -> None:
    """Count what is elsewhere in the alignment of the whole."""
    for tier in ("words", "phones"):
        ours = [(i.start, i.end, i.label) for i in getattr(aligner, tier)]
        theirs = [(i.start, i.end, i.label) for i in getattr(whole, tier, ())]
        taken.elsewhere += len(set(ours) ^ set(theirs))


def strung(utterances: tuple[Utterance, ...], seconds: float) -> Utterance:
    """One long recording."""
    waves, texts, have, k = [], [], 0.0, 0
    while have < seconds:
        u = utterances[k % len(utterances)]
        waves.append(audio.read(u).wave)
        texts.append(u.transcript)
        have += len(waves[-1]) / 16000
        k += 1
    return Utterance("long", np.concatenate(waves), " ".join(texts))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", nargs="?", type=Path, default=Path(__file__).parents[2] / "data" / "sample")
    parser.add_argument("--chunk", type=int, default=10, help="ms that are processed at once")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    chunk = round(given.chunk / 10)
    utterances = find(given.corpus).utterances
    whole = chosen(load_model(), compute=Compute(jobs=1))
    short = Taken()
    for utterance, offline in zip(utterances, align(utterances, whole), strict=True):
        aligner, told = hear(utterance, chunk, short)
        compare(aligner, offline, short)
        if given.out and aligner.alignment:
            placed = replace(aligner.alignment, utterance=replace(utterance, end=aligner.heard))
            write(given.out, [placed], ["textgrid"])
            write(given.out / "told", [as_told(placed, told)], ["textgrid"])
    short.print("each recording")
    if given.minutes:
        long, taken = strung(utterances, 60 * given.minutes), Taken()
        aligner, _ = hear(long, chunk, taken)
        compare(aligner, next(iter(align([long], whole))), taken)
        taken.print(f"{aligner.heard:.0f} s in one piece, {len(aligner.graph.pdf):,} states")


if __name__ == "__main__":
    main()
