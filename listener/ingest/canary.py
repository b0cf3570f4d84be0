"""The canary: a synthetic post at an interval, on the way of every post that matches: match, privacy, `mentions`.

It is posted by the role `listener`, in calm as in crisis, by one process at a time. What becomes of it is followed
where alerts are sent (`alerts.notify.canary`). The first one is posted an interval after the start; where one is known
from before, an interval after that, so that restarts neither multiply them nor put them off.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from listener.bus.messages import message
from listener.bus.protocol import Bus, Lease
from listener.bus.scan import scan
from listener.clock import Clock
from listener.ingest.matcher import Matcher
from listener.model.canary import CANARY, TEXT, TRACK
from listener.model.records import ALERTS, MENTIONS, Origin, Post
from listener.privacy.screen import Screen
from listener.runtime.health import Part

LEASE_SECONDS = 30.0
"""It is at most so late when who posted it was killed and another takes over."""


class Canary:
    """The worker. `every`: from one post to the next. `lease`: one process at a time posts it."""

    name = CANARY

    def __init__(self, bus: Bus, screen: Screen, every: timedelta, *, lease: Lease, clock: Clock, part: Part) -> None:
        self._bus = bus
        self._screen = screen
        self._every = every
        self._lease = lease
        self._clock = clock
        self._part = part
        self._matcher = Matcher({CANARY: (TRACK,)})
        self._leads = False
        self._renew_at = clock.monotonic()
        self._due = clock.monotonic()

    def step(self, timeout: float) -> bool:
        """Raises BusError when the bus does not take it; it is tried again."""
        self._part.beat()
        if not self._lead() or self._clock.monotonic() < self._due:
            self._part.problem(None)
            return False
        self._post(self._clock.now())
        self._due += self._every.total_seconds()
        if self._due < self._clock.monotonic():
            # The machine slept: one is enough.
            self._due = self._clock.monotonic() + self._every.total_seconds()
        self._part.problem(None)
        return True

    def close(self) -> None:
        if self._leads:
            self._lease.release()

    def _lead(self) -> bool:
        now = self._clock.monotonic()
        if now >= self._renew_at:
            led, self._leads = self._leads, self._lease.renew()
            self._renew_at = now + LEASE_SECONDS / 5
            if self._leads and not led:
                self._due = now + self._wait()
        return self._leads

    def _wait(self) -> float:
        """Seconds until the next one, by the newest that is known to have been judged."""
        alerts = scan(self._bus, ALERTS, beat=self._part.beat)
        now = self._clock.now()
        newest = max((alert.at for alert in alerts if alert.incident == CANARY), default=now)
        # Of a clock that was set back, too, one interval is the most.
        return min(max(0.0, (newest + self._every - now).total_seconds()), self._every.total_seconds())

    def _post(self, now: datetime) -> None:
        post = Post(source=CANARY, id=f"{now:%Y%m%dT%H%M%S.%fZ}", at=now, text=TEXT)
        mention = self._screen.mention(
            post,
            incidents=self._matcher.match(post),
            origin=Origin.LIVE,
            captured_at=now,
            exercise=False,
            synthetic=True,
        )
        self._bus.publish([message(MENTIONS, mention)])
