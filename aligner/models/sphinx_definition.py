"""The model definition of CMU Sphinx, ``mdef``, text or binary: the states of each phone in context."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aligner.graph import Position, Unit
from aligner.types import ModelError


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
    at += entries.nbytes + 4  # and the length of the sequences, which the counts give, too
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
    """Read a text definition: a version, counts, and a row for each phone in context."""
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
