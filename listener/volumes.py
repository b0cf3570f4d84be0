"""Reading `volumes` back: which minutes of which tracks a source has counted already."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

from listener.bus import Bus
from listener.records import VOLUMES, BadRecord, Volume, decode


def volumes_since(bus: Bus, source: str, since: datetime, beat: Callable[[], None]) -> Iterator[Volume]:
    """What was published for `source` since then, in the order of publishing. `beat` is called now and then."""
    reader = bus.reader(["volumes"], start=since)
    prefix = f"{source}:"
    try:
        while records := reader.poll(0.0, 5000):
            beat()
            for record in records:
                if record.value is None or not record.key.startswith(prefix):
                    continue
                try:
                    found = decode(VOLUMES, record.value)
                except BadRecord:
                    continue
                if isinstance(found, Volume):
                    yield found
    finally:
        reader.close()
