"""Speakers' names and times at the beginning of transcripts' lines: taken off, and told."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from aligner.formats.turns import names_in, prefixes, without_prefixes
from aligner.types import Caution, Failure, Notice, Utterance

MOST_NAMES = 3  # that a caution lists


@dataclass
class _Taken:
    """What was taken off the lines of one source."""

    utterance: Utterance
    """The first utterance that it was taken off."""
    names: list[str] = field(default_factory=list)
    """Names of speakers, each once."""
    times: int = 0
    """Lines with a time."""


def unprefixed(found: Sequence[Utterance | Failure]) -> tuple[list[Utterance | Failure], list[Caution]]:
    """Take speakers' names and times off the lines of transcripts.

    An interval of a TextGrid that begins with a name is this speaker's.  Other transcripts are of one
    utterance, whoever speaks: it keeps its speaker.

    Parameters
    ----------
    found : sequence of Utterance or Failure

    Returns
    -------
    found : list of Utterance or Failure
        The same without names and times.
    cautions : list of Caution
        One that tells of names, and one that tells of times, where there are any.

    Examples
    --------
    >>> [utterance], [caution] = unprefixed([Utterance("a", Path("a.wav"), "Bob: hi\\nAnna: yes", file="a")])
    >>> utterance.transcript, caution.rule.split(")")[0]
    ('hi\\nyes', 'the names at the beginning of its lines (Bob, Anna')
    """
    lines: dict[tuple[Path | None, str], list[str]] = defaultdict(list)
    for u in found:
        if isinstance(u, Utterance):
            lines[_source(u)] += u.transcript.split("\n")
    known = {source: names_in(own) for source, own in lines.items()}
    taken: dict[tuple[Path | None, str], _Taken] = {}
    plain = [
        _plain(u, known[_source(u)], taken) if isinstance(u, Utterance) and u.transcript else u for u in found
    ]
    return plain, list(_cautions(taken.values()))


def _source(utterance: Utterance) -> tuple[Path | None, str]:
    """What holds the transcript: a file, or, where it came without one, the recording."""
    return (utterance.source, "") if utterance.source else (None, utterance.file)


def _plain(
    utterance: Utterance, known: frozenset[str], taken: dict[tuple[Path | None, str], _Taken]
) -> Utterance:
    begins = prefixes(utterance.transcript, known)
    if not begins:
        return utterance
    of_source = taken.setdefault(_source(utterance), _Taken(utterance))
    names = list(dict.fromkeys(b.name for b in begins if b.name))
    of_source.names += [name for name in names if name not in of_source.names]
    of_source.times += sum(b.timed for b in begins)
    speaker = names[0] if len(names) == 1 and utterance.end is not None else utterance.speaker
    return replace(utterance, transcript=without_prefixes(utterance.transcript, begins), speaker=speaker)


def _cautions(taken: Iterable[_Taken]) -> Iterable[Caution]:
    all_taken = list(taken)
    named = [t for t in all_taken if t.names]
    if named:
        names = ", ".join(named[0].names[:MOST_NAMES]) + (", ..." if named[0].names[MOST_NAMES:] else "")
        yield _caution(
            named,
            f"the names at the beginning of its lines ({names}) are taken for speakers', and not aligned",
            "write them without the colon if they are said",
        )
    timed = [t for t in all_taken if t.times]
    if timed:
        rule = "the times at the beginning of its lines are not taken for words, nor for the times of these"
        yield _caution(timed, rule, "write a TextGrid if they are to count, or words if they are said")


def _caution(taken: Sequence[_Taken], rule: str, remedy: str) -> Caution:
    """The caution about the first of several sources, with the number of the others."""
    first = taken[0].utterance
    more = f"; so it is with {len(taken) - 1} more" if taken[1:] else ""
    where = first.source.name if first.source else first.file
    return Caution(where=where, rule=f"{rule}{more}", remedy=remedy, fault=Notice.TEXT)
