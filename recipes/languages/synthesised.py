#!/usr/bin/env python3
"""How well languages without a model are aligned, on speech of other voices whose times are known.

    synthesised.py [LANGUAGE ...] [--festival]

Each sentence of sentences.tsv (article 1 of the Universal Declaration of Human Rights) is spoken by two
other voices of eSpeak's, at other speeds and pitches, and aligned as `align --language` does; with --festival
also by the voices of festival that are installed (Debian: festvox-*), which are other synthesisers and
have times of their own.  Prints a table: the edges of words within 20 and 50 ms, and the mean error.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import librosa
import numpy as np
import soundfile

from aligner import Alignment, Options, Utterance, align
from aligner.backends.base import tokens_of
from aligner.backends.choose import chosen
from aligner.reference.espeak import Synthesiser, languages, resolve
from aligner.text.readers import SAID_BY
from aligner.types import NOISE_LABEL, STAR_LABEL

SENTENCES = Path(__file__).with_name("sentences.tsv")
VOICES = (("f1", 150, 60), ("m3", 200, 40))  # variant, words a minute, pitch; those that have no echo
PAUSE = 0.3  # s of silence around
FESTIVAL = {
    "fi": ("suo_fi_lj_diphone", "hy_fi_mv_diphone"),
    "it": ("lp_diphone", "pc_diphone"),
    "cs": ("czech_dita", "czech_machac", "czech_ph"),
    "ru": ("msu_ru_nsh_clunits",),
    "hi": ("hindi_NSK_diphone",),
    "mr": ("marathi_NSK_diphone",),
    "te": ("telugu_NSK_diphone",),
    "ca": ("upc_ca_ona_hts",),
}
ENCODINGS = {"fi": "iso-8859-15", "it": "iso-8859-1", "ca": "iso-8859-15", "cs": "iso-8859-2"}


class Spoken(NamedTuple):
    """A sentence as a voice says it."""

    voice: str
    wave: np.ndarray
    text: str
    edges: list[tuple[float, float]]


def silence() -> np.ndarray:
    return np.zeros(round(16000 * PAUSE), np.float32)


def by_espeak(language: str, text: str) -> Iterator[Spoken]:
    voice = resolve(language)
    backend = chosen(None, Options(backend="dtw", language=language))
    tokens = tokens_of(text, backend.traits, "sentences.tsv")
    words = [(word, k) for k, token in enumerate(tokens) for word in token.spoken]
    for variant, speed, pitch in VOICES:
        speak = Synthesiser(language=SAID_BY.get(voice, voice), speed=speed, pitch=pitch, variant=variant)
        said = speak([word for word, _ in words])
        edges = []
        for k in range(len(tokens)):
            own = [p for p, w in zip(said.phones, said.words, strict=True) if w >= 0 and words[w][1] == k]
            edges.append((own[0].start + PAUSE, own[-1].end + PAUSE))
        rng = np.random.default_rng(0)
        wave = np.concatenate([silence(), said.wave, silence()])
        noise = 1e-4 * rng.standard_normal(len(wave)).astype(np.float32)
        yield Spoken(f"espeak {variant}", wave + noise, text, edges)


def by_festival(language: str, text: str) -> Iterator[Spoken]:
    bare = text.translate(str.maketrans("", "", ".,।"))
    for voice in FESTIVAL.get(language, ()):
        with tempfile.TemporaryDirectory() as folder:
            wav, times, script = (Path(folder) / name for name in ("a.wav", "a.words", "a.scm"))
            encoding = ENCODINGS.get(language, "utf-8")
            script.write_bytes(
                f'(voice_{voice})(set! u (SynthText "{bare}"))(utt.save.wave u "{wav}")'
                f'(utt.save.words u "{times}")'.encode(encoding, "replace")
            )
            subprocess.run(["festival", "-b", str(script)], check=False, capture_output=True)
            if not (wav.is_file() and times.is_file()):
                print(f"# festival: {voice} says nothing", flush=True)
                continue
            lines = times.read_bytes().decode(encoding, "replace").splitlines()
            listed = [line.split(None, 2) for line in lines if line.strip() != "#"]
            samples, rate = soundfile.read(wav, dtype="float32")
        ends = [float(end) for end, _, _ in listed]
        edges = list(pairwise([np.nan, *ends]))  # a pause before the first word is a part of it
        wave = librosa.resample(samples, orig_sr=rate, target_sr=16000)
        if len(edges) == len(bare.split()):
            yield Spoken(f"festival {voice}", wave, text, edges)
        else:
            print(f"# festival: {voice} has {len(edges)} words of {len(bare.split())}", flush=True)


def errors(spoken: Spoken, language: str) -> np.ndarray | str:
    utterance = Utterance("a", spoken.wave, spoken.text)
    [result] = align([utterance], None, Options(backend="dtw", language=language))
    if not isinstance(result, Alignment):
        return result.message
    words = [w for w in result.words if w.label not in ("", STAR_LABEL, NOISE_LABEL)]
    if len(words) != len(spoken.edges):
        return f"{len(words)} words of {len(spoken.edges)}"
    flagged = "; ".join(s.text for s in result.suspicions)
    if flagged:
        print(f"# {language} {spoken.voice}: {flagged}", flush=True)
    return np.array([(w.start - a, w.end - b) for w, (a, b) in zip(words, spoken.edges, strict=True)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("languages", nargs="*")
    parser.add_argument("--festival", action="store_true")
    arguments = parser.parse_args()
    rows = [line.split("\t") for line in SENTENCES.read_text().splitlines()]
    print("| language | voice | words | within 20 ms | 50 ms | mean, ms |\n|---|---|---|---|---|---|")
    everything = []
    for language, text in rows:
        if arguments.languages and language not in arguments.languages:
            continue
        voices = [*by_espeak(language, text), *(by_festival(language, text) if arguments.festival else ())]
        for spoken in voices:
            found = errors(spoken, language)
            name = languages()[resolve(language)]
            if isinstance(found, str):
                print(
                    f"| {name} (`{language}`) | {spoken.voice} | {len(spoken.edges)} | {found} | | |",
                    flush=True,
                )
                continue
            away = 1000 * np.abs(found[np.isfinite(found)])
            everything.append(away.ravel())
            print(
                f"| {name} (`{language}`) | {spoken.voice} | {len(spoken.edges)} | {(away <= 20).mean():.0%} "
                f"| {(away <= 50).mean():.0%} | {away.mean():.1f} |",
                flush=True,
            )
    away = np.concatenate(everything)
    shares = [f"{(away <= limit).mean():.1%}" for limit in (20, 50)]
    print(f"| all | | {len(away) // 2} | {' | '.join(shares)} | {away.mean():.1f} |")


if __name__ == "__main__":
    main()
