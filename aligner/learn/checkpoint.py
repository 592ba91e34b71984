"""The state of a training on disk, from which ``--resume`` goes on."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

from aligner.learn.history import Row
from aligner.models import packed, saved
from aligner.models.markov import SpeakerTransform
from aligner.train.em import Paths
from aligner.train.estimate import VarianceFloor
from aligner.train.stages import TrainingState
from aligner.train.statistics import PronunciationCounts, SpokenForm
from aligner.types import DataError, ModelError, Pronunciation

STATE_FILE = "state.json"
TRAIN_AGAIN = "train again, into another folder"


class Checkpoint:
    """The checkpoint of a training, in the folder ``.training`` of its model."""

    def __init__(self, model: Path) -> None:
        self._folder = model / ".training"

    @property
    def exists(self) -> bool:
        """Whether a training stopped in this folder and can be resumed."""
        return (self._folder / STATE_FILE).is_file()

    def save(self, state: TrainingState, rows: Sequence[Row], key: str) -> None:
        """Write a state in place of the one before; ModelError if it cannot be written (that one is intact
        then).

        Parameters
        ----------
        state : TrainingState
            The state after an iteration.
        rows : sequence of Row
            The history so far.
        key : str
            A hash of what the training is of; only a training of the same key resumes.
        """
        voices = {
            speaker: f"voice.{k}"
            for k, (speaker, v) in enumerate(state.voices.items())
            if v.transform is not None
        }
        tensors = {
            name: t for speaker, name in voices.items() if (t := state.voices[speaker].transform) is not None
        }
        assert state.occupancy is not None
        table = {
            "stage": state.stage,
            "iteration": state.iteration,
            "key": key,
            "rows": [asdict(r) for r in rows],
            "voices": {speaker: voices.get(speaker) for speaker in state.voices},
            "said": json.dumps([[*pair, n] for pair, n in sorted(state.pronunciations.pairs.items())]),
            "words": {word: [asdict(p) for p in said] for word, said in state.weights.items()},
        }
        tensors |= {
            "floors": state.floors.variances,
            "occupancy": state.occupancy,
            **_path_tensors(state.paths or ()),
        }
        saved.save(state.model, self._folder, STATE_FILE, table, tensors)

    def load(self, key: str, device: str = "cpu") -> tuple[TrainingState, list[Row]]:
        """Read the state, and the rows of its history.

        Raises
        ------
        DataError
            If it is of another training: the corpus or the options have changed.
        ModelError
            If it is damaged.
        """
        path = self._folder / STATE_FILE
        table, tensors = packed.read(self._folder, STATE_FILE)
        if table.get("key") != key:
            raise DataError(
                self._folder,
                "what stopped here was a training of another corpus, or with other options",
                "give the same, or name another folder",
            )
        try:
            return _state(path, table, tensors, device)
        except KeyError as error:
            raise ModelError(path, f"field {error.args[0]!r} is missing", TRAIN_AGAIN) from error
        except (TypeError, ValueError, AttributeError) as error:
            raise ModelError(path, f"it is not what a training left ({error})", TRAIN_AGAIN) from error

    def remove(self) -> None:
        """Remove the files of the checkpoint, and its folder if nothing else is in it."""
        for path in (*self._folder.glob("state-*.safetensors"), self._folder / STATE_FILE):
            path.unlink(missing_ok=True)
        if self._folder.is_dir() and not any(self._folder.iterdir()):
            self._folder.rmdir()


def _state(
    path: Path, table: dict[str, Any], tensors: dict[str, torch.Tensor], device: str
) -> tuple[TrainingState, list[Row]]:
    """Return the state and the history that a table and tensors hold."""
    model = saved.whole(path, table, tensors, finished=False).to(device)
    voices = {
        speaker: SpeakerTransform(transform=tensors[name] if name else None)
        for speaker, name in table["voices"].items()
    }
    words = {word: tuple(_pronunciation(p) for p in said) for word, said in table["words"].items()}
    said = PronunciationCounts(
        Counter(
            {(_spoken_form(a), _spoken_form(b), silent): n for a, b, silent, n in json.loads(table["said"])}
        )
    )
    state = TrainingState(
        stage=table["stage"],
        iteration=table["iteration"],
        model=model,
        floors=VarianceFloor(tensors["floors"]),
        voices=voices,
        weights=words,
        paths=_paths(tensors),
        pronunciations=said,
        occupancy=tensors["occupancy"].to(torch.float64),
    )
    return state, [Row(**row) for row in table["rows"]]


def _spoken_form(word: Sequence[Any]) -> SpokenForm:
    return word[0], tuple(word[1])


def _path_tensors(paths: Sequence[Paths]) -> dict[str, torch.Tensor]:
    """Return paths as arrays: those of all utterances end to end, their lengths, and utterances a shard."""
    every = [pdfs for shard in paths for pdfs in shard.pdfs]
    return {
        "paths.pdfs": torch.from_numpy(np.concatenate([np.zeros(0, np.int32), *every])),
        "paths.lengths": torch.tensor([len(pdfs) for pdfs in every], dtype=torch.int64),
        "paths.arcs": torch.tensor([a for shard in paths for a in shard.arcs], dtype=torch.float64),
        "paths.shards": torch.tensor([len(shard.pdfs) for shard in paths], dtype=torch.int64),
    }


def _paths(tensors: dict[str, torch.Tensor]) -> tuple[Paths, ...] | None:
    shards = tensors["paths.shards"].tolist()
    if not shards:
        return None
    pdfs = np.split(tensors["paths.pdfs"].numpy(), np.cumsum(tensors["paths.lengths"].numpy())[:-1])
    arcs, firsts = tensors["paths.arcs"].tolist(), np.cumsum([0, *shards]).tolist()
    return tuple(Paths(tuple(pdfs[a:b]), tuple(arcs[a:b])) for a, b in pairwise(firsts))


def _pronunciation(fields: Mapping[str, Any]) -> Pronunciation:
    phones = fields["phones"]
    assert isinstance(phones, list)
    return Pronunciation(**{**fields, "phones": tuple(phones)})
