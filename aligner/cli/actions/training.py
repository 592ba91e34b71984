"""What ``aligner train`` does: train a model of one of three kinds, and print how it went."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from aligner.backends.choose import chosen
from aligner.backends.options import Compute
from aligner.cli.actions.aligning import align_behind_bar
from aligner.cli.actions.output import print_cautions, print_failures, print_summary
from aligner.cli.checks import TrainRequest
from aligner.learn.guide import guide_of
from aligner.learn.history import HISTORY, PLOT, Row
from aligner.learn.hmm_options import Options as HmmOptions
from aligner.learn.hmm_options import options_of
from aligner.learn.pronouncing import Text
from aligner.learn.train_ctc import train_ctc
from aligner.learn.train_head import Options as HeadOptions
from aligner.learn.train_head import train_headed
from aligner.learn.train_hmm import train_hmm
from aligner.learn.train_neural import TEACHER, teacher_of, train_neural
from aligner.learn.training_corpus import cautions
from aligner.models.ears import CLOCK, ear
from aligner.models.saved import TABLE
from aligner.parallel.cores import cores
from aligner.run.plan import check_new, plan
from aligner.train.ctc import Options as NetworkOptions
from aligner.train.head import Options as HeadFitting
from aligner.types import Failure

CTC_EPOCHS, NEURAL_EPOCHS, HEAD_EPOCHS = 30, 12, 2  # passes over the corpus unless the call says how many
LEARNING_RATE, BATCH_SECONDS = 2e-3, 60.0  # of networks without an encoder


def train(call: TrainRequest) -> int:
    """Carry out a call of `aligner train`, and return its exit status."""
    if call.backend != "hmm":
        torch.set_num_threads(call.jobs or 1)  # two gain 6 %, and take twice as long where others compute
    Compute(device=call.device).check()
    text = Text(
        call.dictionary,
        call.g2p,
        bool(call.characters),
        call.language,
        conventions=call.conventions,
        add_words=call.add_words,
        strict=call.strict,
    )
    print_cautions(cautions(call.corpus, text))
    failures = TRAINERS[call.backend](call, text)
    if call.out is not None:
        failures = [*failures, *_align(call.corpus, call.model, call.out, call.jobs or cores())]
    return 1 if failures else 0


def _train_hmm(call: TrainRequest, text: Text) -> Sequence[Failure]:
    with _progress() as (read, iterated):
        summary = train_hmm(
            call.corpus, call.model, text, _hmm_options(call, text), on_iteration=iterated, on_progress=read
        )
    click.echo(f"started   from {summary.model.about['started_from'] or 'utterances cut into equal pieces'}")
    click.echo(f"learnt    {summary.utterances} utterances, {summary.seconds / 60:.1f} minutes")
    click.echo(f"phones    {' '.join(summary.phones)}")
    for stage, row in summary.model.about["figures"].items():
        click.echo(
            f"{stage:<15} {row['log_likelihood']:8.3f} per frame, {row['pdfs']} pdfs, "
            f"{row['gaussians']} Gaussians, {100 * row['unaligned']:.1f} % unaligned"
        )
    for note in summary.notes:
        click.echo(f"note      {note}")
    print_failures(summary.failures)
    click.echo(f"model     {call.model} ({HISTORY} and {PLOT} show how it was learnt)")
    return summary.failures


def _hmm_options(call: TrainRequest, text: Text) -> HmmOptions:
    others = {"em": call.em} if call.em else {}
    start = guide_of(call.start, text, Compute(jobs=call.jobs or cores()))
    return options_of(
        call.recipe,
        call.config,
        seed=call.seed,
        jobs=call.jobs or cores(),
        device=call.device,
        resume=call.resume,
        start=start,
        letters=call.characters is None and call.backend == "hmm",  # others read the corpus by themselves
        **others,
    )


@contextmanager
def _progress() -> Iterator[tuple[Callable[[str, int, int], None], Callable[[Row], None]]]:
    """Show a bar for the recordings and one a stage; yield what to call when one is read, and after an
    iteration.
    """
    with Progress(
        TextColumn("{task.description:<15}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[figures]}"),
        console=Console(stderr=True, highlight=False),
    ) as bar:
        tasks: dict[str, Any] = {}

        def task(name: str, total: int) -> Any:
            if name not in tasks:
                tasks[name] = bar.add_task(name, total=total, figures="")
            return tasks[name]

        def read(what: str, done: int, total: int) -> None:
            bar.update(task(what, total), completed=done)

        def iterated(row: Row) -> None:
            bar.update(
                task(row.stage, row.iterations),
                completed=row.iteration,
                figures=(
                    f"{row.log_likelihood:.3f} per frame, {100 * row.unaligned:.1f} % unaligned, "
                    f"{row.speed:.0f} audio s/s"
                ),
            )

        yield read, iterated


def _train_ctc(call: TrainRequest, text: Text) -> Sequence[Failure]:
    options = _network_options(call, call.epochs or CTC_EPOCHS, call.alpha)
    summary = train_ctc(call.corpus, call.model, text, options, on_epoch=_print_epoch)
    click.echo(f"learnt    {summary.utterances} utterances")
    click.echo(f"labels    {' '.join(summary.labels)}")
    print_failures(summary.failures)
    click.echo(f"model     {call.model}")
    return summary.failures


def _train_neural(call: TrainRequest, text: Text) -> Sequence[Failure]:
    reading = options_of(call.recipe, call.config, jobs=call.jobs or cores(), device="cpu")
    if call.encoder is not None:
        ear(call.encoder)  # before a teacher is trained, it is known whether there is one
    teacher = call.teacher or call.model / TEACHER
    check_new(call.model / TABLE)  # before the teacher is trained
    if call.teacher is None:
        check_new(teacher / TABLE, f"learn from it (--teacher {teacher}), or name another folder")
        click.echo(f"first, a hidden Markov model to learn from: {teacher}", err=True)
        _train_hmm(replace(call, model=teacher, device="cpu"), text)
    if call.encoder is not None:
        return _train_head(call, text, teacher)
    options = _network_options(call, call.epochs or NEURAL_EPOCHS, 0.0)
    with _progress() as (read, _):
        summary = train_neural(
            call.corpus,
            call.model,
            text,
            teacher_of(teacher),
            reading=reading,
            options=options,
            on_epoch=_print_epoch,
            on_progress=read,
        )
    click.echo(f"learnt    {summary.utterances} utterances; {summary.history[-1]}")
    print_failures(summary.failures)
    click.echo(f"model     {call.model}")
    return summary.failures


def _train_head(call: TrainRequest, text: Text, teacher: Path) -> Sequence[Failure]:
    assert call.encoder is not None
    usual = HeadFitting()
    frames = None if call.batch_seconds is None else CLOCK.rate / CLOCK.hop * call.batch_seconds
    fitting = replace(
        usual,
        epochs=float(call.epochs or HEAD_EPOCHS),
        batch=usual.batch if frames is None else max(1, round(frames / usual.stretch)),
        learning_rate=call.learning_rate or usual.learning_rate,
        device=call.device,
        seed=call.seed,
    )
    with _progress() as (read, _):
        summary = train_headed(
            call.corpus,
            call.model,
            text,
            teacher_of(teacher),
            HeadOptions(encoder=call.encoder, copies=call.copies, fitting=fitting),
            jobs=call.jobs or cores(),
            on_heard=read,
            on_progress=_print_epoch,
        )
    click.echo(f"learnt    {summary.utterances} utterances; {summary.right:.0%} of frames right")
    print_failures(summary.failures)
    click.echo(f"model     {call.model}")
    return summary.failures


def _network_options(call: TrainRequest, epochs: int, alpha: float) -> NetworkOptions:
    return NetworkOptions(
        epochs=epochs,
        batch_seconds=call.batch_seconds or BATCH_SECONDS,
        learning_rate=call.learning_rate or LEARNING_RATE,
        alpha=alpha,
        seed=call.seed,
        device=call.device,
    )


def _print_epoch(epoch: object) -> None:
    click.echo(str(epoch), err=True)


def _align(corpus: Path, model: Path, out: Path, jobs: int) -> Sequence[Failure]:
    """Align the corpus with the model that was trained on it."""
    job = plan(corpus, out)
    backend = chosen(str(model), compute=Compute(jobs=jobs))
    summary = align_behind_bar(job, backend, Console(stderr=True, highlight=False))
    click.echo()
    print_summary(summary, job)
    return summary.failures


TRAINERS = {"hmm": _train_hmm, "ctc": _train_ctc, "neural": _train_neural}
