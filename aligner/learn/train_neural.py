"""Training a network that scores a hidden Markov model's states: from a corpus to the folder of a model."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from aligner.corpus import audio
from aligner.features import CepstralFrontend
from aligner.formats.table import write_table
from aligner.learn import hmm_options
from aligner.learn.history import HISTORY
from aligner.learn.margins import margin_spread
from aligner.learn.pronouncing import Text
from aligner.learn.spread import spread
from aligner.learn.training_corpus import RESTS, Progress, TrainingCorpus, read_training_corpus
from aligner.models import saved
from aligner.models.markov import MarkovModel
from aligner.models.neural import TcnNetwork
from aligner.models.store import load_model
from aligner.models.tree import TreeTopology
from aligner.run.plan import check_new, check_rights, room_in
from aligner.train.ctc import Options
from aligner.train.em import Example, ShardTask, sharded
from aligner.train.hybrid import Epoch, LabelledUtterance, fit, frame_states, hybrid_model, monophone_topology
from aligner.types import SAMPLE_RATE, DataError, Failure, Fault, ModelError, Utterance

TEACHER = "teacher"  # the folder, within the model's, of the model that it learnt from


LEAST_SPREAD = 0.05  # of margins: a network's are much narrower than those of Gaussians


class Recordings(Sequence[LabelledUtterance]):
    """Labelled utterances whose recordings are read as they are taken: a corpus may be larger than memory."""

    def __init__(self, utterances: Sequence[Utterance], states: Sequence[torch.Tensor]) -> None:
        self._utterances, self._states = utterances, states

    def __len__(self) -> int:
        return len(self._utterances)

    def __getitem__(self, k):  # type: ignore[no-untyped-def]
        """Read the recording of utterance ``k``, and return it with the states of its frames."""
        utterance = self._utterances[k]
        wave = torch.from_numpy(audio.read(utterance, SAMPLE_RATE, rests=RESTS).wave)
        return LabelledUtterance(utterance.id, wave, self._states[k])


@dataclass(frozen=True)
class Summary:
    """The result of training a network on a hidden Markov model's alignments."""

    model: MarkovModel
    """The model as it was saved."""
    utterances: int
    """The number of utterances that were learnt from."""
    failures: tuple[Failure, ...]
    """What could not be learnt from, and why."""
    history: tuple[Epoch, ...]
    """Loss and accuracy of each pass over the corpus."""


def train_neural(
    corpus: Path,
    out: Path,
    text: Text,
    teacher: MarkovModel,
    *,
    reading: hmm_options.Options,
    options: Options,
    on_epoch: Callable[[Epoch], None] = lambda _: None,
    on_progress: Progress = lambda *_: None,
) -> Summary:
    """Train a network on the alignments of a model that was trained here, and save both in one.

    Parameters
    ----------
    corpus : Path
        The folder of recordings and transcripts.
    out : Path
        The folder of the model; it must not exist, or hold no model.
    text : Text
        How transcripts are read.
    teacher : MarkovModel
        A model of Gaussian mixtures, trained on the same phones.
    reading : aligner.learn.hmm_options.Options
        How the corpus is read, and by how many processes it is aligned.
    options : Options
        How the network is trained.
    on_epoch : callable
        Called after each pass over the corpus.
    on_progress : callable
        Called after each recording that is read.

    Raises
    ------
    DataError
        If nothing can be learnt from, or ``out`` holds a model already.
    ModelError
        If the teacher is of another kind, or the training diverges.
    """
    check_new(out / saved.TABLE)
    frontend = _check_teacher(teacher, text)
    check_rights(out)
    read = read_training_corpus(corpus, text, replace(reading, frontend=frontend), on_progress)
    _check_phones(teacher, read)
    states = _states(teacher, read.examples, reading.jobs, out)
    utterances = [u for u in read.utterances if u.id in states]
    if not utterances:
        raise DataError(corpus, "no utterance can be learnt from", "aligner validate tells what is wrong")
    recordings = Recordings(utterances, [states[u.id] for u in utterances])
    network, history = _fit(teacher, recordings, options, out, on_epoch)
    about = _about(teacher, options, history[-1])
    model = replace(hybrid_model(teacher, network), name=out.resolve().name, about=about)
    if teacher.dictionary is not None:
        with room_in(out):
            shutil.copyfile(teacher.dictionary, out / saved.DICTIONARY)
    model = replace(model, spread=margin_spread(model, out, utterances, reading.jobs, least=LEAST_SPREAD))
    saved.save(model, out)
    return Summary(model, len(utterances), (*read.failures, *_unaligned(read, states)), tuple(history))


def _check_teacher(teacher: MarkovModel, text: Text) -> CepstralFrontend:
    """Return the front end of a model that was trained here, on the same kind of phones; ModelError if it
    was not.
    """
    if not isinstance(teacher.topology, TreeTopology) or teacher.g2p != text.letters_to_phones:
        raise ModelError(
            teacher.name,
            "it cannot teach: it was not trained here, or on other phones",
            "leave out --teacher: one is trained first",
        )
    if not isinstance(teacher.frontend, CepstralFrontend):
        raise ModelError(teacher.name, "it was not trained here", "train one with --backend hmm")
    return teacher.frontend


def _check_phones(teacher: MarkovModel, corpus: TrainingCorpus) -> None:
    """Raise ModelError where the corpus has a phone that the teacher does not know."""
    assert isinstance(teacher.topology, TreeTopology)
    unknown = sorted(set(corpus.labels) - set(teacher.topology.phones))
    if unknown:
        raise ModelError(
            teacher.name,
            f"it cannot teach: it does not know the phone {unknown[0]!r}",
            "name the dictionary that it was trained with, or leave out --teacher",
        )


def _fit(
    teacher: MarkovModel,
    recordings: Recordings,
    options: Options,
    out: Path,
    on_epoch: Callable[[Epoch], None],
) -> tuple[TcnNetwork, list[Epoch]]:
    """Train the network, and write a table of its history after each epoch."""
    history: list[Epoch] = []

    def keep(epoch: Epoch) -> None:
        history.append(epoch)
        write_table(
            out / HISTORY,
            ("epoch", "loss", "right", "seconds"),
            [(e.number, round(e.loss, 4), round(e.accuracy, 4), round(e.seconds, 2)) for e in history],
        )
        on_epoch(epoch)

    labels = [str(k) for k in range(monophone_topology(teacher).forest.pdfs)]
    network = fit(TcnNetwork(labels, options.shape, seed=options.seed), recordings, options, keep)
    return network, history


def _about(teacher: MarkovModel, options: Options, last: Epoch) -> dict[str, Any]:
    """Return what the model file says of the training."""
    return {
        **teacher.about,
        "network": {
            "epochs": options.epochs,
            "seed": options.seed,
            "right": round(last.accuracy, 4),
            "loss": round(last.loss, 4),
        },
    }


def _unaligned(corpus: TrainingCorpus, states: Mapping[str, torch.Tensor]) -> list[Failure]:
    """Return a failure for each utterance that the teacher could not align."""
    return [
        Failure(
            u,
            "it cannot be aligned, and was not learnt from",
            "is it the transcript of another recording?",
            fault=Fault.NO_PATH,
        )
        for u in corpus.utterances
        if u.id not in states
    ]


def _states(
    teacher: MarkovModel, examples: Sequence[Example], jobs: int, out: Path
) -> dict[str, torch.Tensor]:
    """Return the state of every frame, by utterance, as the teacher aligns it."""
    found: dict[str, torch.Tensor] = {}
    tasks = [ShardTask(model=teacher, examples=shard, voices={}) for shard in sharded(examples)]
    with spread(jobs, examples, out) as mapped:
        for part in mapped(frame_states, tasks):
            found |= {name: torch.from_numpy(states) for name, states in part.items()}
    return found


def teacher_of(folder: Path) -> MarkovModel:
    """Load a model to learn from; ModelError if it is no hidden Markov model."""
    model = load_model(str(folder))  # a name, too
    if not isinstance(model, MarkovModel):
        raise ModelError(folder, "it is a CTC network", "name a hidden Markov model")
    return model
