"""Every output has a place of its own: beside the run's tables, beside those of namesakes, within the limits
of the disk.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.places import SAMPLE

from aligner.cli import align as command
from aligner.corpus import results
from aligner.corpus.find import find
from aligner.formats import registry
from aligner.formats.files import too_long, written_whole
from aligner.formats.textgrid import read_textgrid
from aligner.run.places import Places, folds_case
from aligner.run.plan import plan
from aligner.types import Fault, Notice

KINDS = ("textgrid", "csv", "json", "ctm")


def put(folder: Path, stem: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(SAMPLE / "rms" / "kitchen.flac", folder / f"{stem}.flac")
    shutil.copy(SAMPLE / "rms" / "kitchen.lab", folder / f"{stem}.lab")


def align(*arguments):
    return CliRunner().invoke(command, [str(a) for a in arguments])


def test_recordings_named_as_tables_are_beside_the_tables(tmp_path):
    """The whole run, in all formats: no file is that of another, and the tables are tables."""
    names = ("alignment", "alignment_", "oovs", "run", "report", "Summary")
    for name in names:
        put(tmp_path / "corpus", name)
    out = tmp_path / "out"
    call = [tmp_path / "corpus", out, "-f", "csv", "-f", "json", "-f", "ctm", "--report", "--segments"]
    result = align(*call)
    assert result.exit_code == 0, result.output
    with (out / "alignment.csv").open() as file:
        assert sorted(row["file"] for row in csv.DictReader(file)) == sorted(names)
    assert json.loads((out / "run.json").read_text())["corpus"] == str((tmp_path / "corpus").resolve())
    assert (out / "oovs.csv").read_text().startswith("word,pronunciation")
    assert sorted(p.name for p in out.glob("*.csv")) == [
        *("Summary.csv", "alignment.csv", "alignment_.csv", "alignment__.csv"),
        *("oovs.csv", "oovs_.csv", "report.csv", "run.csv"),
    ]
    assert {p.name for p in out.glob("*.json")} == {
        *("run.json", "run_.json", "alignment.json", "alignment_.json", "oovs.json", "report.json"),
        "Summary.json",
    }
    assert "its output is alignment_.csv, for alignment.csv is a table of the run" in result.output
    again = align(*call)
    assert (again.exit_code, "skipped   6 files" in again.output) == (0, True)


@pytest.mark.parametrize(
    ("file", "kind", "name"),
    [
        ("alignment", "csv", "alignment_.csv"),
        ("ALIGNMENT", "csv", "ALIGNMENT_.csv"),
        ("alignment__", "csv", "alignment___.csv"),
        ("alignment", "json", "alignment.json"),
        ("alignment", "textgrid", "alignment.TextGrid"),
        ("anna/alignment", "csv", "alignment.csv"),
        ("run", "json", "run_.json"),
        ("run", "csv", "run.csv"),
        ("oovs", "csv", "oovs_.csv"),
        ("a_", "csv", "a_.csv"),
        ("_", "json", "_.json"),
    ],
)
def test_names_of_outputs(tmp_path, file, kind, name):
    assert registry.output_path(tmp_path, file, kind).name == name


def test_the_tables_of_a_run_are_known_to_the_formats():
    tables = {results.ALIGNMENT_TABLE, results.OOV_TABLE, results.RUN_RECORD}
    assert tables == registry.OWN_FILES


def test_the_files_that_ctm_writes_are_known(tmp_path):
    assert [p.name for p in registry.output_paths(tmp_path, "a.b", "ctm")] == ["a.b.ctm", "a.b.phones.ctm"]


def test_two_outputs_of_one_name_are_told_before_the_work(tmp_path):
    for name in ("a", "a.phones"):
        put(tmp_path / "corpus", name)
    put(tmp_path / "corpus" / "segments", "a")
    job = plan(tmp_path / "corpus", tmp_path / "out", ["ctm", "segments"])
    assert [u.file for u in job.utterances] == ["a"]
    assert [(f.utterance.file, f.fault) for f in job.failures] == [
        ("a.phones", Fault.DUPLICATE_NAME),
        ("segments/a", Fault.DUPLICATE_NAME),
    ]
    assert "its output a.phones.ctm would be that of a" in job.failures[0].rule
    assert len(plan(tmp_path / "corpus", tmp_path / "out").utterances) == 3


def test_one_name_in_two_folders_is_two_outputs(tmp_path):
    for folder in ("anna", "bob", "Anna"):
        put(tmp_path / "corpus" / folder, "a")
    job = plan(tmp_path / "corpus", tmp_path / "out", KINDS)
    assert ([u.file for u in job.utterances], job.failures) == (["Anna/a", "anna/a", "bob/a"], ())


def test_where_capitals_do_not_count_names_that_differ_in_them_are_told(tmp_path, monkeypatch):
    monkeypatch.setattr("aligner.run.places.folds_case", lambda _: True)
    for name in ("a", "A", "b"):
        put(tmp_path / "corpus", name)
    job = plan(tmp_path / "corpus", tmp_path / "out")
    assert [u.file for u in job.utterances] == ["A", "b"]
    assert job.failures[0].rule == "its output a.TextGrid would be that of A"


def test_this_disk_tells_capitals_apart_or_does_not(tmp_path):
    (tmp_path / "a").touch()
    assert folds_case(tmp_path / "not" / "there") == (tmp_path / "A").exists()


@pytest.mark.parametrize("inside", ["corpus", "a/corpus", "corpus/x"])
def test_the_corpus_may_lie_in_the_output_folder(tmp_path, inside):
    put(tmp_path / "out" / inside, "b")
    job = plan(tmp_path / "out" / inside, tmp_path / "out", KINDS)
    assert ([u.file for u in job.utterances], job.failures) == (["b"], ())


def test_no_output_may_lie_in_the_corpus(tmp_path):
    put(tmp_path / "anna" / "anna", "b")
    put(tmp_path / "anna" / "bob", "b")
    job = plan(tmp_path / "anna", tmp_path)
    assert [u.file for u in job.utterances] == ["bob/b"]
    assert [(f.utterance.file, f.fault) for f in job.failures] == [("anna/b", Fault.OUTPUT)]
    assert "its output would lie in the corpus" in job.failures[0].rule


def test_a_folder_in_the_place_of_an_output(tmp_path):
    put(tmp_path / "corpus", "a")
    (tmp_path / "out" / "a.TextGrid").mkdir(parents=True)
    [failure] = plan(tmp_path / "corpus", tmp_path / "out").failures
    assert "a.TextGrid is a folder" in failure.rule


# Long names: 255 bytes fit in one on almost all disks.


@pytest.mark.parametrize(
    ("letter", "count"), [("a", 240), ("a", 246), ("\u00e9", 123), ("\u65e5", 82), ("a b. ", 49)]
)
def test_a_long_name_whose_output_fits_is_aligned(tmp_path, letter, count):
    name = letter * count
    put(tmp_path / "corpus", name)
    result = align(tmp_path / "corpus", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert [n for n, _ in read_textgrid(tmp_path / "out" / f"{name}.TextGrid")] == ["words", "phones"]
    assert not list((tmp_path / "out").rglob("*.part"))


@pytest.mark.parametrize(("letter", "count"), [("a", 248), ("\u00e9", 124), ("\u65e5", 83)])
def test_a_name_whose_output_does_not_fit_is_told_before_the_work(tmp_path, letter, count):
    put(tmp_path / "corpus", letter * count)
    put(tmp_path / "corpus", "b")
    (tmp_path / "out").mkdir()
    job = plan(tmp_path / "corpus", tmp_path / "out")
    assert [u.file for u in job.utterances] == ["b"]
    [failure] = job.failures
    assert failure.fault == Fault.OUTPUT
    assert f"has {len(os.fsencode(letter * count)) + 9} bytes, and 255 fit" in failure.rule
    assert failure.remedy == "give the recording a shorter name"


def test_only_the_formats_that_are_asked_for_must_fit(tmp_path):
    put(tmp_path / "corpus", "a" * 246)
    assert plan(tmp_path / "corpus", tmp_path / "out", ["json"]).failures == ()
    assert "its output .ctm" in plan(tmp_path / "corpus", tmp_path / "out", ["ctm"]).failures[0].rule


def test_a_path_that_is_too_long(tmp_path):
    deep = tmp_path.joinpath(*["d" * 200] * 21)
    assert "its path has" in too_long(deep / "a.TextGrid")
    assert too_long(tmp_path / "a.TextGrid") == ""


def test_a_temporary_file_fits_where_its_file_does(tmp_path):
    for name in ("a" * 255, "\u65e5" * 85, "a"):
        with written_whole(tmp_path / name) as one, written_whole(tmp_path / name) as two:
            assert one != two
            assert one.parent == two.parent == tmp_path
            for beside in (one, two):
                beside.write_text("x")
        assert (tmp_path / name).read_text() == "x"
    assert len(list(tmp_path.iterdir())) == 3


def test_other_names_of_outputs_are_cautions_of_the_plan(tmp_path):
    places = Places(tmp_path / "corpus", tmp_path / "out")
    assert places.taken_by("run", ["textgrid", "json"]) is None
    [caution] = places.renamed
    assert (caution.where, caution.fault) == ("run", Notice.NAME)


def test_a_video_beside_its_sound_is_named(tmp_path):
    put(tmp_path, "a")
    (tmp_path / "a.mp4").write_bytes(b"0")
    found = find(tmp_path)
    assert (len(found.utterances), found.failures) == (1, ())
    [caution] = found.cautions
    assert (caution.where, caution.fault) == ("a.mp4", Notice.UNREAD_FILE)
