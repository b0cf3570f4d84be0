"""The canary through every worker of the pipeline, on a real bus, to a real receiver; the clock stands until moved."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from math import isnan
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from alerts.app import WorkerPart
from alerts.notify.canary import GRACE, RoundTrips
from alerts.notify.dispatcher import Dispatcher
from alerts.notify.state import Handling, read_book
from alerts.pipeline import flow
from alerts.register.view import Register
from alerts.wiring import make_alerts, make_app, make_listener
from listener.bus.protocol import Record, open_bus
from listener.bus.scan import scan_records
from listener.clock import ManualClock
from listener.model.canary import CANARY
from listener.model.incidents import Action, Command
from listener.model.records import FINDINGS, MENTIONS, Finding, Mention, decode
from listener.model.roles import ALERTS, LISTENER
from listener.runtime.control import Control
from listener.runtime.metrics import Metrics
from listener.settings.deadman import DeadManSettings
from listener.settings.files import packaged_config, raw_settings
from listener.settings.schema import CanarySettings, Settings
from tests.fakes.webhook import FakeWebhook, webhook_server
from tests.unit.telling_support import T0

EVERY = timedelta(minutes=10)
PEOPLE = """
people:
  kari: {name: Kari, contacts: [{channel: webhook, target: kari}]}
  test: {name: Test receiver, contacts: [{channel: webhook, target: test}]}
routes: {duty: [kari], crisis_team: [kari], ops: [kari], fallback: [kari]%s}
repeat_every: {critical: 5m, warning: 15m, info: 1h}
"""
RULE = "- {name: all, type: any, why: whatever is said, to: duty}\n"


class Pipeline:
    """All workers of one process, turned by hand."""

    def __init__(self, folder: Path, clock: ManualClock, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LYTTEPOST_CONFIG", str(folder / "config"))
        raw, self.clock = raw_settings(), clock
        (folder / "data").mkdir(exist_ok=True)
        self.bus = open_bus("embedded:", folder / "data", clock, durable=False)
        self.app = make_app(settings, folder / "data", self.bus, clock, "all")
        listener = make_listener(self.app, raw, [], b"k" * 32)
        alerts = make_alerts(raw, settings, None, tell=True)
        self.workers: Sequence[WorkerPart] = flow(self.app, (LISTENER, ALERTS), listener, alerts)
        self.dispatcher = next(worker for worker, _ in self.workers if isinstance(worker, Dispatcher))
        self.register = next(worker for worker, _ in self.workers if isinstance(worker, Register))

    def turn(self, turns: int = 15) -> None:
        """So often, and until what is being sent has come back."""
        for _ in range(turns):
            self._step()
        end = time.monotonic() + 8
        while self.dispatcher._senders.busy:
            self.dispatcher.step(0.01)
            assert time.monotonic() < end, "a send never came back"
        for _ in range(4):
            self._step()

    def _step(self) -> None:
        for worker, _ in self.workers:
            worker.step(0.0)

    def after(self, span: timedelta) -> None:
        self.clock.advance(span)
        self.turn()

    def records(self, topic: str) -> list[Record]:
        return [record for record in scan_records(self.bus, [topic]) if record.value is not None]

    def metric(self, name: str, **labels: str) -> float:
        value = self.app.metrics.registry.get_sample_value(f"lyttepost_{name}", labels)
        return 0.0 if value is None else value

    def close(self) -> None:
        for worker, _ in self.workers:
            worker.close()
        self.bus.close()


@pytest.fixture
def hook() -> Iterator[FakeWebhook]:
    with webhook_server() as receiver:
        yield receiver


@pytest.fixture
def start(tmp_path: Path, hook: FakeWebhook, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Starts a process on the same folder; `route`: the test receiver stands in people.yaml."""
    config = tmp_path / "config"
    shutil.copytree(packaged_config(), config)
    shutil.rmtree(config / "rules")
    (config / "rules").mkdir()
    (config / "rules" / "all.yaml").write_text(RULE, encoding="utf-8")
    monkeypatch.setenv("LYTTEPOST_CHANNELS__WEBHOOK__URL", hook.url)
    monkeypatch.setenv("LYTTEPOST_CHANNELS__WEBHOOK__TIMEOUT", "2")
    clock = ManualClock(T0)

    @contextmanager
    def process(*, route: bool = True, every: timedelta | None = EVERY, ping: str = "") -> Iterator[Pipeline]:
        (config / "people.yaml").write_text(PEOPLE % (", canary: [test]" if route else ""), encoding="utf-8")
        deadman = DeadManSettings(url=SecretStr(ping) if ping else None, every=EVERY)
        settings = Settings(canary=CanarySettings(every=every), deadman=deadman)
        running = Pipeline(tmp_path, clock, settings, monkeypatch)
        running.turn()
        try:
            yield running
        finally:
            running.close()

    yield process
    hook.stop.set()


Start = Callable[..., Any]


def got(hook: FakeWebhook) -> list[tuple[str, str]]:
    return [(str(call.json["to"]), str(call.json["rule"])) for call in hook.seen]


def test_in_calm_it_goes_all_the_way_to_the_test_receiver_and_counts_nowhere(start: Start, hook: FakeWebhook) -> None:
    with start() as running:
        assert isnan(running.metric("canary_round_trip_seconds"))
        running.after(EVERY)
        assert got(hook) == [("test", "lyttepost.canary")]
        assert hook.seen[0].json["synthetic"] is True
        assert running.metric("canary_last_arrived_timestamp_seconds") == (T0 + EVERY).timestamp()
        assert running.metric("canary_round_trip_seconds") == 0  # the clock stands
        (mention,) = [decode(MENTIONS, r.value or b"") for r in running.records("mentions")]
        (finding,) = [decode(FINDINGS, r.value or b"") for r in running.records("findings")]
        assert isinstance(mention, Mention)
        assert isinstance(finding, Finding)
        assert (mention.synthetic, finding.synthetic, finding.incident) == (True, True, CANARY)
        for topic in ("control", "volumes", "deadletters", "gaps"):
            assert running.records(topic) == []
        assert running.register.counts() == {}
        assert running.metric("crisis") == 0
        assert sum(running.metric("findings_total", kind=kind) for kind in ("question", "other", "viewpoint")) == 0
        assert running.metric("pipeline_delay_seconds_count") == 0
        assert running.metric("alerts_open", severity="info", exercise="false") == 0


def test_in_crisis_no_rule_of_a_person_counts_it_and_it_still_arrives(start: Start, hook: FakeWebhook) -> None:
    with start() as running:
        Control(running.bus).append(
            Command(action=Action.OPEN, at=T0, by="kari", why="p", name="Brann", add=("lyttepost canary",))
        )
        running.after(EVERY)
        assert sorted(got(hook)) == [("kari", "lyttepost.incident_opened"), ("test", "lyttepost.canary")]
        assert running.register.counts() == {}


def test_without_a_receiver_it_is_written_down_and_nobody_is_sent_anything(start: Start, hook: FakeWebhook) -> None:
    with start(route=False) as running:
        running.after(EVERY)
        assert hook.seen == []
        assert running.metric("canary_last_arrived_timestamp_seconds") == (T0 + EVERY).timestamp()
        assert len(running.records("deliveries")) == 3  # page, intent and outcome


def test_what_arrived_is_closed_so_that_nobody_is_asked_for_an_answer(start: Start, hook: FakeWebhook) -> None:
    with start() as running:
        for _ in range(3):
            running.after(EVERY)
        states = read_book(running.bus).all()
        assert [state.handling for state in states] == [Handling.CLOSED] * 3
        assert {state.handled and state.handled.by for state in states} == {"lyttepost"}
        assert got(hook) == [("test", "lyttepost.canary")] * 3


def test_a_receiver_that_is_down_calls_nobody_else_and_is_not_stormed(start: Start, hook: FakeWebhook) -> None:
    hook.always = "503"
    with start() as running:
        for _ in range(30):
            running.after(EVERY / 5)
        assert hook.seen == []
        assert len(read_book(running.bus).open()) == 1  # the newest; those before it are done with
        assert "no canary has arrived for" in (running.dispatcher.trips.late() or "")
        assert running.metric("canary_last_arrived_timestamp_seconds") == T0.timestamp()
        hook.always = None
        running.after(EVERY)
        assert set(got(hook)) == {("test", "lyttepost.canary")}
        assert running.dispatcher.trips.late() is None


def test_a_restart_neither_multiplies_canaries_nor_puts_them_off(start: Start, hook: FakeWebhook) -> None:
    with start() as running:
        running.after(EVERY)
    for _ in range(3):
        with start() as running:
            running.after(EVERY / 4)
            assert len(hook.seen) == 1
            # What arrived before the restart is known.
            assert running.metric("canary_last_arrived_timestamp_seconds") == (T0 + EVERY).timestamp()
    with start() as running:
        running.after(EVERY / 4)
        assert len(hook.seen) == 2


def test_after_a_long_downtime_one_is_posted_at_once(start: Start, hook: FakeWebhook) -> None:
    with start() as running:
        running.after(EVERY)
        running.clock.advance(100 * EVERY)
    with start() as running:
        running.turn()
        assert len(hook.seen) == 2
        assert running.dispatcher.trips.late() is None


def test_switched_off_none_is_posted_and_none_is_missed(start: Start, hook: FakeWebhook) -> None:
    with start(every=None) as running:
        running.after(100 * EVERY)
        assert running.records("mentions") == []
        assert running.metric("canary_interval_seconds") == 0
        assert running.dispatcher.trips.late() is None


def test_judging_keeps_nothing_of_canaries(start: Start) -> None:
    """In calm no tick comes: an engine that stayed would read the first canary again after each restart, for ever."""
    with start() as running:
        for _ in range(4):
            running.after(EVERY)
        (commit,) = running.bus.commits("judge").values()
        assert commit.metadata == "{}"


def test_it_is_late_after_two_intervals_and_some_minutes_also_when_none_ever_came() -> None:
    clock = ManualClock(T0)
    trips = RoundTrips(EVERY, clock=clock, metrics=Metrics(CollectorRegistry(), "0"))
    clock.advance(2 * EVERY + GRACE)
    assert trips.late() is None
    clock.advance(timedelta(seconds=1))
    assert trips.late() == "no canary has arrived for 1321 s"


def test_the_outside_service_is_pinged_only_while_canaries_arrive_and_all_parts_are_ready(
    start: Start, hook: FakeWebhook
) -> None:
    with webhook_server() as service, start(ping=service.url) as running:
        running.after(EVERY)
        running.after(EVERY)
        before = len(service.seen)
        assert before >= 2
        hook.always = "503"
        for _ in range(4):
            running.after(EVERY)
        while_late = len(service.seen)
        for _ in range(4):
            running.after(EVERY)
        assert len(service.seen) == while_late
        assert running.metric("deadman_pings_total", outcome="withheld") >= 4
        hook.always = None
        running.after(EVERY)
        running.after(EVERY)
        assert len(service.seen) > while_late
        pinged = len(service.seen)
        sick = running.app.health.part("sick", turns_within=None)
        sick.problem("cannot do its job")
        running.after(EVERY)
        assert len(service.seen) == pinged
        sick.leave()
        running.after(EVERY)
        assert len(service.seen) > pinged


def test_where_no_service_is_set_up_nothing_is_pinged_or_counted(start: Start) -> None:
    with start() as running:
        running.after(EVERY)
        assert "deadman" not in [worker.name for worker, _ in running.workers]
        assert running.metric("deadman_pings_total", outcome="sent") == 0
