"""The whole path, from an utterance to its alignment."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike

from aligner import graph as graphs
from aligner.corpus import audio
from aligner.corpus.files import read_text
from aligner.features import levels
from aligner.graph import Graph
from aligner.models.base import Model
from aligner.models.store import load_model
from aligner.refine.confidence import means
from aligner.refine.offsets import correct
from aligner.refine.suspect import Solved, measure, suspicions
from aligner.run.batches import by_length, cores, windows
from aligner.run.path import best_path
from aligner.search import arcs as searched
from aligner.search.arcs import NoPath
from aligner.text.g2p import HamaG2P
from aligner.text.lexicon import Lexicon, Pronouncer, SpokenWord
from aligner.text.normalise import Token, normalise
from aligner.types import SAMPLE_RATE, SILENCE_LABEL, Alignment, DataError, Failure, Interval, Utterance

R = TypeVar("R")
log = logging.getLogger(__name__)

WINDOW = 128  # utterances that are prepared before any is searched: enough to sort by length
BATCH = 16  # utterances that are searched together
NOISE_LABEL = "spn"  # of [laughter] and the like on the phone tier, as MFA writes it


@dataclass(frozen=True)
class Options:
    """How to align.

    Attributes
    ----------
    dictionary : Path or None
        Instead of the model's own.
    g2p : bool
        Whether words that are in no dictionary get a pronunciation from their letters.
    kernel : {'auto', 'numba', 'triton', 'reference'}
        What runs the search; 'auto' is numba, for it runs on the CPU.
    refine : {'offsets', 'none'}
        Whether boundaries are corrected by the model's table.
    jobs : int
        Threads.

    Raises
    ------
    DataError
        If the kernel does not run here.
    """

    dictionary: Path | None = None
    g2p: bool = True
    kernel: str = "auto"
    refine: str = "offsets"
    jobs: int = field(default_factory=cores)

    def __post_init__(self) -> None:
        try:
            searched.chosen(self.kernel, torch.device("cpu"))
        except ValueError as error:
            raise DataError("kernel", str(error), "take auto") from None


@dataclass(frozen=True)
class Prepared:
    """An utterance with all that the search needs, and its recording's level in each frame."""

    utterance: Utterance
    duration: float
    tokens: tuple[Token, ...]
    spoken: Sequence[SpokenWord]
    oovs: tuple[tuple[str, str], ...]
    graph: Graph
    frames: torch.Tensor
    levels: np.ndarray
    clipped: float


def align(utterances: Iterable[Utterance], model: Model | str | Path = "english",
          options: Options | None = None) -> Iterator[Alignment | Failure]:
    """Align utterances.

    Parameters
    ----------
    utterances : iterable of Utterance
    model : Model, str or Path
        A model, or what `aligner.load_model` takes.
    options : Options, optional

    Yields
    ------
    Alignment or Failure
        One for each utterance, in their order; a failure says why and what to do.

    Raises
    ------
    DataError
        If the dictionary is at fault.
    ModelError
        If the model is.

    Examples
    --------
    >>> import numpy as np
    >>> [failure] = align([Utterance("a", np.zeros(16000, np.float32), "hello")])
    >>> failure.message
    'the recording is silent throughout: check the channel and the level'
    """
    options = options or Options()
    loaded = load_model(model) if isinstance(model, (str, Path)) else model
    pronounce = pronouncer(loaded, options)
    with ThreadPoolExecutor(options.jobs, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        for window in windows(utterances, WINDOW):
            made = list(pool.map(lambda u: _guarded(u, lambda: prepare(u, loaded, pronounce)), window))
            yield from _search(made, loaded, options, pool)


def align_file(recording: str | Path | ArrayLike, text: str, *, rate: int = SAMPLE_RATE,
               model: Model | str | Path = "english", options: Options | None = None) -> Alignment:
    """Align one recording, from a file or from samples.

    Parameters
    ----------
    recording : str, Path or array_like
        A file, or samples (N,) or (N, channels), full scale 1 (or of an integer type).
    text : str
        What is said.
    rate : int
        Sample rate of an array, in Hz.
    model : Model, str or Path
    options : Options, optional

    Raises
    ------
    DataError
        If it cannot be aligned; the message says why and what to do.
    TypeError
        If ``text`` is not a string.
    """
    if not isinstance(text, str):
        raise TypeError(f"text is {type(text).__name__}, not str")
    source = Path(recording) if isinstance(recording, (str, Path)) else np.asarray(recording)
    name = "recording" if isinstance(source, np.ndarray) else source.stem
    [result] = align([Utterance(name, source, text, file=name, rate=rate)], model, options)
    if isinstance(result, Failure):
        raise DataError(name, result.reason, result.remedy)
    return result


def pronouncer(model: Model, options: Options) -> Pronouncer:
    """The dictionary that the options name, or the model's own, with G2P behind it."""
    path = options.dictionary or model.dictionary
    if path is None:
        raise DataError(model.name, "the model has no dictionary of its own", "name one (--dictionary)")
    lexicon = _lexicon(path, path.stat().st_mtime_ns if path.is_file() else 0, model.topology.knows)
    return Pronouncer(lexicon, HamaG2P() if options.g2p else None, model.topology.knows, model.topology.noises)


@lru_cache(maxsize=4)
def _lexicon(path: Path, changed: int, known: Callable[[str], bool]) -> Lexicon:
    """A dictionary, read once for as long as it stays as it is."""
    return Lexicon.parse(read_text(path), known, path)


def prepare(utterance: Utterance, model: Model, pronounce: Pronouncer) -> Prepared:
    """Read an utterance, take its features and build its graph.

    Raises
    ------
    DataError
        If any of it cannot be done.
    """
    where = utterance.file or utterance.id
    tokens = normalise(utterance.transcript)
    if not tokens:
        what = "holds only punctuation" if utterance.transcript.strip() else "is empty"
        raise DataError(where, f"the transcript {what}", "write what is said")
    sound = audio.read(utterance, model.clock.rate)
    spoken, oovs = pronounce(tokens)
    graph = graphs.build([w.pronunciations for w in spoken], model.topology)
    wave = torch.from_numpy(sound.wave)
    frames = model.frontend(wave)
    placed = replace(utterance, start=sound.start, end=sound.end)
    power = levels(wave, model.clock, len(frames)).numpy()
    return Prepared(placed, sound.duration, tokens, spoken, tuple(oovs), graph, frames, power, sound.clipped)


def solve(prepared: Prepared, model: Model, options: Options) -> Alignment:
    """Score an utterance's frames, find the best path and turn it into intervals.

    Raises
    ------
    DataError
        If no path through the graph is possible.
    """
    p = prepared
    try:
        path, seen = best_path(p.frames, p.graph, model, options.kernel)
    except NoPath:
        raise _impossible(prepared, model) from None
    firsts, found, owners = phones_of(path.states[0].numpy(), prepared, model)
    sure = means(seen.posterior, firsts).tolist()
    found = tuple(replace(f, confidence=c) for f, c in zip(found, sure, strict=True))
    solved = Solved(words_of(found, owners, p.tokens), found, firsts, seen, p.levels, model.clock,
                    model.clock.seconds(model.topology.shortest))
    quality = measure(solved, float(path.score) / len(p.frames), p.clipped)
    refined = correct(found, model.offsets) if options.refine == "offsets" else found
    return Alignment(p.utterance, words_of(refined, owners, p.tokens), refined, p.duration, quality, p.oovs,
                     suspicions(solved, quality))


def _impossible(prepared: Prepared, model: Model) -> DataError:
    """Why no path goes through an utterance's graph."""
    where, least, clock = prepared.utterance.file, prepared.graph.shortest, model.clock
    if len(prepared.frames) < least:
        have = clock.seconds(len(prepared.frames))
        return DataError(where, f"the transcript's phones take at least {clock.seconds(least):.2f} s, the recording "
                         f"has {have:.2f} s", "is it the transcript of another recording?")
    return DataError(where, "no path through the transcript is possible", "check the probabilities in the dictionary")


def phones_of(states: np.ndarray, prepared: Prepared,
              model: Model) -> tuple[list[int], tuple[Interval, ...], list[int]]:
    """First frames and intervals of the phones of ``states`` (T,), and the token of each (-1 for silence)."""
    graph, utterance = prepared.graph, prepared.utterance
    nodes = graph.node[states]
    firsts = np.flatnonzero(np.diff(nodes, prepend=-1))
    quiet, noises = model.topology.silence, model.topology.noises
    labels = [SILENCE_LABEL if p == quiet else NOISE_LABEL if p in noises else p
              for p in (graph.phone[n] for n in nodes[firsts])]
    owners = [prepared.spoken[w].token if w >= 0 else -1 for w in graph.word[nodes[firsts]]]
    assert utterance.end is not None
    frames = firsts.tolist()
    return frames, model.clock.tile(frames, labels, utterance.start, utterance.end), owners


def words_of(phones: Sequence[Interval], owners: Sequence[int], tokens: Sequence[Token]) -> tuple[Interval, ...]:
    """Words in the user's spelling, with the silences between them; one within a word is part of it."""
    last = {owner: k for k, owner in enumerate(owners)}
    inside = list(owners)
    for k in range(1, len(owners)):
        if owners[k] < 0 and inside[k - 1] >= 0 and last[inside[k - 1]] > k:
            inside[k] = inside[k - 1]
    words = []
    for owner, group in groupby(range(len(phones)), key=inside.__getitem__):
        members = list(group)
        label = tokens[owner].spelling if owner >= 0 else SILENCE_LABEL
        words.append(Interval(phones[members[0]].start, phones[members[-1]].end, label,
                              _confidence([phones[k] for k in members])))
    return tuple(words)


def _confidence(phones: Sequence[Interval]) -> float:
    """Of a word: that of its phones, each for as long as it lasts."""
    total = sum(p.duration for p in phones)
    return sum((p.confidence or 0.0) * p.duration for p in phones) / total if total else 0.0


def _search(made: Sequence[Prepared | Failure], model: Model, options: Options,
            pool: ThreadPoolExecutor) -> list[Alignment | Failure]:
    """Align what was prepared, in batches of like length; results in the order given."""
    results: dict[int, Alignment | Failure] = {k: m for k, m in enumerate(made) if isinstance(m, Failure)}
    ready = [(k, m) for k, m in enumerate(made) if isinstance(m, Prepared)]
    for batch in by_length([len(m.frames) for _, m in ready], BATCH):
        jobs = [ready[b] for b in batch]
        solved = pool.map(lambda job: _guarded(job[1].utterance, lambda: solve(job[1], model, options)), jobs)
        results.update({k: result for (k, _), result in zip(jobs, solved, strict=True)})
    return [results[k] for k in range(len(made))]


def _guarded(utterance: Utterance, work: Callable[[], R]) -> R | Failure:
    """What ``work`` returns, or the failure that its error amounts to: one bad file never ends a run."""
    try:
        return work()
    except DataError as error:
        return Failure(utterance, error.rule, error.remedy)
    except MemoryError:
        return Failure(utterance, "there is not enough memory for it", "cut it into utterances with a TextGrid")
    except Exception as error:  # a fault of ours must not take the other files with it
        log.debug("%s", utterance.id, exc_info=True)
        return Failure(utterance, f"the aligner failed on it ({type(error).__name__}: {error})",
                       "please report this, with the output of --verbose")
