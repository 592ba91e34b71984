"""Files that lie beside recordings and are not read: what they are, and the way to use what is in them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import Path

from aligner.corpus.naming import caseless
from aligner.corpus.tables import is_table
from aligner.types import Caution, Notice

_SUBTITLES = "write what is said, without times, to {stem}.txt, or as intervals to {stem}.TextGrid"
_PLAIN = "save what is said as plain text: {stem}.txt"
WAYS: Mapping[str, tuple[str, str]] = {  # suffix -> what it is, and the way to use it
    ".eaf": ("ELAN's annotations", "in ELAN: File > Export As > Praat TextGrid, as {stem}.TextGrid"),
    ".cha": ("CHAT's transcripts", "in CLAN: chat2praat {name}; or " + _PLAIN),
    ".exb": ("EXMARaLDA's transcripts", "in the Partitur-Editor: File > Export > Praat TextGrid"),
    ".exs": ("EXMARaLDA's transcripts", "open the .exb, then File > Export > Praat TextGrid"),
    ".trs": ("Transcriber's transcripts", "open it in ELAN, then File > Export As > Praat TextGrid"),
    ".antx": ("Annotation Pro's layers", "in Annotation Pro: export to Praat TextGrid"),
    ".flextext": ("FLEx's texts", "open it in ELAN, then File > Export As > Praat TextGrid"),
    ".par": ("BAS Partitur files", "BAS's AnnotConv makes a TextGrid; or " + _PLAIN),
    ".bpf": ("BAS Partitur files", "BAS's AnnotConv makes a TextGrid; or " + _PLAIN),
    ".srt": ("subtitles", _SUBTITLES),
    ".vtt": ("subtitles", _SUBTITLES),
    ".sbv": ("subtitles", _SUBTITLES),
    ".ass": ("subtitles", _SUBTITLES),
    ".ssa": ("subtitles", _SUBTITLES),
    ".ttml": ("subtitles", _SUBTITLES),
    ".lrc": ("lyrics with times", _SUBTITLES),
    ".stm": ("NIST's transcripts", "write its segments as intervals to {stem}.TextGrid"),
    ".ctm": ("NIST's times of words", "write its words to {stem}.txt; as a reference, name its folder (-r)"),
    ".mlf": ("HTK's master labels", "write what is said in each recording to a .lab of its name"),
    ".textgridcollection": ("Praat's collections", "open it in Praat, and save each TextGrid by itself"),
    ".scp": ("Kaldi's lists of recordings", "write file, tab, what is said to transcripts.tsv"),
    ".jsonl": ("tables in JSON", "write file, tab, text to transcripts.tsv"),
    ".collection": ("Praat's collections", "open it in Praat, and save each TextGrid by itself"),
}
# of these, which may be anything, only files that have a recording's name are told
WAYS_BY_NAME: Mapping[str, tuple[str, str]] = {
    ".json": ("JSON", _PLAIN + "; as a reference, name its folder (-r)"),
    ".xml": ("XML", _PLAIN),
    ".html": ("web pages", _PLAIN),
    ".md": ("text with marks", _PLAIN),
    ".text": ("text", "name it {stem}.txt"),
    ".trn": ("text", "name it {stem}.txt"),
    ".trans": ("text", "name it {stem}.txt"),
    ".transcript": ("text", "name it {stem}.txt"),
    ".lbl": ("text", "name it {stem}.txt"),
    ".asc": ("text", "name it {stem}.txt"),
    ".docx": ("Word's documents", _PLAIN),
    ".doc": ("Word's documents", _PLAIN),
    ".odt": ("documents", _PLAIN),
    ".rtf": ("documents", _PLAIN),
    ".pdf": ("documents", _PLAIN),
    ".csv": ("tables", "write file, tab, text to transcripts.tsv"),
    ".tsv": ("tables", "write file, tab, text to transcripts.tsv"),
    ".xlsx": ("tables", "write file, tab, text to transcripts.tsv"),
    ".wrd": ("TIMIT's words", "as a reference, name its folder (-r); as a transcript, " + _PLAIN),
}
TABLES = (".csv", ".tsv", ".xlsx")
TABLE_WORDS = ("transcript", "metadata", "sentence", "validated")  # in the names of tables of what is said


def way_of(path: Path) -> tuple[str, str] | None:
    """Return what a file that is not read is, and the way to use it; None where nothing is known of its kind.

    Examples
    --------
    >>> way_of(Path("a.srt"))[0]
    'subtitles'
    """
    suffix = path.suffix.lower()
    known = WAYS.get(suffix) or WAYS_BY_NAME.get(suffix)
    return known and (known[0], known[1].format(stem=path.stem, name=path.name))


def instead(path: Path, files: Iterable[Path]) -> str:
    """Return the way to use what lies beside a recording without a transcript; empty where there is nothing.

    Examples
    --------
    >>> instead(Path("a.wav"), [Path("a.docx"), Path("b.docx")])
    "a.docx (Word's documents) is not read: save what is said as plain text: a.txt"
    """
    for file in files:
        way = way_of(file)
        if way is not None and caseless(file.stem) == caseless(path.stem) and file.parent == path.parent:
            return f"{file.name} ({way[0]}) is not read: {way[1]}"
    return ""


def not_taken(
    root: Path, files: Sequence[Path], stems: Set[tuple[Path, str]], transcribed: Set[tuple[Path, str]]
) -> list[Caution]:
    """Return a caution for each kind of files that are not read, with the way to use the first of them.

    Parameters
    ----------
    root : Path
        The corpus.
    files : sequence of Path
        Its files.
    stems : set of (Path, str)
        Folder and name, without its suffix and as `caseless` has it, of each recording.
    transcribed : set of (Path, str)
        Those that have a transcript.
    """
    by_kind: dict[str, list[Path]] = defaultdict(list)
    for file in files:
        suffix, place = file.suffix.lower(), (file.parent, caseless(file.stem))
        beside = place in stems and not (suffix == ".wrd" and place in transcribed)
        table = suffix in TABLES and any(word in file.stem.lower() for word in TABLE_WORDS)
        if suffix in WAYS or (suffix in WAYS_BY_NAME and (beside or table) and not is_table(file)):
            by_kind[suffix].append(file)
    return [_caution(root, suffix, own) for suffix, own in sorted(by_kind.items())]


def _caution(root: Path, suffix: str, files: Sequence[Path]) -> Caution:
    way = way_of(files[0])
    assert way is not None
    rule = f"{way[0]} ({suffix}) are not read"
    if len(files) > 1:
        rule += f", neither this nor {len(files) - 1} more"
    return Caution(
        where=files[0].relative_to(root).as_posix(), rule=rule, remedy=way[1], fault=Notice.UNREAD_FILE
    )
