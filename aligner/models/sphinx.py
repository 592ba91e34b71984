"""Reading the acoustic models of CMU Sphinx: continuous, semi-continuous and phonetically tied.

A model is a folder with ``mdef`` (which states make up which phone in which context; text or
binary), ``means``, ``variances``, ``mixture_weights`` or ``sendump``, ``transition_matrices``,
``feat.params`` and ``noisedict``.  The formats are those of SphinxTrain and pocketsphinx.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from aligner.features import SphinxFrontend
from aligner.graph import Position, Unit
from aligner.models.gmm import GaussianMixtures
from aligner.models.markov import MarkovModel
from aligner.models.sphinx_definition import ModelDefinition, read_mdef
from aligner.models.sphinx_files import read_gaussians, read_transitions, read_weights
from aligner.types import ModelError

VARIANCE_FLOOR = 1e-4


@dataclass(frozen=True, eq=False)
class SphinxTopology:
    """The phones of a Sphinx model and the states of each in its context (see `aligner.graph.Topology`)."""

    definition: ModelDefinition
    """Phones, triphones and their states."""
    transitions: np.ndarray
    """(matrices, states, states + 1) log probabilities; the last column leaves the phone."""
    noises: tuple[str, ...] = ()
    """Phones of noise."""
    _cache: dict[tuple[str, str, str, Position], Unit] = field(
        default_factory=dict, repr=False, compare=False
    )

    @cached_property
    def _index(self) -> dict[str, int]:
        return {phone: i for i, phone in enumerate(self.definition.phones)}

    @property
    def labels(self) -> Sequence[str]:
        """Labels of the phones, in the order of `alone`."""
        return self.definition.phones

    @cached_property
    def bases(self) -> np.ndarray:
        """(senones,) the number of the phone that each senone belongs to."""
        bases = np.zeros(self.definition.senones, np.int64)
        bases[self.definition.states] = self.definition.base[:, None]
        return bases

    def knows(self, label: str) -> bool:
        """Whether a dictionary may use this phone, with or without a stress digit."""
        index = self._number(label)
        return index is not None and index not in self.definition.fillers

    def _number(self, label: str) -> int | None:
        return self._index.get(label, self._index.get(label.rstrip("012")))

    @property
    def alone(self) -> np.ndarray:
        """Pdfs (phones, states) of every phone without context."""
        return self.definition.states[: len(self.definition.phones)]

    def number(self, label: str) -> int:
        """Row of `alone` that a phone has."""
        index = self._number(label)
        if index is None:
            raise KeyError(f"no such phone: {label}")
        return index

    @property
    def shortest(self) -> int:
        """Least number of frames that a phone takes."""
        return int(self.definition.states.shape[1])

    @property
    def silence(self) -> str:
        """Label of the phone that stands for silence."""
        return self.definition.phones[self.definition.silence]

    def unit(self, phone: str, left: str, right: str, position: Position) -> Unit:
        """States and transitions of ``phone`` between ``left`` and ``right``."""
        key = (phone, left, right, position)
        if key not in self._cache:
            base, before, after = (self._number(label) for label in key[:3])
            if base is None or before is None or after is None:
                raise KeyError(f"no such phone among {key[:3]}")
            self._cache[key] = self.definition.nearest(position, base, before, after)
        return self._cache[key]


def load(folder: str | Path) -> MarkovModel:
    """Load a model from its folder.

    Parameters
    ----------
    folder : str or Path

    Raises
    ------
    ModelError
        Naming the file that is missing, damaged or does not fit the others.

    Examples
    --------
    >>> import pocketsphinx
    >>> model = load(pocketsphinx.get_model_path("en-us/en-us"))
    >>> len(model.topology.definition.phones), model.topology.definition.senones
    (42, 5126)
    """
    folder = Path(folder)
    _check_files(folder)
    definition = read_mdef(folder / "mdef")
    transitions = read_transitions(folder / "transition_matrices")
    frontend = read_frontend(folder / "feat.params")
    means, variances = read_gaussians(folder / "means"), read_gaussians(folder / "variances")
    if [m.shape for m in means] != [v.shape for v in variances]:
        raise ModelError(
            folder / "variances", "its shapes differ from those of means", "the two are from two models"
        )
    _check_fit(folder, definition, transitions, frontend, sum(m.shape[2] for m in means))
    weights = read_weights(folder, definition.senones, len(means), means[0].shape[1])
    codebook = codebooks(definition, len(means[0]), folder)
    floored = [np.maximum(v, VARIANCE_FLOOR) for v in variances]
    topology = SphinxTopology(definition, transitions, read_noises(folder / "noisedict", definition))
    return MarkovModel(
        name=folder.name,
        frontend=frontend,
        topology=topology,
        mixtures=GaussianMixtures.of(means, floored, weights, codebook),
    )


def _check_files(folder: Path) -> None:
    """Raise ModelError where a folder lacks a file that every model has."""
    for name in ("mdef", "means", "variances", "transition_matrices"):
        if not (folder / name).is_file():
            raise ModelError(folder / name, "a Sphinx model needs this file", "name the folder that holds it")


def _check_fit(
    folder: Path,
    definition: ModelDefinition,
    transitions: np.ndarray,
    frontend: SphinxFrontend,
    dimensions: int,
) -> None:
    """Raise where the files of a folder contradict each other."""
    remedy = "the files of this folder are from different models"
    if dimensions != frontend.size:
        raise ModelError(
            folder / "means", f"{dimensions} dimensions, while feat.params gives {frontend.size}", remedy
        )
    if definition.transitions.max() >= len(transitions) or definition.states.shape[1] >= transitions.shape[2]:
        there, asked = transitions.shape[:2], (definition.transitions.max() + 1, definition.states.shape[1])
        raise ModelError(
            folder / "transition_matrices",
            f"{there[0]} matrices of {there[1]} states, while mdef asks for {asked[0]} of {asked[1]}",
            remedy,
        )
    if definition.states.max() >= definition.senones:
        raise ModelError(
            folder / "mdef", f"a state is beyond the {definition.senones} that it counts", "it is damaged"
        )


def codebooks(definition: ModelDefinition, count: int, folder: Path) -> np.ndarray:
    """The codebook of each senone: its own, its base phone's, or the only one there is."""
    if count == definition.senones:
        return np.arange(count)
    if count == 1:
        return np.zeros(definition.senones, np.int64)
    if count != len(definition.phones):
        raise ModelError(
            folder / "means",
            f"{count} codebooks for {definition.senones} states and {len(definition.phones)} phones",
            "it must be one, one a phone or one a state",
        )
    book = np.zeros(definition.senones, np.int64)
    book[definition.states] = definition.base[:, None]
    return book


def read_frontend(path: Path) -> SphinxFrontend:
    """Make a front end of the options in ``feat.params``; those that are missing have Sphinx's defaults."""
    words = path.read_text().split() if path.is_file() else []
    options = dict(zip((w.lstrip("-") for w in words[::2]), words[1::2], strict=False))
    if "cmn" in options:
        options["cmn"] = {"current": "batch", "prior": "batch", "live": "batch"}.get(
            options["cmn"], options["cmn"]
        )
    known = {}
    for f in dataclasses.fields(SphinxFrontend):
        if f.name in options:
            known[f.name] = _option(options[f.name], f.default)
    if options.get("feat", "1s_c_d_dd") not in ("1s_c_d_dd", "s2_4x"):
        raise ModelError(path, f"features of the kind {options['feat']!r}", "1s_c_d_dd and s2_4x are read")
    return SphinxFrontend(**known)


def _option(text: str, default: object) -> Any:
    """Parse an option as the type of its default."""
    if isinstance(default, bool):
        return text in ("yes", "true", "1")
    return type(default)(text) if isinstance(default, (int, float)) else text


def read_noises(path: Path, definition: ModelDefinition) -> tuple[str, ...]:
    """Read the noise phones of ``noisedict``: fillers other than silence."""
    lines = path.read_text().splitlines() if path.is_file() else []
    phones = dict.fromkeys(line.split()[1] for line in lines if len(line.split()) > 1)
    return tuple(p for p in phones if p in definition.phones and p != definition.phones[definition.silence])
