"""Work in several processes: the same answers, in their order, a few at a time; and what happens when one
dies.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import types
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from support.places import SAMPLE
from support.processes import wait_until
from support.toy_backend import ToyBackend

from aligner import find
from aligner.backends.options import Compute
from aligner.parallel import fork_server, pool, schedule
from aligner.parallel.pool import WorkerDied, WorkerTimeout, map_tasks, worker_pool
from aligner.parallel.schedule import (
    TASK_ITEMS,
    TASKS_AHEAD,
    Done,
    Placed,
    TooLong,
    deferring,
    in_order,
    in_pool,
)
from aligner.parallel.worker import heartbeat
from aligner.run.align import align, completed
from aligner.types import Alignment, DataError, Fault, Utterance

UTTERANCES = find(SAMPLE).utterances


@pytest.fixture(params=["forked", pytest.param("started", marks=pytest.mark.slow)])  # torch is imported anew
def start_method(request, monkeypatch):
    """Both ways to start a worker: forked from the server, or as a program of its own."""
    if request.param == "forked" and not sys.platform.startswith("linux"):
        pytest.skip("processes are not forked here")
    monkeypatch.setattr(fork_server, "FORKS", request.param == "forked")
    monkeypatch.setattr(pool, "MIN_TASKS_COLD", 2)
    return request.param


def who(known, task):
    return os.getpid(), known[task], threading.active_count()


def die(known, task):
    os.kill(os.getpid(), signal.SIGKILL)


def test_answers_are_about_what_is_known(start_method):
    known = {k: k * k for k in range(20)}
    with worker_pool(2, known) as submit:
        answers = [future.result() for future in [submit(who, k) for k in range(20)]]
    assert [a for _, a, _ in answers] == [k * k for k in range(20)]
    assert os.getpid() not in {pid for pid, _, _ in answers}


def test_one_job_is_done_here():
    with worker_pool(1, [5]) as submit:
        assert submit(who, 0).result()[0] == os.getpid()
        assert isinstance(submit(who, 3).exception(), IndexError)


def test_a_daemon_has_no_children(monkeypatch, model):
    monkeypatch.setitem(multiprocessing.current_process()._config, "daemon", True)
    with worker_pool(2, [5]) as submit:
        assert submit(who, 0).result()[0] == os.getpid()
    assert len(list(align(UTTERANCES[:3], model, compute=Compute(jobs=2)))) == 3


def test_errors_come_back(start_method):
    with worker_pool(2, [5]) as submit:
        assert isinstance(submit(who, 3).exception(), IndexError)


def test_processes_equal_one(start_method, model):
    one, two = (list(align(UTTERANCES, model, compute=Compute(jobs=jobs))) for jobs in (1, 2))
    assert one == two
    assert [a.utterance.id for a in two] == [u.id for u in UTTERANCES]


def test_samples_are_given_back(start_method, model):
    waves = [
        replace(u, audio=np.random.default_rng(k).standard_normal(16000))
        for k, u in enumerate(UTTERANCES[:4])
    ]
    for result, utterance in zip(align(waves, model, compute=Compute(jobs=2)), waves, strict=True):
        assert result.utterance.audio is utterance.audio


def test_a_corpus_without_end_is_read_as_it_is_needed(start_method, model):
    taken = count()

    def forever():
        while True:
            yield UTTERANCES[next(taken) % len(UTTERANCES)]

    results = completed(forever(), model, compute=Compute(jobs=2))
    assert all(isinstance(next(results)[1], Alignment) for _ in range(5))
    assert next(taken) <= 5 + (2 * TASKS_AHEAD + 2) * TASK_ITEMS
    results.close()  # processes end with it, although there is work left


def slow_first(gate, items):
    """The first is done when the gate is there."""
    if items[0] == 0:
        wait_until(gate.exists)
    return [Done(item) for item in items]


def done_by_two(gate):
    """41 items, done by two workers."""
    with worker_pool(2, gate) as submit:
        yield from in_pool(range(41), submit, slow_first, 2, 600.0)


def test_the_others_do_not_wait_for_a_slow_one(start_method, tmp_path):
    """But for the one task that its worker has already."""
    gate, places = tmp_path / "gate", []
    for place, item, outcome in done_by_two(gate):
        assert outcome == Done(place) == Done(item)
        places.append(place)
        if len(places) == 41 - 2 * TASK_ITEMS:
            gate.touch()
    assert sorted(places) == list(range(41))
    assert 0 not in places[: 41 - 2 * TASK_ITEMS]
    assert list(in_order((place, item) for place, item, _ in done_by_two(gate))) == list(range(41))


def test_no_more_is_done_beyond_a_slow_one_than_may_be(start_method, monkeypatch, tmp_path):
    monkeypatch.setattr(schedule, "MOST_BEYOND", 12)
    gate, places = tmp_path / "gate", []
    for place, *_ in done_by_two(gate):
        places.append(place)
        # what may be done before the first, but for its worker's next task
        if len(places) == 12 - TASK_ITEMS:
            gate.touch()
    assert sorted(places) == list(range(41))
    assert places.index(0) <= 12 + TASK_ITEMS


def noises(count, odd):
    """Utterances without speech, one of which is odd."""
    wave = np.random.default_rng(0).standard_normal(1600).astype(np.float32)
    return [Utterance("odd" if k == odd else f"u{k}", wave, "a") for k in range(count)]


def deadly(heard):
    if heard.utterance.id == "odd":
        os.kill(os.getpid(), signal.SIGKILL)


def endless(heard):
    heartbeat(0.1 if heard.utterance.id == "odd" else None)
    if heard.utterance.id == "odd":
        threading.Event().wait()


@pytest.mark.parametrize(
    ("before", "fault", "rule"),
    [(deadly, Fault.KILLED, "was killed"), (endless, Fault.STUCK, "gave no sign of life")],
)
def test_a_worker_that_is_lost_takes_one_utterance_with_it(start_method, before, fault, rule):
    some = noises(30, odd=13)
    results = list(align(some, ToyBackend(compute=Compute(jobs=2), before=before)))
    assert [r.utterance.id for r in results] == [u.id for u in some]
    assert [k for k, r in enumerate(results) if not isinstance(r, Alignment)] == [13]
    assert rule in results[13].rule
    assert results[13].fault is fault
    assert results[13].remedy


def lost_once(known, mark):
    """Die, or never answer, unless that was done before."""
    if mark is not None and not mark.exists():
        mark.touch()
        if known == "deadly":
            os.kill(os.getpid(), signal.SIGKILL)
        heartbeat(0.1)
        threading.Event().wait()
    return os.getpid()


@pytest.mark.parametrize("known", ["deadly", "endless"])
def test_what_is_lost_is_asked_once_more(start_method, known, tmp_path):
    mark = tmp_path / "mark"
    with worker_pool(2, known) as submit:
        pids = list(map_tasks(submit, lost_once, [None, mark, None, None], lambda _: np.inf))
    assert len(pids) == 4
    assert mark.exists()


@pytest.mark.parametrize("how", [WorkerDied, WorkerTimeout])
def test_what_is_lost_twice_is_told(start_method, how):
    def never(known, task):  # not to be imported by a worker: it is sent whole
        threading.Event().wait()

    with worker_pool(2, 0) as submit:
        with pytest.raises(how):
            list(
                map_tasks(
                    submit,
                    die if how is WorkerDied else never,
                    [1],
                    lambda _: 0.1 if how is WorkerTimeout else np.inf,
                )
            )
        assert submit(pow, 2).result() == 0  # the others live on


def signs(known, task):
    """Works for longer than the limit, and says that it goes on."""
    for _ in range(200):
        heartbeat()
    return True


def granted(known, gate):
    """Gives itself the time that it takes until the gate is open."""
    heartbeat(np.inf)
    wait_until(gate.exists)
    return True


@pytest.mark.parametrize("work", [signs, granted])
def test_who_gives_signs_of_life_is_not_stuck(monkeypatch, tmp_path, work):
    looks, gate = count(), tmp_path / "gate"

    def clock():
        """A second passes from look to look."""
        if (now := next(looks)) == 200:
            gate.touch()
        return float(now)

    monkeypatch.setattr(pool, "clock", clock)
    with worker_pool(2, 1) as submit:
        submit(times, 1).result()  # they are there
        if work is granted:
            monkeypatch.setattr(pool, "POLL_INTERVAL", 0.01)
            monkeypatch.setattr(pool, "LONGEST_INTERVAL", 1.0)
        assert submit(work, gate, timeout=50.0).result()


def test_time_in_which_this_process_was_stopped_does_not_count(monkeypatch):
    now = iter(range(0, 10**12, 10**6))  # as if it had been stopped between any two looks
    monkeypatch.setattr(pool, "clock", lambda: float(next(now)))
    with worker_pool(2, [5]) as submit:
        assert submit(who, 0, timeout=600.0).result()[1] == 5


@pytest.mark.skipif(not fork_server.FORKS, reason="processes are not forked here")
def test_the_server_has_one_thread_whatever_this_process_did():
    """What is forked is that server, or what it forked: no thread can hold a lock that the child would wait
    for.
    """
    with worker_pool(2, None) as submit:
        worker = submit(process, None).result()
        template = parent_of(worker)
        assert worker != os.getpid() != template
        assert parent_of(parent_of(template)) == os.getpid()
        assert all(len(os.listdir(f"/proc/{pid}/task")) == 1 for pid in (template, parent_of(template)))


def process(known, task):
    return os.getpid()


def parent_of(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("PPid:")))


def test_what_cannot_be_sent_is_told(start_method):
    with worker_pool(2, 2) as submit:
        with pytest.raises(TypeError, match="pickle"):
            submit(who, threading.Lock()).result()
        with pytest.raises(TypeError, match="pickle"):
            submit(unsendable, None).result()
        assert submit(times, 2).result() == 4


def unsendable(known, task):
    return threading.Lock()


class Unknowable:
    def __reduce__(self):
        return int, ("not a number",)


def test_workers_that_cannot_learn_are_told(start_method):
    with (
        pytest.raises(DataError, match=r"cannot be started .*invalid literal.*take --jobs 1"),
        worker_pool(2, Unknowable()) as submit,
    ):
        submit(who, 0).result()


def test_more_can_be_asked_than_the_system_keeps(start_method):
    """While nobody reads: pipes hold some thousand messages, or some large ones."""
    with worker_pool(2, 3) as submit:
        small = [submit(times, k) for k in range(20_000)]
        large = [submit(times, np.full(200_000, k)) for k in range(8)]
        assert [f.result() for f in small] == [3 * k for k in range(20_000)]
        assert [f.result()[0] for f in large] == [3 * k for k in range(8)]


def times(known, task):
    return known * task


def test_what_waits_behind_what_is_lost_is_not_lost(start_method, tmp_path):
    """A worker has the next question already when it dies over the one before."""
    with worker_pool(2, "deadly") as submit:
        marks = [tmp_path / f"mark{k}" for k in range(3)]
        found = [
            submit(lost_once, mark) for k in range(30) for mark in (marks[k // 10] if k % 10 == 5 else None,)
        ]
        lost = [k for k, future in enumerate(found) if isinstance(future.exception(), WorkerDied)]
    assert lost == [5, 15, 25]


class Local:
    """Of a module that only the worker has."""


def foreign(known, task):
    module = types.ModuleType("only_there")
    sys.modules["only_there"] = module
    module.Local = Local
    Local.__module__, Local.__qualname__ = "only_there", "Local"
    return Local()


def test_an_answer_that_cannot_be_read_is_told(start_method):
    with worker_pool(2, 2) as submit:
        assert isinstance(submit(foreign, None).exception(), ModuleNotFoundError)
        assert submit(times, 3).result() == 6


def test_what_workers_cannot_be_told_is_told(start_method):
    with (
        pytest.raises(DataError, match=r"cannot be started .*pickle.*take --jobs 1"),
        worker_pool(2, threading.Lock()),
    ):
        pass


def test_messages_are_logged_here(start_method, caplog):
    with caplog.at_level("INFO"), worker_pool(2, None) as submit:
        submit(talk, 7).result()
    told = [(r.name, r.levelname, r.getMessage()) for r in caplog.records if r.name == "there"]
    assert told == [("there", "INFO", "seven is 7")]


def talk(known, task):
    logging.getLogger("there").info("seven is %d", task)
    logging.getLogger("there").debug("not asked for")


def test_workers_stand_in_the_same_folder(start_method, tmp_path, monkeypatch):
    """And have the environment of the time when they are asked for, although the server is older."""
    fork_server.start()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SAID_LATER", "yes")
    with worker_pool(2, None) as submit:
        assert submit(where, None).result() == (str(tmp_path), "yes")


def where(known, task):
    return os.getcwd(), os.environ.get("SAID_LATER")


ORPHANS = r"""
import os, signal, threading
from aligner.parallel.pool import worker_pool

def pid(known, task):
    os.write(1, f"{os.getpid()}\n".encode())
    threading.Event().wait()

if __name__ == "__main__":
    # whoever runs the tests may ignore the signal
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with worker_pool(2, None) as submit:
        submit(pid, 0), submit(pid, 0)
        threading.Event().wait()
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are not forked here")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_no_process_outlives_its_parent(tmp_path, number):
    script = tmp_path / "parent.py"
    script.write_text(ORPHANS)
    parent = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert parent.stdout is not None
    children = [int(parent.stdout.readline()) for _ in range(2)]
    parent.send_signal(number)
    parent.wait()
    parent.stdout.close()
    wait_until(lambda: not any(map(lives, children)))


def lives(pid):
    try:
        return "zombie" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ([0, 1, 2, 3], [0, 2, 3, 1]),  # behind all others
        ([2, 1, 3, 0], [2, 3, 0, 1]),
        (
            range(12),
            [0, *range(2, 9), 1, *range(9, 12)],
        ),  # 6 that come after it have gone before it, and one is on its way
        ([1, *range(20, 24)], [20, 1, *range(21, 24)]),
    ],
)
def test_long_ones_wait_for_others_but_not_for_ever(monkeypatch, places, expected):
    """They are for all workers together; and results in order would pile up behind the first."""
    monkeypatch.setattr(schedule, "DEFERRED_BEHIND", 6)
    placed = (Placed(k, k, TooLong() if k == 1 else Done("alone")) for k in places)
    found = list(deferring(placed, lambda item: f"{item} together"))
    assert found == [Placed(k, k, Done("1 together" if k == 1 else "alone")) for k in expected]


class NamesProcess:
    """A first pass that fails in the worker that scores a piece, and names its process."""

    silence, phones, step = 0, 1, 0.03

    def is_spoken(self, text, speaker=""):
        return True

    def pronounced(self, text, speaker=""):
        return [[0]]

    def scores(self, piece):
        raise DataError("process", str(os.getpid()))


class SpottingToy(ToyBackend):
    def spotter(self):
        return NamesProcess()


def test_long_ones_are_aligned_in_parts_by_the_workers(start_method):
    some = [
        replace(u, audio=np.tile(u.audio, 1201)) if k in (1, 38) else u for k, u in enumerate(noises(40, 0))
    ]
    results = dict(completed(some, SpottingToy(compute=Compute(jobs=2))))
    assert sorted(results) == list(range(40))
    failed = {place for place, r in results.items() if not isinstance(r, Alignment)}
    assert failed == {1, 38}
    assert all(int(results[place].rule) != os.getpid() for place in failed)
    assert [place for place in results if place in failed] == list(results)[-2:]
