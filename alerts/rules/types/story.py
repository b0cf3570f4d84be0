"""`story`: a story's spread, its authors or its age pass a bound. Our own; the key is the story.

- `max_spread`: more posts than that within `timeframe` say it, reposts included.
- `max_authors`: more people than that said it themselves; to repost is not to say.
- `max_age`: it is still retold when its first post of the timeframe is older than that.

With `count_by: authors` people are counted and not posts: reposts neither spread a story nor keep it alive, and nothing
fires before two people have said it, so that one account alone, however loud or often reposted, never does.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from datetime import datetime, timedelta
from math import inf
from typing import Self

from pydantic import model_validator

from alerts.rules.conditions.bounds import Bounded
from alerts.rules.conditions.stages import WindowReading
from alerts.rules.conditions.window import Tally
from alerts.rules.entry import Entry
from alerts.rules.judge import RuleContext
from alerts.rules.past import Above, Counted, Edges, Old, Past, above, counted, stage
from alerts.rules.spec import CountBy, Names, Positive, RuleType, Span, TimeframeSpec
from alerts.rules.steps import Steps
from alerts.rules.verdict import Reason

SEVERAL = 2
KEY = ("story",)


class StorySpec(TimeframeSpec):
    query_key: Names = KEY
    timeframe: Span = timedelta(hours=6)
    max_spread: Positive | None = None
    max_authors: Positive | None = None
    max_age: Span | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.query_key != KEY:
            raise ValueError("query_key: the key of a story is the story itself; remove it")
        if self.count_by is CountBy.STORIES:
            raise ValueError("count_by: a story is one; count its posts or its authors")
        if self.max_spread is None and self.max_authors is None and self.max_age is None:
            raise ValueError("max_spread: it, max_authors or max_age must be set")
        if self.max_age is not None and self.max_age >= self.timeframe:
            raise ValueError("max_age: must be shorter than timeframe, or no story reaches it")
        return self

    @property
    def certain(self) -> bool:
        return True


class Spread:
    """How far one story has spread in a window."""

    def __init__(self, spec: StorySpec) -> None:
        self._spec = spec
        self._people = spec.count_by is CountBy.AUTHORS
        self._spread = Tally(spec.count_by)
        self._authors = Tally(CountBy.AUTHORS)
        self._times: list[datetime] = []

    def move(self, entry: Entry, stage: int) -> None:
        for tally in (self._spread, self._authors):
            if stage == 0:
                tally.add(entry)
            else:
                tally.drop(entry)
        if not (self._people and entry.repost):
            if stage == 0:
                insort(self._times, entry.at)
            else:
                del self._times[bisect_left(self._times, entry.at)]

    def read(self, known: bool) -> WindowReading:
        spec, spread, authors = self._spec, self._spread.count, self._authors.count
        if self._people and authors < SEVERAL:
            return WindowReading(None, spread)
        if spec.max_spread is not None and spread > spec.max_spread:
            return WindowReading(Reason.MAX_PASSED, spread, float(spec.max_spread))
        wide = spec.max_authors is not None and authors > spec.max_authors
        old = spec.max_age is not None and self._times and self._times[-1] - self._times[0] > spec.max_age
        return WindowReading(Reason.MAX_PASSED if wide or old else None, spread)

    def room(self, since: datetime, at: datetime) -> float:
        spec, first = self._spec, min((since, *self._times[:1]))
        if spec.max_age is not None and at - first > spec.max_age:
            return -inf
        spread = inf if spec.max_spread is None else spec.max_spread - self._spread.count
        return spread if spec.max_authors is None else min(spread, spec.max_authors - self._authors.count)

    def growth(self, entry: Entry) -> float:
        return entry.weight

    def still(self) -> float:
        spec = self._spec
        if spec.max_age is not None:
            return 0  # time alone makes it older
        spread = inf if spec.max_spread is None else spec.max_spread - self._spread.count
        return spread if spec.max_authors is None else min(spread, spec.max_authors - self._authors.count)

    def past(self, edges: Edges) -> Past | None:
        spec, spread, authors, old = self._spec, Steps(), Steps(), Steps()
        several = (above(authors, SEVERAL - 1),) if self._people else ()
        parts: list[Counted] = []
        clauses: list[tuple[Above, ...]] = []
        if spec.max_spread is not None:
            parts.append(counted(spec.count_by, spread, stage(edges)))
            clauses.append((above(spread, spec.max_spread), *several))
        if spec.max_authors is not None:
            clauses.append((above(authors, spec.max_authors), *several))
        if spec.max_age is not None:
            parts.append(Old(old, edges[-1], spec.max_age, lambda entry: not (self._people and entry.repost)))
            clauses.append((above(old, 0), *several))
        if spec.max_authors is not None or several:
            parts.append(counted(CountBy.AUTHORS, authors, stage(edges)))
        return Past(parts, *clauses)


def judge(spec: StorySpec, context: RuleContext) -> Bounded:
    return Bounded(spec, context, lambda: Spread(spec), rising=lambda: Spread(spec))


TYPE = RuleType(StorySpec, judge)
