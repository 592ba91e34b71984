"""Transcripts in tables: LJSpeech's metadata.csv, and transcripts.tsv."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from aligner.formats.files import read_text
from aligner.types import DataError, Fault

LJSPEECH, TSV = "metadata.csv", "transcripts.tsv"
FILE_COLUMNS = ("file", "path", "audio", "filename", "file_name", "id")
TEXT_COLUMNS = ("text", "transcript", "sentence", "transcription")
SPEAKER_COLUMNS = ("speaker", "speaker_id", "client_id")


def is_table(path: Path) -> bool:
    """Return whether a file is a table of transcripts, by its name in any case.

    Examples
    --------
    >>> is_table(Path("corpus/Metadata.CSV")), is_table(Path("metadata.txt"))
    (True, False)
    """
    return path.name.lower() in (LJSPEECH, TSV)


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
    """Read the rows of a table, whose name says its layout; one that cannot be read is a single row with a
    problem.
    """
    try:
        lines = read_text(table).split("\n")
    except DataError as error:
        return [TranscriptRow(table=table, name=table.name, problem=error)]
    return list(_ljspeech(table, lines) if table.name.lower() == LJSPEECH else _tsv(table, lines))


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
            yield _broken(table, name, number, "there is no | in the line", "write id|text, as LJSpeech does")
        elif line.strip():
            said = texts[1] if len(texts) > 1 and texts[1] else texts[0]
            speaker = table.absolute().parent.name
            yield TranscriptRow(table=table, name=name, text=said, speaker=speaker, line=number)


def _tsv(table: Path, lines: list[str]) -> Iterator[TranscriptRow]:
    """Read a table with a header with a column for the file and one for the text, or with two columns: file,
    text.
    """
    cells = [[cell.strip() for cell in line.split("\t")] for line in lines]
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
