"""Learning from boundaries that people corrected: lessons in, a `BoundaryModel` out, with figures of what it
is worth.

Every figure is of boundaries that the networks behind it have not seen: speakers are left out in turn
(sentences, where there is but one speaker).  What they say there also decides how far they are believed, and
how wide the intervals around boundaries must be (Romano, Patterson & Candes 2019, "Conformalized quantile
regression").
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import log_softmax, pad

from aligner.models.boundary import (
    BANDS,
    REACH,
    BoundaryModel,
    BoundaryNetwork,
    indices,
    normalised,
    numbered,
    shared,
)
from aligner.refine.boundaries import LEAST_WIDTH, Around, Refined, placed
from aligner.refine.segments import STEP, Places
from aligner.text.phones import unstressed
from aligner.types import COVERAGE, Interval

FEWEST = 5  # lessons from which anything is learnt
FOLDS = 4  # parts that are left out in turn
NETWORKS = 2  # whose average counts in the end
SHARES = (0.25, 0.5, 0.75, 1.0)  # of belief in them, of which the best is taken
BATCH = 8  # pieces of lessons that a step learns from
PIECE = 48  # boundaries in a piece
STEPS_FEW, STEPS, STEPS_MANY = 150, 300, 600  # of learning, by the number of boundaries:
FEW, MANY = 400, 6000
RATE, DECAY = 3e-3, 1e-2  # of AdamW
SHARP = 0.005  # s; how sharply a hand label is one
FAR = 0.2  # s; what is farther off is another phone, and nothing is learnt from it
ERROR = 0.01  # s of expected error that weigh as much as a nat
INDEPENDENT = 0.25  # share of the boundaries that tell of one another's intervals nothing
LUCK = 1.64  # standard errors that a gain must be above to be none of chance, nineteen times of twenty
WARP, TILT, NOISE = 0.1, 0.3, 0.2  # of energies: other vocal tracts, other microphones, other noise
KNOWN = ("at", "pairs", "classes", "likely", "away", "target")  # of a piece, for each boundary
EDGE = 16  # frames around a piece that its places hear

MapOf = Callable[[Callable[["Fit"], BoundaryNetwork], Iterable["Fit"]], Iterable[BoundaryNetwork]]


@dataclass(frozen=True, eq=False)
class Lesson:
    """An utterance whose boundaries are known.

    Attributes
    ----------
    group : str
        Its speaker.
    phones : tuple of Interval
        As the table of offsets leaves them; N + 1.
    energies : Tensor
        (T, 26)
    places : Places
        Of the N boundaries by the sound alone.
    width : float
        Of the intervals without a lesson (see `aligner.refine.boundaries.Refinement`).
    truth : ndarray
        (N,) where people put them, in seconds from the first phone's start; NaN where that is not known.
    words : ndarray
        (N,) whether a word begins or ends there.
    """

    group: str
    phones: tuple[Interval, ...]
    energies: Tensor
    places: Places
    width: float
    truth: np.ndarray
    words: np.ndarray

    @property
    def labels(self) -> list[str]:
        """Of the phones."""
        return [p.label for p in self.phones]


class Piece(NamedTuple):
    """Consecutive boundaries of a lesson, and the frames around them; see `aligner.models.boundary`."""

    energies: Tensor
    at: np.ndarray
    pairs: np.ndarray
    classes: np.ndarray
    likely: np.ndarray
    away: np.ndarray
    target: np.ndarray
    known: np.ndarray


@dataclass(frozen=True, eq=False)
class Fit:
    """A network to be learnt: all that `fitted` needs, so that it may do so in another process."""

    pieces: Sequence[Piece]
    phones: int
    steps: int
    seed: int


@dataclass(frozen=True)
class Figures:
    """Of boundaries: mean and median absolute error in ms, shares within 10, 20 and 50 ms in percent, and
    words' MAE.

    ``covered`` is the share of people's boundaries that lie within the intervals, in percent.
    """

    mae: float
    median: float
    within: tuple[float, float, float]
    words: float | None
    covered: float


@dataclass(frozen=True)
class Learnt:
    """What lessons gave.

    Attributes
    ----------
    model : BoundaryModel or None
        None if it would not help.
    boundaries, groups : int
        That it was learnt from.
    before, after : Figures
        On lessons left out: without it, and with it.
    gain, error : float
        By how much the mean error fell, in ms, and the standard error of that over lessons.
    """

    model: BoundaryModel | None
    boundaries: int
    groups: int
    before: Figures
    after: Figures
    gain: float
    error: float


def learn(lessons: Sequence[Lesson], backend: str, mapped: MapOf = map) -> Learnt:
    """Learn from lessons, and find out what it is worth.

    Parameters
    ----------
    lessons : sequence of Lesson
        At least `FEWEST`.
    backend : str
        Whose boundaries they are.
    mapped : callable
        A ``map``, maybe over processes.

    Raises
    ------
    ValueError
        If there are too few lessons.
    """
    if len(lessons) < FEWEST:
        raise ValueError(f"{len(lessons)} lessons, not {FEWEST}")
    phones = tuple(sorted({unstressed(label) for lesson in lessons for label in lesson.labels}))
    pieces = [list(_pieces(lesson, phones)) for lesson in lessons]
    folds = parts_of([lesson.group for lesson in lessons])
    fits = [
        _fit(pieces, [k for k, other in enumerate(folds) if other != fold], len(phones), fold)
        for fold in range(max(folds) + 1)
    ]
    fits += [_fit(pieces, range(len(lessons)), len(phones), FOLDS + k) for k in range(NETWORKS)]
    networks = list(mapped(fitted, fits))
    untouched = [BoundaryModel(backend=backend, phones=phones, networks=(networks[fold],)) for fold in folds]
    around = [Around.of(lesson.places) for lesson in lessons]
    heard = [
        model(lesson.energies, a.middle, lesson.labels, a.likely, a.away)
        for model, lesson, a in zip(untouched, lessons, around, strict=True)
    ]

    def sharpened(share: float) -> list[Places]:
        return [a.places(shared(p, a.likely, share)) for a, p in zip(around, heard, strict=True)]

    def errors(all_places: Sequence[Places]) -> list[np.ndarray]:
        return [
            _late(lesson, placed(lesson.phones, at, 1.0))
            for lesson, at in zip(lessons, all_places, strict=True)
        ]

    before = errors([lesson.places for lesson in lessons])
    tried = {share: errors(sharpened(share)) for share in SHARES}
    share = min(tried, key=lambda s: float(np.abs(np.concatenate(tried[s])).mean()))
    final = sharpened(share)
    width = _width(lessons, final)
    gains = np.array(
        [
            1000 * (np.abs(b).mean() - np.abs(a).mean())
            for b, a in zip(before, tried[share], strict=True)
            if len(b)
        ]
    )
    error = float(gains.std(ddof=1) / np.sqrt(len(gains))) if len(gains) > 1 else np.inf
    was = _figures(lessons, [placed(lesson.phones, lesson.places, lesson.width) for lesson in lessons])
    now = _figures(
        lessons, [placed(lesson.phones, at, width) for lesson, at in zip(lessons, final, strict=True)]
    )
    model = BoundaryModel(
        backend=backend, phones=phones, networks=tuple(networks[-NETWORKS:]), share=share, width=width
    )
    helps = float(gains.mean()) > LUCK * error and now.mae < was.mae
    return Learnt(
        model if helps else None,
        sum(map(len, before)),
        len({lesson.group for lesson in lessons}),
        was,
        now,
        float(gains.mean()),
        error,
    )


def parts_of(groups: Sequence[str]) -> list[int]:
    """The part of each lesson, to be left out in turn: whole groups, unless there is but one.

    Examples
    --------
    >>> parts_of(["anna", "bob", "anna"]), parts_of(["anna"] * 6)
    ([0, 1, 0], [0, 1, 2, 3, 0, 1])
    """
    names = list(dict.fromkeys(groups))
    if len(names) == 1:
        return [k % FOLDS for k in range(len(groups))]
    sizes = [0] * min(FOLDS, len(names))
    part = {}
    for name in sorted(
        names, key=lambda n: -list(groups).count(n)
    ):  # the largest first, each to the smallest part
        part[name] = sizes.index(min(sizes))
        sizes[part[name]] += list(groups).count(name)
    return [part[group] for group in groups]


def _fit(pieces: Sequence[Sequence[Piece]], chosen: Iterable[int], phones: int, seed: int) -> Fit:
    own = [piece for k in chosen for piece in pieces[k] if piece.known.any()]
    count = sum(int(piece.known.sum()) for piece in own)
    return Fit(own, phones + 1, STEPS_FEW if count < FEW else STEPS if count < MANY else STEPS_MANY, seed)


def _pieces(lesson: Lesson, phones: Sequence[str]) -> Iterator[Piece]:
    """A lesson in pieces, so that long ones do not fill the memory."""
    around = Around.of(lesson.places)
    pairs, classes = numbered(lesson.labels, phones)
    energies = normalised(lesson.energies)
    at = indices(around.middle, len(energies), REACH)
    grid = around.first[:, None] + STEP * np.arange(around.likely.shape[1])
    target = np.abs(grid - lesson.truth[:, None])
    with np.errstate(invalid="ignore"):
        known = np.abs(grid[:, REACH] - lesson.truth) < FAR
    for k in range(0, len(pairs), PIECE):
        own = slice(k, k + PIECE)
        first, last = max(int(at[own].min()) - EDGE, 0), int(at[own].max()) + EDGE
        yield Piece(
            energies[first:last],
            at[own] - first,
            pairs[own],
            classes[own],
            around.likely[own].astype(np.float32),
            around.away[own].astype(np.float32),
            np.nan_to_num(target[own]).astype(np.float32),
            known[own],
        )


def fitted(fit: Fit) -> BoundaryNetwork:
    """A network learnt from its pieces; the same pieces and seed give the same one."""
    rng = np.random.default_rng(fit.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(fit.seed)
        network = BoundaryNetwork(fit.phones)
        optimiser = torch.optim.AdamW(network.parameters(), RATE, weight_decay=DECAY)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=fit.steps)
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
        if len(waiting) < min(BATCH, count):
            waiting = rng.permutation(count).tolist()
        yield [waiting.pop() for _ in range(min(BATCH, count))]


def _loss(network: BoundaryNetwork, pieces: Sequence[Piece], rng: np.random.Generator) -> Tensor:
    """How unlikely people's places are, and how far off the others are on the average."""
    longest = max(len(p.energies) for p in pieces)
    heard = network.hear(
        torch.stack([pad(varied(p.energies, rng), (0, 0, 0, longest - len(p.energies))) for p in pieces])
    )
    odds, targets = [], []
    for own, piece in zip(heard, pieces, strict=True):
        at, pairs, classes, likely, away, target = (
            torch.from_numpy(getattr(piece, name)[piece.known]) for name in KNOWN
        )
        odds.append(network(own, at, pairs, classes, likely, away))
        targets.append(target)
    logs, target = log_softmax(torch.cat(odds), -1), torch.cat(targets)
    wanted = (-target / SHARP).softmax(-1)
    return -(wanted * logs).sum(-1).mean() + (logs.exp() * target).sum(-1).mean() / ERROR


def varied(energies: Tensor, rng: np.random.Generator) -> Tensor:
    """Energies (T, 26) as of another speaker, through another microphone, with a little noise."""
    at = (np.arange(BANDS) * (1 + WARP * rng.uniform(-1, 1))).clip(0, BANDS - 1.001)
    low = torch.from_numpy(at.astype(np.int64))
    part = torch.from_numpy((at - at.astype(np.int64)).astype(np.float32))
    warped = energies[:, low] * (1 - part) + energies[:, low + 1] * part
    tilt, level = (float(x) for x in rng.normal(0, TILT, 2))
    return warped + tilt * torch.linspace(-1, 1, BANDS) + level + NOISE * torch.randn(energies.shape)


def _late(lesson: Lesson, found: Refined) -> np.ndarray:
    """How late each boundary is whose place is known, in seconds."""
    late = np.array([p.start - lesson.phones[0].start for p in found.phones[1:]]) - lesson.truth
    known: np.ndarray = late[~np.isnan(late)]
    return known


def _width(lessons: Sequence[Lesson], all_places: Sequence[Places]) -> float:
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
    error = np.sqrt(COVERAGE * (1 - COVERAGE) / (INDEPENDENT * len(known)))
    return float(np.quantile(known, min(COVERAGE + error, 1.0)))


def _figures(lessons: Sequence[Lesson], found: Sequence[Refined]) -> Figures:
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
    return Figures(
        float(a.mean()),
        float(np.median(a)),
        (ten, twenty, fifty),
        float(np.mean(words)) if words else None,
        100 * float(np.mean(covered)),
    )
