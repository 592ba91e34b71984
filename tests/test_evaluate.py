"""The accuracy figures against the judge's, and against cases worked by hand."""

from __future__ import annotations

import csv
import importlib.util
import io
import itertools
import json
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from support.places import JUDGE, SAMPLE

from aligner import DataError
from aligner.backends.choose import chosen
from aligner.corpus.labels import (
    Labels,
    find_labels,
    read_labels,
    read_reference,
    tier,
)
from aligner.corpus.tier_names import TierNames
from aligner.evaluate import boundaries
from aligner.evaluate.accuracy import compare, summarise
from aligner.evaluate.boundaries import Hits, detection, hits
from aligner.evaluate.durations import duration_summary
from aligner.evaluate.folders import Options, evaluate
from aligner.evaluate.matching import match_phones, scored_phones
from aligner.evaluate.versus import difference, versus
from aligner.formats.textgrid import write_textgrid
from aligner.formats.timit import read_timit
from aligner.text.phones import PhoneMap, fold, parse_map
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


def labels(phones=None, words=None, end=None) -> Labels:
    rows = [*(phones or ()), *(words or ())]
    return Labels(
        None if phones is None else tuple(phones),
        None if words is None else tuple(words),
        max((i.end for i in rows), default=0.0) if end is None else end,
    )


REFERENCE = [Interval(0.1, 0.2, "k"), Interval(0.2, 0.4, "ae"), Interval(0.4, 0.5, "t")]
ESTIMATE = [
    Interval(0.11, 0.2, "K"),
    Interval(0.2, 0.37, "AE1"),
    Interval(0.37, 0.5, "T"),
    Interval(0.5, 0.6, "S"),
]


def test_a_case_by_hand():
    """k ae t, with the first boundary 10 ms late, the third 30 ms early, and the others right; an s too
    many."""
    f = compare(labels(REFERENCE), labels(ESTIMATE), file="a")
    assert [round(1000 * b.late) for b in f.phones] == [10, 0, -30, 0]  # shared boundaries count once
    assert [b.classes for b in f.phones] == ["silence-stop", "stop-vowel", "vowel-stop", "stop-silence"]
    assert (f.substitutions, f.deletions, f.insertions) == (0, 0, 1)
    assert f.hits == Hits(3, 4, 5)  # 0.11, 0.2 and 0.5 are found; 0.4 is not, 0.6 is too many
    assert f.overlap == pytest.approx(0.09 / 0.1 + 0.17 / 0.2 + 0.1 / 0.13)
    # frames of 10 ms up to 0.5: all but that from 0.10 (k), and 0.37 to 0.40 (t instead of ae)
    assert f.frames == (46, 50)
    report = summarise([f, compare(labels(REFERENCE), None, file="b")])
    assert report.phones is not None
    assert report.phones.mae == pytest.approx(10)
    assert report.phones.bias == pytest.approx(-5)
    assert report.phones.median == pytest.approx(5)
    assert report.phones.within[10] == pytest.approx(75)
    # what is missing stays in every denominator
    assert report.phone_error_rate == pytest.approx(100 * (1 + 3) / 6)
    assert (report.files, report.missing) == (2, 1)
    assert report.overlap == pytest.approx(100 * f.overlap / 6)
    assert report.frame_accuracy == pytest.approx(46)
    precision, recall = 3 / 5, 3 / 8
    assert report.detection.f1 == pytest.approx(2 * precision * recall / (precision + recall))
    over = recall / precision - 1
    r1, r2 = np.hypot(1 - recall, over), (-over + recall - 1) / np.sqrt(2)
    assert report.detection.r_value == pytest.approx(1 - (abs(r1) + abs(r2)) / 2)
    d = report.durations
    assert d.rmse == pytest.approx(np.sqrt((10**2 + 30**2 + 30**2) / 3))
    assert d.log_rmse == pytest.approx(np.sqrt(np.mean(np.log([0.9, 0.85, 1.3]) ** 2)))
    assert (d.within_20_percent, d.within_20_ms) == (pytest.approx(200 / 3), pytest.approx(100 / 3))
    assert d.correlation == pytest.approx(np.corrcoef([0.1, 0.2, 0.1], [0.09, 0.17, 0.13])[0, 1])
    assert d.bias == pytest.approx(-10 / 3)
    assert set(report.confusions) == {("t", "", 1), ("k", "", 1), ("ae", "", 1), ("", "s", 1)}
    assert {k: s.count for k, s in report.by_phone.items()} == {"k": 2, "ae": 2, "t": 2}
    assert report.coverage == 75


def test_golden_files_worked_by_hand(tmp_path):
    """tests/golden/README.md has the working."""
    folder = Path(__file__).parent / "golden"
    result = call("evaluate", folder / "reference", folder / "aligned", "--json", tmp_path / "figures.json")
    assert result.exit_code == 1  # one is missing
    assert "missing: dog" in result.output
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert_like(figures, json.loads((folder / "expected.json").read_text()))


def assert_like(found, expected, place=""):
    for key, value in expected.items():
        if isinstance(value, dict):
            assert_like(found[key], value, f"{place}/{key}")
        else:
            assert found[key] == pytest.approx(value, abs=1e-4), f"{place}/{key}"


def test_words_by_hand():
    reference = [Interval(0.1, 0.5, "Cat"), Interval(0.5, 0.8, "sat"), Interval(0.8, 1.0, "")]
    estimate = [Interval(0.0, 0.1, ""), Interval(0.1, 0.46, "cat"), Interval(0.5, 0.8, "mat")]
    f = compare(labels(words=reference), labels(words=estimate))
    assert [round(1000 * b.late) for b in f.words] == [0, -40]
    assert (f.matched_words, f.reference_words, f.phones) == (1, 2, ())
    report = summarise([f])
    assert report.word_overlap == pytest.approx(100 * 0.9 / 2)
    assert report.phones is None
    assert report.phone_error_rate == 0


def test_what_the_alignment_lacks_is_deleted():
    f = compare(labels(REFERENCE, REFERENCE), labels(words=REFERENCE))
    assert (f.deletions, f.matched_words) == (3, 3)
    assert f.frames[0] == 10  # only the silence is right


def test_nothing_to_compare():
    report = summarise([compare(labels([], []), labels([], []))])
    assert report.phones is None
    assert report.words is None
    assert summarise([]).files == 0


def test_flaps_are_t_or_d_and_words_never_cross_match():
    assert compare(labels(intervals("dx")), labels(intervals("T"))).substitutions == 0
    assert len(compare(labels(words=intervals("cat dog")), labels(words=intervals("dog"))).words) == 2


def test_the_bootstrap_draws_files():
    """Half of the files are 10 ms late, half 30: the interval of the mean is that of drawing coins."""
    files = []
    for k in range(100):
        shift = 0.01 if k % 2 else 0.03
        moved = [Interval(i.start + shift, i.end + shift, i.label) for i in REFERENCE]
        files.append(compare(labels(REFERENCE), labels(moved)))
    report = summarise(files)
    low, high = report.phones.interval["mae"]
    assert report.phones.mae == pytest.approx(20)
    assert low == pytest.approx(20 - 1.96 * 10 / 10, abs=0.4)  # binomial: standard error 10 ms / sqrt(100)
    assert high == pytest.approx(20 + 1.96 * 10 / 10, abs=0.4)
    assert report.phones.interval["bias"] == pytest.approx((low, high))
    assert report.phones.interval["within_20"][0] == pytest.approx(50 - 1.96 * 5, abs=2.1)
    assert summarise(files[:1]).phones.interval == {}
    assert summarise(files) == report  # the same draws every time


@given(st.lists(st.integers(1, 400), max_size=25), st.lists(st.integers(1, 400), max_size=25))
def test_detection_equals_the_judges(reference, aligned):
    """One to one, greedy: the judge's own function on the same times."""
    if not JUDGE.is_file():
        pytest.skip("the judge (shared/score/score.py) is not here")
    a, b = (sorted({k / 200 for k in side}) for side in (reference, aligned))
    assert tuple(hits(a, b)) == judge().detection(a, b)


@cache
def judge():
    spec = importlib.util.spec_from_file_location("judge", JUDGE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def judged_by_the_judge(reference, aligned) -> dict:
    file = aligned.parent / "judged.json"
    subprocess.run(
        [sys.executable, JUDGE, reference, aligned, "--json", file], check=True, capture_output=True
    )
    return json.loads(file.read_text())


def test_the_figures_equal_the_judges(timit, tmp_path, model):
    """score.py and we, on the same folders: every figure that both have, to 0.01."""
    if not JUDGE.is_file():
        pytest.skip("the judge (shared/score/score.py) is not here")
    from aligner.run.folder import plan, run

    run(plan(timit, tmp_path / "out"), chosen(model))
    (tmp_path / "out" / "dr1-fvmh0" / "sa1.TextGrid").unlink()  # one is missing
    found = evaluate(timit, tmp_path / "out")
    report = found.report
    judged = judged_by_the_judge(timit, tmp_path / "out")
    assert found.problems == ()
    assert (report.files, report.missing) == (judged["files"], judged["missing"]) == (80, 1)
    assert report.phone_error_rate == pytest.approx(judged["per"], abs=0.01)
    (timit_whole := tmp_path / "whole").mkdir()
    # the judge leaves missing files out of F1
    shutil.copytree(tmp_path / "out" / "dr2-marc0", timit_whole / "dr2-marc0")
    shutil.copytree(timit / "dr2-marc0", tmp_path / "marc" / "dr2-marc0")
    one = judged_by_the_judge(tmp_path / "marc", timit_whole)
    ours = evaluate(tmp_path / "marc", timit_whole).report
    assert ours.detection.f1 == pytest.approx(one["boundary_f1_20ms"], abs=1e-4)
    assert ours.detection.r_value == pytest.approx(one["r_value_20ms"], abs=1e-4)
    assert f"{ours.matched_words}/{ours.reference_words}" == one["words_matched"]
    for ours, theirs in ((report.phones, judged["phones"]), (report.words, judged["words"])):
        assert ours.count == theirs["n"]
        assert ours.mae == pytest.approx(theirs["mae_ms"], abs=0.01)
        assert ours.median == pytest.approx(theirs["median_ms"], abs=0.01)
        assert ours.bias == pytest.approx(theirs["bias_ms"], abs=0.01)
        for t in boundaries.TOLERANCES_MS:
            assert ours.within[t] == pytest.approx(theirs[f"within_{t}"], abs=0.01)


def test_a_reference_agrees_with_itself(tmp_path):
    phones, _ = read_reference(SAMPLE / "slt" / "harbour.phn")
    write_textgrid(
        tmp_path / "ref" / "a.TextGrid", {"bob - phones": phones, "bob - words": phones}, phones[-1].end
    )
    found = evaluate(tmp_path / "ref", tmp_path / "ref")
    assert found.problems == ()
    assert found.report.phones.mae == 0
    assert found.report.phone_error_rate == 0
    assert found.report.frame_accuracy == found.report.overlap == 100
    assert found.report.durations.rmse == 0
    assert found.report.detection.r_value == 1


def write_all(folder, phones, words):
    """The same labels in every format that is read, each in a folder of its own."""
    end = phones[-1].end
    write_textgrid(folder / "textgrid" / "a" / "x.TextGrid", {"words": words, "phones": phones}, end)
    for kind in ("phn", "lab", "ctm", "many", "json"):
        (folder / kind / "a").mkdir(parents=True)
    for suffix, rows in ((".phn", phones), (".wrd", words)):
        lines = [f"{round(16000 * i.start)} {round(16000 * i.end)} {i.label or 'h#'}" for i in rows]
        (folder / "phn" / "a" / f"x{suffix}").write_text("\n".join(lines))
    lab = [f"{round(1e7 * i.start)} {round(1e7 * i.end)} {i.label or 'sil'}" for i in phones]
    (folder / "lab" / "a" / "x.lab").write_text("\n".join(lab))
    for name, rows in (("x.ctm", words), ("x.phones.ctm", phones)):
        for kind, recording in (("ctm", "x"), ("many", "other")):
            lines = [f"{recording} 1 {i.start:.4f} {i.duration:.4f} {i.label} 0.9" for i in rows if i.label]
            (folder / kind / "a" / name).write_text(";; a comment\n" + "\n".join(lines) + "\n")
    tiers = {
        name: {"type": "interval", "entries": [[i.start, i.end, i.label] for i in rows]}
        for name, rows in (("words", words), ("phones", phones))
    }
    (folder / "json" / "a" / "x.json").write_text(json.dumps({"start": 0, "end": end, "tiers": tiers}))


def test_every_format_on_either_side(tmp_path):
    phones = [Interval(0, 0.1, ""), *REFERENCE, Interval(0.5, 0.7, "")]
    words = [Interval(0, 0.1, ""), Interval(0.1, 0.5, "cat"), Interval(0.5, 0.7, "")]
    write_all(tmp_path, phones, words)
    for reference, aligned in itertools.product(("textgrid", "phn", "lab", "ctm", "json"), repeat=2):
        found = evaluate(tmp_path / reference, tmp_path / aligned)
        assert found.report.phones.count == 4, (reference, aligned)
        assert found.report.phones.mae == pytest.approx(0, abs=0.05)
        assert found.report.phone_error_rate == 0
        if reference != "lab":  # which has phones alone
            assert found.report.matched_words == (0 if aligned == "lab" else 1)
    assert set(find_labels(tmp_path / "many")) == {"a/other"}  # a CTM tells of recordings by their names
    assert read_labels(find_labels(tmp_path / "many")["a/other"])[""].words[0].label == "cat"


def test_the_aligners_own_output_in_every_format(tmp_path):
    from aligner.run.folder import plan, run

    run(plan(SAMPLE, tmp_path / "all", ("json", "ctm")), chosen())
    for suffix in (".TextGrid", ".json", ".ctm"):
        for path in (tmp_path / "all").rglob(f"*{suffix}"):
            target = tmp_path / suffix[1:] / path.relative_to(tmp_path / "all")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    reports = [evaluate(SAMPLE, tmp_path / kind).report for kind in ("TextGrid", "json", "ctm")]
    assert reports[0].phones.count > 200
    for other in reports[1:]:
        assert other.phones.mae == pytest.approx(reports[0].phones.mae, abs=0.01)
        assert other.phone_error_rate == reports[0].phone_error_rate


def test_two_speakers_of_a_file_are_two(tmp_path):
    late = [Interval(i.start + 0.02, i.end + 0.02, i.label) for i in REFERENCE]
    tiers = {"Ann - phones": REFERENCE, "Bob - phones": REFERENCE}
    write_textgrid(tmp_path / "ref" / "x.TextGrid", {k: fill(v, 1.0) for k, v in tiers.items()}, 1.0)
    write_textgrid(
        tmp_path / "out" / "x.TextGrid", {"Bob - phones": fill(late, 1.0), "Cy - phones": fill([], 1.0)}, 1.0
    )
    found = evaluate(tmp_path / "ref", tmp_path / "out")
    assert (found.report.files, found.report.missing) == (2, 1)
    assert list(found.missing) == ["x (Ann)"]
    assert {k: s.bias for k, s in found.report.by_speaker.items()} == {"Bob": pytest.approx(20)}


def fill(rows, end):
    return [
        *([Interval(0, rows[0].start, "")] if rows else []),
        *rows,
        Interval(rows[-1].end if rows else 0, end, ""),
    ]


def test_a_map_of_labels(tmp_path):
    german = [Interval(0, 0.1, "ʃ"), Interval(0.1, 0.3, "aɪ̯"), Interval(0.3, 0.4, "n")]
    sampa = [Interval(0, 0.11, "S"), Interval(0.11, 0.3, "aI"), Interval(0.3, 0.4, "n")]
    write_textgrid(tmp_path / "ref" / "x.TextGrid", {"phones": german}, 0.4)
    write_textgrid(tmp_path / "out" / "x.TextGrid", {"phones": sampa}, 0.4)
    found = evaluate(tmp_path / "ref", tmp_path / "out", Options(PhoneMap({}, folded=False)))
    assert found.report.coverage == pytest.approx(100 / 3)
    assert found.suggested == {"S": "ʃ", "aI": "aɪ̯"}
    for text in ('S: "ʃ"\naI: aɪ̯', "S: [ʃ]\naI: [aɪ̯]\n"):  # label: class, and as MFA has it
        named = parse_map(text, folded=False)
        report = evaluate(tmp_path / "ref", tmp_path / "out", Options(named)).report
        assert (report.coverage, report.substitutions) == (100, 0)
        assert report.phones.mae == pytest.approx(10 / 4)
    for text, rule in (
        ("- a", "not a map"),
        ("a: [", "not YAML"),
        ("a: {b: c}", "'a' is not a label"),
        ("a: no", "'a'"),
    ):
        with pytest.raises(DataError, match=rule):
            parse_map(text)


def test_one_speaker_on_both_sides_needs_no_name(tmp_path):
    write_textgrid(tmp_path / "ref" / "x.TextGrid", {"Ann - phones": REFERENCE}, 0.5)
    write_textgrid(tmp_path / "out" / "x.TextGrid", {"phones": REFERENCE}, 0.5)
    assert evaluate(tmp_path / "ref", tmp_path / "out").report.missing == 0


def test_within_a_fifth_is_of_the_reference():
    assert duration_summary([(0.1, 0.122)]).within_20_percent == 0  # 22 % of the reference, 18 % of the other
    assert duration_summary([(0.1, 0.1)]).correlation is None


def test_what_is_missing_and_why(tmp_path):
    write_textgrid(tmp_path / "ref" / "x.TextGrid", {"phones": REFERENCE}, 0.5)
    write_textgrid(tmp_path / "ref" / "y.TextGrid", {"phones": REFERENCE}, 0.5)
    write_textgrid(tmp_path / "out" / "y.TextGrid", {"phones": ESTIMATE}, 0.6)
    (tmp_path / "out" / "alignment.csv").write_text("file,status,reason\nx,failed,the recording is empty\n")
    (tmp_path / "out" / "report").mkdir()
    (tmp_path / "out" / "report" / "x.json").write_text('{"tiers": {}}')  # not labels but a part of a report
    found = evaluate(tmp_path / "ref", tmp_path / "out")
    assert found.missing == {"x": "the recording is empty"}
    assert found.report.deletions == 3
    assert evaluate(tmp_path / "ref", tmp_path / "ref").report.missing == 0
    with pytest.raises(DataError, match="no such folder"):
        evaluate(tmp_path / "ref", tmp_path / "nowhere")
    (tmp_path / "nothing").mkdir()
    assert evaluate(tmp_path / "ref", tmp_path / "nothing").report.missing == 2  # that is the result


def test_bad_labels_are_named(tmp_path):
    (tmp_path / "a.phn").write_text("0 100 h#\n100 aa\n")
    with pytest.raises(DataError) as caught:
        read_timit(tmp_path / "a.phn")
    assert caught.value.where.endswith("a.phn:2")
    (tmp_path / "r.phn").write_text("0 100 h#\n300 200 aa\n")
    with pytest.raises(DataError, match="ends before it begins"):
        read_timit(tmp_path / "r.phn")
    write_textgrid(tmp_path / "b.TextGrid", {"Anna": [Interval(0, 1, "x")]}, 1.0)
    with pytest.raises(DataError, match="its tiers are 'Anna'"):
        tier(tmp_path / "b.TextGrid", "phones")
    (tmp_path / "c.lab").write_text("She had your dark suit.\n")
    (tmp_path / "d.json").write_text('{"tiers": {"phones": {"entries": [[0, 1]]}}}')
    (tmp_path / "e.ctm").write_text("e 1 zero 0.5 cat\n")
    with pytest.raises(DataError, match=r"no references in it: a\.phn:2: .*, nor have 5 more"):
        evaluate(tmp_path, tmp_path)
    write_textgrid(tmp_path / "good.TextGrid", {"phones": [Interval(0, 1, "x")]}, 1.0)
    found = evaluate(tmp_path, tmp_path)
    assert found.report.files == 1
    text = " ".join(map(str, found.problems))
    for rule in (
        "a.phn:2",
        "r.phn:2",
        "its tiers are 'Anna'",
        "it is a transcript",
        "entries [start, end",
        "e.ctm:1",
    ):
        assert rule in text
    with pytest.raises(DataError, match="no such folder"):
        find_labels(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"no \.phn"):
        find_labels(tmp_path / "empty")


def test_a_reference_longer_than_the_recording(tmp_path):
    write_textgrid(tmp_path / "ref" / "x.TextGrid", {"phones": fill(REFERENCE, 0.9)}, 0.9)
    write_textgrid(tmp_path / "out" / "x.TextGrid", {"phones": fill(ESTIMATE, 0.7)}, 0.7)
    found = evaluate(tmp_path / "ref", tmp_path / "out")
    assert "end 0.20 s behind the recording" in str(found.problems[0])
    assert found.report.phones.count == 4  # and it counts


def test_an_alignment_that_cannot_be_read_is_missing(tmp_path):
    write_textgrid(tmp_path / "ref" / "x.TextGrid", {"phones": REFERENCE}, 0.5)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "x.TextGrid").write_text('File type = "ooTextFile"\nObject class = "TextGrid"\n0\n')
    found = evaluate(tmp_path / "ref", tmp_path / "out")
    assert found.report.missing == 1
    assert "ends early" in str(found.problems[0])


def test_a_match_is_the_cheapest_however_long():
    """Many like phones, then three of which one is there: the one that is nearest in time."""
    reference = [Interval(k, k + 1, "s") for k in range(600)] + [
        Interval(600 + k, 601 + k, "aa") for k in range(3)
    ]
    assert match_phones(reference, [Interval(600, 601, "aa")]) == [(600, 0)]


@given(
    st.lists(st.sampled_from(["aa", "k", "t"]), max_size=6),
    st.lists(st.sampled_from(["aa", "k", "t"]), max_size=6),
)
def test_matching_costs_what_brute_force_says(reference, estimate):
    a, b = ([Interval(k, k + 1, label) for k, label in enumerate(side)] for side in (reference, estimate))

    def cost(i, j):
        kind = 0 if a[i].label == b[j].label else 1 if "aa" not in (a[i].label, b[j].label) else 1.6
        return kind + 1e-3 * min(abs(a[i].start - b[j].start), 5)

    @cache
    def cheapest(i, j):
        if i == len(a) or j == len(b):
            return len(a) - i + len(b) - j
        return min(cheapest(i + 1, j) + 1, cheapest(i, j + 1) + 1, cheapest(i + 1, j + 1) + cost(i, j))

    pairs = match_phones(a, b)
    paid = sum(cost(i, j) for i, j in pairs) + len(a) + len(b) - 2 * len(pairs)
    assert paid == pytest.approx(cheapest(0, 0), abs=2e-4)  # ties of time are broken to within that


def test_digits_are_words_and_phones():
    words = [Interval(0, 1, "1984"), Interval(1, 2, "pau"), Interval(2, 3, "<eps>")]
    assert compare(labels(words=words), labels(words=words)).matched_words == 2
    assert [p.label for p in scored_phones([Interval(0, 1, "9"), Interval(1, 2, "AH0")])] == ["9", "ah"]
    assert PhoneMap({}, folded=False)("2") == "2"


def test_a_q_is_a_glottal_stop_only_in_timit():
    arabic = intervals("q a l")
    assert [p.label for p in scored_phones(arabic)] == ["q", "a", "l"]
    assert [p.label for p in scored_phones(intervals("h# q aa l"))] == ["aa", "l"]
    renamed = scored_phones(intervals("h# q aa tcl t"), PhoneMap({"q": "k", "tcl": "x"}))
    assert [p.label for p in renamed] == ["k", "aa", "x", "t"]


def test_intervals_are_of_files_that_have_boundaries():
    moved = [Interval(i.start + 0.01, i.end + 0.01, i.label) for i in REFERENCE]
    late = [Interval(i.start + 0.03, i.end + 0.03, i.label) for i in REFERENCE]
    files = [compare(labels(REFERENCE), labels(e) if e else None) for e in (moved, late, None, None)]
    assert summarise(files).phones.interval["mae"] == (pytest.approx(10), pytest.approx(30))
    assert summarise([files[0], files[2]]).phones.interval == {}


def test_r_value_without_hits():
    assert detection(Hits(0, 10, 100)).r_value < detection(Hits(1, 10, 100)).r_value < 0


def test_a_pause_at_a_boundary_counts_on_both_sides():
    paused = [Interval(0.1, 0.2, "k"), Interval(0.21, 0.4, "ae"), Interval(0.4, 0.5, "t")]
    f, whole = (compare(labels(REFERENCE), labels(e), file="a") for e in (paused, REFERENCE))
    found = difference([f], [whole], lambda r: r.phones)
    assert found.boundaries == 4
    assert found.first == pytest.approx(5 / 4)  # 0 and 10 ms at one boundary: 5 on average


def test_channels_and_spaces_of_a_ctm(tmp_path):
    (tmp_path / "my talk.ctm").write_text(
        "my_talk 1 0.0 0.5 hello\nmy_talk 2 0.1 0.5 bye\nmy_talk 1 0.5 0.5 you\n"
    )
    assert list(find_labels(tmp_path)) == ["my talk"]
    found = read_labels(find_labels(tmp_path)["my talk"])
    assert {speaker: len(own.words) for speaker, own in found.items()} == {"1": 2, "2": 1}
    (tmp_path / "my talk.ctm").write_text("my_talk 1 0.5 -0.5 hello\n")
    with pytest.raises(DataError, match="ends before it begins"):
        read_labels(find_labels(tmp_path)["my talk"])


@pytest.mark.parametrize(
    ("entries", "rule"),
    [
        ("[[1, 0.5, 1]]", "ends before"),
        ("[[0, 1, 1], [0.5, Infinity, 1]]", "not a number"),
        ("[[1, 2, 1], [0, 1, 1]]", "begins before"),
    ],
)
def test_json_must_be_in_order(tmp_path, entries, rule):
    (tmp_path / "x.json").write_text('{"tiers": {"phones": {"entries": ' + entries + "}}}")
    with pytest.raises(DataError, match=rule):
        read_labels(tmp_path / "x.json")


def test_other_files_do_no_harm(tmp_path):
    """Notes that cannot be read are a problem of theirs; scores behind HTK's labels are left out."""
    shifted(tmp_path / "ref", "f", 0.0)
    shifted(tmp_path / "out", "f", 0.0)
    (tmp_path / "out" / "notes.json").write_bytes(b'{"a": "\xe9"}')
    (tmp_path / "out" / "corrected").mkdir()
    shutil.copy(tmp_path / "out" / "f.TextGrid", tmp_path / "out" / "corrected")
    assert evaluate(tmp_path / "ref", tmp_path / "out").report.missing == 0
    # the correction stands for its original
    assert evaluate(tmp_path / "out", tmp_path / "out").report.files == 1
    (tmp_path / "h.lab").write_text("0 1000000 sil -12.5 SIL\n1000000 2000000 aa -88.1 cat\n")
    assert [i.label for i in read_labels(tmp_path / "h.lab")[""].phones] == ["sil", "aa"]


def test_a_tier_that_is_named_must_be_there(tmp_path):
    write_textgrid(tmp_path / "x.TextGrid", {"words": REFERENCE, "phones": REFERENCE}, 0.5)
    with pytest.raises(DataError, match="no tier 'fon': its tiers are 'words', 'phones'"):
        evaluate(tmp_path, tmp_path, Options(reference_tiers=TierNames(phones="fon")))
    result = call("evaluate", tmp_path, tmp_path, "--phones", "fon")
    assert result.exit_code == 2
    assert "no tier 'fon': its tiers are 'words', 'phones': name the one" in result.output
    assert "(--phones TIER)" in result.output


def test_a_suggested_map_does_no_harm(tmp_path):
    """Labels that both sides have are left alone, however the times differ; one side has an alphabet of its
    own."""
    arpabet = [
        Interval(0, 0.1, "k"),
        Interval(0.1, 0.3, "ae"),
        Interval(0.3, 0.4, "t"),
        Interval(0.4, 0.5, "sh"),
    ]
    own = [
        Interval(0.05, 0.15, "k"),
        Interval(0.15, 0.35, "vowel"),
        Interval(0.35, 0.45, "t"),
        Interval(0.45, 0.55, "hush"),
    ]
    for folder, rows in (("ref", own), ("out", arpabet)):
        write_textgrid(
            tmp_path / folder / "x.TextGrid", {"phones": fill(rows, 0.6) if rows[0].start else rows}, 0.6
        )
    found = evaluate(tmp_path / "ref", tmp_path / "out")
    assert found.suggested == {"ae": "vowel", "sh": "hush"}
    better = evaluate(tmp_path / "ref", tmp_path / "out", Options(PhoneMap(found.suggested)))
    assert better.report.phone_error_rate == 0


def test_tiers_of_other_names(tmp_path):
    write_textgrid(tmp_path / "ref" / "x.TextGrid", {"Segmente": REFERENCE}, 0.5)
    write_textgrid(tmp_path / "out" / "x.TextGrid", {"phones": REFERENCE}, 0.5)
    found = evaluate(
        tmp_path / "ref", tmp_path / "out", Options(reference_tiers=TierNames(phones="Segmente"))
    )
    assert found.report.phones.mae == 0


# ---------------------------------------------------------------- two aligners


def shifted(folder, name, shift):
    moved = [Interval(i.start + shift, i.end + shift, i.label) for i in REFERENCE]
    write_textgrid(folder / f"{name}.TextGrid", {"phones": fill(moved, 1.0)}, 1.0)


def test_two_aligners(tmp_path):
    random = np.random.default_rng(3)
    for k in range(20):
        shifted(tmp_path / "ref", f"f{k}", 0.0)
        shifted(tmp_path / "good", f"f{k}", 0.005 + 0.002 * random.random())
        shifted(tmp_path / "bad", f"f{k}", 0.015 + 0.002 * random.random())
    (tmp_path / "bad" / "f0.TextGrid").unlink()
    found = versus(tmp_path / "ref", tmp_path / "good", tmp_path / "bad").phones
    assert (found.files, found.boundaries) == (19, 76)  # those that both have
    assert found.difference == pytest.approx(-10, abs=1)
    assert found.interval[0] < found.difference < found.interval[1] < 0
    assert found.p_value == pytest.approx(2 * 0.5**19, rel=1e-6)  # all nineteen files agree: exact
    same = versus(tmp_path / "ref", tmp_path / "good", tmp_path / "good").phones
    assert (same.difference, same.p_value) == (0, None)
    assert (
        versus(tmp_path / "ref", tmp_path / "bad", tmp_path / "good").phones.difference == -found.difference
    )


def test_the_test_is_not_fooled_by_noise(tmp_path):
    random = np.random.default_rng(4)
    for k in range(30):
        shifted(tmp_path / "ref", f"f{k}", 0.0)
        for side in ("a", "b"):
            shifted(tmp_path / side, f"f{k}", 0.02 * random.random())
    assert versus(tmp_path / "ref", tmp_path / "a", tmp_path / "b").phones.p_value > 0.05


def test_a_few_bad_files_make_no_winner(tmp_path):
    """A is closer in nineteen files of twenty and far off in one: the mean and the test disagree."""
    for k in range(20):
        shifted(tmp_path / "ref", f"f{k}", 0.0)
        shifted(tmp_path / "a", f"f{k}", 0.2 if k == 3 else 0.010 + k / 1e5)
        shifted(tmp_path / "b", f"f{k}", 0.011 + k / 1e5)
    found = versus(tmp_path / "ref", tmp_path / "a", tmp_path / "b").phones
    assert found.difference > 0 > found.typical
    result = call("compare", tmp_path / "a", tmp_path / "b", "-r", tmp_path / "ref")
    assert "no clear winner: A is closer in most files, B on average" in result.output


# ---------------------------------------------------------------- the commands


def call(*words):
    from aligner.cli import main

    return CliRunner().invoke(main, list(map(str, words)))


def test_the_command_evaluate(tmp_path):
    write_textgrid(tmp_path / "ref" / "x.TextGrid", {"phones": REFERENCE}, 0.5)
    write_textgrid(tmp_path / "out" / "x.TextGrid", {"phones": ESTIMATE}, 0.6)
    (tmp_path / "m.yaml").write_text("AE1: ae\n")
    result = call(
        "evaluate",
        tmp_path / "ref",
        tmp_path / "out",
        "--csv",
        tmp_path / "b.csv",
        "--json",
        tmp_path / "f.json",
        "--map",
        tmp_path / "m.yaml",
    )
    assert result.exit_code == 0, result.output
    for text in (
        "MAE ms",
        "10.00",
        "F1",
        "R-value",
        "within 20 %",
        "within 20 ms",
        "stop-vowel",
        "by speaker",
        "(none)",
    ):
        assert text in result.output, text
    rows = list(csv.DictReader(io.StringIO((tmp_path / "b.csv").read_text())))
    assert [float(r["error_ms"]) for r in rows] == [10, 0, -30, 0]
    assert rows[1]["class"] == "stop-vowel"
    figures = json.loads((tmp_path / "f.json").read_text())
    assert figures["phones"]["mae"] == pytest.approx(10)
    assert figures["by_class"]["vowel-stop"]["bias"] == pytest.approx(-30)


def test_the_command_says_what_is_wrong(tmp_path):
    write_textgrid(tmp_path / "ref" / "x.TextGrid", {"Anna": REFERENCE}, 0.5)
    write_textgrid(tmp_path / "ipa" / "x.TextGrid", {"phones": [Interval(0, 0.5, "ʃ")]}, 0.5)
    write_textgrid(tmp_path / "out" / "x.TextGrid", {"phones": [Interval(0, 0.5, "SH")]}, 0.5)
    result = call("evaluate", tmp_path / "ref", tmp_path / "out")
    assert result.exit_code == 2
    assert "there are no references in it: x.TextGrid: it has no tier 'phones' or 'words'" in result.output
    assert "its tiers are 'Anna': name the one that is meant (--phones TIER or --words TIER)" in result.output
    result = call("evaluate", tmp_path / "ipa", tmp_path / "out")
    assert "do not meet" in result.output
    assert 'sh: "ʃ"' in result.output
    result = call("evaluate", tmp_path / "nowhere", tmp_path / "out")
    assert result.exit_code == 2
    assert result.output.startswith("evaluate: ")
    result = call("evaluate", tmp_path / "ipa", tmp_path / "out", "--map", tmp_path / "none.yaml")
    assert result.exit_code == 2
    assert "cannot be read" in result.output


def test_markup_long_names_and_places_that_cannot_be_written(tmp_path):
    rows = [Interval(0, 0.1, "[noise]"), Interval(0.1, 0.2, "x[/y]")]
    name = "long" * 30
    write_textgrid(tmp_path / "ref" / f"{name}.TextGrid", {"phones": rows}, 0.2)
    result = call("evaluate", tmp_path / "ref", tmp_path / "ref")
    assert result.exit_code == 0, result.output
    assert "[noise]" in result.output
    assert re.search(r"…\w+long +3 +0\.00", result.output)
    (tmp_path / "file").write_text("")
    result = call("evaluate", tmp_path / "ref", tmp_path / "ref", "--csv", tmp_path / "file" / "x.csv")
    assert result.exit_code == 2
    assert "it cannot be written" in result.output


def test_the_command_compare(tmp_path):
    for k in range(8):
        shifted(tmp_path / "ref", f"f{k}", 0.0)
        shifted(tmp_path / "a", f"f{k}", 0.004 + k / 1e4)
        shifted(tmp_path / "b", f"f{k}", 0.010)
    result = call("compare", tmp_path / "a", tmp_path / "b", "--reference", tmp_path / "ref")
    assert result.exit_code == 0, result.output
    assert "phones: on the 32 boundaries of 8 files" in result.output
    assert "; A is closer (p = 0.0078" in result.output
    result = call("compare", tmp_path / "a", tmp_path / "b")
    assert "not which is right" in result.output
    assert result.exit_code == 0


def test_a_thousand_files_go_to_several_processes(tmp_path):
    """The same figures from processes as from one."""
    from aligner.evaluate import folders

    for k in range(folders.ONE_PROCESS_FILES + 50):
        shifted(tmp_path / "ref", f"f{k}", 0.0)
        shifted(tmp_path / "out", f"f{k}", 0.0001 * k)
    (tmp_path / "ref" / "broken.phn").write_text("a b\n")
    found = evaluate(tmp_path / "ref", tmp_path / "out", jobs=2)
    report = found.report
    # it came through
    assert [p.rule for p in found.problems] == ["not a line of first sample, last sample, label"]
    count = folders.ONE_PROCESS_FILES + 50
    assert report.files == count
    assert report.phones.bias == pytest.approx(0.1 * (count - 1) / 2)
