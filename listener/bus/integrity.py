"""Integrity: is everything on the bus as it was written? For `doctor`; reads all of it and changes nothing.

Three questions, from the bytes up: does the storage find its pages whole, is each record JSON as we write it, and do
the hash chains of `deliveries` and `decisions` hold.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from listener.bus.hashchain import CHAINED, Chain
from listener.bus.protocol import Bus, Record, TopicPartition
from listener.errors import BusError, Corrupt
from listener.model.topics import TOPICS

CHUNK = 2_000
MAX_NAMED = 5
"""Of the records of one partition that cannot be read, so many are named; the rest are counted."""


def problems(bus: Bus, beat: Callable[[], None] = lambda: None) -> Iterator[str]:
    """One sentence for each thing that is damaged; nothing when all is well. `beat` is called now and then meanwhile.

    Raises BusError when the bus is away, so that nothing can be said.
    """
    yield from bus.damage()
    for topic in TOPICS:
        try:
            count = bus.partitions(topic)
        except BusError:
            continue  # nothing was ever written to it
        except Corrupt as error:
            yield str(error)
            return
        for number in range(count):
            yield from _unreadable(bus, TopicPartition(topic, number), beat)


def _unreadable(bus: Bus, tp: TopicPartition, beat: Callable[[], None]) -> Iterator[str]:
    chain = Chain() if tp.topic in CHAINED else None
    bad = 0
    try:
        for record in _records(bus, tp, beat):
            if record.value is not None and not _is_ours(record.value):
                bad += 1
                if bad <= MAX_NAMED:
                    yield f"{record.where}: is not what was written there; restore the newest backup"
            elif chain is not None:
                try:
                    chain.follow(record)
                except Corrupt as error:
                    yield str(error)
                    # What stands behind the break is judged by itself.
                    chain = Chain()
    except Corrupt as error:
        yield f"{tp.topic}/{tp.partition}: {error}"
    if bad > MAX_NAMED:
        yield f"{tp.topic}/{tp.partition}: {bad} records in all are not what was written there"


def _records(bus: Bus, tp: TopicPartition, beat: Callable[[], None]) -> Iterator[Record]:
    start, end = bus.begin_offset(tp), bus.end_offset(tp)
    while start < end and (records := bus.read(tp, start, CHUNK)):
        beat()
        yield from records
        start = records[-1].offset + 1


def _is_ours(value: bytes) -> bool:
    try:
        return isinstance(json.loads(value), dict)
    except (ValueError, RecursionError):
        return False
