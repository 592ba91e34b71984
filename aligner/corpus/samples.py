"""Samples that other programs hand over, as arrays, tensors or pairs with their rate, in one form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from aligner.types import DataError, Fault, Utterance

MOST_CHANNELS = 64  # of two dimensions, both larger: no samples, but a spectrogram or features
LEAST_RATE, MOST_RATE = 1000, 10_000_000  # Hz; below, a rate is in kHz or no rate at all
TOO_LOUD = 8.0  # full scale is 1; no float samples overshoot it so far
SCALED_BY_HAND = 256.0  # above it, float samples are integers of 16 bits or more
BITS = (16, 24, 32)  # of integers that a wider type may hold
GIVE = "give (N,), (N, channels) or (channels, N), full scale 1 or of an integer type"


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Samples in the one form that the rest of the program reads."""

    values: np.ndarray
    """(N, channels) float32, full scale 1."""
    rate: int
    """Samples a second."""
    fine: bool
    """Whether they hold sound far below a step of 16 bits."""


def is_samples(given: Any) -> bool:
    """Return whether something is to be read as samples, and not the name of a file.

    Examples
    --------
    >>> is_samples("a.wav"), is_samples([0.0, 0.1])
    (False, True)
    """
    return not (isinstance(given, str) or hasattr(given, "__fspath__"))


def as_samples(given: Any, rate: Any, where: str) -> Samples:
    """Read samples in whatever form torch, torchaudio, librosa, soundfile, scipy or datasets hand them over.

    Parameters
    ----------
    given : array_like, tensor, pair or mapping
        (N,), (N, channels) or (channels, N), of floats or integers, also with dimensions of one around it; or
        with its rate: ``(samples, rate)``, ``(rate, samples)``, ``{"array": ..., "sampling_rate": ...}``.
    rate : int
        Samples a second, where ``given`` does not say.
    where : str
        What an error calls it.

    Raises
    ------
    DataError
        If it is no sound, or its rate is none.

    Examples
    --------
    >>> as_samples((16000, np.array([[0, 16384], [0, -32768]], np.int16)), 8000, "a").rate
    16000
    >>> as_samples(np.zeros((2, 100)), 16000, "a").values.shape
    (100, 2)
    """
    given, rate = _unpaired(given, rate)
    array = _array(given, where)
    fine = array.dtype.kind == "f" or array.dtype.itemsize > 2
    flat = _by_channel(array, where)
    return Samples(values=_full_scale(flat, where), rate=_rate(rate, where), fine=fine)


def plain(utterance: Utterance) -> Utterance:
    """Return an utterance whose sound is a path or an array, as it goes to other processes.

    What is neither stays as it is: whoever reads it says what is wrong.
    """
    given = utterance.audio
    if type(given) is np.ndarray or isinstance(given, Path):
        return utterance
    if not is_samples(given):
        return replace(utterance, audio=Path(cast(str, given)))
    samples, rate = _unpaired(given, utterance.rate)
    try:
        return replace(utterance, audio=_array(samples, utterance.id), rate=rate)
    except DataError:
        return utterance


def piece_of(given: Any, where: str) -> np.ndarray:
    """Read a piece of a stream: mono samples (N,) float32, full scale 1, their channels mixed.

    Integers are scaled by their type, those of 64 bits as ones of 16, for a piece says nothing of the rest.

    Raises
    ------
    DataError
        If it is no sound, or floats that lie far above full scale.
    """
    array = _array(given, where)
    flat = _by_channel(array, where)
    if flat.dtype.kind == "f":
        most = _peak(flat)
        if most > TOO_LOUD:
            raise _no_samples(where, f"samples of up to {most:g}", "divide them: full scale is 1")
        return np.asarray(flat.astype(np.float32).mean(1))
    bits = 16 if flat.dtype.itemsize > 4 else 8 * flat.dtype.itemsize
    return np.asarray(_of_integers(flat, bits).mean(1))


def _unpaired(given: Any, rate: Any) -> tuple[Any, Any]:
    """Separate samples from the rate that comes with them."""
    if isinstance(given, Mapping) and {"array", "sampling_rate"} <= given.keys():
        return given["array"], given["sampling_rate"]
    if hasattr(given, "sample_rate") and hasattr(given, "data"):  # torchcodec's AudioSamples
        return given.data, given.sample_rate
    if isinstance(given, Sequence) and len(given) == 2:
        first, second = given
        if _is_number(first) and _is_row(second):
            return second, first
        if _is_number(second) and _is_row(first):
            return first, second
    return given, rate


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) or getattr(value, "ndim", None) == 0


def _is_row(value: Any) -> bool:
    """Return whether something has a length, be it 1: torchaudio's mono sound is (1, N)."""
    try:
        return len(value) >= 0 and not isinstance(value, str)
    except TypeError:
        return False


def _array(given: Any, where: str) -> np.ndarray:
    """Return an array of numbers, wherever it lay."""
    if hasattr(given, "read") or isinstance(given, (bytes, bytearray)):
        rule = f"a {type(given).__name__}, which holds a file and no samples"
        raise _no_samples(where, rule, "give its name, or what soundfile.read returns of it")
    try:
        if hasattr(given, "detach"):  # a tensor, maybe on a device or of a kind that NumPy lacks
            given = given.detach().cpu()
            if given.is_floating_point() and given.element_size() < 4:
                given = given.float()
            given = given.resolve_neg() if hasattr(given, "resolve_neg") else given
        array = np.asarray(given)
    except (ValueError, TypeError, RuntimeError, AttributeError) as error:
        raise _no_samples(where, f"a {type(given).__name__} that is no array of numbers", GIVE) from error
    if array.ndim == 0:
        raise _no_samples(where, f"a {type(given).__name__} instead of samples", GIVE)
    if array.dtype.kind not in "iuf" or (array.dtype.kind == "u" and array.dtype.itemsize > 2):
        raise _no_samples(where, f"samples of shape {array.shape} and type {array.dtype}", GIVE)
    return array


def _by_channel(array: np.ndarray, where: str) -> np.ndarray:
    """Return samples (N, channels) of whatever shape has them: there are more samples than channels."""
    shape = array.shape
    while array.ndim > 2 and len(array) == 1:
        array = array[0]
    if array.ndim > 2:
        rule = f"samples of shape {shape}, a batch of {len(array)}"
        raise _no_samples(where, rule, "align its recordings one by one")
    if array.ndim == 1:
        return array[:, None]
    if 0 in shape:
        return array.reshape(0, 1)
    if min(array.shape) > MOST_CHANNELS:
        raise _no_samples(where, f"samples of shape {shape}, which has no dimension of channels", GIVE)
    return array.T if array.shape[0] < array.shape[1] else array


def _full_scale(flat: np.ndarray, where: str) -> np.ndarray:
    """Return samples (N, channels) as float32 of full scale 1."""
    if flat.dtype.kind != "f":
        return _of_integers(flat, _bits(flat))
    most = _peak(flat)
    if most > TOO_LOUD:
        bits = next((b for b in BITS if most <= 1.5 * 2.0 ** (b - 1)), None)
        if bits is None:
            raise _no_samples(where, f"samples of up to {most:g}", "scale them: full scale is 1")
        flat = flat / (2.0 ** (bits - 1) if most > SCALED_BY_HAND else most)
    return flat.astype(np.float32)


def _peak(flat: np.ndarray) -> float:
    """Return the greatest magnitude of floats; 0 where some are no numbers, as is said elsewhere."""
    most = float(np.abs(flat).max(initial=0))
    return most if np.isfinite(most) else 0.0


def _bits(flat: np.ndarray) -> int:
    """Return how many bits integers really have: wide types often hold narrow ones."""
    own = 8 * flat.dtype.itemsize
    if own <= 16 or not flat.size:
        return own
    most = max(-int(flat.min()), int(flat.max()) + 1)
    if own == 32:
        return 16 if most <= 1 << 15 else 32
    return next((b for b in BITS if most <= 1 << (b - 1)), own)


def _of_integers(flat: np.ndarray, bits: int) -> np.ndarray:
    offset = flat.dtype.kind == "u"  # half of the scale
    return np.asarray(flat / 2.0 ** (bits - 1) - offset, np.float32)


def _rate(rate: Any, where: str) -> int:
    """Return a rate as a whole number of samples a second."""
    try:
        number = float(rate)
        if not LEAST_RATE <= number <= MOST_RATE:
            raise ValueError(rate)
    except (TypeError, ValueError) as error:
        raise DataError(
            where,
            f"a sample rate of {rate} Hz",
            "give samples per second, such as 16000",
            fault=Fault.UNREADABLE,
        ) from error
    return round(number)


def _no_samples(where: str, rule: str, remedy: str) -> DataError:
    return DataError(where, rule, remedy, fault=Fault.UNREADABLE)
