"""What X costs, against a fake X on a real socket: caps in their order, never a silent stop, and a meter that survives.

A minute of the listener's and the fake's time passes in each second of the test's. A post costs a dollar here.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from listener_support import ListenerDeployment
from x_support import SPEED, Town, town

from listener.bus.hashchain import append, verify
from listener.model.records import Decision, DecisionKind
from listener.settings.prices import Budget, Prices, Tariff
from tests.fakes.x import ScaledClock

DOLLAR = Prices(post=1, counts=0)
TARIFF = Tariff(DOLLAR, Budget(soft=3, hard=6, ceiling=10))


@pytest.fixture
def fast(tmp_path: Path) -> Iterator[Town]:
    # In the middle of a month and a day: none ends within a test.
    with town(tmp_path, ScaledClock(SPEED, start=datetime(2031, 5, 14, 12, tzinfo=UTC))) as here:
        yield here


def listening(town: Town, tariff: Tariff = TARIFF, **more: Any) -> ListenerDeployment:
    deployment = town.deployment(tariff=tariff, **more)
    deployment.open("granvik")
    deployment.turn_until(deployment.hears)
    return deployment


def hear(town: Town, deployment: ListenerDeployment, count: int = 1) -> list[str]:
    """Posts, heard live."""
    ids = [town.fake.post(f"granvik nummer {n}").id for n in range(count)]
    deployment.turn_until(lambda: deployment.captured().keys() >= set(ids))
    return ids


def spent(deployment: ListenerDeployment) -> float:
    return float(deployment.values("spending")[-1]["month"]["usd"])


def told(deployment: ListenerDeployment) -> list[tuple[str, str]]:
    return [(what, event) for what, event in deployment.alerts() if what.startswith("budget")]


def raise_to(deployment: ListenerDeployment, usd: float) -> None:
    said = Decision(
        kind=DecisionKind.BUDGET, id="x", at=deployment.clock.now(), by="kari", why="brannen er ikke slukket", usd=usd
    )
    append(deployment.bus, "decisions", said)


def stopped(town: Town, deployment: ListenerDeployment) -> None:
    """Listened until the ceiling."""
    hear(town, deployment, 10)
    deployment.turn_until(lambda: deployment.state["state"] == "stopped")


def test_caps_are_crossed_in_order_each_told_once_and_listening_goes_on_at_the_hard_one(fast: Town) -> None:
    deployment = listening(fast)
    hear(fast, deployment, 2)
    assert told(deployment) == []
    hear(fast, deployment)
    assert told(deployment) == [("budget_soft", "fired")]
    hear(fast, deployment, 3)
    assert told(deployment) == [("budget_soft", "fired"), ("budget_hard", "fired")]
    hear(fast, deployment, 3)
    assert deployment.hears()
    assert deployment.gaps()[-1].cause == "rules_unconfirmed"
    assert len(told(deployment)) == 2
    assert deployment.part.unready() is None
    hear(fast, deployment)
    deployment.turn_until(lambda: deployment.state["state"] == "stopped")
    assert told(deployment)[2:] == [("budget_ceiling", "fired")]


def test_the_ceiling_stops_as_a_gap_that_is_told(fast: Town) -> None:
    deployment = listening(fast)
    stopped(fast, deployment)
    deployment.turn_until(lambda: not fast.fake.streams.open and deployment.causes()[-1] == "budget_ceiling")
    missed = fast.fake.post("granvik, ikke hørt")
    deployment.turn_for(1.5)
    assert missed.id not in deployment.captured()
    assert deployment.gaps()[-1].end is None
    assert "x budget raise" in str(deployment.part.unready())
    assert ("x_silent", "fired") not in deployment.alerts()
    assert fast.lost(deployment) == []
    assert spent(deployment) == 10


def test_who_is_asked_about_money_is_on_duty_and_who_is_warned_is_ops(fast: Town) -> None:
    deployment = listening(fast)
    stopped(fast, deployment)
    deployment.turn_until(lambda: len(told(deployment)) == 3)
    routes = {v["reason"]: (v["to"], v["severity"]) for v in deployment.values("alerts")}
    assert routes["budget_soft"] == ("ops", "warning")
    assert routes["budget_hard"] == routes["budget_ceiling"] == ("duty", "critical")
    for alert in deployment.values("alerts"):
        for headline in alert["headline"].values():
            assert len(headline) <= 160
            assert "{" not in headline
            if alert["to"] == "duty":
                assert "lyttepost x budget raise --to 100 --why " in headline


def test_a_raise_resumes_and_the_gap_is_filled(fast: Town) -> None:
    deployment = listening(fast)
    stopped(fast, deployment)
    missed = fast.fake.post("granvik mens ingen betalte")
    deployment.turn_for(0.5)
    raise_to(deployment, 20)
    asked = fast.clock.monotonic()
    deployment.turn_until(lambda: bool(fast.fake.streams.open))
    assert fast.clock.monotonic() - asked < 60  # a second of the test's
    deployment.turn_until(lambda: deployment.captured()[missed.id] == 1)
    deployment.turn_until(lambda: deployment.hears() and not deployment.state["unfilled"])
    gap = next(gap for gap in deployment.gaps() if gap.cause == "budget_ceiling")
    assert gap.refilled == 1
    assert deployment.origins()[missed.id] == "gap_fill"
    assert told(deployment)[3:] == [("budget_hard", "resolved"), ("budget_ceiling", "resolved")]
    assert ("x_silent", "fired") not in deployment.alerts()
    assert deployment.part.unready() is None
    assert spent(deployment) == 11
    assert set(deployment.captured().values()) == {1}
    verify(deployment.records("decisions"))


def test_a_raised_cap_is_crossed_and_told_anew(fast: Town) -> None:
    deployment = listening(fast)
    hear(fast, deployment, 6)
    raise_to(deployment, 8)
    deployment.turn_until(lambda: ("budget_hard", "resolved") in told(deployment))
    hear(fast, deployment, 2)
    assert [event for what, event in told(deployment) if what == "budget_hard"] == ["fired", "resolved", "fired"]
    ids = {v["id"] for v in deployment.values("alerts") if v["reason"] == "budget_hard"}
    assert len(ids) == 2


def test_nothing_that_costs_passes_at_the_ceiling_and_rules_do(fast: Town) -> None:
    deployment = listening(fast)
    stopped(fast, deployment)
    deployment.turn_for(0.2)
    before = len(fast.fake.requests("/search/recent")), len(fast.fake.requests("/search/stream", "GET"))
    deployment.open("sandnesbrua", name="Ras", lookback=3600)
    deployment.turn_until(lambda: any("sandnesbrua" in rule.value for rule in fast.fake.world.rules.values()))
    deployment.turn_for(1.0)
    assert (len(fast.fake.requests("/search/recent")), len(fast.fake.requests("/search/stream", "GET"))) == before
    assert deployment.causes()[-1] == "budget_ceiling"


def test_a_killed_listener_leaves_its_meter_to_the_next(fast: Town) -> None:
    deployment = listening(fast)
    ids = hear(fast, deployment, 4)
    deployment.die()
    again = fast.deployment(tariff=TARIFF)
    again.turn_until(lambda: again.hears() and not again.state["unfilled"])
    hear(fast, again)
    # Its search for the time in between found the four again: they are paid for.
    assert spent(again) == 5
    assert again.captured().keys() > set(ids)
    assert told(again) == [("budget_soft", "fired")]


def test_a_restart_at_the_ceiling_reads_nothing_and_pages_nobody_again(fast: Town) -> None:
    deployment = listening(fast)
    stopped(fast, deployment)
    deployment.turn_until(lambda: deployment.causes()[-1] == "budget_ceiling")
    connects, before = len(fast.fake.requests("/search/stream", "GET")), told(deployment)
    deployment.die()
    again = fast.deployment(tariff=TARIFF)
    again.turn_for(1.0)
    assert again.state["state"] == "stopped"
    assert len(fast.fake.requests("/search/stream", "GET")) == connects
    assert told(again) == before
    assert [gap.cause for gap in again.gaps() if gap.end is None] == ["budget_ceiling"]
    raise_to(again, 20)
    again.turn_until(again.hears)


def test_a_standby_takes_the_meter_over_with_the_lease(fast: Town) -> None:
    deployment = listening(fast)
    hear(fast, deployment, 2)
    time.sleep(0.2)  # longer than the lease, in their time
    second = fast.deployment(holder="another@test", tariff=TARIFF)
    second.turn_until(second.hears)
    hear(fast, second)
    assert spent(second) == 3
    for _ in range(5):
        deployment.listen.step(0.0)
    assert spent(second) == 3


def test_money_is_counted_for_the_incident_that_it_was_for(fast: Town) -> None:
    deployment = listening(fast)
    deployment.open("sandnesbrua", name="Ras")
    deployment.turn_until(lambda: any("sandnesbrua" in rule.value for rule in fast.fake.world.rules.values()))
    deployment.turn_until(deployment.hears)
    hear(fast, deployment, 2)
    post = fast.fake.post("kø ved sandnesbrua")
    deployment.turn_until(lambda: deployment.captured()[post.id] == 1)
    incidents = deployment.values("spending")[-1]["incidents"]
    assert {key: tally["posts"] for key, tally in incidents.items()} == {"brann-0": 2, "ras-1": 1}
    assert deployment.metric("spent_dollars", scope="month", incident="") <= spent(deployment)


def test_calls_are_counted_by_endpoint_and_failed_ones_cost_nothing(fast: Town) -> None:
    prices = Prices(post=0, other=0, search=1)
    deployment = listening(fast, Tariff(prices, Budget(soft=100, hard=100, ceiling=100)))
    deployment.turn_until(lambda: not deployment.state["unfilled"])
    deployment.turn_for(0.2)
    answered = len(fast.fake.requests("/search/recent"))
    assert spent(deployment) == answered > 0
    fast.fake.do("refuse", status=503, on="search", seconds=90)
    fast.fake.do("reset")
    deployment.turn_until(lambda: not deployment.hears())
    deployment.turn_until(lambda: any(r.status == 503 for r in fast.fake.requests("/search/recent")))
    deployment.turn_until(lambda: deployment.hears() and not deployment.state["unfilled"])
    deployment.turn_for(0.2)
    tries = fast.fake.requests("/search/recent")
    assert deployment.values("spending")[-1]["calls"]["search"] == len(tries)
    assert spent(deployment) == sum(r.status == 200 for r in tries) < len(tries)
    assert deployment.metric("source_calls_total", endpoint="search", outcome="failed") >= 1


def test_a_month_that_begins_lets_x_be_heard_again(tmp_path: Path) -> None:
    start = datetime(2031, 5, 31, 23, 59, tzinfo=UTC) - timedelta(minutes=3)
    with town(tmp_path, ScaledClock(SPEED, start=start)) as here:
        deployment = listening(here)
        raise_to(deployment, 7)
        hear(here, deployment, 6)
        deployment.turn_for(0.8)
        hear(here, deployment, 5)
        deployment.turn_until(lambda: deployment.state["state"] == "stopped")
        deployment.turn_until(deployment.hears, 15)
        assert deployment.clock.now().month == 6
        hear(here, deployment)
        last = deployment.values("spending")[-1]
        # The gap over the month's end is searched from shortly before it: what X bills again in June is counted again.
        assert last["month"]["usd"] <= 7
        assert [event for what, event in told(deployment) if what == "budget_ceiling"] == ["fired", "resolved"]
        assert deployment.metric("budget_dollars", cap="hard") == 6


def test_only_the_one_that_listens_shows_what_it_costs(fast: Town) -> None:
    deployment = listening(fast)
    hear(fast, deployment)
    deployment.turn_for(0.1)

    def shown(deployment: ListenerDeployment) -> float | None:
        labels = {"source": "x", "scope": "incident", "incident": "brann-0"}
        return deployment.metrics.registry.get_sample_value("lyttepost_spent_dollars", labels)

    assert shown(deployment) == 1
    time.sleep(0.2)  # longer than the lease, in their time
    second = fast.deployment(holder="another@test", tariff=TARIFF)
    second.turn_until(lambda: shown(second) == 1)
    deployment.turn_until(lambda: shown(deployment) is None)
