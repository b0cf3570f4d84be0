"""Proof that a platform is asked which of the posts that we hold are gone there, read from the bus."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from listener.bus.protocol import Bus
from listener.ingest.resume import last_tick, place
from listener.sources.contract import SourceType

MOST = timedelta(hours=25)
"""A check is begun every 22 hours and may take two; what is later is late."""


class DeletionProof(NamedTuple):
    """Of one source that is asked: when the oldest post that is held was captured, and when the last complete check was
    begun; None: there was none, or nothing is held."""

    source: str
    oldest: datetime | None
    begun: datetime | None
    late: bool


def sources_asked(types: Mapping[str, SourceType]) -> Collection[str]:
    """The sources that tell of deletions only when they are asked."""
    return [name for name, its in types.items() if its.checks_deletions is not None]


def deletion_proofs(
    bus: Bus, types: Mapping[str, SourceType], oldest: Mapping[str, datetime], now: datetime
) -> Iterator[DeletionProof]:
    """One for each source that is asked. `oldest`: source → when the oldest of what is held of it was captured.

    What was captured less than a day ago need not have been checked yet.
    """
    for source, its in types.items():
        if (read := its.checks_deletions) is None:
            continue
        tick = last_tick(bus, source)
        begun = None if tick is None else read(place(tick).at)
        held = oldest.get(source)
        late = held is not None and now - max(held, begun or held) > MOST
        yield DeletionProof(source, held, begun if held is not None else None, late)
