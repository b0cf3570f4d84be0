"""A member of a group that the brokers have put out, and that its client takes for one all the same, joins again.

kafka-python comes to think so when the answer to a heartbeat of before arrives while it joins: it forgets its
generation, and then takes the join for done. It sends no heartbeats from then on, and of itself never joins again.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from broker import Cluster
from kafka.admin import MemberToRemove
from kafka.structs import MemberState
from topics import drop_topics

from listener.bus.kafka.bus import KafkaBus
from listener.bus.kafka.members import PLACE_SECONDS, Member
from listener.bus.protocol import Message, open_bus
from listener.clock import SystemClock
from listener.model.topics import TOPICS


@pytest.fixture
def bus(kafka_cluster: Cluster, tmp_path: Path) -> Iterator[KafkaBus]:
    url = f"{kafka_cluster.url}?prefix=members{uuid.uuid4().hex[:6]}"
    with closing(open_bus(url, tmp_path, SystemClock())) as made:
        assert isinstance(made, KafkaBus)
        made.ensure([TOPICS["control"]])
        yield made
    drop_topics(url)


def heard(member: Member, count: int) -> list[str]:
    """The keys of the next records, as they come within 20 seconds; so many, or the few more of the last poll."""
    deadline = time.monotonic() + 20
    keys: list[str] = []
    while len(keys) < count and time.monotonic() < deadline:
        keys += [record.key for record in member.poll(0.5)]
    return keys


@pytest.fixture
def member(bus: KafkaBus) -> Iterator[Member]:
    """One that has joined and heard a record, and has committed nothing."""
    with closing(bus.consumer(["control"], group="stage", member="a")) as joined:
        assert isinstance(joined, Member)
        bus.publish([Message("control", "one", b"{}")])
        assert heard(joined, 1) == ["one"]
        yield joined


def test_who_lost_its_generation_while_it_joined_joins_again(bus: KafkaBus, member: Member) -> None:
    coordinator = member._consumer._coordinator
    coordinator.reset_generation()
    coordinator.rejoin_needed, coordinator.state = False, MemberState.STABLE
    bus.publish([Message("control", "two", b"{}")])
    # It may read on first; then it begins again from the beginning, for nothing is committed.
    assert heard(member, 3)[-2:] == ["one", "two"]
    assert member.place.generation_id > 0


def test_who_was_put_out_and_has_not_heard_of_it_joins_again(bus: KafkaBus, member: Member) -> None:
    before = member.place.member_id
    # What is said of it by heartbeats does not reach it any more.
    member._consumer._coordinator._disable_heartbeat()
    group, me = bus.cluster.name("stage"), MemberToRemove(before, "a")
    bus.cluster.ask("put it out", lambda admin: admin.remove_group_members(group, [me]))
    deadline = time.monotonic() + PLACE_SECONDS + 20
    while member.place.member_id == before and time.monotonic() < deadline:
        member.poll(0.5)
    assert member.place.member_id not in ("", before)
