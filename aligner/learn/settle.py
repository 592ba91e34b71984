"""Where a new model puts boundaries, settled by its guide.

A model that is learnt from sound alone puts the boundary between a liquid and a vowel, say, where its states
change best, and people put it elsewhere. The guide's boundaries were measured against people's. So the model
gets a table of how late it is beside its guide (see `aligner.refine.offsets`), and then a small network that
learns from the guide's boundaries as from corrections (see `aligner.models.boundary`): of many utterances it
learns what the guide is right in, for the errors of the guide differ from one to the next.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from aligner.backends.choose import chosen
from aligner.backends.options import Compute, Options
from aligner.evaluate.boundaries import phone_boundaries
from aligner.evaluate.matching import match_phones, scored_phones
from aligner.learn.corrections import CorrectedUtterance
from aligner.learn.guide import Guide
from aligner.learn.teach import fitting, lessons_of
from aligner.models import saved
from aligner.models.markov import MarkovModel
from aligner.refine.learning import FEWEST_LESSONS, learn
from aligner.run.align import align
from aligner.text.conventions import Conventions
from aligner.text.phones import PhoneMap, phone_class
from aligner.types import Alignment, Interval

MOST_UTTERANCES = 120  # of the corpus; more take longer to learn from, and give little
OFFSET_PRIOR = 5  # boundaries' worth of belief that a model is not late: rare pairs of classes move little
FARTHEST = 0.05  # s; who is off by more than that is lost, not late
WHOLE_LABELS = PhoneMap({}, folded=False)  # a guide has the labels of the model, or none that match


def settled(model: MarkovModel, out: Path, guide: Guide, conventions: Conventions, jobs: int) -> MarkovModel:
    """Return a model with its boundaries where its guide has them on the whole.

    Parameters
    ----------
    model : MarkovModel
        The model that was trained, without offsets.
    out : Path
        Its folder, in which its dictionary is.
    guide : Guide
        What the training started from.
    conventions : Conventions
        How the transcripts are read.
    jobs : int
        The number of processes.
    """
    path = out / saved.DICTIONARY
    plain = replace(model, dictionary=path if path.is_file() else None)
    some = evenly(list(guide.alignments.values()), MOST_UTTERANCES)
    compute = Compute(jobs=jobs)
    options = Options(adapt=False, star=False, conventions=conventions)
    searched = chosen(plain, replace(options, refine="none"), compute)
    found = list(align([a.utterance for a in some], searched))
    pairs = [(g.phones, a.phones) for g, a in zip(some, found, strict=True) if isinstance(a, Alignment)]
    offsets = offsets_beside(pairs)
    backend = chosen(replace(plain, offsets=offsets), options, compute)
    lessons = [pair.lesson for pair in lessons_of(backend, [_as_corrected(a) for a in some])[0]]
    if len(lessons) < FEWEST_LESSONS:
        return replace(model, offsets=offsets)
    with fitting(jobs) as mapped:
        learnt = learn(lessons, backend.traits.name, mapped)
    taught = learnt.model and replace(learnt.model, about={"of_guide": guide.about})
    return replace(model, offsets=offsets, taught=taught)


def evenly(alignments: Sequence[Alignment], most: int) -> list[Alignment]:
    """Up to ``most`` alignments, spread over all."""
    count = min(len(alignments), most)
    return [alignments[k * len(alignments) // count] for k in range(count)]


def _as_corrected(alignment: Alignment) -> CorrectedUtterance:
    return CorrectedUtterance(utterance=alignment.utterance, phones=alignment.phones)


def offsets_beside(
    pairs: Sequence[tuple[Sequence[Interval], Sequence[Interval]]],
) -> dict[tuple[str, str], float]:
    """How late a model is beside a guide: medians by classes of phones, drawn towards 0 where few are known.

    Parameters
    ----------
    pairs : sequence of (sequence of Interval, sequence of Interval)
        The phones of each utterance by the guide, and by the model.

    Returns
    -------
    dict of (str, str) to float
        (class before, class after) -> seconds.

    Examples
    --------
    >>> guide = [Interval(0.0, 0.1, "L"), Interval(0.1, 0.3, "AA")]
    >>> model = [Interval(0.0, 0.112, "L"), Interval(0.112, 0.3, "AA")]
    >>> offsets_beside([(guide, model)] * 5)[("liquid", "vowel")]
    0.006
    """
    late: dict[tuple[str, str], list[float]] = defaultdict(list)
    for by_guide, by_model in pairs:
        for classes, seconds in late_by_classes(by_guide, by_model, WHOLE_LABELS):
            late[classes].append(seconds)
    return {
        pair: round(min(max(median, -FARTHEST), FARTHEST) * len(of) / (len(of) + OFFSET_PRIOR), 6)
        for pair, of in sorted(late.items())
        if (median := float(np.median(of)))
    }


def late_by_classes(
    reference: Sequence[Interval], aligned: Sequence[Interval], labels: PhoneMap
) -> Iterator[tuple[tuple[str, str], float]]:
    """Yield the classes of phones before and after each boundary that two tiers share, and how many seconds
    later the second has it.

    Parameters
    ----------
    reference, aligned : sequence of Interval
        Phones, matched by their labels.
    labels : PhoneMap
        What labels count as.
    """
    known, own = scored_phones(reference, labels), scored_phones(aligned, labels)
    starts = [p.start for p in aligned]
    for edge in phone_boundaries(known, own, match_phones(known, own)):
        k = bisect_left(starts, edge.aligned - 1e-6)
        before, after = (aligned[j].label if 0 <= j < len(aligned) else "" for j in (k - 1, k))
        yield (phone_class(before), phone_class(after)), edge.late
