"""The judging stage: `findings` in, `alerts` out. One engine an incident.

After a restart each engine goes on exactly where it was: the commit's metadata says how the ticks stood before the
lowest offset that a window still needs, `alerts` says what was fired, and what lies between that offset and the
committed one is read again in silence.
"""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from alerts.alert import read_to_end
from alerts.rules.engine import LATENESS, Engine, RuleFailed
from alerts.rules.judge import IncidentInfo
from alerts.rules.spec import RuleSpec
from alerts.rules.verdict import Verdict, to_alert
from listener.bus import Bus, Message, Record, TopicPartition
from listener.clock import Clock
from listener.control import Control
from listener.errors import Corrupt
from listener.follow import Following
from listener.health import Part
from listener.metrics import Metrics
from listener.ops import ops_alert
from listener.records import ALERTS, FINDINGS, Alert, BadRecord, Event, Finding, decode, encode
from listener.stage import Stage
from listener.units import from_ms

log = logging.getLogger(__name__)

KEEP_CLOSED = timedelta(minutes=10)
"""A closed incident's engine is kept so long, by the bus's time: posts may still be under way, however late it is."""
CALM_AFTER = timedelta(minutes=10)
"""A rule that has not failed for so long works again."""
METADATA_MOST = 4000
FAILED = "lyttepost.rule_failed"
RULES_TOPIC = "findings"


class Judging:
    """The worker. Its group is `judge`."""

    name = "judge"

    def __init__(
        self,
        bus: Bus,
        rules: Sequence[RuleSpec],
        *,
        clock: Clock,
        metrics: Metrics,
        part: Part,
        following: Following | None = None,
        allowed_lateness: timedelta = LATENESS,
    ) -> None:
        self._bus = bus
        self._rules = tuple(rules)
        self._clock = clock
        self._metrics = metrics
        self._following = following
        self._lateness = allowed_lateness
        self._mentions = bus.partitions("mentions")
        self._control = Control(bus)
        self._engines: dict[tuple[int, str], Engine] = {}
        self._heard: dict[int, datetime] = {}
        self._failing: dict[str, tuple[datetime, datetime]] = {}
        for rule in self._rules:
            metrics.add_rule(rule.name)
        self._ops: list[Message] = []
        if following is not None:
            following.joins(self.name)
        self._stage = Stage(
            self.name,
            bus,
            RULES_TOPIC,
            self._handle,
            clock=clock,
            metrics=metrics,
            part=part,
            on_assign=self._assign,
            metadata=self._metadata,
        )

    def step(self, timeout: float) -> bool:
        state = self._control.refresh()
        if self._following is not None:
            self._following.applied(self.name, state.epoch)
        self._recovered()
        if self._ops:
            self._bus.publish(self._ops)
            self._ops = []
        return self._stage.step(timeout)

    def close(self) -> None:
        self._stage.close()

    # --- one record --------------------------------------------------------------------------------------------

    def _handle(self, record: Record) -> Iterable[Message]:
        self._heard[record.partition] = from_ms(record.time_ms)
        if record.value is None:
            return []
        found = decode(FINDINGS, record.value)
        if isinstance(found, Finding):
            key = (record.partition, found.incident)
            engine = self._engines.get(key) or self._engines.setdefault(key, self._engine(found.incident))
            return self._told(engine, engine.feed(found, record.offset))
        messages = []
        for (partition, _), engine in self._engines.items():
            if partition == record.partition:
                messages += self._told(engine, engine.feed(found, record.offset))
                if engine.watermark is not None:
                    self._metrics.rules_watermark.set(engine.watermark.timestamp())
        return messages

    def _told(self, engine: Engine, verdicts: list[Verdict]) -> list[Message]:
        if engine.muted:
            return []
        alerts = [to_alert(verdict, engine.specs[verdict.rule], engine.incident) for verdict in verdicts]
        for alert in alerts:
            self._metrics.alerts.labels(alert.rule, alert.event, alert.severity).inc()
            if alert.event is Event.SUPPRESSED:
                self._metrics.suppressed.labels(alert.reason).inc()
        return [Message("alerts", alert.id, encode(alert)) for alert in alerts]

    def _engine(self, incident: str) -> Engine:
        known = self._control.refresh().incidents.get(incident)
        info = IncidentInfo(
            id=incident,
            name=known.name if known else incident,
            exercise=known.exercise if known else False,
            synthetic=known.synthetic if known else False,
        )
        return Engine(
            self._rules,
            info,
            allowed_lateness=self._lateness,
            partitions=self._mentions,
            on_failure=self._failed,
        )

    # --- going on after a restart ------------------------------------------------------------------------------

    def _metadata(self, tp: TopicPartition) -> str:
        states = {}
        for partition, incident in list(self._engines):
            if partition != tp.partition:
                continue
            known = self._control.state.incidents.get(incident)
            closed_at = known.closed_at if known is not None else None
            if closed_at is not None and self._heard[partition] - closed_at > KEEP_CLOSED:
                del self._engines[partition, incident]
            else:
                states[incident] = self._engines[partition, incident].watermarks()
        text = json.dumps(states, separators=(",", ":"))
        if len(text) > METADATA_MOST:
            log.error("the state of %d open incidents does not fit beside an offset; close some", len(states))
        while len(text) > METADATA_MOST:
            # After a restart the newest incidents begin with what is read again; better than to stop judging all.
            states.popitem()
            text = json.dumps(states, separators=(",", ":"))
        return text

    def _assign(self, assignment: frozenset[TopicPartition]) -> None:
        """Make the engines of these partitions anew, and go back as far as they need."""
        self._engines.clear()
        for tp in assignment:
            commit = self._stage.consumer.committed(tp)
            if commit is None or not commit.metadata:
                continue
            lowest = commit.offset
            for incident, state in self._states(commit.metadata).items():
                engine = self._engine(incident)
                engine.restore_watermarks(state, commit.offset)
                self._engines[tp.partition, incident] = engine
                lowest = min(lowest, int(state["n"]))
            self._stage.consumer.seek(tp, max(lowest, self._bus.begin_offset(tp)))
        self._remember()

    @staticmethod
    def _states(metadata: str) -> dict[str, Any]:
        try:
            states = json.loads(metadata)
        except ValueError:
            states = None
        if not isinstance(states, dict):
            raise Corrupt("the rules' state in a commit of `findings` is not what this program writes")
        return states

    def _remember(self) -> None:
        """What was said of these incidents, and which rules ops were told of."""
        said: dict[str, list[Alert]] = defaultdict(list)
        failing: dict[str, datetime] = {}
        wanted = {incident for _, incident in self._engines}
        reader = self._bus.reader(["alerts"])
        for record in read_to_end(self._bus, reader, ["alerts"]):
            try:
                alert = decode(ALERTS, record.value or b"")
            except BadRecord:
                continue
            if alert.incident in wanted:
                said[alert.incident].append(alert)
            elif alert.rule == FAILED:
                failing.pop(alert.key, None)
                if alert.event is Event.FIRED:
                    failing[alert.key] = alert.first_seen
        reader.close()
        now = self._clock.now()
        for rule, since in failing.items():
            self._failing.setdefault(rule, (since, now))
        for (_, incident), engine in self._engines.items():
            for alert in said[incident]:
                engine.remember(alert)

    # --- rules that raise --------------------------------------------------------------------------------------

    def _failed(self, failed: RuleFailed) -> None:
        self._metrics.rule_failures.labels(failed.rule).inc()
        now = self._clock.now()
        since, _ = self._failing.get(failed.rule, (now, now))
        if failed.rule not in self._failing:
            log.error("rule %s failed: %s; it is tried again", failed.rule, failed.error)
            self._ops.append(ops_alert("rule_failed", failed.rule, since, now))
        self._failing[failed.rule] = since, now

    def _recovered(self) -> None:
        now = self._clock.now()
        for rule, (since, last) in list(self._failing.items()):
            if now - last > CALM_AFTER:
                del self._failing[rule]
                self._ops.append(ops_alert("rule_failed", rule, since, now, over=True))
