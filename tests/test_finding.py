"""What users' folders look like: links, names of other systems, what lies beside, and what is not there."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.places import SAMPLE
from support.processes import BOUND

from aligner import DataError, find
from aligner.cli import align as command
from aligner.cli import main
from aligner.corpus.find import find_one, find_recordings
from aligner.corpus.labels import find_labels
from aligner.corpus.naming import ByName, paired
from aligner.corpus.walk import Why, walk
from aligner.evaluate.folders import evaluate
from aligner.formats.textgrid import write_textgrid
from aligner.run.plan import check_place
from aligner.types import Fault, Interval, Notice

RECORDING = SAMPLE / "rms" / "kitchen.flac"
TEXT = "There is a pot of soup on the kitchen table."
NFC, NFD = (unicodedata.normalize(form, "Jos\u00e9 Ha\u0161") for form in ("NFC", "NFD"))


@pytest.fixture
def corpus(tmp_path):
    """A folder with one recording and its transcript."""
    put(tmp_path / "corpus" / "anna", "a")
    return tmp_path / "corpus"


def put(folder: Path, stem: str, text: str | None = TEXT, suffix: str = ".lab", name: str = "") -> None:
    """Put a recording with its transcript into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(RECORDING, folder / f"{stem}.flac")
    if text is not None:
        (folder / f"{name or stem}{suffix}").write_text(text)


@pytest.mark.parametrize("mark", ["\n", "\r", "\u2028"])
def test_a_name_with_a_line_break_leaves_messages_in_one_line(corpus, mark):
    put(corpus, f"b{mark}c", None)
    written = f"b{mark}c".encode("unicode_escape").decode()
    for call in (["align", str(corpus), str(corpus.parent / "out")], ["validate", str(corpus)]):
        result = CliRunner().invoke(main, call)
        assert f"{written}: the recording has no transcript" in " ".join(result.output.splitlines())
        assert not any(line.startswith("c") for line in result.output.splitlines())
    assert f"{written}: there is no such" in CliRunner().invoke(main, ["align", f"b{mark}c", "o"]).output


def files(found) -> list[str]:
    return [u.file for u in found.utterances]


def faults(found) -> list[str]:
    return sorted(f"{f.utterance.file}: {f.fault}" for f in found.failures)


def cautions(found) -> list[str]:
    return [f"{c.where}: {c.fault}" for c in found.cautions]


def align(*arguments):
    return CliRunner().invoke(command, [str(a) for a in arguments])


# Links.


def test_a_link_to_a_folder_is_followed_and_names_the_speaker(corpus, tmp_path):
    put(tmp_path / "elsewhere" / "deep", "b")
    (corpus / "bob").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    found = find(corpus)
    assert files(found) == ["anna/a", "bob/deep/b"]
    assert (found.failures, found.cautions) == ((), ())
    assert found.linked == ((tmp_path / "elsewhere").resolve(),)


def test_a_corpus_of_links_only(tmp_path):
    put(tmp_path / "disk" / "anna", "a")
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "zoe").symlink_to("../disk/anna")
    [utterance] = find(tmp_path / "corpus").utterances
    assert (utterance.file, utterance.speaker) == ("zoe/a", "zoe")


def test_the_corpus_itself_may_be_a_link(corpus, tmp_path):
    (tmp_path / "mine").symlink_to(corpus)
    assert files(find(tmp_path / "mine")) == ["anna/a"]


def test_links_of_links_are_followed(corpus, tmp_path):
    put(tmp_path / "disk", "b")
    (tmp_path / "one").symlink_to(tmp_path / "disk")
    (corpus / "two").symlink_to(tmp_path / "one")
    assert files(find(corpus)) == ["anna/a", "two/b"]


def test_a_link_inside_a_linked_folder_is_followed(corpus, tmp_path):
    put(tmp_path / "second", "c")
    put(tmp_path / "first", "b")
    (tmp_path / "first" / "more").symlink_to(tmp_path / "second")
    (corpus / "link").symlink_to(tmp_path / "first")
    assert files(find(corpus)) == ["anna/a", "link/b", "link/more/c"]


@pytest.mark.parametrize("target", [".", "..", "../anna", "../../corpus"])
def test_a_loop_is_told_and_ends(corpus, target):
    (corpus / "anna" / "round").symlink_to(target)
    found = find(corpus)
    assert files(found) == ["anna/a"]
    assert found.failures == ()
    [caution] = found.cautions
    assert (caution.where, caution.fault) == ("anna/round", Notice.LINK)
    assert "it lies in" in caution.rule


def test_a_folder_that_is_linked_too_is_read_once_where_it_lies(corpus):
    (corpus / "Aaron").symlink_to("anna")  # sorted before it
    found = find(corpus)
    assert files(found) == ["anna/a"]
    assert cautions(found) == ["Aaron: link"]
    assert "is read already" in found.cautions[0].rule


def test_two_links_to_one_folder_are_one(corpus, tmp_path):
    put(tmp_path / "disk", "b")
    for name in ("x", "y", "z"):
        (corpus / name).symlink_to(tmp_path / "disk")
    found = find(corpus)
    assert files(found) == ["anna/a", "x/b"]
    assert cautions(found) == ["y: link"]
    assert "and so is 1 more" in found.cautions[0].rule


def test_a_linked_folder_that_holds_the_corpus_ends(corpus):
    (corpus / "up").symlink_to(corpus.parent)
    put(corpus.parent / "beside", "b")
    found = find(corpus)
    assert files(found) == ["anna/a"] or files(found) == ["anna/a", "up/beside/b"]
    assert Notice.LINK in {c.fault for c in found.cautions}


def test_a_link_to_a_file_is_that_file(corpus, tmp_path):
    put(tmp_path / "disk", "b")
    (corpus / "anna" / "b.flac").symlink_to(tmp_path / "disk" / "b.flac")
    (corpus / "anna" / "b.lab").symlink_to(tmp_path / "disk" / "b.lab")
    found = find(corpus)
    assert files(found) == ["anna/a", "anna/b"]
    assert {u.speaker for u in found.utterances} == {"anna"}


def test_a_link_that_leads_nowhere_is_a_failure_of_its_recording(corpus):
    (corpus / "anna" / "gone.wav").symlink_to("/nowhere/gone.wav")
    (corpus / "anna" / "gone.lab").write_text(TEXT)
    found = find(corpus)
    assert files(found) == ["anna/a"]
    assert faults(found) == ["anna/gone.wav: unreadable"]
    assert "/nowhere/gone.wav" in found.failures[0].rule


def test_a_transcript_that_is_a_link_to_nowhere_is_named(corpus):
    put(corpus / "anna", "b", None)
    (corpus / "anna" / "b.txt").symlink_to("/nowhere/b.txt")
    [failure] = find(corpus).failures
    assert failure.utterance.file == "anna/b"
    assert "b.txt: it is a link to something that is not there" in failure.rule
    with pytest.raises(DataError, match=r"b\.txt: it is a link"):
        find_one(corpus / "anna" / "b.flac")


def test_a_folder_link_to_nowhere_is_a_failure(corpus):
    (corpus / "bob").symlink_to("/nowhere/bob")
    assert faults(find(corpus)) == ["bob: unreadable"]


def test_another_link_to_nowhere_is_a_caution(corpus):
    (corpus / "paper.pdf").symlink_to("/nowhere/paper.pdf")
    found = find(corpus)
    assert (faults(found), cautions(found)) == ([], ["paper.pdf: link"])


def test_a_link_to_itself_does_not_hang(corpus):
    (corpus / "self").symlink_to("self")
    (corpus / "anna" / "b.wav").symlink_to("b.wav")
    assert faults(find(corpus)) == ["anna/b.wav: unreadable", "self: unreadable"]


def test_only_broken_links_are_no_empty_folder(tmp_path):
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "anna").symlink_to("/nowhere/anna")
    with pytest.raises(DataError, match=r"no recording in this folder .*anna: it is a link to something"):
        find(tmp_path / "c")


def test_labels_and_recordings_are_found_through_links_too(corpus, tmp_path):
    write_textgrid(tmp_path / "disk" / "a.TextGrid", {"words": [Interval(0, 1, "x")]}, 1.0)
    (tmp_path / "ref").mkdir()
    (tmp_path / "ref" / "anna").symlink_to(tmp_path / "disk")
    assert list(find_labels(tmp_path / "ref")) == ["anna/a"]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "link").symlink_to(corpus)
    assert list(find_recordings(tmp_path / "other")) == ["link/anna/a"]


def test_out_may_not_lie_where_a_link_of_the_corpus_leads(corpus, tmp_path):
    put(tmp_path / "disk", "b")
    (corpus / "bob").symlink_to(tmp_path / "disk")
    with pytest.raises(DataError, match=r"lies in the corpus .*by a link to"):
        check_place(corpus, tmp_path / "disk" / "out", find(corpus).linked)
    check_place(corpus, tmp_path / "out", find(corpus).linked)


# What is no file.


def test_pipes_and_sockets_are_named_and_never_waited_for(corpus, tmp_path, monkeypatch):
    os.mkfifo(corpus / "anna" / "pipe.wav")
    os.mkfifo(corpus / "anna" / "pipe.lab")
    put(corpus / "anna", "b", None)
    os.mkfifo(corpus / "anna" / "b.txt")
    monkeypatch.chdir(corpus)  # names of sockets are short
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("s.flac")
        found = find(corpus)
    assert files(found) == ["anna/a"]
    assert faults(found) == ["anna/b: bad-transcript", "anna/pipe.wav: unreadable", "s.flac: unreadable"]
    assert all("pipe, socket or device" in f.rule for f in found.failures)


def test_one_recording_that_is_no_file_is_told(corpus, tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "gone.wav").symlink_to("/nowhere/gone.wav")
    with pytest.raises(DataError, match="pipe, socket or device"):
        find_one(tmp_path / "pipe.wav", "hello")
    with pytest.raises(DataError, match=r"a link to something that is not there .*/nowhere/gone\.wav"):
        find_one(tmp_path / "gone.wav", "hello")
    with pytest.raises(DataError, match=r"did you mean a\.flac\?"):
        find_one(corpus / "anna" / "A.FLAC")


def test_an_output_folder_that_is_a_link_to_nowhere_is_told(corpus, tmp_path):
    (tmp_path / "out").symlink_to("/nowhere/out")
    result = align(corpus, tmp_path / "out")
    assert result.exit_code == 2
    assert "it is a link to something that is not there" in result.output


def test_a_folder_named_as_a_recording_is_a_folder(corpus):
    put(corpus / "anna.wav", "b")
    (corpus / "anna" / "c.lab").mkdir()
    assert files(find(corpus)) == ["anna/a", "anna.wav/b"]


def test_a_folder_without_rights_is_a_failure(corpus):
    put(corpus / "bob", "b")
    (corpus / "bob").chmod(0)
    code = "import sys; from aligner import find; print(*(f.message for f in find(sys.argv[1]).failures))"
    done = subprocess.run(
        [sys.executable, "-c", BOUND, "-c", code, str(corpus)], capture_output=True, text=True
    )
    (corpus / "bob").chmod(0o700)
    assert done.stdout == "the folder cannot be read (Permission denied): check its rights\n", done.stderr


# Names.


@pytest.mark.parametrize(("recording", "transcript"), [(NFC, NFD), (NFD, NFC), (NFD, NFD)])
@pytest.mark.parametrize("suffix", [".lab", ".txt"])
def test_accents_coded_in_two_ways_are_one_name(tmp_path, recording, transcript, suffix):
    put(tmp_path / "c", recording, suffix=suffix, name=transcript)
    found = find(tmp_path / "c")
    assert files(found) == [recording]  # as it is written on the disk: so are the outputs
    assert (found.failures, found.cautions) == ((), ())
    assert find_one(tmp_path / "c" / f"{recording}.flac").utterances[0].transcript == TEXT


@pytest.mark.parametrize("table", ["metadata.csv", "transcripts.tsv", "Metadata.CSV", "TRANSCRIPTS.TSV"])
@pytest.mark.parametrize(("recording", "row"), [(NFC, NFD), (NFD, NFC)])
def test_rows_of_tables_match_in_either_coding(tmp_path, table, recording, row):
    put(tmp_path / "c" / recording, recording, None)
    gap = "|" if table.lower().endswith("csv") else "\t"
    (tmp_path / "c" / table).write_text(f"{row}/{row}{gap}{TEXT}\n")
    found = find(tmp_path / "c")
    assert (files(found), found.failures) == ([f"{recording}/{recording}"], ())


def test_speakers_are_composed_whatever_names_them(tmp_path):
    put(tmp_path / "c" / NFD, "a")
    write_textgrid(tmp_path / "c" / "b.TextGrid", {NFD: [Interval(0, 2, TEXT)]}, 2.0)
    shutil.copy(RECORDING, tmp_path / "c" / "b.flac")
    assert {u.speaker for u in find(tmp_path / "c").utterances} == {NFC}


@pytest.mark.parametrize(
    ("recording", "transcript"),
    [
        ("A.FLAC", "a.txt"),
        ("a.flac", "A.TXT"),
        ("SA1.Flac", "sa1.Lab"),
        ("a.flac", "a.LAB"),
        ("\u00c9t\u00c9.flac", "e\u0301te\u0301.txt"),
        ("STRASSE.flac", "stra\u00dfe.txt"),
        ("a.b.flac", "a.b.txt"),
        ("a..flac", "a..txt"),
        ("a. .flac", "a. .txt"),
        (" a.flac", " a.txt"),
        ("a b.c d.flac", "a b.c d.lab"),
        ("a;b&c$d.flac", "a;b&c$d.lab"),
        ("[a]*?.flac", "[a]*?.lab"),
        ("-a.flac", "-a.txt"),
        ("1.flac", "1.txt"),
        ("\u65e5\u672c\u8a9e.flac", "\u65e5\u672c\u8a9e.txt"),
    ],
)
def test_one_name_in_another_case_or_odd_is_one(tmp_path, recording, transcript):
    shutil.copy(RECORDING, tmp_path / recording)
    (tmp_path / transcript).write_text(TEXT)
    found = find(tmp_path)
    assert [u.transcript for u in found.utterances] == [TEXT]
    assert (found.failures, found.cautions) == ((), ())
    assert find_one(tmp_path / recording).utterances == found.utterances


@pytest.mark.parametrize(
    ("recording", "transcript"),
    [
        ("a.flac", "a.flac.txt"),
        ("a.flac", "a.wav.TextGrid"),
        ("my file.flac", "my_file.TextGrid"),
        ("a.flac", "a .txt"),
        ("a.flac", "a..lab"),
        ("a-1.flac", "a_1.lab"),
        ("a.b.flac", "a_b.TextGrid"),
    ],
)
def test_a_name_that_a_program_changed_is_taken_and_told(tmp_path, recording, transcript):
    shutil.copy(RECORDING, tmp_path / recording)
    if transcript.endswith("TextGrid"):
        write_textgrid(tmp_path / transcript, {"anna": [Interval(0, 2, TEXT)]}, 2.0)
    else:
        (tmp_path / transcript).write_text(TEXT)
    found = find(tmp_path)
    assert [u.transcript for u in found.utterances] == [TEXT]
    assert found.failures == ()
    assert cautions(found) == [f"{transcript}: name"]


def test_an_exact_name_counts_before_one_that_is_alike(tmp_path):
    for name in ("a", "A", "a b", "a_b"):
        put(tmp_path, name, name)
    found = find(tmp_path)
    assert [(u.file, u.transcript) for u in found.utterances] == [(n, n) for n in ("A", "a", "a b", "a_b")]
    assert found.cautions == ()


def test_what_may_belong_to_two_belongs_to_neither(tmp_path):
    for name in ("SA1", "Sa1"):
        put(tmp_path, name, None)
    (tmp_path / "sa1.lab").write_text(TEXT)
    assert faults(find(tmp_path)) == ["SA1: no-transcript", "Sa1: no-transcript", "sa1: no-recording"]


def test_one_more_transcript_in_another_coding_is_no_orphan(tmp_path):
    put(tmp_path, NFC)
    (tmp_path / f"{NFD}.TextGrid").write_text("not looked at")
    found = find(tmp_path)
    assert (len(found.utterances), found.failures) == (1, ())
    assert [c.fault for c in found.cautions] == [Notice.EXTRA_TRANSCRIPT]


def test_rows_written_on_windows_or_in_another_case(tmp_path):
    put(tmp_path / "anna", "One", None)
    put(tmp_path / "anna", "two", None)
    (tmp_path / "transcripts.tsv").write_text("anna\\one.FLAC\tHello\nANNA/Two\tBye\n")
    found = find(tmp_path)
    assert [u.transcript for u in found.utterances] == ["Hello", "Bye"]
    assert found.failures == ()


def test_things_found_by_name():
    found = ByName({NFD: 1, "SA1": 2, "sa1": 3, "Z": 4})
    assert (found[NFC], found["sa1"], found.get("Sa1"), found["z"]) == (1, 3, None, 4)
    assert {NFC, "z", "q"} - found.keys() == {"q"}


def test_pairs_stay_in_their_folders():
    found = paired([Path("x/a"), Path("y/a")], [Path("x/a.txt"), Path("z/a.txt")])
    assert found.by_stem == {Path("x/a"): Path("x/a.txt")}
    assert found.spare == (Path("z/a.txt"),)


# What is hidden, empty, or of the system.


def test_files_of_the_system_are_passed_over_in_silence(corpus):
    for name in ("._a.flac", "._a.lab", ".DS_Store", "Thumbs.db", "desktop.ini", "Icon\r", "a.pkf", "a.asd"):
        (corpus / "anna" / name).write_bytes(b"\0")
    put(corpus / "__MACOSX" / "anna", "x", None)
    put(corpus / ".git" / "objects", "y", None)
    found = find(corpus)
    assert (files(found), found.failures, found.cautions) == (["anna/a"], (), ())


def test_hidden_recordings_are_told(corpus):
    put(corpus / "anna", ".b")
    found = find(corpus)
    assert cautions(found) == ["anna/.b.flac: unread-file"]
    assert "begin with a dot" in found.cautions[0].rule


def test_only_hidden_recordings_are_no_empty_folder(tmp_path):
    put(tmp_path / "c", ".b")
    with pytest.raises(DataError, match=r"no recording in this folder .*\.b\.flac, whose names begin"):
        find(tmp_path / "c")


def test_a_folder_without_recordings_says_what_is_there(tmp_path):
    for name in ("a.txt", "b.txt", "c.pdf"):
        (tmp_path / name).write_text("x")
    with pytest.raises(DataError, match=r"no recording in this folder \(2 \.txt; 1 \.pdf\)"):
        find(tmp_path)


@pytest.mark.parametrize("name", ["notes.txt", "metadata.txt", "README 2.txt", "to do.txt"])
def test_a_text_without_a_recording_is_a_caution(corpus, name):
    (corpus / "anna" / name).write_text("Anna was recorded on Monday.")
    found = find(corpus)
    assert (files(found), found.failures) == (["anna/a"], ())
    assert len(found.cautions) == (0 if name.startswith("README") else 1)
    assert all(c.fault == Fault.NO_RECORDING for c in found.cautions)


@pytest.mark.parametrize("place", ["", "anna", "papers"])
def test_notes_are_named_wherever_they_lie(corpus, place):
    (corpus / place).mkdir(exist_ok=True)
    (corpus / place / "notes.txt").write_text("Anna was recorded on Monday.")
    found = find(corpus)
    assert (found.failures, [Path(c.where).name for c in found.cautions]) == ((), ["notes.txt"])


@pytest.mark.parametrize(
    ("other", "content", "told"),
    [
        ("a.txt", "Something else.", True),
        ("A.TXT", "Something else.", True),
        ("a.TextGrid", "no TextGrid", True),
        ("a.txt", TEXT.replace(" ", "\r\n"), False),
        ("a.txt", f"\ufeff{TEXT}\n", False),
    ],
)
def test_a_transcript_beside_the_one_that_counts_is_named_where_it_says_something_else(
    corpus, other, content, told
):
    (corpus / "anna" / other).write_text(content, encoding="utf-8")
    found = find(corpus)
    extra = [c for c in found.cautions if c.fault == Notice.EXTRA_TRANSCRIPT]
    assert [c.where for c in extra] == ([f"anna/{other}"] if told else [])
    assert found.utterances[0].transcript == TEXT


@pytest.mark.parametrize("name", ["README", "README.txt", "README.md", "LICENSE", "license.txt", "metadata"])
def test_what_is_for_people_is_left_alone(corpus, name):
    for folder in (corpus, corpus / "anna"):
        (folder / name).write_text("MIT")
    found = find(corpus)
    assert (files(found), found.failures, found.cautions) == (["anna/a"], (), ())


def test_texts_alone_are_told_once_a_folder(corpus):
    for name in "bcdefg":
        (corpus / "anna" / f"{name}.txt").write_text(TEXT)
    [caution] = find(corpus).cautions
    assert caution.where == "anna/b.txt"
    assert "nor have c.txt, d.txt, e.txt and 2 more" in caution.rule


def test_a_lab_without_a_recording_is_a_failure(corpus):
    (corpus / "anna" / "b.lab").write_text(TEXT)
    assert faults(find(corpus)) == ["anna/b: no-recording"]


def test_a_recording_of_no_bytes_fails_alone(corpus):
    (corpus / "anna" / "b.txt").touch()
    (corpus / "anna" / "c.txt").touch()
    found = find(corpus)
    assert (files(found), found.failures) == (["anna/a"], ())


# What lies beside.

BESIDE = {
    ".eaf": "Export As > Praat TextGrid",
    ".srt": "b.txt",
    ".vtt": "b.txt",
    ".cha": "chat2praat",
    ".exb": "Praat TextGrid",
    ".trs": "Praat TextGrid",
    ".json": "b.txt",
    ".docx": "b.txt",
    ".pdf": "b.txt",
    ".rtf": "b.txt",
    ".md": "b.txt",
    ".EAF": "Export As > Praat TextGrid",
    ".csv": "transcripts.tsv",
    ".stm": "b.TextGrid",
    ".scp": "transcripts.tsv",
    ".jsonl": "transcripts.tsv",
}


@pytest.mark.parametrize("suffix", BESIDE)
def test_what_is_not_read_is_named_with_the_way_to_use_it(corpus, suffix):
    for name in ("b", "c"):
        put(corpus / "anna", name)
        (corpus / "anna" / f"{name}{suffix}").write_text("<x/>")
    found = find(corpus)
    assert found.failures == ()
    [caution] = found.cautions
    assert (caution.where, caution.fault) == (f"anna/b{suffix}", Notice.UNREAD_FILE)
    assert f"({suffix.lower()}) are not read, neither this nor 1 more" in caution.rule
    assert BESIDE[suffix] in caution.remedy


@pytest.mark.parametrize("suffix", BESIDE)
def test_a_recording_without_a_transcript_names_what_is_there_instead(corpus, suffix):
    put(corpus / "anna", "b", None)
    (corpus / "anna" / f"b{suffix}").write_text("<x/>")
    [failure] = find(corpus).failures
    assert failure.fault == Fault.NO_TRANSCRIPT
    assert f"b{suffix} (" in failure.remedy
    assert BESIDE[suffix] in failure.remedy
    assert "put b.lab, .txt or .TextGrid beside it" in failure.remedy
    with pytest.raises(DataError, match=r"is not read: .*\(--text\)"):
        find_one(corpus / "anna" / "b.flac")


@pytest.mark.parametrize("name", ["dataset.json", "a.css", "a.phn", "a.wrd", "log.csv", "paper.pdf"])
def test_what_is_no_transcript_is_not_named(corpus, name):
    (corpus / "anna" / name).write_text("x")
    assert find(corpus).cautions == ()


# Tables.


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("metadata.csv", ["a|Well, no", "b|Yes"]),
        ("metadata.csv", ["id|text|normalized_text", "a|W. no|Well, no", "b|Yes|Yes"]),
        ("metadata.csv", ["file_name,transcription", 'a.flac,"Well, no"', "b.flac,Yes"]),
        ("metadata.csv", ["file_name;speaker;text", "a.flac;anna;Well, no", "b.flac;bob;Yes"]),
        ("metadata.csv", ["audio\ttranscript", "a.flac\tWell, no", "b.flac\tYes"]),
        ("Metadata.CSV", ["text,file", '"Well, no",a', "Yes,b"]),
        ("transcripts.tsv", ["a\tWell, no", "b\tYes"]),
        ("x.trans.txt", ["a Well, no", "b Yes"]),
    ],
)
def test_tables_as_others_write_them(tmp_path, name, lines):
    for stem in "ab":
        put(tmp_path, stem, None)
    (tmp_path / name).write_text("\n".join(lines) + "\n")
    found = find(tmp_path)
    assert [u.transcript for u in found.utterances] == ["Well, no", "Yes"]
    assert (found.failures, found.cautions) == ((), ())
    assert find_one(tmp_path / "a.flac").utterances[0].transcript == "Well, no"


def test_librispeech(tmp_path):
    folder = tmp_path / "84" / "121123"
    put(folder, "84-121123-0000", None)
    (folder / "84-121123.trans.txt").write_text("84-121123-0000 GO DO YOU HEAR\n")
    [utterance] = find(tmp_path).utterances
    assert (utterance.transcript, utterance.speaker) == ("GO DO YOU HEAR", "84")


@pytest.mark.parametrize("lines", [["name,age,sex", "anna,30,f"], ["# how it was made", "by hand"], [""]])
def test_a_metadata_file_about_something_else_is_a_caution(corpus, lines):
    (corpus / "metadata.csv").write_text("\n".join(lines))
    found = find(corpus)
    assert (files(found), found.failures) == (["anna/a"], ())
    assert cautions(found) == ["metadata.csv: unread-file"]


# Walking, and comparing folders.


def test_a_folder_that_is_not_there_is_empty(tmp_path):
    assert walk(tmp_path / "nowhere").files == ()
    assert walk(tmp_path / "nowhere").odd[0].why is Why.CLOSED


@pytest.mark.parametrize(("mine", "theirs"), [(NFC, NFD), ("SA1", "sa1"), (f"x/{NFD}", f"X/{NFC}")])
def test_labels_are_compared_whatever_the_coding_and_case_of_their_names(tmp_path, mine, theirs):
    for folder, name in (("ref", mine), ("out", theirs)):
        path = tmp_path / folder / f"{name}.TextGrid"
        write_textgrid(path, {"phones": [Interval(0, 1, "aa"), Interval(1, 2, "b")]}, 2.0)
    found = evaluate(tmp_path / "ref", tmp_path / "out")
    assert (found.report.missing, found.problems) == (0, ())


def test_one_recording_is_compared_in_the_other_coding_too(tmp_path):
    for folder, name in (("ref", NFC), ("out", NFD)):
        for other in ("", "x"):
            path = tmp_path / folder / f"{name}{other}.TextGrid"
            write_textgrid(path, {"phones": [Interval(0, 1, "aa")]}, 1.0)
    found = evaluate(tmp_path / "ref", tmp_path / "out", only={NFD})
    assert (found.report.files, found.report.missing) == (1, 0)


def test_folders_without_a_common_name_are_told_with_names_of_both(tmp_path):
    for path in ("ref/anna/one", "ref/anna/two", "out/one", "out/two", "out/three", "out/four"):
        write_textgrid(tmp_path / f"{path}.TextGrid", {"phones": [Interval(0, 1, "aa")]}, 1.0)
    found = evaluate(tmp_path / "ref", tmp_path / "out")
    [problem] = found.problems
    assert "there are 'anna/one', 'anna/two'; here are 'four', 'one', 'three' and 1 more" in problem.rule
    assert "2 have one name in other folders" in problem.remedy


def test_the_sentences_of_a_run_are_no_labels_beside_its_own(tmp_path):
    for path in ("a", "segments/a", "segments/b"):
        write_textgrid(tmp_path / f"{path}.TextGrid", {"phones": [Interval(0, 1, "aa")]}, 1.0)
    assert list(find_labels(tmp_path)) == ["a", "segments/b"]


def test_a_file_is_no_folder_of_labels(corpus):
    with pytest.raises(DataError, match="it is a file, not a folder"):
        find_labels(corpus / "anna" / "a.lab")


def test_references_without_any_tier_are_an_error(tmp_path):
    for name in ("a", "b"):
        write_textgrid(tmp_path / "ref" / f"{name}.TextGrid", {"sentences": [Interval(0, 1, "a b")]}, 1.0)
        write_textgrid(tmp_path / "out" / f"{name}.TextGrid", {"phones": [Interval(0, 1, "aa")]}, 1.0)
    with pytest.raises(
        DataError, match=r"no references in it: a\.TextGrid: .*, nor has 1 more: .*'sentences'"
    ):
        evaluate(tmp_path / "ref", tmp_path / "out")


def test_a_reference_without_tiers_is_told_before_the_work(corpus, tmp_path):
    write_textgrid(tmp_path / "ref" / "anna" / "a.TextGrid", {"x": [Interval(0, 1, "a b")]}, 1.0)
    result = align(corpus, tmp_path / "out", "-r", tmp_path / "ref")
    assert (result.exit_code, (tmp_path / "out").exists()) == (2, False)
    assert "there are no references in it: a.TextGrid: it has no tier" in result.output
    assert "aligner evaluate --phones TIER" in result.output


def test_a_reference_of_other_recordings_is_told_before_the_work(corpus, tmp_path):
    write_textgrid(tmp_path / "ref" / "a.TextGrid", {"phones": [Interval(0, 1, "aa")]}, 1.0)
    result = align(corpus, tmp_path / "out", "-r", tmp_path / "ref")
    assert (result.exit_code, (tmp_path / "out").exists()) == (2, False)
    assert "no labels of any recording: here are 'a'; the recordings are 'anna/a'" in result.output


def test_a_run_over_what_users_have(corpus, tmp_path):
    """What can be aligned is, what cannot is named before the work and after it, and what is odd is said."""
    put(tmp_path / "disk", NFD, name=NFC)
    (corpus / "eve").symlink_to(tmp_path / "disk")
    (corpus / "gone").symlink_to("/nowhere")
    (corpus / "anna" / "notes.txt").write_text("Monday")
    (corpus / "anna" / "a.eaf").write_text("<a/>")
    result = align(corpus, tmp_path / "out")
    assert result.exit_code == 1
    assert result.output.startswith(
        "before the work: 1 of 3 files cannot be aligned as they are: gone: it is"
    )
    assert (tmp_path / "out" / "eve" / f"{NFD}.TextGrid").is_file()
    warnings = [line for line in result.output.splitlines() if line.startswith("warning   ")]
    assert [line.split()[1] for line in warnings] == ["anna/notes.txt:", "anna/a.eaf:"]
    (corpus / "gone").unlink()
    again = align(corpus, tmp_path / "out")
    assert again.exit_code == 0, again.output
    assert "skipped   2 files" in again.output
