"""Reading the acoustic models of CMU Sphinx: continuous, semi-continuous and phonetically tied.

A model is a folder with ``mdef`` (which states make up which phone in which context; text or
binary), ``means``, ``variances``, ``mixture_weights`` or ``sendump``, ``transition_matrices``,
``feat.params`` and ``noisedict``.  The formats are those of SphinxTrain and pocketsphinx.
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from aligner.features import SphinxFrontend
from aligner.graph import Position, Unit
from aligner.models.gmm import GaussianMixtures
from aligner.models.markov import MarkovModel
from aligner.types import ModelError

VARIANCE_FLOOR = 1e-4
WEIGHT_FLOOR = 1e-7
TRANSITION_FLOOR = 1e-4
SENDUMP_LOG_BASE = 1024 * np.log(1.0001)  # nats for each step of a byte in sendump
BYTE_ORDER_MAGIC = 0x11223344


@dataclass(frozen=True, kw_only=True)
class ModelDefinition:
    """The model definition: states (senones) and transition matrix of each phone in context."""

    phones: tuple[str, ...]
    """Context-independent phones; a phone's place in this tuple is its index everywhere below."""
    fillers: frozenset[int]
    """Phones that are silence or noise."""
    silence: int
    """Index of the silence phone."""
    states: np.ndarray
    """(units, states): senones of each unit; the first ``len(phones)`` units are without context."""
    transitions: np.ndarray
    """(units,): index of each unit's transition matrix."""
    triphones: Mapping[int, int]
    """`context_key` -> index of the unit."""
    base: np.ndarray
    """(units,): the phone that each unit is a variant of."""
    senones: int
    """Number of senones in the model."""

    def nearest(self, position: int, base: int, left: int, right: int) -> Unit:
        """Find the unit of a phone in its context, or the closest that the model has.

        Contexts that were not trained back off over the position in the word, then to silence
        around it, then to the phone without context (``bin_mdef_phone_id_nearest`` of pocketsphinx).
        """
        number = base if base in self.fillers else self._triphone(position, base, left, right)
        return Unit(tuple(self.states[number].tolist()), int(self.transitions[number]))

    def _triphone(self, position: int, base: int, left: int, right: int) -> int:
        before = self.silence if left in self.fillers else left
        after = self.silence if right in self.fillers else right
        first = self.silence if position in (Position.BEGIN, Position.SINGLE) else before
        last = self.silence if position in (Position.END, Position.SINGLE) else after
        for sides in ((before, after), (first, last)):
            for p in (position, *(q for q in Position if q != position)):
                key = context_key(p, base, *sides)
                if key in self.triphones:
                    return self.triphones[key]
        return base


def context_key(position: int, base: int, left: int, right: int) -> int:
    """Pack a phone in its context into one number; indices are below 2**12."""
    return ((position << 12 | base) << 12 | left) << 12 | right


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


# The S3 files: a text header up to "endhdr", a word that tells the byte order, counts, float32.


def _read_s3(path: Path) -> tuple[np.ndarray, str]:
    """Read the bytes behind the header, and their byte order."""
    raw = path.read_bytes()
    end = raw.find(b"endhdr\n")
    if not raw.startswith(b"s3") or end < 0 or len(raw) < end + 11:
        raise ModelError(path, "not a Sphinx S3 file", "it should begin with s3 and hold the word endhdr")
    body = raw[end + 7 :]
    for order in "<>":
        if struct.unpack(order + "I", body[:4])[0] == BYTE_ORDER_MAGIC:
            return np.frombuffer(body[4:], np.uint8), order
    raise ModelError(path, "its byte-order word is not 0x11223344", "the file is damaged")


def _counts_and_values(path: Path, counts: int) -> tuple[list[int], np.ndarray, str]:
    """Read the first ``counts`` integers, the bytes behind them, and the byte order."""
    body, order = _read_s3(path)
    if len(body) < 4 * counts:
        raise ModelError(path, "it ends before its counts", "the file is truncated")
    return body[: 4 * counts].view(order + "i4").tolist(), body[4 * counts :], order


def _floats(path: Path, body: np.ndarray, order: str, count: int) -> np.ndarray:
    if len(body) < 4 * count:
        raise ModelError(
            path, f"it promises {count} numbers and holds {len(body) // 4}", "the file is truncated"
        )
    return body[: 4 * count].view(order + "f4").astype(np.float32)


def read_gaussians(path: Path) -> list[np.ndarray]:
    """Read means or variances: one array (codebooks, densities, dimensions) a stream."""
    (books, streams, densities), rest, order = _counts_and_values(path, 3)
    if min(books, streams, densities) < 1 or streams > 64:
        raise ModelError(
            path, f"{books} codebooks, {streams} streams, {densities} densities", "the file is damaged"
        )
    lengths = rest[: 4 * streams].view(order + "i4").tolist()
    values = _floats(path, rest[4 * streams + 4 :], order, books * densities * sum(lengths))
    edges = np.cumsum([0] + [densities * n for n in lengths])
    table = values.reshape(books, -1)
    return [
        table[:, a:b].reshape(books, densities, n) for a, b, n in zip(edges, edges[1:], lengths, strict=False)
    ]


def read_transitions(path: Path) -> np.ndarray:
    """Read log transition probabilities (matrices, states, states + 1); the last column leaves the phone."""
    (matrices, rows, columns, _), rest, order = _counts_and_values(path, 4)
    table = (
        _floats(path, rest, order, matrices * rows * columns)
        .reshape(matrices, rows, columns)
        .astype(np.float64)
    )
    table /= table.sum(2, keepdims=True)
    table = np.where(table > 0, np.maximum(table, TRANSITION_FLOOR), 0.0)
    with np.errstate(divide="ignore"):
        log: np.ndarray = np.log(table / table.sum(2, keepdims=True)).astype(np.float32)
    return log


def read_weights(folder: Path, senones: int, streams: int, densities: int) -> list[np.ndarray]:
    """Read mixture weights, one array (senones, densities) a stream, from mixture_weights or sendump."""
    full, packed = folder / "mixture_weights", folder / "sendump"
    if packed.is_file():
        steps = np.exp(-SENDUMP_LOG_BASE * np.arange(256)).astype(np.float32)
        table = steps[_sendump(packed, streams, densities, senones)]
        return [np.ascontiguousarray(stream.T) for stream in table]
    if not full.is_file():
        raise ModelError(full, "a Sphinx model needs this file or sendump", "name the folder that holds it")
    (rows, found, columns, _), rest, order = _counts_and_values(full, 4)
    if (rows, found, columns) != (senones, streams, densities):
        raise ModelError(
            full,
            f"weights of shape {(rows, found, columns)} for {(senones, streams, densities)}",
            "the files of this folder are from different models",
        )
    table = _floats(full, rest, order, rows * found * columns).reshape(rows, found, columns)
    table = np.maximum(table / table.sum(2, keepdims=True).clip(min=WEIGHT_FLOOR), WEIGHT_FLOOR)
    return list((table / table.sum(2, keepdims=True)).transpose(1, 0, 2))


def _sendump(path: Path, streams: int, densities: int, senones: int) -> np.ndarray:
    """Read minus the log weights (streams, densities, senones), in steps of `SENDUMP_LOG_BASE`.

    They stand at the file's end, a byte each; or, where its header says cluster_bits 4, two to a byte,
    the lower half first, as indices into 16 bytes before them.
    """
    raw = np.frombuffer(path.read_bytes(), np.uint8)
    clustered = b"cluster_bits 4\0" in raw[:4096].tobytes()
    row = (senones + 1) // 2 if clustered else senones
    size = streams * densities * row
    if len(raw) < size + 16 * clustered:
        raise ModelError(path, f"{len(raw)} bytes where {size} of weights should be", "the file is truncated")
    table = raw[-size:].reshape(streams, densities, row)
    if not clustered:
        return table
    halves = np.stack([table & 15, table >> 4], 3).reshape(streams, densities, -1)[:, :, :senones]
    return raw[-size - 16 : -size][halves]


# The model definition.


def read_mdef(path: Path) -> ModelDefinition:
    """Read the model definition ``mdef``, text or binary."""
    raw = path.read_bytes()
    try:
        return _binary_mdef(raw) if raw[:4] in (b"BMDF", b"FDMB") else _text_mdef(raw.decode("ascii"))
    except ModelError:
        raise
    except (struct.error, ValueError, IndexError, KeyError, UnicodeDecodeError) as error:
        raise ModelError(
            path, f"not a model definition ({error})", "the file is truncated or damaged"
        ) from error


def _binary_mdef(raw: bytes) -> ModelDefinition:
    """Read a binary definition: counts, names, the tree of contexts, the phones, and their states."""
    order = "<" if raw[:4] == b"BMDF" else ">"
    at = 12 + struct.unpack(order + "i", raw[8:12])[0]  # behind the header
    base, phones, states, _, senones, _, sequences, _, nodes, silence = struct.unpack(
        order + "10i", raw[at : at + 40]
    )
    at += 40
    names = raw[at:].split(b"\0", base)[:base]
    at += sum(len(n) + 1 for n in names)
    at += -at % 4
    node = np.dtype([("context", order + "i2"), ("children", order + "i2"), ("value", order + "i4")])
    tree = np.frombuffer(raw, node, nodes, at)
    at += tree.nbytes
    entry = np.dtype([("sequence", order + "i4"), ("transitions", order + "i4"), ("attributes", "i1", 4)])
    entries = np.frombuffer(raw, entry, phones, at)
    at += entries.nbytes + 4  # and the length of the sequences, which the counts tell too
    table = (
        np.frombuffer(raw, order + "u2", sequences * states, at).reshape(sequences, states).astype(np.int64)
    )
    keys, numbers = _leaves(tree["context"].astype(np.int64), tree["children"], tree["value"])
    bases = np.arange(phones)
    bases[numbers] = keys >> 24 & 0xFFF
    fillers = frozenset(np.flatnonzero(entries["attributes"][:base, 0]).tolist())
    triphones = dict(zip(keys.tolist(), numbers.tolist(), strict=True))
    return ModelDefinition(
        phones=tuple(n.decode() for n in names),
        fillers=fillers,
        silence=silence,
        states=table[entries["sequence"]],
        transitions=entries["transitions"],
        triphones=triphones,
        base=bases,
        senones=senones,
    )


def _leaves(context: np.ndarray, children: np.ndarray, value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Walk the context tree level by level: `context_key` and unit of each leaf at its full depth."""
    nodes = np.arange(len(Position))
    keys = context[nodes]
    for _ in range(3):
        parents, keys = nodes[children[nodes] > 0], keys[children[nodes] > 0]
        counts = children[parents].astype(np.int64)
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        nodes = np.repeat(value[parents], counts) + within
        keys = np.repeat(keys, counts) << 12 | context[nodes]
    return keys, value[nodes]


def _text_mdef(text: str) -> ModelDefinition:
    lines = [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if lines[0] != ["0.3"]:
        raise ValueError(f"version {lines[0]}")
    count = {name: int(number) for number, name in lines[1:7]}
    rows = lines[7:]
    if len(rows) != count["n_base"] + count["n_tri"]:
        raise ValueError(f"{len(rows)} phones, {count['n_base'] + count['n_tri']} promised")
    names = tuple(row[0] for row in rows[: count["n_base"]])
    index = {name: i for i, name in enumerate(names)}
    place = {"i": Position.INTERNAL, "b": Position.BEGIN, "e": Position.END, "s": Position.SINGLE}
    states = np.array([[int(s) for s in row[6:] if s != "N"] for row in rows])
    triphones = {
        context_key(place[row[3]], *(index[p] for p in row[:3])): k
        for k, row in enumerate(rows)
        if row[3] != "-"
    }
    fillers = frozenset(i for i, row in enumerate(rows[: len(names)]) if row[4] == "filler")
    return ModelDefinition(
        phones=names,
        fillers=fillers,
        silence=index["SIL"],
        states=states,
        transitions=np.array([int(row[5]) for row in rows]),
        triphones=triphones,
        base=np.array([index[row[0]] for row in rows]),
        senones=count["n_tied_state"],
    )
