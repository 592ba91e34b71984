"""Aligning with several backends at once: the phones of the first, boundaries where they agree."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from aligner.backends import ctc, dtw, hmm
from aligner.backends.abilities import Pronounce, Pronouncing
from aligner.backends.base import AnyBackend, Found, Heard, Traits
from aligner.backends.options import Compute, Options
from aligner.models.base import Model
from aligner.models.ctc import CtcModel
from aligner.refine.boundaries import Refined
from aligner.text.normalise import spoken_english
from aligner.types import DataError, ModelError

NAME = "median"


@dataclass(frozen=True)
class Together:
    """An utterance as each of several backends has prepared it."""

    heard: Heard
    """The utterance as it was read."""

    first: Any
    """The utterance as the first backend has prepared it."""

    others: Sequence[tuple[AnyBackend, Any]]
    """The other backends that could prepare it, each with what it made of it."""


@dataclass(frozen=True)
class MedianBackend:
    """A backend that takes the median of several (see `aligner.refine.agreement`)."""

    first: AnyBackend
    """The backend that says what phones there are, and whose measures judge the result; an utterance that it
    cannot align fails."""

    others: tuple[AnyBackend, ...]
    """Backends whose boundaries count, too; one that cannot align an utterance has no say in it."""

    @cached_property
    def traits(self) -> Traits:
        """The traits of the first, with the names of all; the others' boundaries are refined already."""
        all_traits = [backend.traits for backend in (self.first, *self.others)]
        return replace(
            self.first.traits,
            name=NAME,
            model_name=" + ".join(t.model_name for t in all_traits),
            about=f"the median of {'; '.join(t.about for t in all_traits)}",
        )

    @property
    def options(self) -> Options:
        """The options that all backends were made with."""
        return self.first.options

    @property
    def compute(self) -> Compute:
        """How all backends compute: in which processes, on which device."""
        return self.first.compute

    @property
    def pronounce(self) -> Pronounce:
        """Gives words the pronunciations of the first backend, which says what phones there are."""
        assert isinstance(self.first, Pronouncing)
        return self.first.pronounce

    def with_members(self, change: Callable[[AnyBackend], AnyBackend]) -> MedianBackend:
        """The same backend with each of the several changed (see `Composite`)."""
        first, *others = (change(backend) for backend in (self.first, *self.others))
        return MedianBackend(first, tuple(others))

    def prepare(self, heard: Heard) -> Together:
        """Let each of the backends prepare an utterance."""
        own = self.first.prepare(heard)
        others = []
        for backend in self.others:
            with suppress(DataError):
                others.append((backend, backend.prepare(heard)))
        return Together(heard, own, others)

    def find(self, prepared: Together) -> Found:
        """Search with the first backend, and ask the others where they have its boundaries."""
        own = self.first.find(prepared.first)
        opinions: list[Refined] = []
        for backend, part in prepared.others:
            with suppress(DataError):
                found, traits = backend.find(part), backend.traits
                opinions.append(traits.refinement(found.searched(traits.clock), prepared.heard.wave))
        return replace(own, opinions=tuple(opinions))


def make(model: Model | None, options: Options, compute: Compute) -> MedianBackend:
    """A hidden Markov model, the same without its head or else a network, and warped speech.

    The model that was named takes the place of its kind; the others are those that come with the package,
    which are of English: of another language there is no network, and the median of two is their mean.

    Raises
    ------
    DataError
        If the dictionary or the device is of no use here.
    ModelError
        If a model is of another language.
    """
    of_network = isinstance(model, CtcModel)
    first = hmm.make(None if of_network else model, options, compute)
    language = options.language or first.model.language
    options = replace(options, language=language)
    second: tuple[AnyBackend, ...] = ()
    if first.head is not None and not of_network:  # a head goes wrong where networks do
        alone = replace(first.model.with_head(None), name=f"{first.model.name} without its head")
        second = (hmm.make(alone, options, compute),)
    elif spoken_english(language) or of_network:
        second = (ctc.make(model if of_network else None, options, compute),)
    return MedianBackend(first, (*second, _warped(first, options, compute)))


def _warped(first: hmm.HmmBackend, options: Options, compute: Compute) -> AnyBackend:
    """Warped speech of the language; the means of the first, where eSpeak does not speak it."""
    try:
        return dtw.make(None, replace(options, dictionary=None, add_words=(), stress=False), compute)
    except (ModelError, DataError):
        return dtw.make(first.model, options, compute)
