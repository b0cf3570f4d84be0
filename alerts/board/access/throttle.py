"""How often somebody may try a password: waits that grow, by name and by address.

What was weighed. Who guesses must be slowed; who is paged at night must get in. So no account is ever locked: a name's
wait grows to a minute and no further, which leaves a guesser 1,440 tries a day of passwords that have twelve characters
and are no common ones. And it does not hold for an address from which that name logged in within the last days: for
those two together there is a count of their own, so that no stranger's tries, and no neighbour's behind the same
address, make their owner wait. A stranger's own address waits longer. What remains: who shares an address with
somebody and knows the name can make them wait a minute.

All of it is kept in memory, and little of it: a restart forgives.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from ipaddress import ip_address
from typing import NamedTuple

from alerts.board.access.names import folded
from listener.clock import Clock

MOST = 10_000
"""Counts, and pairs of name and address, that are kept: the ones least in use go first."""
FORGOTTEN = 3600.0
"""Seconds after the last try, after which tries no longer count."""
TRUSTED = 7 * 86400.0
"""Seconds after a log-in, for which an address is known to be a name's."""
LONGEST_NAME_WAIT = 60.0


class Bound(NamedTuple):
    """So many tries are `free`; after that each waits twice as long as the one before, up to `longest` seconds."""

    free: int
    longest: float

    def wait(self, failed: int) -> float:
        over = failed - self.free
        return 0.0 if over < 0 else min(self.longest, 2.0 ** min(over, 20))


NAME = Bound(5, LONGEST_NAME_WAIT)
PAIR = Bound(5, LONGEST_NAME_WAIT)
ADDRESS = Bound(10, 900.0)


class _Count:
    __slots__ = ("failed", "last")

    def __init__(self) -> None:
        self.failed = 0
        self.last = 0.0


class Throttle:
    """For one thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._counts: OrderedDict[Hashable, _Count] = OrderedDict()
        self._trusted: OrderedDict[Hashable, float] = OrderedDict()

    def attempt(self, name: str, address: str) -> float:
        """0: it may be tried, and counts as failed until `succeeded` takes that back, so that a hundred tries at once
        are a hundred. Else the seconds to wait; what is refused counts for nothing."""
        now = self._clock.monotonic()
        keys = self._keys(name, address, now)
        waits = [
            bound.wait(count.failed) - (now - count.last) for key, bound in keys if (count := self._count(key, now))
        ]
        if (longest := max(waits, default=0.0)) > 0:
            return longest
        for key, _ in keys:
            count = self._counts.setdefault(key, _Count())
            count.failed += 1
            count.last = now
            self._counts.move_to_end(key)
        while len(self._counts) > MOST:
            self._counts.popitem(last=False)
        return 0.0

    def succeeded(self, name: str, address: str) -> None:
        """It was right. Only this try is taken back: of others nobody knows whose they were."""
        now = self._clock.monotonic()
        keys = self._keys(name, address, now)
        for key, _ in keys:
            if (count := self._counts.get(key)) is not None:
                count.failed -= 1
        pair = (folded(name), _net(address))
        self._counts.pop(pair, None)
        self._trusted[pair] = now
        self._trusted.move_to_end(pair)
        if len(self._trusted) > MOST:
            self._trusted.popitem(last=False)

    def _keys(self, name: str, address: str, now: float) -> list[tuple[Hashable, Bound]]:
        pair = (folded(name), _net(address))
        since = self._trusted.get(pair)
        if since is not None and now - since < TRUSTED:
            return [(pair, PAIR)]
        return [(("name", pair[0]), NAME), (("address", pair[1]), ADDRESS)]

    def _count(self, key: Hashable, now: float) -> _Count | None:
        found = self._counts.get(key)
        if found is not None and now - found.last >= FORGOTTEN:
            del self._counts[key]
            return None
        return found


def _net(address: str) -> str:
    """Of IPv6 the /64, all of which one machine may have."""
    try:
        found = ip_address(address)
    except ValueError:
        return address[:100]
    return str(found) if found.version == 4 else found.exploded[:19]
