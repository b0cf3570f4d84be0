"""Reads a server's timelines, one call at a time, in a thread of its own: what the stream missed before all else.

A job that fails is tried again, in pauses that grow, or when the server says; one whose connection is over is dropped.
Of the calls that a server allows, some are left for what was missed.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from listener.clock import Clock
from listener.model.gaps import Cause
from listener.sources.common.fields import Raw, Unusable, time_of
from listener.sources.common.key import Key
from listener.sources.mastodon.feeds import address, order
from listener.sources.mastodon.inbox import Inbox, Missing, Page, Refused
from listener.sources.mastodon.jobs import URGENCY, Ask, Job, Look, Missed, Probe
from listener.sources.mastodon.payload import id_of, newest_first
from listener.sources.mastodon.rest import SPARE, CallError, Rest

log = logging.getLogger(__name__)

MAX_PAGES: Final = 500
"""Of one job: 20,000 posts."""
PAGES_AHEAD: Final = 50
"""So many may wait to be taken."""
ASK_SECONDS: Final = 2.0
"""Between two posts that are asked for one by one: half of what a server allows."""
_FIRST: Final = 1.0
_LONGEST: Final = 60.0
_JITTER: Final = 0.3
_IDLE: Final = 1.0
STOP_SECONDS: Final = 0.3
UNAUTHORIZED_SECONDS: Final = 60.0


class Reader:
    """`make` makes what calls the server: anew in each thread."""

    def __init__(
        self, make: Callable[[], Rest], key: Key, inbox: Inbox, clock: Clock, chance: Callable[[], float]
    ) -> None:
        self._make = make
        self._key = key
        self._inbox = inbox
        self._clock = clock
        self._chance = chance
        self._lock = threading.Lock()
        self._jobs: dict[type, deque[Job]] = {kind: deque() for kind in URGENCY}
        self._serial = 0
        self._stop = threading.Event()
        self._bell = threading.Event()
        self._rest: Rest | None = None
        self._thread: threading.Thread | None = None
        self._failures = 0
        self._asked = float("-inf")

    def start(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(self._stop,), name="mastodon-reader", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the call that lasts, at once."""
        self._stop.set()
        self._bell.set()
        if self._rest is not None:
            self._rest.abandon()
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join(STOP_SECONDS)
        with self._lock:
            for jobs in self._jobs.values():
                jobs.clear()

    def watch(self) -> None:
        """To be called now and then: a thread whose call never ends is left behind."""
        if self._thread is not None and self._rest is not None and self._rest.is_stuck:
            log.warning("mastodon: an answer of the timelines does not end; asked anew")
            self._stop.set()
            self._rest.abandon()
            self._rest = None
            self.start()

    def begin(self, serial: int) -> None:
        """From now on jobs of this connection are wanted, and of no other."""
        with self._lock:
            self._serial = serial
            for kind in (Missed, Probe):
                self._jobs[kind].clear()

    def put(self, job: Job) -> None:
        with self._lock:
            self._jobs[type(job)].append(job)
        self._bell.set()

    def forget(self, kind: type[Look] | type[Ask]) -> None:
        """Nobody wants those any more."""
        with self._lock:
            self._jobs[kind].clear()

    def waiting(self, kind: type[Missed] | type[Probe] | type[Look] | type[Ask]) -> int:
        return len(self._jobs[kind])

    # --- the thread ------------------------------------------------------------------------------------------------

    def _run(self, stop: threading.Event) -> None:
        rest = self._rest = self._make()
        try:
            while not stop.is_set():
                try:
                    self._turn(rest, stop)
                except Exception as error:
                    # Whatever it is, what was missed must be read all the same.
                    log.error("mastodon: the reader's thread failed: %s", type(error).__name__)
                    self._clock.wait(_LONGEST, stop)
        finally:
            rest.close()

    def _turn(self, rest: Rest, stop: threading.Event) -> None:
        job = self._next()
        if job is None:
            self._bell.clear()
            if self._next() is None:
                self._clock.wait(_IDLE, self._bell)
            return
        if not isinstance(job, Missed) and (left := rest.allowance.left) is not None and left < SPARE:
            self._clock.wait(min(max(rest.allowance.seconds, _IDLE), _LONGEST), stop)
        try:
            self._do(job, rest, stop)
        except CallError as error:
            if not stop.is_set():
                self._failed(job, error, stop)
            return
        self._failures = 0
        self._done(job)

    def _next(self) -> Job | None:
        with self._lock:
            for kind in URGENCY:
                if jobs := self._jobs[kind]:
                    if kind is Ask and self._clock.monotonic() - self._asked < ASK_SECONDS:
                        return None
                    return jobs[0]
            return None

    def _done(self, job: Job) -> None:
        with self._lock:
            jobs = self._jobs[type(job)]
            if jobs and jobs[0] is job:
                jobs.popleft()

    def _is_wanted(self, job: Job, stop: threading.Event) -> bool:
        return not stop.is_set() and (not isinstance(job, Missed | Probe) or job.serial == self._serial)

    def _failed(self, job: Job, error: CallError, stop: threading.Event) -> None:
        self._inbox.say(Refused(job, error.cause, error.why))
        self._failures += 1
        if isinstance(job, Probe) or (isinstance(job, Ask) and error.cause is Cause.REFUSED):
            self._done(job)
        wait = error.wait
        if not wait:
            doubled = _FIRST * 2.0 ** min(self._failures - 1, 10)
            longest = UNAUTHORIZED_SECONDS if error.cause in (Cause.UNAUTHORIZED, Cause.FORBIDDEN) else doubled
            wait = min(max(doubled, longest), _LONGEST) * (1 - _JITTER * self._chance())
        self._clock.wait(wait, stop)

    def _do(self, job: Job, rest: Rest, stop: threading.Event) -> None:
        self._key.reread()
        token = self._key.token
        match job:
            case Missed(after=None):
                self._back(job, rest, token, stop)
            case Missed():
                self._forward(job, rest, token, stop)
            case Probe():
                path, params = address(job.feed)
                self._page(job, self._get(rest, path, {**params, "min_id": job.after}, token), ends=True)
            case Look():
                self._back(job, rest, token, stop)
            case Ask():
                self._ask(job, rest, token)

    def _forward(self, job: Missed, rest: Rest, token: str, stop: threading.Event) -> None:
        """Page by page behind the last post, until one is empty."""
        path, params = address(job.feed)
        last = job.after or ""
        for _ in range(MAX_PAGES):
            found = self._get(rest, path, {**params, "min_id": last}, token)
            if not self._is_wanted(job, stop):
                return
            newest = max(map(_id, found), key=order, default=last)
            if order(newest) <= order(last):
                self._page(job, found, ends=True)
                return
            last = newest
            self._page(job, found)
        log.warning("mastodon: more was missed of a feed than %d pages hold; the rest stays a gap", MAX_PAGES)
        self._page(job, [], ends=True, short=True)

    def _back(self, job: Missed | Look, rest: Rest, token: str, stop: threading.Event) -> None:
        """Page by page from the newest post, or from `until`, to what is older than `since`."""
        path, params = address(job.feed)
        last: str | None = None
        for _ in range(MAX_PAGES):
            found = self._get(rest, path, params if last is None else {**params, "max_id": last}, token)
            if not self._is_wanted(job, stop):
                return
            oldest = min(map(_id, found), key=order, default=last or "")
            ends = not found or oldest == last or _before(found, job.since)
            self._page(job, found, ends=ends)
            if ends:
                return
            last = oldest
            if isinstance(job, Look) and self.waiting(Missed):
                raise CallError(Cause.BEHIND, "something more urgent came", wait=_IDLE)
        log.warning("mastodon: a feed has more than %d pages of that time; the rest is not read", MAX_PAGES)
        self._page(job, [], ends=True, short=True)

    def _ask(self, job: Ask, rest: Rest, token: str) -> None:
        self._asked = self._clock.monotonic()
        try:
            found = rest.get(f"/api/v1/statuses/{job.alias.rpartition('/')[2]}", {}, token)
        except CallError as error:
            # Only the server itself can say so; what a proxy answers tells nothing of the post.
            if error.status not in (404, 410) or not error.is_told:
                raise
            self._inbox.say(Missing(job))
            return
        if isinstance(found, dict):
            self._page(job, [found], ends=True)

    def _get(self, rest: Rest, path: str, params: Mapping[str, str], token: str) -> list[Raw]:
        found: Any = rest.get(path, params, token)
        try:
            return newest_first(found)
        except Unusable:
            raise CallError(Cause.GARBLED, "its answer holds no posts") from None

    def _page(self, job: Job, statuses: list[Raw], *, ends: bool = False, short: bool = False) -> None:
        while self._inbox.pages >= PAGES_AHEAD and not self._stop.is_set():
            # Nobody takes them as fast; the server has time.
            self._clock.wait(_IDLE, self._stop)
        self._inbox.say(Page(self._clock.now(), job, statuses, ends, short))


def _id(raw: Raw) -> str:
    try:
        return id_of(raw)
    except Unusable:
        return ""


def _before(found: list[Raw], since: datetime) -> bool:
    """Whether a page reaches back beyond that time. By its oldest post but one: one alone may be dated wrongly."""
    times = []
    for raw in found:
        try:
            times.append(time_of(raw, "created_at"))
        except Unusable:
            continue
    times.sort()
    return bool(times) and times[min(1, len(times) - 1)] < since
