#!/usr/bin/env python3
"""How well a linear probe tells phones apart by what a speech encoder hears, and how fast that is.

    encoder.py TIMIT [--encoder NAME|FILE] [--layer K]

TIMIT is a folder of sentences with phones (``.phn``) beside each ``.wav``, a folder a speaker.  The probe is
a ridge regression from a block's outputs at a frame and 30 ms before and behind it, fitted to every other
speaker and tried on the rest.  Printed is, for each way of hearing, the share of frames that are right where
the probe was fitted to the same way and where it was fitted to sentences alone in float32; and seconds of
sound a second of one core.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import soundfile
import torch
from torch import Tensor

from aligner.models.encoder import Encoder
from aligner.models.log_mel import HOP
from aligner.models.products import in_int8

RIDGE, REACH = 100.0, 3  # strength of the penalty; frames


@dataclass(frozen=True, kw_only=True)
class Sentences:
    """Waves, the phone of each frame, and which are fitted to."""

    waves: list[Tensor]
    phones: list[Tensor]
    fitted: list[int]
    tried: list[int]


def sentences(folder: Path) -> Sentences:
    """Read a folder of speakers' folders; whole frames of each wave."""
    files = sorted(folder.rglob("*.wav"))
    waves = [torch.from_numpy(soundfile.read(file, dtype="float32")[0]) for file in files]
    waves = [wave[: len(wave) // HOP * HOP] for wave in waves]
    rows = [[line.split() for line in file.with_suffix(".phn").read_text().splitlines()] for file in files]
    number = {label: k for k, label in enumerate(sorted({row[2] for one in rows for row in one}))}
    phones = []
    for wave, one in zip(waves, rows, strict=True):
        ends = torch.tensor([int(row[1]) for row in one])
        at = torch.searchsorted(ends, torch.arange(len(wave) // HOP) * HOP, right=True)
        phones.append(torch.tensor([number[row[2]] for row in one])[at.clamp_max(len(one) - 1)])
    speakers = sorted({file.parent for file in files})
    fitted = [k for k, file in enumerate(files) if speakers.index(file.parent) % 2 == 0]
    return Sentences(
        waves=waves, phones=phones, fitted=fitted, tried=sorted({*range(len(files))} - {*fitted})
    )


def beside(frames: Tensor) -> Tensor:
    """Each frame with those `REACH` before and behind it, and a 1."""
    at = torch.arange(len(frames))
    places = (at - REACH, at, at + REACH)
    return torch.cat(
        [frames[p.clamp(0, len(frames) - 1)] for p in places] + [frames.new_ones(len(frames), 1)], 1
    )


def fit(given: Sentences, frames: list[Tensor]) -> Tensor:
    """Weights of the probe."""
    rows = torch.cat([beside(frames[k]) for k in given.fitted])
    labels = torch.nn.functional.one_hot(torch.cat([given.phones[k] for k in given.fitted])).to(rows.dtype)
    scales = rows.std(0).clamp_min(1e-5)
    scales[-1] = 1
    rows = rows / scales
    return (
        torch.linalg.solve(
            rows.T @ rows + RIDGE * torch.eye(rows.shape[1], dtype=rows.dtype), rows.T @ labels
        )
        / scales[:, None]
    )


def right(given: Sentences, frames: list[Tensor], weights: Tensor) -> float:
    """Share of the frames of the speakers left out whose phone the probe tells."""
    found = torch.cat([(beside(frames[k]) @ weights).argmax(1) for k in given.tried])
    return float((found == torch.cat([given.phones[k] for k in given.tried])).float().mean())


def alone(encoder: Encoder, given: Sentences, layer: int, step: int = 1) -> list[Tensor]:
    """Frames of each sentence; with a step of 2 each is taken twice."""
    frames = encoder.frames(given.waves, (layer,), step=step)
    return [
        f.repeat_interleave(step, 0)[: len(y)].double() for f, y in zip(frames, given.phones, strict=True)
    ]


def in_a_row(encoder: Encoder, given: Sentences, layer: int, window: int) -> list[Tensor]:
    """Frames of the same sentences, one behind the other in one recording."""
    encoder.window, before = window, encoder.window
    [frames] = encoder.frames([torch.cat(given.waves)], (layer,))
    encoder.window = before
    return [f.double() for f in frames[: sum(map(len, given.phones))].split([*map(len, given.phones)])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("timit", type=Path)
    parser.add_argument("--encoder", default="tiny.en")
    parser.add_argument("--layer", type=int, default=3)
    called = parser.parse_args()
    torch.set_num_threads(1)
    given, layer = sentences(called.timit), called.layer
    load = lambda: Encoder.load(called.encoder, layers=layer)  # noqa: E731
    exact, half, integers = load(), load().to(torch.bfloat16), in_int8(load())
    seconds = sum(map(len, given.waves)) / 16_000
    ways: dict[str, Callable[[], list[Tensor]]] = {
        "alone, float32": lambda: alone(exact, given, layer),
        "alone, bfloat16": lambda: alone(half, given, layer),
        "alone, int8": lambda: alone(integers, given, layer),
        "alone, float32, each 20 ms": lambda: alone(exact, given, layer, 2),
        **{
            f"in a row, windows of {w / 100:.0f} s": lambda w=w: in_a_row(exact, given, layer, w)
            for w in (400, 600, 800, 1200, 3000)
        },
    }
    usual: Tensor | None = None
    for name, hear in ways.items():
        begin = time.process_time()
        frames = hear()
        took = time.process_time() - begin
        own = fit(given, frames)
        usual = own if usual is None else usual
        print(
            f"{name:<28} {right(given, frames, own):6.1%} {right(given, frames, usual):6.1%}"
            f" {seconds / took:6.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
