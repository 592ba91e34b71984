"""What all models of the family share: everything but their scores.

A model gives its `Potentials` for a batch of observations; likelihoods, posteriors and best paths are
then `aligner.search`'s, and expected counts for EM are gradients of the likelihood.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from aligner.hmm.potentials import Potentials, likelihood
from aligner.names import KERNELS
from aligner.search.arcs import NoPath, Path, checked_lengths, within
from aligner.search.forward_backward import Posteriors, forward_backward
from aligner.search.segmental import (
    SegmentPosteriors,
    Segments,
    segmental_forward_backward,
    segmental_viterbi,
)
from aligner.search.viterbi import viterbi

CACHE_NUMBERS = 2**18  # numbers made at once when frames are scored without gradients

R = TypeVar("R")
Batch = tuple[Tensor, Tensor]


def collate(sequences: Sequence[Tensor]) -> Batch:
    """Pad observations (T, D) of several lengths to a batch: (B, T, D) and lengths (B,).

    It is meant for ``torch.utils.data.DataLoader(dataset, collate_fn=collate)``.

    Raises
    ------
    ValueError
        If there is none, one is empty, or they differ in their number of dimensions.

    Examples
    --------
    >>> observations, lengths = collate([torch.ones(2, 3), torch.ones(4, 3)])
    >>> observations.shape, lengths.tolist()
    (torch.Size([2, 4, 3]), [2, 4])
    """
    if not all(isinstance(s, Tensor) for s in sequences):
        raise TypeError("sequences must be torch.Tensors")
    if not sequences or any(
        s.ndim != 2 or s.shape != (max(len(s), 1), sequences[0].shape[1]) for s in sequences
    ):
        shapes = [tuple(s.shape) for s in sequences]
        raise ValueError(
            f"sequences of shapes {shapes[:5]}; (at least 1, D) with the same D is needed for each"
        )
    return nn.utils.rnn.pad_sequence(list(sequences), batch_first=True), torch.tensor(
        [len(s) for s in sequences]
    )


class HMM(nn.Module, ABC):
    """Base class of hidden Markov and semi-Markov models.

    Parameters
    ----------
    num_states, obs_dim : int
    checkpoint_segments : int
        Stretches of time in which scores are computed; with more than 1, they are computed again for the
        gradient: less memory for more time.
    kernel : {'auto', 'numba', 'triton', 'reference'}
        Implementation of the search.
    """

    def __init__(
        self, num_states: int, obs_dim: int, checkpoint_segments: int = 1, kernel: str = "auto"
    ) -> None:
        super().__init__()
        if num_states < 1 or obs_dim < 1 or checkpoint_segments < 1:
            raise ValueError(
                f"{num_states} states, {obs_dim} dimensions, {checkpoint_segments} segments: 0 is too few"
            )
        if kernel not in KERNELS:
            raise ValueError(f"kernel {kernel!r}; one of {', '.join(KERNELS)} is needed")
        self.num_states, self.obs_dim = num_states, obs_dim
        self.checkpoint_segments, self.kernel = checkpoint_segments, kernel

    @abstractmethod
    def potentials(self, observations: Tensor) -> Potentials:
        """Compute arcs, scores and durations of a batch (B, T, D)."""

    @abstractmethod
    def sample(self, num_frames: int, batch: int = 1, generator: torch.Generator | None = None) -> Batch:
        """Draw observations (B, T, D) and the states (B, T) behind them."""

    @abstractmethod
    def fit(
        self, data: Tensor | Iterable[Batch], lengths: Tensor | None = None, iterations: int = 10
    ) -> list[float]:
        """Learn from observations, and return the mean log-likelihood per frame before each iteration and at
        the end.
        """

    def forward(
        self, observations: Tensor, lengths: Tensor | None = None, chunk_size: int | None = None
    ) -> Tensor:
        """Compute log-likelihoods; differentiable.

        Parameters
        ----------
        observations : Tensor
            (B, T, D)
        lengths : Tensor, optional
            (B,) frames of each sequence; what lies beyond is ignored.
        chunk_size : int, optional
            Number of sequences at once; halved, with a warning, when memory runs out.

        Returns
        -------
        Tensor
            (B,)

        Raises
        ------
        ValueError
            If shapes do not fit, something is NaN, or (`aligner.search.arcs.NoPath`) a sequence is too short.
        """
        if torch.compiler.is_compiling():  # one graph; a compiled function cannot run out of memory and go on
            counts = (
                torch.full((len(observations),), observations.shape[1])
                if lengths is None
                else torch.as_tensor(lengths)
            )
            return self._log_likelihood(
                observations if lengths is None else unpadded(observations, counts), counts
            )
        return torch.cat(self._in_chunks(self._log_likelihood, observations, lengths, chunk_size))

    def posteriors(
        self, observations: Tensor, lengths: Tensor | None = None, chunk_size: int | None = None
    ) -> Posteriors | SegmentPosteriors:
        """Compute the probabilities of states (B, T, S) and arcs, and of durations where the model has
        them.
        """
        with torch.no_grad():
            found: Posteriors | SegmentPosteriors = _concatenated(
                self._in_chunks(self._posteriors, observations, lengths, chunk_size)
            )
        return found

    def viterbi(
        self, observations: Tensor, lengths: Tensor | None = None, chunk_size: int | None = None
    ) -> Path | Segments:
        """Find the best path: ``states`` (B, T), -1 beyond a sequence's length, and ``score`` (B,)."""
        with torch.no_grad():
            found: Path | Segments = _concatenated(
                self._in_chunks(self._viterbi, observations, lengths, chunk_size)
            )
        return found

    def _log_likelihood(self, observations: Tensor, lengths: Tensor) -> Tensor:
        return likelihood(self.potentials(observations), lengths, self.kernel)

    def _posteriors(self, observations: Tensor, lengths: Tensor) -> Posteriors | SegmentPosteriors:
        arcs, scores, durations = self.potentials(observations)
        if durations is None:
            return forward_backward(arcs, scores, lengths, self.kernel)
        return segmental_forward_backward(arcs, scores, durations, lengths, self.kernel)

    def _viterbi(self, observations: Tensor, lengths: Tensor) -> Path | Segments:
        arcs, scores, durations = self.potentials(observations)
        if durations is None:
            return viterbi(arcs, scores, lengths, self.kernel)
        return segmental_viterbi(arcs, scores, durations, lengths, self.kernel)

    def _in_chunks(
        self,
        work: Callable[[Tensor, Tensor], R],
        observations: Tensor,
        lengths: Tensor | None,
        chunk_size: int | None,
    ) -> list[R]:
        padded, lengths = lengths is not None, self._checked(observations, lengths)
        size = len(observations) if chunk_size is None else chunk_size
        if size < 1:
            raise ValueError(f"a chunk of {size} sequences; at least 1 is needed")
        results: list[R] = []
        first = 0
        while first < len(observations):
            some = slice(first, first + size)
            try:
                part = unpadded(observations[some], lengths[some]) if padded else observations[some]
                results.append(work(part, lengths[some]))
            except NoPath as error:
                raise NoPath([first + b for b in error.utterances]) from None
            except (RuntimeError, MemoryError) as error:
                if size == 1 or not out_of_memory(error):
                    raise
                size = (min(size, len(observations)) + 1) // 2
                warnings.warn(
                    f"out of memory: going on with {size} sequences at once (chunk_size)", stacklevel=3
                )
                continue
            first += size
        return results

    def _checked(self, observations: Tensor, lengths: Tensor | None) -> Tensor:
        if not isinstance(observations, Tensor):
            raise TypeError(f"observations are {type(observations).__name__}; a torch.Tensor is needed")
        if observations.ndim != 3 or observations.shape[2] != self.obs_dim or not all(observations.shape):
            raise ValueError(
                f"observations of shape {tuple(observations.shape)}; (B, T, {self.obs_dim}) is needed"
            )
        return checked_lengths(lengths, len(observations), observations.shape[1])

    def _over_time(
        self, score: Callable[[Tensor, int, int], Tensor], observations: Tensor, numbers: int
    ) -> Tensor:
        """Call ``score(observations, first, last)`` -> (B, last - first, ...) for all frames.

        With gradients, checkpointed if so wished; without, in stretches of time over which the ``numbers``
        that are made for each frame stay in the cache of a core.
        """
        frames = observations.shape[1]
        if torch.is_grad_enabled():
            if self.checkpoint_segments == 1:
                return score(observations, 0, frames)
            length = -(-frames // self.checkpoint_segments)
            return torch.cat(
                [
                    checkpoint(score, observations, first, min(first + length, frames), use_reentrant=False)
                    for first in range(0, frames, length)
                ],
                1,
            )
        small = observations.device.type == "cpu" and not torch.compiler.is_compiling()
        length = max(1, CACHE_NUMBERS // (len(observations) * numbers)) if small else frames
        parts = [
            score(observations, first, min(first + length, frames)) for first in range(0, frames, length)
        ]
        return parts[0] if len(parts) == 1 else torch.cat(parts, 1)


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the device or the machine is out of memory."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return any(
        words in str(error) for words in ("out of memory", "not enough memory", "can't allocate memory")
    )


def batches(data: Tensor | Iterable[Batch], lengths: Tensor | None) -> Iterator[Batch]:
    """Iterate over batches of observations and lengths; a tensor is one batch."""
    if isinstance(data, Tensor):
        yield data, checked_lengths(lengths, *data.shape[:2]) if data.ndim == 3 else torch.empty(0)
        return
    if lengths is not None:
        raise ValueError("lengths belong to a tensor; batches of (observations, lengths) have their own")
    empty = True
    for batch in data:
        if not isinstance(batch, (tuple, list)) or len(batch) != 2 or not isinstance(batch[0], Tensor):
            raise ValueError(
                "data is neither a tensor (B, T, D) nor batches of (observations (B, T, D), lengths "
                "(B,)): see aligner.hmm.collate"
            )
        empty = False
        yield batch[0], torch.as_tensor(batch[1])
    if empty:
        raise ValueError("there is no data: not one batch")


def repeatable(data: Tensor | Iterable[Batch]) -> Tensor | Iterable[Batch]:
    """Make ``data`` iterable more than once."""
    return list(data) if isinstance(data, Iterator) else data


def check_positive(num_frames: int, batch: int) -> None:
    """Raise unless there is something to draw."""
    if num_frames < 1 or batch < 1:
        raise ValueError(f"{batch} sequences of {num_frames} frames; at least 1 of each is needed")


def real_frames(observations: Tensor, lengths: Tensor) -> Tensor:
    """Select the frames (n, D) of a batch without its padding."""
    return observations[within(lengths, observations.shape[1], observations.device)]


def unpadded(observations: Tensor, lengths: Tensor) -> Tensor:
    """Set ``observations`` to 0 beyond each sequence's length, so that a network may read them, NaN or
    not.
    """
    return observations.masked_fill(
        ~within(lengths, observations.shape[1], observations.device)[..., None], 0.0
    )


def fit_by_gradient(
    model: HMM, data: Tensor | Iterable[Batch], lengths: Tensor | None, iterations: int, learning_rate: float
) -> list[float]:
    """Fit a model by gradient (Adam), with one step for each batch and ``iterations`` passes."""
    if iterations < 0:
        raise ValueError(f"{iterations} iterations; at least 0 are needed")
    optimiser = torch.optim.Adam(model.parameters(), lr=learning_rate)
    data = repeatable(data)
    history: list[float] = []
    for _ in range(iterations + 1):
        total, frames, last = 0.0, 0, len(history) == iterations
        for observations, counts in batches(data, lengths):
            with torch.set_grad_enabled(not last):
                found = model(observations, counts)
            total, frames = total + float(found.detach().sum()), frames + int(counts.sum())
            if not last:
                optimiser.zero_grad()
                (-found.sum() / counts.sum()).backward()
                optimiser.step()
        history.append(total / frames)
    return history


def _concatenated(parts: list[Any]) -> Any:
    """Concatenate named tuples of tensors field by field."""
    return parts[0] if len(parts) == 1 else type(parts[0])(*map(torch.cat, zip(*parts, strict=True)))
