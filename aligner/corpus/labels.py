"""Labels with times, of people or of aligners: TextGrid, TIMIT's .phn and .wrd, HTK's .lab, CTM, JSON."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from aligner.corpus.results import CORRECTED, cell
from aligner.formats.files import check_reachable, read_text
from aligner.formats.textgrid import TOUCHING, read_textgrid
from aligner.types import DataError, Interval

TIMIT_RATE = 16_000  # Hz; .phn and .wrd count samples
HTK_UNIT = 1e-7  # s; whole numbers in .lab count 100 ns
SUFFIXES = (".phn", ".textgrid", ".json", ".ctm", ".lab")  # of several of one stem the first counts
PHONES_CTM = ".phones"  # NAME.phones.ctm holds the phones of NAME.ctm

Tiers = list[tuple[str, list[Interval]]]


@dataclass(frozen=True)
class Labels:
    """What is labelled of one speaker of a recording.

    Attributes
    ----------
    phones, words : tuple of Interval or None
        None where there is no such tier.
    end : float
        Where the labels end, in seconds: the recording's end in a TextGrid.
    """

    phones: tuple[Interval, ...] | None
    words: tuple[Interval, ...] | None
    end: float


@dataclass(frozen=True)
class Source:
    """A file of labels, and the recording in it where it tells of several (CTM)."""

    path: Path
    recording: str = ""


@dataclass(frozen=True)
class TierNames:
    """What the tiers are called; ``SPEAKER - NAME`` is understood, too."""

    phones: str = "phones"
    words: str = "words"


def find_labels(root: Path) -> dict[str, Source]:
    """Files of labels in a folder by their path below it without suffix.

    Raises
    ------
    DataError
        If there is no such folder, or no labels in it.
    """
    check_reachable(root)
    if not root.is_dir():
        raise DataError(
            root, "there is no such folder", "name the folder of .phn files, TextGrids or other labels"
        )
    found: dict[str, Source] = {}
    files = [p for p in sorted(root.rglob("*")) if p.suffix.lower() in SUFFIXES and p.is_file()]
    for path in sorted(files, key=lambda p: -SUFFIXES.index(p.suffix.lower())):
        relative = path.relative_to(root)
        if any(part.startswith(".") for part in relative.parts) or _correction(root, relative):
            continue
        found.update(_sources(path, relative))
    if not found:
        raise DataError(
            root,
            "there is no .phn, TextGrid or other file of labels in this folder",
            "name the folder of the labels (.phn, .TextGrid, .json, .ctm, .lab)",
        )
    return dict(sorted(found.items()))


def check_aligned(folder: Path) -> None:
    """Raises DataError where there is no folder of alignments; one without any is a result, too."""
    if not folder.is_dir():
        raise DataError(folder, "there is no such folder", "name the folder of the alignments")


def _correction(root: Path, relative: Path) -> bool:
    """Whether a file is a correction of one that is there, too: what a run's output holds is counted once."""
    return relative.parts[0] == CORRECTED and root.joinpath(*relative.parts[1:]).is_file()


def _sources(path: Path, relative: Path) -> Iterable[tuple[str, Source]]:
    name = relative.with_suffix("").as_posix()
    suffix = path.suffix.lower()
    if suffix == ".ctm":
        name = name.removesuffix(PHONES_CTM)
        recordings = _recordings(path)
        if set(recordings) - {cell(Path(name).name)}:
            return [((relative.parent / r).as_posix(), Source(path, r)) for r in recordings]
    if suffix == ".json" and _other_json(path):
        return []
    return [(name, Source(path))]


def _other_json(path: Path) -> bool:
    """Whether it is JSON of something else than labels; what cannot be read will be said when it is."""
    try:
        content = json.loads(read_text(path))
    except (DataError, ValueError):
        return False
    return not (isinstance(content, dict) and "tiers" in content)


def _recordings(path: Path) -> list[str]:
    """The recordings that a CTM tells of; none where it cannot be read, which will be said when it is."""
    try:
        return list(_ctm_rows(path, path.stat().st_mtime_ns))
    except DataError:
        return []


def find_references(root: Path) -> dict[str, Path]:
    """As `find_labels`, the files alone."""
    return {name: source.path for name, source in find_labels(root).items()}


def read_labels(source: Source | Path, names: TierNames | None = None) -> dict[str, Labels]:
    """What a file has labelled, by speaker; a file that names none has the speaker ``""``.

    Raises
    ------
    DataError
        If it cannot be read; or has neither of the tiers, listing those that are there.
    """
    source = source if isinstance(source, Source) else Source(source)
    names = names or TierNames()
    tiers = READERS[source.path.suffix.lower()](source)
    speakers: dict[str, dict[str, list[Interval]]] = {}
    for kind, wanted in (("phones", names.phones), ("words", names.words)):
        for name, intervals in tiers:
            if name == wanted or name.endswith(f" - {wanted}"):
                speaker = name.removesuffix(wanted).removesuffix(" - ")
                speakers.setdefault(speaker, {}).setdefault(kind, intervals)
    if not speakers:
        raise _no_tier(source.path, f"{names.phones!r} or {names.words!r}", tiers)
    for kind, wanted, usual in (("phones", names.phones, "phones"), ("words", names.words, "words")):
        if wanted != usual and not any(kind in found for found in speakers.values()):
            raise _no_tier(source.path, repr(wanted), tiers)  # who names a tier means it
    end = max((i.end for _, intervals in tiers for i in intervals), default=0.0)
    return {
        speaker: Labels(_tuple(found.get("phones")), _tuple(found.get("words")), end)
        for speaker, found in speakers.items()
    }


def _tuple(intervals: Sequence[Interval] | None) -> tuple[Interval, ...] | None:
    return None if intervals is None else tuple(intervals)


def _no_tier(path: Path, wanted: str, tiers: Tiers) -> DataError:
    there = ", ".join(repr(name) for name, _ in tiers)
    return DataError(path, f"it has no tier {wanted}", f"its tiers are {there or 'none'}")


def tier(path: Path, name: str) -> list[Interval]:
    """The intervals of a TextGrid's tier ``name`` or of the first that ends in ``- name``.

    Raises
    ------
    DataError
        Listing the tiers that are there.
    """
    tiers = read_textgrid(path)
    for found, intervals in tiers:
        if found == name or found.endswith(f"- {name}"):
            return intervals
    raise _no_tier(path, repr(name), tiers)


def read_reference(path: Path) -> tuple[list[Interval], list[Interval]]:
    """Phones and words of the first speaker of a file; empty where there are none."""
    labels = next(iter(read_labels(path).values()))
    return list(labels.phones or ()), list(labels.words or ())


def read_timit(path: Path) -> list[Interval]:
    """Lines of ``first-sample last-sample label`` at 16 kHz, as intervals in seconds.

    Raises
    ------
    DataError
        Naming the line that is not so.
    """
    return _read_lines(
        path,
        "not a line of first sample, last sample, label",
        "labels count samples at 16 kHz",
        lambda start, end, label: Interval(int(start) / TIMIT_RATE, int(end) / TIMIT_RATE, label),
    )


def _ascending(where: str, interval: Interval, before: Interval | None) -> None:
    """Raise for times that are no times, and labels that run backwards; words may overlap, as some of TIMIT's
    do.
    """
    if not (math.isfinite(interval.start) and math.isfinite(interval.end)):
        raise DataError(where, "a time is not a number", "correct it")
    if interval.end < interval.start:
        raise DataError(where, "the label ends before it begins", "correct its times")
    if before is not None and interval.start < before.start:
        raise DataError(where, "the label begins before the one before it", "put them in order")


def _read_lines(
    path: Path, rule: str, remedy: str, made: Callable[[str, str, str], Interval]
) -> list[Interval]:
    """Intervals of lines ``start end label``; they may not run backwards."""
    intervals: list[Interval] = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if not line.strip():
            continue
        try:
            start, end, *label = line.split(maxsplit=2)
            intervals.append(made(start, end, label[0].strip() if label else ""))
        except ValueError as error:
            raise DataError(f"{path}:{number}", rule, remedy) from error
        _ascending(f"{path}:{number}", intervals[-1], intervals[-2] if len(intervals) > 1 else None)
    return intervals


def _phn(source: Source) -> Tiers:
    words = next((w for w in (source.path.with_suffix(s) for s in (".wrd", ".WRD")) if w.is_file()), None)
    return [("phones", read_timit(source.path)), *([("words", read_timit(words))] if words else [])]


def _textgrid(source: Source) -> Tiers:
    return read_textgrid(source.path)


def _lab(source: Source) -> Tiers:
    """HTK's: phones, in whole numbers of 100 ns, or in seconds where there is a decimal point; scores are
    left out.
    """

    def made(start: str, end: str, label: str) -> Interval:
        scale = 1.0 if "." in start + end else HTK_UNIT
        return Interval(scale * float(start), scale * float(end), label.split()[0] if label else "")

    return [
        (
            "phones",
            _read_lines(
                source.path,
                "not a line of start, end, label: it is a transcript, or no file of labels",
                "HTK's labels count 100 ns; or give seconds with a point",
                made,
            ),
        )
    ]


def _json(source: Source) -> Tiers:
    """As the Montreal Forced Aligner and we write it: tiers of entries [start, end, label]."""
    try:
        tiers = [
            (str(name), [Interval(float(a), float(b), str(label)) for a, b, label in tier_["entries"]])
            for name, tier_ in json.loads(read_text(source.path))["tiers"].items()
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            source.path,
            "it is not JSON with tiers of entries [start, end, label]",
            "write it with --format json, or give TextGrids",
        ) from error
    for name, intervals in tiers:
        for k, interval in enumerate(intervals):
            _ascending(
                f"{source.path}, tier {name!r}, entry {k + 1}", interval, intervals[k - 1] if k else None
            )
    return tiers


def _ctm(source: Source) -> Tiers:
    """NIST's: recording, channel, start, length, label; words in NAME.ctm, phones in NAME.phones.ctm."""
    stem = source.path.name[: -len(source.path.suffix)].removesuffix(PHONES_CTM)
    files = {
        "phones": source.path.with_name(f"{stem}{PHONES_CTM}{source.path.suffix}"),
        "words": source.path.with_name(f"{stem}{source.path.suffix}"),
    }
    found: Tiers = []
    for kind, path in files.items():
        if path.is_file():
            rows = _ctm_rows(path, path.stat().st_mtime_ns)
            channels = rows[source.recording or next(iter(rows))] if rows else {"1": []}
            found += [
                (f"{channel} - {kind}" if len(channels) > 1 else kind, intervals)
                for channel, intervals in channels.items()
            ]
    return found


@lru_cache(maxsize=8)
def _ctm_rows(path: Path, changed: int) -> dict[str, dict[str, list[Interval]]]:
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
        _ascending(f"{path}:{number}", interval, None)
        found[cells[0]][cells[1]].append(interval)
    return {
        recording: {
            channel: _joined(sorted(intervals, key=lambda i: i.start))
            for channel, intervals in channels.items()
        }
        for recording, channels in found.items()
    }


def _joined(intervals: Sequence[Interval]) -> list[Interval]:
    """Intervals whose ends and starts differ by rounding made to touch."""
    result: list[Interval] = []
    for i in intervals:
        if result and abs(i.start - result[-1].end) <= 2 * TOUCHING:
            result[-1] = Interval(result[-1].start, i.start, result[-1].label)
        result.append(i)
    return result


READERS: Mapping[str, Callable[[Source], Tiers]] = {
    ".phn": _phn,
    ".textgrid": _textgrid,
    ".json": _json,
    ".ctm": _ctm,
    ".lab": _lab,
}
