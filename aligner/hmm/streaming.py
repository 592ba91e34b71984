"""Streaming decoding: states are decided while observations are still coming in.

`StreamingHMMProcessor` drives whatever is `Streamable`: the torch modules here, and the aligner's acoustic
models with the graph of a transcript (`aligner.run.stream`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from aligner.hmm.gaussian import MixtureGaussianHMM
from aligner.hmm.semi_markov import HSMM
from aligner.search.live import LiveSearch


class StreamingDecoder(Protocol):
    """The search for the states of one sequence, fed chunk by chunk."""

    @property
    def decided(self) -> int:
        """The number of frames whose state has been given out."""
        ...

    def advance(self, observations: Tensor) -> Tensor:
        """Take in frames (n, D) and return the states (m,) that can be decided now."""
        ...

    def finish(self) -> Tensor:
        """End the sequence and return the states of all frames that were still undecided."""
        ...


@runtime_checkable
class Streamable(Protocol):
    """A model that can be decoded as a stream."""

    @property
    def obs_dim(self) -> int:
        """The size D of an observation."""
        ...

    def decoder(self, lag: int | None = None) -> StreamingDecoder:
        """Make a decoder for one sequence; with ``lag``, no state is decided later than so many frames on."""
        ...


class StreamingHMM(MixtureGaussianHMM):
    """A `MixtureGaussianHMM` that decides states before an observation has ended.

    Examples
    --------
    >>> model = StreamingHMM(2, 3)
    >>> observations, _ = model.sample(30, generator=torch.Generator().manual_seed(0))
    >>> decoder = model.decoder()
    >>> states = [decoder.advance(chunk) for chunk in observations[0].split(10)] + [decoder.finish()]
    >>> torch.equal(torch.cat(states), model.viterbi(observations).states[0])
    True
    """

    def decoder(self, lag: int | None = None, beam: float | None = None) -> HmmDecoder:
        """Make a decoder for one sequence; `aligner.search.live.LiveSearch` explains ``lag`` and ``beam``."""
        return HmmDecoder(self, lag, beam)


class HmmDecoder:
    """A `StreamingDecoder` of a Gaussian HMM, with the parameters that the model had when it was made."""

    def __init__(self, model: MixtureGaussianHMM, lag: int | None = None, beam: float | None = None) -> None:
        self.model = model
        with torch.no_grad():
            self._ready = model.emissions.ready()
            self.search = LiveSearch(model.transitions().to(torch.empty(0)), lag=lag, beam=beam)

    @property
    def decided(self) -> int:
        """The number of frames whose state has been given out."""
        return self.search.reported

    @torch.no_grad()
    def advance(self, observations: Tensor) -> Tensor:
        """Take in frames (n, D) and return the states (m,) that can be decided now."""
        if observations.ndim != 2 or observations.shape[1] != self.model.obs_dim:
            raise ValueError(
                f"observations of shape {tuple(observations.shape)}; (n, {self.model.obs_dim}) is needed"
            )
        return torch.from_numpy(self.search.advance(self._ready.score(observations).cpu()).states)

    def finish(self) -> Tensor:
        """End the sequence and return the states of all frames that were still undecided."""
        return torch.from_numpy(self.search.finish().states)


class DecodedChunk(NamedTuple):
    """The states that a processor has decided after a chunk."""

    states: Tensor
    """(m,) int64: the states of the next m frames."""
    first: int
    """Frame, counted from the beginning of the sequence, that ``states`` begins with."""
    seconds: float
    """Time that the computation took."""
    chunk_size: int
    """Number of frames that were processed at once."""


class StreamingHMMProcessor:
    """Takes observations in pieces of any length, processes them in chunks, and decides states as it can.

    Parameters
    ----------
    model : MixtureGaussianHMM or Streamable
        A model whose arcs do not vary in time.
    chunk_size : int
        Frames to process at once; fewer wait for more.
    overlap : int or None
        A state is decided at the latest with the chunk that brings so many later frames.  None waits until
        it is certain: the states are then those of ``model.viterbi``, for as long as the buffer holds what is
        undecided.
    buffer_size : int
        The most frames whose state may be undecided at a time; with ``overlap`` None it bounds memory and
        delay, and a state that is still undecided then follows the best path of the moment.  At least
        ``chunk_size`` + ``overlap``.

    Examples
    --------
    >>> model = StreamingHMM(2, 3)
    >>> processor = StreamingHMMProcessor(model, chunk_size=8, overlap=4, buffer_size=64)
    >>> observations, _ = model.sample(30, generator=torch.Generator().manual_seed(0))
    >>> chunks = [processor.process_chunk(piece) for piece in observations[0].split(5)] + [processor.finish()]
    >>> sum(len(chunk.states) for chunk in chunks)
    30
    """

    def __init__(
        self,
        model: MixtureGaussianHMM | Streamable,
        chunk_size: int = 16,
        overlap: int | None = None,
        buffer_size: int = 1000,
    ) -> None:
        if chunk_size < 1 or (overlap or 0) < 0 or buffer_size < chunk_size + (overlap or 0):
            raise ValueError(
                f"chunks of {chunk_size} frames, an overlap of {overlap}, a buffer of {buffer_size}: "
                "the buffer must hold a chunk and its overlap, and a chunk at least one frame"
            )
        if not isinstance(model, (MixtureGaussianHMM, Streamable)) or isinstance(model, HSMM):
            raise TypeError(
                f"a {type(model).__name__}; only a StreamingHMM or MixtureGaussianHMM, or what "
                "has a decoder(), can be streamed"
            )
        self.model, self.chunk_size, self.overlap, self.buffer_size = model, chunk_size, overlap, buffer_size
        self._longest_chunk = chunk_size
        self.reset()

    def reset(self) -> None:
        """Forget all observations: the next ones begin a new sequence."""
        lag = self.buffer_size - self._longest_chunk if self.overlap is None else self.overlap
        self._decoder: StreamingDecoder = (
            self.model.decoder(lag) if isinstance(self.model, Streamable) else HmmDecoder(self.model, lag)
        )
        self._waiting = torch.empty(0, self.model.obs_dim)

    @property
    def decoder(self) -> StreamingDecoder:
        """The decoder of the current sequence."""
        return self._decoder

    def process_chunk(self, observations: Tensor) -> DecodedChunk:
        """Take in frames (n, D), n from 0, and return the states decided by them.

        Raises
        ------
        ValueError
            If their shape does not fit or something is NaN or infinite; none of them is taken in then.
        """
        began, first, decided, size = time.perf_counter(), self._decoder.decided, [], self.chunk_size
        if observations.ndim != 2 or observations.shape[1] != self.model.obs_dim:
            raise ValueError(
                f"observations of shape {tuple(observations.shape)}; (n, {self.model.obs_dim}) is needed"
            )
        if not bool(torch.isfinite(observations).all()):
            raise ValueError("NaN or infinity among the observations")
        self._waiting = torch.cat([self._waiting.to(observations), observations])
        while len(self._waiting) >= self.chunk_size:
            size = self.chunk_size
            decided.append(self._process(size))
        states = torch.cat(decided) if decided else torch.empty(0, dtype=torch.int64)
        return DecodedChunk(states, first, time.perf_counter() - began, size)

    def _process(self, size: int) -> Tensor:
        chunk, self._waiting = self._waiting[:size], self._waiting[size:]
        return self._decoder.advance(chunk)

    def finish(self) -> DecodedChunk:
        """End the sequence, return the states of all undecided frames, and `reset` even after an error."""
        began, first = time.perf_counter(), self._decoder.decided
        size = len(self._waiting)
        try:
            states = [self._decoder.advance(self._waiting)] if size else []
            states.append(self._decoder.finish())
        finally:
            self.reset()
        return DecodedChunk(torch.cat(states), first, time.perf_counter() - began, size)


class AdaptiveChunkProcessor(StreamingHMMProcessor):
    """Chooses its chunk size by what it measures, so that a chunk's latency keeps under a target.

    The latency of a chunk is what its first frame waits until the chunk is full, and what it takes to
    compute. Small chunks wait less but cost more, for every chunk has a cost of its own; so the size is
    doubled for as long as that keeps the target, and halved when a chunk misses it.

    Parameters
    ----------
    model : MixtureGaussianHMM or Streamable
    target_latency : float
        The latency to keep under, in seconds.
    hop : float
        Seconds from one frame to the next.
    chunk_size : int
        The first size, in frames.
    max_chunk_size : int
        The greatest size, in frames.
    overlap, buffer_size
        Parameters of `StreamingHMMProcessor`; the buffer must hold ``max_chunk_size``.
    clock : callable
        Tells the time in seconds, to measure what a chunk takes.

    Attributes
    ----------
    latency : float
        Latency of the last chunk, in seconds.

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
        model: MixtureGaussianHMM | Streamable,
        target_latency: float = 0.1,
        hop: float = 0.01,
        chunk_size: int = 4,
        max_chunk_size: int = 64,
        overlap: int | None = None,
        buffer_size: int = 1000,
        *,
        clock: Callable[[], float] = time.perf_counter,
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
        self.latency, self._clock = 0.0, clock
        super().__init__(model, chunk_size, overlap, buffer_size)
        self._longest_chunk = max_chunk_size
        self.reset()

    def _process(self, size: int) -> Tensor:
        began = self._clock()
        states = super()._process(size)
        self._adapt(size, self._clock() - began)
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
