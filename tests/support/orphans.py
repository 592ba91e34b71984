"""A program that spreads work over two processes, prints their numbers and kills itself."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from aligner.learn import spread
from support.examples import EXAMPLES
from support.processes import process_number

if __name__ == "__main__":
    spread.MAX_SERIAL_FRAMES = 0  # nothing is too little to be spread
    with spread.spread(2, EXAMPLES, Path(sys.argv[1])) as mapped:
        print(*set(mapped(process_number, range(8))), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
