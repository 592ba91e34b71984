"""Labels that were corrected by hand, as utterances with the phones, or the words, where they should be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from aligner.backends.calls import check_folder
from aligner.corpus import audio
from aligner.corpus.find import find
from aligner.corpus.labels import Labels, Source, find_labels, read_labels, read_marks
from aligner.corpus.naming import ByName
from aligner.corpus.results import read_run_record
from aligner.corpus.tier_names import TierNames
from aligner.corpus.walk import walk
from aligner.formats.base import RUN_RECORD
from aligner.formats.registry import GRID, output_path
from aligner.learn.truth import edges_of
from aligner.text.phones import SILENCE, fold
from aligner.types import DataError, Failure, Fault, Interval, Utterance

LONGEST_WHOLE = 15.0  # s; longer recordings are cut in pauses, so that an interview is many utterances
SHORTEST_PIECE = 8.0  # s of what such a recording is cut into
SHORTEST_CUT_PAUSE = 0.25  # s of a pause in which a recording may be cut
POINT_REACH = 0.03  # s between a boundary and a point that marks it, which people may set by hand


@dataclass(frozen=True, kw_only=True)
class CorrectedUtterance:
    """An utterance, and its phones and words as somebody corrected them.

    All times are in seconds from the start of the recording.
    """

    utterance: Utterance
    """The utterance: a recording, or a piece of it."""
    phones: tuple[Interval, ...] = ()
    """The phones; empty where only the words are labelled."""
    words: tuple[Interval, ...] = ()
    """The words; empty where they are known from a transcript."""
    marks: tuple[Interval, ...] | None = None
    """Stretches in which boundaries were corrected, some of which take no time; None where all were."""
    before: tuple[Interval, ...] = ()
    """The phones and words as a run left them, where its output is known."""

    @property
    def edges(self) -> np.ndarray:
        """Where phones begin and end, or else words: (N,) seconds, ascending."""
        return edges_of(self.phones or self.words)


def read_corrections(
    root: Path, corpus: Path | None, tiers: TierNames
) -> tuple[list[CorrectedUtterance], list[Failure]]:
    """Read a folder of corrected labels, and find their recordings.

    Parameters
    ----------
    root : Path
        The folder of TextGrids, or other labels, with phones, words or both.
    corpus : Path or None
        The folder of the recordings, at the same paths; unless given, they lie beside the labels, or in the
        corpus of the run in whose output these are.
    tiers : TierNames
        The tiers of phones and words.

    Returns
    -------
    list of CorrectedUtterance
        What can be learnt from.
    list of Failure
        What cannot, and why.

    Raises
    ------
    DataError
        If there is no such folder, or no labels in it.
    """
    if corpus is not None:
        check_folder(corpus)
    found: list[CorrectedUtterance] = []
    failures: list[Failure] = []
    sources = find_labels(root)
    run = _RunOutput.beside(root)
    recordings = _Recordings([corpus, root] if corpus is not None else [root, *_corpus_of_run(root)])
    for name, source in sources.items():
        try:
            recording = recordings.find(name)
            marked = read_marks(source)
            for speaker, labels in read_labels(source, tiers).items():
                marks = marked.get(speaker, marked.get(""))
                spoken = _Spoken(name, recording, speaker or recording.absolute().parent.name)
                found += [
                    replace(one, marks=_snapped(one, marks), before=run.before(name, speaker))
                    for one in _utterances(spoken, source, labels, recordings)
                ]
        except DataError as error:
            path = recordings.paths.get(name, source.path)
            failures.append(
                Failure.of(Utterance(id=name, audio=path, transcript="", file=name), error, Fault.LABELS)
            )
    return found, failures


def _corpus_of_run(root: Path) -> list[Path]:
    """Return the corpus of the run whose output, or whose corrections, a folder holds; nothing if none."""
    for folder in (root, root.absolute().parent):
        place = read_run_record(folder).get("corpus")
        if isinstance(place, str) and Path(place).is_dir():
            return [Path(place)]
    return []


class _RunOutput(NamedTuple):
    """What a run wrote, in whose output folder the corrections lie."""

    folder: Path | None
    """The output folder; None where there is none."""

    @classmethod
    def beside(cls, root: Path) -> _RunOutput:
        """The output in which the folder ``root`` of corrections lies."""
        folder = root.absolute().parent
        return cls(folder if (folder / RUN_RECORD).is_file() else None)

    def before(self, name: str, speaker: str) -> tuple[Interval, ...]:
        """Return the phones and words of a speaker in a recording as the run left them, if that is known."""
        if self.folder is None or not (path := output_path(self.folder, name, GRID)).is_file():
            return ()
        try:
            labels = read_labels(path)
        except DataError:
            return ()  # then they are aligned again
        own = labels.get(speaker)
        return () if own is None else (*(own.phones or ()), *(own.words or ()))


def _snapped(item: CorrectedUtterance, marks: Sequence[Interval] | None) -> tuple[Interval, ...] | None:
    """Return the marks of a tier, with each point on the boundary that it is nearest to; without those that
    are near none.
    """
    if marks is None:
        return None
    edges = item.edges
    found = [mark for mark in marks if mark.end > mark.start]
    for point in marks:
        if point.start == point.end and len(edges):
            nearest = float(edges[np.abs(edges - point.start).argmin()])
            if abs(nearest - point.start) <= POINT_REACH:
                found.append(replace(point, start=nearest, end=nearest))
    return tuple(found)


class _Recordings:
    """The recordings below some folders, the first of which counts most, with their transcripts.

    Attributes
    ----------
    paths : ByName of Path
        The recordings by their paths below their folder, without suffix.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = folders
        by_folder = {folder: _recordings_in(folder) for folder in folders}
        self._not_empty = [folder for folder, own in by_folder.items() if own]
        self._transcripts: ByName[str] | None = None
        paths: dict[str, Path] = {}
        for own in reversed(by_folder.values()):
            paths |= own
        self.paths = ByName(paths)

    def find(self, name: str) -> Path:
        """Return the recording of a name; DataError if there is none."""
        if name not in self.paths:
            raise DataError(
                name,
                f"there is no recording of this name in {' or '.join(map(str, self._folders))}",
                "put it beside the labels, or name its folder (--corpus)",
                fault=Fault.LABELS,
            )
        return self.paths[name]

    def transcript(self, name: str) -> str | None:
        """Return the transcript beside a recording, if there is one; all are read at the first call."""
        if self._transcripts is None:
            found: dict[str, str] = {}
            for folder in self._not_empty:
                for u in find(folder).utterances:
                    if u.id == u.file:
                        found.setdefault(u.file, u.transcript)
            self._transcripts = ByName(found)
        return self._transcripts.get(name)


def _recordings_in(folder: Path) -> dict[str, Path]:
    """Return the recordings below a folder by their paths without suffix; of two, the better format."""
    files = audio.recordings_of(walk(folder).files)
    return {
        p.relative_to(folder).with_suffix("").as_posix(): p
        for p in sorted(files, key=lambda p: -audio.SUFFIXES.index(p.suffix.lower()))
    }


class _Spoken(NamedTuple):
    """What one speaker says in a recording."""

    name: str
    recording: Path
    speaker: str

    def utterance(self, transcript: str) -> Utterance:
        """Return the whole recording as an utterance."""
        return Utterance(
            id=self.name,
            audio=self.recording,
            transcript=transcript,
            speaker=self.speaker,
            file=self.name,
        )

    def piece(self, number: int, piece: Piece) -> Utterance:
        """Return a piece of the recording as an utterance."""
        return replace(
            self.utterance(piece.transcript), id=f"{self.name}#{number}", start=piece.start, end=piece.end
        )


def _utterances(
    spoken: _Spoken, source: Source, labels: Labels, recordings: _Recordings
) -> Iterator[CorrectedUtterance]:
    """Yield what one speaker says in a recording, in pieces where it is long."""
    phones = labels.phones or ()
    if not phones and not labels.words:
        raise DataError(
            source.path,
            "its tiers of phones and words are empty",
            "correct one of them, or name them (--phones, --words)",
            fault=Fault.LABELS,
        )
    if labels.words is None:
        transcript = recordings.transcript(spoken.name)
        if transcript is None:
            raise DataError(
                source.path,
                "it has no words, and there is no transcript beside the recording",
                "add either",
                fault=Fault.LABELS,
            )
        yield CorrectedUtterance(utterance=spoken.utterance(transcript), phones=phones)
        return
    words = [w for w in labels.words if fold(w.label) != SILENCE]
    if not words:
        raise DataError(source.path, "its tier of words is empty", "write what is said", fault=Fault.LABELS)
    pieces = cut_in_pauses(words, labels.end)
    for number, piece in enumerate(pieces, 1):
        utterance = spoken.utterance(piece.transcript) if len(pieces) == 1 else spoken.piece(number, piece)
        own = tuple(p for p in phones if piece.start <= p.start < piece.end)
        yield CorrectedUtterance(utterance=utterance, phones=own, words=tuple(piece.words))


class Piece(NamedTuple):
    """A piece that a recording is cut into."""

    start: float
    end: float
    words: list[Interval]

    @property
    def transcript(self) -> str:
        """The words of the piece, joined to a transcript."""
        return " ".join(w.label for w in self.words)


def cut_in_pauses(words: Sequence[Interval], end: float) -> list[Piece]:
    """Cut a recording that ends at ``end`` into pieces, in the middles of pauses between words."""
    if words[-1].end - words[0].start <= LONGEST_WHOLE:
        return [Piece(0.0, end, list(words))]
    pieces = []
    start, own = 0.0, [words[0]]
    for a, b in pairwise(words):
        if b.start - a.end >= SHORTEST_CUT_PAUSE and a.end - own[0].start >= SHORTEST_PIECE:
            cut = (a.end + b.start) / 2
            pieces.append(Piece(start, cut, own))
            start, own = cut, []
        own.append(b)
    return [*pieces, Piece(start, end, own)]
