"""A folder in, a folder out: what the command ``align`` does."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from aligner import __version__
from aligner.backends.base import AnyBackend, Traits
from aligner.corpus import results
from aligner.formats import json, registry
from aligner.formats.files import unbroken
from aligner.parallel.monitor import Usage
from aligner.refine.outliers import Lengths, likelihood_deviations, unusual, widened
from aligner.refine.thresholds import Test
from aligner.run.align import completed
from aligner.run.cautions import cautions
from aligner.run.plan import Job, check_rights, plan, planned, room_in
from aligner.run.written import Writer
from aligner.text.alphabets import NATIVE
from aligner.text.normalise import normalise
from aligner.text.sentences import sentences
from aligner.tracing import stage
from aligner.types import (
    SILENCE_LABEL,
    STAR_LABEL,
    Alignment,
    Caution,
    Failure,
    Fault,
    Interval,
    Result,
    Suspicion,
)

__all__ = ["Job", "Summary", "plan", "planned", "room_in", "run", "said", "suspects_of"]


@dataclass(kw_only=True)
class Summary:
    """What a run over a folder did, in figures."""

    audio: float = 0.0
    """Seconds of audio in the aligned utterances."""

    aligned: int = 0
    """How many utterances were aligned, those that are suspect among them."""

    suspects: dict[str, tuple[Suspicion, ...]] = field(default_factory=dict)
    """Why each suspect utterance is suspect, by its id."""

    failures: list[Failure] = field(default_factory=list)
    """The utterances that could not be aligned."""

    wall: float = 0.0
    """Seconds that aligning and writing took, without loading the model."""

    cautions: tuple[Caution, ...] = ()
    """What the user should know of the run as a whole, though nothing failed for it."""

    others: str = ""
    """What made the outputs that were kept, where it was something else."""

    peak: Usage | None = None
    """What was in use when memory was at its greatest, where a monitor looked."""

    def count(self, result: Result) -> None:
        """Add what became of one utterance."""
        if isinstance(result, Failure):
            self.failures.append(result)
            return
        self.audio += (result.utterance.end or 0.0) - result.utterance.start
        self.aligned += 1
        self.suspect(result.utterance.id, result.suspicions)

    def in_order(self) -> None:
        """Sort by utterance what was counted in the order in which it was done."""
        self.suspects = dict(sorted(self.suspects.items()))
        self.failures.sort(key=lambda f: f.utterance.id)

    def suspect(self, utterance: str, suspicions: tuple[Suspicion, ...]) -> None:
        """Add reasons to look at an utterance, if there are any."""
        if suspicions:
            self.suspects[utterance] = (*self.suspects.get(utterance, ()), *suspicions)


def run(job: Job, backend: AnyBackend, notice: Callable[[Result], None] = lambda _: None) -> Summary:
    """Align, write each recording's files as soon as it is done, and the tables at the end.

    Parameters
    ----------
    job : Job
    backend : AnyBackend
    notice : callable
        Called with every result.

    Returns
    -------
    Summary

    Raises
    ------
    DataError
        If nothing can be written to the output folder.
    """
    check_rights(job.out)
    writer = Writer.of(backend)
    summary = Summary(
        cautions=(*job.cautions, *cautions(job.utterances, backend, whole=job.only is None and not job.kept))
    )
    rows: list[dict[str, object]] = []
    oovs: dict[str, list[tuple[str, str]]] = defaultdict(list)
    record = _record(job, backend, summary.cautions)
    before = results.read_run_record(job.out) if job.skipped else {}
    if any(before.get(key) != record[key] for key in ("backend", "model", "language") if key in before):
        summary.others = f"{before.get('backend', 'hmm')}: {before.get('model')}"
    elif before and before.get("phones", NATIVE) != backend.options.phones:
        summary.others = f"phones: {before.get('phones', NATIVE)}"
    standing = job.kept | job.beside
    among = _Comparison(backend.traits.limits.leeway, results.tabled_likelihoods(job.out, standing))
    places: dict[str, tuple[Path, int]] = {}
    begun = time.perf_counter()
    try:
        for group in _groups(job, backend):
            with unbroken():  # no file without its row
                with stage("writing"):
                    kinds = _kinds(job, group)
                    members = _written(job, group, backend.traits, writer, kinds)
                places.update(_places(job, members, kinds))
                for result in members:
                    summary.count(result)
                    rows.append(results.alignment_row(result))
                    if isinstance(result, Alignment):
                        oovs[result.utterance.file] += result.oovs
                        among.add(result, rows[-1])
            for result in members:
                notice(result)
    finally:  # whatever ends the run, what is done is in the tables
        changed = dict(among.compared())
        for utterance, suspicions in changed.items():
            summary.suspects.pop(utterance, None)
            summary.suspect(utterance, suspicions)
        summary.cautions += writer.cautions
        record["warnings"] = [asdict(c) for c in summary.cautions]
        if rows or not job.kept:
            results.write_run_record(job.out, record)
        results.write_alignment_table(job.out, rows, standing)
        results.write_oov_table(job.out, sorted(oovs.items()), standing)
        _agree(changed, places)
        summary.in_order()
        summary.wall = time.perf_counter() - begun
    return summary


def suspects_of(job: Job) -> int:
    """How many utterances of an earlier run, which this one kept, are suspect."""
    return results.tabled_suspects(job.out, job.kept)


class _Comparison:
    """Compares the utterances of a run with each other, and with the likelihoods of ``earlier`` ones.

    Parameters
    ----------
    leeway : float
        By how much the limits of margins may be wider than the backend's own.
    earlier : sequence of float
    """

    def __init__(self, leeway: float, earlier: Sequence[float] = ()) -> None:
        self._leeway, self._earlier = leeway, list(earlier)
        self._misfits: list[float] = []
        self._rows: list[tuple[str, tuple[Suspicion, ...], dict[str, object]]] = []
        self._likelihoods: list[float] = []
        self._lengths = Lengths()

    def add(self, alignment: Alignment, row: dict[str, object]) -> None:
        """Add an utterance and its row in the table, which will be completed."""
        self._rows.append((alignment.utterance.id, alignment.suspicions, row))
        self._likelihoods.append(alignment.quality.log_likelihood)
        self._misfits.append(alignment.quality.misfit)
        self._lengths.add(alignment.phones)

    def _of_likelihoods(self) -> list[float | None]:
        return likelihood_deviations([*self._earlier, *self._likelihoods])[len(self._earlier) :]

    def compared(self) -> Iterator[tuple[str, tuple[Suspicion, ...]]]:
        """Complete the rows, and find the utterances that look otherwise in their corpus than alone, each
        with all that looks wrong: some are unusual, and what fits as badly throughout is the voice's fault.
        """
        wider = widened(self._misfits, self._leeway)
        deviations = zip(self._of_likelihoods(), self._lengths.deviations(), self._misfits, strict=True)
        for (utterance, alone, row), (likelihood, lengths, misfit) in zip(
            self._rows, deviations, strict=True
        ):
            for column, value in (("likelihood_deviation", likelihood), ("duration_deviation", lengths)):
                row[column] = "" if value is None else round(value, 3)
            usual = (Test.MISFIT, Test.STAR) if misfit <= wider else ()
            found = (*(s for s in alone if s.test not in usual), *unusual(likelihood, lengths))
            if found != alone:
                row.update(results.suspicion_cells(found))
                yield utterance, found


def _record(job: Job, backend: AnyBackend, cautions: Sequence[Caution]) -> dict[str, object]:
    """What kind of run it is, for those who look at its results later."""
    options = backend.options
    return {
        "aligner": __version__,
        "corpus": str(job.corpus.resolve()),
        "backend": backend.traits.name,
        "model": backend.traits.model_name,
        "language": options.language,
        "dictionary": str(options.dictionary.resolve()) if options.dictionary else None,
        "add_words": [str(path.resolve()) for path in options.added],
        "g2p": options.g2p,
        "stress": options.shows_stress,
        **({} if options.phones == NATIVE else {"phones": options.phones}),
        "refine": options.refine,
        "taught": backend.traits.refinement.taught is not None,
        "formats": list(job.kinds),
        "warnings": [asdict(c) for c in cautions],
    }


def _groups(job: Job, backend: AnyBackend) -> Iterator[Sequence[Result]]:
    """Every result, those of one recording together as soon as the last of them is done."""
    yield (*job.failures, *job.refused)
    missing = Counter(u.file for u in job.utterances)
    done: dict[str, dict[int, Result]] = defaultdict(dict)
    for place, result in completed(job.utterances, backend):
        file = result.utterance.file
        done[file][place] = result
        missing[file] -= 1
        if not missing[file]:
            yield [r for _, r in sorted(done.pop(file).items())]


def _kinds(job: Job, members: Sequence[Result]) -> list[str]:
    """The formats that one recording's files are written in: those of which there is none, or all."""
    file = members[0].utterance.file if members else ""
    return [
        k
        for k in job.kinds
        if job.existing == "overwrite" or not registry.output_path(job.out, file, k).exists()
    ]


def _places(
    job: Job, members: Sequence[Result], kinds: Sequence[str]
) -> Iterator[tuple[str, tuple[Path, int]]]:
    """The JSON file that holds what looks wrong with each utterance, and its place there."""
    aligned = [m for m in members if isinstance(m, Alignment)]
    for place, alignment in enumerate(aligned if json.FORMAT.name in kinds else ()):
        path = registry.output_path(job.out, alignment.utterance.file, json.FORMAT.name)
        yield alignment.utterance.id, (path, place)


def _agree(changed: Mapping[str, tuple[Suspicion, ...]], places: Mapping[str, tuple[Path, int]]) -> None:
    """Let JSON files say of utterances what the tables say of them, for the rest of the corpus told more."""
    again: dict[Path, dict[int, tuple[Suspicion, ...]]] = defaultdict(dict)
    for utterance, suspicions in changed.items():
        if utterance in places:
            path, place = places[utterance]
            again[path][place] = suspicions
    for path, own in again.items():
        json.judge_again(path, own)


def _written(
    job: Job, members: Sequence[Result], traits: Traits, writer: Writer, kinds: Sequence[str]
) -> Sequence[Result]:
    """Write one recording's files of some ``kinds``; where that cannot be done, its alignments become
    failures.
    """
    aligned = [m for m in members if isinstance(m, Alignment)]
    if not aligned:
        return members
    aligned = [writer.alignment(a) for a in aligned]
    if "segments" in job.kinds:
        aligned = [replace(a, sentences=said(a, traits)) for a in aligned]
    try:
        registry.write(job.out, aligned, kinds, several=len({m.utterance.speaker for m in members}) > 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return [
            m
            if isinstance(m, Failure)
            else Failure(
                m.utterance,
                f"its output cannot be written ({reason})",
                "check the disk and the rights",
                fault=Fault.OUTPUT,
            )
            for m in members
        ]
    return members


def said(alignment: Alignment, traits: Traits) -> tuple[Interval, ...]:
    """Where each sentence of an alignment's transcript is; those of which no word is there are left out."""
    words = [w for w in alignment.words if w.label not in (SILENCE_LABEL, STAR_LABEL)]
    entry = traits.entry_of(alignment.utterance.speaker)
    found, first = [], 0
    for text in sentences(alignment.utterance.transcript):
        tokens = normalise(text, traits.english is not False, traits.marks, entry, traits.reader)
        labels = [t.spelling for t in tokens]
        own = words[first : first + len(labels)]
        if labels and [w.label for w in own] == labels:
            found.append(Interval(own[0].start, own[-1].end, text))
            first += len(labels)
    return tuple(found)
