"""No bench leaves a process behind: whatever it started ends with it, though it is killed itself.

Every process of a bench inherits a mark in its environment, whatever session or group it makes for itself. A watcher,
which is not one of them, waits until a pipe is closed, by us or by the kernel, or until we are its parent no more, and
kills all that bear the mark.
"""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

VARIABLE = "BENCH_MARK"

WATCHER = """
import os, select, signal, sys, time
mark, own = sys.argv[1].encode(), int(sys.argv[2])
while os.getppid() == own and not select.select([0], [], [], 0.5)[0]:
    pass

def marked():
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/environ", "rb") as environ:
                if mark in environ.read().split(b"\\0") and int(name) not in (os.getpid(), own):
                    yield int(name)
        except OSError:
            pass

for _ in range(600):
    left = list(marked())
    if not left:
        break
    for pid in left:
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            pass
    time.sleep(0.05)
"""
"""One that begins while the others are killed bears the mark too: it looks again until nobody is left."""


@contextmanager
def nothing_left() -> Iterator[None]:
    """Who is started within this ends with it at the latest; within another one, with that other one at the latest."""
    mark, before = uuid.uuid4().hex, os.environ.get(VARIABLE)
    # In a session of its own, where no Ctrl-C and no signal to our group reaches it; without the mark.
    watcher = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", WATCHER, f"{VARIABLE}={mark}", str(os.getpid())],
        stdin=subprocess.PIPE,
        env={},
        start_new_session=True,
    )
    assert watcher.stdin
    os.environ[VARIABLE] = mark
    try:
        yield
    finally:
        if before is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = before
        watcher.stdin.close()
        watcher.wait()
