"""Canaries on their way: from the synthetic post to the outcome of its delivery, as the dispatcher reads them back.

A canary's alert goes to the test receiver that stands on the route `canary`; without one to `Ledger`, a channel that
delivers to nobody, so that what would be sent is written down like any other delivery. Nobody answers it: once it
arrived, or a newer one is under way, its alert is closed in our own name.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from alerts.notify.channels.card import Card
from alerts.notify.channels.contract import Deliver, SendNote
from alerts.notify.duplicates import Answer
from alerts.notify.state import AlertBook, AlertState
from listener.clock import Clock
from listener.model.canary import CANARY
from listener.model.records import Alert, DecisionKind
from listener.runtime.metrics import Metrics

GRACE = timedelta(minutes=2)
"""So much later than two intervals may the newest one be that arrived. `deploy/prometheus` has the same bound."""
OURSELVES = "lyttepost"


class Ledger:
    """The channel of whoever has no test receiver: the delivery is written down, and nothing is sent."""

    in_house = False
    wakes = False

    def prepare(self, card: Card, target: str, *, note: SendNote) -> Deliver:
        return _delivered


def _delivered() -> tuple[str, ...]:
    """To nobody."""
    return ()


def is_canary(alert: Alert) -> bool:
    return alert.synthetic and alert.incident == CANARY


class RoundTrips:
    """How the newest canary that arrived was, for the metrics and for who must not say that all is well.

    Every process that could send follows them, whichever sends. `every`: how often one is posted; None: none is.
    """

    def __init__(self, every: timedelta | None, *, clock: Clock, metrics: Metrics) -> None:
        self._every = every
        self._clock = clock
        self._metrics = metrics
        self.posted: datetime | None = None
        """When the newest that arrived was posted."""
        self._began = clock.now()
        if every is not None:
            # Until one arrives, the wait for it counts from here: else silence from the very start would be no alarm.
            metrics.canary_posted.set(self._began.timestamp())

    def take(self, state: AlertState | None) -> None:
        """An alert as it stands after a record about it was read."""
        if state is None or self._every is None or not is_canary(state.alert):
            return
        arrived = min((status.last_sent for status in state.deliveries.values() if status.last_sent), default=None)
        posted = state.alert.at
        if arrived is not None and (self.posted is None or posted > self.posted):
            self.posted = posted
            self._metrics.canary_posted.set(posted.timestamp())
            self._metrics.canary_round_trip.set(max(0.0, (arrived - posted).total_seconds()))

    def late(self) -> str | None:
        """None while the newest canary that arrived is fresh, or none is posted; else what is wrong."""
        if self._every is None:
            return None
        age = self._clock.now() - (self.posted or self._began)
        if age <= 2 * self._every + GRACE:
            return None
        return f"no canary has arrived for {age // timedelta(seconds=1)} s"


def answers(book: AlertBook, now: datetime) -> Iterator[Answer]:
    """The canaries that are done with."""
    going = [state for state in book.open() if is_canary(state.alert)]
    newest = max((state.alert.at for state in going), default=now)
    for state in going:
        if any(status.times for status in state.deliveries.values()):
            yield Answer(DecisionKind.CLOSE, state, now, OURSELVES, "the canary arrived")
        elif state.alert.at < newest:
            yield Answer(DecisionKind.CLOSE, state, now, OURSELVES, "a newer canary is under way")
