"""What kafka-python keeps to itself is touched here, and beside it in `protocol_client`, for requests of our own, and
nowhere else: private attributes, internal modules, replaced names.

Seven things are here that its public interface cannot do. Connections are closed when they do not come about and are
read to their end, and the reason why none came about is found. An admin client looks anew for whom it asks. Batches are
unpacked several times as fast. The steps of a transaction are waited for with a limit. A join of a group is neither
lost nor taken for done. A fetch is waited for without a poll, and where a partition ends only its leader is asked.

Any version may change these parts, so `VERSIONS` says which ones are taken; pyproject.toml asks for the same.
"""

from __future__ import annotations

import logging
import ssl
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any

from kafka import IsolationLevel, errors
from kafka.consumer.fetcher import Fetcher
from kafka.net import manager, transport
from kafka.net.compat import KafkaNetClient
from kafka.net.inet import KafkaNetSocket
from kafka.record.default_records import DefaultRecordBatch
from kafka.record.util import decode_varint
from kafka.structs import ConsumerGroupMetadata, OffsetAndMetadata
from lz4.frame import LZ4FrameDecompressor  # type: ignore[import-untyped]

from listener.bus.kafka.addresses import Resolving

VERSIONS = ">=3.0.12,<3.1"
"""Tried on 3.0.12, the newest there is. Before raising the end, run the contract's and Kafka's tests on what is new."""

# --- connections -----------------------------------------------------------------------------------------------------

DIRECT = "direct://"
HANDSHAKE_SECONDS = 3.0
"""Less than a question waits for its answer, so that it is told that nobody is there and not that time was up."""


class ClosingSocket(Resolving, KafkaNetSocket):
    """Closes a socket that does not come to a connection; kafka-python leaves it to the garbage collector.

    While a cluster is away, with a refused connection each second and client, a process that collects seldom would run
    out of file handles. kafka-python finds this class by the scheme of `proxy_url`; it goes through no proxy.
    """

    SCHEMES = ("direct",)

    async def connect(self, net: Any, addrinfo: Any, socket_options: Any = (), timeout_at: float | None = None) -> Any:
        family, kind, protocol, _, address = addrinfo
        made = self.socket(family, kind, protocol)
        try:
            made.setblocking(False)
            for option in socket_options:
                made.setsockopt(*option)
            return await self.sock_connect(net, made, address, timeout_at=timeout_at)  # type: ignore[no-untyped-call]
        except BaseException:
            made.close()
            raise


class ToTheEnd(transport.KafkaTCPTransport):
    """Gives what was read first, and the end after it: kafka-python throws away what comes together with the end. A
    broker that refuses us says why and closes; on a busy machine a wrong password looked like a broker that is away."""

    def _sock_recv(self) -> tuple[bytes, BaseException | None]:
        data, error = super()._sock_recv()  # type: ignore[misc]
        return data, None if data else error


class ToTheEndUnderTls(transport.KafkaSSLTransport):
    """The same under TLS. kafka-python waits without a limit for a frozen broker's part in the handshake, or for a
    firewall that takes the connection and passes nothing on; and whoever asked anything waits with it."""

    async def handshake(self) -> None:
        """Raises KafkaTimeoutError when it has not ended within HANDSHAKE_SECONDS."""
        theirs: Any = self
        sock, net = theirs._sock, theirs._net
        give_up = time.monotonic() + HANDSHAKE_SECONDS
        try:
            while True:
                try:
                    sock.do_handshake()
                    return
                except ssl.SSLWantReadError:
                    await net.wait_read(sock, give_up)
                except ssl.SSLWantWriteError:
                    await net.wait_write(sock, give_up)
        except BaseException:
            # Nobody else closes what did not become a connection.
            sock.close()
            raise

    def _sock_recv(self) -> tuple[bytes, BaseException | None]:
        data, error = super()._sock_recv()  # type: ignore[misc]
        return data, None if data else error


# The client has no option for it: its connections are made of what these two names stand for.
vars(manager).update(KafkaTCPTransport=ToTheEnd, KafkaSSLTransport=ToTheEndUnderTls)


class NetClients:
    """Makes the connections of a client of kafka-python, and closes those of a client that did not come about."""

    def __init__(self) -> None:
        self._made: list[KafkaNetClient] = []

    def __call__(self, **options: Any) -> KafkaNetClient:
        """What the client's option `kafka_client` is given. An admin client cannot be told not to count what it does,
        several times a request."""
        self._made.append(KafkaNetClient(**{**options, "metrics": None}))
        return self._made[-1]

    def close(self) -> None:
        """End their threads and sockets, which kafka-python leaves behind when its constructor raises."""
        for client in self._made:
            client.close()


# --- whom an admin client asks ---------------------------------------------------------------------------------------


def look_anew(admin: Any) -> None:
    """Let this KafkaAdminClient find out again who coordinates each group, and who is the controller.

    It never doubts what it once heard: it would ask a dead broker for the commits of its groups for as long as that one
    is away, though another has long taken them over.
    """
    admin._manager.cluster._coordinators.clear()
    admin._controller_id = None


# --- why no connection came about ------------------------------------------------------------------------------------

_LOGGER = logging.getLogger("kafka.net.manager")
_TIME_UP = (errors.KafkaTimeoutError, errors.RequestTimedOutError)
"""Say nothing: the last try is cut short by the time-out that we ask about."""
_REFUSALS = (errors.SaslAuthenticationFailedError, errors.AuthorizationError)

logging.getLogger("kafka").setLevel(logging.WARNING)
# Where nobody has set up a log, in a command, what it says would be printed between our own words.
logging.getLogger("kafka").addHandler(logging.NullHandler())
# At DEBUG it logs the options of a client, password and all, and what goes over the wire.
# That a commit is not told of yet is no error but the usual thing for a moment; the client asks again.
logging.getLogger("kafka.coordinator.consumer").addFilter(lambda said: "UnstableOffsetCommit" not in said.getMessage())


class Overheard(logging.Filter):
    """The most telling exception that the client logged: a refusal, even if no later try came as far.

    kafka-python tries to connect until its time is up, then raises a time-out and only logs the reason.
    """

    told: BaseException | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        for said in record.args if isinstance(record.args, tuple) else ():
            if isinstance(said, BaseException) and not isinstance(said, _TIME_UP) and not self._refused:
                self.told = said
        return True

    @property
    def _refused(self) -> bool:
        return self.told is not None and (isinstance(self.told, _REFUSALS) or tls_refusal(self.told) is not None)

    def reason(self, raised: BaseException) -> BaseException:
        """What lies behind a time-out; any other exception speaks for itself."""
        return self.told if self.told is not None and isinstance(raised, _TIME_UP) else raised


@contextmanager
def overhearing() -> Iterator[Overheard]:
    """Listen to the client's log meanwhile. Two that connect at once hear each other; they ask the same cluster."""
    ear = Overheard()
    _LOGGER.addFilter(ear)
    try:
        yield ear
    finally:
        _LOGGER.removeFilter(ear)


def tls_refusal(error: BaseException) -> str | None:
    """The words of a TLS handshake that failed, or None: the client keeps no type for it."""
    text = str(error)
    if "[SSL" not in text:
        return None
    return text.partition("[SSL")[2].partition("]")[2].partition("(_ssl")[0].strip() or "the handshake failed"


# --- records ---------------------------------------------------------------------------------------------------------

LOG_APPEND_TIME = 1
HEADER = DefaultRecordBatch.HEADER_STRUCT.size
ROOM = 1 << 16
_Theirs: Any = Fetcher.PartitionRecords
Raw = tuple[int, bytes | None, bytes | None, int]
"""A record as it came: offset, key, value, time in ms."""


def install(consumer: Any) -> None:
    """From now on this KafkaConsumer gives its records as `Raw`. Raises TypeError where kafka-python has changed."""
    fetcher = consumer._fetcher
    if not issubclass(_Unpacked, fetcher.PartitionRecords):
        raise TypeError("this kafka-python unpacks records in another way")
    fetcher.PartitionRecords = _Unpacked


class _Unpacked(_Theirs):  # type: ignore[misc]
    """The records of one partition in one answer; made anew for each.

    Only the loop over the records of a batch is ours: what we never use (headers, sizes, serializers) is passed over,
    and a record becomes a plain tuple and not three objects one after another.
    """

    def _unpack_records(self, tp: Any, records: Any, *_: Any) -> Iterator[Raw]:
        batch = last = records.next_batch()
        while batch is not None:
            last = batch
            if self.check_crcs and not batch.validate_crc():
                raise errors.CorruptRecordError(f"a batch of {tp} at offset {batch.base_offset} fails its check")
            if self._is_seen(batch):
                self.bytes_read += batch.size_in_bytes
                # `take` may stop in the middle of a batch, and goes on from here.
                for raw in unpacked(batch):
                    self.next_fetch_offset = raw[0] + 1
                    yield raw
            else:
                self.next_fetch_offset = batch.next_offset
            batch = records.next_batch()
        if last is not None:
            # The last record of a batch may be compacted away: without this, the batch would be asked for for ever.
            self.next_fetch_offset = last.next_offset
        self.drain()

    def _maybe_skip_record(self, raw: Raw) -> bool:
        """An answer begins with the batch in which the offset stands that was asked for."""
        return raw[0] < int(self.fetch_offset)

    def _is_seen(self, batch: Any) -> bool:
        """Whether a reader gives it: no marker, and of no transaction that was aborted."""
        self.leader_epoch = batch.leader_epoch
        if self.isolation_level == IsolationLevel.READ_COMMITTED and batch.has_producer_id():
            self._consume_aborted_transactions_up_to(batch.last_offset)
            if self._contains_abort_marker(batch):
                self.aborted_producer_ids.discard(batch.producer_id)
            elif self._is_batch_aborted(batch):
                return False
        return not batch.is_control_batch


def unpacked(batch: Any) -> list[Raw]:
    """The records of one batch of format 2, which is all that brokers of today store. Raises CorruptRecordError.

        length, attributes, time delta, offset delta, key length, key, value length, value, headers

    All but the attributes are numbers of variable length, of which nearly all have one or two bytes: these are read
    in line, for a call costs as much as the rest. Of the headers only the end is of interest, and the length tells it.
    """
    buffer = _body(batch)
    pos = end = 0
    base, first = batch.base_offset, batch.first_timestamp
    appended = batch.max_timestamp if batch.timestamp_type == LOG_APPEND_TIME else None
    out: list[Raw] = []
    try:
        for _ in range(batch.records_count):
            low = buffer[pos]
            if low < 0x80:
                length = low >> 1
                pos += 1
            else:
                high = buffer[pos + 1]
                if high < 0x80:
                    length = (low & 0x7F | high << 7) >> 1
                    pos += 2
                else:
                    length, pos = decode_varint(buffer, pos)
            end = pos + length
            pos += 1
            low = buffer[pos]
            if low < 0x80 and not low & 1:
                time = first + (low >> 1)
                pos += 1
            else:
                delta, pos = decode_varint(buffer, pos)
                time = first + delta
            low = buffer[pos]
            if low < 0x80:
                offset = base + (low >> 1)
                pos += 1
            else:
                delta, pos = decode_varint(buffer, pos)
                offset = base + delta
            low = buffer[pos]
            if low < 0x80 and not low & 1:
                size = low >> 1
                pos += 1
            else:
                size, pos = decode_varint(buffer, pos)
            key = None
            if size >= 0:
                key = buffer[pos : pos + size]
                pos += size
            low = buffer[pos]
            high = buffer[pos + 1]
            if low >= 0x80 and high < 0x80 and not low & 1:
                size = (low & 0x7F | high << 7) >> 1
                pos += 2
            else:
                size, pos = decode_varint(buffer, pos)
            value = None
            if size >= 0:
                value = buffer[pos : pos + size]
                pos += size
            if pos >= end:
                raise ValueError("a record is longer than it says")
            pos = end
            out.append((offset, key, value, time if appended is None else appended))
    except (IndexError, ValueError) as error:
        raise errors.CorruptRecordError(f"a batch at offset {base} cannot be read: {error}") from None
    if end != len(buffer):
        raise errors.CorruptRecordError(f"a batch at offset {base} holds more than its records")
    return out


def _body(batch: Any) -> bytes:
    """What stands behind the header, uncompressed."""
    if batch.compression_type != batch.CODEC_LZ4:
        iter(batch)
        return bytes(memoryview(batch._buffer)[batch._pos :])
    # What we write ourselves. With room made at once it takes a quarter of the time.
    data, decompressor = memoryview(batch._buffer)[HEADER:], LZ4FrameDecompressor()
    room = 4 * len(data) + ROOM
    try:
        parts = [decompressor.decompress(data, max_length=room)]
        while not decompressor.eof:
            parts.append(decompressor.decompress(b"", max_length=room))
            if not parts[-1]:
                raise RuntimeError("it breaks off")
    except (RuntimeError, EOFError) as error:
        raise errors.CorruptRecordError(f"a batch at offset {batch.base_offset}: {error}") from None
    return b"".join(parts) if len(parts) > 1 else bytes(parts[0])


# --- waiting ---------------------------------------------------------------------------------------------------------


class Fetches:
    """The fetches of a KafkaConsumer that are under way.

    Its `poll` hands several questions a call over to the client's own thread. To wait in it, some times a second, costs
    more than all that is read in a quiet hour; while a fetch is under way there is nothing to do but to wait for it.
    """

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer
        self._watched: list[Any] = []
        self._news = threading.Event()
        self.answered = time.monotonic()
        """When, on the monotonic clock, a broker last answered one that was waited for."""

    def wait(self, seconds: float) -> bool:
        """Until `poll` has something to do; False where it has nothing after so long."""
        self._news.clear()
        fetches = list(self._consumer._fetcher._fetch_futures)
        if not fetches or any(each.is_done for each in fetches) or self._consumer._coordinator.need_rejoin():
            return True
        for fetch in fetches:
            if fetch not in self._watched:
                fetch.add_callback(self._took)
                fetch.add_both(self._ended)
        self._watched = fetches
        return self._news.wait(seconds)

    def _took(self, answer: object) -> None:
        self.answered = time.monotonic()

    def _ended(self, outcome: object) -> None:
        self._news.set()


# --- offsets ---------------------------------------------------------------------------------------------------------


class Leaders:
    """Asks for offsets who leads each partition, as far as that is known. Thread-safe.

    `KafkaAdminClient.list_partition_offsets` asks for the leaders first, each time. Here they are asked for once, and
    anew when a question fails: who leads no longer says so.
    """

    def __init__(self) -> None:
        self._known: dict[Any, int] = {}

    def ask(self, admin: Any, wanted: Mapping[Any, int], level: IsolationLevel) -> dict[Any, Any]:
        """Partition → the offset and time that `wanted` names. Raises KafkaError; what passes is to be tried again."""
        found: dict[Any, Any] = admin._manager.run(self._ask, admin, wanted, level)
        return found

    async def _ask(self, admin: Any, wanted: Mapping[Any, int], level: IsolationLevel) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        # What another question forgets while this one waits is in here all the same.
        leaders = {tp: leader for tp in wanted if (leader := self._known.get(tp)) is not None}
        try:
            if unknown := wanted.keys() - leaders.keys():
                for leader, its in (await admin._async_get_leader_for_partitions(unknown)).items():
                    leaders |= dict.fromkeys(its, leader)
                self._known |= leaders
            by_leader: defaultdict[int, dict[Any, int]] = defaultdict(dict)
            for tp, spec in wanted.items():
                by_leader[leaders[tp]][tp] = spec
            for leader, specs in by_leader.items():
                request = admin._list_partition_offsets_request(specs, level.value)
                answer = await admin._manager.send(request, node_id=leader)
                found |= admin._list_partition_offsets_process_response(answer)
        except BaseException:
            for tp in wanted:
                self._known.pop(tp, None)
            raise
        return found


# --- transactions ----------------------------------------------------------------------------------------------------


class TransactionSteps:
    """The steps of a producer's open transaction, each waited for until it ends, for `seconds` at most.

    kafka-python's own `commit_transaction`, `abort_transaction` and `send_offsets_to_transaction` wait for ever when
    the cluster is away. Each step raises KafkaTimeoutError when it has not ended in time, KafkaError when it failed.
    """

    def __init__(self, producer: Any, seconds: float) -> None:
        self._manager = producer._transaction_manager
        self._sender = producer._sender
        self._seconds = seconds

    def add_partitions(self, tps: Iterable[Any]) -> None:
        """All that is to be written to, in one question: a producer asks for a partition with its first record."""
        for tp in tps:
            self._manager.maybe_add_partition_to_transaction(tp)

    def send_offsets(self, places: Mapping[Any, OffsetAndMetadata], group: ConsumerGroupMetadata) -> None:
        self._await(partial(self._manager.send_offsets_to_transaction, places, group))

    def commit(self) -> None:
        self._await(self._manager.begin_commit)

    def abort(self) -> None:
        self._await(self._manager.begin_abort)

    def is_abortable(self) -> bool:
        """Whether it has failed so that it can still be aborted."""
        return bool(self._manager.has_abortable_error())

    @property
    def last_error(self) -> Exception | None:
        """Why it failed, as the producer knows it."""
        error: Exception | None = self._manager.last_error
        return error

    def _await(self, begin: Callable[[], Any]) -> None:
        result = begin()
        self._sender.wakeup()
        if not result.wait(timeout_ms=round(self._seconds * 1000)):
            raise errors.KafkaTimeoutError("no answer")


def end_thread(producer: Any) -> None:
    """End a producer's thread. Its own `close` gives up while records wait, and leaves the thread running."""
    producer._sender.force_close()


# --- groups ----------------------------------------------------------------------------------------------------------


def settle_join(consumer: Any) -> None:
    """Let this KafkaConsumer take the join that has ended since it was last polled, if there is one: it would throw it
    away, join again, and so move everybody.

    Where it lost its generation it joins anew: when the answer to an older heartbeat comes while it joins, it forgets
    who it is, takes the join for done all the same, and would neither send heartbeats nor ever join again.
    """
    coordinator = consumer._coordinator
    task, lost = coordinator._join_task, coordinator._generation.is_lost()
    if task is not None and task.is_done and task.succeeded():
        ended = SimpleNamespace(is_done=False, add_callback=task.add_callback, add_errback=task.add_errback)
        coordinator._join_task = None if lost else ended
    if lost:
        coordinator.request_rejoin()
