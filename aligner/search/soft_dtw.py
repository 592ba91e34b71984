"""Soft dynamic time warping: a minimum over all paths that can be differentiated.

Cuturi & Blondel 2017, "Soft-DTW: a differentiable loss function for time-series".  Shapes are those of
`aligner.search.dtw`; steps are of one frame in either or in both, all of weight 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from aligner.search.arcs import chosen_kernel, precise, within
from aligner.search.dtw import NoWarping, checked_costs, skewed
from aligner.search.fitting import kernel_module
from aligner.search.forward_backward import logsumexp


def soft_dtw(cost: Tensor, lengths: Tensor | None = None, gamma: float = 1.0, kernel: str = "auto") -> Tensor:
    """Soft minimum of what all paths cost: -gamma log(sum of exp(-cost of path / gamma)); differentiable.

    Its gradient is the share of paths that pass each cell, each path weighed by exp(-its cost / gamma): the
    expected alignment.  As gamma tends to 0, it tends to the cost of `aligner.search.dtw.dtw`.  It may be
    below 0.

    Parameters
    ----------
    cost : Tensor
        (B, T, U) costs (`aligner.search.dtw.distances` of features); inf for cells that no path may visit.
    lengths : Tensor, optional
        (B, 2) rows and columns of each pair; all of them unless given.
    gamma : float
        Above 0, in the unit of the costs.
    kernel : {'auto', 'numba', 'triton', 'reference'}
        'auto' takes numba on the CPU and triton on CUDA; only the reference can be differentiated twice.

    Returns
    -------
    Tensor
        (B,)

    Raises
    ------
    NoPath
        If every path of a pair meets an infinite cost.
    ValueError
        If shapes do not fit, gamma is not above 0, a NaN or -inf is among the costs, or the kernel does not
        run on their device.

    Examples
    --------
    Three paths, of costs 2, 3 and 3:

    >>> cost = torch.tensor([[[1.0, 1.0], [1.0, 1.0]]], requires_grad=True)
    >>> soft = soft_dtw(cost)
    >>> round(-float(np.log(np.exp(-2) + 2 * np.exp(-3))), 4) == round(soft.item(), 4)
    True
    >>> soft.sum().backward()
    >>> cost.grad[0, 0, 1].item() == cost.grad[0, 1, 0].item()
    True
    """
    counts = checked_costs(cost, lengths)
    if not 0 < gamma < np.inf:
        raise ValueError(f"gamma {gamma}; a number above 0 is needed")
    name = chosen_kernel(kernel, cost.device)
    cost = precise(cost)
    if name == "reference":
        total = reference(cost, counts, gamma)
    else:
        apply: Any = _SoftDTW.apply  # some releases of torch give it a type
        total = apply(cost, counts, gamma, name)
    lost = torch.nonzero(total.detach() == torch.inf).flatten().tolist()
    if lost:
        raise NoWarping(lost)
    return total


def reference(cost: Tensor, lengths: Tensor, gamma: float) -> Tensor:
    """`soft_dtw` in plain torch, on any device, in the floating type of ``cost``: anti-diagonal by
    anti-diagonal.
    """
    rows, columns = (within(n, size, cost.device) for n, size in zip(lengths.T, cost.shape[1:], strict=True))
    weighed = skewed(torch.where(rows[:, :, None] & columns[:, None], cost, torch.inf))
    batch, diagonals, _ = weighed.shape
    outside = weighed.new_full((batch, 1), torch.inf)
    totals = [weighed[:, 0]]
    for k in range(1, diagonals):
        corner = totals[k - 2] if k > 1 else torch.full_like(weighed[:, 0], torch.inf)
        above, left = totals[k - 1][:, :-1], totals[k - 1]
        before = torch.stack(
            [torch.cat([outside, corner[:, :-1]], 1), torch.cat([outside, above], 1), left], 2
        )
        totals.append(weighed[:, k] - gamma * logsumexp(-before / gamma))
    last = lengths.to(cost.device) - 1
    return torch.stack(totals, 1)[torch.arange(batch, device=cost.device), last.sum(1), last[:, 0]]


class _SoftDTW(torch.autograd.Function):
    """The kernels' forward pass, with the expected alignment as its gradient."""

    @staticmethod
    def forward(ctx: Any, cost: Tensor, lengths: Tensor, gamma: float, name: str) -> Tensor:
        totals, found = kernel_module("dtw_soft", name).forward(cost, lengths, gamma)
        ctx.save_for_backward(cost)  # torch then says so if it is changed in between
        ctx.rest = lengths, gamma, name, totals
        return found.to(cost.dtype)  # type: ignore[no-any-return]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        lengths, gamma, name, totals = ctx.rest
        [cost] = ctx.saved_tensors
        expected = kernel_module("dtw_soft", name).backward(cost, lengths, gamma, totals)
        return (expected * gradients[0][:, None, None]).to(gradients[0]), None, None, None
