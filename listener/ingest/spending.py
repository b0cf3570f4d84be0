"""What a source has cost so far: the account that is kept on `spending`, and how it grows. Pure: knows no bus.

A post costs once a UTC day, however often it is read (X bills it so). Who was charged for today is known from the
mentions on the bus after a restart; what matched nothing is not there and may be counted a second time: never too
little. No record holds an id.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Final

from listener.model.records import Post, Recent, Spending, Spent
from listener.settings.prices import Budget, Prices, month_of
from listener.sources.contract import Batch, DropReason

RATE_OVER: Final = timedelta(minutes=10)
"""The rate is that of the last minutes, or of what there is of them."""


class Account:
    """One source's spending. `spending` is what is to be published; nothing of it is lost with a month's end but the
    month's own sums."""

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
