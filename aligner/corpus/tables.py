"""Transcripts in tables: LJSpeech's metadata.csv, and transcripts.tsv."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from aligner.formats.files import read_text
from aligner.types import DataError

LJSPEECH, TSV = "metadata.csv", "transcripts.tsv"
FILE_COLUMNS = ("file", "path", "audio", "filename", "file_name", "id")
TEXT_COLUMNS = ("text", "transcript", "sentence", "transcription")
SPEAKER_COLUMNS = ("speaker", "speaker_id", "client_id")


@dataclass(frozen=True)
class Row:
    """A line of a table: the recording it names, what is said there, and who says it (empty: the folder
    tells).

    ``problem`` is what is wrong with the line, and then the rest says nothing.
    """

    table: Path
    name: str
    text: str
    speaker: str
    line: int
    problem: DataError | None = None


def read_rows(table: Path) -> list[Row]:
    """The rows of a table, by its name; one that cannot be read at all is a single row with a problem."""
    try:
        lines = read_text(table).split("\n")
    except DataError as error:
        return [Row(table, table.name, "", "", 0, error)]
    return list(_ljspeech(table, lines) if table.name == LJSPEECH else _tsv(table, lines))


def _broken(table: Path, name: str, line: int, rule: str, remedy: str) -> Row:
    return Row(table, name, "", "", line, DataError(f"{table}:{line}", rule, remedy))


def _ljspeech(table: Path, lines: list[str]) -> Iterator[Row]:
    """LJSpeech: id|text|text with numbers spelled out, no header; the last column is what is said."""
    for number, line in enumerate(lines, 1):
        name, *texts = (cell.strip() for cell in line.split("|"))
        if line.strip() and not texts:
            yield _broken(table, name, number, "there is no | in the line", "write id|text, as LJSpeech does")
        elif line.strip():
            said = texts[1] if len(texts) > 1 and texts[1] else texts[0]
            yield Row(table, name, said, table.absolute().parent.name, number)


def _tsv(table: Path, lines: list[str]) -> Iterator[Row]:
    """A header with a column for the file and one for the text, or two columns: file, text."""
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
            yield Row(table, row[file], row[text], said_by, number)
