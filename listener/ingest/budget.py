"""The spend meter: what a source costs and may cost, kept with its posts on the bus. Runs in the listener's thread.

The account is published in the transaction of the batch that it counts, so a crash counts nothing twice and nothing
never; whoever takes over the source takes over its account. Crossing a cap is told in that same transaction. A raise
is a decision of a person on `decisions`, looked for each second.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final

from prometheus_client import Gauge

from listener.bus.messages import message
from listener.bus.protocol import Bus, Consumer, Message, UnitOfWork
from listener.bus.scan import scan, scan_records
from listener.clock import Clock
from listener.model.decisions import DECISIONS
from listener.model.records import (
    SPENDING,
    BadRecord,
    Decision,
    DecisionKind,
    Mention,
    Post,
    decode,
)
from listener.model.spending import Recent, Spending, Spent
from listener.runtime.metrics import Metrics
from listener.runtime.ops_alerts import OpsAlerts
from listener.settings.prices import DEFAULT, Budget, Cap, Prices, month_of
from listener.sources.contract import Batch, Costs, DropReason, Source
from listener.units import format_duration

LOOK_SECONDS: Final = 1.0
RATE_OVER: Final = timedelta(minutes=10)
"""The rate is that of the last minutes, or of what there is of them."""

_Series = tuple[Gauge, tuple[str, ...]]


class SpendMeter:
    """Of one source. One that costs nothing has a meter that does nothing."""

    def __init__(self, source: Source, bus: Bus, ops: OpsAlerts, *, clock: Clock, metrics: Metrics) -> None:
        self._paid = source if isinstance(source, Costs) else None
        self._tariff = source.tariff if isinstance(source, Costs) else DEFAULT
        self._source = source.name
        self._bus = bus
        self._ops = ops
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

    def publish(self, work: UnitOfWork) -> None:
        """The account and the caps that are crossed, where they changed, together with what was charged."""
        if self._account is None or self._account.spending == self._published:
            return
        spending = self._account.spending
        for each in (message(SPENDING, spending), *self._alerts(spending)):
            work.publish(each)

        def written() -> None:
            self._published = spending

        work.on_commit(written)

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
                yield self._ops.message(f"budget_{name}", self._source, then, now, over=True, words=words)
            if since is not None:
                yield self._ops.message(f"budget_{name}", self._source, since, now, words=words)

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
    for each in scan(bus, SPENDING):
        if isinstance(each, Spending) and each.source == source and (found is None or each.at >= found.at):
            found = each
    return found


def decision_of(bus: Bus, source: str) -> Decision | None:
    """The newest decision of a person about the budget of a source."""
    found: Decision | None = None
    for record in scan_records(bus, [DECISIONS.name]):
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
    """What the texts of alerts about the budget need, in figures that every language reads alike."""
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
    if not isinstance(decision, Decision) or decision.kind is not DecisionKind.BUDGET or decision.id != source:
        return None
    return decision


# --- the account -----------------------------------------------------------------------------------------------------


class Account:
    """What one source has cost so far, and how that grows. Pure: knows no bus.

    A post costs once a UTC day, however often it is read (X bills it so). Who was charged for today is known from the
    mentions on the bus after a restart; what matched nothing is not there and may be counted a second time: never too
    little. No record holds an id.

    `spending` is what is to be published; nothing of it is lost with a month's end but the month's own sums.
    """

    def __init__(self, prices: Prices, spending: Spending) -> None:
        self.spending = spending
        self._prices = prices
        self._charged: set[int] = set()

    def roll(self, now: datetime, open_incidents: Collection[str]) -> None:
        """A new day or month begins with nothing spent. A clock that runs back begins none."""
        then = self.spending.at
        if now.date() <= then.date():
            return
        self._charged.clear()
        change: dict[str, object] = {"at": now, "day": Spent()}
        if month_of(now) != month_of(then):
            kept = {key: tally for key, tally in self.spending.incidents.items() if key in open_incidents}
            change |= {"month": Spent(), "calls": {}, "crossed": {}, "incidents": kept}
        self.spending = self.spending.model_copy(update=change)

    def remember(self, post_id: str, at: datetime) -> None:
        """A post was read then: it is paid for until the day is over."""
        if at.date() == self.spending.at.date():
            self._first("post", post_id)

    def charge(self, batch: Batch, matched: Mapping[str, Collection[str]], now: datetime) -> None:
        """Count what a batch cost. `matched`: post id → the incidents that it matched."""
        posts = usd = 0.0
        by_incident: dict[str, Spent] = dict(self.spending.incidents)
        for post in batch.posts:
            new, cost = self._cost(post)
            posts, usd = posts + new, usd + cost
            if new or cost:
                for incident in (batch.incident,) if batch.incident else matched.get(post.id, ()):
                    by_incident[incident] = _add(by_incident.get(incident, Spent()), new, cost)
        for id_ in batch.charged:
            if self._first("post", id_):
                posts, usd = posts + 1, usd + self._prices.post
        # What we could not read was delivered, and will be billed, too.
        unread = sum(line.reason is not DropReason.NOT_A_POST for line in batch.bad)
        posts, usd = posts + unread, usd + unread * self._prices.post
        calls = dict(self.spending.calls)
        for call, count in batch.calls.items():
            calls[call.endpoint] = calls.get(call.endpoint, 0) + count
            usd += count * self._prices.call(call.endpoint) if call.answered else 0.0
        if not (posts or usd or batch.calls):
            return
        self.spending = self.spending.model_copy(
            update={
                "at": max(now, self.spending.at),
                "month": _add(self.spending.month, int(posts), usd),
                "day": _add(self.spending.day, int(posts), usd),
                "incidents": by_incident,
                "calls": calls,
                "recent": _recent(self.spending.recent, usd, now),
            }
        )

    def judge(self, budget: Budget, now: datetime) -> None:
        """Which caps are reached, each since when."""
        reached = budget.reached(self.spending.month.usd)
        before = self.spending.crossed
        if before.keys() != set(reached):
            crossed = {cap: before.get(cap, now) for cap in reached}
            self.spending = self.spending.model_copy(update={"crossed": crossed})

    def _cost(self, post: Post) -> tuple[int, float]:
        """Posts and dollars that it adds."""
        new = self._first("post", post.id)
        usd = new * self._prices.post
        if self._prices.referenced_post:
            others = [other for other in (post.repost_of, post.reply_to, post.quote_of) if other]
            usd += self._prices.referenced_post * sum(self._first("post", other) for other in others)
        if self._prices.user:
            users = {*post.handles.values(), *((post.author.id,) if post.author else ())}
            usd += self._prices.user * sum(self._first("user", user) for user in users)
        return int(new), usd

    def _first(self, kind: str, id_: str) -> bool:
        """Today. 64 bits each: a set of them holds millions."""
        mark = hash((kind, id_))
        new = mark not in self._charged
        self._charged.add(mark)
        return new


def per_hour(spending: Spending, now: datetime) -> float:
    """Dollars an hour, at the rate of the last minutes."""
    recent = [each for each in spending.recent if now - each.minute < RATE_OVER]
    if not recent:
        return 0.0
    span = max(now - recent[0].minute, timedelta(minutes=1))
    return sum(each.usd for each in recent) * (timedelta(hours=1) / span)


def reached_at(spending: Spending, cap: float, now: datetime) -> datetime | None:
    """When the cap will be reached at this rate; None when it is by now, or will not be this month."""
    rate, left = per_hour(spending, now), cap - spending.month.usd
    if rate <= 0 or left <= 0 or left / rate > 24 * 31:
        return None
    at = now + timedelta(hours=left / rate)
    return at if month_of(at) == month_of(now) else None


def _add(tally: Spent, posts: int, usd: float) -> Spent:
    # To a millionth of a dollar: thousandths of cents added a million times must not drift.
    return Spent(posts=tally.posts + posts, usd=round(tally.usd + usd, 6))


def _recent(recent: tuple[Recent, ...], usd: float, now: datetime) -> tuple[Recent, ...]:
    minute = now.replace(second=0, microsecond=0)
    kept = [each for each in recent if now - each.minute < RATE_OVER]
    if kept and kept[-1].minute == minute:
        kept[-1] = Recent(minute=minute, usd=round(kept[-1].usd + usd, 6))
    elif usd:
        kept.append(Recent(minute=minute, usd=round(usd, 6)))
    return tuple(kept)
