"""What of a corpus is not read, or has no transcript: what a user should know of it, and can do."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from aligner.corpus import audio
from aligner.corpus.beside import instead, not_taken
from aligner.corpus.naming import Paired, caseless
from aligner.corpus.walk import Odd, Tree, Why
from aligner.formats.files import read_text
from aligner.types import Caution, DataError, Fault, Notice

TRANSCRIPTS = (".lab", ".txt", ".textgrid")  # the first there is counts
ABOUT = ("README", "LICENSE", "LICENCE", "COPYING", "CHANGELOG", "AUTHORS", "CITATION", "NOTICE")
MOST_NAMED = 3  # files that a message names


def is_recording(path: Path) -> bool:
    """Return whether a path has the suffix of a recording, of a kind that is read or not."""
    return path.suffix.lower() in (*audio.SUFFIXES, *audio.UNREAD)


def some(names: Sequence[str]) -> str:
    """Return the first of some names, and how many more there are.

    Examples
    --------
    >>> some(["a", "b", "c", "d"])
    'a, b, c and 1 more'
    """
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


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


def cautions_of(
    root: Path, tree: Tree, transcripts: Paired, tables: Iterable[Path], said: Iterable[Path]
) -> Iterator[Caution]:
    """Yield what a user should know of a corpus, though nothing fails for it.

    Parameters
    ----------
    root : Path
        The corpus.
    tree : Tree
        What is in it.
    transcripts : Paired
        Which transcript belongs to which recording.
    tables : iterable of Path
        Tables of transcripts by their names, which are about something else.
    said : iterable of Path
        The recordings that have a transcript.
    """
    recordings = audio.recordings_of(tree.files)
    texts = [p for p in transcripts.spare if p.suffix.lower() == ".txt"]
    yield from _texts_alone(root, texts)
    for table in tables:
        rule = "it is no table of transcripts, and not read"
        remedy = "if it is to be one, name its columns file and text in its first line"
        yield _caution(root, table, rule, remedy, Notice.UNREAD_FILE)
    for stem in transcripts.guessed:
        rule = f"it is taken for the transcript of {stem.name}, whose name is another"
        yield _caution(root, transcripts.by_stem[stem], rule, "give both one name", Notice.NAME)
    for why in (Why.AGAIN, Why.LOOP):
        yield from _gathered(root, [o for o in tree.odd if o.why is why])
    yield from _gathered(root, [o for o in tree.odd if o.why is Why.BROKEN and _is_something_else(o.path)])
    yield from _passed_over(root, tree, set(recordings))
    yield from _extra(root, tree, transcripts)
    yield from not_taken(root, tree.files, _places(recordings), _places(said))


def _places(recordings: Iterable[Path]) -> set[tuple[Path, str]]:
    """Return the folders and names of recordings, as `not_taken` compares them."""
    return {(p.parent, caseless(p.stem)) for p in recordings}


def _caution(root: Path, path: Path, rule: str, remedy: str, kind: Fault | Notice) -> Caution:
    return Caution(where=path.relative_to(root).as_posix(), rule=rule, remedy=remedy, fault=kind)


def _passed_over(root: Path, tree: Tree, recordings: Set[Path]) -> Iterator[Caution]:
    """Yield cautions about recordings that are not read: videos beside their sound, and hidden ones."""
    beside = [p for p in tree.files if p.suffix.lower() in audio.SUFFIXES and p not in recordings]
    if beside:
        more = f", nor are {len(beside) - 1} more of the kind" if beside[1:] else ""
        rule = f"it is not read, for its sound lies beside it under the same name{more}"
        remedy = "take the other one away if this one is meant"
        yield _caution(root, beside[0], rule, remedy, Notice.UNREAD_FILE)
    hidden = [p for p in tree.hidden if is_recording(p)]
    if hidden:
        rule = f"recordings whose names begin with a dot are not read ({len(hidden)})"
        yield _caution(root, hidden[0], rule, "rename them if they are meant", Notice.UNREAD_FILE)


def extra_transcripts(files: Iterable[Path], taken: Iterable[Path]) -> Iterator[tuple[Path, Path]]:
    """Yield the transcripts that say something else than one of the same name that is taken, and that one.

    Parameters
    ----------
    files : iterable of Path
        What is in the folders.
    taken : iterable of Path
        The transcripts that are read.
    """
    all_taken = frozenset(taken)
    own = {(p.parent, caseless(p.stem)): p for p in all_taken}
    for file in files:
        read = own.get((file.parent, caseless(file.stem)))
        if read is None or file in all_taken or file.suffix.lower() not in TRANSCRIPTS:
            continue
        if _content(file) != _content(read):
            yield file, read


def _content(path: Path) -> Sequence[str] | bytes | None:
    """Return the words of a text; the bytes of what is no text; None where it cannot be read."""
    with suppress(DataError):
        return read_text(path).split()
    with suppress(OSError):
        return path.read_bytes()
    return None


def _extra(root: Path, tree: Tree, transcripts: Paired) -> Iterator[Caution]:
    """Yield a caution about transcripts that are not read, for another counts and they say something else."""
    by_kind: dict[tuple[str, str], list[tuple[Path, Path]]] = defaultdict(list)
    for file, read in extra_transcripts(tree.files, transcripts.by_stem.values()):
        by_kind[file.suffix.lower(), read.suffix.lower()].append((file, read))
    for pairs in by_kind.values():
        file, read = pairs[0]
        more = f"; so it is with {len(pairs) - 1} more" if pairs[1:] else ""
        rule = f"it is not read, for {read.name} counts, which says something else{more}"
        yield _caution(root, file, rule, "take out what is not meant", Notice.EXTRA_TRANSCRIPT)


def _is_something_else(path: Path) -> bool:
    """Return whether a path's suffix says that it is neither a recording nor a folder."""
    return bool(path.suffix) and not is_recording(path)


def _texts_alone(root: Path, texts: Iterable[Path]) -> Iterator[Caution]:
    """Yield a caution for each folder with texts that have no recording; READMEs are for people."""
    by_folder: dict[Path, list[Path]] = defaultdict(list)
    for path in texts:
        if not path.stem.upper().startswith(ABOUT):
            by_folder[path.parent].append(path)
    for own in by_folder.values():
        others = f", nor have {some([p.name for p in own[1:]])}" if own[1:] else ""
        remedy = f"put {own[0].stem}.wav there if it is a transcript"
        rule = f"it has no recording beside it{others}"
        yield _caution(root, own[0], rule, remedy, Fault.NO_RECORDING)


def _gathered(root: Path, odd: Sequence[Odd]) -> Iterator[Caution]:
    """Yield one caution for all that is odd for one reason."""
    if odd:
        more = f", and so {'is' if len(odd) == 2 else 'are'} {len(odd) - 1} more" if odd[1:] else ""
        remedy = "take it out if that is not meant"
        yield _caution(root, odd[0].path, f"{odd[0].rule}{more}", remedy, Notice.LINK)
