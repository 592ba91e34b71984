#!/usr/bin/env python3
"""Time and memory of `aligner evaluate` on ten thousand utterances, and of the report on two thousand.

    evaluate.py REFERENCE ALIGNED [--count N] [--report N]

REFERENCE holds labels and ALIGNED what `align` made of them; both are multiplied by links in a temporary
folder.  The opening of the report is timed in headless Chromium, where that and playwright are there.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

COMMAND = [sys.executable, "-c", "from aligner.cli import main; main()"]


def multiply(source: Path, target: Path, count: int) -> None:
    """Copies of a folder side by side, by links, until there are ``count`` of its TextGrids or .phn files."""
    files = [
        p for p in source.rglob("*") if p.is_file() and p.suffix.lower() in (".textgrid", ".phn", ".wrd")
    ]
    stems = len({p.with_suffix("") for p in files})
    for k in range(-(-count // stems)):
        for path in files:
            link = target / f"copy{k:04d}" / path.relative_to(source)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path.resolve())


def resident(root: int) -> int:
    """Bytes that a process and its children hold; 0 where /proc does not tell."""
    total, children = 0, [root]
    while children:
        pid = children.pop()
        try:
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()
            for thread in Path(f"/proc/{pid}/task").iterdir():  # any of them may have started processes
                children += map(int, (thread / "children").read_text().split())
        except (OSError, IndexError):
            continue
    return total


def watched(words: list[str]) -> tuple[float, float]:
    """Seconds and greatest memory (GB, all processes together) of a command."""
    begun, most = time.perf_counter(), 0
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    ended = threading.Event()
    threading.Thread(target=lambda: (process.wait(), ended.set()), daemon=True).start()
    while not ended.wait(0.2):
        most = max(most, resident(process.pid))
    if process.returncode:
        sys.exit(f"{' '.join(map(str, words))} failed")
    return time.perf_counter() - begun, most / 1e9


def multiply_run(out: Path, target: Path, count: int) -> None:
    """A run's output folder of ``count`` utterances: its rows again and again, over the same TextGrids."""
    shutil.copytree(out, target, ignore=shutil.ignore_patterns("report", "corrected"))
    rows = list(csv.DictReader((out / "alignment.csv").read_text(encoding="utf-8").splitlines()))
    with (target / "alignment.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows[k % len(rows)] for k in range(count))


def opening(page: Path) -> str:
    """Milliseconds until the list is shown, the median of five, and what Chromium calls loaded."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        chromium = None
    if chromium is None:
        return "not timed: there is no chromium, or no playwright"
    with sync_playwright() as p:
        browser, found = p.chromium.launch(executable_path=chromium, args=["--no-sandbox"]), []
        for _ in range(5):
            tab = browser.new_page()
            begun = time.perf_counter()
            tab.goto(page.resolve().as_uri())
            tab.wait_for_selector("#rows tr")
            found.append(1000 * (time.perf_counter() - begun))
            tab.close()
        browser.close()
    return f"opens in {sorted(found)[2]:.0f} ms (median of {', '.join(f'{f:.0f}' for f in found)})"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("reference", type=Path)
    parser.add_argument("aligned", type=Path)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--report", type=int, default=2_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        multiply(given.reference, folder / "reference", given.count)
        multiply(given.aligned, folder / "aligned", given.count)
        figures = folder / "figures.json"
        seconds, memory = watched(
            [*COMMAND, "evaluate", folder / "reference", folder / "aligned", "--json", figures]
        )
        files = json.loads(figures.read_text())["files"]
        print(f"evaluate: {files} utterances in {seconds:.1f} s, {memory:.2f} GB, {os.cpu_count()} cores")
        multiply_run(given.aligned, folder / "run", given.report)
        seconds, memory = watched([*COMMAND, "report", folder / "run"])
        page = folder / "run" / "report" / "index.html"
        print(f"report: {given.report} utterances made in {seconds:.1f} s, {memory:.2f} GB; {opening(page)}")


if __name__ == "__main__":
    main()
