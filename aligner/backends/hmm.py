"""Aligning with a hidden Markov model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path as File

import numpy as np
import torch
from torch import Tensor

from aligner.backends.base import (
    NO_OWNER,
    STAR_OWNER,
    Found,
    Heard,
    Prepared,
    Traits,
    check_length,
    taught_for,
    too_short,
    with_stars,
)
from aligner.backends.bounds import Bounds, within_words
from aligner.backends.held import held
from aligner.backends.loading import markov_model, own_model
from aligner.backends.options import Compute, Options
from aligner.backends.path import best_path, best_paths
from aligner.backends.speakers import SpeakerAnalysis
from aligner.backends.spotting import Spotter
from aligner.backends.wild import PDFS, WILD, has_wild, is_wild, opened, wildcard_of, with_wild
from aligner.features import SphinxFrontend
from aligner.graph import build
from aligner.graph.pronunciations import PAUSE_WEIGHT
from aligner.models.base import Model
from aligner.models.boundary import BoundaryModel
from aligner.models.head import Head
from aligner.models.known import ENGLISH
from aligner.models.markov import MarkovModel, SpeakerTransform
from aligner.parallel.batches import moved
from aligner.reference.espeak import EspeakG2P, read_by, resolve
from aligner.refine.boundaries import Refinement
from aligner.refine.confidence import Evidence
from aligner.refine.pauses import closures_joined, pause_cost
from aligner.refine.thresholds import LIMITS, Scores
from aligner.search.arcs import NoPath, Path
from aligner.text.alphabets import alphabet_of
from aligner.text.characters import Division
from aligner.text.dictionaries import read_dictionaries
from aligner.text.g2p import HamaG2P
from aligner.text.lexicon import Pronouncer
from aligner.text.normalise import spoken_english
from aligner.text.readers import Reader, division
from aligner.text.spelling import Speller
from aligner.tracing import stage
from aligner.types import (
    NOISE_LABEL,
    SILENCE_LABEL,
    STAR_LABEL,
    DataError,
    Fault,
    Interval,
    ModelError,
    Utterance,
)

NAME = "hmm"


@dataclass(frozen=True, kw_only=True)
class HmmBackend:
    """A backend by a hidden Markov model of phones in context (see `aligner.backends.base.Backend`).

    Raises
    ------
    DataError
        If the dictionary is at fault.
    """

    model: MarkovModel
    """The model that scores frames."""

    options: Options = field(default_factory=Options)
    """What is wanted."""

    compute: Compute = field(default_factory=Compute)
    """How alignments are computed."""

    english: bool = True
    """Whether transcripts are read as English."""

    voices: Mapping[str, SpeakerTransform] = field(default_factory=dict)
    """What is known of each speaker, by name."""

    pronounce: Pronouncer | Speller = field(init=False)
    """Gives words their pronunciations."""

    def __post_init__(self) -> None:
        read = pronouncer(self.model, self.options)
        # a model without a phone for noise hears one as whatever it is
        object.__setattr__(self, "pronounce", replace(read, noises=read.noises or (WILD,)))

    @cached_property
    def traits(self) -> Traits:
        """The facts about the backend that are the same for every utterance."""
        taught = taught_for(self.model, NAME)
        return Traits(
            name=NAME,
            model_name=self.model.name,
            about=f"hidden Markov model {self.model.name!r}",
            english=self.english,
            marks=self.options.conventions,
            reader=self._reader,
            divide=self._divide,
            entry=self.pronounce.entry,
            alphabet=None if isinstance(self.pronounce, Speller) else alphabet_of(self.model.topology.labels),
            clock=self.model.clock,
            shortest=self.model.clock.seconds(self.model.topology.shortest),
            wildcard=not self.streams,
            levelled=not self.streams,
            limits=LIMITS[Scores.GAUSSIANS].times(self.model.spread),
            refinement=Refinement(how=self.options.refine, offsets=self.model.offsets, taught=taught),
        )

    @property
    def _reader(self) -> Reader | None:
        """What cuts the words of a language that is written without spaces, where eSpeak pronounces them."""
        language = self.options.language or self.model.language
        if self.model.g2p != "espeak" or language is None:
            return None
        return read_by(language)[1]

    @property
    def _divide(self) -> Division | None:
        """What tells the characters of such a language among the phones of their word."""
        language = self.options.language or self.model.language
        if self._reader is None or language is None:
            return None
        return division(resolve(language), EspeakG2P(read_by(language)[0]))

    def prepare(self, heard: Heard) -> Prepared:
        """Take the frames of an utterance, and build the graph of its pronunciations."""
        with stage("graph"):
            said, oovs = self.pronounce.of(heard.utterance.speaker)(heard.tokens)
            odd = [(word, self.label(p) if p == WILD else p) for word, p in oovs]
            spoken = opened(said, self.model.topology.noises)
            wildcard = wildcard_of(spoken, heard.sung) if heard.loose else None
            opens = wildcard is not None or is_wild(spoken)
            topology = with_wild(self.model).topology if opens else self.model.topology
            graph = build([w.pronunciations for w in spoken], topology, PAUSE_WEIGHT, wildcard)
        with stage("features"):
            frames = self.model.frames_of_wave(heard.wave, self.voice_of(heard.utterance))
            check_length(heard, graph, len(frames), self.model.clock)
            cost = None if self.streams else pause_cost(self._energies(heard, frames))
        prepared = Prepared(
            heard=heard, spoken=spoken, oovs=tuple(odd), graph=graph, frames=frames, pause_cost=cost
        )
        return self._headed(prepared) if self.compute.device == "cpu" else prepared

    def _headed(self, prepared: Prepared) -> Prepared:
        """The same with what the model's head hears beside the frames, if there is one."""
        if prepared.headed or self.head is None:
            return prepared
        with stage("encoder"):
            frames = self.model.headed_frames(prepared.heard.wave, prepared.frames)
        return replace(prepared, frames=frames, headed=True)

    def _energies(self, heard: Heard, frames: Tensor) -> Tensor:
        """Log energies (T, filters) of an utterance's ``frames`` (T, D): what these tell of them, or anew."""
        frontend, clock = self.model.frontend, self.model.clock
        voice = self.voice_of(heard.utterance)
        plain = self.model.transform is None and (voice is None or voice.transform is None)
        if isinstance(frontend, SphinxFrontend) and not frontend.varnorm and plain:
            return frontend.energies_of(frames)
        ear = SphinxFrontend(
            samprate=clock.rate, frate=clock.rate // clock.hop, wlen=clock.window / clock.rate
        )
        energies = ear.energies(heard.wave)
        return energies[torch.arange(len(frames)).clamp(max=len(energies) - 1)]

    def find(self, prepared: Prepared, spans: np.ndarray | None = None) -> Found:
        """Search for the best path; within its words, where their times are known.

        Parameters
        ----------
        prepared : Prepared
        spans : ndarray, optional
            (S, 2) the first frame, and the last + 1, in which the path may be in each state; any frame unless
            given.

        Raises
        ------
        DataError
            If no path is possible.
        """
        prepared = self._headed(prepared)
        if spans is None and prepared.heard.bounds is not None:
            return self._within_words(prepared, prepared.heard.bounds)
        model = self._model_for(prepared.heard)
        model = with_wild(model) if has_wild(prepared.graph) else model
        try:
            path, seen = best_path(
                prepared.frames,
                prepared.graph,
                model,
                kernel=self.compute.kernel,
                spans=spans,
                pause_cost=prepared.pause_cost,
            )
        except NoPath:
            raise self._too_short(prepared) from None
        return self._of_path(prepared, path, seen)

    def _within_words(self, prepared: Prepared, bounds: Bounds) -> Found:
        """Search with each state in its word; in wider ones where no path goes through these."""
        graph, error = prepared.graph, self._too_short(prepared)
        tokens = np.array([*(s.token for s in prepared.spoken), NO_OWNER])[graph.word[graph.node]]
        for spans in within_words(graph, tokens, bounds, self.model.clock, len(prepared.frames)):
            with suppress(DataError):
                return self.find(prepared, spans)
        raise error

    def batched(self) -> Callable[[Sequence[Prepared]], list[Found | DataError]]:
        """Move the model to the device, and give the search of a batch there (see `Batched`)."""
        return replace(self, model=self.model.to(self.compute.device)).find_all

    def find_all(self, prepared: Sequence[Prepared]) -> list[Found | DataError]:
        """Search a batch of utterances on the model's device; an error for an utterance that has no path."""
        by_model: dict[int, tuple[MarkovModel, list[int]]] = {}
        results: dict[int, Found | DataError] = {}
        for k, p in enumerate(prepared):
            if p.heard.bounds is not None:
                results[k] = self._alone(p)
                continue
            model = self._model_for(p.heard)
            by_model.setdefault(id(model.mixtures), (model, []))[1].append(k)
        for model, places in by_model.values():
            frames = moved([prepared[k].frames for k in places], self.compute.device)
            frames = [
                self._headed(replace(prepared[k], frames=f)).frames
                for k, f in zip(places, frames, strict=True)
            ]
            model = with_wild(model) if any(has_wild(prepared[k].graph) for k in places) else model
            paths = best_paths(
                frames,
                [prepared[k].graph for k in places],
                model,
                kernel=self.compute.kernel,
                pause_costs=[prepared[k].pause_cost for k in places],
            )
            for k, found in zip(places, paths, strict=True):
                one = prepared[k]
                results[k] = self._too_short(one) if found is None else self._of_path(one, *found)
        return [results[k] for k in range(len(prepared))]

    def _alone(self, prepared: Prepared) -> Found | DataError:
        """Search where words are known, on the CPU: their states have scores of their own."""
        try:
            return replace(self, model=self.model.to("cpu")).find(prepared)
        except DataError as error:
            return error

    def _of_path(self, prepared: Prepared, path: Path, seen: Evidence) -> Found:
        return self.found(prepared, path.states[0].numpy(), seen, float(path.score))

    def found(self, prepared: Prepared, states: np.ndarray, seen: Evidence, score: float) -> Found:
        """What a path has found.

        Parameters
        ----------
        prepared : Prepared
        states : ndarray
            (T,) the states of the graph that the path goes through.
        seen : Evidence
        score : float
            The path's log-likelihood.
        """
        firsts, phones, owners = self.phones_of(states, prepared)
        owners, spellings = with_stars(owners, [t.spelling for t in prepared.heard.tokens])
        if prepared.heard.bounds is None and not self.streams:
            firsts, phones, owners = closures_joined(firsts, phones, owners)
        if has_wild(prepared.graph):
            wild = np.array([phone in PDFS for phone in prepared.graph.phone])[prepared.graph.node[states]]
            seen = seen._replace(margin=np.where(wild, 0.0, seen.margin))  # whatever is heard fits it
        found = Found(
            phones=phones,
            owners=owners,
            spellings=spellings,
            firsts=firsts,
            evidence=seen,
            log_likelihood=score / len(prepared.frames),
            oovs=prepared.oovs,
        )
        return held(found, prepared.heard, self.model.clock, self.traits.shortest)

    def speaker_pass(self) -> Callable[[Sequence[Utterance]], HmmBackend] | None:
        """The pass in which the speakers are heard, where the model needs one (see `SpeakerAware`)."""
        first = SpeakerAnalysis(
            model=self.model,
            traits=self.traits,
            pronounce=self.pronounce,
            adapt=self.options.adapt,
            jobs=self.compute.jobs,
        )
        if not first.normalises and not first.transforms:
            return None
        return lambda utterances: replace(self, voices=first.voices(utterances))

    def spotter(self) -> Spotter:
        """What scores its phones in the first pass over a long recording (see `Spotting`)."""
        return Spotter(
            model=self.model,
            voices=self.voices,
            pronounce=self.pronounce,
            english=self.english,
            marks=self.options.conventions,
        )

    def streaming(self) -> HmmBackend:
        """The same backend with features that are normalised as a recording comes in, and without a head,
        which hears half a minute at once.

        Raises
        ------
        ModelError
            If its features need the whole recording.
        """
        frontend = self.model.frontend
        if not isinstance(frontend, SphinxFrontend) or frontend.varnorm:
            raise ModelError(
                self.model.name,
                "its features are normalised by mean and variance of the whole recording",
                "take 'english' or another CMU Sphinx model without variance normalisation",
            )
        heard = frontend if frontend.cmn == "none" else replace(frontend, cmn="running")
        return replace(self, model=replace(self.model.with_head(None), frontend=heard))

    @property
    def streams(self) -> bool:
        """Whether it aligns a stream, or as a stream ends (see `streaming`).

        A stream knows neither how loud the noise will turn out to be, nor whether a stop follows a silence
        that it has to tell of; and it is to end as the whole is aligned.
        """
        return getattr(self.model.frontend, "cmn", None) == "running"

    def with_taught(self, taught: BoundaryModel | None) -> HmmBackend:
        """The same backend with what was learnt from corrections, or with nothing (see `Teachable`)."""
        return replace(self, model=replace(self.model, taught=taught))

    @property
    def head(self) -> Head | None:
        """What is asked beside the mixtures, if there is something (see `Headed`)."""
        return self.model.listening

    def with_head(self, head: Head | None) -> HmmBackend:
        """The same backend with another head, or without one (see `Headed`)."""
        return replace(self, model=self.model.with_head(head))

    def voice_of(self, utterance: Utterance) -> SpeakerTransform | None:
        """What is known of an utterance's speaker."""
        return self.voices.get(utterance.speaker)

    def label(self, phone: str) -> str:
        """The label of a phone of the graph on the tier of phones."""
        topology = self.model.topology
        if phone == topology.silence:
            return SILENCE_LABEL
        return NOISE_LABEL if phone in (*topology.noises, *PDFS) else phone

    def _model_for(self, heard: Heard) -> MarkovModel:
        """The model with the mixtures for an utterance's speaker: others where frames are transformed."""
        voice = self.voice_of(heard.utterance)
        return self._scoring if voice is None or voice.transform is None else self._scoring.for_adapted

    @cached_property
    def _scoring(self) -> MarkovModel:
        """The model whose states are scored with those of its head."""
        return self.model.headed

    def _too_short(self, prepared: Prepared) -> DataError:
        return too_short(prepared.heard, prepared.graph, len(prepared.frames), self.model.clock)

    def phones_of(
        self, states: np.ndarray, prepared: Prepared
    ) -> tuple[list[int], tuple[Interval, ...], list[int]]:
        """First frames and intervals of the phones of ``states`` (T,), and the token of each."""
        graph, heard = prepared.graph, prepared.heard
        nodes = graph.node[states]
        firsts = np.flatnonzero(np.diff(nodes, prepend=-1))
        labels = [self.label(graph.phone[n]) for n in nodes[firsts]]
        owners = [
            STAR_OWNER if graph.phone[n] == STAR_LABEL else prepared.spoken[w].token if w >= 0 else NO_OWNER
            for n, w in zip(nodes[firsts], graph.word[nodes[firsts]], strict=True)
        ]
        frames = firsts.tolist()
        return frames, self.model.clock.tile(frames, labels, heard.start, heard.end), owners


def make(model: Model | None, options: Options, compute: Compute) -> HmmBackend:
    """The backend with a model that was named, or the one of English that comes with the package.

    Raises
    ------
    DataError
        If the dictionary is at fault, or the device cannot be used.
    ModelError
        If the model is a network, or of another language.
    """
    compute.check()
    markov = markov_model(model or own_model(ENGLISH, options))
    english = spoken_english(options.language or markov.language)
    return HmmBackend(model=markov, options=options, compute=compute, english=english)


def pronouncer(model: MarkovModel, options: Options) -> Pronouncer | Speller:
    """What gives words their pronunciations.

    It is the dictionary that the options name, or the model's own, with G2P for other words; or the letters
    of words, for a model whose phones are letters.

    Raises
    ------
    DataError
        If there is none, or it is at fault.
    """
    topology = model.topology
    if model.g2p == "letters" and options.dictionary is None:
        _check_letters(model.name, options)
        return Speller(topology.knows, "lower", topology.noises)
    language = options.language or model.language
    if model.g2p == "espeak" and options.g2p and language is not None:
        options = replace(options, g2p=False)
        own = dictionary(model.name, model.dictionary, topology.knows, topology.noises, options)
        return replace(own, g2p=EspeakG2P(read_by(language)[0]))
    if model.g2p in ("none", "letters"):
        options = replace(options, g2p=False)
    return dictionary(
        model.name, model.dictionary, topology.knows, topology.noises, replace(options, language=language)
    )


def _check_letters(name: str, options: Options) -> None:
    if options.added:
        raise DataError(
            options.added[0],
            f"the model {name!r} knows words by their letters, and none can be added to these",
            "leave out --add-words",
            fault=Fault.CALL,
        )


def dictionary(
    name: str, own: File | None, known: Callable[[str], bool], noises: tuple[str, ...], options: Options
) -> Pronouncer:
    """The dictionary that the options name, or a model's ``own``, with G2P for other words.

    Parameters
    ----------
    name : str
        The model's.
    own : Path or None
        The model's dictionary.
    known : callable
        Whether the model knows a phone.
    noises : tuple of str
        Its phones of noises, which may stand in brackets in a transcript.
    options : Options

    Raises
    ------
    DataError
        If there is no dictionary, or it is at fault.
    """
    books = read_dictionaries(
        options.dictionary, options.added, own=own, known=known, strict=options.strict, name=name
    )
    return Pronouncer(
        lexicon=books.default,
        g2p=HamaG2P() if options.g2p and spoken_english(options.language) else None,
        known=known,
        noises=noises,
        stress=options.keeps_stress,
        speakers=books.speakers,
        cautions=books.cautions(),
        replaced=books.replaced,
    )
