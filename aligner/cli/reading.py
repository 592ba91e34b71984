"""``aligner read``: how a text will be read, before a night's run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from aligner import names
from aligner.cli.calls import Command
from aligner.cli.common import BRACKETS, CONTEXT, DICTIONARY, FILE, G2P, NOISE_WORDS, STRESS, guarded


@click.command(
    cls=Command,
    context_settings=CONTEXT,
    short_help="Show how a text will be read and pronounced.",
    epilog="Examples: aligner read 'Dr. Lee paid $5 in 1984 (laughs)';  aligner read talk.txt --csv read.csv",
)
@click.argument("text", metavar="TEXT|FILE|-")
@DICTIONARY
@click.option(
    "--backend",
    "-b",
    type=click.Choice(list(names.BACKENDS)),
    help="As for align.  [default: hmm; dtw where the language has no model]",
)
@click.option(
    "--model", "-m", metavar="NAME|FOLDER", help="Acoustic model, as for align.  [default: the backend's]"
)
@click.option("--language", "-l", metavar="CODE", help="Of the text.  [default: the model's]")
@G2P
@STRESS
@BRACKETS
@NOISE_WORDS
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@click.option(
    "--csv", "table", type=FILE, help="Write a row for each pronunciation of each word to this file."
)
@guarded(writes=True)
def read(*, text: str, as_json: bool, table: Path | None, model: str | None, **settings: Any) -> int:
    """Show how TEXT will be read: each written word, what is said for it, and its pronunciations.

    TEXT is a transcript, the name of a file that holds one (.txt or .lab), or - for the standard input. No
    recording is needed. A pronunciation comes from the dictionary, or is guessed from the word's letters,
    which is marked; a word may have several, of which align takes the one that it hears.

    Exit status: 0 if every word has a pronunciation, 1 if not, 2 if the call was wrong.
    """
    from aligner.cli import checks

    said, options = checks.reading(text=text, table=table, model=model, **settings)
    from aligner.cli.actions import reading

    return reading.show(said, model=model, options=options, as_json=as_json, table=table)
