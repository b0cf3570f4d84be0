"""The meter counts as X bills: once a day, by the month, and never too little."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from listener.ingest.budget import Account, in_force, next_cap, per_hour, reached_at
from listener.model.records import Author, Decision, DecisionKind, Post
from listener.model.spending import Spending
from listener.settings.prices import DEFAULT, Budget, Cap, Prices
from listener.sources.contract import BadLine, Batch, Call, DropReason
from listener.sources.x.call_meter import ENDPOINTS, CallMeter, endpoint_of

NOON = datetime(2031, 5, 14, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def account(prices: Prices = DEFAULT.prices, at: datetime = NOON) -> Account:
    return Account(prices, Spending(source="x", at=at))


def post(id_: str, **more: object) -> Post:
    return Post.model_validate({"source": "x", "id": id_, "at": NOON, "text": "i fjordby", **more})


def read(account: Account, *posts: Post, at: datetime = NOON, **more: object) -> Spending:
    account.roll(at, ())
    matched = more.pop("matched", {})
    account.charge(Batch(posts=posts, **more), matched, at)  # type: ignore[arg-type]
    return account.spending


def test_a_repeated_post_is_charged_once_a_day_and_again_on_the_next() -> None:
    its = account()
    read(its, post("1"), post("1"))
    assert read(its, post("1")).month.usd == 0.005
    late = read(its, post("1"), at=NOON.replace(hour=23, minute=59, second=59))
    assert (late.day.posts, late.day.usd) == (1, 0.005)
    early = read(its, post("1"), at=NOON.replace(hour=0) + DAY)
    assert (early.day.posts, early.month.posts, early.month.usd) == (1, 2, 0.01)


def test_a_post_that_is_on_the_bus_of_today_is_paid_for_after_a_restart() -> None:
    its = account()
    its.remember("1", NOON - timedelta(hours=1))
    its.remember("2", NOON - DAY)
    assert read(its, post("1"), post("2")).day.posts == 1


def test_a_million_posts_do_not_drift() -> None:
    its = account()
    for n in range(1000):
        read(its, *(post(str(1000 * n + m)) for m in range(10)))
    assert its.spending.month.usd == 50.0


def test_a_month_that_begins_starts_at_nothing_and_keeps_what_open_incidents_cost() -> None:
    its = account()
    read(its, post("1"), post("2"), matched={"1": {"brann-0"}, "2": {"brann-0", "ras-1"}})
    its.judge(Budget(soft=0.01, hard=0.01, ceiling=1), NOON)
    assert its.spending.crossed == {"soft": NOON, "hard": NOON}
    its.roll(datetime(2031, 6, 1, tzinfo=UTC), {"brann-0"})
    now = its.spending
    assert (now.month.usd, now.day.usd, now.crossed) == (0, 0, {})
    assert {key: tally.posts for key, tally in now.incidents.items()} == {"brann-0": 2}


def test_a_clock_that_runs_back_begins_no_month() -> None:
    its = account(at=datetime(2031, 6, 1, tzinfo=UTC))
    read(its, post("1"), at=datetime(2031, 6, 1, tzinfo=UTC))
    assert read(its, post("2"), at=datetime(2031, 5, 31, 23, tzinfo=UTC)).month.posts == 2


def test_a_lookback_is_for_its_incident_alone_whatever_matched() -> None:
    its = account()
    read(its, post("1"), incident="brann-0", matched={"1": frozenset()})
    assert its.spending.incidents["brann-0"].posts == 1


def test_what_cannot_be_read_is_billed_too_and_notices_are_not() -> None:
    bad = [BadLine(reason, "x:stream", 3, "d") for reason in (DropReason.WRONG_TYPE, DropReason.NOT_A_POST)]
    assert read(account(), bad=tuple(bad)).month.posts == 1


def test_calls_cost_by_their_endpoint_and_only_when_answered() -> None:
    calls = {Call("counts"): 3, Call("counts", answered=False): 5, Call("rules"): 7, Call("search"): 2}
    its = read(account(), calls=calls)
    assert its.month.usd == 0.015
    assert its.calls == {"counts": 8, "rules": 7, "search": 2}


def test_what_comes_with_a_post_costs_where_the_contract_says_so() -> None:
    prices = Prices(post=1, referenced_post=10, user=100)
    its = account(prices)
    author = Author(id="7")
    first = read(its, post("1", author=author, repost_of="2", handles={"kari": "8"}))
    assert first.month.usd == 211
    # The same author, and a post that came with another before.
    assert read(its, post("3", author=author, quote_of="2"), post("2", author=author)).month.usd == 212


def test_a_batch_without_cost_changes_nothing() -> None:
    its = account()
    assert read(its) is its.spending
    assert its.spending == Spending(source="x", at=NOON)


def test_the_rate_is_that_of_the_last_minutes_and_fades() -> None:
    its = account(Prices(post=1))
    for minute in range(10):
        read(its, post(str(minute)), at=NOON + timedelta(minutes=minute))
    at = NOON + timedelta(minutes=10)
    assert per_hour(its.spending, at - timedelta(seconds=1)) == pytest.approx(60, rel=0.01)
    assert per_hour(its.spending, at + timedelta(minutes=30)) == 0
    assert len(read(its, post("x"), at=at + DAY).recent) == 1


def test_the_first_seconds_of_a_storm_show_its_rate() -> None:
    its = account(Prices(post=1))
    read(its, *(post(str(n)) for n in range(50)))
    assert per_hour(its.spending, NOON + timedelta(seconds=10)) == 3000


def test_when_a_cap_is_reached_is_reported_within_the_month_only() -> None:
    its = account(Prices(post=1))
    read(its, *(post(str(n)) for n in range(60)))
    now = NOON + timedelta(minutes=1)
    assert reached_at(its.spending, 3660, now) == now + timedelta(hours=1)
    assert reached_at(its.spending, 60, now) is None
    assert reached_at(its.spending, 10**9, now) is None
    assert reached_at(its.spending, 60 + 3600 * 24 * 20, now) is None


def test_the_ceiling_keeps_its_distance_above_a_raised_cap() -> None:
    own = Budget(soft=200, hard=1000, ceiling=10_000)
    said = Decision(kind=DecisionKind.BUDGET, id="x", at=NOON, by="kari", usd=2500)
    assert in_force(own, said, NOON).caps() == {Cap.SOFT: 200, Cap.HARD: 2500, Cap.CEILING: 11_500}
    assert in_force(own, said, datetime(2031, 6, 1, tzinfo=UTC)) == own
    assert in_force(own, None, NOON) == own
    lower = said.model_copy(update={"usd": 10.0})
    assert in_force(own, lower, NOON) == own


def test_a_suggested_raise_always_helps() -> None:
    for spent in (0.0, 5, 1003, 10_003):
        spending = Spending.model_validate({"source": "x", "at": NOON, "month": {"posts": 1, "usd": spent}})
        assert next_cap(spending, Budget()) >= spent + Budget().hard


def test_nothing_spent_reaches_no_cap_and_free_contracts_never_do() -> None:
    assert Budget(soft=0, hard=0, ceiling=0).reached(0) == []
    assert Budget(soft=0, hard=0, ceiling=0).reached(0.005) == list(Cap)


@pytest.mark.parametrize(
    ("path", "endpoint"),
    [
        ("/2/tweets/search/stream", "stream"),
        ("/2/tweets/search/stream/rules", "rules"),
        ("/2/tweets/search/stream/rules/counts", "rules"),
        ("/2/tweets/search/recent", "search"),
        ("/2/tweets/counts/recent", "counts"),
        ("/2/connections/all", "connections"),
        ("/proxy/2/tweets/search/recent", "search"),
        ("/2/whatever", "other"),
    ],
)
def test_every_path_has_its_endpoint(path: str, endpoint: str) -> None:
    assert endpoint_of(path) == endpoint
    assert endpoint in ENDPOINTS


def test_a_shut_gate_lets_pass_what_is_free() -> None:
    call_meter = CallMeter()
    call_meter.shut = True
    passing = [e for e in ("/2/tweets/search/stream", "/2/tweets/search/stream/rules", "/2/connections/all",
                           "/2/tweets/counts/recent", "/2/tweets/search/recent") if call_meter.may_pass(e)]  # fmt: skip
    assert passing == ["/2/tweets/search/stream/rules", "/2/connections/all"]
