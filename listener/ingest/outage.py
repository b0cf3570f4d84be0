"""What a listener does while the bus is away: it goes on hearing, keeps what it hears on its own disk, and brings it
to the bus when that is back.

**Who goes on.** Only who held the source's lease and was reading when the bus went. A lease cannot be renewed then, and
another may take it when the bus is back, or behind a network that is cut in two; so what is kept is brought to the bus
only by who holds the lease again, in transactions that hold it, and only what is not there by then.

**Once, and not twice.** Before anything is brought, the bus is read from when keeping began: which posts are there,
and which ticks. Each entry has a tick of its own, unlike any other by a mark in its cursor, which goes with it in one
transaction: an entry whose tick is there is there itself, whatever was killed between. The first entry is what was on
its way when the bus went, as it was sent: it may have arrived.

**What was purged meanwhile** stays purged: purges are on `decisions`, and content past its time is left out.

**No room.** What is beyond the bound is not kept: from the first post of it, until the bus is back, is a gap.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from math import nan

from listener.bus.deadletters import dead_letter
from listener.bus.protocol import Bus, Lease, Message
from listener.bus.scan import scan, scan_records
from listener.bus.spool import Spool, SpoolEntry
from listener.clock import Clock
from listener.crashpoints import point
from listener.ingest.gaps import in_band, to_ledger
from listener.model import keys
from listener.model.decisions import DECISIONS
from listener.model.gaps import Cause, closed, open_gap
from listener.model.records import MENTIONS, BadRecord, Decision, DecisionKind, Mention, Tick, decode, encode
from listener.model.roles import listen_to
from listener.privacy.purge import is_about
from listener.runtime.metrics import Metrics

log = logging.getLogger(__name__)

ASK_SECONDS = 2.0
"""So often it is asked whether the bus is back."""
BATCH_SIZE = 2_000
"""Messages in one transaction."""
MARGIN = timedelta(minutes=1)
"""Clocks of machines differ."""


class OutageBuffer:
    """Of one source, in its listener's thread. Without a spool nothing is kept, and it is never said to last."""

    def __init__(
        self, bus: Bus, source: str, spool: Spool | None, *, keep: timedelta | None, clock: Clock, metrics: Metrics
    ) -> None:
        self._bus = bus
        self._source = source
        self._spool = spool
        self._keep = keep
        self._clock = clock
        self._metrics = metrics
        self._asked = 0.0
        self._mark = uuid.uuid4().hex[:8]
        self._count = 0
        self._doubtful = False
        self._lost: tuple[datetime, datetime] | None = None
        self._beside: list[Message] = []
        self._there: _There | None = None
        self.why: str | None = None
        """While the bus is away: the reason."""
        self._show()

    def begins(self, why: str, *, doubtful: bool) -> bool:
        """The bus is away. `doubtful`: what is kept next was on its way. False when nothing can be kept."""
        if self._spool is None:
            return False
        if self.why is None:
            log.warning("source %s: the bus cannot be reached; posts are kept on disk", self._source)
        self.why, self._asked, self._doubtful, self._there = why, self._clock.monotonic(), doubtful, None
        return True

    def lasts(self) -> bool:
        """Asks the bus, now and then."""
        if self.why is not None and self._clock.monotonic() - self._asked >= ASK_SECONDS:
            # A disk that is full takes nothing, but it is not away.
            self.why = None if self._bus.full() else self._bus.healthy()
            self._asked = self._clock.monotonic()
        return self.why is not None

    @property
    def waits(self) -> bool:
        """Something is to be brought to the bus."""
        return (self._spool is not None and self._spool.waits) or self._lost is not None

    def problem(self) -> str | None:
        """What /readyz says of it; None while there is nothing to say."""
        if self._spool is None:
            return None
        if self.why is None:
            left = f"{self._spool.left >> 10} KiB that were kept on disk are brought to it"
            return f"the bus is back; {left}" if self._spool.waits else None
        kept = f"{self._spool.size >> 10} KiB are kept on disk"
        return f"{self.why}; heard all the same: {kept}" + ("; THE BOUND IS REACHED" if self._lost else "")

    # --- keeping -----------------------------------------------------------------------------------------------

    def keep(self, messages: Sequence[Message], start: datetime, end: datetime) -> bool:
        """What would have gone to the bus; it is of the time from `start` to `end`. False when there is no room."""
        if self._spool is None:
            return False
        doubtful, self._doubtful = self._doubtful, False
        said = list(messages) if doubtful else list(self._marked(messages))
        if self._lost is None and self._spool.append(self._clock.now(), said):
            point("spool.kept")
            self._show()
            return True
        if self._lost is None:
            log.error("source %s: no disk space left for posts; this is recorded as a gap", self._source)
        self._lost = min(start, self._lost[0] if self._lost else start), end
        # What the source reports of itself is not lost, but for what counts the posts that are.
        self._beside += [m for m in messages if _is_kept(m)]
        return False

    def _marked(self, messages: Sequence[Message]) -> Iterator[Message]:
        self._count += 1
        values: dict[bytes, bytes] = {}
        for message in messages:
            if message.key != keys.tick_of(self._source) or message.value is None:
                yield message
                continue
            if message.value not in values:
                values[message.value] = _with_mark(message.value, f"{self._mark}:{self._count}")
            yield replace(message, value=values[message.value])

    # --- bringing ----------------------------------------------------------------------------------------------

    def bring(self, name: str, lease: Lease, beat: Callable[[], None]) -> bool:
        """One transaction's worth, to be called again while `waits`. True when the source missed something that may
        be searched for. Raises Fenced or BusError; then nothing of it is on the bus, or it is known to be next time."""
        spool = self._spool
        if spool is None:
            return False
        try:
            return self._bring(spool, name, lease, beat)
        except BaseException:
            self._there = None
            raise

    def _bring(self, spool: Spool, name: str, lease: Lease, beat: Callable[[], None]) -> bool:
        entries = spool.peek(BATCH_SIZE)
        there = self._there or _There(self._bus, self._source, spool.oldest or self._clock.now(), beat)
        self._there = there
        messages = [message for entry in entries for message in self._missing(entry, there)]
        lost = self._lost if not entries or entries[-1].end == spool.size else None
        if lost is not None:
            gap = closed(open_gap(self._source, lost[0], Cause.BUS_AWAY), lost[1], refilled=0, refilled_until=None)
            messages += [*self._beside, to_ledger(gap), *in_band(gap, self._bus.partitions("mentions"))]
        with self._bus.transaction(name) as transaction:
            transaction.hold(lease)
            for message in messages:
                transaction.publish(message)
        point("spool.drained")
        if entries:
            spool.drop(entries[-1].end)
        if lost is not None:
            seconds = max(0.0, (lost[1] - lost[0]).total_seconds())
            self._metrics.gap_seconds.labels(self._source, Cause.BUS_AWAY).inc(seconds)
            self._lost, self._beside = None, []
        if not spool.waits:
            self._there = None
            if entries:
                log.warning("source %s: all that was kept on disk is on the bus", self._source)
        self._show()
        return lost is not None

    def _missing(self, entry: SpoolEntry, there: _There) -> list[Message]:
        """Of an entry, what the bus has not."""
        if entry.messages is None or entry.at is None:
            self._metrics.deadletters.labels(listen_to(self._source), "spool_damaged").inc()
            where = f"spool-{self._source}:{entry.end}"
            return [dead_letter(listen_to(self._source), "spool_damaged", b"", where, self._clock)]
        late = self._keep is not None and self._clock.now() - entry.at > self._keep
        came = any(m.key == keys.tick_of(self._source) and m.value in there.ticks for m in entry.messages)
        out, posts = [], 0
        for message in entry.messages:
            if message.topic != "mentions" or message.value is None or not keys.is_post(message.key):
                out.append(message)
                continue
            left = None if late or is_about(message, there.purged) else there.without(message.value)
            if left is None:
                self._metrics.posts_dropped.labels(self._source, "too_old" if late else "duplicate").inc()
                continue
            out.append(replace(message, value=encode(left)))
            posts += 1
            self._metrics.mentions.labels(self._source, left.origin).inc()
        # The tick of what was on its way may be another's that looks the same: then a post tells.
        return out if posts or not came else []

    def _show(self) -> None:
        if self._spool is not None:
            oldest = self._spool.oldest
            self._metrics.spool_bytes.labels(self._source).set(self._spool.left)
            self._metrics.spool_limit.labels(self._source).set(self._spool.limit)
            self._metrics.spool_oldest.labels(self._source).set(nan if oldest is None else oldest.timestamp())

    def close(self) -> None:
        if self._spool is not None:
            self._spool.close()


class _There:
    """What the bus holds of a source since keeping began, and what was to be purged since."""

    def __init__(self, bus: Bus, source: str, since: datetime, beat: Callable[[], None]) -> None:
        self._posts: dict[str, set[str]] = {}
        self.ticks: set[bytes | None] = set()
        for record in scan_records(bus, [MENTIONS.name], since=since - MARGIN, beat=beat):
            if record.value is not None and keys.is_of(record.key, source):
                self._take(record.key, record.value)
        decisions = scan(bus, DECISIONS, since=since - MARGIN)
        self.purged = frozenset(
            each.id for each in decisions if isinstance(each, Decision) and each.kind is DecisionKind.PURGE
        )

    def without(self, value: bytes) -> Mention | None:
        """A kept mention, for the incidents that do not have it yet; they have it from now on."""
        try:
            mention = decode(MENTIONS, value)
        except BadRecord:
            return None
        if not isinstance(mention, Mention):
            return None
        there = self._posts.setdefault(mention.post_key, set())
        left = {incident: tracks for incident, tracks in mention.incidents.items() if incident not in there}
        there |= left.keys()
        return mention.model_copy(update={"incidents": left}) if left else None

    def _take(self, key: str, value: bytes) -> None:
        if keys.is_tick(key):
            self.ticks.add(value)
            return
        try:
            mention = decode(MENTIONS, value)
        except BadRecord:
            return
        if isinstance(mention, Mention):
            self._posts.setdefault(mention.post_key, set()).update(mention.incidents)


def _with_mark(value: bytes, mark: str) -> bytes:
    """A tick like no other."""
    tick = decode(MENTIONS, value)
    if not isinstance(tick, Tick):
        return value
    cursor = json.loads(tick.cursor or "{}")
    return encode(tick.model_copy(update={"cursor": json.dumps({**cursor, "kept": mark})}))


def _is_kept(message: Message) -> bool:
    """Without room too: gaps, deletions, and whatever counts no post."""
    return keys.is_gap(message.key) or keys.is_deletion(message.key) or message.topic not in ("mentions", "volumes")
