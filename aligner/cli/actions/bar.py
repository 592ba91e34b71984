"""A progress bar with a line below it that is always up to date."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

BETWEEN = 0.1  # s from one drawing to the next, at least


class Bar(Progress):
    """How far a run has come; nothing at all where the console is no terminal.

    Parameters
    ----------
    what : str
        That is done.
    console : Console
    line : callable
        What stands below the bar, asked for whenever it is drawn.
    """

    def __init__(self, what: str, console: Console, line: Callable[[], str]) -> None:
        self._line = line
        self._drawn = 0.0
        super().__init__(
            TextColumn(what),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("[red]{task.fields[failed]}"),
            console=console,
            disable=not console.is_terminal,
            auto_refresh=False,
        )  # by no thread: processes are yet to be forked

    def tick(self) -> None:
        """Draw it anew, unless that was done just now."""
        if self.get_time() - self._drawn >= BETWEEN:
            self._drawn = self.get_time()
            self.refresh()

    def get_renderables(self) -> Iterable[RenderableType]:
        """The bar, and the line."""
        yield from super().get_renderables()
        yield Text(self._line(), style="dim", no_wrap=True, overflow="ellipsis")
