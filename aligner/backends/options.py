"""What is asked of an alignment (`Options`), and how it is computed (`Compute`); made without torch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aligner.names import ALPHABETS, BACKENDS, DEVICES, PRECISIONS, REFINEMENTS
from aligner.parallel.cores import cores
from aligner.search.fitting import misfit
from aligner.text.conventions import USUAL, Conventions
from aligner.types import DataError, Fault

NOTHING = "none"  # what is named where nothing is wanted
DEVICE = re.compile(rf"({'|'.join(DEVICES)})(:\d+)?")


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to align with, and what is wanted.

    Raises
    ------
    DataError
        If there is no such backend or refinement, or the language has no name.

    Examples
    --------
    >>> Options(backend="ctc").refine
    'full'
    """

    dictionary: Path | None = None
    """A file of pronunciations that takes the place of the model's own; or a YAML file that names one for
    each speaker."""

    add_words: Sequence[str | Path] | str | Path = ()
    """Files of pronunciations that are laid over the dictionary, the last one on top: they replace what it
    says of their words, and what is written so is not read in any other way."""

    strict: bool = False
    """Whether a line of these files that cannot be used is an error; otherwise it is left out, with a
    warning."""

    g2p: bool = True
    """Whether a word that is in no dictionary gets a pronunciation from its letters."""

    phones: str = "native"
    """The alphabet that phones are written in: 'ipa', 'xsampa' or 'arpabet'; 'native' leaves what the model
    or the dictionary has.  It changes labels and nothing else (see `aligner.text.alphabets`)."""

    stress: bool | None = None
    """Whether vowels are labelled with the stress that the dictionary writes (``AH0``, ``IY1``; in the IPA
    ``ə``, ``ˈi``); it changes labels and nothing else.  None labels it in ARPAbet, and not in the IPA and
    X-SAMPA, where it is a mark of a syllable."""

    refine: str = "full"
    """What is done to boundaries after the search: 'none' leaves them, 'offsets' corrects them by the model's
    table, 'full' also looks for them in the sound near there, and by what was learnt from corrections where
    there are any."""

    backend: str | None = None
    """The way of aligning: 'hmm', 'ctc', 'ctc+hmm', 'dtw' or 'median'; None takes what is best for the kind
    of the model and the language: the hidden Markov model where there is one."""

    language: str | None = None
    """The language of the transcripts, such as 'en' or 'sw'; None is the model's."""

    star: bool | None = None
    """Whether there may be sound that the transcript lacks, between any two words and at both ends (and, HMM,
    sentences that are not said, where there are several); None tries it where an alignment looks wrong, and
    allows both in long recordings (HMM)."""

    sung: bool = False
    """Whether the recordings are songs: vowels may be held for as long as a breath lasts, and there may be
    music before, between and behind the words (``star``, unless that is False)."""

    posteriors: str | Path | None = None
    """A hidden Markov model whose posteriors of phones are compared beside the spectra (DTW): those of its
    head, if it has one.  None takes the head of ``english``, 'none' compares the spectra alone."""

    adapt: bool | None = None
    """Whether a first pass over all utterances finds a transform for each speaker (HMM); None finds one where
    the model was trained with such."""

    conventions: Conventions = USUAL
    """How noises, unclear stretches, pauses and broken-off words are told from words in a transcript."""

    @property
    def keeps_stress(self) -> bool:
        """Whether backends label vowels with digits of stress: those are needed, too, to tell ə from ʌ."""
        return self.phones in ("ipa", "xsampa") or self.stress is not False

    @property
    def shows_stress(self) -> bool:
        """Whether stress is in what is written."""
        return self.phones not in ("ipa", "xsampa") if self.stress is None else self.stress

    @property
    def loose(self) -> bool:
        """Whether there may be sound that the transcript lacks from the start, not only where an alignment
        looks wrong without.

        Examples
        --------
        >>> Options().loose, Options(star=True).loose, Options(sung=True).loose
        (False, True, True)
        """
        return self.sung if self.star is None else self.star

    @property
    def added(self) -> tuple[Path, ...]:
        """The files of ``add_words``."""
        return tuple(map(Path, self.add_words))  # type: ignore[arg-type]

    def __post_init__(self) -> None:
        added = self.add_words
        added = (added,) if isinstance(added, (str, Path)) else tuple(added)
        object.__setattr__(self, "add_words", tuple(map(Path, added)))
        if self.dictionary is not None:
            object.__setattr__(self, "dictionary", Path(self.dictionary))
        if self.language is not None and not self.language.strip():
            raise DataError("language", "no language is named", "name one, or leave it out", fault=Fault.CALL)
        if self.backend is not None:
            _check_word("backend", self.backend, BACKENDS)
        _check_word("refine", self.refine, REFINEMENTS)
        _check_word("phones", self.phones, ALPHABETS)


@dataclass(frozen=True, kw_only=True)
class Compute:
    """How an alignment is computed: by how many processes, on which device, with which kernel.

    None of it changes a result, but for rounding.  Nothing is imported and no device is touched to make one;
    `check` asks the device.

    Raises
    ------
    DataError
        If there is no such kind of device or precision, or the kernel does not run on the device.

    Examples
    --------
    >>> Compute(jobs=2).device
    'cpu'
    >>> Compute(device="gpu")
    Traceback (most recent call last):
    ...
    aligner.types.DataError: device: there is no 'gpu': take cpu, cuda, or cuda:1 for the second
    """

    jobs: int = field(default_factory=cores)
    """How many processes align; as many as there are cores unless given."""

    device: str = "cpu"
    """Where frames are scored and searched: 'cpu', or, in batches, 'cuda', 'cuda:1', ..."""

    kernel: str = "auto"
    """What runs the search: 'numba' (CPU), 'triton' (CUDA) or 'reference' (plain torch, slow); 'auto' is
    numba on the CPU, triton on CUDA, and the reference elsewhere."""

    precision: str = "full"
    """'mixed' computes networks, and the weights of mixtures, in bfloat16."""

    batch_seconds: float | None = None
    """Seconds of audio in a batch on a device other than the CPU; None finds out how much its memory
    holds."""

    def __post_init__(self) -> None:
        check_device(self.device)
        check_kernel(self.kernel, self.device)
        _check_word("precision", self.precision, PRECISIONS)

    def check(self) -> None:
        """Raise DataError where torch cannot compute on the device, which this initialises."""
        if self.device == "cpu":
            return
        import torch

        try:
            torch.zeros(1, device=self.device)
        except (RuntimeError, AssertionError) as error:
            raise DataError(
                "device",
                f"{self.device!r} cannot be used ({str(error).splitlines()[0]})",
                "take cpu",
                fault=Fault.CALL,
            ) from error


def check_device(device: str) -> None:
    """Raise DataError for what is no name of a device."""
    if not DEVICE.fullmatch(device):
        raise DataError(
            "device", f"there is no {device!r}", "take cpu, cuda, or cuda:1 for the second", fault=Fault.CALL
        )


def check_kernel(kernel: str, device: str) -> None:
    """Raise DataError where a kernel does not run on a device."""
    wrong = misfit(kernel, device)
    if wrong:
        raise DataError("kernel", wrong, "take auto", fault=Fault.CALL)


def _check_word(option: str, word: str, known: Iterable[str]) -> None:
    if word not in known:
        raise DataError(option, f"there is no {word!r}", f"take one of {', '.join(known)}", fault=Fault.CALL)
