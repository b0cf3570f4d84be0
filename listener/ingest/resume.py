"""Where a source goes on, read back from the bus: up to when it was heard, for which incidents, and what was counted.

A tick's cursor says how far the source was read and which incidents it was read for then. One that is open still goes
on from there; a source that had ended begins anew for an incident that was not yet open. Names and no times: a clock
that jumps back changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Set
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from listener.bus.protocol import Bus, TopicPartition
from listener.bus.scan import scan, scan_records
from listener.model import keys
from listener.model.records import MENTIONS, VOLUMES, BadRecord, Mention, Tick, Volume, decode

CHUNK = 2_000


@dataclass(frozen=True)
class Place:
    """What a cursor on the bus says. `at` is the source's own word; None: it was left, and begins anew."""

    at: str | None
    played_for: frozenset[str]
    final: bool


def cursor(at: str | None, played_for: Set[str]) -> str | None:
    """A tick's cursor."""
    return None if at is None else json.dumps({"for": sorted(played_for), "at": at})


def place(tick: Tick) -> Place:
    """A tick's cursor, read. One that is none of ours counts as none."""
    try:
        saved = json.loads(tick.cursor or "null")
        return Place(str(saved["at"]), frozenset(map(str, saved["for"])), tick.final)
    except (ValueError, KeyError, TypeError):
        return Place(None, frozenset(), tick.final)


def goes_on(last: Place, wanted: Set[str]) -> bool:
    """Whether a source that stood there goes on for these incidents, or begins anew."""
    return bool(last.played_for & wanted) and (not last.final or wanted <= last.played_for)


def heard_since(bus: Bus, source: str, since: datetime, beat: Callable[[], None]) -> Iterator[Mention | Tick]:
    """What is on `mentions` of a source, in order. `beat` is called now and then: there may be a week of it."""
    for found in scan(bus, MENTIONS, since=since, source=source, beat=beat):
        if isinstance(found, Mention | Tick):
            yield found


def last_heard(
    bus: Bus, source: str, since: datetime, beat: Callable[[], None], met: Callable[[Mention], None]
) -> Tick | None:
    """The last tick of it; `met` is called with every mention."""
    last: Tick | None = None
    for found in heard_since(bus, source, since, beat):
        if isinstance(found, Mention):
            met(found)
        else:
            last = found
    return last


def held_posts(bus: Bus, source: str, beat: Callable[[], None]) -> Iterator[str]:
    """The ids of the posts of a source that lie on the bus, as the platform has them: of an edited one its own.

    `beat` is called now and then: there may be a month of them.
    """
    for record in scan_records(bus, [MENTIONS.name], beat=beat):
        if record.value is None or not keys.is_of(record.key, source) or not keys.is_post(record.key):
            continue
        # Few were edited; of the others the key says it.
        id_ = record.key.removeprefix(keys.of_source(source, ""))
        if b'"edits":["' in record.value:
            with suppress(BadRecord):
                found = decode(MENTIONS, record.value)
                id_ = found.edits[0] if isinstance(found, Mention) and found.edits else id_
        yield id_


def held_aliases(bus: Bus, source: str, beat: Callable[[], None]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The posts of a source that lie on the bus: the id as the platform has it, and what else the platform calls it.

    `beat` is called now and then: there may be a month of them.
    """
    for record in scan_records(bus, [MENTIONS.name], beat=beat):
        if record.value is None or not keys.is_of(record.key, source) or b'"aliases":["' not in record.value:
            continue
        with suppress(BadRecord):
            found = decode(MENTIONS, record.value)
            if isinstance(found, Mention) and found.aliases:
                yield (found.edits[0] if found.edits else found.id), found.aliases


def held_versions(bus: Bus, source: str) -> Iterator[str]:
    """The ids of the posts of a source that lie on the bus, of an edited one those of all its versions.

    From any thread: it has a reader of its own.
    """
    for record in scan_records(bus, [MENTIONS.name]):
        if record.value is None or not keys.is_of(record.key, source) or not keys.is_post(record.key):
            continue
        yield record.key.removeprefix(keys.of_source(source, ""))
        if b'"edits":["' in record.value:
            with suppress(BadRecord):
                found = decode(MENTIONS, record.value)
                yield from found.edits if isinstance(found, Mention) else ()


def volumes_since(bus: Bus, source: str, since: datetime, beat: Callable[[], None]) -> Iterator[Volume]:
    """The minutes of tracks that were published as counted for `source` since then, in the order of publishing.

    `beat` is called now and then.
    """
    for found in scan(bus, VOLUMES, since=since, source=source, beat=beat):
        if isinstance(found, Volume):
            yield found


def resumed(last: Tick | None, wanted: Set[str]) -> tuple[datetime | None, bool, str | None]:
    """Up to when a source is heard, whether it ended there, and its own word for where to go on; nothing of it when it
    begins anew."""
    if last is None or not goes_on(at := place(last), wanted):
        return None, False, None
    return last.until, last.final, at.at


def last_tick(bus: Bus, source: str) -> Tick | None:
    """The newest tick of a source. Ticks go to every partition of `mentions`, so one partition is enough."""
    tp = TopicPartition("mentions", 0)
    end, begin = bus.end_offset(tp), bus.begin_offset(tp)
    while end > begin:
        start = max(begin, end - CHUNK)
        for record in reversed(bus.read(tp, start, end - start)):
            if record.key == keys.tick_of(source) and record.value is not None and record.offset < end:
                try:
                    found = decode(MENTIONS, record.value)
                except BadRecord:
                    continue
                if isinstance(found, Tick):
                    return found
        end = start
    return None
