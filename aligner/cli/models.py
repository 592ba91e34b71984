"""``aligner models``: which there are, what they are, whether they are whole."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from aligner.cli.calls import Group
from aligner.cli.evaluating import CONTEXT


@click.group(cls=Group, context_settings=CONTEXT, short_help="List, describe and check models.")
def models() -> None:
    """List, describe and check models: those inside, and those in folders."""


@models.command("list", context_settings=CONTEXT)
@click.argument("folder", required=False, type=click.Path(path_type=Path))
def list_(folder: Path | None) -> None:
    """List the models inside, and those in FOLDER and below it."""
    if folder is not None and not folder.is_dir():
        click.echo(f"models: {folder}: there is no such folder: name the one that holds models", err=True)
        sys.exit(2)
    from aligner.check.models import listed

    for name, about, fine in listed(folder):
        click.echo(f"{name:<30} {about if fine else 'damaged: ' + about}")


@models.command(context_settings=CONTEXT)
@click.argument("name", metavar="NAME|FOLDER")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def info(name: str, as_json: bool) -> None:
    """Tell what a model is: phones, features, how it was trained, on what, with which figures."""
    from aligner.models.known import check_known
    from aligner.types import AlignerError

    try:
        check_known(name)
        from aligner.check.models import told
        from aligner.models.store import load_model

        found = told(load_model(name))
    except AlignerError as error:
        click.echo(f"models: {error}", err=True)
        sys.exit(2)
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False, indent=1))
        return
    for key, value in found.items():
        if isinstance(value, dict):
            click.echo(key)
            for inner, one in value.items():
                click.echo(f"  {inner:<18} {_short(one)}")
        elif value is not None:
            click.echo(f"{key:<20} {_short(value)}")


def _short(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} {v}" for k, v in value.items())
    if isinstance(value, list):
        return "; ".join(map(_short, value))
    return str(value)


@models.command(context_settings=CONTEXT)
@click.argument("names", nargs=-1, required=True, metavar="NAME|FOLDER...")
def validate(names: tuple[str, ...]) -> None:
    """Check that models are whole: files, fields, shapes, checksums, dictionaries.

    Exit status: 0 if all are, 1 if one is not; a line says which file and which field.
    """
    from aligner.models.known import check_known
    from aligner.types import AlignerError

    wrong = 0
    for name in names:
        try:
            check_known(name)
            from aligner.check.models import checked

            checked(name)
            click.echo(f"{name}: it is whole")
        except AlignerError as error:
            wrong += 1
            click.echo(str(error))
    sys.exit(1 if wrong else 0)
