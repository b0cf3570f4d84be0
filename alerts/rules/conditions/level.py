"""A condition that time alone can bring or end: judged at each instant at which a rule's numbers change.

An instant is judged when it is over, so that posts of one instant count together whatever their order. Posts of a key
pass *stages* by their age: they come, and at each of `edges` they move on, say from the current window into the one it
is compared with. A type gives a `Gauge` that follows these moves and reads the condition off; all else is here: rising
and falling, `realert`, posts from before the incident, late posts, gaps, and going on after a restart.

- A condition met by many posts needs a live one in its window; until then it is held (`lookback_only`).
- A condition met by few (`silent`) needs a timeframe that was heard in full. Over a gap it is held (`gap`), and it
  fires when the gap has left the window, if it still stands. A late post can only lift a silence, so it adds none.
- What people have answered is held (`answered`), and what stands under it resolves: until many times as many say it.
- What is held fires at the first instant at which nothing holds it.

After a restart what stands and what is held is read off windows and published alerts alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import takewhile
from typing import cast

from alerts.rules.answers import outgrown
from alerts.rules.bearing import bearing_of
from alerts.rules.conditions.early import Early, RisingGauge
from alerts.rules.conditions.episodes import Episode, memory
from alerts.rules.conditions.keyed import Keyed
from alerts.rules.conditions.stages import Gauge, SlowGauge, State, WindowReading
from alerts.rules.conditions.window import KEEP
from alerts.rules.entry import Entry
from alerts.rules.fields import keys_of, selected
from alerts.rules.judge import RuleContext
from alerts.rules.keys import read_key
from alerts.rules.past import Past
from alerts.rules.report import noticed, resolved, spoken
from alerts.rules.spec import TimeframeSpec
from alerts.rules.verdict import Reason, Verdict
from listener.model.records import Alert, Event, Finding, Origin

SOON = timedelta(microseconds=1)
"""With the next step of the watermark, however small."""


class Level:
    """A judge. `edges` begin with no age at all and end with the spec's span; `over`: the reason it resolves with.

    `seen`: what is said of a key counts from its own first post; else from when the engine began to hear.
    `sticky`: a condition that stands goes on until its numbers end it, though all its posts are forgotten; unless
    there is a reason `forgotten`, with which a key that stands resolves when they have been.
    `once`: a key that has fired is forgotten until it is seen again, and resolves nothing.
    """

    at_once = False
    eager = False

    def __init__(
        self,
        spec: TimeframeSpec,
        context: RuleContext,
        gauge: Callable[[], Gauge],
        *,
        edges: tuple[timedelta, ...],
        over: Reason,
        seen: bool,
        sticky: bool = False,
        once: bool = False,
        forgotten: Reason | None = None,
    ) -> None:
        self._spec = spec
        self._context = context
        self._gauge = gauge
        self._edges = edges
        self._span = edges[-1]
        self._kept = KEEP * self._span
        self._over = over
        self._seen = seen
        self._sticky = sticky
        self._once = once
        self._forgotten = forgotten or over
        self._forgets = forgotten is not None and bool(spec.query_key)
        self._passes = selected(spec.filter, spec.exclude)
        self._keys = keys_of(spec.query_key)
        self._bearing = bearing_of(spec)
        self._memory = self._kept + memory(spec)
        self._states: Keyed[State] = Keyed(lambda: State(self._gauge(), self._edges, self._kept))
        empty = gauge()
        self._slow = len(edges) == 2 and isinstance(empty, SlowGauge)
        self._still = cast("SlowGauge", empty).still() if self._slow else 0.0
        self._sources = frozenset(value.casefold() for value in spec.filter.get("source", ()))
        self._early: Early[RisingGauge] | None = None  # of a type that tells its alarms early

    def keys(self, finding: Finding) -> tuple[str, ...]:
        return self._keys(finding) if self._passes(finding) else ()

    def judge(self, entry: Entry, key: str) -> Iterator[Verdict]:
        state, weight = self._state(key), max(1, entry.weight)
        if self._passes_still(state, entry.at, weight):
            state.stages.add(entry)
            state.still -= weight
            self._states.wake_within(key, state.stages.due or entry.at)
            return
        yield from self._settle(state, key, entry.at, closed=False)
        state.stages.pass_edges(entry.at)
        state.stages.add(entry)
        state.pending, state.still = entry.at, 0.0
        self._states.wake_at(key, entry.at)

    def late(self, entry: Entry, key: str) -> Iterator[Verdict]:
        now = self._context.watermark
        if now is None or entry.at <= now - self._kept:
            return
        state = self._state(key)
        if self._once and any(entry.at <= episode.at for episode in state.episodes.fired.values()):
            return
        yield from self._settle(state, key, now, closed=True)
        state.stages.pass_edges(now)
        state.stages.insert(entry, now)
        state.still = 0.0
        if not self._context.muted:
            if not entry.lookback:
                yield from self._missed(state, key, entry, now)
            yield from self._judge_instant(state, key, now, late=entry)
        self._rest(state, key, now)

    def advance(self) -> Iterator[Verdict]:
        now = self._context.watermark
        if now is None:
            return
        if not self._spec.query_key and not len(self._states):
            # Waked, not put to rest: after a restart the end of the first span may have passed unseen.
            self._state("")
            self._states.wake_at("", now)
        for key, state in self._states.due(now):
            if not self._passes_still(state, now):
                yield from self._settle(state, key, now, closed=True)
            history = state.stages.history
            if history is not None and history.used is not None and history.used <= now - self._kept:
                state.stages.history = None
            if not state.held and not self._context.muted:
                state.episodes.prune(now - self._memory, memory(self._spec))
            self._rest(state, key, now)

    def remember(self, alert: Alert) -> None:
        state = self._state(alert.key)
        state.episodes.remember(alert)
        if self._once and alert.event is Event.FIRED:
            state.episodes.close(alert.id, alert.at)
        self._states.wake_by(alert.key, alert.at + self._memory)

    def unmute(self) -> None:
        now = self._context.watermark
        for key, state in list(self._states.items()):
            episodes = state.episodes
            if self._once and episodes.fired:
                last = max(episode.at for episode in episodes.fired.values())
                left = [entry for entry in state.stages.posts if entry.at > last]
                state.start_over(self._gauge(), self._edges, self._kept)
                for entry in left:
                    state.stages.add(entry)
                if now is not None:
                    state.stages.pass_edges(now)
            state.standing, state.still = episodes.standing(), 0.0
            if now is None:
                continue
            state.held = state.standing is None and episodes.holding() is not None
            reading = self._read(state, now)
            state.met, state.silent = reading.met, reading.silent
            # While it is not muted, what is met is either reported or held; so what is not reported is held.
            state.held = state.met is not None and state.standing is None
            self._rest(state, key, now)

    # --- time ------------------------------------------------------------------------------------------------------

    def _state(self, key: str) -> State:
        new = key not in self._states
        state = self._states[key]
        if new:
            heard, names = self._context.heard, self._spec.query_key
            if heard is not None and not (self._seen and names):
                state.look = heard + self._span
            state.sources, state.still = self._sources, self._still
            if "source" in names and len(parts := read_key(key, names)) == len(names):
                state.sources = frozenset((parts[names.index("source")],))
        return state

    def _passes_still(self, state: State, upto: datetime, coming: float = 0.0) -> bool:
        """Let time pass until `upto`, itself included, where no instant needs to be judged until then, nor the one of a
        post of the weight `coming`: nothing is met, and too little comes and leaves for it to be."""
        if state.still <= coming:
            return False
        moved = state.stages.moving(upto, state.still - coming)
        if moved + coming > state.still:
            return False
        state.still -= moved
        state.stages.pass_edges(upto)
        if state.look is not None and state.look <= upto:
            state.look = None
        return True

    def _settle(self, state: State, key: str, upto: datetime, *, closed: bool) -> Iterator[Verdict]:
        """Let time pass until `upto` (itself included: `closed`), and judge each instant that is over."""
        judged: datetime | None = None
        while True:
            due, pending = self._due(state, key, judged), state.pending
            if pending is not None and (due is None or due > pending):
                if pending > upto or (pending == upto and not closed):
                    return
                state.pending, judged = None, pending
                yield from self._judge_instant(state, key, pending)
                continue
            if due is None or due > upto or (due == upto and not closed):
                return
            state.stages.pass_edges(due)
            if state.look is not None and state.look <= due:
                state.look = None
            state.pending = due

    def _due(self, state: State, key: str, judged: datetime | None = None) -> datetime | None:
        """The next instant at which something changes, or at which nothing holds any more what is held.

        `judged`: an instant that is done with.
        """
        release = self._released(state, key) if state.held and not self._context.muted else None
        if release is not None and (release == judged or (state.pending is not None and release <= state.pending)):
            release = None
        return min((at for at in (state.stages.due, state.look, release) if at is not None), default=None)

    def _rest(self, state: State, key: str, now: datetime) -> None:
        """Set when the key is looked at next; forget it when nothing of it is left."""
        if state.look is not None and state.look <= now:
            state.look = None
        due = self._due(state, key)
        if state.held and self._released(state, key) is None:
            due = now + SOON  # nobody knows when the gap will end, or whether an answer is taken back
        elif due is None and (state.standing is not None or not self._spec.query_key):
            due = now + self._span
        elif due is None and (newest := state.episodes.newest) is not None:
            due = newest + self._memory
            if due <= now:
                due = now + SOON if self._context.muted else None
        self._states.wake_at(key, due)

    def _released(self, state: State, key: str) -> datetime | None:
        """The first instant since it was held at which nothing holds it; None: a post must come, or a person's word."""
        at = state.episodes.last_held
        if at is None or state.met is None:
            return None
        if not state.silent and state.stages.all_lookback:
            return None
        number = self._read(state, at).number if self._context.answers else 0
        while True:
            until = state.episodes.quiet_until(at, self._spec.realert, self._spec.exponential_realert) or at
            if state.silent:
                for gap in self._unheard(state, at):
                    if gap is None:
                        return None
                    until = max(until, gap)
            if not state.silent and self._answered(key, at, number):
                changed = self._context.answers.next_word(self._bearing, key, at)
                if changed is None:
                    return None
                until = max(until, changed)
            elif not state.silent and until <= at == state.episodes.last_held and self._context.answers:
                return None  # it has grown: by a post, whose own instant is judged
            if until <= at:
                return at
            at = until

    def _unheard(self, state: State, at: datetime) -> list[datetime | None]:
        """Until when each gap keeps a window that ends at `at` from being heard in full; None: it is open."""
        window = self._spec.timeframe
        out = [gap.end + window if gap.end else None for gap in self._context.unheard(at - window, at, state.sources)]
        heard = self._context.heard
        return [*out, heard + window] if heard is not None and at - window < heard else out

    # --- judging ---------------------------------------------------------------------------------------------------

    def _read(self, state: State, at: datetime) -> WindowReading:
        known = self._known(state.stages.oldest, at)
        if not known and self._sticky and not (self._forgets and state.stages.oldest is None):
            # That it is held is no proof for a key that is forgotten: no alert says that what was held has passed.
            known = state.standing is not None or (state.held and not self._forgets)
        return state.gauge.read(known)

    def _known(self, oldest: datetime | None, at: datetime) -> bool:
        edge = at - self._span
        if oldest is not None and oldest <= edge:
            return True
        heard = None if self._seen and self._spec.query_key else self._context.heard
        return heard is not None and heard <= edge

    def _judge_instant(self, state: State, key: str, at: datetime, late: Entry | None = None) -> Iterator[Verdict]:
        state.still = 0.0
        if self._context.muted:
            return
        reading = self._read(state, at)
        answered = reading.met is not None and not reading.silent and self._answered(key, at, reading.number)
        if answered and state.standing is not None and reading.met is state.met:
            stood, state.standing, state.held = state.standing, None, False
            window = list(state.stages.current)
            yield self._resolve(state, key, stood, at, window, reading, Reason.ANSWERED_OVER)
        if reading.met is not state.met:
            standing, state.standing, state.held = state.standing, None, False
            state.met, state.silent = reading.met, reading.silent
            if standing is not None:
                reason = self._over if state.stages.oldest else self._forgotten
                yield self._resolve(state, key, standing, at, list(state.stages.current), reading, reason)
        if reading.met is None or state.standing is not None:
            if self._slow and state.standing is None and late is None:
                state.still = cast("SlowGauge", state.gauge).still()
            return
        silent, numbered = reading.silent, (late is None and self.eager) or self._waits(key)
        why = Reason.ANSWERED if answered else self._why_held(state, key, at, silent=silent, late=late is not None)
        if why is not None and state.held:
            return
        state.held = why is not None
        yield self._speak(state, key, at, list(state.stages.current), reading, why, late, numbered=numbered)

    def _waits(self, key: str) -> bool:
        """Whether an alarm was told early and is not settled."""
        return self._early is not None and self._early.waits(key)

    def _why_held(self, state: State, key: str, at: datetime, *, silent: bool, late: bool) -> Reason | None:
        if silent and self._context.unheard(at - self._spec.timeframe, at, state.sources):
            return Reason.GAP
        if silent and self._unheard(state, at):
            return Reason.LOOKBACK_ONLY
        if not silent and state.stages.all_lookback:
            return Reason.LOOKBACK_ONLY
        if state.episodes.recent(at, self._spec.realert, self._spec.exponential_realert):
            due = not late and self._early is not None and self._early.due(key, at)
            return None if due else Reason.REALERT
        return None

    def _answered(self, key: str, at: datetime, number: int) -> bool:
        """Whether people have answered what is under the key, and it has not grown many times over since."""
        if not self._context.answers:
            return False
        given = self._context.answers.of_key(self._bearing, key, at)
        return given is not None and not outgrown([given], number, people=self._bearing.people)

    # --- late posts ------------------------------------------------------------------------------------------------

    def _missed(self, state: State, key: str, late: Entry, now: datetime) -> Iterator[Verdict]:
        """A condition of the past that the late post completes and nobody was alerted to; reported with its end."""
        history = self._history(state, now)
        at = None if history is None else self._completed(state, history, late, now)
        if history is None or at is None:
            return
        end = self._over_at(state, history, at)
        if end is not None and end <= now:
            yield from self._passed(state, key, late, at, end)
            return
        reading = self._read(state, now)
        if state.standing is None and reading.met is not None and not reading.silent:
            window, stood = self._stood(state, at)
            answered = self._answered(key, at, stood.number)
            why = Reason.ANSWERED if answered else self._why_held(state, key, at, silent=False, late=True)
            if why is None or not state.held:
                state.met, state.silent, state.held = reading.met, False, why is not None
                yield self._speak(state, key, at, window, stood, why, late, numbered=self._waits(key))

    def _history(self, state: State, now: datetime) -> Past | None:
        """How the condition stood, for all posts that are kept."""
        stages = state.stages
        if stages.history is None:
            stages.history = self._gauge().past(self._edges)
            if stages.history is None:
                return None
            for entry in stages.posts:
                stages.history.add(entry)
        stages.history.used = now
        stages.history.prune(now - self._kept)
        return stages.history

    def _completed(self, state: State, history: Past, late: Entry, now: datetime) -> datetime | None:
        """The first instant that the late post changes, at which the condition was met and nobody was alerted to it."""
        at, end = max(late.at, now - self._kept + self._span), min(late.at + self._span, now + datetime.resolution)
        if history.known:
            known = self._known_from(state)
            if known is None:
                return None
            at = max(at, known)
        while at < end:
            met = history.may_be_met(at)
            if met is None or met >= end:
                return None
            change = state.stages.next_change(met)
            if change is None or change >= end:
                return None
            if change > met:
                at = change
                continue
            if history.live is not None:
                live = history.live.steps.above(change, history.live.may)
                if live is None:
                    return None
                if live > change:
                    at = live
                    continue
            covered = state.episodes.covered_until(change, self._spec.timeframe)
            if covered is not None:
                at = covered
            elif history.exact is None or history.exact(change):
                return change
            else:
                at = change + datetime.resolution
        return None

    @staticmethod
    def _over_at(state: State, history: Past, met: datetime) -> datetime | None:
        """The first instant after `met` at which the condition is not met."""
        at: datetime | None = met + datetime.resolution
        while at is not None:
            at = history.may_be_over(at)
            if at is None or history.exact is None:
                return at
            at = state.stages.next_change(at)
            if at is None or not history.exact(at):
                return at
            at += datetime.resolution
        return None

    def _known_from(self, state: State) -> datetime | None:
        """From when on all of the span was heard, or the key had been seen before it."""
        oldest = state.stages.oldest
        heard = None if self._seen and self._spec.query_key else self._context.heard
        since = min((at for at in (oldest, heard) if at is not None), default=None)
        return None if since is None else since + self._span

    def _stood(self, state: State, at: datetime) -> tuple[list[Entry], WindowReading]:
        """The current window and the numbers as they stood at an instant."""
        gauge = self._gauge()
        window = state.stages.stood(at, gauge)
        return window, gauge.read(self._known(state.stages.oldest, at))

    def _passed(self, state: State, key: str, late: Entry, at: datetime, end: datetime) -> Iterator[Verdict]:
        standing = state.standing
        window, stood = self._stood(state, at)
        held = None
        if self._answered(key, at, stood.number):
            held = Reason.ANSWERED
        elif state.episodes.recent(at, self._spec.realert, self._spec.exponential_realert):
            held = Reason.REALERT
        said = self._speak(state, key, at, window, stood, held, late)
        state.standing = standing
        yield said
        if held is None:
            episode = state.episodes.fired[said.alert_id]
            yield self._resolve(state, key, episode, end, *self._stood(state, end))

    def _speak(
        self, state: State, key: str, at: datetime, window: list[Entry], reading: WindowReading, held: Reason | None,
        late: Entry | None, *, numbered: bool = False,
    ) -> Verdict:  # fmt: skip
        verdict = self._verdict(key, at, window, reading, held, late)
        event = verdict.event
        if numbered and event is Event.FIRED and self._early is not None:
            verdict = self._early.settle(verdict)
        state.episodes.record(event, at, verdict.alert_id, verdict.first_seen)
        if event is Event.FIRED and self._once:
            state.episodes.close(verdict.alert_id, at)
            state.start_over(self._gauge(), self._edges, self._kept)
            state.met, state.held = None, False
        elif event is Event.FIRED:
            state.standing = state.episodes.fired[verdict.alert_id]
        return verdict

    def _verdict(
        self, key: str, at: datetime, window: list[Entry], reading: WindowReading, held: Reason | None,
        late: Entry | None,
    ) -> Verdict:  # fmt: skip
        event = Event.FIRED if held is None else Event.SUPPRESSED
        came = takewhile(lambda entry: entry.at == at, reversed(window))
        by = None if reading.silent else next((entry for entry in came if not entry.lookback), None)
        found_late = late is not None or (by is not None and by.origin is Origin.GAP_FILL)
        reason = held or (Reason.HEARD_LATE if found_late else reading.met) or self._over
        if by is not None:
            return spoken(
                self._context, self._spec, key, by, window,
                event=event, reason=reason, count=reading.number, baseline=reading.baseline, late=late,
            )  # fmt: skip
        since = window[0].at if window and not reading.silent else at - self._spec.timeframe
        return noticed(
            self._context, self._spec, key, at, window,
            event=event, reason=reason, count=reading.number, baseline=reading.baseline, since=since, late=late,
        )  # fmt: skip

    def _resolve(
        self, state: State, key: str, episode: Episode, at: datetime, window: list[Entry], reading: WindowReading,
        reason: Reason | None = None,
    ) -> Verdict:  # fmt: skip
        state.episodes.record(Event.RESOLVED, at, episode.alert_id, episode.first_seen)
        return resolved(
            self._context, self._spec, key, at, window, count=reading.number, alert=episode.alert_id,
            first=episode.first_seen, reason=reason or self._over, baseline=reading.baseline,
        )  # fmt: skip
