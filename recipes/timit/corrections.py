#!/usr/bin/env python3
"""What corrections are worth: TIMIT's labels as if somebody had corrected some sentences, judged on other
speakers.

    corrections.py CORPUS [--backend NAME ...] [--model NAME|FOLDER] [--sentences N ...] [--by-sex]
    [--without-sa] [--words-only]

CORPUS is a copy of TIMIT's sample, a folder per speaker with .wav, .phn, .wrd and .txt.  Its speakers are
parted in two halves.  N sentences of each half, of all its speakers in turn, are learnt from as `align
--corrections` does, and the other half is aligned with what was learnt; the figures are of both halves
together, and have seen no speaker.

Nothing is kept: `teach.sh` makes the model of all of the corpus.  Weights that were learnt from TIMIT are
yours, under TIMIT's licence, and no part of this package.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterable, Sequence
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import NamedTuple

from aligner import Alignment, Options, align, find
from aligner.backends.abilities import Composite
from aligner.backends.base import AnyBackend
from aligner.backends.choose import chosen
from aligner.corpus.labels import Labels, find_labels, read_labels
from aligner.evaluate.accuracy import FileResult, compare, summarise
from aligner.learn.teach import teach
from aligner.types import Utterance

HEAD = (
    f"{'backend':8} {'sentences':>9} {'MAE':>9} {'<= 10 ms':>9} {'<= 20':>8} {'<= 50':>8} {'words MAE':>10} "
    f"{'held':>8}"
)


class Judged(NamedTuple):
    """An utterance's figures, and of how many hand-labelled boundaries how many lie within the 90 %
    intervals.
    """

    figures: FileResult
    held: int
    known: int


def halves(utterances: Iterable[Utterance], by_sex: bool) -> list[list[Utterance]]:
    """Two halves of the speakers, whose names begin with their sex behind the dialect: as many of each sex,
    or one.
    """

    def is_man(speaker: str) -> bool:
        return speaker.lower().rpartition("-")[2].startswith("m")

    all_of_them = list(utterances)
    speakers = sorted({u.speaker for u in all_of_them}, key=lambda s: (is_man(s), s))
    first = {s for s in speakers if is_man(s)} if by_sex else set(speakers[::2])
    return [[u for u in all_of_them if (u.speaker in first) == mine] for mine in (True, False)]


def some(utterances: Sequence[Utterance], count: int) -> list[Utterance]:
    """So many of them, of each speaker in turn; those that every speaker says (SA) come last."""
    ordered = sorted(utterances, key=lambda u: (_is_sa(u), u.file))
    turns = zip_longest(
        *([u for u in ordered if u.speaker == s] for s in sorted({u.speaker for u in ordered}))
    )
    return list(islice(filter(None, chain.from_iterable(turns)), count))


def _is_sa(utterance: Utterance) -> bool:
    return Path(utterance.file).name.lower().startswith("sa")


def taught(
    corpus: Path, lessons: Iterable[Utterance], backend: AnyBackend, words_only: bool = False
) -> AnyBackend:
    """The backend with what it learns from the labels of some utterances, or from their words alone; as it
    was, where they do not help."""
    with tempfile.TemporaryDirectory() as folder:
        for lesson in lessons:
            target = Path(folder) / lesson.file
            target.parent.mkdir(parents=True, exist_ok=True)
            for path in (corpus / lesson.file).parent.glob(f"{target.name}.*"):
                if not (words_only and path.suffix.lower() == ".phn"):
                    (target.parent / path.name).symlink_to(path.resolve())

        def learns(one: AnyBackend) -> AnyBackend:
            return one.with_taught(teach(Path(folder), one).learnt.model)

        return backend.with_members(learns) if isinstance(backend, Composite) else learns(backend)


def judged(utterances: Sequence[Utterance], labels: dict[str, Labels], backend: AnyBackend) -> list[Judged]:
    """Align, and compare with the labels; what fails counts as missing."""
    results = align(utterances, backend)
    return [
        _judged(labels[u.file], r if isinstance(r, Alignment) else None)
        for u, r in zip(utterances, results, strict=True)
    ]


def _judged(labels: Labels, result: Alignment | None) -> Judged:
    if result is None:
        return Judged(compare(labels, None), 0, 0)
    figures = compare(labels, Labels(result.phones, result.words, result.duration))
    edges = {edge.time: edge for edge in result.edges}
    held = [
        edges[b.aligned].low <= b.reference <= edges[b.aligned].high
        for b in figures.phones
        if b.aligned in edges
    ]
    return Judged(figures, sum(held), len(held))


def row(backend: str, sentences: int, rows: Sequence[Judged]) -> str:
    """A line of the table."""
    report = summarise([r.figures for r in rows])
    assert report.phones is not None
    assert report.words is not None
    ten, twenty, fifty = (report.phones.within[t] for t in (10, 20, 50))
    held = 100 * sum(r.held for r in rows) / max(1, sum(r.known for r in rows))
    missing = f"  {report.missing} of {report.files} missing" * bool(report.missing)
    return (
        f"{backend:8} {sentences or 'none':>9} {report.phones.mae:6.2f} ms {ten:7.1f} % {twenty:6.1f} % "
        f"{fifty:6.1f} % {report.words.mae:7.2f} ms {held:6.1f} %{missing}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--backend", nargs="+", default=["hmm"])
    parser.add_argument("--model", help="instead of the backend's own")
    parser.add_argument(
        "--sentences", nargs="+", type=int, default=[5, 10, 20, 40], help="that a half is taught with"
    )
    parser.add_argument("--by-sex", action="store_true", help="men teach for women and women for men: harder")
    parser.add_argument(
        "--without-sa", action="store_true", help="leave out the two sentences that all speakers say"
    )
    parser.add_argument("--words-only", action="store_true", help="teach with labels of words alone")
    given = parser.parse_args()
    utterances = [u for u in find(given.corpus).utterances if not (given.without_sa and _is_sa(u))]
    sources = find_labels(given.corpus)
    labels = {u.file: read_labels(sources[u.file])[""] for u in utterances}
    one, other = halves(utterances, given.by_sex)
    print(f"{len(one)} and {len(other)} sentences of {len({u.speaker for u in utterances})} speakers\n{HEAD}")
    for name in given.backend:
        backend = chosen(given.model, Options(backend=name))
        print(row(name, 0, judged(utterances, labels, backend)), flush=True)
        for count in given.sentences:
            found = [
                judged(theirs, labels, taught(given.corpus, some(mine, count), backend, given.words_only))
                for mine, theirs in ((one, other), (other, one))
            ]
            print(row(name, count, [*chain(*found)]), flush=True)


if __name__ == "__main__":
    main()
