"""How a text will be read: each written word, what is said for it, and its pronunciations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from aligner.backends.abilities import Pronouncing
from aligner.backends.base import AnyBackend
from aligner.formats.turns import prefixes
from aligner.text.fragments import is_cut_off
from aligner.text.lexicon import Pronouncer, SpokenWord
from aligner.text.markup import without_markup
from aligner.text.normalise import BRACKETED, Token, normalise
from aligner.text.spans import Kind, Marks
from aligner.text.spelling import Speller
from aligner.text.stress import without_stress
from aligner.types import NOISE_LABEL, DataError


class Source(StrEnum):
    """Where the pronunciations of a word come from."""

    DICTIONARY = "dictionary"
    """The word is in the dictionary."""
    GUESS = "guess"
    """No dictionary has the word, and its letters were pronounced (G2P)."""
    SYNTHESISER = "espeak"
    """ESpeak pronounces the word."""
    LETTERS = "letters"
    """The model's alphabet is letters: a word is spelled."""
    NOISE = "noise"
    """The word stands for a sound that is no speech, or for speech that nobody understood."""
    CUT_OFF = "cut-off"
    """The word was broken off, and is said as far as it is written."""
    SPEAKER = "speaker"
    """It is the name of a speaker at the beginning of a line, and not said."""
    LEFT_OUT = "left out"
    """It is a mark, a pause, a time or a remark, and not said."""
    TRANSCRIPT = "transcript"
    """The transcript gives the pronunciation, in braces."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A word that is said, and the ways in which it may be."""

    word: str
    """The word as it is looked up."""
    source: Source
    """Where its pronunciations come from."""
    pronunciations: tuple[tuple[str, ...], ...]
    """The phones of each way to say it, the first of the dictionary first; none where there is no way."""
    problem: str = ""
    """Why there is no way to say it, and what to do; empty where there is one."""


@dataclass(frozen=True, kw_only=True)
class Written:
    """A word, or a mark, of a text as it was written, and what is said for it."""

    spelling: str
    """It as it was written, a word without the punctuation around it."""
    readings: tuple[Reading, ...]
    """What is said for it, in order."""


def read(text: str, backend: AnyBackend) -> tuple[Written, ...]:
    """Read a text as `align` would with a backend; no recording is needed.

    Parameters
    ----------
    text : str
        The transcript.
    backend : Backend
        What would align it: its language says how the text is read, and its dictionary how that is said.

    Returns
    -------
    tuple of Written
        The words of the text, in order, and between them the marks that nothing is said for; a word without a
        pronunciation has a `Reading` that says why.

    Examples
    --------
    >>> from aligner.backends.choose import chosen
    >>> [word] = read("1984", chosen())
    >>> [(r.word, r.pronunciations[0][0], str(r.source)) for r in word.readings]
    [('nineteen', 'N', 'dictionary'), ('eighty', 'EY1', 'dictionary'), ('four', 'F', 'dictionary')]
    """
    assert isinstance(backend, Pronouncing)
    traits = backend.traits
    english = traits.english is not False
    tokens = normalise(text, english, traits.marks, traits.entry_of(""), traits.reader)
    plain = without_markup(text)
    placed = [*_placed(tokens, plain, backend), *_left_out(plain, backend.traits.marks)]
    return tuple(written for _, written in sorted(placed, key=lambda item: item[0]))


def _placed(tokens: Sequence[Token], plain: str, backend: Pronouncing) -> Iterator[tuple[int, Written]]:
    """Yield the words with their places in a text."""
    place = 0
    for token in tokens:
        place = max(place, plain.find(token.spelling, place))
        yield place, Written(spelling=token.spelling, readings=_readings(token, backend))


def _left_out(plain: str, marks: Marks) -> Iterator[tuple[int, Written]]:
    """Yield what nothing is said for, with its place in a text."""
    names = {begin.start for begin in prefixes(plain) if begin.name}
    for span in marks(plain):
        written = plain[span.start : span.end].strip()
        if span.kind is Kind.BREAK and written:
            source = Source.SPEAKER if span.start in names else Source.LEFT_OUT
            nothing = Reading(word="", source=source, pronunciations=())
            yield span.start, Written(spelling=written, readings=(nothing,))


def _readings(token: Token, backend: Pronouncing) -> tuple[Reading, ...]:
    """What is said for a token; word by word, so that one that cannot be said does not hide the others."""
    said = _as_given(token, backend)
    if said is not None:
        return (Reading(word=said.word, source=Source.TRANSCRIPT, pronunciations=_phones(said, backend)),)
    return tuple(r for word in token.spoken for r in _of_word(Token(token.spelling, (word,)), backend))


def _as_given(token: Token, backend: Pronouncing) -> SpokenWord | None:
    """A token as it is said where the transcript gives its phones; None where they are not taken."""
    if not token.phones:
        return None
    try:
        spoken, _ = backend.pronounce([token])
    except DataError:
        return None
    if len(spoken) != 1:
        return None
    [said] = spoken
    phones, given = (
        [without_stress(p.upper()) for p in some] for some in (said.pronunciations[0].phones, token.phones)
    )
    return said if phones == given else None


def _of_word(token: Token, backend: Pronouncing) -> list[Reading]:
    try:
        spoken, oovs = backend.pronounce([token])
    except DataError as error:
        source = _source(token.spoken[0], backend, guessed=True)
        return [Reading(word=token.spoken[0], source=source, pronunciations=(), problem=error.message)]
    unknown = {word for word, _ in oovs}
    return [
        Reading(
            word=s.word,
            source=_source(s.word, backend, guessed=s.word in unknown),
            pronunciations=_phones(s, backend),
        )
        for s in spoken
    ]


def _is_noise(word: str, backend: Pronouncing) -> bool:
    """Whether a word in brackets is a noise, as it is unless the user's dictionary has it."""
    own = isinstance(backend.pronounce, Pronouncer) and backend.pronounce.lexicon.has_written(word)
    return BRACKETED.fullmatch(word) is not None and not own


def _phones(spoken: SpokenWord, backend: Pronouncing) -> tuple[tuple[str, ...], ...]:
    """The phones of each pronunciation, once each; whatever a model calls its noises, they are one label."""
    if _is_noise(spoken.word, backend):
        return ((NOISE_LABEL,),)
    return tuple(dict.fromkeys(p.phones for p in spoken.pronunciations))


def _source(word: str, backend: Pronouncing, *, guessed: bool) -> Source:
    if _is_noise(word, backend):
        return Source.NOISE
    if is_cut_off(word):
        return Source.CUT_OFF
    if isinstance(backend.pronounce, Speller):
        return Source.LETTERS
    if not isinstance(backend.pronounce, Pronouncer):
        return Source.SYNTHESISER
    return Source.GUESS if guessed else Source.DICTIONARY


def unsaid(words: Sequence[Written]) -> int:
    """How many words have no pronunciation."""
    return sum(bool(r.problem) for w in words for r in w.readings)
