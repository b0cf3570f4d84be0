"""`percentage_match`: the share of posts that pass `match_bucket_filter` is above `max_percentage` or below
`min_percentage`; of those that pass `filter`, within `timeframe`, and only when they are at least `min_denominator`.

As in ElastAlert what is exactly at a bound is within, and a share of nothing is no share. Otherwise than there
`match_bucket_filter` is written like `filter`, the share is judged at every post and not once a run, and it can be one
of people or stories (`count_by`). An alert counts the posts that match; its baseline is how many the bound allows.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from math import floor, inf, nextafter
from typing import Annotated, Self

from pydantic import Field, model_validator

from alerts.rules.conditions.bounds import Bounded, Bounds, BufferSpec, ordered
from alerts.rules.conditions.stages import WindowReading
from alerts.rules.conditions.window import Tally
from alerts.rules.entry import Entry
from alerts.rules.fields import Test, check_possible, test_of
from alerts.rules.judge import RuleContext
from alerts.rules.past import Counted, Edges, Filtered, Past, above, counted, stage
from alerts.rules.spec import CountBy, Positive, RuleType, Values
from alerts.rules.steps import Steps

Percentage = Annotated[float, Field(ge=0, le=100, strict=True, allow_inf_nan=False)]


class PercentageSpec(BufferSpec):
    match_bucket_filter: Annotated[Mapping[str, Values], Field(min_length=1)]
    max_percentage: Percentage | None = None
    min_percentage: Percentage | None = None
    min_denominator: Positive = 1

    @model_validator(mode="after")
    def _fits(self) -> Self:
        ordered(self, "max_percentage", "min_percentage")
        for name, values in self.match_bucket_filter.items():
            check_possible("match_bucket_filter", name, values)
        return self

    @property
    def names(self) -> dict[str, tuple[str, ...]]:
        return {"query_key": self.query_key, "match_bucket_filter": tuple(self.match_bucket_filter)}


class Share:
    """Those that match, of all in a window; the value of a post says whether it does."""

    def __init__(self, by: CountBy, bounds: Bounds, least: int) -> None:
        self._by = by
        self._bounds = bounds
        self._least = least
        self._match = Tally(by)
        self._all = Tally(by)

    def move(self, entry: Entry, stage: int) -> None:
        for tally in (self._all, self._match) if entry.value else (self._all,):
            if stage == 0:
                tally.add(entry)
            else:
                tally.drop(entry)

    def read(self, known: bool) -> WindowReading:
        match, total = self._match.count, self._all.count
        percentage = 100 * match / total if total >= self._least else None
        return self._bounds.reading(percentage, known, match, scale=total / 100)

    def still(self) -> float:
        match, total = self._match.count, self._all.count
        if total < self._least:
            return self._least - total - 1
        # With each post m of t that match come nearer to the bound, m = bound·t, by one at most; one is left to spare.
        most, least = self._bounds
        under = inf if most is None else most * total / 100 - match
        over = inf if least is None else match - least * total / 100
        return max(0, floor(min(under, over)) - 1)

    def past(self, edges: Edges) -> Past | None:
        most = self._bounds.most
        if most is None:
            return None
        # A quotient that is rounded to the nearest float is greater than `most` just when it is beyond halfway to the
        # next one; so the share is compared in whole numbers, and can be counted post by post.
        bound = (Fraction(most) + Fraction(nextafter(most, inf))) / 200
        over, total = Steps(), Steps()
        parts: list[Counted] = [
            Filtered(counted(self._by, over, stage(edges), bound.denominator), lambda entry: bool(entry.value)),
            counted(self._by, over, stage(edges), -bound.numerator),
        ]
        clause = [above(over, 0)]
        if self._least > 1:
            parts.append(counted(self._by, total, stage(edges)))
            clause.append(above(total, self._least - 1))
        return Past(parts, tuple(clause))


def value_of(spec: PercentageSpec) -> Test:
    return test_of(spec.match_bucket_filter)


def judge(spec: PercentageSpec, context: RuleContext) -> Bounded:
    bounds = Bounds(spec.max_percentage, spec.min_percentage)
    return Bounded(spec, context, lambda: Share(spec.count_by, bounds, spec.min_denominator))


TYPE = RuleType(PercentageSpec, judge, value_of)
