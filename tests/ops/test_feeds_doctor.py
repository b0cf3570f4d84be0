"""What `lyttepost doctor` finds of feeds that are listened to, against a fake publisher."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from listener.clock import SystemClock
from listener.runtime.checks import CheckLevel
from listener.settings.schema import Settings
from listener.sources.contract import Examination
from listener.sources.feeds.doctor import STALE
from listener.sources.feeds.plugin import TYPE
from tests.fakes.feeds import FakeFeeds


@pytest.fixture
def fake() -> Iterator[FakeFeeds]:
    with FakeFeeds() as publisher:
        yield publisher


def found(fake: FakeFeeds, *houses: str, seconds: float = 20.0, **more: Any) -> dict[str, tuple[CheckLevel, str]]:
    """By the name of the feed: how it stands, and what is said of it."""
    read = [{"url": fake.address(house), "name": house, "inside": True, **more} for house in houses]
    asked = Examination(
        settings=Settings.model_validate({"feeds": {"read": read}}), incidents=(), standing=(), clock=SystemClock(),
        seconds=seconds, running=False,
    )  # fmt: skip
    checks = list(TYPE.examine(asked))
    assert {check.id for check in checks} == {"feeds.read"}
    told = [(check.level, *check.says.split(": ", 1)) for check in checks]
    return {name: (level, says) for level, name, says in told}


def test_each_feed_is_told_by_its_name_as_it_is(fake: FakeFeeds) -> None:
    fake.publish("posten", "Røyk over sykehuset")
    fake.publish("avisa", "Brann", published=-(STALE + timedelta(days=2)).total_seconds())
    fake.publish("radio", "Uten tid", published=None)
    fake.publish("siden", "En side")
    fake.do("page", feed="siden", times=1)
    fake.publish("bomben", "Stor")
    fake.do("bomb", feed="bomben", times=1)
    its = found(fake, "posten", "avisa", "radio", "siden", "bomben", "tom")
    assert its["posten"] == (CheckLevel.OK, "1 entries")
    assert its["avisa"] == (CheckLevel.WARNING, "its newest entry is 32d old")
    assert its["radio"] == (CheckLevel.WARNING, "1 of 1 entries do not say when they were published")
    assert its["siden"] == (CheckLevel.FAILED, "is a web page and no feed; name a feed of it instead")
    assert its["bomben"][0] is CheckLevel.FAILED
    assert its["bomben"][1].startswith("is larger than 5 MB")
    assert its["tom"] == (CheckLevel.WARNING, "is read, and holds no entry")


def test_one_that_hangs_keeps_none_of_the_others_waiting(fake: FakeFeeds) -> None:
    fake.publish("posten", "Røyk over sykehuset")
    fake.publish("avisa", "Brann")
    fake.do("hang", hold=60, on="feed", times=1)
    its = found(fake, "posten", "avisa", seconds=2.0)
    assert sorted(its.values()) == [(CheckLevel.FAILED, "gives no answer"), (CheckLevel.OK, "1 entries")]


def test_a_feed_inside_our_network_is_read_only_where_that_is_meant(fake: FakeFeeds) -> None:
    fake.publish("posten", "Røyk over sykehuset")
    level, says = found(fake, "posten", inside=False)["posten"]
    assert (level, says.partition(",")[0]) == (CheckLevel.FAILED, "leads to an address inside a network")
