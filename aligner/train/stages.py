"""A training from the flat start to the last pass: each stage is a short schedule over the one loop of EM.

===============  =================================================================================
monophone        phones without context, from utterances cut into equal pieces
triphone         phones in context: states share pdfs by decision trees
lda              the same of seven spliced frames, through LDA and MLLT
sat              the same of frames that each speaker's transform (fMLLR) brings together
pronunciations   no new model: pronunciations and silences get probabilities, and all is learnt again
===============  =================================================================================

Most iterations go along the paths of the last that searched for them; a stage that only changes the frames
begins with the shares that the old mixtures had in them (single-pass retraining), so that its Gaussians need
not grow again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from itertools import takewhile
from operator import add
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from aligner.features import CepstralFrontend
from aligner.models.gmm import GaussianMixtures
from aligner.models.markov import MarkovModel, Voice
from aligner.train.em import (
    Example,
    Map,
    Paths,
    Task,
    Voices,
    cepstral,
    e_step,
    gaussians_of,
    placed,
    sharded,
    trees_of,
)
from aligner.train.estimate import Floors, grown, maximised, reestimated, single
from aligner.train.monophone import flat_start
from aligner.train.pronunciations import weighed, with_weights
from aligner.train.statistics import Heard, Statistics, StreamSums, nothing, sums
from aligner.train.transforms import (
    Scatter,
    ScatterTask,
    fmllr,
    lda,
    merged,
    mllt,
    moved,
    scatter,
    speaker_sums,
)
from aligner.train.tree import Contexts, View, contexts, grow, leaves_of, viewed
from aligner.types import Pronunciation

KINDS = ("monophone", "triphone", "lda", "sat", "pronunciations")
SETTLE = 4  # iterations at a stage's end in which no Gaussian is added
EACH = 2  # iterations from one addition to the next
REACH, DIMENSIONS = 3, 40  # frames on either side, and what LDA leaves of them
TURNS = (1, 3)  # iterations of the stage lda after which MLLT turns the frames
REFITS = (2, 8)  # iterations of the stage sat after which the speakers' transforms are made anew
FRAMES_PER_GAUSSIAN, IN_CONTEXT = (
    60,
    100,
)  # fewer make no sense, whatever the recipe says; of phones in context
FRAMES_PER_LEAF = 600  # with fewer, half a corpus and all of it place boundaries differently


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
    every : int
        Paths are searched for anew in every so many-th iteration; those in between take the same.
    most : float
        Minutes of speech that are learnt from, spread over the corpus.
    """

    kind: str
    iterations: int
    gaussians: int = 0
    leaves: int = 0
    minutes: float = 0.0
    every: int = 1
    most: float = float("inf")

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"a stage {self.kind!r}; one of {', '.join(KINDS)} is needed")
        if (
            min(self.iterations, self.every) < 1
            or min(self.gaussians, self.leaves, self.minutes, self.most) < 0
        ):
            raise ValueError(f"{self}: at least one iteration, and nothing below 0, is needed")


RECIPES: Mapping[str, tuple[Stage, ...]] = {
    "quick": (Stage("monophone", 30, 1000),),
    "standard": (
        Stage("monophone", 14, 500, most=9),
        Stage("triphone", 8, 4000, 1000, 6, every=9),
        Stage("lda", 6, 4000, 0, 8, every=9),
        Stage("sat", 4, 4000, 0, 8, every=5),
        Stage("pronunciations", 1),
    ),
    "large": (
        Stage("monophone", 30, 1000, most=60),
        Stage("triphone", 30, 40_000, 5000, 6, every=6),
        Stage("lda", 12, 40_000, 0, 8, every=3),
        Stage("sat", 16, 60_000, 0, 8, every=3),
        Stage("pronunciations", 3),
    ),
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
    paths : tuple of Paths or None
        Of each shard of the stage's examples; None searches in the next iteration.
    said : Heard
        How words were said along the last paths that were searched for.
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
    paths: tuple[Paths, ...] | None = None
    said: Heard = field(default_factory=Heard)
    occupancy: Tensor | None = None
    statistics: Statistics | None = None

    def of(self, speech: Speech) -> bool:
        """Whether the paths are those of these examples, and not of some others of the corpus."""
        return self.paths is not None and [
            len(p) or len(e.cepstra)
            for p, e in zip((p for shard in self.paths for p in shard.pdfs), speech.examples, strict=False)
        ] == [len(e.cepstra) for e in speech.examples]


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

    def at_most(self, minutes: float, rate: float) -> Speech:
        """Some of the examples, spread evenly, of up to so many minutes at ``rate`` frames a second."""
        wanted = minutes * 60 * rate
        if self.frames <= wanted:
            return self
        kept = int(len(self.examples) * wanted / self.frames) or 1
        return self._replace(examples=[self.examples[k * len(self.examples) // kept] for k in range(kept)])

    def tasks(self, state: State) -> list[Task]:
        """One a shard, with the pronunciations' probabilities and the paths, where there are some."""
        examples = [with_weights(e, state.weights) for e in self.examples] if state.weights else self.examples
        shards = sharded(examples)
        paths: Sequence[Paths | None] = state.paths or [None] * len(shards)
        return [
            Task(state.model, shard, state.voices, self.em, known)
            for shard, known in zip(shards, paths, strict=True)
        ]

    def total(self, work: Callable[[Any], Any], tasks: Sequence[Any]) -> Any:
        """The sum of what ``work`` makes of all tasks."""
        return reduce(add, self.spread(work, tasks))


def sensible(stages: Sequence[Stage], minutes: float) -> tuple[Stage, ...]:
    """The stages up to the first that needs more speech than ``minutes``; those that change no model stay."""
    modelled = takewhile(lambda s: minutes >= s.minutes, (s for s in stages if s.kind != "pronunciations"))
    kept = set(modelled)
    return tuple(s for s in stages if s in kept or s.kind == "pronunciations")


def steps(
    speech: Speech, stages: Sequence[Stage], frontend: CepstralFrontend, begun: State | None = None
) -> Iterator[State]:
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
        own = speech.at_most(stage.most, frontend.clock.rate / frontend.clock.hop)
        if state is None or state.stage < number:
            if state is not None and not state.of(own):
                state = replace(state, paths=None)
            state = replace(BEGIN[stage.kind](own, stage, state, frontend), stage=number, iteration=0)
        while state.iteration < stage.iterations:
            state = _iterated(own, stage, state)
            yield state


def _iterated(speech: Speech, stage: Stage, state: State) -> State:
    """One iteration of a stage."""
    done = state.iteration + 1
    if done % stage.every == 0:
        state = replace(state, paths=None)
    tasks = speech.tasks(state)
    s, paths = e_step(
        state.model, [t.examples for t in tasks], state.voices, speech.em, speech.spread, state.paths
    )
    model = maximised(state.model, s, state.floors)
    goal = _goal(stage, speech.frames, done)
    if goal:
        model = replace(model, mixtures=grown(gaussians_of(model), s.occupancy, goal, speech.seed + done))
    state = replace(
        state,
        iteration=done,
        model=model,
        paths=paths,
        said=s.said if s.said.pairs else state.said,
        occupancy=s.occupancy,
        statistics=s,
    )
    if stage.kind == "lda" and done in TURNS:
        state = _turned(speech, state)
    if stage.kind == "sat" and done in REFITS:
        state = replace(state, voices=_fitted(speech, state))
    return state


def _goal(stage: Stage, frames: int, done: int) -> int:
    """How many Gaussians there should be after so many iterations; 0 where none is to be added."""
    most = min(stage.gaussians, frames // (FRAMES_PER_GAUSSIAN if stage.kind == "monophone" else IN_CONTEXT))
    last = max(stage.iterations - SETTLE, 1)
    if done % EACH or done > last:
        return 0
    return int(most * min(1.0, done / last))


def _flat(speech: Speech, stage: Stage, state: State | None, frontend: CepstralFrontend) -> State:
    model, floors, _ = flat_start(frontend, speech.labels, speech.examples, {})
    return State(0, 0, model, floors)


def _tied(speech: Speech, stage: Stage, state: State | None, frontend: CepstralFrontend) -> State:
    """One Gaussian a leaf, of trees over what the last model aligns."""
    assert state is not None
    model = state.model
    found = list(speech.spread(contexts, speech.tasks(replace(state, paths=None))))
    events: Contexts = reduce(add, (f.contexts for f in found))
    leaves = max(min(stage.leaves, speech.frames // FRAMES_PER_LEAF), trees_of(model).forest.roots.size)
    topology = grow(events, trees_of(model), leaves)
    pdf = leaves_of(events, topology)
    paths = tuple(
        Paths(
            tuple(pdf[np.searchsorted(events.codes, of)].astype(np.int32) for of in f.events),
            (0.0,) * len(f.events),
        )
        for f in found
    )
    size = topology.forest.pdfs
    counts, own, squared = (
        np.bincount(pdf, events.counts, size),
        *(np.zeros((size, events.first.shape[1])) for _ in range(2)),
    )
    np.add.at(own, pdf, events.first)
    np.add.at(squared, pdf, events.second)
    unheard = counts < 1
    counts[unheard], own[unheard], squared[unheard] = events.counts.sum(), own.sum(0), squared.sum(0)
    device = gaussians_of(model).streams[0].means.device
    mixtures = single(counts, own, squared, state.floors, device)
    return replace(
        state, model=replace(model, name=stage.kind, topology=topology, mixtures=mixtures), paths=paths
    )


def retrained(speech: Speech, state: State, view: View) -> GaussianMixtures:
    """The state's mixtures for frames as ``view`` has them, with the shares that they had in the old."""
    return gaussians_of(_in_view(speech, state, view, "").model)


def _seen(asked: tuple[Task, View]) -> tuple[StreamSums, ...]:
    """Sums of frames in another view, by the shares of the task's own."""
    task, view = asked
    mixtures, own = gaussians_of(task.model), placed(task)
    if not own.examples:
        return nothing(mixtures, view.frontend.size)
    return sums(mixtures, own.frames, own.occupied, viewed(task.model, own.examples, view))[0]


def _floors(total: StreamSums) -> Floors:
    """From the variance of all frames."""
    n = total.counts.sum()
    mean = total.first.sum((0, 1)) / n
    return Floors.of((total.second.sum((0, 1)) / n - mean.square()).float())


def _in_view(speech: Speech, state: State, view: View, name: str) -> State:
    """The same model in other frames."""
    tasks = [(task, view) for task in speech.tasks(state)]
    total = reduce(StreamSums.plus, (streams[0] for streams in speech.spread(_seen, tasks)))
    floors = _floors(total)
    mixtures = reestimated(gaussians_of(state.model), total, floors)
    model = replace(state.model, name=name, frontend=view.frontend, mixtures=mixtures)
    return replace(state, model=model, floors=floors, voices=view.voices)


def _spliced(speech: Speech, stage: Stage, state: State | None, frontend: CepstralFrontend) -> State:
    """Spliced frames, of which LDA keeps what tells the last model's pdfs apart."""
    assert state is not None
    wide = View(replace(cepstral(state.model), reach=REACH, transform=None), {})
    s: Scatter = speech.total(scatter, [ScatterTask(task, wide) for task in speech.tasks(state)])
    best = replace(wide.frontend, transform=lda(s, DIMENSIONS))
    return _in_view(speech, state, View(best, {}), stage.kind)


def _turned(speech: Speech, state: State) -> State:
    """The frames turned so that diagonal covariances fit better, and the means with them."""
    s: Scatter = speech.total(scatter, [ScatterTask(task, None, True) for task in speech.tasks(state)])
    matrix, _ = mllt(s)
    frontend = cepstral(state.model)
    assert frontend.transform is not None
    whole = replace(frontend, transform=matrix.to(frontend.transform) @ frontend.transform)
    model = replace(state.model, frontend=whole, mixtures=moved(gaussians_of(state.model), matrix))
    return replace(state, model=model, floors=Floors(matrix.square() @ state.floors.variances.float().cpu()))


def _adapted(speech: Speech, stage: Stage, state: State | None, frontend: CepstralFrontend) -> State:
    """The frames of all speakers brought together."""
    assert state is not None
    view = View(cepstral(state.model), _fitted(speech, state))
    return _in_view(speech, state, view, stage.kind)


def _fitted(speech: Speech, state: State) -> dict[str, Voice]:
    """Each speaker's transform to the model there is."""
    of = merged(speech.spread(speaker_sums, speech.tasks(state)))
    return {speaker: Voice(transform=fmllr(s)) for speaker, s in of.items()}


def _weighed(speech: Speech, stage: Stage, state: State | None, frontend: CepstralFrontend) -> State:
    """Pronunciations and silences with their probabilities."""
    assert state is not None
    words = {word: said for e in speech.examples for word, said in zip(e.spelled, e.words, strict=True)}
    return replace(state, weights=weighed(words, state.said), paths=None)


Begin = Callable[[Speech, Stage, State | None, CepstralFrontend], State]
BEGIN: Mapping[str, Begin] = {
    "monophone": _flat,
    "triphone": _tied,
    "lda": _spliced,
    "sat": _adapted,
    "pronunciations": _weighed,
}
