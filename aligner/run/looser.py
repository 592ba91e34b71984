"""Trying again with sound that the transcript lacks, where an alignment looks wrong without."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from aligner.backends.base import AnyBackend, Heard, Traits, align_heard
from aligner.refine.thresholds import ENOUGH_TO_PLACE, Test
from aligner.text.normalise import BRACKETED
from aligner.types import (
    NOISE_LABEL,
    SILENCE_LABEL,
    STAR_LABEL,
    Alignment,
    DataError,
    Interval,
    Suspicion,
)

# what looks wrong where sound that the transcript lacks is taken for words, or pushes them aside
OF_MORE_SOUND = frozenset(
    {
        Test.MISFIT,
        Test.LONG_PHONE,
        Test.LONG_WORD,
        Test.CRAMMED,
        Test.CRAMMED_EDGE,
        Test.UNEVEN,
        Test.LITTLE_SPEECH,
        Test.NOISY,
    }
)


def looser(plain: Alignment, heard: Heard, backend: AnyBackend) -> Alignment:
    """The alignment with sound that the transcript lacks, where it is asked for by how one without looks, and
    fits clearly better: of what looked wrong something no longer does, and nothing else does instead.

    Where it fits better and as much looks wrong, the one without, which says so.

    Parameters
    ----------
    plain : Alignment
        The alignment without.
    heard : Heard
        What was aligned.
    backend : AnyBackend
        What aligned it.
    """
    asked = {s.test for s in plain.suspicions} & OF_MORE_SOUND
    if not asked or not may_loosen(heard, backend):
        return plain
    try:
        loose = align_heard(replace(heard, loose=True), backend)
    except DataError:  # it asks for more memory, or more frames
        return plain
    before = {s.test for s in plain.suspicions}
    after = {s.test for s in loose.suspicions} - {Test.UNTRANSCRIBED}
    if not after <= before or not _gains(plain, loose, heard.seconds, backend.traits):
        return plain
    if after < before:
        return loose
    return replace(plain, suspicions=(*plain.suspicions, _advised(_stars(loose))))


def may_loosen(heard: Heard, backend: AnyBackend) -> bool:
    """Whether more sound than the transcript has may be looked for, and was not."""
    allowed = backend.options.star is None and backend.traits.wildcard
    said = any(not BRACKETED.fullmatch(word) for token in heard.tokens for word in token.spoken)
    return allowed and said and heard.bounds is None and not heard.loose


def _stars(loose: Alignment) -> list[Interval]:
    return [w for w in loose.words if w.label == STAR_LABEL]


def _gains(plain: Alignment, loose: Alignment, seconds: float, traits: Traits) -> bool:
    """Whether an alignment with sound that the transcript lacks fits clearly better, in its whole and where
    that sound is, and what is said fits.
    """
    stars, least, rate = _stars(loose), traits.limits.gain, traits.clock.rate / traits.clock.hop
    said = sum(p.label not in (SILENCE_LABEL, NOISE_LABEL) for p in loose.phones)
    if not stars or said < ENOUGH_TO_PLACE:
        return False
    gain = (loose.log_likelihood - plain.log_likelihood) * seconds * rate
    frames = rate * sum(star.duration for star in stars)
    return gain >= least.total and gain >= least.frame * frames and loose.quality.margin >= least.margin


def _advised(stars: Sequence[Interval]) -> Suspicion:
    """That a part of what looks wrong may be sound that the transcript lacks, the longest of ``stars``."""
    longest = max(stars, key=lambda star: star.duration)
    text = (
        f"--star would take what is heard from {longest.start:.2f} to {longest.end:.2f} s as not transcribed"
    )
    return Suspicion(test=Test.STAR, text=text, at=longest.start)
