"""Which of X's posts that we hold are gone there, asked once a day: the stream tells of no deletion.

While any post of X lies on the bus, X is asked about all of them every 22 hours, in calm as in crisis: by a job of its
batch compliance (`compliance.py`), or, where the settings say so, by looking each post up, which costs what reading it
costs. What is gone is named as deleted, and purged like anything that a platform says was deleted.

**Restarts.** A check is named by a mark that lies in the source's memory before X is asked for the job. Whoever goes on
finds the job by that name, and a job that was made is never made twice: it is looked for first. That a check is
complete stands in the memory that goes to the bus together with what it found.

**Faults.** What X does not answer is asked again with growing pauses; a job that failed, or whose address for the ids
ran out before they were there, is made anew. Of a result that is cut off what can be read is used, and the rest asked
for again. Ops are told when no check was completed for a day.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final, NamedTuple

from listener.clock import Clock
from listener.errors import LyttepostError
from listener.sources.contract import Batch
from listener.sources.x.backoff import Backoff, ConnectLimit, Schedule
from listener.sources.x.client import DENIED, Api, Trouble, XError
from listener.sources.x.compliance import Job
from listener.sources.x.cursor import Memory
from listener.sources.x.storage import Storage, Truncated
from listener.units import format_instant

log = logging.getLogger(__name__)

EVERY: Final = timedelta(hours=22)
"""From the beginning of one check to the next: two hours are left for it, so that what is deleted is gone in a day."""
LATE: Final = timedelta(hours=24)
"""So long after the last complete check was begun are ops told."""
STALE: Final = timedelta(hours=24)
"""A job that is not done by then is given up: what it would say is too old."""
LOOK_SECONDS: Final = 60.0
"""So often is it looked whether a check is due, or its job is done."""
EMPTY_SECONDS: Final = 600.0
"""The same while nothing is held: to find that out may be to read all that is held of others."""
SLOW_SECONDS: Final = 300.0
"""So often is it looked whether a job is done that takes long."""
SLOW_AFTER: Final = timedelta(hours=1)
UNHEEDED_SECONDS: Final = 7200.0
"""A job that has its ids for so long, and is not begun, is given up."""
DENIED_SECONDS: Final = 3600.0
"""X does not let us ask: only a person can change that, and tells us by a new key."""
BATCH_SIZE: Final = 5_000
"""Deletions in one batch."""
AT_ONCE: Final = 100
"""Posts in one lookup."""
LOOKUPS: Final = 250
"""In 15 minutes, of X's 300."""
PREFIX: Final = "lyttepost-"

Held = Callable[[], Iterable[str]]


class Begun(NamedTuple):
    """A check begins, for which memory is to be made before X is asked."""

    mark: str
    at: datetime


@dataclass(frozen=True)
class Told:
    """What a check found. `gone`: posts that are to go; `charged`: posts that were read, and cost; `done`: the check is
    complete."""

    gone: tuple[str, ...] = ()
    charged: tuple[str, ...] = ()
    done: bool = False


class DeletionCheck:
    """Asks in a thread of its own. `bell` is rung when there is something to `take`."""

    def __init__(
        self,
        api: Api,
        storage: Storage,
        clock: Clock,
        chance: Callable[[], float],
        bell: Callable[[], None],
        *,
        by_lookup: bool = False,
    ) -> None:
        self._api = api
        self._storage = storage
        self._clock = clock
        self._bell = bell
        self._by_lookup = by_lookup
        self._backoff = Backoff(chance)
        self._calls = ConnectLimit(LOOKUPS)
        self._held: Held | None = None
        self._memory = Memory()
        self._lock = threading.Lock()
        self._found: deque[Begun | Told] = deque()
        self._news = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._uploaded: tuple[str, float] | None = None
        """The job whose ids are there, and since when (monotonic)."""
        self._broken = 0
        self._not_before = float("-inf")
        self.holds: bool | None = None
        """Whether any post of X is held; None: not known yet."""
        self.why: str | None = None
        """Why X was not asked with success."""

    # --- what the source asks and is given ------------------------------------------------------------------------

    def ask_about(self, held: Held) -> None:
        self._held = held

    def start(self, memory: Memory) -> None:
        """Go on from what is remembered. Nothing without something to ask about."""
        if self._held is None or (self._thread is not None and self._thread.is_alive()):
            return
        self._memory, self._stop = memory, threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(self._held, self._stop), name="x-deletions", daemon=True
        )
        self._thread.start()

    def take(self) -> Batch | None:
        """What is to be published next, if there is anything."""
        memory = self._memory
        with self._lock:
            found = self._found.popleft() if self._found else None
            if found is None:
                return None
            if isinstance(found, Begun):
                memory.check, memory.begun = found
                memory.unchecked = memory.unchecked or found.at
            elif found.done:
                memory.complied, memory.check, memory.unchecked = memory.begun, None, None
        self._news.set()
        told = found if isinstance(found, Told) else Told()
        return Batch(deleted=told.gone, charged=told.charged, cursor=str(memory))

    def retry(self) -> None:
        """At once: what was in the way is gone."""
        self._not_before = float("-inf")
        self._news.set()

    def stop(self) -> None:
        self._stop.set()
        self._news.set()
        self._thread = None
        with self._lock:
            self._found.clear()
        self._uploaded, self.why, self.holds = None, None, None
        self._not_before = float("-inf")

    def state(self) -> dict[str, Any]:
        """For presence and the metrics: when the last complete check was begun, where anything is held; and why X was
        not asked with success."""
        if self.holds is None:
            return {}
        begun = self._memory.complied if self.holds else None
        state: dict[str, Any] = {"deletions_checked": None if begun is None else format_instant(begun)}
        return {**state, "deletions_why": self.why} if self.why else state

    def late_since(self) -> datetime | None:
        """Since when what is held was not checked, if that is long."""
        since = self._memory.complied or self._memory.unchecked
        if not self.holds or since is None or self._clock.now() - since <= LATE:
            return None
        return since

    # --- the thread ------------------------------------------------------------------------------------------------

    def _run(self, held: Held, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                wait = self._turn(held, stop)
            except XError as error:
                wait = self._failed(error)
            except LyttepostError:
                wait = LOOK_SECONDS  # the bus is away, and says so elsewhere
            except Exception as error:
                log.error("x: deletions: %s; tried again", type(error).__name__)
                wait = self._failed(XError(Trouble.REFUSED))
            # Never long: a machine that slept, or a clock that was set, is noticed.
            self._clock.wait(min(wait, LOOK_SECONDS), self._news)
            self._news.clear()

    def _turn(self, held: Held, stop: threading.Event) -> float:
        """One step of a check. Seconds until the next. Raises XError, and BusError where nobody knows what is held."""
        if (wait := self._not_before - self._clock.monotonic()) > 0:
            return wait
        if self._waits():
            return 1.0
        memory, now = self._memory, self._clock.now()
        if memory.check is None or memory.begun is None or now - memory.begun > STALE:
            return self._begin(held, now)
        if self._by_lookup:
            self._look_up(held, stop)
            return LOOK_SECONDS
        return self._ask(f"{PREFIX}{memory.check}", held)

    def _waits(self) -> bool:
        """Something is not taken yet."""
        with self._lock:
            return bool(self._found)

    def _begin(self, held: Held, now: datetime) -> float:
        memory = self._memory
        if memory.complied is not None and abs(now - memory.complied) < EVERY and memory.check is None:
            self.holds = True if self.holds is None else self.holds
            return LOOK_SECONDS
        self.holds = next(iter(held()), None) is not None
        if not self.holds:
            # What comes later was not there to be checked.
            memory.complied, memory.check, memory.unchecked = None, None, None
            self._not_before = self._clock.monotonic() + EMPTY_SECONDS
            return EMPTY_SECONDS
        self._say(Begun(secrets.token_hex(4), now))
        return 1.0

    def _ask(self, name: str, held: Held) -> float:
        """By a job: which one is ours, and what is to be done with it now."""
        self.holds = True
        job = next((each for each in self._api.compliance_jobs() if each.name == name), None)
        if job is None:
            job = self._api.create_compliance_job(name)
        self.why = None
        given, since = self._uploaded or ("", 0.0)
        match job.status:
            case "created" if given != job.id:
                return self._upload(job, held)
            case "created" if self._clock.monotonic() - since > UNHEEDED_SECONDS:
                return self._anew("X does not see the ids")
            case "created" | "in_progress":
                begun = self._memory.begun
                return SLOW_SECONDS if begun and self._clock.now() - begun > SLOW_AFTER else LOOK_SECONDS
            case "complete":
                return self._fetch(job)
            case _:
                return self._anew("X could not do the job")

    def _upload(self, job: Job, held: Held) -> float:
        """Done twice, after a restart, it says the same."""
        ids = _ids(held)
        try:
            self._storage.upload(job.upload_url, ids)
        except XError as error:
            if error.trouble is Trouble.REFUSED:
                return self._anew("the ids were not taken")
            raise
        self._uploaded = job.id, self._clock.monotonic()
        log.info("x: deletions: asked about %d posts", len(ids))
        return 5.0

    def _fetch(self, job: Job) -> float:
        try:
            gone = self._storage.download(job.download_url)
        except Truncated as part:
            self._give(part.ids)
            self._broken += 1
            if self._broken % 3:
                return self._failed(XError(Trouble.NETWORK))
            return self._anew("its result is cut off")
        except XError as error:
            if error.trouble is Trouble.REFUSED:
                return self._anew("its result was not given")
            raise
        self._broken = 0
        self._give(gone, done=True)
        log.info("x: deletions: %d posts are gone at X", len(gone))
        return LOOK_SECONDS

    def _anew(self, why: str) -> float:
        """This job leads to nothing: with another name there is another."""
        wait = self._failed(XError(Trouble.SERVER), why)
        self._uploaded = None
        self._say(Begun(secrets.token_hex(4), self._clock.now()))
        return wait

    def _look_up(self, held: Held, stop: threading.Event) -> None:
        """Post by post, as the stream gives them: what X does not give any more is gone."""
        ids = iter(_ids(held))
        while (some := list(islice(ids, AT_ONCE))) and not stop.is_set():
            if self._clock.wait(self._calls.wait(self._clock.monotonic()), stop):
                return
            self._calls.spend(self._clock.monotonic())
            there, gone = read_lookup(self._api.look_up(some))
            self.why = None
            if gone or there:
                self._say(Told(gone=gone, charged=there))
        if not stop.is_set():
            self._say(Told(done=True))

    def _give(self, gone: Sequence[str], *, done: bool = False) -> None:
        for start in range(0, len(gone), BATCH_SIZE):
            self._say(Told(gone=tuple(gone[start : start + BATCH_SIZE])))
        if done:
            self._say(Told(done=True))

    def _say(self, what: Begun | Told) -> None:
        with self._lock:
            # Of an earlier opening nothing counts any more.
            if threading.current_thread() is self._thread:
                self._found.append(what)
        self._bell()

    def _failed(self, error: XError, why: str = "") -> float:
        self.why = why or str(error)
        if error.trouble in DENIED:
            log.warning("x: deletions: %s; tried again in an hour, or with a new key", error)
            self._not_before = self._clock.monotonic() + DENIED_SECONDS
            return DENIED_SECONDS
        limited = error.trouble in (Trouble.RATE_LIMITED, Trouble.CAPPED, Trouble.OVER_BUDGET)
        until = None if error.reset is None else error.reset - self._clock.now().timestamp()
        wait = self._backoff.ended(Schedule.LIMITED if limited else Schedule.HTTP, until=until)
        self._not_before = self._clock.monotonic() + wait
        log.warning("x: deletions: %s; tried again in %.0f s", self.why, wait)
        return wait


def _ids(held: Held) -> list[str]:
    """The ids of all that is held, each once. Raises BusError."""
    return list(dict.fromkeys(id_ for id_ in held() if id_.isdecimal()))


def read_lookup(answer: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Of an answer about some posts: those that X gives, and those that it says are gone, hidden or withheld.

    A post that the answer does not name at all is neither: nothing is purged for what X forgot to say.
    """
    data = answer.get("data") or ()
    there = {str(raw["id"]): bool(raw.get("withheld")) for raw in data if isinstance(raw, dict) and "id" in raw}
    errors = [raw for raw in answer.get("errors") or () if isinstance(raw, dict)]
    missing = {
        str(raw["resource_id"])
        for raw in errors
        if raw.get("resource_type") == "tweet" and "resource_id" in raw and raw.get("parameter", "ids") in ("id", "ids")
    }
    gone = missing - there.keys() | {id_ for id_, withheld in there.items() if withheld}
    return tuple(there), tuple(sorted(id_ for id_ in gone if id_.isdecimal()))
