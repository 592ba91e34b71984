"""The accuracy figures against the judge's, and against cases worked by hand."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from conftest import JUDGE, SAMPLE

from aligner import DataError
from aligner.corpus.labels import find_references, read_reference, read_timit, tier
from aligner.corpus.textgrid import write_textgrid
from aligner.evaluate import boundaries
from aligner.evaluate.boundaries import absent, compare, fold, scored_phones, summarise
from aligner.evaluate.folders import evaluate
from aligner.types import Interval


def intervals(text: str, step: float = 0.1) -> list[Interval]:
    return [Interval(k * step, (k + 1) * step, label) for k, label in enumerate(text.split())]


def test_labels_fold_as_lee_and_hon():
    assert [fold(x) for x in ("AA1", "ao", "ix", "hv", "ax-h", "eng", "zh", "nx", "pau", "")] == [
        "aa",
        "aa",
        "ih",
        "hh",
        "ah",
        "ng",
        "sh",
        "n",
        "sil",
        "sil",
    ]


def test_closures_and_glottal_stops():
    phones = scored_phones(intervals("h# tcl t iy dcl q eh kcl epi kcl"))
    assert [(p.label, round(p.start, 3), round(p.end, 3)) for p in phones] == [
        ("t", 0.1, 0.3),
        ("iy", 0.3, 0.4),
        ("d", 0.4, 0.5),
        ("eh", 0.5, 0.7),
        ("k", 0.7, 0.8),
        ("k", 0.9, 1.0),
    ]
    assert [p.label for p in scored_phones(intervals("tcl ch dcl jh tcl d"))] == ["ch", "jh", "t", "d"]


def test_a_case_by_hand():
    """k ae t, with the first boundary 10 ms late, the second 30 ms early, and the end right."""
    reference = [Interval(0.1, 0.2, "k"), Interval(0.2, 0.4, "ae"), Interval(0.4, 0.5, "t")]
    estimate = [Interval(0.11, 0.2, "K"), Interval(0.2, 0.37, "AE1"), Interval(0.37, 0.5, "T"), Interval(0.5, 0.6, "S")]
    errors = compare((reference, []), (estimate, []))
    assert [round(1000 * e) for e in errors.phones] == [10, 0, -30, 0]  # shared boundaries count once
    assert (errors.substitutions, errors.deletions, errors.insertions) == (0, 0, 1)
    report = summarise([errors, absent(reference)], missing=1)
    assert report.phones is not None
    assert report.phones.mae == pytest.approx(10)
    assert report.phones.bias == pytest.approx(-5)
    assert report.phones.within[10] == pytest.approx(75)
    assert report.phone_error_rate == pytest.approx(100 * (1 + 3) / 6)
    assert (report.files, report.missing) == (2, 1)


def test_nothing_to_compare():
    report = summarise([compare(([], []), ([], []))])
    assert report.phones is None
    assert report.words is None


def test_flaps_are_t_or_d_and_words_never_cross_match():
    assert compare((intervals("dx"), []), (intervals("T"), [])).substitutions == 0
    errors = compare(([], intervals("cat dog")), ([], intervals("dog")))
    assert len(errors.words) == 2


def test_the_figures_equal_the_judges(timit, tmp_path, model):
    """score.py and we, on the same folders: every figure that both have, to 0.01."""
    if not JUDGE.is_file():
        pytest.skip("the judge (shared/score/score.py) is not here")
    from aligner import Options
    from aligner.run.corpus import plan, run

    run(plan(timit, tmp_path / "out"), model, Options())
    (tmp_path / "out" / "dr1-fvmh0" / "sa1.TextGrid").unlink()  # one is missing
    report, problems = evaluate(timit, tmp_path / "out")
    subprocess.run(
        [sys.executable, JUDGE, timit, tmp_path / "out", "--json", tmp_path / "j.json"], check=True, capture_output=True
    )
    judged = json.loads((tmp_path / "j.json").read_text())
    assert problems == []
    assert (report.files, report.missing) == (judged["files"], judged["missing"]) == (80, 1)
    assert report.phone_error_rate == pytest.approx(judged["per"], abs=0.01)
    for ours, theirs in ((report.phones, judged["phones"]), (report.words, judged["words"])):
        assert ours.count == theirs["n"]
        assert ours.mae == pytest.approx(theirs["mae_ms"], abs=0.01)
        assert ours.median == pytest.approx(theirs["median_ms"], abs=0.01)
        assert ours.bias == pytest.approx(theirs["bias_ms"], abs=0.01)
        for t in boundaries.TOLERANCES_MS:
            assert ours.within[t] == pytest.approx(theirs[f"within_{t}"], abs=0.01)


def test_a_reference_agrees_with_itself(tmp_path):
    phones, _ = read_reference(SAMPLE / "slt" / "harbour.phn")
    write_textgrid(tmp_path / "ref" / "a.TextGrid", {"bob - phones": phones, "bob - words": phones}, phones[-1].end)
    report, problems = evaluate(tmp_path / "ref", tmp_path / "ref")
    assert problems == []
    assert report.phones.mae == 0
    assert report.phone_error_rate == 0


def test_bad_references_are_named(tmp_path):
    (tmp_path / "a.phn").write_text("0 100 h#\n100 aa\n")
    with pytest.raises(DataError) as caught:
        read_timit(tmp_path / "a.phn")
    assert caught.value.where.endswith("a.phn:2")
    write_textgrid(tmp_path / "b.TextGrid", {"Anna": [Interval(0, 1, "x")]}, 1.0)
    with pytest.raises(DataError, match="its tiers are 'Anna'"):
        tier(tmp_path / "b.TextGrid", "phones")
    report, problems = evaluate(tmp_path, tmp_path)
    assert report.files == 0
    assert len(problems) == 2
    with pytest.raises(DataError, match="no such folder"):
        find_references(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"no \.phn"):
        find_references(tmp_path / "empty")
