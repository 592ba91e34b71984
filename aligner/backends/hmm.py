"""Aligning with a hidden Markov model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path as File

import numpy as np

from aligner.backends.base import NO_OWNER, Found, Heard, Prepared, taught_for, too_short
from aligner.backends.options import Compute, Options
from aligner.backends.path import best_path, best_paths
from aligner.formats.files import read_text
from aligner.graph import build
from aligner.models.markov import MarkovModel, Voice
from aligner.parallel.batches import moved
from aligner.reference.espeak import EspeakG2P
from aligner.refine.boundaries import Refinement
from aligner.refine.confidence import Evidence
from aligner.refine.thresholds import LIMITS, Limits, Scores
from aligner.search.arcs import NoPath, Path
from aligner.text.g2p import HamaG2P
from aligner.text.lexicon import Lexicon, Pronouncer
from aligner.text.normalise import spoken_english
from aligner.text.spelling import Speller
from aligner.tracing import stage
from aligner.types import NOISE_LABEL, SILENCE_LABEL, Clock, DataError, Interval, Utterance


@dataclass(frozen=True)
class HmmBackend:
    """A model of phones in context (see `aligner.backends.base.Backend`).

    Raises
    ------
    DataError
        If the dictionary is at fault.
    """

    model: MarkovModel
    options: Options = field(default_factory=Options)
    compute: Compute = field(default_factory=Compute)
    name: str = "hmm"
    english: bool = True
    voices: Mapping[str, Voice] = field(default_factory=dict)
    pronounce: Pronouncer | Speller = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "pronounce", pronouncer(self.model, self.options))

    @cached_property
    def limits(self) -> Limits:
        """Of what is suspect."""
        return LIMITS[Scores.GAUSSIANS].times(self.model.spread)

    @cached_property
    def refinement(self) -> Refinement:
        """What makes its boundaries better."""
        return Refinement(
            how=self.options.refine,
            offsets=self.model.offsets,
            taught=taught_for(self.model, self.name),
        )

    @property
    def model_name(self) -> str:
        """Of the model."""
        return self.model.name

    @property
    def about(self) -> str:
        """What scores the frames."""
        return f"hidden Markov model {self.model.name!r}"

    @property
    def clock(self) -> Clock:
        """Of its frames."""
        return self.model.clock

    @cached_property
    def shortest(self) -> float:
        """Seconds that a phone lasts at least."""
        return self.clock.seconds(self.model.topology.shortest)

    def prepare(self, heard: Heard) -> Prepared:
        """Take the features and build the graph."""
        with stage("graph"):
            spoken, oovs = self.pronounce(heard.tokens)
            graph = build([w.pronunciations for w in spoken], self.model.topology)
        with stage("features"):
            frames = self.model.hear(heard.wave, self.voice_of(heard.utterance))
        return Prepared(heard, spoken, tuple(oovs), graph, frames)

    def voice_of(self, utterance: Utterance) -> Voice | None:
        """What is known of an utterance's speaker."""
        return self.voices.get(utterance.speaker)

    def find(self, prepared: Prepared, spans: np.ndarray | None = None) -> Found:
        """The best path; with ``spans`` (S, 2) of frames, one that is in each state only there."""
        try:
            found = best_path(
                prepared.frames, prepared.graph, self._model_for(prepared.heard), self.compute.kernel, spans
            )
        except NoPath:
            raise too_short(prepared, self.clock) from None
        return self._of_path(prepared, *found)

    def find_all(self, prepared: Sequence[Prepared]) -> list[Found | DataError]:
        """`find` of a batch on the model's device; an error for an utterance that has no path."""
        by_model: dict[int, tuple[MarkovModel, list[int]]] = {}
        for k, p in enumerate(prepared):
            model = self._model_for(p.heard)
            by_model.setdefault(id(model.mixtures), (model, []))[1].append(k)
        results: dict[int, Found | DataError] = {}
        for model, places in by_model.values():
            frames = moved([prepared[k].frames for k in places], self.compute.device)
            paths = best_paths(frames, [prepared[k].graph for k in places], model, self.compute.kernel)
            for k, path in zip(places, paths, strict=True):
                results[k] = self._of_path(prepared[k], *path) if path else too_short(prepared[k], self.clock)
        return [results[k] for k in range(len(prepared))]

    def _of_path(self, prepared: Prepared, path: Path, seen: Evidence) -> Found:
        return self.found(prepared, path.states[0].numpy(), seen, float(path.score))

    def found(self, prepared: Prepared, states: np.ndarray, seen: Evidence, score: float) -> Found:
        """What a path through ``states`` (T,) of a ``score`` has found."""
        firsts, phones, owners = self._phones(states, prepared)
        spellings = [t.spelling for t in prepared.heard.tokens]
        return Found(phones, owners, spellings, firsts, seen, score / len(prepared.frames))

    def _model_for(self, heard: Heard) -> MarkovModel:
        """The mixtures that the frames of an utterance's speaker were brought to."""
        voice = self.voice_of(heard.utterance)
        return self.model if voice is None or voice.transform is None else self.model.for_adapted

    def label(self, phone: str) -> str:
        """What a phone of the graph is called on the tier of phones."""
        topology = self.model.topology
        return (
            SILENCE_LABEL if phone == topology.silence else NOISE_LABEL if phone in topology.noises else phone
        )

    def _phones(
        self, states: np.ndarray, prepared: Prepared
    ) -> tuple[list[int], tuple[Interval, ...], list[int]]:
        """First frames and intervals of the phones of ``states`` (T,), and the token of each."""
        graph, heard = prepared.graph, prepared.heard
        nodes = graph.node[states]
        firsts = np.flatnonzero(np.diff(nodes, prepend=-1))
        labels = [self.label(graph.phone[n]) for n in nodes[firsts]]
        owners = [prepared.spoken[w].token if w >= 0 else NO_OWNER for w in graph.word[nodes[firsts]]]
        frames = firsts.tolist()
        return frames, self.clock.tile(frames, labels, heard.start, heard.end), owners


def pronouncer(model: MarkovModel, options: Options) -> Pronouncer | Speller:
    """The dictionary that the options name, or the model's own, with G2P behind it; or letters, if it knows
    those.

    Raises
    ------
    DataError
        If there is none, or it is at fault.
    """
    topology = model.topology
    if model.g2p == "letters" and options.dictionary is None:
        return Speller(topology.knows, "lower", topology.noises)
    language = options.language or model.language
    if model.g2p == "espeak" and options.g2p and language is not None:
        options = replace(options, g2p=False)
        own = dictionary(model.name, model.dictionary, topology.knows, topology.noises, options)
        return replace(own, g2p=EspeakG2P(language))
    if model.g2p in ("none", "letters"):
        options = replace(options, g2p=False)
    return dictionary(
        model.name, model.dictionary, topology.knows, topology.noises, replace(options, language=language)
    )


def dictionary(
    name: str, own: File | None, known: Callable[[str], bool], noises: tuple[str, ...], options: Options
) -> Pronouncer:
    """The dictionary that the options name, or a model's ``own``, with G2P behind it."""
    path = options.dictionary or own
    if path is None:
        raise DataError(name, "the model has no dictionary of its own", "name one (--dictionary)")
    lexicon = _lexicon(path, path.stat().st_mtime_ns if path.is_file() else 0, known)
    return Pronouncer(
        lexicon=lexicon,
        g2p=HamaG2P() if options.g2p and spoken_english(options.language) else None,
        known=known,
        noises=noises,
    )


@lru_cache(maxsize=4)
def _lexicon(path: File, changed: int, known: Callable[[str], bool]) -> Lexicon:
    """A dictionary, read once for as long as it stays as it is."""
    return Lexicon.parse(read_text(path), known, path)
