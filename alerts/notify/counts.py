"""What the dispatcher shows of its work as metrics: what is open, who was reached, which channels fail."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from math import inf, nan

from alerts.notify.recipients import People
from alerts.notify.state import AlertBook
from listener.model.deliveries import Delivery, Outcome
from listener.model.records import Severity
from listener.runtime.metrics import Metrics

FAILURES_KEPT = timedelta(hours=1)
"""Failures in a row of a channel are known to a new process so far back."""


class DispatchMetrics:
    """`now`: when the process began."""

    def __init__(self, metrics: Metrics, now: datetime) -> None:
        self._metrics = metrics
        self._reached: set[str] = set()
        self._failures: Counter[str] = Counter()
        self._failures_since = now - FAILURES_KEPT

    def forget(self) -> None:
        """Other people are in force: who counts as reached is asked anew."""
        self._reached.clear()

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

    def failed(self, delivery: Delivery) -> None:
        """Of every process's attempts. What failed long before this one began may have been fixed since."""
        if delivery.outcome is not None and delivery.at >= self._failures_since:
            failed = 0 if delivery.outcome is Outcome.SENT else self._failures[delivery.channel] + 1
            self._failures[delivery.channel] = failed
            self._metrics.channel_failures.labels(delivery.channel).set(failed)
