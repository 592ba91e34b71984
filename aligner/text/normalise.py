"""From transcripts to tokens: what the user wrote, and the words that are said for it.

A transcript is read by these rules, in this order:

1. Entities are undone and tags dropped (`aligner.text.markup`).
2. Marks are found: noises, unclear stretches, cut-offs (`aligner.text.conventions`); a pronunciation in
   braces belongs to the word right before it, if there is one.
3. What is left is written in plain characters (`aligner.text.plain`), and split into words at spaces.
4. What the user gave a pronunciation is a word as it stands; so are addresses (`aligner.text.addresses`) and
   telephone numbers; other words are split at punctuation, and stripped of it (`aligner.text.punctuation`).
5. In English (`aligner.text.english.rules`), Roman numerals, units and numbers with all that is joined to
   them are spoken out.
6. In English, abbreviations, letters and signs are spoken out; every other word is left to the dictionary.

American readings are used: 1984 is "nineteen eighty four", 250 "two hundred fifty", 5/3/24 "may third".

Nothing that is written is lost: the words of the tokens, one behind another, are the transcript without its
markup, its marks that say nothing, its punctuation and its spaces.  Every letter and every figure is in one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

from aligner.text import addresses
from aligner.text.conventions import USUAL
from aligner.text.english.abbreviations import ABBREVIATIONS as ABBREVIATIONS
from aligner.text.english.numbers import digits
from aligner.text.english.rules import Word, in_english
from aligner.text.markup import without_markup
from aligner.text.plain import NOISE_CHARACTER, Plain, plain
from aligner.text.punctuation import WORD_JOINER, bounds, pieces, without_closing_quotes
from aligner.text.readers import Reader
from aligner.text.spans import BRACKETED as BRACKETED
from aligner.text.spans import Kind, Marks, phones_in, with_entries, with_pronunciations


@dataclass(frozen=True)
class Token:
    """A word of the transcript as written, with the words that are spoken for it."""

    spelling: str
    """The word as the user wrote it, without the punctuation around it."""
    spoken: tuple[str, ...]
    """The words that are said for it, one or more; a noise is one word in brackets (`BRACKETED`)."""
    phones: tuple[str, ...] = ()
    """How it is said, where that was written in braces; they are its phones only where a model has all."""


Entry = Callable[[str], bool]
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# numbers with spaces in them: in English only where they can be nothing else
SPACED_NUMBER = re.compile(r"(?<!\d)\d{1,3}(?: \d{3})+(?!\d)|(?<=\d) (?=[%‰°€$£¥])")
SPACED_THOUSANDS = re.compile(r"(?<![\d,.])[1-9]\d{0,2}(?: \d{3})* 000(?![\d,.]?\d)")
HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0002ffff]")
_EASTERN = r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0002ffff]"  # Chinese and Japanese
SEGMENTED = re.compile(rf"{_EASTERN} +{_EASTERN}")
# numbers that are said digit by digit: of telephones, and of cards
TELEPHONE = re.compile(
    r"(?<![\w.$-])(?:(?:\+?1[ .-]?)?(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}"
    r"|0\d{2,4}[ -]\d{3,4}[ -]\d{3,4}|\+\d{1,3}(?:[ .-]?\(?\d{1,4}\)?){2,5}"
    r"|(?:\d{4}[ -]){3}\d{4})(?![\w%]|[-.,]\d)"
)
_CHUNK = re.compile(r"[^\s\[\]{}]+")
_BY_CHARACTER = re.compile(rf"{HAN.pattern}|(?:(?!{HAN.pattern})[^\s\[\]{{}}])+")
_ELISION = re.compile(r"'\s+[^\W\d_]")  # an apostrophe before another word
_OPENS_QUOTATION = re.compile(r"(?<!\S)[\"(\[]*'")  # one that may begin a quotation
_CLOSES_QUOTATION = re.compile(r"(?<=\w)'(?!\w)")  # and end one
_STOPS = frozenset(',;:.!?)"')
_OPENING = "\"'([{<*_¿¡"


def spoken_english(language: str | None) -> bool:
    """Whether transcripts are English, as they are unless a language is named.

    Examples
    --------
    >>> spoken_english("en-GB"), spoken_english(None), spoken_english("sw")
    (True, True, False)
    """
    return language is None or language.lower().replace("_", "-").split("-")[0] in ("en", "eng", "english")


def normalise(
    text: str,
    english: bool = True,
    marks: Marks = USUAL,
    entry: Entry | None = None,
    reader: Reader | None = None,
) -> tuple[Token, ...]:
    """Split a transcript into tokens; punctuation alone gives none.

    Parameters
    ----------
    text : str
        The transcript, in any case and with punctuation.
    english : bool
        Whether numbers and the like are spoken out, in English; otherwise what is written is what is said,
        and every Chinese character is a word unless there are spaces between some.  Numbers in groups (20
        000) and what stands behind a number (20 %) are one word with it.
    marks : callable
        Finds noises and other marks in the text, see `aligner.text.spans`.
    entry : callable, optional
        Tells whether a word as written is one that the user gave a pronunciation; it is read no further.
    reader : callable, optional
        Cuts what is written without spaces into words, and reads them (see `aligner.text.readers`); where
        there are spaces between Chinese or Japanese signs, it reads alone.

    Examples
    --------
    >>> [t.spelling for t in normalise("Dr. Smith's 2 dogs -- [laughter] they cost $5.50!")]
    ['Dr.', "Smith's", '2', 'dogs', '[laughter]', 'they', 'cost', '$5.50']
    >>> [t.spoken for t in normalise("In 1984,")]
    [('In',), ('nineteen', 'eighty', 'four')]
    """
    source = without_markup(text)
    marked = marks(source) if entry is None else with_entries(marks(source), source, entry)
    spans = with_pronunciations(marked, source)
    written = plain(source, spans, english)
    kinds = (Kind.NOISE, Kind.CUT_OFF, Kind.PHONES, Kind.ENTRY)
    noises = iter([span.said for span in spans if span.kind in kinds])
    found = list(_words(written, english, noises, entry, by_character=reader is None))
    if reader is not None:
        cut = SEGMENTED.search(written.text) is None
        found = [part for word in found for part in _parts(word, reader, cut)]
    if english:
        found, read = in_english(found, capitals_tell=any(map(str.islower, written.text)))
    else:
        read = [w.said or _as_written(w.core) for w in found]
    return tuple(
        Token(written.written(word.start, word.end), said, word.phones)
        for word, said in zip(found, read, strict=True)
        if said
    )


def _parts(word: Word, reader: Reader, cut: bool) -> list[Word]:
    """The words that a reader cuts a word into, with what is said for each; or the word whole."""
    if word.said is not None or not any(map(str.isalpha, word.core)):
        return [word]
    pieces = reader(word.core)
    if "".join(piece.written for piece in pieces) != word.core:
        return [word]
    if not cut:
        return [replace(word, said=tuple(said for piece in pieces for said in _as_written(piece.said)))]
    ends = list(accumulate((len(piece.written) for piece in pieces), initial=word.start))
    return [
        replace(word, start=a, end=b, core=piece.written, said=_as_written(piece.said))
        for piece, (a, b) in zip(pieces, pairwise(ends), strict=True)
    ]


def _words(
    written: Plain,
    english: bool,
    noises: Iterator[str],
    entry: Entry | None,
    by_character: bool = True,
) -> Iterator[Word]:
    """Yield the words of a text, without the punctuation around them; every Chinese character may be one."""
    spaced = SPACED_THOUSANDS if english else SPACED_NUMBER
    text = spaced.sub(lambda number: number[0].replace(" ", WORD_JOINER), written.text)
    text = without_closing_quotes(text) if english and ('"' in text or "'" in text) else text
    parted = by_character and not english and HAN.search(text) and not SEGMENTED.search(text)
    telephones = _telephones(text) if english else []
    for found in (_BY_CHARACTER if parted else _CHUNK).finditer(text):
        chunk = found[0].rstrip(NOISE_CHARACTER)
        words = list(_words_in(written, chunk, found.start(), english, entry))
        if words and not english:
            words[-1] = _with_elision(words[-1], text)
        if telephones:
            words = [_digit_by_digit(word, telephones) for word in words]
        if found[0].endswith(NOISE_CHARACTER):
            said = next(noises)  # a noise, or the pronunciation of the word before it
            alone = Word(start=found.start(), end=found.end(), core=found[0], said=(said,))
            words = [*words[:-1], replace(words[-1] if words else alone, phones=phones_in(said))]
        yield from words


def _words_in(written: Plain, chunk: str, begin: int, english: bool, entry: Entry | None) -> Iterator[Word]:
    """Yield the words between two spaces; the text has the ``chunk`` at the index ``begin``."""
    whole = Word(start=begin, end=begin + len(chunk), core=chunk)
    if entry is not None and chunk and entry(own := written.written(whole.start, whole.end)):
        yield replace(whole, said=(own,))
        return
    if chunk.isalpha():
        yield whole
        return
    for start, end in _bounds(chunk, english):
        core = chunk[start:end].replace(WORD_JOINER, "," if english else WORD_JOINER)
        said: tuple[str, ...] | None = None
        if entry is not None and entry(own := written.written(begin + start, begin + end)):
            said = (own,)
        elif english and (length := addresses.match(core)):
            *first, last = addresses.read(core[:length])
            said = (*first, last + "'s" * (length < len(core)))
        stopped = chunk[end : end + 1] in _STOPS
        yield Word(start=begin + start, end=begin + end, core=core, said=said, stopped=stopped)


def _bounds(chunk: str, english: bool) -> Iterator[tuple[int, int]]:
    """Yield where the words of a chunk begin and end: an address is one word."""
    first = len(chunk) - len(chunk.lstrip(_OPENING))
    if length := addresses.match(chunk[first:]):
        yield first, first + length + 2 * chunk.startswith("'s", first + length)
        return
    for start, end in pieces(chunk, english):
        left, right = bounds(chunk[start:end], english)
        if left < right:
            yield start + left, start + right


def _with_elision(word: Word, text: str) -> Word:
    """Return a word with its apostrophe, where it has lost its end before the next one ("l' acqua"); not one
    that may end a quotation.
    """
    end = word.end
    if word.said is not None or not _ELISION.match(text, end):
        return word
    opened, closed = (len(mark.findall(text, 0, end)) for mark in (_OPENS_QUOTATION, _CLOSES_QUOTATION))
    if opened > closed:
        return word
    return replace(word, end=end + 1, core=word.core + "'") if word.core[-1:].isalpha() else word


def _telephones(text: str) -> list[tuple[int, int]]:
    """List where the telephone numbers of a text begin and end."""
    return [m.span() for m in TELEPHONE.finditer(text)] if any(map(str.isdecimal, text)) else []


def _digit_by_digit(word: Word, telephones: Sequence[tuple[int, int]]) -> Word:
    """Return a word that says its digits if it is within a telephone number."""
    if word.said is not None or not any(a <= word.start and word.end <= b for a, b in telephones):
        return word
    return replace(word, said=(*["plus"] * word.core.startswith("+"), *digits(word.core)))


def _as_written(core: str) -> tuple[str, ...]:
    """The word itself, in lower case, as what is spoken for it."""
    said = unicodedata.normalize("NFC", core.lower().replace(WORD_JOINER, ""))
    return (said,) if any(c.isalnum() for c in core) else ()
