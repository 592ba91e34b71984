"""The account of a training: what a model file says of it, and what its user should know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from aligner.learn.history import Row
from aligner.learn.hmm_options import Options
from aligner.learn.pronouncing import Text
from aligner.learn.training_corpus import TrainingCorpus
from aligner.train.stages import Stage, TrainingState
from aligner.types import Failure, Fault

RARE_PHONE = 10  # times that a phone is said, below which a note names it


def about(
    corpus: TrainingCorpus, text: Text, options: Options, stages: Sequence[Stage], rows: Sequence[Row]
) -> dict[str, Any]:
    """Return what a model file says of its training: how, on what, and with which figures.

    Parameters
    ----------
    corpus : TrainingCorpus
        What was learnt from.
    text : Text
        How transcripts were read.
    options : Options
        How the model was trained.
    stages : sequence of Stage
        The schedules that were carried out.
    rows : sequence of Row
        The history, of which the last row of each stage counts.
    """
    schedules = [{k: v for k, v in asdict(s).items() if v != float("inf")} for s in stages]
    return {
        "training": {"stages": schedules, "em": options.em, "seed": options.seed},
        "corpus": {
            "utterances": len(corpus.utterances),
            "hours": round(corpus.seconds / 3600, 4),
            "speakers": len({e.speaker for e in corpus.examples}),
            "left_out": len(corpus.failures),
            "words": len({w for e in corpus.examples for w in e.spelled}),
            "phones": dict(sorted(corpus.phone_counts().items())),
        },
        "started_from": None if corpus.guide is None else corpus.guide.about,
        "words_from": text.dictionary.name if text.dictionary else text.letters_to_phones,
        "figures": {row.stage: _figures(row) for row in rows},
        "versions": {"torch": str(torch.__version__), "numpy": np.__version__},
    }


def _figures(row: Row) -> dict[str, Any]:
    return {
        "log_likelihood": round(row.log_likelihood, 4),
        "unaligned": round(row.unaligned, 4),
        "pdfs": row.pdfs,
        "gaussians": row.gaussians,
    }


def unaligned(corpus: TrainingCorpus, state: TrainingState) -> list[Failure]:
    """Return a failure for each utterance that no path was found for, and that was not learnt from."""
    by_id = {u.id: u for u in corpus.utterances}
    return [
        Failure(
            by_id[name],
            "it is too short for its transcript, and was not learnt from",
            "is it the transcript of another recording?",
            fault=Fault.TOO_SHORT,
        )
        for name in _without_path(corpus, state)
        if name in by_id
    ]


def _without_path(corpus: TrainingCorpus, state: TrainingState) -> Sequence[str]:
    if state.statistics:
        return state.statistics.unaligned
    # resumed when all was done: the statistics are not kept, the paths are
    paths = [pdfs for shard in state.paths or () for pdfs in shard.pdfs]
    return [e.id for e, pdfs in zip(corpus.examples, paths, strict=False) if not len(pdfs)]


def notes(corpus: TrainingCorpus, asked: Sequence[Stage], done: Sequence[Stage]) -> list[str]:
    """Return what the user should know: stages that were left out, phones that are rare or never said."""
    return [*corpus.notes, *_left_out(asked, done, corpus.seconds), *_rare_phones(corpus)]


def _left_out(asked: Sequence[Stage], done: Sequence[Stage], seconds: float) -> list[str]:
    missing = [s for s in asked if s not in done]
    if not missing:
        return []
    last = [s.kind for s in done if s.kind != "pronunciations"][-1]
    return [
        f"with {seconds / 60:.1f} minutes of speech the stage {last!r} is the last that makes sense; "
        f"{', '.join(repr(s.kind) for s in missing)} would need {max(s.minutes for s in missing):g} minutes"
    ]


def _rare_phones(corpus: TrainingCorpus) -> list[str]:
    counts = corpus.phone_counts()
    rare = [f"{p} ({counts[p]})" for p in corpus.labels if 0 < counts[p] < RARE_PHONE]
    never = [p for p in corpus.labels if not counts[p]]
    found = []
    if rare:
        found.append(
            f"said less than {RARE_PHONE} times, so learnt from others of their kind, too: {', '.join(rare)}"
        )
    if never:
        found.append(f"in the dictionary, but never said, so known only by their kind: {', '.join(never)}")
    return found
