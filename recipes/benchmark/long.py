#!/usr/bin/env python3
"""A recording of hours in one piece: memory, time, and whether the band gave the exact path.

    long.py [CORPUS] [--hours N] [--speech SHARE] [--proven]

The sentences of CORPUS (default: data/sample) are strung together, again and again, with pauses between them
until speech takes only the given share, and their transcript is aligned as one utterance with the English
model.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path

import numpy as np
import torch

from aligner import find, load_model
from aligner.backends.base import prepare
from aligner.backends.hmm import HmmBackend
from aligner.graph import build
from aligner.search.arcs import Arcs
from aligner.search.long import BAND_STATES, long_path


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", nargs="?", type=Path, default=Path(__file__).parents[2] / "data" / "sample")
    parser.add_argument("--hours", type=float, default=3.0)
    parser.add_argument("--speech", type=float, default=0.15, help="share of the recording that is speech")
    parser.add_argument(
        "--proven", action="store_true", help="prove the path by a forward pass without a band"
    )
    given = parser.parse_args()
    model = load_model()
    backend = HmmBackend(model=model)
    sentences = [prepare(u, backend) for u in find(given.corpus).utterances]
    speech = sum(len(s.frames) for s in sentences) / len(sentences)
    pause = round(speech * (1 / given.speech - 1))
    total = round(given.hours * 3600 / model.clock.seconds(1))
    count = round(total / (speech + pause))
    rng = np.random.default_rng(0)
    # the first frames of every sentence are silence: pauses are drawn from them
    quiet = torch.cat([s.frames[:8] for s in sentences])
    pieces, words, planted, t = [], [], [], 0
    for k in range(count):
        s = sentences[k % len(sentences)]
        gap = quiet[
            torch.from_numpy(rng.integers(0, len(quiet), rng.integers(pause // 2, pause * 3 // 2 + 1)))
        ]
        pieces += [gap, s.frames]
        planted.append((t + len(gap), t + len(gap) + len(s.frames)))
        words += [w.pronunciations for w in s.spoken]
        t += len(gap) + len(s.frames)
    frames = torch.cat(pieces)
    del pieces
    begun = time.perf_counter()
    graph = build(words, model.topology)
    built = time.perf_counter() - begun
    print(
        f"{model.clock.seconds(len(frames)) / 3600:.2f} hours, {len(frames):,} frames, {len(words):,} words, "
        f"{len(graph.pdf):,} states, {len(graph.pdfs):,} pdfs; graph in {built:.1f} s"
    )
    scored = 0

    def score(first: int, last: int, columns: np.ndarray) -> torch.Tensor:
        nonlocal scored
        scored += last - first
        return model.score(frames[first:last], graph.pdfs[columns])

    begun = time.perf_counter()
    path = long_path(Arcs.of(graph), score, len(frames), BAND_STATES, proven=given.proven)
    seconds = time.perf_counter() - begun
    states = path.states[0].numpy()
    # every sentence's first word must begin within its own stretch
    word = np.asarray(graph.word)[graph.node[states]]
    first_words = np.cumsum([0] + [len(sentences[k % len(sentences)].spoken) for k in range(count)])[:-1]
    begins = {int(w): t for t, w in zip(*np.unique(word, return_index=True)[::-1], strict=True)}
    inside = sum(a <= begins.get(int(w), -1) < b for w, (a, b) in zip(first_words, planted, strict=True))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    speed = model.clock.seconds(len(frames)) / seconds
    print(
        f"scoring and search {seconds:.1f} s, {speed:.0f} audio seconds per second; "
        f"frames scored {scored / len(frames):.1f} times each{' (with the proof)' if given.proven else ''}"
    )
    print(f"sentences that begin where they were put: {inside} of {count}")
    print(
        f"peak memory of the whole process {peak:.2f} GB (wanted under 4: {'met' if peak < 4 else 'NOT MET'})"
    )


if __name__ == "__main__":
    main()
