"""Bad input: a message that names the file and the rule; the rest goes on; nothing is lost or half
written."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
from click.testing import CliRunner
from support.bad_input import CASES, speech, write_wav
from support.places import SAMPLE
from support.processes import BOUND

from aligner.cli import align as command
from aligner.formats.files import unbroken, written_whole
from aligner.formats.textgrid import read_textgrid, write_textgrid
from aligner.types import Interval

GOOD = 2  # utterances in the corpus before anything is broken


def run(*arguments):
    return CliRunner().invoke(command, [str(a) for a in arguments])


def statuses(out: Path) -> dict[str, tuple[str, str]]:
    with (out / "alignment.csv").open(encoding="utf-8") as file:
        # a failure is not hidden by a namesake
        rows = sorted(csv.DictReader(file), key=lambda r: r["status"] == "failed")
        return {r["file"]: (r["status"], r["reason"]) for r in rows}


def faults_of(out: Path) -> dict[str, str]:
    """The faults of what failed, by file."""
    with (out / "alignment.csv").open(encoding="utf-8") as file:
        return {r["file"]: r["fault"] for r in csv.DictReader(file) if r["status"] == "failed"}


@pytest.mark.parametrize(("make", "rule", "fault"), CASES.values(), ids=CASES)
def test_one_bad_file(corpus, tmp_path, make, rule, fault):
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


def test_another_script_is_no_fault(corpus, tmp_path):
    write_wav(corpus / "anna", speech(), "你好")
    out = tmp_path / "out"
    result = run(corpus, out)
    assert result.exit_code == 0, result.output
    assert statuses(out)["anna/bad"][0] != "failed"
    assert "你好,N IH1 HH AW0,1,anna/bad" in (out / "oovs.csv").read_text(encoding="utf-8")


def test_all_at_once(corpus, tmp_path):
    """Every case in a folder of its own, in one run: each named, the good ones done."""
    for k, (make, _, _) in enumerate(CASES.values()):
        (corpus / f"case{k:02}").mkdir()
        make(corpus / f"case{k:02}")
    result = run(corpus, tmp_path / "out")
    assert result.exit_code == 1
    table = statuses(tmp_path / "out")
    assert {f"case{k:02}/bad" for k in range(len(CASES))} | {"anna/kitchen", "anna/winter"} == {
        f.removesuffix(".flac").removesuffix(".raw") for f in table
    }
    assert table["anna/kitchen"][0] == table["anna/winter"][0] == "ok"
    assert re.search(r"and \d+ more: see .*alignment\.csv", result.output)


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
    [("cat", "no phones"), ("cat\tK QQ T", "'QQ'"), ("cat\t2\tK AE T", "a probability is a number up to 1")],
)
def test_a_bad_dictionary_line(corpus, tmp_path, line, rule):
    book = tmp_path / "my.dict"
    book.write_text(f"a\tAH\n{line}\n")
    result = run(corpus, tmp_path / "out", "-d", book, "--strict")
    assert result.exit_code == 2
    assert f"{book}:2: " in result.output
    assert rule in result.output
    assert not (tmp_path / "out" / "alignment.csv").exists()
    result = run(corpus, tmp_path / "out", "-d", book)
    assert result.exit_code == 0
    assert f"warning   {book}: a line cannot be used" in result.output
    assert "line 2: " in result.output
    assert rule in result.output
    warnings = json.loads((tmp_path / "out" / "run.json").read_text())["warnings"]
    assert [w["fault"] for w in warnings] == ["dictionary", "oov"]


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
    from aligner.formats import textgrid

    original = textgrid.write_textgrid

    def full(path, *rest):
        if path.stem == "kitchen":
            raise OSError(28, "No space left on device")
        original(path, *rest)

    monkeypatch.setattr(textgrid, "write_textgrid", full)
    result = run(corpus, tmp_path / "out")
    assert result.exit_code == 1
    assert "kitchen: its output cannot be written (No space left on device)" in result.output
    assert statuses(tmp_path / "out")["anna/winter"][0] == "ok"


# `align` that stands still where it has written the first recording's files, until somebody stops it
STANDING_STILL = """
import sys, threading
from aligner.cli import align
from aligner.cli.actions.bar import Bar

tick = Bar.tick

def still(self):
    tick(self)
    print("one is done", flush=True)
    threading.Event().wait()

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
            signal.raise_signal(signal.SIGINT)
            done.append("all")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["all"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
