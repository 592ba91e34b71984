"""Storing numbers and words in a folder: tensors in safetensors, all else in a table of JSON.

Neither can run anything.  The table names the file of its tensors, which is named after their content; so the
two belong together, and a folder is changed all at once, by renaming the table.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from aligner import __version__
from aligner.formats.files import write_text, written_whole
from aligner.types import ModelError

R = TypeVar("R")
VERSION = 1  # version of the layout; a newer one cannot be read
REMEDY = "copy the model again, or train it again"


def write(
    folder: Path, name: str, table: Mapping[str, Any], tensors: Mapping[str, Tensor | np.ndarray]
) -> None:
    """Write a table and its tensors; an older table of this name stays whole until all is written.

    Raises
    ------
    ModelError
        If the disk is full, or nothing may be written there; what was there before is intact.
    """
    stem = name.removesuffix(".json")
    before = _named(folder / name)
    data = save({key: _tensor(value) for key, value in tensors.items()})
    digest = hashlib.sha256(data).hexdigest()
    weights = f"{stem}-{digest[:12]}.safetensors"
    shapes = {key: list(_tensor(value).shape) for key, value in tensors.items()}
    whole = {
        "version": VERSION,
        "aligner": __version__,
        **table,
        "weights": weights,
        "sha256": digest,
        "shapes": shapes,
    }
    try:
        with written_whole(folder / weights) as beside:
            beside.write_bytes(data)
        write_text(folder / name, json.dumps(whole, ensure_ascii=False, indent=1) + "\n")
    except OSError as error:
        if weights != before:
            (folder / weights).unlink(missing_ok=True)
        raise ModelError(
            folder,
            f"the model cannot be written ({error.strerror})",
            "make room or name another folder; what was there is intact",
        ) from error
    if before and before != weights:
        (folder / before).unlink(missing_ok=True)  # the numbers that this table had, and nothing else names


def _named(path: Path) -> str:
    """Name of the tensors' file in a table; empty if there is no table."""
    try:
        name = json.loads(path.read_text(encoding="utf-8"))["weights"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return name if isinstance(name, str) and name == Path(name).name else ""


def _tensor(value: Tensor | np.ndarray) -> Tensor:
    tensor = torch.from_numpy(np.ascontiguousarray(value)) if isinstance(value, np.ndarray) else value
    return tensor.detach().cpu().contiguous().clone()  # two that share memory would not be written


def read(folder: Path, name: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read a table and its tensors as `write` wrote them.

    Raises
    ------
    ModelError
        Naming the file and the field that is missing, damaged, of a newer version, or of another shape.
    """
    path = folder / name
    table = _table(path)
    version = table.get("version")
    if not isinstance(version, int):
        raise ModelError(path, "it has no field 'version'", REMEDY)
    if version > VERSION:
        raise ModelError(
            path,
            f"field 'version' is {version}, this aligner reads up to {VERSION}",
            "install a newer aligner",
        )
    weights = _named(path)
    if not weights:
        raise ModelError(path, "field 'weights' names no file", REMEDY)
    return table, _tensors(folder / weights, table, path)


def put_together(path: Path, make: Callable[[], R], remedy: str = REMEDY) -> R:
    """What ``make`` makes of the fields and tensors of the table at ``path``.

    Raises
    ------
    ModelError
        If a field is missing, or is not what it makes something of.
    """
    try:
        return make()
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        missing = f"there is no field {error}" if isinstance(error, KeyError) else ""
        detail = missing or " ".join(str(error).split())[:120]
        raise ModelError(path, f"it is damaged ({detail})", remedy) from error


def _table(path: Path) -> dict[str, Any]:
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(path, f"it cannot be read ({error.strerror})", REMEDY) from error
    except ValueError as error:
        raise ModelError(path, f"it is not JSON ({error})", REMEDY) from error
    if not isinstance(table, dict):
        raise ModelError(path, "it holds no table", REMEDY)
    return table


def _tensors(path: Path, table: Mapping[str, Any], source: Path) -> dict[str, Tensor]:
    """Read the tensors of a table, whose own path is ``source``, and check them."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(
            path,
            f"it cannot be read ({error.strerror}), and field 'weights' of {source.name} names it",
            REMEDY,
        ) from error
    if hashlib.sha256(data).hexdigest() != table.get("sha256"):
        raise ModelError(
            path,
            f"its content is not what field 'sha256' of {source.name} says: it is truncated or changed",
            REMEDY,
        )
    try:
        tensors = load(data)
    except SafetensorError as error:
        raise ModelError(path, f"it is no safetensors file ({error})", REMEDY) from error
    _check_tensors(path, table, source, tensors)
    return tensors


def _check_tensors(path: Path, table: Mapping[str, Any], source: Path, tensors: Mapping[str, Tensor]) -> None:
    """Raise ModelError where tensors have other shapes than the table says, or hold NaN."""
    shapes = table.get("shapes")
    found = {key: list(value.shape) for key, value in tensors.items()}
    if not isinstance(shapes, dict) or shapes != found:
        wrong = next(
            (
                k
                for k in {**found, **(shapes if isinstance(shapes, dict) else {})}
                if not isinstance(shapes, dict) or shapes.get(k) != found.get(k)
            ),
            "shapes",
        )
        stated = shapes.get(wrong) if isinstance(shapes, dict) else None
        raise ModelError(
            path, f"field {wrong!r} has the shape {found.get(wrong)}, {source.name} says {stated}", REMEDY
        )
    for key, value in tensors.items():
        if value.is_floating_point() and bool(value.isnan().any()):
            raise ModelError(path, f"field {key!r} holds NaN", REMEDY)
