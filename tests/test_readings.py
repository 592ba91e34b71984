"""Whatever is written is read as an American reads it, and is found again in the words tier."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.places import SAMPLE

from aligner import Utterance, align
from aligner.backends.hmm import pronouncer
from aligner.backends.options import Options
from aligner.text.conventions import USUAL
from aligner.text.markup import without_markup
from aligner.text.normalise import BRACKETED, normalise
from aligner.text.plain import APOSTROPHES
from aligner.text.spans import with_pronunciations

TABLE = Path(__file__).with_name("readings.tsv")
ESCAPED = re.compile(r"\\u([0-9a-f]{4})")


def forms() -> list[tuple[str, str]]:
    """The rows of the table: what is written, and its reading."""
    rows = [line.split("\t") for line in TABLE.read_text(encoding="utf-8").splitlines()]
    return [
        (ESCAPED.sub(lambda c: chr(int(c[1], 16)), row[0]), row[1])
        for row in rows
        if not row[0].startswith("# ") or len(row) > 1
    ]


def said(text: str) -> str:
    return " ".join(word for token in normalise(text) for word in token.spoken)


def test_the_table_is_large():
    assert len(forms()) >= 300


@pytest.mark.parametrize(("written", "reading"), forms())
def test_a_form_is_read_as_people_read_it(written, reading):
    assert said(written).lower() == reading.lower()


def left_out(text: str, english: bool) -> str:
    """What of a transcript is in no word and no mark, having checked that the words stand in their order."""
    source, done = without_markup(text), 0
    rest = list(source)
    for span in with_pronunciations(USUAL(source), source):
        rest[span.start : span.end] = " " * (span.end - span.start)
    for token in normalise(text, english):
        start = source.index(token.spelling, done)
        done = start + len(token.spelling)
        rest[start:done] = " " * (done - start)
    return "".join(rest)


def check_round_trip(text: str, english: bool) -> None:
    """Every letter and figure is in a word, and every word has something to say."""
    assert not [c for c in left_out(text, english) if c.isalnum() and c not in APOSTROPHES]
    for token in normalise(text, english):
        assert token.spelling
        assert token.spoken
        assert all(token.spoken)


@pytest.mark.parametrize("english", [True, False])
@pytest.mark.parametrize("written", [written for written, _ in forms()])
def test_the_words_of_a_form_joined_are_the_transcript(written, english):
    check_round_trip(written, english)


@given(st.text(max_size=60), st.booleans())
@example("\ue000 and \ue001", True)
@example("1\u00ad2", True)
def test_the_words_of_any_text_joined_are_the_transcript(text, english):
    check_round_trip(text, english)


@given(st.text(alphabet="aIVx.,'-/$%:;#@&()[]<>{}° 0159½²—’\"+=_*", max_size=40), st.booleans())
def test_the_words_of_signs_and_figures_joined_are_the_transcript(text, english):
    check_round_trip(text, english)


@given(st.lists(st.sampled_from([written for written, _ in forms()]), max_size=6))
def test_forms_one_behind_another_are_the_transcript(written):
    check_round_trip(" ".join(written), True)


@given(st.text(alphabet="aIVx.,'-/$%:;#@&()° 0159½²—’\"+=_*kmMHz", max_size=30))
def test_what_is_said_has_no_figures_and_no_signs(text):
    for token in normalise(text):
        for word in token.spoken:
            assert BRACKETED.fullmatch(word) or re.fullmatch(r"['.]*[^\W\d_](?:[^\W\d_]|['.-])*", word), word


def test_every_form_and_any_signs_have_a_pronunciation(model):
    pronounce = pronouncer(model, Options())

    @settings(deadline=None)  # the first letters of a script wait for its table
    @given(st.text(max_size=20))
    def check(text):
        spoken, _ = pronounce(normalise(text))
        assert {word.token for word in spoken} == set(range(len(normalise(text))))
        assert all(p.phones for word in spoken for p in word.pronunciations)

    check()
    for written, _ in forms():
        spoken, _ = pronounce(normalise(written))
        assert all(p.phones for word in spoken for p in word.pronunciations), written


def test_the_words_tier_joined_is_the_transcript(model):
    text = "“Yes,I paid $5.50 &amp; <i>18-year-old</i> Henry VIII… didn’t” 😀 – ｏｈ, at 10:30am!"
    [result] = align([Utterance("u", SAMPLE / "slt" / "numbers.flac", text)], model)
    labels = [word.label for word in result.words if word.label not in ("", "<star>")]  # other words are said
    assert " ".join(labels) == "Yes I paid $5.50 & 18-year-old Henry VIII didn’t ｏｈ at 10:30am"
