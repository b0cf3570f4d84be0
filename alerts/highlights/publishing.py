"""The worker `publish`: holds what is to be held, and publishes what is due, each highlight at most once.

An intent is written down before anything is sent, and the outcome after it. Between the two it is looked whether the
intent counts (another process, or a person, may have been first), and, when the connection to X stands and nothing was
sent yet, whether it still is calm. An intent without an outcome may have been published: it is never sent again by
itself, but looked for among what the account published, and then left to a person.

It shares nothing with whoever listens: its keys, its sessions and its thread are its own. One process at a time
publishes, by a lease; that two never send one highlight follows from the log alone.
"""

from __future__ import annotations

import logging
import secrets
from collections import Counter
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from alerts.highlights.contract import Account, NotSent, Refused, Unsure
from alerts.highlights.followed import FollowedHighlights
from alerts.highlights.plan import SENDING_SECONDS, Schedule, crisis_since, plan, standing
from alerts.highlights.state import HighlightState, Refusal, Stage
from alerts.highlights.text import BY
from listener.bus import hashchain
from listener.bus.protocol import Bus, Lease
from listener.clock import Clock, SteadyClock
from listener.crashpoints import point
from listener.errors import BusError, ConfigError
from listener.model.decisions import DECISIONS
from listener.model.highlights import HighlightStep, Step, Why
from listener.model.incidents import State
from listener.model.roles import PUBLISH
from listener.runtime.control import Control
from listener.runtime.health import Part
from listener.runtime.logs import Outage, reason_of
from listener.runtime.metrics import Metrics
from listener.runtime.ops_alerts import OpsAlerts
from listener.runtime.presence import PresenceReporter

log = logging.getLogger(__name__)

LEASE_SECONDS: Final = 5.0
TURN_SECONDS: Final = 0.2
"""How long a turn waits for news."""
SHOW_SECONDS: Final = 15.0
"""Times pass, and with them what is late."""
LOOK_AFTER: Final = (5.0, 120.0, 600.0)
"""Seconds after which it is looked whether X has what may have been published: it may be slow to show it."""
PAUSES: Final = (30.0, 60.0, 120.0, 300.0, 900.0)
"""Seconds until X is tried again that could not be reached."""
LIMITED: Final = timedelta(minutes=15)
"""Until it is tried again where X says that it is too much, and not for how long."""
TOLD_FOR: Final = timedelta(days=7)
"""So old may a question to a person be whose end is told once more after a restart."""


class Publishing:
    """`process`: the name of this one, which no other has and the next one on its folder will have again. `reporter` is
    asked for the mode at every turn; before a send the bus itself is."""

    name = PUBLISH

    def __init__(
        self,
        bus: Bus,
        account: Account,
        schedule: Schedule,
        *,
        process: str,
        reporter: PresenceReporter,
        lease: Lease,
        clock: Clock,
        metrics: Metrics,
        part: Part,
        ops: OpsAlerts | None = None,
    ) -> None:
        self._bus = bus
        self._account = account
        self._schedule = schedule
        self._process = process
        self._reporter = reporter
        self._lease = lease
        self._leads = False
        self._renew_at = clock.monotonic()
        self._clock = clock
        self._time = SteadyClock(clock)
        self._metrics = metrics
        self._part = part
        self._ops = ops or OpsAlerts.load()
        self._followed = FollowedHighlights(bus, part.beat)
        self._control = Control(bus)
        self._unwritten: list[HighlightStep] = []
        """Outcomes that the bus has not taken yet."""
        self._seen_at: dict[str, float] = {}
        """Intent → since when, on the monotonic clock, it is known here that nobody knows what became of it."""
        self._looks: dict[str, int] = {}
        self._told: dict[str, tuple[datetime, bool]] = {}
        """Highlight → since when a person is asked about it, and whether that is over."""
        self._refusal: Refusal | None = None
        self._told_of = -1
        self._shown: tuple[int, int, float] = (-1, -2, float("-inf"))
        self._no_keys = Outage("publishing highlights", clock)

    def step(self, timeout: float) -> bool:
        """One turn: at most one highlight is sent. Raises Corrupt when the chain of decisions is broken."""
        self._part.beat()
        try:
            moved = self._turn(min(timeout, TURN_SECONDS))
        except BusError as error:
            self._part.problem(str(error))
            return False
        self._part.problem(None)
        return moved

    def close(self) -> None:
        with suppress(BusError):
            self._write_outcomes()
            if self._leads:
                self._lease.release()
        self._followed.close()

    # --- one turn ----------------------------------------------------------------------------------------------

    def _turn(self, timeout: float) -> bool:
        highlights = self._followed.read(timeout)
        if self._write_outcomes():
            highlights = self._followed.read()
        now, control = self._time.now(), self._reporter.state
        self._show(control, now)
        if not self._lead():
            return False
        self._tell(now)
        found = plan(highlights, control, self._schedule, now)
        if found.holds:
            hashchain.append_all(
                self._bus, DECISIONS.name, [self._made(its, Step.HELD, why=why) for its, why in found.holds]
            )
            log.info("highlights: %d held", len(found.holds))
            return True
        if self._give_up(now) or self._look(now):
            return True
        return found.due is not None and self._send(found.due)

    def _lead(self) -> bool:
        now = self._clock.monotonic()
        if not self._leads or now >= self._renew_at:
            self._leads, self._renew_at = self._lease.renew(), now + LEASE_SECONDS / 5
        return self._leads

    def _send(self, its: HighlightState) -> bool:
        try:
            self._account.ready()
        except ConfigError as error:
            self._no_keys.lasts(str(error))
            return False
        self._no_keys.look()
        intent = secrets.token_hex(8)
        hashchain.append(self._bus, DECISIONS.name, self._made(its, Step.SENDING, intent=intent))
        point("highlights.after_intent")
        try:
            # In the order of the log: whoever was before us, a person or another process, has changed it.
            mine = self._followed.read().states[its.id]
            if mine.stage is not Stage.SENDING or mine.intent != intent:
                return True
            outcome = self._sent(mine)
        except BusError:
            # Nothing was sent: only what can be known for certain is.
            outcome = self._made(its, Step.NOT_SENT, why=Why.STOPPED, intent=intent, revision=its.revision + 1)
        point("highlights.after_send")
        self._unwritten.append(outcome)
        self._metrics.highlight_sends.labels(outcome.why or outcome.step).inc()
        log.info("highlights: %s: %s", its.id, outcome.why or outcome.step)
        self._write_outcomes()
        return True

    def _sent(self, its: HighlightState) -> HighlightStep:
        """Publish it; what came of it. Raises BusError where nothing was sent for want of the bus."""

        def gate() -> None:
            if crisis_since(self._control.refresh(), its.epoch) is not None:
                raise NotSent(Why.CRISIS)

        try:
            gate()
            post = self._account.publish(its.text, gate)
        except NotSent as error:
            return self._made(its, Step.NOT_SENT, why=error.why, until=self._again(error, its))
        except BusError:
            raise
        except Unsure:
            return self._made(its, Step.UNKNOWN)
        except Exception as error:
            # Whatever is wrong with us, it may have been published.
            log.error("highlights: %s: %s; report it", its.id, reason_of(error))
            return self._made(its, Step.UNKNOWN)
        return self._made(its, Step.PUBLISHED, post=post)

    def _again(self, error: NotSent, its: HighlightState) -> datetime | None:
        if error.why is Why.RATE_LIMITED:
            return self._time.now() + (error.wait or LIMITED)
        if error.why is Why.NETWORK:
            return self._time.now() + timedelta(seconds=PAUSES[min(its.tries, len(PAUSES) - 1)])
        return None

    def _made(
        self,
        its: HighlightState,
        step: Step,
        *,
        why: Why | None = None,
        intent: str = "",
        post: str = "",
        until: datetime | None = None,
        revision: int | None = None,
    ) -> HighlightStep:
        if step is not Step.HELD:
            intent = intent or its.intent
        return HighlightStep(
            id=its.id,
            at=self._time.now(),
            by=BY,
            revision=its.revision if revision is None else revision,
            step=step,
            why=why,
            intent=intent,
            process=self._process if step is Step.SENDING else "",
            post=post,
            until=until,
        )

    def _write_outcomes(self) -> bool:
        """Raises BusError: then they are written at a later turn, before anything else is done."""
        written = bool(self._unwritten)
        while self._unwritten:
            hashchain.append(self._bus, DECISIONS.name, self._unwritten[0])
            del self._unwritten[0]
        return written

    # --- what may have been published ---------------------------------------------------------------------------

    def _give_up(self, now: datetime) -> bool:
        """An intent whose process is gone has no outcome, and gets none: what became of it nobody knows."""
        since = self._clock.monotonic()
        orphans = [its for its in self._followed.highlights.waiting.values() if its.stage is Stage.SENDING]
        for its in orphans:
            # What this process begins it ends before it turns again: an intent of its own is its predecessor's.
            ours = its.sender == self._process
            if ours or since - self._seen_at.setdefault(its.intent, since) >= SENDING_SECONDS:
                hashchain.append(self._bus, DECISIONS.name, self._made(its, Step.UNKNOWN))
                log.warning("highlights: %s may have been published; it is looked for", its.id)
                return True
        return False

    def _look(self, now: datetime) -> bool:
        clock = self._clock.monotonic()
        for its in self._followed.highlights.waiting.values():
            if its.stage is not Stage.UNSURE or its.looked:
                continue
            count = self._looks.setdefault(its.intent, 0)
            if count == 0:
                self._seen_at[its.intent] = min(clock, self._seen_at.get(its.intent, clock))
            if clock - self._seen_at[its.intent] < LOOK_AFTER[count]:
                continue
            known = {each.post for each in self._followed.highlights.states.values() if each.post}
            self._part.beat()  # to ask may take as long as a whole turn
            try:
                found = self._account.find(its.text, its.proposal.link, its.sent_at or now, known)
            except (Refused, ConfigError):
                found = None
            self._looks[its.intent] = count + 1
            if found is not None:
                self._unwritten.append(self._made(its, Step.PUBLISHED, post=found))
                self._metrics.highlight_sends.labels(Step.PUBLISHED).inc()
            elif count + 1 == len(LOOK_AFTER):
                self._unwritten.append(self._made(its, Step.NOT_FOUND))
            return self._write_outcomes() or True
        return False

    # --- what is shown and told ---------------------------------------------------------------------------------

    def _show(self, control: State, now: datetime) -> None:
        taken, epoch, at = self._shown
        clock = self._clock.monotonic()
        if (taken, epoch) == (self._followed.highlights.taken, control.epoch) and clock - at < SHOW_SECONDS:
            return
        self._shown = self._followed.highlights.taken, control.epoch, clock
        states = self._followed.highlights.states.values()
        counted = Counter(standing(its, control, self._schedule, now).stage for its in states)
        for stage in Stage:
            if stage is not Stage.DROPPED:
                self._metrics.highlights.labels(stage).set(counted[stage])

    def _tell(self, now: datetime) -> None:
        """Ops hear that X does not let us publish, and that somebody must look whether something was published; of
        each that it is over too. An alert that is there already is the same."""
        if self._told_of == self._followed.highlights.taken:
            return
        refusal, messages = self._followed.highlights.refusal, []
        if refusal is not None and refusal != self._refusal:
            over = refusal.over is not None
            messages.append(self._ops.message("highlights_refused", "X", refusal.since, refusal.over or now, over=over))
        for its in self._followed.highlights.states.values():
            if its.asked_since is None:
                continue
            over = its.stage is not Stage.UNSURE
            if self._told.get(its.id) != (its.asked_since, over):
                if its.id in self._told or now - its.asked_since < TOLD_FOR:
                    messages.append(self._ops.message("highlight_unsure", its.id, its.asked_since, now, over=over))
                self._told[its.id] = its.asked_since, over
        if messages:
            self._bus.publish(messages)
        self._refusal, self._told_of = refusal, self._followed.highlights.taken
