"""Moves each boundary by what the model is known to be off by between those two classes of phones.

A model places boundaries by its training, people by what they see; between a nasal and a vowel, say,
or at the edge of a silence the two differ by a fixed amount on average.  A model's table of these
averages (the median of aligned minus labelled, per pair of classes) is measured by
``recipes/offsets.py`` and kept beside the model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from aligner.text.phones import phone_class
from aligner.types import DECIMALS, Interval

# s; no interval is made shorter than this, or than it was: flaps and bursts are this long
SHORTEST_INTERVAL = 0.02


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
        `SHORTEST_INTERVAL` unless it was.
    """
    if not offsets or len(phones) < 2:
        return tuple(phones)
    late = [offsets.get((phone_class(a.label), phone_class(b.label)), 0.0) for a, b in pairwise(phones)]
    return with_starts(phones, [p.start - seconds for p, seconds in zip(phones[1:], late, strict=True)])


def corrected_end(
    edge: float, phone: Interval, after: str, offsets: Mapping[tuple[str, str], float]
) -> float:
    """Where a phone ends that begins at ``edge`` after correction; `correct` boundary by boundary, from the
    left.

    The two differ only where the phones before the end of a recording are pushed together by it.

    Parameters
    ----------
    edge : float
        Its corrected start.
    phone : Interval
        As the search left it.
    after : str
        The label of the next one.
    offsets : mapping of (str, str) to float
        As in `correct`.

    Examples
    --------
    >>> corrected_end(0.1, Interval(0.12, 0.3, "AA"), "S", {("vowel", "fricative"): 0.01})
    0.29
    """
    if not offsets:
        return phone.end
    late = offsets.get((phone_class(phone.label), phone_class(after)), 0.0)
    return max(
        round(phone.end - late, DECIMALS), round(edge + min(SHORTEST_INTERVAL, phone.duration), DECIMALS)
    )


def with_starts(phones: Sequence[Interval], starts: Sequence[float]) -> tuple[Interval, ...]:
    """Phones with other ``starts`` (of all but the first); none gets shorter than `SHORTEST_INTERVAL`.

    Examples
    --------
    >>> phones = [Interval(0.0, 0.1, "a"), Interval(0.1, 0.11, "t"), Interval(0.11, 0.3, "a")]
    >>> [(p.start, p.end) for p in with_starts(phones, [0.2, 0.1])]
    [(0.0, 0.2), (0.2, 0.21), (0.21, 0.3)]
    """
    edges = [phones[0].start, *(round(t, DECIMALS) for t in starts), phones[-1].end]
    least = [min(SHORTEST_INTERVAL, p.duration) for p in phones]
    for k in range(1, len(phones)):  # from the left: none may begin too early
        edges[k] = max(edges[k], round(edges[k - 1] + least[k - 1], DECIMALS))
    for k in range(len(phones) - 1, 0, -1):  # from the right: none may end too late
        edges[k] = min(edges[k], round(edges[k + 1] - least[k], DECIMALS))
    return tuple(
        Interval(a, b, p.label, p.confidence) for a, b, p in zip(edges, edges[1:], phones, strict=False)
    )
