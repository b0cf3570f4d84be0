"""A switch as a program meets it: what is doubted is data, and what is refused has written nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from listener.bus.protocol import open_bus
from listener.clock import ManualClock
from listener.errors import BadValue, Refused, UsageError
from listener.model.incidents import Command, Presence, Result
from listener.runtime.control import Control
from listener.runtime.switching import (
    Doubt,
    Switched,
    TooCommon,
    Warned,
    change_command,
    close_command,
    open_command,
    switch,
)

T0 = datetime(2031, 5, 17, 3, 0, tzinfo=UTC)
SAID: Any = {"why": "meldt", "by": "kari", "now": T0}


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Control]:
    bus = open_bus("embedded:", tmp_path, ManualClock(T0))
    yield Control(bus)
    bus.close()


def given(
    control: Control, command: Command, *, anyway: bool = False, bills: tuple[str, ...] = (), **x: object
) -> Switched:
    sources: Mapping[str, Any] = {"x": x} if x else {}
    presence = Presence(process="p", roles=("listener",), host="h", pid=1, epoch=0, at=T0, sources=sources)
    return switch(control, command, there=lambda: [presence], bills=lambda: bills, anyway=anyway)


def test_what_is_doubted_is_returned_with_what_came_of_the_command(control: Control) -> None:
    done = given(control, open_command("Brann", tracks=["og", "den*"], lookback="9d", **SAID), reach=604_800)
    assert done.transition.result is Result.OPENED
    reach, og, de = done.warnings
    assert reach == Warned(Doubt.REACH, "x", seconds=604_800)
    assert og == Warned(Doubt.COMMON, "og")
    assert (de.doubt, de.about, de.word[:3]) == (Doubt.COMMON, "den*", "den")
    dropped = given(control, change_command("brann-0", drop=["røyk"], **SAID))
    assert dropped.transition.result is Result.UNCHANGED
    assert dropped.warnings == (Warned(Doubt.NOT_DROPPED, "røyk", tracks=("og", "den*")),)


def test_what_costs_too_much_names_track_and_sources_and_is_not_written(control: Control) -> None:
    command = open_command("Brann", tracks=["og"], **SAID)
    with pytest.raises(TooCommon) as refused:
        given(control, command, bills=("x",))
    assert (refused.value.track, refused.value.word, refused.value.sources) == ("og", "", ("x",))
    assert control.refresh().history == ()
    assert given(control, command, anyway=True, bills=("x",)).warnings == (Warned(Doubt.COMMON, "og"),)


def test_a_field_that_nobody_named_is_called_as_the_parameter_is() -> None:
    with pytest.raises(BadValue) as bad:
        open_command("Brann", **(SAID | {"why": " "}))
    assert (bad.value.field, bad.value.problem) == ("why", "say why; it is kept in the history")
    with pytest.raises(BadValue, match=r"^Gjennomgang: is longer than ten years$"):
        open_command("Brann", review_after="4000d", fields={"review_after": "Gjennomgang"}, **SAID)


def test_an_incident_that_is_not_open_is_refused(control: Control) -> None:
    with pytest.raises(UsageError, match="no incident has the id 'flom-3'") as unknown:
        given(control, close_command("flom-3", **SAID))
    assert unknown.value.field == "incident"
    given(control, open_command("Brann", **SAID))
    given(control, close_command(**SAID))
    with pytest.raises(Refused, match="brann-0 is closed"):
        given(control, change_command("brann-0", add=["røyk"], **SAID))
