"""Texts of other languages than English: what is written apart, without spaces, or in other letters."""

import importlib.util

import numpy as np
import pytest

from aligner import Alignment, DataError, Options, Utterance, align
from aligner.backends.base import tokens_of
from aligner.backends.choose import chosen
from aligner.reference.espeak import EspeakG2P, Synthesiser
from aligner.reference.espeak.scripts import _OF_VOICES, _UNKNOWN, check_scripts, script_of, sounded
from aligner.reference.espeak.synthesis import edits, shares
from aligner.text import readers
from aligner.text.normalise import normalise

pytest.importorskip("espeakng_loader")


def phones_of(language: str, text: str) -> list[str]:
    """The phones of each word, as they are spoken in the whole; as many words as the text has."""
    words = [word for token in normalise(text, english=False) for word in token.spoken]
    speech = Synthesiser(language=language)(words)
    found = ["" for _ in words]
    for phone, word in zip(speech.phones, speech.words, strict=True):
        if word >= 0:
            found[word] += phone.label
    return found


@pytest.mark.parametrize(
    ("language", "text", "first"),
    [
        ("fr", "l' homme qu' il voit", ["l", "ɔm", "k", "il"]),
        ("it", "l' acqua dell' uomo", ["l", "akwa", "dell", "wɔmo"]),
        ("ca", "n' hi ha", ["n"]),
        ("el", "σ' αγαπώ", ["s", "aɣapo"]),
        ("cs", "k nám s tebou", ["k", "naːm", "s"]),
        ("ru", "к дому в лесу", ["k", "domu", "v"]),
    ],
)
def test_what_is_elided_is_said_with_the_next_word(language, text, first):
    assert phones_of(language, text)[: len(first)] == first


def test_what_is_elided_keeps_its_apostrophe():
    tokens = normalise("L’ acqua, e l'aria", english=False)
    assert [t.spelling for t in tokens] == ["L’", "acqua", "e", "l'aria"]
    assert [t.spelling for t in normalise("d 'o l mondo' l' aria", english=False)][-2:] == ["l'", "aria"]
    assert [t.spelling for t in normalise("e 'o l' aria", english=False)][-2:] == ["l", "aria"]


@pytest.mark.parametrize(
    "text",
    ["리더가 왔다 료리 녹차 물", "안녕하세요 오늘 날씨가 좋네요", "나는 나무를 마신다", "너는 노래를 몰라"],
)
def test_korean_words_that_are_said_as_one_are_parted(text):
    """Each word has the phones that it has alone, but for sounds that change at its edges."""
    alone = EspeakG2P("ko")
    for word, found in zip(text.split(), phones_of("ko", text), strict=True):
        own = "".join(alone(word))
        assert edits(found, own)[-1] <= 1


def changes(labels, alone, sizes) -> int:
    """How many edits make the labels of each of several words what it has alone."""
    ends = np.cumsum([0, *sizes])
    return sum(edits(labels[a:b], own)[-1] for a, b, own in zip(ends, ends[1:], alone, strict=False))


def test_shares_are_the_cheapest():
    rng = np.random.default_rng(0)
    for _ in range(50):
        alone = [rng.choice(list("abc"), rng.integers(1, 4)).tolist() for _ in range(3)]
        labels = [x for own in alone for x in own]
        labels[rng.integers(len(labels))] = "d"
        sizes = shares(labels, alone)
        assert sum(sizes) == len(labels)
        assert min(sizes) >= 1

        every = [
            (i, j - i, len(labels) - j) for i in range(1, len(labels)) for j in range(i + 1, len(labels))
        ]
        assert changes(labels, alone, sizes) == min(changes(labels, alone, way) for way in every)


def test_interjections_are_not_spelled():
    for language in ("fi", "de", "es", "it"):
        assert len(EspeakG2P(language)("hmm")) <= 3, language
    assert EspeakG2P("cs")("prst") == ("p", "r̩", "s", "t")  # a finger
    assert sounded("hmm", "en-us") == "hmm"


def test_letters_that_a_voice_does_not_read():
    for words, voice, named in (
        (["hello", "my", "friend"], "ru", "'hello' is in Latin letters"),
        (["привет"], "fi", "'привет' is in Cyrillic letters"),
        (["나라", "漢字"], "ko", "'漢字' is in Chinese characters"),
        (["今日"], "ja", "pip install 'aligner.ja.'"),
        (["καλη", "huomenta"], "fi", "'καλη' is in Greek letters"),
    ):
        with pytest.raises(DataError, match=named):
            check_scripts(words, voice)
    check_scripts(["привет", "iphone", "друг"], "ru")
    check_scripts(["добар", "dan"], "sr")
    check_scripts(["3", "päivää"], "fi")


def test_the_wrong_script_is_an_error_and_the_rest_goes_on():
    wave = Synthesiser(language="ru")(["привет", "друг"]).wave
    wrong, right = align(
        [Utterance("a", wave, "hello friend"), Utterance("b", wave, "привет друг")],
        None,
        Options(language="ru"),
    )
    assert "'hello' is in Latin letters" in wrong.message
    assert isinstance(right, Alignment)


def test_every_voice_of_the_table_is_one():
    from aligner.reference.espeak import languages

    listed = {voice for voices in _OF_VOICES.values() for voice in voices.split()}
    assert listed <= set(languages())
    assert set(languages()) >= _UNKNOWN
    assert script_of("ー") == ""


READ = {
    "ja": ("今日はいい天気です。", ["今日", "は", "いい", "天気です"], "fugashi"),
    "cmn": ("行长在银行行走。", ["行长", "在", "银行", "行走"], "rjieba"),
    "th": ("ฉันกินข้าว", ["ฉัน", "กินข้าว"], "pythainlp"),
}


@pytest.mark.parametrize("language", READ)
def test_texts_without_spaces_are_cut_into_words(language):
    text, words, library = READ[language]
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    backend = chosen(None, Options(backend="dtw", language=language))
    tokens = tokens_of(text, backend.traits, "x")
    assert [t.spelling for t in tokens] == words
    spoken, odd = backend.pronounce(tokens)
    assert len(spoken) == len(words)
    assert not odd
    voice = Synthesiser(language=readers.SAID_BY.get(language, language))
    wave = voice([word for token in tokens for word in token.spoken]).wave
    [found] = align([Utterance("a", wave, text)], backend)
    assert [w.label for w in found.words if w.label] == words


def test_who_parts_words_is_believed():
    if importlib.util.find_spec("rjieba") is None:
        pytest.skip("rjieba is not installed")
    read = readers.chinese()
    assert [t.spelling for t in normalise("我们 去 学校", False, reader=read)] == ["我们", "去", "学校"]
    assert [t.spelling for t in normalise("今天天气", False)] == list("今天天气")  # without a reader


def test_readings_keep_what_is_written():
    if importlib.util.find_spec("fugashi") is None:
        pytest.skip("fugashi is not installed")
    read = readers.japanese()
    for text in ("3時半にABC社でコンピューターを買った", "行きましょう", "東京都庁へ"):
        assert "".join(piece.written for piece in read(text)) == text
    assert [p.said for p in read("東京へ")] == ["トーキョー", "エ"]


def test_who_reads_texts_reads_sentences_and_what_read_shows(tmp_path):
    """Sentences of a text without spaces are found, and `aligner read` shows the words."""
    if importlib.util.find_spec("fugashi") is None:
        pytest.skip("fugashi is not installed")
    from aligner.check.reading import read
    from aligner.run.folder import said

    backend = chosen(None, Options(backend="dtw", language="ja"))
    assert [w.spelling for w in read("今日はいい天気です。", backend)] == ["今日", "は", "いい", "天気です"]
    wave = Synthesiser(language="ja")(["キョー", "ワ", "イー", "テンキデス"]).wave
    [found] = align([Utterance("a", wave, "今日はいい天気です。")], backend)
    assert [s.label for s in said(found, backend.traits)] == ["今日はいい天気です。"]
