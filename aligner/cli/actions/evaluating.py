"""What ``aligner evaluate``, ``compare`` and ``speech-metrics`` do: compare folders, print the figures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from aligner.cli.actions.tables import (
    durations,
    print_brief,
    print_details,
    print_speech,
    print_versus,
    show,
)
from aligner.cli.checks import Labelling
from aligner.evaluate.accuracy import summarise
from aligner.evaluate.export import write_boundaries, write_figures, write_speech
from aligner.evaluate.folders import Evaluation, Options, evaluate
from aligner.evaluate.speech_folders import compare_folders
from aligner.evaluate.versus import versus
from aligner.evaluate.vocoder import SpeechSettings
from aligner.parallel.cores import cores


def evaluate_folder(
    reference: Path,
    aligned: Path,
    labelling: Labelling,
    *,
    table: Path | None,
    figures: Path | None,
    brief: bool,
) -> int:
    """Print how far alignments are from hand labels, and return the exit status.

    Parameters
    ----------
    reference, aligned : Path
        The folders of hand labels and of alignments.
    labelling : Labelling
        How labels are read and made comparable.
    table, figures : Path or None
        Where a table of boundaries and all figures go.
    brief : bool
        Whether only the first table is printed.
    """
    found = evaluate(reference, aligned, Options(*labelling), cores())
    print_brief(found, f"{aligned} against {reference}")
    if not brief and found.report.missing < found.report.files:
        print_details(found.report)
    if table is not None:
        write_boundaries(table, found)
    if figures is not None:
        write_figures(figures, found)
    return _status(found)


def compare_two(first: Path, second: Path, labelling: Labelling) -> int:
    """Print how far two folders of alignments are apart, and return the exit status."""
    found = evaluate(first, second, Options(*labelling), cores())
    print_brief(found, f"{second} against {first}: how far apart, not which is right")
    print_details(found.report)
    return _status(found)


def compare_by_reference(reference: Path, first: Path, second: Path, labelling: Labelling) -> int:
    """Print which of two folders of alignments is closer to hand labels, and return the exit status."""
    both = versus(reference, first, second, Options(*labelling), cores())
    print_versus(both, str(first), str(second))
    for problem in sorted({str(p) for e in (both.first, both.second) for p in e.problems}):
        click.echo(f"note: {problem}", err=True)
    return max(_status(both.first), _status(both.second))


def _status(found: Evaluation) -> int:
    return 1 if found.problems or found.missing else 0


def measure_speech(
    reference: Path,
    synthesised: Path,
    *,
    alignments: tuple[Path, Path] | None,
    table: Path | None,
    settings: Mapping[str, Any],
) -> int:
    """Print how far synthesised speech is from recorded speech, and return the exit status.

    Parameters
    ----------
    reference, synthesised : Path
        The folders of recordings.
    alignments : tuple of Path or None
        The folders of alignments of the two.
    table : Path or None
        Where a table of the recordings goes.
    settings : mapping
        The fields of `SpeechSettings` by name.
    """
    how = SpeechSettings(**settings)
    found = compare_folders(reference, synthesised, how, alignments)
    print_speech(found, how, "alignments" if alignments else how.warp)
    if alignments:
        compared = [r for r in evaluate(*alignments).results if r.file in found.files]
        show(durations(summarise(compared)))
    if table is not None:
        write_speech(table, found)
    return 1 if found.problems else 0
