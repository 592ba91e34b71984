"""Measuring the speed of the models of `aligner.hmm`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from aligner.bench.memory import taken
from aligner.bench.timing import HOP, Row, TimeSource, Timing, timed
from aligner.hmm import (
    HMM,
    HSMM,
    MixtureGaussianHMM,
    NeuralHMM,
    SemiMarkovHMM,
    StreamingHMM,
    StreamingHMMProcessor,
)
from aligner.hmm.base import out_of_memory
from aligner.types import DataError

STATES, DIMENSIONS, COMPONENTS = 10, 80, 8
CHUNK_FRAMES = 10  # frames that the streaming model takes in at a time
MODELS: dict[str, Callable[[], HMM]] = {
    "MixtureGaussianHMM": lambda: MixtureGaussianHMM(STATES, DIMENSIONS, COMPONENTS),
    "HSMM": lambda: HSMM(STATES, DIMENSIONS, COMPONENTS, max_duration=60),
    "SemiMarkovHMM": lambda: SemiMarkovHMM(STATES, DIMENSIONS, COMPONENTS, max_duration=30),
    "NeuralHMM": lambda: NeuralHMM(STATES, DIMENSIONS),
    "StreamingHMM": lambda: StreamingHMM(STATES, DIMENSIONS, COMPONENTS),
}
BATCHES, LENGTHS = (1, 32), (100, 1000)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The plan of a measurement: every model with every batch and length on every device."""

    models: Sequence[str] = tuple(MODELS)
    """Names of models, keys of `MODELS`."""
    batches: Sequence[int] = BATCHES
    """Numbers of sequences in a batch."""
    lengths: Sequence[int] = LENGTHS
    """Numbers of frames in a sequence."""
    devices: Sequence[str] = ("cpu",)
    """Devices to compute on."""
    task: str = "likelihood"
    """One of `aligner.names.TASKS`: `forward` without gradients, the best paths, or `forward` and gradients.
    The streaming model decodes chunk by chunk, whatever the task."""
    repeats: int = 5
    """Number of measured calls."""


def devices() -> tuple[str, ...]:
    """Devices that torch can compute on: the CPU, and CUDA where there is one."""
    return ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)


def check_devices(names: Sequence[str]) -> None:
    """Raise DataError where torch cannot compute on one of the devices."""
    for name in names:
        try:
            torch.zeros(1, device=name)
        except (RuntimeError, AssertionError) as error:
            raise DataError(
                name, f"torch cannot compute there ({str(error).splitlines()[0]})", "take cpu"
            ) from error


def family(plan: Plan, clock: TimeSource = time.perf_counter) -> Iterator[Row]:
    """Measure every combination of the plan, and yield a row for each.

    Observations are noise: the recursions take as long whatever they are.
    """
    for device, name, batch, length in product(plan.devices, plan.models, plan.batches, plan.lengths):
        yield _row(plan, name, torch.device(device), batch=batch, length=length, clock=clock)


def _row(plan: Plan, name: str, device: torch.device, *, batch: int, length: int, clock: TimeSource) -> Row:
    """Measure one model with one batch on one device."""
    timing: Timing | None = None
    memory, note = None, ""
    try:
        call = work(name, device, batch, length, plan.task)
        timing = timed(call, plan.repeats, clock, lambda: settle(device))
        memory = taken(call, device)
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        note = "out of memory"
    return Row(
        kind="model",
        name=name,
        device=str(device),
        audio=batch * length * HOP,
        timing=timing,
        batch=batch,
        length=length,
        memory=memory,
        note=note,
    )


def work(name: str, device: torch.device, batch: int, length: int, task: str) -> Callable[[], object]:
    """Make a call that does a task with ``batch`` sequences of ``length`` frames."""
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    model = MODELS[name]().to(device)
    observations = torch.randn(batch, length, DIMENSIONS, generator=generator).to(device)
    if isinstance(model, StreamingHMM):
        streaming = model
        return lambda: decode_as_stream(streaming, observations)
    if task == "viterbi":
        return lambda: model.viterbi(observations)
    if task == "gradient":
        return lambda: _gradient(model, observations)

    def likelihood() -> Tensor:
        with torch.no_grad():
            found: Tensor = model(observations)
        return found

    return likelihood


def decode_as_stream(model: StreamingHMM, observations: Tensor) -> list[Tensor]:
    """Decode each sequence (B, T, D) as a stream, chunk by chunk: its states (T,)."""
    found = []
    for sequence in observations:
        processor = StreamingHMMProcessor(model, chunk_size=CHUNK_FRAMES)
        states = [processor.process_chunk(piece).states for piece in sequence.split(CHUNK_FRAMES)]
        found.append(torch.cat([*states, processor.finish().states]))
    return found


def _gradient(model: HMM, observations: Tensor) -> None:
    model.zero_grad()
    model(observations).sum().backward()


def settle(device: torch.device) -> None:
    """Wait until a device has done all its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
