"""Addresses: URLs, e-mail addresses, hashtags, handles, names of files, versions; read as they stand."""

from __future__ import annotations

import re

from aligner.text.english.numbers import bare, cardinal, digits, letters, number
from aligner.text.listed import listed

_DOMAINS = listed("""
    com org net edu gov mil int io info biz app dev ai tv xyz online shop blog wiki club site store tech
    cloud
""")
_COUNTRIES = listed("""
    ac uk us ca au de fr jp eu nz za in ie ch at nl be se no dk fi it es pt pl cz br mx cn ru kr tr gr
    il ly gl
""")
_FILES = listed("""
    pdf txt doc docx xls xlsx ppt pptx csv tsv json xml yaml yml html htm css js ts jsx tsx py pyc ipynb
    java cpp hpp cs rb rs php sh bat exe dll zip tar gz tgz rar iso img jpg jpeg png gif svg bmp tiff
    mp3 mp4 wav flac ogg avi mov mkv webm srt vtt textgrid lab log md rst tex bib sql db ini cfg conf
    toml lock bak tmp apk dmg jar vue
""")
_HOST = rf"(?:[a-z0-9](?:[\w-]*[a-z0-9])?\.)+(?:{'|'.join(_DOMAINS)})(?:\.(?:{'|'.join(_COUNTRIES)}))?"
_SECOND = rf"(?:[a-z0-9][\w-]*\.)+(?:co|ac|gov|org|com|net|edu)\.(?:{'|'.join(_COUNTRIES)})"
_COUNTRY_HOST = rf"(?:[a-z0-9][\w-]*\.)+(?:{'|'.join(_COUNTRIES)}|co|me|be|to)(?=/)"
_REST = r"(?::\d+)?(?:[/?#]\S*)?"
ADDRESS = re.compile(
    r"(?:https?|ftps?|sftp|ssh|git|file|s3|rtsp|wss?)://\S+|mailto:\S+|www\.\S+"
    r"|[\w.+%-]+@[\w-]+(?:\.[\w-]+)+"  # e-mail
    rf"|(?:{_HOST}|{_SECOND}|{_COUNTRY_HOST}){_REST}"
    r"|\#(?=\w*[^\W\d])\w+|@\w[\w.]*"  # hashtags, handles
    rf"|[\w-]+(?:\.[\w-]+)*\.(?:{'|'.join(_FILES)})"  # names of files
    r"|(?:[CFJ]#|VB|ASP|ADO)?\.NET|\.[a-z][a-z0-9]{1,5}"
    r"|(?:~|\.{1,2})?(?:/[\w.-]+){2,}/?|~/[\w./-]+|[a-z]:\\\S*"  # paths
    r"|v\d+(?:\.\d+)+[a-z]?\d*|\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?(?:/\d+)?",  # versions, numbers of machines
    re.IGNORECASE,
)
_POSSIBLE = re.compile(r"[.@#/\\:]")
_ENDING = ".,;:!?'\"»”)]}>"
_NAMES = {
    ".": "dot",
    "@": "at",
    "/": "slash",
    "\\": "backslash",
    "-": "dash",
    ":": "colon",
    "_": "underscore",
    "+": "plus",
    "?": "question mark",
    "=": "equals",
    "&": "and",
    "#": "hash",
    "%": "percent",
    "~": "tilde",
    ";": "semicolon",
    "!": "exclamation mark",
    "*": "star",
    ",": "comma",
    "|": "pipe",
    "$": "dollar",
}
_PIECE = re.compile(r"\d+|[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[^\W\d_]+|[^\w\s]|_")
# of which the letters are named, though they could be words
_LETTERED = frozenset(
    listed("""
    http https ftp py www edu uk io ai tv us eu ca au bbc cnn cbs npr ui os api id faq usa diy html
""")
)
_WORDS = frozenset(
    listed("""
    com org net gov co mil info my by mr mrs ms dr st jr vs tsk hmm shh psst brr nth txt
""")
)
_VOWELS = frozenset("aeiouy")


def match(text: str) -> int:
    """Return the length of the address that a text is, without punctuation behind it; 0 if it is none.

    Examples
    --------
    >>> match("example.com/a?b=1,"), match("word.Next"), match("#MeToo!")
    (17, 0, 6)
    """
    if not _POSSIBLE.search(text):
        return 0
    bare_text = text.rstrip(_ENDING)
    if bare_text.count("(") > bare_text.count(")") and text[len(bare_text) : len(bare_text) + 1] == ")":
        bare_text += ")"
    if bare_text.endswith("'s"):
        bare_text = bare_text[:-2]
    found = ADDRESS.fullmatch(bare_text)
    return len(bare_text) if found and _plausible(bare_text) else 0


def _plausible(text: str) -> bool:
    """Whether what looks like an address has something to say."""
    return any(c.isalnum() for c in text)


def read(address: str) -> list[str]:
    """Say an address, sign by sign.

    Examples
    --------
    >>> " ".join(read("jane.doe_7@mail.co.uk"))
    'jane dot doe underscore seven at mail dot co dot u k'
    """
    version = re.fullmatch(r"[vV](\d+(?:\.\d+)*)(.*)", address)
    if version:
        parts = [w for part in version[1].split(".") for w in ["point", *cardinal(part)]][1:]
        return ["version", *parts, *(w for piece in _PIECE.findall(version[2]) for w in _said(piece))]
    if address[1:2] == "#":
        return [*letters(address[0]), "sharp", *read(address[2:])]
    if address[0] == "#":
        return ["hashtag", *(w for piece in _PIECE.findall(address[1:]) for w in _of_hashtag(piece))]
    machine = bool(re.fullmatch(r"[\d.:/]+", address))
    return [
        w
        for piece in _PIECE.findall(address)
        for w in (cardinal(piece) if machine and piece.isdecimal() else _said(piece))
    ]


def _of_hashtag(piece: str) -> list[str]:
    """Say a part of a hashtag, of which numbers are said as numbers: #100DaysOfCode."""
    return cardinal(piece) if re.fullmatch(r"[1-9]\d0", piece) else _said(piece)


def _said(piece: str) -> list[str]:
    if piece in _NAMES:
        return _NAMES[piece].split()
    if piece.isdecimal():
        if len(piece) <= 2 or re.fullmatch(r"(?:19|20)\d\d", piece):
            return number(piece) if len(piece) <= 2 else bare(piece)
        return digits(piece)
    if not piece.isalpha():
        return []
    low = piece.lower()
    spelled = low not in _WORDS and (
        len(low) == 1 or low in _LETTERED or (len(low) <= 5 and not _VOWELS & set(low) and low.isascii())
    )
    return letters(piece) if spelled else [piece]
