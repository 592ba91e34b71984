"""What the user of a run should know before it: lines of dictionaries that are of no use, words that lack."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from unicodedata import normalize

from aligner.backends.abilities import Pronouncing
from aligner.backends.base import AnyBackend, tokens_of
from aligner.backends.dtw import EspeakPronouncer
from aligner.text.dictionaries import few_words
from aligner.text.lexicon import Pronouncer
from aligner.text.normalise import BRACKETED
from aligner.text.spelling import Speller
from aligner.types import Caution, DataError, Fault, Utterance

MOST_READ = 2000  # utterances from which it is known whether a dictionary is that of the corpus


def cautions(
    utterances: Sequence[Utterance], backend: AnyBackend, *, whole: bool = False
) -> tuple[Caution, ...]:
    """Return what the user should know of the dictionaries that a backend looks words up in.

    Parameters
    ----------
    utterances : sequence of Utterance
        What is to be aligned.
    backend : Backend
    whole : bool
        Whether they are all that there is, so that a speaker who says nothing is misspelled.
    """
    pronounce = backend.pronounce if isinstance(backend, Pronouncing) else None
    if isinstance(pronounce, Speller):
        return _of_no_use(backend)
    if isinstance(pronounce, EspeakPronouncer):
        return pronounce.cautions
    if not isinstance(pronounce, Pronouncer):
        return ()
    dictionary = backend.options.dictionary
    if dictionary is None:
        return pronounce.cautions
    found = (*pronounce.cautions, *(_strangers(utterances, pronounce, dictionary) if whole else ()))
    some = utterances[:: max(1, -(-len(utterances) // MOST_READ))]
    return (*found, *few_words(_said(some, backend), pronounce, dictionary))


def _of_no_use(backend: AnyBackend) -> tuple[Caution, ...]:
    """A warning for each file of pronunciations that is named where words are spelled."""
    options = backend.options
    rule = f"it is not used, for {backend.traits.about} writes letters, not phones"
    named = [(options.dictionary, "--dictionary")] if options.dictionary is not None else []
    return tuple(
        Caution(where=str(path), rule=rule, remedy=f"leave out {option}", fault=Fault.DICTIONARY)
        for path, option in [*named, *((added, "--add-words") for added in options.added)]
    )


def _strangers(
    utterances: Sequence[Utterance], pronounce: Pronouncer, dictionary: Path
) -> tuple[Caution, ...]:
    """A warning where a dictionary is named for speakers who say nothing."""
    unknown = sorted(pronounce.speakers.keys() - {normalize("NFC", u.speaker) for u in utterances})
    if not unknown:
        return ()
    rule = f"it names speakers who are not in the corpus: {', '.join(map(repr, unknown))}"
    remedy = "a speaker is a folder of recordings, or who a TextGrid or a table names"
    return (Caution(where=str(dictionary), rule=rule, remedy=remedy, fault=Fault.DICTIONARY),)


def _said(utterances: Sequence[Utterance], backend: AnyBackend) -> Iterator[tuple[str, str]]:
    """The words of utterances, each with its speaker; what cannot be read fails when its turn has come."""
    for utterance in utterances:
        with suppress(DataError):
            for token in tokens_of(utterance.transcript, backend.traits, utterance.id, utterance.speaker):
                yield from ((utterance.speaker, w) for w in token.spoken if not BRACKETED.fullmatch(w))
