"""Processes that tests start: without root's rights, and whether they still run."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

# Root may write and read anywhere; what this program starts then may not
BOUND = """
import ctypes, os, sys
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, PR_CAPBSET_DROP = 1, 2, 24  # as the Linux kernel numbers them
if os.geteuid() == 0:
    for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
        ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def process_number(_task: object) -> int:
    """The number of the process that answers a task."""
    return os.getpid()


def wait_until(true: Callable[[], bool]) -> None:
    """Wait for what other processes do; it takes as long as it takes, but not for ever."""
    for _ in range(60_000):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("it has not come in ten minutes")
