"""How far off each boundary may be: what is written is read back and is what the alignment says."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import soundfile
import textgrid
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from support.places import SAMPLE
from support.praat import EDIT, SAVE, needs_praat, rehearse

from aligner import Alignment, Edge, Utterance, align, find
from aligner.check.praat import CHECK, SCRIPT, items_of
from aligner.cli import align as command
from aligner.cli import main
from aligner.corpus.outcome import read_outcome
from aligner.evaluate.export import figures
from aligner.evaluate.folders import evaluate
from aligner.formats.registry import write
from aligner.formats.textgrid import grid_end, read_textgrid, write_textgrid
from aligner.formats.tiers import tiers
from aligner.formats.uncertainty import points
from aligner.types import Interval, Quality

KINDS = ("uncertainty", "json", "csv")
OLD_COLUMNS = ["Begin", "End", "Label", "Type", "Speaker", "Confidence"]
LIST_POINTS = """form List
    sentence file
endform
Read from file: file$
tiers = Get number of tiers
for tier to tiers
    intervals = Is interval tier: tier
    if not intervals
        name$ = Get tier name: tier
        count = Get number of points: tier
        for point to count
            time = Get time of point: tier, point
            mark$ = Get label of point: tier, point
            appendInfoLine: name$, tab$, fixed$ (time, 5), tab$, mark$
        endfor
    endif
endfor
"""


def call(group, *arguments):
    return CliRunner().invoke(group, [str(a) for a in arguments])


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def alignment(speaker: str, start: float, edges: tuple[Edge, ...]) -> Alignment:
    """Silence, K, AH and silence, of 0.2 s each, in a recording of 2 s."""
    times = [round(start + 0.2 * k, 5) for k in range(5)]
    phones = [
        Interval(a, b, label, 0.5) for (a, b), label in zip(pairwise(times), ("", "K", "AH", ""), strict=True)
    ]
    words = (phones[0], Interval(times[1], times[3], "cu", 0.5), phones[3])
    quality = Quality(
        log_likelihood=-1.0,
        margin=0.0,
        worst_margin=0.0,
        confidence=0.5,
        crammed_run=0,
        speech=0.5,
        longest_word=0.4,
        snr=None,
        clipped=0.0,
    )
    utterance = Utterance(
        f"talk-{start}", Path("talk.wav"), "cu", speaker=speaker, file="talk", start=start, end=times[-1]
    )
    return Alignment(utterance, words, tuple(phones), duration=2.0, quality=quality, edges=edges)


ZOE = alignment('Zoë "Z"', 0.0, (Edge(0.2, 0.192, 0.212), Edge(0.4, 0.3, 0.4031), Edge(0.6, 0.5975, 0.66)))
BOB = alignment("Bob", 0.9, (Edge(1.1, 1.09, 1.12), Edge(1.5, 1.49, 1.6)))  # of 1.3 s nothing is known
ANN = alignment("Ann", 1.0, ())


def point_tiers(path: Path) -> dict[str, list[tuple[float, str]]]:
    """As the ``textgrid`` package reads them: it refuses two points at one time, and leaves quotes in names
    double.
    """
    return {
        t.name.replace('""', '"'): [(p.time, p.mark) for p in t]
        for t in textgrid.TextGrid.fromFile(str(path))
        if isinstance(t, textgrid.PointTier)
    }


def assert_marks(found: list[tuple[float, str]], edges: tuple[Edge, ...]) -> None:
    assert [time for time, _ in found] == pytest.approx([e.time for e in edges], abs=1e-9)
    for (_, mark), e in zip(found, edges, strict=True):
        earlier, later = mark.split(" ")
        assert (earlier[0], later[0]) == ("-", "+")
        assert int(earlier) == pytest.approx(1000 * (e.low - e.time), abs=0.5001)
        assert int(later) == pytest.approx(1000 * (e.high - e.time), abs=0.5001)


# What is written, of alignments that were made by hand.


def test_several_speakers_have_a_tier_each(tmp_path):
    write(tmp_path, [ZOE, BOB, ANN], KINDS, several=True)
    found = point_tiers(tmp_path / "talk.TextGrid")
    assert list(found) == ['Zoë "Z" - boundaries', "Bob - boundaries"]  # of Ann nothing is known
    assert found['Zoë "Z" - boundaries'] == [(0.2, "-8 +12"), (0.4, "-100 +3"), (0.6, "-2 +60")]
    assert_marks(found["Bob - boundaries"], BOB.edges)
    assert read_textgrid(tmp_path / "talk.TextGrid") == [
        (name, [Interval(i.start, i.end, i.label) for i in intervals])
        for name, intervals in tiers([ZOE, BOB, ANN], several=True).items()
    ]
    assert grid_end(tmp_path / "talk.TextGrid") == 2.0
    told = json.loads((tmp_path / "talk.json").read_text())
    assert [[Edge(*b) for b in u["boundaries"]] for u in told["utterances"]] == [
        list(ZOE.edges),
        list(BOB.edges),
        [],
    ]
    assert {len(e) for t in told["tiers"].values() for e in t["entries"]} == {3}  # tiers stay as MFA has them


def test_one_speaker_with_several_utterances_has_one_tier(tmp_path):
    later = alignment(ZOE.utterance.speaker, 0.9, BOB.edges)
    write(tmp_path, [later, ZOE], KINDS)
    found = point_tiers(tmp_path / "talk.TextGrid")
    assert list(found) == ["boundaries"]
    assert_marks(found["boundaries"], (*ZOE.edges, *BOB.edges))


def test_csv_has_the_intervals_of_both_ends(tmp_path):
    write(tmp_path, [ZOE, BOB, ANN], ["csv"], several=True)
    table = rows(tmp_path / "talk.csv")
    assert list(table[0]) == [*OLD_COLUMNS, "BeginLow", "BeginHigh", "EndLow", "EndHigh"]
    cells = {(r["Speaker"], r["Label"]): tuple(r[c] for c in list(r)[6:]) for r in table}
    assert cells == {
        ('Zoë "Z"', "cu"): ("0.192", "0.212", "0.5975", "0.66"),
        ('Zoë "Z"', "K"): ("0.192", "0.212", "0.3", "0.4031"),
        ('Zoë "Z"', "AH"): ("0.3", "0.4031", "0.5975", "0.66"),
        ("Bob", "cu"): ("1.09", "1.12", "1.49", "1.6"),
        ("Bob", "K"): ("1.09", "1.12", "", ""),
        ("Bob", "AH"): ("", "", "1.49", "1.6"),
        ("Ann", "cu"): ("",) * 4,
        ("Ann", "K"): ("",) * 4,
        ("Ann", "AH"): ("",) * 4,
    }


def test_a_boundary_is_that_of_its_own_utterance(tmp_path):
    """Two who speak at once: one's boundary has the time of the other's, and another interval."""
    other = replace(ZOE, utterance=replace(ZOE.utterance, speaker="Eve"), edges=(Edge(0.2, 0.1, 0.3),))
    write(tmp_path, [ZOE, other], ["csv"], several=True)
    begins = {
        r["Speaker"]: (r["BeginLow"], r["BeginHigh"])
        for r in rows(tmp_path / "talk.csv")
        if r["Label"] == "K"
    }
    assert begins == {ZOE.utterance.speaker: ("0.192", "0.212"), "Eve": ("0.1", "0.3")}


def test_where_nothing_is_known_nothing_is_said(tmp_path):
    write(tmp_path, [ANN], KINDS)
    write(tmp_path / "plain", [ANN], ["textgrid"])
    assert (tmp_path / "talk.TextGrid").read_bytes() == (tmp_path / "plain" / "talk.TextGrid").read_bytes()
    assert json.loads((tmp_path / "talk.json").read_text())["utterances"][0]["boundaries"] == []


@given(
    st.lists(st.lists(st.integers(1, 199_999), max_size=30, unique=True).map(sorted), min_size=1, max_size=3)
)
def test_points_ascend_whatever_the_utterances(tmp_path_factory, times):
    """Also where one utterance ends at a boundary of another; each boundary has its point."""
    said = [
        replace(ANN, edges=tuple(Edge(t / 1e5, t / 1e5 - 0.01, t / 1e5 + 0.01) for t in own)) for own in times
    ]
    path = tmp_path_factory.mktemp("points") / "x.TextGrid"
    write_textgrid(path, tiers(said[:1]), 2.0, points(said))
    found = point_tiers(path).get("boundaries", [])
    expected = sorted({t / 1e5 for own in times for t in own})
    assert [time for time, _ in found] == expected
    assert [float(x) for x in re.findall(r"time = (\S+)", path.read_text())] == expected  # the package sorts
    assert {mark for _, mark in found} <= {"-10 +10"}


@needs_praat
def test_praat_itself_reads_the_points(tmp_path):
    write(tmp_path, [ZOE, BOB, ANN], KINDS, several=True)
    script = tmp_path / "points.praat"
    script.write_text(LIST_POINTS)
    done = subprocess.run(
        ["praat", "--run", "--utf8", script, tmp_path / "talk.TextGrid"], capture_output=True, check=True
    )
    found: dict[str, list[tuple[float, str]]] = {}
    for line in done.stdout.decode().splitlines():
        name, time, mark = line.split("\t")
        found.setdefault(name, []).append((float(time), mark))
    assert found == point_tiers(tmp_path / "talk.TextGrid")


def test_parselmouth_reads_the_points(tmp_path):
    import parselmouth
    from parselmouth.praat import call as praat

    write(tmp_path, [ZOE], KINDS)
    grid = parselmouth.read(str(tmp_path / "talk.TextGrid"))
    count = praat(grid, "Get number of points", 3)
    assert_marks(
        [
            (praat(grid, "Get time of point", 3, k), praat(grid, "Get label of point", 3, k))
            for k in range(1, count + 1)
        ],
        ZOE.edges,
    )


# The whole path.


@pytest.fixture(scope="module")
def speech(tmp_path_factory) -> Path:
    """Three sentences of the sample, with their hand labels."""
    folder = tmp_path_factory.mktemp("speech") / "corpus" / "rms"
    folder.mkdir(parents=True)
    for name in ("kitchen", "winter", "station"):
        for path in (SAMPLE / "rms").glob(f"{name}.*"):
            shutil.copy(path, folder)
    return folder.parent


@pytest.fixture(scope="module")
def out(speech) -> Path:
    """Aligned, with all that tells how far off boundaries may be."""
    target = speech.parent / "out"
    result = call(command, speech, target, "--uncertainty", "-f", "json", "-f", "csv", "-f", "textgrid")
    assert result.exit_code == 0, result.output
    return target


@pytest.fixture(scope="module")
def plain(speech) -> Path:
    """Aligned without a tier of points."""
    assert call(command, speech, speech.parent / "plain").exit_code == 0
    return speech.parent / "plain"


def test_files_say_what_the_alignment_says(speech, out, model):
    for a in align(find(speech).utterances, model):
        assert len(a.edges) == len(a.phones) - 1
        stem = out / a.utterance.file
        grid = stem.with_suffix(".TextGrid")
        assert textgrid.TextGrid.fromFile(str(grid)).getNames() == ["words", "phones", "boundaries"]
        assert_marks(point_tiers(grid)["boundaries"], a.edges)
        inner = [i.start for i in dict(read_textgrid(grid))["phones"][1:]]
        assert [time for time, _ in point_tiers(grid)["boundaries"]] == inner
        [told] = json.loads(stem.with_suffix(".json").read_text())["utterances"]
        assert tuple(Edge(*b) for b in told["boundaries"]) == a.edges
        lows = {f"{e.time:g}": f"{e.low:g}" for e in a.edges}
        highs = {f"{e.time:g}": f"{e.high:g}" for e in a.edges}
        for r in rows(stem.with_suffix(".csv")):  # a sentence begins and ends in silence: all is known
            for side in ("Begin", "End"):
                assert f"{float(r[f'{side}Low']):g}" == lows[f"{float(r[side]):g}"]
                assert f"{float(r[f'{side}High']):g}" == highs[f"{float(r[side]):g}"]


def test_all_else_is_as_without_the_tier(out, plain):
    for grid in sorted(plain.rglob("*.TextGrid")):
        assert read_textgrid(out / grid.relative_to(plain)) == read_textgrid(grid)
        assert point_tiers(grid) == {}


def test_accuracy_is_the_same_with_and_without(speech, out, plain, tmp_path):
    # without the JSON, which would be read where a TextGrid could not be
    for path in out.rglob("*.TextGrid"):
        (tmp_path / path.relative_to(out)).parent.mkdir(exist_ok=True)
        shutil.copy(path, tmp_path / path.relative_to(out))
    found = figures(evaluate(speech, tmp_path))
    assert found == figures(evaluate(speech, plain))
    assert (found["files"], found["missing"], found["problems"]) == (3, 0, [])
    assert figures(evaluate(tmp_path, plain))["phones"]["mae"] == 0  # as a reference, too


@pytest.mark.parametrize("refine", ["none", "offsets"])
def test_boundaries_that_were_not_looked_for_have_no_interval(speech, tmp_path, refine):
    result = call(command, speech, tmp_path, "--refine", refine, "--uncertainty", "-f", "json", "-f", "csv")
    assert result.exit_code == 0, result.output
    for grid in tmp_path.rglob("*.TextGrid"):
        assert textgrid.TextGrid.fromFile(str(grid)).getNames() == ["words", "phones"]
        [told] = json.loads(grid.with_suffix(".json").read_text())["utterances"]
        assert told["boundaries"] == []
        assert {r[c] for r in rows(grid.with_suffix(".csv")) for c in list(r)[6:]} == {""}


def test_several_speakers_in_one_file(speech, tmp_path):
    folder = tmp_path / "corpus"
    folder.mkdir()
    sound, rate = soundfile.read(speech / "rms" / "kitchen.flac")
    soundfile.write(folder / "talk.wav", [*sound, *sound], rate)
    half, text = len(sound) / rate, (speech / "rms" / "kitchen.lab").read_text()
    turns = {"Ann": [Interval(0, half, text)], "Bob": [Interval(half, 2 * half, text)]}
    write_textgrid(folder / "talk.TextGrid", turns, 2 * half)
    assert call(command, folder, tmp_path / "out", "--uncertainty", "-f", "json").exit_code == 0
    found = point_tiers(tmp_path / "out" / "talk.TextGrid")
    assert list(found) == ["Ann - boundaries", "Bob - boundaries"]
    told = json.loads((tmp_path / "out" / "talk.json").read_text())["utterances"]
    for (_, marks), utterance in zip(found.items(), told, strict=True):
        assert_marks(marks, tuple(Edge(*b) for b in utterance["boundaries"]))
        assert all(utterance["start"] < time < utterance["end"] for time, _ in marks)


def test_what_exists_is_kept(speech, plain, tmp_path):
    there = shutil.copytree(plain, tmp_path / "out")
    kept, lost = (there / "rms" / f"{name}.TextGrid" for name in ("kitchen", "winter"))
    before = kept.read_bytes()
    lost.unlink()
    result = call(command, speech, there, "--uncertainty")
    assert "skipped   2 files" in result.output
    assert kept.read_bytes() == before
    assert list(point_tiers(lost)) == ["boundaries"]
    assert call(command, speech, there, "--uncertainty", "--existing", "overwrite").exit_code == 0
    assert list(point_tiers(kept)) == ["boundaries"]
    assert call(command, speech, there, "--existing", "overwrite").exit_code == 0  # and as it was
    assert kept.read_bytes() == before


def test_the_page_and_the_command_that_judges_take_such_files(speech, out):
    result = call(main, "evaluate", speech, out)
    assert result.exit_code == 0, result.output
    result = call(main, "report", out, "--reference", speech)
    assert result.exit_code == 0, result.output
    assert "cannot" not in result.output
    assert (out / "report" / "index.html").is_file()


@needs_praat
def test_inspect_opens_such_files_and_saves_all_tiers(out, tmp_path):
    out = shutil.copytree(out, tmp_path / "out")
    assert call(main, "inspect", out, "--no-open").exit_code == 0
    done = subprocess.run(["praat", "--run", out / SCRIPT, CHECK], capture_output=True, check=True)
    lines = done.stdout.decode().splitlines()[1:]
    assert [line.rpartition(" s, ")[2] for line in lines] == ["tiers words, phones, boundaries"] * 3
    item = items_of(read_outcome(out))[0]
    assert rehearse(out, [item], f"{EDIT}{SAVE}") == ["1 corrections saved"]
    assert dict(read_textgrid(item.corrected))["words"][1].label == "done"
    assert point_tiers(item.corrected) == {
        name: [(pytest.approx(time), mark) for time, mark in marks]
        for name, marks in point_tiers(item.grid).items()
    }
