"""Dictionaries, and the pronunciations of a transcript's words (`aligner.text.entries` reads their lines)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from unicodedata import normalize

from aligner.text import stress
from aligner.text.entries import BadLine, Entries, Known, leading_numbers, pronunciation, read_entries
from aligner.text.fragments import by_letters, is_cut_off, stem
from aligner.text.normalise import BRACKETED, Token
from aligner.text.orthography import key, spellings, without_accents
from aligner.text.own import SortedEntries
from aligner.types import Caution, DataError, Fault, Pronunciation

SIBILANTS = frozenset(["S", "Z", "SH", "ZH", "CH", "JH"])
VOICELESS = frozenset(["P", "T", "K", "F", "TH"])
# abbreviations that are read by the words around them, and what they stand for
BY_PLACE = {
    "dr": ("doctor", "drive"),
    "dr.": ("doctor", "drive"),
    "st": ("saint", "street"),
    "st.": ("saint", "street"),
    "in.": ("inch", "inches"),
    "no.": ("number",),
}
_SIGN = re.compile(r"\d|[^\w'.\s-]")
_SEVERAL = re.compile(r"([A-Z]{2,5})'?s")
_MIXED = re.compile(r"[A-Z]?[a-z]{2,}[A-Z]{2,5}")  # a word, and letters behind it
_PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
LONGEST_ABBREVIATION = 5  # letters; a longer word in capitals is read as a word

G2P = Callable[[str], tuple[str, ...]]


@dataclass(frozen=True)
class Lexicon:
    """A pronunciation dictionary: words and their pronunciations."""

    entries: Mapping[str, str]
    """Key of a word (`aligner.text.orthography.key`) -> the rest of its dictionary lines, one line a
    pronunciation."""
    numerals: frozenset[str] = frozenset()
    """Numbers that are phones of the dictionary, as 2 and 9 are in X-SAMPA."""
    _: KW_ONLY
    path: str = "dictionary"
    """Where it comes from."""
    bad: tuple[BadLine, ...] = ()
    """Lines of it that could not be used."""
    users: bool = False
    """Whether the user named it: what is written as one of its words is not read in any other way."""
    beneath: Lexicon | None = None
    """The dictionary that is looked up where this one lacks a word."""
    _made: dict[str, tuple[Pronunciation, ...]] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def parse(
        cls,
        text: str,
        known: Known | None = None,
        path: str | Path = "dictionary",
        *,
        strict: bool = False,
        numerals: frozenset[str] = frozenset(),
    ) -> Lexicon:
        """Read a dictionary from its text.

        Parameters
        ----------
        text : str
        known : callable, optional
            Tells whether the model has a phone.  Unless given, every label may be one.
        path : str or Path
            Source of the text, for messages.
        strict : bool
            Whether a line that cannot be used is an error; otherwise it is left out, and is in ``bad``.
        numerals : frozenset of str
            Numbers that are phones for sure, as another dictionary of the same speech shows.

        Raises
        ------
        DataError
            If no line can be used; or, naming file and line, if one cannot and ``strict`` is set: a word
            without phones, a phone that the model lacks, or numbers that are no probabilities.

        Examples
        --------
        >>> lexicon = Lexicon.parse("the DH AH\\nthe(2) DH IY\\n", known=str.isupper)
        >>> [p.phones for p in lexicon.lookup("The")]
        [('DH', 'AH'), ('DH', 'IY')]
        """
        found = read_entries(text, known, numerals)
        if found.bad and (strict or not found.lines):
            raise _refusal(found, path)
        if not found.lines:
            remedy = "one pronunciation a line: word, tab, phones"
            raise DataError(path, "the dictionary is empty", remedy, fault=Fault.DICTIONARY)
        return cls(found.lines, found.numerals, path=str(path), bad=found.bad)

    @property
    def layers(self) -> Iterator[Lexicon]:
        """This dictionary and those beneath it, from the top."""
        layer: Lexicon | None = self
        while layer is not None:
            yield layer
            layer = layer.beneath

    def over(self, beneath: Lexicon | None) -> Lexicon:
        """Lay this dictionary over another, whose words it replaces where it has them.

        Examples
        --------
        >>> both = Lexicon({"cat": "K AE T"}).over(Lexicon({"cat": "K AA T", "dog": "D AO G"}))
        >>> [both.lookup(word)[0].phones for word in ("cat", "dog")]
        [('K', 'AE', 'T'), ('D', 'AO', 'G')]
        """
        lowest = beneath if self.beneath is None else self.beneath.over(beneath)
        return replace(self, beneath=lowest, _made={})

    @cached_property
    def phones(self) -> frozenset[str]:
        """Set of all phones that occur in the dictionary."""
        own = {f for lines in self.entries.values() for line in lines.split("\n") for f in self._phones(line)}
        return frozenset(own) | (self.beneath.phones if self.beneath else frozenset())

    def _phones(self, line: str) -> list[str]:
        fields = line.split()
        return fields[leading_numbers(fields, self.numerals) :]

    @cached_property
    def _beyond_ascii(self) -> tuple[str, ...]:
        """Words with other letters than a to z."""
        if isinstance(self.entries, SortedEntries):  # it has none
            return ()
        return tuple(word for word in self.entries if not word.isascii())

    @cached_property
    def _dotless(self) -> bool:
        """Whether ı is another letter than i, as in Turkish."""
        return any("ı" in word for word in self._beyond_ascii)

    @cached_property
    def _unaccented(self) -> Mapping[str, str]:
        """Words with accents, by what is left of them without."""
        return {without_accents(word): word for word in self._beyond_ascii}

    @cached_property
    def stressed(self) -> bool:
        """Whether its vowels have digits of stress, as those of the default dictionary have."""
        own = any(stress.is_stressed(p) for lines in self.entries.values() for p in lines.split())
        return own or (self.beneath is not None and self.beneath.stressed)

    def lookup(self, word: str) -> tuple[Pronunciation, ...]:
        """Look up all pronunciations of a word, whatever its case and accents; none if it is unknown."""
        plain = key(word)
        for layer in self.layers:
            if plain in layer.entries and not ("I" in word and layer._dotless):
                return layer._pronunciations(plain)
        for name in spellings(word, any(layer._dotless for layer in self.layers)):
            for layer in self.layers:
                if name in layer.entries:
                    return layer._pronunciations(name)
        if len(word) > 1 and word.isupper():  # capitals may lack their accents
            for layer in self.layers:
                name = layer._unaccented.get(without_accents(plain), "")
                if name:
                    return layer._pronunciations(name)
        return ()

    def _pronunciations(self, name: str) -> tuple[Pronunciation, ...]:
        if name not in self._made:
            lines = self.entries[name].split("\n")
            self._made[name] = tuple(dict.fromkeys(pronunciation(line, self.numerals) for line in lines))
        return self._made[name]

    def has_written(self, written: str) -> bool:
        """Whether a word is spelled so in a dictionary: then it is not read otherwise.

        Of a model's own dictionary only words with digits or signs count, which somebody put there.  A large
        dictionary has "Dr." beside "doctor" and "drive", and which of them it is, the place tells.

        Examples
        --------
        >>> Lexicon({"#1": "N AH M B ER W AH N"}, users=True).has_written("#1")
        True
        """
        name = key(written)
        signed = _SIGN.search(name) is not None
        stands_for = BY_PLACE.get(name, ("",))
        return any(
            name in layer.entries and not all(word in layer.entries for word in stands_for)
            for layer in self.layers
            if layer.users or signed
        )

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
            if any(key(clitic) in layer.entries for layer in self.layers) and (
                self.lookup(rest) or len(self.split(rest)) > 1
            ):
                return (*self.split(word[:cut]), *self.split(word[cut:]))
        return (word,)


def _refusal(found: Entries, path: str | Path) -> DataError:
    """The error about a dictionary with a bad line: about that line, or about all where none can be used."""
    first = found.bad[0]
    if found.lines or len(found.bad) == 1:
        return DataError(f"{path}:{first.number}", first.rule, first.remedy, fault=Fault.DICTIONARY)
    rule = f"none of its {len(found.bad)} lines can be used (line {first.number}: {first.rule})"
    remedy = (
        f"is it a dictionary of this model? (one pronunciation a line: word, tab, phones); {first.remedy}"
    )
    return DataError(path, rule, remedy, fault=Fault.DICTIONARY)


def _cuts(word: str) -> Iterator[tuple[int, str, str]]:
    """List where a clitic may be cut off: (place, clitic, rest); English 's depends on its neighbour and
    stays.
    """
    for k in (m.start() for m in re.finditer("'", word)):
        if 0 < k < len(word) - 1:
            yield k + 1, word[: k + 1], word[k + 1 :]  # l' amour
            if word[k:].lower() != "'s":
                yield k, word[k:], word[:k]  # they 'll


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
    speakers: Mapping[str, Lexicon] = field(default_factory=dict)
    """Dictionaries of the speakers who have one of their own, by name (NFC)."""
    cautions: tuple[Caution, ...] = ()
    """What the user should know of the dictionaries."""
    replaced: bool = False
    """Whether the user's dictionary takes the place of one that there would be without it."""
    _others: dict[str, Pronouncer] = field(default_factory=dict, repr=False, compare=False)
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
                if BRACKETED.fullmatch(word) and not self.lexicon.has_written(word):
                    spoken.append(SpokenWord(k, word, self._noise(word)))
                    continue
                if is_cut_off(word):
                    spoken.append(SpokenWord(k, word, self._labelled(self._fragment(word))))
                    continue
                for part in self.lexicon.split(word):
                    known = self.lexicon.lookup(part) or self._possessive(part)
                    found = self._labelled(known or self._guess(part))
                    if not known:
                        oovs.append((part, " ".join(found[0].phones)))
                    spoken.append(SpokenWord(k, part, found))
        return spoken, oovs

    def of(self, speaker: str) -> Pronouncer:
        """What pronounces the words of a speaker, by the dictionary that is theirs."""
        name = normalize("NFC", speaker)
        if name not in self.speakers:
            return self
        if name not in self._others:
            lexicon = self.speakers[name]
            self._others[name] = replace(self, lexicon=lexicon, speakers={}, _others={}, _guessed={})
        return self._others[name]

    @property
    def lexicons(self) -> tuple[Lexicon, ...]:
        """The dictionaries of all speakers."""
        return (self.lexicon, *self.speakers.values())

    @property
    def phones(self) -> frozenset[str]:
        """The phones of all dictionaries."""
        return frozenset().union(*(book.phones for book in self.lexicons))

    def entry(self, written: str, speaker: str = "") -> bool:
        """Whether a word has a pronunciation as it is written, so that it is read no further."""
        return self.of(speaker).lexicon.has_written(written)

    def holds(self, word: str) -> bool:
        """Whether a word can be pronounced without a guess."""
        return all(self.lexicon.lookup(part) or self._possessive(part) for part in self.lexicon.split(word))

    def given(self, token: Token) -> tuple[Pronunciation, ...]:
        """The pronunciation that a token was written with, if the model has all of its phones."""
        upper = tuple(map(str.upper, token.phones)) if len(token.phones) > 1 else ()
        given = (p for p in (token.phones, upper) if p and all(map(self.known, p)))
        return tuple(map(Pronunciation, given))[:1]

    def _labelled(self, found: tuple[Pronunciation, ...]) -> tuple[Pronunciation, ...]:
        """Pronunciations as they are to be labelled: with stress or without."""
        return found if self.stress else _unstressed(found)

    def _fragment(self, word: str) -> tuple[Pronunciation, ...]:
        """Pronounce a word that was broken off: as its letters are read, or as a whole word that they may be;
        where neither is to be had, it is a noise.
        """
        if own := self.lexicon.lookup(word):
            return own
        letters = stem(word)
        ways = {_plain(p): p for p in self.lexicon.lookup(letters) if len(p.phones) <= len(letters)}
        read = Pronunciation(() if self.g2p is None else by_letters(word, self._by_g2p))
        if read.phones and all(map(self.known, read.phones)):
            ways.setdefault(_plain(read), read)
        return tuple(ways.values()) or self._noise(word)

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
            if not phones and self.noises:  # signs that nobody reads: the utterance does not fail for them
                self._guessed[word] = self._noise(word)
                return self._guessed[word]
            if not phones or not all(map(self.known, phones)):
                raise DataError(
                    "transcript",
                    f"no pronunciation could be made for the word {word!r}",
                    "add it (--add-words), or name the language (--language)",
                    fault=Fault.OOV,
                )
            self._guessed[word] = (Pronunciation(phones),)
        return self._guessed[word]

    def _letters(self, word: str) -> tuple[str, ...]:
        """Spell an abbreviation such as BBC by the names of its letters."""
        if several := _SEVERAL.fullmatch(word):  # several of them, as in DVDs
            base = self._letters(several[1])
            return (*base, *self._plural(base[-1])) if base else ()
        if not (word.isupper() and 2 <= len(word) <= LONGEST_ABBREVIATION):
            return self._word_and_letters(word)
        names = [self.lexicon.lookup("a." if c == "A" else c) for c in word]
        return stress.spelled_out([name[0].phones for name in names]) if all(names) else ()

    def _word_and_letters(self, word: str) -> tuple[str, ...]:
        """Pronounce words joined to abbreviations, such as ChatGPT; nothing where no letters are named."""
        parts = _PARTS.findall(word) if _MIXED.fullmatch(word) else []
        known = [self.lexicon.lookup(part) if part[1:].islower() else () for part in parts]
        ways = [
            tuple(found[0].phones) if found else self._letters(part) if part.isupper() else self._by_g2p(part)
            for part, found in zip(parts, known, strict=True)
        ]
        return tuple(phone for way in ways for phone in way) if all(ways) else ()

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


def _plain(pronunciation: Pronunciation) -> tuple[str, ...]:
    return tuple(map(stress.without_stress, pronunciation.phones))


@lru_cache(maxsize=4096)
def _unstressed(pronunciations: tuple[Pronunciation, ...]) -> tuple[Pronunciation, ...]:
    """Pronunciations without stress; those that differed in it alone are one."""
    plain = (replace(p, phones=tuple(map(stress.without_stress, p.phones))) for p in pronunciations)
    return tuple(dict.fromkeys(plain))


def _plural(last: str) -> tuple[str, ...]:
    """Phones of English 's behind a phone."""
    phone = last.rstrip("012")
    return ("IH", "Z") if phone in SIBILANTS else ("S",) if phone in VOICELESS else ("Z",)
