"""Sums over all paths of a graph: log Z, and the posteriors of states and arcs.

`reference` is the recursion as the textbooks have it (Rabiner 1989, eqs. 18-38), in torch and
differentiable; the kernels must give the same numbers to rounding.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from aligner.search.arcs import Arcs, check, chosen_kernel, precise, require_paths, within
from aligner.search.fitting import kernel_module


class Posteriors(NamedTuple):
    """What the frames say about states and arcs."""

    log_z: Tensor
    """(B,): log of the sum of the weights of all paths."""
    states: Tensor
    """(B, T, S): probability of each state in each frame; 0 beyond an utterance's length."""
    arcs: Tensor
    """(B, U, S, K): probability of each arc into each frame; added up over frames where U is 1."""


def log_partition(arcs: Arcs, scores: Tensor, lengths: Tensor | None = None, kernel: str = "auto") -> Tensor:
    """log Z of each utterance, differentiable in the scores and in all weights.

    Its gradient with respect to a state's score is the posterior of the state in that frame, and
    with respect to an arc's weight the posterior of the arc.

    Parameters
    ----------
    arcs : Arcs
    scores : Tensor
        (B, T, P) log-likelihoods.
    lengths : Tensor, optional
        (B,) frames of each utterance.
    kernel : {'auto', 'numba', 'triton', 'reference'}

    Returns
    -------
    Tensor
        (B,)

    Raises
    ------
    NoPath, ValueError
        As `aligner.search.viterbi.viterbi`.

    Examples
    --------
    >>> arcs = Arcs.dense(torch.tensor([[0.5, 0.5], [0.5, 0.5]]).log(), torch.tensor([0.5, 0.5]).log())
    >>> log_partition(arcs, torch.zeros(1, 3, 2)).abs().lt(1e-6).item()
    True
    """
    scores = precise(scores)
    lengths = check(arcs, scores, lengths)
    name = chosen_kernel(kernel, scores.device)
    arcs = arcs.to(scores)
    if name == "reference":
        total = reference(arcs, scores, lengths)
    else:
        apply: Any = _LogPartition.apply  # some releases of torch give it a type
        total = apply(scores, arcs.weights, arcs.start, arcs.final, arcs, lengths, name)
    require_paths(total)
    return total


def forward_backward(
    arcs: Arcs, scores: Tensor, lengths: Tensor | None = None, kernel: str = "auto"
) -> Posteriors:
    """log Z and the posteriors; parameters and errors as `log_partition`, without gradients.

    Examples
    --------
    >>> arcs = Arcs.dense(torch.tensor([[0.5, 0.5], [0.0, 1.0]]).log(), torch.tensor([1.0, 0.0]).log())
    >>> forward_backward(arcs, torch.zeros(1, 2, 2)).states
    tensor([[[1.0000, 0.0000],
             [0.5000, 0.5000]]])
    """
    scores = precise(scores)
    lengths = check(arcs, scores, lengths)
    name = chosen_kernel(kernel, scores.device)
    arcs, scores = arcs.to(scores).detached(), scores.detach()
    found = (
        _posteriors_of_reference(arcs, scores, lengths)
        if name == "reference"
        else _run(name, arcs, scores, lengths)
    )
    require_paths(found.log_z)
    return found


def reference(arcs: Arcs, scores: Tensor, lengths: Tensor) -> Tensor:
    """`log_partition` in plain torch, on any device, in the floating type of ``scores``."""
    real = within(lengths, scores.shape[1], scores.device)
    emitted = arcs.emitted(scores)
    alpha = arcs.start + emitted[:, 0]
    for t in range(1, scores.shape[1]):
        alpha = torch.where(real[:, t, None], logsumexp(arcs.arriving(alpha, t)) + emitted[:, t], alpha)
    return logsumexp(alpha + arcs.final)


def logsumexp(values: Tensor) -> Tensor:
    """log of the sum of exp over the last dimension; its gradient is 0, not NaN, where all is -inf."""
    most = values.detach().amax(-1, keepdim=True)
    most = torch.where(most == -torch.inf, 0, most)
    total = (values - most).exp().sum(-1)
    return torch.where(total > 0, torch.where(total > 0, total, 1).log() + most.squeeze(-1), -torch.inf)


def _posteriors_of_reference(arcs: Arcs, scores: Tensor, lengths: Tensor) -> Posteriors:
    """The posteriors, by the gradient of the reference."""
    with torch.enable_grad():
        emitted = arcs.emitted(scores).requires_grad_()
        batch = len(scores)
        weights = arcs.weights.expand(batch, -1, -1, -1).clone().requires_grad_()
        own = torch.arange(arcs.states, dtype=torch.int32, device=scores.device)[None]
        total = reference(Arcs(own, arcs.predecessors, weights, arcs.start, arcs.final), emitted, lengths)
        states, crossed = torch.autograd.grad(total.sum(), (emitted, weights), allow_unused=True)
    return Posteriors(total.detach(), states, torch.zeros_like(weights) if crossed is None else crossed)


def _run(name: str, arcs: Arcs, scores: Tensor, lengths: Tensor) -> Posteriors:
    """Forward and backward by a kernel."""
    kernel = kernel_module("logsum", name).Passes(arcs, scores, lengths)
    total = kernel.forward(True)
    states, crossed = kernel.backward(total)
    return Posteriors(total.to(scores.dtype), states, crossed)


class _LogPartition(torch.autograd.Function):
    """The kernels' forward algorithm, with the posteriors as its gradient."""

    @staticmethod
    def forward(
        ctx: Any,
        scores: Tensor,
        weights: Tensor,
        start: Tensor,
        final: Tensor,
        arcs: Arcs,
        lengths: Tensor,
        name: str,
    ) -> Tensor:
        kernel = kernel_module("logsum", name).Passes(arcs.detached(), scores.detach(), lengths)
        total = kernel.forward(any(ctx.needs_input_grad))
        # torch then says so if they are changed in between
        ctx.save_for_backward(scores, weights, start, final)
        ctx.kernel, ctx.total, ctx.arcs, ctx.lengths = kernel, total, arcs, lengths
        return total.to(scores.dtype)  # type: ignore[no-any-return]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        refuse_second_derivatives()
        scores = ctx.saved_tensors[0]
        states, crossed = ctx.kernel.backward(ctx.total)
        return (
            *gradients_of(
                arcs=ctx.arcs,
                scores=scores,
                lengths=ctx.lengths,
                gradient=gradients[0].to(states),
                states=states,
                crossed=crossed,
            ),
            None,
            None,
            None,
        )


def refuse_second_derivatives() -> None:
    """Raise where a gradient is to be differentiated again: the kernels give numbers, not a graph."""
    if torch.is_grad_enabled():
        raise RuntimeError("log Z can be differentiated twice only with kernel='reference'")


def gradients_of(
    arcs: Arcs, scores: Tensor, lengths: Tensor, gradient: Tensor, states: Tensor, crossed: Tensor
) -> tuple[Tensor, ...]:
    """Gradients of log Z with respect to scores, arcs' weights, start and final, by the chain rule.

    From that with respect to log Z (B,), and the posteriors of states (B, T, S) and arcs (B, U, S, K).
    """
    states, crossed = states * gradient[:, None, None], crossed * gradient[:, None, None, None]
    columns = arcs.pdf.long()[:, None].expand_as(states)
    back = torch.zeros(scores.shape, dtype=states.dtype, device=scores.device).scatter_add_(
        2, columns, states
    )
    last = states[torch.arange(len(states), device=states.device), lengths.to(states.device) - 1]
    sums = (shared_sum(v, len(arcs.pdf)) for v in (crossed, states[:, 0], last))
    return tuple(v.to(scores) for v in (back, *sums))


def shared_sum(values: Tensor, graphs: int) -> Tensor:
    """Values added up over the batch where it shares one graph."""
    return values.sum(0, keepdim=True) if graphs == 1 else values
