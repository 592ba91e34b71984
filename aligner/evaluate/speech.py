"""How far a synthesised recording is from the recording of a person who says the same.

The rules: WORLD (Morise et al. 2016) analyses both every 5 ms: F0 by DIO and StoneMask, the spectral
envelope by CheapTrick; a frame is voiced where DIO finds an F0 and D4C's "Love Train" does not call it
unvoiced (that comes nearer to Praat than Harvest, which voices most consonants and pauses).  pysptk's
``sp2mc`` turns the envelope into mel-cepstra (Fukada et al. 1992; Tokuda et al. 1994) of order 24.
Frames are matched by exact dynamic time warping, by phone alignments, or one to one (`SpeechSettings`),
and every figure is over the matched pairs, pauses included unless ``silence_db`` says otherwise.  What
cannot be computed is None, never 0.  Every function takes (reference, estimate) in this order.

References: Kubichek (1993), mel-cepstral distance measure for objective speech quality assessment;
Chu & Alwan (2009), reducing F0 frame error of F0 tracking algorithms under noisy conditions with an
unvoiced/voiced classification frontend; Morise, Yokomori & Ozawa (2016), WORLD.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass, replace
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from aligner.corpus.audio import SUFFIXES, read
from aligner.corpus.labels import find_references, read_reference
from aligner.evaluate.warping import HOP, aligned_path, check_path, check_sequences, dtw_path, linear_path
from aligner.types import DataError, Interval, ModelError, Utterance

DECIBELS = 10 / math.log(10) * math.sqrt(2)  # a distance of mel-cepstra -> dB (Kubichek 1993)
GROSS = 0.2  # of the reference's F0; what is further off is a gross pitch error (Chu & Alwan 2009)
LOWEST_RATE = 16_000  # Hz; D4C reads the spectrum up to 7.9 kHz, and beyond its end if there is none
SHORTEST = 0.1  # s; some twenty frames, of which WORLD's windows reach over eight at its lowest F0
UNVOICED = 0.5  # aperiodicity in the lowest bin: Love Train sets it to 1 where there is no voice


@dataclass(frozen=True)
class SpeechSettings:
    """What is measured and how.

    Attributes
    ----------
    order : int
        Of the mel-cepstra; c0, the loudness, is computed too but never scored.
    hop : float
        Seconds between frames.
    f0_floor, f0_ceil : float
        Range of F0 in Hz; these are WORLD's own.
    warp : str
        ``dtw``, or ``none``: frame t with frame t.  Without effect where alignments say what is matched.
    silence_db : float or None
        Pairs whose frames are both so many dB below the loudest frame of their recording are not counted;
        None counts all pairs.
    floor : bool
        Whether to compute the copy-synthesis floor.
    """

    order: int = 24
    hop: float = HOP
    f0_floor: float = 71.0
    f0_ceil: float = 800.0
    warp: str = "dtw"
    silence_db: float | None = None
    floor: bool = True

    def __post_init__(self) -> None:
        if self.warp not in ("dtw", "none"):
            raise ValueError(f"warp is 'dtw' or 'none', not {self.warp!r}")
        for name in ("order", "hop", "silence_db"):
            if (value := getattr(self, name)) is not None and value <= 0:
                raise ValueError(f"{name} is above 0, not {value:g}")


DEFAULT = SpeechSettings()


@dataclass(frozen=True)
class World:
    """A recording as WORLD sees it, in T frames; frame t stands for the time t * hop.

    Attributes
    ----------
    f0 : ndarray
        (T,) in Hz; 0 where unvoiced.
    envelope, aperiodicity : ndarray
        (T, K) power, and its share that is noise, in K bins from 0 Hz to half of ``rate``.
    cepstra : ndarray
        (T, order + 1) mel-cepstra.
    rate : int
        Samples per second.
    """

    f0: np.ndarray
    envelope: np.ndarray
    aperiodicity: np.ndarray
    cepstra: np.ndarray
    rate: int

    @property
    def level(self) -> np.ndarray:
        """(T,) Power of each frame in dB below the loudest frame's; 0 at most."""
        power = self.envelope.mean(1)
        return np.asarray(10 * np.log10(power / power.max()))


@dataclass(frozen=True)
class F0Errors:
    """Counts and sums over matched frames; ``+`` pools them.

    Attributes
    ----------
    frames, voiced : int
        Pairs, and pairs voiced in both.
    voicing, gross : int
        Pairs voiced in one only, and pairs voiced in both that differ by more than 20 % of the reference.
    squared_hz, squared_cents : float
        Sums of squared differences over the pairs voiced in both, gross ones included.

    Examples
    --------
    >>> errors = f0_errors(np.array([100.0, 100, 0, 100]), np.array([103.0, 200, 0, 0]), linear_path(4, 4))
    >>> errors.vuv, errors.gpe, errors.ffe
    (25.0, 50.0, 50.0)
    """

    frames: int
    voiced: int
    voicing: int
    gross: int
    squared_hz: float
    squared_cents: float

    def __add__(self, other: F0Errors) -> F0Errors:
        return F0Errors(*map(add, astuple(self), astuple(other)))

    @property
    def rmse_hz(self) -> float | None:
        """Root mean squared error in Hz; None where no pair is voiced in both."""
        return math.sqrt(self.squared_hz / self.voiced) if self.voiced else None

    @property
    def rmse_cents(self) -> float | None:
        """Root mean squared error in cents; None where no pair is voiced in both."""
        return math.sqrt(self.squared_cents / self.voiced) if self.voiced else None

    @property
    def vuv(self) -> float:
        """Voicing decision error: percent of all pairs that are voiced in one only."""
        return 100 * self.voicing / self.frames

    @property
    def gpe(self) -> float | None:
        """Gross pitch error: percent of the pairs voiced in both; None where there are none."""
        return 100 * self.gross / self.voiced if self.voiced else None

    @property
    def ffe(self) -> float:
        """F0 frame error: percent of all pairs with a voicing or a gross pitch error (Chu & Alwan 2009)."""
        return 100 * (self.voicing + self.gross) / self.frames


@dataclass(frozen=True)
class SpeechScore:
    """Figures of one pair of recordings, or of many.

    Attributes
    ----------
    frames : int
        Pairs that are counted.
    reference_frames, estimate_frames : int
        Of the recordings; times the hop they are the durations.
    mcd : float
        Mel-cepstral distortion in dB; over many files the mean of all pairs.
    floor : float or None
        MCD of the reference and its own WORLD resynthesis, matched in the same way: what the best vocoder
        of this kind gets.  None where it was not asked for.
    f0 : F0Errors
    """

    frames: int
    reference_frames: int
    estimate_frames: int
    mcd: float
    floor: float | None
    f0: F0Errors


@dataclass(frozen=True)
class SpeechReport:
    """Figures of two folders.

    Attributes
    ----------
    references : int
        Recordings of the reference folder, among them those that are in no figure.
    files : dict of str to SpeechScore
        By relative path without suffix.
    total : SpeechScore or None
        Over all ``files``; None where there are none.
    rates : tuple of int
        The sample rates that they were compared at, in Hz, each once; `mel_alpha` goes with them.
    resampled : tuple of str
        The ``files`` whose two recordings differ in rate.  Their MCD is of the resampler's filter too: up
        to 2.5 dB where the other recording reaches up to half its rate.
    problems : tuple of DataError
        Recordings without a partner, and those that could not be read or matched.
    """

    references: int
    files: dict[str, SpeechScore]
    total: SpeechScore | None
    rates: tuple[int, ...]
    resampled: tuple[str, ...]
    problems: tuple[DataError, ...]


def _libraries() -> tuple[Any, Any]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # both import pkg_resources, which warns that it will go
            import pysptk
            import pyworld
    except ImportError as error:
        raise ModelError(
            "speech metrics",
            f"pyworld and pysptk cannot be imported ({error})",
            "pip install 'aligner[metrics]'",
        ) from error
    return pyworld, pysptk


def mel_alpha(rate: int) -> float:
    """The all-pass constant that is nearest to the mel scale at ``rate`` Hz, by pysptk's ``mcepalpha``.

    0.410 at 16 kHz, 0.455 at 22.05 kHz, 0.466 at 24 kHz, 0.544 at 44.1 kHz, 0.554 at 48 kHz.
    """
    return round(float(_libraries()[1].util.mcepalpha(rate)), 3)


def mel_cepstra(envelope: np.ndarray, rate: int, order: int = DEFAULT.order) -> np.ndarray:
    """Mel-cepstra (T, order + 1) of power spectra (T, K) of ``rate`` Hz; c0 is the mean log amplitude."""
    return np.asarray(_libraries()[1].sp2mc(envelope, order, mel_alpha(rate)))


def analyse(
    wave: np.ndarray, rate: int, settings: SpeechSettings = DEFAULT, name: str = "the recording"
) -> World:
    """F0, envelope, aperiodicity and mel-cepstra of a recording.

    Parameters
    ----------
    wave : ndarray
        (N,) or (N, channels), full scale 1.
    rate : int
        Samples per second, 16000 at least.
    settings : SpeechSettings
    name : str
        What an error calls it.

    Raises
    ------
    DataError
        If the recording is empty, silent throughout, shorter than 0.1 s, below 16 kHz or holds NaN.
    ModelError
        If pyworld or pysptk is not installed.
    """
    world, _ = _libraries()
    x = read(Utterance(name, wave, "", rate=rate), rate).wave.astype(np.float64)
    if rate < LOWEST_RATE:
        raise DataError(
            name, f"{rate} Hz are too few for WORLD", f"give recordings of {LOWEST_RATE} Hz or more"
        )
    if len(x) < SHORTEST * rate:
        raise DataError(
            name,
            f"the recording of {len(x) / rate:.3f} s is too short to measure",
            f"give {SHORTEST:g} s or more",
        )
    f0, times = world.dio(x, rate, settings.f0_floor, settings.f0_ceil, frame_period=1000 * settings.hop)
    f0 = world.stonemask(x, f0, times, rate)
    aperiodicity = world.d4c(x, f0, times, rate)
    f0 = np.where(aperiodicity[:, 0] < UNVOICED, f0, 0.0)
    envelope = world.cheaptrick(x, f0, times, rate)
    return World(f0, envelope, aperiodicity, mel_cepstra(envelope, rate, settings.order), rate)


def resynthesise(world: World, hop: float = DEFAULT.hop) -> np.ndarray:
    """(N,) What WORLD makes of its own analysis: the samples of a copy."""
    return np.asarray(
        _libraries()[0].synthesize(world.f0, world.envelope, world.aperiodicity, world.rate, 1000 * hop)
    )


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


def f0_errors(reference: np.ndarray, estimate: np.ndarray, path: np.ndarray) -> F0Errors:
    """Errors of F0 (T,) and (U,) in Hz, 0 where unvoiced, over matched frames (P, 2); see `F0Errors`."""
    for name, f0 in (("reference", reference), ("estimate", estimate)):
        if f0.ndim != 1 or not np.isfinite(f0).all() or (f0 < 0).any():
            raise ValueError(f"the {name}'s F0 of shape {f0.shape} is not (frames,) of Hz, 0 where unvoiced")
    check_path(path)
    a, b = reference[path[:, 0]], estimate[path[:, 1]]
    both = (a > 0) & (b > 0)
    voicing = int(((a > 0) != (b > 0)).sum())
    a, b = a[both], b[both]
    gross = int((np.abs(b - a) > GROSS * a).sum())
    return F0Errors(
        len(path),
        len(a),
        voicing,
        gross,
        float(((b - a) ** 2).sum()),
        float(((1200 * np.log2(b / a)) ** 2).sum()),
    )


def compare(
    reference: np.ndarray,
    estimate: np.ndarray,
    rate: int,
    settings: SpeechSettings = DEFAULT,
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
    path = _heard(a, b, path, settings)
    floor = copy_synthesis_floor(a, settings) if settings.floor else None
    return SpeechScore(
        len(path),
        len(a.f0),
        len(b.f0),
        mel_cepstrum_distortion(a.cepstra, b.cepstra, path),
        floor,
        f0_errors(a.f0, b.f0, path),
    )


def copy_synthesis_floor(world: World, settings: SpeechSettings = DEFAULT) -> float:
    """MCD in dB between a recording and its WORLD resynthesis, both analysed with ``settings``."""
    copy = analyse(resynthesise(world, settings.hop), world.rate, settings, "the resynthesis")
    path = _heard(world, copy, _path(world, copy, settings), settings)
    return mel_cepstrum_distortion(world.cepstra, copy.cepstra, path)


def _path(reference: World, estimate: World, settings: SpeechSettings) -> np.ndarray:
    if settings.warp == "none":
        return linear_path(len(reference.f0), len(estimate.f0))
    return dtw_path(reference.cepstra[:, 1:], estimate.cepstra[:, 1:])


def _heard(reference: World, estimate: World, path: np.ndarray, settings: SpeechSettings) -> np.ndarray:
    """The pairs that count; never none, for every path goes through a loudest frame."""
    if settings.silence_db is None:
        return path
    louder = np.maximum(reference.level[path[:, 0]], estimate.level[path[:, 1]])
    return np.asarray(path[louder >= -settings.silence_db])


def total(scores: Iterable[SpeechScore]) -> SpeechScore | None:
    """Over several files: means weighted by frames, F0 errors pooled; None where there are no files.

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
        sum(frames),
        sum(s.reference_frames for s in rows),
        sum(s.estimate_frames for s in rows),
        mcd,
        floor,
        reduce(add, (s.f0 for s in rows)),
    )


def compare_folders(
    reference: Path,
    synthesised: Path,
    settings: SpeechSettings = DEFAULT,
    alignments: tuple[Path, Path] | None = None,
    done: Callable[[str], None] | None = None,
) -> SpeechReport:
    """Compare the recordings of two folders that have the same relative path without suffix.

    Two recordings of different rates are both brought to the lower one, which is not free (see
    `SpeechReport`); several channels are mixed.

    Parameters
    ----------
    reference, synthesised : Path
        Folders.
    settings : SpeechSettings
    alignments : (Path, Path), optional
        Folders of TextGrids (tier ``phones``) or .phn files of the two, of the same relative paths:
        frames are then matched by them.
    done : callable, optional
        Told the name of each file when it is done.

    Raises
    ------
    DataError
        If a folder is not there or holds no recording (or no alignment).
    ModelError
        If pyworld or pysptk is not installed.
    """
    _libraries()
    problems: list[DataError] = []
    sides = [_recordings(folder, problems) for folder in (reference, synthesised)]
    labels = None if alignments is None else [find_references(folder) for folder in alignments]
    problems += [
        DataError(synthesised / n, "there is no synthesised recording of this name", "synthesise it")
        for n in sides[0]
        if n not in sides[1]
    ]
    problems += [
        DataError(path, "it has no reference recording", "check its name and place")
        for n, path in sides[1].items()
        if n not in sides[0]
    ]
    files: dict[str, SpeechScore] = {}
    lower: set[int] = set()
    resampled = []
    for name in [n for n in sides[0] if n in sides[1]]:
        try:
            rates = [_native_rate(side[name]) for side in sides]
            waves = [_wave(side[name], min(rates)) for side in sides]
            phones = None if labels is None else (_phones(labels[0], name), _phones(labels[1], name))
            files[name] = compare(
                waves[0], waves[1], min(rates), settings, phones, (str(sides[0][name]), str(sides[1][name]))
            )
            lower.add(min(rates))
            resampled += [name] if rates[0] != rates[1] else []
        except DataError as error:
            problems.append(error)
        if done:
            done(name)
    return SpeechReport(
        len(sides[0]), files, total(files.values()), tuple(sorted(lower)), tuple(resampled), tuple(problems)
    )


def _recordings(folder: Path, problems: list[DataError]) -> dict[str, Path]:
    """Recordings by their path below ``folder`` without suffix; the second of one name is a problem."""
    if not folder.is_dir():
        raise DataError(folder, "there is no such folder", "name a folder of recordings")
    found: dict[str, Path] = {}
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file()):
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in found:
            problems.append(
                DataError(path, f"{found[name].name} has the same name and is taken", "remove one of them")
            )
        found.setdefault(name, path)
    if not found:
        raise DataError(
            folder, "there is no recording in this folder", f"recordings end in {', '.join(SUFFIXES)}"
        )
    return found


def _phones(found: dict[str, Path], name: str) -> list[Interval]:
    if name not in found:
        raise DataError(name, "it has no alignment", "align it, or match by warping")
    return read_reference(found[name])[0]


def _wave(path: Path, rate: int) -> np.ndarray:
    return read(Utterance(str(path), path, "", file=str(path)), rate).wave


def _native_rate(path: Path) -> int:
    try:
        return int(soundfile.info(str(path)).samplerate)
    except (soundfile.LibsndfileError, OSError) as error:
        raise DataError(path, "the recording cannot be read", "it is damaged, empty, or not audio") from error
