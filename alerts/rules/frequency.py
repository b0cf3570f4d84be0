"""`frequency`: at least `num_events` within `timeframe`, for each key; counted as posts, authors or stories.

A level and not a match: it fires when the count reaches `num_events`, and resolves when it has fallen below. A rise
within `realert` of the last alarm is held, and fires at the first post after `realert` if the level still stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from alerts.rules.episodes import Episode, Episodes
from alerts.rules.fields import keys_of, test_of
from alerts.rules.judge import Scene
from alerts.rules.keyed import RETRY, Keyed
from alerts.rules.repeats import memory
from alerts.rules.spec import CountBy, RuleType, WindowSpec
from alerts.rules.verdict import Reason, Verdict, resolved, spoken
from alerts.rules.window import KEEP, ORDER, Entry, Window
from listener.records import Alert, Event, Finding, Origin

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True)
class _State:
    """`moved`: the last instant at which a post left the window. `held`: high, but not fired."""

    window: Window
    episodes: Episodes = field(default_factory=Episodes)
    standing: Episode | None = None
    held: bool = False
    moved: datetime = _NEVER

    @property
    def high(self) -> bool:
        return self.held or self.standing is not None


class Frequency:
    at_once = False

    def __init__(self, spec: WindowSpec, scene: Scene) -> None:
        self._spec = spec
        self._scene = scene
        self._passes = test_of(spec.filter)
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
        window.forget(entry.at)
        window.add(entry)
        reached = window.count >= self._spec.num_events
        # A level that falls at this very instant may be lifted by its next post: look again when the instant is over.
        self._states.wake_at(key, entry.at if state.high and not reached else window.next_due)
        if reached and not self._scene.muted and state.standing is None:
            yield from self._rise(state, key, entry, list(window.current), window.count)

    def late(self, entry: Entry, key: str) -> Iterator[Verdict]:
        now = self._scene.watermark
        if now is None or entry.at <= now - KEEP * self._spec.timeframe:
            return
        state = self._states[key]
        yield from self._settle(state, key, now, closed=True)
        state.window.forget(now)
        state.window.insert(entry, now)
        self._states.wake_at(key, state.window.next_due)
        if self._scene.muted:
            return
        high = state.window.count >= self._spec.num_events
        if entry.lookback:
            if high and not state.high:
                yield from self._rise(state, key, entry, list(state.window.current), state.window.count)
            return
        completed = self._completed(state, entry)
        if high and state.standing is None:
            by, count = completed or (entry, state.window.count)
            window = self._until(state, by) if completed else list(state.window.current)
            yield from self._rise(state, key, by, window, count, late=entry)
        elif completed:
            yield from self._passed(state, key, completed, entry)

    def advance(self) -> Iterator[Verdict]:
        now = self._scene.watermark
        if now is None:
            return
        for key, state in self._states.due(now):
            yield from self._settle(state, key, now, closed=True)
            state.window.forget(now)
            due = state.window.next_due
            if due is None:
                state.episodes.prune(now - self._memory, memory(self._spec))
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
            # While it is not muted, a level that is high is either told or held; so what is not told is held.
            state.held = state.standing is None and state.window.count >= self._spec.num_events

    def _settle(self, state: _State, key: str, upto: datetime, *, closed: bool) -> Iterator[Verdict]:
        """Let time pass until `upto` (itself included: `closed`), and tell when the level fell on the way."""
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
        self, state: _State, key: str, by: Entry, window: list[Entry], count: int, late: Entry | None = None
    ) -> Iterator[Verdict]:
        held = None
        if by.lookback and (late is None or late.lookback):
            held = Reason.LOOKBACK_ONLY
        elif state.episodes.recent(by.at, self._spec.realert, self._spec.exponential_realert):
            held = Reason.REALERT
        if held is None:
            verdict = self._speak(state, key, by, window, count, Event.FIRED, None, late)
            state.standing, state.held = state.episodes.standing(), False
            yield verdict
        elif not state.held:
            state.held = True
            yield self._speak(state, key, by, window, count, Event.SUPPRESSED, held, late)

    def _fall(self, state: _State, key: str) -> Iterator[Verdict]:
        standing, state.standing, state.held = state.standing, None, False
        if standing is not None:
            yield self._resolve(state, key, standing, state.moved, list(state.window.current), state.window.count)

    def _passed(self, state: _State, key: str, completed: tuple[Entry, int], late: Entry) -> Iterator[Verdict]:
        """A level that was reached in the past, and is over or was told of since."""
        by, count = completed
        steps = state.window.steps(by.at - self._spec.timeframe)
        fell = next((s for s in steps if s.at > by.at and s.level < self._spec.num_events), None)
        now = self._scene.watermark
        if fell is None or now is None or fell.at > now:
            return  # it joins the level that stands, of which somebody knows
        window = self._until(state, by)
        if state.episodes.recent(by.at, self._spec.realert, self._spec.exponential_realert):
            yield self._speak(state, key, by, window, count, Event.SUPPRESSED, Reason.REALERT, late)
            return
        fired = self._speak(state, key, by, window, count, Event.FIRED, None, late)
        yield fired
        episode = state.episodes.fired[fired.alert_id]
        yield self._resolve(state, key, episode, fell.at, state.window.at(fell.at), fell.level)

    def _completed(self, state: _State, late: Entry) -> tuple[Entry, int] | None:
        """The first post whose window the late one completes and nobody was told of, with its count."""
        timeframe = self._spec.timeframe
        for step in state.window.steps(late.at - timeframe):
            if step.at >= late.at + timeframe:
                break
            for entry, count in step.came:
                reached = count >= self._spec.num_events and ORDER(entry) >= ORDER(late)
                if reached and not state.episodes.covers(entry.at, timeframe):
                    return entry, count
        return None

    def _until(self, state: _State, by: Entry) -> list[Entry]:
        return [entry for entry in state.window.at(by.at) if ORDER(entry) <= ORDER(by)]

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
            self._scene, self._spec, key, by, window,
            event=event, reason=reason, count=count, late=late,
        )  # fmt: skip
        state.episodes.tell(event, verdict.at, verdict.alert_id, verdict.first_seen)
        return verdict

    def _resolve(
        self, state: _State, key: str, episode: Episode, at: datetime, window: Iterable[Entry], count: int
    ) -> Verdict:
        state.episodes.tell(Event.RESOLVED, at, episode.alert_id, episode.first_seen)
        return resolved(
            self._scene, self._spec, key, at, list(window),
            count=count, alert=episode.alert_id, first=episode.first_seen,
        )  # fmt: skip


TYPE = RuleType(WindowSpec, Frequency)
