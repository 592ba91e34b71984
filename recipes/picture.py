#!/usr/bin/env python3
"""Draw a recording's spectrogram with its word and phone tiers: the picture in the README,
which is made of data/sample/slt/harbour.flac and its alignment.

    picture.py RECORDING TEXTGRID PNG [--reference FILE.phn] [--from S] [--to S]

Needs matplotlib: pip install "aligner[figures]".
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import librosa
import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from aligner import Interval, Utterance
from aligner.corpus.audio import read
from aligner.corpus.labels import tier
from aligner.formats.timit import read_timit
from aligner.types import SAMPLE_RATE

WINDOW, HOP, HIGHEST = 0.005, 0.001, 6000  # s, s, Hz: a wideband spectrogram, as phoneticians read them


def draw_tier(axis, intervals: Sequence[Interval], title: str, size: int) -> None:
    for i in intervals:
        axis.axvline(i.start, color="0.3", linewidth=0.7)
        axis.text((i.start + i.end) / 2, 0.5, i.label, ha="center", va="center", fontsize=size, clip_on=True)
    axis.set_yticks([0.5], [title])
    axis.tick_params(left=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name in ("recording", "textgrid", "png"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--reference", type=Path)
    parser.add_argument("--from", dest="start", type=float, default=0.0)
    parser.add_argument("--to", dest="end", type=float)
    args = parser.parse_args()
    wave = read(Utterance("", args.recording, "")).wave
    end = args.end or len(wave) / SAMPLE_RATE
    hop, window = int(HOP * SAMPLE_RATE), int(WINDOW * SAMPLE_RATE)
    spectrum = np.abs(librosa.stft(wave, n_fft=512, hop_length=hop, win_length=window))
    decibel = librosa.amplitude_to_db(spectrum, ref=np.max)
    rows = [("words", tier(args.textgrid, "words"), 11), ("phones", tier(args.textgrid, "phones"), 8)]
    if args.reference:
        rows.append(("labelled", read_timit(args.reference), 8))
    figure, axes = plt.subplots(
        1 + len(rows),
        sharex=True,
        figsize=(12, 3.4 + 0.4 * len(rows)),
        gridspec_kw={"height_ratios": [7, *[1] * len(rows)], "hspace": 0.0},
    )
    axes[0].imshow(
        decibel,
        origin="lower",
        aspect="auto",
        cmap="gray_r",
        vmin=-60,
        vmax=-5,
        extent=(0, spectrum.shape[1] * HOP, 0, SAMPLE_RATE / 2),
    )
    axes[0].set_ylim(0, HIGHEST)
    axes[0].set_ylabel("Hz")
    for axis, (title, intervals, size) in zip(axes[1:], rows, strict=True):
        draw_tier(axis, intervals, title, size)
    for i in rows[1][1]:
        axes[0].axvline(i.start, color="tab:red", linewidth=0.6, alpha=0.7)
    axes[-1].set_xlim(args.start, end)
    axes[-1].set_xlabel("s")
    figure.savefig(args.png, dpi=110, bbox_inches="tight")


if __name__ == "__main__":
    main()
