"""What `aligner read` shows of a text: that it is what `align` takes the text for."""

from __future__ import annotations

import csv
import io
import json

import pytest
from click.testing import CliRunner

from aligner.backends.choose import chosen
from aligner.backends.options import Options
from aligner.check.reading import Source, read
from aligner.cli import main
from aligner.text.normalise import normalise


def run(*arguments, **more):
    return CliRunner().invoke(main, ["read", *map(str, arguments)], **more)


def test_each_written_word_is_shown_with_what_is_said_and_how():
    shown = run("Dr. Lee's 2 blorps [laughter]")
    assert shown.exit_code == 0
    assert shown.stdout.splitlines() == [
        "written     said        pronunciation",
        "Dr.         doctor      D AA1 K T ER0",
        "                        D AO1 K T ER0",
        "Lee's       Lee's       L IY1 Z",
        "2           two         T UW1",
        "blorps      blorps      B L AO1 R P S  (guessed: no dictionary has it)",
        "[laughter]  [laughter]  spn  (a noise, or what nobody understood)",
    ]


@pytest.mark.parametrize("backend", ["hmm", "ctc", "ctc+hmm", "dtw", "median"])
def test_what_is_shown_is_what_the_backend_is_given(backend):
    text = "In 1984 she'd had 3 merry-go-rounds, zorbly ones [laughter]"
    own = chosen(options=Options(backend=backend))
    tokens = normalise(text)
    spoken, oovs = own.pronounce(tokens)
    words = read(text, own)
    assert [w.spelling for w in words] == [t.spelling for t in tokens]
    assert [r.word for w in words for r in w.readings] == [s.word for s in spoken]
    assert {r.word for w in words for r in w.readings if r.source is Source.GUESS} == {w for w, _ in oovs}
    assert not any(r.problem for w in words for r in w.readings)
    for r, s in zip(
        (r for w in words for r in w.readings if r.source is not Source.NOISE), spoken, strict=False
    ):
        assert r.pronunciations[0] == s.pronunciations[0].phones


def test_the_phones_shown_of_a_language_without_a_model_are_those_that_its_voice_speaks():
    words = read("Habari yako", chosen(options=Options(language="sw")))
    assert [r.pronunciations for w in words for r in w.readings] == [
        (tuple("habari"),),
        (tuple("jako"),),
    ]
    assert {r.source for w in words for r in w.readings} == {Source.SYNTHESISER}


def test_a_dictionary_that_is_named_is_the_one_that_is_shown(tmp_path):
    book = tmp_path / "my.dict"
    book.write_text("cat\tK AE T\ncat\tG AE T\n")
    shown = run("cat", "-d", book)
    assert [line.split("  ")[-1].strip() for line in shown.stdout.splitlines()[1:]] == ["K AE T", "G AE T"]


def test_a_word_without_a_pronunciation_says_why_and_hides_no_other():
    shown = run("the blorp cat", "--no-g2p")
    assert shown.exit_code == 1
    lines = shown.stdout.splitlines()
    assert lines[-1].split()[-3:] == ["K", "AE1", "T"]
    assert "the word 'blorp' is not in the dictionary: add it there" in "\n".join(lines)


def test_a_text_comes_from_a_file_or_the_standard_input(tmp_path):
    (tmp_path / "talk.txt").write_text("Hello\nthere 2")
    from_file, piped = run(tmp_path / "talk.txt"), run("-", input="Hello\nthere 2")
    assert from_file.stdout == piped.stdout == run("Hello there 2").stdout != ""


def test_what_is_not_said_is_shown_where_it_stands():
    words = read("A: so (laughs) (.) ha- he\nB: yes [//] xxx", chosen(options=Options(backend="hmm")))
    assert [(w.spelling, str(w.readings[0].source)) for w in words] == [
        ("A:", "speaker"),
        ("so", "dictionary"),
        ("(laughs)", "noise"),
        ("(.)", "left out"),
        ("ha-", "cut-off"),
        ("he", "dictionary"),
        ("B:", "speaker"),
        ("yes", "dictionary"),
        ("[//]", "left out"),
        ("xxx", "noise"),
    ]
    shown = run("A: so [//]").stdout.splitlines()
    assert [line.split("  ")[-1].strip() for line in shown[1:]] == [
        "(names who speaks: not said)",
        "S OW1",
        "(not said)",
    ]


def test_the_table_and_json_hold_every_pronunciation(tmp_path):
    table = tmp_path / "read.csv"
    found = json.loads(run("the 2 zorbly", "--json", "--csv", table).stdout)
    assert found[0]["readings"][0]["pronunciations"] == [["DH", "AH0"], ["DH", "IY0"]]
    assert [w["spelling"] for w in found] == ["the", "2", "zorbly"]
    rows = list(csv.DictReader(io.StringIO(table.read_text())))
    assert [(r["written"], r["word"], r["pronunciation"]) for r in rows[:3]] == [
        ("the", "the", "DH AH0"),
        ("the", "the", "DH IY0"),
        ("2", "two", "T UW1"),
    ]
    assert rows[3]["source"] == "guess"
    assert run("the", "--csv", table).exit_code == 0  # its own table may be written again
