"""Requests of Kafka's own protocol, sent in the caller's thread. Besides `client` the one file that touches what
kafka-python keeps to itself, of the same versions (see `client.VERSIONS`).

kafka-python's clients hand each request over to a thread of their own and wait for it there. Its connections, with
their TLS, SASL, throttling and reconnecting, are worked here by whoever waits for an answer: there is no other thread.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from kafka import IsolationLevel, OffsetSpec, errors
from kafka import TopicPartition as KafkaPartition
from kafka.future import Future
from kafka.protocol.consumer import ListOffsetsRequest, OffsetFetchRequest
from kafka.protocol.metadata import ApiVersionsRequest, CoordinatorType, FindCoordinatorRequest
from kafka.protocol.producer import EndTxnRequest, InitProducerIdRequest, ProduceRequest, TxnOffsetCommitRequest
from kafka.structs import ConsumerGroupMetadata

from listener.bus.kafka.batches import NOBODY, Producer
from listener.bus.protocol import Commit

IN_FLIGHT = 32
"""Requests that one connection may have under way; no caller has so many."""
ACKS_MS = 3000
"""So long a leader waits for the copies of a batch."""
PRODUCE_VERSION, OFFSETS_VERSION, END_VERSION, INIT_VERSION = 12, 5, 5, 5
"""From these versions on records and offsets add their partition to the transaction themselves, and each transaction
has an epoch of its own (KIP-890). Of later versions nothing is known here."""
FEATURE, LEVEL = "transaction.version", 2

NOT_SENT = (errors.NodeNotReadyError, errors.UnknownBrokerIdError)
"""A request that failed by one of these never left us."""


class Asked(NamedTuple):
    """A request under way, and what reads its answer."""

    future: Any
    read: Callable[[Any], Any]

    def answer(self) -> Any:
        """Raises KafkaError: what became of the connection, KafkaTimeoutError where there is no answer yet."""
        if not self.future.is_done:
            raise errors.KafkaTimeoutError("no answer")
        failure = self.future.exception
        if isinstance(failure, errors.KafkaError):
            raise failure
        if failure is not None:
            raise errors.KafkaConnectionError(str(failure))
        return self.read(self.future.value)


class ProtocolClient:
    """Connects when made, within `bootstrap_timeout_ms`. Not thread-safe.

    Between two calls nothing moves: what happened meanwhile, a connection that was closed or leaders that are to be
    asked for again, is seen by `catch_up`.
    """

    def __init__(self, *, kafka_client: Callable[..., Any], bootstrap_timeout_ms: int, **options: Any) -> None:
        client = kafka_client(max_in_flight_requests_per_connection=IN_FLIGHT, **options)
        self._closing = weakref.finalize(self, client.close)
        self._net, self._manager = client._net, client._manager
        self._brokers = self._manager.cluster
        self._interrupted = False
        found = Asked(self._manager.bootstrap_async(bootstrap_timeout_ms), bool)
        self.ask(found, time.monotonic() + bootstrap_timeout_ms / 1000 + 1)

    def close(self) -> None:
        self._closing()

    # --- waiting -------------------------------------------------------------------------------------------------

    def catch_up(self) -> None:
        self._net.poll(timeout_ms=0)

    def wait(self, asked: Iterable[Asked], deadline: float) -> None:
        """Until each is answered or has failed, or it is `deadline` on the monotonic clock."""
        futures = [each.future for each in asked if not each.future.is_done]
        if not futures:
            return
        if threading.current_thread() is not threading.main_thread():
            self._work(futures, deadline)
            return
        # What the handler of a signal raises kafka-python would take for the failure of what it was at. Handlers run in
        # the main thread alone, so that is left to wait; who writes much does it in another.
        helper = threading.Thread(target=self._work, args=[futures, deadline], name="kafka-wait", daemon=True)
        helper.start()
        try:
            helper.join()
        except BaseException:
            self._interrupted = True
            self._net.wakeup()
            helper.join()
            raise

    def _work(self, futures: Iterable[Any], deadline: float) -> None:
        for future in futures:
            while not future.is_done and not self._interrupted:
                left = deadline - time.monotonic()
                # Also when it is too late: whoever was frozen meanwhile may have the answer at hand.
                self._net.poll(timeout_ms=max(left, 0) * 1000)
                if left <= 0:
                    return

    def ask(self, asked: Asked, deadline: float) -> Any:
        """The answer. Raises KafkaError."""
        self.wait([asked], deadline)
        return asked.answer()

    def _send(self, node: Any, request: Any, read: Callable[[Any], Any]) -> Asked:
        try:
            future = self._manager.send(request, node_id=node)
        except errors.KafkaError as error:
            future = Future().failure(error)
        except RuntimeError as error:
            # A connection that is closed, and has not told it yet.
            future = Future().failure(errors.KafkaConnectionError(str(error)))
        return Asked(future, read)

    # --- who is asked --------------------------------------------------------------------------------------------

    def has_transactions_in_one_step(self, deadline: float) -> bool:
        """Whether the cluster has agreed on them. Raises KafkaError."""
        request = ApiVersionsRequest(
            max_version=4, client_software_name="lyttepost", client_software_version="1", min_version=0
        )
        answer = self.ask(self._send(None, request, lambda answer: answer), deadline)
        if answer.error_code:
            return False
        newest = {each.api_key: each.max_version for each in answer.api_keys}
        needed: dict[Any, int] = {
            ProduceRequest: PRODUCE_VERSION,
            TxnOffsetCommitRequest: OFFSETS_VERSION,
            EndTxnRequest: END_VERSION,
            InitProducerIdRequest: INIT_VERSION,
        }
        agreed = {each.name: each.max_version_level for each in answer.finalized_features or ()}
        return agreed.get(FEATURE, 0) >= LEVEL and all(
            newest.get(kind.API_KEY, -1) >= version for kind, version in needed.items()
        )

    def leader(self, tp: KafkaPartition) -> int | None:
        """None: not known, or there is none. Raises TopicAuthorizationFailedError."""
        if tp.topic in self._brokers.unauthorized_topics:
            raise errors.TopicAuthorizationFailedError(tp.topic)
        node = self._brokers.leader_for_partition(tp)
        return None if node is None or node < 0 else int(node)

    def find_leaders(self, topics: Iterable[str], deadline: float) -> None:
        """Ask again who leads their partitions. What fails is seen by who asks `leader`."""
        for topic in topics:
            self._brokers.add_topic(topic)
        future = self._net.call_soon_with_future(self._brokers.refresh_metadata)
        self.wait([Asked(future, bool)], deadline)

    def find_coordinator(self, name: str, *, of_group: bool, deadline: float) -> int:
        """Of a group, or of a transactional id. Raises KafkaError."""
        kind = CoordinatorType.GROUP if of_group else CoordinatorType.TRANSACTION
        request = FindCoordinatorRequest(key=name, key_type=kind.value, coordinator_keys=[name])

        def read(answer: Any) -> int:
            found = answer.coordinators[0] if answer.API_VERSION >= 4 else answer
            if found.error_code:
                raise _error(found.error_code)(name)
            if self._brokers.broker_metadata(found.node_id) is None:
                self._brokers.request_update()
                raise errors.CoordinatorNotAvailableError(name)
            return int(found.node_id)

        return int(self.ask(self._send(None, request, read), deadline))

    # --- transactions --------------------------------------------------------------------------------------------

    def init_producer(self, node: int, name: str, timeout_ms: int) -> Asked:
        """Answered by a Producer."""
        request = InitProducerIdRequest(
            transactional_id=name,
            transaction_timeout_ms=timeout_ms,
            producer_id=NOBODY.id,
            producer_epoch=NOBODY.epoch,
            version=INIT_VERSION,
        )
        return self._send(node, request, _producer)

    def produce(self, node: int, name: str, batches: Mapping[KafkaPartition, bytes]) -> Asked:
        """Answered by {partition: offset of the first record, or why it was not taken}."""
        kind = ProduceRequest.TopicProduceData
        request = ProduceRequest(
            transactional_id=name,
            acks=-1,
            timeout_ms=ACKS_MS,
            topic_data=[
                kind(
                    name=topic,
                    partition_data=[
                        kind.PartitionProduceData(index=tp.partition, records=batches[tp])
                        for tp in batches
                        if tp.topic == topic
                    ],
                )
                for topic in {tp.topic for tp in batches}
            ],
            version=PRODUCE_VERSION,
        )
        return self._send(node, request, _offsets)

    def commit_offsets(
        self,
        node: int,
        name: str,
        producer: Producer,
        group: ConsumerGroupMetadata,
        commits: Mapping[KafkaPartition, Commit],
    ) -> Asked:
        """Answered by the errors that there were."""
        kind = TxnOffsetCommitRequest.TxnOffsetCommitRequestTopic
        request = TxnOffsetCommitRequest(
            transactional_id=name,
            group_id=group.group_id or "",
            producer_id=producer.id,
            producer_epoch=producer.epoch,
            generation_id=group.generation_id,
            member_id=group.member_id,
            group_instance_id=group.group_instance_id,
            topics=[
                kind(
                    name=topic,
                    partitions=[
                        kind.TxnOffsetCommitRequestPartition(
                            partition_index=tp.partition,
                            committed_offset=commit.offset,
                            committed_leader_epoch=-1,
                            committed_metadata=commit.metadata,
                        )
                        for tp, commit in commits.items()
                        if tp.topic == topic
                    ],
                )
                for topic in {tp.topic for tp in commits}
            ],
            version=OFFSETS_VERSION,
        )
        return self._send(node, request, _refusals)

    def end(self, node: int, name: str, producer: Producer, *, committed: bool) -> Asked:
        """Answered by the Producer of the next transaction."""
        request = EndTxnRequest(
            transactional_id=name,
            producer_id=producer.id,
            producer_epoch=producer.epoch,
            committed=committed,
            version=END_VERSION,
        )
        return self._send(node, request, _producer)

    # --- what can be read ----------------------------------------------------------------------------------------

    def ends(self, node: int, tps: Sequence[KafkaPartition]) -> Asked:
        """Answered by {partition: the offset up to which readers of what is committed come}, of those that tell it."""
        kind = ListOffsetsRequest.ListOffsetsTopic
        request = ListOffsetsRequest(
            replica_id=-1,
            isolation_level=IsolationLevel.READ_COMMITTED.value,
            topics=[
                kind(
                    name=topic,
                    partitions=[
                        kind.ListOffsetsPartition(partition_index=tp.partition, timestamp=int(OffsetSpec.LATEST))
                        for tp in tps
                        if tp.topic == topic
                    ],
                )
                for topic in {tp.topic for tp in tps}
            ],
            min_version=2,
            max_version=9,
        )
        return self._send(node, request, _ends)

    def settled(self, node: int, group: str, tp: KafkaPartition) -> Asked:
        """Answered by whether the coordinator tells what the group committed there: no transaction has it in hand."""
        kind = OffsetFetchRequest.OffsetFetchRequestGroup
        request = OffsetFetchRequest(
            groups=[
                kind(
                    group_id=group,
                    topics=[kind.OffsetFetchRequestTopics(name=tp.topic, partition_indexes=[tp.partition])],
                )
            ],
            require_stable=True,
            min_version=8,
            max_version=9,
        )
        return self._send(node, request, _settled)


def _error(code: int) -> type[errors.KafkaError]:
    found: type[errors.KafkaError] = errors.for_code(code)  # type: ignore[no-untyped-call]
    return found


def _producer(answer: Any) -> Producer:
    if answer.error_code:
        raise _error(answer.error_code)
    return Producer(answer.producer_id, answer.producer_epoch)


def _offsets(answer: Any) -> dict[KafkaPartition, int | errors.KafkaError]:
    found: dict[KafkaPartition, int | errors.KafkaError] = {}
    for topic in answer.responses:
        for each in topic.partition_responses:
            failure = _error(each.error_code)(each.error_message or "") if each.error_code else None
            found[KafkaPartition(topic.name, each.index)] = each.base_offset if failure is None else failure
    return found


def _refusals(answer: Any) -> list[errors.KafkaError]:
    codes = {each.error_code for topic in answer.topics for each in topic.partitions}
    return [_error(code)() for code in sorted(codes - {0})]


def _ends(answer: Any) -> dict[KafkaPartition, int]:
    return {
        KafkaPartition(topic.name, each.partition_index): each.offset
        for topic in answer.topics
        for each in topic.partitions
        if not each.error_code
    }


def _settled(answer: Any) -> bool:
    (group,) = answer.groups
    codes = {group.error_code, *(each.error_code for topic in group.topics for each in topic.partitions)}
    return errors.UnstableOffsetCommitError.errno not in codes
