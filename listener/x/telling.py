"""What is told of X: how it is, each second; and what ops must know, said once when it begins, and once when it is
over, across restarts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from listener.records import Gap
from listener.sources import Notice
from listener.units import format_instant
from listener.x.client import Trouble
from listener.x.counting import Counter
from listener.x.keeper import Confirmed
from listener.x.memory import Memory

SILENT_AFTER: Final = timedelta(seconds=60)
"""So long may a gap last before ops are told."""
HALTED: Final = "halted"
SILENT: Final = "x_silent"
UNCOUNTED: Final = "x_not_counted"
REFUSED: Final = "x_track_refused"
SEARCH_REFUSED: Final = "x_search_refused"
FATAL_NOTICES: Final[Mapping[Trouble, str]] = {
    Trouble.UNAUTHORIZED: "x_unauthorized",
    Trouble.FORBIDDEN: "x_forbidden",
}
MENDS: Final = {
    "x_unauthorized": "X does not accept x.bearer_token (HTTP 401): set a valid one and restart",
    "x_forbidden": "X forbids our account this (HTTP 403): see the plan with X",
    HALTED: "the month's ceiling of x.budget is reached: `lyttepost x budget raise`, or wait for the next month",
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

    def mind_silence(self, gap: Gap | None, now: datetime, *, patient_from: datetime | None) -> None:
        """In crisis: whether a gap lasts too long; not for the time before `patient_from`, whose cause was told."""
        if gap is not None and now - max(gap.start, patient_from or gap.start) > SILENT_AFTER:
            self.begin(SILENT, gap.start)

    def mind_rules(self, rules: Confirmed, now: datetime) -> None:
        if rules.refused:
            self.begin(REFUSED, now)
        else:
            self.over(REFUSED)

    def mind_search(self, refused: bool | None, now: datetime) -> None:
        """`refused` None: X was not asked yet."""
        if refused:
            self.begin(SEARCH_REFUSED, now)
        elif refused is False:
            self.over(SEARCH_REFUSED)

    def mind_counts(self, counter: Counter, *, rules_confirmed: bool) -> None:
        """In calm: whether X answers to our key in all that calm needs."""
        if (since := counter.late_since()) is not None:
            self.begin(UNCOUNTED, since)
        elif counter.well:
            self.over(UNCOUNTED, *(FATAL_NOTICES.values() if rules_confirmed else ()))


def shown(
    *,
    crisis: bool,
    up_at: datetime | None,
    heard: datetime | None,
    queue: int,
    unfilled: int,
    looking_back: Sequence[str],
    rules: Confirmed | None,
    gap: Gap | None,
    problem: str | None,
    counter: Counter,
) -> dict[str, Any]:
    """For presence and the board. `state` is a word of `listener.metrics.SourceState`, `problem` a name of `MENDS`."""
    told: dict[str, Any] = {
        "state": _word(crisis, gap, problem, counter),
        "connected": up_at is not None,
        "heard": None if heard is None else format_instant(heard),
        "rules": 0 if rules is None else len(rules.rules),
        "queue": queue,
        "unfilled": unfilled,
        "looking_back": list(looking_back),
        **counter.state(),
    }
    if up_at is not None:
        told["connected_since"] = format_instant(up_at)
    for name in ("refused", "approximate"):
        if rules is not None and (tracks := getattr(rules, name)):
            told[name] = dict(tracks)
    if gap is not None:
        told["gap"] = gap.cause
        told["gap_since"] = format_instant(gap.start)
    if problem is not None:
        told["problem"] = MENDS[problem]
    return told


def _word(crisis: bool, gap: Gap | None, problem: str | None, counter: Counter) -> str:
    if problem is not None:
        return "stopped"
    if not crisis:
        return counter.word
    return "listening" if gap is None else "connecting"
