"""The tier of characters: where each character is that a user wrote without spaces."""

from itertools import pairwise
from pathlib import Path

import pytest
from support.places import SAMPLE

from aligner import Alignment, Options, Utterance, align
from aligner.formats import csv, textgrid
from aligner.formats.tiers import tiers
from aligner.reference.espeak import Synthesiser
from aligner.refine.characters import character_tier
from aligner.text.characters import by_morae, by_syllables, characters, evenly
from aligner.text.normalise import Token
from aligner.text.readers import SAID_BY, reader
from aligner.types import SILENCE_LABEL, STAR_LABEL, Interval

TEXTS = {
    "cmn": ("我们今天去图书馆看书。", "我们今天去图书馆看书"),
    "ja": ("昨日、友達と映画を見に行きました。", "昨日友達と映画を見に行きました"),
    "th": ("ฉันกินข้าวที่โรงเรียน", "ฉันกินข้าวที่โรงเรียน"),
}
# the onsets of the syllables, as these signs are said
SYLLABLES = {"我": "w", "们": "m", "今": "tɕ", "天": "tʰ", "去": "tɕʰ", "图": "tʰ", "馆": "k", "看": "kʰ"}


def spoken(language, text):
    """Synthesised speech of a text: what its words are said like."""
    pytest.importorskip("espeakng_loader")
    read = reader(language)
    if read is None:
        pytest.skip(f"what reads {language} is not installed")
    said = [piece.said for piece in read(text)]
    return Synthesiser(language=SAID_BY.get(language, language))(said).wave


@pytest.mark.parametrize("language", TEXTS)
def test_every_character_that_was_written_has_its_place(language, tmp_path):
    text, whole = TEXTS[language]
    wave = spoken(language, whole)
    [found] = align([Utterance("one", wave, text, file="one")], options=Options(language=language))
    assert isinstance(found, Alignment)
    labels = [c.label for c in found.characters if c.label != SILENCE_LABEL]
    assert labels == characters(whole)
    assert all(a.end == b.start and a.start < a.end for a, b in pairwise(found.characters))
    assert (found.characters[0].start, found.characters[-1].end) == (0.0, found.duration)
    edges = {t for c in found.characters for t in (c.start, c.end)}
    assert {w.start for w in found.words} | {w.end for w in found.words} <= edges
    if language == "cmn":
        at = {p.start: p.label for p in found.phones}
        for c in found.characters:
            if c.label in SYLLABLES:
                assert at[c.start] == SYLLABLES[c.label]
    textgrid.write(tmp_path / "one.TextGrid", [found])
    names = [name for name, _ in textgrid.read(tmp_path / "one.TextGrid")]
    assert names == ["words", "characters", "phones"]
    csv.write(tmp_path / "one.csv", [found])
    rows = (tmp_path / "one.csv").read_text(encoding="utf-8").splitlines()
    assert sum(",characters," in row for row in rows) == len(labels)


def test_other_languages_have_no_such_tier():
    recording = SAMPLE / "rms" / "kitchen.flac"
    [found] = align([Utterance("one", recording, Path(recording).with_suffix(".lab").read_text())])
    assert found.characters == ()
    assert list(tiers([found])) == ["words", "phones"]


@pytest.mark.parametrize(
    ("written", "said", "phones", "starts"),
    [
        ("買った", "カッタ", "k ä t t ä", (0, 2, 3)),  # a kana is its mora
        ("東京", "トーキョー", "t o̞ kʲ o̞", (0, 2)),  # long vowels have one phone
        ("家族", "カゾク", "k ä z o̞ k ɯᵝ", (0, 2)),  # few signs begin with what ends many
        ("電車", "デンシャ", "d e̞ ũ ɕ ä", (0, 3)),  # and none with a nasal
        ("コーヒー", "コーヒー", "k o̞ ç i", (0, 1.5, 2, 3.5)),  # the half of a vowel
        ("ちょっと", "チョット", "tɕ o̞ t t o̞", (0, 1, 2, 3)),  # a small kana has the vowel
        ("フォーク", "フォーク", "ɸ o̞ k ɯᵝ", (0, 1, 1.5, 2)),
        ("本", "ホン", "h o̞ ɴ", (0,)),
        ("外で", "ソトデ", "s o̞ t o̞ d e̞", (0, 4)),
        ("へ", "エ", "e̞", (0,)),
        ("二十", "ニジュー", "n i dʑ ɯᵝ", (0, 2)),
        ("学校", "ガッコ", "x y", (0, 1)),  # phones that are none of its kana: evenly
        ("いぬ", "ネコ", "n e̞ k o̞", (0, 2)),  # a reading of something else
    ],
)
def test_morae_of_japanese(written, said, phones, starts):
    assert by_morae(written, said, phones.split()) == pytest.approx(starts)


def test_signs_of_chinese_are_syllables():
    divide = by_syllables({"西": ("ɕ", "i"), "安": ("a", "n"), "行": ("χ", "ɑ", "ŋ")}.get)
    assert divide("西安", "", ["ɕ", "i", "a", "n"]) == (0, 2)
    assert divide("行安", "", ["ɕ", "i", "ŋ", "a", "n"]) == (0, 3)  # said otherwise, with as many phones
    assert divide("西安", "", ["ɕ", "i", "n"]) == (0, 1.5)
    assert divide("好安", "", ["χ", "ɑ", "a", "n"]) == (0, 2)  # a sign that is not known alone
    assert evenly("ที่มา", "", ["t", "i", "m", "a"]) == pytest.approx((0, 4 / 3, 8 / 3))


def test_what_is_no_word_stays_as_it_is():
    words = [
        Interval(0.0, 0.5, SILENCE_LABEL),
        Interval(0.5, 1.0, "[笑]"),
        Interval(1.0, 2.0, STAR_LABEL),
        Interval(2.0, 3.0, "西安", 0.7),
    ]
    phones = [
        Interval(0.0, 0.5, ""),
        Interval(0.5, 1.0, "spn"),
        Interval(1.0, 2.0, "spn"),
        Interval(2.0, 2.4, "ɕ"),
        Interval(2.4, 2.6, ""),  # a silence in a word
        Interval(2.6, 3.0, "a"),
    ]
    tokens = [Token("[笑]", ("[笑]",)), Token("缺", ("缺",)), Token("西安", ("西安",))]
    found = character_tier(words, phones, tokens, evenly)
    assert list(found[:3]) == words[:3]
    assert found[3:] == (Interval(2.0, 2.6, "西", 0.7), Interval(2.6, 3.0, "安", 0.7))
