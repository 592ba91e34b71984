"""What ``aligner teach`` does: learn from corrected boundaries, and print what is gained."""

from __future__ import annotations

from pathlib import Path

import click

from aligner.backends.choose import chosen
from aligner.backends.options import Compute, Options
from aligner.cli.actions.output import print_cautions, print_taught
from aligner.cli.checks import TIER_OPTIONS
from aligner.corpus.tier_names import TierNames
from aligner.learn.teach import save_taught, teach
from aligner.run.cautions import cautions


def teach_model(
    corrected: Path,
    model: str,
    new: Path,
    *,
    corpus: Path | None,
    phones: str,
    words: str,
    only_moved: bool,
    options: Options,
    compute: Compute,
) -> int:
    """Carry out a call of `aligner teach`, and return its exit status.

    Parameters
    ----------
    corrected : Path
        The folder of corrected labels.
    model : str
        The name or folder of the acoustic model.
    new : Path
        The folder of the new model.
    corpus : Path or None
        The folder of the recordings, if not beside the labels.
    phones, words : str
        The names of the tiers in the labels.
    only_moved : bool
        Whether boundaries that were not moved count as unknown.
    options, compute : Options, Compute
        How the corrected utterances are aligned.
    """
    backend = chosen(model, options, compute)
    print_cautions(cautions((), backend))
    tiers = TierNames(phones, words, TIER_OPTIONS)
    taught = teach(corrected, backend, corpus, tiers, only_moved=only_moved)
    print_taught(taught)
    if taught.learnt.model is not None:
        save_taught(taught.learnt, model, options.dictionary, new, add_words=options.added)
        click.echo(f"model     {new}")
    return 1 if taught.failures or taught.learnt.model is None else 0
