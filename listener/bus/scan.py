"""Reading topics back: all that lies on them, once, from the beginning or from some time on.

Who goes on reading afterwards keeps a reader of its own (`bus.reader`), and drains it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import datetime
from typing import TypeVar

from listener.bus.protocol import Bus, Consumer, Record
from listener.model import keys
from listener.model.records import BadRecord, decode
from listener.model.topics import Topic

T = TypeVar("T")
BATCH_SIZE = 5000


def _nothing() -> None:
    pass


def scan(
    bus: Bus,
    topic: Topic[T],
    *,
    since: datetime | int = 0,
    source: str | None = None,
    beat: Callable[[], None] = _nothing,
) -> Iterator[T]:
    """What lies on a topic, in the order of its partitions; what was purged or cannot be read is left out.

    `source`: only what belongs to it, by the key. `beat` is called now and then. Raises BusError when the bus does not
    give all that there is.
    """
    for _, value in scan_placed(bus, topic, since=since, source=source, beat=beat):
        yield value


def scan_placed(
    bus: Bus,
    topic: Topic[T],
    *,
    since: datetime | int = 0,
    source: str | None = None,
    beat: Callable[[], None] = _nothing,
) -> Iterator[tuple[Record, T]]:
    """The same, each with the record that it was read from."""
    for record in scan_records(bus, [topic.name], since=since, beat=beat):
        if record.value is None or (source is not None and not keys.is_of(record.key, source)):
            continue
        try:
            value = decode(topic, record.value)
        except BadRecord:
            continue
        yield record, value


def scan_records(
    bus: Bus, topics: Sequence[str], *, since: datetime | int = 0, beat: Callable[[], None] = _nothing
) -> Iterator[Record]:
    """Every record of these topics as it lies there, what was purged (`value` None) and what nobody can read included.

    Raises BusError when the bus does not give all that there is.
    """
    with closing(bus.reader(topics, start=since)) as reader:
        yield from drain(reader, beat)


def drain(reader: Consumer, beat: Callable[[], None] = _nothing) -> Iterator[Record]:
    """All that lies before a reader now, for one that is kept open: what others wrote meanwhile included.

    Raises BusError when the bus does not give all that there is.
    """
    while records := reader.poll(0.0, BATCH_SIZE):
        beat()
        yield from records
