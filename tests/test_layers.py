"""Data flows one way: a room imports only from rooms to its left, never from its neighbours; inside the big
rooms a module imports from its own layer or those below; and no modules import one another in a circle.
"""

from __future__ import annotations

import ast
import sys
from fnmatch import fnmatchcase

import pytest
from support.places import ROOT
from support.rooms import LEVEL

sys.path.insert(0, str(ROOT / "recipes" / "ci"))
import house

SOURCES = house.Sources(ROOT / "aligner")
GRAPH = SOURCES.graph(for_types=True)
# Patterns of module names, the lowest layer first; "" is the room's own __init__
INSIDE = {
    "search": [["arcs", "fitting", "steps"], ["kernels", "kernels.*"], ["*"]],
    "backends": [
        ["options", "bounds"],
        ["base", "path", "warp", "calls", "spotting"],
        ["abilities", "loading", "speakers"],
        ["*"],
        ["choose"],
    ],
    "parallel": [["*"], ["schedule"], ["device"]],
    "run": [["*"], ["align"], ["folder", "transfer", "stream"]],
    "learn": [
        ["history", "hmm_options", "pronouncing", "spread", "dictionary", "margins", "truth", "guide"],
        ["checkpoint", "training_corpus", "corrections"],
        ["account", "lessons"],
        ["*"],
    ],
    "cli": [["common", "checks", "calls", "mfa"], ["actions", "actions.*"], ["*"], [""]],
}
MODULES = [name for name in GRAPH if name != "aligner"]


def room_of(module: str) -> str:
    return module.split(".")[1]


def layer_inside(module: str) -> int:
    """The layer of a module inside its room: an exact name wins over a pattern."""
    inside = module.partition(f"aligner.{room_of(module)}")[2].removeprefix(".")
    layers = INSIDE[room_of(module)]
    fits = [k for k, patterns in enumerate(layers) if inside in patterns]
    fits += [
        k for k, patterns in enumerate(layers) if any(fnmatchcase(inside, p) for p in patterns if p != "*")
    ]
    fits += [k for k, patterns in enumerate(layers) if "*" in patterns]
    return fits[0]


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_from_below(module):
    room = room_of(module)
    for other in GRAPH[module] - {"aligner"}:
        if room_of(other) != room:
            assert LEVEL[room_of(other)] < LEVEL[room], f"{module} imports {other}"
        elif room in INSIDE:
            assert layer_inside(other) <= layer_inside(module), f"{module} imports {other}"


def test_every_room_has_a_layer():
    assert {room_of(module) for module in MODULES} <= set(LEVEL)


def test_no_modules_import_one_another_in_a_circle():
    """Imports inside functions count as well; those that only type checkers see do not."""
    assert not house.circles(SOURCES.graph())


def test_a_circle_is_found_and_counted_as_one_module():
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set(), "e": {"d"}}
    assert house.circles(graph) == [["b", "c"]]
    assert house.longest_chain(graph) == ["a", "b = c", "d"]


@pytest.mark.parametrize("path", sorted((ROOT / "tests").glob("test_*.py")), ids=lambda path: path.stem)
def test_no_test_file_imports_another(path):
    found = {
        name.split(".")[0]
        for statement in house.imports(ast.parse(path.read_text()))
        for name in ([statement.node.module] if isinstance(statement.node, ast.ImportFrom) else [])
        + [alias.name for alias in statement.node.names]
        if name
    }
    assert not {name for name in found if name == "conftest" or name.startswith("test_")}
