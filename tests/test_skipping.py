"""--nothing-skipped: a machine that has all that tests want may skip none but those that need a GPU."""

from __future__ import annotations

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
def call(pytester):
    """A call of pytest in a folder of its own, with our conftest."""
    pytester.makeconftest(Path(__file__).with_name("conftest.py").read_text())
    pytester.makeini("[pytest]\nmarkers = gpu: needs a CUDA device\n")

    def made(more: str, *options: str) -> tuple[int, str]:
        pytester.makepyfile(test_cases=CASES, test_more=f"import pytest\n\n{more}")
        done = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:hypothesispytest", *options)
        return done.ret, done.stdout.str()

    return made


def test_what_needs_a_gpu_may_be_skipped(call):
    code, told = call("", "--nothing-skipped")
    assert code == 0, told
    assert "where nothing may be" not in told


@pytest.mark.parametrize("way", SKIPPED)
def test_whatever_else_is_skipped_is_an_error_and_named(call, way):
    code, told = call(SKIPPED[way], "--nothing-skipped")
    assert code == 1, told
    named = told.partition("skipped, where nothing may be")[2]
    name = "test_more.py" if way == "file" else "test_more.py::test_skipped"
    assert f"{name}: Skipped: no Praat" in named, told
    assert "test_fast" not in named


def test_elsewhere_skipping_is_no_error(call):
    code, told = call(SKIPPED["mark"])
    assert code == 0, told


def test_a_test_that_fails_still_does(call):
    code, told = call("def test_bad():\n    assert False\n", "--nothing-skipped")
    assert code == 1, told
