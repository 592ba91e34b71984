"""Noises, unclear stretches, pauses and broken-off words of transcripts are read as their conventions say."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from support.places import SAMPLE

from aligner.backends.choose import chosen
from aligner.backends.options import Options
from aligner.cli import main
from aligner.corpus.find import find
from aligner.learn.pronouncing import Text, speller
from aligner.learn.train_ctc import _labels
from aligner.models.store import load_model
from aligner.run.align import align
from aligner.text.conventions import USUAL, Conventions
from aligner.text.fragments import by_letters, sayable
from aligner.text.lexicon import Lexicon, Pronouncer
from aligner.text.noises import is_noise
from aligner.text.normalise import Token, normalise
from aligner.text.spans import BRACKETED, Kind
from aligner.text.spelling import Speller
from aligner.types import NOISE_LABEL, Alignment, DataError, Utterance


@pytest.fixture
def espeak():
    pytest.importorskip("espeakng_loader")


TABLE = [
    line.split("\t")
    for line in (Path(__file__).parent / "marks.tsv").read_text().splitlines()
    if not line.startswith("#")
]


def as_text(written: str) -> str:
    return written.replace("\\n", "\n").replace("\\x15", "\x15")


def said(tokens) -> str:
    return " ".join(word for token in tokens for word in token.spoken)


@pytest.mark.parametrize(
    ("written", "spoken"),
    [(" ".join(between), spoken) for _, *between, spoken in TABLE],
    ids=[f"{row[0]}: {row[1]}" for row in TABLE],
)
def test_a_mark_is_read_as_its_convention_says(written, spoken):
    assert said(normalise(as_text(written))) == spoken


def test_the_table_is_long_enough():
    assert len(TABLE) >= 100


@pytest.mark.parametrize("written", [" ".join(row[1:-1]) for row in TABLE])
def test_spellings_are_what_the_user_wrote_in_order(written):
    text, place = as_text(written), 0
    for token in normalise(text):
        if token.spelling in text[place:]:  # several words may stand in one mark
            place = text.index(token.spelling, place)
        else:
            assert token.spelling in text or "<" in text


@given(st.text(alphabet="[](){}<>*&=+/-#@°%:.?!x0h 1ab\n\x15_^|", max_size=40))
def test_spans_lie_in_order_and_never_overlap_whatever_is_written(text):
    spans = USUAL(text)
    ends = [0, *(s.end for s in spans)]
    assert all(before <= s.start < s.end <= len(text) for before, s in zip(ends, spans, strict=False))
    assert all(BRACKETED.fullmatch(s.said) for s in spans if s.kind is Kind.NOISE)
    assert all(s.said.endswith("-") and len(s.said) > 1 for s in spans if s.kind is Kind.CUT_OFF)
    normalise(text)


# ---------------------------------------------------------------- what can be set


@pytest.mark.parametrize(
    ("brackets", "spoken"),
    [
        ("usual", "[see it] [laughs] {LG} <unk> see it [laughs] [coughs] so"),
        ("words", "see it [laughs] {LG} <unk> see it [laughs] [coughs] so"),
        ("none", "see it laughs LG unk see it laughs coughs so"),
        ("all", "[see it] [laughs] {LG} <unk> [see it] [laughs] [coughs] so"),
        ("[]", "[see it] [laughs] LG unk see it laughs coughs so"),
        ("() {}", "see it laughs {LG} unk [see it] [laughs] coughs so"),
    ],
)
def test_which_brackets_hold_noises_can_be_set(brackets, spoken):
    marks = Conventions(brackets=brackets)
    text = "[see it] [laughs] {LG} <unk> (see it) (laughs) *coughs* so"
    assert said(normalise(text, marks=marks)) == spoken


@pytest.mark.parametrize("wrong", ["", "some", "[", "[)", "[]x"])
def test_brackets_that_there_are_not_are_an_error(wrong):
    with pytest.raises(DataError, match="brackets: there is no"):
        Conventions(brackets=wrong)


def test_noise_words_can_be_added_and_forgotten():
    text = "mmm so LAUGHTER (burps) (blorps) xxx mmmm"
    more = Conventions(noise_words=("mmm", "laughter", "blorps"))
    assert said(normalise(text, marks=more)) == "[mmm] so [LAUGHTER] [burps] [blorps] [xxx] mmmm"
    none = Conventions(noise_words=("none", "mmm"))
    assert said(normalise(text, marks=none)) == "[mmm] so LAUGHTER burps blorps xxx mmmm"


def test_the_options_reach_the_reading(tmp_path):
    def read(*options):
        shown = CliRunner().invoke(main, ["read", "mmm (laughs) [so] xxx", *options]).stdout
        return [re.split(r"\s{2,}", line)[1] for line in shown.splitlines()[1:]]

    assert read() == ["mmm", "[laughs]", "[so]", "[xxx]"]
    assert read("--brackets", "none") == ["mmm", "laughs", "so", "[xxx]"]
    assert read("--noise-words", "mmm,uh") == ["[mmm]", "[laughs]", "[so]", "[xxx]"]
    words = tmp_path / "words.txt"
    words.write_text("mmm\nuh oh\n")
    assert read("--noise-words", str(words)) == ["[mmm]", "[laughs]", "[so]", "[xxx]"]


@pytest.mark.parametrize(
    "words", ["see below", "he said", "2001", "my friend", "or not", "a b c", "the old man"]
)
def test_ordinary_words_name_no_noise(words):
    assert not is_noise(words)


# ---------------------------------------------------------------- what is broken off


def letters(word: str) -> tuple[str, ...]:
    return tuple(word.upper())


def pronouncer(book: str, g2p=letters, noises=(NOISE_LABEL,)) -> Pronouncer:
    lexicon = Lexicon.parse(book, known=lambda _: True)
    return Pronouncer(lexicon=lexicon, g2p=g2p, known=lambda _: True, noises=noises)


def ways(spell, word: str) -> list[str]:
    [spoken], oovs = spell([Token(word, (word,))])
    assert oovs == []
    return [" ".join(p.phones) for p in spoken.pronunciations]


def test_what_is_broken_off_is_said_as_far_as_it_is_written():
    spell = pronouncer("ha HH AA\nst S T R IY T\n")
    assert ways(spell, "ha-") == ["HH AA", "H A"]  # as a word that it may be, and as its letters are read
    assert ways(spell, "wen-") == ["W E N"]
    assert ways(spell, "st-") == ["S T"]  # no street, and no names of letters
    assert ways(pronouncer("ha- X Y\n"), "ha-") == ["X Y"]  # an entry of the user's wins


def test_what_is_broken_off_is_a_noise_where_nothing_reads_letters():
    assert ways(pronouncer("cat K AE T\n", g2p=None), "ha-") == [NOISE_LABEL]


def test_what_is_broken_off_is_spelled_by_a_model_of_letters():
    [word], _ = Speller(str.isalpha, "lower")([Token("ha-", ("ha-",))])
    assert word.pronunciations[0].phones == ("h", "a")


@pytest.mark.parametrize(("word", "read"), [("ha-", "ha"), ("st-", "sta"), ("вз-", "вза"), ("你-", "你")])
def test_letters_without_a_vowel_are_not_spelled(word, read):
    assert sayable(word) == read
    assert by_letters("st-", letters) == ("S", "T")


@pytest.mark.parametrize("word", ["st-", "wh-", "str-", "b-", "th-", "gr-", "x-", "ng-", "k-", "pl-"])
def test_english_fragments_are_as_short_as_they_are_written(word):
    phones = ways(english(), word)
    assert all(len(p.split()) <= len(word) for p in phones), phones
    assert not any("EH L" in p or "IY IY" in p for p in phones)


def english() -> Pronouncer:
    if not _english:
        _english.append(chosen(options=Options(backend="hmm")).pronounce)
    return _english[0]


_english: list[Pronouncer] = []


# ---------------------------------------------------------------- whatever is written, it is aligned

MARKED = "{LG} ha- & st- xxx (laughs) ((unclear)) &=coughs [?] w[ould]- (.) ### .hhh"


@pytest.mark.parametrize("backend", ["hmm", "ctc", "ctc+hmm", "dtw", "median"])
@pytest.mark.parametrize("alone", [False, True], ids=["among words", "alone"])
def test_no_utterance_fails_for_its_marks(backend, alone, espeak):
    utterance = find(SAMPLE).utterances[0]
    marks = ["{LG}", "xxx"] if alone else [utterance.transcript, MARKED]
    [result] = align([replace(utterance, transcript=" ".join(marks))], None, Options(backend=backend))
    assert isinstance(result, Alignment)
    labels = [w.label for w in result.words if w.label]
    if not alone:
        assert labels[: len(utterance.transcript.split())] == [
            t.spelling for t in normalise(utterance.transcript)
        ]
    if backend != "dtw":
        assert "xxx" in labels
        inside = next(w for w in result.words if w.label == "xxx")
        assert {p.label for p in result.phones if inside.start <= p.start < inside.end} == {NOISE_LABEL}


@pytest.mark.parametrize(("backend", "most"), [("hmm", 0.1), ("ctc", 0.2), ("dtw", 0.001)])
def test_a_noise_where_nothing_is_moves_words_by_little(backend, most, espeak):
    utterances = find(SAMPLE).utterances[:4]
    marks = ("[laughter]", "(laughs)", "xxx", "{NS}")
    marked = [
        replace(u, transcript=f"{u.transcript} {mark}") for u, mark in zip(utterances, marks, strict=True)
    ]
    options = Options(backend=backend)
    for plain, noisy in zip(align(utterances, None, options), align(marked, None, options), strict=True):
        words = [[w for w in r.words if w.label and w.label not in marks] for r in (plain, noisy)]
        moved = [abs(a.end - b.end) for a, b in zip(*words, strict=True)]
        assert sorted(moved)[len(moved) // 2] < 0.001
        assert max(moved) < most


@pytest.mark.parametrize("backend", ["hmm", "ctc", "ctc+hmm"])
@pytest.mark.parametrize("mark", ["xxx", "(laughs)"])
def test_words_that_nobody_understood_leave_the_others_where_they_are(backend, mark):
    utterances = find(SAMPLE).utterances[:4]
    options = Options(backend=backend)
    marked = []
    for u in utterances:
        words = u.transcript.split()
        marked.append(replace(u, transcript=" ".join([*words[:2], mark, *words[4:]])))
    moved = []
    for plain, noisy in zip(align(utterances, None, options), align(marked, None, options), strict=True):
        before, after = ([w for w in r.words if w.label] for r in (plain, noisy))
        assert after[2].label == mark
        kept = [*before[:2], *before[len(before) - len(after) + 3 :]]
        rest = [*after[:2], *after[3:]]
        assert [w.label for w in kept] == [w.label for w in rest]
        assert noisy.status == plain.status
        moved += [abs(a.end - b.end) for a, b in zip(kept[2:], rest[2:], strict=True)]
    assert sum(moved) / len(moved) < 0.01
    assert max(moved) < 0.15


def test_a_network_learns_the_words_beside_noises():
    [sample] = find(SAMPLE).utterances[:1]
    text = Text()
    spell = speller(text, ["so"])
    labels = [
        _labels(replace(sample, transcript=t), spell, text) for t in ("so it is", "so (laughs) it {LG} is")
    ]
    assert labels[0] == labels[1] != []
    for unlearnable in ("so xxx is", "(laughs)"):
        with pytest.raises(DataError):
            _labels(replace(sample, transcript=unlearnable), spell, text)


@pytest.mark.parametrize("text", ["there is a pot of [laughter] soup on the kitchen table", "[noise]", "xxx"])
def test_a_model_without_a_phone_for_noise_hears_one_all_the_same(text):
    english = load_model("english")
    model = replace(english, topology=replace(english.topology, noises=()))
    [result] = align([Utterance("kitchen", SAMPLE / "rms" / "kitchen.flac", text)], model)
    assert isinstance(result, Alignment)
    assert NOISE_LABEL in [p.label for p in result.phones]
    assert all(phones == NOISE_LABEL for _, phones in result.oovs)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[Anna] hi\n[Ben] yo\n[Anna] bye", "hi yo bye"),
        ("[Int] so\n[Resp] well\nI think\n[Int] ok", "so well I think ok"),
        ("[Laughter] hi\n[Music] yo\n[Laughter] bye", "[Laughter] hi [Music] yo [Laughter] bye"),
        ("[Anna] hi\nyo\nbye", "[Anna] hi yo bye"),
        ("[Anna] hi\n[Ben] yo", "[Anna] hi [Ben] yo"),
    ],
)
def test_names_in_brackets_are_speakers_where_they_take_turns(text, said):
    assert " ".join(word for token in normalise(text) for word in token.spoken) == said
