"""``aligner transfer``: hand labels of one reading carried over to others."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aligner.cli.aligning import EXISTING, FORMATS, POSTERIORS, print_summary, run_behind_bar
from aligner.cli.calls import Command
from aligner.cli.evaluating import CONTEXT
from aligner.parallel.cores import cores

if TYPE_CHECKING:
    from aligner.run.prompts import One


@click.command(
    cls=Command,
    context_settings=CONTEXT,
    short_help="Carry hand labels over to other readings.",
    epilog="Examples: aligner transfer anna.wav anna.TextGrid bob.wav;  "
    "aligner transfer prompts/ speakers/ out/",
)
@click.argument("reference", type=click.Path(path_type=Path))
@click.argument("labels", type=click.Path(path_type=Path), metavar="LABELS|TARGETS")
@click.argument("target", type=click.Path(path_type=Path), metavar="TARGET|OUT")
@click.option(
    "--out",
    "-o",
    type=click.Path(path_type=Path),
    help="Of one recording: folder of the TextGrid.  [default: beside the recording]",
)
@click.option("--phones", default="phones", show_default=True, help="Tier of phones in the reference.")
@click.option("--words", default="words", show_default=True, help="Tier of words in the reference.")
@POSTERIORS
@FORMATS
@EXISTING
@click.option(
    "--refine",
    type=click.Choice(["full", "none"]),
    default="full",
    show_default=True,
    help="Look for boundaries in the sound itself, or leave them as the search put them.",
)
@click.option("--jobs", "-j", type=click.IntRange(min=1), help="Threads.  [default: all cores]")
def transfer(
    reference: Path,
    labels: Path,
    target: Path,
    out: Path | None,
    phones: str,
    words: str,
    posteriors: str | None,
    formats: tuple[str, ...],
    existing: str,
    refine: str,
    jobs: int | None,
) -> None:
    """Align a recording by another one of the same text that is labelled: any speaker, any language.

    With three files: a recording, its labels (TextGrid, .phn, ...) and the recording to label, beside which
    the TextGrid is written.

    With three folders: recordings with labels beside them, the recordings to label (each is labelled by the
    one of the same path, or else of the same name: prompts/sa1.wav for speakers/anna/sa1.wav), and where the
    TextGrids go.

    The tiers of phones and words are carried over, and no others; where there is only one of the two, it
    stands for both.

    Exit status: 0 if all was aligned, 1 if something failed, 2 if the call was wrong.
    """
    from aligner.corpus.labels import Source, TierNames
    from aligner.models.known import check_known
    from aligner.run.prompts import plan_one, plan_transfer, prompt_of
    from aligner.types import AlignerError

    names = TierNames(phones, words)
    try:
        if posteriors is not None:
            check_known(posteriors)
        if not reference.is_dir():
            one = plan_one(
                prompt_of(reference, Source(labels), names), target, out or target.parent, formats, existing
            )
            _tell_one(one, refine, jobs, posteriors)
            sys.exit(0)
        job, chosen = plan_transfer(reference, labels, target, names, formats, existing)
        from rich.console import Console

        from aligner.backends.options import Compute, Options
        from aligner.run.transfer import by_prompts

        options = Options(refine=refine, posteriors=posteriors)
        backend = by_prompts(chosen, options, Compute(jobs=jobs or cores()))
        summary = run_behind_bar(job, backend, Console(stderr=True, highlight=False, soft_wrap=True))
    except AlignerError as error:
        click.echo(f"transfer: {error}", err=True)
        sys.exit(2)
    print_summary(summary, job)
    sys.exit(1 if summary.failures else 0)


def _tell_one(one: One, refine: str, jobs: int | None, posteriors: str | None) -> None:
    """Label one recording, and tell what became of it."""
    from aligner.backends.options import Compute, Options
    from aligner.run.transfer import transfer_one

    alignment = transfer_one(
        one, Options(refine=refine, posteriors=posteriors), Compute(jobs=jobs or cores())
    )
    told = "kept as it is (--existing overwrite does it again)" if alignment is None else alignment.status
    why = "; ".join(alignment.suspicions) if alignment else ""
    click.echo(": ".join(filter(None, (f"{one.path}  {told}", why))))
