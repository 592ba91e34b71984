"""Speech of eSpeak NG whose words and phones have known times: what DTW warps onto a recording."""

from __future__ import annotations

import ctypes
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from aligner.corpus.audio import read
from aligner.reference.espeak import library as binding
from aligner.reference.espeak.languages import resolve
from aligner.reference.espeak.library import PITCH, RATE, WORD_GAP
from aligner.reference.espeak.onsets import Onset, lay_out, lengthened
from aligner.text.g2p import romanised
from aligner.types import DECIMALS, SAMPLE_RATE, DataError, Fault, Interval, ModelError, Utterance

NORMAL_SPEED = 175  # words per minute at which the times in `aligner.reference.espeak.onsets` were measured
# words per minute; above, eSpeak squeezes the waveform, and its events no longer fit it
SPEEDS = range(80, 451)
PITCHES = range(100)
LONGEST_CLAUSE = 500  # bytes; eSpeak cuts a clause anywhere at 800 bytes or 1000 phones
ZERO_WIDTH_SPACE = "\u200b"
WORD_SEPARATOR = f" {ZERO_WIDTH_SPACE} "  # keeps eSpeak from reading words as one
WITHOUT_CONTROL = dict.fromkeys(range(32), " ")  # eSpeak would take control characters for commands
# eSpeak's names of phones that are not IPA: those it leaves in ASCII, and the one, of Portuguese, that does
# not fit into an event's 8 bytes with its stress
SPELLINGS = {"tS": "tʃ", "s.": "ʂ", "z.": "ʐ", "ts.": "tʂ", "i.": "ɨ", "ɐ̃ʊ": "ɐ̃ʊ̃"}
# stress, tone, and eSpeak's own marks
MARKS = re.compile(r"[ˈˌ˥˦˧˨˩\u0300\u0301\u0302\u0304\u030c\d'\x22`.,_|!-]|\(.*\)?")


@dataclass(frozen=True)
class SyntheticSpeech:
    """Synthetic speech, and what is said when."""

    wave: np.ndarray
    """(N,) float32: waveform of full scale 1 at 16 kHz."""
    phones: tuple[Interval, ...]
    """Phones in eSpeak's IPA without stress and tone; they tile the speech from 0 to its end, pauses as
    `SILENCE_LABEL`."""
    words: tuple[int, ...]
    """Index of each phone's word, -1 for a pause; never falling but for pauses."""


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
        with self.session() as (library, rate):
            pieces = [_say_clause(library, words, span) for span in _clauses(words)]
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
    def session(self) -> Iterator[tuple[ctypes.CDLL, int]]:
        """The library, set to this voice, speed and pitch, and its sample rate; for one thread at a time."""
        voice = self._voice()
        with binding.opened() as library:
            yield library, self._set_up(library, voice)

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


def _say_clause(library: ctypes.CDLL, words: Sequence[str], span: range) -> tuple[np.ndarray, list[Onset]]:
    """Samples and phones of a clause, in which every word has phones of its own.

    Words that eSpeak reads as one ("of the") are separated, and the clause is said again; signs that it has
    no sound for are said as plain ones (① as 1).
    """
    separated: frozenset[int] = frozenset()
    while True:
        samples, phones = say(library, words, span, separated)
        said = {phone.word for phone in phones}
        mute = [i for i in span if i not in said and any(c.isalnum() for c in words[i])]
        wanted = separated.union(*({i, i + 1} for i in mute))
        if wanted == separated:
            plain = [romanised(w).strip() if i in mute else w for i, w in enumerate(words)]
            if plain == list(words):
                break
            words = plain
        separated = wanted
    if mute:
        raise DataError(
            words[mute[0]],
            "eSpeak has no sound for this word",
            "spell it as this language would",
            fault=Fault.OOV,
        )
    return samples, phones


def say(
    library: ctypes.CDLL, words: Sequence[str], span: range, separated: frozenset[int]
) -> tuple[np.ndarray, list[Onset]]:
    """Samples and phones of some words; those in ``separated`` are kept apart from the word before."""
    text, places = "", []
    for i in span:
        text += "" if i == span[0] else WORD_SEPARATOR if i in separated else " "
        places.append(len(text))
        text += words[i].translate(WITHOUT_CONTROL)
    samples, events = binding.synthesise(library, text)
    phones: list[Onset] = []
    for start, place, name in events:
        word = span[max(bisect_right(places, place - 1) - 1, 0)]  # eSpeak counts characters from 1
        _append(phones, Onset(start, plain_label(name), word))
    return samples, phones


def plain_label(name: str) -> str:
    """Turn eSpeak's name of a phone into a label, without stress and tone; empty for a pause."""
    bare = name.lstrip("ˈˌ")
    return MARKS.sub("", SPELLINGS.get(bare, bare)).replace(":", "ː").replace("?", "ʔ")


def _append(phones: list[Onset], phone: Onset) -> None:
    """Add a phone to ``phones``.

    One without a name continues the phone before, and so does a modifier letter ("ʲ").
    """
    if all(unicodedata.category(c) in ("Lm", "Mn") for c in phone.label):
        if phone.label and phones:
            phones[-1] = replace(phones[-1], label=phones[-1].label + phone.label)
    else:
        phones.append(phone)
