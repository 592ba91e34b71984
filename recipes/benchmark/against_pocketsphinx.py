#!/usr/bin/env python3
"""Audio seconds per second of `aligner` and of pocketsphinx's own aligner, side by side.

    against_pocketsphinx.py CORPUS [--rounds N]

One process each, the same files and transcripts, model and dictionary loaded beforehand in both; reading the
audio and writing nothing are part of both.  Rounds alternate, so that a noisy machine is noisy for both.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from aligner import Utterance, find
from aligner.text.normalise import normalise


def ours(utterances: Sequence[Utterance], rounds: int, pipe) -> None:
    from aligner import Failure, align, load_model

    model = load_model()
    list(align(utterances[:2], model))  # loads the dictionary and the kernel
    for _ in range(rounds):
        pipe.recv()
        begun = time.perf_counter()
        failed = sum(isinstance(r, Failure) for r in align(utterances, model))
        pipe.send((time.perf_counter() - begun, failed))


def theirs(utterances: Sequence[Utterance], rounds: int, pipe) -> None:
    import soundfile
    from pocketsphinx import Decoder

    decoder = Decoder(lm=None, logfn="/dev/null", loglevel="FATAL")

    def align(u: Utterance) -> bool:
        samples, _ = soundfile.read(u.audio, dtype="int16")
        words = [
            w.lower() for t in normalise(u.transcript) for w in t.spoken for w in w.replace("-", " ").split()
        ]
        decoder.set_align_text(" ".join(w for w in words if decoder.lookup_word(w)))
        try:
            for again in (False, True):  # first the words, then the phones in them
                if again:
                    decoder.set_alignment()
                decoder.start_utt()
                decoder.process_raw(samples.tobytes(), full_utt=True)
                decoder.end_utt()
            return decoder.get_alignment() is not None
        except RuntimeError:  # its beam lost the utterance
            return False

    align(utterances[0])
    for _ in range(rounds):
        pipe.recv()
        begun = time.perf_counter()
        failed = sum(not align(u) for u in utterances)
        pipe.send((time.perf_counter() - begun, failed))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    utterances = find(args.corpus).utterances
    import soundfile

    seconds = sum(soundfile.info(str(u.audio)).duration for u in utterances)
    context = multiprocessing.get_context("spawn")
    pipes, times = {}, {"aligner": [], "pocketsphinx": []}
    for name, work in (("aligner", ours), ("pocketsphinx", theirs)):
        pipes[name], far = context.Pipe()
        context.Process(target=work, args=(utterances, args.rounds, far), daemon=True).start()
        far.close()  # so that a process that dies ends this one too
    for _ in range(args.rounds):
        for name, pipe in pipes.items():
            pipe.send("go")
            took, failed = pipe.recv()
            times[name].append(took)
            print(f"{name:13} {seconds / took:7.1f} audio seconds per second, {failed} failed")
    speed = {name: seconds / statistics.median(t) for name, t in times.items()}
    print(
        f"median of {args.rounds}: aligner {speed['aligner']:.0f}, pocketsphinx {speed['pocketsphinx']:.0f}: "
        f"{speed['aligner'] / speed['pocketsphinx']:.1f} times"
    )


if __name__ == "__main__":
    main()
