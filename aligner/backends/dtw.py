"""Aligning by warping speech whose times are known: a synthesiser's, another speaker's, or a model's own
means.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor

from aligner.backends.abilities import Pronounce
from aligner.backends.base import (
    NO_OWNER,
    Found,
    Heard,
    Traits,
    check_length,
    taught_for,
    too_short,
    with_stars,
)
from aligner.backends.bounds import within_words
from aligner.backends.calls import check_warping, named_dictionaries, unspoken_dictionaries
from aligner.backends.held import held
from aligner.backends.hmm import pronouncer
from aligner.backends.loading import markov_model, own_model
from aligner.backends.options import NOTHING, Compute, Options
from aligner.backends.warp import (
    ANYTHING_GAIN,
    DISTANCE_NATS,
    SUNG_ANYTHING_GAIN,
    SUNG_STAR_FACTOR,
    phones_of,
    templates,
    warped,
)
from aligner.features import SphinxFrontend
from aligner.graph import Graph
from aligner.graph.template import STEPS, TRAJECTORY_STEPS, StepCosts
from aligner.models.base import Model
from aligner.models.boundary import BoundaryModel
from aligner.models.ctc import CtcModel
from aligner.models.ears import CLOCK
from aligner.models.gmm import GaussianMixtures
from aligner.models.known import ENGLISH, ENGLISHES
from aligner.models.markov import MarkovModel
from aligner.models.store import cmu_dictionary, load_model, read_measured
from aligner.reference import espeak
from aligner.reference.espeak import (
    EspeakG2P,
    Synthesiser,
    SyntheticSpeech,
    arpabet,
    in_names,
    languages,
    read_by,
    resolve,
)
from aligner.reference.espeak.scripts import check_scripts
from aligner.reference.frontend import Posteriorgram, StatePosteriors, TemplateFrontend
from aligner.reference.template import Template, pause_of, split
from aligner.reference.trajectory import trajectory
from aligner.refine.boundaries import INTERVAL_FACTOR_REFERENCE, Refinement
from aligner.refine.pauses import SHORTEST_PAUSE, Pauses, pause_cost
from aligner.refine.segments import PRIOR_DEVIATION_REFERENCE
from aligner.refine.thresholds import LIMITS, Limits, Scores
from aligner.search.arcs import NoPath
from aligner.text.alphabets import ARPABET, IPA, alphabet_of
from aligner.text.characters import Division
from aligner.text.dictionaries import Dictionaries, over_a_voice, read_lexicon
from aligner.text.fragments import by_letters, is_cut_off, sayable
from aligner.text.lexicon import Lexicon, SpokenWord
from aligner.text.normalise import BRACKETED, Token, spoken_english
from aligner.text.readers import Reader, division
from aligner.text.spelling import Speller
from aligner.text.stress import as_in, without_stress
from aligner.tracing import stage
from aligner.types import NOISE_LABEL, Caution, Clock, DataError, Fault, Interval, ModelError, Pronunciation

NAME = "dtw"
Stressed = Callable[[str, Sequence[str]], tuple[str, ...]]
"""Gives a word's labels, in ARPAbet, the stress that they are shown with."""
FRONTEND = TemplateFrontend()
EAR = SphinxFrontend()  # by which the noise of a recording is known
# a voice is further from a speaker than speakers from each other, so that pauses take what is soft from it
PAUSE_SHARE_OF_ESPEAK = 1.0
HEAD_WEIGHT, HEAD_WEIGHT_ABROAD = 1.2, 0.5  # of the posteriors of the head of English, there and elsewhere
# what was measured of the synthesiser's voice
MEASURED_OF_ESPEAK = Path(espeak.__file__).parent.with_suffix(".json")


@dataclass(frozen=True, kw_only=True)
class Reference:
    """Speech that says what an utterance says."""

    templates: Sequence[Template]
    """Templates of which the best is taken; the words of a template are places in ``spellings``."""

    spellings: Sequence[str]
    """The words as they are written."""

    scale: Tensor | None = None
    """(D,) factors that the recording's frames are multiplied with first; None for none."""

    quiet: Tensor | None = None
    """(D,) a frame of a pause; None takes the recording's own."""

    oovs: tuple[tuple[str, str], ...] = ()
    """Words that no dictionary held, each with the pronunciation that was used."""


@dataclass(frozen=True, kw_only=True)
class Referred:
    """An utterance with its frames, and the speech that is warped on it."""

    heard: Heard
    """The utterance as it was read."""

    reference: Reference
    """The speech that says the same."""

    graph: Graph
    """The reference's phones as states."""

    frames: Tensor
    """(T, D) of the recording, as the reference's are."""


@dataclass(frozen=True, kw_only=True)
class DtwBackend:
    """A backend that warps reference speech on the recording (see `aligner.backends.base.Backend`)."""

    refer: Callable[[Heard], Reference]
    """Gives an utterance its reference; raises DataError if there is none."""

    pronounce: Pronounce
    """Gives words the pronunciations that the reference speaks."""

    model_name: str
    """The name of what speaks the reference."""

    about: str
    """What speaks the reference, in a user's words."""

    options: Options
    """What is wanted."""

    compute: Compute
    """How alignments are computed."""

    offsets: Mapping[tuple[str, str], float] = field(default_factory=dict)
    """Corrections of boundaries by classes of phones (see `aligner.refine.offsets`)."""

    english: bool | None = True
    """Whether transcripts are read as English; None leaves each as it is."""

    alphabet: str | None = None
    """What the reference's phones are written in."""

    entry: Callable[[str, str], bool] | None = None
    """Whether the user gave a word a pronunciation, as it is written and of a speaker."""

    reader: Reader | None = None
    """Cuts transcripts into words, and reads them, in languages that are written without spaces."""

    divide: Division | None = None
    """Tells where the characters of a word begin among its phones, in such languages."""

    posteriors: Posteriorgram | None = None
    """What gives posteriors of phones that are put beside the frames."""

    frontend: Callable[[Tensor], Tensor] = FRONTEND
    """Waveform (N,) -> frames (T, D)."""

    clock: Clock = FRONTEND.clock
    """Turns frames into seconds."""

    steps: StepCosts = STEPS
    """How a path may go through the reference."""

    pause_share: float = 0.0
    """How much an audible frame costs as a part of a pause, of what it costs where Gaussians score it."""

    limits: Limits = LIMITS[Scores.DISTANCES]
    """Margins below which an alignment is suspect."""

    taught: BoundaryModel | None = None
    """What was learnt from corrections of its boundaries."""

    @cached_property
    def traits(self) -> Traits:
        """The facts about the backend that are the same for every utterance."""
        return Traits(
            name=NAME,
            model_name=self.model_name,
            about=self.about,
            english=self.english,
            marks=self.options.conventions,
            entry=self.entry,
            alphabet=self.alphabet,
            reader=self.reader,
            divide=self.divide,
            clock=self.clock,
            shortest=self.clock.seconds(2),
            wildcard=True,
            limits=self.limits,
            refinement=Refinement(
                how=self.options.refine,
                offsets=self.offsets,
                deviation=PRIOR_DEVIATION_REFERENCE,
                width=INTERVAL_FACTOR_REFERENCE,
                taught=self.taught,
            ),
        )

    def with_taught(self, taught: BoundaryModel | None) -> DtwBackend:
        """The same backend with what was learnt from corrections, or with nothing (see `Teachable`)."""
        return replace(self, taught=taught)

    def prepare(self, heard: Heard) -> Referred:
        """Take the frames of an utterance, and have the reference say the same."""
        with stage("reference"):
            reference = self.refer(heard)
        with stage("features"):
            frames = self.frontend(heard.wave)
        if self.posteriors is not None:
            with stage("encoder"):
                roots = self.posteriors.roots(heard.wave, self.clock, len(frames))
                frames = self.posteriors.beside(frames, roots)
        with stage("features"):
            scaled = frames if reference.scale is None else frames * reference.scale
        with stage("graph"):
            graph = reference.templates[0].graph(self._steps(heard), heard.loose)
        check_length(heard, graph, len(frames), self.clock)
        return Referred(heard=heard, reference=reference, graph=graph, frames=scaled)

    def find(self, prepared: Referred) -> Found:
        """Search for the best path through the best of the templates."""
        heard, frames, reference = prepared.heard, prepared.frames, prepared.reference
        pauses = Pauses.of(heard.wave)
        knows_pauses = reference.quiet is not None  # so it hears by itself which frames are of one
        try:
            found = warped(
                frames,
                reference.templates,
                pause=pause_of(frames, reference.quiet, self.clock.rate / self.clock.hop),
                steps=self._steps(heard),
                kernel=self.compute.kernel,
                graph=prepared.graph,
                within=self._within_words(prepared),
                silent=None if knows_pauses else pauses.silent_at(self.clock, len(frames)),
                audible=self._audible(heard, len(frames)) if self.pause_share else None,
                loose=heard.loose,
                gain=SUNG_ANYTHING_GAIN if heard.sung else ANYTHING_GAIN,
            )
        except NoPath:
            if len(frames) >= prepared.graph.shortest:
                raise DataError(
                    heard.utterance.file,
                    "no path through the reference is possible",
                    "is it the transcript of another recording?",
                    fault=Fault.NO_PATH,
                ) from None
            raise too_short(heard, prepared.graph, len(frames), self.clock) from None
        firsts, phones, owners = unpaused(
            *phones_of(found, self.clock, heard.start, heard.end), pauses, heard.start
        )
        owners, spellings = with_stars(owners, reference.spellings)
        one = Found(
            phones=phones,
            owners=owners,
            spellings=spellings,
            firsts=firsts,
            evidence=found.evidence,
            log_likelihood=found.score / len(frames),
            oovs=reference.oovs,
        )
        return held(one, heard, self.clock, self.traits.shortest)

    def _steps(self, heard: Heard) -> StepCosts:
        """How a path may go through the reference of an utterance."""
        return self.steps._replace(star=SUNG_STAR_FACTOR * self.steps.star) if heard.sung else self.steps

    def _audible(self, heard: Heard, count: int) -> Tensor:
        """What each of ``count`` frames costs as a part of a pause, by the noise of the recording itself."""
        cost = pause_cost(EAR.energies(heard.wave))
        times = [self.clock.boundary(k + 0.5) for k in range(count)]
        at = torch.tensor([round(EAR.clock.frame(t) - 0.5) for t in times]).clamp(0, max(len(cost) - 1, 0))
        return cost[at] * (self.pause_share / DISTANCE_NATS)

    def _within_words(self, prepared: Referred) -> Iterator[np.ndarray] | None:
        """The spans of the states where the times of words are known; None where they are not."""
        graph, bounds = prepared.graph, prepared.heard.bounds
        if bounds is None:
            return None
        return within_words(graph, graph.word[graph.node], bounds, self.clock, len(prepared.frames))


def unpaused(
    firsts: Sequence[int], phones: Sequence[Interval], owners: Sequence[int], pauses: Pauses, start: float
) -> tuple[list[int], tuple[Interval, ...], list[int]]:
    """The phones of a path without the short pauses between words in which something is said.

    Such a pause becomes a part of the phone behind it.

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


@dataclass(frozen=True)
class EspeakPronouncer:
    """Tells how eSpeak says the words of tokens; it is called as `aligner.text.lexicon.Pronouncer` is."""

    g2p: EspeakG2P
    """Gives a word the phones of the voice."""
    rename: Callable[[str], Sequence[str]]
    """Gives a phone of the voice the labels that it has in an alignment."""
    stressed: Stressed | None
    """Puts stress on a word's labels; None where the phones are not those of ARPAbet."""
    books: Dictionaries | None = None
    """The user's dictionaries, whose words the voice says as they have them."""
    speaker: str = ""
    """Whose words they are."""

    @property
    def cautions(self) -> tuple[Caution, ...]:
        """What the user should know of the dictionaries."""
        return () if self.books is None else self.books.cautions()

    def of(self, speaker: str) -> EspeakPronouncer:
        """What pronounces the words of a speaker, by the dictionary that is theirs."""
        return replace(self, speaker=speaker)

    def entry(self, written: str, speaker: str = "") -> bool:
        """Whether the user gave a word a pronunciation, as it is written."""
        return self.books is not None and self.books.of(speaker).has_written(written)

    def read(self, tokens: Sequence[Token]) -> tuple[Sequence[Token], dict[str, tuple[str, ...]]]:
        """Tokens as the voice reads them, and the labels of what the user gave a pronunciation."""
        book = None if self.books is None else self.books.of(self.speaker)
        return with_given(tokens, self.stressed, book)

    def __call__(self, tokens: Sequence[Token]) -> tuple[list[SpokenWord], list[tuple[str, str]]]:
        """The spoken words, and those that the voice has no sound for, which are left out.

        Raises
        ------
        DataError
            Naming a word, if none has a sound.
        """
        read, given = self.read(tokens)
        words = [(k, word) for k, token in enumerate(read) for word in token.spoken]
        # of a token with phones in place of words, these are what is said
        shown = [w for old, new in zip(tokens, read, strict=True) for w in _shown(old, new, given)]
        said = [word for _, word in words if not BRACKETED.fullmatch(word)]
        if not spoken_english(self.g2p.language):
            check_scripts(said, self.g2p.language)
        self.g2p.pronounce(said)  # all at once
        found = [self._pronunciation(word, given) for _, word in words]
        mute = [w for w, p in zip(shown, found, strict=True) if p is None]
        if len(mute) == len(found) and mute:
            rule, remedy = f"eSpeak has no sound for {mute[0]!r}", "spell it as this language would"
            raise DataError("transcript", rule, remedy, fault=Fault.OOV)
        silent = Pronunciation((NOISE_LABEL,))
        spoken = [SpokenWord(k, w, (p or silent,)) for (k, _), w, p in zip(words, shown, found, strict=True)]
        return spoken, [(w, NOISE_LABEL) for w in mute]

    def _pronunciation(self, word: str, given: Mapping[str, tuple[str, ...]]) -> Pronunciation | None:
        """The phones as they are labelled; those of a noise are not known to the voice.  None for a word that
        it has no sound for.
        """
        if word in given:
            return Pronunciation(given[word])
        if BRACKETED.fullmatch(word):
            return Pronunciation((NOISE_LABEL,))
        phones = by_letters(word, self.g2p) if is_cut_off(word) else self.g2p(word)
        if not phones:
            return None
        labels = (tuple(self.rename(phone)) or (phone,) for phone in phones)
        whole = tuple(label for several in labels for label in several)
        return Pronunciation(whole if self.stressed is None else self.stressed(word, whole))


def _shown(old: Token, new: Token, given: Mapping[str, tuple[str, ...]]) -> Sequence[str]:
    """The words of a token as they are shown: of one that was written as phones, these."""
    if not old.phones:
        return old.spoken
    return [" ".join(given.get(word, (word,))) for word in new.spoken]


def _is_named(phone: str) -> bool:
    """Whether the English voices have a name for a phone of ARPAbet."""
    return bool(in_names((phone.upper(),)))


def users_words(options: Options) -> Dictionaries | None:
    """The user's dictionaries, in ARPAbet; None where there are none.

    Raises
    ------
    DataError
        If one is at fault.
    """
    if not named_dictionaries(options):
        return None
    return over_a_voice(options.dictionary, options.added, known=_is_named, strict=options.strict)


def with_given(
    tokens: Sequence[Token], stressed: Stressed | None, book: Lexicon | None = None
) -> tuple[Sequence[Token], dict[str, tuple[str, ...]]]:
    """Tokens whose pronunciation the transcript or the user's ``book`` gives in ARPAbet, as the voice reads
    it; and the labels of these.

    Examples
    --------
    >>> [token], given = with_given([Token("she", ("she",), ("SH", "IY1"))], _unstressed)
    >>> token.spoken, given
    (("[[S'i:]]",), {"[[S'i:]]": ('SH', 'IY')})
    """
    given: dict[str, tuple[str, ...]] = {}
    if stressed is None:
        return tokens, given

    def names_of(phones: Sequence[str]) -> str:
        phones = tuple(map(str.upper, phones))
        if names := in_names(phones):
            given[names] = _unstressed("", phones) if stressed is _unstressed else phones
        return names

    def said(word: str) -> str:
        """What the voice is given for a word: of several pronunciations in the book, the first."""
        found = () if book is None else book.lookup(word)[:1]
        return (names_of(found[0].phones) if found else "") or word

    spoken = [(names_of(t.phones),) if in_names(t.phones) else tuple(map(said, t.spoken)) for t in tokens]
    return [replace(t, spoken=words) for t, words in zip(tokens, spoken, strict=True)], given


def _unstressed(_: str, phones: Sequence[str]) -> tuple[str, ...]:
    return tuple(map(without_stress, phones))


def _stressed(word: str, phones: Sequence[str]) -> tuple[str, ...]:
    """The labels of an English word with the stress that the dictionary has for it, or a likely one."""
    return as_in(phones, [p.phones for p in _own_dictionary().lookup(word)])


@cache
def _own_dictionary() -> Lexicon:
    return read_lexicon(cmu_dictionary())


def _relabelled(
    phones: Sequence[Interval],
    words: Sequence[int],
    spellings: Sequence[str],
    stressed: Stressed,
    given: Mapping[str, tuple[str, ...]],
) -> list[Interval]:
    """The phones of some words with stress, or as they are ``given``; ``words`` are places in ``spellings``,
    and negative in pauses.
    """
    labels = [p.label for p in phones]
    for word in set(words) - {NO_OWNER}:
        places = [k for k, owner in enumerate(words) if owner == word]
        own = given.get(spellings[word], ())
        if len(own) != len(places):
            own = stressed(spellings[word], [labels[k] for k in places])
        for k, label in zip(places, own, strict=True):
            labels[k] = label
    return [replace(p, label=label) for p, label in zip(phones, labels, strict=True)]


NOISY = "aah"  # what a voice says in place of noises, where there is nothing else


def spoken_by_voice(tokens: Sequence[Token]) -> list[tuple[str, int]]:
    """What a voice says for tokens, word by word, and the place of the token that each word belongs to.

    It leaves noises out, for it has no sound for them; in a transcript of noises alone, a vowel stands for
    each.
    """
    words = [(word, k) for k, token in enumerate(tokens) for word in token.spoken]
    said = [(sayable(w) if is_cut_off(w) else w, k) for w, k in words if not BRACKETED.fullmatch(w)]
    return said or [(NOISY, k) for _, k in words]


def _spoken(
    said: list[tuple[str, int]], speak: Synthesiser, g2p: EspeakG2P
) -> tuple[list[tuple[str, int]], SyntheticSpeech]:
    """Words, each with its token's place, as the voice speaks them: without those that it has no sound for.

    Raises
    ------
    DataError
        If it has no sound for any of them.
    """
    try:
        return said, speak([word for word, _ in said])
    except DataError:
        heard = [(word, k) for word, k in said if g2p(word)]
        if len(heard) in (0, len(said)):
            raise
        return heard, speak([word for word, _ in heard])


def _words_of(token: Token) -> list[str]:
    """The words of a token that are no noises."""
    return [word for word in token.spoken if not BRACKETED.fullmatch(word)]


def _same(label: str) -> tuple[str, ...]:
    return (label,)


def _noise(label: str) -> tuple[str, ...]:
    return (NOISE_LABEL,)


def by_espeak(language: str, options: Options, compute: Compute) -> DtwBackend:
    """The backend whose reference is a synthesiser's voice.

    Raises
    ------
    DataError
        If it has no such language.
    ModelError
        If the package that holds it is missing.
    """
    asked = resolve(language)
    voice, read = read_by(asked)
    speak = Synthesiser(language=voice)
    english = spoken_english(voice)  # its phones are written in ARPAbet then, as everywhere else
    rename = arpabet if english else _same
    stressed = None if not english else _stressed if options.keeps_stress else _unstressed
    beside = posteriorgram(options) if options.posteriors else heard_by_head(english)
    books = users_words(options) if english else None
    pronounce = EspeakPronouncer(EspeakG2P(voice), rename, stressed, books)

    def refer(heard: Heard) -> Reference:
        tokens, given = pronounce.of(heard.utterance.speaker).read(heard.tokens)
        words_said = spoken_by_voice(tokens)
        if not english:
            check_scripts([word for word, _ in words_said], voice)
        said, speech = _spoken(words_said, speak, pronounce.g2p)
        noisy = all(word == NOISY for word, _ in said)
        plain, words = split(speech.phones, speech.words, _noise if noisy else rename)
        if noisy or stressed is None:
            phones: Sequence[Interval] = plain
        else:
            phones = _relabelled(plain, words, [word for word, _ in said], stressed, given)
        owners = [said[w][1] if w >= 0 else w for w in words]
        wave = torch.from_numpy(speech.wave)
        made = templates(wave, phones, owners, like=heard.wave, posteriors=beside)
        kept = {k for _, k in said}
        return Reference(
            templates=made,
            spellings=[t.spelling for t in heard.tokens],
            oovs=tuple((w, NOISE_LABEL) for k, t in enumerate(tokens) if k not in kept for w in _words_of(t)),
        )

    measured = read_measured(MEASURED_OF_ESPEAK)["offsets"]
    return DtwBackend(
        refer=refer,
        pronounce=pronounce,
        entry=pronounce.entry,
        alphabet=ARPABET if english else IPA,
        model_name=f"espeak {asked}",
        about=f"eSpeak NG's voice {voice!r} ({languages()[voice]}) as the reference",
        reader=read,
        divide=None if read is None else division(asked, pronounce.g2p),
        options=options,
        compute=compute,
        offsets=measured,
        english=english,
        pause_share=PAUSE_SHARE_OF_ESPEAK,
        posteriors=beside,
    )


def posteriorgram(options: Options) -> Posteriorgram | None:
    """What gives the posteriors that the options name beside the frames; None where they name none.

    Raises
    ------
    ModelError
        If there is no such model, or it is a network.
    """
    if options.posteriors in (None, NOTHING):
        return None
    model = load_model(options.posteriors)
    if isinstance(model, CtcModel):
        raise ModelError(
            model.name,
            "posteriorgrams are made by a hidden Markov model, and it is a CTC network",
            "take 'english'",
        )
    markov = cast(MarkovModel, model)
    if markov.listening is not None:
        return Posteriorgram(hear=markov.listening.posteriors, clock=CLOCK)
    return Posteriorgram(hear=StatePosteriors(markov), clock=markov.frontend.clock)


def heard_by_head(english: bool) -> Posteriorgram:
    """The posteriors of the head of English, which hears through noise; it knows its own phones best."""
    head = cast(MarkovModel, load_model(ENGLISH)).head
    assert head is not None
    return Posteriorgram(
        hear=head.posteriors, clock=CLOCK, weight=HEAD_WEIGHT if english else HEAD_WEIGHT_ABROAD
    )


def by_model(model: MarkovModel, options: Options, compute: Compute) -> DtwBackend:
    """The backend whose reference is what a model of mixtures expects to hear: its means.

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
        spoken, oovs = pronounce.of(heard.utterance.speaker)(heard.tokens)
        made = trajectory(model.topology, mixtures, [w.pronunciations[0].phones for w in spoken])
        labels = tuple(NOISE_LABEL if p in model.topology.noises else p for p in made.template.phone)
        owners = np.array([spoken[w].token for w in made.template.word])
        template = replace(made.template, phone=labels, word=owners)
        return Reference(
            templates=[template],
            spellings=[t.spelling for t in heard.tokens],
            scale=made.scale,
            quiet=made.quiet,
            oovs=tuple(oovs),
        )

    return DtwBackend(
        refer=refer,
        pronounce=pronounce,
        model_name=model.name,
        about=f"the means of {model.name!r} as the reference",
        options=options,
        compute=compute,
        offsets=model.offsets,
        english=spoken_english(options.language),
        entry=pronounce.entry,
        alphabet=None if isinstance(pronounce, Speller) else alphabet_of(model.topology.labels),
        limits=LIMITS[Scores.TRAJECTORIES],
        frontend=model.frontend,
        clock=model.clock,
        steps=TRAJECTORY_STEPS,
        taught=taught_for(model, NAME),
    )


def make(model: Model | None, options: Options, compute: Compute) -> DtwBackend:
    """The backend whose reference is the model that was named, or eSpeak's voice of the language.

    Raises
    ------
    DataError
        If eSpeak does not speak the language, or the dictionary or the device is of no use here.
    ModelError
        If the model has no means, or eSpeak is not installed.
    """
    check_warping(compute.device, unspoken_dictionaries(options) if model is None else ())
    if model is not None:
        reference = own_model(model.name, options) if model.name in ENGLISHES else model
        return by_model(markov_model(reference), options, compute)
    backend = by_espeak(options.language or "en", options, compute)
    if options.backend is None:
        return replace(backend, about=f"{backend.about}, for there is no model of this language here")
    return backend
