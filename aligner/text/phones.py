"""Kinds of phones, the classes that they are compared in, and maps between label sets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from aligner.text.alphabets import bare
from aligner.text.stress import without_stress
from aligner.types import DataError

SILENCE = "sil"
# TIMIT's 61 and ARPAbet, upper case without stress -> class; others are their own (Lee & Hon 1989)
FOLDED_CLASSES = {
    "AO": "aa",
    "AX": "ah",
    "AX-H": "ah",
    "AXR": "er",
    "IX": "ih",
    "UX": "uw",
    "HV": "hh",
    "EL": "l",
    "EM": "m",
    "EN": "n",
    "NX": "n",
    "ENG": "ng",
    "ZH": "sh",
    **dict.fromkeys(["H#", "PAU", "EPI", "SIL", "SP", "", "<EPS>", "<SIL>", "+NSN+"], SILENCE),
}
VOWELS = frozenset(["aa", "ae", "ah", "aw", "ay", "eh", "er", "ey", "ih", "iy", "ow", "oy", "uh", "uw"])
CLOSURES = {
    "bcl": ("b",),
    "dcl": ("d", "jh"),
    "gcl": ("g",),
    "pcl": ("p",),
    "tcl": ("t", "ch"),
    "kcl": ("k",),
}
GLOTTAL_STOP = "q"
FLAP = "dx"  # counts as a t or a d

ARPABET_KINDS = {
    phone: name
    for name, phones in {
        "vowel": "AA AE AH AO AW AX AXR AY EH ER EY IH IX IY OW OY UH UW UX",
        "stop": "B D G P T K DX CH JH Q",
        "fricative": "S SH Z ZH F V TH DH HH HV",
        "nasal": "M N NG EM EN ENG NX",
        "liquid": "L R W Y EL",
    }.items()
    for phone in phones.split()
}
IPA_KINDS = {
    letter: name
    for name, letters in {
        "vowel": "aɑɐɒæʌɜəɚɝɞeɛiɪyʏøœɶɨʉɯuʊɤoɔɘɵᵻᵿ",
        "stop": "pbtdʈɖcɟkɡgqɢʔɓɗɠʄ",
        "fricative": "ɸβfvθðszʃʒʂʐɕʑçʝxɣχʁħʕhɦɬɮ",
        "nasal": "mɱnɳɲŋɴ",
        "liquid": "lɭʎʟɫrɾɽʀɹɻjwɥʋɰ",
    }.items()
    for letter in letters
}
OTHER_KIND = "other"
LEAST_SHARED_TIME = 0.4  # share of a label's time from which it may be the other set's name for the same


def phone_class(label: str) -> str:
    """The `kind` of a phone for tables of offsets, where an unknown one counts as silence.

    Examples
    --------
    >>> phone_class("AH0"), phone_class("")
    ('vowel', 'silence')
    """
    found = kind(label)
    return "silence" if found == OTHER_KIND else found


@lru_cache(maxsize=4096)
def kind(label: str) -> str:
    """The kind of a phone of ARPAbet, TIMIT or the IPA: vowel, stop, fricative, nasal, liquid, silence or
    other.

    Examples
    --------
    >>> kind("ih"), kind("tʃ"), kind("ŋ"), kind("sil"), kind("xyz1")
    ('vowel', 'stop', 'nasal', 'silence', 'other')
    """
    base = unstressed(label).upper()
    if FOLDED_CLASSES.get(base) == SILENCE:
        return "silence"
    if base in ARPABET_KINDS:
        return ARPABET_KINDS[base]
    letter = label.lstrip("ˈˌᵐⁿᵑ")[:1]  # stress, and the nasal that a stop begins with
    return IPA_KINDS.get(letter, OTHER_KIND) if len(label) == 1 or not label.isascii() else OTHER_KIND


def fold(label: str) -> str:
    """Fold a label to one of the 39 classes of Lee & Hon (1989); others to lower case, those in the IPA to
    their letters.

    Examples
    --------
    >>> fold("AH0"), fold("axr"), fold("h#"), fold("ˈt͡ʃʰ"), fold("aː")
    ('ah', 'er', 'sil', 'tʃ', 'a')
    """
    base = unstressed(bare(label.strip())).upper()
    return FOLDED_CLASSES.get(base, base.lower())


def unstressed(label: str) -> str:
    """Strip a phone of its stress digits; a phone that is a digit itself stays (X-SAMPA has them).

    Examples
    --------
    >>> unstressed("AH0"), unstressed("9")
    ('AH', '9')
    """
    return label.rstrip("0123456789") or label


@dataclass(frozen=True)
class PhoneMap:
    """A map that makes the labels of two phone sets comparable."""

    renamed: Mapping[str, str] = field(default_factory=dict)
    """Label -> the label that it counts as, in the reference and in the alignment."""
    folded: bool = True
    """Whether labels that are not renamed fold to the 39 classes (`fold`), closures join their bursts and
    glottal stops are dropped; otherwise labels stay as they are, but for stress in ARPAbet."""

    def __call__(self, label: str) -> str:
        """Map a label to the class that it is compared in.

        Examples
        --------
        >>> PhoneMap({"ɑː": "aa"})("ɑː"), PhoneMap({}, folded=False)("S"), PhoneMap({}, folded=False)("AH0")
        ('aa', 'S', 'AH')
        """
        plain = fold(label) if self.folded else without_stress(label)
        name = self.renamed.get(label) or self.renamed.get(plain) or label
        folded = fold(name)
        return folded if self.folded or folded == SILENCE else without_stress(name)


def parse_map(text: str, path: str | Path = "map", folded: bool = True) -> PhoneMap:
    """A map from YAML: ``label: class``, or as the Montreal Forced Aligner has it, ``class: [label, label]``.

    Examples
    --------
    >>> parse_map("ɑː: aa\\nih: [ɪ, ɨ]").renamed
    {'ɑː': 'aa', 'ɪ': 'ih', 'ɨ': 'ih'}

    Raises
    ------
    DataError
        If it is not YAML, or something else than labels is in it.
    """
    import yaml  # only those who have a map need it

    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        line = getattr(getattr(error, "problem_mark", None), "line", -1) + 1
        raise DataError(
            f"{path}:{line}" if line else path, "it is not YAML", "write lines of label: class"
        ) from error
    if not isinstance(content, dict):
        raise DataError(path, "it is not a map", "write lines of label: class, or class: [label, label]")
    return PhoneMap(_renamed(content, path), folded)


def _renamed(content: Mapping[object, object], path: str | Path) -> dict[str, str]:
    """Read a map's entries, written either way round, as label -> class."""
    renamed: dict[str, str] = {}
    for name, value in content.items():
        for one in value if isinstance(value, list) else [value]:
            if (
                isinstance(one, (dict, list))
                or one is None
                or isinstance(one, bool)
                or isinstance(name, bool)
            ):
                raise DataError(
                    path,
                    f"the entry {name!r} is not a label or a list of labels",
                    "write labels such as 'no' or 'y' in quotes",
                )
            key, to = (one, name) if isinstance(value, list) else (name, one)
            renamed[str(key)] = str(to)
    return renamed


def suggestion(overlap: Mapping[tuple[str, str], float]) -> dict[str, str]:
    """For each label that only the alignment has, the one of only the reference that it shares most time
    with.

    Labels whose time is spread over many get none.

    Parameters
    ----------
    overlap : mapping of (str, str) to float
        Seconds that a reference label and an aligned label have in common.
    """
    references, labels = ({pair[k] for pair in overlap} for k in (0, 1))
    found = {}
    for label in sorted(labels - references):
        shared = {r: seconds for (r, aligned), seconds in overlap.items() if aligned == label}
        only = {r: seconds for r, seconds in shared.items() if r not in labels}
        most = max(only, key=lambda r: only[r], default=None)
        if most is not None and only[most] > LEAST_SHARED_TIME * sum(shared.values()):
            found[label] = most
    return found


def plain(label: str) -> str:
    """Quote a label for YAML where it would be read as something else."""
    if re.fullmatch(r"[A-Za-z][A-Za-z_]*", label) and label.lower() not in (
        "y",
        "n",
        "yes",
        "no",
        "on",
        "off",
        "true",
        "false",
        "null",
    ):
        return label
    return '"' + label.replace("\\", "\\\\").replace('"', '\\"') + '"'
