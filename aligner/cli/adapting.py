"""``aligner adapt``: a model brought to a corpus."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from aligner.cli.aligning import INTERRUPTED
from aligner.cli.calls import Command
from aligner.cli.common import warm_up
from aligner.cli.evaluating import CONTEXT
from aligner.cli.training import tell_failures
from aligner.parallel.cores import cores


@click.command(
    cls=Command,
    context_settings=CONTEXT,
    short_help="Adapt a model to a corpus.",
    epilog="Example: aligner adapt corpus/ english new/, then: align corpus/ out/ -m new/",
)
@click.argument("corpus", type=click.Path(path_type=Path))
@click.argument("model", metavar="NAME|FOLDER")
@click.argument("new", type=click.Path(path_type=Path))
@click.option(
    "--dictionary",
    "-d",
    type=click.Path(path_type=Path),
    help="Pronunciations; the new model gets it.  [default: the model's own]",
)
@click.option("--language", "-l", metavar="CODE", help="Of the transcripts.  [default: the model's]")
@click.option(
    "--transforms/--no-transforms",
    default=True,
    show_default=True,
    help="Bring the frames of all recordings, then those of each speaker, to the model (fMLLR).",
)
@click.option(
    "--rounds",
    type=click.IntRange(min=0),
    help="Of moving the means and weights (MAP); 0 leaves them.  "
    "[default: 1; 4 where the speech is other than what the model knows]",
)
@click.option(
    "--belief",
    type=click.FloatRange(min=0),
    help="Frames that each mean counts for as it is.  [default: 20; 5 where the speech is other]",
)
@click.option("--jobs", "-j", type=click.IntRange(min=1), help="Threads.  [default: all cores]")
def adapt(
    corpus: Path,
    model: str,
    new: Path,
    dictionary: Path | None,
    language: str | None,
    transforms: bool,
    rounds: int | None,
    belief: float | None,
    jobs: int | None,
) -> None:
    """Adapt MODEL (english, or a folder) to the recordings and transcripts in CORPUS and save it in the
    folder NEW.

    Exit status: 0 if all was learnt from, 1 if something was left out, 2 if nothing was adapted.
    """
    from aligner.backends.calls import check_choice
    from aligner.backends.options import Compute, Options
    from aligner.corpus.find import check_corpus
    from aligner.models.known import HMM_TABLE, kind_of
    from aligner.run.plan import check_new, check_writable
    from aligner.types import AlignerError, ModelError

    def told(what: str, log_likelihood: float) -> None:
        click.echo(f"{what}: {log_likelihood:.3f} per frame", err=True)

    network = ModelError(
        model,
        "it is a CTC network, and only hidden Markov models can be adapted",
        "train it further on a corpus of its own",
    )
    try:
        check_corpus(corpus)
        compute = Compute(jobs=jobs or cores())
        wanted = Options(dictionary=dictionary, language=language)
        check_choice(model, wanted, compute)
        if kind_of(model) == "ctc":
            raise network
        check_new(new / HMM_TABLE)
        check_writable(new)
        from aligner.models.markov import MarkovModel

        warm_up(jobs)
        from aligner.backends.choose import chosen
        from aligner.backends.hmm import HmmBackend
        from aligner.learn import adapt as adapting
        from aligner.train.adapt import PriorCounts

        backend = chosen(model, wanted, compute)
        if not isinstance(backend, HmmBackend) or not isinstance(backend.model, MarkovModel):
            raise network
        options = adapting.Options(
            transforms, None if belief is None else PriorCounts(belief, belief), rounds
        )
        summary = adapting.adapt(corpus, backend, new, options, told)
    except AlignerError as error:
        click.echo(f"adapt: {error}", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        click.echo("adapt: interrupted; nothing was kept", err=True)
        sys.exit(INTERRUPTED)
    click.echo(f"learnt    {summary.utterances} utterances")
    if transforms:
        kind = "other speech than the model knows" if summary.other else "speech like what the model knows"
        click.echo(f"speech    {kind}: a transform of all recordings gains {summary.gain:.1f} nats a frame")
    click.echo(f"fit       from {summary.before:.3f} to {summary.after:.3f} per frame")
    tell_failures(summary.failures)
    click.echo(f"model     {new}")
    sys.exit(1 if summary.failures else 0)
