"""What fires at once, on arrival, for each finding that is looked for: shared by `any`, `blacklist` and `whitelist`.

It is an event and no state, so it resolves nothing. `realert` holds a key's further findings, in event time, before
and after; of two that arrive out of order the first to arrive fires. Posts from before the incident never fire.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from alerts.rules.conditions.episodes import memory, quiet_until
from alerts.rules.entry import Entry
from alerts.rules.fields import Test, keys_of, selected
from alerts.rules.judge import RuleContext
from alerts.rules.report import spoken
from alerts.rules.spec import RuleSpec, Values
from alerts.rules.verdict import Reason, Verdict
from listener.model.records import Alert, Event, Finding, Origin

Listed = Annotated[Values, Field(min_length=1)]
"""The list: one value at least."""
MEMORY = timedelta(hours=24)
"""So long after `realert` a post that is found late still meets the alarm it belongs to."""


class CompareSpec(RuleSpec):
    """The options of a rule that looks up one field of a finding in a list: `compare_key`, as ElastAlert calls it."""

    compare_key: str = Field(min_length=1)

    @property
    def names(self) -> dict[str, tuple[str, ...]]:
        return {"query_key": self.query_key, "compare_key": (self.compare_key,)}


class Arrival:
    """`also`: what a finding must meet besides the rule's filter. `reason`: why it fires."""

    at_once = True

    def __init__(
        self, spec: RuleSpec, context: RuleContext, *, also: Test | None = None, reason: Reason = Reason.MATCHED
    ) -> None:
        self._spec = spec
        self._context = context
        self._also = also
        self._reason = reason
        self._passes = selected(spec.filter, spec.exclude)
        self._keys = keys_of(spec.query_key)
        self._fired: dict[str, list[datetime]] = {}
        self._order: deque[tuple[datetime, str]] = deque()

    def keys(self, finding: Finding) -> tuple[str, ...]:
        wanted = self._passes(finding) and (self._also is None or self._also(finding))
        return self._keys(finding) if wanted else ()

    def judge(self, entry: Entry, key: str) -> Iterator[Verdict]:
        if self._context.muted or entry.lookback:
            return
        held = self._recent(key, entry.at)
        late = self._context.watermark is not None and entry.at <= self._context.watermark
        why = Reason.HEARD_LATE if late or entry.origin is Origin.GAP_FILL else self._reason
        if not held:
            self._note(key, entry.at)
        yield spoken(
            self._context, self._spec, key, entry, (entry,),
            event=Event.SUPPRESSED if held else Event.FIRED,
            reason=Reason.REALERT if held else why,
            count=entry.weight,
            late=entry if late else None,
        )  # fmt: skip

    def late(self, entry: Entry, key: str) -> Iterable[Verdict]:
        return self.judge(entry, key)

    def advance(self) -> Iterable[Verdict]:
        edge = self._edge()
        while self._order and edge is not None and self._order[0][0] <= edge:
            at, key = self._order.popleft()
            fired = self._fired[key]
            del fired[bisect_left(fired, at)]
            if not fired:
                del self._fired[key]
        return ()

    def remember(self, alert: Alert) -> None:
        if alert.event is Event.FIRED:
            self._note(alert.key, alert.at)

    def unmute(self) -> None:
        pass

    def _note(self, key: str, at: datetime) -> None:
        if not self._spec.realert:
            return
        insort(self._fired.setdefault(key, []), at)
        self._order.append((at, key))

    def _recent(self, key: str, at: datetime) -> bool:
        fired = self._fired.get(key)
        if fired is None:
            return False
        # What is forgotten in `advance` must not count before it is, or a restart would judge otherwise.
        edge = self._edge()
        gone = 0 if edge is None else bisect_right(fired, edge)
        if self._spec.exponential_realert is None:
            # Only the nearest alarms matter, and there may be many of a day.
            place = bisect_right(fired, at)
            near = fired[max(place - 1, gone) : max(place, gone) + 1]
        else:
            near = fired[gone:]
        return quiet_until(near, at, self._spec.realert, self._spec.exponential_realert) is not None

    def _edge(self) -> datetime | None:
        mark = self._context.watermark
        return None if mark is None else mark - memory(self._spec) - MEMORY
