"""``aligner validate``: what is wrong with a corpus, before the work."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aligner.cli.calls import Command
from aligner.cli.common import CONTEXT, FIRST_REASONS, FOLDER, INTERRUPTED, guarded

if TYPE_CHECKING:
    from aligner.check.faults import Problem
    from aligner.check.validate import Options, Report

FILE = click.Path(path_type=Path, dir_okay=False)
WIDTH = 120  # of the table


@click.command(
    cls=Command,
    context_settings=CONTEXT,
    short_help="Find what is wrong with a corpus, before the work.",
    epilog="Example: aligner validate corpus/ --csv problems.csv --oovs oovs.csv",
)
@click.argument("corpus", type=FOLDER, metavar="CORPUS|FILE")
@click.option(
    "--dictionary",
    "-d",
    type=FOLDER,
    help="Pronunciations, in the Montreal Forced Aligner's or CMU's format.  [default: CMU's, of English]",
)
@click.option(
    "--language",
    "-l",
    default="en",
    show_default=True,
    metavar="CODE",
    help="Of the transcripts; only English has its numbers spoken out.",
)
@click.option(
    "--characters", is_flag=True, help="Words are spelled, as for a model of letters: no dictionary."
)
@click.option(
    "--g2p/--no-g2p",
    default=True,
    show_default=True,
    help="Whether English words that the dictionary lacks get a pronunciation from their letters, or fail.",
)
@click.option("--csv", "table", type=FILE, help="Write a row for each problem to this file.")
@click.option(
    "--oovs",
    type=FILE,
    help="Write the words that the dictionary lacks to this file: what would be used, "
    "how often each is said, and where first.",
)
@click.option("--jobs", "-j", type=click.IntRange(min=1), help="Threads.  [default: all cores]")
@guarded(writes=True)
def validate(
    corpus: Path,
    dictionary: Path | None,
    language: str,
    characters: bool,
    g2p: bool,
    table: Path | None,
    oovs: Path | None,
    jobs: int | None,
) -> None:
    """Tell everything that is wrong with the recordings and transcripts in CORPUS (or one recording, FILE),
    at once.

    CORPUS is laid out as for align. Every recording is read: is it there, whole, loud, not too loud, long
    enough for what is said? Every word is looked up. An error is what align or train would fail on; a warning
    is worth a look.

    Exit status: 0 if nothing would fail, 1 if something would, 2 if the call was wrong.
    """
    from aligner.backends.calls import check_pronounced, check_tables
    from aligner.cli.checks import check_targets
    from aligner.corpus.find import check_corpus, find_one

    if corpus.is_dir():
        check_corpus(corpus)
    else:
        find_one(corpus)
    check_pronounced(dictionary, characters)
    check_targets(table, oovs)
    check_tables(table, oovs)
    from aligner.check.faults import ERROR
    from aligner.check.validate import Options, write_oovs, write_problems
    from aligner.parallel.cores import cores
    from aligner.text.normalise import spoken_english

    options = Options(dictionary, g2p, characters, spoken_english(language), jobs or cores())
    try:
        report = _behind_bar(corpus, options)
    except KeyboardInterrupt:
        click.echo("validate: interrupted; nothing was written", err=True)
        sys.exit(INTERRUPTED)
    for path, write in ((table, write_problems), (oovs, write_oovs)):
        if path is not None:
            write(path, report)
    _print_corpus(report, options, language)
    _print_problems(report.problems, table)
    sys.exit(1 if any(p.severity == ERROR for p in report.problems) else 0)


def _behind_bar(corpus: Path, options: Options) -> Report:
    """Read the corpus, behind a progress bar."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from aligner.check.validate import validate

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    with Progress(
        TextColumn("reading"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console
    ) as bar:
        task = bar.add_task("", total=None)
        return validate(corpus, options, lambda done, total: bar.update(task, completed=done, total=total))


def _print_corpus(r: Report, options: Options, language: str) -> None:
    click.echo(f"recordings  {r.recordings}, {r.audio / 3600:.3f} hours")
    click.echo(f"utterances  {r.utterances}, {r.speech / 3600:.3f} hours")
    click.echo(f"speakers    {r.speakers}")
    click.echo(f"rates       {', '.join(f'{rate} Hz: {count}' for rate, count in r.rates.items()) or 'none'}")
    click.echo(f"words       {r.words}{_known(r, options, language)}")
    click.echo(f"would fail  {r.failing} of {r.utterances + r.others}")


def _known(r: Report, options: Options, language: str) -> str:
    """How many words the dictionary lacks, or why nobody can tell."""
    if options.characters:
        return "; they are spelled, no dictionary is used"
    if r.oovs is None:
        return (
            f"; none can be called unknown without a dictionary of {language!r} (--dictionary): eSpeak "
            f"reads all, "
            "and train needs a dictionary or --characters"
        )
    if not r.oovs:
        return "; all are in the dictionary"
    said = sum(o.count for o in r.oovs)
    return f"; {said} of them ({len(r.oovs)} different) are not in the dictionary"


def _print_problems(problems: Sequence[Problem], table: Path | None) -> None:
    """How many there are of each kind, and the first of each."""
    if not problems:
        click.echo("\nnothing is wrong")
        return
    _print_counts(problems)
    heads = {"error": "errors: align or train would fail on these", "warning": "warnings: worth a look"}
    for severity, of in groupby(problems, key=lambda p: p.severity):
        click.echo(heads[severity])
        for kind, same in groupby(of, key=lambda p: p.kind):
            _print_first(kind, list(same), table)
        click.echo()


def _print_first(kind: str, problems: Sequence[Problem], table: Path | None) -> None:
    """The first problems of a kind; what to do about them stands in front where it is the same for all."""
    remedies = {p.remedy for p in problems}
    shared = len(problems) > 1 and len(remedies) == 1
    click.echo(f"  {kind}: {remedies.pop()}" if shared else f"  {kind}")
    for p in problems[:FIRST_REASONS]:
        click.echo(f"    {p.utterance.id}: {p.detail}" if shared else f"    {p}")
    if len(problems) > FIRST_REASONS:
        where = f"see {table}" if table else "--csv FILE writes all"
        click.echo(f"    and {len(problems) - FIRST_REASONS} more: {where}")


def _print_counts(problems: Iterable[Problem]) -> None:
    """A table with a line for each kind that there is."""
    from collections import Counter

    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from aligner.check.faults import ERROR, KINDS, WARNING

    counts = Counter((p.kind, p.severity) for p in problems)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("problem", no_wrap=True)
    for column in ("errors", "warnings"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("what it is")
    for kind, meaning in KINDS.items():
        errors, warnings = counts[kind, ERROR], counts[kind, WARNING]
        if errors or warnings:
            table.add_row(kind, str(errors or "–"), str(warnings or "–"), meaning)
    Console(width=WIDTH, highlight=False).print(table)
