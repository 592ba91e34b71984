"""How widely a new model's margins are spread over intact speech, by which its suspicions are scaled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from aligner.backends.options import Compute, Options
from aligner.models import saved
from aligner.models.markov import MarkovModel
from aligner.refine.suspect import WORST_WINDOW
from aligner.refine.thresholds import Scores, worst_margin
from aligner.run.align import align
from aligner.types import Alignment, Utterance

SAMPLED_UTTERANCES = 50  # utterances of the corpus that are aligned
FEWEST_ALIGNED = 20  # of them, from which the spread is measured; with fewer it is taken to be 1
DAMAGED_SHARE = 0.02  # share of them that may not be intact
ENGLISH_MARGIN = worst_margin(Scores.GAUSSIANS, WORST_WINDOW)  # of intact speech with the English model


def margin_spread(
    model: MarkovModel, out: Path, utterances: Sequence[Utterance], jobs: int, least: float = 1.0
) -> float:
    """Return how many times as wide as the English model's the margins of intact speech are.

    They are measured on the corpus itself, of which a few utterances may be damaged.

    Parameters
    ----------
    model : MarkovModel
        The new model.
    out : Path
        Its folder, in which its dictionary is.
    utterances : sequence of Utterance
        The corpus.
    jobs : int
        The number of processes.
    least : float
        The least spread that may come out.
    """
    path = out / saved.DICTIONARY
    model = replace(model, dictionary=path if path.is_file() else None)
    some = utterances[:: max(1, len(utterances) // SAMPLED_UTTERANCES)]
    aligned = align(some, model, Options(adapt=False), Compute(jobs=jobs))
    worst = [a.quality.worst_margin for a in aligned if isinstance(a, Alignment)]
    if len(worst) < FEWEST_ALIGNED:
        return 1.0
    return round(max(least, float(np.quantile(worst, DAMAGED_SHARE)) / ENGLISH_MARGIN), 3)
