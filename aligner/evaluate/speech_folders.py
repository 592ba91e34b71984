"""Speech figures of two folders of recordings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aligner.corpus.audio import SUFFIXES_SAID, read, recordings_of, shape_of
from aligner.corpus.labels import find_references, read_reference
from aligner.corpus.naming import ByName
from aligner.corpus.walk import walk
from aligner.evaluate.speech import SpeechScore, compare_recordings, pooled
from aligner.evaluate.vocoder import DEFAULT, SpeechSettings, require_libraries
from aligner.types import DataError, Interval, Utterance


@dataclass(frozen=True, kw_only=True)
class SpeechReport:
    """Metrics of the recordings that two folders have in common."""

    references: int
    """Recordings of the reference folder, among them those that are in no figure."""
    files: dict[str, SpeechScore]
    """By relative path without suffix."""
    total: SpeechScore | None
    """Over all ``files``; None where there are none."""
    rates: tuple[int, ...]
    """The sample rates that they were compared at, in Hz, each once; `mel_alpha` goes with them."""
    resampled: tuple[str, ...]
    """The ``files`` whose two recordings differ in rate.  Their MCD is of the resampler's filter too: up to
    2.5 dB where the other recording reaches up to half its rate."""
    problems: tuple[DataError, ...]
    """Recordings without a partner, and those that could not be read or matched."""


def compare_folders(
    reference: Path,
    estimate: Path,
    settings: SpeechSettings = DEFAULT,
    alignments: tuple[Path, Path] | None = None,
    done: Callable[[str], None] | None = None,
) -> SpeechReport:
    """Compare the recordings of two folders that have the same relative path without suffix.

    Two recordings of different rates are both brought to the lower one, which is not free (see
    `SpeechReport`); several channels are mixed.

    Parameters
    ----------
    reference, estimate : Path
        Folders of a person's and of synthesised recordings.
    settings : SpeechSettings
    alignments : (Path, Path), optional
        Folders of TextGrids (tier ``phones``) or .phn files of the two, of the same relative paths:
        frames are then matched by them.
    done : callable, optional
        Called with the name of each file when it is done.

    Raises
    ------
    DataError
        If a folder is not there or holds no recording (or no alignment).
    ModelError
        If pyworld or pysptk is not installed.
    """
    require_libraries()
    (recorded, twice), (synthesised, twice_too) = _recordings(reference), _recordings(estimate)
    sides, problems = (recorded, synthesised), [*twice, *twice_too]
    labels = None if alignments is None else [find_references(folder) for folder in alignments]
    problems += _unpaired(sides[0], sides[1], estimate)
    files: dict[str, SpeechScore] = {}
    rates: dict[str, tuple[int, int]] = {}
    for name in [n for n in sides[0] if n in sides[1]]:
        try:
            pair = sides[0][name], sides[1][name]
            rates[name] = _native_rate(pair[0]), _native_rate(pair[1])
            phones = None if labels is None else (_phones(labels[0], name), _phones(labels[1], name))
            files[name] = _compare_files(pair, min(rates[name]), settings, phones)
        except DataError as error:
            problems.append(error)
        if done:
            done(name)
    return SpeechReport(
        references=len(sides[0]),
        files=files,
        total=pooled(files.values()),
        rates=tuple(sorted({min(rates[name]) for name in files})),
        resampled=tuple(name for name in files if rates[name][0] != rates[name][1]),
        problems=tuple(problems),
    )


def _unpaired(reference: Mapping[str, Path], estimate: Mapping[str, Path], folder: Path) -> list[DataError]:
    """Problems of recordings that only one side has; ``folder`` is where the others are missing."""
    return [
        DataError(folder / name, "there is no synthesised recording of this name", "synthesise it")
        for name in reference
        if name not in estimate
    ] + [
        DataError(path, "it has no reference recording", "check its name and place")
        for name, path in estimate.items()
        if name not in reference
    ]


def _compare_files(
    pair: tuple[Path, Path],
    rate: int,
    settings: SpeechSettings,
    phones: tuple[Sequence[Interval], Sequence[Interval]] | None,
) -> SpeechScore:
    """The score of a reference file and an estimate, both read at ``rate``."""
    reference, estimate = (_wave(path, rate) for path in pair)
    names = str(pair[0]), str(pair[1])
    return compare_recordings(reference, estimate, rate, settings, phones=phones, names=names)


def _recordings(folder: Path) -> tuple[ByName[Path], list[DataError]]:
    """Recordings by their path below ``folder`` without suffix, and a problem for each second of one name."""
    if not folder.is_dir():
        raise DataError(folder, "there is no such folder", "name a folder of recordings")
    found: dict[str, Path] = {}
    problems: list[DataError] = []
    for path in recordings_of(walk(folder).files):
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in found:
            problems.append(
                DataError(path, f"{found[name].name} has the same name and is taken", "remove one of them")
            )
        found.setdefault(name, path)
    if not found:
        raise DataError(folder, "there is no recording in this folder", SUFFIXES_SAID)
    return ByName(found), problems


def _phones(found: Mapping[str, Path], name: str) -> list[Interval]:
    if name not in found:
        raise DataError(name, "it has no alignment", "align it, or match by warping")
    return read_reference(found[name])[0]


def _wave(path: Path, rate: int) -> np.ndarray:
    return read(Utterance(str(path), path, "", file=str(path)), rate).wave


def _native_rate(path: Path) -> int:
    return shape_of(path).rate
