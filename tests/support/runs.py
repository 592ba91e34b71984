"""Folders of speech that were aligned, to look at what came out."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from aligner import Options
from aligner.backends.choose import chosen
from aligner.run.folder import Summary, plan, run


class Run(NamedTuple):
    """A run's output folder and what the run tells about itself."""

    out: Path
    summary: Summary


def aligned(backend: str, corpus: Path, out: Path) -> Run:
    """Align a folder with a backend as ``align CORPUS OUT --backend`` does."""
    return Run(out, run(plan(corpus, out), chosen(None, Options(backend=backend))))
