"""A stage: take a batch from the bus, work on it, publish what came of it and commit, all in one transaction.

What a record causes and the offset behind it become visible together, so a stage that dies anywhere begins again
without loss or repeat. A bad record becomes a dead letter in that same transaction and never stops the stage. When
the bus cannot take the batch (no room, away), the batch is kept and offered again; when another member took over, it
is dropped, because it is now another's.

A stage that is slow works in small batches, so that what it has done is committed, and says with each record that it
is alive: it lags, and to restart it would only begin the same work again.

Where the work on a batch itself breaks off (the bus is away), it is begun again from the commit. A stage whose
`on_assign` seeks back reads what lies before the committed offset again, to remember: that was
answered for, so it publishes nothing, and the commit never moves back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Protocol

from listener.bus.deadletters import TOO_LARGE, dead_letter
from listener.bus.protocol import Bus, Commit, Message, Record, TopicPartition, check_size
from listener.clock import Clock
from listener.crashpoints import point
from listener.errors import BusError, Corrupt, Fenced, TooLarge
from listener.model.records import BadRecord
from listener.runtime.health import Part
from listener.runtime.metrics import Metrics

TURN = 2.0
"""Seconds that the work on a batch should take at most: the next one is made as small as that needs."""
AHEAD = 100
"""Records that are looked at together, before each is worked on."""


class Worker(Protocol):
    """Something that turns. The wiring decides in which thread."""

    name: str

    def step(self, timeout: float) -> bool:
        """Do what there is to do, waiting at most `timeout` seconds for it; False when there was nothing."""

    def close(self) -> None: ...


class Stage:
    """`handle` turns one record into messages; `metadata` says what to keep beside a partition's commit.

    `look` may see up to `AHEAD` records before the first of them is handled, where much of the work takes less time for
    many at once. What it raises counts for nothing: it will be raised again over the record that is to blame.
    """

    def __init__(
        self,
        name: str,
        bus: Bus,
        topic: str,
        handle: Callable[[Record], Iterable[Message]],
        *,
        clock: Clock,
        metrics: Metrics,
        part: Part,
        on_assign: Callable[[frozenset[TopicPartition]], None] | None = None,
        metadata: Callable[[TopicPartition], str] = lambda tp: "",
        look: Callable[[Sequence[Record]], None] | None = None,
        batch: int = 1000,
        member: str = "",
    ) -> None:
        """`member`: who this is in the group `name`; the same name again takes the place of who had it."""
        self.name = name
        self._bus = bus
        self._handle = handle
        self._clock = clock
        self._metrics = metrics
        self._part = part
        self._metadata = metadata
        self._look = look
        self._batch = batch
        self._size = batch
        self._on_assign = on_assign
        self._done: dict[TopicPartition, int] = {}
        self._broken_off = False
        self._pending: tuple[list[Message], Mapping[TopicPartition, Commit], int] | None = None
        self.consumer = bus.consumer([topic], group=name, member=member or name, on_assign=self._assign)

    def step(self, timeout: float) -> bool:
        self._part.beat()
        if self._pending is None:
            if self._broken_off:
                self._begin_again()
            records = self.consumer.poll(timeout, self._size)
            if not records:
                self._part.problem(None)
                return False
            self._broken_off = True
            messages = self._work(records)
            ends = {record.tp: record.offset + 1 for record in records}
            commits = {tp: Commit(end, self._metadata(tp)) for tp, end in ends.items() if end > self._done.get(tp, 0)}
            self._broken_off = False
            if not commits:
                return True
            self._pending = messages, commits, sum(not self._is_done(record) for record in records)
        return self._publish(*self._pending)

    def begin_again(self) -> None:
        """Go on from the commit, as after a restart: what is worked on and not committed is worked on anew."""
        self._pending, self._broken_off = None, True

    def close(self) -> None:
        self.consumer.close()

    def _assign(self, assignment: frozenset[TopicPartition]) -> None:
        commits = {tp: self.consumer.committed(tp) for tp in assignment}
        self._done = {tp: commit.offset for tp, commit in commits.items() if commit is not None}
        if self._on_assign is not None:
            self._on_assign(assignment)

    def _begin_again(self) -> None:
        for tp in self.consumer.assignment:
            commit = self.consumer.committed(tp)
            self.consumer.seek(tp, self._bus.begin_offset(tp) if commit is None else commit.offset)
        self._assign(self.consumer.assignment)
        self._broken_off = False

    def _is_done(self, record: Record) -> bool:
        """It was committed before, and is read again."""
        return record.offset < self._done.get(record.tp, 0)

    def _publish(self, messages: list[Message], commits: Mapping[TopicPartition, Commit], count: int) -> bool:
        point("stage.before_publish")
        try:
            with self._bus.transaction(self.name) as transaction:
                for message in messages:
                    transaction.publish(message)
                transaction.commit(self.consumer, commits)
        except Fenced:
            self._pending = None
            return False
        except BusError as error:
            self._part.problem(str(error))
            return False
        point("stage.after_publish")
        self._pending = None
        self._part.problem(None)
        self._metrics.stage_records.labels(self.name).inc(count)
        self._metrics.stage_batches.labels(self.name).inc()
        return True

    def _work(self, records: Sequence[Record]) -> list[Message]:
        began = self._clock.monotonic()
        messages: list[Message] = []
        for number, record in enumerate(records):
            if self._look is not None and number % AHEAD == 0:
                with suppress(Exception):
                    self._look(records[number : number + AHEAD])
            messages += self._safely(record)
            self._part.beat()
        took = self._clock.monotonic() - began
        if took > TURN:
            self._size = max(int(len(records) * TURN / took), 1)
        else:
            self._size = min(2 * self._size, self._batch)
        return messages

    def _safely(self, record: Record) -> list[Message]:
        try:
            messages = list(self._handle(record))
            check_size(messages)
        except TooLarge:
            return [] if self._is_done(record) else [self._dead_letter(record, TOO_LARGE)]
        except (Corrupt, BusError):
            raise
        except Exception as error:
            # Whatever a record does to us, the next one must not wait for it.
            reason = error.reason if isinstance(error, BadRecord) else f"failed_{type(error).__name__}"
            return [] if self._is_done(record) else [self._dead_letter(record, reason)]
        return [] if self._is_done(record) else messages

    def _dead_letter(self, record: Record, reason: str) -> Message:
        self._metrics.deadletters.labels(self.name, reason).inc()
        return dead_letter(self.name, reason, record.value or b"", record.where, self._clock)
