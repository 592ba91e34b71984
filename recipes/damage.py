#!/usr/bin/env python3
"""How much damage quality control finds: damages every utterance of a corpus in six ways, and aligns all of
it.

    damage.py CORPUS [--backend NAME] [--model NAME|FOLDER] [--seed N]

CORPUS is a corpus that is right, at least two dozen utterances with different transcripts.  Prints the share
that is marked suspect (or fails) of each kind of damage, and of what is intact, with the reasons for the
latter.
"""

from __future__ import annotations

import argparse
import random
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from aligner import Alignment, Failure, Options, align, find
from aligner.backends.base import AnyBackend
from aligner.backends.choose import chosen
from aligner.corpus.audio import read
from aligner.types import SAMPLE_RATE, Utterance

SPANISH = (
    "la casa de mi abuela tiene un jardín muy grande lleno de flores",
    "mañana por la mañana vamos a comprar pan y leche en la tienda",
    "los estudiantes escuchan al profesor que explica la lección de historia",
    "mi hermano vive en una ciudad pequeña cerca de la montaña",
)
INSERTED = 5.0  # s of other speech
ADDED = 3  # words

Speech = tuple[np.ndarray, str]  # samples and what is said


def swap(speech: Speech, other: Speech, draw: random.Random) -> Speech:
    """The transcript of another recording."""
    return speech[0], other[1]


def drop_half(speech: Speech, other: Speech, draw: random.Random) -> Speech:
    """The first half of the transcript is lost."""
    words = words_of(speech[1])
    return speech[0], " ".join(words[(len(words) + 1) // 2 :] or words)


def add_words(speech: Speech, other: Speech, draw: random.Random) -> Speech:
    """Three words of another transcript, anywhere."""
    words, more = words_of(speech[1]), words_of(other[1])
    first, at = draw.randrange(max(1, len(more) - ADDED + 1)), draw.randrange(len(words) + 1)
    return speech[0], " ".join([*words[:at], *more[first : first + ADDED], *words[at:]])


def insert_speech(speech: Speech, other: Speech, draw: random.Random) -> Speech:
    """Five seconds of someone else, before, within or after."""
    wave = speech[0]
    cut = draw.choice([0, len(wave) // 2, len(wave)])
    return np.concatenate([wave[:cut], np.resize(other[0], int(INSERTED * SAMPLE_RATE)), wave[cut:]]), speech[
        1
    ]


def reverse(speech: Speech, other: Speech, draw: random.Random) -> Speech:
    """The recording runs backwards."""
    return speech[0][::-1].copy(), speech[1]


def other_language(speech: Speech, other: Speech, draw: random.Random) -> Speech:
    """A Spanish transcript."""
    return speech[0], draw.choice(SPANISH)


DAMAGES: tuple[Callable[[Speech, Speech, random.Random], Speech], ...] = (
    swap,
    drop_half,
    add_words,
    insert_speech,
    reverse,
    other_language,
)


def words_of(text: str) -> list[str]:
    return re.sub(r"[^\w' ]", " ", text).split()


def corpus(folder: Path) -> list[Speech]:
    return [(read(u).wave, u.transcript) for u in find(folder).utterances]


def damaged(speech: Sequence[Speech], damage: Callable[..., Speech], seed: int) -> list[Speech]:
    """Every utterance damaged, each with another one drawn to take words or speech from."""
    draw = random.Random(seed)
    return [damage(s, draw.choice([o for o in speech if o[1] != s[1]]), draw) for s in speech]


def suspicious(speech: Sequence[Speech], backend: AnyBackend) -> list[str]:
    """Why each is suspect or failed; empty where it is neither."""
    results = align([Utterance(str(k), wave, text) for k, (wave, text) in enumerate(speech)], backend)
    return [_reason(result) for result in results]


def _reason(result: Alignment | Failure) -> str:
    return result.message if isinstance(result, Failure) else "; ".join(s.text for s in result.suspicions)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--backend")
    parser.add_argument("--model")
    parser.add_argument("--language")
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    options = Options(backend=given.backend, language=given.language)
    backend, speech = chosen(given.model, options), corpus(given.corpus)
    intact = suspicious(speech, backend)
    print(f"{'intact':15} {100 * sum(map(bool, intact)) / len(intact):5.1f} % of {len(intact)} flagged")
    for (_, text), reason in zip(speech, intact, strict=True):
        if reason:
            print(f"                {text[:60]!r}: {reason}")
    for damage in DAMAGES:
        found = suspicious(damaged(speech, damage, given.seed), backend)
        print(f"{damage.__name__:15} {100 * sum(map(bool, found)) / len(found):5.1f} %")


if __name__ == "__main__":
    main()
