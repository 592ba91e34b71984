"""``aligner bench``, ``aligner profile`` and ``aligner doctor``: how fast, where the time goes, whether all
is well.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aligner import names
from aligner.cli.calls import Command
from aligner.cli.evaluating import CONTEXT, FOLDER, check_targets, plainly
from aligner.parallel.cores import cores

if TYPE_CHECKING:
    from aligner.bench.family import Plan
    from aligner.bench.timing import Row
    from aligner.check.doctor import Finding

MARKS = {"ok": "  ", "note": "- ", "slow": "! ", "broken": "X "}
MOST = 15  # operators
QUICK_REPEATS, REPEATS = 2, 5
QUICK = (8,), (200,)  # batches and lengths
LIMIT = 50  # utterances of a profile: a trace of some 15 MB


@click.command(
    cls=Command,
    context_settings=CONTEXT,
    short_help="How fast it is here.",
    epilog="Example: aligner bench corpus/ --json speed.json",
)
@click.argument("corpus", required=False, type=FOLDER)
@click.option(
    "--only",
    multiple=True,
    type=click.Choice(names.MEASURED),
    help="What to measure; may be repeated.  [default: models and stages; with CORPUS backends, too]",
)
@click.option(
    "--model",
    "-m",
    "models",
    multiple=True,
    type=click.Choice(names.FAMILY),
    help="Of aligner.hmm; may be repeated.  [default: all]",
)
@click.option(
    "--backend",
    "-b",
    multiple=True,
    type=click.Choice(names.BACKENDS),
    help="Of align; may be repeated.  [default: all]",
)
@click.option(
    "--batch",
    "batches",
    multiple=True,
    type=click.IntRange(min=1),
    metavar="N",
    help="Sequences that a model takes at once; may be repeated.  [default: 1 and 32]",
)
@click.option(
    "--length",
    "lengths",
    multiple=True,
    type=click.IntRange(min=1),
    metavar="FRAMES",
    help="Of each sequence; may be repeated.  [default: 100 and 1000]",
)
@click.option(
    "--device",
    "devices",
    multiple=True,
    metavar="cpu|cuda",
    help="Where models compute; may be repeated.  [default: cpu, and cuda where there is one]",
)
@click.option(
    "--task",
    type=click.Choice(names.TASKS),
    default=names.TASKS[0],
    show_default=True,
    help="What models do; the streaming one always tells states while it listens.",
)
@click.option(
    "--repeats", type=click.IntRange(min=1), help=f"Of which the median counts.  [default: {REPEATS}]"
)
@click.option("--jobs", "-j", type=click.IntRange(min=1), help="Of the backends.  [default: all cores]")
@click.option(
    "--threads", type=click.IntRange(min=1), help="Of torch, for the models.  [default: as torch has them]"
)
@click.option("--quick", is_flag=True, help=f"One batch, one length, {QUICK_REPEATS} repeats.")
@click.option(
    "--json", "figures", type=click.Path(path_type=Path, dir_okay=False), help="Write all figures here."
)
@plainly
def bench(
    corpus: Path | None,
    only: tuple[str, ...],
    models: tuple[str, ...],
    backend: tuple[str, ...],
    batches: tuple[int, ...],
    lengths: tuple[int, ...],
    devices: tuple[str, ...],
    task: str,
    repeats: int | None,
    jobs: int | None,
    threads: int | None,
    quick: bool,
    figures: Path | None,
) -> None:
    """Measure speed: of the models of aligner.hmm, of the stages of align, and of its backends on CORPUS.

    Frames are of 10 ms; audio seconds are summed over the batch. Each figure is the median of repeats, after
    a first call that is told apart; the clock waits for the device. Runs of align count everything from
    finding the files to writing TextGrids (to a temporary folder); models are loaded before.

    Without CORPUS the stages are measured on noise, for which an exact search takes as long as for speech,
    and backends are not: they need speech.
    """
    from aligner.backends.options import check_device
    from aligner.corpus.find import check_corpus

    wanted = only or _wanted(corpus, models, backend)
    if "backends" in wanted and corpus is None:
        raise click.UsageError("backends are measured on speech: name a CORPUS")
    if corpus is not None:
        check_corpus(corpus)
    for device in devices:
        check_device(device)
    check_targets(figures)
    from aligner.bench.family import BATCHES, LENGTHS, Plan
    from aligner.bench.machine import Machine, busy, use_threads
    from aligner.cli.tables import print_machine, print_rows

    times = repeats or (QUICK_REPEATS if quick else REPEATS)
    sizes = QUICK if quick else (BATCHES, LENGTHS)
    plan = Plan(
        models=models or names.FAMILY,
        batches=batches or sizes[0],
        lengths=lengths or sizes[1],
        devices=devices or _devices(),
        task=task,
        repeats=times,
    )
    if threads is not None:
        use_threads(threads)
    machine = Machine.here()
    print_machine(machine)
    load = busy()
    if load:
        click.echo(
            f"note: others compute here (load {load:.1f}): figures are low, and where threads share "
            f"work they "
            "may be many times too low (--threads 1)",
            err=True,
        )
    rows: list[Row] = []
    with ExitStack() as stack:
        for kind, title, found in _measured(
            wanted, corpus, plan, backend or names.BACKENDS, jobs or cores(), stack
        ):
            rows += print_rows(kind, title, found)
    if corpus is None and not only:
        click.echo("backends were not measured: they need speech (aligner bench CORPUS)")
    if figures is not None:
        from aligner.formats.files import write_text

        write_text(
            figures,
            json.dumps(
                {
                    "machine": asdict(machine),
                    "task": task,
                    "corpus": str(corpus or ""),
                    "rows": [r.figures() for r in rows],
                },
                indent=1,
            ),
        )


def _wanted(corpus: Path | None, models: tuple[str, ...], backend: tuple[str, ...]) -> tuple[str, ...]:
    """What to measure where nothing is said: what was named, or all that can be."""
    named = tuple(kind for kind, asked in (("models", models), ("backends", backend)) if asked)
    return named or (names.MEASURED if corpus else names.MEASURED[:2])


def _devices() -> tuple[str, ...]:
    from aligner.bench.family import devices

    return devices()


def _measured(
    wanted: Iterable[str],
    corpus: Path | None,
    plan: Plan,
    backends: tuple[str, ...],
    jobs: int,
    stack: ExitStack,
) -> Iterable[tuple[str, str, Iterable[Row]]]:
    """Kind, title and rows of each table."""
    from aligner.backends.choose import chosen
    from aligner.backends.options import Compute, Options
    from aligner.bench import aligning
    from aligner.bench.family import COMPONENTS, DIMENSIONS, STATES, check_devices, family

    if "models" in wanted:
        check_devices(plan.devices)
        yield (
            "models",
            (
                f"models of aligner.hmm, {plan.task} ({STATES} states, {DIMENSIONS} dimensions, {COMPONENTS} "
                "components)"
            ),
            family(plan),
        )
    if "stages" in wanted:
        place = corpus or stack.enter_context(aligning.made_up())
        backend = chosen(None, Options(backend="hmm"), Compute(jobs=1))
        yield (
            "stages",
            f"stages of align --backend hmm, one process, {corpus or 'on noise'}",
            aligning.stages(place, backend, plan.repeats),
        )
    if "backends" in wanted and corpus is not None:
        yield (
            "backends",
            f"align {corpus}, {jobs} jobs, from files to TextGrids",
            aligning.backends(backends, corpus, plan.repeats, jobs),
        )


@click.command(
    cls=Command,
    context_settings=CONTEXT,
    short_help="Where the time of align goes.",
    epilog="Example: aligner profile corpus/ --limit 20",
)
@click.argument("corpus", type=FOLDER)
@click.argument("out", required=False, type=FOLDER)
@click.option("--backend", "-b", type=click.Choice(names.BACKENDS), help="As of align.")
@click.option("--model", "-m", metavar="NAME|FOLDER", help="As of align.")
@click.option("--language", "-l", metavar="CODE", help="As of align.")
@click.option("--dictionary", "-d", type=click.Path(path_type=Path), help="As of align.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=LIMIT,
    show_default=True,
    help="The most utterances: a trace grows by a third of a megabyte with each.",
)
@plainly
def profile(
    corpus: Path,
    out: Path | None,
    backend: str | None,
    model: str | None,
    language: str | None,
    dictionary: Path | None,
    limit: int,
) -> None:
    """Align CORPUS once, in one process, and tell where the time goes: by stage, and by operator of torch.

    Writes OUT/trace.json, which opens in Perfetto (ui.perfetto.dev) or Chrome, OUT/profile.json with the
    tables, and OUT/aligned. OUT is a new folder: profile, profile-2, ... unless one is named. One utterance
    is aligned first, so that what is loaded and compiled once is not counted.
    """
    os.environ.setdefault(
        "KINETO_LOG_LEVEL", "99"
    )  # torch's profiler tells of itself otherwise; asked for at import
    from aligner.backends.calls import check_choice
    from aligner.backends.options import Compute, Options
    from aligner.corpus.find import check_corpus
    from aligner.run.plan import check_empty, check_writable

    check_corpus(corpus)
    options = Options(dictionary=dictionary, backend=backend, language=language)
    compute = Compute(jobs=1)
    check_choice(model, options, compute)
    if out is not None:
        check_empty(out)
        check_writable(out)
    from aligner.backends.choose import chosen
    from aligner.bench.profile import TRACE, new_folder
    from aligner.bench.profile import profile as profiled
    from aligner.cli.tables import print_profile

    place = new_folder(out)
    found = profiled(corpus, place, chosen(model, options, compute), limit)
    print_profile(found, MOST)
    click.echo(f"open {place / TRACE} in https://ui.perfetto.dev")


@click.command(cls=Command, context_settings=CONTEXT, short_help="Whether all is well here.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def doctor(as_json: bool) -> None:
    """Look at the machine, the libraries and the kernels, align a sentence whose boundaries are known,
    measure speed.

    What is slow is marked with !, what is broken with X, each with what to do. Exit status: 0 if nothing is
    broken, otherwise 1.
    """
    try:
        from aligner.check.doctor import examine
    except (ImportError, OSError) as error:  # torch or another without which nothing runs at all
        said = f"a library cannot be loaded: {error}"
        advice = "install anew, into an empty environment: pip install aligner"
        broken_import = {
            "part": "versions",
            "name": "import",
            "value": said,
            "state": "broken",
            "advice": advice,
        }
        click.echo(
            json.dumps({"well": False, "findings": [broken_import]}) if as_json else f"X {said}\n  {advice}"
        )
        sys.exit(1)
    found: list[tuple[str, Finding]] = []
    part = ""
    for name, finding in examine():
        found.append((name, finding))
        if as_json:
            continue
        if name != part:
            click.echo(name)
            part = name
        _tell(finding)
    broken = sum(f.state == "broken" for _, f in found)
    slow = sum(f.state == "slow" for _, f in found)
    if as_json:
        told: list[dict[str, Any]] = [{"part": name, **asdict(f)} for name, f in found]
        click.echo(json.dumps({"well": not broken, "findings": told}, ensure_ascii=False, indent=1))
    else:
        click.echo(f"{broken} broken, {slow} slow" if broken or slow else "all is well")
    sys.exit(1 if broken else 0)


def _tell(finding: Finding) -> None:
    click.echo(f"{MARKS[finding.state]}{finding.name:<20} {finding.value}")
    if finding.advice:
        click.echo(f"  {'':<20} {finding.advice}")
