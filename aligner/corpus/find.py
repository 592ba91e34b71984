"""A folder of recordings and transcripts is searched for utterances."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from aligner.corpus import audio
from aligner.corpus.beside import instead, not_taken
from aligner.corpus.naming import ByName, Paired, caseless, composed, paired
from aligner.corpus.tables import TranscriptRow, is_table, read_rows
from aligner.corpus.tier_names import PHONES, WORDS, folded, kind_of
from aligner.corpus.turns import unprefixed
from aligner.corpus.walk import Odd, Tree, Why, files_in, walk
from aligner.formats.base import Tiers
from aligner.formats.files import check_reachable, read_text
from aligner.formats.textgrid import read_textgrid
from aligner.types import Caution, DataError, Failure, Fault, Interval, Notice, Utterance

TRANSCRIPTS = (".lab", ".txt", ".textgrid")  # the first there is counts
UNREAD_SUFFIXES = tuple(audio.UNREAD)
TIMIT_PROMPT = re.compile(r"(\d+) (\d+) (?=\S)")
ABOUT = ("README", "LICENSE", "LICENCE", "COPYING", "CHANGELOG", "AUTHORS", "CITATION", "NOTICE")
MOST_NAMED = 3  # files that a message names
# names of tiers, as `folded` writes them, whose boundaries are kept; sentences stand in others of the kind
WORD_TIER = re.compile(r"(?<![^\W_])(words?|wrds?|ort-mau|tokens-?align)(?![^\W_])")
PROMPT_SLACK = 0.05  # share of the samples by which a TIMIT prompt's end may miss the recording's


@dataclass(frozen=True)
class Corpus:
    """The utterances of a folder, the failures of what makes none, and cautions about what else is there."""

    utterances: tuple[Utterance, ...]
    """What can be tried to align, in the order of the files."""
    failures: tuple[Failure, ...]
    """What is wrong with the rest."""
    cautions: tuple[Caution, ...] = ()
    """What the user should know of it beside."""
    linked: tuple[Path, ...] = ()
    """The real folders that links in it lead to."""


def find(root: str | Path) -> Corpus:
    """Find the utterances of a folder tree.

    A recording's transcript is the file of the same stem beside it (.lab, .txt or .TextGrid, in
    this order), or its row in a ``metadata.csv`` (LJSpeech) or ``transcripts.tsv`` of its folder or the
    folder above.  The speaker is the folder that holds the recording, unless the TextGrid or the
    table names one.

    Parameters
    ----------
    root : str or Path

    Raises
    ------
    DataError
        If there is no such folder or no recording in it.
    """
    root = Path(root)
    tree = walk(root)
    _check_found(root, tree)
    recordings = _in_order(audio.recordings_of(tree.files))
    stems = {path.with_suffix(""): path for path in reversed(recordings)}
    unread = [p for p in tree.files if p.suffix.lower() in UNREAD_SUFFIXES and p.with_suffix("") not in stems]
    odd = [o.path for o in tree.odd if _is_recording(o.path)]
    wanting = {*stems, *(p.with_suffix("") for p in (*unread, *odd))}
    transcripts = paired(sorted(wanting), _ranked(p for p in tree.files if p.suffix.lower() in TRANSCRIPTS))
    rows = _rows(tree.files, recordings)
    lacking = Lacking(tree)
    found: list[Utterance | Failure] = []
    for path in recordings:
        stem = path.with_suffix("")
        if stems[stem] is not path:
            found.append(_second_of_name(root, path, stems[stem]))
        else:
            own = transcripts.by_stem.get(stem)
            found += _of_recording(root, path, own, rows.pop(stem, None), lacking)
    found += [_unread_recording(root, p, *audio.unread(p), Fault.UNREADABLE) for p in unread]
    found += _of_odd(root, tree.odd)
    found += _without_recording(root, transcripts.spare, rows)
    named, of_lines = unprefixed([_if_unicode(f) for f in found])
    return Corpus(
        tuple(u for u in named if isinstance(u, Utterance)),
        tuple(f for f in named if isinstance(f, Failure)),
        cautions=(*_cautions(root, tree, transcripts, named), *of_lines),
        linked=tree.linked,
    )


def _in_order(recordings: Iterable[Path]) -> list[Path]:
    """Return recordings in ascending order, those of one name with the best format first."""
    return sorted(recordings, key=lambda p: (p.with_suffix(""), audio.SUFFIXES.index(p.suffix.lower())))


def _ranked(transcripts: Iterable[Path]) -> list[Path]:
    """Return transcripts with the kinds first that count more."""
    return sorted(transcripts, key=lambda p: (TRANSCRIPTS.index(p.suffix.lower()), p))


def _is_recording(path: Path) -> bool:
    """Return whether a path has the suffix of a recording, of a kind that is read or not."""
    return path.suffix.lower() in (*audio.SUFFIXES, *UNREAD_SUFFIXES)


def _second_of_name(root: Path, path: Path, first: Path) -> Failure:
    """Return the failure of a recording whose name another one has, of a better format."""
    rule = f"{first.name} has the same name, and one TextGrid cannot hold both"
    return _unread_recording(root, path, rule, "rename one of them", Fault.DUPLICATE_NAME)


def check_corpus(root: Path) -> None:
    """Raise DataError where a folder has nothing that would be a corpus; the first recording found suffices.

    Raises
    ------
    DataError
        If there is no such folder, or no recording in it.
    """
    _check_found(root, walk(root))


def _check_found(root: Path, tree: Tree) -> None:
    """Raise DataError where there is no such folder, or nothing in it that would be a corpus."""
    check_reachable(root)
    if not root.is_dir():
        rule = "it is a file, not a folder" if root.exists() else "there is no such folder"
        raise DataError(root, rule, "name the folder of recordings and transcripts")
    for odd in (o for o in tree.odd if o.path == root):
        raise DataError(root, odd.rule, "check its rights")
    odd_paths = [o.path for o in tree.odd]
    if not any(_is_recording(p) or is_table(p) for p in (*tree.files, *odd_paths)):
        raise DataError(
            root,
            f"there is no recording in this folder{_instead_there(root, tree)}",
            audio.SUFFIXES_SAID,
        )


def _instead_there(root: Path, tree: Tree) -> str:
    """Return what is in a folder without recordings, in brackets; empty where nothing is."""
    kinds = Counter(p.suffix.lower() or "files without a suffix" for p in tree.files)
    there = [f"{count} {kind}" for kind, count in kinds.most_common(MOST_NAMED)]
    hidden = [p.name for p in tree.hidden if p.is_dir() or _is_recording(p)]
    if hidden:
        there.append(f"{_some(hidden)}, whose names begin with a dot")
    there += [f"{o.path.relative_to(root)}: {o.rule}" for o in tree.odd[:MOST_NAMED]]
    return f" ({'; '.join(there)})" if there else ""


def _some(names: Sequence[str]) -> str:
    """Return the first of some names, and how many more there are."""
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def check_recording(path: Path) -> None:
    """Raise DataError where a file is no recording.

    Raises
    ------
    DataError
        Saying what it is, and what to name instead.
    """
    suffix = path.suffix.lower()
    check_reachable(path)
    if not path.exists():
        others = [path.with_name(f"{path.name}{s}") for s in audio.SUFFIXES] + _recordings_of(path)
        meant = next((p.name for p in others if p.is_file()), None)
        raise DataError(
            path,
            "there is no such folder or recording",
            f"did you mean {meant}?"
            if meant
            else "name the folder of recordings and transcripts, or one recording",
        )
    if suffix in UNREAD_SUFFIXES:
        raise DataError(path, *audio.unread(path), fault=Fault.UNREADABLE)
    if is_table(path):
        raise DataError(
            path, "it is a table of transcripts, not a recording", "name the folder of its recordings"
        )
    if suffix in TRANSCRIPTS:
        meant = next((str(p) for p in _recordings_of(path) if p.is_file()), None)
        raise DataError(
            path,
            "it is a transcript, not a recording",
            f"name its recording: {meant}" if meant else f"put {path.stem}.wav beside it, and name that",
        )
    if suffix not in audio.SUFFIXES or not path.is_file():
        raise DataError(path, "it is no recording", audio.SUFFIXES_SAID)


def _recordings_of(path: Path) -> list[Path]:
    """Return the paths that the recording of a transcript may have."""
    return [path.with_name(f"{path.stem}{suffix}") for suffix in audio.SUFFIXES]


def find_one(path: Path, text: str | None = None, root: Path | None = None) -> Corpus:
    """Find the utterances of one recording, whatever else is in its folder.

    Parameters
    ----------
    path : Path
        The recording; its transcript is found as in a folder (see `find`).
    text : str, optional
        What is said, instead.
    root : Path, optional
        The folder that it goes by its path in; its own unless given.

    Raises
    ------
    DataError
        If it is no recording, or has no transcript that can be used.
    """
    check_recording(path)
    root = root or path.parent
    if text is not None:
        found: list[Utterance | Failure] = [_if_unicode(_utterance(root, path, _lines(text)))]
    else:
        folder = files_in(path.parent)
        transcript, row, lacking = _transcript_beside(path, folder), _row_of(path, root), Lacking(folder)
        if transcript is None and row is None:
            rule, remedy, fault = lacking.of(path)
            raise DataError(path, rule, f"{remedy}, or say what is said (--text)", fault=fault)
        found = [_if_unicode(f) for f in _of_recording(root, path, transcript, row, lacking)]
    found, of_lines = unprefixed(found)
    utterances = tuple(u for u in found if isinstance(u, Utterance))
    failures = tuple(f for f in found if isinstance(f, Failure))
    if not utterances:
        raise failures[0].error(path)
    return Corpus(utterances, failures, cautions=tuple(of_lines))


def _transcript_beside(path: Path, folder: Tree) -> Path | None:
    """Return the transcript beside a recording; None where there is none.

    Raises
    ------
    DataError
        If the folder cannot be read.
    """
    for odd in folder.odd:
        if odd.why is Why.CLOSED and odd.path == path.parent:
            raise DataError(odd.path, odd.rule, "check its rights")
    recordings = {p.with_suffix("") for p in (path, *folder.files) if p.suffix.lower() in audio.SUFFIXES}
    transcripts = _ranked(p for p in folder.files if p.suffix.lower() in TRANSCRIPTS)
    return paired(sorted(recordings), transcripts).by_stem.get(path.with_suffix(""))


def _row_of(path: Path, root: Path) -> TranscriptRow | None:
    """Return a recording's row in a table of its folder, the one above, or one up to the root.

    Raises
    ------
    DataError
        If there is none, but a table that cannot be read.
    """
    above = path.absolute().parents
    folders = [p for k, p in enumerate(above) if k < 2 or p.is_relative_to(root.absolute())]
    tables = [table for p in folders for table in files_in(p).files if is_table(table)]
    rows = _rows(tables, [path])
    found = rows.get(path.with_suffix(""))
    broken = next((r.problem for r in rows.values() if r.problem is not None and r.line == 0), None)
    if found is None and broken is not None:
        raise broken
    return found


def _if_unicode(found: Utterance | Failure) -> Utterance | Failure:
    """Return what was found, or a failure where its name is not Unicode, which tables and TextGrids cannot
    hold.
    """
    utterance = found.utterance if isinstance(found, Failure) else found
    try:
        f"{utterance.id}{utterance.speaker}".encode()
    except UnicodeEncodeError:
        escaped = {
            name: getattr(utterance, name).encode(errors="backslashreplace").decode()
            for name in ("id", "file", "speaker")
        }
        return Failure(
            replace(utterance, **escaped), "its name is not Unicode", "rename it", fault=Fault.ODD_NAME
        )
    return found


def _unread_recording(root: Path, path: Path, rule: str, remedy: str, fault: Fault) -> Failure:
    """Return the failure of a recording that is not read; its name has the suffix, which its namesake's
    lacks.
    """
    utterance = _utterance(root, path, "")
    name = f"{utterance.file}{path.suffix}"
    return Failure(replace(utterance, id=name, file=name), rule, remedy, fault=fault)


def _utterance(
    root: Path,
    path: Path,
    transcript: str,
    *,
    speaker: str = "",
    source: Path | None = None,
    channel: int | None = None,
    interval: Interval | None = None,
    number: int | None = None,
) -> Utterance:
    """Return an utterance of the recording ``path``; it is numbered where the recording has several."""
    name = path.relative_to(root).with_suffix("").as_posix() if path.is_relative_to(root) else path.stem
    identity = name if number is None else f"{name}#{number}"
    start, end = (interval.start, interval.end) if interval else (0.0, None)
    return Utterance(
        identity,
        path,
        transcript,
        speaker=composed(speaker or path.absolute().parent.name),
        file=name,
        channel=channel,
        start=start,
        end=end,
        source=source,
    )


class Lacking:
    """Tells why a recording has no transcript, and what to do: by what else is in its folder."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    @cached_property
    def _odd(self) -> Mapping[Path, Odd]:
        odd = (o for o in self._tree.odd if o.path.suffix.lower() in TRANSCRIPTS)
        return {o.path.with_suffix(""): o for o in odd}

    @cached_property
    def _beside(self) -> Mapping[tuple[Path, str], Sequence[Path]]:
        found: dict[tuple[Path, str], list[Path]] = defaultdict(list)
        for path in self._tree.files:
            found[path.parent, caseless(path.stem)].append(path)
        return found

    def of(self, path: Path) -> tuple[str, str, Fault]:
        """Return the rule, the remedy and the fault of a recording without a transcript."""
        odd = self._odd.get(path.with_suffix(""))
        if odd is not None:
            return f"{odd.path.name}: {odd.rule}", "put the transcript there", Fault.BAD_TRANSCRIPT
        remedy = f"put {path.stem}.lab, .txt or .TextGrid beside it"
        other = instead(path, self._beside.get((path.parent, caseless(path.stem)), ()))
        rule = "the recording has no transcript"
        return rule, f"{other}; or {remedy}" if other else remedy, Fault.NO_TRANSCRIPT


def _of_recording(
    root: Path, path: Path, transcript: Path | None, row: TranscriptRow | None, lacking: Lacking
) -> Iterator[Utterance | Failure]:
    """Yield the utterances of one recording, or why there are none."""
    bare = _utterance(root, path, "", source=transcript or (row.table if row else None))
    try:
        if transcript is not None and transcript.suffix.lower() == ".textgrid":
            yield from _from_textgrid(root, path, transcript)
        elif transcript is not None:
            yield _utterance(root, path, _prompt(read_text(transcript), path), source=transcript)
        elif row is not None and row.problem is not None:
            raise row.problem
        elif row is not None:
            yield _utterance(root, path, row.text, speaker=row.speaker, source=row.table)
        else:
            rule, remedy, fault = lacking.of(path)
            yield Failure(bare, rule, remedy, fault=fault)
    except DataError as error:
        yield _bad_transcript(bare, error)


def _bad_transcript(utterance: Utterance, error: DataError) -> Failure:
    """Return the failure of an utterance whose transcript is wrong, with the name of its file."""
    rule = f"{Path(error.where).name}: {error.rule}"
    return Failure(utterance, rule, error.remedy, fault=error.fault_or(Fault.BAD_TRANSCRIPT))


def _prompt(text: str, path: Path) -> str:
    """Return a transcript line by line, without the numbers of samples that TIMIT's begin with."""
    text = _lines(text)
    numbers = TIMIT_PROMPT.match(text)
    if (
        numbers
        and int(numbers[1]) == 0
        and any(abs(int(numbers[2]) - samples) <= PROMPT_SLACK * samples for samples in audio.frames_in(path))
    ):
        return text[numbers.end() :]
    return text


def _lines(text: str) -> str:
    """Return a text line by line, with single spaces and without empty lines."""
    return "\n".join(filter(None, (" ".join(line.split()) for line in text.splitlines())))


def _from_textgrid(root: Path, path: Path, transcript: Path) -> Iterator[Utterance | Failure]:
    """Yield an utterance for each interval with text; tiers are speakers, and in a stereo file the first half
    of them is on the left.
    """
    tiers = read_textgrid(transcript)
    names = [name for name, _ in tiers]
    _check_tiers(transcript, tiers)
    channels = _channels(path)
    if of_words := _tiers_of_words(tiers):
        yield from _of_words(root, path, transcript, of_words, channels)
        return
    number = 0
    for k, (speaker, intervals) in enumerate(tiers):
        channel = int(k >= len(tiers) / 2) if channels == 2 and len(tiers) > 1 else None
        for interval in intervals:
            if interval.label.strip():
                number += 1
                yield _utterance(
                    root,
                    path,
                    " ".join(interval.label.split()),
                    speaker=speaker.strip(),
                    source=transcript,
                    channel=channel,
                    interval=interval,
                    number=number,
                )
    if not number:
        raise DataError(
            transcript,
            f"no interval has text; its tiers are {', '.join(names) or 'none'}",
            "write what is said into the intervals",
            fault=Fault.EMPTY_TRANSCRIPT,
        )


def _tiers_of_words(tiers: Tiers) -> list[tuple[str, list[Interval]]]:
    """Return the tiers whose intervals are words, each with its speaker (``""`` where none is named)."""
    found = []
    for name, intervals in tiers:
        kind = kind_of(name, intervals)
        labels = [i.label.split() for i in intervals if i.label.strip()]
        single = 2 * sum(len(label) == 1 for label in labels) > len(labels)
        if kind is not None and kind[1] == WORDS and WORD_TIER.search(folded(name)) and single:
            found.append((kind[0].strip(), intervals))
    return found


def _of_words(
    root: Path, path: Path, transcript: Path, tiers: Sequence[tuple[str, list[Interval]]], channels: int
) -> Iterator[Utterance]:
    """Yield an utterance for each tier of words, which is all of the recording, with the words' times."""
    for k, (speaker, intervals) in enumerate(tiers):
        whole = _utterance(
            root,
            path,
            " ".join(" ".join(i.label.split()) for i in intervals if i.label.strip()),
            speaker=speaker,
            source=transcript,
            channel=int(k >= len(tiers) / 2) if channels == 2 and len(tiers) > 1 else None,
            number=k + 1 if len(tiers) > 1 else None,
        )
        yield replace(whole, known=tuple(intervals))


def _check_tiers(transcript: Path, tiers: Tiers) -> None:
    """Raise DataError where the tiers of a TextGrid are no transcript, or two have one name."""
    names = [name for name, _ in tiers]
    kinds = {found[1]: name for name, intervals in tiers if (found := kind_of(name, intervals))}
    if PHONES in kinds:
        raise DataError(
            transcript,
            f"it holds an alignment (a tier of phones, {kinds[PHONES]!r}), not a transcript",
            "keep a tier per speaker with what is said, or a tier 'words' alone, whose boundaries "
            "are kept, or write the text to a .lab file",
            fault=Fault.BAD_TRANSCRIPT,
        )
    twice = next((n for k, n in enumerate(names) if n in names[:k]), None)
    if twice is not None:
        raise DataError(
            transcript,
            f"two tiers are named {twice!r}",
            "name each tier after its speaker",
            fault=Fault.BAD_TRANSCRIPT,
        )


def _channels(path: Path) -> int:
    try:
        return audio.shape_of(path).channels
    except DataError:
        return 1  # reading it will say what is wrong


def _of_odd(root: Path, odd: Iterable[Odd]) -> Iterator[Failure]:
    """Yield the failures of what cannot be read and may be a recording, or a folder of some."""
    for o in odd:
        folder = o.why is Why.CLOSED or (o.why is Why.BROKEN and not o.path.suffix)
        if folder or (_is_recording(o.path) and o.why in (Why.BROKEN, Why.SPECIAL)):
            remedy = "check its rights" if o.why is Why.CLOSED else "put it there, or take it out"
            yield _unread_recording(root, o.path, o.rule, remedy, Fault.UNREADABLE)


def _without_recording(
    root: Path, transcripts: Iterable[Path], rows: Mapping[Path, TranscriptRow]
) -> Iterator[Failure]:
    """Yield the failures of transcripts and rows without a recording; a .txt may be anything."""
    for path in transcripts:
        if path.suffix.lower() == ".txt":
            continue
        yield Failure(
            _utterance(root, path, "", source=path),
            f"{path.name} has no recording beside it",
            f"put {path.stem}.wav (or another kind) there",
            fault=Fault.NO_RECORDING,
        )
    for stem, row in rows.items():
        recording = stem.with_name(f"{stem.name}.wav")
        bare = _utterance(root, recording, row.text, speaker=row.speaker, source=row.table)
        if row.problem is not None:
            yield _bad_transcript(bare, row.problem)
        else:
            yield Failure(
                bare,
                f"line {row.line} of {row.table.name} names a recording that is not in the corpus",
                "correct the line (a header names its columns file and text)",
                fault=Fault.NO_RECORDING,
            )


def _cautions(
    root: Path, tree: Tree, transcripts: Paired, found: Iterable[Utterance | Failure]
) -> Iterator[Caution]:
    """Yield what a user should know of a corpus, though nothing fails for it."""
    recordings = audio.recordings_of(tree.files)
    texts = [p for p in transcripts.spare if p.suffix.lower() == ".txt"]
    yield from _texts_alone(root, texts, {p.parent for p in recordings})
    for stem in transcripts.guessed:
        own = transcripts.by_stem[stem]
        yield Caution(
            where=own.relative_to(root).as_posix(),
            rule=f"it is taken for the transcript of {stem.name}, whose name is another",
            remedy="give both one name",
            fault=Notice.NAME,
        )
    for why in (Why.AGAIN, Why.LOOP):
        yield from _gathered(root, [o for o in tree.odd if o.why is why])
    yield from _gathered(root, [o for o in tree.odd if o.why is Why.BROKEN and _is_no_recording(o.path)])
    sounds = set(recordings)
    beside = [p for p in tree.files if p.suffix.lower() in audio.SUFFIXES and p not in sounds]
    if beside:
        more = f", nor are {len(beside) - 1} more of the kind" if beside[1:] else ""
        yield Caution(
            where=beside[0].relative_to(root).as_posix(),
            rule=f"it is not read, for its sound lies beside it under the same name{more}",
            remedy="take the other one away if this one is meant",
            fault=Notice.UNREAD_FILE,
        )
    hidden = [p.relative_to(root).as_posix() for p in tree.hidden if _is_recording(p)]
    if hidden:
        yield Caution(
            where=hidden[0],
            rule=f"recordings whose names begin with a dot are not read ({len(hidden)})",
            remedy="rename them if they are meant",
            fault=Notice.UNREAD_FILE,
        )
    stems = {(p.parent, caseless(p.stem)) for p in recordings}
    said = [u.audio for u in found if isinstance(u, Utterance) and isinstance(u.audio, Path)]
    yield from not_taken(root, tree.files, stems, {(p.parent, caseless(p.stem)) for p in said})


def _is_no_recording(path: Path) -> bool:
    """Return whether a path's suffix says that it is neither a recording nor a folder."""
    return bool(path.suffix) and not _is_recording(path)


def _texts_alone(root: Path, texts: Iterable[Path], folders: Set[Path]) -> Iterator[Caution]:
    """Yield a caution for each folder with texts that have no recording.

    READMEs are for people, and so is a single text where none of the ``folders`` of recordings is.
    """
    by_folder: dict[Path, list[Path]] = defaultdict(list)
    for path in texts:
        if not path.stem.upper().startswith(ABOUT):
            by_folder[path.parent].append(path)
    for own in (own for folder, own in by_folder.items() if folder in folders or own[1:]):
        others = f", nor have {_some([p.name for p in own[1:]])}" if own[1:] else ""
        yield Caution(
            where=own[0].relative_to(root).as_posix(),
            rule=f"it has no recording beside it{others}",
            remedy=f"put {own[0].stem}.wav there if it is a transcript",
            fault=Fault.NO_RECORDING,
        )


def _gathered(root: Path, odd: Sequence[Odd]) -> Iterator[Caution]:
    """Yield one caution for all that is odd for one reason."""
    if odd:
        more = f", and so {'is' if len(odd) == 2 else 'are'} {len(odd) - 1} more" if odd[1:] else ""
        yield Caution(
            where=odd[0].path.relative_to(root).as_posix(),
            rule=f"{odd[0].rule}{more}",
            remedy="take it out if that is not meant",
            fault=Notice.LINK,
        )


def _rows(files: Iterable[Path], recordings: Iterable[Path]) -> dict[Path, TranscriptRow]:
    """Return the rows of every table, by the recording's path without its suffix."""
    stems = ByName({os.path.abspath(p.with_suffix("")): p.with_suffix("") for p in recordings})
    rows: dict[Path, TranscriptRow] = {}
    for row in (row for table in files if is_table(table) for row in read_rows(table)):
        given = row.table.parent / row.name.replace("\\", "/")
        bare = given.with_suffix("") if _is_recording(given) else given
        places = (bare, row.table.parent / "wavs" / bare.name, row.table.parent / "clips" / bare.name)
        stem = next((stems[p] for p in map(os.path.abspath, places) if p in stems), bare)
        earlier = rows.setdefault(stem, row)
        if earlier.text != row.text and earlier.problem is None:
            rule = f"it names a recording that line {earlier.line} names too, with other words"
            rows[stem] = replace(
                row,
                problem=DataError(
                    f"{row.table}:{row.line}", rule, "keep one of the two", fault=Fault.BAD_TRANSCRIPT
                ),
            )
    return rows


def find_recordings(root: Path) -> ByName[Path]:
    """Find the recordings of a folder tree, with transcripts or without, by their path below it without
    suffix.

    Raises
    ------
    DataError
        If there is no such folder or no recording in it.
    """
    check_reachable(root)
    if not root.is_dir():
        raise DataError(root, "there is no such folder", "name a folder of recordings")
    tree = walk(root)
    found: dict[str, Path] = {}
    for path in _in_order(audio.recordings_of(tree.files)):
        found.setdefault(path.relative_to(root).with_suffix("").as_posix(), path)
    if not found:
        raise DataError(
            root,
            f"there is no recording in this folder{_instead_there(root, tree)}",
            audio.SUFFIXES_SAID,
        )
    return ByName(found)
