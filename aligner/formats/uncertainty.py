"""Praat TextGrids with a tier of points that say how far off each boundary may be."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from aligner.formats.base import Format
from aligner.formats.textgrid import SUFFIX, Points, write_textgrid
from aligner.formats.tiers import by_speaker, tiers
from aligner.types import Alignment, Edge


def points(alignments: Sequence[Alignment], several: bool = False) -> Points:
    """A point tier for each speaker, named ``boundaries`` as `tiers` are, that says how far off boundaries
    may be.

    A speaker of whom no boundary has an interval has no tier.
    """
    found = {
        f"{prefix}boundaries": {e.time: either_side(e) for a in own for e in a.edges}
        for prefix, own in by_speaker(alignments, several)
    }
    return {name: marks for name, marks in found.items() if marks}


def either_side(edge: Edge) -> str:
    """How much earlier and how much later a boundary may be, in ms.

    Examples
    --------
    >>> either_side(Edge(1.5, low=1.492, high=1.512))
    '-8 +12'
    """
    return f"-{1000 * (edge.time - edge.low):.0f} +{1000 * (edge.high - edge.time):.0f}"


def write(path: Path, alignments: Sequence[Alignment], several: bool = False) -> None:
    """Write the tiers of one recording's words and phones, and the points."""
    write_textgrid(path, tiers(alignments, several), alignments[0].duration, points(alignments, several))


FORMAT = Format(name="uncertainty", suffix=SUFFIX, write=write, offered=False)
