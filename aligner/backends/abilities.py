"""What only some backends can do: each ability is a protocol of one method, which a backend has or has not.

Whoever needs an ability asks for the protocol, never for the class of a backend.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar, runtime_checkable

from aligner.backends.base import AnyBackend, Found
from aligner.backends.spotting import Spotter
from aligner.models.boundary import BoundaryModel
from aligner.models.head import Head
from aligner.text.lexicon import SpokenWord
from aligner.text.normalise import Token
from aligner.types import DataError, Utterance

P_contra = TypeVar("P_contra", contravariant=True)
SpeakerPass = Callable[[Sequence[Utterance]], AnyBackend]
"""Hears all utterances of a corpus; gives the backend that knows their speakers."""
Pronounce = Callable[[Sequence[Token]], tuple[list[SpokenWord], list[tuple[str, str]]]]
"""Gives the words that are said for tokens, and the (word, phones) of those that no dictionary holds."""


@runtime_checkable
class Batched(Protocol[P_contra]):
    """A backend that searches many utterances at once on a device."""

    def batched(self) -> Callable[[Sequence[P_contra]], Sequence[Found | DataError]]:
        """Move the model to the device of its `Compute`, and give the search of a batch there.

        The search has an error in place of what it found for an utterance without a path.
        """
        ...


@runtime_checkable
class SpeakerAware(Protocol):
    """A backend that may want to hear each speaker before it aligns."""

    def speaker_pass(self) -> SpeakerPass | None:
        """The pass over all utterances that comes first; None where none is needed."""
        ...


@runtime_checkable
class Spotting(Protocol):
    """A backend that can find the sentences of a long recording in a first pass."""

    def spotter(self) -> Spotter:
        """What scores phones without context in that pass."""
        ...


@runtime_checkable
class Teachable(Protocol):
    """A backend that can learn from corrections of its boundaries."""

    def with_taught(self, taught: BoundaryModel | None) -> AnyBackend:
        """The same backend with what was learnt from corrections; None takes away what it had learnt."""
        ...


@runtime_checkable
class Headed(Protocol):
    """A backend whose model may have a head, which corrections may tune."""

    @property
    def head(self) -> Head | None:
        """The head that is asked; None where the model has none."""
        ...

    def with_head(self, head: Head | None) -> AnyBackend:
        """The same backend with another head, or without one."""
        ...


@runtime_checkable
class Pronouncing(Protocol):
    """A backend that can tell, without a recording, how it takes words to be said."""

    @property
    def pronounce(self) -> Pronounce:
        """Gives tokens their pronunciations."""
        ...


@runtime_checkable
class Composite(Protocol):
    """A backend that asks several others for their opinion."""

    def with_members(self, change: Callable[[AnyBackend], AnyBackend]) -> AnyBackend:
        """The same backend with each of the others changed."""
        ...
