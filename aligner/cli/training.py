"""``aligner train``: a model from a corpus."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aligner.cli.aligning import FIRST_REASONS, INTERRUPTED
from aligner.cli.evaluating import CONTEXT

if TYPE_CHECKING:
    from aligner.train.ctc import Epoch



@click.command(context_settings=CONTEXT, short_help="Train a model on a corpus.",
               epilog="Example: aligner train corpus/ model/ --backend ctc, then: align corpus/ out/ -b ctc -m model/")
@click.argument("corpus", type=click.Path(path_type=Path))
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--backend", "-b", type=click.Choice(["ctc"]), required=True,
              help="What to train: a small network (CTC).")
@click.option("--dictionary", "-d", type=click.Path(path_type=Path),
              help="Pronunciations, in the Montreal Forced Aligner's or CMU's format.  [default: CMU's, of English]")
@click.option("--characters", is_flag=True, help="Learn the letters that words are written with; needs no dictionary.")
@click.option("--language", "-l", default="en", show_default=True, metavar="CODE",
              help="Of the transcripts; only English has its numbers spoken out.")
@click.option("--g2p/--no-g2p", default=True, show_default=True,
              help="Whether English words that the dictionary lacks get a pronunciation from their letters.")
@click.option("--epochs", type=click.IntRange(min=1), default=30, show_default=True, help="Passes over the corpus.")
@click.option("--alpha", type=click.FloatRange(min=0), default=0.0, show_default=True,
              help="Weight of the label priors (0.3 is usual); 0 is plain CTC, better on half an hour of speech.")
@click.option("--learning-rate", type=click.FloatRange(min=0, min_open=True), default=2e-3, show_default=True)
@click.option("--batch-seconds", type=click.FloatRange(min=0, min_open=True), default=60.0, show_default=True,
              help="Speech that is learnt from at once.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1, ...")
def train(corpus: Path, model: Path, backend: str, dictionary: Path | None, characters: bool, language: str, g2p: bool,
          epochs: int, alpha: float, learning_rate: float, batch_seconds: float, seed: int, device: str) -> None:
    """Train a model on the recordings and transcripts in CORPUS and save it in the folder MODEL.

    CORPUS is laid out as for align.  What cannot be learnt from is left out, and told.

    Exit status: 0 if all was learnt from, 1 if something was left out, 2 if nothing was trained.
    """
    from aligner.run.backend import spoken_english
    from aligner.run.train import Text, train_ctc
    from aligner.train.ctc import Options
    from aligner.types import AlignerError, DataError

    def told(epoch: Epoch) -> None:
        click.echo(str(epoch), err=True)

    try:
        if characters and dictionary:
            raise DataError("dictionary", "characters need none", "leave out --dictionary or --characters")
        _check_device(device)
        options = Options(epochs, batch_seconds, learning_rate, alpha, seed, device)
        text = Text(dictionary, g2p, characters, spoken_english(language))
        summary = train_ctc(corpus, model, text, options, told)
    except AlignerError as error:
        click.echo(f"train: {error}", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        click.echo("train: interrupted; nothing was written", err=True)
        sys.exit(INTERRUPTED)
    click.echo(f"learnt    {summary.utterances} utterances")
    click.echo(f"labels    {' '.join(summary.labels)}")
    click.echo(f"left out  {len(summary.failures)}")
    for f in summary.failures[:FIRST_REASONS]:
        click.echo(f"          {f.utterance.id}: {f.message}")
    if len(summary.failures) > FIRST_REASONS:
        click.echo(f"          and {len(summary.failures) - FIRST_REASONS} more")
    click.echo(f"model     {model}")
    sys.exit(1 if summary.failures else 0)


def _check_device(device: str) -> None:
    """Raise DataError unless torch can compute there."""
    import torch

    from aligner.types import DataError

    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise DataError("device", f"{device!r} cannot be used ({str(error).splitlines()[0]})", "take cpu") from error
