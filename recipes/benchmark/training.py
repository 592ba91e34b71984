#!/usr/bin/env python3
"""How long `aligner train` takes on an hour of speech beside its peers, and how much memory.

    training.py CORPUS [--dictionary D] [--pstrain BIN] [--only NAME] ... [--hours N] [--recipe NAME] [--jobs
    N]

The peers are pstrain, which is CMU's SphinxTrain in a wheel, and `mfa train` where mfa is on the PATH.
pstrain has needs of its own and goes into an environment of its own:

    python3 -m venv pstrain && pstrain/bin/pip install pstrain && training.py CORPUS --pstrain
    pstrain/bin/pstrain

A corpus that is shorter than the hour is lengthened by copies at other speeds, each a further speaker.  All
are given the same recordings, the words that are said in them, and a dictionary of just these words; what the
dictionary lacks (default: CMU's, of English) is guessed by `aligner` beforehand.  pstrain trains what it does
by default, and what its manual begins with: continuous triphones of 200 tied states with 8 Gaussians each.
It sets 5 % of the utterances apart.

Memory is what all processes of a trainer hold together, the greatest of samples every 0.2 s; what they share
counts for each of them.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import soundfile
from evaluate import resident
from scipy.signal import resample_poly

from aligner import DataError, Utterance, find
from aligner.corpus.audio import read
from aligner.formats.files import read_text
from aligner.models.store import cmu_dictionary
from aligner.text.g2p import HamaG2P
from aligner.text.lexicon import NOISE_PHONES, Lexicon, Pronouncer
from aligner.text.normalise import normalise
from aligner.text.phones import unstressed
from aligner.types import SAMPLE_RATE

SPEEDS = (1.0, 0.9, 1.1, 0.95, 1.05, 0.85, 1.15)
TAIL = 5  # lines of a log that tell why it failed


class Task(NamedTuple):
    """What all are given."""

    corpus: Path
    dictionary: Path
    folder: Path
    recipe: str
    jobs: int


class Trainer(NamedTuple):
    """A command, what is there when it has succeeded, and the exit status of success."""

    words: list[str]
    model: Path
    fine: tuple[int, ...] = (0,)


def pronouncer(dictionary: Path | None) -> Pronouncer:
    path = dictionary or cmu_dictionary()
    lexicon = Lexicon.parse(read_text(path), lambda phone: phone not in NOISE_PHONES, path)
    phones = set(map(unstressed, lexicon.phones))
    return Pronouncer(
        lexicon=lexicon,
        g2p=None if dictionary else HamaG2P(),
        known=lambda phone: unstressed(phone) in phones,
    )


def lengthened(utterances: Sequence[Utterance]) -> Iterator[tuple[Utterance, float]]:
    """Utterances and speeds, as they are first."""
    shuffled = random.Random(0).sample(utterances, len(utterances))
    for speed in SPEEDS:
        yield from (
            (replace(u, speaker=f"{u.speaker}-{speed}" if speed != 1 else u.speaker), speed) for u in shuffled
        )


def fill(
    source: Path, target: Path, hours: float, pronounce: Pronouncer
) -> tuple[float, dict[str, set[str]]]:
    """Write a corpus of so many hours; its seconds, and the pronunciations of its words."""
    seconds, entries = 0.0, {}
    for utterance, speed in lengthened(find(source).utterances):
        if seconds >= 3600 * hours:
            break
        try:
            spoken, _ = pronounce(normalise(utterance.transcript))
            wave = read(utterance).wave
        except DataError as error:
            print(f"left out: {error}")
            continue
        if speed != 1:
            wave = resample_poly(wave, 100, round(100 * speed))
        for word in spoken:
            entries.setdefault(word.word.lower(), set()).update(
                " ".join(p.phones) for p in word.pronunciations
            )
        stem = target / utterance.speaker / utterance.id.replace("/", "_").replace("#", "-")
        stem.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(f"{stem}.wav", wave, SAMPLE_RATE, subtype="PCM_16")
        Path(f"{stem}.lab").write_text(" ".join(w.word.lower() for w in spoken) + "\n", encoding="utf-8")
        seconds += len(wave) / SAMPLE_RATE
    return seconds, entries


def write_dictionary(path: Path, entries: Mapping[str, set[str]]) -> None:
    """One pronunciation a line, variants as CMU marks them: word(2)."""
    lines = [
        f"{word}{f'({k})' if k > 1 else ''} {phones}\n"
        for word, variants in sorted(entries.items())
        for k, phones in enumerate(sorted(variants), 1)
    ]
    path.write_text("".join(lines), encoding="utf-8")


def by_aligner(task: Task, program: str) -> Trainer:
    """Its exit status is 1 where it left an utterance out."""
    model = task.folder / "aligner"
    return Trainer(
        [
            program,
            "train",
            str(task.corpus),
            str(model),
            "--recipe",
            task.recipe,
            "--start",
            "flat",  # as its peers begin
            "--dictionary",
            str(task.dictionary),
            "--jobs",
            str(task.jobs),
        ],
        model,
        (0, 1),
    )


def by_pstrain(task: Task, program: str) -> Trainer:
    """Its `train` takes recordings, prompts and a dictionary, and does all the rest."""
    prompts, project = task.folder / "prompts.txt", task.folder / "pstrain"
    labs = sorted(task.corpus.rglob("*.lab"))
    prompts.write_text(
        "".join(
            f"{p.relative_to(task.corpus).with_suffix('').as_posix()}\t{p.read_text().strip()}\n"
            for p in labs
        ),
        encoding="utf-8",
    )
    words = [
        program,
        "train",
        str(project),
        "--audio",
        str(task.corpus),
        "--prompts",
        str(prompts),
        "--prompt-format",
        "tsv",
        "--dictionary",
        str(task.dictionary),
        "--link-audio",
        "--jobs",
        str(task.jobs),
    ]
    return Trainer(words, project / "shared" / "models" / "cd-8g" / "default" / "means")


def by_mfa(task: Task, program: str) -> Trainer:
    """Its dictionaries do not number the variants."""
    dictionary, model = task.folder / "mfa.dict", task.folder / "mfa.zip"
    dictionary.write_text(re.sub(r"(?m)^(\S+)\(\d+\) ", r"\1 ", read_text(task.dictionary)), encoding="utf-8")
    return Trainer(
        [
            program,
            "train",
            str(task.corpus),
            str(dictionary),
            str(model),
            "--num_jobs",
            str(task.jobs),
            "--temporary_directory",
            str(task.folder / "mfa"),
            "--clean",
        ],
        model,
    )


TRAINERS = {"aligner": by_aligner, "pstrain": by_pstrain, "mfa": by_mfa}


def measure(name: str, trainer: Trainer, log: Path) -> tuple[float, float] | None:
    """Seconds and GB; None where it failed."""
    load = os.getloadavg()[0]
    begun, most, ended = time.perf_counter(), 0, threading.Event()
    with log.open("w") as file:
        process = subprocess.Popen(trainer.words, stdout=file, stderr=subprocess.STDOUT)
    threading.Thread(target=lambda: (process.wait(), ended.set()), daemon=True).start()
    while not ended.wait(0.2):
        most = max(most, resident(process.pid))
    seconds = time.perf_counter() - begun
    if process.returncode not in trainer.fine or not trainer.model.exists():
        print(
            f"{name:8} failed after {seconds:.0f} s ({log}):",
            *log.read_text().splitlines()[-TAIL:],
            sep="\n    ",
        )
        return None
    print(f"{name:8} {seconds:8.1f} s  {most / 1e9:6.2f} GB  load before {load:.2f}", flush=True)
    return seconds, most / 1e9


def trainers(task: Task, pstrain: str | None, wanted: Sequence[str]) -> dict[str, Trainer]:
    """Those of the wanted that are here; why the others are not is printed."""
    programs = {
        "aligner": str(Path(sys.executable).with_name("aligner")),
        "mfa": shutil.which("mfa"),
        "pstrain": shutil.which(Path(pstrain).with_name("pstrain")) if pstrain else None,
    }
    for name in (n for n in wanted if not programs[n]):
        print(
            f"{name} is not measured: "
            + ("it is not on the PATH" if name == "mfa" else "name it with --pstrain")
        )
    return {name: TRAINERS[name](task, programs[name]) for name in wanted if programs[name]}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--dictionary", type=Path)
    parser.add_argument("--pstrain", metavar="BIN", help="pstrain, or the Python that it is installed for")
    parser.add_argument("--only", action="append", choices=TRAINERS)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--recipe", default="standard")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--work", type=Path, help="a new folder for what is made, to be kept")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.work or Path(temporary) / "work"
        folder.mkdir(parents=True)
        task = Task(folder / "corpus", folder / "words.dict", folder, given.recipe, given.jobs)
        seconds, entries = fill(given.corpus, task.corpus, given.hours, pronouncer(given.dictionary))
        write_dictionary(task.dictionary, entries)
        print(
            f"{seconds / 3600:.3f} hours, {len(list(task.corpus.rglob('*.wav')))} utterances, "
            f"{len(list(task.corpus.iterdir()))} speakers, {len(entries)} words; {given.jobs} processes, "
            f"{os.cpu_count()} cores"
        )
        took = {
            name: measure(name, trainer, folder / f"{name}.log")
            for name, trainer in trainers(task, given.pstrain, given.only or list(TRAINERS)).items()
        }
        for name, figures in took.items():
            if name != "aligner" and figures and took.get("aligner"):
                print(f"{name} takes {figures[0] / took['aligner'][0]:.2f} times as long as aligner")
    sys.exit(None in took.values())


if __name__ == "__main__":
    main()
