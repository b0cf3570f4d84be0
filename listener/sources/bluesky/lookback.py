"""What was said before an incident was opened: read from a host once more, beside the stream, one incident at a time.

A lookback is a stream of its own that begins at the incident's opening less its `lookback` and ends where the incident
begins, so that what comes now never waits for it. How far it came stands in the cursor. What a host does not keep any
more it begins behind: that is no gap, for nobody was to listen then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from listener.clock import Clock
from listener.model.incidents import Incident
from listener.model.records import Origin
from listener.sources.bluesky.cursor import Memory
from listener.sources.bluesky.frames import Outlook, Place, place_of
from listener.sources.bluesky.inbox import Inbox
from listener.sources.bluesky.reading import Found, Reading, instant_of, microseconds_of
from listener.sources.bluesky.stream import Stream
from listener.sources.common.sieve import Sieve
from listener.sources.contract import Batch

BATCH_SIZE: Final = 500


class Lookback:
    """Belongs to the source's thread; `stop` may be called from any. `dids`: accounts that are known by name."""

    def __init__(
        self,
        name: str,
        hosts: Sequence[str],
        clock: Clock,
        chance: Callable[[], float],
        *,
        version: int,
        silence: float,
        dids: Iterable[str],
    ) -> None:
        self._name = name
        self._clock = clock
        self._dids = tuple(dids)
        self._inbox = Inbox()
        self._stream = Stream(hosts, self._inbox, clock, chance, version=version, silence=silence)
        self._reset()

    def _reset(self) -> None:
        self._wanted: dict[str, Incident] = {}
        self._standing: tuple[str, ...] = ()
        self._sieve = Sieve()
        self._now: Incident | None = None
        self._stopped = False

    def open(self, memory: Memory, reading: Reading) -> None:
        """Ready to follow. `memory.back`: incident → up to when it is looked back to."""
        self._reset()
        self._memory, self._reading = memory, reading

    def follow(self, incidents: Mapping[str, Incident], standing: Sequence[str]) -> None:
        before = self._wanted
        self._wanted, self._standing = dict(incidents), tuple(standing)
        for id_ in self._memory.back.keys() - incidents.keys():
            del self._memory.back[id_]
        for id_, incident in incidents.items():
            if id_ in before and (before[id_].lookback, before[id_].tracks) != (incident.lookback, incident.tracks):
                # Further back, or for more than before: what is found again is known by its id.
                self._memory.back.pop(id_, None)
                if self._now is not None and self._now.id == id_:
                    self._end()
        if self._now is not None and self._now.id not in incidents:
            self._end()
        if self._now is None:
            self._begin()

    def waiting(self) -> list[str]:
        """The incidents that are not looked back to yet."""
        return [id_ for id_, incident in self._wanted.items() if self._left(incident) is not None]

    def watch(self) -> None:
        if self._now is not None:
            self._stream.watch()

    def take(self) -> Batch | None:
        """Some of what was found for one incident; and where there was nothing, how far it came, now and then."""
        incident = self._now
        if incident is None:
            return None
        taken, found = self._inbox.take(BATCH_SIZE), Found()
        reached: datetime | None = None
        for item in taken.items:
            if isinstance(item, bytes):
                place = self._reading.take(item, self._sieve, found)
                reached = reached if place is None else instant_of(place)
        if taken.last is not None and (place := place_of(taken.last[1])) is not None:
            reached = instant_of(place)
        if reached is None:
            return None
        found.posts = [post for post in found.posts if post.at < incident.opened_at]
        self._memory.back[incident.id] = min(reached, incident.opened_at)
        if reached >= incident.opened_at:
            self._end()
            self._begin()
        elif not found:
            return None
        return Batch(
            posts=tuple(found.posts),
            bad=tuple(found.bad),
            duplicates=found.doubles,
            cursor=str(self._memory),
            origin=Origin.LOOKBACK,
            incident=incident.id,
            deleted=tuple(dict.fromkeys(found.deleted)),
        )

    def stop(self) -> None:
        self._stopped = True
        self._end()

    def _left(self, incident: Incident) -> datetime | None:
        """From when on it is to be looked; None when that is done, or not wanted."""
        since = incident.opened_at - timedelta(seconds=incident.lookback)
        since = max(since, self._memory.back.get(incident.id, since))
        return since if since < incident.opened_at else None

    def _begin(self) -> None:
        for incident in () if self._stopped else self._wanted.values():
            if (since := self._left(incident)) is not None:
                self._now = incident
                self._sieve = Sieve((*incident.tracks, *self._standing))
                self._inbox.open()
                self._stream.want(Outlook(self._sieve, self._dids))
                self._stream.start("", Place(None, microseconds_of(since)))
                return

    def _end(self) -> None:
        self._now = None
        self._inbox.close()
        self._stream.stop()
