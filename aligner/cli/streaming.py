"""``aligner stream``: words and phones while the recording comes in."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import click

from aligner import names
from aligner.cli.calls import Command
from aligner.cli.common import (
    BRACKETS,
    CONTEXT,
    DICTIONARY,
    G2P,
    NOISE_WORDS,
    PHONES,
    STREAM_HOP,
    STRESS,
    guarded,
)


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
@DICTIONARY
@click.option(
    "--model",
    "-m",
    metavar="NAME|FOLDER",
    help="Acoustic model: the folder of one of CMU Sphinx.  [default: english]",
)
@click.option("--language", "-l", metavar="CODE", help="Of the text.  [default: the model's]")
@G2P
@PHONES
@STRESS
@BRACKETS
@NOISE_WORDS
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
    type=click.IntRange(min=STREAM_HOP),
    metavar="MS",
    help="Process so much at once.  [default: what --latency allows]",
)
@click.option(
    "--latency",
    type=click.IntRange(min=STREAM_HOP),
    metavar="MS",
    help="Let the size of chunks follow what they "
    "cost, so that no sound waits longer than this to be processed.  [default: 50]",
)
@guarded()
def stream(
    *,
    text: str,
    source: str | None,
    mic: bool,
    textgrid: Path | None,
    overwrite: bool,
    model: str | None,
    dictionary: Path | None,
    add_words: tuple[Path, ...],
    strict: bool,
    language: str | None,
    g2p: bool,
    phones: str,
    stress: bool | None,
    brackets: str,
    noise_words: str | None,
    refine: str,
    **listening: Any,
) -> int:
    """Align TEXT with a recording while it comes in; words and phones are reported as they become certain.

    TEXT is what is said, or the name of a file that holds it. The recording is a FILE (read as if it came
    in), the standard input (-: raw 16-bit little-endian mono samples, or a WAV file), or the microphone
    (--mic). Ctrl-C ends the input, and the rest is reported.

    In the end the alignment is the one of the whole recording; a word or phone that it has elsewhere than was
    reported is reported again, as revised.

    Exit status: 0 if all was aligned, 1 if not, or the text was not spoken to its end, 2 if the call was
    wrong.
    """
    if mic == (source is not None):
        raise click.UsageError("name a FILE, - for the standard input, or --mic: one of them")
    if listening["chunk"] is not None and listening["latency"] is not None:
        raise click.UsageError("--chunk and --latency exclude each other")
    if listening["realtime"] and source in (None, "-"):
        raise click.UsageError("--realtime is for a FILE: other input has its own pace")
    logging.getLogger("numba").setLevel(logging.WARNING)
    from aligner.cli import checks

    said, options = checks.streaming(
        text=text,
        source=source,
        textgrid=textgrid,
        overwrite=overwrite,
        model=model,
        dictionary=dictionary,
        add_words=add_words,
        strict=strict,
        language=language,
        g2p=g2p,
        phones=phones,
        stress=stress,
        brackets=brackets,
        noise_words=noise_words,
        refine=refine,
    )
    from aligner.cli.actions import streaming

    return streaming.stream(said, model=model, options=options, source=source, textgrid=textgrid, **listening)
