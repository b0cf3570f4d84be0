"""`frequency`: at least `num_events` within `timeframe`, for each key; counted as posts, authors or stories.

A level and not a match: it fires when the count reaches `num_events`, and resolves when it has fallen below. A rise
within `realert` of the last alarm is held, and fires at the first post after `realert` if the level still stands. What
people have answered is held too (`alerts.rules.answers`), and resolves where it stands.

Why it is no gauge on `conditions.level`, as tried: there what is held fires the instant `realert` ends and with no
post, a late post adds an alert to a window that was reported and none to one of the past (three tests fail), and an
active key takes 3,681 bytes for 3,158.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any

from alerts.rules.answers import outgrown
from alerts.rules.bearing import bearing_of
from alerts.rules.conditions.early import Early
from alerts.rules.conditions.episodes import Episode, FiringHistory, memory
from alerts.rules.conditions.keyed import RETRY, Keyed
from alerts.rules.conditions.stages import WindowReading
from alerts.rules.conditions.window import CARRIES, KEEP, Tally, Window
from alerts.rules.entry import Entry
from alerts.rules.fields import keys_of, selected
from alerts.rules.judge import RuleContext
from alerts.rules.report import resolved, spoken
from alerts.rules.spec import CountBy, RuleType, WindowSpec
from alerts.rules.verdict import Reason, Verdict
from listener.model.records import Alert, Event, Finding, Origin


class FrequencySpec(WindowSpec):
    """There is no upper bound: posts that come late only add."""

    @property
    def certain(self) -> bool:
        return True


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


class _Count:
    """What has arrived, counted. `answerable`: what carries an answer is told apart."""

    def __init__(self, spec: WindowSpec, *, answerable: bool) -> None:
        self._least = spec.num_events
        self._all = Tally(spec.count_by)
        self._open = Tally(spec.count_by) if answerable else self._all

    def move(self, entry: Entry, stage: int) -> None:
        apart = self._open is not self._all and entry.value is not CARRIES
        for tally in (self._all, self._open) if apart else (self._all,):
            if stage == 0:
                tally.add(entry)
            else:
                tally.drop(entry)

    def read(self, known: bool) -> WindowReading:
        count = self._all.count
        return WindowReading(Reason.NUM_EVENTS if count >= self._least else None, count)

    def room(self, since: datetime, at: datetime) -> float:
        return self._least - 1 - self._all.count

    def growth(self, entry: Entry) -> float:
        return entry.weight

    @property
    def open(self) -> int:
        """The count without what carries an answer."""
        return self._open.count


class Frequency:
    at_once = False

    def __init__(self, spec: FrequencySpec, context: RuleContext) -> None:
        self._spec = spec
        self._context = context
        self._passes = selected(spec.filter, spec.exclude)
        self._keys = keys_of(spec.query_key)
        self._bearing = bearing_of(spec)
        self._memory = KEEP * spec.timeframe + memory(spec)
        self._states: Keyed[_State] = Keyed(lambda: _State(Window(spec.timeframe, spec.count_by)))
        self.eager = spec.told_early
        self._early: Early[_Count] | None = None
        self.settles = spec.settles
        if self.settles:
            self._early = (context.early or Early)(
                spec, context, lambda: _Count(spec, answerable=self._bearing.open), self._marked
            )

    def keys(self, finding: Finding) -> tuple[str, ...]:
        return self._keys(finding) if self._passes(finding) else ()

    def arrived(self, entry: Entry, key: str) -> Iterable[Verdict]:
        early, spec = self._early, self._spec
        newest = None if early is None else early.arrive(entry, key)
        if early is None or newest is None or self._context.muted:
            return ()
        state = self._states.get(key)
        if state is None:
            count, current, standing, history = 0, deque[Entry](), None, None
        else:
            count, current, standing, history = (
                state.window.count, state.window.current, state.standing, state.episodes,
            )  # fmt: skip
        if not early.may_reach(key, spec.num_events - 1 - count):
            return ()
        if not early.may_tell(key, newest, standing=standing is not None, history=history):
            return ()
        found = early.window(key, newest, current)
        count = found.gauge.read(True).number
        if count < spec.num_events or self._answered(found.gauge.open, key, newest.at, count):
            return ()
        return (early.tell(self._verdict(key, newest, list(found.posts), count, Event.FIRED, None, None)),)

    def judge(self, entry: Entry, key: str) -> Iterator[Verdict]:
        state, entry = self._states[key], self._marked(entry)
        if self._early is not None:
            self._early.judged(entry, key)
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
        if not reached or self._context.muted:
            return
        if state.standing is not None and self._answered(state.window.open, key, entry.at, window.count):
            standing, state.standing = state.standing, None
            yield self._resolve(
                state, key, standing, entry.at, list(window.current), window.count, Reason.ANSWERED_OVER
            )
        if state.standing is None:
            yield from self._rise(state, key, entry)

    def late(self, entry: Entry, key: str) -> Iterator[Verdict]:
        now = self._context.watermark
        if now is None or entry.at <= now - KEEP * self._spec.timeframe:
            return
        state, entry = self._states[key], self._marked(entry)
        yield from self._settle(state, key, now, closed=True)
        state.window.prune(now)
        state.window.insert(entry, now)
        if self._early is not None:
            self._early.judged(entry, key)
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
        for key, told in self._early.unsettled(now) if self._early is not None else ():
            window = self._states[key].window
            self._states.wake_by(key, now + RETRY)
            yield resolved(
                self._context, self._spec, key, told.at, list(window.current),
                count=window.count, alert=told.id, first=told.first_seen, reason=Reason.WITHDRAWN,
            )  # fmt: skip

    def count_on(self, alert: Alert) -> None:
        if self._early is not None:
            self._early.remember(alert)

    def remember(self, alert: Alert) -> None:
        if self._early is not None:
            self._early.remember(alert)
        if alert.settled is False:
            return
        self._states[alert.key].episodes.remember(alert)
        self._states.wake_by(alert.key, alert.at + self._memory)

    def unmute(self) -> None:
        for _, state in self._states.items():
            state.standing = state.episodes.standing()
            # While it is not muted, a level that is high is either reported or held; so what is not reported is held.
            state.held = state.standing is None and state.window.count >= self._spec.num_events
            if state.moved == _NEVER and self._context.watermark is not None:
                # A level may be over by no post's leaving: by a purge, or an edit of the rule.
                state.moved = self._context.watermark

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
        by, count, open_, window = entry, state.window.count, state.window.open, None
        if completed is not None:
            by, count, window = state.window.completed(completed, self._spec.num_events, entry)
            open_ = state.window.open_of(window)
        if entry.lookback:
            held = Reason.LOOKBACK_ONLY
        elif self._answered(open_, key, at, count):
            held = Reason.ANSWERED
        elif state.episodes.recent(at, self._spec.realert, self._spec.exponential_realert) and not (
            late is None and self._early is not None and self._early.due(key, at)
        ):
            held = Reason.REALERT
        if held is not None and state.held:
            return
        state.held = held is not None
        numbered = (late is None and self.eager) or (self._early is not None and self._early.waits(key))
        window = list(state.window.current) if window is None else window
        event = Event.SUPPRESSED if held else Event.FIRED
        verdict = self._speak(state, key, by, window, count, event, held, late, numbered=numbered)
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
        held = None
        if self._answered(state.window.open_of(window), key, at, count):
            held = Reason.ANSWERED
        elif state.episodes.recent(at, self._spec.realert, self._spec.exponential_realert):
            held = Reason.REALERT
        if held is not None:
            yield self._speak(state, key, by, window, count, Event.SUPPRESSED, held, late)
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

    def _marked(self, entry: Entry) -> Entry:
        """The entry of a post, with the mark that it carries an answer; `value` are its themes before that."""
        if not self._bearing.open:
            return entry
        answers = self._context.answers
        given = answers.carried(entry.story, entry.kinds, entry.value or (), entry.at) if answers else None
        return entry._replace(value=None if given is None else CARRIES)

    def _answered(self, open_: int, key: str, at: datetime, count: int) -> bool:
        """Whether people have answered so much of a window that the rest is too little, and it has not grown since.

        `open_`: its count without what carries an answer.
        """
        answers = self._context.answers
        if not answers:
            return False
        given = answers.of_key(self._bearing, key, at)
        all_given = [given] if given is not None else answers.standing(at) if open_ < self._spec.num_events else []
        return bool(all_given) and not outgrown(all_given, count, people=self._bearing.people)

    def _speak(
        self, state: _State, key: str, by: Entry, window: list[Entry], count: int,
        event: Event, held: Reason | None, late: Entry | None, *, numbered: bool = False,
    ) -> Verdict:  # fmt: skip
        verdict = self._verdict(key, by, window, count, event, held, late)
        if numbered and event is Event.FIRED and self._early is not None:
            verdict = self._early.settle(verdict)
        state.episodes.record(event, verdict.at, verdict.alert_id, verdict.first_seen)
        return verdict

    def _verdict(
        self, key: str, by: Entry, window: list[Entry], count: int,
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
        return spoken(
            self._context, self._spec, key, by, window,
            event=event, reason=reason, count=count, late=late,
        )  # fmt: skip

    def _resolve(
        self, state: _State, key: str, episode: Episode, at: datetime, window: Iterable[Entry], count: int,
        reason: Reason = Reason.BELOW_NUM_EVENTS,
    ) -> Verdict:  # fmt: skip
        state.episodes.record(Event.RESOLVED, at, episode.alert_id, episode.first_seen)
        return resolved(
            self._context, self._spec, key, at, list(window),
            count=count, alert=episode.alert_id, first=episode.first_seen, reason=reason,
        )  # fmt: skip


def _themes(spec: WindowSpec) -> Callable[[Finding], Any] | None:
    return attrgetter("themes") if bearing_of(spec).open else None


TYPE = RuleType(FrequencySpec, Frequency, value=_themes)
