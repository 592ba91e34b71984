"""What ``aligner report`` does: make a page to look at the result of a run."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from aligner.corpus.outcome import Outcome
from aligner.evaluate.folders import evaluate
from aligner.evaluate.page import write_page
from aligner.parallel.cores import cores


def make_report(outcome: Outcome, reference: Path | None, only: frozenset[str] | None = None) -> Path:
    """Write the page behind a progress bar, and return its path.

    Parameters
    ----------
    outcome : Outcome
        The result of a run.
    reference : Path or None
        A folder of hand labels to compare it with.
    only : frozenset of str, optional
        The files that are compared; all unless given.
    """
    evaluation = None if reference is None else evaluate(reference, outcome.out, jobs=cores(), only=only)
    console = Console(stderr=True, highlight=False)
    with Progress(
        TextColumn("report"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console
    ) as bar:
        task = bar.add_task("", total=len(outcome.rows))
        return write_page(outcome, reference, evaluation, lambda: bar.update(task, advance=1))
