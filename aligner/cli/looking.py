"""``aligner report`` and ``aligner inspect``: results to look at."""

from __future__ import annotations

from pathlib import Path

import click

from aligner.cli.calls import Command
from aligner.cli.common import CONTEXT, FOLDER, guarded


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
def inspect(*, out: Path, suspect: bool, corpus: Path | None, opened: bool) -> None:
    """Look at the alignments in OUT in Praat, one after the other, and correct them.

    Writes OUT/inspect.praat, which opens each recording with its TextGrid, says why it is suspect, and saves
    what you correct to OUT/corrected/. It works without this program, too: open it in Praat and run it. A
    correction that is there already is opened again, so you can stop and go on.
    """
    from aligner.cli import checks

    outcome = checks.result(out, corpus)
    from aligner.cli.actions import inspecting

    inspecting.inspect(outcome, suspect=suspect, opened=opened)


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
def report(*, out: Path, reference: Path | None, corpus: Path | None, opened: bool) -> None:
    """Make a page to look at the alignments in OUT: OUT/report/index.html.

    Totals, durations of phones, and every utterance with what is suspect about it, its spectrogram and its
    words and phones, to see and to hear. It opens from disk, without a server or a network; its folder may be
    sent as it is.
    """
    from aligner.cli import checks

    outcome = checks.result(out, corpus, reference)
    from aligner.cli.actions import reporting

    page = reporting.make_report(outcome, reference)
    click.echo(f"open {page}")
    if opened:
        click.launch(page.resolve().as_uri())
