"""``align``: a folder of recordings and transcripts in, TextGrids out."""

from __future__ import annotations

import logging
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aligner import __version__, names
from aligner.cli.calls import Command
from aligner.cli.common import warm_up
from aligner.cli.evaluating import CONTEXT
from aligner.cli.looking import make_report
from aligner.parallel.cores import cores

if TYPE_CHECKING:
    from rich.console import Console

    from aligner.backends.base import Backend
    from aligner.parallel.monitor import Usage
    from aligner.run.folder import Job, Summary
    from aligner.types import Result

FIRST_REASONS = 10  # failures and suspects that the summary tells; the table has all
FORMATS = click.option(
    "--format",
    "-f",
    "formats",
    multiple=True,
    type=click.Choice(names.FORMATS),
    help="Write this too; may be repeated. TextGrids are always written.",
)
POSTERIORS = click.option(
    "--posteriors",
    metavar="NAME|FOLDER",
    help="Compare what this model hears, too (DTW): "
    "'english', or the folder of a CMU Sphinx model, of whatever language.",
)
EXISTING = click.option(
    "--existing",
    type=click.Choice(names.EXISTING),
    default="skip",
    show_default=True,
    help="What to do where an output exists. Nothing is ever deleted.",
)
INTERRUPTED = 130  # exit status after Ctrl-C, as shells have it


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
@click.option(
    "--dictionary",
    "-d",
    type=click.Path(path_type=Path),
    help="Pronunciations, in the Montreal Forced Aligner's or CMU's format.  [default: the model's own]",
)
@click.option(
    "--backend",
    "-b",
    type=click.Choice(names.BACKENDS),
    help="How: hidden Markov model, network (CTC), "
    "both, warping synthesised speech (DTW), or the median of hmm, ctc and dtw, which takes as long as all "
    "three.  [default: hmm; dtw where the language has no model]",
)
@click.option(
    "--model",
    "-m",
    metavar="NAME|FOLDER",
    help="Acoustic model: 'english' and 'hama' (CTC) are inside; the folder of a CMU Sphinx model, of a "
    "trained or Hugging Face CTC network; hf:ORGANISATION/NAME or torchaudio's name of one, which are "
    "fetched.  [default: the backend's]",
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
    help="Let there be sound that the transcript lacks: it becomes the "
    "word <star>; and (hmm) sentences that are not said.  [default: in recordings of over two minutes]",
)
@POSTERIORS
@click.option(
    "--adapt/--no-adapt",
    default=None,
    help="Bring the model to each speaker in a first pass (hmm).  [default: where it was trained so]",
)
@click.option(
    "--g2p/--no-g2p",
    default=True,
    show_default=True,
    help="Whether words that are in no dictionary get a pronunciation from their letters, or fail.",
)
@FORMATS
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
    help="'mixed' computes in bfloat16 what stands it: networks, and the weights of mixtures.",
)
@click.option("--verbose", "-v", is_flag=True, help="Show the program's own errors in full.")
@click.version_option(__version__)
def align(
    corpus: Path,
    out: Path,
    text: str | None,
    dictionary: Path | None,
    backend: str | None,
    model: str | None,
    language: str | None,
    star: bool | None,
    posteriors: str | None,
    adapt: bool | None,
    g2p: bool,
    formats: tuple[str, ...],
    segments: bool,
    uncertainty: bool,
    existing: str,
    reference: Path | None,
    reported: bool,
    refine: str,
    corrections: Path | None,
    kernel: str,
    jobs: int | None,
    device: str,
    batch_seconds: float | None,
    precision: str,
    verbose: bool,
) -> None:
    """Align the recordings in CORPUS, or the one recording FILE, with their transcripts and write TextGrids
    to OUT.

    Each recording (wav, flac, ogg, mp3, opus) needs its transcript beside it under the same name: .lab or
    .txt with what is said, or .TextGrid with a tier per speaker; or a row in metadata.csv or transcripts.tsv.
    The folder that holds a recording is its speaker.

    OUT mirrors CORPUS: a TextGrid per recording, alignment.csv with a row per utterance, and oovs.csv with
    the words that were in no dictionary. Of FILE, whatever else is in its folder, it is OUT/NAME.TextGrid.

    Exit status: 0 if all was aligned, 1 if something failed, 2 if the call was wrong.
    """
    from aligner.backends.calls import check_choice, check_refined
    from aligner.backends.options import Compute, Options
    from aligner.corpus.labels import find_labels
    from aligner.run.plan import plan
    from aligner.types import AlignerError

    logging.basicConfig(level=logging.DEBUG if verbose else logging.ERROR, format="%(message)s")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: what is done is kept
    logging.getLogger("numba").setLevel(logging.WARNING)
    more = [kind for kind, asked in (("segments", segments), ("uncertainty", uncertainty)) if asked]
    try:  # a wrong call is better told before the work than after, and before what takes long to import
        options = Options(
            dictionary=dictionary,
            g2p=g2p,
            refine=refine,
            backend=backend,
            language=language,
            star=star,
            posteriors=posteriors,
            adapt=adapt,
        )
        compute = Compute(
            jobs=jobs or cores(),
            device=device,
            kernel=kernel,
            precision=precision,
            batch_seconds=batch_seconds,
        )
        check_choice(model, options, compute)
        if corrections is not None:
            check_refined(refine)
            find_labels(corrections)
        job = plan(corpus, out, (*formats, *more), existing, text)
        if reference is not None:
            check_labelled(reference, job)
        warm_up(jobs, len(job.utterances))

        from rich.console import Console

        from aligner.backends.choose import chosen
        from aligner.cli.teaching import tell_taught
        from aligner.learn.teach import learnt_by

        console = Console(stderr=True, highlight=False, soft_wrap=True)
        method = chosen(model, options, compute)  # a bad model or dictionary, too, is told before the work
        if corrections is not None:
            method = learnt_by(method, corrections, job.corpus, tell_taught)
        summary = run_behind_bar(job, method, console)
        click.echo(f"backend   {method.name}: {method.about}")
        print_summary(summary, job)
        if reference is not None:
            _print_accuracy(reference, job)
        if reported:
            click.echo(f"report    {make_report(out, reference, only=job.only)}")
    except AlignerError as error:
        click.echo(f"align: {error}", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        click.echo(
            f"align: interrupted; what is done is in {out}: run the same command again to go on", err=True
        )
        sys.exit(INTERRUPTED)
    sys.exit(1 if summary.failures else 0)


def run_behind_bar(job: Job, backend: Backend, console: Console) -> Summary:
    """Align and write, behind a progress bar."""
    from aligner.cli.bar import Bar
    from aligner.parallel.monitor import Monitor, told
    from aligner.run.folder import run
    from aligner.types import Failure

    audio, failed, begun = 0.0, 0, time.perf_counter()

    def line() -> str:
        speed = f"{audio / (time.perf_counter() - begun):.0f} audio s/s" if audio else ""
        return ", ".join(filter(None, (speed, told(monitor.latest) if monitor.latest else "")))

    with Monitor() as monitor, Bar("aligning", console, line) as bar:
        task = bar.add_task("", total=len(job.utterances) + len(job.failures) + len(job.refused), failed="")

        def notice(result: Result) -> None:
            nonlocal audio, failed
            if isinstance(result, Failure):
                failed += 1
            else:
                monitor.start()  # now that there are results, there are the processes that make them
                audio += (result.utterance.end or 0.0) - result.utterance.start
            bar.update(task, advance=1, failed=f"{failed} failed" if failed else "")
            bar.tick()

        summary = run(job, backend, notice)
    summary.peak = monitor.peak
    return summary


def print_summary(s: Summary, job: Job) -> None:
    """What a run did, on the standard output."""
    from aligner.run.folder import suspects_of

    click.echo(f"files     {len(job.files)}")
    click.echo(f"hours     {s.audio / 3600:.3f} of aligned speech")
    click.echo(f"aligned   {s.aligned} utterances")
    click.echo(f"suspect   {len(s.suspects)} of them")
    for utterance, reasons in list(s.suspects.items())[:FIRST_REASONS]:
        click.echo(f"          {utterance}: {'; '.join(reasons)}")
    _print_rest(len(s.suspects), job.out)
    click.echo(f"failed    {len(s.failures)}")
    for f in s.failures[:FIRST_REASONS]:
        click.echo(f"          {f.utterance.id}: {f.message}")
    _print_rest(len(s.failures), job.out)
    if job.skipped:
        click.echo(
            f"skipped   {len(job.skipped)} files whose output exists (--existing overwrite does them again)"
        )
    if s.others:
        click.echo(f"          they were made by {s.others}")
    waiting = suspects_of(job)
    if waiting:
        table = job.out / "alignment.csv"
        click.echo(
            f"          {waiting} utterances in them have been suspect since an earlier run: see {table}"
        )
    if job.stale:
        click.echo(f"          {len(job.stale)} of them have changed since, {job.stale[0]} for one")
    if job.completed:
        click.echo(
            f"kept      what existed of {len(job.completed)} files' output; only what they lacked was written"
        )
    if s.aligned:
        click.echo(f"speed     {s.audio / s.wall:.0f} audio seconds per second ({s.wall:.1f} s)")
    if s.peak is not None:
        click.echo(f"memory    {_memory(s.peak)}")


def _memory(peak: Usage) -> str:
    """At its greatest, and how it was counted."""
    from aligner.parallel.monitor import in_units

    shared = ", what they share counted for each" if peak.measure == "RSS" else ""
    several = f" in {peak.processes} processes{shared}" if peak.processes > 1 else ""
    gpu = f", {in_units(peak.gpu.memory)} on the GPU" if peak.gpu else ""
    return f"{in_units(peak.memory)} at most{several}{gpu} ({peak.measure}, seen by looking now and then)"


def _print_rest(count: int, out: Path) -> None:
    if count > FIRST_REASONS:
        click.echo(f"          and {count - FIRST_REASONS} more: see {out / 'alignment.csv'}")


def check_labelled(reference: Path, job: Job) -> None:
    """Raises DataError where there are no labels, or none of the one recording that is aligned."""
    from aligner.corpus.labels import find_labels
    from aligner.types import DataError

    names = find_labels(reference)
    for file in (job.only or frozenset()) - names.keys():
        raise DataError(
            reference, f"there are no labels of {file} in this folder", "name the folder that holds them"
        )


def _print_accuracy(reference: Path, job: Job) -> None:
    from aligner.cli.tables import print_brief
    from aligner.evaluate.folders import evaluate

    click.echo()
    print_brief(evaluate(reference, job.out, jobs=cores(), only=job.only), f"accuracy against {reference}")
