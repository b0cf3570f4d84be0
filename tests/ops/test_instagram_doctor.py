"""What `lyttepost doctor` finds of Instagram, against a fake one; and the fake's limits, as the original has them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import requests

from listener.clock import SystemClock
from listener.errors import ConfigError
from listener.runtime.checks import Check, CheckLevel
from listener.settings.schema import Settings
from listener.sources.contract import Examination
from listener.sources.instagram.plugin import TYPE
from tests.fakes.graph import APP_SECRET, DEFAULT_TOKEN, KnownToken
from tests.fakes.instagram import ACCOUNT, FakeInstagram

SECONDS = 5.0


@pytest.fixture
def fake() -> Iterator[FakeInstagram]:
    with FakeInstagram() as made:
        made.medium("Til alle pårørende")
        yield made


def settings_of(fake: FakeInstagram, meta: dict[str, Any] | None = None, **its: Any) -> Settings:
    app = {"base_url": fake.url, "app_id": fake.app_id, "app_secret": APP_SECRET}
    ours = {"enabled": True, "account": ACCOUNT, "access_token": DEFAULT_TOKEN}
    return Settings.model_validate({"instagram": {**ours, **its}, "meta": {**app, **(meta or {})}})


def found(settings: Settings, *, running: bool = False) -> dict[str, Check]:
    asked = Examination(
        settings=settings, incidents=(), standing=(), clock=SystemClock(), seconds=SECONDS, running=running
    )
    return {check.id: check for check in TYPE.examine(asked)}


def test_one_in_order_is_found_so_and_what_is_not_set_up_is_named(fake: FakeInstagram) -> None:
    checks = found(settings_of(fake, hashtags=["mittous"]))
    assert {name: check.level for name, check in checks.items()} == {
        "instagram.token": CheckLevel.OK,
        "instagram.scopes": CheckLevel.OK,
        "instagram.expiry": CheckLevel.OK,
        "instagram.account": CheckLevel.OK,
        "instagram.clock": CheckLevel.OK,
        "instagram.hashtags": CheckLevel.OK,
        "instagram.webhook": CheckLevel.WARNING,  # no word of the handshake
    }
    assert "1 of 30 hashtags" in checks["instagram.hashtags"].says
    word = found(settings_of(fake, {"verify_token": "et-ord"}))["instagram.webhook"]
    assert "webhooks.url is not set" in word.says


def test_a_token_that_is_void_of_another_kind_or_lacks_something_is_told_apart(fake: FakeInstagram) -> None:
    fake.do("lose", scope="instagram_manage_comments")
    scopes = found(settings_of(fake))["instagram.scopes"]
    assert (scopes.level, "instagram_manage_comments" in scopes.says) == (CheckLevel.FAILED, True)
    fake.do("grant", scope="instagram_manage_comments")
    fake.do("kind", kind="APP")
    checks = found(settings_of(fake))
    assert checks["instagram.token"].level is CheckLevel.FAILED
    assert checks["instagram.account"].level is CheckLevel.FAILED
    fake.do("kind", kind="PAGE")
    fake.do("expire")
    assert found(settings_of(fake))["instagram.token"].level is CheckLevel.FAILED


def test_an_account_that_comes_back_empty_is_none(fake: FakeInstagram) -> None:
    fake.do("status", status=200, on="node", body={"data": []})
    account = found(settings_of(fake))["instagram.account"]
    assert account.level is CheckLevel.FAILED
    assert "did not come back" in account.says


def test_an_end_that_comes_near_a_version_that_ended_and_a_wrong_clock_are_told(fake: FakeInstagram) -> None:
    its = fake.tokens[DEFAULT_TOKEN]
    fake.tokens[DEFAULT_TOKEN] = KnownToken(
        its.kind, its.profile, its.scopes, data_expires=fake.clock.now() + timedelta(days=3)
    )
    fake.do("serve", version="v27.0")
    fake.do("skew", seconds=-3600)
    checks = found(settings_of(fake))
    levels = {name: checks[f"instagram.{name}"].level for name in ("expiry", "version", "clock")}
    assert levels == {"expiry": CheckLevel.WARNING, "version": CheckLevel.WARNING, "clock": CheckLevel.FAILED}


def test_limited_it_asks_no_more_and_no_answer_names_a_token(fake: FakeInstagram) -> None:
    fake.do("limit", minutes=30)
    checks = found(settings_of(fake))
    assert checks["instagram.account"].level is CheckLevel.FAILED
    assert {request.route for request in fake.requests()} == {"debug_token"}  # its answer tells to wait
    assert fake.too_early == 0
    said = "".join(check.says + check.fix for check in checks.values())
    assert DEFAULT_TOKEN not in said
    assert APP_SECRET not in said


def test_away_it_is_told_in_time(fake: FakeInstagram) -> None:
    fake.do("reset")
    assert found(settings_of(fake))["instagram.account"].level is CheckLevel.FAILED


def test_off_nothing_is_asked_unless_a_listener_hears_it() -> None:
    assert found(Settings()) == {}
    assert found(Settings(), running=True)["instagram.enabled"].level is CheckLevel.WARNING


def test_what_is_not_set_and_what_is_doubtful_is_named(fake: FakeInstagram) -> None:
    with pytest.raises(ConfigError, match=r"instagram.account is not set"):
        TYPE.check(settings_of(fake, account=None))
    with pytest.raises(ConfigError, match=r"instagram.access_token is not set"):
        TYPE.check(settings_of(fake, access_token=None))
    doubts = {loc for loc, _ in TYPE.doubts(settings_of(fake, {"base_url": "http://graph.example"}))}
    assert doubts == {("meta", "base_url"), ("meta", "verify_token")}


# --- the fake --------------------------------------------------------------------------------------------------------


def asked(fake: FakeInstagram, path: str, **params: str) -> dict[str, Any]:
    query = {"access_token": DEFAULT_TOKEN, **params}
    told: dict[str, Any] = requests.get(f"{fake.url}/v26.0/{path}", params=query, timeout=10).json()
    return told


def test_the_fake_gives_fifty_at_once_newest_first_and_hashtags_of_a_day_without_their_author(
    fake: FakeInstagram,
) -> None:
    medium, now = fake.medium("Brann"), fake.clock.now()
    said = [fake.comment(f"nummer {n}", under=medium, at=now + timedelta(seconds=n - 100)) for n in range(60)]
    page = asked(fake, f"{medium.id}/comments", fields="id,text,timestamp,username", limit="500")
    assert [item["id"] for item in page["data"]] == [each.id for each in reversed(said)][:50]
    assert "next" in page["paging"]
    fake.foreign("gammel #mittous", at=now - timedelta(hours=25))
    new = fake.foreign("ny #mittous")
    (tag,) = asked(fake, "ig_hashtag_search", q="mittous", user_id=ACCOUNT)["data"]
    found_ = asked(fake, f"{tag['id']}/recent_media", user_id=ACCOUNT, fields="id,caption,permalink,timestamp,username")
    assert [item["id"] for item in found_["data"]] == [new.id]
    assert "username" not in found_["data"][0]
