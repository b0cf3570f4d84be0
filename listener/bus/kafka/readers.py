"""Reading from Kafka, by oneself. Only what was committed is seen.

kafka-python's `poll` says nothing when the brokers are gone, so whoever gets no answer asks whether anybody is there.
And an empty answer does not mean the end, so a poll that may not wait looks where the end is.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from kafka import KafkaConsumer, errors

from listener.bus.kafka.client import Fetches, Raw, install
from listener.bus.kafka.cluster import ANSWER_SECONDS, Cluster
from listener.bus.kafka.topics import plain
from listener.bus.protocol import Commit, Record, TopicPartition
from listener.errors import BusError, Fenced

if TYPE_CHECKING:
    from kafka import TopicPartition as KafkaPartition

SLICE_SECONDS = 0.2
FETCH_WAIT_MS = 1000
"""How long a broker may hold back an answer until there is news, which it gives at once. Who changes partitions, or
seeks, waits for the last answer."""
POLL_SECONDS = 1.0
"""Who waits for an answer looks so often all the same, after all else that the client does in a poll."""
GATHER_SECONDS = 0.1
"""Who waits for news and got some lets more gather for so long. A transaction becomes readable partition by partition,
and each would else be an answer, and a batch, of its own."""
GATHER_FEW_SECONDS = 0.02
"""The same where a record is seldom one of many, and somebody may be waiting for it."""
FIRST_SECONDS = 0.01
"""A poll that may not wait gives the network this long all the same."""
FRESH_SECONDS = 0.1
"""Who stood at the end so short a time ago, and wrote nothing since, is not asked to look again."""
QUIET_SECONDS = 2.0
"""Who got no answer for so long asks whether the cluster is there."""
STALL_SECONDS = 10.0


class Reader:
    """Reads partitions by itself. One thread; close it."""

    def __init__(
        self,
        cluster: Cluster,
        positions: Mapping[TopicPartition, int],
        *,
        key: Callable[[str, str], str] = plain,
        gather: float = GATHER_SECONDS,
        **options: Any,
    ) -> None:
        self._cluster = cluster
        self._gather = gather
        self._key = key
        self._consumer: Any = _consumer(cluster, **options)
        self._closing = weakref.finalize(self, _close, self._consumer)
        self._fetches = Fetches(self._consumer)
        self._empty_until = self._gather_until = float("-inf")
        self._newest: dict[TopicPartition, int] = {}
        self._heard = time.monotonic()
        self._ended = (float("-inf"), -1)
        if positions:
            self._consumer.assign([cluster.at(tp) for tp in positions])
            for tp, offset in positions.items():
                self.seek(tp, offset)

    @property
    def assignment(self) -> frozenset[TopicPartition]:
        self._check_open()
        return frozenset(self._cluster.back(tp) for tp in self._consumer.assignment())

    def committed(self, tp: TopicPartition) -> Commit | None:
        return None

    def position(self, tp: TopicPartition) -> int:
        found = self._ask("find its place", lambda c: c.position(self._cluster.at(tp), timeout_ms=ms(ANSWER_SECONDS)))
        if found is None:
            raise BusError(
                f"kafka {self._cluster.hosts}: cannot get the position in {tp.topic}/{tp.partition}: no answer"
            )
        return int(found)

    def seek(self, tp: TopicPartition, offset: int) -> None:
        if tp not in self.assignment:
            raise BusError(f"{tp.topic}/{tp.partition} is not read here")
        self._ask("seek", lambda c: c.seek(self._cluster.at(tp), offset))
        self._newest.pop(tp, None)
        self._ended = (float("-inf"), -1)
        self._empty_until = float("-inf")

    def poll(self, timeout: float, limit: int = 1000) -> list[Record]:
        deadline = time.monotonic() + timeout
        if timeout <= 0 and self._at_end():
            return self._slice(0.0, limit)
        if timeout > 0:
            self._cluster.closed.wait(max(0.0, min(self._gather_until, deadline) - time.monotonic()))
        while True:
            records = self._slice(max(deadline - time.monotonic(), FIRST_SECONDS), limit)
            if records:
                if len(records) < limit:
                    self._gather_until = time.monotonic() + self._gather
                return records
            if time.monotonic() >= deadline:
                break
        return [] if timeout > 0 else self._rest(limit)

    def each(self, tp: TopicPartition, start: int, end: int, limit: int = 1000) -> Iterator[Record]:
        """What stands in one partition from `start` to before `end`, whatever this reader read before."""
        self._assign([tp])
        self.seek(tp, start)
        stalled = time.monotonic() + STALL_SECONDS
        while self.position(tp) < end:
            records = self._slice(FIRST_SECONDS, limit)
            yield from (record for record in records if record.offset < end)
            if records:
                stalled = time.monotonic() + STALL_SECONDS
            elif time.monotonic() > stalled:
                raise self._stalled()

    def count(self, ranges: Mapping[TopicPartition, tuple[int, int]]) -> dict[TopicPartition, int]:
        """Records from the first to before the second offset, in each partition."""
        counted = dict.fromkeys(ranges, 0)
        if not ranges:
            return counted
        self._assign(ranges)
        for tp, (start, _) in ranges.items():
            self.seek(tp, start)
        stalled = time.monotonic() + STALL_SECONDS
        while any(self.position(tp) < end for tp, (_, end) in ranges.items()):
            for record in self._slice(FIRST_SECONDS, 1000):
                counted[record.tp] += record.offset < ranges[record.tp][1]
            if time.monotonic() > stalled:
                raise self._stalled()
        return counted

    def close(self) -> None:
        self._closing()

    def _assign(self, tps: Iterable[TopicPartition]) -> None:
        self._ask("read", lambda c: c.assign([self._cluster.at(tp) for tp in tps]))
        self._empty_until = float("-inf")

    def _stalled(self) -> BusError:
        return BusError(f"kafka {self._cluster.hosts}: there is more to read, and the brokers do not give it")

    def _slice(self, wait: float, limit: int) -> list[Record]:
        """What comes within `wait` seconds, and within a moment at most."""
        began, patience = time.monotonic(), min(wait, SLICE_SECONDS)
        self._check_open()
        if began < self._empty_until and not self._fetches.wait(patience):
            self._look_after(began + patience)
            return []
        left = ms(max(began + patience - time.monotonic(), 0.0))
        found = self._ask("read", lambda c: c.poll(timeout_ms=left, max_records=limit))
        now = time.monotonic()
        if found:
            self._heard, self._empty_until = now, float("-inf")
        else:
            self._empty_until = now + POLL_SECONDS
            self._look_after(now)
        return self._records(found)

    def _look_after(self, now: float) -> None:
        """Nothing came. Raises BusError where nobody answers."""
        if now - max(self._heard, self._fetches.answered) > QUIET_SECONDS:
            self._check_alive()
            self._heard = now

    def _rest(self, limit: int) -> list[Record]:
        """Nothing is at hand; nothing is there only if this stands at the ends."""
        asked, written = time.monotonic(), self._cluster.written
        ends = self._ends()
        stalled = asked + STALL_SECONDS
        while any(self.position(tp) < end for tp, end in ends.items()):
            if records := self._slice(FIRST_SECONDS, limit):
                return records
            if time.monotonic() > stalled:
                raise self._stalled()
        self._ended = asked, written
        self._heard = time.monotonic()
        return []

    def _at_end(self) -> bool:
        """It stood there a moment ago, and this process has written nothing since."""
        asked, written = self._ended
        return written == self._cluster.written and time.monotonic() - asked < FRESH_SECONDS

    def _ends(self) -> dict[TopicPartition, int]:
        """Asked on a line of its own: behind a fetch that waits for news, a broker answers nothing else."""
        committed = self._consumer.config["isolation_level"] == "read_committed"
        return self._cluster.ends(self.assignment, committed=committed)

    def _check_alive(self) -> None:
        self._ends()

    def _records(self, found: Mapping[KafkaPartition, list[Raw]]) -> list[Record]:
        out: list[Record] = []
        for kafka_tp, raws in found.items():
            tp = self._cluster.back(kafka_tp)
            topic, partition = tp
            readable = self._key
            newest = self._newest.get(tp, 0)
            for offset, key, value, time_ms in raws:
                # Writers on several machines may differ by a little; a reader's time never runs back.
                if time_ms > newest:
                    newest = time_ms
                name = readable(topic, key.decode(errors="replace")) if key else ""
                out.append(Record(topic, partition, offset, name, value, newest))
            self._newest[tp] = newest
        return out

    def _ask(self, what: str, question: Callable[[KafkaConsumer], Any]) -> Any:
        self._check_open()
        try:
            return question(self._consumer)
        except errors.FencedInstanceIdError as error:
            raise Fenced(f"another process took this member's name ({type(error).__name__})") from None
        except (errors.KafkaError, OSError, RuntimeError, ValueError) as error:
            # ValueError: of a join during which the client forgot its generation.
            raise self._cluster.explain(error, what) from None

    def _check_open(self) -> None:
        self._cluster.check_open()
        if not self._closing.alive:
            raise BusError("this reader is closed")


def _consumer(cluster: Cluster, **options: Any) -> KafkaConsumer:
    consumer: KafkaConsumer = cluster.make(
        "read",
        KafkaConsumer,
        **{
            "isolation_level": "read_committed",
            "auto_offset_reset": "earliest",
            "enable_auto_commit": False,
            "allow_auto_create_topics": False,
            "fetch_max_wait_ms": FETCH_WAIT_MS,
            "metrics_enabled": False,
            **options,
        },
    )
    install(consumer)
    return consumer


def _close(consumer: KafkaConsumer) -> None:
    consumer.close(autocommit=False, timeout_ms=1000)


def ms(seconds: float) -> int:
    return round(seconds * 1000)
