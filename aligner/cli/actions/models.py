"""What ``aligner models`` does: list, describe and check models."""

from __future__ import annotations

import json
from pathlib import Path

import click

from aligner.check.models import checked, described, listed
from aligner.models.store import load_model


def list_models(folder: Path | None) -> None:
    """Print the models inside, and those in a folder and below it."""
    for name, about, fine in listed(folder):
        click.echo(f"{name:<30} {about if fine else 'damaged: ' + about}")


def describe_model(name: str, as_json: bool) -> None:
    """Print what a model is, of this name or in this folder."""
    found = described(load_model(name))
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


def validate_model(name: str) -> None:
    """Print that a model is whole.

    Raises
    ------
    DataError, ModelError
        If it is not.
    """
    checked(name)
    click.echo(f"{name}: it is whole")
