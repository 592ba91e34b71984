"""The programs ``align`` and ``aligner``: they parse and print only.

A module beside this one holds the options of a command.  Called, a command goes two steps, each imported when
it is reached: `checks` finds what is wrong with the call without torch, so that wrong calls, as ``--help``,
are answered at once; then a module of `actions` calls the rooms that do the work and prints what they return.
"""

from __future__ import annotations

import atexit
import gc

import click

from aligner import __version__
from aligner.cli.adapting import adapt
from aligner.cli.aligning import align
from aligner.cli.calls import Group
from aligner.cli.evaluating import compare, evaluate, speech_metrics
from aligner.cli.languages import languages
from aligner.cli.looking import inspect, report
from aligner.cli.measuring import bench, doctor, profile
from aligner.cli.models import models
from aligner.cli.reading import read
from aligner.cli.streaming import stream
from aligner.cli.teaching import teach
from aligner.cli.training import train
from aligner.cli.transferring import transfer
from aligner.cli.validating import validate


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Speech forced alignment: recordings and transcripts in, words and phones with times out."""


for command in (
    align,
    stream,
    validate,
    read,
    train,
    adapt,
    teach,
    models,
    transfer,
    languages,
    report,
    inspect,
    evaluate,
    compare,
    speech_metrics,
    bench,
    profile,
    doctor,
):
    main.add_command(command)

# what torch alone has imported takes Python half a second to search for garbage at its end
atexit.register(gc.freeze)

__all__ = ["align", "main"]
