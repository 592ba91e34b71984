#!/usr/bin/env python3
"""Install this checkout into .venv, and what it needs exactly as the lock files have it.

    install.py run|test

``run`` is what quickstart.sh needs, ``test`` what tests/run.sh needs in addition.  TORCH=cpu takes the newest
CPU build of torch that the index has, in place of the lock's (which on Linux carries CUDA: gigabytes);
TORCH=lock goes back to the lock's.  Without it a .venv stays as it is.  What an earlier run of this script
installed and the locks no longer have is removed; what somebody else put into .venv stays.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
LOCKS = ROOT / "requirements"
RECORD = VENV / "aligner-installed.json"  # what this script installed, to know what it may remove
OF_CUDA = ("nvidia-", "cuda-")  # what only a torch with CUDA needs begins so
ENTRY = re.compile(r"^([A-Za-z0-9][\w.-]*)==(\S+)")
BACKEND = {"setuptools"}
BUILT = {"docopt", "textgrid"}  # they have no wheels: built by the lock's setuptools, not by that day's
CPU_INDEX = (
    "name one that has CPU builds, as pip takes it: PIP_EXTRA_INDEX_URL=URL, PIP_INDEX_URL=URL, or "
    "PIP_FIND_LINKS=FOLDER"
)


def entries(lock: str) -> dict[str, str]:
    """Each package of a lock file and its lines: the version, where it applies, and its hashes."""
    found: dict[str, str] = {}
    name = ""
    for line in lock.splitlines(keepends=True):
        begins = ENTRY.match(line)
        if begins:  # a package may come twice, for Pythons before and after some version
            name = re.sub(r"[-_.]+", "-", begins[1]).lower()
        if name and not line.lstrip().startswith("#"):
            found[name] = found.get(name, "") + line
    return found


def of_torch(name: str, kind: str) -> bool:
    """Whether a package is torch, or goes only with a torch that has CUDA.

    triton is such a one, but for the tests: its interpreter runs our kernels on the CPU.
    """
    return name in ("torch", "torchaudio") or name.startswith(OF_CUDA) or (name == "triton" and kind == "run")


def leftovers(there: Iterable[str], wanted: Iterable[str], ours: Iterable[str] | None, kind: str) -> set[str]:
    """What is there, not wanted any more, and ours to remove: what an earlier run installed.

    Where nothing tells what that was (``ours`` is None), it is what might not go with the torch that comes.
    Torch itself stays until another replaces it.
    """
    removable = {n for n in there if of_torch(n, kind)} if ours is None else set(ours) & set(there)
    return removable - set(wanted) - {"torch"}


def newest_cpu(versions: Iterable[str], admitted: str, system: str) -> str | None:
    """The newest CPU build of torch among ``versions``, for a range such as ``torch>=2.11,<2.15``.

    On Linux these are called 2.13.0+cpu.  What has a plain version there carries CUDA, elsewhere it does not.
    """
    low, high = (release(v) for v in re.findall(r"[\d.]+", admitted))
    labels = ("cpu",) if system == "linux" else ("cpu", "")
    fitting = [
        v
        for v in versions
        if v.partition("+")[2] in labels and re.fullmatch(r"[\d.]+(\+cpu)?", v) and low <= release(v) < high
    ]
    return max(fitting, key=release, default=None)


def release(version: str) -> tuple[int, ...]:
    """2.13.0+cpu as (2, 13, 0)."""
    return tuple(int(part) for part in version.partition("+")[0].split("."))


def admitted() -> str:
    """What pyproject.toml says of torch."""
    import tomllib  # here, so that an older Python gets as far as the line that says so

    needed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    return next(line for line in needed if line.startswith("torch>"))


def python() -> str:
    """The Python of .venv, which is made if it is not there."""
    folder = VENV / ("Scripts" if os.name == "nt" else "bin")
    path = folder / ("python.exe" if os.name == "nt" else "python")
    if not path.exists():
        new = not VENV.exists()
        if subprocess.run([sys.executable, "-m", "venv", str(VENV)]).returncode:
            if new:  # it has no pip, and would look as if it were ready
                shutil.rmtree(VENV, ignore_errors=True)
            raise SystemExit("a venv could not be made (see above); on Debian: apt-get install python3-venv")
    return str(path)


def quietly(*arguments: str) -> None:
    """Pip installs these alone.

    What is never imported is not compiled, which saves a fifth of a gigabyte; Python compiles the rest when
    it is.
    """
    pip("install", "--quiet", "--no-deps", "--no-compile", *arguments)


def pip(*arguments: str, heard: bool = False) -> str:
    """Call .venv's pip; ``heard`` returns what it prints instead of showing it."""
    call = [python(), "-m", "pip", "--disable-pip-version-check", *arguments]
    done = subprocess.run(call, check=True, text=True, stdout=subprocess.PIPE if heard else None)
    return done.stdout if heard else ""


def installed() -> dict[str, str]:
    """Names and versions in .venv."""
    return {
        re.sub(r"[-_.]+", "-", d["name"]).lower(): d["version"]
        for d in json.loads(pip("list", "--format=json", heard=True))
    }


def install(packages: dict[str, str], *options: str) -> None:
    """Exactly these: each with a hash that the lock knows, and nothing that one of them asks for besides."""
    wanted = VENV / "aligner-wanted.txt"
    wanted.write_text("".join(packages.values()), encoding="utf-8")
    try:
        quietly("--require-hashes", *options, "-r", str(wanted))
    finally:
        wanted.unlink()


def remove(names: Iterable[str]) -> None:
    """Take packages out of .venv."""
    if unwanted := sorted(names):
        pip("uninstall", "--quiet", "--yes", *unwanted)


def cpu_build(there: dict[str, str]) -> str | None:
    """The CPU build to install: None if one is there.

    Raises
    ------
    SystemExit
        If the index has none.
    """
    if newest_cpu([there.get("torch", "")], admitted(), sys.platform):
        return None
    asked = subprocess.run(
        [python(), "-m", "pip", "--disable-pip-version-check", "index", "versions", "torch"],
        capture_output=True,
        text=True,
    )
    versions = re.search(r"^Available versions: (.*)$", asked.stdout, re.M)
    if versions is None:
        trouble = (asked.stderr.strip() or "it said nothing").splitlines()[-1]
        raise SystemExit(f"TORCH=cpu: pip found no torch at all ({trouble}); {CPU_INDEX}")
    found = newest_cpu(versions[1].split(", "), admitted(), sys.platform)
    if found is None:
        raise SystemExit(f"TORCH=cpu: pip's index has no CPU build of {admitted()}; {CPU_INDEX}")
    return found


def without_cuda() -> None:
    """Make sure of it."""
    asked = subprocess.run(
        [python(), "-c", "import torch; print(torch.__version__, torch.version.cuda)"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    if asked[1] != "None":
        raise SystemExit(
            f"TORCH=cpu: the torch that was installed, {asked[0]}, carries CUDA {asked[1]}; {CPU_INDEX}"
        )


def build_metrics() -> None:
    """What has to be built by a compiler; a machine that has none does without."""
    wanted = entries((LOCKS / "built.txt").read_text(encoding="utf-8"))
    try:
        install(wanted, "--no-build-isolation", "-qq")  # without pages of what the compiler says
    except subprocess.CalledProcessError:
        print("could not build pyworld and pysptk (is there a C++ compiler?): their tests will be skipped")


def into_venv(kind: str, torch: str) -> None:
    """Install all of ``kind``, with the lock's torch or a CPU build."""
    before = installed()
    build = cpu_build(before) if torch == "cpu" else None  # before anything large is fetched
    lock = entries((LOCKS / f"{kind}.txt").read_text(encoding="utf-8"))
    if torch == "cpu":
        lock = {name: lines for name, lines in lock.items() if not of_torch(name, kind)}
    elif "+" in before.get("torch", ""):  # pip takes 2.14.1+cpu for the lock's 2.14.1
        remove(["torch"])
    remove(leftovers(before, lock, record().get("packages"), kind))
    if torch != "cpu" and "torch" not in before:
        print(
            "installing into .venv (torch is large: minutes on a slow line; TORCH=cpu takes far less)",
            flush=True,
        )
    install({n: lock[n] for n in lock if n in BACKEND})
    if build:
        quietly(f"torch=={build}")
    install({n: lock[n] for n in lock if n not in BACKEND | BUILT})
    install({n: lock[n] for n in lock if n in BUILT}, "--no-build-isolation")
    quietly("--no-build-isolation", "--editable", str(ROOT))
    RECORD.write_text(json.dumps({"kind": kind, "torch": torch, "packages": sorted(lock)}), encoding="utf-8")
    if build:
        without_cuda()


def record() -> dict[str, Any]:
    """What an earlier run left; empty if there was none, or one of before there were locks."""
    found: dict[str, Any] = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}
    return found


def main() -> None:
    """Read the call and what an earlier one left."""
    if sys.version_info < (3, 11):  # noqa: UP036 - this runs before pip could refuse
        raise SystemExit(
            f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}: PYTHON=/path/to/python"
        )
    kind = sys.argv[1]
    earlier = record()
    torch = os.environ.get("TORCH") or earlier.get("torch", "lock")
    if torch not in ("cpu", "lock"):
        raise SystemExit(f"TORCH={torch}: it is cpu (a build without CUDA) or lock (what the lock file has)")
    if earlier.get("kind") == "test":  # what the tests need holds what runs
        kind = "test"
    try:
        into_venv(kind, torch)
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"pip failed (see above): {' '.join(map(str, error.cmd[3:7]))} ...") from None
    if kind == "test":
        build_metrics()


if __name__ == "__main__":
    main()
