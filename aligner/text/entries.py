"""The lines of a dictionary: which are entries, what is a probability, what a phone, and what is wrong.

The formats are those of the Montreal Forced Aligner (MFA), one pronunciation a line, and CMU's::

    word <TAB> phones
    word <TAB> probability <TAB> phones
    word <TAB> probability <TAB> silence-after <TAB> silence-before <TAB> no-silence-before <TAB> phones
    word(2) phones

A number before the phones is a probability if it is at most 1, phones follow, and it is no phone of this
dictionary, as 2 and 9 are in X-SAMPA.  Zero means that the probability is not known, as in MFA's released
dictionaries.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from aligner.text.orthography import key
from aligner.types import Pronunciation

NOISE_PHONES = frozenset(["spn", "sil", "sp"])  # noise phones of MFA's dictionaries
COLUMNS = (0, 1, 4)  # numbers that may stand before the phones
NO_NUMBERS = frozenset(["inf", "-inf", "Inf", "-Inf", "INF", "NaN", "NAN"])  # nan is a syllable of Chinese
PROBABILITY = "a probability is a number up to 1, before the phones"
STRAY_SHARE = 0.01  # of the lines that a number leads; where so few have it among phones, it strayed there
MOST_PHONES = 2000  # that a language may have, all tones and positions counted
_NO_PHONE = "\0"  # a predicate that knows this label knows every label
_NUMBER = re.compile(r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_SIGNED = re.compile(rf"[-+]{_NUMBER.pattern}")
_VARIANT = re.compile(r"(?<=.)\(\d+\)$")
_INVISIBLE = re.compile("[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060\ufeff]")
_SPACED_WORD = re.compile(r"^[^\S\n]*[^\s][^\t\n]*[^\S\t\n]+[^\s][^\t\n]*\t", re.MULTILINE)
_NOISE = re.compile(r"spn|sil|sp|nsn|ns|silence|!sil|\+.+\+", re.IGNORECASE)
_COMMENT = re.compile(r"\s#")
_UNDECODED = re.compile(
    "[\udc80-\udcff]"
)  # bytes that are no UTF-8, as `aligner.formats.files.read_text` has them
_ENDED = re.compile(r"[^\W\d_]{2,}[.,!?]+")

Known = Callable[[str], bool]


@dataclass(frozen=True, kw_only=True)
class BadLine:
    """A line of a dictionary that cannot be used."""

    number: int
    """Its number, from 1."""
    word: str
    """The word that it is about; empty where there is none."""
    rule: str
    """What is wrong."""
    remedy: str
    """What to do."""


@dataclass(frozen=True)
class Entries:
    """What a dictionary says, line by line."""

    lines: Mapping[str, str]
    """Key of a word (`aligner.text.orthography.key`) -> what stands behind it, one line a pronunciation."""
    numerals: frozenset[str] = frozenset()
    """Numbers that are phones of this dictionary."""
    bad: tuple[BadLine, ...] = ()
    """The lines that cannot be used."""


@dataclass(frozen=True)
class _Vocabulary:
    """What the fields behind words are."""

    known: Known | None
    """Whether the model has a phone; None where every label may be one."""
    numerals: frozenset[str]
    """Numbers that are phones."""
    numbers: Mapping[str, float]
    """The other numbers, and their values."""
    lacking: frozenset[str]
    """Labels that are no phones of the model."""
    respelled: Mapping[str, str] = field(default_factory=dict)
    """Labels that are phones of the model in another spelling."""

    @cached_property
    def odd(self) -> frozenset[str]:
        """Fields that need a look."""
        return self.lacking.union(self.numbers, self.respelled)


def read_entries(text: str, known: Known | None = None, numerals: frozenset[str] = frozenset()) -> Entries:
    """Read the lines of a dictionary; what is wrong with some is told, not raised.

    Parameters
    ----------
    text : str
    known : callable, optional
        Whether the model has a phone.  Unless given, every label may be one.
    numerals : frozenset of str
        Numbers that are phones for sure.

    Examples
    --------
    >>> found = read_entries("the DH AH\\nthe(2) DH IY\\ncat\\n", str.isupper)
    >>> found.lines, found.bad[0].rule
    ({'the': 'DH AH\\nDH IY'}, "'cat' has no phones")
    """
    if not text.isascii():
        text = unicodedata.normalize("NFC", _INVISIBLE.sub("", text))
    if known is not None and known(_NO_PHONE):
        known = None
    lines = text.split("\n")
    entries: dict[str, str] = {}
    complete = "\t" not in text or not (text.startswith("\t") or "\n\t" in text or _SPACED_WORD.search(text))
    complete &= text.isascii() or not _UNDECODED.search(text)
    for line in lines:
        word, *behind = (line if "#" not in line and ";" not in line else _content(line, known)).split(
            None, 1
        ) or [""]
        if behind:
            _add(entries, word, behind[0])
        elif word:
            complete = False
    words = _vocabulary(entries.values(), known, numerals)
    if complete and not words.odd:
        return Entries(entries, words.numerals)
    return _examined(lines, words)


def _add(entries: dict[str, str], word: str, behind: str) -> None:
    if word.endswith(")"):
        word = _VARIANT.sub("", word)
    name = word.lower() if word.isascii() and "`" not in word else key(word)
    entries[name] = f"{entries[name]}\n{behind}" if name in entries else behind


def _content(line: str, known: Known | None) -> str:
    """Strip a line of comments: ``;;;`` or ``# `` at its start, or ``#`` behind the phones.

    A word may begin with # as #1 does, and # alone is one where phones of the model follow.
    """
    if line.lstrip().startswith(";;"):
        return ""
    word, *behind = line.split(None, 1) or [""]
    if not word or not behind:
        return "" if not word.strip("#") else line
    comment = _COMMENT.search(line, line.index(word) + len(word))
    content = line[: comment.start()] if comment else line
    if word.strip("#"):
        return content
    fields = content.split()[1:]
    return content if word == "#" and fields and known is not None and all(map(known, fields)) else ""


def _vocabulary(lines: Iterable[str], known: Known | None, given: frozenset[str]) -> _Vocabulary:
    """Tell what the fields of lines are."""
    lines = list(lines)
    labels = set(" ".join(lines).split())
    values = {label: float(label) for label in labels if _NUMBER.fullmatch(label)}
    if known is None:
        numerals = given | _numerals([one for several in lines for one in several.split("\n")], values)
        lacking = ((NOISE_PHONES | NO_NUMBERS) & labels) | set(filter(_SIGNED.fullmatch, labels))
        respelled: dict[str, str] = {}
    else:
        numerals = frozenset(filter(known, values))
        lacking = frozenset(label for label in labels - values.keys() if not known(label))
        respelled = _respelled(lacking, labels - values.keys(), known)
    numbers = {label: value for label, value in values.items() if label not in numerals}
    return _Vocabulary(known, numerals, numbers, frozenset(lacking - respelled.keys()), respelled)


def _numerals(lines: Iterable[str], values: Mapping[str, float]) -> frozenset[str]:
    """Find the numbers that are phones where no model tells: those behind phones, and whole ones above 1."""
    if not values:
        return frozenset()
    leading: Counter[str] = Counter()
    among: Counter[str] = Counter()
    for line in lines:
        fields = line.split()
        if values.keys().isdisjoint(fields):
            continue
        run = next((k for k, f in enumerate(fields) if f not in values), len(fields))
        if values.get(fields[0], 0) > 1 and all(f.isdecimal() for f in fields[:run]):
            run = 0
        leading.update(fields[:run])
        among.update(f for f in fields[run:] if f in values)
    return frozenset(
        number
        for number, times in among.items()
        if (times > STRAY_SHARE * leading[number] if number.isdecimal() else not leading[number])
    )


def _respelled(lacking: Iterable[str], labels: set[str], known: Known) -> dict[str, str]:
    """Find phones of the model in other spellings: with composed letters or not, g as IPA has it, lower case
    where all of the dictionary is.
    """
    found = {}
    lower = all(label == label.lower() and (known(label) or known(label.upper())) for label in labels)
    for label in lacking:
        forms = [unicodedata.normalize("NFD", label), label.replace("g", "ɡ"), label.replace("ɡ", "g")]
        if lower:
            forms.append(label.upper())
        other = next((form for form in forms if known(form)), None)
        if other is not None:
            found[label] = other
    return found


def _examined(lines: Sequence[str], words: _Vocabulary) -> Entries:
    """Read line by line, and leave out what is wrong."""
    entries: dict[str, str] = {}
    bad = []
    for number, line in enumerate(lines, 1):
        content = _content(line, words.known) if "#" in line or ";" in line else line
        word, *behind = content.split(None, 1) or [""]
        if not word:
            continue
        fields = behind[0].split() if behind else []
        fault = _encoding_fault(content) or _place_fault(content, words)
        if fault is None and _is_right(fields, words):
            _add(entries, word, behind[0].rstrip())
            continue
        fault = fault or _fault(word, fields, words)
        if fault is not None:
            bad.append(BadLine(number=number, word=_UNDECODED.sub("?", word), rule=fault[0], remedy=fault[1]))
        elif not _is_noise(fields, words):
            _add(entries, word, " ".join(words.respelled.get(f, f) for f in fields))
    return Entries(entries, words.numerals, tuple(bad))


def _is_right(fields: Sequence[str], words: _Vocabulary) -> bool:
    """Whether nothing of an entry needs a look, as is so of most."""
    numbers, count = words.numbers, 0
    while count < len(fields) and fields[count] in numbers:
        count += 1
    if count == len(fields) or count not in COLUMNS or not words.odd.isdisjoint(fields[count:]):
        return False
    return not count or (numbers[fields[0]] <= 1 and (count == 1 or numbers[fields[1]] <= 1))


def _encoding_fault(line: str) -> tuple[str, str] | None:
    """What is wrong with how a line is encoded; None if nothing is."""
    byte = None if line.isascii() else _UNDECODED.search(line)
    if byte is None:
        return None
    return f"byte 0x{ord(byte[0]) - 0xDC00:02X} is not UTF-8", "save the file as UTF-8"


def _place_fault(line: str, words: _Vocabulary) -> tuple[str, str] | None:
    """What is wrong with where the word of a line stands; None if nothing is."""
    first, tab, _ = line.partition("\t")
    if not tab or (first.isalnum() and first.isascii()):
        return None
    inside = first.split()
    if not inside:
        return "a line begins with a tab, and has no word", "write the word before it"
    if len(inside) > 1 and not (
        words.known is not None
        and all(f in words.numbers or words.known(f) or f in words.respelled for f in inside[1:])
    ):
        return (
            f"{first.strip()!r} has a space, and words of a transcript have none",
            "write a line for each word",
        )
    return None


def _is_noise(fields: Sequence[str], words: _Vocabulary) -> bool:
    """Whether an entry is for noise (``<unk> spn``), which is no word: brackets take its place."""
    phones = fields[leading_numbers(fields, words.numerals) :]
    return any(p in words.lacking for p in phones) and all(map(_NOISE.fullmatch, phones))


def _fault(word: str, fields: Sequence[str], words: _Vocabulary) -> tuple[str, str] | None:
    """What is wrong with an entry, and the remedy; None if it is right."""
    count = leading_numbers(fields, words.numerals)
    numbers, phones = [words.numbers[f] for f in fields[:count]], fields[count:]
    if not phones:
        return f"{word!r} has no phones", "write them behind a tab, with spaces between"
    if count not in COLUMNS:
        return (
            f"{count} numbers before the phones of {word!r}",
            "none, one (its probability) or four (and three about silence) are understood",
        )
    if count == 4 and numbers[1] > 1:
        return f"a probability of {word!r} is above 1", "correct the number, or take the line out"
    wrong = next((p for p in phones if p in words.numbers or p in words.lacking), None)
    if wrong is None or _is_noise(fields, words):
        return None
    if wrong in NOISE_PHONES or words.known is not None:
        aside = f" ({PROBABILITY})" if wrong in words.numbers or _SIGNED.fullmatch(wrong) else ""
        return (
            f"{word!r} has the phone {wrong!r}, which the model lacks{aside}",
            "use the model's phones, with or without stress digits",
        )
    return f"{wrong!r} of {word!r} is no phone ({PROBABILITY})", "correct the number, or take the line out"


def leading_numbers(fields: Sequence[str], numerals: frozenset[str] = frozenset()) -> int:
    """Count the numbers before the phones of a line.

    Parameters
    ----------
    fields : sequence of str
        What stands behind the word.
    numerals : frozenset of str
        Numbers that are phones.

    Examples
    --------
    >>> leading_numbers(["0.5", "K", "AE"]), leading_numbers(["2", "R"]), leading_numbers(["1", "n"], {"1"})
    (1, 0, 0)
    """
    count = 0
    for f in fields:
        if f in numerals or not ("0" <= f[0] <= "9" or f[0] == ".") or not _NUMBER.fullmatch(f):
            break
        if not count and float(f) > 1:
            break
        count += 1
    return count


def pronunciation(line: str, numerals: frozenset[str]) -> Pronunciation:
    """Read what stands behind a word, on one line; zeros are taken for "not known".

    Examples
    --------
    >>> pronunciation("0.99 0 0 0 K AE T", frozenset())
    Pronunciation(phones=('K', 'AE', 'T'), probability=0.99, silence_after=None, silence_before=1.0, \
no_silence_before=1.0)
    """
    fields = line.split()
    count = leading_numbers(fields, numerals)
    phones = tuple(fields[count:])
    if not count:
        return Pronunciation(phones)
    probability, *silence = (float(f) for f in fields[:count])
    if not silence:
        return Pronunciation(phones, probability or 1.0)
    after, before, otherwise = silence
    return Pronunciation(
        phones,
        probability or 1.0,
        silence_after=after or None,
        silence_before=before or 1.0,
        no_silence_before=otherwise or 1.0,
    )


def looks_like_speech(text: str) -> bool:
    """Whether a text reads like sentences, not like words with their phones.

    Examples
    --------
    >>> looks_like_speech("She had it.\\nOh no!\\n"), looks_like_speech("cat K AE T\\n")
    (True, False)
    """
    lines = [line for line in text.split("\n") if line.strip()]
    if 2 * sum(map(text.count, ".,!?")) <= len(lines):  # as in most dictionaries
        return False
    fields = map(str.split, lines)
    ended = sum(bool(_ENDED.fullmatch(line[-1])) for line in fields if len(line) > 1)
    return 2 * ended > len(lines)


def each_line(entries: Entries) -> Iterator[str]:
    """Yield the lines of a dictionary as they would be written."""
    for word, lines in entries.lines.items():
        for line in lines.split("\n"):
            yield f"{word}\t{line}\n"
