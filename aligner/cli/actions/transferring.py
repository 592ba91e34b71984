"""What ``aligner transfer`` does: align recordings by labelled ones, and print what came of it."""

from __future__ import annotations

import click
from rich.console import Console

from aligner.cli.actions.aligning import align_behind_bar
from aligner.cli.actions.output import print_summary
from aligner.cli.checks import TransferRequest
from aligner.run.transfer import by_prompts, transfer_one
from aligner.types import foremost


def transfer(request: TransferRequest) -> int:
    """Carry out a call of `aligner transfer`, and return its exit status."""
    if request.job is None:
        return _transfer_recording(request)
    backend = by_prompts(request.prompts, request.options, request.compute)
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    summary = align_behind_bar(request.job, backend, console)
    print_summary(summary, request.job)
    return 1 if summary.failures else 0


def _transfer_recording(request: TransferRequest) -> int:
    assert request.recording is not None
    alignment = transfer_one(request.recording, request.options, request.compute)
    outcome = "kept as it is (--existing overwrite does it again)" if alignment is None else alignment.status
    why = "; ".join(s.text for s in foremost(alignment.suspicions)) if alignment else ""
    click.echo(": ".join(filter(None, (f"{request.recording.path}  {outcome}", why))))
    return 0
