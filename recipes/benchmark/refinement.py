#!/usr/bin/env python3
"""What each part of refinement is worth without a lesson, and what refinement costs.

    refinement.py CORPUS [--backend NAME ...] [--minutes N] [--rounds N] [--no-times]

CORPUS holds recordings with transcripts and hand labels (.phn and .wrd, or TextGrids) beside them.  It is
searched once; what was found is then refined in each way and compared with the labels:

none      as the search left it
offsets   moved by the model's table
sound     looked for in the sound, and not in what the model says of its frames; held closer for want of that
full      by both

For the times, links make the corpus some minutes long, and it is aligned as `align --jobs 1` does, with
`--refine` `none`, `offsets`, `full` and, after learning from all of the labels, with a taught model, in turn.
Figures are medians over the rounds: of the whole run by the clock, and of the stages of the path, the
refinement's and all together.
"""

from __future__ import annotations

import argparse
import importlib.util
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np

from aligner import Compute, Options, find
from aligner.backends.base import AnyBackend, Found, Heard, hear, words_of
from aligner.backends.choose import chosen
from aligner.bench.timing import Stopwatch
from aligner.corpus.labels import Labels, find_labels, read_labels
from aligner.evaluate.accuracy import compare, summarise
from aligner.learn.teach import teach
from aligner.refine.boundaries import Refinement
from aligner.refine.segments import PRIOR_DEVIATION_REFERENCE
from aligner.run.folder import plan, run
from aligner.tracing import traced_by
from aligner.types import DataError, Utterance

NEEDED = {"hmm": (), "ctc": ("transformers", "hama"), "dtw": ("espeakng_loader",)}  # packages
BAR = 30.0  # percent that refinement may add to a run

Searched = list[tuple[Labels, Heard | None, Found | None]]


def searched(utterances: Iterable[Utterance], labels: Mapping[str, Labels], backend: AnyBackend) -> Searched:
    """What the search found, beside the labels; None where it failed."""
    found: Searched = []
    for utterance in utterances:
        try:
            heard = hear(utterance, backend.traits)
            found.append((labels[utterance.file], heard, backend.find(backend.prepare(heard))))
        except DataError:
            found.append((labels[utterance.file], None, None))
    return found


def ways(own: Refinement) -> Iterator[tuple[str, Refinement, bool]]:
    """Name, refinement, and whether it may look at what the model says of its frames."""
    for how in ("none", "offsets"):
        yield how, replace(own, how=how), True
    yield "sound", replace(own, deviation=PRIOR_DEVIATION_REFERENCE), False
    yield "full", own, True


def worth(found: Searched, refinement: Refinement, with_evidence: bool, backend: AnyBackend) -> str:
    """Figures of one way to refine."""
    results = []
    for labels, heard, what in found:
        if heard is None or what is None:
            results.append(compare(labels, None))
            continue
        seen = what.searched(backend.traits.clock)
        if not with_evidence:
            nothing = np.zeros_like(seen.evidence.later)
            seen = seen._replace(evidence=seen.evidence._replace(earlier=nothing, later=nothing))
        phones = refinement(seen, heard.wave).phones
        words = words_of(phones, what.owners, what.spellings)
        results.append(compare(labels, Labels(phones, words, heard.duration)))
    report = summarise(results)
    assert report.phones is not None
    assert report.words is not None
    ten, twenty, fifty = (report.phones.within[t] for t in (10, 20, 50))
    return (
        f"{report.phones.mae:6.2f} ms {ten:7.1f} % {twenty:6.1f} % {fifty:6.1f} % {report.words.mae:7.2f} ms"
        + f"  {report.missing} of {report.files} missing" * bool(report.missing)
    )


def lengthened(utterances: Sequence[Utterance], target: Path, minutes: float) -> None:
    """Links to recordings and their transcripts, again and again until they last so long."""
    seconds = 0.0
    lengths = [length_of(u) for u in utterances]
    for k, (utterance, length) in enumerate(cycle(zip(utterances, lengths, strict=True))):
        if seconds >= 60 * minutes:
            return
        seconds += length
        assert isinstance(utterance.audio, Path)
        assert utterance.source is not None
        for path in (utterance.audio, utterance.source):
            link = target / f"copy{k // len(utterances):03d}-{utterance.speaker}" / path.name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path.resolve())


def length_of(utterance: Utterance) -> float:
    import soundfile

    return float(soundfile.info(str(utterance.audio)).duration)


class Taken(NamedTuple):
    """Seconds of a run: by the clock, in all stages of the path, and in the refinement of them."""

    wall: float
    stages: float
    refinement: float


def taken(corpus: Path, backend: AnyBackend) -> Taken:
    """A run in this process."""
    watch = Stopwatch()
    with tempfile.TemporaryDirectory() as out:
        begun = time.perf_counter()
        job = plan(corpus, Path(out))
        with traced_by(watch):
            run(job, backend)
        wall = time.perf_counter() - begun
    return Taken(wall, sum(watch.seconds.values()), watch.seconds["refinement"])


def times(corpus: Path, kinds: Mapping[str, AnyBackend], rounds: int) -> Iterator[str]:
    """Lines of a table; every kind in every round, after one that does not count."""
    found: dict[str, list[Taken]] = defaultdict(list)
    for k in range(rounds + 1):
        for kind, backend in kinds.items():
            one = taken(corpus, backend)
            if k:
                found[kind].append(one)
    without = found["offsets"]
    for kind, runs in found.items():
        wall, stages, own = (median(column) for column in zip(*runs, strict=True))
        more = [
            100 * (median(getattr(r, of) for r in runs) / median(getattr(r, of) for r in without) - 1)
            for of in ("wall", "stages")
        ]
        verdict = (
            ""
            if kind in ("none", "offsets")
            else ("within" if max(more) <= BAR else "above") + f" {BAR:.0f} %"
        )
        yield (
            f"{kind:8} {wall:8.2f} s ({min(r.wall for r in runs):.2f} to {max(r.wall for r in runs):.2f}) "
            f"{more[0]:+6.1f} %   stages {stages:6.2f} s {more[1]:+6.1f} %   refinement {own:5.2f} s  "
            f"{verdict}"
        )


def kinds_of(backend: AnyBackend, name: str, corpus: Path) -> dict[str, AnyBackend]:
    """Backends that differ in how they refine."""
    kinds = {
        how: chosen(None, Options(backend=name, refine=how), Compute(jobs=1))
        for how in ("none", "offsets", "full")
    }
    model = teach(corpus, backend).learnt.model
    if model is None:
        print("taught    it did not help, and is not timed")
        return kinds
    return kinds | {"taught": kinds["full"].with_taught(model)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--backend", nargs="+", choices=NEEDED, default=list(NEEDED))
    parser.add_argument("--minutes", type=float, default=10.0, help="of audio that are timed")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-times", action="store_true", help="only what it is worth")
    given = parser.parse_args()
    utterances = find(given.corpus).utterances
    sources = find_labels(given.corpus)
    labels = {u.file: read_labels(sources[u.file])[""] for u in utterances}
    for name in given.backend:
        lacking = [package for package in NEEDED[name] if importlib.util.find_spec(package) is None]
        if lacking:
            print(f"{name} is not measured: {', '.join(lacking)} is not there")
            continue
        backend = chosen(None, Options(backend=name))
        found = searched(utterances, labels, backend)
        print(f"{name:8} {'MAE':>9} {'<= 10 ms':>9} {'<= 20':>8} {'<= 50':>8} {'words MAE':>10}")
        for title, refinement, with_evidence in ways(backend.traits.refinement):
            print(f"{title:8} {worth(found, refinement, with_evidence, backend)}", flush=True)
        if given.no_times:
            continue
        kinds = kinds_of(backend, name, given.corpus)
        with tempfile.TemporaryDirectory() as folder:
            lengthened(utterances, Path(folder), given.minutes)
            print(f"{name}, {given.minutes:g} minutes, {given.rounds} rounds, beside --refine offsets:")
            for line in times(Path(folder), kinds, given.rounds):
                print(line, flush=True)


if __name__ == "__main__":
    main()
