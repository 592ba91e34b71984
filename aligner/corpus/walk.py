"""The files of a folder tree: links to folders are followed, and each real folder is read once.

What cannot be read, or is read already, is not passed over: it is `Odd`, with where and why.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

FORKS = "._"  # macOS lays what other disks cannot hold beside a file, under its name with this in front
UNMEANT = ("__MACOSX", "$RECYCLE.BIN", "System Volume Information")  # folders of systems, not of people


class Why(StrEnum):
    """Why something in a folder tree was not read."""

    BROKEN = "it is a link to something that is not there"
    """A link leads nowhere."""
    LOOP = "it is a link to a folder that it lies in"
    """A link leads back to a folder above."""
    AGAIN = "it is a link to a folder that is read already"
    """Two links, or a folder and a link, are one folder."""
    CLOSED = "the folder cannot be read"
    """A folder has no rights, or its disk is broken."""
    SPECIAL = "it is no file but a pipe, socket or device"
    """Reading it might wait for ever."""


@dataclass(frozen=True, kw_only=True)
class Odd:
    """Something in a folder tree that was not read."""

    path: Path
    """What it is."""
    why: Why
    """Why it was not read."""
    detail: str = ""
    """Where a link leads, or what the system says."""

    @property
    def rule(self) -> str:
        """What is wrong, in a user's words."""
        return f"{self.why} ({self.detail})" if self.detail else str(self.why)


@dataclass(frozen=True, kw_only=True)
class Tree:
    """What is in a folder tree."""

    files: tuple[Path, ...]
    """Its files in ascending order, without hidden ones."""
    odd: tuple[Odd, ...]
    """What was not read, in ascending order."""
    hidden: tuple[Path, ...]
    """Files and folders whose names begin with a dot, without those of macOS's own."""
    linked: tuple[Path, ...]
    """The real folders that links lead to and that were read."""


def walk(root: Path) -> Tree:
    """Look for the files of a folder tree.

    A folder is read where it lies, or by the first link to it; a link to a file is that file.  Nothing waits
    for a pipe, and nothing goes round in a loop.

    Parameters
    ----------
    root : Path
        The folder; it need not be there: nothing is in it then.
    """
    search = _Search()
    search.enter(root, search.identity(root))
    while search.links:  # real folders first, so that a link never takes a folder from its place
        search.links.sort()
        search.follow(search.links.pop(0))
    return search.found()


def files_in(folder: Path) -> Tree:
    """Look for the files of a folder alone, without those of its folders."""
    search = _Search(deep=False)
    search.enter(folder, None)
    return Tree(
        files=tuple(sorted(search.files)),
        odd=tuple(search.odd),
        hidden=tuple(sorted(search.hidden)),
        linked=(),
    )


@dataclass
class _Search:
    """What was found so far."""

    deep: bool = True
    files: list[Path] = field(default_factory=list)
    odd: list[Odd] = field(default_factory=list)
    hidden: list[Path] = field(default_factory=list)
    linked: list[Path] = field(default_factory=list)
    links: list[Path] = field(default_factory=list)
    seen: set[tuple[int, int]] = field(default_factory=set)

    def found(self) -> Tree:
        """Return what was found, in ascending order."""
        return Tree(
            files=tuple(sorted(self.files)),
            odd=tuple(sorted(self.odd, key=lambda o: o.path)),
            hidden=tuple(sorted(self.hidden)),
            linked=tuple(self.linked),
        )

    def identity(self, path: Path) -> tuple[int, int] | None:
        """Return what tells a real folder from all others; None where the system does not say."""
        try:
            found = path.stat()
        except OSError:
            return None
        return (found.st_dev, found.st_ino) if found.st_ino else None

    def enter(self, folder: Path, identity: tuple[int, int] | None) -> None:
        """Note what is in a folder and the real folders below it; links to folders wait."""
        waiting = [(folder, identity)]
        while waiting:
            folder, identity = waiting.pop()
            if identity is not None:
                if identity in self.seen:
                    self.odd.append(Odd(path=folder, why=Why.AGAIN, detail=_real(folder)))
                    continue
                self.seen.add(identity)
            for entry in self._entries(folder):
                path = folder / entry.name
                if entry.name.startswith(".") or entry.name in UNMEANT:
                    if not entry.name.startswith(FORKS) and entry.name not in UNMEANT:
                        self.hidden.append(path)
                elif entry.is_dir(follow_symlinks=False):
                    if self.deep:
                        waiting.append((path, self.identity(path)))
                else:
                    self._note(path, entry)

    def _entries(self, folder: Path) -> Iterator[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as entries:
                yield from sorted(entries, key=lambda e: e.name)
        except OSError as error:
            self.odd.append(Odd(path=folder, why=Why.CLOSED, detail=error.strerror or ""))

    def _note(self, path: Path, entry: os.DirEntry[str]) -> None:
        """Note what is no real folder: a file, a link, or something else."""
        if entry.is_file(follow_symlinks=False):  # asks the disk no more, as most entries are
            self.files.append(path)
            return
        try:
            mode = path.stat().st_mode
        except OSError as error:  # a link in a circle is one that leads nowhere, too
            where = f"{path} -> {os.readlink(path)}" if entry.is_symlink() else error.strerror or ""
            self.odd.append(Odd(path=path, why=Why.BROKEN, detail=where))
            return
        if stat.S_ISREG(mode):
            self.files.append(path)
        elif not stat.S_ISDIR(mode):
            self.odd.append(Odd(path=path, why=Why.SPECIAL))
        elif self.deep:
            self.links.append(path)

    def follow(self, link: Path) -> None:
        """Read the folder that a link leads to, unless that was read already."""
        identity = self.identity(link)
        if identity is not None and identity in self.seen:
            above = any(self.identity(p) == identity for p in link.absolute().parents)
            why = Why.LOOP if above else Why.AGAIN
            self.odd.append(Odd(path=link, why=why, detail=f"{link} -> {_real(link)}"))
            return
        self.linked.append(link.resolve())
        self.enter(link, identity)


def _real(path: Path) -> str:
    return os.path.realpath(path)
