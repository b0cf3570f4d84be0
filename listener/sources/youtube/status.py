"""What is reported of YouTube: how it is, each second; and what ops must know, said once when it begins, and once when
it is over, across restarts."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, Final

from listener.model.records import Gap
from listener.sources.common.notices import NoticeBook
from listener.sources.contract import Notice
from listener.sources.youtube.api import Refused, Trouble
from listener.sources.youtube.owner import Owner
from listener.units import format_instant

SILENT_AFTER: Final = timedelta(seconds=120)
SILENT_IN_CALM: Final = timedelta(hours=2)
"""So long may a gap last before ops are alerted. In calm it is filled before anybody misses it."""
DENIED_AFTER: Final = timedelta(seconds=20)
"""So long must a refusal last before ops are alerted: a platform says no now and then, and lets us in soon after."""
SILENT, DENIED, SPENT = "source_silent", "source_refused", "source_quota_spent"
REFUSALS: Final = frozenset({Trouble.UNAUTHORIZED, Trouble.FORBIDDEN, Trouble.REFUSED, Trouble.GONE})


class Status:
    """`standing`: what ops were told and is not over; it lies in the memory that outlives us."""

    def __init__(self, standing: dict[str, datetime]) -> None:
        self._notices = NoticeBook(standing)
        self._missing: list[str] = []
        self.beside: dict[str, str] = {}
        """What is asked beside the rounds and refused for what it asks: its name → why."""
        self.failure: Refused | None = None
        """Of the last round, or of what was asked beside it."""
        self.refusal: tuple[Refused, datetime] | None = None
        """The same, where a person must act: since when."""

    def failed(self, refused: Refused, now: datetime) -> None:
        since = self.refusal[1] if self.refusal is not None else now
        self.failure, self.refusal = refused, (refused, since) if refused.trouble in REFUSALS else None

    def heard_again(self, now: datetime, missing: Collection[str] = ()) -> None:
        """`missing`: channels that are not there; of them ops must know, though the others are heard."""
        self.failure = self.refusal = None
        self._missing = sorted(missing)
        self._notices.over(SILENT, SPENT, *(() if missing else (DENIED,)))
        if missing:
            self._notices.begin(DENIED, now)

    def mind(self, now: datetime, gap: Gap | None, *, crisis: bool, spent: bool) -> None:
        """Whether there is something that ops must know of. `spent`: nothing is left of the day's units, and rounds are
        wanted."""
        if self.refusal is not None and now - self.refusal[1] >= DENIED_AFTER:
            self._notices.begin(DENIED, self.refusal[1])
        if spent:
            self._notices.begin(SPENT, now)
            return
        longest = SILENT_AFTER if crisis else SILENT_IN_CALM
        if gap is not None and self.failure is not None and self.refusal is None and now - gap.start > longest:
            self._notices.begin(SILENT, gap.start)

    def word(self, *, wanted: bool, crisis: bool, spent: bool, heard: bool, counts: bool) -> str:
        """One of `listener.runtime.metrics.SourceState`. `counts`: in calm too; `spent`: nothing is left of the day."""
        if not wanted:
            return "idle"
        if self.refusal is not None or spent:
            return "stopped"
        if not heard and (crisis or counts):
            return "connecting"
        if crisis:
            return "listening"
        return "counting" if counts else "idle"

    @property
    def has_news(self) -> bool:
        return self._notices.has_news

    def take(self) -> tuple[Notice, ...]:
        return self._notices.take()

    def shown(
        self,
        now: datetime,
        *,
        heard: datetime | None,
        counted: datetime | None,
        arrived: datetime | None,
        gap: Gap | None,
        fault: str | None,
        owner: Owner | None,
        disabled: Collection[str],
        checked: datetime | None,
    ) -> dict[str, Any]:
        """For presence and the board. `problem` is for a person. `heard`: up to when all was; `arrived`: when an answer
        last came; `fault`: what is wrong with the key's file; `disabled`: channels whose comments are turned off;
        `checked`: when the last complete check of what is deleted was begun, None where nothing is held."""
        state: dict[str, Any] = {"heard": None if arrived is None else format_instant(arrived)}
        state["deletions_checked"] = None if checked is None else format_instant(checked)
        if heard is not None:
            state["behind"] = round(max(0.0, (now - heard).total_seconds()), 1)
        if counted is not None:
            state["counted"] = format_instant(counted)
        if disabled:
            state["disabled"] = sorted(disabled)
        if self.beside:
            state["refused"] = dict(self.beside)
        if gap is not None:
            state |= {"gap": gap.cause, "gap_since": format_instant(gap.start)}
        if (problem := self._problem(fault, owner)) is not None:
            state["problem"] = problem
        return state

    def _problem(self, fault: str | None, owner: Owner | None) -> str | None:
        if fault is not None:
            return fault
        if self.refusal is not None:
            return (
                f"YouTube refuses us ({self.refusal[0].why}): asked again with growing pauses; see youtube.api_key, "
                "youtube.channels and `lyttepost doctor`"
            )
        if self._missing:
            return f"no channel is there with the id {', '.join(self._missing)}: correct youtube.channels"
        if owner is not None and owner.refused is not None:
            return f"YouTube does not take youtube.owner ({owner.refused}): comments held for review are not heard"
        return None
