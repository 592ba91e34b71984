#!/usr/bin/env python3
"""Train a head: a small network that tells phones apart by what a pretrained network hears.

    head.py OUT CORPUS... [--ear hama|tiny.en|FILE] [--teacher MODEL] [--copies N] [--music FOLDER]
                          [--epochs N] [--width N] [--seed N]

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
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from aligner import Alignment, Options, align, find
from aligner.corpus import audio
from aligner.corpus.listening import as_heard
from aligner.models.ears import ear
from aligner.models.head import SILENCE, Head, Shape
from aligner.train import head as training
from aligner.train.augment import Surroundings, levelled, spoilt
from aligner.types import SAMPLE_RATE, Utterance

PHONES = (
    f"{SILENCE} AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V "
    "W Y Z ZH"
).split()
Arrays = dict[str, np.ndarray]
COLUMNS = {phone: k for k, phone in enumerate(PHONES)}
LONGEST = 25.0  # s of a recording that is learnt from: what is heard at once
HELD_OUT = 15  # of so many speakers one is held out
VOICES = 11  # of so many recordings one is a voice in the background
AT_ONCE = 16  # recordings that a process hears before it reports


@dataclass(frozen=True, kw_only=True)
class Task:
    """Recordings to be heard by one process."""

    items: Sequence[tuple[int, Alignment]]
    ear: str
    copies: int
    surroundings: Surroundings
    seed: int


def hear(task: Task) -> list[tuple[str, list[Arrays]]]:
    """The speaker of each recording, and what is heard in it: as it is, and spoilt.

    As arrays: tensors would go from process to process by open files, of which there may not be as many.
    """
    torch.set_num_threads(1)
    listening = ear(task.ear)
    found = []
    for number, alignment in task.items:
        rng = np.random.default_rng([task.seed, number])
        wave = audio.read(alignment.utterance, SAMPLE_RATE).wave
        copies = [levelled(wave, rng), *(spoilt(wave, rng, task.surroundings) for _ in range(task.copies))]
        heard = [
            training.Labelled.of(
                torch.from_numpy(as_heard(copy, SAMPLE_RATE)),
                alignment.phones,
                listening,
                COLUMNS,
                alignment.utterance.start,
            )
            for copy in copies
        ]
        arrays = [{f.name: getattr(one, f.name).numpy() for f in fields(one)} for one in heard]
        found.append((alignment.utterance.speaker, arrays))
    return found


def aligned(corpora: Sequence[Path], teacher: str) -> list[Alignment]:
    utterances = [u for corpus in corpora for u in find(corpus).utterances]
    results = [r for r in align(utterances, teacher, Options(backend="hmm")) if isinstance(r, Alignment)]
    kept = [
        r for r in results if r.utterance.end is not None and r.utterance.end - r.utterance.start <= LONGEST
    ]
    print(f"{len(kept)} of {len(utterances)} utterances are learnt from", flush=True)
    return kept


def surroundings(alignments: Sequence[Alignment], music: Path | None) -> Surroundings:
    def waves(utterances: Sequence[Utterance]) -> list[np.ndarray]:
        return [audio.read(u, SAMPLE_RATE, silence=True).wave for u in utterances]

    tunes = [] if music is None else audio.recordings_of(sorted(music.rglob("*")))
    return Surroundings(
        voices=waves([a.utterance for a in alignments[::VOICES]]),
        music=waves([Utterance(path.stem, path, "") for path in tunes]),
    )


def heard(alignments: Sequence[Alignment], arguments: argparse.Namespace) -> Iterator[tuple[str, list]]:
    around = surroundings(alignments, arguments.music)
    numbered = list(enumerate(alignments))
    tasks = [
        Task(
            items=numbered[k : k + AT_ONCE],
            ear=arguments.ear,
            copies=arguments.copies,
            surroundings=around,
            seed=arguments.seed,
        )
        for k in range(0, len(numbered), AT_ONCE)
    ]
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        for part in pool.map(hear, tasks):
            for speaker, copies in part:
                yield speaker, [training.Labelled(**tensors(of)) for of in copies]


def tensors(arrays: Arrays) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


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

    begun = time.perf_counter()
    found = list(heard(aligned(arguments.corpora, arguments.teacher), arguments))
    apart = set(sorted({speaker for speaker, _ in found})[::HELD_OUT])
    learnt, asked = (
        [one for s, copies in found if (s in apart) == out for one in copies] for out in (False, True)
    )
    hours = sum(len(one.labels) for one in learnt) / 360_000
    print(f"{hours:.2f} h heard, copies counted, in {time.perf_counter() - begun:.0f} s", flush=True)

    torch.manual_seed(arguments.seed)
    head = Head(PHONES, arguments.ear, ear(arguments.ear).size, Shape(width=arguments.width))
    options = training.Options(epochs=arguments.epochs, seed=arguments.seed)
    training.fit(head, learnt, options, lambda progress: print(progress, flush=True))
    right = training.accuracy(head, asked)
    print(f"{right:.1%} of the frames of held-out speakers are right")
    head.about = {
        "corpora": [corpus.name for corpus in arguments.corpora],
        "hours": round(hours / (1 + arguments.copies), 3),
        "copies": 1 + arguments.copies,
        "teacher": arguments.teacher,
        "epochs": arguments.epochs,
        "seed": arguments.seed,
        "right": round(right, 4),
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    head.save(arguments.out)


if __name__ == "__main__":
    main()
