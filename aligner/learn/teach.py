"""Teaching a model to place boundaries as people corrected them, as ``aligner teach`` does it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aligner.backends.abilities import Composite, Headed, Teachable
from aligner.backends.base import AnyBackend
from aligner.backends.calls import check_refined
from aligner.corpus.tier_names import TierNames
from aligner.learn.corrections import CorrectedUtterance, read_corrections
from aligner.learn.counting import Counted, counted
from aligner.learn.dictionary import save_dictionary
from aligner.learn.lessons import lesson_of
from aligner.learn.tuning import TaughtBy, Tuned, tuned
from aligner.models import boundary
from aligner.models.boundary import BoundaryModel, BoundaryNetwork
from aligner.models.known import in_a_folder
from aligner.models.store import load_model
from aligner.parallel.pool import map_tasks, try_map, worker_pool
from aligner.refine.learning import (
    FEWEST_BOUNDARIES,
    FEWEST_LESSONS,
    FitTask,
    LearningResult,
    Lesson,
    MapOf,
    errors_by,
    fit_network,
    learn,
    learn_offsets,
    parted,
    words_only,
)
from aligner.run.long import timeout_of
from aligner.run.plan import room_in
from aligner.types import DataError, Failure, Fault, ModelError

FIT_TIMEOUT = 3600.0  # s that a process may learn from a share of the corrections; it takes seconds
DICTIONARY_SUFFIXES = (".dict", ".dic")


@dataclass(frozen=True)
class Taught:
    """What corrections of a backend's boundaries gave."""

    backend: str
    """The name of the backend."""
    learnt: LearningResult
    """What was learnt, and what it gains."""
    lessons: int
    """The number of utterances that were learnt from."""
    failures: tuple[Failure, ...]
    """What could not be learnt from, and why."""
    counted: Counted
    """Which boundaries counted."""


def teach(
    corrected: Path,
    backend: AnyBackend,
    corpus: Path | None = None,
    tiers: TierNames | None = None,
    *,
    only_moved: bool = False,
) -> Taught:
    """Learn from corrected boundaries.

    Parameters
    ----------
    corrected : Path
        The folder of TextGrids, or other labels, with phones, words or both.
    backend : AnyBackend
        The backend whose boundaries were corrected.
    corpus : Path, optional
        The folder of the recordings, at the same paths; unless given, they lie beside the labels, or in the
        corpus of the run in whose output these are.
    tiers : TierNames, optional
        The tiers of phones and words.
    only_moved : bool
        Whether boundaries that are where the alignment has them count as unknown; else they count as right.

    Raises
    ------
    DataError
        If there is no such folder, or too little in it can be learnt from (see
        `aligner.learn.counting.counted`, too).
    ModelError
        If the backend cannot keep what it learns.
    """
    if not isinstance(backend, Teachable):
        raise _unteachable(backend)
    items, unreadable = read_corrections(corrected, corpus, tiers or TierNames())
    untaught = backend.with_taught(None)
    which = counted(items, untaught, corrected, only_moved=only_moved)
    pairs, unusable = lessons_of(untaught, which.items)
    failures = (*unreadable, *unusable)
    _check_enough(corrected, [pair.lesson for pair in pairs], failures)
    learnt = _learnt(untaught, pairs, backend.traits.boundaries_of or backend.traits.name)
    learnt = _unless_known(learnt, backend.traits.refinement.taught, [pair.lesson for pair in pairs])
    return Taught(backend.traits.name, learnt, len(pairs), failures, which)


def _unless_known(
    learnt: LearningResult, known: BoundaryModel | None, lessons: Sequence[Lesson]
) -> LearningResult:
    """What corrections give, unless what the model learnt from its guide is better: it would be replaced."""
    if known is None or not known.of_guide or learnt.model is None:
        return learnt
    return replace(learnt, model=None) if errors_by(lessons, known) <= learnt.after.mae else learnt


def _check_enough(corrected: Path, lessons: Sequence[Lesson], failures: Sequence[Failure]) -> None:
    """Raise DataError where there is too little to learn anything from."""
    boundaries = sum(lesson.known for lesson in lessons)
    if boundaries < FEWEST_BOUNDARIES:
        utterances = f"{len(lessons)} corrected utterance{'s' * (len(lessons) != 1)}"
        rule = (
            f"{boundaries} boundaries of {utterances} can be learnt from, and {FEWEST_BOUNDARIES} are needed"
        )
        why = f" ({failures[0].utterance.id}: {failures[0].message})" if failures else ""
        raise DataError(corrected, rule + why, "correct more, or mend these" if failures else "correct more")


def _learnt(backend: AnyBackend, pairs: Sequence[TaughtBy], name: str) -> LearningResult:
    """What corrections give: a tuned head, boundary networks alone or a table of offsets; of those that are
    sure to help the best.

    Networks are learnt without the head where that is not sure to: of few corrections it gains more in some
    sentences and less in others than networks alone.  A strong habit is told from fewer than networks need.
    """
    lessons = parted([pair.lesson for pair in pairs])
    with fitting(backend.compute.jobs) as mapped:
        found = [learn_offsets(lessons, name)]
        better = _tuned(backend, pairs)
        if better is not None:
            found.append(learn(better.lessons, name, mapped, as_it_was=lessons, head=better.head))
        if found[-1].model is None or better is None:
            found.append(learn(lessons, name, mapped))
    helpful = [one for one in found if one.model is not None]
    return min(helpful, key=lambda one: one.after.mae, default=found[-1])


@contextmanager
def fitting(jobs: int) -> Iterator[MapOf]:
    """Yield a ``map`` that fits networks in as many processes."""
    with worker_pool(jobs, None) as submit:

        def mapped(_: object, fits: Iterable[FitTask]) -> Iterator[BoundaryNetwork]:
            yield from map_tasks(submit, _fit_in_worker, fits, lambda _: FIT_TIMEOUT)

        yield mapped


def _tuned(backend: AnyBackend, pairs: Sequence[TaughtBy]) -> Tuned | None:
    """The backend's head, if it has one, tuned to corrections, if that helps.

    It is not tuned to words alone, for it would move the boundaries within them, and nobody could say whether
    to where they belong.
    """
    if not isinstance(backend, Headed) or backend.head is None:
        return None
    if len(pairs) < FEWEST_LESSONS or words_only([pair.lesson for pair in pairs]):
        return None

    def again(other: AnyBackend, items: Sequence[CorrectedUtterance]) -> list[Lesson | None]:
        found = {id(item): lesson for item, lesson in lessons_of(other, items)[0]}
        return [found.get(id(item)) for item in items]

    return tuned(backend, backend.head, backend.with_head, pairs, again)


def lessons_of(
    backend: AnyBackend, items: Sequence[CorrectedUtterance]
) -> tuple[list[TaughtBy], list[Failure]]:
    """Align corrected utterances in a pool; return a lesson or a failure for each."""
    lessons: list[TaughtBy] = []
    failures: list[Failure] = []
    with worker_pool(backend.compute.jobs, backend) as submit:
        results = try_map(submit, lesson_of, items, lambda item: timeout_of(item.utterance))
        for item, result in zip(items, results, strict=True):
            if isinstance(result, Lesson):
                lessons.append(TaughtBy(item, result))
            elif isinstance(result, Failure):
                failures.append(replace(result, utterance=item.utterance))
            else:
                failures.append(
                    Failure(
                        item.utterance,
                        f"of the processes {result.rule}",
                        result.remedy,
                        fault=result.fault_or(Fault.INTERNAL),
                    )
                )
    return lessons, failures


def _fit_in_worker(_: None, task: FitTask) -> BoundaryNetwork:
    """Fit a network in a worker of a pool that shares nothing."""
    return fit_network(task)


def learnt_by(
    backend: AnyBackend, corrected: Path, corpus: Path | None, on_taught: Callable[[Taught], None]
) -> AnyBackend:
    """Return a backend that has learnt from corrections, if they help; of several, each learns the same.

    Parameters
    ----------
    backend : AnyBackend
        The backend whose boundaries were corrected.
    corrected, corpus : Path
        See `teach`.
    on_taught : callable
        Called with what the corrections gave.

    Raises
    ------
    DataError
        If the options leave no use for it, or too little can be learnt from.
    """
    check_refined(backend.options.refine)
    if isinstance(backend, Composite):
        return backend.with_members(lambda member: learnt_by(member, corrected, corpus, on_taught))
    if not isinstance(backend, Teachable):
        raise _unteachable(backend)
    taught = teach(corrected, backend, corpus)
    on_taught(taught)
    return backend if taught.learnt.model is None else backend.with_taught(taught.learnt.model)


def _unteachable(backend: AnyBackend) -> ModelError:
    """Return the error that says why a backend cannot keep what corrections teach."""
    rule = (
        "what several models learn cannot be kept with one of them"
        if isinstance(backend, Composite)
        else "it does not learn from corrections"
    )
    return ModelError(
        backend.traits.name, rule, "align with --corrections, or take --backend hmm, ctc or dtw"
    )


def save_taught(
    learnt: LearningResult,
    model: str | Path,
    dictionary: Path | None,
    out: Path,
    *,
    add_words: Sequence[Path] = (),
) -> None:
    """Save what was learnt with the acoustic model: a copy of its folder, or its name.

    Parameters
    ----------
    learnt : LearningResult
        What was learnt; it must have a model.
    model : str or Path
        The name or folder of the acoustic model.
    dictionary : Path or None
        A file of pronunciations that becomes the new model's.
    out : Path
        The folder of the new model.
    add_words : sequence of Path
        Files whose words are laid over that dictionary, or over the model's own.
    """
    assert learnt.model is not None
    acoustic: str | None = str(model)
    with room_in(out):
        out.mkdir(parents=True, exist_ok=True)
        if in_a_folder(model):
            acoustic = _acoustic_of(Path(model))
            _copy_acoustic(Path(model), out, with_dictionary=dictionary is None and not add_words)
        if dictionary is not None or add_words:
            own = load_model(model).dictionary if dictionary is None else None
            save_dictionary(out, dictionary, add_words, own)
    replace(learnt.model, about=_about(learnt)).save(out, acoustic=acoustic)


def _copy_acoustic(folder: Path, out: Path, *, with_dictionary: bool) -> None:
    """Copy an acoustic model, but not what it has been taught before."""
    for file in sorted(folder.iterdir()):
        taught = file.name.startswith(Path(boundary.TABLE).stem)
        left_out = taught or (file.suffix in DICTIONARY_SUFFIXES and not with_dictionary)
        if file.is_file() and not left_out:
            shutil.copyfile(file, out / file.name)


def _about(learnt: LearningResult) -> dict[str, Any]:
    """Return what the model file says of the learning."""
    before, after = learnt.before, learnt.after
    return {
        "boundaries": learnt.boundaries,
        "speakers": learnt.groups,
        "gain_ms": round(learnt.gain, 3),
        "error_ms": round(learnt.error, 3),
        "mae_ms": [round(before.mae, 2), round(after.mae, 2)],
        "words_only": learnt.words_only,
        "head_tuned": learnt.model is not None and learnt.model.head is not None,
        "within_10_20_50": [[round(x, 1) for x in figures.within] for figures in (before, after)],
    }


def _acoustic_of(folder: Path) -> str | None:
    """Return the name of a taught model's acoustic model; None where the folder holds it."""
    if not (folder / boundary.TABLE).is_file():
        return None
    name = BoundaryModel.load(folder)[1].get("acoustic")
    return None if name is None else str(name)
