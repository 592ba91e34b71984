"""Hand labels of one reading carried over to others of the same text: what ``aligner transfer`` does."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from aligner.corpus import audio, results
from aligner.corpus.find import Corpus, find_recordings
from aligner.corpus.labels import SUFFIXES, Source, TierNames, find_labels, read_labels
from aligner.corpus.textgrid import grid_end
from aligner.run.align import align
from aligner.run.backend import Heard, Options
from aligner.run.dtw import DtwBackend, Reference, posteriorgram
from aligner.run.plan import Job, check_place, planned
from aligner.run.warp import templates
from aligner.text.phones import kind
from aligner.types import SILENCE_LABEL, Alignment, DataError, Failure, Interval, Utterance

SLACK = 0.1  # s by which labels and their recording may differ in length
KEPT = 64  # references that are remembered: prompts are read by many


class Prompt(NamedTuple):
    """A recording whose labels are known, and when the two were changed last."""

    recording: Path
    labels: Source
    names: TierNames
    changed: tuple[float, ...]


def prompt_of(recording: Path, labels: Source, names: TierNames) -> Prompt:
    """A recording and its labels as they are now.

    Raises
    ------
    DataError
        If one is not there.
    """
    for needed in (recording, labels.path):
        _check_file(needed)
    if labels.path.suffix.lower() not in SUFFIXES:
        raise DataError(labels.path, "it is no file of labels", f"the second file ends in {', '.join(SUFFIXES)}")
    return Prompt(recording, labels, names, tuple(p.stat().st_mtime for p in (recording, labels.path)))


def prompts(folder: Path, names: TierNames) -> dict[str, Prompt]:
    """The recordings of a folder that have labels (TextGrid, .phn, ...) beside them, by their path in it.

    Raises
    ------
    DataError
        If there is no such folder, or nothing of the kind in it.
    """
    recordings, labels = find_recordings(folder), find_labels(folder)
    found = {name: prompt_of(path, labels[name], names) for name, path in recordings.items() if name in labels}
    if not found:
        raise DataError(folder, "no recording in this folder has labels of the same name",
                        "put NAME.TextGrid beside NAME.wav")
    return found


def readings(targets: Path, known: Mapping[str, Prompt]) -> tuple[list[Utterance], list[Failure], dict[str, Prompt]]:
    """Every recording of a folder as an utterance with its prompt: of the same path, or else of the same name.

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
        by_name[Path(name).name].append(name)
    utterances, failures, chosen = [], [], {}
    for name, path in find_recordings(targets).items():
        candidates = [name] if name in known else by_name[Path(name).name]
        reading = Utterance(name, path, "", path.absolute().parent.name, name)
        try:
            chosen[name] = _only(known, candidates)
            utterances.append(reading_of(reading, chosen[name]))
        except DataError as error:
            failures.append(Failure(reading, error.rule, error.remedy))
    return utterances, failures, chosen


def _check_file(path: Path) -> None:
    if not path.is_file():
        rule = "it is a folder, not a file" if path.is_dir() else "there is no such file"
        raise DataError(path, rule, "name a recording, its labels and another recording, or three folders")


def _only(known: Mapping[str, Prompt], candidates: Sequence[str]) -> Prompt:
    if not candidates:
        raise DataError("reference", "there is no reference of this name", "add its recording and labels")
    if len(candidates) > 1:
        raise DataError("reference", f"there are {len(candidates)} references of this name, {candidates[0]} and "
                        f"{candidates[1]} among them", "lay both folders out alike, or leave one of each name")
    return known[candidates[0]]


def reading_of(reading: Utterance, prompt: Prompt) -> Utterance:
    """An utterance that says what its prompt says."""
    return Utterance(reading.id, reading.audio, " ".join(_known(prompt)[1]), reading.speaker, reading.file,
                     source=prompt.labels.path)


def by_prompts(chosen: Mapping[str, Prompt], options: Options) -> DtwBackend:
    """Warping with each utterance's own prompt as the reference, by the utterance's file."""
    beside = posteriorgram(options)

    def refer(heard: Heard) -> Reference:
        known = _spoken(chosen[heard.utterance.file])
        return Reference(templates(known.wave, known.phones, known.owners, heard.wave, beside), known.words)

    return DtwBackend(refer, "labels", "recordings with labels as the reference", options, english=None,
                      posteriors=beside)


class Spoken(NamedTuple):
    """A prompt's recording (N,), its phones with the place of each in its words, and these."""

    wave: Tensor
    phones: tuple[Interval, ...]
    owners: tuple[int, ...]
    words: list[str]


@lru_cache(maxsize=KEPT)
def _spoken(prompt: Prompt) -> Spoken:
    """What a prompt says.

    Raises
    ------
    DataError
        If its recording cannot be read, or is not what the labels are of.
    """
    phones, words = _known(prompt)
    sound = audio.read(Utterance("reference", prompt.recording, ""))
    whole = prompt.labels.path.suffix.lower() == ".textgrid"  # others need not tell of the silence at the end
    end = grid_end(prompt.labels.path) if whole else max(i.end for i, _ in phones)
    if end > sound.duration + SLACK or (whole and end < sound.duration - SLACK):
        raise DataError(prompt.labels.path, f"its labels end at {end:.2f} s, the recording {prompt.recording.name} "
                        f"lasts {sound.duration:.2f} s", "are they of another recording?")
    intervals, owners = zip(*phones, strict=True)
    return Spoken(torch.from_numpy(sound.wave), intervals, owners, words)


@lru_cache(maxsize=KEPT)
def _known(prompt: Prompt) -> tuple[list[tuple[Interval, int]], list[str]]:
    """A prompt's phones, each with the number of its word, and the words.

    Where only words or only phones are labelled, they stand for both.
    """
    of = read_labels(prompt.labels, prompt.names)
    if len(of) > 1:
        raise DataError(prompt.labels.path, f"it has the labels of {len(of)} speakers", "keep those of one")
    labels = next(iter(of.values()))
    tier = labels.phones if labels.phones is not None else labels.words
    phones = [Interval(i.start, i.end, SILENCE_LABEL if kind(i.label) == "silence" else i.label) for i in tier or ()]
    words = [w for w in labels.words or phones if kind(w.label) != "silence"]
    if not words or all(p.label == SILENCE_LABEL for p in phones):
        raise DataError(prompt.labels.path, "it has no phones or words with labels", "label what is said")
    return [(p, _word_at((p.start + p.end) / 2, words)) for p in phones], [w.label for w in words]


def _word_at(time: float, words: Sequence[Interval]) -> int:
    """The word that a time lies in, or the nearest one."""
    return min(range(len(words)), key=lambda k: max(words[k].start - time, time - words[k].end, 0.0))


def transferral(references: Path, targets: Path, out: Path, names: TierNames, options: Options,
                kinds: Sequence[str] = (), existing: str = "skip") -> tuple[Job, DtwBackend]:
    """A run over a folder of readings (see `readings`) that has been checked and can begin.

    Raises
    ------
    DataError
        If a folder is missing or has nothing in it, or nothing can be written to ``out``.
    """
    utterances, failures, chosen = readings(targets, prompts(references, names))
    check_place(targets, out)
    job = planned(Corpus(tuple(utterances), tuple(failures)), targets, out, kinds, existing)
    return job, by_prompts(chosen, options)


def transfer_one(prompt: Prompt, target: Path, out: Path, options: Options, kinds: Sequence[str] = (),
                 existing: str = "skip") -> tuple[Path, Alignment | None]:
    """Label one recording by another one, and write it to the folder ``out``.

    Returns
    -------
    path : Path
        Of the TextGrid.
    alignment : Alignment or None
        None where all is there already and is to be kept.

    Raises
    ------
    DataError
        If it cannot be done, or an output is there already and ``existing`` is 'error'.
    """
    paths = {k: results.output_path(out, target.stem, k) for k in dict.fromkeys(("textgrid", *kinds))}
    if prompt.labels.path.resolve() in [p.resolve() for p in paths.values()]:
        raise DataError(prompt.labels.path, "these are the labels to be carried over, and would be written over",
                        "name another recording, or another folder (--out)")
    there = [p for p in paths.values() if p.exists()]
    if there and existing == "error":
        raise DataError(there[0], "it exists", "use --existing skip or overwrite, or --out for another folder")
    wanted = [k for k, p in paths.items() if existing == "overwrite" or not p.exists()]
    path = paths["textgrid"]
    if not wanted:
        return path, None
    _check_file(target)
    reading = reading_of(Utterance(target.stem, target, "", target.absolute().parent.name, target.stem), prompt)
    [result] = align([reading], by_prompts({reading.file: prompt}, options), options)
    if isinstance(result, Failure):
        raise DataError(target, result.reason, result.remedy)
    results.write(out, [result], wanted)
    return path, result
