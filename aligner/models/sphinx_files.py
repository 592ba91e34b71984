"""The parameter files of CMU Sphinx: means, variances, transitions and mixture weights.

An S3 file is a text header up to "endhdr", a word that tells the byte order, counts, and float32 numbers; the
formats are those of SphinxTrain and pocketsphinx.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from aligner.types import ModelError

WEIGHT_FLOOR = 1e-7
TRANSITION_FLOOR = 1e-4
SENDUMP_LOG_BASE = 1024 * np.log(1.0001)  # nats for each step of a byte in sendump
BYTE_ORDER_MAGIC = 0x11223344


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
    """Read ``count`` numbers; ModelError if there are fewer."""
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
