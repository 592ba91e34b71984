"""What eSpeak calls its phones, and what they are in the IPA: each phone one label, whatever it calls it.

An event of the synthesis has a name: the symbols of the IPA that the voice's author wrote down, or, where
there are none, eSpeak's own ASCII turned into the IPA letter by letter.  So an aspirated stop may be ``kh``,
``k_h`` or ``kʰ``, an ejective ``t``` or ``t``, a retroflex one ``ts.``, a voiceless nasal ``n#``.  Some
voices say an affricate or an aspirate in two events, and some a vowel with its nasal in one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from aligner.text.alphabets import VOWELS, canonical

STRESS = "ˈˌ"
# tones, and eSpeak's own marks; the name of a language that it switches to
_TONES = re.compile(r"[˥˦˧˨˩\u0300\u0301\u0302\u0304\u030c]|\(.*\)?")
_MARKS = re.compile(r"[\d'\x22`.,_|!+^#\[-]")
_VOWEL = "".join(VOWELS.values())
_RULES = (  # in their order
    (re.compile(r"(?<=[pbtdkɡqcsʃɕʂ])_?h$"), "ʰ"),
    (re.compile(rf"(?<=[^{_VOWEL}\u0303ː])`$"), "ʼ"),
    (re.compile(r"(?<=[bdɖɟɡʒɽʋ])ʰ$"), "ʱ"),  # what is voiced is breathy
    (re.compile(r"(?<=[tkɡʒʃɣ])\u0303$"), ""),  # in Italian a mark of the author's, not of the nose
)
NASAL_ENDING = "nɡ"  # of a vowel with its nasal in one event
FORTIS = "\u0348"
BEFORE = frozenset("ᵐⁿᵑ")  # begin a phone: those of Sinhala

# in whatever language
NAMES = {
    **{"tS": "tʃ", "dZ": "dʒ", "S": "ʃ", "N": "ŋ", "X": "χ", "A": "ɑ", "ε": "ɛ", "ʦ": "ts", "Φ": "ɸ"},
    **{"s.": "ʂ", "z.": "ʐ", "ts.": "tʂ", "ts.h": "tʂʰ", "r.": "ɽ", "t[": "t̪", "d[": "d̪", "e̪u": "e̯u"},
    **{"t^": "tʲ", "d^": "dʲ", "s^": "sʲ", "k^": "c", "n^": "ɲ", "ɣ^": "ʝ"},
    **{"l#": "l̥", "m#": "m̥", "n#": "n̥", "r#": "r̥", "ŋ#": "ŋ̊", "ɲ#": "ɲ̊", "tl#": "tl̥"},
    **{"hʰ": "h", "xʰ": "x", "wʰ": "ʍ", "l-": "ɫ", "ll": "ɫ", "sx": "ɧ", "ss": "sː", "oe": "ø", "oe:": "øː"},
    **{'u"': "ʉ", 'u"ː': "ʉː", "nɡ": "ŋ", "ht": "tʰ", "hs": "sʰ", "ky": "tɕ", "?": "ʔ"},
    **{"ɐ̃ʊ": "ɐ̃ʊ̃", "õɪ": "õɪ̃"},  # cut where they have stress: an event has room for 8 bytes
}
_APICAL = {"i.": "ɨ", "i̪": "ɨ", "onɡ": "ʊŋ"}
_PALATALS = {"c": "tʃ", "cʰ": "tʃʰ", "ɟ": "dʒ", "ɟʰ": "dʒʱ"}  # affricates, as ph_hindi says of them
_INDIC = ["hi", "mr", "ne", "gu", "pa", "bn", "as", "bpy", "or", "sd", "ur", "te", "kn", "ml", "kok", "ta"]
_YUE = {
    **{
        "aa": "aː",
        "aai": "aːi",
        "aau": "aːu",
        "aanɡ": "aːŋ",
        "oe": "œ",
        "oenɡ": "œŋ",
        "eo": "ɵ",
        "eoi": "ɵy",
    },
    **{"yu": "y", "z": "ts", "c": "tsʰ", "b": "p", "d": "t", "ɡ": "k", "p": "pʰ", "t": "tʰ", "k": "kʰ"},
}
# by language: what its voice means by names that stand for something else elsewhere
OF_LANGUAGE: Mapping[str, Mapping[str, str]] = {
    "ar": {"t̪": "tˤ", "s̪": "sˤ"},
    "af": {"əl": "l̩"},
    "cmn": {**_APICAL, "ər": "ɚ"},
    "hak": _APICAL,
    "yue": _YUE,
    "cs": {"dʑ": "dz"},
    "sk": {"dʑ": "dz"},
    "ka": {"p": "pʼ", "t": "tʼ", "k": "kʼ", "q": "qʼ", "ts": "tsʼ", "c": "tʃʼ", "tʃ": "tʃʰ"},
    "ko": {**{f"{c}-": c + FORTIS for c in "ptks"}, "q-": "k" + FORTIS, "tʃ": "tɕ"},
    "om": {"Φ": "pʼ"},
    "qdb": {"əl": "l̩"},
    "tn": {"K": "tɬʰ"},
    "vi": {"y": "ɨ", "yə": "ɨə", "yɪ": "ɨɪ", "cr": "ʈ", "t": "tʰ", "t̪": "t"},
    **dict.fromkeys(_INDIC, _PALATALS),
    "ml": {**_PALATALS, "r.": "ɻ"},
}
# names that are one phone before a vowel or glide, and another one elsewhere
BY_PLACE: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "ko": {"q": ("ɡ", "k")},
    "yue": {c + "ʰ": (c + "ʰ", c) for c in "ptk"},
}


def _with(second: str, mark: str, firsts: str) -> dict[tuple[str, str], str]:
    return {(first, second): first.rstrip("ʼ") + mark for first in firsts.split()}


_BREATHY = {("ɽ", "h"): "ɽʱ", ("h", "ɽ"): "ɽʱ"}
# by language: two events in a word that are one phone
JOINED: Mapping[str, Mapping[tuple[str, str], str]] = {
    "ko": _with("h", "ʰ", "p t k tɕ"),
    "qu": _with("h", "ʰ", "p t k q tʃ") | _with("ʔ", "ʼ", "p t k q tʃ pʼ tʼ kʼ qʼ tʃʼ"),
    "tn": _with("h", "ʰ", "p t k") | {("t", "ʃ"): "tʃ"},
    "is": {("h", sound): sound for sound in ("n̥", "r̥", "l̥")},
    "he": {("t", "s"): "ts"},
    "kk": {("t", "s"): "ts"},
    "am": {("t", "s"): "tsʼ"},
    "ti": {("t", "s"): "tsʼ"},
    "el": {("d", "z"): "dz"},
    "lt": {("d", "z"): "dz"},
    "lv": {("d", "z"): "dz", ("d", "ʐ"): "dʐ"},
    "ltg": {("d", "z"): "dz", ("d", "ʐ"): "dʐ"},
    "nci": {("t", "s"): "ts", ("t", "l"): "tɬ"},
    **dict.fromkeys(_INDIC, _BREATHY),
}
_OTHER_CODES = {"zh-yue": "yue", "zh": "cmn", "zh-cmn": "cmn"}


@dataclass(frozen=True)
class PhoneNames:
    """The phones that a voice means by the names of its events.

    Examples
    --------
    >>> names = PhoneNames("cmn")
    >>> [names(name) for name in ("ts.h", "tɕh", "ˈuei", "ˈonɡ", "")]
    [('tʂʰ',), ('tɕʰ',), ('uei',), ('ʊ', 'ŋ'), ()]
    >>> PhoneNames("ko").joined("t", "h"), PhoneNames("de").joined("t", "h")
    ('tʰ', None)
    """

    language: str
    """The code of the language, as eSpeak has it."""

    @property
    def _code(self) -> str:
        return _OTHER_CODES.get(self.language, self.language.split("-")[0])

    def __call__(self, name: str) -> tuple[str, ...]:
        """Labels of an event, without stress and tone: none for a pause, two for a vowel with its nasal."""
        return _labels(self._code, name)

    def joined(self, first: str, second: str) -> str | None:
        """The one phone that two events in a word are; None where they are two."""
        return JOINED.get(self._code, {}).get((first, second))

    def in_place(self, label: str, before: str) -> str:
        """A label as it is before the label of the same word that follows; ``''`` where none does."""
        choice = BY_PLACE.get(self._code, {}).get(label)
        return label if choice is None else choice[0 if before[:1] and before[0] in _VOWEL + "jwɥ" else 1]


@lru_cache(maxsize=8192)
def _labels(code: str, name: str) -> tuple[str, ...]:
    bare = _TONES.sub("", name.lstrip(STRESS))
    own = OF_LANGUAGE.get(code, {})
    if code == "da" and len(bare) > 1:
        bare = bare.lstrip("?ʔ")  # ph_danish marks its short vowels so
    label = own.get(bare) or NAMES.get(bare)
    if label is None:
        for rule, instead in _RULES:
            bare = rule.sub(instead, bare)
        plain = _MARKS.sub("", bare).replace(":", "ː")
        label = own.get(plain, plain)
    if not label:
        return ()
    vowel, nasal, rest = label.partition(NASAL_ENDING)
    if nasal and vowel and not rest:
        label = f"{vowel}ŋ"
    label = canonical(label)
    if len(label) > 1 and label.endswith("ŋ") and label[0] in _VOWEL:
        return label[:-1], "ŋ"
    return (label,)
