"""A clock that jumps back stops nothing, and changes no order."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from harness import Outcome, Recording, outcome_of, own_configuration, read_all

from alerts.app import ListenerParts
from alerts.pipeline import flow
from alerts.wiring import make_alerts, make_app, make_listener
from listener.bus.protocol import Bus, open_bus
from listener.clock import SystemClock
from listener.model.incidents import Action, Command
from listener.model.roles import ALERTS, LISTENER
from listener.runtime.control import Control, Presences, followers, missing_roles
from listener.runtime.housekeeping import Housekeeping
from listener.settings.files import raw_settings
from listener.settings.schema import Settings
from listener.sources.common.recorded_source import RecordedSource
from listener.sources.recording.parser import posts_in


class Jumping(SystemClock):
    """The wall clock, as far off as it was set."""

    off = timedelta()

    def now(self) -> datetime:
        return super().now() + self.off


HOUR = timedelta(hours=1)
SAID_AGAIN = 2.0
"""Seconds after a jump in which each process says once more that it is there."""
PATIENCE = 120.0


def left_to_do(bus: Bus) -> str:
    """What of the recording is not yet played, judged and sent; empty where all is."""
    ticks = [json.loads(r.value or b"") for r in read_all(bus, "mentions") if r.key == "recording:tick"]
    if not ticks or not ticks[-1].get("final", False):
        return "the recording is not at its end"
    if any({**bus.lag("annotate"), **bus.lag("judge")}.values()):
        return "not all is judged"
    # That an incident was opened is no news an hour later: a notice may be too old, where the clock jumps.
    alerts = [json.loads(record.value or b"") for record in read_all(bus, "alerts")]
    fired = {alert["id"] for alert in alerts if alert["event"] == "fired" and alert["rule_type"] != "notice"}
    return "not all is sent" if {record.key for record in read_all(bus, "deliveries")} < fired else ""


def play(folder: Path, recording: Recording, jumps: Sequence[timedelta]) -> tuple[Bus, Outcome]:
    """Until all is done and every worker and process is well. Fails by saying who is not, or what is left."""
    clock = Jumping()
    folder.mkdir()
    bus = open_bus("embedded:", folder, clock, durable=False)
    own_configuration(folder / "config")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LYTTEPOST_CONFIG", str(folder / "config"))
        settings, raw = Settings(), raw_settings()
    app = make_app(settings, folder, bus, clock, "all")
    source = RecordedSource("recording", posts_in, str(recording.path), None, clock)
    made = make_listener(app, raw, [source], b"k" * 32)
    turning = flow(
        app,
        (LISTENER, ALERTS),
        ListenerParts([source], made.screen, made.standing),
        make_alerts(raw, settings, None, tell=True),
    )
    part = app.health.part("keeping")
    keeping = Housekeeping(bus, app.specs, ("judge",), clock=clock, metrics=app.metrics, part=part, folder=folder)
    Control(bus).append(
        Command(action=Action.OPEN, at=clock.now(), by="p", why="p", name="Øvelse", add=("granvik",), exercise=True)
    )

    def problems() -> list[str]:
        state = Control(bus).refresh()
        present = followers(Presences(bus, clock).refresh(), state.epoch)
        return [*(reason for reason in app.health.ready()[1].values() if reason), *missing_roles(present)]

    left, jumped = list(jumps), clock.monotonic()
    deadline = jumped + PATIENCE
    while True:
        busy = [worker.step(0.0) for worker, _ in [*turning, (keeping, part)]]
        if left:
            clock.off, jumped = left.pop(0), clock.monotonic()
        elif not any(busy):
            wrong = "a process has still to say that it is there"
            if clock.monotonic() - jumped >= SAID_AGAIN:
                wrong = left_to_do(bus) or ", ".join(problems())
            if not wrong:
                break
            assert clock.monotonic() < deadline, wrong
            time.sleep(0.02)
    for worker, _ in turning:
        worker.close()
    return bus, outcome_of(lambda topic: read_all(bus, topic))


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory, recording: Recording) -> Outcome:
    bus, outcome = play(tmp_path_factory.mktemp("steady") / "bus", recording, [])
    bus.close()
    return outcome


@pytest.mark.parametrize(
    "jumps", [[-HOUR], [HOUR, -HOUR], [HOUR, -24 * HOUR, timedelta(), -HOUR]], ids=["back", "forth and back", "about"]
)
def test_a_clock_that_jumps_stops_nothing_and_changes_no_order(
    tmp_path: Path, recording: Recording, steady: Outcome, jumps: list[timedelta]
) -> None:
    bus, found = play(tmp_path / "jumping", recording, jumps)
    assert found == steady
    for topic in ("mentions", "findings", "alerts", "deliveries"):
        times = [record.time_ms for record in read_all(bus, topic)]
        assert times == sorted(times)
    alerts = [record for record in read_all(bus, "alerts") if b'"fired"' in (record.value or b"")]
    # Where the clock says that it is an hour old, a notice is no news.
    fired = {record.key for record in alerts if b'"notice"' not in (record.value or b"")}
    assert fired <= {record.key for record in read_all(bus, "deliveries")} <= {record.key for record in alerts}
    bus.close()
