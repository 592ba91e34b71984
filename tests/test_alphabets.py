"""Phones in the alphabet that is asked for: labels there and back, what is written, what is read again."""

from __future__ import annotations

import csv
import importlib.util
import json
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from support.places import SAMPLE

from aligner import Alignment, DataError, Options, StreamAligner, align, align_file, find
from aligner.backends.choose import chosen
from aligner.cli.aligning import align as command
from aligner.corpus.audio import read
from aligner.corpus.labels import Labels
from aligner.evaluate.accuracy import compare, summarise
from aligner.evaluate.matching import comparable, written_alike
from aligner.formats.textgrid import read_textgrid
from aligner.learn.truth import true_places
from aligner.reference.espeak.phones import BY_PLACE, JOINED, OF_LANGUAGE, PhoneNames
from aligner.run.stream import follow
from aligner.text.alphabets import (
    ARPABET_PHONES,
    CODES,
    CONSONANTS,
    ENGLISH,
    MARKS,
    VOWELS,
    Respelling,
    alphabet_of,
    bare,
    from_arpabet,
    from_xsampa,
    is_ipa,
    to_arpabet,
    to_xsampa,
)
from aligner.text.phones import PhoneMap, kind
from aligner.types import Interval

needs_espeak = pytest.mark.skipif(
    importlib.util.find_spec("espeakng_loader") is None,
    reason="eSpeak NG is not installed: pip install 'aligner[dtw]'",
)
NAMES = Path(__file__).with_name("espeak_names.tsv")
SENTENCES = Path(__file__).parents[1] / "recipes" / "languages" / "sentences.tsv"


def espeak_names() -> list[tuple[str, list[str]]]:
    """Names of eSpeak's phones, and the languages that have them; where these are many, some of all sorts."""
    usual = ["af", "en-us", "de", "sw", *OF_LANGUAGE, *BY_PLACE, *JOINED]
    lines = (line.split("\t") for line in NAMES.read_text(encoding="utf-8").splitlines() if line[0] != "#")
    return [(name, usual if codes == "*" else codes.split()) for name, codes in lines]


# ---------------------------------------------------------------- labels


def test_what_espeak_writes_in_any_language_comes_back_from_xsampa():
    """Each is one phone in the IPA, whatever eSpeak calls it, and the same after a way there and back."""
    wrong = {
        (name, code, label)
        for name, codes in espeak_names()
        for code in codes
        for label in PhoneNames(code)(name)
        if not is_ipa(label) or from_xsampa(to_xsampa(label) or "?!") != label
    }
    assert not {w for w in wrong if not w[1].startswith("en")}
    assert {w[2] for w in wrong} <= {"əl"}  # English is in ARPAbet, where that is two phones


def test_every_symbol_of_the_chart_has_one_code():
    codes = CONSONANTS | VOWELS | MARKS
    assert len(set(codes.values())) == len(codes) == len(CODES)
    assert {from_xsampa(to_xsampa(s)) for s in (*CONSONANTS.values(), *VOWELS.values())} == {
        *CONSONANTS.values(),
        *VOWELS.values(),
    }


@pytest.mark.parametrize(
    ("xsampa", "ipa"),
    [  # of Wells (1995), "Computer-coding the IPA", and its examples
        *[("tS", "tʃ"), ("dZ", "dʒ"), ("t_h", "tʰ"), ("a~", "ã"), ("a:", "aː"), ("n=", "n̩"), ("t'", "tʲ")],
        *[("{", "æ"), ("}", "ʉ"), ("@", "ə"), ("3`", "ɝ"), ("r\\`", "ɻ"), ("b_<", "ɓ"), ("t_>", "tʼ")],
        *[("p_}", "p̚"), ("l_e", "ɫ"), ("5", "ɫ"), ("v\\", "ʋ"), ("P", "ʋ"), ("j\\", "ʝ"), ("|\\|\\", "ǁ")],
        *[("J\\_<", "ʄ"), ("t_d", "t̪"), ("e_o", "e̞"), ("i_^", "i̯"), ('"i', "ˈi"), ("%i", "ˌi"), ("N_0", "ŋ̊")],
        *[("a_T", "a˥"), ("x\\", "ɧ"), ("&", "ɶ"), ("M\\", "ɰ"), ("X\\", "ħ"), ("?\\", "ʕ"), ("s_?\\", "sˤ")],
    ],
)
def test_xsampa_is_that_of_wells(xsampa, ipa):
    from unicodedata import normalize

    assert normalize("NFD", from_xsampa(xsampa)) == normalize("NFD", ipa)


@pytest.mark.parametrize("name", ARPABET_PHONES)
def test_arpabet_comes_back_from_the_ipa(name):
    """TIMIT's allophones come back as themselves or as the phone of CMU's dictionary that they fold to."""
    back = to_arpabet(from_arpabet(name))
    classes = PhoneMap()
    assert back == name if name in ENGLISH else classes(back) == classes(name)


def test_stress_is_in_the_vowel_and_marked_where_it_is_asked_for():
    plain, marked = Respelling("arpabet", "ipa"), Respelling("arpabet", "ipa", marks=True)
    labels = ["AH0", "AH1", "AH2", "ER0", "ER1", "IY0", "IY1", "T"]
    assert [plain(x) for x in labels] == ["ə", "ʌ", "ʌ", "ɚ", "ɝ", "i", "i", "t"]
    assert [marked(x) for x in labels] == ["ə", "ˈʌ", "ˌʌ", "ɚ", "ˈɝ", "i", "ˈi", "t"]
    assert [to_arpabet(marked(x)) for x in labels] == ["AH", "AH1", "AH2", "ER", "ER1", "IY", "IY1", "T"]


@pytest.mark.parametrize(
    ("labels", "alphabet"),
    [
        (["", "AH0", "S", "CH", "spn"], "arpabet"),
        (["h#", "sh", "iy", "tcl", "t", "axr", "epi"], "arpabet"),
        (["p", "t", "k", "a", "e", "o", "u", "n"], "ipa"),
        (["tɕʰ", "a", "ŋ"], "ipa"),
        (["S", "@", "tS", "a", "i:"], "xsampa"),
        (["к", "о", "т"], None),
        (["spn", "", "<star>", "+BREATH+"], None),
        (["vowel", "hush", "click"], None),
    ],
)
def test_a_set_of_labels_tells_its_alphabet(labels, alphabet):
    assert alphabet_of(labels) == alphabet


@pytest.mark.parametrize("target", ["ipa", "xsampa", "arpabet", "native"])
def test_what_is_no_phone_stays(target):
    for source in ("arpabet", "ipa", "xsampa", None):
        spell = Respelling(source, target)
        labels = ["", "spn", "sil", "<star>", "h#", "+NSN+"]
        assert [spell(x) for x in labels] == labels
        assert all(map(spell.knows, labels))


def test_kinds_of_phones_with_marks_before_them():
    assert [kind(x) for x in ("ˈʌ", "ⁿd", "tɕʰ", "sˤ")] == ["vowel", "stop", "stop", "fricative"]


# ---------------------------------------------------------------- eSpeak's phones


@needs_espeak
@pytest.mark.parametrize(
    ("language", "word", "phones"),
    [
        *[("ko", "타다", "tʰ ɐ d ɐ"), ("ko", "차다", "tɕʰ ɐ d ɐ"), ("ko", "까치", "k͈ ɐ tɕʰ i")],
        *[("ko", "학교", "h ɐ k k͈ j o"), ("ko", "국화", "ɡ u kʰ w ɐ"), ("ko", "가게", "ɡ ɐ ɡ e")],
        *[("cmn", "吃", "tʂʰ ɨ"), ("cmn", "七", "tɕʰ i"), ("cmn", "次", "tsʰ ɨ"), ("cmn", "中", "tʂ ʊ ŋ")],
        *[("ar", "صباح", "sˤ a b a ħ"), ("ar", "طبيب", "tˤ a b i b"), ("ar", "جميل", "dʒ a m i l")],
        *[("hi", "छोटा", "tʃʰ oː ʈ aː"), ("hi", "भारत", "bʱ aː ɾ ə t"), ("hi", "पढ़ना", "p ʌ ɽʱ ə n aː")],
        *[("pl", "człowiek", "tʃ w ɔ vʲ ɛ k"), ("pl", "trzy", "t ʃ ɨ"), ("cs", "dzbán", "dz b aː n")],
        *[("it", "ragazzo", "r a ɡ a ts o"), ("ru", "чай", "tʃʲ ɑ j"), ("ru", "люблю", "ɭʲ ʉ b ɭʲ ʉ")],
        *[("ka", "ჭამა", "tʃʼ a m a"), ("ka", "ქალი", "kʰ a l i"), ("hy", "ցուրտ", "tsʰ u r t")],
        *[("ja", "つき", "ts ɯᵝ k i"), ("am", "ጨው", "tʃʼ ə w"), ("si", "අඳුර", "ɐ ⁿd u ɹ ə")],
        *[("is", "hnífur", "n̥ iː ʋ y r"), ("yue", "國", "k w o k"), ("yue", "香", "h œ ŋ")],
        *[("qu", "qhari", "qʰ a r i"), ("be", "цёця", "tsʲ ɔ tsʲ a"), ("da", "hund", "h u n")],
    ],
)
def test_an_aspirate_or_affricate_is_one_phone(language, word, phones):
    from aligner.reference.espeak import EspeakG2P

    assert " ".join(EspeakG2P(language)(word)) == phones


@needs_espeak
def test_a_phone_of_two_events_lasts_as_long_as_both(monkeypatch):
    """The times of words and of all other phones are those without joining."""
    from aligner.reference.espeak import Synthesiser

    words = ["타다", "차다"]
    joined = Synthesiser(language="ko")(words)
    monkeypatch.setattr(PhoneNames, "joined", lambda *_: None)
    apart = Synthesiser(language="ko")(words)
    assert len(apart.phones) == len(joined.phones) + 2
    edges = {p.start for p in apart.phones}
    assert {p.start for p in joined.phones} <= edges
    assert np.array_equal(joined.wave, apart.wave)
    first, second = (p for p in joined.phones if p.label in ("tʰ", "tɕʰ"))
    assert first.duration > next(p.duration for p in apart.phones if p.label == "t")
    assert second.end == next(p.end for p, q in pairwise(apart.phones) if q.start == second.end)


@needs_espeak
def test_what_is_said_in_62_languages_is_in_the_ipa():
    from aligner.reference.espeak import EspeakG2P

    odd = {}
    for line in SENTENCES.read_text(encoding="utf-8").splitlines():
        code, text = line.split("\t")
        if code in ("en", "th", "ja"):  # in ARPAbet; read by a library first
            continue
        said = EspeakG2P(code).pronounce(text.lower().translate({ord(c): " " for c in ",.।。"}).split())
        phones = {p for word in said.values() for p in word}
        wrong = {p for p in phones if not is_ipa(p) or from_xsampa(to_xsampa(p) or "?!") != p}
        odd |= {code: wrong} if wrong else {}
    assert odd == {}


# ---------------------------------------------------------------- what is written


def labelled(tmp_path, *options: str) -> Path:
    out = tmp_path / "-".join(["out", *options])
    call = CliRunner().invoke(command, [str(SAMPLE), str(out), "-j", "1", *options])
    assert call.exit_code == 0, call.output
    return out


def tiers(path: Path) -> dict[str, list[Interval]]:
    return dict(read_textgrid(path))


def test_every_format_has_the_same_labels_and_times(tmp_path):
    native = labelled(tmp_path, "-f", "json")
    out = labelled(tmp_path, "--phones", "ipa", "-f", "json", "-f", "csv", "-f", "ctm", "--uncertainty")
    grid = next(out.rglob("*.TextGrid"))
    place = grid.relative_to(out)
    phones, words = (tiers(grid)[name] for name in ("phones", "words"))
    before = tiers(native / place)
    spell = Respelling("arpabet", "ipa")
    assert phones == [Interval(p.start, p.end, spell(p.label)) for p in before["phones"]]
    assert words == before["words"]
    assert all(is_ipa(p.label) for p in phones if p.label)
    said = [p.label for p in phones if p.label]
    entries = json.loads(grid.with_suffix(".json").read_text(encoding="utf-8"))["tiers"]["phones"]["entries"]
    assert [label for _, _, label in entries if label] == said
    with grid.with_suffix(".csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["Type"] == "phones"]
    assert [row["Label"] for row in rows if row["Label"]] == said
    lines = (grid.parent / f"{grid.stem}.phones.ctm").read_text(encoding="utf-8").splitlines()
    assert [line.split()[4] for line in lines] == said
    assert json.loads((out / "run.json").read_text())["phones"] == "ipa"
    tables = [(folder / "alignment.csv").read_text() for folder in (native, out)]
    assert tables[0] == tables[1]  # the figures are those of the alignment, which is the same
    assert "phones" not in json.loads((native / "run.json").read_text())


@cache
def sample() -> tuple[np.ndarray, str]:
    """A sentence of the sample: its wave, and what is said."""
    utterance = find(SAMPLE).utterances[0]
    return read(utterance).wave, utterance.transcript


@cache
def aligned(**options: object) -> Alignment:
    wave, text = sample()
    return align_file(wave, text, options=Options(refine="offsets", **options))


@pytest.mark.parametrize("phones", ["ipa", "xsampa", "arpabet"])
def test_written_in_any_alphabet_it_evaluates_alike(phones):
    sides = [Labels(a.phones, a.words, a.duration) for a in (aligned(), aligned(phones=phones))]
    if phones != "arpabet":
        assert [p.label for p in sides[0].phones] != [p.label for p in sides[1].phones]
    moved = [Interval(p.start + 0.01, p.end + 0.01, p.label.lower()) for p in sides[0].phones if p.label]
    reference = Labels(tuple(moved), None, sides[0].end)
    one, other = (compare(reference, side) for side in sides)
    assert one == other
    assert summarise([one]).phone_error_rate == 0


def test_stress_is_marked_in_the_ipa_where_it_is_asked_for():
    native, plain, marked, bared = (
        [p.label for p in aligned(**options).phones if kind(p.label) == "vowel"]
        for options in (
            {},
            {"phones": "ipa"},
            {"phones": "ipa", "stress": True},
            {"phones": "ipa", "stress": False},
        )
    )
    assert plain == bared == [v.lstrip("ˈˌ") for v in marked]
    digit = {"ˈ": "1", "ˌ": "2"}
    assert [digit.get(v[0], "0") for v in marked] == [v[-1] for v in native]
    assert {"ə", "ʌ", "ɚ", "ɝ"} & set(plain)


def test_a_stream_tells_the_labels_that_it_writes():
    wave, text = sample()
    native, ipa = (
        StreamAligner(text, options=Options(phones=p, refine="offsets"), complete=True)
        for p in ("native", "ipa")
    )
    told = [
        [e.label for e in follow(iter(np.array_split(wave, 20)), s) if e.kind == "phone"]
        for s in (native, ipa)
    ]
    spell = Respelling("arpabet", "ipa")
    assert told[0]
    assert told[1] == [spell(label) for label in told[0]]
    assert [p.label for p in ipa.phones] == [spell(p.label) for p in native.phones]
    assert ipa.alignment is not None
    assert ipa.alignment.phones == ipa.phones


def test_arpabet_of_another_language_is_a_wrong_call(tmp_path):
    call = CliRunner().invoke(command, [str(SAMPLE), str(tmp_path / "o"), "-l", "fi", "--phones", "arpabet"])
    assert call.exit_code == 2
    assert "ARPAbet has the phones of English alone" in call.output
    assert not (tmp_path / "o").exists()
    with pytest.raises(DataError, match="take ipa or xsampa"):
        list(align([], options=Options(language="fi", backend="dtw", phones="arpabet")))
    with pytest.raises(DataError, match="there is no 'kirshenbaum'"):
        Options(phones="kirshenbaum")


@pytest.mark.parametrize("backend", ["hmm", "ctc", "ctc+hmm", "dtw", "median"])
def test_every_backend_of_english_knows_its_alphabet(backend):
    if backend in ("dtw", "median"):
        pytest.importorskip("espeakng_loader")
    assert chosen(options=Options(backend=backend)).traits.alphabet == "arpabet"


def test_labels_of_no_alphabet_stay_and_are_told_once(tmp_path):
    from aligner.run.written import Writer

    writer = Writer(Respelling("ipa", "xsampa"))
    for _ in range(3):
        assert writer.label("ʃ") == "S"
        assert writer.label("ж") == "ж"
    [caution] = writer.cautions
    assert "stay as they are: ж" in caution.rule
    assert Writer(Respelling(None, "native"), {"ж"}).cautions == ()


# ---------------------------------------------------------------- what is read again


def row(labels: str, step: float = 0.1) -> list[Interval]:
    return [Interval(k * step, (k + 1) * step, label) for k, label in enumerate(labels.split())]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        *[("tʰ", "t"), ("t͡ʃ", "tʃ"), ("aː", "a"), ("ˈa", "a"), ("ʤ", "dʒ"), ("t̪", "t"), ("n̩", "n")],
        *[("i̯", "i"), ("b̥", "b"), ("ã", "a"), ("dʲ", "d"), ("sˤ", "s"), ("kʼ", "k"), ("ɫ", "l"), ("g", "ɡ")],
        *[("aˑ", "a"), ("ŋ̊", "ŋ"), ("ⁿd", "d"), ("a˥˩", "a"), ("ɯᵝ", "ɯ"), ("k͈", "k")],
    ],
)
def test_marks_of_the_ipa_are_folded(one, other):
    context = "ʃ {} ø"
    sides = [row(context.format(x)) for x in (one, other)]
    a, b = comparable(*sides)
    assert [p.label for p in a] == [p.label for p in b]
    strict = [p.label for p in comparable(*sides, PhoneMap({}, folded=False))[0]]
    assert strict == context.format(one).split()


@pytest.mark.parametrize(
    ("one", "other"), [("ç", "c"), ("ʃ", "s"), ("ə", "ɚ"), ("ɾ", "r"), ("æ", "a"), ("tʃ", "t")]
)
def test_letters_are_not(one, other):
    assert bare(one) != bare(other)


def test_two_alphabets_are_compared_in_one():
    timit, ipa, xsampa = row("h# sh iy ax er ch"), row("_ ʃ iː ə ɝ tʃʰ"), row("_ S i @ 3` tS")
    ipa[0], xsampa[0] = (Interval(0, 0.1, ""),) * 2
    wanted = ["sh", "iy", "ah", "er", "ch"]
    for other in (ipa, xsampa):
        assert [[p.label for p in side] for side in comparable(timit, other)] == [wanted] * 2
        assert [[p.label for p in side] for side in comparable(other, timit)] == [wanted] * 2
    assert [p.label for p in comparable(ipa, xsampa)[1]] == ["ʃ", "i", "ə", "ɝ", "tʃ"]
    renamed = PhoneMap({"ʃ": "hush"})
    assert comparable(timit, ipa, renamed)[1][0].label == "hush"  # who has a map means it


def test_corrections_in_the_ipa_teach_a_model_of_another_alphabet():
    found, corrected = (
        row("S AH0 CH"),
        [Interval(p.start + 0.02, p.end + 0.02, p.label) for p in row("s ə tʃ")],
    )
    assert true_places(corrected, found, english=True) == pytest.approx([0.12, 0.22])
    found, corrected = row("ʃ ø tʃ"), [Interval(p.start + 0.02, p.end + 0.02, p.label) for p in row("S 2 tS")]
    assert true_places(corrected, found, english=False) == pytest.approx([0.12, 0.22])
    assert [p.label for p in written_alike(row("S 2"), row("ʃ ø"))] == ["ʃ", "ø"]
