"""A progress bar with a line below it that is always up to date."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

DRAWING_INTERVAL = 0.1  # s from one drawing to the next, at least


class Bar(Progress):
    """A bar that shows how far a run has come; it shows nothing where the console is no terminal.

    Parameters
    ----------
    what : str
        The name of what is done, in front of the bar.
    console : Console
        Where the bar is drawn.
    line : callable
        Returns the line below the bar; it is called whenever the bar is drawn.
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
        """Draw the bar anew, unless that was done less than `DRAWING_INTERVAL` ago."""
        if self.get_time() - self._drawn >= DRAWING_INTERVAL:
            self._drawn = self.get_time()
            self.refresh()

    def get_renderables(self) -> Iterable[RenderableType]:
        """Yield what is drawn: the bar, and the line below it."""
        yield from super().get_renderables()
        yield Text(self._line(), style="dim", no_wrap=True, overflow="ellipsis")
