"""Moves each boundary by what the model is known to be off by between those two classes of phones.

A model places boundaries by its training, people by what they see; between a nasal and a vowel, say,
or at the edge of a silence the two differ by a fixed amount on average.  A model's table of these
averages (the median of aligned minus labelled, per pair of classes) is measured by
``recipes/offsets.py`` and kept beside the model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from aligner.types import DECIMALS, Interval

SHORTEST = 0.02  # s; no interval is made shorter than this, or than it was: flaps and bursts are this long

CLASSES = {phone: name for name, phones in {
    "vowel": "AA AE AH AO AW AX AXR AY EH ER EY IH IX IY OW OY UH UW UX", "stop": "B D G P T K DX CH JH Q",
    "fricative": "S SH Z ZH F V TH DH HH HV", "nasal": "M N NG EM EN ENG NX", "liquid": "L R W Y EL",
}.items() for phone in phones.split()}


def phone_class(label: str) -> str:
    """The class of an ARPAbet phone, with or without stress; anything unknown is a silence or noise.

    Examples
    --------
    >>> phone_class("AH0"), phone_class("")
    ('vowel', 'silence')
    """
    return CLASSES.get(label.rstrip("012").upper(), "silence")


def correct(phones: Sequence[Interval], offsets: Mapping[tuple[str, str], float]) -> tuple[Interval, ...]:
    """Phones with every boundary between them moved by the offset of its pair of classes.

    Parameters
    ----------
    phones : sequence of Interval
        Without gaps.
    offsets : mapping of (str, str) to float
        (class before, class after) -> how late the model is there, in seconds.

    Returns
    -------
    tuple of Interval
        The same labels in the same order, from the same start to the same end, none shorter than
        `SHORTEST` unless it was.
    """
    if not offsets or len(phones) < 2:
        return tuple(phones)
    edges = [phones[0].start]
    for left, right in pairwise(phones):
        late = offsets.get((phone_class(left.label), phone_class(right.label)), 0.0)
        edges.append(round(right.start - late, DECIMALS))
    edges.append(phones[-1].end)
    least = [min(SHORTEST, p.duration) for p in phones]
    for k in range(1, len(phones)):  # from the left: none may begin too early
        edges[k] = max(edges[k], edges[k - 1] + least[k - 1])
    for k in range(len(phones) - 1, 0, -1):  # from the right: none may end too late
        edges[k] = min(edges[k], edges[k + 1] - least[k])
    return tuple(Interval(a, b, p.label, p.confidence) for a, b, p in zip(edges, edges[1:], phones, strict=False))


