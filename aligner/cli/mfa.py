"""Translation of calls that the Montreal Forced Aligner (MFA) would take; used when a call is wrong."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click

from aligner.models.known import OWN

# of MFA's commands, in its order; those with dashes are options here, an empty one has no counterpart
ARGUMENTS = {
    "align": ("corpus", "--dictionary", "--model", "out"),
    "train": ("corpus", "--dictionary", "model"),
    "adapt": ("corpus", "--dictionary", "model", "new"),
    "validate": ("corpus", "--dictionary", ""),
}
COMMANDS = {  # of MFA that have another name here, or none
    "align_one": "call: align FILE OUT, with --text 'what is said' where no transcript lies beside it",
    "model": "call: aligner models list (nothing has to be fetched: an English model is inside)",
    "models": "call: aligner models list",
    "g2p": "align guesses the pronunciations of words that no dictionary has, and lists them in oovs.csv",
    "train_dictionary": "aligner train learns the probabilities of pronunciations: its recipes standard "
    "and large do",
    "add_words": "call: align CORPUS OUT --add-words FILE (the words are laid over the dictionary for this "
    "run; aligner adapt and teach keep them with a model)",
    "find_oovs": "call: aligner validate CORPUS --oovs oovs.csv",
    "configure": "there is nothing to configure: the options of a call are all that it knows",
    "server": "there is no server, and none is needed",
    "version": "call: aligner --version",
}
NOTHING_KEPT, EXACT, NO_FILE = (
    "nothing is kept between runs",
    "the search has no beam",
    "options are the settings",
)
NOISES = "noises keep their spelling (--brackets and --noise-words tell which are)"
FOLDERS = "the folder that holds a recording is its speaker"


@dataclass(frozen=True)
class Flag:
    """An option of the Montreal Forced Aligner, and what becomes of it here."""

    takes: bool = False
    """Whether it takes a value."""
    here: tuple[str, ...] = ()
    """The option's counterpart here, '{}' being its value; empty where it is left out."""
    why: str = ""
    """Why it is left out."""


FLAGS = {
    "--clean": Flag(why=NOTHING_KEPT),
    "--no_clean": Flag(why=NOTHING_KEPT),
    "--final_clean": Flag(why=NOTHING_KEPT),
    "--no_final_clean": Flag(why=NOTHING_KEPT),
    "--temporary_directory": Flag(True, why=NOTHING_KEPT),
    "-t": Flag(True, why=NOTHING_KEPT),
    "--config_path": Flag(True, why=NO_FILE),
    "-c": Flag(True, why=NO_FILE),
    "--single_speaker": Flag(why=FOLDERS),
    "--speaker_characters": Flag(True, why=FOLDERS),
    "-s": Flag(True, why=FOLDERS),
    "--audio_directory": Flag(True, why="recordings lie beside their transcripts"),
    "-a": Flag(True, why="recordings lie beside their transcripts"),
    "--num_jobs": Flag(True, ("--jobs", "{}")),
    "--overwrite": Flag(here=("--existing", "overwrite")),
    "--no_overwrite": Flag(),
    "--output_format": Flag(True, ("--format", "{}")),
    "--reference_directory": Flag(True, ("--reference", "{}")),
    "--dictionary_path": Flag(True, ("--dictionary", "{}")),
    "--acoustic_model_path": Flag(True, ("--model", "{}")),
    "--g2p_model_path": Flag(True, why="G2P of English is inside, and eSpeak's for other languages"),
    "--beam": Flag(True, why=EXACT),
    "--retry_beam": Flag(True, why=EXACT),
    "--fine_tune": Flag(why="boundaries are always refined below a frame"),
    "--use_mp": Flag(),
    "--no_use_mp": Flag(here=("--jobs", "1")),
    "--use_threading": Flag(),
    "--debug": Flag(),
    "--no_debug": Flag(),
    "--quiet": Flag(),
    "-q": Flag(),
    "--no_quiet": Flag(),
    "--use_postgres": Flag(),
    "--no_use_postgres": Flag(),
    "--auto_server": Flag(),
    "--no_auto_server": Flag(),
    "--textgrid_cleanup": Flag(why="there is nothing to clean: words stand as you wrote them"),
    "--no_textgrid_cleanup": Flag(),
    "--include_original_text": Flag(why="-f json has the transcript"),
    "--phone_set": Flag(True),
    "--laughter_word": Flag(True, why=NOISES),
    "--bracketed_word": Flag(True, why=NOISES),
    "--cutoff_word": Flag(True, why=NOISES),
    "--oov_word": Flag(True, why=NOISES),
    "--uses_speaker_adaptation": Flag(here=("--adapt",)),
    "--no_uses_speaker_adaptation": Flag(here=("--no-adapt",)),
}
TEXTGRIDS = ("long_textgrid", "short_textgrid", "textgrid")  # which are always written


@dataclass
class _ParsedCall:
    """The words of a call, sorted, with MFA's options translated."""

    positional: list[str] = field(default_factory=list)
    """The arguments that are no options."""
    options: list[str] = field(default_factory=list)
    """The options of this program, with their values."""
    left_out: list[str] = field(default_factory=list)
    """The options of MFA that have no counterpart, each with the reason."""
    foreign: str = ""
    """A model or dictionary that MFA fetches by this name and that is not of English; empty if none is."""
    is_mfa: bool = False
    """Whether something in the call is MFA's."""


def quoted(*words: str) -> str:
    """Return a command that can be pasted into a shell.

    Examples
    --------
    >>> quoted("align", "my corpus", "out")
    "align 'my corpus' out"
    """
    return " ".join(shlex.quote(w) for w in words)


def flag_of(name: str) -> Flag | None:
    """Return MFA's option of a name, with underscores or dashes; None if it has none."""
    return FLAGS.get(f"--{name[2:].replace('-', '_')}" if name.startswith("--") else name)


def translated(ctx: click.Context, args: Sequence[str]) -> str:
    """Return what to call instead, where a wrong call is one of MFA's; otherwise an empty text."""
    order = ARGUMENTS.get(ctx.command.name or "")
    own = [p.name or "" for p in ctx.command.params if isinstance(p, click.Argument)]
    # a command of `aligner models`
    if order is None or (ctx.parent is not None and ctx.parent.parent is not None):
        return ""
    read = _read(ctx.command, args)
    arguments, options = read.positional, read.options
    if len(own) < len(arguments) <= len(order):
        slots = list(order)
        while len(slots) > len(arguments):  # the model may be left out
            slots.remove(next(s for s in reversed(slots) if s not in own))
        found = dict(zip(slots, arguments, strict=True))
        arguments = [found[name] for name in own if name in found]
        for slot in (s for s in slots if s not in own):
            _add_option(slot, found[slot], read)
        read.is_mfa = True
    if not read.is_mfa or len(arguments) != len(own):
        return "" if not read.left_out else _only_options(read)
    if read.foreign:
        return _another_language(ctx.command_path, arguments, read.foreign)
    left_out = f" (left out: {'; '.join(read.left_out)})" if read.left_out else ""
    return (
        "this is a call of the Montreal Forced Aligner; here it is: "
        f"{quoted(*ctx.command_path.split(), *arguments, *options)}{left_out}"
    )


def _another_language(command: str, arguments: Sequence[str], name: str) -> str:
    """Return what to do for what MFA fetches of a language that no model is inside for."""
    train = f"{quoted('aligner', 'train', arguments[0])} MODEL --dictionary FILE"
    remedy = (
        f"{quoted(*command.split(), *arguments)} --language CODE, or train a model first: {train}"
        if command.split()[-1] in ("align", "validate")
        else train
    )
    return (
        f"{name} is the Montreal Forced Aligner's and is not read, and what is inside is of English: "
        f"call: {remedy}"
    )


def _only_options(read: _ParsedCall) -> str:
    """Return what to do with MFA's options where the rest of the call is no call of MFA's."""
    return f"the Montreal Forced Aligner's options are not ours: leave out {'; '.join(read.left_out)}"


def _add_option(slot: str, value: str, read: _ParsedCall) -> None:
    """Turn a dictionary or a model into an option, unless it is one that only MFA has."""
    path = Path(value)
    fetched = not path.exists() and value not in OWN and path.stem == value  # a bare name
    if slot and not fetched and not value.endswith(".zip"):
        read.options += [slot, value]
    elif slot and not path.name.startswith("english"):
        read.foreign = value
    elif slot == "--dictionary":
        read.left_out.append(f"{value}, for an English dictionary is inside")
    elif slot:
        read.left_out.append(f"{value}, for MFA's models are not read and an English one is inside")
    else:
        read.left_out.append(f"{value}, for no model is needed")


def _read(command: click.Command, args: Sequence[str]) -> _ParsedCall:
    """Sort the words of a call; options of this program stay as they are."""
    known = {
        o: p for p in command.params if isinstance(p, click.Option) for o in (*p.opts, *p.secondary_opts)
    }
    read, rest = _ParsedCall(), list(args)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        if not word.startswith("-") or word == "-":
            read.positional.append(word)
        elif name not in known and (flag := flag_of(name)) is not None:
            read.is_mfa = True
            values = [value] if equals else [rest.pop(0)] if flag.takes and rest else []
            _add_flag(name, flag, values, read)
        else:
            read.options.append(word)
            option = known.get(name)
            if option is not None and not equals and not option.is_flag and rest:
                read.options += [rest.pop(0) for _ in range(min(option.nargs, len(rest)))]
    return read


def _add_flag(name: str, flag: Flag, values: list[str], read: _ParsedCall) -> None:
    """Translate one of MFA's options, or note why it is left out."""
    if name.endswith("format") and values and values[0] in TEXTGRIDS:
        read.left_out.append(f"{name}, for TextGrids are always written")
    elif flag.here:
        read.options += [part.format(*values) for part in flag.here] if values or not flag.takes else []
    else:
        read.left_out.append(f"{name}, for {flag.why}" if flag.why else name)
