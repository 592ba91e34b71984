"""Splitting long transcripts into sentences."""

from __future__ import annotations

import re

from aligner.text.normalise import ABBREVIATIONS

LONGEST_SENTENCE = 30  # words; a longer sentence is cut at commas and the like, or into equal parts
OPENING = "\"'“‘«(["  # punctuation before a word
_END = re.compile(r"[.!?…。！？]+[\"'”’»)\]]*$")
_COMMA = re.compile(r"[,;:–—，、；：]+[\"'”’»)\]]*$")
_INITIAL = re.compile(r"(\w\.)+")


def sentences(text: str) -> list[str]:
    """Split a transcript into sentences, none longer than `LONGEST_SENTENCE` words.

    Lines are sentences if most of them end as sentences do, or if none does; otherwise a line's end says
    nothing.

    Parameters
    ----------
    text : str

    Returns
    -------
    list of str
        All words, in their order, with their punctuation.

    Examples
    --------
    >>> sentences("Dr. Lee came. She saw the\\nU.S. flag!  \\"Why?\\" she asked.")
    ['Dr. Lee came.', 'She saw the U.S. flag!', '"Why?" she asked.']
    >>> sentences("one line\\nanother line")
    ['one line', 'another line']
    """
    lines = [line.split() for line in text.splitlines() if line.strip()]
    ended = sum(bool(_END.search(line[-1])) for line in lines)
    if 0 < ended <= len(lines) / 2:
        lines = [[word for line in lines for word in line]]
    return [" ".join(part) for line in lines for whole in _split(line) for part in _short(whole)]


def _split(words: list[str]) -> list[list[str]]:
    """Split words behind those that end a sentence, where the next one begins as sentences do."""
    found: list[list[str]] = [[]]
    for word, following in zip(words, [*words[1:], ""], strict=True):
        found[-1].append(word)
        begins = following.lstrip(OPENING)[:1]
        if begins and not begins.islower() and _END.search(word) and not _abbreviated(word):
            found.append([])
    return [f for f in found if f]


def _abbreviated(word: str) -> bool:
    bare = word.lstrip(OPENING).lower()
    return bare in ABBREVIATIONS or bare in ("st.", "no.") or bool(_INITIAL.fullmatch(bare))


def _short(words: list[str]) -> list[list[str]]:
    """Cut a sentence to at most `LONGEST_SENTENCE` words, behind the last comma that serves or evenly."""
    found = []
    while len(words) > LONGEST_SENTENCE:
        commas = [k + 1 for k, word in enumerate(words[:LONGEST_SENTENCE]) if _COMMA.search(word)]
        at = max(commas, default=-(-len(words) // -(-len(words) // LONGEST_SENTENCE)))
        found.append(words[:at])
        words = words[at:]
    return [*found, words]
