"""What a way of aligning offers, and what they all share: from an utterance that was read to its alignment.

A backend prepares an utterance (its features, and the graph of all that it may sound like) and finds the best
path; what comes before, reading, and what comes after, figures, suspicions and results, is the same for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from aligner.backends.calls import check_kernel
from aligner.corpus import audio
from aligner.features import levels
from aligner.graph import Graph
from aligner.models.base import Model
from aligner.models.boundary import BoundaryModel
from aligner.names import BACKENDS, PRECISIONS, REFINEMENTS
from aligner.parallel.cores import cores
from aligner.parallel.marks import stage
from aligner.refine.agreement import agreed
from aligner.refine.boundaries import Refined, Refinement, Searched
from aligner.refine.confidence import Evidence, means
from aligner.refine.suspect import Limits, Solved, measure, suspicions
from aligner.text.lexicon import SpokenWord
from aligner.text.normalise import Token, normalise
from aligner.types import SILENCE_LABEL, Alignment, Clock, DataError, Fault, Interval, Utterance

NO_OWNER = -1  # of a silence


@dataclass(frozen=True)
class Options:
    """How to align.

    Attributes
    ----------
    dictionary : Path or None
        Instead of the model's own.
    g2p : bool
        Whether words that are in no dictionary get a pronunciation from their letters.
    kernel : {'auto', 'numba', 'triton', 'reference'}
        What runs the search; 'auto' is numba, for it runs on the CPU.
    refine : {'full', 'offsets', 'none'}
        Whether boundaries are corrected by the model's table; 'full' also looks for them in the sound itself,
        near there, and by what was learnt from corrections where there are any.
    jobs : int
        Processes.
    backend : {'hmm', 'ctc', 'ctc+hmm', 'dtw'} or None
        None takes what is best for the language: the HMM where there is a model.
    language : str or None
        Of the transcripts; None is the model's.
    star : bool or None
        Whether there may be speech that the transcript lacks: between words and at both ends (CTC), or
        between sentences, of which some may not be said (HMM); None: only in long recordings (HMM).
    posteriors : str, Path or None
        A hidden Markov model whose posteriors of phones are compared, too (DTW).
    adapt : bool or None
        Whether the model is brought to each speaker in a first pass (HMM); None where it is known to help.
    device : str
        Where frames are scored and searched: 'cpu', or 'cuda', 'cuda:1', ..., in batches.
    batch_seconds : float or None
        Audio in a batch on a device other than the CPU; None finds out how much its memory holds.
    precision : {'full', 'mixed'}
        'mixed' computes what stands it in bfloat16: networks, and the weights of mixtures.

    Raises
    ------
    DataError
        If the kernel does not run here, or options exclude each other.
    """

    dictionary: Path | None = None
    g2p: bool = True
    kernel: str = "auto"
    refine: str = "full"
    jobs: int = field(default_factory=cores)
    backend: str | None = None
    language: str | None = None
    star: bool | None = None
    posteriors: str | Path | None = None
    adapt: bool | None = None
    device: str = "cpu"
    batch_seconds: float | None = None
    precision: str = "full"

    def arithmetic(self) -> AbstractContextManager[object]:
        """In which networks and mixtures are computed, in lower precision where the options say so."""
        kind = torch.device(self.device).type
        return torch.autocast(kind, torch.bfloat16) if self.precision == "mixed" else nullcontext()

    def __post_init__(self) -> None:
        check_kernel(self.kernel, str(usable(self.device)))
        if self.language is not None and not self.language.strip():
            raise DataError("language", "no language is named", "name one, or leave it out")
        for name, known in (
            ("backend", (*BACKENDS, None)),
            ("refine", REFINEMENTS),
            ("precision", PRECISIONS),
        ):
            if getattr(self, name) not in known:
                raise DataError(
                    name,
                    f"there is no {getattr(self, name)!r}",
                    f"take one of {', '.join(filter(None, known))}",
                )


def usable(device: str) -> torch.device:
    """The device of that name.

    Raises
    ------
    DataError
        If torch cannot compute there.
    """
    try:
        return torch.zeros(1, device=device).device if device != "cpu" else torch.device("cpu")
    except (RuntimeError, AssertionError) as error:
        raise DataError(
            "device", f"{device!r} cannot be used ({str(error).splitlines()[0]})", "take cpu"
        ) from error


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
            better = agreed(better, found.opinions)
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
