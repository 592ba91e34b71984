"""Training a head: what a pretrained network hears in a corpus, and the phones that a model finds there.

The model aligns the corpus; each recording is then heard as it is and some times spoilt, and the head learns
to tell the phones apart in all of them (see `aligner.train.head`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from aligner.backends.hmm import HmmBackend
from aligner.backends.options import Compute
from aligner.backends.options import Options as Aligning
from aligner.corpus import audio
from aligner.corpus.find import find
from aligner.corpus.listening import as_heard
from aligner.learn.dictionary import save_dictionary
from aligner.learn.guide import left_out_for
from aligner.learn.margins import margin_spread
from aligner.learn.pronouncing import Text
from aligner.models import saved
from aligner.models.ears import ear
from aligner.models.head import SILENCE, Head, PhoneStates, Shape
from aligner.models.markov import MarkovModel
from aligner.parallel.pool import map_tasks, worker_pool
from aligner.run.align import align
from aligner.run.plan import check_new, check_rights, room_in
from aligner.train import head as training
from aligner.train.augment import Surroundings, levelled, spoilt
from aligner.types import SAMPLE_RATE, Alignment, DataError, Failure, ModelError, Result, Utterance

LONGEST = 25.0  # s of an utterance that is learnt from: what is heard at once
VOICES = 11  # of so many recordings one is a voice in the background
AT_ONCE = 16  # recordings that a process hears before it reports
HELD_OUT = 15  # of so many speakers one is left out, and asked in the end
MOST_BYTES = 6 << 30  # of what is heard, all in memory: some sixteen hours, copies counted
LEAST_STEPS = 1000  # of training, where a corpus is small
HEAR_TIMEOUT = 1800.0  # s that a process may hear some recordings; it takes seconds


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a head is trained."""

    encoder: str
    """What it listens through: see `aligner.models.ears.ear`."""
    copies: int = 3
    """How many times each recording is heard spoilt, beside as it is."""
    music: Path | None = None
    """A folder of recordings that sound in the background; chords do where there is none."""
    shape: Shape = field(default_factory=Shape)
    """Its size."""
    fitting: training.Options = field(default_factory=training.Options)
    """How it learns; ``epochs`` are at least as many as `LEAST_STEPS` take."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Listening:
    """How recordings are heard: what all processes share."""

    encoder: str
    """What a head listens through."""
    columns: Mapping[str, int]
    """The head's column of each phone."""
    copies: int
    """Spoilt copies of each recording."""
    surroundings: Surroundings
    """What is heard beside speech."""
    seed: int
    """Of all that is spoilt."""


@dataclass(frozen=True, kw_only=True, eq=False)
class HeadTraining:
    """A head that was trained, with figures of it."""

    head: Head
    """The head, ready to be asked."""
    right: float
    """Share of the frames of speakers left out whose likeliest phone is the aligned one."""
    seconds: float
    """Length of the speech that was learnt from, copies not counted."""


@dataclass(frozen=True)
class Summary:
    """The result of training a head on a corpus."""

    model: MarkovModel
    """The model as it was saved, the head in it."""
    utterances: int
    """The number of utterances that were learnt from."""
    failures: tuple[Failure, ...]
    """What could not be learnt from, and why."""
    right: float
    """See `HeadTraining`."""


def hear(how: Listening, items: Sequence[tuple[int, Alignment]]) -> list[list[dict[str, np.ndarray]]]:
    """In a worker: what is heard in each recording, as it is and spoilt, as `training.Labelled.arrays`."""
    listening, found = ear(how.encoder), []
    for number, alignment in items:
        rng = np.random.default_rng([how.seed, number])
        wave = audio.read(alignment.utterance, SAMPLE_RATE).wave
        copies = [levelled(wave, rng), *(spoilt(wave, rng, how.surroundings) for _ in range(how.copies))]
        heard = [
            training.Labelled.of(
                torch.from_numpy(as_heard(copy, SAMPLE_RATE)),
                alignment.phones,
                listening,
                how.columns,
                alignment.utterance.start,
            )
            for copy in copies
        ]
        found.append([one.arrays() for one in heard])
    return found


def train_head(
    alignments: Sequence[Alignment],
    phones: Sequence[str],
    options: Options,
    *,
    jobs: int,
    on_heard: Callable[[str, int, int], None] = lambda *_: None,
    on_progress: Callable[[training.Progress], None] = lambda _: None,
) -> HeadTraining:
    """Train a head on alignments.

    Parameters
    ----------
    alignments : sequence of Alignment
        What is learnt from; of more than fits into memory, as much as does, chosen at random.
    phones : sequence of str
        The head's columns, silence among them.
    options : Options
    jobs : int
        The number of processes that hear.
    on_heard : callable
        Called with what is done, how much of it, and of how much.
    on_progress : callable
        Called now and then while the head learns.

    Raises
    ------
    ModelError
        If there is nothing to learn from, or the encoder cannot be had, or the training diverges.
    """
    size, seed = ear(options.encoder).size, options.fitting.seed
    chosen = _that_fit(alignments, (1 + options.copies) * 100 * 2 * size, seed)
    how = Listening(
        encoder=options.encoder,
        columns={phone: k for k, phone in enumerate(phones)},
        copies=options.copies,
        surroundings=_surroundings(chosen, options.music),
        seed=seed,
    )
    speakers = sorted({a.utterance.speaker for a in chosen})
    apart = set(speakers[::HELD_OUT]) if len(speakers) > HELD_OUT else set()
    learnt: list[training.Labelled] = []
    asked: list[training.Labelled] = []
    for k, (alignment, copies) in enumerate(_each_heard(chosen, how, jobs), start=1):
        (asked if alignment.utterance.speaker in apart else learnt).extend(copies)
        on_heard("hearing", k, len(chosen))
    seconds = sum(len(one.labels) for one in learnt) / 100
    fitting = options.fitting
    least = LEAST_STEPS * fitting.batch * fitting.stretch / 100 / max(seconds, 1)
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        head = Head(phones, options.encoder, size, options.shape)
        training.fit(head, learnt, replace(fitting, epochs=max(fitting.epochs, least)), on_progress)
    return HeadTraining(
        head=head,
        right=training.accuracy(head, asked or learnt),
        seconds=seconds / (1 + options.copies),
    )


def _that_fit(alignments: Sequence[Alignment], bytes_a_second: float, seed: int) -> list[Alignment]:
    """Alignments that are short enough, as many as memory holds, chosen at random, in their order."""
    usable = [a for a in alignments if _length(a) <= LONGEST]
    order = np.random.default_rng(seed).permutation(len(usable))
    length = np.cumsum([_length(usable[k]) for k in order])
    return [usable[k] for k in sorted(order[length <= MOST_BYTES / bytes_a_second])]


def _length(alignment: Alignment) -> float:
    return alignment.phones[-1].end - alignment.phones[0].start


def _surroundings(alignments: Sequence[Alignment], music: Path | None) -> Surroundings:
    def waves(utterances: Sequence[Utterance]) -> list[np.ndarray]:
        return [audio.read(u, SAMPLE_RATE, silence=True).wave for u in utterances]

    tunes = [] if music is None else audio.recordings_of(sorted(music.rglob("*")))
    return Surroundings(
        voices=waves([a.utterance for a in alignments[::VOICES]]),
        music=waves([Utterance(path.stem, path, "") for path in tunes]),
    )


def _each_heard(
    alignments: Sequence[Alignment], how: Listening, jobs: int
) -> Iterator[tuple[Alignment, list[training.Labelled]]]:
    numbered = list(enumerate(alignments))
    tasks = [numbered[k : k + AT_ONCE] for k in range(0, len(numbered), AT_ONCE)]
    with worker_pool(jobs, how) as submit:
        for task, heard in zip(tasks, map_tasks(submit, hear, tasks, lambda _: HEAR_TIMEOUT), strict=True):
            for (_, alignment), copies in zip(task, heard, strict=True):
                yield alignment, [training.Labelled.of_arrays(copy) for copy in copies]


def phones_of(model: MarkovModel) -> tuple[str, ...]:
    """The columns of a head for a model: silence, and all that its dictionary may use.

    Raises
    ------
    ModelError
        If its states are not of phones.
    """
    if not isinstance(model.topology, PhoneStates):
        raise ModelError(model.name, "its states are not of phones", "take another model")
    return (SILENCE, *(label for label in model.topology.labels if model.topology.knows(label)))


def train_headed(
    corpus: Path,
    out: Path,
    text: Text,
    teacher: MarkovModel,
    options: Options,
    *,
    jobs: int,
    on_heard: Callable[[str, int, int], None] = lambda *_: None,
    on_progress: Callable[[training.Progress], None] = lambda _: None,
) -> Summary:
    """Train a head on what a model makes of a corpus, and save the model with it.

    Parameters
    ----------
    corpus : Path
        The folder of recordings and transcripts; what looks suspicious once it is aligned is left out.
    out : Path
        The folder of the new model; it must not exist, or hold no model.
    text : Text
        How transcripts are read.
    teacher : MarkovModel
        The model that aligns, and that the head is going to stand beside.
    options : Options
    jobs : int
        The number of processes.
    on_heard, on_progress : callable
        See `train_head`.

    Raises
    ------
    DataError
        If nothing can be learnt from, ``out`` holds a model already, or a process was lost twice.
    ModelError
        If the encoder cannot be had, or the training diverges.
    """
    check_new(out / saved.TABLE)
    check_rights(out)
    phones, found = phones_of(teacher), find(corpus)
    ear(options.encoder)  # before the corpus is aligned
    results = list(align(found.utterances, _aligning(teacher, text, jobs)))
    aligned = [r for r in results if isinstance(r, Alignment) and not r.suspicions]
    unused = [_left_out(r) for r in results if isinstance(r, Failure) or r.suspicions]
    failures = (*found.failures, *unused)
    if not aligned:
        why = f" ({failures[0].utterance.id}: {failures[0].message})" if failures else ""
        raise DataError(
            corpus, f"no utterance can be learnt from{why}", "aligner validate tells what is wrong"
        )
    trained = train_head(aligned, phones, options, jobs=jobs, on_heard=on_heard, on_progress=on_progress)
    with room_in(out):
        out.mkdir(parents=True, exist_ok=True)
        save_dictionary(out, text.dictionary, text.add_words, teacher.dictionary)
    head = trained.head
    head.about = {
        "hours": round(trained.seconds / 3600, 3),
        "copies": 1 + options.copies,
        "epochs": options.fitting.epochs,
        "seed": options.fitting.seed,
        "right": round(trained.right, 4),
    }
    model = replace(teacher, name=out.resolve().name, head=head, taught=None)
    model = replace(model, spread=margin_spread(model, out, found.utterances, jobs))
    saved.save(model, out)
    return Summary(model, len(aligned), failures, trained.right)


def _left_out(result: Result) -> Failure:
    """Why an utterance is not learnt from: it cannot be aligned, or what was found looks wrong."""
    return (
        result if isinstance(result, Failure) else left_out_for(result.utterance, result.suspicions[0].text)
    )


def _aligning(teacher: MarkovModel, text: Text, jobs: int) -> HmmBackend:
    """What aligns the corpus: the teacher, reading its transcripts as the call says."""
    return HmmBackend(
        model=replace(teacher.with_head(None), taught=None),
        options=Aligning(
            dictionary=text.dictionary,
            add_words=text.add_words,
            strict=text.strict,
            g2p=text.g2p,
            language=text.language,
            conventions=text.conventions,
        ),
        compute=Compute(jobs=jobs),
        english=text.english,
    )
