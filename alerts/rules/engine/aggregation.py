"""`aggregation`: what a rule fires within that length after an alarm, under whatever key, joins that alarm.

The first is sent at once, since somebody may be waiting for it; the others are held with the reason `aggregated`. The
alarm has passed when all that joined it has. Judges know nothing of this: they fired, and their conditions pass.

The whole state is a fold of what was published, in its order: a restart folds it again, and hands each judge its own
words back.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from alerts.rules.conditions.window import KEEP
from alerts.rules.judge import RuleContext
from alerts.rules.spec import RuleSpec
from alerts.rules.verdict import Reason, Verdict
from listener.model.records import Alert, Event

LATE = timedelta(hours=24)
"""So long a post that is found late still joins the alarm it belongs to."""


@dataclass(slots=True)
class _Alarm:
    """An alarm and those of its conditions that stand: id → key."""

    id: str
    key: str
    at: datetime
    first_seen: datetime
    standing: dict[str, str] = field(default_factory=dict)


class Aggregation:
    """One rule's alarms. `resolves`: whether conditions of its type ever pass."""

    def __init__(self, spec: RuleSpec, span: timedelta, context: RuleContext, *, resolves: bool) -> None:
        self._span = span
        self._context = context
        self._resolves = resolves
        self._memory = span + max(LATE, KEEP * (spec.span or timedelta()))
        self._recent: list[_Alarm] = []
        self._of: dict[str, _Alarm] = {}

    def report(self, verdict: Verdict) -> Verdict:
        """A verdict as it is published."""
        if verdict.event is Event.FIRED:
            alarm = self._alarm(verdict.at)
            if alarm is None:
                self._open(verdict.alert_id, verdict.key, verdict.at, verdict.first_seen)
                return verdict
            self._join(alarm, verdict.alert_id, verdict.key)
            return replace(verdict, event=Event.SUPPRESSED, reason=Reason.AGGREGATED)
        alarm = self._of.get(verdict.alert_id) if verdict.event is Event.RESOLVED else None
        if alarm is None:
            return verdict
        if self._leave(alarm, verdict.alert_id):
            return replace(verdict, event=Event.SUPPRESSED, reason=Reason.AGGREGATED_OVER)
        return replace(verdict, alert_id=alarm.id, key=alarm.key, first_seen=alarm.first_seen)

    def remember(self, alert: Alert) -> Alert:
        """A published alert as the judge said it."""
        if alert.event is Event.FIRED:
            self._open(alert.id, alert.key, alert.at, alert.first_seen)
        elif alert.event is Event.RESOLVED:
            alarm = next((each for each in self._of.values() if each.id == alert.id), None)
            if alarm is not None:
                id, key = next(reversed(alarm.standing.items()))
                self._leave(alarm, id)
                return alert.model_copy(update={"id": id, "key": key})
        elif alert.reason == Reason.AGGREGATED:
            alarm = self._alarm(alert.at)
            if alarm is not None:
                self._join(alarm, alert.id, alert.key)
            return alert.model_copy(update={"event": Event.FIRED})
        elif alert.reason == Reason.AGGREGATED_OVER:
            if alert.id in self._of:
                self._leave(self._of[alert.id], alert.id)
            return alert.model_copy(update={"event": Event.RESOLVED})
        return alert

    def advance(self) -> None:
        """Time has passed: drop alarms that nothing can join any more."""
        mark = self._context.watermark
        if mark is not None and self._recent and self._recent[0].at <= mark - self._memory:
            self._recent = [alarm for alarm in self._recent if alarm.at > mark - self._memory]

    def _alarm(self, at: datetime) -> _Alarm | None:
        """The nearest alarm less than the span away."""
        near = [alarm for alarm in self._recent if abs(at - alarm.at) < self._span]
        return min(near, key=lambda alarm: (abs(at - alarm.at), alarm.at), default=None)

    def _open(self, id: str, key: str, at: datetime, first_seen: datetime) -> None:
        alarm = _Alarm(id, key, at, first_seen)
        self._recent.append(alarm)
        self._join(alarm, id, key)

    def _join(self, alarm: _Alarm, id: str, key: str) -> None:
        if self._resolves:
            alarm.standing[id] = key
            self._of[id] = alarm

    def _leave(self, alarm: _Alarm, id: str) -> bool:
        """Whether others of the alarm still stand."""
        alarm.standing.pop(id, None)
        self._of.pop(id, None)
        return bool(alarm.standing)
