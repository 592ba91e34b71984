"""A folder of recordings and transcripts -> utterances."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import soundfile

from aligner.corpus import audio
from aligner.corpus.files import read_text
from aligner.corpus.tables import LJSPEECH, TSV, Row, read_rows
from aligner.corpus.textgrid import read_textgrid
from aligner.types import DataError, Failure, Interval, Utterance

TRANSCRIPTS = (".lab", ".txt", ".textgrid")  # the first there is counts
UNREADABLE = (".m4a", ".mp4", ".aac", ".wma", ".mov", ".amr", ".webm", ".mkv", ".avi", ".3gp")
TIMIT_PROMPT = re.compile(r"(\d+) (\d+) (?=\S)")
PROMPT_SLACK = 0.05  # share of the samples by which a TIMIT prompt's end may miss the recording's


@dataclass(frozen=True)
class Corpus:
    """What a folder holds: utterances in the order of their files, and what is wrong with the rest."""

    utterances: tuple[Utterance, ...]
    failures: tuple[Failure, ...]


def find(root: str | Path) -> Corpus:
    """Utterances of a folder tree.

    A recording's transcript is the file of the same stem beside it (.lab, .txt or .TextGrid, in
    this order), or its row in a ``metadata.csv`` (LJSpeech) or ``transcripts.tsv`` of its folder or the
    folder above.  The speaker is the folder that holds the recording, unless the TextGrid or the
    table names one.

    Parameters
    ----------
    root : str or Path

    Raises
    ------
    DataError
        If there is no such folder or no recording in it.
    """
    root = Path(root)
    if not root.is_dir():
        raise DataError(root, "there is no such folder", "name the folder of recordings and transcripts")
    files = sorted(p for p in root.rglob("*") if p.is_file() and not _hidden(p.relative_to(root)))
    recordings = sorted((p for p in files if p.suffix.lower() in audio.SUFFIXES),
                        key=lambda p: (p.with_suffix(""), audio.SUFFIXES.index(p.suffix.lower())))
    if not recordings and not any(p.name in (LJSPEECH, TSV) or p.suffix.lower() in UNREADABLE for p in files):
        raise DataError(root, "there is no recording in this folder", f"recordings end in {', '.join(audio.SUFFIXES)}")
    by_stem = _by_stem(files)
    rows = _rows(files, recordings)
    found: list[Utterance | Failure] = []
    taken: dict[Path, Path] = {}
    for path in recordings:
        stem = path.with_suffix("")
        if stem in taken:
            found.append(_passed_over(root, path, f"{taken[stem].name} has the same name, and one TextGrid cannot hold "
                                      "both", "rename one of them"))
            continue
        taken[stem] = path
        found += _of_recording(root, path, by_stem.pop(stem, None), rows.pop(stem, None))
    for path in (p for p in files if p.suffix.lower() in UNREADABLE and p.with_suffix("") not in taken):
        by_stem.pop(path.with_suffix(""), None)
        found.append(_passed_over(root, path, f"recordings of the kind {path.suffix} cannot be read",
                                  f"convert it: ffmpeg -i {path.name} {path.stem}.wav"))
    found += _left_over(root, by_stem, rows, {p.parent for p in recordings})
    named = [_named(f) for f in found]
    return Corpus(tuple(u for u in named if isinstance(u, Utterance)),
                  tuple(f for f in named if isinstance(f, Failure)))


def _named(found: Utterance | Failure) -> Utterance | Failure:
    """What it was; a failure where its name is not Unicode, which tables and TextGrids cannot hold."""
    utterance = found.utterance if isinstance(found, Failure) else found
    try:
        f"{utterance.id}{utterance.speaker}".encode()
    except UnicodeEncodeError:
        told = {name: getattr(utterance, name).encode(errors="backslashreplace").decode()
                for name in ("id", "file", "speaker")}
        return Failure(replace(utterance, **told), "its name is not Unicode", "rename it")
    return found


def _passed_over(root: Path, path: Path, rule: str, remedy: str) -> Failure:
    """A recording that is not looked at; it goes by its whole name, which its namesake does not."""
    utterance = _utterance(root, path, "")
    name = f"{utterance.file}{path.suffix}"
    return Failure(replace(utterance, id=name, file=name), rule, remedy)


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _utterance(root: Path, path: Path, transcript: str, speaker: str = "", source: Path | None = None,
               channel: int | None = None, interval: Interval | None = None, number: int | None = None) -> Utterance:
    name = path.relative_to(root).with_suffix("").as_posix() if path.is_relative_to(root) else path.stem
    identity = name if number is None else f"{name}#{number}"
    start, end = (interval.start, interval.end) if interval else (0.0, None)
    return Utterance(identity, path, transcript, speaker or path.absolute().parent.name, name, channel, start, end,
                     source=source)


def _by_stem(files: Iterable[Path]) -> dict[Path, Path]:
    """The transcript of each stem, the likeliest where there are several."""
    chosen: dict[Path, Path] = {}
    rank = {suffix: k for k, suffix in enumerate(TRANSCRIPTS)}
    for path in files:
        if path.suffix.lower() in rank:
            other = chosen.get(path.with_suffix(""))
            if other is None or rank[path.suffix.lower()] < rank[other.suffix.lower()]:
                chosen[path.with_suffix("")] = path
    return chosen


def _of_recording(root: Path, path: Path, transcript: Path | None, row: Row | None) -> Iterator[Utterance | Failure]:
    """The utterances of one recording, or why there are none."""
    bare = _utterance(root, path, "", source=transcript or (row.table if row else None))
    try:
        if transcript is not None and transcript.suffix.lower() == ".textgrid":
            yield from _from_textgrid(root, path, transcript)
        elif transcript is not None:
            yield _utterance(root, path, _prompt(read_text(transcript), path), source=transcript)
        elif row is not None and row.problem is not None:
            raise row.problem
        elif row is not None:
            yield _utterance(root, path, row.text, row.speaker, row.table)
        else:
            yield Failure(bare, "the recording has no transcript", f"put {path.stem}.lab, .txt or .TextGrid beside it")
    except DataError as error:
        yield Failure(bare, f"{Path(error.where).name}: {error.rule}", error.remedy)


def _prompt(text: str, path: Path) -> str:
    """A transcript as text, line by line; TIMIT's begin with the numbers of the first and the last sample."""
    lines = [" ".join(line.split()) for line in text.splitlines()]
    text = "\n".join(line for line in lines if line)
    numbers = TIMIT_PROMPT.match(text)
    if numbers and int(numbers[1]) == 0 and any(
            abs(int(numbers[2]) - samples) <= PROMPT_SLACK * samples for samples in audio.frames_in(path)):
        return text[numbers.end():]
    return text


def _from_textgrid(root: Path, path: Path, transcript: Path) -> Iterator[Utterance | Failure]:
    """One utterance an interval with text; tiers are speakers, in a stereo file the first half on the left."""
    tiers = read_textgrid(transcript)
    names = [name for name, _ in tiers]
    if any(n == "phones" or n.endswith(" - phones") for n in names):
        raise DataError(transcript, "it holds an alignment (a tier of phones), not a transcript",
                        "keep a tier per speaker with what is said, or write the text to a .lab file")
    twice = next((n for k, n in enumerate(names) if n in names[:k]), None)
    if twice is not None:
        raise DataError(transcript, f"two tiers are named {twice!r}", "name each tier after its speaker")
    channels = _channels(path)
    number = 0
    for k, (speaker, intervals) in enumerate(tiers):
        channel = int(k >= len(tiers) / 2) if channels == 2 and len(tiers) > 1 else None
        for interval in intervals:
            if interval.label.strip():
                number += 1
                yield _utterance(root, path, " ".join(interval.label.split()), speaker.strip(), transcript, channel,
                                 interval, number)
    if not number:
        raise DataError(transcript, f"no interval has text; its tiers are {', '.join(names) or 'none'}",
                        "write what is said into the intervals")


def _channels(path: Path) -> int:
    try:
        return int(soundfile.info(str(path)).channels)
    except (soundfile.LibsndfileError, OSError, UnicodeError):
        return 1  # reading it will say what is wrong


def _left_over(root: Path, transcripts: dict[Path, Path], rows: dict[Path, Row],
               folders: set[Path]) -> Iterator[Failure]:
    """Transcripts and rows without a recording; a .txt apart from recordings, or a README, is none."""
    for stem, path in transcripts.items():
        if path.suffix.lower() == ".txt" and (path.parent not in folders or stem.name.upper() in ("README", "LICENSE")):
            continue
        yield Failure(_utterance(root, path, "", source=path), f"{path.name} has no recording beside it",
                      f"put {stem.name}.wav (or another kind) there")
    for stem, row in rows.items():
        bare = _utterance(root, stem.with_name(f"{stem.name}.wav"), row.text, row.speaker, row.table)
        if row.problem is not None:
            yield Failure(bare, f"{Path(row.problem.where).name}: {row.problem.rule}", row.problem.remedy)
        else:
            yield Failure(bare, f"line {row.line} of {row.table.name} names a recording that is not in the corpus",
                          "correct the line (a header names its columns file and text)")


def _rows(files: Iterable[Path], recordings: Iterable[Path]) -> dict[Path, Row]:
    """Rows of every table, by the recording's path without its suffix."""
    stems = {os.path.abspath(p.with_suffix("")): p.with_suffix("") for p in recordings}
    rows: dict[Path, Row] = {}
    for row in (row for table in files if table.name in (LJSPEECH, TSV) for row in read_rows(table)):
        given = row.table.parent / row.name
        bare = given.with_suffix("") if given.suffix.lower() in audio.SUFFIXES else given
        places = (bare, row.table.parent / "wavs" / bare.name, row.table.parent / "clips" / bare.name)
        stem = next((stems[p] for p in map(os.path.abspath, places) if p in stems), bare)
        earlier = rows.setdefault(stem, row)
        if earlier.text != row.text and earlier.problem is None:
            rule = f"it names a recording that line {earlier.line} names too, with other words"
            rows[stem] = replace(row, problem=DataError(f"{row.table}:{row.line}", rule, "keep one of the two"))
    return rows


def find_recordings(root: Path) -> dict[str, Path]:
    """The recordings of a folder tree by their path below it without suffix, with transcripts or without.

    Raises
    ------
    DataError
        If there is no such folder or no recording in it.
    """
    if not root.is_dir():
        raise DataError(root, "there is no such folder", "name a folder of recordings")
    found: dict[str, Path] = {}
    for path in sorted(root.rglob("*")):
        if path.suffix.lower() in audio.SUFFIXES and path.is_file() and not _hidden(path.relative_to(root)):
            found.setdefault(path.relative_to(root).with_suffix("").as_posix(), path)
    if not found:
        raise DataError(root, "there is no recording in this folder", f"recordings end in {', '.join(audio.SUFFIXES)}")
    return found
