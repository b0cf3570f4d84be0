"""Writing: one record at a time, or many with offsets in a transaction, each with a time limit and a certain outcome.

A write that failed throws its producer away; the next one takes a new producer, which first settles what the old one
left open. Where it cannot be known whether a commit took effect, `Unsure` says so.

A transaction goes in one step (`transactions`) where the cluster has `transaction.version` 2, in kafka-python's steps
where it has not; it is asked at each beginning, until it was once seen without. For 1, 100 and 500 records with a
group's offsets, waited for until they can be read, that is some 2.4, 2.4 and 4.0 ms of processor time for 4.8, 5.8 and
14.1: `tests/bench/kafka_transactions.py`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from kafka import KafkaProducer, errors
from kafka.structs import OffsetAndMetadata

from listener.bus.kafka.batches import Put
from listener.bus.kafka.client import TransactionSteps, end_thread
from listener.bus.kafka.cluster import ANSWER_SECONDS, Cluster, names_in
from listener.bus.kafka.protocol_client import ProtocolClient
from listener.bus.kafka.transactions import GroupCommit, TransactionalProducer
from listener.bus.protocol import Commit, TopicPartition
from listener.crashpoints import point
from listener.errors import BusError, Fenced, LyttepostError

DELIVERY_SECONDS = 8.0
"""A record that no broker has taken by then has failed."""
TRANSACTION_SECONDS = 10.0
"""The broker ends a transaction that its writer left open after so long; until then nobody reads past it."""
MARGIN_SECONDS = 1.0
CLOSE_SECONDS = 1.0
VISIBLE_SECONDS = 1.0
MARKED_SECONDS = 0.01
"""So long brokers take, as a rule, until what was committed is readable: it is not asked before, nor more often."""
RETRY_WITHIN_SECONDS = 2.0
"""A write that failed faster than this failed for what its producer was, not because the cluster is away."""
CHUNK_BYTES = 4 << 20
"""So much is in flight at most: the producer itself would take any amount."""

NAMESAKE = "FencedInstanceIdError"
FENCED = {
    "ProducerFencedError",
    "InvalidProducerEpochError",
    "InvalidTxnStateError",
    NAMESAKE,
    "CommitFailedError",
    "IllegalGenerationError",
    "UnknownMemberIdError",
}
"""By name, because the client wraps some of them."""


class Unsure(BusError):
    """The cluster went away in the middle of a commit: it took effect or it did not."""


class Taken(Fenced):
    """Another took over. `by_namesake`: under the very name of this member."""

    by_namesake = False


class Single:
    """Writes durably, outside any transaction. Thread-safe."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._lock = threading.Lock()
        self._producer: Any = None

    def put(self, put: Put) -> int:
        """The offset. Raises BusError; the record may have been written all the same when the cluster went away."""
        return self.put_all([put])[0]

    def put_all(self, puts: Sequence[Put]) -> list[int]:
        """The offsets, in order. Not all or nothing: what stands before one that failed may have been written."""
        producer = self._ready()
        try:
            offsets = _send_all(self._cluster, producer, puts)
        except (errors.KafkaError, ValueError) as error:
            self._cluster.counts.producer_errors[type(error).__name__] += 1
            with self._lock:
                if self._producer is producer:
                    self._producer = None
            _discard(producer)
            raise self._cluster.explain(error, f"write to {puts[0].tp.topic}") from None
        self._cluster.written += 1
        return offsets

    def _ready(self) -> Any:
        with self._lock:
            if self._producer is None:
                self._producer = _producer(self._cluster, linger_ms=0)
            return self._producer

    def close(self) -> None:
        with self._lock:
            if self._producer is not None:
                _close(self._producer)
                self._producer = None


class Writer:
    """One transactional id. Who begins to write under it fences whoever wrote under it before. Thread-safe."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.name = name
        self.lock = threading.RLock()
        self._cluster = cluster
        self._producer: AnyProducer | None = None

    @property
    def began(self) -> bool:
        """Nobody else has begun to write under this name since, as far as we know."""
        return self._producer is not None

    def begin(self) -> None:
        """Fence the others and settle what they or we left open. Raises BusError."""
        self._ready()

    def _ready(self) -> AnyProducer:
        with self.lock:
            if self._producer is not None:
                return self._producer
            producer = self._made()
            try:
                producer.begin(round(TRANSACTION_SECONDS * 1000))
            except errors.KafkaError as error:
                producer.discard()
                self._cluster.counts.producer_errors[type(error).__name__] += 1
                raise self._cluster.explain(producer.last_error or error, f"begin to write as {self.name}") from None
            self._producer = producer
            return producer

    def write(self, puts: Sequence[Put], groups: Sequence[GroupCommit] = (), *, insist: bool = False) -> list[int]:
        """All of it or nothing, and readable when this returns. The offsets, in order.

        `insist`: begin anew once where the producer went out of date. Not for whom a new beginning could rob another.
        Raises Taken (nothing written), Unsure, or BusError (nothing written).
        """
        with self.lock:
            fresh, started = not self.began, time.monotonic()
            try:
                self.begin()
                return self._write(puts, groups)
            except (Fenced, Unsure):
                raise
            except BusError:
                # What a producer knows goes out of date: its id expires after a week's silence, brokers change.
                if fresh or not insist or time.monotonic() - started > RETRY_WITHIN_SECONDS:
                    raise
                self._cluster.counts.retries[self.name] += 1
                self.begin()
                return self._write(puts, groups)

    def _made(self) -> AnyProducer:
        """Connected. Which of the two is a question of what the cluster has agreed on."""
        name, cluster = self._cluster.name(self.name), self._cluster
        if not cluster.takes_steps:
            client = cluster.make("write", ProtocolClient)
            try:
                if client.has_transactions_in_one_step(time.monotonic() + ANSWER_SECONDS):
                    return TransactionalProducer(client, name, DELIVERY_SECONDS, cluster.at, cluster.closed)
            except errors.KafkaError as error:
                client.close()
                raise cluster.explain(error, "ask for the cluster's features") from None
            client.close()
            cluster.takes_steps = True
        return SteppedProducer(cluster, name)

    def _write(self, puts: Sequence[Put], groups: Sequence[GroupCommit]) -> list[int]:
        producer, committing = self._ready(), False
        try:
            offsets = producer.send(puts, groups)
            point("bus.before_commit")
            committing = True
            producer.commit()
        except (errors.KafkaError, ValueError) as error:
            raise self._failed(producer, error, committing=committing) from None
        except BaseException:
            self.drop()
            raise
        self._await_readable(producer, puts, offsets, groups)
        self._cluster.written += 1
        point("bus.after_commit")
        return offsets

    def abort(self, puts: Sequence[Put]) -> None:
        """Write what nobody reads. Raises BusError."""
        with self.lock:
            producer = self._ready()
            try:
                producer.send(puts)
                producer.abort()
            except (errors.KafkaError, ValueError) as error:
                raise self._failed(producer, error, committing=False) from None

    def _failed(self, producer: AnyProducer, error: Exception, *, committing: bool) -> LyttepostError:
        causes = [error, producer.last_error]
        self._cluster.counts.producer_errors[type(error).__name__] += 1
        fenced = FENCED & {name for cause in causes if cause is not None for name in names_in(cause)}
        aborted = False
        away = any(isinstance(cause, errors.KafkaTimeoutError) for cause in causes)
        if not away and (producer.is_abortable() or not committing):
            try:
                producer.abort()
                aborted = True
            except errors.KafkaError:
                pass
        if not aborted:
            self.drop()
        if fenced:
            taken = Taken(f"{self.name}: another took over ({', '.join(sorted(fenced))})")
            taken.by_namesake = NAMESAKE in fenced
            return taken
        if committing and not aborted:
            return Unsure(f"kafka {self._cluster.hosts}: away while {self.name} committed; what it wrote may be there")
        return self._cluster.explain(causes[1] or error, f"write as {self.name}")

    def _await_readable(
        self,
        producer: AnyProducer,
        puts: Sequence[Put],
        offsets: Sequence[int],
        groups: Sequence[GroupCommit],
    ) -> None:
        """A commit is certain before it is readable; and who begins anew before that is made to wait longer."""
        last: dict[TopicPartition, int] = {}
        for put, offset in zip(puts, offsets, strict=True):
            last[put.tp] = max(offset, last.get(put.tp, -1))
        deadline = time.monotonic() + VISIBLE_SECONDS
        if producer.await_readable(last, groups, MARKED_SECONDS, deadline):
            return
        self._await_visible(last, deadline)
        for group in groups:
            group.await_settled(next(iter(group.commits)))

    def _await_visible(self, last: dict[TopicPartition, int], deadline: float) -> None:
        while last and time.monotonic() < deadline:
            self._cluster.closed.wait(MARKED_SECONDS)
            try:
                ends = self._cluster.ends(last)
            except LyttepostError:
                return
            last = {tp: offset for tp, offset in last.items() if ends[tp] <= offset}

    def drop(self) -> None:
        """Forget the producer: the next write begins anew, and what this one left open ends then, or by itself."""
        with self.lock:
            if self._producer is not None:
                self._producer.discard()
                self._producer = None

    def close(self) -> None:
        with self.lock:
            if self._producer is not None:
                self._producer.close()
                self._producer = None


class SteppedProducer:
    """A TransactionalProducer for clusters without `transaction.version` 2: kafka-python's, step by step.

    Each record is a call and each step a question of its own, which costs two to four times as much.
    """

    def __init__(self, cluster: Cluster, name: str) -> None:
        self._cluster = cluster
        self._producer = _producer(
            cluster,
            linger_ms=20,
            transactional_id=name,
            transaction_timeout_ms=round(TRANSACTION_SECONDS * 1000),
        )
        self._steps = TransactionSteps(self._producer, DELIVERY_SECONDS)

    @property
    def last_error(self) -> Exception | None:
        return self._steps.last_error

    def begin(self, timeout_ms: int) -> None:
        self._producer.init_transactions()

    def send(self, puts: Sequence[Put], groups: Sequence[GroupCommit] = ()) -> list[int]:
        self._producer.begin_transaction()
        self._steps.add_partitions({self._cluster.at(put.tp) for put in puts})
        offsets = _send_all(self._cluster, self._producer, puts)
        for group in groups:
            places = {self._cluster.at(tp): _place(commit) for tp, commit in group.commits.items()}
            self._steps.send_offsets(places, group.metadata)
        return offsets

    def commit(self) -> None:
        self._steps.commit()

    def abort(self) -> None:
        self._steps.abort()

    def is_abortable(self) -> bool:
        return self._steps.is_abortable()

    def await_readable(self, *asked: object) -> bool:
        """Not known here."""
        return False

    def discard(self) -> None:
        _discard(self._producer)

    def close(self) -> None:
        _close(self._producer)


AnyProducer = TransactionalProducer | SteppedProducer


def _producer(cluster: Cluster, **options: Any) -> Any:
    """A KafkaProducer; no type of it, for its parts that wait without a limit are gone round."""
    return cluster.make(
        "write",
        KafkaProducer,
        acks="all",
        enable_idempotence=True,
        batch_size=256 << 10,
        compression_type="lz4",
        max_block_ms=round(DELIVERY_SECONDS * 1000),
        delivery_timeout_ms=round(DELIVERY_SECONDS * 1000),
        metrics_enabled=False,
        **options,
    )


def _send(cluster: Cluster, producer: Any, put: Put) -> Any:
    topic, partition = cluster.at(put.tp)
    return producer.send(topic, put.value, put.key.encode(), partition=partition, timestamp_ms=put.time_ms)


def _send_all(cluster: Cluster, producer: Any, puts: Sequence[Put]) -> list[int]:
    """Their offsets, once all are taken."""
    offsets: list[int] = []
    waiting: list[Any] = []
    size = 0
    for put in puts:
        waiting.append(_send(cluster, producer, put))
        size += len(put.value or b"") + len(put.key)
        if size > CHUNK_BYTES:
            offsets += _taken(producer, waiting)
            waiting, size = [], 0
    return offsets + _taken(producer, waiting)


def _taken(producer: Any, waiting: Sequence[Any]) -> list[int]:
    if waiting:
        producer.flush(DELIVERY_SECONDS + MARGIN_SECONDS)
    return [int(future.get(MARGIN_SECONDS).offset) for future in waiting]


def _close(producer: Any) -> None:
    with suppress(errors.KafkaError):
        producer.close(CLOSE_SECONDS)
        return
    _discard(producer)


def _discard(producer: Any) -> None:
    end_thread(producer)
    with suppress(errors.KafkaError):
        producer.close(CLOSE_SECONDS)


def _place(commit: Commit) -> OffsetAndMetadata:
    return OffsetAndMetadata(commit.offset, commit.metadata, -1)
