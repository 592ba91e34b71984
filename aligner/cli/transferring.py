"""``aligner transfer``: hand labels of one reading carried over to others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from aligner import names
from aligner.cli.calls import Command
from aligner.cli.common import CONTEXT, EXISTING, FORMATS, POSTERIORS, guarded


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
    type=click.Choice(names.TRANSFER_REFINEMENTS),
    default="full",
    show_default=True,
    help="Look for boundaries in the sound itself, or leave them as the search put them.",
)
@click.option("--jobs", "-j", type=click.IntRange(min=1), help="Threads.  [default: all cores]")
@guarded()
def transfer(**call: Any) -> int:
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
    from aligner.cli import checks

    request = checks.transfer(**call)
    from aligner.cli.actions import transferring

    return transferring.transfer(request)
