"""The parts of the documentation that are made from the code, so that they cannot go stale.

A page under ``docs/commands/`` holds a line ``<!-- command: align -->``; mkdocs calls `on_page_markdown`,
which puts the command's description and its options, as click knows them, in the place of that line.

Tables that should be readable without a build stand in the pages themselves, between two comments::

    <!-- generated: mfa-flags -->
    ...
    <!-- end of generated -->

``python docs/hooks.py`` renews them; ``tests/test_docs.py`` fails where one is not what the code says.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import click

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent))  # the package of this checkout, whatever is installed

from aligner.cli import main  # noqa: E402
from aligner.cli.mfa import ARGUMENTS, COMMANDS, FLAGS, TEXTGRIDS, Flag  # noqa: E402

COMMAND = re.compile(r"^<!-- command: (.+) -->$", re.M)
GENERATED = re.compile(r"(^<!-- generated: (\S+) -->\n)(.*?)(^<!-- end of generated -->$)", re.M | re.S)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace each line that names a command by what click knows of the command."""
    return COMMAND.sub(lambda found: described(found[1]), markdown)


def commands() -> dict[str, click.Command]:
    """All commands by how they are called: ``align``, ``aligner stream``, ``aligner models list``, ..."""
    found: dict[str, click.Command] = {}
    for name, command in main.commands.items():
        called = name if name == "align" else f"aligner {name}"
        found[called] = command
        if isinstance(command, click.Group):
            found |= {f"{called} {inner}": c for inner, c in command.commands.items()}
    return found


def described(called: str) -> str:
    """A command's usage, description and options as Markdown."""
    command = commands()[called]
    ctx = click.Context(command, info_name=called)
    usage = " ".join([called, *command.collect_usage_pieces(ctx)])
    parts = [f"```text\n{usage}\n```", *_paragraphs(command.help), *_options(command, ctx)]
    return "\n\n".join([*parts, *_paragraphs(command.epilog)])


def _paragraphs(text: str | None) -> list[str]:
    """The paragraphs of a help text, each on one line."""
    blocks = re.split(r"\n\s*\n", inspect.cleandoc(text or ""))
    return [_escaped(" ".join(block.split())) for block in blocks if block.strip()]


def _options(command: click.Command, ctx: click.Context) -> Iterator[str]:
    """A definition list of the options: their names, what they take, what they do."""
    for option in (p for p in command.params if isinstance(p, click.Option) and not p.hidden):
        record = option.get_help_record(ctx)
        if record is not None:
            yield f"`{record[0]}`\n:   {_escaped(' '.join(record[1].split()))}"


def _escaped(text: str) -> str:
    """Plain text as Markdown that shows the same."""
    text = re.sub(r"([\\`*_\[\]|])", r"\\\1", text)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table in Markdown."""
    lines = [list(head), *(list(row) for row in rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def mfa_arguments() -> str:
    """The order of the arguments of the Montreal Forced Aligner's commands, and of ours."""
    rows = []
    for name, order in ARGUMENTS.items():
        own = [p.name or "" for p in main.commands[name].params if isinstance(p, click.Argument)]
        theirs = [_named(slot) for slot in order]
        ours = [_named(slot) for slot in own]
        options = [f"`{slot} {_named(slot)}`" for slot in order if slot.startswith("--")]
        called = name if name == "align" else f"aligner {name}"
        rows.append([f"`mfa {name} {' '.join(theirs)}`", f"`{called} {' '.join(ours)}`", ", ".join(options)])
    return table(("there", "here", "options for the rest"), rows)


def _named(slot: str) -> str:
    """An argument as a usage line writes it; what has no counterpart here is MFA's acoustic model."""
    return {"": "MODEL", "out": "OUT", "--dictionary": "DICTIONARY", "--model": "MODEL"}.get(
        slot, slot.upper()
    )


def mfa_commands() -> str:
    """The Montreal Forced Aligner's commands that go by another name here, or by none."""
    return table(("there", "here"), ([f"`mfa {name}`", remedy] for name, remedy in COMMANDS.items()))


def mfa_flags() -> str:
    """The Montreal Forced Aligner's options: what each is here, or why there is none."""
    rows = [[f"`{name}`", *_flag(flag)] for name, flag in FLAGS.items()]
    kept = ", ".join(f"`{name}`" for name in TEXTGRIDS)
    return table(
        ("there", "here", "why there is none"),
        [*rows, [f"`--output_format` {kept}", "", "TextGrids are always written"]],
    )


def _flag(flag: Flag) -> tuple[str, str]:
    """What an option is here, and why it is left out where it is."""
    here = " ".join(flag.here).format("VALUE")
    return (f"`{here}`" if here else "", flag.why or ("" if here else "leave it out"))


def problems() -> str:
    """The kinds of problems that ``aligner validate`` tells."""
    from aligner.check.faults import KINDS

    return table(("kind", "what it is"), ([f"`{kind}`", what] for kind, what in KINDS.items()))


def thresholds() -> str:
    """The tests of suspicion with their limits, and the reason for each."""
    from aligner.refine.thresholds import markdown

    return markdown()


TABLES: dict[str, Callable[[], str]] = {
    "mfa-arguments": mfa_arguments,
    "mfa-commands": mfa_commands,
    "mfa-flags": mfa_flags,
    "problems": problems,
    "thresholds": thresholds,
}


def renewed(markdown: str) -> str:
    """A page with its generated tables as the code has them now."""
    return GENERATED.sub(lambda found: f"{found[1]}\n{TABLES[found[2]]()}\n{found[4]}", markdown)


if __name__ == "__main__":
    for page in sorted(DOCS.rglob("*.md")):
        text = page.read_text(encoding="utf-8")
        if renewed(text) != text:
            page.write_text(renewed(text), encoding="utf-8")
            print(page.relative_to(DOCS.parent))
