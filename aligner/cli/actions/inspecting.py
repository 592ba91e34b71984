"""What ``aligner inspect`` does: write a Praat script that opens the recordings of a run one by one."""

from __future__ import annotations

import click

from aligner.check.praat import items_of, launch, write_inspection
from aligner.corpus.outcome import Outcome

MOST_NOTES = 10  # files whose TextGrid or recording is missing that are printed


def inspect(outcome: Outcome, *, suspect: bool, opened: bool) -> None:
    """Carry out a call of `aligner inspect`.

    Parameters
    ----------
    outcome : Outcome
        The result of a run.
    suspect : bool
        Whether only what is suspect is inspected.
    opened : bool
        Whether Praat is opened.
    """
    items = items_of(outcome, suspect)
    lost = {r.file for r in outcome.rows if r.status != "failed" and (r.grid is None or r.recording is None)}
    for file in sorted(lost)[:MOST_NOTES]:
        click.echo(f"note: {file}: its TextGrid or its recording is not there: align it again", err=True)
    if not items:
        click.echo("nothing is suspect" if suspect else f"there is no TextGrid in {outcome.out}")
        return
    script = write_inspection(outcome.out, items)
    click.echo(f"{len(items)} recordings in {script}")
    if opened:
        launch(script)
