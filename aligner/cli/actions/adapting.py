"""What ``aligner adapt`` does: adapt a model, and print how well it fits now."""

from __future__ import annotations

from pathlib import Path

import click

from aligner.backends import hmm
from aligner.backends.options import Compute
from aligner.backends.options import Options as AlignOptions
from aligner.cli.actions.output import print_cautions, print_failures
from aligner.cli.checks import not_adaptable
from aligner.corpus.find import find
from aligner.learn.adapt import Options, adapt
from aligner.models.markov import MarkovModel
from aligner.models.store import load_model
from aligner.run.cautions import cautions
from aligner.train.adapt import PriorCounts


def adaptation(*, transforms: bool, belief: float | None, rounds: int | None) -> Options:
    """Return the options of an adaptation; ``belief`` counts for means and weights alike."""
    return Options(transforms, None if belief is None else PriorCounts(belief, belief), rounds)


def adapt_to_corpus(
    corpus: Path, model: str, new: Path, *, options: Options, wanted: AlignOptions, compute: Compute
) -> int:
    """Carry out a call of `aligner adapt`, and return its exit status.

    Parameters
    ----------
    corpus : Path
        The folder of recordings and transcripts to adapt to.
    model : str
        The name or folder of the model to adapt.
    new : Path
        The folder of the adapted model.
    options : aligner.learn.adapt.Options
        How to adapt.
    wanted : aligner.backends.options.Options
        Dictionary and language of the corpus.
    compute : Compute
        In how many threads and processes.
    """
    loaded = load_model(model)
    if not isinstance(loaded, MarkovModel):
        raise not_adaptable(model)
    backend = hmm.make(loaded, wanted, compute)
    found = find(corpus)
    print_cautions((*found.cautions, *cautions(found.utterances, backend, whole=True)))
    summary = adapt(corpus, backend, new, options, on_round=_print_fit)
    click.echo(f"learnt    {summary.utterances} utterances")
    if options.transforms:
        kind = "other speech than the model knows" if summary.other else "speech like what the model knows"
        click.echo(f"speech    {kind}: a transform of all recordings gains {summary.gain:.1f} nats a frame")
    click.echo(f"fit       from {summary.before:.3f} to {summary.after:.3f} per frame")
    print_failures(summary.failures)
    click.echo(f"model     {new}")
    return 1 if summary.failures else 0


def _print_fit(what: str, log_likelihood: float) -> None:
    click.echo(f"{what}: {log_likelihood:.3f} per frame", err=True)
