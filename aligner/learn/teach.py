"""Corrected boundaries in, a model that places boundaries as they are out: what ``aligner teach`` does."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from aligner.backends.abilities import Composite, Teachable
from aligner.backends.base import AnyBackend, arithmetic, hear
from aligner.backends.calls import check_folder, check_refined
from aligner.corpus import audio
from aligner.corpus.find import find
from aligner.corpus.labels import Labels, Source, TierNames, find_labels, read_labels
from aligner.corpus.results import read_run_record
from aligner.evaluate.boundaries import phone_boundaries
from aligner.evaluate.matching import match_phones, scored_phones
from aligner.models import boundary, saved
from aligner.models.boundary import BoundaryModel, BoundaryNetwork
from aligner.models.known import in_a_folder
from aligner.parallel.pool import map_tasks, try_map, worker_pool
from aligner.refine.boundaries import place_at_medians
from aligner.refine.learning import (
    FARTHEST_LABEL,
    FEWEST_LESSONS,
    FitTask,
    LearningResult,
    Lesson,
    fit_network,
    learn,
)
from aligner.refine.offsets import SHORTEST_INTERVAL, correct
from aligner.refine.segments import fine_energies
from aligner.run.long import timeout_of
from aligner.run.plan import room_in
from aligner.text.phones import SILENCE, PhoneMap, fold
from aligner.types import DataError, Failure, Fault, Interval, ModelError, Utterance

LONG = 15.0  # s; longer recordings are cut in pauses, so that a file of an interview is many lessons
FITTING = 3600.0  # s that a process may learn from a share of the corrections; it takes seconds
ENOUGH, PAUSE = 8.0, 0.25  # s of a piece, and of the pause that may end it


@dataclass(frozen=True)
class Corrected:
    """An utterance and its phones as somebody corrected them, in seconds from the start of the recording."""

    utterance: Utterance
    phones: tuple[Interval, ...]


@dataclass(frozen=True)
class Taught:
    """What corrections of a backend's boundaries gave, and what could not be learnt from."""

    backend: str
    learnt: LearningResult
    lessons: int
    failures: tuple[Failure, ...]


def teach(
    corrected: Path, backend: AnyBackend, corpus: Path | None = None, names: TierNames | None = None
) -> Taught:
    """Learn from corrected boundaries.

    Parameters
    ----------
    corrected : Path
        Folder of TextGrids, or other labels, with phones and words.
    backend : AnyBackend
        Whose boundaries were corrected.
    corpus : Path, optional
        Where the recordings are, at the same paths, if not beside the labels; unless given, where the corpus
        of the run lies in whose output these are.
    names : TierNames, optional

    Raises
    ------
    DataError
        If there is no such folder, or too little in it can be learnt from.
    ModelError
        If the backend is several.
    """
    if not isinstance(backend, Teachable):
        raise _unteachable(backend)
    plain = backend.with_taught(None)
    known, failures = corrections(corrected, corpus, names or TierNames())
    lessons: list[Lesson] = []
    with worker_pool(backend.compute.jobs, plain) as submit:
        for item, result in zip(
            known, try_map(submit, _lesson, known, lambda c: timeout_of(c.utterance)), strict=True
        ):
            if isinstance(result, Lesson):
                lessons.append(result)
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
    if len(lessons) < FEWEST_LESSONS:
        why = f" ({failures[0].utterance.id}: {failures[0].message})" if failures else ""
        raise DataError(
            corrected,
            f"{len(lessons)} corrected utterances can be learnt from, and {FEWEST_LESSONS} are needed{why}",
            "correct more, or mend these",
        )
    with worker_pool(backend.compute.jobs, None) as submit:

        def mapped(work: object, fits: Iterable[FitTask]) -> Iterator[BoundaryNetwork]:
            yield from map_tasks(submit, _fitted, fits, lambda _: FITTING)

        traits = backend.traits
        learnt = learn(lessons, traits.boundaries_of or traits.name, mapped)
    return Taught(traits.name, learnt, len(lessons), tuple(failures))


def _fitted(_: None, fit: FitTask) -> BoundaryNetwork:
    """In a worker."""
    return fit_network(fit)


def learnt_by(
    backend: AnyBackend, corrected: Path, corpus: Path | None, notice: Callable[[Taught], None]
) -> AnyBackend:
    """A backend that has learnt from corrections, if they help; of several, each from the same.

    Parameters
    ----------
    backend : AnyBackend
    corrected, corpus : Path
        See `teach`.
    notice : callable
        Told what they gave.

    Raises
    ------
    DataError
        If the options leave no use for it, or too little can be learnt from.
    """
    check_refined(backend.options.refine)
    if isinstance(backend, Composite):
        return backend.with_members(lambda member: learnt_by(member, corrected, corpus, notice))
    if not isinstance(backend, Teachable):
        raise _unteachable(backend)
    taught = teach(corrected, backend, corpus)
    notice(taught)
    return backend if taught.learnt.model is None else backend.with_taught(taught.learnt.model)


def _unteachable(backend: AnyBackend) -> ModelError:
    """Why a backend cannot keep what corrections teach."""
    rule = (
        "what several models learn cannot be kept with one of them"
        if isinstance(backend, Composite)
        else "it does not learn from corrections"
    )
    return ModelError(
        backend.traits.name, rule, "align with --corrections, or take --backend hmm, ctc or dtw"
    )


def save_taught(learnt: LearningResult, model: str | Path, dictionary: Path | None, out: Path) -> None:
    """Save what was learnt with the acoustic model: a copy of its folder, or its name.

    Parameters
    ----------
    learnt : LearningResult
        That has a model.
    model : str or Path
        Name or folder of the acoustic model.
    dictionary : Path or None
        Which becomes that of the new model.
    out : Path
    """
    assert learnt.model is not None
    folder = Path(model)
    acoustic: str | None = str(model)
    with room_in(out):
        out.mkdir(parents=True, exist_ok=True)
        if in_a_folder(model):
            acoustic = _acoustic_of(folder)
            for file in sorted(folder.iterdir()):
                other = dictionary is not None and file.suffix in (
                    ".dict",
                    ".dic",
                )  # than the one that was named
                if file.is_file() and not other and not file.name.startswith(Path(boundary.TABLE).stem):
                    shutil.copyfile(file, out / file.name)
        if dictionary is not None:
            shutil.copyfile(dictionary, out / saved.DICTIONARY)
    was, now = learnt.before, learnt.after
    about = {
        "boundaries": learnt.boundaries,
        "speakers": learnt.groups,
        "gain_ms": round(learnt.gain, 3),
        "error_ms": round(learnt.error, 3),
        "mae_ms": [round(was.mae, 2), round(now.mae, 2)],
        "within_10_20_50": [[round(x, 1) for x in side.within] for side in (was, now)],
    }
    replace(learnt.model, about=about).save(out, acoustic=acoustic)


def _acoustic_of(folder: Path) -> str | None:
    """The name of the acoustic model that a taught model is made of; None where it is in the folder."""
    if not (folder / boundary.TABLE).is_file():
        return None
    name = BoundaryModel.load(folder)[1].get("acoustic")
    return None if name is None else str(name)


def corrections(root: Path, corpus: Path | None, names: TierNames) -> tuple[list[Corrected], list[Failure]]:
    """What was corrected, and what of it cannot be used.

    Raises
    ------
    DataError
        If there is no such folder, or no labels in it.
    """
    if corpus is not None:
        check_folder(corpus)
    found: list[Corrected] = []
    failures: list[Failure] = []
    sources = find_labels(root)
    folders = [corpus, root] if corpus is not None else [root, *_recorded(root)]
    of_folders = {folder: _recordings(folder) for folder in folders}
    recordings: dict[str, Path] = {}
    for own in reversed(of_folders.values()):
        recordings |= own
    texts = _Transcripts([folder for folder, own in of_folders.items() if own])
    for name, source in sources.items():
        try:
            if name not in recordings:
                raise DataError(
                    name,
                    f"there is no recording of this name in {' or '.join(map(str, folders))}",
                    "put it beside the labels, or name its folder (--corpus)",
                )
            for speaker, labels in read_labels(source, names).items():
                found += _of_speaker(name, recordings[name], source, speaker, labels, texts)
        except DataError as error:
            failures.append(
                Failure.of(
                    Utterance(name, recordings.get(name, source.path), "", file=name), error, Fault.LABELS
                )
            )
    return found, failures


def _recorded(root: Path) -> list[Path]:
    """Where the recordings of a run lie that a folder holds the output of, or the corrections."""
    for folder in (root, root.absolute().parent):
        place = read_run_record(folder).get("corpus")
        if isinstance(place, str) and Path(place).is_dir():
            return [Path(place)]
    return []


def _recordings(folder: Path) -> dict[str, Path]:
    """Recordings by their paths below a folder, without suffix."""
    files = [p for p in sorted(folder.rglob("*")) if p.suffix.lower() in audio.SUFFIXES and p.is_file()]
    return {
        p.relative_to(folder).with_suffix("").as_posix(): p
        for p in sorted(files, key=lambda p: -audio.SUFFIXES.index(p.suffix.lower()))
    }


class _Transcripts:
    """Transcripts beside the recordings, for labels that have no words; read when they are first asked
    for."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders = folders
        self._known: dict[str, str] | None = None

    def __getitem__(self, name: str) -> str | None:
        if self._known is None:
            self._known = {}
            for folder in self.folders:
                for u in find(folder).utterances:
                    if u.id == u.file:
                        self._known.setdefault(u.file, u.transcript)
        return self._known.get(name)


def _of_speaker(
    name: str, recording: Path, source: Source, speaker: str, labels: Labels, texts: _Transcripts
) -> Iterator[Corrected]:
    """What one speaker says in a recording, in pieces where it is long."""
    if not labels.phones:
        raise DataError(source.path, "it has no phones", "correct the tier of phones, or name it (--phones)")
    phones, who = labels.phones, speaker or recording.absolute().parent.name
    if labels.words is None:
        text = texts[name]
        if text is None:
            raise DataError(
                source.path, "it has no words, and there is no transcript beside the recording", "add either"
            )
        yield Corrected(Utterance(name, recording, text, speaker=who, file=name), phones)
        return
    words = [w for w in labels.words if fold(w.label) != SILENCE]
    if not words:
        raise DataError(source.path, "its tier of words is empty", "write what is said")
    parts = _stretches(words, labels.end)
    for k, (start, end, said) in enumerate(parts, 1):
        identity = name if len(parts) == 1 else f"{name}#{k}"
        text = " ".join(w.label for w in said)
        whole = len(parts) == 1
        yield Corrected(
            Utterance(
                identity,
                recording,
                text,
                speaker=who,
                file=name,
                start=0.0 if whole else start,
                end=None if whole else end,
            ),
            tuple(p for p in phones if start <= p.start < end),
        )


def _stretches(words: Sequence[Interval], end: float) -> list[tuple[float, float, list[Interval]]]:
    """Start, end and words of the pieces that a recording is cut into, in the middles of pauses."""
    if words[-1].end - words[0].start <= LONG:
        return [(0.0, end, list(words))]
    found = []
    start, own = 0.0, [words[0]]
    for a, b in pairwise(words):
        if b.start - a.end >= PAUSE and a.end - own[0].start >= ENOUGH:
            cut = (a.end + b.start) / 2
            found.append((start, cut, own))
            start, own = cut, []
        own.append(b)
    return [*found, (start, end, own)]


def _lesson(backend: AnyBackend, item: Corrected) -> Lesson | Failure:
    """In a worker: an utterance aligned, and where its boundaries should be."""
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
    truth = true_places(
        item.phones, place_at_medians(phones, likely, refinement.width).phones, bool(traits.english)
    )
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


def true_places(reference: Sequence[Interval], phones: Sequence[Interval], english: bool) -> np.ndarray:
    """(N,) seconds where each boundary between N + 1 ``phones`` is in the ``reference``; NaN where it has
    none.

    Phones are matched by their labels first (see `aligner.evaluate.matching`), so both may have some that the
    other lacks; of a boundary that the reference has a pause in, neither side is right.

    Examples
    --------
    >>> found = [Interval(0.0, 0.1, ""), Interval(0.1, 0.2, "AA"), Interval(0.2, 0.4, "T")]
    >>> true_places([Interval(0.12, 0.23, "AA"), Interval(0.23, 0.4, "T")], found, True)
    array([0.12, 0.23])
    """
    labels = PhoneMap({}, folded=english)
    known, own = scored_phones(reference, labels), scored_phones(phones, labels)
    places: dict[float, list[float]] = {}
    for edge in phone_boundaries(known, own, match_phones(known, own)):
        places.setdefault(edge.aligned, []).append(edge.reference)
    sure = {
        at: float(np.mean(there))
        for at, there in places.items()
        if max(there) - min(there) <= SHORTEST_INTERVAL
    }
    return np.array([sure.get(p.start, np.nan) for p in phones[1:]])
