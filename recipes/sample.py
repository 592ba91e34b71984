#!/usr/bin/env python3
"""Make data/sample: ten sentences in two of flite's voices, with the phone boundaries that it synthesised.

    sample.py [FOLDER]

Needs flite (Debian: apt-get install flite).  Writes NAME.flac, NAME.lab (the text) and NAME.phn (first
sample, last sample, phone; at 16 kHz, as TIMIT's) into a folder per voice.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import soundfile

RATE = 16_000
SENTENCES = {  # voice -> sentences, written for this sample
    "slt": {
        "harbour": "The harbour was quiet before the first boats came in.",
        "numbers": "On May 5, 1998, she paid $12.50 for 3 books.",
        "doctor": "Dr. Lee didn't answer the telephone until ten o'clock.",
        "merry": "A merry-go-round stood in the middle of the square.",
        "vowels": "He saw the cat, fed the dog, and put the blue boots away.",
    },
    "rms": {
        "kitchen": "There is a pot of soup on the kitchen table.",
        "measure": "Measure the length twice, and then cut the board once.",
        "station": "The train to the coast leaves the station at half past seven.",
        "phonetics": "Praat shows vowels, stops and fricatives in a spectrogram.",
        "winter": "Winter storms had washed the old bridge into the river.",
    },
}


def synthesise(voice: str, text: str) -> tuple[list[tuple[float, str]], object]:
    """(end in seconds, phone) of each segment, and the samples."""
    with tempfile.NamedTemporaryFile(suffix=".wav") as wav:
        printed = subprocess.run(
            ["flite", "-voice", voice, "-psdur", "-t", text, "-o", wav.name],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        samples, rate = soundfile.read(wav.name, dtype="int16")
    assert rate == RATE, rate
    pairs = (item.rsplit(":", 1) for item in printed.split())
    return [(float(end), phone) for phone, end in pairs], samples


def main() -> None:
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[1] / "data" / "sample")
    for voice, sentences in SENTENCES.items():
        folder = root / voice
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in sentences.items():
            segments, samples = synthesise(voice, text)
            soundfile.write(folder / f"{name}.flac", samples, RATE, subtype="PCM_16")
            (folder / f"{name}.lab").write_text(text + "\n")
            starts = [0, *(round(end * RATE) for end, _ in segments)]
            lines = [
                f"{a} {b} {phone}\n" for a, b, (_, phone) in zip(starts, starts[1:], segments, strict=False)
            ]
            (folder / f"{name}.phn").write_text("".join(lines))


if __name__ == "__main__":
    main()
