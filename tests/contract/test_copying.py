"""A bus is copied onto another: nothing is lost, nothing stands elsewhere, and who goes on does so where it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from bus_support import KEEP, PARTITIONS, SITES, Site, drain, embedded, everything, on_kafka
from topics import drop_topics

from listener.bus.hashchain import append, verify
from listener.bus.protocol import Bus, Commit, Message, Record, TopicPartition, open_bus
from listener.clock import SystemClock
from listener.errors import Refused
from listener.maintenance.copy import copy, prove
from listener.model.incidents import Action, Command, Presence
from listener.model.records import Decision, DecisionKind
from listener.model.topics import topic_specs
from listener.runtime.control import Control, say_presence

CLOCK = SystemClock()
SPECS = {spec.name: spec for spec in topic_specs(PARTITIONS, KEEP)}
Sites = Callable[[str], Site]


@pytest.fixture
def sites(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Sites]:
    """Further deployments, of either kind."""
    with ExitStack() as stack:
        count = 0

        def make(kind: str) -> Site:
            nonlocal count
            count += 1
            if (server := SITES[kind]) is None:
                return embedded(tmp_path / str(count))
            made = on_kafka(request.getfixturevalue(server), tmp_path / str(count), None)
            stack.callback(drop_topics, made.url)
            return made

        yield make


def fill(bus: Bus) -> None:
    """A deployment with a past: transactions, purges, what retention dropped, a compacted topic, chains, groups."""
    messages = [Message("mentions", f"x:{n}", f'{{"n":{n}}}'.encode()) for n in range(300)]
    bus.publish(messages[:50])
    consumer = bus.consumer(["mentions"], group="annotate", member="annotate")
    drain(consumer, 50)
    for start in range(50, 200, 30):
        with bus.transaction("annotate") as transaction:
            for message in messages[start : start + 30]:
                transaction.publish(message)
                transaction.publish(Message("findings", f"brann:{message.key}", message.value, 1))
        for message in messages[start : start + 3]:
            bus.publish([Message("volumes", "x:brann", message.value)])
    records = drain(consumer, 150)
    ends = {record.tp: record.offset + 1 for record in records}
    with bus.transaction("annotate") as transaction:
        transaction.commit(consumer, {tp: Commit(end, f'{{"brann":{{"n":{end - 1}}}}}') for tp, end in ends.items()})
    consumer.close()
    bus.publish(messages[200:])
    at = datetime.now(UTC)
    for n in range(5):
        append(bus, "decisions", Decision(kind=DecisionKind.NOTE, id=f"alert-{n}", at=at, by="Vakt"))
        bus.publish([Message("spending", "x:2031-01", b"%d" % n), Message("spending", "y:2031-01", b"%d" % n)])
    control = Control(bus)
    command = Command(action=Action.OPEN, at=at, by="Vakt", why="røyk", name="Brann", add=("brann",), review_after=60)
    control.append(command)
    bus.purge([(TopicPartition("mentions", record.partition), record.key) for record in records[:2]])


def placed(bus: Bus, topic: str) -> list[Record]:
    """Partitions come in any order."""
    return sorted(everything(bus, topic), key=lambda record: (record.partition, record.offset))


PAIRS = [
    ("embedded", "kafka"),
    ("kafka", "embedded"),
    ("embedded", "embedded"),
    pytest.param("kafka", "kafka", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("kind", "other"), PAIRS)
def test_every_record_stands_where_it_stood_and_groups_go_on_there(sites: Sites, kind: str, other: str) -> None:
    source, target = sites(kind), sites(other)
    with closing(source.open()) as old, closing(target.open()) as new:
        fill(old)
        said: list[tuple[str, int]] = []
        proofs, groups = copy(old, new, SPECS, CLOCK, lambda topic, count: said.append((topic, count)))
        counts = {proof.topic: proof.records for proof in proofs}
        assert counts["decisions"] == 5
        assert counts["spending"] == 2
        assert ("mentions", counts["mentions"]) in said
        for topic in ("mentions", "findings", "volumes", "control", "decisions"):
            assert placed(new, topic) == placed(old, topic), topic
        assert {r.key: r.value for r in everything(new, "spending")} == {"x:2031-01": b"4", "y:2031-01": b"4"}
        assert new.commits("annotate") == old.commits("annotate") == groups["annotate"]
        assert Control(new).refresh() == Control(old).refresh()
        verify(everything(new, "decisions"))
        _goes_on(new, old)


def _goes_on(new: Bus, old: Bus) -> None:
    """What comes after is behind it, and a group reads what it has not committed, once."""
    left = sum(old.lag("annotate").values())
    assert sum(new.lag("annotate").values()) == left
    new.publish([Message("mentions", "x:new", b"{}")])
    consumer = new.consumer(["mentions"], group="annotate", member="annotate")
    records = drain(consumer, left + 1)
    assert len(records) == left + 1
    for tp, commit in old.commits("annotate").items():
        assert min((r.offset for r in records if r.tp == tp), default=commit.offset) >= commit.offset
        assert consumer.committed(tp) == commit
    consumer.close()
    at = datetime.now(UTC)
    append(new, "decisions", Decision(kind=DecisionKind.NOTE, id="alert-9", at=at, by="Vakt"))
    verify(everything(new, "decisions"))


def test_what_retention_dropped_from_the_beginning_leaves_the_offsets_as_they_were(sites: Sites) -> None:
    source, target, back = sites("embedded"), sites("kafka"), sites("embedded")
    with closing(source.open()) as old, closing(target.open()) as new, closing(back.open()) as third:
        old.publish([Message("mentions", f"x:{n}", b"{}", 0) for n in range(2500)])
        old.publish([Message("mentions", f"y:{n}", b"{}", 1) for n in range(700)])
        old.retain(datetime.now(UTC) + KEEP[SPECS["mentions"].retention] + timedelta(hours=1))
        old.publish([Message("mentions", f"z:{n}", b"{}", 0) for n in range(10)])
        copy(old, new, SPECS, CLOCK, lambda topic, count: None)
        assert new.begin_offset(TopicPartition("mentions", 0)) == 2500
        assert new.end_offset(TopicPartition("mentions", 1)) == 700
        assert [r.offset for r in everything(new, "mentions")] == list(range(2500, 2510))
        new.publish([Message("mentions", "y:late", b"{}", 1)])
        copy(new, third, SPECS, CLOCK, lambda topic, count: None)
        assert placed(third, "mentions") == placed(new, "mentions")
        assert prove(third, SPECS["mentions"]) == prove(new, SPECS["mentions"])


@pytest.mark.parametrize("kind", ["embedded", "kafka"])
def test_a_target_that_holds_anything_is_refused_and_left_alone(sites: Sites, kind: str) -> None:
    source, target = sites("embedded"), sites(kind)
    with closing(source.open()) as old, closing(target.open()) as new:
        old.publish([Message("mentions", "x:1", b"{}")])
        new.publish([Message("volumes", "x:1", b"{}")])
        with pytest.raises(Refused, match=r"not empty \(volumes\)"):
            copy(old, new, SPECS, CLOCK, lambda topic, count: None)
        assert everything(new, "mentions") == []


@pytest.mark.parametrize("kind", ["embedded", "kafka"])
def test_a_source_that_somebody_runs_on_is_refused(sites: Sites, kind: str) -> None:
    source, target = sites(kind), sites("embedded")
    with closing(source.open()) as old, closing(target.open()) as new:
        there = Presence(process="all@ward", roles=("listener",), host="ward", pid=1, epoch=0, at=datetime.now(UTC))
        say_presence(old, there)
        with pytest.raises(Refused, match="all@ward"):
            copy(old, new, SPECS, CLOCK, lambda topic, count: None)
        assert new.groups() == []


def test_a_source_that_holds_no_topic_of_ours_is_refused(sites: Sites) -> None:
    empty, target = sites("embedded"), sites("embedded")
    with (
        closing(open_bus(empty.url, empty.folder, CLOCK)) as old,
        closing(target.open()) as new,
        pytest.raises(Refused, match="no topic of ours"),
    ):
        copy(old, new, SPECS, CLOCK, lambda topic, count: None)
