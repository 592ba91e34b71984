#!/usr/bin/env python3
"""The backends of `align` beside their peers: how accurate and how fast, on one machine in one run.

    backends.py [CORPUS] [--judge score.py] [--only NAME] ... [--rounds N] [--aeneas PYTHON] [--espeak
    PROGRAM]

CORPUS holds recordings, transcripts and hand labels (NAME.wav, .txt, .phn, .wrd).  The judge, where it is
there, scores all rows; otherwise `aligner evaluate` does, which always counts the frames with the right
phone.

Peers of CTC get the log posteriors of our own network, and the first pronunciation of each word.  The
transfers go from each speaker to each other one, by the sentences that all of them read.

Speed is in audio seconds per second, the median of rounds in which the rows take turns.  Search: building the
graph, the search and what finds the boundaries after it; features, network and synthesis are left out.  All:
from files to TextGrids, models loaded, on all cores.
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from itertools import groupby, pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import soundfile
import torch

from aligner import Utterance, find
from aligner.backends.base import AnyBackend, Heard, hear, prepare
from aligner.backends.choose import chosen
from aligner.backends.ctc import CtcBackend
from aligner.backends.options import Compute, Options
from aligner.corpus import audio
from aligner.corpus.labels import TierNames, read_labels
from aligner.evaluate.folders import evaluate
from aligner.evaluate.matching import scored_phones
from aligner.formats.textgrid import write_textgrid
from aligner.graph import ctc
from aligner.parallel.cores import cores
from aligner.reference.espeak import arpabet
from aligner.reference.frontend import TemplateFrontend
from aligner.reference.template import split
from aligner.run.folder import plan, run
from aligner.run.prompts import plan_transfer
from aligner.run.transfer import by_prompts
from aligner.text.normalise import normalise
from aligner.types import SILENCE_LABEL, Interval

HERE = Path(__file__).parents[2]
STEPS = np.array([[1, 1], [1, 2], [2, 1]])  # of the plain warping: neither side more than twice as fast
BARS = {"ctc": 180, "dtw": 150}  # audio seconds per second of search that are wanted on two cores
COLUMNS = ("mae", "median", "bias", "<=20", "<=50", "words", "frames", "missing")


T, R = TypeVar("T"), TypeVar("R")


class Lacking(Exception):
    """Why a peer cannot be measured here."""


@dataclass(frozen=True)
class Bench:
    """What all rows are measured on, and where they write."""

    corpus: Path
    folder: Path
    judge: Path | None
    aeneas: str
    espeak: str

    @cached_property
    def utterances(self) -> tuple[Utterance, ...]:
        return find(self.corpus).utterances

    @cached_property
    def audio(self) -> float:
        return sum(duration(u.audio) for u in self.utterances)


class Row(NamedTuple):
    """A way of aligning.

    Attributes
    ----------
    align : callable
        Writes TextGrids to a folder; returns the seconds of what it measured itself.
    reference : Path
        Hand labels at the same paths.
    audio : float
        Seconds.
    searches : sequence of callable
        One for each utterance, with its inputs at hand; none where the search cannot be called alone.
    peer_of : str
        Our row that its speed is compared with.
    """

    align: Callable[[Path], Mapping[str, float]]
    reference: Path
    audio: float
    searches: Sequence[Callable[[], object]] = ()
    peer_of: str = ""


@cache
def threads(count: int) -> ThreadPoolExecutor:
    """As `align` has them: torch computes in one thread in each."""
    return ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(1,))


def each(work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    return list(threads(cores()).map(work, items))


def took(calls: Sequence[Callable[[], object]], count: int) -> float:
    """Seconds of all calls in so many threads."""
    begun = time.perf_counter()
    list(threads(count).map(lambda call: call(), calls))
    return time.perf_counter() - begun


def duration(recording: object) -> float:
    return float(soundfile.info(str(recording)).duration)


def tiled(intervals: Sequence[Interval], end: float) -> list[Interval]:
    """Intervals with silences in their gaps."""
    found: list[Interval] = []
    for i in intervals:
        begin, last = max(i.start, found[-1].end if found else 0.0), min(i.end, end)
        if begin > (found[-1].end if found else 0.0) + 1e-4:
            found.append(Interval(found[-1].end if found else 0.0, begin, SILENCE_LABEL))
        if last > begin:
            found.append(Interval(found[-1].end if found else 0.0, last, i.label))
    if not found or found[-1].end < end:
        found.append(Interval(found[-1].end if found else 0.0, end, SILENCE_LABEL))
    return found


def write(out: Path, file: str, words: Sequence[Interval], phones: Sequence[Interval], end: float) -> None:
    path = out / f"{file}.TextGrid"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_textgrid(path, {"words": tiled(words, end), "phones": tiled(phones, end)}, end)


def ours(bench: Bench, backend: str, model: str | None = None, alone: bool = False) -> Row:
    """A backend of `align`; its search is timed ``alone``, too."""
    options = Options(backend=backend)
    way = chosen(model, options)

    def align(out: Path) -> Mapping[str, float]:
        return {"all": run(plan(bench.corpus, out, existing="overwrite"), way).wall}

    prepared = each(partial(prepare, backend=way), bench.utterances) if alone else []
    return Row(align, bench.corpus, bench.audio, searches_of(way, prepared))


def searches_of(way: AnyBackend, prepared: Sequence[Any]) -> list[Callable[[], object]]:
    return [partial(search, way, p) for p in prepared]


def search(way: AnyBackend, prepared: Any) -> object:
    if isinstance(way, CtcBackend):
        graph = ctc.build([w.pronunciations for w in prepared.spoken], way.model.alphabet)
    else:
        graph = prepared.reference.templates[0].graph(way.steps)
    return way.find(replace(prepared, graph=graph))


class Posteriors(NamedTuple):
    """What a peer of CTC is given: labels and columns of each word's phones, and log posteriors (T, C)."""

    heard: Heard
    words: list[str]
    phones: list[list[str]]
    columns: list[list[int]]
    scores: torch.Tensor


def posteriors(way: CtcBackend, utterance: Utterance) -> Posteriors:
    heard = hear(utterance, way.traits)
    spoken = way.pronounce(heard.tokens)[0]
    phones = [
        [p for w in group for p in w.pronunciations[0].phones]
        for _, group in groupby(spoken, lambda w: w.token)
    ]
    columns = [list(map(way.model.alphabet.of, of)) for of in phones]
    words = [heard.tokens[k].spelling for k, _ in groupby(spoken, lambda w: w.token)]
    return Posteriors(heard, words, phones, columns, way.model.frontend(heard.wave)[:, :-1].contiguous())


Edges = list[np.ndarray]  # of each word's phones, in seconds: one more than it has phones


def ctc_peer(bench: Bench, edges: Callable[[CtcBackend, Posteriors], Edges]) -> Row:
    way, utterances = chosen(None, Options(backend="ctc")), bench.utterances
    assert isinstance(way, CtcBackend)

    def one(out: Path, utterance: Utterance) -> None:
        given = posteriors(way, utterance)
        found = edges(way, given)
        words = [Interval(float(e[0]), float(e[-1]), w) for e, w in zip(found, given.words, strict=True)]
        phones = [
            Interval(float(a), float(b), p)
            for e, labels in zip(found, given.phones, strict=True)
            for (a, b), p in zip(pairwise(e), labels, strict=True)
        ]
        write(out, utterance.file, words, phones, given.heard.duration)

    def align(out: Path) -> Mapping[str, float]:
        each(partial(one, out), utterances)
        return {}

    calls = [partial(edges, way, given) for given in each(partial(posteriors, way), utterances)]
    return Row(align, bench.corpus, bench.audio, calls, "ctc")


def by_torchaudio(way: CtcBackend, given: Posteriors) -> Edges:
    """Boundaries midway between spikes; the label between words is in the transcript, as in torchaudio's
    tutorial.
    """
    from torchaudio.functional import forced_align, merge_tokens

    blank, between = way.model.alphabet.blank, way.model.alphabet.boundary
    targets = [c for word in given.columns for c in (between, *word)][1:]
    path, scores = forced_align(
        given.scores[None], torch.tensor(targets, dtype=torch.int32)[None], blank=blank
    )
    spans = [s for s in merge_tokens(path[0], scores[0], blank) if s.token != between]
    middles = [(a.end + b.start) / 2 for a, b in pairwise(spans)]
    frames = np.array([spans[0].start, *middles, spans[-1].end])
    return parted(np.array([way.model.network.clock.boundary(t) for t in frames]), given.columns)


def parted(edges: np.ndarray, columns: Sequence[Sequence[int]]) -> Edges:
    firsts = np.cumsum([0, *map(len, columns)])
    return [edges[a : b + 1] for a, b in pairwise(firsts)]


def by_ctc_segmentation(way: CtcBackend, given: Posteriors) -> Edges:
    """Words as it segments them, and in them boundaries midway between the times of its labels."""
    import ctc_segmentation as peer

    names = [str(k) for k in range(given.scores.shape[1])]
    config = peer.CtcSegmentationParameters(
        char_list=names, blank=way.model.alphabet.blank, index_duration=way.model.network.clock.seconds(1)
    )
    text = [np.array(word) for word in given.columns]
    truth, begins = peer.prepare_token_list(config, text)
    times, probabilities, _ = peer.ctc_segmentation(config, given.scores.numpy(), truth)
    words = peer.determine_utterance_segments(config, begins, probabilities, times, text)
    spikes = [times[b + 1 : b + 1 + len(word)] for b, word in zip(begins, text, strict=False)]
    return [
        np.maximum.accumulate([start, *(s[1:] + s[:-1]) / 2, end])
        for (start, end, _), s in zip(words, spikes, strict=True)
    ]


def peer_torchaudio(bench: Bench) -> Row:
    return ctc_peer(bench, by_torchaudio)


def peer_ctc_segmentation(bench: Bench) -> Row:
    try:
        import ctc_segmentation  # noqa: F401
    except ImportError as error:
        raise Lacking(f"ctc-segmentation is not installed ({error})") from None
    return ctc_peer(bench, by_ctc_segmentation)


def spelled(utterance: Utterance) -> list[str]:
    return [t.spelling for t in normalise(utterance.transcript)]


def by_praat(out: Path, utterance: Utterance) -> None:
    """eSpeak through Praat, phones in IPA; what it does in its editor by 'Align interval'."""
    import parselmouth
    from parselmouth.praat import call

    sound = parselmouth.Sound(str(utterance.audio))
    grid = call(sound, "To TextGrid", "text", "")
    call(grid, "Set interval text", 1, 1, " ".join(spelled(utterance)))
    voice = call("Create SpeechSynthesizer", "English (America)", "Female1")
    call(voice, "Set speech output settings", sound.sampling_frequency, 0.01, 50, 50, 175, "no", "IPA")
    aligned = call([voice, sound, grid], "To TextGrid (align)", 1, 1, 1, -35.0, 0.1, 0.1)
    words, phones = (list(praat_tier(aligned, name)) for name in ("word", "phoneme"))
    write(out, utterance.file, words, split(phones, [0] * len(phones), arpabet)[0], sound.duration)


def praat_tier(grid: object, name: str) -> Iterator[Interval]:
    from parselmouth.praat import call

    tier = next(
        k for k in range(1, call(grid, "Get number of tiers") + 1) if call(grid, "Get tier name", k) == name
    )
    for k in range(1, call(grid, "Get number of intervals", tier) + 1):
        if label := call(grid, "Get label of interval", tier, k):
            yield Interval(
                call(grid, "Get start time of interval", tier, k),
                call(grid, "Get end time of interval", tier, k),
                label,
            )


def peer_praat(bench: Bench) -> Row:
    try:
        import parselmouth  # noqa: F401
    except ImportError as error:
        raise Lacking(f"praat-parselmouth is not installed ({error})") from None
    utterances = bench.utterances
    pool = ProcessPoolExecutor(cores(), mp_context=get_context("spawn"))  # Praat has no threads

    def align(out: Path) -> Mapping[str, float]:
        list(pool.map(partial(by_praat, out), utterances))
        return {}

    return Row(align, bench.corpus, bench.audio, (), "dtw")


AENEAS = """
import json, sys, time
from multiprocessing import Pool
from aeneas.dtw import DTWAligner
from aeneas.executetask import ExecuteTask
from aeneas.runtimeconfiguration import RuntimeConfiguration
from aeneas.task import Task
whole, spent = DTWAligner.compute_boundaries, []
def timed(*given):
    begun = time.process_time()
    found = whole(*given)
    spent.append(time.process_time() - begun)
    return found
DTWAligner.compute_boundaries = timed
settings = RuntimeConfiguration("tts=espeak-ng|mfcc_mask_nonspeech_l3=True")
settings["tts_path"] = sys.argv[2]
settings.set_granularity(3)
def work(job):
    task = Task("task_language=eng-USA|is_text_type=plain|os_task_file_format=json")
    task.audio_file_path_absolute, task.text_file_path_absolute = job
    ExecuteTask(task, rconf=settings).execute()
    return [(float(f.begin), float(f.end), f.text) for f in task.sync_map_leaves()], spent.pop()
with Pool(int(sys.argv[3])) as pool:
    jobs = json.load(open(sys.argv[1]))
    pool.map(work, jobs[:2])
    begun = time.perf_counter()
    found = pool.map(work, jobs, 1)
    took = time.perf_counter() - begun
json.dump({"words": [w for w, _ in found], "all": took, "one": sum(s for _, s in found)}, sys.stdout)
"""


def peer_aeneas(bench: Bench) -> Row:
    """Each word a line of its own, at the granularity of words with pauses masked, as aeneas advises for
    words.

    Without its extension for eSpeak, it has each word spoken alone, by a process.
    """
    for program, why in ((bench.aeneas, "aeneas"), (bench.espeak, "espeak-ng, which aeneas calls,")):
        if not shutil.which(program):
            raise Lacking(
                f"{why} is not here ({program or 'none was given'}); backends.sh fetches it where it can"
            )
    utterances, jobs = bench.utterances, bench.folder / "aeneas.json"
    texts = [bench.folder / "aeneas" / f"{u.file}.txt" for u in utterances]
    for path, u in zip(texts, utterances, strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(spelled(u)), encoding="utf-8")
    jobs.write_text(json.dumps([(str(u.audio), str(t)) for u, t in zip(utterances, texts, strict=True)]))

    def align(out: Path) -> Mapping[str, float]:
        done = subprocess.run(
            [bench.aeneas, "-c", AENEAS, jobs, bench.espeak, str(cores())], capture_output=True, text=True
        )
        if done.returncode:
            raise Lacking(f"aeneas failed: {done.stderr.strip().splitlines()[-1]}")
        told = json.loads(done.stdout)
        for u, words in zip(utterances, told.pop("words"), strict=True):
            write(out, u.file, [Interval(*w) for w in words if w[2]], [], duration(u.audio))
        return told

    return Row(align, bench.corpus, bench.audio, (), "dtw")


class Readings(NamedTuple):
    """The same sentences by several speakers: folders of prompts, targets and references, one a speaker in
    each.
    """

    prompts: Path
    targets: Path
    reference: Path
    speakers: list[str]


def readings(bench: Bench) -> Readings:
    """Prompts with the labels as they are scored: closures joined to their bursts."""
    by_speaker = {
        s: {p.stem for p in group}
        for s, group in groupby(
            sorted(bench.corpus.rglob("*.phn")), lambda p: p.parent.relative_to(bench.corpus)
        )
    }
    shared = set.intersection(*by_speaker.values())
    if len(by_speaker) < 2 or not shared:
        raise Lacking("no sentence is read by all speakers of the corpus")
    made = Readings(
        *(bench.folder / "readings" / k for k in ("prompts", "targets", "reference")),
        [str(s) for s in by_speaker],
    )
    for source in made.speakers:
        for name in shared:
            prompt(bench.corpus / source / name, made.prompts / source / name)
            for target in set(made.speakers) - {source}:
                link(bench.corpus / target / name, made.targets / source / target, ".wav")
                link(bench.corpus / target / name, made.reference / source / target, ".phn", ".wrd")
    return made


def link(stem: Path, folder: Path, *kinds: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for path in (stem.with_suffix(k) for k in kinds):
        (folder / path.name).unlink(missing_ok=True)
        (folder / path.name).symlink_to(path.resolve())


def prompt(labelled: Path, to: Path) -> None:
    link(labelled, to.parent, ".wav")
    labels = next(iter(read_labels(labelled.with_suffix(".phn")).values()))
    write(
        to.parent,
        to.name,
        labels.words or (),
        scored_phones(labels.phones or ()),
        duration(labelled.with_suffix(".wav")),
    )


def transfers(bench: Bench) -> Row:
    """`aligner transfer`, a run for each speaker whose labels are carried over to the others."""
    given, options = readings(bench), Options(backend="dtw")

    def jobs(out: Path) -> Iterator[tuple[object, AnyBackend]]:
        for s in given.speakers:
            job, prompts = plan_transfer(
                given.prompts / s, given.targets / s, out / s, TierNames(), existing="overwrite"
            )
            yield job, by_prompts(prompts, options, Compute())

    def align(out: Path) -> Mapping[str, float]:
        return {"all": sum(run(job, way).wall for job, way in jobs(out))}

    ways = list(jobs(bench.folder / "transfer"))
    calls = [
        call
        for job, way in ways
        for call in searches_of(way, each(partial(prepare, backend=way), job.utterances))
    ]
    return Row(align, given.reference, sum(map(duration, given.targets.rglob("*.wav"))), calls)


class Pair(NamedTuple):
    prompt: Path
    target: Path
    file: str


FRONTEND = TemplateFrontend()


@cache
def known(prompt: Path) -> tuple[torch.Tensor, tuple[Interval, ...], tuple[Interval, ...]]:
    """Frames, words and phones of a prompt; remembered, as `aligner transfer` does."""
    labels = next(iter(read_labels(prompt.with_suffix(".TextGrid")).values()))
    return frames_of(prompt), labels.words or (), labels.phones or ()


def frames_of(recording: Path) -> torch.Tensor:
    return FRONTEND(torch.from_numpy(audio.read(Utterance("", recording, "")).wave))


def warped(reference: torch.Tensor, target: torch.Tensor, times: np.ndarray) -> np.ndarray:
    """Times of the reference in the target, by librosa's plain warping."""
    import librosa

    _, path = librosa.sequence.dtw(reference.numpy().T, target.numpy().T, step_sizes_sigma=STEPS)
    frames = np.interp(FRONTEND.clock.frame(times) - 0.5, path[::-1, 0], path[::-1, 1]) + 0.5
    return np.array([FRONTEND.clock.boundary(t) for t in frames])


def peer_librosa(bench: Bench) -> Row:
    """Plain warping of the same features; pauses are warped as all else is."""
    given = readings(bench)
    pairs = [
        Pair(
            given.prompts / p.relative_to(given.targets).parts[0] / p.name,
            p,
            str(p.relative_to(given.targets).with_suffix("")),
        )
        for p in sorted(given.targets.rglob("*.wav"))
    ]

    def times(pair: Pair) -> np.ndarray:
        return np.array([t for tier in known(pair.prompt)[1:] for i in tier for t in (i.start, i.end)])

    def one(out: Path, pair: Pair) -> None:
        frames, words, phones = known(pair.prompt)
        found = warped(frames, frames_of(pair.target), times(pair)).reshape(-1, 2).tolist()
        moved = [Interval(a, b, i.label) for (a, b), i in zip(found, (*words, *phones), strict=True)]
        spoken = [[i for i in tier if i.label] for tier in (moved[: len(words)], moved[len(words) :])]
        write(out, pair.file, spoken[0], spoken[1], duration(pair.target))

    def align(out: Path) -> Mapping[str, float]:
        each(partial(one, out), pairs)
        return {}

    calls = each(lambda p: partial(warped, known(p.prompt)[0], frames_of(p.target), times(p)), pairs)
    return Row(align, given.reference, sum(duration(p.target) for p in pairs), calls, "transfer")


ROWS: dict[str, Callable[[Bench], Row]] = {
    "ctc": partial(ours, backend="ctc", alone=True),
    "torchaudio": peer_torchaudio,
    "ctc-segmentation": peer_ctc_segmentation,
    "ctc+hmm": partial(ours, backend="ctc+hmm"),
    "hmm": partial(ours, backend="hmm"),
    "dtw": partial(ours, backend="dtw", alone=True),
    "dtw-english": partial(ours, backend="dtw", model="english", alone=True),
    "praat": peer_praat,
    "aeneas": peer_aeneas,
    "transfer": transfers,
    "librosa": peer_librosa,
}


def measured(row: Row, out: Path) -> dict[str, float]:
    """Seconds of one round, by what they were spent on."""
    begun = time.perf_counter()
    told = row.align(out)
    found = {"all": time.perf_counter() - begun} | dict(told)
    if row.searches:
        found |= {"several": took(row.searches, cores()), "one": took(row.searches, 1)}
    return found


def judged(row: Row, out: Path, judge: Path | None) -> dict[str, float]:
    """The row's figures; none for phones where it has none."""
    report = evaluate(row.reference, out).report
    found = {"frames": report.frame_accuracy, "missing": report.missing}
    if judge is None:
        sides = [
            s and (s.mae, s.median, s.bias, s.within[20], s.within[50]) for s in (report.phones, report.words)
        ]
    else:
        told = out.with_suffix(".json")
        subprocess.run(
            [sys.executable, judge, row.reference, out, "--json", told], check=True, capture_output=True
        )
        figures = json.loads(told.read_text())
        found["missing"] = figures["missing"]
        keys = ("mae_ms", "median_ms", "bias_ms", "within_20", "within_50")
        sides = [
            tuple(figures[k][key] for key in keys) if figures[k]["n"] else None for k in ("phones", "words")
        ]
    phones, words = sides
    found |= dict(zip(COLUMNS[:5], phones, strict=True)) if phones else {}
    if not phones:
        del found["frames"]
    return found | ({"words": words[0]} if words else {})


def line(name: str, figures: Mapping[str, float], speeds: Mapping[str, float], behind: str) -> str:
    cells = [
        f"{figures[c]:8.0f}" if c == "missing" else f"{figures[c]:8.1f}" if c in figures else f"{'-':>8}"
        for c in COLUMNS
    ]
    fast = [f"{speeds[k]:8.0f}" if k in speeds else f"{'-':>8}" for k in ("several", "one", "all")]
    return f"{name:<18}{''.join(cells)}  {''.join(fast)}  {behind}".rstrip()


def compared(name: str, row: Row, rounds: Mapping[str, Sequence[Mapping[str, float]]]) -> str:
    """How much faster ours was in the same rounds; or whether it is as fast as is wanted."""
    if name in BARS:
        speed = statistics.median(row.audio / r["several"] for r in rounds[name])
        return f"search: wanted {BARS[name]} on two cores: {'met' if speed >= BARS[name] else 'NOT MET'}"
    if row.peer_of not in rounds:
        return ""
    ratios = {
        kind: statistics.median(
            theirs[kind] / our[kind] for our, theirs in zip(rounds[row.peer_of], rounds[name], strict=True)
        )
        for kind in ("several", "one", "all")
        if kind in rounds[name][0]
    }
    named = {"several": "search", "one": "on one", "all": "all"}
    return (
        f"{row.peer_of} is "
        + ", ".join(f"{r:.2f} x ({named[kind]})" for kind, r in ratios.items())
        + " as fast"
    )


def made(bench: Bench, names: Sequence[str]) -> dict[str, Row]:
    """The rows that can be measured, each after a round that is not counted; of the others, why they
    cannot."""
    found = {}
    for name in names:
        try:
            row = ROWS[name](bench)
            measured(row, bench.folder / name)
            found[name] = row
        except Lacking as why:
            print(f"{name:<18} not measured: {why}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path, nargs="?", default=HERE.parent / "shared/data/timit-dev")
    parser.add_argument("--judge", type=Path, default=HERE.parent / "shared/score/score.py")
    parser.add_argument("--only", action="append", choices=ROWS, metavar="NAME", help=f"of {', '.join(ROWS)}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--aeneas", default="", help="a Python that has aeneas")
    parser.add_argument("--espeak", default="espeak-ng", help="eSpeak NG's program, for aeneas")
    parser.add_argument("--out", type=Path, default=HERE / "out/backends")
    given = parser.parse_args()
    warnings.simplefilter("ignore")  # the peers' own
    logging.disable(logging.WARNING)
    given.out.mkdir(parents=True, exist_ok=True)
    judge = given.judge.resolve() if given.judge.is_file() else None
    bench = Bench(given.corpus.resolve(), given.out.resolve(), judge, given.aeneas, given.espeak)
    rows = made(bench, given.only or list(ROWS))
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in rows}
    for _ in range(given.rounds):
        for name, row in rows.items():
            rounds[name].append(measured(row, bench.folder / name))
    print(
        f"{given.corpus}, judged by {judge or 'aligner evaluate'}: boundaries of phones (ms, %), mae of "
        f"words',"
    )
    print(
        f"frames with the right phone (%); audio seconds per second, median of {given.rounds}: search on "
        f"{cores()} cores, on one; all"
    )
    heads = (*COLUMNS, "", "search", "on one", "all")
    print(f"{'':<18}{''.join(f'{h:>8}' if h else '  ' for h in heads)}")
    for name, row in rows.items():
        speeds = {
            kind: statistics.median(row.audio / r[kind] for r in rounds[name]) for kind in rounds[name][0]
        }
        figures = judged(row, bench.folder / name, judge)
        print(line(name, figures, speeds, compared(name, row, rounds)), flush=True)


if __name__ == "__main__":
    main()
