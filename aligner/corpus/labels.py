"""Reference labels: TIMIT's .phn and .wrd, or the tiers of a TextGrid."""

from __future__ import annotations

from pathlib import Path

from aligner.corpus.files import read_text
from aligner.corpus.textgrid import read_textgrid
from aligner.types import DataError, Interval

TIMIT_RATE = 16_000  # Hz; .phn and .wrd count samples


def read_timit(path: Path) -> list[Interval]:
    """Lines of ``first-sample last-sample label`` at 16 kHz, as intervals in seconds.

    Raises
    ------
    DataError
        Naming the line that is not so.
    """
    intervals = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if not line.strip():
            continue
        try:
            first, last, label = line.split(maxsplit=2)
            intervals.append(Interval(int(first) / TIMIT_RATE, int(last) / TIMIT_RATE, label.strip()))
        except ValueError as error:
            raise DataError(f"{path}:{number}", "not a line of first sample, last sample, label",
                            "labels count samples at 16 kHz") from error
    return intervals


def tier(path: Path, name: str) -> list[Interval]:
    """The intervals of the tier ``name`` or of the first that ends in ``- name``.

    Raises
    ------
    DataError
        Listing the tiers that are there.
    """
    tiers = read_textgrid(path)
    for found, intervals in tiers:
        if found == name or found.endswith(f"- {name}"):
            return intervals
    raise DataError(path, f"it has no tier {name!r}", f"its tiers are {', '.join(repr(n) for n, _ in tiers) or 'none'}")


def find_references(root: Path) -> dict[str, Path]:
    """Reference files of a folder by their path below it without suffix: .phn where there is one, or .TextGrid."""
    if not root.is_dir():
        raise DataError(root, "there is no such folder", "name the folder of .phn files or TextGrids")
    found = {}
    for suffix in (".textgrid", ".phn"):
        for path in sorted(root.rglob("*")):
            if path.suffix.lower() == suffix and path.is_file():
                found[path.relative_to(root).with_suffix("").as_posix()] = path
    if not found:
        raise DataError(root, "there is no .phn and no TextGrid in this folder", "name the folder of the references")
    return found


def read_reference(path: Path) -> tuple[list[Interval], list[Interval]]:
    """Phones and words of a reference; no words where there is no .wrd or no such tier."""
    if path.suffix.lower() != ".phn":
        names = [name for name, _ in read_textgrid(path)]
        has_words = any(n == "words" or n.endswith("- words") for n in names)
        return tier(path, "phones"), tier(path, "words") if has_words else []
    words = next((w for w in (path.with_suffix(".wrd"), path.with_suffix(".WRD")) if w.is_file()), None)
    return read_timit(path), read_timit(words) if words else []
