"""The best path through a graph, exactly: no beam, nothing pruned.

`reference` is the recursion as the textbooks have it (Rabiner 1989, eqs. 32-35), never optimised;
the kernels must give paths of the same weight.
"""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import torch
from torch import Tensor

from aligner.search.arcs import (
    Arcs,
    NoPath,
    Path,
    arrays,
    check,
    chosen_kernel,
    precise,
    require_paths,
    within,
)
from aligner.search.long import long_path

WHOLE_BYTES = 2**28  # bytes of an utterance's backpointers up to which nothing is computed twice


def viterbi(arcs: Arcs, scores: Tensor, lengths: Tensor | None = None, kernel: str = "auto") -> Path:
    """The best path of each utterance of a batch.

    Parameters
    ----------
    arcs : Arcs
        One graph for all utterances, or one each.
    scores : Tensor
        (B, T, P) log-likelihoods.
    lengths : Tensor, optional
        (B,) frames of each utterance, 1 to T; all T unless given.
    kernel : {'auto', 'numba', 'triton', 'reference'}
        'auto' takes numba on the CPU and triton on CUDA.

    Returns
    -------
    Path
        Of paths that weigh the same any may be returned.

    Raises
    ------
    NoPath
        If an utterance has none; it says which.
    ValueError
        If shapes do not fit, a NaN is among the numbers, or the kernel does not run on the scores' device.

    Examples
    --------
    >>> stay = torch.tensor([[0.5, 0.5], [0.0, 1.0]]).log()
    >>> arcs = Arcs.dense(stay, torch.tensor([1.0, 0.0]).log())
    >>> viterbi(arcs, torch.tensor([[[0.0, -9.0], [-1.0, -9.0], [-9.0, 0.0]]])).states.tolist()
    [[0, 0, 1]]
    """
    scores = precise(scores)
    lengths = check(arcs, scores, lengths)
    path = _KERNELS[chosen_kernel(kernel, scores.device)](
        arcs.to(scores).detached(), scores.detach(), lengths
    )
    require_paths(path.score)
    return path


def reference(arcs: Arcs, scores: Tensor, lengths: Tensor) -> Path:
    """`viterbi` in plain torch, on any device, in the floating type of ``scores``."""
    real = within(lengths, scores.shape[1], scores.device)
    emitted = arcs.emitted(scores)
    delta = arcs.start + emitted[:, 0]
    choices = []
    for t in range(1, scores.shape[1]):
        best, choice = arcs.arriving(delta, t).max(2)
        choices.append(choice)
        delta = torch.where(real[:, t, None], best + emitted[:, t], delta)
    score, state = (delta + arcs.final).max(1)
    before = arcs.predecessors.long().expand(len(scores), -1, -1)
    states = [state]
    each = torch.arange(len(scores), device=scores.device)
    for t in range(len(choices), 0, -1):
        previous = before[each, state, choices[t - 1][each, state]]
        state = torch.where(real[:, t], previous, state)
        states.append(state)
    return Path(torch.where(real, torch.stack(states[::-1], 1), -1), score)


def _numba(arcs: Arcs, scores: Tensor, lengths: Tensor) -> Path:
    from aligner.search.kernels import spread  # numba is slow to import
    from aligner.search.kernels.layout import backpointer_bits, layout
    from aligner.search.kernels.viterbi_numba import best_path, row_bytes

    batch, frames, _ = scores.shape
    graphs = [layout(p) for p in arrays(arcs.predecessors)[0]]
    width = max(map(backpointer_bits, graphs))
    if frames * row_bytes(arcs.states, width) > WHOLE_BYTES and arcs.weights.shape[1] == 1:
        return _in_blocks(arcs, scores, lengths)
    states, totals = torch.full((batch, frames), -1), torch.full((batch,), -torch.inf, dtype=torch.float64)
    emitted, *tables = arrays(scores, arcs.pdf, arcs.weights, arcs.start, arcs.final)
    paths, weighed = states.numpy(), totals.numpy()

    def some(first: int, step: int) -> None:
        for b in range(first, batch, step):
            g, length = b % len(graphs), int(lengths[b])
            pdf, weights, start, final = (table[g] for table in tables)
            weighed[b] = best_path(
                scores=emitted[b, :length],
                pdf=pdf,
                weights=weights,
                start=start,
                final=final,
                graph=graphs[g],
                width=width,
                path=paths[b, :length],
            )

    spread(some, batch)
    return Path(states, totals.to(scores.dtype))


def _in_blocks(arcs: Arcs, scores: Tensor, lengths: Tensor) -> Path:
    """One utterance after the other, with their backpointers made twice."""
    states, totals = (
        torch.full(scores.shape[:2], -1),
        torch.full((len(scores),), -torch.inf, dtype=scores.dtype),
    )
    for b, length in enumerate(lengths.tolist()):
        own = scores[b]

        def score(first: int, last: int, columns: np.ndarray, own: Tensor = own) -> Tensor:
            return own[first:last, torch.from_numpy(columns)]

        with suppress(NoPath):
            found = long_path(arcs.of_utterance(b), score, length, band=None)
            states[b, :length], totals[b] = found.states[0], found.score[0]
    return Path(states, totals)


def _triton(arcs: Arcs, scores: Tensor, lengths: Tensor) -> Path:
    from aligner.search.kernels.viterbi_triton import best_paths  # triton is absent on some machines

    return Path(*best_paths(arcs, scores, lengths))


_KERNELS = {"numba": _numba, "triton": _triton, "reference": reference}
