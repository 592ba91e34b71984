"""Training of CTC networks, with label priors so that they know where their labels are.

Plain CTC is free to say a label in one frame and blank in all others, and most networks end so: their spikes
tell what was said, hardly when.  Huang et al. 2024 ("Less peaky and more accurate CTC forced alignment by
label priors", ICASSP) divide the posteriors by the labels' priors in the loss,

    -log of the sum over paths of the product over t of  p(path[t] | x, t) / p(path[t]) ** alpha,

so that a frame of blank, which is frequent, pays less than one of a label.  The priors are the mean
posteriors over the training speech, taken anew in every epoch.

B utterances, T frames, V labels.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.functional import ctc_loss
from torch.nn.utils.rnn import pad_sequence

from aligner.features import frame_count
from aligner.models.neural import CLOCK, MELS, Shape, TcnNetwork
from aligner.types import DataError, ModelError

SMALLEST_PRIOR = 1e-6  # prior of a label that no frame was given to: its score stays finite
WARMUP_SHARE = 0.1  # share of all steps in which the learning rate rises
GRADIENT_NORM_LIMIT = 5.0  # norm above which gradients are scaled down
WEIGHT_DECAY = 0.01
MASKED_BANDS, MASKED_BAND_WIDTH = 2, 16  # masked stretches of mel filters, and their greatest width
# masked stretches of time per second, and their greatest length in frames
MASKED_PER_SECOND, MASKED_FRAMES = 1.0, 8


@dataclass(frozen=True)
class Example:
    """An utterance for a CTC network to learn from."""

    id: str
    """Id of the utterance."""
    wave: Tensor
    """(N,) float32: waveform of full scale 1 at 16 kHz."""
    labels: Sequence[int]
    """Columns of the labels that are said, in order, without blanks."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Settings of a training."""

    epochs: int = 30
    """Passes over the examples."""
    batch_seconds: float = 60.0
    """Seconds of speech in a batch, padding included."""
    learning_rate: float = 2e-3
    """Peak of the learning rate: it rises over the first tenth of the steps and falls as half a cosine."""
    alpha: float = 0.0
    """Weight of the label priors; 0 is plain CTC. With 3 and with 27 minutes of speech, 0.3 made labels
    longer but their boundaries worse (40 ms off on the average, not 23, on other speakers); more speech was
    not tried."""
    seed: int = 0
    """Seed of the weights, the batches' order, dropout and masking."""
    device: str = "cpu"
    """Device that is trained on: ``cpu``, ``cuda``, ..."""
    masking: bool = True
    """Whether bands and short stretches of time are masked at random (Park et al. 2019, SpecAugment)."""
    mixed: bool = True
    """Whether matrix products are in bfloat16 on CUDA; posteriors and loss never are."""
    shape: Shape = field(default_factory=Shape)
    """Size of a new network."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_seconds", "learning_rate"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}, not above 0")
        if not self.alpha >= 0:
            raise ValueError(f"alpha is {self.alpha}, not at least 0")


@dataclass(frozen=True)
class Epoch:
    """Figures of one pass over the examples."""

    number: int
    """Number of the epoch, from 1."""
    loss: float
    """Mean loss per label; with priors it may rise from one epoch to the next, as the priors have changed."""
    blank: float
    """Mean posterior of the blank."""
    seconds: float
    """Duration of the epoch, in seconds."""

    def __str__(self) -> str:
        loss = f"loss {self.loss:.3f} per label"
        return f"epoch {self.number}: {loss}, blank {self.blank:.0%}, {self.seconds:.0f} s"


@dataclass(frozen=True)
class Trained:
    """The result of a training."""

    network: TcnNetwork
    """The network, ready to align."""
    history: tuple[Epoch, ...]
    """Figures of every epoch."""
    left_out: tuple[tuple[str, str], ...]
    """(id, reason) of each example that could not be used."""


def train(
    examples: Sequence[Example],
    labels: Sequence[str],
    options: Options | None = None,
    notice: Callable[[Epoch], None] = lambda _: None,
    *,
    blank: int = 0,
    boundary: str | None = None,
    case: str | None = None,
) -> Trained:
    """Train a new network from random weights.

    Parameters
    ----------
    examples : sequence of Example
        One that reads each wave when it is asked for it may be as long as one likes.
    labels : sequence of str
        (V,): what the columns stand for, the blank among them.
    options : Options, optional
    notice : callable
        Function that is called with every epoch's figures.
    blank : int
        The blank's column.
    boundary, case
        See `aligner.models.neural.TcnNetwork`.

    Raises
    ------
    DataError
        If no example can be used.
    ModelError
        If the training diverges.
    """
    options = options or Options()
    network = TcnNetwork(labels, options.shape, blank=blank, boundary=boundary, case=case, seed=options.seed)
    return fit(network, examples, options, notice)


def fit(
    network: TcnNetwork,
    examples: Sequence[Example],
    options: Options | None = None,
    notice: Callable[[Epoch], None] = lambda _: None,
) -> Trained:
    """Train a network further, in place; parameters and errors as those of `train`.

    The same seed gives the same network on the CPU; CUDA adds in an order of its own.
    """
    options = options or Options()
    lengths, left_out = _usable(network, examples)
    batches = batched_by_length(lengths, options.batch_seconds * CLOCK.rate)
    device = torch.device(options.device)
    network.to(device).train()
    network.alpha = options.alpha
    optimiser = torch.optim.AdamW(network.parameters(), options.learning_rate, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, warm_then_cosine(options.epochs * len(batches)))
    generator = torch.Generator().manual_seed(options.seed)
    history = []
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(options.seed)
        for number in range(1, options.epochs + 1):
            begun, passed = time.perf_counter(), _EpochTotals.of(network)
            for b in torch.randperm(len(batches), generator=generator).tolist():
                found = _batch_loss(network, [examples[k] for k in batches[b]], options, generator)
                passed.add(found)
                gradient_step(network, found.loss, optimiser)
                schedule.step()
            network.log_priors = passed.priors().log()
            blank = float(passed.priors()[network.blank])
            history.append(Epoch(number, passed.loss / passed.labels, blank, time.perf_counter() - begun))
            notice(history[-1])
    return Trained(network.eval(), tuple(history), tuple(left_out))


def prior_ctc_loss(
    posteriors: Tensor,
    counts: Tensor,
    targets: Tensor,
    sizes: Tensor,
    *,
    log_priors: Tensor,
    alpha: float,
    blank: int,
) -> Tensor:
    """CTC loss of each utterance with label priors, as defined at the top of this page.

    Takes log posteriors (B, T, V) with ``counts`` (B,) frames, all utterances' labels one behind the other
    as ``targets`` with their ``sizes`` (B,), and ``log_priors`` (V,); returns losses (B,).  Ratios do not sum
    to 1 over a frame's labels, and torch's gradient is wrong for such: so they are normalised, and their sums
    added apart.

    Examples
    --------
    >>> even = torch.full((1, 2, 2), 0.5).log()  # two frames: of the four paths, three say the label
    >>> one = torch.tensor([1])
    >>> plain = prior_ctc_loss(even, 2 * one, one, one, log_priors=torch.zeros(2), alpha=0.0, blank=0)
    >>> plain.exp().pow(-1).tolist()
    [0.75]
    """
    ratios = posteriors - alpha * log_priors
    sums = ratios.logsumexp(2)
    real = torch.arange(ratios.shape[1], device=ratios.device) < counts[:, None]
    normal = (ratios - sums[..., None]).transpose(0, 1)
    losses: Tensor = ctc_loss(normal, targets, counts, sizes, blank=blank, reduction="none")
    return losses - torch.where(real, sums, 0.0).sum(1)


def least_frames(labels: Sequence[int]) -> int:
    """Least number of frames for some labels: one each, and a blank between two that are the same.

    Examples
    --------
    >>> least_frames([3, 5, 5, 5, 3])
    7
    """
    return len(labels) + sum(a == b for a, b in pairwise(labels))


def batched_by_length(lengths: dict[int, int], samples: float) -> list[list[int]]:
    """Batch indices of like length up to ``samples`` with padding; one utterance if it is longer.

    Examples
    --------
    >>> batched_by_length({0: 50, 1: 10, 2: 40, 3: 999}, 100)
    [[1, 2], [0], [3]]
    """
    batches: list[list[int]] = []
    for k in sorted(lengths, key=lambda k: (lengths[k], k)):
        if not batches or (len(batches[-1]) + 1) * lengths[k] > samples:
            batches.append([])
        batches[-1].append(k)
    return batches


def warm_then_cosine(steps: int) -> Callable[[int], float]:
    """Make a schedule of the learning rate: a linear rise, then half a cosine.

    Examples
    --------
    >>> [round(warm_then_cosine(100)(step), 2) for step in (0, 9, 50, 99)]
    [0.1, 0.98, 0.5, 0.0]
    """
    warm = max(1, round(WARMUP_SHARE * steps))
    return lambda gradient_step: min(
        (gradient_step + 1) / warm, 0.5 * (1 + math.cos(math.pi * gradient_step / steps))
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _BatchLoss:
    """The loss of a batch, and what an epoch adds up of it."""

    loss: Tensor
    """Mean loss per label, differentiable."""
    total: float
    """Loss summed over labels."""
    labels: int
    """Number of labels."""
    posteriors: Tensor
    """(B, T, V) log posteriors, padding included."""
    counts: Tensor
    """(B,) numbers of frames."""


@dataclass(kw_only=True)
class _EpochTotals:
    """Running totals of an epoch."""

    posteriors: Tensor
    """(V,) float64: posteriors summed over frames."""
    blank: int
    """Column of the blank."""
    loss: float = 0.0
    """Loss summed over labels."""
    labels: int = 0
    """Number of labels."""
    frames: int = 0
    """Number of frames."""

    @classmethod
    def of(cls, network: TcnNetwork) -> _EpochTotals:
        device = network.log_priors.device
        return cls(
            posteriors=torch.zeros(len(network.labels), dtype=torch.float64, device=device),
            blank=network.blank,
        )

    def add(self, batch: _BatchLoss) -> None:
        """Add the figures of a batch."""
        posteriors = batch.posteriors
        real = torch.arange(posteriors.shape[1], device=posteriors.device) < batch.counts[:, None]
        self.posteriors += posteriors.exp()[real].sum(0)
        self.frames += int(batch.counts.sum())
        self.loss += batch.total
        self.labels += batch.labels

    def priors(self) -> Tensor:
        """Mean posteriors (V,) of the labels so far."""
        return (self.posteriors / self.frames).float().clamp(min=SMALLEST_PRIOR)


def _usable(network: TcnNetwork, examples: Sequence[Example]) -> tuple[dict[int, int], list[tuple[str, str]]]:
    """Find the examples that can be learnt from, with their samples, and (id, reason) of the others."""
    lengths: dict[int, int] = {}
    left_out = []
    for k, example in enumerate(examples):
        if reason := _why_unusable(network, example):
            left_out.append((example.id, reason))
        else:
            lengths[k] = len(example.wave)
    if not lengths:
        why = f" ({left_out[0][0]}: {left_out[0][1]})" if left_out else ""
        raise DataError(
            "examples", f"none can be learnt from{why}", "do the transcripts belong to these recordings?"
        )
    return lengths, left_out


def _why_unusable(network: TcnNetwork, example: Example) -> str:
    """Reason why an example cannot be learnt from; empty where it can."""
    wrong = [c for c in example.labels if not 0 <= c < len(network.labels) or c == network.blank]
    if wrong:
        raise ValueError(
            f"{example.id}: label {wrong[0]} is the blank or none of the {len(network.labels)} columns"
        )
    if not example.labels:
        return "it has no labels"
    least, have = least_frames(example.labels), frame_count(len(example.wave), CLOCK.window, CLOCK.hop)
    if have < least:
        needed, there = CLOCK.seconds(least), CLOCK.seconds(have)
        return f"its labels take at least {needed:.2f} s, the recording has {there:.2f} s"
    return "" if bool(example.wave.isfinite().all()) else "its recording holds NaN or infinity"


def _batch_loss(
    network: TcnNetwork, batch: Sequence[Example], options: Options, generator: torch.Generator
) -> _BatchLoss:
    """Loss of a batch, with its figures; ModelError where it is not finite."""
    device = network.log_priors.device
    waves = pad_sequence([e.wave for e in batch], batch_first=True).to(device)
    frames, counts = network.features(waves, torch.tensor([len(e.wave) for e in batch]))
    if options.masking:
        frames = frames * masks(counts.tolist(), frames.shape[1], generator).to(device)
    with torch.autocast(device.type, torch.bfloat16, enabled=options.mixed and device.type == "cuda"):
        posteriors = network.encode(frames, counts)
    targets = torch.tensor([c for e in batch for c in e.labels], device=device)
    sizes = torch.tensor([len(e.labels) for e in batch], device=device)
    losses = prior_ctc_loss(
        posteriors,
        counts,
        targets,
        sizes,
        log_priors=network.log_priors,
        alpha=options.alpha,
        blank=network.blank,
    )
    total = float(losses.detach().sum())
    if not math.isfinite(total):
        raise ModelError(
            "training",
            f"the loss is {total} at a learning rate of {options.learning_rate:g}",
            "take a lower one, or less alpha",
        )
    return _BatchLoss(
        loss=losses.sum() / len(targets),
        total=total,
        labels=len(targets),
        posteriors=posteriors.detach(),
        counts=counts,
    )


def gradient_step(network: TcnNetwork, loss: Tensor, optimiser: torch.optim.Optimizer) -> None:
    """Clip the gradient of the loss and let the optimiser follow it."""
    optimiser.zero_grad()
    torch.autograd.backward(loss)
    torch.nn.utils.clip_grad_norm_(network.parameters(), GRADIENT_NORM_LIMIT)
    optimiser.step()


def masks(counts: Sequence[int], frames: int, generator: torch.Generator) -> Tensor:
    """Random masks (B, frames, 80): 1, or 0 where bands and stretches of time are hidden."""
    seen = torch.ones(len(counts), frames, MELS)
    for row, count in zip(seen, counts, strict=True):
        for start, stop in _stretches(MASKED_BANDS, MASKED_BAND_WIDTH, MELS, generator):
            row[:, start:stop] = 0
        for start, stop in _stretches(
            round(MASKED_PER_SECOND * CLOCK.seconds(count)), MASKED_FRAMES, count, generator
        ):
            row[start:stop] = 0
    return seen


def _stretches(
    number: int, longest: int, within: int, generator: torch.Generator
) -> Iterator[tuple[int, int]]:
    """Draw ``number`` random stretches of 0 to ``longest`` places within ``within``."""
    for width, place in torch.rand(number, 2, generator=generator).tolist():
        length = min(int(width * (longest + 1)), within)
        start = int(place * (within - length + 1))
        yield start, start + length
