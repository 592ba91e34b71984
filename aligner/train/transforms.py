"""Linear transforms of frames: LDA, MLLT, and the fMLLR of speakers.

C classes (pdfs), D dimensions, T frames.  References: Haeb-Umbach & Ney 1992 (LDA); Gales 1999, "Semi-tied
covariance matrices for hidden Markov models" (MLLT); Gales 1998, "Maximum likelihood linear transformations
for HMM-based speech recognition", 3.3 (fMLLR).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from aligner.models.gmm import GaussianMixtures
from aligner.train.em import ShardTask, aligned_shard, all_frames_of, cepstral_frontend, gaussians_of
from aligner.train.statistics import Occupancies, by_group
from aligner.train.tree import FeatureSpace, frames_in

FMLLR_ROUNDS = 10  # passes over the rows of a transform; each row depends on the others
LEAST_SPEAKER_FRAMES = 300.0  # frames of speech below which a speaker gets no transform
LEAST_FRAMES_FOR_MATRIX = 1000.0  # frames of speech below which a speaker gets only an offset
PAIRS_AT_ONCE = 1024  # pairs of a frame and a pdf that are processed together
# frames of a speaker in a shard beyond which only every second, third, ... frame is used
THINNING_FRAMES = 2000


@dataclass(frozen=True, eq=False)
class Scatter:
    """Scatter statistics of classes, in float64; they add up."""

    counts: Tensor
    """(C,): frames of each class."""
    first: Tensor
    """(C, D): sums of each class's frames."""
    second: Tensor
    """(D, D) sums of products over all frames, or (C, D, D) for each class."""

    def __add__(self, other: Scatter) -> Scatter:
        return Scatter(self.counts + other.counts, self.first + other.first, self.second + other.second)


class ScatterTask(NamedTuple):
    """The work of collecting the scatter of a shard."""

    task: ShardTask
    """The shard."""
    view: FeatureSpace | None = None
    """Feature space to take the frames in; None takes the task's own."""
    by_class: bool = False
    """Whether each class gets its own products, and not only all classes together."""


def shard_scatter(work: ScatterTask) -> Scatter:
    """Collect the scatter of a shard's pdfs along its paths."""
    task, view, by_class = work
    shard = aligned_shard(task._replace(em="viterbi"))  # a frame is of one class
    size = cepstral_frontend(task.model).size if view is None else view.frontend.size
    classes = len(gaussians_of(task.model).codebook)
    counts, first = torch.zeros(classes, dtype=torch.float64), torch.zeros(classes, size, dtype=torch.float64)
    second = torch.zeros(*((classes,) if by_class else ()), size, size, dtype=torch.float64)
    if not shard.examples:
        return Scatter(counts, first, second)
    x = (shard.frames if view is None else frames_in(task.model, shard.examples, view)).double().cpu()
    pdfs = shard.occupancies.pdfs.cpu()
    counts.index_add_(0, pdfs, torch.ones(len(pdfs), dtype=torch.float64))
    first.index_add_(0, pdfs, x)
    if not by_class:
        return Scatter(counts, first, x.T @ x)
    for pdf, rows in by_group(pdfs):
        second[pdf] = x[rows].T @ x[rows]
    return Scatter(counts, first, second)


def lda(s: Scatter, dims: int) -> Tensor:
    """Directions (dims, D) with the greatest variance between classes for the variance within.

    Frames then have unit variance within classes.
    """
    total = s.counts.sum()
    mean = s.first.sum(0) / total
    everything = s.second / total - torch.outer(mean, mean)
    centres = s.first / s.counts.clamp(min=1.0)[:, None] - mean
    between = (centres * (s.counts / total)[:, None]).T @ centres
    within = everything - between
    values, vectors = torch.linalg.eigh(within)
    whiten = vectors * values.clamp(min=1e-8 * float(values.max())).rsqrt()
    spread, directions = torch.linalg.eigh(whiten.T @ between @ whiten)
    best = spread.argsort(descending=True)[:dims]
    found: Tensor = (whiten @ directions[:, best]).T.float()
    return found


def mllt(s: Scatter, rounds: int = 20) -> tuple[Tensor, float]:
    """Estimate a transform (D, D) after which diagonal covariances fit each class as well as possible.

    Parameters
    ----------
    s : Scatter
        Statistics with products by class.
    rounds : int

    Returns
    -------
    transform : Tensor
        Matrix with a determinant of 1 or -1, so that likelihoods before and after can be compared.
    gain : float
        Gain in log-likelihood per frame.
    """
    fine = s.counts > 1
    n = s.counts[fine]
    means = s.first[fine] / n[:, None]
    covariances = s.second[fine] / n[:, None, None] - means[:, :, None] * means[:, None, :]
    size = means.shape[1]
    floor = 1e-3 * (n[:, None] * covariances.diagonal(dim1=1, dim2=2)).sum(0) / n.sum()
    matrix, before = torch.eye(size, dtype=torch.float64), None
    for _ in range(rounds):
        variances = torch.einsum("di,cij,dj->cd", matrix, covariances, matrix).clamp(min=floor.min())
        value = float(n.sum() * torch.linalg.slogdet(matrix)[1] - 0.5 * (n[:, None] * variances.log()).sum())
        before = value if before is None else before
        g = torch.einsum("cd,cij->dij", n[:, None] / variances, covariances)
        for d in range(size):
            cofactors = torch.linalg.inv(matrix)[:, d] * torch.linalg.det(matrix).sign()
            row = torch.linalg.solve(
                g[d] + 1e-9 * torch.eye(size, dtype=torch.float64) * g[d].trace() / size, cofactors
            )
            matrix[d] = row * (n.sum() / (row @ cofactors)).sqrt()
    variances = torch.einsum("di,cij,dj->cd", matrix, covariances, matrix).clamp(min=floor.min())
    after = float(n.sum() * torch.linalg.slogdet(matrix)[1] - 0.5 * (n[:, None] * variances.log()).sum())
    assert before is not None
    matrix /= torch.linalg.det(matrix).abs() ** (1 / size)
    return matrix.float(), (after - before) / float(n.sum())


def transformed_mixtures(mixtures: GaussianMixtures, matrix: Tensor) -> GaussianMixtures:
    """Transform the means of mixtures along with frames that are multiplied by ``matrix`` (D, D).

    Variances are those of the transformed diagonals; the next step of EM finds better ones.
    """
    [stream] = mixtures.streams
    own = matrix.to(stream.means)
    return GaussianMixtures.of_tensors(
        [stream.means @ own.T], [stream.covariances @ own.square().T], [stream.weights], mixtures.codebook
    )


@dataclass(frozen=True, eq=False)
class TransformSums:
    """Statistics of a speaker's frames for estimating fMLLR, in float64; they add up.

    They are taken over extended frames (x, 1) of D + 1 numbers.
    """

    count: float
    """Number of frames."""
    linear: Tensor
    """(D, D + 1): Gales's k."""
    quadratic: Tensor
    """(D, D + 1, D + 1): Gales's G."""

    def __add__(self, other: TransformSums) -> TransformSums:
        return TransformSums(
            self.count + other.count, self.linear + other.linear, self.quadratic + other.quadratic
        )


def transform_sums(mixtures: GaussianMixtures, frames: Tensor, occupancies: Occupancies) -> TransformSums:
    """Collect the fMLLR statistics of one speaker's frames (T, D)."""
    size = frames.shape[1]
    precisions, pulls = (frames.new_zeros(len(frames), size, dtype=torch.float64) for _ in range(2))
    codebook = torch.from_numpy(mixtures.codebook).to(frames.device)
    for at, pdfs, weights in zip(*(torch.split(side, PAIRS_AT_ONCE) for side in occupancies), strict=True):
        books = codebook[pdfs]
        for stream in mixtures.streams:
            means, inverse = stream.means[books], stream.covariances[books].reciprocal()  # (n, M, D)
            distances = ((frames[at, None, stream.columns] - means).square() * inverse - inverse.log()).sum(2)
            shares = (stream.weights[pdfs].log() - 0.5 * distances).softmax(1)[..., None] * weights[
                :, None, None
            ]
            precisions[:, stream.columns].index_add_(0, at, (shares * inverse).sum(1))
            pulls[:, stream.columns].index_add_(0, at, (shares * inverse * means).sum(1))
    x = torch.nn.functional.pad(frames.double(), (0, 1), value=1.0)
    quadratic = torch.stack([(x * precisions[:, d, None]).T @ x for d in range(size)])
    return TransformSums(float(occupancies.weights.sum()), pulls.T @ x, quadratic)


def speaker_sums(task: ShardTask) -> dict[str, TransformSums]:
    """Collect the fMLLR statistics of a shard, by speaker.

    Where the task's paths are not known they are searched for with the mixtures for unknown speakers.
    """
    found: dict[str, TransformSums] = {}
    shard = aligned_shard(task)
    if not shard.examples:
        return found
    plain = all_frames_of(task.model, shard.examples, {})
    speakers = [e.speaker for e in shard.examples]
    of_frame = np.repeat(np.array([speakers.index(s) for s in speakers]), shard.lengths)
    for number in np.unique(of_frame).tolist():
        own = torch.from_numpy(of_frame == number)
        own &= torch.cumsum(own, 0) % max(1, int(own.sum()) // THINNING_FRAMES) == 0
        place = torch.cumsum(own, 0) - 1  # of a frame among those that are looked at
        pairs = own.to(shard.occupancies.frames.device)[shard.occupancies.frames]
        frames, pdfs, weights = (side[pairs] for side in shard.occupancies)
        occupancies = Occupancies(place.to(frames.device)[frames], pdfs, weights)
        found[speakers[number]] = transform_sums(
            gaussians_of(task.model.for_adapted), plain[own], occupancies
        )
    return found


def added_by_speaker(parts: Iterable[Mapping[str, TransformSums]]) -> dict[str, TransformSums]:
    """Add up the statistics of shards, speaker by speaker."""
    total: dict[str, TransformSums] = {}
    for part in parts:
        for speaker, s in part.items():
            total[speaker] = total[speaker] + s if speaker in total else s
    return total


def fmllr(
    s: TransformSums, blocks: Sequence[slice] | None = None, rounds: int = FMLLR_ROUNDS
) -> Tensor | None:
    """Estimate a speaker's affine transform (D, D + 1) by maximum likelihood; None where there is too little
    speech.

    With little speech only an offset is learnt.

    Parameters
    ----------
    s : TransformSums
    blocks : sequence of slice, optional
        Dimensions that are mixed only among themselves, as those of a model's streams; all unless given.
    rounds : int
        Over the rows, each of which depends on the others.
    """
    size = len(s.linear)
    if s.count < LEAST_SPEAKER_FRAMES:
        return None
    matrix = torch.nn.functional.pad(torch.eye(size, dtype=torch.float64), (0, 1))
    device = s.linear.device
    if s.count < LEAST_FRAMES_FOR_MATRIX:
        return _offset(s, matrix.to(device)).float()
    quadratic, linear = s.quadratic.cpu(), s.linear.cpu()
    own = _columns(size, blocks)
    inverse = [
        torch.linalg.inv(quadratic[d][own[d]][:, own[d]] + _little(quadratic[d][own[d]][:, own[d]]))
        for d in range(size)
    ]
    for _ in range(rounds):
        for d in range(size):
            cofactors = torch.nn.functional.pad(torch.linalg.inv(matrix[:, :size])[:, d], (0, 1))
            matrix[d, own[d]] = _row(inverse[d], linear[d, own[d]], cofactors[own[d]], s.count)
    return matrix.float().to(device)


def _columns(size: int, blocks: Sequence[slice] | None) -> list[Tensor]:
    """Columns of each row of a transform that may differ from 0: those of its block, and the offset."""
    block = torch.zeros(size, dtype=torch.int64)
    for k, columns in enumerate(blocks or [slice(0, size)]):
        block[columns] = k
    return [
        torch.cat([torch.nonzero(block == block[d]).flatten(), torch.tensor([size])]) for d in range(size)
    ]


def _little(square: Tensor) -> Tensor:
    """Small diagonal matrix that keeps a matrix from being singular and changes nothing else."""
    return 1e-8 * square.diagonal().mean() * torch.eye(len(square), dtype=square.dtype)


def _row(inverse: Tensor, linear: Tensor, cofactors: Tensor, count: float) -> Tensor:
    """Maximum likelihood row of a transform while the others stand (Gales 1998, eqs. 51-53).

    Of the two solutions the one that keeps the determinant above 0: a voice is not the mirror image of
    another.
    """
    a = float(cofactors @ inverse @ cofactors)
    b = float(cofactors @ inverse @ linear)
    alpha = (-b + np.sqrt(b * b + 4 * a * count)) / (2 * a)
    found: Tensor = (alpha * cofactors + linear) @ inverse
    return found


def _offset(s: TransformSums, matrix: Tensor) -> Tensor:
    size = len(s.linear)
    d = torch.arange(size)
    weight = s.quadratic[d, size, size]
    matrix[:, size] = (s.linear[d, size] - s.quadratic[d, size, d]) / weight.clamp(min=1e-10)
    return matrix


def fmllr_gain(s: TransformSums, matrix: Tensor) -> float:
    """Gain of a transform in log-likelihood per frame, against none (Gales 1998, eq. 45)."""
    size = len(s.linear)

    def value(w: Tensor) -> float:
        determinant = float(torch.linalg.slogdet(w[:, :size])[1])
        return (
            s.count * determinant
            + float((w * s.linear).sum())
            - 0.5 * float(torch.einsum("di,dij,dj->", w, s.quadratic, w))
        )

    none = torch.nn.functional.pad(torch.eye(size, dtype=torch.float64, device=s.linear.device), (0, 1))
    return (value(matrix.double()) - value(none)) / s.count
