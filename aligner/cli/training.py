"""``aligner train``: a model from a corpus."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aligner import names
from aligner.cli.aligning import FIRST_REASONS, INTERRUPTED
from aligner.cli.calls import Command
from aligner.cli.common import warm_up
from aligner.cli.evaluating import CONTEXT
from aligner.parallel.cores import cores

if TYPE_CHECKING:
    from aligner.learn.pronouncing import Text
    from aligner.train.ctc import Epoch
    from aligner.types import Failure


@click.command(
    cls=Command,
    context_settings=CONTEXT,
    short_help="Train a model on a corpus.",
    epilog="Example: aligner train corpus/ model/ --language it --out out/",
)
@click.argument("corpus", type=click.Path(path_type=Path))
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--backend",
    "-b",
    type=click.Choice(names.TRAINED),
    default="hmm",
    show_default=True,
    help="What to train: a hidden Markov model from a flat start; one whose states a network scores, learnt "
    "from the alignments of the first; or a CTC network.",
)
@click.option(
    "--dictionary",
    "-d",
    type=click.Path(path_type=Path),
    help="Pronunciations, in the Montreal Forced Aligner's or CMU's format.  [default: CMU's, of English; "
    "eSpeak's, of other languages]",
)
@click.option(
    "--characters", is_flag=True, help="Learn the letters that words are written with; needs no dictionary."
)
@click.option(
    "--language",
    "-l",
    default="en",
    show_default=True,
    metavar="CODE",
    help="Of the transcripts (aligner languages lists those that need no dictionary); only English has its "
    "numbers spoken out.",
)
@click.option(
    "--g2p/--no-g2p",
    default=True,
    show_default=True,
    help="Whether words that the dictionary lacks get a pronunciation from their letters.",
)
@click.option(
    "--out", "-o", type=click.Path(path_type=Path), help="Align CORPUS with the new model, too, to here."
)
@click.option(
    "--recipe",
    type=click.Choice(names.RECIPES),
    default="standard",
    show_default=True,
    help="hmm: phones without context; in context, with LDA, MLLT and speakers' transforms; or more of it.",
)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="hmm: YAML with stages, em and features, instead of the recipe's.",
)
@click.option(
    "--em",
    type=click.Choice(names.EM),
    help="hmm: whether a frame counts for the best path "
    "alone, or for every path by its probability.  [default: viterbi]",
)
@click.option(
    "--resume", is_flag=True, help="hmm: go on from the last finished iteration of a training that stopped."
)
@click.option(
    "--teacher",
    type=click.Path(path_type=Path),
    help="neural: the folder of the model to learn from.  [default: one is trained first, in MODEL/teacher]",
)
@click.option(
    "--epochs", type=click.IntRange(min=1), help="ctc, neural: passes over the corpus.  [default: 30; 12]"
)
@click.option(
    "--alpha",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default=True,
    help="ctc: weight of the label priors (0.3 is usual); 0 is plain CTC, better on half an hour of speech.",
)
@click.option(
    "--learning-rate",
    type=click.FloatRange(min=0, min_open=True),
    default=2e-3,
    show_default=True,
    help="ctc, neural: at its highest.",
)
@click.option(
    "--batch-seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    show_default=True,
    help="ctc, neural: speech that is learnt from at once.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="The same gives the same model.")
@click.option(
    "--jobs",
    "-j",
    type=click.IntRange(min=1),
    help="Processes that learn and align, and "
    "threads that read; threads that networks learn in.  [default: one a core; networks one]",
)
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1, ...")
def train(
    corpus: Path,
    model: Path,
    backend: str,
    dictionary: Path | None,
    characters: bool,
    language: str,
    g2p: bool,
    out: Path | None,
    jobs: int | None,
    device: str,
    **options: Any,
) -> None:
    """Train a model on the recordings and transcripts in CORPUS and save it in the folder MODEL.

    CORPUS is laid out as for align (aligner validate tells all that is wrong with it).  What cannot be learnt
    from is left out, and told.  MODEL also gets a table and a picture of how the training went.

    Exit status: 0 if all was learnt from, 1 if something was left out, 2 if nothing was trained.
    """
    from aligner.types import AlignerError

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: what is done is kept
    try:
        _check(corpus, model, backend, dictionary, characters, language, out, device, options)
        if backend != "ctc" or out is not None:
            warm_up(jobs)
        from aligner.backends.options import Compute
        from aligner.learn.pronouncing import Text

        if backend != "hmm":
            import torch

            torch.set_num_threads(
                jobs or 1
            )  # two gain 6 %, and take twice as long where others have the cores
        Compute(device=device).check()
        text = Text(dictionary, g2p, characters, language)
        failures = TRAINERS[backend](
            corpus, model, text, {**options, "device": device, "jobs": jobs or cores()}
        )
        if out is not None:
            failures = [*failures, *_aligned(corpus, model, out, jobs or cores())]
    except AlignerError as error:
        click.echo(f"train: {error}", err=True)
        sys.exit(2)
    except (KeyboardInterrupt, SystemError) as error:
        if not _interrupts(error):
            raise
        told = "the same command with --resume goes on" if backend == "hmm" else "nothing was kept"
        click.echo(f"train: interrupted; {told}", err=True)
        sys.exit(INTERRUPTED)
    sys.exit(1 if failures else 0)


def _check(
    corpus: Path,
    model: Path,
    backend: str,
    dictionary: Path | None,
    characters: bool,
    language: str,
    out: Path | None,
    device: str,
    options: Mapping[str, Any],
) -> None:
    """Raise for a wrong call, before what takes long to import."""
    from aligner.backends.calls import check_pronounced, check_spoken
    from aligner.backends.options import check_device
    from aligner.corpus.find import check_corpus
    from aligner.formats.files import check_readable
    from aligner.models.known import HMM_TABLE, NETWORK_TABLE, check_known
    from aligner.run.plan import check_new, check_place, check_writable

    check_pronounced(dictionary, characters)
    check_device(device)
    check_corpus(corpus)
    check_new(model / (NETWORK_TABLE if backend == "ctc" else HMM_TABLE))
    if dictionary is None and not characters:
        check_spoken(language, corpus, espeak=backend != "ctc")
    if options["config"] is not None:
        check_readable(options["config"])
    if options["teacher"] is not None:
        check_known(options["teacher"])
    check_writable(model)
    if out is not None:
        check_place(corpus, out)
        check_writable(out)


def _interrupts(error: BaseException | None) -> bool:
    """Whether it is an interruption, or what numba makes of one that comes while it calls Python: a
    SystemError.
    """
    return error is not None and (isinstance(error, KeyboardInterrupt) or _interrupts(error.__cause__))


def _hmm(corpus: Path, model: Path, text: Text, options: dict[str, Any]) -> Sequence[Failure]:
    from aligner.learn.history import HISTORY, PLOT
    from aligner.learn.train_hmm import options_of, train_hmm

    others = {name: options[name] for name in ("seed", "jobs", "device", "resume")}
    if options["em"]:
        others["em"] = options["em"]
    made = options_of(options["recipe"], options["config"], **others)
    with _bars() as (told, notice):
        summary = train_hmm(corpus, model, text, made, notice, told)
    figures = summary.model.about["figures"]
    click.echo(f"learnt    {summary.utterances} utterances, {summary.seconds / 60:.1f} minutes")
    click.echo(f"phones    {' '.join(summary.phones)}")
    for stage, row in figures.items():
        click.echo(
            f"{stage:<15} {row['log_likelihood']:8.3f} per frame, {row['pdfs']} pdfs, "
            f"{row['gaussians']} Gaussians, {100 * row['unaligned']:.1f} % unaligned"
        )
    for note in summary.notes:
        click.echo(f"note      {note}")
    tell_failures(summary.failures)
    click.echo(f"model     {model} ({HISTORY} and {PLOT} show how it was learnt)")
    return summary.failures


@contextmanager
def _bars() -> Iterator[tuple[Any, Any]]:
    """A bar for the recordings, and one a stage."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from aligner.learn.history import Row

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

        def told(what: str, done: int, total: int) -> None:
            bar.update(task(what, total), completed=done)

        def notice(row: Row) -> None:
            bar.update(
                task(row.stage, row.iterations),
                completed=row.iteration,
                figures=(
                    f"{row.log_likelihood:.3f} per frame, {100 * row.unaligned:.1f} % unaligned, "
                    f"{row.speed:.0f} audio s/s"
                ),
            )

        yield told, notice


def _ctc(corpus: Path, model: Path, text: Text, options: dict[str, Any]) -> Sequence[Failure]:
    from aligner.learn.train_ctc import train_ctc
    from aligner.train.ctc import Options

    def told(epoch: Epoch) -> None:
        click.echo(str(epoch), err=True)

    made = Options(
        epochs=options["epochs"] or 30,
        batch_seconds=options["batch_seconds"],
        learning_rate=options["learning_rate"],
        alpha=options["alpha"],
        seed=options["seed"],
        device=options["device"],
    )
    summary = train_ctc(corpus, model, text, made, told)
    click.echo(f"learnt    {summary.utterances} utterances")
    click.echo(f"labels    {' '.join(summary.labels)}")
    tell_failures(summary.failures)
    click.echo(f"model     {model}")
    return summary.failures


def tell_failures(failures: Sequence[Failure]) -> None:
    """What was left out, and why."""
    click.echo(f"left out  {len(failures)}")
    for f in failures[:FIRST_REASONS]:
        click.echo(f"          {f.utterance.id}: {f.message}")
    if len(failures) > FIRST_REASONS:
        click.echo(f"          and {len(failures) - FIRST_REASONS} more")


def _aligned(corpus: Path, model: Path, out: Path, jobs: int) -> Sequence[Failure]:
    """Align the corpus with its own model."""
    from rich.console import Console

    from aligner.backends.choose import chosen
    from aligner.backends.options import Compute
    from aligner.cli.aligning import print_summary, run_behind_bar
    from aligner.run.folder import plan

    job = plan(corpus, out)
    backend = chosen(str(model), compute=Compute(jobs=jobs))
    summary = run_behind_bar(job, backend, Console(stderr=True, highlight=False))
    click.echo()
    print_summary(summary, job)
    return summary.failures


def _neural(corpus: Path, model: Path, text: Text, options: dict[str, Any]) -> Sequence[Failure]:
    from aligner.learn.train_hmm import options_of
    from aligner.learn.train_neural import TEACHER, teacher_of, train_neural
    from aligner.models.saved import TABLE
    from aligner.run.plan import check_new
    from aligner.train.ctc import Options

    def said(epoch: object) -> None:
        click.echo(str(epoch), err=True)

    teaching = options_of(options["recipe"], options["config"], jobs=options["jobs"], device="cpu")
    folder = options["teacher"] or model / TEACHER
    check_new(model / TABLE)  # before the teacher is trained
    if options["teacher"] is None:
        check_new(folder / TABLE, f"learn from it (--teacher {folder}), or name another folder")
        click.echo(f"first, a hidden Markov model to learn from: {folder}", err=True)
        _hmm(corpus, folder, text, {**options, "device": "cpu"})
    made = Options(
        epochs=options["epochs"] or 12,
        batch_seconds=options["batch_seconds"],
        learning_rate=options["learning_rate"],
        alpha=0.0,
        seed=options["seed"],
        device=options["device"],
    )
    with _bars() as (told, _):
        summary = train_neural(corpus, model, text, teacher_of(folder), teaching, made, said, told)
    click.echo(f"learnt    {summary.utterances} utterances; {summary.history[-1]}")
    tell_failures(summary.failures)
    click.echo(f"model     {model}")
    return summary.failures


TRAINERS = {"hmm": _hmm, "ctc": _ctc, "neural": _neural}
