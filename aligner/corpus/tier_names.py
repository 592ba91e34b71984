"""Tiers of words and of phones are told by their names, as people and other programs write them.

``words`` and ``phones``, and ``SPEAKER - words``, are the names that the Montreal Forced Aligner and this
package write.  Where a file has none of these, other habits are understood: another case, the singular,
other languages, WebMAUS's ``ORT-MAU`` and ``MAU``, SPPAS's ``TokensAlign``, FAVE's ``SPEAKER - word``.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from aligner.formats.base import Tiers
from aligner.types import Interval

PHONES, WORDS = "phones", "words"
MARKS = "corrected"  # a tier that marks which boundaries of the others a person has corrected
KINDS = (PHONES, WORDS)
# what a tier of the kind is called, as `folded` writes it
_SURE = {
    PHONES: (
        "phones phone phoneme phonemes phonemic phn phns phons mau phonalign phon-align phone-tier "
        "phones-tier phonème phonèmes laut laute fonema fonemas fonemi foni fonem fonemy fonemen foneem "
        "foneemit фонема фонемы звуки 音素 음소"
    ),
    WORDS: (
        "words word wrd wrds ort-mau tokensalign tokens-align word-tier words-tier mot mots wort wörter "
        "palabra palabras palavra palavras parola parole woord woorden ord sana sanat slovo slova słowo "
        "słowa слово слова 単語 词 词语 單詞 单词 단어"
    ),
}
# what may be called so, but sentences too: it is one of the kind where no label has a space in it
_LIKELY = {
    PHONES: "segment segments seg segs segmente sound sounds phonetic phonetics",
    WORDS: "ort orth orthography token tokens",
}
_BETWEEN = re.compile(r"\s+[-–—]\s+|\s*[_:/@|]\s*")  # characters between a speaker and a kind
_IN_BRACKETS = re.compile(r"(.+?)\s*[(\[](.+)[)\]]")
_AT_THE_END = re.compile(r"(.+)[\s-](words?|phone(?:me)?s?)", re.IGNORECASE)  # the kind, behind a speaker
LOOSE = 10  # how far from the usual one a name is whose speaker may be none


@dataclass(frozen=True)
class TierNames:
    """What the tiers of labels are called; ``SPEAKER - NAME`` is understood, too.

    The usual names stand for all that `kind_of` knows; any other name is meant as it is.
    """

    phones: str = PHONES
    """The name of the tier of phones."""
    words: str = WORDS
    """The name of the tier of words."""
    options: tuple[str, str] = ("aligner evaluate --phones", "aligner evaluate --words")
    """How a user names the two, for messages."""


@dataclass(frozen=True)
class Ambiguous:
    """Several tiers that may be the one that is meant."""

    kind: str
    """`PHONES` or `WORDS`."""
    names: tuple[str, ...]
    """The names of the tiers."""


Chosen = Mapping[str, Mapping[str, str]]  # names of tiers, by speaker and by kind


def folded(name: str) -> str:
    """Return a name as names are compared: composed, in small letters, with hyphens between its words.

    Examples
    --------
    >>> folded(" ORT_MAU "), folded("Phone Tier")
    ('ort-mau', 'phone-tier')
    """
    return re.sub(r"[\s_]+", "-", unicodedata.normalize("NFC", name).casefold().strip())


_SURE_NAMES = {kind: frozenset(map(folded, names.split())) for kind, names in _SURE.items()}
_LIKELY_NAMES = {kind: frozenset(names.split()) for kind, names in _LIKELY.items()}


def kind_of(name: str, intervals: Sequence[Interval] = ()) -> tuple[str, str] | None:
    """Return the speaker (``""`` where none is named) and the kind of a tier; None for one of another kind.

    Parameters
    ----------
    name : str
        The tier's name.
    intervals : sequence of Interval
        Its intervals, which decide where the name may stand for sentences, too.

    Examples
    --------
    >>> kind_of("Anna - words"), kind_of("MAU"), kind_of("phones (S1)"), kind_of("remarks")
    (('Anna', 'words'), ('', 'phones'), ('S1', 'phones'), None)
    """
    found = _candidate(name, intervals)
    return None if found is None else found[1:]


def _candidate(name: str, intervals: Sequence[Interval]) -> tuple[int, str, str] | None:
    """Return how far a tier's name is from the usual one (0 is equal), its speaker and its kind."""
    for kind in KINDS:
        if name == kind or name.endswith(f" - {kind}"):
            return 0, name.removesuffix(kind).removesuffix(" - "), kind
    kind_alone = _kind_alone(name, intervals)
    if kind_alone is not None:
        return (*kind_alone[:1], "", kind_alone[1])
    for rank, speaker, rest in _splits(name):
        kind_beside = _kind_alone(rest, intervals)
        if kind_beside is not None and speaker:
            return rank + kind_beside[0], speaker, kind_beside[1]
    return None


def _kind_alone(name: str, intervals: Sequence[Interval]) -> tuple[int, str] | None:
    """Return how far a name without a speaker is from the usual one, and its kind."""
    plain = folded(name)
    for kind in KINDS:
        if plain in _SURE_NAMES[kind]:
            return 1, kind
    if any(len(i.label.split()) > 1 for i in intervals):
        return None
    return next(((2, kind) for kind in KINDS if plain in _LIKELY_NAMES[kind]), None)


def _splits(name: str) -> list[tuple[int, str, str]]:
    """Return the ways to split a name into a speaker and a kind, each with how far it is from the usual."""
    whole = name.strip()
    found = []
    if " - " in whole:
        speaker, _, rest = whole.rpartition(" - ")
        found.append((0, speaker.strip(), rest))
    if bracketed := _IN_BRACKETS.fullmatch(whole):
        found += [(LOOSE, bracketed[2].strip(), bracketed[1]), (LOOSE, bracketed[1].strip(), bracketed[2])]
    gaps = list(_BETWEEN.finditer(whole))
    for gap in gaps[-1:] + gaps[:1]:
        first, second = whole[: gap.start()].strip(), whole[gap.end() :].strip()
        found += [(LOOSE, first, second), (LOOSE, second, first)]
    if ended := _AT_THE_END.fullmatch(whole):
        found.append((LOOSE, ended[1].strip(), ended[2]))
    return found


def choose(tiers: Tiers, names: TierNames) -> tuple[Chosen, tuple[Ambiguous, ...]]:
    """Choose the tiers of phones and of words, by speaker, and tell what cannot be chosen.

    Parameters
    ----------
    tiers : Tiers
        The names and intervals of a file's tiers.
    names : TierNames
        What they are called.

    Returns
    -------
    chosen : mapping
        Names of tiers by speaker and kind.
    ambiguous : tuple of Ambiguous
        What several tiers may be.

    Examples
    --------
    >>> choose([("Words", []), ("MAU", []), ("notes", [])], TierNames())
    ({'': {'phones': 'MAU', 'words': 'Words'}}, ())
    """
    chosen: dict[str, dict[str, str]] = {}
    ambiguous = []
    for kind, wanted in ((PHONES, names.phones), (WORDS, names.words)):
        found = _usual(tiers, kind) if wanted == kind else named(tiers, wanted)
        for speaker, candidates in found.items():
            if len(candidates) > 1:
                ambiguous.append(Ambiguous(kind, tuple(candidates)))
            else:
                chosen.setdefault(speaker, {})[kind] = candidates[0]
    return _of_one_speaker(chosen), tuple(ambiguous)


def _of_one_speaker(chosen: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    """Return the choice with ``phones`` and ``words (auto)`` as one speaker's: "auto" is none."""
    if len(chosen) == 2 and "" in chosen:
        (other,) = chosen.keys() - {""}
        if not chosen[""].keys() & chosen[other].keys():
            return {"": chosen[""] | chosen[other]}
    return chosen


def _usual(tiers: Tiers, kind: str) -> dict[str, list[str]]:
    """Return the tiers of a kind by speaker: of several, those whose names are nearest to the usual one."""
    found = [(c, name) for name, intervals in tiers if (c := _candidate(name, intervals)) and c[2] == kind]
    if any(rank < LOOSE for (rank, _, _), _ in found):  # `phones (old)` names no speaker beside `phones`
        found = [f for f in found if f[0][0] < LOOSE]
    by_speaker: dict[str, dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
    for (rank, speaker, _), name in found:
        by_speaker[speaker][rank].append(name)
    return {speaker: list(dict.fromkeys(ranked[min(ranked)])) for speaker, ranked in by_speaker.items()}


def named(tiers: Iterable[tuple[str, Sequence[Interval]]], wanted: str) -> dict[str, list[str]]:
    """Return the tiers of a name that a user gave, by speaker; where none is written so, in any case.

    Examples
    --------
    >>> named([("Corrected", []), ("Anna - Corrected", [])], "corrected")
    {'': ['Corrected'], 'Anna': ['Anna - Corrected']}
    """
    there = [name for name, _ in tiers]
    for alike in (str, folded):
        found: dict[str, list[str]] = {}
        for name in there:
            if alike(name) == alike(wanted):
                found.setdefault("", []).append(name)
            elif alike(name.rpartition(" - ")[2]) == alike(wanted) and " - " in name:
                found.setdefault(name.rpartition(" - ")[0], []).append(name)
        if found:
            return {speaker: list(dict.fromkeys(same)) for speaker, same in found.items()}
    return {}
