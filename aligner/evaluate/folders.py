"""Accuracy of a folder of alignments against a folder of references."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from aligner.corpus.labels import find_references, read_reference, tier
from aligner.evaluate.boundaries import FileErrors, Report, absent, compare, summarise
from aligner.types import DataError


def evaluate(reference: Path, aligned: Path, only: Iterable[str] | None = None) -> tuple[Report, list[DataError]]:
    """Compare TextGrids with .phn files or TextGrids of the same relative path.

    Parameters
    ----------
    reference, aligned : Path
        Folders.
    only : iterable of str, optional
        The files to look at, by their path without suffix; all references if not given.

    Returns
    -------
    Report, list of DataError
        The figures, and the references that could not be read (they are in no figure).

    Raises
    ------
    DataError
        If there is no reference at all.
    """
    rows: list[FileErrors] = []
    problems: list[DataError] = []
    missing = 0
    wanted = None if only is None else set(only)
    for name, path in find_references(reference).items():
        if wanted is not None and name not in wanted:
            continue
        try:
            labels = read_reference(path)
            grid = aligned / f"{name}.TextGrid"
            if grid.is_file():
                rows.append(compare(labels, (tier(grid, "phones"), tier(grid, "words"))))
            else:
                missing += 1
                rows.append(absent(labels[0]))
        except DataError as error:
            problems.append(error)
    return summarise(rows, missing), problems
