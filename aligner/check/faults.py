"""The problems of one recording and of what is said in it (see `aligner.check.validate`)."""

from __future__ import annotations

import hashlib
import math
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from aligner.corpus import audio
from aligner.features import frame_count
from aligner.refine.thresholds import Test, threshold
from aligner.text.lexicon import Pronouncer
from aligner.text.normalise import BRACKETED, CONTROL, Token
from aligner.text.spelling import Speller
from aligner.types import SAMPLE_RATE, Clock, DataError, Failure, Fault, Notice, Utterance, in_one_line

ERROR, WARNING = "error", "warning"


Kind = Fault | Notice
KINDS: Mapping[Kind, str] = {  # in the order in which they are reported
    Fault.NO_TRANSCRIPT: "a recording without a transcript",
    Fault.NO_RECORDING: "a transcript, or a table's row, without its recording",
    Fault.DUPLICATE_NAME: "two recordings of one name",
    Fault.ODD_NAME: "a name that is not Unicode",
    Fault.UNREADABLE: "a recording that is empty, damaged or of a kind that is not read",
    Fault.TRUNCATED: "a recording that ends before its header says",
    Fault.SILENT: "a recording without a sound",
    Fault.BAD_TRANSCRIPT: "a transcript that breaks the rules of its format",
    Fault.BAD_TIMES: "an utterance that does not lie in its recording",
    Fault.EMPTY_TRANSCRIPT: "a transcript that says nothing",
    Fault.TOO_SHORT: "less time than the transcript takes, or hardly any",
    Fault.OOV: "a word that the dictionary lacks, or in letters that the language's voice does not read",
    Fault.DICTIONARY: "a dictionary of which some lines are of no use",
    Fault.ODD_CHARACTERS: "what cannot be spelled, or was damaged by a wrong encoding",
    Fault.BRACKETS: "a word in brackets, which stands for noise",
    Notice.SPEECH_RATE: "faster or slower than people speak",
    Notice.CLIPPED: "a recording that was too loud",
    Notice.SAMPLE_RATE: "a low sample rate, or another than most recordings have",
    Notice.LONE_SPEAKER: "a speaker with one utterance",
    Notice.DUPLICATE_RECORDING: "the same recording twice",
    Notice.EXTRA_TRANSCRIPT: "a transcript that is not read, for another counts",
    Notice.UNREAD_FILE: "a file beside the recordings of a kind that is not read",
    Notice.LINK: "a link to a folder that is read already, or to nowhere",
    Notice.NAME: "a name that was taken for another one, or changed",
    Notice.TEXT: "a part of a transcript that is read in another way than it may be meant",
    Fault.MEMORY: "a recording for which there is not enough memory",
    Fault.INTERNAL: "what the program itself failed on",
}
CLOCK = Clock(hop=160, window=410)  # of the English model's frames, at 16 kHz
SHORTEST_PHONE = 3  # frames of a phone: it has three states
SHORTEST_WORD = 0.1  # s; hardly a word is shorter
FASTEST, SLOWEST = 22.0, 2.0  # phones a second; 80 sentences of TIMIT have 6 to 14
LEAST_PHONES = 8  # of an utterance whose rate of speech means anything: single words stand in long pauses
LONG_RECORDING = 600.0  # s; longer recordings are read one at a time, for they take memory
# characters that no transcript has: control characters, and UTF-8 that was read as Latin-1
MANGLED = re.compile(rf"(?![\n\t\x15])(?:{CONTROL.pattern})|[\ufffd\ue000-\uf8ff]|[ÃÂ][\u0080-\u00bf]|â€")

Spell = Pronouncer | Speller
Reads = Callable[[Utterance], Sequence[Token]]
Check = Callable[[Sequence[str]], None]
Entry = Utterance | Failure  # what `find` has of a recording
_long_lock = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something that is wrong with a corpus, for people and for programs."""

    severity: str
    """`ERROR`: `align` or `train` would fail on it; or `WARNING`: it is worth a look."""
    kind: Kind
    """What kind of thing is wrong, one of `KINDS`."""
    utterance: Utterance
    """Where it is; the first of several utterances."""
    detail: str
    """What is wrong, in a user's words."""
    remedy: str
    """What to do."""
    utterances: int = 1
    """How many utterances it is about."""

    def __str__(self) -> str:
        return in_one_line(f"{self.utterance.id}: {self.detail}: {self.remedy}")


def error(kind: Kind, utterance: Utterance, detail: str, remedy: str) -> Problem:
    """Return a problem that `align` or `train` would fail on."""
    return Problem(severity=ERROR, kind=kind, utterance=utterance, detail=detail, remedy=remedy)


def warning(kind: Kind, utterance: Utterance, detail: str, remedy: str) -> Problem:
    """Return a problem that is only worth a look."""
    return Problem(severity=WARNING, kind=kind, utterance=utterance, detail=detail, remedy=remedy)


@dataclass(frozen=True)
class Recording:
    """A recording as a whole, whatever is said in it."""

    utterance: Utterance
    """An utterance that spans the recording."""
    rate: int = 0
    """Sample rate in Hz; 0 where the recording cannot be opened."""
    seconds: float = 0.0
    """Length of the recording."""
    digest: str = ""
    """SHA-256 of the file's bytes; empty where no other file is as long."""


@dataclass(frozen=True)
class OddWord:
    """A word of a transcript that a person should know of."""

    kind: Kind
    """What is odd about it."""
    word: str
    """Its spelling."""
    pronunciation: str = ""
    """How it would be pronounced; empty where it cannot be."""


@dataclass(frozen=True)
class Content:
    """What a transcript says: how much, and its odd words."""

    words: int
    """How many words it has."""
    phones: int
    """How many phones these take at least."""
    odd: tuple[OddWord, ...]
    """Its odd words, as often as they are said."""


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What was found when an utterance, or the failure of what makes none, was looked at alone."""

    utterance: Utterance
    """What was looked at."""
    problems: tuple[Problem, ...] = ()
    """What is wrong with it."""
    seconds: float = 0.0
    """Length of its sound; 0 where that cannot be read."""
    words: int = 0
    """How many words are said in it."""
    odd: tuple[OddWord, ...] = ()
    """Its odd words, as often as they are said."""


def utterance_of(entry: Entry) -> Utterance:
    """Return the utterance that an entry is, or that a failure is about."""
    return entry.utterance if isinstance(entry, Failure) else entry


def problem_of(failure: Failure) -> Problem:
    """Return the problem that a failure of `find` amounts to."""
    return error(failure.fault, failure.utterance, failure.rule, failure.remedy)


def examine(
    path: Path, entries: Sequence[Entry], spell: Spell | None, reads: Reads, *, hashed: bool, check: Check
) -> tuple[Recording, list[Checked]]:
    """Look at a recording and at each of its utterances; nothing that is wrong with them is raised.

    Parameters
    ----------
    path : Path
    entries : sequence of Utterance or Failure
        What is in it; of failures (it may have no transcript) the sound is looked at.
    spell : Pronouncer, Speller or None
        What finds the phones of words.
    reads : callable
        Splits the transcript of an utterance into its words.
    hashed : bool
        Whether the file's bytes may be those of another.
    check : callable
        Raises DataError where words cannot be read as they are written.
    """
    recording = _open(path, utterance_of(entries[0]), hashed)
    with _long_lock if recording.seconds > LONG_RECORDING else nullcontext():
        return recording, [_checked(entry, recording, spell, reads, check) for entry in entries]


def _open(path: Path, utterance: Utterance, hashed: bool) -> Recording:
    whole = replace(utterance, id=utterance.file, start=0.0, end=None)
    try:
        shape = audio.shape_of(path)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest() if hashed else ""
    except (DataError, OSError):
        return Recording(whole)  # reading it will say what is wrong
    return Recording(whole, shape.rate, shape.frames / shape.rate, digest)


def _checked(entry: Entry, recording: Recording, spell: Spell | None, reads: Reads, check: Check) -> Checked:
    """Look at an utterance, whatever happens: one bad file never ends a run."""
    try:
        if isinstance(entry, Utterance):
            return _utterance(entry, recording, spell, reads, check)
        return Checked(
            utterance=entry.utterance,
            problems=(problem_of(entry), *_sound_problems(entry.utterance, recording)[0]),
        )
    except MemoryError:
        rule, remedy = "there is not enough memory for it", "cut it into utterances with a TextGrid"
        problem = error(Fault.MEMORY, utterance_of(entry), rule, remedy)
    except Exception as caught:  # a fault of ours must not hide those of the other files
        rule = f"looking at it failed ({type(caught).__name__}: {caught})"
        problem = error(Fault.INTERNAL, utterance_of(entry), rule, "please report this")
    return Checked(utterance=utterance_of(entry), problems=(problem,))


def _utterance(
    utterance: Utterance, recording: Recording, spell: Spell | None, reads: Reads, check: Check
) -> Checked:
    tokens = reads(utterance)
    said = _content(tokens, None if spell is None else spell.of(utterance.speaker))
    problems, seconds, heard = _sound_problems(utterance, recording)
    if not tokens:
        what = "holds only punctuation" if utterance.transcript.strip() else "is empty"
        problems.append(
            error(Fault.EMPTY_TRANSCRIPT, utterance, f"the transcript {what}", "write what is said")
        )
    try:
        check([word for token in tokens for word in token.spoken if not BRACKETED.fullmatch(word)])
    except DataError as caught:
        problems.append(error(caught.fault, utterance, caught.rule, caught.remedy))
    if mangled := MANGLED.search(utterance.transcript):
        problems.append(
            warning(
                Fault.ODD_CHARACTERS,
                utterance,
                f"the transcript holds {mangled[0]!r}",
                "was it saved in another encoding? correct it, and save it as UTF-8",
            )
        )
    if seconds:
        problems += _rate_problems(utterance, heard, said.phones, recording.rate)
    return Checked(
        utterance=utterance, problems=tuple(problems), seconds=seconds, words=said.words, odd=said.odd
    )


def _sound_problems(utterance: Utterance, recording: Recording) -> tuple[list[Problem], float, float]:
    """Return what is wrong with an utterance's sound, its length in s, and that without long dead sound, such
    as zeros; 0 where it cannot be read.
    """
    rate = recording.rate or SAMPLE_RATE
    try:
        sound = audio.read(utterance, rate, rests=audio.Rests.CUT, levelled=False)
    except DataError as caught:
        return [error(caught.fault, utterance, caught.rule, caught.remedy)], 0.0, 0.0
    seconds, heard = sound.end - sound.start, len(sound.wave) / rate
    if not threshold(Test.CLIPPED).exceeded(sound.clipped):
        return [], seconds, heard
    found = warning(
        Notice.CLIPPED,
        utterance,
        f"{100 * sound.clipped:.1f} % of the samples are clipped",
        "record it again at a lower level, or look at its boundaries",
    )
    return [found], seconds, heard


def _rate_problems(utterance: Utterance, seconds: float, phones: int, rate: int) -> Iterator[Problem]:
    """Yield what is wrong with the rate of speech, of ``phones`` at least; ``rate`` is the recording's, in
    Hz.
    """
    samples = math.ceil(round(seconds * rate) * SAMPLE_RATE / rate)
    frames, least = frame_count(samples, CLOCK.window, CLOCK.hop), SHORTEST_PHONE * phones
    pace = phones / seconds
    if frames < least:
        detail = (
            f"the transcript's phones take at least {CLOCK.seconds(least):.2f} s, the recording has "
            f"{CLOCK.seconds(frames):.2f} s"
        )
        yield error(Fault.TOO_SHORT, utterance, detail, "is it the transcript of another recording?")
    elif seconds < SHORTEST_WORD:
        yield warning(Fault.TOO_SHORT, utterance, f"it lasts {seconds:.3f} s", "was it cut off?")
    elif phones >= LEAST_PHONES and not SLOWEST <= pace <= FASTEST:
        detail = f"{pace:.1f} phones a second ({phones} in {seconds:.2f} s), where people say some 12"
        yield warning(
            Notice.SPEECH_RATE,
            utterance,
            detail,
            "is it the transcript of another recording, or of a part of this one?",
        )


def _content(tokens: Sequence[Token], spell: Spell | None) -> Content:
    words = [word for token in tokens for word in token.spoken]
    parts = [part for word in words for part in _lookups(word, spell)]
    sounds: list[tuple[int, list[OddWord]]] = (
        [_phones_of(part, spell) for part in parts] if spell is not None else []
    )
    return Content(
        len(words), sum(phones for phones, _ in sounds), tuple(odd for _, noted in sounds for odd in noted)
    )


def _lookups(word: str, spell: Spell | None) -> tuple[str, ...]:
    """Return what is looked up for a word: itself, or the parts of a compound."""
    return (
        (word,)
        if not isinstance(spell, Pronouncer) or BRACKETED.fullmatch(word)
        else spell.lexicon.split(word)
    )


def _phones_of(word: str, spell: Spell) -> tuple[int, list[OddWord]]:
    """Return how many phones a word has at least, and what is odd about it; one that cannot be pronounced
    counts as one phone.
    """
    noted = [OddWord(Fault.BRACKETS, word)] if BRACKETED.fullmatch(word) else []
    try:  # word by word, so that all of them are reported, not only an utterance's first
        spoken, oovs = spell([Token(word, (word,))])
    except DataError as caught:
        return 1, [OddWord(caught.fault, word)]
    noted += [OddWord(Fault.OOV, oov, pronunciation) for oov, pronunciation in oovs]
    return sum(min(len(p.phones) for p in s.pronunciations) for s in spoken), noted
