"""Praat itself runs the script that `aligner inspect` writes, without its windows."""

import os
import stat
import unicodedata

import numpy as np
import pytest
import soundfile as sf
from support.praat import EDIT, NEXT, SAVE, STOP, needs_praat, rehearse, run
from support.processes import wait_until

from aligner.check import praat
from aligner.check.praat import CHECK, LOOK, SCRIPT, Item, inspection_script, launch, write_inspection
from aligner.formats.textgrid import read_textgrid, write_textgrid
from aligner.types import DataError, Interval

SAMPLE = "data/sample/slt/doctor.flac"
ODD_NAMES = [
    "anna/one",
    "two words.v2",
    "Jürgen/größe ɡʊt ã",
    unicodedata.normalize("NFD", "née"),
    'she said "no"',
    "it's 'count' and 'root$' 'number'",
    "a (b, c; {d} [e]",
    "50% #1 x_y^z $HOME & co",
    "back\\slash\\bs",
    "~tilde",
    "no\N{NO-BREAK SPACE}break",
    "\N{GRINNING FACE}",
]
TIERS = {
    "words": [Interval(0.0, 1.0, 'say "hi"'), Interval(1.0, 3.36, "")],
    "phones": [Interval(0.0, 1.234567890123456, "ə \\ae 'k'"), Interval(1.234567890123456, 3.36, "")],
}


@pytest.fixture(scope="module")
def speech(request):
    return sf.read(request.config.rootpath / SAMPLE)


@pytest.fixture
def corpus(tmp_path, speech):
    """Makes a recording with its TextGrid in out/, and the Item for them."""

    def make(name, kind="wav", tiers=TIERS, duration=3.36, **more):
        audio, grid = tmp_path / "corpus" / f"{name}.{kind}", tmp_path / "out" / f"{name}.TextGrid"
        audio.parent.mkdir(parents=True, exist_ok=True)
        sf.write(audio, *speech)
        write_textgrid_in(grid, tiers, duration)
        return Item(audio, grid, tmp_path / "out" / "corrected" / f"{name}.TextGrid", **more)

    return make


def write_textgrid_in(path, tiers, duration):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_textgrid(path, tiers, duration)


SEEN = "appendInfoLine: name$ [.number]\n"
BACK_ONCE = "clicked = if visit = {} then 2 else 3 fi"


def edited(tiers):
    return [("words", [tiers["words"][0], Interval(1.0, 3.36, "done")]), ("phones", tiers["phones"])]


@needs_praat
class TestCheck:
    def test_every_name_is_found_and_shown_as_it_is(self, corpus, tmp_path):
        items = [corpus(name) for name in ODD_NAMES]
        lines, _ = run(write_inspection(tmp_path / "out", items), CHECK)
        shown = [unicodedata.normalize("NFC", line) for line in lines]
        assert shown == [
            f"{unicodedata.normalize('NFC', name)}: ok, 3.360 s, tiers words, phones" for name in ODD_NAMES
        ]

    def test_a_line_break_in_a_name(self, corpus, tmp_path):
        lines, _ = run(write_inspection(tmp_path / "out", [corpus("two\nlines")]), CHECK)
        assert lines == ["two", "lines: ok, 3.360 s, tiers words, phones"]

    def test_the_script_may_lie_in_a_folder_of_any_name_and_be_moved_with_it(self, tmp_path, speech):
        out, there = tmp_path / "out", tmp_path / "it's 'count' (2), \"ü\""
        write_textgrid_in(out / "a.TextGrid", TIERS, 3.36)
        sf.write(out / "a.wav", *speech)
        write_inspection(out, [Item(out / "a.wav", out / "a.TextGrid", out / "corrected" / "a.TextGrid")])
        out.rename(there)
        lines, _ = run(there / SCRIPT, CHECK)
        assert lines == ["a: ok, 3.360 s, tiers words, phones"]

    @pytest.mark.parametrize("kind", ["flac", "aiff", "mp3"])
    def test_formats(self, corpus, tmp_path, kind):
        lines, _ = run(write_inspection(tmp_path / "out", [corpus("a", kind)]), CHECK)
        assert lines == ["a: ok, 3.360 s, tiers words, phones"]

    def test_what_is_wrong_is_said_in_a_line_and_the_rest_goes_on(self, corpus, tmp_path):
        unreadable, no_grid, no_audio, damaged = (
            corpus(n) for n in ("unreadable", "no grid", "no audio", "damaged")
        )
        unreadable.audio.write_bytes(b"OggS\0\2" + bytes(range(256)))
        no_grid.grid.unlink()
        no_audio.audio.unlink()
        damaged.grid.write_text(damaged.grid.read_text("utf-8")[:300], "utf-8")
        late = corpus("late", tiers={"words": [Interval(0.0, 3.4, "x")]}, duration=3.4)
        nameless = corpus("nameless", tiers={"": TIERS["words"]})
        items = [unreadable, no_grid, no_audio, damaged, late, nameless, corpus("good")]
        lines, errors = run(write_inspection(tmp_path / "out", items), CHECK, expect=1)
        assert lines == [
            f"unreadable: Praat cannot read {unreadable.audio}: convert it to WAV or FLAC",
            f"no grid: there is no TextGrid at {no_grid.grid}",
            f"no audio: there is no recording at {no_audio.audio}",
            f"damaged: {damaged.grid} is no TextGrid",
            "late: the recording ends at 3.360 s, its TextGrid at 3.400 s",
            "nameless: tier 1 has no name",
            "good: ok, 3.360 s, tiers words, phones",
        ]
        assert "6 of 7 recordings" in errors

    def test_ends_may_differ_by_a_rounding(self, corpus, tmp_path):
        item = corpus("a", tiers={"words": [Interval(0.0, 3.364, "x")]}, duration=3.364)
        assert run(write_inspection(tmp_path / "out", [item]), CHECK)[0] == ["a: ok, 3.364 s, tiers words"]

    def test_nothing_to_inspect(self, tmp_path):
        assert run(write_inspection(tmp_path, []), CHECK)[0] == []


@needs_praat
class TestLook:
    def test_a_correction_lands_in_its_place_and_reads_back(self, corpus, tmp_path):
        items = [corpus(name) for name in ODD_NAMES]
        before = [item.grid.read_bytes() for item in items]
        lines = rehearse(tmp_path / "out", items, EDIT + SAVE)
        assert lines == [f"{len(items)} corrections saved"]
        for item in items:
            assert read_textgrid(item.corrected) == edited(TIERS)
        assert [item.grid.read_bytes() for item in items] == before
        assert not list(tmp_path.rglob("*.part"))

    def test_saved_unchanged_it_says_the_same(self, corpus, tmp_path):
        item = corpus("a")
        rehearse(tmp_path / "out", [item], SAVE)
        assert read_textgrid(item.corrected) == read_textgrid(item.grid) == list(TIERS.items())

    @pytest.mark.parametrize("button", [NEXT, STOP])
    def test_other_buttons_save_nothing(self, corpus, tmp_path, button):
        item = corpus("a")
        assert rehearse(tmp_path / "out", [item], button) == ["0 corrections saved"]
        assert not item.corrected.parent.exists()

    @pytest.mark.parametrize("button", [NEXT, "clicked = if visit = 1 then 2 else 1 fi", STOP])
    @pytest.mark.parametrize("answer", ["clicked_then = 1", "clicked_then = 2"])
    def test_other_buttons_ask_about_a_change(self, corpus, tmp_path, button, answer):
        item = corpus("a")
        edit = f"if visit = 1\n{EDIT}endif\n"
        asked = f'appendInfoLine: "asked"\n{answer}'
        lines = rehearse(tmp_path / "out", [item], edit + button, question=asked)
        assert lines[0] == "asked"
        assert lines[1:] == [f"{int(answer[-1]) - 1} corrections saved"]
        assert item.corrected.exists() == (answer[-1] == "2")

    def test_work_goes_on_with_the_correction(self, corpus, tmp_path):
        item = corpus("a")
        rehearse(tmp_path / "out", [item], EDIT + SAVE)
        more = 'selectObject: grid\nSet interval text: 1, 1, "more"\n'
        rehearse(tmp_path / "out", [item], more + SAVE)
        assert [i.label for i in read_textgrid(item.corrected)[0][1]] == ["more", "done"]

    def test_a_damaged_correction_is_not_written_over(self, corpus, tmp_path):
        item = corpus("a")
        item.corrected.parent.mkdir()
        item.corrected.write_text("my work", "utf-8")
        lines = rehearse(tmp_path / "out", [item], EDIT + SAVE)
        assert lines == [
            f"a: the correction {item.corrected} is no TextGrid: repair or remove it",
            "0 corrections saved",
        ]
        assert item.corrected.read_text("utf-8") == "my work"

    @pytest.mark.parametrize("whole", [True, False])
    def test_after_saving_was_broken_off_the_whole_file_counts(self, corpus, tmp_path, whole):
        item = corpus("a")
        rehearse(tmp_path / "out", [item], EDIT + SAVE)
        good, part = item.corrected.read_bytes(), item.corrected.with_name("a.TextGrid.part")
        half = good[: len(good) // 2 & ~1]  # of UTF-16
        part.write_bytes(good if whole else half)
        item.corrected.write_bytes(half if whole else good)
        rehearse(tmp_path / "out", [item], SAVE)
        assert read_textgrid(item.corrected) == edited(TIERS)
        assert not part.exists()

    def test_back_passes_over_what_cannot_be_opened(self, corpus, tmp_path):
        items = [corpus(name) for name in "abc"]
        items[1].audio.unlink()
        lines = rehearse(tmp_path / "out", items, SEEN + BACK_ONCE.format(2))
        assert [line[0] for line in lines[:-1]] == ["a", "b", "c", "b", "a", "b", "c"]

    def test_back_from_the_first_turns_round(self, corpus, tmp_path):
        items = [corpus(name) for name in "ab"]
        items[0].audio.unlink()
        lines = rehearse(tmp_path / "out", items, SEEN + BACK_ONCE.format(1))
        assert [line[0] for line in lines[:-1]] == ["a", "b", "a", "a", "b"]

    def test_one_can_go_to_any_number(self, corpus, tmp_path):
        items = [corpus(name) for name in "abc"]
        window = "then_go_to_number = if .number = 1 then 3 else 9 fi\n" + SEEN + NEXT
        assert rehearse(tmp_path / "out", items, window) == ["a", "c", "0 corrections saved"]

    def test_reasons_are_shown_as_they_are(self, corpus, tmp_path):
        reasons = ("50% of 'count' is #1 \\bs \"so\", ^up_down", "long " * 40, "x\ny")
        window = "for .k to notes [.number]\nappendInfoLine: note$ [.number, .k]\nendfor\n" + NEXT
        lines = rehearse(tmp_path / "out", [corpus("a", reasons=reasons)], window)
        assert lines[0] == reasons[0]
        assert " ".join(lines[1:4]) == ("long " * 40).strip()
        assert lines[4] == "x y"

    def test_many_reasons_do_not_outgrow_the_screen(self, corpus, tmp_path):
        window = "appendInfoLine: notes [.number], note$ [.number, notes [.number]]\n" + NEXT
        lines = rehearse(tmp_path / "out", [corpus("a", reasons=("x",) * 50)], window)
        assert lines[0] == f"{praat.MOST_LINES}..."

    def test_a_long_recording_is_not_read_into_memory(self, tmp_path):
        out, items = tmp_path / "out", []
        for name, duration in (("short", 599.0), ("long", 601.0)):
            write_textgrid_in(out / f"{name}.TextGrid", {"words": [Interval(0.0, duration, "x")]}, duration)
            sf.write(out / f"{name}.wav", np.zeros(int(duration * 1000)), 1000, subtype="PCM_U8")
            items.append(
                Item(out / f"{name}.wav", out / f"{name}.TextGrid", out / "corrected" / f"{name}.TextGrid")
            )
        show = "selectObject: sound\nappendInfoLine: selected$ ( )"
        assert rehearse(out, items, NEXT, show)[:2] == ["Sound short", "LongSound long"]

    def test_a_textgrid_taken_from_the_list_of_objects_does_not_stop_it(self, corpus, tmp_path):
        lines = rehearse(tmp_path / "out", [corpus("a"), corpus("b")], "removeObject: grid\n" + SAVE)
        assert [line.split(":")[0] for line in lines] == ["a", "b", "0 corrections saved"]

    def test_nothing_stays_in_the_list_of_objects(self, corpus, tmp_path):
        window = "select all\nappendInfoLine: numberOfSelected ( )\n" + NEXT
        assert rehearse(tmp_path / "out", [corpus("a"), corpus("b")], window)[:2] == ["2", "2"]


class TestScript:
    def test_paths_below_the_folder_are_relative_and_others_absolute(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        out = tmp_path / "out"
        item = Item(tmp_path / "a.wav", out / "s" / "a.TextGrid", out / "corrected" / "s" / "a.TextGrid")
        text = inspection_script([item], out)
        paths = (
            f'"s/a", "{tmp_path}/a.wav", root$ + "s/a.TextGrid", root$ + "corrected/s/a.TextGrid", undefined'
        )
        assert f"@item: {paths}\n" in text
        relative = Item(*(p.relative_to(tmp_path) for p in (item.audio, item.grid, item.corrected)))
        assert inspection_script([relative], out.relative_to(tmp_path)) == text

    def test_no_apostrophe_is_left_for_praat_to_substitute(self, tmp_path):
        item = Item(tmp_path / "a'b'.wav", tmp_path / "'.TextGrid", tmp_path / "c'", reasons=("'count'",))
        assert "'" not in inspection_script([item], tmp_path)

    def test_a_name_outside_unicode_is_refused(self, tmp_path):
        bad = tmp_path / os.fsdecode(b"caf\xe9.wav")
        with pytest.raises(DataError, match=r"caf.*not Unicode.*rename"):
            write_inspection(tmp_path, [Item(bad, tmp_path / "a.TextGrid", tmp_path / "b.TextGrid")])
        assert not list(tmp_path.iterdir())


class TestLaunch:
    @pytest.fixture
    def praat_that(self, tmp_path, monkeypatch):
        """Puts a stand-in for Praat on the PATH that runs shell commands."""

        def install(commands):
            fake = tmp_path / "bin" / "praat"
            fake.parent.mkdir()
            fake.write_text(f"#!/bin/sh\n{commands}\n")
            fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
            monkeypatch.setenv("PATH", f"{fake.parent}:/bin:/usr/bin")
            monkeypatch.setenv("DISPLAY", ":0")

        return install

    def test_no_praat(self, tmp_path, monkeypatch):
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.setattr(praat, "MAC_PRAAT", tmp_path / "Praat")
        with pytest.raises(DataError, match=r"inspect\.praat: Praat is not on the PATH.*Open Praat script"):
            launch(tmp_path / SCRIPT)

    def test_no_screen(self, praat_that, tmp_path, monkeypatch):
        praat_that("exit 0")
        monkeypatch.delenv("DISPLAY")
        monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
        with pytest.raises(DataError, match=r"no screen.*inspect\.praat from Praat's menu"):
            launch(tmp_path / SCRIPT)

    def test_praat_that_ends_at_once(self, praat_that, tmp_path):
        praat_that("exit 3")
        with pytest.raises(DataError, match=r"ended at once \(status 3\).*inspect\.praat from Praat's menu"):
            launch(tmp_path / SCRIPT)

    @pytest.mark.filterwarnings("ignore:subprocess .* is still running")
    def test_praat_that_stays_is_left_running(self, praat_that, tmp_path, monkeypatch):
        seen, gate = tmp_path / "seen", tmp_path / "gate"
        os.mkfifo(gate)
        praat_that(f'printf "%s\\n" "$@" > "{seen}.part"; mv "{seen}.part" "{seen}"; read line < "{gate}"')
        monkeypatch.setattr(praat, "START_UP", 0.1)
        launch(tmp_path / "it's out" / SCRIPT)
        wait_until(seen.exists)
        gate.write_text("it may end\n")  # it runs until then
        seen = seen.read_text().splitlines()
        assert seen[-3:] == ["--new-send", f"{tmp_path}/it's out/{SCRIPT}", LOOK]
