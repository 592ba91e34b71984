"""``aligner stream``: words and phones while the recording comes in."""

from __future__ import annotations

import gc
import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aligner import names
from aligner.cli.calls import Command
from aligner.cli.evaluating import CONTEXT

if TYPE_CHECKING:
    from aligner.corpus.incoming import Pieces
    from aligner.run.stream import Event, StreamAligner

TEXTS = (".txt", ".lab")  # what ends so is the name of a file
HOP = 10  # ms, of the models' frames


@click.command(
    cls=Command,
    context_settings=CONTEXT,
    short_help="Align a recording while it comes in.",
    epilog="Examples: aligner stream 'she had your dark suit' --mic;  aligner stream talk.txt talk.wav;  "
    "arecord -t raw -f S16_LE -r 16000 | aligner stream talk.txt - --json",
)
@click.argument("text")
@click.argument("source", required=False, metavar="[FILE|-]")
@click.option("--mic", is_flag=True, help="Listen to the microphone (needs pip install 'aligner[mic]').")
@click.option(
    "--rate",
    type=click.IntRange(min=1000),
    default=16000,
    show_default=True,
    help="Of raw samples on the standard input, in Hz.",
)
@click.option("--realtime", is_flag=True, help="Read FILE at the speed of the clock, not as fast as can be.")
@click.option("--json", "as_json", is_flag=True, help="Write a line of JSON for each event.")
@click.option(
    "--textgrid",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the final alignment.",
)
@click.option("--overwrite", is_flag=True, help="Even where that file exists.")
@click.option(
    "--complete",
    is_flag=True,
    help="The text is spoken to its end, for sure: align all of it, even where "
    "the recording seems to stop before.",
)
@click.option(
    "--dictionary",
    "-d",
    type=click.Path(path_type=Path),
    help="Pronunciations, in the Montreal Forced Aligner's or CMU's format.  [default: the model's own]",
)
@click.option(
    "--model",
    "-m",
    metavar="NAME|FOLDER",
    help="Acoustic model: the folder of one of CMU Sphinx.  [default: english]",
)
@click.option("--language", "-l", metavar="CODE", help="Of the text.  [default: the model's]")
@click.option(
    "--g2p/--no-g2p",
    default=True,
    show_default=True,
    help="Whether words that are in no dictionary get a pronunciation from their letters, or fail.",
)
@click.option(
    "--refine",
    type=click.Choice(names.REFINEMENTS),
    default="full",
    show_default=True,
    help="Correct boundaries by the model's table of offsets, and (full) those of "
    "--textgrid by the sound itself, too; or leave them as the search put them.",
)
@click.option(
    "--chunk",
    type=click.IntRange(min=HOP),
    metavar="MS",
    help="Process so much at once.  [default: what --latency allows]",
)
@click.option(
    "--latency",
    type=click.IntRange(min=HOP),
    metavar="MS",
    help="Let the size of chunks follow what they "
    "cost, so that no sound waits longer than this to be processed.  [default: 50]",
)
def stream(
    text: str,
    source: str | None,
    mic: bool,
    rate: int,
    realtime: bool,
    as_json: bool,
    textgrid: Path | None,
    overwrite: bool,
    complete: bool,
    dictionary: Path | None,
    model: str | None,
    language: str | None,
    g2p: bool,
    refine: str,
    chunk: int | None,
    latency: int | None,
) -> None:
    """Align TEXT with a recording while it comes in; words and phones are told as they become certain.

    TEXT is what is said, or the name of a file that holds it. The recording is a FILE (read as if it came
    in), the standard input (-: raw 16-bit little-endian mono samples, or a WAV file), or the microphone
    (--mic). Ctrl-C ends the input, and the rest is told.

    In the end the alignment is the one of the whole recording; a word or phone that it has elsewhere than was
    told is told again, as revised.

    Exit status: 0 if all was aligned, 1 if not, or the text was not spoken to its end, 2 if the call was
    wrong.
    """
    if mic == (source is not None):
        raise click.UsageError("name a FILE, - for the standard input, or --mic: one of them")
    if chunk is not None and latency is not None:
        raise click.UsageError("--chunk and --latency exclude each other")
    if realtime and source in (None, "-"):
        raise click.UsageError("--realtime is for a FILE: other input has its own pace")
    logging.getLogger("numba").setLevel(logging.WARNING)
    from aligner.backends.calls import check_choice
    from aligner.backends.options import Compute, Options
    from aligner.corpus.audio import check_there
    from aligner.types import AlignerError

    frames = None if chunk is None else max(1, round(chunk / HOP))
    status = 2
    try:
        _check_target(textgrid, overwrite)
        said = _text(text)
        if source is not None and source != "-":
            check_there(Path(source))
        options = Options(dictionary=dictionary, g2p=g2p, refine=refine, backend="hmm", language=language)
        check_choice(model, options, Compute())
        import torch

        from aligner.corpus.incoming import until_interrupted
        from aligner.run.stream import LATENCY, StreamAligner, follow

        torch.set_num_threads(1)  # pieces are small: threads would wait for each other
        aligner = StreamAligner(
            said, model, options, frames, LATENCY if latency is None else latency / 1000, complete
        )
        pieces = _pieces(source, aligner.rate, (frames or 1) * HOP / 1000, rate, realtime)
        status = 1
        # models and dictionaries stay: looking through them for garbage takes a tenth of a second
        gc.freeze()
        for event in follow(until_interrupted(pieces), aligner):
            click.echo(json.dumps(event.fields(), ensure_ascii=False) if as_json else _line(event))
        if textgrid is not None:
            _write(textgrid, aligner)
    except AlignerError as error:
        click.echo(f"stream: {error}", err=True)
        sys.exit(status)
    if not aligner.search.finished:
        click.echo(
            f"stream: text: it was not spoken to its end ({event.about['words']} of {event.about['of']} "
            f"words): "
            "speak all of it, or shorten it",
            err=True,
        )
        sys.exit(1)


def _check_target(textgrid: Path | None, overwrite: bool) -> None:
    """A result that cannot be written is better told before the work than after."""
    from aligner.run.plan import check_writable
    from aligner.types import DataError

    if textgrid is not None:
        if textgrid.exists() and not overwrite:
            raise DataError(textgrid, "it exists", "name another file, or take --overwrite")
        check_writable(textgrid.parent)


def _text(text: str) -> str:
    """The text itself, or what is in the file of this name."""
    from aligner.corpus.find import TIMIT_PROMPT
    from aligner.formats.files import read_text
    from aligner.types import DataError

    path = Path(text)
    if len(text) < 1000 and path.is_file():
        content = read_text(path)
        numbers = TIMIT_PROMPT.match(content)
        return content[numbers.end() :] if numbers and numbers[1] == "0" else content
    if path.suffix.lower() in TEXTS and len(text.split()) == 1:
        raise DataError(text, "the text is not there", "check its name and place")
    return text


def _pieces(source: str | None, rate: int, seconds: float, raw_rate: int, realtime: bool) -> Pieces:
    from aligner.corpus.incoming import of_bytes, of_file, of_microphone, paced

    if source is None:
        return of_microphone(rate, seconds)
    if source == "-":
        return of_bytes(sys.stdin.buffer, raw_rate, rate, seconds)
    pieces = of_file(Path(source), rate, seconds)
    return paced(pieces, rate) if realtime else pieces


def _line(event: Event) -> str:
    """An event for a person to read."""
    if event.kind == "end":
        return _summary(event)
    place = "taken back   " if event.start is None else f"{event.start:6.3f} {event.end:6.3f}"
    if event.kind == "phone":
        return f"    {place}  {event.label}"
    if event.kind == "word":
        return f"{place}      {event.label:20} {event.delay:5.2f} s after its end"
    assert event.was is not None
    return f"{place}      {event.label:20} revised: it was told at {event.was[0]:.3f} to {event.was[1]:.3f}"


def _summary(event: Event) -> str:
    about = event.about
    lines = [
        f"end       {event.end:.3f} s, {about['words']} of {about['of']} words, {about['revised']} revised"
    ]
    if "delay" in about:
        lines.append(
            f"told      {about['delay']['median']:.3f} s after the end of a word (median), "
            f"{about['delay']['p95']:.3f} s (95 % of them sooner)"
        )
    lines += [f"suspect   {reason}" for reason in about.get("reasons", ())]
    return "\n".join(lines)


def _write(path: Path, aligner: StreamAligner) -> None:
    from aligner.corpus.results import tiers
    from aligner.formats.textgrid import write_textgrid

    found = {"words": aligner.words, "phones": aligner.phones}
    write_textgrid(path, tiers([aligner.alignment]) if aligner.alignment else found, aligner.heard)
