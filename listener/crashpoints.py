"""Named points where a test may kill the process: `LYTTEPOST_CRASH=bus.before_commit` or `…:3` for the third time.

The kill is SIGKILL: nothing is flushed, nothing cleans up. Unset, as it always is outside tests, a point costs one
comparison.
"""

from __future__ import annotations

import os
import re
import signal
from typing import Final

from listener.errors import UsageError

POINTS: Final = frozenset(
    {
        "bus.made",
        "bus.remembered",
        "bus.before_commit",
        "bus.after_commit",
        "capture.before_publish",
        "deletions.written",
        "deletions.purged",
        "expiry.purged",
        "spool.kept",
        "spool.drained",
        "stage.before_publish",
        "stage.after_publish",
        "dispatch.after_intent",
        "dispatch.after_send",
        "highlights.after_intent",
        "highlights.after_send",
        "backup.read_again",
        "restore.proven",
        "restore.put",
    }
)


class CrashPoint:
    """Counts visits of one named point and kills at the chosen one. Raises UsageError when there is no such point."""

    def __init__(self, spec: str) -> None:
        self.name, colon, times = spec.partition(":")
        if self.name not in POINTS:
            raise UsageError(f"LYTTEPOST_CRASH={spec}: no such point; known: {', '.join(sorted(POINTS))}")
        if colon and not re.fullmatch(r"[1-9][0-9]{0,8}", times):
            raise UsageError(f"LYTTEPOST_CRASH={spec}: behind the : stands for which time, such as {self.name}:3")
        self.left = int(times or 1)

    def visit(self, name: str) -> None:
        if name == self.name:
            self.left -= 1
            if self.left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)


_chosen = CrashPoint(os.environ["LYTTEPOST_CRASH"]) if os.environ.get("LYTTEPOST_CRASH") else None


def point(name: str) -> None:
    """Die here, if a test asked for it."""
    if _chosen is not None:
        _chosen.visit(name)
