"""A training from the flat start to the last pass: each stage is a short schedule over the one loop of EM.

===============  =================================================================================
monophone        phones without context, from utterances cut into equal pieces
triphone         phones in context: states share pdfs by decision trees
lda              the same of seven spliced frames, through LDA and MLLT
sat              the same of frames that each speaker's transform (fMLLR) brings together
pronunciations   no new model: pronunciations and silences get probabilities, and all is learnt again
===============  =================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from aligner.features import CepstralFrontend
from aligner.models.markov import MarkovModel, Voice
from aligner.train.em import Example, Map, Task, Voices, cepstral, e_step, gaussians_of, sharded, trees_of
from aligner.train.estimate import Floors, grown, maximised, single
from aligner.train.monophone import flat_start
from aligner.train.pronunciations import heard, weighed, with_weights
from aligner.train.statistics import Statistics
from aligner.train.transforms import ScatterTask, fmllr, lda, merged, mllt, moved, scatter, speaker_sums
from aligner.train.tree import View, contexts, grow, leaves_of, total
from aligner.types import Pronunciation

KINDS = ("monophone", "triphone", "lda", "sat", "pronunciations")
SETTLE = 6  # iterations at a stage's end in which no Gaussian is added
EACH = 2  # iterations from one addition to the next
REACH, DIMENSIONS = 3, 40  # frames on either side, and what LDA leaves of them
TURNS = (2, 4, 6)  # iterations of the stage lda after which MLLT turns the frames
REFITS = (2, 4, 6, 9)  # iterations of the stage sat after which the speakers' transforms are made anew
FRAMES_PER_GAUSSIAN, FRAMES_PER_LEAF = 60, 250  # fewer make no sense, whatever the recipe says


@dataclass(frozen=True)
class Stage:
    """One stage's schedule.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    iterations : int
    gaussians : int
        At its end, if there is speech for so many; 0 adds none.
    leaves : int
        Of the trees, if there is speech for so many.
    minutes : float
        Of speech from which the stage makes sense.
    """

    kind: str
    iterations: int
    gaussians: int = 0
    leaves: int = 0
    minutes: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"a stage {self.kind!r}; one of {', '.join(KINDS)} is needed")
        if self.iterations < 1 or min(self.gaussians, self.leaves, self.minutes) < 0:
            raise ValueError(f"{self}: at least one iteration, and nothing below 0, is needed")


RECIPES: Mapping[str, tuple[Stage, ...]] = {
    "quick": (Stage("monophone", 30, 1000),),
    "standard": (Stage("monophone", 30, 1000), Stage("triphone", 14, 6000, 1200, 10), Stage("lda", 14, 9000, 1500, 15),
                 Stage("sat", 12, 12_000, 2000, 15), Stage("pronunciations", 3)),
    "large": (Stage("monophone", 40, 1000), Stage("triphone", 30, 15_000, 2500, 10),
              Stage("lda", 30, 30_000, 4000, 15), Stage("sat", 30, 60_000, 6000, 15), Stage("pronunciations", 6)),
}


@dataclass(frozen=True)
class State:
    """Where a training stands: all that it needs to go on.

    Attributes
    ----------
    stage, iteration : int
        Which stage, from 0, and how many of its iterations are done.
    model : MarkovModel
    floors : Floors
    voices : mapping of str to Voice
        The speakers' transforms.
    weights : mapping of str to tuple of Pronunciation
        Of words whose pronunciations have probabilities.
    occupancy : Tensor or None
        (P,) frames of each pdf, in the iteration that is done.
    statistics : Statistics or None
        Of that iteration, for those who watch; nothing depends on them.
    """

    stage: int
    iteration: int
    model: MarkovModel
    floors: Floors
    voices: Voices = field(default_factory=dict)
    weights: Mapping[str, tuple[Pronunciation, ...]] = field(default_factory=dict)
    occupancy: Tensor | None = None
    statistics: Statistics | None = None


class Speech(NamedTuple):
    """What a training learns from, and how.

    Attributes
    ----------
    examples : sequence of Example
    labels : tuple of str
        The phones of the dictionary.
    em : {'viterbi', 'full'}
    seed : int
    spread : callable
        See `aligner.train.em.e_step`.
    """

    examples: Sequence[Example]
    labels: tuple[str, ...]
    em: str = "viterbi"
    seed: int = 0
    spread: Map[Any] = map

    @property
    def frames(self) -> int:
        """How many there are."""
        return sum(len(e.cepstra) for e in self.examples)

    def shards(self, state: State) -> list[list[Example]]:
        """The examples, with the pronunciations' probabilities where there are some."""
        return sharded([with_weights(e, state.weights) for e in self.examples] if state.weights else self.examples)


def sensible(stages: Sequence[Stage], minutes: float) -> tuple[Stage, ...]:
    """The stages up to the first that needs more speech than ``minutes``; those that change no model stay."""
    modelled = takewhile(lambda s: minutes >= s.minutes, (s for s in stages if s.kind != "pronunciations"))
    kept = set(modelled)
    return tuple(s for s in stages if s in kept or s.kind == "pronunciations")


def steps(speech: Speech, stages: Sequence[Stage], frontend: CepstralFrontend,
          begun: State | None = None) -> Iterator[State]:
    """Train; a state after every iteration, the last of which holds the model.

    Parameters
    ----------
    speech : Speech
    stages : sequence of Stage
    frontend : CepstralFrontend
        Of the first stages.
    begun : State, optional
        Where an earlier training stopped: what follows is the same as if it had not.
    """
    state = begun
    for number in range(0 if begun is None else begun.stage, len(stages)):
        stage = stages[number]
        if state is None or state.stage < number:
            state = replace(BEGIN[stage.kind](speech, stage, state, frontend), stage=number, iteration=0)
        while state.iteration < stage.iterations:
            state = _iterated(speech, stage, state)
            yield state


def _iterated(speech: Speech, stage: Stage, state: State) -> State:
    """One iteration of a stage."""
    model, done = state.model, state.iteration + 1
    s = e_step(model, speech.shards(state), state.voices, speech.em, speech.spread)
    model = maximised(model, s, state.floors)
    goal = _goal(stage, speech.frames, done)
    if goal:
        model = replace(model, mixtures=grown(gaussians_of(model), s.occupancy, goal, speech.seed + done))
    state = replace(state, iteration=done, model=model, occupancy=s.occupancy, statistics=s)
    if stage.kind == "lda" and done in TURNS:
        state = _turned(speech, state)
    if stage.kind == "sat" and done in REFITS:
        state = replace(state, voices=_fitted(speech, state))
    return state


def _goal(stage: Stage, frames: int, done: int) -> int:
    """How many Gaussians there should be after so many iterations; 0 where none is to be added."""
    most = min(stage.gaussians, frames // FRAMES_PER_GAUSSIAN)
    last = max(stage.iterations - SETTLE, 1)
    if done % EACH or done > last:
        return 0
    return int(most * min(1.0, done / last))


def _flat(speech: Speech, stage: Stage, state: State | None, frontend: CepstralFrontend) -> State:
    model, floors, _ = flat_start(frontend, speech.labels, speech.examples, {})
    return State(0, 0, model, floors)


def _tied(speech: Speech, stage: Stage, state: State | None, frontend: CepstralFrontend) -> State:
    """Trees over what the last model aligned, in its own frames."""
    assert state is not None
    return _with_trees(speech, stage, state, View(cepstral(state.model), state.voices))


def _with_trees(speech: Speech, stage: Stage, state: State, view: View) -> State:
    """A model of one Gaussian a leaf, of trees grown in the frames of ``view``."""
    model = state.model
    tasks = [(Task(model, shard, state.voices), view) for shard in speech.shards(state)]
    events = total(speech.spread(contexts, tasks))
    leaves = max(min(stage.leaves, speech.frames // FRAMES_PER_LEAF), trees_of(model).forest.roots.size)
    topology = grow(events, trees_of(model), leaves)
    pdf = leaves_of(events, topology)
    size = topology.forest.pdfs
    counts = np.bincount(pdf, events.counts, size)
    first, second = (np.zeros((size, view.frontend.size)) for _ in range(2))
    np.add.at(first, pdf, events.first)
    np.add.at(second, pdf, events.second)
    n = counts.sum()
    mean = first.sum(0) / n
    floors = Floors.of(torch.from_numpy(second.sum(0) / n - mean**2).float())
    unheard = counts < 1
    counts[unheard], first[unheard], second[unheard] = n, first.sum(0), second.sum(0)
    device = gaussians_of(model).streams[0].means.device
    mixtures = single(counts, first, second, floors, device)
    return replace(state, model=replace(model, name=stage.kind, frontend=view.frontend, topology=topology,
                                        mixtures=mixtures), floors=floors, voices=view.voices)


def _spliced(speech: Speech, stage: Stage, state: State | None, frontend: CepstralFrontend) -> State:
    """Trees in spliced frames, of which LDA keeps what tells the last model's pdfs apart."""
    assert state is not None
    wide = replace(cepstral(state.model), reach=REACH, transform=None)
    tasks = [ScatterTask(Task(state.model, shard, state.voices), View(wide, {})) for shard in speech.shards(state)]
    first, *rest = speech.spread(scatter, tasks)
    s = sum(rest, first)
    return _with_trees(speech, stage, state, View(replace(wide, transform=lda(s, DIMENSIONS)), {}))


def _turned(speech: Speech, state: State) -> State:
    """The frames turned so that diagonal covariances fit better, and the means with them."""
    tasks = [ScatterTask(Task(state.model, shard, state.voices), None, True) for shard in speech.shards(state)]
    first, *rest = speech.spread(scatter, tasks)
    matrix, _ = mllt(sum(rest, first))
    frontend = cepstral(state.model)
    assert frontend.transform is not None
    whole = replace(frontend, transform=matrix.to(frontend.transform) @ frontend.transform)
    model = replace(state.model, frontend=whole, mixtures=moved(gaussians_of(state.model), matrix))
    return replace(state, model=model, floors=Floors(matrix.square() @ state.floors.variances.cpu()))


def _adapted(speech: Speech, stage: Stage, state: State | None, frontend: CepstralFrontend) -> State:
    """Trees in the frames of all speakers brought together."""
    assert state is not None
    return _with_trees(speech, stage, state, View(cepstral(state.model), _fitted(speech, state)))


def _fitted(speech: Speech, state: State) -> dict[str, Voice]:
    """Each speaker's transform to the model there is."""
    tasks = [Task(state.model, shard, state.voices) for shard in speech.shards(state)]
    sums = merged(list(speech.spread(speaker_sums, tasks)))
    return {speaker: Voice(transform=fmllr(s)) for speaker, s in sums.items()}


def _weighed(speech: Speech, stage: Stage, state: State | None, frontend: CepstralFrontend) -> State:
    """Pronunciations and silences with their probabilities."""
    assert state is not None
    tasks = [Task(state.model, shard, state.voices) for shard in speech.shards(state)]
    first, *rest = speech.spread(heard, tasks)
    words = {word: said for e in speech.examples for word, said in zip(e.spelled, e.words, strict=True)}
    return replace(state, weights=weighed(words, sum(rest, first)))


Begin = Callable[[Speech, Stage, State | None, CepstralFrontend], State]
BEGIN: Mapping[str, Begin] = {"monophone": _flat, "triphone": _tied, "lda": _spliced, "sat": _adapted,
                              "pronunciations": _weighed}

