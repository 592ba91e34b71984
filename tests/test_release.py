"""What goes with a release says what is so: the version, the notice of licences, the citation."""

from __future__ import annotations

import re
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from support.places import ROOT

import aligner

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text())
SERVED = {name: needed for name, needed in PROJECT["optional-dependencies"].items() if name != "test"}
NEEDED = [
    Requirement(r).name
    for r in [*PROJECT["dependencies"], *(r for needed in SERVED.values() for r in needed)]
]


@pytest.mark.parametrize("package", sorted(set(NEEDED) - {"setuptools"}))
def test_the_notice_tells_each_licence(package):
    rows = re.findall(r"^\|.*\|$", (ROOT / "NOTICE.md").read_text(), re.M)
    assert any(re.search(rf"(?<![\w-]){re.escape(package)}(?![\w-])", row) for row in rows)


@pytest.mark.parametrize("extra", SERVED)
def test_the_notice_tells_each_extra(extra):
    assert f"| `{extra}` |" in (ROOT / "NOTICE.md").read_text()


def test_the_version_stands_in_one_place():
    assert "version" in PROJECT["dynamic"]
    assert CITATION["version"] == aligner.__version__
    assert f"## {aligner.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_the_citation_has_what_the_format_asks_for():
    """The fields that are required of a CITATION.cff 1.2.0, and no others than it knows."""
    required = {"cff-version", "message", "title", "authors"}
    known = required | {
        "type",
        "abstract",
        "version",
        "license",
        "keywords",
        "date-released",
        "doi",
        "identifiers",
    }
    assert required <= set(CITATION) <= known
    assert CITATION["cff-version"] == "1.2.0"
    assert CITATION["type"] == "software"
    assert CITATION["license"] == PROJECT["license"]
    assert all({"name"} == set(a) or {"family-names", "given-names"} <= set(a) for a in CITATION["authors"])
    assert len(set(CITATION["keywords"])) == len(CITATION["keywords"]) > 0


def test_the_licences_go_into_the_package():
    assert set(PROJECT["license-files"]) == {"LICENSE", "NOTICE.md"}
    assert all((ROOT / name).is_file() for name in PROJECT["license-files"])
