"""What ``aligner read`` does: print how a text is read, or write it as a table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import click
import numpy as np

from aligner.backends.choose import chosen
from aligner.backends.options import Options
from aligner.check.reading import Reading, Source, Written, read, unsaid
from aligner.corpus.results import READING_COLUMNS
from aligner.formats.table import write_table
from aligner.run.cautions import cautions
from aligner.types import Utterance

HEADS = ("written", "said", "pronunciation", "")
MOST_WIDTH = 28  # characters of a column on the screen; a longer word pushes the rest of its line
NOTES = {
    Source.GUESS: "guessed: no dictionary has it",
    Source.NOISE: "a noise, or what nobody understood",
    Source.CUT_OFF: "broken off: said as far as it is written",
    Source.SPEAKER: "names who speaks: not said",
    Source.LEFT_OUT: "not said",
    Source.TRANSCRIPT: "as the transcript has it",
}  # of what is worth a look


def show(text: str, *, model: str | None, options: Options, as_json: bool, table: Path | None) -> int:
    """Carry out a call of `aligner read`, and return its exit status."""
    backend = chosen(model, options)
    for caution in cautions([Utterance("text", np.zeros(0, np.float32), text)], backend):
        click.echo(f"read: warning: {caution}", err=True)
    words = read(text, backend)
    if table is not None:
        write_table(table, READING_COLUMNS, _rows(words))
    if as_json:
        click.echo(json.dumps([asdict(word) for word in words], ensure_ascii=False, indent=1))
    else:
        _print(words)
    return 1 if unsaid(words) else 0


def _rows(words: Sequence[Written]) -> Iterator[tuple[str, ...]]:
    """Yield a row for each pronunciation; one, too, for a word that has none."""
    for word in words:
        for r in word.readings:
            for phones in r.pronunciations or ((),):
                yield word.spelling, r.word, str(r.source), " ".join(phones), r.problem


def _print(words: Sequence[Written]) -> None:
    """Print a line for each word that is said, and one for each further pronunciation."""
    lines = [HEADS, *_lines(words)]
    wide = [min(max(map(len, column)), MOST_WIDTH) for column in zip(*lines, strict=True)]
    for written, said, phones, note in lines:
        line = f"{written:<{wide[0]}}  {said:<{wide[1]}}  {phones}"
        click.echo(f"{line}  ({note})" if note else line.rstrip())


def _lines(words: Sequence[Written]) -> list[tuple[str, str, str, str]]:
    """The cells of each line: written, said, phones, and what is to be noted."""
    return [
        (
            word.spelling if not k and not n else "",
            r.word if not n else "",
            " ".join(phones),
            _note(r) if not n else "",
        )
        for word in words
        for k, r in enumerate(word.readings)
        for n, phones in enumerate(r.pronunciations or ((),))
    ]


def _note(r: Reading) -> str:
    return r.problem or NOTES.get(r.source, "")
