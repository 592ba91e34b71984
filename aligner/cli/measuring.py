"""``aligner bench``, ``aligner profile`` and ``aligner doctor``: how fast, where the time goes, whether all
is well.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click

from aligner import names
from aligner.cli.calls import Command
from aligner.cli.common import CONTEXT, FILE, FOLDER, guarded

QUICK_REPEATS, REPEATS = 2, 5
PROFILED = 50  # utterances of a profile: a trace of some 15 MB


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
    type=click.Choice(list(names.BACKENDS)),
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
@click.option("--json", "figures", type=FILE, help="Write all figures here.")
@guarded(writes=True)
def bench(
    *,
    corpus: Path | None,
    only: tuple[str, ...],
    models: tuple[str, ...],
    backend: tuple[str, ...],
    devices: tuple[str, ...],
    figures: Path | None,
    repeats: int | None,
    quick: bool,
    jobs: int | None,
    threads: int | None,
    **sizes: Any,
) -> int:
    """Measure speed: of the models of aligner.hmm, of the stages of align, and of its backends on CORPUS.

    Frames are of 10 ms; audio seconds are summed over the batch. Each figure is the median of repeats, after
    a first call that is reported apart; the clock waits for the device. Runs of align count everything from
    finding the files to writing TextGrids (to a temporary folder); models are loaded before.

    Without CORPUS the stages are measured on noise, for which an exact search takes as long as for speech,
    and backends are not: they need speech.
    """
    wanted = only or _wanted(corpus, models, backend)
    if "backends" in wanted and corpus is None:
        raise click.UsageError("backends are measured on speech: name a CORPUS")
    from aligner.cli import checks

    checks.measurement(corpus, devices, figures)
    from aligner.cli.actions import measuring

    plan = measuring.plan_of(
        models=models,
        on=devices,
        repeats=repeats or (QUICK_REPEATS if quick else REPEATS),
        quick=quick,
        **sizes,
    )
    status = measuring.bench(
        corpus=corpus,
        wanted=wanted,
        plan=plan,
        backends=backend or tuple(names.BACKENDS),
        jobs=jobs,
        threads=threads,
        target=figures,
    )
    if corpus is None and not only:
        click.echo("backends were not measured: they need speech (aligner bench CORPUS)")
    return status


def _wanted(corpus: Path | None, models: tuple[str, ...], backend: tuple[str, ...]) -> tuple[str, ...]:
    """Return what to measure where nothing is said: what was named, or all that can be."""
    named = tuple(kind for kind, given in (("models", models), ("backends", backend)) if given)
    return named or (names.MEASURED if corpus else names.MEASURED[:2])


@click.command(
    cls=Command,
    context_settings=CONTEXT,
    short_help="Where the time of align goes.",
    epilog="Example: aligner profile corpus/ --limit 20",
)
@click.argument("corpus", type=FOLDER)
@click.argument("out", required=False, type=FOLDER)
@click.option("--backend", "-b", type=click.Choice(list(names.BACKENDS)), help="As of align.")
@click.option("--model", "-m", metavar="NAME|FOLDER", help="As of align.")
@click.option("--language", "-l", metavar="CODE", help="As of align.")
@click.option("--dictionary", "-d", type=click.Path(path_type=Path), help="As of align.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=PROFILED,
    show_default=True,
    help="The most utterances: a trace grows by a third of a megabyte with each.",
)
@guarded(writes=True)
def profile(*, corpus: Path, out: Path | None, model: str | None, limit: int, **settings: Any) -> int:
    """Align CORPUS once, in one process, and tell where the time goes: by stage, and by operator of torch.

    Writes OUT/trace.json, which opens in Perfetto (ui.perfetto.dev) or Chrome, OUT/profile.json with the
    tables, and OUT/aligned. OUT is a new folder: profile, profile-2, ... unless one is named. One utterance
    is aligned first, so that what is loaded and compiled once is not counted.
    """
    # torch's profiler prints messages otherwise; the variable is read when it is imported
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    from aligner.cli import checks

    options, compute = checks.profiling(corpus=corpus, out=out, model=model, **settings)
    from aligner.cli.actions import measuring

    return measuring.profile_alignment(
        corpus, out, model=model, options=options, compute=compute, limit=limit
    )


@click.command(cls=Command, context_settings=CONTEXT, short_help="Whether all is well here.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@guarded()
def doctor(*, as_json: bool) -> int:
    """Look at the machine, the libraries and the kernels, align a sentence whose boundaries are known,
    measure speed.

    What is slow is marked with !, what is broken with X, each with what to do. Exit status: 0 if nothing is
    broken, otherwise 1.
    """
    try:
        from aligner.cli.actions.examining import examine
    except (ImportError, OSError) as error:  # torch or another without which nothing runs at all
        return _tell_broken(error, as_json)
    return examine(as_json)


def _tell_broken(error: Exception, as_json: bool) -> int:
    """Say that a library cannot be loaded, and return the exit status."""
    value = f"a library cannot be loaded: {error}"
    advice = "install anew, into an empty environment: pip install aligner"
    if as_json:
        finding = {
            "part": "versions",
            "name": "import",
            "value": value,
            "state": "broken",
            "advice": advice,
        }
        click.echo(json.dumps({"well": False, "findings": [finding]}))
    else:
        click.echo(f"X {value}\n  {advice}")
    return 1
