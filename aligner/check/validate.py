"""What is wrong with a corpus, reported at once and before the work: what ``aligner validate`` does.

Every recording is read as `align` reads it and every word looked up as `align` looks it up, without a model.
"""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from threading import Lock

from aligner.backends.calls import check_spelled
from aligner.check.faults import (
    ERROR,
    KINDS,
    WARNING,
    Checked,
    Entry,
    Kind,
    OddWord,
    Problem,
    Recording,
    Spell,
    examine,
    problem_of,
    warning,
)
from aligner.corpus import audio
from aligner.corpus.find import Corpus, find, find_one
from aligner.corpus.leftovers import TRANSCRIPTS, extra_transcripts
from aligner.corpus.results import OOV_COLUMNS, PROBLEM_COLUMNS
from aligner.corpus.walk import walk
from aligner.formats.table import TABLE_DECIMALS, write_table
from aligner.models.store import cmu_dictionary
from aligner.parallel.batches import windows
from aligner.parallel.cores import cores
from aligner.reference.espeak import resolve
from aligner.reference.espeak.scripts import check_scripts
from aligner.text.conventions import USUAL, Conventions
from aligner.text.dictionaries import few_words, read_dictionaries
from aligner.text.g2p import HamaG2P
from aligner.text.lexicon import Pronouncer
from aligner.text.normalise import BRACKETED, Token, normalise
from aligner.text.phones import unstressed
from aligner.text.readers import SAID_BY, Reader, reader
from aligner.text.spelling import Speller, is_letter
from aligner.types import (
    NOISE_LABEL,
    SAMPLE_RATE,
    AlignerError,
    Caution,
    Failure,
    Fault,
    Notice,
    Utterance,
)

_reading = Lock()  # what cuts texts into words keeps a text of its own
RECORDINGS_AT_ONCE = 64  # that the threads are given: what they found of these is held in memory


@dataclass(frozen=True, kw_only=True)
class Options:
    """How transcripts would be read.

    Raises
    ------
    DataError
        If they exclude each other.
    """

    dictionary: Path | None = None
    """Pronunciations; None takes the CMU dictionary, of English."""
    add_words: tuple[Path, ...] = ()
    """Files whose words are laid over the dictionary, the last one on top."""
    strict: bool = False
    """Whether a line of these files that cannot be used is an error."""
    g2p: bool = True
    """Whether English words that the dictionary lacks get a pronunciation from their letters."""
    characters: bool = False
    """Whether words are spelled: a letter counts as a phone, and no dictionary is used."""
    english: bool = True
    """Whether numbers and the like are spoken out, in English."""
    language: str | None = None
    """The language whose voice would read, which has a script and words of its own; None asks no voice."""
    conventions: Conventions = USUAL
    """How noises and the like are told from words."""
    jobs: int = field(default_factory=cores)
    """How many threads read recordings."""

    def __post_init__(self) -> None:
        if self.characters:
            check_spelled(self.dictionary, self.add_words)

    def reads(self, utterance: Utterance, spell: Spell | None = None) -> tuple[Token, ...]:
        """Split the transcript of an utterance into its words, of which ``spell`` knows some as written."""
        entry = None if spell is None else partial(spell.entry, speaker=utterance.speaker)
        with nullcontext() if self._reader is None else _reading:
            return normalise(utterance.transcript, self.english, self.conventions, entry, reader=self._reader)

    @cached_property
    def voice(self) -> str | None:
        """The synthesiser's voice that would read the transcripts; None where none does."""
        if self.english or self.characters or self.dictionary is not None or self.language is None:
            return None
        with suppress(AlignerError):  # it may be a language to train, which no voice speaks
            asked = resolve(self.language)
            return asked if self._reader is None else SAID_BY.get(asked, asked)
        return None

    @cached_property
    def _reader(self) -> Reader | None:
        """What cuts transcripts into words, where they are written without spaces."""
        if self.english or self.language is None:
            return None
        with suppress(AlignerError):
            return reader(resolve(self.language))
        return None

    def check_words(self, words: Sequence[str]) -> None:
        """Raise DataError where words are not written as the voice reads them; `align` would, too."""
        if self.voice is not None:
            check_scripts(words, self.voice)


@dataclass(frozen=True)
class Oov:
    """A word that the dictionary lacks."""

    word: str
    """The word, spelled as where it is said first."""
    pronunciation: str
    """What would be used for it; empty where there is none, and its utterances fail."""
    count: int
    """How often it is said."""
    utterances: tuple[Utterance, ...]
    """The utterances that it is said in, in the corpus's order."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """The problems of a corpus, and how much is in it."""

    problems: tuple[Problem, ...]
    """Errors first, in the order of `KINDS`, then of the corpus; words that are said most first."""
    oovs: tuple[Oov, ...] | None
    """Words that the dictionary lacks, the most frequent first; None where there is no dictionary."""
    utterances: int
    """How many utterances have a recording and a transcript."""
    others: int
    """How many recordings and transcripts make no utterance, and lines of tables."""
    failing: int
    """How many of both have an error."""
    recordings: int
    """How many recordings there are of a kind that is read."""
    speakers: int
    """How many people speak."""
    words: int
    """How many words are said."""
    speech: float
    """Length of the utterances, in seconds."""
    audio: float
    """Length of the recordings, in seconds."""
    rates: Mapping[int, int]
    """Sample rate in Hz -> recordings; the most frequent first."""


def validate(
    corpus: Path,
    options: Options | None = None,
    notice: Callable[[int, int], None] = lambda done, total: None,
) -> Report:
    """Look for everything that is wrong with a corpus.

    Parameters
    ----------
    corpus : Path
        As for `align`; or one recording.
    options : Options, optional
    notice : callable
        Called after every recording with how many were read and how many there are.

    Raises
    ------
    DataError
        If there is no corpus, or the dictionary is at fault.
    """
    options = options or Options()
    spell = speller(options)
    found = find(corpus) if corpus.is_dir() else find_one(corpus)
    recordings, rest = _by_recording(found)
    sizes = {path: _size(path) for path in recordings}
    often = Counter(sizes.values())

    reads = partial(options.reads, spell=spell)

    def look(path: Path) -> tuple[Recording, list[Checked]]:
        hashed = often[sizes[path]] > 1
        return examine(path, recordings[path], spell, reads, hashed=hashed, check=options.check_words)

    recordings_read: list[Recording] = []
    checked = [Checked(utterance=f.utterance, problems=(problem_of(f),)) for f in rest]
    with ThreadPoolExecutor(options.jobs) as pool:
        for window in windows(sorted(recordings), RECORDINGS_AT_ONCE):
            for recording, looked_at in pool.map(look, window):
                recordings_read.append(recording)
                checked += looked_at
                notice(len(recordings_read), len(recordings))
    return _report(corpus, found, recordings_read, checked, spell=spell, options=options)


def speller(options: Options) -> Spell | None:
    """Return what finds the pronunciations of words; None where only a synthesiser knows them.

    Raises
    ------
    DataError
        If the dictionary is at fault.
    """
    if options.characters:
        return Speller(is_letter, "lower", (NOISE_LABEL,), strict=True)
    if options.dictionary is None and not options.english:
        return None
    books = read_dictionaries(
        options.dictionary,
        options.add_words,
        own=cmu_dictionary() if options.english else None,
        strict=options.strict,
    )
    pronounce = Pronouncer(
        lexicon=books.default,
        g2p=HamaG2P() if options.g2p and options.english else None,
        known=bool,
        noises=(NOISE_LABEL,),
        speakers=books.speakers,
        cautions=books.cautions(),
        replaced=books.replaced,
    )
    phones = set(map(unstressed, pronounce.phones))
    return replace(pronounce, known=lambda phone: unstressed(phone) in phones)


def write_problems(path: Path, report: Report) -> None:
    """Write a CSV file with a row for each problem; times are those of an utterance within a recording."""
    write_table(path, PROBLEM_COLUMNS, map(_row, report.problems))


def _row(p: Problem) -> tuple[object, ...]:
    start, end = p.utterance.start, p.utterance.end
    times = ("", "") if end is None else (round(start, TABLE_DECIMALS), round(end, TABLE_DECIMALS))
    return p.severity, p.kind, p.utterance.file, *times, p.utterances, p.detail, p.remedy


def write_oovs(path: Path, report: Report) -> None:
    """Write a CSV file as the ``oovs.csv`` of `align`: each word, what would be used, how often, and where
    first.
    """
    write_table(
        path,
        OOV_COLUMNS,
        [(o.word, o.pronunciation, o.count, o.utterances[0].file) for o in report.oovs or ()],
    )


def _by_recording(found: Corpus) -> tuple[dict[Path, list[Entry]], list[Failure]]:
    """Return the entries of each recording, and the failures without a recording that could be opened."""
    recordings: dict[Path, list[Entry]] = defaultdict(list)
    rest = []
    for u in found.utterances:
        recordings[_path(u)].append(u)
    for f in found.failures:
        path = _path(f.utterance)
        if path.suffix.lower() in audio.SUFFIXES and path.is_file() and f.fault is not Fault.ODD_NAME:
            recordings[path].append(f)
        else:
            rest.append(f)
    return recordings, rest


def _path(utterance: Utterance) -> Path:
    """Return the file of an utterance's recording: in a corpus on disk it has one."""
    assert isinstance(utterance.audio, Path)
    return utterance.audio


def _size(path: Path) -> int:
    """Return the size of a file in bytes; 0 where it cannot be known."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _report(
    corpus: Path,
    found: Corpus,
    recordings: Sequence[Recording],
    checked: Sequence[Checked],
    *,
    spell: Spell | None,
    options: Options,
) -> Report:
    """Return the report of a corpus of which everything was looked at alone."""
    words = [(kind, odd, _word_problem(kind, odd, options)) for kind, odd in _odd_words(checked)]
    alone = [p for c in checked for p in c.problems]
    failing = {p.utterance.id for p in alone if p.severity == ERROR} | {
        u.id for _, odd, p in words if p.severity == ERROR for u in odd.utterances
    }
    opened = [t for t in recordings if t.rate]
    rates = dict(Counter(t.rate for t in opened).most_common())
    problems = [
        *_with_hints(corpus, found, _merged(alone)),
        *(p for _, _, p in words),
        *_sample_rates(opened, rates),
        *_duplicates(opened),
        *_namesakes(recordings),
        *(_lone_speakers(found.utterances) if corpus.is_dir() else ()),  # one recording has but one speaker
        *_unread_transcripts(found),
        *(_problem_of_caution(corpus, c) for c in found.cautions if c.fault != Notice.EXTRA_TRANSCRIPT),
        *(_problem_of_caution(Path(), caution) for caution in _dictionary_cautions(found, spell, options)),
    ]
    oovs = tuple(odd for kind, odd, _ in words if kind == Fault.OOV)
    return Report(
        problems=tuple(_in_order(problems)),
        oovs=oovs if isinstance(spell, Pronouncer) else None,
        utterances=len(found.utterances),
        others=len(found.failures),
        failing=len(failing),
        recordings=len(recordings),
        speakers=len({u.speaker for u in found.utterances}),
        words=sum(c.words for c in checked),
        speech=sum(c.seconds for c in checked if c.words),
        audio=sum(t.seconds for t in opened),
        rates=rates,
    )


def _dictionary_cautions(found: Corpus, spell: Spell | None, options: Options) -> Iterator[Caution]:
    """Yield what the user should know of the dictionaries: bad lines, and words that one lacks."""
    if not isinstance(spell, Pronouncer):
        return
    yield from spell.cautions
    if options.dictionary is not None:
        said = (
            (u.speaker, word)
            for u in found.utterances
            for token in options.reads(u, spell)
            for word in token.spoken
            if not BRACKETED.fullmatch(word)
        )
        yield from few_words(said, spell, options.dictionary)


def _problem_of_caution(corpus: Path, caution: Caution) -> Problem:
    """Return a caution of `find` as a problem; it is about a file, which need not be a recording."""
    about = Utterance(caution.where, corpus / caution.where, "", file=caution.where)
    return warning(caution.fault, about, caution.rule, caution.remedy)


def _in_order(problems: Iterable[Problem]) -> list[Problem]:
    """Return problems with errors first, in the order of `KINDS`."""
    order = list(KINDS)
    return sorted(problems, key=lambda p: (p.severity != ERROR, order.index(p.kind)))


def _with_hints(corpus: Path, found: Corpus, problems: Iterable[Problem]) -> Iterator[Problem]:
    """Yield the problems, with a hint where a lacking transcript may be: a folder further, or in capitals."""
    problems = list(problems)
    spare: dict[str, list[Path]] = defaultdict(list)
    if any(p.kind == Fault.NO_TRANSCRIPT for p in problems):
        read = {u.source for u in found.utterances}
        for path in walk(corpus).files:
            if path.suffix.lower() in TRANSCRIPTS and path not in read:
                spare[path.stem.casefold()].append(path)
    for p in problems:
        others = spare[Path(p.utterance.file).name.casefold()] if p.kind == Fault.NO_TRANSCRIPT else []
        where = f"is it {others[0].relative_to(corpus)}? " if len(others) == 1 else ""
        yield replace(p, remedy=where + p.remedy)


def _merged(problems: Iterable[Problem]) -> list[Problem]:
    """Return one problem where several utterances of a recording have the same, as of one that is damaged."""
    same: dict[tuple[str, ...], list[Problem]] = defaultdict(list)
    for p in sorted(problems, key=lambda p: p.utterance.file):
        same[p.severity, p.kind, p.utterance.file, p.detail].append(p)
    return [replace(alike[0], utterances=len(alike)) for alike in same.values()]


def _odd_words(checked: Iterable[Checked]) -> list[tuple[Kind, Oov]]:
    """Return odd words with their kinds, those that are said most first; case makes no difference."""
    said: dict[OddWord, list[tuple[Utterance, str]]] = defaultdict(list)
    for c in checked:
        for odd in c.odd:
            said[replace(odd, word=odd.word.lower())].append((c.utterance, odd.word))
    words = [
        (
            odd.kind,
            Oov(places[0][1], odd.pronunciation, len(places), tuple({u.id: u for u, _ in places}.values())),
        )
        for odd, places in said.items()
    ]
    return sorted(words, key=lambda item: (-item[1].count, item[1].word.lower()))


def _word_problem(kind: Kind, odd: Oov, options: Options) -> Problem:
    said = "said once" if odd.count == 1 else f"said {odd.count} times"
    severity = ERROR
    if kind == Fault.BRACKETS:
        severity, detail = (
            WARNING,
            f"{odd.word}, {said}: it is taken for noise",
        )
        remedy = "write what is said if it is speech"
    elif kind == Fault.ODD_CHARACTERS:
        detail, remedy = f"{odd.word!r}, {said}, cannot be spelled in letters", "write it as it is said"
    elif odd.pronunciation:
        severity, detail = (
            WARNING,
            f"{odd.word!r}, {said}, is not in the dictionary and taken for {odd.pronunciation}",
        )
        remedy = "add it as it is said (--add-words) if that is wrong"
    elif options.g2p and options.english:
        detail = f"{odd.word!r}, {said}, is not in the dictionary and cannot be read in English"
        remedy = "correct it, add it (--add-words), or name the language (--language)"
    else:
        detail = f"{odd.word!r}, {said}, is not in the dictionary"
        remedy = "add it there" + (", or let G2P guess (without --no-g2p)" if options.english else "")
    return Problem(
        severity=severity,
        kind=kind,
        utterance=odd.utterances[0],
        detail=detail,
        remedy=remedy,
        utterances=len(odd.utterances),
    )


def _sample_rates(recordings: Sequence[Recording], rates: Mapping[int, int]) -> Iterator[Problem]:
    usual = next(iter(rates), SAMPLE_RATE)
    for t in recordings:
        if t.rate < SAMPLE_RATE:
            own, heard = t.rate / 2, SAMPLE_RATE / 2
            detail = f"{t.rate} Hz: it has nothing above {own:g} Hz, and models listen up to {heard:g}"
            yield warning(Notice.SAMPLE_RATE, t.utterance, detail, "take the original if that has more")
        elif t.rate != usual:
            detail = f"{t.rate} Hz, where {rates[usual]} of {len(recordings)} recordings have {usual} Hz"
            yield warning(
                Notice.SAMPLE_RATE,
                t.utterance,
                detail,
                "was it made in another way? it may sound so",
            )


def _duplicates(recordings: Iterable[Recording]) -> Iterator[Problem]:
    first: dict[str, Recording] = {}
    for t in recordings:
        original = first.setdefault(t.digest, t) if t.digest else t
        if original is not t:
            yield warning(
                Notice.DUPLICATE_RECORDING,
                t.utterance,
                f"byte for byte the same recording as {original.utterance.file}",
                "take one of them out, or put the right one there",
            )


def _namesakes(recordings: Iterable[Recording]) -> Iterator[Problem]:
    """Yield names that Windows and macOS cannot tell apart: their outputs would be one file there."""
    first: dict[str, str] = {}
    for t in recordings:
        name = t.utterance.file
        other = first.setdefault(unicodedata.normalize("NFC", name).casefold(), name)
        if other != name:
            yield warning(
                Fault.DUPLICATE_NAME,
                t.utterance,
                f"only capitals, or how accents are coded, tell it from {other}",
                "rename one of them: Windows and macOS take them for one",
            )


def _lone_speakers(utterances: Iterable[Utterance]) -> Iterator[Problem]:
    by_speaker: dict[str, list[Utterance]] = defaultdict(list)
    for u in utterances:
        by_speaker[u.speaker].append(u)
    for speaker, own in by_speaker.items():
        if len(own) == 1:
            yield warning(
                Notice.LONE_SPEAKER,
                own[0],
                f"the speaker {speaker!r} has no other utterance",
                "is the name of the folder, of the tier or in the table misspelled?",
            )


def _unread_transcripts(found: Corpus) -> Iterator[Problem]:
    """Yield transcripts beside those that are read, with other content."""
    entries = [*found.utterances, *(f.utterance for f in found.failures)]
    read = {u.source: u for u in reversed(entries) if u.source and u.source.suffix.lower() in TRANSCRIPTS}
    folders = dict.fromkeys(source.parent for source in read)
    files = [path for folder in folders for path in sorted(folder.iterdir()) if path.is_file()]
    for path, source in extra_transcripts(files, read):
        yield warning(
            Notice.EXTRA_TRANSCRIPT,
            replace(read[source], id=read[source].file, start=0.0, end=None),
            f"{path.name} is not read, for {source.name} counts",
            "take out what is not meant",
        )
