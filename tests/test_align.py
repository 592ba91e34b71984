"""The whole path: the command, the Python functions, and the accuracy that we promise."""

from __future__ import annotations

import csv
import itertools
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import textgrid
import torch
from click.testing import CliRunner
from scipy.signal import resample_poly
from support.bars import at_most, share_at_least
from support.places import JUDGE, SAMPLE
from support.toy_backend import ToyBackend

import aligner
from aligner import Alignment, Compute, Failure, Utterance, align, align_file, find
from aligner.cli import align as command
from aligner.corpus.results import ALIGNMENT_COLUMNS
from aligner.formats.textgrid import write_textgrid
from aligner.models.store import cmu_dictionary
from aligner.types import Interval


def run(*arguments):
    return CliRunner().invoke(command, [str(a) for a in arguments])


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def check_tiles(path: Path, duration: float) -> textgrid.TextGrid:
    """Every tier runs from 0 to the recording's end without gaps, overlaps or empty intervals."""
    grid = textgrid.TextGrid.fromFile(str(path))
    for tier in grid:
        assert tier[0].minTime == 0
        assert tier[-1].maxTime == pytest.approx(duration, abs=1e-5)
        assert all(a.maxTime == b.minTime for a, b in itertools.pairwise(tier))
        assert all(i.maxTime > i.minTime for i in tier)
        assert not any(a.mark == b.mark == "" for a, b in itertools.pairwise(tier))
    return grid


def test_the_sample(tmp_path):
    out = tmp_path / "out"
    result = run(SAMPLE, out, "--reference", SAMPLE)
    assert result.exit_code == 0, result.output
    for text in (
        "files     10",
        "aligned   10",
        "failed    0",
        "audio seconds per second",
        "MAE",
        "missing 0",
    ):
        assert text in result.output
    table = rows(out / "alignment.csv")
    assert [r["status"] for r in table] == ["ok"] * 10
    assert tuple(table[0]) == ALIGNMENT_COLUMNS
    for r in table:
        assert 0 < float(r["confidence"]) < 1
        assert float(r["margin"]) > float(r["worst_margin"]) > -5
        assert r["likelihood_deviation"] == ""  # ten are too few to compare with
    record = json.loads((out / "run.json").read_text())
    assert record["corpus"] == str(SAMPLE)
    for r in table:
        duration = soundfile.info(SAMPLE / f"{r['file']}.flac").duration
        grid = check_tiles(out / f"{r['file']}.TextGrid", duration)
        assert grid.getNames() == ["words", "phones"]
    words = [i.mark for i in textgrid.TextGrid.fromFile(str(out / "slt" / "numbers.TextGrid"))[0] if i.mark]
    assert words == ["On", "May", "5", "1998", "she", "paid", "$12.50", "for", "3", "books"]
    oovs = {r["word"]: r["pronunciation"] for r in rows(out / "oovs.csv")}
    assert oovs["Praat"] == "P R AA1 T"


def test_the_sample_is_accurate(aligned_by):
    from aligner.evaluate.folders import evaluate

    report = evaluate(SAMPLE, aligned_by("hmm", SAMPLE).out).report
    assert report.phones.mae <= at_most(9.49)
    assert report.phones.within[20] >= share_at_least(88.19)
    assert report.phone_error_rate <= at_most(2.12)


@pytest.mark.slow
def test_accuracy_on_hand_labelled_speech(timit, aligned_by, tmp_path):
    """What the judge measured, and nothing missing."""
    if not JUDGE.is_file():
        pytest.skip("the judge (shared/score/score.py) is not here")
    found = aligned_by("hmm", timit)
    assert not found.summary.failures
    subprocess.run(
        [sys.executable, JUDGE, timit, found.out, "--json", tmp_path / "score.json"],
        check=True,
        capture_output=True,
    )
    score = json.loads((tmp_path / "score.json").read_text())
    assert score["missing"] == 0
    assert score["phones"]["mae_ms"] <= at_most(12.72)
    assert score["phones"]["within_20"] >= share_at_least(81.49)
    assert score["phones"]["within_50"] >= share_at_least(96.23)
    assert score["words"]["mae_ms"] <= at_most(15.10)


def test_importing_the_package_imports_nothing_heavy():
    heavy = ("torch", "numba", "librosa", "rich")
    code = f"import sys, aligner, aligner.cli; print([m for m in {heavy} if m in sys.modules])"
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert printed.strip() == "[]"


def test_all_formats(corpus, tmp_path):
    out = tmp_path / "out"
    result = run(corpus, out, "-f", "json", "-f", "csv", "-f", "ctm")
    assert result.exit_code == 0
    content = json.loads((out / "anna" / "kitchen.json").read_text())
    entries = content["tiers"]["words"]["entries"]
    grid = textgrid.TextGrid.fromFile(str(out / "anna" / "kitchen.TextGrid"))
    assert [(b, e, x) for b, e, x in entries] == [(i.minTime, i.maxTime, i.mark) for i in grid[0]]
    assert content["utterances"][0]["transcript"].startswith("There is a pot")
    table = rows(out / "anna" / "kitchen.csv")
    assert {r["Type"] for r in table} == {"words", "phones"}
    assert [r["Label"] for r in table if r["Type"] == "words"] == [i.mark for i in grid[0] if i.mark]
    lines = [line.split() for line in (out / "anna" / "kitchen.ctm").read_text().splitlines()]
    assert [x[4] for x in lines] == [i.mark for i in grid[0] if i.mark]
    assert float(lines[0][2]) == pytest.approx(grid[0][1].minTime, abs=1e-5)
    assert len((out / "anna" / "kitchen.phones.ctm").read_text().splitlines()) == sum(
        i.mark != "" for i in grid[1]
    )


def test_existing_outputs(corpus, tmp_path):
    out = tmp_path / "out"
    run(corpus, out)
    grid = out / "anna" / "kitchen.TextGrid"
    before = rows(out / "alignment.csv")
    grid.write_text("corrected by hand")
    (out / "anna" / "winter.TextGrid").unlink()
    result = run(corpus, out)  # skip: the corrected one stays, the missing one comes back, no row is lost
    assert result.exit_code == 0
    assert "skipped   1 files" in result.output
    assert grid.read_text() == "corrected by hand"
    assert (out / "anna" / "winter.TextGrid").exists()
    assert rows(out / "alignment.csv") == before
    result = run(corpus, out, "--existing", "error")
    assert result.exit_code == 1
    assert "kitchen.TextGrid exists" in result.output
    assert grid.read_text() == "corrected by hand"
    assert rows(out / "alignment.csv") == before
    assert "kept      what existed of 2 files" in run(corpus, out, "-f", "json").output
    assert grid.read_text() == "corrected by hand"
    (corpus / "anna" / "kitchen.lab").write_text("There is a pot of soup.")
    assert "changed since, anna/kitchen" in run(corpus, out).output
    assert run(corpus, out, "--existing", "overwrite").exit_code == 0
    assert "ooTextFile" in grid.read_text()
    assert not list(out.rglob("*.part"))


def test_several_speakers_in_one_stereo_file(tmp_path):
    """Left says one sentence, right another: four tiers, each speaker's words from their own channel."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    left, _ = soundfile.read(SAMPLE / "rms" / "kitchen.flac")
    right, _ = soundfile.read(SAMPLE / "slt" / "harbour.flac")
    length = len(left) + len(right)
    stereo = np.random.default_rng(0).normal(0, 1e-4, (length, 2))
    stereo[: len(left), 0] += left
    stereo[len(left) :, 1] += right
    soundfile.write(folder / "talk.wav", stereo, 16000)
    turn, end = len(left) / 16000, length / 16000
    write_textgrid(
        folder / "talk.TextGrid",
        {
            "Zoë": [
                Interval(0, turn, "There is a pot of soup on the kitchen table."),
                Interval(turn, end, ""),
            ],
            "Bob": [
                Interval(0, turn, ""),
                Interval(turn, end, "The harbour was quiet before the first boats came in."),
            ],
        },
        end,
    )
    result = run(folder, tmp_path / "out")
    assert result.exit_code == 0, result.output
    grid = check_tiles(tmp_path / "out" / "talk.TextGrid", end)
    assert grid.getNames() == ["Zoë - words", "Zoë - phones", "Bob - words", "Bob - phones"]
    words = [i for i in grid[2] if i.mark]
    assert words[0].minTime >= turn
    alone = align_file(
        SAMPLE / "slt" / "harbour.flac", "The harbour was quiet before the first boats came in."
    )
    starts = [w.start + turn for w in alone.words if w.label]
    assert np.abs(np.subtract(starts, [w.minTime for w in words])).max() <= at_most(0.00422)
    assert [(r["speaker"], r["words"]) for r in rows(tmp_path / "out" / "alignment.csv")] == [
        ("Zoë", "10"),
        ("Bob", "10"),
    ]


def test_a_users_dictionary(corpus, tmp_path):
    """Its labels, stress digits too, are those of the phones tier; its variants are chosen by the audio."""
    book = tmp_path / "my.dict"
    words = {
        "there": "DH EH1 R",
        "is": "IH1 Z",
        "a": "AH0",
        "pot": "P AA1 T",
        "of": "AH1 V",
        "soup": "S UW1 P",
        "on": "AA1 N",
        "the": "DH AH0",
        "kitchen": "K IH1 CH AH0 N",
    }
    lines = [f"{w}\t0.99\t{p}" for w, p in words.items()]
    book.write_text(
        "\n".join([*lines, "table\t0.5\t0.3\t1.0\t1.0\tT EY1 B AH0 L", "table\t0.5\t0.3\t1.0\t1.0\tZ UW1 M"])
    )
    (corpus / "anna" / "winter.lab").unlink()
    (corpus / "anna" / "winter.flac").unlink()
    assert run(corpus, tmp_path / "out", "--dictionary", book).exit_code == 0
    grid = textgrid.TextGrid.fromFile(str(tmp_path / "out" / "anna" / "kitchen.TextGrid"))
    labels = [i.mark for i in grid[1] if i.mark]
    assert " ".join(labels) == " ".join([*words.values(), "T EY1 B AH0 L"]).replace(
        "K IH1", "DH AH0 K IH1"
    ).replace("DH AH0 DH AH0", "DH AH0")


def spoken(grid: Path, word: str) -> str:
    """The labels of the phones of a word."""
    words, phones = textgrid.TextGrid.fromFile(str(grid))
    [own] = [i for i in words if i.mark.lower() == word]
    return " ".join(i.mark for i in phones if own.minTime <= (i.minTime + i.maxTime) / 2 <= own.maxTime)


@pytest.mark.parametrize("backend", ["hmm", "ctc", "ctc+hmm"])
def test_words_are_laid_over_the_dictionary(corpus, tmp_path, backend):
    """They are said so and in no other way, whatever is written; all other words are as ever."""
    (corpus / "anna" / "kitchen.lab").write_text("There is a 18 pot of soup on the kitchen table.")
    first, second = tmp_path / "first.dict", tmp_path / "second.dict"
    first.write_text("pot\tP AO T\n18\tD AH G\nsoup\n")
    second.write_text("POT\tP IY T\n")
    calls = ("-b", backend, "--add-words", first, "--add-words", second)
    result = run(corpus, tmp_path / "out", *calls)
    assert result.exit_code == 0, result.output
    assert "line 3: 'soup' has no phones" in result.output
    grid = tmp_path / "out" / "anna" / "kitchen.TextGrid"
    assert [spoken(grid, w) for w in ("pot", "18")] == ["P IY T", "D AH G"]
    assert spoken(grid, "soup").rstrip("012") in ("S UW1 P", "S UW P")
    assert run(corpus, tmp_path / "out2", *calls, "--strict").exit_code == 2
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["add_words"] == [str(first), str(second)]
    assert [w["fault"] for w in record["warnings"]] == ["dictionary"]


def test_a_small_dictionary_is_warned_of(corpus, tmp_path):
    book = tmp_path / "one.dict"
    book.write_text("soup\tS UW1 P\n")
    result = run(corpus, tmp_path / "out", "-d", book)
    assert result.exit_code == 0
    assert f"warning   {book}: it lacks " in result.output
    assert "--add-words" in result.output
    [warning] = json.loads((tmp_path / "out" / "run.json").read_text())["warnings"]
    assert warning["fault"] == "oov"
    whole = run(corpus, tmp_path / "whole", "-d", cmu_dictionary())
    assert "warning" not in whole.output


@pytest.mark.parametrize("jobs", [1, 2])
def test_speakers_have_dictionaries_of_their_own(corpus, tmp_path, jobs):
    for kind in ("lab", "flac"):
        (corpus / "bob").mkdir(exist_ok=True)
        (corpus / "bob" / f"kitchen.{kind}").write_bytes((corpus / "anna" / f"kitchen.{kind}").read_bytes())
    (tmp_path / "bobs.dict").write_text(
        cmu_dictionary().read_text().replace("\npot P AA1 T\n", "\npot P IY T\n")
    )
    table = tmp_path / "speakers.yaml"
    table.write_text("bob: bobs.dict\n")
    result = run(corpus, tmp_path / "out", "-d", table, "-j", jobs)
    assert (result.exit_code, "warning" in result.output) == (0, False), result.output
    grids = [tmp_path / "out" / who / "kitchen.TextGrid" for who in ("anna", "bob")]
    assert [spoken(grid, "pot") for grid in grids] == ["P AA1 T", "P IY T"]
    table.write_text("bob: bobs.dict\nRob: bobs.dict\n")
    result = run(corpus, tmp_path / "out3", "-d", table, "-j", jobs)
    assert "it names speakers who are not in the corpus: 'Rob'" in result.output
    assert "warning" not in run(corpus, tmp_path / "out3", "-d", table, "-j", jobs).output  # all is kept
    table.write_text("bob: none.dict\n")
    result = run(corpus, tmp_path / "out2", "-d", table)
    assert (result.exit_code, "speakers.yaml:1: there is no 'none.dict'" in result.output) == (2, True)


def test_no_g2p_names_the_word(corpus, tmp_path):
    (corpus / "anna" / "kitchen.lab").write_text("There is a zyxomatic pot.")
    result = run(corpus, tmp_path / "out", "--no-g2p")
    assert result.exit_code == 1
    assert "'zyxomatic'" in result.output
    assert (tmp_path / "out" / "anna" / "winter.TextGrid").exists()
    assert run(corpus, tmp_path / "out").exit_code == 0
    assert [r["word"] for r in rows(tmp_path / "out" / "oovs.csv")] == ["zyxomatic"]


def test_every_output_opens_in_praat(timit, tmp_path):
    if shutil.which("praat") is None:
        pytest.skip("Debian's praat is not installed")
    out = tmp_path / "out"
    run(timit / "dr1-fvmh0", out)
    script = tmp_path / "count.praat"
    script.write_text(
        "form F\n sentence f\nendform\nRead from file: f$\na = Get number of intervals: 1\n"
        'b = Get number of intervals: 2\nappendInfoLine: a, " ", b\n'
    )
    for path in sorted(out.rglob("*.TextGrid")):
        printed = subprocess.run(
            ["praat", "--run", script, path], check=True, capture_output=True, text=True
        ).stdout
        grid = textgrid.TextGrid.fromFile(str(path))
        assert printed.split() == [str(len(grid[0])), str(len(grid[1]))]


# Python.


def test_align_file_takes_files_and_arrays():
    text = "There is a pot of soup on the kitchen table."
    path = SAMPLE / "rms" / "kitchen.flac"
    from_file = align_file(path, text)
    samples, rate = soundfile.read(path)
    assert align_file(samples, text, rate=rate).words == from_file.words
    from_integers = align_file((samples * 32767).astype(np.int16), text)
    assert [p.label for p in from_integers.phones] == [p.label for p in from_file.phones]
    starts = [p.start for p in from_file.phones]
    # the last bit of silence
    assert [p.start for p in from_integers.phones] == pytest.approx(starts, abs=0.003)
    high = align_file(resample_poly(samples, 3, 1)[:, None], text, rate=48000)  # as (N, 1)
    assert max(abs(a.start - b.start) for a, b in zip(high.words, from_file.words, strict=True)) < 0.0005
    assert [w.label for w in from_file.words if w.label][:3] == ["There", "is", "a"]
    assert align_file(torch.from_numpy(samples), text).phones == from_file.phones
    assert align_file(samples.tolist(), text).phones == from_file.phones


@pytest.mark.parametrize(
    ("recording", "text", "rate", "rule"),
    [
        (np.ones(16000), "", 16000, "transcript is empty"),
        (np.ones(0), "hi", 16000, "recording is empty"),
        (np.ones((0, 2)), "hi", 16000, "recording is empty"),
        (np.ones(16000), "hi", 0, "rate of 0 Hz"),
        (np.ones((2, 2, 2)), "hi", 16000, "shape"),
        (np.array(["a"]), "hi", 16000, "type"),
        ("nowhere.wav", "hi", 16000, "not there"),
    ],
)
def test_bad_calls_say_what_is_wrong(recording, text, rate, rule):
    with pytest.raises(aligner.DataError, match=rule):
        align_file(recording, text, rate=rate)
    with pytest.raises(TypeError, match="not str"):
        align_file(np.ones(16000), None)


def test_results_come_in_order_and_failures_among_them(model):
    utterances = list(find(SAMPLE).utterances)
    utterances.insert(3, Utterance("bad", np.zeros(16000), "hello"))
    results = list(align(utterances, model))
    assert [r.utterance.id for r in results] == [u.id for u in utterances]
    assert isinstance(results[3], Failure)
    assert sum(isinstance(r, Alignment) for r in results) == 10


def test_a_batch_equals_each_alone(model):
    utterances = find(SAMPLE).utterances
    together = list(align(utterances, model))
    for u, result in zip(utterances, together, strict=True):
        [alone] = align([u], model, compute=Compute(jobs=1))
        assert alone.phones == result.phones


def test_the_reference_kernel_gives_the_same(model):
    [u, *_] = find(SAMPLE).utterances
    [fast], [plain] = (list(align([u], model, compute=Compute(kernel=k))) for k in ("numba", "reference"))
    assert fast.phones == plain.phones


def test_places_are_those_of_the_recording(tmp_path):
    """An utterance that begins late in its recording: reasons tell the recording's times."""
    samples, rate = soundfile.read(SAMPLE / "rms" / "kitchen.flac", dtype="float32")
    text = "Nothing of this has ever been said by anyone in a kitchen."
    places = []
    for before in (0, 7):
        sound = np.concatenate([np.zeros(before * rate, np.float32), samples])
        [a] = align([Utterance("a", sound, text, start=float(before))])
        places.append([s.at for s in a.suspicions if s.at is not None])
    assert places[0]
    assert places[1] == pytest.approx([7 + t for t in places[0]], abs=0.011)


def test_what_is_unusual_in_its_corpus_is_suspect(corpus, tmp_path, monkeypatch):
    """In the table, in the summary, and beside the likelihoods of an earlier run."""
    seen = []

    def deviations(values):
        seen.append(list(values))
        return [-9.0 if k == len(values) - 1 else 0.0 for k in range(len(values))]

    monkeypatch.setattr("aligner.run.folder.likelihood_deviations", deviations)
    result = run(corpus, tmp_path / "out")
    assert "suspect   1 of them\n          anna/winter: it fits the model far worse" in result.output
    table = rows(tmp_path / "out" / "alignment.csv")
    assert [r["status"] for r in table] == ["ok", "suspect"]
    assert table[1]["likelihood_deviation"] == "-9.0"
    assert table[1]["reason"].startswith(
        "it fits the model far worse than the rest of the corpus (9.0 deviations)"
    )
    (tmp_path / "out" / "anna" / "winter.TextGrid").unlink()
    result = run(corpus, tmp_path / "out")
    assert len(seen[-1]) == 2  # the one that was kept is compared with
    assert seen[-1] == pytest.approx(seen[0], abs=1e-3)
    result = run(corpus, tmp_path / "out")
    assert "1 utterances in them have been suspect since an earlier run" in result.output


def test_long_recordings_come_out_the_same(model, monkeypatch):
    """Scored and searched piece by piece in a band, as those are whose scores would fill the memory."""
    utterances = find(SAMPLE).utterances[:3]
    expected = list(align(utterances, model))
    monkeypatch.setattr("aligner.backends.path.MOST_SCORES", 1)
    monkeypatch.setattr("aligner.backends.path.COMPARED_PIECE", 30)
    monkeypatch.setattr("aligner.search.long.BAND_STATES", 128)
    found = list(align(utterances, model))
    for f, e in zip(found, expected, strict=True):
        assert [(p.start, p.label) for p in f.phones] == [(p.start, p.label) for p in e.phones]
        assert [p.confidence for p in f.phones] == pytest.approx([p.confidence for p in e.phones], rel=1e-3)
        assert f.log_likelihood == pytest.approx(e.log_likelihood, rel=1e-5)
        assert f.quality.worst_margin == pytest.approx(e.quality.worst_margin, rel=1e-3)


def test_a_kernel_that_does_not_run_here_is_told_before_the_work(tmp_path, monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    result = run(SAMPLE, tmp_path / "out", "--kernel", "triton")
    assert result.exit_code == 2
    assert "align: kernel: the triton kernel runs on CUDA" in result.output
    assert not (tmp_path / "out").exists()


def test_a_fault_of_ours_takes_no_other_file_with_it():
    utterances = find(SAMPLE).utterances[:3]

    def broken(heard):
        if heard.utterance.id == utterances[1].id:
            raise RuntimeError("boom")

    results = list(align(utterances, ToyBackend(before=broken)))
    assert [type(r) for r in results] == [Alignment, Failure, Alignment]
    assert "boom" in results[1].message


def test_noise_words(model):
    samples, _ = soundfile.read(SAMPLE / "rms" / "kitchen.flac")
    noise = np.random.default_rng(0).normal(0, 0.05, 8000)
    result = align_file(
        np.concatenate([noise, samples]), "[static] There is a pot of soup on the kitchen table."
    )
    assert result.words[0 if result.words[0].label else 1].label == "[static]"
    assert "spn" in [p.label for p in result.phones]
    assert abs(next(w.start for w in result.words if w.label == "There") - 0.5 - 0.2) <= at_most(0.0288)


def test_the_names_promised():
    assert set(aligner.__all__) <= set(dir(aligner)) | set(aligner._HOMES)
    for name in aligner.__all__:
        assert getattr(aligner, name)
