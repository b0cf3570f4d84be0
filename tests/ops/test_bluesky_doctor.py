"""What `lyttepost doctor` finds of Bluesky, against fake hosts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from listener.clock import SystemClock
from listener.model.incidents import Incident
from listener.runtime.checks import Check, CheckLevel
from listener.settings.schema import Settings
from listener.sources.bluesky.plugin import TYPE
from listener.sources.contract import Examination
from tests.fakes.bluesky import FakeBluesky, Network, did_of

SECONDS = 1.0


@pytest.fixture
def hosts() -> Iterator[tuple[FakeBluesky, FakeBluesky]]:
    network = Network()
    with FakeBluesky(network=network, chatter=0.05) as east, FakeBluesky(network=network, chatter=0) as west:
        yield east, west


def found(*hosts: str, running: bool = False, tracks: tuple[str, ...] = (), **its: object) -> dict[str, Check]:
    settings = Settings.model_validate({"bluesky": {"enabled": bool(hosts), "hosts": list(hosts), **its}})
    at = datetime(2031, 3, 2, 21, tzinfo=UTC)
    incident = Incident(
        id="i-0", name="Brann", tracks=tracks, opened_at=at, opened_by="vakt", why="prøve",
        review_at=at + timedelta(hours=1),
    )  # fmt: skip
    asked = Examination(
        settings=settings, incidents=[incident], standing=("granvik",), clock=SystemClock(), seconds=SECONDS,
        running=running,
    )  # fmt: skip
    return {check.id: check for check in TYPE.examine(asked)}


def test_hosts_in_order_are_heard_and_their_clock_is_ours(hosts: tuple[FakeBluesky, FakeBluesky]) -> None:
    checks = found(*(host.url for host in hosts))
    assert {name: check.level for name, check in checks.items()} == {
        "bluesky.hosts": CheckLevel.WARNING,  # not Bluesky's own
        "bluesky.heard": CheckLevel.OK,
        "bluesky.clock": CheckLevel.OK,
        "bluesky.accounts": CheckLevel.OK,
    }
    assert checks["bluesky.heard"].says == "2 of 2 hosts are heard"


def test_one_that_says_nothing_refuses_or_is_away_is_named(hosts: tuple[FakeBluesky, FakeBluesky]) -> None:
    east, west = hosts
    west.do("status", status=403, on="subscribe")
    one = found(east.url, west.url)["bluesky.heard"]
    assert (one.level, "1 of 2 hosts are heard" in one.says, "it answers 403" in one.says) == (
        CheckLevel.WARNING,
        True,
        True,
    )
    west.do("heal")
    west.do("deaf", seconds=3600)
    assert "it says nothing" in found(east.url, west.url)["bluesky.heard"].says
    away = found("ws://127.0.0.1:1", west.url)
    assert away["bluesky.heard"].level is CheckLevel.FAILED
    assert "cannot be reached" in away["bluesky.heard"].says
    assert "bluesky.clock" not in away


def test_a_clock_an_hour_off_fails(hosts: tuple[FakeBluesky, FakeBluesky]) -> None:
    east, _ = hosts
    east.do("host_clock", seconds=-3600)
    east.log.entries.clear()
    clock = found(east.url)["bluesky.clock"]
    assert (clock.level, "3600 s ahead of" in clock.says) == (CheckLevel.FAILED, True)


def test_an_account_track_without_its_did_is_told() -> None:
    its = {"accounts": {"fjordby.bsky.social": did_of("fjordby")}}
    tracks = ("@fjordby.bsky.social", "@granvik.bsky.social", "@granvik")
    told = found("ws://127.0.0.1:1", tracks=tracks, **its)["bluesky.accounts"]
    assert told.level is CheckLevel.WARNING
    assert "@granvik.bsky.social" in told.says
    assert "fjordby" not in told.says


def test_where_it_is_off_nothing_is_asked_but_a_running_listener_is_told_apart() -> None:
    assert found() == {}
    assert found(running=True)["bluesky.enabled"].level is CheckLevel.WARNING


def test_settings_that_can_be_and_are_doubtful_are_told() -> None:
    clear = Settings.model_validate({"bluesky": {"enabled": True, "hosts": ["ws://jetstream.example"]}})
    doubts = dict(TYPE.doubts(clear))
    assert "wss://" in doubts["bluesky", "hosts", 0]
    assert "one host" in doubts["bluesky", "hosts"]
