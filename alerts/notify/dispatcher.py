"""The dispatcher: reads what fired and who answered, plans (`alerts.notify.escalation`), writes each intent down before
the send and its outcome after it. One process at a time does so, by a lease; a successor reads the same log.

Everything that it needs to know lies on the bus. At start, and whenever it takes over, it reads `alerts`, `decisions`
and `deliveries` to their ends before it sends anything; the chains of the last two are verified as they are read, and
a broken one stops it with `Corrupt`.
"""

from __future__ import annotations

import functools
import logging
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta

from alerts.notify import canary, card, incident_alerts
from alerts.notify import duplicates as doubles
from alerts.notify.cards import Cards
from alerts.notify.channels.contract import (
    DEFECTS,
    Channel,
    ChannelError,
    Deliver,
    FailureReason,
    SendNote,
    takes_documents,
    wakes_by,
)
from alerts.notify.counts import DispatchMetrics
from alerts.notify.delivery_faults import DeliveryFaults
from alerts.notify.duty import DutyFollower
from alerts.notify.escalation import BegunStep, Escalation
from alerts.notify.journal import Journal
from alerts.notify.links import Links
from alerts.notify.messages import Messages
from alerts.notify.notices_due import NoticePlan
from alerts.notify.plan import Trouble
from alerts.notify.recipients import People
from alerts.notify.reports import Reports
from alerts.notify.sender import LIMIT_SECONDS, WORKERS, Capacity, Prepare, Result, SenderPool
from alerts.notify.sends import Send, Sends
from alerts.notify.silence_ended import silence_ended
from alerts.notify.state import TOPICS, AlertBook, AlertState, read
from listener.bus import hashchain
from listener.bus.deadletters import dead_letter
from listener.bus.messages import message
from listener.bus.protocol import Bus, Record
from listener.bus.scan import drain
from listener.clock import Clock, SteadyClock
from listener.crashpoints import point
from listener.errors import BusError
from listener.model.decisions import AboutDuty
from listener.model.deliveries import Delivery, Outcome, Page
from listener.model.incidents import State
from listener.model.records import ALERTS, BadRecord, Decision, DecisionKind
from listener.model.roles import DISPATCH
from listener.runtime.control import Control
from listener.runtime.health import Part
from listener.runtime.metrics import Metrics
from listener.runtime.ops_alerts import OpsAlerts
from listener.runtime.presence import PresenceReporter
from listener.units import from_ms

log = logging.getLogger(__name__)

LEASE_SECONDS = 5.0
DRAIN_SECONDS = 3.0
TURN_SECONDS = 0.05
"""How long a turn waits for what becomes of sends that are under way."""

DOUBLES_WAIT = timedelta(seconds=1)
"""While several incidents are open, a new alert waits so long for the same word of the others, to name them all."""

FOLLOW_SECONDS = 1.0
"""What follows from the time alone, such as that a review is due, is looked at so often."""

READ_AT_ONCE = 5000
"""Records: to read is cheap, to plan is not, and in a storm one plan for many does."""
PAGES_A_TURN = 500
"""In a storm the first pages leave before the last are written down."""
MAX_ROUNDS = 100
"""So many times in a turn what was written down may make more follow."""


class Dispatcher:
    """`holder` names this process at the lease: the same name after a restart takes over at once. `reporter` is asked
    for the mode where the process has one: to ask the bus at every turn would be dear on Kafka."""

    name = DISPATCH

    def __init__(
        self,
        bus: Bus,
        people: People,
        messages: Messages,
        channels: Mapping[str, Channel],
        *,
        clock: Clock,
        metrics: Metrics,
        part: Part,
        holder: str,
        texts: card.Texts | None = None,
        workers: int = WORKERS,
        send_limit: float = LIMIT_SECONDS,
        reporter: PresenceReporter | None = None,
        ops: OpsAlerts | None = None,
        senders: SenderPool | None = None,
        faults: DeliveryFaults | None = None,
        trips: canary.RoundTrips | None = None,
        languages: Mapping[str, Messages] | None = None,
        duty: DutyFollower | None = None,
        links: Links | None = None,
        reports: Reports | None = None,
    ) -> None:
        self._bus = bus
        self._words = messages, languages or {}, texts, links
        self._make_report = reports.make if reports else None
        self._clock = clock
        self._time = SteadyClock(clock)
        self._metrics = metrics
        self._part = part
        self._senders = senders or SenderPool(channels, clock, workers=workers, limit=send_limit)
        self._reporter = reporter
        self._control = Control(bus) if reporter is None else None
        self._book = AlertBook()
        self._channels = dict(channels)
        self._counts = DispatchMetrics(metrics, clock.now())
        self._journal = Journal(clock.now())
        self._whole: set[BegunStep] = set()
        self._go_by(people)
        self._duty = duty
        self._wake_at: datetime | None = None
        self._unfollowed = True
        self._follow_at = clock.monotonic()
        self._mode_seen: State | None = None
        self._chain = hashchain.Chain()
        self._reader = bus.reader(TOPICS)
        self._lease = bus.lease(self.name, holder, LEASE_SECONDS)
        self._leads = False
        self._renew_at = clock.monotonic()
        self._flying: dict[str, Send] = {}
        self._unwritten: list[Delivery] = []
        self._bad: list[tuple[Record, BadRecord]] = []
        ops = ops or OpsAlerts.load()
        self._faults = faults or DeliveryFaults(bus, ops)
        self._incidents = incident_alerts.IncidentAlerts(bus, ops, reports.every if reports else None)
        self.trips = trips or canary.RoundTrips(None, clock=clock, metrics=metrics)
        """How canaries fare."""

    def step(self, timeout: float) -> bool:
        """One turn, waiting at most `timeout` seconds for news. Raises Corrupt when a chain is broken."""
        self._part.beat()
        try:
            moved = self._turn(timeout)
        except BusError as error:
            self._part.problem(str(error))
            self._collect(min(timeout, 1.0))
            return False
        self._part.problem(self._complaint())
        return moved

    @property
    def people(self) -> People:
        """people.yaml as it is in force, with swaps and calendars."""
        return self._people

    @property
    def leads(self) -> bool:
        """Whether this process sends the alerts."""
        return self._leads

    def close(self) -> None:
        """Wait a little for sends under way. What does not come back is repeated, marked."""
        with suppress(BusError):
            for _ in range(round(DRAIN_SECONDS / TURN_SECONDS)):
                if not self._senders.busy:
                    break
                self._collect(TURN_SECONDS)
                self._write_outcomes()
        with suppress(BusError):
            self._write_outcomes()
            if self._leads:
                self._lease.release()
        self._senders.close()
        self._reader.close()

    def _go_by(self, people: People) -> None:
        """Everything that follows from people.yaml is worked out anew from the book."""
        wakes, documents = (functools.partial(asked, self._channels) for asked in (wakes_by, takes_documents))
        self._people = people
        self._escalation = Escalation(self._book, people, wakes, self._whole)
        self._sends = Sends(self._book, people, wakes, documents)
        self._notices = NoticePlan(self._book, people, wakes, documents)
        self._cards = Cards(self._book, people, *self._words, wakes, self._make_report)
        self._counts.forget()
        self._stale = self._unfollowed = True

    def _look_at_duty(self) -> None:
        """What was edited in people.yaml comes into force, if it is good; swaps and calendars too."""
        if self._duty is None:
            return
        now = self._time.now()
        found = self._duty.look(self._clock.monotonic(), now)
        if found.channels:
            self._channels |= found.channels
            self._senders.add(found.channels)
        if found.people is not None:
            self._go_by(found.people)
        if self._leads:
            for what, part in found.troubles:
                self._faults.report(self._book, what, part, None, now)

    # --- one turn ----------------------------------------------------------------------------------------------

    def _turn(self, timeout: float) -> bool:
        moved = self._collect(0.0)
        self._write_outcomes()
        leads = self._lead()
        records = self._reader.poll(0.0 if moved or self._senders.busy else timeout, READ_AT_ONCE)
        if not records and not moved and self._senders.busy:
            moved = self._collect(min(timeout, TURN_SECONDS))
            self._write_outcomes()
        for record in records:
            self._absorb(record, leads)
        self._book.forget(self._time.now())
        self._look_at_duty()
        self._counts.look(self._book, self._duty, leads, self._clock.monotonic(), self._time.now())
        if not leads:
            return moved or bool(records)
        self._settle()
        self._follow_words()
        self._bury()
        written = self._decide()
        started = self._start()
        if records or started:
            self._counts.open(self._book, self._people)
        return moved or written or started or bool(records)

    def _lead(self) -> bool:
        """Whether we hold the lease. Who just got it reads all that its predecessor wrote first."""
        now = self._clock.monotonic()
        if self._leads and now < self._renew_at:
            return True
        led, leads = self._leads, self._lease.renew()
        self._renew_at = now + LEASE_SECONDS / 5
        if leads and not led:
            self._journal.lead(self._time.now())
            # Only who has read it all leads: when the bus fails in the middle, the next turn reads the rest.
            for record in drain(self._reader, self._part.beat):
                self._absorb(record, leads=True)
            log.info("dispatch: this process sends the alerts from now on")
            self._counts.open(self._book, self._people)
        self._leads = leads
        if led and not leads:
            self._counts.stand_by()
            log.warning("dispatch: another process took over; this one stands by")
        return self._leads

    def _absorb(self, record: Record, leads: bool) -> None:
        if record.topic in hashchain.CHAINED:
            self._chain.follow(record)
        at, told = from_ms(record.time_ms), None
        self._time.at_least(at)
        try:
            told = read(record)
        except BadRecord as error:
            self._bad.append((record, error))
        known = isinstance(told, Page) and self._book.pages.get(told.id) is not None
        if told is not None:
            self._book.take(told, at)
            self._journal.take(told, at, leads=leads)
        if self._duty is not None and isinstance(told, AboutDuty):
            self._duty.take(told)
        about = self._book.get(record.key)  # records of all three topics bear the alert's id
        self.trips.take(about)
        if self._leads:
            self._counts.answered(told, about)
        if isinstance(told, Delivery):
            self._counts.failed(told)
            self._faults.follow(told)
        # That a send began or was taken changes nothing of who is to be told, and in a storm most records say that.
        quiet = isinstance(told, Delivery) and not self._has_failed(told)
        self._stale |= not (known or quiet)
        self._unfollowed |= not (known or quiet) or about is None or self._ends_when_sent(about)

    def _has_failed(self, told: Delivery) -> bool:
        page = self._book.pages.get(told.page)
        way = page.ways.get((told.channel, told.target)) if page else None
        return told.outcome not in (None, Outcome.SENT) or way is None or way.rejected

    def _ends_when_sent(self, state: AlertState) -> bool:
        incident = self._mode_seen.incidents.get(state.alert.incident) if self._mode_seen else None
        return state.alert.synthetic or (incident is not None and incident.closed_at is not None)

    def _settle(self) -> None:
        """A send is in flight until its outcome was read back from the bus."""
        for intent, one in list(self._flying.items()):
            page = self._book.pages.get(one.page.id)
            way = page.ways.get((one.contact.channel, one.contact.target)) if page else None
            if way is None:
                continue
            # A later attempt is another process's, which took over while we sent.
            if (way.attempt == one.attempt and way.outcome is not None) or way.attempt > one.attempt:
                del self._flying[intent]

    def _follow_words(self) -> None:
        """Write down what follows from what people said elsewhere: of an incident, or of the first of doubles."""
        state, now, clock = self._mode(), self._time.now(), self._clock.monotonic()
        if not self._unfollowed and state is self._mode_seen and clock < self._follow_at:
            return
        self._mode_seen = state
        self._faults.end(self._book, self._people, self._duty, now)
        self._unfollowed = True  # until all of it was written down
        found = list(doubles.answers(self._book, self._people, state))
        closed = [answer for answer in found if answer.kind is DecisionKind.CLOSE]
        # The notices first: they go to those whose alerts are closed, however often we have to begin anew.
        self._incidents.publish(self._book, state, closed, now)
        found += [*incident_alerts.answers(self._book, state, now), *canary.answers(self._book, now)]
        for answer in found:
            if not self._lead():
                return
            # At the instant of the person's own word: later, it would answer what fired in between.
            said = Decision(kind=answer.kind, id=answer.state.id, at=answer.at, by=answer.by, why=answer.why)
            self._book.take_decision(hashchain.append(self._bus, "decisions", said))
        self._unfollowed, self._follow_at = bool(found), clock + FOLLOW_SECONDS
        if found:
            self._stale = True
            self._counts.open(self._book, self._people)

    def _mode(self) -> State:
        if self._reporter is not None:
            return self._reporter.state
        return self._control.refresh() if self._control is not None else State()

    def _decide(self) -> bool:
        """Write down what follows from how things stand: who is paged, and what waits for an answer again."""
        now = self._time.now()
        if not self._stale and (self._wake_at is None or now < self._wake_at):
            return False
        waiting = self._waiting(now)
        written = False
        for _ in range(MAX_ROUNDS):
            for alert in silence_ended(self._book, self._people, now):
                self._bus.publish([message(ALERTS, alert)])
                self._book.fire(alert, now)
            plan = self._escalation.plan(now, waiting)
            notices, notice_at = self._notices.due(now)
            for trouble in plan.troubles:
                self._report(trouble, now)
            self._wake_at = min((at for at in (plan.wake_at, notice_at, *waiting.values()) if at), default=None)
            if plan.is_empty and not notices:
                self._stale = False
                return written
            written = True
            for state, at in plan.reopened:
                again = Decision(kind=DecisionKind.REOPEN, id=state.id, at=at, by=DISPATCH, why="no word on it since")
                self._book.take_decision(hashchain.append(self._bus, "decisions", again))
            pages = sorted((*plan.pages, *notices), key=self._sends.rank)
            if not self._lead():
                return written
            for page in hashchain.append_all(self._bus, "deliveries", pages[:PAGES_A_TURN]):
                self._book.pages.take_page(page)
            if len(pages) > PAGES_A_TURN:
                return written  # the rest after the sends of these; it is planned again
        return written

    def _waiting(self, now: datetime) -> dict[str, datetime]:
        """New alerts that wait a moment for the same word of other incidents, each with the end of it."""
        several = doubles.may_be_doubled(self._mode())
        if not several:
            return {}
        return {
            state.id: state.fired_at + DOUBLES_WAIT
            for state in self._book.open()
            if state.alert.incident in several and now - state.fired_at < DOUBLES_WAIT
        }

    def _report(self, trouble: Trouble, now: datetime) -> None:
        about = self._book.get(trouble.about)
        self._faults.report(self._book, trouble.what, trouble.policy, about.alert if about else None, now)

    @property
    def next_at(self) -> datetime | None:
        """When something is due at the latest, though nothing happens."""
        return min((at for at in (self._wake_at, self._sends.wake_at) if at), default=None)

    def _start(self) -> bool:
        """Begin the sends for which there is room: their intents first, all in one write."""
        begun: list[tuple[Send, Capacity]] = []
        places: Counter[str] = Counter()
        full: set[str] = set()
        at = self._time.now()
        busy = Counter(one.lead for one in self._flying.values())
        for one in self._sends.due(at, self._flying, full, busy):
            channel = one.contact.channel
            room = self._senders.room(channel, places[channel])
            if room is Capacity.FULL:
                full.add(channel)
                continue
            places[channel] += 1
            begun.append((one, room))
        if not begun or not self._lead():
            return False
        hashchain.append_all(self._bus, "deliveries", [one.delivery(at, reason=one.cause.value) for one, _ in begun])
        point("dispatch.after_intent")
        for one, room in begun:
            # One by one: what an exception keeps from being put comes again, marked.
            self._flying[one.intent] = one
            if room is Capacity.FREE:
                self._senders.put(one, self._prepare(one, at))
                continue
            missing = room is Capacity.MISSING
            reason = FailureReason.NO_CHANNEL if missing else FailureReason.STUCK
            self._note(Result(one, ChannelError(reason, permanent=missing)))
        return True

    def _prepare(self, one: Send, at: datetime) -> Prepare:
        note = SendNote(one.intent, one.lead, one.nth, one.attempt, one.may_repeat, at)
        states = tuple(state for id_ in one.page.alerts if (state := self._book.get(id_)))
        also = tuple(double.alert for state in states for double in doubles.doubles_of(self._book, state))

        def prepare(channel: Channel) -> tuple[Deliver, tuple[str, ...]]:
            made = self._cards.make(one, states, also, channel, at)
            hand_over = channel.prepare(made, one.contact.target, note=note)

            def deliver() -> tuple[str, ...]:
                ids = hand_over()
                point("dispatch.after_send")
                return ids

            return deliver, made.problems

        return prepare

    # --- outcomes ----------------------------------------------------------------------------------------------

    def _collect(self, timeout: float) -> bool:
        results = self._senders.results(timeout)
        for result in results:
            self._note(result)
        return bool(results)

    def _note(self, result: Result) -> None:
        one, error = result.due, result.error
        if result.late and error is not None:
            return
        if error is None:
            delivery = one.delivery(self._time.now(), Outcome.SENT, ids=result.ids)
        else:
            outcome = Outcome.PERMANENT if error.permanent else Outcome.TEMPORARY
            delivery = one.delivery(self._time.now(), outcome, error.word)
        self._unwritten.append(delivery)
        self._faults.follow(delivery)
        about = lead.alert if (lead := self._book.get(one.lead)) else None
        if result.problems:
            part = f"{about.rule if about else '?'}: {', '.join(result.problems)}"
            self._faults.report(self._book, "card_incomplete", part, about, delivery.at)
        if error is not None and (error.permanent or error.reason in DEFECTS):
            part = f"{one.contact.channel}: {error.word}"
            self._faults.report(self._book, "contact_failed", part, about, delivery.at)

    def _write_outcomes(self) -> None:
        self._faults.publish()
        deliveries = list(self._unwritten)
        hashchain.append_all(self._bus, "deliveries", deliveries)
        self._unwritten.clear()
        for delivery in deliveries:
            outcome = delivery.outcome or Outcome.TEMPORARY
            self._metrics.deliveries.labels(delivery.channel, outcome.value).inc()
            state = self._book.get(delivery.alert)
            own = self._people.own(state.alert.to, delivery.at) if state else frozenset()
            first = outcome is Outcome.SENT and (delivery.channel, delivery.target) in own
            if first and state and not state.reached(own):
                self._metrics.dispatch_latency.observe(max(0.0, (delivery.at - state.fired_at).total_seconds()))

    def _bury(self) -> None:
        """What could not be read becomes a dead letter, once, and ops are alerted: it may have been an alert."""
        for record, bad in self._bad:
            if self._faults.is_new(record.where):
                letter = dead_letter(self.name, bad.reason, record.value or b"", record.where, self._clock)
                self._bus.publish([letter])
                self._metrics.deadletters.labels(self.name, bad.reason).inc()
                self._faults.report(self._book, "unreadable", record.where, None, self._time.now())
        self._bad.clear()

    def _complaint(self) -> str | None:
        rooms = {channel: self._senders.room(channel) for channel in self._people.channels()}
        stuck = sorted(channel for channel, room in rooms.items() if room in (Capacity.STUCK, Capacity.MISSING))
        return f"channels that do not answer or are not set up: {', '.join(stuck)}" if stuck else None
