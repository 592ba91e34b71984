"""Names of files are compared as people see them: macOS, Windows and Linux write one name in several ways."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from aligner.corpus.audio import SUFFIXES

T = TypeVar("T")


def composed(name: str) -> str:
    """Return a name with its accents composed (NFC), as Linux and Windows write it and macOS does not.

    Examples
    --------
    >>> len("e\\u0301"), len(composed("e\\u0301"))
    (2, 1)
    """
    return unicodedata.normalize("NFC", name)


def caseless(name: str) -> str:
    """Return a name as file systems compare it that know no capitals.

    Examples
    --------
    >>> caseless("SA1") == caseless("sa1")
    True
    """
    return composed(composed(name).casefold())


def loose(name: str) -> str:
    """Return a name without what programs change in it: spaces, hyphens and dots, and a recording's suffix.

    Examples
    --------
    >>> loose("My file 1.wav"), loose("my_file_1")
    ('my_file_1', 'my_file_1')
    """
    plain = caseless(unicodedata.normalize("NFKC", name)).strip()
    suffix = next((s for s in SUFFIXES if plain.endswith(s) and plain != s), "")
    return re.sub(r"[\s_.-]+", "_", plain.removesuffix(suffix)).strip("_") or plain


Reading = Callable[[str], str]
READINGS: tuple[Reading, ...] = (str, composed, caseless)  # of a name, the strictest first
GUESSES: tuple[Reading, ...] = (*READINGS, loose)


class ByName(Mapping[str, T]):
    """What is found by name, whatever its capitals and however its accents are coded.

    A name that is there exactly counts first; another way to write it counts where it may mean only one.

    Examples
    --------
    >>> found = ByName({"SA1": 1, "sa2": 2})
    >>> found["sa1"], "SA2" in found, list(found)
    (1, True, ['SA1', 'sa2'])
    """

    def __init__(self, items: Mapping[str, T]) -> None:
        self._items = dict(items)
        self._alike: list[tuple[Reading, dict[str, list[str]]]] = []
        for reading in READINGS[1:]:
            names: dict[str, list[str]] = defaultdict(list)
            for name in self._items:
                names[reading(name)].append(name)
            self._alike.append((reading, names))

    def own(self, name: str) -> str | None:
        """Return the name under which something is there; None where nothing is, or more than one."""
        if name in self._items:
            return name
        for reading, names in self._alike:
            alike = names.get(reading(name), ())
            if len(alike) == 1:
                return alike[0]
        return None

    def __getitem__(self, name: str) -> T:
        own = self.own(name)
        if own is None:
            raise KeyError(name)
        return self._items[own]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)


@dataclass(frozen=True, kw_only=True)
class Paired:
    """Which file belongs to which recording."""

    by_stem: Mapping[Path, Path]
    """The file of each recording, by the recording's path without its suffix."""
    spare: tuple[Path, ...]
    """Files that belong to no recording."""
    guessed: tuple[Path, ...]
    """Recordings, without their suffixes, whose file has another name, though hardly."""


def paired(stems: Iterable[Path], files: Sequence[Path]) -> Paired:
    """Pair recordings with the files beside them that have their names: exactly, or as people would see it.

    Parameters
    ----------
    stems : iterable of Path
        The paths of the recordings without their suffixes.
    files : sequence of Path
        The files; of several for one recording the first counts.

    Examples
    --------
    >>> found = paired([Path("A"), Path("b c")], [Path("a.txt"), Path("b_c.txt"), Path("notes.txt")])
    >>> {str(k): str(v) for k, v in found.by_stem.items()}, [str(p) for p in found.spare]
    ({'A': 'a.txt', 'b c': 'b_c.txt'}, ['notes.txt'])
    """
    alone, spare = list(stems), list(files)
    chosen: dict[Path, Path] = {}
    guessed: tuple[Path, ...] = ()
    for reading in GUESSES:
        wanting: dict[tuple[Path, str], list[Path]] = defaultdict(list)
        for stem in alone:
            wanting[stem.parent, reading(stem.name)].append(stem)
        offered: dict[Path, list[Path]] = defaultdict(list)
        for file in spare:
            of = wanting.get((file.parent, reading(file.with_suffix("").name)), [])
            if len(of) == 1:
                offered[of[0]].append(file)
        chosen |= {stem: own[0] for stem, own in offered.items()}
        if reading is loose:
            guessed = tuple(offered)
        alone = [stem for stem in alone if stem not in offered]
        spare = _rest(spare, chosen)
    return Paired(by_stem=chosen, spare=tuple(_others(spare, chosen)), guessed=guessed)


def _rest(files: Iterable[Path], chosen: Mapping[Path, Path]) -> list[Path]:
    """Return the files that were not chosen."""
    taken = set(chosen.values())
    return [file for file in files if file not in taken]


def _others(files: Iterable[Path], chosen: Mapping[Path, Path]) -> Iterator[Path]:
    """Yield the files that are not one more of a recording that has its file."""
    names = {(stem.parent, caseless(stem.name)) for stem in chosen}
    for file in files:
        if (file.parent, caseless(file.with_suffix("").name)) not in names:
            yield file
