"""`cardinality`: more than `max_cardinality` or fewer than `min_cardinality` distinct values of `cardinality_field`.

As in ElastAlert a finding without the field adds nothing, and what is exactly at a bound is within. Otherwise than
there it is a level: each further value is no further alarm, too few resolve when they are enough again, and a key that
falls silent is held to its minimum for two timeframes, then forgotten.
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from alerts.rules.conditions.bounds import Bounded, Bounds, Distinct, ordered, uncounted
from alerts.rules.fields import Reader, reader
from alerts.rules.judge import RuleContext
from alerts.rules.spec import Positive, RuleType, TimeframeSpec


class CardinalitySpec(TimeframeSpec):
    cardinality_field: str = Field(min_length=1)
    max_cardinality: Annotated[int, Field(ge=0, strict=True)] | None = None
    min_cardinality: Positive | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        ordered(self, "max_cardinality", "min_cardinality")
        uncounted(self)
        return self

    @property
    def certain(self) -> bool:
        return self.min_cardinality is None

    @property
    def names(self) -> dict[str, tuple[str, ...]]:
        return {"query_key": self.query_key, "cardinality_field": (self.cardinality_field,)}


def value_of(spec: CardinalitySpec) -> Reader:
    return reader(spec.cardinality_field)


def judge(spec: CardinalitySpec, context: RuleContext) -> Bounded:
    bounds = Bounds(spec.max_cardinality, spec.min_cardinality)
    return Bounded(spec, context, lambda: Distinct(bounds), rising=lambda: Distinct(bounds))


TYPE = RuleType(CardinalitySpec, judge, value_of)
