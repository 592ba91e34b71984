"""Storing hidden Markov models, trained or adapted here, as folders.

============================  =============================================================================
``hmm.json``                  phones, front end, language, how it was trained, on what, with which figures
``hmm-....safetensors``       all numbers; its name and checksum stand in the table
``dictionary.dict``           the model's own dictionary
``training.csv``, ``.html``   how the training went
============================  =============================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from torch import Tensor

from aligner.features import CepstralFrontend, SphinxFrontend
from aligner.graph import Topology
from aligner.models import packed
from aligner.models.base import Scorer
from aligner.models.gmm import GaussianMixtures
from aligner.models.head import Head
from aligner.models.hybrid import HybridFrontend, PrecomputedScores
from aligner.models.known import HMM_TABLE
from aligner.models.markov import G2PS, Frontend, MarkovModel
from aligner.models.neural import Shape, TcnNetwork
from aligner.models.sphinx import SphinxTopology
from aligner.models.sphinx_definition import ModelDefinition
from aligner.models.tree import Forest, TreeTopology
from aligner.types import ModelError

TABLE = HMM_TABLE
DICTIONARY = "dictionary.dict"
R = TypeVar("R")
Table = dict[str, Any]
Tensors = dict[str, Tensor]


def save(
    model: MarkovModel,
    folder: Path,
    name: str = TABLE,
    more: Mapping[str, Any] | None = None,
    tensors: Mapping[str, Tensor] | None = None,
) -> None:
    """Write a model into a folder; its dictionary is not copied.

    Parameters
    ----------
    model : MarkovModel
    folder : Path
    name : str
        Name of the table.
    more : mapping, optional
        Further fields of the table.
    tensors : mapping, optional
        Further tensors.

    Raises
    ------
    ModelError
        If it cannot be written; what was there before is intact.
    """
    table, numbers = parts(model)
    packed.write(folder, name, {**table, **(more or {})}, {**numbers, **(tensors or {})})


def load(folder: Path, name: str = TABLE) -> MarkovModel:
    """Read what `save` wrote.

    Raises
    ------
    ModelError
        Naming the file and the field that is wrong.
    """
    table, tensors = packed.read(folder, name)
    return whole(folder / name, table, tensors)


def parts(model: MarkovModel) -> tuple[Table, Mapping[str, Tensor | np.ndarray]]:
    """Split a model into a table and tensors."""
    front, of_front = _of_frontend(model.frontend)
    topology, of_topology = _of_topology(model.topology)
    table = {
        "name": model.name,
        "language": model.language,
        "g2p": model.g2p,
        "spread": model.spread,
        "offsets_ms": {", ".join(k): round(1000 * v, 3) for k, v in model.offsets.items()},
        "frontend": front,
        "topology": topology,
        "about": dict(model.about),
    }
    numbers: dict[str, Tensor | np.ndarray] = {
        **of_front,
        **of_topology,
        **_of_mixtures("mixtures", model.mixtures),
    }
    if model.transform is not None:
        numbers["transform"] = model.transform
    if model.adapted is not None:
        numbers |= _of_mixtures("adapted", model.adapted)
    if model.head is not None:
        table["head"], of_head = model.head.parts()
        numbers |= {f"head.{name}": tensor for name, tensor in of_head.items()}
    return table, numbers


def _of_frontend(frontend: Frontend) -> tuple[Table, Tensors]:
    if isinstance(frontend, HybridFrontend):
        network = frontend.network
        return (
            {
                "kind": "network",
                "delay": frontend.delay,
                "weight": frontend.weight,
                "shape": asdict(network.shape),
                "states": len(network.labels),
            },
            {
                "log_priors": network.log_priors,
                **{f"network.{k}": v for k, v in network.state_dict().items()},
            },
        )
    if isinstance(frontend, SphinxFrontend):
        return {"kind": "sphinx", **asdict(frontend)}, {}
    assert isinstance(frontend, CepstralFrontend)
    transform = {} if frontend.transform is None else {"frontend.transform": frontend.transform}
    return {
        "kind": "cepstral",
        "reach": frontend.reach,
        "prior": frontend.prior,
        "cepstral": asdict(frontend.cepstral),
    }, transform


def _of_topology(topology: Topology) -> tuple[Table, Mapping[str, np.ndarray]]:
    if isinstance(topology, TreeTopology):
        numbers = {f"forest.{name}": value for name, value in vars(topology.forest).items()}
        return (
            {"kind": "tree", "phones": list(topology.phones)},
            numbers | {"transitions": topology.transitions, "alone": topology.alone},
        )
    assert isinstance(topology, SphinxTopology)
    d = topology.definition
    keys = np.array(list(d.triphones.items()), np.int64).reshape(-1, 2)
    return (
        {
            "kind": "sphinx",
            "phones": list(d.phones),
            "fillers": sorted(d.fillers),
            "silence": d.silence,
            "noises": list(topology.noises),
            "senones": d.senones,
        },
        {
            "states": d.states.astype(np.int64),
            "unit_transitions": d.transitions.astype(np.int64),
            "triphones": keys,
            "base": d.base.astype(np.int64),
            "transitions": topology.transitions,
        },
    )


def _of_mixtures(name: str, mixtures: Scorer) -> Mapping[str, Tensor | np.ndarray]:
    if isinstance(mixtures, PrecomputedScores):
        return {}
    assert isinstance(mixtures, GaussianMixtures)
    found: dict[str, Tensor | np.ndarray] = {f"{name}.codebook": mixtures.codebook}
    for k, stream in enumerate(mixtures.streams):
        found |= {
            f"{name}.{k}.means": stream.means,
            f"{name}.{k}.covariances": stream.covariances,
            f"{name}.{k}.weights": stream.weights,
        }
    return found


def whole(path: Path, table: Table, tensors: Tensors, finished: bool = True) -> MarkovModel:
    """Rebuild a model from its table, at ``path``, and tensors; unless ``finished`` it is in training."""
    field = partial(_field, path)
    front = field("frontend", lambda: _frontend(table["frontend"], tensors))
    topology = field("topology", lambda: _topology(table["topology"], tensors))
    mixtures: Scorer = PrecomputedScores()
    if not isinstance(front, HybridFrontend):
        mixtures = field("mixtures", lambda: _mixtures("mixtures", tensors))
    adapted = (
        field("adapted", lambda: _mixtures("adapted", tensors)) if "adapted.codebook" in tensors else None
    )
    offsets = field("offsets_ms", lambda: {_pair(k): float(v) / 1000 for k, v in table["offsets_ms"].items()})
    _, language, about = (
        field(name, partial(_kind, table.get(name), (kind, type(None))))
        for name, kind in (("name", str), ("language", str), ("about", dict))
    )
    model = MarkovModel(
        name=str(table.get("name", path.parent.name)),
        frontend=front,
        topology=topology,
        mixtures=mixtures,
        adapted=adapted,
        transform=tensors.get("transform"),
        offsets=offsets,
        language=language,
        g2p=field("g2p", lambda: _one_of(table["g2p"], G2PS)),
        spread=field("spread", lambda: float(table["spread"])),
        head=field("head", lambda: _head(table["head"], tensors)) if "head" in table else None,
        about=about or {},
    )
    field("topology", lambda: _check(model, finished))
    return model


def _field(path: Path, name: str, make: Callable[[], R]) -> R:
    """Make the value of a table's field; ModelError that names it where it is missing or wrong."""
    try:
        return make()
    except KeyError as error:
        raise ModelError(path, f"field {error.args[0]!r} is missing", packed.REMEDY) from error
    except (TypeError, ValueError, AttributeError, IndexError, RuntimeError) as error:
        raise ModelError(path, f"field {name!r} is wrong ({error})", packed.REMEDY) from error


def _kind(value: Any, kinds: tuple[type, ...]) -> Any:
    if not isinstance(value, kinds):
        raise ValueError(f"it is {value!r}")
    return value


def _pair(text: str) -> tuple[str, str]:
    before, after = text.split(", ")
    return before, after


def _one_of(value: Any, known: tuple[str, ...]) -> str:
    if value not in known:
        raise ValueError(f"{value!r} is none of {', '.join(known)}")
    return str(value)


def _frontend(table: Table, tensors: Tensors) -> Frontend:
    own = {k: v for k, v in table.items() if k != "kind"}
    if table["kind"] == "sphinx":
        return SphinxFrontend(**own)
    if table["kind"] == "network":
        return _network(table, tensors)
    if table["kind"] != "cepstral":
        raise ValueError(f"a front end of the kind {table['kind']!r}")
    return CepstralFrontend(
        SphinxFrontend(**own["cepstral"]),
        int(own["reach"]),
        tensors.get("frontend.transform"),
        float(own["prior"]),
    )


def _network(table: Table, tensors: Tensors) -> HybridFrontend:
    network = TcnNetwork([str(k) for k in range(int(table["states"]))], Shape(**table["shape"]))
    network.load_state_dict(
        {k.removeprefix("network."): v for k, v in tensors.items() if k.startswith("network.")}
    )
    if tensors["log_priors"].shape != network.log_priors.shape:
        raise ValueError(f"{len(tensors['log_priors'])} priors of {table['states']} states")
    network.log_priors = tensors["log_priors"]
    return HybridFrontend(network.eval(), float(table["delay"]), float(table["weight"]))


def _topology(table: Table, tensors: Tensors) -> Topology:
    t = {name: value.numpy() for name, value in tensors.items()}
    if table["kind"] == "tree":
        forest = Forest(**{f.name: t[f"forest.{f.name}"] for f in fields(Forest)})
        if len(forest.roots) != len(table["phones"]):
            raise ValueError(f"{len(table['phones'])} phones, trees of {len(forest.roots)}")
        return TreeTopology(
            phones=tuple(table["phones"]), forest=forest, transitions=t["transitions"], alone=t["alone"]
        )
    if table["kind"] != "sphinx":
        raise ValueError(f"a topology of the kind {table['kind']!r}")
    definition = ModelDefinition(
        phones=tuple(table["phones"]),
        fillers=frozenset(table["fillers"]),
        silence=int(table["silence"]),
        states=t["states"],
        transitions=t["unit_transitions"],
        triphones=dict(t["triphones"].tolist()),
        base=t["base"],
        senones=int(table["senones"]),
    )
    return SphinxTopology(definition, t["transitions"], tuple(table["noises"]))


def _mixtures(name: str, tensors: Tensors) -> GaussianMixtures:
    streams = sum(key.startswith(f"{name}.") and key.endswith(".means") for key in tensors)
    if not streams:
        raise KeyError(f"{name}.0.means")
    means, covariances, weights = (
        [tensors[f"{name}.{k}.{what}"] for k in range(streams)]
        for what in ("means", "covariances", "weights")
    )
    codebook = tensors[f"{name}.codebook"].numpy()
    for m, c, w in zip(means, covariances, weights, strict=True):
        if m.shape != c.shape or w.shape != (len(codebook), m.shape[1]) or int(codebook.max()) >= len(m):
            raise ValueError(
                f"means {tuple(m.shape)}, covariances {tuple(c.shape)}, weights {tuple(w.shape)} and "
                f"{len(codebook)} pdfs do not go together"
            )
        if not bool((c > 0).all()) or bool((w < 0).any()):
            raise ValueError("a variance is not above 0, or a weight is below")
    return GaussianMixtures.of_tensors(means, covariances, weights, codebook)


def _head(table: Table, tensors: Tensors) -> Head:
    own = {name.removeprefix("head."): t for name, t in tensors.items() if name.startswith("head.")}
    return Head.whole(table, own)


def _check(model: MarkovModel, finished: bool) -> None:
    """Raise ValueError where topology, mixtures and front end do not go together."""
    if isinstance(model.frontend, HybridFrontend):
        pdfs = dims = model.frontend.size
    else:
        assert isinstance(model.mixtures, GaussianMixtures)
        pdfs, dims = len(model.mixtures.codebook), sum(s.means.shape[2] for s in model.mixtures.streams)
    most = int(model.topology.alone.max()) if finished else 0  # phones without context are made at the end
    if isinstance(model.topology, TreeTopology):
        most = max(most, model.topology.forest.pdfs - 1)
    if most >= pdfs:
        raise ValueError(f"it asks for pdf {most} of {pdfs}")
    size = getattr(model.frontend, "size", dims)
    if size != dims:
        raise ValueError(f"frames of {size} numbers, mixtures of {dims}")
    if model.head is not None:
        try:
            model.head.columns_of(model.topology)
        except ModelError as error:
            raise ValueError(error.rule) from error
