"""Good sound is read whatever its file looks like; bad sound gets the true reason."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from aligner.corpus import ffmpeg, recordings
from aligner.corpus.audio import frames_in, read, recordings_of, seconds_of, shape_of
from aligner.corpus.incoming import of_file
from aligner.types import DataError, Fault, Utterance

RATE = 16000
WAVE = (0.5 * np.sin(np.arange(RATE) / 5) * np.linspace(0.2, 1, RATE)).astype(np.float32)
PCM = np.round(WAVE * 2**15).astype("<i2").tobytes()
FORMAT = struct.pack("<HHIIHH", 1, 1, RATE, 2 * RATE, 2, 16)
SILENT_START = bytes(2000) + PCM


def chunk(name: bytes, content: bytes, size: int | None = None) -> bytes:
    return name + struct.pack("<I", len(content) if size is None else size) + content


def wav(
    sound: bytes = PCM,
    size: int | None = None,
    whole: int | None = None,
    *,
    before: bytes = b"",
    behind: bytes = b"",
    form: bytes = FORMAT,
) -> bytes:
    """A WAV file whose sizes may be wrong: ``size`` of its sound, ``whole`` of the file."""
    body = b"WAVE" + chunk(b"fmt ", form) + before + chunk(b"data", sound, size) + behind
    return b"RIFF" + struct.pack("<I", len(body) if whole is None else whole) + body


def sound_of(path: Path, **stretch) -> np.ndarray:
    return read(Utterance("a", path, "", **stretch), RATE).wave


LIST = chunk(b"LIST", b"INFOISFT" + struct.pack("<I", 4) + b"abc\0")
GOOD = {
    "no size": wav(size=0),
    "no sizes": wav(size=0, whole=0),
    "no sizes, silence first": wav(SILENT_START, 0, 0),
    "the greatest size": wav(size=0xFFFFFFFF),
    "the greatest sizes": wav(size=0xFFFFFFFF, whole=0xFFFFFFFF),
    "the greatest size of signed numbers": wav(size=0x7FFFFFFF, whole=0x7FFFFFFF),
    "sox into a pipe": wav(size=0x7FFFFFD8, whole=0x7FFFFFFC),
    "half of the greatest": wav(size=0x80000000, whole=0x80000024),
    "a size that counts the header": wav(size=len(PCM) + 44),
    "twice the size, though the file is whole": wav(size=2 * len(PCM)),
    "too large a size in an unfinished header": wav(size=9 * len(PCM), whole=0),
    "no size of the whole": wav(whole=0),
    "a size that grew stale": wav(size=len(PCM) // 8 // 2 * 2, whole=len(PCM) // 8 + 36),
    "a chunk before": wav(before=LIST),
    "an odd chunk before": wav(before=chunk(b"LIST", b"INFOx") + b"\0"),
    "an odd chunk before, not made up": wav(before=chunk(b"LIST", b"INFOx")),
    "a chunk behind": wav(behind=LIST),
    "broadcast": wav(before=chunk(b"bext", bytes(602))),
    "zeros behind": wav(behind=bytes(10_000)),
    "a text behind": wav(
        behind=b"recorded on a Tuesday with my old phone, in the kitchen, by the window " * 100
    ),
    "a tag behind": wav(behind=b"ID3\4\0\0\0\0\x4e\x10" + bytes(10_000)),
    "a tag before": b"ID3\4\0\0\0\0\0\x0a" + bytes(10) + wav(),
    "extensible": wav(
        form=struct.pack("<HHIIHHHHI", 0xFFFE, 1, RATE, 2 * RATE, 2, 16, 22, 16, 4)
        + b"\1\0\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71"
    ),
    "a block size that is wrong": wav(form=struct.pack("<HHIIHH", 1, 1, RATE, RATE, 1, 16)),
    "half a sample at the end": wav(PCM + b"\1", len(PCM) + 1),
    "RF64": b"RF64\xff\xff\xff\xffWAVE"
    + chunk(b"ds64", struct.pack("<QQQI", len(PCM) + 72, len(PCM), RATE, 0))
    + chunk(b"fmt ", FORMAT)
    + chunk(b"data", PCM, 0xFFFFFFFF),
}


@pytest.mark.parametrize("content", GOOD.values(), ids=GOOD)
def test_sound_behind_a_header_that_is_wrong(tmp_path, content):
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    wave = sound_of(path)
    begins = 1000 if content == GOOD["no sizes, silence first"] else 0
    np.testing.assert_allclose(wave[begins : begins + RATE], WAVE, atol=1e-4)
    assert len(wave) <= begins + RATE + 1
    assert seconds_of(path) == pytest.approx(len(wave) / RATE)
    np.testing.assert_array_equal(sound_of(path, start=0.5, end=0.75), wave[8000:12000])
    np.testing.assert_array_equal(np.concatenate(list(of_file(path, RATE, 0.3))), wave)


BAD: dict[str, tuple[bytes, str, Fault]] = {
    "nothing": (b"", r"is empty \(0 bytes\)", Fault.UNREADABLE),
    "a header alone": (wav(b""), r"is empty \(no sound in it\)", Fault.UNREADABLE),
    "a header and a chunk": (wav(b"", behind=LIST), "is empty", Fault.UNREADABLE),
    "half a header": (wav()[:30], "cannot be read", Fault.UNREADABLE),
    "half of it": (
        wav()[: len(PCM) // 2],
        "is truncated or damaged: 0.50 of 1.00 s can be read: copy it again",
        Fault.TRUNCATED,
    ),
    "all but a fifth of a second": (wav()[:-6400], "truncated or damaged: 0.80 of 1.00 s", Fault.TRUNCATED),
    "half of it in RF64": (GOOD["RF64"][: len(PCM) // 2], "truncated or damaged: 0.5", Fault.TRUNCATED),
    "zeros": (wav(bytes(len(PCM))), "silent throughout", Fault.SILENT),
    "zeros without a size": (wav(bytes(len(PCM)), 0), "silent throughout", Fault.SILENT),
    "a constant": (wav(b"\0\x20" * RATE), "silent throughout", Fault.SILENT),
    "a pointer": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 12\n",
        "it is a pointer of Git LFS.*git lfs pull",
        Fault.UNREADABLE,
    ),
    "a page": (b"\n<!DOCTYPE html><html>404</html>", "it is a web page.*fetch the file", Fault.UNREADABLE),
    "an archive": (b"PK\x03\x04" + bytes(500), "it is an archive .zip.*unpack it", Fault.UNREADABLE),
    "a text": (b"this is no sound at all, but a text", "cannot be read", Fault.UNREADABLE),
    "no channels": (
        wav(form=struct.pack("<HHIIHH", 1, 0, RATE, 0, 0, 16)),
        "cannot be read",
        Fault.UNREADABLE,
    ),
}


@pytest.mark.parametrize(("content", "rule", "fault"), BAD.values(), ids=BAD)
def test_bad_sound_gets_the_true_reason(tmp_path, content, rule, fault):
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    with pytest.raises(DataError, match=rule) as caught:
        sound_of(path)
    assert caught.value.fault is fault


def test_an_end_that_is_missed_by_less_than_a_tenth_of_a_second_is_no_matter(tmp_path):
    (tmp_path / "a.wav").write_bytes(wav()[:-2000])
    assert len(sound_of(tmp_path / "a.wav")) == RATE - 1000


KINDS: dict[str, tuple[str, str | None, str | None]] = {
    "a.aiff": ("PCM_16", "AIFF", None),
    "a.aifc": ("FLOAT", "AIFF", None),
    "a.au": ("ULAW", "AU", None),
    "a.snd": ("PCM_16", "AU", None),
    "a.caf": ("PCM_24", "CAF", None),
    "a.w64": ("PCM_16", "W64", None),
    "a.rf64": ("PCM_16", "RF64", None),
    "a.sph": ("PCM_16", "NIST", None),
    "a.WAV": ("PCM_16", "NIST", None),
    "a.wav": ("ALAW", "WAV", None),
    "b.wav": ("IMA_ADPCM", "WAV", None),
    "c.wav": ("MS_ADPCM", "WAV", None),
    "d.wav": ("GSM610", "WAV", None),
    "e.wav": ("PCM_16", "WAVEX", None),
    "f.wav": ("G721_32", "WAV", None),
    "a.voc": ("PCM_16", "VOC", None),
    "a.mp3": ("MPEG_LAYER_III", "MP3", None),
    "a.flac": ("PCM_24", "FLAC", None),
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_libsndfile_is_read_from_any_place(tmp_path, name):
    subtype, kind, _ = KINDS[name]
    path = tmp_path / name
    soundfile.write(path, WAVE, RATE, subtype, format=kind)
    wave = sound_of(path)
    assert abs(len(wave) - RATE) < 600  # blocks are padded
    assert np.corrcoef(wave[:RATE], WAVE[: len(wave)])[0, 1] > 0.95
    for start, end in ((0.0, 0.25), (0.5, 0.75)):
        np.testing.assert_allclose(
            sound_of(path, start=start, end=end), wave[int(start * RATE) : int(end * RATE)], atol=1e-3
        )
    assert shape_of(path).rate == RATE
    assert frames_in(path)[1] == pytest.approx(RATE, abs=600)


@pytest.mark.parametrize("kind", ["AIFF", "AU", "W64", "NIST", "FLAC", "RF64", "WAVEX"])
def test_half_a_file_is_truncated_in_every_kind(tmp_path, kind):
    path = tmp_path / "a.wav"
    noise = np.random.default_rng(0).normal(0, 0.1, 3 * RATE)
    soundfile.write(path, noise, RATE, "PCM_16", format=kind)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match=r"truncated or damaged: 1\.\d\d of 3.00 s can be read") as caught:
        sound_of(path)
    assert caught.value.fault is Fault.TRUNCATED


def test_half_a_core_audio_file_is_truncated(tmp_path):
    path = tmp_path / "a.caf"  # libsndfile does not open it, and ffmpeg reads what is there
    soundfile.write(path, WAVE, RATE, "PCM_16", format="CAF")
    path.write_bytes(path.read_bytes()[: -len(PCM) // 2])
    with pytest.raises(DataError, match=r"truncated or damaged: 50 % of it is there: copy") as caught:
        sound_of(path)
    assert caught.value.fault is Fault.TRUNCATED


@pytest.mark.parametrize("kind", ["VORBIS", "OPUS"])
def test_an_ogg_file_that_breaks_off_is_truncated(tmp_path, kind):
    path = tmp_path / "a.ogg"
    noise = np.random.default_rng(0).normal(0, 0.1, 4 * RATE)
    soundfile.write(path, noise, RATE, kind, format="OGG")
    whole = path.read_bytes()
    last_page = whole.rindex(b"OggS")
    for kept in (len(whole) // 2, last_page - 1, last_page + 20, last_page + 30, len(whole) - 1):
        path.write_bytes(whole[:kept])
        with pytest.raises(DataError, match=r"truncated or damaged: it breaks off after \d") as caught:
            sound_of(path)
        assert caught.value.fault is Fault.TRUNCATED
    path.write_bytes(whole[:last_page])  # nothing says that a page is missing
    assert len(sound_of(path)) < len(noise)


def unsized_flac(path: Path) -> None:
    """A FLAC file as it comes through a pipe: its header does not say how long it is."""
    soundfile.write(path, WAVE, RATE, "PCM_16", format="FLAC")
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0  # the 36 bits of the number of samples
    content[22:26] = bytes(4)
    path.write_bytes(content)


def unsized_mp3(path: Path) -> None:
    """An MP3 file whose first frame, which says how long it is and what to leave out, is gone."""
    soundfile.write(path, WAVE, RATE, "MPEG_LAYER_III", format="MP3")
    content = path.read_bytes()
    second = content.index(content[:2], 100)
    path.write_bytes(content[second:])


def tagged_mp3(path: Path) -> None:
    unsized_mp3(path)
    path.write_bytes(b"ID3\3\0\0\0\0\x27\x08" + bytes(5000) + path.read_bytes())


@pytest.mark.parametrize("make", [unsized_flac, unsized_mp3, tagged_mp3])
def test_files_that_do_not_say_how_long_they_are(tmp_path, make: Callable[[Path], None]):
    path = tmp_path / "a.flac"
    make(path)
    wave = sound_of(path)
    assert abs(len(wave) - RATE) < 1200
    assert np.corrcoef(wave[:14000], WAVE[:14000])[0, 1] > 0.98
    assert seconds_of(path) == len(wave) / RATE
    np.testing.assert_array_equal(sound_of(path, start=0.25, end=0.5), wave[4000:8000])
    with pytest.raises(DataError, match="does not lie"):
        sound_of(path, start=3.0)


def test_a_shortened_sphere_file_says_what_to_do(tmp_path):
    header = (
        b"NIST_1A\n   1024\nsample_count -i 16000\nsample_coding -s26 pcm,embedded-shorten-v2.00\nend_head\n"
    )
    (tmp_path / "a.sph").write_bytes(header.ljust(1024) + bytes(5000))
    with pytest.raises(DataError, match=r"compressed by shorten, .* sph2pipe -f wav"):
        sound_of(tmp_path / "a.sph")


def test_raw_samples_say_what_to_do(tmp_path):
    (tmp_path / "a.raw").write_bytes(PCM)
    with pytest.raises(DataError, match=r"raw samples have no header .* ffmpeg -f s16le -ar 16000 -ac 1 -i"):
        sound_of(tmp_path / "a.raw")


def test_a_wrong_wire_does_not_cancel_speech(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.stack([WAVE, -WAVE], 1), RATE)
    np.testing.assert_allclose(sound_of(path), WAVE, atol=1e-4)
    soundfile.write(path, np.stack([WAVE, 0 * WAVE], 1), RATE)
    np.testing.assert_allclose(sound_of(path), WAVE / 2, atol=1e-4)


@pytest.mark.parametrize("subtype", ["PCM_24", "FLOAT"])
def test_faint_sound_is_sound_where_its_kind_holds_it(tmp_path, subtype):
    path = tmp_path / "a.wav"
    soundfile.write(path, WAVE * 1e-4, RATE, subtype)
    assert np.corrcoef(sound_of(path), WAVE)[0, 1] > 0.99


def test_a_file_that_changes_is_read_anew(tmp_path):
    path = tmp_path / "a.mp3"
    for samples in (WAVE, WAVE[: RATE // 2]):
        soundfile.write(path, samples, RATE)
        assert len(sound_of(path)) == len(samples)


def test_decoding_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(recordings.tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    soundfile.write(tmp_path / "a.mp3", WAVE, RATE)
    assert len(sound_of(tmp_path / "a.mp3")) == RATE
    assert not list((tmp_path / "temporary").iterdir())


def test_a_video_beside_its_sound_is_not_a_second_recording():
    names = ["a.mp4", "a.wav", "b.MOV", "c.flac", "c.lab", "c.wav", "d.m4a", "d.mp4"]
    found = [p.name for p in recordings_of(map(Path, names))]
    assert found == ["a.wav", "b.MOV", "c.flac", "c.wav", "d.m4a", "d.mp4"]


def test_without_ffmpeg_the_command_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(ffmpeg, "is_there", lambda: False)
    path = tmp_path / "my talk.m4a"
    path.write_bytes(b"\0\0\0\x20ftypM4A " + bytes(1000))
    there = tmp_path / "my talk.wav"
    with pytest.raises(DataError, match=r"of the kind .m4a cannot be read without ffmpeg") as caught:
        sound_of(path)
    assert str(caught.value).endswith(f"ffmpeg -i '{path}' '{there}'")
    assert caught.value.fault is Fault.UNREADABLE
    (tmp_path / "b.wav").write_bytes(path.read_bytes())  # by its content, whatever its name
    with pytest.raises(DataError, match=r"without ffmpeg.* ffmpeg -i .*/b.wav .*/b-pcm.wav"):
        sound_of(tmp_path / "b.wav")


def test_the_command_is_safe_to_type():
    assert ffmpeg.command(Path("-i.m4a")) == "ffmpeg -i ./-i.m4a ./-i.wav"
    assert ffmpeg.command(Path("a'b.mp4")) == """ffmpeg -i 'a'"'"'b.mp4' 'a'"'"'b.wav'"""
