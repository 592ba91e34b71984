"""A word between its neighbours: what the rules of reading look at."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_HALF = re.compile(r"([ap])\.?m\.?", re.IGNORECASE)


@dataclass(frozen=True)
class Place:
    """A word of a sentence, without the punctuation around it, and its neighbours."""

    words: Sequence[str]
    """All words of the sentence."""
    index: int
    """The word's index among them."""
    capitals_tell: bool = True
    """Whether capitals tell names and abbreviations from words, as they do not where all is in capitals."""
    stops: Sequence[bool] = ()
    """For each word, whether a comma or the like stands behind it; none where that is not known."""

    def at(self, offset: int) -> str:
        """Return the word so many places behind this one; empty beyond the ends.

        Examples
        --------
        >>> Place(["one", "two"], 0).at(1), Place(["one", "two"], 0).at(-1)
        ('two', '')
        """
        index = self.index + offset
        return self.words[index] if 0 <= index < len(self.words) else ""

    @property
    def word(self) -> str:
        """The word itself."""
        return self.words[self.index]

    @property
    def before(self) -> str:
        """The word before it, in small letters."""
        return self.at(-1).lower()

    @property
    def after(self) -> str:
        """The word behind it, in small letters."""
        return self.at(1).lower()

    @property
    def stopped(self) -> bool:
        """Whether a comma, a full stop or the like stands behind the word."""
        return bool(self.stops) and self.stops[self.index]

    @property
    def apart(self) -> bool:
        """Whether a comma, a full stop or the like stands between the word before and this one."""
        return bool(self.stops) and self.index > 0 and self.stops[self.index - 1]

    @property
    def half_follows(self) -> bool:
        """Whether a.m. or p.m. follows."""
        return bool(_HALF.fullmatch(self.after))
