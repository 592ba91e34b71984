"""A folder in, a folder out: what the command ``align`` does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryFile

from aligner.corpus import results
from aligner.corpus.find import find
from aligner.models.base import Model
from aligner.run.align import Options, align
from aligner.types import Alignment, DataError, Failure, Utterance

EXISTING = ("skip", "overwrite", "error")
Result = Alignment | Failure


@dataclass
class Summary:
    """What a run did.

    Attributes
    ----------
    files : int
        Recordings and lone transcripts that were looked at, those that were skipped included.
    audio : float
        Seconds of audio in the aligned utterances.
    ok, suspect : int
        Aligned utterances.
    failures : list of Failure
    suspects : list of Alignment
    skipped, stale : list of str
        Files whose output was there already; those that have changed since.
    wall : float
        Seconds that aligning and writing took, without loading the model.
    """

    files: int = 0
    audio: float = 0.0
    ok: int = 0
    suspect: int = 0
    failures: list[Failure] = field(default_factory=list)
    suspects: list[Alignment] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    wall: float = 0.0

    def count(self, result: Result) -> None:
        """Add one result."""
        if isinstance(result, Failure):
            self.failures.append(result)
            return
        self.audio += (result.utterance.end or 0.0) - result.utterance.start
        self.ok += not result.suspicions
        self.suspect += bool(result.suspicions)
        if result.suspicions:
            self.suspects.append(result)


@dataclass(frozen=True)
class Job:
    """A run that has been checked and can begin: the utterances to align and what is known without."""

    out: Path
    kinds: tuple[str, ...]
    existing: str
    utterances: tuple[Utterance, ...]
    failures: tuple[Failure, ...]
    skipped: tuple[str, ...]
    stale: tuple[str, ...]


def plan(corpus: Path, out: Path, kinds: Sequence[str] = (), existing: str = "skip") -> Job:
    """Look at the folders, before anything is loaded or written.

    Parameters
    ----------
    corpus, out : Path
    kinds : sequence of str
        Of output beside TextGrids: json, csv, ctm.
    existing : {'skip', 'overwrite', 'error'}
        What to do where an output exists.

    Raises
    ------
    DataError
        If there is no corpus, ``out`` lies in it, or nothing can be written to ``out``.
    """
    _check_out(corpus, out)
    found = find(corpus)
    all_kinds = tuple(dict.fromkeys(("textgrid", *kinds)))
    skipped, failures = [], list(found.failures)
    utterances: list[Utterance] = []
    stale: list[str] = []
    for file, group in groupby(found.utterances, key=lambda u: u.file):
        members = list(group)
        outputs = [results.output_path(out, file, kind) for kind in all_kinds]
        there = [p for p in outputs if p.exists()]
        if existing == "skip" and len(there) == len(outputs):
            skipped.append(file)
            if _newest_source(members) > min(p.stat().st_mtime for p in there):
                stale.append(file)
        elif existing == "error" and there:
            reason, remedy = f"its output {there[0]} exists", "use --existing skip or overwrite"
            failures += [Failure(u, reason, remedy) for u in members]
        else:
            utterances += members
    return Job(out, all_kinds, existing, tuple(utterances), tuple(failures), tuple(skipped), tuple(stale))


def run(job: Job, model: Model, options: Options, notice: Callable[[Result], None] = lambda _: None) -> Summary:
    """Align, write each recording's files as soon as it is done, and the tables at the end.

    Parameters
    ----------
    job : Job
    model : Model
    options : Options
    notice : callable
        Told every result.

    Returns
    -------
    Summary
    """
    names = {u.file for u in job.utterances} | {f.utterance.file for f in job.failures} | set(job.skipped)
    summary = Summary(files=len(names), skipped=list(job.skipped), stale=list(job.stale))
    rows: list[dict[str, object]] = []
    oovs: list[tuple[str, Sequence[tuple[str, str]]]] = []
    begun = time.perf_counter()
    try:
        for result in _results(job, model, options):
            summary.count(result)
            rows.append(results.alignment_row(result))
            if isinstance(result, Alignment):
                oovs.append((result.utterance.file, result.oovs))
            notice(result)
    finally:  # whatever ends the run, what is done is in the tables
        kept = frozenset(job.skipped)
        results.write_alignment_table(job.out, rows, kept)
        results.write_oov_table(job.out, oovs, merge=bool(kept))
        summary.wall = time.perf_counter() - begun
    return summary


def _results(job: Job, model: Model, options: Options) -> Iterator[Result]:
    """Every result, those of one recording when its files are written."""
    yield from job.failures
    for _, group in groupby(align(job.utterances, model, options), key=lambda r: r.utterance.file):
        yield from _written(job, list(group))


def _written(job: Job, members: Sequence[Result]) -> Iterable[Result]:
    """Write one recording's files; where that cannot be done, its alignments become failures."""
    aligned = [m for m in members if isinstance(m, Alignment)]
    if not aligned:
        return members
    file = aligned[0].utterance.file
    kinds = [k for k in job.kinds if job.existing == "overwrite" or not results.output_path(job.out, file, k).exists()]
    try:
        results.write(job.out, aligned, kinds)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return [m if isinstance(m, Failure) else Failure(m.utterance, f"its output cannot be written ({reason})",
                                                         "check the disk and the rights") for m in members]
    return members


def _check_out(corpus: Path, out: Path) -> None:
    if out.resolve() == corpus.resolve() or out.resolve().is_relative_to(corpus.resolve()):
        raise DataError(out, f"the output folder lies in the corpus {corpus}, where its TextGrids would be taken for "
                        "transcripts", "name a folder outside it")
    try:
        out.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise DataError(out, f"nothing can be written to the output folder ({error.strerror})",
                        "name another, or change its rights") from error


def _newest_source(utterances: Iterable[Utterance]) -> float:
    paths = {p for u in utterances for p in (u.audio, u.source) if isinstance(p, Path) and p.exists()}
    return max((p.stat().st_mtime for p in paths), default=0.0)
