"""Words as sequences of their characters, for models whose alphabet is letters."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aligner.text.fragments import is_cut_off, stem
from aligner.text.lexicon import SpokenWord
from aligner.text.normalise import BRACKETED, Token
from aligner.types import DataError, Fault, Pronunciation

# accents that any letter may take; vowel signs stand elsewhere
ACCENTS = frozenset(map(chr, range(0x300, 0x370)))
HANGUL_SYLLABLES = frozenset(map(chr, range(0xAC00, 0xD7A4)))


@dataclass(frozen=True)
class Speller:
    """Finds the characters of a transcript's tokens; it is called as `aligner.text.lexicon.Pronouncer` is."""

    known: Callable[[str], bool]
    """Predicate that tells whether the alphabet has a character."""
    case: str | None = None
    """Case that the alphabet is written in; None where it has both."""
    noises: tuple[str, ...] = ()
    """Labels that stand for bracketed words such as [laughter], and for words that cannot be spelled."""
    strict: bool = False
    """Whether a word that cannot be spelled, such as 12, is an error, as it is for what learns from speech;
    otherwise it is any sound, where there is a label for that."""

    def entry(self, written: str, speaker: str = "") -> bool:
        """Whether a word has a pronunciation as it is written: none has, for none is given."""
        return False

    def of(self, speaker: str) -> Speller:
        """What spells the words of a speaker, which is the same for all."""
        return self

    def __call__(self, tokens: Sequence[Token]) -> tuple[list[SpokenWord], list[tuple[str, str]]]:
        """Return the spoken words, and the (word, label) of those that cannot be spelled.

        Raises
        ------
        DataError
            Naming the character that the alphabet lacks, where there is no label for any sound, or where of
            all words none can be spelled and one has letters: then the model is of another language.
        """
        spoken: list[SpokenWord] = []
        oovs: list[tuple[str, str]] = []
        strict = self.strict or not self.noises
        foreign = self._is_foreign(tokens)
        for k, token in enumerate(tokens):
            for word in token.spoken:
                try:
                    found = self._pronunciations(word)
                except DataError:
                    if strict or (foreign and any(map(str.isalpha, word))):
                        raise
                    found = self._noise()
                    oovs.append((word, self.noises[0]))
                spoken.append(SpokenWord(k, word, found))
        return spoken, oovs

    def _is_foreign(self, tokens: Sequence[Token]) -> bool:
        """Whether there are letters, but no word that can be spelled."""
        words = [w for token in tokens for w in token.spoken if not BRACKETED.fullmatch(w)]
        return any(map(str.isalpha, "".join(words))) and not any(map(self._can_spell, tokens))

    def _can_spell(self, token: Token) -> bool:
        """Whether some word of a token, other than a noise, has nothing but characters of the alphabet."""
        for word in token.spoken:
            try:
                if not BRACKETED.fullmatch(word) and self._pronunciations(word):
                    return True
            except DataError:
                continue
        return False

    def _noise(self) -> tuple[Pronunciation, ...]:
        return tuple(Pronunciation((label,)) for label in self.noises)

    def _pronunciations(self, word: str) -> tuple[Pronunciation, ...]:
        if BRACKETED.fullmatch(word) and self.noises:
            return self._noise()
        word = stem(word) if is_cut_off(word) else word
        written = word.upper() if self.case == "upper" else word.lower() if self.case == "lower" else word
        characters = [
            c
            for character in unicodedata.normalize("NFC", written)
            for c in self._characters(character, word)
        ]
        if not characters:
            raise DataError(
                "transcript",
                f"the word {word!r} has no character of the model's alphabet",
                "write it as it is said",
                fault=Fault.ODD_CHARACTERS,
            )
        return (Pronunciation(tuple(characters)),)

    def _characters(self, character: str, word: str) -> str:
        """Write a character as the alphabet has it: itself, or without its accents."""
        bare = "".join(c for c in unicodedata.normalize("NFKD", character) if not unicodedata.combining(c))
        for candidate in (character, bare):
            if candidate and all(map(self.known, candidate)):
                return candidate
        if _is_soundless(character):
            return ""
        raise DataError(
            "transcript",
            f"the character {character!r} of {word!r} is not in the model's alphabet",
            "write numbers in words"
            if character.isdecimal()
            else "write the word with the model's letters, or take a model of this language",
            fault=Fault.ODD_CHARACTERS,
        )


def _is_soundless(character: str) -> bool:
    """Whether a character may be left out where the alphabet lacks it, as an apostrophe or an accent."""
    category = unicodedata.category(character)
    return category[0] in "PS" or category == "Cf" or character in ACCENTS


def is_letter(character: str) -> bool:
    """Whether a character is a letter or a sign on one, as vowels are in many scripts.

    An accent that no letter takes in, such as a stress mark in Russian, is none; nor is a whole syllable of
    Korean, whose letters are.

    Examples
    --------
    >>> is_letter("ß"), is_letter("\u0947"), is_letter("7"), is_letter("\u0301"), is_letter("한")
    (True, True, False, False, False)
    """
    if character in ACCENTS or character in HANGUL_SYLLABLES:
        return False
    return unicodedata.category(character)[0] in "LM"
