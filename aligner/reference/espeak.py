"""Reference speech whose words and phones have known times, from eSpeak NG: what DTW warps onto a recording.
And pronunciations alone, for languages that there is no dictionary of.

The library and its data come with the ``espeakng-loader`` package (an optional extra; eSpeak NG is under the
GPL 3) and are called through ctypes, as ``speak_lib.h`` of eSpeak NG 1.52 declares them.
"""

from __future__ import annotations

import _ctypes
import ctypes
import difflib
import re
import sys
import threading
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import count, pairwise, takewhile
from pathlib import Path
from typing import Any

import numpy as np

from aligner.corpus.audio import read
from aligner.text.g2p import to_arpabet
from aligner.text.phones import IPA_KINDS
from aligner.types import (
    DECIMALS,
    SAMPLE_RATE,
    SILENCE_LABEL,
    DataError,
    Fault,
    Interval,
    ModelError,
    Utterance,
)

NORMAL_SPEED = (
    175  # words per minute at which the lengths below were measured; they shrink as speech quickens
)
SPEEDS = range(80, 451)  # above, eSpeak squeezes the waveform afterwards, and its events no longer fit it
QUICK = 350  # words per minute where nobody listens; the phones are the same at any speed
PITCHES = range(100)
# An event carries the sample at which eSpeak begins to write the phone (the milliseconds beside it are
# rounded down). Frication, bursts and vowels behind obstruents begin there, within 3 ms.  A vowel behind a
# nasal, liquid or glide is announced only after its onset transition: the spectrum is half-way from the
# consonant to the vowel 25 ms earlier (medians at 175 words a minute: m 24, n 33, l 21, w 33, r 15 ms; six
# languages, five vowels each), 37 ms at 120.
VOWEL_LAG = 0.025  # s
CLOSURE = (
    0.06  # s of the silence before a stop between words that are its closure; eSpeak makes 40 to 50 ms of it
)
SHORTEST_PAUSE = 0.03  # s; shorter silences are voice onset times and the like
SHORTEST_PHONE = (
    0.01  # s; eSpeak speaks some liquids within the vowel before and announces them without a length
)
QUIET = 2  # of 32768; eSpeak's pauses are digital silence
LONGEST_TEXT = 500  # bytes; eSpeak cuts a clause anywhere at 800 bytes or 1000 phones
SOUNDLESS = "\u200b"  # a zero-width space
PARTING = f" {SOUNDLESS} "  # keeps eSpeak from reading words as one
UVULAR = "ʁ"  # a fricative by its name; it leads into a vowel as a liquid does
WITHOUT_CONTROL = dict.fromkeys(range(32), " ")  # eSpeak would take them for commands
SPELLINGS = {
    "tS": "tʃ",
    "s.": "ʂ",
    "z.": "ʐ",
    "ts.": "tʂ",
    "i.": "ɨ",  # left by eSpeak in ASCII
    "ɐ̃ʊ": "ɐ̃ʊ̃",
}  # of Portuguese, the only one that does not fit into an event's 8 bytes with its stress
# what the American voice means by symbols that mean another thing, or nothing, elsewhere
AMERICAN = {"ʔ": ("T",), "n̩": ("AH", "N"), "ɬ": ("L",)}

SYNCHRONOUS, PHONEMES_IN_IPA, DO_NOT_EXIT, UTF8 = 2, 0b11, 0x8000, 1
RATE, PITCH, WORD_GAP = 1, 3, 7  # of espeak_PARAMETER
PHONEME = 7  # of espeak_EVENT_TYPE
BY_CHARACTER = 1  # of espeak_POSITION_TYPE

# how people name languages beside eSpeak's own codes (ISO 639-1, some 639-3, with regions) and its names
ALIASES = {
    "en": "en-us",
    "eng": "en-us",
    "english": "en-us",
    "swa": "sw",
    "swh": "sw",
    "kiswahili": "sw",
    "spa": "es",
    "castilian": "es",
    "fra": "fr",
    "fre": "fr",
    "deu": "de",
    "ger": "de",
    "zho": "cmn",
    "chi": "cmn",
    "zh-cn": "cmn",
    "mandarin": "cmn",
    "chinese": "cmn",
    "cantonese": "yue",
    "zh-hk": "yue",
    "rus": "ru",
    "por": "pt",
    "ita": "it",
    "jpn": "ja",
    "kor": "ko",
    "ara": "ar",
    "arb": "ar",
    "hin": "hi",
    "ben": "bn",
    "urd": "ur",
    "tur": "tr",
    "pol": "pl",
    "nld": "nl",
    "dut": "nl",
    "swe": "sv",
    "dan": "da",
    "nor": "nb",
    "nob": "nb",
    "norwegian": "nb",
    "fin": "fi",
    "isl": "is",
    "ice": "is",
    "ces": "cs",
    "cze": "cs",
    "slk": "sk",
    "slo": "sk",
    "slv": "sl",
    "hrv": "hr",
    "srp": "sr",
    "bos": "bs",
    "bul": "bg",
    "mkd": "mk",
    "mac": "mk",
    "ukr": "uk",
    "bel": "be",
    "ell": "el",
    "gre": "el",
    "ron": "ro",
    "rum": "ro",
    "hun": "hu",
    "est": "et",
    "lav": "lv",
    "lit": "lt",
    "cat": "ca",
    "eus": "eu",
    "baq": "eu",
    "cym": "cy",
    "wel": "cy",
    "gle": "ga",
    "gla": "gd",
    "heb": "he",
    "fas": "fa",
    "per": "fa",
    "farsi": "fa",
    "vie": "vi",
    "tha": "th",
    "ind": "id",
    "msa": "ms",
    "may": "ms",
    "tam": "ta",
    "tel": "te",
    "kan": "kn",
    "mal": "ml",
    "mar": "mr",
    "guj": "gu",
    "pan": "pa",
    "nep": "ne",
    "sin": "si",
    "mya": "my",
    "bur": "my",
    "kat": "ka",
    "geo": "ka",
    "hye": "hy",
    "arm": "hy",
    "kaz": "kk",
    "kir": "ky",
    "uzb": "uz",
    "aze": "az",
    "amh": "am",
    "tir": "ti",
    "orm": "om",
    "tsn": "tn",
    "afr": "af",
    "sqi": "sq",
    "alb": "sq",
    "mlt": "mt",
    "lat": "la",
    "epo": "eo",
    "mri": "mi",
}

_LOCK = threading.Lock()  # the library keeps everything in global variables
_MARKS = re.compile(
    r"[ˈˌ˥˦˧˨˩\u0300\u0301\u0302\u0304\u030c\d'\x22`.,_|!-]|\(.*\)?"
)  # stress, tone, eSpeak's own


@dataclass(frozen=True)
class Speech:
    """Synthetic speech, and what is said when."""

    wave: np.ndarray
    """(N,) float32: waveform of full scale 1 at 16 kHz."""
    phones: tuple[Interval, ...]
    """Phones in eSpeak's IPA without stress and tone; they tile the speech from 0 to its end, pauses as
    `SILENCE_LABEL`."""
    words: tuple[int, ...]
    """Index of each phone's word, -1 for a pause; never falling but for pauses."""


class _Id(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_ubyte * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    )


class _Voice(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_void_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("unused", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


@dataclass(frozen=True)
class _Phone:
    """A phone that begins at a sample of the library's rate."""

    start: int
    """Sample, at the library's rate, that the phone begins at."""
    label: str
    """Label of the phone."""
    word: int
    """Index of its word; -1 for a pause."""


def languages() -> dict[str, str]:
    """The languages that eSpeak speaks: code -> name in English.

    Raises
    ------
    ModelError
        If the package that carries eSpeak is not installed.

    Examples
    --------
    >>> languages()["sw"]
    'Swahili'
    """
    return {code: name for code, (name, _) in _voices().items()}


def resolve(language: str) -> str:
    """The code in `languages` of a language that a user names.

    Parameters
    ----------
    language : str
        A code of ISO 639 ("sw", "swa", "pt-br") or a name in English, in any case.

    Raises
    ------
    DataError
        If eSpeak does not speak it; close ones are named.

    Examples
    --------
    >>> resolve("English"), resolve("PT_br")
    ('en-us', 'pt-br')
    """
    known = languages()
    asked = language.strip().lower().replace("_", "-")
    names = {re.sub(r"\W*\(.*", "", name.lower()).strip(): code for code, name in reversed(known.items())}
    for code in (ALIASES.get(asked), asked, names.get(asked)):
        if code in known:
            return code
    close = difflib.get_close_matches(asked, [*known, *names, *ALIASES], n=4)
    hint = f"did you mean {', '.join(close)}? " if close else ""
    raise DataError(
        language, "eSpeak does not speak this language", f"{hint}aligner languages lists all {len(known)}"
    )


def arpabet(label: str) -> tuple[str, ...]:
    """ARPAbet phones of a label of the American voice ("en-us"); one label may be two of them.

    Examples
    --------
    >>> arpabet("ɑːɹ"), arpabet("ᵻ"), arpabet("n̩")
    (('AA', 'R'), ('IH',), ('AH', 'N'))
    """
    return AMERICAN.get(label) or to_arpabet(label)


@dataclass(frozen=True, kw_only=True)
class Synthesiser:
    """Says words; equal words give equal samples.

    Parameters
    ----------
    language : str
        As `resolve` takes it.
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

    def __call__(self, words: Sequence[str]) -> Speech:
        """Say ``words``, each as it is spoken, without punctuation.

        Returns
        -------
        Speech

        Raises
        ------
        DataError
            If there is nothing to say, or a word with a letter in it that eSpeak has no sound for.
        """
        if not words:
            raise DataError(
                "transcript", "there are no words to say", "write what is said", fault=Fault.EMPTY_TRANSCRIPT
            )
        voice = self._voice()
        with _library() as library:
            rate = self._set_up(library, voice)
            pieces = [_say_all(library, words, span) for span in _spans(words)]
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
        laid = _lengthen(_lay_out(phones, samples, rate, NORMAL_SPEED / self.speed), len(samples), rate)
        edges = [0.0, *(round(p.start / rate, DECIMALS) for p in laid[1:]), len(wave) / SAMPLE_RATE]
        intervals = tuple(Interval(a, b, p.label) for (a, b), p in zip(pairwise(edges), laid, strict=True))
        return Speech(wave, intervals, tuple(p.word for p in laid))

    def _voice(self) -> str:
        """What eSpeak calls the voice."""
        name = _voices()[self.language][1]
        if not self.variant:
            return name
        variants = {path.name for path in (Path(_package().get_data_path()) / "voices" / "!v").iterdir()}
        if self.variant not in variants:  # eSpeak itself would say nothing and take the plain voice
            raise ModelError(
                self.variant, "eSpeak has no such variant of a voice", f"take one of {sorted(variants)}"
            )
        return f"{name}+{self.variant}"

    def _set_up(self, library: ctypes.CDLL, voice: str) -> int:
        """Choose voice, speed and pitch; the library's sample rate."""
        rate = _initialise(library)
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


@dataclass(frozen=True)
class EspeakG2P:
    """Phones of words, in any of `languages`: an `aligner.text.lexicon.G2P`.

    They are those that `Synthesiser` says, named as there, each word's as it sounds within a sentence: by
    itself eSpeak would read the Russian preposition "в" by its letter's name, and the Italian "di" as if it
    were stressed.

    Parameters
    ----------
    language : str
        As `resolve` takes it.

    Raises
    ------
    ModelError
        If the package that carries eSpeak is not installed.
    DataError
        If eSpeak does not speak the language.

    Examples
    --------
    >>> EspeakG2P("it")("chiesa")
    ('k', 'j', 'ɛ', 'z', 'a')
    """

    language: str
    _said: dict[str, tuple[str, ...]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "language", resolve(self.language))

    def __call__(self, word: str) -> tuple[str, ...]:
        """Phones of a word; none where it has no sound."""
        return self.pronounce((word,))[word]

    def pronounce(self, words: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Phones of many words, which is quicker than one after the other: some 3,000 a second.

        Parameters
        ----------
        words : sequence of str
            As they are written; digits are read in the language.

        Returns
        -------
        dict of str to tuple of str
            Word -> phones; none where it has no sound.

        Examples
        --------
        >>> EspeakG2P("ru").pronounce(["в", "чай"])
        {'в': ('v',), 'чай': ('tʃʲ', 'ɑ', 'j')}
        """
        unsaid = [word for word in dict.fromkeys(words) if word not in self._said]
        if unsaid:
            self._said.update(zip(unsaid, self._say(unsaid), strict=True))
        return {word: self._said[word] for word in words}

    def _say(self, words: Sequence[str]) -> list[tuple[str, ...]]:
        """Phones of each word, by the events of its synthesis.

        ``espeak_TextToPhonemes`` is no way to them: what it writes behind a phone for its length is the phone
        once more where that has a name in IPA, and for the third tone an ``ɜ``.
        """
        quick = Synthesiser(language=self.language, speed=QUICK)
        voice = quick._voice()
        with _library() as library:
            quick._set_up(library, voice)
            return [_sounds(library, word) if any(map(str.isalnum, word)) else () for word in words]


def _sounds(library: ctypes.CDLL, word: str) -> tuple[str, ...]:
    """Phones of a word that is not its sentence's last."""
    _, phones = _say(library, (word + SOUNDLESS,), range(1), frozenset())
    return tuple(phone.label for phone in phones)


def _package() -> Any:
    try:
        import espeakng_loader
    except ImportError as error:
        raise ModelError(
            "espeakng-loader", "eSpeak NG is not installed", "pip install 'aligner[dtw]'"
        ) from error
    return espeakng_loader


@contextmanager
def _library() -> Iterator[ctypes.CDLL]:
    """The library, for one thread at a time, as if nobody had used it before.

    It is loaded anew, because the phase of its flutter and the count of its glottal cycles go on from one
    text to the next in static variables that no call resets: otherwise equal texts would differ in their
    samples.
    """
    path = _package().get_library_path()
    with _LOCK:
        library = ctypes.CDLL(path)
        try:
            yield library
        finally:
            library.espeak_Terminate()
            if sys.platform == "win32":
                _ctypes.FreeLibrary(library._handle)
            else:
                _ctypes.dlclose(library._handle)


def _initialise(library: ctypes.CDLL) -> int:
    """Let the library read its data; its sample rate."""
    data = _package().get_data_path()
    rate = int(library.espeak_Initialize(SYNCHRONOUS, 0, data.encode(), PHONEMES_IN_IPA | DO_NOT_EXIT))
    if rate <= 0:
        raise ModelError(data, "eSpeak cannot read its data", "install espeakng-loader again")
    return rate


@lru_cache(maxsize=1)
def _voices() -> dict[str, tuple[str, str]]:
    """Language code -> name and file of its voice, the best one where several speak it."""
    found: list[tuple[int, str, str, str]] = []
    with _library() as library:
        _initialise(library)
        library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
        listed = library.espeak_ListVoices(None)
        for pointer in takewhile(bool, (listed[i] for i in count())):
            voice = pointer.contents
            name, file = voice.name.decode().strip(), voice.identifier.decode()
            spoken = list(_codes(voice.languages))
            if _has_dictionary(file, spoken[0][1]):
                found += [(priority, code, name, file) for priority, code in spoken]
    voices: dict[str, tuple[str, str]] = {}
    for _, code, name, file in sorted(found, key=lambda entry: entry[0]):  # of equals the first listed
        voices.setdefault(code.lower(), (name, file))
    return dict(sorted(voices.items()))


def _codes(address: int) -> Iterator[tuple[int, str]]:
    """Priority (low is better) and code of each language of a voice: a byte, then a string, and so on to a
    zero.
    """
    while priority := ctypes.string_at(address, 1)[0]:
        code = ctypes.string_at(address + 1)
        yield priority, code.decode()
        address += 1 + len(code) + 1


def _has_dictionary(file: str, code: str) -> bool:
    """Whether the data hold the dictionary that a voice names; without it eSpeak is silent (Faroese in
    1.52)."""
    data = Path(_package().get_data_path())
    named = re.search(rb"^dictionary\s+(\w+)", (data / "lang" / file).read_bytes(), re.MULTILINE)
    return (data / f"{named[1].decode() if named else code.split('-')[0]}_dict").is_file()


def _spans(words: Sequence[str]) -> Iterator[range]:
    """Stretches of words that eSpeak takes as one clause."""
    first, size = 0, 0
    for i, word in enumerate(words):
        size += len((word + PARTING).encode())
        if size > LONGEST_TEXT and i > first:
            yield range(first, i)
            first, size = i, len((word + PARTING).encode())
    yield range(first, len(words))


def _say_all(library: ctypes.CDLL, words: Sequence[str], span: range) -> tuple[np.ndarray, list[_Phone]]:
    """Samples and phones of a clause; words that eSpeak reads as one ("of the") are parted until each has its
    own.
    """
    parted: frozenset[int] = frozenset()
    while True:
        samples, phones = _say(library, words, span, parted)
        said = {phone.word for phone in phones}
        mute = [i for i in span if i not in said and any(c.isalnum() for c in words[i])]
        wanted = parted.union(*({i, i + 1} for i in mute))
        if wanted == parted:
            break
        parted = wanted
    if mute:
        raise DataError(
            words[mute[0]],
            "eSpeak has no sound for this word",
            "spell it as this language would",
            fault=Fault.OOV,
        )
    return samples, phones


def _say(
    library: ctypes.CDLL, words: Sequence[str], span: range, parted: frozenset[int]
) -> tuple[np.ndarray, list[_Phone]]:
    """Samples and phones of some words, parted from the word before where ``parted`` says so."""
    text, places = "", []
    for i in span:
        text += "" if i == span[0] else PARTING if i in parted else " "
        places.append(len(text))
        text += words[i].translate(WITHOUT_CONTROL)
    samples, events = _synthesise(library, text)
    phones: list[_Phone] = []
    for start, place, name in events:
        word = span[max(bisect_right(places, place - 1) - 1, 0)]  # eSpeak counts characters from 1
        _append(phones, _Phone(start, _plain(name), word))
    return samples, phones


def _synthesise(library: ctypes.CDLL, text: str) -> tuple[np.ndarray, list[tuple[int, int, str]]]:
    """Samples of a text, and where each phone event lies in them, where its word lies in the text, and its
    name.
    """
    sound, heard = bytearray(), []

    def receive(wave: Any, length: int, events: Any) -> int:
        if wave and length:
            sound.extend(ctypes.string_at(wave, 2 * length))
        for event in takewhile(lambda e: e.type, (events[i] for i in count())):
            if event.type == PHONEME:
                name = bytes(event.id.string).split(b"\0")[0].decode(errors="ignore")  # cut at 8 bytes
                heard.append((event.sample, event.text_position, name))
        return 0

    callback = _Callback(receive)
    library.espeak_SetSynthCallback(callback)
    encoded = text.encode()
    if (
        library.espeak_Synth(encoded, ctypes.c_size_t(len(encoded) + 1), 0, BY_CHARACTER, 0, UTF8, None, None)
        != 0
    ):
        raise ModelError("eSpeak", "the synthesis failed", "install espeakng-loader again")
    return np.frombuffer(bytes(sound), "<i2"), heard


def _plain(name: str) -> str:
    """eSpeak's name of a phone as a label: without stress, tone and change of language; empty for a pause."""
    bare = name.lstrip("ˈˌ")
    return _MARKS.sub("", SPELLINGS.get(bare, bare)).replace(":", "ː").replace("?", "ʔ")


def _append(phones: list[_Phone], phone: _Phone) -> None:
    """Add a phone; one without a name goes on with the phone before, and so does a modifier letter ("r",
    "ʲ").
    """
    if all(unicodedata.category(c) in ("Lm", "Mn") for c in phone.label):
        if phone.label and phones:
            phones[-1] = replace(phones[-1], label=phones[-1].label + phone.label)
    else:
        phones.append(phone)


def _lay_out(phones: Sequence[_Phone], samples: np.ndarray, rate: int, stretch: float) -> list[_Phone]:
    """The phones where they are heard to begin, with the pauses between them as phones of word -1."""
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > QUIET)
    laid: list[_Phone] = []
    for before, phone in zip([None, *phones], phones, strict=False):
        quiet = _quiet_before(loud, phone.start, before.start if before else 0)
        laid += _place(before, phone, quiet, rate, stretch)
    quiet = _quiet_before(loud, len(samples), phones[-1].start)
    if quiet >= SHORTEST_PAUSE * rate:
        laid.append(_Phone(len(samples) - quiet, SILENCE_LABEL, -1))
    return laid


def _quiet_before(loud: np.ndarray, end: int, start: int) -> int:
    """How many samples just before ``end``, from ``start`` at the earliest, are silent."""
    k = int(np.searchsorted(loud, end))
    return end - max(int(loud[k - 1]) + 1 if k else 0, start)


def _place(before: _Phone | None, phone: _Phone, quiet: int, rate: int, stretch: float) -> list[_Phone]:
    """A phone behind ``quiet`` silent samples: its onset, and the pause before it, if there is one."""
    is_stop = _kind(phone.label) == "stop"
    if before and before.word == phone.word:
        pause = 0 if is_stop else quiet
    else:
        pause = quiet - min(quiet, round(CLOSURE * stretch * rate)) if is_stop else quiet
    if pause >= SHORTEST_PAUSE * rate:
        start = phone.start - quiet
        return [_Phone(start, SILENCE_LABEL, -1), replace(phone, start=start + pause)]
    if is_stop:
        return [replace(phone, start=phone.start - quiet)]
    if before and not quiet and _kind(before.label) in ("nasal", "liquid") and _kind(phone.label) == "vowel":
        lag = min(round(VOWEL_LAG * stretch * rate), (phone.start - before.start) // 2)
        return [replace(phone, start=phone.start - lag)]
    return [phone]


def _kind(label: str) -> str | None:
    """The kind of a phone by its first letter, whatever marks are on it; None where it is not known."""
    letter = unicodedata.normalize("NFD", label)[0]
    return "liquid" if letter == UVULAR else IPA_KINDS.get(letter)


def _lengthen(laid: list[_Phone], end: int, rate: int) -> list[_Phone]:
    """Give phones that have hardly a length half of what they share with their neighbour."""
    starts = [*(phone.start for phone in laid), end]
    starts[0] = 0
    for i in range(len(laid)):
        if starts[i + 1] - starts[i] < SHORTEST_PHONE * rate:
            if i and laid[i - 1].word >= 0:
                starts[i] = (starts[i - 1] + starts[i + 1]) // 2
            elif i + 2 < len(starts):
                starts[i + 1] = (starts[i] + starts[i + 2]) // 2
    return [replace(phone, start=start) for phone, start in zip(laid, starts, strict=False)]
