"""Letters and figures that stand together, and what is said otherwise than it is built: H2O, A380, 24/7."""

from __future__ import annotations

import re
import unicodedata
from itertools import groupby

from aligner.text.english import signs
from aligner.text.english.numbers import VULGAR, cardinal, decimal, digits, fraction, letters, pairs, plural
from aligner.text.listed import listed

IDIOMS = {
    "9/11": "nine eleven",
    "7/11": "seven eleven",
    "24/7": "twenty four seven",
    "24-7": "twenty four seven",
    "10-4": "ten four",
    "401k": "four oh one k",
    "401(k)": "four oh one k",
    "403b": "four oh three b",
    "403(b)": "four oh three b",
    "y2k": "y two k",
    "ww1": "world war one",
    "ww2": "world war two",
    "1º": "first",
    "2º": "second",
    "3º": "third",
    "1ª": "first",
    "2ª": "second",
    "3ª": "third",
}
SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")
_PIECE = re.compile(r"\d+(?:\.\d+)*|[^\W\d_]+(?:'[^\W\d_]+)?|[²³½¼¾⅓⅔]|[^\w\s]")
# of up to three letters, and words even where a number sticks to them
_SHORT_WORDS = frozenset(
    listed("""
        top day may age big box bus car men six ten win old new one two for the and gen vol sec pro max air
        row job fig act era jan feb mar apr jun jul aug sep sept oct nov dec run set lot kit bob tom ben ann
        amy joe jim up ups ish out off pac gag
    """)
)
LONGEST_LETTERS = 3  # letters beside a number that are named; longer ones are a word


def read(word: str) -> list[str]:
    """Say letters and numbers that stand together, one group after the other.

    Examples
    --------
    >>> " ".join(read("H2O")), " ".join(read("A380")), " ".join(read("Top10"))
    ('h two o', 'a. three eighty', 'Top ten')
    """
    if re.fullmatch(r"v\d+", word):
        return ["version", *cardinal(word[1:])]
    pieces = [run for piece in _PIECE.findall(word) for run in _runs(piece)]
    return [w for k, piece in enumerate(pieces) for w in _piece(piece, last=k == len(pieces) - 1)]


def _piece(piece: str, last: bool) -> list[str]:
    if piece.isdecimal():
        return pairs(piece)
    if piece[0].isdecimal():
        return decimal(piece) if piece.count(".") == 1 else version(piece)
    if piece in VULGAR:
        return fraction(*VULGAR[piece])
    if piece == "#":
        return ["sharp"]
    if not piece[0].isalpha():
        return signs.said(piece) or digits(piece.translate(SUPERSCRIPTS)) or _numerals(piece)
    if last and re.fullmatch("[A-Z]s", piece):
        return plural(letters(piece[0]))
    if len(piece) > LONGEST_LETTERS or piece.lower() in _SHORT_WORDS:
        return [piece.lower() if piece == "COVID" else piece]
    return letters(piece)


def _runs(piece: str) -> list[str]:
    """Part letters from numerals that are no figures, as ½ and those of other scripts."""
    if piece[0].isdecimal() or piece.replace("'", "").isalpha():
        return [piece]
    return ["".join(run) for _, run in groupby(piece, str.isalpha)]


def _numerals(piece: str) -> list[str]:
    """Say numerals that are no figures, one by one: by their values."""
    values = [unicodedata.numeric(c) for c in piece if c.isnumeric()]
    return [w for v in values for w in (cardinal(str(int(v))) if v.is_integer() else decimal(f"{v:.2f}"))]


def version(text: str) -> list[str]:
    """Say numbers with dots between them.

    Examples
    --------
    >>> version("1.20.3")
    ['one', 'point', 'twenty', 'point', 'three']
    """
    return [w for part in text.split(".") for w in ["point", *cardinal(part)]][1:]
