"""Commands that only look must not change how long things are kept."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from command_support import Machine

from listener.bus.protocol import Message, open_bus
from listener.clock import SystemClock


@pytest.mark.parametrize("command", [("register",), ("alerts",), ("alerts", "verify"), ("mode",), ("bus", "topics")])
def test_a_look_leaves_retention_as_the_settings_have_it(tmp_path: Path, command: tuple[str, ...]) -> None:
    machine, clock = Machine(tmp_path), SystemClock()
    assert machine.run("privacy", "retention").returncode == 0
    bus = open_bus("embedded:", machine.data, clock)
    bus.publish([Message("mentions", "x:1", b"{}"), Message("alerts", "a", b"{}")])
    bus.close()

    assert machine.run(*command).returncode in (0, 1)

    bus = open_bus("embedded:", machine.data, clock)
    try:
        gone = bus.retain(clock.now() + timedelta(days=31))
        assert gone["mentions"] == 1
        assert gone["alerts"] == 0
        assert bus.retain(clock.now() + timedelta(days=3651))["alerts"] == 1
    finally:
        bus.close()
