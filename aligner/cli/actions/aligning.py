"""What ``align`` does: align a folder or a recording, print what came of it, compare, and make a page."""

from __future__ import annotations

import time
from pathlib import Path

import click
from rich.console import Console

from aligner.backends.base import AnyBackend
from aligner.backends.choose import chosen
from aligner.cli import checks
from aligner.cli.actions.bar import Bar
from aligner.cli.actions.output import print_beforehand, print_summary, print_taught
from aligner.cli.actions.reporting import make_report
from aligner.cli.actions.tables import print_brief
from aligner.cli.checks import AlignRequest
from aligner.evaluate.folders import evaluate
from aligner.learn.teach import learnt_by
from aligner.parallel.cores import cores
from aligner.parallel.monitor import Monitor, in_words
from aligner.run.cautions import cautions
from aligner.run.folder import Summary, run
from aligner.run.plan import Job
from aligner.types import Failure, Result

LONG_RUN = 500  # utterances, from which warnings are printed before the work, too, not only in the summary


def align(request: AlignRequest) -> int:
    """Carry out a call of `align`, and return its exit status."""
    job = request.job
    print_beforehand(job)
    # a bad model or dictionary, too, is an error before the work
    backend = chosen(request.model, request.options, request.compute)
    if request.corrections is not None:
        backend = learnt_by(backend, request.corrections, job.corpus, print_taught)
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    if len(job.utterances) > LONG_RUN:
        for caution in cautions(job.utterances, backend):
            console.print(f"warning: {caution}", markup=False)
    summary = align_behind_bar(job, backend, console)
    click.echo(f"backend   {backend.traits.name}: {backend.traits.about}")
    print_summary(summary, job)
    if request.reference is not None:
        _print_accuracy(request.reference, job)
    if request.report:
        outcome = checks.result(job.out, reference=request.reference)
        click.echo(f"report    {make_report(outcome, request.reference, only=job.only)}")
    return 1 if summary.failures else 0


def align_behind_bar(job: Job, backend: AnyBackend, console: Console) -> Summary:
    """Align and write behind a progress bar, and return what was done."""
    audio, failed, begun = 0.0, 0, time.perf_counter()

    def line() -> str:
        speed = f"{audio / (time.perf_counter() - begun):.0f} audio s/s" if audio else ""
        return ", ".join(filter(None, (speed, in_words(monitor.latest) if monitor.latest else "")))

    with Monitor() as monitor, Bar("aligning", console, line) as bar:
        task = bar.add_task("", total=len(job.utterances) + len(job.failures) + len(job.refused), failed="")

        def notice(result: Result) -> None:
            nonlocal audio, failed
            if isinstance(result, Failure):
                failed += 1
            else:
                monitor.start()  # now that there are results, there are the processes that make them
                audio += (result.utterance.end or 0.0) - result.utterance.start
            bar.update(task, advance=1, failed=f"{failed} failed" if failed else "")
            bar.tick()

        summary = run(job, backend, notice)
    summary.peak = monitor.peak
    return summary


def _print_accuracy(reference: Path, job: Job) -> None:
    click.echo()
    print_brief(evaluate(reference, job.out, jobs=cores(), only=job.only), f"accuracy against {reference}")
