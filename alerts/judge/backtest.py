"""What rules would have said of the findings that lie on the bus. Read only: nothing is sent and nothing is written.

Each incident has an engine of its own, as live, and loses it some minutes after it was closed. Of content that
retention or a purge has removed nothing is known; what is left is judged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo

from alerts.judge.worker import KEEP_CLOSED
from alerts.rules.engine.engine import Engine, RuleFailed
from alerts.rules.engine.watermark import Watermark
from alerts.rules.judge import IncidentInfo
from alerts.rules.spec import RuleSpec
from alerts.rules.types.burst import on_findings
from alerts.rules.verdict import Verdict
from listener.bus.protocol import Bus, partition_of
from listener.bus.scan import scan_placed
from listener.clock import Clock
from listener.model.answers import Answered
from listener.model.incidents import Incident
from listener.model.records import FINDINGS, Event, Finding, Gap, Tick
from listener.runtime.control import Control
from listener.units import from_ms

EVENING, MORNING = 22, 7
"""Hours of the wall clock between which it is night."""


@dataclass
class RuleTally:
    """What one rule said. Nights are those of `zone`."""

    zone: tzinfo
    fired: int = 0
    resolved: int = 0
    held: Counter[str] = field(default_factory=Counter)
    """Reason → how often."""
    nights: Counter[date] = field(default_factory=Counter)
    """Night, named by the day it began → how often it fired."""

    def take(self, verdict: Verdict) -> None:
        if verdict.event is Event.SUPPRESSED:
            self.held[verdict.reason.value] += 1
        elif verdict.event is Event.RESOLVED:
            self.resolved += 1
        else:
            self.fired += 1
            if (night := night_of(verdict.at, self.zone)) is not None:
                self.nights[night] += 1


@dataclass
class Backtest:
    rules: dict[str, RuleTally]
    findings: int = 0
    incidents: list[str] = field(default_factory=list)
    oldest: datetime | None = None
    nights: set[date] = field(default_factory=set)
    """Those in which an incident was listened to."""

    def per_night(self, rule: str) -> tuple[int, float]:
        """The most that fired in one night, and the mean over the nights."""
        fired = self.rules[rule].nights
        return max(fired.values(), default=0), fired.total() / len(self.nights) if self.nights else 0.0


def night_of(at: datetime, zone: tzinfo) -> date | None:
    """The day on which the night of this instant began; None by day."""
    local = at.astimezone(zone)
    if local.hour >= EVENING:
        return local.date()
    return local.date() - timedelta(days=1) if local.hour < MORNING else None


def backtest(
    bus: Bus,
    rules: Iterable[RuleSpec],
    since: datetime,
    *,
    allowed_lateness: timedelta,
    on_failure: Callable[[RuleFailed], None],
    clock: Clock,
    zone: tzinfo,
) -> Backtest:
    """`since` is capture time: what was taken in before it is not judged."""
    specs = tuple(rules)
    out = Backtest({spec.name: RuleTally(zone) for spec in specs})
    incidents = Control(bus).refresh().incidents
    engines: dict[tuple[int, str], Engine] = {}
    for partition, offset, heard, record in _findings(bus, since):
        if isinstance(record, Finding):
            known = incidents.get(record.incident)
            if record.synthetic or (known is not None and known.synthetic) or _is_over(known, heard):
                continue
            out.findings += 1
            out.oldest = out.oldest or heard
            if record.incident not in out.incidents:
                out.incidents.append(record.incident)
            if (partition, record.incident) not in engines:
                info = IncidentInfo(record.incident, known.name if known else record.incident, record.exercise)
                engines[partition, record.incident] = Engine(
                    on_findings(specs), info, allowed_lateness=allowed_lateness, partitions=bus.partitions("mentions"),
                    on_failure=on_failure, clock=clock,
                )  # fmt: skip
            heeding = [(record.incident, engines[partition, record.incident])]
        elif isinstance(record, Answered):
            place = (partition, record.incident)
            heeding = [(record.incident, engines[place])] if place in engines else []
        else:
            heeding = [(incident, engine) for (where, incident), engine in engines.items() if where == partition]
        for incident, engine in heeding:
            if _is_over(incidents.get(incident), heard):
                del engines[partition, incident]
                continue
            for verdict in engine.feed(record, offset):
                if verdict.passing:
                    continue  # it is counted when it is settled
                out.rules[verdict.rule].take(verdict)
            if engine.watermark is not None and (night := night_of(engine.watermark, zone)) is not None:
                out.nights.add(night)
    return out


_OfFindings = Finding | Tick | Gap | Answered


def exported(bus: Bus, incident: str) -> Iterator[Finding | Tick | Gap | Answered]:
    """What the engine of an incident was fed, for another place: its findings, what people answered, and the ticks of
    all its sources as one, named `*`."""
    wanted = partition_of(incident, bus.partitions("findings"))
    known = Control(bus).refresh().incidents.get(incident)
    watermark, until = Watermark(timedelta(), bus.partitions("mentions")), None
    gaps: dict[str, Gap] = {}
    begun = False
    for partition, _, heard, record in _findings(bus, 0):
        if partition != wanted or _is_over(known, heard):
            continue
        if isinstance(record, Finding):
            if record.incident == incident:
                begun = True
                yield record
        elif isinstance(record, Answered):
            if record.incident == incident:
                yield record
        elif not begun:
            continue  # an engine begins with its first finding
        elif isinstance(record, Gap):
            bare = record.model_copy(update={"partition": None})
            watermark.gap(record)
            if gaps.get(record.id) != bare:
                gaps[record.id] = bare
                yield bare
        else:
            watermark.tick(record)
        if watermark.value is not None and watermark.value != until:
            until = watermark.value
            yield Tick(source="*", until=until)


def _findings(bus: Bus, since: datetime | int) -> Iterator[tuple[int, int, datetime, _OfFindings]]:
    """Partition, offset, when it was taken in, and what it is; removed and unreadable records are left out."""
    for record, found in scan_placed(bus, FINDINGS, since=since):
        yield record.partition, record.offset, from_ms(record.time_ms), found


def _is_over(incident: Incident | None, heard: datetime) -> bool:
    """It was closed so long ago that its engine is gone."""
    return incident is not None and incident.closed_at is not None and heard - incident.closed_at > KEEP_CLOSED
