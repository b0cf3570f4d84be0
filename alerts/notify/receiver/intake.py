"""What providers tell us, onto the bus: each receipt once, however often it comes; each reply to whoever takes replies.

Used by one thread. All that lies on `deliveries` is followed, so that a repeat is known after a restart too, and an id
that no send of ours has is counted as unknown. It is written down all the same: a receipt may be faster than the
answer that told us the id.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from alerts.notify.channels.callbacks import Told
from listener.bus import hashchain
from listener.bus.protocol import Bus
from listener.bus.scan import drain
from listener.clock import Clock
from listener.model.deliveries import DELIVERIES, Delivery
from listener.model.receipts import Receipt
from listener.model.records import BadRecord, decode
from listener.runtime.metrics import Metrics

OnReply = Callable[[str, str, str, datetime, str], None]
"""Channel, number (+4740612345), what was written or pressed, when, and by what id the gateway knows the call, if it
says so."""


class CallOutcome(StrEnum):
    """What came of a call, in the words of the metric."""

    RECORDED = "recorded"
    UNKNOWN_ID = "unknown_id"
    """Recorded too; no send with that id is known yet."""
    REPEATED = "repeated"
    REPLY = "reply"
    SHOWN = "shown"
    """The page of a link; looking changes nothing."""
    ANSWERED = "answered"
    """A person pressed its button, and said who they are."""
    MALFORMED = "malformed"
    REFUSED = "refused"
    """A wrong address or token, or too much."""
    FAILED = "failed"
    """We could not write it down; the gateway is to call again."""


class ReceiptOf(NamedTuple):
    """One receipt and whose it is."""

    channel: str
    told: Told


class Replied(NamedTuple):
    channel: str
    number: str
    text: str
    id: str = ""


Call = tuple[ReceiptOf, ...] | Replied
"""What a gateway told."""


class Intake:
    def __init__(self, bus: Bus, clock: Clock, metrics: Metrics, on_reply: OnReply) -> None:
        self._bus = bus
        self._clock = clock
        self._metrics = metrics
        self._on_reply = on_reply
        self._reader = bus.reader([DELIVERIES.name])
        self._receipts: set[tuple[str, str, str | None, str, str | None]] = set()
        self._ids: set[tuple[str, str]] = set()

    def take(self, job: Call) -> None:
        """Durable when this returns. Raises BusError when the bus cannot write, Corrupt for a broken chain."""
        if isinstance(job, Replied):
            self._on_reply(job.channel, job.number, job.text, self._clock.now(), job.id)
            self._count(job.channel, CallOutcome.REPLY)
            return
        self.follow()
        for each in job:
            self._record(each.channel, each.told)

    def follow(self) -> None:
        """Read what others wrote meanwhile."""
        for record in drain(self._reader):
            try:
                written = decode(DELIVERIES, record.value or b"")
            except BadRecord:
                continue
            if isinstance(written, Delivery):
                self._ids.update((written.channel, id_) for id_ in written.provider_ids)
            elif isinstance(written, Receipt):
                self._receipts.add(_mark(written))

    def close(self) -> None:
        self._reader.close()

    def _record(self, channel: str, told: Told) -> None:
        receipt = Receipt(
            channel=channel,
            provider_id=told.id,
            part=told.part,
            outcome=told.outcome,
            at=self._clock.now(),
            code=told.code,
        )
        if _mark(receipt) in self._receipts:
            self._count(channel, CallOutcome.REPEATED)
            return
        hashchain.append(self._bus, DELIVERIES.name, receipt)
        self._receipts.add(_mark(receipt))
        self._metrics.receipts.labels(channel, receipt.outcome).inc()
        self._count(channel, CallOutcome.RECORDED if (channel, told.id) in self._ids else CallOutcome.UNKNOWN_ID)

    def _count(self, channel: str, result: CallOutcome) -> None:
        self._metrics.callbacks.labels(channel, result).inc()


def _mark(receipt: Receipt) -> tuple[str, str, str | None, str, str | None]:
    """By what a repeat is known."""
    return receipt.channel, receipt.provider_id, receipt.part, receipt.outcome, receipt.code
