"""A folder of recordings and transcripts -> utterances."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import soundfile

from aligner.corpus import audio
from aligner.corpus.files import read_text
from aligner.corpus.textgrid import read_textgrid
from aligner.types import DataError, Failure, Interval, Utterance

TRANSCRIPTS = (".lab", ".txt", ".textgrid")  # the first there is counts
LJSPEECH, TABLE = "metadata.csv", "transcripts.tsv"
FILE_COLUMNS = ("file", "path", "audio", "filename", "file_name", "id")
TEXT_COLUMNS = ("text", "transcript", "sentence", "transcription")
SPEAKER_COLUMNS = ("speaker", "speaker_id", "client_id")
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
    recordings = [p for p in files if p.suffix.lower() in audio.SUFFIXES]
    if not recordings and not any(p.name in (LJSPEECH, TABLE) for p in files):
        raise DataError(root, "there is no recording in this folder", f"recordings end in {', '.join(audio.SUFFIXES)}")
    by_stem = _by_stem(files)
    rows, broken = _tables(root, files)
    found: list[Utterance | Failure] = list(broken)
    taken: dict[Path, Path] = {}
    for path in recordings:
        stem = path.with_suffix("")
        utterance = _utterance(root, path, "")
        if stem in taken:
            found.append(Failure(utterance, f"{path.name} and {taken[stem].name} have one name, so one would overwrite "
                                 "the other's TextGrid", "rename one of them"))
            continue
        taken[stem] = path
        found += _of_recording(root, path, by_stem.pop(stem, None), rows.pop(stem, None))
    found += _left_over(root, by_stem, rows, {p.parent for p in recordings})
    return Corpus(tuple(u for u in found if isinstance(u, Utterance)),
                  tuple(f for f in found if isinstance(f, Failure)))


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _utterance(root: Path, path: Path, transcript: str, speaker: str = "", source: Path | None = None,
               channel: int | None = None, interval: Interval | None = None, number: int | None = None) -> Utterance:
    name = path.relative_to(root).with_suffix("").as_posix() if path.is_relative_to(root) else path.stem
    identity = name if number is None else f"{name}#{number}"
    start, end = (interval.start, interval.end) if interval else (0.0, None)
    return Utterance(identity, path, transcript, speaker or path.resolve().parent.name, name, channel, start, end,
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


@dataclass(frozen=True)
class _Row:
    table: Path
    line: int
    text: str
    speaker: str


def _of_recording(root: Path, path: Path, transcript: Path | None, row: _Row | None) -> Iterator[Utterance | Failure]:
    """The utterances of one recording, or why there are none."""
    bare = _utterance(root, path, "", source=transcript or (row.table if row else None))
    try:
        if transcript is not None and transcript.suffix.lower() == ".textgrid":
            yield from _from_textgrid(root, path, transcript)
        elif transcript is not None:
            yield _utterance(root, path, _prompt(read_text(transcript), path), source=transcript)
        elif row is not None:
            speaker = row.speaker or (row.table.resolve().parent.name if row.table.name == LJSPEECH else "")
            yield _utterance(root, path, row.text, speaker, row.table)
        else:
            yield Failure(bare, "the recording has no transcript", f"put {path.stem}.lab, .txt or .TextGrid beside it")
    except DataError as error:
        yield Failure(bare, f"{Path(error.where).name}: {error.rule}", error.remedy)


def _prompt(text: str, path: Path) -> str:
    """A transcript as text; TIMIT's begin with the numbers of the first and the last sample."""
    text = " ".join(text.split())
    numbers = TIMIT_PROMPT.match(text)
    if numbers and int(numbers[1]) == 0:
        samples = audio.frames_in(path)
        if abs(int(numbers[2]) - samples) <= PROMPT_SLACK * samples:
            return text[numbers.end():]
    return text


def _from_textgrid(root: Path, path: Path, transcript: Path) -> Iterator[Utterance | Failure]:
    """One utterance an interval with text; tiers are speakers, in a stereo file the first half on the left."""
    tiers = read_textgrid(transcript)
    names = [name for name, _ in tiers]
    if any(n == "phones" or n.endswith(" - phones") for n in names):
        raise DataError(transcript, "it holds an alignment (a tier of phones), not a transcript",
                        "keep a tier per speaker with what is said, or write the text to a .lab file")
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
    except (soundfile.LibsndfileError, OSError):
        return 1  # reading it will say what is wrong


def _left_over(root: Path, transcripts: dict[Path, Path], rows: dict[Path, _Row],
               folders: set[Path]) -> Iterator[Failure]:
    """Transcripts and rows without a recording; a .txt apart from recordings, or a README, is none."""
    for stem, path in transcripts.items():
        if path.suffix.lower() == ".txt" and (path.parent not in folders or stem.name.upper() in ("README", "LICENSE")):
            continue
        yield Failure(_utterance(root, path, "", source=path), f"{path.name} has no recording beside it",
                      f"put {stem.name}.wav (or another kind) there")
    for stem, row in rows.items():
        yield Failure(_utterance(root, stem.with_suffix(".wav"), row.text, row.speaker, row.table),
                      f"line {row.line} of {row.table.name} names a recording that is not there", "correct the line")


def _tables(root: Path, files: Iterable[Path]) -> tuple[dict[Path, _Row], list[Failure]]:
    """Rows of every metadata.csv and transcripts.tsv, by the recording's path without its suffix."""
    readers = {LJSPEECH: _ljspeech, TABLE: _tsv}
    rows: dict[Path, _Row] = {}
    failures = []
    stems = {p.with_suffix("") for p in files if p.suffix.lower() in audio.SUFFIXES}
    for table in (p for p in files if p.name in readers):
        try:
            found = list(readers[table.name](table, read_text(table)))
        except DataError as error:
            found = [("", error)]
        for name, row in found:
            if isinstance(row, DataError):
                where = Path(row.where).name
                failures.append(Failure(_utterance(root, table, "", source=table), f"{where}: {row.rule}", row.remedy))
                continue
            given = table.parent / name
            bare = given.with_suffix("") if given.suffix.lower() in audio.SUFFIXES else given
            places = (bare, table.parent / "wavs" / bare.name, table.parent / "clips" / bare.name)
            rows[next((p for p in places if p in stems), bare)] = row
    return rows, failures


def _ljspeech(path: Path, text: str) -> Iterator[tuple[str, _Row | DataError]]:
    """LJSpeech: id|text|text with numbers spelled out, no header; the last column is what is said."""
    for number, line in enumerate(text.splitlines(), 1):
        name, *texts = (cell.strip() for cell in line.split("|"))
        if line.strip() and not texts:
            yield name, DataError(f"{path}:{number}", "there is no | in the line", "write id|text, as LJSpeech does")
        elif line.strip():
            yield name, _Row(path, number, texts[1] if len(texts) > 1 and texts[1] else texts[0], "")


def _tsv(path: Path, text: str) -> Iterator[tuple[str, _Row | DataError]]:
    """A header with a column for the file and one for the text, or two columns: file, text."""
    lines = [[cell.strip() for cell in line.split("\t")] for line in text.splitlines()]
    header = [cell.lower() for cell in lines[0]] if lines else []
    file, words, speaker = (next((header.index(n) for n in names if n in header), None)
                            for names in (FILE_COLUMNS, TEXT_COLUMNS, SPEAKER_COLUMNS))
    body = list(enumerate(lines, 1))[1:]
    if file is None or words is None:
        file, words, speaker, body = 0, 1, None, list(enumerate(lines, 1))
    for number, cells in body:
        if len(cells) <= max(file, words) and any(cells):
            yield cells[0], DataError(f"{path}:{number}", "a column is missing", "write file, tab, text")
        elif any(cells):
            said_by = cells[speaker] if speaker is not None and len(cells) > speaker else ""
            yield cells[file], _Row(path, number, cells[words], said_by)
