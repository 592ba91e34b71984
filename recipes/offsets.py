#!/usr/bin/env python3
"""Measure how late a model places boundaries, per pair of phone classes, against hand labels.

    offsets.py REFERENCE ALIGNED [--write MODEL.json --source TEXT]

ALIGNED holds the TextGrids of `align --refine none`; REFERENCE .phn files or TextGrids at the same paths, a
folder per speaker.  Prints the table, and what it would be worth on speakers that it was not measured on.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path

import numpy as np

from aligner.corpus.labels import find_references, read_reference, tier
from aligner.evaluate.boundaries import summary
from aligner.learn.settle import late_by_classes
from aligner.text.phones import PhoneMap

PRIOR = 5  # boundaries' worth of belief that the offset is 0: rare pairs move little

Pair = tuple[str, str]


def measure(reference: Path, aligned: Path) -> list[tuple[str, Pair, float]]:
    """(speaker, classes before and after, how late in seconds) of every boundary."""
    rows: list[tuple[str, Pair, float]] = []
    for name, path in find_references(reference).items():
        phones = tier(aligned / f"{name}.TextGrid", "phones")
        found = late_by_classes(read_reference(path)[0], phones, PhoneMap())
        rows += [(Path(name).parent.name, pair, late) for pair, late in found]
    return rows


def table(rows: list[tuple[str, Pair, float]]) -> dict[Pair, float]:
    """The median of each pair, drawn towards 0 where there are few."""
    found = defaultdict(list)
    for _, pair, late in rows:
        found[pair].append(late)
    return {
        pair: float(np.median(late)) * len(late) / (len(late) + PRIOR) for pair, late in sorted(found.items())
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("reference", type=Path)
    parser.add_argument("aligned", type=Path)
    parser.add_argument("--write", type=Path)
    parser.add_argument("--source", default="")
    args = parser.parse_args()
    rows = measure(args.reference, args.aligned)
    offsets = table(rows)
    for pair, late in offsets.items():
        errors = [r[2] for r in rows if r[1] == pair]
        median = 1000 * np.median(errors)
        print(
            f"{', '.join(pair):21} n {len(errors):4d}  median {median:+6.1f} ms  table {1000 * late:+6.1f} ms"
        )
    print(
        f"all: {1000 * np.mean([r[2] for r in rows]):+.1f} ms late on the average (a CTC network's delay_ms)"
    )
    held_out = []
    for speaker in sorted({r[0] for r in rows}):
        others = table([r for r in rows if r[0] != speaker])
        held_out += [late - others.get(pair, 0.0) for s, pair, late in rows if s == speaker]
    for title, errors in (
        ("without", [r[2] for r in rows]),
        ("on speakers left out", held_out),
        ("on the same speakers", [late - offsets[pair] for _, pair, late in rows]),
    ):
        s = summary(errors)
        assert s is not None
        shares = " ".join(f"{s.within[t]:.1f}" for t in (10, 20, 50))
        print(f"{title:>22}: MAE {s.mae:.2f} ms  within 10/20/50 ms {shares} %")
    if args.write:
        rounded = {", ".join(pair): round(1000 * late, 1) for pair, late in offsets.items()}
        known = json.loads(args.write.read_text(encoding="utf-8")) if args.write.exists() else {}
        content = known | {"source": args.source or known.get("source", ""), "offsets_ms": rounded}
        args.write.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
