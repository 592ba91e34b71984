"""The English dictionary that comes with the package, whose words are looked up in its text.

Its lines stand in the order of their words, so that a word is found in a score of steps, and nothing has to
be taken apart before the first sentence is aligned: that took a third of a second.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import groupby
from pathlib import Path

from aligner.text.listed import listed
from aligner.text.stress import DIGITS

PATH = Path(__file__).with_name("english.dict")
CHECKSUM = 0x61B3D117  # CRC-32 of the file; a file that somebody changed is read as any other
VOWELS = listed("AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW")
CONSONANTS = listed("B CH D DH F G HH JH K L M N NG P R S SH T TH V W Y Z ZH")
PHONES = frozenset(CONSONANTS) | {vowel + digit for vowel in VOWELS for digit in DIGITS}


class SortedEntries(Mapping[str, str]):
    """The entries of a dictionary in ASCII: lines ``word phones`` or ``word(2) phones`` in the words' order.

    Examples
    --------
    >>> entries = SortedEntries("a AH0\\na(2) EY1\\nan AE1 N\\n")
    >>> entries["a"], "b" in entries, list(entries)
    ('AH0\\nEY1', False, ['a', 'an'])
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._found: dict[str, str] = {}

    def __getitem__(self, word: str) -> str:
        if word not in self._found:
            self._found[word] = "\n".join(self._behind(word))
        if not self._found[word]:
            raise KeyError(word)
        return self._found[word]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    @cached_property
    def _all(self) -> dict[str, str]:
        """All entries, for those who want to see them all."""
        lines = groupby(self._text.splitlines(), _word)
        found = {word: "\n".join(line.partition(" ")[2] for line in of) for word, of in lines}
        self._found = dict(found)  # which words will be added to that it lacks
        return found

    def _behind(self, word: str) -> Iterator[str]:
        """Yield what stands behind a word, line by line."""
        first, last = 0, len(self._text)  # the line of the word, if there is one, begins from first to last
        while first < last:
            begin = self._text.rfind("\n", 0, (first + last) // 2) + 1
            end = self._text.find("\n", begin) + 1 or len(self._text)
            if _word(self._text[begin:end]) < word:
                first = end
            else:
                last = begin
        while (end := self._text.find("\n", first)) >= 0 and _word(line := self._text[first:end]) == word:
            yield line.partition(" ")[2]
            first = end + 1


def entries() -> SortedEntries | None:
    """The entries of the file; None if somebody changed it."""
    raw = PATH.read_bytes()
    return SortedEntries(raw.decode("ascii")) if zlib.crc32(raw) == CHECKSUM else None


def _word(line: str) -> str:
    """The word of a line, without the number of its pronunciation."""
    word = line.partition(" ")[0]
    return word[: word.rindex("(")] if word.endswith(")") else word
