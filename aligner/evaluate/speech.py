"""How far a synthesised recording is from the recording of a person who says the same.

The rules: WORLD analyses both every 5 ms (`aligner.evaluate.vocoder`).  Frames are matched by exact dynamic
time warping, by phone alignments, or one to one (`SpeechSettings`), and every figure is over the matched
pairs, pauses included unless ``silence_db`` says otherwise.  What cannot be computed is None, never 0.  Every
function takes (reference, estimate) in this order.

References: Kubichek (1993), mel-cepstral distance measure for objective speech quality assessment;
Chu & Alwan (2009), reducing F0 frame error of F0 tracking algorithms under noisy conditions with an
unvoiced/voiced classification frontend; Morise, Yokomori & Ozawa (2016), WORLD.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add

import numpy as np

from aligner.evaluate.pitch import F0Errors, f0_errors
from aligner.evaluate.vocoder import DEFAULT, SpeechSettings, World, analyse, resynthesise
from aligner.evaluate.warping import aligned_path, check_path, check_sequences, dtw_path, linear_path
from aligner.types import Interval

DECIBELS = 10 / math.log(10) * math.sqrt(2)  # a distance of mel-cepstra -> dB (Kubichek 1993)


@dataclass(frozen=True, kw_only=True)
class SpeechScore:
    """Metrics of one pair of recordings, or pooled over many."""

    frames: int
    """Number of pairs of frames that are counted."""
    reference_frames: int
    """Frames of the reference; times the hop they are its duration."""
    estimate_frames: int
    """Frames of the estimate."""
    mcd: float
    """Mel-cepstral distortion in dB; over many files the mean of all pairs."""
    floor: float | None
    """MCD of the reference and its own WORLD resynthesis, matched in the same way: what the best vocoder of
    this kind gets.  None where it was not asked for."""
    f0: F0Errors
    """Errors of F0 and voicing."""


def mel_cepstrum_distortion(reference: np.ndarray, estimate: np.ndarray, path: np.ndarray) -> float:
    """Mel-cepstral distortion in dB (Kubichek 1993): 10 / ln 10 * sqrt(2 * sum of squared differences).

    Parameters
    ----------
    reference, estimate : ndarray
        (T, D + 1) and (U, D + 1) mel-cepstra; c0 is not counted.
    path : ndarray
        (P, 2) matched frames; the result is the mean over them.

    Examples
    --------
    >>> c = np.zeros((3, 25))
    >>> round(mel_cepstrum_distortion(c, c + np.eye(25)[1], linear_path(3, 3)), 4)  # c1 is 1 higher
    6.1419
    """
    check_sequences(reference, estimate)
    check_path(path)
    difference = reference[path[:, 0], 1:] - estimate[path[:, 1], 1:]
    return DECIBELS * float(np.sqrt((difference**2).sum(1)).mean())


def compare_recordings(
    reference: np.ndarray,
    estimate: np.ndarray,
    rate: int,
    settings: SpeechSettings = DEFAULT,
    *,
    phones: tuple[Sequence[Interval], Sequence[Interval]] | None = None,
    names: tuple[str, str] = ("the reference", "the estimate"),
) -> SpeechScore:
    """Compare two recordings of the same sentence.

    Parameters
    ----------
    reference, estimate : ndarray
        (N,) and (M,) samples, full scale 1, both at ``rate`` Hz.
    rate : int
    settings : SpeechSettings
    phones : (sequence of Interval, sequence of Interval), optional
        Alignments of the two: frames are then matched by `aligned_path`.
    names : (str, str)
        What errors call the two.

    Raises
    ------
    DataError, ModelError
        See `analyse` and `aligned_path`.
    """
    a, b = analyse(reference, rate, settings, names[0]), analyse(estimate, rate, settings, names[1])
    if phones is None:
        path = _path(a, b, settings)
    else:
        path = aligned_path(*phones, (len(a.f0), len(b.f0)), settings.hop, names[1])
        settings = replace(settings, warp="none")  # for the floor: a copy has the times of its original
    path = _counted(a, b, path, settings)
    floor = copy_synthesis_floor(a, settings) if settings.floor else None
    return SpeechScore(
        frames=len(path),
        reference_frames=len(a.f0),
        estimate_frames=len(b.f0),
        mcd=mel_cepstrum_distortion(a.cepstra, b.cepstra, path),
        floor=floor,
        f0=f0_errors(a.f0, b.f0, path),
    )


def copy_synthesis_floor(world: World, settings: SpeechSettings = DEFAULT) -> float:
    """MCD in dB between a recording and its WORLD resynthesis, both analysed with ``settings``."""
    copy = analyse(resynthesise(world, settings.hop), world.rate, settings, "the resynthesis")
    path = _counted(world, copy, _path(world, copy, settings), settings)
    return mel_cepstrum_distortion(world.cepstra, copy.cepstra, path)


def _path(reference: World, estimate: World, settings: SpeechSettings) -> np.ndarray:
    if settings.warp == "none":
        return linear_path(len(reference.f0), len(estimate.f0))
    return dtw_path(reference.cepstra[:, 1:], estimate.cepstra[:, 1:])


def _counted(reference: World, estimate: World, path: np.ndarray, settings: SpeechSettings) -> np.ndarray:
    """The pairs that count; never none, for every path goes through a loudest frame."""
    if settings.silence_db is None:
        return path
    louder = np.maximum(reference.level[path[:, 0]], estimate.level[path[:, 1]])
    return np.asarray(path[louder >= -settings.silence_db])


def pooled(scores: Iterable[SpeechScore]) -> SpeechScore | None:
    """The score of several files: means weighted by frames, F0 errors added; None where there are no files.

    The floor is over the files that have one, weighted by the frames of their references.
    """
    rows = list(scores)
    if not rows:
        return None
    frames = [s.frames for s in rows]
    floored = [s for s in rows if s.floor is not None]
    weights = [s.reference_frames for s in floored]
    floor = float(np.average([s.floor for s in floored], weights=weights)) if floored else None
    mcd = float(np.average([s.mcd for s in rows], weights=frames))
    return SpeechScore(
        frames=sum(frames),
        reference_frames=sum(s.reference_frames for s in rows),
        estimate_frames=sum(s.estimate_frames for s in rows),
        mcd=mcd,
        floor=floor,
        f0=reduce(add, (s.f0 for s in rows)),
    )
