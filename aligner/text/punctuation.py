"""Punctuation, by the classes of Unicode: where it parts words, and what of it belongs to a word.

All functions take plain characters (`aligner.text.plain`), in which there is one apostrophe and one hyphen.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from aligner.text.english.abbreviations import ABBREVIATIONS, BEFORE_NUMBERS, DOTTED_WORDS
from aligner.text.english.signs import ALONE, BETWEEN
from aligner.text.english.units import COUNTRIES, CURRENCY_SIGNS
from aligner.text.listed import listed

KEPT_APOSTROPHES = frozenset(
    listed("""
    'em 'til 'till 'tis 'twas 'twere 'twill 'bout 'cause 'coz 'cuz 'course 'cuse 'round 'fore 'fraid
    'gainst 'neath 'nother 'nuff 'n 's 'm 'd 'll 're 've 't 'cept 'kay 'hood 'sup 'scuse
""")
)
WORD_JOINER = "\u2060"  # stands for a space within a number, where it splits no word
# punctuation that words have within them; at a colon, a dot and a slash it depends
_WITHIN = frozenset("'-&@#%*_./:\\·‧״׳་٬٫")
_WORD_BEFORE_DOT = re.compile(r"[^\W\d_]{2,}$")
_INITIALS_BEFORE = re.compile(r"(?:^|\W)(?:[^\W\d_]\.)*[^\W\d_]$")
_COUNTRY = "|".join(re.escape(letters) for letters in COUNTRIES if letters)
_SIGN_BEFORE = re.compile(
    rf"(?:§§|[-+±~≈<>≤≥≠=√∛#§¶×÷@])?(?:(?:{_COUNTRY})?[{CURRENCY_SIGNS}])?-?'?\.?$", re.IGNORECASE
)
_HALF_OF_DAY = re.compile(r"^(?:(?:\d[\d:]*)?[ap]\.?m|noon|midnight)$", re.IGNORECASE)
_BEHIND_DIGIT = re.compile(rf"[²³]*(?:\+?[%‰]|[°¢{CURRENCY_SIGNS}]|\"|''|')?\+?(?:\([a-z]\))?")
_SHARP = re.compile(r"(?:^|(?<=[^\w]))[A-Za-z]#$|\+\+$|^[A-F]\+$|^w/$", re.IGNORECASE)
_DOTTED = re.compile(
    r"(?:[^\W\d_]\.)+|ph\.?d\.|m\.?sc\.|b\.?sc\.|ph\.?d\.'?s|(?:[^\W\d_]\.)+[^\W\d_]\.?", re.IGNORECASE
)
# days and months in short, between which a dash is "to"
SHORT_DATES = frozenset(
    listed("mon tue tues wed thu thur thurs fri sat sun jan feb mar apr may jun jul aug sep sept oct nov dec")
)
_ABBREVIATED = frozenset(a for a in (*ABBREVIATIONS, *DOTTED_WORDS, "st.") if a.endswith("."))


def is_part(c: str) -> bool:
    """Whether a character is part of words: a letter, a sign on one, a figure."""
    return c.isalnum() or c == "♭" or unicodedata.category(c)[0] == "M"


def pieces(chunk: str, english: bool) -> Iterator[tuple[int, int]]:
    """Part what only punctuation joins: "Yes,I" is two words, "1,000" and "U.S." are one.

    Parameters
    ----------
    chunk : str
        What stands between two spaces.
    english : bool
        Elsewhere a colon is left within words, as in Swedish, and a dash parts numbers, too.

    Yields
    ------
    tuple of int
        Where a piece begins and ends; a dot that may belong to it is within.

    Examples
    --------
    >>> [chunk[a:b] for chunk in ("Yes,I", "1,000", "St.Louis") for a, b in pieces(chunk, True)]
    ['Yes', 'I', '1,000', 'St.', 'Louis']
    """
    start, k, last = 0, 1, len(chunk) - 1
    if _DOTTED.fullmatch(chunk.rstrip(",;:!?\"')")):
        k = last
    while k < last:
        c = chunk[k]
        if is_part(c) or c in "'%°" or not (width := _joint(chunk, start, k, english)):
            k += 1
            continue
        yield start, k + (c == ".")
        start = k = k + width
        k += 1
    yield start, len(chunk)


def _joint(chunk: str, start: int, k: int, english: bool) -> int:
    """Return how many characters part two words at a place; 0 if none do."""
    before = chunk[k - 1]
    if not is_part(before) and before not in "%°'\"":
        return 0  # asked first: a long row of signs is gone through once
    end = k
    while end < len(chunk) and not is_part(chunk[end]) and (chunk[end] != "'" or end == k):
        end += 1
    if end == len(chunk):
        return 0
    run, after = chunk[k:end], chunk[end]
    if run in ("–", "-", ".–", ".-") and _HALF_OF_DAY.search(chunk[start:k]) and after.isdecimal():
        return 0
    if run in ("–", ".–") and chunk[start:k].lower() in SHORT_DATES and after.isupper():
        return 0
    if run[0] in "–—":
        return 0 if english and _is_range(chunk[start:k], run, after) else _width(run, after)
    if len(run) == 1:
        return int(_parts(run, chunk[start:k], chunk[end:], english))
    if re.fullmatch(r"-|-\.|[-/~]?[-+$€£¥]+|''|\"|(?:[<>≤≥]=?|=)\.?", run) and not run.startswith("--"):
        return 0
    if run[0] in "'^" or (run[0] in "&@#%*_/+=" and len(set(run)) == 1 and len(run) < 3):
        return 0
    return _width(run, after)


def _width(run: str, after: str) -> int:
    """Return how much of the punctuation between two words goes: not the sign of the number behind it."""
    if (
        after.isdecimal()
        and len(run) > 1
        and (run[-1] in CURRENCY_SIGNS or (run[-1] in "-.'#" and run[-2] not in "-."))
    ):
        return len(run) - 1
    return len(run) - (len(run) > 1 and run[-1] == "'" and after.isalpha())


def _is_range(before: str, run: str, after: str) -> bool:
    return len(run) <= 2 and after.isdecimal() and any(c.isdecimal() for c in before)


def _parts(mark: str, before: str, after: str, english: bool) -> bool:
    """Whether a single mark of punctuation parts what stands before and behind it."""
    if mark in ",.:" and before[-1].isdecimal() and after[0].isdecimal():
        grouped = bool(re.match(r"\d{3}(?!\d)", after)) and bool(re.search(r"(?<!\d)\d{1,3}$", before))
        return mark == "," and english and not grouped
    if mark == ".":
        return _dot_parts(before, after, english)
    if mark == ":":
        if english:
            return not before[-1].isdecimal()
        ending = before.isupper() and after.islower()  # EU:ssa, of Finnish and Swedish
        return not ending and bool(re.search(r"[^\W\d_]{2}$", before) and re.match(r"[^\W\d_]{2}", after))
    if mark in "()":
        return (before[-1].isalpha() and mark == ")") or (mark == "(" and len(after) > 3 and english)
    if mark == '"':
        return not before[-1].isdecimal() or after[0].isalpha()
    if mark in _WITHIN:
        return mark == "·" and (english or before[-1].lower() + after[0].lower() != "ll")  # l·l, of Catalan
    return unicodedata.category(mark)[0] == "P" or mark == "|"


def _dot_parts(before: str, after: str, english: bool) -> bool:
    """Whether a dot ends a word: "word.Next", "St.Louis", "p.5", but not U.S., e.g. or 3.5."""
    if english and before.lower() in ("e.g", "i.e"):
        return True
    if not english:
        return bool(_WORD_BEFORE_DOT.search(before) and re.match(r"[^\W\d_]{2}", after))
    if before[-1].isdecimal():
        return after[:1].isupper() and after[1:2].islower()
    if after[0].isdecimal():
        return before[-1].isalpha() and (len(before) > 1 or before.lower() + "." in BEFORE_NUMBERS)
    if _WORD_BEFORE_DOT.search(before):
        return (len(after) > 1 and after[1].isalpha()) or after in ("I", "A") or after[0].isupper()
    return bool(_INITIALS_BEFORE.search(before)) and bool(re.match(r"[A-Z][a-z']{2}", after))


_MEASURE = re.compile(r"\d['\"](?!\w)")
_BEGINS_QUOTATION = re.compile(r"(?<![^\s(\[—-])['\"](?=\w)")


def without_closing_quotes(text: str) -> str:
    """Put spaces for marks behind numbers that end a quotation, so that they are not read as feet or inches.

    Parameters
    ----------
    text : str

    Returns
    -------
    str
        As long as the text.

    Examples
    --------
    >>> without_closing_quotes('a 12" pipe on "Route 66"')
    'a 12" pipe on "Route 66 '
    """
    found = list(text)
    for measure in _MEASURE.finditer(text):
        at, mark = measure.end() - 1, text[measure.end() - 1]
        begun = [m.start() for m in _BEGINS_QUOTATION.finditer(text, 0, at) if m[0] == mark]
        begun = [b for b in begun if mark == '"' or _kept_apostrophe(text[b:]) is None]
        if begun and mark not in "".join(found[begun[-1] + 1 : at]):
            found[at] = " "
    return "".join(found)


def _kept_apostrophe(text: str) -> str | None:
    """Return the word that a text begins with, if it is one with an apostrophe before it."""
    word = re.match(r"'(?:[^\W\d_]+|\d\ds?)", text)
    return word[0] if word and (word[0].lower() in KEPT_APOSTROPHES or word[0][1].isdecimal()) else None


def bounds(piece: str, english: bool) -> tuple[int, int]:
    """Find the word within the punctuation around it; abbreviations keep their dot, numbers their signs.

    Parameters
    ----------
    piece : str
    english : bool
        Elsewhere signs such as # and % stay where they are.

    Returns
    -------
    tuple of int
        Where the word begins and ends; both the same where there is none.

    Examples
    --------
    >>> [piece[slice(*bounds(piece, True))] for piece in ('("Dr.",', "-5%!", "goin'...", "--")]
    ['Dr.', '-5%', "goin'", '']
    """
    first = next((k for k, c in enumerate(piece) if c.isalnum()), None)
    if first is None:
        sign = piece.strip("\"'()[]{},;:!?.") if english else ""
        if sign in ALONE or sign in BETWEEN or sign in ("#", "–"):
            start = piece.index(sign)
            return start, start + len(sign)
        return 0, 0
    last = next(k for k in range(len(piece), 0, -1) if is_part(piece[k - 1]))
    if not english:
        return _bounds_elsewhere(piece, first, last)
    start = first - len(_before(piece[:first], piece[first:]))
    return start, last + _behind(piece, start, last)


def _before(run: str, word: str) -> str:
    """Return what belongs to a word of the punctuation before it."""
    if word[0].isdecimal() or unicodedata.category(word[0]) == "No":
        found = _SIGN_BEFORE.search(run)
        sign = found[0] if found else ""
        return "" if sign.startswith("-") and run.endswith("--" + sign[1:]) else sign
    if run.endswith("'"):
        low = re.match(r"[^\W\d_]*", word)
        return "'" if ("'" + low[0].lower() if low else "") in KEPT_APOSTROPHES else ""
    if run[-1:] in ("√", "°") and len(word) < 3:
        return run[-1:]
    return ""


def _behind(piece: str, start: int, last: int) -> int:
    """Return how many characters of the punctuation behind a word belong to it."""
    word, run = piece[start:last], piece[last:]
    if not run:
        return 0
    if "(" in word and run[0] == ")" and word.count("(") > word.count(")"):
        return 1
    if word[-1].isdecimal() or unicodedata.category(word[-1]) == "No":
        return _behind_digit(piece, start, run)
    if run[0] == "." and (word.lower() + "." in _ABBREVIATED or _DOTTED.fullmatch(word + ".")):
        return 1
    if found := _SHARP.search(word + run[:2]) or _SHARP.search(word + run[:1]):
        return len(found.string) - len(word)
    if run[0] == "+" and re.search(r"\d[A-Za-z]?$|^[A-Z]\w+$", word):
        return 1
    return int(run[0] == "'" and bool(re.search(r"(?:[^\W\d_]in|o)$|^'?n$", word, re.IGNORECASE)))


def _behind_digit(piece: str, start: int, run: str) -> int:
    """Return how much behind a number belongs to it: not what ends a quotation that began before it."""
    sign = (_BEHIND_DIGIT.match(run) or [""])[0]
    quoted = sign in ('"', "'", "''") and piece[:start].count(sign[0])
    return 0 if quoted else len(sign)


def _bounds_elsewhere(piece: str, first: int, last: int) -> tuple[int, int]:
    """See `bounds`, for languages other than English: what stands on a number or a sign stays."""
    kept = "#@$%&+=°‰§" + CURRENCY_SIGNS
    start, end = first, last
    while start and (
        piece[start - 1] in kept or (piece[start - 1] in "-." and piece[start].isdecimal() and start == first)
    ):
        start -= 1
    while end < len(piece) and (piece[end] in kept or (piece[end] == WORD_JOINER and piece[end + 1] in kept)):
        end += 1
    if start and start == first and piece[start - 1] == "'" and _before(piece[:start], piece[start:]):
        start -= 1
    if (
        end < len(piece)
        and piece[end] == "."
        and (
            piece[start:end].lower() + "." in ABBREVIATIONS
            or re.fullmatch(r"([^\W\d_]\.)*[^\W\d_]", piece[start:end])
        )
    ):
        return start, end + 1
    return start, end + (piece[end : end + 1] == "'" and piece[start:end].lower().endswith(("in", "o")))
