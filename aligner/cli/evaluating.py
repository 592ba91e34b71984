"""``aligner evaluate``, ``aligner compare`` and ``aligner speech-metrics``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from aligner import names
from aligner.cli.calls import Command
from aligner.cli.common import CONTEXT, FILE, FOLDER, guarded

# how labels are read and made comparable
LABEL_OPTIONS = (
    click.option(
        "--map",
        "-m",
        "phone_map",
        type=FOLDER,
        help="YAML of labels and the classes that they count "
        "as, on either side: 'label: class', or 'class: [label, label]'.",
    ),
    click.option(
        "--fold/--no-fold",
        default=True,
        show_default=True,
        help="Compare phones in the 39 classes "
        "customary for TIMIT, whatever their stress and case, and those in the IPA whatever their marks "
        "(length, aspiration, ...); or labels as they are, but for stress.",
    ),
    click.option(
        "--phones",
        default="phones",
        show_default=True,
        metavar="TIER",
        help="The reference's tier of phones.",
    ),
    click.option(
        "--words",
        default="words",
        show_default=True,
        metavar="TIER",
        help="The reference's tier of words.",
    ),
    click.option(
        "--aligned-phones",
        default="phones",
        show_default=True,
        metavar="TIER",
        help="The alignment's tier of phones.",
    ),
    click.option(
        "--aligned-words",
        default="words",
        show_default=True,
        metavar="TIER",
        help="The alignment's tier of words.",
    ),
)


def label_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a command with the options on how labels are read and made comparable."""
    for option in reversed(LABEL_OPTIONS):
        command = option(command)
    return command


@click.command(
    cls=Command,
    context_settings=CONTEXT,
    short_help="How far alignments are from hand labels.",
    epilog="Example: aligner evaluate timit/ out/ --csv boundaries.csv",
)
@click.argument("reference", type=FOLDER)
@click.argument("aligned", type=FOLDER)
@label_options
@click.option(
    "--csv",
    "table",
    type=FILE,
    help="Write a row for each boundary to this file.",
)
@click.option(
    "--json",
    "figures",
    type=FILE,
    help="Write all figures to this file.",
)
@click.option("--brief", is_flag=True, help="Print the first table only.")
@guarded(writes=True)
def evaluate(
    *, reference: Path, aligned: Path, table: Path | None, figures: Path | None, brief: bool, **labels: Any
) -> int:
    """Tell how far the labels in ALIGNED are from those in REFERENCE.

    Both are folders of TextGrids, .phn (and .wrd), .lab, CTM or JSON files at the same relative paths. Phones
    are matched label first; each boundary of a matched phone counts once; what has no match is in the phone
    error rate, and files without an alignment are in it too. Intervals are 95 % bootstrap intervals over
    files.

    Tiers of phones and words are found by their usual names in any case ('Phones', 'phone', 'MAU', 'anna -
    words', ...); the four options name others.

    Exit status: 0, or 1 if a reference has no alignment or something could not be read, 2 if the call was
    wrong.
    """
    from aligner.cli import checks

    labelling = checks.evaluation(reference, aligned, targets=(table, figures), **labels)
    from aligner.cli.actions import evaluating

    return evaluating.evaluate_folder(
        reference, aligned, labelling, table=table, figures=figures, brief=brief
    )


@click.command(
    cls=Command,
    context_settings=CONTEXT,
    short_help="Which of two aligners is closer.",
    epilog="Example: aligner compare mine/ theirs/ --reference timit/",
)
@click.argument("first", metavar="A", type=FOLDER)
@click.argument("second", metavar="B", type=FOLDER)
@click.option("--reference", "-r", type=FOLDER, help="Hand labels: tells which of A and B is closer to them.")
@label_options
@guarded(writes=True)
def compare(*, first: Path, second: Path, reference: Path | None, **labels: Any) -> int:
    """Compare two aligners' labels of the same recordings, in the folders A and B, at the same relative
    paths.

    With --reference, by their distance from hand labels, with a paired test of whether they differ; without,
    how far B is from A, in all the figures of 'aligner evaluate'.
    """
    from aligner.cli import checks

    folders = (first, second) if reference is None else (reference, first, second)
    labelling = checks.evaluation(*folders, **labels)
    from aligner.cli.actions import evaluating

    if reference is None:
        return evaluating.compare_two(first, second, labelling)
    return evaluating.compare_by_reference(reference, first, second, labelling)


@click.command(
    "speech-metrics",
    cls=Command,
    context_settings=CONTEXT,
    short_help="MCD, F0 and durations of synthesised speech.",
    epilog="Example: aligner speech-metrics recorded/ synthesised/ --csv figures.csv",
)
@click.argument("reference", metavar="REF_DIR", type=FOLDER)
@click.argument("synthesised", metavar="SYN_DIR", type=FOLDER)
@click.option(
    "--alignments",
    "-a",
    nargs=2,
    type=FOLDER,
    metavar="REF_LABELS SYN_LABELS",
    help="Folders of alignments "
    "of the two (as 'align' writes them): frames are matched by them, and durations compared.",
)
@click.option(
    "--warp",
    type=click.Choice(names.WARPS),
    default="dtw",
    show_default=True,
    help="Match frames by exact dynamic time warping, or one to one; where there are no alignments.",
)
@click.option(
    "--order",
    type=click.IntRange(min=1),
    default=24,
    show_default=True,
    help="Of the mel-cepstra; c0 is left out.",
)
@click.option(
    "--silence",
    "silence_db",
    type=click.FloatRange(min=0, min_open=True),
    metavar="DB",
    help="Leave out frames that are so many dB below the loudest in both.  [default: all frames count]",
)
@click.option(
    "--floor/--no-floor",
    default=True,
    show_default=True,
    help="Also the MCD of each reference and its own WORLD resynthesis: what a perfect vocoder gets.",
)
@click.option(
    "--csv",
    "table",
    type=FILE,
    help="Write a row for each recording to this file.",
)
@guarded(writes=True)
def speech_metrics(
    *,
    reference: Path,
    synthesised: Path,
    alignments: tuple[Path, Path] | None,
    table: Path | None,
    **settings: Any,
) -> int:
    """Tell how far synthesised recordings are from those of people who say the same.

    MCD in dB, F0 RMSE in Hz and cents on frames voiced in both, errors of voicing (V/UV), gross pitch errors
    (GPE) and F0 frame errors (FFE); with --alignments the accuracy of durations. Recordings of the same
    relative path are compared. Needs pyworld and pysptk: pip install 'aligner[metrics]'.

    Exit status: 0, or 1 if some recordings could not be compared, 2 if the call was wrong.
    """
    from aligner.cli import checks

    checks.speech_metrics(reference, synthesised, labels=alignments or (), table=table)
    from aligner.cli.actions import evaluating

    return evaluating.measure_speech(
        reference, synthesised, alignments=alignments, table=table, settings=settings
    )
