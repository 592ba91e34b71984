"""Transcripts in tables: LJSpeech's and Hugging Face's metadata.csv, transcripts.tsv, LibriSpeech's
``.trans.txt``.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from aligner.formats.files import read_text
from aligner.types import DataError, Fault

METADATA, TSV = "metadata.csv", "transcripts.tsv"
LIBRISPEECH = ".trans.txt"  # what the names of LibriSpeech's transcripts of a chapter end in
LIBRISPEECH_ID = re.compile(r"(\w+)-\w+-\w+")  # speaker, chapter, utterance
FILE_COLUMNS = ("file", "path", "audio", "filename", "file_name", "id")
TEXT_COLUMNS = ("normalized_text", "text", "transcript", "sentence", "transcription")
SPEAKER_COLUMNS = ("speaker", "speaker_id", "client_id")


def is_table(path: Path) -> bool:
    """Return whether a file is a table of transcripts, by its name in any case.

    Examples
    --------
    >>> [is_table(Path(name)) for name in ("Metadata.CSV", "84-1.trans.txt", "metadata.txt")]
    [True, True, False]
    """
    return path.name.lower() in (METADATA, TSV) or path.name.lower().endswith(LIBRISPEECH)


@dataclass(frozen=True, kw_only=True)
class TranscriptRow:
    """A line of a table of transcripts."""

    table: Path
    """The table."""
    name: str
    """The recording that the line names."""
    text: str = ""
    """What is said there."""
    speaker: str = ""
    """Who says it; empty where the folder says it."""
    line: int = 0
    """The number of the line, from 1; 0 where the table cannot be read at all."""
    problem: DataError | None = None
    """What is wrong with the line; the text and the speaker then say nothing."""


def read_rows(table: Path) -> list[TranscriptRow]:
    """Read the rows of a table, whose name and first line say its layout.

    One that cannot be read is a single row with a problem.
    """
    try:
        lines = read_text(table).split("\n")
    except DataError as error:
        return [TranscriptRow(table=table, name=table.name, problem=error)]
    if table.name.lower().endswith(LIBRISPEECH):
        return list(_librispeech(table, lines))
    if table.name.lower() == TSV:
        return list(_tsv(table, [line.split("\t") for line in lines]))
    between = next((sign for sign in ",;\t|" if _has_header(line_cells(lines[0], sign))), None)
    if between is not None:
        return list(_tsv(table, [line_cells(line, between) for line in lines]))
    return list(_ljspeech(table, lines))


def line_cells(line: str, between: str) -> list[str]:
    """Return the cells of a line, which may be in quotes.

    Examples
    --------
    >>> line_cells('a.wav,"Well, no"', ",")
    ['a.wav', 'Well, no']
    """
    return next(csv.reader([line], delimiter=between), [])


def _has_header(cells: Sequence[str]) -> bool:
    """Return whether a line names a column of files and one of texts."""
    names = {cell.strip().lower() for cell in cells}
    return not names.isdisjoint(FILE_COLUMNS) and not names.isdisjoint(TEXT_COLUMNS)


def _broken(table: Path, name: str, line: int, rule: str, remedy: str) -> TranscriptRow:
    problem = DataError(f"{table}:{line}", rule, remedy, fault=Fault.BAD_TRANSCRIPT)
    return TranscriptRow(table=table, name=name, line=line, problem=problem)


def _ljspeech(table: Path, lines: list[str]) -> Iterator[TranscriptRow]:
    """Read LJSpeech's layout: id|text|text with numbers spelled out, no header; the last column is what is
    said.
    """
    for number, line in enumerate(lines, 1):
        name, *texts = (cell.strip() for cell in line.split("|"))
        if line.strip() and not texts:
            id_ = re.split(r"[,;\t]", name)[0]
            yield _broken(table, id_, number, "there is no | in the line", "write id|text, as LJSpeech does")
        elif line.strip():
            said = texts[1] if len(texts) > 1 and texts[1] else texts[0]
            speaker = table.absolute().parent.name
            yield TranscriptRow(table=table, name=name, text=said, speaker=speaker, line=number)


def _librispeech(table: Path, lines: list[str]) -> Iterator[TranscriptRow]:
    """Read LibriSpeech's layout: the name of a recording, a space, what is said; no header."""
    for number, line in enumerate(lines, 1):
        name, _, said = line.strip().partition(" ")
        if name:
            speaker = LIBRISPEECH_ID.fullmatch(name)
            said_by = speaker[1] if speaker else ""
            yield TranscriptRow(table=table, name=name, text=said.strip(), speaker=said_by, line=number)


def _tsv(table: Path, lines: Iterable[Sequence[str]]) -> Iterator[TranscriptRow]:
    """Read a table with a header with a column for the file and one for the text, or with two columns: file,
    text.
    """
    cells = [[cell.strip() for cell in line] for line in lines]
    header = [cell.lower() for cell in cells[0]]
    file, text, speaker = (
        next((header.index(n) for n in names if n in header), None)
        for names in (FILE_COLUMNS, TEXT_COLUMNS, SPEAKER_COLUMNS)
    )
    first = 1
    if file is None or text is None:
        file, text, speaker, first = 0, 1, None, 0
    for number, row in enumerate(cells[first:], first + 1):
        if any(row) and len(row) <= max(file, text):
            yield _broken(table, row[0], number, "a column is missing", "write file, tab, text")
        elif any(row):
            said_by = row[speaker] if speaker is not None and len(row) > speaker else ""
            yield TranscriptRow(table=table, name=row[file], text=row[text], speaker=said_by, line=number)
