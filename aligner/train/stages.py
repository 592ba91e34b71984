"""Training from the flat start to the last pass; each stage is a short schedule of EM.

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
from aligner.models.markov import MarkovModel, SpeakerTransform
from aligner.train.em import (
    Example,
    Map,
    Paths,
    ShardTask,
    SpeakerTransforms,
    aligned_shard,
    cepstral_frontend,
    e_step,
    gaussians_of,
    sharded,
    trees_of,
)
from aligner.train.estimate import VarianceFloor, m_step, reestimated, single_gaussians, split_gaussians
from aligner.train.monophone import flat_start
from aligner.train.pronunciations import with_probabilities, with_pronunciations
from aligner.train.statistics import PronunciationCounts, Statistics, StreamSums, accumulate, zero_sums
from aligner.train.transforms import (
    Scatter,
    ScatterTask,
    added_by_speaker,
    fmllr,
    lda,
    mllt,
    shard_scatter,
    speaker_sums,
    transformed_mixtures,
)
from aligner.train.tree import ContextSums, FeatureSpace, frames_in, grow, pdfs_of_events, shard_contexts
from aligner.types import Pronunciation

KINDS = ("monophone", "triphone", "lda", "sat", "pronunciations")
SETTLING_ITERATIONS = 4  # iterations at a stage's end in which no Gaussian is added
SPLIT_INTERVAL = 2  # iterations from one addition to the next
SPLICE_REACH, LDA_DIMENSIONS = 3, 40  # frames on either side that are spliced, and dimensions that LDA keeps
MLLT_ITERATIONS = (1, 3)  # iterations of the stage lda after which MLLT is estimated
# iterations of the stage sat after which the speakers' transforms are estimated anew
FMLLR_ITERATIONS = (2, 8)
# least frames for each Gaussian, whatever the recipe says: of monophones, and of phones in context
FRAMES_PER_GAUSSIAN, FRAMES_PER_CONTEXT_GAUSSIAN = 60, 100
FRAMES_PER_LEAF = 600  # with fewer, half a corpus and all of it place boundaries differently


@dataclass(frozen=True, kw_only=True)
class Stage:
    """The schedule of one stage."""

    kind: str
    """Kind of the stage, one of `KINDS`."""
    iterations: int
    """Iterations of EM."""
    gaussians: int = 0
    """Gaussians at the stage's end, if there is speech for so many; 0 adds none."""
    leaves: int = 0
    """Leaves of all trees, if there is speech for so many."""
    minutes: float = 0.0
    """Minutes of speech from which the stage makes sense."""
    every: int = 1
    """Iterations from one search for paths to the next; those in between keep the paths."""
    most: float = float("inf")
    """Most minutes of speech to learn from, spread over the corpus."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"a stage {self.kind!r}; one of {', '.join(KINDS)} is needed")
        if (
            min(self.iterations, self.every) < 1
            or min(self.gaussians, self.leaves, self.minutes, self.most) < 0
        ):
            raise ValueError(f"{self}: at least one iteration, and nothing below 0, is needed")


RECIPES: Mapping[str, tuple[Stage, ...]] = {
    "quick": (Stage(kind="monophone", iterations=30, gaussians=1000),),
    "standard": (
        Stage(kind="monophone", iterations=14, gaussians=500, most=9),
        Stage(kind="triphone", iterations=8, gaussians=4000, leaves=1000, minutes=6, every=9),
        Stage(kind="lda", iterations=6, gaussians=4000, leaves=0, minutes=8, every=9),
        Stage(kind="sat", iterations=4, gaussians=4000, leaves=0, minutes=8, every=5),
        Stage(kind="pronunciations", iterations=1),
    ),
    "large": (
        Stage(kind="monophone", iterations=30, gaussians=1000, most=60),
        Stage(kind="triphone", iterations=30, gaussians=40_000, leaves=5000, minutes=6, every=6),
        Stage(kind="lda", iterations=12, gaussians=40_000, leaves=0, minutes=8, every=3),
        Stage(kind="sat", iterations=16, gaussians=60_000, leaves=0, minutes=8, every=3),
        Stage(kind="pronunciations", iterations=3),
    ),
}


@dataclass(frozen=True, kw_only=True)
class TrainingState:
    """The state of a training: all that it needs to go on."""

    stage: int
    """Number of the stage, from 0."""
    iteration: int
    """Iterations of the stage that are done."""
    model: MarkovModel
    """Model as it is now."""
    floors: VarianceFloor
    """Least variances."""
    voices: SpeakerTransforms = field(default_factory=dict)
    """What is known of each speaker, the transforms above all."""
    weights: Mapping[str, tuple[Pronunciation, ...]] = field(default_factory=dict)
    """Words whose pronunciations have probabilities, with these."""
    paths: tuple[Paths, ...] | None = None
    """Paths of each shard of the stage's examples; None searches in the next iteration."""
    pronunciations: PronunciationCounts = field(default_factory=PronunciationCounts)
    """Counts of the words as they were said along the last paths that were searched for."""
    occupancy: Tensor | None = None
    """(P,): frames of each pdf in the last iteration."""
    statistics: Statistics | None = None
    """Expected counts of the last iteration, for those who watch; nothing depends on them."""

    def has_paths_of(self, speech: TrainingSet) -> bool:
        """Whether the paths are those of these examples, and not of others of the corpus."""
        return self.paths is not None and [
            len(p) or len(e.cepstra)
            for p, e in zip((p for shard in self.paths for p in shard.pdfs), speech.examples, strict=False)
        ] == [len(e.cepstra) for e in speech.examples]


class TrainingSet(NamedTuple):
    """The utterances that a training learns from, and how it does so."""

    examples: Sequence[Example]
    """Utterances to learn from."""
    labels: tuple[str, ...]
    """Phones of the dictionary."""
    em: str = "viterbi"
    """'viterbi' counts the best path alone, 'full' every path by its probability."""
    seed: int = 0
    """Seed of the directions in which Gaussians are split."""
    spread: Map[Any] = map
    """``map``, or one that spreads the work (see `aligner.train.em.e_step`)."""

    @property
    def frames(self) -> int:
        """Number of frames of all examples."""
        return sum(len(e.cepstra) for e in self.examples)

    def subset(self, minutes: float, rate: float) -> TrainingSet:
        """Select examples evenly, up to ``minutes`` of speech at ``rate`` frames a second."""
        wanted = minutes * 60 * rate
        if self.frames <= wanted:
            return self
        kept = int(len(self.examples) * wanted / self.frames) or 1
        return self._replace(examples=[self.examples[k * len(self.examples) // kept] for k in range(kept)])

    def tasks(self, state: TrainingState) -> list[ShardTask]:
        """Make a task for each shard, with the current pronunciations and paths."""
        examples = (
            [with_pronunciations(e, state.weights) for e in self.examples] if state.weights else self.examples
        )
        shards = sharded(examples)
        paths: Sequence[Paths | None] = state.paths or [None] * len(shards)
        return [
            ShardTask(model=state.model, examples=shard, voices=state.voices, em=self.em, known=known)
            for shard, known in zip(shards, paths, strict=True)
        ]

    def map_and_add(self, work: Callable[[Any], Any], tasks: Sequence[Any]) -> Any:
        """Add up what ``work`` makes of all tasks."""
        return reduce(add, self.spread(work, tasks))


def affordable(stages: Sequence[Stage], minutes: float) -> tuple[Stage, ...]:
    """Keep the stages up to the first that needs more speech than ``minutes``; "pronunciations" stays."""
    modelled = takewhile(lambda s: minutes >= s.minutes, (s for s in stages if s.kind != "pronunciations"))
    kept = set(modelled)
    return tuple(s for s in stages if s in kept or s.kind == "pronunciations")


def train(
    speech: TrainingSet,
    stages: Sequence[Stage],
    frontend: CepstralFrontend,
    begun: TrainingState | None = None,
) -> Iterator[TrainingState]:
    """Train, and yield the state after every iteration; the last one holds the model.

    Parameters
    ----------
    speech : TrainingSet
    stages : sequence of Stage
    frontend : CepstralFrontend
        Front end of the first stages.
    begun : TrainingState, optional
        State in which an earlier training stopped; what follows is the same as if it had not.
    """
    state = begun
    for number in range(0 if begun is None else begun.stage, len(stages)):
        stage = stages[number]
        own = speech.subset(stage.most, frontend.clock.rate / frontend.clock.hop)
        if state is None or state.stage < number:
            if state is not None and not state.has_paths_of(own):
                state = replace(state, paths=None)
            state = replace(STAGE_STARTS[stage.kind](own, stage, state, frontend), stage=number, iteration=0)
        while state.iteration < stage.iterations:
            state = _iterate(own, stage, state)
            yield state


def _iterate(speech: TrainingSet, stage: Stage, state: TrainingState) -> TrainingState:
    """Run one iteration of a stage."""
    done = state.iteration + 1
    if done % stage.every == 0:
        state = replace(state, paths=None)
    tasks = speech.tasks(state)
    s, paths = e_step(
        state.model,
        [t.examples for t in tasks],
        state.voices,
        em=speech.em,
        spread=speech.spread,
        known=state.paths,
    )
    model = m_step(state.model, s, state.floors)
    goal = _gaussian_target(stage, speech.frames, done)
    if goal:
        model = replace(
            model, mixtures=split_gaussians(gaussians_of(model), s.occupancy, goal, speech.seed + done)
        )
    state = replace(
        state,
        iteration=done,
        model=model,
        paths=paths,
        pronunciations=s.pronunciations if s.pronunciations.pairs else state.pronunciations,
        occupancy=s.occupancy,
        statistics=s,
    )
    if stage.kind == "lda" and done in MLLT_ITERATIONS:
        state = _with_mllt(speech, state)
    if stage.kind == "sat" and done in FMLLR_ITERATIONS:
        state = replace(state, voices=_fmllr_of_speakers(speech, state))
    return state


def _gaussian_target(stage: Stage, frames: int, done: int) -> int:
    """Number of Gaussians after ``done`` iterations; 0 where none is to be added."""
    most = min(
        stage.gaussians,
        frames // (FRAMES_PER_GAUSSIAN if stage.kind == "monophone" else FRAMES_PER_CONTEXT_GAUSSIAN),
    )
    last = max(stage.iterations - SETTLING_ITERATIONS, 1)
    if done % SPLIT_INTERVAL or done > last:
        return 0
    return int(most * min(1.0, done / last))


def _begin_monophone(
    speech: TrainingSet, stage: Stage, state: TrainingState | None, frontend: CepstralFrontend
) -> TrainingState:
    model, floors, _ = flat_start(frontend, speech.labels, speech.examples, {})
    return TrainingState(stage=0, iteration=0, model=model, floors=floors)


def _begin_triphone(
    speech: TrainingSet, stage: Stage, state: TrainingState | None, frontend: CepstralFrontend
) -> TrainingState:
    """Grow trees over what the last model aligns, with one Gaussian a leaf."""
    assert state is not None
    model = state.model
    found = list(speech.spread(shard_contexts, speech.tasks(replace(state, paths=None))))
    events: ContextSums = reduce(add, (f.contexts for f in found))
    leaves = max(min(stage.leaves, speech.frames // FRAMES_PER_LEAF), trees_of(model).forest.roots.size)
    topology = grow(events, trees_of(model), leaves)
    pdf = pdfs_of_events(events, topology)
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
    mixtures = single_gaussians(counts, own, squared, state.floors, device)
    return replace(
        state, model=replace(model, name=stage.kind, topology=topology, mixtures=mixtures), paths=paths
    )


def single_pass_retrained(speech: TrainingSet, state: TrainingState, view: FeatureSpace) -> GaussianMixtures:
    """Estimate the state's mixtures in the feature space ``view`` by single-pass retraining."""
    return gaussians_of(_in_feature_space(speech, state, view, "").model)


def _sums_in_space(work: tuple[ShardTask, FeatureSpace]) -> tuple[StreamSums, ...]:
    """Sum a shard's frames in another feature space, weighted by the posteriors of the task's own."""
    task, view = work
    mixtures, own = gaussians_of(task.model), aligned_shard(task)
    if not own.examples:
        return zero_sums(mixtures, view.frontend.size)
    return accumulate(mixtures, own.frames, own.occupancies, frames_in(task.model, own.examples, view))[0]


def _floors(total: StreamSums) -> VarianceFloor:
    """Floors from the variance of all frames."""
    n = total.counts.sum()
    mean = total.first.sum((0, 1)) / n
    return VarianceFloor.of((total.second.sum((0, 1)) / n - mean.square()).float())


def _in_feature_space(
    speech: TrainingSet, state: TrainingState, view: FeatureSpace, name: str
) -> TrainingState:
    """Move a model to another feature space."""
    tasks = [(task, view) for task in speech.tasks(state)]
    total = reduce(StreamSums.plus, (streams[0] for streams in speech.spread(_sums_in_space, tasks)))
    floors = _floors(total)
    mixtures = reestimated(gaussians_of(state.model), total, floors)
    model = replace(state.model, name=name, frontend=view.frontend, mixtures=mixtures)
    return replace(state, model=model, floors=floors, voices=view.voices)


def _begin_lda(
    speech: TrainingSet, stage: Stage, state: TrainingState | None, frontend: CepstralFrontend
) -> TrainingState:
    """Splice frames, and keep the LDA directions that tell the last model's pdfs apart."""
    assert state is not None
    wide = FeatureSpace(replace(cepstral_frontend(state.model), reach=SPLICE_REACH, transform=None), {})
    s: Scatter = speech.map_and_add(shard_scatter, [ScatterTask(task, wide) for task in speech.tasks(state)])
    best = replace(wide.frontend, transform=lda(s, LDA_DIMENSIONS))
    return _in_feature_space(speech, state, FeatureSpace(best, {}), stage.kind)


def _with_mllt(speech: TrainingSet, state: TrainingState) -> TrainingState:
    """Apply MLLT to frames and means, so that diagonal covariances fit better."""
    s: Scatter = speech.map_and_add(
        shard_scatter, [ScatterTask(task, None, True) for task in speech.tasks(state)]
    )
    matrix, _ = mllt(s)
    frontend = cepstral_frontend(state.model)
    assert frontend.transform is not None
    whole = replace(frontend, transform=matrix.to(frontend.transform) @ frontend.transform)
    model = replace(
        state.model, frontend=whole, mixtures=transformed_mixtures(gaussians_of(state.model), matrix)
    )
    return replace(
        state, model=model, floors=VarianceFloor(matrix.square() @ state.floors.variances.float().cpu())
    )


def _begin_sat(
    speech: TrainingSet, stage: Stage, state: TrainingState | None, frontend: CepstralFrontend
) -> TrainingState:
    """Bring the frames of all speakers together by their fMLLR transforms."""
    assert state is not None
    view = FeatureSpace(cepstral_frontend(state.model), _fmllr_of_speakers(speech, state))
    return _in_feature_space(speech, state, view, stage.kind)


def _fmllr_of_speakers(speech: TrainingSet, state: TrainingState) -> dict[str, SpeakerTransform]:
    """Estimate each speaker's fMLLR transform to the current model."""
    of = added_by_speaker(speech.spread(speaker_sums, speech.tasks(state)))
    return {speaker: SpeakerTransform(transform=fmllr(s)) for speaker, s in of.items()}


def _begin_pronunciations(
    speech: TrainingSet, stage: Stage, state: TrainingState | None, frontend: CepstralFrontend
) -> TrainingState:
    """Give pronunciations and silences their probabilities."""
    assert state is not None
    words = {
        word: pronunciations
        for e in speech.examples
        if e.spelled
        for word, pronunciations in zip(e.spelled, e.words, strict=True)
    }
    return replace(state, weights=with_probabilities(words, state.pronunciations), paths=None)


StageStart = Callable[[TrainingSet, Stage, TrainingState | None, CepstralFrontend], TrainingState]
STAGE_STARTS: Mapping[str, StageStart] = {
    "monophone": _begin_monophone,
    "triphone": _begin_triphone,
    "lda": _begin_lda,
    "sat": _begin_sat,
    "pronunciations": _begin_pronunciations,
}
