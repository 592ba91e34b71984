"""Names of speakers and times at the beginning of lines: known from words, taken off, and told."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from support.places import SAMPLE

from aligner.check.validate import validate
from aligner.cli import align
from aligner.corpus.find import find, find_one
from aligner.formats.textgrid import write_textgrid
from aligner.formats.turns import prefixes, without_prefixes
from aligner.text.normalise import normalise
from aligner.types import Fault, Interval, Notice

TURNS = [  # written, the names, what is left
    ("A: hello there", "A", "hello there"),
    ("A: hello\nB: hi", "A B", "hello\nhi"),
    ("INT: so", "INT", "so"),
    ("Interviewer: so\nBob Smith: well", "Interviewer|Bob Smith", "so\nwell"),
    ("Speaker 1: hi", "Speaker 1|", "hi"),
    ("speaker two: hi", "speaker two|", "hi"),
    ("SPEAKER_00: hi", "SPEAKER_00", "hi"),
    ("S1: hi\nS2: ho", "S1 S2", "hi\nho"),
    ("JOHN SMITH: hello\nMARY: hi", "JOHN SMITH|MARY", "hello\nhi"),
    ("MR. SMITH: no\nTHE COURT: yes", "MR. SMITH|THE COURT", "no\nyes"),
    ("Dr. Lee: hello\nPatient: hi", "Dr. Lee|Patient", "hello\nhi"),
    ("Bob: hi\nand so on\nBob: yes", "Bob Bob", "hi\nand so on\nyes"),
    ("bob: hi\nanna: ho\nbob: so", "bob anna bob", "hi\nho\nso"),
    ("Bob (laughing): hi\nBob: ho", "Bob Bob", "hi\nho"),
    ("Q: why?\nA: because", "Q A", "why?\nbecause"),
    ("Unidentified Male: hi", "Unidentified Male|", "hi"),
    ("Male Speaker 2: hi", "Male Speaker 2|", "hi"),
    ("P12: ok", "P12", "ok"),
    ("<v John> hello", "John", "hello"),
    ("<v.loud Mary Ann> hello", "Mary Ann|", "hello"),
    ("*CHI: I want", "CHI", "I want"),
    ("*MOT:\tyes", "MOT", "yes"),
    (">> hello\n>> BOB: hi", "BOB", "hello\nhi"),
    (">>> so", "", "so"),
    ("- BOB: Hello\n- ANN: Bye", "BOB ANN", "Hello\nBye"),
    ("[Bob]: hi", "Bob", "hi"),
    ("(Bob): hi", "Bob", "hi"),
    ("[SPEAKER_01]: hi", "SPEAKER_01", "hi"),
    ("[00:12:34] Bob: hi\n[00:12:40] Anna: ho", "Bob Anna", "hi\nho"),
    ("Speaker 1 (00:12): hello", "Speaker 1|", "hello"),
    ("Bob [00:12:01]: hi\nBob: x", "Bob Bob", "hi\nx"),
    ("Speaker 1  0:12\nhello", "Speaker 1|", "hello"),
    ("Bob Smith 00:12\nhello", "Bob Smith|", "hello"),
    ("[00:12:34] so it is", "", "so it is"),
    ("00:12:34 so it is", "", "so it is"),
    ("(00:01:02) yes", "", "yes"),
    ("[00:01 - 00:05] yes", "", "yes"),
    ("1\n00:00:01,000 --> 00:00:02,500\nHello", "", "Hello"),
    ("甲：你好\n乙：好", "甲 乙", "你好\n好"),
    ("Locuteur 1 : oui", "Locuteur 1|", "oui"),
    ("[SPEAKER_00] yes\n[SPEAKER_01] no", "SPEAKER_00 SPEAKER_01", "yes\nno"),
    ("[0.000 - 2.500] SPEAKER_00: yes", "SPEAKER_00", "yes"),
    ("[0.00s -> 2.50s] yes", "", "yes"),
    ("(00:01:02) John: well", "John", "well"),
    ("00:01 John: well\n00:05 Mary: yes", "John Mary", "well\nyes"),
    ("0:00\nyes\n0:15\nno", "", "yes\nno"),
    ("00:12 yes\n00:15 no", "", "yes\nno"),
    ("SPEAKER 1 00:00:05 yes", "SPEAKER 1|", "yes"),
    ("Male voice: yes\nVoice 2: no", "Male voice|Voice 2", "yes\nno"),
    ("**John:** yes\n**Mary**: no", "John Mary", "yes\nno"),
    ("Q. Why?\nA. Because.", "Q A", "Why?\nBecause."),
    ("WEBVTT - talk\nKind: captions\n\nNOTE by me\n\n00:01.000 --> 00:02.000 align:start\nyes", "", "yes"),
    # words
    ("11:59:59 PM we stopped", "", None),
    ("Q. E. D. is said\nonce", "", None),
    ("10:30 breakfast\n11:00 lunch", "", None),
    ("10:30 AM: we left", "", None),
    ("note: this is it", "", None),
    ("so note: this", "", None),
    ("Note: one\nNote: two", "", None),
    ("Step 1: do\nStep 2: go", "", None),
    ("He said: go\nShe said: no", "", None),
    ("So: what\nThis is it\nSo: that", "", None),
    ("One thing: I like it", "", None),
    ("The answer: no\nyes\nThe answer: no", "", None),
    ("10:30 is late", "", None),
    ("at 10:30: we go", "", None),
    ("http://a.b/c\nhttps://b.c", "", None),
    ("- Hello\n- Bye", "", None),
    ("Paris: a city\nof light", "", None),
]


@pytest.mark.parametrize(("written", "names", "left"), TURNS, ids=[t[0] for t in TURNS])
def test_what_begins_a_line_is_a_name_or_a_word(written, names, left):
    found = prefixes(written)
    wanted = [n for n in (names.split("|") if "|" in names else names.split()) if n]
    assert [p.name for p in found if p.name] == wanted
    assert without_prefixes(written, found) == (written if left is None else left)
    assert [t.spoken for t in normalise(written)] == [
        t.spoken for t in normalise(without_prefixes(written, found))
    ]


def test_few_names_among_many_lines_are_words():
    lines = [f"this is line {k}" for k in range(50)]
    assert prefixes("\n".join([*lines, "Rome: it is", "Rome: it was"])) == []


@pytest.fixture
def recording(tmp_path):
    samples = np.random.default_rng(0).normal(0, 0.1, 3 * 16000)
    soundfile.write(tmp_path / "a.wav", samples, 16000)
    return tmp_path / "a.wav"


def test_names_in_a_text_are_taken_off_with_a_caution(recording):
    recording.with_suffix(".txt").write_text("Bob: hi\nAnna: [00:01] yes\n")
    found = find(recording.parent)
    [utterance], [caution] = found.utterances, found.cautions
    assert [t.spelling for t in normalise(utterance.transcript)] == ["hi", "yes"]
    assert utterance.speaker == recording.parent.name
    assert (caution.where, caution.fault) == ("a.txt", Notice.TEXT)
    assert "(Bob, Anna)" in caution.rule
    assert find_one(recording).cautions == (caution,)


def test_times_in_a_text_are_taken_off_with_a_caution(recording):
    recording.with_suffix(".txt").write_text("[00:00:01] hi\n[00:00:02] yes\n")
    found = find(recording.parent)
    assert found.utterances[0].transcript == "hi\nyes"
    assert "times at the beginning" in found.cautions[0].rule


def test_an_interval_with_a_name_is_this_speakers(recording):
    intervals = [Interval(0, 1, "Bob: hi"), Interval(1, 2, "Anna: yes"), Interval(2, 3, "so note: no")]
    write_textgrid(recording.with_suffix(".TextGrid"), {"text": intervals}, 3.0)
    found = find(recording.parent)
    assert [(u.speaker, u.transcript) for u in found.utterances] == [
        ("Bob", "hi"),
        ("Anna", "yes"),
        ("text", "so note: no"),
    ]
    assert "(Bob, Anna)" in found.cautions[0].rule


def test_intervals_of_silence_are_none(recording):
    labels = ["<sil>", "hello", "(1.5)", "yes", "[pause]", "#"]
    intervals = [Interval(k / 2, (k + 1) / 2, label) for k, label in enumerate(labels)]
    write_textgrid(recording.with_suffix(".TextGrid"), {"bob": intervals}, 3.0)
    assert [u.transcript for u in find(recording.parent).utterances] == ["hello", "yes"]


def test_a_text_of_several_lines_is_not_mangled(recording):
    recording.with_suffix(".txt").write_text("hello\nthere\n")
    assert Fault.ODD_CHARACTERS not in {p.kind for p in validate(recording.parent).problems}


def test_the_run_tells_of_names(tmp_path):
    sample = next(SAMPLE.rglob("harbour.flac"))
    text = sample.with_suffix(".lab").read_text().strip()
    out = tmp_path / "out"
    shown = CliRunner().invoke(align, [str(sample), str(out), "--text", f"A: {text}\nB: (laughs)"])
    assert shown.exit_code == 0
    assert "warning   harbour: the names at the beginning of its lines (A, B)" in shown.stdout
    [caution] = json.loads((out / "run.json").read_text())["warnings"]
    assert caution["fault"] == "text"
    words = (out / "harbour.TextGrid").read_text()
    assert '"A"' not in words
    assert '"(laughs)"' in words
