"""Pronunciations from eSpeak NG, for languages that there is no dictionary of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from aligner.reference.espeak.languages import resolve
from aligner.reference.espeak.scripts import sounded
from aligner.reference.espeak.synthesis import Synthesiser, labels_alone
from aligner.text.g2p import to_arpabet
from aligner.text.stress import is_stressed

G2P_SPEED = 350  # words per minute where nobody listens; the phones are the same at any speed
# phones of symbols that the American voice uses in another way than other voices
AMERICAN = {"ʔ": ("T",), "n̩": ("AH", "N"), "ɬ": ("L",)}

# eSpeak's names of the phones of ARPAbet, in English
_VOWELS = "AA=A: AE=a AH=V AO=O: AW=aU AY=aI EH=E ER=3: EY=eI IH=I IY=i: OW=oU OY=OI UH=U UW=u:"
_STOPS = "B=b CH=tS D=d G=g JH=dZ K=k P=p T=t"
_OTHERS = "DH=D F=f HH=h L=l M=m N=n NG=N R=r S=s SH=S TH=T V=v W=w Y=j Z=z ZH=Z"
NAMES = dict(pair.split("=") for pair in f"{_VOWELS} {_STOPS} {_OTHERS}".split())
STRESS_MARKS = {"1": "'", "2": ",", "0": ""}  # before a vowel


def in_names(phones: Sequence[str]) -> str:
    """What eSpeak's English voices read as these phones of ARPAbet; empty where one of them is none.

    Examples
    --------
    >>> in_names(["D", "AA1", "K"]), in_names(["x"])
    ("[[d'A:k]]", '')
    """
    names = []
    for phone in phones:
        digit = phone[-1] if is_stressed(phone) else ""
        name = NAMES.get(phone.removesuffix(digit))
        if name is None:
            return ""
        names.append(STRESS_MARKS.get(digit, "") + name)
    return f"[[{''.join(names)}]]" if names else ""


def arpabet(label: str) -> tuple[str, ...]:
    """ARPAbet phones of a label of the American voice ("en-us"); one label may be two of them.

    Examples
    --------
    >>> arpabet("ɑːɹ"), arpabet("ᵻ"), arpabet("n̩")
    (('AA', 'R'), ('IH',), ('AH', 'N'))
    """
    return AMERICAN.get(label) or to_arpabet(label)


@dataclass(frozen=True)
class EspeakG2P:
    """Pronounces words in any of `aligner.reference.espeak.languages` (an `aligner.text.lexicon.G2P`).

    The phones are those that `Synthesiser` speaks, each word's as it sounds within a sentence: by
    itself eSpeak would read the Russian preposition "в" by its letter's name, and the Italian "di" as if it
    were stressed.

    Parameters
    ----------
    language : str
        Language, as `resolve` takes it.

    Raises
    ------
    ModelError
        If the package that carries eSpeak is not installed.
    DataError
        If eSpeak does not speak the language.

    Examples
    --------
    >>> EspeakG2P("it")("chiesa")
    ('k', 'j', 'ɛ', 'z', 'a')
    """

    language: str
    _said: dict[str, tuple[str, ...]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "language", resolve(self.language))

    def __call__(self, word: str) -> tuple[str, ...]:
        """Phones of a word; an empty tuple where it has no sound."""
        return self.pronounce((word,))[word]

    def pronounce(self, words: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Phones of many words at once, some 3,000 a second: quicker than word by word.

        Parameters
        ----------
        words : sequence of str
            Words as they are written; digits are read in the language.

        Returns
        -------
        dict of str to tuple of str
            Word -> phones; none where it has no sound.

        Examples
        --------
        >>> EspeakG2P("ru").pronounce(["в", "чай"])
        {'в': ('v',), 'чай': ('tʃʲ', 'ɑ', 'j')}
        """
        unsaid = [word for word in dict.fromkeys(words) if word not in self._said]
        if unsaid:
            self._said.update(zip(unsaid, self._say(unsaid), strict=True))
        return {word: self._said[word] for word in words}

    def _say(self, words: Sequence[str]) -> list[tuple[str, ...]]:
        """Phones of each word, by the events of its synthesis.

        ``espeak_TextToPhonemes`` is no way to them: what it writes behind a phone for its length is the phone
        once more where that has a name in IPA, and for the third tone an ``ɜ``.
        """
        with Synthesiser(language=self.language, speed=G2P_SPEED).session() as (voice, _):
            as_said = [sounded(word, self.language) for word in words]
            return [labels_alone(voice, word) if any(map(str.isalnum, word)) else () for word in as_said]
