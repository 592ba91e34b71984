#!/usr/bin/env python3
"""Train a head: a small network that tells phones apart by what a pretrained network hears.

    head.py OUT CORPUS... [--ear hama|tiny.en|hama+tiny.en|FILE] [--teacher MODEL] [--copies N]
                          [--music FOLDER] [--epochs N] [--width N] [--seed N]

Each CORPUS is aligned by the teacher (english-gmm, or english, whose head then teaches its successor); no
hand label tells where phones are.  Each recording is heard as it is, and N times spoilt: with noise, in
rooms, among voices of others of the corpora, with music (of FOLDER's recordings, or made of chords), by
telephone.  One speaker of fifteen is held out; the share of right frames of these is
printed.  Writes OUT/head.json and its numbers.

The head inside the package was made of 83 minutes of English read by learners (speechocean762, free for any
use) and the English prompts of the Asterisk telephone system (CC BY-SA 3.0; recipes/corpora/asterisk.py),
with the music of Debian's packages frozen-bubble-data and extremetuxracer-data in the background:

    head.py aligner/models/english speechocean asterisk --music music
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from aligner import Alignment, Options, align, find
from aligner.learn import train_head
from aligner.models.head import SILENCE, Shape
from aligner.train import head as training

PHONES = (
    f"{SILENCE} AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V "
    "W Y Z ZH"
).split()


def aligned(corpora: Sequence[Path], teacher: str) -> list[Alignment]:
    utterances = [u for corpus in corpora for u in find(corpus).utterances]
    found = [r for r in align(utterances, teacher, Options(backend="hmm")) if isinstance(r, Alignment)]
    print(f"{len(found)} of {len(utterances)} utterances are learnt from", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("corpora", type=Path, nargs="+")
    parser.add_argument("--ear", default="hama")
    parser.add_argument("--teacher", default="english-gmm")
    parser.add_argument("--copies", type=int, default=4)
    parser.add_argument("--music", type=Path)
    parser.add_argument("--epochs", type=float, default=2.0)
    parser.add_argument("--width", type=int, default=Shape().width)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    trained = train_head.train_head(
        aligned(arguments.corpora, arguments.teacher),
        PHONES,
        train_head.Options(
            encoder=arguments.ear,
            copies=arguments.copies,
            music=arguments.music,
            shape=Shape(width=arguments.width),
            fitting=training.Options(epochs=arguments.epochs, seed=arguments.seed),
        ),
        jobs=os.cpu_count() or 1,
        on_progress=lambda progress: print(progress, flush=True),
    )
    print(f"{trained.right:.1%} of the frames of held-out speakers are right")
    trained.head.about = {
        "corpora": [corpus.name for corpus in arguments.corpora],
        "hours": round(trained.seconds / 3600, 3),
        "copies": 1 + arguments.copies,
        "teacher": arguments.teacher,
        "epochs": arguments.epochs,
        "seed": arguments.seed,
        "right": round(trained.right, 4),
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    trained.head.save(arguments.out)


if __name__ == "__main__":
    main()
