"""The times of a recording of which parts were left out before it was heard, and the way back to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from aligner.types import DECIMALS, SILENCE_LABEL, Edge, Interval

SURE = 1.0  # confidence of a silence that is nothing but what was left out


class Cut(NamedTuple):
    """A part that was left out of a rest, in which all is alike.

    Times are in seconds from the start of the utterance, as it is heard.
    """

    seconds: float
    """How long the part is."""
    first: float
    """Where what is left of the rest begins."""
    last: float
    """Where it ends."""


@dataclass(frozen=True)
class Cuts:
    """What was left out of an utterance before it was heard, which is shorter than its recording then.

    Where exactly a part goes in again is known when the phones are: into a silence in its rest.

    Examples
    --------
    >>> cuts = Cuts((Cut(seconds=9.0, first=0.4, last=0.8),))
    >>> phones = [Interval(0.0, 0.5, "AA"), Interval(0.5, 0.9, ""), Interval(0.9, 1.5, "T")]
    >>> [(p.start, p.end) for p in cuts.restored(phones).tier(phones)]
    [(0.0, 0.5), (0.5, 9.9), (9.9, 10.5)]
    """

    parts: tuple[Cut, ...] = ()
    """The parts in their order."""

    @property
    def seconds(self) -> float:
        """How many seconds were left out."""
        return sum(part.seconds for part in self.parts)

    def restored(self, phones: Sequence[Interval]) -> Restored:
        """The way back, with each part in a silence of the ``phones`` that tile what was heard; where its
        rest has none, between two of them.
        """
        if not self.parts:
            return Restored()
        start = phones[0].start
        return Restored(
            tuple((_place(start + c.first, start + c.last, phones), c.seconds) for c in self.parts)
        )

    def heard(self, times: np.ndarray) -> np.ndarray:
        """When something is heard that is at ``times``, both in seconds from the start of the utterance."""
        recorded, heard = [0.0], [0.0]
        before = 0.0
        for seconds, first, last in self.parts:
            recorded += [first + before, last + before + seconds]
            heard += [first, last]
            before += seconds
        found: np.ndarray = np.interp(times, recorded, heard)
        beyond = np.asarray(times) > recorded[-1]
        return np.where(beyond, np.asarray(times) - before, found)


@dataclass(frozen=True)
class Restored:
    """The way back from what was heard to the recording; all times are in seconds from its start."""

    places: tuple[tuple[float, float], ...] = ()
    """Where each part goes in again, in what was heard, and how many seconds it lasts."""

    def time(self, heard: float, before: bool = False) -> float:
        """When in the recording something is that was heard at a time; where a part goes in right there,
        behind it or ``before`` it.
        """
        if not self.places:
            return heard
        more = sum(seconds for at, seconds in self.places if at < heard or (at == heard and not before))
        return round(heard + more, DECIMALS)

    def tier(self, heard: Sequence[Interval]) -> tuple[Interval, ...]:
        """The intervals of a tier that tiles what was heard, so that they tile the recording."""
        return tuple(interval for interval, _ in self._tiles(heard)) if self.places else tuple(heard)

    def edges(self, edges: Sequence[Edge], phones: Sequence[Interval]) -> tuple[Edge, ...]:
        """The edges between ``phones`` that were heard, as those between the phones of the recording."""
        if not self.places or not edges:
            return tuple(edges)
        return tuple(
            _moved(edges[source - 1], tile.start) if source else Edge(tile.start, tile.start, tile.start)
            for tile, source in self._tiles(phones)[1:]
        )

    def _tiles(self, heard: Sequence[Interval]) -> list[tuple[Interval, int | None]]:
        """The intervals of `tier`, each with its place among those that were heard; None if it is new."""
        found: list[tuple[Interval, int | None]] = []
        now = heard[0].start
        for k, interval in enumerate(heard):
            start, end = self.time(interval.start), self.time(interval.end, before=True)
            if start > now:
                start = _fill(found, now, start, interval)
            found.append((replace(interval, start=start, end=end), k))
            now = end
        last = self.time(heard[-1].end)
        if last > now:
            _fill(found, now, last, None)
        return found


NOTHING_CUT, AS_HEARD = Cuts(), Restored()


def _fill(
    found: list[tuple[Interval, int | None]], first: float, last: float, then: Interval | None
) -> float:
    """Give a gap to the silence beside it, or to a new one; returns where ``then`` begins."""
    if then is not None and then.label == SILENCE_LABEL:
        return first
    if found and found[-1][0].label == SILENCE_LABEL:
        silence, source = found[-1]
        found[-1] = replace(silence, end=last), source
    else:
        found.append((Interval(first, last, SILENCE_LABEL, SURE), None))
    return last


def _place(first: float, last: float, phones: Sequence[Interval]) -> float:
    """Where in a rest from ``first`` to ``last`` s a part goes in: into its longest silence, or else between
    two phones.
    """
    edges = [phones[0].start, *(p.end for p in phones)]
    if first <= edges[0] or last >= edges[-1]:
        return edges[0] if first <= edges[0] else edges[-1]
    within = [
        (min(p.end, last) - max(p.start, first), (min(p.end, last) + max(p.start, first)) / 2)
        for p in phones
        if p.label == SILENCE_LABEL and p.end > first and p.start < last
    ]
    if within:
        return max(within)[1]
    middle = (first + last) / 2
    return min(edges, key=lambda edge: abs(edge - middle))


def _moved(edge: Edge, time: float) -> Edge:
    by = time - edge.time
    return Edge(time, round(edge.low + by, DECIMALS), round(edge.high + by, DECIMALS))
