"""``aligner train``: a model from a corpus."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import click

from aligner import names
from aligner.cli.calls import Command
from aligner.cli.common import BRACKETS, CONTEXT, NOISE_WORDS, dictionaries, guarded, warm_up


def _what_is_kept(backend: str, **_: Any) -> str:
    return "the same command with --resume goes on" if backend == "hmm" else "nothing was kept"


@click.command(
    cls=Command,
    context_settings=CONTEXT,
    short_help="Train a model on a corpus.",
    epilog="Example: aligner train corpus/ model/ --language it --out out/",
)
@click.argument("corpus", type=click.Path(path_type=Path))
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--backend",
    "-b",
    type=click.Choice(names.TRAINED),
    default="hmm",
    show_default=True,
    help="What to train: a hidden Markov model; one whose states a network scores, learnt "
    "from the alignments of the first; or a CTC network.",
)
@dictionaries(".  [default: CMU's, of English; eSpeak's, of other languages]")
@click.option(
    "--characters/--no-characters",
    default=None,
    help="Learn the letters that words are written with; needs no dictionary.  [default: where they fit the "
    "recordings better than eSpeak's pronunciations (hmm)]",
)
@click.option(
    "--language",
    "-l",
    default="en",
    show_default=True,
    metavar="CODE",
    help="Of the transcripts (aligner languages lists those that need no dictionary); only English has its "
    "numbers spoken out.",
)
@click.option(
    "--g2p/--no-g2p",
    default=True,
    show_default=True,
    help="Whether words that the dictionary lacks get a pronunciation from their letters.",
)
@BRACKETS
@NOISE_WORDS
@click.option(
    "--out", "-o", type=click.Path(path_type=Path), help="Align CORPUS with the new model, too, to here."
)
@click.option(
    "--recipe",
    type=click.Choice(names.RECIPES),
    default="standard",
    show_default=True,
    help="hmm: phones without context; in context, with LDA, MLLT and speakers' transforms; or more of it.",
)
@click.option(
    "--start",
    metavar="WHAT",
    help="hmm: what aligns CORPUS first, so that training starts from there, and leaves out what does not "
    "fit, and sound that the transcript lacks: a model; dtw (synthesised speech); the code of a related "
    "language (its synthesised speech); or flat: nothing.  [default: what align would take, or flat]",
)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="hmm: YAML with stages, em and features, instead of the recipe's.",
)
@click.option(
    "--em",
    type=click.Choice(names.EM),
    help="hmm: whether a frame counts for the best path "
    "alone, or for every path by its probability.  [default: viterbi]",
)
@click.option(
    "--resume", is_flag=True, help="hmm: go on from the last finished iteration of a training that stopped."
)
@click.option(
    "--teacher",
    type=click.Path(path_type=Path),
    help="neural: the folder of the model to learn from.  [default: one is trained first, in MODEL/teacher]",
)
@click.option(
    "--encoder",
    metavar="NAME",
    help="neural: what the network hears through, a pretrained speech encoder: hama, tiny.en, base, or the "
    "file or folder of a Whisper model; several joined by a +.  The network is small then (a head), hears "
    "noise and rooms added to the corpus, and stands beside the mixtures that it learns from.",
)
@click.option(
    "--copies",
    type=click.IntRange(min=0),
    default=3,
    show_default=True,
    help="--encoder: how often each recording is heard with noise, music, voices or a room added.",
)
@click.option(
    "--epochs",
    type=click.IntRange(min=1),
    help="ctc, neural: passes over the corpus.  [default: 30; 12; 2 with --encoder]",
)
@click.option(
    "--alpha",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default=True,
    help="ctc: weight of the label priors (0.3 is usual); 0 is plain CTC, better on half an hour of speech.",
)
@click.option(
    "--learning-rate",
    type=click.FloatRange(min=0, min_open=True),
    help="ctc, neural: at its highest.  [default: 0.002; 0.0015 with --encoder]",
)
@click.option(
    "--batch-seconds",
    type=click.FloatRange(min=0, min_open=True),
    help="ctc, neural: speech that is learnt from at once.  [default: 60; 16 with --encoder]",
)
@click.option("--seed", type=int, default=0, show_default=True, help="The same gives the same model.")
@click.option(
    "--jobs",
    "-j",
    type=click.IntRange(min=1),
    help="Processes that learn and align, and "
    "threads that read; threads that networks learn in.  [default: one a core; networks one]",
)
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1, ...")
@guarded(interrupted=_what_is_kept)
def train(**options: Any) -> int:
    """Train a model on the recordings and transcripts in CORPUS and save it in the folder MODEL.

    CORPUS is laid out as for align (aligner validate tells all that is wrong with it).  What cannot be learnt
    from is left out, and reported.  MODEL also gets a table and a picture of how the training went.

    Exit status: 0 if all was learnt from, 1 if something was left out, 2 if nothing was trained.
    """
    from aligner.cli import checks

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: what is done is kept
    call = checks.TrainRequest(**checks.with_conventions(options))
    checks.training(call)
    if call.backend != "ctc" or call.out is not None:
        warm_up(call.jobs)
    from aligner.cli.actions import training

    return training.train(call)
