"""What the dispatcher shows of its work as metrics: what is open, who was reached and answers, which channels fail,
what waits to be sent, and how duty stands."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from math import inf, nan

from alerts.notify.duty import DutyFollower
from alerts.notify.pages import PageState
from alerts.notify.recipients import People
from alerts.notify.state import AlertBook, AlertState
from listener.model.deliveries import Delivery, Outcome
from listener.model.records import Decision, DecisionKind, Severity
from listener.runtime.metrics import Metrics

LOOK_SECONDS = 1.0
DUTY_SECONDS = 60.0
"""What follows from the time alone is looked at so often."""
FAILURES_KEPT = timedelta(hours=1)
"""Failures in a row of a channel are known to a new process so far back."""


class DispatchMetrics:
    """`now`: when the process began."""

    def __init__(self, metrics: Metrics, now: datetime) -> None:
        self._metrics = metrics
        self._reached: set[str] = set()
        self._failures: Counter[str] = Counter()
        self._failures_since = now - FAILURES_KEPT
        self._roles: set[str] = set()
        self._look_at = self._duty_at = float("-inf")

    def forget(self) -> None:
        """Other people are in force: who counts as reached is asked anew."""
        self._reached.clear()
        self._duty_at = float("-inf")

    def stand_by(self) -> None:
        """Another process sends the alerts, and tells of them."""
        for severity in Severity:
            for exercise in ("true", "false"):
                self._metrics.alerts_open.labels(severity, exercise).set(0)
                self._metrics.alerts_acknowledged.labels(severity, exercise).set(0)
                self._metrics.oldest_open.labels(severity, exercise).set(nan)
        self._metrics.alerts_undelivered.set(0)
        self._metrics.pages_waiting.set(0)
        self._metrics.pages_oldest.set(nan)

    def look(self, book: AlertBook, duty: DutyFollower | None, leads: bool, monotonic: float, at: datetime) -> None:
        """What time alone changes; `leads`: whether this process sends the alerts. To be called at every turn."""
        if leads and monotonic >= self._look_at:
            self._look_at = monotonic + LOOK_SECONDS
            waiting = [each.page.at for each in book.pages.unfinished() if _waits(each)]
            self._metrics.pages_waiting.set(len(waiting))
            self._metrics.pages_oldest.set(min(waiting).timestamp() if waiting else nan)
        if duty is None or monotonic < self._duty_at:
            return
        self._duty_at = monotonic + DUTY_SECONDS
        its, metrics = duty.outlook(at), self._metrics
        for role in self._roles - its.on_duty.keys():
            metrics.on_duty.remove(role)
            metrics.roster_gap.remove(role)
        self._roles = set(its.on_duty)
        for role, count in its.on_duty.items():
            gap = its.gaps[role]
            metrics.on_duty.labels(role).set(count)
            metrics.roster_gap.labels(role).set(nan if gap is None else gap.timestamp())
        metrics.people.labels("true").set(its.confirmed)
        metrics.people.labels("false").set(its.unconfirmed)

    def answered(self, told: object, about: AlertState | None) -> None:
        """A record that was just taken in by who sends the alerts: how long a person took to acknowledge."""
        if not isinstance(told, Decision) or told.kind is not DecisionKind.ACKNOWLEDGE or about is None:
            return
        # Whoever says so second has changed nothing.
        if about.handled is not None and about.handled.digest == told.digest and not about.alert.synthetic:
            took = max(0.0, (told.at - about.open_since).total_seconds())
            self._metrics.acknowledge.labels(str(about.alert.exercise).lower()).observe(took)

    def open(self, book: AlertBook, people: People) -> None:
        """Of each severity how many are open and since when, and how many reached nobody."""
        counts = {(severity, exercise): 0 for severity in Severity for exercise in ("true", "false")}
        oldest = dict.fromkeys(counts, nan)
        undelivered = 0
        for state in book.open():
            if state.alert.synthetic:
                continue
            labels = state.alert.severity, str(state.alert.exercise).lower()
            counts[labels] += 1
            oldest[labels] = min(state.fired_at.timestamp(), oldest[labels] if counts[labels] > 1 else inf)
            # Who was reached once was reached: to ask the rosters for each alert at every turn would be dear.
            known = state.id in self._reached
            if not known and state.deliveries and state.reached(people.own(state.alert.to, state.fired_at)):
                self._reached.add(state.id)
                known = True
            undelivered += not known
        for labels, count in counts.items():
            self._metrics.alerts_open.labels(*labels).set(count)
            self._metrics.oldest_open.labels(*labels).set(oldest[labels])
        self._metrics.alerts_undelivered.set(undelivered)
        held = Counter((s.alert.severity, str(s.alert.exercise).lower()) for s in book.acknowledged())
        for severity, exercise in counts:
            self._metrics.alerts_acknowledged.labels(severity, exercise).set(held[severity, exercise])

    def failed(self, delivery: Delivery) -> None:
        """Of every process's attempts. What failed long before this one began may have been fixed since."""
        if delivery.outcome is not None and delivery.at >= self._failures_since:
            failed = 0 if delivery.outcome is Outcome.SENT else self._failures[delivery.channel] + 1
            self._failures[delivery.channel] = failed
            self._metrics.channel_failures.labels(delivery.channel).set(failed)


def _waits(each: PageState) -> bool:
    """Whether it is to be sent and no way has taken it: neither kept for later nor refused by all."""
    return each.is_sent and not each.is_refused and not each.is_taken
