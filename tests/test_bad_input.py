"""Bad input: a message that names the file and the rule; the rest goes on; nothing is lost or half
written."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from conftest import BOUND, SAMPLE

from aligner.cli import align as command
from aligner.formats.files import unbroken, written_whole
from aligner.formats.textgrid import read_textgrid, write_textgrid
from aligner.types import Fault, Interval

GOOD = 2  # utterances in the corpus before anything is broken


def run(*arguments):
    return CliRunner().invoke(command, [str(a) for a in arguments])


def statuses(out: Path) -> dict[str, tuple[str, str]]:
    with (out / "alignment.csv").open(encoding="utf-8") as file:
        rows = sorted(
            csv.DictReader(file), key=lambda r: r["status"] == "failed"
        )  # a failure is not hidden by a namesake
        return {r["file"]: (r["status"], r["reason"]) for r in rows}


def faults_of(out: Path) -> dict[str, str]:
    """The faults of what failed, by file."""
    with (out / "alignment.csv").open(encoding="utf-8") as file:
        return {r["file"]: r["fault"] for r in csv.DictReader(file) if r["status"] == "failed"}


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
    "truncated wav": (truncated_wav, "is truncated", Fault.TRUNCATED),
    "truncated flac": (truncated_flac, "truncated|cannot be read", Fault.UNREADABLE),
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
    "very short": (lambda f: write_wav(f, speech(0.001) + 0.1, "hello"), "take at least", Fault.TOO_SHORT),
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
        lambda f: ((f / "bad.m4a").write_bytes(b"0"), (f / "bad.txt").write_text("hi")),
        r"of the kind .m4a cannot be read: convert it: ffmpeg",
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
    "another script": (lambda f: write_wav(f, speech(), "你好"), "'你好'", Fault.OOV),
}


@pytest.mark.parametrize(("make", "rule", "fault"), CASES.values(), ids=CASES)
def test_one_bad_file(corpus, tmp_path, make, rule, fault):
    import re

    make(corpus / "anna")
    out = tmp_path / "out"
    result = run(corpus, out)
    assert result.exit_code == 1, result.output
    table = statuses(out)
    failed = {file: reason for file, (status, reason) in table.items() if status == "failed"}
    assert len(failed) == 1, failed
    [(file, reason)] = failed.items()
    assert file.split(".")[0] == "anna/bad"
    assert re.search(rule, reason)
    assert faults_of(out)[file] == fault
    assert re.search(rf"{file}.*{rule}", result.output), result.output
    assert "Traceback" not in result.output
    assert sum(status != "failed" for status, _ in table.values()) >= GOOD
    assert len(list(out.rglob("*.TextGrid"))) >= GOOD
    assert not list(out.rglob("*.part"))


def test_all_at_once(corpus, tmp_path):
    """Every case in a folder of its own, in one run: each named, the good ones done."""
    for k, (make, _, _) in enumerate(CASES.values()):
        (corpus / f"case{k:02}").mkdir()
        make(corpus / f"case{k:02}")
    result = run(corpus, tmp_path / "out")
    assert result.exit_code == 1
    table = statuses(tmp_path / "out")
    assert {f"case{k:02}/bad" for k in range(len(CASES))} | {"anna/kitchen", "anna/winter"} == {
        f.removesuffix(".flac").removesuffix(".m4a") for f in table
    }
    assert table["anna/kitchen"][0] == table["anna/winter"][0] == "ok"
    assert "and" in result.output
    assert "alignment.csv" in result.output


@pytest.mark.parametrize("inside", ["", "out", "a/b"])
def test_out_may_not_lie_in_the_corpus(corpus, inside):
    result = run(corpus, corpus / inside)
    assert result.exit_code == 2
    assert "lies in the corpus" in result.output
    assert not list(corpus.rglob("*.TextGrid"))


def test_out_that_cannot_be_written(corpus, tmp_path):
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "out"):
        result = run(corpus, out)
        assert result.exit_code == 2
        assert "nothing can be written" in result.output


def test_out_without_rights(corpus, tmp_path):
    out = tmp_path / "out"
    out.mkdir(mode=0o500)
    call = ["-c", "from aligner.cli import align; align()", str(corpus), str(out)]
    done = subprocess.run([sys.executable, "-c", BOUND, *call], capture_output=True, text=True)
    assert done.returncode == 2
    assert "nothing can be written" in done.stderr
    assert not list(out.iterdir())


@pytest.mark.parametrize(
    ("line", "rule"),
    [("cat", "no phones"), ("cat\tK QQ T", "'QQ'"), ("cat\t2\tK AE T", "above 0 and up to 1")],
)
def test_a_bad_dictionary_line(corpus, tmp_path, line, rule):
    book = tmp_path / "my.dict"
    book.write_text(f"a\tAH\n{line}\n")
    result = run(corpus, tmp_path / "out", "-d", book)
    assert result.exit_code == 2
    assert f"{book}:2: " in result.output
    assert rule in result.output


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("before")

    def write_half():
        with written_whole(target) as beside:
            beside.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert target.read_text() == "before"
    assert list(tmp_path.iterdir()) == [target]


def test_a_full_disk_fails_the_file_and_keeps_the_rest(corpus, tmp_path, monkeypatch):
    from aligner.corpus import results

    original = results.write_textgrid

    def full(path, *rest):
        if path.stem == "kitchen":
            raise OSError(28, "No space left on device")
        original(path, *rest)

    monkeypatch.setattr(results, "write_textgrid", full)
    result = run(corpus, tmp_path / "out")
    assert result.exit_code == 1
    assert "kitchen: its output cannot be written (No space left on device)" in result.output
    assert statuses(tmp_path / "out")["anna/winter"][0] == "ok"


# `align` that stands still where it has written the first recording's files, until somebody stops it
STANDING_STILL = """
import sys, time
from aligner.cli import align
from aligner.cli.bar import Bar

tick = Bar.tick

def still(self):
    tick(self)
    print("one is done", flush=True)
    while True:
        time.sleep(1)

Bar.tick = still
align()
"""


@pytest.mark.parametrize(
    "stop", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=["ctrl-c", "term", "kill"]
)
def test_a_stopped_run_keeps_what_is_done(corpus, tmp_path, stop):
    """Whole TextGrids only, and a second run finishes the work and the tables."""
    for k in range(20):
        for suffix in (".flac", ".lab"):
            shutil.copy(SAMPLE / "rms" / f"kitchen{suffix}", corpus / "anna" / f"k{k:03}{suffix}")
    out = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-c", STANDING_STILL, corpus, out],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "one is done\n"
    process.send_signal(stop)
    _, printed = process.communicate()
    done = len(list(out.rglob("*.TextGrid")))
    assert 0 < done < 22
    if stop != signal.SIGKILL:
        assert process.returncode == 130, printed
        assert "interrupted" in printed
        assert not list(out.rglob("*.part"))
        assert len(statuses(out)) == done
    again = run(corpus, out)
    assert again.exit_code == 0
    assert (f"skipped   {done} files" in again.output) == (stop != signal.SIGKILL)
    assert len(list(out.rglob("*.TextGrid"))) == len(statuses(out)) == 22


def test_a_name_that_is_not_unicode_fails_alone(corpus, tmp_path):
    odd = os.fsencode(corpus / "anna" / "caf").replace(b"caf", b"caf\xe9")
    for suffix in (b".flac", b".lab"):
        shutil.copy(os.fsencode(corpus / "anna" / "kitchen") + suffix, odd + suffix)
    result = run(corpus, tmp_path / "out")
    assert result.exit_code == 1
    found = statuses(tmp_path / "out")
    assert found.pop("anna/caf\\udce9") == ("failed", "its name is not Unicode: rename it")
    assert {status for status, _ in found.values()} == {"ok"}
    assert len(found) == GOOD


def test_a_speaker_keeps_the_name_where_another_failed(corpus, tmp_path):
    """Otherwise nobody could tell whose tiers they are."""
    text = (corpus / "anna" / "kitchen.lab").read_text()
    (corpus / "anna" / "kitchen.lab").unlink()
    end = soundfile.info(corpus / "anna" / "kitchen.flac").duration
    tiers = {"Ann": [Interval(0, end, text)], "Bob": [Interval(0, 0.1, text), Interval(0.1, end, "")]}
    write_textgrid(corpus / "anna" / "kitchen.TextGrid", tiers, end)
    result = run(corpus, tmp_path / "out")
    assert result.exit_code == 1
    assert [name for name, _ in read_textgrid(tmp_path / "out" / "anna" / "kitchen.TextGrid")] == [
        "Ann - words",
        "Ann - phones",
    ]


def test_ctrl_c_waits_for_what_belongs_together():
    done = []

    def work():
        with unbroken():
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)
            done.append("all")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["all"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
