"""What is wrong with a corpus: faults are planted, and exactly those must be told, as `align` would tell
them.
"""

from __future__ import annotations

import csv
import os
import re
import shutil
from collections import Counter
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from support.bad_input import CASES, speech, textgrid_of, write_wav
from support.places import SAMPLE

import aligner.check.validate
from aligner import Options as align_options
from aligner.check.faults import ERROR, KINDS, WARNING
from aligner.check.validate import Options, speller, validate
from aligner.cli import align, main
from aligner.corpus import audio
from aligner.run.align import align_file
from aligner.types import AlignerError, DataError, Fault

KITCHEN = "There is a pot of soup on the kitchen table."
Row = tuple[str, str, str]  # severity, kind, file
remembered = lru_cache(speller)  # a dictionary takes a second to read


@pytest.fixture(autouse=True)
def _dictionaries_are_read_once(monkeypatch):
    monkeypatch.setattr(aligner.check.validate, "speller", remembered)


def run(*arguments):
    return CliRunner().invoke(main, ["validate", *map(str, arguments)])


def rows_of(corpus: Path, **options) -> list[Row]:
    return sorted(
        (p.severity, p.kind, p.utterance.file) for p in validate(corpus, Options(**options)).problems
    )


def error(kind: str, file: str = "anna/bad") -> Row:
    return ERROR, kind, file


def warning(kind: str, file: str = "anna/bad") -> Row:
    return WARNING, kind, file


def write(folder: Path, name: str, samples, text: str | None = KITCHEN, rate: int = 16000) -> None:
    soundfile.write(folder / f"{name}.wav", samples, rate)
    if text is not None:
        (folder / f"{name}.lab").write_text(text)


def said(text: str, seconds: float | None = None):
    """A recording of a sentence, with another transcript."""
    return lambda f: write(f, "bad", speech(seconds), text)


def at_rate(rate: int):
    """A recording at another rate; for 8 kHz, every other sample is enough."""
    return lambda f: write(
        f, "bad", np.repeat(speech(), 3)[::2] if rate == 24000 else speech()[::2], rate=rate
    )


def too_loud(folder: Path) -> None:
    write(folder, "bad", np.clip(speech() * 10, -1, 1))


def too_loud_in_silence(folder: Path) -> None:
    nothing = np.zeros(60 * 16000)
    write(folder, "bad", np.concatenate([nothing, np.clip(speech() * 10, -1, 1), nothing]))


def padded(folder: Path) -> None:
    write(folder, "bad", np.concatenate([speech(), np.random.default_rng(0).normal(0, 0.003, 16 * 16000)]))


def copied(folder: Path) -> None:
    for suffix in (".flac", ".lab"):
        shutil.copy(folder / f"kitchen{suffix}", folder / f"again{suffix}")


def twice_transcribed(folder: Path) -> None:
    write_wav(folder, speech())
    (folder / "bad.txt").write_text("something else")


def equally_transcribed(folder: Path) -> None:
    write_wav(folder, speech())
    shutil.copy(folder / "bad.lab", folder / "bad.txt")


def capitals_apart(folder: Path) -> None:
    write(folder, "Kitchen", speech())


def of_another_speaker(folder: Path) -> None:
    (folder.parent / "bob").mkdir()
    write(folder.parent / "bob", "only", speech())


def missing_row(folder: Path) -> None:
    (folder / "metadata.csv").write_text("bad|hello\n")


def broken_row(folder: Path) -> None:
    write(folder, "bad", speech(), None)
    (folder / "metadata.csv").write_text("bad\n")


FAULTS = {  # beside those of test_bad_input: what is done to the corpus, and the rows that come of it
    "clipped": (too_loud, [warning("clipped")]),
    "clipped, between minutes of nothing": (too_loud_in_silence, [warning("clipped")]),
    "a few samples": (said("a", 0.05), [warning("too-short")]),
    "low rate": (at_rate(8000), [warning("sample-rate")]),
    "another rate": (at_rate(24000), [warning("sample-rate")]),
    "slow": (padded, [warning("speech-rate")]),
    "fast": (said(f"{KITCHEN} {KITCHEN}", 2.5), [warning("speech-rate")]),
    "read as Latin-1": (said("the cafÃ© on the table"), [warning("odd-characters"), warning("oov")]),
    "replacement characters": (said("it isn\ufffd t there"), [warning("odd-characters"), warning("oov")]),
    "unknown word": (said("a zorblax"), [warning("oov")]),
    "another script": (said("你好"), [warning("oov")]),
    "brackets": (said("there [laughter] is"), [warning("brackets")]),
    "one recording twice": (copied, [warning("duplicate-recording", "anna/kitchen")]),
    "two transcripts": (twice_transcribed, [warning("extra-transcript")]),
    "two equal transcripts": (equally_transcribed, []),
    "capitals": (capitals_apart, [warning("duplicate-name", "anna/kitchen")]),
    "one utterance": (of_another_speaker, [warning("single-utterance-speaker", "bob/only")]),
    "row without recording": (missing_row, [error("no-recording")]),
    "broken row": (broken_row, [error("bad-transcript")]),
    "silence without transcript": (
        lambda f: write(f, "bad", np.zeros(9999), None),
        [error("no-transcript"), error("silent")],
    ),
    "low rate without transcript": (
        lambda f: write(f, "bad", speech(), None, 8000),
        [error("no-transcript"), warning("sample-rate")],
    ),
}
SUFFIXES = {"one name twice": ".flac", "a kind that is not read": ".raw"}
FAULTS |= {
    name: (make, [error(fault, f"anna/bad{SUFFIXES.get(name, '')}")])
    for name, (make, _, fault) in CASES.items()
}
FAULTS["very short"][1].append(warning("clipped"))  # a buzz: all of it is at the greatest magnitude
FAULTS["one name twice"][1].append(warning("duplicate-recording", "anna/kitchen"))  # it was made of that


@pytest.mark.parametrize(("make", "expected"), FAULTS.values(), ids=FAULTS)
def test_a_fault_and_no_other_is_told(corpus, make, expected):
    make(corpus / "anna")
    assert rows_of(corpus) == sorted(expected)
    result = run(corpus)
    assert result.exit_code == any(severity == ERROR for severity, _, _ in expected), result.output
    assert "Traceback" not in result.output


def test_all_kinds_are_planted():
    planted = {kind for _, rows in FAULTS.values() for _, kind, _ in rows}
    own_tests = {"dictionary", "odd-name", "memory", "internal", "unread-file", "link", "name", "text"}
    assert set(KINDS) - planted == own_tests


def test_nothing_is_wrong_with_a_clean_corpus(corpus):
    result = run(corpus)
    assert result.exit_code == 0
    assert "nothing is wrong" in result.output
    assert "would fail  0 of 2" in result.output
    assert "utterances  2, 0.002 hours" in result.output
    assert validate(corpus).problems == ()


def planted(corpus: Path) -> None:
    """All faults at once, each in a folder of its own."""
    for k, (make, _) in enumerate(FAULTS.values()):
        folder = corpus / f"case{k:02}" / "anna"
        folder.mkdir(parents=True)
        for name in ("kitchen.flac", "kitchen.lab"):
            shutil.copy(corpus / "anna" / name, folder)
        make(folder)


def test_errors_are_what_align_fails_on(corpus, tmp_path):
    """Each file, in a corpus that has all faults; and what is only warned of is aligned."""
    planted(corpus)
    out = tmp_path / "out"
    CliRunner().invoke(align, [str(corpus), str(out)])
    with (out / "alignment.csv").open(encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    failed = {r["file"] for r in table if r["status"] == "failed"}
    report = validate(corpus)
    assert {p.utterance.file for p in report.problems if p.severity == ERROR} == failed
    assert len(failed) == sum(any(s == ERROR for s, _, _ in rows) for _, rows in FAULTS.values())
    assert report.failing == sum(r["status"] == "failed" for r in table)
    assert report.utterances + report.others == len(table)


def test_all_faults_at_once(corpus, tmp_path):
    """The rows of each, and of the copies that planting made."""
    planted(corpus)
    table = tmp_path / "problems.csv"
    result = run(corpus, "--csv", table)
    assert result.exit_code == 1
    with table.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    alike = (
        "duplicate-recording",
        "single-utterance-speaker",
        "oov",
        "brackets",
    )  # is told of the corpus as a whole
    found = Counter((r["severity"], r["kind"]) for r in rows if r["kind"] not in alike)
    wanted = Counter(
        (s, kind) for _, expected in FAULTS.values() for s, kind, _ in expected if kind not in alike
    )
    assert found == wanted
    parts = dict(zip((ERROR, WARNING), result.output.split("\nwarnings: worth a look\n"), strict=True))
    for (severity, kind), count in Counter((r["severity"], r["kind"]) for r in rows).items():
        told = re.split(rf"^  {kind}\b.*\n", parts[severity], flags=re.M)[1].split("\n")
        shown = min(count, 10)
        assert all(line.startswith("    ") for line in told[:shown])
        assert told[shown].startswith("    ") == (count > 10)
        assert count <= 10 or told[shown] == f"    and {count - 10} more: see {table}"
    assert all(r["detail"] and r["remedy"] for r in rows)
    assert [r["severity"] for r in rows] == sorted(r["severity"] for r in rows)


def test_threads_change_nothing(corpus):
    planted(corpus)
    assert validate(corpus, Options(jobs=1)) == validate(corpus, Options(jobs=8))


def test_every_recording_is_read_once(corpus, monkeypatch):
    planted(corpus)
    read, told = Counter(), []
    original = audio.read

    def counted(utterance, rate, **how):
        read[utterance.audio, utterance.start] += 1
        return original(utterance, rate, **how)

    monkeypatch.setattr(audio, "read", counted)
    report = validate(corpus, notice=lambda done, total: told.append((done, total)))
    assert set(read.values()) == {1}
    assert {path for path, _ in read} == {p for p in corpus.rglob("*") if p.suffix in audio.SUFFIXES}
    assert told == [(k + 1, report.recordings) for k in range(report.recordings)]


@pytest.mark.parametrize(
    ("problem", "kind", "detail"),
    [
        (RuntimeError("oh"), Fault.INTERNAL, "looking at it failed (RuntimeError: oh)"),
        (MemoryError(), Fault.MEMORY, "there is not enough memory for it"),
    ],
    ids=str,
)
def test_a_fault_of_ours_does_not_end_it(corpus, monkeypatch, problem, kind, detail):
    original = audio.read

    def broken(utterance, rate, **how):
        if utterance.id == "anna/kitchen":
            raise problem
        return original(utterance, rate, **how)

    monkeypatch.setattr(audio, "read", broken)
    [problem] = validate(corpus).problems
    assert (problem.severity, problem.kind, problem.utterance.id) == (ERROR, kind, "anna/kitchen")
    assert problem.detail == detail


# Words.


def test_words_are_counted(corpus, tmp_path):
    """Wherever they are, in whatever case; in compounds, what is not known of them; and where first."""
    folder = corpus / "anna"
    write(folder, "one", speech(), "a zorblax, Zorblax and a zorblax-table")
    write(folder, "two", speech() * 0.9, "that quibbleford's zorblax")
    table = tmp_path / "oovs.csv"
    result = run(corpus, "--oovs", table)
    assert result.exit_code == 0
    with table.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(r["word"], r["count"], r["file"]) for r in rows] == [
        ("zorblax", "4", "anna/one"),
        ("quibbleford's", "1", "anna/two"),
    ]
    assert all(r["pronunciation"] for r in rows)
    zorblax = next(p for p in validate(corpus).problems if p.utterance.id == "anna/one")
    assert (zorblax.kind, zorblax.utterances) == ("oov", 2)
    assert "words       29; 5 of them (2 different) are not in the dictionary" in result.output


def test_without_g2p_words_fail_and_all_are_told(corpus, tmp_path):
    write(corpus / "anna", "bad", speech(), "a zorblax and a quibble quuxly zorblax")
    table = tmp_path / "oovs.csv"
    result = run(corpus, "--no-g2p", "--oovs", table)
    assert result.exit_code == 1
    assert rows_of(corpus, g2p=False) == [error("oov"), error("oov")]
    assert table.read_text() == "word,pronunciation,count,file\nzorblax,,2,anna/bad\nquuxly,,1,anna/bad\n"
    assert "would fail  1 of 3" in result.output


def test_bad_lines_of_a_dictionary_are_told(corpus, tmp_path):
    book = tmp_path / "my.dict"
    book.write_text("a\tAH\ncat\nwords\n")
    rows = [p for p in validate(corpus, Options(dictionary=book)).problems if p.kind == "dictionary"]
    [problem] = rows
    assert (problem.severity, problem.utterance.file) == (WARNING, str(book))
    assert "2 lines cannot be used" in problem.detail
    assert "line 2: 'cat' has no phones; line 3: 'words' has no phones" in problem.detail
    result = run(corpus, "-d", book, "--csv", tmp_path / "p.csv")
    assert "my.dict" in result.output
    assert "--add-words" in result.output  # the dictionary lacks most words
    assert "warning,dictionary," in (tmp_path / "p.csv").read_text()


def test_words_are_added(corpus, tmp_path):
    (corpus / "anna" / "kitchen.lab").write_text("There is a zyxomatic pot of soup on the kitchen table.")
    words = tmp_path / "words.dict"
    words.write_text("zyxomatic\tZ IH2 K S OW0 M AE1 T IH0 K\n")
    assert ("zyxomatic" in run(corpus).output, "zyxomatic" in run(corpus, "--add-words", words).output) == (
        True,
        False,
    )
    assert run(corpus, "--add-words", words, "--characters").exit_code == 2


def test_a_dictionary_is_used(corpus, tmp_path):
    book = tmp_path / "my.dict"
    book.write_text("".join(f"{word}\tA\n" for word in KITCHEN.lower().rstrip(".").split()))
    assert rows_of(corpus, dictionary=book, english=False) == [error("oov", "anna/winter")] * 8
    told = run(corpus, "-d", book, "-l", "sw").output
    assert "oov: add it there\n" in told  # G2P reads English only


def test_other_languages_have_no_unknown_words(corpus, tmp_path):
    write(corpus / "anna", "bad", speech(), "habari zorblax 20")
    table = tmp_path / "oovs.csv"
    result = run(corpus, "-l", "sw", "--oovs", table)
    assert result.exit_code == 0
    assert "none can be called unknown without a dictionary of 'sw'" in result.output
    assert table.read_text() == "word,pronunciation,count,file\n"


def test_characters_are_letters(corpus):
    write(corpus / "anna", "bad", speech(), "habari 20 yako 20 किताब")
    report = validate(corpus, Options(characters=True, english=False))
    [problem] = report.problems
    assert (problem.severity, problem.kind, problem.utterance.id) == (ERROR, "odd-characters", "anna/bad")
    assert problem.detail == "'20', said 2 times, cannot be spelled in letters"
    assert report.oovs is None
    assert rows_of(corpus, characters=True) == []  # in English, numbers are spoken out


@pytest.mark.parametrize(
    ("language", "text", "right"),
    [
        ("el", "καλημέρα σας", True),
        ("el", "kalimera sas", False),  # Latin letters by themselves are in the wrong script
        ("el", "καλημέρα σας από την microsoft", True),  # and among others they are not
        ("ru", "καλημέρα", False),
        ("fi", "доброе утро", False),
        ("cmn", "我们今天去", True),
        ("hr", "доброе утро", True),  # may be written in several
        ("xx-none", "доброе утро", True),  # no voice speaks it: it may be trained
        (None, "доброе утро", True),
    ],
)
def test_the_wrong_script_is_told_as_align_tells_it(corpus, language, text, right):
    pytest.importorskip("espeakng_loader")
    write(corpus / "anna", "bad", speech(2.0), text)
    options = Options(english=False, language=language)
    found = [p for p in validate(corpus / "anna" / "bad.wav", options).problems if p.severity == ERROR]
    if right:
        assert found == []
        return
    with pytest.raises(DataError) as caught:
        align_file(corpus / "anna" / "bad.wav", text, options=align_options(language=language))
    assert [(p.kind, p.detail, p.remedy) for p in found] == [
        (caught.value.fault, caught.value.rule, caught.value.remedy)
    ]
    assert validate(corpus / "anna" / "bad.wav", Options(english=False, characters=True)).failing == 0


def test_words_are_those_that_align_cuts(corpus):
    pytest.importorskip("espeakng_loader")
    pytest.importorskip("rjieba")
    write(corpus / "anna", "bad", speech(3.0), "我们今天去图书馆看书")
    assert validate(corpus / "anna" / "bad.wav", Options(english=False, language="cmn")).words == 5


# Lengths.


@pytest.mark.parametrize("rate", [16000, 22050])
def test_too_short_is_where_align_begins_to_fail(corpus, model, rate):
    """To the sample."""
    noise = np.random.default_rng(0).normal(0, 0.1, rate).astype(np.float32)
    text, least = "cat table", 8 * 3  # phones of at least three frames: K AE T, T EY B AH L
    fits = {}
    exact = ((least - 2) * 160 + 410) * rate / 16000  # samples from which on there are so many frames, about
    for samples in range(int(exact) - 3, int(exact) + 4):
        write(corpus / "anna", "bad", noise[:samples], text, rate)
        try:
            align_file(corpus / "anna" / "bad.wav", text, model=model)
            fits[samples] = True
        except AlignerError:
            fits[samples] = False
        told = error("too-short") in rows_of(corpus)
        assert told != fits[samples], samples
    assert set(fits.values()) == {True, False}


# Where, and what to do.


def test_of_two_transcripts_elsewhere_none_is_named(corpus):
    write(corpus / "anna", "bad", speech(), None)
    for place in ("one", "two"):
        (corpus / place).mkdir()
        (corpus / place / "bad.txt").write_text(KITCHEN)
    problem = next(p for p in validate(corpus).problems if p.kind == "no-transcript")
    assert problem.remedy == "put bad.lab, .txt or .TextGrid beside it"


def test_utterances_of_a_recording_have_their_times(corpus, tmp_path):
    textgrid_of((0, 1.5, "there is a zorblax"), (1.6, 1.7, KITCHEN))(corpus / "anna")
    table = tmp_path / "problems.csv"
    run(corpus, "--csv", table)
    with table.open(encoding="utf-8") as file:
        rows = {r["kind"]: r for r in csv.DictReader(file)}
    assert set(rows) == {"too-short", "oov"}
    assert (rows["too-short"]["file"], rows["too-short"]["start"], rows["too-short"]["end"]) == (
        "anna/bad",
        "1.6",
        "1.7",
    )


def test_a_recording_that_cannot_be_read_is_one_row(corpus):
    textgrid_of((0, 1, "there is"), (1, 2, "a pot"), (2, 2.8, "of soup"))(corpus / "anna")
    (corpus / "anna" / "bad.wav").write_text("not audio")
    report = validate(corpus)
    [problem] = report.problems
    assert (problem.kind, problem.utterances) == ("unreadable", 3)
    assert report.failing == 3


@pytest.mark.parametrize("place", ["texts/bad.txt", "texts/Bad.lab", "texts/anna/bad.TextGrid"])
def test_a_transcript_elsewhere_is_named(corpus, place):
    write(corpus / "anna", "bad", speech(), None)
    (corpus / place).parent.mkdir(parents=True, exist_ok=True)
    (corpus / place).write_text(KITCHEN)
    problem = next(p for p in validate(corpus).problems if p.kind == "no-transcript")
    assert problem.remedy.startswith(f"is it {place}? ")


@pytest.mark.parametrize(
    "make",
    [
        lambda f: write(f, "bad", speech()),
        lambda f: write(f, "bad", speech(), "0 45480 There is a pot of soup."),
        textgrid_of((0, 1, "there is")),
    ],
    ids=["lab", "prompt", "textgrid"],
)
def test_a_name_that_is_not_unicode(corpus, tmp_path, make):
    make(corpus / "anna")
    for path in list((corpus / "anna").glob("bad.*")):
        os.replace(path, os.fsencode(path).replace(b"bad", b"caf\xe9"))
    result = run(corpus, "--csv", tmp_path / "problems.csv")
    assert result.exit_code == 1
    assert rows_of(corpus) == [error("odd-name", "anna/caf\\udce9")]


# Calls.


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (["nowhere"], "nowhere: there is no such folder"),
        (["EMPTY"], "there is no recording in this folder"),
        (["CORPUS", "-d", "nowhere"], "nowhere: it cannot be read"),
        (["CORPUS", "-d", "BROKEN", "--strict"], "broken.dict:2: 'cat' has no phones: write them"),
        (["CORPUS", "-d", "BROKEN", "--characters"], "characters need none"),
        (
            ["CORPUS", "--csv", "CORPUS/anna/kitchen.lab"],
            "kitchen.lab: it exists, and is no table of this command",
        ),
        (["CORPUS", "--csv", "new.csv", "--oovs", "new.csv"], "two tables cannot be one file"),
        (["CORPUS", "--csv", "broken.dict/x.csv"], "cannot be written"),
        (["CORPUS", "--jobs", "0"], "--jobs"),
        ([], "it is missing"),
    ],
)
def test_wrong_calls(corpus, tmp_path, monkeypatch, arguments, rule):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.dict").write_text("a\tAH\ncat\n")
    names = {"CORPUS": str(corpus), "EMPTY": "empty", "BROKEN": "broken.dict"}
    result = run(
        *[
            a
            if a.startswith("-")
            else os.path.join(names.get(a.split("/")[0], a.split("/")[0]), *a.split("/")[1:])
            for a in arguments
        ]
    )
    assert result.exit_code == 2, result.output
    assert rule in result.output
    assert "Traceback" not in result.output
    assert (corpus / "anna" / "kitchen.lab").read_text().strip() == KITCHEN


def test_its_own_tables_are_written_again(corpus, tmp_path):
    table = tmp_path / "new" / "problems.csv"
    for _ in range(2):
        assert run(corpus, "--csv", table).exit_code == 0
    assert table.read_text() == "severity,kind,file,start,end,utterances,detail,remedy\n"


def test_options_that_exclude_each_other():
    with pytest.raises(DataError, match="characters need none"):
        Options(dictionary=Path("x"), characters=True)


def test_the_sample_is_sound():
    """Three of its words are in no dictionary."""
    report = validate(SAMPLE)
    assert [o.word for o in report.oovs] == ["fricatives", "Praat", "spectrogram"]
    assert report.failing == 0
    assert {p.kind for p in report.problems} == {"oov"}


def test_hand_labelled_speech_is_sound(timit):
    problems = validate(timit).problems
    assert [(p.kind, p.utterance.id) for p in problems] in ([], [(Fault.NO_RECORDING, "timitdic.txt")])
