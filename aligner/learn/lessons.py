"""Lessons about boundaries: a corrected utterance beside what a backend makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from aligner.backends.base import AnyBackend, Found, Heard, arithmetic, hear, words_of
from aligner.corpus.cuts import NOTHING_CUT
from aligner.corpus.tier_names import MARKS
from aligner.features import fine_energies
from aligner.learn.corrections import CorrectedUtterance
from aligner.learn.truth import in_marks, true_places, true_word_edges
from aligner.refine.boundaries import place_at_medians
from aligner.refine.learning import FARTHEST_LABEL, Lesson
from aligner.refine.offsets import correct
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
    truth = _true_places(item, heard, found, placed, bool(traits.english))
    failure = _mismatch(item, truth, phones)
    if failure is not None:
        return failure
    if item.marks is not None:
        truth[~in_marks(truth, _as_heard(item.marks, heard))] = np.nan
        if np.isnan(truth).all():
            return _nothing_marked(item)
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


def _true_places(
    item: CorrectedUtterance, heard: Heard, found: Found, placed: Sequence[Interval], english: bool
) -> np.ndarray:
    """Where the boundaries between the phones that were found are by the labels: by those of words, where
    these alone are labelled.
    """
    if item.phones:
        return true_places(_as_heard(item.phones, heard), placed, english)
    words = words_of(placed, found.owners, found.spellings)
    return true_word_edges(_as_heard(item.words, heard), words, placed)


def _as_heard(phones: Sequence[Interval], heard: Heard) -> list[Interval]:
    """Corrected phones at the times at which they are heard: what was left out of the recording is not."""
    if heard.cuts == NOTHING_CUT:
        return list(phones)
    edges = heard.start + heard.cuts.heard(np.array([(p.start, p.end) for p in phones]) - heard.start)
    return [replace(p, start=a, end=b) for p, (a, b) in zip(phones, edges.tolist(), strict=True)]


def _nothing_marked(item: CorrectedUtterance) -> Failure:
    """The failure of an utterance of which no boundary was corrected."""
    return Failure(
        item.utterance,
        "none of its boundaries is marked as corrected",
        f"write something into the intervals of its tier {MARKS!r}, set a point at a boundary, or remove it",
        fault=Fault.LABELS,
    )


def _mismatch(item: CorrectedUtterance, truth: np.ndarray, phones: Sequence[Interval]) -> Failure | None:
    """Return why corrected labels cannot be of what was aligned; None if they can."""
    if np.isnan(truth).all():
        return Failure(
            item.utterance,
            f"none of its {'phones' if item.phones else 'words'} can be matched with what was aligned",
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
