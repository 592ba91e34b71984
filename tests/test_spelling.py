"""Words as the letters they are written with, where letters stand for phones."""

from __future__ import annotations

import pytest

from aligner.text.normalise import normalise
from aligner.text.spelling import Speller, is_letter
from aligner.types import DataError

LETTERS = Speller(is_letter, "lower", ("spn",))
STRICT = Speller(is_letter, "lower", ("spn",), strict=True)


def spelled(text: str, speller: Speller = LETTERS) -> list[str]:
    words, oovs = speller(normalise(text, english=False))
    assert oovs == []
    return [" ".join(word.pronunciations[0].phones) for word in words]


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        ("Привет, ЩУКА!", ["п р и в е т", "щ у к а"]),
        ("Ёлка и подъезд", ["ё л к а", "и", "п о д ъ е з д"]),
        ("что-то", ["ч т о т о"]),
        ("Perché no?", ["p e r c h é", "n o"]),
        ("L'amore è già più", ["l a m o r e", "è", "g i à", "p i ù"]),
        ("un po’ di buon-giorno", ["u n", "p o", "d i", "b u o n g i o r n o"]),
        ("Straße", ["s t r a ß e"]),
        ("[смех] да", ["spn", "д а"]),
    ],
)
def test_letters_are_phones(text, letters):
    assert spelled(text) == letters


def test_an_accent_is_part_of_its_letter_however_it_is_written():
    assert spelled("perche\u0301 e\u0300 и\u0306") == ["p e r c h é", "è", "й"]


def test_a_stress_mark_is_no_letter():
    assert spelled("подъе\u0301зд") == ["п о д ъ е з д"]
    assert spelled("İzmir") == ["i z m i r"]  # a dot remains of its lower case


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        ("می\u200cروم", ["م ی ر و م"]),
        ("क\u094d\u200dष", ["क \u094d ष"]),
    ],
)
def test_joiners_have_no_sound(text, letters):
    assert spelled(text) == letters


def test_a_syllable_of_korean_is_its_letters():
    assert spelled("한국") == ["ᄒ ᅡ ᆫ ᄀ ᅮ ᆨ"]


@pytest.mark.parametrize(
    ("text", "character"),
    [
        ("в 12 часов", "'1' of '12'"),
        ("5-й", "'5' of '5-й'"),
        ("20 %", "'2' of '20%'"),
        ("٣ كتب", "'٣' of '٣'"),
    ],
)
def test_a_digit_is_named(text, character):
    with pytest.raises(DataError, match=character) as caught:
        spelled(text, STRICT)
    assert caught.value.remedy == "write numbers in words"


@pytest.mark.parametrize(
    ("text", "letters", "odd"),
    [
        ("в 12 часов", ["в", "spn", "ч а с о в"], "12"),
        ("5-й день", ["spn", "д е н ь"], "5-й"),
        ("20 % да", ["spn", "д а"], "20%"),
    ],
)
def test_a_word_that_cannot_be_spelled_is_any_sound_and_told(text, letters, odd):
    words, oovs = LETTERS(normalise(text, english=False))
    assert [" ".join(word.pronunciations[0].phones) for word in words] == letters
    assert [(word.replace("\N{WORD JOINER}", ""), label) for word, label in oovs] == [(odd, "spn")]


def test_figures_alone_may_be_any_sound():
    words, oovs = LETTERS(normalise("12 [смех] 13", english=False))
    assert [word.pronunciations[0].phones for word in words] == [("spn",)] * 3
    assert oovs == [("12", "spn"), ("13", "spn")]


def test_a_transcript_in_letters_of_which_none_is_the_models_is_refused():
    with pytest.raises(DataError, match=r"'п' of '[Пп]ривет'"):
        Speller(frozenset("abc").__contains__, "lower", ("spn",))(normalise("12 Привет", english=False))


def test_letters_that_a_model_lacks_lose_their_accents_or_are_named():
    italian = Speller(frozenset("abcdefghilmnopqrstuvzàèéìòù").__contains__, "lower")
    assert spelled("Ánna perché", italian) == ["a n n a", "p e r c h é"]
    with pytest.raises(DataError, match="'k' of 'kit'") as caught:
        spelled("kit", italian)
    assert "a model of this language" in caught.value.remedy


def test_a_vowel_sign_that_a_model_lacks_is_named():
    with pytest.raises(DataError, match="\u093f"):
        spelled("हिन", Speller("हन".__contains__, "lower"))


def test_what_is_only_marks_is_refused():
    speller = Speller("ab".__contains__, "lower")
    [token] = normalise("x", english=False)
    with pytest.raises(DataError, match="no character"):
        speller([type(token)("\u0301", ("\u0301",))])
