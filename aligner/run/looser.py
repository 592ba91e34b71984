"""Trying again with sound that the transcript lacks, where an alignment looks wrong without."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from aligner.backends.base import AnyBackend, Heard, align_heard
from aligner.refine.thresholds import Test
from aligner.text.normalise import BRACKETED
from aligner.types import STAR_LABEL, Alignment, DataError, Interval, Suspicion

LEAST_STAR = 0.2  # s of sound that the transcript lacks for which another alignment is taken
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
    stars = [w for w in loose.words if w.label == STAR_LABEL]
    before = {s.test for s in plain.suspicions}
    after = {s.test for s in loose.suspicions} - {Test.UNTRANSCRIBED}
    if sum(w.duration for w in stars) < LEAST_STAR or not after <= before:
        return plain
    if after < before:
        return loose
    if loose.quality.margin <= plain.quality.margin:
        return plain
    return replace(plain, suspicions=(*plain.suspicions, _advised(stars)))


def may_loosen(heard: Heard, backend: AnyBackend) -> bool:
    """Whether more sound than the transcript has may be looked for, and was not."""
    allowed = backend.options.star is None and backend.traits.wildcard
    said = any(not BRACKETED.fullmatch(word) for token in heard.tokens for word in token.spoken)
    return allowed and said and heard.bounds is None and not heard.loose


def _advised(stars: Sequence[Interval]) -> Suspicion:
    """That a part of what looks wrong may be sound that the transcript lacks, the longest of ``stars``."""
    longest = max(stars, key=lambda star: star.duration)
    text = (
        f"--star would take what is heard from {longest.start:.2f} to {longest.end:.2f} s as not transcribed"
    )
    return Suspicion(test=Test.STAR, text=text, at=longest.start)
