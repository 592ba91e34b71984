"""Gaussian mixtures with shared codebooks, scored as matrix products.

One class serves the three kinds that speech models come in: a codebook per pdf (continuous), one
per phone (phonetically tied) or one for all (semi-continuous).  A pdf's log-likelihood is

    sum over streams of log(sum over m of weight[m] * Normal(x; mean[m], variance[m]))

with diagonal variances (Huang, Acero, Hon, *Spoken Language Processing*, 2001, 8.3 and 9.5).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

BLOCK = 128  # frames; a block's (frames, codebooks, densities) then stays in the cache of a core
SMALLEST = torch.finfo(torch.float32).tiny


@dataclass(frozen=True)
class Stream:
    """One stream's parameters, ready for a matrix product.

    Attributes
    ----------
    columns : slice
        Its columns among the features.
    quadratic : Tensor
        (C, 2 * D, M): per codebook the coefficients of x squared and of x.
    constant : Tensor
        (C, M): what does not depend on x.
    weights : Tensor
        (pdfs, M): mixture weights, not logarithms.
    """

    columns: slice
    quadratic: Tensor
    constant: Tensor
    weights: Tensor

    @classmethod
    def of(cls, columns: slice, means: Tensor, variances: Tensor, weights: Tensor) -> Stream:
        """From means and variances (C, M, D) and weights (pdfs, M)."""
        precision = 1.0 / variances
        quadratic = torch.cat([-0.5 * precision, means * precision], 2).transpose(1, 2)
        constant = -0.5 * (means.square() * precision + variances.log() + math.log(2 * math.pi)).sum(2)
        return cls(columns, quadratic.contiguous(), constant, weights)


@dataclass(frozen=True)
class Selection:
    """The parameters that a set of pdfs uses, gathered: C codebooks with up to N of the pdfs each.

    Per stream ``quadratic`` (2 * D, C * M), ``constant`` (C * M,) and ``weights`` (C, N, M);
    ``slots`` (P,) says where in C x N each pdf asked for ended up.
    """

    quadratic: tuple[Tensor, ...]
    constant: tuple[Tensor, ...]
    weights: tuple[Tensor, ...]
    slots: Tensor


@dataclass(frozen=True)
class GaussianMixtures:
    """The pdfs of a model.

    Attributes
    ----------
    streams : tuple of Stream
    codebook : ndarray
        (pdfs,): the codebook that each pdf draws on.
    """

    streams: tuple[Stream, ...]
    codebook: np.ndarray

    @classmethod
    def of(cls, means: Sequence[np.ndarray], variances: Sequence[np.ndarray], weights: Sequence[np.ndarray],
           codebook: np.ndarray) -> GaussianMixtures:
        """From lists over streams: means and variances (C, M, D), weights (pdfs, M)."""
        streams, first = [], 0
        for mean, variance, weight in zip(means, variances, weights, strict=True):
            columns = slice(first, first + mean.shape[2])
            tensors = (torch.from_numpy(np.ascontiguousarray(a, dtype=np.float32)) for a in (mean, variance, weight))
            streams.append(Stream.of(columns, *tensors))
            first = columns.stop
        return cls(tuple(streams), codebook)

    def select(self, pdfs: np.ndarray) -> Selection:
        """Gather what ``pdfs`` need, grouped by codebook."""
        books, group = np.unique(self.codebook[pdfs], return_inverse=True)
        order = np.argsort(group, kind="stable")
        sizes = np.bincount(group, minlength=len(books))
        place = np.empty(len(pdfs), np.int64)  # the how-maniest of its codebook each pdf is
        place[order] = np.arange(len(pdfs)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        slots = group * sizes.max() + place
        members = np.zeros(len(books) * sizes.max(), np.int64)
        members[slots] = pdfs
        chosen, filled = torch.from_numpy(books), torch.from_numpy(members)
        quadratic, constant, weights = [], [], []
        for s in self.streams:
            quadratic.append(s.quadratic[chosen].transpose(0, 1).reshape(s.quadratic.shape[1], -1))
            constant.append(s.constant[chosen].reshape(-1))
            weights.append(s.weights[filled].reshape(len(books), sizes.max(), -1))
        return Selection(tuple(quadratic), tuple(constant), tuple(weights), torch.from_numpy(slots))

    def score(self, frames: Tensor, pdfs: np.ndarray) -> Tensor:
        """Log-likelihoods, shape (T, P), of ``frames`` (T, D) under ``pdfs``, float32."""
        chosen = self.select(pdfs)
        result = torch.empty(len(frames), len(chosen.slots))
        for start in range(0, len(frames), BLOCK):
            result[start:start + BLOCK] = self._block(frames[start:start + BLOCK], chosen)
        return result

    def _block(self, frames: Tensor, chosen: Selection) -> Tensor:
        """`score` of a few frames: per stream one product for the Gaussians, one for the mixtures."""
        total = torch.zeros(())
        for k, stream in enumerate(self.streams):
            books, _, densities = chosen.weights[k].shape
            x = frames[:, stream.columns]
            gaussians = torch.addmm(chosen.constant[k], torch.cat([x.square(), x], 1), chosen.quadratic[k])
            gaussians = gaussians.view(len(x), books, densities)
            best = gaussians.amax(2, keepdim=True)  # of the logarithms: the largest exponential is then 1
            mixed = torch.bmm(chosen.weights[k], gaussians.sub_(best).exp_().permute(1, 2, 0))  # (C, N, T)
            total = total + mixed.clamp_(min=SMALLEST).log_() + best.permute(1, 2, 0)
        return total.flatten(0, 1)[chosen.slots].T

    def score_naively(self, frames: Tensor, pdfs: np.ndarray) -> Tensor:
        """The formula at the top of this page as it stands, in float64: the yardstick of `score`."""
        books = torch.from_numpy(self.codebook[pdfs])
        total = torch.zeros(len(frames), len(books), dtype=torch.float64)
        for s in self.streams:
            x = frames[:, s.columns].double()
            half, linear = s.quadratic[books].double().chunk(2, 1)
            gaussians = (torch.einsum("td,pdm->tpm", x.square(), half) + torch.einsum("td,pdm->tpm", x, linear)
                         + s.constant[books].double())
            total += torch.logsumexp(gaussians + s.weights[torch.from_numpy(pdfs)].double().log(), 2)
        return total
