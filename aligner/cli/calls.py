"""Commands that answer a wrong call in one line, which says what is wrong and what to call instead."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

from aligner.parallel.cores import limit_threads
from aligner.types import in_one_line


class WrongCall(click.UsageError):
    """A wrong call, whose message is one line."""

    def __init__(self, message: str, ctx: click.Context) -> None:
        super().__init__(message, ctx)
        self.name = ctx.info_name

    def show(self, file: Any = None) -> None:
        """Print the message, without the usage that click prints."""
        click.echo(f"{self.name}: {in_one_line(self.message)}", file=file or sys.stderr)


class Command(click.Command):
    """A command that answers a wrong call in one line."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse arguments as click does, but explain errors in one line."""
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            raise WrongCall(_explained(error, ctx, given), ctx) from error

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command as click does; a usage error of its own is one line, too."""
        limit_threads()
        try:
            return super().invoke(ctx)
        except WrongCall:
            raise
        except click.UsageError as error:
            raise WrongCall(error.message, ctx) from error


class Group(click.Group):
    """A group of commands that answers a wrong call in one line."""

    command_class = Command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse arguments as click does, but explain errors in one line."""
        if not args:
            return super().parse_args(ctx, args)  # prints its help
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            raise WrongCall(_explained(error, ctx, ()), ctx) from error

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command of a name; if there is none, raise an error that names the likeliest."""
        if self.get_command(ctx, args[0]) is None:
            self._unknown(ctx, args)
        return super().resolve_command(ctx, args)

    def _unknown(self, ctx: click.Context, args: list[str]) -> NoReturn:
        from difflib import get_close_matches

        from aligner.cli.mfa import COMMANDS, quoted

        name = args[0]
        close = get_close_matches(name, self.commands, 1)
        if name in COMMANDS and "align" in self.commands:
            remedy = COMMANDS[name]
        elif "align" in self.commands and Path(name).exists():
            remedy = f"call: {quoted(ctx.command_path, 'align', *args)}"
        elif close:
            remedy = f"did you mean {quoted(ctx.command_path, close[0])}?"
        else:
            remedy = f"{ctx.command_path} --help lists them"
        raise WrongCall(f"{name}: there is no such command: {remedy}", ctx)


def _explained(error: click.UsageError, ctx: click.Context, given: Sequence[str]) -> str:
    """Return what is wrong and what to do about an error that click found."""
    from aligner.cli.mfa import flag_of, translated  # which only a wrong call needs

    # too many arguments are a plain UsageError
    several = _several_recordings(given) if type(error) is click.UsageError else ""
    if several:
        return several
    mistyped = isinstance(error, click.NoSuchOption) and flag_of(error.option_name) is None
    theirs = "" if mistyped else translated(ctx, given)
    if theirs:
        return theirs
    usage = " ".join(
        [ctx.command_path, *(p for p in ctx.command.collect_usage_pieces(ctx) if p != "[OPTIONS]")]
    )
    if isinstance(error, click.NoSuchOption):
        meant = error.possibilities
        return f"{error.option_name}: there is no such option: " + (
            f"did you mean {' or '.join(sorted(meant)[:3])}?"
            if meant
            else f"{ctx.command_path} --help lists them"
        )
    if isinstance(error, click.MissingParameter) and error.param is not None:
        return f"{_name(error.param)}: it is missing: call: {usage}"
    if isinstance(error, click.BadParameter) and error.param is not None:
        return f"{_name(error.param)}: {_value_error(error, ctx)}"
    if isinstance(error, click.BadOptionUsage):
        rule = _lower(error.message).removeprefix(f"option {error.option_name!r} ")
        return f"{error.option_name}: it {rule}: {ctx.command_path} --help tells what it takes"
    return f"{_lower(error.message)}: call: {usage}"


def _several_recordings(given: Sequence[str]) -> str:
    """Return what to do where a shell made several recordings of a pattern such as ``*.wav``; empty where it
    did not.
    """
    from aligner.corpus.audio import SUFFIXES

    recordings = [g for g in given if Path(g).suffix.lower() in SUFFIXES]
    if len(recordings) < 2:
        return ""
    return (
        f"{len(recordings)} recordings are named: name one, or the folder that holds them: "
        f"{Path(recordings[0]).parent}"
    )


def _name(param: click.Parameter) -> str:
    """Return the name by which a user knows a parameter."""
    return param.opts[0] if isinstance(param, click.Option) else param.human_readable_name


def _value_error(error: click.BadParameter, ctx: click.Context) -> str:
    """Return what is wrong with the value of a parameter."""
    kind = error.param.type if error.param is not None else None
    if isinstance(kind, click.Choice):
        return f"{_lower(error.message)}: take one of these"
    return f"{_lower(error.message)}: {ctx.command_path} --help tells what it takes"


def _lower(message: str) -> str:
    """Turn a sentence of click's into a part of ours: on one line, without its full stop."""
    text = " ".join(message.split()).rstrip(".")
    return text[:1].lower() + text[1:]
