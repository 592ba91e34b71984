"""The documentation says what is so: every command, option and public name is in it, its examples run, its
links lead somewhere, and its tables and messages are the program's own.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
import tomllib

import click
import pytest
from support.places import ROOT, SAMPLE
from support.rooms import LEVEL

import aligner
import aligner.hmm

DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
GUIDES = [page for page in PAGES if page.parent == DOCS]
OUTSIDE = [
    ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "NOTICE.md", "data/README.md")
]
MOST_WORDS = 700  # of the README

_spec = importlib.util.spec_from_file_location("docs_hooks", DOCS / "hooks.py")
hooks = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(hooks)
COMMANDS = hooks.commands()


def named(page) -> str:
    return str(page.relative_to(ROOT))


def page_of(called: str):
    """The page of a command; those of a group have one page."""
    return DOCS / "commands" / f"{called.removeprefix('aligner ').split()[0]}.md"


@pytest.mark.parametrize("called", COMMANDS)
def test_a_command_is_documented(called):
    page = page_of(called)
    assert page.is_file(), f"there is no {named(page)}"
    if not isinstance(COMMANDS[called], click.Group):
        assert f"<!-- command: {called} -->" in page.read_text()
    guides = "\n".join(guide.read_text() for guide in GUIDES)
    assert re.search(rf"(?<!aligner ){re.escape(called)}\b", guides), f"no guide speaks of {called}"


@pytest.mark.parametrize("called", [c for c in COMMANDS if not isinstance(COMMANDS[c], click.Group)])
def test_an_option_is_documented(called):
    shown = hooks.on_page_markdown(page_of(called).read_text())
    for option in (p for p in COMMANDS[called].params if isinstance(p, click.Option)):
        assert option.help, f"{called} {option.opts[0]} has no help"
        for name in (*option.opts, *option.secondary_opts):
            assert re.search(rf"`[^`\n]*(?<![\w-]){re.escape(name)}(?![\w-])[^`\n]*`\n:   \S", shown), (
                f"{called} {name}"
            )


@pytest.mark.parametrize(
    ("page", "module"), [("aligner.md", aligner), ("hmm.md", aligner.hmm)], ids=["aligner", "aligner.hmm"]
)
def test_a_public_name_is_documented(page, module):
    shown = set(re.findall(r"^::: (\S+)$", (DOCS / "api" / page).read_text(), re.M))
    assert shown >= {f"{module.__name__}.{name}" for name in module.__all__}
    for name in module.__all__:
        assert getattr(module, name).__doc__, f"{name} has no docstring"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_generated_tables_are_what_the_code_says(page):
    text = page.read_text()
    assert hooks.renewed(text) == text, "python docs/hooks.py renews them"


def blocks(page, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.M | re.S)


CALLS = [
    (page, line)
    for page in [*PAGES, *OUTSIDE]
    for block in blocks(page, "bash")
    for line in re.findall(r"(?:^|&& |\| )((?:align|aligner) .*?)(?= && | \| |$)", block, re.M)
]


@pytest.mark.parametrize(("page", "line"), CALLS, ids=[f"{page.stem}: {line}" for page, line in CALLS])
def test_a_call_in_the_documentation_names_commands_and_options_that_exist(page, line):
    words = shlex.split(line, comments=True)
    called = (
        words[0] if words[0] == "align" else next(c for n in (3, 2) if (c := " ".join(words[:n])) in COMMANDS)
    )
    known = {name for p in COMMANDS[called].params for name in (*p.opts, *p.secondary_opts)}
    for word in words[len(called.split()) :]:
        if word.startswith("-") and word != "-":
            assert word in known, f"{called} has no {word}"


@pytest.fixture
def beside_recordings(tmp_path, monkeypatch):
    """A folder with what the examples name: ``one.wav`` (any format will do) and a small ``corpus/``."""
    shutil.copy(SAMPLE / "slt" / "harbour.flac", tmp_path / "one.wav")
    (tmp_path / "corpus").mkdir()
    for suffix in (".flac", ".lab"):
        shutil.copy(SAMPLE / "slt" / f"harbour{suffix}", tmp_path / "corpus")
    (tmp_path / "names.dict").write_text("Zyx Z IH K S\n")
    monkeypatch.chdir(tmp_path)


EXAMPLES = [page for page in PAGES if blocks(page, "python")]


@pytest.mark.slow
@pytest.mark.parametrize("page", EXAMPLES, ids=named)
def test_python_examples_run(page, beside_recordings, capsys):
    """Those of a page one after the other, for each may use what stands above it."""
    import soundfile

    samples, _ = soundfile.read("one.wav", dtype="float32")
    exec("\n".join(blocks(page, "python")), {"__name__": "example", "samples": samples})


def test_an_extra_is_described():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    shown = re.findall(r"^\| `(\w+)` \|", (DOCS / "quickstart.md").read_text(), re.M)
    assert set(shown) == set(project["optional-dependencies"]) - {"test"}


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().split()) <= MOST_WORDS


def anchors(page) -> set[str]:
    """The places in a page that a link may lead to: its headings, as mkdocs and GitHub name them, and what it
    describes of the API.
    """
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S)
    titles = [re.sub(r"[`*]", "", title) for title in re.findall(r"^#+ (.+)$", text, re.M)]
    headings = {re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", title).strip().lower()) for title in titles}
    return headings | set(re.findall(r"^::: (\S+)$", text, re.M))


@pytest.mark.parametrize("page", [*PAGES, *OUTSIDE], ids=named)
def test_links_lead_somewhere(page):
    text = re.sub(r"^```.*?^```$|`[^`\n]*`", "", page.read_text(), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        if "://" in target:
            continue
        leads_to = (page.parent / path).resolve() if path else page
        assert leads_to.exists(), target
        if anchor:
            assert anchor in anchors(leads_to), target


def test_every_file_that_is_named_is_there():
    """Paths such as `recipes/damage.py`, with a folder that the repository has."""
    for page in [*PAGES, *OUTSIDE]:
        for path in re.findall(
            r"`((?:aligner|recipes|tests|data|docs|requirements)/[\w./-]*)", page.read_text()
        ):
            assert (ROOT / path).exists(), f"{named(page)}: {path}"


def test_the_rooms_are_described_in_their_layers():
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \|", (DOCS / "architecture.md").read_text(), re.M)
    assert {room: int(layer) - 1 for layer, room in rows} == LEVEL
    assert [room for _, room in rows] == sorted((room for _, room in rows), key=LEVEL.__getitem__)


@pytest.mark.parametrize("recipe", sorted((ROOT / "recipes").rglob("*.sh")), ids=named)
def test_a_recipe_is_described(recipe):
    assert named(recipe) in (DOCS / "contributing.md").read_text()


def texts_of_the_program() -> list[str]:
    """The texts in the package's code; what is filled in is ``\\0``."""
    found = []
    for path in (ROOT / "aligner").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
            elif isinstance(node, ast.JoinedStr):
                found.append("".join(v.value if isinstance(v, ast.Constant) else "\0" for v in node.values))
    return found


def messages() -> list[str]:
    text = (DOCS / "troubleshooting.md").read_text()
    cells = [row.split("|")[1] for row in re.findall(r"^\|.*\|$", text, re.M)]
    return [message for cell in cells for message in re.findall(r"`([^`]+)`", cell)]


def test_the_program_has_the_messages_that_troubleshooting_explains():
    texts = texts_of_the_program()
    assert len(messages()) > 20  # fewer would mean that the tables are read wrongly
    pieces = [(message, part) for message in messages() for part in re.split(r"\.\.\.|: ", message)]
    assert not [
        (message, part) for message, part in pieces if not any(part.strip(" ?") in text for text in texts)
    ]


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The documentation as a site."""
    if importlib.util.find_spec("mkdocs") is None:
        pytest.skip("mkdocs is not installed: pip install '.[docs]'")
    folder = tmp_path_factory.mktemp("site")
    call = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_site_fetches_nothing(site):
    """No font, script or style comes from the net; links that a reader may follow do."""
    for page in site.rglob("*.html"):
        text = page.read_text()
        tags = re.findall(r"<(?:script|img|iframe|source|link)\b[^>]*>", text)
        assert not [tag for tag in tags if re.search(r"(?:src|href)=[\"']?(?:https?:)?//", tag)], page
    for sheet in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?(?:https?:)?//|@import", sheet.read_text()), sheet


def test_the_site_describes_every_public_name(site):
    for page, module in (("aligner", aligner), ("hmm", aligner.hmm)):
        text = (site / "api" / f"{page}.html").read_text()
        for name in module.__all__:
            assert f'id="{module.__name__}.{name}"' in text, name


@pytest.mark.slow
def test_the_site_is_searched_without_a_server(site):
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no chromium")
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto((site / "index.html").as_uri())
        page.keyboard.press("/")
        page.keyboard.type("triphone")
        page.wait_for_selector(".md-search-result__link[href*='glossary']", timeout=30_000)
        browser.close()
