"""What is measured in a window must stay within bounds: shared by `cardinality`, `percentage_match`,
`metric_aggregation` and `story`.

In ElastAlert's sense: what is exactly at a bound is within. Too low may come of not hearing, and so is given only of a
timeframe that was heard in full: never before a timeframe of hearing (under a key: of posts), never over a recorded
gap. A key of which nothing was heard for two timeframes is forgotten, and what stands under it resolves.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from fractions import Fraction
from math import inf
from typing import Any, NamedTuple

from pydantic import model_validator

from alerts.rules import past
from alerts.rules.conditions.early import Early, RisingGauge
from alerts.rules.conditions.level import Level
from alerts.rules.conditions.stages import Gauge, WindowReading
from alerts.rules.entry import Entry
from alerts.rules.judge import RuleContext
from alerts.rules.past import Edges, Past, above, stage, whole
from alerts.rules.report import resolved
from alerts.rules.spec import TimeframeSpec
from alerts.rules.steps import Steps
from alerts.rules.verdict import Reason, Verdict
from listener.model.records import Alert


class Bounds(NamedTuple):
    most: float | None = None
    least: float | None = None

    def reading(self, value: Fraction | float | None, known: bool, number: int, scale: float = 1) -> WindowReading:
        """`value`: None where there is nothing to judge. `number`: what an alert counts; `scale`: how many of that make
        one of the bound's.
        """
        if value is not None and self.most is not None and value > self.most:
            return WindowReading(Reason.MAX_PASSED, number, round(self.most * scale, 1))
        if value is not None and self.least is not None and value < self.least and known:
            return WindowReading(Reason.MIN_PASSED, number, round(self.least * scale, 1), silent=True)
        return WindowReading(None, number)

    def room(self, value: Fraction | float) -> Fraction | float:
        """How far a value is from what is too much."""
        return inf if self.most is None else Fraction(self.most) - Fraction(value)


class Distinct:
    """Distinct values in a window; the value of a post is a tuple of them."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._values: Counter[str] = Counter()

    def move(self, entry: Entry, stage: int) -> None:
        for value in set(entry.value):
            self._values[value] += 1 if stage == 0 else -1
            if not self._values[value]:
                del self._values[value]

    def read(self, known: bool) -> WindowReading:
        count = len(self._values)
        return self._bounds.reading(count, known, count)

    def room(self, since: datetime, at: datetime) -> Fraction | float:
        return self._bounds.room(len(self._values))

    def growth(self, entry: Entry) -> float:
        return len(entry.value)

    def past(self, edges: Edges) -> Past | None:
        if self._bounds.most is None:
            return None
        steps = Steps()
        units = past.Distinct(steps, stage(edges), lambda entry: set(entry.value))
        return Past((units,), (above(steps, whole(self._bounds.most)),))


class Bounded(Level):
    """`gauge`: a measure of an empty window. `rising`: the same, where posts can only push it over its bound, so that
    its alarms may be told early."""

    def __init__(
        self,
        spec: TimeframeSpec,
        context: RuleContext,
        gauge: Callable[[], Gauge],
        rising: Callable[[], RisingGauge] | None = None,
    ) -> None:
        super().__init__(
            spec, context, gauge,
            edges=(timedelta(), spec.timeframe),
            over=Reason.WITHIN_BOUNDS,
            seen=True,
            sticky=True,
            forgotten=Reason.KEY_FORGOTTEN,
        )  # fmt: skip
        self.eager = rising is not None and spec.told_early
        self.settles = rising is not None and spec.settles
        if rising is not None and spec.settles:
            self._early = (context.early or Early)(spec, context, rising)

    def arrived(self, entry: Entry, key: str) -> Iterable[Verdict]:
        early = self._early
        newest = None if early is None else early.arrive(entry, key)
        if early is None or newest is None or self._context.muted:
            return ()
        state = self._states.get(key)
        if state is None:
            gauge, current, standing, history = None, deque[Entry](), None, None
        else:
            gauge, current, standing, history = state.gauge, state.stages.current, state.standing, state.episodes
        if not early.may_reach(key, early.room(key, gauge, newest.at)):
            return ()
        if not early.may_tell(key, newest, standing=standing is not None, history=history):
            return ()
        found = early.window(key, newest, current)
        reading = found.gauge.read(True)
        if reading.met is None or self._answered(key, newest.at, reading.number):
            return ()
        return (early.tell(self._verdict(key, newest.at, list(found.posts), reading, None, None)),)

    def judge(self, entry: Entry, key: str) -> Iterator[Verdict]:
        if self._early is not None:
            self._early.judged(entry, key)
        return super().judge(entry, key)

    def late(self, entry: Entry, key: str) -> Iterator[Verdict]:
        if self._early is not None:
            self._early.judged(entry, key)
        return super().late(entry, key)

    def advance(self) -> Iterator[Verdict]:
        yield from super().advance()
        now = self._context.watermark
        if now is None or self._early is None:
            return
        for key, told in self._early.unsettled(now):
            state = self._state(key)
            reading = self._read(state, now)
            yield resolved(
                self._context, self._spec, key, told.at, list(state.stages.current), count=reading.number,
                alert=told.id, first=told.first_seen, reason=Reason.WITHDRAWN, baseline=reading.baseline,
            )  # fmt: skip
            self._rest(state, key, now)

    def count_on(self, alert: Alert) -> None:
        if self._early is not None:
            self._early.remember(alert)

    def remember(self, alert: Alert) -> None:
        if self._early is not None:
            self._early.remember(alert)
        if alert.settled is not False:
            super().remember(alert)


class BufferSpec(TimeframeSpec):
    """ElastAlert calls the timeframe of its aggregations `buffer_time`; both names are understood."""

    @model_validator(mode="before")
    @classmethod
    def _buffer_time(cls, raw: Any) -> Any:
        if isinstance(raw, dict) and "buffer_time" in raw and "timeframe" not in raw:
            return {("timeframe" if name == "buffer_time" else name): value for name, value in raw.items()}
        return raw


def ordered(spec: TimeframeSpec, most: str, least: str) -> None:
    """Raises ValueError unless one of the two options is set, and the lesser is no greater."""
    high, low = getattr(spec, most), getattr(spec, least)
    if high is None and low is None:
        raise ValueError(f"{most}: it or {least} must be set")
    if high is not None and low is not None and low > high:
        raise ValueError(f"{least}: must not be greater than {most}")


def uncounted(spec: TimeframeSpec) -> None:
    """Raises ValueError when `count_by` is given to a type that counts neither posts nor people."""
    if "count_by" in spec.model_fields_set:
        raise ValueError(f"count_by: {spec.type} measures what a field says and counts no posts; remove it")
