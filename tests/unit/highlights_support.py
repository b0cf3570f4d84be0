"""Highlights on a bus of their own: people, a crisis, and the real worker, with an X that is a list."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from alerts.highlights.contract import Gate, NotSent, Unsure
from alerts.highlights.deciding import Deciding
from alerts.highlights.followed import FollowedHighlights
from alerts.highlights.plan import Schedule
from alerts.highlights.publishing import LEASE_SECONDS, Publishing
from alerts.highlights.state import HighlightState
from alerts.highlights.text import BY
from listener.bus import hashchain
from listener.bus.protocol import Bus, open_bus
from listener.bus.scan import scan
from listener.clock import ManualClock
from listener.model.decisions import DECISIONS, DecisionsRecord
from listener.model.highlights import Highlight, Why, Word
from listener.model.incidents import Action, Command, Mode
from listener.model.topics import topic_specs
from listener.runtime.control import Control
from listener.runtime.health import Health
from listener.runtime.metrics import Metrics
from listener.runtime.presence import PresenceReporter

START = datetime(2031, 3, 4, 9, 0, tzinfo=UTC)
ANY_TIME = Schedule(None, timedelta(minutes=1), timedelta(hours=2), UTC)
BY_DAY = Schedule((time(8), time(20)), timedelta(hours=1), timedelta(hours=2), UTC)


class Crash(BaseException):
    """The process died: nothing of it goes on."""


def proposal(id_: str, text: str = "", at: datetime = START, **more: Any) -> Highlight:
    link = f"https://granvik-sykehus.example/{id_}"
    given = {"feed": "f", "guid": link, "link": link, "title": f"Sak {id_}", "text": text or f"Sak {id_}\n{link}"}
    return Highlight(**{"id": id_, "at": at, "by": BY, "revision": 0, **given, **more})


def _nothing() -> None:
    pass


@dataclass
class ListedX:
    """What was published, in order. `meanwhile`: happens when the connection stands. `then`: of the next posts, each
    once: `ok`, `lost` (published, and nobody is told), `crash` (the same, and the process dies), `dies` (before it is
    published), or a reason why X does not take it."""

    is_calm: Callable[[], bool]
    posts: list[str] = field(default_factory=list)
    then: list[str | Why] = field(default_factory=list)
    meanwhile: Callable[[], None] = _nothing
    before_intent: Callable[[], None] = _nothing
    hides: bool = False
    wrong: list[str] = field(default_factory=list)
    """What must not be, as it was published; the worker takes whatever is raised there for a fault of its own."""
    published: Callable[[str], None] = lambda text: None

    def ready(self) -> None:
        act, self.before_intent = self.before_intent, _nothing
        act()

    def publish(self, text: str, gate: Gate) -> str:
        act, self.meanwhile = self.meanwhile, _nothing
        act()
        gate()
        then = self.then.pop(0) if self.then else "ok"
        if then == "dies":
            raise Crash
        if isinstance(then, Why):
            raise NotSent(then)
        if not self.is_calm():
            self.wrong.append(f"published in a crisis: {text}")
        self.published(text)
        self.posts.append(text)
        if then == "crash":
            raise Crash
        if then == "lost":
            raise Unsure
        return str(len(self.posts))

    def find(self, text: str, link: str, since: datetime, known: Collection[str]) -> str | None:
        if self.hides:
            return None
        return next((str(n) for n, post in enumerate(self.posts, 1) if post == text and str(n) not in known), None)


class Newsroom:
    """`turn` lets the worker turn, as a process that is started anew after it died."""

    def __init__(
        self, folder: Path, schedule: Schedule = ANY_TIME, start: datetime = START, bus: Bus | None = None
    ) -> None:
        """`bus`: another than one in the folder."""
        self.clock = ManualClock(start)
        self.bus = bus or open_bus("embedded:", folder, self.clock, durable=False)
        self.bus.ensure(topic_specs(1, {}) if bus is None else [])
        self.schedule = schedule
        self.metrics = Metrics(CollectorRegistry(), "0")
        self.control = Control(self.bus)
        self.followed = FollowedHighlights(self.bus)
        self.x = ListedX(lambda: self.control.refresh().mode is Mode.CALM)
        self._workers: dict[str, tuple[PresenceReporter, Publishing]] = {}

    def propose(self, *ids: str, **more: Any) -> None:
        hashchain.append_all(self.bus, DECISIONS.name, [proposal(each, at=self.clock.now(), **more) for each in ids])

    def deciding(self) -> Deciding:
        return Deciding(
            self.bus, self.followed.read, self.control.refresh, self.schedule, lambda words: [], self.clock.now()
        )

    def say(self, id_: str, word: Word, **more: Any) -> HighlightState:
        return self.deciding().say(id_, word, **{"by": "kari", **more})

    def switch(self, action: Action, name: str = "Brann", *, exercise: bool = False) -> None:
        Control(self.bus).append(
            Command(action=action, at=self.clock.now(), by="vakt", why="prøve", exercise=exercise,
                    name=name if action is Action.OPEN else "")
        )  # fmt: skip

    def crisis(self, name: str = "Brann", *, exercise: bool = False) -> None:
        self.switch(Action.OPEN, name, exercise=exercise)

    def calm(self) -> None:
        self.switch(Action.CLOSE)

    def worker(self, name: str = "a") -> tuple[PresenceReporter, Publishing]:
        if name not in self._workers:
            health = Health(self.clock)
            reporter = PresenceReporter(
                self.bus, name, ["highlights"], clock=self.clock, metrics=self.metrics, part=health.part("follow")
            )
            lease = self.bus.lease("publish", name, LEASE_SECONDS)
            made = Publishing(
                self.bus, self.x, self.schedule, process=name, reporter=reporter, lease=lease, clock=self.clock,
                metrics=self.metrics, part=health.part("publish"),
            )  # fmt: skip
            self._workers[name] = reporter, made
        return self._workers[name]

    def turn(self, times: int = 1, name: str = "a") -> None:
        for _ in range(times):
            reporter, publishing = self.worker(name)
            try:
                reporter.step(0.0)
                publishing.step(0.0)
            except Crash:
                del self._workers[name]

    def wait(self, seconds: float) -> None:
        self.clock.advance(timedelta(seconds=seconds))

    def state(self, id_: str) -> HighlightState:
        return self.followed.read().states[id_]

    def stages(self) -> dict[str, str]:
        return {id_: its.stage.value for id_, its in self.followed.read().states.items()}

    def records(self) -> Sequence[DecisionsRecord]:
        return list(scan(self.bus, DECISIONS))

    def alerts(self) -> list[tuple[str, str]]:
        from listener.model.records import ALERTS

        return [(alert.reason, alert.event.value) for alert in scan(self.bus, ALERTS)]

    def close(self) -> None:
        for _, publishing in self._workers.values():
            publishing.close()
        self.followed.close()
        self.bus.close()
