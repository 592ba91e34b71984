"""Pronunciations of words that no dictionary holds, from their letters.

The network is the one inside the ``hama`` package; its IPA is mapped to ARPAbet here.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cached_property
from typing import Any

# longest first when matching; what is not here (length, tone, syllabicity, ...) is left out
IPA_TO_ARPABET = {
    "t͡ʃ": "CH",
    "d͡ʒ": "JH",
    "t͡ɕ": "CH",
    "d͡ʑ": "JH",
    "tʃ": "CH",
    "dʒ": "JH",
    "t͡s": "T S",
    "d͡z": "D Z",
    "aɪ": "AY",
    "aʊ": "AW",
    "eɪ": "EY",
    "oʊ": "OW",
    "ɔɪ": "OY",
    "əʊ": "OW",
    "ɪə": "IH R",
    "eə": "EH R",
    "aj": "AY",
    "ej": "EY",
    "ow": "OW",
    "aw": "AW",
    "ɔj": "OY",
    "ʊə": "UH R",
    "ɑɹ": "AA R",
    "əɹ": "ER",
    "ɜɹ": "ER",
    "i": "IY",
    "ɪ": "IH",
    "e": "EY",
    "ɛ": "EH",
    "æ": "AE",
    "a": "AA",
    "ɑ": "AA",
    "ɒ": "AA",
    "ɔ": "AO",
    "o": "OW",
    "ʊ": "UH",
    "u": "UW",
    "ʌ": "AH",
    "ə": "AH",
    "ɐ": "AH",
    "ɜ": "ER",
    "ɝ": "ER",
    "ɚ": "ER",
    "ä": "AA",
    "à": "AA",
    "å": "AA",
    "ã": "AA",
    "ẽ": "EH",
    "õ": "OW",
    "ũ": "UW",
    "ĩ": "IY",
    "ø": "ER",
    "œ": "ER",
    "y": "UW",
    "ʏ": "UH",
    "ɨ": "IH",
    "ʉ": "UW",
    "ɘ": "IH",
    "ɵ": "UH",
    "ɤ": "AH",
    "ɯ": "UW",
    "ᵊ": "AH",
    "ᵻ": "IH",
    "ᵿ": "UH",
    "p": "P",
    "b": "B",
    "t": "T",
    "d": "D",
    "k": "K",
    "g": "G",
    "ɡ": "G",
    "f": "F",
    "v": "V",
    "θ": "TH",
    "ð": "DH",
    "s": "S",
    "z": "Z",
    "ʃ": "SH",
    "ʒ": "ZH",
    "h": "HH",
    "ɦ": "HH",
    "ħ": "HH",
    "m": "M",
    "n": "N",
    "ŋ": "NG",
    "l": "L",
    "ɫ": "L",
    "ɹ": "R",
    "r": "R",
    "ɾ": "D",
    "ʁ": "R",
    "ʀ": "R",
    "ɻ": "R",
    "ɽ": "D",
    "j": "Y",
    "w": "W",
    "ʋ": "V",
    "x": "K",
    "χ": "K",
    "ç": "SH",
    "ɣ": "G",
    "β": "V",
    "ɸ": "F",
    "ɲ": "N Y",
    "ñ": "N Y",
    "ʎ": "L Y",
    "ɕ": "SH",
    "ʑ": "ZH",
    "ʂ": "SH",
    "ʐ": "ZH",
    "c": "K",
    "ɟ": "G",
    "ʈ": "T",
    "ɖ": "D",
    "ɓ": "B",
    "ɗ": "D",
    "q": "K",
    "ʝ": "Y",
    "ɱ": "M",
    "ɳ": "N",
    "ɴ": "NG",
    "ɥ": "W",
    "ɰ": "G",
    "ʙ": "B",
    "ɮ": "L",
}
_SYMBOL = re.compile("|".join(sorted(map(re.escape, IPA_TO_ARPABET), key=len, reverse=True)))
_MARKS = re.compile(r"[\s ː̯̪̞̩̟̠̥̬̃̊̚‿]|(?<![td])͡|͡(?![ʃʒɕʑsz])")


def to_arpabet(ipa: str) -> tuple[str, ...]:
    """Map IPA to the nearest ARPAbet phones, without stress.

    Examples
    --------
    >>> to_arpabet("t͡ʃɝt͡ʃ"), to_arpabet("koʊvɪd")
    (('CH', 'ER', 'CH'), ('K', 'OW', 'V', 'IH', 'D'))
    """
    bare = _MARKS.sub("", ipa)
    return tuple(phone for symbol in _SYMBOL.findall(bare) for phone in IPA_TO_ARPABET[symbol].split())


def romanised(word: str) -> str:
    """Write a word of any script in the letters of English, in small ones.

    Examples
    --------
    >>> romanised("Привет"), romanised("你好"), romanised("Ελλάδα")
    ('privet', 'nihao', 'ellada')
    """
    from anyascii import anyascii

    return anyascii(word).lower()


class HamaG2P:
    """Pronounces English words in ARPAbet; its network is loaded with the first word."""

    @cached_property
    def _network(self) -> Any:
        from hama import G2PModel

        return G2PModel()

    def __call__(self, word: str) -> tuple[str, ...]:
        """Pronounce a word; an empty tuple where it has no letters.

        Words of other scripts are read as they are written in English, see `romanised`.
        """
        plain = "".join(
            c for c in unicodedata.normalize("NFKD", word.lower()) if not unicodedata.combining(c)
        )
        if not plain.isascii():  # other letters are read as they are written in English
            plain = romanised(word)
        letters = re.sub(r"[^a-z']", "", plain)
        if not letters.strip("'"):
            return ()
        return to_arpabet(self._network.predict(letters).ipa)
