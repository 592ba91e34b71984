"""Tuning a model's head to corrections: a little more training, on phones where people put them.

Whether it helps is asked of corrections that were left out: for each part of them a head is tuned by the
others, and aligns it.  So the boundary networks that learn next (`aligner.refine.learning`) see boundaries as
they are of speech that no head was tuned to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch

from aligner.backends.base import AnyBackend, hear
from aligner.corpus.listening import as_heard
from aligner.learn.corrections import CorrectedUtterance
from aligner.models.head import Head
from aligner.parallel.pool import map_tasks, worker_pool
from aligner.refine.learning import Lesson, assign_folds, errors
from aligner.train import head as training
from aligner.train.augment import Surroundings, spoilt
from aligner.types import SAMPLE_RATE, DataError, Interval

MOST_SECONDS = 1800.0  # of corrected speech that is learnt from; of more, a part that is chosen at random
COPIES = 2  # spoilt copies of each utterance, lest the head forgets how to hear through noise
LONGEST = 25.0  # s of an utterance that is learnt from: what is heard at once
EPOCHS, LEAST_STEPS, MOST_STEPS = 10.0, 60, 600  # passes over the speech, and steps of training, few and many
LEARNING_RATE = 1e-3
TIMEOUT = 1800.0  # s that a process may hear an utterance, or tune a head; it takes seconds


class TaughtBy(NamedTuple):
    """A corrected utterance, and the lesson that it gives."""

    item: CorrectedUtterance
    lesson: Lesson


@dataclass(frozen=True, kw_only=True, eq=False)
class Tuned:
    """A head that was tuned, and what its likes make of corrections that were left out."""

    head: Head
    """The head, tuned by all corrections."""
    lessons: tuple[Lesson, ...]
    """The lessons in their order, each as a head makes it that was tuned by others."""


Relearn = Callable[[AnyBackend, Sequence[CorrectedUtterance]], Sequence[Lesson | None]]


def tuned(
    backend: AnyBackend,
    head: Head,
    with_head: Callable[[Head], AnyBackend],
    pairs: Sequence[TaughtBy],
    lessons_of: Relearn,
) -> Tuned | None:
    """Tune a head by corrections; None where it would not place the boundaries of others better.

    Parameters
    ----------
    backend : AnyBackend
        The backend with the head as it was.
    head : Head
    with_head : callable
        The backend with another head.
    pairs : sequence of TaughtBy
        Corrections, with their lessons as the backend gives them.
    lessons_of : callable
        Lessons of some corrections as another backend gives them; None for one that it cannot align.
    """
    jobs = backend.compute.jobs
    speech: list[list[training.Labelled]] = [[] for _ in pairs]
    chosen = _chosen([pair.lesson for pair in pairs])
    with worker_pool(jobs, (backend, head)) as submit:
        heard = map_tasks(submit, _heard, [pairs[k] for k in chosen], lambda _: TIMEOUT)
        for k, copies in zip(chosen, heard, strict=True):
            speech[k] = [training.Labelled.of_arrays(copy) for copy in copies]
    if not any(bool((one.labels != training.IGNORED).any()) for copies in speech for one in copies):
        return None
    folds = np.array(assign_folds([pair.lesson.group for pair in pairs]))
    parts = [folds != fold for fold in range(folds.max() + 1)]
    with worker_pool(jobs, (head, speech)) as submit:
        *others, final = map_tasks(submit, _fit, [*parts, np.full(len(pairs), True)], lambda _: TIMEOUT)
    lessons = [pair.lesson for pair in pairs]
    for part, other in zip(parts, others, strict=True):
        left_out = np.flatnonzero(~part).tolist()
        for k, lesson in zip(
            left_out, lessons_of(with_head(other), [pairs[k].item for k in left_out]), strict=True
        ):
            lessons[k] = lesson or lessons[k]
    before, after = (errors(of) for of in ([pair.lesson for pair in pairs], lessons))
    return Tuned(head=final, lessons=tuple(lessons)) if after < before else None


def _chosen(lessons: Sequence[Lesson]) -> list[int]:
    """Lessons that are short enough, as many as are learnt from, chosen at random, in their order."""
    seconds = np.array([lesson.phones[-1].end - lesson.phones[0].start for lesson in lessons])
    order = np.random.default_rng(0).permutation(np.flatnonzero(seconds <= LONGEST))
    return sorted(order[np.cumsum(seconds[order]) <= MOST_SECONDS].tolist())


def _heard(shared: tuple[AnyBackend, Head], pair: TaughtBy) -> list[dict[str, np.ndarray]]:
    """In a worker: what the head hears in a corrected utterance, as it is and spoilt; nothing, where it
    cannot be read any more.
    """
    backend, head = shared
    try:
        heard = hear(pair.item.utterance, backend.traits)
    except DataError:
        return []
    wave, rng = heard.wave.numpy(), np.random.default_rng(len(heard.wave))
    copies = [wave, *(as_heard(spoilt(wave, rng, Surroundings()), SAMPLE_RATE) for _ in range(COPIES))]
    columns = {phone: k for k, phone in enumerate(head.phones)}
    phones = corrected(pair.lesson)
    return [
        training.Labelled.of(torch.from_numpy(copy), phones, head.ear, columns, heard.start).arrays()
        for copy in copies
    ]


def corrected(lesson: Lesson) -> list[Interval]:
    """The phones of a lesson between boundaries where people put them; those of which one is not known are
    left out.
    """
    start, end = lesson.phones[0].start, lesson.phones[-1].end
    edges = [start, *(start + lesson.truth).tolist(), end]
    return [
        Interval(a, b, phone.label)
        for phone, (a, b) in zip(lesson.phones, pairwise(edges), strict=True)
        if a < b  # not so where one is NaN
    ]


def _fit(shared: tuple[Head, Sequence[Sequence[training.Labelled]]], part: np.ndarray) -> Head:
    """In a worker: a head tuned by a part of the speech."""
    head, speech = shared
    own = [one for k in np.flatnonzero(part).tolist() for one in speech[k]]
    if not any(bool((one.labels != training.IGNORED).any()) for one in own):
        return head
    usual = training.Options(learning_rate=LEARNING_RATE, smoothing=0.0, priors=False)
    a_step = usual.batch * usual.stretch / sum(len(one.labels) for one in own)  # passes
    epochs = min(max(EPOCHS, LEAST_STEPS * a_step), MOST_STEPS * a_step)
    found = training.fit(head.copy(), own, replace(usual, epochs=epochs))
    found.about = {**head.about, "tuned": len(own) // (1 + COPIES)}
    return found
