"""Speech of eSpeak NG whose words and phones have known times: what DTW warps onto a recording."""

from __future__ import annotations

import ctypes
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from aligner.corpus.audio import read
from aligner.reference.espeak import library as binding
from aligner.reference.espeak.languages import resolve
from aligner.reference.espeak.library import PITCH, RATE, WORD_GAP
from aligner.reference.espeak.onsets import Onset, lay_out, lengthened
from aligner.reference.espeak.phones import BEFORE, PhoneNames
from aligner.reference.espeak.scripts import sounded
from aligner.text.g2p import romanised
from aligner.types import DECIMALS, SAMPLE_RATE, DataError, Fault, Interval, ModelError, Utterance

NORMAL_SPEED = 175  # words per minute at which the times in `aligner.reference.espeak.onsets` were measured
# words per minute; above, eSpeak squeezes the waveform, and its events no longer fit it
SPEEDS = range(80, 451)
PITCHES = range(100)
LEAST_SHARED = 0.8  # of the phones that words have alone, those that they have as one
MOST_CHANGED = 4  # phones more than alone that a word has among others, at most
LONGEST_CLAUSE = 500  # bytes; eSpeak cuts a clause anywhere at 800 bytes or 1000 phones
ZERO_WIDTH_SPACE = "\u200b"
WORD_SEPARATOR = f" {ZERO_WIDTH_SPACE} "  # keeps eSpeak from reading words as one
WITHOUT_CONTROL = dict.fromkeys(range(32), " ")  # eSpeak would take control characters for commands


@dataclass(frozen=True)
class SyntheticSpeech:
    """Synthetic speech, and what is said when."""

    wave: np.ndarray
    """(N,) float32: waveform of full scale 1 at 16 kHz."""
    phones: tuple[Interval, ...]
    """Phones in the IPA (see `aligner.reference.espeak.phones`) without stress and tone; they tile the speech
    from 0 to its end, pauses as `SILENCE_LABEL`."""
    words: tuple[int, ...]
    """Index of each phone's word, -1 for a pause; never falling but for pauses."""


class Voice(NamedTuple):
    """A voice that speaks."""

    library: ctypes.CDLL
    """The library, set to it."""
    names: PhoneNames
    """What it means by the names of its phones."""


@dataclass(frozen=True, kw_only=True)
class Synthesiser:
    """Speaks words; equal words give equal samples.

    Parameters
    ----------
    language : str
        Language, as `resolve` takes it.
    speed : int
        Words per minute, 80 to 450.
    pitch : int
        0 to 99; 50 is the voice's own.
    variant : str
        A variant of eSpeak's voice, such as "f2" or "m3"; empty for the voice itself.
    pause : float
        Seconds of silence between words, in steps of 10 ms at the normal speed; they shrink as speech
        quickens.

    Raises
    ------
    ModelError
        If the package that carries eSpeak is not installed, or has no such variant.
    DataError
        If eSpeak does not speak the language.

    Examples
    --------
    >>> speech = Synthesiser(language="sw")(["habari", "yako"])
    >>> [phone.label for phone in speech.phones]
    ['h', 'a', 'b', 'a', 'r', 'i', 'j', 'a', 'k', 'o']
    """

    language: str
    speed: int = NORMAL_SPEED
    pitch: int = 50
    variant: str = ""
    pause: float = 0.0

    def __post_init__(self) -> None:
        if self.speed not in SPEEDS:
            raise ValueError(f"speed is {self.speed}; whole words per minute, {SPEEDS[0]} to {SPEEDS[-1]}")
        if self.pitch not in PITCHES:
            raise ValueError(f"pitch is {self.pitch}; a whole number, {PITCHES[0]} to {PITCHES[-1]}")
        if not 0 <= self.pause <= 1:
            raise ValueError(f"pause is {self.pause}; seconds, 0 to 1")
        object.__setattr__(self, "language", resolve(self.language))

    def __call__(self, words: Sequence[str]) -> SyntheticSpeech:
        """Speak ``words``, each written as it is spoken, without punctuation.

        Returns
        -------
        SyntheticSpeech

        Raises
        ------
        DataError
            If there is nothing to say, or a word with a letter in it that eSpeak has no sound for.
        """
        if not words:
            raise DataError(
                "transcript", "there are no words to say", "write what is said", fault=Fault.EMPTY_TRANSCRIPT
            )
        words = [sounded(word, self.language) for word in words]
        with self.session() as (voice, rate):
            pieces = [_say_clause(voice, words, span) for span in _clauses(words)]
        samples = np.concatenate([piece for piece, _ in pieces])
        offsets = np.cumsum([0, *(len(piece) for piece, _ in pieces)]).tolist()
        phones = [
            replace(phone, start=phone.start + offset)
            for offset, (_, said) in zip(offsets, pieces, strict=False)
            for phone in said
        ]
        if not phones:
            raise DataError(
                " ".join(words),
                "eSpeak has no sound for any of these words",
                "spell them out",
                fault=Fault.OOV,
            )
        wave = read(Utterance("speech", samples, " ".join(words), rate=rate)).wave
        laid = lengthened(lay_out(phones, samples, rate, NORMAL_SPEED / self.speed), len(samples), rate)
        edges = [0.0, *(round(p.start / rate, DECIMALS) for p in laid[1:]), len(wave) / SAMPLE_RATE]
        intervals = tuple(Interval(a, b, p.label) for (a, b), p in zip(pairwise(edges), laid, strict=True))
        return SyntheticSpeech(wave, intervals, tuple(p.word for p in laid))

    @contextmanager
    def session(self) -> Iterator[tuple[Voice, int]]:
        """The voice, set to this speed and pitch, and its sample rate; for one thread at a time."""
        name = self._voice()
        with binding.opened() as library:
            yield Voice(library, PhoneNames(self.language)), self._set_up(library, name)

    def _voice(self) -> str:
        """Name of the voice, with its variant, in eSpeak's terms."""
        name = binding.voices()[self.language][1]
        if not self.variant:
            return name
        variants = {
            path.name for path in (Path(binding.package().get_data_path()) / "voices" / "!v").iterdir()
        }
        if self.variant not in variants:  # eSpeak itself would say nothing and take the plain voice
            raise ModelError(
                self.variant, "eSpeak has no such variant of a voice", f"take one of {sorted(variants)}"
            )
        return f"{name}+{self.variant}"

    def _set_up(self, library: ctypes.CDLL, voice: str) -> int:
        """Choose voice, speed and pitch, and return the library's sample rate."""
        rate = binding.initialise(library)
        library.espeak_ng_SetRandSeed(ctypes.c_long(1))  # otherwise seeded with the time
        if library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise ModelError(voice, "eSpeak cannot load this voice", "install espeakng-loader again")
        for parameter, value in (
            (RATE, self.speed),
            (PITCH, self.pitch),
            (WORD_GAP, round(self.pause * 100)),
        ):
            library.espeak_SetParameter(parameter, value, 0)
        return rate


def _clauses(words: Sequence[str]) -> Iterator[range]:
    """Cut the words into spans that are short enough for one clause of eSpeak."""
    first, size = 0, 0
    for i, word in enumerate(words):
        size += len((word + WORD_SEPARATOR).encode())
        if size > LONGEST_CLAUSE and i > first:
            yield range(first, i)
            first, size = i, len((word + WORD_SEPARATOR).encode())
    yield range(first, len(words))


def _say_clause(voice: Voice, words: Sequence[str], span: range) -> tuple[np.ndarray, list[Onset]]:
    """Samples and phones of a clause, in which every word has phones of its own.

    Words that eSpeak reads as one ("of the") are separated, and the clause is said again; where it reads them
    as one all the same, as in Korean, or they are one, as "l'" is with the word behind it, their phones are
    shared out; signs that it has no sound for are said as plain ones (① as 1).
    """
    separated: frozenset[int] = frozenset()
    while True:
        samples, phones = say(voice, words, span, separated)
        mute = _mute(words, span, phones)
        apart = [i for i in mute if i == span[0] or not is_elided(words[i - 1])]
        wanted = separated.union(*({i, i + 1} for i in apart))
        if wanted != separated:
            separated = wanted
            continue
        phones = _shared_out(voice, words, phones, mute)
        if _mute(words, span, phones):  # Korean's first word may have no place, and the others a wrong one
            phones = _all_shared_out(voice, words, span, phones)
        mute = _mute(words, span, phones)
        plain = [romanised(w).strip() if i in mute else w for i, w in enumerate(words)]
        if plain == list(words):
            break
        words = plain
    if mute:
        raise DataError(
            words[mute[0]],
            "eSpeak has no sound for this word",
            "spell it as this language would",
            fault=Fault.OOV,
        )
    return samples, phones


def is_elided(word: str) -> bool:
    """Whether a word has lost its end before the next one, which it is said with: "l'", "dell'"."""
    return len(word) > 1 and word.endswith("'") and word[-2].isalpha()


def _mute(words: Sequence[str], span: range, phones: Sequence[Onset]) -> list[int]:
    """Which words have something to say and no phones."""
    said = {phone.word for phone in phones}
    return [i for i in span if i not in said and any(c.isalnum() for c in words[i])]


def _shared_out(voice: Voice, words: Sequence[str], phones: list[Onset], mute: Sequence[int]) -> list[Onset]:
    """The phones of each word behind which others are ``mute``, shared out among all of these."""
    for first, last in _runs(mute):
        places = [k for k, phone in enumerate(phones) if phone.word == first - 1]
        phones = _among(voice, words, phones, places, range(first - 1, last + 1))
    return phones


def _all_shared_out(voice: Voice, words: Sequence[str], span: range, phones: list[Onset]) -> list[Onset]:
    """The phones of a clause shared out among all of its words, wherever eSpeak has these."""
    said = [i for i in span if any(c.isalnum() for c in words[i])]
    places = [k for k, phone in enumerate(phones) if phone.label]
    return _among(voice, words, phones, places, said)


def _among(
    voice: Voice,
    words: Sequence[str],
    phones: list[Onset],
    places: Sequence[int],
    owners: Sequence[int],
) -> list[Onset]:
    """The phones with those at some ``places`` shared out among ``owners``, by what each word is when said
    alone; as they are where they cannot be those of all of these.
    """
    if not places:
        return phones
    alone = [labels_alone(voice, words[i]) for i in owners]
    if not _may_be(len(places), alone):
        return phones
    sizes, found = shares([phones[k].label for k in places], alone), list(phones)
    for k, owner in zip(places, np.repeat(owners, sizes).tolist(), strict=True):
        found[k] = replace(found[k], word=owner)
    return found


def _may_be(count: int, alone: Sequence[Sequence[str]]) -> bool:
    """Whether so many phones may be those of all of some words, by what each has alone."""
    return all(alone) and count >= max(len(alone), LEAST_SHARED * sum(map(len, alone)))


def _runs(places: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First and last of each run of ascending whole numbers."""
    for k, place in enumerate(places):
        if k == 0 or places[k - 1] != place - 1:
            first = place
        if k + 1 == len(places) or places[k + 1] != place + 1:
            yield first, place


def labels_alone(voice: Voice, word: str) -> tuple[str, ...]:
    """Phones of a word by itself, as it sounds before the end of its sentence; of one that is elided, those
    that it has before a vowel.
    """
    if is_elided(word):
        whole, vowel = (_labels(voice, said) for said in (word + "a", "a"))
        if len(whole) > len(vowel) and whole[-len(vowel) :] == vowel:
            return whole[: -len(vowel)]
    return _labels(voice, word)


def _labels(voice: Voice, word: str) -> tuple[str, ...]:
    _, phones = say(voice, (word + ZERO_WIDTH_SPACE,), range(1), frozenset())
    return tuple(phone.label for phone in phones)


def shares(labels: Sequence[str], alone: Sequence[Sequence[str]]) -> list[int]:
    """How many of the ``labels`` each of several words has that are said as one: at least one each, and so
    that as few as may be are others than when the word is said ``alone``.

    Examples
    --------
    >>> shares(["l", "o", "m", "o"], [("l",), ("w", "o", "m", "o")])
    [1, 3]
    """
    count, words = len(labels), len(alone)
    longer = max(count - sum(map(len, alone)), 0) + MOST_CHANGED
    best = np.full((words + 1, count + 1), np.inf)
    begun = np.zeros((words + 1, count + 1), int)
    best[0, 0] = 0.0
    for w, own in enumerate(alone):
        for i in range(w, count):
            if best[w, i] == np.inf:
                continue
            most = min(len(own) + longer, count - i)
            away = edits(labels[i : i + most], own)
            for size in range(1, most + 1):
                cost = best[w, i] + away[size]
                if cost < best[w + 1, i + size]:
                    best[w + 1, i + size], begun[w + 1, i + size] = cost, i
    sizes, end = [], count
    for w in range(words, 0, -1):
        sizes.append(int(end - begun[w, end]))
        end = begun[w, end]
    return sizes[::-1]


def edits(labels: Sequence[str], own: Sequence[str]) -> list[int]:
    """How many edits make ``own`` of the first 0, 1, 2, ... ``labels``.

    Examples
    --------
    >>> edits("abc", "ab")
    [2, 1, 0, 1]
    """
    row = list(range(len(own) + 1))
    found = [row[-1]]
    for k, label in enumerate(labels):
        changed = [k + 1]
        for j, wanted in enumerate(own):
            changed.append(min(changed[-1] + 1, row[j + 1] + 1, row[j] + (label != wanted)))
        row = changed
        found.append(row[-1])
    return found


def say(
    voice: Voice, words: Sequence[str], span: range, separated: frozenset[int]
) -> tuple[np.ndarray, list[Onset]]:
    """Samples and phones of some words; those in ``separated`` are kept apart from the word before, and what
    is elided is not.
    """
    text, places = "", []
    for i in span:
        if i != span[0] and not is_elided(words[i - 1]):
            text += WORD_SEPARATOR if i in separated else " "
        places.append(len(text))
        text += words[i].translate(WITHOUT_CONTROL)
    samples, events = binding.synthesise(voice.library, text)
    ends = [*(start for start, _, _ in events[1:]), len(samples)]
    phones: list[Onset] = []
    for (start, place, name), end in zip(events, ends, strict=True):
        word = span[max(bisect_right(places, place - 1) - 1, 0)]  # eSpeak counts characters from 1
        labels = voice.names(name)
        for k, label in enumerate(labels):
            _append(phones, Onset(start + k * (end - start) // len(labels), label, word), voice.names)
    return samples, _in_place(phones, voice.names)


def _append(phones: list[Onset], phone: Onset, names: PhoneNames) -> None:
    """Add a phone to ``phones``.

    A modifier letter ("ʲ") continues the phone before, and so does what is one phone with it; what comes
    behind one that begins a phone ("ⁿ") continues that.
    """
    before = phones[-1] if phones else None
    modifies = all(unicodedata.category(c) in ("Lm", "Mn") for c in phone.label) and phone.label not in BEFORE
    if before is not None and (modifies or before.label in BEFORE):
        phones[-1] = replace(before, label=before.label + phone.label)
        return
    if modifies:
        return
    one = names.joined(before.label, phone.label) if before and before.word == phone.word else None
    if before is not None and one is not None:
        phones[-1] = replace(before, label=one)
    else:
        phones.append(phone)


def _in_place(phones: Sequence[Onset], names: PhoneNames) -> list[Onset]:
    """The phones as they are before the ones that follow in their words."""
    following = [b.label if b.word == a.word else "" for a, b in pairwise(phones)] + [""]
    return [
        replace(p, label=names.in_place(p.label, after)) for p, after in zip(phones, following, strict=False)
    ]
