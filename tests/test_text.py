"""What is said for what is written, and how it may sound."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aligner import DataError
from aligner.text.g2p import HamaG2P, to_arpabet
from aligner.text.lexicon import Lexicon, Pronouncer
from aligner.text.normalise import normalise


def said(text: str) -> str:
    return " ".join(w for t in normalise(text) for w in t.spoken)


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("Hello, World!", "Hello World"),
        ("3 books", "three books"),
        ("1,250,000", "one million two hundred fifty thousand"),
        ("3.14 and -5 or .5", "three point one four and minus five or point five"),
        ("007", "zero zero seven"),
        (
            "12345678901234567890"[:16],
            "one two three four five six seven eight nine zero one two three four five six",
        ),
        ("in 1984", "in nineteen eighty four"),
        ("in 1905", "in nineteen oh five"),
        ("in 2007", "in two thousand seven"),
        ("in 2024.", "in twenty twenty four"),
        ("the 1990s", "the nineteen nineties"),
        ("the '80s", "the eighties"),
        ("21st 2nd 3rd 112th", "twenty first second third one hundred twelfth"),
        ("January 5, 1999", "January fifth nineteen ninety nine"),
        ("Dec. 31", "december thirty first"),
        ("2024-05-03", "may third twenty twenty four"),
        ("5/3/2024", "may third twenty twenty four"),
        ("10:30 a.m.", "ten thirty a. m"),
        ("7:00", "seven o'clock"),
        ("3pm", "three p m"),
        ("8:05", "eight oh five"),
        ("$5.50", "five dollars fifty cents"),
        ("$1", "one dollar"),
        ("£0.99", "ninety nine pence"),
        ("$1.5 million", "one point five million dollars"),
        ("€3k", "three thousand euros"),
        ("50%", "fifty percent"),
        ("1/2 3/8 24/7", "one half three eighths twenty four seven"),
        ("½", "one half"),
        ("10-20", "ten to twenty"),
        ("555-1234", "five five five one two three four"),
        ("5km at 60mph, 20°C", "five kilometers at sixty miles per hour twenty degrees celsius"),
        ("Mr. and Mrs. Smith vs. Dr. Lee", "mister and missus Smith versus doctor Lee"),
        ("St. Louis", "saint Louis"),
        ("5 Main St.", "five Main street"),
        ("No. 5", "number five"),
        ("No.", "no"),
        ("e.g. this etc.", "for example this et cetera"),
        ("U.S.A.", "u s a."),
        ("Ph.D.", "p h d"),
        ("AT&T & R&D", "a. t and t and r and d"),
        ("mp3 B2B", "m p three b two b"),
        ("and/or", "and or"),
        ("yes,no...maybe", "yes no maybe"),
        ("well—so", "well so"),
        ("foo@bar.com", "foo at bar dot com"),
        ("x = 2", "x equals two"),
        ("'til goin' 'em", "'til goin' 'em"),
        ("‘quoted’ don’t", "quoted don't"),
        ("the dogs' bones", "the dogs bones"),
        ("merry-go-round", "merry-go-round"),
        ("[door slams] hi", "[door slams] hi"),
        ("and\x00so\x07", "and so"),
        ("zero\u200bwidth", "zero width"),
        ("12 kg, 1 km and 20 °C", "twelve kilograms one kilometer and twenty degrees celsius"),
        ("5 in the morning", "five in the morning"),
        ("25¢", "twenty five cents"),
        ("1-800-555", "one eight zero zero five five five"),
        ("café", "café"),
    ],
)
def test_readings(written, spoken):
    assert said(written) == spoken


@pytest.mark.parametrize("text", ["", " \n", "...", "— ?! …", "\ufeff", "( )", '"\'"'])
def test_punctuation_says_nothing(text):
    assert normalise(text) == ()


@pytest.mark.parametrize(
    "text",
    [
        "Don’t pay $5.50 to Dr. Smith's dog, 50% off (really)!",
        "SHE HAD 12 BOATS",
        "naïve café — 10:30",
        "[laughter] 'em",
    ],
)
def test_the_users_spelling_is_kept(text):
    for token in normalise(text):
        assert token.spelling in text


@given(st.text(max_size=40))
def test_any_text_is_understood_somehow(text):
    for token in normalise(text):
        assert token.spelling
        assert token.spoken
        assert all(token.spoken)


@given(st.integers(0, 10**16))
def test_any_number_is_only_words(number):
    assert all(w.isalpha() for w in said(str(number)).split())


PHONES = frozenset(
    [
        "AA",
        "AE",
        "AH",
        "AO",
        "B",
        "D",
        "EH",
        "EY",
        "G",
        "IH",
        "IY",
        "K",
        "L",
        "M",
        "N",
        "OW",
        "R",
        "S",
        "SH",
        "T",
        "UW",
        "Z",
        "DH",
    ]
)


def known(label: str) -> bool:
    return label.rstrip("012") in PHONES


def lexicon(text: str) -> Lexicon:
    return Lexicon.parse(text, known, "words.dict", strict=True)


def phones(book: Lexicon, word: str) -> list[str]:
    return [" ".join(p.phones) for p in book.lookup(word)]


def test_cmu_format_with_variants():
    book = lexicon("the DH AH\nthe(2) DH IY\ncat K AE T\n")
    assert phones(book, "THE") == ["DH AH", "DH IY"]
    assert phones(book, "dog") == []


def test_mfa_formats():
    book = lexicon("a\tEY1\na\t0.4\tAH0\nbad\t0.9\t0.2\t1.5\t0.7\tB AE D\n\n")
    [first, second] = book.lookup("a")
    assert (first.phones, first.probability, first.silence_after) == (("EY1",), 1.0, None)
    assert second.probability == 0.4
    [bad] = book.lookup("Bad")
    assert (bad.probability, bad.silence_after, bad.silence_before, bad.no_silence_before) == (
        0.9,
        0.2,
        1.5,
        0.7,
    )


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("cat", "no phones"),
        ("cat\tK QQ T", "the phone 'QQ'"),
        ("cat 0.5 0.5 K AE T", "2 numbers"),
        ("cat 1.5 K AE T", "the phone '1.5'"),
        ("cat 2 K AE T", "the phone '2'"),
        ("cat 0.5 2 1 1 K AE T", "above 1"),
    ],
)
def test_a_bad_line_is_named(line, rule):
    with pytest.raises(DataError, match=rule) as caught:
        lexicon(f"a AH\n{line}\n")
    assert caught.value.where == "words.dict:2"


def test_comments_and_noise_entries():
    book = lexicon(";;; # CMUdict\nhe IH1 # a comment\n<unk>\tspn\n[bracketed]\t0.9\tspn\ncat\t0.5\tK AE T\n")
    assert phones(book, "he") == ["IH1"]
    assert sorted(book.entries) == ["cat", "he"]


def test_an_empty_dictionary():
    with pytest.raises(DataError, match="empty"):
        lexicon("\n \n")


BOOK = lexicon(
    "merry M EH R IY\ngo G OW\nround R AA D\nl' L\nami AA M IY\nthey DH EY\n'll L\ncafe K AE\ndog D AO G\n"
    "a. EY\na AH\nb B IY\nbass B AE S\nbat B AE T\no'clock AH K L AA K\n"
)


@pytest.mark.parametrize(
    ("word", "parts"),
    [
        ("merry-go-round", "merry go round"),
        ("l'ami", "l' ami"),
        ("they'll", "they 'll"),
        ("L'ami", "L' ami"),
        ("o'clock", "o'clock"),
        ("x'y", "x'y"),
        ("l'xyz", "l'xyz"),
        ("merry-xyz", "merry xyz"),
    ],
)
def test_compounds_and_clitics(word, parts):
    assert BOOK.split(word) == tuple(parts.split())


def test_accents_and_case_fold():
    assert phones(BOOK, "CAFÉ") == ["K AE"]


def pronounce(text: str, g2p=lambda word: ("Z", "UW")):
    return Pronouncer(lexicon=BOOK, g2p=g2p, known=known, noises=("S",))(normalise(text))


@pytest.mark.parametrize(
    ("word", "expected"), [("dog's", "D AO G Z"), ("bat's", "B AE T S"), ("bass's", "B AE S IH Z")]
)
def test_possessives_sound_by_their_neighbour(word, expected):
    [spoken], oovs = pronounce(word)
    assert " ".join(spoken.pronunciations[0].phones) == expected
    assert oovs == []


def test_words_without_entry_are_guessed_and_listed():
    spoken, oovs = pronounce("zoo BAB dog")
    assert oovs == [("zoo", "Z UW"), ("BAB", "B IY EY B IY")]  # capitals are spelled
    assert [w.token for w in spoken] == [0, 1, 2]


def test_without_g2p_the_word_is_named():
    with pytest.raises(DataError, match="'zoo'"):
        pronounce("dog zoo", g2p=None)


def test_a_word_that_nothing_can_pronounce_is_named():
    pronounce = Pronouncer(lexicon=BOOK, g2p=lambda word: (), known=known)
    with pytest.raises(DataError, match="'你好'"):
        pronounce(normalise("dog 你好"))


def test_a_word_that_nothing_can_pronounce_is_noise_where_the_model_has_some():
    [_, sign], oovs = pronounce("dog 𒂶", g2p=HamaG2P())
    assert sign.pronunciations[0].phones == ("S",)
    assert oovs == [("𒂶", "S")]


@pytest.mark.parametrize("word", ["你好", "Привет", "नमस्ते", "안녕", "שלום", "ß", "日本", "ʃ", "x̂", "ǅ", "'"])
def test_a_word_of_any_script_has_an_english_pronunciation(word):
    assert HamaG2P()(word) or not any(map(str.isalpha, word))


def test_noise_words_are_the_models_noise():
    [spoken], oovs = pronounce("[laughter]")
    assert spoken.pronunciations[0].phones == ("S",)
    assert oovs == []


@pytest.mark.parametrize(
    ("ipa", "arpabet"),
    [
        ("t͡ʃɝt͡ʃ", "CH ER CH"),
        ("koʊvɪd", "K OW V IH D"),
        ("k uː b ɐ n eː t ə s", "K UW B AH N EY T AH S"),
        ("mɛʒə", "M EH ZH AH"),
    ],
)
def test_ipa(ipa, arpabet):
    assert " ".join(to_arpabet(ipa)) == arpabet


def test_g2p_reads_english():
    g2p = HamaG2P()
    assert g2p("covid") == ("K", "OW", "V", "IH", "D")
    assert g2p("Praat") == g2p("praat") == g2p("praât")
    assert g2p("123") == ()


def test_every_phone_of_g2p_is_in_the_model(model):
    from aligner.text.g2p import IPA_TO_ARPABET

    assert all(model.topology.knows(p) for phones in IPA_TO_ARPABET.values() for p in phones.split())


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("BABs", "B IY EY B IY Z"),
        ("CatBAB", "Z UW B IY EY B IY"),
        ("DogBB", "D AO G B IY B IY"),
        ("McDog", "Z UW"),
    ],
)
def test_letters_beside_words_are_named(word, expected):
    [spoken], _ = pronounce(word)
    assert " ".join(spoken.pronunciations[0].phones) == expected
