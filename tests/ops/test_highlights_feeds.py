"""The worker that reads the hospital's feeds: what is new, once; nothing in a crisis; only what changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from alerts.highlights.compose import Composing
from alerts.highlights.proposing import LEASE_SECONDS, Proposing, Reading
from listener.runtime.download import Limits
from listener.runtime.health import Health
from listener.runtime.presence import PresenceReporter
from listener.settings.highlights import HighlightsSettings
from tests.fakes.publisher import Publisher, publisher, rss
from tests.unit.highlights_support import Newsroom


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Newsroom]:
    with closing(Newsroom(tmp_path)) as made:
        yield made


@pytest.fixture
def web() -> Iterator[Publisher]:
    with publisher() as made:
        yield made


def worker(room: Newsroom, *feeds: str, name: str = "a") -> tuple[PresenceReporter, Proposing]:
    health = Health(room.clock)
    reporter = PresenceReporter(
        room.bus, name, ["highlights"], clock=room.clock, metrics=room.metrics, part=health.part("follow")
    )
    reading = Reading(
        HighlightsSettings(feeds=feeds), Composing(timedelta(days=7), "nb", ZoneInfo("Europe/Oslo")), Limits(seconds=5)
    )
    lease = room.bus.lease("propose", name, LEASE_SECONDS)
    made = Proposing(
        room.bus, reading, reporter=reporter, lease=lease, clock=room.clock, metrics=room.metrics,
        part=health.part("propose"),
    )  # fmt: skip
    return reporter, made


def turn(its: tuple[PresenceReporter, Proposing]) -> bool:
    its[0].step(0.0)
    return its[1].step(0.0)


def test_what_is_new_is_proposed_once_and_asked_for_by_its_version(room: Newsroom, web: Publisher) -> None:
    feed = web.put("/news.xml", rss(("Sak en", "", None)))
    its = worker(room, feed)
    assert turn(its)
    assert not turn(its), "not again before its time"
    assert list(room.stages().values()) == ["proposed"]
    room.wait(3_601)
    assert turn(its)
    assert web.unchanged == ["/news.xml"]
    web.put("/news.xml", rss(("Sak en", "", None), ("Sak to", "", None)))
    room.wait(3_601)
    turn(its)
    assert len(room.stages()) == 2
    assert room.metrics.registry.get_sample_value("lyttepost_highlights_feeds_read_timestamp_seconds")


def test_a_process_that_is_started_anew_proposes_nothing_twice(room: Newsroom, web: Publisher) -> None:
    feed = web.put("/news.xml", rss(("Sak en", "", None)))
    turn(worker(room, feed))
    turn(worker(room, feed))
    assert len(room.stages()) == 1
    assert len(room.records()) == 1


def test_in_a_crisis_the_hospitals_web_server_is_left_alone(room: Newsroom, web: Publisher) -> None:
    its = worker(room, web.put("/news.xml", rss(("Sak en", "", None))))
    room.crisis(exercise=True)
    assert not turn(its)
    assert web.asked == []
    room.calm()
    assert turn(its)
    assert len(room.stages()) == 1


@pytest.mark.parametrize("path", ["/status/500", "/reset", "/cut", "/loop", "/huge", "/hang", "/ikke-der"])
def test_a_feed_that_misbehaves_hides_nothing_of_the_others(room: Newsroom, web: Publisher, path: str) -> None:
    its = worker(room, web.at(path), web.put("/news.xml", rss(("Sak en", "", None))))
    its[1]._reading.limits = Limits(seconds=1.5, step=1.0)
    assert turn(its)
    assert len(room.stages()) == 1
    room.wait(3_601)
    assert turn(its), "and is asked again"
