"""Aligning by warping speech whose times are known: a synthesiser's, another speaker's, or a model's own
means.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from aligner.backends.base import NO_OWNER, Found, Heard, Prepared, taught_for, too_short
from aligner.backends.hmm import pronouncer
from aligner.backends.options import Compute, Options
from aligner.backends.warp import phones_of, templates, warped
from aligner.graph.template import STEPS, TRAJECTORY_STEPS, Steps
from aligner.models.boundary import BoundaryModel
from aligner.models.ctc import CtcModel
from aligner.models.gmm import GaussianMixtures
from aligner.models.markov import MarkovModel
from aligner.models.store import load_model, read_measured
from aligner.reference import espeak
from aligner.reference.espeak import Synthesiser, arpabet, languages, resolve
from aligner.reference.frontend import Posteriorgram, TemplateFrontend
from aligner.reference.template import Template, pause_of, split
from aligner.reference.trajectory import trajectory
from aligner.refine.boundaries import WIDTH_CLOSE, Refinement
from aligner.refine.pauses import SHORTEST_PAUSE, Pauses
from aligner.refine.segments import PRIOR_DEVIATION_REFERENCE
from aligner.refine.thresholds import LIMITS, Limits, Scores
from aligner.search.arcs import NoPath
from aligner.text.normalise import BRACKETED, spoken_english
from aligner.tracing import stage
from aligner.types import NOISE_LABEL, Clock, DataError, Fault, Interval, ModelError

FRONTEND = TemplateFrontend()
MEASURED = Path(espeak.__file__).parent.with_suffix(".json")  # what was measured of the synthesiser's voice


class Reference(NamedTuple):
    """Speech that says what an utterance says.

    Attributes
    ----------
    templates : sequence of Template
        Of which the best is taken; a word is a place in ``spellings``.
    spellings : sequence of str
    scale : Tensor or None
        (D,): what the recording's frames are multiplied with first.
    quiet : Tensor or None
        (D,): a frame of a pause; the recording's own unless given.
    oovs : tuple of (str, str)
        Words that no dictionary held, with the pronunciation that was used.
    """

    templates: Sequence[Template]
    spellings: Sequence[str]
    scale: Tensor | None = None
    quiet: Tensor | None = None
    oovs: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Referred(Prepared):
    """An utterance with its reference."""

    reference: Reference


@dataclass(frozen=True, kw_only=True)
class DtwBackend:
    """Reference speech warped on the recording (see `aligner.backends.base.Backend`).

    Attributes
    ----------
    refer : callable
        An utterance's reference; raises DataError if there is none.
    posteriors : Posteriorgram or None
        What is put beside the frames.
    frontend : callable
        Waveform (N,) -> frames (T, D).
    clock : Clock
        Of these.
    steps : Steps
    offsets : mapping of (str, str) to float
        See `aligner.refine.offsets`.
    taught : BoundaryModel or None
        What was learnt from corrections of its boundaries.
    """

    refer: Callable[[Heard], Reference]
    model_name: str
    about: str
    options: Options
    compute: Compute
    offsets: Mapping[tuple[str, str], float] = field(default_factory=dict)
    english: bool | None = True
    posteriors: Posteriorgram | None = None
    frontend: Callable[[Tensor], Tensor] = FRONTEND
    clock: Clock = FRONTEND.clock
    steps: Steps = STEPS
    limits: Limits = LIMITS[Scores.DISTANCES]
    taught: BoundaryModel | None = None
    name: str = "dtw"

    @property
    def shortest(self) -> float:
        """Seconds that a phone lasts at least."""
        return self.clock.seconds(2)

    @property
    def refinement(self) -> Refinement:
        """What makes its boundaries better."""
        return Refinement(
            how=self.options.refine,
            offsets=self.offsets,
            deviation=PRIOR_DEVIATION_REFERENCE,
            width=WIDTH_CLOSE,
            taught=self.taught,
        )

    def prepare(self, heard: Heard) -> Prepared:
        """Take the features, and have the reference say the same."""
        with stage("reference"):
            reference = self.refer(heard)
        with stage("features"):
            frames = self.frontend(heard.wave)
            if self.posteriors is not None:
                frames = self.posteriors.beside(frames, heard.wave, self.clock)
            scaled = frames if reference.scale is None else frames * reference.scale
        with stage("graph"):
            graph = reference.templates[0].graph(self.steps)
        return Referred(heard, (), reference.oovs, graph, scaled, reference)

    def find(self, prepared: Prepared) -> Found:
        """The best path through the best of the templates."""
        assert isinstance(prepared, Referred)
        heard, frames, reference = prepared.heard, prepared.frames, prepared.reference
        try:
            found = warped(
                frames,
                reference.templates,
                pause_of(frames, reference.quiet),
                self.steps,
                self.compute.kernel,
                prepared.graph,
            )
        except NoPath:
            if len(frames) >= prepared.graph.shortest:
                raise DataError(
                    heard.utterance.file,
                    "no path through the reference is possible",
                    "is it the transcript of another recording?",
                    fault=Fault.NO_PATH,
                ) from None
            raise too_short(prepared, self.clock) from None
        pauses = Pauses.of(heard.wave)
        firsts, phones, owners = unpaused(
            *phones_of(found, self.clock, heard.start, heard.end), pauses, heard.start
        )
        return Found(phones, owners, reference.spellings, firsts, found.evidence, found.score / len(frames))


def unpaused(
    firsts: Sequence[int], phones: Sequence[Interval], owners: Sequence[int], pauses: Pauses, start: float
) -> tuple[list[int], tuple[Interval, ...], list[int]]:
    """Without the short pauses between words in which something is said; they go to the phone behind them.

    What a path takes for such a pause is a closure with a voice in it, or a sound that the reference has not.
    """
    kept: list[tuple[int, Interval, int]] = []
    joined: tuple[int, Interval] | None = None
    for k, (first, phone, owner) in enumerate(zip(firsts, phones, owners, strict=True)):
        inner = 0 < k < len(phones) - 1 and owner == NO_OWNER and phone.duration < SHORTEST_PAUSE
        if inner and not pauses.mostly_quiet(phone.start - start, phone.end - start):
            joined = first, phone
            continue
        if joined is not None:
            first, phone, joined = joined[0], replace(phone, start=joined[1].start), None
        kept.append((first, phone, owner))
    return [f for f, _, _ in kept], tuple(p for _, p, _ in kept), [o for _, _, o in kept]


def by_espeak(language: str, options: Options, compute: Compute) -> DtwBackend:
    """A synthesiser's voice as the reference.

    Raises
    ------
    DataError
        If it has no such language.
    ModelError
        If the package that holds it is missing.
    """
    voice = resolve(language)
    speak = Synthesiser(language=voice)
    english = spoken_english(voice)  # its phones are written in ARPAbet then, as everywhere else

    beside = posteriorgram(options)

    def refer(heard: Heard) -> Reference:
        said = [
            (word, k)
            for k, token in enumerate(heard.tokens)
            for word in token.spoken
            if not BRACKETED.fullmatch(word)
        ]
        if not said:
            raise DataError(
                heard.utterance.file,
                "the transcript holds only words in brackets",
                "write what is said",
                fault=Fault.EMPTY_TRANSCRIPT,
            )
        speech = speak([word for word, _ in said])
        owners = [said[w][1] if w >= 0 else w for w in speech.words]
        phones, owners_ = split(speech.phones, owners, arpabet if english else lambda label: (label,))
        made = templates(torch.from_numpy(speech.wave), phones, owners_, heard.wave, beside)
        return Reference(made, [t.spelling for t in heard.tokens])

    measured = read_measured(MEASURED)["offsets"]
    return DtwBackend(
        refer=refer,
        model_name=f"espeak {voice}",
        about=f"eSpeak NG's voice {voice!r} ({languages()[voice]}) as the reference",
        options=options,
        compute=compute,
        offsets=measured,
        english=english,
        posteriors=beside,
    )


def posteriorgram(options: Options) -> Posteriorgram | None:
    """What the options want beside the frames.

    Raises
    ------
    ModelError
        If there is no such model, or it is a network.
    """
    if options.posteriors is None:
        return None
    model = load_model(options.posteriors)
    if isinstance(model, CtcModel):
        raise ModelError(
            model.name,
            "posteriorgrams are made by a hidden Markov model, and it is a CTC network",
            "take 'english'",
        )
    return Posteriorgram(cast(MarkovModel, model))


def by_model(model: MarkovModel, options: Options, compute: Compute) -> DtwBackend:
    """What a model of mixtures expects to hear, as the reference.

    Raises
    ------
    DataError
        If the dictionary is at fault.
    ModelError
        If the model is not one of mixtures.
    """
    mixtures = getattr(model, "mixtures", None)
    if not isinstance(mixtures, GaussianMixtures):
        raise ModelError(model.name, "it has no means to be a reference", "take a model of Gaussian mixtures")
    pronounce = pronouncer(model, options)

    def refer(heard: Heard) -> Reference:
        spoken, oovs = pronounce(heard.tokens)
        made = trajectory(model.topology, mixtures, [w.pronunciations[0].phones for w in spoken])
        labels = tuple(NOISE_LABEL if p in model.topology.noises else p for p in made.template.phone)
        owners = np.array([spoken[w].token for w in made.template.word])
        template = replace(made.template, phone=labels, word=owners)
        return Reference([template], [t.spelling for t in heard.tokens], made.scale, made.quiet, tuple(oovs))

    return DtwBackend(
        refer=refer,
        model_name=model.name,
        about=f"the means of {model.name!r} as the reference",
        options=options,
        compute=compute,
        offsets=model.offsets,
        english=spoken_english(options.language),
        limits=LIMITS[Scores.TRAJECTORIES],
        frontend=model.frontend,
        clock=model.clock,
        steps=TRAJECTORY_STEPS,
        taught=taught_for(model, "dtw"),
    )
