#!/usr/bin/env python3
"""Make a corpus of one studio voice, some 24 minutes, of the prompts of the Asterisk telephone system.

    asterisk.py LANGUAGE OUT [--root FOLDER] [--as-written]

LANGUAGE is en, es, fr, it or ru.  Recordings (G.722, 16 kHz) and texts are those of Debian's packages
asterisk-core-sounds-LANGUAGE-g722 and asterisk-core-sounds-LANGUAGE (CC BY-SA 3.0), installed, or unpacked
below FOLDER with dpkg-deb -x; ffmpeg decodes.  Writes OUT/VOICE/NAME.wav and NAME.lab: digits/0 becomes
digits_0, for the folder is the speaker.

The texts are a script for the speaker, typed by hand.  What is not speech, and what does not tell for certain
what is said, is left out, and told.  Single digits are spelled out, and accents that the Italian list has
lost are put back; --as-written leaves both, and longer numbers, as they are.
"""

from __future__ import annotations

import argparse
import gzip
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import soundfile
from num2words import num2words

from aligner.text.normalise import normalise

LANGUAGES = ("en", "es", "fr", "it", "ru")
SOUNDS, LIST = "usr/share/asterisk/sounds", "usr/share/doc/asterisk-core-sounds-{0}/core-sounds-{0}.txt.gz"
ASIDE = re.compile(r"[\[(<][^])>]*[])>]")  # [tones], (10 seconds of silence), <beep>
# some lists describe these in plain words
NOISES = re.compile(r"beep|beeperr|confbridge-(join|leave)|silence/.*")
DIGIT = re.compile(r"(?<![\w.,'’])\d(?!\w|[.,]\d)")
LOST = {"": "è", "cos": "così", "pi": "più", "pu": "può", "sar": "sarà"}  # "?" stands for the accented letter
LOST_ACCENT = re.compile(rf"(?<!\S)({'|'.join(sorted(LOST, reverse=True))})\?(?=\s)")


class LeftOut(Exception):
    """Why a prompt is not in the corpus."""


def read_list(path: Path) -> dict[str, str]:
    """Texts by the name of the recording.

    A line is "name: text", a comment begins with a semicolon.  Where a line break was lost, the next name and
    its text stand in the middle of a line; they have a line of their own besides.
    """
    lines = gzip.decompress(path.read_bytes()).decode("utf-8-sig").splitlines()
    pairs = [line.split(":", 1) for line in lines if ":" in line and not line.startswith(";")]
    names = sorted((re.escape(name) for name, _ in pairs if "-" in name), key=len, reverse=True)
    next_name = re.compile(rf"(?<![\w/-])({'|'.join(names)}): ")
    return {name: next_name.split(text.strip().removeprefix(f"{name}:"))[0].strip() for name, text in pairs}


def spoken(name: str, text: str, language: str, as_written: bool) -> str:
    """What is said.

    Raises
    ------
    LeftOut
        If that is nothing, or not certain.
    """
    plain = " ".join(ASIDE.sub(" ", text).split())
    if NOISES.fullmatch(name) or (text and not re.search(r"\w", plain)):
        raise LeftOut("a sound or silence")
    if not text:
        raise LeftOut("no text")
    if any(re.search(r"\w", aside) for aside in ASIDE.findall(text)):
        raise LeftOut("words in brackets, which may be said or not")
    if re.search(r"[*#]", plain):
        raise LeftOut("signs that have several names")
    if language == "ru" and re.search("[a-z]", plain, re.I):
        raise LeftOut("letters of another script")
    return plain if as_written else spelled_out(plain, language)


def spelled_out(text: str, language: str) -> str:
    """Single digits as words; longer numbers only where `aligner` reads them itself."""
    if language == "it":
        text = LOST_ACCENT.sub(lambda lost: LOST[lost[1]], text)
    text = DIGIT.sub(lambda digit: num2words(int(digit[0]), lang=language), text)
    if language != "en" and re.search(r"\d", text):
        raise LeftOut("numbers that can be read in several ways")
    return text


def choose(
    texts: Mapping[str, str], recordings: Mapping[str, Path], language: str, as_written: bool
) -> tuple[dict[str, str], dict[str, list[str]]]:
    """What is said in each recording that is taken, and the names of the others by the reason."""
    by_case = {name.lower(): name for name in recordings}  # the lists write letters/O for letters/o
    known = {
        name if name in recordings else by_case.get(name.lower(), name): text for name, text in texts.items()
    }
    said: dict[str, str] = {}
    left_out = defaultdict(list)
    for name in sorted({*known, *recordings}):
        try:
            if name not in recordings:
                raise LeftOut("no recording")
            said[name] = spoken(name, known.get(name, ""), language, as_written)
        except LeftOut as reason:
            left_out[str(reason)].append(name)
    return said, left_out


def decode(recording: Path, wav: Path) -> float:
    """Write a recording as wav; its length in seconds."""
    subprocess.run(
        ["ffmpeg", "-nostdin", "-loglevel", "error", "-y", "-i", recording, "-ac", "1", "-ar", "16000", wav],
        check=True,
    )
    return float(soundfile.info(wav).duration)


def sources(root: Path, language: str) -> tuple[Path, Path]:
    """The folder of the recordings, named after language, country, sex and voice, and the list of texts."""
    folders = [p for p in (root / SOUNDS).glob(f"{language}_*_*_*") if any(p.glob("*.g722"))]
    texts = root / LIST.format(language)
    if not folders or not texts.is_file() or not shutil.which("ffmpeg"):
        print(
            f"apt-get install asterisk-core-sounds-{language}-g722 asterisk-core-sounds-{language} ffmpeg",
            file=sys.stderr,
        )
        sys.exit(2)
    return folders[0], texts


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("language", choices=LANGUAGES)
    parser.add_argument("out", type=Path)
    parser.add_argument("--root", type=Path, default=Path("/"))
    parser.add_argument("--as-written", action="store_true")
    given = parser.parse_args()
    folder, listed = sources(given.root, given.language)
    recordings = {p.relative_to(folder).with_suffix("").as_posix(): p for p in folder.rglob("*.g722")}
    said, left_out = choose(read_list(listed), recordings, given.language, given.as_written)
    out = given.out / folder.name.rpartition("_")[2]
    out.mkdir(parents=True, exist_ok=True)
    stems = {name: out / name.replace("/", "_") for name in said}
    for name, text in said.items():
        stems[name].with_suffix(".lab").write_text(text + "\n", encoding="utf-8")
    with ThreadPoolExecutor() as pool:
        seconds = sum(pool.map(lambda name: decode(recordings[name], stems[name].with_suffix(".wav")), said))
    for reason, names in sorted(left_out.items(), key=lambda item: -len(item[1])):
        print(f"left out, {reason}: {len(names)} ({', '.join(names)})")
    tokens = [t for text in said.values() for t in normalise(text, english=given.language == "en")]
    words = {word for token in tokens for word in token.spoken}
    print(f"{len(said)} utterances, {seconds / 3600:.2f} hours, {len(words)} distinct words in {out}")


if __name__ == "__main__":
    main()
