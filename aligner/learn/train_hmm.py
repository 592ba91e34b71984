"""Training a hidden Markov model: from a corpus to the folder of a model, as ``aligner train`` does it."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from aligner.corpus.find import find
from aligner.formats.table import write_table
from aligner.learn import account
from aligner.learn.checkpoint import Checkpoint
from aligner.learn.dictionary import pronunciations_of, write_dictionary
from aligner.learn.history import HISTORY, Row, plot
from aligner.learn.hmm_options import Options
from aligner.learn.letters import fitting
from aligner.learn.margins import margin_spread
from aligner.learn.pronouncing import Text
from aligner.learn.settle import settled
from aligner.learn.spread import spread
from aligner.learn.training_corpus import Progress, TrainingCorpus, read_training_corpus
from aligner.models import saved
from aligner.models.markov import MarkovModel
from aligner.run.plan import check_new, check_rights, room_in
from aligner.train.em import gaussians_of, trees_of
from aligner.train.finish import finished_model
from aligner.train.stages import Stage, TrainingSet, TrainingState, affordable, train
from aligner.types import DataError, Failure, Fault

SHORTEST_CORPUS = 20.0  # s of speech; less cannot be learnt from: each phone is then heard once or twice


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The result of training a hidden Markov model."""

    model: MarkovModel
    """The model as it was saved."""
    utterances: int
    """The number of utterances that the last iteration learnt from."""
    seconds: float
    """The length of the speech."""
    failures: tuple[Failure, ...]
    """What could not be learnt from, and why."""
    phones: tuple[str, ...]
    """The phones of the model."""
    notes: tuple[str, ...]
    """What the user should know: stages left out, phones that are rare or never said."""


class _Run:
    """One training: its folder, its corpus and options, and the history so far."""

    def __init__(
        self, out: Path, text: Text, options: Options, corpus: TrainingCorpus, checkpoint: Checkpoint
    ) -> None:
        self.out, self.text, self.options, self.corpus = out, text, options, corpus
        self.stages = affordable(options.stages, corpus.seconds / 60)
        self.key = _key(corpus, text, options, self.stages)
        self.checkpoint = checkpoint
        self.rows: list[Row] = []

    def iterate(self, on_iteration: Callable[[Row], None]) -> tuple[TrainingState, MarkovModel]:
        """Train from the start, or from the checkpoint, to the end."""
        state: TrainingState | None = None
        if self.options.resume and self.checkpoint.exists:
            state, self.rows = self.checkpoint.load(self.key, self.options.device)
        with spread(self.options.jobs, self.corpus.examples, self.out) as mapped:
            speech = TrainingSet(
                examples=self.corpus.examples,
                labels=self.corpus.labels,
                em=self.options.em,
                seed=self.options.seed,
                spread=mapped,
            )
            states = train(speech, self.stages, self.options.frontend, state)
            for state, row in _timed(states, self.stages, self.corpus.seconds):
                self.rows.append(row)
                self._keep(state)
                on_iteration(row)
            assert state is not None
            return state, finished_model(speech, state).to("cpu")

    def _keep(self, state: TrainingState) -> None:
        """Write the state and the history, so that a training that stops can be resumed."""
        self.checkpoint.save(state, self.rows, self.key)
        with room_in(self.out):
            write_table(self.out / HISTORY, Row.columns(), [r.cells() for r in self.rows])

    def save(self, state: TrainingState, model: MarkovModel) -> MarkovModel:
        """Save the model with its dictionary and the picture of its history; return it as it was saved."""
        text, corpus, out = self.text, self.corpus, self.out
        model = replace(
            model,
            name=out.resolve().name,
            language=None if text.english else text.language,
            g2p=text.letters_to_phones,
            about=account.about(corpus, text, self.options, self.stages, self.rows),
        )
        with room_in(out):
            write_dictionary(out, text, state.weights or pronunciations_of(corpus.examples))
            plot(self.rows, out)
        if corpus.guide is not None:
            model = settled(model, out, corpus.guide, text.conventions, self.options.jobs)
        model = replace(model, spread=margin_spread(model, out, corpus.utterances, self.options.jobs))
        saved.save(model, out)
        if model.taught is not None:
            model.taught.save(out)
        self.checkpoint.remove()
        return model


def train_hmm(
    corpus: Path,
    out: Path,
    text: Text,
    options: Options,
    *,
    on_iteration: Callable[[Row], None] = lambda _: None,
    on_progress: Progress = lambda *_: None,
) -> Summary:
    """Train a model on a corpus, and save it.

    Parameters
    ----------
    corpus : Path
        The folder of recordings and transcripts, as for `align`.
    out : Path
        The folder of the model; it must not exist, or hold no model.
    text : Text
        How transcripts are read.
    options : Options
        How to train.
    on_iteration : callable
        Called with the row of the history after each iteration.
    on_progress : callable
        Called after each recording that is read, with what is done, how much of it, and of how much.

    Raises
    ------
    DataError
        If there is no corpus, too little in it can be learnt from, or ``out`` holds a model already.
    ModelError
        If eSpeak is needed and missing, or the model cannot be written.
    """
    check_new(out / saved.TABLE)
    find(corpus)  # a wrong name is an error before a folder is made
    check_rights(out)
    checkpoint = Checkpoint(out)
    if checkpoint.exists and not options.resume:
        raise DataError(
            out,
            "a training that was not finished is there",
            "go on with --resume, or name another folder",
            fault=Fault.EXISTS,
        )
    read = read_training_corpus(corpus, text, options, on_progress)
    _check_length(corpus, read)
    if options.letters:
        text, read = fitting(corpus, text, read, options)
    run = _Run(out, text, options, read, checkpoint)
    state, model = run.iterate(on_iteration)
    model = run.save(state, model)
    lost = account.unaligned(read, state)
    return Summary(
        model=model,
        utterances=len(read.utterances) - len(lost),
        seconds=read.seconds,
        failures=(*read.failures, *lost),
        phones=trees_of(model).phones,
        notes=tuple(account.notes(read, options.stages, run.stages)),
    )


def _check_length(place: Path, corpus: TrainingCorpus) -> None:
    """Raise DataError where there is too little speech for any model."""
    if corpus.seconds < SHORTEST_CORPUS:
        first = next(iter(corpus.failures), None)
        why = f" ({first.utterance.id}: {first.message})" if first else ""
        raise DataError(
            place,
            f"{corpus.seconds:.0f} s of speech can be learnt from{why}",
            f"a model needs {SHORTEST_CORPUS:.0f} s at the very least, and some minutes to be of use",
        )


def _timed(
    states: Iterator[TrainingState], stages: Sequence[Stage], speech: float
) -> Iterator[tuple[TrainingState, Row]]:
    """Yield every state of a training with its row of the history."""
    begun = time.perf_counter()
    for state in states:
        s, trees = state.statistics, trees_of(state.model)
        assert s is not None
        seconds = time.perf_counter() - begun
        row = Row(
            stage=stages[state.stage].kind,
            iteration=state.iteration,
            iterations=stages[state.stage].iterations,
            log_likelihood=s.log_likelihood / max(s.frames, 1),
            unaligned=len(s.unaligned) / max(s.utterances + len(s.unaligned), 1),
            pdfs=trees.forest.pdfs,
            gaussians=int((gaussians_of(state.model).streams[0].weights > 0).sum()),
            seconds=seconds,
            speed=speech / seconds,
        )
        yield state, row
        begun = time.perf_counter()


def _key(corpus: TrainingCorpus, text: Text, options: Options, stages: Sequence[Stage]) -> str:
    """Return a hash of a training's utterances, words and options, so that only the same one resumes."""
    content = {
        "examples": [
            (e.id, e.speaker, len(e.cepstra), [[p.phones for p in w] for w in e.words], e.guide)
            for e in corpus.examples
        ],
        "labels": corpus.labels,
        "text": {f.name: str(getattr(text, f.name)) for f in fields(text)},
        "em": options.em,
        "seed": options.seed,
        "frontend": asdict(options.frontend.cepstral),
        "stages": [asdict(s) for s in stages],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
