"""The report in a real browser, from disk: what it shows, plays and finds; and the commands that lead to
it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from support.places import SAMPLE

from aligner import DataError
from aligner.check.praat import items_of
from aligner.cli import main
from aligner.corpus.labels import tier
from aligner.corpus.outcome import read_outcome
from aligner.evaluate.page import spectrogram, write_page
from aligner.formats.table import read_table, write_table
from aligner.formats.textgrid import write_textgrid
from aligner.types import Interval, Suspicion

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
TRICKY = 'it\'s "ü" </script> #1'  # a file name that has it all


def call(*words):
    return CliRunner().invoke(main, list(map(str, words)))


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A corpus with one wrong transcript, one recording that is damaged and one that has a tricky name,
    aligned.
    """
    corpus = tmp_path_factory.mktemp("a corpus") / "in"
    for speaker in ("rms", "slt"):
        shutil.copytree(SAMPLE / speaker, corpus / speaker)
    shutil.copy(corpus / "rms" / "winter.lab", corpus / "rms" / "kitchen.lab")
    (corpus / "slt" / "broken.wav").write_bytes(b"RIFF")
    (corpus / "slt" / "broken.lab").write_text("nothing")
    for suffix in (".flac", ".lab"):
        shutil.copy(
            corpus / "rms" / f"winter{suffix}", corpus / "rms" / f"{TRICKY.replace('/', '∕')}{suffix}"
        )
    out = corpus.parent / "out"
    result = call("align", corpus, out, "--report", "--reference", SAMPLE)
    assert result.exit_code == 1, result.output
    assert f"report    {out / 'report' / 'index.html'}" in result.output
    return out


@pytest.fixture(scope="module")
def browser() -> Iterator:
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the extra [test]")
    if CHROMIUM is None:
        pytest.skip("there is no chromium: apt-get install chromium")
    with playwright.sync_playwright() as p:
        opened = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


def visit(browser, out: Path, **options):
    """A page that has been opened, and what it asked for and complained of."""
    page = browser.new_page(viewport={"width": 1300, "height": 1000}, **options)
    page.set_default_timeout(600_000)  # of a machine that does much else; it is there to end what hangs
    page.asked, page.complaints = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("console", lambda m: page.complaints.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.goto((out / "report" / "index.html").as_uri())
    page.wait_for_selector("#rows tr")
    return page


@pytest.fixture
def page(browser, run):
    opened = visit(browser, run)
    yield opened
    assert opened.complaints == []
    assert all(url.startswith(("file:", "blob:", "data:")) for url in opened.asked)  # nothing from a network
    opened.close()


def files_of(page) -> list[str]:
    return page.locator("td.file").all_inner_texts()


def choose(page, file: str):
    page.locator("#rows tr", has_text=file).first.click()
    page.wait_for_function("document.body.dataset.loaded")
    page.wait_for_function("picture !== null")


def test_what_is_wrong_stands_first(page):
    assert re.findall(r"^\d+", page.inner_text("#verdict"), re.M) == ["1", "1", "10"]
    assert files_of(page)[:2] == ["slt/broken", "rms/kitchen"]
    first = page.inner_text("#rows tr:nth-child(2)")
    assert "suspect" in first
    assert "does not fit" in first
    assert "12 files, 12 utterances, 2 speakers" in page.inner_text("#totals")
    assert "MAE ms" in page.inner_text("#accuracy")
    page.click("#verdict button.suspect")
    assert files_of(page) == ["rms/kitchen"]


def test_filters_and_sorting(page):
    page.fill("#filter", "rms/winter")
    assert files_of(page) == ["rms/winter"]
    page.fill("#filter", "$12.50 books")  # what is said
    assert files_of(page) == ["slt/numbers"]
    page.fill("#filter", "")
    page.select_option("#speaker", "slt")
    assert all(f.startswith("slt/") for f in files_of(page))
    page.select_option("#speaker", index=0)
    page.select_option("#status", "ok")
    assert len(files_of(page)) == 10
    page.locator("th", has_text="seconds").click()
    seconds = [float(t) for t in page.locator("#rows tr td:nth-child(4)").all_inner_texts()]
    assert seconds == sorted(seconds)
    page.locator("th", has_text="seconds").click()
    assert page.locator("th", has_text="seconds").get_attribute("aria-sort") == "descending"
    assert [float(t) for t in page.locator("#rows tr td:nth-child(4)").all_inner_texts()] == seconds[::-1]


def test_a_clicked_phone_is_played_to_the_sample(page, run):
    choose(page, "slt/numbers")
    phones = [p for p in tier(run / "slt" / "numbers.TextGrid", "phones") if p.label]
    chosen = max(phones, key=lambda p: p.duration)
    box = page.locator("#picture").bounding_box()
    view = page.evaluate("view")
    middle = (chosen.start + chosen.end) / 2
    x = (box["width"] - page.evaluate("MARGIN")) * (middle - view["from"]) / (view["to"] - view["from"])
    lane = page.evaluate("Object.keys(loaded.tiers).indexOf('phones')")
    y = page.evaluate("HEIGHT + AXIS") + page.evaluate("LANE") * (lane + 0.5)
    page.mouse.click(box["x"] + x, box["y"] + y)
    page.wait_for_function("document.body.dataset.played")
    assert page.evaluate("document.body.dataset.played") == f"{chosen.start:.3f}-{chosen.end:.3f}"
    assert chosen.label in page.inner_text("#where")
    samples, rate = soundfile.read(SAMPLE / "slt" / "numbers.flac", dtype="float32")
    heard = page.evaluate("Array.from(decoded.buffer.getChannelData(0)).length / decoded.buffer.sampleRate")
    assert heard == pytest.approx(len(samples) / rate, abs=0.001)
    page.wait_for_function("!document.body.dataset.playing")  # it ends by itself


def test_the_keyboard(page):
    choose(page, files_of(page)[2])
    page.keyboard.press(" ")
    page.wait_for_function("document.body.dataset.playing")
    start, end = map(float, page.evaluate("document.body.dataset.playing").split("-"))
    assert start == 0
    assert end > 2
    page.keyboard.press("Escape")
    assert page.evaluate("document.body.dataset.playing") == ""
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("document.body.dataset.played !== ''")
    assert page.evaluate("marked[0]") > 0
    page.keyboard.press("+")
    assert page.evaluate("view.to - view.from") == pytest.approx(end / 2, rel=0.01)
    page.keyboard.press("0")
    assert page.evaluate("view.to - view.from") == pytest.approx(end, rel=0.01)
    before = page.inner_text("#name")
    page.keyboard.press("j")
    page.wait_for_function("document.body.dataset.loaded")
    assert page.inner_text("#name") != before
    page.keyboard.press("k")
    assert page.inner_text("#name") == before
    page.keyboard.press("/")
    page.keyboard.type("kitchen")
    assert "rms/kitchen" in files_of(page)


def test_reference_tiers_and_names_of_any_kind(page):
    choose(page, "rms/winter")
    assert page.evaluate("Object.keys(loaded.tiers)") == ["words", "phones", "reference phones"]
    tricky = TRICKY.replace("/", "∕")
    assert f"rms/{tricky}" in files_of(page)
    choose(page, tricky)
    assert tricky in page.inner_text("#name")
    page.locator("#rows tr", has_text="slt/broken").click()
    assert "cannot be shown" in page.inner_text("#where")


def test_light_and_dark_and_the_picture(browser, run, tmp_path):
    """Screenshots: the ground is light or dark, and the spectrogram is neither blank nor out of place."""
    from PIL import Image

    means = {}
    for scheme in ("light", "dark"):
        page = visit(browser, run, color_scheme=scheme)
        choose(page, "slt/numbers")
        page.locator("#picture").screenshot(path=tmp_path / f"{scheme}.png")
        pixels = np.asarray(Image.open(tmp_path / f"{scheme}.png").convert("L"), float)
        top = pixels[:280]
        means[scheme] = np.median(pixels)
        assert top.std() > 25  # there is a picture
        ink = 255 - top if scheme == "light" else top  # loud is dark on white, and light on black
        phones = [p for p in tier(run / "slt" / "numbers.TextGrid", "phones") if p.label]
        columns = np.linspace(0, phones[-1].end, 1000)
        top = top[:, : -page.evaluate("MARGIN")]
        ink = ink[:, : top.shape[1]]
        x = (columns * top.shape[1] / page.evaluate("loaded.length")).astype(int).clip(0, top.shape[1] - 1)
        spoken = columns > phones[0].start
        # sound is where phones are
        assert ink[140:][:, x[spoken]].mean() > 1.5 * ink[140:][:, x[~spoken]].mean()
        page.click("#theme")
        assert (
            page.evaluate("document.documentElement.dataset.theme")
            == {"light": "dark", "dark": "light"}[scheme]
        )
        page.close()
    assert means["light"] > 200 > 60 > means["dark"]


def test_charts_come_when_they_are_looked_at(page):
    page.locator("#charts").scroll_into_view_if_needed()
    page.wait_for_selector("body[data-charts=drawn]")
    page.wait_for_selector("#durations .boxlayer")
    assert "Durations of" in page.inner_text("#histogram")
    assert page.locator("#errors .bars").count() == 1


def test_a_lost_file_is_said(browser, run, tmp_path):
    shutil.copytree(run / "report", tmp_path / "sent away" / "report")
    for script in (tmp_path / "sent away" / "report" / "utterances").glob("*.js"):
        script.unlink()
    page = visit(browser, tmp_path / "sent away")
    page.locator("#rows tr", has_text="rms/winter").first.click()
    page.wait_for_function("document.getElementById('where').textContent.includes('missing from the report')")
    page.close()


def test_two_thousand_utterances(browser, run, tmp_path):
    """The list is filled as one scrolls; sorting and filtering see all of it."""
    shutil.copytree(run / "report", tmp_path / "report")
    script = tmp_path / "report" / "data.js"
    data = json.loads(script.read_text().removeprefix("window.REPORT = ").rstrip(";\n"))
    ok = data["utterances"][-1]
    data["utterances"] += [{**ok, "file": f"more/{k:04d}"} for k in range(1988)]
    script.write_text(f"window.REPORT = {json.dumps(data)};")
    page = visit(browser, tmp_path)
    assert page.inner_text("#shown") == "2000 of 2000"
    assert page.locator("#rows tr").count() == 300
    page.evaluate("$('list').scrollTop = 1e9")
    page.wait_for_function("document.querySelectorAll('#rows tr').length >= 600")
    page.fill("#filter", "more/1987")
    assert files_of(page) == ["more/1987"]
    page.close()


# ---------------------------------------------------------------- without a browser


def test_a_tone_stands_at_its_frequency_and_time():
    rate = 22_050
    time = np.arange(2 * rate) / rate
    sound = np.where(time > 1, np.sin(2 * np.pi * 3000 * time), 0).astype(np.float32)
    picture = spectrogram(sound, rate)
    row = int(picture[:, picture.shape[1] * 3 // 4].argmin())
    assert 8000 * (1 - (row + 0.5) / len(picture)) == pytest.approx(3000, abs=40)
    loud = (picture < 40).any(0)
    assert np.flatnonzero(loud)[0] / picture.shape[1] * 2 == pytest.approx(1.0, abs=0.01)
    assert spectrogram(np.zeros(50, np.float32), 16_000).shape[1] == 1  # however short


def test_utterances_within_a_recording(tmp_path):
    """Times stay those of the recording, and only the utterance's stretch is heard."""
    corpus = tmp_path / "in"
    corpus.mkdir()
    sound, rate = soundfile.read(SAMPLE / "rms" / "winter.flac")
    twice = np.concatenate([sound, sound])
    soundfile.write(corpus / "both.wav", np.stack([twice, twice], 1), rate)
    text, half = (SAMPLE / "rms" / "winter.lab").read_text(), len(sound) / rate
    rows = [Interval(0, half, text), Interval(half, 2 * half, text)]
    write_textgrid(corpus / "both.TextGrid", {"Ann": rows, "Bob": rows}, 2 * half)
    assert call("align", corpus, tmp_path / "out").exit_code == 0
    outcome = read_outcome(tmp_path / "out")
    assert [(r.speaker, r.channel) for r in outcome.rows] == [("Ann", 0), ("Bob", 1), ("Ann", 0), ("Bob", 1)]
    write_page(outcome)
    scripts = sorted((tmp_path / "out" / "report" / "utterances").glob("*.js"))
    contents = [json.loads(s.read_text().removeprefix("window.utterance(").rstrip(");\n")) for s in scripts]
    assert sorted({round(c["start"], 3) for c in contents}) == [0.0, pytest.approx(half, abs=0.001)]
    for c in contents:
        words = c["tiers"]["words"]
        assert c["length"] == pytest.approx(half, abs=0.001)
        assert words[0][0] == pytest.approx(c["start"], abs=1e-4)
        assert words[-1][1] == pytest.approx(c["start"] + half, abs=1e-3)
    items = items_of(outcome)
    assert [i.grid.name for i in items] == ["both.TextGrid"]  # a file of four utterances once


def test_the_commands_say_what_is_wrong(run, tmp_path):
    result = call("report", tmp_path)
    assert result.exit_code == 2
    assert "no alignment.csv in it: name the output folder" in result.output
    copy = tmp_path / "out"
    shutil.copytree(run, copy, ignore=shutil.ignore_patterns("report"))
    record = json.loads((copy / "run.json").read_text())
    (copy / "run.json").write_text(json.dumps({**record, "corpus": str(tmp_path / "gone")}))
    for command in ("report", "inspect"):
        result = call(command, copy)
        assert result.exit_code == 2
        assert "name their folder (--corpus)" in result.output
    result = call("report", copy, "--corpus", record["corpus"])
    assert result.exit_code == 0, result.output
    (copy / "run.json").write_text("{")
    assert "run.json: it is not JSON" in call("report", copy).output
    with pytest.raises(DataError, match=r"no alignment\.csv"):
        read_outcome(tmp_path / "nowhere")


def test_what_has_gone_since_is_said(run, tmp_path):
    copy = tmp_path / "out"
    shutil.copytree(run, copy, ignore=shutil.ignore_patterns("report"))
    (copy / "slt" / "numbers.TextGrid").unlink()
    assert call("report", copy).exit_code == 0
    data = json.loads(
        (copy / "report" / "data.js").read_text().removeprefix("window.REPORT = ").rstrip(";\n")
    )
    [gone] = [u for u in data["utterances"] if u["file"] == "slt/numbers"]
    assert (gone["status"], gone["reasons"]) == ("failed", ["its TextGrid is not there: align it again"])
    assert "note: slt/numbers: its TextGrid" in call("inspect", copy, "--no-open").output
    for text in ("", "file,recording,status\nslt/numbers,numbers.flac"):
        (copy / "alignment.csv").write_text(text)
        result = call("report", copy)
        assert result.exit_code == 2
        assert "empty or cut off" in result.output


def test_a_folder_of_an_earlier_version_opens(run, tmp_path):
    """Its table has no column for places: there is no place to begin with, and all the rest."""
    copy = tmp_path / "out"
    shutil.copytree(run, copy, ignore=shutil.ignore_patterns("report"))
    rows = read_table(copy / "alignment.csv")
    columns = [c for c in rows[0] if c not in ("at", "fault", "suspicions")]
    write_table(copy / "alignment.csv", columns, [[r[c] for c in columns] for r in rows])
    for new, old in zip(read_outcome(run).rows, read_outcome(copy).rows, strict=True):
        assert ("; ".join(old.reasons), old.status) == ("; ".join(new.reasons), new.status)
        assert old.at is None
    for command in (("report",), ("inspect", "--no-open", "--suspect")):
        result = call(command[0], copy, *command[1:])
        assert result.exit_code == 0, result.output
    assert "undefined" in (copy / "inspect.praat").read_text()


def test_places_are_the_same_in_every_file(run, tmp_path):
    copy = tmp_path / "out"
    corpus = json.loads((run / "run.json").read_text())["corpus"]
    assert call("align", corpus, copy, "-f", "json").exit_code == 1
    [row] = [r for r in read_outcome(copy).rows if r.status == "suspect"]
    [told] = json.loads((copy / f"{row.file}.json").read_text())["utterances"]
    assert [Suspicion(**found) for found in told["suspicions"]] == list(row.suspicions)
    assert told["reasons"] == list(row.reasons)
    assert row.at == row.suspicions[0].at is not None
    [cells] = [c for c in read_table(copy / "alignment.csv") if c["status"] == "suspect"]
    assert float(cells["at"]) == row.at
    assert call("report", copy).exit_code == 0
    data = json.loads(
        (copy / "report" / "data.js").read_text().removeprefix("window.REPORT = ").rstrip(";\n")
    )
    [shown] = [u for u in data["utterances"] if u["status"] == "suspect"]
    assert (shown["at"], shown["reasons"]) == (row.at, list(row.reasons))


def test_a_damaged_table_is_said(run, tmp_path):
    copy = tmp_path / "out"
    shutil.copytree(run, copy, ignore=shutil.ignore_patterns("report"))
    rows = [
        {**r, "suspicions": r["suspicions"] and r["suspicions"][:-5]}
        for r in read_table(copy / "alignment.csv")
    ]
    write_table(copy / "alignment.csv", list(rows[0]), [list(r.values()) for r in rows])
    result = call("report", copy)
    assert result.exit_code == 2
    assert "the suspicions of 'rms/kitchen' are not JSON: align again" in result.output


def test_inspect_lists_what_is_suspect(run):
    result = call("inspect", run, "--suspect", "--no-open")
    assert result.exit_code == 0, result.output
    assert result.output.startswith("1 recordings in ")
    script = (run / "inspect.praat").read_text()
    assert "kitchen.flac" in script
    assert "winter.flac" not in script
    result = call("inspect", run, "--no-open")
    assert result.output.startswith("11 recordings in ")
    [item] = items_of(read_outcome(run), suspect=True)
    assert item.corrected == run / "corrected" / "rms" / "kitchen.TextGrid"
    assert item.at is not None
