"""What is damaged is found, what is intact is left in peace: on hand-labelled speech, in six kinds of damage."""

from __future__ import annotations

import random
import re

import numpy as np
import pytest
import soundfile

from aligner import Failure, align, find
from aligner.types import Utterance

SPANISH = [
    "la casa de mi abuela tiene un jardín muy grande lleno de flores",
    "mañana por la mañana vamos a comprar pan y leche en la tienda",
    "los estudiantes escuchan al profesor que explica la lección de historia",
    "mi hermano vive en una ciudad pequeña cerca de la montaña",
]
RATE = 16_000


def words_of(text: str) -> list[str]:
    return re.sub(r"[^\w' ]", " ", text).split()


def swap(wave, text, other, other_text, draw):
    return wave, other_text


def drop_half(wave, text, other, other_text, draw):
    words = words_of(text)
    return wave, " ".join(words[(len(words) + 1) // 2 :])


def add_words(wave, text, other, other_text, draw):
    """Three words of another sentence, anywhere."""
    words, more = words_of(text), words_of(other_text)
    first, at = draw.randrange(max(1, len(more) - 2)), draw.randrange(len(words) + 1)
    return wave, " ".join([*words[:at], *more[first : first + 3], *words[at:]])


def insert_speech(wave, text, other, other_text, draw):
    """Five seconds of someone else, before, within or after."""
    cut = draw.choice([0, len(wave) // 2, len(wave)])
    return np.concatenate([wave[:cut], np.resize(other, 5 * RATE), wave[cut:]]), text


def reverse(wave, text, other, other_text, draw):
    return wave[::-1].copy(), text


def other_language(wave, text, other, other_text, draw):
    return wave, draw.choice(SPANISH)


DAMAGES = [swap, drop_half, add_words, insert_speech, reverse, other_language]


@pytest.fixture(scope="module")
def speech(timit) -> list[tuple[np.ndarray, str]]:
    return [(soundfile.read(u.audio, dtype="float32")[0], u.transcript) for u in find(timit).utterances]


def flagged(items, model) -> float:
    """Share of the (wave, text) pairs that are marked suspect or fail, in percent."""
    results = list(align([Utterance(str(k), wave, text) for k, (wave, text) in enumerate(items)], model))
    return 100 * sum(isinstance(r, Failure) or r.status == "suspect" for r in results) / len(results)


def test_intact_speech_is_left_in_peace(speech, model):
    assert flagged(speech, model) <= 3


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_found(speech, model, damage):
    draw = random.Random(7)
    damaged = []
    for wave, text in speech:
        other, other_text = draw.choice([s for s in speech if s[1] != text])
        damaged.append(damage(wave, text, other, other_text, draw))
    assert flagged(damaged, model) >= 95
