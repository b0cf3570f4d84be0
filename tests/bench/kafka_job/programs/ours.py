"""The job as Lyttepost: its bus, its matcher and its watermark, right whatever the order of partitions and kills.

A minute is forgotten once the watermark has passed it, that is when every partition has been read so far. Alerts and
offsets are one transaction, and beside each offset stands the lowest one that an open minute still needs: who goes on
from there counts those posts again, and tells nothing twice because what was told is read back.
"""

from __future__ import annotations

import os
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import from_json, to_json
from typing_extensions import TypedDict

from alerts.rules.engine.watermark import Watermark
from listener.bus.protocol import Bus, Commit, Message, Record, TopicPartition, open_bus
from listener.bus.scan import scan_records
from listener.clock import SystemClock
from listener.ingest.matcher import Matcher
from listener.model.records import Tick
from listener.runtime.service import settle_memory
from tests.bench.kafka_job.broker import specs
from tests.bench.kafka_job.data import PARTITIONS

WINDOW = 60
LATENESS = timedelta(seconds=10)
BATCH = 2000
COMMIT_SECONDS = 1.0
"""So long an alert waits at most for the transaction that makes it known."""


class Post(TypedDict):
    """What the job needs of one; the rest is passed over."""

    at: str
    text: str


POST = TypeAdapter(Post).validator


class Job:
    """One member, which has all partitions."""

    def __init__(self, bus: Bus, topic: str, alerts: str, phrases: Sequence[str], threshold: int) -> None:
        self._bus, self._clock = bus, SystemClock()
        self._topic, self._alerts, self._threshold = topic, alerts, threshold
        self._match = Matcher({"job": phrases}).match_text
        self._tps = [TopicPartition(topic, number) for number in range(bus.partitions(topic))]
        self._mark = Watermark(LATENESS, len(self._tps))
        self._counts: dict[int, Counter[str]] = {}
        self._first: dict[int, dict[int, int]] = defaultdict(dict)
        """Minute → partition → the first offset that counts there."""
        self._told: set[tuple[str, int]] = set()
        self._pending: list[Message] = []
        self._committed = self._clock.monotonic()
        self.next: dict[TopicPartition, int] = {}
        self.late = 0
        self._consumer = bus.consumer([topic], group=alerts, member="job", on_assign=self._assigned)

    def step(self, timeout: float) -> None:
        records = self._consumer.poll(timeout, BATCH)
        parse, match = POST.validate_json, self._match
        for record in records:
            post = parse(record.value or b"{}")
            if tracks := match(post["text"]):
                self._count(record, post["at"], tracks["job"])
        last = {record.partition: record for record in records}
        for record in last.values():
            self.next[record.tp] = record.offset + 1
            until = datetime.fromisoformat(parse(record.value or b"{}")["at"])
            self._mark.tick(Tick(source="posts", until=until, partition=record.partition))
        self._forget()
        if self._clock.monotonic() - self._committed > COMMIT_SECONDS:
            self.commit()

    def _count(self, record: Record, at: str, phrases: Sequence[str]) -> None:
        said = datetime.fromisoformat(at)
        minute = int(said.timestamp()) // WINDOW * WINDOW
        if self._mark.value is not None and minute + WINDOW <= self._mark.value.timestamp():
            self.late += 1
            return
        self._first[minute].setdefault(record.partition, record.offset)
        counts = self._counts.get(minute) or self._counts.setdefault(minute, Counter())
        for phrase in phrases:
            counts[phrase] += 1
            if counts[phrase] >= self._threshold and (phrase, minute) not in self._told:
                self._told.add((phrase, minute))
                value = to_json({"phrase": phrase, "minute": minute})
                self._pending.append(Message(self._alerts, f"{phrase}@{minute}", value))

    def _forget(self) -> None:
        if self._mark.value is not None:
            passed = self._mark.value.timestamp() - WINDOW
            for minute in [each for each in self._counts if each <= passed]:
                del self._counts[minute], self._first[minute]
                self._told -= {each for each in self._told if each[1] == minute}

    def commit(self) -> None:
        with self._bus.transaction("job") as transaction:
            for message in self._pending:
                transaction.publish(message)
            commits = {tp: Commit(offset, str(self._needed(tp, offset))) for tp, offset in self.next.items()}
            transaction.commit(self._consumer, commits)
        self._pending, self._committed = [], self._clock.monotonic()

    def _needed(self, tp: TopicPartition, offset: int) -> int:
        return min((first.get(tp.partition, offset) for first in self._first.values()), default=offset)

    def _assigned(self, assignment: frozenset[TopicPartition]) -> None:
        self._counts.clear()
        self._first.clear()
        self._pending.clear()
        for tp in assignment:
            if commit := self._consumer.committed(tp):
                self._consumer.seek(tp, int(commit.metadata))
        told: list[dict[str, Any]] = [
            from_json(record.value or b"{}") for record in scan_records(self._bus, [self._alerts])
        ]
        self._told = {(alert["phrase"], alert["minute"]) for alert in told}

    def close(self) -> None:
        self._consumer.close()


def main() -> None:
    servers, topic, alerts, _ = sys.argv[1:]
    with closing(open_bus(f"kafka://{servers}", Path(), SystemClock())) as bus:
        bus.ensure(specs({topic: PARTITIONS, alerts: 1}))
        ends = {tp: bus.end_offset(tp) for tp in (TopicPartition(topic, n) for n in range(PARTITIONS))}
        phrases = Path(os.environ["JOB_PHRASES"]).read_text(encoding="utf-8").splitlines()
        job = Job(bus, topic, alerts, phrases, int(os.environ["JOB_THRESHOLD"]))
        settle_memory()
        while any(job.next.get(tp, 0) < end for tp, end in ends.items()):
            job.step(1.0)
        job.commit()
        job.close()


if __name__ == "__main__":
    main()
