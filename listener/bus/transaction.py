"""What a transaction is to hold: collected here, written by its bus when the block is left without an exception."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from listener.bus.protocol import Commit, Consumer, Lease, Message, TopicPartition, check_metadata
from listener.errors import BusError

MemberT = TypeVar("MemberT", bound=Consumer)
LeaseT = TypeVar("LeaseT", bound=Lease)


class CollectedTransaction(Generic[MemberT, LeaseT]):
    """`member` and `lease` are the classes of the bus that writes it: nothing of another bus is taken."""

    def __init__(self, member: type[MemberT], lease: type[LeaseT]) -> None:
        self._member = member
        self._lease = lease
        self.messages: list[Message] = []
        self.commits: list[tuple[MemberT, Mapping[TopicPartition, Commit]]] = []
        self.lease: LeaseT | None = None
        self.then: list[Callable[[], None]] = []

    def publish(self, message: Message) -> None:
        self.messages.append(message)

    def commit(self, consumer: Consumer, commits: Mapping[TopicPartition, Commit]) -> None:
        if not isinstance(consumer, self._member):
            raise BusError("only a member of a group commits; this reader reads by itself")
        check_metadata(commits)
        self.commits.append((consumer, dict(commits)))

    def hold(self, lease: Lease) -> None:
        if not isinstance(lease, self._lease):
            raise BusError("only a lease of this bus can be held in its transaction")
        if self.lease not in (None, lease):
            raise BusError("a transaction holds one lease")
        self.lease = lease

    def on_commit(self, then: Callable[[], None]) -> None:
        self.then.append(then)
