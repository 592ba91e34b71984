"""Names of speakers and times at the beginning of a transcript's lines: they are its form, and not said.

A name counts as one where its form says so beyond doubt (``*CHI:``, ``[Bob]:``, ``Speaker 1:``, ``S1:``,
``Interviewer:``, ``>> ``), or where lines begin with names again and again (``Bob: ...``).  A word with a
colon that begins a single line, or stands within one, is a word.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

_CLOCK = r"(?:\d{1,2}:)?\d{1,3}:\d{2}(?:[.,]\d{1,3})?"
_LONG_CLOCK = r"(?:\d{1,2}:\d{1,2}:\d{2}(?:[.,]\d{1,3})?|\d{1,3}:\d{2}[.,]\d{1,3})"
_RANGE = rf"{_CLOCK}(?:\s*(?:-+>?|–|—|to|/)\s*{_CLOCK})?"
_SECONDS = r"[\[(]\s*\d+(?:\.\d+)?\s*s?\s*(?:-+>?|–|—|to|:)\s*\d+\.\d+\s*s?\s*[\])]"  # of Whisper's programs
_HALF = r"(?![ \t]*[AaPp]\.?[Mm]\b)"  # a time of day is said
_TIME = (
    rf"(?:[\[({{<]\s*{_RANGE}\s*[\])}}>]|{_SECONDS}|{_CLOCK}\s*-->\s*{_CLOCK}[^\n]*+"
    rf"|{_LONG_CLOCK}{_HALF})(?!\w)"
)
_SEPARATED = r"[ \t]*(?:[-–—|:][ \t]+)?"
_WORD = r"[^\W\d_][\w.'’#-]*"
_NAME = rf"{_WORD}(?:[ \t_](?:{_WORD}|\#?\d+|&)){{0,3}}"
_ROLES = """
    speaker spkr spk interviewer interviewee participant moderator host guest caller operator narrator
    respondent informant investigator experimenter researcher therapist patient client counselor
    counsellor doctor nurse teacher student pupil mother father child woman man male female boy girl
    facilitator presenter reporter examiner examinee subject agent customer interpreter unknown
    unidentified announcer anchor chair chairman chairwoman chairperson audience int inv ivr chi mot fat
    exp mod ie ir pt sprecher sprecherin interviewerin befragte befragter locuteur locutrice intervieweur
    hablante entrevistador entrevistadora entrevistado intervistatore parlante puhuja haastattelija talare
    intervjuare spreker voice voiceover vo narration говорящий интервьюер
"""
_ROLE = "|".join(_ROLES.split())
_OF_ROLE = r"\d{1,3}|[A-Z]|(?i:one|two|three|four|five|six)"
_SURE = (
    rf"(?i:(?:(?:fe)?male|unidentified|unknown|first|second)[ _])?(?i:{_ROLE})(?:[ _-]?\#?(?:{_OF_ROLE}))?"
    r"|[A-Z]|[A-Z]{1,3}\d{1,3}|[A-Z]\d?[A-Z]?\d"
)
_ASIDE = r"(?:[ \t]*[(\[][^()\[\]\n]{1,40}[)\]])?"  # such as "(laughing)" behind a name
_COLON = r"(?:\*\*|__)?[ \t]*[:：](?![/\d])(?:\*\*|__)?[ \t]*"  # names may be in Markdown's bold type
_BEGIN = r"[ \t]*(?:[-–—•][ \t]+)?(?:\*\*|__)?"
_SIGN = re.compile(r"[:：]|>>|<v|[\[(<]\w+[ _-]?\d+[\])>]|\d\.\d")  # without one there is nothing
_MARKED = re.compile(
    rf"(?P<time>{_TIME})?{_SEPARATED}"
    r"(?:<v(?:\.[\w.]+)?[ \t]+(?P<voice>[^<>\n]{1,40})>[ \t]*"
    r"|\*(?P<chat>[A-Z][A-Z0-9_]{0,7}):[ \t]*"
    rf"|>{{2,}}[ \t]*(?:(?P<caption>{_NAME}){_ASIDE}{_COLON})?"
    rf"|[\[(<](?P<bracket>{_NAME})[\])>]{_COLON}"
    rf"|[\[(<](?P<label>(?i:{_ROLE})[ _-]?\d+)[\])>](?:{_COLON}|[ \t]+|$)"
    rf"|(?P<role>(?i:{_ROLE})[ _-]?\d+)[ \t]+[\[(]?{_CLOCK}[\])]?(?!\w)(?:{_COLON}|[ \t]+|$)"
    rf"|(?P<sure>{_SURE}){_ASIDE}(?:[ \t]*{_TIME})?{_COLON}"
    rf"|(?P<alone>{_NAME}){_ASIDE}[ \t]+(?:[\[(]?{_CLOCK}[\])]?)[ \t]*(?:{_COLON}|$))"
)
_NAMED = re.compile(
    rf"(?P<time>{_TIME}|{_CLOCK}(?=[ \t]+\S))?{_SEPARATED}(?P<name>{_NAME}){_ASIDE}(?:[ \t]*{_TIME})?{_COLON}"
)
_TIMED = re.compile(rf"(?P<time>{_TIME}){_SEPARATED}(?=\S|$)")
_BEGINS = re.compile(_BEGIN)
_SHORT_TIMED = re.compile(rf"(?P<time>{_CLOCK})(?!\w){_HALF}{_SEPARATED}")
_QUESTION = re.compile(r"(?P<name>[QA])\.[ \t]+")  # and answer, of depositions
_INLINE = re.compile(r"(?<=[.?!…])[ \t]+(?P<name>[A-Z]):[ \t]+")  # "Q: Why? A: Because."
_VTT_BLOCK = re.compile(r"(?:WEBVTT|NOTE|STYLE|REGION)\b")
_READ = """
    note notes warning step chapter part section example exercise figure table lesson unit day rule tip
    time date re subject ps verse book volume act scene appendix page line item number option answer
    question title author summary conclusion introduction remember http https ftp mailto so and but or
    then he she it they we you well yes no okay ok now this that these those here there what why how who
    when where the because however finally first second third fourth next also plus thus at by on in until
    till from before after around about
"""
READ_ALOUD = frozenset(_READ.split())  # with which lines begin that are said, though a colon is behind
LONGEST_NAME = 40  # characters
LEAST_SHARE = 0.05  # of the lines of a conversation that begin with a name


@dataclass(frozen=True)
class Prefix:
    """What stands before what is said in a line."""

    start: int
    """Index of its first character in the text."""
    end: int
    """Index behind its last character."""
    name: str = ""
    """The speaker that it names; empty where it is only a time, or a sign that somebody else speaks."""
    timed: bool = False
    """Whether there is a time in it."""


@dataclass(frozen=True, kw_only=True)
class _Form:
    """What the lines of a transcript have in common."""

    names: frozenset[str]
    """Names in lower case that are speakers'."""
    timed: bool
    """Whether the lines begin with times, and these with 0:00 or so."""
    asked: bool
    """Whether the lines begin with "Q." and "A.", as those of depositions do."""

    def is_speaker(self, name: str, time: str | None) -> bool:
        """Whether a name is a speaker's: it is known, or behind a time of the recording."""
        timed = time is not None and (self.timed or re.fullmatch(_TIME, time) is not None)
        return timed or name.lower() in self.names


def names_in(lines: Iterable[str]) -> frozenset[str]:
    """The names, in lower case, that lines begin with again and again, or that begin most of them.

    Where few lines of many begin with a name, none is a speaker's.

    Examples
    --------
    >>> sorted(names_in(["Bob: hi", "Anna: hello", "Bob: bye"])), names_in(["Note: this is said", "once"])
    (['anna', 'bob'], frozenset())
    """
    whole = [line for line in lines if line.strip()]
    found = [name for line in whole if (name := _name_of(line))]
    counted = Counter(name.lower() for name in found)
    again = {name for name, times in counted.items() if times > 1}
    capital = {name.lower() for name in found if name[0].isupper() or not name[0].isascii()}
    if len(found) < LEAST_SHARE * len(whole):
        return frozenset()
    most = 2 * len(found) >= len(whole)
    if again:
        return frozenset(counted if most else again | capital)
    return frozenset(capital) if most and len(capital) > 1 else frozenset()


def _name_of(line: str) -> str:
    """The name that a line may begin with; empty where it begins with none."""
    begin = _BEGINS.match(line)
    named = _NAMED.match(line, begin.end() if begin else 0)
    if not named or len(named["name"]) > LONGEST_NAME:
        return ""
    name = " ".join(named["name"].split())
    return "" if _is_read(name) else name


def prefixes(text: str, known: Collection[str] = frozenset()) -> list[Prefix]:
    """What the lines of a transcript begin with that is not said.

    Parameters
    ----------
    text : str
    known : collection of str
        Names in lower case that are known from elsewhere, as from the other intervals of a TextGrid.

    Returns
    -------
    list of Prefix
        In their order.

    Examples
    --------
    >>> [p.name for p in prefixes("Bob: hi\\nAnna: hello\\nBob: so, note: it ends")]
    ['Bob', 'Anna', 'Bob']
    >>> prefixes("S1: hello")[0].name, prefixes("note: hello")
    ('S1', [])
    """
    lines = text.split("\n")
    asked = {m["name"] for line in lines if (m := _QUESTION.match(line))} == {"Q", "A"}
    if not asked and not _SIGN.search(text):
        return []
    form = _Form(names=names_in(lines) | frozenset(known), timed=_are_timed(lines), asked=asked)
    headers = _headers(lines)
    found: list[Prefix] = []
    start = 0
    for k, line in enumerate(lines):
        following = lines[k + 1] if k + 1 < len(lines) else ""
        if k in headers:
            found.append(Prefix(start, start + len(line), timed=True))
        elif own := _prefix(line, start, form) or _counter(line, start, following):
            found += [own, *_further(line, start, own)]
        start += len(line) + 1
    return found


def _are_timed(lines: Iterable[str]) -> bool:
    """Whether lines begin with times since the recording began, 0:00 or so the first: a schedule has none."""
    times = [found["time"] for line in lines if (found := _SHORT_TIMED.match(line.lstrip()))]
    return len(times) > 1 and int(times[0].split(":")[0]) == 0


def _headers(lines: Sequence[str]) -> frozenset[int]:
    """The lines of the header, the notes and the styles of WebVTT."""
    if not lines[0].lstrip("\ufeff").startswith("WEBVTT"):
        return frozenset()
    found, within = set(), False
    for k, line in enumerate(lines):
        within = bool(line.strip()) and (within or _VTT_BLOCK.match(line.lstrip("\ufeff")) is not None)
        found |= {k} if within else set()
    return frozenset(found)


def _further(line: str, start: int, first: Prefix) -> Iterable[Prefix]:
    """Speakers within a line that begins with a letter for one: "Q: Why? A: Because."."""
    if len(first.name) == 1:
        for inline in _INLINE.finditer(line, first.end - start):
            yield Prefix(start + inline.start(), start + inline.end(), inline["name"])


def _counter(line: str, start: int, following: str) -> Prefix | None:
    """The number of a subtitle above its time, as SubRip has it."""
    if line.strip().isdigit() and "-->" in following and _TIMED.match(following.strip()):
        return Prefix(start, start + len(line), timed=True)
    return None


def _prefix(line: str, start: int, form: _Form) -> Prefix | None:
    begin = _BEGINS.match(line)
    place = begin.end() if begin else 0
    if (marked := _MARKED.match(line, place)) and not (marked["alone"] and _is_read(marked["alone"])):
        name = next((marked[g] for g in _GROUPS if marked[g]), "")
        return Prefix(start, start + marked.end(), " ".join(name.split()), marked["time"] is not None)
    named = _NAMED.match(line, place)
    if named and (name := _name_of(line)) and form.is_speaker(name, named["time"]):
        return Prefix(start, start + named.end(), name, named["time"] is not None)
    if form.asked and (question := _QUESTION.match(line, place)):
        return Prefix(start, start + question.end(), question["name"])
    timed = _TIMED.match(line, place) or (_SHORT_TIMED.match(line, place) if form.timed else None)
    return Prefix(start, start + timed.end(), timed=True) if timed else None


_GROUPS = ("voice", "chat", "caption", "bracket", "label", "role", "sure", "alone")


def _is_read(name: str) -> bool:
    """Whether words with a colon behind them are said: names of several words have capitals."""
    words = name.replace("_", " ").split()
    lower = [word for word in words if word[0].islower()]
    if len(words) > 1 and (lower or name.isupper()):
        return bool(lower)
    return words[0].strip(".").lower() in READ_ALOUD


def without_prefixes(text: str, found: Iterable[Prefix]) -> str:
    """A transcript without what its lines begin with that is not said, line by line.

    Examples
    --------
    >>> without_prefixes(text := "Bob: hi\\nAnna: hello", prefixes(text))
    'hi\\nhello'
    """
    pieces, done = [], 0
    for prefix in found:
        pieces.append(text[done : prefix.start])
        done = prefix.end
    whole = "".join([*pieces, text[done:]])
    return "\n".join(line.strip() for line in whole.split("\n") if line.strip())
