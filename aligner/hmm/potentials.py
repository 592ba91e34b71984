"""The potentials of a batch, and their log-likelihood, also as one operation for ``torch.compile``."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from aligner.search.arcs import Arcs
from aligner.search.forward_backward import log_partition
from aligner.search.segmental import segmental_log_partition


class Potentials(NamedTuple):
    """The potentials of a batch; `aligner.search.arcs` and `aligner.search.segmental` explain the shapes.

    ``durations`` is None for a model whose states last as their self-loops say.
    """

    arcs: Arcs
    """Arcs of the graph and their log weights."""
    scores: Tensor
    """(B, T, S): scores of the states in each frame."""
    durations: Tensor | None
    """Scores of segments; None where states last as their self-loops say."""


def likelihood(potentials: Potentials, lengths: Tensor | None, kernel: str = "auto") -> Tensor:
    """Log partition function (B,) of potentials."""
    arcs, scores, durations = potentials
    if torch.compiler.is_compiling():
        given = torch.full((len(scores),), scores.shape[1]) if lengths is None else lengths
        total: Tensor = _opaque(
            scores,
            arcs.weights,
            arcs.start,
            arcs.final,
            durations,
            arcs.pdf,
            arcs.predecessors,
            given,
            kernel,
        )
        return total
    if durations is None:
        return log_partition(arcs, scores, lengths, kernel)
    return segmental_log_partition(arcs, scores, durations, lengths, kernel)


@torch.library.custom_op("aligner::log_partition", mutates_args=())
def _opaque(
    scores: Tensor,
    weights: Tensor,
    start: Tensor,
    final: Tensor,
    durations: Tensor | None,
    pdf: Tensor,
    predecessors: Tensor,
    lengths: Tensor,
    kernel: str,
) -> Tensor:
    """Compute `likelihood` as one operation that ``torch.compile`` does not look into."""
    arcs = Arcs(pdf, predecessors, weights, start, final)
    return likelihood(Potentials(arcs, scores, durations), lengths, kernel).clone()


@_opaque.register_fake
def _(scores: Tensor, *others: Any) -> Tensor:
    return scores.new_empty(len(scores))


@torch.library.custom_op("aligner::log_partition_gradients", mutates_args=())
def _gradients(
    gradient: Tensor,
    scores: Tensor,
    weights: Tensor,
    start: Tensor,
    final: Tensor,
    durations: Tensor | None,
    pdf: Tensor,
    predecessors: Tensor,
    lengths: Tensor,
    kernel: str,
) -> list[Tensor]:
    """Compute the gradients of `_opaque`; the forward pass is made again."""
    leaves = [t.detach().requires_grad_() for t in (scores, weights, start, final)]
    lasting = None if durations is None else durations.detach().requires_grad_()
    with torch.enable_grad():
        arcs = Arcs(pdf, predecessors, *leaves[1:])
        total = likelihood(Potentials(arcs, leaves[0], lasting), lengths, kernel)
        wanted = leaves if lasting is None else [*leaves, lasting]
        found = torch.autograd.grad(total, wanted, gradient, allow_unused=True)
    return [torch.zeros_like(w) if g is None else g.contiguous() for w, g in zip(wanted, found, strict=True)]


@_gradients.register_fake
def _(
    gradient: Tensor,
    scores: Tensor,
    weights: Tensor,
    start: Tensor,
    final: Tensor,
    durations: Tensor | None,
    *others: Any,
) -> list[Tensor]:
    wanted = [scores, weights, start, final] + ([] if durations is None else [durations])
    return [torch.empty(w.shape, dtype=w.dtype, device=w.device) for w in wanted]


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.kernel = inputs[-1]
    ctx.save_for_backward(*inputs[:-1])


def _differentiate(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    found = _gradients(gradient, *ctx.saved_tensors, ctx.kernel)
    return (*found, *(None,) * (9 - len(found)))


_opaque.register_autograd(_differentiate, setup_context=_keep)
