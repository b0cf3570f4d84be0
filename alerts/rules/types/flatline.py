"""`flatline`: fewer than `threshold` within `timeframe`, for each key that was ever seen.

It fires when the timeframe has gone by in which too few came, at that very instant, and resolves when the threshold is
reached again; with `forget_keys` a key that fired is forgotten until it is seen again, and resolves nothing. What we
could not hear is not silence: over a recorded gap of its sources it stays silent, says so once, and fires when the
gap has left the window if it still is silent.

Without `query_key` the silence counts from when we began to listen; with one, from the key's first post.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Self

from pydantic import model_validator

from alerts.rules.conditions.level import Level
from alerts.rules.conditions.stages import WindowReading
from alerts.rules.conditions.window import Tally
from alerts.rules.entry import Entry
from alerts.rules.judge import RuleContext
from alerts.rules.past import Edges
from alerts.rules.spec import Positive, RuleType, TimeframeSpec
from alerts.rules.verdict import Reason


class FlatlineSpec(TimeframeSpec):
    """Options of its own, both ElastAlert's: `threshold`, `forget_keys`."""

    threshold: Positive
    forget_keys: bool = False

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.forget_keys and not self.query_key:
            raise ValueError("forget_keys: there are no keys to forget; set query_key or remove it")
        return self

    @property
    def passes(self) -> bool:
        return not self.forget_keys


class _Few:
    def __init__(self, spec: FlatlineSpec) -> None:
        self._threshold = spec.threshold
        self._tally = Tally(spec.count_by)

    def move(self, entry: Entry, stage: int) -> None:
        if stage == 0:
            self._tally.add(entry)
        else:
            self._tally.drop(entry)

    def read(self, known: bool) -> WindowReading:
        count = self._tally.count
        met = Reason.FLATLINE if known and count < self._threshold else None
        return WindowReading(met, count, float(self._threshold), silent=True)

    def past(self, edges: Edges) -> None:
        """A late post can only lift a silence."""


class Flatline(Level):
    def __init__(self, spec: FlatlineSpec, context: RuleContext) -> None:
        super().__init__(
            spec, context, lambda: _Few(spec),
            edges=(timedelta(), spec.timeframe),
            over=Reason.FLATLINE_OVER,
            seen=True,
            sticky=True,
            once=spec.forget_keys,
        )  # fmt: skip


TYPE = RuleType(FlatlineSpec, Flatline)
