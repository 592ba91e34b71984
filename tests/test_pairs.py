"""torchaudio beside torch: what is said of a pair is so, and where it cannot be used one line tells what
can."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from types import ModuleType

import pytest
import torch
from packaging.requirements import Requirement
from support.places import ROOT

from aligner.check import doctor
from aligner.models import pairs
from aligner.models.store import load_model
from aligner.types import ModelError

CUDA = torch.version.cuda is not None
ERRORS = [
    OSError("undefined symbol: _ZN3c10"),
    RuntimeError("built for CUDA 12,\nfound 13"),
    ImportError("no library"),
]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRA = PROJECT["optional-dependencies"]["torchaudio"]


def rows(torchaudio, torch_release, cuda):
    return [p for p in pairs.TRIED if (p.torch, p.cuda, p.torchaudio) == (torch_release, cuda, torchaudio)]


def test_what_is_said_of_the_pair_that_is_here_is_so():
    if pairs.installed() is None:
        pytest.skip("torchaudio is not installed")
    [row] = rows(pairs.installed(), pairs.release(torch.__version__), CUDA)
    assert row.fits == (pairs.trouble() == ""), pairs.trouble()


def test_no_pair_is_said_twice():
    assert len({(p.torch, p.cuda, p.torchaudio) for p in pairs.TRIED}) == len(pairs.TRIED)


def test_the_extra_goes_with_every_torch_that_is_admitted():
    torches, [extra] = map(Requirement, PROJECT["dependencies"]), map(Requirement, EXTRA)
    admitted = next(r.specifier for r in torches if r.name == "torch")
    for release in {p.torch for p in pairs.TRIED if p.cuda}:
        assert admitted.contains(f"{release}.0")
        tried = [p for p in pairs.TRIED if p.torch == release and p.cuda]
        assert [p.fits for p in tried if extra.specifier.contains(p.torchaudio)] == [True]


@pytest.mark.parametrize(("version", "cuda"), [("2.11.0", True), ("2.12.1+cu130", True), ("2.14.1", True)])
def test_what_is_advised_was_seen_to_fit(version, cuda):
    [row] = rows(pairs.fitting(version, cuda), pairs.release(version), cuda)
    assert row.fits
    assert f"torchaudio=={row.torchaudio}" in pairs.advice(version, cuda)


@pytest.mark.parametrize(
    ("version", "cuda"), [("2.13.0+cpu", False), ("2.14.1", False), ("2.99.0", True), ("3.1a0", True)]
)
def test_of_what_was_not_tried_nothing_is_promised(version, cuda):
    assert pairs.fitting(version, cuda) is None
    said = pairs.advice(version, cuda)
    assert said.startswith(f"none is known to go with torch {version}")
    fitting = [p for p in pairs.TRIED if p.fits]
    assert any(f"torch {p.torch}.* built for CUDA and torchaudio {p.torchaudio}" in said for p in fitting)


@pytest.fixture
def without(monkeypatch):
    """Make torchaudio absent, or fail at its first call or when it is imported."""

    def make(error, installed="2.11.9"):
        monkeypatch.setattr(pairs, "installed", lambda: installed)
        module = ModuleType("torchaudio.functional")
        if error is None:
            module = None  # a ModuleNotFoundError when it is imported
        else:

            def forced_align(*given):
                raise error

            module.forced_align = forced_align
        monkeypatch.setitem(sys.modules, "torchaudio.functional", module)

    return make


@pytest.mark.parametrize("error", ERRORS, ids=lambda e: type(e).__name__)
def test_a_pair_that_does_not_fit_is_told_in_one_line(without, error):
    without(error)
    with pytest.raises(ModelError) as told:
        load_model("MMS_FA")
    message = str(told.value)
    assert "\n" not in message
    for words in (
        "MMS_FA",
        "torchaudio 2.11.9 does not load",
        torch.__version__,
        str(error)[:10],
        pairs.here(),
    ):
        assert words in message
    found = doctor.pairing()
    assert (found.state, found.advice) == (doctor.BROKEN, pairs.here())
    assert "2.11.9" in found.value
    assert torch.__version__ in found.value


def test_without_torchaudio_one_line_says_what_to_install(without):
    without(None, installed=None)
    with pytest.raises(ModelError, match=r"MMS_FA.*torchaudio is not installed") as told:
        load_model("MMS_FA")
    assert pairs.here() in str(told.value)
    assert "\n" not in str(told.value)
    found = doctor.pairing()
    assert found.state == doctor.NOTE  # nobody needs it who does not name one of its pipelines
    assert pairs.here() in found.advice


def test_a_pair_that_goes_together_is_well(torchaudio):
    found = doctor.pairing()
    assert found.state == doctor.OK
    assert torchaudio.__version__.partition("+")[0] in found.value


def test_nothing_else_imports_it():
    """Models that are here, and what aligns with them, leave torchaudio alone."""
    code = (
        "import sys; sys.modules['torchaudio'] = None\n"
        "import numpy, aligner\n"
        "wave = 0.1 * numpy.random.default_rng(0).standard_normal(16000).astype('float32')\n"
        "for backend in ('hmm', 'ctc'):\n"
        "    aligner.align_file(wave, 'a cat', options=aligner.Options(backend=backend))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
