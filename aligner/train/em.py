"""Expectation maximisation: the loop of which every stage of training is a schedule.

Each step aligns all utterances with the model there is, adds up what the frames say, and makes the next model
of the sums.  The sums are additive: shards of the corpus may be anywhere, and the ``map`` that is handed in
spreads them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from aligner.features import CepstralFrontend
from aligner.graph import NONE, Graph, Topology, build
from aligner.models.gmm import GaussianMixtures
from aligner.models.markov import MarkovModel, SpeakerTransform
from aligner.models.tree import TreeTopology
from aligner.search.arcs import Arcs, NoPath
from aligner.search.forward_backward import forward_backward
from aligner.search.viterbi import viterbi
from aligner.train.statistics import (
    START,
    Occupancies,
    PronunciationCounts,
    SpokenForm,
    Statistics,
    accumulate,
    total,
    zero_sums,
)
from aligner.types import Pronunciation

R = TypeVar("R")
Map = Callable[[Callable[[Any], R], Iterable[Any]], Iterable[R]]
SpeakerTransforms = Mapping[str, SpeakerTransform]

SHARD_FRAMES = 45_000  # frames of a shard, seven minutes: long products, and enough shards to be spread
DEVICE_BATCH = 16  # utterances that are searched together on a device; on the CPU each is searched alone
LEAST_POSTERIOR = 1e-3  # a posterior below which a frame says nothing of a pdf


class GuidedPhone(NamedTuple):
    """A phone, or a pause, where a guide found it: in how many frames after those of the one before."""

    phone: str
    """Label of the phone."""
    frames: int
    """Number of its frames."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Example:
    """An utterance for a hidden Markov model to learn from."""

    id: str
    """Id of the utterance."""
    speaker: str
    """Name of the speaker."""
    cepstra: Tensor
    """(T, C) normalised cepstra, before the front end expands them; or (T, D) frames of another front end."""
    words: tuple[tuple[Pronunciation, ...], ...]
    """Pronunciations that each word may have."""
    spelled: tuple[str, ...] = ()
    """The words as they are spelled; empty where their pronunciations are not to be counted."""
    guide: tuple[GuidedPhone, ...] = ()
    """The phones that tile the frames, by what aligned the corpus before; empty where nothing did."""


class Aligned(NamedTuple):
    """An utterance aligned with a model; S states of its graph."""

    example: Example
    """The utterance."""
    frames: Tensor
    """(T, D): its frames as the model sees them."""
    graph: Graph
    """Graph of its transcript."""
    states: np.ndarray
    """(T,): state of every frame along the best path."""
    occupancies: Occupancies
    """Frames and their pdfs, along the best path or weighted over all paths."""
    stays: np.ndarray
    """(S,): how often each state follows itself."""
    visits: np.ndarray
    """(S,): how often each state is entered."""
    score: float
    """Log-likelihood of the best path, or of all paths together."""


class Paths(NamedTuple):
    """The paths of a shard's utterances, kept so that the next iterations need not search."""

    pdfs: tuple[np.ndarray, ...]
    """The pdfs (T,) of the frames of each utterance; (0,) of an utterance without a path."""
    arcs: tuple[float, ...]
    """The summed log weights of the arcs on the path of each utterance."""


class ShardTask(NamedTuple):
    """The work on one shard; it can be sent to another process or machine."""

    model: MarkovModel
    """Model to align with."""
    examples: Sequence[Example]
    """Utterances of the shard."""
    voices: SpeakerTransforms
    """What is known of each speaker."""
    em: str = "viterbi"
    """'viterbi' counts the best path alone, 'full' every path by its probability."""
    known: Paths | None = None
    """Paths of these examples from an earlier iteration; None searches for new ones."""


class Unaligned(NamedTuple):
    """An utterance that has no path through its graph."""

    id: str
    """Id of the utterance."""


def trees_of(model: MarkovModel) -> TreeTopology:
    """The topology of a model that is trained here, as a `TreeTopology`."""
    assert isinstance(model.topology, TreeTopology)
    return model.topology


def gaussians_of(model: MarkovModel) -> GaussianMixtures:
    """The mixtures of a model that is trained here, as `GaussianMixtures`."""
    assert isinstance(model.mixtures, GaussianMixtures)
    return model.mixtures


def cepstral_frontend(model: MarkovModel) -> CepstralFrontend:
    """The front end of a model that is trained here, as a `CepstralFrontend`."""
    assert isinstance(model.frontend, CepstralFrontend)
    return model.frontend


def sharded(examples: Sequence[Example], frames: int = SHARD_FRAMES) -> list[list[Example]]:
    """Split utterances, in order, into an even number of shards of about ``frames`` frames.

    The shards do not depend on how many processes there are, so that neither do the sums' last digits.
    """
    total = sum(len(e.cepstra) for e in examples)
    count = 2 * max(1, -(-total // (2 * frames)))
    shards: list[list[Example]] = [[] for _ in range(count)]
    size = 0
    for example in examples:
        shards[min(size * count // max(total, 1), count - 1)].append(example)
        size += len(example.cepstra)
    return [shard for shard in shards if shard]


def frames_of(model: MarkovModel, example: Example, voices: SpeakerTransforms) -> Tensor:
    """Frames (T, D) of an utterance, as the model sees them."""
    return model.frames(example.cepstra, voices.get(example.speaker))


def all_frames_of(model: MarkovModel, examples: Sequence[Example], voices: SpeakerTransforms) -> Tensor:
    """Frames (T, D) of utterances one behind the other, computed speaker by speaker."""
    parts = []
    for speaker, group in groupby(examples, key=lambda e: e.speaker):
        own = list(group)
        lengths = torch.tensor([len(e.cepstra) for e in own])
        parts.append(model.frames(torch.cat([e.cepstra for e in own]), voices.get(speaker), lengths))
    return torch.cat(parts)


def aligned(task: ShardTask) -> Iterator[Aligned | Unaligned]:
    """Align every utterance of a shard."""
    on_cpu = not task.examples or task.examples[0].cepstra.device.type == "cpu"
    size = 1 if on_cpu else DEVICE_BATCH
    for first in range(0, len(task.examples), size):
        yield from _batch(task, task.examples[first : first + size])


def _batch(task: ShardTask, examples: Sequence[Example]) -> Iterator[Aligned | Unaligned]:
    """Align utterances that are searched together."""
    if not examples:
        return
    frames = [frames_of(task.model, e, task.voices) for e in examples]
    graphs = [build(e.words, task.model.topology) for e in examples]
    try:
        found = _search(task, frames, graphs)
    except NoPath as error:  # too short for what is said, or nothing but pronunciations of probability 0
        lost = set(error.utterances)
        yield from (Unaligned(examples[k].id) for k in sorted(lost))
        yield from _batch(task, [e for k, e in enumerate(examples) if k not in lost])
        return
    for example, x, graph, counts in zip(examples, frames, graphs, found, strict=True):
        voice = task.voices.get(example.speaker)
        stretched = len(x) * voice.log_determinant if voice else 0.0
        yield Aligned(
            example=example,
            frames=x,
            graph=graph,
            **counts._replace(score=counts.score + stretched)._asdict(),
        )


class _PathCounts(NamedTuple):
    """The path of one utterance, and its counts (see `Aligned`)."""

    states: np.ndarray
    """(T,): state of every frame along the best path."""
    occupancies: Occupancies
    """Frames and their pdfs."""
    stays: np.ndarray
    """(S,): how often each state follows itself."""
    visits: np.ndarray
    """(S,): how often each state is entered."""
    score: float
    """Log-likelihood of the best path, or of all paths together."""


def _search(task: ShardTask, frames: Sequence[Tensor], graphs: Sequence[Graph]) -> list[_PathCounts]:
    """Find the paths of utterances through their graphs; raises NoPath where there is none."""
    used = np.unique(np.concatenate([g.pdfs for g in graphs]))
    columns = [np.searchsorted(used, g.pdfs)[g.pdf].astype(np.int32) for g in graphs]
    arcs = Arcs.of([replace(g, pdf=c) for g, c in zip(graphs, columns, strict=True)], frames[0].device)
    lengths = torch.tensor([len(x) for x in frames])
    scores = pad_sequence(
        list(torch.split(task.model.score(torch.cat(list(frames)), used), lengths.tolist())), True
    )
    path = viterbi(arcs, scores, lengths)
    counts = []
    for b, (graph, length) in enumerate(zip(graphs, lengths.tolist(), strict=True)):
        states = path.states[b, :length].cpu().numpy()
        counts.append(_best_path(graph, states, float(path.score[b]), scores.device))
    if task.em == "viterbi":
        return counts
    posteriors = forward_backward(arcs, scores, lengths)
    itself = arcs.predecessors == torch.arange(arcs.states, device=scores.device)[:, None]
    stays = (posteriors.arcs[:, 0].double() * itself).sum(2)
    for b, (best, graph, length) in enumerate(zip(counts, graphs, lengths.tolist(), strict=True)):
        gammas, own = (
            posteriors.states[b, :length, : len(graph.pdf)].double(),
            stays[b, : len(graph.pdf)].cpu().numpy(),
        )
        visits = gammas.sum(0).cpu().numpy() - own
        counts[b] = _PathCounts(
            states=best.states,
            occupancies=_sparse(gammas, _pdfs(graph, scores.device)),
            stays=own,
            visits=visits,
            score=float(posteriors.log_z[b]),
        )
    return counts


def _best_path(graph: Graph, states: np.ndarray, score: float, device: torch.device) -> _PathCounts:
    """Count along a best path of states (T,)."""
    pdfs = _pdfs(graph, device)[torch.from_numpy(states).to(device)]
    occupancies = Occupancies(
        torch.arange(len(states), device=device),
        pdfs,
        torch.ones(len(states), dtype=torch.float64, device=device),
    )
    entered = np.diff(states, prepend=NONE) != 0
    size = len(graph.pdf)
    return _PathCounts(
        states=states,
        occupancies=occupancies,
        stays=np.bincount(states[~entered], minlength=size).astype(np.float64),
        visits=np.bincount(states[entered], minlength=size).astype(np.float64),
        score=score,
    )


def _pdfs(graph: Graph, device: torch.device) -> Tensor:
    """The model's pdf (S,) of each state."""
    return torch.from_numpy(graph.pdfs[graph.pdf]).to(device)


def _sparse(gammas: Tensor, pdfs: Tensor) -> Occupancies:
    """Turn posteriors of states (T, S) into pairs of frames and pdfs, without the smallest."""
    frames, states = torch.nonzero(gammas > LEAST_POSTERIOR, as_tuple=True)
    weights = gammas[frames, states]
    total = gammas.new_zeros(len(gammas)).index_add_(0, frames, weights)
    return Occupancies(frames, pdfs[states], weights / total[frames])


def phone_and_state(graph: Graph, topology: Topology) -> tuple[np.ndarray, np.ndarray]:
    """Number of the phone (S,), and of the state within it (S,), of each state of a graph."""
    numbers = np.array([topology.number(phone) for phone in graph.phone])
    return numbers[graph.node], np.arange(len(graph.node)) - np.searchsorted(graph.node, graph.node)


class AlignedShard(NamedTuple):
    """The aligned utterances of a shard, one behind the other."""

    examples: Sequence[Example]
    """Utterances that have a path."""
    frames: Tensor
    """(T, D): frames of all utterances, one behind the other."""
    occupancies: Occupancies
    """Frames and their pdfs."""
    lengths: list[int]
    """Number of frames of each utterance."""


def aligned_shard(task: ShardTask) -> AlignedShard:
    """Align a shard along its known paths, or along new ones."""
    if task.known is None:
        return concatenated([a for a in aligned(task) if isinstance(a, Aligned)])
    found = [(e, pdfs) for e, pdfs in zip(task.examples, task.known.pdfs, strict=True) if len(pdfs)]
    if not found:
        return concatenated([])
    examples = [e for e, _ in found]
    frames = all_frames_of(task.model, examples, task.voices)
    pdfs = torch.from_numpy(np.concatenate([p for _, p in found]).astype(np.int64)).to(frames.device)
    every = torch.arange(len(pdfs), device=pdfs.device)
    occupancies = Occupancies(every, pdfs, torch.ones(len(pdfs), dtype=torch.float64, device=pdfs.device))
    return AlignedShard(examples, frames, occupancies, [len(e.cepstra) for e in examples])


def concatenated(utterances: Sequence[Aligned]) -> AlignedShard:
    """Put aligned utterances one behind the other."""
    if not utterances:
        nobody = torch.zeros(0, dtype=torch.int64)
        return AlignedShard(
            [], torch.zeros(0, 0), Occupancies(nobody, nobody, torch.zeros(0, dtype=torch.float64)), []
        )
    lengths = [len(a.frames) for a in utterances]
    firsts = np.cumsum([0, *lengths]).tolist()
    parts = [
        a.occupancies._replace(frames=a.occupancies.frames + first)
        for a, first in zip(utterances, firsts, strict=False)
    ]
    return AlignedShard(
        [a.example for a in utterances],
        torch.cat([a.frames for a in utterances]),
        Occupancies(*(torch.cat(side) for side in zip(*parts, strict=True))),
        lengths,
    )


class ShardExpectation(NamedTuple):
    """The result of the E-step of a shard."""

    statistics: Statistics
    """Expected counts of the shard."""
    paths: Paths
    """Paths that they were counted along."""


def shard_expectation(task: ShardTask) -> ShardExpectation:
    """Run the E-step of one shard, along known paths or new ones."""
    return (
        _on_new_paths(task) if task.known is None or task.em == "full" else _on_known_paths(task, task.known)
    )


def _on_new_paths(task: ShardTask) -> ShardExpectation:
    """Run the E-step of a shard along new paths."""
    mixtures, topology = gaussians_of(task.model), task.model.topology
    stays, leaves = (np.zeros(topology.alone.shape) for _ in range(2))
    found = {f.example.id if isinstance(f, Aligned) else f.id: f for f in aligned(task)}
    utterances = [f for f in found.values() if isinstance(f, Aligned)]
    for utterance in utterances:
        phones, inner = phone_and_state(utterance.graph, topology)
        np.add.at(stays, (phones, inner), utterance.stays)
        np.add.at(leaves, (phones, inner), utterance.visits)
    shard = concatenated(utterances)
    streams, emitted = (
        accumulate(mixtures, shard.frames, shard.occupancies)
        if utterances
        else (zero_sums(mixtures), torch.zeros(0))
    )
    left = tuple(f.id for f in found.values() if isinstance(f, Unaligned))
    spoken = PronunciationCounts(
        Counter(
            pair for utterance in utterances if utterance.example.spelled for pair in word_pairs(utterance)
        )
    )
    statistics = Statistics(
        streams=streams,
        stays=stays,
        leaves=leaves,
        log_likelihood=sum(w.score for w in utterances),
        frames=sum(shard.lengths),
        utterances=len(utterances),
        unaligned=left,
        pronunciations=spoken,
    )
    if task.em == "full":
        return ShardExpectation(statistics, _paths(task, found, {}))
    parts = torch.split(emitted, shard.lengths)
    of = {e.id: float(part.sum()) for e, part in zip(shard.examples, parts, strict=True)}
    return ShardExpectation(statistics, _paths(task, found, of))


def word_pairs(utterance: Aligned) -> Iterator[tuple[SpokenForm, SpokenForm, bool]]:
    """List each pair of neighbouring words on the best path, and whether silence stands between them."""
    nodes = utterance.graph.node[utterance.states]
    visited = nodes[np.flatnonzero(np.diff(nodes, prepend=NONE))]
    before, silent = START, False
    for word, group in groupby(
        zip(utterance.graph.word[visited].tolist(), visited.tolist(), strict=True), lambda v: v[0]
    ):
        if word == NONE:
            silent = True
            continue
        said = utterance.example.spelled[word], tuple(utterance.graph.phone[n] for _, n in group)
        yield before, said, silent
        before, silent = said, False
    yield before, START, silent


def _paths(task: ShardTask, found: Mapping[str, Aligned | Unaligned], emitted: Mapping[str, float]) -> Paths:
    pdfs, arcs = [], []
    for example in task.examples:
        utterance = found[example.id]
        if isinstance(utterance, Unaligned):
            pdfs.append(np.zeros(0, np.int32))
            arcs.append(0.0)
        else:
            pdfs.append(utterance.graph.pdfs[utterance.graph.pdf[utterance.states]].astype(np.int32))
            voice = task.voices.get(example.speaker)
            stretched = len(utterance.frames) * voice.log_determinant if voice else 0.0
            arcs.append(utterance.score - stretched - emitted[example.id] if emitted else 0.0)
    return Paths(tuple(pdfs), tuple(arcs))


def _on_known_paths(task: ShardTask, known: Paths) -> ShardExpectation:
    """Run the E-step of a shard along the paths of an earlier iteration, without transitions."""
    mixtures = gaussians_of(task.model)
    table = np.zeros(task.model.topology.alone.shape)
    shard = aligned_shard(task)
    if not shard.examples:
        return ShardExpectation(Statistics(streams=zero_sums(mixtures), stays=table, leaves=table), known)
    streams, emitted = accumulate(mixtures, shard.frames, shard.occupancies)
    stretched = sum(
        n * v.log_determinant
        for e, n in zip(shard.examples, shard.lengths, strict=True)
        if (v := task.voices.get(e.speaker)) is not None
    )
    score = float(emitted.sum()) + sum(known.arcs) + stretched
    left = tuple(e.id for e, pdfs in zip(task.examples, known.pdfs, strict=True) if not len(pdfs))
    return ShardExpectation(
        Statistics(
            streams=streams,
            stays=table,
            leaves=table,
            log_likelihood=score,
            frames=len(shard.frames),
            utterances=len(shard.examples),
            unaligned=left,
        ),
        known,
    )


def e_step(
    model: MarkovModel,
    shards: Sequence[Sequence[Example]],
    voices: SpeakerTransforms,
    *,
    em: str = "viterbi",
    spread: Map[Any] = map,
    known: Sequence[Paths] | None = None,
) -> tuple[Statistics, tuple[Paths, ...]]:
    """Run the E-step over all shards, and return the summed statistics and the paths of each shard.

    Parameters
    ----------
    model : MarkovModel
    shards : sequence of sequences of Example
    voices : mapping of str to SpeakerTransform
        By speaker.
    em : {'viterbi', 'full'}
        Whether frames count for the best path alone, or for every path by its probability.
    spread : callable
        ``map``, or one that works in threads, processes or elsewhere.
    known : sequence of Paths, optional
        Paths of each shard from an earlier iteration; unless given, they are searched for.
    """
    paths: Sequence[Paths | None] = [None] * len(shards) if known is None else known
    tasks = [
        ShardTask(model=model, examples=shard, voices=voices, em=em, known=own)
        for shard, own in zip(shards, paths, strict=True)
    ]
    kept = []

    def statistics() -> Iterator[Statistics]:
        for part in spread(shard_expectation, tasks):
            kept.append(part.paths)
            yield part.statistics

    return total(statistics()), tuple(kept)
