"""How a training went, iteration by iteration: a table, and a picture of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from aligner.formats.files import write_text

HISTORY, PLOT = "training.csv", "training.html"


@dataclass(frozen=True)
class Row:
    """One iteration.

    Attributes
    ----------
    stage : str
    iteration, iterations : int
        From 1, and how many the stage has.
    log_likelihood : float
        Per frame, before the iteration; comparable only within a stage.
    unaligned : float
        Share of the utterances.
    pdfs, gaussians : int
    seconds : float
        That it took, with all that the stage begins with.
    speed : float
        Seconds of speech per second.
    """

    stage: str
    iteration: int
    iterations: int
    log_likelihood: float
    unaligned: float
    pdfs: int
    gaussians: int
    seconds: float
    speed: float

    @classmethod
    def columns(cls) -> list[str]:
        """Of the table."""
        return [f.name for f in fields(cls)]

    def cells(self) -> list[object]:
        """Of the table; numbers as people read them."""
        return [round(v, 4) if isinstance(v, float) else v for v in astuple(self)]


def plot(rows: Sequence[Row], folder: Path) -> None:
    """Likelihood and share of unaligned utterances over all iterations, as a page that opens from disk."""
    from plotly.graph_objects import Scatter
    from plotly.subplots import make_subplots

    figure = make_subplots(
        2,
        1,
        shared_xaxes=True,
        subplot_titles=(
            "log-likelihood per frame (comparable within a stage)",
            "utterances that could not be aligned, %",
        ),
    )
    for stage in dict.fromkeys(r.stage for r in rows):
        own = [(k + 1, r) for k, r in enumerate(rows) if r.stage == stage]
        x = [k for k, _ in own]
        figure.add_trace(
            Scatter(x=x, y=[r.log_likelihood for _, r in own], name=stage, mode="lines+markers"), 1, 1
        )
        figure.add_trace(
            Scatter(x=x, y=[100 * r.unaligned for _, r in own], showlegend=False, mode="lines+markers"), 2, 1
        )
    figure.update_xaxes(title_text="iteration", row=2, col=1)
    figure.update_layout(title="Training")
    write_text(folder / PLOT, figure.to_html(include_plotlyjs=True))
