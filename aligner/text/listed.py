"""Lists of words, written as text."""

from __future__ import annotations


def listed(words: str) -> tuple[str, ...]:
    """Split a list that is written as text, with spaces and ends of lines between its words.

    Examples
    --------
    >>> listed("one two")
    ('one', 'two')
    """
    return tuple(words.split())
