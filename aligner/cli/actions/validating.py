"""What ``aligner validate`` does: examine a corpus, and print what is wrong with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from aligner.check.faults import ERROR, KINDS, WARNING, Problem
from aligner.check.validate import Options, Report, validate, write_oovs, write_problems
from aligner.cli.common import FIRST_REASONS, TABLE_WIDTH
from aligner.parallel.cores import cores
from aligner.text.conventions import Conventions
from aligner.text.normalise import spoken_english
from aligner.types import in_one_line


def validate_corpus(
    corpus: Path,
    *,
    dictionary: Path | None,
    add_words: tuple[Path, ...],
    strict: bool,
    language: str,
    characters: bool,
    g2p: bool,
    conventions: Conventions,
    table: Path | None,
    oovs: Path | None,
    jobs: int | None,
) -> int:
    """Carry out a call of `aligner validate`, and return its exit status.

    Parameters
    ----------
    corpus : Path
        The folder of recordings and transcripts, or one recording.
    dictionary : Path or None
        A file of pronunciations, or a YAML file that names one for each speaker.
    add_words : tuple of Path
        Files whose words are laid over it.
    strict : bool
        Whether a line of these files that cannot be used is an error.
    language : str
        The code of the transcripts' language.
    characters : bool
        Whether words are spelled.
    g2p : bool
        Whether words that the dictionary lacks get a pronunciation from their letters.
    conventions : Conventions
        How noises and the like are told from words.
    table, oovs : Path or None
        Where a table of the problems, and one of the words that the dictionary lacks, go.
    jobs : int or None
        The number of threads.
    """
    options = Options(
        dictionary=dictionary,
        add_words=add_words,
        strict=strict,
        g2p=g2p,
        conventions=conventions,
        characters=characters,
        english=spoken_english(language),
        language=language,
        jobs=jobs or cores(),
    )
    report = _behind_bar(corpus, options)
    if table is not None:
        write_problems(table, report)
    if oovs is not None:
        write_oovs(oovs, report)
    _print_totals(report, options, language)
    _print_problems(report.problems, table)
    return 1 if any(p.severity == ERROR for p in report.problems) else 0


def _behind_bar(corpus: Path, options: Options) -> Report:
    """Examine the corpus behind a progress bar."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    with Progress(
        TextColumn("reading"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console
    ) as bar:
        task = bar.add_task("", total=None)
        return validate(corpus, options, lambda done, total: bar.update(task, completed=done, total=total))


def _print_totals(r: Report, options: Options, language: str) -> None:
    click.echo(f"recordings  {r.recordings}, {r.audio / 3600:.3f} hours")
    click.echo(f"utterances  {r.utterances}, {r.speech / 3600:.3f} hours")
    click.echo(f"speakers    {r.speakers}")
    click.echo(f"rates       {', '.join(f'{rate} Hz: {count}' for rate, count in r.rates.items()) or 'none'}")
    click.echo(f"words       {r.words}{_oov_note(r, options, language)}")
    click.echo(f"would fail  {r.failing} of {r.utterances + r.others}")


def _oov_note(r: Report, options: Options, language: str) -> str:
    """Return how many words the dictionary lacks, or why nobody can tell."""
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
    """Print how many problems of each kind there are, and the first of each."""
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
    """Print the first problems of a kind; what to do is printed once where it is the same for all."""
    remedies = {p.remedy for p in problems}
    shared = len(problems) > 1 and len(remedies) == 1
    click.echo(f"  {kind}: {remedies.pop()}" if shared else f"  {kind}")
    for p in problems[:FIRST_REASONS]:
        click.echo(f"    {in_one_line(p.utterance.id)}: {in_one_line(p.detail)}" if shared else f"    {p}")
    if len(problems) > FIRST_REASONS:
        where = f"see {table}" if table else "--csv FILE writes all"
        click.echo(f"    and {len(problems) - FIRST_REASONS} more: {where}")


def _print_counts(problems: Iterable[Problem]) -> None:
    """Print a table with a line for each kind of problem that there is."""
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
    Console(width=TABLE_WIDTH, highlight=False).print(table)
