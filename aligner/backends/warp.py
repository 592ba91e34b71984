"""Warping a reference's phones on a recording: the best of a few templates, and what each frame says of
it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from aligner.backends.base import STAR_OWNER
from aligner.backends.path import pauses_apart, scores_within
from aligner.graph import Graph
from aligner.graph.template import STEPS, StepCosts
from aligner.reference.frontend import FREQUENCY_WARPS, Posteriorgram, TemplateFrontend, noise_spectrum
from aligner.reference.template import Matcher, Pause, Template, pause_of
from aligner.refine.confidence import Evidence, PathPhones, evidence
from aligner.search.arcs import Arcs, NoPath, Path
from aligner.search.long import long_path
from aligner.search.viterbi import viterbi
from aligner.text.stress import without_stress
from aligner.tracing import stage
from aligner.types import NOISE_LABEL, SILENCE_LABEL, STAR_LABEL, Clock, Interval

MOST_SCORES = 2**26  # (256 MB) that are all made at once: half a minute of speech
COMPARED_PIECE = 2048  # frames of a longer recording that are compared at once
COMPARED_REACH = 1000  # frames of the reference on either side of such a piece that it is compared with
THINNING_STEP = 4  # frames from one that a template is chosen by to the next
DISTANCE_NATS = 5.0  # nats that a distance of 1 is worth as evidence
# what the reference lacks: its score is the mean of those of the better half of the reference's phones, and a
# bit more; near to it where all of these are as far, as in music
ANYTHING_SHARE, ANYTHING_GAIN = 0.5, 0.2
# the same bit in songs, whose vowels are further from those that a voice speaks, and by what factor it costs
# more to begin it (of the words' edges of 24 lines 94 % are within 0.1 s then, and 77 % at 0.2 and 1)
SUNG_ANYTHING_GAIN, SUNG_STAR_FACTOR = -0.1, 2.0
ANYTHING_PAUSE_LOSS = 0.02  # what a frame of a pause loses there: around it stand pauses
USUAL_SCORE = -1.0  # of a frame of one speaker's against the same of another's


class Warped(NamedTuple):
    """A recording warped on a template."""

    template: Template
    """The template that was chosen."""

    graph: Graph
    """Its phones as states."""

    states: np.ndarray
    """(T,) the states of the graph that the path goes through."""

    score: float
    """The path's score."""

    evidence: Evidence
    """What each frame says about the path."""


@dataclass(frozen=True)
class Target:
    """A recording that a reference is warped on."""

    frames: Tensor
    """(T, D) its frames."""

    silent: np.ndarray
    """(T,) bool: which of them are too soft for any phone."""

    audible: Tensor
    """(T,) what each costs as a part of a pause between words."""

    between: int | None = None
    """The column of pauses between words, where it is another than that of other pauses."""

    anything: Tensor | None = None
    """(T,) the scores of what the reference lacks, where there may be such."""

    def __getitem__(self, piece: slice) -> Target:
        anything = None if self.anything is None else self.anything[piece]
        return Target(self.frames[piece], self.silent[piece], self.audible[piece], self.between, anything)

    def scores(self, matcher: Matcher, columns: np.ndarray | None = None) -> Tensor:
        """Scores (T, columns) of its frames (see `Matcher.score`)."""
        pause = len(matcher.template.frames)
        more = (self.anything is not None) + (self.between is not None)
        columns = np.arange(pause + 1 + more) if columns is None else columns
        own = columns <= pause
        if own.all():
            return matcher.score(self.frames, columns, self.silent)
        scores = self.frames.new_empty(len(self.frames), len(columns))
        scores[:, torch.from_numpy(own)] = matcher.score(self.frames, columns[own], self.silent)
        if self.anything is not None:
            scores[:, torch.from_numpy(columns == pause + 1)] = self.anything[:, None]
        if self.between is not None:
            dearer = matcher.score(self.frames, np.array([pause]), self.silent) - self.audible[:, None]
            scores[:, torch.from_numpy(columns == self.between)] = dearer
        return scores

    def open_to(self, matcher: Matcher, gain: float = ANYTHING_GAIN) -> Target:
        """The same with scores of what the reference lacks.

        They are those of its likeliest phones, wherever these stand in it, with a ``gain``, and of pauses.
        """
        template = matcher.template
        order, firsts = _by_label([template.phone[n] for n in template.node])
        anything = []
        for k in range(0, len(self.frames), COMPARED_PIECE):
            piece = self[k : k + COMPARED_PIECE]
            scores = replace(piece, anything=None, between=None).scores(matcher).numpy()
            phones = np.maximum.reduceat(scores[:, order], firsts, axis=1)
            few = np.sort(phones, 1)[:, -max(1, round(ANYTHING_SHARE * len(firsts))) :].mean(1)
            anything.append(np.maximum(few + gain, scores[:, -1] - ANYTHING_PAUSE_LOSS))
        return replace(self, anything=torch.from_numpy(np.concatenate(anything)))


def _pauses_apart(graph: Graph, audible: Tensor | None) -> tuple[Graph, int | None]:
    """The graph with a column for the pauses between words, where these cost more, and which it is."""
    if audible is None:
        return graph, None
    apart, columns = pauses_apart(graph, SILENCE_LABEL)
    return apart, int(columns[0]) if len(columns) else None


def templates(
    wave: Tensor,
    phones: Sequence[Interval],
    words: Sequence[int],
    *,
    like: Tensor | None = None,
    posteriors: Posteriorgram | None = None,
    frontend: TemplateFrontend | None = None,
    warps: Sequence[float] = FREQUENCY_WARPS,
) -> list[Template]:
    """Templates of a reference recording, one for each length of the vocal tract.

    Parameters
    ----------
    wave : Tensor
        (N,) at the front end's rate.
    phones, words
        The phones of the reference and their words, as `Template.of` takes them.
    like : Tensor, optional
        (M,) the recording that is to be aligned: the reference is made as noisy.
    posteriors : Posteriorgram, optional
    frontend : TemplateFrontend, optional
    warps : sequence of float
    """
    frontend = frontend or TemplateFrontend()
    spectrum = frontend.spectrum(wave)
    if like is not None:
        spectrum = (
            spectrum
            + noise_spectrum(frontend.spectrum(like), frontend.rate / frontend.hop) * spectrum.sum(1).mean()
        )
    numbered = Template.of(torch.arange(len(spectrum))[:, None], frontend.clock, phones, words)
    kept = numbered.frames[:, 0]
    made = [frontend.frames(spectrum, w) for w in warps]
    if posteriors is not None:
        roots = posteriors.roots(wave, frontend.clock, len(spectrum))
        made = [posteriors.beside(frames, roots) for frames in made]
    return [replace(numbered, frames=frames[kept]) for frames in made]


def warped(
    frames: Tensor,
    choice: Sequence[Template],
    pause: Pause | None = None,
    *,
    steps: StepCosts = STEPS,
    kernel: str = "auto",
    graph: Graph | None = None,
    within: Iterable[np.ndarray] | None = None,
    silent: np.ndarray | None = None,
    audible: Tensor | None = None,
    loose: bool = False,
    gain: float = ANYTHING_GAIN,
) -> Warped:
    """Warp a recording on the template that it fits best.

    Parameters
    ----------
    frames : Tensor
        (T, D) of the recording.
    choice : sequence of Template
        At least one; they differ in their frames alone, as those of `templates` do.
    pause : Pause, optional
        What the recording's pauses are like; unless given, like its own quietest frames.
    steps : StepCosts
        How a path may go through the template.
    kernel : {'auto', 'numba', 'triton', 'reference'}
    graph : Graph, optional
        The graph of the templates, where it is known.
    within : iterable of ndarray, optional
        (S, 2) the first frame, and the last + 1, in which the path may be in each state; the first that allow
        a path are taken.
    silent : ndarray, optional
        (T,) bool: which frames are too soft for any phone; none unless given.
    audible : Tensor, optional
        (T,) what each frame costs as a part of a pause; nothing unless given.
    loose : bool
        Whether the recording may have what the template lacks, as the ``graph`` says, too.
    gain : float
        What the score of that is better by than the mean of the likeliest phones.

    Raises
    ------
    NoPath
        If the recording is more than twice as fast.
    """
    pause = pause_of(frames) if pause is None else pause
    graph, between = _pauses_apart(graph or choice[0].graph(steps, loose), audible)
    silent = np.zeros(len(frames), bool) if silent is None else silent
    target = Target(frames, silent, torch.zeros(0) if audible is None else audible, between)
    template = choice[len(choice) // 2]
    with suppress(NoPath), stage("search"):  # a thinned template may not keep up where a whole one does
        template = (
            _closest(target, choice, pause, steps, kernel, gain if loose else None)
            if len(choice) > 1
            else template
        )
    matcher = Matcher(template, pause)
    if loose:
        with stage("scores"):
            target = target.open_to(matcher, gain)
    if within is None:
        path, scores = _path(target, matcher, graph, kernel)
    else:
        path, scores = _path_within(target, matcher, graph, kernel, within)
    states = path.states[0].numpy()
    with stage("evidence"):
        seen = (
            _in_pieces(target, matcher, graph, states)
            if scores is None
            else _evidence(scores.numpy(), graph, states)
        )
    return Warped(template, graph, states, float(path.score), seen)


def _closest(
    target: Target,
    choice: Sequence[Template],
    pause: Pause,
    steps: StepCosts,
    kernel: str,
    gain: float | None,
) -> Template:
    """The template with the best path; all have the same graph.

    Where a ``gain`` is given, the recording may have what they lack.
    """
    loose = gain is not None
    matchers = [Matcher(t.thin(THINNING_STEP), pause) for t in choice]
    audible = None if target.between is None else target.audible
    graph, between = _pauses_apart(matchers[0].template.graph(steps, loose), audible)
    few = replace(target[::THINNING_STEP], between=between)
    targets = [few if gain is None else few.open_to(matcher, gain) for matcher in matchers]
    if len(few.frames) * len(graph.pdfs) <= MOST_SCORES:
        with stage("scores"):
            scores = torch.stack([t.scores(matcher) for t, matcher in zip(targets, matchers, strict=True)])
        return choice[int(viterbi(Arcs.of(graph), scores, kernel=kernel).score.argmax())]
    found = [
        float(_path(t, matcher, graph, kernel)[0].score) for t, matcher in zip(targets, matchers, strict=True)
    ]
    return choice[int(np.argmax(found))]


def _path(target: Target, matcher: Matcher, graph: Graph, kernel: str) -> tuple[Path, Tensor | None]:
    """The best path, and all scores; None in place of these where they would fill the memory."""
    frames = target.frames
    if len(frames) * len(graph.pdfs) <= MOST_SCORES or kernel not in ("auto", "numba"):
        with stage("scores"):
            scores = target.scores(matcher)
        with stage("search"):
            return viterbi(Arcs.of(graph), scores[None], kernel=kernel), scores

    def score(first: int, last: int, columns: np.ndarray) -> Tensor:
        with stage("scores"):
            return target[first:last].scores(matcher, columns)

    with stage("search"):
        return long_path(Arcs.of(graph), score, len(frames)), None


def _path_within(
    target: Target, matcher: Matcher, graph: Graph, kernel: str, within: Iterable[np.ndarray]
) -> tuple[Path, Tensor]:
    """The best path that keeps within spans of frames, and all scores.

    Raises
    ------
    NoPath
        If none does.
    """
    with stage("scores"):
        scores = target.scores(matcher)
    alone = Arcs.of(replace(graph, pdf=np.arange(len(graph.pdf), dtype=np.int32)))
    own = scores[:, graph.pdf]
    for spans in within:
        with suppress(NoPath), stage("search"):
            return viterbi(alone, scores_within(own, spans)[None], kernel=kernel), scores
    raise NoPath([0])


def _in_pieces(target: Target, matcher: Matcher, graph: Graph, states: np.ndarray) -> Evidence:
    """The evidence of a long recording, each piece compared with the reference near where the path has it."""
    parts, rows = [], len(matcher.template.frames)
    on = graph.pdf[states]
    reached = np.maximum.accumulate(np.where(on < rows, on, 0))  # in a pause, too
    for k in range(0, len(target.frames), COMPARED_PIECE):
        piece = slice(k, k + COMPARED_PIECE)
        first, last = (
            max(reached[piece][0] - COMPARED_REACH, 0),
            min(reached[piece][-1] + COMPARED_REACH, rows),
        )
        columns = np.append(np.arange(first, last), np.arange(rows, len(graph.pdfs)))
        parts.append(_evidence(target[piece].scores(matcher, columns).numpy(), graph, states[piece], columns))
    return Evidence.concatenated(parts)


def _evidence(
    scores: np.ndarray, graph: Graph, states: np.ndarray, columns: np.ndarray | None = None
) -> Evidence:
    """Compare a path with all phones of the reference, wherever they stand in it, and with a pause.

    Two recordings of different words have frames in common, too, and a path finds them.  So the margin is not
    only what the frame has to the best of the reference, but also what it has to the `USUAL_SCORE`.

    Parameters
    ----------
    scores : ndarray
        (T, C) of the ``columns``, ascending; of all unless given.
    graph : Graph
    states : ndarray
        (T,)
    columns : ndarray, optional
    """
    columns = np.arange(len(graph.pdfs)) if columns is None else columns
    names, label = np.unique(list(map(without_stress, graph.phone)), return_inverse=True)
    label_of_pdf = np.empty(len(graph.pdfs), np.int64)
    label_of_pdf[graph.pdf] = label[graph.node]
    _, here = np.unique(label_of_pdf[columns], return_inverse=True)
    order = np.argsort(here, kind="stable")
    firsts = np.searchsorted(here[order], np.arange(here.max() + 1))
    rivals = np.maximum.reduceat(DISTANCE_NATS * scores[:, order], firsts, axis=1)
    on = np.searchsorted(columns, graph.pdf[states])
    own = DISTANCE_NATS * scores[np.arange(len(states)), on]
    seen = evidence(own, rivals, PathPhones.without_neighbours(here[on]))
    margin = seen.margin + own - DISTANCE_NATS * USUAL_SCORE
    if STAR_LABEL in names:
        margin = np.where(names[label_of_pdf[graph.pdf[states]]] == STAR_LABEL, 0.0, margin)
    return seen._replace(margin=margin)


def _by_label(phones: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """The order of frames by the labels of their ``phones``, and where each label begins in it."""
    _, label = np.unique(list(map(without_stress, phones)), return_inverse=True)
    order = np.argsort(label, kind="stable")
    return order, np.searchsorted(label[order], np.arange(label.max() + 1))


def phones_of(
    found: Warped, clock: Clock, start: float, end: float
) -> tuple[list[int], tuple[Interval, ...], list[int]]:
    """First frames, intervals and words (`NO_OWNER` for pauses, `STAR_OWNER` for what the template lacks) of
    the phones from ``start`` to ``end``, in seconds.
    """
    nodes = found.graph.node[found.states]
    firsts = np.flatnonzero(np.diff(nodes, prepend=-1))
    names = [found.graph.phone[n] for n in nodes[firsts]]
    labels = [NOISE_LABEL if name == STAR_LABEL else name for name in names]
    words = found.graph.word[nodes[firsts]].tolist()
    owners = [STAR_OWNER if name == STAR_LABEL else word for name, word in zip(names, words, strict=True)]
    frames = firsts.tolist()
    return frames, clock.tile(frames, labels, start, end), owners
