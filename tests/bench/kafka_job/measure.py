"""A program run to its end: what it took of the processor and of memory."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tests.bench.leftovers import VARIABLE, nothing_left

LOOK_SECONDS = 0.05
CONTROL = "\x1b[?25hl \t"


class Cost(NamedTuple):
    """Seconds on the wall, seconds of the processor (user and system), and the most memory held, in MB.

    `problem` is the end of what it said when it failed or did not end in time; children count too.
    """

    wall: float
    cpu: float
    peak_mb: float
    problem: str = ""


def measured(command: Sequence[str], env: Mapping[str, str], seconds: float) -> Cost:
    """Its memory is looked at while it runs, because a child's `ru_maxrss` begins with ours. None of its processes
    outlives this: a peer's may go on when the one that we started has ended."""
    with tempfile.TemporaryFile() as said, nothing_left():
        began = time.monotonic()
        child = subprocess.Popen(
            command,
            env={**env, VARIABLE: os.environ[VARIABLE]},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
        peak, late = 0, False
        while True:
            pid, status, used = os.wait4(child.pid, os.WNOHANG)
            if pid:
                break
            peak = max(peak, _peak(child.pid))
            if not late and time.monotonic() - began > seconds:
                late = True
                os.killpg(child.pid, signal.SIGKILL)
            time.sleep(LOOK_SECONDS)
        wall = time.monotonic() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        lines = [line for line in said.read().decode(errors="replace").splitlines() if line.strip(CONTROL)]
        words = (lines or [""])[-1].strip()[:200]
    problem = f"did not end within {seconds:.0f} s" if late else f"ended with {child.returncode}: {words}"
    return Cost(wall, used.ru_utime + used.ru_stime, peak / 1024, problem if child.returncode else "")


def _peak(pid: int) -> int:
    """kB that a process and its children held at most, each at its own time."""
    total = 0
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM"):
                total = int(line.split()[1])
        for task in Path(f"/proc/{pid}/task").iterdir():
            total += sum(_peak(int(its)) for its in (task / "children").read_text(encoding="utf-8").split())
    return total
