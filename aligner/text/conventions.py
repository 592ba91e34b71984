"""What transcribers write beside the words: noises, unclear stretches, pauses, words that are broken off.

The signs are those of the Montreal Forced Aligner, CHAT (the TalkBank's), FAVE and the LDC, conversation
analysis (Jefferson, GAT), and what people write in Praat, ELAN and subtitles.  Where the same sign means two
things, it is read in the way that is right for more transcripts; `Conventions` tells what can be set.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import NamedTuple

from aligner.formats.silences import is_pause
from aligner.formats.turns import prefixes
from aligner.names import BRACKETS
from aligner.text.fragments import is_readable
from aligner.text.listed import listed
from aligner.text.noises import BARE, is_editorial, is_noise
from aligner.text.spans import BRACKETED, Kind, Span
from aligner.types import DataError, Fault

PAIRS = ("[]", "{}", "<>", "()", "**")  # the kinds of brackets, by their ASCII characters
_ALIKE = str.maketrans("［］【】〔〕｛｝（）＜＞〈〉＊", "[][][]{}()<><>*")  # brackets of East Asian type
UNCLEAR_WORD = "[unclear]"
_HANGING = "and or to & through vs versus und oder bis bzw et ou och eller tai en"
_FILLERS = "uh um er erm eh ah hm hmm mm mhm oh uhm em ehm äh ähm euh öh öhm eee"
_SUFFIXES = "a b c d e f fp g i k l ls n nv o p q s si sl sas t u wp x z"
HANGING = frozenset(_HANGING.split())  # words before which the first part of a compound may hang
FILLERS = frozenset(_FILLERS.split())
SUFFIXES = frozenset(_SUFFIXES.split())  # of CHAT's special words
# compounds that begin with the name of a letter, and are no stutter
_LETTERED = (
    "t-test t-tests b-ball b-boy b-boys c-clamp s-shaped t-tail t-tube u-turn d-day d-days h-hour f-factor"
)
LETTERED = frozenset(_LETTERED.split())


def _decided(always: str, words: str) -> dict[str, str]:
    """What the kinds of brackets hold: always noises, noises by their words, or words."""
    return {p: "noise" if p in always.split() else "words" if p in words.split() else "speech" for p in PAIRS}


_HELD = {
    "usual": _decided("[] {} <>", "() **"),
    "words": _decided("", "[] {} <> () **"),
    "all": _decided("[] {} <> ()", "**"),
    "none": _decided("", ""),
}


@dataclass(frozen=True, kw_only=True)
class Conventions:
    """How what stands beside the words of a transcript is read: a finder of marks (`aligner.text.spans`).

    Raises
    ------
    DataError
        If ``brackets`` names no kind of brackets.

    Examples
    --------
    >>> [(s.kind.value, s.said) for s in Conventions()("th- this (laughs) is xxx (.) (be)cause (see it)")]
    [('cut-off', 'th-'), ('noise', '[laughs]'), ('noise', '[xxx]'), ('break', ''), ('words', 'because')]
    """

    brackets: str = "usual"
    """Which brackets hold noises.  'usual': [], {} and <> do, and () and ** where the words in them name one;
    'words': all do where the words name one; 'all': [], {}, <> and () do; 'none': what is in brackets is
    said; or the pairs that do, such as '[]()', and the others hold words."""

    noise_words: tuple[str, ...] = ()
    """Words that are noises wherever they stand, beside those that are known; 'none' among them makes that
    none are known."""

    def __post_init__(self) -> None:
        pairs = re.findall("..?", self.brackets.replace(" ", ""), re.DOTALL)
        if self.brackets not in BRACKETS and not (pairs and set(pairs) <= set(PAIRS)):
            raise DataError(
                "brackets",
                f"there is no {self.brackets!r}",
                f"take one of {', '.join(BRACKETS)}, or pairs of {' '.join(PAIRS)}",
                fault=Fault.CALL,
            )

    def __call__(self, text: str) -> list[Span]:
        """Find the marks of a text: spans in their order, none of which overlaps another."""
        begins = _beginnings(text)
        if not self._signs.search(text):
            return begins
        spans, place = [], 0
        for begin in begins:
            spans += [*self._spans(text, place, begin.start), begin]
            place = begin.end
        return [*spans, *self._spans(text, place, len(text))]

    def _spans(self, text: str, place: int, end: int) -> Iterable[Span]:
        """Yield the marks between two places of a text."""
        jefferson = bool(_JEFFERSON.search(text))
        while found := self._next(text, place, end):
            span = _of_match(found, self, jefferson)
            if span is None:
                place = found.start() + 1
            else:
                yield span
                place = max(span.end, found.start() + 1)

    def _next(self, text: str, place: int, end: int) -> re.Match[str] | None:
        """The first mark from a place on: one that is known, or a noise word of the user's."""
        known = _MARK.search(text, place, end)
        if self._own is None:
            return known
        own = self._own.search(text, place, end)
        return own if own and (known is None or own.start() <= known.start()) else known

    @property
    def knows(self) -> bool:
        """Whether the words for noises that are known count."""
        return "none" not in self.noise_words

    @cached_property
    def own(self) -> frozenset[str]:
        """The user's words for noises, in lower case."""
        return frozenset(word.lower() for word in self.noise_words if word != "none")

    @cached_property
    def held(self) -> dict[str, str]:
        """What each kind of brackets holds: 'noise', 'words' that decide, or 'speech'."""
        known = _HELD.get(self.brackets)
        return known or {p: "noise" if p in self.brackets.replace(" ", "") else "speech" for p in PAIRS}

    def names_noise(self, text: str) -> bool:
        """Whether words in brackets name a noise."""
        return text.strip().lower() in self.own or (self.knows and is_noise(text, self.own))

    @cached_property
    def _own(self) -> re.Pattern[str] | None:
        words = sorted(map(re.escape, self.own), key=len, reverse=True)
        return re.compile(rf"(?<![\w'-])(?P<own>{'|'.join(words)})(?![\w'-])", re.I) if words else None

    @cached_property
    def _signs(self) -> re.Pattern[str]:
        """What every text with a mark has, and few others."""
        return _SIGNS if self._own is None else re.compile(f"{_SIGNS.pattern}|{self._own.pattern}", re.I)


class _Mark(NamedTuple):
    """A sign of some convention: what it looks like, and what makes a span of it."""

    name: str
    """The name of the group that it is in `_MARK`."""
    pattern: str
    """What it looks like."""
    span: Callable[[_Found], Span | None]
    """Makes its span; None where it is none after all."""


class _Found(NamedTuple):
    """A place in a text that looks like a mark."""

    match: re.Match[str]
    """The match of `_MARK`."""
    text: str
    """What the mark's own pattern has matched."""
    conventions: Conventions
    """What the user wants."""
    jefferson: bool
    """Whether the text has signs of conversation analysis, where square brackets are overlaps."""

    def span(self, kind: Kind, said: str = "", end: int | None = None) -> Span:
        """The span of the mark."""
        start = self.match.start()
        return Span(start=start, end=self.match.end() if end is None else end, kind=kind, said=said)

    def noise(self, about: str = "") -> Span:
        """The span of a noise, as it is described."""
        words = " ".join(about.translate({ord(c): " " for c in "[]"}).split())
        return self.span(Kind.NOISE, f"[{words}]" if words else UNCLEAR_WORD)

    @property
    def following(self) -> str:
        """The word behind the mark, in lower case."""
        word = re.match(r"[\s,]*([\w']+|&(?=\s))", self.match.string[self.match.end() :])
        return word[1].lower() if word else ""

    def before(self, count: int = 1) -> str:
        """The characters before the mark."""
        return self.match.string[max(self.match.start() - count, 0) : self.match.start()]


def _beginnings(text: str) -> list[Span]:
    """Find speakers' names and times at the beginning of lines, if words are left: not "John 3:16"."""
    spans = [
        Span(start=b.start, end=b.end, kind=Kind.BREAK)
        for b in prefixes(text)
        if text[b.end : b.end + 1] != "\\"  # the name of a drive
    ]
    spans = spans or _bracketed_names(text)
    bounds = zip([0, *(s.end for s in spans)], [*(s.start for s in spans), len(text)], strict=True)
    return spans if any(c.isalnum() for start, end in bounds for c in text[start:end]) else []


_IN_BRACKETS = re.compile(r"^[ \t]*\[(?P<name>[A-Z][\w.]*(?: [A-Z][\w.]*)?)\][ \t]+(?=\w)", re.MULTILINE)


def _bracketed_names(text: str) -> list[Span]:
    """Find names in brackets that lines begin with in turns: ``[Anna] hi``, ``[Ben] hello``."""
    lines = [line for line in text.split("\n") if line.strip()]
    if len(lines) < 3:
        return []
    found = list(_IN_BRACKETS.finditer(text))
    names = Counter(m["name"] for m in found)
    taking_turns = len(names) > 1 and max(names.values()) > 1 and 2 * len(found) >= len(lines)
    if not taking_turns or any(is_noise(n.lower()) or is_pause(n.lower()) or is_editorial(n) for n in names):
        return []
    return [Span(start=m.start(), end=m.end(), kind=Kind.BREAK) for m in found]


def _of_match(match: re.Match[str], conventions: Conventions, jefferson: bool) -> Span | None:
    """The span of the first mark that begins where something looks like one; None where none does."""
    name = match.lastgroup
    assert name is not None
    span = _BY_NAME[name].span(_Found(match, match[name], conventions, jefferson))
    if span is not None:
        return span
    for further in _further(name):
        again = further.match(match.string, match.start(), match.endpos)
        if again is not None:
            return _of_match(again, conventions, jefferson)
    return None


@cache
def _further(name: str) -> tuple[re.Pattern[str], ...]:
    """What the marks look like that come behind one of this name."""
    place = next((k for k, mark in enumerate(_MARKS) if mark.name == name), len(_MARKS))
    return tuple(re.compile(f"(?P<{mark.name}>{mark.pattern})") for mark in _MARKS[place + 1 :])


def _own_word(found: _Found) -> Span | None:
    return found.noise(found.text)


def _break(found: _Found) -> Span | None:
    return found.span(Kind.BREAK)


def _nothing(found: _Found) -> Span | None:
    return found.span(Kind.NOTHING)


def _unclear(found: _Found) -> Span | None:
    return found.noise()


_TIMESTAMP = re.compile(r"[\s\d:.,;–>-]*\d{1,2}:\d\d[\s\d:.,;–>-]*")
_CODE = re.compile(
    r"/{1,3}[?-]?|/-\??|[<>]\d*|!{1,2}|#|\"|\*(?:\s.*|[^*]*)|[:=%^$].*|[+-]\s.*|e|x\s*\d+", re.DOTALL
)
_NOTE = re.compile(r"\d{1,3}|(?i:citation needed|edit|note \d+)")  # of encyclopaedias
_WORD_INSIDE = re.compile(r"(?:laughter|laughing|laugh|noise|breath|cough|smile)-([^\W\d_][\w'-]*)", re.I)
_GUESS = re.compile(r"\?\s*([^?]*[^?\s])\s*\??|([^?]*[^?\s])\s*\?+")


def _in_brackets(found: _Found) -> Span | None:
    """Read what is in brackets, of whatever kind: the span of all, or of the opening bracket alone."""
    plain = found.text.translate(_ALIKE)
    pair, inside = plain[0] + plain[-1], found.text[1:-1].strip()
    if _TIMESTAMP.fullmatch(inside) and (pair != "()" or inside.count(":") > 1):
        return found.span(Kind.BREAK)
    if pair == "**":
        inside = inside.strip(" *")
    elif pair == "[]" and _CODE.fullmatch(inside):
        return found.span(Kind.BREAK)
    if found.conventions.held[pair] == "speech":
        return None
    if is_pause(inside):
        return found.span(Kind.BREAK)
    if not inside.strip("?. "):
        return _of_nothing(found, pair, inside)
    if pair in ("[]", "()") and is_editorial(inside):
        return found.span(Kind.BREAK)
    return _of_words(found, pair, inside)


def _of_nothing(found: _Found, pair: str, inside: str) -> Span | None:
    """Read brackets without words: "(?)" behind a word marks that it is uncertain, alone what is unclear."""
    if pair == "**":
        return None
    before = found.match.string[: found.match.start()]
    if "?" in inside and before and (not before[-1].isspace() or before.rstrip().endswith(">")):
        return found.span(Kind.NOTHING)
    return found.noise() if "?" in inside else found.span(Kind.BREAK)


def _of_words(found: _Found, pair: str, inside: str) -> Span | None:
    """Read brackets with words in them."""
    if pair == "[]" and (said := _WORD_INSIDE.fullmatch(inside)):
        return found.span(Kind.WORDS, said[1])
    if pair != "()" and inside.lower() in FILLERS and inside.lower() not in found.conventions.own:
        return found.span(Kind.WORDS, inside)
    if pair == "[]" and _NOTE.fullmatch(inside):
        return found.span(Kind.BREAK)
    named = found.conventions.names_noise(inside)
    if not named and pair in ("[]", "()") and (guess := _GUESS.fullmatch(inside)):
        return found.noise(inside) if found.conventions.names_noise(guess[1] or guess[2]) else None
    overlap = found.jefferson and pair in ("[]", "<>")
    if named or (found.conventions.held[pair] == "noise" and not overlap):
        exact = BRACKETED.fullmatch(found.text)
        return found.span(Kind.NOISE, found.text) if exact else found.noise(inside)
    within = overlap and pair == "[]" and found.before().isalpha()
    return found.span(Kind.NOTHING, end=found.match.start() + 1) if within else None


def _double(found: _Found) -> Span | None:
    """Read double parentheses: what nobody understood, a description of a noise, or a guess at words."""
    inside = found.text[2:-2].strip()
    if not inside.strip("?. -"):
        return found.noise()
    if is_pause(inside):
        return found.span(Kind.BREAK)
    held = found.conventions.held["()"]
    noise = held == "noise" or (held == "words" and found.conventions.names_noise(inside))
    return found.noise(inside) if noise else None


def _joined(found: _Found) -> Span | None:
    """Read a word of which a part is in brackets: "(be)cause" whole, "w[ould]-" as far as it is said."""
    word = found.text
    inside, outside = re.findall(r"[(\[]([\w'’]+)[)\]]", word), re.sub(r"[(\[][\w'’]+[)\]]", "", word)
    if re.search(r"\w\(h+\)\w", word):  # breath within a word
        return found.span(Kind.WORDS, re.sub(r"\(h+\)", "", word))
    if found.conventions.names_noise(inside[0]) or (len(outside) == len(inside[0]) == 1 and not inside[1:]):
        return None  # "well(laughs)", "f(x)"
    if outside[0] == "-" or outside[-1] == "-":
        return found.span(Kind.CUT_OFF, _plain(outside).strip("-") + "-")
    return found.span(Kind.WORDS, re.sub(r"[()\[\]]", "", word))


def _plain(word: str) -> str:
    return re.sub("[’‘ʼ]", "'", word)


def _cut_off(found: _Found) -> Span | None:
    """Read a word that is broken off, but not the first part of "pre- and post-war", nor the grade "A-"."""
    word, following = found.text[:-1], found.following
    stem = _plain(word).lower()
    again = following.startswith(stem)
    if (following in HANGING or _hangs(found)) and not again and is_readable(word):
        return None
    if len(word) == 1 and word.isupper() and word != "I" and not again:
        return None
    if found.text.lower() == "w/":
        return None  # "with"
    if found.text[-1] == "/" and _ITALIC.search(found.match.string[: found.match.start()]):
        return None  # /two words/
    if found.text[-1] in "/+" and found.before().strip("\"'(“‘«\n\t "):
        return None  # within an address
    if found.text[-1] == "+" and (len(word) < 2 or not word.islower()):
        return None
    return found.span(Kind.CUT_OFF, f"{_plain(word)}-")


def _stutter(found: _Found) -> Span | None:
    """Read the beginning of a word that is said again: "w-was", "th-th-the", but not "so-so" or "re-read"."""
    whole = re.match(rf"(?:{_LETTER}+-)+{_LETTER}[\w'’]*", found.match.string[found.match.start() :])
    if whole is None or whole[0].lower() in LETTERED:
        return None
    stem, last = found.text[:-1].lower(), whole[0].split("-")[-1].lower()
    said = last.startswith(stem) and last != stem and (len(stem) == 1 or not is_readable(stem))
    return found.span(Kind.CUT_OFF, _plain(found.text)) if said else None


def _enclosed(found: _Found) -> Span | None:
    """Read a description between two signs, such as ``%laughter%``."""
    inside = found.text[1:-1]
    words = found.conventions.held["**"] == "words" and found.conventions.names_noise(inside)
    return found.noise(inside) if words else None


_ITALIC = re.compile(r"(?<!\S)/[\w'][^/\n]*$")  # what is between slashes, so far
_LIST = re.compile(r"(?:,\s*[\w'-]+-(?=[\s,]))+,?\s+(\w+)\s")


def _hangs(found: _Found) -> bool:
    """Whether the first parts of compounds go on: "pre-, peri- and post-war"."""
    further = _LIST.match(found.match.string, found.match.end())
    return further is not None and further[1].lower() in HANGING


def _described(found: _Found) -> Span | None:
    """Read an event of CHAT such as ``&=laughs``, or another's words within one's turn."""
    return found.noise(re.sub(r"^&[=*~{}]|[:_]", " ", found.text))


def _filler(found: _Found) -> Span | None:
    """Read a filler, or a fragment, of CHAT, or a filler of the LDC."""
    sign = re.match(r"&[-+~]?|%", found.text)
    assert sign is not None
    word = found.text[sign.end() :]
    if sign[0] == "&+":
        return found.span(Kind.CUT_OFF, f"{_plain(word)}-")
    if sign[0] in ("&-", "&~"):
        return found.span(Kind.WORDS, word)
    if sign[0] == "%" and found.conventions.names_noise(word):
        return found.noise(word)
    if word.lower() in FILLERS:
        return found.span(Kind.WORDS, word)
    again = sign[0] == "&" and found.following.startswith(word.lower()) and word.islower()
    return found.span(Kind.CUT_OFF, f"{_plain(word)}-") if again else None


def _suffixed(found: _Found) -> Span | None:
    """Read a word with a suffix of CHAT, such as ``bonjour@s:fra``; one of letters by their names."""
    word, _, suffix = found.text.partition("@")
    kind = re.split(r"[:$]", suffix)[0]
    if kind not in SUFFIXES:
        return None
    letters = kind in ("l", "k") and word.isalpha()
    return found.span(Kind.WORDS, "".join(f"{c}." for c in word) if letters else word)


def _bare(found: _Found) -> Span | None:
    """Read a word that stands for what nobody understood."""
    low = found.text.lower()
    known = low in BARE or found.text == "xx" or (set(low) == {"x"} and len(low) > 2)
    return found.noise(found.text) if known and found.conventions.knows else None


def _hashes(found: _Found) -> Span | None:
    """Read hashes by themselves: a pause, or, three and more, what nobody understood."""
    return found.noise() if len(found.text) > 2 else found.span(Kind.BREAK)


def _breath(found: _Found) -> Span | None:
    return found.noise("breath") if found.conventions.knows else None


def _omitted(found: _Found) -> Span | None:
    """Drop a word of CHAT that is not said, such as ``0is``."""
    return None if found.text[1:] in ("th", "st", "s", "x", "am", "pm") else found.span(Kind.BREAK)


def _times(found: _Found) -> Span | None:
    """Read a word that is said several times: ``no [x 3]``."""
    word, count = found.match["repeated"], int(found.match["count"])
    return found.span(Kind.WORDS, "_".join([word] * min(max(count, 1), 20)))


def _long(found: _Found) -> Span | None:
    """Read a word with colons behind what is drawn out, as ``lo:ng``; others part words: "Yes:and"."""
    first, *rest = found.text.split(":")
    a_name = len(first) == 1 and first.isupper()  # "Q:yes"
    part = (len(first) == 1 and first != "a") or not all(map(_is_said_alone, rest))
    short = len(rest) > 1 and all(len(piece) < 4 for piece in (first, *rest))
    drawn = len(found.text) > 3 and not a_name and (part or short)
    drawn = drawn or first + "".join(rest) in _SHORT_AND_DRAWN
    return found.span(Kind.WORDS, first + "".join(rest)) if drawn else None


_WITHOUT_VOWELS = frozenset(
    listed("by cry dry fly fry gym hmm hm mm my ply pry rhythm sh shy sky sly spy sty try why")
)


_SHORT_AND_DRAWN = frozenset(listed("um uh er ah oh eh hm mm no so go my me we he she do to ho hi ya yo"))


def _is_said_alone(piece: str) -> bool:
    """Whether letters can be a word: they have a vowel, or are one of the few that have none."""
    return piece in _WITHOUT_VOWELS or any(c in "aeiou" for c in piece)


_LETTER = r"[^\W\d_]"
_AFTER = r"(?=[\s,.?!;:…)\]\"”»。，]|$)"
_ROUND, _SQUARE = rf"\({_LETTER}+\)", r"\[[^\W_]+\]"
_WORD = rf"{_LETTER}[\w'’]*"
_PARTLY_ROUND = rf"(?:{_ROUND}|{_WORD}{_ROUND}){_WORD}(?:{_ROUND})?|{_WORD}{_ROUND}-?"
_PARTLY_SQUARE = rf"-?{_SQUARE}{_WORD}|{_WORD}{_SQUARE}(?:-|[\w'’]*)"
_OF_SCOPE = r"\s*\[(?:[/?:!=*%^>\"+-]|e\]|x\s*\d)"
_HEADER_NAMES = """
    UTF-?8 Begin End New.Episode Blank Bg Eg G PID: Languages: Participants: ID: Media: Comment:
    Options: Date: Location: Situation: Activities: Gem: Time.Duration: Time.Start: Transcriber:
    Tape.Location: Types: Warning: Font: Window: Color.words: Birth L1 Recording.Quality: Transcription:
    Number: Page: Bck: Thumbnail: T: Room.Layout: New.Language: Filename: Coder: Coding: Age Sex
    Education Group SES: Stim: Interaction.Type:
"""
_HEADERS = "|".join(_HEADER_NAMES.split())
_MARKS = (
    _Mark("header", rf"(?m:^[ \t]*@(?:{_HEADERS}).*$)", _break),
    _Mark("tier", r"(?m:^[ \t]*%x?[a-z]{3}:.*$)", _break),
    _Mark("bullet", r"[\x15•]\d+_\d+[\x15•]", _break),
    _Mark("times", rf"(?P<repeated>{_LETTER}[\w']*)\s*\[x\s*(?P<count>\d{{1,2}})\]", _times),
    _Mark("joined", rf"(?<![\w'’-])(?:{_PARTLY_ROUND}|{_PARTLY_SQUARE})(?![\w([])", _joined),
    _Mark("double", r"\(\([^()\n]*\)\)", _double),
    _Mark("gat", r"<<[^<>\n]*>", _break),
    _Mark("scope", rf"<(?=[^<>\n]*>{_OF_SCOPE})|(?<=[^\s<])>(?={_OF_SCOPE})", _nothing),
    _Mark(
        "brackets",
        r"\[[^\[\]\n]*\]|\{[^{}\n]*\}|<(?!(?<=\w<)[.=\d])[^<>\s][^<>\n]*>|\([^()\n]*\)"
        r"|［[^［］\n]*］|【[^【】\n]*】|〔[^〔〕\n]*〕|｛[^｛｝\n]*｝|（[^（）\n]*）|＜[^＜＞\n]+＞|〈[^〈〉\n]+〉"
        r"|(?<![\w*])\*{1,2}[^*\s][^*\n]*\*{1,2}(?![\w*])",
        _in_brackets,
    ),
    _Mark(
        "enclosed",
        r"(?<![\w%#/~=+$|^-])(?P<sign>[%#/~=+$|^-])[^\W\d][^\n%#/~=+$|^-]{1,40}(?P=sign)(?!\w)",
        _enclosed,
    ),
    _Mark("scoped", r"&[{}][ln]=\S*", _break),
    _Mark("event", r"&=[\w:'+.-]*\w|&\*[A-Z]{2,}\d?:[\w'+:]+", _described),
    _Mark("filler", rf"(?<![\w&%])(?:&[-+~]?{_LETTER}[\w'’]*|%{_LETTER}+)(?![\w;&])", _filler),
    _Mark(
        "suffix",
        rf"(?<![\w@.-]){_LETTER}[\w'’+-]*@[a-z]{{1,3}}(?:\$\w+)?(?::[a-z-]+)?(?![\w@-]|\.\w)",
        _suffixed,
    ),
    _Mark("plusses", r"(?<!\S)\+{3,}(?!\S)|(?<!\S)\?{2,}(?!\S)|(?<!\S)_{2,}(?=[\s,.?!]|$)", _unclear),
    _Mark("linker", r"(?<!\S)\+(?:\.\.\.|\.\.\?|!\?|/{1,2}[.?]|\"/?\.?|\.(?!\d)|\^|,|\+|<|≋|≈)", _break),
    _Mark("within", rf"(?<={_LETTER})[\[\]](?={_LETTER})", _nothing),
    _Mark("bare", r"(?<![\w@.&'’-])(?:[xX]{2,}|yyy|YYY|www|WWW|spn|SPN)(?![\w'’-]|\.\w|:/)", _bare),
    _Mark("hashes", r"(?<![\w#&])#+(?=\s|$|[,.;?!])(?!\s*\d)", _hashes),
    _Mark("slashes", r"(?<!\S)(?:/{1,3}|\|{1,2})(?!\S)", _break),
    _Mark("stutter", rf"(?<![\w'’@./]){_LETTER}{{1,4}}-(?={_LETTER})", _stutter),
    _Mark("cutoff", rf"(?<![\w'’@./-])['’]?(?:{_LETTER}+['’-])*{_LETTER}+['’]?[-/+]{_AFTER}", _cut_off),
    _Mark("length", rf"(?<={_LETTER}):{{2,}}", _nothing),
    _Mark("long", rf"(?<![\w'’.:/@-]){_LETTER}[a-z]*(?::[a-z]+)+(?![\w:/@]|'\w)", _long),
    _Mark("action", r"(?<!\S)0(?=\s*\[[=%])", _break),
    _Mark(
        "latch",
        rf"(?<![\w=<>!])=+(?={_LETTER})|(?<=[^\W\d_])=+(?=\s|$)|(?<=[^\W\d_][.,?!])=+(?=\s|$)",
        _nothing,
    ),
    _Mark(
        "soft",
        rf"(?<!\d)(?<!\d\s)°+(?={_LETTER})(?!°*[CF]\b)|(?<=[^\W\d_])°+(?!\w)|(?<=[^\W\d_][.,?!])°+(?!\w)",
        _nothing,
    ),
    _Mark("pitch", r"[↑↓↗↘⇗⇘]+", _nothing),
    _Mark("breath", r"(?<![\w.'’-])(?:\.h+|h{2,})(?![\w'’])", _breath),
    _Mark("omitted", r"(?<![\w.,:/$-])0[a-z']{2,}(?![\w'])", _omitted),
)
_BY_NAME = {mark.name: mark for mark in _MARKS} | {"own": _Mark("own", "", _own_word)}
_MARK = re.compile("|".join(f"(?P<{mark.name}>{mark.pattern})" for mark in _MARKS))
_SIGNS = re.compile(
    r"[\[\](){}<>［【〔｛（＜〈&@#=°↑↓↗↘⇗⇘\x15•|%+*]|[-/](?!\w)|::|\w:[a-z]|\b0\s*\[|[~$^]|(?<!\w)[^\W\d_]{1,4}-[^\W\d_]|[xX]{2}|yyy|YYY|www|WWW|spn|SPN|hh|\.h|\b0[a-z]|\?\?|__"
)
_JEFFERSON = re.compile(r"\[[^\[\]\n]*(?:\n|\[|\Z)|(?<=[^\W\d_])=(?:\s|\Z)|(?<!\d)(?<!\d\s)°[^\W\dCF_]")
USUAL = Conventions()
"""What is read where the user asks for nothing else."""
