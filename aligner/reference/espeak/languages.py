"""Languages that eSpeak speaks, and the codes and names that people use for them."""

from __future__ import annotations

import difflib
import re

from aligner.reference.espeak.library import voices
from aligner.text.readers import SAID_BY, Reader, reader
from aligner.types import DataError, Fault

# names of languages beside eSpeak's own codes (ISO 639-1, some 639-3, with regions) and its English names
ALIASES = {
    name: code
    for code, names in {
        "en-us": "en eng english",
        "sw": "swa swh kiswahili",
        "es": "spa castilian",
        "fr": "fra fre",
        "de": "deu ger",
        "cmn": "zho chi zh-cn mandarin chinese",
        "yue": "cantonese zh-hk",
        "ru": "rus",
        "pt": "por",
        "it": "ita",
        "ja": "jpn",
        "ko": "kor",
        "ar": "ara arb",
        "hi": "hin",
        "bn": "ben",
        "ur": "urd",
        "tr": "tur",
        "pl": "pol",
        "nl": "nld dut",
        "sv": "swe",
        "da": "dan",
        "nb": "nor nob norwegian",
        "fi": "fin",
        "is": "isl ice",
        "cs": "ces cze",
        "sk": "slk slo",
        "sl": "slv",
        "hr": "hrv",
        "sr": "srp",
        "bs": "bos",
        "bg": "bul",
        "mk": "mkd mac",
        "uk": "ukr",
        "be": "bel",
        "el": "ell gre",
        "ro": "ron rum",
        "hu": "hun",
        "et": "est",
        "lv": "lav",
        "lt": "lit",
        "ca": "cat",
        "eu": "eus baq",
        "cy": "cym wel",
        "ga": "gle",
        "gd": "gla",
        "he": "heb",
        "fa": "fas per farsi",
        "vi": "vie",
        "th": "tha",
        "id": "ind",
        "ms": "msa may",
        "ta": "tam",
        "te": "tel",
        "kn": "kan",
        "ml": "mal",
        "mr": "mar",
        "gu": "guj",
        "pa": "pan",
        "ne": "nep",
        "si": "sin",
        "my": "mya bur",
        "ka": "kat geo",
        "hy": "hye arm",
        "kk": "kaz",
        "ky": "kir",
        "uz": "uzb",
        "az": "aze",
        "am": "amh",
        "ti": "tir",
        "om": "orm",
        "tn": "tsn",
        "af": "afr",
        "sq": "sqi alb",
        "mt": "mlt",
        "la": "lat",
        "eo": "epo",
        "mi": "mri",
    }.items()
    for name in names.split()
}


def languages() -> dict[str, str]:
    """English names of the languages that eSpeak speaks, by their codes.

    Raises
    ------
    ModelError
        If the package that carries eSpeak is not installed.

    Examples
    --------
    >>> languages()["sw"]
    'Swahili'
    """
    return {code: name for code, (name, _) in voices().items()}


def resolve(language: str) -> str:
    """Find the code in `languages` of a language that a user names.

    Parameters
    ----------
    language : str
        A code of ISO 639 ("sw", "swa", "pt-br") or a name in English, in any case.

    Raises
    ------
    DataError
        If eSpeak does not speak it; close ones are named.

    Examples
    --------
    >>> resolve("English"), resolve("PT_br")
    ('en-us', 'pt-br')
    """
    known = languages()
    asked = language.strip().lower().replace("_", "-")
    names = {re.sub(r"\W*\(.*", "", name.lower()).strip(): code for code, name in reversed(known.items())}
    for code in (ALIASES.get(asked), asked, names.get(asked)):
        if code in known:
            return code
    close = difflib.get_close_matches(asked, [*known, *names, *ALIASES], n=4)
    hint = f"did you mean {', '.join(close)}? " if close else ""
    raise DataError(
        language,
        "eSpeak does not speak this language",
        f"{hint}aligner languages lists all {len(known)}",
        fault=Fault.CALL,
    )


def read_by(language: str) -> tuple[str, Reader | None]:
    """The code of the voice that says what is written in a language, and what reads its texts where the voice
    could not; the language must be known (see `resolve`).

    Examples
    --------
    >>> read_by("it")
    ('it', None)
    """
    code = resolve(language)
    read = reader(code)
    return (code if read is None else SAID_BY.get(code, code)), read
