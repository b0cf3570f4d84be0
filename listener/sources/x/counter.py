"""The counter: asks X in calm how many posts there were, minute by minute, and gives the counts to `volumes`.

Every few minutes it asks for the **total**, all standing tracks together. A track of which `volumes` knows nothing yet
is asked for once, as far back as X counts: its baseline, and so is a new total. A burst in the total splits it: every
track is then counted by itself too, until an hour has passed without a burst.

One rule makes it exact: *a minute of a track that has a record in `volumes` is counted, and is never published again*.
What is missing is asked for, however it came to be missing: a new track, a failure, a stop, a crisis. What lies further
back than X counts stays unknown. Counted minutes are published though nothing was said in them, because zero is
something else than unknown.

In a crisis the stream itself counts each track, and X is asked for no single one: their minutes must not be counted
twice. The total, which the stream never writes, is asked for a few times a day, so that however long the crisis lasts
no minute of it gets out of reach. A track's minute of which the stream has counted a part stays as the stream has it,
and what was missed in a crisis and is found by search counts like the stream's.
"""

from __future__ import annotations

import logging
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from listener.clock import Clock
from listener.model.records import Volume
from listener.model.tracks import is_total, total_of
from listener.sources.contract import Batch
from listener.sources.x.backoff import Backoff, ConnectLimit, Schedule
from listener.sources.x.client import DENIED, Api, Trouble, XError
from listener.sources.x.counts import (
    REACH,
    Burst,
    CountedMinutes,
    Splitting,
    count_queries,
    instant_of,
    is_burst,
    minute_of,
    read_counts,
)
from listener.sources.x.cursor import Memory
from listener.sources.x.filter_rules import Rule, compile_rules
from listener.sources.x.refusals import Part, Refusal, Refusals
from listener.units import format_instant

log = logging.getLogger(__name__)

EVERY: Final = timedelta(minutes=5)
IN_CRISIS: Final = timedelta(hours=6)
LATE: Final = timedelta(minutes=30)
"""So long after it was due may the total be missing before ops are alerted."""
BATCH_SIZE: Final = 1440
"""Minutes in one transaction."""
MINUTES_A_SECOND: Final = 1440
"""Of all tracks: a new house learns its seven days beside its other work, in two minutes instead of half of one."""
WAITING: Final = 50
"""Transactions that may wait to be taken."""
CALLS: Final = 200
"""Calls in 15 minutes, of X's 300: `doctor` and people by hand need some too."""
MAX_PAGES: Final = 100


class Unanswerable(Exception):
    """X does not take this query, whenever it is asked."""

    def __init__(self, query: Rule) -> None:
        super().__init__("a query is refused")
        self.query = query


class CountQuery:
    """One series' counts from X: every page of every query, added up, within the calls that X allows.

    Belongs to one thread. Its budget outlives every stop: X counts calls, whoever wanted them.
    """

    def __init__(self, api: Api, clock: Clock) -> None:
        self._api = api
        self._clock = clock
        self._calls = ConnectLimit(CALLS)

    def fetch(self, queries: Sequence[Rule], span: range, stop: threading.Event) -> dict[int, int]:
        """Minute → posts, in order, for those minutes of the span that every query has told of. Nothing once `stop` is
        set. Raises XError, or Unanswerable."""
        told = [self._pages(query, span, stop) for query in queries]
        return {minute: sum(counts[minute] for counts in told) for minute in sorted(set(span).intersection(*told))}

    def _pages(self, query: Rule, span: range, stop: threading.Event) -> dict[int, int]:
        counts: dict[int, int] = {}
        token: str | None = None
        start = span.start
        for _ in range(MAX_PAGES):
            if self._clock.wait(self._calls.wait(self._clock.monotonic()), stop):
                return {}
            self._calls.spend(self._clock.monotonic())
            if token is None:
                # Minutes may have passed since the span was chosen, and X refuses what begins before its reach.
                start = max(span.start, minute_of(self._clock.now() - REACH) + 1)
            if start >= span.stop:
                return {}
            try:
                page = self._api.counts(query.value, instant_of(start), instant_of(span.stop), token)
                counts |= read_counts(page.answer)
            except ValueError:
                raise XError(Trouble.SERVER) from None
            except XError as error:
                raise (Unanswerable(query) if _blames_query(error) else error) from None
            token = page.next_token
            if token is None:
                break
        if token is not None or not counts:
            # Pages without an end, or an answer without a count: neither tells that nothing was said.
            raise XError(Trouble.SERVER)
        return counts


def _blames_query(error: XError) -> bool:
    """X refuses the query itself, and not its times or its token."""
    errors: Any = error.body.get("errors") if isinstance(error.body, dict) else None
    if error.trouble is not Trouble.REFUSED or not isinstance(errors, list):
        return False
    return any(isinstance(e, dict) and "query" in (e.get("parameters") or {}) for e in errors)


@dataclass
class CountSeries:
    """One name in `volumes`. `next_at` is monotonic."""

    track: str
    queries: list[Rule]
    minutes: CountedMinutes
    next_at: float = float("-inf")


@dataclass
class _Plan:
    """What is counted now."""

    standing: tuple[str, ...] = ()
    crisis: bool = False
    total: CountSeries | None = None
    single: list[CountSeries] = field(default_factory=list)


class Counter:
    """Counts in a thread of its own. `bell` is rung when there is something to `take`."""

    def __init__(
        self,
        api: Api,
        clock: Clock,
        chance: Callable[[], float],
        bell: Callable[[], None],
        *,
        source: str,
        every: timedelta = EVERY,
        reposts: bool = True,
        burst: Burst = is_burst,
    ) -> None:
        self._clock = clock
        self._chance = chance
        self._bell = bell
        self._source = source
        self._every = every
        self._reposts = reposts
        self._burst = burst
        self._tally = CountQuery(api, clock)
        self._backoff = Backoff(chance)
        self._not_before = self._give_after = float("-inf")
        self._lock = threading.Lock()
        self._news = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._reset()

    def _reset(self) -> None:
        self._plan = _Plan()
        self._known: defaultdict[str, CountedMinutes] = defaultdict(CountedMinutes)
        self._splittings: defaultdict[str, Splitting] = defaultdict(lambda: Splitting(self._burst))
        self._found: deque[tuple[Volume, ...]] = deque()
        self._answered = False
        self._since: datetime | None = None
        self.counted: datetime | None = None
        """Up to when the total is counted and given away."""
        self._refusals = Refusals()
        self.others: tuple[range, ...] = ()
        """Minutes of a crisis in which search may find posts yet: of single tracks they are counted by what it finds,
        and asked for only when it is done."""
        self.refused: dict[str, str] = {}
        """Tracks that X does not count, and why."""

    # --- what the source asks and is given ------------------------------------------------------------------------

    def reset(self) -> None:
        """Begin anew."""
        self.stop()
        with self._lock:
            self._reset()

    def learn(self, volumes: Iterable[Volume]) -> None:
        """These are on `volumes`, or will be before anything of ours: what was there, and what the stream counts."""
        with self._lock:
            for volume in volumes:
                minute = minute_of(volume.minute)
                self._known[volume.track].add(minute)
                if is_total(volume.track):
                    self._splittings[volume.track].remember(minute, volume.count)

    def follow(self, standing: Sequence[str], *, crisis: bool) -> None:
        """Count these tracks. Returns at once."""
        with self._lock:
            if (tuple(standing), crisis) == (self._plan.standing, self._plan.crisis) and self._since is not None:
                return
            self._plan = self._planned(tuple(standing), crisis)
            self._answered, self._since = False, self._clock.now()
            self._refusals.over(Part.COUNTS)
            self.counted = None
            if self._plan.total is not None:
                self._splittings[self._plan.total.track].judge()
                newest = self._plan.total.minutes.newest
                self.counted = None if newest is None else instant_of(newest + 1)
        self._news.set()
        if self.counting and (self._thread is None or not self._thread.is_alive()):
            self._stop = threading.Event()
            self._thread = threading.Thread(target=self._run, args=(self._stop,), name="x-counts", daemon=True)
            self._thread.start()

    def take(self, memory: Memory) -> Batch | None:
        """Counted minutes of one track, oldest first, if there are any and it is time for more."""
        now = self._clock.monotonic()
        with self._lock:
            found = self._found.popleft() if self._found and now >= self._give_after else ()
            if found:
                self._give_after = now + len(found) / MINUTES_A_SECOND
            total = self._plan.total
            if found and total is not None and found[0].track == total.track:
                self.counted = found[-1].minute + timedelta(minutes=1)
        if not found:
            return None
        self._news.set()
        return Batch(volumes=found, cursor=str(memory))

    def retry(self) -> None:
        """At once: what was in the way is gone."""
        self._not_before = float("-inf")
        self._news.set()

    def stop(self) -> None:
        self._stop.set()
        self._news.set()
        self._thread = None
        self._plan = _Plan()

    @property
    def counting(self) -> bool:
        """There is something to count."""
        return self._plan.total is not None

    @property
    def well(self) -> bool:
        """X answers, or need not be asked."""
        return not self.counting or (self._answered and not self._refusals)

    @property
    def word(self) -> str:
        """How X is in calm, in the words of `listener.runtime.metrics.SourceState`."""
        if not self.counting:
            return "idle"
        return "counting" if self.late_since() is None else "connecting"

    def refusal(self) -> tuple[Refusal, ...]:
        """What X refuses now; at most one."""
        return tuple(self._refusals)

    @property
    def split(self) -> bool:
        """After a burst: every track is counted by itself."""
        total = self._plan.total
        return total is not None and self._splittings[total.track].split

    def state(self) -> dict[str, Any]:
        """For presence and the board: `counted`, up to when, whether by single tracks, and what cannot be counted."""
        if not self.counting:
            return {}
        state = {"counted": None if self.counted is None else format_instant(self.counted), "split": self.split}
        return {**state, "uncounted": dict(self.refused)} if self.refused else state

    def late_since(self) -> datetime | None:
        """Since when counts are missing in calm, if that is long."""
        since, counted = self._since, self.counted
        if not self.counting or self._plan.crisis or self._refusals or since is None:
            return None
        late = self._clock.now() - max(since, counted or since) > self._every + LATE
        # Told by what is on the bus, so that after a restart it is the same trouble and no new one.
        return (counted or since) if late else None

    # --- the thread ------------------------------------------------------------------------------------------------

    def _run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            series, wait = self._next()
            if series is None:
                self._clock.wait(wait, self._news)
                self._news.clear()
                continue
            span = series.minutes.missing(self._clock.now())
            if not span:
                series.next_at = self._clock.monotonic() + 60.0
                continue
            try:
                self._give(series, self._tally.fetch(series.queries, span, stop), stop)
            except Unanswerable as refused:
                self._cut(series, refused.query)
            except XError as error:
                self._failed(series, error)
            except Exception as error:
                log.error("x: counts: %s; tried again", type(error).__name__)
                self._failed(series, XError(Trouble.REFUSED))

    def _next(self) -> tuple[CountSeries | None, float]:
        """The series to ask for: the total first. Or how long there is none."""
        with self._lock:
            now, total = self._clock.monotonic(), self._plan.total
            if total is None or len(self._found) >= WAITING:
                return None, 60.0
            wanted = [total, *(s for s in self._plan.single if self.split or s.minutes.newest is None)]
            ready = [s for s in wanted if s.queries and s.next_at <= now]
            wait = max(self._not_before, min((s.next_at for s in wanted if s.queries), default=now + 60.0)) - now
            if ready and wait <= 0:
                return ready[0], 0.0
            return None, min(max(wait, 0.01), 60.0)

    def _give(self, series: CountSeries, counts: dict[int, int], stop: threading.Event) -> None:
        """Hand out what is new."""
        with self._lock:
            if stop.is_set():
                return
            others = () if is_total(series.track) else self.others
            fresh = [
                minute
                for minute in counts
                if minute not in series.minutes and not any(minute in theirs for theirs in others)
            ]
            for minute in fresh:
                series.minutes.add(minute)
            every = IN_CRISIS if self._plan.crisis else self._every
            series.next_at = self._clock.monotonic() + every.total_seconds()
            self._backoff, self._not_before = Backoff(self._chance), float("-inf")
            self._refusals.over(Part.COUNTS)
            if is_total(series.track):
                self._answered = True
                splitting = self._splittings[series.track]
                for minute in fresh:
                    splitting.remember(minute, counts[minute])
                splitting.judge(len(fresh))
        volumes = [
            Volume(source=self._source, track=series.track, minute=instant_of(minute), count=counts[minute])
            for minute in fresh
        ]
        with self._lock:
            if not stop.is_set():
                self._found.extend(tuple(volumes[at : at + BATCH_SIZE]) for at in range(0, len(volumes), BATCH_SIZE))
        self._bell()

    def _cut(self, series: CountSeries, query: Rule) -> None:
        """In two, until the track that X refuses stands alone; all others are counted."""
        with self._lock:
            place = series.queries.index(query)
            middle = len(query.tracks) // 2
            halves = (query.tracks[:middle], query.tracks[middle:]) if middle else ()
            series.queries[place : place + 1] = [q for half in halves for q in self._queries(half)]
            if not middle:
                self.refused[query.tracks[0]] = "X does not take it as a query"
                log.warning("x: counts: one track is refused, and not counted")

    def _failed(self, series: CountSeries, error: XError) -> None:
        # A request refused for what it asks, its times perhaps, is another one next time: alerted when counts are late.
        trouble = error.trouble if error.trouble in DENIED else Trouble.NETWORK
        self._refusals.failed(Part.COUNTS, trouble, error.why, self._clock.now())
        limited = error.trouble in (Trouble.RATE_LIMITED, Trouble.CAPPED, Trouble.OVER_BUDGET)
        until = None if error.reset is None else error.reset - self._clock.now().timestamp()
        wait = self._backoff.ended(Schedule.LIMITED if limited else Schedule.HTTP, until=until)
        self._not_before = self._clock.monotonic() + wait
        if not is_total(series.track):
            # One that always fails must not block the others.
            series.next_at = self._not_before + 1.0
        log.warning("x: counts: %s; tried again in %.0f s", error, wait)
        self._bell()

    # --- under the lock ---------------------------------------------------------------------------------------------

    def _planned(self, standing: tuple[str, ...], crisis: bool) -> _Plan:
        if not standing:
            return _Plan(standing, crisis)
        self.refused.update(compile_rules(standing, reposts=self._reposts).refused)
        total = self._series(total_of(standing), standing)
        if crisis and total.minutes.newest is not None:
            due = instant_of(total.minutes.newest) + IN_CRISIS - self._clock.now()
            total.next_at = self._clock.monotonic() + due.total_seconds()
        single = [] if crisis else [self._series(track, (track,)) for track in standing]
        return _Plan(standing, crisis, total, single)

    def _series(self, name: str, tracks: Sequence[str]) -> CountSeries:
        return CountSeries(name, list(self._queries(tracks)), self._known[name])

    def _queries(self, tracks: Sequence[str]) -> tuple[Rule, ...]:
        return count_queries([track for track in tracks if track not in self.refused], reposts=self._reposts)
