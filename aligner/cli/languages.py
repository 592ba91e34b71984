"""``aligner languages``: what can be aligned without a model."""

from __future__ import annotations

import click

from aligner.cli.calls import Command
from aligner.cli.common import CONTEXT, guarded


@click.command(cls=Command, context_settings=CONTEXT, short_help="List the languages that need no model.")
@guarded(writes=True)
def languages() -> None:
    """List the codes that --language takes, with the names of the languages (those that eSpeak NG speaks) and
    what each was tried on.
    """
    from aligner.reference.espeak import languages as known
    from aligner.reference.espeak.tried import told

    for code, name in sorted(known().items()):
        click.echo(f"{code:20}{name:46}{told(code)}")
