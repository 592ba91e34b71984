"""Why a person should look at an alignment, in words.

Exact search always finds the best path; these tell when even the best is not good.  Each threshold
lies outside what 80 correctly transcribed sentences of 8 speakers gave (the figure behind it), and
inside what the same recordings give with each other's transcripts.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from math import log
from statistics import stdev

from aligner.types import SILENCE_LABEL, Interval

LONGEST_PHONE = 0.8  # s; 0.45
CRAMMED_RUN = 6  # phones in a row at the model's shortest length; 5
CRAMMED_SHARE = 0.5  # of all phones at that length; 0.45
UNEVEN = 0.7  # standard deviation of the logarithm of the phones' lengths; 0.64
LEAST_SPEECH = 0.15  # share of an utterance; 0.67
ENOUGH = 10  # phones from which shares and deviations mean something


def suspicions(words: Sequence[Interval], phones: Sequence[Interval], shortest: float) -> tuple[str, ...]:
    """What looks wrong.

    Parameters
    ----------
    words, phones : sequence of Interval
        As the search left them, before boundaries are refined.
    shortest : float
        The least time that a phone of the model takes, in seconds.

    Returns
    -------
    tuple of str
        Reasons in a user's words; empty where nothing looks wrong.
    """
    reasons = []
    spoken = [p for p in phones if p.label != SILENCE_LABEL]
    longest = max(spoken, key=lambda p: p.duration)
    if longest.duration > LONGEST_PHONE:
        word = next((w.label for w in words if w.start <= longest.start < w.end), "")
        reasons.append(f"phone {longest.label} of {word!r} lasts {longest.duration:.2f} s at {longest.start:.2f} s")
    run = _longest_run(phones, shortest)
    if len(run) >= CRAMMED_RUN:
        reasons.append(f"{len(run)} phones in a row are as short as can be at {run[0].start:.2f} s: "
                       "the transcript may have words that are not said")
    crammed = sum(_crammed(p, shortest) for p in spoken) / len(spoken)
    if len(spoken) >= ENOUGH and crammed > CRAMMED_SHARE:
        reasons.append(f"{100 * crammed:.0f} % of the phones are as short as can be: too many words for the recording")
    if len(spoken) >= ENOUGH and stdev(log(p.duration) for p in spoken) > UNEVEN:
        reasons.append("the phones are very uneven in length: transcript and recording may differ")
    total = phones[-1].end - phones[0].start
    speech = sum(p.duration for p in spoken)
    if speech < LEAST_SPEECH * total:
        reasons.append(f"only {speech:.1f} of {total:.1f} s are speech: the transcript may lack words")
    return tuple(reasons)


def _longest_run(phones: Sequence[Interval], shortest: float) -> list[Interval]:
    """The longest row of phones that are as short as the model lets them be."""
    runs = [list(group) for crammed, group in
            groupby(phones, lambda p: _crammed(p, shortest)) if crammed]
    return max(runs, key=len, default=[])


def _crammed(phone: Interval, shortest: float) -> bool:
    return phone.label != SILENCE_LABEL and phone.duration < 1.5 * shortest
