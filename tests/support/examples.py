"""Training examples of random frames."""

from __future__ import annotations

import torch

from aligner.train.em import Example
from aligner.types import Pronunciation


def example(number):
    generator = torch.Generator().manual_seed(number)
    words = ((Pronunciation(("A", f"B{number}")),),)
    return Example(
        id=f"u{number}",
        speaker=f"s{number % 2}",
        cepstra=torch.randn(5 + number, 3, generator=generator),
        words=words,
        spelled=("w",),
    )


EXAMPLES = [example(k) for k in range(7)]
