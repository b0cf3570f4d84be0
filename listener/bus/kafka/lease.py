"""A lease on Kafka: who may write under its transactional id holds it, and Kafka itself fences who held it before.

The holder says so on the topic `leases` each time it renews. Who wants the lease listens: when it is given back, when
its last holder had the same name, or when it was silent for its whole time (by the listener's own clock, from when it
first listened), it is taken: by beginning to write under its transactional id, which fences the former holder in
whatever transaction it is, and by claiming it, unless somebody else claimed it just before.
"""

from __future__ import annotations

import json
import uuid
from typing import Any

from kafka import OffsetSpec

from listener.bus.kafka.batches import Put
from listener.bus.kafka.cluster import Cluster
from listener.bus.kafka.readers import Reader
from listener.bus.kafka.writer import Writer
from listener.bus.protocol import Record, TopicPartition
from listener.clock import Clock
from listener.errors import BusError, Fenced
from listener.units import to_ms

PLACE = TopicPartition("leases", 0)


class KafkaLease:
    """`ttl` is in seconds. One thread; `writer` is used by transactions that hold it."""

    def __init__(self, cluster: Cluster, clock: Clock, name: str, holder: str, ttl: float) -> None:
        self.name = name
        self.holder = holder
        self.writer = Writer(cluster, f"lease-{name}")
        self._cluster = cluster
        self._clock = clock
        self._ttl = ttl
        self._session = uuid.uuid4().hex
        self._reader: Reader | None = None
        self._last: dict[str, Any] | None = None
        self._last_offset = -1
        self._heard = clock.monotonic()
        self._held = False
        self._ever = False

    def renew(self) -> bool:
        if self._held and self.writer.began:
            try:
                self._claim()
            except Fenced:
                self._held = False
                return False
            return True
        self._held = False
        self._listen()
        if not self._may_take():
            return False
        decided = self._last_offset
        self.writer.drop()
        self.writer.begin()
        self._listen()
        if self._last_offset != decided and not self._may_take():
            return False
        try:
            self._claim()
        except Fenced:
            return False
        self._held = True
        return True

    def release(self) -> None:
        if not self._held:
            return
        self._held = False
        try:
            self._say({"holder": None})
        except Fenced:
            return

    def check(self) -> None:
        """Raises Fenced when this process does not hold it, as far as it knows; the broker knows better."""
        if not self._held or not (self.writer.began or self.renew()):
            raise Fenced(f"{self.holder} lost the lease {self.name}")

    def lost(self) -> None:
        """A transaction that held it was fenced."""
        self._held = False

    def close(self) -> None:
        self.writer.close()
        if self._reader is not None:
            self._reader.close()

    def _may_take(self) -> bool:
        last = self._last
        if last is None or last["holder"] is None or last["session"] == self._session:
            return True
        if last["holder"] == self.holder and not self._ever:
            # A former run of this process. Had we held it before, it would be one beside us, and ours is the older.
            return True
        return self._clock.monotonic() - self._heard >= float(last["ttl"])

    def _claim(self) -> None:
        self._say({"holder": self.holder, "session": self._session, "ttl": self._ttl})
        self._ever = True

    def _say(self, what: dict[str, Any]) -> None:
        value = json.dumps(what, separators=(",", ":")).encode()
        self.writer.write([Put(PLACE, self.name, value, to_ms(self._clock.now()))])

    def _listen(self) -> None:
        """All that was claimed, what its claimant did not get through with included: it was alive."""
        if self._reader is None:
            start = self._cluster.offsets([PLACE], OffsetSpec.EARLIEST)[PLACE][0]
            self._reader = Reader(self._cluster, {PLACE: start}, isolation_level="read_uncommitted")
        while records := self._reader.poll(0.0):
            for record in records:
                if record.key == self.name:
                    self._take(record)

    def _take(self, record: Record) -> None:
        try:
            self._last = None if record.value is None else json.loads(record.value)
        except ValueError:
            raise BusError(f"{record.where}: is no claim of ours; something else writes to this topic") from None
        self._last_offset, self._heard = record.offset, self._clock.monotonic()
