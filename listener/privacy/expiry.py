"""Content that may lie for less long than the rest: of a source whose platform's terms, or whose setting, say so.

A topic has one retention for all sources, on Kafka as in a file. So what is held of such sources is known record by
record, and what comes near its end is purged by its keys, as a purge that somebody asks for is: from the bytes on the
disk, too. It counts from when it was captured, not from when the bus took it: in between it may have lain in a spool.

It goes a little before its end, because the terms name a time at which nothing may be left: by then the turn, a
takeover by another process, the purge itself and a clock that was an hour ahead must have had their time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import closing, suppress
from datetime import datetime, timedelta
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

from listener.bus import spool
from listener.bus.protocol import Bus, Consumer, Message, Record, TopicPartition
from listener.bus.scan import drain
from listener.errors import BusError
from listener.model import keys
from listener.model.records import MENTIONS, BadRecord, Finding, Mention, decode
from listener.privacy.purge import CONTENT
from listener.units import from_ms

EARLY = timedelta(minutes=90)
"""Something is due so long before its end."""
WITH_IT = timedelta(hours=2)
"""What ends within this goes with what is due, so that a cluster need not compact for each record."""
BATCH_SIZE = 20_000
"""Keys in one purge."""

Limits = Mapping[str, timedelta]
"""Source → how long what was captured from it may lie."""


class Place(NamedTuple):
    """Where records of one post lie."""

    tp: TopicPartition
    key: str


class Held(NamedTuple):
    """Of which source, and when it was captured."""

    source: str
    at: datetime


class Expiry:
    """What is held of sources with a limit, in one thread. `beat` is called now and then: there may be much to read.

    The first look reads all content that there is, each later one what came since.
    """

    def __init__(self, bus: Bus, limits: Limits, beat: Callable[[], None] = lambda: None) -> None:
        self._bus = bus
        self._limits = limits
        self._beat = beat
        self._reader: Consumer | None = None
        self._held: dict[Place, Held] = {}
        self._unproven: set[Place] = set()
        """Purged, and their bytes may be left."""
        self._emptied = False
        """Something was purged by a process that may have been killed over it."""

    def look(self) -> None:
        """Take in what came. Raises BusError; then the next look begins anew."""
        try:
            if self._reader is None:
                self._held.clear()
                self._emptied = False
                self._reader = self._bus.reader(list(CONTENT), start=0)
            for record in drain(self._reader, self._beat):
                self._take(record)
        except BusError:
            self.close()
            raise

    def oldest(self) -> dict[str, datetime]:
        """Source → when the oldest of what is held was captured, as of the last look."""
        return _oldest(self._held.values())

    def expire(self, now: datetime) -> int:
        """Purge what comes near its end. How many records went. Raises BusError; then it is to be called again."""
        self.look()
        due = {source for source, at in self.oldest().items() if now - at > self._limits[source] - EARLY}
        going = {
            place
            for place, (source, at) in self._held.items()
            if source in due and now - at > self._limits[source] - WITH_IT
        }
        if not going and not self._unproven and not self._emptied:
            return 0
        self._unproven |= going
        gone, left = 0, iter(sorted(self._unproven))
        while batch := list(islice(left, BATCH_SIZE)):
            gone += self._bus.purge(batch)
            self._beat()
        if not self._unproven:
            self._bus.purge(())
        for place in self._unproven:
            self._held.pop(place, None)
        self._unproven, self._emptied = set(), False
        return gone

    def close(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            with suppress(BusError):
                reader.close()

    def _take(self, record: Record) -> None:
        source = source_of(record)
        if source not in self._limits:
            return
        place = Place(record.tp, record.key)
        if record.value is None:
            self._emptied = self._held.pop(place, None) is None or self._emptied
            return
        at = captured_at(record)
        if place not in self._held or at < self._held[place].at:
            self._held[place] = Held(source, at)


def source_of(record: Record | Message) -> str:
    """Of a post or of a finding on it; empty for what is neither."""
    if not keys.is_post(record.key):
        return ""
    parts = record.key.split(":", 2)
    return parts[0] if record.topic == MENTIONS.name or len(parts) == 1 else parts[1]


def captured_at(record: Record) -> datetime:
    """When what stands in it was captured; of what nobody can read, when the bus took it."""
    taken = from_ms(record.time_ms)
    with suppress(BadRecord):
        found = decode(CONTENT[record.topic], record.value or b"")
        if isinstance(found, Mention | Finding):
            return min(taken, found.captured_at)
    return taken


def expire_spools(folder: Path, limits: Limits, now: datetime) -> int:
    """Overwrite what comes near its end in the spools of a folder. How many messages there were. Raises ConfigError."""

    def ends(at: datetime, message: Message) -> bool:
        limit = limits.get(source_of(message))
        return message.topic in CONTENT and limit is not None and now - at > limit - EARLY

    return spool.purge(folder, ends) if limits else 0


def oldest_held(bus: Bus, folder: Path, sources: Collection[str]) -> dict[str, datetime]:
    """Source → when the oldest of what is held here was captured: on the bus, or in a spool. Of these sources.

    Reads all content that there is. Raises BusError, and ConfigError for a spool that cannot be read.
    """
    if not sources:
        return {}
    with closing(Expiry(bus, dict.fromkeys(sources, timedelta.max))) as expiry:
        expiry.look()
        on_bus = expiry.oldest()
    spooled = ((source_of(message), at) for at, message in spool.kept(folder) if message.topic in CONTENT)
    return _oldest(chain(on_bus.items(), (each for each in spooled if each[0] in sources)))


def _oldest(held: Iterable[tuple[str, datetime]]) -> dict[str, datetime]:
    """Source → the earliest of its times."""
    found: dict[str, datetime] = {}
    for source, at in held:
        found[source] = min(at, found.get(source, at))
    return found


def overdue(oldest: Mapping[str, datetime], limits: Limits, now: datetime) -> Iterator[str]:
    """The sources of which something is older than it may get: to the second, for so the terms are."""
    return (source for source, at in sorted(oldest.items()) if now - at > limits[source])
