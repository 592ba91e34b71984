"""Corpora that cannot be aligned: each case makes bad files in a folder and names the rule they break."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import soundfile

from aligner.formats.textgrid import write_textgrid
from aligner.types import Fault, Interval
from support.places import SAMPLE


def speech(seconds: float | None = None) -> np.ndarray:
    samples, _ = soundfile.read(SAMPLE / "rms" / "kitchen.flac")
    return samples if seconds is None else samples[: int(16000 * seconds)]


def write_wav(folder: Path, samples, text: str | None = "There is a pot of soup.", subtype="PCM_16") -> None:
    soundfile.write(folder / "bad.wav", samples, 16000, subtype=subtype)
    if text is not None:
        (folder / "bad.lab").write_text(text)


def with_nan(samples):
    samples = samples.copy()
    samples[1000] = np.nan
    return samples


def truncated_wav(folder):
    write_wav(folder, speech())
    path = folder / "bad.wav"
    path.write_bytes(path.read_bytes()[:20000])


def truncated_flac(folder):
    shutil.copy(SAMPLE / "rms" / "kitchen.flac", folder / "bad.flac")
    (folder / "bad.lab").write_text("There is a pot of soup.")
    path = folder / "bad.flac"
    path.write_bytes(path.read_bytes()[:20000])


def textgrid_of(*intervals):
    def make(folder):
        write_wav(folder, speech(), None)
        if all(b > a for a, b, _ in intervals):
            write_textgrid(folder / "bad.TextGrid", {"bob": [Interval(*i) for i in intervals]}, 2.84)
        else:
            write_textgrid(folder / "bad.TextGrid", {"bob": [Interval(0, 1, "x")]}, 2.84)
            path = folder / "bad.TextGrid"
            path.write_text(
                path.read_text().replace("xmax = 1.0", "xmax = -1.0").replace("xmax = 1\n", "xmax = -1\n")
            )

    return make


def two_of_one_name(folder):  # the wav is aligned, the flac told
    write_wav(folder, speech(), "There is a pot of soup on the kitchen table.")
    soundfile.write(folder / "bad.flac", speech(), 16000)


CASES = {
    "audio without transcript": (
        lambda f: write_wav(f, speech(), None),
        "has no transcript",
        Fault.NO_TRANSCRIPT,
    ),
    "transcript without audio": (
        lambda f: (f / "bad.lab").write_text("hello"),
        "has no recording beside it",
        Fault.NO_RECORDING,
    ),
    "empty file": (
        lambda f: ((f / "bad.wav").touch(), (f / "bad.lab").write_text("hi")),
        "is empty",
        Fault.UNREADABLE,
    ),
    "no samples": (lambda f: write_wav(f, np.zeros(0)), "is empty", Fault.UNREADABLE),
    "not audio": (
        lambda f: ((f / "bad.wav").write_text("hello"), (f / "bad.lab").write_text("hi")),
        "cannot be read",
        Fault.UNREADABLE,
    ),
    "truncated wav": (truncated_wav, "is truncated or damaged: 0.62 of 2.84 s", Fault.TRUNCATED),
    "truncated flac": (truncated_flac, "is truncated or damaged: 1.02 of 2.84 s", Fault.TRUNCATED),
    "NaN": (lambda f: write_wav(f, with_nan(speech()), subtype="FLOAT"), "not numbers", Fault.UNREADABLE),
    "silent": (lambda f: write_wav(f, np.zeros(16000)), "silent throughout", Fault.SILENT),
    "empty transcript": (lambda f: write_wav(f, speech(), ""), "transcript is empty", Fault.EMPTY_TRANSCRIPT),
    "punctuation only": (
        lambda f: write_wav(f, speech(), "... -- !"),
        "only punctuation",
        Fault.EMPTY_TRANSCRIPT,
    ),
    "more phones than frames": (
        lambda f: write_wav(f, speech(0.6), "There is a pot of soup on the kitchen table."),
        "take at least .* s, the recording has",
        Fault.TOO_SHORT,
    ),
    "very short": (
        lambda f: write_wav(f, np.repeat([0.1, -0.1, 0.1, -0.1], 4), "hello"),
        "take at least",
        Fault.TOO_SHORT,
    ),
    "overlapping intervals": (
        textgrid_of((0, 1.5, "there"), (1, 2, "is")),
        "interval 2 of tier 'bob' begins at 1 s",
        Fault.BAD_TRANSCRIPT,
    ),
    "reversed interval": (textgrid_of((1, 0, "there")), "reversed or empty", Fault.BAD_TRANSCRIPT),
    "interval beyond the end": (
        textgrid_of((0, 2.5, "there is a pot of soup"), (3.2, 4, "soup")),
        "does not lie in",
        Fault.BAD_TIMES,
    ),
    "textgrid without text": (
        textgrid_of((0, 2.84, " ")),
        "no interval has text; its tiers are bob",
        Fault.EMPTY_TRANSCRIPT,
    ),
    "two tiers of one name": (
        lambda f: (
            write_wav(f, speech(), None),
            (f / "bad.TextGrid").write_text(
                'File type = "ooTextFile"\nObject class = "TextGrid"\n\n0\n2\n<exists>\n2\n'
                + '"IntervalTier"\n"bob"\n0\n2\n1\n0\n2\n"there is"\n' * 2
            ),
        ),
        "two tiers are named 'bob'",
        Fault.BAD_TRANSCRIPT,
    ),
    "undecodable bytes": (
        lambda f: (write_wav(f, speech()), (f / "bad.lab").write_bytes(b"caf\xe9 ol\xe9\n")),
        "bad.lab:1: byte 0xE9 is not UTF-8",
        Fault.BAD_TRANSCRIPT,
    ),
    "one name twice": (two_of_one_name, "has the same name", Fault.DUPLICATE_NAME),
    "a kind that is not read": (
        lambda f: ((f / "bad.raw").write_bytes(b"0"), (f / "bad.txt").write_text("hi")),
        r"of the kind .raw cannot be read: say what its samples are: ffmpeg -f s16le",
        Fault.UNREADABLE,
    ),
    "an alignment as transcript": (
        lambda f: (
            write_wav(f, speech(), None),
            write_textgrid(
                f / "bad.TextGrid", {"words": [Interval(0, 1, "x")], "phones": [Interval(0, 1, "K")]}, 2.84
            ),
        ),
        "holds an alignment",
        Fault.BAD_TRANSCRIPT,
    ),
}
