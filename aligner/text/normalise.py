"""From transcripts to tokens: what the user wrote, and the words that are said for it.

A transcript is read by these rules, in this order:

1. Entities are undone and tags dropped (`aligner.text.markup`).
2. Marks are found: noises, unclear stretches, cut-offs (`aligner.text.conventions`); a pronunciation in
   braces belongs to the word right before it, if there is one.
3. What is left is written in plain characters (`aligner.text.plain`), and split into words at spaces.
4. Addresses are words as they stand; other words are split at punctuation, and stripped of it.
5. Numbers and what is joined to them are spoken out, in English (`aligner.text.numbers`).
6. Words: abbreviations and letters are spoken out, in English; everything else is left to the dictionary.

American readings are used: 1984 is "nineteen eighty four", 250 "two hundred fifty", 5/3 "may third".
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from aligner.text.conventions import USUAL
from aligner.text.markup import without_markup
from aligner.text.numbers import SYMBOLS, letter_name, measure, numeric
from aligner.text.plain import NOISE_CHARACTER, Plain, plain
from aligner.text.spans import BRACKETED as BRACKETED
from aligner.text.spans import Kind, Marks, phones_in, with_pronunciations


@dataclass(frozen=True)
class Token:
    """A word of the transcript as written, with the words that are spoken for it."""

    spelling: str
    """The word as the user wrote it, without the punctuation around it."""
    spoken: tuple[str, ...]
    """The words that are said for it, one or more; a noise is one word in brackets (`BRACKETED`)."""
    phones: tuple[str, ...] = ()
    """How it is said, where that was written in braces; they are its phones only where a model has all."""


@dataclass(frozen=True)
class Word:
    """A word of a text in plain characters."""

    start: int
    """Index of its first character in the text."""
    end: int
    """Index behind its last character."""
    core: str
    """The word without the punctuation around it."""
    said: tuple[str, ...] | None = None
    """What is said for it, where that is known; None where it is still to be read."""
    phones: tuple[str, ...] = ()
    """See `Token`."""


CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# numbers with spaces in them
SPACED_NUMBER = re.compile(r"(?<!\d)\d{1,3}(?: \d{3})+(?!\d)|(?<=\d) (?=[%‰°€$£¥])")
WORD_JOINER = "\u2060"  # stands for a space within a number, where it splits no word
HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0002ffff]")
SEGMENTED = re.compile(rf"{HAN.pattern} +{HAN.pattern}")
ABBREVIATIONS = {
    "mr.": "mister",
    "mrs.": "missus",
    "ms.": "miz",
    "dr.": "doctor",
    "prof.": "professor",
    "jr.": "junior",
    "sr.": "senior",
    "vs.": "versus",
    "vs": "versus",
    "etc.": "et cetera",
    "etc": "et cetera",
    "e.g.": "for example",
    "i.e.": "that is",
    "gen.": "general",
    "col.": "colonel",
    "capt.": "captain",
    "lt.": "lieutenant",
    "sgt.": "sergeant",
    "rev.": "reverend",
    "hon.": "honorable",
    "gov.": "governor",
    "sen.": "senator",
    "rep.": "representative",
    "inc.": "incorporated",
    "ltd.": "limited",
    "corp.": "corporation",
    "co.": "company",
    "bros.": "brothers",
    "ave.": "avenue",
    "blvd.": "boulevard",
    "rd.": "road",
    "mt.": "mount",
    "ft.": "fort",
    "dept.": "department",
    "est.": "established",
    "approx.": "approximately",
    "jan.": "january",
    "feb.": "february",
    "mar.": "march",
    "apr.": "april",
    "jun.": "june",
    "jul.": "july",
    "aug.": "august",
    "sep.": "september",
    "sept.": "september",
    "oct.": "october",
    "nov.": "november",
    "dec.": "december",
    "mr": "mister",
    "mrs": "missus",
    "dr": "doctor",
}
FRACTIONS = {"1⁄2": "1/2", "1⁄3": "1/3", "2⁄3": "2/3", "1⁄4": "1/4", "3⁄4": "3/4"}


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
    entry: Callable[[str], bool] | None = None,
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

    Examples
    --------
    >>> [t.spelling for t in normalise("Dr. Smith's 2 dogs -- [laughter] they cost $5.50!")]
    ['Dr.', "Smith's", '2', 'dogs', '[laughter]', 'they', 'cost', '$5.50']
    >>> normalise("In 1984,")[1]
    Token(spelling='1984', spoken=('nineteen', 'eighty', 'four'))
    """
    source = without_markup(text)
    spans = with_pronunciations(marks(source), source)
    written = plain(source, spans, english)
    noises = iter([span.said for span in spans if span.kind in (Kind.NOISE, Kind.CUT_OFF, Kind.PHONES)])
    words = list(_words(written, english, noises, entry))
    capitals_tell = any(c.islower() for c in written.text)  # of abbreviations; not where all is in capitals
    cores = [w.core if capitals_tell or w.said else w.core.lower() for w in words]
    around = zip(words, cores, ["", *cores], [*cores[1:], ""], strict=False)
    read = [
        w.said or (tuple(_spoken(core, before.lower(), after)) if english else _as_written(core))
        for w, core, before, after in around
    ]
    return tuple(_tokens(written, words, read))


def _words(
    written: Plain, english: bool, noises: Iterator[str], entry: Callable[[str], bool] | None
) -> Iterator[Word]:
    """Yield the words of a text, without the punctuation around them."""
    text = written.text
    if not english:
        text = SPACED_NUMBER.sub(lambda number: number[0].replace(" ", WORD_JOINER), text)
    by_character = not english and HAN.search(text) and not SEGMENTED.search(text)
    for chunk in (_BY_CHARACTER if by_character else _CHUNK).finditer(text):
        words = list(_words_in(written, chunk[0].rstrip(NOISE_CHARACTER), chunk.start(), entry))
        if chunk[0].endswith(NOISE_CHARACTER):
            said = next(noises)  # a noise, or the pronunciation of the word before it
            alone = Word(*chunk.span(), chunk[0], (said,))
            words = [*words[:-1], replace(words[-1] if words else alone, phones=phones_in(said))]
        yield from words


def _words_in(written: Plain, chunk: str, begin: int, entry: Callable[[str], bool] | None) -> Iterator[Word]:
    """Yield the words between two spaces; the text has the ``chunk`` at the index ``begin``."""
    whole = begin, begin + len(chunk)
    if entry is not None and chunk and entry(written.written(*whole)):
        yield Word(*whole, chunk, (written.written(*whole),))
        return
    for start, end in _split_punctuation(chunk):
        core = _strip(chunk[start:end])
        first = begin + start + chunk[start:end].find(core)
        if core:
            word = written.written(first, first + len(core))
            known = entry is not None and entry(word)
            yield Word(first, first + len(core), core, (word,) if known else None)


_CHUNK = re.compile(r"[^\s\[\]{}]+")
_BY_CHARACTER = re.compile(rf"{HAN.pattern}|(?:(?!{HAN.pattern})[^\s\[\]{{}}])+")


def _tokens(written: Plain, words: Sequence[Word], read: Sequence[tuple[str, ...]]) -> Iterator[Token]:
    """Yield a token for each word that is spoken, spelled as it was written but without its punctuation."""
    for word, said in zip(words, read, strict=True):
        if said:
            dot = said == ("no",) and word.core.endswith(".")
            yield Token(written.written(word.start, word.end - dot), said, word.phones)


def _as_written(core: str) -> tuple[str, ...]:
    """The word itself, in lower case, as what is spoken for it."""
    said = unicodedata.normalize("NFC", core.lower().replace(WORD_JOINER, ""))
    return (said,) if any(c.isalnum() for c in core) else ()


_JOINT = re.compile(r"(?<=[^\W\d_]{2})[,;:!?.\"]+(?=[^\W\d_]{2})|(?<=\w)(?:--+|\.\.+)(?=\w)|[–—]+")


def _split_punctuation(word: str) -> Iterator[tuple[int, int]]:
    """Separate words that only punctuation joins: "yes,no" is two words, "1,000" and "U.S." are one."""
    start = 0
    if not _ADDRESS.fullmatch(_strip(word)):
        for joint in _JOINT.finditer(word):
            yield start, joint.start()
            start = joint.end()
    yield start, len(word)


_ADDRESS = re.compile(
    r"[\w.+-]+@[\w-]+(\.[\w-]+)+|(https?://)?(www\.)?[\w-]+(\.[\w-]+)*\.(com|org|net|edu|gov|io)(/\S*)?", re.I
)


def _strip(word: str) -> str:
    """Strip a word of the punctuation around it; abbreviations keep their dot, numbers their signs."""
    word = word.lstrip("\"'([{<*_~^|/\\-–—.,;:!?¿¡«»„‚›‹") if not re.match(r"-\d|\.\d|'\w", word) else word
    if re.fullmatch(r"\W+", word) and word not in SYMBOLS:
        return ""
    ended = word.rstrip("\"'([{<>)]}*_~^|/\\-–—,;:!?«»“„›‹")
    dotless = ended.rstrip(".")
    abbreviated = ended.lower() in (*ABBREVIATIONS, "st.", "no.") or re.fullmatch(
        r"([^\W\d_]\.)+|[Pp]h\.?D\.", ended
    )
    if ended != dotless and abbreviated:
        return ended
    if dotless.startswith("'") and dotless.lower() not in KEPT_APOSTROPHES and not dotless[1:2].isdigit():
        return dotless.lstrip("'")
    dropped = word[len(dotless) : len(dotless) + 1]
    return dotless + "'" if dropped == "'" and re.search(r"(in|o)$", dotless.lower()) else dotless


KEPT_APOSTROPHES = frozenset(
    [
        "'em",
        "'til",
        "'tis",
        "'twas",
        "'bout",
        "'cause",
        "'course",
        "'cuse",
        "'round",
        "'n",
        "'s",
        "'m",
        "'d",
        "'ll",
        "'re",
        "'ve",
        "'t",
    ]
)


def _spoken(core: str, before: str, after: str) -> list[str]:
    """List the words that are said for one token, given the tokens around it."""
    low = FRACTIONS.get(core, core.lower())
    if re.fullmatch(r"[a-z]{1,3}&[a-z]{1,3}", low):  # AT&T, R&D
        return [w for c in low for w in (["and"] if c == "&" else [letter_name(c)])]
    if low in ("st.", "no."):
        return _saint_or_street(low, before, after)
    if low in ABBREVIATIONS:
        return ABBREVIATIONS[low].split()
    if measured := measure(low, before):
        return measured
    if core in SYMBOLS:
        return SYMBOLS[core].split()
    if re.fullmatch(r"([^\W\d_]\.){1,}([^\W\d_])?|ph\.?d\.?", low):
        return [letter_name(c) for c in low if c.isalpha()]
    if any(c.isdecimal() for c in low):
        return numeric(low, ABBREVIATIONS.get(before, before), after)
    if _ADDRESS.fullmatch(core):
        return _address(low)
    return [w for w in re.split(r"[\s/_+=]+|(?<=\w)&(?=\w)", core.replace("&", " and ")) if w.strip("-'.")]


def _saint_or_street(low: str, before: str, after: str) -> list[str]:
    if low == "no.":
        return ["number"] if after[:1].isdigit() else ["no"]
    return ["saint"] if after[:1].isupper() and not before[:1].isdigit() else ["street"]


def _address(low: str) -> list[str]:
    named = {".": "dot", "@": "at", "/": "slash", "-": "dash", ":": "colon", "_": "underscore", "+": "plus"}
    return [
        w for part in re.findall(r"\w+|[.@/:+-]", low.replace("://", " ")) for w in [named.get(part, part)]
    ]
