"""Figures as tables on the console."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from aligner.cli.common import TABLE_WIDTH
from aligner.evaluate.accuracy import Report
from aligner.evaluate.boundaries import TOLERANCES_MS, Summary
from aligner.evaluate.durations import DurationSummary
from aligner.evaluate.folders import LEAST_COVERAGE, Evaluation
from aligner.evaluate.speech import SpeechScore
from aligner.evaluate.speech_folders import SpeechReport
from aligner.evaluate.versus import SIGNIFICANCE_LEVEL, Difference, Versus
from aligner.evaluate.vocoder import SpeechSettings, mel_alpha
from aligner.parallel.monitor import in_units
from aligner.text.phones import plain

if TYPE_CHECKING:  # they import torch, and most commands do without
    from aligner.bench.machine import Machine
    from aligner.bench.profile import Profile
    from aligner.bench.timing import Row

LONGEST_NAME = 26  # of a file or a speaker in the first column
MOST_ROWS = 10  # rows of what may be long: files, confusions, problems

BOUNDARY_COLUMNS = ("boundaries", "MAE ms", "median", "bias", *(f"≤{t}" for t in TOLERANCES_MS))
DURATION_COLUMNS = (
    "",
    "pairs",
    "RMSE ms",
    "log RMSE",
    "correlation",
    "bias ms",
    "within 20 %",
    "within 20 ms",
)
SPEECH_COLUMNS = (
    "",
    "frames",
    "MCD dB",
    "floor dB",
    "F0 Hz",
    "F0 cents",
    "V/UV %",
    "GPE %",
    "FFE %",
)
SPEED_COLUMNS = ("audio s/s", "frames/s", "median ms", "fastest", "slowest", "first")
STAGE_COLUMNS = ("stage", "calls", "ms", "%", "of which torch", "numpy, numba, Python")


def show(table: Table) -> None:
    """Print a table on the standard output."""
    Console(width=TABLE_WIDTH, highlight=False).print(table)


def accuracy(report: Report, title: str) -> Table:
    """Return a table of the accuracy of phones and words, by tolerance, with confidence intervals."""
    table = _table(title, ("", *BOUNDARY_COLUMNS))
    for name, s in (("phones", report.phones), ("words", report.words)):
        if s is None:
            continue
        table.add_row(name, str(s.count), *_figures(s))
        if s.interval:
            for bound, word in enumerate(("from", "to")):  # the 95 % intervals, below their figures
                low_or_high = {key: pair[bound] for key, pair in s.interval.items()}
                shares = (f"{low_or_high[f'within_{t}']:.1f}" for t in TOLERANCES_MS)
                table.add_row(
                    f"  95 % {word}",
                    "",
                    f"{low_or_high['mae']:.2f}",
                    "",
                    f"{low_or_high['bias']:+.2f}",
                    *shares,
                    style="dim",
                )
    return table


def groups(rows: Mapping[str, Summary], title: str, name: str) -> Table:
    """Return a table of the accuracy of phone boundaries, a line for each group of boundaries."""
    table = _table(title, (name, *BOUNDARY_COLUMNS))
    for key, s in rows.items():
        table.add_row(key, str(s.count), *_figures(s))
    return table


def _figures(s: Summary) -> list[str]:
    return [
        f"{s.mae:.2f}",
        f"{s.median:.2f}",
        f"{s.bias:+.2f}",
        *(f"{s.within[t]:.1f}" for t in TOLERANCES_MS),
    ]


def durations(report: Report) -> Table:
    """Return a table of how far durations of phones and words agree, by both definitions of accuracy."""
    table = _table("durations", DURATION_COLUMNS)
    for name, d in (("phones", report.durations), ("words", report.word_durations)):
        if d is not None:
            table.add_row(name, *_durations(d))
    return table


def _durations(d: DurationSummary) -> list[str]:
    correlation = "" if d.correlation is None else f"{d.correlation:.3f}"
    return [
        str(d.count),
        f"{d.rmse:.1f}",
        f"{d.log_rmse:.3f}",
        correlation,
        f"{d.bias:+.1f}",
        f"{d.within_20_percent:.1f}",
        f"{d.within_20_ms:.1f}",
    ]


class _Table(Table):
    """A table whose cells are printed as they are (`[noise]` is a phone, not markup); long names lose their
    beginning.
    """

    def add_row(self, name: str, *cells: str, style: str | None = None) -> None:  # type: ignore[override]
        short = name if len(name) <= LONGEST_NAME else f"…{name[1 - LONGEST_NAME :]}"
        super().add_row(Text(short), *map(Text, cells), style=style)


def _table(title: str, columns: Iterable[str]) -> _Table:
    table = _Table(title=Text(title, style="italic"), title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for k, column in enumerate(columns):
        table.add_column(column, justify="right" if k else "left", no_wrap=True)
    return table


def print_brief(e: Evaluation, title: str) -> None:
    """Print the main table of an evaluation, and what is missing or wrong."""
    r = e.report
    if r.phones is not None or r.words is not None:
        show(accuracy(r, title))
    interval = "" if r.per_interval is None else " (95 % {:.2f}–{:.2f})".format(*r.per_interval)
    rate = (
        f"phone error rate {r.phone_error_rate:.2f} %{interval}"
        if r.reference_phones
        else "no phones to compare"
    )
    click.echo(
        f"references {r.files}, missing {r.missing}, {rate}  (columns with ≤: percent within so many ms)"
    )
    _print_missing(e)
    _print_coverage(e)
    _print_some([f"note: {p}" for p in e.problems], "more")


def _print_missing(e: Evaluation) -> None:
    if e.missing and len(e.missing) == len(e.results) and not any(e.missing.values()) and not e.problems:
        click.echo(
            "no reference has an alignment: their paths below the two folders must be the same", err=True
        )
        return
    _print_some(
        [f"missing: {file}{': ' + reason if reason else ''}" for file, reason in e.missing.items()], "missing"
    )


def _print_coverage(e: Evaluation) -> None:
    if not e.suggested:
        return
    click.echo(
        f"the label sets do not meet: only {e.report.coverage:.0f} % of the alignment's phones are labels of "
        f"the reference (less than {LEAST_COVERAGE:.0f} %). Those that share most time, as a map for --map:",
        err=True,
    )
    for label, meant in e.suggested.items():
        click.echo(f"  {plain(label)}: {plain(meant)}", err=True)


def _print_some(lines: Sequence[str], what: str) -> None:
    for line in lines[:MOST_ROWS]:
        click.echo(line, err=True)
    if len(lines) > MOST_ROWS:
        click.echo(f"... and {len(lines) - MOST_ROWS} {what}", err=True)


def print_details(r: Report) -> None:
    """Print the tables of a report other than the main one."""
    if r.reference_phones:
        _print_phones(r)
    click.echo(
        f"words           {r.matched_words} of {r.reference_words} matched, overlap {r.word_overlap:.2f} %\n"
    )
    if r.durations is not None or r.word_durations is not None:
        show(durations(r))
    worst = dict(sorted(r.by_file.items(), key=lambda item: -item[1].mae)[:MOST_ROWS])
    for rows, title, name in (
        (r.by_class, "by class of boundary", "left-right"),
        (r.by_phone, "by phone", "phone"),
        (r.by_speaker, "by speaker", "speaker"),
        (worst, "worst files", "file"),
    ):
        if rows:
            show(groups(rows, title, name))
    if r.confusions:
        show(_confusions(r.confusions[:MOST_ROWS]))


def _print_phones(r: Report) -> None:
    d = r.detection
    click.echo(
        f"\nphone errors    {r.substitutions} substituted, {r.deletions} deleted, {r.insertions} inserted, "
        f"of {r.reference_phones}"
    )
    click.echo(
        f"detection       precision {d.precision:.4f}, recall {d.recall:.4f}, F1 {d.f1:.4f}, R-value "
        f"{d.r_value:.4f}  (phone boundaries, one to one, within 20 ms)"
    )
    click.echo(f"overlap         {r.overlap:.2f} %  (mean intersection over union of phones)")
    click.echo(
        f"frame accuracy  {r.frame_accuracy:.2f} %  (10 ms frames of the same class, silence among them)"
    )


def _confusions(rows: Iterable[tuple[str, str, int]]) -> Table:
    table = _table("most frequent phone errors", ("reference", "alignment", "times"))
    for a, b, n in rows:
        table.add_row(a or "(none)", b or "(none)", str(n))
    return table


def print_versus(v: Versus, first: str, second: str) -> None:
    """Print the accuracy of two aligners side by side, and whether they differ."""
    table = _table("against the reference", ("", *BOUNDARY_COLUMNS))
    for kind in ("phones", "words"):
        for letter, e in (("A", v.first), ("B", v.second)):
            s = getattr(e.report, kind)
            if s is not None:
                table.add_row(f"{kind} {letter}", str(s.count), *_figures(s))
    for letter, name, e in (("A", first, v.first), ("B", second, v.second)):
        r = e.report
        rate = (
            f"phone error rate {r.phone_error_rate:.2f} %" if r.reference_phones else "no phones to compare"
        )
        click.echo(f"{letter}  {name}: references {r.files}, missing {r.missing}, {rate}")
        _print_missing(e)
        _print_coverage(e)
    show(table)
    for kind, d in (("phones", v.phones), ("words", v.words)):
        if d is not None:
            click.echo(f"{kind}: {_verdict(d)}")


def _verdict(d: Difference) -> str:
    """Describe a difference in a sentence that names a winner only where the mean and the test agree."""
    better = "A" if d.difference < 0 else "B"
    interval = "" if d.interval is None else ", 95 % {:+.2f} to {:+.2f}".format(*d.interval)
    base = (
        f"on the {d.boundaries} boundaries of {d.files} files that both have: A {d.first:.2f} ms, "
        f"B {d.second:.2f} ms (difference {d.difference:+.2f}{interval}); "
    )
    if d.p_value is None:
        return base + ("they are the same" if d.difference == 0 else "too few files for a test")
    p = "p < 0.0001" if d.p_value < 1e-4 else f"p = {d.p_value:.4f}"
    if d.p_value >= SIGNIFICANCE_LEVEL:
        verdict = "no significant difference"
    elif (d.difference < 0) == (d.typical < 0):
        verdict = f"{better} is closer"
    else:
        verdict = (
            f"no clear winner: {'A' if d.typical < 0 else 'B'} is closer in most files, {better} on average"
        )
    return f"{base}{verdict} ({p}, Wilcoxon's signed-rank test over files)"


def print_speech(report: SpeechReport, settings: SpeechSettings, matched: str) -> None:
    """Print a table of MCD, F0 and voicing, for all files together and for each."""
    table = _table("speech", SPEECH_COLUMNS)
    rows = [("all", report.total)] if report.total is not None else []
    for name, s in (*rows, *sorted(report.files.items(), key=lambda item: -item[1].mcd)[:MOST_ROWS]):
        table.add_row(name, *_speech_cells(s))
    if report.files:
        show(table)
    if len(report.files) > MOST_ROWS:
        click.echo(f"(the {MOST_ROWS} files of highest MCD; --csv writes all)")
    how = {
        "dtw": "by exact time warping",
        "none": "one to one (the longer is cut)",
        "alignments": "by alignments",
    }[matched]
    alphas = ", ".join(f"{mel_alpha(rate):.3f} at {rate / 1000:g} kHz" for rate in report.rates)
    click.echo(
        f"recordings {report.references}, compared {len(report.files)}, matched {how}; mel-cepstra of "
        f"WORLD's envelope by pysptk, order {settings.order}, c0 left out, every {1000 * settings.hop:g} ms, "
        f"alpha {alphas or '–'}"
    )
    if report.resampled:
        click.echo(
            f"{len(report.resampled)} of them differ in rate, {report.resampled[0]} for one: their MCD is of "
            "the resampling, too (up to 2.5 dB)"
        )
    _print_some([f"note: {p}" for p in report.problems], "more")


def _speech_cells(s: SpeechScore) -> list[str]:
    """Return the cells of the figures of a recording, or of all."""
    return [
        str(s.frames),
        f"{s.mcd:.2f}",
        _number_or_dash(s.floor),
        _number_or_dash(s.f0.rmse_hz),
        _number_or_dash(s.f0.rmse_cents, 0),
        f"{s.f0.vuv:.1f}",
        _number_or_dash(s.f0.gpe, 1),
        f"{s.f0.ffe:.1f}",
    ]


def _number_or_dash(value: float | None, decimals: int = 2) -> str:
    return "–" if value is None else f"{value:.{decimals}f}"


def print_machine(machine: Machine) -> None:
    """Print the machine that the figures below are of."""
    gpus = "; ".join(machine.gpus) or "no GPU"
    click.echo(
        f"{machine.cpu}, {machine.cores} cores, {in_units(machine.memory)}, {gpus}; torch {machine.torch} "
        f"(threads: {machine.threads}), aligner {machine.aligner}, Python {machine.python}"
    )


HEADS = {
    "models": ("model", "device", "batch", "frames"),
    "stages": ("stage", "share"),
    "backends": ("backend",),
}


def print_rows(kind: str, title: str, rows: Iterable[Row]) -> list[Row]:
    """Print a table of speeds, and return its rows, which are measured as they are taken."""
    memory = {"models": ("MB",), "stages": (), "backends": ("MB", "")}[kind]
    table = _table(title, (*HEADS[kind], *SPEED_COLUMNS, *memory))
    done = []
    for row in rows:
        done.append(row)
        head = {
            "models": (row.name, row.device, str(row.batch), str(row.length)),
            "stages": (row.name, row.note),
            "backends": (row.name,),
        }[kind]
        size = "–" if row.memory is None else f"{row.memory / 1e6:.1f}"
        table.add_row(
            *head, *_speeds(row), *{"models": (size,), "stages": (), "backends": (size, row.note)}[kind]
        )
    show(table)
    return done


def _speeds(row: Row) -> list[str]:
    """Return the cells of a row's times and rates."""
    if row.timing is None:
        return ["–"] * 6
    rates = [
        "–" if rate is None else f"{rate:,.0f}" for rate in (row.audio_per_second, row.frames_per_second)
    ]
    t = row.timing
    return [*rates, *(f"{1000 * seconds:,.1f}" for seconds in (t.median, t.fastest, t.slowest, t.first))]


def print_profile(found: Profile, most: int) -> None:
    """Print where the time of a profiled run went: by stage, and by operator of torch."""
    click.echo(
        f"{found.utterances} utterances, {found.failures} failures, {found.audio:.1f} s of audio in "
        f"{found.seconds:.2f} s under the profiler, which slows it down"
    )
    stages = _table("by stage", STAGE_COLUMNS)
    for line in found.stages:
        share = 100 * line.whole / found.seconds
        times = (1000 * line.whole, share, 1000 * (line.whole - line.own), 1000 * line.own)
        stages.add_row(line.name, str(line.calls), *(f"{time:.1f}" for time in times))
    show(stages)
    operators = _table("by operator of torch, without what it calls", ("operator", "calls", "ms", "%"))
    for line in found.operators[:most]:
        operators.add_row(
            line.name, str(line.calls), f"{1000 * line.own:.1f}", f"{100 * line.own / found.seconds:.1f}"
        )
    show(operators)
