"""What `lyttepost doctor` finds of Mastodon, against fake servers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from listener.clock import SystemClock
from listener.model.incidents import Incident
from listener.runtime.checks import Check, CheckLevel
from listener.settings.schema import Settings
from listener.sources.contract import Examination
from listener.sources.mastodon.plugin import TYPE
from tests.fakes.mastodon import APP_TOKEN, TOKEN, FakeMastodon, Federation

SECONDS = 2.0


@pytest.fixture
def servers() -> Iterator[tuple[FakeMastodon, FakeMastodon]]:
    federation = Federation()
    with FakeMastodon(federation=federation) as a, FakeMastodon(federation=federation, domain="b.example") as b:
        federation.post("hei #mastodon")
        yield a, b


def found(
    *urls: str, token: str = TOKEN, timeline: str = "none", tracks: tuple[str, ...] = (), running: bool = False
) -> dict[str, Check]:
    its = [{"url": url, "token": token, "timeline": timeline} for url in urls]
    at = datetime(2031, 3, 2, 21, tzinfo=UTC)
    incident = Incident(
        id="i-0", name="Brann", tracks=tracks, opened_at=at, opened_by="vakt", why="prøve",
        review_at=at + timedelta(hours=1),
    )  # fmt: skip
    asked = Examination(
        settings=Settings.model_validate({"mastodon": {"servers": its}}), incidents=[incident], standing=("#granvik",),
        clock=SystemClock(), seconds=SECONDS, running=running,
    )  # fmt: skip
    return {check.id: check for check in TYPE.examine(asked)}


def test_servers_in_order_are_heard_and_their_clock_is_ours(servers: tuple[FakeMastodon, FakeMastodon]) -> None:
    checks = found(*(server.url for server in servers))
    assert {name: check.level for name, check in checks.items()} == dict.fromkeys(
        ("mastodon.heard", "mastodon.feeds", "mastodon.tracks", "mastodon.clock"), CheckLevel.OK
    )
    assert checks["mastodon.heard"].says == "2 of 2 servers are heard"


def test_a_token_that_does_not_do_is_told_with_what_to_make(servers: tuple[FakeMastodon, FakeMastodon]) -> None:
    a, b = servers
    for token in ("en-annen", APP_TOKEN):
        told = found(a.url, token=token)["mastodon.heard"]
        assert told.level is CheckLevel.FAILED
        assert "not a user's" in told.says
        assert token not in told.says
    a.do("status", status=403, on="tag", body={"error": "This action is outside the authorized scopes"})
    told = found(a.url, b.url)["mastodon.heard"]
    assert (told.level, "read:statuses" in told.says) == (CheckLevel.WARNING, True)


def test_one_whose_stream_refuses_answers_nothing_or_is_away_is_named(
    servers: tuple[FakeMastodon, FakeMastodon],
) -> None:
    a, b = servers
    a.do("status", status=503, on="stream")
    assert "its stream answers 503" in found(a.url, b.url)["mastodon.heard"].says
    away = found("http://127.0.0.1:1", b.url)["mastodon.heard"]
    assert "cannot be reached" in away.says
    assert "mastodon.feeds" not in found("http://127.0.0.1:1")
    a.do("heal")
    a.do("stream_at", address="ws://127.0.0.1:1")
    assert "its stream cannot be had" in found(a.url)["mastodon.heard"].says


def test_a_feed_that_is_closed_is_told_for_its_empty_answer_is_no_silence(
    servers: tuple[FakeMastodon, FakeMastodon],
) -> None:
    a, _ = servers
    a.do("close_feed", which="timelines")
    assert found(a.url)["mastodon.feeds"].level is CheckLevel.OK
    told = found(a.url, timeline="public")["mastodon.feeds"]
    assert (told.level, "the timeline public" in told.says) == (CheckLevel.WARNING, True)
    a.do("close_feed", which="hashtags")
    assert "hashtags" in found(a.url)["mastodon.feeds"].says


def test_a_server_that_shows_nothing_where_somebody_always_writes_is_told() -> None:
    with FakeMastodon() as fake:
        fake.do("close_feed", tells=False)
        told = found(fake.url)["mastodon.feeds"]
        assert (told.level, "#mastodon" in told.says) == (CheckLevel.WARNING, True)


def test_which_tracks_find_nothing_of_their_own_is_told(servers: tuple[FakeMastodon, FakeMastodon]) -> None:
    a, _ = servers
    told = found(a.url, tracks=("ullevål brann", "@ola@a.example", "ullevål"))["mastodon.tracks"]
    assert told.level is CheckLevel.WARNING
    assert "'ullevål brann', " in told.says or "'ullevål brann';" in told.says
    assert "'ullevål'" not in told.says
    assert "timelines of" in found(a.url, tracks=("a b",), timeline="local")["mastodon.tracks"].says


def test_a_clock_an_hour_off_fails(servers: tuple[FakeMastodon, FakeMastodon]) -> None:
    a, _ = servers
    a.do("skew", seconds=-3600)
    clock = found(a.url)["mastodon.clock"]
    assert (clock.level, "ahead of" in clock.says) == (CheckLevel.FAILED, True)


def test_where_it_is_off_nothing_is_asked_but_a_running_listener_is_told_apart() -> None:
    assert found() == {}
    assert found(running=True)["mastodon.servers"].level is CheckLevel.WARNING
