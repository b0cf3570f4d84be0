"""The judging stage: `findings` in, `alerts` out. One engine an incident.

After a restart each engine goes on exactly where it was: the commit's metadata says how the ticks stood before the
lowest offset that a window still needs, `alerts` says what was fired, and what lies between that offset and the
committed one is read again in silence.

Rules that are edited while it runs come into force in the same way, without a restart: a rule that stayed as it was
loses nothing and says nothing twice, and a new one knows its window's past without firing for it.
"""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from alerts.judge.reload import Edit, Rulebook, record_edit
from alerts.judge.restore import KEPT, answers_of, kept_by, last_words, reach_back
from alerts.rules.engine.engine import LATENESS, TIMEOUT, Engine, RuleFailed
from alerts.rules.judge import IncidentInfo
from alerts.rules.report import to_alert
from alerts.rules.spec import RuleSpec
from alerts.rules.types.burst import on_findings
from alerts.rules.verdict import Reason, Verdict
from listener.bus.messages import message
from listener.bus.protocol import METADATA_CHARS, Bus, Message, Record, TopicPartition
from listener.bus.scan import scan
from listener.clock import Clock
from listener.errors import Corrupt
from listener.model.answers import Answered
from listener.model.canary import CANARY, NAME
from listener.model.incidents import State
from listener.model.quick import FINDING
from listener.model.records import ALERTS, FINDINGS, Alert, Event, Finding, decode
from listener.model.roles import JUDGE
from listener.runtime.control import Control
from listener.runtime.health import Part
from listener.runtime.metrics import Metrics
from listener.runtime.ops_alerts import OPS_ALERTS, OpsAlerts, rule_of
from listener.runtime.presence import PresenceReporter
from listener.runtime.stage import Stage
from listener.units import from_ms

log = logging.getLogger(__name__)

KEEP_CLOSED = timedelta(minutes=10)
"""A closed incident's engine is kept so long, by the bus's time: posts may still be under way, however late it is."""
CALM_AFTER = timedelta(minutes=10)
"""A rule that has not failed for so long works again."""
SLOW = 5.0
"""CPU seconds that one rule may take of a turn."""
FAILED = "lyttepost.rule_failed"
BAD = "lyttepost.rules_bad"
RULES_TOPIC = "findings"
CANARY_INCIDENT = IncidentInfo(CANARY, NAME, synthetic=True)


def canary_rule(headline: Mapping[str, str]) -> RuleSpec:
    """The one rule that a canary meets. No rule of a person counts it, and it counts no post of a person."""
    its = OPS_ALERTS[CANARY]
    return RuleSpec(name=rule_of(CANARY), type="any", severity=its.severity, to=its.to, texts=dict(headline))


class Judging:
    """The worker. Its group is `judge`."""

    name = JUDGE

    def __init__(
        self,
        bus: Bus,
        rules: Sequence[RuleSpec],
        *,
        clock: Clock,
        metrics: Metrics,
        part: Part,
        reporter: PresenceReporter | None = None,
        allowed_lateness: timedelta = LATENESS,
        rulebook: Rulebook | None = None,
        member: str = "",
        ops: OpsAlerts | None = None,
    ) -> None:
        """`rulebook`: where these rules come from, if edits of it are to come into force."""
        self._bus = bus
        self._ops = ops or OpsAlerts.load()
        self._rules = tuple(rules)
        self._canary = canary_rule(self._ops.headlines[CANARY])
        self._clock = clock
        self._metrics = metrics
        self._part = part
        self._reporter = reporter
        self._lateness = allowed_lateness
        self._mentions = bus.partitions("mentions")
        self._control = Control(bus)
        self._engines: dict[tuple[int, str], Engine] = {}
        self._heard: dict[int, datetime] = {}
        self._numbered: dict[str, dict[tuple[str, str], Alert]] = defaultdict(dict)
        self._failing: dict[str, tuple[datetime, datetime]] = {}
        self._show_rules()
        self._for_ops: list[Message] = []
        self._rulebook = rulebook
        self._begun = False
        self._edit: Edit | None = None
        self._bad_since: datetime | None = None
        if rulebook is not None:
            metrics.rules_reloaded.set(1)
        if reporter is not None:
            reporter.joins(self.name)
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
            member=member,
        )

    def step(self, timeout: float) -> bool:
        if self._reporter is None:
            self._control.refresh()
        else:
            self._reporter.applied(self.name, self._state().epoch)
        self._recovered()
        self._look()
        if self._for_ops:
            self._bus.publish(self._for_ops)
            self._for_ops = []
        began = self._clock.thread_time()
        moved = self._stage.step(timeout)
        self._slow(self._clock.thread_time() - began)
        return moved

    def close(self) -> None:
        self._stage.close()

    def _state(self) -> State:
        """What the process follows: to ask the bus once more, at every step, would be dear on Kafka."""
        return self._control.state if self._reporter is None else self._reporter.state

    # --- rules that are edited ---------------------------------------------------------------------------------

    def _look(self) -> None:
        if self._rulebook is None:
            return
        if not self._begun:
            record_edit(self._bus, self._rulebook.found(), self._clock.now())
            self._begun = True
        if self._edit is None:
            self._edit = self._rulebook.look(self._clock.monotonic())
        if self._edit is not None:
            self._obey(self._edit, self._rulebook)
            self._edit = None

    def _obey(self, edit: Edit, rulebook: Rulebook) -> None:
        now = self._clock.now()
        self._metrics.rules_reloaded.set(0 if edit.rules is None else 1)
        if edit.rules is None:
            log.error("the rules as %s edited them are refused, the old ones stay in force: %s", edit.by, edit.problem)
            if self._bad_since is None:
                self._bad_since = now
                self._for_ops.append(self._ops.message("rules_bad", "rules", now, now))
            return
        if self._bad_since is not None:
            self._for_ops.append(self._ops.message("rules_bad", "rules", self._bad_since, now, over=True))
            self._bad_since = None
        if edit.news:
            record_edit(self._bus, edit, now)
            log.info("the rules as %s edited them are in force: %s (%s)", edit.by, edit.news, edit.digest)
            self._rules = rulebook.rules = edit.rules
            self._show_rules()
            self._stage.begin_again()

    def _show_rules(self) -> None:
        for rule in self._rules:
            self._metrics.add_rule(rule.name, rule.severity)
        for rule in on_findings(self._rules):
            self._metrics.rule_seconds.labels(rule.name)

    # --- one record --------------------------------------------------------------------------------------------

    def _handle(self, record: Record) -> Iterable[Message]:
        self._heard[record.partition] = from_ms(record.time_ms)
        if record.value is None:
            return []
        finding = FINDING.read(record.value)
        if finding is not None:
            return self._judge(finding, record)
        found = decode(FINDINGS, record.value)
        if isinstance(found, Finding):
            return self._judge(found, record)
        if isinstance(found, Answered):
            heeding = self._engines.get((record.partition, found.incident))
            if heeding is not None:
                heeding.answer(found, record.offset)
            return []
        messages = []
        for (partition, _), engine in self._engines.items():
            if partition == record.partition:
                messages += self._told(engine, engine.feed(found, record.offset))
                if engine.watermark is not None:
                    self._metrics.rules_watermark.set(engine.watermark.timestamp())
        self._metrics.rules_unheard.set(any(engine.unheard for engine in self._engines.values()))
        return messages

    def _judge(self, found: Finding, record: Record) -> list[Message]:
        if found.incident == CANARY:
            return self._judge_canary(found, record.offset)
        engine = self._engines.get((record.partition, found.incident)) or self._begin(record, found)
        return self._told(engine, engine.finding(found, record.offset))

    def _judge_canary(self, found: Finding, offset: int) -> list[Message]:
        """By an engine of its own, which is thrown away: no tick moves it on in calm, and it would keep all it met."""
        engine = Engine((self._canary,), CANARY_INCIDENT, on_failure=self._failed, clock=self._clock)
        return self._told(engine, engine.finding(found, offset))

    def _begin(self, record: Record, first: Finding) -> Engine:
        engine = self._engines[record.partition, first.incident] = self._engine(first.incident)
        # By the bus's own time: to begin again at this record is to know the same.
        known = list(answers_of(self._bus, until_ms=record.time_ms).get(first.incident, ()))
        if known:
            engine.knows(known, known[-1].decision + 1)
        for offset, tick in last_words(self._bus, record.tp, record.offset, first):
            engine.feed(tick, offset)
        # Its engine may have been dropped, and with it how many alarms there were: no later one may have such an id.
        for alert in self._numbered.get(first.incident, {}).values():
            engine.count_on(alert)
        return engine

    def _told(self, engine: Engine, verdicts: list[Verdict]) -> list[Message]:
        if engine.muted:
            return []
        alerts = [to_alert(verdict, engine.specs[verdict.rule], engine.incident) for verdict in verdicts]
        left = engine.take_left()
        again = {verdict.alert_id for verdict in verdicts if verdict.told_early}
        for alert in (*alerts, *left):
            self._number(alert)
            if not alert.synthetic:
                self._metrics.count_alert(alert, again=alert.settled is True and alert.id in again)
        return [message(ALERTS, alert) for alert in (*alerts, *left)]

    def _number(self, alert: Alert) -> None:
        """Keep the last alarm of each rule and key that is numbered: who scans `alerts` for it amid a transaction waits
        for the end of that."""
        its = self._numbered[alert.incident] if alert.nth is not None else self._numbered.get(alert.incident, {})
        place = alert.rule, alert.key
        if alert.nth is not None:
            its[place] = alert
        elif alert.reason == Reason.WITHDRAWN and place in its and its[place].id == alert.id:
            its[place] = its[place].model_copy(update={"settled": True})

    def _engine(self, incident: str) -> Engine:
        known = self._control.refresh().incidents.get(incident)
        info = IncidentInfo.of(incident, known)
        return Engine(
            on_findings(self._rules),
            info,
            allowed_lateness=self._lateness,
            partitions=self._mentions,
            on_failure=self._failed,
            clock=self._clock,
        )

    # --- going on after a restart ------------------------------------------------------------------------------

    def _metadata(self, tp: TopicPartition) -> str:
        states, kept, state = {}, kept_by(self._rules), self._state()
        for partition, incident in list(self._engines):
            if partition != tp.partition:
                continue
            known = state.incidents.get(incident)
            closed_at = known.closed_at if known is not None else None
            if closed_at is not None and self._heard[partition] - closed_at > KEEP_CLOSED:
                del self._engines[partition, incident]
            else:
                states[incident] = {**self._engines[partition, incident].watermarks(), KEPT: kept}
        text = json.dumps(states, separators=(",", ":"))
        if len(text) > METADATA_CHARS:
            log.error("the state of %d open incidents does not fit beside an offset; close some", len(states))
        while len(text) > METADATA_CHARS:
            # After a restart the newest incidents begin with what is read again; better than to stop judging all.
            states.popitem()
            text = json.dumps(states, separators=(",", ":"))
        return text

    def _assign(self, assignment: frozenset[TopicPartition]) -> None:
        """Make the engines of these partitions anew, and go back as far as they need."""
        self._engines.clear()
        answers = answers_of(self._bus)
        for tp in assignment:
            commit = self._stage.consumer.committed(tp)
            if commit is None or not commit.metadata:
                continue
            lowest = commit.offset
            for incident, committed in self._states(commit.metadata).items():
                engine = self._engine(incident)
                state = reach_back(self._bus, tp, committed, self._rules)
                engine.restore_watermarks(state, commit.offset, answers.get(incident, ()))
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
        """What was said of these incidents, and what ops were alerted to."""
        self._numbered.clear()
        said: dict[str, list[Alert]] = defaultdict(list)
        failing: dict[str, datetime] = {}
        bad: datetime | None = None
        wanted = {incident for _, incident in self._engines}
        for alert in scan(self._bus, ALERTS):
            self._part.beat()
            self._number(alert)
            if alert.incident in wanted:
                said[alert.incident].append(alert)
            elif alert.rule == FAILED:
                failing.pop(alert.key, None)
                if alert.event is Event.FIRED:
                    failing[alert.key] = alert.first_seen
            elif alert.rule == BAD:
                bad = alert.first_seen if alert.event is Event.FIRED else None
        now = self._clock.now()
        for rule, since in failing.items():
            self._failing.setdefault(rule, (since, now))
        if bad is not None and self._bad_since is None and self._rulebook is not None:
            # A process before us was given bad rules; those that we began with are good.
            self._for_ops.append(self._ops.message("rules_bad", "rules", bad, now, over=True))
        for (_, incident), engine in self._engines.items():
            for alert in said[incident]:
                engine.remember(alert)
                self._part.beat()

    # --- rules that raise, or are slow ---------------------------------------------------------------------------

    def _slow(self, worked: float) -> None:
        """Many judgements of a rule that were each a little slow: the stage takes fewer records at a time, and lags.

        `worked`: CPU seconds of the turn; what a rule took on a machine busy with other things says nothing of it.
        """
        spent: dict[str, float] = defaultdict(float)
        for engine in self._engines.values():
            for rule, seconds in engine.take_spent().items():
                spent[rule] += seconds
        for rule, seconds in spent.items():
            if seconds:
                self._metrics.rule_seconds.labels(rule).inc(seconds)
            if min(seconds, worked) > SLOW:
                self._failed(RuleFailed(rule, TIMEOUT))

    def _failed(self, failed: RuleFailed) -> None:
        self._metrics.rule_failures.labels(failed.rule).inc()
        now = self._clock.now()
        since, _ = self._failing.get(failed.rule, (now, now))
        if failed.rule not in self._failing:
            log.error("rule %s failed: %s; it is tried again", failed.rule, failed.error)
            self._for_ops.append(self._ops.message("rule_failed", failed.rule, since, now))
        self._failing[failed.rule] = since, now

    def _recovered(self) -> None:
        now = self._clock.now()
        for rule, (since, last) in list(self._failing.items()):
            if now - last > CALM_AFTER:
                del self._failing[rule]
                self._for_ops.append(self._ops.message("rule_failed", rule, since, now, over=True))
