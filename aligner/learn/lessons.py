"""Lessons about boundaries: a corrected utterance beside what a backend makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from aligner.backends.base import AnyBackend, Heard, arithmetic, hear
from aligner.corpus.cuts import NOTHING_CUT
from aligner.evaluate.boundaries import phone_boundaries
from aligner.evaluate.matching import comparable, match_phones, written_alike
from aligner.features import fine_energies
from aligner.learn.corrections import CorrectedUtterance
from aligner.refine.boundaries import place_at_medians
from aligner.refine.learning import FARTHEST_LABEL, Lesson
from aligner.refine.offsets import SHORTEST_INTERVAL, correct
from aligner.text.phones import PhoneMap
from aligner.types import DataError, Failure, Fault, Interval


def lesson_of(backend: AnyBackend, item: CorrectedUtterance) -> Lesson | Failure:
    """Align a corrected utterance in a worker, and return where its boundaries are and should be; or why
    nothing can be learnt from it.
    """
    try:
        heard = hear(item.utterance, backend.traits)
        with arithmetic(backend.compute):
            found = backend.find(backend.prepare(heard))
    except DataError as error:
        return Failure.of(item.utterance, error)
    traits, energies = backend.traits, fine_energies(heard.wave)
    refinement = traits.refinement
    phones = correct(found.phones, refinement.offsets)
    if len(phones) < 2:
        return Failure(item.utterance, "there is no boundary in it", "leave it out", fault=Fault.LABELS)
    likely = refinement.distributions(found.searched(traits.clock), phones, energies)
    placed = place_at_medians(phones, likely, refinement.width).phones
    truth = true_places(_as_heard(item.phones, heard), placed, bool(traits.english))
    failure = _mismatch(item, truth, phones)
    if failure is not None:
        return failure
    owners = np.array(found.owners)
    return Lesson(
        group=item.utterance.speaker,
        phones=phones,
        energies=energies,
        distributions=likely,
        width=refinement.width,
        truth=truth - phones[0].start,
        words=owners[1:] != owners[:-1],
    )


def _as_heard(phones: Sequence[Interval], heard: Heard) -> list[Interval]:
    """Corrected phones at the times at which they are heard: what was left out of the recording is not."""
    if heard.cuts == NOTHING_CUT:
        return list(phones)
    edges = heard.start + heard.cuts.heard(np.array([(p.start, p.end) for p in phones]) - heard.start)
    return [replace(p, start=a, end=b) for p, (a, b) in zip(phones, edges.tolist(), strict=True)]


def _mismatch(item: CorrectedUtterance, truth: np.ndarray, phones: Sequence[Interval]) -> Failure | None:
    """Return why corrected labels cannot be of what was aligned; None if they can."""
    if np.isnan(truth).all():
        return Failure(
            item.utterance,
            "none of its phones can be matched with what was aligned",
            "is it the transcript of another recording?",
            fault=Fault.LABELS,
        )
    if not (np.abs(truth - [p.start for p in phones[1:]]) < FARTHEST_LABEL).any():
        return Failure(
            item.utterance,
            f"all its boundaries are {1000 * FARTHEST_LABEL:g} ms and more from those that were found",
            "are they labels of another recording, or of a part of it?",
            fault=Fault.LABELS,
        )
    return None


def true_places(reference: Sequence[Interval], phones: Sequence[Interval], english: bool) -> np.ndarray:
    """Return where the boundaries between phones are in a reference.

    Phones are matched by their labels first (see `aligner.evaluate.matching`), in whichever alphabet each
    side is written, so both may have some that the other lacks; of a boundary that the reference has a pause
    in, neither side is right.

    Parameters
    ----------
    reference : sequence of Interval
        The phones as somebody corrected them.
    phones : sequence of Interval
        The N + 1 phones that were aligned.
    english : bool
        Whether phones are compared in the 39 classes of English.

    Returns
    -------
    ndarray
        (N,) seconds; NaN where the reference does not have a boundary.

    Examples
    --------
    >>> found = [Interval(0.0, 0.1, ""), Interval(0.1, 0.2, "AA"), Interval(0.2, 0.4, "T")]
    >>> true_places([Interval(0.12, 0.23, "AA"), Interval(0.23, 0.4, "T")], found, True)
    array([0.12, 0.23])
    """
    labels = PhoneMap({}, folded=english)
    known, own = comparable(reference if english else written_alike(reference, phones), phones, labels)
    places: dict[float, list[float]] = {}
    for edge in phone_boundaries(known, own, match_phones(known, own)):
        places.setdefault(edge.aligned, []).append(edge.reference)
    sure = {
        at: float(np.mean(there))
        for at, there in places.items()
        if max(there) - min(there) <= SHORTEST_INTERVAL
    }
    return np.array([sure.get(p.start, np.nan) for p in phones[1:]])
