#!/usr/bin/env python3
"""The search core and the HMM family beside their peers, in one run.

    search.py [--torbi PYTHON] [--rounds N]

Ratios are of the fastest of N alternating rounds.  Audio seconds are those of 10 ms frames, summed over the
batch. Run it through search.sh, which makes torbi's own environment.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from aligner.search.arcs import Arcs
from aligner.search.viterbi import viterbi

HOP = 0.01  # seconds
CORES = torch.get_num_threads()
SEARCH_ROWS = {
    "MixtureGaussianHMM": (32, 1000, "10 states, 8 components"),
    "HSMM": (32, 1000, "10 states, 8 components, up to 60 frames"),
    "StreamingHMM": (16, 500, "10 states, chunks of 10 frames"),
    "NeuralHMM": (16, 1000, "10 states, 64 hidden"),
    "SemiMarkovHMM": (24, 800, "10 states, 3 regions, up to 30 frames"),
}


def fastest(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Seconds of the fastest of so many rounds; in each, every call once, after a call that is not
    counted."""
    best = dict.fromkeys(calls, float("inf"))
    for k in range(rounds + 1):
        for name, call in calls.items():
            begun = time.perf_counter()
            call()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if k:
                best[name] = min(best[name], time.perf_counter() - begun)
    return best


def told(title: str, seconds: dict[str, float], wanted: float) -> None:
    (ours, mine), *others = seconds.items()
    print(f"\n{title}\n  {ours:<44} {mine * 1e3:9.1f} ms")
    for name, theirs in others:
        verdict = "met" if theirs / mine >= wanted else "NOT MET"
        print(
            f"  {name:<44} {theirs * 1e3:9.1f} ms   ours is {theirs / mine:6.1f} x faster "
            f"(wanted {wanted:g}: {verdict})"
        )


def against_hmmlearn(rounds: int) -> None:
    from hmmlearn.hmm import GMMHMM

    from aligner.hmm import MixtureGaussianHMM

    torch.manual_seed(0)
    ours, x = MixtureGaussianHMM(10, 80, 8), torch.randn(32, 1000, 80)
    theirs = GMMHMM(10, 8, covariance_type="diag", init_params="")
    start, follow = ours._probabilities()
    theirs.startprob_, theirs.transmat_ = start.detach().numpy(), follow.detach().numpy()
    theirs.startprob_ /= theirs.startprob_.sum()
    theirs.transmat_ /= theirs.transmat_.sum(1, keepdims=True)
    theirs.means_, theirs.covars_ = ours.emissions.means.detach().double().numpy(), np.ones((10, 8, 80))
    theirs.weights_ = np.full((10, 8), 1 / 8)
    flat = x.reshape(-1, 80).double().numpy()
    with torch.no_grad():
        total, expected = float(ours(x).sum()), theirs.score(flat, [1000] * 32)
        assert abs(total / expected - 1) < 1e-5, (total, expected)
        seconds = fastest(
            {
                "MixtureGaussianHMM.forward": lambda: ours(x),
                "hmmlearn GMMHMM.score": lambda: theirs.score(flat, [1000] * 32),
            },
            rounds,
        )
    told("Log-likelihood, 32 x 1000 frames, 10 states, 80 dims, 8 components", seconds, 20)


def chain(states: int) -> Arcs:
    """A left-to-right graph, a pdf a state."""
    s = torch.arange(states, dtype=torch.int32)
    ends = torch.full((2, states), -torch.inf)
    ends[0, 0] = ends[1, -1] = 0.0
    return Arcs(
        s[None],
        torch.stack([s, s - 1], 1)[None],
        torch.tensor([0.5, 0.5]).log().expand(1, 1, states, 2),
        ends[:1],
        ends[1:],
    )


TORBI = """
import sys, time, numpy as np, torch, torbi
data, rounds, threads = np.load(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(threads)
given = [torch.from_numpy(data[k]) for k in ("scores", "transition", "initial")]
best = 1e9
for k in range(rounds + 1):
    begun = time.perf_counter()
    path = torbi.from_probabilities(given[0], None, given[1], given[2], log_probs=True, num_threads=threads)
    if k:
        best = min(best, time.perf_counter() - begun)
np.save(sys.argv[1] + ".paths.npy", path.numpy())
print(best)
"""


def against_dense_viterbi(rounds: int, torbi: str | None) -> None:
    import librosa

    states, frames, batch = 300, 1000, 32
    arcs = chain(states)
    rng = np.random.default_rng(0)
    planted = np.minimum(np.arange(frames) * states // frames, states - 1)
    scores = rng.normal(size=(batch, frames, states)).astype(np.float32)
    scores[:, range(frames), planted] += 4
    scores = torch.from_numpy(scores).log_softmax(2)
    transition = np.zeros((states, states), np.float32)
    transition[range(states), range(states)] = transition[range(states - 1), range(1, states)] = 0.5
    transition[-1, -1] = 1.0
    initial = np.eye(states, dtype=np.float32)[0]
    probabilities = scores.exp().double().numpy().swapaxes(1, 2)
    path = viterbi(arcs._replace(final=torch.zeros(1, states)), scores).states
    theirs = librosa.sequence.viterbi(
        probabilities[0], transition.astype(float), p_init=initial.astype(float)
    )
    assert (path[0].numpy() == theirs).mean() > 0.99
    seconds = fastest(
        {
            "viterbi": lambda: viterbi(arcs, scores),
            "librosa.sequence.viterbi, dense": lambda: [
                librosa.sequence.viterbi(p, transition.astype(float), p_init=initial.astype(float))
                for p in probabilities
            ],
        },
        rounds,
    )
    if torbi:
        with tempfile.TemporaryDirectory() as folder:
            data = Path(folder) / "data.npz"
            with np.errstate(divide="ignore"):
                tiny = np.log(np.maximum(transition, 1e-37)), np.log(np.maximum(initial, 1e-37))
            np.savez(data, scores=scores.numpy(), transition=tiny[0].T.copy(), initial=tiny[1])
            done = subprocess.run(
                [torbi, "-c", TORBI, data, str(rounds), str(CORES)],
                capture_output=True,
                text=True,
                check=True,
            )
            agreement = (np.load(f"{data}.paths.npy") == path.numpy()).mean()
        seconds[f"torbi, dense, {CORES} threads (paths agree {agreement:.0%})"] = float(
            done.stdout.split()[-1]
        )
    told(f"Viterbi, {batch} x {frames} frames, {states} states from left to right", seconds, 50)
    if not torbi:
        print("  torbi: not measured (give --torbi, or run search.sh)")


def ctc_arcs(targets: torch.Tensor, blank: int = 0) -> Arcs:
    """CTC's graphs of targets (B, L): blank, label, blank, ..., with skips over blanks between two labels."""
    batch, labels = targets.shape
    states = 2 * labels + 1
    pdf = torch.full((batch, states), blank, dtype=torch.int32)
    pdf[:, 1::2] = targets
    s = torch.arange(states, dtype=torch.int32)
    predecessors = torch.stack([s, s - 1, s - 2], 1).clamp(min=-1).expand(batch, -1, -1).clone()
    skips = torch.zeros(batch, states, dtype=torch.bool)
    skips[:, 3::2] = targets[:, 1:] != targets[:, :-1]
    predecessors[..., 2].masked_fill_(~skips, -1)
    ends = torch.full((2, batch, states), -torch.inf)
    ends[0, :, :2] = ends[1, :, -2:] = 0.0
    return Arcs(pdf, predecessors, torch.zeros(batch, 1, states, 3), ends[0], ends[1])


def against_forced_align(rounds: int) -> None:
    from torchaudio.functional import forced_align

    generator = torch.Generator().manual_seed(0)
    batch, frames, labels, symbols = 32, 1000, 120, 40
    scores = torch.randn(batch, frames, symbols, generator=generator).mul(3).log_softmax(2)
    targets = torch.randint(1, symbols, (batch, labels), generator=generator, dtype=torch.int32)

    def theirs() -> list[torch.Tensor]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return [forced_align(scores[b : b + 1], targets[b : b + 1])[0][0] for b in range(batch)]

    def ours() -> torch.Tensor:
        arcs = ctc_arcs(targets)
        return arcs.pdf.long().gather(1, viterbi(arcs, scores).states)

    symbols_of = torch.stack(theirs()).long()
    each = torch.arange(frames)
    for mine, other, own in zip(ours(), symbols_of, scores, strict=True):
        assert torch.isclose(own[each, mine].sum(), own[each, other].sum(), rtol=1e-5)
    seconds = fastest(
        {"viterbi on CTC's graph, one batch": ours, "torchaudio forced_align, one call each": theirs}, rounds
    )
    told(
        f"Forced alignment by CTC, {batch} x {frames} frames, {labels} labels of {symbols} symbols",
        seconds,
        2,
    )


def row(name: str) -> None:
    """One line of the table, in a process of its own: seconds, and megabytes above what was there before."""
    from aligner import hmm

    batch, frames, _ = SEARCH_ROWS[name]
    torch.manual_seed(0)
    x = torch.randn(batch, frames, 80)
    model = {
        "MixtureGaussianHMM": lambda: hmm.MixtureGaussianHMM(10, 80, 8),
        "HSMM": lambda: hmm.HSMM(10, 80, 8, max_duration=60),
        "StreamingHMM": lambda: hmm.StreamingHMM(10, 80, 8),
        "NeuralHMM": lambda: hmm.NeuralHMM(10, 80),
        "SemiMarkovHMM": lambda: hmm.SemiMarkovHMM(10, 80, 8, max_duration=30),
    }[name]()

    def listen(x: torch.Tensor) -> None:
        for sequence in x:
            processor = hmm.StreamingHMMProcessor(model, chunk_size=10)
            for piece in sequence.split(10):
                processor.process_chunk(piece)
            processor.finish()

    call = listen if name == "StreamingHMM" else model
    with torch.no_grad():
        call(x[:1, :20])  # loads the kernels
        before = resident("VmRSS")
        reset_peak()
        call(x)
        peak = resident("VmHWM") - before
        seconds = fastest({name: lambda: call(x)}, 5)[name]
    print(json.dumps({"seconds": seconds, "megabytes": peak}))


def resident(field: str) -> float:
    """Megabytes of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def reset_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def table() -> None:
    print(f"\nThe family at 80 dims on {CORES} CPU cores (forward; the streaming model tells states)")
    print(f"  {'model':<20} {'batch':>10} {'ms':>9} {'audio s/s':>10} {'peak MB':>8}")
    for name, (batch, frames, what) in SEARCH_ROWS.items():
        done = subprocess.run(
            [sys.executable, __file__, "--row", name], capture_output=True, text=True, check=True
        )
        found = json.loads(done.stdout.splitlines()[-1])
        speed = batch * frames * HOP / found["seconds"]
        verdict = ""
        if name == "MixtureGaussianHMM":
            met = speed >= 5000 and found["megabytes"] < 200
            verdict = f"   (wanted 5000 and under 200: {'met' if met else 'NOT MET'})"
        print(
            f"  {name:<20} {batch:>4} x {frames:<4} {found['seconds'] * 1e3:8.1f} {speed:10,.0f} "
            f"{found['megabytes']:8.0f}  {what}{verdict}"
        )


def streaming() -> None:
    """Chunks of 10 ms through the English model and the graph of a sentence, on one core."""
    from aligner import Utterance, load_model
    from aligner.backends.base import prepare
    from aligner.backends.hmm import HmmBackend
    from aligner.search.live import LiveSearch

    torch.set_num_threads(1)
    model = load_model()
    folder = Path(__file__).parents[2] / "data" / "sample" / "slt"
    spoken = folder / "vowels.flac"
    ready = prepare(
        Utterance("vowels", spoken, spoken.with_suffix(".lab").read_text()), HmmBackend(model=model)
    )
    wave = torch.randn(16_000)
    latencies = []
    search = LiveSearch(Arcs.of(ready.graph), beam=300.0)
    for _ in range(3):
        search = LiveSearch(Arcs.of(ready.graph), beam=300.0)
        for t in range(len(ready.frames)):
            begun = time.perf_counter()
            # features of the last 0.2 s anew: more than an incremental front end does
            model.frontend(wave[:3200])
            search.advance(model.score(ready.frames[t : t + 1], ready.graph.pdfs))
            latencies.append(time.perf_counter() - begun)
        search.finish()
    p50, p99 = np.percentile(latencies, [50, 99]) * 1e3
    torch.set_num_threads(CORES)
    print(
        f"\nStreaming, 10 ms chunks, English model, {len(ready.graph.pdf)} states, one core: median "
        f"{p50:.2f} ms, "
        f"p99 {p99:.2f} ms (wanted under 10: {'met' if p99 < 10 else 'NOT MET'})"
    )


def cuda(rounds: int) -> None:
    print()
    if not torch.cuda.is_available():
        print(
            "CUDA: no GPU here, so nothing was measured on one; the Triton kernels are tested in their "
            "interpreter"
        )
        return
    name = torch.cuda.get_device_name()
    batch, frames, states = 64, 1000, 300
    scores = torch.randn(batch, frames, states, device="cuda")
    arcs = chain(states).to(scores)
    seconds = fastest({"ours": lambda: viterbi(arcs, scores)}, 10 * rounds)["ours"]
    copy = torch.empty(2**28, device="cuda")
    bandwidth = 2 * copy.numel() * 4 / fastest({"copy": lambda: copy.clone()}, rounds)["copy"]
    moved = scores.numel() * 4 + batch * frames * (-(-states // 8) + 8)
    bound = max(moved / bandwidth, 0.2e-6 * frames)
    print(
        f"CUDA ({name}), fused Viterbi, {batch} x {frames} x {states}: {seconds * 1e3:.2f} ms; bound "
        f"{bound * 1e3:.2f} ms (bytes {moved / bandwidth * 1e3:.3f}, frames {0.2e-3 * frames:.2f}): "
        f"{seconds / bound:.1f} x (wanted 5: {'met' if seconds <= 5 * bound else 'NOT MET'})"
    )
    from aligner.models.gmm import Diagonal

    gaussians = Diagonal.of(torch.randn(1000, 8, 80, device="cuda"), torch.ones(1000, 8, 80, device="cuda"))
    x = torch.randn(32_000, 80, device="cuda")
    a, b = torch.randn(8192, 8192, device="cuda"), torch.randn(8192, 8192, device="cuda")
    for precision in ("highest", "high"):
        torch.set_float32_matmul_precision(precision)
        best = fastest({"gmm": lambda: gaussians(x), "matmul": lambda: a @ b}, 3 * rounds)
        rates = 2 * 32_000 * 160 * 8000 / best["gmm"] / 1e12, 2 * 8192**3 / best["matmul"] / 1e12
        print(
            f"CUDA GMM product, {precision}: {rates[0]:.1f} TFLOP/s of the device's {rates[1]:.1f}: "
            f"{rates[0] / rates[1]:.0%} (wanted 50 %)"
        )
    torch.set_float32_matmul_precision("highest")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--torbi", help="a Python that has torbi")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--row", choices=SEARCH_ROWS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.row:
        row(given.row)
        return
    print(f"torch {torch.__version__}, {CORES} threads, {os.cpu_count()} cores")
    against_hmmlearn(given.rounds)
    against_dense_viterbi(given.rounds, given.torbi)
    against_forced_align(3 * given.rounds)
    table()
    streaming()
    cuda(given.rounds)


if __name__ == "__main__":
    main()
