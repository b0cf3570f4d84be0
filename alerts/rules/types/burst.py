"""`burst`: a track is loud for its hour. In calm the crisis team is asked whether it is a crisis; in crisis each track
of each incident is guarded.

It looks at the counts in `volumes` and at nobody's words, so it has no findings to filter: `alerts.volumes.worker`
judges it. It is an event and no state, so it resolves nothing. In calm `realert` holds the rule for all tracks of a
source, because what is said of one thing is said under many tracks; in crisis it holds it for each incident and track.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from pydantic import Field, field_validator

from alerts.rules.conditions.burst_detector import Burst, Tuning
from alerts.rules.conditions.series import FURTHEST
from alerts.rules.entry import Entry
from alerts.rules.judge import RuleContext
from alerts.rules.report import noticed
from alerts.rules.spec import Duration, Positive, RuleSpec, RuleType, Span
from alerts.rules.verdict import Reason, Verdict
from listener.model.incidents import Mode
from listener.model.records import Alert, Event, Finding

MINUTE = timedelta(minutes=1)


class BurstSpec(RuleSpec):
    """`once_in`: how rare by the track's own tail a moment must be; less is more sensitive. `min_count`: fewer posts in
    an hour are no crowd."""

    modes: tuple[Mode, ...] = Field(default=(Mode.CALM,), min_length=1)
    to: str = "crisis_team"
    realert: Duration = timedelta(hours=6)
    once_in: Span = Tuning.once_in
    min_count: Positive = Tuning.least

    @field_validator("filter", "query_key", "aggregation")
    @classmethod
    def _nothing(cls, value: Any) -> Any:
        if value:
            raise ValueError("burst judges counts of each track, and no findings: it takes none")
        return value

    @property
    def tuning(self) -> Tuning:
        return Tuning(once_in=self.once_in, least=self.min_count)


def on_findings(rules: Iterable[RuleSpec]) -> tuple[RuleSpec, ...]:
    """The rules that are judged on findings: all but these, which are judged on counts."""
    return tuple(rule for rule in rules if not isinstance(rule, BurstSpec))


class MinuteCounts:
    """The rule on findings, as its examples give them: their counts, minute by minute. Live, `alerts.volumes.worker`
    judges."""

    at_once = False

    def __init__(self, spec: BurstSpec, context: RuleContext) -> None:
        self._spec = spec
        self._context = context
        self._burst = Burst(MINUTE, tuning=spec.tuning)
        self._minute: datetime | None = None
        self._count = 0

    def keys(self, finding: Finding) -> tuple[str, ...]:
        return ("",)

    def judge(self, entry: Entry, key: str) -> Iterator[Verdict]:
        yield from self._until(entry.at)
        self._count += entry.weight

    def late(self, entry: Entry, key: str) -> Iterator[Verdict]:
        return iter(())

    def advance(self) -> Iterator[Verdict]:
        if self._minute is not None and self._context.watermark is not None:
            yield from self._until(self._context.watermark)

    def remember(self, alert: Alert) -> None:
        """Nothing: an example has no past."""

    def unmute(self) -> None:
        """Nothing to make up one's mind about."""

    def _until(self, at: datetime) -> Iterator[Verdict]:
        """Judge the minutes that are over at `at`; all of them were heard. Of a long silence, as live, only the end."""
        minute = at.replace(second=0, microsecond=0)
        self._minute = self._minute or minute
        while self._minute < minute:
            reading = self._burst.step(self._minute, self._count)
            if reading.alarm:
                yield noticed(
                    self._context, self._spec, "", self._minute, (),
                    event=Event.FIRED, reason=Reason.BURST, count=round(reading.count),
                    since=reading.since or self._minute, baseline=reading.expected,
                )  # fmt: skip
            self._minute, self._count = max(self._minute + MINUTE, minute - FURTHEST), 0


TYPE = RuleType(BurstSpec, MinuteCounts, resolves=False)
