"""Rules run on data that is given, through the engine that judges live. Nothing is published and nothing is sent.

What happens is given in the order of event time: what fires on arrival waits for the windows of the same time. Only
what is found late, behind the watermark, comes when it is found. What is told early live is given once, settled. The
end of the data is a tick for all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from heapq import heappop, heappush
from typing import Any

from alerts.judge.jsonl import ALL_SOURCES
from alerts.rules.engine.engine import Engine, RuleFailed
from alerts.rules.judge import CALM, IncidentInfo
from alerts.rules.keys import shown
from alerts.rules.spec import RuleSpec
from alerts.rules.types.burst import on_findings
from alerts.rules.verdict import Verdict
from listener.clock import Clock
from listener.model.answers import Answered
from listener.model.incidents import Mode
from listener.model.records import Finding, Gap, Tick
from listener.units import format_instant


class Trial:
    """`incident` is part of each alert's id. Without one all rules are judged; in one, those of crisis, as live."""

    def __init__(
        self,
        specs: Iterable[RuleSpec],
        incident: IncidentInfo,
        *,
        allowed_lateness: timedelta,
        on_failure: Callable[[RuleFailed], None],
        clock: Clock,
    ) -> None:
        self._engine = Engine(
            [_in_any_mode(spec) for spec in specs] if incident.id == CALM else on_findings(specs),
            incident,
            allowed_lateness=allowed_lateness,
            on_failure=on_failure,
            clock=clock,
        )
        self._offset = 0
        self._told = 0
        self._waiting: list[tuple[datetime, int, Verdict]] = []
        self._until: datetime | None = None

    @property
    def duplicates(self) -> int:
        """Findings whose source and id had come before."""
        return self._engine.duplicates

    def take(self, record: Finding | Tick | Gap | Answered) -> Iterator[Verdict]:
        """One record in, and what is known to have happened by now."""
        for at in _instants(record):
            self._until = at if self._until is None else max(self._until, at)
        yield from self._feed(record)

    def end(self) -> Iterator[Verdict]:
        """All was heard until the last instant that was named: the rest of what happened."""
        if self._until is not None:
            yield from self._feed(Tick(source=ALL_SOURCES, until=self._until, final=True))
        while self._waiting:
            yield heappop(self._waiting)[2]

    def _feed(self, record: Finding | Tick | Gap | Answered) -> Iterator[Verdict]:
        for verdict in self._engine.feed(record, self._offset):
            if verdict.passing:
                continue
            self._told += 1
            heappush(self._waiting, (verdict.at, self._told, verdict))
        self._offset += 1
        mark = self._engine.watermark
        while self._waiting and mark is not None and self._waiting[0][0] <= mark:
            yield heappop(self._waiting)[2]


def _in_any_mode(spec: RuleSpec) -> RuleSpec:
    return spec if Mode.CRISIS in spec.modes else spec.model_copy(update={"modes": tuple(Mode)})


def _instants(record: Finding | Tick | Gap | Answered) -> tuple[datetime, ...]:
    if isinstance(record, Finding | Answered):
        return (record.at,)
    return (record.until,) if isinstance(record, Tick) else (record.end or record.start,)


def as_json(verdict: Verdict) -> dict[str, Any]:
    """The contract: one thing that happened."""
    return {
        "at": format_instant(verdict.at),
        "event": verdict.event,
        "rule": verdict.rule,
        "key": shown(verdict.key, verdict.key_fields),
        "count": verdict.count,
        "baseline": verdict.baseline,
        "reason": verdict.reason,
        "alert_id": verdict.alert_id,
    }
