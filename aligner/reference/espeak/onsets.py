"""Where the phones of synthetic speech are heard to begin, from eSpeak's events and its samples.

An event carries the sample at which eSpeak begins to write the phone (the milliseconds beside it are rounded
down).  Frication, bursts and vowels behind obstruents begin there, within 3 ms.  A vowel behind a nasal,
liquid or glide is announced only after its onset transition: the spectrum is half-way from the consonant to
the vowel 25 ms earlier (medians at 175 words a minute: m 24, n 33, l 21, w 33, r 15 ms; six languages, five
vowels each), 37 ms at 120.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from aligner.text.phones import IPA_KINDS
from aligner.types import SILENCE_LABEL

# seconds at 175 words a minute; all shrink as speech quickens
VOWEL_LAG = 0.025  # delay with which a vowel behind a nasal, liquid or glide is announced
# part of the silence before a stop between words that is its closure; eSpeak makes 40 to 50 ms
STOP_CLOSURE = 0.06
SHORTEST_PAUSE = 0.03  # shorter silences are voice onset times and the like
SHORTEST_PHONE = 0.01  # eSpeak speaks some liquids within the vowel before and gives them no length
SILENCE_AMPLITUDE = 2  # greatest amplitude, of 32768, in a pause; eSpeak's pauses are digital silence
UVULAR_FRICATIVE = "ʁ"  # a fricative by its name; it leads into a vowel as a liquid does


@dataclass(frozen=True)
class Onset:
    """A phone that begins at a sample of the library's rate."""

    start: int
    """Sample, at the library's rate, that the phone begins at."""
    label: str
    """Label of the phone."""
    word: int
    """Index of its word; -1 for a pause."""


def lay_out(phones: Sequence[Onset], samples: np.ndarray, rate: int, stretch: float) -> list[Onset]:
    """Move phones to where they are heard to begin, and put the pauses between them (word -1)."""
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > SILENCE_AMPLITUDE)
    laid: list[Onset] = []
    for before, phone in zip([None, *phones], phones, strict=False):
        quiet = _quiet_before(loud, phone.start, before.start if before else 0)
        laid += _place(before, phone, quiet, rate, stretch)
    quiet = _quiet_before(loud, len(samples), phones[-1].start)
    if quiet >= SHORTEST_PAUSE * rate:
        laid.append(Onset(len(samples) - quiet, SILENCE_LABEL, -1))
    return laid


def _quiet_before(loud: np.ndarray, end: int, start: int) -> int:
    """Number of silent samples just before ``end`` and not before ``start``."""
    k = int(np.searchsorted(loud, end))
    return end - max(int(loud[k - 1]) + 1 if k else 0, start)


def _place(before: Onset | None, phone: Onset, quiet: int, rate: int, stretch: float) -> list[Onset]:
    """Place a phone behind ``quiet`` silent samples, with the pause before it, if there is one."""
    is_stop = kind_of(phone.label) == "stop"
    if before and before.word == phone.word:
        pause = 0 if is_stop else quiet
    else:
        pause = quiet - min(quiet, round(STOP_CLOSURE * stretch * rate)) if is_stop else quiet
    if pause >= SHORTEST_PAUSE * rate:
        start = phone.start - quiet
        return [Onset(start, SILENCE_LABEL, -1), replace(phone, start=start + pause)]
    if is_stop:
        return [replace(phone, start=phone.start - quiet)]
    if (
        before
        and not quiet
        and kind_of(before.label) in ("nasal", "liquid")
        and kind_of(phone.label) == "vowel"
    ):
        lag = min(round(VOWEL_LAG * stretch * rate), (phone.start - before.start) // 2)
        return [replace(phone, start=phone.start - lag)]
    return [phone]


def kind_of(label: str) -> str | None:
    """Kind of a phone by its first letter, whatever marks are on it; None where it is unknown."""
    letters = unicodedata.normalize("NFD", label)
    letter = next((c for c in letters if unicodedata.category(c) != "Lm"), letters[0])
    return "liquid" if letter == UVULAR_FRICATIVE else IPA_KINDS.get(letter)


def lengthened(laid: list[Onset], end: int, rate: int) -> list[Onset]:
    """Give phones of hardly any length half of what they share with their neighbour."""
    starts = [*(phone.start for phone in laid), end]
    starts[0] = 0
    for i in range(len(laid)):
        if starts[i + 1] - starts[i] < SHORTEST_PHONE * rate:
            if i and laid[i - 1].word >= 0:
                starts[i] = (starts[i - 1] + starts[i + 1]) // 2
            elif i + 2 < len(starts):
                starts[i + 1] = (starts[i] + starts[i + 2]) // 2
    return [replace(phone, start=start) for phone, start in zip(laid, starts, strict=False)]
