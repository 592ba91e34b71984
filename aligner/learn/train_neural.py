"""A corpus in, a model whose states a network scores out: what ``aligner train --backend neural`` does."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from aligner.corpus import audio
from aligner.formats.table import write_table
from aligner.learn import train_hmm
from aligner.learn.history import HISTORY
from aligner.learn.pronouncing import Text
from aligner.learn.spread import spread
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

TEACHER = "teacher"  # folder in the model's, of the model that it learnt from


class Lessons(Sequence[LabelledUtterance]):
    """Lessons whose recordings are read when they are asked for: a corpus may be larger than memory."""

    def __init__(self, utterances: Sequence[Utterance], answers: Sequence[torch.Tensor]) -> None:
        self._utterances, self._answers = utterances, answers

    def __len__(self) -> int:
        return len(self._utterances)

    def __getitem__(self, k):  # type: ignore[no-untyped-def]
        """Lesson ``k``, read."""
        utterance = self._utterances[k]
        wave = torch.from_numpy(audio.read(utterance, SAMPLE_RATE).wave)
        return LabelledUtterance(utterance.id, wave, self._answers[k])


@dataclass(frozen=True)
class Summary:
    """What a training did.

    Attributes
    ----------
    model : MarkovModel
    utterances : int
        That were learnt from.
    failures : tuple of Failure
    history : tuple of Epoch
    """

    model: MarkovModel
    utterances: int
    failures: tuple[Failure, ...]
    history: tuple[Epoch, ...]


def train_neural(
    corpus: Path,
    out: Path,
    text: Text,
    teacher: MarkovModel,
    teaching: train_hmm.Options,
    options: Options,
    notice: Callable[[Epoch], None] = lambda _: None,
    told: train_hmm.Told = lambda *_: None,
) -> Summary:
    """Train a network on the alignments of a model that was trained here, and save both in one.

    Parameters
    ----------
    corpus : Path
    out : Path
        Of the model; a folder that is not there yet, or holds no model.
    text : Text
    teacher : MarkovModel
        Of Gaussian mixtures, trained on the same phones.
    teaching : aligner.learn.train_hmm.Options
        How the corpus is heard and spread.
    options : Options
        Of the network.
    notice : callable
        Told of every epoch.
    told : callable
        Told of the recordings read.

    Raises
    ------
    DataError
        If nothing can be learnt from, or ``out`` holds a model already.
    ModelError
        If the teacher is of another kind, or the training diverges.
    """
    check_new(out / saved.TABLE)
    if not isinstance(teacher.topology, TreeTopology) or teacher.g2p != text.way:
        raise ModelError(
            teacher.name,
            "it cannot teach: it was not trained here, or on other phones",
            "leave out --teacher: one is trained first",
        )
    check_rights(out)
    heard = train_hmm.listen(corpus, text, replace(teaching, frontend=train_hmm.frontend_of(teacher)), told)
    strange = sorted(set(heard.labels) - set(teacher.topology.phones))
    if strange:
        raise ModelError(
            teacher.name,
            f"it cannot teach: it does not know the phone {strange[0]!r}",
            "name the dictionary that it was trained with, or leave out --teacher",
        )
    answers = _answers(teacher, heard.examples, teaching.jobs, out)
    utterances = [u for u in heard.utterances if u.id in answers]
    lessons = Lessons(utterances, [answers[u.id] for u in utterances])
    if not len(lessons):
        raise DataError(corpus, "no utterance can be learnt from", "aligner validate tells what is wrong")
    history: list[Epoch] = []

    def keep(epoch: Epoch) -> None:
        history.append(epoch)
        write_table(
            out / HISTORY,
            ("epoch", "loss", "right", "seconds"),
            [(e.number, round(e.loss, 4), round(e.accuracy, 4), round(e.seconds, 2)) for e in history],
        )
        notice(epoch)

    labels = [str(k) for k in range(monophone_topology(teacher).forest.pdfs)]
    network = fit(TcnNetwork(labels, options.shape, seed=options.seed), lessons, options, keep)
    about = {
        **teacher.about,
        "network": {
            "epochs": options.epochs,
            "seed": options.seed,
            "right": round(history[-1].accuracy, 4),
            "loss": round(history[-1].loss, 4),
        },
    }
    model = replace(hybrid_model(teacher, network), name=out.resolve().name, about=about)
    if teacher.dictionary is not None:
        with room_in(out):
            shutil.copyfile(teacher.dictionary, out / saved.DICTIONARY)
    model = replace(model, spread=train_hmm.spread_of(model, out, utterances, teaching.jobs, least=0.05))
    saved.save(model, out)
    lost = [
        Failure(
            u,
            "it cannot be aligned, and was not learnt from",
            "is it the transcript of another recording?",
            fault=Fault.NO_PATH,
        )
        for u in heard.utterances
        if u.id not in answers
    ]
    return Summary(model, len(utterances), (*heard.failures, *lost), tuple(history))


def _answers(
    teacher: MarkovModel, examples: Sequence[Example], jobs: int, out: Path
) -> dict[str, torch.Tensor]:
    """The state of every frame, by utterance."""
    found: dict[str, torch.Tensor] = {}
    with spread(jobs, examples, out) as mapped:
        for part in mapped(
            frame_states, [ShardTask(model=teacher, examples=shard, voices={}) for shard in sharded(examples)]
        ):
            found |= {name: torch.from_numpy(of) for name, of in part.items()}
    return found


def teacher_of(folder: Path) -> MarkovModel:
    """A model to learn from; ModelError if there is none."""
    model = load_model(str(folder))  # a name, too
    if not isinstance(model, MarkovModel):
        raise ModelError(folder, "it is a CTC network", "name a hidden Markov model")
    return model
