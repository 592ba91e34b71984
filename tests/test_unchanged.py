"""Alignments stay what they were: the phones' boundaries and the statuses of the sample and of timit-dev.

What is compared with stands in ``golden/boundaries``, a file for each backend and corpus with a line for each
file of speech: its name, its status, then each phone as ``label:end`` in hundredths of a millisecond.  It is
renewed by

    python tests/test_unchanged.py

and that is legitimate only where a change was meant to move boundaries (another model, another refinement)
and the accuracy bars hold; the commit says how far they moved.  A change of structure, speed or wording never
renews it.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import pytest
import textgrid
from support.places import SAMPLE, TIMIT
from support.runs import aligned

from aligner.text.stress import without_stress

GOLDEN = Path(__file__).parent / "golden" / "boundaries"
RUNS = [
    *(("sample", backend) for backend in ("hmm", "ctc", "ctc+hmm", "dtw", "median")),
    *(("timit-dev", backend) for backend in ("hmm", "ctc", "ctc+hmm", "dtw")),
]
UNIT = 100_000  # boundaries are integers of so many to a second
MOST_MOVED = 50  # 0.5 ms, in that unit: what another processor or version of torch may round otherwise


def described(out: Path) -> dict[str, str]:
    """Each file of a run: its status and its phones with their ends; stress is a matter of labels alone."""
    lines = {}
    with (out / "alignment.csv").open(encoding="utf-8") as table:
        for row in csv.DictReader(table):
            phones = []
            if row["status"] != "failed":
                grid = textgrid.TextGrid.fromFile(str(out / f"{row['file']}.TextGrid"))
                phones = [
                    f"{without_stress(i.mark)}:{round(i.maxTime * UNIT)}" for i in grid.getFirst("phones")
                ]
            lines[row["file"]] = " ".join([row["status"], *phones])
    return lines


def golden(corpus: str, backend: str) -> Path:
    return GOLDEN / f"{corpus}-{backend}.txt"


def read_golden(corpus: str, backend: str) -> dict[str, str]:
    lines = golden(corpus, backend).read_text(encoding="utf-8").splitlines()
    return dict(line.split(" ", 1) for line in lines)


def change(was: str, now: str) -> str | None:
    """What changed in a file of speech, and where first; nothing if no boundary moved too far."""
    (old, *before), (new, *after) = was.split(" "), now.split(" ")
    if old != new:
        return f"was {old}, is {new}"
    pairs = [[phone.rsplit(":", 1) for phone in phones] for phones in (before, after)]
    if [label for label, _ in pairs[0]] != [label for label, _ in pairs[1]]:
        return f"its phones were {[p for p, _ in pairs[0]]}, are {[p for p, _ in pairs[1]]}"
    for k, ((label, end), (_, at)) in enumerate(zip(*pairs, strict=True)):
        if abs(int(end) - int(at)) > MOST_MOVED:
            return f"phone {k} ({label!r}) ended at {int(end) / UNIT:.5f} s, ends at {int(at) / UNIT:.5f} s"
    return None


@pytest.mark.parametrize(
    ("corpus", "backend"),
    [pytest.param(*run, marks=[pytest.mark.slow] if run[0] == "timit-dev" else []) for run in RUNS],
)
def test_alignments_are_what_they_were(corpus, backend, aligned_by, request):
    if backend in ("dtw", "median"):
        pytest.importorskip(
            "espeakng_loader", reason="eSpeak NG is not installed: pip install 'aligner[dtw]'"
        )
    folder = SAMPLE if corpus == "sample" else request.getfixturevalue("timit")
    was, now = read_golden(corpus, backend), described(aligned_by(backend, folder).out)
    assert was.keys() == now.keys()
    changes = {file: change(was[file], now[file]) for file in was}
    assert not {file: moved for file, moved in changes.items() if moved}


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ("ok :100 K:300 AE:520 :900", None),
        ("ok :100 K:300 AE:551 :900", "phone 2 ('AE') ended at 0.00500 s, ends at 0.00551 s"),
        ("suspect :100 K:300 AE:500 :900", "was ok, is suspect"),
        ("ok :100 K:300 AH:500 :900", "are ['', 'K', 'AH', '']"),
        ("ok :100 K:300 :900", "are ['', 'K', '']"),
    ],
)
def test_a_change_is_told_with_its_place(now, said):
    found = change("ok :100 K:300 AE:500 :900", now)
    assert found is None if said is None else said in found


def renew(folder: Path) -> None:
    """Write what is compared with anew, from this tree."""
    GOLDEN.mkdir(parents=True, exist_ok=True)
    corpora = {"sample": SAMPLE, "timit-dev": TIMIT}
    for corpus, backend in RUNS:
        lines = described(aligned(backend, corpora[corpus], folder / f"{corpus}-{backend}").out)
        text = "".join(f"{file} {line}\n" for file, line in lines.items())
        golden(corpus, backend).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    import tempfile

    if not TIMIT.is_dir():
        sys.exit(f"{TIMIT} is not here: without it only half could be renewed")
    with tempfile.TemporaryDirectory() as temporary:
        renew(Path(temporary))
