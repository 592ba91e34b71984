"""Entities and tags of HTML, SRT, WebVTT, SSML and the like: undone and dropped before a text is read."""

from __future__ import annotations

import html
import re
from html.entities import html5

from aligner.text.noises import is_noise

_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
DEEPEST = 3  # times that an entity may be written as entities: &amp;amp;#39; is seen where sites copy sites
# tags that stand within a line, and part no word
_INLINE = """
    a abbr acronym b bdi bdo big c cite code data del dfn em emphasis font g i ins kbd lang mark
    mstts:express-as phoneme prosody q rb rt rtc ruby s samp say-as small span strike strong sub sup time tt u
    v var voice w wbr
"""
# tags at which a line ends
_BLOCK = """
    article audio blockquote body br break caption center dd desc div dl dt figure footer h1 h2 h3 h4 h5 h6
    head header hr html img lb li link main meta nav ol p para par pre section seg sentence speak style table
    tbody td text tfoot th thead title tr ul utt xml
"""
_NAMES = dict.fromkeys(_INLINE.split(), "") | dict.fromkeys(_BLOCK.split(), " ")
_TAG = re.compile(r"<(?P<close>/?)(?P<name>[A-Za-z][\w:-]*)(?P<rest>(?:[.\s][^<>]*?)?)(?P<empty>/?)>")
_WORDS = re.compile(r"\s+[^=\"]*[a-z][^=\"]*(?<!/)$")  # which no tag has behind its name, but those of voices
_EMPTY_NOISES = frozenset(["vocal", "event", "incident", "kinesic", "gap", "unclear", "noise"])  # of TEI
_DESCRIBED = re.compile(r"\s(?:desc|reason|type|name)\s*=\s*[\"']([^\"']+)[\"']")
_BREAK = re.compile(r"\\[Nnh](?=[^\W\d_]|[\s\"'(-]|$)")  # of lines, and a hard space, in SubStation
_DRIVE = re.compile(r"(?<![^\W\d_])[A-Za-z]:\\|\\\\\w")  # paths, in which that is a name
_BOARD = re.compile(
    r"[\[{](?P<close>/?)(?P<name>b|i|u|s|url|size|color|colour|font|quote|center|c:\$\w+|y:[ibus,]+)(?:=[^\[\]{}\n]*)?[\]}]",
    re.IGNORECASE,
)
_LINK = re.compile(
    r"!?\[(?P<text>[^\[\]\n]+)\]\((?:https?://|www\.|mailto:|[/#.])[^()\s]*(?:\([^()\s]*\)[^()\s]*)?\)"
)
_POWER = re.compile(r"(?<=\w)<sup>([-+\d]+)</sup>", re.IGNORECASE)
_RAISED = str.maketrans("0123456789+-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻")
_NO_TEXT = re.compile(
    r"<!--.*?-->|<!\[CDATA\[|\]\]>|<![A-Za-z][^<>]*>|<\?[^<>]*\?>"  # comments, declarations
    r"|<(?P<raw>script|style)\b[^<>]*>.*?</(?P=raw)\s*>"
    r"|<\d\d(?::\d\d)+\.\d+>"  # the time of a word, in WebVTT
    r"|\{\\[^{}]*\}",  # the style of a word, in SubStation
    re.DOTALL | re.IGNORECASE,
)


def without_markup(text: str) -> str:
    """Undo the entities of a text, and drop its tags; noises such as ``<laugh>`` stay.

    Parameters
    ----------
    text : str

    Returns
    -------
    str
        The same object where there is no markup.

    Examples
    --------
    >>> without_markup("<i>rock</i> &amp; roll, it&#39;s<br/>loud <laugh>")
    "rock & roll, it's loud <laugh>"
    """
    if "&" in text:
        text = _undone(text)
    if "\\" in text and not _DRIVE.search(text):
        text = _BREAK.sub(" ", text)
    if "](" in text:
        text = _LINK.sub(lambda link: link["text"], text)
    if "[/" in text or "{/" in text or "{y:" in text:
        text = _without_board_codes(text)
    if "<" in text or "{\\" in text:
        text = _NO_TEXT.sub(" ", text) if _NO_TEXT.search(text) else text
        text = _POWER.sub(lambda power: power[1].translate(_RAISED), text)
        closed = {found["name"].lower() for found in _TAG.finditer(text) if found["close"]}
        text = _TAG.sub(lambda tag: _instead(tag, closed), text)
    return text


def _without_board_codes(text: str) -> str:
    """Drop the tags of forums and of MicroDVD: [b]so[/b], {i}so{/i}, where they are closed."""
    closed = {found["name"].lower() for found in _BOARD.finditer(text) if found["close"]}
    return _BOARD.sub(
        lambda tag: "" if tag["name"].lower() in closed or ":" in tag["name"] else tag[0],
        text,
    )


def _undone(text: str) -> str:
    for _ in range(DEEPEST):
        before, text = text, _ENTITY.sub(_character, text)
        if text == before:
            break
    return text


def _character(entity: re.Match[str]) -> str:
    """Return what an entity stands for; the entity itself where there is no such."""
    known = entity[0][1] == "#" or entity[0][1:] in html5
    return html.unescape(entity[0]) if known else entity[0]


def _instead(tag: re.Match[str], closed: set[str]) -> str:
    """Return what takes a tag's place: nothing, a space, or the tag itself where it is none but a noise."""
    name = tag["name"].lower()
    if name in _NAMES and not _WORDS.match(tag["rest"]):
        return _NAMES[name]
    if tag["empty"] and (is_noise(name) or name in _EMPTY_NOISES):
        described = _DESCRIBED.search(tag["rest"])
        return f" <{described[1] if described else name}> "
    return " " if tag["close"] or tag["empty"] or name in closed else tag[0]
