#!/usr/bin/env python3
"""Fit the network that tells the upper half of the spectrum from the lower one, to wide recordings.

    wideband.py CORPUS [--write aligner/corpus/wideband.json --source TEXT]

Prints how far it is off, in dB, in each band of every second recording, when fitted to the others.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from aligner.corpus import audio, wideband
from aligner.types import Utterance

HIDDEN, EPOCHS, BATCH = 16, 60, 256
DIGITS = 4


def levels(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Levels of the lower and of the upper bands of a recording, relative to the mean of the lower ones."""
    wave = audio.read(Utterance(path.stem, path, ""), wideband.RATE).wave
    power = np.concatenate([np.abs(s) ** 2 for _, s in wideband._spectra(wave, 1)])
    faintest = wideband.FAINTEST * power.mean(1).max()
    low, high = (np.log(wideband.bands(power, e) + faintest) for e in (wideband.LOW, wideband.HIGH))
    middle = low.mean(1, keepdims=True)
    return low - middle, high - middle


def fitted(recordings: list[tuple[np.ndarray, np.ndarray]]) -> wideband.Network:
    torch.manual_seed(0)
    low, high = (np.concatenate(side) for side in zip(*recordings, strict=True))
    mean, deviation = low.mean(0), low.std(0)
    given, wanted = (torch.tensor(x, dtype=torch.float32) for x in ((low - mean) / deviation, high))
    layers = torch.nn.Linear(low.shape[1], HIDDEN), torch.nn.Linear(HIDDEN, high.shape[1])
    net = torch.nn.Sequential(layers[0], torch.nn.Tanh(), layers[1])
    optimiser = torch.optim.Adam(net.parameters(), 3e-3, weight_decay=1e-4)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(given)).split(BATCH):
            optimiser.zero_grad()
            (net(given[rows]) - wanted[rows]).square().mean().backward()
            optimiser.step()
    weights = [torch.cat([la.weight, la.bias[:, None]], 1).detach().numpy() for la in layers]
    return wideband.Network(mean=mean, deviation=deviation, hidden=weights[0], out=weights[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--write", type=Path)
    parser.add_argument("--source", default="")
    arguments = parser.parse_args()
    found = [levels(p) for p in audio.recordings_of(sorted(arguments.corpus.rglob("*")))]
    half = fitted(found[::2])
    errors = np.concatenate([half(low) - high for low, high in found[1::2]])
    for a, b, off in zip(wideband.HIGH, wideband.HIGH[1:], errors.std(0), strict=False):
        print(f"{a} to {b} Hz: {10 / np.log(10) * off:.1f} dB")
    if arguments.write:
        network = fitted(found)
        fields = {name: np.round(value, DIGITS).tolist() for name, value in vars(network).items()}
        text = json.dumps({"source": arguments.source, **fields}) + "\n"
        arguments.write.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
