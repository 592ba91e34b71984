"""Checks that each kernel that runs here equals the reference, on small random problems."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from aligner.search.arcs import Arcs, chosen_kernel
from aligner.search.dtw import dtw
from aligner.search.forward_backward import forward_backward
from aligner.search.segmental import segmental_forward_backward, segmental_viterbi
from aligner.search.soft_dtw import soft_dtw
from aligner.search.viterbi import viterbi

BATCH, FRAMES, STATES, LONGEST = 3, 17, 6, 5
TOLERANCE = 1e-3  # greatest error of sums in float32, whose terms are below 100
KERNELS = ("numba", "triton")
LONGEST_ERROR = 200  # characters of an error message that are shown

Search = Callable[[str, torch.device], tuple[Tensor, ...]]


class Agreement(NamedTuple):
    """The outcome of comparing a kernel with the reference."""

    kernel: str
    """Kernel that was compared."""
    device: str
    """Device that it ran on."""
    search: str
    """Search that it computed."""
    trouble: str
    """What differs; empty where the kernel equals the reference."""


def places(devices: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """List the (kernel, device) pairs that run here."""
    for device in devices:
        for kernel in KERNELS:
            try:
                chosen_kernel(kernel, torch.device(device))
            except ValueError:
                continue
            yield kernel, device


def compare(kernel: str, device: str) -> Iterator[Agreement]:
    """Compare every search with this kernel against the reference."""
    for name, search in SEARCHES.items():
        yield Agreement(kernel, device, name, _trouble(search, kernel, device))


def _trouble(search: Search, kernel: str, device: str) -> str:
    expected = search("reference", torch.device("cpu"))
    try:
        found = search(kernel, torch.device(device))
    except Exception as error:  # whatever a compiler or a driver throws is what we want to know
        return f"it fails ({type(error).__name__}: {' '.join(str(error).split())[:LONGEST_ERROR]})"
    for one, other in zip(found, expected, strict=True):
        one = one.cpu()
        if one.shape != other.shape:
            return f"its result has the shape {tuple(one.shape)}, not {tuple(other.shape)}"
        away = (one.double() - other.double()).abs().max().item()
        if not away <= TOLERANCE:
            return f"it is {away:.3g} away from the reference"
    return ""


def _problem(device: torch.device) -> tuple[Arcs, Tensor, Tensor]:
    """Make left-to-right graphs with skips, scores (B, T, S) and lengths (B,)."""
    generator = torch.Generator().manual_seed(0)
    s = torch.arange(STATES)
    jump = s[None] - s[:, None]
    weights = (
        torch.rand(STATES, STATES, generator=generator).log().where((jump >= 0) & (jump <= 2), -torch.inf)
    )
    start = torch.where(s < 2, 0.0, -torch.inf)
    arcs = Arcs.dense(weights, start, torch.where(s >= STATES - 2, 0.0, -torch.inf))
    scores = 3 * torch.randn(BATCH, FRAMES, STATES, generator=generator)
    return arcs.to(scores.to(device)), scores.to(device), torch.tensor([FRAMES, FRAMES - 4, FRAMES - 7])


def _durations(device: torch.device) -> Tensor:
    return torch.rand(1, 1, STATES, LONGEST, generator=torch.Generator().manual_seed(1)).log().to(device)


def _costs(device: torch.device) -> Tensor:
    return torch.rand(BATCH, FRAMES, FRAMES - 3, generator=torch.Generator().manual_seed(2)).to(device)


def _viterbi(kernel: str, device: torch.device) -> tuple[Tensor, ...]:
    return viterbi(*_problem(device), kernel=kernel)


def _forward_backward(kernel: str, device: torch.device) -> tuple[Tensor, ...]:
    return forward_backward(*_problem(device), kernel=kernel)


def _segmental_viterbi(kernel: str, device: torch.device) -> tuple[Tensor, ...]:
    arcs, scores, lengths = _problem(device)
    return segmental_viterbi(arcs, scores, _durations(device), lengths, kernel)


def _segmental_forward_backward(kernel: str, device: torch.device) -> tuple[Tensor, ...]:
    arcs, scores, lengths = _problem(device)
    return segmental_forward_backward(arcs, scores, _durations(device), lengths, kernel)


def _dtw(kernel: str, device: torch.device) -> tuple[Tensor, ...]:
    return dtw(_costs(device), kernel=kernel)


def _soft_dtw(kernel: str, device: torch.device) -> tuple[Tensor, ...]:
    cost = _costs(device).requires_grad_()
    total = soft_dtw(cost, kernel=kernel)
    return total.detach(), *torch.autograd.grad(total.sum(), cost)


SEARCHES: dict[str, Search] = {
    "viterbi": _viterbi,
    "forward-backward": _forward_backward,
    "segmental viterbi": _segmental_viterbi,
    "segmental forward-backward": _segmental_forward_backward,
    "dtw": _dtw,
    "soft-dtw": _soft_dtw,
}
