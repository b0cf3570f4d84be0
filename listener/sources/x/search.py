"""Recent search beside the stream: fills gaps, and looks back over the hours before an incident opened.

A **job** is a stretch of time for some queries, cut into slices: a gap's from the oldest on, so that it is known up to
when it is filled; a lookback's from the newest on, so that what matters most comes first. Each page is given away as
it comes. Jobs share one thread and one budget of calls, gaps before lookbacks. What X refuses now is tried again later,
and given up when the time is out of search's reach.

Source: X API v2, recent search: seven days back, nothing of the last ten seconds, 450 calls in 15 minutes, 100 posts a
page. Posts of the last half minute may not be found yet (X's own default leaves them out), so a job waits for them.
And since nothing says that a post is found even then, a gap is searched again after `SWEEP`, and topped up.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from listener.clock import Clock
from listener.sources.x.backoff import ConnectLimit
from listener.sources.x.client import DENIED, Api, Trouble, XError
from listener.sources.x.refusals import REFUSALS

log = logging.getLogger(__name__)

REACH: Final = timedelta(days=7) - timedelta(minutes=1)
SETTLE: Final = timedelta(seconds=31)
"""So far must a slice's end lie back before it is searched."""
SWEEP: Final = timedelta(minutes=5)
"""So long after its end is a gap searched once more: longer than any delay that is known, and short enough for what
is found to still matter."""
SLICE: Final = timedelta(minutes=30)
CALLS: Final = 400
"""Calls in 15 minutes, of X's 450: `doctor` and people by hand need some too."""
CALLS_FOR_LOOKBACK: Final = 300
MAX_PAGES: Final = 500
"""Of a lookback: 50,000 posts."""
WAITING: Final = 4
"""Pages that may wait to be taken."""
TRIES: Final = (10.0, 30.0, 60.0, 300.0, 900.0)
"""Seconds before a job that failed is tried again; the last of them for ever."""


@dataclass
class SearchJob:
    """`name` is the gap's id or the incident's. `slices` are [start, end), in the order in which they are searched."""

    name: str
    lookback: bool
    queries: tuple[str, ...]
    slices: deque[tuple[datetime, datetime]]
    settle: timedelta = SETTLE
    query: int = 0
    token: str | None = None
    due: float = 0.0
    failures: int = 0
    pages: int = 0
    cut: bool = False
    """Its oldest part is out of search's reach."""
    trouble: Trouble | None = None

    @property
    def order(self) -> tuple[bool, float]:
        return self.lookback, self.due

    @property
    def refused(self) -> bool:
        """X does not answer this. Once is no refusal: it may have been the token of a page, or X's own slip."""
        return self.trouble in REFUSALS and self.failures > 1


@dataclass(frozen=True)
class Found:
    """A page of a job, asked for `at`. `reached`: everything of the job is found up to there (gap), or back to there
    (lookback)."""

    name: str
    lookback: bool
    answer: Mapping[str, Any] = field(repr=False)
    reached: datetime | None
    done: bool
    at: datetime


def slices_of(start: datetime, end: datetime, *, newest_first: bool = False) -> deque[tuple[datetime, datetime]]:
    """[start, end) in slices; none, when it holds nothing."""
    out: deque[tuple[datetime, datetime]] = deque()
    while start < end:
        middle = min(start + SLICE, end)
        (out.appendleft if newest_first else out.append)((start, middle))
        start = middle
    return out


class Searcher:
    """Works jobs off in a thread of its own. `bell` is rung when there is a page to `take`."""

    def __init__(self, api: Api, clock: Clock, bell: Callable[[], None]) -> None:
        self._api = api
        self._clock = clock
        self._bell = bell
        self._lock = threading.Lock()
        self._jobs: dict[str, SearchJob] = {}
        self._found: deque[Found] = deque()
        self._news = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._calls = ConnectLimit(CALLS)
        self._lookback_calls = ConnectLimit(CALLS_FOR_LOOKBACK)
        self._answered = False
        self._denials = 0
        """So often in a row X did not let us in, whichever job asked."""
        self._closed_until = float("-inf")

    def search(self, job: SearchJob) -> None:
        """Do this job; one of the same name is replaced."""
        with self._lock:
            self._jobs[job.name] = job
        self._news.set()
        if self._thread is None or not self._thread.is_alive():
            self._stop = threading.Event()
            self._thread = threading.Thread(target=self._run, args=(self._stop,), name="x-search", daemon=True)
            self._thread.start()

    def jobs(self) -> list[SearchJob]:
        with self._lock:
            return list(self._jobs.values())

    @property
    def refused(self) -> bool | None:
        """Whether X refuses to search for something; None: it was not asked yet."""
        if self._denials > 1 or any(job.refused for job in self.jobs()):
            return True
        return False if self._answered else None

    def drop(self, name: str) -> None:
        with self._lock:
            self._jobs.pop(name, None)
            self._found = deque(found for found in self._found if found.name != name)

    def retry(self) -> None:
        """Try at once what failed: somebody may have fixed it."""
        with self._lock:
            for job in self._jobs.values():
                if job.failures:
                    job.due = 0.0
            self._closed_until = float("-inf")
        self._news.set()

    def take(self) -> Found | None:
        """The next page, in the order found."""
        with self._lock:
            found = self._found.popleft() if self._found else None
        if found is not None:
            self._news.set()
        return found

    def stop(self) -> None:
        self._stop.set()
        self._news.set()
        with self._lock:
            self._jobs.clear()
            self._found.clear()
        self._thread = None

    def _run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            job, wait = self._next()
            if job is None:
                self._clock.wait(wait, self._news)
                self._news.clear()
                continue
            try:
                self._page(job, stop)
            except XError as error:
                self._failed(job, error)
            except Exception as error:
                log.error("x: search: %s; tried again", type(error).__name__)
                self._failed(job, XError(Trouble.REFUSED))

    def _next(self) -> tuple[SearchJob | None, float]:
        """The job to go on with, or how long there is none."""
        now = self._clock.monotonic()
        with self._lock:
            if len(self._found) >= WAITING:
                return None, 1.0
            waits = [1.0]
            for job in sorted(self._jobs.values(), key=lambda job: job.order):
                wait = max(self._ready_in(job), self._calls.wait(now), self._closed_until - now)
                if job.lookback:
                    wait = max(wait, self._lookback_calls.wait(now))
                if wait <= 0:
                    return job, 0.0
                waits.append(wait)
        return None, max(0.01, min(waits))

    def _ready_in(self, job: SearchJob) -> float:
        """Seconds until its next slice can be searched."""
        wait = job.due - self._clock.monotonic()
        if job.slices:
            settled = job.slices[0][1] + job.settle - self._clock.now()
            wait = max(wait, settled.total_seconds())
        return wait

    def _page(self, job: SearchJob, stop: threading.Event) -> None:
        earliest = self._clock.now() - REACH
        while job.slices and job.slices[0][0] < earliest:
            start, end = job.slices.popleft()
            job.cut, job.token, job.query = True, None, 0
            if end > earliest:
                job.slices.appendleft((earliest + timedelta(minutes=1), end))
                break
        if not job.slices or not job.queries:
            self._give(job, Found(job.name, job.lookback, {}, None, done=True, at=self._clock.now()), stop)
            return
        start, end = job.slices[0]
        now, at = self._clock.monotonic(), self._clock.now()
        self._calls.spend(now)
        if job.lookback:
            self._lookback_calls.spend(now)
        page = self._api.search(job.queries[job.query], start, end, job.token)
        job.pages, job.failures, job.trouble, self._answered = job.pages + 1, 0, None, True
        self._denials = 0
        reached = None
        job.token = page.next_token
        if job.token is None:
            job.query += 1
            if job.query == len(job.queries):
                job.query = 0
                job.slices.popleft()
                if not job.cut:
                    reached = start if job.lookback else end
        done = not job.slices or (job.lookback and job.pages >= MAX_PAGES)
        self._give(job, Found(job.name, job.lookback, page.answer, reached, done, at), stop)

    def _give(self, job: SearchJob, found: Found, stop: threading.Event) -> None:
        with self._lock:
            if stop.is_set() or self._jobs.get(job.name) is not job:
                return
            if found.done:
                del self._jobs[job.name]
            self._found.append(found)
        self._bell()

    def _failed(self, job: SearchJob, error: XError) -> None:
        denied = error.trouble in DENIED
        wait = TRIES[min(self._denials if denied else job.failures, len(TRIES) - 1)]
        if error.reset is not None and error.trouble is Trouble.RATE_LIMITED:
            # X sends a reset with every answer; it means something only with this one.
            wait = min(max(error.reset - self._clock.now().timestamp() + 1, 1.0), 900.0)
        if error.trouble in (Trouble.CAPPED, Trouble.OVER_BUDGET):
            wait = TRIES[-1]
        if error.trouble is Trouble.REFUSED:
            # A page's token may have grown too old.
            job.token, job.query = None, 0
        job.failures += 1
        job.trouble = error.trouble
        job.due = self._clock.monotonic() + wait
        if denied:
            # It is the key and not the job: one asks for all.
            self._denials += 1
            self._closed_until = job.due
        elif self._denials:
            self._denials = 0
        log.warning("x: search: %s; tried again in %.0f s", error, wait)
