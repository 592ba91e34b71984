"""NIST's time-marked files (CTM): a line a word in NAME.ctm, and a line a phone in NAME.phones.ctm."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from aligner.formats.base import Format, Tiers
from aligner.formats.files import read_text, write_text
from aligner.formats.lines import check_ascending
from aligner.formats.table import TABLE_DECIMALS, confidence_cell
from aligner.formats.textgrid import TOUCHING
from aligner.types import SILENCE_LABEL, Alignment, DataError, Interval

SUFFIX = ".ctm"
PHONES = ".phones"  # NAME.phones.ctm holds the phones of NAME.ctm


def write(path: Path, alignments: Sequence[Alignment], several: bool = False) -> None:
    """Write lines of recording, channel, start, length, label and confidence, without silences."""
    recording = cell(path.name.removesuffix(SUFFIX))
    targets = {"phones": path.with_name(path.name.removesuffix(SUFFIX) + PHONES + SUFFIX), "words": path}
    for kind, target in targets.items():
        lines = [
            f"{recording} {(a.utterance.channel or 0) + 1} {i.start:.{TABLE_DECIMALS}f} "
            f"{i.duration:.{TABLE_DECIMALS}f} {cell(i.label)} {confidence_cell(i)}".rstrip()
            + "\n"
            for a in sorted(alignments, key=lambda a: a.utterance.start)
            for i in getattr(a, kind)
            if i.label != SILENCE_LABEL
        ]
        write_text(target, "".join(lines))


def cell(text: str) -> str:
    """A name or a label as CTM takes it: cells end at spaces.

    Examples
    --------
    >>> cell("New York")
    'New_York'
    """
    return "_".join(text.split())


def read(path: Path, recording: str = "") -> Tiers:
    """Read words and phones of a recording, the first unless it is named; channels are speakers.

    Raises
    ------
    DataError
        Naming the line that is not CTM.
    """
    stem = path.name[: -len(path.suffix)].removesuffix(PHONES)
    files = {
        "phones": path.with_name(f"{stem}{PHONES}{path.suffix}"),
        "words": path.with_name(f"{stem}{path.suffix}"),
    }
    found: Tiers = []
    for kind, file in files.items():
        if file.is_file():
            rows = _rows(file, file.stat().st_mtime_ns)
            channels = rows[recording or next(iter(rows))] if rows else {"1": []}
            found += [
                (f"{channel} - {kind}" if len(channels) > 1 else kind, intervals)
                for channel, intervals in channels.items()
            ]
    return found


def recordings(path: Path) -> list[str]:
    """The recordings that a file has labels of; none where it cannot be read, as reading it will report."""
    try:
        return list(_rows(path, path.stat().st_mtime_ns))
    except DataError:
        return []


@lru_cache(maxsize=8)
def _rows(path: Path, changed: int) -> dict[str, dict[str, list[Interval]]]:
    """Intervals by recording and channel, read once for all recordings as long as the file stays as it is."""
    found: dict[str, dict[str, list[Interval]]] = defaultdict(lambda: defaultdict(list))
    for number, line in enumerate(read_text(path).splitlines(), 1):
        cells = line.split()
        if not cells or line.startswith(";;"):
            continue
        try:
            start, length = float(cells[2]), float(cells[3])
            interval = Interval(start, start + length, cells[4])
        except (ValueError, IndexError) as error:
            raise DataError(
                f"{path}:{number}",
                "not a line of recording, channel, start, length, label",
                "write NIST's CTM",
            ) from error
        check_ascending(f"{path}:{number}", interval, None)
        found[cells[0]][cells[1]].append(interval)
    return {
        name: {
            channel: _joined(sorted(intervals, key=lambda i: i.start))
            for channel, intervals in channels.items()
        }
        for name, channels in found.items()
    }


def _joined(intervals: Sequence[Interval]) -> list[Interval]:
    """Intervals whose ends and starts differ by rounding made to touch."""
    result: list[Interval] = []
    for i in intervals:
        if result and abs(i.start - result[-1].end) <= 2 * TOUCHING:
            result[-1] = Interval(result[-1].start, i.start, result[-1].label)
        result.append(i)
    return result


FORMAT = Format(name="ctm", suffix=SUFFIX, more=(PHONES + SUFFIX,), write=write, read=read)
