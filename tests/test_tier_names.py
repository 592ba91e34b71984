"""Tiers of words and phones are found by whatever name they have."""

from __future__ import annotations

import shutil

import pytest
from support.places import SAMPLE

from aligner import DataError, find
from aligner.check.validate import validate
from aligner.corpus.labels import read_labels
from aligner.corpus.tier_names import TierNames, choose, kind_of
from aligner.formats.textgrid import write_textgrid
from aligner.learn.corrections import read_corrections
from aligner.run.prompts import prompt_labels, prompts, readings
from aligner.types import Fault, Interval, Notice

ONE = [Interval(0, 1, "a"), Interval(1, 2, "b")]
SENTENCES = [Interval(0, 1, "there is a"), Interval(1, 2, "pot")]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("words", ("", "words")),
        ("Words", ("", "words")),
        ("WORD", ("", "words")),
        (" words ", ("", "words")),
        ("ORT-MAU", ("", "words")),
        ("ort_mau", ("", "words")),
        ("TokensAlign", ("", "words")),
        ("Wörter", ("", "words")),
        ("Wo\u0308rter", ("", "words")),
        ("palabras", ("", "words")),
        ("wrd", ("", "words")),
        ("ORT", ("", "words")),
        ("Word tier", ("", "words")),
        ("phones", ("", "phones")),
        ("Phone", ("", "phones")),
        ("Phonemes", ("", "phones")),
        ("MAU", ("", "phones")),
        ("PhonAlign", ("", "phones")),
        ("phn", ("", "phones")),
        ("segments", ("", "phones")),
        ("Anna - words", ("Anna", "words")),
        ("Anna - Word", ("Anna", "words")),
        ("Anna B - x - phones", ("Anna B - x", "phones")),
        ("words - S1", ("S1", "words")),
        ("Phones - S1", ("S1", "phones")),
        ("S1 - segments", ("S1", "phones")),
        ("S1_words", ("S1", "words")),
        ("words_S1", ("S1", "words")),
        ("S1:phones", ("S1", "phones")),
        ("words@S1", ("S1", "words")),
        ("words (S1)", ("S1", "words")),
        ("S1 [phones]", ("S1", "phones")),
        ("S1-words", ("S1", "words")),
        ("Speaker 1 words", ("Speaker 1", "words")),
        ("S1/phone", ("S1", "phones")),
        ("Anna", None),
        ("KAN-MAU", None),
        ("notes", None),
        ("word stress", None),
        ("sentences", None),
        ("passwords", None),
        ("", None),
    ],
)
def test_a_name_of_a_tier(name, meant):
    assert kind_of(name, ONE) == meant


@pytest.mark.parametrize("name", ["segments", "ORT", "S1 - segments"])
def test_a_name_that_may_stand_for_sentences_does_where_labels_are(name):
    assert kind_of(name, SENTENCES) is None


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (("words", "phones"), {"": {"words": "words", "phones": "phones"}}),
        (("words", "Words"), {"": {"words": "words"}}),
        (("phones", "segments"), {"": {"phones": "phones"}}),
        (("Phones", "segments"), {"": {"phones": "Phones"}}),
        (("ORT-MAU", "KAN-MAU", "MAU"), {"": {"words": "ORT-MAU", "phones": "MAU"}}),
        (
            ("S1 - Word", "S1 - Phone", "S2 - Word"),
            {"S1": {"words": "S1 - Word", "phones": "S1 - Phone"}, "S2": {"words": "S2 - Word"}},
        ),
        (("phones", "phones (old)", "words"), {"": {"words": "words", "phones": "phones"}}),
        (("phones", "words (auto)"), {"": {"phones": "phones", "words": "words (auto)"}}),
        (("words - A", "words - B"), {"A": {"words": "words - A"}, "B": {"words": "words - B"}}),
    ],
)
def test_which_tiers_are_chosen(names, chosen):
    found, ambiguous = choose([(name, ONE) for name in names], TierNames())
    assert (found, ambiguous) == (chosen, ())


@pytest.mark.parametrize("names", [("Phones", "PHONE"), ("MAU", "Phonemes"), ("S1 - Words", "S1 - word")])
def test_two_that_may_be_meant_are_said_with_the_option(tmp_path, names):
    write_textgrid(tmp_path / "x.TextGrid", {name: ONE for name in names}, 2.0)
    with pytest.raises(DataError) as caught:
        read_labels(tmp_path / "x.TextGrid", TierNames(options=("--phones", "--words")))
    for name in names:
        assert repr(name) in caught.value.rule
    assert ("--words TIER" if "Words" in names[0] else "--phones TIER") in caught.value.remedy
    named = TierNames(words=names[1]) if "Words" in names[0] else TierNames(phones=names[1])
    if " - " not in names[0]:
        assert next(iter(read_labels(tmp_path / "x.TextGrid", named).values()))


def test_a_tier_that_is_named_is_meant_whatever_its_case(tmp_path):
    write_textgrid(tmp_path / "x.TextGrid", {"Laute": ONE, "A - Fones": ONE, "phones": ONE}, 2.0)
    assert set(read_labels(tmp_path / "x.TextGrid", TierNames(phones="laute"))) == {""}
    assert set(read_labels(tmp_path / "x.TextGrid", TierNames(phones="fones"))) == {"A"}


def test_a_file_without_either_lists_its_tiers_and_the_options(tmp_path):
    write_textgrid(tmp_path / "x.TextGrid", {"Anna": SENTENCES, "notes": ONE}, 2.0)
    with pytest.raises(DataError, match=r"its tiers are 'Anna', 'notes': .*--phones TIER or .*--words TIER"):
        read_labels(tmp_path / "x.TextGrid")


@pytest.mark.parametrize("name", ["Phones", "MAU", "S1 - phone", "phonemes"])
def test_an_alignment_is_no_transcript_whatever_its_tiers_are_called(tmp_path, name):
    (tmp_path / "a.flac").symlink_to(SAMPLE / "rms" / "kitchen.flac")
    write_textgrid(tmp_path / "a.TextGrid", {"Words": ONE, name: ONE}, 2.0)
    [failure] = find(tmp_path).failures
    assert "holds an alignment" in failure.rule
    assert repr(name) in failure.rule


def test_a_tier_of_sentences_may_be_called_segments(tmp_path):
    (tmp_path / "a.flac").symlink_to(SAMPLE / "rms" / "kitchen.flac")
    write_textgrid(tmp_path / "a.TextGrid", {"segments": SENTENCES}, 2.0)
    assert [u.transcript for u in find(tmp_path).utterances] == ["there is a", "pot"]


@pytest.mark.parametrize("names", [("Words", "Phones"), ("ORT-MAU", "MAU"), ("rms - word", "rms - phone")])
def test_corrections_and_prompts_have_tiers_of_other_names_too(tmp_path, names):
    """What `aligner teach` and `aligner transfer` read."""
    for name in ("e\u0301", "B"):
        shutil.copy(SAMPLE / "rms" / "kitchen.flac", tmp_path / f"{name}.flac")
    for name in ("\u00e9", "b"):
        write_textgrid(tmp_path / f"{name}.TextGrid", {names[0]: ONE, names[1]: ONE}, 2.0)
    known, failures = read_corrections(tmp_path, None, TierNames())
    assert ([len(k.phones) for k in known], failures) == ([2, 2], [])
    found = prompts(tmp_path, TierNames())
    assert set(found) == {"e\u0301", "B"}
    assert [prompt_labels(p)[1] for p in found.values()] == [["a", "b"]] * 2
    readings_of, lacking, _ = readings(tmp_path, found)
    assert (len(readings_of), lacking) == (2, [])


def test_validate_tells_what_is_no_transcript(tmp_path):
    shutil.copy(SAMPLE / "rms" / "kitchen.flac", tmp_path / "a.flac")
    write_textgrid(tmp_path / "a.TextGrid", {"Words": ONE, "MAU": ONE}, 2.0)
    (tmp_path / "notes.txt").write_text("Monday")
    (tmp_path / "a.srt").write_text("1")
    (tmp_path / "up").symlink_to(".")
    found = {(p.severity, p.kind, p.utterance.file) for p in validate(tmp_path).problems}
    assert {
        ("error", Fault.BAD_TRANSCRIPT, "a"),
        ("warning", Fault.NO_RECORDING, "notes.txt"),
        ("warning", Notice.UNREAD_FILE, "a.srt"),
        ("warning", Notice.LINK, "up"),
    } <= found
