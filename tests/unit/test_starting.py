"""The start while the bus is away: waited for, and told; what a person must fix is raised at once."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from listener.bus.protocol import open_bus
from listener.clock import ManualClock, SystemClock
from listener.errors import BusError, ConfigError
from listener.model.incidents import Presence, decode_presence
from listener.model.topics import TOPICS
from listener.runtime.health import Health
from listener.runtime.starting import NOT_YET, SAY_SECONDS, announced, when_bus_is_there

START = datetime(2031, 1, 11, 19, 0, tzinfo=UTC)


def test_the_bus_is_waited_for_alive_and_not_ready_and_what_for_is_said() -> None:
    clock = ManualClock(START)
    health = Health(clock)
    seen: list[tuple[bool, bool, str | None]] = []
    told: list[str] = []

    def make() -> str:
        alive, (ready, reasons) = health.alive()[0], health.ready()
        seen.append((alive, ready, reasons["start"]))
        health.part("half made")
        if len(seen) < 60:
            raise BusError("kafka granvik:9092: cannot connect")
        return "made"

    assert when_bus_is_there(make, health, clock, lambda: told.append("waits")) == "made"
    assert seen[0] == (True, False, "starting")
    assert set(seen[1:]) == {(True, False, "waits for the bus: kafka granvik:9092: cannot connect")}
    assert told == ["waits"]
    assert list(health.ready()[1]) == ["half made"], "the parts of the last try, and those alone"
    assert clock.now() > START


def test_a_start_that_takes_long_is_no_reason_to_be_restarted() -> None:
    clock = ManualClock(START)
    health = Health(clock)

    def make() -> str:
        health.part("judge")
        clock.advance(timedelta(minutes=5))
        assert health.alive() == (True, {"start": None})
        return "made"

    when_bus_is_there(make, health, clock)
    assert health.alive()[0]
    clock.advance(timedelta(minutes=5))
    assert health.alive() == (False, {"judge": "its loop has not turned for 300 s"})


def test_what_a_person_must_fix_is_not_waited_for() -> None:
    def make() -> None:
        raise ConfigError("bus.kafka.sasl: the password is wrong")

    health = Health(ManualClock(START))
    with pytest.raises(ConfigError, match="password"):
        when_bus_is_there(make, health, health.clock)
    assert "start" not in health.ready()[1]


def test_who_is_coming_says_so_again_and_again_and_has_followed_nothing(tmp_path: Path) -> None:
    bus = open_bus("embedded:", tmp_path, SystemClock())
    bus.ensure([TOPICS["presence"]])
    reader = bus.reader(["presence"])

    def said(seconds: float) -> list[Presence]:
        return [decode_presence(record.value or b"") for record in reader.poll(seconds)]

    with announced(bus, "all@granvik", ("listener", "judge"), SystemClock()):
        (first,) = said(0.0)
        assert (first.process, first.epoch, first.roles) == ("all@granvik", NOT_YET, ("listener", "judge"))
        assert said(10 * SAY_SECONDS), "a slow start goes on saying that it is there"
    with pytest.raises(ConfigError), announced(bus, "all@granvik", ("listener", "judge"), SystemClock()):
        raise ConfigError("cues/nb.yaml:3: no list")
    assert said(0.0)[-1].leaving, "nobody waits for who comes no more"
    threads = [thread.name for thread in threading.enumerate()]
    assert "starting" not in threads
    bus.close()
