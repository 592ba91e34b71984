"""Data flows one way: a room imports only from rooms to its left, never from its neighbours."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "aligner"
LAYERS = [
    {"types", "names", "tracing"},
    {"parallel"},
    {"formats"},
    {"corpus", "text", "features", "graph"},
    {"models", "search"},
    {"reference"},
    {"refine", "train", "evaluate", "hmm"},
    {"backends"},
    {"run"},
    {"learn"},
    {"bench"},
    {"check"},
    {"cli"},
]
LEVEL = {room: k for k, layer in enumerate(LAYERS) for room in layer}
FILES = [p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py"]


def imported_rooms(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("aligner"):
            names = [node.module] if node.module != "aligner" else [f"aligner.{a.name}" for a in node.names]
            found |= {name.split(".")[1] for name in names if "." in name}
        elif isinstance(node, ast.Import):
            found |= {a.name.split(".")[1] for a in node.names if a.name.startswith("aligner.")}
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_room_imports_only_from_the_left(path):
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for other in imported_rooms(path) - {room, "__version__"}:
        assert LEVEL[other] < LEVEL[room], f"{room} imports {other}"


def test_every_room_has_a_layer():
    assert {p.relative_to(PACKAGE).parts[0].removesuffix(".py") for p in FILES} <= set(LEVEL)
