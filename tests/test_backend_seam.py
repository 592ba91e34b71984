"""The seam of a backend: what one must have, and that nothing more is needed to align with it."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path

import pytest
from support.places import SAMPLE
from support.toy_backend import ToyBackend

import aligner
from aligner import Alignment, Compute, DataError, ModelError, Options, align, find, names
from aligner.backends import abilities
from aligner.backends.base import Backend
from aligner.backends.calls import check_choice
from aligner.backends.choose import chosen
from aligner.learn.teach import teach
from aligner.parallel.schedule import in_order
from aligner.run import tasks
from aligner.run.align import align_utterance
from aligner.run.stream import StreamAligner

SPOKEN = find(SAMPLE).utterances

PACKAGE = Path(aligner.__file__).parent
ABILITIES = (
    abilities.Batched,
    abilities.SpeakerAware,
    abilities.Spotting,
    abilities.Teachable,
    abilities.Headed,
    abilities.Composite,
)


@pytest.fixture
def toy(monkeypatch):
    """The toy backend among the backends: one line in the registry."""
    monkeypatch.setitem(names.BACKENDS, "toy", "support.toy_backend")
    return Options(backend="toy")


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_backend_is_a_file_and_a_line(toy, jobs):
    utterances = find(SAMPLE).utterances
    results = list(align(utterances, None, toy, Compute(jobs=jobs)))
    for result, utterance in zip(results, utterances, strict=True):
        assert isinstance(result, Alignment), result
        assert [w.label for w in result.words] == utterance.transcript.rstrip(".?!").replace(",", "").split()
        assert result.words[0].start == 0.0
        assert all(a.end == b.start for a, b in zip(result.words, result.words[1:], strict=False))
        assert result.words[-1].end == pytest.approx(result.duration)


def test_a_backend_may_speak_any_language(toy):
    check_choice(None, Options(backend="toy", language="sw"), Compute())


def test_what_a_backend_cannot_do_is_said(toy):
    backend = chosen(None, toy)
    assert isinstance(backend, Backend)
    assert not any(isinstance(backend, ability) for ability in ABILITIES)
    with pytest.raises(DataError, match="the wildcard is not for the backend 'toy'"):
        chosen(None, replace(toy, star=True))
    with pytest.raises(ModelError, match="it does not learn from corrections"):
        teach(SAMPLE, backend)
    with pytest.raises(ModelError, match="the backend 'toy' needs the whole recording"):
        StreamAligner("hello", backend)


def test_a_whole_backend_takes_no_options_beside_it():
    for options in ({"options": Options()}, {"compute": Compute()}):
        with pytest.raises(TypeError, match="a backend has its own options"):
            chosen(ToyBackend(), **options)


@pytest.mark.parametrize("name", names.BACKENDS)
def test_every_backend_of_the_registry_is_one(name):
    if name == "dtw":
        pytest.importorskip("espeakng_loader")
    backend = chosen(None, Options(backend=name))
    assert isinstance(backend, Backend)
    assert backend.traits.name == name
    if isinstance(backend, abilities.Composite):  # what is taught is taught to its parts
        assert not isinstance(backend, abilities.Teachable)


def test_no_one_asks_for_the_class_of_a_backend():
    """Abilities are asked for by their protocols."""
    asked = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "isinstance"
            ):
                asked |= {n.id for n in ast.walk(node.args[1]) if isinstance(n, ast.Name)}
    assert "Backend" in asked
    assert not {name for name in asked if name.endswith("Backend")} - {"Backend"}


class BatchedToy(ToyBackend):
    """Finds utterances in batches, but for those whose transcript begins with "no"."""

    def batched(self):
        def search(heard, frames):
            lost = heard.tokens[0].spelling == "no"
            return DataError("x", "it is not found") if lost else self.find((heard, frames))

        return lambda batch: [search(*prepared) for prepared in batch]


@pytest.mark.parametrize("jobs", [1, 2])
def test_on_a_device_batches_are_searched_here_and_prepared_by_workers(jobs):
    """The device is none that this test needs: the toy does not compute there."""
    backend = BatchedToy(compute=Compute(device="xpu", jobs=jobs, batch_seconds=30.0))
    utterances = [replace(u, transcript=f"no {k}" if k == 2 else u.transcript) for k, u in enumerate(SPOKEN)]
    results = list(in_order(tasks.each_result(utterances, backend, align_utterance)))
    assert [r.utterance.id for r in results] == [u.id for u in utterances]
    assert [r.utterance.audio for r in results] == [u.audio for u in utterances]
    assert [k for k, r in enumerate(results) if not isinstance(r, Alignment)] == [2]
    assert results[2].rule == "it is not found"
    for k, (result, alone) in enumerate(zip(results, align(utterances, ToyBackend()), strict=True)):
        assert k == 2 or result == alone
