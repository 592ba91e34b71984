"""What ``aligner stream`` does: align a recording while it comes in, and print words as they are decided."""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path

import click
import torch

from aligner.backends.options import Options
from aligner.cli.checks import STANDARD_INPUT
from aligner.cli.common import STREAM_HOP
from aligner.corpus.incoming import Pieces, of_bytes, of_file, of_microphone, paced, until_interrupted
from aligner.formats.textgrid import write_textgrid
from aligner.formats.tiers import tiers
from aligner.run.stream import LATENCY, StreamAligner, follow
from aligner.run.stream_events import Event
from aligner.types import AlignerError


def stream(
    said: str,
    *,
    model: str | None,
    options: Options,
    source: str | None,
    rate: int,
    realtime: bool,
    complete: bool,
    chunk: int | None,
    latency: int | None,
    textgrid: Path | None,
    as_json: bool,
) -> int:
    """Carry out a call of `aligner stream`, and return its exit status.

    Parameters
    ----------
    said : str
        The text.
    model : str or None
        The name or folder of the model; None takes the one inside.
    options : Options
        What is wanted of the alignment.
    source : str or None
        A file, '-' for the standard input, or None for the microphone.
    rate : int
        The sample rate of raw input in Hz.
    realtime : bool
        Whether a file is read at the speed of the clock.
    complete : bool
        Whether the text is certainly spoken to its end.
    chunk, latency : int or None
        How much is processed at once in ms, or how long sound may wait.
    textgrid : Path or None
        Where the final alignment goes.
    as_json : bool
        Whether events are printed as JSON.
    """
    torch.set_num_threads(1)  # pieces are small: threads would wait for each other
    frames = None if chunk is None else max(1, round(chunk / STREAM_HOP))
    longest = LATENCY if latency is None else latency / 1000
    aligner = StreamAligner(said, model, options, chunk=frames, latency=longest, complete=complete)
    told = aligner.cautions
    for caution in told:
        click.echo(f"stream: warning: {caution}", err=True)
    pieces = _pieces(source, aligner.rate, (frames or 1) * STREAM_HOP / 1000, rate, realtime)
    # models and dictionaries stay: looking through them for garbage takes a tenth of a second
    gc.freeze()
    try:
        for event in follow(until_interrupted(pieces), aligner):
            click.echo(json.dumps(event.fields(), ensure_ascii=False) if as_json else _line(event))
        if textgrid is not None:
            _write(textgrid, aligner)
        for caution in aligner.cautions:
            if caution not in told:
                click.echo(f"stream: warning: {caution}", err=True)
    except AlignerError as error:
        click.echo(f"stream: {error}", err=True)
        return 1
    if aligner.finished:
        return 0
    words = f"{event.about['words']} of {event.about['of']} words"
    click.echo(
        f"stream: text: it was not spoken to its end ({words}): speak all of it, or shorten it", err=True
    )
    return 1


def _pieces(source: str | None, rate: int, seconds: float, raw_rate: int, realtime: bool) -> Pieces:
    if source is None:
        return of_microphone(rate, seconds)
    if source == STANDARD_INPUT:
        return of_bytes(sys.stdin.buffer, raw_rate, rate, seconds)
    pieces = of_file(Path(source), rate, seconds)
    return paced(pieces, rate) if realtime else pieces


def _line(event: Event) -> str:
    """Return an event as a line for a person to read."""
    if event.kind == "end":
        return _summary(event)
    place = "taken back   " if event.start is None else f"{event.start:6.3f} {event.end:6.3f}"
    if event.kind == "phone":
        return f"    {place}  {event.label}"
    if event.kind == "word":
        return f"{place}      {event.label:20} {event.delay:5.2f} s after its end"
    assert event.was is not None
    return (
        f"{place}      {event.label:20} revised: it was reported at {event.was[0]:.3f} to {event.was[1]:.3f}"
    )


def _summary(event: Event) -> str:
    about = event.about
    lines = [
        f"end       {event.end:.3f} s, {about['words']} of {about['of']} words, {about['revised']} revised"
    ]
    if "delay" in about:
        lines.append(
            f"reported  {about['delay']['median']:.3f} s after the end of a word (median), "
            f"{about['delay']['p95']:.3f} s (95 % of them sooner)"
        )
    lines += [f"suspect   {reason}" for reason in about.get("reasons", ())]
    return "\n".join(lines)


def _write(path: Path, aligner: StreamAligner) -> None:
    found = {"words": aligner.words, "phones": aligner.phones}
    write_textgrid(path, tiers([aligner.alignment]) if aligner.alignment else found, aligner.heard)
