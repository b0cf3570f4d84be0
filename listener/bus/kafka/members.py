"""Members of a consumer group on Kafka.

kafka-python goes on reading for a member whose place another took, so a member that hears nothing asks whether it is
still one. Partitions change only inside `poll`, in the caller's own thread.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from kafka import ConsumerRebalanceListener, KafkaConsumer
from kafka.admin import MemberToRemove
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafka.structs import ConsumerGroupMetadata, MemberState

from listener.bus.kafka.client import settle_join
from listener.bus.kafka.cluster import ANSWER_SECONDS, Cluster, safe
from listener.bus.kafka.readers import Reader, ms
from listener.bus.kafka.writer import Writer
from listener.bus.protocol import Commit, Record, TopicPartition
from listener.errors import BusError, Fenced

if TYPE_CHECKING:
    from kafka import TopicPartition as KafkaPartition

SESSION_SECONDS = 6.0
"""A member whose process is gone is replaced after this: the least that brokers allow unless told otherwise."""
BEAT_SECONDS = 0.5
PLACE_SECONDS = 10.0
"""A member that hears nothing asks so often whether it is still one: its heartbeats should have told it before."""
LEAVE_SECONDS = 1.0
AGAIN_SECONDS = 0.02
"""After this what was committed a moment ago is asked for once more, at the end of each transaction."""
REBALANCE_SECONDS = 60.0
"""A member that does not poll for so long loses its place when another joins."""


class Member(Reader):
    """A member of a group. Every assignment begins again from what the group committed; so does who was fenced."""

    def __init__(
        self,
        cluster: Cluster,
        topics: Iterable[str],
        group: str,
        member: str,
        on_assign: Callable[[frozenset[TopicPartition]], None] | None,
    ) -> None:
        super().__init__(
            cluster,
            {},
            group_id=cluster.name(group),
            group_instance_id=safe(member),
            partition_assignment_strategy=[RoundRobinPartitionAssignor],
            session_timeout_ms=ms(SESSION_SECONDS),
            heartbeat_interval_ms=ms(BEAT_SECONDS),
            max_poll_interval_ms=ms(REBALANCE_SECONDS),
            retry_backoff_ms=ms(AGAIN_SECONDS),
        )
        self.group = group
        self.member = member
        self.writer = Writer(cluster, f"{group}.{member}")
        self._topics = [cluster.name(topic) for topic in topics]
        self._on_assign = on_assign
        self._listener = _Listener(self._consumer)
        self._mine: frozenset[TopicPartition] = frozenset()
        self._place = ConsumerGroupMetadata(group_id=cluster.name(group))
        self._stale = False
        self._fenced = False
        self._asked = time.monotonic()
        self._join()

    @property
    def assignment(self) -> frozenset[TopicPartition]:
        return self._mine

    @property
    def place(self) -> ConsumerGroupMetadata:
        """The membership under which the records at hand were read: the broker fences any other."""
        return self._place

    def committed(self, tp: TopicPartition) -> Commit | None:
        found = self._ask(
            "ask for commits",
            lambda c: c.committed(self._cluster.at(tp), metadata=True, timeout_ms=ms(ANSWER_SECONDS)),
        )
        return None if found is None or found.offset < 0 else Commit(found.offset, found.metadata or "")

    def poll(self, timeout: float, limit: int = 1000) -> list[Record]:
        """Raises Fenced when another process took this member's name: this one must stop."""
        if self._fenced:
            raise Fenced(f"another process runs as {self.member} in group {self.group}")
        if self._stale:
            self._check_alive()
            self._consumer.unsubscribe()
            self._mine = frozenset()
            self._empty_until = float("-inf")
            self._join()
            self._stale = False
        return super().poll(timeout, limit)

    def await_settled(self, tp: TopicPartition) -> None:
        """Until what was committed is what `committed` tells."""
        with suppress(BusError):
            self.committed(tp)

    def fence(self, *, by_namesake: bool) -> None:
        """A commit was refused: what was read since the last one is another's."""
        self._stale, self._fenced = True, self._fenced or by_namesake

    def close(self) -> None:
        """Static members stay when they only close: so leave by name, unless a namesake has taken over."""
        place = self._now() if self._closing.alive else self._place
        super().close()
        self.writer.close()
        self._mine = frozenset()
        if place.member_id and not self._fenced and not self._cluster.closed.is_set():
            me = MemberToRemove(place.member_id, safe(self.member))
            group = self._cluster.name(self.group)
            self._cluster.ask("leave the group", lambda admin: admin.remove_group_members(group, [me]), LEAVE_SECONDS)

    def _now(self) -> ConsumerGroupMetadata:
        found: ConsumerGroupMetadata = self._consumer.group_metadata()
        return found

    def _join(self) -> None:
        self._listener.anew = False
        self._ask("join the group", lambda c: c.subscribe(self._topics, listener=self._listener))
        # A leader who does not know the topics yet would deal out nothing, and soon begin again.
        self._ask("join the group", lambda c: c.bootstrap(timeout_ms=ms(ANSWER_SECONDS), refresh=True))

    def _slice(self, wait: float, limit: int) -> list[Record]:
        settle_join(self._consumer)
        records = super()._slice(wait, limit)
        if not self._listener.anew:
            return records
        self._begin()
        return super()._slice(wait, limit)

    def _look_after(self, now: float) -> None:
        super()._look_after(now)
        if now - max(self._heard, self._asked) > PLACE_SECONDS:
            self._check_alive()
            self._asked = now

    def _rest(self, limit: int) -> list[Record]:
        return []

    def _begin(self) -> None:
        """A new assignment, whose partitions are held still until they stand where the group is."""
        held = self._consumer.assignment()
        self._mine = frozenset(self._cluster.back(tp) for tp in held)
        self._place = self._now()
        if self._mine:
            # Settles what a former run of this member left open; what the group committed is not told before.
            self.writer.begin()
        begins = self._cluster.begins(self._mine)
        for tp in self._mine:
            commit = self.committed(tp)
            self.seek(tp, begins[tp] if commit is None else commit.offset)
        if self._on_assign:
            self._on_assign(self._mine)
        self._cluster.counts.rebalances[self.group] += 1
        self._consumer.resume(*held)
        # Last, so that an assignment whose handling failed is made again.
        self._listener.anew = False

    def _check_alive(self) -> None:
        """The cluster is there, and knows us."""
        now = self._now()
        found = self._cluster.ask(
            "ask for the group", lambda admin: admin.describe_groups([self._cluster.name(self.group)])
        )
        members = [member for group in found.values() for member in group["members"]]
        namesakes = {each["member_id"] for each in members if each["group_instance_id"] == now.group_instance_id}
        if now.state == MemberState.REBALANCING:
            # The broker may know us by a name already that it has not told us.
            return
        ours = {now.member_id, self._place.member_id} - {""}
        if ours and namesakes and ours.isdisjoint(namesakes):
            self._fenced = True
            raise Fenced(f"another process runs as {self.member} in group {self.group}")
        # Put out, and its client has not noticed: it joins again.
        self._stale = self._stale or not namesakes


class _Listener(ConsumerRebalanceListener):
    """Called on the client's own thread, where nothing may wait: it only holds the new partitions still."""

    def __init__(self, consumer: KafkaConsumer) -> None:
        self._consumer = weakref.proxy(consumer)
        self.anew = False

    def on_partitions_revoked(self, revoked: set[KafkaPartition]) -> None:
        pass

    def on_partitions_assigned(self, assigned: set[KafkaPartition]) -> None:
        self._consumer.pause(*assigned)
        self.anew = True
