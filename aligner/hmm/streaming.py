"""HMMs that listen: states told while observations are still coming in.

`StreamingHMMProcessor` drives whatever can `listen`: the torch modules here, and the aligner's acoustic
models with the graph of a transcript (`aligner.run.stream`).
"""

from __future__ import annotations

import time
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from aligner.hmm.gaussian import MixtureGaussianHMM
from aligner.hmm.semi_markov import HSMM
from aligner.search.stream import Stream


class Search(Protocol):
    """One sequence on its way through a model.

    Attributes
    ----------
    told : int
        Frames whose state was told.
    """

    @property
    def told(self) -> int: ...  # noqa: D102

    def advance(self, observations: Tensor) -> Tensor:
        """Hear frames (n, D); the states (m,) of those that can now be told."""
        ...

    def finish(self) -> Tensor:
        """There is no more: the states of all frames not yet told."""
        ...


@runtime_checkable
class Listening(Protocol):
    """What can be streamed.

    Attributes
    ----------
    obs_dim : int
        D, the numbers in a frame.
    """

    @property
    def obs_dim(self) -> int: ...  # noqa: D102

    def listen(self, lag: int | None = None) -> Search:
        """A search for one sequence; a state is told at the latest when ``lag`` later frames were heard."""
        ...


class StreamingHMM(MixtureGaussianHMM):
    """A `MixtureGaussianHMM` that can be asked for states before an observation has ended.

    Examples
    --------
    >>> model = StreamingHMM(2, 3)
    >>> observations, _ = model.sample(30, generator=torch.Generator().manual_seed(0))
    >>> listener = model.listen()
    >>> told = [listener.advance(chunk) for chunk in observations[0].split(10)] + [listener.finish()]
    >>> torch.equal(torch.cat(told), model.viterbi(observations).states[0])
    True
    """

    def listen(self, lag: int | None = None, beam: float | None = None) -> Listener:
        """A search for one sequence; see `aligner.search.stream.Stream` for ``lag`` and ``beam``."""
        return Listener(self, lag, beam)


class Listener:
    """One sequence on its way through a `StreamingHMM`, with the parameters as they were when it began."""

    def __init__(self, model: MixtureGaussianHMM, lag: int | None = None, beam: float | None = None) -> None:
        self.model = model
        with torch.no_grad():
            self._ready = model.emissions.ready()
            self.search = Stream(model.transitions().to(torch.empty(0)), lag, beam)

    @property
    def told(self) -> int:
        """Frames whose state was told."""
        return self.search.told

    @torch.no_grad()
    def advance(self, observations: Tensor) -> Tensor:
        """Hear frames (n, D); the states (m,) of those that can now be told."""
        if observations.ndim != 2 or observations.shape[1] != self.model.obs_dim:
            raise ValueError(
                f"observations of shape {tuple(observations.shape)}; (n, {self.model.obs_dim}) is needed"
            )
        return self.search.advance(self._ready.score(observations).cpu())

    def finish(self) -> Tensor:
        """There is no more: the states of all frames not yet told."""
        return self.search.finish()


class Told(NamedTuple):
    """What a processor can tell after a chunk.

    Attributes
    ----------
    states : Tensor
        (m,) int64
    first : int
        The frame that ``states`` begins with, counted from the beginning of the sequence.
    seconds : float
        What it took to compute.
    chunk_size : int
        Frames that were processed at once.
    """

    states: Tensor
    first: int
    seconds: float
    chunk_size: int


class StreamingHMMProcessor:
    """Takes observations in pieces of any length, processes them in chunks, and tells states as they settle.

    Parameters
    ----------
    model : MixtureGaussianHMM or Listening
        Its arcs may not vary in time.
    chunk_size : int
        Frames to process at once; fewer wait for more.
    overlap : int or None
        A state is told at the latest with the chunk that brings so many later frames.  None waits until it is
        certain: the states are then those of ``model.viterbi``, for as long as the buffer holds what is open.
    buffer_size : int
        The most frames whose state may be open at a time; with ``overlap`` None it bounds memory and delay,
        and a state that is still open then is told by the best path of the moment.  At least ``chunk_size`` +
        ``overlap``.

    Attributes
    ----------
    listener : Search
        Of the sequence that is being heard.

    Examples
    --------
    >>> model = StreamingHMM(2, 3)
    >>> processor = StreamingHMMProcessor(model, chunk_size=8, overlap=4, buffer_size=64)
    >>> observations, _ = model.sample(30, generator=torch.Generator().manual_seed(0))
    >>> told = [processor.process_chunk(piece) for piece in observations[0].split(5)] + [processor.finish()]
    >>> sum(len(t.states) for t in told)
    30
    """

    def __init__(
        self,
        model: MixtureGaussianHMM | Listening,
        chunk_size: int = 16,
        overlap: int | None = None,
        buffer_size: int = 1000,
    ) -> None:
        if chunk_size < 1 or (overlap or 0) < 0 or buffer_size < chunk_size + (overlap or 0):
            raise ValueError(
                f"chunks of {chunk_size} frames, an overlap of {overlap}, a buffer of {buffer_size}: "
                "the buffer must hold a chunk and its overlap, and a chunk at least one frame"
            )
        if not isinstance(model, (MixtureGaussianHMM, Listening)) or isinstance(model, HSMM):
            raise TypeError(
                f"a {type(model).__name__}; only a StreamingHMM or MixtureGaussianHMM, or what can "
                "listen(), can be streamed"
            )
        self.model, self.chunk_size, self.overlap, self.buffer_size = model, chunk_size, overlap, buffer_size
        self._longest_chunk = chunk_size
        self.reset()

    def reset(self) -> None:
        """Forget all that was heard: the next observations begin a new sequence."""
        lag = self.buffer_size - self._longest_chunk if self.overlap is None else self.overlap
        self._listener: Search = (
            self.model.listen(lag) if isinstance(self.model, Listening) else Listener(self.model, lag)
        )
        self._waiting = torch.empty(0, self.model.obs_dim)

    @property
    def listener(self) -> Search:
        """The search for the sequence that is being heard."""
        return self._listener

    def process_chunk(self, observations: Tensor) -> Told:
        """Hear frames (n, D), n from 0.

        Raises
        ------
        ValueError
            If their shape does not fit or something is NaN or infinite; they are then not heard at all.
        """
        began, first, told, size = time.perf_counter(), self._listener.told, [], self.chunk_size
        if observations.ndim != 2 or observations.shape[1] != self.model.obs_dim:
            raise ValueError(
                f"observations of shape {tuple(observations.shape)}; (n, {self.model.obs_dim}) is needed"
            )
        if not bool(torch.isfinite(observations).all()):
            raise ValueError("NaN or infinity among the observations")
        self._waiting = torch.cat([self._waiting.to(observations), observations])
        while len(self._waiting) >= self.chunk_size:
            size = self.chunk_size
            told.append(self._process(size))
        states = torch.cat(told) if told else torch.empty(0, dtype=torch.int64)
        return Told(states, first, time.perf_counter() - began, size)

    def _process(self, size: int) -> Tensor:
        chunk, self._waiting = self._waiting[:size], self._waiting[size:]
        return self._listener.advance(chunk)

    def finish(self) -> Told:
        """There is no more: the states of all frames not yet told; then `reset`, whatever comes."""
        began, first = time.perf_counter(), self._listener.told
        size = len(self._waiting)
        try:
            states = [self._listener.advance(self._waiting)] if size else []
            states.append(self._listener.finish())
        finally:
            self.reset()
        return Told(torch.cat(states), first, time.perf_counter() - began, size)


class AdaptiveChunkProcessor(StreamingHMMProcessor):
    """Chooses its chunk size by what it measures, so that a chunk's latency keeps under a target.

    The latency of a chunk is what its first frame waits until the chunk is full, and what it takes to
    compute. Small chunks wait less but cost more, for every chunk has a cost of its own; so the size is
    doubled for as long as that keeps the target, and halved when a chunk misses it.

    Parameters
    ----------
    model : MixtureGaussianHMM or Listening
    target_latency : float
        In seconds.
    hop : float
        Seconds from one frame to the next.
    chunk_size : int
        To begin with.
    max_chunk_size : int
    overlap, buffer_size
        As `StreamingHMMProcessor`; the buffer must hold ``max_chunk_size``.

    Attributes
    ----------
    latency : float
        Of the last chunk, in seconds.

    Examples
    --------
    >>> processor = AdaptiveChunkProcessor(StreamingHMM(2, 3), target_latency=10.0, chunk_size=1)
    >>> for _ in range(40):
    ...     _ = processor.process_chunk(torch.zeros(4, 3))
    >>> processor.chunk_size > 1
    True
    """

    def __init__(
        self,
        model: MixtureGaussianHMM | Listening,
        target_latency: float = 0.1,
        hop: float = 0.01,
        chunk_size: int = 4,
        max_chunk_size: int = 64,
        overlap: int | None = None,
        buffer_size: int = 1000,
    ) -> None:
        if target_latency <= 0 or hop <= 0 or not 1 <= chunk_size <= max_chunk_size:
            raise ValueError(
                f"a target of {target_latency} s, frames every {hop} s, chunks of {chunk_size} to "
                f"{max_chunk_size}: all must be above 0, the last not below the one before"
            )
        if buffer_size < max_chunk_size + (overlap or 0):
            raise ValueError(
                f"a buffer of {buffer_size} frames; chunks of {max_chunk_size} and an overlap of "
                f"{overlap or 0} do not fit"
            )
        self.target_latency, self.hop, self.max_chunk_size = target_latency, hop, max_chunk_size
        self.latency = 0.0
        super().__init__(model, chunk_size, overlap, buffer_size)
        self._longest_chunk = max_chunk_size
        self.reset()

    def _process(self, size: int) -> Tensor:
        began = time.perf_counter()
        states = super()._process(size)
        self._adapt(size, time.perf_counter() - began)
        return states

    def _adapt(self, size: int, seconds: float) -> None:
        """Choose the next size from what a chunk of ``size`` frames took."""
        self.latency = (size - 1) * self.hop + seconds
        if self.latency > self.target_latency:
            self.chunk_size = max(1, size // 2)
            return
        larger = min(2 * size, self.max_chunk_size)
        if (larger - 1) * self.hop + seconds * larger / size <= self.target_latency:
            self.chunk_size = larger
