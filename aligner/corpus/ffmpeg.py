"""Recordings of kinds that libsndfile does not read, phones' and videos' above all, are decoded by ffmpeg
where that is installed.

It runs beside us as a program, with the file's name in a list of arguments, so that no name is taken for an
option, a protocol or a command of a shell.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from aligner.types import DataError, Fault

SUFFIXES = (
    *(".m4a", ".m4b", ".m4r", ".aac", ".wma", ".amr", ".awb", ".3gp", ".3g2", ".3ga", ".weba", ".mka"),
    *(".ac3", ".ape", ".wv", ".tta", ".spx", ".mp4", ".m4v", ".mov", ".qt", ".webm", ".mkv", ".avi"),
    *(".wmv", ".asf", ".flv", ".f4v", ".ogv", ".mpg", ".mpeg", ".mts", ".m2ts", ".vob"),
)
# of what ffmpeg knows, the files that hold sound: no playlists, lists of files, devices or pictures
FORMATS = (
    *("mov", "matroska", "avi", "asf", "flv", "mpegts", "mpeg", "mpegvideo", "aac", "mp3", "amr", "ac3"),
    *("eac3", "dts", "ape", "wv", "tta", "ogg", "wav", "w64", "caf", "aiff", "au", "flac", "gsm", "adts"),
    *("loas", "latm", "nistsphere", "voc", "rm", "shn", "tak", "mpc", "mpc8", "dss", "swf", "mxf", "nut"),
)
LEAST_SECONDS = 120.0  # that ffmpeg may take,
SECONDS_PER_MEGABYTE = 5.0  # and for each megabyte; it takes some 0.05 s for one of speech
SIDE = "side_data_list"
SAID = 2000  # bytes of what ffmpeg says that are read
# gaps in the sound of a video are filled with silence, so that what follows keeps its time,
FILLED = "aresample=async=1"
LATE_START = 0.03  # and so is its start where it begins so many s after the video; less is a codec's delay
# samples by which the sound of a codec is late, where the file does not say what to leave out
DELAYS = {"aac": 1024, "mp3": 1105, "mp2": 481, "ac3": 256}
# the same of Windows Media, whose blocks are longer at higher rates (Hz)
WMA_DELAYS = {16_000: 512, 22_050: 1024, 192_000: 2048}


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What ffprobe says of a recording."""

    rate: int
    """Samples a second."""
    channels: int
    """Number of channels."""
    seconds: float
    """Its length; 0 where that is not known."""
    sure: bool
    """Whether the length is written in the file, and not guessed from its size."""
    late: float
    """Seconds by which its sound begins later than its picture."""
    codec: str
    """Name of its codec."""
    trimmed: bool
    """Whether the file says what its codec added in front, so that ffmpeg leaves it out."""


def is_there() -> bool:
    """Return whether ffmpeg is installed."""
    return shutil.which("ffmpeg") is not None


def command(path: Path) -> str:
    """Return the command that makes a WAV file of a recording, as a person types it.

    Examples
    --------
    >>> command(Path("my talk.m4a"))
    "ffmpeg -i 'my talk.m4a' 'my talk.wav'"
    """
    there = path.with_suffix(".wav")
    if there == path:
        there = path.with_name(f"{path.stem}-pcm.wav")
    return f"ffmpeg -i {_typed(path)} {_typed(there)}"


def _typed(path: Path) -> str:
    text = str(path)
    return shlex.quote(f"./{text}" if text.startswith("-") else text)


def needed(path: Path) -> DataError:
    """Return the error for a recording that only ffmpeg could read, where that is not installed."""
    return DataError(
        path,
        f"recordings of the kind {path.suffix.lower()} cannot be read without ffmpeg, which is not installed",
        f"install it, or convert the recording elsewhere: {command(path)}",
        fault=Fault.UNREADABLE,
    )


def decode(path: Path, into: IO[bytes]) -> None:
    """Write the first audio stream of a recording as a Sun audio file (au) of 32-bit floats, all channels.

    Raises
    ------
    DataError
        If ffmpeg cannot read it, says that there is no sound in it, or takes too long.
    """
    probed = probe(path)
    filters = FILLED if probed is None else _filters(probed)
    arguments = ["-map", "0:a:0", "-af", filters, "-c:a", "pcm_f32be", "-f", "au", "pipe:1"]
    allowed = LEAST_SECONDS + SECONDS_PER_MEGABYTE * path.stat().st_size / 1e6
    begin = into.tell()
    done, said = _run("ffmpeg", path, arguments, into, allowed)
    written = os.fstat(into.fileno()).st_size - begin
    if done != 0 or written <= 0:
        raise _undecoded(path, said, allowed if done is None else None)
    if probed is not None and probed.sure:
        _check_whole(path, probed, written)


def _filters(probed: Probe) -> str:
    """Return the filters that put the first sample of a recording where it was recorded."""
    windows_media = probed.codec.startswith("wma")
    kept = FILLED + (":first_pts=0" if windows_media or probed.late > LATE_START else "")
    if probed.trimmed or probed.late > LATE_START:
        return kept
    delay = DELAYS.get(probed.codec, 0)
    if windows_media:
        delay = next(d for rate, d in WMA_DELAYS.items() if probed.rate <= rate)
    return f"{kept},atrim=start_sample={delay}"


def _check_whole(path: Path, probed: Probe, written: int) -> None:
    seconds = written / (4 * probed.channels * probed.rate)
    if seconds < 0.98 * probed.seconds - 0.5:  # the ends of streams are rounded to packets
        raise DataError(
            path,
            f"the recording is truncated: {seconds:.2f} of {probed.seconds:.2f} s can be read",
            "copy it again",
            fault=Fault.TRUNCATED,
        )


def _undecoded(path: Path, said: str, stopped_after: float | None) -> DataError:
    rule = f"the recording cannot be read (ffmpeg: {said or 'it gives no reason'})"
    remedy = "it is damaged, or not audio"
    if stopped_after is not None:
        rule, remedy = f"ffmpeg was still reading it after {stopped_after:.0f} s", f"try: {command(path)}"
    elif "matches no streams" in said or "does not contain any stream" in said:
        rule, remedy = "there is no sound in it", "name the file that holds the sound"
    return DataError(path, rule, remedy, fault=Fault.UNREADABLE)


def probe(path: Path) -> Probe | None:
    """Return what ffprobe says of a recording's first audio stream; None where it cannot say."""
    if shutil.which("ffprobe") is None:
        return None
    shown = "stream=codec_name,sample_rate,channels,duration,start_time:stream_tags=DURATION"
    shown += ":format=duration,start_time,format_name:packet=pts_time:packet_side_data"
    first = ["-select_streams", "a:0", "-read_intervals", "%+#1"]
    arguments = [*first, "-show_entries", shown, "-of", "json"]
    with tempfile.TemporaryFile() as answer:
        done, _ = _run("ffprobe", path, arguments, answer, LEAST_SECONDS)
        answer.seek(0)
        found = json.loads(answer.read() or b"{}") if done == 0 else {}
    streams, whole = found.get("streams", []), found.get("format", {})
    if not streams or not int(streams[0].get("sample_rate", 0)) or not int(streams[0].get("channels", 0)):
        return None
    own = streams[0].get("duration") or streams[0].get("tags", {}).get("DURATION")
    kinds = {"mov", "matroska"} & set(whole.get("format_name", "").split(","))
    begins, all_begin = (_seconds(of.get("start_time")) for of in (streams[0], whole))
    return Probe(
        rate=int(streams[0]["sample_rate"]),
        channels=int(streams[0]["channels"]),
        seconds=_seconds(own or whole.get("duration")),
        sure=own is not None and bool(kinds),
        late=begins - max(0.0, all_begin),
        codec=streams[0].get("codec_name", ""),
        trimmed=any("Skip" in str(side) for p in found.get("packets", []) for side in p.get(SIDE, [])),
    )


def _seconds(text: str | None) -> float:
    """Return seconds that are written as such, or as hours:minutes:seconds; 0 where they are not known."""
    try:
        return sum(60.0**i * float(part) for i, part in enumerate(reversed((text or "0").split(":"))))
    except ValueError:
        return 0.0  # N/A


def _run(
    program: str, path: Path, arguments: list[str], into: IO[bytes], allowed: float
) -> tuple[int | None, str]:
    """Run ffmpeg or ffprobe on a file; return its exit status, None where it took too long, and what it said.

    It reads files that hold sound, and nothing else: a playlist cannot make it fetch anything.
    """
    safe = ["-nostdin"] if program == "ffmpeg" else []
    allow = ["-protocol_whitelist", "file,pipe", "-format_whitelist", ",".join(FORMATS)]
    before = [program, *safe, "-v", "error", *allow, "-i", f"file:{path}"]
    with tempfile.TemporaryFile() as errors:
        try:
            done: int | None = subprocess.run(
                [*before, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=into,
                stderr=errors,
                timeout=allowed,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            done = None
        errors.seek(0)
        said = errors.read(SAID).decode(errors="replace")
    lines = [re.sub(r"^\[[^]]* @ \w+\] ", "", line).strip() for line in said.splitlines()]
    return done, next((line.replace(f"file:{path}: ", "").rstrip(".") for line in lines if line), "")
