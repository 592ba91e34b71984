"""What a backend has found, laid into words whose times are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from aligner.backends.base import NO_OWNER, Found, Heard
from aligner.backends.bounds import inner_starts
from aligner.graph import NONE
from aligner.text.phones import kind
from aligner.types import NOISE_LABEL, SILENCE_LABEL, Clock, Interval


def held(found: Found, heard: Heard, clock: Clock, shortest: float) -> Found:
    """What was found, with each word from where to where it is known to be, and silences between.

    Where no words are known, it is the same, with no word where the recording is not.

    Parameters
    ----------
    found : Found
    heard : Heard
    clock : Clock
        Of the backend's frames.
    shortest : float
        Seconds that a phone lasts at least, for the backend.
    """
    bounds = heard.bounds
    if bounds is None:
        phones = heard.cuts.confined(found.phones, shortest)
        return replace(
            found, phones=heard.sustained.confined(phones, shortest, _holds) if heard.sung else phones
        )
    labels: list[str] = []
    owners: list[int] = []
    starts: list[float] = []
    places = _places(found.owners)
    for word, token in zip(bounds.words, bounds.tokens, strict=True):
        own = places.get(token, [])
        if token == NONE or not own:  # a noise that the backend has no sound for has no phones
            labels.append(SILENCE_LABEL if token == NONE else NOISE_LABEL)
            owners.append(NO_OWNER if token == NONE else token)
            starts.append(word.start)
            continue
        edges = [*(found.phones[k].start for k in own), found.phones[own[-1]].end]
        labels += [found.phones[k].label for k in own]
        owners += [found.owners[k] for k in own]
        starts += inner_starts(word, edges, shortest)
    ends = [*starts[1:], bounds.words[-1].end]
    return replace(
        found,
        phones=tuple(Interval(a, b, label) for a, b, label in zip(starts, ends, labels, strict=True)),
        owners=owners,
        firsts=_frames(starts, clock, heard.start, len(found.evidence.margin)),
    )


def _holds(label: str) -> int:
    """How well a phone can hold a note; what the transcript lacks may be music."""
    if label == NOISE_LABEL:
        return 2
    return {"vowel": 2, "nasal": 1, "liquid": 1, "other": 1}.get(kind(label), 0)


def _places(owners: Sequence[int]) -> dict[int, list[int]]:
    """The places of each token's phones, with the silences between these."""
    places: dict[int, list[int]] = {}
    for k, owner in enumerate(owners):
        if owner != NO_OWNER:
            places.setdefault(owner, []).append(k)
    return {
        token: [k for k in range(own[0], own[-1] + 1) if owners[k] in (token, NO_OWNER)]
        for token, own in places.items()
    }


def _frames(starts: Sequence[float], clock: Clock, begin: float, count: int) -> list[int]:
    """The first frame of each phone: ascending from 0, at least one for each while there are enough."""
    frames = [min(max(round(clock.frame(t - begin)), 0), count - 1) for t in starts]
    frames[0] = 0
    for k in range(1, len(frames)):
        frames[k] = max(frames[k], frames[k - 1] + 1)
    last = count
    for k in range(len(frames) - 1, 0, -1):
        frames[k] = last = min(frames[k], last - 1)
    return frames
