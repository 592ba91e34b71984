"""Training of a head: frames of speech, each with the phone that an aligner found there.

No hand labels are needed: alignments of clean speech serve, also for the same speech spoilt
(`aligner.train.augment`).  Their errors differ from place to place, what is said does not; so the head learns
the latter, and may place phones better than what it learnt from (as students of noisy labels do: Xie et al.
2020, "Self-training with noisy student").

T frames of 10 ms, E channels of the ear, F fine frames, P phones.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from aligner.features import fine_energies
from aligner.models.ears import CLOCK, Ear
from aligner.models.head import FINE_KERNEL, FINE_STEP, SILENCE, Head, around, normalised
from aligner.text.phones import unstressed
from aligner.types import Interval, ModelError

IGNORED = -100  # the label of a frame whose phone is not known
PRIOR_FRAMES = 50.0  # frames' worth of belief that all phones are as frequent
GRADIENT_NORM_LIMIT, WEIGHT_DECAY, WARMUP_SHARE = 1.0, 0.02, 0.1


@dataclass(frozen=True, kw_only=True)
class Options:
    """Settings of a training.

    Raises
    ------
    ValueError
        If one is not above 0.
    """

    epochs: float = 3.0
    """Passes over the speech."""
    batch: int = 8
    """Stretches of speech that are learnt from at once."""
    stretch: int = 200
    """Frames of a stretch; even."""
    learning_rate: float = 1.5e-3
    """The highest, after a tenth of the steps."""
    smoothing: float = 0.05
    """Probability that is spread over all phones: labels are a model's and not a person's."""
    priors: bool = True
    """Whether the shares of the phones in the speech become the head's priors; otherwise it keeps its own."""
    device: str = "cpu"
    """Where the head learns."""
    seed: int = 0
    """Seed of the order of stretches; that of the weights is the head's own."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch", "stretch", "learning_rate"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}, not above 0")


@dataclass(frozen=True, kw_only=True, eq=False)
class Labelled:
    """A recording as a head hears it, with the phone of each frame."""

    coarse: Tensor
    """(T, E) half precision: frames of the ear."""
    fine: Tensor
    """(F, 26) half precision: normalised fine energies."""
    labels: Tensor
    """(T,) the column of each frame's phone, or `IGNORED`."""

    @classmethod
    def of(
        cls,
        wave: Tensor,
        phones: Sequence[Interval],
        ear: Ear,
        columns: Mapping[str, int],
        start: float = 0.0,
    ) -> Labelled:
        """Hear a wave (N,) of at most half a minute, whose ``phones`` are in seconds from ``start`` on."""
        coarse = ear(wave)
        return cls(
            coarse=coarse.half(),
            fine=normalised(fine_energies(wave)).half(),
            labels=frame_labels(phones, columns, len(coarse), start),
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """The same for another process: tensors would go there by open files, which may be too many."""
        return {f.name: getattr(self, f.name).numpy() for f in fields(self)}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Labelled:
        """What `arrays` gave."""
        return cls(**{name: torch.from_numpy(array) for name, array in arrays.items()})


@dataclass(frozen=True)
class Progress:
    """How far a training is."""

    step: int
    """Steps so far."""
    steps: int
    """All steps."""
    loss: float
    """Mean loss a frame over the last steps."""
    seconds: float
    """Seconds so far."""

    def __str__(self) -> str:
        return f"step {self.step} of {self.steps}: loss {self.loss:.3f} a frame, {self.seconds:.0f} s"


REPORT_STEPS = 200


def frame_labels(
    phones: Sequence[Interval],
    columns: Mapping[str, int],
    count: int,
    start: float = 0.0,
) -> Tensor:
    """The column (count,) of the phone at each frame; an empty label is silence, and stress is left out where
    no column has it.

    Examples
    --------
    >>> phones = [Interval(0.0, 0.02, ""), Interval(0.02, 0.04, "AA1"), Interval(0.04, 0.06, "noise")]
    >>> frame_labels(phones, {"SIL": 0, "AA": 1}, 7).tolist()
    [0, 0, 1, 1, -100, -100, -100]
    """
    labels = torch.full((count,), IGNORED)
    for phone in phones:
        first, last = (
            math.ceil(CLOCK.rate / CLOCK.hop * (t - start) - 1e-6) for t in (phone.start, phone.end)
        )
        name = phone.label or SILENCE
        name = name if name in columns else unstressed(name)
        labels[max(first, 0) : max(last, 0)] = columns.get(name, IGNORED)
    return labels


def fit(
    head: Head,
    speech: Sequence[Labelled],
    options: Options | None = None,
    notice: Callable[[Progress], None] = lambda _: None,
) -> Head:
    """Train a head in place, on random stretches of speech; its priors become the shares of the phones,
    unless it is to keep them.

    Raises
    ------
    ModelError
        If there is nothing to learn from, or the training diverges.
    """
    how = options or Options()
    if not any(bool((one.labels != IGNORED).any()) for one in speech):
        raise ModelError("training", "no frame has a label that the head knows", "are these its phones?")
    head.to(how.device)
    if how.priors:
        head.log_priors = _log_priors(speech, len(head.phones)).to(how.device)
    lengths = np.array([len(one.labels) for one in speech], float)
    steps = max(1, round(how.epochs * lengths.sum() / (how.batch * how.stretch)))
    rng = np.random.default_rng(how.seed)
    optimiser = torch.optim.AdamW(head.parameters(), how.learning_rate, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, how.learning_rate, steps + 1, pct_start=WARMUP_SHARE
    )
    head.train().requires_grad_(True)
    begun, losses = time.perf_counter(), []
    for step in range(1, steps + 1):
        chosen = rng.choice(len(speech), how.batch, p=lengths / lengths.sum())
        coarse, fine, labels = (
            tensor.to(how.device) for tensor in _batch([speech[k] for k in chosen], how.stretch, rng)
        )
        loss = cross_entropy(
            head(coarse, fine).transpose(1, 2), labels, ignore_index=IGNORED, label_smoothing=how.smoothing
        )
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(head.parameters(), GRADIENT_NORM_LIMIT)
        optimiser.step()
        schedule.step()
        losses.append(float(loss.detach()))
        if step % REPORT_STEPS == 0 or step == steps:
            notice(_progress(step, steps, losses[-REPORT_STEPS:], time.perf_counter() - begun))
    return head.cpu().eval().requires_grad_(False)


def _progress(step: int, steps: int, losses: Sequence[float], seconds: float) -> Progress:
    """The progress, or ModelError where the loss is not finite."""
    loss = float(np.nanmean(losses))  # a batch without any label has none
    if not math.isfinite(loss):
        raise ModelError("training", f"the loss is {loss}", "take a lower learning rate")
    return Progress(step, steps, loss, seconds)


def _log_priors(speech: Sequence[Labelled], phones: int) -> Tensor:
    """Logarithms (P,) of how frequent each phone is."""
    counts = torch.full((phones,), PRIOR_FRAMES)
    for one in speech:
        counts += torch.bincount(one.labels[one.labels != IGNORED], minlength=phones)
    return (counts / counts.sum()).log()


def _batch(
    speech: Sequence[Labelled], stretch: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """A random stretch of each recording: coarse (B, T, E), fine (B, 2 T + 7, 26) and labels (B, T)."""
    parts = []
    for one in speech:
        first = int(rng.integers(max(1, len(one.labels) - stretch + 1)))
        last = first + stretch
        missing = max(last - len(one.labels), 0)
        coarse = torch.nn.functional.pad(one.coarse[first:last].float(), (0, 0, 0, missing))
        labels = torch.nn.functional.pad(one.labels[first:last], (0, missing), value=IGNORED)
        parts.append((coarse, around(one.fine, first, last).float(), labels))
    coarse, fine, labels = (torch.stack(of) for of in zip(*parts, strict=True))
    assert fine.shape[1] == FINE_STEP * stretch + FINE_KERNEL - FINE_STEP
    return coarse, fine, labels


def accuracy(head: Head, speech: Sequence[Labelled]) -> float:
    """Share of the frames of speech, silence apart, whose likeliest phone is the right one."""
    right = total = 0
    silence = head.phones.index(SILENCE)
    for one in speech:
        fine = around(one.fine, 0, len(one.labels)).float()
        with torch.no_grad():
            found = head(one.coarse[None].float(), fine[None])[0].argmax(-1)
        asked = (one.labels != IGNORED) & (one.labels != silence)
        right += int((found == one.labels)[asked].sum())
        total += int(asked.sum())
    return right / max(total, 1)
