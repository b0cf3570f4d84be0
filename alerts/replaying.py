"""Playing a recording through the real flow, on a bus of its own that is thrown away, with the recording's own time.

The workers are those of `run`. Only two things differ: one thread turns them in order, with a clock that stands where
the recording stands; and nobody is told: each alert is handed to the caller with the card that an officer would get.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from pathlib import Path
from typing import Any

from alerts import card
from alerts.alert import AlertBook
from alerts.flow import ALERTS, LISTENER, Ears, House, Wits, flow
from alerts.register import Register
from alerts.wiring import make_ears, make_house, make_wits, passing_key
from listener.bus import Bus, Record, open_bus
from listener.capture import Listen
from listener.clock import Clock, ManualClock
from listener.config import RawSettings
from listener.control import Control
from listener.mode import Action, Command, Incident
from listener.records import ALERTS as ALERT_RECORDS
from listener.records import Alert, AuthorClass, Event, decode
from listener.settings import Settings
from listener.sources import Batch, Source
from listener.sources.recording import RecordingSource
from listener.units import format_instant

BEFORE = datetime(2000, 1, 1, tzinfo=UTC)
"""Where the clock stands until the first post tells the time."""
PACE_SECONDS = 0.1


@dataclass(frozen=True)
class Told:
    """One thing an officer would have been told."""

    alert: Alert
    card: card.Card
    texts: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        a = self.alert
        return {
            "at": format_instant(a.at),
            "event": a.event,
            "rule": a.rule,
            "severity": a.severity,
            "key": a.key,
            "count": a.count,
            "baseline": a.baseline,
            "reason": a.reason,
            "alert_id": a.id,
            "fired_at": format_instant(a.at),
            "first_seen": format_instant(a.first_seen),
            "authors": a.authors,
            "posts": a.posts,
            "reposts": a.reposts,
            "kinds": {str(kind): count for kind, count in a.kinds.items()},
            "incident": a.incident,
            "exercise": a.exercise,
            "headline": self.card.subject,
            "samples": [{"id": s.key, "text": self.texts.get(s.key)} for s in a.samples],
        }


@dataclass
class Summary:
    """What became of everything that was read."""

    read: int = 0
    posts: int = 0
    matched: int = 0
    mentions: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    bad: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    alerts: Counter[str] = field(default_factory=Counter)
    suppressed: Counter[str] = field(default_factory=Counter)
    authors_known: bool = True
    first_alert: datetime | None = None


@dataclass
class Replay:
    """One recording, ready to be played."""

    house: House
    incident: Incident
    source: Source
    clock: ManualClock
    wits: Wits
    workers: list[Any]
    listen: Listen
    register: Register
    paced: bool

    def play(self, tell: Callable[[Told], None], turned: Callable[[], None] = lambda: None) -> Summary:
        """To the end of the recording; `tell` gets what is fired or resolved, `turned` is called often."""
        summary = Summary()
        book, reader = AlertBook(), self.house.bus.reader(["alerts"])
        waiting: list[tuple[datetime, int, Alert, Record]] = []
        while True:
            busy = False
            for worker in self.workers:
                waits = self.paced and worker is self.listen and not self.listen.ended
                busy |= worker.step(PACE_SECONDS if waits else 0.0)
            for record in reader.poll(0.0, 5000):
                alert = decode(ALERT_RECORDS, record.value or b"")
                heappush(waiting, (alert.at, record.offset, alert, record))
                busy = True
            # What fires on arrival waits for the windows of the same time, so that all is told as it happened.
            done = self.listen.ended and not busy
            heard = self.clock.now() - self.house.settings.rules.allowed_lateness
            while waiting and (done or waiting[0][0] <= heard):
                _, _, alert, record = heappop(waiting)
                self._tell(alert, record, book, tell, summary)
            turned()
            if done:
                break
        self._sum_up(summary)
        return summary

    def close(self) -> None:
        for worker in self.workers:
            worker.close()
        self.house.bus.close()

    def _tell(
        self, alert: Alert, record: Record, book: AlertBook, tell: Callable[[Told], None], summary: Summary
    ) -> None:
        if alert.event is Event.SUPPRESSED:
            summary.suppressed[f"{alert.rule}: {alert.reason}"] += 1
            return
        book.apply(record)
        state = book.get(alert.id)
        if state is None:
            return
        if alert.event is Event.FIRED:
            summary.alerts[alert.rule] += 1
            summary.first_alert = min(summary.first_alert or alert.at, alert.at)
        texts = self.register.texts
        made = card.build(state, self.wits.people, self.wits.messages, now=self.clock.now(), in_house=True, texts=texts)
        tell(Told(alert, made, dict(texts([sample.key for sample in alert.samples]))))

    def _sum_up(self, summary: Summary) -> None:
        counts = self.source.counts
        metrics = self.house.metrics
        summary.read, summary.posts = counts.read, counts.posts
        summary.bad = Counter({str(reason): count for reason, count in counts.bad.items()})
        summary.dropped = _by_label(metrics.posts_dropped, "reason")
        summary.matched = sum(_by_label(metrics.posts_matched, "source").values())
        summary.mentions = sum(_by_label(metrics.mentions, "origin").values())
        summary.kinds = Counter(self.register.counts())
        summary.authors_known = self.register.authors_known()


def _by_label(metric: Any, label: str) -> Counter[str]:
    out: Counter[str] = Counter()
    for family in metric.collect():
        for sample in family.samples:
            if sample.name.endswith("_total") and sample.value:
                out[sample.labels[label]] += int(sample.value)
    return out


@contextmanager
def replaying(
    raw: RawSettings,
    settings: Settings,
    path: str,
    *,
    name: str,
    tracks: Sequence[str],
    speed: float | None,
    pace: Clock,
    rules: Path | None = None,
    named: Mapping[str, AuthorClass] | None = None,
) -> Iterator[Replay]:
    """A recording under an incident in a bus of its own. `pace` is the wall's clock.

    `speed` None is as fast as it goes; `named` are accounts that keep their name, beside those of the settings.
    """
    with tempfile.TemporaryDirectory(prefix="lyttepost-") as folder:
        clock = ManualClock(BEFORE)
        bus = open_bus("embedded:", Path(folder), clock, durable=False)
        house = make_house(settings, Path(folder), bus, clock, "replay")
        source = RecordingSource(path, speed, pace)
        ears = make_ears(house, raw, [source], passing_key(), named or {})
        wits = make_wits(raw, settings, rules, tell=False)
        incident = open_incident(bus, name, tracks, clock)
        before = Ears(ears.sources, ears.screen, ears.standing, lambda batch: _follow(clock, batch))
        workers = [worker for worker, _ in flow(house, (LISTENER, ALERTS), before, wits)]
        replay = Replay(
            house=house,
            incident=incident,
            source=source,
            clock=clock,
            wits=wits,
            workers=workers,
            listen=next(w for w in workers if isinstance(w, Listen)),
            register=next(w for w in workers if isinstance(w, Register)),
            paced=speed is not None,
        )
        try:
            yield replay
        finally:
            replay.close()


def _follow(clock: ManualClock, batch: Batch) -> None:
    if batch.until is not None:
        clock.advance_to(batch.until)


def open_incident(bus: Bus, name: str, tracks: Sequence[str], clock: Clock) -> Incident:
    """An exercise: what is played is not of today."""
    control = Control(bus)
    command = Command(
        action=Action.OPEN,
        at=clock.now(),
        by="replay",
        why="a recording is played",
        name=name,
        add=tuple(tracks),
        review_after=timedelta(hours=4).total_seconds(),
        exercise=True,
    )
    transition = control.append(command)
    return control.state.incidents[transition.incidents[0]]
