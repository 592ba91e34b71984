"""The charts of a report's page, as plotly's figures in JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aligner.evaluate.folders import Evaluation

LONGEST_DURATION, BIN_WIDTH = 0.4, 0.010  # s; the last bin of a histogram of durations holds what is longer
MOST_CLASSES = 20  # of boundaries, the most frequent, whose errors are shown


def charts(durations: Mapping[str, Sequence[float]], evaluation: Evaluation | None) -> dict[str, Any]:
    """Return the charts of a page by name: durations by phone; errors by size and by class.

    Parameters
    ----------
    durations : mapping of str to sequence of float
        Lengths of phones in seconds, by label.
    evaluation : Evaluation or None
        What errors are taken from; None leaves their charts out.
    """
    found = _durations(durations)
    if evaluation is not None and evaluation.report.phones is not None:
        found |= {"errors": _plain(_errors(evaluation)), "classes": _plain(_classes(evaluation))}
    return found


def _durations(durations: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Return the box plot of all phones, and the histogram of each."""
    labels = sorted(durations)
    table = [np.asarray(durations[label]) for label in labels]
    edges = np.append(np.arange(0, LONGEST_DURATION + BIN_WIDTH / 2, BIN_WIDTH), np.inf)
    return {
        "durations": _plain(_boxes(labels, table)),
        "bin": 1000 * BIN_WIDTH,
        "histograms": {
            label: np.histogram(d, edges)[0].tolist() for label, d in zip(labels, table, strict=True)
        },
    }


def _boxes(labels: Sequence[str], table: Sequence[np.ndarray]) -> Any:
    """Return a box for each label: median, quartiles, 5 to 95 %."""
    import plotly.graph_objects as go

    quantiles = [np.percentile(d, [5, 25, 50, 75, 95]) * 1000 for d in table]
    columns = list(zip(*quantiles, strict=True)) or [()] * 5
    box = go.Figure(
        go.Box(
            x=labels,
            lowerfence=columns[0],
            q1=columns[1],
            median=columns[2],
            q3=columns[3],
            upperfence=columns[4],
            name="ms",
            showlegend=False,
        )
    )
    box.update_layout(
        title="Durations by phone (ms): median, quartiles, 5 to 95 %. Click a phone for its histogram",
        yaxis_title="ms",
        xaxis_title="phone",
    )
    return box


def _errors(evaluation: Evaluation) -> Any:
    """Return a histogram of how late phone boundaries are."""
    import plotly.graph_objects as go

    late = 1000 * np.array([b.late for f in evaluation.results for b in f.phones])
    counts, edges = np.histogram(np.clip(late, -99.9, 99.9), np.arange(-100, 101, 5))
    errors = go.Figure(go.Bar(x=edges[:-1] + 2.5, y=counts))
    errors.update_layout(
        title="How late phone boundaries are (ms; what is beyond 100 is in the last bars)",
        xaxis_title="ms",
        yaxis_title="boundaries",
    )
    return errors


def _classes(evaluation: Evaluation) -> Any:
    """Return bars of the mean absolute error by class of boundary."""
    import plotly.graph_objects as go

    by_count = sorted(evaluation.report.by_class.items(), key=lambda item: -item[1].count)[:MOST_CLASSES]
    classes = go.Figure(
        go.Bar(
            x=[name for name, _ in by_count],
            y=[s.mae for _, s in by_count],
            customdata=[s.count for _, s in by_count],
            hovertemplate="%{x}: %{y:.1f} ms, %{customdata} boundaries<extra></extra>",
        )
    )
    classes.update_layout(
        title="Mean absolute error by class of boundary (ms), the most frequent first", yaxis_title="ms"
    )
    return classes


def _plain(figure: Any) -> Any:
    """Return a plotly figure as JSON, without its long template: the page has its own colours."""
    figure.update_layout(template=None)
    return json.loads(figure.to_json())
