"""Marks around the stages of the path, for whoever wants to know where the time goes.

Nobody looks as a rule: a mark then costs a third of a microsecond, and an utterance has some ten of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

STAGES = (
    "reading",
    "graph",
    "reference",
    "features",
    "scores",
    "search",
    "evidence",
    "refinement",
    "figures",
    "writing",
)

Marker = Callable[[str], AbstractContextManager[Any]]
_NOTHING = nullcontext()
_markers: list[Marker] = []  # the last one is told; of all threads


def stage(name: str) -> AbstractContextManager[Any]:
    """Around the code of a stage, one of `STAGES`; a stage may lie within another."""
    return _markers[-1](name) if _markers else _NOTHING


@contextmanager
def marked_by(marker: Marker) -> Iterator[None]:
    """Within this block, each stage of any thread of this process is done within ``marker(its name)``.

    Examples
    --------
    >>> def told(name):
    ...     print(name)
    ...     return nullcontext()
    >>> with marked_by(told), stage("search"):
    ...     pass
    search
    """
    _markers.append(marker)
    try:
        yield
    finally:
        _markers.remove(marker)
