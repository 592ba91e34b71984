"""A Praat script that opens recordings with their TextGrids one after the other, and saves corrections."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from itertools import groupby
from pathlib import Path

from aligner.corpus.outcome import Outcome
from aligner.corpus.results import CORRECTED
from aligner.formats.files import write_text
from aligner.types import DataError

SCRIPT = "inspect.praat"
LOOK, CHECK = "Look and correct", "Only check"  # tasks in the script's form and on its command line
LONG_SOUND = 600.0  # s; Praat reads a longer recording from disk while one looks, not into memory
END_TOLERANCE = 0.005  # s between the ends of a recording and its TextGrid, before the script speaks of it
MP3_TOLERANCE = 0.1  # s; the same of an MP3, whose padding Praat counts as sound, as other decoders do not
ZOOM_MARGIN = 1.0  # s shown on each side of `Item.at`
LINE_WIDTH, MOST_LINES = 76, 6  # of the reasons in Praat's window, which neither wraps nor scrolls
START_UP = 2.0  # s; a Praat that cannot start (no display, an unknown option) has ended by then
MAC_PRAAT = Path("/Applications/Praat.app/Contents/MacOS/Praat")


@dataclass(frozen=True)
class Item:
    """One recording to look at in Praat, and why."""

    audio: Path
    """The recording."""
    grid: Path
    """Its TextGrid."""
    corrected: Path
    """Where a correction goes; if it exists it is opened instead of ``grid``."""
    _: KW_ONLY
    reasons: tuple[str, ...] = ()
    """Why to look at it, in words; may be empty."""
    at: float | None = None
    """Where to zoom at first, in seconds; the whole recording where it is not known."""


def items_of(outcome: Outcome, suspect: bool = False) -> list[Item]:
    """Return the recordings of a run that have a TextGrid, each once; or the suspect ones only."""
    rows = [r for r in outcome.rows if r.recording is not None and r.grid is not None]
    items = []
    for file, group in groupby(rows, key=lambda r: r.file):
        members = list(group)
        reasons = tuple(reason for r in members for reason in r.reasons)
        at = next((r.at for r in members if r.at is not None), None)
        first = members[0]
        if first.recording and first.grid and (not suspect or any(r.status == "suspect" for r in members)):
            items.append(
                Item(
                    first.recording,
                    first.grid,
                    outcome.out / CORRECTED / f"{file}.TextGrid",
                    reasons=reasons,
                    at=at,
                )
            )
    return items


def inspection_script(items: Sequence[Item], folder: Path) -> str:
    """Return the text of a Praat script that shows ``items`` one after the other.

    In Praat it opens each recording with its TextGrid and a window with buttons; without a display
    (``praat --run inspect.praat "Only check"``) it reads each pair, prints a line about it, and ends with
    an error if any is wrong.

    Parameters
    ----------
    items : sequence of Item
        In the order in which to show them.
    folder : Path
        Where the script will lie: paths below it are written relative to it, so that the folder can be moved.

    Raises
    ------
    DataError
        If a path is not Unicode: Praat could not be given it.

    Examples
    --------
    >>> out = Path("/corpus/out")
    >>> grid = out / "it's.TextGrid"
    >>> correction = out / "corrected" / "it's.TextGrid"
    >>> item = Item(Path("/corpus/it's.wav"), grid, correction, at=1.5)
    >>> print(*inspection_script([item], out).splitlines()[-2].split(", "), sep="\\n")
    @item: "it" + unicode$ (39) + "s"
    "/corpus/it" + unicode$ (39) + "s.wav"
    root$ + "it" + unicode$ (39) + "s.TextGrid"
    root$ + "corrected/it" + unicode$ (39) + "s.TextGrid"
    1.500
    """
    return _PROGRAM + "".join(_call(item, folder) for item in items) + "endproc\n"


def write_inspection(out: Path, items: Sequence[Item]) -> Path:
    """Write ``inspect.praat`` into the folder ``out`` and return its path.

    Raises
    ------
    DataError
        If a path in ``items`` is not Unicode.
    """
    text, script = inspection_script(items, out), out / SCRIPT
    write_text(script, text)
    return script


def launch(script: Path) -> None:
    """Start Praat with a window and run ``script`` in it; returns while Praat runs on.

    It is a Praat of its own: one that is open already, perhaps with unsaved work, is left alone.

    Raises
    ------
    DataError
        If there is no Praat or no screen, or Praat ends at once; the message says how to run the script by
        hand.
    """
    remedy = f"open {script.absolute()} from Praat's menu (Praat > Open Praat script...), then Run > Run"
    praat = shutil.which("praat") or shutil.which("Praat") or (str(MAC_PRAAT) if MAC_PRAAT.exists() else None)
    if praat is None:
        raise DataError(script, "Praat is not on the PATH", f"install it (praat.org), or {remedy}")
    if sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        raise DataError(script, "there is no screen to open Praat on", f"where there is one, {remedy}")
    call = [praat, "--hide-picture", "--new-send", str(script.absolute()), LOOK]
    try:
        # a session of its own, so that closing the terminal or Ctrl-C here does not end Praat with
        # corrections unsaved
        process = subprocess.Popen(
            call,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        status = process.wait(START_UP)
    except subprocess.TimeoutExpired:
        return
    except OSError as error:
        raise DataError(script, f"{praat} cannot be run ({error.strerror})", remedy) from error
    if status != 0:
        raise DataError(script, f"{praat} ended at once (status {status})", remedy)


def _call(item: Item, folder: Path) -> str:
    """Return the script's lines about one item."""
    name = _literal(_below(item.grid, folder)[1].removesuffix(".TextGrid"), item.grid)
    paths = ", ".join(_path(p, folder) for p in (item.audio, item.grid, item.corrected))
    at = "undefined" if item.at is None else f"{item.at:.3f}"
    lines = [line for reason in item.reasons for line in textwrap.wrap(reason, LINE_WIDTH)]
    if len(lines) > MOST_LINES:
        lines[MOST_LINES - 1 :] = ["..."]
    return f"@item: {name}, {paths}, {at}\n" + "".join(
        f"@note: {_literal(line, item.grid)}\n" for line in lines
    )


def _below(path: Path, folder: Path) -> tuple[bool, str]:
    """Return whether ``path`` lies below ``folder``; and the path, relative to it if so, with forward
    slashes.
    """
    absolute, root = (Path(os.path.abspath(p)) for p in (path, folder))
    inside = absolute.is_relative_to(root)
    return inside, (absolute.relative_to(root) if inside else absolute).as_posix()


def _path(path: Path, folder: Path) -> str:
    below, text = _below(path, folder)
    return ("root$ + " if below else "") + _literal(text, path)


def _literal(text: str, where: Path) -> str:
    """Return a Praat expression whose value is ``text``.

    Praat replaces 'name' by the variable of that name anywhere in a line, strings included, and a line break
    ends a string; so apostrophes and all that is not printed are given by number.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            repr(str(where)), "its name is not Unicode, and Praat cannot be told of it", "rename it"
        ) from error
    parts: list[str] = []
    for quotable, run in groupby(text, lambda c: c != "'" and c.isprintable()):
        plain = "".join(run)
        parts += (
            ['"' + plain.replace('"', '""') + '"'] if quotable else [f"unicode$ ({ord(c)})" for c in plain]
        )
    return " + ".join(parts) or '""'


_PROGRAM = f"""\
# Opens recordings with their TextGrids one after the other, and saves corrections.
# Written by `aligner inspect`.
# In Praat: Praat > Open Praat script..., then Run > Run. Without windows: praat --run {SCRIPT} "{CHECK}"

form Inspect alignments
  choice Task: 1
    button {LOOK}
    button {CHECK}
endform

root$ = defaultDirectory$ + "/"
count = 0
@items
writeInfoLine: count, " recordings to inspect"
if task$ = "{CHECK}"
  @check_all
else
  @look_at_all
endif

# ---- the two tasks

procedure look_at_all
  saved = 0
  number = 1
  direction = 1
  while number <= count
    @open: number
    if problem$ = ""
      @show: number
      @ask: number
      @close
    else
      appendInfoLine: name$ [number], ": ", problem$
      next = number + direction
    endif
    # going back from the first one turns round, also where the first cannot be opened
    direction = if next < number and next > 0 then -1 else 1 fi
    number = max (1, next)
  endwhile
  appendInfoLine: saved, " corrections saved"
endproc

procedure check_all
  wrong = 0
  for number to count
    @open: number
    if problem$ = ""
      @tier_names
      problem$ = if remark$ = "" then "ok, " + fixed$ (end, 3) + " s, tiers " + tiers$ else remark$ fi
      wrong += remark$ <> ""
      @close
    else
      wrong += 1
    endif
    appendInfoLine: name$ [number], ": ", problem$
  endfor
  if wrong > 0
    exitScript: string$ (wrong) + " of " + string$ (count) + " recordings are not as they should be"
  endif
endproc

# ---- opening and closing: sound and grid are the ids of the two objects

procedure open: .number
  sound = 0
  grid = 0
  problem$ = ""
  remark$ = ""
  # a .part is there only if saving was broken off; either it or the file that it stands for is whole
  @read_grid: corrected$ [.number] + ".part"
  @read_grid: corrected$ [.number]
  if grid = 0 and fileReadable (corrected$ [.number])
    problem$ = "the correction " + corrected$ [.number] + " is no TextGrid: repair or remove it"
  else
    @read_grid: grid$ [.number]
    if grid <> 0
      selectObject: grid
      end = Get end time
      @read_sound: audio$ [.number]
    elsif fileReadable (grid$ [.number])
      problem$ = grid$ [.number] + " is no TextGrid"
    else
      problem$ = "there is no TextGrid at " + grid$ [.number]
    endif
  endif
  if problem$ = ""
    @compare_ends: audio$ [.number]
  else
    @close
  endif
endproc

procedure read_grid: .path$
  if grid = 0 and fileReadable (.path$)
    selectObject ( )
    nowarn nocheck Read from file: .path$
    if numberOfSelected ("TextGrid") = 1 and numberOfSelected ( ) = 1
      grid = selected ("TextGrid")
      source$ = .path$
      before$ = List: "no", 15, "yes", "yes"
    else
      nocheck Remove
    endif
  endif
endproc

procedure read_sound: .path$
  selectObject ( )
  if not fileReadable (.path$)
    problem$ = "there is no recording at " + .path$
  elsif end > {LONG_SOUND:g}
    nowarn nocheck Open long sound file: .path$
  endif
  # not every format that can be read can be opened as a long sound
  if problem$ = "" and numberOfSelected ( ) = 0
    nowarn nocheck Read from file: .path$
  endif
  if numberOfSelected ( ) = 1 and numberOfSelected ("Sound") + numberOfSelected ("LongSound") = 1
    sound = selected ( )
  elsif problem$ = ""
    nocheck Remove
    problem$ = "Praat cannot read " + .path$ + ": convert it to WAV or FLAC"
  endif
endproc

procedure compare_ends: .path$
  selectObject: sound
  .end = Get end time
  .tolerance = if index_regex (.path$, "\\.[mM][pP]3$") then {MP3_TOLERANCE:g} else {END_TOLERANCE:g} fi
  if abs (.end - end) > .tolerance
    remark$ = "the recording ends at " + fixed$ (.end, 3) + " s, its TextGrid at " + fixed$ (end, 3) + " s"
  endif
endproc

procedure tier_names
  selectObject: grid
  tiers$ = ""
  .count = Get number of tiers
  for .tier to .count
    .name$ = Get tier name: .tier
    tiers$ = tiers$ + (if .tier = 1 then "" else ", " fi) + .name$
    if .name$ = ""
      remark$ = "tier " + string$ (.tier) + " has no name"
    endif
  endfor
endproc

procedure close
  if sound <> 0
    nocheck removeObject: sound
  endif
  if grid <> 0
    nocheck removeObject: grid
  endif
endproc

# ---- what one sees

procedure show: .number
  selectObject: sound, grid
  View & Edit
  if at [.number] <> undefined
    editor: grid
      Zoom: max (0, at [.number] - {ZOOM_MARGIN:g}), min (end, at [.number] + {ZOOM_MARGIN:g})
      Move cursor to: at [.number]
    endeditor
  endif
endproc

# leaves the number of the recording to go to in next
procedure ask: .number
  @window: .number
  next = if clicked = 2 then .number - 1 else then_go_to_number fi
  if clicked = 4
    @save: .number
  else
    @ask_if_changed: .number
  endif
  if clicked = 1
    next = count + 1
  endif
endproc

procedure window: .number
  beginPause: "Inspect alignments"
    comment: string$ (.number) + " of " + string$ (count) + ": " + name$ [.number]
    if source$ <> grid$ [.number]
      comment: "(this is your correction from before)"
    endif
    if remark$ <> ""
      comment: remark$
    endif
    for .line to notes [.number]
      comment: note$ [.number, .line]
    endfor
    natural: "Then go to number", .number + 1
  clicked = endPause: "Stop", "Back", "Next", "Save and next", 3, 1
endproc

# work is not to be lost by a slip on the buttons
procedure ask_if_changed: .number
  nocheck selectObject: grid
  if numberOfSelected ("TextGrid") = 1
    .now$ = List: "no", 15, "yes", "yes"
    if .now$ <> before$
      @question: .number
      if clicked_then = 2
        @save: .number
      endif
    endif
  endif
endproc

procedure question: .number
  beginPause: "Changed"
    comment: name$ [.number]
    comment: "You changed its TextGrid. Save the correction?"
  clicked_then = endPause: "Discard", "Save", 2, 0
endproc

# ---- saving

procedure save: .number
  nocheck selectObject: grid
  if numberOfSelected ("TextGrid") = 1
    @make_folders: corrected$ [.number]
    # Praat cannot rename: were it to break off in the second writing, the first is whole
    .part$ = corrected$ [.number] + ".part"
    Save as text file: .part$
    Save as text file: corrected$ [.number]
    if readFile$ (.part$) = readFile$ (corrected$ [.number])
      deleteFile: .part$
    endif
    saved += 1
  else
    appendInfoLine: name$ [.number], ": its TextGrid was removed from the list of objects; nothing is saved"
  endif
endproc

procedure make_folders: .path$
  for .k from 2 to length (.path$)
    if mid$ (.path$, .k, 1) = "/"
      nocheck createDirectory: left$ (.path$, .k - 1)
    endif
  endfor
endproc

# ---- the recordings

procedure item: .name$, .audio$, .grid$, .corrected$, .at
  count += 1
  name$ [count] = .name$
  audio$ [count] = .audio$
  grid$ [count] = .grid$
  corrected$ [count] = .corrected$
  at [count] = .at
  notes [count] = 0
endproc

procedure note: .text$
  notes [count] += 1
  note$ [count, notes [count]] = .text$
endproc

procedure items
"""
