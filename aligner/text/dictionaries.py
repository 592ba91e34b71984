"""The dictionaries that a user names: one for all speakers or one for each, and words laid over them.

A YAML file names dictionaries by speaker, as the Montreal Forced Aligner has it::

    default: english.dict
    anna: australian.dict
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from unicodedata import normalize

from aligner.formats.files import check_readable, read_text
from aligner.text import own as own_dictionary
from aligner.text.entries import Known, looks_like_speech
from aligner.text.lexicon import Lexicon, Pronouncer
from aligner.text.orthography import key
from aligner.types import Caution, DataError, Fault

SPEAKERS = (".yaml", ".yml")
DICTIONARY_SUFFIXES = (".dict", ".dic", ".txt", ".lex")
DEFAULT = "default"  # the speaker of a YAML file who stands for all that it does not name
MOST_NAMED = 5  # bad lines that a warning names
HEAD = 1 << 16  # bytes of a file from which its kind is known
FORMAT = "one pronunciation a line: word, tab, phones"
UNPACK = "unpack it, and name the dictionary that is in it"
MAGIC: Mapping[bytes, tuple[str, str]] = {
    b"\x1f\x8b": ("it is compressed (gzip)", UNPACK),
    b"BZh": ("it is compressed (bzip2)", UNPACK),
    b"\xfd7zXZ": ("it is compressed (xz)", UNPACK),
    b"7z\xbc\xaf": ("it is an archive (7z)", UNPACK),
    b"%PDF": ("it is a PDF document", f"save it as text: {FORMAT}"),
    b"\xd0\xcf\x11\xe0": ("it is an Office document", f"save it as text: {FORMAT}"),
    b"{\\rtf": ("it is a document (RTF)", f"save it as text: {FORMAT}"),
    b"SQLite": ("it is a database (SQLite)", f"write it as text: {FORMAT}"),
    b"\xd6\xfd\xb2\x7e": ("it is a finite-state transducer, as G2P models are", "name a dictionary"),
    b"RIFF": ("it is a recording", "name a dictionary"),
    b"fLaC": ("it is a recording", "name a dictionary"),
    b"OggS": ("it is a recording", "name a dictionary"),
    b"ID3": ("it is a recording", "name a dictionary"),
}
TEXTS = {
    'File type = "ooTextFile': ("it is a file of Praat's", "name a dictionary"),
    "<?xml": ("it is XML", f"write it as text: {FORMAT}"),
    "<!doctype": ("it is a web page", "fetch the file itself (raw), not the page that shows it"),
    "<html": ("it is a web page", "fetch the file itself (raw), not the page that shows it"),
    "version https://git-lfs": ("it is a pointer of Git LFS", "fetch what it points to: git lfs pull"),
}
_JSON = re.compile(r'[\[{]\s*["\[{]')
_FETCHED = re.compile(r"[a-z]+(_[a-z]+)+")  # names of dictionaries that MFA fetches
_BESIDE_COMMA = re.compile(r"[^\s,;]+\"?[,;]\s*\S")


@dataclass(frozen=True)
class Dictionaries:
    """The dictionaries of a corpus, as they are looked up."""

    default: Lexicon
    """That of all speakers who have none of their own."""
    speakers: Mapping[str, Lexicon] = field(default_factory=dict)
    """Those of others, by the speaker's name (NFC)."""
    replaced: bool = False
    """Whether the user's take the place of one that there would be without them."""

    def __iter__(self) -> Iterator[Lexicon]:
        """Yield each file's dictionary once, without what lies beneath it."""
        layers = (layer for top in (self.default, *self.speakers.values()) for layer in top.layers)
        yield from {layer.path: layer for layer in layers}.values()

    def of(self, speaker: str) -> Lexicon:
        """The dictionary of a speaker."""
        return self.speakers.get(normalize("NFC", speaker), self.default)

    def cautions(self) -> tuple[Caution, ...]:
        """Return a warning for each dictionary with lines that cannot be used."""
        return tuple(_caution(one) for one in self if one.bad)


def _caution(book: Lexicon) -> Caution:
    named = "; ".join(f"line {b.number}: {b.rule}" for b in book.bad[:MOST_NAMED])
    more = len(book.bad) - MOST_NAMED
    rest = f"; and {more} more" if more > 0 else ""
    lines, say = ("a line", "it says") if len(book.bad) == 1 else (f"{len(book.bad)} lines", "they say")
    return Caution(
        where=book.path,
        rule=f"{lines} cannot be used, and what {say} is not known ({named}{rest})",
        remedy=f"{book.bad[0].remedy}; --strict makes it an error",
        fault=Fault.DICTIONARY,
    )


def read_dictionaries(
    dictionary: Path | None,
    add_words: Sequence[Path] = (),
    *,
    own: Path | None,
    known: Known | None = None,
    strict: bool = False,
    name: str = "model",
) -> Dictionaries:
    """Read the dictionaries that a user names, or a model's own.

    Parameters
    ----------
    dictionary : Path or None
        The file that takes the place of the model's own; or a YAML file that names one for each speaker.
    add_words : sequence of Path
        Files whose words are laid over it, the last one on top: they replace what it says of these words.
    own : Path or None
        The model's own dictionary.
    known : callable, optional
        Whether the model has a phone.  Unless given, every label may be one.
    strict : bool
        Whether a line of the user's that cannot be used is an error.
    name : str
        The model's, for the error where there is no dictionary.

    Raises
    ------
    DataError
        If there is no dictionary, one is at fault, or, where ``strict`` is set, a line of one.
    """
    named = {DEFAULT: dictionary}
    if dictionary is not None and dictionary.suffix.lower() in SPEAKERS:
        named = {DEFAULT: None, **read_speakers(dictionary)}
    files = {speaker: path or own for speaker, path in named.items()}
    if files[DEFAULT] is None:
        raise DataError(
            name, "the model has no dictionary of its own", "name one (--dictionary)", fault=Fault.DICTIONARY
        )
    users = {path for path in named.values() if path is not None}
    base: dict[Path, Lexicon] = {}
    numerals: frozenset[str] = frozenset()
    for path in filter(None, files.values()):
        if path not in base:
            book = read_lexicon(path, known, strict and path in users, numerals)
            base[path] = replace(book, users=path in users, _made={})
            numerals |= book.numerals
    added = read_added(add_words, known, strict, numerals)
    tops = {speaker: laid(base[path], added) for speaker, path in files.items() if path is not None}
    return Dictionaries(tops.pop(DEFAULT), tops, dictionary is not None and own is not None)


def over_a_voice(
    dictionary: Path | None, add_words: Sequence[Path], *, known: Known, strict: bool = False
) -> Dictionaries:
    """Read the dictionaries that a user names where a voice says all other words, see `read_dictionaries`.

    Raises
    ------
    DataError
        If one is at fault, or, where ``strict`` is set, a line of one.
    """
    named = {} if dictionary is None else {DEFAULT: dictionary}
    if dictionary is not None and dictionary.suffix.lower() in SPEAKERS:
        named = read_speakers(dictionary)
    added = read_added(add_words, known, strict)
    books = {
        speaker: laid(replace(read_lexicon(path, known, strict), users=True, _made={}), added)
        for speaker, path in named.items()
    }
    return Dictionaries(books.pop(DEFAULT, laid(Lexicon({}), added)), books)


def read_added(
    add_words: Sequence[Path],
    known: Known | None = None,
    strict: bool = False,
    numerals: frozenset[str] = frozenset(),
) -> list[Lexicon]:
    """Read files of words that are laid over a dictionary, see `read_lexicon`."""
    return [replace(read_lexicon(path, known, strict, numerals), users=True) for path in add_words]


def laid(book: Lexicon, added: Sequence[Lexicon]) -> Lexicon:
    """Lay dictionaries over another, the last one on top."""
    for words in added:
        book = words.over(book)
    return book


def read_lexicon(
    path: Path, known: Known | None = None, strict: bool = False, numerals: frozenset[str] = frozenset()
) -> Lexicon:
    """Read one dictionary; once for as long as its file stays as it is.

    Parameters
    ----------
    path : Path
    known : callable, optional
        Whether the model has a phone.
    strict : bool
        Whether a line that cannot be used is an error.
    numerals : frozenset of str
        Numbers that are phones, as other dictionaries of the same speech show.

    Raises
    ------
    DataError
        If it cannot be read, or is no dictionary.
    """
    return _read_once(path, path.stat().st_mtime_ns if path.is_file() else 0, known, strict, numerals)


@lru_cache(maxsize=8)
def _read_once(
    path: Path, changed: int, known: Known | None, strict: bool, numerals: frozenset[str]
) -> Lexicon:
    if path == own_dictionary.PATH and (known is None or all(map(known, own_dictionary.PHONES))):
        entries = own_dictionary.entries()
        if entries is not None:
            return Lexicon(entries, numerals, path=str(path))
    check_dictionary(path)
    text = read_text(path, escaped=True)
    if looks_like_speech(text):
        raise _refused(path, "it reads like a transcript", f"name a dictionary: {FORMAT}")
    return Lexicon.parse(text, known, path, strict=strict, numerals=numerals)


def check_dictionaries(dictionary: Path | None, add_words: Sequence[Path]) -> None:
    """Raise DataError where a file that is named cannot be read, or is no dictionary; quickly."""
    if dictionary is not None:
        check_dictionary(dictionary)
        if dictionary.suffix.lower() in SPEAKERS:
            for path in read_speakers(dictionary).values():
                check_dictionary(path)
    for path in add_words:
        if path.suffix.lower() in SPEAKERS:
            raise _refused(path, "words are added for all speakers", "name it with --dictionary")
        check_dictionary(path)


def check_dictionary(path: Path) -> None:
    """Raise DataError where a file cannot be read, or its beginning shows that it is no dictionary."""
    if path.is_dir():
        inside = sorted(p.name for p in path.iterdir() if p.suffix.lower() in DICTIONARY_SUFFIXES)
        remedy = f"name the file in it, such as {path / inside[0]}" if inside else "name a file"
        raise _refused(path, "it is a folder", remedy)
    try:
        check_readable(path)
    except DataError as error:
        named = _FETCHED.fullmatch(str(path)) is not None
        remedy = "dictionaries are not fetched by their names: name a file" if named else error.remedy
        raise _refused(path, error.rule, remedy) from error
    with path.open("rb") as file:
        head = file.read(HEAD)
    wrong = _kind(path, head)
    if wrong is not None:
        raise _refused(path, *wrong)


def _refused(path: Path, rule: str, remedy: str) -> DataError:
    return DataError(path, rule, remedy, fault=Fault.DICTIONARY)


def _kind(path: Path, head: bytes) -> tuple[str, str] | None:
    """What a file is that is no dictionary, and what to do; None where it may be one."""
    if head.startswith(b"PK\x03\x04"):
        return _archive(path)
    for magic, found in MAGIC.items():
        if head.startswith(magic) and (b"\0" in head or not magic.isalnum()):  # else it may be a word
            return found
    marked = head.startswith((b"\xff\xfe", b"\xfe\xff"))
    if not marked and b"\0" in head and head[:200].count(0) < len(head[:200]) // 3:
        return "it is no text", f"name a dictionary: {FORMAT}"
    text = head.decode("utf-16" if marked else "utf-8-sig", errors="ignore").lstrip()
    for begin, found in TEXTS.items():
        if text[:100].lower().startswith(begin.lower()):
            return found
    return None if path.suffix.lower() in SPEAKERS else _text(text)


def _archive(path: Path) -> tuple[str, str]:
    """What a zip archive is, and what to do."""
    try:
        names = zipfile.ZipFile(path).namelist()
    except (zipfile.BadZipFile, OSError):
        return "it is a damaged archive (zip)", "copy it again, and unpack it"
    if any(n.startswith("xl/") for n in names):
        return "it is a workbook (Excel)", "save it as text, with tabs between the columns"
    if any(n.startswith(("word/", "content.xml")) for n in names):
        return "it is a document", f"save it as text: {FORMAT}"
    if any(n.endswith((".mdl", ".alimdl")) for n in names):
        return "it is an acoustic model of the Montreal Forced Aligner", "name a dictionary (.dict)"
    if any(n.endswith(".fst") for n in names):
        return "it is a G2P or language model", "name a dictionary (.dict)"
    inside = [n for n in names if n.lower().endswith(DICTIONARY_SUFFIXES)]
    return "it is an archive (zip)", f"unpack it, and name {inside[0]}" if len(inside) == 1 else UNPACK


def _text(head: str) -> tuple[str, str] | None:
    """What a text is that is no dictionary, and what to do."""
    lines = [line for line in head.split("\n")[:1000] if line.strip()]
    if _JSON.match(head):
        return "it is JSON", f"write it as text: {FORMAT}"
    if any(line.rstrip().lower().startswith(f"{DEFAULT}:") for line in lines[:50]):
        return "it names dictionaries by speaker", f"give it the suffix {SPEAKERS[0]}"
    if 2 * sum(bool(_BESIDE_COMMA.match(line)) for line in lines) > len(lines):
        return "it is a table with commas", "put a tab behind each word, and spaces between its phones"
    return None


def read_speakers(path: Path) -> dict[str, Path]:
    """Read which dictionary each speaker has, from a YAML file as the Montreal Forced Aligner has it.

    Parameters
    ----------
    path : Path
        Its paths are relative to its own folder.

    Returns
    -------
    dict
        Name of a speaker (NFC) -> dictionary; `DEFAULT` stands for all others.

    Raises
    ------
    DataError
        Naming file and line: it is no YAML, names something other than files, or a speaker twice.
    """
    import yaml  # only those who have such a file need it

    check_readable(path)
    try:
        top = yaml.compose(read_text(path), Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        what = getattr(error, "problem", None) or "it cannot be read"
        raise _refused(Path(where), f"it is not YAML ({what})", SPEAKER_LINES) from error
    if not isinstance(top, yaml.MappingNode) or not top.value:
        raise _refused(path, "it names no speakers", SPEAKER_LINES)
    found: dict[str, Path] = {}
    for name, value in top.value:
        line = Path(f"{path}:{name.start_mark.line + 1}")
        if not isinstance(name, yaml.ScalarNode) or not isinstance(value, yaml.ScalarNode):
            raise _refused(line, "a speaker has one dictionary, named by its path", SPEAKER_LINES)
        speaker = normalize("NFC", name.value)
        if speaker in found:
            raise _refused(line, f"the speaker {speaker!r} is named twice", "take one of the lines out")
        if not value.value.strip() or value.value in ("~", "null"):
            raise _refused(
                line, f"the speaker {speaker!r} has no dictionary", "name a file, or take the line out"
            )
        found[speaker] = _beside(path, value.value, line)
    return found


SPEAKER_LINES = "write a line for each speaker, 'anna: anna.dict', and one for all others, 'default: my.dict'"


def _beside(path: Path, named: str, line: Path) -> Path:
    """A file that a YAML file names, whose folder its path is relative to."""
    other = path.parent / Path(named).expanduser()
    if not other.exists():
        raise _refused(line, f"there is no {named!r}", f"name a file, as seen from {path.parent}")
    if other.suffix.lower() in SPEAKERS:
        raise _refused(line, f"{named!r} is no dictionary", "name a dictionary")
    return other


def few_words(
    said: Iterable[tuple[str, str]], pronounce: Pronouncer, dictionary: Path
) -> tuple[Caution, ...]:
    """Return a warning where a user's dictionary lacks most of the words of a corpus.

    Parameters
    ----------
    said : iterable of (str, str)
        The words that are said, each with its speaker.
    pronounce : Pronouncer
        What looks them up.
    dictionary : Path
        The user's dictionary.
    """
    words = {(normalize("NFC", who) if pronounce.speakers else "", key(word)): word for who, word in said}
    lacking = [word for (who, _), word in words.items() if not pronounce.of(who).holds(word)]
    if 2 * len(lacking) <= len(words):
        return ()
    share = round(100 * len(lacking) / len(words))
    some = ", ".join(map(repr, lacking[:MOST_NAMED])) + (", ..." if len(lacking) > MOST_NAMED else "")
    rule = f"it lacks {share} % of the different words ({len(lacking)} of {len(words)}: {some})"
    remedy = "is it the dictionary of this corpus? add the words that are missing"
    if pronounce.replaced:
        rule += ", and takes the place of the dictionary that is used without it"
        remedy = "to lay its words over that one instead, name it with --add-words in place of --dictionary"
    return (Caution(where=str(dictionary), rule=rule, remedy=remedy, fault=Fault.OOV),)
