"""Forgetting a post: by its id, from every topic that holds what people wrote, down to the bytes on the disk.

All versions of a post that was edited are one post and go together. Reposts hold its words too and go with it, those
included that name no post but repeat its words. What stays are ids and digests in alerts, deliveries and decisions: the
archive, which holds nobody's text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import Any

from listener.bus import spool
from listener.bus.protocol import Bus, Message, TopicPartition
from listener.bus.scan import scan_records
from listener.bus.sqlite.view import wipe_aside
from listener.clock import Clock
from listener.model import keys
from listener.model.records import FINDINGS, MENTIONS, BadRecord, Finding, Mention, decode, first_key
from listener.model.roles import ANNOTATE
from listener.model.topics import Topic

CONTENT: Mapping[str, Topic[Any]] = {topic.name: topic for topic in (MENTIONS, FINDINGS)}
"""The topics that hold content."""
OLD_REPOST = re.compile(r"(?:RT @\S+ )+(.*)", re.DOTALL)
MAX_SECONDS = 10.0
IDLE_SECONDS = 1.0


def purge_posts(
    bus: Bus,
    ids: Collection[str],
    clock: Clock,
    folder: Path | None = None,
    *,
    beat: Callable[[], None] = lambda: None,
) -> int:
    """Purge posts given as `source:id`, or as a bare id of any source. Returns how many records went.

    `folder`: the data folder, whose spools are purged too, and first: they are there when the bus is not.
    `beat` is called now and then: there may be much to read.
    Done twice: a worker may have had a mention in its hands, and put a finding of it on the bus meanwhile.
    Raises BusError when the bytes could not be overwritten: then it must be run once more.
    """
    spooled = 0 if folder is None else spool.purge(folder, lambda at, message: is_about(message, frozenset(ids)))
    if folder is not None:
        wipe_aside(folder)
    wanted = versions_of(bus, frozenset(ids), beat)
    wanted |= _copies(bus, wanted, beat)
    gone = _purge(bus, wanted, beat)
    _let_workers_pass(bus, clock, beat)
    if folder is not None:
        spooled += spool.purge(folder, lambda at, message: is_about(message, wanted))
    return spooled + gone + _purge(bus, wanted, beat)


def held(bus: Bus, ids: frozenset[str], beat: Callable[[], None] = lambda: None) -> frozenset[str]:
    """Those of these `source:id` whose words lie on the bus: as the post itself, a version or a repost of it."""
    found: set[str] = set()
    for record in scan_records(bus, list(CONTENT), beat=beat):
        if record.value is None or not keys.is_post(record.key):
            continue
        found |= ids & keys.names_of_post(record.key)
        if b'"repost_of"' in record.value or b'"edits":["' in record.value:
            with suppress(BadRecord):
                post = decode(CONTENT[record.topic], record.value)
                others = (*post.edits, *([post.repost_of] if post.repost_of else ()))
                found |= ids & {keys.of_source(post.source, each) for each in others}
    return frozenset(found)


def is_held(bus: Bus, id_: str) -> bool:
    """A post of this very id lies on the bus. The id may be bare, or with its source and incident before it."""
    records = scan_records(bus, list(CONTENT))
    return any(record.value is not None and _is_meant(record.key, frozenset({id_})) for record in records)


def is_about(message: Message, ids: frozenset[str]) -> bool:
    """It holds what one of these posts said: the post itself, a version or a repost of it."""
    if message.topic not in CONTENT or message.value is None:
        return False
    if _is_meant(message.key, ids) or _holds(CONTENT[message.topic], message.value, ids):
        return True
    if b'"edits":["' not in message.value:
        return False
    with suppress(BadRecord):
        found = decode(CONTENT[message.topic], message.value)
        return not ids.isdisjoint({form for each in found.edits for form in (each, keys.of_source(found.source, each))})
    return False


def _purge(bus: Bus, ids: frozenset[str], beat: Callable[[], None]) -> int:
    held: list[tuple[TopicPartition, str]] = []
    purged_before = False
    for tp, key, is_gone in _records_of(bus, ids, beat):
        if is_gone:
            purged_before = True
        else:
            held.append((tp, key))
    # With none held too: a purge that was run before may have left bytes that a reader held on to.
    return bus.purge(held) if held or purged_before else 0


def versions_of(bus: Bus, ids: frozenset[str], beat: Callable[[], None]) -> frozenset[str]:
    """These, and what each of them was before it was edited and became by it: all go together."""
    posts: dict[str, set[str]] = {}
    for record in scan_records(bus, [MENTIONS.name], beat=beat):
        # Without reading them: there may be a week of posts, and few were edited.
        if record.value is None or b'"edits":["' not in record.value:
            continue
        with suppress(BadRecord):
            found = decode(MENTIONS, record.value)
            if isinstance(found, Mention):
                versions = (keys.of_source(found.source, each) for each in (found.id, *found.edits))
                posts.setdefault(first_key(found), set()).update(versions)
    return ids.union(*(its for its in posts.values() if any(_is_meant(key, ids) for key in its)))


def _copies(bus: Bus, ids: frozenset[str], beat: Callable[[], None]) -> frozenset[str]:
    """Reposts that name no post, as people write them: `RT @…: ` and its words, or the beginning of them."""
    texts: list[str] = []
    copies: list[tuple[str, str]] = []
    for record in scan_records(bus, [MENTIONS.name], beat=beat):
        if record.value is None or not (_is_meant(record.key, ids) or b'"RT @' in record.value):
            continue
        try:
            found = decode(MENTIONS, record.value)
        except BadRecord:
            continue
        if not isinstance(found, Mention):
            continue
        body = OLD_REPOST.match(found.text)
        if _is_meant(record.key, ids):
            texts.append(found.text)
        elif body is not None and found.repost_of is None:
            copies.append((body[1].rstrip(" .…"), found.post_key))
    return frozenset(post for words, post in copies if words and any(text.startswith(words) for text in texts))


def _let_workers_pass(bus: Bus, clock: Clock, beat: Callable[[], None]) -> None:
    """Until all mentions there are now have been annotated, or nobody is at it."""
    tps = [TopicPartition("mentions", number) for number in range(bus.partitions("mentions"))]
    ends = {tp: bus.end_offset(tp) for tp in tps}
    never, started = Event(), clock.monotonic()
    moved, before = started, None
    while clock.monotonic() - started < MAX_SECONDS and clock.monotonic() - moved < IDLE_SECONDS:
        beat()
        at = {tp: bus.end_offset(tp) - behind for tp, behind in bus.lag(ANNOTATE).items() if tp in ends}
        if all(at.get(tp, end) >= end for tp, end in ends.items()):
            return
        if at != before:
            moved, before = clock.monotonic(), at
        clock.wait(0.05, never)


def _records_of(bus: Bus, ids: frozenset[str], beat: Callable[[], None]) -> Iterator[tuple[TopicPartition, str, bool]]:
    """Partition and key of what is held of these posts, each once; True behind a key that was purged before."""
    seen: set[tuple[TopicPartition, str]] = set()
    for name, topic in CONTENT.items():
        for record in scan_records(bus, [name], beat=beat):
            if record.value is None:
                if _is_meant(record.key, ids):
                    yield record.tp, record.key, True
            elif (record.tp, record.key) not in seen and (
                _is_meant(record.key, ids) or _holds(topic, record.value, ids)
            ):
                seen.add((record.tp, record.key))
                yield record.tp, record.key, False


def _is_meant(key: str, ids: frozenset[str]) -> bool:
    """A post that somebody calls by one of these names."""
    return keys.is_post(key) and not ids.isdisjoint(keys.names_of_post(key))


def _holds(topic: Topic[Any], value: bytes, ids: frozenset[str]) -> bool:
    """A repost of it."""
    if b'"repost_of"' not in value:
        return False
    try:
        found = decode(topic, value)
    except BadRecord:
        return False
    if not isinstance(found, Mention | Finding) or found.repost_of is None:
        return False
    return found.repost_of in ids or keys.of_source(found.source, found.repost_of) in ids
