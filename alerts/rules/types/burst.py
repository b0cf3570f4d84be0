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

from alerts.rules.conditions.burst_detector import Tuning
from alerts.rules.conditions.series import Judged, Series
from alerts.rules.entry import Entry
from alerts.rules.judge import CALM, RuleContext
from alerts.rules.report import noticed
from alerts.rules.spec import Duration, Positive, RuleSpec, RuleType, Span
from alerts.rules.verdict import Reason, Verdict
from listener.model.incidents import Mode
from listener.model.records import Alert, Event, Finding


class BurstSpec(RuleSpec):
    """`once_in`: how rare by the track's own tail a moment must be; less is more sensitive. `min_count`: fewer posts in
    an hour are no crowd."""

    modes: tuple[Mode, ...] = Field(default=(Mode.CALM,), min_length=1)
    to: str = "crisis_team"
    realert: Duration = timedelta(hours=6)
    once_in: Span = Tuning.once_in
    min_count: Positive = Tuning.least

    @field_validator("filter", "exclude", "query_key", "aggregation")
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


class FiredBursts:
    """When each rule fired last: in calm for a source, in crisis for a track of an incident."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str, str], datetime] = {}

    def holds(self, rule: BurstSpec, incident: str, key: str, at: datetime) -> bool:
        """Whether a burst at `at` is within the rule's `realert`. `key` is `source:track`."""
        last = self._last.get(_held_by(rule.name, incident, key))
        return last is not None and abs(at - last) < rule.realert

    def add(self, rule: str, incident: str, key: str, at: datetime) -> None:
        held_by = _held_by(rule, incident, key)
        self._last[held_by] = max(at, self._last.get(held_by, at))

    def clear(self) -> None:
        self._last.clear()


def _held_by(rule: str, incident: str, key: str) -> tuple[str, str, str]:
    return rule, incident, key.partition(":")[0] if incident == CALM else key


class CountedFindings:
    """The rule on findings, as its examples and a dry run give them: as the counts of one track that was heard
    throughout, judged as `alerts.volumes.worker` judges counts."""

    at_once = False

    def __init__(self, spec: BurstSpec, context: RuleContext) -> None:
        self._spec = spec
        self._context = context
        self._series = Series((spec.tuning,), None)
        self._crisis = Mode.CALM not in spec.modes
        self._fired = FiredBursts()
        self._start: datetime | None = None

    def keys(self, finding: Finding) -> tuple[str, ...]:
        return ("",)

    def judge(self, entry: Entry, key: str) -> Iterator[Verdict]:
        self._start = self._start or _minute(entry.at)
        yield from self._heard(entry.at)
        for judged in self._series.count(_minute(entry.at), entry.weight, entry.at, crisis=self._crisis):
            yield from self._verdicts(judged)

    def late(self, entry: Entry, key: str) -> Iterator[Verdict]:
        return iter(())

    def advance(self) -> Iterator[Verdict]:
        if self._context.watermark is not None:
            yield from self._heard(self._context.watermark)

    def remember(self, alert: Alert) -> None:
        """Nothing: an example has no past."""

    def unmute(self) -> None:
        """Nothing to make up one's mind about."""

    def _heard(self, at: datetime) -> Iterator[Verdict]:
        """Judge the minutes that are over at `at`."""
        if self._start is not None:
            for judged in self._series.heard(self._start, _minute(at), crisis=self._crisis):
                yield from self._verdicts(judged)

    def _verdicts(self, judged: Judged) -> Iterator[Verdict]:
        reading = judged.readings[self._spec.tuning]
        if not reading.alarm:
            return
        incident = self._context.incident.id
        held = self._fired.holds(self._spec, incident, "", judged.minute)
        if not held:
            self._fired.add(self._spec.name, incident, "", judged.minute)
        yield noticed(
            self._context, self._spec, "", judged.minute, (),
            event=Event.SUPPRESSED if held else Event.FIRED,
            reason=Reason.REALERT if held else Reason.BURST,
            count=round(reading.count), since=reading.since or judged.minute, baseline=reading.expected,
        )  # fmt: skip


def _minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


TYPE = RuleType(BurstSpec, CountedFindings, resolves=False)
