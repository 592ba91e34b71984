"""Where the sample, real speech and other things that tests read lie."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "data" / "sample"
TIMIT = ROOT.parent / "shared" / "data" / "timit-dev"
OTHERS = ROOT.parent / "shared" / "data" / "others"
JUDGE = ROOT.parent / "shared" / "score" / "score.py"
SPHINX_TESTS = Path("/usr/share/pocketsphinx/test/data")
