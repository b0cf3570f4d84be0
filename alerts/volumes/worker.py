"""The stage that judges counts: `volumes` in, `alerts` out. Is a track loud for its hour?

In calm it asks whether that is a crisis: its alert names the command that opens an incident, and a person decides. In
crisis it guards each track of each open incident. Nobody's words are read here, only counts, and a minute of which
nothing is known is unknown, never silent. What search finds of a gap afterwards comes too late to be judged here; the
rules that read findings judge it.

After a restart the detectors learn `volumes` anew, as far back as they remember, in silence up to the commit, and
`alerts` says what was sent; so what fires next is what would have fired without the restart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta, tzinfo

from alerts.judge.reload import Rulebook
from alerts.rules.conditions.burst_detector import Tuning
from alerts.rules.conditions.series import MINUTE, Judged, Series
from alerts.rules.judge import IncidentInfo
from alerts.rules.spec import RuleSpec
from alerts.rules.types.burst import BurstSpec, FiredBursts
from alerts.volumes.alert import CALM, alert_of
from alerts.volumes.track_metrics import TrackMetrics
from listener.bus.messages import message
from listener.bus.protocol import Bus, Message, Record, TopicPartition
from listener.bus.scan import scan
from listener.clock import Clock
from listener.ingest.gaps import ledger
from listener.model import keys, roles
from listener.model.incidents import Incident, Mode, State
from listener.model.records import ALERTS, VOLUMES, Alert, Event, Heard, Volume, decode
from listener.runtime.control import Control
from listener.runtime.health import Part
from listener.runtime.metrics import Metrics
from listener.runtime.presence import PresenceReporter
from listener.runtime.stage import Stage
from listener.settings.zone import DEFAULT_ZONE, find_zone
from listener.units import from_ms

REMEMBERED = 3 * Tuning.memory
"""So far back is `volumes` read at start. What is older counts for less than an eighth in the slowest average."""
NEWS = timedelta(hours=3)
"""A burst that is older when we hear of it, as when a track's past is asked for, wakes nobody."""
SAME = timedelta(minutes=10)
"""What begins so soon after an incident was opened is what was proposed, if anything was."""

Key = tuple[TopicPartition, str, str]
"""Where, source, track."""
Tracks = Mapping[str, tuple[str, ...]]
"""Open incidents, and what is listened for in each."""
Loud = tuple[str, str, Judged, Tracks]
"""Source, track, what is said of a minute, and the incidents that were listened to."""


class Calm:
    """The worker. Its group is `calm`. `standing`: the tracks whose total is counted, to name them by."""

    name = roles.CALM

    def __init__(
        self,
        bus: Bus,
        rules: Sequence[RuleSpec],
        *,
        clock: Clock,
        metrics: Metrics,
        part: Part,
        reporter: PresenceReporter | None = None,
        rulebook: Rulebook | None = None,
        standing: Sequence[str] = (),
        member: str = "",
        zone: tzinfo | None = None,
    ) -> None:
        self._bus = bus
        self._rulebook = rulebook
        self._standing = tuple(standing)
        self._zone = zone or find_zone(DEFAULT_ZONE)
        self._clock = clock
        self._metrics = metrics
        self._part = part
        self._reporter = reporter
        self._control = Control(bus)
        self._state: State = self._control.refresh()
        self._crises: tuple[Incident, ...] = ()
        self._series: dict[Key, Series] = {}
        self._listening: dict[str, Tracks] = {}
        self._committed: dict[TopicPartition, int] = {}
        self._shown = TrackMetrics(metrics)
        self._fired = FiredBursts()
        self._proposed: dict[str, datetime] = {}
        self._read_rules(rules)
        if reporter is not None:
            reporter.joins(self.name)
        self._refresh()
        self._stage = Stage(
            self.name, bus, "volumes", self._handle, clock=clock, metrics=metrics, part=part, on_assign=self._assign,
            member=member,
        )  # fmt: skip

    def step(self, timeout: float) -> bool:
        self._refresh()
        if self._reporter is not None:
            self._reporter.applied(self.name, self._state.epoch)
        if self._rulebook is not None and self._rulebook.rules is not self._book:
            known = set(self._tunings)
            if self._read_rules(self._rulebook.rules) != known:
                self._stage.begin_again()
        moved = self._stage.step(timeout)
        series = ((source, track, its) for (_, source, track), its in self._series.items())
        self._shown.show(series, self._clock.monotonic())
        return moved

    def close(self) -> None:
        self._stage.close()

    def _refresh(self) -> None:
        # What the process follows: to ask the bus once more, at every step, would be dear on Kafka.
        self._state = self._control.refresh() if self._reporter is None else self._reporter.state
        self._crises = tuple(i for i in self._state.incidents.values() if not i.synthetic)

    def _read_rules(self, rules: Sequence[RuleSpec]) -> set[Tuning]:
        """These are in force. Rules that are tuned alike share their detectors."""
        self._book = rules
        self._rules = [rule for rule in rules if isinstance(rule, BurstSpec)]
        self._tunings = tuple(dict.fromkeys(rule.tuning for rule in self._rules))
        for rule in self._rules:
            self._metrics.add_rule(rule.name, rule.severity)
        return set(self._tunings)

    # --- one record --------------------------------------------------------------------------------------------

    def _handle(self, record: Record) -> Iterable[Message]:
        if record.value is None or not self._rules:
            return []
        found = decode(VOLUMES, record.value)
        alerts = self._heard(found, record) if isinstance(found, Heard) else self._counted(found, record)
        muted = record.offset < self._committed.get(record.tp, 0)
        return [alert for loud in list(alerts) if not muted for alert in self._emit(*loud)]

    def _counted(self, volume: Volume, record: Record) -> Iterator[Loud]:
        crisis = self._in_crisis(volume.minute)
        series = self._series_of(record, volume.source, volume.track)
        for judged in series.count(volume.minute, volume.count, from_ms(record.time_ms), crisis=crisis):
            yield volume.source, volume.track, judged, self._listening.get(volume.source, {}) if crisis else {}

    def _heard(self, heard: Heard, record: Record) -> Iterator[Loud]:
        tracks = dict.fromkeys(track for its in heard.incidents.values() for track in its)
        crises = {id_: its for id_, its in heard.incidents.items() if self._is_crisis(id_)}
        self._listening[heard.source] = crises
        for track in tracks:
            series = self._series_of(record, heard.source, track)
            for judged in series.heard(heard.start, heard.end, crisis=bool(crises)):
                yield heard.source, track, judged, crises

    def _series_of(self, record: Record, source: str, track: str) -> Series:
        key = record.tp, source, track
        return self._series.get(key) or self._series.setdefault(key, Series(self._tunings, self._zone))

    def _is_crisis(self, incident: str) -> bool:
        known = self._state.incidents.get(incident)
        return bool(incident) and (known is None or not known.synthetic)

    def _in_crisis(self, minute: datetime) -> bool:
        return any(
            i.opened_at < minute + MINUTE and (i.closed_at is None or minute <= i.closed_at) for i in self._crises
        )

    # --- alerting ----------------------------------------------------------------------------------------------

    def _emit(self, source: str, track: str, judged: Judged, crises: Tracks) -> Iterator[Message]:
        if not judged.last_hour or self._clock.now() - judged.minute > NEWS:
            return
        incidents = [
            IncidentInfo.of(id_, self._state.incidents.get(id_)) for id_, its in crises.items() if track in its
        ]
        calm = not crises and not self._in_crisis(judged.minute)
        for rule in self._rules:
            if not judged.readings[rule.tuning].alarm:
                continue
            if calm and Mode.CALM in rule.modes:
                yield self._alert(rule, source, track, judged, CALM)
            elif Mode.CRISIS in rule.modes:
                for incident in incidents:
                    yield self._alert(rule, source, track, judged, incident)

    def _alert(self, rule: BurstSpec, source: str, track: str, judged: Judged, incident: IncidentInfo) -> Message:
        key = keys.of_source(source, track)
        held = self._fired.holds(rule, incident.id, key, judged.minute)
        held = held or (incident is not CALM and self._was_proposed(rule, source, judged, incident))
        if not held:
            self._fired.add(rule.name, incident.id, key, judged.minute)
            if incident is CALM:
                self._proposed[source] = judged.minute
        alert = alert_of(
            rule, source, track, judged, incident=incident, standing=self._standing, held=held, gaps=ledger(self._bus)
        )
        self._metrics.count_alert(alert)
        return message(ALERTS, alert)

    def _was_proposed(self, rule: BurstSpec, source: str, judged: Judged, incident: IncidentInfo) -> bool:
        """It is the burst for which the incident was opened, as we asked, now heard track by track."""
        proposed, known = self._proposed.get(source), self._state.incidents.get(incident.id)
        since = judged.readings[rule.tuning].since or judged.minute
        if proposed is None or known is None:
            return False
        return timedelta() <= judged.minute - proposed < rule.realert and since <= known.opened_at + SAME

    # --- going on after a restart ------------------------------------------------------------------------------

    def _assign(self, assignment: frozenset[TopicPartition]) -> None:
        self._refresh()
        for memory in (self._series, self._listening, self._committed, self._fired, self._proposed):
            memory.clear()
        since = self._clock.now() - REMEMBERED
        for tp in assignment:
            commit = self._stage.consumer.committed(tp)
            if commit is not None:
                self._committed[tp] = commit.offset
            self._stage.consumer.seek(tp, max(self._bus.offset_at(tp, since), self._bus.begin_offset(tp)))
        for alert in scan(self._bus, ALERTS, beat=self._part.beat):
            self._remember(alert)

    def _remember(self, alert: Alert) -> None:
        if alert.rule_type != "burst" or alert.event is not Event.FIRED:
            return
        source = keys.source_of(alert.key)
        self._fired.add(alert.rule, alert.incident, alert.key, alert.at)
        if alert.incident == CALM.id:
            self._proposed[source] = max(alert.at, self._proposed.get(source, alert.at))
