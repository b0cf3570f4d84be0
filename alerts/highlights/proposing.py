"""The worker `propose`: reads the hospital's feeds and proposes what is new. In a crisis it leaves the hospital's web
server alone, and proposes nothing."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from alerts.highlights.compose import Composing, proposals
from alerts.highlights.followed import FollowedHighlights
from listener.bus import hashchain
from listener.bus.protocol import Bus, Lease
from listener.clock import Clock
from listener.errors import BusError
from listener.model.decisions import DECISIONS
from listener.model.highlights import Highlight
from listener.model.incidents import Mode
from listener.model.roles import PROPOSE
from listener.runtime.download import LIMITS, Limits, Validators
from listener.runtime.health import Part
from listener.runtime.logs import Outage
from listener.runtime.metrics import Metrics
from listener.runtime.presence import PresenceReporter
from listener.settings.highlights import HighlightsSettings

if TYPE_CHECKING:
    from listener.sources.common.feeds import Feed

log = logging.getLogger(__name__)

LEASE_SECONDS: Final = 60.0
"""Longer than feeds may take."""
RETRY_SECONDS: Final = 60.0


class Proposed(NamedTuple):
    """What is new, and each feed as it was read."""

    new: Sequence[Highlight]
    feeds: Sequence[Feed]


@dataclass
class Reading:
    """Reads the feeds of these settings, each next time only where it has changed."""

    settings: HighlightsSettings
    how: Composing
    limits: Limits = LIMITS
    _known: dict[str, Validators] = field(default_factory=dict)

    def propose(self, bus: Bus, followed: FollowedHighlights, clock: Clock) -> Proposed:
        """Read them all and write down what is new. Raises BusError: then the same is new again."""
        # The parser of feeds is imported where they are read.
        from listener.sources.common.feeds import read_feeds

        feeds = read_feeds(self.settings.all_feeds, clock, self.limits, self._known)
        known = followed.read().known
        new = proposals(feeds, self.settings.courses, known, self.how, clock.now())
        hashchain.append_all(bus, DECISIONS.name, new)
        # Only now: what could not be written down must be read again.
        self._known |= {each.feed: each.validators for each in feeds if each.error is None}
        followed.read()
        return Proposed(new, feeds)


class Proposing:
    """One process at a time reads, by a lease; that nothing is proposed twice follows from the log."""

    name = PROPOSE

    def __init__(
        self,
        bus: Bus,
        reading: Reading,
        *,
        reporter: PresenceReporter,
        lease: Lease,
        clock: Clock,
        metrics: Metrics,
        part: Part,
    ) -> None:
        self._bus = bus
        self._reading = reading
        self._reporter = reporter
        self._lease = lease
        self._clock = clock
        self._metrics = metrics
        self._part = part
        self._followed = FollowedHighlights(bus, part.beat)
        self._due = clock.monotonic()
        self._failing: dict[str, Outage] = {}

    def step(self, timeout: float) -> bool:
        self._part.beat()
        now = self._clock.monotonic()
        if now < self._due or self._reporter.state.mode is Mode.CRISIS:
            return False
        try:
            if not self._lease.renew():
                self._due = now + RETRY_SECONDS
                return False
            found = self._reading.propose(self._bus, self._followed, self._clock)
        except BusError as error:
            self._part.problem(str(error))
            self._due = now + RETRY_SECONDS
            return False
        self._part.problem(None)
        self._due = self._clock.monotonic() + self._reading.settings.every.total_seconds()
        if found.new:
            log.info("highlights: %d proposed", len(found.new))
        if not list(self._faults(found.feeds)):
            self._metrics.highlights_read.set(self._clock.now().timestamp())
        return True

    def close(self) -> None:
        with suppress(BusError):
            self._lease.release()
        self._followed.close()

    def _faults(self, feeds: Sequence[Feed]) -> Iterator[str]:
        """Each that could not be read is told, at its start, now and then, and at its end."""
        for feed in feeds:
            fault = self._failing.setdefault(feed.feed, Outage(f"the feed {feed.feed}", self._clock))
            if feed.error is None:
                fault.look()
            else:
                fault.lasts(feed.error)
                yield feed.feed
