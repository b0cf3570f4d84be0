"""Reading `volumes` back: which minutes of which tracks a source has counted already."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

from listener.bus.protocol import Bus
from listener.bus.scan import said_since
from listener.model.records import VOLUMES, Volume


def volumes_since(bus: Bus, source: str, since: datetime, beat: Callable[[], None]) -> Iterator[Volume]:
    """What was published for `source` since then, in the order of publishing. `beat` is called now and then."""
    for found in said_since(bus, "volumes", VOLUMES, source, since, beat):
        if isinstance(found, Volume):
            yield found
