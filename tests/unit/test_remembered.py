"""The stories of late: what lies on `findings`, whoever wrote it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from alerts.annotate.remembered import Remembered
from listener.bus.protocol import Bus, Message, open_bus
from listener.clock import ManualClock
from listener.model import keys
from listener.model.records import Finding, Tick, encode
from listener.model.topics import topic_specs

AT = datetime(2031, 1, 11, 19, 0, tzinfo=UTC)
TEXT = "Besøk er forbudt på Lia sykehus fra mandag"
COPY = f"Uff da, {TEXT.lower()}"


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    with closing(open_bus("embedded:", tmp_path, ManualClock(AT), durable=False)) as opened:
        opened.ensure(topic_specs(2, {}))
        yield opened


def remembered(bus: Bus) -> Remembered:
    its = Remembered(bus, lambda: None)
    its.refresh()
    return its


def finding(id_: str, text: str, story: str) -> Message:
    found = Finding(source="x", id=id_, at=AT, captured_at=AT, text=text, incident="brann", story=story)
    return Message("findings", found.key, encode(found))


def test_an_annotator_that_begins_joins_the_stories_that_were_told_before(bus: Bus) -> None:
    bus.publish([finding("1", TEXT, "s"), Message("findings", keys.tick_of("x"), encode(Tick(source="x", until=AT)))])
    assert remembered(bus).stories.add("2", COPY) == "s"


def test_what_another_annotator_writes_meanwhile_is_joined(bus: Bus) -> None:
    ours = remembered(bus)
    bus.publish([finding("1", TEXT, "s")])
    ours.refresh()
    assert ours.stories.story(COPY) == "s"


def test_where_two_annotators_began_one_story_both_go_on_with_the_same(bus: Bus) -> None:
    ours, theirs = remembered(bus), remembered(bus)
    own = [(its, its.stories.add(f"brann:x:{n}", TEXT, story=name)) for n, (its, name) in enumerate(
        [(ours, "b" * 16), (theirs, "a" * 16)]
    )]  # fmt: skip
    bus.publish([finding(str(n), TEXT, name) for n, (_, name) in enumerate(own)])
    for its in (ours, theirs):
        its.refresh()
        assert its.stories.story(COPY) == "a" * 16


def test_a_finding_that_was_purged_is_forgotten(bus: Bus) -> None:
    bus.publish([finding("1", TEXT, "s")])
    ours = remembered(bus)
    bus.publish([Message("findings", "brann:x:1", None)])
    ours.refresh()
    assert len(ours.stories) == 0
    assert ours.stories.story(COPY) != "s"


def test_what_nobody_can_read_is_passed_over(bus: Bus) -> None:
    bus.publish([Message("findings", "brann:x:1", b"{"), finding("2", TEXT, "s")])
    assert remembered(bus).stories.story(COPY) == "s"
