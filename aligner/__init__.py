"""A speech forced aligner: recordings and transcripts in, words and phones with times out.

Examples
--------
>>> import aligner
>>> alignment = aligner.align_file("recording.wav", "what is said")  # doctest: +SKIP
>>> [(w.start, w.end, w.label) for w in alignment.words]  # doctest: +SKIP
>>> [(e.time, e.low, e.high) for e in alignment.edges]  # how far off boundaries may be  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from aligner.backends.options import Compute, Options
    from aligner.corpus.find import find
    from aligner.models.store import load_model
    from aligner.run.align import align, align_file
    from aligner.run.stream import StreamAligner
    from aligner.types import (
        AlignerError,
        Alignment,
        DataError,
        Edge,
        Failure,
        Interval,
        ModelError,
        Utterance,
    )

_HOMES = {
    "find": "corpus.find",
    "load_model": "models.store",
    "align": "run.align",
    "align_file": "run.align",
    "StreamAligner": "run.stream",
    "Compute": "backends.options",
    "Options": "backends.options",
} | dict.fromkeys(
    ("Alignment", "AlignerError", "DataError", "Edge", "Failure", "Interval", "ModelError", "Utterance"),
    "types",
)

__all__ = [
    "AlignerError",
    "Alignment",
    "Compute",
    "DataError",
    "Edge",
    "Failure",
    "Interval",
    "ModelError",
    "Options",
    "StreamAligner",
    "Utterance",
    "align",
    "align_file",
    "find",
    "load_model",
]


def __getattr__(name: str) -> Any:
    """Import on first use: torch takes seconds, and ``align --help`` should not."""
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module 'aligner' has no attribute {name!r}")
    return getattr(import_module(f"aligner.{_HOMES[name]}"), name)
