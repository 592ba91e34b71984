"""What is shown of a run, a machine and a speed: planted loads, clocks and faults are found as they were planted."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
from types import SimpleNamespace

import psutil
import pytest
from rich.console import Console

from aligner.cli import aligning
from aligner.cli.bar import Bar
from aligner.run import corpus as running
from aligner.run.corpus import plan
from aligner.run.monitor import SHARE, Gpu, Meter, Monitor, Usage, gpus

HELD = 80_000_000  # bytes
WORKER = f"""
import sys, time
held = bytearray(b"x" * {HELD})
begun = time.process_time()
while time.process_time() < begun + 0.3:
    pass
print("ready", flush=True)
sys.stdin.read()
"""


def clock(*times):
    """A clock that tells these times, one after the other."""
    return iter(times).__next__


def child(code):
    return subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def ended(process):
    process.communicate()


@pytest.fixture
def no_nvml(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)


def watching():
    return [t for t in threading.enumerate() if t.name == "monitor"]


# the monitor

@pytest.mark.parametrize("code", [
    WORKER, f"import subprocess, sys\nsys.exit(subprocess.run([sys.executable, '-c', {WORKER!r}]).returncode)",
], ids=["child", "grandchild"])
def test_what_children_hold_and_compute_is_seen(no_nvml, code):
    meter = Meter(clock(0.0, 10.0, 20.0))
    before = meter()
    worker = child(code)
    try:
        assert worker.stdout.readline() == "ready\n"
        family = psutil.Process(worker.pid)
        theirs = [family, *family.children(recursive=True)]
        spent = sum(sum(p.cpu_times()[:2]) for p in theirs)
        after = meter()
    finally:
        ended(worker)
    assert spent >= 0.3
    assert after.processes == before.processes + len(theirs)
    assert after.memory - before.memory > 0.9 * HELD
    assert after.cpu * 10 / 100 >= spent - 0.02  # seconds; the kernel counts hundredths


def test_what_children_computed_counts_after_their_end(no_nvml):
    meter, before = Meter(clock(0.0, 10.0)), os.times()
    ended(child(WORKER))
    after = os.times()
    theirs = sum(getattr(after, f) - getattr(before, f) for f in ("children_user", "children_system"))
    assert theirs >= 0.3
    assert meter().cpu * 10 / 100 >= theirs - 0.02


def test_memory_that_processes_share_is_counted_once(no_nvml):
    if Meter()().measure != "PSS":
        pytest.skip("the system does not tell how memory is shared (no /proc/PID/smaps_rollup)")
    code = f"""
import os, sys
held = bytearray(b"x" * {HELD})
pid = os.fork()
print("ready", flush=True) if pid else None
sys.stdin.read()
os.waitpid(pid, 0) if pid else os._exit(0)
"""
    meter = Meter(clock(0.0, 1.0, 2.0))
    before = meter()
    forked = child(code)
    try:
        assert forked.stdout.readline() == "ready\n"
        after = meter()
    finally:
        ended(forked)
    assert after.processes == before.processes + 2
    assert 0.9 * HELD < after.memory - before.memory < 1.6 * HELD  # each of them holds all of it


def test_there_is_no_thread_before_the_start_nor_after_the_end(no_nvml):
    with Monitor() as monitor:
        assert not watching()
        monitor.start()
        monitor.start()
        assert len(watching()) == 1
    assert not watching()
    assert monitor.peak.memory > 0
    monitor.start()
    assert not watching()


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_the_thread_ends_whatever_ends_the_run(no_nvml, error):
    def run():
        with Monitor() as monitor:
            monitor.start()
            raise error

    with pytest.raises(error):
        run()
    assert not watching()


def test_the_peak_is_that_of_the_most_memory():
    looks = iter([Usage(1, 10.0, memory, "RSS") for memory in (5, 9, 3)])
    seen = threading.Semaphore(0)

    def look():
        seen.release()
        return next(looks)

    with Monitor(look, interval=0.0, clock=lambda: 0.0) as monitor:
        monitor._note()
        monitor._note()
    assert [monitor.peak.memory, monitor.latest.memory] == [9, 3]


def test_looking_takes_a_hundredth_of_the_time_at_most():
    waits = []

    def wait(seconds):
        waits.append(seconds)
        return len(waits) == 2

    monitor = Monitor(lambda: Usage(1, 0.0, 1, "RSS"), clock=clock(0.0, 3.0, 310.0, 310.001))
    monitor._ended = SimpleNamespace(wait=wait)
    monitor._watch()
    assert waits == [pytest.approx(3.0 / SHARE), 1.0]


class Nvml(SimpleNamespace):
    """Three GPUs: busy 10, 20 and 30 %, with 1, 2 and 4 bytes in use."""

    class NVMLError(Exception):
        pass

    def __init__(self):
        super().__init__(
            nvmlInit=lambda: None, nvmlDeviceGetCount=lambda: 3, nvmlDeviceGetHandleByIndex=lambda k: k,
            nvmlDeviceGetHandleByUUID=lambda name: {"GPU-a": 0, "GPU-b": 1}[name],
            nvmlDeviceGetUtilizationRates=lambda k: SimpleNamespace(gpu=10 * (k + 1)),
            nvmlDeviceGetMemoryInfo=lambda k: SimpleNamespace(used=2**k))


@pytest.mark.parametrize(("visible", "expected"), [
    (None, Gpu(30.0, 7)), ("1", Gpu(20.0, 2)), ("0, 1", Gpu(20.0, 3)), ("GPU-b", Gpu(20.0, 2)), ("", None),
    ("-1", None), ("2,-1,0", Gpu(30.0, 4)),
])
def test_gpus_that_cuda_sees_are_looked_at(monkeypatch, visible, expected):
    monkeypatch.setitem(sys.modules, "pynvml", Nvml())
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpus()() == expected


def test_without_nvml_or_a_driver_nothing_is_seen(monkeypatch, no_nvml):
    assert gpus()() is None
    nvml = Nvml()

    def init():
        raise nvml.NVMLError

    nvml.nvmlInit = init
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    assert gpus()() is None


# the bar of align

def test_the_bar_tells_its_line_on_a_terminal_only():
    for terminal in (True, False):
        page = io.StringIO()
        with Bar("aligning", Console(file=page, force_terminal=terminal), lambda: "118 audio s/s") as bar:
            bar.add_task("", total=1, failed="")
        assert ("118 audio s/s" in page.getvalue()) == terminal
        assert bool(page.getvalue()) == terminal


def test_nothing_watches_before_there_are_results(corpus, tmp_path, model, monkeypatch):
    """A failure that is known before the work is none: the processes of a run are made after it."""
    (corpus / "anna" / "lost.wav").write_bytes(b"")
    seen = []

    def run(job, backend, options, notice):
        for failure in job.failures:
            notice(failure)
        seen.append(len(watching()))
        summary = running.Summary()
        for utterance in job.utterances:
            notice(SimpleNamespace(utterance=utterance))
            seen.append(len(watching()))
        return summary

    monkeypatch.setattr(running, "run", run)
    job = plan(corpus, tmp_path / "out")
    assert job.failures
    summary = aligning.run_behind_bar(job, None, None, Console(file=io.StringIO()))
    assert seen == [0, 1, 1]
    assert not watching()
    assert summary.peak.memory > 0


def test_the_summary_tells_the_peak(capsys, corpus, tmp_path):
    peak = Usage(3, 150.0, 1_500_000_000, "RSS", Gpu(10.0, 2_000_000_000))
    aligning.print_summary(running.Summary(peak=peak), plan(corpus, tmp_path / "out"))
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("memory"))
    assert all(words in line for words in ("1.5 GB at most", "3 processes", "2.0 GB on the GPU", "RSS"))
