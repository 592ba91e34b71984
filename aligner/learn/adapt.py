"""Adapting a model to a corpus: fMLLR transforms, then MAP of means and weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from aligner.backends.base import hear
from aligner.backends.hmm import HmmBackend
from aligner.backends.speakers import LEAST_GAIN, transform_for
from aligner.corpus.find import find
from aligner.features import affine
from aligner.learn.dictionary import save_dictionary
from aligner.learn.spread import spread
from aligner.models import saved
from aligner.models.gmm import GaussianMixtures
from aligner.models.markov import MarkovModel, SpeakerTransform
from aligner.models.tree import TreeTopology
from aligner.run.plan import check_new, check_rights, room_in
from aligner.train.adapt import PriorCounts, map_rounds
from aligner.train.em import Example, Map, ShardTask, e_step, gaussians_of, sharded
from aligner.train.finish import with_monophones
from aligner.train.statistics import Statistics
from aligner.train.transforms import TransformSums, added_by_speaker, fmllr_gain, speaker_sums
from aligner.types import DataError, Failure, ModelError, Utterance

# what the model counts for, and rounds of MAP: for speech like what it knows, and for other speech
ALIKE, OTHER = PriorCounts(20.0, 20.0), PriorCounts(5.0, 5.0)
ALIKE_ROUNDS, OTHER_ROUNDS = 1, 4
TRANSFORM_ROUNDS = 2  # of estimating transforms: each round aligns better than the one before


@dataclass(frozen=True)
class Options:
    """How a model is adapted to a corpus."""

    transforms: bool = True
    """Whether frames are transformed to fit the model (fMLLR): those of all recordings, then those of each
    speaker."""
    belief: PriorCounts | None = None
    """How much the model counts for in MAP; None takes less where the speech is other than what it knows."""
    rounds: int | None = None
    """The number of rounds of MAP; 0 leaves it out; None takes more where the speech is other, too."""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The result of an adaptation: the model, and how well it fits the corpus."""

    model: MarkovModel
    """The model as it was saved."""
    utterances: int
    """The number of utterances that were learnt from."""
    failures: tuple[Failure, ...]
    """What could not be learnt from, and why."""
    gain: float
    """What the transform of all recordings gains, in nats a frame."""
    other: bool
    """Whether the speech is other than what the model knows."""
    before: float
    """The log-likelihood per frame of the model as it was."""
    after: float
    """The log-likelihood per frame of the adapted model."""


def adapt(
    corpus: Path,
    backend: HmmBackend,
    out: Path,
    options: Options,
    *,
    on_round: Callable[[str, float], None] = lambda *_: None,
) -> Summary:
    """Adapt a model to a corpus, and save it.

    Parameters
    ----------
    corpus : Path
        The folder of recordings and transcripts, as for `align`.
    backend : HmmBackend
        The backend of the model, which must be one of Gaussian mixtures.
    out : Path
        The folder of the new model; it must not exist, or hold no model.
    options : Options
        How to adapt.
    on_round : callable
        Called after each round with what was adapted, and the log-likelihood per frame that it began with.

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
    plain = replace(backend, options=replace(backend.options, adapt=False))
    first = plain.speaker_pass()
    backend = plain if first is None else first(found.utterances)
    examples, failures = _examples(found.utterances, backend)
    if not examples:
        why = f" ({failures[0].utterance.id}: {failures[0].message})" if failures else ""
        raise DataError(
            corpus, f"nothing can be learnt from{why}", "correct the corpus: aligner validate tells what"
        )
    with spread(backend.compute.jobs, examples, out) as mapped:
        adapted = _adapted(backend.model, examples, options, on_round, mapped)
    return Summary(
        model=_save(adapted, examples, backend, out),
        utterances=len(examples),
        failures=(*found.failures, *failures),
        gain=adapted.gain,
        other=adapted.other,
        before=adapted.likelihoods[0] if adapted.likelihoods else 0.0,
        after=adapted.likelihoods[-1] if adapted.likelihoods else 0.0,
    )


def _save(adapted: _Adapted, examples: Sequence[Example], backend: HmmBackend, out: Path) -> MarkovModel:
    """Save the model with its dictionary, and return it as it was saved."""
    about = {
        "from": adapted.model.name,
        "utterances": len(examples),
        "speakers": len({e.speaker for e in examples}),
        "gain": round(adapted.gain, 3),
    }
    model = replace(adapted.model, name=out.resolve().name, about={**adapted.model.about, "adapted": about})
    with room_in(out):
        save_dictionary(out, backend.options.dictionary, backend.options.added, backend.model.dictionary)
    saved.save(model, out)
    return model


class _Adapted(NamedTuple):
    """A model with its new parameters, and the figures of `Summary`."""

    model: MarkovModel
    gain: float
    other: bool
    likelihoods: list[float]


def _adapted(
    model: MarkovModel,
    examples: Sequence[Example],
    options: Options,
    on_round: Callable[[str, float], None],
    mapped: Map[Any],
) -> _Adapted:
    """Adapt transforms, then means and weights: without the speakers' transforms, and with them."""
    shards = sharded(examples)
    gain, voices = 0.0, {}
    if options.transforms:
        model, gain = _with_transform(model, shards, mapped)
        voices = _speaker_transforms(model, shards, 0.0 if gain >= LEAST_GAIN else LEAST_GAIN, mapped)
    other = gain >= LEAST_GAIN
    belief = options.belief or (OTHER if other else ALIKE)
    rounds = options.rounds if options.rounds is not None else (OTHER_ROUNDS if other else ALIKE_ROUNDS)
    likelihoods: list[float] = []

    def by_map(start: MarkovModel, voices: dict[str, SpeakerTransform], name: str) -> GaussianMixtures:
        """Return the mixtures that MAP makes of a model's, for frames that the voices have transformed."""
        view, occupancy = start, None
        for view, s in map_rounds(start, shards, voices, belief, number=rounds, spread=mapped):  # noqa: B007
            likelihoods.append(per_frame(s))
            on_round(name, likelihoods[-1])
            occupancy = s.occupancy
        if rounds:
            likelihoods.append(per_frame(e_step(view, shards, voices, spread=mapped)[0]))
        mixtures = gaussians_of(view)
        if occupancy is None or not isinstance(view.topology, TreeTopology):
            return mixtures
        return _with_monophones(view, mixtures, occupancy.numpy())

    plain = by_map(model, {}, "adapting")
    transformed = by_map(model.for_adapted, voices, "adapting to speakers") if _any(voices) else None
    return _Adapted(replace(model, mixtures=plain, adapted=transformed), gain, other, likelihoods)


def per_frame(s: Statistics) -> float:
    """Return the log-likelihood per frame that statistics were gathered with."""
    return s.log_likelihood / max(s.frames, 1)


def _any(voices: dict[str, SpeakerTransform]) -> bool:
    return any(v.transform is not None for v in voices.values())


def _examples(utterances: Sequence[Utterance], backend: HmmBackend) -> tuple[list[Example], list[Failure]]:
    """Return examples of the utterances, and a failure for each that cannot be read or pronounced."""

    def one(u: Utterance) -> Example | Failure:
        try:
            heard = hear(u, backend.traits)
            spoken, _ = backend.pronounce.of(u.speaker)(heard.tokens)
        except DataError as error:
            return Failure.of(u, error)
        base = backend.model.base_features(heard.wave, backend.voices.get(u.speaker))
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


def _transform_sums(
    model: MarkovModel,
    shards: Sequence[Sequence[Example]],
    voices: dict[str, SpeakerTransform],
    mapped: Map[Any],
) -> dict[str, TransformSums]:
    """Return what the transform of each speaker is estimated from."""
    return added_by_speaker(
        mapped(speaker_sums, [ShardTask(model=model, examples=shard, voices=voices) for shard in shards])
    )


def _with_transform(
    model: MarkovModel, shards: Sequence[Sequence[Example]], mapped: Map[Any]
) -> tuple[MarkovModel, float]:
    """Return the model with one transform for all recordings, if their speech is other than what it knows;
    and what the transform gains in nats a frame.
    """
    of_all: dict[str, SpeakerTransform] = {}
    gained, transform = 0.0, None
    for _ in range(TRANSFORM_ROUNDS):
        sums = _transform_sums(model, shards, of_all, mapped)
        if not sums:
            break
        first, *rest = sums.values()
        everyone = sum(rest, first)
        transform = transform_for(model, everyone, 0.0)
        if transform is None:
            break
        gained = fmllr_gain(everyone, transform)
        if gained < LEAST_GAIN:
            return model, gained
        of_all = {speaker: SpeakerTransform(transform=transform) for speaker in sums}
    if transform is None:
        return model, gained
    return replace(model, transform=composed(transform, model.transform)), gained


def composed(transform: torch.Tensor, before: torch.Tensor | None) -> torch.Tensor:
    """Return the affine transform that does what two do: first ``before``, then ``transform``."""
    if before is None:
        return transform
    size = len(transform)
    points = torch.cat([torch.zeros(1, size), torch.eye(size)])
    moved = affine(affine(points, before), transform)
    return torch.cat([(moved[1:] - moved[0]).T, moved[0][:, None]], 1)


def _speaker_transforms(
    model: MarkovModel, shards: Sequence[Sequence[Example]], least: float, mapped: Map[Any]
) -> dict[str, SpeakerTransform]:
    """Return each speaker's transform, where it gains at least ``least`` nats a frame."""
    voices: dict[str, SpeakerTransform] = {}
    for _ in range(TRANSFORM_ROUNDS):
        sums = _transform_sums(model, shards, voices, mapped)
        voices = {
            speaker: SpeakerTransform(transform=transform_for(model, s, least)) for speaker, s in sums.items()
        }
    return voices


def _with_monophones(
    model: MarkovModel, mixtures: GaussianMixtures, occupancy: np.ndarray
) -> GaussianMixtures:
    """Return mixtures in which phones without context are made of those in context anew, where the model has
    both.
    """
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
