"""The alphabets that phones are written in: the IPA, X-SAMPA and ARPAbet, and the ways between them.

X-SAMPA is that of Wells (1995), "Computer-coding the IPA", with a few codes of our own for what it leaves out
(`EXTENSIONS`).  ARPAbet is that of CMU's dictionary, with the further labels of TIMIT.  All conversions go
through the IPA.  No library is asked: ipapy does not run on today's Python, and panphon brings pandas along.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

from aligner.names import ALPHABETS
from aligner.text.stress import NONE, PRIMARY, SECONDARY, is_stressed
from aligner.types import NOISE_LABEL, SILENCE_LABEL, STAR_LABEL

NATIVE, IPA, XSAMPA, ARPABET = ALPHABETS
LEAST_KNOWN = 0.6  # share of a set's labels that an alphabet has, from which the set is written in it
SHORTEST_KNOWN = 2  # labels from which that can be told

# letters of the chart, each behind its code in X-SAMPA
_CONSONANTS = r"""p p b b t t d d t` ʈ d` ɖ c c J\ ɟ k k g ɡ q q G\ ɢ ? ʔ m m F ɱ n n n` ɳ J ɲ N ŋ N\ ɴ B\
ʙ r r R\ ʀ 4 ɾ r` ɽ p\ ɸ B β f f v v T θ D ð s s z z S ʃ Z ʒ s` ʂ z` ʐ C ç j\ ʝ x x G ɣ X χ R ʁ X\ ħ ?\ ʕ
h h h\ ɦ K ɬ K\ ɮ P ʋ r\ ɹ r\` ɻ j j M\ ɰ l l l` ɭ L ʎ L\ ʟ 5 ɫ O\ ʘ |\ ǀ !\ ǃ =\ ǂ |\|\ ǁ b_< ɓ d_< ɗ
J\_< ʄ g_< ɠ G\_< ʛ W ʍ w w H ɥ H\ ʜ <\ ʢ >\ ʡ s\ ɕ z\ ʑ l\ ɺ x\ ɧ"""
_VOWELS = r"""i i y y 1 ɨ } ʉ M ɯ u u I ɪ Y ʏ I\ ᵻ U ʊ U\ ᵿ e e 2 ø @\ ɘ 8 ɵ 7 ɤ o o @ ə E ɛ 9 œ 3 ɜ 3\ ɞ
V ʌ O ɔ { æ 6 ɐ a a & ɶ A ɑ Q ɒ @` ɚ 3` ɝ"""
# marks behind a letter, and those of the whole
_MARKS = r"""_h ʰ _w ʷ ' ʲ _G ˠ _?\ ˤ _n ⁿ _l ˡ _> ʼ ~ U+0303 _0 U+0325 _v U+032C _O U+0339 _c U+031C _+
U+031F _- U+0320 _" U+0308 _x U+033D = U+0329 _^ U+032F ` ˞ _t U+0324 _k U+0330 _N U+033C _d U+032A _a
U+033A _m U+033B _r U+031D _o U+031E _A U+0318 _q U+0319 _e U+0334 _} U+031A : ː :\ ˑ _X U+0306 " ˈ % ˌ _T
˥ _H ˦ _M ˧ _L ˨ _B ˩ _R U+030C _F U+0302"""
EXTENSIONS = r"""_h\ ʱ _* U+0348 _? ˀ _m\ ᵐ _N\ ᵑ _B\ ᵝ"""
_ALSO = {"_j": "ʲ", "_~": "\u0303", "_=": "\u0329", "v\\": "ʋ", "l_e": "ɫ"}  # other codes that Wells has


def _pairs(text: str) -> dict[str, str]:
    """Code in X-SAMPA -> symbol of the IPA, of a list of both in turn."""
    fields = [chr(int(f[2:], 16)) if f.startswith("U+") else f for f in text.split()]
    return dict(zip(fields[::2], fields[1::2], strict=True))


CONSONANTS, VOWELS, MARKS = _pairs(_CONSONANTS), _pairs(_VOWELS), _pairs(_MARKS) | _pairs(EXTENSIONS)
SYMBOLS = CONSONANTS | VOWELS | MARKS | _ALSO
CODES = {symbol: code for code, symbol in (CONSONANTS | VOWELS | MARKS).items()}
_CODE = re.compile("|".join(sorted(map(re.escape, SYMBOLS), key=len, reverse=True)))
RING_ABOVE, RING_BELOW = "\u030a", "\u0325"  # no voice: above a letter that reaches down, or has a mark there
REACHING_DOWN = frozenset("ɡɟŋɲɳɱjʝɥɣʒʐɻɭɽʂʈɖçpqyβχɸ")
TIES = "\u0361\u035c"
# what people write for a symbol of the chart: letters of other alphabets, ligatures that were given up
VARIANTS = {
    **{
        "g": "ɡ",
        "ε": "ɛ",
        "Φ": "ɸ",
        "φ": "ɸ",
        "ʧ": "tʃ",
        "ʤ": "dʒ",
        "ʦ": "ts",
        "ʣ": "dz",
        "ʨ": "tɕ",
        "ʥ": "dʑ",
    },
    **{":": "ː", "'": "ʼ", "’": "ʼ", RING_ABOVE: RING_BELOW, "\u0301": "˦", "\u0304": "˧", "\u0300": "˨"},
    **{"\u030b": "˥", "\u030f": "˩", "ə˞": "ɚ", "ɜ˞": "ɝ", **dict.fromkeys(TIES, "")},
}
_VARIANT = re.compile("|".join(sorted(map(re.escape, VARIANTS), key=len, reverse=True)))

# ARPAbet, with the labels of TIMIT beside those of CMU's dictionary; what stands twice is read as the first
_ENGLISH = """AA ɑ AE æ AH ʌ AO ɔ AW aʊ AY aɪ EH ɛ ER ɝ EY eɪ IH ɪ IY i OW oʊ OY ɔɪ UH ʊ UW u B b CH tʃ D d
DH ð F f G ɡ HH h JH dʒ K k L l M m N n NG ŋ P p R ɹ S s SH ʃ T t TH θ V v W w Y j Z z ZH ʒ"""
_OF_TIMIT = """AX ə AXR ɚ IX ɨ UX ʉ DX ɾ EL U+006C+0329 EM U+006D+0329 EN U+006E+0329 ENG U+014B+0329 HV ɦ
NX U+027E+0303 Q ʔ AX-H U+0259+0325 WH ʍ BCL b_ DCL d_ GCL ɡ_ PCL p_ TCL t_ KCL k_"""


def _english(text: str) -> dict[str, str]:
    pairs = iter(text.split())
    return {name: _symbols(symbols) for name, symbols in zip(pairs, pairs, strict=True)}


def _symbols(text: str) -> str:
    """The symbols that a field of a table stands for; ``_`` is a closure without a release."""
    if text.startswith("U+"):
        return "".join(chr(int(code, 16)) for code in text[2:].split("+"))
    return text.replace("_", "\u031a")


ENGLISH = _english(_ENGLISH)
ARPABET_PHONES = ENGLISH | _english(_OF_TIMIT)
UNSTRESSED = {"AH": "ə", "ER": "ɚ"}  # vowels that the IPA writes otherwise where they have no stress
STRESS_MARKS = {PRIMARY: "ˈ", SECONDARY: "ˌ", NONE: ""}
# symbols of the IPA, without length and stress -> ARPAbet of CMU's dictionary first
FROM_IPA = {
    **{ipa: name for name, ipa in reversed(ARPABET_PHONES.items())},
    **{"ə": "AH", "ɚ": "ER", "ɜ": "ER", "ɐ": "AH", "ɒ": "AA", "r": "R", "ɫ": "L", "o": "OW", "e": "EY"},
    **{"əʊ": "OW", "ᵻ": "IH", "aj": "AY", "aw": "AW", "ej": "EY", "ow": "OW", "ɔj": "OY", "ʉ": "UW"},
}
NO_PHONES = frozenset(
    [
        SILENCE_LABEL,
        NOISE_LABEL,
        STAR_LABEL,
        *["sil", "sp", "pau", "epi", "h#", "SIL", "SP", "+NSN+", "spn_S", "sil_S", "<eps>", "<sil>"],
    ]
)


def no_phone(label: str) -> bool:
    """Whether a label is of silence, noise, or speech that the transcript lacks: it is no phone, and stays.

    Examples
    --------
    >>> [no_phone(label) for label in ("", "spn", "<star>", "h#", "s")]
    [True, True, True, True, False]
    """
    return label.strip() in NO_PHONES or (label[:1] in "<[+{" and label[-1:] in ">]+}" and len(label) > 2)


@lru_cache(maxsize=4096)
def plain_ipa(label: str) -> str:
    """A label in the IPA with one way to write each symbol: no ties, no ligatures, no letters of elsewhere.

    Examples
    --------
    >>> plain_ipa("t͡ʃʰ"), plain_ipa("ʤ"), plain_ipa("g"), plain_ipa("a:")
    ('tʃʰ', 'dʒ', 'ɡ', 'aː')
    """
    taken_apart = unicodedata.normalize("NFD", label.replace("ç", "\0")).replace("\0", "ç")
    taken_apart = taken_apart.replace("c\u0327", "ç")
    return _VARIANT.sub(lambda m: VARIANTS[m[0]], taken_apart)


def canonical(label: str) -> str:
    """A label in the IPA as it is read back from X-SAMPA: one way to write each symbol, and marks where there
    is room for them.

    Examples
    --------
    >>> canonical("t͡s"), canonical("ŋ\u0325") == "ŋ\u030a"
    ('ts', True)
    """
    return _ringed(plain_ipa(label))


def _letters(ipa: str) -> list[str]:
    return [c for c in ipa if c in _LETTERS]


_LETTERS = frozenset((*CONSONANTS.values(), *VOWELS.values()))
_VOWEL_LETTERS = frozenset(VOWELS.values())
_FIRST_OF_TWO, _SECOND_OF_TWO = frozenset("pbtdʈɖcɟkɡqɢ"), frozenset("fvszʃʒʂʐɕʑçʝxɣχʁɬɮθðɸβħʕhbpl")
LONGEST_VOWEL = 3  # letters of a triphthong


@lru_cache(maxsize=4096)
def is_ipa(label: str) -> bool:
    """Whether a label is one phone in the IPA: a letter with its marks, an affricate, or a diphthong.

    Examples
    --------
    >>> [is_ipa(label) for label in ("tɕʰ", "aʊ", "ⁿd", "n̩", "sh", "AH", "œ̃", "кот")]
    [True, True, True, True, False, False, True, False]
    """
    plain = plain_ipa(label)
    if not plain or any(c not in CODES for c in plain):
        return False
    return _is_one_phone(_letters(plain))


def _is_one_phone(letters: list[str]) -> bool:
    if len(letters) == 1:
        return True
    if all(c in _VOWEL_LETTERS or c in "jwɥɹ" for c in letters) and letters:
        return len(letters) <= LONGEST_VOWEL and any(c in _VOWEL_LETTERS for c in letters)
    return len(letters) == 2 and letters[0] in _FIRST_OF_TWO and letters[1] in _SECOND_OF_TWO


@lru_cache(maxsize=4096)
def to_xsampa(label: str) -> str | None:
    """X-SAMPA of a label in the IPA; None where a symbol of it has none.

    Examples
    --------
    >>> to_xsampa("tɕʰ"), to_xsampa("ˈɛ̃ː"), to_xsampa("dʲ"), to_xsampa("кот")
    ('ts\\\\_h', '"E~:', "d'", None)
    """
    codes = [CODES.get(c) for c in plain_ipa(label)]
    if not codes or None in codes:
        return None
    return "".join(filter(None, codes))


@lru_cache(maxsize=4096)
def from_xsampa(label: str) -> str | None:
    """The IPA of a label in X-SAMPA; None where something in it is none.

    Examples
    --------
    >>> from_xsampa("ts\\\\_h"), from_xsampa('"E~:'), from_xsampa("@`"), from_xsampa("w;")
    ('tɕʰ', 'ˈɛ̃ː', 'ɚ', None)
    """
    found, end = [], 0
    for match in _CODE.finditer(label):
        if match.start() != end:
            return None
        found.append(SYMBOLS[match[0]])
        end = match.end()
    return _ringed("".join(found)) if found and end == len(label) else None


def _ringed(ipa: str) -> str:
    """The same with the ring of no voice above letters that have no room below."""
    found = ""
    for k, c in enumerate(ipa):
        base = next((b for b in reversed(ipa[:k]) if b in _LETTERS), "")
        below = k > 0 and unicodedata.combining(ipa[k - 1]) == unicodedata.combining(RING_BELOW)
        found += RING_ABOVE if c == RING_BELOW and (base in REACHING_DOWN or below) else c
    return found


def from_arpabet(label: str, marks: bool = False) -> str | None:
    """The IPA of a label of ARPAbet or TIMIT, whatever its case; None for what is none.

    Parameters
    ----------
    label : str
        With its digit of stress, or without.
    marks : bool
        Whether stress is marked before the vowel; what a vowel without stress sounds like is told either way.

    Examples
    --------
    >>> [from_arpabet(label) for label in ("AH0", "AH1", "ER0", "ER1", "CH", "axr", "y")]
    ['ə', 'ʌ', 'ɚ', 'ɝ', 'tʃ', 'ɚ', 'j']
    >>> from_arpabet("OW2", marks=True), from_arpabet("tʃ")
    ('ˌoʊ', None)
    """
    name = label.upper()
    digit = name[-1] if is_stressed(name) else ""
    name = name.removesuffix(digit)
    if name not in ARPABET_PHONES:
        return None
    symbols = UNSTRESSED.get(name, ARPABET_PHONES[name]) if digit == NONE else ARPABET_PHONES[name]
    return (STRESS_MARKS[digit] if marks and digit else "") + symbols


@lru_cache(maxsize=4096)
def to_arpabet(label: str) -> str | None:
    """ARPAbet of an English phone in the IPA; None where there is none.

    Stress that is marked is a digit; other vowels have none, for nothing is known of it.

    Examples
    --------
    >>> [to_arpabet(label) for label in ("ə", "ʌ", "ˈɝ", "t͡ʃ", "uː", "ʰ", "ø")]
    ['AH', 'AH', 'ER1', 'CH', 'UW', None, None]
    """
    plain = plain_ipa(label)
    digit = next((d for d, mark in STRESS_MARKS.items() if mark and mark in plain), "")
    plain = plain.strip("ˈˌ")
    found = FROM_IPA.get(plain) or FROM_IPA.get(bare(plain))
    return None if found is None else found + (digit if is_stressed(found + digit) else "")


_BROAD = str.maketrans("ɫɡ", "lg")  # a mark that is part of the letter; and the g of every keyboard


@lru_cache(maxsize=4096)
def bare(label: str) -> str:
    """The letters of a label in the IPA, without length, aspiration, stress, ties, tone and other marks.

    A label that is not in the IPA stays as it is.

    Examples
    --------
    >>> [bare(label) for label in ("tʰ", "t͡ʃ", "aː", "ˈa", "n̩", "ɫ", "ⁿd", "AH0", "a1", "ä", "ç", "ɚ")]
    ['t', 'tʃ', 'a', 'a', 'n', 'l', 'd', 'AH0', 'a1', 'a', 'ç', 'ɚ']
    """
    if label.isascii() and not any(c in label for c in ":'"):
        return label
    plain = plain_ipa(label)
    if any(c not in CODES for c in plain):
        return label
    return "".join(_letters(plain)).translate(_BROAD) or label


def is_arpabet(label: str) -> bool:
    """Whether a label is of ARPAbet or TIMIT.

    Examples
    --------
    >>> [is_arpabet(label) for label in ("AH0", "axr", "tcl", "B", "a", "tʃ")]
    [True, True, True, True, False, False]
    """
    return from_arpabet(label) is not None


def is_xsampa(label: str) -> bool:
    """Whether a label is one phone in X-SAMPA.

    Examples
    --------
    >>> [is_xsampa(label) for label in ("tS", "@", "aU", "{", "AH0", "ʃ")]
    [True, True, True, True, False, False]
    """
    ipa = from_xsampa(label)
    return ipa is not None and _is_one_phone(_letters(ipa))


_IS: dict[str, Callable[[str], bool]] = {ARPABET: is_arpabet, IPA: is_ipa, XSAMPA: is_xsampa}


def alphabet_of(labels: Iterable[str]) -> str | None:
    """The alphabet that labels are written in: 'arpabet' (or TIMIT's), 'ipa' or 'xsampa'; None if none.

    One label does not tell: ``S`` is an s in ARPAbet and a ʃ in X-SAMPA.

    Examples
    --------
    >>> alphabet_of(["S", "AH0", "CH"]), alphabet_of(["s", "ʌ", "tʃ"]), alphabet_of(["s", "V", "tS", "@"])
    ('arpabet', 'ipa', 'xsampa')
    >>> alphabet_of(["h#", "sh", "iy"]), alphabet_of(["к", "о", "т"]), alphabet_of(["", "spn"])
    ('arpabet', None, None)
    """
    phones = {label for label in labels if not no_phone(label)}
    if len(phones) < SHORTEST_KNOWN:  # what is not ASCII tells by itself
        return IPA if any(is_ipa(label) and not label.isascii() for label in phones) else None
    share = {name: sum(map(known, phones)) / len(phones) for name, known in _IS.items()}
    best = max(share, key=lambda name: share[name])  # of equals the first
    return best if share[best] >= LEAST_KNOWN else None


@dataclass(frozen=True)
class Respelling:
    """Writes labels of one alphabet in another.

    Examples
    --------
    >>> write = Respelling("arpabet", "ipa")
    >>> [write(label) for label in ("HH", "AH0", "L", "OW1", "", "spn", "xyz")]
    ['h', 'ə', 'l', 'oʊ', '', 'spn', 'xyz']
    >>> Respelling("ipa", "xsampa")("ʃ"), Respelling("xsampa", "arpabet")("S"), Respelling(None, "ipa")("S")
    ('S', 'SH', 'S')
    """

    source: str | None
    """The alphabet of the labels; None where it is not known, and all stay."""
    target: str
    """The alphabet in which they are written; 'native' leaves them."""
    marks: bool = False
    """Whether the IPA and X-SAMPA mark stress before the vowel, where ARPAbet has a digit for it."""

    def __call__(self, label: str) -> str:
        """A label in the alphabet in which it is written; as it is where it is not of its alphabet."""
        found = None if no_phone(label) else self._found(label)
        return label if found is None else found

    def knows(self, label: str) -> bool:
        """Whether a label can be written in the alphabet, or stays for it is no phone."""
        return no_phone(label) or self._found(label) is not None

    def _found(self, label: str) -> str | None:
        if self.target in (NATIVE, self.source):
            return label
        ipa = self._in_ipa(label)
        if ipa is None or self.target == IPA:
            return ipa
        return to_xsampa(ipa) if self.target == XSAMPA else to_arpabet(ipa)

    def _in_ipa(self, label: str) -> str | None:
        if self.source == ARPABET:
            return from_arpabet(label, self.marks)
        if self.source == XSAMPA:
            return from_xsampa(label)
        return label if self.source == IPA and is_ipa(label) else None
