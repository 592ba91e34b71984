"""What transcripts write where nothing is said: words for a pause, its length, and the labels of silences."""

from __future__ import annotations

import re
from functools import cache

_PAUSE = """
    beat pause pauses pausing silence silent silences sil sp sl eps breathgroup gap blank
"""
_PAUSE_ABOUT = """
    s sec secs second seconds a brief complete dead extended in long longer medium short shorter small
    very minute minutes min mins of for the
"""
TIME = re.compile(r"\d+(?:[:.,]\d+)*(?:s|sec|secs|min|ms)?|\d*[.,]\d+")
PAUSES = frozenset(_PAUSE.split())
PAUSES_ABOUT = frozenset(_PAUSE_ABOUT.split())
# labels of silences, of whole intervals, as tools for Praat and other aligners write them
_LABELS = "sil sp # ## <p:> <p> <usb> _ __ - <eps> eps h# pau ssil"
LABELS = frozenset(_LABELS.split())
_BRACKETED = re.compile(r"\[(.*)\]|\((.*)\)|\{(.*)\}|<(.*)>", re.DOTALL)


@cache
def is_pause(text: str) -> bool:
    """Whether what stands in brackets is a pause: a word for it, or seconds.

    Examples
    --------
    >>> [is_pause(text) for text in ("long pause", ".", "1.5", "2 sec", "pauses to think", "5")]
    [True, True, True, True, False, False]
    """
    bare = text.strip()
    if bare and not bare.strip(".…-– "):
        return True
    words = bare.lower().split()
    timed = [w for w in words if TIME.fullmatch(w)]
    rest = [w.strip("().,:") for w in words if not TIME.fullmatch(w)]
    if not rest:
        return len(timed) == 1 and not timed[0].isdigit()
    named = any(w in PAUSES for w in rest) or (
        bool(timed) and all(w in ("s", "sec", "secs", "second", "seconds") for w in rest)
    )
    return named and all(w in PAUSES or w in PAUSES_ABOUT for w in rest)


def is_silence(label: str) -> bool:
    """Whether the label of an interval says that nothing is said there.

    Examples
    --------
    >>> [is_silence(label) for label in ("", "sil", "<p:>", "(1.5)", "[long pause]", "pause", "...")]
    [True, True, True, True, True, False, False]
    """
    bare = label.strip().lower()
    if not bare or bare in LABELS:
        return True
    inside = _BRACKETED.fullmatch(bare)
    return inside is not None and is_pause(next(filter(None, inside.groups()), "?"))
