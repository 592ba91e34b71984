"""Shared by all tests: the model, the sample, and real speech where it is at hand."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
from functools import cache
from pathlib import Path

import pytest
import torch
from support.places import SAMPLE, SPHINX_TESTS, TIMIT

# the Triton kernels then run in its interpreter; it is asked when they are imported
if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"

pytest_plugins = ["pytester"]
torch.set_num_threads(1)  # products this small take longer in several, and far longer on a busy machine

# Where the tests run in the background it is ignored, and so it is by what they start
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser):
    parser.addoption(
        "--nothing-skipped",
        action="store_true",
        help="a skipped test is an error, unless it needs a GPU: where all is there that tests want",
    )


def pytest_collection_modifyitems(items):
    """What needs a GPU is skipped without one; so are examples of eSpeak's module where there is no
    eSpeak."""
    gpu, espeak = torch.cuda.is_available(), importlib.util.find_spec("espeakng_loader") is not None
    for item in items:
        if not gpu and item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="there is no CUDA device"))
        if (
            not espeak
            and isinstance(item, pytest.DoctestItem)
            and item.name.startswith("aligner.reference.espeak.")
        ):
            item.add_marker(pytest.mark.skip(reason="eSpeak NG is not installed: pip install 'aligner[dtw]'"))


def forbidden(reporter) -> list[tuple[str, str]]:
    """Tests (or whole files) that were skipped and need no GPU, with the reason of each."""
    skipped = [r for r in reporter.stats.get("skipped", ()) if "gpu" not in getattr(r, "keywords", ())]
    return [(r.nodeid, str(r.longrepr[2] if isinstance(r.longrepr, tuple) else r.longrepr)) for r in skipped]


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if (
        session.config.getoption("nothing_skipped")
        and session.exitstatus == 0
        and reporter
        and forbidden(reporter)
    ):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter, config):
    if config.getoption("nothing_skipped") and (found := forbidden(terminalreporter)):
        terminalreporter.section("skipped, where nothing may be", red=True)
        for nodeid, reason in found:
            terminalreporter.line(f"{nodeid}: {reason}")


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
def aligned_by(tmp_path_factory):
    """Corpora aligned once for all tests that only read what comes out: ``aligned_by(backend, corpus)``."""
    from support.runs import aligned

    @cache
    def made(backend: str, corpus: Path):
        return aligned(backend, corpus, tmp_path_factory.mktemp(backend) / "out")

    return made


@pytest.fixture(scope="module")
def two_threads():
    """As many threads for torch and the kernels as prove that several give what one gives."""
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


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
