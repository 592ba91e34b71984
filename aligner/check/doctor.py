"""Checks of an installation and its machine: what is wrong or slow, and what to do about it."""

from __future__ import annotations

import importlib.metadata as metadata
import locale
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from packaging.requirements import Requirement

from aligner import __version__
from aligner.backends.choose import chosen
from aligner.backends.options import Compute, Options
from aligner.bench import agreement, planted
from aligner.bench.aligning import made_up, whole
from aligner.bench.family import devices
from aligner.bench.machine import cpu_model, cuda_devices, quota
from aligner.bench.timing import timed
from aligner.parallel.cores import THREAD_VARIABLES, cores
from aligner.parallel.monitor import Gpu, gpus, in_units

OK, NOTE, SLOW, BROKEN = "ok", "note", "slow", "broken"
LEAST_ROOM = 1_000_000_000  # bytes of memory, and of temporary space, below which it gets tight
# audio seconds per second of one process on one core, of a made-up corpus (100 to 225 were seen)
USUAL_SPEED = 150.0
SMALL_ARRAY = 200_000  # numbers that threads are tried on
LEAST_GAIN = 0.5  # of the speed of one thread, below which several are in each other's way
LARGEST_SLOWDOWN = 4.0  # times than usual, from which something is wrong
MAIN_PACKAGES = (
    "torch",
    "torchaudio",
    "numba",
    "triton",
    "soundfile",
    "librosa",
    "pocketsphinx",
    "hama",
    "psutil",
)
EXTRAS = {  # what each optional extra of the package is for
    "dtw": "--backend dtw and --language: reference speech in 148 languages (eSpeak NG)",
    "ctc": "--backend ctc with networks of Hugging Face",
    "metrics": "aligner speech-metrics",
    "gpu": "how busy a GPU is, while align runs",
}


@dataclass(frozen=True)
class Finding:
    """A part that was looked at, and its state."""

    name: str
    """What was looked at."""
    value: str
    """How it is, in words."""
    state: str = OK
    """`OK`, `NOTE` (neither good nor bad), `SLOW` or `BROKEN`."""
    advice: str = ""
    """What to do, in one line."""


def _devices() -> Iterator[Finding]:
    yield Finding("cpu", f"{cpu_model()}, {cores()} of {psutil.cpu_count() or cores()} cores for us")
    limit = quota()
    if limit is not None and limit < cores():
        yield Finding(
            "quota",
            f"this container gets the time of {limit:g} cores",
            SLOW,
            f"--jobs {max(1, round(limit))}: more processes than that wait for one another",
        )
    yield memory(psutil.virtual_memory())
    yield from cuda(cuda_devices(), gpus()())


def memory(now: Any) -> Finding:
    """Return the finding about memory, from ``psutil.virtual_memory()``."""
    short = now.available < LEAST_ROOM
    return Finding(
        "memory",
        f"{in_units(now.total)}, {in_units(now.available)} of it free",
        SLOW if short else OK,
        "end other programs, or take --jobs 1: a process needs half a gigabyte" if short else "",
    )


def cuda(found: Sequence[str], seen: Gpu | None) -> Iterator[Finding]:
    """Yield findings about the devices that torch sees, and whether NVML sees them, too."""
    for device in found:
        yield Finding("cuda", device)
    if not found and seen is None:
        yield Finding("cuda", "no device: everything runs on the CPU", NOTE)
    elif not found:
        yield Finding(
            "cuda",
            "NVML sees a GPU, torch does not",
            SLOW,
            "install a torch that is built for CUDA, or a driver that is new enough for it",
        )
    elif seen is None:
        yield Finding("nvml", "not there", NOTE, "pip install 'aligner[gpu]' shows how busy the GPU is")
    if seen is not None:
        yield Finding("nvml", f"{in_units(seen.memory)} in use, busy {seen.percent:.0f} %")


def _versions() -> Iterator[Finding]:
    yield Finding("aligner", __version__)
    yield Finding("python", sys.version.split()[0])
    try:
        requirements = [Requirement(r) for r in metadata.requires("aligner") or ()]
    except metadata.PackageNotFoundError:
        yield Finding(
            "installation",
            "not by pip, so it is not known which versions are needed",
            NOTE,
            "pip install . in the folder of pyproject.toml",
        )
        requirements = []
    yield from versions(requirements, _installed)
    yield libsndfile()
    yield of_ffmpeg(shutil.which("ffmpeg"), shutil.which("ffprobe"))
    yield pairing()


def _installed(name: str) -> str | None:
    """Return the version of a distribution; None where it is not installed."""
    with suppress(metadata.PackageNotFoundError):
        return metadata.version(name)
    return None


def versions(
    requirements: Sequence[Requirement], installed: Callable[[str], str | None]
) -> Iterator[Finding]:
    """Yield the versions of what the package needs beside those that are needed; then what the optional
    extras give.
    """
    needed = {r.name: r for r in requirements if r.marker is None or r.marker.evaluate({"extra": ""})}
    for name in dict.fromkeys((*MAIN_PACKAGES, *needed)):
        version, requirement = installed(name), needed.get(name)
        if requirement is not None and not _meets(requirement, version):
            yield Finding(
                name,
                f"{version or 'not there'}; {requirement.specifier} is needed",
                BROKEN,
                f"pip install '{name}{requirement.specifier}'",
            )
        elif name in MAIN_PACKAGES:
            yield Finding(name, version or "not there", OK if version else NOTE)
    for extra in (e for e in EXTRAS if any(_only_of_extra(r, e) for r in requirements)):
        lacking = [
            r.name for r in requirements if _only_of_extra(r, extra) and not _meets(r, installed(r.name))
        ]
        yield Finding(
            f"[{extra}]",
            f"not there: {EXTRAS[extra]}" if lacking else "there",
            NOTE if lacking else OK,
            f"if you want it: pip install 'aligner[{extra}]'" if lacking else "",
        )


def _meets(requirement: Requirement, version: str | None) -> bool:
    return version is not None and requirement.specifier.contains(version, prereleases=True)


def _only_of_extra(requirement: Requirement, extra: str) -> bool:
    """Return whether an extra needs a requirement, and nothing else does."""
    marker = requirement.marker
    return marker is not None and marker.evaluate({"extra": extra}) and not marker.evaluate({"extra": ""})


def libsndfile() -> Finding:
    """Return the finding about libsndfile, which reads recordings."""
    import soundfile

    version = soundfile.__libsndfile_version__
    formats = soundfile.available_formats()
    missing = [name for name in ("WAV", "FLAC", "OGG", "MP3") if name not in formats]
    if missing:
        return Finding(
            "libsndfile",
            f"{version}, which cannot read {', '.join(missing)}",
            SLOW,
            "pip install --force-reinstall soundfile brings a newer one",
        )
    return Finding("libsndfile", version)


def of_ffmpeg(decoder: str | None, prober: str | None) -> Finding:
    """Return the finding about the programs that read what libsndfile does not, from where they are."""
    what = "m4a, mp4, mov, webm and the like"
    get = "apt install ffmpeg, brew install ffmpeg, winget install ffmpeg or conda install ffmpeg"
    if decoder is None:
        return Finding("ffmpeg", f"not there: {what} are not read", NOTE, f"if you have such: {get}")
    if prober is None:
        rule = f"{decoder}, but ffprobe is not there: truncated {what} are not noticed"
        return Finding("ffmpeg", rule, NOTE, f"install all of it: {get}")
    return Finding("ffmpeg", f"{decoder}: {what} are read")


def pairing() -> Finding:
    """Return whether torchaudio is there, and its compiled part goes with this torch."""
    import torch

    from aligner.models import pairs

    name, build = "torch + torchaudio", f"torch is built for CUDA {torch.version.cuda or 'none'}"
    trouble = pairs.trouble()
    if not trouble:
        return Finding(name, f"{torch.__version__} and {pairs.installed()} go together ({build})")
    if pairs.installed() is None:
        return Finding(
            name, f"{trouble} ({build})", NOTE, f"only -m MMS_FA and its like need it: {pairs.here()}"
        )
    return Finding(name, f"{trouble} ({build})", BROKEN, pairs.here())


def _kernels() -> Iterator[Finding]:
    for kernel, device in agreement.places(devices()):
        wrong = [f"{a.search}: {a.trouble}" for a in agreement.compare(kernel, device) if a.trouble]
        yield Finding(
            f"{kernel} on {device}",
            "; ".join(wrong) if wrong else f"equals the reference in {', '.join(agreement.SEARCHES)}",
            BROKEN if wrong else OK,
            f"take --kernel reference, and report this with the version of {kernel}" if wrong else "",
        )
    yield Finding("reference", "runs everywhere (plain torch, slow)")
    from aligner.search.kernels.viterbi_numba import step

    compiled: Any = step
    kept = compiled.stats.cache_path
    yield cache(None if kept is None else Path(kept))


def cache(folder: Path | None) -> Finding:
    """Return whether what numba compiles is kept; ``folder`` is where, None if it found no place."""
    advice = "set NUMBA_CACHE_DIR to a folder that can be written: each start compiles for seconds otherwise"
    if folder is None:
        return Finding("numba's cache", "there is no place for it", SLOW, advice)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        return Finding("numba's cache", f"{folder} cannot be written ({error.strerror})", SLOW, advice)
    return Finding("numba's cache", str(folder))


def _surroundings() -> Iterator[Finding]:
    import torch

    yield from threads(os.environ, cores(), torch.get_num_threads())
    if torch.get_num_threads() > 1:
        yield parallel(torch.get_num_threads(), *together())
    yield temporary(Path(tempfile.gettempdir()))
    streams = {name: getattr(getattr(sys, name), "encoding", None) for name in ("stdin", "stdout", "stderr")}
    yield encodings(
        {**streams, "files": sys.getfilesystemencoding(), "text": locale.getpreferredencoding(False)}
    )
    with suppress(OSError, AttributeError):
        load = os.getloadavg()[0]
        busy = load > cores() + 0.5
        yield Finding(
            "load",
            f"{load:.1f} on {cores()} cores",
            NOTE if busy else OK,
            "others compute here, too: figures of speed will be low" if busy else "",
        )


def threads(environment: Mapping[str, str], available: int, of_torch: int) -> Iterator[Finding]:
    """Yield whether libraries start more threads than there are cores."""
    for name in THREAD_VARIABLES:
        value = environment.get(name, "")
        if value.isdigit() and int(value) > available:
            yield Finding(
                name, f"{value}, on {available} cores", SLOW, f"export {name}={available}, or unset it"
            )
    more = of_torch > available
    yield Finding(
        "torch's threads",
        f"{of_torch}, on {available} cores",
        SLOW if more else OK,
        f"export OMP_NUM_THREADS={available}: threads that wait for a core slow down the others"
        if more
        else "",
    )


def together() -> tuple[float, float]:
    """Return the seconds that one thread takes for a little work, and that all threads of torch take for it
    together.
    """
    import torch

    numbers, threads, found = torch.zeros(SMALL_ARRAY), torch.get_num_threads(), []
    try:
        for count in (1, threads):
            torch.set_num_threads(count)
            found.append(timed(lambda: [numbers.exp() for _ in range(10)], 5).median)
    finally:
        torch.set_num_threads(threads)
    return found[0], found[1]


def parallel(count: int, alone: float, all_of_them: float) -> Finding:
    """Return whether so many threads help one another, or wait for a core that somebody else has."""
    gain = alone / all_of_them
    name = "threads together"
    if gain < LEAST_GAIN:
        return Finding(
            name,
            f"{count} take {1 / gain:.0f} times as long as one",
            SLOW,
            "others have the cores: export OMP_NUM_THREADS=1, or end what else runs",
        )
    return Finding(name, f"{count} are {gain:.1f} times as fast as one")


def temporary(folder: Path) -> Finding:
    """Return whether there is room for temporary files."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            free = shutil.disk_usage(folder).free
    except OSError as error:
        return Finding(
            "temporary space",
            f"{folder} cannot be written ({error.strerror})",
            BROKEN,
            "set TMPDIR to a folder that can be written",
        )
    short = free < LEAST_ROOM
    return Finding(
        "temporary space",
        f"{in_units(free)} free in {folder}",
        SLOW if short else OK,
        "set TMPDIR to a folder with more room" if short else "",
    )


def encodings(found: Mapping[str, str | None]) -> Finding:
    """Return whether all text that goes in and out is Unicode; None stands for a stream that is not there."""
    others = [
        f"{name} in {code}" for name, code in found.items() if code and not code.lower().startswith("utf")
    ]
    if others:
        return Finding(
            "encodings",
            ", ".join(others),
            SLOW,
            "export PYTHONUTF8=1: names and words with accents get lost otherwise",
        )
    return Finding("encodings", "UTF-8")


def _self_test() -> Iterator[Finding]:
    trouble = planted.trouble()
    yield Finding(
        "planted sentence",
        trouble or "found, through features, scores and search",
        BROKEN if trouble else OK,
        "a library gives other results than it should: see versions and kernels above" if trouble else "",
    )
    backend = chosen("english", Options(backend="hmm"), Compute(jobs=1))
    with made_up() as corpus:
        audio = whole(corpus, backend).audio
        timing = timed(lambda: whole(corpus, backend), 3)
    yield speed(audio / timing.fastest)


def speed(found: float) -> Finding:
    """Return the finding about the speed of the English model in one process, beside what is usual."""
    slow = found < USUAL_SPEED / LARGEST_SLOWDOWN
    return Finding(
        "speed",
        f"{found:.0f} audio seconds per second of one process (some {USUAL_SPEED:.0f} are usual)",
        SLOW if slow else OK,
        "see load, threads and numba's cache above; aligner bench tells which stage it is" if slow else "",
    )


PARTS: dict[str, Callable[[], Iterator[Finding]]] = {
    "devices": _devices,
    "versions": _versions,
    "kernels": _kernels,
    "surroundings": _surroundings,
    "self-test": _self_test,
}


def examine() -> Iterator[tuple[str, Finding]]:
    """Look at everything, and yield the name of a part and a finding, as they are found.

    An examination that fails is a finding, too.
    """
    for name, look in PARTS.items():
        try:
            yield from ((name, finding) for finding in look())
        except Exception as error:  # a doctor must not die of the patient
            yield (
                name,
                Finding(
                    "examination",
                    f"it failed ({type(error).__name__}: {error})",
                    BROKEN,
                    "please report this",
                ),
            )
