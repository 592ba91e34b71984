"""Training a CTC network: from a corpus to the folder of a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from aligner.backends.calls import check_spoken
from aligner.corpus import audio
from aligner.corpus.find import find
from aligner.graph.ctc import BLANK
from aligner.learn.dictionary import save_dictionary
from aligner.learn.pronouncing import Text, speller
from aligner.models.neural import TABLE
from aligner.models.store import cmu_dictionary
from aligner.run.plan import check_new, check_rights
from aligner.text.lexicon import Pronouncer
from aligner.text.noises import is_unclear
from aligner.text.normalise import BRACKETED
from aligner.text.phones import unstressed
from aligner.text.spelling import Speller
from aligner.train.ctc import Epoch, Example, Options, train
from aligner.types import SAMPLE_RATE, DataError, Failure, Fault, Utterance


@dataclass(frozen=True)
class Summary:
    """The result of training a CTC network."""

    utterances: int
    """The number of utterances that were learnt from."""
    labels: tuple[str, ...]
    """The labels that the network writes, without the blank."""
    history: tuple[Epoch, ...]
    """Loss and time of each pass over the corpus."""
    failures: tuple[Failure, ...]
    """What could not be learnt from, and why."""


class Recordings(Sequence[Example]):
    """Examples whose recordings are read as they are taken: a corpus may be larger than memory."""

    def __init__(self, utterances: Sequence[Utterance], labels: Sequence[Sequence[int]]) -> None:
        self._utterances, self._labels = utterances, labels

    def __len__(self) -> int:
        return len(self._utterances)

    def __getitem__(self, k):  # type: ignore[no-untyped-def]
        """Read the recording of utterance ``k``, and return it as an example."""
        utterance = self._utterances[k]
        sound = audio.read(utterance, SAMPLE_RATE, rests=audio.Rests.CUT)
        return Example(utterance.id, torch.from_numpy(sound.wave), self._labels[k])


def train_ctc(
    corpus: Path,
    out: Path,
    text: Text,
    options: Options,
    *,
    on_epoch: Callable[[Epoch], None] = lambda _: None,
) -> Summary:
    """Train a CTC network with label priors on a corpus, and save it.

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
    on_epoch : callable
        Called after each pass over the corpus.

    Raises
    ------
    DataError
        If there is no corpus, nothing in it can be learnt from, or ``out`` holds a model already.
    ModelError
        If the training diverges.
    """
    check_new(out / TABLE)
    found = find(corpus)
    if not (text.dictionary or text.characters):
        check_spoken(text.language, corpus, espeak=False)
    check_rights(out)
    spell = speller(text, ())
    said, failures = _labelled(found.utterances, spell, text)
    # a label for each phone of the dictionary, said or not, so that every word can be aligned
    written = {label for _, of in said for label in of}
    known = set() if isinstance(spell, Speller) else set(map(unstressed, spell.phones))
    labels = (BLANK, *sorted(written | known))
    number = {label: k for k, label in enumerate(labels)}
    examples = Recordings([u for u, _ in said], [[number[label] for label in of] for _, of in said])
    trained = train(examples, labels, options, on_epoch, case="lower" if text.characters else None)
    by_id = {u.id: u for u, _ in said}
    failures += [
        Failure(by_id[name], reason, "is it the transcript of another recording?", fault=Fault.TOO_SHORT)
        for name, reason in trained.left_out
    ]
    trained.network.save(out)
    if not text.characters:
        save_dictionary(out, text.dictionary, text.add_words, cmu_dictionary() if text.english else None)
    return Summary(
        utterances=len(said) - len(trained.left_out),
        labels=labels[1:],
        history=trained.history,
        failures=(*found.failures, *failures),
    )


def _labelled(
    utterances: Sequence[Utterance], spell: Pronouncer | Speller, text: Text
) -> tuple[list[tuple[Utterance, list[str]]], list[Failure]]:
    """Return the utterances that can be read with their labels, and a failure for each of the others."""
    said, failures = [], []
    for utterance in utterances:
        try:
            audio.read(utterance, SAMPLE_RATE)
            said.append((utterance, _labels(utterance, spell, text)))
        except DataError as error:
            failures.append(Failure.of(utterance, error))
    return said, failures


def _labels(utterance: Utterance, spell: Pronouncer | Speller, text: Text) -> list[str]:
    """Return an utterance's labels: phones of each word's first pronunciation, without stress; or letters.

    Noises have none: blanks take their place.

    Raises
    ------
    DataError
        If there is no word, or speech that nobody understood, which must not be learnt as a blank.
    """
    tokens = text.tokens(utterance.transcript, utterance.speaker)
    spoken = [w for w in spell.of(utterance.speaker)(tokens)[0] if not BRACKETED.fullmatch(w.word)]
    noises = [w for t in tokens for w in t.spoken if BRACKETED.fullmatch(w) and not t.phones]
    if not spoken or any(is_unclear(noise[1:-1]) for noise in noises):
        rule = "it has stretches that nobody understood" if spoken else "it has no words"
        remedy = "take the recording out, or write what is said"
        raise DataError("transcript", rule, remedy, fault=Fault.BRACKETS)
    labels = [p for word in spoken for p in word.pronunciations[0].phones]
    return labels if text.characters else [unstressed(p) for p in labels]
