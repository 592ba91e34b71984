"""``aligner teach``: a model that places boundaries as people corrected them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aligner import names
from aligner.cli.aligning import INTERRUPTED
from aligner.cli.calls import Command
from aligner.cli.common import warm_up
from aligner.cli.evaluating import CONTEXT
from aligner.cli.training import tell_failures
from aligner.parallel.cores import cores

if TYPE_CHECKING:
    from aligner.learn.teach import Taught
    from aligner.refine.learning import Figures


@click.command(
    cls=Command,
    context_settings=CONTEXT,
    short_help="Learn from boundaries that were corrected by hand.",
    epilog="Example: aligner teach out/corrected/ english taught/, then: align corpus/ out2/ -m taught/",
)
@click.argument("corrected", type=click.Path(path_type=Path))
@click.argument("model", metavar="MODEL")
@click.argument("new", type=click.Path(path_type=Path))
@click.option(
    "--corpus",
    "-c",
    type=click.Path(path_type=Path),
    help="Where the recordings are, at the same paths.  "
    "[default: beside the labels, or where the run in whose output these are found them]",
)
@click.option(
    "--backend",
    "-b",
    type=click.Choice(names.BACKENDS),
    help="Whose boundaries they are.  [default: the model's]",
)
@click.option(
    "--dictionary",
    "-d",
    type=click.Path(path_type=Path),
    help="Pronunciations; the new model gets it.  [default: the model's own]",
)
@click.option("--language", "-l", metavar="CODE", help="Of the words.  [default: the model's]")
@click.option("--phones", default="phones", show_default=True, help="The tier of phones.")
@click.option("--words", default="words", show_default=True, help="The tier of words.")
@click.option("--jobs", "-j", type=click.IntRange(min=1), help="Processes.  [default: one a core]")
def teach(
    corrected: Path,
    model: str,
    new: Path,
    corpus: Path | None,
    backend: str | None,
    dictionary: Path | None,
    language: str | None,
    phones: str,
    words: str,
    jobs: int | None,
) -> None:
    """Learn from the boundaries in CORRECTED, and save what was learnt with MODEL (english, or a folder) in
    the new folder NEW.

    CORRECTED holds TextGrids that you corrected by hand (aligner inspect saves them in OUT/corrected/), or
    other labels with phones and words; where there are no words, a transcript beside the recording will do.
    Five sentences are enough to begin with.

    The figures that are printed are of what was not learnt from: of other speakers, or, where all is one
    speaker's, of other sentences. If it does not help, nothing is written.

    Exit status: 0 if all was learnt from, 1 if something was left out or nothing was gained, 2 if it cannot
    be done.
    """
    from aligner.backends.calls import check_choice, check_folder
    from aligner.backends.options import Compute, Options
    from aligner.corpus.labels import TierNames, find_labels
    from aligner.run.plan import check_taught
    from aligner.types import AlignerError

    try:
        check_taught(model, new)
        options = Options(dictionary=dictionary, backend=backend, language=language)
        compute = Compute(jobs=jobs or cores())
        check_choice(model, options, compute)
        find_labels(corrected)
        if corpus is not None:
            check_folder(corpus)
        warm_up(jobs)
        from aligner.backends.choose import chosen
        from aligner.learn import teach as teaching

        taught = teaching.teach(corrected, chosen(model, options, compute), corpus, TierNames(phones, words))
        tell_taught(taught)
        if taught.learnt.model is not None:
            teaching.save_taught(taught.learnt, model, dictionary, new)
            click.echo(f"model     {new}")
    except AlignerError as error:
        click.echo(f"teach: {error}", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        click.echo("teach: interrupted; nothing was kept", err=True)
        sys.exit(INTERRUPTED)
    sys.exit(1 if taught.failures or taught.learnt.model is None else 0)


def tell_taught(taught: Taught) -> None:
    """What corrections gave, on the standard output."""
    learnt = taught.learnt
    click.echo(
        f"learnt    {learnt.boundaries} boundaries of {taught.lessons} utterances, {learnt.groups} "
        f"speaker{'s' if learnt.groups > 1 else ''} ({taught.backend})"
    )
    tell_failures(taught.failures)
    left_out = "speakers" if learnt.groups > 1 else "utterances"
    click.echo(
        f"          on {left_out} left out: phones MAE   <= 10 ms   <= 20    <= 50   words MAE   "
        f"intervals hold"
    )
    for title, figures in (("it was", learnt.before), ("it is now", learnt.after)):
        click.echo(f"          {title:>{len(left_out) + 9}}:  {_row(figures)}")
    click.echo(f"gain      {learnt.gain:.2f} ms (standard error {learnt.error:.2f} ms)")
    if learnt.model is None:
        click.echo("          it does not help, so nothing is changed: correct more sentences")


def _row(f: Figures) -> str:
    ten, twenty, fifty = f.within
    words = "" if f.words is None else f"{f.words:.1f} ms"
    shares = f"{ten:5.1f} %  {twenty:5.1f} %  {fifty:5.1f} %"
    return f"{f.mae:6.1f} ms    {shares}  {words:>9}          {f.covered:.0f} %"
