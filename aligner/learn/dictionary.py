"""The dictionary of a trained model: the words of its corpus, then those of the dictionary it learnt with."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from aligner.formats.files import write_text
from aligner.learn.pronouncing import Text
from aligner.models import saved
from aligner.text.dictionaries import SPEAKERS, Dictionaries, read_dictionaries
from aligner.text.lexicon import Lexicon
from aligner.text.orthography import key
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
    """Return the words of a corpus, with the pronunciations that its training began with.

    Speakers may have dictionaries of their own: then a word has the pronunciations of all of them.
    """
    found: dict[str, Sequence[Pronunciation]] = {}
    for e in [e for e in examples if e.spelled]:
        for word, said in zip(e.spelled, e.words, strict=True):
            before = found.setdefault(word, said)
            if before is not said and before != said:
                found[word] = tuple(dict.fromkeys((*before, *said)))
    return found


def save_dictionary(
    folder: Path, dictionary: Path | None, add_words: Sequence[Path], own: Path | None
) -> None:
    """Save the dictionary of a model that is made of another: the one named or its own, with words added.

    Parameters
    ----------
    folder : Path
        The folder of the new model.
    dictionary : Path or None
        See `aligner.text.dictionaries.read_dictionaries`, as of the others.
    add_words : sequence of Path
    own : Path or None
    """
    plain = dictionary or own
    if plain is not None and not add_words and plain.suffix.lower() not in SPEAKERS:
        shutil.copyfile(plain, folder / saved.DICTIONARY)
    elif plain is not None:
        books = read_dictionaries(dictionary, add_words, own=own)
        write_text(folder / saved.DICTIONARY, "".join(_others(books, set())))


def lines(text: Text, words: Pronunciations) -> Iterator[str]:
    """Yield the lines of a dictionary: ``words`` first, then what else the user's own dictionary has."""
    keyed: dict[str, Sequence[Pronunciation]] = {}
    for word, said in words.items():
        keyed.setdefault(key(word), said)
    books = text.books
    stressed = _stressed(books.default) if books is not None else _as_they_are
    for word, said in sorted(keyed.items()):
        for p in said:
            yield "\t".join([word, *_probabilities(p), " ".join(stressed(word, p.phones))]) + "\n"
    if books is not None:
        yield from _others(books, set(keyed))


def _others(books: Dictionaries, done: set[str]) -> Iterator[str]:
    """Yield the lines of dictionaries, but for words that are done; of a word, those of the first that has
    it.
    """
    for book in (books.default, *books.speakers.values()):
        for layer in book.layers:
            new = layer.entries.keys() - done
            done |= new
            yield from (
                f"{word}\t{line}\n"
                for word, rest in layer.entries.items()
                if word in new
                for line in rest.split("\n")
            )


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
    columns = (p.probability, p.silence_after, p.silence_before, p.no_silence_before)
    return [str(float(f"{v:g}")) for v in columns]  # with a point: 1 may be a phone
