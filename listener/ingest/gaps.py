"""Gaps: stretches of time in which a source could not be heard. Written to `gaps`, and in-band for the rules."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime

from listener.bus.messages import message, to_every_partition
from listener.bus.protocol import Bus, Message, Transaction, UnitOfWork
from listener.bus.scan import scan
from listener.clock import Clock
from listener.errors import BusError
from listener.model.gaps import Cause, closed, is_whole, open_gap
from listener.model.records import GAPS, MENTIONS, Gap
from listener.runtime.metrics import Metrics
from listener.runtime.ops_alerts import OpsAlerts

log = logging.getLogger(__name__)

MAX_WHOLE = 1000
"""So many of the newest gaps are known though they are filled: more may be found of them."""


class DiskFullGap:
    """The gap that a full disk makes. `open` is None while there is room.

    It outlives the process: one that a predecessor left open in `gaps` is taken over, and closed when there is room.
    """

    def __init__(self, bus: Bus, source: str, ops: OpsAlerts, *, clock: Clock, metrics: Metrics) -> None:
        self._bus = bus
        self._source = source
        self._ops = ops
        self._clock = clock
        self._metrics = metrics
        self._said = True
        self._beside = 0
        self.open: Gap | None = None
        self.restore()

    def restore(self) -> None:
        """Take over what `gaps` says is open."""
        full = [gap for gap in ledger(self._bus) if gap.source == self._source and gap.cause == Cause.DISK_FULL]
        self.open = next((gap for gap in full if gap.end is None), None)
        self._show()

    def no_room(self, start: datetime, why: str) -> None:
        """The disk is full: say so, in the ledger and to ops, into the room that is held for it.

        When even that is gone, nothing is raised: it is said at the next call.
        """
        if self.open is None:
            self.open, self._said = open_gap(self._source, start, Cause.DISK_FULL), False
            self._show()
            log.error("source %s: %s", self._source, why)
        if self._said:
            return
        alert = self._ops.message(Cause.DISK_FULL, self._source, self.open.start, self._clock.now())
        try:
            self._bus.publish([to_ledger(self.open), alert])
        except BusError:
            return
        self._said = True

    def close(self, transaction: Transaction, end: datetime, refilled: int, refilled_until: datetime | None) -> None:
        """In the transaction of the posts that there is room for again: the gap ends with it."""
        if self.open is None:
            return
        over = closed(self.open, max(end, self.open.start), refilled=refilled, refilled_until=refilled_until)
        alert = self._ops.message(Cause.DISK_FULL, self._source, over.start, self._clock.now(), over=True)
        for each in (to_ledger(over), *in_band(over, self._bus.partitions("mentions")), alert):
            transaction.publish(each)
        transaction.on_commit(lambda: self._closed(end))

    def _closed(self, end: datetime) -> None:
        if self.open is not None:
            seconds = max(0.0, (end - self.open.start).total_seconds())
            self._metrics.gap_seconds.labels(self._source, self.open.cause).inc(seconds)
            self.open = None
            self._show()

    def beside(self, others: int) -> None:
        """So many gaps of other causes are open."""
        self._beside = others
        self._show()

    def _show(self) -> None:
        self._metrics.gaps_open.labels(self._source).set((self.open is not None) + self._beside)


class SourceGaps:
    """The gaps that a source itself reports: in the ledger, in-band, and counted. A state is counted once it is
    written."""

    def __init__(self, bus: Bus, source: str, metrics: Metrics) -> None:
        self._bus = bus
        self._source = source
        self._metrics = metrics
        self._known: dict[str, Gap] = {}

    def restore(self, since: datetime) -> tuple[Gap, ...]:
        """What `gaps` holds of those that ended after `since`, or last."""
        self._known = {gap.id: gap for gap in ledger(self._bus) if gap.source == self._source}
        for gap in list(self._known.values()):
            if gap.cause == Cause.DISK_FULL or (gap.end is not None and gap.end < since):
                del self._known[gap.id]
        return tuple(self._known.values())

    @property
    def open(self) -> int:
        return sum(not is_whole(gap) for gap in self._known.values())

    def publish(self, work: UnitOfWork, gaps: Sequence[Gap], fills: str | None, found: int) -> None:
        """The gaps as a batch reports them, where they changed: `found` posts of the gap `fills` are new."""
        states = self._states(gaps, fills, found)
        for each in self._messages(states):
            work.publish(each)
        work.on_commit(lambda: self._count(states))

    def _states(self, gaps: Iterable[Gap], fills: str | None, found: int) -> list[Gap]:
        out = []
        for gap in gaps:
            before = self._known.get(gap.id, gap).refilled
            state = gap.model_copy(update={"refilled": before + (found if gap.id == fills else 0)})
            if state != self._known.get(gap.id):
                out.append(state)
        return out

    def _messages(self, states: Iterable[Gap]) -> list[Message]:
        """In-band only what changes anything for the rules: beginnings, ends, and that one is whole."""
        out = []
        for gap in states:
            out.append(to_ledger(gap))
            known = self._known.get(gap.id)
            if known is None or (known.start, known.end) != (gap.start, gap.end) or is_whole(gap):
                out += in_band(gap, self._bus.partitions("mentions"))
        return out

    def _count(self, states: Iterable[Gap]) -> None:
        for gap in states:
            known = self._known.get(gap.id)
            if gap.end is not None and (known is None or known.end != gap.end):
                counted = known.end if known is not None and known.end is not None else gap.start
                seconds = max(0.0, (gap.end - counted).total_seconds())
                self._metrics.gap_seconds.labels(self._source, gap.cause).inc(seconds)
            # The newest last; of old ones that are whole nothing more is needed.
            self._known.pop(gap.id, None)
            self._known[gap.id] = gap
        for gap in list(self._known.values())[:-MAX_WHOLE]:
            if is_whole(gap):
                del self._known[gap.id]


def ledger(bus: Bus) -> list[Gap]:
    """Every gap there is on `gaps`, as it was last reported, oldest first."""
    found: dict[str, Gap] = {}
    for gap in scan(bus, GAPS):
        found[gap.id] = gap
    return sorted(found.values(), key=lambda gap: (gap.start, gap.id))


def to_ledger(gap: Gap) -> Message:
    return message(GAPS, gap)


def in_band(gap: Gap, partitions: int) -> list[Message]:
    """One message for every partition of `mentions`, so that whoever judges hears of it in order."""
    return to_every_partition(MENTIONS, gap, partitions)
