"""A backend that hears nothing: it shares out an utterance's time evenly among its words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from aligner.backends.base import Found, Heard, Traits
from aligner.backends.options import Compute, Options
from aligner.models.base import Model
from aligner.refine.boundaries import Refinement
from aligner.refine.confidence import Evidence
from aligner.refine.suspect import Limits
from aligner.types import Clock

CLOCK = Clock(hop=160, window=160)


@dataclass(frozen=True)
class ToyBackend:
    options: Options = field(default_factory=Options)
    compute: Compute = field(default_factory=Compute)
    before: Callable[[Heard], object] = lambda heard: None
    """What is done with an utterance before it is prepared; it may raise, or take this process with it."""

    @property
    def traits(self) -> Traits:
        return Traits(
            name="toy",
            model_name="none",
            about="nothing scores the frames",
            english=True,
            clock=CLOCK,
            shortest=0.01,
            limits=Limits((), ()),
            refinement=Refinement(how="none"),
        )

    def prepare(self, heard: Heard) -> tuple[Heard, int]:
        self.before(heard)
        return heard, len(heard.wave) // CLOCK.hop

    def find(self, prepared: tuple[Heard, int]) -> Found:
        heard, frames = prepared
        words = [token.spelling for token in heard.tokens]
        firsts = [k * frames // len(words) for k in range(len(words))]
        nothing = np.zeros(frames)
        return Found(
            phones=CLOCK.tile(firsts, ["X"] * len(words), heard.start, heard.end),
            owners=range(len(words)),
            spellings=words,
            firsts=firsts,
            evidence=Evidence(nothing, nothing, nothing, nothing),
            log_likelihood=0.0,
        )


def make(model: Model | None, options: Options, compute: Compute) -> ToyBackend:
    return ToyBackend(options, compute)
