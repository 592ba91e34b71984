"""Formats: what is written is read again, and a new one is a module and a line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aligner import names
from aligner.corpus.labels import find_labels, read_labels
from aligner.formats import registry
from aligner.formats.base import Format
from aligner.formats.registry import FORMATS, output_path
from aligner.types import Alignment, Interval, Quality, Utterance

QUALITY = Quality(
    log_likelihood=-150.0,
    margin=-1.0,
    worst_margin=-3.0,
    confidence=0.9,
    crammed_run=2,
    speech=0.6,
    longest_word=0.4,
    snr=None,
    clipped=0.0,
)


def alignment(speaker: str = "ann", start: float = 0.0) -> Alignment:
    words = (Interval(start, start + 0.3, "", None), Interval(start + 0.3, start + 1.0, "two", 0.75))
    phones = (
        Interval(start, start + 0.3, "", None),
        Interval(start + 0.3, start + 0.5, "T", 0.5),
        Interval(start + 0.5, start + 1.0, "UW1", 0.875),
    )
    utterance = Utterance(
        "a", np.zeros(0), "two", speaker=speaker, file="folder/a", start=start, end=start + 1.0
    )
    return Alignment(
        utterance=utterance,
        words=words,
        phones=phones,
        duration=2.0,
        quality=QUALITY,
        sentences=(Interval(start + 0.3, start + 1.0, "two"),),
    )


def spoken(intervals) -> list[tuple[float, float, str]]:
    return [(round(i.start, 5), round(i.end, 5), i.label) for i in intervals if i.label]


BOTH_WAYS = [f for f in FORMATS.values() if f.write and f.read]


@pytest.mark.parametrize("chosen", BOTH_WAYS, ids=lambda f: f.name)
def test_what_is_written_is_read_again(tmp_path, chosen):
    given = alignment()
    registry.write(tmp_path, [given], [chosen.name])
    found = dict(registry.read(output_path(tmp_path, "folder/a", chosen.name)))
    assert spoken(found["words"]) == spoken(given.words)
    assert spoken(found["phones"]) == spoken(given.phones)


@pytest.mark.parametrize("chosen", ["textgrid", "json", "uncertainty"])
def test_speakers_are_told_apart_by_the_names_of_their_tiers(tmp_path, chosen):
    registry.write(tmp_path, [alignment("ann"), alignment("bob", 1.0)], [chosen])
    found = dict(registry.read(output_path(tmp_path, "folder/a", chosen)))
    assert list(found) == ["ann - words", "ann - phones", "bob - words", "bob - phones"]
    assert all((tier[0].start, tier[-1].end) == (0.0, 2.0) for tier in found.values())


def test_every_format_that_writes_writes_one_file_of_its_suffix_where_it_is_looked_for(tmp_path):
    for name, chosen in FORMATS.items():
        if chosen.write:
            registry.write(tmp_path / name, [alignment()], [name])
            assert output_path(tmp_path / name, "folder/a", name).is_file()


def test_options_offer_the_formats_that_are_for_them():
    assert set(names.FORMATS) == {f.name for f in FORMATS.values() if f.write and f.offered}


def test_every_module_of_a_format_is_registered():
    room = Path(registry.__file__).parent
    modules = {p.stem for p in room.glob("*.py") if "\nFORMAT = " in p.read_text(encoding="utf-8")}
    assert modules == set(FORMATS)


def write_words(path: Path, alignments, several: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{i.start} {i.end} {i.label}\n" for a in alignments for i in a.words))


def read_words(path: Path, recording: str):
    cells = [line.split() for line in path.read_text().splitlines()]
    return [("words", [Interval(float(c[0]), float(c[1]), "".join(c[2:])) for c in cells])]


def test_a_new_format_is_a_module_and_a_line(tmp_path, monkeypatch):
    toy = Format(name="toy", suffix=".toy", write=write_words, read=read_words)
    monkeypatch.setitem(FORMATS, "toy", toy)  # the line
    registry.write(tmp_path, [alignment()], ["toy"])
    source = find_labels(tmp_path)["folder/a"]
    assert spoken(read_labels(source)[""].words or ()) == spoken(alignment().words)
