"""Batches on a device: what they find is what each utterance finds alone; how large they are; what happens
when memory runs out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.places import SAMPLE

from aligner import find
from aligner.backends.base import prepare
from aligner.backends.choose import chosen
from aligner.backends.options import Compute, Options
from aligner.parallel.batches import (
    FIRST_BATCH,
    LEAST_COST,
    LONGEST_BATCH,
    MEMORY_SHARE,
    BatchSize,
    by_length,
    in_batches,
    moved,
)
from aligner.parallel.device import DeviceWork, on_device
from aligner.parallel.schedule import Placed, Ready, TooLong
from aligner.types import DataError

CPU = torch.device("cpu")
GIGABYTE = 2**30


@pytest.fixture(scope="module")
def backend(model):
    return chosen(model, Options())


@pytest.fixture(scope="module")
def prepared(backend):
    return [prepare(u, backend) for u in find(SAMPLE).utterances]


def same(one, other):
    assert one.phones == other.phones
    assert list(one.firsts) == list(other.firsts)
    assert one.log_likelihood == pytest.approx(other.log_likelihood, abs=1e-5)
    for mine, theirs in zip(one.evidence, other.evidence, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=2e-3)


@pytest.mark.parametrize("kernel", ["numba", "triton"])
def test_a_batch_finds_what_each_finds_alone(backend, prepared, kernel):
    some = prepared if kernel == "numba" else prepared[:2]  # Triton's interpreter takes its time
    there = replace(backend, compute=replace(backend.compute, kernel=kernel))
    for together, p in zip(there.find_all(some), some, strict=True):
        same(together, backend.find(p))


def test_what_a_head_hears_is_left_to_the_device(backend, prepared):
    """Workers, who cannot reach a device, prepare the rest; whoever searches adds it."""
    elsewhere = replace(backend, compute=replace(backend.compute, device="cuda"))
    left = [prepare(u, elsewhere) for u in find(SAMPLE).utterances]
    phones = len(backend.model.head.phones)
    for without, p in zip(left, prepared, strict=True):
        assert (without.headed, p.headed) == (False, True)
        assert without.frames.shape[1] == p.frames.shape[1] - phones
    for together, p in zip(backend.find_all(left), prepared, strict=True):
        same(together, backend.find(p))
    same(backend.find(left[0]), backend.find(prepared[0]))


def test_a_head_goes_to_a_device_and_what_it_hears_with(backend):
    there = backend.model.to("meta").head
    assert {t.device.type for t in there.state_dict().values()} == {"meta"}
    assert {t.device.type for t in backend.model.head.state_dict().values()} == {"cpu"}
    assert backend.model.to("cpu").head is backend.model.head


def test_an_utterance_without_a_path_leaves_the_others_alone(backend, prepared):
    frames, cost = prepared[1].frames[:20], prepared[1].pause_cost[:20]
    short = replace(prepared[1], frames=frames, pause_cost=cost)
    first, lost, last = backend.find_all([prepared[0], short, prepared[2]])
    assert isinstance(lost, DataError)
    assert "take at least" in str(lost)
    same(first, backend.find(prepared[0]))
    same(last, backend.find(prepared[2]))


def test_everything_goes_through_the_device_and_keeps_its_place(backend, prepared):
    placed = [Placed(k, f"u{k}", Ready(p) if k != 3 else TooLong()) for k, p in enumerate(prepared)]
    work = DeviceWork(
        device=CPU,
        start=backend.batched,
        finish=lambda p, found: (p, found),
        seconds=lambda p: p.heard.seconds,
    )
    made = list(on_device(iter(placed), work, BatchSize(CPU, fixed=6.0)))
    assert sorted(place for place, *_ in made) == list(range(len(prepared)))
    for place, item, outcome in made:
        assert item == f"u{place}"
        if place == 3:
            assert outcome == TooLong()
            continue
        own, found = outcome.result
        assert own is prepared[place]
        same(found, backend.find(own))


def test_nothing_moves_to_the_device_before_something_is_ready():
    def start():
        raise AssertionError

    work = DeviceWork(device=CPU, start=start, finish=lambda p, found: found, seconds=lambda p: 1.0)
    placed = [Placed(k, k, TooLong()) for k in range(3)]
    assert list(on_device(iter(placed), work, BatchSize(CPU, fixed=6.0))) == placed


def test_batches_are_of_like_length_and_hold_no_more_than_they_may():
    seconds = np.random.default_rng(0).uniform(0.5, 20, 200).tolist()
    batches = by_length(seconds, 60.0)
    assert sorted(k for batch in batches for k in batch) == list(range(200))
    assert all(len(b) * max(seconds[k] for k in b) <= 60.0 for b in batches)
    padded = sum(len(b) * max(seconds[k] for k in b) for b in batches)
    assert padded < 1.03 * sum(seconds)
    assert by_length([90.0], 60.0) == [[0]]  # one that is too long is tried all the same


def test_the_size_follows_the_memory_and_the_measured_cost():
    free = [8 * GIGABYTE]
    size = BatchSize(CPU, free=lambda device: free[0])
    assert size.seconds == FIRST_BATCH
    size.learn(60.0, 60 * 4 * LEAST_COST)
    assert size.seconds == MEMORY_SHARE * free[0] / (4 * LEAST_COST)
    free[0] //= 4
    size.learn(60.0, 60 * LEAST_COST)  # cheaper by chance: the dearest counts
    assert size.seconds == MEMORY_SHARE * free[0] / (4 * LEAST_COST)
    free[0] = 10**15
    size.learn(60.0, 60)
    assert size.seconds == LONGEST_BATCH
    told = BatchSize(CPU, fixed=100.0)
    told.learn(60.0, 10**15)
    assert told.seconds == 100.0


@pytest.mark.parametrize("error", [MemoryError, torch.OutOfMemoryError])
def test_where_memory_runs_out_the_batch_is_halved_and_nothing_is_lost(error):
    tried = []

    def work(batch):
        tried.append(len(batch))
        if len(batch) > 3:
            raise error
        return [10 * k for k in batch]

    size = BatchSize(CPU, free=lambda device: 10**15)
    size.learn(1.0, 1)
    found = dict(in_batches([1.0] * 20, size, CPU, work))
    assert found == {k: 10 * k for k in range(20)}
    assert tried[:4] == [20, 10, 5, 2]
    assert max(tried[4:]) <= 3  # it has learnt
    with pytest.raises(error):
        list(in_batches([1.0], size, CPU, lambda batch: work([0] * 4)))


def test_one_copy_moves_all():
    tensors = [torch.randn(n, 3) for n in (4, 1, 7)]
    for there, here in zip(moved(tensors, "meta"), tensors, strict=True):
        assert there.device.type == "meta"
        assert there.shape == here.shape
    assert all(torch.equal(a, b) for a, b in zip(moved(tensors, "cpu"), tensors, strict=True))


@pytest.mark.parametrize("name", ["hmm", "ctc", "dtw"])
def test_mixed_precision_moves_no_boundary_far(name):
    from aligner import align

    utterances = find(SAMPLE).utterances[:4]
    full, mixed = (
        list(align(utterances, None, Options(backend=name), Compute(jobs=1, precision=p)))
        for p in ("full", "mixed")
    )
    moves = [
        abs(a.start - b.start)
        for x, y in zip(full, mixed, strict=True)
        for a, b in zip(x.phones, y.phones, strict=True)
    ]
    assert np.mean(np.array(moves) <= 0.0101) >= 0.99


def test_a_device_that_is_not_there_is_told():
    with pytest.raises(DataError, match="cannot be used"):
        Compute(device="cuda:77").check()
    with pytest.raises(DataError, match="runs on the CPU"):
        chosen(None, Options(backend="dtw"), Compute(device="cuda"))
