"""CTC networks that others trained: torchaudio's pipelines, and Hugging Face's models.

What yields the posteriors of a CTC model is called a network here: ``labels``, ``blank``, ``clock``, and a
call that turns a wave (N,) into log posteriors (T, V).  These say in addition what a transcript needs to be
spelled in their labels: ``boundary``, ``case`` and ``star``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn.utils import parametrize

from aligner.graph.ctc import BLANK
from aligner.models import pairs
from aligner.types import Clock, ModelError

STAR = "*"
WORD_DELIMITER = "|"
INSTALL = "pip install 'aligner[ctc]'"


@dataclass(frozen=True, kw_only=True)
class PretrainedNetwork:
    """A CTC network that others trained, with what is needed to spell transcripts in its labels."""

    name: str
    """Name or folder that the network was loaded from."""
    labels: tuple[str, ...]
    """(V,): what each column of the posteriors stands for; ``<blank>`` is the blank."""
    blank: int
    """Column of the blank."""
    clock: Clock
    """The hop is the stride of all convolutions together, the window what one frame sees of the wave."""
    boundary: str | None
    """Label between words, if the network has one."""
    case: str | None
    """Case that the labels are written in; None where they have both cases, or no letters."""
    star: str | None
    """The label that stands for anything: its column is the last, and 0 (probability 1) throughout."""
    module: nn.Module
    """Torch module that computes the logits."""
    logits: Callable[[Tensor], Tensor]
    """Function that gives the module's logits (T, V without the star) for a wave (N,)."""

    def to(self, device: torch.device | str) -> PretrainedNetwork:
        """Move the module to a device; waves are moved when they come, and posteriors stay there."""
        self.module.to(device)
        return self

    @torch.no_grad()
    def __call__(self, wave: Tensor) -> Tensor:
        """Log posteriors (T, V), float32, of a wave (N,) of full scale 1 at the clock's rate.

        A wave that is shorter than the window is padded with zeros behind: T is at least 1.
        """
        device = next(self.module.parameters()).device
        padded = nn.functional.pad(wave, (0, max(0, self.clock.window - len(wave))))
        posteriors = self.logits(padded.to(device)).float().log_softmax(1)
        return nn.functional.pad(posteriors, (0, int(self.star is not None)))


def receptive_field(kernels: Sequence[int], strides: Sequence[int]) -> tuple[int, int]:
    """Hop and window, in samples, of a stack of convolutions.

    Examples
    --------
    >>> receptive_field((10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2))     # wav2vec 2.0
    (320, 400)
    """
    hop, window = 1, 1
    for kernel, stride in zip(kernels, strides, strict=True):
        window += (kernel - 1) * hop
        hop *= stride
    return hop, window


def letter_case(labels: Iterable[str]) -> str | None:
    """Whether the single letters among the labels are all ``upper`` or all ``lower`` case; else None.

    Examples
    --------
    >>> letter_case(["<blank>", "|", "A", "B", "'"]), letter_case(["a", "ß"]), letter_case(["S", "s"])
    ('upper', 'lower', None)
    """
    letters = [c for c in labels if len(c) == 1 and c.lower() != c.upper()]
    if letters and all(c.isupper() for c in letters):
        return "upper"
    return "lower" if letters and all(c.islower() for c in letters) else None


def torchaudio_bundles() -> tuple[str, ...]:
    """Names of torchaudio's pipelines that give posteriors of labels: ``MMS_FA``, but not ``HUBERT_BASE``."""
    from torchaudio import pipelines

    return tuple(
        sorted(
            name
            for name in dir(pipelines)
            if not isinstance(bundle := getattr(pipelines, name), type)
            and all(hasattr(bundle, part) for part in ("get_labels", "get_model"))
        )
    )


def torchaudio_network(name: str) -> PretrainedNetwork:
    """Load a network of ``torchaudio.pipelines``; torchaudio fetches the weights once and keeps them.

    Parameters
    ----------
    name : str
        ``MMS_FA``, ``WAV2VEC2_ASR_BASE_960H``, ``HUBERT_ASR_LARGE``, ... (see `torchaudio_bundles`).

    Raises
    ------
    ModelError
        If torchaudio is not there or does not go with this torch, there is no such pipeline, or its weights
        cannot be fetched.
    """
    trouble = pairs.trouble()
    if trouble:
        raise ModelError(
            name, f"only one of torchaudio's pipelines could have this name, and {trouble}", pairs.here()
        )
    from torchaudio import pipelines

    if name not in torchaudio_bundles():
        raise ModelError(
            name,
            "torchaudio has no such pipeline with labels",
            f"take one of {', '.join(torchaudio_bundles())}",
        )
    bundle = getattr(pipelines, name)
    return _of_bundle(name, bundle, has_star=isinstance(bundle, type(pipelines.MMS_FA)))


def _of_bundle(name: str, bundle: Any, *, has_star: bool) -> PretrainedNetwork:
    """Make a network of a bundle; bundles with a star would give it a column themselves."""
    module = _fetched(name, bundle, {"with_star": False} if has_star else {})
    labels = bundle.get_labels(blank=BLANK)
    core: Any = getattr(module, "model", module)  # within the wrapper that normalises the wave
    layers = core.feature_extractor.conv_layers
    hop, window = receptive_field([c.kernel_size for c in layers], [c.stride for c in layers])
    return PretrainedNetwork(
        name=name,
        labels=labels,
        blank=0,
        clock=Clock(hop, window, int(bundle.sample_rate)),
        boundary=_boundary(labels),
        case=letter_case(labels),
        star=STAR if has_star else None,
        module=module,
        logits=lambda wave: module(wave[None])[0][0],
    )


def _fetched(name: str, bundle: Any, options: dict[str, bool]) -> nn.Module:
    """Load a bundle's module with its weights, without running what a pickle might hold."""
    try:
        module: nn.Module = bundle.get_model(**options, dl_kwargs={"weights_only": True})
    except OSError as error:  # a URLError is one
        raise ModelError(
            name,
            f"its weights could not be fetched ({error})",
            "connect this machine to the network, or fetch them elsewhere and copy the folder that "
            f"torch.hub.get_dir() names here ({torch.hub.get_dir()})",
        ) from error
    return _plain(module)


def huggingface_network(folder_or_name: str | Path) -> PretrainedNetwork:
    """Load a CTC network of Hugging Face's ``transformers``, from a folder or by its name on the hub.

    The network is any that takes samples (wav2vec 2.0, HuBERT, WavLM, SEW, data2vec, ...).  A folder holds
    config.json, model.safetensors (or pytorch_model.bin), vocab.json and preprocessor_config.json (or
    processor_config.json); nothing is asked of the network then.

    Raises
    ------
    ModelError
        If transformers is not installed, or the network is missing, damaged or of another kind.
    """
    where = str(folder_or_name)
    if find_spec("transformers") is None:
        raise ModelError(where, "Hugging Face's transformers is not installed", INSTALL)
    local = Path(folder_or_name).is_dir()
    extractor = _read(where, lambda: _extractor(where, local))
    module = _read(where, lambda: _module(where, local))
    vocabulary = _read(where, lambda: _json(where, local, "vocab.json"))
    config: Any = module.config
    labels = _labels(where, vocabulary, config.vocab_size, config.pad_token_id)
    boundary = _boundary(labels, _read(where, lambda: _delimiter(where, local)))
    clock = Clock(*_stride(where, config), extractor.sampling_rate)
    return PretrainedNetwork(
        name=where,
        labels=labels,
        blank=config.pad_token_id,
        clock=clock,
        boundary=boundary,
        case=letter_case(labels),
        star=None,
        module=module,
        logits=lambda wave: module(_input_values(extractor, wave)).logits[0],
    )


def _read(where: str, reading: Callable[[], Any]) -> Any:
    """Call ``reading``, and turn its errors into the model's."""
    try:
        return reading()
    except (
        OSError,
        ValueError,
        KeyError,
        RuntimeError,
        ImportError,
        SafetensorError,
        UnpicklingError,
    ) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(
            where,
            f"it cannot be loaded as a CTC network ({first})",
            "check the folder or the name on the hub; a name needs a connection",
        ) from error


def _extractor(where: str, local: bool) -> Any:
    """Load the feature extractor, which prepares waves for the module."""
    from transformers import AutoFeatureExtractor

    extractor = AutoFeatureExtractor.from_pretrained(where, local_files_only=local)
    if "input_values" not in extractor.model_input_names:
        raise ValueError(f"it takes {extractor.model_input_names[0]}, not samples")
    return extractor


def _input_values(extractor: Any, wave: Tensor) -> Tensor:
    """Run the extractor on a wave (N,): a batch (1, N) on the wave's device."""
    made = extractor(wave.cpu().numpy(), sampling_rate=extractor.sampling_rate, return_tensors="pt")
    values: Tensor = made["input_values"]
    return values.to(wave.device)


def _module(where: str, local: bool) -> nn.Module:
    """Load the module in float32; ValueError where the file lacks weights, which would be random."""
    from transformers import AutoModelForCTC

    module, info = AutoModelForCTC.from_pretrained(
        where, local_files_only=local, dtype=torch.float32, output_loading_info=True
    )
    lacking = sorted(info["missing_keys"]) + sorted(str(k) for k in info["mismatched_keys"])
    if lacking:
        raise ValueError(f"weights are missing: {', '.join(lacking[:3])}; was it trained with CTC?")
    return _plain(module.eval())


def _plain(module: nn.Module) -> nn.Module:
    """Replace parametrised weights by plain ones, since the former cannot be sent to a process."""
    part: Any
    for part in module.modules():
        if parametrize.is_parametrized(part):
            for name in list(part.parametrizations):
                parametrize.remove_parametrizations(part, name)
    return module


def _json(where: str, local: bool, name: str, must: bool = True) -> dict[str, Any]:
    """Read a JSON file beside a network; empty where it is missing and not required."""
    from transformers.utils import cached_file

    path = cached_file(where, name, local_files_only=local, _raise_exceptions_for_missing_entries=must)
    content = json.loads(Path(path).read_text(encoding="utf-8")) if path else {}
    if not isinstance(content, dict):
        raise ValueError(f"{name} is not a table")
    return content


def _delimiter(where: str, local: bool) -> str | None:
    """Label between words, as the tokenizer has it."""
    found: str | dict[str, str] | None
    found = _json(where, local, "tokenizer_config.json", must=False).get(
        "word_delimiter_token", WORD_DELIMITER
    )
    return found.get("content") if isinstance(found, dict) else found


def _labels(where: str, vocabulary: dict[str, Any], size: int, blank: int) -> tuple[str, ...]:
    """Labels of the columns; a column without one in the vocabulary is labelled by its number."""
    if not all(isinstance(column, int) for column in vocabulary.values()):
        raise ModelError(
            where,
            "its vocab.json holds the alphabets of several languages",
            "save the network with the adapter and the vocabulary of one of them",
        )
    if not 0 <= blank < size:
        raise ModelError(
            where,
            f"its blank (pad_token_id in config.json) is {blank}, not one of the {size} columns",
            "correct config.json",
        )
    labels = [f"<{column}>" for column in range(size)]
    for label, column in vocabulary.items():
        if 0 <= column < size:  # a tokenizer may hold more than the network was trained with
            labels[column] = label
    labels[blank] = BLANK
    return tuple(labels)


def _stride(where: str, config: Any) -> tuple[int, int]:
    """Hop and window of a network's convolutions, in samples; ModelError where they are unknown."""
    if getattr(config, "add_adapter", False):
        raise ModelError(
            where,
            "its adapter strides over frames, for which there is no clock",
            "take a network without an adapter (add_adapter in config.json)",
        )
    hop, window = receptive_field(config.conv_kernel, config.conv_stride)
    if hop != config.inputs_to_logits_ratio:
        raise ModelError(
            where,
            f"its convolutions stride {hop} samples, its frames {config.inputs_to_logits_ratio}",
            "take a network of another kind",
        )
    return hop, window


def _boundary(labels: Iterable[str], delimiter: str | None = WORD_DELIMITER) -> str | None:
    """Return the delimiter where it is among the labels, otherwise None."""
    return delimiter if delimiter in tuple(labels) else None
