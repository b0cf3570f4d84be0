"""A record above the bound is refused before anything of it is written, on every bus alike; and stops no stage."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import pytest
from prometheus_client import CollectorRegistry

from listener.bus.protocol import MAX_BYTES, Bus, Message, Record, TopicPartition
from listener.clock import SystemClock
from listener.errors import TooLarge
from listener.ingest.capture import Capture
from listener.maintenance.redrive import standing
from listener.model.incidents import Incident
from listener.model.records import MENTIONS, Mention, Post, decode
from listener.privacy.screen import Screen
from listener.runtime.health import Health
from listener.runtime.metrics import Metrics
from listener.runtime.stage import Stage
from listener.sources.contract import Batch

CLOCK = SystemClock()
FIRST = TopicPartition("findings", 0)


def test_the_largest_record_is_taken_and_one_above_it_refused_with_its_neighbours(bus: Bus) -> None:
    most = b"x" * (MAX_BYTES - 4)
    bus.publish([Message("findings", "k", most, 0)])
    for messages in ([Message("findings", "k", most + b"x", 0)], [Message("findings", "a", b"{}", 0)] * 2):
        with pytest.raises(TooLarge, match="the most"):
            bus.publish([*messages, Message("findings", "k", most + b"x", 0)])
    with pytest.raises(TooLarge), bus.transaction("stage") as transaction:
        transaction.publish(Message("findings", "a", b"{}", 0))
        transaction.publish(Message("findings", "k", most + b"x", 0))
    assert [record.value for record in bus.read(FIRST, 0, 9)] == [most]
    bus.publish([Message("findings", "after", b"{}", 0)])
    assert [record.key for record in bus.read(FIRST, 0, 9)] == ["k", "after"]


def test_a_record_that_grows_too_large_is_a_dead_letter_and_the_next_one_is_worked_on(bus: Bus) -> None:
    metrics = Metrics(CollectorRegistry(), "1")

    def grow(record: Record) -> Iterable[Message]:
        return [Message("findings", record.key, b"more" + (record.value or b""), 0)]

    part = Health(CLOCK).part("annotate")
    stage = Stage("annotate", bus, "mentions", grow, clock=CLOCK, metrics=metrics, part=part)
    bus.publish([Message("mentions", "x:1", b"x" * (MAX_BYTES - 14), 0), Message("mentions", "x:2", b"{}", 0)])
    for _ in range(100):
        if metrics.registry.get_sample_value("lyttepost_stage_records_total", {"stage": "annotate"}) == 2:
            break
        stage.step(0.2)
    stage.close()
    assert [record.key for record in bus.read(FIRST, 0, 9)] == ["x:2"]
    (letter,) = standing(bus)
    assert (letter.reason, letter.length) == ("too_large", MAX_BYTES - 14)
    assert letter.where.startswith("mentions/0:")


def test_a_post_that_is_too_large_becomes_a_dead_letter_and_the_others_are_heard() -> None:
    metrics = Metrics(CollectorRegistry(), "1")
    hearing = Capture(
        "x", Screen(b"0" * 32, {}, lambda kind, count: None), (), partitions=1, clock=CLOCK, metrics=metrics
    )
    at = datetime(2031, 1, 11, 19, tzinfo=UTC)
    incident = Incident(id="brann", name="Brann", tracks=("brann",), opened_at=at, opened_by="v", why="r", review_at=at)
    hearing.listen_for((incident,))
    posts = [
        Post(source="x", id=str(n), at=at, text=text) for n, text in enumerate(("brann", "brann " * 170_000, "brann"))
    ]
    pending = hearing.capture(Batch(posts=tuple(posts), until=at), None)
    said = [decode(MENTIONS, m.value or b"") for m in pending.messages if m.topic == "mentions"]
    assert [mention.id for mention in said if isinstance(mention, Mention)] == ["0", "2"]
    assert pending.mentions == 2
    (letter,) = [m for m in pending.messages if m.topic == "deadletters"]
    assert b'"too_large"' in (letter.value or b"")
    assert (
        metrics.registry.get_sample_value("lyttepost_deadletters_total", {"stage": "listen-x", "reason": "too_large"})
        == 1
    )
