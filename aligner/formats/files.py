"""Reading text in whatever encoding it came, and writing files whole or not at all."""

from __future__ import annotations

import codecs
import itertools
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from aligner.types import DataError

_numbers = itertools.count()  # of temporary files; threads never get one twice
LONGEST_NAME, LONGEST_PATH = 255, 4095  # bytes, where a file system does not say
SURELY_FITS = 140  # bytes of a path that any file system takes, encrypted ones among them
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def check_readable(path: Path) -> None:
    """Raise DataError where a file cannot be read, as `read_text` would."""
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        raise _unreadable(path, error) from error


def check_reachable(path: Path) -> None:
    """Raise DataError where it cannot be known whether there is such a file or folder: no rights, or too long
    a name.
    """
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        raise _unreadable(path, error) from error


def too_long(path: Path) -> str:
    """Return what is too long about a path that is to be written; empty where it fits.

    Examples
    --------
    >>> too_long(Path(f"{'a' * 300}.TextGrid"))
    'its name has 309 bytes, and 255 fit'
    """
    if len(os.fsencode(path)) <= SURELY_FITS:
        return ""
    there = next(p for p in path.absolute().parents if os.path.exists(p))  # where pathlib would raise
    longest, whole = _limits(there)
    for part in path.parts:
        if len(os.fsencode(part)) > longest:
            return f"its name has {len(os.fsencode(part))} bytes, and {longest} fit"
    size = len(os.fsencode(path.absolute()))
    return f"its path has {size} bytes, and {whole} fit" if size > whole else ""


@lru_cache(maxsize=64)
def _limits(folder: Path) -> tuple[int, int]:
    """Return how many bytes a name and a path may have in a folder."""
    try:
        return os.pathconf(folder, "PC_NAME_MAX"), os.pathconf(folder, "PC_PATH_MAX") - 1
    except (AttributeError, OSError, ValueError):  # Windows has none
        return LONGEST_NAME, LONGEST_PATH


def _unreadable(path: Path, error: OSError) -> DataError:
    return DataError(path, f"it cannot be read ({error.strerror})", "check its place and rights")


def read_text(path: Path, *, escaped: bool = False) -> str:
    """Read a file in UTF-8 (with or without a byte-order mark) or UTF-16, with newlines as line ends.

    Parameters
    ----------
    path : Path
    escaped : bool
        Whether bytes that are not UTF-8 are handed on as lone surrogates (U+DC80 to U+DCFF), not raised.

    Raises
    ------
    DataError
        If it cannot be read, or is in neither encoding; the message names the first bad byte.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error
    encoding = next((name for mark, name in BYTE_ORDER_MARKS if raw.startswith(mark)), None) or _guess(raw)
    try:
        lenient = escaped and encoding.startswith("utf-8")
        text = raw.decode(encoding, "surrogateescape" if lenient else "strict")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise DataError(
            f"{path}:{line}",
            f"byte 0x{raw[error.start]:02X} is not {error.encoding.upper()}",
            "save the file as UTF-8",
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _guess(raw: bytes) -> str:
    """Guess the encoding of bytes without a mark: UTF-16 has zeros in every other byte."""
    head = raw[:200]
    if len(raw) % 2 == 0 and head.count(0) >= len(head) // 3 > 0:
        return "utf-16-le" if head[1::2].count(0) >= head[::2].count(0) else "utf-16-be"
    return "utf-8"


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``, renamed to it when the block ends well and removed when not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # a name of its own, which fits wherever that of the file does
    beside = path.with_name(f".{os.getpid()}-{next(_numbers)}.part")
    try:
        yield beside
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 with newlines as line ends, whole or not at all; characters of file names that are not
    Unicode are written as their codes.
    """
    with written_whole(path) as beside:
        beside.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")


@contextmanager
def unbroken() -> Iterator[None]:
    """Hold back Ctrl-C and SIGTERM until the block has ended, so that what belongs together is written
    together.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals reach the main thread only
        return
    caught: list[int] = []
    held = {s: handler for s in (signal.SIGINT, signal.SIGTERM) if callable(handler := signal.getsignal(s))}
    for s in held:
        signal.signal(s, lambda number, _: caught.append(number))
    try:
        yield
    finally:
        for s, handler in held.items():
            signal.signal(s, handler)
    for number in caught[:1]:
        held[signal.Signals(number)](number, None)
