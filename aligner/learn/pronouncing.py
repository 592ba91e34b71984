"""The pronunciations of a corpus's words, where a model is to be trained on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from aligner.models.store import cmu_dictionary
from aligner.reference.espeak import EspeakG2P, read_by
from aligner.reference.espeak.scripts import check_scripts
from aligner.text.conventions import USUAL, Conventions
from aligner.text.dictionaries import Dictionaries, laid, read_added, read_dictionaries
from aligner.text.entries import NOISE_PHONES
from aligner.text.fragments import is_cut_off
from aligner.text.g2p import HamaG2P
from aligner.text.lexicon import Lexicon, Pronouncer, SpokenWord
from aligner.text.normalise import BRACKETED, Token, normalise, spoken_english
from aligner.text.orthography import key
from aligner.text.phones import unstressed
from aligner.text.readers import Reader
from aligner.text.spelling import Speller, is_letter
from aligner.types import NOISE_LABEL, DataError, Fault


@dataclass(frozen=True)
class Text:
    """How the transcripts of a training are read."""

    dictionary: Path | None = None
    """A file of pronunciations; None takes the CMU dictionary where the language is English, and eSpeak NG's
    pronunciations of any other."""
    g2p: bool = True
    """Whether words that the dictionary lacks get a pronunciation from their letters."""
    characters: bool = False
    """Whether the letters that words are written with stand for phones; no dictionary is used then."""
    language: str = "en"
    """The code of the language."""
    conventions: Conventions = USUAL
    """How noises and the like are told from words."""
    add_words: tuple[Path, ...] = ()
    """Files whose words are laid over the dictionary, the last one on top."""
    strict: bool = False
    """Whether a line of the user's dictionaries that cannot be used is an error."""

    @property
    def english(self) -> bool:
        """Whether the language is English, so that numbers and the like are spoken out."""
        return spoken_english(self.language)

    @property
    def letters_to_phones(self) -> str:
        """How words that no dictionary has get their phones: one of `aligner.models.markov.G2PS`."""
        if self.characters:
            return "letters"
        if self.english:
            return "english" if self.g2p else "none"
        return "espeak" if self.dictionary is None else "none"

    @cached_property
    def books(self) -> Dictionaries | None:
        """The dictionaries that words are looked up in; None where letters are phones, or eSpeak knows all.

        Raises
        ------
        DataError
            If one is at fault.
        """
        own = cmu_dictionary() if self.english else None
        if self.characters or (self.dictionary is None and own is None and not self.add_words):
            return None
        if self.dictionary is None and own is None:
            first, *added = read_added(self.add_words, strict=self.strict)
            return Dictionaries(laid(first, added))
        return read_dictionaries(self.dictionary, self.add_words, own=own, strict=self.strict)

    @cached_property
    def _read(self) -> tuple[str, Reader | None]:
        """The voice that pronounces the words, and what cuts them where the language has no spaces."""
        return read_by(self.language) if self.letters_to_phones == "espeak" else (self.language, None)

    @property
    def voice(self) -> str:
        """The code of eSpeak's voice that pronounces the words."""
        return self._read[0]

    def tokens(self, transcript: str, speaker: str = "") -> tuple[Token, ...]:
        """Split what somebody says into its words; DataError if there is none, or eSpeak cannot read one."""
        entry = None if self.books is None else self.books.of(speaker).has_written
        tokens = normalise(transcript, self.english, self.conventions, entry, self._read[1])
        if not tokens:
            raise DataError(
                "transcript", "the transcript is empty", "write what is said", fault=Fault.EMPTY_TRANSCRIPT
            )
        if self.letters_to_phones == "espeak":
            words = [word for token in tokens for word in token.spoken]
            check_scripts([word for word in words if not BRACKETED.fullmatch(word)], self.voice)
        return tokens


def speller(text: Text, words: Sequence[str]) -> Pronouncer | Speller:
    """Return what finds the pronunciations of a corpus's words.

    Parameters
    ----------
    text : Text
        How transcripts are read.
    words : sequence of str
        The words, which eSpeak pronounces all at once.

    Raises
    ------
    DataError
        If the dictionary is at fault, or eSpeak does not speak the language.
    ModelError
        If eSpeak is not installed.
    """
    noises = (NOISE_LABEL,)
    if text.characters:
        return Speller(is_letter, "lower", noises, strict=True)
    if text.dictionary is None and not text.english:
        return _by_espeak(text, words, noises)
    books = text.books
    assert books is not None
    guess = HamaG2P() if text.letters_to_phones == "english" else None
    pronounce = Pronouncer(
        lexicon=books.default,
        g2p=guess,
        known=bool,
        noises=noises,
        speakers=books.speakers,
        cautions=books.cautions(),
        replaced=books.replaced,
    )
    phones = set(map(unstressed, pronounce.phones))
    return replace(pronounce, known=lambda phone: unstressed(phone) in phones)


def _by_espeak(text: Text, words: Sequence[str], noises: tuple[str, ...]) -> Pronouncer:
    g2p, books = EspeakG2P(text.voice), text.books
    said = g2p.pronounce(
        [w for w in dict.fromkeys(words) if not BRACKETED.fullmatch(w) and not is_cut_off(w)]
    )
    lexicon = Lexicon({key(word): " ".join(phones) for word, phones in said.items() if phones})
    return Pronouncer(
        lexicon=lexicon if books is None else books.default.over(lexicon),
        g2p=g2p,
        known=lambda phone: phone not in NOISE_PHONES,
        noises=noises,
        cautions=() if books is None else books.cautions(),
    )


def phones_of(spell: Pronouncer | Speller, said: Sequence[Sequence[SpokenWord]]) -> tuple[str, ...]:
    """Return the phones of a corpus and its dictionary: all that some word may be made of."""
    heard = {phone for spoken in said for word in spoken for p in word.pronunciations for phone in p.phones}
    known = spell.phones if isinstance(spell, Pronouncer) else frozenset[str]()
    return tuple(sorted(set(map(unstressed, heard | known)) - NOISE_PHONES))
