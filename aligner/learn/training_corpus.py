"""The corpus of a training, read: cepstra of the recordings, pronunciations of the transcripts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from aligner.corpus import audio
from aligner.corpus.find import find
from aligner.features import Moments
from aligner.learn.guide import Guide, guided, placed
from aligner.learn.hmm_options import Options
from aligner.learn.pronouncing import Text, phones_of, speller
from aligner.text.dictionaries import few_words
from aligner.text.lexicon import Pronouncer, SpokenWord
from aligner.text.normalise import BRACKETED, Token
from aligner.text.phones import unstressed
from aligner.train.em import Example, GuidedPhone
from aligner.types import NOISE_LABEL, Caution, DataError, Failure, Pronunciation, Utterance

# How recordings are heard: without margins, for a flat start cuts an utterance into equal pieces, and phones
# would get a part of them (TIMIT's 80 sentences: 20.9 ms, not 14.5)
RESTS = audio.Rests.FILLED
Progress = Callable[[str, int, int], None]  # called with what is done, how much of it, of how much


@dataclass(frozen=True, kw_only=True)
class TrainingCorpus:
    """A corpus that has been read, ready to be learnt from."""

    utterances: Sequence[Utterance]
    """The utterances that can be learnt from."""
    examples: Sequence[Example]
    """Their cepstra and pronunciations, in the same order."""
    labels: tuple[str, ...]
    """The phones of the corpus and its dictionary."""
    failures: Sequence[Failure]
    """What cannot be learnt from, and why."""
    seconds: float
    """The length of the speech."""
    guide: Guide | None = None
    """What aligned the corpus before; None where nothing did."""
    notes: tuple[str, ...] = ()
    """What the user should know of how it was read."""

    def phone_counts(self) -> Counter[str]:
        """Count how often each phone is said, by the first pronunciation of each word."""
        return Counter(p for e in self.examples for w in e.words for p in w[0].phones)


def cautions(corpus: Path, text: Text) -> tuple[Caution, ...]:
    """Return what the user should know before a training: of the corpus, of bad lines of the dictionaries, of
    words that these lack.

    Parameters
    ----------
    corpus : Path
        The folder of recordings and transcripts.
    text : Text
        How transcripts are read.

    Raises
    ------
    DataError
        If there is no corpus, or a dictionary is at fault.
    """
    found = find(corpus)
    if text.books is None:
        return found.cautions
    spell = speller(text, ())
    if text.dictionary is None or not isinstance(spell, Pronouncer):
        return (*found.cautions, *text.books.cautions())
    said = []
    for u in found.utterances:
        with suppress(DataError):
            tokens = text.tokens(u.transcript, u.speaker)
            said += [(u.speaker, w) for t in tokens for w in t.spoken if not BRACKETED.fullmatch(w)]
    return (*found.cautions, *text.books.cautions(), *few_words(said, spell, text.dictionary))


def read_training_corpus(
    corpus: Path,
    text: Text,
    options: Options,
    on_progress: Progress = lambda *_: None,
    *,
    guide: Guide | None = None,
) -> TrainingCorpus:
    """Read a corpus: what is said, by whom, and the normalised cepstra of the recordings.

    Parameters
    ----------
    corpus : Path
        The folder of recordings and transcripts.
    text : Text
        How transcripts are read.
    options : Options
        How features are computed, by how many threads, on which device.
    on_progress : callable
        Called after each recording.
    guide : Guide, optional
        Alignments to start from, where they are known.

    Raises
    ------
    DataError
        If there is no corpus, or the dictionary is at fault.
    ModelError
        If eSpeak is needed and missing.
    """
    found = find(corpus)
    failures = list(found.failures)
    tokens = _tokens(found.utterances, text, failures)
    spell = speller(text, [word for of in tokens.values() for token in of for word in token.spoken])
    readable = [u for u in found.utterances if u.id in tokens]
    guide, notes = (guide, ()) if guide is not None else _guide(readable, options, on_progress)
    if guide is not None:
        failures += guide.failures
        readable = [a.utterance for a in guide.alignments.values()]
        tokens = _tokens(readable, text, failures)  # of some it has a piece
        readable = [u for u in readable if u.id in tokens]
    spoken: dict[str, list[SpokenWord]] = {}
    cepstra: dict[str, Tensor] = {}
    for u, result in _each_read(readable, options, on_progress):
        try:
            if isinstance(result, DataError):
                raise result
            spoken[u.id], _ = spell.of(u.speaker)(tokens[u.id])
            cepstra[u.id] = result
        except DataError as error:
            failures.append(Failure.of(u, error))
    usable = [u for u in readable if u.id in cepstra]
    noises = _noises(guide, options) if guide is not None else []
    places = _places(usable, guide, tokens, spoken, cepstra, options) if guide is not None else {}
    return TrainingCorpus(
        utterances=usable,
        labels=phones_of(spell, list(spoken.values())),
        examples=[*_examples(usable, cepstra, spoken, places, options), *noises],
        failures=failures,
        seconds=options.frontend.clock.seconds(sum(map(len, cepstra.values()))),
        guide=guide,
        notes=notes,
    )


def _noises(guide: Guide, options: Options) -> list[Example]:
    """Examples of sound that the transcripts lack, each one noise from start to end."""
    noise = ((Pronunciation((NOISE_LABEL,)),),)
    found = []
    for u, cepstra in _each_read(guide.untranscribed, options, lambda *_: None):
        if isinstance(cepstra, Tensor) and len(cepstra):
            found.append(
                Example(
                    id=u.id,
                    speaker=u.speaker,
                    cepstra=options.frontend.normalise(cepstra),
                    words=noise,
                    guide=(GuidedPhone(NOISE_LABEL, len(cepstra)),),
                )
            )
    return found


def _places(
    utterances: Sequence[Utterance],
    guide: Guide,
    tokens: Mapping[str, tuple[Token, ...]],
    spoken: Mapping[str, list[SpokenWord]],
    cepstra: Mapping[str, Tensor],
    options: Options,
) -> dict[str, tuple[GuidedPhone, ...]]:
    """What a guide finds in the frames of each utterance."""
    clock = options.frontend.clock
    return {
        u.id: placed(
            guide.alignments[u.id],
            spoken[u.id],
            tokens=len(tokens[u.id]),
            clock=clock,
            frames=len(cepstra[u.id]),
        )
        for u in utterances
    }


def _tokens(
    utterances: Sequence[Utterance], text: Text, failures: list[Failure]
) -> dict[str, tuple[Token, ...]]:
    """The words of each utterance that can be read; of the others a failure is added."""
    found: dict[str, tuple[Token, ...]] = {}
    for utterance in utterances:
        try:
            found[utterance.id] = text.tokens(utterance.transcript, utterance.speaker)
        except DataError as error:
            failures.append(Failure.of(utterance, error))
    return found


def _guide(
    utterances: Sequence[Utterance], options: Options, on_progress: Progress
) -> tuple[Guide | None, tuple[str, ...]]:
    """The alignments that a training starts from (None begins flat), and what is to be said of them."""
    if options.start is None:
        return None, ()
    guide = guided(utterances, options.start, lambda done: on_progress("aligning", done, len(utterances)))
    return (guide, ()) if guide.doubt is None else (None, (guide.doubt,))


def _each_read(
    utterances: Sequence[Utterance], options: Options, on_progress: Progress
) -> Iterator[tuple[Utterance, Tensor | DataError]]:
    """Yield each utterance with its cepstra, or with why they cannot be had."""

    def cepstra(utterance: Utterance) -> Tensor | DataError:
        try:
            sound = audio.read(utterance, options.frontend.clock.rate, rests=RESTS)
        except DataError as error:
            return error
        return options.frontend.cepstra(torch.from_numpy(sound.wave).to(options.device))

    with ThreadPoolExecutor(options.jobs) as pool:
        for k, (utterance, result) in enumerate(
            zip(utterances, pool.map(cepstra, utterances), strict=True), start=1
        ):
            on_progress("reading", k, len(utterances))
            yield utterance, result


def _examples(
    utterances: Sequence[Utterance],
    cepstra: Mapping[str, Tensor],
    spoken: Mapping[str, list[SpokenWord]],
    places: Mapping[str, tuple[GuidedPhone, ...]],
    options: Options,
) -> Iterator[Example]:
    """Yield examples whose cepstra are normalised by utterance and speaker."""
    voices: dict[str, Moments] = {}
    for u in utterances:
        own = options.frontend.moments(cepstra[u.id])
        voices[u.speaker] = voices[u.speaker] + own if u.speaker in voices else own
    for u in utterances:
        said = spoken[u.id]
        yield Example(
            id=u.id,
            speaker=u.speaker,
            cepstra=options.frontend.normalise(cepstra[u.id], voices[u.speaker]),
            words=tuple(tuple(_without_probabilities(w.pronunciations)) for w in said),
            spelled=tuple(w.word for w in said),
            guide=places.get(u.id, ()),
        )


def _without_probabilities(pronunciations: Sequence[Pronunciation]) -> Iterator[Pronunciation]:
    """Yield pronunciations without stress, which is not heard, and without the probabilities of a
    dictionary, which are of other speech.
    """
    yield from dict.fromkeys(Pronunciation(tuple(map(unstressed, p.phones))) for p in pronunciations)
