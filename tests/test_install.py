"""What a fresh machine installs: locks that hold what pyproject.toml asks for, and what of them a CPU build
needs.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib

import pytest
from packaging.requirements import Requirement
from support.places import ROOT

sys.path.insert(0, str(ROOT / "recipes" / "ci"))
import install

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
LOCKS = {name: (ROOT / "requirements" / f"{name}.txt").read_text() for name in ("run", "test", "built")}
ASKED = {
    "run": [*PROJECT["dependencies"], *EXTRAS["dtw"]],
    "test": [*PROJECT["dependencies"], *EXTRAS["dtw"], *EXTRAS["test"], *EXTRAS["metrics"], *EXTRAS["docs"]],
}


def pinned(name: str) -> dict[str, set[str]]:
    """Package to versions: it has several where Pythons or systems differ."""
    found = install.entries(LOCKS[name])
    return {package: set(re.findall(r"^\S+==(\S+)", lines, re.M)) for package, lines in found.items()}


@pytest.mark.parametrize("name", ASKED)
def test_a_lock_holds_what_is_asked_for(name):
    have = pinned(name) | (pinned("built") if name == "test" else {})
    for requirement in map(Requirement, ASKED[name]):
        versions = have[re.sub(r"[-_.]+", "-", requirement.name).lower()]
        assert all(requirement.specifier.contains(v) for v in versions), (requirement, versions)


@pytest.mark.parametrize("name", LOCKS)
def test_every_entry_has_a_hash_and_none_names_a_place(name):
    entries = install.entries(LOCKS[name])
    assert len(entries) > 1
    for package, lines in entries.items():
        for entry in re.split(r"^(?=\S)", lines, flags=re.M)[1:]:
            assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), package
    assert not re.search(r"://|--(extra-)?index|--find-links|^-|^\S*/", LOCKS[name], re.M)


def test_what_runs_is_the_same_with_the_tests_as_without():
    run, test = pinned("run"), pinned("test")
    assert run.items() <= test.items()
    assert not set(test) & set(pinned("built"))


@pytest.mark.parametrize("kind", ["run", "test"])
def test_a_cpu_build_needs_all_but_what_belongs_to_cuda(kind):
    lock = install.entries(LOCKS[kind])
    gone = {n for n in lock if install.of_torch(n, kind)}
    assert {"torch", "nvidia-cublas", "cuda-toolkit"} <= gone
    assert ("triton" in gone) == (kind == "run")  # its interpreter runs our kernels in the tests
    assert {"numpy", "sympy", "networkx", "jinja2", "fsspec", "filelock", "typing-extensions"} <= set(
        lock
    ) - gone
    assert all(n.startswith(("nvidia-", "cuda-")) for n in gone - {"torch", "torchaudio", "triton"})


def test_entries_are_the_lines_of_a_lock():
    a, old, new = (f"{pin} \\\n    --hash=sha256:0\n" for pin in ("a==1", "B.c==2 ; x", "b-c==3 ; y"))
    assert install.entries(f"# made by\n{a}    # via b\n{old}{new}") == {"a": a, "b-c": old + new}


@pytest.mark.parametrize(
    ("versions", "system", "found"),
    [
        (["2.15.0", "2.14.1", "2.13.0+cpu", "2.13.0", "2.12.1"], "linux", "2.13.0+cpu"),
        (["2.9.1+cpu", "2.15.0+cpu", "2.14.1"], "linux", None),
        (["2.11.0+cpu", "2.11.10+cpu", "2.11.9+cpu"], "linux", "2.11.10+cpu"),
        (["2.14.1+cu130", "2.14.1"], "linux", None),
        (["2.15.0", "2.14.1", "2.14.0"], "darwin", "2.14.1"),
        (["2.14.1+cu130", "2.13.0+cpu"], "win32", "2.13.0+cpu"),
        (["2.14.0rc1", ""], "darwin", None),
        ([], "linux", None),
    ],
)
def test_the_newest_cpu_build_is_taken(versions, system, found):
    assert install.newest_cpu(versions, "torch>=2.11,<2.15", system) == found


def test_only_what_was_ours_is_removed():
    there = ["torch", "torchaudio", "nvidia-cublas", "old", "mine", "numpy"]
    ours = ["old", "numpy", "nvidia-cublas", "torch"]
    assert install.leftovers(there, ["numpy"], ours, "run") == {"old", "nvidia-cublas"}
    assert install.leftovers(there, ["numpy"], None, "run") == {"torchaudio", "nvidia-cublas"}
    assert install.leftovers(there, ["numpy", "torchaudio"], None, "test") == {"nvidia-cublas"}


@pytest.fixture
def fresh(tmp_path):
    """A checkout without a .venv, as far as installing looks at it, and pip's settings without any index."""
    folder = tmp_path / "checkout"
    (folder / "recipes" / "ci").mkdir(parents=True)
    shutil.copy(ROOT / "recipes" / "ci" / "install.py", folder / "recipes" / "ci")
    shutil.copy(ROOT / "pyproject.toml", folder)
    shutil.copytree(ROOT / "requirements", folder / "requirements")
    others = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    environment = {**others, "PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1"}

    def call(**more):
        return subprocess.run(
            [sys.executable, folder / "recipes" / "ci" / "install.py", "run"],
            env=environment | more,
            capture_output=True,
            text=True,
        )

    return call


def test_without_a_cpu_build_it_ends_before_anything_is_fetched(fresh, tmp_path):
    done = fresh(TORCH="cpu")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    for word in ("TORCH=cpu", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"):
        assert word in done.stderr
    packages = {p.name.partition("-")[0] for p in (tmp_path / "checkout" / ".venv").rglob("*.dist-info")}
    assert packages <= {"pip", "setuptools"}


def test_a_word_that_is_no_torch_is_refused(fresh):
    done = fresh(TORCH="gpu")
    assert done.returncode == 1
    assert done.stderr == "TORCH=gpu: it is cpu (a build without CUDA) or lock (what the lock file has)\n"
