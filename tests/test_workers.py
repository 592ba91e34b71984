"""Work in several processes: the same answers, in their order, a few at a time; and what happens when one dies."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from conftest import SAMPLE

from aligner import find
from aligner.run import align as aligning
from aligner.run import workers as working
from aligner.run.align import AHEAD, TASK, align, completed
from aligner.run.backend import Options
from aligner.run.workers import workers
from aligner.types import Alignment, Failure, Utterance

UTTERANCES = find(SAMPLE).utterances


@pytest.fixture(params=["forked", "started"])
def way(request, monkeypatch):
    """Both ways to come by a worker."""
    if request.param == "forked" and not sys.platform.startswith("linux"):
        pytest.skip("processes are not forked here")
    monkeypatch.setattr(working, "forks", lambda: request.param == "forked")
    monkeypatch.setattr(working, "START_WORTH", 2)
    return request.param


def who(known, task):
    return os.getpid(), known[task], threading.active_count()


def die(known, task):
    os.kill(os.getpid(), signal.SIGKILL)


def test_answers_are_about_what_is_known(way):
    known = {k: k * k for k in range(20)}
    with workers(2, known) as ask:
        answers = [future.result() for future in [ask(who, k) for k in range(20)]]
    assert [a for _, a, _ in answers] == [k * k for k in range(20)]
    assert os.getpid() not in {pid for pid, _, _ in answers}


def test_one_job_is_done_here():
    with workers(1, [5]) as ask:
        assert ask(who, 0).result()[0] == os.getpid()
        assert isinstance(ask(who, 3).exception(), IndexError)


def test_a_daemon_has_no_children(monkeypatch, model):
    monkeypatch.setitem(multiprocessing.current_process()._config, "daemon", True)
    with workers(2, [5]) as ask:
        assert ask(who, 0).result()[0] == os.getpid()
    assert len(list(align(UTTERANCES[:3], model, Options(jobs=2)))) == 3


def test_errors_come_back(way):
    with workers(2, [5]) as ask:
        assert isinstance(ask(who, 3).exception(), IndexError)


def test_processes_equal_one(way, model):
    one, two = (list(align(UTTERANCES, model, Options(jobs=jobs))) for jobs in (1, 2))
    assert one == two
    assert [a.utterance.id for a in two] == [u.id for u in UTTERANCES]


def test_samples_are_given_back(way, model):
    waves = [replace(u, audio=np.random.default_rng(k).standard_normal(16000)) for k, u in enumerate(UTTERANCES[:4])]
    for result, utterance in zip(align(waves, model, Options(jobs=2)), waves, strict=True):
        assert result.utterance.audio is utterance.audio


def test_a_corpus_without_end_is_read_as_it_is_needed(way, model):
    taken = count()

    def forever():
        while True:
            yield UTTERANCES[next(taken) % len(UTTERANCES)]

    results = align(forever(), model, Options(jobs=2))
    assert all(isinstance(next(results), Alignment) for _ in range(5))
    assert next(taken) <= 5 + (2 * AHEAD + 2) * TASK
    results.close()  # processes end with it, although there is work left


def slow_first(backend, utterances):
    if utterances[0].id.endswith("first"):
        time.sleep(1.0)
    return [Failure(u, "done", "") for u in utterances]


def test_the_others_do_not_wait_for_a_slow_one(way, monkeypatch, model):
    monkeypatch.setattr(aligning, "_aligned", slow_first)
    several = [Utterance("first", Path("a"), "a"), *(Utterance(f"u{k}", Path("a"), "a") for k in range(40))]
    places = [place for place, _ in completed(several, model, Options(jobs=2))]
    assert sorted(places) == list(range(41))
    assert places.index(0) >= 41 - TASK
    assert [r.utterance.id for r in align(several, model, Options(jobs=2))] == [u.id for u in several]


def test_no_more_is_done_beyond_a_slow_one_than_may_be(way, monkeypatch, model):
    monkeypatch.setattr(aligning, "_aligned", slow_first)
    monkeypatch.setattr(aligning, "BEYOND", 8)
    several = [Utterance("first", Path("a"), "a"), *(Utterance(f"u{k}", Path("a"), "a") for k in range(40))]
    places = [place for place, _ in completed(several, model, Options(jobs=2))]
    assert sorted(places) == list(range(41))
    assert places.index(0) <= 8 + TASK


def deadly(backend, utterances):
    for u in utterances:
        if u.id == "deadly":
            os.kill(os.getpid(), signal.SIGKILL)
    return [Failure(u, "done", "") for u in utterances]


def test_a_killed_worker_takes_one_utterance_with_it(way, monkeypatch, model):
    monkeypatch.setattr(aligning, "_aligned", deadly)
    several = [Utterance("deadly" if k == 13 else f"u{k}", Path("a"), "a") for k in range(30)]
    results = list(align(several, model, Options(jobs=2)))
    assert [r.utterance.id for r in results] == [u.id for u in several]
    assert {r.reason for r in results if r.utterance.id != "deadly"} == {"done"}
    assert "was killed" in results[13].reason


ORPHANS = r"""
import os, signal, sys, time
from aligner.run.workers import workers

def pid(known, task):
    os.write(1, f"{os.getpid()}\n".encode())
    time.sleep(60)

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which may be ignored, from whoever runs the tests
    with workers(2, None) as ask:
        ask(pid, 0), ask(pid, 0)
        time.sleep(60)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are not forked here")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_no_process_outlives_its_parent(tmp_path, number):
    script = tmp_path / "parent.py"
    script.write_text(ORPHANS)
    parent = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              text=True)
    assert parent.stdout is not None
    children = [int(parent.stdout.readline()) for _ in range(2)]
    parent.send_signal(number)
    parent.wait(20)
    parent.stdout.close()
    begun = time.monotonic()
    while any(Path(f"/proc/{pid}").exists() and "zombie" not in Path(f"/proc/{pid}/status").read_text()
              for pid in children):
        assert time.monotonic() - begun < 20
        time.sleep(0.1)


def test_long_ones_wait_for_others_but_not_for_ever(way, monkeypatch, model):
    """They are for all workers together; and results in order would pile up behind the first."""
    monkeypatch.setattr(aligning, "DEFERRED", 6)
    monkeypatch.setattr(aligning, "aligned_in_parts", lambda u, backend, ask, work: Failure(u, "in parts", ""))
    monkeypatch.setattr(aligning, "_aligned", hardly)
    several = [Utterance("long" if k in (1, 38) else f"u{k}", Path("a"), "a") for k in range(40)]
    results = list(completed(several, model, Options(jobs=2)))
    assert sorted(place for place, _ in results) == list(range(40))
    assert [r.reason for place, r in sorted(results, key=lambda r: r[0]) if place in (1, 38)] == ["in parts"] * 2
    places = [place for place, _ in results]
    before = places[:places.index(1)]
    assert len(before) <= 6 + 2 * AHEAD * TASK
    assert max(before) > 1 + 6
    assert places[-1] == 38


def hardly(backend, utterances):
    return [u if u.id == "long" else Failure(u, "done", "") for u in utterances]
