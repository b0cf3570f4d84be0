"""What `lyttepost doctor` finds of YouTube, against a fake API."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from listener.bus.messages import message
from listener.bus.protocol import open_bus
from listener.clock import ManualClock, SystemClock
from listener.maintenance.diagnostics import examine_deployment
from listener.model.records import SPENDING
from listener.model.spending import QuotaUse
from listener.model.topics import topic_specs
from listener.runtime.checks import Check, CheckLevel
from listener.settings.schema import Settings
from listener.sources.contract import Examination
from listener.sources.youtube.plugin import TYPE
from tests.fakes.youtube import CHANNEL, FakeYoutube

OAUTH = ("a-client", "a-secret", "a-refresh-token")


@pytest.fixture
def fake() -> Iterator[FakeYoutube]:
    with FakeYoutube(key="a-key", oauth=OAUTH) as found:
        found.world.say("er akutten åpen?")
        yield found


def found(fake: FakeYoutube | None, *, running: bool = False, **its: Any) -> dict[str, Check]:
    usual = {} if fake is None else {"base_url": fake.url, "api_key": "a-key", "channels": {CHANNEL: "@fjordby"}}
    settings = Settings.model_validate({"youtube": {**usual, **its}})
    asked = Examination(
        settings=settings, incidents=(), standing=(), clock=SystemClock(), seconds=5.0, running=running
    )  # fmt: skip
    return {check.id: check for check in TYPE.examine(asked)}


def owner(fake: FakeYoutube, token: str = OAUTH[2]) -> dict[str, str]:
    return {"client_id": OAUTH[0], "client_secret": OAUTH[1], "refresh_token": token, "token_url": f"{fake.url}/token"}


def test_all_in_order_is_told_for_a_unit_a_channel(fake: FakeYoutube) -> None:
    checks = found(fake, owner=owner(fake))
    assert {name: check.level for name, check in checks.items()} == {
        "youtube.key": CheckLevel.OK,
        "youtube.address": CheckLevel.WARNING,  # not YouTube itself
        "youtube.units": CheckLevel.OK,
        "youtube.heard": CheckLevel.OK,
        "youtube.clock": CheckLevel.OK,
        "youtube.owner": CheckLevel.OK,
    }
    assert checks["youtube.heard"].says == "1 of 1 channels are heard"
    assert fake.used == 2  # a channel, and what waits for review


@pytest.mark.parametrize(
    ("do", "says", "fix"),
    [
        (("new_key", {"key": "b"}), "HTTP 400 API_KEY_INVALID", "youtube.api_key_file"),
        (("quota", {"units": 0}), "HTTP 403 quotaExceeded", "midnight Pacific"),
        (("status", {"status": 403, "on": "threads"}), "HTTP 403", "enable the YouTube Data API"),
        (("garbage", {"on": "threads"}), "does not answer: garbled", "try again"),
    ],
)
def test_what_refuses_us_is_named_with_what_to_do(
    fake: FakeYoutube, do: tuple[str, dict[str, Any]], says: str, fix: str
) -> None:
    fake.do(do[0], **do[1])
    heard = found(fake)["youtube.heard"]
    assert heard.level is CheckLevel.FAILED
    assert says in heard.says
    assert fix in str(heard.fix) or says.startswith("does not answer")
    assert "a-key" not in f"{heard.says} {heard.fix}"


def test_a_channel_that_is_not_there_or_has_no_comment_is_named(fake: FakeYoutube) -> None:
    nobody = "UCnobody0000000000000000"
    missing = found(fake, channels={CHANNEL: "", nobody: ""})["youtube.heard"]
    assert (missing.level, nobody in missing.says) == (CheckLevel.FAILED, True)
    fake.world.delete("last")
    silent = found(fake)["youtube.heard"]
    assert (silent.level, CHANNEL in silent.says) == (CheckLevel.WARNING, True)


def test_a_clock_an_hour_off_and_a_grant_that_was_taken_back_fail(fake: FakeYoutube) -> None:
    fake.do("host_clock", seconds=-3600)
    checks = found(fake, owner=owner(fake, "another"))
    assert checks["youtube.clock"].level is CheckLevel.FAILED
    assert "s ahead of YouTube's" in checks["youtube.clock"].says
    assert checks["youtube.owner"].level is CheckLevel.FAILED
    assert "invalid_grant" in checks["youtube.owner"].says


def test_rounds_that_the_units_do_not_last_for_are_told(fake: FakeYoutube) -> None:
    assert found(fake, every={"crisis": "5s"})["youtube.units"].level is CheckLevel.WARNING


def test_where_it_is_off_nothing_is_asked_but_a_running_listener_is_told_apart() -> None:
    assert found(None) == {}
    assert found(None, running=True)["youtube.key"].level is CheckLevel.WARNING


def test_settings_that_can_be_and_are_doubtful_are_told() -> None:
    its = {"channels": {CHANNEL: ""}, "base_url": "http://api.example", "owner": {"token_url": "http://a.example/t"}}
    doubts = dict(TYPE.doubts(Settings.model_validate({"youtube": its})))
    assert "https://" in doubts["youtube", "base_url"]
    assert "https://" in doubts["youtube", "owner"]
    assert "youtube.api_key_file" in doubts["youtube", "channels"]


def test_the_key_is_read_from_its_file(fake: FakeYoutube, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("a-key\n", encoding="utf-8")
    os.chmod(file, 0o600)
    assert found(fake, api_key=None, api_key_file=str(file))["youtube.heard"].level is CheckLevel.OK
    settings = Settings.model_validate({"youtube": {"channels": {CHANNEL: ""}, "api_key_file": str(file)}})
    source = TYPE.make(settings, SystemClock())
    assert source is not None
    assert source.name == "youtube"


@pytest.mark.parametrize(
    ("used", "exhausted", "level"),
    [(3_000, False, CheckLevel.OK), (9_000, False, CheckLevel.WARNING), (3_000, True, CheckLevel.FAILED)],
)
def test_what_is_left_of_the_day_is_told_from_the_bus(
    tmp_path: Path, used: int, exhausted: bool, level: CheckLevel
) -> None:
    clock = ManualClock(datetime(2031, 3, 2, 21, tzinfo=UTC))
    with closing(open_bus("embedded:", tmp_path, clock, durable=False)) as bus:
        bus.ensure(topic_specs(1, {}))
        use = QuotaUse(
            source="youtube", at=clock.now(), day="2031-03-02", units=10_000, used=used, exhausted=exhausted
        )  # fmt: skip
        bus.publish([message(SPENDING, use)])

        def told() -> dict[str, Check]:
            return {check.id: check for check in examine_deployment(bus, Settings(), tmp_path, clock)}

        assert told()["youtube.quota"].level is level
        assert f"{used} of 10000 units" in told()["youtube.quota"].says
        clock.advance(timedelta(days=2))
        assert "youtube.quota" not in told()
