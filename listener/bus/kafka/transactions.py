"""Transactions in two questions: records and offsets together, then their end. Only where the cluster has agreed on it.

Since `transaction.version` 2 (KIP-890) a broker adds a partition to the transaction when it takes the first batch, and
a group when it takes its offsets; each transaction has an epoch of its own. So a batch can be sent again, whatever
became of its answer: the broker knows it by producer, epoch and number. And whoever ends a transaction again is told
how it ended. `writer` makes of both what it says of a write; an older cluster has its steps there.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import NamedTuple

from kafka import TopicPartition as KafkaPartition
from kafka import errors
from kafka.structs import ConsumerGroupMetadata

from listener.bus.kafka.batches import NOBODY, Producer, Put, batch, chunks
from listener.bus.kafka.protocol_client import NOT_SENT, Asked, ProtocolClient
from listener.bus.protocol import Commit, TopicPartition

RETRY_SECONDS = 0.01
LONGEST_RETRY_SECONDS = 0.2
PASSING = (
    *NOT_SENT,
    errors.RetriableError,
    errors.KafkaTimeoutError,
    errors.BrokerNotAvailableError,
)
"""What may be otherwise when it is asked again: a connection, who leads or coordinates, what has not ended yet."""


class GroupCommit(NamedTuple):
    """Offsets to go with a transaction, and how to wait until they are told to whoever asks."""

    metadata: ConsumerGroupMetadata
    commits: Mapping[TopicPartition, Commit]
    await_settled: Callable[[TopicPartition], None]

    @property
    def name(self) -> str:
        """The group's, on the cluster."""
        return self.metadata.group_id or ""


class Place(NamedTuple):
    """Who coordinates something: a group or a transactional id."""

    name: str
    of_group: bool


class TransactionalProducer:
    """Writes under one transactional id, `name`. Not thread-safe. Each step ends within `seconds`.

    Raises KafkaError everywhere: KafkaTimeoutError where the cluster did not answer in time, so that it is not known
    what became of a step; `last_error` then says what it answered before.
    """

    def __init__(
        self,
        client: ProtocolClient,
        name: str,
        seconds: float,
        at: Callable[[TopicPartition], KafkaPartition],
        closed: threading.Event,
    ) -> None:
        self._client = client
        self._name = name
        self._seconds = seconds
        self._at = at
        self._closed = closed
        self._place = Place(name, of_group=False)
        self._producer = NOBODY
        self._coordinators: dict[Place, int] = {}
        self._open = self._unknown = False
        self.last_error: Exception | None = None

    def begin(self, timeout_ms: int) -> None:
        """Fence who wrote under this name, and settle what they left open. `timeout_ms` is that of each transaction."""

        def init(node: int) -> Asked:
            return self._client.init_producer(node, self._name, timeout_ms)

        self._producer = self._insist(init)

    def send(self, puts: Sequence[Put], groups: Sequence[GroupCommit] = ()) -> list[int]:
        """Begin a transaction, write, and hand offsets over. The offsets of the records, in order."""
        self.last_error = None
        if not puts and not groups:
            return []
        self._client.catch_up()
        deadline = time.monotonic() + self._seconds
        self._open = True
        places: defaultdict[KafkaPartition, list[int]] = defaultdict(list)
        for number, put in enumerate(puts):
            places[self._at(put.tp)].append(number)
        offsets = [-1] * len(puts)
        taken = dict.fromkeys(places, 0)
        for batches in self._rounds({tp: [puts[number] for number in its] for tp, its in places.items()}):
            made = {tp: batch(chunk, self._producer, taken[tp]) for tp, chunk in batches.items()}
            for tp, first in self._deliver(made, groups, deadline).items():
                start, count = taken[tp], len(batches[tp])
                for delta, number in enumerate(places[tp][start : start + count]):
                    offsets[number] = first + delta
                taken[tp] += count
            groups = ()
        return offsets

    def commit(self) -> None:
        """Raises KafkaTimeoutError also where a later answer cannot tell what became of an earlier question."""
        self._end(committed=True)

    def abort(self) -> None:
        self._end(committed=False)

    def is_abortable(self) -> bool:
        """Whether the cluster said that the transaction was not committed, and can still be aborted."""
        return isinstance(self.last_error, errors.TransactionAbortableError)

    def await_readable(
        self, last: Mapping[TopicPartition, int], groups: Sequence[GroupCommit], pause: float, deadline: float
    ) -> bool:
        """Whether by `deadline` readers see all that stands up to these offsets, and the groups what they committed.

        Looks once each `pause` seconds, first after one. False also where it cannot be told.
        """
        left = {self._at(tp): offset for tp, offset in last.items()}
        unsettled = {group.name: self._at(next(iter(group.commits))) for group in groups}
        while left or unsettled:
            if self._closed.wait(pause) or time.monotonic() > deadline:
                return False
            try:
                ends, settled = self._look(left, unsettled, deadline)
            except errors.KafkaError:
                return False
            left = {tp: offset for tp, offset in left.items() if ends.get(tp, -1) <= offset}
            unsettled = {name: tp for name, tp in unsettled.items() if name not in settled}
        return True

    def _look(
        self, tps: Collection[KafkaPartition], groups: Mapping[str, KafkaPartition], deadline: float
    ) -> tuple[dict[KafkaPartition, int], set[str]]:
        """Up to where these partitions are read, and of which of these groups it is told what they committed."""
        by_leader: defaultdict[int, list[KafkaPartition]] = defaultdict(list)
        for tp in tps:
            leader = self._client.leader(tp)
            if leader is None:
                raise errors.LeaderNotAvailableError(tp.topic)
            by_leader[leader].append(tp)
        nodes = {name: self._coordinator(Place(name, of_group=True), deadline) for name in groups}
        asked = [self._client.ends(leader, its) for leader, its in by_leader.items()]
        settling = {name: self._client.settled(node, name, groups[name]) for name, node in nodes.items()}
        self._client.wait([*asked, *settling.values()], deadline)
        ends = {tp: end for each in asked for tp, end in each.answer().items()}
        return ends, {name for name, each in settling.items() if each.answer()}

    def discard(self) -> None:
        """Forget it as it is; the cluster aborts what it left open when another begins, or after a time."""
        self._client.close()

    close = discard

    # --- records and offsets -------------------------------------------------------------------------------------

    @staticmethod
    def _rounds(by_tp: Mapping[KafkaPartition, Sequence[Put]]) -> Iterator[dict[KafkaPartition, list[Put]]]:
        """One batch of each partition at a time: a request holds one, and the next waits until it is taken."""
        if not by_tp:
            yield {}
            return
        for row in zip_longest(*(chunks(puts) for puts in by_tp.values())):
            yield {tp: chunk for tp, chunk in zip(by_tp, row, strict=True) if chunk}

    def _deliver(
        self, batches: dict[KafkaPartition, bytes], groups: Sequence[GroupCommit], deadline: float
    ) -> dict[KafkaPartition, int]:
        """The offset of the first record of each batch, once all are taken, and the offsets of the groups too."""
        offsets: dict[KafkaPartition, int] = {}
        waiting, left, patience = dict(batches), list(groups), RETRY_SECONDS
        while True:
            passing = self._try(waiting, left, offsets, deadline)
            if not waiting and not left:
                return offsets
            self.last_error = passing
            patience = self._rest(patience, deadline)

    def _try(
        self,
        waiting: dict[KafkaPartition, bytes],
        left: list[GroupCommit],
        offsets: dict[KafkaPartition, int],
        deadline: float,
    ) -> errors.KafkaError | None:
        """Send all that waits and take out what was taken. What may pass is returned, anything else is raised."""
        passing: list[errors.KafkaError] = []
        failed: list[errors.KafkaError] = []

        def note(error: errors.KafkaError) -> None:
            (passing if isinstance(error, PASSING) else failed).append(error)

        # Who is to be asked is found out first, so that all then goes at once.
        leaders = self._leaders(waiting, deadline)
        nodes: list[tuple[GroupCommit, int]] = []
        for group in left:
            try:
                nodes.append((group, self._coordinator(Place(group.name, of_group=True), deadline)))
            except errors.KafkaError as error:
                note(error)
        by_leader: defaultdict[int, dict[KafkaPartition, bytes]] = defaultdict(dict)
        for tp, made in waiting.items():
            if (leader := leaders.get(tp)) is None:
                note(errors.LeaderNotAvailableError(tp.topic))
            else:
                by_leader[leader][tp] = made
        produced = [self._client.produce(leader, self._name, its) for leader, its in by_leader.items()]
        handed = [(group, self._hand_over(node, group)) for group, node in nodes]
        self._client.wait([*(each for _, each in handed), *produced], deadline)
        for group, asked in handed:
            try:
                refusals = asked.answer()
            except errors.KafkaError as unanswered:
                refusals = [unanswered]
            if not refusals:
                left.remove(group)
                continue
            for refusal in refusals:
                note(refusal)
            if not all(isinstance(each, errors.ConcurrentTransactionsError) for each in refusals):
                self._coordinators.pop(Place(group.name, of_group=True), None)
        stale = waiting.keys() - leaders.keys()
        for asked, its in zip(produced, by_leader.values(), strict=True):
            try:
                outcomes = asked.answer()
            except errors.KafkaError as error:
                outcomes = dict.fromkeys(its, error)
            for tp in its:
                outcome = outcomes.get(tp, errors.NetworkExceptionError("not in the answer"))
                if isinstance(outcome, errors.KafkaError):
                    note(outcome)
                    if not isinstance(outcome, errors.ConcurrentTransactionsError):
                        stale.add(tp)
                else:
                    offsets[tp] = outcome
                    del waiting[tp]
        if failed:
            self.last_error = failed[0]
            raise failed[0]
        if stale:
            self._client.find_leaders({tp.topic for tp in stale}, deadline)
        return passing[0] if passing else None

    def _hand_over(self, node: int, group: GroupCommit) -> Asked:
        commits = {self._at(tp): commit for tp, commit in group.commits.items()}
        return self._client.commit_offsets(node, self._name, self._producer, group.metadata, commits)

    def _leaders(self, tps: Collection[KafkaPartition], deadline: float) -> dict[KafkaPartition, int]:
        """Of those that have one."""
        found = {tp: self._client.leader(tp) for tp in tps}
        if unknown := {tp.topic for tp, leader in found.items() if leader is None}:
            self._client.find_leaders(unknown, deadline)
            found = {tp: self._client.leader(tp) for tp in tps}
        return {tp: leader for tp, leader in found.items() if leader is not None}

    # --- the coordinator -----------------------------------------------------------------------------------------

    def _end(self, *, committed: bool) -> None:
        if not self._open:
            return

        def end(node: int) -> Asked:
            return self._client.end(node, self._name, self._producer, committed=committed)

        try:
            self._producer = self._insist(end)
        except errors.KafkaError as error:
            if not self._unknown:
                raise
            self.last_error = None
            raise errors.KafkaTimeoutError("it is not known how the transaction ended") from error
        self._open = False

    def _insist(self, question: Callable[[int], Asked]) -> Producer:
        """Ask the coordinator until it answers by a Producer. Raises what else it answers, or KafkaTimeoutError.

        `_unknown` then says whether a question went out of which it is not known what it did: what is answered to a
        later one may be about that.
        """
        deadline = time.monotonic() + self._seconds
        patience, self._unknown = RETRY_SECONDS, False
        self.last_error = None
        while True:
            try:
                node = self._coordinator(self._place, deadline)
                asked = question(node)
            except errors.KafkaError as error:
                self.last_error = error
                if not isinstance(error, PASSING):
                    raise
            else:
                self._client.wait([asked], deadline)
                try:
                    producer: Producer = asked.answer()
                except (errors.ConcurrentTransactionsError, errors.CoordinatorLoadInProgressError) as error:
                    self.last_error = error
                except errors.KafkaError as error:
                    self.last_error = error
                    if not isinstance(error, PASSING):
                        raise
                    self._coordinators.pop(self._place, None)
                    # Also where it says that it could not write it down: the copies may have it all the same.
                    self._unknown = self._unknown or not isinstance(error, NOT_SENT)
                else:
                    return producer
            patience = self._rest(patience, deadline)

    def _coordinator(self, place: Place, deadline: float) -> int:
        if place not in self._coordinators:
            self._coordinators[place] = self._client.find_coordinator(
                place.name, of_group=place.of_group, deadline=deadline
            )
        return self._coordinators[place]

    def _rest(self, patience: float, deadline: float) -> float:
        """Wait before it is tried again; how long the next time. Raises KafkaTimeoutError when the time is up."""
        left = deadline - time.monotonic()
        if left <= 0 or self._closed.wait(min(patience, left)):
            raise errors.KafkaTimeoutError("no answer")
        return min(2 * patience, LONGEST_RETRY_SECONDS)
