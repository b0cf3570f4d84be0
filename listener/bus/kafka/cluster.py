"""One Kafka cluster as one deployment sees it: its address and names, its answers in time, its errors in our words.

Several deployments may share a cluster: `kafka://host:9092?prefix=north` puts `north.` before the names of its topics,
groups and transactional ids. Every question has a time limit: a broker that is away is reported, never waited for.
"""

from __future__ import annotations

import hashlib
import re
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Set
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from kafka import IsolationLevel, OffsetSpec, errors
from kafka import TopicPartition as KafkaPartition
from kafka.admin import KafkaAdminClient

from listener.bus.kafka.addresses import ADDRESSES
from listener.bus.kafka.client import DIRECT, Leaders, NetClients, look_anew, overhearing, tls_refusal
from listener.bus.protocol import TopicPartition
from listener.bus.stats import BusStats
from listener.clock import Clock
from listener.errors import BusError, ConfigError, LyttepostError
from listener.settings.bus_address import kafka_address
from listener.units import to_ms

if TYPE_CHECKING:
    from listener.settings.kafka import KafkaSettings

T = TypeVar("T")

ANSWER_SECONDS = 4.0
"""A cluster that has not answered in this time counts as away."""
LOGIN_SECONDS = 10.0
"""So long is a cluster given, once more, that takes our connection, must let us in and has never answered us."""
ADMIN_SECONDS = 2.0
"""So long an answer of one broker is waited for before another is asked."""
RETRY_SECONDS = 0.05
NAME_CHARS = 249

_PASSING = (errors.UnknownBrokerIdError, errors.BrokerNotAvailableError)
"""A client that was cut off knows no brokers for a moment; kafka-python does not call this retriable."""
_ERROR = re.compile(r"\w+Error\b")
_AWAY = frozenset({"KafkaTimeoutError", "RequestTimedOutError", "KafkaConnectionError", "NodeNotReadyError"})
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")

_DENIED = (
    errors.SaslAuthenticationFailedError,
    errors.AuthorizationError,
    errors.UnsupportedSaslMechanismError,
    errors.IllegalSaslStateError,
)
_WORDS: Mapping[type[BaseException], str] = {
    errors.NotEnoughReplicasError: "too few copies are in sync; are enough brokers up?",
    errors.NotEnoughReplicasAfterAppendError: "too few copies are in sync; are enough brokers up?",
    errors.InvalidTimestampError: "this machine's clock is far from the broker's; set the clock",
    errors.MessageSizeTooLargeError: "a record is larger than the topic's max.message.bytes allows",
    errors.RecordListTooLargeError: "a record is larger than the topic's max.message.bytes allows",
    errors.OffsetMetadataTooLargeError: "the broker's offset.metadata.max.bytes is below 4096; raise it",
    errors.KafkaStorageError: "the broker's disk has failed",
    errors.CoordinatorNotAvailableError: "no coordinator; are enough brokers up?",
    errors.LeaderNotAvailableError: "a partition has no leader; are enough brokers up?",
    errors.UnstableOffsetCommitError: "a member that is gone left a transaction open, which soon ends by itself",
    errors.GroupMaxSizeReachedError: "the group is full; raise the broker's group.max.size",
    errors.InvalidSessionTimeoutError: "the broker's group.min.session.timeout.ms is above 6000; lower it",
    errors.IllegalStateError: "the bus is closed",
}


class Cluster:
    """`rest` is what stands behind `kafka:`. Thread-safe; connects when first asked something."""

    def __init__(self, rest: str, settings: KafkaSettings) -> None:
        try:
            self.hosts, self.prefix = kafka_address(rest)
        except ValueError as error:
            raise ConfigError(f"bus.url: {error}") from None
        self.settings = settings
        self.counts = BusStats()
        self.closed = threading.Event()
        self.written = 0
        """Grows with every write of this process, so that its readers see at once what it wrote."""
        self.takes_steps = False
        """It was seen to be without `transaction.version` 2. Not asked again: the steps stay right when it has it."""
        self._security = settings.client()
        self._answered = self._security["security_protocol"] == "PLAINTEXT"
        """It has let us in before, or lets everybody in: from now on silence is silence."""
        self._lock = threading.Lock()
        self._admin: KafkaAdminClient | None = None
        self._leaders = Leaders()

    # --- names -------------------------------------------------------------------------------------------------

    def name(self, ours: str) -> str:
        """A topic's, group's or transaction's name on the cluster."""
        return self.prefix + ours

    def at(self, tp: TopicPartition) -> KafkaPartition:
        return KafkaPartition(self.prefix + tp.topic, tp.partition)

    def back(self, tp: KafkaPartition) -> TopicPartition:
        return TopicPartition(tp.topic.removeprefix(self.prefix), tp.partition)

    # --- asking ------------------------------------------------------------------------------------------------

    def options(self, **more: Any) -> dict[str, Any]:
        """Arguments that every client of kafka-python gets."""
        return {
            "bootstrap_servers": self.hosts,
            "client_id": "lyttepost",
            "proxy_url": DIRECT,
            "bootstrap_timeout_ms": round(ANSWER_SECONDS * 1000),
            "request_timeout_ms": round(ANSWER_SECONDS * 1000),
            "retry_backoff_ms": 20,
            "reconnect_backoff_max_ms": 1000,
            **self._security,
            **more,
        }

    def make(self, what: str, factory: Callable[..., T], **options: Any) -> T:
        """A client, connected. Raises ConfigError when the cluster refuses us, BusError when it is away."""
        try:
            made = self._make(what, factory, options)
        except BusError:
            # A login is several answers, and whoever is slow to give the last one may be about to say no.
            if self._answered or not self._accepts():
                raise
            patience = round(LOGIN_SECONDS * 1000)
            patient = {**options, "bootstrap_timeout_ms": patience, "request_timeout_ms": patience}
            made = self._make(what, factory, patient)
        self._answered = True
        return made

    def _make(self, what: str, factory: Callable[..., T], options: Mapping[str, Any]) -> T:
        self.check_open()
        net_clients = NetClients()
        with overhearing() as heard:
            try:
                return factory(**self.options(kafka_client=net_clients, **options))
            except (errors.KafkaError, OSError) as error:
                net_clients.close()
                raise self.explain(heard.reason(error), what) from None

    def _accepts(self) -> bool:
        """Whether any of the brokers takes a connection, be it only that."""
        for address in self.hosts.split(","):
            host, _, port = address.rpartition(":")
            with suppress(OSError, ValueError, OverflowError):
                for _, _, _, _, (at, *_) in ADDRESSES.find(host.strip("[]"), int(port)):
                    with suppress(OSError), socket.create_connection((at, int(port)), timeout=ADMIN_SECONDS):
                        return True
        return False

    def admin(self) -> KafkaAdminClient:
        with self._lock:
            if self._admin is None:
                self._admin = self.make("connect", KafkaAdminClient, request_timeout_ms=round(ADMIN_SECONDS * 1000))
            return self._admin

    def ask(self, what: str, question: Callable[[KafkaAdminClient], T], seconds: float = ANSWER_SECONDS) -> T:
        """The admin client's answer; what passes by itself is tried again. Raises BusError or ConfigError."""
        deadline = time.monotonic() + seconds
        while True:
            admin = self.admin()
            self.check_open()
            try:
                return question(admin)
            except errors.KafkaError as error:
                look_anew(admin)
                if not (error.retriable or isinstance(error, _PASSING)) or time.monotonic() > deadline:
                    raise self.explain(error, what) from None
            except (OSError, RuntimeError) as error:
                raise self.explain(error, what) from None
            self.closed.wait(RETRY_SECONDS)

    def offsets(
        self, tps: Iterable[TopicPartition], spec: int, *, committed: bool = True, seconds: float = ANSWER_SECONDS
    ) -> dict[TopicPartition, tuple[int, int]]:
        """Offset and time (ms, or -1) that `spec` names in each partition; `committed`: up to the last stable one."""
        wanted = {self.at(tp): spec for tp in tps}
        if not wanted:
            return {}
        level = IsolationLevel.READ_COMMITTED if committed else IsolationLevel.READ_UNCOMMITTED
        found = self.ask("ask for offsets", lambda admin: self._leaders.ask(admin, wanted, level), seconds)
        return {self.back(tp): (place.offset, place.timestamp) for tp, place in found.items()}

    def ends(self, tps: Iterable[TopicPartition], *, committed: bool = True) -> dict[TopicPartition, int]:
        found = self.offsets(tps, OffsetSpec.LATEST, committed=committed)
        return {tp: offset for tp, (offset, _) in found.items()}

    def begins(self, tps: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return {tp: offset for tp, (offset, _) in self.offsets(tps, OffsetSpec.EARLIEST).items()}

    # --- alerting ----------------------------------------------------------------------------------------------

    def explain(self, error: BaseException, what: str) -> LyttepostError:
        """Kafka's error → ours, with what to do."""
        name, where = type(error).__name__, f"kafka {self.hosts}"
        if isinstance(error, _DENIED):
            return ConfigError(f"{where}: may not {what} ({name}); see bus.kafka.sasl, bus.kafka.tls and the ACLs")
        if words := tls_refusal(error):
            return ConfigError(f"{where}: cannot {what}: TLS: {words}; see bus.kafka.tls")
        if words := _WORDS.get(type(error)):
            return BusError(f"{where}: cannot {what}: {words} ({name})")
        if isinstance(error, (errors.RetriableError, OSError, *_PASSING)) or not _AWAY.isdisjoint(names_in(error)):
            return BusError(f"{where}: cannot {what}: no answer ({name}); are the brokers up and reachable from here?")
        return BusError(f"{where}: cannot {what} ({name})")

    def check_open(self) -> None:
        if self.closed.is_set():
            raise BusError(f"kafka {self.hosts}: the bus is closed")

    def close(self) -> None:
        self.closed.set()
        with self._lock:
            if self._admin is not None:
                self._admin.close()


class Stamps:
    """The times of records: the clock's, never before a time that the partition has already. Thread-safe.

    Asks for a partition's newest time once; writers on other machines may differ by their clocks.
    """

    def __init__(self, cluster: Cluster, clock: Clock) -> None:
        self._cluster = cluster
        self._clock = clock
        self._lock = threading.Lock()
        self._newest: dict[TopicPartition, int] = {}

    def take(self, tps: Set[TopicPartition]) -> dict[TopicPartition, int]:
        """A time for what is written to these partitions now, in ms."""
        unknown = [tp for tp in tps if tp not in self._newest]
        found = self._cluster.offsets(unknown, OffsetSpec.MAX_TIMESTAMP)
        now = to_ms(self._clock.now())
        with self._lock:
            for tp in tps:
                self._newest[tp] = max(now, self._newest.get(tp, 0), found.get(tp, (0, 0))[1])
            return {tp: self._newest[tp] for tp in tps}


def names_in(error: BaseException) -> set[str]:
    """The names of this error and of those that its words tell of."""
    return {type(error).__name__, *_ERROR.findall(str(error))}


def safe(name: str) -> str:
    """A name with only what Kafka allows in a member's name; different ones stay different."""
    changed = _UNSAFE.sub(lambda found: f".{ord(found[0]):x}.", name)
    return changed if len(changed) <= NAME_CHARS else hashlib.sha256(name.encode()).hexdigest()
