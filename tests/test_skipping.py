"""--nothing-skipped: a machine that has all that tests want may skip none but those that need a GPU."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CASES = """
import pytest

def test_good():
    pass

@pytest.mark.gpu
@pytest.mark.skipif("not __import__('torch').cuda.is_available()", reason="there is no CUDA device")
def test_fast():
    pass
"""
SKIPPED = {
    "mark": "@pytest.mark.skip(reason='no Praat')\ndef test_skipped():\n    pass\n",
    "call": "def test_skipped():\n    pytest.skip('no Praat')\n",
    "fixture": "@pytest.fixture\ndef praat():\n    pytest.skip('no Praat')\n\ndef "
    "test_skipped(praat):\n    pass\n",
    "import": "def test_skipped():\n    pytest.importorskip('no_such_praat', reason='no Praat')\n",
    "file": "pytest.skip('no Praat', allow_module_level=True)\n",
}


@pytest.fixture
def call(tmp_path):
    """A call of pytest in a folder of its own, with our conftest."""
    (tmp_path / "conftest.py").write_text(Path(__file__).with_name("conftest.py").read_text())
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = gpu: needs a CUDA device\n")

    def made(more: str, *options: str):
        (tmp_path / "test_cases.py").write_text(CASES)
        (tmp_path / "test_more.py").write_text(f"import pytest\n\n{more}")
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )

    return made


def test_what_needs_a_gpu_may_be_skipped(call):
    done = call("", "--nothing-skipped")
    assert done.returncode == 0, done.stdout
    assert "where nothing may be" not in done.stdout


@pytest.mark.parametrize("way", SKIPPED)
def test_whatever_else_is_skipped_is_an_error_and_named(call, way):
    done = call(SKIPPED[way], "--nothing-skipped")
    assert done.returncode == 1, done.stdout
    told = done.stdout.partition("skipped, where nothing may be")[2]
    name = "test_more.py" if way == "file" else "test_more.py::test_skipped"
    assert f"{name}: Skipped: no Praat" in told, done.stdout
    assert "test_fast" not in told


def test_elsewhere_skipping_is_no_error(call):
    done = call(SKIPPED["mark"])
    assert done.returncode == 0, done.stdout


def test_a_test_that_fails_still_does(call):
    done = call("def test_bad():\n    assert False\n", "--nothing-skipped")
    assert done.returncode == 1
