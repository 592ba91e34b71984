"""From transcripts to tokens: what the user wrote, and the words that are said for it.

Numbers, dates, times, currency, units and abbreviations are spoken out in English; everything else
is left to the dictionary.  American readings are used: 1984 is "nineteen eighty four", 250 "two
hundred fifty", 5/3 "may third".
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from aligner.text.numbers import SYMBOLS, letter_name, measure, numeric


@dataclass(frozen=True)
class Token:
    """A word of the transcript as written, with the words that are spoken for it."""

    spelling: str
    """The word as the user wrote it, without the punctuation around it."""
    spoken: tuple[str, ...]
    """The words that are said for it, one or more; ``[laughter]`` and the like stay as they are."""


SPACED = str.maketrans(
    {"–": " – ", "—": " — ", "…": " ", "\u00a0": " ", "\u200b": " ", "\ufeff": None, "\u00ad": None}
)
# one character for one, so that places in the text stay
ASCII_EQUIVALENTS = str.maketrans("’‘ʼ´`‐‑“”−", "'''''--\"\"-")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
BRACKETED = re.compile(r"\[[^\]\s][^\]]*\]|<[^>\s][^>]*>|\{[^}\s][^}]*\}")
WORD = re.compile(rf"{BRACKETED.pattern}|[^\s\[\]{{}}]+")
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
FRACTIONS = {"½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4"}


def spoken_english(language: str | None) -> bool:
    """Whether transcripts are English, as they are unless a language is named.

    Examples
    --------
    >>> spoken_english("en-GB"), spoken_english(None), spoken_english("sw")
    (True, True, False)
    """
    return language is None or language.lower().replace("_", "-").split("-")[0] in ("en", "eng", "english")


def normalise(text: str, english: bool = True) -> tuple[Token, ...]:
    """Split a transcript into tokens; punctuation alone gives none.

    Parameters
    ----------
    text : str
        The transcript, in any case and with punctuation.
    english : bool
        Whether numbers and the like are spoken out, in English; otherwise what is written is what is said,
        and every Chinese character is a word unless there are spaces between some.  Numbers in groups (20
        000) and what stands behind a number (20 %) are one word with it.

    Examples
    --------
    >>> [t.spelling for t in normalise("Dr. Smith's 2 dogs -- [laughter] they cost $5.50!")]
    ['Dr.', "Smith's", '2', 'dogs', '[laughter]', 'they', 'cost', '$5.50']
    >>> normalise("In 1984,")[1]
    Token(spelling='1984', spoken=('nineteen', 'eighty', 'four'))
    """
    clean = unicodedata.normalize("NFC", CONTROL.sub(" ", text)).translate(SPACED)
    if not english:
        clean = SPACED_NUMBER.sub(lambda number: number[0].replace(" ", WORD_JOINER), clean)
        clean = clean if SEGMENTED.search(clean) else HAN.sub(r" \g<0> ", clean)
    capitals_tell = any(c.islower() for c in clean)  # of abbreviations; not where all is in capitals
    written = [piece for word in WORD.findall(clean) for piece in _split_punctuation(word)]
    plain = [
        w.translate(ASCII_EQUIVALENTS) if capitals_tell else w.translate(ASCII_EQUIVALENTS).lower()
        for w in written
    ]
    cores = [w if BRACKETED.fullmatch(w) else _strip(w) for w in plain]
    if english:
        around = zip(cores, ["", *cores], [*cores[1:], ""], strict=False)
        spoken = [
            tuple(_spoken(core, before.lower(), after)) if core else () for core, before, after in around
        ]
    else:
        spoken = [_as_written(core) for core in cores]
    return tuple(_tokens(written, plain, cores, spoken))


def _tokens(
    written: Sequence[str], plain: Sequence[str], cores: Sequence[str], spoken: Sequence[tuple[str, ...]]
) -> Iterator[Token]:
    """Yield a token for each word that is spoken, spelled as it was written but without its punctuation."""
    for own, word, core, said in zip(written, plain, cores, spoken, strict=True):
        if said:
            first = word.find(core)
            length = len(core) - (said == ("no",) and core.endswith("."))
            yield Token(own[first : first + length].replace(WORD_JOINER, " "), said)


def _as_written(core: str) -> tuple[str, ...]:
    """The word itself, in lower case, as what is spoken for it."""
    said = core if BRACKETED.fullmatch(core) else core.lower().replace(WORD_JOINER, "")
    return (said,) if any(c.isalnum() for c in core) else ()


def _split_punctuation(word: str) -> list[str]:
    """Separate words that only punctuation joins: "yes,no" is two words, "1,000" and "U.S." are one."""
    if BRACKETED.fullmatch(word):
        return [word]
    return (
        [
            w
            for w in re.split(r"(?<=[^\W\d_]{2})[,;:!?.\"]+(?=[^\W\d_]{2})|(?<=\w)(?:--+|\.\.+)(?=\w)", word)
            if w
        ]
        if not _ADDRESS.fullmatch(_strip(word))
        else [word]
    )


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
    if BRACKETED.fullmatch(core):
        return [core]
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
