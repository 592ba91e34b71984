"""Work spread over processes: the same answers as without, whatever is asked; and what happens when they
die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.examples import EXAMPLES, example
from support.processes import alive, wait_until

from aligner.learn import spread as spreading
from aligner.learn.spread import CEPSTRA_FILE, MAX_SERIAL_FRAMES, TASKS_AHEAD, spread
from aligner.models.markov import SpeakerTransform
from aligner.train.em import ShardTask
from aligner.types import DataError, ModelError


@pytest.fixture(scope="module", autouse=True)
def little_is_enough():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spreading, "MAX_SERIAL_FRAMES", 0)
        yield


@pytest.fixture(scope="module")
def mapped(tmp_path_factory):
    """Of two processes; the folder is left as it was."""
    out = tmp_path_factory.mktemp("model")
    with spread(2, EXAMPLES, out) as found:
        assert [p.name for p in out.iterdir()] == [CEPSTRA_FILE]
        yield found
    assert not list(out.iterdir())


def like(one, other):
    assert vars(one) | {"cepstra": 0} == vars(other) | {"cepstra": 0}
    assert torch.equal(one.cepstra, other.cepstra)


def test_what_is_known_and_what_is_not_arrives_whole(mapped):
    changed = replace(EXAMPLES[2], words=(), spelled=())  # of its own, but for the cepstra
    tasks = [
        ShardTask(
            model=None,
            examples=[EXAMPLES[4], changed],
            voices={"s0": SpeakerTransform(transform=torch.eye(3, 4).T.contiguous().T)},
        ),
        ShardTask(model=None, examples=[example(30)], voices={}),
        ShardTask(model=None, examples=[], voices={}),
    ]
    for found, task in zip(mapped(ShardTask._make, tasks), tasks, strict=True):
        assert found.model is None
        for one, other in zip(found.examples, task.examples, strict=True):
            like(one, other)
        assert found.voices.keys() == task.voices.keys()
        for name in found.voices:
            assert torch.equal(found.voices[name].transform, task.voices[name].transform)


def test_answers_come_in_the_order_of_the_questions(mapped):
    assert list(mapped(len, [EXAMPLES[:k] for k in range(8)])) == list(range(8))


def test_no_more_is_asked_than_is_needed(mapped):
    asked = []

    def tasks():
        for k in range(20):
            asked.append(k)
            yield [k]

    for k, answer in enumerate(mapped(sum, tasks())):
        assert answer == k
        assert len(asked) <= k + 2 * TASKS_AHEAD


def test_what_goes_wrong_there_goes_wrong_here(mapped):
    with pytest.raises(ValueError, match="invalid literal"):
        list(mapped(int, ["1", "x", "3"]))
    assert list(mapped(int, ["4"])) == [4]


@pytest.mark.parametrize("why", ["one job", "little speech", "a device"])
def test_what_needs_no_processes(tmp_path, monkeypatch, two_threads, why):
    if why == "little speech":
        monkeypatch.setattr(spreading, "MAX_SERIAL_FRAMES", MAX_SERIAL_FRAMES)
    examples = (
        [replace(EXAMPLES[0], cepstra=torch.zeros(9, 3, device="meta"))] if why == "a device" else EXAMPLES
    )
    with spread(1 if why == "one job" else 2, examples, tmp_path) as found:
        assert found is map
        assert torch.get_num_threads() == 1
        assert not list(tmp_path.iterdir())
    assert torch.get_num_threads() == 2


def test_a_process_that_is_killed_is_told(tmp_path):
    with (
        pytest.raises(ModelError, match=r"killed twice over the same .*memory is short: name fewer --jobs"),
        spread(2, EXAMPLES, tmp_path) as found,
    ):
        list(found(os._exit, [9]))
    assert not list(tmp_path.iterdir())


def once_deadly(task):
    mark, number = task
    if number == 3 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_a_task_whose_process_was_killed_is_done_again(mapped, tmp_path):
    tasks = [(tmp_path / "mark", k) for k in range(8)]
    assert list(mapped(once_deadly, tasks)) == list(range(8))
    assert (tmp_path / "mark").exists()


def asleep(task):
    threading.Event().wait()


def test_a_process_that_is_stuck_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(spreading, "TASK_TIMEOUT", 0.1)
    with (
        pytest.raises(ModelError, match="gave no sign of life for minutes, twice"),
        spread(2, EXAMPLES, tmp_path) as found,
    ):
        list(found(asleep, [9]))


def test_patience_grows_with_the_speech():
    """What a task only names counts, whether whole or its cepstra alone."""
    names = {id(e): ("example", k) for k, e in enumerate(EXAMPLES)}
    names |= {id(e.cepstra): ("cepstra", k) for k, e in enumerate(EXAMPLES)}
    changed = replace(EXAMPLES[3], words=())
    frames = [spreading._packed((len, task), names)[1] for task in ([], EXAMPLES[:2], [changed, EXAMPLES[0]])]
    assert frames == [0, 5 + 6, 8 + 5]


def test_no_room_for_the_file(tmp_path):
    with (
        pytest.raises(DataError, match="cannot be written to any more"),
        spread(2, EXAMPLES, tmp_path / "gone"),
    ):
        pass


def test_processes_end_when_their_parent_is_killed(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "support.orphans", tmp_path],
        cwd=Path(__file__).parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == -signal.SIGKILL
    workers = list(map(int, done.stdout.split()))
    assert workers
    wait_until(lambda: not any(map(alive, workers)))
