"""What went wrong and what looks wrong, as data: faults and suspicions survive every hand-over."""

from __future__ import annotations

import ast
import pickle
from pathlib import Path

import pytest

from aligner.backends.calls import check_pronounced
from aligner.corpus.find import find
from aligner.corpus.labels import find_labels
from aligner.corpus.results import suspicion_cells, suspicions_of
from aligner.run.plan import check_empty, check_place
from aligner.text.lexicon import Lexicon
from aligner.types import MOST_LISTED, DataError, Failure, Fault, ModelError, Suspicion, Utterance

PACKAGE = Path(__file__).parents[1] / "aligner"
UTTERANCE = Utterance("a", Path("a.wav"), "hello")


@pytest.mark.parametrize("kind", [DataError, ModelError])
def test_an_error_keeps_its_fault_between_processes(kind):
    error = kind("a.wav", "it is too short", "record more", fault=Fault.TOO_SHORT)
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.fault) == ("a.wav: it is too short: record more", Fault.TOO_SHORT)


def test_an_error_that_names_no_fault_has_the_usual_one():
    assert DataError("a.wav", "no").fault is Fault.INPUT
    assert ModelError("a", "no").fault is Fault.MODEL
    assert DataError("a.wav", "no").fault_or(Fault.LABELS) is Fault.LABELS
    assert DataError("a.wav", "no", fault=Fault.OOV).fault_or(Fault.LABELS) is Fault.OOV


@pytest.mark.parametrize(
    ("make", "fault"),
    [
        (lambda folder: Lexicon.parse("cat\\n", str.isupper, "my.dict"), Fault.DICTIONARY),
        (lambda folder: check_pronounced(folder / "my.dict", characters=True), Fault.CALL),
        (lambda folder: check_place(folder, folder / "out"), Fault.OUTPUT),
        (lambda folder: check_empty(folder), Fault.EXISTS),
        (lambda folder: find_labels(folder / "nowhere"), Fault.LABELS),
        (lambda folder: find(folder / "nowhere"), Fault.INPUT),
    ],
    ids=lambda value: str(value) if isinstance(value, Fault) else "",
)
def test_what_is_wrong_with_a_call_has_its_fault(tmp_path, make, fault):
    (tmp_path / "something").touch()
    with pytest.raises(DataError) as caught:
        make(tmp_path)
    assert caught.value.fault is fault


PATH = ("backends", "run", "corpus/audio.py", "corpus/tables.py", "text/lexicon.py", "text/spelling.py")


@pytest.mark.parametrize("place", PATH)
def test_every_error_on_the_path_of_an_utterance_names_its_fault(place):
    """What is raised there becomes the failure of an utterance, whose fault programs read."""
    root = PACKAGE / place
    for path in [root] if root.suffix else sorted(root.rglob("*.py")):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "DataError":
                assert "fault" in {k.arg for k in call.keywords}, f"{path}:{call.lineno}"


def test_a_failure_is_an_error_and_back():
    error = DataError("a.wav", "it is too short", "record more", fault=Fault.TOO_SHORT)
    failure = Failure.of(UTTERANCE, error, Fault.LABELS)
    again = failure.error("a.wav")
    assert (str(again), again.fault) == (str(error), error.fault)
    assert failure.message == error.message == "it is too short: record more"
    assert Failure.of(UTTERANCE, DataError("a.wav", "no"), Fault.LABELS).fault is Fault.LABELS


TRICKY = (
    Suspicion(test="noisy", text="it is loud; very loud"),
    Suspicion(test="misfit", text="'meet at 5.30 s; go' does not fit, \"said\" at 1.20 s, ü", at=0.25),
)


def test_suspicions_survive_the_table():
    cells = suspicion_cells(TRICKY)
    assert (cells["status"], cells["at"]) == ("suspect", 0.25)
    assert suspicions_of({k: str(v) for k, v in cells.items()}) == TRICKY
    assert suspicion_cells(()) == {"status": "ok", "reason": "", "at": "", "suspicions": ""}
    assert suspicions_of({"status": "ok", "reason": ""}) == ()


def test_many_suspicions_are_told_in_part():
    many = [Suspicion(test="misfit", text=str(k), at=float(k)) for k in range(MOST_LISTED + 7)]
    told = suspicions_of({k: str(v) for k, v in suspicion_cells(many).items()})
    assert told[:MOST_LISTED] == tuple(many[:MOST_LISTED])
    assert told[MOST_LISTED:] == (Suspicion(test="more", text="and 7 more", at=float(MOST_LISTED)),)


def test_a_table_of_an_earlier_version_has_one_text_and_no_place():
    row = {"status": "suspect", "reason": "what is heard from 1.20 to 1.50 s does not fit; it is loud"}
    assert suspicions_of(row) == (Suspicion(test="", text=row["reason"]),)
