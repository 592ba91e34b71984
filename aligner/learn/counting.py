"""Which boundaries of corrected labels count as where a person put them.

All do, as a rule: who corrects a file leaves what is right as it is.  Where a tier marks what was corrected,
the others count as unknown; so do those that were not moved, if that is asked for.  But boundaries that were
chosen because they were far off say nothing of the others: a model that learnt from these alone would spoil
what was right (see ``recipes/benchmark/NOTES.md``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from aligner.backends.base import AnyBackend
from aligner.learn.corrections import CorrectedUtterance
from aligner.learn.truth import apart, edges_of, in_marks
from aligner.run.align import align
from aligner.types import Alignment, DataError, Fault, Interval

MOVED = 0.001  # s; a boundary that differs by less was not moved: programs round times
FAR = 0.010  # s by which a boundary is moved that was clearly off
# share of boundaries that are moved less far, and least share of those that were not chosen for being far
# off: of a model's boundaries some 60 % are nearer than that to a person's
LEAST_NEAR = 0.3


@dataclass(frozen=True, kw_only=True)
class Counted:
    """Corrections with marks on the boundaries that count."""

    items: tuple[CorrectedUtterance, ...]
    """The corrections."""
    edges: int
    """Number of boundaries in their labels."""
    moved: int | None
    """How many of these are elsewhere than the run had them; None where that is not known."""
    marked: int | None
    """How many of them are marked; None where all count."""
    chosen_far: bool = False
    """Whether marks were set aside, since they are on boundaries that were far off alone."""


def counted(
    items: Sequence[CorrectedUtterance],
    backend: AnyBackend,
    corrected: Path,
    *,
    only_moved: bool = False,
) -> Counted:
    """Tell which boundaries count, and mark them.

    Parameters
    ----------
    items : sequence of CorrectedUtterance
        The corrections; those whose labels before are not known are aligned again where these are asked for.
    backend : AnyBackend
        The backend whose boundaries were corrected.
    corrected : Path
        Their folder, for messages.
    only_moved : bool
        Whether boundaries count as unknown that were not moved.

    Raises
    ------
    DataError
        If only boundaries that were moved are to count, and none was, or they were chosen for being far off.
    """
    points = any(_has_points(item) for item in items)
    if only_moved or points:
        items = _with_before(items, backend)
    items = [_of_moved_tier(item) for item in items]
    if only_moved:
        items = [replace(item, marks=_both(item.marks, _moved_marks(item))) for item in items]
        _check_moved(items, corrected)
    chosen_far = points and not only_moved and _chosen_far([i for i in items if _has_points(i)])
    if chosen_far:
        items = [replace(item, marks=None) if _has_points(item) else item for item in items]
    known = [item for item in items if item.before]
    marked = [int(in_marks(item.edges, item.marks).sum()) for item in items if item.marks is not None]
    return Counted(
        items=tuple(items),
        edges=sum(len(item.edges) for item in items),
        moved=sum(int((_moves(item) > MOVED).sum()) for item in known) if known else None,
        marked=sum(marked) if marked else None,
        chosen_far=chosen_far,
    )


def _has_points(item: CorrectedUtterance) -> bool:
    return any(mark.start == mark.end for mark in item.marks or ())


def _with_before(items: Sequence[CorrectedUtterance], backend: AnyBackend) -> list[CorrectedUtterance]:
    """Corrections with the labels as a run leaves them, which are aligned again where no output tells it."""
    unknown = [k for k, item in enumerate(items) if not item.before]
    found = list(items)
    for k, result in zip(unknown, align([items[k].utterance for k in unknown], backend), strict=True):
        if isinstance(result, Alignment):
            found[k] = replace(found[k], before=(*result.phones, *result.words))
    return found


def _moves(item: CorrectedUtterance) -> np.ndarray:
    """How far each boundary was moved, (N,) seconds."""
    return apart(item.edges, edges_of(item.before))


def _of_moved_tier(item: CorrectedUtterance) -> CorrectedUtterance:
    """A correction without its phones where somebody moved words alone, and left the phones as they were."""
    if not item.before or not item.phones or not item.words:
        return item
    by_words = replace(item, phones=())
    moved = [bool((_moves(one) > MOVED).any()) for one in (item, by_words)]
    return by_words if moved == [False, True] else item


def _moved_marks(item: CorrectedUtterance) -> tuple[Interval, ...]:
    """A mark on each boundary that was moved."""
    return tuple(Interval(t, t, "moved") for t in item.edges[_moves(item) > MOVED].tolist())


def _both(marks: Sequence[Interval] | None, others: tuple[Interval, ...]) -> tuple[Interval, ...]:
    """Of ``others``, which take no time, those in the marks; all of them where there are no marks."""
    if marks is None:
        return others
    inside = in_marks(np.array([o.start for o in others]), marks)
    return tuple(o for o, own in zip(others, inside.tolist(), strict=True) if own)


def _chosen_far(items: Sequence[CorrectedUtterance]) -> bool:
    """Whether boundaries are marked that were far off, and hardly any others, though there are others."""
    moves, marked = [], []
    for item in items:
        if item.before:
            moves.append(_moves(item))
            marked.append(in_marks(item.edges, item.marks or ()))
    if not moves:
        return False
    far, chosen = np.concatenate(moves) >= FAR, np.concatenate(marked)
    return bool(chosen.any() and (~far[chosen]).mean() < LEAST_NEAR < (~chosen).mean())


def _check_moved(items: Sequence[CorrectedUtterance], corrected: Path) -> None:
    """Raise DataError where only moved boundaries are to count, and these are none to learn from."""
    if not any(item.marks for item in items):
        raise DataError(
            corrected,
            "no boundary is elsewhere than the alignment has it",
            "correct some, or leave out --only-moved",
            fault=Fault.LABELS,
        )
    if _chosen_far(items):
        raise DataError(
            corrected,
            f"hardly a boundary was moved by less than {1000 * FAR:g} ms: what holds for those that were far "
            "off would spoil the others",
            "leave out --only-moved, so that what you left counts as right",
            fault=Fault.LABELS,
        )
