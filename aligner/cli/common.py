"""What several commands do before anything heavy is imported."""

from __future__ import annotations

from contextlib import suppress

from aligner.parallel.cores import cores

WORKERS_NEED = ("aligner.run.align", "aligner.backends.choose", "aligner.learn.spread")  # modules


def warm_up(jobs: int | None, tasks: int = 2) -> None:
    """Let the server of worker processes import what they will need while this process does so itself.

    Parameters
    ----------
    jobs : int or None
        Processes that are wanted; None for one a core.
    tasks : int
        What there is to do, as far as it is known; for a single thing there will be no workers.
    """
    if (jobs or cores()) > 1 and tasks > 1:
        from aligner.parallel import fork_server

        with suppress(OSError):  # it will be told when workers are needed
            fork_server.start(WORKERS_NEED)
