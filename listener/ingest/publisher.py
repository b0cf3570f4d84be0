"""From a listener to the bus: a batch and all that goes with it in one transaction; or, while the bus is away, to disk.

With the posts and their tick go the gaps that the source reports, what it has cost, and what ops must know of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from listener.bus.protocol import UnitOfWork
from listener.bus.transaction import CollectedWork
from listener.crashpoints import point
from listener.ingest.budget import SpendMeter
from listener.ingest.capture import Capture, Pending
from listener.ingest.context import IngestContext
from listener.ingest.gaps import DiskFullGap, SourceGaps
from listener.ingest.outage import OutageBuffer
from listener.model.records import Gap, Origin
from listener.model.roles import listen_to
from listener.sources.contract import Batch


class Publisher:
    """Of one source, in its listener's thread. `room` is the gap of a full disk, `gaps` are the source's own."""

    def __init__(
        self, source: str, context: IngestContext, capture: Capture, spend_meter: SpendMeter | None = None
    ) -> None:
        """`spend_meter`: of a source that may cost."""
        clock, metrics = context.clock, context.metrics
        self.room = DiskFullGap(context.bus, source, context.ops, clock=clock, metrics=metrics)
        self._gaps = SourceGaps(context.bus, source, metrics)
        self._bus = context.bus
        self._ops = context.ops
        self._source = source
        self._lease = context.lease
        self._capture = capture
        self._spend_meter = spend_meter
        self._clock = clock
        self._metrics = metrics

    def recall(self, since: datetime) -> Sequence[Gap]:
        """The source's own gaps as the ledger has them, older ones left out."""
        known = self._gaps.restore(since)
        self.room.beside(self._gaps.open)
        return known

    def publish(self, pending: Pending, then: Callable[[Pending], None]) -> None:
        """To the bus; `then` is called once it is there. Raises Fenced, BusFull or BusError: it can be tried again."""
        gap = self.room.open
        end = max(pending.batch.until or gap.start, gap.start) if gap is not None else None
        point("capture.before_publish")
        with self._bus.transaction(listen_to(self._source)) as transaction:
            transaction.hold(self._lease)
            self._write(transaction, pending)
            if end is not None:
                whole = end if pending.batch.volumes else pending.batch.until
                self.room.close(transaction, end, pending.mentions, whole)
            transaction.on_commit(lambda: self._count(pending))
            transaction.on_commit(lambda: then(pending))

    def keep(self, pending: Pending, away: OutageBuffer, then: Callable[[Pending], None]) -> bool:
        """To disk, and then `then`. Where there is no room its posts are lost, in a gap, and may be found again; False
        then."""
        now = self._clock.now()
        start, end = pending.since(self._capture.until, now), pending.batch.until or now
        work = CollectedWork()
        self._write(work, pending)
        kept = away.keep(work.messages, start, end)
        if kept:
            self._capture.seen.update(pending.seen)
        # Where there was no room, only the posts are lost: what goes beside them is written with their gap.
        work.written()
        then(pending)
        return kept

    def no_room(self, pending: Pending, why: str) -> None:
        """The bus has no room for it."""
        self.room.no_room(pending.since(self._capture.until, self._clock.now()), why)

    def _write(self, work: UnitOfWork, pending: Pending) -> None:
        """A batch, and what the source reports of itself: its gaps, what it has cost, and what ops must know."""
        batch, now = pending.batch, self._clock.now()
        for message in pending.messages:
            work.publish(message)
        if batch.gaps:
            self._gaps.publish(work, batch.gaps, batch.fills, pending.mentions)
            work.on_commit(lambda: self.room.beside(self._gaps.open))
        if self._spend_meter is not None:
            self._spend_meter.publish(work)
        for n in batch.notices:
            work.publish(self._ops.message(n.what, self._source, n.since, now, over=n.over, words=n.words))
        work.on_commit(lambda: self._count_reconnects(batch))

    def _count(self, pending: Pending) -> None:
        self._capture.seen.update(pending.seen)
        self._metrics.mentions.labels(self._source, pending.batch.origin or Origin.LIVE).inc(pending.mentions)

    def _count_reconnects(self, batch: Batch) -> None:
        for cause in batch.reconnects:
            self._metrics.reconnects.labels(self._source, cause).inc()
