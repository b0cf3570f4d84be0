"""Late posts judged the plain way: each walks through all that is kept. Slow, and what the rules must agree with.

`naive(engine)` makes an engine's judges do so. Windows, alerts and time are still the engine's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from types import MethodType
from typing import Any

from alerts.rules.conditions.episodes import FiringHistory
from alerts.rules.conditions.level import Level
from alerts.rules.conditions.stages import Gauge, State, WindowReading
from alerts.rules.conditions.window import ORDER, Tally
from alerts.rules.engine.engine import Engine
from alerts.rules.entry import Entry
from alerts.rules.types.frequency import Frequency
from alerts.rules.types.new_term import NewTerm
from alerts.rules.verdict import Reason, Verdict
from listener.model.records import Event


def naive(engine: Engine) -> Engine:
    for judge in engine._judges.values():
        if isinstance(judge, Level):
            judge._missed = MethodType(_missed, judge)  # type: ignore[method-assign]
        elif isinstance(judge, Frequency):
            judge.late = MethodType(_frequency_late, judge)  # type: ignore[method-assign]
        elif isinstance(judge, NewTerm):
            judge.late = MethodType(_term_late, judge)  # type: ignore[method-assign]
    return engine


def covered(episodes: FiringHistory, at: datetime, timeframe: Any) -> bool:
    return any(
        episode.at - timeframe < at and (episode.end is None or at < episode.end) for episode in episodes.fired.values()
    ) or any(abs(at - held) < timeframe for held in episodes.held)


# --- levels --------------------------------------------------------------------------------------------------------


def _missed(self: Any, state: State, key: str, late: Entry, now: datetime) -> Iterator[Verdict]:
    start = max(late.at, now - self._kept + self._span)
    rise: tuple[datetime, list[Entry], WindowReading] | None = None
    posts = list(state.stages.posts)
    for at, window, gauge in _instants(self, posts, now):
        reading = gauge.read(self._known(posts[0].at, at))
        if rise is not None and reading.met is not rise[2].met:
            standing = state.standing
            held = state.episodes.recent(rise[0], self._spec.realert, self._spec.exponential_realert)
            said = self._speak(state, key, *rise, Reason.REALERT if held else None, late)
            state.standing = standing
            yield said
            if not held:
                yield self._resolve(state, key, state.episodes.fired[said.alert_id], at, window, reading)
            return
        if rise is not None or reading.met is None or reading.silent or not start <= at < late.at + self._span:
            continue
        live = any(not entry.lookback for entry in window)
        if live and not covered(state.episodes, at, self._spec.timeframe):
            rise = at, window, reading
    if rise is not None and state.standing is None and self._read(state, now).met is rise[2].met:
        why = None
        if all(entry.lookback for entry in state.stages.current):
            why = Reason.LOOKBACK_ONLY
        elif state.episodes.recent(rise[0], self._spec.realert, self._spec.exponential_realert):
            why = Reason.REALERT
        if why is None or not state.held:
            state.met, state.silent, state.held = rise[2].met, rise[2].silent, why is not None
            yield self._speak(state, key, *rise, why, late, numbered=self._waits(key))


def _instants(self: Any, posts: Sequence[Entry], now: datetime) -> Iterator[tuple[datetime, list[Entry], Gauge]]:
    for at in sorted({entry.at + edge for entry in posts for edge in self._edges}):
        if at > now:
            return
        gauge, window = self._gauge(), []
        for entry in posts:
            if at - self._span < entry.at <= at:
                stage = max(n for n, edge in enumerate(self._edges) if entry.at <= at - edge)
                for each in range(stage + 1):
                    gauge.move(entry, each)
                if stage == 0:
                    window.append(entry)
        yield at, window, gauge


# --- windows -------------------------------------------------------------------------------------------------------


def _kept(state: Any) -> list[Entry]:
    return [*state._former, *state.current]


def _came(self: Any, kept: list[Entry], late: Entry) -> Iterator[tuple[Entry, int, list[Entry]]]:
    """Each post from the late one on whose window it is in, with the count and the window that it made."""
    for by in kept:
        if ORDER(by) >= ORDER(late) and by.at < late.at + self._spec.timeframe:
            window = [e for e in kept if by.at - self._spec.timeframe < e.at and ORDER(e) <= ORDER(by)]
            yield by, _count(self, window), window


def _count(self: Any, window: Sequence[Entry]) -> int:
    tally = Tally(self._spec.count_by)
    for entry in window:
        tally.add(entry)
    return tally.count


def _frequency_late(self: Any, entry: Entry, key: str) -> Iterator[Verdict]:
    now, timeframe, least = self._context.watermark, self._spec.timeframe, self._spec.num_events
    if now is None or entry.at <= now - 2 * timeframe:
        return
    state = self._states[key]
    yield from self._settle(state, key, now, closed=True)
    state.window.prune(now)
    state.window.insert(entry, now)
    if self._early is not None:
        self._early.judged(entry, key)
    self._states.wake_at(key, state.window.next_due)
    if self._context.muted:
        return
    high = state.window.count >= least
    if entry.lookback:
        if high and not state.high:
            yield from _rise(self, state, key, entry, list(state.window.current), state.window.count, None)
        return
    kept = _kept(state.window)
    completed = next(
        (c for c in _came(self, kept, entry) if c[1] >= least and not covered(state.episodes, c[0].at, timeframe)),
        None,
    )
    if high and state.standing is None:
        by, count, window = completed or (entry, state.window.count, list(state.window.current))
        yield from _rise(self, state, key, by, window, count, entry)
    elif completed:
        by, count, window = completed
        for at in sorted({e.at for e in kept} | {e.at + timeframe for e in kept}):
            stood = [e for e in kept if at - timeframe < e.at <= at]
            if at > by.at and _count(self, stood) < least:
                break
        if at > now:
            return
        if state.episodes.recent(by.at, self._spec.realert, self._spec.exponential_realert):
            yield self._speak(state, key, by, window, count, Event.SUPPRESSED, Reason.REALERT, entry)
            return
        fired = self._speak(state, key, by, window, count, Event.FIRED, None, entry)
        yield fired
        episode = state.episodes.fired[fired.alert_id]
        yield self._resolve(state, key, episode, at, stood, _count(self, stood))


def _rise(
    self: Any, state: Any, key: str, by: Entry, window: list[Entry], count: int, late: Entry | None
) -> Iterator[Verdict]:
    held = None
    if by.lookback and (late is None or late.lookback):
        held = Reason.LOOKBACK_ONLY
    elif state.episodes.recent(by.at, self._spec.realert, self._spec.exponential_realert):
        held = Reason.REALERT
    if held is None:
        numbered = self._early is not None and self._early.waits(key)
        verdict = self._speak(state, key, by, window, count, Event.FIRED, None, late, numbered=numbered)
        state.standing, state.held = state.episodes.standing(), False
        yield verdict
    elif not state.held:
        state.held = True
        yield self._speak(state, key, by, window, count, Event.SUPPRESSED, held, late)


def _term_late(self: Any, entry: Entry, key: str) -> Iterator[Verdict]:
    now, timeframe = self._context.watermark, self._spec.timeframe
    if now is None or entry.at <= now - 2 * timeframe or self._is_known(key, entry.at):
        return
    window = self._windows[key]
    window.expire(now)
    window.prune(now)
    window.insert(entry, now)
    self._windows.wake_at(key, window.next_due)
    if self._context.muted:
        return
    for by, count, stood in _came(self, _kept(window), entry):
        if count >= self._spec.num_events:
            yield self._report(key, by, stood, count, entry)
            return
