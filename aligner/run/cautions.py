"""What the user of a run should know before it: lines of dictionaries that are of no use, words that lack."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

from aligner.backends.abilities import Pronouncing
from aligner.backends.base import AnyBackend, tokens_of
from aligner.text.dictionaries import few_words
from aligner.text.lexicon import Pronouncer
from aligner.text.normalise import BRACKETED
from aligner.types import Caution, DataError, Utterance

MOST_READ = 2000  # utterances from which it is known whether a dictionary is that of the corpus


def cautions(utterances: Sequence[Utterance], backend: AnyBackend) -> tuple[Caution, ...]:
    """Return what the user should know of the dictionaries that a backend looks words up in.

    Parameters
    ----------
    utterances : sequence of Utterance
        What is to be aligned.
    backend : Backend
    """
    pronounce = backend.pronounce if isinstance(backend, Pronouncing) else None
    if not isinstance(pronounce, Pronouncer):
        return ()
    dictionary = backend.options.dictionary
    if dictionary is None:
        return pronounce.cautions
    some = utterances[:: max(1, -(-len(utterances) // MOST_READ))]
    return (*pronounce.cautions, *few_words(_said(some, backend), pronounce, dictionary))


def _said(utterances: Sequence[Utterance], backend: AnyBackend) -> Iterator[tuple[str, str]]:
    """The words of utterances, each with its speaker; what cannot be read fails when its turn has come."""
    for utterance in utterances:
        with suppress(DataError):
            for token in tokens_of(utterance.transcript, backend.traits, utterance.id, utterance.speaker):
                yield from ((utterance.speaker, w) for w in token.spoken if not BRACKETED.fullmatch(w))
