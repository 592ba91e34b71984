"""Training of a network to score the states of a model, on that model's alignments of a corpus.

Every frame belongs to one state, so it is plain classification; bands and stretches of time are masked at
random, as in the training of CTC networks.

B utterances, T frames, P states.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence

from aligner.models.hybrid import HybridFrontend, PrecomputedScores
from aligner.models.markov import MarkovModel
from aligner.models.neural import CLOCK, TcnNetwork
from aligner.models.tree import TreeTopology
from aligner.train.ctc import (
    SMALLEST_PRIOR,
    WEIGHT_DECAY,
    Options,
    batched_by_length,
    gradient_step,
    masks,
    warm_then_cosine,
)
from aligner.train.em import Aligned, ShardTask, aligned, phone_and_state, trees_of
from aligner.types import ModelError

IGNORED = -100  # state of a frame of padding
LABEL_SMOOTHING = 0.1  # smoothing of the states to predict, which are a model's and not a person's


@dataclass(frozen=True)
class LabelledUtterance:
    """An utterance with the state of each of its frames."""

    id: str
    """Id of the utterance."""
    wave: Tensor
    """(N,) float32: waveform of full scale 1 at 16 kHz."""
    states: Tensor
    """(T,) int64: state of each frame."""


@dataclass(frozen=True)
class Epoch:
    """Figures of one pass over the utterances."""

    number: int
    """Number of the epoch, from 1."""
    loss: float
    """Mean loss per frame."""
    accuracy: float
    """Share of frames whose state was predicted."""
    seconds: float
    """Duration of the epoch, in seconds."""

    def __str__(self) -> str:
        loss = f"loss {self.loss:.3f} per frame"
        return f"epoch {self.number}: {loss}, {self.accuracy:.0%} right, {self.seconds:.0f} s"


def frame_states(task: ShardTask) -> dict[str, np.ndarray]:
    """The state (T,) of every frame along the best path, by utterance; `monophone_topology` numbers them."""
    topology = trees_of(task.model)
    roots = TreeTopology.of_phones(topology.phones).forest.roots
    found = {}
    for utterance in aligned(task):
        if isinstance(utterance, Aligned):
            phones, inner = phone_and_state(utterance.graph, topology)
            found[utterance.example.id] = roots[phones[utterance.states], inner[utterance.states]]
    return found


def monophone_topology(teacher: MarkovModel) -> TreeTopology:
    """Topology of the network's states: the teacher's phones without context."""
    topology = TreeTopology.of_phones(trees_of(teacher).phones)
    return replace(topology, transitions=trees_of(teacher).transitions)


def fit(
    network: TcnNetwork,
    utterances: Sequence[LabelledUtterance],
    options: Options,
    notice: Callable[[Epoch], None] = lambda _: None,
) -> TcnNetwork:
    """Train a network in place; its priors become the shares of the states in the utterances.

    Raises
    ------
    ModelError
        If the training diverges.
    """
    device = torch.device(options.device)
    network.to(device).train()
    lengths = {k: len(utterance.wave) for k, utterance in enumerate(utterances)}
    batches = batched_by_length(lengths, options.batch_seconds * CLOCK.rate)
    optimiser = torch.optim.AdamW(network.parameters(), options.learning_rate, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, warm_then_cosine(options.epochs * len(batches)))
    generator = torch.Generator().manual_seed(options.seed)
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(options.seed)
        for number in range(1, options.epochs + 1):
            begun, total, right, frames = time.perf_counter(), 0.0, 0, 0
            for b in torch.randperm(len(batches), generator=generator).tolist():
                scores, states = _predicted(network, [utterances[k] for k in batches[b]], options, generator)
                loss = _loss(scores, states, options.learning_rate)
                gradient_step(network, loss, optimiser)
                schedule.step()
                known = states != IGNORED
                frames += int(known.sum())
                total += float(loss.detach()) * int(known.sum())
                right += int((scores.argmax(2) == states)[known].sum())
            notice(Epoch(number, total / frames, right / frames, time.perf_counter() - begun))
    network.log_priors = _priors(utterances, len(network.labels)).log()
    return network.cpu().eval()


def _loss(scores: Tensor, states: Tensor, learning_rate: float) -> Tensor:
    """Cross entropy of log posteriors (B, T, P) with the states (B, T); ModelError where it is not finite."""
    loss = cross_entropy(
        scores.transpose(1, 2), states, ignore_index=IGNORED, label_smoothing=LABEL_SMOOTHING
    )
    if not math.isfinite(float(loss.detach())):
        raise ModelError(
            "training",
            f"the loss is {float(loss.detach())} at a learning rate of {learning_rate:g}",
            "take a lower one",
        )
    return loss


def _predicted(
    network: TcnNetwork, batch: Sequence[LabelledUtterance], options: Options, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Log posteriors (B, T, P) of a batch, and the states (B, T) to predict."""
    device = network.log_priors.device
    waves = pad_sequence([utterance.wave for utterance in batch], batch_first=True).to(device)
    frames, counts = network.features(waves, torch.tensor([len(utterance.wave) for utterance in batch]))
    if options.masking:
        frames = frames * masks(counts.tolist(), frames.shape[1], generator).to(device)
    with torch.autocast(device.type, torch.bfloat16, enabled=options.mixed and device.type == "cuda"):
        posteriors = network.encode(frames, counts)
    states = torch.full(posteriors.shape[:2], IGNORED)
    for row, utterance, count in zip(states, batch, counts.tolist(), strict=True):
        length = min(count, len(utterance.states))
        row[:length] = utterance.states[:length]
    return posteriors, states.to(device)


def _priors(utterances: Sequence[LabelledUtterance], size: int) -> Tensor:
    """Share of the frames (P,) that are in each state."""
    counts = torch.zeros(size)
    for utterance in utterances:
        counts += torch.bincount(utterance.states, minlength=size)
    return (counts / counts.sum()).clamp(min=SMALLEST_PRIOR)


def hybrid_model(teacher: MarkovModel, network: TcnNetwork) -> MarkovModel:
    """Make the teacher's model with its states scored by a network."""
    # the states are those of the teacher's frames
    delay = (CLOCK.window - teacher.clock.window) / 2 / CLOCK.rate
    return replace(
        teacher,
        frontend=HybridFrontend(network, delay),
        topology=monophone_topology(teacher),
        mixtures=PrecomputedScores(),
        adapted=None,
        transform=None,
        offsets={},
    )
