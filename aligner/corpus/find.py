"""A folder of recordings and transcripts is searched for utterances."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from aligner.corpus import audio
from aligner.corpus.leftovers import MOST_NAMED, TRANSCRIPTS, Lacking, cautions_of, is_recording, some
from aligner.corpus.naming import ByName, composed, paired
from aligner.corpus.placed import passed_over, tiers_of_words
from aligner.corpus.tables import TranscriptRow, is_table, read_rows
from aligner.corpus.tier_names import PHONES, kind_of
from aligner.corpus.turns import unprefixed
from aligner.corpus.walk import Odd, Tree, Why, files_in, walk
from aligner.formats.base import Tiers
from aligner.formats.files import check_reachable, read_text
from aligner.formats.silences import is_silence
from aligner.formats.textgrid import read_textgrid
from aligner.types import Caution, DataError, Failure, Fault, Interval, Utterance

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
    linked: tuple[Path, ...] = ()
    """The real folders that links in it lead to."""


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
    tree = walk(root)
    _check_found(root, tree)
    recordings = _in_order(audio.recordings_of(tree.files))
    stems = {path.with_suffix(""): path for path in reversed(recordings)}
    unread = [p for p in tree.files if p.suffix.lower() in UNREAD_SUFFIXES and p.with_suffix("") not in stems]
    odd = [o.path for o in tree.odd if is_recording(o.path)]
    wanting = {*stems, *(p.with_suffix("") for p in (*unread, *odd))}
    transcripts = paired(sorted(wanting), _ranked(tree.files))
    rows, others = _rows(tree.files, recordings)
    lacking = Lacking(tree)
    found: list[Utterance | Failure] = []
    for path in recordings:
        stem = path.with_suffix("")
        if stems[stem] is not path:
            found.append(_second_of_name(root, path, stems[stem]))
        else:
            own = transcripts.by_stem.get(stem)
            found += _of_recording(root, path, own, rows.pop(stem, None), lacking)
    found += [_unread_recording(root, p, *audio.unread(p), Fault.UNREADABLE) for p in unread]
    found += _of_odd(root, tree.odd)
    found += _without_recording(root, transcripts.spare, rows)
    named, of_lines = unprefixed([_if_unicode(f) for f in found])
    said = [u.audio for u in named if isinstance(u, Utterance) and isinstance(u.audio, Path)]
    return Corpus(
        tuple(u for u in named if isinstance(u, Utterance)),
        tuple(f for f in named if isinstance(f, Failure)),
        cautions=(*cautions_of(root, tree, transcripts, others, said), *of_lines, *passed_over(named)),
        linked=tree.linked,
    )


def _in_order(recordings: Iterable[Path]) -> list[Path]:
    """Return recordings in ascending order, those of one name with the best format first."""
    return sorted(recordings, key=lambda p: (p.with_suffix(""), audio.SUFFIXES.index(p.suffix.lower())))


def _ranked(files: Iterable[Path]) -> list[Path]:
    """Return those of some files that are transcripts, the kinds first that count more."""
    transcripts = (p for p in files if p.suffix.lower() in TRANSCRIPTS and not is_table(p))
    return sorted(transcripts, key=lambda p: (TRANSCRIPTS.index(p.suffix.lower()), p))


def _second_of_name(root: Path, path: Path, first: Path) -> Failure:
    """Return the failure of a recording whose name another one has, of a better format."""
    rule = f"{first.name} has the same name, and one TextGrid cannot hold both"
    return _unread_recording(root, path, rule, "rename one of them", Fault.DUPLICATE_NAME)


def check_corpus(root: Path) -> None:
    """Raise DataError where a folder has nothing that would be a corpus; the first recording found suffices.

    Raises
    ------
    DataError
        If there is no such folder, or no recording in it.
    """
    _check_found(root, walk(root))


def _check_found(root: Path, tree: Tree) -> None:
    """Raise DataError where there is no such folder, or nothing in it that would be a corpus."""
    check_reachable(root)
    if not root.is_dir():
        rule = "it is a file, not a folder" if root.exists() else "there is no such folder"
        raise DataError(root, rule, "name the folder of recordings and transcripts")
    for odd in (o for o in tree.odd if o.path == root):
        raise DataError(root, odd.rule, "check its rights")
    odd_paths = [o.path for o in tree.odd]
    if not any(is_recording(p) or is_table(p) for p in (*tree.files, *odd_paths)):
        raise DataError(
            root,
            f"there is no recording in this folder{_instead_there(root, tree)}",
            audio.SUFFIXES_SAID,
        )


def _instead_there(root: Path, tree: Tree) -> str:
    """Return what is in a folder without recordings, in brackets; empty where nothing is."""
    kinds = Counter(p.suffix.lower() or "files without a suffix" for p in tree.files)
    there = [f"{count} {kind}" for kind, count in kinds.most_common(MOST_NAMED)]
    hidden = [p.name for p in tree.hidden if p.is_dir() or is_recording(p)]
    if hidden:
        there.append(f"{some(hidden)}, whose names begin with a dot")
    there += [f"{o.path.relative_to(root)}: {o.rule}" for o in tree.odd[:MOST_NAMED]]
    return f" ({'; '.join(there)})" if there else ""


def check_recording(path: Path) -> None:
    """Raise DataError where a file is no recording.

    Raises
    ------
    DataError
        Saying what it is, and what to name instead.
    """
    suffix = path.suffix.lower()
    check_reachable(path)
    if odd := next((o for o in files_in(path.parent).odd if o.path == path), None):
        raise DataError(path, odd.rule, "name another file, or put one there", fault=Fault.UNREADABLE)
    if not path.exists():
        alike = ByName({p.name: p.name for p in files_in(path.parent).files if is_recording(p)}).get(
            path.name
        )
        others = [path.with_name(f"{path.name}{s}") for s in audio.SUFFIXES] + _recordings_of(path)
        meant = alike or next((p.name for p in others if p.is_file()), None)
        raise DataError(
            path,
            "there is no such folder or recording",
            f"did you mean {meant}?"
            if meant
            else "name the folder of recordings and transcripts, or one recording",
        )
    if suffix in UNREAD_SUFFIXES:
        raise DataError(path, *audio.unread(path), fault=Fault.UNREADABLE)
    if is_table(path):
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
        folder = files_in(path.parent)
        transcript, row, lacking = _transcript_beside(path, folder), _row_of(path, root), Lacking(folder)
        if transcript is None and row is None:
            rule, remedy, fault = lacking.of(path)
            raise DataError(path, rule, f"{remedy}, or say what is said (--text)", fault=fault)
        found = [_if_unicode(f) for f in _of_recording(root, path, transcript, row, lacking)]
    found, of_lines = unprefixed(found)
    utterances = tuple(u for u in found if isinstance(u, Utterance))
    failures = tuple(f for f in found if isinstance(f, Failure))
    if not utterances:
        raise failures[0].error(path)
    return Corpus(utterances, failures, cautions=(*of_lines, *passed_over(utterances)))


def _transcript_beside(path: Path, folder: Tree) -> Path | None:
    """Return the transcript beside a recording; None where there is none.

    Raises
    ------
    DataError
        If the folder cannot be read.
    """
    for odd in folder.odd:
        if odd.why is Why.CLOSED and odd.path == path.parent:
            raise DataError(odd.path, odd.rule, "check its rights")
    recordings = {p.with_suffix("") for p in (path, *folder.files) if p.suffix.lower() in audio.SUFFIXES}
    return paired(sorted(recordings), _ranked(folder.files)).by_stem.get(path.with_suffix(""))


def _row_of(path: Path, root: Path) -> TranscriptRow | None:
    """Return a recording's row in a table of its folder, the one above, or one up to the root.

    Raises
    ------
    DataError
        If there is none, but a table that cannot be read.
    """
    above = path.absolute().parents
    folders = [p for k, p in enumerate(above) if k < 2 or p.is_relative_to(root.absolute())]
    tables = [table for p in folders for table in files_in(p).files if is_table(table)]
    rows, _ = _rows(tables, [path])
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
        speaker=composed(speaker or path.absolute().parent.name),
        file=name,
        channel=channel,
        start=start,
        end=end,
        source=source,
    )


def _of_recording(
    root: Path, path: Path, transcript: Path | None, row: TranscriptRow | None, lacking: Lacking
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
            rule, remedy, fault = lacking.of(path)
            yield Failure(bare, rule, remedy, fault=fault)
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
    if speakers := tiers_of_words(tiers):
        of_words = [(speakers[name], intervals) for name, intervals in tiers if name in speakers]
        yield from _of_words(root, path, transcript, of_words, channels)
        return
    number = 0
    for k, (speaker, intervals) in enumerate(tiers):
        channel = int(k >= len(tiers) / 2) if channels == 2 and len(tiers) > 1 else None
        for interval in intervals:
            if not is_silence(interval.label):
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


def _of_words(
    root: Path, path: Path, transcript: Path, tiers: Sequence[tuple[str, list[Interval]]], channels: int
) -> Iterator[Utterance]:
    """Yield an utterance for each tier of words, which is all of the recording, with the words' times."""
    for k, (speaker, intervals) in enumerate(tiers):
        whole = _utterance(
            root,
            path,
            " ".join(" ".join(i.label.split()) for i in intervals if i.label.strip()),
            speaker=speaker,
            source=transcript,
            channel=int(k >= len(tiers) / 2) if channels == 2 and len(tiers) > 1 else None,
            number=k + 1 if len(tiers) > 1 else None,
        )
        yield replace(whole, known=tuple(intervals))


def _check_tiers(transcript: Path, tiers: Tiers) -> None:
    """Raise DataError where the tiers of a TextGrid are no transcript, or two have one name."""
    names = [name for name, _ in tiers]
    kinds = {found[1]: name for name, intervals in tiers if (found := kind_of(name, intervals))}
    if PHONES in kinds:
        raise DataError(
            transcript,
            f"it holds an alignment (a tier of phones, {kinds[PHONES]!r}), not a transcript",
            "keep a tier per speaker with what is said, or a tier 'words' alone, whose boundaries "
            "are kept, or write the text to a .lab file",
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


def _of_odd(root: Path, odd: Iterable[Odd]) -> Iterator[Failure]:
    """Yield the failures of what cannot be read and may be a recording, or a folder of some."""
    for o in odd:
        folder = o.why is Why.CLOSED or (o.why is Why.BROKEN and not o.path.suffix)
        if folder or (is_recording(o.path) and o.why in (Why.BROKEN, Why.SPECIAL)):
            remedy = "check its rights" if o.why is Why.CLOSED else "put it there, or take it out"
            yield _unread_recording(root, o.path, o.rule, remedy, Fault.UNREADABLE)


def _without_recording(
    root: Path, transcripts: Iterable[Path], rows: Mapping[Path, TranscriptRow]
) -> Iterator[Failure]:
    """Yield the failures of transcripts and rows without a recording; a .txt may be anything."""
    for path in transcripts:
        if path.suffix.lower() == ".txt":
            continue
        yield Failure(
            _utterance(root, path, "", source=path),
            f"{path.name} has no recording beside it",
            f"put {path.stem}.wav (or another kind) there",
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


def _rows(files: Iterable[Path], recordings: Iterable[Path]) -> tuple[dict[Path, TranscriptRow], list[Path]]:
    """Return the rows of every table, by the recording's path without its suffix; and the tables that are
    about something else.
    """
    stems = ByName({os.path.abspath(p.with_suffix("")): p.with_suffix("") for p in recordings})
    rows: dict[Path, TranscriptRow] = {}
    others = []
    for table in filter(is_table, files):
        placed = [(_place(row, stems), row) for row in read_rows(table)]
        if all(row.problem and row.line and not there for (_, there), row in placed):
            others.append(table)
            continue
        for (stem, _), row in placed:
            earlier = rows.setdefault(stem, row)
            if earlier.text != row.text and earlier.problem is None:
                rows[stem] = replace(row, problem=_named_twice(row, earlier))
    return rows, others


def _place(row: TranscriptRow, stems: ByName[Path]) -> tuple[Path, bool]:
    """Return the path, without its suffix, of the recording that a row names, and whether it is there."""
    given = row.table.parent / row.name.replace("\\", "/")
    bare = given.with_suffix("") if is_recording(given) else given
    places = (bare, row.table.parent / "wavs" / bare.name, row.table.parent / "clips" / bare.name)
    known = [stems[p] for p in map(os.path.abspath, places) if p in stems]
    return (known[0], True) if known else (bare, False)


def _named_twice(row: TranscriptRow, earlier: TranscriptRow) -> DataError:
    """Return the error of a row whose recording an earlier one names, with other words."""
    rule = f"it names a recording that line {earlier.line} names too, with other words"
    return DataError(f"{row.table}:{row.line}", rule, "keep one of the two", fault=Fault.BAD_TRANSCRIPT)


def find_recordings(root: Path) -> ByName[Path]:
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
    tree = walk(root)
    found: dict[str, Path] = {}
    for path in _in_order(audio.recordings_of(tree.files)):
        found.setdefault(path.relative_to(root).with_suffix("").as_posix(), path)
    if not found:
        raise DataError(
            root,
            f"there is no recording in this folder{_instead_there(root, tree)}",
            audio.SUFFIXES_SAID,
        )
    return ByName(found)
