"""How commands take a wrong call: one line that says what is wrong and what to call instead, and exit status
2.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

from aligner.parallel.cores import limit_threads


class Wrong(click.UsageError):
    """A wrong call, told in one line."""

    def __init__(self, message: str, ctx: click.Context) -> None:
        super().__init__(message, ctx)
        self.name = ctx.info_name

    def show(self, file: Any = None) -> None:
        """Print it, without the usage."""
        click.echo(f"{self.name}: {self.message}", file=file or sys.stderr)


class Command(click.Command):
    """A command whose wrong calls are told in one line."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does."""
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            raise Wrong(_told(error, ctx, given), ctx) from error

    def invoke(self, ctx: click.Context) -> Any:
        """As click does; what the command itself finds wrong is told in one line, too."""
        limit_threads()
        try:
            return super().invoke(ctx)
        except Wrong:
            raise
        except click.UsageError as error:
            raise Wrong(error.message, ctx) from error


class Group(click.Group):
    """Commands whose wrong calls are told in one line."""

    command_class = Command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does."""
        if not args:
            return super().parse_args(ctx, args)  # tells its help
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            raise Wrong(_told(error, ctx, ()), ctx) from error

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command of a name, or what is the likeliest to be meant."""
        if self.get_command(ctx, args[0]) is None:
            self._unknown(ctx, args)
        return super().resolve_command(ctx, args)

    def _unknown(self, ctx: click.Context, args: list[str]) -> NoReturn:
        from difflib import get_close_matches

        from aligner.cli.mfa import COMMANDS, said

        name = args[0]
        close = get_close_matches(name, self.commands, 1)
        if name in COMMANDS and "align" in self.commands:
            remedy = COMMANDS[name]
        elif "align" in self.commands and Path(name).exists():
            remedy = f"call: {said(ctx.command_path, 'align', *args)}"
        elif close:
            remedy = f"did you mean {said(ctx.command_path, close[0])}?"
        else:
            remedy = f"{ctx.command_path} --help lists them"
        raise Wrong(f"{name}: there is no such command: {remedy}", ctx)


def _told(error: click.UsageError, ctx: click.Context, given: Sequence[str]) -> str:
    """What is wrong and what to do, of what click found."""
    from aligner.cli.mfa import flag_of, translated  # which only a wrong call needs

    several = (
        _several(given) if type(error) is click.UsageError else ""
    )  # which is what too many arguments are
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
        return f"{_name(error.param)}: {_of_value(error, ctx)}"
    if isinstance(error, click.BadOptionUsage):
        told = _lower(error.message).removeprefix(f"option {error.option_name!r} ")
        return f"{error.option_name}: it {told}: {ctx.command_path} --help tells what it takes"
    return f"{_lower(error.message)}: call: {usage}"


def _several(given: Sequence[str]) -> str:
    """What to do where a shell made several recordings of a pattern such as ``*.wav``; nothing where there
    are none.
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
    """What a user calls a parameter."""
    return param.opts[0] if isinstance(param, click.Option) else param.human_readable_name


def _of_value(error: click.BadParameter, ctx: click.Context) -> str:
    """What is wrong with a value."""
    kind = error.param.type if error.param is not None else None
    if isinstance(kind, click.Choice):
        return f"{_lower(error.message)}: take one of these"
    return f"{_lower(error.message)}: {ctx.command_path} --help tells what it takes"


def _lower(message: str) -> str:
    """A sentence of click's as part of ours: on one line, without its full stop."""
    text = " ".join(message.split()).rstrip(".")
    return text[:1].lower() + text[1:]
