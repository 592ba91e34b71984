"""What ``aligner doctor`` does: examine machine, libraries and kernels, and print the findings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict

import click

from aligner.check import doctor
from aligner.check.doctor import BROKEN, NOTE, OK, SLOW, Finding

MARKS = {OK: "  ", NOTE: "- ", SLOW: "! ", BROKEN: "X "}


def examine(as_json: bool) -> int:
    """Carry out a call of `aligner doctor`, and return its exit status."""
    if as_json:
        found = [(part, finding) for part, finding in doctor.examine()]
    else:
        found = list(_printed())
    broken = sum(f.state == BROKEN for _, f in found)
    slow = sum(f.state == SLOW for _, f in found)
    if as_json:
        findings = [{"part": part, **asdict(f)} for part, f in found]
        click.echo(json.dumps({"well": not broken, "findings": findings}, ensure_ascii=False, indent=1))
    else:
        click.echo(f"{broken} broken, {slow} slow" if broken or slow else "all is well")
    return 1 if broken else 0


def _printed() -> Iterator[tuple[str, Finding]]:
    """Print findings as they are made, under the names of their parts."""
    last = ""
    for part, finding in doctor.examine():
        if part != last:
            click.echo(part)
            last = part
        click.echo(f"{MARKS[finding.state]}{finding.name:<20} {finding.value}")
        if finding.advice:
            click.echo(f"  {'':<20} {finding.advice}")
        yield part, finding
