"""Pronunciations that a transcript gives: ``{SH IY1}`` alone, and ``she{SH IY1}`` behind its word."""

from __future__ import annotations

import pytest
from support.places import SAMPLE

from aligner import Options, align_file
from aligner.backends.choose import chosen
from aligner.backends.hmm import pronouncer
from aligner.models.store import load_model
from aligner.refine.thresholds import Test
from aligner.text.normalise import normalise

KITCHEN = SAMPLE / "rms" / "kitchen.flac"
WITH_PHONES = ("hmm", "ctc", "ctc+hmm", "dtw", "median")


def said(text: str, **options) -> list[tuple[str, ...]]:
    find = pronouncer(load_model("english"), Options(**options))
    return [w.pronunciations[0].phones for w in find(normalise(text))[0]]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("{SH IY1} had", [("{SH IY1}", ("SH", "IY1")), ("had", ())]),
        ("she{SH IY1} had", [("she", ("SH", "IY1")), ("had", ())]),
        ("Yes,she{SH IY}.", [("Yes", ()), ("she", ("SH", "IY"))]),
        ("5{F AY1 V} {LG}", [("5", ("F", "AY1", "V")), ("{LG}", ("LG",))]),
        ("she{laughs} on", [("she", ()), ("{laughs}", ("laughs",)), ("on", ())]),
        ("{SH}{IY1}", [("{SH}", ("SH",)), ("{IY1}", ("IY1",))]),
        ("kala{k ɑ l ɑ}", [("kala", ("k", "ɑ", "l", "ɑ"))]),
        ("o{ø}", [("o", ("ø",))]),
        ("[SH IY1] <SH IY1>", [("[SH IY1]", ()), ("<SH IY1>", ())]),
    ],
)
def test_a_pronunciation_belongs_to_the_word_before_it_or_is_one(text, tokens):
    assert [(t.spelling, t.phones) for t in normalise(text)] == tokens


@pytest.mark.parametrize(
    ("text", "phones"),
    [
        ("{SH IY1}", [("SH", "IY1")]),
        ("{SH IY}", [("SH", "IY")]),
        ("{sh iy1}", [("SH", "IY1")]),
        ("she{SH IH0} had", [("SH", "IH0"), ("HH", "AE1", "D")]),
        ("{S}", [("S",)]),
        ("{ SH IY1 } zorp{Z AO2 R P}", [("Z", "AO2", "R", "P")]),
    ],
)
def test_known_phones_are_said(text, phones):
    assert said(text)[-len(phones) :] == phones


@pytest.mark.parametrize("noise", ["{LG}", "{NS}", "{BR}", "{CG}", "{laughs}", "{SH XX1}", "{SH +NSN+}"])
def test_what_is_not_all_phones_of_the_model_is_a_noise(noise):
    assert said(f"well {noise} yes")[1][0].startswith("+")


def test_a_word_whose_phones_are_unknown_is_said_as_ever():
    assert said("she{SH YY1}") == said("she")


def test_stress_of_a_given_pronunciation_is_kept_or_left_out():
    assert said("she{SH IY2} {SH IY}") == [("SH", "IY2"), ("SH", "IY")]
    assert said("she{SH IY2}", stress=False) == [("SH", "IY")]


def test_phones_are_those_of_the_dictionary_whatever_it_calls_them(tmp_path):
    book = tmp_path / "own.dict"
    book.write_text("she SH IY1\n")
    assert said("{HH AE2 D} she", dictionary=book) == [("HH", "AE2", "D"), ("SH", "IY1")]


@pytest.mark.parametrize("backend", WITH_PHONES)
def test_the_phones_tier_has_them(backend):
    text = "There is a {P AA2 T} of soup{S UW0 P} on the kitchen table."
    found = align_file(KITCHEN, text, options=Options(backend=backend))
    words = [w.label for w in found.words if w.label]
    assert words == ["There", "is", "a", "{P AA2 T}", "of", "soup", "on", "the", "kitchen", "table"]
    labels = [p.label for p in found.phones if p.label]
    assert " ".join(labels[6:14]) == "P AA2 T AH1 V S UW0 P", labels
    assert found.status == "ok", found.suspicions


@pytest.mark.parametrize("backend", WITH_PHONES)
@pytest.mark.parametrize(("written", "word"), [("pot{P QQ T}", "pot"), ("{P QQ T}", "{P QQ T}")])
def test_unknown_phones_are_told_and_fail_nothing(backend, written, word):
    text = f"There is a {written} of soup on the kitchen table."
    found = align_file(KITCHEN, text, options=Options(backend=backend))
    [told] = [s for s in found.suspicions if s.test == Test.UNKNOWN_PHONES]
    assert word in told.text
    assert "P QQ T" in told.text
    places = [w.start for w in found.words if w.label == word]
    assert [told.at] == (places or [None])  # dtw leaves noises out


def test_noises_are_not_told():
    found = align_file(KITCHEN, "There {LG} is a pot of soup {NS} on the kitchen table.")
    assert Test.UNKNOWN_PHONES not in {s.test for s in found.suspicions}


def test_letters_of_a_model_are_no_phones():
    """Networks that spell have no phones: the word is spelled, and a lone pronunciation is a noise."""
    from aligner.text.spelling import Speller

    spell = Speller(str.islower, "lower", ("<star>",))
    spoken = spell(normalise("she{SH IY1} {SH IY1}"))[0]
    assert [w.pronunciations[0].phones for w in spoken] == [("s", "h", "e"), ("<star>",)]


@pytest.mark.parametrize("backend", WITH_PHONES)
def test_read_shows_them(backend):
    from aligner.check.reading import Source, read

    words = read("she{SH IH0} {SH IY1} {LG}", chosen(options=Options(backend=backend)))
    assert [(w.spelling, w.readings[0].pronunciations) for w in words] == [
        ("she", (("SH", "IH0"),)),
        ("{SH IY1}", (("SH", "IY1"),)),
        ("{LG}", (("spn",),)),
    ]
    assert [w.readings[0].source for w in words[:2]] == [Source.TRANSCRIPT] * 2
