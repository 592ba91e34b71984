"""Trace points around the stages of an alignment, for tools that measure where the time goes.

Without a tracer a trace point costs a third of a microsecond, and an utterance has some ten of them.
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
    "encoder",
    "scores",
    "search",
    "evidence",
    "refinement",
    "figures",
    "writing",
)

Tracer = Callable[[str], AbstractContextManager[Any]]
_NOTHING = nullcontext()
_tracers: list[Tracer] = []  # of all threads; only the last one is called


def stage(name: str) -> AbstractContextManager[Any]:
    """Return the context manager in which to run the code of a stage.

    Parameters
    ----------
    name : str
        One of `STAGES`; a stage may lie within another.
    """
    return _tracers[-1](name) if _tracers else _NOTHING


@contextmanager
def traced_by(tracer: Tracer) -> Iterator[None]:
    """Within this block, each stage of any thread of this process runs within ``tracer(name of the stage)``.

    Examples
    --------
    >>> def announce(name):
    ...     print(name)
    ...     return nullcontext()
    >>> with traced_by(announce), stage("search"):
    ...     pass
    search
    """
    _tracers.append(tracer)
    try:
        yield
    finally:
        _tracers.remove(tracer)
