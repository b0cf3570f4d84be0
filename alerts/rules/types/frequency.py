"""`frequency`: at least `num_events` within `timeframe`, for each key; counted as posts, authors or stories.

A level and not a match: it fires when the count reaches `num_events`, and resolves when it has fallen below. A rise
within `realert` of the last alarm is held, and fires at the first post after `realert` if the level still stands.

Why it is no gauge on `conditions.level`, as tried: there what is held fires the instant `realert` ends and with no
post, a late post adds an alert to a window that was reported and none to one of the past (three tests fail), and an
active key takes 3,681 bytes for 3,158.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from alerts.rules.conditions.episodes import Episode, FiringHistory, memory
from alerts.rules.conditions.keyed import RETRY, Keyed
from alerts.rules.conditions.window import KEEP, Window
from alerts.rules.entry import Entry
from alerts.rules.fields import keys_of, selected
from alerts.rules.judge import RuleContext
from alerts.rules.report import resolved, spoken
from alerts.rules.spec import CountBy, RuleType, WindowSpec
from alerts.rules.verdict import Reason, Verdict
from listener.model.records import Alert, Event, Finding, Origin

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True)
class _State:
    """`moved`: the last instant at which a post left the window. `held`: high, but not fired."""

    window: Window
    episodes: FiringHistory = field(default_factory=FiringHistory)
    standing: Episode | None = None
    held: bool = False
    moved: datetime = _NEVER

    @property
    def high(self) -> bool:
        return self.held or self.standing is not None


class Frequency:
    at_once = False

    def __init__(self, spec: WindowSpec, context: RuleContext) -> None:
        self._spec = spec
        self._context = context
        self._passes = selected(spec.filter, spec.exclude)
        self._keys = keys_of(spec.query_key)
        self._memory = KEEP * spec.timeframe + memory(spec)
        self._states: Keyed[_State] = Keyed(lambda: _State(Window(spec.timeframe, spec.count_by)))

    def keys(self, finding: Finding) -> tuple[str, ...]:
        return self._keys(finding) if self._passes(finding) else ()

    def judge(self, entry: Entry, key: str) -> Iterator[Verdict]:
        state = self._states[key]
        yield from self._settle(state, key, entry.at, closed=False)
        window = state.window
        if window.next_expiry is not None and window.next_expiry <= entry.at:
            window.expire(entry.at)
            state.moved = entry.at
        window.prune(entry.at)
        window.add(entry)
        reached = window.count >= self._spec.num_events
        # A level that falls at this very instant may be lifted by its next post: look again when the instant is over.
        self._states.wake_at(key, entry.at if state.high and not reached else window.next_due)
        if reached and not self._context.muted and state.standing is None:
            yield from self._rise(state, key, entry)

    def late(self, entry: Entry, key: str) -> Iterator[Verdict]:
        now = self._context.watermark
        if now is None or entry.at <= now - KEEP * self._spec.timeframe:
            return
        state = self._states[key]
        yield from self._settle(state, key, now, closed=True)
        state.window.prune(now)
        state.window.insert(entry, now)
        self._states.wake_at(key, state.window.next_due)
        if self._context.muted:
            return
        high = state.window.count >= self._spec.num_events
        if entry.lookback:
            if high and not state.high:
                yield from self._rise(state, key, entry)
            return
        completed = self._completed(state, entry, now)
        if high and state.standing is None:
            yield from self._rise(state, key, entry, late=entry, completed=completed)
        elif completed is not None:
            yield from self._passed(state, key, completed, entry, now)

    def advance(self) -> Iterator[Verdict]:
        now = self._context.watermark
        if now is None:
            return
        for key, state in self._states.due(now):
            yield from self._settle(state, key, now, closed=True)
            state.window.prune(now)
            due = state.window.next_due
            state.episodes.prune(now - self._memory, memory(self._spec), all=due is None)
            if due is None:
                newest = state.episodes.newest
                # One that has stood for long is kept, and in a muted replay its posts are still to be read again.
                due = max(newest + self._memory, now + RETRY) if newest else None
            self._states.wake_at(key, due)

    def remember(self, alert: Alert) -> None:
        self._states[alert.key].episodes.remember(alert)
        self._states.wake_by(alert.key, alert.at + self._memory)

    def unmute(self) -> None:
        for _, state in self._states.items():
            state.standing = state.episodes.standing()
            # While it is not muted, a level that is high is either reported or held; so what is not reported is held.
            state.held = state.standing is None and state.window.count >= self._spec.num_events

    def _settle(self, state: _State, key: str, upto: datetime, *, closed: bool) -> Iterator[Verdict]:
        """Let time pass until `upto` (itself included: `closed`), and report when the level fell on the way."""
        window = state.window
        while True:
            if state.high and window.count < self._spec.num_events and (closed or state.moved < upto):
                yield from self._fall(state, key)
            due = window.next_expiry
            if due is None or due > upto or (due == upto and not closed):
                return
            window.expire(due)
            state.moved = due

    def _rise(
        self, state: _State, key: str, entry: Entry, late: Entry | None = None, completed: datetime | None = None
    ) -> Iterator[Verdict]:
        """The level is high with `entry`. `completed`: when the late one made it so, if that was before."""
        held, at = None, completed or entry.at
        if entry.lookback:
            held = Reason.LOOKBACK_ONLY
        elif state.episodes.recent(at, self._spec.realert, self._spec.exponential_realert):
            held = Reason.REALERT
        if held is not None and state.held:
            return
        by, count, window = entry, state.window.count, list(state.window.current)
        if completed is not None:
            by, count, window = state.window.completed(completed, self._spec.num_events, entry)
        state.held = held is not None
        verdict = self._speak(state, key, by, window, count, Event.SUPPRESSED if held else Event.FIRED, held, late)
        if held is None:
            state.standing = state.episodes.standing()
        yield verdict

    def _fall(self, state: _State, key: str) -> Iterator[Verdict]:
        standing, state.standing, state.held = state.standing, None, False
        if standing is not None:
            yield self._resolve(state, key, standing, state.moved, list(state.window.current), state.window.count)

    def _passed(self, state: _State, key: str, at: datetime, late: Entry, now: datetime) -> Iterator[Verdict]:
        """A level that was reached in the past, and is over or was reported since."""
        least = self._spec.num_events
        fell = state.window.history(least, now).may_be_over(at)
        if fell is None or fell > now:
            return  # it joins the level that stands, of which somebody knows
        by, count, window = state.window.completed(at, least, late)
        if state.episodes.recent(at, self._spec.realert, self._spec.exponential_realert):
            yield self._speak(state, key, by, window, count, Event.SUPPRESSED, Reason.REALERT, late)
            return
        fired = self._speak(state, key, by, window, count, Event.FIRED, None, late)
        yield fired
        yield self._resolve(state, key, state.episodes.fired[fired.alert_id], fell, *state.window.stood(fell))

    def _completed(self, state: _State, late: Entry, now: datetime) -> datetime | None:
        """When first a post came whose window the late one completes and nobody was alerted to."""
        timeframe, window = self._spec.timeframe, state.window
        history, at, end = window.history(self._spec.num_events, now), late.at, late.at + timeframe
        while True:
            reached = history.may_be_met(at)
            if reached is None or reached >= end:
                return None
            came = window.came(reached)
            if came is None or came >= end:
                return None
            covered = state.episodes.covered_until(came, timeframe) if came == reached else came
            if covered is None:
                return came
            at = covered

    def _speak(
        self, state: _State, key: str, by: Entry, window: list[Entry], count: int,
        event: Event, held: Reason | None, late: Entry | None,
    ) -> Verdict:  # fmt: skip
        if held is not None:
            reason = held
        elif late is not None or by.origin is Origin.GAP_FILL:
            reason = Reason.HEARD_LATE
        elif self._spec.count_by is CountBy.AUTHORS and not any(entry.author for entry in window):
            reason = Reason.NUM_EVENTS_NO_AUTHORS
        else:
            reason = Reason.NUM_EVENTS
        verdict = spoken(
            self._context, self._spec, key, by, window,
            event=event, reason=reason, count=count, late=late,
        )  # fmt: skip
        state.episodes.record(event, verdict.at, verdict.alert_id, verdict.first_seen)
        return verdict

    def _resolve(
        self, state: _State, key: str, episode: Episode, at: datetime, window: Iterable[Entry], count: int
    ) -> Verdict:
        state.episodes.record(Event.RESOLVED, at, episode.alert_id, episode.first_seen)
        return resolved(
            self._context, self._spec, key, at, list(window),
            count=count, alert=episode.alert_id, first=episode.first_seen,
        )  # fmt: skip


TYPE = RuleType(WindowSpec, Frequency)
