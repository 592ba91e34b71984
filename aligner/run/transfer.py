"""Hand labels of one reading carried over to others of the same text: what ``aligner transfer`` does."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from aligner.backends.base import Heard
from aligner.backends.dtw import DtwBackend, Reference, posteriorgram
from aligner.backends.options import Compute, Options
from aligner.backends.warp import templates
from aligner.corpus import audio
from aligner.formats import registry
from aligner.formats.textgrid import grid_end
from aligner.run.align import align
from aligner.run.prompts import MOST_KEPT, OneTransfer, Prompt, prompt_labels, reading_of
from aligner.types import Alignment, DataError, Failure, Fault, Interval, Utterance

LENGTH_TOLERANCE = 0.1  # s by which labels and their recording may differ in length


def by_prompts(chosen: Mapping[str, Prompt], options: Options, compute: Compute) -> DtwBackend:
    """The backend that warps on each utterance its own prompt, ``chosen`` by the utterance's file."""
    beside = posteriorgram(options)

    def refer(heard: Heard) -> Reference:
        spoken = _spoken(chosen[heard.utterance.file])
        made = templates(spoken.wave, spoken.phones, spoken.owners, like=heard.wave, posteriors=beside)
        return Reference(templates=made, spellings=spoken.words)

    return DtwBackend(
        refer=refer,
        # the reference is a recording, of which nothing has to be pronounced
        pronounce=lambda tokens: ([], []),
        model_name="labels",
        about="recordings with labels as the reference",
        options=options,
        compute=compute,
        english=None,
        posteriors=beside,
    )


class Spoken(NamedTuple):
    """A prompt as the speech that recordings are labelled by."""

    wave: Tensor
    """(N,) the samples of its recording."""

    phones: tuple[Interval, ...]
    """Its phones."""

    owners: tuple[int, ...]
    """The place of each phone's word among the words."""

    words: list[str]
    """Its words."""


@lru_cache(maxsize=MOST_KEPT)
def _spoken(prompt: Prompt) -> Spoken:
    """Read the recording and the labels of a prompt.

    Raises
    ------
    DataError
        If its recording cannot be read, or is not what the labels are of.
    """
    phones, words = prompt_labels(prompt)
    sound = audio.read(Utterance("reference", prompt.recording, ""))
    whole = prompt.labels.path.suffix.lower() == ".textgrid"  # others need not label the silence at the end
    end = grid_end(prompt.labels.path) if whole else max(i.end for i, _ in phones)
    if end > sound.duration + LENGTH_TOLERANCE or (whole and end < sound.duration - LENGTH_TOLERANCE):
        raise DataError(
            prompt.labels.path,
            f"its labels end at {end:.2f} s, the recording {prompt.recording.name} "
            f"lasts {sound.duration:.2f} s",
            "are they of another recording?",
            fault=Fault.LABELS,
        )
    intervals, owners = zip(*phones, strict=True)
    return Spoken(torch.from_numpy(sound.wave), intervals, owners, words)


def transfer_one(plan: OneTransfer, options: Options, compute: Compute) -> Alignment | None:
    """Label one recording by another one, and write it; None where nothing is to be done.

    Raises
    ------
    DataError
        If it cannot be done.
    """
    if not plan.kinds:
        return None
    target = plan.target
    reading = reading_of(
        Utterance(target.stem, target, "", speaker=target.absolute().parent.name, file=target.stem),
        plan.prompt,
    )
    [result] = align([reading], by_prompts({reading.file: plan.prompt}, options, compute))
    if isinstance(result, Failure):
        raise result.error(target)
    registry.write(plan.out, [result], plan.kinds)
    return result
