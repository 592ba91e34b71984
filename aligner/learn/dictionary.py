"""The dictionary of a trained model: the words of its corpus, then those of the dictionary it learnt with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from aligner.formats.files import read_text, write_text
from aligner.learn.pronouncing import Text
from aligner.models import saved
from aligner.models.store import cmu_dictionary
from aligner.text.lexicon import Lexicon
from aligner.text.phones import unstressed
from aligner.text.stress import with_stress
from aligner.train.em import Example
from aligner.types import Pronunciation

Pronunciations = Mapping[str, Sequence[Pronunciation]]  # by word


def write_dictionary(folder: Path, text: Text, words: Pronunciations) -> None:
    """Write the dictionary of a model into its folder, unless the model knows words by their letters."""
    if not text.characters:
        write_text(folder / saved.DICTIONARY, "".join(lines(text, words)))


def pronunciations_of(examples: Sequence[Example]) -> Pronunciations:
    """Return the words of a corpus, with the pronunciations that its training began with."""
    return {word: said for e in examples for word, said in zip(e.spelled, e.words, strict=True)}


def lines(text: Text, words: Pronunciations) -> Iterator[str]:
    """Yield the lines of a dictionary: ``words`` first, then what else the user's own dictionary has."""
    lowered: dict[str, Sequence[Pronunciation]] = {}
    for word, said in words.items():
        lowered.setdefault(word.lower(), said)
    path = text.dictionary or (cmu_dictionary() if text.english else None)
    before = read_text(path) if path is not None else ""
    stressed = _stressed(Lexicon.parse(before, bool, path)) if path is not None else _as_they_are
    for word, said in sorted(lowered.items()):
        for p in said:
            yield "\t".join([word, *_probabilities(p), " ".join(stressed(word, p.phones))]) + "\n"
    if path is not None:
        for line in before.split("\n"):
            key = line.split("(")[0].split()
            if key and key[0].lower() not in lowered:
                yield f"{line}\n"


def _as_they_are(_: str, phones: Sequence[str]) -> Sequence[str]:
    return phones


def _stressed(book: Lexicon) -> Callable[[str, Sequence[str]], Sequence[str]]:
    """What gives the phones of a word, which were learnt without stress, the stress of a dictionary again."""
    if not book.stressed:
        return _as_they_are

    def lay(word: str, phones: Sequence[str]) -> Sequence[str]:
        known = (p.phones for p in book.lookup(word))
        same = (k for k in known if tuple(map(unstressed, k)) == tuple(phones))
        return next(same, None) or with_stress(phones)

    return lay


def _probabilities(p: Pronunciation) -> list[str]:
    """Return the four probabilities of a pronunciation, in the Montreal Forced Aligner's order; none if it
    has none.
    """
    if p.silence_after is None:
        return []
    return [f"{v:g}" for v in (p.probability, p.silence_after, p.silence_before, p.no_silence_before)]
