"""Paths whose states say how long they last: segments with explicit durations.

A path is a sequence of segments (state, number of frames); it weighs the sum of its frames' scores,
its arcs' weights and its durations' weights (Ostendorf, Digalakis and Kimball 1996, *From HMM's to
segment models*; Yu 2010, *Hidden semi-Markov models*).  An arc leads from the end of one segment to
the beginning of the next, so that a self-loop is a new segment of the same state.

The weights of durations are (G, V, S, D): row d - 1 for d frames.  V is 1, or T: row v is then for
segments whose last frame is v, and the durations' weights are any segment's score whatever.

The references sum the scores of every segment anew, in torch and differentiable; the kernels must
give the same.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from aligner.search.arcs import Arcs, check, chosen_kernel, precise, require_paths
from aligner.search.fitting import kernel_module
from aligner.search.forward_backward import gradients_of, logsumexp, refuse_second_derivatives, shared_sum

LOWEST_SCORE = -1e10  # of a finite score: float64 then cumulates to a few millionths
LONGEST_SEGMENT = 2**16 - 1  # frames of a segment: the kernel keeps durations in 16 bits


class Segments(NamedTuple):
    """The best segmentation of each utterance."""

    states: Tensor
    """(B, T) int64: the state of each frame; -1 beyond an utterance's length."""
    begins: Tensor
    """(B, T) bool: whether a segment begins at the frame."""
    score: Tensor
    """(B,): log weight of frames, arcs and durations together."""


class SegmentPosteriors(NamedTuple):
    """What the frames say about segments."""

    log_z: Tensor
    """(B,): log of the sum of the weights of all segmentations."""
    states: Tensor
    """(B, T, S): probability of each state in each frame; 0 beyond an utterance's length."""
    arcs: Tensor
    """(B, U, S, K): probability of each arc; added up over frames where U is 1."""
    durations: Tensor
    """(B, V, S, D): probability of a segment of each length; added up over ends where V is 1."""


def segmental_viterbi(
    arcs: Arcs, scores: Tensor, durations: Tensor, lengths: Tensor | None = None, kernel: str = "auto"
) -> Segments:
    """The best segmentation of each utterance.

    Parameters
    ----------
    arcs : Arcs
    scores : Tensor
        (B, T, P) log-likelihoods of frames.
    durations : Tensor
        (G, V, S, D) log weights of segments; see the top of this page.
    lengths : Tensor, optional
        (B,) frames of each utterance.
    kernel : {'auto', 'numba', 'triton', 'reference'}

    Returns
    -------
    Segments

    Raises
    ------
    NoPath, ValueError
        As `aligner.search.viterbi.viterbi`.

    Examples
    --------
    Two states, one after the other, and the second may last no longer than two frames:

    >>> arcs = Arcs.dense(torch.tensor([[0.0, 1.0], [0.0, 0.0]]).log(), torch.tensor([1.0, 0.0]).log())
    >>> durations = torch.tensor([[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 0.0, 0.0]]).log()[None, None]
    >>> scores = torch.tensor([[[0.0, 0.0], [-1.0, 0.0], [-1.0, 0.0], [-1.0, 0.0]]])
    >>> segmental_viterbi(arcs, scores, durations).states.tolist()
    [[0, 0, 1, 1]]
    """
    scores = precise(scores)
    lengths = _check(arcs, scores, durations, lengths)
    name = chosen_kernel(kernel, scores.device)
    arcs, scores, durations = arcs.to(scores).detached(), scores.detach(), durations.detach().to(scores)
    if name == "reference":
        found = best_reference(arcs, scores, durations, lengths)
    else:
        best_segments = kernel_module("segmental", name).best_segments
        found = Segments(*best_segments(arcs, scores, durations, lengths))
    require_paths(found.score)
    return found


def segmental_log_partition(
    arcs: Arcs, scores: Tensor, durations: Tensor, lengths: Tensor | None = None, kernel: str = "auto"
) -> Tensor:
    """log Z of each utterance (B,), differentiable in scores, durations and all weights.

    Parameters and errors as `segmental_viterbi`.
    """
    scores = precise(scores)
    lengths = _check(arcs, scores, durations, lengths)
    name = chosen_kernel(kernel, scores.device)
    arcs, durations = arcs.to(scores), durations.to(scores)
    if name == "reference":
        total = reference(arcs, scores, durations, lengths)
    else:
        apply: Any = _LogPartition.apply  # some releases of torch give it a type
        total = apply(scores, arcs.weights, arcs.start, arcs.final, durations, arcs, lengths, name)
    require_paths(total)
    return total


def segmental_forward_backward(
    arcs: Arcs, scores: Tensor, durations: Tensor, lengths: Tensor | None = None, kernel: str = "auto"
) -> SegmentPosteriors:
    """log Z and the posteriors; parameters and errors as `segmental_viterbi`, without gradients."""
    scores = precise(scores)
    lengths = _check(arcs, scores, durations, lengths)
    name = chosen_kernel(kernel, scores.device)
    arcs, scores, durations = arcs.to(scores).detached(), scores.detach(), durations.detach().to(scores)
    if name == "reference":
        found = _posteriors_of_reference(arcs, scores, durations, lengths)
    else:
        passes = kernel_module("segmental", name).Passes(arcs, scores, durations, lengths)
        total = passes.forward()
        found = SegmentPosteriors(total.to(scores.dtype), *passes.backward(total))
    require_paths(found.log_z)
    return found


def reference(arcs: Arcs, scores: Tensor, durations: Tensor, lengths: Tensor) -> Tensor:
    """`segmental_log_partition` in plain torch, on any device, in the floating type of ``scores``."""
    ends = [logsumexp(e) for e in _segments(arcs, scores, durations, lambda x: logsumexp(x))]
    return _last(torch.stack(ends, 1) + arcs.final[:, None], lengths, logsumexp)


def best_reference(arcs: Arcs, scores: Tensor, durations: Tensor, lengths: Tensor) -> Segments:
    """`segmental_viterbi` in plain torch, on any device, in the floating type of ``scores``."""
    over = list(_segments(arcs, scores, durations, lambda x: x.amax(-1)))
    ends = torch.stack([e.amax(-1) for e in over], 1)
    score = _last(ends + arcs.final[:, None], lengths, lambda x: x.amax(-1))
    states = torch.full(scores.shape[:2], -1, device=scores.device)
    begins = torch.zeros_like(states, dtype=torch.bool)
    before = arcs.predecessors.long().expand(len(scores), -1, -1)
    for b, t in enumerate(lengths.tolist()):
        if score[b] == -torch.inf:
            continue
        state = int((ends[b, t - 1] + arcs.final.expand(len(scores), -1)[b]).argmax())
        while t > 0:
            first = t - 1 - int(over[t - 1][b, state].argmax())
            states[b, first:t], begins[b, first] = state, True
            if first > 0:
                state = int(before[b, state, arcs.arriving(ends[:, first - 1], first)[b, state].argmax()])
            t = first
    return Segments(states, begins, score)


def _segments(arcs: Arcs, scores: Tensor, durations: Tensor, join: Any) -> Any:
    """For each t from 1, weights (B, S, D) of all that ends with a segment of d frames before frame t."""
    emitted = arcs.emitted(scores)
    batch, frames, states = emitted.shape
    longest = durations.shape[3]
    begun = [arcs.start.expand(batch, -1)]  # weights of all that leads to a beginning at frame 0, 1, ...
    sums = torch.full((batch, states, longest), -torch.inf, dtype=scores.dtype, device=scores.device)
    for t in range(1, frames + 1):
        now = emitted[:, t - 1, :, None]
        sums = torch.cat([now, sums[..., :-1] + now], 2)  # of the last d frames
        some = min(t, longest)
        opened = torch.stack(begun[t - some : t][::-1], 2)
        weights = durations[:, t - 1 if durations.shape[1] > 1 else 0, :, :some]
        ends = opened + sums[..., :some] + weights
        yield ends
        if t < frames:
            begun.append(join(arcs.arriving(join(ends), t)))


def _last(ends: Tensor, lengths: Tensor, join: Any) -> Tensor:
    """What ``ends`` (B, T, S) joins to at each utterance's last frame."""
    each = torch.arange(len(ends), device=ends.device)
    return join(ends[each, lengths.to(ends.device) - 1])  # type: ignore[no-any-return]


def _posteriors_of_reference(
    arcs: Arcs, scores: Tensor, durations: Tensor, lengths: Tensor
) -> SegmentPosteriors:
    """The posteriors, by the gradient of the reference."""
    with torch.enable_grad():
        emitted = arcs.emitted(scores).requires_grad_()
        batch = len(scores)
        weights, spans = (
            v.expand(batch, -1, -1, -1).clone().requires_grad_() for v in (arcs.weights, durations)
        )
        own = torch.arange(arcs.states, dtype=torch.int32, device=scores.device)[None]
        total = reference(
            Arcs(own, arcs.predecessors, weights, arcs.start, arcs.final), emitted, spans, lengths
        )
        states, crossed, lasted = torch.autograd.grad(
            total.sum(), (emitted, weights, spans), allow_unused=True
        )
    return SegmentPosteriors(
        total.detach(), states, torch.zeros_like(weights) if crossed is None else crossed, lasted
    )


def _check(arcs: Arcs, scores: Tensor, durations: Tensor, lengths: Tensor | None) -> Tensor:
    """Check as `aligner.search.arcs.check` does, and that the durations fit."""
    lengths = check(arcs, scores, lengths)
    if (
        durations.ndim != 4
        or durations.shape[0] not in (1, len(scores))
        or durations.shape[1] not in (1, scores.shape[1])
        or durations.shape[2] != arcs.states
        or not 1 <= durations.shape[3] <= LONGEST_SEGMENT
    ):
        raise ValueError(
            f"durations of shape {tuple(durations.shape)}; (1 or {len(scores)}, 1 or {scores.shape[1]}, "
            f"{arcs.states}, 1 to {LONGEST_SEGMENT}) is needed"
        )
    if bool((torch.isnan(durations) | (durations == torch.inf)).any()):
        raise ValueError("NaN or +inf among the durations' weights")
    if bool(((scores < LOWEST_SCORE) & (scores > -torch.inf)).any()):
        raise ValueError(
            f"scores below {LOWEST_SCORE:g}: cumulated, they would swallow all others; -inf means impossible"
        )
    return lengths


class _LogPartition(torch.autograd.Function):
    """The kernels' forward pass, with the posteriors as its gradient."""

    @staticmethod
    def forward(
        ctx: Any,
        scores: Tensor,
        weights: Tensor,
        start: Tensor,
        final: Tensor,
        durations: Tensor,
        arcs: Arcs,
        lengths: Tensor,
        name: str,
    ) -> Tensor:
        kernels = kernel_module("segmental", name)
        passes = kernels.Passes(arcs.detached(), scores.detach(), durations.detach(), lengths)
        total = passes.forward()
        ctx.save_for_backward(scores, weights, start, final, durations)
        ctx.passes, ctx.total, ctx.arcs, ctx.lengths = passes, total, arcs, lengths
        ctx.spans = durations.shape
        return total.to(scores.dtype)  # type: ignore[no-any-return]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        refuse_second_derivatives()
        scores = ctx.saved_tensors[0]
        states, crossed, spans = ctx.passes.backward(ctx.total)
        gradient = gradients[0].to(states)
        return (
            *gradients_of(
                arcs=ctx.arcs,
                scores=scores,
                lengths=ctx.lengths,
                gradient=gradient,
                states=states,
                crossed=crossed,
            ),
            shared_sum(spans * gradient[:, None, None, None], ctx.spans[0]).to(scores),
            None,
            None,
            None,
        )
