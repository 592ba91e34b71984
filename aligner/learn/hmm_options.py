"""How a hidden Markov model is trained: options, from a recipe's name and what a YAML file changes in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from aligner.backends.base import AnyBackend
from aligner.features import CepstralFrontend, SphinxFrontend
from aligner.formats.files import read_text
from aligner.names import EM
from aligner.parallel.cores import cores
from aligner.train.stages import RECIPES, Stage
from aligner.types import DataError, Fault

CONFIG_KEYS = ("stages", "em", "features")  # of a YAML file


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to train a hidden Markov model.

    Raises
    ------
    DataError
        If the first stage is not 'monophone', or there is no such kind of EM.
    """

    stages: tuple[Stage, ...] = RECIPES["standard"]
    """The schedules to train by, one after the other."""
    em: str = "viterbi"
    """'viterbi' counts a frame for the best path alone, 'full' for every path by its probability."""
    seed: int = 0
    """The seed of the directions in which Gaussians are split; the same gives the same model."""
    jobs: int = field(default_factory=cores)
    """The number of processes."""
    device: str = "cpu"
    """Where features, scores, search and sums are computed."""
    frontend: CepstralFrontend = field(default_factory=CepstralFrontend)
    """What turns recordings into features."""
    resume: bool = False
    """Whether to go on where an earlier training stopped."""
    letters: bool = False
    """Whether letters take the place of eSpeak's pronunciations where they fit the recordings better."""
    start: AnyBackend | None = None
    """What aligns the corpus first, so that the training starts from there; None begins flat (see
    `aligner.learn.guide`)."""

    def __post_init__(self) -> None:
        if not self.stages or self.stages[0].kind != "monophone":
            raise DataError(
                "stages", "the first is not monophone", "begin with it: it needs no model", fault=Fault.CALL
            )
        if self.em not in EM:
            raise DataError(
                "em", f"there is no {self.em!r}", f"take one of {', '.join(EM)}", fault=Fault.CALL
            )


def options_of(recipe: str, config: Path | None, **others: Any) -> Options:
    """Return the options of a recipe, changed by what a YAML file says.

    Parameters
    ----------
    recipe : str
        One of `aligner.names.RECIPES`.
    config : Path or None
        A YAML file that may have ``stages`` (a list of maps with the fields of
        `aligner.train.stages.Stage`), ``em`` and ``features`` (fields of `aligner.features.SphinxFrontend`).
    **others
        Other fields of `Options`; ``em`` counts for more than what the file says.

    Raises
    ------
    DataError
        If the file cannot be read or says something that is not understood; naming the key.
    """
    options = Options(stages=RECIPES[recipe], **others)
    if config is None:
        return options
    given = _read_config(config)
    try:
        return _changed(options, given, em=others.get("em"))
    except (TypeError, ValueError) as error:
        raise DataError(
            config, str(error), f"a stage has {', '.join(f.name for f in fields(Stage))}"
        ) from error
    except DataError as error:
        raise DataError(config, f"{error.where}: {error.rule}", error.remedy) from error


def _read_config(config: Path) -> dict[str, Any]:
    """Read a YAML file whose keys are those of `CONFIG_KEYS`; DataError if it is none."""
    import yaml

    try:
        given = yaml.safe_load(read_text(config)) or {}
    except yaml.YAMLError as error:
        line = getattr(getattr(error, "problem_mark", None), "line", -1) + 1
        where = f"{config}:{line}" if line else config
        raise DataError(where, "it is not YAML", "write lines of key: value") from error
    unknown = sorted(set(given) - set(CONFIG_KEYS), key=str) if isinstance(given, dict) else [given]
    if unknown:
        raise DataError(config, f"{unknown[0]!r} is not understood", "the keys are stages, em and features")
    assert isinstance(given, dict)
    return given


def _changed(options: Options, given: Mapping[str, Any], em: str | None) -> Options:
    """Return options changed by what a file says; ``em`` counts for more where it is given."""
    if "stages" in given:
        stages = tuple(Stage(**_fields(Stage, s, "stages")) for s in given["stages"] or ())
        options = replace(options, stages=stages)
    if "features" in given:
        own = _fields(SphinxFrontend, given["features"], "features")
        cepstral = replace(options.frontend.cepstral, **own)
        options = replace(options, frontend=replace(options.frontend, cepstral=cepstral))
    return replace(options, em=em or given.get("em", options.em))


def _fields(record: type, given: Any, key: str) -> dict[str, Any]:
    """Return what a file says of a record's fields, once their names and types are known to be right;
    ValueError if they are not.
    """
    if not isinstance(given, dict):
        raise ValueError(f"{key}: {given!r} is no map of fields")
    kinds = {"int": int, "float": (int, float), "str": str, "bool": bool}
    known = {f.name: kinds[str(f.type)] for f in fields(record)}
    for name, value in given.items():
        if name not in known:
            raise ValueError(f"{key}: {name!r} is none of {', '.join(known)}")
        if not isinstance(value, known[name]):  # type: ignore[arg-type]
            raise ValueError(f"{key}: {name} is {value!r}")
    missing = [f.name for f in fields(record) if f.default is MISSING and f.name not in given]
    if missing:
        raise ValueError(f"{key}: {missing[0]!r} is missing")
    return given
