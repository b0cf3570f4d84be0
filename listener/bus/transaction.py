"""What is to be written together: collected here, and written by whoever made it.

A bus writes its transactions when their block is left without an exception.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from listener.bus.protocol import Commit, Consumer, Lease, Message, TopicPartition, check_metadata
from listener.errors import BusError

MemberT = TypeVar("MemberT", bound=Consumer)
LeaseT = TypeVar("LeaseT", bound=Lease)


class CollectedWork:
    """A `UnitOfWork`: its messages in order, and what to do once they are written."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._then: list[Callable[[], None]] = []

    def publish(self, message: Message) -> None:
        self.messages.append(message)

    def on_commit(self, then: Callable[[], None]) -> None:
        self._then.append(then)

    def written(self) -> None:
        """All of it is durable: do what was to be done then."""
        for then in self._then:
            then()


class CollectedTransaction(CollectedWork, Generic[MemberT, LeaseT]):
    """`member` and `lease` are the classes of the bus that writes it: nothing of another bus is taken."""

    def __init__(self, member: type[MemberT], lease: type[LeaseT]) -> None:
        super().__init__()
        self._member = member
        self._lease = lease
        self.commits: list[tuple[MemberT, Mapping[TopicPartition, Commit]]] = []
        self.lease: LeaseT | None = None

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
