"""What a way of aligning (a backend) offers, and the steps that all of them share.

An utterance is heard (`hear`), prepared by the backend (its frames, and the graph of all that it may sound
like), searched for the best path by the backend, refined (`refine`), and judged (`judge`).  So a backend is
its `Traits` and two methods.  What only some can do besides is in `aligner.backends.abilities`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor

from aligner.backends.bounds import Bounds, members, pinned, read_words, squeezed
from aligner.backends.options import Compute, Options
from aligner.corpus import audio
from aligner.corpus.cuts import NOTHING_CUT, Cuts
from aligner.corpus.sustained import NOTHING_HELD, Sustained, shortened
from aligner.features import levels
from aligner.graph import Graph
from aligner.models.base import Model
from aligner.models.boundary import BoundaryModel
from aligner.refine.agreement import median_boundaries
from aligner.refine.boundaries import Refined, Refinement, Searched, widened
from aligner.refine.characters import character_tier
from aligner.refine.confidence import Evidence, means
from aligner.refine.given import not_taken
from aligner.refine.offsets import SHORTEST_INTERVAL
from aligner.refine.suspect import Solved, measure, suspicions, untranscribed
from aligner.refine.thresholds import SPOKEN, SUNG, Limits
from aligner.text.characters import Division
from aligner.text.conventions import USUAL
from aligner.text.lexicon import SpokenWord
from aligner.text.normalise import Token, normalise
from aligner.text.readers import Reader
from aligner.text.spans import Marks
from aligner.tracing import stage
from aligner.types import (
    SILENCE_LABEL,
    STAR_LABEL,
    Alignment,
    Clock,
    DataError,
    Edge,
    Fault,
    Interval,
    Utterance,
)

NO_OWNER = -1  # the word of a silence
STAR_OWNER = -2  # the word of what the transcript lacks, until it becomes a word of its own

P = TypeVar("P")


@dataclass(frozen=True, kw_only=True)
class Traits:
    """The facts about a backend that are the same for every utterance."""

    name: str
    """The word for the backend among the options, such as 'hmm'."""

    model_name: str
    """The name of its model, or of its models."""

    about: str
    """What scores the frames, in a user's words."""

    english: bool | None
    """Whether transcripts are read as English; None leaves a transcript as it is, one word whatever it
    holds."""

    marks: Marks = USUAL
    """Finds what is no word in a transcript (see `aligner.text.spans`)."""

    clock: Clock
    """Turns its frames into seconds."""

    shortest: float
    """Seconds that a phone lasts at least."""

    limits: Limits
    """Margins below which an alignment is suspect."""

    refinement: Refinement
    """How its boundaries are refined after the search."""

    entry: Callable[[str, str], bool] | None = None
    """Whether the user gave a word a pronunciation, as it is written and of a speaker: it is read no further
    then.  None where no dictionary is the user's."""

    reader: Reader | None = None
    """Cuts transcripts into words, and reads them, in languages that are written without spaces."""

    alphabet: str | None = None
    """What its phones are written in: 'arpabet', 'ipa' or 'xsampa'; None where it is none of these."""

    divide: Division | None = None
    """Tells where the characters of a word begin among its phones, in languages that are written without
    spaces."""

    wildcard: bool = False
    """Whether it can find speech that the transcript lacks (see `Options.star`)."""

    levelled: bool = True
    """Whether recordings are brought to a usual level, and lose their dead sound, before they are heard; a
    stream is heard as it is."""

    boundaries_of: str | None = None
    """The backend that places its boundaries, where that is another ('hmm' in 'ctc+hmm'): what is learnt from
    corrections holds for that one."""

    def entry_of(self, speaker: str) -> Callable[[str], bool] | None:
        """Whether the user gave a word of a speaker a pronunciation, as it is written."""
        entry = self.entry
        return None if entry is None else lambda written: entry(written, speaker)


@dataclass(frozen=True, kw_only=True)
class Heard:
    """An utterance whose recording and transcript were read."""

    utterance: Utterance
    """The utterance, with its ``end`` filled in."""

    duration: float
    """Seconds that the whole recording lasts."""

    tokens: tuple[Token, ...]
    """The words of the transcript."""

    wave: Tensor
    """(N,) samples of the utterance alone, at the backend's rate, without its dead sound."""

    clipped: float
    """Share of the samples that are clipped."""

    bounds: Bounds | None = None
    """The words with their times, where these are known."""

    loose: bool = False
    """Whether sound that the transcript lacks may stand between the words and at both ends."""

    cuts: Cuts = NOTHING_CUT
    """What was left out of the samples; until these are put back in `judge`, times are those of what is
    heard."""

    sustained: Sustained = NOTHING_HELD
    """What was left out of held notes, the last before it is heard, and so the first that is put back."""

    sung: bool = False
    """Whether vowels may last as long as somebody sings them."""

    @property
    def start(self) -> float:
        """Seconds from the start of the recording to that of the utterance."""
        return self.utterance.start

    @property
    def end(self) -> float:
        """The same to the end of what is heard of the utterance."""
        assert self.utterance.end is not None
        return self.utterance.end - self.cuts.seconds - self.sustained.seconds

    @property
    def seconds(self) -> float:
        """How many seconds are heard of the utterance."""
        return self.end - self.start


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """An utterance with its frames and the graph of its pronunciations."""

    heard: Heard
    """The utterance as it was read."""

    spoken: Sequence[SpokenWord]
    """The words of the graph, in order, with their pronunciations."""

    oovs: tuple[tuple[str, str], ...]
    """Words that no dictionary held, each with the pronunciation that it was given."""

    graph: Graph
    """All that the utterance may sound like."""

    frames: Tensor
    """(T, D) what the model hears."""

    headed: bool = False
    """Whether what a model's head hears is beside them; on a device that is found out later, all at once."""

    pause_cost: Tensor | None = None
    """(T,) what each frame costs as a part of a pause between words; None where that is not known."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """Where a backend's search found the phones and words of an utterance."""

    phones: tuple[Interval, ...]
    """Phones and silences from the utterance's start to its end without gaps, as the search left them."""

    owners: Sequence[int]
    """The place in ``spellings`` of each phone's word; `NO_OWNER` for a silence."""

    spellings: Sequence[str]
    """The words as they are written; those of the transcript come first."""

    firsts: Sequence[int]
    """The frame that each phone begins with."""

    evidence: Evidence
    """What each frame says about the path."""

    log_likelihood: float
    """The path's log-likelihood per frame."""

    oovs: tuple[tuple[str, str], ...] = ()
    """Words that no dictionary held, each with the pronunciation that was used."""

    opinions: tuple[Refined, ...] = ()
    """The same phones as other backends place them."""

    def searched(self, clock: Clock) -> Searched:
        """The part of it that refinement needs, with the clock of its frames."""
        return Searched(self.phones, self.firsts, self.evidence, clock, self.owners)


@runtime_checkable
class Backend(Protocol[P]):
    """A way of aligning; ``P`` is an utterance as the backend prepares it, of whatever type it likes."""

    @property
    def traits(self) -> Traits:
        """The facts about the backend that are the same for every utterance."""
        ...

    @property
    def options(self) -> Options:
        """The options that the backend was made with: what is wanted."""
        ...

    @property
    def compute(self) -> Compute:
        """How the backend computes: in which processes, on which device."""
        ...

    def prepare(self, heard: Heard) -> P:
        """Take the frames of an utterance and build its graph; raise DataError if that cannot be done."""
        ...

    def find(self, prepared: P) -> Found:
        """Search for the best path through the graph; raise DataError if none is possible."""
        ...


AnyBackend = Backend[Any]
"""A backend of whatever kind, for whoever does not look into what it prepares."""


def arithmetic(compute: Compute) -> AbstractContextManager[object]:
    """The context in which networks and mixtures are computed: in lower precision where asked for."""
    kind = torch.device(compute.device).type
    return torch.autocast(kind, torch.bfloat16) if compute.precision == "mixed" else nullcontext()


def hear(utterance: Utterance, traits: Traits, loose: bool = False, sung: bool = False) -> Heard:
    """Read an utterance's recording and transcript as a backend of these traits needs them.

    Parameters
    ----------
    utterance : Utterance
    traits : Traits
    loose : bool
        Whether there may be sound that the transcript lacks; not where the times of words are known.
    sung : bool
        Whether vowels may be sung: of held notes the middle is left out (see `aligner.corpus.sustained`),
        but not where the times of words are known.

    Raises
    ------
    DataError
        If either cannot be read, or is empty.
    """
    where = utterance.file or utterance.id
    tokens = () if utterance.known else tokens_of(utterance.transcript, traits, where, utterance.speaker)
    with stage("reading"):
        rests = audio.Rests.FILLED if utterance.known else audio.Rests.CUT  # known times are left as they are
        sound = audio.read(utterance, traits.clock.rate, rests=rests if traits.levelled else audio.Rests.KEPT)
    bounds = None
    if utterance.known:
        entry = traits.entry_of(utterance.speaker)
        read = partial(
            normalise,
            english=traits.english is not False,
            marks=traits.marks,
            entry=entry,
            reader=traits.reader,
        )
        tokens, bounds = read_words(utterance.known, sound.start, sound.end, read, where)
    wave, sustained = sound.wave, NOTHING_HELD
    if sung and bounds is None:
        wave, sustained = shortened(sound.wave, traits.clock.rate, sound.start)
    return Heard(
        utterance=replace(utterance, start=sound.start, end=sound.end),
        duration=sound.duration,
        tokens=tokens,
        wave=torch.from_numpy(wave),
        clipped=sound.clipped,
        bounds=bounds,
        loose=loose and bounds is None,
        cuts=sound.cuts,
        sustained=sustained,
        sung=sung,
    )


def hear_for(backend: AnyBackend, utterance: Utterance) -> Heard:
    """Read an utterance as a backend with its options needs it.

    Raises
    ------
    DataError
        If it cannot be read, or is empty.
    """
    options = backend.options
    return hear(utterance, backend.traits, options.loose, options.sung)


def prepare(utterance: Utterance, backend: Backend[P]) -> P:
    """Hear an utterance and let a backend prepare it.

    Raises
    ------
    DataError
        If either cannot be done.
    """
    heard = hear_for(backend, utterance)
    with arithmetic(backend.compute):
        return backend.prepare(heard)


def align_heard(heard: Heard, backend: AnyBackend) -> Alignment:
    """Align what was heard: prepare, find, refine, judge.

    Raises
    ------
    DataError
        If no path through its graph is possible.
    """
    with arithmetic(backend.compute):
        prepared = backend.prepare(heard)
        found = backend.find(prepared)
        refined = refine(heard, found, backend.traits)
        return judge(heard, found, refined, backend.traits)


def tokens_of(transcript: str, traits: Traits, where: str, speaker: str = "") -> tuple[Token, ...]:
    """The words of a transcript.

    Parameters
    ----------
    transcript : str
    traits : Traits
        How the backend reads it.
    where : str
        The file that the transcript is from, for the error.
    speaker : str
        Who says it.

    Raises
    ------
    DataError
        If there is no word in it.
    """
    if traits.english is None:
        whole = " ".join(transcript.split())
        tokens: tuple[Token, ...] = (Token(whole, (whole,)),) if whole else ()
    else:
        entry = traits.entry_of(speaker)
        tokens = normalise(transcript, traits.english, traits.marks, entry, traits.reader)
    if not tokens:
        what = "holds only punctuation" if transcript.strip() else "is empty"
        raise DataError(where, f"the transcript {what}", "write what is said", fault=Fault.EMPTY_TRANSCRIPT)
    return tokens


def refine(heard: Heard, found: Found, traits: Traits) -> Refined:
    """The phones of a path with better boundaries, agreed on with the other backends where there are any."""
    with stage("refinement"):
        better = traits.refinement(found.searched(traits.clock), heard.wave)
        agreed = median_boundaries(better, found.opinions) if found.opinions else better
        if heard.bounds is not None:
            return pinned(agreed, found.phones, heard.bounds, traits.shortest)
        return confined(agreed, heard.cuts)


def _to_the_end(tier: tuple[Interval, ...], utterance: Utterance) -> tuple[Interval, ...]:
    """A tier that ends where its utterance does, to the last digit."""
    assert utterance.end is not None
    return (*tier[:-1], replace(tier[-1], end=utterance.end))


def confined(refined: Refined, cuts: Cuts) -> Refined:
    """Refined phones without any where the recording is not."""
    phones = cuts.confined(refined.phones, SHORTEST_INTERVAL)
    if phones == refined.phones:
        return refined
    starts = [p.start for p in phones[1:]]
    edges = (
        Edge(t, min(edge.low, t), max(edge.high, t)) for edge, t in zip(refined.edges, starts, strict=False)
    )
    return Refined(phones, tuple(edges))


def judge(heard: Heard, found: Found, refined: Refined, traits: Traits) -> Alignment:
    """The alignment of an utterance, with the figures that say how good it is and what looks wrong in it."""
    with stage("figures"):
        sure = means(found.evidence.posterior, found.firsts).tolist()
        searched, phones = (
            tuple(Interval(p.start, p.end, p.label, c) for p, c in zip(side, sure, strict=True))
            for side in (found.phones, refined.phones)
        )
        solved = Solved(
            words=words_of(searched, found.owners, found.spellings),
            phones=searched,
            firsts=found.firsts,
            evidence=found.evidence,
            levels=levels(heard.wave, traits.clock, len(found.evidence.margin)).numpy(),
            clock=traits.clock,
            shortest=traits.shortest,
            limits=traits.limits,
            sustained=heard.sustained,
            restored=heard.cuts.restored(heard.sustained.tier(searched)),
            longest=SUNG if heard.sung else SPOKEN,
        )
        quality = measure(solved, found.log_likelihood, heard.clipped)
        wider = traits.limits.widening(quality.misfit)
        edges = widened(refined.edges, wider, phones[0].start, phones[-1].end)
        lasting = heard.sustained.tier(phones)
        restored = heard.cuts.restored(lasting)
        words, sounds = (
            _to_the_end(restored.tier(tier), heard.utterance)
            for tier in (_words(lasting, found, heard.bounds), lasting)
        )
        return Alignment(
            utterance=heard.utterance,
            words=words,
            phones=sounds,
            duration=heard.duration,
            quality=quality,
            oovs=found.oovs,
            suspicions=(
                *suspicions(solved, quality),
                *(
                    untranscribed(restored.time(p.start), restored.time(p.end))
                    for p, owner in zip(lasting, found.owners, strict=True)
                    if owner >= len(heard.tokens) and found.spellings[owner] == STAR_LABEL and not heard.sung
                ),
                *(
                    replace(s, at=None if s.at is None else solved.time(s.at))
                    for s in not_taken(heard.tokens, refined.phones, found.owners)
                ),
                *(squeezed(phones, heard.bounds, traits.shortest) if heard.bounds else ()),
            ),
            characters=character_tier(words, sounds, heard.tokens, traits.divide) if traits.divide else (),
            edges=restored.edges(heard.sustained.edges(edges), lasting),
        )


def with_stars(owners: Sequence[int], spellings: Sequence[str]) -> tuple[list[int], list[str]]:
    """Owners and spellings of words, among them what the transcript lacks: each is a word behind all others.

    Examples
    --------
    >>> with_stars([0, STAR_OWNER, NO_OWNER, 1, STAR_OWNER], ["a", "b"])
    ([0, 2, -1, 1, 3], ['a', 'b', '<star>', '<star>'])
    """
    found, words = list(owners), list(spellings)
    for k, owner in enumerate(owners):
        if owner == STAR_OWNER:
            found[k] = len(words)
            words.append(STAR_LABEL)
    return found, words


def taught_for(model: Model, backend: str) -> BoundaryModel | None:
    """What a model learnt from corrections, if these were of this backend's boundaries.

    The boundaries of another backend are off elsewhere.
    """
    return model.taught if model.taught is not None and model.taught.backend == backend else None


def check_length(heard: Heard, graph: Graph, frames: int, clock: Clock) -> None:
    """Check that the shortest path fits into what is the recording's own of so many ``frames``.

    Raises
    ------
    DataError
        If it does not.
    """
    added = max(-heard.cuts.head, 0.0) + max(-heard.cuts.tail, 0.0)
    own = frames - round(added * clock.rate / clock.hop)
    if own < graph.shortest:
        raise too_short(heard, graph, own, clock)


def too_short(heard: Heard, graph: Graph, frames: int, clock: Clock) -> DataError:
    """Why no path of so many ``frames`` goes through an utterance's graph."""
    where, least = heard.utterance.file, graph.shortest
    if frames < least:
        return DataError(
            where,
            f"the transcript's phones take at least {clock.seconds(least):.2f} s, the recording "
            f"has {clock.seconds(frames):.2f} s",
            "is it the transcript of another recording?",
            fault=Fault.TOO_SHORT,
        )
    return DataError(
        where,
        "no path through the transcript is possible",
        "check the probabilities in the dictionary",
        fault=Fault.NO_PATH,
    )


def words_of(
    phones: Sequence[Interval], owners: Sequence[int], spellings: Sequence[str]
) -> tuple[Interval, ...]:
    """Words in the user's spelling, with the silences between them; a silence within a word is part of it.

    Parameters
    ----------
    phones : sequence of Interval
    owners, spellings
        See `Found`.
    """
    last = {owner: k for k, owner in enumerate(owners)}
    inside = list(owners)
    for k in range(1, len(owners)):
        if owners[k] < 0 and inside[k - 1] >= 0 and last[inside[k - 1]] > k:
            inside[k] = inside[k - 1]
    words = []
    for owner, group in groupby(range(len(phones)), key=inside.__getitem__):
        members = list(group)
        label = spellings[owner] if owner >= 0 else SILENCE_LABEL
        confidence = _confidence([phones[k] for k in members])
        words.append(Interval(phones[members[0]].start, phones[members[-1]].end, label, confidence))
    return tuple(words)


def _words(phones: Sequence[Interval], found: Found, bounds: Bounds | None) -> tuple[Interval, ...]:
    """The words of an alignment; where their times are known, as they are labelled."""
    if bounds is None:
        return words_of(phones, found.owners, found.spellings)
    return tuple(
        replace(word, confidence=_confidence([phones[k] for k in places]))
        for word, places in zip(bounds.words, members(phones, bounds.words), strict=True)
    )


def _confidence(phones: Sequence[Interval]) -> float:
    """The confidence of a word: the mean of its phones', each for as long as it lasts."""
    total = sum(p.duration for p in phones)
    return sum((p.confidence or 0.0) * p.duration for p in phones) / total if total else 0.0
