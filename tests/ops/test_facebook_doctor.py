"""Facebook as `lyttepost doctor` finds it, against a fake Facebook and a webhook that answers or does not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from listener.clock import SystemClock
from listener.runtime.checks import CheckLevel
from listener.runtime.metrics import Metrics
from listener.settings.schema import Settings
from listener.sources.contract import Examination, source_types
from listener.webhooks.application import application
from listener.webhooks.meta import MetaGuard
from listener.webhooks.webhook import Webhook
from listener.webserver.server import WebServer, listen
from tests.fakes.facebook import FakeFacebook
from tests.fakes.graph import KnownToken

SECRET, WORD = "app-hemmelighet", "et-ord-vi-valgte"


@pytest.fixture
def fake() -> Iterator[FakeFacebook]:
    with FakeFacebook(secret=SECRET) as facebook:
        facebook.world.say("Vi følger situasjonen")
        yield facebook


@pytest.fixture
def webhook() -> Iterator[str]:
    from threading import Event

    its = Webhook("facebook", MetaGuard(SecretStr(SECRET), SecretStr(WORD)), Event())
    app = application({"facebook": its}, SystemClock(), Metrics(CollectorRegistry(), "0"))
    server = WebServer(lambda _: app, listen("127.0.0.1", 0, "webhooks"), "webhooks")
    yield f"http://127.0.0.1:{server.port}"
    server.close()


def examined(fake: FakeFacebook, url: str | None = None, **facebook: Any) -> dict[str, tuple[CheckLevel, str]]:
    settings = Settings.model_validate({
        "meta": {"base_url": fake.url, "app_id": "77", "app_secret": SECRET, "verify_token": WORD},
        "facebook": {"page_id": fake.world.id, "access_token": fake.token, **facebook},
        "webhooks": {} if url is None else {"url": url},
    })  # fmt: skip
    its = Examination(
        settings=settings, incidents=(), standing=(), clock=SystemClock(), seconds=20, running=True
    )  # fmt: skip
    return {check.id: (check.level, check.says) for check in source_types()["facebook"].examine(its)}


def test_all_is_well(fake: FakeFacebook, webhook: str) -> None:
    fake.do("call", url=f"{webhook}/facebook", token=WORD)
    found = examined(fake, webhook)
    assert {level for level, _ in found.values()} == {CheckLevel.OK}, found
    assert found.keys() >= {
        "facebook.token", "facebook.scopes", "facebook.expiry", "facebook.page", "facebook.feed",
        "facebook.published_posts", "facebook.subscribed", "facebook.webhook",
    }  # fmt: skip


def test_a_token_of_a_wrong_kind_is_found_though_every_answer_is_good(fake: FakeFacebook) -> None:
    fake.do("kind", kind="USER")
    found = examined(fake)
    assert found["facebook.token"][0] is CheckLevel.FAILED
    assert found["facebook.page"][0] is CheckLevel.FAILED
    assert found["facebook.feed"][0] is CheckLevel.WARNING


def test_a_token_of_another_page_is_named(fake: FakeFacebook) -> None:
    fake.tokens[fake.token] = KnownToken(profile="4711", scopes=fake.tokens[fake.token].scopes)
    assert examined(fake)["facebook.page"][0] is CheckLevel.FAILED


def test_what_ends_or_is_missing_is_said_before_it_hurts(fake: FakeFacebook) -> None:
    its = fake.tokens[fake.token]
    soon = fake.clock.now() + timedelta(days=5)
    fake.tokens[fake.token] = KnownToken(profile=its.profile, scopes=its.scopes, data_expires=soon)
    fake.do("lose", scope="pages_read_user_content")
    found = examined(fake)
    assert "pages_read_user_content" in found["facebook.scopes"][1]
    assert found["facebook.expiry"][0] is CheckLevel.WARNING
    assert found["facebook.feed"][0] is CheckLevel.FAILED
    assert found["facebook.subscribed"][0] is CheckLevel.WARNING
    assert found["facebook.webhook"][0] is CheckLevel.WARNING


def test_an_expired_token_is_told_and_never_shown(fake: FakeFacebook) -> None:
    fake.do("expire")
    found = examined(fake)
    assert found["facebook.token"][0] is CheckLevel.FAILED
    assert fake.token not in str(found)
    assert SECRET not in str(found)
    assert WORD not in str(found)
