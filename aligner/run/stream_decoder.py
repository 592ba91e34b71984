"""The search through a transcript's graph while its recording comes in, and the phones of its path so far.

Frames are scored under the states that are alive, and one search goes through the graph
(`aligner.search.live`).  It is never pruned in a way that could matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from aligner.backends.hmm import HmmBackend
from aligner.features import SphinxFrontend
from aligner.graph import Graph
from aligner.models.markov import MarkovModel
from aligner.refine.offsets import corrected_end
from aligner.search.arcs import Arcs
from aligner.search.live import LiveSearch
from aligner.text.lexicon import SpokenWord
from aligner.types import DECIMALS, Interval

# All in nats of log-likelihood behind the best path, but for the shares and numbers of states
AGREEMENT_BEAM = 100.0  # paths within it must agree on a state: one behind it has never won in 80 sentences
MOST_UNPRUNED_STATES = 4096  # of a graph in which no path is dropped: nearly a minute of speech
LONG_GRAPH_BEAM = 2000.0  # in longer graphs, what falls so far behind is dropped
# where the path that won was ever farther behind, all is searched again
TRUSTED_SHORTFALL = LONG_GRAPH_BEAM / 4
# Where the best path through the whole text is farther behind than this, the text may not have been spoken to
# its end (13 at most in 45 whole sentences, 80 to 260 with one long word too many, above 320 with three)
UNFINISHED_SHORTFALL = 100.0
LEAST_QUIET = 0.9  # share of a pause that is quiet: of speech in noise that looks like one 0.4 to 0.9 is


@dataclass(frozen=True, eq=False)
class TranscriptModel:
    """A transcript's graph with the model that scores it: what a `StreamingHMMProcessor` decodes."""

    model: MarkovModel
    """The model that scores frames."""

    graph: Graph
    """All that the transcript may sound like."""

    @property
    def obs_dim(self) -> int:
        """The size D of a frame."""
        assert isinstance(self.model.frontend, SphinxFrontend)
        return self.model.frontend.size

    def decoder(self, lag: int | None = None) -> TranscriptDecoder:
        """Make the decoder of one recording; with ``lag``, no state is decided later than so many frames
        on.
        """
        return TranscriptDecoder(self, lag)


class TranscriptDecoder:
    """The search for the path of one recording through a graph (see `StreamingDecoder`).

    Attributes
    ----------
    finished : bool
        Whether the recording went through the whole graph.
    quiet : ndarray or None
        (T,) which frames of the recording are quiet, to be known before `finish`; None if the text was spoken
        to its end for sure.
    pruned : bool
        Whether paths that fall far behind are dropped.
    """

    def __init__(self, transcript: TranscriptModel, lag: int | None = None) -> None:
        self.model, self.graph, self.lag = transcript.model, transcript.graph, lag
        self.pruned = len(self.graph.pdf) > MOST_UNPRUNED_STATES
        self.finished = False
        self.quiet: np.ndarray | None = None
        self._changed = 0

    @cached_property
    def live(self) -> LiveSearch:
        """The search through the graph, frame by frame."""
        return LiveSearch(
            Arcs.of(self.graph),
            lag=self.lag,
            beam=LONG_GRAPH_BEAM if self.pruned else None,
            agreement_beam=AGREEMENT_BEAM,
            revisable=True,
        )

    @property
    def decided(self) -> int:
        """The number of frames whose state has been given out."""
        return self.live.reported

    def take_changed(self) -> int:
        """The first frame whose state is new, or another one, since this was last asked."""
        first, self._changed = self._changed, self.decided
        return first

    def advance(self, observations: Tensor) -> Tensor:
        """Take in frames (n, D) and return the states (m,) that can be decided now."""
        decided = self.decided
        columns = self.live.columns(len(observations))
        scores = self.model.score(observations, self.graph.pdfs[columns])
        self._changed = min(self._changed, self.live.advance(scores, columns).first)
        return torch.from_numpy(self.live.states[decided:].copy())

    def finish(self) -> Tensor:
        """End the recording and return the states of all frames that were still undecided."""
        decided, shortfall = self.decided, self.live.shortfall
        self.finished = shortfall <= UNFINISHED_SHORTFALL or (shortfall < np.inf and not self._stopped())
        self._changed = min(self._changed, self.live.finish(anywhere=not self.finished).first)
        return torch.from_numpy(self.live.states[decided:].copy())

    def _stopped(self) -> bool:
        """Whether the best path of all ends within a word, or in a pause that the level of the sound
        confirms.
        """
        node = self.graph.node
        last = int(node[self.live.best])
        if self.quiet is None or self.graph.word[last] >= 0:
            return self.quiet is not None
        others = np.flatnonzero(node[self.live.leading()] != last)
        pause = self.quiet[int(others[-1]) + 1 if len(others) else 0 :]
        return bool(pause.mean() >= LEAST_QUIET)


class GrowingPhones:
    """The phones of a path that grows, and sometimes changes at its end, with corrected boundaries.

    A phone is whole when the next one has begun.

    Parameters
    ----------
    backend : HmmBackend
    graph : Graph
    spoken : sequence of SpokenWord
        The words of the graph.

    Attributes
    ----------
    firsts : list of int
        The frame that each phone begins with.
    nodes : list of int
        The node of the graph of each phone.
    edges : list of float
        Seconds at which each phone begins, corrected by the model's offsets.
    whole : int
        How many phones are whole.
    """

    def __init__(self, backend: HmmBackend, graph: Graph, spoken: Sequence[SpokenWord]) -> None:
        self.clock, self.graph, self.spoken = backend.traits.clock, graph, spoken
        self.offsets = {} if backend.options.refine == "none" else backend.model.offsets
        self.labels = [backend.label(phone) for phone in graph.phone]
        self.firsts: list[int] = []
        self.nodes: list[int] = []
        self.edges: list[float] = []
        self.whole = 0
        self._uncorrected: list[float] = []

    def grow(self, states: np.ndarray, changed: int) -> range:
        """Take in a path and return which phones are whole now, and new or changed.

        Parameters
        ----------
        states : ndarray
            (T,) of the path.
        changed : int
            The first frame in which it is not as it was.
        """
        while self.firsts and self.firsts[-1] >= changed:
            del self.firsts[-1], self.nodes[-1], self._uncorrected[-1], self.edges[-1]
        first = min(self.whole, max(len(self.firsts) - 1, 0))  # the last that is left may end elsewhere now
        nodes = self.graph.node[states[changed:]]
        for t in np.flatnonzero(np.diff(nodes, prepend=self.nodes[-1] if self.nodes else -1)).tolist():
            self._add(changed + t, int(nodes[t]))
        self.whole = max(len(self.firsts) - 1, 0)
        return range(first, self.whole)

    def _add(self, frame: int, node: int) -> None:
        uncorrected = max(round(self.clock.boundary(frame), DECIMALS), 0.0) if self.firsts else 0.0
        edge = uncorrected
        if self.firsts:
            phone = Interval(self._uncorrected[-1], uncorrected, self.labels[self.nodes[-1]])
            edge = corrected_end(self.edges[-1], phone, self.labels[node], self.offsets)
        self.firsts.append(frame)
        self.nodes.append(node)
        self._uncorrected.append(uncorrected)
        self.edges.append(edge)

    def phone(self, k: int) -> Interval:
        """The interval of phone ``k``, which is whole."""
        return Interval(self.edges[k], self.edges[k + 1], self.labels[self.nodes[k]])

    def token(self, k: int) -> int | None:
        """The token of the transcript that phone ``k`` belongs to; None for a silence."""
        word = int(self.graph.word[self.nodes[k]])
        return self.spoken[word].token if word >= 0 else None

    def ends_token(self, k: int) -> bool:
        """Whether phone ``k``, which is whole, is the last one of its token."""
        word, then = (int(self.graph.word[self.nodes[j]]) for j in (k, k + 1))
        if word < 0 or word == then:
            return False
        after = then if then >= 0 else word + 1
        return after >= len(self.spoken) or self.spoken[after].token != self.spoken[word].token

    def token_span(self, k: int) -> tuple[float, float]:
        """When the token begins that phone ``k`` ends, and when it ends, in seconds."""
        first, token, j = k, self.token(k), k
        while j >= 0 and self.token(j) in (token, None):
            if self.token(j) == token:
                first = j
            j -= 1
        return self.edges[first], self.edges[k + 1]
