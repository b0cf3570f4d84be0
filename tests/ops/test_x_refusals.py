"""What X refuses is asked for again, never in a hot loop; ops are told in time, and nothing is lost outside a gap.

Twenty seconds of the listener's and the fake's time pass in each second of the test's.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from listener_support import ListenerDeployment
from x_support import TOKEN, Town, town

from listener.sources.x.access import Access
from listener.units import parse_instant
from tests.fakes.x import ScaledClock

SPEED = 20.0
TROUBLES = [(401, "x_unauthorized", "unauthorized"), (403, "x_forbidden", "forbidden")]
STREAM, RULES, SEARCH, COUNTS = "/search/stream", "/search/stream/rules", "/search/recent", "/counts/recent"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Town]:
    with town(tmp_path, ScaledClock(SPEED)) as slow:
        yield slow


@pytest.fixture
def crisis(here: Town) -> ListenerDeployment:
    deployment = here.deployment()
    deployment.open("granvik")
    settle(deployment)
    return deployment


def settle(deployment: ListenerDeployment, seconds: float = 20.0) -> None:
    """Heard, and all that was missed is searched."""
    deployment.turn_until(lambda: deployment.hears() and not deployment.state["unfilled"], seconds)


def turn_for(deployment: ListenerDeployment, seconds: float) -> None:
    """Of the fast clock."""
    deployment.turn_for(seconds / SPEED)


def asked(town: Town, path: str, since: datetime) -> list[datetime]:
    return [request.at for request in town.fake.requests(path) if request.at >= since]


def fired(deployment: ListenerDeployment, what: str) -> datetime:
    """When ops were told."""
    (at,) = (v["at"] for v in deployment.values("alerts") if (v["reason"], v["event"]) == (what, "fired"))
    return parse_instant(at)


def assert_growing(times: list[datetime], most: int) -> None:
    """Few, and each pause longer than the one before it, up to the longest."""
    assert 2 <= len(times) <= most
    pauses = [(b - a).total_seconds() for a, b in pairwise(times)]
    assert pauses[0] >= 4.5
    assert all(b > 1.2 * a for a, b in pairwise(pauses)), pauses


def hear(town: Town, deployment: ListenerDeployment, said: str) -> str:
    post = town.fake.post(said)
    deployment.turn_until(lambda: deployment.captured()[post.id] == 1, 20)
    return post.id


@pytest.mark.parametrize(("status", "what", "cause"), TROUBLES)
def test_one_refusal_of_the_stream_is_a_short_gap_and_wakes_nobody(
    here: Town, crisis: ListenerDeployment, status: int, what: str, cause: str
) -> None:
    here.fake.do("refuse", status=status, on="stream", times=1)
    here.fake.do("reset")
    crisis.turn_until(lambda: cause in crisis.metrics_reconnects())
    missed = here.fake.post("granvik i gapet")
    crisis.turn_until(lambda: crisis.part.unready() is not None)
    settle(crisis)
    crisis.turn_until(lambda: crisis.captured()[missed.id] == 1)
    turn_for(crisis, 30)
    assert crisis.part.unready() is None
    assert (what, "fired") not in crisis.alerts()
    hear(here, crisis, "granvik igjen")
    assert here.lost(crisis) == []


@pytest.mark.parametrize(("status", "what", "cause"), TROUBLES)
def test_a_long_refusal_of_everything_is_told_in_time_and_ends_by_itself(
    here: Town, crisis: ListenerDeployment, status: int, what: str, cause: str
) -> None:
    hear(here, crisis, "granvik først")
    began = here.clock.now()
    here.fake.do("refuse", status=status, seconds=200)
    here.fake.do("reset")
    crisis.turn_until(lambda: (what, "fired") in crisis.alerts(), 20)
    assert fired(crisis, what) - began < timedelta(seconds=60)
    assert crisis.state["state"] == "stopped"
    assert str(status) in (crisis.part.unready() or "")
    missed = here.fake.post("granvik mens nøkkelen ikke gjaldt", live=False)
    turn_for(crisis, 150)
    assert_growing(asked(here, STREAM, began)[1:], 8)
    assert len(asked(here, RULES, began)) <= 8
    assert ("x_silent", "fired") not in crisis.alerts(), "one cause is told once"
    settle(crisis, 30)
    crisis.turn_until(lambda: crisis.captured()[missed.id] == 1)
    crisis.turn_until(lambda: (what, "resolved") in crisis.alerts())
    assert crisis.alerts() == [(what, "fired"), (what, "resolved")]
    crisis.turn_until(lambda: crisis.part.unready() is None)
    assert here.lost(crisis) == []


def test_a_new_token_in_the_file_is_used_at_once(here: Town, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("revoked\n", encoding="utf-8")
    deployment = here.deployment(access=Access(here.fake.url, "revoked", file))
    deployment.open("granvik")
    deployment.turn_until(lambda: ("x_unauthorized", "fired") in deployment.alerts(), 20)
    turn_for(deployment, 150)
    before = here.clock.now()
    new = tmp_path / "new"
    new.write_bytes(b"\xef\xbb\xbf" + TOKEN.encode() + b"\r\n")
    os.replace(new, file)
    deployment.turn_until(lambda: any(r.status == 200 for r in here.fake.requests(STREAM)))
    accepted = next(r.at for r in here.fake.requests(STREAM) if r.status == 200)
    assert accepted - before < timedelta(seconds=15)
    settle(deployment)
    deployment.turn_until(lambda: ("x_unauthorized", "resolved") in deployment.alerts())
    hear(here, deployment, "granvik")


def test_a_token_file_spoilt_while_we_run_is_reported_and_the_token_before_it_stays(
    here: Town, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN, encoding="utf-8")
    deployment = here.deployment(access=Access(here.fake.url, TOKEN, file))
    deployment.open("granvik")
    settle(deployment)
    file.write_text(f"{TOKEN}\n{TOKEN}\n", encoding="utf-8")
    deployment.turn_until(lambda: deployment.part.unready() is not None)
    assert "x.bearer_token_file" in str(deployment.part.unready())
    assert "several lines" in str(deployment.part.unready())
    here.fake.do("reset")
    hear(here, deployment, "granvik etter")
    file.write_text(TOKEN, encoding="utf-8")
    deployment.turn_until(lambda: deployment.part.unready() is None)
    assert TOKEN not in caplog.text + str(deployment.state)


@pytest.mark.parametrize(("status", "what", "cause"), TROUBLES)
def test_rules_refused_while_the_stream_flows_cost_no_word(
    here: Town, crisis: ListenerDeployment, status: int, what: str, cause: str
) -> None:
    began = here.clock.now()
    here.fake.do("refuse", status=status, on="rules")
    crisis.source._rule_sync.check()
    crisis.turn_until(lambda: crisis.part.unready() is not None)
    hear(here, crisis, "granvik høres ennå")
    assert crisis.state["state"] == "listening"
    crisis.turn_until(lambda: (what, "fired") in crisis.alerts(), 20)
    turn_for(crisis, 100)
    assert_growing(asked(here, RULES, began), 8)
    here.fake.do("heal")
    crisis.turn_until(lambda: (what, "resolved") in crisis.alerts(), 20)
    crisis.turn_until(lambda: crisis.part.unready() is None)
    assert crisis.causes() == ["rules_unconfirmed"]


@pytest.mark.parametrize(("status", "what", "cause"), TROUBLES)
def test_counts_refused_in_calm_are_asked_for_again(here: Town, status: int, what: str, cause: str) -> None:
    began = here.clock.now()
    here.fake.do("refuse", status=status, on="counts")
    deployment = here.deployment(standing=("granvik",), count_every=timedelta(minutes=1))
    deployment.turn_until(lambda: deployment.alerts() == [(what, "fired")], 20)
    assert fired(deployment, what) - began < timedelta(seconds=60)
    assert deployment.part.unready() is not None
    turn_for(deployment, 100)
    assert_growing(asked(here, COUNTS, began), 8)
    here.fake.do("heal")
    deployment.turn_until(lambda: deployment.alerts() == [(what, "fired"), (what, "resolved")], 20)
    deployment.turn_until(lambda: deployment.part.unready() is None)


def test_search_refused_once_fills_the_gap_all_the_same(here: Town, crisis: ListenerDeployment) -> None:
    began = here.clock.now()
    here.fake.do("refuse", status=401, on="search", times=1)
    missed = here.fake.post("granvik i gapet", live=False)
    here.fake.do("reset")
    crisis.turn_until(lambda: crisis.captured()[missed.id] == 1, 20)
    assert 2 <= len(asked(here, SEARCH, began)) <= 4
    assert ("x_search_refused", "fired") not in crisis.alerts()


def test_search_refused_for_long_is_told_and_asked_once_for_all_gaps(here: Town, crisis: ListenerDeployment) -> None:
    here.fake.do("refuse", status=403, on="search")
    for _ in range(3):
        here.fake.do("reset")
        crisis.turn_until(lambda: not crisis.hears())
        crisis.turn_until(crisis.hears)
        turn_for(crisis, 5)
    began = here.clock.now()
    crisis.turn_until(lambda: ("x_search_refused", "fired") in crisis.alerts(), 20)
    turn_for(crisis, 120)
    assert len(asked(here, SEARCH, began)) <= 6
    here.fake.do("heal")
    settle(crisis, 40)
    crisis.turn_until(lambda: ("x_search_refused", "resolved") in crisis.alerts())


# --- one field of many ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("user.fields", "verified_type"),
        ("tweet.fields", "note_tweet"),
        ("expansions", "geo.place_id"),
        ("place.fields", ""),
    ],
)
def test_a_field_that_x_refuses_is_left_out_of_every_call_and_reported_once(
    here: Town, parameter: str, value: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    here.fake.do("refuse_field", parameter=parameter, value=value)
    deployment = here.deployment()
    deployment.open("granvik")
    settle(deployment)
    hear(here, deployment, "granvik, hemmelig")
    missed = here.fake.post("granvik i gapet, hemmelig", live=False)
    here.fake.do("reset")
    deployment.turn_until(lambda: deployment.captured()[missed.id] == 1, 20)
    assert [r.status for r in here.fake.requests(STREAM)].count(400) == 1
    assert [r.status for r in here.fake.requests(SEARCH)].count(400) == 0
    later = [r.params for r in (*here.fake.requests(STREAM)[1:], *here.fake.requests(SEARCH))]
    assert all(value not in params[parameter].split(",") for params in later if parameter in params)
    assert [alert for alert in deployment.alerts() if alert[0] == "x_field_refused"] == [("x_field_refused", "fired")]
    assert deployment.part.unready() is None
    assert any(f"{parameter}={value}" in each for each in deployment.state["refused_fields"])
    dropped = [r.getMessage() for r in caplog.records if "no longer asked for" in r.getMessage()]
    assert len(dropped) == 1
    assert "Invalid Request" in dropped[0]
    assert parameter in dropped[0]
    assert "hemmelig" not in caplog.text


def test_after_a_restart_a_field_that_x_takes_again_is_asked_for_and_that_is_told(here: Town) -> None:
    here.fake.do("refuse_field", parameter="user.fields", value="verified_type")
    deployment = here.deployment()
    deployment.open("granvik")
    settle(deployment)
    hear(here, deployment, "granvik")
    assert ("x_field_refused", "fired") in deployment.alerts()
    deployment.die()
    here.fake.do("heal")
    turn_for(deployment, 1)
    again = here.deployment("listener@again")
    again.turn_until(lambda: ("x_field_refused", "resolved") in again.alerts(), 20)


def test_a_field_that_no_post_can_do_without_stays_refused_and_says_so(here: Town) -> None:
    began = here.clock.now()
    here.fake.do("refuse_field", parameter="tweet.fields", value="created_at")
    deployment = here.deployment()
    deployment.open("granvik")
    deployment.turn_until(lambda: ("x_refused", "fired") in deployment.alerts(), 20)
    assert fired(deployment, "x_refused") - began < timedelta(seconds=60)
    told = str(deployment.part.unready())
    assert "Invalid Request (tweet.fields=created_at)" in told
    turn_for(deployment, 60)
    assert_growing(asked(here, STREAM, began), 8)
    here.fake.do("heal")
    settle(deployment, 30)
    deployment.turn_until(lambda: ("x_refused", "resolved") in deployment.alerts())
    assert here.lost(deployment) == []
