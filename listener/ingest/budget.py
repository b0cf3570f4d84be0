"""The purse: what a source may cost, kept beside what it gives. In the listener's thread; on the bus, not in memory.

The account is published in the transaction of the batch that it counts, so a crash counts nothing twice and nothing
never; whoever takes over the source takes over its account. Crossing a cap is told in that same transaction. A raise
is a decision of a person on `decisions`, looked for each second.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from datetime import datetime, timedelta
from typing import Final

from prometheus_client import Gauge

from listener.bus.protocol import Bus, Consumer, Message
from listener.clock import Clock
from listener.ingest.spending import Account, per_hour
from listener.model.records import (
    DECISIONS,
    SPENDING,
    BadRecord,
    Decision,
    DecisionKind,
    Mention,
    Spending,
    decode,
    encode,
)
from listener.runtime.metrics import Metrics
from listener.runtime.ops_alerts import ops_alert
from listener.settings.prices import DEFAULT, Budget, Cap, month_of
from listener.sources.contract import Batch, Paid, Source
from listener.units import format_duration

LOOK_SECONDS: Final = 1.0

_Series = tuple[Gauge, tuple[str, ...]]


class SpendMeter:
    """Of one source. One that costs nothing has an empty purse, which does nothing."""

    def __init__(self, source: Source, bus: Bus, *, clock: Clock, metrics: Metrics) -> None:
        self._paid = source if isinstance(source, Paid) else None
        self._tariff = source.tariff if isinstance(source, Paid) else DEFAULT
        self._source = source.name
        self._bus = bus
        self._clock = clock
        self._metrics = metrics
        self._account: Account | None = None
        self._published: Spending | None = None
        self._decisions: Consumer | None = None
        self._decided: Decision | None = None
        self._looked = float("-inf")
        self._halted = False
        self._shown: Mapping[_Series, float] = {}

    def open(self) -> None:
        """Take over the account from the bus, before the source is opened."""
        self.close()
        if self._paid is None:
            return
        kept = spending_of(self._bus, self._source)
        fresh = Spending(source=self._source, at=self._clock.now())
        self._account = Account(self._tariff.prices, kept or fresh)
        self._published = kept or fresh
        self._metrics.posts_charged.labels(self._source)
        self._decisions = self._bus.reader(["decisions"])

    def close(self) -> None:
        """Another process has it now, or nobody."""
        if self._decisions is not None:
            self._decisions.close()
        self._account, self._decisions, self._decided, self._halted = None, None, None, False
        self._looked = float("-inf")
        self._show({})

    def remember(self, mention: Mention) -> None:
        """It is on the bus, so it is paid for."""
        if self._account is not None:
            self._account.remember(mention.id, mention.captured_at)

    def turn(self, open_incidents: Collection[str]) -> bool:
        """What people have decided, a month that has begun; halts the source or lets it go on. True when that is to be
        published."""
        if self._account is None or self._paid is None:
            return False
        now = self._clock.now()
        if self._clock.monotonic() - self._looked >= LOOK_SECONDS:
            self._looked = self._clock.monotonic()
            self._hear_people()
            self._show(self._series(self._account.spending, now))
        self._account.roll(now, open_incidents)
        self._account.judge(self.budget(now), now)
        halted = Cap.CEILING in self._account.spending.crossed
        if halted != self._halted:
            self._halted = halted
            self._paid.halt(halted)
        return self._published is not None and self._account.spending.crossed != self._published.crossed

    def charge(self, batch: Batch, matched: Mapping[str, Collection[str]], open_incidents: Collection[str]) -> None:
        """Count a batch, once, before it is published."""
        if self._account is None:
            return
        now = self._clock.now()
        self._account.roll(now, open_incidents)
        before = self._account.spending
        self._account.charge(batch, matched, now)
        self._account.judge(self.budget(now), now)
        posts = self._account.spending.day.posts - before.day.posts
        self._metrics.posts_charged.labels(self._source).inc(posts)
        for call, count in batch.calls.items():
            outcome = "answered" if call.answered else "failed"
            self._metrics.calls.labels(self._source, call.endpoint, outcome).inc(count)

    def messages(self) -> list[Message]:
        """The account and the caps that are crossed, for the transaction of what was charged. Then `published`."""
        if self._account is None or self._account.spending == self._published:
            return []
        spending = self._account.spending
        key = f"{self._source}:{month_of(spending.at)}"
        return [Message("spending", key, encode(spending)), *self._alerts(spending)]

    def published(self) -> None:
        """What `messages` gave is on the bus."""
        if self._account is not None:
            self._published = self._account.spending

    def budget(self, now: datetime) -> Budget:
        """As it stands this month."""
        return in_force(self._tariff.budget, self._decided, now)

    def _hear_people(self) -> None:
        while self._decisions is not None and (records := self._decisions.poll(0.0, 1000)):
            for record in records:
                decision = _about_money(record.value, self._source)
                self._decided = decision or self._decided

    def _alerts(self, spending: Spending) -> Iterator[Message]:
        before = self._published.crossed if self._published is not None else {}
        now = self._clock.now()
        words = _words(self._source, spending, self.budget(now), self._tariff.budget, now)
        for name in Cap:
            then, since = before.get(name), spending.crossed.get(name)
            if then == since:
                continue
            if then is not None:
                yield ops_alert(f"budget_{name}", self._source, then, now, over=True, words=words)
            if since is not None:
                yield ops_alert(f"budget_{name}", self._source, since, now, words=words)

    def _series(self, spending: Spending, now: datetime) -> Mapping[_Series, float]:
        metrics, name = self._metrics, self._source
        return {
            (metrics.spent, (name, "day", "")): spending.day.usd,
            (metrics.spent, (name, "month", "")): spending.month.usd,
            **{(metrics.spent, (name, "incident", key)): each.usd for key, each in spending.incidents.items()},
            **{(metrics.budget, (name, cap.value)): most for cap, most in self.budget(now).caps().items()},
            (metrics.spending_rate, (name,)): per_hour(spending, now),
        }

    def _show(self, series: Mapping[_Series, float]) -> None:
        """These and no others: of two processes only the one that listens tells what it costs."""
        for gauge, labels in self._shown.keys() - series.keys():
            gauge.remove(*labels)
        for (gauge, labels), value in series.items():
            gauge.labels(*labels).set(value)
        self._shown = series


def spending_of(bus: Bus, source: str) -> Spending | None:
    """The account of a source as it stands on the bus."""
    found: Spending | None = None
    with closing(bus.reader(["spending"])) as reader:
        while records := reader.poll(0.0, 1000):
            for record in records:
                try:
                    each = decode(SPENDING, record.value or b"")
                except BadRecord:
                    continue
                if each.source == source and (found is None or each.at >= found.at):
                    found = each
    return found


def decision_of(bus: Bus, source: str) -> Decision | None:
    """The newest word of a person about the budget of a source."""
    found: Decision | None = None
    with closing(bus.reader(["decisions"])) as reader:
        while records := reader.poll(0.0, 1000):
            for record in records:
                found = _about_money(record.value, source) or found
    return found


def in_force(settings: Budget, decided: Decision | None, now: datetime) -> Budget:
    """The settings' caps, or as raised; a raise is for its own month."""
    if decided is None or decided.usd is None or month_of(decided.at) != month_of(now):
        return settings
    return settings.raised(max(decided.usd, settings.hard))


def next_cap(spending: Spending, settings: Budget) -> int:
    """What to raise the hard cap to, as a suggestion: as much again as the settings' cap, in whole hundreds."""
    return math.ceil((spending.month.usd + max(settings.hard, 1.0)) / 100) * 100


def _words(source: str, spending: Spending, budget: Budget, settings: Budget, now: datetime) -> Mapping[str, str]:
    """What the headlines of `listener.runtime.ops_alerts` need, in figures that every language reads alike."""
    spent, rate = spending.month.usd, per_hour(spending, now)
    hours = max(0.0, budget.ceiling - spent) / rate if rate else math.inf
    left = timedelta(minutes=max(1, round(hours * 60))) if hours < 24 * 31 else None
    return {
        "source": source.upper(),
        "spent": usd(spent),
        "rate": usd(rate),
        "hard": usd(budget.hard),
        "ceiling": usd(budget.ceiling),
        "left": format_duration(left) if left is not None else "?",
        "next": str(next_cap(spending, settings)),
    }


def usd(amount: float) -> str:
    """`0.35`, `1004`"""
    return f"{amount:.2f}" if amount < 100 else f"{amount:.0f}"


def _about_money(value: bytes | None, source: str) -> Decision | None:
    try:
        decision = decode(DECISIONS, value or b"")
    except BadRecord:
        return None
    return decision if decision.kind is DecisionKind.BUDGET and decision.id == source else None
