"""Shared by all tests: the model, the sample, and real speech where it is at hand."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import torch

if not torch.cuda.is_available():  # the Triton kernels then run in its interpreter; it is asked when they are imported
    os.environ["TRITON_INTERPRET"] = "1"

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "data" / "sample"
TIMIT = ROOT.parent / "shared" / "data" / "timit-dev"
JUDGE = ROOT.parent / "shared" / "score" / "score.py"
SPHINX_TESTS = Path("/usr/share/pocketsphinx/test/data")


@pytest.fixture(scope="session")
def model():
    from aligner import load_model

    return load_model()


@pytest.fixture(scope="session")
def torchaudio():
    """A peer to compare with, where there is one that goes with this torch."""
    from aligner.models import pairs

    if trouble := pairs.trouble():
        pytest.skip(trouble)
    return pairs.torchaudio()


@pytest.fixture(scope="session")
def timit() -> Path:
    if not TIMIT.is_dir():
        pytest.skip("hand-labelled speech (shared/data/timit-dev) is not here")
    return TIMIT


@pytest.fixture(scope="session")
def sphinx_tests() -> Path:
    if not SPHINX_TESTS.is_dir():
        pytest.skip("Debian's pocketsphinx-testdata is not installed")
    return SPHINX_TESTS


@pytest.fixture
def corpus(tmp_path) -> Path:
    """Two sentences of the sample in a folder of their own."""
    folder = tmp_path / "corpus" / "anna"
    folder.mkdir(parents=True)
    for name in ("kitchen", "winter"):
        for suffix in (".flac", ".lab"):
            shutil.copy(SAMPLE / "rms" / f"{name}{suffix}", folder)
    return folder.parent
