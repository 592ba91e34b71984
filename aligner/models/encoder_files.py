"""Reading the weights of Whisper's encoder, in whichever format they come.

=============================  ===============================================================================
``model.bin``                  CTranslate2 (faster-whisper), float or quantised to integers
``*.pt``                       OpenAI's own: a pickle, of which nothing but tensors and numbers is read
``config.json`` with weights   Hugging Face: ``model.safetensors``, in one file or several
=============================  ===============================================================================

No code in a file is ever run, and no size in a header is believed: what is read is at most what is in the
file.  The decoder is left where it is.  Names here are those of `aligner.models.encoder`.
"""

from __future__ import annotations

import json
import math
import mmap
import pickletools
import re
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from aligner.types import ModelError

REMEDY = "copy or fetch the model again"
MODEL_BIN, CONFIG = "model.bin", "config.json"
SAFETENSORS, INDEX = "model.safetensors", "model.safetensors.index.json"
MOST_JSON, MOST_PICKLE = 1 << 24, 1 << 22  # bytes of a table; real ones have some thousands
ZIP = b"PK\x03\x04"  # how a torch file begins
SPEC, VERSIONS = "WhisperSpec", range(4, 7)  # CTranslate2's name of Whisper, and layouts that are read
FLOAT32, INT8, INT16, INT32, FLOAT16, BFLOAT16 = range(6)  # CTranslate2's numbers of types
DTYPES = {
    FLOAT32: torch.float32,
    INT8: torch.int8,
    INT16: torch.int16,
    INT32: torch.int32,
    FLOAT16: torch.float16,
    BFLOAT16: torch.bfloat16,
}
# What a pickle of tensors names, and a Whisper model is nothing else; torch itself would admit some more, and
# among it an array of as many bytes as the pickle likes
GLOBALS = {
    "collections OrderedDict",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter",
    *(f"torch {kind}Storage" for kind in ("Float", "Half", "BFloat16", "Double", "Long", "Int")),
}
Raw = bytes | mmap.mmap
Tensors = dict[str, Tensor]
BLOCK = r"blocks\.(\d{1,4})\."
Renaming = tuple[tuple[str, str], ...]

# What each format calls the parts, and what they are called here; applied one after the other
CTRANSLATE2: Renaming = (
    (r"/", "."),
    (r"^encoder\.", ""),
    (r"gamma$", "weight"),
    (r"beta$", "bias"),
    (r"^position_encodings\.encodings", "positions"),
    (r"^layer_norm\.", "norm."),
    (r"^layer_(\d+)\.", r"blocks.\1."),
    (r"self_attention\.layer_norm", "attention_norm"),
    (r"self_attention\.linear_0", "qkv"),
    (r"self_attention\.linear_1", "out"),
    (r"ffn\.layer_norm", "ffn_norm"),
    (r"ffn\.linear_0", "fc1"),
    (r"ffn\.linear_1", "fc2"),
)
OPENAI: Renaming = (
    (r"^encoder\.", ""),
    (r"^positional_embedding$", "positions"),
    (r"^ln_post\.", "norm."),
    (r"\.attn_ln\.", ".attention_norm."),
    (r"\.attn\.", "."),
    (r"\.mlp_ln\.", ".ffn_norm."),
    (r"\.mlp\.0\.", ".fc1."),
    (r"\.mlp\.2\.", ".fc2."),
)
HUGGING_FACE: Renaming = (
    (r"^(model\.)?encoder\.", ""),
    (r"^embed_positions\.weight$", "positions"),
    (r"^layer_norm\.", "norm."),
    (r"^layers\.", "blocks."),
    (r"\.self_attn_layer_norm\.", ".attention_norm."),
    (r"\.final_layer_norm\.", ".ffn_norm."),
    (r"\.self_attn\.", "."),
    (r"\.q_proj\.", ".query."),
    (r"\.k_proj\.", ".key."),
    (r"\.v_proj\.", ".value."),
    (r"\.out_proj\.", ".out."),
)


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The size of an encoder."""

    mels: int
    """Bands of its log mel energies: 80, or 128 from large-v3 on."""
    width: int
    """Channels of a frame, D."""
    heads: int
    """Heads of attention."""
    inner: int
    """Units of a block's perceptron."""
    layers: int
    """Blocks that it has."""
    positions: int
    """Frames of 20 ms that it hears at most."""
    cut: bool = False
    """Whether blocks were left out, so that there is no final layer norm."""


@dataclass(frozen=True, kw_only=True)
class Stored:
    """An encoder in a file of any format."""

    heads: int
    """Heads of attention."""
    size: int
    """Bytes of the file: no tensor can have more."""
    tensors: Mapping[str, Callable[[], Tensor]]
    """What reads each tensor, under the names here but for ``query``, ``key`` and ``value`` where these are
    apart; nothing is in memory yet."""


def read(path: str | Path, layers: int | None = None) -> tuple[Shape, Tensors]:
    """Read the encoder of a Whisper model.

    Parameters
    ----------
    path : str or Path
        A file ``model.bin`` or ``*.pt``, or a folder with ``model.bin`` or with Hugging Face's files.
    layers : int, optional
        Number of blocks that are read; all by default.

    Returns
    -------
    shape : Shape
    tensors : dict of str to Tensor
        The state of an `aligner.models.encoder.Encoder`, float32.

    Raises
    ------
    ModelError
        Naming the file and what is wrong with it.
    """
    path = Path(path)
    try:
        stored = _stored(path)
        tensors, there = _tensors(path, stored, layers)
    except OSError as error:
        raise ModelError(path, f"it cannot be read ({error.strerror or error})", REMEDY) from error
    return _shape(path, stored.heads, tensors, cut=layers is not None and layers < there), tensors


def _stored(path: Path) -> Stored:
    """Find out which format it is, and what is in it."""
    if path.is_dir():
        return _of_ctranslate2(path / MODEL_BIN) if (path / MODEL_BIN).is_file() else _of_hugging_face(path)
    with path.open("rb") as file:
        begins = file.read(len(ZIP))
    return _of_openai(path) if begins == ZIP else _of_ctranslate2(path)


def _renamed(name: str, renaming: Renaming) -> str:
    for pattern, other in renaming:
        name = re.sub(pattern, other, name)
    return name


# CTranslate2: a version, the name of the kind, its revision, then each variable with its shape and numbers


def _of_ctranslate2(path: Path) -> Stored:
    raw = _mapped(path)
    try:
        variables = {
            name: variable for name, variable in _variables(path, raw) if name.startswith("encoder/")
        }
        heads = int(_number(raw, variables.pop("encoder/num_heads")))
    except (struct.error, ValueError, KeyError) as error:
        raise ModelError(
            path, f"it is no model of CTranslate2, or it ends too early ({error})", REMEDY
        ) from error
    scales = {name: variables.pop(f"{name}_scale", None) for name in list(variables)}
    tensors = {
        _renamed(name, CTRANSLATE2): partial(_unquantised, raw, variable, scales[name])
        for name, variable in variables.items()
        if variable.shape and not name.endswith("_scale")
    }
    return Stored(heads=heads, size=len(raw), tensors=tensors)


def _mapped(path: Path) -> Raw:
    """The bytes of a file, of which only those that are looked at are read."""
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if path.stat().st_size else b""


class Variable(NamedTuple):
    """Where in a file of CTranslate2 a variable's numbers are."""

    kind: torch.dtype
    shape: tuple[int, ...]
    begin: int
    end: int


def _variables(path: Path, raw: Raw) -> Iterator[tuple[str, Variable]]:
    (version,), at = struct.unpack_from("<I", raw), 4
    name, at = _text(raw, at)
    if name != SPEC:
        raise ValueError(f"it begins with {bytes(raw[:8])!r}, not with the name {SPEC}")
    if version not in VERSIONS:
        raise ModelError(
            path,
            f"it has version {version} of CTranslate2's layout, and {VERSIONS[0]} to {VERSIONS[-1]} are read",
            "convert it with another CTranslate2",
        )
    (count,), at = struct.unpack_from("<4xI", raw, at), at + 8
    for _ in range(count):
        name, at = _text(raw, at)
        (rank,), at = struct.unpack_from("<B", raw, at), at + 1
        *shape, kind, size = struct.unpack_from(f"<{rank}IBI", raw, at)
        at += 4 * rank + 5
        if kind not in DTYPES or size != math.prod(shape) * DTYPES[kind].itemsize or at + size > len(raw):
            raise ValueError(f"{name} of shape {tuple(shape)}, type {kind} and {size} bytes")
        yield name, Variable(DTYPES[kind], tuple(shape), at, at + size)
        at += size


def _text(raw: Raw, at: int) -> tuple[str, int]:
    (size,), at = struct.unpack_from("<H", raw, at), at + 2
    return bytes(raw[at : at + size]).rstrip(b"\0").decode(errors="replace"), at + size


def _number(raw: Raw, variable: Variable) -> float:
    return float(_numbers(raw, variable))


def _numbers(raw: Raw, variable: Variable) -> Tensor:
    data = bytearray(raw[variable.begin : variable.end])
    return torch.frombuffer(data, dtype=variable.kind).reshape(variable.shape)


def _unquantised(raw: Raw, variable: Variable, scale: Variable | None) -> Tensor:
    """Numbers of a variable; integers stand for themselves divided by a scale, one for all or one a row."""
    numbers = _numbers(raw, variable)
    if scale is None:
        return numbers
    by = _numbers(raw, scale).float()
    return numbers.float() / by.reshape(-1, *[1] * (numbers.ndim - 1))


# OpenAI: a dictionary of sizes and a dictionary of tensors, pickled within a zip file


def _of_openai(path: Path) -> Stored:
    try:
        _check_pickle(path)
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        heads, state = int(content["dims"]["n_audio_head"]), dict(content["model_state_dict"])
    except (
        Exception
    ) as error:  # a damaged pickle raises anything; one that wants to run code, UnpicklingError
        raise ModelError(
            path, f"it holds no Whisper model of OpenAI's ({_first_line(error)})", REMEDY
        ) from error
    return Stored(heads=heads, size=path.stat().st_size, tensors=_lazily(state, OPENAI))


def _check_pickle(path: Path) -> None:
    """Raise ValueError where the pickle in a file names anything but tensors, before it is followed."""
    with zipfile.ZipFile(path) as file:
        [found] = [one for one in file.infolist() if one.filename.split("/")[-1] == "data.pkl"]
        if found.file_size > MOST_PICKLE:
            raise ValueError(f"a pickle of {found.file_size} bytes")
        raw = file.read(found)
    for code, named, _ in pickletools.genops(raw):
        if code.name in ("STACK_GLOBAL", "INST", "EXT1", "EXT2", "EXT4"):
            raise ValueError(f"a pickle with {code.name}")
        if code.name == "GLOBAL" and named not in GLOBALS:
            raise ValueError(f"it names {named}")


def _lazily(state: Mapping[str, Any], renaming: Renaming) -> dict[str, Callable[[], Tensor]]:
    return {
        _renamed(name, renaming): partial(_same, value)
        for name, value in state.items()
        if name.startswith("encoder.") and isinstance(value, Tensor)
    }


def _same(value: Tensor) -> Tensor:
    return value


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


# Hugging Face: a folder with a table of sizes, and one file of safetensors or several


def _of_hugging_face(folder: Path) -> Stored:
    config = _json(folder / CONFIG)
    heads = config.get("encoder_attention_heads")
    if config.get("model_type") != "whisper" or not isinstance(heads, int):
        raise ModelError(
            folder / CONFIG,
            f"it is of a model of the kind {config.get('model_type')!r}, not of Whisper",
            "name the folder of a Whisper model",
        )
    if config.get("activation_function", "gelu") != "gelu":
        raise ModelError(
            folder / CONFIG, f"activation {config['activation_function']!r}, not gelu", "take another model"
        )
    tensors: dict[str, Callable[[], Tensor]] = {}
    size = 0
    for file in _shards(folder):
        size += file.stat().st_size
        for name in _names(file):
            if re.match(r"(model\.)?encoder\.", name):
                tensors[_renamed(name, HUGGING_FACE)] = partial(_of_shard, file, name)
    return Stored(heads=heads, size=size, tensors=tensors)


def _shards(folder: Path) -> list[Path]:
    if (folder / SAFETENSORS).is_file() or not (folder / INDEX).is_file():
        return [folder / SAFETENSORS]
    named = _json(folder / INDEX).get("weight_map")
    files = sorted({str(file) for file in named.values()}) if isinstance(named, dict) else []
    if not files or any(file != Path(file).name for file in files):
        raise ModelError(folder / INDEX, "field 'weight_map' names no files beside it", REMEDY)
    return [folder / file for file in files]


def _json(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        raw = file.read(MOST_JSON)
    try:
        table = json.loads(raw)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is one
        raise ModelError(path, f"it is not JSON ({error})", REMEDY) from error
    if not isinstance(table, dict):
        raise ModelError(path, "it holds no table", REMEDY)
    return table


def _names(path: Path) -> list[str]:
    try:
        with safe_open(path, "pt") as file:
            return list(file.keys())
    except SafetensorError as error:
        raise ModelError(path, f"it is no safetensors file ({error})", REMEDY) from error


def _of_shard(path: Path, name: str) -> Tensor:
    with safe_open(path, "pt") as file:
        tensor: Tensor = file.get_tensor(name)
        return tensor


# What all formats have in common


def _tensors(path: Path, stored: Stored, layers: int | None) -> tuple[Tensors, int]:
    """The tensors of the first ``layers`` blocks in float32, and the number of blocks that there are."""
    blocks = {int(block[1]) for name in stored.tensors if (block := re.match(BLOCK, name))}
    there, wanted = len(blocks), len(blocks) if layers is None else layers
    if not 0 < wanted <= there or blocks != set(range(there)):
        raise ModelError(
            path,
            f"it has {there} blocks of an encoder, and {wanted} are asked for"
            if there
            else "it has no encoder",
            f"ask for 1 to {there}" if there else "name the weights of a Whisper model",
        )
    found: Tensors = {}
    left = stored.size  # a view of few numbers may claim to be of many, and many may be of the same few
    for name, load in stored.tensors.items():
        if _is_kept(name, wanted, there):
            tensor = load()
            left -= tensor.numel()
            if left < 0:
                raise ModelError(
                    path, f"{name} of shape {tuple(tensor.shape)} in a file of {stored.size} bytes", REMEDY
                )
            found[name] = _float(path, name, tensor)
    for k in range(wanted):
        _join(found, f"blocks.{k}")
    return found, there


def _is_kept(name: str, wanted: int, there: int) -> bool:
    """Whether a tensor belongs to the first ``wanted`` of so many blocks, or stands before or behind them."""
    block = re.match(BLOCK, name)
    if block is not None:
        return int(block[1]) < wanted
    return wanted == there or not name.startswith("norm.")


def _float(path: Path, name: str, tensor: Tensor) -> Tensor:
    """A tensor in float32; ModelError where it holds what is no number."""
    numbers = tensor.float().contiguous()
    if not numbers.isfinite().all():
        raise ModelError(path, f"{name} holds numbers that are not finite", REMEDY)
    return numbers.clone() if numbers is tensor else numbers


def _join(tensors: Tensors, block: str) -> None:
    """Put query, key and value one above the other, where they are apart; Whisper's key has no bias."""
    parts = [f"{block}.{part}.weight" for part in ("query", "key", "value")]
    biases = [f"{block}.query.bias", f"{block}.value.bias"]
    if not all(part in tensors for part in (*parts, *biases)):
        return  # they are together, or what is missing will be named
    query, value = (tensors.pop(bias) for bias in biases)
    tensors[f"{block}.qkv.weight"] = torch.cat([tensors.pop(part) for part in parts])
    tensors[f"{block}.qkv.bias"] = torch.cat([query, torch.zeros_like(query), value])


def _shape(path: Path, heads: int, tensors: Tensors, *, cut: bool) -> Shape:
    """The size of an encoder; ModelError where its tensors do not go together."""
    try:
        (width, mels, _), (inner, _) = tensors["conv1.weight"].shape, tensors["blocks.0.fc1.weight"].shape
        positions, _ = tensors["positions"].shape
    except (KeyError, ValueError) as error:
        raise ModelError(path, f"it is no encoder of Whisper ({error})", REMEDY) from error
    if not all((width, mels, inner, positions)):
        raise ModelError(
            path, f"{width} channels, {mels} bands, {inner} units, {positions} positions", REMEDY
        )
    if not 0 < heads <= width or width % heads:
        raise ModelError(path, f"{heads} heads for {width} channels", REMEDY)
    layers = sum(name.endswith(".fc1.weight") for name in tensors)
    shape = Shape(
        mels=mels, width=width, heads=heads, inner=inner, layers=layers, positions=positions, cut=cut
    )
    expected, found = _expected(shape), {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise ModelError(
                path, f"{name} has shape {found.get(name)}, and {expected.get(name)} is due", REMEDY
            )
    return shape


def _expected(shape: Shape) -> dict[str, tuple[int, ...]]:
    """Shapes of all tensors of an encoder; None is one that it does not have."""
    width, inner = shape.width, shape.inner
    found: dict[str, tuple[int, ...]] = {
        "positions": (shape.positions, width),
        "conv1.weight": (width, shape.mels, 3),
        "conv2.weight": (width, width, 3),
        "conv1.bias": (width,),
        "conv2.bias": (width,),
    }
    parts: dict[str, tuple[int, ...]] = {
        "qkv": (3 * width, width),
        "out": (width, width),
        "fc1": (inner, width),
        "fc2": (width, inner),
        "attention_norm": (width,),
        "ffn_norm": (width,),
    }
    for k in range(shape.layers):
        for part, size in parts.items():
            found |= {f"blocks.{k}.{part}.weight": size, f"blocks.{k}.{part}.bias": size[:1]}
    return found if shape.cut else found | {"norm.weight": (width,), "norm.bias": (width,)}
