"""What the dispatcher shows of pages that wait, of how soon people answer, and of whether it is the one who sends."""

from __future__ import annotations

from datetime import timedelta
from math import isnan

from alerts.notify.answers import acknowledge_all
from alerts.notify.state import read_book
from tests.ops.dispatch_support import DispatchDeployment, idle, to, turn
from tests.unit.telling_support import T0, people

ONLY_KARI = people({"duty": ["kari"], "fallback": ["kari"]})


def value(deployment: DispatchDeployment, name: str, **labels: str) -> float:
    found = deployment.metrics.registry.get_sample_value(f"lyttepost_{name}", labels)
    assert found is not None, name
    return found


def test_a_page_that_nobody_takes_waits_and_says_since_when(deployment: DispatchDeployment) -> None:
    deployment.smtp.always = "451"
    dispatcher = deployment.dispatcher(ONLY_KARI)
    deployment.fire()
    turn(dispatcher, lambda: any(d.outcome for d in deployment.deliveries()))
    deployment.clock.advance(timedelta(seconds=2))
    turn(dispatcher, lambda: value(deployment, "pages_waiting") == 1)
    assert value(deployment, "pages_waiting_oldest_timestamp_seconds") == T0.timestamp()
    deployment.smtp.always = None
    to(deployment, seconds=30)
    turn(dispatcher, lambda: deployment.smtp.seen)
    deployment.clock.advance(timedelta(seconds=2))
    turn(dispatcher, lambda: value(deployment, "pages_waiting") == 0)
    assert isnan(value(deployment, "pages_waiting_oldest_timestamp_seconds"))


def test_how_long_a_person_took_is_counted_once_by_who_sends(deployment: DispatchDeployment) -> None:
    first, second = deployment.dispatcher(ONLY_KARI), deployment.dispatcher(ONLY_KARI, holder="two")
    deployment.fire()
    turn(first, lambda: deployment.smtp.seen)
    to(deployment, seconds=90)
    for who in ("Kari", "Ola"):  # whoever is second has changed nothing
        acknowledge_all(deployment.bus, read_book(deployment.bus), ["a1"], who, "", deployment.clock.now())
    idle(first)
    idle(second)  # reads the same log, and stands by
    assert value(deployment, "acknowledge_seconds_count", exercise="false") == 1
    assert value(deployment, "acknowledge_seconds_bucket", exercise="false", le="60.0") == 0
    assert value(deployment, "acknowledge_seconds_bucket", exercise="false", le="120.0") == 1
    labels = {"severity": "warning", "exercise": "false"}
    assert value(deployment, "alerts_acknowledged", **labels) == 1
    assert value(deployment, "alerts_open", **labels) == 0


def test_who_stands_by_shows_no_alert_as_open(deployment: DispatchDeployment) -> None:
    dispatcher = deployment.dispatcher(ONLY_KARI)
    deployment.fire()
    labels = {"severity": "warning", "exercise": "false"}
    turn(dispatcher, lambda: value(deployment, "alerts_open", **labels) == 1)
    deployment.clock.advance(timedelta(minutes=1))  # it hung, and another took its place
    other = deployment.bus.lease(dispatcher.name, "two", 600.0)
    assert other.renew()
    turn(dispatcher, lambda: not dispatcher.leads)
    assert value(deployment, "alerts_open", **labels) == 0
    assert isnan(value(deployment, "alerts_oldest_open_timestamp_seconds", **labels))
