"""What a way of aligning offers, and what they all share: from an utterance that was read to its alignment.

A backend prepares an utterance (its features, and the graph of all that it may sound like) and finds the best
path; what comes before, reading, and what comes after, figures, suspicions and results, is the same for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from itertools import groupby
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from aligner.backends.options import Compute, Options
from aligner.corpus import audio
from aligner.features import levels
from aligner.graph import Graph
from aligner.models.base import Model
from aligner.models.boundary import BoundaryModel
from aligner.refine.agreement import median_boundaries
from aligner.refine.boundaries import Refined, Refinement, Searched
from aligner.refine.confidence import Evidence, means
from aligner.refine.suspect import Solved, measure, suspicions
from aligner.refine.thresholds import Limits
from aligner.text.lexicon import SpokenWord
from aligner.text.normalise import Token, normalise
from aligner.tracing import stage
from aligner.types import SILENCE_LABEL, Alignment, Clock, DataError, Fault, Interval, Utterance

NO_OWNER = -1  # of a silence


@dataclass(frozen=True)
class Heard:
    """An utterance that was read.

    Attributes
    ----------
    utterance : Utterance
        With ``end`` filled in.
    duration : float
        Of the whole recording, in seconds.
    tokens : tuple of Token
    wave : Tensor
        (N,) the utterance alone, at the backend's rate.
    clipped : float
        Share of its samples.
    """

    utterance: Utterance
    duration: float
    tokens: tuple[Token, ...]
    wave: Tensor
    clipped: float

    @property
    def start(self) -> float:
        """In the recording, in seconds."""
        return self.utterance.start

    @property
    def end(self) -> float:
        """In the recording, in seconds."""
        assert self.utterance.end is not None
        return self.utterance.end


@dataclass(frozen=True)
class Prepared:
    """An utterance with all that the search needs."""

    heard: Heard
    spoken: Sequence[SpokenWord]
    oovs: tuple[tuple[str, str], ...]
    graph: Graph
    frames: Tensor


class Found(NamedTuple):
    """Where a backend's search found things.

    Attributes
    ----------
    phones : tuple of Interval
        From the utterance's start to its end without gaps, as the search left them.
    owners : sequence of int
        The place in ``spellings`` of each phone's word; `NO_OWNER` for silence.
    spellings : sequence of str
        Of the words; those of the tokens come first.
    firsts : sequence of int
        The frame that each phone begins with.
    evidence : Evidence
    log_likelihood : float
        Of the path, per frame.
    opinions : tuple of Refined
        Of other backends on the same utterance.
    """

    phones: tuple[Interval, ...]
    owners: Sequence[int]
    spellings: Sequence[str]
    firsts: Sequence[int]
    evidence: Evidence
    log_likelihood: float
    opinions: tuple[Refined, ...] = ()


@runtime_checkable
class Backend(Protocol):
    """A way of aligning.

    Attributes
    ----------
    name : str
    model_name : str
    about : str
        What scores the frames, in a user's words.
    english : bool or None
        Whether transcripts are read as English; None leaves them as they are, whatever they hold.
    options : Options
    compute : Compute
    clock : Clock
        Of its frames.
    shortest : float
        Seconds that a phone lasts at least.
    limits : Limits
        Of what is suspect.
    refinement : Refinement
        What makes its boundaries better.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def model_name(self) -> str: ...  # noqa: D102
    @property
    def about(self) -> str: ...  # noqa: D102
    @property
    def english(self) -> bool | None: ...  # noqa: D102
    @property
    def options(self) -> Options: ...  # noqa: D102
    @property
    def compute(self) -> Compute: ...  # noqa: D102
    @property
    def clock(self) -> Clock: ...  # noqa: D102
    @property
    def shortest(self) -> float: ...  # noqa: D102
    @property
    def limits(self) -> Limits: ...  # noqa: D102
    @property
    def refinement(self) -> Refinement: ...  # noqa: D102

    def prepare(self, heard: Heard) -> Prepared:
        """Take the features and build the graph; raises DataError if that cannot be done."""
        ...

    def find(self, prepared: Prepared) -> Found:
        """Search; raises DataError if no path is possible."""
        ...


def arithmetic(compute: Compute) -> AbstractContextManager[object]:
    """The context in which networks and mixtures are computed: in lower precision where asked for."""
    kind = torch.device(compute.device).type
    return torch.autocast(kind, torch.bfloat16) if compute.precision == "mixed" else nullcontext()


def hear(utterance: Utterance, backend: Backend) -> Heard:
    """Read an utterance's recording and transcript.

    Raises
    ------
    DataError
        If either cannot be read, or is empty.
    """
    tokens = tokens_of(utterance.transcript, backend.english, utterance.file or utterance.id)
    with stage("reading"):
        sound = audio.read(utterance, backend.clock.rate)
    placed = replace(utterance, start=sound.start, end=sound.end)
    return Heard(placed, sound.duration, tokens, torch.from_numpy(sound.wave), sound.clipped)


def tokens_of(transcript: str, english: bool | None, where: str) -> tuple[Token, ...]:
    """The words of a transcript.

    Raises
    ------
    DataError
        If there is none; it names ``where`` the transcript is from.
    """
    if english is None:
        whole = " ".join(transcript.split())
        tokens: tuple[Token, ...] = (Token(whole, (whole,)),) if whole else ()
    else:
        tokens = normalise(transcript, english)
    if not tokens:
        what = "holds only punctuation" if transcript.strip() else "is empty"
        raise DataError(where, f"the transcript {what}", "write what is said", fault=Fault.EMPTY_TRANSCRIPT)
    return tokens


def finish(prepared: Prepared, found: Found, backend: Backend) -> Alignment:
    """What was found as an alignment, with the figures that say how good it is."""
    heard = prepared.heard
    with stage("refinement"):
        better = backend.refinement(as_searched(found, backend), heard.wave)
        if found.opinions:
            better = median_boundaries(better, found.opinions)
    with stage("figures"):
        sure = means(found.evidence.posterior, found.firsts).tolist()
        phones, refined = (
            tuple(replace(p, confidence=c) for p, c in zip(side, sure, strict=True))
            for side in (found.phones, better.phones)
        )
        power = levels(heard.wave, backend.clock, len(prepared.frames)).numpy()
        solved = Solved(
            words_of(phones, found.owners, found.spellings),
            phones,
            found.firsts,
            found.evidence,
            power,
            backend.clock,
            backend.shortest,
            backend.limits,
        )
        quality = measure(solved, found.log_likelihood, heard.clipped)
        words = words_of(refined, found.owners, found.spellings)
        return Alignment(
            heard.utterance,
            words,
            refined,
            heard.duration,
            quality,
            prepared.oovs,
            suspicions(solved, quality),
            edges=better.edges,
        )


def taught_for(model: Model, backend: str) -> BoundaryModel | None:
    """What a model learnt from corrections, if these were of this backend's boundaries: others are off
    elsewhere.
    """
    return model.taught if model.taught is not None and model.taught.backend == backend else None


def as_searched(found: Found, backend: Backend) -> Searched:
    """What refinement needs of what was found."""
    return Searched(found.phones, found.firsts, found.evidence, backend.clock)


def too_short(prepared: Prepared, clock: Clock) -> DataError:
    """Why no path goes through an utterance's graph."""
    where, least = prepared.heard.utterance.file, prepared.graph.shortest
    if len(prepared.frames) < least:
        have = clock.seconds(len(prepared.frames))
        return DataError(
            where,
            f"the transcript's phones take at least {clock.seconds(least):.2f} s, the recording "
            f"has {have:.2f} s",
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
    """Words in the user's spelling, with the silences between them; one within a word is part of it."""
    last = {owner: k for k, owner in enumerate(owners)}
    inside = list(owners)
    for k in range(1, len(owners)):
        if owners[k] < 0 and inside[k - 1] >= 0 and last[inside[k - 1]] > k:
            inside[k] = inside[k - 1]
    words = []
    for owner, group in groupby(range(len(phones)), key=inside.__getitem__):
        members = list(group)
        label = spellings[owner] if owner >= 0 else SILENCE_LABEL
        words.append(
            Interval(
                phones[members[0]].start,
                phones[members[-1]].end,
                label,
                _confidence([phones[k] for k in members]),
            )
        )
    return tuple(words)


def _confidence(phones: Sequence[Interval]) -> float:
    """Of a word: that of its phones, each for as long as it lasts."""
    total = sum(p.duration for p in phones)
    return sum((p.confidence or 0.0) * p.duration for p in phones) / total if total else 0.0
