"""What ops must know of X: said once when it begins, and once when it is over, across restarts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from listener.sources import Notice
from listener.x.client import Trouble
from listener.x.memory import Memory

SILENT: Final = "x_silent"
REFUSED: Final = "x_track_refused"
FATAL_NOTICES: Final[Mapping[Trouble, str]] = {
    Trouble.UNAUTHORIZED: "x_unauthorized",
    Trouble.FORBIDDEN: "x_forbidden",
}
MENDS: Final = {
    "x_unauthorized": "X does not accept x.bearer_token (HTTP 401): set a valid one and restart",
    "x_forbidden": "X forbids our account this (HTTP 403): see the plan with X",
}


class Notices:
    """Names of `listener.ops.HEADLINES`; what stands is kept in the memory that outlives us."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._new: list[Notice] = []

    def begin(self, what: str, since: datetime) -> None:
        if what not in self._memory.notices:
            self._memory.notices[what] = since
            self._new.append(Notice(what, since))

    def over(self, *names: str) -> None:
        for what in names:
            if (since := self._memory.notices.pop(what, None)) is not None:
                self._new.append(Notice(what, since, over=True))

    def take(self) -> tuple[Notice, ...]:
        out, self._new = tuple(self._new), []
        return out
