"""`new_term`: a hashtag, place or other term that enough persons use and nobody had used before.

`num_events` persons (or posts, `count_by`) within `timeframe` make a term known, and then it is reported; after that
it stays known for `terms_window_size`. For `learn` after the incident began, and from posts before it, terms become
known without a word to anybody: what everyone says from the first minute is no news.

As in ElastAlert, `query_key` without `fields` is what is looked at, and `realert` then holds each term by itself;
without it `realert` holds the whole rule. With both, a term is new within each value of `query_key`, which `realert`
holds too.

An event and no state: it resolves nothing. What is known is exactly what was reported, fired or held, so that a restart
finds it in the published alerts.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import deque
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Self

from pydantic import model_validator

from alerts.rules.conditions.episodes import memory, quiet_until
from alerts.rules.conditions.keyed import Keyed
from alerts.rules.conditions.window import KEEP, ORDER, Window
from alerts.rules.entry import Entry
from alerts.rules.fields import Reader, key_values_of, keys_of, selected
from alerts.rules.judge import RuleContext
from alerts.rules.keys import read_key, write_key
from alerts.rules.report import spoken
from alerts.rules.spec import CountBy, Duration, Names, Positive, RuleType, Span, WindowSpec
from alerts.rules.verdict import Reason, Verdict
from listener.model.records import Alert, Event, Finding, Origin


class NewTermSpec(WindowSpec):
    """Options of its own: `fields` (ElastAlert's), `terms_window_size` (ElastAlert's, 30 days) and `learn`."""

    fields: Names = ()
    terms_window_size: Span = timedelta(days=30)
    learn: Duration = timedelta()
    num_events: Positive = 1
    timeframe: Span = timedelta(hours=1)
    count_by: CountBy = CountBy.AUTHORS

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not self.terms:
            raise ValueError("fields: must be set: what may be new, such as hashtags")
        if self.terms_window_size < self.timeframe:
            raise ValueError("terms_window_size: must be at least as long as timeframe")
        return self

    @property
    def terms(self) -> tuple[str, ...]:
        """What may be new."""
        return self.fields or self.query_key

    @property
    def keyed_by(self) -> tuple[str, ...]:
        return *self.within, *self.terms

    @property
    def within(self) -> tuple[str, ...]:
        """What it must be new within."""
        return self.query_key if self.fields else ()

    @property
    def names(self) -> dict[str, tuple[str, ...]]:
        return {"fields": self.terms, "query_key": self.within}

    def group_of(self, key: str) -> tuple[str, ...]:
        """The values of a key that `realert` holds."""
        if not self.fields:
            return (key,)
        return read_key(key, (*self.within, "term"))[: len(self.within)]


def _keys_of(within: tuple[str, ...], fields: tuple[str, ...]) -> Reader:
    terms = _terms_of(fields)
    if not within:
        return terms
    groups = key_values_of(within)
    return lambda finding: tuple(write_key((*group, term)) for group in groups(finding) for term in terms(finding))


def _terms_of(fields: tuple[str, ...]) -> Reader:
    """One field: its terms. Several: `field: term`, since one word may be new as a place and known as a hashtag."""
    if len(fields) == 1:
        return keys_of(fields)
    readers = [(name, keys_of((name,))) for name in fields]
    return lambda finding: tuple(f"{name}: {term}" for name, read in readers for term in read(finding))


class NewTerm:
    at_once = False

    def __init__(self, spec: NewTermSpec, context: RuleContext) -> None:
        self._spec = spec
        self._context = context
        self._passes = selected(spec.filter, spec.exclude)
        self._terms = _keys_of(spec.within, spec.terms)
        self._windows: Keyed[Window] = Keyed(lambda: Window(spec.timeframe, spec.count_by))
        self._known: dict[str, list[datetime]] = {}
        self._order: deque[tuple[datetime, str]] = deque()
        self._fired: dict[tuple[str, ...], list[datetime]] = {}

    def keys(self, finding: Finding) -> tuple[str, ...]:
        return self._terms(finding) if self._passes(finding) else ()

    def judge(self, entry: Entry, key: str) -> Iterator[Verdict]:
        if self._is_known(key, entry.at):
            return
        window = self._windows[key]
        window.expire(entry.at)
        window.prune(entry.at)
        window.add(entry)
        self._windows.wake_at(key, window.next_due)
        if window.count >= self._spec.num_events and not self._context.muted:
            yield self._report(key, entry, list(window.current), window.count, None)

    def late(self, entry: Entry, key: str) -> Iterator[Verdict]:
        now, timeframe = self._context.watermark, self._spec.timeframe
        if now is None or entry.at <= now - KEEP * timeframe or self._is_known(key, entry.at):
            return
        window = self._windows[key]
        window.expire(now)
        window.prune(now)
        window.insert(entry, now)
        self._windows.wake_at(key, window.next_due)
        if self._context.muted:
            return
        history, at = window.history(self._spec.num_events, now), entry.at
        while (reached := history.may_be_met(at)) is not None and reached < entry.at + timeframe:
            came = window.came(reached)
            if came == reached:
                by, count, stood = window.completed(came, self._spec.num_events, entry)
                if ORDER(by) >= ORDER(entry):
                    yield self._report(key, by, stood, count, entry)
                return
            if came is None:
                return
            at = came

    def advance(self) -> Iterator[Verdict]:
        now = self._context.watermark
        if now is None:
            return
        for key, window in self._windows.due(now):
            window.expire(now)
            window.prune(now)
            self._windows.wake_at(key, window.next_due)
        late = KEEP * self._spec.timeframe
        edge = now - late - memory(self._spec)
        for group, fired in list(self._fired.items()):
            del fired[: bisect_right(fired, edge)]
            if not fired:
                del self._fired[group]
        while self._order and self._order[0][0] <= now - late - self._spec.terms_window_size:
            at, key = self._order.popleft()
            self._known[key].remove(at)
            if not self._known[key]:
                del self._known[key]
        yield from ()

    def remember(self, alert: Alert) -> None:
        self._know(alert.key, alert.at, alert.event)

    def unmute(self) -> None:
        pass

    def _is_known(self, key: str, at: datetime) -> bool:
        return any(abs(at - known) < self._spec.terms_window_size for known in self._known.get(key, ()))

    def _know(self, key: str, at: datetime, event: Event) -> None:
        self._known.setdefault(key, []).append(at)
        self._order.append((at, key))
        if event is Event.FIRED:
            insort(self._fired.setdefault(self._spec.group_of(key), []), at)

    def _report(self, key: str, by: Entry, window: list[Entry], count: int, late: Entry | None) -> Verdict:
        reason = self._held(key, by, late)
        event = Event.SUPPRESSED if reason else Event.FIRED
        if reason is None:
            heard_late = late is not None or by.origin is Origin.GAP_FILL
            reason = Reason.HEARD_LATE if heard_late else Reason.NEW_TERM
        self._know(key, by.at, event)
        self._windows.wake_at(key, None)
        return spoken(
            self._context, self._spec, key, by, window,
            event=event, reason=reason, count=count, late=late, key_fields=(*self._spec.within, *self._spec.terms),
        )  # fmt: skip

    def _held(self, key: str, by: Entry, late: Entry | None) -> Reason | None:
        start = self._context.start
        if (late or by).lookback:
            return Reason.LOOKBACK_ONLY
        if start is not None and by.at < start + self._spec.learn:
            return Reason.LEARNING
        edge = by.at - memory(self._spec)
        fired = [at for at in self._fired.get(self._spec.group_of(key), ()) if at > edge]
        if quiet_until(fired, by.at, self._spec.realert, self._spec.exponential_realert) is not None:
            return Reason.REALERT
        return None


TYPE = RuleType(NewTermSpec, NewTerm, resolves=False)
