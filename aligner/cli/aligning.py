"""``align``: a folder of recordings and transcripts in, TextGrids out."""

from __future__ import annotations

import logging
import signal
from pathlib import Path
from typing import Any

import click

from aligner import __version__, names
from aligner.cli.calls import Command
from aligner.cli.common import (
    BRACKETS,
    CONTEXT,
    DICTIONARY,
    EXISTING,
    FORMATS,
    G2P,
    NOISE_WORDS,
    PHONES,
    POSTERIORS,
    STRESS,
    guarded,
    warm_up,
)


def _what_is_kept(out: Path, **_: Any) -> str:
    return f"what is done is in {out}: run the same command again to go on"


@click.command(
    cls=Command,
    context_settings=CONTEXT,
    short_help="Align recordings with their transcripts.",
    epilog="Examples: align corpus/ out/ --report;  align one.wav out/ --text 'what is said'",
)
@click.argument("corpus", type=click.Path(path_type=Path), metavar="CORPUS|FILE")
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--text", metavar="TEXT", help="What is said in FILE, which then needs no transcript beside it."
)
@DICTIONARY
@click.option(
    "--backend",
    "-b",
    type=click.Choice(list(names.BACKENDS)),
    help="How: hidden Markov model, network (CTC), "
    "both, warping synthesised speech (DTW), or the median of three of these, which takes as long as all "
    "three.  [default: hmm; dtw where the language has no model]",
)
@click.option(
    "--model",
    "-m",
    metavar="NAME|FOLDER",
    help="Acoustic model: 'english', 'english-gmm' (quicker, for clean speech), 'english-whisper' (slower, "
    "more accurate; needs 'aligner[encoder]') and 'hama' (CTC) are inside; the folder of a CMU Sphinx model, "
    "of a trained or Hugging Face CTC network; hf:ORGANISATION/NAME or "
    "torchaudio's name of one, which are fetched.  [default: the backend's]",
)
@click.option(
    "--language",
    "-l",
    metavar="CODE",
    help="Of the transcripts: en, sw, pt-br, ... "
    "(aligner languages lists them). dtw writes phones in IPA, of English in ARPAbet.  "
    "[default: the model's]",
)
@click.option(
    "--star/--no-star",
    default=None,
    help="Let there be sound that the transcript lacks, between words and at both ends: it becomes the word "
    "<star>; and (hmm) sentences that are not said.  [default: tried where an alignment looks wrong; "
    "both in recordings of over two minutes]",
)
@click.option(
    "--sung",
    is_flag=True,
    help="The recordings are songs: vowels may be held for as long as a breath lasts, and --star lets there "
    "be music before, between and behind the words.",
)
@POSTERIORS
@click.option(
    "--adapt/--no-adapt",
    default=None,
    help="Bring the model to each speaker in a first pass (hmm).  [default: where it was trained so]",
)
@G2P
@PHONES
@STRESS
@BRACKETS
@NOISE_WORDS
@FORMATS
@click.option(
    "--known-words/--no-known-words",
    default=True,
    show_default=True,
    help="Where a transcript's TextGrid has a tier 'words', keep its boundaries, and find the phones inside; "
    "or take the words as text alone.",
)
@click.option(
    "--segments", is_flag=True, help="Write TextGrids of sentences, too: OUT/segments/, a tier a speaker."
)
@click.option(
    "--uncertainty",
    is_flag=True,
    help="Add a tier of points to the TextGrids: how much earlier and later "
    "each boundary may be, in ms, such as '-8 +12' (known with --refine full).",
)
@EXISTING
@click.option(
    "--reference",
    "-r",
    type=click.Path(path_type=Path),
    help="Folder of hand labels (.phn, TextGrid, ... at the same paths): print how accurate OUT is.",
)
@click.option(
    "--report", "reported", is_flag=True, help="Make a page to look at the result: OUT/report/index.html."
)
@click.option(
    "--refine",
    type=click.Choice(names.REFINEMENTS),
    default="full",
    show_default=True,
    help="Correct boundaries by the model's table of offsets, and (full) look for them in the sound, and by "
    "corrections where there are any; or leave them as the search put them.",
)
@click.option(
    "--corrections",
    type=click.Path(path_type=Path),
    help="Learn first from the boundaries that you "
    "corrected in this folder (aligner teach does it once and for all).",
)
@click.option(
    "--kernel",
    type=click.Choice(names.KERNELS),
    default="auto",
    show_default=True,
    help="What runs the search: 'auto' is numba on the CPU and triton on CUDA; "
    "'reference' is plain and slow.",
)
@click.option("--jobs", "-j", type=click.IntRange(min=1), help="Processes.  [default: one a core]")
@click.option(
    "--device",
    default="cpu",
    show_default=True,
    help="Where to score and search: cpu, cuda, cuda:1, ... "
    "(hmm, in batches), or where the network is (ctc).",
)
@click.option(
    "--batch-seconds",
    type=click.FloatRange(min=0, min_open=True),
    help="Seconds of audio in a batch on CUDA.  [default: what its memory holds]",
)
@click.option(
    "--precision",
    type=click.Choice(names.PRECISIONS),
    default="full",
    show_default=True,
    help="'mixed' computes networks, and the weights of mixtures, in bfloat16.",
)
@click.option("--verbose", "-v", is_flag=True, help="Show the program's own errors in full.")
@click.version_option(__version__)
@guarded(interrupted=_what_is_kept)
def align(*, jobs: int | None, verbose: bool, **call: Any) -> int:
    """Align the recordings in CORPUS, or the one recording FILE, with their transcripts and write TextGrids
    to OUT.

    Each recording (wav, flac, ogg, opus, mp3, ...; m4a, mp4, mov, webm, ... where ffmpeg is installed) needs
    its transcript beside it under the same name: .lab or .txt with what is said, or .TextGrid with a tier per
    speaker, or with a tier 'words' whose times are kept; or a row in metadata.csv or transcripts.tsv. The
    folder that holds a recording is its speaker.

    OUT mirrors CORPUS: a TextGrid per recording, alignment.csv with a row per utterance, and oovs.csv with
    the words that were in no dictionary. Of FILE, whatever else is in its folder, it is OUT/NAME.TextGrid.

    Exit status: 0 if all was aligned, 1 if something failed, 2 if the call was wrong.
    """
    from aligner.cli import checks

    logging.basicConfig(level=logging.DEBUG if verbose else logging.ERROR, format="%(message)s")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: what is done is kept
    logging.getLogger("numba").setLevel(logging.WARNING)
    request = checks.alignment(jobs=jobs, **call)
    warm_up(jobs, len(request.job.utterances))
    from aligner.cli.actions import aligning

    return aligning.align(request)
