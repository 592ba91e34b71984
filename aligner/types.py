"""The nouns that the rooms hand to each other, and the errors.

The exception tree::

    AlignerError
     +-- DataError    a file, a line or an utterance of the user's breaks a rule
     +-- ModelError   a model is missing, damaged, or not what it says it is
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import KW_ONLY, dataclass, field
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

SAMPLE_RATE = 16_000  # Hz; waveforms are brought to this rate unless a model hears another
DECIMALS = 5  # of a boundary in seconds: 10 microseconds, far below what can be known
NOISE_LABEL = "spn"  # of [laughter] and the like on the phone tier, as MFA writes it
STAR_LABEL = "<star>"  # on the word tier, of speech that the transcript lacks
SILENCE_LABEL = ""  # as Praat and MFA write it: an interval without text


class Fault(StrEnum):
    """The kind of an error, for programs to read; ``rule`` and ``remedy`` are for people.

    `aligner validate` reports and counts the problems of a corpus by the same kinds.
    """

    NO_TRANSCRIPT = "no-transcript"
    """A recording has no transcript."""
    NO_RECORDING = "no-recording"
    """A transcript, or a row of a table, has no recording."""
    DUPLICATE_NAME = "duplicate-name"
    """Two recordings have one name, and one TextGrid cannot hold both."""
    ODD_NAME = "odd-name"
    """A name is not Unicode."""
    UNREADABLE = "unreadable"
    """A recording is missing, empty, damaged, or of a kind that is not read."""
    TRUNCATED = "truncated"
    """A recording ends before its header says."""
    SILENT = "silent"
    """A recording holds no sound."""
    BAD_TRANSCRIPT = "bad-transcript"
    """A transcript breaks the rules of its format."""
    BAD_TIMES = "bad-times"
    """An utterance does not lie in its recording."""
    EMPTY_TRANSCRIPT = "empty-transcript"
    """A transcript says nothing."""
    TOO_SHORT = "too-short"
    """A recording lasts less long than its transcript takes."""
    OOV = "oov"
    """A word has no pronunciation."""
    ODD_CHARACTERS = "odd-characters"
    """A word cannot be spelled with the model's characters."""
    BRACKETS = "brackets"
    """A word in brackets stands for a noise of which no sound is known."""
    NO_PATH = "no-path"
    """The transcript's graph has no possible path through the recording, though it is long enough."""
    NOT_HEARD = "not-heard"
    """Nothing of the transcript is heard in the recording."""
    DICTIONARY = "dictionary"
    """A dictionary is missing, or a line of it breaks the rules of its format."""
    LABELS = "labels"
    """Labels with times are missing, damaged, or do not match their recording."""
    EXISTS = "exists"
    """An output is there already, and must not be replaced."""
    OUTPUT = "output"
    """An output cannot be written."""
    KILLED = "killed"
    """The process that did the work was killed."""
    STUCK = "stuck"
    """The process that did the work stood still."""
    MEMORY = "memory"
    """There is not enough memory."""
    INTERNAL = "internal"
    """The program itself failed."""
    MODEL = "model"
    """A model is missing, damaged, or not what it says it is."""
    CALL = "call"
    """An option is not understood, or excludes another one."""
    INPUT = "input"
    """Something else that the user named breaks a rule."""


class Notice(StrEnum):
    """What is worth a look though nothing fails on it: kinds beside `Fault`."""

    SPEECH_RATE = "speech-rate"
    """Somebody speaks faster or slower than people do."""
    CLIPPED = "clipped"
    """A recording was too loud."""
    SAMPLE_RATE = "sample-rate"
    """A recording has a low sample rate, or another than most."""
    LONE_SPEAKER = "single-utterance-speaker"
    """A speaker has one utterance."""
    DUPLICATE_RECORDING = "duplicate-recording"
    """A recording is there twice."""
    EXTRA_TRANSCRIPT = "extra-transcript"
    """A transcript is not read, for another counts."""
    UNREAD_FILE = "unread-file"
    """A file beside the recordings is of a kind that is not read."""
    LINK = "link"
    """A link leads to a folder that is read already, or nowhere."""
    NAME = "name"
    """A name was taken for another one, or changed."""
    TEXT = "text"
    """A part of a transcript was read in another way than it may be meant."""


class AlignerError(Exception):
    """What went wrong and what to do about it, in one line.

    Parameters
    ----------
    where : str or Path
        The file (with a line number, where there is one) or the word that it is about.
    rule : str
        What is wrong, in a user's words: the rule that was broken.
    remedy : str
        What to do.
    fault : Fault, optional
        What kind of thing is wrong.

    Examples
    --------
    >>> error = DataError("a.wav", "the recording is empty", "copy it again", fault=Fault.UNREADABLE)
    >>> print(error)
    a.wav: the recording is empty: copy it again
    >>> error.message, str(error.fault)
    ('the recording is empty: copy it again', 'unreadable')
    """

    usual_fault = Fault.INPUT
    """The kind of those that name none."""

    def __init__(self, where: str | Path, rule: str, remedy: str = "", *, fault: Fault | None = None) -> None:
        super().__init__(where, rule, remedy)
        self.where, self.rule, self.remedy = str(where), rule, remedy
        self.fault = fault or self.usual_fault

    def fault_or(self, usual: Fault) -> Fault:
        """The kind of the error; ``usual`` where it names none, as its catcher knows what was being done."""
        return usual if self.fault is Fault.INPUT else self.fault

    @property
    def message(self) -> str:
        """The rule and the remedy in one line, without the place."""
        return _in_one_line(self.rule, self.remedy)

    def __str__(self) -> str:
        return f"{in_one_line(self.where)}: {self.message}"


class DataError(AlignerError):
    """A file, a line or an utterance of the user's breaks a rule."""


class ModelError(AlignerError):
    """A model is missing, damaged, or not what it says it is."""

    usual_fault = Fault.MODEL


_BREAKS = {ord(c): c.encode("unicode_escape").decode() for c in "\n\r\v\f\x85\u2028\u2029"}


def in_one_line(text: str) -> str:
    """Return a text whose breaks of lines are written out: names of files may have some.

    Examples
    --------
    >>> print(in_one_line("a\\nb.wav"))
    a\\nb.wav
    """
    return text.translate(_BREAKS)


def _in_one_line(rule: str, remedy: str) -> str:
    return in_one_line(f"{rule}: {remedy}" if remedy else rule)


@dataclass(frozen=True)
class Interval:
    """A stretch of time with a label, and how sure that is."""

    start: float
    """Seconds from the start of the recording."""
    end: float
    """The same of its end."""
    label: str
    """A word or a phone; `SILENCE_LABEL` where nothing is said."""
    confidence: float | None = None
    """How sure the label is, from 0 to 1; None where that is not known."""

    @property
    def duration(self) -> float:
        """Time from start to end, in seconds."""
        return self.end - self.start


COVERAGE = 0.9  # probability that a person's boundary lies between an edge's ``low`` and ``high``


@dataclass(frozen=True)
class Edge:
    """Where a phone ends and the next begins, and how surely.

    A person's boundary lies between ``low`` and ``high`` with a probability of `COVERAGE`.
    """

    time: float
    """Seconds from the start of the recording."""
    low: float
    """The least that it may be."""
    high: float
    """The most that it may be."""


@dataclass(frozen=True)
class Utterance:
    """A stretch of a recording and what is said in it."""

    id: str
    """A name that is unique in its corpus; ``file`` alone where a file holds one utterance."""
    audio: Path | np.ndarray = field(compare=False)
    """The recording, or its samples: (N,), (N, channels) or (channels, N), full scale 1 or of an integer
    type; programs may give whatever `aligner.corpus.samples.as_samples` reads."""
    transcript: str
    """What is said, in the user's own spelling."""
    _: KW_ONLY
    speaker: str = ""
    """Who says it."""
    file: str = ""
    """The recording's path below the corpus without its suffix; outputs mirror it."""
    channel: int | None = None
    """The channel to read, from 0; None mixes all of them."""
    start: float = 0.0
    """Where it begins in the recording, in seconds."""
    end: float | None = None
    """Where it ends, in seconds; None is the end of the recording."""
    rate: int = SAMPLE_RATE
    """Sample rate of ``audio`` in Hz where it is an array; files know their own."""
    source: Path | None = None
    """The file that the transcript came from."""
    known: tuple[Interval, ...] = ()
    """The words of the transcript where their times are known, in seconds from the start of the recording:
    bounds that the alignment keeps, with silence between them and where a label is empty."""


@dataclass(frozen=True)
class Pronunciation:
    """One way to say a word."""

    phones: tuple[str, ...]
    """Its phones, in the order in which they are said."""
    probability: float = 1.0
    """How likely it is among the pronunciations of its word."""
    _: KW_ONLY
    silence_after: float | None = None
    """Probability of silence after it; None where the dictionary does not say."""
    silence_before: float = 1.0
    """Factor on this pronunciation after a silence (MFA's correction)."""
    no_silence_before: float = 1.0
    """Factor on this pronunciation after another word (MFA's correction)."""


@dataclass(frozen=True, kw_only=True)
class Quality:
    """What an utterance's alignment and recording look like, in figures (see `aligner.refine.suspect`)."""

    log_likelihood: float
    """Log-likelihood of the best path, per frame (natural logarithm)."""
    margin: float
    """How much better (above 0) or worse the spoken frames fit the transcript's phones than the best of all
    phones: mean log-likelihood ratio per frame."""
    worst_margin: float
    """The same of the worst 0.3 s, speech or pause."""
    confidence: float
    """Mean posterior probability of the words (see `aligner.refine.confidence`)."""
    crammed_run: int
    """Length of the longest row of phones that are as short as the model lets them be."""
    speech: float
    """Share of the utterance that is speech, from 0 to 1."""
    longest_word: float
    """Length of the longest word, in seconds."""
    snr: float | None
    """Power of the speech over that of the pauses, in dB; None where there is hardly a pause."""
    clipped: float
    """Share of the samples that are cut off at full scale, from 0 to 1."""
    misfit: float = 0.0
    """How far the worst stretch lies beyond the limits of margins, in nats a frame; below 0 where all lie
    within."""


@dataclass(frozen=True, kw_only=True)
class Suspicion:
    """Something about an alignment that a person should look at."""

    test: str
    """The name of its test (see `aligner.refine.thresholds.Test`); empty where none is known."""
    text: str
    """What looks wrong, in a user's words."""
    at: float | None = None
    """Where to look, in seconds from the start of the recording; None where it is about the whole."""


MOST_LISTED = 20  # suspicions of one utterance in tables and summaries; JSON and Python hold all of them


def foremost(suspicions: Sequence[Suspicion]) -> tuple[Suspicion, ...]:
    """The first suspicions, and one that says how many more there are, where these are many.

    Examples
    --------
    >>> many = [Suspicion(test="noisy", text=f"noise {k}", at=k) for k in range(25)]
    >>> foremost(many)[-1]
    Suspicion(test='more', text='and 5 more', at=20)
    """
    rest = suspicions[MOST_LISTED:]
    if not rest:
        return tuple(suspicions)
    more = Suspicion(test="more", text=f"and {len(rest)} more", at=first_place(rest))
    return (*suspicions[:MOST_LISTED], more)


def first_place(suspicions: Iterable[Suspicion]) -> float | None:
    """Where to look first, in seconds; None where no suspicion has a place."""
    return next((s.at for s in suspicions if s.at is not None), None)


@dataclass(frozen=True)
class Alignment:
    """Where the words and phones of an utterance are."""

    utterance: Utterance
    """What was aligned, with ``end`` filled in."""
    words: tuple[Interval, ...]
    """The words, which tile the utterance: no gaps, no overlaps; silence has an empty label."""
    phones: tuple[Interval, ...]
    """The phones, which tile it as the words do."""
    _: KW_ONLY
    duration: float
    """Length of the whole recording in seconds."""
    quality: Quality
    """The figures of the alignment and its recording."""
    oovs: tuple[tuple[str, str], ...] = ()
    """Words that no dictionary held, each with the pronunciation that was used."""
    suspicions: tuple[Suspicion, ...] = ()
    """Why a person should look at this, and where; empty where nothing is wrong."""
    characters: tuple[Interval, ...] = ()
    """The characters of the words, which tile the utterance as these do, in languages that are written
    without spaces; empty in others."""
    sentences: tuple[Interval, ...] = ()
    """Where each sentence is, from its first word to its last, without silences; filled in where they are
    asked for."""
    edges: tuple[Edge, ...] = ()
    """The boundaries between the phones, each with how far off it may be, in ascending order: ``time`` is the
    start of a phone and the end of the one before, to the last digit.  Empty where that was not looked into;
    where long recordings were put together of stretches, the boundaries between these have none."""

    @property
    def status(self) -> str:
        """``suspect`` where there are suspicions, else ``ok``."""
        return "suspect" if self.suspicions else "ok"

    @property
    def log_likelihood(self) -> float:
        """Log-likelihood of the best path, per frame (natural logarithm)."""
        return self.quality.log_likelihood


@dataclass(frozen=True)
class Failure:
    """An utterance that could not be aligned: what is wrong, and what to do.

    Examples
    --------
    >>> utterance = Utterance("a", Path("a.wav"), "hello")
    >>> failure = Failure(utterance, "the recording is empty", "copy it again", fault=Fault.UNREADABLE)
    >>> failure.message
    'the recording is empty: copy it again'
    """

    utterance: Utterance
    """What could not be aligned."""
    rule: str
    """What is wrong, in a user's words."""
    remedy: str = ""
    """What to do."""
    fault: Fault = field(kw_only=True)
    """What kind of thing is wrong."""

    @classmethod
    def of(cls, utterance: Utterance, error: AlignerError, usual: Fault = Fault.INPUT) -> Failure:
        """The failure that an error amounts to, of the kind ``usual`` where the error names none."""
        return cls(utterance, error.rule, error.remedy, fault=error.fault_or(usual))

    def error(self, where: str | Path) -> DataError:
        """The failure as an error about ``where``, for those who raise it."""
        return DataError(where, self.rule, self.remedy, fault=self.fault)

    @property
    def message(self) -> str:
        """The rule and the remedy in one line."""
        return _in_one_line(self.rule, self.remedy)


Result = Alignment | Failure  # what becomes of an utterance


@dataclass(frozen=True, kw_only=True)
class Caution:
    """Something that the user of a whole run should know, though no utterance failed for it.

    It is printed as a warning, and stands in ``run.json``.

    Examples
    --------
    >>> print(Caution(where="a.dict", rule="it is small", remedy="add words", fault=Fault.DICTIONARY))
    a.dict: it is small: add words
    """

    where: str
    """The file (with a line number, where there is one) that it is about."""
    rule: str
    """What is odd, in a user's words."""
    remedy: str = ""
    """What to do."""
    fault: Fault | Notice
    """What kind of thing is odd."""

    def __str__(self) -> str:
        return f"{in_one_line(self.where)}: {_in_one_line(self.rule, self.remedy)}"


@dataclass(frozen=True)
class Clock:
    """The only place where frames become seconds.

    A frame stands for the middle of its analysis window, so the boundary between frames t-1 and t
    lies halfway between the middles of their windows: at t * hop + (window - hop) / 2.

    Examples
    --------
    >>> Clock(hop=160, window=410).boundary(10)
    0.1078125
    """

    hop: int
    """Samples from the start of a frame's window to that of the next."""
    window: int
    """Samples in a frame's analysis window."""
    rate: int = SAMPLE_RATE
    """Samples per second."""
    delay: float = 0.0
    """How late a model hears what is said, in seconds, beyond what its windows account for."""

    def boundary(self, frame: float) -> float:
        """Seconds from the first sample to the boundary before ``frame`` (zero-based; a fraction lies within
        one).
        """
        return (frame * self.hop + (self.window - self.hop) / 2) / self.rate - self.delay

    def frame(self, time: Any) -> Any:
        """The place in frames of ``time`` (a number or an array) s after the first sample: the inverse of
        `boundary`."""
        return ((time + self.delay) * self.rate - (self.window - self.hop) / 2) / self.hop

    def seconds(self, frames: int) -> float:
        """Time that ``frames`` frames take, in seconds."""
        return frames * self.hop / self.rate

    def tile(
        self, frames: Sequence[float], labels: Sequence[str], start: float, end: float
    ) -> tuple[Interval, ...]:
        """Intervals that begin before each of ``frames`` and together fill ``start`` to ``end``.

        The first begins at ``start`` whatever its frame: there is nothing before it.
        """
        inner = [min(max(round(start + self.boundary(t), DECIMALS), start), end) for t in frames[1:]]
        edges = [start, *inner, end]
        return tuple(Interval(a, b, label) for (a, b), label in zip(pairwise(edges), labels, strict=True))
