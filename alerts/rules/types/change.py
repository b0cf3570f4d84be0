"""`change`: under one `query_key`, a finding says another `compare_key` than the one before it, within `timeframe`.

As in ElastAlert `query_key` and `ignore_null` must be said, several `compare_key` change when one of them does, and a
change at exactly `timeframe` still counts. Otherwise than there a `timeframe` is always set (6 h by default): what was
said before that is forgotten. What `ignore_null` ignores is no value, and does not part two that are alike.

An event and no state: it resolves nothing. A post that is found late may have changed from the one before it, and the
one after it from the late one; found more than a timeframe late, it is left aside.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice

from pydantic import Field

from alerts.rules.conditions.episodes import FiringHistory, memory
from alerts.rules.conditions.keyed import Keyed
from alerts.rules.conditions.window import AT, KEEP, ORDER
from alerts.rules.entry import Entry
from alerts.rules.fields import keys_of, reader, selected
from alerts.rules.judge import RuleContext
from alerts.rules.report import alert_id, spoken
from alerts.rules.spec import Names, RuleSpec, RuleType, Span
from alerts.rules.verdict import Reason, Verdict
from listener.model.normalize import same
from listener.model.records import Alert, Event, Finding, Origin

FEW = 8
Value = tuple[tuple[str, ...], ...]


class ChangeSpec(RuleSpec):
    compare_key: Names = Field(min_length=1)
    query_key: Names = Field(min_length=1)
    ignore_null: bool
    timeframe: Span = timedelta(hours=6)

    @property
    def window(self) -> timedelta:
        return self.timeframe

    @property
    def names(self) -> dict[str, tuple[str, ...]]:
        return {"query_key": self.query_key, "compare_key": self.compare_key}


def value_of(spec: ChangeSpec) -> Callable[[Finding], Value]:
    """What a finding says: the values of each `compare_key`, in no order and in no case."""
    readers = [reader(name) for name in spec.compare_key]
    return lambda finding: tuple(tuple(sorted(set(map(same, read(finding))))) for read in readers)


@dataclass(slots=True)
class _State:
    """`said`: every change reported, fired or held, by its alert's id. `kept`: how many of them there were when
    the old ones were last forgotten, which is done once it is worth a walk through all."""

    posts: list[Entry] = field(default_factory=list)
    said: dict[str, datetime] = field(default_factory=dict)
    kept: int = 0
    episodes: FiringHistory = field(default_factory=FiringHistory)


class Change:
    at_once = False

    def __init__(self, spec: ChangeSpec, context: RuleContext) -> None:
        self._spec = spec
        self._context = context
        self._passes = selected(spec.filter, spec.exclude)
        self._keys = keys_of(spec.query_key)
        self._readers = [reader(name) for name in spec.compare_key] if spec.ignore_null else []
        self._keep = KEEP * spec.timeframe
        self._memory = self._keep + memory(spec)
        self._states: Keyed[_State] = Keyed(_State)

    def keys(self, finding: Finding) -> tuple[str, ...]:
        if not self._passes(finding) or not all(read(finding) for read in self._readers):
            return ()
        return self._keys(finding)

    def judge(self, entry: Entry, key: str) -> Iterator[Verdict]:
        state = self._states[key]
        before = state.posts[-1] if state.posts else None
        state.posts.append(entry)
        self._states.wake_by(key, entry.at + self._keep)
        if before is not None:
            yield from self._compare(state, key, before, entry, None)

    def late(self, entry: Entry, key: str) -> Iterator[Verdict]:
        now = self._context.watermark
        # Those it stood among were posted within a timeframe of it, and all of them are kept.
        if now is None or entry.at <= now - self._spec.timeframe:
            return
        state = self._states[key]
        place = bisect_left(state.posts, ORDER(entry), key=ORDER)
        state.posts.insert(place, entry)
        self._states.wake_by(key, entry.at + self._keep)
        if entry.lookback:
            return
        around = state.posts[max(place - 1, 0) : place + 2]
        for before, after in zip(around, islice(around, 1, None), strict=False):
            yield from self._compare(state, key, before, after, entry)

    def advance(self) -> Iterator[Verdict]:
        now = self._context.watermark
        if now is None:
            return
        for key, state in self._states.due(now):
            gone = bisect_right(state.posts, now - self._keep, key=AT)
            del state.posts[:gone]
            if len(state.said) > 2 * state.kept + FEW or not state.posts:
                state.said = {each: at for each, at in state.said.items() if at > now - self._memory}
                state.kept = len(state.said)
            state.episodes.prune(now - self._memory, memory(self._spec), all=not state.posts)
            due = state.posts[0].at + self._keep if state.posts else None
            newest = state.episodes.newest
            if due is None and newest is not None and newest + self._memory > now:
                due = newest + self._memory
            self._states.wake_at(key, due)
        yield from ()

    def remember(self, alert: Alert) -> None:
        self._note(self._states[alert.key], alert.event, alert.at, alert.id, alert.first_seen)
        self._states.wake_by(alert.key, alert.at + self._memory)

    def unmute(self) -> None:
        pass

    def _compare(self, state: _State, key: str, before: Entry, by: Entry, late: Entry | None) -> Iterator[Verdict]:
        far = by.at - before.at > self._spec.timeframe
        if self._context.muted or by.lookback or far or before.value == by.value:
            return
        alert = alert_id(self._context.incident.id, self._spec.name, key, by.at, by.post_key)
        if alert in state.said:
            return
        held = state.episodes.recent(by.at, self._spec.realert, self._spec.exponential_realert)
        event = Event.SUPPRESSED if held else Event.FIRED
        heard_late = late is not None or by.origin is Origin.GAP_FILL
        self._note(state, event, by.at, alert, before.at)
        yield spoken(
            self._context, self._spec, key, by, (before, by),
            event=event,
            reason=Reason.REALERT if held else Reason.HEARD_LATE if heard_late else Reason.CHANGED,
            count=by.weight,
            late=late,
        )  # fmt: skip

    @staticmethod
    def _note(state: _State, event: Event, at: datetime, alert: str, since: datetime) -> None:
        state.said[alert] = at
        state.episodes.record(event, at, alert, since)
        if event is Event.FIRED:
            state.episodes.close(alert, at)


TYPE = RuleType(ChangeSpec, Change, value_of, resolves=False)
