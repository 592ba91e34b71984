"""Dictionaries, and the pronunciations of a transcript's words.

Reads the formats of the Montreal Forced Aligner, one pronunciation a line, and CMU's::

    word <TAB> phones
    word <TAB> probability <TAB> phones
    word <TAB> probability <TAB> silence-after <TAB> silence-before <TAB> no-silence-before <TAB> phones
    word(2) phones
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path

from aligner.text import stress
from aligner.text.normalise import BRACKETED, Token
from aligner.types import DataError, Fault, Pronunciation

NUMBER_FIELDS = {
    0: (),
    1: ("probability",),
    4: ("probability", "silence_after", "silence_before", "no_silence_before"),
}  # fields before the phones
_VARIANT = re.compile(r"\(\d+\)$")
_NUMBER = re.compile(r"\d*\.?\d+(?:[eE][-+]?\d+)?")
SIBILANTS = frozenset(["S", "Z", "SH", "ZH", "CH", "JH"])
NOISE_PHONES = frozenset(["spn", "sil", "sp"])  # noise phones of MFA's dictionaries
VOICELESS = frozenset(["P", "T", "K", "F", "TH"])
LONGEST_ABBREVIATION = 5  # letters; a longer word in capitals is read as a word

G2P = Callable[[str], tuple[str, ...]]


@dataclass(frozen=True)
class Lexicon:
    """A pronunciation dictionary: words and their pronunciations."""

    entries: Mapping[str, str]
    """Case-folded word -> the rest of its dictionary lines, one line a pronunciation."""
    _made: dict[str, tuple[Pronunciation, ...]] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def parse(cls, text: str, known: Callable[[str], bool], path: str | Path = "dictionary") -> Lexicon:
        """Read a dictionary from its text.

        Parameters
        ----------
        text : str
        known : callable
            Tells whether the model has a phone.
        path : str or Path
            Source of the text, for messages.

        Raises
        ------
        DataError
            Naming file and line: a word without phones, a phone that the model lacks, or
            numbers that are no probabilities.

        Examples
        --------
        >>> lexicon = Lexicon.parse("the DH AH\\nthe(2) DH IY\\n", known=str.isupper)
        >>> [p.phones for p in lexicon.lookup("The")]
        [('DH', 'AH'), ('DH', 'IY')]
        """
        entries: dict[str, str] = {}  # text, not lists: 130,000 of those take their time
        complete = True
        for line in text.split("\n"):
            word, *behind = _content(line).split(None, 1) or [""]
            complete &= bool(behind) or not word
            if behind:
                key = _VARIANT.sub("", word).lower() if word.endswith(")") else word.lower()
                entries[key] = f"{entries[key]}\n{behind[0]}" if key in entries else behind[0]
        if not complete or not all(map(known, set(" ".join(entries.values()).split()))):
            for number, line in enumerate(text.split("\n"), 1):  # numbers, or something wrong
                _check(f"{path}:{number}", _content(line), known)
            entries = {w: lines for w, lines in entries.items() if not _is_noise(lines, known)}
        if not entries:
            remedy = "one pronunciation a line: word, tab, phones"
            raise DataError(path, "the dictionary is empty", remedy, fault=Fault.DICTIONARY)
        return cls(entries)

    @cached_property
    def phones(self) -> frozenset[str]:
        """Set of all phones that occur in the dictionary."""
        lines = (line for lines in self.entries.values() for line in lines.split("\n"))
        return frozenset(phone for line in lines for phone in _split_fields(line.split())[1])

    @cached_property
    def stressed(self) -> bool:
        """Whether its vowels have digits of stress, as those of the default dictionary have."""
        return any(stress.is_stressed(p) for lines in self.entries.values() for p in lines.split())

    def lookup(self, word: str) -> tuple[Pronunciation, ...]:
        """Look up all pronunciations of a word, whatever its case and accents; none if it is unknown."""
        for key in _spellings(word):
            if key in self.entries:
                if key not in self._made:
                    self._made[key] = tuple(dict.fromkeys(map(_pronunciation, self.entries[key].split("\n"))))
                return self._made[key]
        return ()

    def split(self, word: str) -> tuple[str, ...]:
        """Split a compound (merry-go-round) or a word with clitics (c'est, l'amour) into its parts.

        As the Montreal Forced Aligner does: only where the whole is not in the dictionary, and
        at an apostrophe only where a clitic of the dictionary and the rest of the word are.
        """
        if self.lookup(word):
            return (word,)
        parts = [p for p in re.split(r"[-/]", word) if p.strip("'")]
        if len(parts) > 1:
            return tuple(piece for p in parts for piece in self.split(p))
        for cut, clitic, rest in _cuts(word):
            if clitic.lower() in self.entries and (self.lookup(rest) or len(self.split(rest)) > 1):
                return (*self.split(word[:cut]), *self.split(word[cut:]))
        return (word,)


def _cuts(word: str) -> Iterator[tuple[int, str, str]]:
    """List where a clitic may be cut off: (place, clitic, rest); English 's depends on its neighbour and
    stays.
    """
    for k in (m.start() for m in re.finditer("'", word)):
        if 0 < k < len(word) - 1:
            yield k + 1, word[: k + 1], word[k + 1 :]  # l' amour
            if word[k:].lower() != "'s":
                yield k, word[k:], word[:k]  # they 'll


def _spellings(word: str) -> Iterable[str]:
    """List the ways in which a dictionary may spell a word, the likeliest first."""
    low = word.lower()
    plain = "".join(c for c in unicodedata.normalize("NFKD", low) if not unicodedata.combining(c))
    return dict.fromkeys(s for s in (low, plain, plain.rstrip("."), plain.strip("'")) if s)


def _content(line: str) -> str:
    """Strip a line of CMU's comments: ``;;;`` at its start, or ``#`` behind the phones."""
    return "" if line.startswith(";;;") else line.split(" #", 1)[0]


def _is_noise(lines: str, known: Callable[[str], bool]) -> bool:
    """Whether an entry is MFA's for noise (``<unk> spn``), which is no word: brackets take its place."""
    phones = _split_fields(lines.split())[1]
    return set(phones) <= NOISE_PHONES and not all(map(known, phones))


def _split_fields(fields: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split a line into its numbers and its phones."""
    count = next((k for k, f in enumerate(fields) if not _NUMBER.fullmatch(f)), len(fields))
    return list(fields[:count]), list(fields[count:])


def _pronunciation(behind: str) -> Pronunciation:
    numbers, phones = _split_fields(behind.split())
    return Pronunciation(
        tuple(phones), **dict(zip(NUMBER_FIELDS[len(numbers)], map(float, numbers), strict=True))
    )


def _check(where: str, line: str, known: Callable[[str], bool]) -> None:
    """Raise a DataError that says what is wrong with a line of a dictionary; nothing if it is right."""
    word, *fields = line.split() or [""]
    fault = _fault(word, *_split_fields(fields), known) if word else None
    if fault is not None:
        raise DataError(where, *fault, fault=Fault.DICTIONARY)


def _fault(
    word: str, numbers: Sequence[str], phones: Sequence[str], known: Callable[[str], bool]
) -> tuple[str, str] | None:
    """What is wrong with an entry, and the remedy; None if it is right."""
    if not phones:
        return f"{word!r} has no phones", "write them behind a tab, with spaces between"
    if len(numbers) not in NUMBER_FIELDS:
        return (
            f"{len(numbers)} numbers before the phones of {word!r}",
            "none, one (its probability) or four (and three about silence) are understood",
        )
    if (numbers and not 0 < float(numbers[0]) <= 1) or (
        len(numbers) == 4 and not 0 <= float(numbers[1]) <= 1
    ):
        return (
            f"a probability of {word!r} is not above 0 and up to 1",
            "correct the number, or take the line out",
        )
    if len(numbers) == 4 and min(map(float, numbers[2:])) <= 0:
        return f"a silence correction of {word!r} is not above 0", "correct the number"
    strange = [p for p in phones if not known(p) and p not in NOISE_PHONES]
    if strange:
        return (
            f"{word!r} has the phone {strange[0]!r}, which the model lacks",
            "use the model's phones, with or without stress digits",
        )
    return None


@dataclass(frozen=True)
class SpokenWord:
    """A word as it is said."""

    token: int
    """Index of the token that the word belongs to."""
    word: str
    """The word as it is looked up."""
    pronunciations: tuple[Pronunciation, ...]
    """The ways in which the word may be said."""


@dataclass(frozen=True, kw_only=True)
class Pronouncer:
    """Finds the pronunciations of a transcript's tokens."""

    lexicon: Lexicon
    """Dictionary that is looked up first."""
    g2p: G2P | None
    """Letters to phones for words that are not in the lexicon; None makes them an error."""
    known: Callable[[str], bool]
    """Predicate that tells whether the model has a phone."""
    noises: tuple[str, ...] = ()
    """The model's noise phones, for bracketed words such as [laughter]."""
    stress: bool = True
    """Whether vowels keep the stress that the dictionary writes, and guesses get one where it does."""
    _guessed: dict[str, tuple[Pronunciation, ...]] = field(default_factory=dict, repr=False, compare=False)

    def __call__(self, tokens: Sequence[Token]) -> tuple[list[SpokenWord], list[tuple[str, str]]]:
        """Return the spoken words, and the (word, phones) of those that are not in the lexicon.

        Raises
        ------
        DataError
            Naming the word that has no pronunciation.
        """
        spoken: list[SpokenWord] = []
        oovs: list[tuple[str, str]] = []
        for k, token in enumerate(tokens):
            if given := self.given(token):
                alone = BRACKETED.fullmatch(token.spoken[0])
                word = " ".join(token.phones if alone else token.spoken)
                spoken.append(SpokenWord(k, word, self._labelled(given)))
                continue
            for word in token.spoken:
                if BRACKETED.fullmatch(word):
                    spoken.append(SpokenWord(k, word, self._noise(word)))
                    continue
                for part in self.lexicon.split(word):
                    known = self.lexicon.lookup(part) or self._possessive(part)
                    found = self._labelled(known or self._guess(part))
                    if not known:
                        oovs.append((part, " ".join(found[0].phones)))
                    spoken.append(SpokenWord(k, part, found))
        return spoken, oovs

    def given(self, token: Token) -> tuple[Pronunciation, ...]:
        """The pronunciation that a token was written with, if the model has all of its phones."""
        upper = tuple(map(str.upper, token.phones)) if len(token.phones) > 1 else ()
        given = (p for p in (token.phones, upper) if p and all(map(self.known, p)))
        return tuple(map(Pronunciation, given))[:1]

    def _labelled(self, found: tuple[Pronunciation, ...]) -> tuple[Pronunciation, ...]:
        """Pronunciations as they are to be labelled: with stress or without."""
        return found if self.stress else _unstressed(found)

    def _noise(self, word: str) -> tuple[Pronunciation, ...]:
        if not self.noises:
            raise DataError(
                "transcript",
                f"{word}: the model has no phone for noise",
                "take it out of the transcript",
                fault=Fault.BRACKETS,
            )
        return tuple(Pronunciation((phone,)) for phone in self.noises)

    def _possessive(self, word: str) -> tuple[Pronunciation, ...]:
        """Pronounce a word of the lexicon with English 's behind it."""
        base = self.lexicon.lookup(word[:-2]) if word.lower().endswith("'s") else ()
        return tuple(
            replace(p, phones=(*p.phones, *ending))
            for p in base
            if all(map(self.known, ending := self._plural(p.phones[-1])))
        )

    def _plural(self, last: str) -> tuple[str, ...]:
        """Phones of English 's behind a phone, with stress where the dictionary has it."""
        return stress.laid(_plural(last), stress.NONE) if self.lexicon.stressed else _plural(last)

    def _guess(self, word: str) -> tuple[Pronunciation, ...]:
        """Pronounce a word that is not in the lexicon, by the names of its letters or by G2P."""
        if self.g2p is None:
            raise DataError(
                "transcript",
                f"the word {word!r} is not in the dictionary",
                "add it there, or let G2P guess (without --no-g2p)",
                fault=Fault.OOV,
            )
        if word not in self._guessed:
            phones = self._letters(word) or self._by_g2p(word)
            if not phones or not all(map(self.known, phones)):
                raise DataError(
                    "transcript",
                    f"no pronunciation could be made for the word {word!r}",
                    "add it to a dictionary (--dictionary), or name the language (--language)",
                    fault=Fault.OOV,
                )
            self._guessed[word] = (Pronunciation(phones),)
        return self._guessed[word]

    def _letters(self, word: str) -> tuple[str, ...]:
        """Spell an abbreviation such as BBC by the names of its letters."""
        if not (word.isupper() and 2 <= len(word) <= LONGEST_ABBREVIATION):
            return ()
        names = [self.lexicon.lookup("a." if c == "A" else c) for c in word]
        return stress.spelled_out([name[0].phones for name in names]) if all(names) else ()

    def _by_g2p(self, word: str) -> tuple[str, ...]:
        assert self.g2p is not None
        lay = stress.with_stress if self.lexicon.stressed else tuple[str, ...]
        if (
            word.lower().endswith("'s")
            and (base := self.g2p(word[:-2]))
            and all(map(self.known, ending := self._plural(base[-1])))
        ):
            return (*lay(base), *ending)  # the phones are English, in ARPAbet
        return lay(self.g2p(word))


@lru_cache(maxsize=4096)
def _unstressed(pronunciations: tuple[Pronunciation, ...]) -> tuple[Pronunciation, ...]:
    """Pronunciations without stress; those that differed in it alone are one."""
    plain = (replace(p, phones=tuple(map(stress.without_stress, p.phones))) for p in pronunciations)
    return tuple(dict.fromkeys(plain))


def _plural(last: str) -> tuple[str, ...]:
    """Phones of English 's behind a phone."""
    phone = last.rstrip("012")
    return ("IH", "Z") if phone in SIBILANTS else ("S",) if phone in VOICELESS else ("Z",)
