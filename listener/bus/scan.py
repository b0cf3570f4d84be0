"""What a source has said on a topic whose keys begin with its name, read back from some time on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from typing import TypeVar

from pydantic import TypeAdapter

from listener.bus.protocol import Bus
from listener.model.records import BadRecord, decode

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
