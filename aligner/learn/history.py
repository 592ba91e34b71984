"""The history of a training, iteration by iteration: a table, and a picture of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from aligner.formats.files import write_text

HISTORY, PLOT = "training.csv", "training.html"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One iteration of a training, as a row of its history."""

    stage: str
    """The kind of the stage."""
    iteration: int
    """The number of the iteration within its stage, from 1."""
    iterations: int
    """The number of iterations of the stage."""
    log_likelihood: float
    """The log-likelihood per frame before the iteration; comparable only within a stage."""
    unaligned: float
    """The share of the utterances for which no path was found."""
    pdfs: int
    """The number of probability densities, one for each leaf of the trees."""
    gaussians: int
    """The number of Gaussians with a weight above 0."""
    seconds: float
    """How long the iteration took, with all that its stage begins with."""
    speed: float
    """Seconds of speech per second."""

    @classmethod
    def columns(cls) -> list[str]:
        """Return the heads of the table's columns."""
        return [f.name for f in fields(cls)]

    def cells(self) -> list[object]:
        """Return the cells of the table's row; numbers rounded as people read them."""
        return [round(v, 4) if isinstance(v, float) else v for v in astuple(self)]


def plot(rows: Sequence[Row], folder: Path) -> None:
    """Draw likelihood and share of unaligned utterances by iteration, on a page that opens from disk."""
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
