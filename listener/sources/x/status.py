"""What is reported of X: how it is, each second; and what ops must know, said once when it begins, and once when it is
over, across restarts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from listener.model.records import Gap
from listener.sources.common.notices import NoticeBook
from listener.sources.x.client import Trouble
from listener.sources.x.counter import Counter
from listener.sources.x.cursor import Memory
from listener.sources.x.deletion_check import DeletionCheck
from listener.sources.x.refusals import Refusal
from listener.sources.x.requested_fields import Asked
from listener.sources.x.rule_sync import Confirmed
from listener.units import format_instant

SILENT_AFTER: Final = timedelta(seconds=60)
"""So long may a gap last before ops are alerted."""
SILENT: Final = "x_silent"
UNCOUNTED: Final = "x_not_counted"
REFUSED: Final = "x_track_refused"
SEARCH_REFUSED: Final = "x_search_refused"
FIELD: Final = "x_field_refused"
UNCHECKED: Final = "x_deletions_unchecked"
LASTS: Final = timedelta(seconds=20)
"""So long must a refusal last before ops are alerted: X says no now and then, and lets us in a moment later."""
REFUSED_NOTICES: Final[Mapping[Trouble, str]] = {
    Trouble.UNAUTHORIZED: "x_unauthorized",
    Trouble.FORBIDDEN: "x_forbidden",
    Trouble.REFUSED: "x_refused",
}
SPENT: Final = "the month's ceiling of x.budget is reached: `lyttepost x budget raise`, or wait for the next month"


class Notices(NoticeBook):
    """Those of X; what stands is kept in the memory that outlives us."""

    def __init__(self, memory: Memory) -> None:
        super().__init__(memory.notices)
        self._memory = memory

    def mind_silence(self, gap: Gap | None, now: datetime, *, patient_from: datetime | None) -> None:
        """In crisis: whether a gap lasts too long; not for the time before `patient_from`, nor for a refusal: those
        causes were told."""
        if any(what in self._memory.notices for what in REFUSED_NOTICES.values()):
            return
        if gap is not None and now - max(gap.start, patient_from or gap.start) > SILENT_AFTER:
            self.begin(SILENT, gap.start)

    def mind_refusals(self, refusals: Iterable[Refusal], now: datetime, *, well: bool) -> None:
        """`well`: X lets us in for all that is asked of it now."""
        standing = tuple(refusals)
        for refusal in standing:
            if now - refusal.since >= LASTS:
                self.begin(REFUSED_NOTICES[refusal.trouble], refusal.since)
        if well and not standing:
            self.over(*REFUSED_NOTICES.values())

    def mind_fields(self, asked: Asked, now: datetime) -> None:
        """What X refused once stays unasked for in this process; the next one asks for it again."""
        if asked.dropped:
            self.begin(FIELD, now, {"fields": ", ".join(asked.dropped[:3])})
        elif asked.answered:
            self.over(FIELD, words={"fields": "-"})

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

    def mind_deletions(self, late_since: datetime | None, *, holds: bool | None) -> None:
        """`holds`: whether any post of X is held; None: nobody knows yet."""
        if late_since is not None:
            self.begin(UNCHECKED, late_since)
        elif holds is not None:
            self.over(UNCHECKED)

    def mind_counts(self, counter: Counter) -> None:
        """In calm: whether X gives counts."""
        if (since := counter.late_since()) is not None:
            self.begin(UNCOUNTED, since)
        elif counter.well:
            self.over(UNCOUNTED)


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
    stopped: bool,
    counter: Counter,
    dropped: Sequence[str],
    deletions: DeletionCheck,
) -> dict[str, Any]:
    """For presence and the board. `state` is a word of `listener.runtime.metrics.SourceState`; `problem` is for a
    person, and `stopped`: it keeps us from being heard. `dropped`: fields that X refuses."""
    state: dict[str, Any] = {
        "state": _word(crisis, gap, counter, stopped=stopped),
        "connected": up_at is not None,
        "heard": None if heard is None else format_instant(heard),
        "rules": 0 if rules is None else len(rules.rules),
        "queue": queue,
        "unfilled": unfilled,
        "looking_back": list(looking_back),
        **counter.state(),
        **deletions.state(),
    }
    if up_at is not None:
        state["connected_since"] = format_instant(up_at)
    for name in ("refused", "approximate"):
        if rules is not None and (tracks := getattr(rules, name)):
            state[name] = dict(tracks)
    if gap is not None:
        state["gap"] = gap.cause
        state["gap_since"] = format_instant(gap.start)
    if problem is not None:
        state["problem"] = problem
    if dropped:
        state["refused_fields"] = list(dropped)
    return state


def _word(crisis: bool, gap: Gap | None, counter: Counter, *, stopped: bool) -> str:
    if stopped:
        return "stopped"
    if not crisis:
        return counter.word
    return "listening" if gap is None else "connecting"
