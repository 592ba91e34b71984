"""What is shown of a run, a machine and a speed: planted loads, clocks and faults are found as they were
planted.
"""

from __future__ import annotations

import gc
import io
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
import torch
from click.testing import CliRunner
from packaging.requirements import Requirement
from rich.console import Console

import aligner
from aligner import tracing
from aligner.backends import path
from aligner.backends.choose import chosen
from aligner.backends.options import Compute, Options
from aligner.bench import agreement, aligning, family, planted
from aligner.bench import profile as profiling
from aligner.bench.family import MODELS, Plan, work
from aligner.bench.machine import cpu_model, quota
from aligner.bench.memory import taken
from aligner.bench.timing import Stopwatch, Timing, timed
from aligner.check import doctor
from aligner.check.doctor import BROKEN, NOTE, OK, SLOW, Finding
from aligner.cli import main
from aligner.cli.actions import aligning as align_action
from aligner.cli.actions.aligning import align_behind_bar
from aligner.cli.actions.bar import Bar
from aligner.cli.actions.output import print_summary
from aligner.parallel.monitor import MAX_SAMPLING_SHARE, Gpu, Meter, Monitor, Usage, gpus
from aligner.run import folder as running
from aligner.run.folder import plan
from aligner.search.viterbi import _KERNELS, reference
from aligner.types import Alignment, DataError, ModelError

ROOT = Path(__file__).parents[1]
PASSES, KEPT = 4, 50_000  # bytes of heap a pass: less than the scores of one sentence
CPU = torch.device("cpu")

HELD = 80_000_000  # bytes that a child holds
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
    return subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def ended(process):
    process.communicate()


@pytest.fixture
def no_nvml(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)


@pytest.fixture
def idle():
    """A child that does nothing: memory is counted in the same way before and after another comes."""
    sleeper = child("import sys; sys.stdin.read()")
    yield sleeper
    ended(sleeper)


def tells_memory_in_parts():
    return Path("/proc/self/smaps_rollup").exists()


def watching():
    return [t for t in threading.enumerate() if t.name == "monitor"]


# the monitor


@pytest.mark.parametrize(
    "code",
    [
        WORKER,
        f"import subprocess, sys\nsys.exit(subprocess.run([sys.executable, '-c', {WORKER!r}]).returncode)",
    ],
    ids=["child", "grandchild"],
)
def test_what_children_hold_and_compute_is_seen(no_nvml, idle, code):
    meter = Meter(clock(0.0, 10.0, 20.0))
    before = meter()
    assert before.measure == "PSS" or not tells_memory_in_parts()
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


def test_one_process_has_its_resident_set():
    """Seen in a process of its own: this one may have children of other tests."""
    code = f"""
import sys
sys.modules["pynvml"] = None
import psutil
from {Meter.__module__} import Meter
usage, own = Meter()(), psutil.Process()
print(usage.processes, usage.measure, usage.memory, own.memory_info().rss)
"""
    alone = child(code)
    processes, measure, memory, resident = alone.communicate()[0].split()
    assert (alone.returncode, processes, measure) == (0, "1", "RSS")
    assert int(memory) == pytest.approx(int(resident), rel=0.1)


def test_memory_that_processes_share_is_counted_once(no_nvml, idle):
    if not tells_memory_in_parts():
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
    looks = iter([Usage(processes=1, cpu=10.0, memory=memory, measure="RSS") for memory in (5, 9, 3)])
    seen = threading.Semaphore(0)

    def look():
        seen.release()
        return next(looks)

    with Monitor(look, interval=0.0, clock=lambda: 0.0) as monitor:
        monitor._sample()
        monitor._sample()
    assert [monitor.peak.memory, monitor.latest.memory] == [9, 3]


def test_looking_takes_a_hundredth_of_the_time_at_most():
    waits = []

    def wait(seconds):
        waits.append(seconds)
        return len(waits) == 2

    monitor = Monitor(
        lambda: Usage(processes=1, cpu=0.0, memory=1, measure="RSS"), clock=clock(0.0, 3.0, 310.0, 310.001)
    )
    monitor._ended = SimpleNamespace(wait=wait)
    monitor._run()
    assert waits == [pytest.approx(3.0 / MAX_SAMPLING_SHARE), 1.0]


class Nvml(SimpleNamespace):
    """Three GPUs: busy 10, 20 and 30 %, with 1, 2 and 4 bytes in use."""

    class NVMLError(Exception):
        pass

    def __init__(self):
        super().__init__(
            nvmlInit=lambda: None,
            nvmlDeviceGetCount=lambda: 3,
            nvmlDeviceGetHandleByIndex=lambda k: k,
            nvmlDeviceGetHandleByUUID=lambda name: {"GPU-a": 0, "GPU-b": 1}[name],
            nvmlDeviceGetUtilizationRates=lambda k: SimpleNamespace(gpu=10 * (k + 1)),
            nvmlDeviceGetMemoryInfo=lambda k: SimpleNamespace(used=2**k),
        )


@pytest.mark.parametrize(
    ("visible", "expected"),
    [
        (None, Gpu(30.0, 7)),
        ("1", Gpu(20.0, 2)),
        ("0, 1", Gpu(20.0, 3)),
        ("GPU-b", Gpu(20.0, 2)),
        ("", None),
        ("-1", None),
        ("2,-1,0", Gpu(30.0, 4)),
    ],
)
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

    def run(job, backend, notice):
        for failure in job.failures:
            notice(failure)
        seen.append(len(watching()))
        summary = running.Summary()
        for utterance in job.utterances:
            notice(SimpleNamespace(utterance=utterance))
            seen.append(len(watching()))
        return summary

    monkeypatch.setattr(align_action, "run", run)
    job = plan(corpus, tmp_path / "out")
    assert job.failures
    summary = align_behind_bar(job, None, Console(file=io.StringIO()))
    assert seen == [0, 1, 1]
    assert not watching()
    assert summary.peak.memory > 0


def test_the_summary_tells_the_peak(capsys, corpus, tmp_path):
    peak = Usage(processes=3, cpu=150.0, memory=1_500_000_000, measure="RSS", gpu=Gpu(10.0, 2_000_000_000))
    print_summary(running.Summary(peak=peak), plan(corpus, tmp_path / "out"))
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("memory"))
    assert all(words in line for words in ("1.5 GB at most", "3 processes", "2.0 GB on the GPU", "RSS"))


# bench: what is timed, and how it is counted


def ticking(step):
    """A clock on which every call takes ``step`` seconds: it is looked at before and after."""
    return map(lambda k: k * step, itertools.count()).__next__


def test_the_first_call_and_what_the_device_still_does_are_told_apart():
    seen = []
    times = iter([0.0, 9.0, 10.0, 12.0, 20.0, 21.0, 30.0, 34.0])

    def look():
        seen.append("clock")
        return next(times)

    timing = timed(lambda: seen.append("call"), 3, look, lambda: seen.append("settle"))
    assert timing == Timing(9.0, (2.0, 1.0, 4.0))
    assert seen == ["settle", "clock", "call", "settle", "clock"] * 4
    assert (timing.median, timing.fastest, timing.slowest) == (2.0, 1.0, 4.0)


def test_every_combination_has_a_row_whose_figures_follow_from_the_clock():
    asked = Plan(models=tuple(MODELS), batches=(1, 3), lengths=(12, 20), devices=("cpu",), repeats=2)
    rows = list(family.family(asked, ticking(0.25)))
    assert [(r.name, r.batch, r.length) for r in rows] == list(itertools.product(MODELS, (1, 3), (12, 20)))
    for row in rows:
        assert row.device == "cpu"
        assert row.timing == Timing(0.25, (0.25, 0.25))
        assert row.audio == pytest.approx(row.batch * row.length / 100)
        assert row.frames_per_second == pytest.approx(row.batch * row.length / 0.25)
        assert row.audio_per_second == pytest.approx(row.batch * row.length / 100 / 0.25)
        figures = row.figures()
        assert figures["frames_per_second"] == row.frames_per_second
        assert figures["repeats"] == 2


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("CUDA out of memory")])
def test_what_does_not_fit_into_memory_has_a_row_that_says_so(monkeypatch, error):
    def big():
        raise error

    monkeypatch.setitem(family.MODELS, "HSMM", big)
    [row] = family.family(Plan(models=("HSMM",), batches=(1,), lengths=(5,)))
    assert row.timing is row.audio_per_second is None
    assert row.note == "out of memory"
    assert "median_seconds" not in row.figures()


def test_other_errors_are_not_hidden(monkeypatch):
    def wrong():
        raise RuntimeError("shapes")

    monkeypatch.setitem(family.MODELS, "HSMM", wrong)
    with pytest.raises(RuntimeError, match="shapes"):
        list(family.family(Plan(models=("HSMM",), batches=(1,), lengths=(5,))))


def test_tasks_do_what_they_are_called():
    model = MODELS["MixtureGaussianHMM"]
    torch.manual_seed(0)
    same, observations = (
        model(),
        torch.randn(2, 15, family.DIMENSIONS, generator=torch.Generator().manual_seed(0)),
    )
    likelihood = work("MixtureGaussianHMM", CPU, 2, 15, "likelihood")()
    assert torch.equal(likelihood, same(observations).detach())
    assert not likelihood.requires_grad
    assert torch.equal(
        work("MixtureGaussianHMM", CPU, 2, 15, "viterbi")().states, same.viterbi(observations).states
    )
    made = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(family.MODELS, "HSMM", lambda: made.append(model()) or made[0])
        work("HSMM", CPU, 2, 15, "gradient")()
    same(observations).sum().backward()
    for mine, other in zip(made[0].parameters(), same.parameters(), strict=True):
        assert torch.equal(mine.grad, other.grad)


def test_the_streaming_model_tells_the_states_of_the_best_path():
    told = work("StreamingHMM", CPU, 2, 25, "likelihood")()
    torch.manual_seed(0)
    model = MODELS["StreamingHMM"]()
    observations = torch.randn(2, 25, family.DIMENSIONS, generator=torch.Generator().manual_seed(0))
    assert torch.equal(torch.stack(told), model.viterbi(observations).states)


def test_a_device_that_is_not_there_is_told():
    with pytest.raises(DataError, match="cannot compute there"):
        family.check_devices(["cpu", "nonsense"])


def test_memory_is_what_a_call_takes_above_what_was_there():
    kept, _ = torch.ones(HELD // 4), torch.ones(HELD // 2)  # the second is gone before the call
    size = taken(lambda: torch.ones(HELD // 4), CPU)
    if size is None:
        pytest.skip("the system does not tell how much memory a call takes (no /proc/self/clear_refs)")
    assert 0.9 * HELD < size < 1.2 * HELD
    assert taken(lambda: kept.sum(), CPU) < HELD / 4


def test_stages_within_stages_are_taken_off_in_every_thread():
    times = iter([0.0, 1.0, 2.0, 5.0, 6.0, 10.0])
    watch = Stopwatch(times.__next__)
    with watch("search"):
        with watch("scores"):
            pass
        with watch("scores"):
            pass
    assert dict(watch.seconds) == {"scores": 2.0, "search": 8.0}

    def other():
        with watch("scores"):
            pass

    watch = Stopwatch(ticking(1.0))
    with watch("search"):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert dict(watch.seconds) == {"scores": 1.0, "search": 3.0}  # another thread's stage is not within it


def test_runs_count_from_finding_files_to_writing(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    [row] = aligning.backends(("hmm",), corpus, 2, 1, ticking(0.5))
    assert row.timing == Timing(0.5, (0.5, 0.5))
    wanted = sum(r.utterance.end for r in aligner.align(aligner.find(corpus).utterances))
    assert row.audio == pytest.approx(wanted)
    assert row.audio_per_second == pytest.approx(wanted / 0.5)
    assert row.note.startswith("2 utterances")
    assert row.memory > 0
    assert not list((tmp_path / "temporary").iterdir())


def test_a_backend_that_is_not_here_has_a_row_that_says_why(corpus, monkeypatch):
    def none(model, options, compute):
        raise ModelError("espeak", "the package is missing", "pip install it")

    monkeypatch.setattr(aligning, "chosen", none)
    [row] = aligning.backends(("dtw",), corpus, 1, 1)
    assert row.timing is None
    assert "pip install it" in row.note


def test_a_corpus_of_which_nothing_can_be_aligned_has_no_speed(tmp_path):
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "lost.wav").write_bytes(b"")
    (tmp_path / "corpus" / "lost.lab").write_text("lost")
    with pytest.raises(DataError, match="nothing in it could be aligned"):
        aligning.whole(tmp_path / "corpus", chosen(None, Options()))


def test_the_made_up_corpus_aligns_and_is_gone():
    with aligning.made_up(aligning.SECONDS, 2) as folder:
        summary = aligning.whole(folder, chosen("english", compute=Compute(jobs=1)))
    assert (summary.aligned, summary.failures) == (2, [])
    assert summary.audio == pytest.approx(2 * aligning.SECONDS)
    assert not folder.exists()


def called(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments])


def test_bench_prints_and_writes_what_was_asked_for(tmp_path):
    done = called(
        "bench",
        "--model",
        "HSMM",
        "--batch",
        1,
        "--batch",
        2,
        "--length",
        10,
        "--repeats",
        1,
        "--device",
        "cpu",
        "--json",
        tmp_path / "speed.json",
    )
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "speed.json").read_text())
    assert [(r["name"], r["batch"], r["length"]) for r in found["rows"]] == [("HSMM", 1, 10), ("HSMM", 2, 10)]
    assert done.output.count("HSMM ") == 2
    assert "backends were not measured" in done.output
    assert found["machine"]["aligner"] == aligner.__version__
    for row in found["rows"]:
        assert row["frames_per_second"] == pytest.approx(row["batch"] * 10 / row["median_seconds"])


@pytest.mark.parametrize(
    "wrong",
    [
        ("--backend", "hmm"),
        ("--only", "backends"),
        ("--device", "nonsense"),
        ("--batch", "0"),
        ("--model", "GMM"),
    ],
)
def test_bench_refuses_what_cannot_be_measured(wrong):
    done = called("bench", *wrong)
    assert done.exit_code == 2
    assert "Traceback" not in done.output


# the doctor


def test_what_is_here_is_well():
    """On the machine of the tests nothing may be broken; speed and load are its own affair."""
    found = list(doctor.examine())
    assert [f for _, f in found if f.state == BROKEN] == []
    assert {part for part, _ in found} == set(doctor.PARTS)
    assert {"numba on cpu", "torch + torchaudio", "planted sentence", "speed"} <= {f.name for _, f in found}


def test_a_cache_that_cannot_be_written_is_told(tmp_path):
    assert doctor.cache(tmp_path / "new").state == OK
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below", None):
        found = doctor.cache(folder)
        assert found.state == SLOW
        assert "NUMBA_CACHE_DIR" in found.advice


def test_a_kernel_that_differs_is_told(monkeypatch):
    def wrong(arcs, scores, lengths):
        path = reference(arcs, scores, lengths)
        return path._replace(states=path.states.roll(1, 1))

    def broken(arcs, scores, lengths):
        raise OSError("no such device")

    kernels = dict(_KERNELS)
    for kernel, words in ((wrong, "viterbi: it is"), (broken, "viterbi: it fails (OSError: no such device)")):
        monkeypatch.setitem(_KERNELS, "numba", kernel)
        found = next(f for f in doctor._kernels() if f.name == "numba on cpu")
        assert found.state == BROKEN
        assert found.value.startswith(words)
        assert ";" not in found.value  # the others are well
    monkeypatch.setitem(_KERNELS, "numba", kernels["numba"])
    assert all(not a.trouble for a in agreement.compare("numba", "cpu"))


@pytest.mark.parametrize("search", list(agreement.SEARCHES))
def test_each_search_is_really_asked_of_the_kernel(search, monkeypatch):
    """A result that is a little off anywhere is noticed, and so is NaN."""
    good = agreement.SEARCHES[search]
    for harm in (lambda t: t + 0.01, lambda t: t * torch.nan):

        def bad(kernel, device, harm=harm):
            *others, last = good(kernel, device)
            return (*others, last if kernel == "reference" else harm(last.double()))

        monkeypatch.setitem(agreement.SEARCHES, search, bad)
        assert {a.search for a in agreement.compare("numba", "cpu") if a.trouble} == {search}


def test_a_path_that_is_wrong_is_heard(monkeypatch):
    assert planted.trouble() == ""

    def even(arcs, scores, lengths):
        """All states one after the other, equally long: a path, but not the best one."""
        path = reference(arcs, scores, lengths)
        order, frames = path.states[0].unique_consecutive(), path.states.shape[1]
        return path._replace(states=order[torch.arange(frames) * len(order) // frames][None])

    monkeypatch.setitem(_KERNELS, "numba", even)
    assert "ms from where it was planted" in planted.trouble()


def test_features_that_are_wrong_are_heard(monkeypatch):
    """The same features half a second late."""
    frontend = planted.SphinxFrontend.cepstra
    monkeypatch.setattr(
        planted.SphinxFrontend, "cepstra", lambda self, wave: frontend(self, wave).roll(50, 0)
    )
    model = planted.trained_model()
    monkeypatch.setattr(planted.SphinxFrontend, "cepstra", frontend)
    monkeypatch.setattr(planted, "trained_model", lambda: model)
    assert planted.trouble() != ""


def test_versions_are_compared_with_what_is_asked_for():
    asked = [
        Requirement(r)
        for r in (
            "torch<2.13,>=2.11",
            "torchaudio==2.11.*",
            "numba>=0.60",
            'espeakng-loader>=0.2.4; extra == "dtw"',
            'pytest>=8; extra == "test"',
            'transformers>=4.56; extra == "ctc"',
            'colorama; sys_platform == "nowhere"',
        )
    ]
    there = {"torch": "2.13.0", "torchaudio": "2.11.0", "espeakng-loader": "0.2.4", "transformers": "4.1"}
    found = {f.name: f for f in doctor.versions(asked, there.get)}
    assert (found["torch"].state, found["torchaudio"].state, found["numba"].state) == (BROKEN, OK, BROKEN)
    assert "2.13.0" in found["torch"].value
    assert "not there" in found["numba"].value
    assert found["[dtw]"].state == OK
    assert found["[ctc]"].state == NOTE
    assert "aligner[ctc]" in found["[ctc]"].advice
    assert not {"[test]", "[gpu]", "colorama"} & set(found)


def test_more_threads_than_cores_are_told():
    found = list(
        doctor.threads({"OMP_NUM_THREADS": "8", "MKL_NUM_THREADS": "2", "NUMBA_NUM_THREADS": ""}, 2, 8)
    )
    assert [(f.name, f.state) for f in found] == [("OMP_NUM_THREADS", SLOW), ("torch's threads", SLOW)]
    assert [f.state for f in doctor.threads({}, 2, 2)] == [OK]


@pytest.mark.parametrize(("alone", "together", "state"), [(1.0, 0.6, OK), (1.0, 1.5, OK), (1.0, 3.0, SLOW)])
def test_threads_in_each_others_way_are_told(alone, together, state):
    assert doctor.parallel(2, alone, together).state == state


def test_threads_are_as_before_after_they_were_tried(two_threads):
    assert all(seconds > 0 for seconds in doctor.together())
    assert torch.get_num_threads() == 2


def test_space_memory_encodings_and_speed_are_judged(tmp_path, monkeypatch):
    assert doctor.temporary(tmp_path).state in (OK, SLOW)
    assert doctor.temporary(tmp_path / "lost").state == BROKEN
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=10))
    assert doctor.temporary(tmp_path).state == SLOW
    assert doctor.memory(SimpleNamespace(total=8e9, available=1e8)).state == SLOW
    assert doctor.memory(SimpleNamespace(total=8e9, available=4e9)).state == OK
    assert doctor.encodings({"stdin": "utf-8", "stdout": "UTF-8", "stderr": None}).state == OK
    latin = doctor.encodings({"stdin": "utf-8", "stdout": "ANSI_X3.4-1968"})
    assert (latin.state, latin.value) == (SLOW, "stdout in ANSI_X3.4-1968")
    lacking = doctor.of_ffmpeg(None, None)
    assert lacking.state == NOTE
    assert "m4a" in lacking.value
    assert "apt install ffmpeg" in lacking.advice
    assert doctor.of_ffmpeg("/bin/ffmpeg", None).state == NOTE
    assert doctor.of_ffmpeg("/bin/ffmpeg", "/bin/ffprobe").state == OK
    assert doctor.speed(doctor.USUAL_SPEED).state == OK
    assert doctor.speed(doctor.USUAL_SPEED / doctor.LARGEST_SLOWDOWN - 1).state == SLOW


@pytest.mark.parametrize(
    ("devices", "seen", "states"),
    [
        ((), None, [NOTE]),
        ((), Gpu(0.0, 1), [SLOW, OK]),
        (("H100",), None, [OK, NOTE]),
        (("H100",), Gpu(0.0, 1), [OK, OK]),
    ],
)
def test_a_gpu_that_only_one_side_sees_is_told(devices, seen, states):
    assert [f.state for f in doctor.cuda(devices, seen)] == states


def test_what_the_machine_is_is_read(tmp_path):
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Some CPU: 3 GHz\n")
    assert cpu_model(tmp_path / "cpuinfo") == "Some CPU: 3 GHz"
    assert cpu_model(tmp_path / "lost")
    for text, cores in (("150000 100000\n", 1.5), ("max 100000\n", None), ("", None)):
        (tmp_path / "cpu.max").write_text(text)
        assert quota(tmp_path / "cpu.max") == cores


@pytest.mark.parametrize(
    ("findings", "status"),
    [
        ([Finding("a", "1")], 0),
        ([Finding("a", "1", SLOW, "do it"), Finding("b", "2", NOTE)], 0),
        ([Finding("a", "1", BROKEN, "do it")], 1),
        (None, 1),
    ],
)
def test_the_doctor_ends_with_1_only_where_something_is_broken(monkeypatch, findings, status):
    def look():
        if findings is None:
            raise ZeroDivisionError("a fault of the doctor's")
        yield from findings

    monkeypatch.setattr(doctor, "PARTS", {"part": look})
    told, data = called("doctor"), called("doctor", "--json")
    assert (told.exit_code, data.exit_code) == (status, status)
    found = json.loads(data.output)
    assert found["well"] == (status == 0)
    assert len(found["findings"]) == (1 if findings is None else len(findings))
    for finding in found["findings"]:
        assert finding["advice"] in told.output
    assert ("all is well" in told.output) == all(f["state"] in (OK, NOTE) for f in found["findings"])


def test_the_doctor_tells_that_nothing_can_be_loaded(monkeypatch):
    monkeypatch.setitem(sys.modules, "aligner.cli.actions.examining", None)
    told, data = called("doctor"), called("doctor", "--json")
    assert told.exit_code == data.exit_code == 1
    assert told.output.startswith("X a library cannot be loaded")
    assert json.loads(data.output)["well"] is False


# leaks


@pytest.fixture(scope="module")
def soak():
    return SourceFileLoader("soak", str(ROOT / "recipes" / "benchmark" / "soak.py")).load_module()


def living():
    """What there is: tensors, arrays, alignments, descriptors, threads."""
    gc.collect()
    things = gc.get_objects()
    kinds = {
        kind.__name__: sum(type(thing) is kind for thing in things) for kind in (torch.Tensor, Alignment)
    }
    own = psutil.Process()
    return {**kinds, "files": own.num_fds(), "threads": own.num_threads(), "children": len(own.children())}


@pytest.mark.parametrize("backend", ["hmm", "ctc", "dtw"])
def test_nothing_piles_up(soak, corpus, backend):
    once = soak.passes(corpus, backend, jobs=1)
    once()
    once()  # caches are full
    before, heap = living(), soak.heap()
    for _ in range(PASSES):
        once()
    assert living() == before
    assert (soak.heap() - heap) / PASSES < KEPT


@pytest.mark.parametrize("keep", [torch.ones, np.ones], ids=["tensor", "array"])
def test_what_is_kept_is_noticed(soak, keep):
    """The heap that the test above looks at holds tensors and arrays."""
    if not soak.heap():
        pytest.skip("the C library does not tell its heap (glibc from 2.33 on does)")
    before = soak.heap()
    held = keep(KEPT)
    assert soak.heap() - before > 0.9 * held.nbytes  # something small may be freed meanwhile


def test_what_grows_is_told(soak):
    rng = np.random.default_rng(0)
    steady = [soak.State(500 + float(noise), 90.0, 6, 3, 1) for noise in rng.normal(scale=0.1, size=60)]
    assert soak.verdict(steady) == []
    # a jump
    assert soak.verdict([s._replace(memory=s.memory + 80 * (k > 55)) for k, s in enumerate(steady)]) == []
    for grown in ({"memory": 0.3}, {"heap": 0.03}, {"files": 1}, {"threads": 1}, {"processes": 1}):
        [(name, rate)] = grown.items()
        states = [s._replace(**{name: getattr(s, name) + rate * k}) for k, s in enumerate(steady)]
        [told] = soak.verdict(states)
        assert told.startswith(name)
    assert soak.slope([1.0, 1.5, 2.0, 99.0, 3.0]) == pytest.approx(0.5)


# the marks: stages of the path, and profiles

STAGES = {
    "hmm": {
        "reading",
        "graph",
        "features",
        "encoder",
        "scores",
        "search",
        "evidence",
        "refinement",
        "figures",
        "writing",
    }
}
WITHOUT_HEAD = STAGES["hmm"] - {"encoder"}
STAGES |= {"ctc": WITHOUT_HEAD, "ctc+hmm": STAGES["hmm"], "dtw": STAGES["hmm"] | {"reference"}}


@pytest.fixture
def english():
    return chosen("english", compute=Compute(jobs=1))


def test_a_mark_is_nothing_while_nobody_looks():
    assert tracing.stage("search") is tracing.stage("scores")
    with pytest.raises(ZeroDivisionError), tracing.stage("search"):
        1 / 0  # noqa: B018


@pytest.mark.parametrize("backend", list(STAGES))
def test_every_stage_is_marked(corpus, backend):
    watch = Stopwatch()
    with tracing.traced_by(watch):
        aligning.whole(corpus, chosen(None, Options(backend=backend), Compute(jobs=1)))
    assert set(watch.seconds) == STAGES[backend] <= set(tracing.STAGES)
    assert tracing._tracers == []


def test_long_recordings_are_marked_too(corpus, english, monkeypatch):
    monkeypatch.setattr(path, "MOST_SCORES", 0)
    watch = Stopwatch()
    with tracing.traced_by(watch):
        aligning.whole(corpus, english)
    assert set(watch.seconds) == STAGES["hmm"]


def test_results_do_not_depend_on_who_looks(corpus, english):
    utterances = aligner.find(corpus).utterances
    with tracing.traced_by(Stopwatch()):
        seen = list(aligner.align(utterances, english))
    assert seen == list(aligner.align(utterances, english))


def test_stages_add_up_to_the_run(corpus, english):
    rows = {r.name: r for r in aligning.stages(corpus, english, 1, ticking(1.0))}
    assert set(rows) == STAGES["hmm"] | {aligning.REST, "all"}
    [whole] = rows.pop("all").timing.repeats
    assert sum(row.timing.repeats[0] for row in rows.values()) == whole
    wanted = sum(r.utterance.end for r in aligner.align(aligner.find(corpus).utterances, english))
    for row in rows.values():
        assert row.audio == pytest.approx(wanted)
    assert rows["search"].timing.repeats == (2.0,)  # once for each recording, a tick each


def test_a_profile_has_all_stages_and_a_trace_that_opens(corpus, tmp_path, english):
    found = profiling.profile(corpus, tmp_path / "seen", english)
    assert (found.utterances, found.failures) == (2, 0)
    assert [line.name for line in found.stages] == [s for s in tracing.STAGES if s in STAGES["hmm"]]
    calls = {line.name: line.calls for line in found.stages}
    assert calls["reading"] == calls["search"] == calls["figures"] == 2
    trace = json.loads((tmp_path / "seen" / profiling.TRACE).read_text())
    names = [event.get("name") for event in trace["traceEvents"]]
    for stage in STAGES["hmm"]:
        assert names.count(f"aligner::{stage}") >= calls[stage]
    assert any(name.startswith("aten::") for name in names if name)
    assert any(line.name == "aten::addmm" for line in found.operators)
    own = sum(line.own for line in (*found.stages, *found.operators))
    assert 0 < own < found.seconds
    for line in (*found.stages, *found.operators):
        assert 0 <= line.own <= line.whole * (1 + 1e-9) < found.seconds
    told = json.loads((tmp_path / "seen" / profiling.TABLE).read_text())
    assert [s["name"] for s in told["stages"]] == [line.name for line in found.stages]
    assert len(list((tmp_path / "seen" / profiling.ALIGNED).rglob("*.TextGrid"))) == 2
    assert tracing._tracers == []


def test_other_threads_are_profiled_too():
    with profiling.recorded() as recorder, tracing.traced_by(torch.profiler.record_function):
        thread = threading.Thread(target=in_a_stage)
        thread.start()
        thread.join()
    assert {"search", "aten::mm"} <= {e.key for e in recorder.key_averages()}


def in_a_stage():
    with tracing.stage("search"):
        torch.ones(3, 3) @ torch.ones(3, 3)


def test_profiles_go_to_new_folders_only(corpus, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for expected in ("profile", "profile-2"):
        done = called("profile", corpus, "--limit", 1)
        assert done.exit_code == 0, done.output
        assert "1 utterances, 0 failures" in done.output
        assert f"{expected}/trace.json" in done.output
    before = (tmp_path / "profile" / "trace.json").read_bytes()
    for there in ("profile", "profile/trace.json"):
        done = called("profile", corpus, there)
        assert done.exit_code == 2
        assert "something is there already" in done.output
    assert (tmp_path / "profile" / "trace.json").read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["corpus", "profile", "profile-2"]


def test_there_must_be_something_to_profile(tmp_path):
    (tmp_path / "empty").mkdir()
    done = called("profile", tmp_path / "empty", tmp_path / "out")
    assert done.exit_code == 2
    assert "Traceback" not in done.output


@pytest.mark.gpu
def test_a_gpu_is_waited_for_and_its_memory_told():
    [row] = family.family(
        Plan(models=("MixtureGaussianHMM",), batches=(4,), lengths=(50,), devices=("cuda",), repeats=1)
    )
    assert row.device == "cuda"
    assert row.timing.median > 0
    assert row.memory > 0
