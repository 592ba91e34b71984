"""Words whose times are known: bounds that an alignment keeps, whatever a model would prefer.

An utterance with `Utterance.known` words is searched with each state of the graph confined to its word
(`spans`), and the phones that are found are then laid into their words to the last digit (`laid`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from aligner.formats.silences import is_silence
from aligner.graph import NONE, Graph
from aligner.refine.boundaries import Refined
from aligner.refine.thresholds import Test
from aligner.text.normalise import Token
from aligner.types import DECIMALS, SILENCE_LABEL, Clock, DataError, Edge, Fault, Interval, Suspicion

MOST_BEYOND = 0.1  # s by which words may go on after a recording has ended
TOUCHING = 0.001  # s between labels and the end of a recording that are rounding
EDGE_SLACK = 0.02  # s that a model may be off where people put the edge of a word
LEAST_SLACK = 0.05  # s by which words are wider where no path goes through them
MOST_SHIFTED = 0.03  # s that a search may be off at a word's edge; a word that is further off is stretched
SHORTENED = 2 / 3  # of its least duration in a search that refinement may leave of a phone
LEAST_PHONE = 0.01  # s that a phone keeps within a word that is long enough


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """The words of an utterance with their times."""

    words: tuple[Interval, ...]
    """Words and silences as they are labelled, in seconds from the start of the recording; they fill the
    utterance."""

    tokens: tuple[int, ...]
    """The token of each, ascending; `NONE` for a silence."""

    @cached_property
    def by_token(self) -> dict[int, Interval]:
        """The word of each token."""
        return {token: word for token, word in zip(self.tokens, self.words, strict=True) if token != NONE}


def read_words(
    known: Sequence[Interval], start: float, end: float, read: Callable[[str], Sequence[Token]], where: str
) -> tuple[tuple[Token, ...], Bounds]:
    """Read words whose times are known: a token for each, however many words are said for it.

    Parameters
    ----------
    known : sequence of Interval
        The words in order of time; what has no words, and what lies between them, is silence.
    start, end : float
        Where the utterance begins and ends, in seconds.
    read : callable
        Splits a label into tokens, such as `aligner.text.normalise.normalise`.
    where : str
        The file, for errors.

    Raises
    ------
    DataError
        If there is no word, one overlaps the one before, or ends after the recording.

    Examples
    --------
    >>> from aligner.text.normalise import normalise
    >>> words = [Interval(0.2, 0.5, "18-year-old"), Interval(0.5, 0.9, "")]
    >>> tokens, bounds = read_words(words, 0.0, 1.0, normalise, "a")
    >>> [t.spelling for t in tokens], [(w.start, w.label) for w in bounds.words], bounds.tokens
    (['18-year-old'], [(0.0, ''), (0.2, '18-year-old'), (0.5, ''), (0.9, '')], (-1, 0, -1, -1))
    """
    tokens: list[Token] = []
    numbers: list[int] = []
    words = _filled(known, start, end, where)
    for word in words:
        said = () if is_silence(word.label) else read(word.label)
        numbers.append(len(tokens) if said else NONE)
        if said:
            spoken = tuple(w for token in said for w in token.spoken)
            phones = said[0].phones if len(said) == 1 else ()
            tokens.append(Token(word.label.strip(), spoken, phones))
    if not tokens:
        raise DataError(
            where, "no interval of its words has a word", "write what is said", fault=Fault.EMPTY_TRANSCRIPT
        )
    return tuple(tokens), Bounds(words=tuple(words), tokens=tuple(numbers))


def _filled(known: Sequence[Interval], start: float, end: float, where: str) -> list[Interval]:
    """Words that fill ``start`` to ``end``, with silences in their gaps."""
    words: list[Interval] = []
    at = round(start, DECIMALS)
    last = round(end, DECIMALS)
    for word in known:
        if word.end <= word.start:
            raise _bad_times(where, word, "it ends before it begins")
        a, b = (round(min(t, last), DECIMALS) for t in (word.start, word.end))
        if word.label.strip() and (word.end > end + MOST_BEYOND or a >= b):
            raise _bad_times(where, word, f"the recording ends at {end:.2f} s")
        if a < at - TOUCHING:
            raise _bad_times(where, word, "it begins before the one before it ends")
        if a > at + TOUCHING:
            words.append(Interval(at, a, SILENCE_LABEL))
        begin = words[-1].end if words else at
        if b > begin:
            words.append(Interval(begin, b, word.label))
            at = b
    if last > at + TOUCHING or not words:
        words.append(Interval(at, last, SILENCE_LABEL))
    words[-1] = Interval(words[-1].start, last, words[-1].label)
    return words


def _bad_times(where: str, word: Interval, why: str) -> DataError:
    rule = f"the word {word.label!r} is said to last from {word.start:.2f} to {word.end:.2f} s, but {why}"
    return DataError(where, rule, "are they the words of another recording?", fault=Fault.BAD_TIMES)


def within_words(
    graph: Graph,
    tokens: np.ndarray,
    bounds: Bounds,
    clock: Clock,
    frames: int,
    *,
    silences: bool = True,
) -> Iterator[np.ndarray]:
    """Yield spans of the states (S, 2), each wider than the one before: the first that has a path is to be
    taken, and the last has one if any has.

    Parameters
    ----------
    graph, tokens, frames, silences
        See `spans`.
    bounds : Bounds
    clock : Clock
        Of the frames.
    """
    begin = bounds.words[0].start
    times = {
        t: (clock.frame(w.start - begin), clock.frame(w.end - begin)) for t, w in bounds.by_token.items()
    }
    slack = 0.0
    while slack < clock.seconds(frames):
        wider = (EDGE_SLACK + slack) / clock.seconds(1)
        yield spans(graph, tokens, times, frames, slack=wider, silences=silences)
        slack = max(2 * slack, LEAST_SLACK)
    yield np.tile([0, frames], (len(tokens), 1))


def spans(
    graph: Graph,
    tokens: np.ndarray,
    times: Mapping[int, tuple[float, float]],
    frames: int,
    *,
    slack: float = 0.0,
    silences: bool = True,
) -> np.ndarray:
    """The first frame, and the last + 1, that each state (S, 2) may be in.

    A state may be in its word, and a silence in the gap between two words.  A word that is too short for its
    phones takes the frames that it lacks from its neighbours.

    Parameters
    ----------
    graph : Graph
    tokens : ndarray
        (S,) the token of each state; `NONE` for those between tokens.
    times : mapping of int to (float, float)
        Begin and end of each token, in frames and parts of one.
    frames : int
        How many there are.
    slack : float
        Frames by which all may be wider.
    silences : bool
        Whether what stands between words is confined, too; blanks of networks are not.
    """
    present = np.unique(tokens[tokens != NONE])
    wanted = np.array([times[t] for t in present]).round().clip(0, frames)
    least, least_silence = _least(graph, tokens, present)
    words = _widened(wanted, least, frames)
    quiet = np.stack([np.append(0, wanted[:, 1]), np.append(wanted[:, 0], frames)], 1)
    if silences:
        words = _without_slivers(words, quiet, least_silence)
    place = np.searchsorted(present, np.maximum.accumulate(tokens))  # of the word, or the one before
    first = np.maximum.accumulate(tokens) == NONE
    inside = words[np.minimum(place, len(words) - 1)]
    gaps = quiet[np.where(first, 0, place + 1)] if silences else np.array([[0.0, frames]])
    found = np.where((tokens == NONE)[:, None], gaps, inside) + np.array([-slack, slack])
    confined: np.ndarray = found.round().clip(0, frames).astype(np.int64)
    return confined


def _least(graph: Graph, tokens: np.ndarray, present: np.ndarray) -> tuple[np.ndarray, int]:
    """The least number of frames that a path takes in each token (K,), and in a silence between tokens."""
    count, leaves = np.ones(len(tokens), np.int64), np.isfinite(graph.final)
    for s, row in enumerate(graph.predecessors):  # one pass: the order is topological
        before = row[(row != NONE) & (row != s)]
        same = tokens[before] == tokens[s]
        leaves[before[~same]] = True
        if len(before) and same.all() and not np.isfinite(graph.start[s]):
            count[s] = count[before].min() + 1
    ends = np.flatnonzero(leaves)
    least = np.full(len(present), np.iinfo(np.int64).max // 2)
    spoken = ends[tokens[ends] != NONE]
    np.minimum.at(least, np.searchsorted(present, tokens[spoken]), count[spoken])
    silent = ends[tokens[ends] == NONE]
    return least, int(count[silent].min()) if len(silent) else 0


def _widened(wanted: np.ndarray, least: np.ndarray, frames: int) -> np.ndarray:
    """Spans (K, 2) in which words have the frames that they need at ``least`` (K,), one after the other."""
    lack = np.maximum(least - (wanted[:, 1] - wanted[:, 0]), 0)
    begins = (wanted[:, 0] - np.ceil(lack / 2)).clip(0)
    ends = (wanted[:, 1] + np.ceil(lack / 2)).clip(0, frames)
    at = frames
    for k in range(len(least) - 1, -1, -1):  # from the right: each begins early enough
        at = max(min(ends[k], at) - least[k], 0)
        begins[k] = min(begins[k], at)
    at = 0
    for k in range(len(least)):  # from the left: each ends late enough
        at = max(begins[k], at) + least[k]
        ends[k] = min(max(ends[k], at), frames)
    return np.stack([begins, ends], 1)


def _without_slivers(words: np.ndarray, quiet: np.ndarray, least: int) -> np.ndarray:
    """Spans (K, 2) of words that go over silences (K + 1, 2) which are too short for the model."""
    sliver = (quiet[:, 1] - quiet[:, 0] > 0) & (quiet[:, 1] - quiet[:, 0] < least)
    begins = np.where(sliver[:-1], np.minimum(words[:, 0], quiet[:-1, 0]), words[:, 0])
    ends = np.where(sliver[1:], np.maximum(words[:, 1], quiet[1:, 1]), words[:, 1])
    return np.stack([begins, ends], 1)


def is_squeezed(word: Interval, phones: int, shortest: float) -> bool:
    """Whether a word is too short for so many phones, each ``shortest`` seconds at least in a search."""
    return phones > 1 and word.duration < SHORTENED * phones * shortest


def inner_starts(word: Interval, edges: Sequence[float], shortest: float) -> list[float]:
    """Where the phones of a word begin, the first with the word itself.

    Parameters
    ----------
    word : Interval
    edges : sequence of float
        Where its phones begin, and the last ends, as a search has them.
    shortest : float
        Seconds that a phone lasts at least, for the model.

    Examples
    --------
    >>> inner_starts(Interval(1.0, 1.3, "she"), [0.99, 1.1, 1.32], 0.03)
    [1.0, 1.1]
    >>> inner_starts(Interval(1.0, 1.04, "she"), [0.99, 1.02, 1.05], 0.03)
    [1.0, 1.02]
    """
    count = len(edges) - 1
    if is_squeezed(word, count, shortest):
        return [round(t, DECIMALS) for t in np.linspace(word.start, word.end, count + 1)[:-1].tolist()]
    found = np.asarray(edges, float)
    if max(abs(found[0] - word.start), abs(found[-1] - word.end)) > MOST_SHIFTED:
        found = word.start + (found - found[0]) * word.duration / max(found[-1] - found[0], LEAST_PHONE)
    order, least = np.arange(count), min(LEAST_PHONE, word.duration / count)
    # each as far from both ends as there are phones between
    inside = np.clip(found[:-1], word.start + order * least, word.end - (count - order) * least)
    inside = np.maximum.accumulate(inside - order * least) + order * least
    return [round(word.start, DECIMALS), *(round(t, DECIMALS) for t in inside[1:].tolist())]


def members(phones: Sequence[Interval], words: Sequence[Interval]) -> list[range]:
    """The places of each word's phones, where phones fill the words exactly."""
    begins = np.searchsorted([p.start for p in phones], [w.start for w in words]).tolist()
    return [range(a, b) for a, b in zip(begins, [*begins[1:], len(phones)], strict=True)]


def pinned(refined: Refined, phones: Sequence[Interval], bounds: Bounds, shortest: float) -> Refined:
    """The phones of a refinement within their words.

    Parameters
    ----------
    refined : Refined
    phones : sequence of Interval
        The same phones as they were before, which fill their words exactly.
    bounds : Bounds
    shortest : float
        Seconds that a phone lasts at least, for the model.
    """
    starts: list[float] = []
    for word, places in zip(bounds.words, members(phones, bounds.words), strict=True):
        edges = [word.start, *(refined.phones[k].start for k in places[1:]), word.end]
        starts += inner_starts(word, edges, shortest)
    ends = [*starts[1:], bounds.words[-1].end]
    placed = tuple(replace(p, start=a, end=b) for p, a, b in zip(refined.phones, starts, ends, strict=True))
    sure = {word.start for word in bounds.words}
    edges_there = refined.edges and [
        Edge(p.start, p.start, p.start)
        if p.start in sure
        else Edge(p.start, min(edge.low, p.start), max(edge.high, p.start))
        for p, edge in zip(placed[1:], refined.edges, strict=True)
    ]
    return Refined(placed, tuple(edges_there))


def squeezed(phones: Sequence[Interval], bounds: Bounds, shortest: float) -> Iterator[Suspicion]:
    """Yield a suspicion for each word that is shorter than its phones take at least."""
    for word, places in zip(bounds.words, members(phones, bounds.words), strict=True):
        if is_squeezed(word, len(places), shortest):
            text = (
                f"{word.label!r} lasts {1000 * word.duration:.0f} ms, and its {len(places)} phones take "
                f"{1000 * len(places) * shortest:.0f} at least: they share it evenly"
            )
            yield Suspicion(test=Test.SHORT_WORD, text=text, at=word.start)
