"""What went wrong and what looks wrong, as data: faults and suspicions survive every hand-over."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from aligner.types import DataError, Failure, Fault, ModelError, Utterance

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


def test_a_failure_is_an_error_and_back():
    error = DataError("a.wav", "it is too short", "record more", fault=Fault.TOO_SHORT)
    failure = Failure.of(UTTERANCE, error, Fault.LABELS)
    again = failure.error("a.wav")
    assert (str(again), again.fault) == (str(error), error.fault)
    assert failure.message == error.message == "it is too short: record more"
    assert Failure.of(UTTERANCE, DataError("a.wav", "no"), Fault.LABELS).fault is Fault.LABELS
