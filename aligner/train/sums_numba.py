"""The CPU kernel of `aligner.train.statistics.accumulate`; it must equal its reference to rounding."""

from __future__ import annotations

from typing import Any

import numpy as np

from aligner.search.kernels import compiled

LEAST_SHARE = 1e-10  # least posterior that is worth adding up


@compiled(fastmath={"contract", "reassoc", "nsz", "arcp"})
def add_up(
    x: Any,
    y: Any,
    frames: Any,
    pdfs: Any,
    weights: Any,
    codebook: Any,
    means: Any,
    precisions: Any,
    constants: Any,
    log_weights: Any,
    counts: Any,
    first: Any,
    second: Any,
    emitted: Any,
) -> None:
    """Add frames ``y`` (T, E), weighted by the posteriors of Gaussians in ``x`` (T, D), to one stream's sums.

    ``frames``, ``pdfs``, ``weights`` (n,) are pairs of a frame and a pdf; ``means``, ``precisions`` (C, M,
    D), ``constants`` (C, M) and ``log_weights`` (P, M) the stream's; ``counts`` (P, M), ``first``, ``second``
    (C, M, E) and ``emitted`` (n,) are added to.
    """
    size, wide, most = x.shape[1], y.shape[1], means.shape[1]
    joint = np.empty(most)
    for k in range(len(frames)):
        t, pdf = frames[k], pdfs[k]
        book = codebook[pdf]
        greatest = -np.inf
        for m in range(most):
            if log_weights[pdf, m] == -np.inf:
                joint[m] = -np.inf
                continue
            distance = 0.0
            for d in range(size):
                away = x[t, d] - means[book, m, d]
                distance += away * away * precisions[book, m, d]
            joint[m] = constants[book, m] + log_weights[pdf, m] - 0.5 * distance
            greatest = max(greatest, joint[m])
        total = 0.0
        for m in range(most):
            joint[m] = np.exp(joint[m] - greatest) if joint[m] > -np.inf else 0.0
            total += joint[m]
        emitted[k] += np.log(total) + greatest
        for m in range(most):
            share = joint[m] / total * weights[k]
            if share > LEAST_SHARE:
                counts[pdf, m] += share
                for d in range(wide):
                    first[book, m, d] += share * y[t, d]
                    second[book, m, d] += share * y[t, d] * y[t, d]
