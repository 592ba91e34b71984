"""A folder of recordings and transcripts is searched for utterances."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from aligner.corpus import audio
from aligner.corpus.tables import LJSPEECH, TSV, TranscriptRow, read_rows
from aligner.corpus.tier_names import PHONES, kind_of
from aligner.formats.base import Tiers
from aligner.formats.files import check_reachable, read_text
from aligner.formats.textgrid import read_textgrid
from aligner.types import Caution, DataError, Failure, Fault, Interval, Utterance

TRANSCRIPTS = (".lab", ".txt", ".textgrid")  # the first there is counts
UNREAD_SUFFIXES = tuple(audio.UNREAD)
TIMIT_PROMPT = re.compile(r"(\d+) (\d+) (?=\S)")
PROMPT_SLACK = 0.05  # share of the samples by which a TIMIT prompt's end may miss the recording's


@dataclass(frozen=True)
class Corpus:
    """The utterances of a folder, the failures of what makes none, and cautions about what else is there."""

    utterances: tuple[Utterance, ...]
    """What can be tried to align, in the order of the files."""
    failures: tuple[Failure, ...]
    """What is wrong with the rest."""
    cautions: tuple[Caution, ...] = ()
    """What the user should know of it beside."""


def find(root: str | Path) -> Corpus:
    """Find the utterances of a folder tree.

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
    check_corpus(root)
    files = sorted(p for p in root.rglob("*") if p.is_file() and not _hidden(p.relative_to(root)))
    recordings = sorted(
        audio.recordings_of(files),
        key=lambda p: (p.with_suffix(""), audio.SUFFIXES.index(p.suffix.lower())),
    )
    by_stem = _by_stem(files)
    rows = _rows(files, recordings)
    found: list[Utterance | Failure] = []
    taken: dict[Path, Path] = {}
    for path in recordings:
        stem = path.with_suffix("")
        if stem in taken:
            found.append(
                _unread_recording(
                    root,
                    path,
                    f"{taken[stem].name} has the same name, and one TextGrid cannot hold both",
                    "rename one of them",
                    Fault.DUPLICATE_NAME,
                )
            )
            continue
        taken[stem] = path
        found += _of_recording(root, path, by_stem.pop(stem, None), rows.pop(stem, None))
    for path in (p for p in files if p.suffix.lower() in UNREAD_SUFFIXES and p.with_suffix("") not in taken):
        by_stem.pop(path.with_suffix(""), None)
        found.append(_unread_recording(root, path, *audio.unread(path), Fault.UNREADABLE))
    found += _without_recording(root, by_stem, rows, {p.parent for p in recordings})
    named = [_if_unicode(f) for f in found]
    return Corpus(
        tuple(u for u in named if isinstance(u, Utterance)), tuple(f for f in named if isinstance(f, Failure))
    )


def check_corpus(root: Path) -> None:
    """Raise DataError where a folder has nothing that would be a corpus; the first recording found suffices.

    Raises
    ------
    DataError
        If there is no such folder, or no recording in it.
    """
    check_reachable(root)
    if not root.is_dir():
        rule = "it is a file, not a folder" if root.exists() else "there is no such folder"
        raise DataError(root, rule, "name the folder of recordings and transcripts")
    kinds = (*audio.SUFFIXES, *UNREAD_SUFFIXES)
    if not any(
        (p.suffix.lower() in kinds or p.name in (LJSPEECH, TSV))
        and p.is_file()
        and not _hidden(p.relative_to(root))
        for p in root.rglob("*")
    ):
        raise DataError(root, "there is no recording in this folder", audio.SUFFIXES_SAID)


def check_recording(path: Path) -> None:
    """Raise DataError where a file is no recording.

    Raises
    ------
    DataError
        Saying what it is, and what to name instead.
    """
    suffix = path.suffix.lower()
    check_reachable(path)
    if not path.exists():
        others = [path.with_name(f"{path.name}{s}") for s in audio.SUFFIXES] + _recordings_of(path)
        meant = next((p.name for p in others if p.is_file()), None)
        raise DataError(
            path,
            "there is no such folder or recording",
            f"did you mean {meant}?"
            if meant
            else "name the folder of recordings and transcripts, or one recording",
        )
    if suffix in UNREAD_SUFFIXES:
        raise DataError(path, *audio.unread(path), fault=Fault.UNREADABLE)
    if path.name in (LJSPEECH, TSV):
        raise DataError(
            path, "it is a table of transcripts, not a recording", "name the folder of its recordings"
        )
    if suffix in TRANSCRIPTS:
        meant = next((str(p) for p in _recordings_of(path) if p.is_file()), None)
        raise DataError(
            path,
            "it is a transcript, not a recording",
            f"name its recording: {meant}" if meant else f"put {path.stem}.wav beside it, and name that",
        )
    if suffix not in audio.SUFFIXES or not path.is_file():
        raise DataError(path, "it is no recording", audio.SUFFIXES_SAID)


def _recordings_of(path: Path) -> list[Path]:
    """Return the paths that the recording of a transcript may have."""
    return [path.with_name(f"{path.stem}{suffix}") for suffix in audio.SUFFIXES]


def find_one(path: Path, text: str | None = None, root: Path | None = None) -> Corpus:
    """Find the utterances of one recording, whatever else is in its folder.

    Parameters
    ----------
    path : Path
        The recording; its transcript is found as in a folder (see `find`).
    text : str, optional
        What is said, instead.
    root : Path, optional
        The folder that it goes by its path in; its own unless given.

    Raises
    ------
    DataError
        If it is no recording, or has no transcript that can be used.
    """
    check_recording(path)
    root = root or path.parent
    if text is not None:
        found: list[Utterance | Failure] = [_if_unicode(_utterance(root, path, _lines(text)))]
    else:
        transcript, row = _transcript_beside(path), _row_of(path, root)
        if transcript is None and row is None:
            raise DataError(
                path,
                "the recording has no transcript",
                f"put {path.stem}.lab, .txt or .TextGrid beside it, or say what is said (--text)",
                fault=Fault.NO_TRANSCRIPT,
            )
        found = [_if_unicode(f) for f in _of_recording(root, path, transcript, row)]
    utterances = tuple(u for u in found if isinstance(u, Utterance))
    failures = tuple(f for f in found if isinstance(f, Failure))
    if not utterances:
        raise failures[0].error(path)
    return Corpus(utterances, failures)


def _transcript_beside(path: Path) -> Path | None:
    """Return the transcript beside a recording; None where there is none."""
    stem = path.with_suffix("")
    try:
        return _by_stem(
            p
            for p in sorted(path.parent.glob(f"{glob.escape(path.stem)}.*"))
            if p.with_suffix("") == stem and p.is_file()
        ).get(stem)
    except OSError as error:
        raise DataError(
            path.parent, f"the folder cannot be read ({error.strerror})", "check its rights"
        ) from error


def _row_of(path: Path, root: Path) -> TranscriptRow | None:
    """Return a recording's row in a table of its folder, the one above, or one up to the root.

    Raises
    ------
    DataError
        If there is none, but a table that cannot be read.
    """
    above = path.absolute().parents
    folders = [p for k, p in enumerate(above) if k < 2 or p.is_relative_to(root.absolute())]
    tables = [table for p in folders for table in (p / LJSPEECH, p / TSV) if table.is_file()]
    rows = _rows(tables, [path])
    found = rows.get(path.with_suffix(""))
    broken = next((r.problem for r in rows.values() if r.problem is not None and r.line == 0), None)
    if found is None and broken is not None:
        raise broken
    return found


def _if_unicode(found: Utterance | Failure) -> Utterance | Failure:
    """Return what was found, or a failure where its name is not Unicode, which tables and TextGrids cannot
    hold.
    """
    utterance = found.utterance if isinstance(found, Failure) else found
    try:
        f"{utterance.id}{utterance.speaker}".encode()
    except UnicodeEncodeError:
        escaped = {
            name: getattr(utterance, name).encode(errors="backslashreplace").decode()
            for name in ("id", "file", "speaker")
        }
        return Failure(
            replace(utterance, **escaped), "its name is not Unicode", "rename it", fault=Fault.ODD_NAME
        )
    return found


def _unread_recording(root: Path, path: Path, rule: str, remedy: str, fault: Fault) -> Failure:
    """Return the failure of a recording that is not read; its name has the suffix, which its namesake's
    lacks.
    """
    utterance = _utterance(root, path, "")
    name = f"{utterance.file}{path.suffix}"
    return Failure(replace(utterance, id=name, file=name), rule, remedy, fault=fault)


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _utterance(
    root: Path,
    path: Path,
    transcript: str,
    *,
    speaker: str = "",
    source: Path | None = None,
    channel: int | None = None,
    interval: Interval | None = None,
    number: int | None = None,
) -> Utterance:
    """Return an utterance of the recording ``path``; it is numbered where the recording has several."""
    name = path.relative_to(root).with_suffix("").as_posix() if path.is_relative_to(root) else path.stem
    identity = name if number is None else f"{name}#{number}"
    start, end = (interval.start, interval.end) if interval else (0.0, None)
    return Utterance(
        identity,
        path,
        transcript,
        speaker=speaker or path.absolute().parent.name,
        file=name,
        channel=channel,
        start=start,
        end=end,
        source=source,
    )


def _by_stem(files: Iterable[Path]) -> dict[Path, Path]:
    """Return the transcript of each stem; of several the first kind in `TRANSCRIPTS` counts."""
    chosen: dict[Path, Path] = {}
    rank = {suffix: k for k, suffix in enumerate(TRANSCRIPTS)}
    for path in files:
        if path.suffix.lower() in rank:
            other = chosen.get(path.with_suffix(""))
            if other is None or rank[path.suffix.lower()] < rank[other.suffix.lower()]:
                chosen[path.with_suffix("")] = path
    return chosen


def _of_recording(
    root: Path, path: Path, transcript: Path | None, row: TranscriptRow | None
) -> Iterator[Utterance | Failure]:
    """Yield the utterances of one recording, or why there are none."""
    bare = _utterance(root, path, "", source=transcript or (row.table if row else None))
    try:
        if transcript is not None and transcript.suffix.lower() == ".textgrid":
            yield from _from_textgrid(root, path, transcript)
        elif transcript is not None:
            yield _utterance(root, path, _prompt(read_text(transcript), path), source=transcript)
        elif row is not None and row.problem is not None:
            raise row.problem
        elif row is not None:
            yield _utterance(root, path, row.text, speaker=row.speaker, source=row.table)
        else:
            yield Failure(
                bare,
                "the recording has no transcript",
                f"put {path.stem}.lab, .txt or .TextGrid beside it",
                fault=Fault.NO_TRANSCRIPT,
            )
    except DataError as error:
        yield _bad_transcript(bare, error)


def _bad_transcript(utterance: Utterance, error: DataError) -> Failure:
    """Return the failure of an utterance whose transcript is wrong, with the name of its file."""
    rule = f"{Path(error.where).name}: {error.rule}"
    return Failure(utterance, rule, error.remedy, fault=error.fault_or(Fault.BAD_TRANSCRIPT))


def _prompt(text: str, path: Path) -> str:
    """Return a transcript line by line, without the numbers of samples that TIMIT's begin with."""
    text = _lines(text)
    numbers = TIMIT_PROMPT.match(text)
    if (
        numbers
        and int(numbers[1]) == 0
        and any(abs(int(numbers[2]) - samples) <= PROMPT_SLACK * samples for samples in audio.frames_in(path))
    ):
        return text[numbers.end() :]
    return text


def _lines(text: str) -> str:
    """Return a text line by line, with single spaces and without empty lines."""
    return "\n".join(filter(None, (" ".join(line.split()) for line in text.splitlines())))


def _from_textgrid(root: Path, path: Path, transcript: Path) -> Iterator[Utterance | Failure]:
    """Yield an utterance for each interval with text; tiers are speakers, and in a stereo file the first half
    of them is on the left.
    """
    tiers = read_textgrid(transcript)
    names = [name for name, _ in tiers]
    _check_tiers(transcript, tiers)
    channels = _channels(path)
    number = 0
    for k, (speaker, intervals) in enumerate(tiers):
        channel = int(k >= len(tiers) / 2) if channels == 2 and len(tiers) > 1 else None
        for interval in intervals:
            if interval.label.strip():
                number += 1
                yield _utterance(
                    root,
                    path,
                    " ".join(interval.label.split()),
                    speaker=speaker.strip(),
                    source=transcript,
                    channel=channel,
                    interval=interval,
                    number=number,
                )
    if not number:
        raise DataError(
            transcript,
            f"no interval has text; its tiers are {', '.join(names) or 'none'}",
            "write what is said into the intervals",
            fault=Fault.EMPTY_TRANSCRIPT,
        )


def _check_tiers(transcript: Path, tiers: Tiers) -> None:
    """Raise DataError where the tiers of a TextGrid are no transcript, or two have one name."""
    names = [name for name, _ in tiers]
    kinds = {found[1]: name for name, intervals in tiers if (found := kind_of(name, intervals))}
    if PHONES in kinds:
        raise DataError(
            transcript,
            f"it holds an alignment (a tier of phones, {kinds[PHONES]!r}), not a transcript",
            "keep a tier per speaker with what is said, or write the text to a .lab file",
            fault=Fault.BAD_TRANSCRIPT,
        )
    twice = next((n for k, n in enumerate(names) if n in names[:k]), None)
    if twice is not None:
        raise DataError(
            transcript,
            f"two tiers are named {twice!r}",
            "name each tier after its speaker",
            fault=Fault.BAD_TRANSCRIPT,
        )


def _channels(path: Path) -> int:
    try:
        return audio.shape_of(path).channels
    except DataError:
        return 1  # reading it will say what is wrong


def _without_recording(
    root: Path, transcripts: dict[Path, Path], rows: dict[Path, TranscriptRow], folders: set[Path]
) -> Iterator[Failure]:
    """Yield the failures of transcripts and rows without a recording; a .txt apart from recordings, or a
    README, is no transcript.
    """
    for stem, path in transcripts.items():
        if path.suffix.lower() == ".txt" and (
            path.parent not in folders or stem.name.upper() in ("README", "LICENSE")
        ):
            continue
        yield Failure(
            _utterance(root, path, "", source=path),
            f"{path.name} has no recording beside it",
            f"put {stem.name}.wav (or another kind) there",
            fault=Fault.NO_RECORDING,
        )
    for stem, row in rows.items():
        recording = stem.with_name(f"{stem.name}.wav")
        bare = _utterance(root, recording, row.text, speaker=row.speaker, source=row.table)
        if row.problem is not None:
            yield _bad_transcript(bare, row.problem)
        else:
            yield Failure(
                bare,
                f"line {row.line} of {row.table.name} names a recording that is not in the corpus",
                "correct the line (a header names its columns file and text)",
                fault=Fault.NO_RECORDING,
            )


def _rows(files: Iterable[Path], recordings: Iterable[Path]) -> dict[Path, TranscriptRow]:
    """Return the rows of every table, by the recording's path without its suffix."""
    stems = {os.path.abspath(p.with_suffix("")): p.with_suffix("") for p in recordings}
    rows: dict[Path, TranscriptRow] = {}
    for row in (row for table in files if table.name in (LJSPEECH, TSV) for row in read_rows(table)):
        given = row.table.parent / row.name
        bare = given.with_suffix("") if given.suffix.lower() in audio.SUFFIXES else given
        places = (bare, row.table.parent / "wavs" / bare.name, row.table.parent / "clips" / bare.name)
        stem = next((stems[p] for p in map(os.path.abspath, places) if p in stems), bare)
        earlier = rows.setdefault(stem, row)
        if earlier.text != row.text and earlier.problem is None:
            rule = f"it names a recording that line {earlier.line} names too, with other words"
            rows[stem] = replace(
                row,
                problem=DataError(
                    f"{row.table}:{row.line}", rule, "keep one of the two", fault=Fault.BAD_TRANSCRIPT
                ),
            )
    return rows


def find_recordings(root: Path) -> dict[str, Path]:
    """Find the recordings of a folder tree, with transcripts or without, by their path below it without
    suffix.

    Raises
    ------
    DataError
        If there is no such folder or no recording in it.
    """
    check_reachable(root)
    if not root.is_dir():
        raise DataError(root, "there is no such folder", "name a folder of recordings")
    found: dict[str, Path] = {}
    files = (p for p in sorted(root.rglob("*")) if p.is_file() and not _hidden(p.relative_to(root)))
    for path in audio.recordings_of(files):
        found.setdefault(path.relative_to(root).with_suffix("").as_posix(), path)
    if not found:
        raise DataError(root, "there is no recording in this folder", audio.SUFFIXES_SAID)
    return found
