"""``aligner report`` and ``aligner inspect``: results to look at."""

from __future__ import annotations

from pathlib import Path

import click

from aligner.cli.calls import Command
from aligner.cli.common import CONTEXT, FOLDER, guarded
from aligner.parallel.cores import cores

MOST = 10  # notes


@click.command(
    cls=Command,
    context_settings=CONTEXT,
    short_help="Look at results in Praat, and correct them.",
    epilog="Example: aligner inspect out/ --suspect",
)
@click.argument("out", type=FOLDER)
@click.option("--suspect", is_flag=True, help="Only those that are marked suspect.")
@click.option("--corpus", type=FOLDER, help="Where the recordings are, if they have moved since.")
@click.option(
    "--open/--no-open",
    "opened",
    default=True,
    show_default=True,
    help="Open Praat, or only write the script.",
)
@guarded(writes=True)
def inspect(out: Path, suspect: bool, corpus: Path | None, opened: bool) -> None:
    """Look at the alignments in OUT in Praat, one after the other, and correct them.

    Writes OUT/inspect.praat, which opens each recording with its TextGrid, says why it is suspect, and saves
    what you correct to OUT/corrected/. It works without this program, too: open it in Praat and run it. A
    correction that is there already is opened again, so you can stop and go on.
    """
    from aligner.check.praat import items_of, launch, write_inspection
    from aligner.corpus.outcome import read_outcome

    outcome = read_outcome(out, corpus)
    items = items_of(outcome, suspect)
    lost = {r.file for r in outcome.rows if r.status != "failed" and (r.grid is None or r.recording is None)}
    for file in sorted(lost)[:MOST]:
        click.echo(f"note: {file}: its TextGrid or its recording is not there: align it again", err=True)
    if not items:
        click.echo("nothing is suspect" if suspect else f"there is no TextGrid in {out}")
        return
    script = write_inspection(out, items)
    click.echo(f"{len(items)} recordings in {script}")
    if opened:
        launch(script)


@click.command(
    cls=Command,
    context_settings=CONTEXT,
    short_help="A page to look at results.",
    epilog="Example: aligner report out/ --open",
)
@click.argument("out", type=FOLDER)
@click.option(
    "--reference", "-r", type=FOLDER, help="Folder of hand labels: accuracy, and their tiers beside ours."
)
@click.option("--corpus", type=FOLDER, help="Where the recordings are, if they have moved since.")
@click.option("--open", "opened", is_flag=True, help="Open the page in the browser.")
@guarded(writes=True)
def report(out: Path, reference: Path | None, corpus: Path | None, opened: bool) -> None:
    """Make a page to look at the alignments in OUT: OUT/report/index.html.

    Totals, durations of phones, and every utterance with what is suspect about it, its spectrogram and its
    words and phones, to see and to hear. It opens from disk, without a server or a network; its folder may be
    sent as it is.
    """
    page = make_report(out, reference, corpus)
    click.echo(f"open {page}")
    if opened:
        click.launch(page.resolve().as_uri())


def make_report(
    out: Path, reference: Path | None, corpus: Path | None = None, only: frozenset[str] | None = None
) -> Path:
    """Write the page, behind a progress bar."""
    from aligner.backends.calls import check_compared
    from aligner.corpus.outcome import read_outcome

    outcome = read_outcome(out, corpus)
    if reference is not None:
        check_compared(reference, out)
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from aligner.evaluate.folders import evaluate
    from aligner.evaluate.page import write_page

    evaluation = None if reference is None else evaluate(reference, out, jobs=cores(), only=only)
    console = Console(stderr=True, highlight=False)
    with Progress(
        TextColumn("report"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console
    ) as bar:
        task = bar.add_task("", total=len(outcome.rows))
        return write_page(outcome, reference, evaluation, lambda: bar.update(task, advance=1))
