"""What the commands share before anything heavy is imported: options, exit statuses, reports of errors."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from aligner import names
from aligner.parallel.cores import cores

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
FOLDER = click.Path(path_type=Path)
FILE = click.Path(path_type=Path, dir_okay=False)

WRONG_CALL = 2  # exit status where nothing could be done
INTERRUPTED = 130  # exit status after Ctrl-C, as shells have it
STREAM_HOP = 10  # ms between frames of a stream's models
TABLE_WIDTH = 120  # characters of a table
FIRST_REASONS = 10  # failures and suspects that a summary prints; the table has all
WORKER_MODULES = ("aligner.run.align", "aligner.learn.spread", *names.BACKENDS.values())

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def dictionaries(about: str) -> Callable[[Decorated], Decorated]:
    """Decorate a command with the options that name dictionaries; ``about`` says what --dictionary is for."""
    named = click.option(
        "--dictionary",
        "-d",
        type=click.Path(path_type=Path),
        help=f"Pronunciations, in the Montreal Forced Aligner's or CMU's format, or a YAML file that names "
        f"such a file for each speaker{about}",
    )
    added = click.option(
        "--add-words",
        multiple=True,
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="Pronunciations that are laid over the dictionary: they replace what it says of these words. "
        "May be repeated; the last one counts.",
    )
    strict = click.option(
        "--strict", is_flag=True, help="A line of these files that cannot be used is an error, not a warning."
    )
    return lambda command: named(added(strict(command)))


DICTIONARY = dictionaries(".  [default: the model's own]")
G2P = click.option(
    "--g2p/--no-g2p",
    default=True,
    show_default=True,
    help="Whether words that are in no dictionary get a pronunciation from their letters, or fail.",
)
STRESS = click.option(
    "--stress/--no-stress",
    default=None,
    help="Whether vowels are labelled with the stress that the dictionary writes (AH0, IY1; \u02c8i in the "
    "IPA), or without.  [default: stress; no-stress with --phones ipa and xsampa]",
)
PHONES = click.option(
    "--phones",
    type=click.Choice(names.ALPHABETS),
    default="native",
    show_default=True,
    help="Alphabet to write phones in; 'native' is what the model or the dictionary has. Boundaries are the "
    "same. ARPAbet is for English.",
)
BRACKETS = click.option(
    "--brackets",
    default="usual",
    show_default=True,
    metavar="usual|words|all|none|PAIRS",
    help="Which brackets in a transcript hold noises: [], {} and <>, and () and ** where their words name "
    "one (usual); those, of all kinds, whose words name one (words); [], {}, <> and () (all); none; or the "
    "pairs that do, such as '[]()'.",
)
NOISE_WORDS = click.option(
    "--noise-words",
    metavar="LIST|FILE",
    help="Further words that are noises wherever they stand: 'mmm,LAUGHTER', or a file with one a line; "
    "'none' among them forgets those that are known, such as xxx.",
)
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
    help="What hears phones in both recordings, to compare them beside the spectra (DTW): 'english', the "
    "folder of a model of whatever language, or none.  [default: align: english; transfer: none]",
)
EXISTING = click.option(
    "--existing",
    type=click.Choice(names.EXISTING),
    default="skip",
    show_default=True,
    help="What to do where an output exists. Nothing is ever deleted.",
)


def guarded(
    *, writes: bool = False, interrupted: Callable[..., str] | None = None, name: str | None = None
) -> Callable[[Callable[..., int | None]], Callable[..., None]]:
    """Decorate a command: its result is the exit status, and its errors are printed in one line.

    Parameters
    ----------
    writes : bool
        Whether the command writes files that the user names: an OSError is reported as being about one.
    interrupted : callable, optional
        What to say after Ctrl-C, made from the options of the call.
    name : str, optional
        What the line begins with; the name of the command unless given.
    """

    def decorated(command: Callable[..., int | None]) -> Callable[..., None]:
        @wraps(command)
        def guard(*arguments: Any, **call: Any) -> None:
            from aligner.types import AlignerError

            begin = name or click.get_current_context().info_name or "aligner"
            try:
                sys.exit(command(*arguments, **call) or 0)
            except AlignerError as error:
                click.echo(f"{begin}: {error}", err=True)
            except (KeyboardInterrupt, SystemError) as error:
                if interrupted is None or not _is_interrupt(error):
                    raise
                click.echo(f"{begin}: interrupted; {interrupted(**call)}", err=True)
                sys.exit(INTERRUPTED)
            except OSError as error:
                if not writes:
                    raise
                why = f"it cannot be written ({error.strerror}): name another place"
                click.echo(f"{begin}: {error.filename}: {why}", err=True)
            sys.exit(WRONG_CALL)

        return guard

    return decorated


def _is_interrupt(error: BaseException | None) -> bool:
    """Return whether an error is Ctrl-C, or what numba makes of one that comes while it calls Python: a
    SystemError.
    """
    return error is not None and (isinstance(error, KeyboardInterrupt) or _is_interrupt(error.__cause__))


def warm_up(jobs: int | None, tasks: int = 2) -> None:
    """Let the fork server import what workers will need while this process imports it itself.

    Parameters
    ----------
    jobs : int or None
        The number of processes that are wanted; None for one a core.
    tasks : int
        The number of tasks, as far as it is known; for a single task there will be no workers.
    """
    if (jobs or cores()) > 1 and tasks > 1:
        from aligner.parallel import fork_server

        with suppress(OSError):  # the error comes again when workers are needed
            fork_server.start(WORKER_MODULES)
