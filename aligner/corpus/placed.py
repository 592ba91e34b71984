"""TextGrids whose tiers hold words with their times, as transcripts: which tiers are read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from aligner.corpus.tier_names import WORDS, folded, kind_of
from aligner.formats.base import Tiers
from aligner.formats.silences import is_silence
from aligner.formats.textgrid import read_textgrid
from aligner.types import Caution, Failure, Notice, Utterance

# names of tiers, as `folded` writes them, whose boundaries are kept; sentences stand in others of the kind,
# and some are names of people (Sana, Mot)
WORD_TIER = re.compile(
    r"(?<![^\W_])(words?|wrds?|ort-mau|tokens-?align|mots|wörter|palabras|palavras|parole|woorden|sanat|slova|"
    r"słowa|слова|単語|词语|单词|單詞|단어)(?![^\W_])"
)


def tiers_of_words(tiers: Tiers) -> dict[str, str]:
    """The tiers whose intervals are words: their names, with their speakers (``""`` where none is named).

    Examples
    --------
    >>> from aligner.types import Interval
    >>> tiers_of_words([("Anna - words", [Interval(0, 1, "yes")]), ("words", [Interval(0, 1, "oh yes")])])
    {'Anna - words': 'Anna'}
    """
    found = {}
    for name, intervals in tiers:
        kind = kind_of(name, intervals)
        labels = [i.label.split() for i in intervals if not is_silence(i.label)]
        single = 2 * sum(len(label) == 1 for label in labels) > len(labels)
        if kind is not None and kind[1] == WORDS and WORD_TIER.search(folded(name)) and single:
            found[name] = kind[0].strip()
    return found


def passed_over(found: Iterable[Utterance | Failure]) -> list[Caution]:
    """One caution about all TextGrids that have tiers of words, and others with text, which are not read."""
    placed = (u.source for u in found if isinstance(u, Utterance) and u.known and u.source is not None)
    beside = {source: _others(source) for source in dict.fromkeys(placed)}
    several = [(source, names) for source, names in beside.items() if names]
    if not several:
        return []
    source, names = several[0]
    more = f"; so it is with {len(several) - 1} more" if several[1:] else ""
    rule = f"its words are taken with their times, and its tiers {', '.join(map(repr, names))} are not read"
    remedy = "take them out, or rename the tier of words where each tier is a speaker's"
    return [Caution(where=source.name, rule=f"{rule}{more}", remedy=remedy, fault=Notice.TEXT)]


def _others(source: Path) -> list[str]:
    """The tiers of a TextGrid that have text and are none of words."""
    tiers = read_textgrid(source)
    own = tiers_of_words(tiers)
    return [
        name
        for name, intervals in tiers
        if name not in own and not all(is_silence(i.label) for i in intervals)
    ]
