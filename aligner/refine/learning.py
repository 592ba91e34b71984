"""Learning from boundaries that people corrected: lessons in, a `BoundaryModel` out, with figures of what it
is worth.

Every figure is of boundaries that the networks behind it have not seen: speakers are left out in turn
(sentences, where there is but one speaker).  What they say there also decides how far they are believed, and
how wide the intervals around boundaries must be (Romano, Patterson & Candes 2019, "Conformalized quantile
regression").
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import ceil
from typing import NamedTuple

import numpy as np
import torch
from scipy.special import stdtrit
from torch import Tensor
from torch.nn.functional import log_softmax, pad

from aligner.models.boundary import (
    BANDS,
    CANDIDATE_REACH,
    BoundaryModel,
    BoundaryNetwork,
    frames_around,
    mixed_with_prior,
    normalised,
    phone_and_class_numbers,
)
from aligner.models.head import Head
from aligner.refine.boundaries import LEAST_WIDTH, MedianGrid, Refined, moved, place_at_medians
from aligner.refine.habits import class_offsets
from aligner.refine.segments import PLACE_STEP, BoundaryDistributions
from aligner.text.phones import phone_class, unstressed
from aligner.types import COVERAGE, Interval

FEWEST_LESSONS, FEWEST_PARTS = 5, 10  # lessons from which anything is learnt; parts of fewer
FEWEST_BOUNDARIES = 10  # known boundaries from which anything is learnt
FEWEST_OF_A_KIND = 5  # known boundaries between two classes of phones, from which something is said of them
FOLDS = 4  # parts of the lessons that are left out in turn
NETWORKS = 2  # networks whose average counts in the end
BELIEF_SHARES = (0.25, 0.5, 0.75, 1.0)  # how far the networks may be believed; the best is taken
BATCH_PIECES = 8  # pieces of lessons that a step learns from
PIECE_BOUNDARIES = 48  # boundaries in a piece
# steps of learning where boundaries are few, where there are more, and where there are many
STEPS_FEW, STEPS, STEPS_MANY = 150, 300, 600
FEW_BOUNDARIES, MANY_BOUNDARIES = 400, 6000
LEARNING_RATE, WEIGHT_DECAY = 3e-3, 1e-2  # of AdamW
LABEL_DEVIATION = 0.005  # s; how sharply a hand label is one
FARTHEST_LABEL = 0.2  # s; what is farther off is another phone, and nothing is learnt from it
ERROR_SCALE = 0.01  # s of expected error that weigh as much as a nat
INDEPENDENT_SHARE = 0.25  # share of the boundaries that say nothing of one another's intervals
# probability with which a gain must be none of chance: at 0.95 two of ten draws of ten sentences were learnt
# from that made others worse
SIGNIFICANCE = 0.975
STRONG_HABIT = 0.1  # share of the mean error that a table of offsets must take away: less is soon chance
# s; where a boundary is nearer or farther off than before by more, it counts as this much when chance is
# judged, lest one that was put to another phone outweighs all others of its sentence
MOST_GAINED = 0.015
# of energies: other vocal tracts, other microphones, other noise
LARGEST_WARP, TILT_SPREAD, NOISE_SPREAD = 0.1, 0.3, 0.2
# fields of a piece that have a row for each boundary
BOUNDARY_FIELDS = ("at", "pairs", "classes", "log_probability", "distance", "target")
CONTEXT_FRAMES = 16  # frames around a piece that its places hear

MapOf = Callable[[Callable[["FitTask"], BoundaryNetwork], Iterable["FitTask"]], Iterable[BoundaryNetwork]]


@dataclass(frozen=True, eq=False, kw_only=True)
class Lesson:
    """An utterance whose boundaries are known."""

    group: str
    """Speaker of the utterance."""
    phones: tuple[Interval, ...]
    """N + 1 phones, as the table of offsets leaves them."""
    energies: Tensor
    """(T, 26) log energies of its sound (see `aligner.features.fine_energies`)."""
    distributions: BoundaryDistributions
    """Distributions of the N boundaries by the sound alone."""
    width: float
    """Width of intervals without a lesson (see `aligner.refine.boundaries.Refinement`)."""
    truth: np.ndarray
    """(N,) where people put them, in seconds from the first phone's start; NaN where that is not known."""
    words: np.ndarray
    """(N,) whether a word begins or ends there."""

    @property
    def labels(self) -> list[str]:
        """The labels of its phones, in their order."""
        return [p.label for p in self.phones]

    @property
    def known(self) -> int:
        """Number of its boundaries whose place is known."""
        return int((~np.isnan(self.truth)).sum())


class LessonPiece(NamedTuple):
    """Consecutive boundaries of a lesson, and the frames around them; see `aligner.models.boundary`."""

    energies: Tensor
    """(T, 26) normalised energies of the piece."""
    at: np.ndarray
    """(N, W) frame of each place."""
    pairs: np.ndarray
    """(N, 2) numbers of the phones on both sides."""
    classes: np.ndarray
    """(N, 2) numbers of their classes."""
    log_probability: np.ndarray
    """(N, W) of the places by the sound alone."""
    distance: np.ndarray
    """(N, W) seconds of the places from the median."""
    target: np.ndarray
    """(N, W) seconds of the places from where a person put the boundary."""
    known: np.ndarray
    """(N,) whether that is known."""


@dataclass(frozen=True, eq=False)
class FitTask:
    """A network to be learnt: all that `fit_network` needs, so that it may do so in another process."""

    pieces: Sequence[LessonPiece]
    """Pieces of lessons to learn from."""
    phones: int
    """Number of phones, the unknown one included."""
    steps: int
    """Number of steps of the optimiser."""
    seed: int
    """Seed of everything random."""


@dataclass(frozen=True, kw_only=True)
class BoundaryFigures:
    """Errors of boundaries against those of people, and how many the intervals around them hold."""

    mae: float
    """Mean absolute error in ms."""
    median: float
    """Median absolute error in ms."""
    within: tuple[float, float, float]
    """Shares within 10, 20 and 50 ms, in percent."""
    words: float | None
    """Mean absolute error of word boundaries in ms; None where there are none."""
    covered: float
    """Share of people's boundaries within the intervals, in percent."""


@dataclass(frozen=True, kw_only=True)
class LearningResult:
    """What was learnt from lessons, and what it is worth on lessons left out."""

    model: BoundaryModel | None
    """The model; None if it would not help."""
    boundaries: int
    """Number of boundaries that it was learnt from."""
    groups: int
    """Number of speakers that it was learnt from."""
    before: BoundaryFigures
    """Figures without it, on lessons left out."""
    after: BoundaryFigures
    """Figures with it, on lessons left out."""
    gain: float
    """By how much the mean error fell over lessons, in ms."""
    steady: float
    """The same where no boundary counts for more than `MOST_GAINED`."""
    error: float
    """Standard error of ``steady`` over lessons, in ms."""
    words_only: bool = False
    """Whether edges of words alone were learnt from."""
    more: int | None = None
    """How many times as many corrections would show a gain such as this to be none of chance; None where it
    is shown, or there is no gain."""
    rare: tuple[tuple[str, int], ...] = ()
    """Kinds of boundaries, such as ``nasal-vowel``, of which fewer than `FEWEST_OF_A_KIND` are known though
    there are so many, with how many are known; the frequent ones first."""


def learn(
    lessons: Sequence[Lesson],
    backend: str,
    mapped: MapOf = map,
    *,
    as_it_was: Sequence[Lesson] | None = None,
    head: Head | None = None,
) -> LearningResult:
    """Learn from lessons, and find out what it is worth.

    Parameters
    ----------
    lessons : sequence of Lesson
        At least `FEWEST_LESSONS`.
    backend : str
        Whose boundaries they are.
    mapped : callable
        A ``map``, maybe over processes.
    as_it_was : sequence of Lesson, optional
        The same lessons as an untaught backend gives them, against which the gain is measured; these, unless
        given.
    head : Head, optional
        A head that was tuned, by which the lessons were made: what is learnt takes it along.

    Raises
    ------
    ValueError
        If there are too few lessons.
    """
    if len(lessons) < FEWEST_LESSONS:
        raise ValueError(f"{len(lessons)} lessons, not {FEWEST_LESSONS}")
    phones = tuple(sorted({unstressed(label) for lesson in lessons for label in lesson.labels}))
    folds = assign_folds([lesson.group for lesson in lessons])
    networks = list(mapped(fit_network, _tasks(lessons, folds, phones)))
    held_out = _HeldOut.of(
        lessons,
        [BoundaryModel(backend=backend, phones=phones, networks=(networks[fold],)) for fold in folds],
    )
    tried = {share: held_out.errors(held_out.believed(share)) for share in BELIEF_SHARES}
    share = min(tried, key=lambda s: float(np.abs(np.concatenate(tried[s])).mean()))
    model = BoundaryModel(
        backend=backend, phones=phones, networks=tuple(networks[-NETWORKS:]), share=share, head=head
    )
    untaught = lessons if as_it_was is None else as_it_was
    return _result(model, untaught, lessons, held_out.believed(share))


def learn_offsets(lessons: Sequence[Lesson], backend: str) -> LearningResult:
    """Learn from lessons how late boundaries are between classes of phones, and what that is worth.

    It is told from fewer boundaries than networks need, where a habit is strong.

    Parameters
    ----------
    lessons : sequence of Lesson
        At least `FEWEST_LESSONS`.
    backend : str
        Whose boundaries they are.
    """
    folds = assign_folds([lesson.group for lesson in lessons])
    without = [
        _offsets([one for one, other in zip(lessons, folds, strict=True) if other != fold])
        for fold in range(max(folds) + 1)
    ]
    held_out = [
        moved(lesson.distributions, lesson.labels, without[fold])
        for lesson, fold in zip(lessons, folds, strict=True)
    ]
    model = BoundaryModel(backend=backend, phones=(), networks=(), offsets=_offsets(lessons))
    found = _result(model, lessons, lessons, held_out)
    return found if found.gain >= STRONG_HABIT * found.before.mae else replace(found, model=None)


def _offsets(lessons: Sequence[Lesson]) -> Mapping[tuple[str, str], float]:
    """How late the boundaries of lessons are between classes of phones, in seconds."""
    kinds: list[tuple[str, str]] = []
    for lesson in lessons:
        own = pairwise([phone_class(label) for label in lesson.labels])
        kinds += [kind for kind, place in zip(own, lesson.truth.tolist(), strict=True) if place == place]
    return class_offsets(kinds, np.concatenate(_errors(lessons))) if kinds else {}


def _result(
    model: BoundaryModel,
    untaught: Sequence[Lesson],
    lessons: Sequence[Lesson],
    held_out: Sequence[BoundaryDistributions],
) -> LearningResult:
    """What a model is worth, whose like make these distributions of lessons that they have not seen."""
    before, was = _errors(untaught), _figures_by_sound(untaught)
    after = _late_in_each(lessons, held_out)
    gain, _ = _gain(before, after, np.inf)
    steady, error = _gain(before, after, MOST_GAINED)
    width = _width(lessons, held_out)
    placed = [
        place_at_medians(lesson.phones, own, width) for lesson, own in zip(lessons, held_out, strict=True)
    ]
    now = _figures(lessons, placed)
    least = float(stdtrit(max(len(lessons) - 1, 1), SIGNIFICANCE)) * error
    helps = steady > least and now.mae < was.mae
    only_words = words_only(lessons)
    return LearningResult(
        model=replace(model, width=width, words_only=only_words) if helps else None,
        boundaries=sum(map(len, before)),
        groups=len({lesson.group for lesson in lessons}),
        before=was,
        after=now,
        gain=gain,
        steady=steady,
        error=error,
        words_only=only_words,
        more=None if helps else _times_more(min(gain, steady), least),
        rare=rare_kinds(lessons),
    )


def parted(lessons: Sequence[Lesson]) -> list[Lesson]:
    """Lessons, of which there are at least `FEWEST_LESSONS`: fewer are parted, into `FEWEST_PARTS`.

    A part knows the places of consecutive boundaries, and not those of the others.
    """
    parts = [1] * len(lessons)
    most = min(FEWEST_PARTS, sum(lesson.known for lesson in lessons))
    while len(lessons) < FEWEST_LESSONS and sum(parts) < most:
        largest = max(range(len(lessons)), key=lambda k: lessons[k].known / parts[k])
        parts[largest] += 1
    return [one for lesson, count in zip(lessons, parts, strict=True) for one in _in_parts(lesson, count)]


def _in_parts(lesson: Lesson, count: int) -> list[Lesson]:
    """A lesson ``count`` times, with the places of other boundaries each time."""
    if count == 1:
        return [lesson]
    parts = np.array_split(np.flatnonzero(~np.isnan(lesson.truth)), count)
    places = np.arange(len(lesson.truth))
    return [replace(lesson, truth=np.where(np.isin(places, own), lesson.truth, np.nan)) for own in parts]


def words_only(lessons: Sequence[Lesson]) -> bool:
    """Whether only edges of words are known."""
    return all(bool(lesson.words[~np.isnan(lesson.truth)].all()) for lesson in lessons)


def rare_kinds(lessons: Sequence[Lesson]) -> tuple[tuple[str, int], ...]:
    """Kinds of boundaries that lessons have, and of which hardly any places are known, with how many are."""
    there: Counter[str] = Counter()
    known: Counter[str] = Counter()
    only_words = words_only(lessons)
    for lesson in lessons:
        kinds = [f"{phone_class(a)}-{phone_class(b)}" for a, b in pairwise(lesson.labels)]
        for kind, place, word in zip(kinds, lesson.truth.tolist(), lesson.words.tolist(), strict=True):
            there[kind] += word or not only_words
            known[kind] += place == place  # not so where it is NaN
    return tuple(
        (kind, known[kind]) for kind, count in there.most_common() if known[kind] < FEWEST_OF_A_KIND <= count
    )


class _HeldOut(NamedTuple):
    """Lessons, and what networks that were not taught by them say of their boundaries."""

    lessons: Sequence[Lesson]
    """Lessons, each of which its model has not seen."""
    grids: list[MedianGrid]
    """Places of the boundaries of each lesson."""
    heard: list[np.ndarray]
    """(N, W) probabilities of each lesson's places."""

    @classmethod
    def of(cls, lessons: Sequence[Lesson], models: Sequence[BoundaryModel]) -> _HeldOut:
        """What each model says of its lesson."""
        grids = [MedianGrid.around(lesson.distributions) for lesson in lessons]
        heard = [
            model(lesson.energies, grid.middle, lesson.labels, grid.log_probability, grid.distance)
            for model, lesson, grid in zip(models, lessons, grids, strict=True)
        ]
        return cls(lessons, grids, heard)

    def believed(self, share: float) -> list[BoundaryDistributions]:
        """The distributions of boundaries if the networks are believed to a ``share``."""
        return [
            grid.distributions(mixed_with_prior(probability, grid.log_probability, share))
            for grid, probability in zip(self.grids, self.heard, strict=True)
        ]

    def errors(self, distributions: Sequence[BoundaryDistributions]) -> list[np.ndarray]:
        """How late the medians of ``distributions`` are, lesson by lesson, in seconds."""
        return _late_in_each(self.lessons, distributions)


def _late_in_each(
    lessons: Sequence[Lesson], distributions: Sequence[BoundaryDistributions]
) -> list[np.ndarray]:
    """How late the medians of ``distributions`` are, lesson by lesson, in seconds."""
    return [
        _late(lesson, place_at_medians(lesson.phones, own, 1.0))
        for lesson, own in zip(lessons, distributions, strict=True)
    ]


def _errors(lessons: Sequence[Lesson]) -> list[np.ndarray]:
    """How late the boundaries are that the sound alone gives, lesson by lesson, in seconds."""
    return _late_in_each(lessons, [lesson.distributions for lesson in lessons])


def errors_by(lessons: Sequence[Lesson], model: BoundaryModel) -> float:
    """Mean error of the boundaries as a model that has not seen the lessons changes them, in ms."""
    heard = _HeldOut.of(lessons, [model] * len(lessons))
    late = np.concatenate(heard.errors(heard.believed(model.share)))
    return 1000 * float(np.abs(late).mean())


def errors(lessons: Sequence[Lesson]) -> float:
    """Mean error of the boundaries that the sound alone gives, in seconds."""
    return float(np.abs(np.concatenate(_errors(lessons))).mean())


def _figures_by_sound(lessons: Sequence[Lesson]) -> BoundaryFigures:
    """Figures of the same, with the intervals that there are without a lesson."""
    return _figures(
        lessons,
        [place_at_medians(one.phones, one.distributions, one.width) for one in lessons],
    )


def _tasks(lessons: Sequence[Lesson], folds: Sequence[int], phones: Sequence[str]) -> list[FitTask]:
    """The networks to be learnt: one without the lessons of each fold, and those that count in the end."""
    pieces = [list(_pieces(lesson, phones)) for lesson in lessons]
    tasks = [
        _task(pieces, [k for k, other in enumerate(folds) if other != fold], len(phones), fold)
        for fold in range(max(folds) + 1)
    ]
    return tasks + [_task(pieces, range(len(lessons)), len(phones), FOLDS + k) for k in range(NETWORKS)]


def _gain(before: Sequence[np.ndarray], after: Sequence[np.ndarray], most: float) -> tuple[float, float]:
    """The fall of the lessons' mean errors, in ms, and its standard error; no boundary counts for more than
    ``most`` s.
    """
    gains = np.array(
        [1000 * _gained(b, a, most) for b, a in zip(before, after, strict=True) if len(b) and len(a)]
    )
    error = float(gains.std(ddof=1) / np.sqrt(len(gains))) if len(gains) > 1 else np.inf
    return float(gains.mean()), error


def _times_more(gain: float, least: float) -> int | None:
    """How many times as many lessons would show a gain that should be ``least`` to be none of chance."""
    return max(2, ceil((least / gain) ** 2)) if gain > 0 and np.isfinite(least) else None


def _gained(before: np.ndarray, after: np.ndarray, most: float) -> float:
    """The fall of a lesson's mean error in seconds; a tuned head may find other phones, and so other
    boundaries, in which case it cannot be told boundary by boundary.
    """
    if len(before) != len(after):
        return float(np.abs(before).mean() - np.abs(after).mean())
    return float(np.clip(np.abs(before) - np.abs(after), -most, most).mean())


def assign_folds(groups: Sequence[str]) -> list[int]:
    """The part of each lesson, to be left out in turn: whole groups, unless there is but one.

    Examples
    --------
    >>> assign_folds(["anna", "bob", "anna"]), assign_folds(["anna"] * 6)
    ([0, 1, 0], [0, 1, 2, 3, 0, 1])
    """
    names = list(dict.fromkeys(groups))
    if len(names) == 1:
        return [k % FOLDS for k in range(len(groups))]
    sizes = [0] * min(FOLDS, len(names))
    part = {}
    # the largest first, each to the smallest part
    for name in sorted(names, key=lambda n: -list(groups).count(n)):
        part[name] = sizes.index(min(sizes))
        sizes[part[name]] += list(groups).count(name)
    return [part[group] for group in groups]


def _task(pieces: Sequence[Sequence[LessonPiece]], chosen: Iterable[int], phones: int, seed: int) -> FitTask:
    own = [piece for k in chosen for piece in pieces[k] if piece.known.any()]
    count = sum(int(piece.known.sum()) for piece in own)
    steps = STEPS_FEW if count < FEW_BOUNDARIES else STEPS if count < MANY_BOUNDARIES else STEPS_MANY
    return FitTask(pieces=own, phones=phones + 1, steps=steps, seed=seed)


def _pieces(lesson: Lesson, phones: Sequence[str]) -> Iterator[LessonPiece]:
    """A lesson in pieces, so that long ones do not fill the memory."""
    grid = MedianGrid.around(lesson.distributions)
    pairs, classes = phone_and_class_numbers(lesson.labels, phones)
    energies = normalised(lesson.energies)
    at = frames_around(grid.middle, len(energies), CANDIDATE_REACH)
    seconds = grid.first[:, None] + PLACE_STEP * np.arange(grid.log_probability.shape[1])
    target = np.abs(seconds - lesson.truth[:, None])
    with np.errstate(invalid="ignore"):
        known = np.abs(seconds[:, CANDIDATE_REACH] - lesson.truth) < FARTHEST_LABEL
    for k in range(0, len(pairs), PIECE_BOUNDARIES):
        own = slice(k, k + PIECE_BOUNDARIES)
        first, last = max(int(at[own].min()) - CONTEXT_FRAMES, 0), int(at[own].max()) + CONTEXT_FRAMES
        yield LessonPiece(
            energies=energies[first:last],
            at=at[own] - first,
            pairs=pairs[own],
            classes=classes[own],
            log_probability=grid.log_probability[own].astype(np.float32),
            distance=grid.distance[own].astype(np.float32),
            target=np.nan_to_num(target[own]).astype(np.float32),
            known=known[own],
        )


def fit_network(fit: FitTask) -> BoundaryNetwork:
    """A network learnt from its pieces; the same pieces and seed give the same one."""
    rng = np.random.default_rng(fit.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(fit.seed)
        network = BoundaryNetwork(fit.phones)
        optimiser = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=fit.steps)
        for chosen in _batches(len(fit.pieces), fit.steps, rng):
            loss = _loss(network, [fit.pieces[k] for k in chosen], rng)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
    return network.eval()


def _batches(count: int, steps: int, rng: np.random.Generator) -> Iterator[list[int]]:
    """``steps`` batches; all pieces are in one before any is in another."""
    waiting: list[int] = []
    for _ in range(steps):
        if len(waiting) < min(BATCH_PIECES, count):
            waiting = rng.permutation(count).tolist()
        yield [waiting.pop() for _ in range(min(BATCH_PIECES, count))]


def _loss(network: BoundaryNetwork, pieces: Sequence[LessonPiece], rng: np.random.Generator) -> Tensor:
    """How unlikely people's places are, and how far off the others are on the average."""
    longest = max(len(p.energies) for p in pieces)
    heard = network.encode(
        torch.stack([pad(varied(p.energies, rng), (0, 0, 0, longest - len(p.energies))) for p in pieces])
    )
    odds, targets = [], []
    for own, piece in zip(heard, pieces, strict=True):
        *places, target = (torch.from_numpy(getattr(piece, name)[piece.known]) for name in BOUNDARY_FIELDS)
        odds.append(network(own, *places))
        targets.append(target)
    logs, target = log_softmax(torch.cat(odds), -1), torch.cat(targets)
    wanted = (-target / LABEL_DEVIATION).softmax(-1)
    return -(wanted * logs).sum(-1).mean() + (logs.exp() * target).sum(-1).mean() / ERROR_SCALE


def varied(energies: Tensor, rng: np.random.Generator) -> Tensor:
    """Energies (T, 26) as of another speaker, through another microphone, with a little noise."""
    at = (np.arange(BANDS) * (1 + LARGEST_WARP * rng.uniform(-1, 1))).clip(0, BANDS - 1.001)
    low = torch.from_numpy(at.astype(np.int64))
    part = torch.from_numpy((at - at.astype(np.int64)).astype(np.float32))
    warped = energies[:, low] * (1 - part) + energies[:, low + 1] * part
    tilt, level = (float(x) for x in rng.normal(0, TILT_SPREAD, 2))
    return warped + tilt * torch.linspace(-1, 1, BANDS) + level + NOISE_SPREAD * torch.randn(energies.shape)


def _late(lesson: Lesson, found: Refined) -> np.ndarray:
    """How late each boundary is whose place is known, in seconds."""
    late = np.array([p.start - lesson.phones[0].start for p in found.phones[1:]]) - lesson.truth
    known: np.ndarray = late[~np.isnan(late)]
    return known


def _width(lessons: Sequence[Lesson], all_places: Sequence[BoundaryDistributions]) -> float:
    """How much wider than their distributions intervals must be to hold `COVERAGE` of people's boundaries.

    The fewer there are, the more is aimed at: by a standard error, where only some of the boundaries of a
    sentence count, for they are right or wrong together.
    """
    ratios = []
    for lesson, at in zip(lessons, all_places, strict=True):
        low, middle, high = (at.quantile(q) for q in ((1 - COVERAGE) / 2, 0.5, (1 + COVERAGE) / 2))
        late = lesson.truth - middle
        side = np.where(late < 0, middle - low, high - middle)
        ratios.append(np.maximum(np.abs(late) - LEAST_WIDTH, 0) / np.maximum(side, 1e-6))
    known = np.concatenate(ratios)
    known = known[~np.isnan(known)]
    error = np.sqrt(COVERAGE * (1 - COVERAGE) / (INDEPENDENT_SHARE * len(known)))
    return float(np.quantile(known, min(COVERAGE + error, 1.0)))


def _figures(lessons: Sequence[Lesson], found: Sequence[Refined]) -> BoundaryFigures:
    late, words, covered = [], [], []
    for lesson, refined in zip(lessons, found, strict=True):
        start = lesson.phones[0].start
        for edge, truth, word in zip(
            refined.edges, lesson.truth.tolist(), lesson.words.tolist(), strict=True
        ):
            if truth == truth:
                late.append(1000 * abs(edge.time - start - truth))
                covered.append(edge.low <= start + truth <= edge.high)
                words += [late[-1]] if word else []
    a = np.array(late)
    ten, twenty, fifty = (100 * float((a <= t + 1e-6).mean()) for t in (10, 20, 50))
    return BoundaryFigures(
        mae=float(a.mean()),
        median=float(np.median(a)),
        within=(ten, twenty, fifty),
        words=float(np.mean(words)) if words else None,
        covered=100 * float(np.mean(covered)),
    )
