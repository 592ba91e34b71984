"""``aligner teach``: a model that places boundaries as people corrected them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from aligner import names
from aligner.cli.calls import Command
from aligner.cli.common import BRACKETS, CONTEXT, NOISE_WORDS, dictionaries, guarded, warm_up


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
    type=click.Choice(list(names.BACKENDS)),
    help="Whose boundaries they are.  [default: the model's]",
)
@dictionaries("; the new model gets it.  [default: the model's own]")
@click.option("--language", "-l", metavar="CODE", help="Of the words.  [default: the model's]")
@BRACKETS
@NOISE_WORDS
@click.option("--phones", default="phones", show_default=True, help="The tier of phones.")
@click.option("--words", default="words", show_default=True, help="The tier of words.")
@click.option(
    "--only-moved",
    is_flag=True,
    help="Boundaries that are where the alignment has them count as unknown.  [default: they count as right]",
)
@click.option("--jobs", "-j", type=click.IntRange(min=1), help="Processes.  [default: one a core]")
@guarded(interrupted=lambda **_: "nothing was kept")
def teach(
    *,
    corrected: Path,
    model: str,
    new: Path,
    corpus: Path | None,
    phones: str,
    words: str,
    only_moved: bool,
    **settings: Any,
) -> int:
    """Learn from the boundaries in CORRECTED, and save what was learnt with MODEL (english, or a folder) in
    the new folder NEW.

    CORRECTED holds TextGrids that you corrected by hand (aligner inspect saves them in OUT/corrected/), or
    other labels with phones, words or both. Words alone teach where words begin and end; where there are no
    words, a transcript beside the recording will do. Five sentences are enough to begin with.

    All boundaries count as right that you left as they were. Where a TextGrid has a tier 'corrected', only
    those count that lie in its labelled intervals, or at its points.

    The figures that are printed are of what was not learnt from: of other speakers, or, where all is one
    speaker's, of other sentences. If it does not help, nothing is written.

    Exit status: 0 if all was learnt from, 1 if something was left out or nothing was gained, 2 if it cannot
    be done.
    """
    from aligner.cli import checks

    options, compute = checks.teaching(corrected=corrected, model=model, new=new, corpus=corpus, **settings)
    warm_up(settings["jobs"])
    from aligner.cli.actions import teaching

    return teaching.teach_model(
        corrected,
        model,
        new,
        corpus=corpus,
        phones=phones,
        words=words,
        only_moved=only_moved,
        options=options,
        compute=compute,
    )
