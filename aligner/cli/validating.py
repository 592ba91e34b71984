"""``aligner validate``: what is wrong with a corpus, before the work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from aligner.cli.calls import Command
from aligner.cli.common import BRACKETS, CONTEXT, FILE, FOLDER, NOISE_WORDS, dictionaries, guarded


@click.command(
    cls=Command,
    context_settings=CONTEXT,
    short_help="Find what is wrong with a corpus, before the work.",
    epilog="Example: aligner validate corpus/ --csv problems.csv --oovs oovs.csv",
)
@click.argument("corpus", type=FOLDER, metavar="CORPUS|FILE")
@dictionaries(".  [default: CMU's, of English]")
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
@BRACKETS
@NOISE_WORDS
@click.option("--csv", "table", type=FILE, help="Write a row for each problem to this file.")
@click.option(
    "--oovs",
    type=FILE,
    help="Write the words that the dictionary lacks to this file: what would be used, "
    "how often each is said, and where first.",
)
@click.option("--jobs", "-j", type=click.IntRange(min=1), help="Threads.  [default: all cores]")
@guarded(writes=True, interrupted=lambda **_: "nothing was written")
def validate(*, corpus: Path, table: Path | None, oovs: Path | None, **reading: Any) -> int:
    """Tell everything that is wrong with the recordings and transcripts in CORPUS (or one recording, FILE),
    at once.

    CORPUS is laid out as for align. Every recording is read: is it there, whole, loud, not too loud, long
    enough for what is said? Every word is looked up. An error is what align or train would fail on; a warning
    is worth a look.

    Exit status: 0 if nothing would fail, 1 if something would, 2 if the call was wrong.
    """
    from aligner.cli import checks

    reading = checks.with_conventions(reading)
    checks.validation(
        corpus,
        reading["dictionary"],
        reading["characters"],
        add_words=reading["add_words"],
        tables=(table, oovs),
    )
    from aligner.cli.actions import validating

    return validating.validate_corpus(corpus, table=table, oovs=oovs, **reading)
