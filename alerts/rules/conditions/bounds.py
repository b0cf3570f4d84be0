"""What is measured in a window must stay within bounds: shared by `cardinality`, `percentage_match`,
`metric_aggregation` and `story`.

In ElastAlert's sense: what is exactly at a bound is within. Too low may come of not hearing, and so is given only of a
timeframe that was heard in full: never before a timeframe of hearing (under a key: of posts), never over a recorded
gap. A key of which nothing was heard for two timeframes is forgotten, and what stands under it resolves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from fractions import Fraction
from typing import Any, NamedTuple

from pydantic import model_validator

from alerts.rules import past
from alerts.rules.conditions.level import Level
from alerts.rules.conditions.stages import Gauge, WindowReading
from alerts.rules.entry import Entry
from alerts.rules.judge import RuleContext
from alerts.rules.past import Edges, Past, above, stage, whole
from alerts.rules.spec import TimeframeSpec
from alerts.rules.steps import Steps
from alerts.rules.verdict import Reason


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

    def past(self, edges: Edges) -> Past | None:
        if self._bounds.most is None:
            return None
        steps = Steps()
        units = past.Distinct(steps, stage(edges), lambda entry: set(entry.value))
        return Past((units,), (above(steps, whole(self._bounds.most)),))


class Bounded(Level):
    """`gauge`: a measure of an empty window."""

    def __init__(self, spec: TimeframeSpec, context: RuleContext, gauge: Callable[[], Gauge]) -> None:
        super().__init__(
            spec, context, gauge,
            edges=(timedelta(), spec.timeframe),
            over=Reason.WITHIN_BOUNDS,
            seen=True,
            sticky=True,
            forgotten=Reason.KEY_FORGOTTEN,
        )  # fmt: skip


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
