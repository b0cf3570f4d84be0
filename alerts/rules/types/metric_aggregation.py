"""`metric_aggregation`: the min, max, avg, sum, cardinality or value_count of `metric_agg_key` within `timeframe` is
above `max_threshold` or below `min_threshold`.

As in ElastAlert what is exactly at a threshold is within, and no value is no violation; a sum or count of nothing is 0.
Otherwise than there it is a level, judged at every post; what is no finite number is left aside; a finding that stands
for several weighs as many; there are no `bucket_interval`, scripts or percentiles. An alert's count is the metric in
whole numbers.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from fractions import Fraction
from math import isfinite
from typing import Annotated, Self

from pydantic import Field, model_validator

from alerts.rules.conditions.bounds import Bounded, Bounds, BufferSpec, Distinct, ordered, uncounted
from alerts.rules.conditions.stages import WindowReading
from alerts.rules.entry import Entry
from alerts.rules.fields import reader
from alerts.rules.judge import RuleContext
from alerts.rules.past import Amounts, Edges, Past, above, stage, whole
from alerts.rules.spec import RuleType
from alerts.rules.steps import Number, Steps
from listener.model.records import Finding

Threshold = Annotated[float, Field(strict=True, allow_inf_nan=False)]
MANY = 1 << 60
"""More numbers than a window ever holds."""


class Metric(StrEnum):
    """ElastAlert's `metric_agg_type`."""

    MIN = "min"
    MAX = "max"
    AVG = "avg"
    SUM = "sum"
    CARDINALITY = "cardinality"
    VALUE_COUNT = "value_count"


class MetricSpec(BufferSpec):
    metric_agg_key: str = Field(min_length=1)
    metric_agg_type: Metric
    max_threshold: Threshold | None = None
    min_threshold: Threshold | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        ordered(self, "max_threshold", "min_threshold")
        uncounted(self)
        return self

    @property
    def certain(self) -> bool:
        """A sum only where the rule itself says `eager: true`: that no number is ever below 0."""
        grows = self.metric_agg_type in (Metric.MAX, Metric.CARDINALITY, Metric.VALUE_COUNT)
        return self.min_threshold is None and (grows or (self.metric_agg_type is Metric.SUM and self.eager is True))

    @property
    def names(self) -> dict[str, tuple[str, ...]]:
        return {"query_key": self.query_key, "metric_agg_key": (self.metric_agg_key,)}


class Numbers:
    """The numbers in a window; the value of a post is a tuple of them.

    Sums are exact: floats that come and go would leave something behind, and less after a restart.
    """

    def __init__(self, metric: Metric, bounds: Bounds) -> None:
        self._metric = metric
        self._bounds = bounds
        self._numbers: list[float] = []
        self._sum = Fraction()
        self._weight = 0

    def move(self, entry: Entry, stage: int) -> None:
        weight = entry.weight if stage == 0 else -entry.weight
        for number in entry.value:
            if stage == 0:
                insort(self._numbers, number)
            else:
                del self._numbers[bisect_left(self._numbers, number)]
            self._sum += Fraction(number) * weight
            self._weight += weight

    def read(self, known: bool) -> WindowReading:
        value = self._value
        return self._bounds.reading(value, known, round(value or 0))

    def room(self, since: datetime, at: datetime) -> Fraction | float:
        if self._metric is Metric.SUM:
            return self._bounds.room(self._sum)
        return 0.0 if not self._numbers or self._bounds.room(self._numbers[-1]) >= 0 else -1.0

    def growth(self, entry: Entry) -> float:
        if self._metric is Metric.SUM:
            return float(sum(max(0.0, number) for number in entry.value)) * entry.weight
        return float(any(self._bounds.room(number) < 0 for number in entry.value))

    def past(self, edges: Edges) -> Past | None:
        if self._bounds.most is None:
            return None
        steps, most, metric = Steps(), Fraction(self._bounds.most), self._metric

        def amount(entry: Entry) -> Number:
            match metric:
                case Metric.SUM:
                    return sum((Fraction(number) for number in entry.value), Fraction()) * entry.weight
                case Metric.AVG:
                    return sum((Fraction(number) - most for number in entry.value), Fraction()) * entry.weight
                case Metric.MIN:
                    return sum(1 if number > most else -MANY for number in entry.value)
                case _:
                    return sum(1 if number > most else 0 for number in entry.value)

        return Past((Amounts(steps, stage(edges), amount),), (above(steps, most if metric is Metric.SUM else 0),))

    @property
    def _value(self) -> Fraction | float | None:
        match self._metric:
            case Metric.SUM:
                return self._sum
            case Metric.AVG:
                return self._sum / self._weight if self._weight else None
            case Metric.MIN:
                return self._numbers[0] if self._numbers else None
            case _:
                return self._numbers[-1] if self._numbers else None


class Values:
    """How many values there are in a window, of whatever kind; the value of a post is a tuple of them."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._count = 0

    def move(self, entry: Entry, stage: int) -> None:
        self._count += len(entry.value) * (entry.weight if stage == 0 else -entry.weight)

    def read(self, known: bool) -> WindowReading:
        return self._bounds.reading(self._count, known, self._count)

    def room(self, since: datetime, at: datetime) -> Fraction | float:
        return self._bounds.room(self._count)

    def growth(self, entry: Entry) -> float:
        return len(entry.value) * entry.weight

    def past(self, edges: Edges) -> Past | None:
        if self._bounds.most is None:
            return None
        steps = Steps()
        amounts = Amounts(steps, stage(edges), lambda entry: len(entry.value) * entry.weight)
        return Past((amounts,), (above(steps, whole(self._bounds.most)),))


def gauge_of(spec: MetricSpec) -> Callable[[], Distinct | Values | Numbers]:
    bounds = Bounds(spec.max_threshold, spec.min_threshold)
    match spec.metric_agg_type:
        case Metric.CARDINALITY:
            return lambda: Distinct(bounds)
        case Metric.VALUE_COUNT:
            return lambda: Values(bounds)
        case metric:
            return lambda: Numbers(metric, bounds)


def value_of(spec: MetricSpec) -> Callable[[Finding], tuple[str, ...] | tuple[float, ...]]:
    read = reader(spec.metric_agg_key)
    if spec.metric_agg_type in (Metric.CARDINALITY, Metric.VALUE_COUNT):
        return read
    return lambda finding: tuple(number for text in read(finding) if (number := _number(text)) is not None)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if isfinite(number) else None


def judge(spec: MetricSpec, context: RuleContext) -> Bounded:
    gauge = gauge_of(spec)
    return Bounded(spec, context, gauge, rising=gauge)


TYPE = RuleType(MetricSpec, judge, value_of)
