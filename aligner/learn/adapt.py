"""A corpus and a model in, a model of that corpus's speech out: what ``aligner adapt`` does."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from aligner.backends.base import hear
from aligner.backends.hmm import HmmBackend
from aligner.backends.speakers import UNLIKE, acquainted, transform_for
from aligner.corpus.find import find
from aligner.features import affine
from aligner.learn.spread import spread
from aligner.models import saved
from aligner.models.gmm import GaussianMixtures
from aligner.models.markov import MarkovModel, Voice
from aligner.models.tree import TreeTopology
from aligner.run.plan import check_new, check_rights, room_in
from aligner.train.adapt import PriorCounts, map_rounds
from aligner.train.em import Example, Map, ShardTask, e_step, gaussians_of, sharded
from aligner.train.finish import with_monophones
from aligner.train.statistics import Statistics
from aligner.train.transforms import TransformSums, added_by_speaker, fmllr_gain, speaker_sums
from aligner.types import DataError, Failure, ModelError, Utterance

ALIKE, OTHER = (
    PriorCounts(20.0, 20.0),
    PriorCounts(5.0, 5.0),
)  # in the model, for speech like what it knows, and for other
ALIKE_ROUNDS, OTHER_ROUNDS = 1, 4
TRANSFORM_ROUNDS = (
    2  # of one transform for all speakers, and then of one each: each aligns better than the one before
)


@dataclass(frozen=True)
class Options:
    """How to adapt.

    Attributes
    ----------
    transforms : bool
        Whether frames are brought to the model (fMLLR): those of all recordings, then those of each speaker.
    belief : PriorCounts or None
        What the model counts for, in MAP; None believes it less where the speech is other than what it knows.
    rounds : int or None
        Of MAP; 0 leaves it out; None goes by the speech, too.
    """

    transforms: bool = True
    belief: PriorCounts | None = None
    rounds: int | None = None


@dataclass(frozen=True)
class Summary:
    """What an adaptation did.

    Attributes
    ----------
    model : MarkovModel
    utterances : int
        That were learnt from.
    failures : tuple of Failure
        What could not be learnt from.
    gain : float
        Of the transform of all recordings, in nats a frame.
    other : bool
        Whether the speech is other than what the model knows.
    before, after : float
        Log-likelihood per frame.
    """

    model: MarkovModel
    utterances: int
    failures: tuple[Failure, ...]
    gain: float
    other: bool
    before: float
    after: float


def adapt(
    corpus: Path,
    backend: HmmBackend,
    out: Path,
    options: Options,
    notice: Callable[[str, float], None] = lambda *_: None,
) -> Summary:
    """Adapt a model to a corpus, and save it.

    Parameters
    ----------
    corpus : Path
        Recordings and transcripts, as for `align`.
    backend : HmmBackend
        With the model; one of Gaussian mixtures.
    out : Path
        Of the new model; a folder that is not there yet, or holds no model.
    options : Options
    notice : callable
        Told what is done, and the log-likelihood per frame that it began with.

    Raises
    ------
    DataError
        If there is no corpus, nothing in it can be learnt from, or ``out`` holds a model already.
    ModelError
        If the model has no Gaussian mixtures, or the new one cannot be written.
    """
    if not isinstance(backend.model.mixtures, GaussianMixtures):
        raise ModelError(
            backend.model.name,
            "it has no Gaussian mixtures, and only these can be adapted",
            "adapt the model that it was trained from",
        )
    check_new(out / saved.TABLE)
    check_rights(out)
    found = find(corpus)
    backend = acquainted(replace(backend, options=replace(backend.options, adapt=False)), found.utterances)
    examples, failures = _examples(found.utterances, backend)
    if not examples:
        why = f" ({failures[0].utterance.id}: {failures[0].message})" if failures else ""
        raise DataError(
            corpus, f"nothing can be learnt from{why}", "correct the corpus: aligner validate tells what"
        )
    with spread(backend.compute.jobs, examples, out) as mapped:
        learnt = _learnt(backend.model, examples, options, notice, mapped)
    told = {
        "from": learnt.model.name,
        "utterances": len(examples),
        "speakers": len({e.speaker for e in examples}),
        "gain": round(learnt.gain, 3),
    }
    model = replace(learnt.model, name=out.resolve().name, about={**learnt.model.about, "adapted": told})
    dictionary = backend.options.dictionary or backend.model.dictionary
    if dictionary is not None:
        with room_in(out):
            shutil.copyfile(dictionary, out / saved.DICTIONARY)
    saved.save(model, out)
    before, after = (learnt.likelihoods[0], learnt.likelihoods[-1]) if learnt.likelihoods else (0.0, 0.0)
    return Summary(
        model, len(examples), (*found.failures, *failures), learnt.gain, learnt.other, before, after
    )


class _Learnt(NamedTuple):
    """The model with its new parameters, and the figures of `Summary`."""

    model: MarkovModel
    gain: float
    other: bool
    likelihoods: list[float]


def _learnt(
    model: MarkovModel,
    examples: Sequence[Example],
    options: Options,
    notice: Callable[[str, float], None],
    mapped: Map[Any],
) -> _Learnt:
    """What a model learns from the examples: transforms, then means and weights, without and with the
    speakers'.
    """
    shards = sharded(examples)
    won, voices = 0.0, {}
    if options.transforms:
        model, won = _moved(model, shards, mapped)
        voices = _voices(model, shards, 0.0 if won >= UNLIKE else UNLIKE, mapped)
    other = won >= UNLIKE
    belief = options.belief or (OTHER if other else ALIKE)
    number = options.rounds if options.rounds is not None else (OTHER_ROUNDS if other else ALIKE_ROUNDS)
    likelihoods: list[float] = []

    def mixtures_of(begun: MarkovModel, known: dict[str, Voice], name: str) -> GaussianMixtures:
        view, occupancy = begun, None
        for view, s in map_rounds(begun, shards, known, belief, number, mapped):  # noqa: B007
            likelihoods.append(per_frame(s))
            notice(name, likelihoods[-1])
            occupancy = s.occupancy
        if number:
            likelihoods.append(per_frame(e_step(view, shards, known, spread=mapped)[0]))
        mixtures = gaussians_of(view)
        if occupancy is None or not isinstance(view.topology, TreeTopology):
            return mixtures
        return _alone_again(view, mixtures, occupancy.numpy())

    plain = mixtures_of(model, {}, "adapting")
    brought = mixtures_of(model.for_adapted, voices, "adapting to speakers") if _any(voices) else None
    return _Learnt(replace(model, mixtures=plain, adapted=brought), won, other, likelihoods)


def per_frame(s: Statistics) -> float:
    """The log-likelihood."""
    return s.log_likelihood / max(s.frames, 1)


def _any(voices: dict[str, Voice]) -> bool:
    return any(v.transform is not None for v in voices.values())


def _examples(utterances: Sequence[Utterance], backend: HmmBackend) -> tuple[list[Example], list[Failure]]:
    """Utterances with the frames' base and the pronunciations; and those that cannot be read or spelled."""

    def one(u: Utterance) -> Example | Failure:
        try:
            heard = hear(u, backend)
            spoken, _ = backend.pronounce(heard.tokens)
        except DataError as error:
            return Failure.of(u, error)
        base = backend.model.base(heard.wave, backend.voices.get(u.speaker))
        return Example(
            id=u.id,
            speaker=u.speaker,
            cepstra=base,
            words=tuple(w.pronunciations for w in spoken),
            spelled=tuple(w.word for w in spoken),
        )

    with ThreadPoolExecutor(backend.compute.jobs, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        made = list(pool.map(one, utterances))
    return [m for m in made if isinstance(m, Example)], [m for m in made if isinstance(m, Failure)]


def _sums(
    model: MarkovModel, shards: Sequence[Sequence[Example]], voices: dict[str, Voice], mapped: Map[Any]
) -> dict[str, TransformSums]:
    return added_by_speaker(
        mapped(speaker_sums, [ShardTask(model=model, examples=shard, voices=voices) for shard in shards])
    )


def _moved(
    model: MarkovModel, shards: Sequence[Sequence[Example]], mapped: Map[Any]
) -> tuple[MarkovModel, float]:
    """The model with one transform for all recordings, if they are other than what it knows; and what that
    gains.
    """
    of_all: dict[str, Voice] = {}
    won, transform = 0.0, None
    for _ in range(TRANSFORM_ROUNDS):
        sums = _sums(model, shards, of_all, mapped)
        if not sums:
            break
        first, *rest = sums.values()
        everyone = sum(rest, first)
        transform = transform_for(model, everyone, 0.0)
        if transform is None:
            break
        won = fmllr_gain(everyone, transform)
        if won < UNLIKE:
            return model, won
        of_all = {speaker: Voice(transform=transform) for speaker in sums}
    if transform is None:
        return model, won
    return replace(model, transform=_after(transform, model.transform)), won


def _after(transform: torch.Tensor, before: torch.Tensor | None) -> torch.Tensor:
    """One affine transform that does what two do, one after the other."""
    if before is None:
        return transform
    size = len(transform)
    points = torch.cat([torch.zeros(1, size), torch.eye(size)])
    moved = affine(affine(points, before), transform)
    return torch.cat([(moved[1:] - moved[0]).T, moved[0][:, None]], 1)


def _voices(
    model: MarkovModel, shards: Sequence[Sequence[Example]], least: float, mapped: Map[Any]
) -> dict[str, Voice]:
    """Each speaker's transform, where it gains enough."""
    voices: dict[str, Voice] = {}
    for _ in range(TRANSFORM_ROUNDS):
        sums = _sums(model, shards, voices, mapped)
        voices = {speaker: Voice(transform=transform_for(model, s, least)) for speaker, s in sums.items()}
    return voices


def _alone_again(model: MarkovModel, mixtures: GaussianMixtures, occupancy: np.ndarray) -> GaussianMixtures:
    """Phones without context follow the leaves, where the model has them apart."""
    topology = model.topology
    assert isinstance(topology, TreeTopology)
    leaves = topology.forest.pdfs
    if int(topology.alone.max()) < leaves:
        return mixtures
    [stream] = mixtures.streams
    own = GaussianMixtures.of_tensors(
        [stream.means[:leaves]], [stream.covariances[:leaves]], [stream.weights[:leaves]], np.arange(leaves)
    )
    return with_monophones(model, own, occupancy[:leaves])
