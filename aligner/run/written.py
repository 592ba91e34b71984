"""Where the labels of phones become what is written: in the alphabet that the options name.

Whatever aligns, judges and compares works on the labels that the model or the dictionary has.  What leaves
for the user, as files, as events of a stream, or as the alignments that programs get, goes through here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from aligner.backends.base import AnyBackend
from aligner.text.alphabets import NATIVE, Respelling
from aligner.types import Alignment, Caution, Interval, Notice

MOST_NAMED = 12  # labels that a warning names


@dataclass
class Writer:
    """Writes the phones of a backend in one alphabet, and keeps in mind what it could not write."""

    spell: Respelling
    """Gives a label the form in which it is written."""
    stayed: set[str] = field(default_factory=set)
    """Labels that were left as they are, for they are none of their alphabet."""

    @classmethod
    def of(cls, backend: AnyBackend) -> Writer:
        """What writes the phones of a backend as its options want them."""
        options = backend.options
        marks = options.stress is True  # unless it is asked for, the IPA leaves stress to syllables
        return cls(Respelling(backend.traits.alphabet, options.phones, marks))

    def label(self, label: str) -> str:
        """A label as it is written."""
        if not self.spell.knows(label):
            self.stayed.add(label)
        return self.spell(label)

    def tier(self, phones: Sequence[Interval]) -> tuple[Interval, ...]:
        """A tier of phones as it is written."""
        return tuple(replace(p, label=self.label(p.label)) for p in phones)

    def alignment(self, alignment: Alignment) -> Alignment:
        """An alignment with its phones as they are written; pronunciations in it stay as dictionaries have
        them."""
        if self.spell.target == NATIVE:
            return alignment
        return replace(alignment, phones=self.tier(alignment.phones))

    @property
    def cautions(self) -> tuple[Caution, ...]:
        """What the user should know of the labels that were left as they are."""
        if not self.stayed or self.spell.target == NATIVE:
            return ()
        some = sorted(self.stayed)
        more = f" and {len(some) - MOST_NAMED} more" if len(some) > MOST_NAMED else ""
        named = " ".join(some[:MOST_NAMED]) + more
        return (
            Caution(
                where="--phones",
                rule=f"these labels have no form in {self.spell.target}, and stay as they are: {named}",
                remedy="name phones in ARPAbet, the IPA or X-SAMPA in the dictionary",
                fault=Notice.NAME,
            ),
        )
