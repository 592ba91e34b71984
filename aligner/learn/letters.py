"""Whether letters tell better than a voice how the words of a corpus sound.

A voice of another language or of another variety says wrong phones: the same phone then stands for several
sounds, and no model of it fits any of them. Letters are consistent in most orthographies. Both are tried on a
few minutes, with as many Gaussians: the likelihood of the speech tells which fits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from aligner.learn.hmm_options import Options
from aligner.learn.pronouncing import Text
from aligner.learn.training_corpus import TrainingCorpus, read_training_corpus
from aligner.train.stages import Stage, TrainingSet, train
from aligner.types import DataError

TRIAL: Sequence[Stage] = (Stage(kind="monophone", iterations=10, gaussians=300, most=6),)
# nats a frame from which letters are taken: right voices (Spanish, Italian, Russian) were 0.0 to 0.16 better
# than letters, wrong ones 0.34 to 0.39 worse
LEAST_GAIN = 0.1
# letters for each phone of the voice, up to which the two are compared: more labels fit better by themselves,
# as those of Chinese would
MOST_LABELS = 1.5
LEAST_SPELLED = 0.95  # share of the utterances that can be spelled; others have digits, or no alphabet


def fitting(corpus: Path, text: Text, read: TrainingCorpus, options: Options) -> tuple[Text, TrainingCorpus]:
    """Return how a corpus is best read: as eSpeak pronounces it, or by its letters; and the corpus so read.

    Parameters
    ----------
    corpus : Path
        The folder of recordings and transcripts.
    text : Text
        How its transcripts were read.
    read : TrainingCorpus
        The corpus as it was read so.
    options : Options
    """
    if text.letters_to_phones != "espeak" or text.add_words:
        return text, read
    letters = replace(text, characters=True)
    try:
        spelled = read_training_corpus(corpus, letters, options, guide=read.guide)
    except DataError:
        return text, read
    few = len(spelled.utterances) < LEAST_SPELLED * len(read.utterances)
    if few or len(spelled.labels) > MOST_LABELS * len(read.labels):
        return text, read
    gain = likelihood(spelled, options) - likelihood(read, options)
    if gain < LEAST_GAIN:
        return text, read
    note = (
        f"letters stand for phones: they fit the recordings better than the pronunciations of eSpeak's voice "
        f"{text.voice!r}, by {gain:.2f} nats a frame; --no-characters takes these"
    )
    return letters, replace(spelled, notes=(*spelled.notes, note))


def likelihood(read: TrainingCorpus, options: Options) -> float:
    """Return the log-likelihood per frame of some minutes of a corpus by phones without context."""
    speech = TrainingSet(examples=read.examples, labels=read.labels, em=options.em, seed=options.seed)
    *_, last = train(speech, TRIAL, options.frontend)
    assert last.statistics is not None
    return last.statistics.log_likelihood / max(last.statistics.frames, 1)
