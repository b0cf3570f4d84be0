"""Capture: what a source offers → match → privacy → the bus. One worker a source.

In crisis a post that matches an open incident becomes a mention, and with it, in the same transaction, goes a tick
that says how far the source is heard and where to go on reading. In calm a post is counted and dropped.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from listener.bus import Bus, Lease, Message
from listener.clock import Clock
from listener.crash import point
from listener.errors import BusError, BusFull, LyttepostError
from listener.follow import Following
from listener.gaps import Cause, closed, in_band, open_gap, to_ledger
from listener.health import Part
from listener.match import Matcher
from listener.metrics import Metrics, SourceState
from listener.mode import Incident, State
from listener.ops import ops_alert
from listener.privacy import Screen
from listener.records import (
    MENTIONS,
    BadRecord,
    DeadLetter,
    Gap,
    Mention,
    Origin,
    Post,
    Tick,
    Volume,
    decode,
    encode,
)
from listener.sources import Batch, Source

log = logging.getLogger(__name__)

RELOAD = timedelta(days=7)
"""The longest time that a source can be asked to refill: ids this old may come again."""
LEASE_SECONDS = 5.0
STANDING = ""
"""The matcher's name for the standing tracks, which are counted whatever is open."""


@dataclass
class Pending:
    """A batch made ready for the bus. Kept until the bus has taken it."""

    messages: list[Message]
    batch: Batch
    seen: list[int] = field(default_factory=list)
    mentions: int = 0


class Listen:
    """Reads one source while it holds the lease; everything it offers is on the bus, or in a gap."""

    def __init__(
        self,
        source: Source,
        bus: Bus,
        following: Following,
        screen: Screen,
        standing: Sequence[str],
        *,
        lease: Lease,
        clock: Clock,
        metrics: Metrics,
        part: Part,
        before: Callable[[Batch], None] = lambda batch: None,
    ) -> None:
        self.name = f"listen-{source.name}"
        self.source = source
        self._bus = bus
        self._following = following
        self._screen = screen
        self._standing = tuple(standing)
        self._lease = lease
        self._clock = clock
        self._metrics = metrics
        self._part = part
        self._before = before
        self._epoch = -2
        self._incidents: tuple[Incident, ...] = ()
        self._matcher = Matcher({})
        self._playing: str | None = None
        self._until: datetime | None = None
        self._ended = False
        self._pending: Pending | None = None
        self._gap: Gap | None = None
        self._seen: set[int] = set()
        self._renewed = float("-inf")
        self._partitions = bus.partitions("mentions")
        self._following.joins(self.name)
        self._metrics.add_source(source.name)

    @property
    def ended(self) -> bool:
        """The source has given all it has, and the bus has it."""
        return self._ended and self._pending is None

    # --- turning -----------------------------------------------------------------------------------------------

    def step(self, timeout: float) -> bool:
        self._part.beat()
        if not self._holds_lease():
            self._show(SourceState.STANDBY)
            return False
        self._apply(self._following.state)
        if self._pending is not None:
            return self._publish(self._pending)
        if not self._wanted():
            self._stop_playing()
            self._show(SourceState.IDLE)
            return False
        if self._playing is None:
            self._start_playing()
        if self._ended:
            self._show(SourceState.FINISHED)
            return False
        self._show(SourceState.LISTENING)
        batch = self.source.read(timeout)
        if batch is None:
            return False
        self._before(batch)
        self._pending = self._capture(batch)
        return self._publish(self._pending)

    def close(self) -> None:
        self.source.close()
        self._lease.release()

    def _holds_lease(self) -> bool:
        now = self._clock.monotonic()
        if now - self._renewed >= LEASE_SECONDS / 5:
            if not self._lease.renew():
                return False
            self._renewed = now
        return True

    def _apply(self, state: State) -> None:
        if state.epoch == self._epoch:
            return
        self._incidents = tuple(i for i in state.listening if i.exercise or not self.source.only_exercise)
        tracks: dict[str, Sequence[str]] = {i.id: (*i.tracks, *self._standing) for i in self._incidents}
        tracks[STANDING] = self._standing
        self._matcher = Matcher(tracks)
        self._epoch = state.epoch
        self._following.applied(self.name, state.epoch)

    def _wanted(self) -> bool:
        return bool(self._incidents) or not self.source.only_exercise

    def _show(self, state: SourceState) -> None:
        self._metrics.set_source_state(self.source.name, state)
        told = {**self.source.state(), "state": state}
        if self._gap is not None:
            told["gap"] = self._gap.cause
        self._following.source(self.source.name, told)

    # --- beginning and ending ----------------------------------------------------------------------------------

    def _start_playing(self) -> None:
        """Go on where the last tick on the bus says, if it was for the same incident."""
        self._playing = self._incidents[0].id if self._incidents else ""
        resume = self._reload()
        try:
            self.source.open(resume)
        except LyttepostError as error:
            self._part.problem(str(error))
            log.error("source %s: %s", self.source.name, error)
            self._ended = True
            return
        self._part.problem(None)

    def _stop_playing(self) -> None:
        if self._playing is None:
            return
        self.source.close()
        if self._until is not None and not self._ended:
            tick = Tick(source=self.source.name, until=self._until, cursor=None, final=True)
            self._publish(Pending(self._tick(tick), Batch(final=True)))
        self._playing, self._ended, self._until = None, False, None

    def _reload(self) -> str | None:
        """Ids that are on the bus already, and the cursor of the last tick."""
        resume = None
        prefix = f"{self.source.name}:"
        reader = self._bus.reader(["mentions"], start=self._clock.now() - RELOAD)
        while records := reader.poll(0.0, 5000):
            self._part.beat()
            for record in records:
                if record.value is None or not record.key.startswith(prefix):
                    continue
                try:
                    found = decode(MENTIONS, record.value)
                except BadRecord:
                    continue
                if isinstance(found, Mention):
                    self._seen.update(_fingerprint(incident, found.post_key) for incident in found.incidents)
                elif isinstance(found, Tick):
                    resume = self._cursor(found)
                    self._until = found.until
        reader.close()
        return resume

    def _cursor(self, tick: Tick) -> str | None:
        if tick.cursor is None:
            return None
        try:
            saved = json.loads(tick.cursor)
            return str(saved["at"]) if saved["for"] == self._playing else None
        except (ValueError, KeyError, TypeError):
            return None

    # --- the flow: post ▶ match ▶ privacy ▶ mention --------------------------------------------------------------

    def _capture(self, batch: Batch) -> Pending:
        pending = Pending([], batch)
        volumes: Counter[tuple[str, datetime]] = Counter()
        now = self._clock.now()
        name = self.source.name
        drops: Counter[str] = Counter()
        batch_seen: set[int] = set()
        for post in batch.posts:
            matched = self._matcher.match(post)
            minute = post.at.replace(second=0, microsecond=0)
            volumes.update((track, minute) for track in {t for tracks in matched.values() for t in tracks})
            mention, dropped = self._mention(post, dict(matched), now, pending, batch_seen)
            if mention is None:
                drops[dropped] += 1
            else:
                pending.messages.append(Message("mentions", mention.post_key, encode(mention)))
                pending.mentions += 1
        for (track, minute), count in volumes.items():
            volume = Volume(source=name, track=track, minute=minute, count=count)
            pending.messages.append(Message("volumes", f"{name}:{track}", encode(volume)))
        pending.messages += [self._dead_letter(line.reason, line) for line in batch.bad]
        if batch.until is not None:
            self._until = batch.until
        if self._until is not None:
            cursor = json.dumps({"for": self._playing, "at": batch.cursor}) if batch.cursor is not None else None
            tick = Tick(source=name, until=self._until, cursor=cursor, final=batch.final)
            pending.messages += self._tick(tick)
        self._count(batch, drops)
        return pending

    def _mention(
        self,
        post: Post,
        matched: dict[str, tuple[str, ...]],
        now: datetime,
        pending: Pending,
        batch_seen: set[int],
    ) -> tuple[Mention | None, str]:
        """The mention that a post becomes, or None and why not."""
        matched.pop(STANDING, None)
        if not self._incidents:
            return None, "calm"
        if not matched:
            return None, "no_match"
        key = f"{post.source}:{post.id}"
        fresh = {}
        for incident, tracks in matched.items():
            print_ = _fingerprint(incident, key)
            if print_ not in self._seen and print_ not in batch_seen:
                fresh[incident] = tracks
                batch_seen.add(print_)
                pending.seen.append(print_)
        if not fresh:
            return None, "duplicate"
        incidents = [i for i in self._incidents if i.id in fresh]
        return (
            self._screen.mention(
                post,
                incidents=fresh,
                origin=Origin.LIVE,
                captured_at=now,
                exercise=all(i.exercise for i in incidents),
                synthetic=all(i.synthetic for i in incidents),
            ),
            "",
        )

    def _tick(self, tick: Tick) -> list[Message]:
        value = encode(tick)
        key = f"{tick.source}:tick"
        return [Message("mentions", key, value, number) for number in range(self._partitions)]

    def _dead_letter(self, reason: str, line: object) -> Message:
        where = getattr(line, "where", "")
        letter = DeadLetter(
            at=self._clock.now(),
            stage=self.name,
            reason=reason,
            length=getattr(line, "length", 0),
            digest=getattr(line, "digest", hashlib.sha256(b"").hexdigest()),
            where=where,
        )
        self._metrics.deadletters.labels(self.name, reason).inc()
        return Message("deadletters", where, encode(letter))

    def _count(self, batch: Batch, drops: Counter[str]) -> None:
        name = self.source.name
        self._metrics.posts_heard.labels(name).inc(len(batch.posts))
        self._metrics.posts_matched.labels(name).inc(len(batch.posts) - drops["no_match"] - drops["calm"])
        if batch.duplicates:
            drops["duplicate"] += batch.duplicates
        for reason, count in drops.items():
            self._metrics.posts_dropped.labels(name, reason).inc(count)

    # --- to the bus --------------------------------------------------------------------------------------------

    def _publish(self, pending: Pending) -> bool:
        point("capture.before_publish")
        try:
            with self._bus.transaction(self.name) as transaction:
                for message in pending.messages:
                    transaction.publish(message)
                if self._gap is not None:
                    for message in self._refilled(self._gap, pending):
                        transaction.publish(message)
        except BusFull as error:
            self._no_room(pending, error)
            return False
        except BusError as error:
            self._part.problem(str(error))
            return False
        self._gap = None
        self._metrics.gaps_open.labels(self.source.name).set(0)
        self._part.problem(None)
        self._pending = None
        self._seen.update(pending.seen)
        self._ended = self._ended or pending.batch.final
        self._metrics.mentions.labels(self.source.name, Origin.LIVE).inc(pending.mentions)
        self._metrics.source_heard.labels(self.source.name).set(self._clock.now().timestamp())
        return True

    def _no_room(self, pending: Pending, error: BusFull) -> None:
        """Reading stops; the gap and the word to ops are written into the room that is held for them."""
        self._part.problem(str(error))
        if self._gap is not None:
            return
        now = self._clock.now()
        start = min((p.at for p in pending.batch.posts), default=self._until or now)
        self._gap = open_gap(self.source.name, start, Cause.DISK_FULL)
        self._metrics.gaps_open.labels(self.source.name).set(1)
        log.error("source %s: %s", self.source.name, error)
        self._bus.publish([to_ledger(self._gap), ops_alert("disk_full", self.source.name, self._gap.start, now)])

    def _refilled(self, gap: Gap, pending: Pending) -> list[Message]:
        """There is room again. What was read is kept, so the gap closes refilled."""
        end = max(pending.batch.until or gap.start, gap.start)
        over = closed(gap, end, refilled=pending.mentions, refilled_until=end)
        seconds = (over.end or gap.start) - gap.start
        self._metrics.gap_seconds.labels(gap.source, gap.cause).inc(seconds.total_seconds())
        now = self._clock.now()
        return [
            to_ledger(over),
            *in_band(over, self._partitions),
            ops_alert("disk_full", self.source.name, gap.start, now, over=True),
        ]


def _fingerprint(incident: str, key: str) -> int:
    """64 bits for (incident, post): a set of them holds millions."""
    return hash((incident, key))
