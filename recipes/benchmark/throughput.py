#!/usr/bin/env python3
"""How fast `align` is on hours of speech, and what it uses, beside its peers: everything counted.

    throughput.py SOURCE [SOURCE ...] --work FOLDER [--only NAME] ... [--jobs N]

Start-up, decoding, the search and writing are counted, from the command to its end: audio seconds per second
of wall time.  Memory is what all processes hold together, each with its part of what they share (PSS), the
greatest of looks once a second.  The corpora are made by corpus.py in FOLDER and kept there.

hour      one hour: `align`, two pocketsphinx processes with the same model, and `mfa align` where it is on
the PATH growth    `align` on 1, 2, 4 hours, and on 10: time and memory files     `align` on 10,000 recordings
of a second book      `align` on one recording of three hours, right and loose backends  `align --backend ctc`
and `dtw` on the hour cuda      `align --device cuda` on the hour, where there is one, and how many boundaries
are where the CPU has them
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import corpus
import psutil
import soundfile

from aligner import find
from aligner.formats.textgrid import read_textgrid, write_textgrid
from aligner.text.normalise import normalise
from aligner.types import Interval

ALIGN = str(Path(sys.executable).with_name("align"))
HOP = 0.01  # s of pocketsphinx's frames
LOOK = 1.0  # s; a look takes a twentieth


class Figures(NamedTuple):
    """Of a command."""

    seconds: float
    memory: float  # GB
    told: str = ""

    def row(self, name: str, audio: float, note: str = "") -> str:
        return f"{name:34} {self.seconds:8.1f} s {audio / self.seconds:8.0f} x {self.memory:6.2f} GB  {note}"


def held(process: psutil.Process) -> int:
    """Bytes of a process and its children."""
    total = 0
    with contextlib.suppress(psutil.Error):
        for p in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                total += getattr(p.memory_full_info(), "pss", p.memory_info().rss)
    return total


def timed(words: Sequence[str], fine: Sequence[int] = (0, 1)) -> Figures:
    """Run a command to its end; exit status 1 is that of `align` where some files failed."""
    begun, most, ended = time.perf_counter(), 0, threading.Event()
    process = subprocess.Popen(
        list(map(str, words)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )

    def drain() -> None:
        process.told = process.communicate()[0]  # type: ignore[attr-defined]
        ended.set()

    threading.Thread(target=drain, daemon=True).start()
    looked = psutil.Process(process.pid)
    while not ended.wait(LOOK):
        most = max(most, held(looked))
    seconds = time.perf_counter() - begun
    if process.returncode not in fine:
        sys.exit(f"{' '.join(map(str, words))} failed:\n{process.told[-2000:]}")  # type: ignore[attr-defined]
    return Figures(seconds, most / 1e9, process.told)  # type: ignore[attr-defined]


def audio_in(folder: Path) -> float:
    return sum(soundfile.info(str(p)).duration for p in folder.rglob("*") if p.suffix in (".wav", ".flac"))


def aligned(source: Path, *options: str) -> tuple[Figures, Path]:
    """`align` of a corpus into a new folder, which is gone when this program is."""
    out = Path(tempfile.mkdtemp(prefix="out-", dir=source.parent))
    return timed([ALIGN, source, out, *options]), out


# The peer: pocketsphinx's own aligner, words first, then the phones in them.


def by_pocketsphinx(recordings: Sequence[Path], root: Path, out: Path) -> int:
    """Align, write TextGrids; how many were lost."""
    from pocketsphinx import Decoder

    decoder = Decoder(lm=None, logfn="/dev/null", loglevel="FATAL")
    lost = 0
    for path in recordings:
        samples, rate = soundfile.read(path, dtype="int16")
        text = path.with_suffix(".lab").read_text(encoding="utf-8")
        words = [w.lower() for t in normalise(text) for w in t.spoken for w in w.replace("-", " ").split()]
        decoder.set_align_text(" ".join(w for w in words if decoder.lookup_word(w)))
        try:
            for again in (False, True):
                if again:
                    decoder.set_alignment()
                decoder.start_utt()
                decoder.process_raw(samples.tobytes(), full_utt=True)
                decoder.end_utt()
            tiers: dict[str, list[Interval]] = {"words": [], "phones": []}
            for word in decoder.get_alignment():  # its entries live no longer than a step
                tiers["words"].append(_interval(word))
                tiers["phones"] += [_interval(phone) for phone in word]
        except (RuntimeError, TypeError):  # its beam lost the utterance
            lost += 1
            continue
        write_textgrid((out / path.relative_to(root)).with_suffix(".TextGrid"), tiers, len(samples) / rate)
    return lost


def _interval(entry) -> Interval:
    label = "" if entry.name in ("<sil>", "SIL") else entry.name
    return Interval(entry.start * HOP, (entry.start + entry.duration) * HOP, label)


def pocketsphinx(folder: Path, jobs: int) -> None:
    """What is run as a command of its own, so that its start-up counts, too."""
    recordings = sorted(folder.rglob("*.wav"))
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as out, ProcessPoolExecutor(jobs, spawn) as pool:
        lost = [pool.submit(by_pocketsphinx, recordings[k::jobs], folder, Path(out)) for k in range(jobs)]
        print(f"lost {sum(f.result() for f in lost)} of {len(recordings)}")


class Bench(NamedTuple):
    """Where things are, and how many may work."""

    sources: list[Path]
    work: Path
    jobs: int

    def made(self, name: str, make: Callable[[Path], object]) -> Path:
        """A corpus, made unless it is there."""
        folder = self.work / name
        if not folder.exists():
            beside = self.work / f"{name}.part"
            shutil.rmtree(beside, ignore_errors=True)
            make(beside)
            beside.rename(folder)
        return folder

    def hours(self, number: float) -> Path:
        return self.made(f"hours-{number:g}", lambda folder: corpus.of_hours(self.sources, folder, number))


def hour(bench: Bench) -> Iterator[str]:
    source = bench.hours(1)
    audio = audio_in(source)
    ours, _ = aligned(source, "--jobs", str(bench.jobs))
    yield ours.row("align", audio)
    theirs = timed([sys.executable, __file__, "--as-pocketsphinx", source, "--jobs", str(bench.jobs)])
    again, _ = aligned(source, "--jobs", str(bench.jobs))
    yield again.row("align again", audio)
    both = (ours.seconds + again.seconds) / 2
    note = f"align is {theirs.seconds / both:.2f} times as fast; it {theirs.told.strip()}"
    yield theirs.row(f"{bench.jobs} pocketsphinx processes", audio, note)
    if shutil.which("mfa") is None:
        yield "mfa is not measured: it is not on the PATH"
        return
    with tempfile.TemporaryDirectory() as folder:
        mfa = timed(
            [
                "mfa",
                "align",
                source,
                "english_us_arpa",
                "english_us_arpa",
                f"{folder}/out",
                "--num_jobs",
                str(bench.jobs),
                "--temporary_directory",
                f"{folder}/mfa",
                "--clean",
            ]
        )
    yield mfa.row("mfa align", audio, f"align is {mfa.seconds / both:.1f} times as fast")


def growth(bench: Bench) -> Iterator[str]:
    for number in (1, 2, 4, 10):
        source = bench.hours(number)
        audio = audio_in(source)
        found, _ = aligned(source, "--jobs", str(bench.jobs))
        yield found.row(f"align, {number} hours", audio, f"{found.seconds / (audio / 3600):.1f} s an hour")


def files(bench: Bench) -> Iterator[str]:
    count = 10_000
    source = bench.made("files", lambda folder: corpus.of_files(bench.sources, folder, count))
    found, _ = aligned(source, "--jobs", str(bench.jobs))
    yield found.row(
        f"align, {count} short files", audio_in(source), f"{count / found.seconds:.0f} files a second"
    )


def book(bench: Bench) -> Iterator[str]:
    for loose in (False, True):
        name = f"book{'-loose' if loose else ''}"
        source = bench.made(name, lambda folder, loose=loose: corpus.book(bench.sources, folder, 3.0, loose))
        with tempfile.TemporaryDirectory() as folder:
            seconds, lines = corpus.book(bench.sources, Path(folder), 3.0, loose)  # again, for the places
        found, out = aligned(source, "--jobs", str(bench.jobs))
        yield found.row(f"align, {name} of three hours", seconds, _judged(out / "book.TextGrid", lines))


def _judged(grid: Path, lines: Sequence[corpus.Line], slack: float = 0.25) -> str:
    """How many sentences are where they are said, and how many that are not said are left out."""
    words = [w for w in dict(read_textgrid(grid))["words"] if w.label not in ("", "<star>")]
    first, right, said, spared = 0, 0, 0, 0
    for line in lines:
        labels = [t.spelling for t in normalise(line.text)]
        there = [w.label for w in words[first : first + len(labels)]] == labels
        own = words[first : first + len(labels)] if there else []
        first += len(own)
        if line.place is None:
            spared += not there
            continue
        said += 1
        right += there and line.place[0] - slack < own[0].start and own[-1].end < line.place[1] + slack
    unsaid = len(lines) - said
    return f"{right} of {said} sentences within {slack} s of their place, {spared} of {unsaid} left out"


def backends(bench: Bench) -> Iterator[str]:
    source = bench.hours(1)
    audio = audio_in(source)
    for name in ("hmm", "ctc", "dtw"):
        found, _ = aligned(source, "--jobs", str(bench.jobs), "--backend", name)
        yield found.row(f"align --backend {name}", audio)


def cuda(bench: Bench) -> Iterator[str]:
    import torch

    if not torch.cuda.is_available():
        yield "there is no CUDA device here"
        return
    source = bench.hours(1)
    here, ours = aligned(source)
    yield here.row("align, CPU", audio_in(source))
    there, theirs = aligned(source, "--device", "cuda")
    yield there.row(
        "align --device cuda", audio_in(source), f"{100 * _alike(ours, theirs):.2f} % within a frame"
    )


def _alike(one: Path, other: Path) -> float:
    """Share of boundaries of phones that two runs have within a frame of each other."""
    near = total = 0
    for u in one.rglob("*.TextGrid"):
        a, b = (dict(read_textgrid(p))["phones"] for p in (u, other / u.relative_to(one)))
        starts = [i.start for i in b]
        total += len(a)
        near += sum(min(abs(i.start - s) for s in starts) <= HOP + 1e-6 for i in a)
    return near / max(total, 1)


BENCHES = {f.__name__: f for f in (hour, growth, files, book, backends, cuda)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", nargs="*", type=Path)
    parser.add_argument("--work", type=Path, help="a folder for the corpora, about 4 GB")
    parser.add_argument("--only", action="append", choices=BENCHES)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--as-pocketsphinx", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.as_pocketsphinx:
        pocketsphinx(given.as_pocketsphinx, given.jobs)
        return
    if not given.source or given.work is None:
        parser.error("name a corpus and --work")
    if not all(find(source).utterances for source in given.source):
        parser.error("there is nothing to align in one of them")
    given.work.mkdir(parents=True, exist_ok=True)
    bench = Bench(given.source, given.work, given.jobs)
    for name in given.only or list(BENCHES):
        print(f"\n{name}: load before {psutil.getloadavg()[0]:.2f}", flush=True)
        for line in BENCHES[name](bench):
            print(line, flush=True)
        for out in given.work.glob("out-*"):
            shutil.rmtree(out)


if __name__ == "__main__":
    main()
