"""What a source has said on a topic whose keys begin with its name, read back from some time on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import datetime
from typing import TypeVar

from pydantic import TypeAdapter

from listener.bus.protocol import Bus, Consumer, Record, TopicPartition
from listener.errors import BusError
from listener.model.records import (
    BadRecord,
    decode,
)

T = TypeVar("T")


def said_since(
    bus: Bus, topic: str, adapter: TypeAdapter[T], source: str, since: datetime, beat: Callable[[], None]
) -> Iterator[T]:
    """In the order of publishing; what cannot be read is passed over. `beat` is called now and then."""
    prefix = f"{source}:"
    with closing(bus.reader([topic], start=since)) as reader:
        while records := reader.poll(0.0, 5000):
            beat()
            for record in records:
                if record.value is None or not record.key.startswith(prefix):
                    continue
                try:
                    yield decode(adapter, record.value)
                except BadRecord:
                    continue


def read_to_end(bus: Bus, reader: Consumer, topics: Sequence[str]) -> Iterator[Record]:
    """The records up to what were the ends when this was called. Raises BusError when the bus gives no more."""
    ends = {tp: bus.end_offset(tp) for topic in topics for tp in _partitions(bus, topic)}
    silent = 0
    while any(max(reader.position(tp), bus.begin_offset(tp)) < end for tp, end in ends.items()):
        records = reader.poll(0.1)
        silent = 0 if records else silent + 1
        if silent > 100:
            raise BusError(f"the bus gives no more of {', '.join(topics)}, though there is more; is it well?")
        yield from records


def _partitions(bus: Bus, topic: str) -> list[TopicPartition]:
    return [TopicPartition(topic, number) for number in range(bus.partitions(topic))]
