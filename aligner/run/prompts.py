"""Which recording with labels is read again in which others: what is known of a transfer before it begins."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from aligner.corpus.find import Corpus, find_recordings
from aligner.corpus.labels import Source, find_labels, read_labels
from aligner.corpus.naming import ByName, caseless
from aligner.corpus.tier_names import TierNames
from aligner.formats import registry
from aligner.run.plan import Job, check_place, check_writable, planned
from aligner.text.phones import kind
from aligner.types import SILENCE_LABEL, DataError, Failure, Fault, Interval, Utterance

MOST_KEPT = 64  # references that are remembered: many speakers read one prompt


class Prompt(NamedTuple):
    """A recording whose labels are known."""

    recording: Path
    """The file of the recording."""

    labels: Source
    """Where its labels are."""

    names: TierNames
    """The names of the tiers of words and phones."""

    changed: tuple[float, ...]
    """When the recording and the labels were changed last, in seconds."""


def prompt_of(recording: Path, labels: Source, names: TierNames) -> Prompt:
    """A recording and its labels as they are now.

    Raises
    ------
    DataError
        If one is not there.
    """
    for needed in (recording, labels.path):
        _check_file(needed)
    if labels.path.suffix.lower() not in registry.readers():
        raise DataError(
            labels.path,
            "it is no file of labels",
            f"the second file ends in {', '.join(registry.readers())}",
            fault=Fault.LABELS,
        )
    return Prompt(recording, labels, names, tuple(p.stat().st_mtime for p in (recording, labels.path)))


def prompts(folder: Path, names: TierNames) -> ByName[Prompt]:
    """The recordings of a folder that have labels (TextGrid, .phn, ...) beside them, by their path in it.

    Raises
    ------
    DataError
        If there is no such folder, or nothing of the kind in it.
    """
    recordings, labels = find_recordings(folder), find_labels(folder)
    found = {
        name: prompt_of(path, labels[name], names) for name, path in recordings.items() if name in labels
    }
    if not found:
        raise DataError(
            folder,
            "no recording in this folder has labels of the same name",
            "put NAME.TextGrid beside NAME.wav",
            fault=Fault.LABELS,
        )
    return ByName(found)


def readings(
    targets: Path, known: Mapping[str, Prompt]
) -> tuple[list[Utterance], list[Failure], dict[str, Prompt]]:
    """Every recording of a folder as an utterance that says what its prompt says.

    Its prompt is the one of the same path, or else of the same name.

    Returns
    -------
    utterances : list of Utterance
    failures : list of Failure
        Recordings without a prompt, or with several.
    prompt : dict of str to Prompt
        By the utterance's file.
    """
    by_name = defaultdict(list)
    for name in known:
        by_name[caseless(Path(name).name)].append(name)
    utterances, failures, chosen = [], [], {}
    for name, path in find_recordings(targets).items():
        candidates = [name] if name in known else by_name[caseless(Path(name).name)]
        reading = Utterance(name, path, "", speaker=path.absolute().parent.name, file=name)
        try:
            chosen[name] = _only(known, candidates)
            utterances.append(reading_of(reading, chosen[name]))
        except DataError as error:
            failures.append(Failure.of(reading, error, Fault.LABELS))
    return utterances, failures, chosen


def _check_file(path: Path) -> None:
    if not path.is_file():
        rule = "it is a folder, not a file" if path.is_dir() else "there is no such file"
        raise DataError(
            path,
            rule,
            "name a recording, its labels and another recording, or three folders",
            fault=Fault.CALL,
        )


def _only(known: Mapping[str, Prompt], candidates: Sequence[str]) -> Prompt:
    if not candidates:
        raise DataError(
            "reference",
            "there is no reference of this name",
            "add its recording and labels",
            fault=Fault.LABELS,
        )
    if len(candidates) > 1:
        raise DataError(
            "reference",
            f"there are {len(candidates)} references of this name, {candidates[0]} and "
            f"{candidates[1]} among them",
            "lay both folders out alike, or leave one of each name",
            fault=Fault.LABELS,
        )
    return known[candidates[0]]


def reading_of(reading: Utterance, prompt: Prompt) -> Utterance:
    """An utterance that says what its prompt says."""
    return Utterance(
        reading.id,
        reading.audio,
        " ".join(prompt_labels(prompt)[1]),
        speaker=reading.speaker,
        file=reading.file,
        source=prompt.labels.path,
    )


@lru_cache(maxsize=MOST_KEPT)
def prompt_labels(prompt: Prompt) -> tuple[list[tuple[Interval, int]], list[str]]:
    """The phones of a prompt, each with the number of its word, and its words.

    Where only words or only phones are labelled, they stand for both.
    """
    of = read_labels(prompt.labels, prompt.names)
    if len(of) > 1:
        raise DataError(
            prompt.labels.path,
            f"it has the labels of {len(of)} speakers",
            "keep those of one",
            fault=Fault.LABELS,
        )
    labels = next(iter(of.values()))
    tier = labels.phones if labels.phones is not None else labels.words
    phones = [
        Interval(i.start, i.end, SILENCE_LABEL if kind(i.label) == "silence" else i.label) for i in tier or ()
    ]
    words = [w for w in labels.words or phones if kind(w.label) != "silence"]
    if not words or all(p.label == SILENCE_LABEL for p in phones):
        raise DataError(
            prompt.labels.path,
            "it has no phones or words with labels",
            "label what is said",
            fault=Fault.LABELS,
        )
    return [(p, _word_at((p.start + p.end) / 2, words)) for p in phones], [w.label for w in words]


def _word_at(time: float, words: Sequence[Interval]) -> int:
    """The word that a time lies in, or the nearest one."""
    return min(range(len(words)), key=lambda k: max(words[k].start - time, time - words[k].end, 0.0))


def plan_transfer(
    references: Path,
    targets: Path,
    out: Path,
    names: TierNames,
    *,
    kinds: Sequence[str] = (),
    existing: str = "skip",
) -> tuple[Job, Mapping[str, Prompt]]:
    """Check a run over a folder of readings (see `readings`); the run, and the prompt of each reading.

    Raises
    ------
    DataError
        If a folder is missing or has nothing in it, or nothing can be written to ``out``.
    """
    utterances, failures, chosen = readings(targets, prompts(references, names))
    check_place(targets, out)
    corpus = Corpus(tuple(utterances), tuple(failures))
    return planned(corpus, targets, out, kinds, existing), chosen


class OneTransfer(NamedTuple):
    """One recording that is to be labelled by a prompt."""

    prompt: Prompt
    """The recording and labels that it is labelled by."""

    target: Path
    """The recording that is to be labelled."""

    out: Path
    """The folder of the outputs."""

    path: Path
    """The TextGrid among them."""

    kinds: tuple[str, ...]
    """The kinds of output that are still to be made; none where all is there and is to be kept."""


def plan_one(
    prompt: Prompt, target: Path, out: Path, kinds: Sequence[str] = (), existing: str = "skip"
) -> OneTransfer:
    """Check a run over one recording.

    Raises
    ------
    DataError
        If it is not there, or an output is there already and ``existing`` is 'error'.
    """
    paths = {k: registry.output_path(out, target.stem, k) for k in dict.fromkeys(("textgrid", *kinds))}
    if prompt.labels.path.resolve() in [p.resolve() for p in paths.values()]:
        raise DataError(
            prompt.labels.path,
            "these are the labels to be carried over, and would be written over",
            "name another recording, or another folder (--out)",
            fault=Fault.OUTPUT,
        )
    there = [p for p in paths.values() if p.exists()]
    if there and existing == "error":
        raise DataError(
            there[0],
            "it exists",
            "use --existing skip or overwrite, or --out for another folder",
            fault=Fault.EXISTS,
        )
    wanted = tuple(k for k, p in paths.items() if existing == "overwrite" or not p.exists())
    if wanted:
        _check_file(target)
        check_writable(out)
    return OneTransfer(prompt=prompt, target=target, out=out, path=paths["textgrid"], kinds=wanted)
