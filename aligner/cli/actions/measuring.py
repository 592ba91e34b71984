"""What ``aligner bench`` and ``aligner profile`` do: measure speed, and print the tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import click

from aligner import names
from aligner.backends.choose import chosen
from aligner.backends.options import Compute, Options
from aligner.bench import aligning
from aligner.bench.family import (
    BATCHES,
    COMPONENTS,
    DIMENSIONS,
    LENGTHS,
    STATES,
    Plan,
    check_devices,
    devices,
    family,
)
from aligner.bench.machine import Machine, busy, use_threads
from aligner.bench.profile import TRACE, new_folder, profile
from aligner.bench.timing import Row
from aligner.cli.actions.tables import print_machine, print_profile, print_rows
from aligner.formats.files import write_text
from aligner.parallel.cores import cores

QUICK_BATCHES, QUICK_LENGTHS = (8,), (200,)  # sequences at once; frames of each
OPERATORS = 15  # of torch that a profile's table has


class Measurement(NamedTuple):
    """A table of speeds that is yet to be measured."""

    kind: str
    """One of `aligner.names.MEASURED`, by which the columns differ."""
    title: str
    """The title of the table."""
    rows: Iterable[Row]
    """The rows, each measured when it is taken."""


def bench(
    *,
    corpus: Path | None,
    wanted: Sequence[str],
    plan: Plan,
    backends: Sequence[str],
    jobs: int | None,
    threads: int | None,
    target: Path | None,
) -> int:
    """Carry out a call of `aligner bench`, and return its exit status.

    Parameters
    ----------
    corpus : Path or None
        The folder of recordings and transcripts to align.
    wanted : sequence of str
        What to measure, of `aligner.names.MEASURED`.
    plan : Plan
        What to measure of the models of aligner.hmm, and how often anything is repeated.
    backends : sequence of str
        The backends to measure.
    jobs, threads : int or None
        The processes of the backends, and torch's threads for the models.
    target : Path or None
        Where all figures go as JSON.
    """
    if threads is not None:
        use_threads(threads)
    machine = Machine.here()
    print_machine(machine)
    _print_load()
    rows: list[Row] = []
    with ExitStack() as stack:
        for one in _measurements(wanted, corpus, plan, backends=backends, jobs=jobs or cores(), stack=stack):
            rows += print_rows(*one)
    if target is not None:
        figures = {
            "machine": asdict(machine),
            "task": plan.task,
            "corpus": str(corpus or ""),
            "rows": [r.figures() for r in rows],
        }
        write_text(target, json.dumps(figures, indent=1))
    return 0


def plan_of(
    *,
    models: Sequence[str],
    batches: Sequence[int],
    lengths: Sequence[int],
    on: Sequence[str],
    task: str,
    repeats: int,
    quick: bool,
) -> Plan:
    """Return what to measure of the models of aligner.hmm; what the call leaves out is the usual.

    Parameters
    ----------
    models, batches, lengths, task, repeats
        See `Plan`.
    on : sequence of str
        The devices.
    quick : bool
        Whether one batch and one length are enough.
    """
    return Plan(
        models=models or names.FAMILY,
        batches=batches or (QUICK_BATCHES if quick else BATCHES),
        lengths=lengths or (QUICK_LENGTHS if quick else LENGTHS),
        devices=on or devices(),
        task=task,
        repeats=repeats,
    )


def _print_load() -> None:
    load = busy()
    if load:
        click.echo(
            f"note: others compute here (load {load:.1f}): figures are low, and where threads share work "
            "they may be many times too low (--threads 1)",
            err=True,
        )


def _measurements(
    wanted: Sequence[str],
    corpus: Path | None,
    plan: Plan,
    *,
    backends: Sequence[str],
    jobs: int,
    stack: ExitStack,
) -> Iterator[Measurement]:
    if "models" in wanted:
        check_devices(plan.devices)
        sizes = f"{STATES} states, {DIMENSIONS} dimensions, {COMPONENTS} components"
        yield Measurement("models", f"models of aligner.hmm, {plan.task} ({sizes})", family(plan))
    if "stages" in wanted:
        place = corpus or stack.enter_context(aligning.made_up())
        backend = chosen(None, Options(backend="hmm"), Compute(jobs=1))
        yield Measurement(
            "stages",
            f"stages of align --backend hmm, one process, {corpus or 'on noise'}",
            aligning.stages(place, backend, plan.repeats),
        )
    if "backends" in wanted and corpus is not None:
        yield Measurement(
            "backends",
            f"align {corpus}, {jobs} jobs, from files to TextGrids",
            aligning.backends(backends, corpus, plan.repeats, jobs),
        )


def profile_alignment(
    corpus: Path, out: Path | None, *, model: str | None, options: Options, compute: Compute, limit: int
) -> int:
    """Carry out a call of `aligner profile`, and return its exit status.

    Parameters
    ----------
    corpus : Path
        The folder of recordings and transcripts.
    out : Path or None
        The folder of the tables; a new one unless given.
    model : str or None
        The name or folder of the model.
    options, compute : Options, Compute
        How the corpus is aligned.
    limit : int
        The most utterances.
    """
    folder = new_folder(out)
    print_profile(profile(corpus, folder, chosen(model, options, compute), limit), OPERATORS)
    click.echo(f"open {folder / TRACE} in https://ui.perfetto.dev")
    return 0
