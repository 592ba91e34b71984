"""What a format of alignments or labels is: how its files are named, written and read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from aligner.types import Alignment, Interval

# the tables that a run writes beside the files of its recordings
ALIGNMENT_TABLE, OOV_TABLE, RUN_RECORD = "alignment.csv", "oovs.csv", "run.json"
Tiers = list[tuple[str, list[Interval]]]  # names of tiers, and their intervals in ascending order
Writer = Callable[[Path, Sequence[Alignment], bool], None]
Reader = Callable[[Path, str], Tiers]


@dataclass(frozen=True, kw_only=True)
class Format:
    """A format of files; one that can be read and written has both functions."""

    name: str
    """What it is called in options and records of runs."""
    suffix: str
    """What its files' names end in."""
    write: Writer | None = None
    """Writes the alignments of one recording to a path; the flag says whether there are several speakers,
    some of whom may have failed."""
    read: Reader | None = None
    """Reads the tiers of labels from a path; the text names the recording, where a file has several."""
    offered: bool = True
    """Whether ``--format`` offers it; what has an option of its own is not."""
    more: tuple[str, ...] = ()
    """What the names of the other files end in that it writes of a recording."""
    folder: str = ""
    """The folder below the output folder that its files have to themselves; empty where they have none."""
