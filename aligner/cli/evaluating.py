"""``aligner evaluate``, ``aligner compare`` and ``aligner speech-metrics``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aligner import names
from aligner.cli.calls import Command
from aligner.parallel.cores import cores

if TYPE_CHECKING:
    from aligner.evaluate.folders import Options

FOLDER = click.Path(path_type=Path)
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def plainly(command: Callable[..., None]) -> Callable[..., None]:
    """Errors of the user's as one line and exit status 2."""

    def name() -> str:
        return click.get_current_context().info_name or "aligner"

    @wraps(command)
    def guarded(*args: Any, **kwargs: Any) -> None:
        from aligner.types import AlignerError

        try:
            command(*args, **kwargs)
        except AlignerError as error:
            click.echo(f"{name()}: {error}", err=True)
            sys.exit(2)
        except OSError as error:
            click.echo(
                f"{name()}: {error.filename}: it cannot be written ({error.strerror}): name another place",
                err=True,
            )
            sys.exit(2)

    return guarded


def labelled(command: Callable[..., None]) -> Callable[..., None]:
    """Options on how labels are read and made comparable."""
    for option in reversed(
        (
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
                "customary for TIMIT, whatever their stress and case; or labels exactly as they are.",
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
    ):
        command = option(command)
    return command


def _options(
    phone_map: Path | None, fold: bool, phones: str, words: str, aligned_phones: str, aligned_words: str
) -> Options:
    from aligner.corpus.labels import TierNames
    from aligner.formats.files import read_text
    from aligner.text.phones import PhoneMap, parse_map

    named = PhoneMap({}, fold) if phone_map is None else parse_map(read_text(phone_map), phone_map, fold)
    from aligner.evaluate.folders import Options

    return Options(named, TierNames(phones, words), TierNames(aligned_phones, aligned_words))


def check_targets(*paths: Path | None) -> None:
    """Raise an OSError, before the work, where a file cannot be written."""
    from tempfile import TemporaryFile

    for path in paths:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            with TemporaryFile(dir=path.parent):
                pass


@click.command(
    cls=Command,
    context_settings=CONTEXT,
    short_help="How far alignments are from hand labels.",
    epilog="Example: aligner evaluate timit/ out/ --csv boundaries.csv",
)
@click.argument("reference", type=FOLDER)
@click.argument("aligned", type=FOLDER)
@labelled
@click.option(
    "--csv",
    "table",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write a row for each boundary to this file.",
)
@click.option(
    "--json",
    "figures",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write all figures to this file.",
)
@click.option("--brief", is_flag=True, help="Print the first table only.")
@plainly
def evaluate(
    reference: Path, aligned: Path, table: Path | None, figures: Path | None, brief: bool, **labels: Any
) -> None:
    """Tell how far the labels in ALIGNED are from those in REFERENCE.

    Both are folders of TextGrids, .phn (and .wrd), .lab, CTM or JSON files at the same relative paths. Phones
    are matched label first; each boundary of a matched phone counts once; what has no match is in the phone
    error rate, and files without an alignment are in it too. Intervals are 95 % bootstrap intervals over
    files.

    Exit status: 0, or 1 if a reference has no alignment or something could not be read, 2 if the call was
    wrong.
    """
    from aligner.backends.calls import check_compared

    check_compared(reference, aligned)
    check_targets(table, figures)
    options = _options(**labels)
    from aligner.cli.tables import print_brief, print_details
    from aligner.evaluate.export import write_boundaries, write_figures
    from aligner.evaluate.folders import evaluate as evaluated

    found = evaluated(reference, aligned, options, cores())
    print_brief(found, f"{aligned} against {reference}")
    if not brief and found.report.missing < found.report.files:
        print_details(found.report)
    for path, write in ((table, write_boundaries), (figures, write_figures)):
        if path is not None:
            write(path, found)
    sys.exit(1 if found.problems or found.missing else 0)


@click.command(
    cls=Command,
    context_settings=CONTEXT,
    short_help="Which of two aligners is closer.",
    epilog="Example: aligner compare mine/ theirs/ --reference timit/",
)
@click.argument("first", metavar="A", type=FOLDER)
@click.argument("second", metavar="B", type=FOLDER)
@click.option("--reference", "-r", type=FOLDER, help="Hand labels: tells which of A and B is closer to them.")
@labelled
@plainly
def compare(first: Path, second: Path, reference: Path | None, **labels: Any) -> None:
    """Compare two aligners' labels of the same recordings, in the folders A and B, at the same relative
    paths.

    With --reference, by their distance from hand labels, with a paired test of whether they differ; without,
    how far B is from A, in all the figures of 'aligner evaluate'.
    """
    from aligner.backends.calls import check_compared

    if reference is None:
        check_compared(first, second)
    else:
        check_compared(reference, first, second)
    options = _options(**labels)
    from aligner.cli.tables import print_brief, print_details, print_versus
    from aligner.evaluate.folders import evaluate as evaluated
    from aligner.evaluate.versus import versus

    if reference is None:
        found = evaluated(first, second, options, cores())
        print_brief(found, f"{second} against {first}: how far apart, not which is right")
        print_details(found.report)
        sys.exit(1 if found.problems or found.missing else 0)
    both = versus(reference, first, second, options, cores())
    print_versus(both, str(first), str(second))
    problems = {str(p) for e in (both.first, both.second) for p in e.problems}
    for problem in sorted(problems):
        click.echo(f"note: {problem}", err=True)
    sys.exit(1 if problems or both.first.missing or both.second.missing else 0)


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
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write a row for each recording to this file.",
)
@plainly
def speech_metrics(
    reference: Path,
    synthesised: Path,
    alignments: tuple[Path, Path] | None,
    warp: str,
    order: int,
    silence_db: float | None,
    floor: bool,
    table: Path | None,
) -> None:
    """Tell how far synthesised recordings are from those of people who say the same.

    MCD in dB, F0 RMSE in Hz and cents on frames voiced in both, errors of voicing (V/UV), gross pitch errors
    (GPE) and F0 frame errors (FFE); with --alignments the accuracy of durations. Recordings of the same
    relative path are compared. Needs pyworld and pysptk: pip install 'aligner[metrics]'.

    Exit status: 0, or 1 if some recordings could not be compared, 2 if the call was wrong.
    """
    from aligner.corpus.find import find_recordings
    from aligner.corpus.labels import find_labels

    for folder in (reference, synthesised):
        find_recordings(folder)
    for folder in alignments or ():
        find_labels(folder)
    check_targets(table)
    from aligner.cli.tables import print_speech
    from aligner.evaluate.export import write_speech
    from aligner.evaluate.folders import evaluate as evaluated
    from aligner.evaluate.speech import SpeechSettings, compare_folders

    settings = SpeechSettings(order=order, warp=warp, silence_db=silence_db, floor=floor)
    found = compare_folders(reference, synthesised, settings, alignments)
    print_speech(found, settings, "alignments" if alignments else warp)
    if alignments:
        from aligner.cli.tables import durations, show
        from aligner.evaluate.accuracy import summarise

        compared = [r for r in evaluated(*alignments).results if r.file in found.files]
        show(durations(summarise(compared)))
    if table is not None:
        write_speech(table, found)
    sys.exit(1 if found.problems else 0)
