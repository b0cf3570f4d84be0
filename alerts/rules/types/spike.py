"""`spike`: `spike_height` times as many as in the timeframe directly before, or as few; for each key.

A level and not a match: it fires when the ratio is reached and resolves when it no longer holds, which it does on its
own as the posts of the spike become what later ones are compared with. Nothing is compared before two timeframes were
heard of a key (with `alert_on_new_data`: of the stream). A spike downwards needs a timeframe that was heard
throughout: over a recorded gap it stays silent and says so once.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from fractions import Fraction
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from alerts.rules.conditions.level import Level
from alerts.rules.conditions.stages import WindowReading
from alerts.rules.conditions.window import Tally
from alerts.rules.entry import Entry
from alerts.rules.judge import RuleContext
from alerts.rules.past import Above, Amounts, Edges, Filtered, Past, above, counted, stage
from alerts.rules.spec import RuleType, TimeframeSpec
from alerts.rules.steps import Steps
from alerts.rules.verdict import Reason

AtLeast = Annotated[int, Field(ge=0, strict=True)]


class SpikeSpec(TimeframeSpec):
    """Options of its own, all ElastAlert's.

    `spike_height`: the ratio. `threshold_ref` and `threshold_cur`: how many there must be in the reference and in the
    current timeframe. `alert_on_new_data`: a key that is new may spike at once.
    """

    spike_height: Annotated[float, Field(gt=1)]
    spike_type: Literal["up", "down", "both"]
    threshold_ref: AtLeast = 0
    threshold_cur: AtLeast = 0
    alert_on_new_data: bool = False

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.alert_on_new_data and not self.query_key:
            raise ValueError("alert_on_new_data: there are no keys that could be new; set query_key or remove it")
        return self

    @property
    def span(self) -> timedelta:
        return 2 * self.timeframe


class _Ratio:
    def __init__(self, spec: SpikeSpec) -> None:
        self._spec = spec
        self._cur = Tally(spec.count_by)
        self._ref = Tally(spec.count_by)

    def move(self, entry: Entry, stage: int) -> None:
        if stage == 0:
            self._cur.add(entry)
        elif stage == 1:
            self._cur.drop(entry)
            self._ref.add(entry)
        else:
            self._ref.drop(entry)

    def read(self, known: bool) -> WindowReading:
        spec, cur, ref = self._spec, self._cur.count, self._ref.count
        met: Reason | None = None
        if known and cur >= spec.threshold_cur and ref >= spec.threshold_ref:
            if spec.spike_type != "down" and cur and cur >= ref * spec.spike_height:
                met = Reason.SPIKE_UP
            elif spec.spike_type != "up" and ref and cur * spec.spike_height <= ref:
                met = Reason.SPIKE_DOWN
        return WindowReading(met, cur, float(ref), silent=met is Reason.SPIKE_DOWN)

    def past(self, edges: Edges) -> Past | None:
        spec = self._spec
        if spec.spike_type == "down":
            return None
        current, reference = stage(edges, 0), stage(edges, 1)
        cur, ref, over, live = Steps(), Steps(), Steps(), Steps()
        height = Fraction(spec.spike_height)
        # The product of `read` is rounded: between these bounds it is asked of each instant itself.
        rounded = height.numerator >> 20
        parts = [
            counted(spec.count_by, cur, current),
            counted(spec.count_by, ref, reference),
            counted(spec.count_by, over, current, height.denominator),
            counted(spec.count_by, over, reference, -height.numerator),
            Filtered(Amounts(live, current, lambda entry: 1), lambda entry: not entry.lookback),
        ]
        clause = [Above(over, -rounded - 1, rounded), above(cur, max(spec.threshold_cur, 1) - 1)]
        if spec.threshold_ref:
            clause.append(above(ref, spec.threshold_ref - 1))

        def exact(at: datetime) -> bool:
            now, before = cur.at(at), ref.at(at)
            enough = now >= max(spec.threshold_cur, 1) and before >= spec.threshold_ref
            return enough and now >= float(before) * spec.spike_height

        return Past(parts, tuple(clause), exact=exact, live=above(live, 0), known=True)


class Spike(Level):
    def __init__(self, spec: SpikeSpec, context: RuleContext) -> None:
        super().__init__(
            spec, context, lambda: _Ratio(spec),
            edges=(timedelta(), spec.timeframe, 2 * spec.timeframe),
            over=Reason.SPIKE_OVER,
            seen=not spec.alert_on_new_data,
        )  # fmt: skip


TYPE = RuleType(SpikeSpec, Spike)
