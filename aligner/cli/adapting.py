"""``aligner adapt``: a model brought to a corpus."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from aligner.cli.calls import Command
from aligner.cli.common import BRACKETS, CONTEXT, NOISE_WORDS, dictionaries, guarded, warm_up


@click.command(
    cls=Command,
    context_settings=CONTEXT,
    short_help="Adapt a model to a corpus.",
    epilog="Example: aligner adapt corpus/ english new/, then: align corpus/ out/ -m new/",
)
@click.argument("corpus", type=click.Path(path_type=Path))
@click.argument("model", metavar="NAME|FOLDER")
@click.argument("new", type=click.Path(path_type=Path))
@dictionaries("; the new model gets it.  [default: the model's own]")
@click.option("--language", "-l", metavar="CODE", help="Of the transcripts.  [default: the model's]")
@BRACKETS
@NOISE_WORDS
@click.option(
    "--transforms/--no-transforms",
    default=True,
    show_default=True,
    help="Bring the frames of all recordings, then those of each speaker, to the model (fMLLR).",
)
@click.option(
    "--rounds",
    type=click.IntRange(min=0),
    help="Of moving the means and weights (MAP); 0 leaves them.  "
    "[default: 1; 4 where the speech is other than what the model knows]",
)
@click.option(
    "--belief",
    type=click.FloatRange(min=0),
    help="Frames that each mean counts for as it is.  [default: 20; 5 where the speech is other]",
)
@click.option("--jobs", "-j", type=click.IntRange(min=1), help="Threads.  [default: all cores]")
@guarded(interrupted=lambda **_: "nothing was kept")
def adapt(
    *,
    corpus: Path,
    model: str,
    new: Path,
    transforms: bool,
    rounds: int | None,
    belief: float | None,
    jobs: int | None,
    **settings: Any,
) -> int:
    """Adapt MODEL (english, or a folder) to the recordings and transcripts in CORPUS and save it in the
    folder NEW.

    Exit status: 0 if all was learnt from, 1 if something was left out, 2 if nothing was adapted.
    """
    from aligner.cli import checks

    wanted, compute = checks.adaptation(corpus=corpus, model=model, new=new, jobs=jobs, **settings)
    warm_up(jobs)
    from aligner.cli.actions import adapting

    options = adapting.adaptation(transforms=transforms, belief=belief, rounds=rounds)
    return adapting.adapt_to_corpus(corpus, model, new, options=options, wanted=wanted, compute=compute)
