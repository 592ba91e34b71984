"""The times of a recording of which parts were left out before it was heard, and the way back to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf
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
    head: float = 0.0
    """How many seconds more were left out at the start of what stayed without the parts; or, where negative,
    how many of its own background were put there."""
    tail: float = 0.0
    """The same at its end."""

    @property
    def seconds(self) -> float:
        """How many seconds were left out, less those that were put on."""
        return sum(part.seconds for part in self.parts) + self.head + self.tail

    def restored(self, phones: Sequence[Interval]) -> Restored:
        """The way back, with each part in a silence of the ``phones`` that tile what was heard; where its
        rest has none, between two of them.
        """
        if self == NOTHING_CUT:
            return AS_HEARD
        start, way = phones[0].start, self._way(phones)
        own = [replace(p, start=way.own(p.start), end=way.own(p.end)) for p in phones]
        places = ((_place(start + c.first, start + c.last, own), c.seconds) for c in self.parts)
        return replace(way, places=tuple(places))

    def _way(self, phones: Sequence[Interval]) -> Restored:
        """The way back to what stayed without the parts."""
        first, last = phones[0].start - min(self.head, 0.0), phones[-1].end + min(self.tail, 0.0)
        return Restored(first=first, last=last, head=self.head, tail=max(self.tail, 0.0))

    def confined(self, phones: Sequence[Interval], shortest: float) -> tuple[Interval, ...]:
        """The ``phones`` that tile what was heard, none of which is said in what was put on; each lasts the
        ``shortest`` seconds at least that is moved for it.

        Examples
        --------
        >>> phones = [Interval(0.0, 0.1, ""), Interval(0.1, 0.4, "AA"), Interval(0.4, 0.6, "")]
        >>> [p.start for p in Cuts(head=-0.2).confined(phones, 0.03)]
        [0.0, 0.2, 0.4]
        """
        spoken = [k for k, p in enumerate(phones) if p.label != SILENCE_LABEL]
        if (self.head >= 0.0 and self.tail >= 0.0) or not spoken:
            return tuple(phones)
        way = self._way(phones)
        edges = np.array([*(p.start for p in phones), phones[-1].end])
        order = np.arange(spoken[0], spoken[-1] + 2)
        least = min(shortest, (way.last - way.first) / (len(order) - 1))
        inside = np.maximum(edges[order], way.first + least * (order - order[0]))
        edges[order] = np.minimum(inside, way.last - least * (order[-1] - order))
        edges[0], edges[-1] = phones[0].start, phones[-1].end
        times = [round(t, DECIMALS) for t in edges.tolist()]
        return tuple(replace(p, start=a, end=b) for p, a, b in zip(phones, times, times[1:], strict=False))

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
        own: np.ndarray = np.where(beyond, np.asarray(times) - before, found) - self.head
        return own.clip(min=0.0)


@dataclass(frozen=True)
class Restored:
    """The way back from what was heard to the recording; all times are in seconds from its start."""

    places: tuple[tuple[float, float], ...] = ()
    """Where each part goes in again, in what stayed without the parts, and how many seconds it lasts."""
    first: float = -inf
    """Where the recording's own sound begins in what was heard."""
    last: float = inf
    """Where it ends."""
    head: float = 0.0
    """How many seconds before the start of what was heard are its own; negative where none are."""
    tail: float = 0.0
    """How many seconds behind its end are."""

    def own(self, heard: float) -> float:
        """When something is in what stayed without the parts that was heard at a time."""
        return min(max(heard, self.first), self.last) + self.head

    def time(self, heard: float, before: bool = False) -> float:
        """When in the recording something is that was heard at a time; where a part goes in right there,
        behind it or ``before`` it.
        """
        if self == AS_HEARD:
            return heard
        own = round(self.own(heard), DECIMALS)
        more = sum(seconds for at, seconds in self.places if at < own or (at == own and not before))
        return round(own + more, DECIMALS)

    def tier(self, heard: Sequence[Interval]) -> tuple[Interval, ...]:
        """The intervals of a tier that tiles what was heard, so that they tile the recording."""
        if self == AS_HEARD:
            return tuple(heard)
        return tuple(interval for interval, _ in self._tiles(heard))

    def edges(self, edges: Sequence[Edge], phones: Sequence[Interval]) -> tuple[Edge, ...]:
        """The edges between ``phones`` that were heard, as those between the phones of the recording."""
        if self == AS_HEARD or not edges:
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
            if end <= start and interval.label == SILENCE_LABEL:
                continue  # nothing of it but what was put on
            if start > now:
                start = _fill(found, now, start, interval)
            found.append((replace(interval, start=start, end=end), k))
            now = end
        last = round(self.time(heard[-1].end) + self.tail, DECIMALS)
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
