"""What is wrong with a call, as far as it can be known before anything heavy is imported.

What loads the models calls the same functions, so that each rule stands once.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from aligner.backends.options import NOTHING, Compute, Options
from aligner.corpus.labels import check_aligned, check_usable, find_labels
from aligner.corpus.results import OOV_COLUMNS, PROBLEM_COLUMNS, READING_COLUMNS
from aligner.corpus.tier_names import TierNames
from aligner.formats.files import read_text
from aligner.models.known import ENGLISH, ENGLISHES, HAMA, check_known, kind_of
from aligner.text.dictionaries import check_dictionaries
from aligner.text.normalise import spoken_english
from aligner.types import DataError, Fault, ModelError

FLAT, WARPING = "flat", "dtw"  # what a training starts from: nothing, or the language's synthesised speech
OF_TWO_MODELS = ("ctc+hmm", "median")  # backends that take one of the package's models beside a named one


def check_choice(model: str | None, options: Options, compute: Compute) -> None:
    """Raise where no backend is to be had for a model's name, or with none, and these options.

    Raises
    ------
    DataError
        If the dictionary is at fault, the language is unknown, or options exclude each other.
    ModelError
        If there is no such model, or it is of another kind or language.
    """
    language, dictionary = options.language, options.dictionary
    check_alphabet(options.phones, language is None or spoken_english(language))
    check_dictionaries(dictionary, options.added)
    for named in (model, options.posteriors):
        if named not in (None, NOTHING):
            check_known(str(named))
    kind = kind_of(model)
    if model is not None and kind is None:
        return  # what it is, is known when it is loaded
    name = options.backend or usual(kind, language)
    if model is not None:
        check_kind(name, kind, model)
    inside = _english_inside(name, kind, model)
    if inside is not None:
        check_english(inside, language)
    if name == "dtw":
        check_warping(compute.device, unspoken_dictionaries(options) if model is None else ())
        if model is None:
            from aligner.reference.espeak import resolve

            resolve(language or "en")


def _english_inside(backend: str, kind: str | None, model: str | None) -> str | None:
    """The model of English inside the package that a backend takes beside a named model, or without one."""
    if backend == "median" and kind == "hmm" and model not in ENGLISHES:
        return None  # without a network, where the model is of another language
    if backend in OF_TWO_MODELS:
        return HAMA if kind == "hmm" else ENGLISH
    if backend == "dtw":
        return model if model in ENGLISHES else None
    return {"hmm": ENGLISH, "ctc": HAMA}.get(backend) if model is None else None


def usual(kind: str | None, language: str | None) -> str:
    """The usual backend for a kind of model (None: no model is named) and a language."""
    if kind == "ctc":
        return "ctc"
    return "hmm" if kind is not None or spoken_english(language) else "dtw"


def check_kind(backend: str, kind: str | None, model: str) -> None:
    """Raise ModelError where a backend cannot use a model of that kind."""
    if kind == "hmm" and backend == "ctc":
        raise ModelError(model, "it is a hidden Markov model, not a CTC network", "take --backend hmm")
    if kind == "ctc" and backend in ("hmm", "dtw"):
        raise ModelError(model, "it is a CTC network, not a hidden Markov model", "take --backend ctc")


def check_english(model: str, language: str | None) -> None:
    """Raise ModelError where a model of the package is needed and the language is not English, as it is."""
    if not spoken_english(language):
        raise ModelError(
            model,
            f"it is of English, not of {language!r}",
            "take --backend dtw, or name a --model of that language",
        )


def check_alphabet(phones: str, english: bool) -> None:
    """Raise DataError where phones of another language than English would be written in ARPAbet."""
    if phones == "arpabet" and not english:
        raise DataError(
            "--phones",
            "ARPAbet has the phones of English alone, and this is another language",
            "take ipa or xsampa",
            fault=Fault.CALL,
        )


def named_dictionaries(options: Options) -> tuple[Path, ...]:
    """The files of pronunciations that the options name."""
    return (*((options.dictionary,) if options.dictionary is not None else ()), *options.added)


def unspoken_dictionaries(options: Options) -> tuple[Path, ...]:
    """The files of pronunciations that eSpeak's voices cannot say: all but those of English, in ARPAbet."""
    return () if spoken_english(options.language) else named_dictionaries(options)


def check_warping(device: str, dictionaries: Sequence[Path]) -> None:
    """Raise DataError for options that warping has no use for: another device than the CPU, or
    ``dictionaries`` that eSpeak, which speaks the reference, cannot say.
    """
    if device != "cpu":
        raise DataError("device", "the backend 'dtw' runs on the CPU", "leave out --device", fault=Fault.CALL)
    if dictionaries:
        raise DataError(
            dictionaries[0],
            "eSpeak pronounces this language without a dictionary",
            "leave out --dictionary and --add-words, and write what it says wrongly as this language would "
            "spell it; or name a --model to be the reference",
            fault=Fault.CALL,
        )


def check_pronounced(dictionary: Path | None, characters: bool, add_words: Sequence[Path] = ()) -> None:
    """Raise DataError where words would be both spelled and looked up, or a dictionary cannot be read."""
    if characters:
        check_spelled(dictionary, add_words)
    check_dictionaries(dictionary, add_words)


def check_spelled(dictionary: Path | None, add_words: Sequence[Path]) -> None:
    """Raise DataError for dictionaries that are named where words are spelled."""
    named = "--dictionary" if dictionary is not None else "--add-words" if add_words else None
    if named is not None:
        raise DataError(
            "dictionary",
            "characters need none",
            f"leave out {named} or --characters",
            fault=Fault.CALL,
        )


def check_folder(recordings: Path) -> None:
    """Raise DataError where there is no folder of recordings, whatever is in it."""
    if not recordings.is_dir():
        raise DataError(
            recordings, "there is no such folder", "name the folder of the recordings", fault=Fault.CALL
        )


def check_tables(*targets: Path | None) -> None:
    """Raise DataError where a table would overwrite another kind of file, such as a ``metadata.csv``."""
    for path in filter(None, targets):
        known = [",".join(columns) for columns in (PROBLEM_COLUMNS, OOV_COLUMNS, READING_COLUMNS)]
        if path.exists() and read_text(path).split("\n", 1)[0] not in known:
            raise DataError(
                path, "it exists, and is no table of this command", "name another file", fault=Fault.EXISTS
            )
    named = [path.resolve() for path in targets if path]
    if len(set(named)) < len(named):
        raise DataError(
            named[0], "two tables cannot be one file", "name another for one of them", fault=Fault.CALL
        )


def check_spoken(language: str, corpus: Path, espeak: bool) -> None:
    """Raise DataError where a model is to be made without a dictionary, and the language has none here.

    The package has a dictionary of English; other languages are pronounced by eSpeak, where ``espeak`` allows
    it and it speaks them.
    """
    if spoken_english(language):
        return
    if not espeak:
        raise DataError(
            corpus,
            "the dictionary inside is of English",
            "name one (--dictionary), or take --characters",
            fault=Fault.CALL,
        )
    from aligner.reference.espeak import resolve

    resolve(language)


def is_model(start: str) -> bool:
    """Whether what a training starts from is named as a model is: by a name that is known, or a folder."""
    try:
        check_known(start)
    except ModelError:
        return os.sep in start or os.path.exists(start)
    return True


def check_start(start: str | None, language: str) -> None:
    """Raise where a training cannot start from what is named (see `aligner.learn.guide.guide_of`).

    Raises
    ------
    DataError
        If it is no model, and eSpeak speaks no such language.
    ModelError
        If there is no model in a folder that is named.
    """
    if start is None or start == FLAT:
        return
    if is_model(start):
        check_known(start)
        return
    from aligner.reference.espeak import resolve

    try:
        resolve(language if start == WARPING else start)
    except DataError as error:
        raise DataError(
            f"--start {start}",
            error.rule,
            f"name a model, {WARPING}, {FLAT}, or the code of a language: {error.remedy}",
            fault=Fault.CALL,
        ) from error


def check_compared(reference: Path, *aligned: Path, tiers: TierNames | None = None) -> None:
    """Raise DataError where there are no labels to compare with, or no folder of alignments."""
    check_usable(reference, find_labels(reference), tiers)
    for folder in aligned:
        check_aligned(folder)


def check_refined(refine: str) -> None:
    """Raise DataError where boundaries are not refined by what corrections would teach."""
    if refine != "full":
        raise DataError(
            "corrections",
            f"--refine {refine} would not use what is learnt from them",
            "leave out one of the two",
            fault=Fault.CALL,
        )
