"""What is wrong with a call of a command, found before torch is imported; and a call that is right, taken
apart.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, NamedTuple

from aligner.backends.calls import (
    check_choice,
    check_compared,
    check_folder,
    check_pronounced,
    check_refined,
    check_spoken,
    check_start,
    check_tables,
)
from aligner.backends.options import NOTHING, Compute, Options, check_device
from aligner.corpus.find import TIMIT_PROMPT, check_corpus, find_one, find_recordings
from aligner.corpus.labels import Source, check_usable, find_labels, some
from aligner.corpus.outcome import Outcome, read_outcome
from aligner.corpus.recordings import check_there
from aligner.corpus.tier_names import TierNames
from aligner.formats.files import check_readable, read_text
from aligner.models.known import HMM_TABLE, NETWORK_TABLE, check_known, kind_of
from aligner.parallel.cores import cores
from aligner.run.plan import Job, check_empty, check_new, check_place, check_taught, check_writable, plan
from aligner.run.prompts import OneTransfer, Prompt, plan_one, plan_transfer, prompt_of
from aligner.text.conventions import Conventions
from aligner.text.phones import PhoneMap, parse_map
from aligner.types import DataError, Fault, ModelError

TEXT_SUFFIXES = (".txt", ".lab")  # of what is the name of a file, not a text
LONGEST_NAME = 1000  # characters from which a text is no name of a file
STANDARD_INPUT = "-"
TIER_OPTIONS = ("--phones", "--words")  # that name the tiers of labels


@dataclass(frozen=True, kw_only=True)
class AlignRequest:
    """A call of `align` that can be carried out."""

    job: Job
    """The recordings to align, and where their alignments go."""
    model: str | None
    """The name or folder of the acoustic model; None takes the backend's own."""
    options: Options
    """What is wanted of the alignments."""
    compute: Compute
    """How they are computed."""
    corrections: Path | None
    """A folder of corrected boundaries to learn from first."""
    reference: Path | None
    """A folder of hand labels to compare the result with."""
    report: bool
    """Whether to write a page to look at the result."""


def alignment(
    *,
    corpus: Path,
    out: Path,
    text: str | None,
    model: str | None,
    formats: tuple[str, ...],
    segments: bool,
    uncertainty: bool,
    existing: str,
    reference: Path | None,
    reported: bool,
    corrections: Path | None,
    known_words: bool,
    **settings: Any,
) -> AlignRequest:
    """Check a call of `align`; ``settings`` are the fields of `Options` and `Compute`.

    Raises
    ------
    DataError, ModelError
        If the call is wrong.
    """
    options, compute = _settings(with_conventions(settings))
    check_choice(model, options, compute)
    if corrections is not None:
        check_refined(options.refine)
        find_labels(corrections)
    more = [kind for kind, wanted in (("segments", segments), ("uncertainty", uncertainty)) if wanted]
    job = plan(corpus, out, (*formats, *more), existing, text, known_words=known_words)
    if reference is not None:
        _check_labelled(reference, job)
    return AlignRequest(
        job=job,
        model=model,
        options=options,
        compute=compute,
        corrections=corrections,
        reference=reference,
        report=reported,
    )


def with_conventions(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with the field ``conventions`` in place of the options that it is made of.

    Raises
    ------
    DataError
        If they name no kind of brackets, or no words.
    """
    rest = dict(settings)
    brackets, words = rest.pop("brackets"), rest.pop("noise_words")
    named = () if words is None else tuple(_noise_words(words))
    return {**rest, "conventions": Conventions(brackets=brackets, noise_words=named)}


def _noise_words(given: str) -> list[str]:
    """The words of a list, or of the file of this name."""
    path = Path(given)
    in_file = len(given) < LONGEST_NAME and path.is_file()
    if not in_file and path.suffix.lower() in TEXT_SUFFIXES and "," not in given:
        raise DataError(given, "the list of words is not there", "check its name and place", fault=Fault.CALL)
    words = read_text(path).splitlines() if in_file else given.split(",")
    found = [" ".join(word.split()) for word in words if word.strip()]
    if not found:
        raise DataError("noise-words", "it names no word", "name some, or leave it out", fault=Fault.CALL)
    return found


def _settings(settings: Mapping[str, Any]) -> tuple[Options, Compute]:
    """The fields of `Options` among the settings, and all others, which are those of `Compute`."""
    names = {f.name for f in fields(Options)}
    options = {name: value for name, value in settings.items() if name in names}
    compute = {name: value for name, value in settings.items() if name not in names}
    return Options(**options), Compute(**{**compute, "jobs": settings["jobs"] or cores()})


def _check_labelled(reference: Path, job: Job) -> None:
    """Raise DataError where there are no labels, or none that can be used of what is aligned."""
    labelled = find_labels(reference)
    for file in (job.only or frozenset()) - labelled.keys():
        raise DataError(
            reference, f"there are no labels of {file} in this folder", "name the folder that holds them"
        )
    wanted = {file: labelled[file] for file in sorted(job.files) if file in labelled}
    if job.files and not wanted:
        raise DataError(
            reference,
            f"there are no labels of any recording: here are {some(list(labelled))}; the recordings are "
            f"{some(sorted(job.files))}",
            "name the folder that has them at the same paths",
            fault=Fault.LABELS,
        )
    check_usable(reference, wanted)


@dataclass(frozen=True, kw_only=True)
class TrainRequest:
    """A call of `aligner train`; its fields have the names of the options."""

    corpus: Path
    """The folder of recordings and transcripts."""
    model: Path
    """The folder of the new model."""
    backend: str
    """The kind of model, one of `aligner.names.TRAINED`."""
    dictionary: Path | None
    """A file of pronunciations; None takes CMU's for English, and eSpeak's for other languages."""
    add_words: tuple[Path, ...]
    """Files whose words are laid over it, the last one on top."""
    strict: bool
    """Whether a line of these files that cannot be used is an error."""
    characters: bool | None
    """Whether the letters of words stand for phones; None: where they fit better than what eSpeak says."""
    language: str
    """The code of the transcripts' language."""
    g2p: bool
    """Whether words that the dictionary lacks get a pronunciation from their letters."""
    conventions: Conventions
    """How noises and the like are told from words."""
    out: Path | None
    """Where the corpus is aligned with the new model; None leaves that out."""
    recipe: str
    """One of `aligner.names.RECIPES`."""
    start: str | None
    """What aligns the corpus first (see `aligner.learn.guide.guide_of`)."""
    config: Path | None
    """A YAML file of what differs from the recipe."""
    em: str | None
    """One of `aligner.names.EM`; None takes the recipe's."""
    resume: bool
    """Whether to go on with a training that stopped."""
    teacher: Path | None
    """The hidden Markov model that a network learns from; None trains one first."""
    encoder: str | None
    """The pretrained encoder that a network hears through; None trains a network that has none."""
    copies: int
    """How often each recording is heard spoilt, where there is an encoder."""
    epochs: int | None
    """The number of passes of a network over the corpus; None takes the usual number of its kind."""
    alpha: float
    """The weight of the label priors of a CTC network."""
    learning_rate: float | None
    """The highest learning rate of a network; None takes the usual one of its kind."""
    batch_seconds: float | None
    """Seconds of speech in a batch of a network; None takes as many as is usual."""
    seed: int
    """The seed of all random numbers."""
    jobs: int | None
    """The number of processes; None takes one a core, and one for networks."""
    device: str
    """Where features, scores and networks are computed."""


def training(call: TrainRequest) -> None:
    """Check a call of `aligner train`.

    Raises
    ------
    DataError, ModelError
        If the call is wrong.
    """
    check_pronounced(call.dictionary, bool(call.characters), call.add_words)
    check_device(call.device)
    check_corpus(call.corpus)
    check_new(call.model / (NETWORK_TABLE if call.backend == "ctc" else HMM_TABLE))
    if call.dictionary is None and not call.characters:
        check_spoken(call.language, call.corpus, espeak=call.backend != "ctc")
    if call.config is not None:
        check_readable(call.config)
    if call.encoder is not None and call.backend != "neural":
        raise DataError(
            "--encoder", "only a network can hear through one", "add --backend neural", fault=Fault.CALL
        )
    if call.teacher is not None:
        check_known(call.teacher)
    if call.start is not None and (call.backend == "ctc" or call.teacher is not None):
        raise DataError(
            "--start",
            "only the training of a hidden Markov model starts from something",
            "leave it out" if call.teacher is None else "leave out it or --teacher",
            fault=Fault.CALL,
        )
    check_start(call.start, call.language)
    check_writable(call.model)
    if call.out is not None:
        check_place(call.corpus, call.out)
        check_writable(call.out)


def adaptation(
    *, corpus: Path, model: str, new: Path, jobs: int | None, **settings: Any
) -> tuple[Options, Compute]:
    """Check a call of `aligner adapt`; ``settings`` are fields of `Options`.

    Raises
    ------
    DataError, ModelError
        If the call is wrong.
    """
    check_corpus(corpus)
    options = Options(**with_conventions(settings))
    compute = Compute(jobs=jobs or cores())
    check_choice(model, options, compute)
    if kind_of(model) == "ctc":
        raise not_adaptable(model)
    check_new(new / HMM_TABLE)
    check_writable(new)
    return options, compute


def not_adaptable(model: str) -> ModelError:
    """Return the error about a model that is no hidden Markov model of Gaussian mixtures."""
    return ModelError(
        model,
        "it is a CTC network, and only hidden Markov models can be adapted",
        "train it further on a corpus of its own",
    )


def teaching(
    *,
    corrected: Path,
    model: str,
    new: Path,
    corpus: Path | None,
    jobs: int | None,
    **settings: Any,
) -> tuple[Options, Compute]:
    """Check a call of `aligner teach`; ``settings`` are fields of `Options`.

    Raises
    ------
    DataError, ModelError
        If the call is wrong.
    """
    check_taught(model, new)
    options = Options(**with_conventions(settings))
    compute = Compute(jobs=jobs or cores())
    check_choice(model, options, compute)
    find_labels(corrected)
    if corpus is not None:
        check_folder(corpus)
    return options, compute


@dataclass(frozen=True, kw_only=True)
class TransferRequest:
    """A call of `aligner transfer` that can be carried out."""

    job: Job | None
    """The recordings of a folder to align; None where one recording was named."""
    prompts: Mapping[str, Prompt]
    """The labelled recording by which each recording of the job is aligned."""
    recording: OneTransfer | None
    """The one recording to align; None where folders were named."""
    options: Options
    """What is wanted of the alignments."""
    compute: Compute
    """How they are computed."""


def transfer(
    *,
    reference: Path,
    labels: Path,
    target: Path,
    out: Path | None,
    phones: str,
    words: str,
    formats: tuple[str, ...],
    existing: str,
    refine: str,
    posteriors: str | None,
    jobs: int | None,
) -> TransferRequest:
    """Check a call of `aligner transfer`: of two recordings, or of three folders.

    Raises
    ------
    DataError, ModelError
        If the call is wrong.
    """
    if posteriors is not None and posteriors != NOTHING:
        check_known(posteriors)
    tiers = TierNames(phones, words, TIER_OPTIONS)
    prompts: Mapping[str, Prompt] = {}
    job, recording = None, None
    if reference.is_dir():
        job, prompts = plan_transfer(reference, labels, target, tiers, kinds=formats, existing=existing)
    else:
        prompt = prompt_of(reference, Source(labels), tiers)
        recording = plan_one(prompt, target, out or target.parent, formats, existing)
    return TransferRequest(
        job=job,
        prompts=prompts,
        recording=recording,
        options=Options(refine=refine, posteriors=posteriors),
        compute=Compute(jobs=jobs or cores()),
    )


def streaming(
    *,
    text: str,
    source: str | None,
    textgrid: Path | None,
    overwrite: bool,
    model: str | None,
    **settings: Any,
) -> tuple[str, Options]:
    """Check a call of `aligner stream`, and read its text.

    Raises
    ------
    DataError, ModelError
        If the call is wrong.
    """
    if textgrid is not None:
        if textgrid.exists() and not overwrite:
            raise DataError(textgrid, "it exists", "name another file, or take --overwrite")
        check_writable(textgrid.parent)
    said = _text(text)
    if source is not None and source != STANDARD_INPUT:
        check_there(Path(source))
    options = Options(backend="hmm", **with_conventions(settings))
    check_choice(model, options, Compute())
    return said, options


def reading(*, text: str, table: Path | None, model: str | None, **settings: Any) -> tuple[str, Options]:
    """Check a call of `aligner read`, and read its text.

    Raises
    ------
    DataError, ModelError
        If the call is wrong.
    OSError
        If the table cannot be written.
    """
    said = sys.stdin.read() if text == STANDARD_INPUT else _text(text)
    if not said.strip():
        raise DataError("text", "it is empty", "write what is to be read", fault=Fault.CALL)
    options = Options(**with_conventions(settings))
    check_choice(model, options, Compute())
    check_targets(table)
    check_tables(table)
    return said, options


def _text(text: str) -> str:
    """Return the text itself, or what is in the file of this name."""
    path = Path(text)
    if len(text) < LONGEST_NAME and path.is_file():
        content = read_text(path)
        numbers = TIMIT_PROMPT.match(content)
        return content[numbers.end() :] if numbers and numbers[1] == "0" else content
    if path.suffix.lower() in TEXT_SUFFIXES and len(text.split()) == 1:
        raise DataError(text, "the text is not there", "check its name and place")
    return text


class Labelling(NamedTuple):
    """How labels are read and made comparable."""

    classes: PhoneMap
    """The classes that phones count as."""
    reference: TierNames
    """The tiers of the reference."""
    aligned: TierNames
    """The tiers of the alignments."""


def evaluation(
    reference: Path,
    *aligned: Path,
    targets: tuple[Path | None, ...] = (),
    phone_map: Path | None,
    fold: bool,
    **tiers: str,
) -> Labelling:
    """Check a call of `aligner evaluate` or `aligner compare`, and read its map of phones.

    Parameters
    ----------
    reference : Path
        The folder of labels.
    *aligned : Path
        The folders that are compared with it.
    targets : tuple of Path or None
        Files that will be written.
    phone_map : Path or None
        A YAML file of labels and their classes.
    fold : bool
        Whether phones count as the 39 classes customary for TIMIT.
    **tiers : str
        The names of the tiers: phones, words, aligned_phones, aligned_words.

    Raises
    ------
    DataError
        If there are no labels, no folders of alignments, or the map cannot be read.
    OSError
        If a target cannot be written.
    """
    own_tiers = TierNames(tiers["phones"], tiers["words"], TIER_OPTIONS)
    check_compared(reference, *aligned, tiers=own_tiers)
    check_targets(*targets)
    classes = PhoneMap({}, fold) if phone_map is None else parse_map(read_text(phone_map), phone_map, fold)
    return Labelling(
        classes,
        own_tiers,
        TierNames(tiers["aligned_phones"], tiers["aligned_words"], ("--aligned-phones", "--aligned-words")),
    )


def speech_metrics(*folders: Path, labels: tuple[Path, ...], table: Path | None) -> None:
    """Check a call of `aligner speech-metrics`.

    Raises
    ------
    DataError
        If there are no recordings, or no labels.
    OSError
        If the table cannot be written.
    """
    for folder in folders:
        find_recordings(folder)
    for folder in labels:
        find_labels(folder)
    check_targets(table)


def check_targets(*paths: Path | None) -> None:
    """Raise OSError, before the work, where a file cannot be written."""
    for path in paths:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            with TemporaryFile(dir=path.parent):
                pass


def validation(
    corpus: Path,
    dictionary: Path | None,
    characters: bool,
    *,
    add_words: tuple[Path, ...],
    tables: tuple[Path | None, ...],
) -> None:
    """Check a call of `aligner validate`, which writes ``tables``.

    Raises
    ------
    DataError
        If there is no corpus, the dictionary is at fault, or a table would overwrite another file.
    OSError
        If a table cannot be written.
    """
    if corpus.is_dir():
        check_corpus(corpus)
    else:
        find_one(corpus)
    check_pronounced(dictionary, characters, add_words)
    check_targets(*tables)
    check_tables(*tables)


def result(out: Path, corpus: Path | None = None, reference: Path | None = None) -> Outcome:
    """Check a call of `aligner report` or `aligner inspect`, and read the result that it is about.

    Parameters
    ----------
    out : Path
        The output folder of `align`.
    corpus : Path, optional
        The folder of the recordings, if they have moved since.
    reference : Path, optional
        The folder of the hand labels to compare with.

    Raises
    ------
    DataError
        If there is no result in the folder, or there are no labels.
    """
    outcome = read_outcome(out, corpus)
    if reference is not None:
        check_compared(reference, out)
    return outcome


def measurement(corpus: Path | None, devices: tuple[str, ...], target: Path | None) -> None:
    """Check a call of `aligner bench`.

    Raises
    ------
    DataError
        If there is no corpus, or no such kind of device.
    OSError
        If the target cannot be written.
    """
    if corpus is not None:
        check_corpus(corpus)
    for device in devices:
        check_device(device)
    check_targets(target)


def profiling(
    *, corpus: Path, out: Path | None, model: str | None, **settings: Any
) -> tuple[Options, Compute]:
    """Check a call of `aligner profile`.

    Raises
    ------
    DataError, ModelError
        If the call is wrong.
    """
    check_corpus(corpus)
    options, compute = Options(**settings), Compute(jobs=1)
    check_choice(model, options, compute)
    if out is not None:
        check_empty(out)
        check_writable(out)
    return options, compute
