"""A clock that jumps back stops nothing, and changes no order."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from harness import Outcome, Recording, outcome_of, read_all

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
from listener.sources.recording.source import RecordingSource


class Jumping(SystemClock):
    """The wall clock, as far off as it was set."""

    off = timedelta()

    def now(self) -> datetime:
        return super().now() + self.off


HOUR = timedelta(hours=1)
QUIET_SECONDS = 2.0


def play(folder: Path, recording: Recording, jumps: Sequence[timedelta]) -> tuple[Bus, Outcome, list[str]]:
    clock = Jumping()
    folder.mkdir()
    bus = open_bus("embedded:", folder, clock, durable=False)
    settings, raw = Settings(), raw_settings()
    app = make_app(settings, folder, bus, clock, "all")
    source = RecordingSource(str(recording.path), None, clock)
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
    left = list(jumps)
    moved = clock.monotonic()
    # Long enough for each process to say once more that it is there, and for a busy machine to read the recording.
    while clock.monotonic() - moved < QUIET_SECONDS:
        busy = [worker.step(0.0) for worker, _ in [*turning, (keeping, part)]]
        if any(busy) or left:
            moved = clock.monotonic()
        if left:
            clock.off = left.pop(0)
    state = Control(bus).refresh()
    present = followers(Presences(bus, clock).refresh(), state.epoch)
    problems = [reason for _, reason in app.health.ready()[1].items() if reason]
    for worker, _ in turning:
        worker.close()
    return bus, outcome_of(lambda topic: read_all(bus, topic)), [*problems, *missing_roles(present)]


@pytest.mark.parametrize(
    "jumps", [[-HOUR], [HOUR, -HOUR], [HOUR, -24 * HOUR, timedelta(), -HOUR]], ids=["back", "forth and back", "about"]
)
def test_a_clock_that_jumps_stops_nothing_and_changes_no_order(
    tmp_path: Path, recording: Recording, jumps: list[timedelta]
) -> None:
    steady, expected, _ = play(tmp_path / "steady", recording, [])
    bus, found, problems = play(tmp_path / "jumping", recording, jumps)
    assert found == expected
    assert problems == []
    for topic in ("mentions", "findings", "alerts", "deliveries"):
        times = [record.time_ms for record in read_all(bus, topic)]
        assert times == sorted(times)
    alerts = [record for record in read_all(bus, "alerts") if b'"fired"' in (record.value or b"")]
    # Where the clock says that it is an hour old, a notice is no news.
    fired = {record.key for record in alerts if b'"notice"' not in (record.value or b"")}
    assert fired <= {record.key for record in read_all(bus, "deliveries")} <= {record.key for record in alerts}
    bus.close()
    steady.close()
