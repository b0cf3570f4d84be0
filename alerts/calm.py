"""The calm stage: `volumes` in, `alerts` out. Is a track loud for its hour, and is it a crisis?

It proposes and never decides: its alert names the command that opens an incident. Nobody's words are read here, only
counts, and a minute of which there is no record is unknown, never silent.

While an incident is open the counts teach nothing and nothing fires; a crisis does not become what is expected. After
a restart the detectors learn `volumes` anew from its beginning, in silence up to the commit, and `alerts` says what
was told; so what fires next is what would have fired without the restart.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts.alert import read_to_end
from alerts.burst import Burst, Reading
from alerts.messages import OSLO
from alerts.proposal import propose
from alerts.rules.burst import BurstSpec
from alerts.rules.spec import RuleSpec
from listener.bus import Bus, Message, Record, TopicPartition
from listener.clock import Clock
from listener.control import Control
from listener.follow import Following
from listener.health import Part
from listener.metrics import Metrics
from listener.mode import Incident, State
from listener.records import ALERTS, VOLUMES, Alert, BadRecord, Event, Volume, decode, encode
from listener.stage import Stage
from listener.units import from_ms

MINUTE = timedelta(minutes=1)
WHOLE_AFTER = timedelta(minutes=2)
"""A minute whose count is published so long after it began is counted whole; before, more of it may come."""
NEWS = timedelta(hours=3)
"""A burst that is older when we hear of it, as when a track's past is asked for, wakes nobody."""


@dataclass(slots=True)
class _Series:
    """One track of one source: a detector for each rule, and a minute of which more may come."""

    bursts: dict[str, Burst]
    minute: datetime | None = None
    count: int = 0
    judged: datetime | None = None


class Calm:
    """The worker. Its group is `calm`."""

    name = "calm"

    def __init__(
        self,
        bus: Bus,
        rules: Sequence[RuleSpec],
        *,
        clock: Clock,
        metrics: Metrics,
        part: Part,
        following: Following | None = None,
    ) -> None:
        self._bus = bus
        self._rules = {rule.name: rule for rule in rules if isinstance(rule, BurstSpec)}
        self._clock = clock
        self._metrics = metrics
        self._following = following
        self._part = part
        self._control = Control(bus)
        self._state: State = self._control.refresh()
        self._crises: tuple[Incident, ...] = ()
        self._series: dict[tuple[TopicPartition, str, str], _Series] = {}
        self._committed: dict[TopicPartition, int] = {}
        self._told: dict[tuple[str, str], datetime] = {}
        for name in self._rules:
            metrics.add_rule(name)
        if following is not None:
            following.joins(self.name)
        self._refresh()
        self._stage = Stage(
            self.name, bus, "volumes", self._handle, clock=clock, metrics=metrics, part=part, on_assign=self._assign
        )

    def step(self, timeout: float) -> bool:
        self._refresh()
        if self._following is not None:
            self._following.applied(self.name, self._state.epoch)
        return self._stage.step(timeout)

    def close(self) -> None:
        self._stage.close()

    def _refresh(self) -> None:
        self._state = self._control.refresh()
        self._crises = tuple(i for i in self._state.incidents.values() if not i.synthetic)

    # --- one record --------------------------------------------------------------------------------------------

    def _handle(self, record: Record) -> Iterable[Message]:
        if record.value is None or not self._rules:
            return []
        volume = decode(VOLUMES, record.value)
        alerts = self._alerts(volume, record)
        muted = record.offset < self._committed.get(record.tp, 0)
        return [] if muted else self._publish(volume, alerts)

    def _alerts(self, volume: Volume, record: Record) -> list[tuple[BurstSpec, datetime, Reading, Burst]]:
        key = record.tp, volume.source, volume.track
        series = self._series.get(key)
        if series is None:
            bursts = {name: Burst(MINUTE, zone=OSLO, tuning=rule.tuning) for name, rule in self._rules.items()}
            series = self._series[key] = _Series(bursts)
        found = []
        if series.minute is not None and volume.minute > series.minute:
            found += self._judge(series)
        if series.judged is not None and volume.minute <= series.judged:
            return found
        if series.minute is None or volume.minute > series.minute:
            series.minute, series.count = volume.minute, 0
        if volume.minute == series.minute:
            series.count += volume.count
            if from_ms(record.time_ms) - volume.minute >= WHOLE_AFTER:
                found += self._judge(series)
        return found

    def _judge(self, series: _Series) -> list[tuple[BurstSpec, datetime, Reading, Burst]]:
        """The minute is whole."""
        minute, series.minute = series.minute, None
        if minute is None or (series.judged is not None and minute <= series.judged):
            return []
        series.judged = minute
        crisis = self._in_crisis(minute)
        found = []
        for name, burst in series.bursts.items():
            reading = burst.step(minute, series.count, learn=not crisis)
            if reading.alarm and not crisis:
                found.append((self._rules[name], minute, reading, burst))
        return found

    def _in_crisis(self, minute: datetime) -> bool:
        return any(
            i.opened_at < minute + MINUTE and (i.closed_at is None or minute <= i.closed_at) for i in self._crises
        )

    def _publish(self, volume: Volume, found: Iterable[tuple[BurstSpec, datetime, Reading, Burst]]) -> list[Message]:
        messages = []
        for rule, minute, reading, burst in found:
            if self._clock.now() - minute > NEWS:
                continue
            told = self._told.get((rule.name, volume.source))
            held = told is not None and abs(minute - told) < rule.realert
            alert = propose(rule, volume, minute, reading, burst.last_hour(), held=held)
            if not held:
                self._told[rule.name, volume.source] = minute
            self._metrics.alerts.labels(alert.rule, alert.event, alert.severity).inc()
            if held:
                self._metrics.suppressed.labels(alert.reason).inc()
            messages.append(Message("alerts", alert.id, encode(alert)))
        return messages

    # --- going on after a restart ------------------------------------------------------------------------------

    def _assign(self, assignment: frozenset[TopicPartition]) -> None:
        self._refresh()
        self._series.clear()
        self._committed.clear()
        for tp in assignment:
            commit = self._stage.consumer.committed(tp)
            if commit is not None:
                self._committed[tp] = commit.offset
                self._stage.consumer.seek(tp, self._bus.begin_offset(tp))
        self._told = {}
        reader = self._bus.reader(["alerts"])
        for record in read_to_end(self._bus, reader, ["alerts"]):
            try:
                self._remember(decode(ALERTS, record.value or b""))
            except BadRecord:
                continue
        reader.close()

    def _remember(self, alert: Alert) -> None:
        if alert.rule in self._rules and alert.event is Event.FIRED and alert.incident == "calm":
            source = alert.key.partition(":")[0]
            self._told[alert.rule, source] = max(alert.at, self._told.get((alert.rule, source), alert.at))
