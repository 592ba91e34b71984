"""Stress on the phones tier: from the dictionary, guessed, the user's own, and left out."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import textgrid
from click.testing import CliRunner
from support.places import SAMPLE

from aligner import Options, align_file
from aligner.backends.choose import chosen
from aligner.backends.hmm import pronouncer
from aligner.cli.aligning import align
from aligner.graph import build
from aligner.models.store import cmu_dictionary, load_model
from aligner.text import stress
from aligner.text.normalise import normalise
from aligner.types import Pronunciation

BACKENDS = ("hmm", "ctc", "ctc+hmm", "dtw", "median")
VOWEL = re.compile(r"(AA|AE|AH|AO|AW|AY|EH|ER|EY|IH|IY|OW|OY|UH|UW)[012]?")


def said(text: str, **options) -> str:
    """What the default model takes a text to sound like: the first pronunciation of each word."""
    find = pronouncer(load_model("english"), Options(**options))
    return "  ".join(" ".join(w.pronunciations[0].phones) for w in find(normalise(text))[0])


def run(*arguments) -> None:
    result = CliRunner().invoke(align, [*map(str, arguments), "-j", "1"])
    assert result.exit_code == 0, result.output


@pytest.fixture
def corpus(tmp_path) -> Path:
    """A recording of the sample and its transcript."""
    (tmp_path / "in").mkdir()
    for suffix in (".flac", ".lab"):
        shutil.copy(SAMPLE / "rms" / f"kitchen{suffix}", tmp_path / "in")
    return tmp_path / "in"


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_vowel_has_stress_and_nothing_else_changes(backend, corpus, tmp_path):
    run(corpus, tmp_path / "with", "-b", backend)
    run(corpus, tmp_path / "without", "-b", backend, "--no-stress")
    grids = [textgrid.TextGrid.fromFile(str(tmp_path / o / "kitchen.TextGrid")) for o in ("with", "without")]
    words = [[(i.minTime, i.maxTime, i.mark) for i in g.getFirst("words")] for g in grids]
    assert words[0] == words[1]
    phones = [[(i.minTime, i.maxTime, i.mark) for i in g.getFirst("phones")] for g in grids]
    assert [(a, b, stress.without_stress(label)) for a, b, label in phones[0]] == phones[1]
    vowels = [label for _, _, label in phones[0] if VOWEL.fullmatch(label)]
    assert len(vowels) > 8
    assert all(map(stress.is_stressed, vowels))
    assert not any(stress.is_stressed(label) for _, _, label in phones[1])
    tables = [(tmp_path / o / "alignment.csv").read_text() for o in ("with", "without")]
    assert tables[0] == tables[1]


def test_all_formats_show_it(corpus, tmp_path):
    run(corpus, tmp_path / "out", "-f", "json", "-f", "ctm", "-f", "csv")
    for name in ("kitchen.json", "kitchen.phones.ctm", "kitchen.csv"):
        assert "IH1" in (tmp_path / "out" / name).read_text(), name
    assert json.loads((tmp_path / "out" / "run.json").read_text())["stress"] is True


def test_the_dictionary_has_the_phones_that_the_model_was_trained_with():
    import pocketsphinx

    plain = Path(pocketsphinx.get_model_path("en-us/cmudict-en-us.dict")).read_text().splitlines()
    own = cmu_dictionary().read_text(encoding="utf-8").splitlines()
    assert [" ".join(map(stress.without_stress, line.split())) for line in own] == [
        " ".join(line.split()) for line in plain
    ]
    assert all(
        stress.is_stressed(p) == (VOWEL.fullmatch(p) is not None)
        for line in own[::17]
        for p in line.split()[1:]
    )


@pytest.mark.parametrize(
    ("text", "phones"),
    [
        ("permit", "P ER0 M IH1 T"),
        ("lattice's", "L AE1 T AH0 S IH0 Z"),
        ("blorch's", "B L AO1 R CH IH0 Z"),
        ("the MTVX", "DH AH0  EH2 M T IY2 V IY2 EH1 K S"),
        ("1984", "N AY1 N T IY1 N  EY1 T IY0  F AO1 R"),
        ("merry-go-round", "M EH1 R IY0 G OW0 R AW2 N D"),
        ("kitchen-tablecloth", "K IH1 CH AH0 N  T EY1 B AH0 L K L AO2 TH"),
        ("zorp", "Z AO1 R P"),
    ],
)
def test_stress_of(text, phones):
    assert said(text) == phones
    assert said(text, stress=False) == " ".join(stress.without_stress(p) for p in phones.split(" "))


@pytest.mark.parametrize(
    ("word", "primary"),
    [
        ("cryptologation", 3),
        ("blogosphere", 0),
        ("flimbicity", 1),
        ("googlification", 3),
        ("zorbinology", 2),
        ("decarbonization", 4),
        ("grotonian", 1),
        ("wuggish", 0),
        ("glabrescence", 1),
        ("unfriended", 1),
        ("Zelensky", 1),
        ("prestonize", 0),
    ],
)
def test_guesses_are_stressed_where_english_would(word, primary):
    vowels = [p for p in said(word).split() if stress.is_stressed(p)]
    assert [p[-1] for p in vowels].count("1") == 1
    assert vowels[primary][-1] == "1", " ".join(vowels)


def test_guessed_stress_is_that_of_the_dictionary():
    right = tried = vowels = same = 0
    for line in cmu_dictionary().read_text(encoding="utf-8").splitlines()[::29]:
        phones = line.split()[1:]
        digits = [p[-1] for p in phones if stress.is_stressed(p)]
        if len(digits) > 1 and digits.count("1") == 1:
            guessed = stress.with_stress([stress.without_stress(p) for p in phones])
            found = [p[-1] for p in guessed if stress.is_stressed(p)]
            tried, right = tried + 1, right + (found.index("1") == digits.index("1"))
            vowels, same = vowels + len(digits), same + sum(map(str.__eq__, found, digits))
    assert tried > 3000
    assert right / tried > 0.92
    assert same / vowels > 0.90


def test_stress_needs_a_vowel_and_a_table():
    assert stress.with_stress(["SH"]) == ("SH",)
    assert stress.with_stress([]) == ()
    assert stress.with_stress(["a1", "t"]) == ("a1", "t")


def test_none_is_invented_for_a_dictionary_without(tmp_path):
    book = tmp_path / "plain.dict"
    book.write_text("there DH EH R\nb B IY\na. EY\nx EH K S\nbox B AA K S\n")
    assert said("there zorp BXB box's", dictionary=book) == (
        "DH EH R  Z AO R P  B IY EH K S B IY  B AA K S IH Z"
    )


def test_a_users_own_is_kept_and_can_be_left_out(tmp_path):
    book = tmp_path / "own.dict"
    book.write_text("there DH EH2 R\nzap Z AE0 P\n")
    assert said("there zap zorp", dictionary=book) == "DH EH2 R  Z AE0 P  Z AO1 R P"
    assert said("there zap zorp", dictionary=book, stress=False) == "DH EH R  Z AE P  Z AO R P"


def test_variants_that_differ_in_stress_alone_are_one_without_it(tmp_path):
    book = tmp_path / "own.dict"
    book.write_text("permit P ER0 M IH1 T\npermit P ER1 M IH0 T\n")
    find = pronouncer(load_model("english"), Options(dictionary=book, stress=False))
    [word] = find(normalise("permit"))[0]
    assert [p.phones for p in word.pronunciations] == [("P", "ER", "M", "IH", "T")]


def test_tones_are_no_stress():
    assert [stress.without_stress(p) for p in ("a1", "ma51", "AA", "T0", "9")] == [
        "a1",
        "ma51",
        "AA",
        "T0",
        "9",
    ]


def test_a_graph_is_the_same_with_any_stress():
    """State by state and arc by arc: what is searched cannot depend on stress."""
    topology = load_model("english").topology
    words = ["permit", "the", "a", "record", "of", "either"]
    lexicon = pronouncer(load_model("english"), Options()).lexicon
    stressed = [lexicon.lookup(w) for w in words]
    cycle = itertools.cycle("012")
    other = [
        [Pronunciation(stress.laid([stress.without_stress(p) for p in v.phones], cycle)) for v in variants]
        for variants in stressed
    ]
    plain = [[Pronunciation(tuple(map(stress.without_stress, v.phones))) for v in w] for w in stressed]
    graphs = [build(w, topology) for w in (plain, stressed, other)]
    for graph in graphs[1:]:
        for field in dataclasses.fields(graph):
            one, two = getattr(graphs[0], field.name), getattr(graph, field.name)
            if field.name == "phone":
                assert tuple(map(stress.without_stress, two)) == one
            else:
                np.testing.assert_array_equal(one, two)


def test_python_has_the_option():
    found = [
        align_file(SAMPLE / "rms" / "kitchen.flac", "There is a pot", options=Options(stress=s))
        for s in (True, False)
    ]
    assert "AA1" in [p.label for p in found[0].phones]
    assert "AA" in [p.label for p in found[1].phones]
    assert [p.start for p in found[0].phones] == [p.start for p in found[1].phones]
    assert found[0].quality == found[1].quality


def test_backends_pronounce_with_the_stress_that_they_label():
    for backend in BACKENDS:
        for wanted in (True, False):
            own = chosen(options=Options(backend=backend, stress=wanted))
            spoken, _ = own.pronounce(normalise("permit the zorbly blorp"))
            vowels = [p for w in spoken for p in w.pronunciations[0].phones if VOWEL.fullmatch(p)]
            assert len(vowels) == 6, backend
            assert {stress.is_stressed(p) for p in vowels} == {wanted}, backend


def test_a_trained_models_dictionary_writes_stress_where_the_one_it_learnt_with_did():
    from aligner.learn.dictionary import lines
    from aligner.learn.pronouncing import Text

    learnt = {
        "permit": [Pronunciation(("P", "ER", "M", "IH", "T"))],
        "zorb": [Pronunciation(("Z", "AO", "R", "B"))],
    }
    written = list(lines(Text(), learnt))
    assert written[:2] == ["permit\tP ER0 M IH1 T\n", "zorb\tZ AO1 R B\n"]
    assert "kitchen\tK IH1 CH AH0 N\n" in written
    assert not any(line.startswith(("permit\t", "permit(")) for line in written[2:])


def test_a_trained_models_dictionary_without_stress_stays_without(tmp_path):
    from aligner.learn.dictionary import lines
    from aligner.learn.pronouncing import Text

    book = tmp_path / "plain.dict"
    book.write_text("permit P ER M IH T\npot P AA T\n")
    learnt = {"permit": [Pronunciation(("P", "ER", "M", "IH", "T"))]}
    assert list(lines(Text(dictionary=book), learnt)) == ["permit\tP ER M IH T\n", "pot\tP AA T\n"]


@pytest.mark.parametrize("folded", [True, False])
@pytest.mark.parametrize("stressed", ["reference", "alignment"])
def test_stress_is_nothing_to_an_evaluation(folded, stressed, tmp_path):
    from aligner.evaluate import folders
    from aligner.formats.textgrid import write_textgrid
    from aligner.text.phones import PhoneMap
    from aligner.types import Interval

    for side in ("reference", "alignment"):
        labels = ("SH", "IY1", "AH0") if side == stressed else ("SH", "IY", "AH")
        own = [Interval(k / 10, (k + 1) / 10, label) for k, label in enumerate(labels)]
        (tmp_path / side).mkdir()
        write_textgrid(tmp_path / side / "a.TextGrid", {"phones": own}, 0.3)
    report = folders.evaluate(
        tmp_path / "reference", tmp_path / "alignment", folders.Options(PhoneMap(folded=folded))
    ).report
    assert report.phone_error_rate == 0


def test_a_map_may_name_labels_with_stress_or_without():
    from aligner.text.phones import PhoneMap

    assert PhoneMap({"AH0": "ə", "AH": "ʌ"}, folded=False)("AH0") == "ə"
    assert PhoneMap({"AH": "ʌ"}, folded=False)("AH1") == "ʌ"
