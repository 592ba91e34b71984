"""The eSpeak NG library, bound with ctypes: loading it, its voices, and the synthesis of one text.

The library and its data come with the ``espeakng-loader`` package (an optional extra; eSpeak NG is under the
GPL 3) and are called as ``speak_lib.h`` of eSpeak NG 1.52 declares them.
"""

from __future__ import annotations

import _ctypes
import ctypes
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from itertools import count, takewhile
from pathlib import Path
from typing import Any

import numpy as np

from aligner.types import ModelError

SYNCHRONOUS, PHONEMES_IN_IPA, DO_NOT_EXIT, UTF8, PHONEMES = 2, 0b11, 0x8000, 1, 0x100
RATE, PITCH, WORD_GAP = 1, 3, 7  # numbers of espeak_PARAMETER
PHONEME = 7  # number in espeak_EVENT_TYPE
BY_CHARACTER = 1  # number in espeak_POSITION_TYPE

_LOCK = threading.Lock()  # the library keeps everything in global variables


class _Id(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_ubyte * 8))


class Event(ctypes.Structure):
    """An event of the synthesis: ``espeak_EVENT``."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    )


class _Voice(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_void_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("unused", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(Event))


def package() -> Any:
    """The package that carries the library; ModelError, with the remedy, if it is not installed."""
    try:
        import espeakng_loader
    except ImportError as error:
        raise ModelError(
            "espeakng-loader", "eSpeak NG is not installed", "pip install 'aligner[dtw]'"
        ) from error
    return espeakng_loader


@contextmanager
def opened() -> Iterator[ctypes.CDLL]:
    """Load the library for one thread at a time, as if nobody had used it before.

    It is loaded anew, because the phase of its flutter and the count of its glottal cycles go on from one
    text to the next in static variables that no call resets: otherwise equal texts would differ in their
    samples.
    """
    path = package().get_library_path()
    with _LOCK:
        library = ctypes.CDLL(path)
        try:
            yield library
        finally:
            library.espeak_Terminate()
            if sys.platform == "win32":
                _ctypes.FreeLibrary(library._handle)
            else:
                _ctypes.dlclose(library._handle)


def initialise(library: ctypes.CDLL) -> int:
    """Let the library read its data, and return its sample rate."""
    data = package().get_data_path()
    rate = int(library.espeak_Initialize(SYNCHRONOUS, 0, data.encode(), PHONEMES_IN_IPA | DO_NOT_EXIT))
    if rate <= 0:
        raise ModelError(data, "eSpeak cannot read its data", "install espeakng-loader again")
    return rate


@lru_cache(maxsize=1)
def voices() -> dict[str, tuple[str, str]]:
    """Name and file of the voice of each language code, the best voice where several speak it."""
    found: list[tuple[int, str, str, str]] = []
    with opened() as library:
        initialise(library)
        library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
        listed = library.espeak_ListVoices(None)
        for pointer in takewhile(bool, (listed[i] for i in count())):
            voice = pointer.contents
            name, file = voice.name.decode().strip(), voice.identifier.decode()
            spoken = list(_language_codes(voice.languages))
            if _has_dictionary(file, spoken[0][1]):
                found += [(priority, code, name, file) for priority, code in spoken]
    voices: dict[str, tuple[str, str]] = {}
    for _, code, name, file in sorted(found, key=lambda entry: entry[0]):  # of equals the first listed
        voices.setdefault(code.lower(), (name, file))
    return dict(sorted(voices.items()))


def _language_codes(address: int) -> Iterator[tuple[int, str]]:
    """Priority (low is better) and code of each language of a voice: a byte, then a string, and so on to a
    zero.
    """
    while priority := ctypes.string_at(address, 1)[0]:
        code = ctypes.string_at(address + 1)
        yield priority, code.decode()
        address += 1 + len(code) + 1


def _has_dictionary(file: str, code: str) -> bool:
    """Whether the data hold the dictionary that a voice names; without it eSpeak is silent (Faroese in
    1.52)."""
    data = Path(package().get_data_path())
    named = re.search(rb"^dictionary\s+(\w+)", (data / "lang" / file).read_bytes(), re.MULTILINE)
    return (data / f"{named[1].decode() if named else code.split('-')[0]}_dict").is_file()


def synthesise(library: ctypes.CDLL, text: str) -> tuple[np.ndarray, list[tuple[int, int, str]]]:
    """Synthesise a text; what stands in ``[[`` and ``]]`` are phones by eSpeak's names.

    Returns
    -------
    samples : ndarray
        (N,) int16.
    events : list of tuple
        Of each phone its first sample, the place of its word in the text, and its name.
    """
    sound, heard = bytearray(), []

    def receive(wave: Any, length: int, events: Any) -> int:
        if wave and length:
            sound.extend(ctypes.string_at(wave, 2 * length))
        for event in takewhile(lambda e: e.type, (events[i] for i in count())):
            if event.type == PHONEME:
                name = bytes(event.id.string).split(b"\0")[0].decode(errors="ignore")  # cut at 8 bytes
                heard.append((event.sample, event.text_position, name))
        return 0

    callback = Callback(receive)
    library.espeak_SetSynthCallback(callback)
    encoded = text.encode()
    if (
        library.espeak_Synth(
            encoded, ctypes.c_size_t(len(encoded) + 1), 0, BY_CHARACTER, 0, UTF8 | PHONEMES, None, None
        )
        != 0
    ):
        raise ModelError("eSpeak", "the synthesis failed", "install espeakng-loader again")
    return np.frombuffer(bytes(sound), "<i2"), heard
