"""Accuracy of a folder of alignments against a folder of references."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path, PurePosixPath

from aligner.corpus.labels import (
    Labels,
    Source,
    check_aligned,
    find_labels,
    none_usable,
    read_labels,
    some,
)
from aligner.corpus.naming import ByName, caseless
from aligner.corpus.tier_names import TierNames
from aligner.evaluate.accuracy import FileResult, Report, compare, summarise
from aligner.evaluate.matching import comparable
from aligner.evaluate.overlaps import shared_time
from aligner.formats.base import ALIGNMENT_TABLE
from aligner.formats.table import read_table
from aligner.parallel.pool import map_tasks, worker_pool
from aligner.text.phones import PhoneMap, suggestion
from aligner.types import DataError, Fault

ONE_PROCESS_FILES = 400  # files up to which starting other processes takes longer than it saves
MOST_JOBS = 60  # Windows waits for no more
CHUNK_FILES = 50  # files that a process takes at a time
CHUNK_TIMEOUT = 600.0  # s that it may take for them
LEAST_COVERAGE = 60.0  # percent; below, the label sets do not meet
MAP_FILES = 50  # files from which a map is suggested


@dataclass(frozen=True)
class Options:
    """How labels are read and made comparable."""

    phone_map: PhoneMap = field(default_factory=PhoneMap)
    """Which labels count as one class."""
    reference_tiers: TierNames = field(default_factory=TierNames)
    """Names of the reference's tiers."""
    aligned_tiers: TierNames = field(default_factory=TierNames)
    """Names of the alignment's tiers."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """A report, and what is behind it."""

    report: Report
    """Figures over all files."""
    results: tuple[FileResult, ...]
    """What each speaker of each file contributes to them."""
    problems: tuple[DataError, ...]
    """References that could not be read, which are in no figure; alignments that could not be, which count as
    missing; and references that end behind their recordings."""
    missing: Mapping[str, str]
    """Files without an alignment, and why, as far as the run's table says."""
    suggested: Mapping[str, str]
    """A map for labels that the two sides do not share; empty where they do."""


def evaluate(
    reference: Path,
    aligned: Path,
    options: Options | None = None,
    jobs: int = 1,
    only: Set[str] | None = None,
) -> Evaluation:
    """Compare the labels of two folders at the same relative paths, speaker by speaker.

    Parameters
    ----------
    reference, aligned : Path
        Folders of TextGrids, .phn, .lab, CTM or JSON.
    options : Options, optional
    jobs : int
        Processes, where there are many files; from a script it must then be called below ``if __name__ ==
        "__main__"``, as `multiprocessing` wants it.
    only : set of str, optional
        Paths of references below their folder, without suffix; others are not looked at.

    Raises
    ------
    DataError
        If there is no reference at all, none of them can be used, or the folder of alignments is not there.
    """
    options = options or Options()
    results: list[FileResult] = []
    work, problems = _paired(reference, aligned, only)
    wrong_labels: list[DataError] = []
    for found, wrong in _each(work, options, jobs):
        results += found
        wrong_labels += wrong
    if work and not results:
        raise none_usable(reference, wrong_labels)
    problems += wrong_labels
    report = summarise(results)
    return Evaluation(
        report=report,
        results=tuple(results),
        problems=tuple(problems),
        missing=_missing(results, aligned),
        suggested=_suggested(report, work, options),
    )


def _paired(
    reference: Path, aligned: Path, only: Set[str] | None
) -> tuple[list[tuple[str, Source, Source | None]], list[DataError]]:
    """Name, labels and aligned labels of each reference, and what is wrong with the folders."""
    references = find_labels(reference)
    check_aligned(aligned)
    problems: list[DataError] = []
    estimates: Mapping[str, Source] = {}
    try:
        estimates = find_labels(aligned)
    except DataError as error:  # all are missing, and that is the result
        problems.append(error)
    meant = None if only is None else ByName(dict.fromkeys(only))
    wanted = [name for name in references if meant is None or name in meant]
    if estimates and wanted and not any(name in estimates for name in wanted):
        problems.append(_none_alike(reference, aligned, wanted, list(estimates)))
    work = [
        (name, source, estimates.get(name)) for name, source in ((name, references[name]) for name in wanted)
    ]
    return work, problems


def _none_alike(reference: Path, aligned: Path, wanted: Sequence[str], there: Sequence[str]) -> DataError:
    """Return the problem of two folders that have no name in common, with names of both."""
    depth = len(set(map(_stem, wanted)) & set(map(_stem, there)))
    alike = f"{depth} have one name in other folders: " if depth else ""
    return DataError(
        aligned,
        f"no alignment has the name of a reference: in {reference} there are {some(wanted)}; here are "
        f"{some(there)}",
        f"{alike}name the folders so that the paths below them are the same",
        fault=Fault.LABELS,
    )


def _stem(name: str) -> str:
    return caseless(PurePosixPath(name).name)


def _each(
    work: Sequence[tuple[str, Source, Source | None]], options: Options, jobs: int
) -> Iterator[tuple[list[FileResult], list[DataError]]]:
    """Results of each file in order; in several processes where there are many."""
    one = partial(compare_file, options=options)
    if jobs == 1 or len(work) <= ONE_PROCESS_FILES:
        yield from map(one, work)
        return
    chunks = [work[k : k + CHUNK_FILES] for k in range(0, len(work), CHUNK_FILES)]
    with worker_pool(min(jobs, MOST_JOBS), options) as submit:
        for results in map_tasks(submit, _compare_several, chunks, lambda _: CHUNK_TIMEOUT):
            yield from results


def _compare_several(
    options: Options,
    items: Sequence[tuple[str, Source, Source | None]],
) -> list[tuple[list[FileResult], list[DataError]]]:
    """Compare several files, in a worker process."""
    return [compare_file(item, options) for item in items]


def compare_file(
    item: tuple[str, Source, Source | None], options: Options
) -> tuple[list[FileResult], list[DataError]]:
    """Every speaker of one file, and what is wrong with it."""
    name, reference, aligned = item
    try:
        labels = read_labels(reference, options.reference_tiers)
    except DataError as error:
        return [], [error]
    estimates: dict[str, Labels] = {}
    problems = []
    if aligned is not None:
        try:
            estimates = read_labels(aligned, options.aligned_tiers)
        except DataError as error:
            problems.append(error)
    folder = PurePosixPath(name).parent.name or "-"
    results = [
        compare(
            own,
            _counterpart(speaker, labels, estimates),
            options.phone_map,
            file=name,
            speaker=speaker or folder,
            several=len(labels) > 1,
        )
        for speaker, own in labels.items()
    ]
    problems += [
        DataError(
            reference.path,
            f"its labels end {r.beyond:.2f} s behind the recording",
            "is it the reference of another recording?",
        )
        for r in results
        if r.beyond
    ]
    problems += _lacking(aligned, labels, estimates)
    return results, problems


def _lacking(
    aligned: Source | None, labels: Mapping[str, Labels], estimates: Mapping[str, Labels]
) -> Iterator[DataError]:
    """Tiers that the reference has and the alignment has not: all of them count as not found."""
    for speaker, own in labels.items():
        estimate = _counterpart(speaker, labels, estimates)
        for kind in ("phones", "words"):
            if aligned and estimate and getattr(own, kind) is not None and getattr(estimate, kind) is None:
                yield DataError(
                    aligned.path, f"it has no {kind} while the reference has", "they count as not found"
                )


def _counterpart(
    speaker: str, labels: Mapping[str, Labels], estimates: Mapping[str, Labels]
) -> Labels | None:
    """The same speaker's labels; where both sides have one speaker, names do not matter."""
    if len(labels) == len(estimates) == 1:
        return next(iter(estimates.values()))
    return estimates.get(speaker)


def _missing(results: Iterable[FileResult], aligned: Path) -> dict[str, str]:
    failed = [r for r in read_table(aligned / ALIGNMENT_TABLE) if r.get("status") == "failed"]
    reasons = ByName({r.get("file") or "": r.get("reason") or "" for r in failed})
    by_speaker = {_speaker(r.get("file"), r.get("speaker")): r.get("reason") or "" for r in failed}
    return {
        r.title: by_speaker.get(_speaker(r.file, r.speaker), "" if r.several else reasons.get(r.file, ""))
        for r in results
        if not r.found
    }


def _speaker(file: str | None, speaker: str | None) -> tuple[str, str]:
    """Return what tells a speaker of a recording from all others, however the names are coded."""
    return caseless(file or ""), caseless(speaker or "")


def _suggested(
    report: Report, work: Sequence[tuple[str, Source, Source | None]], options: Options
) -> dict[str, str]:
    """Which label is which, by the time that they share, where the two sides have hardly any in common."""
    if report.coverage >= LEAST_COVERAGE or report.missing == report.files:
        return {}
    together: Counter[tuple[str, str]] = Counter()
    for name, reference, aligned in [w for w in work if w[2] is not None][:MAP_FILES]:
        try:
            sides = (
                read_labels(reference, options.reference_tiers),
                read_labels(aligned or Source(Path(name)), options.aligned_tiers),
            )
        except DataError:
            continue
        known, own = (list(chain(*(s.phones or () for s in side.values()))) for side in sides)
        together.update(shared_time(*comparable(known, own, options.phone_map)))
    return suggestion(together)
