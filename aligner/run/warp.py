"""Takes a reference's phones over to a recording: the best of a few templates, and what each frame says about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from aligner.graph import Graph
from aligner.graph.template import STEPS, Steps
from aligner.models.template import WARPS, Matcher, Pause, Template, TemplateFrontend, hiss, pause_of
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


def templates(wave: Tensor, phones: Sequence[Interval], words: Sequence[int], like: Tensor | None = None,
              frontend: TemplateFrontend | None = None, warps: Sequence[float] = WARPS) -> list[Template]:
    """Templates of a reference recording, one for each length of the vocal tract.

    Parameters
    ----------
    wave : Tensor
        (N,) at the front end's rate.
    phones, words
        See `Template.of`.
    like : Tensor, optional
        (M,) the recording that is to be aligned: the reference is made as noisy.
    frontend : TemplateFrontend, optional
    warps : sequence of float
    """
    frontend = frontend or TemplateFrontend()
    spectrum = frontend.spectrum(wave)
    if like is not None:
        spectrum = spectrum + hiss(frontend.spectrum(like)) * spectrum.sum(1).mean()
    numbered = Template.of(torch.arange(len(spectrum))[:, None], frontend.clock, phones, words)
    kept = numbered.frames[:, 0]
    return [replace(numbered, frames=frontend.frames(spectrum, w)[kept]) for w in warps]


def warped(frames: Tensor, choice: Sequence[Template], pause: Pause | None = None, steps: Steps = STEPS,
           kernel: str = "auto") -> Warped:
    """Warp a recording on the template that it fits best.

    Parameters
    ----------
    frames : Tensor
        (T, D) of the recording.
    choice : sequence of Template
        At least one; they differ in their frames alone, as those of `templates` do.
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
    template = choice[0] if len(choice) == 1 else _closest(frames[::THIN], choice, pause, steps, kernel)
    graph = template.graph(steps)
    scores = Matcher(template, pause).score(frames)
    path = viterbi(Arcs.of(graph), scores[None], kernel=kernel)
    states = path.states[0].numpy()
    return Warped(template, graph, states, float(path.score), _evidence(scores.numpy(), graph, states))


def _closest(frames: Tensor, choice: Sequence[Template], pause: Pause, steps: Steps, kernel: str) -> Template:
    """The template with the best path; all have the same graph."""
    thin = [t.thin(THIN) for t in choice]
    scores = torch.stack([Matcher(t, pause).score(frames) for t in thin])
    return choice[int(viterbi(Arcs.of(thin[0].graph(steps)), scores, kernel=kernel).score.argmax())]


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
