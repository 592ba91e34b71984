"""Videos and phones' recordings are read through ffmpeg, at the times at which they were recorded."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from support.places import SAMPLE

from aligner.cli import align as command
from aligner.corpus import ffmpeg
from aligner.corpus.audio import read, seconds_of, shape_of
from aligner.corpus.find import find
from aligner.run.align import align_file
from aligner.types import DataError, Fault, Utterance

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
pytestmark = needs_ffmpeg

KITCHEN = SAMPLE / "rms" / "kitchen.flac"
TEXT = (SAMPLE / "rms" / "kitchen.lab").read_text().strip()
RATE = 16000
VIDEO = ("-f", "lavfi", "-i", "testsrc=size=64x64:rate=10")


def make(path: Path, *arguments: str, source: Path = KITCHEN, video: bool = False) -> Path:
    """Make a recording of the sample by ffmpeg; skip where that lacks an encoder."""
    pictures = VIDEO if video else ()
    done = subprocess.run(
        ["ffmpeg", "-v", "error", *pictures, *arguments[:0], "-i", source, *arguments, "-shortest", path],
        capture_output=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"this ffmpeg makes no such file: {done.stderr.decode()[-200:]}")
    return path


def sound_of(path: Path, rate: int = RATE, **stretch) -> np.ndarray:
    return read(Utterance("a", path, "", **stretch), rate).wave


def lag(wave: np.ndarray, other: np.ndarray) -> int:
    """By how many samples ``wave`` is later than ``other``."""
    count = 2 * max(len(wave), len(other))
    alike = np.fft.irfft(np.fft.rfft(wave, count) * np.conj(np.fft.rfft(other, count)))
    place = int(alike.argmax())
    return place if place < count // 2 else place - count


MADE: dict[str, tuple[str, ...]] = {
    "a.m4a": (),
    "a.m4b": (),
    "a.mp4": (),
    "a.MOV": (),
    "a.webm": ("-c:a", "libvorbis"),
    "b.webm": ("-c:a", "libopus"),
    "a.mkv": ("-c:a", "aac"),
    "b.mkv": ("-c:a", "libopus"),
    "c.mkv": ("-c:a", "pcm_s16le"),
    "d.mkv": ("-c:a", "flac"),
    "a.mka": ("-c:a", "libvorbis"),
    "a.aac": (),
    "a.wma": (),
    "a.avi": (),
    "b.avi": ("-c:a", "aac"),
    "a.3gp": ("-c:a", "aac"),
    "a.flv": ("-ar", "44100"),
    "a.mpg": (),
    "b.m4a": ("-c:a", "alac"),
    "a.wv": (),
    "a.tta": (),
    "a.ac3": ("-ar", "48000"),
    "a.caf": ("-c:a", "alac"),
    "a.wav": ("-c:a", "adpcm_yamaha"),
    "a.ogg": ("-c:a", "flac"),
}


# Opus knows no rate of 44100.
AT_44100 = [name for name, arguments in MADE.items() if "libopus" not in arguments]


@pytest.mark.parametrize(
    ("name", "rate"),
    [(name, ()) for name in MADE] + [(name, ("-ar", "44100")) for name in AT_44100],
    ids=lambda value: value if isinstance(value, str) else "".join(value[1:]) or "as it is",
)
def test_nothing_is_shifted(tmp_path, name, rate):
    path = make(tmp_path / name, *rate, *MADE[name])
    original, wave = sound_of(KITCHEN), sound_of(path)
    assert abs(lag(wave, original)) <= 0.001 * RATE
    assert len(wave) >= len(original) - 100
    stretch = sound_of(path, start=1.0, end=1.5)
    np.testing.assert_allclose(stretch, wave[RATE : RATE + len(stretch)], atol=0.02)
    assert seconds_of(path) == pytest.approx(len(wave) / RATE, abs=1e-3)
    assert shape_of(path).channels == 1


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm", "a.mov", "a.avi"])
def test_the_sound_of_a_video(tmp_path, name):
    path = make(tmp_path / name, video=True)
    assert abs(lag(sound_of(path), sound_of(KITCHEN))) <= 0.001 * RATE


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_sound_that_begins_later_than_its_picture_keeps_its_time(tmp_path, name):
    path = tmp_path / name
    late = ["ffmpeg", "-v", "error", *VIDEO, "-itsoffset", "0.5", "-i", KITCHEN, "-shortest", path]
    subprocess.run(late, check=True)
    assert lag(sound_of(path), sound_of(KITCHEN)) == pytest.approx(0.5 * RATE, abs=0.002 * RATE)


def test_channels_are_kept_and_the_first_stream_of_sound_counts(tmp_path):
    samples, _ = soundfile.read(KITCHEN)
    soundfile.write(tmp_path / "two.wav", np.stack([samples, 0 * samples], 1), RATE)
    path = make(tmp_path / "a.m4a", "-b:a", "128k", source=tmp_path / "two.wav")
    assert shape_of(path).channels == 2
    assert np.abs(sound_of(path, channel=0)).max() > 100 * np.abs(read_silent(path)).max()
    soundfile.write(tmp_path / "other.wav", samples[::-1], RATE)
    both = tmp_path / "b.mkv"
    streams = ["-i", KITCHEN, "-i", tmp_path / "other.wav", "-map", "0", "-map", "1"]
    subprocess.run(["ffmpeg", "-v", "error", *streams, "-c:a", "flac", both], check=True)
    np.testing.assert_allclose(sound_of(both), samples, atol=1e-4)


def read_silent(path: Path) -> np.ndarray:
    return read(Utterance("a", path, "", channel=1), RATE, silence=True).wave


ODD_NAMES = ("-i.m4a", "a b.m4a", "a:b.m4a", "a'b\"c.m4a", "%d.m4a", "a;rm -rf b.m4a", "ä日本.m4a", "[1].m4a")


@pytest.mark.parametrize("name", ODD_NAMES)
def test_no_name_is_taken_for_anything_else(tmp_path, monkeypatch, name):
    shutil.move(make(tmp_path / "made.m4a"), tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert abs(len(sound_of(Path(name))) - len(sound_of(KITCHEN))) < 2000
    assert shape_of(Path(name)).rate == RATE


def test_a_playlist_fetches_nothing(tmp_path):
    (tmp_path / "a.mp4").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://127.0.0.1:9/a.ts\n")
    with pytest.raises(DataError, match="cannot be read"):
        sound_of(tmp_path / "a.mp4")


def test_layer_two_of_mpeg_is_read(tmp_path):
    path = make(tmp_path / "a.mp2", "-ar", "16000")
    assert len(sound_of(path)) / RATE == pytest.approx(seconds_of(KITCHEN), abs=0.1)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_bad_files_get_the_true_reason(tmp_path):
    cases: dict[str, tuple[Path, str, Fault]] = {}
    whole = make(tmp_path / "index_behind.m4a")
    cut(whole)
    cases["the index is missing"] = (
        whole,
        r"cannot be read \(ffmpeg: moov atom not found\)",
        Fault.UNREADABLE,
    )
    whole = make(tmp_path / "index_first.m4a", "-movflags", "faststart")
    cut(whole)
    cases["half of it"] = (whole, r"is truncated: [\d.]+ of 2\.\d+ s can be read", Fault.TRUNCATED)
    whole = make(tmp_path / "half.webm", "-c:a", "libopus")
    cut(whole)
    cases["half of a webm"] = (whole, r"is truncated: [\d.]+ of 2\.\d+ s can be read", Fault.TRUNCATED)
    mute = tmp_path / "mute.mp4"
    subprocess.run(["ffmpeg", "-v", "error", *VIDEO, "-t", "1", mute], check=True)
    cases["pictures alone"] = (mute, "there is no sound in it", Fault.UNREADABLE)
    (tmp_path / "text.mp4").write_text("no video")
    cases["a text"] = (tmp_path / "text.mp4", r"cannot be read \(ffmpeg: ", Fault.UNREADABLE)
    (tmp_path / "empty.webm").touch()
    cases["nothing"] = (tmp_path / "empty.webm", r"is empty \(0 bytes\)", Fault.UNREADABLE)
    for name, (path, rule, fault) in cases.items():
        with pytest.raises(DataError, match=rule) as caught:
            sound_of(path)
        assert caught.value.fault is fault, name
        assert "\n" not in str(caught.value), name


def test_a_recording_that_takes_too_long_is_given_up(tmp_path, monkeypatch):
    path = make(tmp_path / "a.m4a")
    monkeypatch.setattr(ffmpeg, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(ffmpeg, "SECONDS_PER_MEGABYTE", 0.0)
    monkeypatch.setattr(ffmpeg, "probe", lambda path: None)
    with pytest.raises(DataError, match="ffmpeg was still reading it after 0 s"):
        sound_of(path)


def test_without_ffprobe_it_is_decoded(tmp_path, monkeypatch):
    path = make(tmp_path / "a.m4a")
    monkeypatch.setattr(ffmpeg, "probe", lambda path: None)
    assert abs(lag(sound_of(path), sound_of(KITCHEN))) <= 16
    shape = shape_of(path)
    assert (shape.rate, shape.channels) == (RATE, 1)


def test_a_corpus_of_videos_and_phones(tmp_path):
    corpus = tmp_path / "corpus" / "anna"
    corpus.mkdir(parents=True)
    for name in ("one.m4a", "two.webm"):
        make(corpus / name)
        (corpus / name).with_suffix(".lab").write_text(TEXT)
    make(corpus / "three.mp4", video=True)  # beside its sound
    shutil.copy(KITCHEN, corpus / "three.flac")
    (corpus / "three.lab").write_text(TEXT)
    found = find(tmp_path / "corpus")
    assert sorted(u.audio.name for u in found.utterances) == ["one.m4a", "three.flac", "two.webm"]
    assert not found.failures
    result = CliRunner().invoke(command, [str(tmp_path / "corpus"), str(tmp_path / "out"), "--jobs", "1"])
    assert result.exit_code == 0, result.output
    assert len(list((tmp_path / "out").rglob("*.TextGrid"))) == 3


def test_a_video_is_aligned_as_its_sound_is(tmp_path):
    expected = align_file(KITCHEN, TEXT).words
    for name in ("a.m4a", "a.mp4", "a.webm"):
        words = align_file(make(tmp_path / name, "-b:a", "128k"), TEXT).words
        assert [w.label for w in words] == [w.label for w in expected]
        assert np.median([abs(a.start - b.start) for a, b in zip(words, expected, strict=True)]) < 0.001
        assert max(abs(a.start - b.start) for a, b in zip(words, expected, strict=True)) < 0.005
