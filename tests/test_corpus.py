"""A folder -> utterances: every kind of transcript, encoding and recording."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest
import soundfile
from support.places import SAMPLE

from aligner import DataError, Utterance, find
from aligner.corpus.audio import read
from aligner.formats.textgrid import read_textgrid, write_textgrid
from aligner.types import Interval

RECORDING = SAMPLE / "rms" / "kitchen.flac"
TEXT = "There is a pot of soup on the kitchen table."


@pytest.fixture
def folder(tmp_path):
    target = tmp_path / "corpus" / "bob"
    target.mkdir(parents=True)
    shutil.copy(RECORDING, target / "a.flac")
    return target


def only(folder):
    found = find(folder.parent)
    assert found.failures == ()
    [utterance] = found.utterances
    return utterance


@pytest.mark.parametrize("suffix", [".lab", ".txt", ".LAB"])
def test_text_beside_the_recording(folder, suffix):
    (folder / f"a{suffix}").write_text(TEXT)
    utterance = only(folder)
    assert (utterance.transcript, utterance.speaker, utterance.file) == (TEXT, "bob", "bob/a")


def test_lab_goes_before_txt_and_textgrid(folder):
    (folder / "a.txt").write_text("no")
    (folder / "a.lab").write_text("yes")
    write_textgrid(folder / "a.TextGrid", {"x": [Interval(0, 1, "no")]}, 1.0)
    assert only(folder).transcript == "yes"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_encodings_and_line_ends(folder, encoding, newline):
    (folder / "a.lab").write_bytes(f"Čeština, naïve{newline}text {newline}".encode(encoding))
    assert only(folder).transcript == "Čeština, naïve\ntext"


def test_timit_prompts_lose_their_sample_numbers(folder):
    samples = soundfile.info(RECORDING).frames
    (folder / "a.txt").write_text(f"0 {samples} She had\n")
    assert only(folder).transcript == "She had"
    (folder / "a.txt").write_text("0 15 was the score\n")  # numbers that are said
    assert only(folder).transcript == "0 15 was the score"


def test_textgrid_tiers_are_speakers(folder):
    tiers = {
        "Zoë": [Interval(0, 0.5, ""), Interval(0.5, 1, "hello  there")],
        "bob": [Interval(1.5, 2, "bye")],
    }
    write_textgrid(folder / "a.TextGrid", tiers, 2.84)
    zoe, bob = find(folder.parent).utterances
    assert (zoe.speaker, zoe.start, zoe.end, zoe.transcript, zoe.channel) == (
        "Zoë",
        0.5,
        1.0,
        "hello there",
        None,
    )
    assert (bob.speaker, bob.start, bob.end) == ("bob", 1.5, 2.0)
    assert zoe.id != bob.id
    assert zoe.file == bob.file == "bob/a"


@pytest.mark.parametrize(("tiers", "channels"), [(2, [0, 1]), (3, [0, 0, 1]), (4, [0, 0, 1, 1]), (1, [None])])
def test_stereo_halves_of_the_tiers(folder, tiers, channels):
    (folder / "a.flac").unlink()
    soundfile.write(folder / "a.wav", np.random.default_rng(0).normal(0, 0.1, (16000, 2)), 16000)
    write_textgrid(folder / "a.TextGrid", {f"s{k}": [Interval(0, 1, "hi")] for k in range(tiers)}, 1.0)
    assert [u.channel for u in find(folder.parent).utterances] == channels


def test_ljspeech(tmp_path):
    (tmp_path / "wavs").mkdir()
    shutil.copy(RECORDING, tmp_path / "wavs" / "LJ1.flac")
    (tmp_path / "metadata.csv").write_text('LJ1|It cost $5, "he" said|It cost five dollars, "he" said\n')
    [u] = find(tmp_path).utterances
    assert u.transcript == 'It cost five dollars, "he" said'
    assert u.speaker == tmp_path.name
    assert u.file == "wavs/LJ1"


@pytest.mark.parametrize(
    ("table", "speaker"),
    [
        ("a.flac\tHello\n", "bob"),
        ("file\ttext\na\tHello\n", "bob"),
        ("client_id\tpath\tsentence\njim\ta.flac\tHello\n", "jim"),
    ],
)
def test_tsv(folder, table, speaker):
    (folder / "transcripts.tsv").write_text(table)
    utterance = only(folder)
    assert (utterance.transcript, utterance.speaker) == ("Hello", speaker)


def test_a_bad_row_is_a_failure_and_the_rest_goes_on(folder):
    (folder / "transcripts.tsv").write_text("a.flac\tHello\nb.flac\nc.flac\tGone\n")
    found = find(folder.parent)
    assert len(found.utterances) == 1
    assert sorted(f.rule for f in found.failures) == [
        "line 3 of transcripts.tsv names a recording that is not in the corpus",
        "transcripts.tsv:2: a column is missing",
    ]


def test_a_recording_named_twice(folder):
    (folder / "transcripts.tsv").write_text("a.flac\tHello\na.flac\tHello\n")
    assert only(folder).transcript == "Hello"
    (folder / "transcripts.tsv").write_text("a.flac\tHello\na.flac\tBye\n")
    [failure] = find(folder.parent).failures
    (folder / "transcripts.tsv").write_text("a.flac\tHello\na.flac\tBye\na.flac\tBye\n")
    assert [f.rule for f in find(folder.parent).failures] == [failure.rule]
    assert failure.rule == "transcripts.tsv:2: it names a recording that line 1 names too, with other words"


def test_tables_name_recordings_by_any_path(folder, tmp_path):
    table = tmp_path / "corpus" / "jim" / "transcripts.tsv"
    table.parent.mkdir()
    for path in ("../bob/a.flac", (folder / "a").resolve()):
        table.write_text(f"{path}\tHello\n")
        assert only(folder).transcript == "Hello"


def test_the_speaker_of_a_link_is_where_it_lies(folder):
    (folder / "a.flac").unlink()
    (folder / "a.flac").symlink_to(RECORDING)
    (folder / "a.lab").write_text(TEXT)
    assert only(folder).speaker == "bob"


def test_names_with_spaces_dots_and_letters_of_other_scripts(tmp_path):
    for name in ("a b.c", "日本語", "naïve – 1"):
        shutil.copy(RECORDING, tmp_path / f"{name}.flac")
        (tmp_path / f"{name}.lab").write_text(TEXT)
    assert {u.file for u in find(tmp_path).utterances} == {"a b.c", "日本語", "naïve – 1"}


# Recordings.


@pytest.mark.parametrize(
    ("suffix", "subtype"),
    [
        ("wav", "PCM_U8"),
        ("wav", "PCM_16"),
        ("wav", "PCM_24"),
        ("wav", "PCM_32"),
        ("wav", "FLOAT"),
        ("wav", "DOUBLE"),
        ("wav", "ULAW"),
        ("flac", "PCM_16"),
        ("flac", "PCM_24"),
        ("ogg", "VORBIS"),
        ("mp3", "MPEG_LAYER_III"),
        ("opus", "OPUS"),
        ("aiff", "PCM_16"),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_kinds_of_recordings(tmp_path, suffix, subtype, channels):
    samples, rate = soundfile.read(RECORDING)
    path = tmp_path / f"a.{suffix}"
    soundfile.write(
        path,
        np.stack([samples] * channels, 1),
        rate,
        subtype=subtype,
        format="OGG" if suffix == "opus" else None,
    )
    sound = read(Utterance("a", path, ""))
    n = min(len(sound.wave), len(samples))
    assert abs(sound.duration - len(samples) / rate) < 0.1  # mp3 pads
    assert np.corrcoef(sound.wave[:n], samples[:n])[0, 1] > 0.9
    assert sound.wave.dtype == np.float32


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000])
def test_any_rate_becomes_16_khz(tmp_path, rate):
    t = np.arange(rate) / rate
    soundfile.write(tmp_path / "a.wav", np.sin(2 * np.pi * 440 * t) / 2, rate)
    sound = read(Utterance("a", tmp_path / "a.wav", ""))
    assert len(sound.wave) == 16000
    spectrum = np.abs(np.fft.rfft(sound.wave * np.hanning(16000)))
    assert spectrum.argmax() == 440
    assert sound.duration == 1.0


def test_a_model_may_hear_another_rate():
    slow, usual = read(Utterance("a", RECORDING, ""), 8000), read(Utterance("a", RECORDING, ""))
    assert len(slow.wave) * 2 == len(usual.wave)
    assert slow.duration == usual.duration


def test_a_stretch_and_a_channel(tmp_path):
    left, right = np.zeros(16000), np.linspace(0.1, 0.9, 16000)
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], 1), 16000, subtype="FLOAT")
    sound = read(Utterance("a", tmp_path / "a.wav", "", channel=1, start=0.25, end=0.5))
    np.testing.assert_allclose(sound.wave, right[4000:8000], atol=1e-6)
    assert (sound.start, sound.end, sound.duration) == (0.25, 0.5, 1.0)
    with pytest.raises(DataError, match="silent"):
        read(Utterance("a", tmp_path / "a.wav", "", channel=0))
    with pytest.raises(DataError, match="channel 3"):
        read(Utterance("a", tmp_path / "a.wav", "", channel=2))
    with pytest.raises(DataError, match="does not lie"):
        read(Utterance("a", tmp_path / "a.wav", "", start=0.5, end=2.0))


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.uint8, np.float32, np.float64])
def test_arrays_of_any_type(dtype):
    wave = np.sin(np.arange(1600) / 5) / 2
    scale = 1 if np.issubdtype(dtype, np.floating) else 2.0 ** (8 * dtype().itemsize - 1)
    middle = 128 if dtype == np.uint8 else 0
    given = wave if scale == 1 else (wave * scale).round() + middle
    sound = read(Utterance("a", given.astype(dtype), ""))
    np.testing.assert_allclose(sound.wave, wave, atol=0.005)


# TextGrids.


def test_textgrids_survive(tmp_path):
    tiers = {
        "words": [Interval(0.0, 1 / 3, 'say "Čeština"'), Interval(1 / 3, 2.5, "")],
        'a "b" - phones': [Interval(0.0, 2.5, "two\nlines")],
    }
    write_textgrid(tmp_path / "x.TextGrid", tiers, 2.5)
    assert dict(read_textgrid(tmp_path / "x.TextGrid")) == tiers


def test_short_and_utf16_textgrids(tmp_path):
    short = (
        'File type = "ooTextFile"\nObject class = '
        '"TextGrid"\n\n0\n2\n<exists>\n2\n"IntervalTier"\n"a"\n0\n2\n2\n'
        '0\n1\n"x = 3 <y>"\n1\n2\n""\n"TextTier"\n"p"\n0\n2\n1\n0.5\n"mark"\n'
    )
    (tmp_path / "s.TextGrid").write_text(short, encoding="utf-16")
    assert read_textgrid(tmp_path / "s.TextGrid") == [
        ("a", [Interval(0, 1, "x = 3 <y>"), Interval(1, 2, "")])
    ]


GRID = (
    'File type = "ooTextFile"\nObject class = "TextGrid"\n\nxmin = 0\nxmax = 3\ntiers? <exists>\nsize = '
    "1\nitem []:\n"
    '    item [1]:\n        class = "IntervalTier"\n        name = "bob"\n        xmin = 0\n        '
    "xmax = 3\n"
    "        intervals: size = 2\n"
    '        intervals [1]:\n            xmin = {}\n            xmax = {}\n            text = "hi"\n'
    '        intervals [2]:\n            xmin = {}\n            xmax = {}\n            text = "you"\n'
)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (GRID.format(0, 2, 1, 3), "interval 2 of tier 'bob' begins at 1 s"),
        (GRID.format(1, 0.5, 1, 3), "interval 1 of tier 'bob' is reversed"),
        (GRID.format(0, 1, 1, 1), "interval 2 of tier 'bob' is reversed or empty"),
        (GRID.format(0, 1, 1, 3)[:-40], "ends early"),
        ("hello", "not a TextGrid"),
        ("ooBinaryFile\x08TextGrid", "binary"),
    ],
)
def test_bad_textgrids_are_named(tmp_path, text, rule):
    (tmp_path / "x.TextGrid").write_text(text)
    with pytest.raises(DataError, match=rule) as caught:
        read_textgrid(tmp_path / "x.TextGrid")
    assert "x.TextGrid" in caught.value.where


COUNT_TIERS = """form Count
    sentence file
endform
Read from file: file$
tiers = Get number of tiers
for k to tiers
    name$ = Get tier name: k
    n = Get number of intervals: k
    label$ = Get label of interval: k, 1
    appendInfoLine: name$, tab$, n, tab$, label$
endfor
"""


def test_praat_itself_opens_textgrids(tmp_path):
    if shutil.which("praat") is None:
        pytest.skip("Debian's praat is not installed")
    tiers = {
        "Zoë - words": [Interval(0, 1, 'ʃæt "q"'), Interval(1, 2, "")],
        "Zoë - phones": [Interval(0, 2, "日本")],
    }
    write_textgrid(tmp_path / "x y.TextGrid", tiers, 2.0)
    (tmp_path / "count.praat").write_text(COUNT_TIERS)
    printed = subprocess.run(
        ["praat", "--run", "--utf8", str(tmp_path / "count.praat"), str(tmp_path / "x y.TextGrid")],
        capture_output=True,
        check=True,
    ).stdout.decode()
    assert printed.splitlines() == ['Zoë - words\t2\tʃæt "q"', "Zoë - phones\t1\t日本"]


def test_parselmouth_opens_textgrids(tmp_path):
    import parselmouth
    from parselmouth.praat import call

    write_textgrid(tmp_path / "x.TextGrid", {"Zoë": [Interval(0, 1, "ʃ"), Interval(1, 2, "")]}, 2.0)
    grid = parselmouth.read(str(tmp_path / "x.TextGrid"))
    assert call(grid, "Get number of intervals", 1) == 2
    assert call(grid, "Get label of interval", 1, 1) == "ʃ"
    assert call(grid, "Get tier name", 1) == "Zoë"
