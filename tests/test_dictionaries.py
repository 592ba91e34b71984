"""Dictionaries as users bring them: spellings, numbers, comments, bad lines, other kinds of files."""

from __future__ import annotations

import unicodedata
import zipfile
from dataclasses import replace

import pytest

from aligner.backends.wild import WILD, opened
from aligner.text.dictionaries import check_dictionaries, few_words, read_dictionaries, read_speakers
from aligner.text.entries import read_entries
from aligner.text.lexicon import Lexicon, Pronouncer
from aligner.text.normalise import normalise
from aligner.types import DataError, Fault

PHONES = frozenset(
    [
        "AA",
        "AE",
        "AH",
        "AO",
        "AY",
        "B",
        "D",
        "DH",
        "EH",
        "ER",
        "EY",
        "F",
        "G",
        "HH",
        "IH",
        "IY",
        "K",
        "L",
        "M",
        "N",
        "OW",
        "P",
        "R",
        "S",
        "T",
        "UW",
        "V",
        "W",
        "Y",
        "Z",
    ]
)


def known(label: str) -> bool:
    return label.rstrip("012") in PHONES


def book(text: str, **more) -> Lexicon:
    return Lexicon.parse(text, known, "words.dict", **more)


def phones(lexicon: Lexicon, word: str) -> list[str]:
    return [" ".join(p.phones) for p in lexicon.lookup(word)]


ONE_WORD = [
    ("don't", "don’t"),
    ("don't", "don‘t"),
    ("don't", "donʼt"),
    ("don't", "don′t"),
    ("don't", "don`t"),
    ("don't", "don´t"),
    ("don't", "don＇t"),
    ("DON’T", "don't"),
    ("re-do", "re‐do"),
    ("re-do", "re‑do"),
    ("re-do", "re–do"),
    ("café", unicodedata.normalize("NFD", "café")),
    (unicodedata.normalize("NFD", "CAFÉ"), "café"),
    ("café", "CAFÉ"),
    ("cooperate", "co\u00adoperate"),
    ("naive", "na\u200bive"),
    ("word", "\ufeffword"),
    ("fine", "ﬁne"),
    ("abc", "ａｂｃ"),
    ("18", "１８"),
    ("οδός", "ΟΔΌΣ"),
    ("Σίσυφος", "ΣΊΣΥΦΟΣ"),
    ("straße", "STRASSE"),
    ("straße", "STRAẞE"),
    ("strasse", "Straße"),
    ("İstanbul", "istanbul"),
    ("מה׳", "מה'"),
    ("مرحبا", "مـرحبا"),
    ("می‌خواهم", "میخواهم"),
    ("مرحبا", "مَرْحَبًا"),
    ("שלום", "שָׁלוֹם"),
    ("читай", "чита\u0301й"),
    ("елка", "ёлка"),
    ("école", "ECOLE"),
    ("οδός", "ΟΔΟΣ"),
    ("cafe", "café"),
    ("etc", "etc."),
    ("em", "'em"),
    ("그", unicodedata.normalize("NFD", "그")),
]


@pytest.mark.parametrize(("entry", "written"), ONE_WORD)
def test_two_spellings_of_one_word(entry, written):
    assert phones(book(f"{entry}\tK AE T\n"), written) == ["K AE T"]


@pytest.mark.parametrize(
    ("entry", "written"),
    [
        ("мой", "мои"),
        ("мои", "мой"),
        ("か", "が"),
        ("กา", "กู้"),
        ("été", "ete"),
        ("10", "1"),
        ("m2", "m3"),
        ("we're", "were"),
        ("re-do", "redo"),
        ("isi", "ısı"),
    ],
)
def test_two_words_stay_two(entry, written):
    assert phones(book(f"{entry}\tK AE T\n"), written) == []


def test_german_has_both_spellings():
    german = book("Maße\tM AA S\nMasse\tM AE S\n")
    assert [phones(german, w) for w in ("Maße", "masse", "MASSE")] == [["M AA S"], ["M AE S"], ["M AE S"]]


def test_turkish_tells_dotless_i():
    turkish = book("ısı\tAH S AH\nisi\tIY S IY\n")
    assert [phones(turkish, w) for w in ("ISI", "İSİ", "isi")] == [["AH S AH"], ["IY S IY"], ["IY S IY"]]
    assert phones(book("it\tIH T\n"), "IT") == ["IH T"]


NUMBERS = [  # line, phones, probability, silence after, silence before, no silence before
    ("cat\t0.5\tK AE T", "K AE T", 0.5, None, 1, 1),
    ("cat 1 K AE T", "K AE T", 1, None, 1, 1),
    ("cat 1.0 K AE T", "K AE T", 1, None, 1, 1),
    ("cat .5 K AE T", "K AE T", 0.5, None, 1, 1),
    ("cat 1e-3 K AE T", "K AE T", 0.001, None, 1, 1),
    ("cat\t0\tK AE T", "K AE T", 1, None, 1, 1),
    ("cat\t0.0\tK AE T", "K AE T", 1, None, 1, 1),
    ("cat\t0.99\t0.0\t0.0\t0.0\tK AE T", "K AE T", 0.99, None, 1, 1),
    ("cat\t0.99\t0.2\t0\t0\tK AE T", "K AE T", 0.99, 0.2, 1, 1),
    ("cat\t0.99\t0\t1.5\t0.7\tK AE T", "K AE T", 0.99, None, 1.5, 0.7),
    ("cat\t0\t0\t0\t0\tK AE T", "K AE T", 1, None, 1, 1),
    ("cat\t0.9\t0.2\t1.5\t0.7\tK AE T", "K AE T", 0.9, 0.2, 1.5, 0.7),
]


@pytest.mark.parametrize(("line", "said", "probability", "after", "before", "otherwise"), NUMBERS)
def test_numbers_before_phones(line, said, probability, after, before, otherwise):
    [found] = book(line).lookup("cat")
    assert " ".join(found.phones) == said
    assert (found.probability, found.silence_after) == (probability, after)
    assert (found.silence_before, found.no_silence_before) == (before, otherwise)


X_SAMPA = "heureux\t2 R 2\noeuf\t9 f\nkit\tk 1 t\nin\t1 n\nun\t0.5\t9~\ndeux\t0.9\td 2\neux\t1.0\t2\n"


@pytest.mark.parametrize("with_model", [False, True], ids=["train", "align"])
def test_numbers_that_are_phones(with_model):
    model = ["2", "9", "1", "R", "f", "k", "t", "n", "d", "9~"]
    french = Lexicon.parse(X_SAMPA, model.__contains__ if with_model else None)
    words = {"heureux": "2 R 2", "oeuf": "9 f", "kit": "k 1 t", "in": "1 n", "un": "9~", "eux": "2"}
    assert {w: phones(french, w)[0] for w in words} == words
    assert [french.lookup(w)[0].probability for w in ("un", "deux", "in")] == [0.5, 0.9, 1]
    assert not french.bad
    assert french.phones == set(model)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("a\t5 5", "5 5"),
        ("ma\tm a 1", "m a 1"),
        ("ma\tma1", "ma1"),
        ("ma\tm a ˥˩", "m a ˥˩"),
        ("yi\ti 1", "i 1"),
    ],
)
def test_tones(line, said):
    assert phones(Lexicon.parse(f"bo\tb o 1\ner\t4 r\n{line}\n"), line.split()[0]) == [said]


def test_a_number_that_strayed_among_phones_is_no_phone():
    lines = [f"w{k}\t1\tk a t\n" for k in range(300)]
    found = read_entries("".join([*lines, "cat\tk 1 t\n"]))
    assert (found.numerals, [b.word for b in found.bad]) == (frozenset(), ["cat"])
    found = read_entries("dog\t0.5\td o g\ncat\tk a t 0.5\n")
    assert (list(found.lines), [b.number for b in found.bad]) == (["dog"], [2])


def test_words_may_have_digits():
    numbers = book("18\tEY T IY N\n2\tT UW\n0.5\tHH AE F\n1st\tF ER S T\nb2b\tB IY\n")
    assert [phones(numbers, w)[0] for w in ("18", "2", "0.5", "1st", "B2B")] == [
        "EY T IY N",
        "T UW",
        "HH AE F",
        "F ER S T",
        "B IY",
    ]


BAD = [
    ("cat", "'cat' has no phones"),
    ("cat\t0.5", "'cat' has no phones"),
    ("cat # no phones", "'cat' has no phones"),
    ("cat\tK QQ T", "the phone 'QQ'"),
    ("cat 0.5 0.5 K AE T", "2 numbers"),
    ("cat 1.5 K AE T", "the phone '1.5'"),
    ("cat 2 K AE T", "the phone '2'"),
    ("cat 0.5 2 1 1 K AE T", "above 1"),
    ("cat -0.5 K AE T", "the phone '-0.5'"),
    ("cat inf K AE T", "the phone 'inf'"),
    ("cat nan K AE T", "the phone 'nan'"),
    ("cat K AE T 0.5", "the phone '0.5'"),
    ("cat K spn T", "the phone 'spn'"),
    ("New York\tN UW", "'New York' has a space"),
    ("\tK AE T", "has no word"),
]


@pytest.mark.parametrize(("line", "rule"), BAD)
def test_one_bad_line_does_not_refuse_the_rest(line, rule):
    text = f"a\tAH\n{line}\ndog\tD AO G\n"
    found = book(text)
    assert sorted(found.entries) == ["a", "dog"]
    [bad] = found.bad
    assert bad.number == 2
    assert rule in bad.rule
    with pytest.raises(DataError, match=r"words.dict:2: ") as caught:
        book(text, strict=True)
    assert (rule in str(caught.value), caught.value.fault) == (True, Fault.DICTIONARY)


@pytest.mark.parametrize(
    "line",
    ["cat", "cat\t0.5", "cat\t1.5\tk a t", "cat\tinf\tk a t", "cat\t-0.5\tk a t", "cat\tk spn t", "cat 1"],
)
def test_bad_lines_where_no_model_knows_the_phones(line):
    found = Lexicon.parse(f"a\tx\n{line}\n")
    assert [b.number for b in found.bad] == [2]
    assert list(found.entries) == ["a"]


def test_a_good_variant_stays():
    found = book("cat K AE T\ncat(2) K QQ T\n")
    assert phones(found, "cat") == ["K AE T"]


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("\n \n", "empty"),
        (";;; nothing\n", "empty"),
        ("cat\n", "words.dict:1: 'cat' has no phones"),
        ("cat K QQ\ndog QQ\n", "none of its 2 lines can be used"),
    ],
)
def test_a_dictionary_of_no_use(text, rule):
    with pytest.raises(DataError) as caught:
        book(text)
    assert rule in str(caught.value)
    assert caught.value.fault is Fault.DICTIONARY


def test_comments_entries_of_signs_and_noise():
    text = (
        ";;; # CMUdict\n# a comment\n## another\n#1 N AH M B ER\n# HH AE\ncat K AE T # note\n"
        "dog\tD AO G\t# note\n;SEMI S EH\n(PAREN P AE\n<unk>\tspn\n<s> SIL\n!SIL sil\n"
        "[noise] 0.9 0.1 1 1 +NSN+\n"
        "the(02) DH AH\nf(x)\tF\n"
    )
    found = book(text)
    assert not found.bad
    assert set(found.entries) == {"#1", "#", "cat", "dog", ";semi", "(paren", "the", "f(x)"}
    assert phones(found, "dog") == ["D AO G"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_line_ends_and_encodings(tmp_path, end, encoding):
    path = tmp_path / "my.dict"
    path.write_bytes(f"café\tK AE{end}don’t  D OW{end}".encode(encoding))
    found = read_dictionaries(path, own=None, known=known).default
    assert (phones(found, "Café"), phones(found, "don't")) == (["K AE"], ["D OW"])


def test_lines_in_another_encoding_are_bad_ones(tmp_path):
    path = tmp_path / "my.dict"
    path.write_bytes("cat K AE T\ncaf\u00e9 K AE F\ndog D AO G\n".encode("latin-1"))
    found = read_dictionaries(path, own=None, known=known)
    assert set(found.default.entries) == {"cat", "dog"}
    [caution] = found.cautions()
    assert "line 2: byte 0xE9 is not UTF-8" in str(caution)
    assert "save the file as UTF-8" in str(caution)
    with pytest.raises(DataError, match=r"my.dict:2: byte 0xE9 is not UTF-8: save the file as UTF-8"):
        read_dictionaries(path, own=None, known=known, strict=True)


def test_phones_in_other_spellings():
    nasal = unicodedata.normalize("NFD", "õ")
    assert phones(Lexicon.parse("on\tõ ɡ\n", [nasal, "g"].__contains__), "on") == [f"{nasal} g"]
    assert phones(book("cat k ae1 t\nthe dh ah0\n"), "cat") == ["K AE1 T"]
    assert book("cat k ae1 T\ndog D AO G\n").bad[0].rule.startswith("'cat' has the phone")


def written(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_words_are_laid_over(tmp_path):
    base = written(tmp_path, "base.dict", "cat K AE T\ncat(2) K AA T\ndog D AO G\n")
    one = written(tmp_path, "one.dict", "cat K IY T\nnew N UW\n")
    two = written(tmp_path, "two.dict", "New N OW\n")
    both = read_dictionaries(None, [one, two], own=base, known=known).default
    assert {w: phones(both, w) for w in ("cat", "dog", "new")} == {
        "cat": ["K IY T"],
        "dog": ["D AO G"],
        "new": ["N OW"],
    }
    assert (both.has_written("cat"), both.has_written("dog")) == (True, False)
    over = read_dictionaries(two, [one], own=base, known=known).default
    assert (phones(over, "dog"), over.has_written("New")) == ([], True)


def test_exact_spellings_win_over_likely_ones(tmp_path):
    base = written(tmp_path, "base.dict", "café K AE F EY\n")
    added = written(tmp_path, "added.dict", "cafe K EY F\n")
    both = read_dictionaries(None, [added], own=base, known=known).default
    assert (phones(both, "café"), phones(both, "cafe")) == (["K AE F EY"], ["K EY F"])


def test_numbers_that_are_phones_of_the_dictionary_below(tmp_path):
    base = written(tmp_path, "base.dict", "kit k 1 t\n")
    added = written(tmp_path, "added.dict", "in 1 n\n")
    assert phones(read_dictionaries(base, [added], own=None).default, "in") == ["1 n"]


ENTRIES = {
    "18": "EY T IY N",
    "#1": "N AH M",
    "$5": "F AY V",
    "dr.": "D AA K",
    "it's": "IH T S",
    "U.S.A.": "Y UW",
    "can’t": "K AE N",
    "C++": "S IY",
    "&": "AE N",
    "9/11": "N AY N",
    "18-year-old": "EY T",
    "[laughs]": "HH AA",
    "@home": "AE T",
    "IV": "AY V IY",
    "3D": "TH",
    "a.m.": "EY EH",
    "½": "HH AE F",
    "🙂": "S M AY L",
    "COVID-19": "K OW",
    "+": "P L AH S",
    "ph.d.": "P IY",
    "no.": "N AH M",
    "§3": "S EH K",
    "№5": "N AH M",
    "https://a.org/b?c=1": "EY",
    ".NET": "D AA T",
    "AT&T": "EY T IY",
    "foo_bar": "F UW",
}


@pytest.mark.parametrize("word", ENTRIES)
@pytest.mark.parametrize(
    "sentence", ["{}", "say {} now", "Say {}, now!", "SAY {}", "say “{}” now", "say {}."]
)
def test_an_entry_of_the_users_wins_over_any_reading(word, sentence):
    lines = f"{word}\tK AE T\nsay\tS EY\nnow\tN AW\n"
    mine = Lexicon.parse(lines, lambda label: label != "QQ" and label.isupper(), "my.dict")
    pronounce = Pronouncer(lexicon=Lexicon(mine.entries, users=True), g2p=None, known=known)
    tokens = normalise(sentence.format(word), entry=lambda one: pronounce.entry(one, ""))
    spoken, _ = pronounce(tokens)
    assert [s.pronunciations[0].phones for s in spoken if s.word.lower() not in ("say", "now")] == [
        ("K", "AE", "T")
    ]


KINDS = {
    "a.dict": (b"\x1f\x8b\x08\x00zzz", "it is compressed (gzip): unpack it"),
    "b.dict": (b'{"cat": ["K AE T"]}', "it is JSON: write it as text"),
    "c.dict": (b'[{"word": "cat"}]', "it is JSON"),
    "d.dict": (b"cat,K AE T\ndog,D AO G\n", "it is a table with commas: put a tab behind each word"),
    "e.dict": (b'"cat","K AE T"\n"dog","D AO G"\n', "it is a table with commas"),
    "f.dict": (b"cat;K AE T\n", "it is a table with commas"),
    "g.dict": (b"She had your dark suit.\nIn greasy wash water all year.\n", "it reads like a transcript"),
    "h.dict": (b'File type = "ooTextFile"\nObject class = "TextGrid"\n', "it is a file of Praat's"),
    "i.dict": (b"<!DOCTYPE html>\n<html>", "it is a web page: fetch the file itself"),
    "j.dict": (b"<?xml version='1.0'?><lexicon/>", "it is XML"),
    "k.dict": (b"RIFF\x00\x00\x00\x00WAVEfmt ", "it is a recording"),
    "l.dict": (b"%PDF-1.4 \n", "it is a PDF document"),
    "m.dict": (b"cat\x00K\x01\x02AE" * 9, "it is no text"),
    "n.dict": (b"version https://git-lfs.github.com/spec/v1\n", "it is a pointer of Git LFS"),
    "o.dict": (
        b"default: a.dict\nanna: b.dict\n",
        "it names dictionaries by speaker: give it the suffix .yaml",
    ),
    "p.dict": (b"caf\xe9\tK AE\n", "p.dict:1: byte 0xE9 is not UTF-8: save the file as UTF-8"),
    "q.dict": (b"", "the dictionary is empty"),
}


@pytest.mark.parametrize("name", KINDS)
def test_other_kinds_of_files(tmp_path, name):
    content, message = KINDS[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_dictionaries(tmp_path / name, own=None, known=known)
    assert message in str(caught.value)
    assert str(tmp_path / name) in str(caught.value)


@pytest.mark.parametrize(
    ("inside", "message"),
    [
        ("model/final.mdl", "it is an acoustic model of the Montreal Forced Aligner: name a dictionary"),
        ("g2p/model.fst", "it is a G2P or language model"),
        ("xl/workbook.xml", "it is a workbook (Excel): save it as text"),
        ("word/document.xml", "it is a document"),
        ("english.dict", "it is an archive (zip): unpack it, and name english.dict"),
    ],
)
def test_archives(tmp_path, inside, message):
    path = tmp_path / "my.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(inside, "x")
    with pytest.raises(DataError) as caught:
        check_dictionaries(path, ())
    assert message in str(caught.value)


def test_an_entry_that_begins_as_another_kind_of_file_does(tmp_path):
    path = written(tmp_path, "my.dict", "ID3 AY D IY\nBZhang B Z\n")
    assert phones(read_dictionaries(path, own=None, known=known).default, "id3") == ["AY D IY"]


def test_a_folder_and_a_name(tmp_path, monkeypatch):
    written(tmp_path, "my.dict", "cat K AE T\n")
    with pytest.raises(DataError, match=r"it is a folder: name the file in it, such as .*my.dict"):
        check_dictionaries(tmp_path, ())
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"english_us_arpa: it cannot be read .*not fetched"):
        check_dictionaries(tmp_path.__class__("english_us_arpa"), ())
    with pytest.raises(DataError, match=r"none.dict: it cannot be read"):
        check_dictionaries(None, [tmp_path / "none.dict"])


def test_speakers_have_dictionaries_of_their_own(tmp_path):
    (tmp_path / "more").mkdir()
    written(tmp_path, "all.dict", "cat K AE T\nhi HH AY\n")
    written(tmp_path, "more/zoe.dict", "cat K EH T\n")
    table = written(
        tmp_path,
        "speakers.yaml",
        f"# ours\ndefault: all.dict\n{unicodedata.normalize('NFD', 'Zoë')}: more/zoe.dict\n"
        f"007: {tmp_path}/more/zoe.dict\nyes: all.dict\n",
    )
    books = read_dictionaries(table, own=None, known=known)
    assert set(books.speakers) == {"Zoë", "007", "yes"}
    assert (phones(books.speakers["Zoë"], "cat"), phones(books.speakers["Zoë"], "hi")) == (["K EH T"], [])
    pronounce = Pronouncer(lexicon=books.default, g2p=None, known=known, speakers=books.speakers)
    said = [
        " ".join(pronounce.of(who)(normalise("cat"))[0][0].pronunciations[0].phones)
        for who in ("Zoë", unicodedata.normalize("NFD", "Zoë"), "007", "yes", "bob", "")
    ]
    assert said == ["K EH T", "K EH T", "K EH T", "K AE T", "K AE T", "K AE T"]


def test_speakers_without_a_default_have_the_models_own(tmp_path):
    own = written(tmp_path, "own.dict", "cat K AE T\n")
    written(tmp_path, "zoe.dict", "cat K EH T\n")
    table = written(tmp_path, "s.yml", "zoe: zoe.dict\n")
    books = read_dictionaries(table, own=own, known=known)
    assert (phones(books.default, "cat"), phones(books.speakers["zoe"], "cat")) == (["K AE T"], ["K EH T"])
    with pytest.raises(DataError, match="has no dictionary of its own"):
        read_dictionaries(table, own=None, known=known)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "default: all.dict\nanna: none.dict\n",
            "s.yaml:2: there is no 'none.dict': name a file, as seen from",
        ),
        ("default: all.dict\ndefault: all.dict\n", "s.yaml:2: the speaker 'default' is named twice"),
        ("default: all.dict\nanna:\n", "s.yaml:2: the speaker 'anna' has no dictionary"),
        ("default: [all.dict]\n", "s.yaml:1: a speaker has one dictionary"),
        ("default: {anna: all.dict}\n", "s.yaml:1: a speaker has one dictionary"),
        ("- all.dict\n", "s.yaml: it names no speakers"),
        ("", "s.yaml: it names no speakers"),
        ("default: 'all.dict\n", "it is not YAML"),
        ("default: english_us_arpa\n", "s.yaml:1: there is no 'english_us_arpa'"),
        ("default: s.yaml\n", "s.yaml:1: 's.yaml' is no dictionary"),
    ],
)
def test_a_table_of_speakers_that_is_wrong(tmp_path, content, message):
    written(tmp_path, "all.dict", "cat K AE T\n")
    with pytest.raises(DataError) as caught:
        read_speakers(written(tmp_path, "s.yaml", content))
    assert message in str(caught.value)
    assert caught.value.fault is Fault.DICTIONARY


def test_a_bad_line_of_a_speakers_dictionary_is_told(tmp_path):
    written(tmp_path, "all.dict", "cat K AE T\n")
    other = written(tmp_path, "zoe.dict", "cat K EH T\ndog\n")
    books = read_dictionaries(
        written(tmp_path, "s.yaml", "default: all.dict\nzoe: zoe.dict\n"), own=None, known=known
    )
    [caution] = books.cautions()
    assert (caution.where, caution.fault) == (str(other), Fault.DICTIONARY)
    assert "a line cannot be used" in caution.rule
    assert "line 2: 'dog' has no phones" in caution.rule


def test_many_bad_lines_are_counted(tmp_path):
    path = written(tmp_path, "my.dict", "cat K AE T\n" + "".join(f"w{k}\n" for k in range(9)))
    [caution] = read_dictionaries(path, own=None, known=known).cautions()
    assert caution.rule.startswith("9 lines cannot be used")
    assert "line 6: 'w4' has no phones; and 4 more" in caution.rule


@pytest.mark.parametrize(
    ("words", "warned"), [("cat dog don't", True), ("cat", False), ("cat dog", False), ("don't", True)]
)
def test_a_dictionary_that_lacks_most_words(tmp_path, words, warned):
    path = written(tmp_path, "my.dict", "cat K AE T\n")
    pronounce = Pronouncer(
        lexicon=read_dictionaries(path, own=path, known=known).default, g2p=None, known=known, replaced=True
    )
    found = few_words([("", w) for w in words.split()], pronounce, path)
    assert bool(found) is warned
    if warned:
        assert f"{67 if 'cat' in words else 100} % of the different words" in found[0].rule
        assert "--add-words" in found[0].remedy


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Dr. Lee of Elm Dr.", "doctor Lee of Elm drive"),
        ("Dr Lee", "doctor Lee"),
        ("St. Paul on Main St.", "saint Paul on Main street"),
        ("10 in. long", "ten inches long"),
    ],
)
def test_a_large_dictionary_leaves_it_to_the_place_what_an_abbreviation_stands_for(text, said):
    lines = "dr. D R AY1 V\ndr.(2) D AA1 K T ER0\ndr D R AY1 V\nst. S T R IY1 T\nin. IH1 N\nno. N OW1\n"
    words = "doctor D AA1 K T ER0\ndrive D R AY1 V\nsaint S EY1 N T\nstreet S T R IY1 T\n"
    words += "inch IH1 N S\ninches IH1 N S AH0 Z\nnumber N AH1 M B ER0\n"
    own = replace(book(lines + words), users=True)
    tokens = normalise(text, entry=own.has_written)
    assert " ".join(word for token in tokens for word in token.spoken) == said


def test_a_small_dictionary_says_itself_what_an_abbreviation_is():
    own = replace(book("dr. D AH1 K\nst S T\n"), users=True)
    assert [own.has_written(w) for w in ("Dr.", "St", "Mr.")] == [True, True, False]


def test_a_word_in_brackets_that_the_user_has_is_that_word():
    own = replace(book("[laughter] HH AA1\n"), users=True)
    pronounce = Pronouncer(lexicon=own, g2p=None, known=known, noises=("spn",))
    spoken, _ = pronounce(normalise("[laughter] [cough]", entry=own.has_written))
    assert [[p.phones for p in s.pronunciations] for s in opened(spoken, ("spn",))] == [
        [("HH", "AA1")],
        [("spn",), (WILD,)],
    ]
