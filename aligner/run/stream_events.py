"""What is reported of a recording while it comes in: words and phones, those that move, and the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from aligner.types import DECIMALS, NOISE_LABEL, SILENCE_LABEL, Interval

REFINED = 0.1  # s that a boundary moves at most by being refined: one that moves farther was wrong


@dataclass(frozen=True, kw_only=True)
class Event:
    """A word or phone that is reported, or the end."""

    kind: str
    """'word' or 'phone'; 'revised' where a word or phone that was reported is somewhere else after all, or
    (``start`` None) is not there; 'end'."""

    heard: float
    """Seconds of the recording that were heard by then."""

    start: float | None
    """When it begins, in seconds; 0 for the end."""

    end: float | None
    """When it ends, in seconds; for the end, when the recording does."""

    label: str = ""
    """The word or phone; '' for the end."""

    tier: str = ""
    """'words' or 'phones'; '' for the end."""

    was: tuple[float, float] | None = None
    """Start and end that were reported before, where they are revised."""

    delay: float | None = None
    """Seconds from the end of a word until it was reported, computing included."""

    about: Mapping[str, Any] = field(default_factory=dict)
    """What there is to say of the whole, at the end."""

    def fields(self) -> dict[str, Any]:
        """The fields of the event's line of JSON."""
        line: dict[str, Any] = {
            "event": self.kind,
            "start": self.start,
            "end": self.end,
            "label": self.label,
            "heard": round(self.heard, DECIMALS),
        }
        if self.was is not None:
            line |= {"tier": self.tier, "was": list(self.was)}
        if self.delay is not None:
            line["delay"] = round(self.delay, 4)
        return line | dict(self.about)


class Reported:
    """The words and phones that were reported, each under the number that it has in its tier.

    Attributes
    ----------
    words, phones : dict of int to Interval
        As they were last reported: words by their token, phones by their place on the path.
    delays : list of float
        Seconds from the end of each word until it was reported.
    revised : int
        How many reports changed an earlier one.
    """

    def __init__(self) -> None:
        self.words: dict[int, Interval] = {}
        self.phones: dict[int, Interval] = {}
        self.delays: list[float] = []
        self.revised = 0

    def report(self, tier: str, key: int, new: Interval | None, *, heard: float, now: float) -> list[Event]:
        """Report a word or phone, if that is news.

        Parameters
        ----------
        tier : {'words', 'phones'}
        key : int
            Its number in the tier.
        new : Interval or None
            Where it is; None where it is not there.
        heard : float
            Seconds of the recording that were heard.
        now : float
            The same with the seconds that were computed since.
        """
        known = self.words if tier == "words" else self.phones
        old = known.get(key)
        if (old is None and new is None) or (old and new and _place(old) == _place(new)):
            return []
        if new is None:
            del known[key]
        else:
            known[key] = new
        if old is None:
            assert new is not None
            return [self._first(tier, new, heard, now)]
        self.revised += 1
        return [
            Event(
                kind="revised",
                heard=heard,
                start=None if new is None else new.start,
                end=None if new is None else new.end,
                label=old.label if new is None else new.label,
                tier=tier,
                was=(old.start, old.end),
            )
        ]

    def _first(self, tier: str, new: Interval, heard: float, now: float) -> Event:
        """The first report of a word or phone."""
        delay = None
        if tier == "words":
            delay = now - new.end
            self.delays.append(delay)
        return Event(
            kind=tier.removesuffix("s"),
            heard=heard,
            start=new.start,
            end=new.end,
            label=new.label,
            tier=tier,
            delay=delay,
        )


def as_aligned(found: Mapping[int, Interval], aligned: Sequence[Interval]) -> dict[int, Interval]:
    """What a search has found, and where the alignment of the whole has it, if that is far away.

    Parameters
    ----------
    found : mapping of int to Interval
        Words or phones by their numbers.
    aligned : sequence of Interval
        The tier of the alignment; where it holds others than were found, nothing can be compared.

    Examples
    --------
    >>> found = {0: Interval(0.1, 0.3, "so"), 1: Interval(0.3, 0.5, "it")}
    >>> as_aligned(found, [Interval(0.12, 0.3, "so"), Interval(0.3, 0.8, "it")])[1].end
    0.8
    """
    sounds = [i for i in aligned if i.label not in (SILENCE_LABEL, NOISE_LABEL)]
    if [found[k].label for k in sorted(found)] != [i.label for i in sounds]:
        return dict(found)
    return {
        k: replace(i, confidence=found[k].confidence) if _far(found[k], i) else found[k]
        for k, i in zip(sorted(found), sounds, strict=True)
    }


def _far(one: Interval, other: Interval) -> bool:
    return max(abs(one.start - other.start), abs(one.end - other.end)) > REFINED


def _place(interval: Interval) -> tuple[float, float, str]:
    return interval.start, interval.end, interval.label
