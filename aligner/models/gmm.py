"""Gaussian mixtures, scored as matrix products.

One class serves the three kinds that speech models come in: a codebook per pdf (continuous), one
per phone (phonetically tied) or one for all (semi-continuous).  A pdf's log-likelihood is

    sum over streams of log(sum over m of weight[m] * Normal(x; mean[m], covariance[m]))

with diagonal or full covariances (Huang, Acero, Hon, *Spoken Language Processing*, 2001, 8.3 and 9.5).

C codebooks of M Gaussians over D dimensions; n frames.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

BLOCK_FRAMES = 256  # frames to score at once
BLOCK_NUMBERS = 2**17  # intermediate numbers up to which a block has more frames than that
LARGEST_BLOCK_NUMBERS = 2**20  # numbers in a block at most: with full covariances blocks are shorter
LEAST_FLOAT = torch.finfo(torch.float32).tiny
# log2 density against the best of a mixture; below, exponentials are denormals, which are slow
LEAST_DENSITY_BITS = -115.0
LN2 = math.log(2.0)  # mixtures are summed in base 2, for exp2 takes a third of the time of exp
PDF_MULTIPLE = 8  # pdfs of a codebook are padded to a multiple of it


class Gaussians(Protocol):
    """C x M Gaussians, laid out for a product with frames."""

    @property
    def constant(self) -> Tensor:
        """Terms (C, M) of the log densities that do not depend on x."""
        ...

    @property
    def numbers(self) -> int:
        """Intermediate numbers that the product makes for every frame."""
        ...

    def take(self, books: Tensor, densities: int | None = None) -> Gaussians:
        """Select some codebooks, and the first ``densities`` Gaussians of each."""
        ...

    def transposed(self) -> Gaussians:
        """Transpose to M x C Gaussians."""
        ...

    def in_bits(self) -> Gaussians:
        """Scale the log densities to base 2."""
        ...

    def __call__(self, x: Tensor, room: Tensor | None = None) -> Tensor:
        """Log densities (n, C, M) of ``x`` (n, D), in the parameters' floating type even under autocast.

        ``room`` is memory for so many numbers: fresh memory costs as much time as the product.
        """
        ...


class Diagonal(NamedTuple):
    """Gaussians with diagonal covariances: one product with x squared and x.

    In float32 it loses digits where means lie hundreds of standard deviations apart (0.1 in the logarithm for
    means of 100 and a variance of 0.01); `Full` does not.

    Examples
    --------
    >>> standard = Diagonal.of(torch.zeros(1, 1, 2), torch.ones(1, 1, 2))
    >>> standard(torch.zeros(1, 2)).add(math.log(2 * math.pi)).abs().lt(1e-6).item()
    True
    """

    center: Tensor
    """(D,): subtracted from frames first; squares of large numbers would swallow small differences."""
    quadratic: Tensor
    """(C, M, 2 * D): coefficients of x squared and of x."""
    constant: Tensor
    """(C, M): the terms of the log density that do not depend on x."""

    @classmethod
    def of(cls, means: Tensor, variances: Tensor) -> Diagonal:
        """Lay out means and variances (C, M, D); differentiable in both."""
        center = means.detach().mean((0, 1))
        centered, precision = means - center, 1.0 / variances
        quadratic = torch.cat([-0.5 * precision, centered * precision], 2)
        constant = -0.5 * (centered.square() * precision + variances.log() + math.log(2 * math.pi)).sum(2)
        return cls(center, quadratic, constant)

    @property
    def numbers(self) -> int:
        """Intermediate numbers that the product makes for every frame."""
        return self.constant.numel()

    def take(self, books: Tensor, densities: int | None = None) -> Diagonal:
        """Select some codebooks, and the first ``densities`` Gaussians of each."""
        books = books.to(self.constant.device)
        return Diagonal(
            self.center,
            self.quadratic.index_select(0, books)[:, :densities],
            self.constant.index_select(0, books)[:, :densities],
        )

    def transposed(self) -> Diagonal:
        """Transpose to M x C Gaussians."""
        return Diagonal(
            self.center, self.quadratic.transpose(0, 1).contiguous(), self.constant.T.contiguous()
        )

    def in_bits(self) -> Diagonal:
        """Scale the log densities to base 2."""
        return Diagonal(self.center, self.quadratic / LN2, self.constant / LN2)

    def __call__(self, x: Tensor, room: Tensor | None = None) -> Tensor:
        """Log densities (n, C, M) of ``x`` (n, D)."""
        out = None if room is None else room[: len(x) * self.numbers].view(len(x), -1)
        with torch.autocast(x.device.type, enabled=False):
            x = x.to(self.center.dtype) - self.center
            powers = torch.cat([x.square(), x], 1)
            product = torch.addmm(self.constant.flatten(), powers, self.quadratic.flatten(0, 1).T, out=out)
            return product.view(len(x), *self.constant.shape)


class Full(NamedTuple):
    """Gaussians with full covariances: one product takes the frames to where each covariance is the identity.

    (The coefficients of all x[i] * x[j] would be a product, too, but their sum loses digits where a
    covariance is nearly singular.)

    Examples
    --------
    >>> standard = Full.of(torch.zeros(1, 1, 2), torch.eye(2)[None, None])
    >>> standard(torch.zeros(1, 2)).add(math.log(2 * math.pi)).abs().lt(1e-6).item()
    True
    """

    whitening: Tensor
    """(D, C, M, D): inverse Cholesky factors."""
    shift: Tensor
    """(C, M, D): the whitened means."""
    constant: Tensor
    """(C, M): the terms of the log density that do not depend on x."""

    @classmethod
    def of(cls, means: Tensor, covariances: Tensor) -> Full:
        """Lay out means (C, M, D) and covariances (C, M, D, D); differentiable in both."""
        return cls.of_cholesky(means, torch.linalg.cholesky(covariances))

    @classmethod
    def of_cholesky(cls, means: Tensor, factors: Tensor) -> Full:
        """Lay out means (C, M, D) and the covariances' lower Cholesky factors (C, M, D, D)."""
        identity = torch.eye(means.shape[2], dtype=means.dtype, device=means.device)
        inverse = torch.linalg.solve_triangular(factors, identity.expand_as(factors), upper=False)
        shift = (inverse @ means[..., None]).squeeze(3)
        determinant = factors.diagonal(dim1=2, dim2=3).log().sum(2)
        constant = -0.5 * means.shape[2] * math.log(2 * math.pi) - determinant
        return cls(inverse.permute(3, 0, 1, 2).contiguous(), shift, constant)

    @property
    def numbers(self) -> int:
        """Intermediate numbers that the product makes for every frame."""
        return self.shift.numel()

    def take(self, books: Tensor, densities: int | None = None) -> Full:
        """Select some codebooks, and the first ``densities`` Gaussians of each."""
        return Full(
            self.whitening[:, books, :densities],
            self.shift[books, :densities],
            self.constant[books, :densities],
        )

    def transposed(self) -> Full:
        """Transpose to M x C Gaussians."""
        return Full(
            self.whitening.transpose(1, 2).contiguous(),
            self.shift.transpose(0, 1).contiguous(),
            self.constant.T.contiguous(),
        )

    def in_bits(self) -> Full:
        """Scale the log densities to base 2."""
        root = math.sqrt(LN2)  # distances are squared
        return Full(self.whitening / root, self.shift / root, self.constant / LN2)

    def __call__(self, x: Tensor, room: Tensor | None = None) -> Tensor:
        """Log densities (n, C, M) of ``x`` (n, D)."""
        out = None if room is None else room[: len(x) * self.numbers].view(len(x), -1)
        with torch.autocast(x.device.type, enabled=False):
            whitened = torch.addmm(
                -self.shift.flatten(), x.to(self.shift.dtype), self.whitening.flatten(1), out=out
            )
            return self.constant - 0.5 * whitened.view(len(x), *self.shift.shape).square().sum(3)


def _multiply(weights: Tensor, shares: Tensor, out: Tensor) -> None:
    """Batched product into memory that is there already; in the lower precision under autocast."""
    if torch.is_autocast_enabled(out.device.type):
        out.copy_(torch.bmm(weights, shares))
    else:
        torch.bmm(weights, shares, out=out)


def _rows(table: Tensor, rows: np.ndarray) -> Tensor:
    """Select rows of a table; faster than indexing with brackets."""
    return table.index_select(0, torch.from_numpy(rows).to(table.device))


def _number_within(groups: np.ndarray) -> np.ndarray:
    """Number of each element within its group, in order: (n,) -> (n,) int64."""
    order = np.argsort(groups, kind="stable")
    sizes = np.bincount(groups)
    number = np.empty(len(groups), np.int64)
    number[order] = np.arange(len(groups)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return number


def block_length(numbers: int) -> int:
    """Number of frames to score at once, where ``numbers`` intermediate numbers are made for each."""
    return max(
        8, min(max(BLOCK_FRAMES, BLOCK_NUMBERS // max(numbers, 1)), LARGEST_BLOCK_NUMBERS // max(numbers, 1))
    )


@dataclass(frozen=True, kw_only=True)
class Stream:
    """The parameters of one feature stream."""

    columns: slice
    """Columns of the features that belong to the stream."""
    gaussians: Gaussians
    """Gaussians in the form in which frames are scored."""
    weights: Tensor
    """(pdfs, M): mixture weights, not logarithms."""
    means: Tensor
    """(C, M, D): means of the Gaussians."""
    covariances: Tensor
    """(C, M, D) variances where covariances are diagonal, otherwise (C, M, D, D) matrices."""


@dataclass(frozen=True)
class Selection:
    """The parameters that a set of pdfs uses, gathered and grouped by how many pdfs share a codebook.

    A group is c codebooks with up to N pdfs each; the groups follow each other.  Where every pdf has its own
    codebook (N is 1), the Gaussians are `Gaussians.transposed`: sums over the Gaussians of a mixture then go
    over rows, not within them, which is several times as fast.
    """

    gaussians: tuple[Gaussians, ...]
    """Per stream, the selected Gaussians (`Gaussians.in_bits`)."""
    weights: tuple[tuple[Tensor, ...], ...]
    """Per stream and group of codebooks, the mixture weights (c, N, M)."""
    slots: Tensor
    """(P,): the place of each pdf among all slots (c x N over all groups)."""
    book: Tensor
    """(P,): the selected codebook that each pdf draws on."""

    @property
    def rows(self) -> int:
        """Number of slots over all groups."""
        return sum(w.shape[0] * w.shape[1] for w in self.weights[0])


@dataclass(frozen=True)
class GaussianMixtures:
    """The pdfs of a model: Gaussian mixtures over one or more feature streams."""

    streams: tuple[Stream, ...]
    """Parameters of each stream."""
    codebook: np.ndarray
    """(pdfs,): the codebook that each pdf draws on."""

    @classmethod
    def of(
        cls,
        means: Sequence[np.ndarray],
        covariances: Sequence[np.ndarray],
        weights: Sequence[np.ndarray],
        codebook: np.ndarray,
    ) -> GaussianMixtures:
        """Make mixtures of arrays, one of each kind per stream.

        Means (C, M, D), covariances (C, M, D) if they are diagonal and (C, M, D, D) if not, weights (pdfs,
        M).
        """
        given = [
            [torch.from_numpy(np.ascontiguousarray(a, dtype=np.float32)) for a in side]
            for side in (means, covariances, weights)
        ]
        return cls.of_tensors(given[0], given[1], given[2], codebook)

    @classmethod
    def of_tensors(
        cls,
        means: Sequence[Tensor],
        covariances: Sequence[Tensor],
        weights: Sequence[Tensor],
        codebook: np.ndarray,
    ) -> GaussianMixtures:
        """Make mixtures of tensors on any device, one of each kind per stream."""
        streams, first = [], 0
        for mean, covariance, weight in zip(means, covariances, weights, strict=True):
            columns = slice(first, first + mean.shape[2])
            gaussians = Diagonal.of(mean, covariance) if covariance.ndim == 3 else Full.of(mean, covariance)
            streams.append(
                Stream(
                    columns=columns, gaussians=gaussians, weights=weight, means=mean, covariances=covariance
                )
            )
            first = columns.stop
        return cls(tuple(streams), codebook)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle only means, covariances and weights, which is half as much."""
        sides = zip(*((s.means, s.covariances, s.weights) for s in self.streams), strict=True)
        return GaussianMixtures.of_tensors, (*map(list, sides), self.codebook)

    def to(self, device: torch.device | str) -> GaussianMixtures:
        """Copy the mixtures to another device."""
        return GaussianMixtures.of_tensors(
            [s.means.to(device) for s in self.streams],
            [s.covariances.to(device) for s in self.streams],
            [s.weights.to(device) for s in self.streams],
            self.codebook,
        )

    @cached_property
    def sizes(self) -> np.ndarray:
        """Number of densities (pdfs,) up to the last with a weight; the greatest over the streams."""
        used = [(s.weights > 0).cpu().numpy() for s in self.streams]
        last = np.stack([u.shape[1] - np.argmax(u[:, ::-1], 1) for u in used])
        return np.asarray(last.max(0))

    @cached_property
    def _in_bits(self) -> tuple[Gaussians, ...]:
        return tuple(s.gaussians.in_bits() for s in self.streams)

    def select(self, pdfs: np.ndarray, densities: int | None = None) -> Selection:
        """Gather the parameters of ``pdfs`` by codebook, of at most ``densities`` Gaussians each."""
        books, group, sharing = np.unique(self.codebook[pdfs], return_inverse=True, return_counts=True)
        if sharing.max() == 1:
            return self._select_own(pdfs, books, group, densities)
        room = -(-sharing // PDF_MULTIPLE) * PDF_MULTIPLE  # slots of each codebook
        order = np.argsort(room, kind="stable")
        rank = np.argsort(order)[group]  # the codebook of each pdf
        books, room = books[order], room[order]
        slots = (np.cumsum(room) - room)[rank] + _number_within(rank)
        members = np.zeros(room.sum(), np.int64)
        members[slots] = pdfs
        sizes, counts = np.unique(room, return_counts=True)
        parts = np.split(members, np.cumsum(sizes * counts)[:-1])
        weights = tuple(
            tuple(
                _rows(s.weights, part)[:, :densities].reshape(count, size, -1)
                for part, size, count in zip(parts, sizes.tolist(), counts.tolist(), strict=True)
            )
            for s in self.streams
        )
        chosen = torch.from_numpy(books)
        gaussians = tuple(g.take(chosen, densities) for g in self._in_bits)
        return Selection(gaussians, weights, torch.from_numpy(slots), torch.from_numpy(rank))

    def _select_own(
        self, pdfs: np.ndarray, books: np.ndarray, group: np.ndarray, densities: int | None
    ) -> Selection:
        """Gather the parameters of ``pdfs`` of which each has a codebook of its own."""
        chosen, place = torch.from_numpy(books), torch.from_numpy(group)
        order = pdfs[np.argsort(group)]
        weights = tuple((_rows(s.weights, order)[:, None, :densities],) for s in self.streams)
        gaussians = tuple(g.take(chosen, densities).transposed() for g in self._in_bits)
        return Selection(gaussians, weights, place, place)

    def score(self, frames: Tensor, pdfs: np.ndarray) -> Tensor:
        """Score ``frames`` (T, D) under ``pdfs``: log-likelihoods (T, P), float32.

        A mixture that has no weight on its codebook's best density gets at least that density less 87 (the
        smallest float32).  Under autocast the mixing is done in the lower precision, never the Gaussians.
        """
        result = frames.new_empty(len(frames), len(pdfs), dtype=torch.float32)
        if len(pdfs) == 0:
            return result
        groups = self._groups_by_size(pdfs)
        selections = [self.select(pdfs[at], densities) for at, densities in groups]
        order = torch.from_numpy(np.argsort(np.concatenate([at for at, _ in groups]))).to(frames.device)
        block = self._block_of_own_codebooks if selections[0].weights[0][0].shape[1] == 1 else self._block
        numbers = max(g.numbers for c in selections for g in c.gaussians)
        length = block_length(numbers)
        room = frames.new_empty(min(length, len(frames)) * numbers, dtype=torch.float32)
        for start in range(0, len(frames), length):
            some = frames[start : start + length]
            parts = [block(some, c, room) for c in selections]
            result[start : start + length] = (
                parts[0] if len(parts) == 1 else torch.cat(parts, 1).index_select(1, order)
            )
        return result

    def _groups_by_size(self, pdfs: np.ndarray) -> list[tuple[np.ndarray, int | None]]:
        """Group the pdfs to score together, with the number of their densities: all, or two groups.

        Where each has its own codebook some have several times as many as most, and all would be scored as if
        they had the most.
        """
        everyone = np.arange(len(pdfs))
        if len(np.unique(self.codebook[pdfs])) < len(pdfs):
            return [(everyone, None)]
        sizes = self.sizes[pdfs]
        most = int(sizes.max())
        limits = np.unique(sizes)
        few = (sizes <= limits[:, None]).sum(1)
        limit = int(limits[np.argmin(few * limits + (len(pdfs) - few) * most)])
        if limit == most:
            return [(everyone, most)]
        return [(np.flatnonzero(sizes <= limit), limit), (np.flatnonzero(sizes > limit), most)]

    def _block(self, frames: Tensor, chosen: Selection, room: Tensor) -> Tensor:
        """Score a few frames: per stream one product for the Gaussians and a few for the mixtures."""
        total, mixed = (frames.new_zeros(chosen.rows, len(frames), dtype=torch.float32) for _ in range(2))
        level = torch.zeros((), device=frames.device)
        for stream, gaussians, weights in zip(self.streams, chosen.gaussians, chosen.weights, strict=True):
            densities = gaussians(frames[:, stream.columns], room)
            best = densities.amax(2, keepdim=True)  # of the logarithms: the largest exponential is then 1
            shares = densities.sub_(best).exp2_().permute(1, 2, 0)  # (C, M, n)
            level = level + best[..., 0]
            book = row = 0
            for group in weights:
                count, size, _ = group.shape
                _multiply(
                    group, shares[book : book + count], mixed[row : row + count * size].view(count, size, -1)
                )
                row, book = row + count * size, book + count
            total += mixed.clamp_(min=LEAST_FLOAT).log2_()
        slots, books = chosen.slots.to(total.device), chosen.book.to(total.device)
        return total.index_select(0, slots).T.add(level.index_select(1, books)).mul_(LN2)

    def _block_of_own_codebooks(self, frames: Tensor, chosen: Selection, room: Tensor) -> Tensor:
        """Score a few frames where every pdf has its own codebook."""
        total = torch.zeros((), device=frames.device)
        for stream, gaussians, (weights,) in zip(self.streams, chosen.gaussians, chosen.weights, strict=True):
            densities = gaussians(frames[:, stream.columns], room)  # (n, M, C)
            best = densities.amax(1, keepdim=True)
            shares = densities.sub_(best).clamp_(min=LEAST_DENSITY_BITS).exp2_()
            mixed = shares.mul_(weights[:, 0].T).sum(1)
            total = total + mixed.clamp_(min=LEAST_FLOAT).log2_() + best[:, 0]
        return total.mul_(LN2).index_select(1, chosen.slots.to(total.device))

    def score_naively(self, frames: Tensor, pdfs: np.ndarray) -> Tensor:
        """Compute the formula at the top of this page as it stands, in float64, as a reference for
        `score`.
        """
        chosen = torch.from_numpy(np.asarray(pdfs))
        books = torch.from_numpy(self.codebook[pdfs])
        total = torch.zeros(len(frames), len(books), dtype=torch.float64)
        for s in self.streams:
            away = frames[:, None, None, s.columns].double() - s.means[books].double()
            covariances = s.covariances[books].double()
            if covariances.ndim == 3:
                covariances = torch.diag_embed(covariances)
            distance = (away * torch.linalg.solve(covariances, away[..., None]).squeeze(-1)).sum(-1)
            gaussians = -0.5 * (distance + torch.logdet(2 * math.pi * covariances))
            total += torch.logsumexp(gaussians + s.weights[chosen].double().log(), 2)
        return total
