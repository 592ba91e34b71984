"""What several commands print: summaries of runs, of what was left out, and of what corrections gave."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from aligner.cli.common import FIRST_REASONS
from aligner.learn.counting import Counted
from aligner.learn.teach import Taught
from aligner.parallel.monitor import Usage, in_units
from aligner.refine.learning import MOST_GAINED, BoundaryFigures
from aligner.run.folder import Summary, suspects_of
from aligner.run.plan import Job
from aligner.types import Caution, Failure, foremost, in_one_line

RAREST = 3  # kinds of boundaries that a message names


def print_beforehand(job: Job) -> None:
    """Print, before the work, that some of a corpus cannot be aligned: nobody should wait a night for it."""
    if job.failures and job.utterances:
        first, files = job.failures[0], {f.utterance.file for f in job.failures}
        count = f"{len(files)} of {len(job.files)} files cannot be aligned as they are"
        click.echo(f"before the work: {count}: {in_one_line(first.utterance.id)}: {first.message}", err=True)


def print_summary(s: Summary, job: Job) -> None:
    """Print what a run of alignment did."""
    click.echo(f"files     {len(job.files)}")
    click.echo(f"hours     {s.audio / 3600:.3f} of aligned speech")
    click.echo(f"aligned   {s.aligned} utterances")
    click.echo(f"suspect   {len(s.suspects)} of them")
    for utterance, suspicions in list(s.suspects.items())[:FIRST_REASONS]:
        click.echo(
            f"          {in_one_line(utterance)}: {'; '.join(found.text for found in foremost(suspicions))}"
        )
    _print_rest(len(s.suspects), job.out)
    click.echo(f"failed    {len(s.failures)}")
    for f in s.failures[:FIRST_REASONS]:
        click.echo(f"          {in_one_line(f.utterance.id)}: {f.message}")
    _print_rest(len(s.failures), job.out)
    print_cautions(s.cautions)
    if job.skipped:
        click.echo(
            f"skipped   {len(job.skipped)} files whose output exists (--existing overwrite does them again)"
        )
    if s.others:
        click.echo(f"          they were made by {s.others}")
    waiting = suspects_of(job)
    if waiting:
        table = job.out / "alignment.csv"
        click.echo(
            f"          {waiting} utterances in them have been suspect since an earlier run: see {table}"
        )
    if job.stale:
        click.echo(f"          {len(job.stale)} of them have changed since, {job.stale[0]} for one")
    if job.completed:
        click.echo(
            f"kept      what existed of {len(job.completed)} files' output; only what they lacked was written"
        )
    if s.aligned:
        click.echo(f"speed     {s.audio / s.wall:.0f} audio seconds per second ({s.wall:.1f} s)")
    if s.peak is not None:
        click.echo(f"memory    {_memory(s.peak)}")


def _memory(peak: Usage) -> str:
    """Return the greatest use of memory as text, with how it was counted."""
    shared = ", what they share counted for each" if peak.measure == "RSS" else ""
    several = f" in {peak.processes} processes{shared}" if peak.processes > 1 else ""
    gpu = f", {in_units(peak.gpu.memory)} on the GPU" if peak.gpu else ""
    return f"{in_units(peak.memory)} at most{several}{gpu} ({peak.measure}, seen by looking now and then)"


def print_cautions(cautions: Sequence[Caution]) -> None:
    """Print what the user of a run should know, though nothing failed for it."""
    for caution in cautions:
        click.echo(f"warning   {caution}")


def _print_rest(count: int, out: Path) -> None:
    if count > FIRST_REASONS:
        click.echo(f"          and {count - FIRST_REASONS} more: see {out / 'alignment.csv'}")


def print_failures(failures: Sequence[Failure]) -> None:
    """Print which utterances a training left out, and why."""
    click.echo(f"left out  {len(failures)}")
    for f in failures[:FIRST_REASONS]:
        click.echo(f"          {in_one_line(f.utterance.id)}: {f.message}")
    if len(failures) > FIRST_REASONS:
        click.echo(f"          and {len(failures) - FIRST_REASONS} more")


def print_taught(taught: Taught) -> None:
    """Print what was learnt from corrected boundaries, and what it gains."""
    learnt = taught.learnt
    edges = "edges of words" if learnt.words_only else "boundaries"
    click.echo(
        f"learnt    {learnt.boundaries} {edges} of {taught.lessons} utterances, {learnt.groups} "
        f"speaker{'s' if learnt.groups > 1 else ''} ({taught.backend})"
    )
    for line in _counted(taught.counted):
        click.echo(line)
    print_failures(taught.failures)
    left_out = "speakers" if learnt.groups > 1 else "utterances"
    what = " edges" if learnt.words_only else "phones"
    click.echo(
        f"          on {left_out} left out: {what} MAE   <= 10 ms   <= 20    <= 50   words MAE   "
        f"intervals hold"
    )
    for title, figures in (("it was", learnt.before), ("it is now", learnt.after)):
        click.echo(f"          {title:>{len(left_out) + 9}}:  {_row(figures)}")
    click.echo(
        f"gain      {learnt.gain:.2f} ms; {learnt.steady:.2f} ms (standard error {learnt.error:.2f} ms) "
        f"where no boundary counts for more than {1000 * MOST_GAINED:g} ms"
    )
    if learnt.model is None:
        click.echo("          it does not help, so nothing is changed")
        click.echo(f"missing   {_missing(taught)}")


def _counted(counted: Counted) -> Iterator[str]:
    """Tell which boundaries counted, where it is not all of them or some are as a run left them."""
    if counted.marked is not None:
        yield f"marked    {counted.marked} of {counted.edges} boundaries; the others count as unknown"
    elif counted.moved is not None:
        yield f"moved     {counted.moved} of {counted.edges} boundaries; the others count as right"
    if counted.chosen_far:
        yield (
            "          the marks are on boundaries alone that were far off, which say nothing of the others: "
            "these count as right"
        )


def _missing(taught: Taught) -> str:
    """Tell in one line what corrections lack that do not help."""
    learnt = taught.learnt
    lacking = [
        f"a gain of {learnt.gain:.2f} ms in {taught.lessons} utterances may be chance: some "
        f"{learnt.more * taught.lessons} such utterances would tell"
        if learnt.more is not None
        else "more utterances, for these have nothing in common that the model lacks"
    ]
    if learnt.groups == 1:
        lacking.append("other speakers, for these are of one")
    if learnt.rare:
        kinds = ", ".join(f"{kind} ({count})" for kind, count in learnt.rare[:RAREST])
        lacking.append(f"boundaries of these kinds, of which there are hardly any: {kinds}")
    return "; ".join(lacking)


def _row(f: BoundaryFigures) -> str:
    ten, twenty, fifty = f.within
    words = "" if f.words is None else f"{f.words:.1f} ms"
    shares = f"{ten:5.1f} %  {twenty:5.1f} %  {fifty:5.1f} %"
    return f"{f.mae:6.1f} ms    {shares}  {words:>9}          {f.covered:.0f} %"
