"""Praat runs the script that `aligner inspect` writes, without its windows."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from aligner.check.praat import LOOK, write_inspection

needs_praat = pytest.mark.skipif(shutil.which("praat") is None, reason="Praat is not installed")


def run(script, task, expect=0):
    """The lines that Praat prints, after the first, which counts the items."""
    done = subprocess.run(["praat", "--run", script, task], capture_output=True, timeout=600, cwd="/")
    assert (done.returncode == 0) == (expect == 0), done.stderr.decode()
    return done.stdout.decode().splitlines()[1:], done.stderr.decode()


def rehearse(out, items, window, show="", question="exitScript: 7"):
    """Run the interactive task with other code for its windows; `visit` counts the recordings that were
    shown.
    """
    script = write_inspection(out, items)
    text = script.read_text("utf-8").replace("\ncount = 0\n", "\ncount = 0\nvisit = 0\n", 1)
    window = f"visit += 1\nthen_go_to_number = .number + 1\n{window}"
    for name, body in (("show", show), ("window", window), ("question", question)):
        new = f"procedure {name}: .number\n{body}\nendproc"
        text, changes = re.subn(
            rf"(?ms)^procedure {name}: \.number$.*?^endproc$", lambda _, new=new: new, text
        )
        assert changes == 1
    script.write_text(text, "utf-8")
    return run(script, LOOK)[0]


EDIT = 'selectObject: grid\nSet interval text: 1, 2, "done"\n'

SAVE, NEXT, BACK, STOP = (f"clicked = {k}" for k in (4, 3, 2, 1))  # buttons of the window
