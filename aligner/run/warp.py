"""Takes a reference's phones over to a recording: the best of a few templates, and what each frame says about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from torch import Tensor

from aligner.graph import Graph
from aligner.graph.template import STEPS, Steps
from aligner.models.template import WARPS, Matcher, Pause, Template, TemplateFrontend, pause_of
from aligner.refine.confidence import Evidence, evidence
from aligner.refine.suspect import Limits
from aligner.search.arcs import Arcs
from aligner.search.viterbi import viterbi
from aligner.types import Clock, Interval

THIN = 2  # every so manyth frame is enough to choose a template by
SHARP = 5.0  # nats that a distance of 1 is worth as evidence
WHOLE = 1e6  # s: longer than any recording
USUAL = -1.0  # score of a frame of one speaker's against the same of another's
# Lowest mean margins over a second, two, and all of it, of 80 sentences against eSpeak: -2.8, -2.1, -1.4.
LIMITS = Limits(((1.0, -3.0), (2.0, -2.3), (WHOLE, -1.5)), ())


class Warped(NamedTuple):
    """A recording warped on a template.

    Attributes
    ----------
    template : Template
        The one that was chosen.
    graph : Graph
    states : ndarray
        (T,): of the graph.
    score : float
        Of the path.
    evidence : Evidence
    """

    template: Template
    graph: Graph
    states: np.ndarray
    score: float
    evidence: Evidence


def templates(wave: Tensor, phones: Sequence[Interval], words: Sequence[int],
              frontend: TemplateFrontend | None = None, warps: Sequence[float] = WARPS) -> list[Template]:
    """Templates of a reference recording (N,), one for each length of the vocal tract."""
    frontend = frontend or TemplateFrontend()
    spectrum = frontend.spectrum(wave)
    return [Template.of(frontend.frames(spectrum, w), frontend.clock, phones, words) for w in warps]


def warped(frames: Tensor, choice: Sequence[Template], pause: Pause | None = None, steps: Steps = STEPS,
           kernel: str = "auto") -> Warped:
    """Warp a recording on the template that it fits best.

    Parameters
    ----------
    frames : Tensor
        (T, D) of the recording.
    choice : sequence of Template
        At least one.
    pause : Pause, optional
        What its pauses are like; by its own quietest frames unless given.
    steps : Steps
    kernel : {'auto', 'numba', 'triton', 'reference'}

    Raises
    ------
    NoPath
        If the recording is more than twice as fast.
    """
    pause = pause_of(frames) if pause is None else pause
    template = choice[0] if len(choice) == 1 else max(
        choice, key=lambda t: _path(frames[::THIN], t.thin(THIN), pause, steps, kernel)[2])
    graph, states, score, scores = _path(frames, template, pause, steps, kernel)
    return Warped(template, graph, states, score, _evidence(scores.numpy(), graph, states))


def _path(frames: Tensor, template: Template, pause: Pause, steps: Steps,
          kernel: str) -> tuple[Graph, np.ndarray, float, Tensor]:
    graph = template.graph(steps)
    scores = Matcher(template, pause).score(frames)
    path = viterbi(Arcs.of(graph), scores[None], kernel=kernel)
    return graph, path.states[0].numpy(), float(path.score), scores


def _evidence(scores: np.ndarray, graph: Graph, states: np.ndarray) -> Evidence:
    """Compare a path with all phones of the reference, wherever they stand in it, and with a pause.

    Two recordings of different words have frames in common, too, and a path finds them.  So the margin is not only
    what the frame has to the best of the reference, but also what it has to the `USUAL`.
    """
    _, label = np.unique(graph.phone, return_inverse=True)
    columns = np.empty(scores.shape[1], np.int64)  # the label of each
    columns[graph.pdf] = label[graph.node]
    order = np.argsort(columns, kind="stable")
    firsts = np.searchsorted(columns[order], np.arange(label.max() + 1))
    rivals = np.maximum.reduceat(SHARP * scores[:, order], firsts, axis=1)
    own = SHARP * scores[np.arange(len(states)), graph.pdf[states]]
    seen = evidence(own, rivals, columns[graph.pdf[states]])
    return seen._replace(margin=seen.margin + own - SHARP * USUAL)


def phones_of(found: Warped, clock: Clock, start: float,
              end: float) -> tuple[list[int], tuple[Interval, ...], list[int]]:
    """First frames, intervals and words (-1 for pauses) of the phones from ``start`` to ``end``, in seconds."""
    nodes = found.graph.node[found.states]
    firsts = np.flatnonzero(np.diff(nodes, prepend=-1))
    labels = [found.graph.phone[n] for n in nodes[firsts]]
    frames = firsts.tolist()
    return frames, clock.tile(frames, labels, start, end), found.graph.word[nodes[firsts]].tolist()
