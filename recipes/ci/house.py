#!/usr/bin/env python3
"""Print how the code of a tree is built, as figures that a reader can count again.

    house.py [--list] [TREE]

TREE is a checkout, by default this one; ``--list`` also prints the places behind each figure, worst first.
Nothing is imported: the sources are read as syntax trees.  How each figure is counted:

- import depth: the modules in the longest chain in which each imports the next, wherever the import
  stands (lazy imports inside functions too, those for type checkers only not); the members of an import
  circle count as one.
- import circles: the sets of modules that import one another, lazy imports included.
- lazy imports: the import statements inside functions, of this package and of others.
- calls with six and more positional arguments: ``*arguments`` make a call's number unknown, so such calls
  are left out.
- keyword-only share: of the parameters of public functions and methods (``self`` and ``cls`` left out) and
  the fields of public dataclasses, those that can be given by name only.
- functions over 40 lines: without docstring, blank lines and comments; the ``def`` counts.
- README words: as ``wc -w`` counts.
- documentation pages: the Markdown files under docs/.
- modules in the largest room: the Python files of the folder of the package that has most (folders inside
  it count as rooms of their own).
- short docstrings: those of functions and classes that have five words or fewer.
"""

from __future__ import annotations

import argparse
import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
MOST_POSITIONAL = 5  # arguments of a call that a reader can still tell apart without names
MOST_LINES = 40  # of a function: what fits on a screen
FEWEST_WORDS = 6  # of a docstring that says more than the name does
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Figure:
    """One counted property of a tree: its name, its value as printed, and the places behind it."""

    name: str
    value: str
    places: list[str]


class Import(NamedTuple):
    """One import statement, with whether a function holds it and whether only type checkers see it."""

    node: ast.Import | ast.ImportFrom
    in_function: bool
    for_types: bool


def imports(tree: ast.AST, in_function: bool = False, for_types: bool = False) -> Iterator[Import]:
    """All import statements of a syntax tree, at any depth."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield Import(child, in_function, for_types)
        inside = in_function or isinstance(child, Function | ast.Lambda)
        typed = for_types or (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test))
        yield from imports(child, inside, typed)


class Sources:
    """The syntax trees of a package's modules, by dotted name."""

    def __init__(self, package: Path) -> None:
        self.package = package
        self.paths = {self.dotted(path): path for path in sorted(package.rglob("*.py"))}
        self.trees = {name: ast.parse(path.read_text()) for name, path in self.paths.items()}

    def dotted(self, path: Path) -> str:
        """The name by which a file is imported."""
        parts = path.relative_to(self.package.parent).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def place(self, module: str, line: int) -> str:
        """A line of a module as an editor opens it."""
        return f"{self.paths[module].relative_to(self.package.parent)}:{line}"

    def nodes(self) -> Iterator[tuple[str, ast.AST]]:
        """Every node of every module, with the module's name."""
        for module, tree in self.trees.items():
            for node in ast.walk(tree):
                yield module, node

    def imported(self, node: ast.Import | ast.ImportFrom) -> Iterator[str]:
        """The modules of this package that a statement names (``from package import module``: the module)."""
        for alias in node.names:
            names = [alias.name]
            if isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{alias.name}", f"{node.module}"]
            yield from [name for name in names if name in self.trees][:1]

    def graph(self, for_types: bool = False) -> dict[str, set[str]]:
        """The modules that each module imports when it runs, at its top or inside a function.

        With ``for_types`` those that only type checkers see are there, too.
        """
        return {
            module: {n for i in imports(tree) if for_types or not i.for_types for n in self.imported(i.node)}
            - {module}
            for module, tree in self.trees.items()
        }


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """The sets of nodes of a graph that reach one another, largest first; a node alone is none."""

    @cache
    def reached(start: str) -> frozenset[str]:
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            new = graph[waiting.pop()] - seen
            seen |= new
            waiting += new
        return frozenset(seen)

    found = {frozenset(m for m in reached(n) if n in reached(m)) for n in graph if n in reached(n)}
    return sorted((sorted(c) for c in found), key=lambda c: (-len(c), c))


def longest_chain(graph: dict[str, set[str]]) -> list[str]:
    """The longest chain of nodes in which each leads to the next; a circle stands in it as one node."""
    name_of = {node: " = ".join(circle) for circle in circles(graph) for node in circle}
    merged: dict[str, set[str]] = {}
    for node, after in graph.items():
        name = name_of.get(node, node)
        merged.setdefault(name, set()).update({name_of.get(a, a) for a in after} - {name})

    @cache
    def chain(node: str) -> list[str]:
        return [node, *max((chain(a) for a in sorted(merged[node])), key=len, default=[])]

    return max((chain(node) for node in sorted(merged)), key=len)


def lazy_imports(sources: Sources) -> list[str]:
    """The import statements inside functions."""
    return [
        f"{sources.place(module, i.node.lineno)} {ast.unparse(i.node)}"
        for module, tree in sources.trees.items()
        for i in imports(tree)
        if i.in_function
    ]


def long_calls(sources: Sources) -> list[str]:
    """The calls with more positional arguments than a reader can tell apart, those with most first."""
    found = [
        (len(node.args), f"{sources.place(module, node.lineno)} {ast.unparse(node.func)}: {len(node.args)}")
        for module, node in sources.nodes()
        if isinstance(node, ast.Call)
        and len(node.args) > MOST_POSITIONAL
        and not any(isinstance(argument, ast.Starred) for argument in node.args)
    ]
    return [place for _, place in sorted(found, key=lambda f: -f[0])]


def public_members(tree: ast.AST) -> Iterator[Function | ast.ClassDef]:
    """The public functions and classes of a module and of its public classes, not those inside functions."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, Function | ast.ClassDef) and (
            not child.name.startswith("_") or child.name == "__init__"
        ):
            yield child
            if isinstance(child, ast.ClassDef):
                yield from public_members(child)
        elif isinstance(child, ast.If | ast.Try):
            yield from public_members(child)


def parameters(node: Function) -> tuple[int, int]:
    """How many parameters of a function can be given by name only, and how many it has."""
    by_place = [*node.args.posonlyargs, *node.args.args]
    bound = bool(by_place) and by_place[0].arg in ("self", "cls")
    return len(node.args.kwonlyargs), len(node.args.kwonlyargs) + len(by_place) - bound


def fields(node: ast.ClassDef) -> tuple[int, int]:
    """How many fields of a dataclass can be given by name only, and how many it has; else 0 and 0."""
    decorators = [ast.unparse(d) for d in node.decorator_list]
    if not any("dataclass" in d for d in decorators):
        return 0, 0
    own = [
        n for n in node.body if isinstance(n, ast.AnnAssign) and "ClassVar" not in ast.unparse(n.annotation)
    ]
    marks = [ast.unparse(n.annotation).endswith("KW_ONLY") for n in own]  # what comes after it has no place
    count = len(marks) - sum(marks)
    if any("kw_only=True" in d for d in decorators):
        return count, count
    return (len(marks) - marks.index(True) - 1 if any(marks) else 0), count


def keyword_only(sources: Sources) -> Figure:
    """The share of keyword-only parameters and fields; its places are the signatures farthest from it."""
    total = named = 0
    rest = []
    for module, tree in sources.trees.items():
        for node in public_members(tree):
            only, count = fields(node) if isinstance(node, ast.ClassDef) else parameters(node)
            named, total = named + only, total + count
            if count - only > MOST_POSITIONAL:
                rest.append(
                    (count - only, f"{sources.place(module, node.lineno)} {node.name}: {count - only}")
                )
    places = [place for _, place in sorted(rest, key=lambda r: -r[0])]
    return Figure("keyword-only share", f"{named / max(total, 1):.1%} ({named} of {total})", places)


def code_lines(node: Function, source: list[str]) -> int:
    """The lines of a function that hold code: no docstring, no blank line, no line of comment alone."""
    first = node.body[0]
    skipped: range = range(0)
    if ast.get_docstring(node) is not None:
        skipped = range(first.lineno, (first.end_lineno or first.lineno) + 1)
    lines = range(node.lineno, (node.end_lineno or node.lineno) + 1)
    texts = (source[k - 1].strip() for k in lines if k not in skipped)
    return sum(bool(text) and not text.startswith("#") for text in texts)


def long_functions(sources: Sources) -> list[str]:
    """The functions longer than a screen, the longest first."""
    texts = {module: path.read_text().splitlines() for module, path in sources.paths.items()}
    found = [
        (code_lines(node, texts[module]), f"{sources.place(module, node.lineno)} {node.name}")
        for module, node in sources.nodes()
        if isinstance(node, Function)
    ]
    return [f"{place}: {count}" for count, place in sorted(found, reverse=True) if count > MOST_LINES]


def short_docstrings(sources: Sources) -> list[str]:
    """The docstrings of functions and classes that have too few words to say more than the name."""
    return [
        f"{sources.place(module, node.lineno)} {node.name}: {text!r}"
        for module, node in sources.nodes()
        if isinstance(node, Function | ast.ClassDef)
        and (text := ast.get_docstring(node)) is not None
        and len(text.split()) < FEWEST_WORDS
    ]


def rooms(sources: Sources) -> list[str]:
    """The folders of the package with the number of their modules, the largest first."""
    counts = Counter(str(p.parent.relative_to(sources.package.parent)) for p in sources.paths.values())
    return [f"{folder}: {count}" for folder, count in counts.most_common()]


def counted(name: str, places: list[str]) -> Figure:
    """A figure that is the number of its places."""
    return Figure(name, str(len(places)), places)


def figures(tree: Path) -> list[Figure]:
    """All figures of a checkout, in the order in which they are printed."""
    sources = Sources(tree / "aligner")
    graph = sources.graph()
    largest = rooms(sources)
    readme = tree / "README.md"
    words = len(readme.read_text().split()) if readme.is_file() else 0
    pages = sorted(str(p.relative_to(tree)) for p in (tree / "docs").rglob("*.md"))
    return [
        counted("import depth", longest_chain(graph)),
        counted("import circles", [", ".join(c) for c in circles(graph)]),
        counted("lazy imports in functions", lazy_imports(sources)),
        counted("calls with six and more positional arguments", long_calls(sources)),
        keyword_only(sources),
        counted(f"functions over {MOST_LINES} lines", long_functions(sources)),
        Figure("README words", str(words), []),
        counted("documentation pages", pages),
        Figure("modules in the largest room", largest[0].rpartition(": ")[2], largest),
        counted("docstrings of five words or fewer", short_docstrings(sources)),
    ]


def main() -> None:
    """Print the figures of the tree that the command line names."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").split("\n")[0], epilog="How each is counted: the head of this file."
    )
    parser.add_argument("tree", nargs="?", type=Path, default=ROOT, help="a checkout; by default this one")
    parser.add_argument("--list", action="store_true", help="print the places behind each figure, too")
    arguments = parser.parse_args()
    for figure in figures(arguments.tree.resolve()):
        print(f"{figure.name:46s} {figure.value}")
        for place in figure.places if arguments.list else []:
            print(f"    {place}")


if __name__ == "__main__":
    main()
