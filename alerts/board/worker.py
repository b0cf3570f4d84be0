"""The worker `board`: keeps up with the bus, does what people at the board ask, and serves its pages.

The server turns in a thread of its own and hands whatever touches the bus to the worker's. What is going on is worked
out once for all browsers, at most so often that it takes a share of the time.
"""

from __future__ import annotations

import logging
import sqlite3
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Generic, TypeVar

from alerts.board.live import Live
from alerts.notify.duty import DutyFollower
from alerts.notify.listing import Listing, list_alerts
from alerts.notify.recipients import People
from alerts.register.subjects import OpenRegister
from alerts.situation.followed import Followed
from alerts.situation.situation import AHEAD, MOST_WORK, Situation, Voices, describe, hear, who_follows
from listener.clock import Clock
from listener.errors import BusError, ConfigError, LyttepostError, Refusal, Refused
from listener.model.roles import BOARD
from listener.runtime.control import laggards, missing_roles, source_states
from listener.runtime.health import IN_ONE_PIECE, Part
from listener.settings.files import RawSettings
from listener.settings.schema import Settings
from listener.webserver.jobs import Jobs
from listener.webserver.server import WebServer, listen

log = logging.getLogger(__name__)

T = TypeVar("T")

LOOK_SECONDS = 0.2
"""How often the bus is asked for what is new."""
FRESH_SECONDS = 15.0
"""So old may a page be though nothing is new: times pass, and with them reviews and steps of an escalation."""
MOST_OFTEN = 0.3
"""Seconds between two states that browsers are told of, unless somebody at the board did something."""
SHARE = 4.0
"""What people say, and who is called next, are worked out anew after so many times as long as it took."""
PREPARE_SECONDS = 3.0
SWITCH_SECONDS = 0.0005
MAX_CONNECTIONS = 400
AGAIN_SECONDS = 10.0
"""After so long it is tried again to serve what could not be served."""


@dataclass
class Inside:
    """What belongs to the worker's thread: the bus as it was read, and people as they are in force. Jobs that the
    server hands over use it, and nobody else."""

    followed: Followed
    duty: DutyFollower
    wakes_for: Callable[[People], Callable[[str], bool]]
    """Which channels of these people wake a sleeper."""
    settings: Settings
    raw: RawSettings
    themes: Mapping[str, str]
    """Theme → its name in the language of the settings."""
    people: People | None = None
    wakes: Callable[[str], bool] = bool
    situation: Situation | None = None
    """The newest that was published."""
    show: Callable[[], None] = lambda: None
    """Publishes what is new."""

    @property
    def now(self) -> datetime:
        return self.followed.clock.now()

    def act(self, job: Callable[[], T]) -> T:
        """What somebody does: it is on every page before they are told that it is done."""
        done = job()
        self.show()
        return done

    def prepare_for_words(self) -> None:
        """Before somebody's words are held against every post that they might quote. Raises Refused where too much of
        that is to be made yet."""
        until = self.followed.clock.monotonic() + PREPARE_SECONDS
        while self.followed.register.digest_some():
            if self.followed.clock.monotonic() > until:
                problem = "posts that these words might quote are still being read; try again in a moment"
                raise Refused(problem, Refusal.STILL_READING)

    @property
    def register(self) -> OpenRegister:
        """As it stands now, for one request."""
        its = self.followed
        return OpenRegister(its.bus, its.register, its.decisions, its.control, self.settings, self.themes)


class _Kept(Generic[T]):
    """A part of what is going on that is dear to work out: kept until something is new, and then for `SHARE` times as
    long as it took. `waits`: something is new that is not in it yet."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._of: object = None
        self._after = float("-inf")
        self.value: T | None = None
        self.waits = False

    def get(self, of: object, stale: bool, make: Callable[[], T]) -> T:
        """`of`: what it is made of, and is anew when that is another. `stale`: it is anew in any case."""
        began = self._clock.monotonic()
        self.waits = self.value is None or of != self._of
        if self.value is None or ((self.waits or stale) and began >= self._after):
            self.value, self._of, self.waits = make(), of, False
            over = self._clock.monotonic()
            self._after = over + SHARE * (over - began)
        return self.value


class Board:
    """Listens from the moment it is made until `close`. Raises ConfigError when the port cannot be had."""

    name = BOARD

    def __init__(
        self,
        make_inside: Callable[[], Inside],
        make_application: Callable[[Jobs, Live, Callable[[], Inside], WebServer], Any],
        *,
        host: str,
        port: int,
        certificate: tuple[Path, Path] | None,
        clock: Clock,
        part: Part,
    ) -> None:
        # The thread that reads would else keep the one that serves waiting, five milliseconds at each of its steps.
        sys.setswitchinterval(SWITCH_SECONDS)
        self._make_inside = make_inside
        self._inside: Inside | None = None
        self._clock = clock
        self._part = part
        self._jobs = Jobs()
        self.live = Live()
        self._voices: _Kept[Voices] = _Kept(clock)
        self._listing: _Kept[Listing] = _Kept(clock)
        self._seen: object = None
        self._look_at = self._after = self._stale_at = clock.monotonic()
        self._server = WebServer(
            lambda server: make_application(self._jobs, self.live, self._its, server),
            listen(host, port, "board"), "board-web", most=MAX_CONNECTIONS, certificate=certificate,
        )  # fmt: skip
        shown = f"[{host}]" if ":" in host else host
        self.address = f"{'https' if certificate else 'http'}://{shown}:{self._server.port}"
        """Where it is found, on this machine or where `host` says."""

    def step(self, timeout: float) -> bool:
        """Do what one browser asks, or look what is new."""
        self._part.beat()
        if not self._server.alive:
            self._part.problem("it no longer serves pages; restart the process")
        done = self._jobs.do_one(min(timeout, LOOK_SECONDS))
        problem: str | None = None
        if done is not None and isinstance(done.error, BusError):
            problem = str(done.error)
        try:
            looked = self._look()
        except (BusError, ConfigError, sqlite3.Error) as error:
            problem, looked = str(error) if isinstance(error, LyttepostError) else type(error).__name__, True
        if problem is not None:
            self._part.problem(problem)
        elif looked and self._server.alive:
            self._part.problem(None)
        return done is not None

    def _look(self, *, after_a_job: bool = False) -> bool:
        """Read what is new and publish it. What somebody just did is shown at once."""
        now = self._clock.monotonic()
        if now < self._look_at and not after_a_job:
            return False
        self._look_at = now + LOOK_SECONDS
        inside = self._its()
        inside.followed.read()
        news = inside.duty.look(now, inside.now)
        if news.people is not None:
            inside.people, inside.wakes = news.people, inside.wakes_for(news.people)
            self._seen = None
        is_new = self._seen != self._state_of(inside) or self._voices.waits or self._listing.waits
        if now >= self._stale_at or (is_new and (now >= self._after or after_a_job)):
            self._publish(inside, stale=now >= self._stale_at)
        elif not after_a_job:
            inside.followed.register.digest_some()
        return True

    def _publish(self, inside: Inside, *, stale: bool) -> None:
        """What people say, and who is called next, are worked out anew less often than the rest: that is most of the
        work."""
        followed, at, began = inside.followed, inside.now, self._clock.monotonic()
        coming = (
            min((page.at for page in self._listing.value.next.values()), default=None) if self._listing.value else None
        )
        voices = self._voices.get(followed.findings, stale, lambda: hear(followed, at))
        listing = self._listing.get(
            (followed.alerted, id(inside.people)), stale or (coming is not None and at >= coming),
            lambda: list_alerts(followed.book, inside.people, inside.wakes, at, AHEAD, MOST_WORK),
        )  # fmt: skip
        self._seen = self._state_of(inside)
        found = describe(followed, inside.people, inside.wakes, at, voices, listing=listing)
        inside.situation = found
        self.live.publish(found)
        over = self._clock.monotonic()
        self._after, self._stale_at = over + max(MOST_OFTEN, over - began), over + FRESH_SECONDS

    @staticmethod
    def _state_of(inside: Inside) -> object:
        """Another one when anything is new: on the bus, of who follows, of how sources are."""
        followed = inside.followed
        found, sources = who_follows(followed, inside.now), source_states(followed.presences)
        return (
            followed.version, missing_roles(found), laggards(found),
            [(name, its.get("state"), its.get("problem")) for name, its in sources.items()],
        )  # fmt: skip

    def _its(self) -> Inside:
        """For the worker's thread. Opened when it is first needed: all of it is read once, which may take seconds."""
        if self._inside is None:
            with self._part.takes(IN_ONE_PIECE):
                self._inside = self._make_inside()
            self._inside.show = self._show
        return self._inside

    def _show(self) -> None:
        """After something was done. That it cannot be shown makes it no less done."""
        try:
            self._look(after_a_job=True)
        except (BusError, ConfigError, sqlite3.Error) as error:
            self._part.problem(str(error) if isinstance(error, LyttepostError) else type(error).__name__)

    def close(self) -> None:
        """Who waits for an answer gets none: nothing of it was begun, or it is written down."""
        self._server.close()
        if self._inside is not None:
            self._inside.followed.close()


class Patient:
    """The worker `board` of a process that does other things too: what keeps it from being served is told, and it is
    tried again."""

    name = BOARD

    def __init__(self, make: Callable[[], Board], *, clock: Clock, part: Part) -> None:
        self._make = make
        self._clock = clock
        self._part = part
        self._again_at = float("-inf")
        self._told = ""
        self.board: Board | None = None
        self._try()

    def step(self, timeout: float) -> bool:
        if self.board is not None:
            return self.board.step(timeout)
        self._part.beat()
        if self._clock.monotonic() >= self._again_at:
            self._try()
        return False

    def close(self) -> None:
        if self.board is not None:
            self.board.close()

    def _try(self) -> None:
        try:
            self.board = self._make()
            self._part.problem(None)
        except ConfigError as error:
            self._again_at = self._clock.monotonic() + AGAIN_SECONDS
            self._part.problem(str(error))
            if str(error) != self._told:
                self._told = str(error)
                log.error("the board is not served: %s; it is tried again", error)
