"""Several backends at once: the phones of the first, boundaries where they agree that these are."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from aligner.backends.base import Backend, Found, Heard, Prepared, as_searched
from aligner.backends.options import Compute, Options
from aligner.refine.boundaries import Refined, Refinement
from aligner.refine.thresholds import Limits
from aligner.types import Clock, DataError


@dataclass(frozen=True)
class Together(Prepared):
    """An utterance as each of several backends has prepared it, with the backend."""

    parts: Sequence[tuple[Backend, Prepared]]


@dataclass(frozen=True)
class MedianBackend:
    """The median of several backends (see `aligner.backends.base.Backend`, and `aligner.refine.agreement`).

    Attributes
    ----------
    first : Backend
        Which says what phones there are, and judges the result; an utterance that it cannot align fails.
    others : tuple of Backend
        One that cannot align an utterance has no say in it.
    """

    first: Backend
    others: tuple[Backend, ...]
    name: str = "median"

    @property
    def model_name(self) -> str:
        """Of all."""
        return " + ".join(b.model_name for b in (self.first, *self.others))

    @property
    def about(self) -> str:
        """What scores the frames."""
        return f"the median of {'; '.join(b.about for b in (self.first, *self.others))}"

    @property
    def english(self) -> bool | None:
        """Whether transcripts are read as English."""
        return self.first.english

    @property
    def options(self) -> Options:
        """Of all."""
        return self.first.options

    @property
    def compute(self) -> Compute:
        """How it is computed."""
        return self.first.compute

    @property
    def clock(self) -> Clock:
        """Of the first's frames."""
        return self.first.clock

    @property
    def shortest(self) -> float:
        """Seconds that a phone lasts at least."""
        return self.first.shortest

    @property
    def limits(self) -> Limits:
        """Of what is suspect, as the first sees it."""
        return self.first.limits

    @property
    def refinement(self) -> Refinement:
        """Of the first; the others' opinions are refined already."""
        return self.first.refinement

    def prepare(self, heard: Heard) -> Prepared:
        """Let all prepare it."""
        own = self.first.prepare(heard)
        parts = []
        for backend in self.others:
            with suppress(DataError):
                parts.append((backend, backend.prepare(heard)))
        return Together(own.heard, own.spoken, own.oovs, own.graph, own.frames, parts)

    def find(self, prepared: Prepared) -> Found:
        """What the first finds, with the others' opinions."""
        assert isinstance(prepared, Together)
        own = self.first.find(prepared)
        opinions: list[Refined] = []
        for backend, part in prepared.parts:
            with suppress(DataError):
                found = backend.find(part)
                opinions.append(backend.refinement(as_searched(found, backend), part.heard.wave))
        return own._replace(opinions=tuple(opinions))
