"""What a transaction on Kafka is to hold: gathered here, written by the bus when the block is left."""

from __future__ import annotations

from collections.abc import Mapping

from listener.bus.kafka.lease import KafkaLease
from listener.bus.kafka.members import Member
from listener.bus.protocol import Commit, Consumer, Lease, Message, TopicPartition, check_metadata
from listener.errors import BusError


class KafkaTransaction:
    """Collects; the bus writes it all when the block is left without an exception."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.commits: list[tuple[Member, Mapping[TopicPartition, Commit]]] = []
        self.lease: KafkaLease | None = None

    def publish(self, message: Message) -> None:
        self.messages.append(message)

    def commit(self, consumer: Consumer, commits: Mapping[TopicPartition, Commit]) -> None:
        if not isinstance(consumer, Member):
            raise BusError("only a member of a group commits; this reader reads by itself")
        check_metadata(commits)
        self.commits.append((consumer, dict(commits)))

    def hold(self, lease: Lease) -> None:
        if not isinstance(lease, KafkaLease):
            raise BusError("only a lease of this bus can be held in its transaction")
        if self.lease not in (None, lease):
            raise BusError("a transaction holds one lease: it is written under that lease's transactional id")
        self.lease = lease
